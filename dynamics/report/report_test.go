package report

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/html"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// heated simulates a run of the electric heater that dynamics/heater.yaml describes.
func heated(name string, seed uint64, rows int) Run {
	rng := rand.New(rand.NewPCG(seed, 2))
	r := Run{To: rows}
	r.Name, r.U, r.Z, r.Inputs = name, make([][]float64, 2), make([][]float64, 1), []string{"heater power", "fan speed"}
	const gain, loss, fan, lag, sub = 2e-3, 0.006, 3e-5, 4.0, 20
	temp, reading, power, speed := 20.0, 20.0, 0.0, 0.0
	for i := range rows {
		if i%60 == 0 {
			power, speed = 1500*rng.Float64(), 300*rng.Float64()
		}
		r.Time = append(r.Time, float64(i))
		r.U[0], r.U[1] = append(r.U[0], power), append(r.U[1], speed)
		r.Z[0] = append(r.Z[0], reading+0.05*rng.NormFloat64())
		for range sub {
			temp += (gain*power - (loss+fan*speed*math.Pi/30)*(temp-20)) / sub
			reading += (temp - reading) / lag / sub
		}
	}
	return r
}

// text of the hypotheses about the heater, with what HTML could trip over.
var heater = sync.OnceValue(func() string {
	data, err := os.ReadFile(filepath.Join("..", "heater.yaml"))
	if err != nil {
		panic(err)
	}
	return string(data) + "# <script>alert(1)</script> & \"quotes\"\n"
})

// learned learns from two runs and adds a third that the model has not seen.
var learned = sync.OnceValues(func() (*model.Model, []Run) {
	h, err := model.ReadHypotheses(strings.NewReader(heater()))
	if err != nil {
		panic(err)
	}
	all := []Run{heated("monday", 1, 400), heated("tuesday", 2, 400), heated("wednesday <b> & co", 3, 300)}
	m, err := learn.Learn(context.Background(), []runs.Run{all[0].Run, all[1].Run}, learn.Options{Inputs: all[0].Inputs, Hypotheses: h, Date: "2026-01-02T03:04:05Z"})
	if err != nil {
		panic(err)
	}
	m.Hypotheses = heater()
	return m, all
})

// withEvidence is a copy of m that carries evidence made up for the test.
func withEvidence(m *model.Model) *model.Model {
	c := *m
	e := &model.Evidence{Seed: 7, Resamples: 40, Horizons: []float64{1, 10}, Base: []float64{0.5, 2}}
	for _, t := range m.Terms {
		if !t.Fixed {
			e.Candidates = append(e.Candidates, model.Candidate{State: t.State, Name: t.Name, Expression: t.Expression, Sign: t.Sign, Mode: t.Mode, Opinion: "require",
				Verdict: model.Kept, Inclusion: 0.975, Coefficient: t.Coefficient, StdErr: t.StdErr, Unit: t.Unit, Identifiability: 0.3,
				LeftOut: []float64{0.125, -0.25}, Rivals: []model.Rival{{Name: "another", Correlation: -0.875}}})
		}
	}
	e.Candidates = append(e.Candidates,
		model.Candidate{State: "T", Name: "stray <i>", Expression: "W*W", Sign: 1, Opinion: "propose", Verdict: model.NoData, Why: "nobody measured it", Unit: "K/(J·W)"},
		model.Candidate{Name: "lag", Verdict: model.Kept, Inclusion: 1, Coefficient: 4, StdErr: 0.1, Unit: "s", Identifiability: 0.8})
	e.Doubtful = []model.Combination{{Parts: []model.Part{{Name: "heating", Weight: 0.75}, {Name: "loss", Weight: -0.5}}, SD: 0.42}}
	e.Advice = []model.Experiment{{Input: "fan speed", From: 100, To: 250, Unit: "rpm", Hold: 90, Settles: []string{"loss to fan"}, Gain: 2.5, Text: "Turn the fan up for a minute and a half."}}
	c.Evidence = e
	return &c
}

// written makes the report of m on runs and parses it.
func written(t *testing.T, m *model.Model, runs []Run) *html.Node {
	t.Helper()
	r, err := Make(m, runs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return parsed(t, b.String())
}

// whole is the page on all runs of a model with evidence.
var whole = sync.OnceValues(func() (*model.Model, string) {
	m, runs := learned()
	m = withEvidence(m)
	r, err := Make(m, runs, Options{Version: "test"})
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		panic(err)
	}
	return m, b.String()
})

func parsed(t *testing.T, page string) *html.Node {
	t.Helper()
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("a value was not safe where it stands")
	}
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// find gives the elements for which is holds, in order.
func find(n *html.Node, is func(*html.Node) bool) (found []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && is(d) {
			found = append(found, d)
		}
	}
	return found
}

func byID(t *testing.T, root *html.Node, id string) *html.Node {
	t.Helper()
	found := find(root, func(n *html.Node) bool { return attribute(n, "id") == id })
	if len(found) != 1 {
		t.Fatalf("%d elements %q, want one", len(found), id)
	}
	return found[0]
}

func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// cells gives the rows of a table without its head.
func cells(table *html.Node) (rows [][]string) {
	for _, tr := range find(table, func(n *html.Node) bool { return n.Data == "tr" }) {
		var row []string
		for _, td := range find(tr, func(n *html.Node) bool { return n.Data == "td" }) {
			row = append(row, words(td))
		}
		if row != nil {
			rows = append(rows, row)
		}
	}
	return rows
}

func TestPageStandsAlone(t *testing.T) {
	_, text := whole()
	root := parsed(t, text)
	for _, bad := range []string{"@import", "http-equiv"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, where := range strings.Split(text, "url(")[1:] {
		if !strings.HasPrefix(where, "data:") {
			t.Errorf("the page asks for url(%.40s", where)
		}
	}
	for _, n := range find(root, func(n *html.Node) bool { return true }) {
		switch n.Data {
		case "script", "link", "iframe", "object", "embed", "img", "base":
			t.Errorf("the page has an element %s", n.Data)
		}
		for _, a := range n.Attr {
			inside := strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "data:")
			if (a.Key == "src" || a.Key == "href" || a.Key == "srcset" || a.Key == "action") && !inside {
				t.Errorf("%s refers to %q", n.Data, a.Val)
			}
			if a.Key != "xmlns" && strings.Contains(a.Val, "http") {
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			}
		}
	}
	for _, n := range find(root, func(n *html.Node) bool { return strings.HasPrefix(attribute(n, "href"), "#") }) {
		byID(t, root, attribute(n, "href")[1:])
	}
}

func TestPageHasEveryPart(t *testing.T) {
	_, runs := learned()
	_, text := whole()
	root := parsed(t, text)
	last := -1
	for _, id := range []string{"headline", "equation", "evidence", "runs", "skill", "response", "range", "hypotheses"} {
		byID(t, root, id)
		if at := strings.Index(text, `<section id="`+id+`"`); at < last {
			t.Errorf("section %s is out of order", id)
		} else {
			last = at
		}
	}
	if n := len(find(root, func(n *html.Node) bool { return n.Data == "svg" })); n < 9*len(runs) {
		t.Errorf("%d figures for %d runs", n, len(runs))
	}
	head := words(find(root, func(n *html.Node) bool { return n.Data == "header" })[0])
	for _, want := range []string{"electric heater", "2026-01-02T03:04:05Z", "monday (400 rows)", "wednesday <b> & co (rows 0 to 299)"} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in the head: %s", want, head)
		}
	}
	// Every <math> and <svg> is XML.
	for _, element := range []string{"math", "svg"} {
		for i, part := range strings.Split(text, "<"+element+" ")[1:] {
			body, _, _ := strings.Cut(part, "</"+element+">")
			for d := xml.NewDecoder(strings.NewReader("<" + element + " " + body + "</" + element + ">")); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s %d: %v", element, i, err)
				}
			}
		}
	}
}

// What people wrote about the run stands on the page as they wrote it, and where nobody wrote there is no such part.
func TestNotesStandOnThePage(t *testing.T) {
	m, runs := learned()
	_, text := whole()
	if strings.Contains(text, `id="notes"`) {
		t.Error("nobody wrote, and there is a part for it")
	}
	r, err := Make(m, runs[:1], Options{Notes: []Note{{"2026-01-02 03:04 UTC", "anna", "the plate was cold"}, {"2026-01-02 03:05 UTC", "<b>eva</b>", "1 < 2\n& so on"}}})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got := cells(byID(t, parsed(t, b.String()), "notes-table"))
	if want := [][]string{{"2026-01-02 03:04 UTC", "anna", "the plate was cold"}, {"2026-01-02 03:05 UTC", "<b>eva</b>", "1 < 2 & so on"}}; !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTablesSayWhatTheModelSays(t *testing.T) {
	_, runs := learned()
	m, text := whole()
	root := parsed(t, text)

	rows := cells(byID(t, root, "terms"))
	if len(rows) != len(m.Terms) {
		t.Fatalf("%d terms on the page, %d in the model", len(rows), len(m.Terms))
	}
	for i, term := range m.Terms {
		want := plusless(term.Coefficient, term.StdErr)
		if term.Fixed {
			want = "fixed"
		}
		if rows[i][1] != term.Name || rows[i][3] != want || !term.Fixed && rows[i][4] != term.Unit {
			t.Errorf("term %+v reads %q", term, rows[i])
		}
	}
	rows = cells(byID(t, root, "parameters"))
	for i, p := range m.Parameters {
		want := value(p.Value)
		if !p.Fixed {
			want = plusless(p.Value, p.StdErr)
		}
		if rows[i][1] != want || rows[i][2] != p.Unit {
			t.Errorf("parameter %+v reads %q", p, rows[i])
		}
	}
	rows = cells(byID(t, root, "ranges"))
	for i, in := range m.Inputs {
		if want := value(in.Min) + " to " + value(in.Max); rows[i][1] != want || rows[i][2] != in.Unit {
			t.Errorf("range of %s reads %q, want %q", in.Name, rows[i], want)
		}
	}

	// Skill: by a model of the other runs and in sample for the runs learned from, once for the other.
	tables := find(root, func(n *html.Node) bool { return attribute(n, "class") == "full" })
	if len(tables) != 5 {
		t.Fatalf("%d tables of skill, want 5", len(tables))
	}
	for i, table := range tables {
		name, heldOut := attribute(table, "data-run"), attribute(table, "data-held-out") == "true"
		if want := []bool{true, false, true, false, true}[i]; heldOut != want {
			t.Errorf("table %d of %s says held out: %t, want %t", i, name, heldOut, want)
		}
		if name == runs[2].Name || !heldOut {
			continue
		}
		k := 0
		rows := cells(table)
		for _, s := range m.Skill { // the full table keeps both kinds of windows
			if s.Run != name || !s.HeldOut {
				continue
			}
			want := []string{s.Way, s.Windows, fmt.Sprintf("%g s", s.Horizon), fmt.Sprint(s.Count), value(s.RMSE), value(s.MAE), value(s.Bias), percent(s.Coverage)}
			if s.Count == 0 {
				want = append(want[:4], "–", "–", "–", "–")
			}
			if !slices.Equal(rows[k], want) {
				t.Errorf("%s reads %q, want %q", name, rows[k], want)
			}
			k++
		}
		if k != len(rows) {
			t.Errorf("%s: %d rows of skill, the model has %d", name, len(rows), k)
		}
	}

	// Evidence.
	var terms []model.Candidate
	for _, c := range m.Evidence.Candidates {
		if c.State != "" {
			terms = append(terms, c)
		}
	}
	rows = cells(byID(t, root, "candidates"))
	if len(rows) != len(terms) {
		t.Fatalf("%d candidates on the page, want %d", len(rows), len(terms))
	}
	for i, c := range terms {
		line := strings.Join(rows[i], " | ")
		wants := []string{c.Name, c.Verdict, c.Opinion, c.Why, plusless(c.Coefficient, c.StdErr), c.Unit, percent(c.Identifiability)}
		if c.LeftOut != nil {
			wants = append(wants, "98 %", "+0.12", "−0.25", "another −0.88")
		}
		for _, want := range wants {
			if !strings.Contains(line, want) {
				t.Errorf("no %q in %s", want, line)
			}
		}
	}
	for id, want := range map[string]string{"candidate-parameters": "4.00 ± 0.10", "doubtful": "42 % heating +0.75, loss −0.50", "experiments": "1. Turn the fan up for a minute and a half. fan speed 100 → 250 rpm 90.0 s loss to fan 2.50 times"} {
		if text := words(byID(t, root, id)); !strings.Contains(text, strings.ReplaceAll(want, ", ", " , ")) && !strings.Contains(text, want) {
			t.Errorf("no %q in %s: %s", want, id, text)
		}
	}
}

func TestHeadlineNeverSellsAFitForAForecast(t *testing.T) {
	m, runs := learned()
	root := written(t, m, runs[2:])
	text := words(byID(t, root, "headline"))
	for _, want := range []string{"On 3 runs not learned from (2 of them left out in turn", "10 s ahead", "60 s ahead", "persistence", "no evidence on its candidates"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the headline: %s", want, text)
		}
	}
	if text := words(byID(t, written(t, m, runs[:2]), "headline")); !strings.Contains(text, "On 2 runs left out in turn, models of the other runs forecast") {
		t.Errorf("a headline on the runs learned from reads: %s", text)
	}
	proof := (&Report{m: m}).proof(m.Outputs[0].Name) // what the document says alone
	without := slices.Clone(proof)                    // one of them has a way less
	without[0].rows = slices.DeleteFunc(slices.Clone(proof[0].rows), func(s model.Skill) bool { return s.Way == "held" })
	if k := pooled(without, filter.Held, model.AllRows, 10); k == nil || k.Count >= pooled(proof, filter.Held, model.AllRows, 10).Count {
		t.Errorf("pooled over one of two runs: %+v", k)
	}
	want := pooled(proof, filter.Known, model.AllRows, 10)
	var squares, n float64
	for _, s := range m.Skill {
		if s.Way == "known" && s.Windows == model.AllRows && s.Horizon == 10 {
			squares += float64(s.Count) * s.RMSE * s.RMSE
			n += float64(s.Count)
		}
	}
	if len(proof) != 2 || math.Abs(want.RMSE-math.Sqrt(squares/n)) > 1e-12 {
		t.Errorf("pooled RMSE over %d runs is %g, want %g over 2", len(proof), want.RMSE, math.Sqrt(squares/n))
	}

	// One run, learned from: no word of proof.
	alone := *m
	alone.Skill, alone.Provenance.Runs = nil, m.Provenance.Runs[:1]
	root = written(t, &alone, runs[:1])
	text = words(byID(t, root, "headline"))
	if !strings.Contains(text, "in sample") || !strings.Contains(text, "Nothing is proved") || strings.Contains(text, "not learned from") {
		t.Errorf("a headline in sample reads: %s", text)
	}
	for _, n := range find(byID(t, root, "skill"), func(n *html.Node) bool { return n.Data == "td" }) {
		if class := attribute(n, "class"); strings.Contains(class, "good") || strings.Contains(class, "bad") {
			t.Errorf("a figure in sample is coloured: %s", words(n))
		}
	}
}

func TestHypothesesAreThereToEdit(t *testing.T) {
	m, runs := learned()
	root := written(t, m, runs[:1])
	part := byID(t, root, "hypotheses")
	pre := find(part, func(n *html.Node) bool { return attribute(n, "class") == "file" })
	if len(pre) != 1 || pre[0].FirstChild.Data != m.Hypotheses {
		t.Error("the file of hypotheses is not there word for word")
	}
	link := attribute(find(part, func(n *html.Node) bool { return n.Data == "a" })[0], "href")
	_, data, _ := strings.Cut(link, "base64,")
	if file, err := base64.StdEncoding.DecodeString(data); err != nil || string(file) != m.Hypotheses {
		t.Errorf("the link gives %.40q (%v)", file, err)
	}
	if text := words(part); !strings.Contains(text, "stirwatch learn --hypotheses hypotheses.yaml -o model.json --report report.html monday.csv tuesday.csv") {
		t.Errorf("no command to learn again in %s", text)
	}
	bare := *m
	bare.Hypotheses = ""
	root = written(t, &bare, runs[:1])
	if text := words(byID(t, root, "hypotheses")); !strings.Contains(text, "does not carry the hypotheses") {
		t.Errorf("a document without hypotheses reads: %s", text)
	}
}

func TestPictures(t *testing.T) {
	m, runs := learned()
	r, err := Make(m, runs[2:], Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "figures")
	if err := r.Pictures(dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.figures {
		svg, err := os.ReadFile(filepath.Join(dir, f.name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(svg, new(struct{})); err != nil {
			t.Errorf("%s.svg: %v", f.name, err)
		}
		file, err := os.Open(filepath.Join(dir, f.name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(file)
		file.Close()
		if err != nil {
			t.Fatalf("%s.png: %v", f.name, err)
		}
		if img.Bounds().Dx() != int(f.canvas.w*pngScale) {
			t.Errorf("%s.png is %d pixels wide", f.name, img.Bounds().Dx())
		}
		dark := 0
		pix := img.(*image.RGBA).Pix
		for i := 0; i < len(pix); i += 4 {
			if int(pix[i])+int(pix[i+1])+int(pix[i+2]) < 3*128 {
				dark++
			}
		}
		if dark < 500 {
			t.Errorf("%s.png has %d dark pixels: nothing is drawn", f.name, dark)
		}
	}
}

func TestEqualInputGivesEqualBytes(t *testing.T) {
	m, runs := learned()
	var pages [2]strings.Builder
	for i := range pages {
		r, err := Make(m, runs[2:], Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Write(&pages[i]); err != nil {
			t.Fatal(err)
		}
	}
	if pages[0].String() != pages[1].String() {
		t.Error("two reports of one model on one run differ")
	}
}

func TestReportNeedsRuns(t *testing.T) {
	m, runs := learned()
	if _, err := Make(m, nil, Options{}); err == nil {
		t.Error("a report on no runs is no error")
	}
	other := runs[0]
	other.Inputs = []string{"heater power", "something else"}
	if _, err := Make(m, []Run{other}, Options{}); err == nil || !strings.Contains(err.Error(), "fan speed") {
		t.Errorf("a run without an input: %v", err)
	}
	blind := heated("blind", 4, 200)
	for i := range blind.Z[0] {
		blind.Z[0][i] = math.NaN()
	}
	if _, err := Make(m, []Run{blind}, Options{}); err == nil || !strings.Contains(err.Error(), "blind") {
		t.Errorf("a run without a reading: %v", err)
	}
	odd := withEvidence(m) // lists that do not match
	odd.Evidence.Base, odd.Evidence.Candidates[0].LeftOut = nil, []float64{1}
	written(t, odd, runs[2:])
	short := heated("short", 5, 30) // no forecast of 60 s fits
	root := written(t, m, []Run{short})
	byID(t, root, "skill")
	gaps := heated("gaps", 6, 300)
	for i := 100; i < 140; i++ {
		gaps.Z[0][i], gaps.U[0][i] = math.NaN(), math.NaN()
	}
	written(t, m, []Run{gaps})
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1: "1.00", 12.345: "12.3", 123.45: "123", -0.5: "−0.500", 1e-5: "1.00·10⁻⁵", 14223: "14223", math.Inf(1): "–"} {
		if got := value(v); got != want {
			t.Errorf("%g reads %s, want %s", v, got, want)
		}
	}
	if got := plusless(5.946e-5, 5.56e-5); got != "(5.95 ± 5.56)·10⁻⁵" {
		t.Error(got)
	}
	if got := ticks(0, 456, 3); !slices.Equal(got, []float64{0, 200, 400}) {
		t.Error(got)
	}
	if got := quantile([]float64{1, 2, 3}, 0.25); got != 1.5 {
		t.Error(got)
	}
}

// BenchmarkReport: one page on three short runs.
func BenchmarkReport(b *testing.B) {
	m, runs := learned()
	for b.Loop() {
		r, err := Make(m, runs, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Write(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
