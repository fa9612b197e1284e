package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/score"
)

//go:embed page.html
var pageText string

// Write writes the page: one HTML file that needs nothing from elsewhere.
func (r *Report) Write(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"math":     typeset,
		"value":    value,
		"percent":  percent,
		"whole":    func(share float64) int { return int(math.Round(100 * share)) },
		"nth":      nth,
		"rank":     func(i int) string { return strconv.Itoa(i+1) + "." },
		"sign":     func(s int) string { return map[int]string{1: "+", -1: "−"}[s] },
		"plusless": plusless,
		"growth":   growth,
		"better":   better,
		"skill":    overBaseline,
		"figure":   (*figure).inline,
		"minus":    func(s string) string { return strings.ReplaceAll(s, "-", "−") },
		"join":     strings.Join,
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return t.Execute(w, r.page())
}

// page is what the template shows.
type page struct {
	M              *model.Model
	Output         model.Output
	Version, Hash  string
	Notes          []Note
	Style          template.CSS
	Shown          []runPage // by run and output
	Runs           []runPage // every run once
	Verdict        []string  // one sentence for each output
	Look           *figure   // forecasts of a run left out, or of the first
	Flows          *figure
	Headline       []sentence
	Doubts         []string
	Proof          []headRow // pooled
	InSample       bool      // there is no proof: the rows are in sample
	HasPlan        bool
	PlanProved     bool // by every run of the headline
	HasPhases      bool
	HasSetPoint    bool
	Equation       template.HTML
	Parameters     []parameterRow
	Ranges         []rangeRow
	Evidence       *model.Evidence
	FreeParameters bool // among the candidates
	ProofRuns      int
	Download       template.URL
	Command        string
	Residual       string
}

// sentence is a statement with what it is made of.
type sentence struct {
	Head  string
	Items []string
}

// runPage is one run on the page.
type runPage struct {
	Name, SHA256             string
	Title                    string // of the run, and of the output where there are several
	State, StateName         string // that the output is about
	Leading                  bool
	First, Last, Rows        int
	Learned                  bool
	Simulated, Fans, Closely *figure
	Residuals, Coverage      *figure
	Skill, Response          []*figure
	Flows, Look              *figure
	Tables                   []tablePage
	Work                     []workRow
	Phase                    string
	WorkRows                 int
}

type tablePage struct {
	Sample  string
	HeldOut bool
	Compare []headRow
	Full    []model.Skill
}

// headRow compares the ways at one horizon; a way that is not there is nil.
type headRow struct {
	Windows           string
	Horizon           float64
	Count             int
	Known, Plan, Held *model.Skill
}

type parameterRow struct {
	model.Parameter
	State string
}

type rangeRow struct {
	Name, Symbol, Unit string
	Min, Max           float64
	Runs               []rangeRun
}

type rangeRun struct {
	Name     string
	Min, Max float64
	Outside  float64 // share of the rows
}

type workRow struct {
	Symbol, Name, Unit string
	Value              float64
	How                string
}

func (r *Report) page() *page {
	m := r.m
	p := &page{
		M: m, Output: m.Outputs[m.LeadingIndex()], Version: r.o.Version, Notes: r.o.Notes, Hash: r.checksum, HasPlan: m.Planned(), HasPhases: r.hasPhases(), Evidence: m.Evidence,
		Style:    template.CSS(baseStyle + styles(false) + "@media (prefers-color-scheme:dark){" + styles(true) + "}@media print{" + styles(false) + "}"),
		Equation: template.HTML(model.MathML(m)),
		Residual: number(residualHorizon),
	}
	for _, q := range m.Parameters {
		state := "learned"
		switch {
		case q.Fixed:
			state = "given"
		case q.Value <= q.Min || q.Value >= q.Max:
			state = "at its bound"
		}
		p.Parameters = append(p.Parameters, parameterRow{q, state})
	}
	for i, t := range r.runs {
		p.Shown = append(p.Shown, r.runPage(i, t))
		if t.leading {
			p.Runs = append(p.Runs, p.Shown[i])
		}
	}
	r.verdict(p)
	if m.Evidence != nil {
		p.FreeParameters = slices.ContainsFunc(m.Evidence.Candidates, func(c model.Candidate) bool { return c.State == "" })
	}
	p.Ranges = r.ranges()
	r.headline(p)
	p.Doubts = r.doubts()
	if m.Hypotheses != "" {
		p.Download = template.URL("data:text/yaml;charset=utf-8;base64," + base64.StdEncoding.EncodeToString([]byte(m.Hypotheses)))
	}
	p.Command = "stirwatch learn --hypotheses hypotheses.yaml -o model.json --report report.html"
	for _, run := range m.Provenance.Runs {
		p.Command += " " + run.Name + ".csv"
	}
	return p
}

func (r *Report) runPage(i int, t *runReport) runPage {
	state := r.m.Observed(t.output)
	v := runPage{Name: t.Name, Title: t.title, State: state, StateName: r.m.States[r.m.StateIndex(state)].Name, Leading: t.leading, SHA256: t.SHA256, First: t.NumberOf(t.From), Last: t.NumberOf(t.To - 1), Rows: t.To - t.From, Learned: t.learned,
		Phase: r.phaseName(t.work.Phase), WorkRows: t.work.Rows}
	for _, f := range r.figures {
		if f.run != i {
			continue
		}
		switch f.kind {
		case simulated:
			v.Simulated = f
		case fans:
			v.Fans = f
		case closely:
			v.Closely = f
		case residuals:
			v.Residuals = f
		case coverage:
			v.Coverage = f
		case skill:
			v.Skill = append(v.Skill, f)
		case response:
			v.Response = append(v.Response, f)
		case flows:
			v.Flows = f
		case look:
			v.Look = f
		}
	}
	for _, s := range r.tables(t) {
		tp := tablePage{Sample: s.sample(), HeldOut: s.heldOut, Full: s.rows}
		for _, windows := range r.windows() {
			for _, h := range score.Horizons {
				row := headRow{Windows: windows, Horizon: h, Known: s.find(filter.Known, windows, h), Plan: s.find(filter.Planned, windows, h), Held: s.find(filter.Held, windows, h)}
				if row.Known != nil {
					row.Count = row.Known.Count
					tp.Compare = append(tp.Compare, row)
				}
			}
		}
		v.Tables = append(v.Tables, tp)
	}
	for k, in := range r.m.Inputs {
		v.Work = append(v.Work, workRow{in.Symbol, in.Name, in.Unit, t.work.U[k], "median of the measured"})
	}
	for k, x := range r.m.States {
		v.Work = append(v.Work, workRow{x.Symbol, x.Name, x.Unit, t.work.X[k], "median of the filtered"})
	}
	return v
}

// ranges compares what each run covers with what was learned from.
func (r *Report) ranges() []rangeRow {
	var rows []rangeRow
	add := func(name, symbol, unit string, lo, hi float64, column func(t *runReport) []float64) {
		row := rangeRow{Name: name, Symbol: symbol, Unit: unit, Min: lo, Max: hi}
		for _, t := range r.runs {
			if !t.leading { // every run once
				continue
			}
			q := rangeRun{Name: t.Name, Min: math.Inf(1), Max: math.Inf(-1)}
			n := 0.0
			for _, v := range column(t)[t.From:t.To] {
				if !finite(v) {
					continue
				}
				n++
				q.Min, q.Max = min(q.Min, v), max(q.Max, v)
				if v < lo || v > hi {
					q.Outside++
				}
			}
			q.Outside /= max(1, n)
			if n == 0 {
				q.Min, q.Max = math.NaN(), math.NaN()
			}
			row.Runs = append(row.Runs, q)
		}
		rows = append(rows, row)
	}
	for i, in := range r.m.Inputs {
		add(in.Name, in.Symbol, in.Unit, in.Min, in.Max, func(t *runReport) []float64 { return t.inputs(r.m)[i] })
	}
	for _, out := range r.m.Outputs {
		add(out.Name, out.State, out.Unit, out.Min, out.Max, func(t *runReport) []float64 {
			for _, other := range r.runs {
				if other.Name == t.Name && other.out.Name == out.Name {
					return other.measured
				}
			}
			return nil
		})
	}
	return rows
}

// The horizons of the headline, s.
var headHorizons = []float64{10, 60}

func amount(v float64, unit string) string { return value(v) + " " + unit }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// typeset writes an expression as MathML, or as it stands where it cannot be read.
func typeset(expression string) template.HTML {
	if expression == "" {
		return ""
	}
	text, err := expr.MathMLExpression(expression)
	if err != nil {
		return template.HTML("<code>" + template.HTMLEscapeString(expression) + "</code>")
	}
	return template.HTML(text)
}

// value writes three significant digits, with a power of ten where there would be many zeros.
func value(v float64) string {
	if !finite(v) {
		return "–"
	}
	if a := math.Abs(v); a != 0 && (a < 1e-2 || a >= 1e5) {
		mantissa, exp, _ := strings.Cut(strconv.FormatFloat(v, 'e', 2, 64), "e")
		n, _ := strconv.Atoi(exp)
		return strings.ReplaceAll(mantissa, "-", "−") + "·10" + raised(n)
	}
	text := strconv.FormatFloat(v+0, 'f', max(0, 2-magnitude(v)), 64) // +0 turns −0 into 0
	return strings.ReplaceAll(text, "-", "−")
}

// magnitude is the power of ten of v, at most 2 and at least −2.
func magnitude(v float64) int {
	if v == 0 {
		return 2
	}
	return max(-2, min(2, int(math.Floor(math.Log10(math.Abs(v))))))
}

func raised(n int) string {
	return strings.NewReplacer("-", "⁻", "0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹").Replace(strconv.Itoa(n))
}

// plusless writes a value with its standard error.
func plusless(v, se float64) string {
	value, stdErr, exp := model.Rounded(v, se)
	if exp == 0 {
		return value + " ± " + stdErr
	}
	return "(" + value + " ± " + stdErr + ")·10" + raised(exp)
}

func percent(share float64) string {
	if !finite(share) {
		return "–"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
}

// nth is v[i], NaN beyond the end: evidence is not checked as the rest of a document is.
func nth(v []float64, i int) float64 {
	if i >= len(v) {
		return math.NaN()
	}
	return v[i]
}

// inline is the figure as SVG inside the page, of one across the page with a narrow one for small screens in a box of its own.
func (f *figure) inline() (template.HTML, error) {
	var b bytes.Buffer
	err := f.canvas.svg(&b, f.title, false)
	if f.narrow != nil {
		b.WriteString(`</div><div class="narrow">`)
		err = errors.Join(err, f.narrow.svg(&b, f.title, false))
	}
	return template.HTML(b.String()), err
}
