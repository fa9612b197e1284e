package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
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
		M: m, Output: m.Outputs[m.LeadingIndex()], Version: r.o.Version, Hash: r.checksum, HasPlan: m.Planned(), HasPhases: r.hasPhases(), Evidence: m.Evidence,
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

// verdict says how far ahead the forecasts may be used, as `score` does, and chooses the pictures that stand beside it.
func (r *Report) verdict(p *page) {
	var figures []model.Skill
	for o := range r.m.Outputs {
		out := r.m.Outputs[o].Name
		for _, t := range r.runs {
			if t.out.Name == out {
				figures = append(figures, t.live...)
			}
		}
		for _, k := range r.m.Skill { // of runs left out in learning
			if shown := slices.ContainsFunc(r.runs, func(t *runReport) bool { return t.Name == k.Run && !t.learned }); k.HeldOut && !shown && r.isOf(&k, out) {
				k.Output = out
				figures = append(figures, k)
			}
		}
	}
	p.Verdict = strings.Split(score.InShort(figures), "\n")
	for i := range p.Shown {
		v := &p.Shown[i]
		if v.Leading && (p.Look == nil || !v.Learned) && v.Look != nil {
			p.Look = v.Look
			p.Flows = v.Flows
			if !v.Learned {
				return
			}
		}
	}
}

// headline says in plain words how good the forecasts are where they prove something: first of the leading output, of
// which the page has a table as well, then of the others.
func (r *Report) headline(p *page) {
	lead := r.m.LeadingIndex()
	r.headlineOf(p, &r.m.Outputs[lead], true)
	for o := range r.m.Outputs {
		if o != lead {
			r.headlineOf(p, &r.m.Outputs[o], false)
		}
	}
	if len(p.Headline) == 0 {
		p.Headline = []sentence{{Head: fmt.Sprintf("No row of the runs shown could be scored %g s ahead: nothing can be said about its forecasts.", headHorizons[0])}}
	}
}

func (r *Report) headlineOf(p *page, out *model.Output, leading bool) {
	proof := r.proof(out.Name)
	inSample := len(proof) == 0
	if inSample {
		for _, t := range r.runs {
			if t.out.Name == out.Name {
				proof = append(proof, r.tables(t)...)
			}
		}
	}
	var rows []headRow
	for _, windows := range r.windows() {
		for _, h := range headHorizons {
			row := headRow{Windows: windows, Horizon: h, Known: pooled(proof, filter.Known, windows, h), Plan: pooled(proof, filter.Planned, windows, h), Held: pooled(proof, filter.Held, windows, h)}
			if row.Known == nil {
				continue
			}
			row.Count = row.Known.Count
			// A way that not every run has cannot stand beside one that all have.
			if row.Plan != nil && row.Plan.Count != row.Count {
				row.Plan = nil
			}
			if row.Held != nil && row.Held.Count != row.Count {
				row.Held = nil
			}
			rows = append(rows, row)
			if leading {
				p.PlanProved = p.PlanProved || row.Plan != nil
				p.HasSetPoint = p.HasSetPoint || row.Known.SetPoint > 0
			}
		}
	}
	if leading {
		p.InSample, p.ProofRuns, p.Proof = inSample, len(proof), rows
		if inSample {
			p.ProofRuns = 0
		}
	}
	turns := 0 // runs that were held out in learning
	for _, s := range proof {
		if s.turn {
			turns++
		}
	}
	where := fmt.Sprintf("On %s that it was not learned from, the model forecasts", count(len(proof), "run", "runs"))
	switch {
	case inSample:
		where = "On the very runs that it was learned from (there is nothing else to judge by), the model forecasts"
	case turns == len(proof):
		where = fmt.Sprintf("On %s left out in turn, models of the other runs forecast", count(turns, "run", "runs"))
	case turns > 0:
		where = fmt.Sprintf("On %s not learned from (%d of them left out in turn and forecast by models of the others), the model forecasts", count(len(proof), "run", "runs"), turns)
	}
	for _, windows := range r.windows() {
		q := sentence{Head: where + " the " + out.Name + " with a root mean square error of"}
		if windows == model.OnePhase {
			q.Head = "Within one phase, where no start or stop makes the baselines look weak:"
		}
		for _, row := range rows {
			if row.Windows != windows {
				continue
			}
			text := amount(row.Known.RMSE, out.Unit) + " with the inputs to come known"
			if row.Plan != nil {
				text = amount(row.Plan.RMSE, out.Unit) + " by the plan, " + text
			}
			text += fmt.Sprintf("; persistence has %s", amount(row.Known.Persistence, out.Unit))
			if row.Known.SetPoint > 0 {
				text += fmt.Sprintf(", “T = set-point” %s", amount(row.Known.SetPoint, out.Unit))
			}
			q.Items = append(q.Items, fmt.Sprintf("%g s ahead: %s.", row.Horizon, text))
		}
		if len(q.Items) > 0 {
			p.Headline = append(p.Headline, q)
		}
	}
}

func amount(v float64, unit string) string { return value(v) + " " + unit }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// doubts lists what a reader should not take on trust.
func (r *Report) doubts() []string {
	var out remarks
	proof := r.proof(r.m.Outputs[r.m.LeadingIndex()].Name)
	switch {
	case len(proof) == 0:
		out.add("Nothing is proved: every run shown was learned from, and none was held out. Learn from two runs or more, or make this report on one that it has not seen.")
	case len(proof) == 1:
		out.add("Only one run speaks for forecasts on runs not learned from.")
	}
	for o, output := range r.m.Outputs {
		if o != r.m.LeadingIndex() {
			proof = append(proof, r.proof(output.Name)...)
		}
	}
	for _, n := range r.m.NotJudged {
		out.add("How the equation does on %s when it has not seen it is unknown: of the other runs no model can be learned (%s).", n.Run, n.Why)
	}
	for _, u := range r.m.Unexplained() {
		out.add("%s", u)
	}
	r.doubtForecasts(&out, proof)
	r.doubtIntervals(&out, proof)
	r.doubtNumbers(&out)
	for _, row := range r.ranges() {
		for _, q := range row.Runs {
			if q.Outside > 0.01 {
				out.add("%s: %s of the rows have %s outside the training range.", q.Name, percent(q.Outside), row.Name)
			}
		}
	}
	if e := r.m.Evidence; e != nil {
		var shaky []string
		for _, c := range e.Candidates {
			if c.Verdict == model.Kept && c.Inclusion < 0.8 {
				shaky = append(shaky, fmt.Sprintf("%s (%s)", c.Name, percent(c.Inclusion)))
			}
		}
		if len(shaky) > 0 {
			out.add("Kept, but not in every resample: %s.", strings.Join(shaky, ", "))
		}
	} else {
		out.add("The document carries no evidence on its candidates.")
	}
	return out
}

// remarks are sentences for people.
type remarks []string

func (r *remarks) add(format string, args ...any) { *r = append(*r, fmt.Sprintf(format, args...)) }

// nameOf is what a table of skill is of: the run, with the output where there are several.
func (r *Report) nameOf(s *skillTable) string {
	if len(r.m.Outputs) > 1 {
		return s.run + ", " + s.output
	}
	return s.run
}

// doubtForecasts tells where a baseline is better.
func (r *Report) doubtForecasts(out *remarks, proof []skillTable) {
	for _, windows := range r.windows() {
		for _, w := range []struct {
			way  filter.Way
			says string
		}{{filter.Known, "with known inputs"}, {filter.Held, "with inputs held"}, {filter.Planned, "by the plan"}} {
			var worse []string
			for _, s := range proof {
				for _, h := range score.Horizons {
					if k := s.find(w.way, windows, h); k != nil && k.Count > 0 && better(k) == "bad" {
						worse = append(worse, fmt.Sprintf("%s at %g s", r.nameOf(&s), h))
					}
				}
			}
			if len(worse) > 0 {
				out.add("A baseline is better than the forecast %s (%s): %s.", w.says, windows, strings.Join(worse, ", "))
			}
		}
	}
}

// doubtIntervals tells where the intervals of 95 % hold more or less than that.
func (r *Report) doubtIntervals(out *remarks, proof []skillTable) {
	lo, hi, narrow := math.Inf(1), math.Inf(-1), ""
	for _, s := range proof {
		for _, k := range s.rows {
			if k.Count > 0 && k.Windows == model.AllRows {
				if k.Coverage < lo {
					lo, narrow = k.Coverage, fmt.Sprintf("%s, inputs %s, at %g s", r.nameOf(&s), k.Way, k.Horizon)
				}
				hi = max(hi, k.Coverage)
			}
		}
	}
	switch {
	case lo > 0.98 && lo <= hi:
		out.add("The intervals are wider than they need be: more than %s of the measurements lie inside those of 95 %%.", percent(lo))
	case lo < 0.92:
		out.add("The intervals are too narrow: of 95 %% of the measurements that should lie inside, %s do in the worst case (%s), %s in the best.", percent(lo), narrow, percent(hi))
	}
}

// doubtNumbers tells which coefficients and parameters may be zero, and which people have bounded.
func (r *Report) doubtNumbers(out *remarks) {
	var vague, bound []string
	for _, t := range r.m.Terms {
		if !t.Fixed && (t.Coefficient == 0 || t.Coefficient < 2*t.StdErr) {
			vague = append(vague, t.Name+" ("+t.State+")")
		}
	}
	for _, q := range r.m.Parameters {
		switch {
		case q.Fixed:
		case q.Value <= q.Min || q.Value >= q.Max:
			bound = append(bound, q.Name)
		case math.Abs(q.Value) < 2*q.StdErr:
			vague = append(vague, q.Name)
		}
	}
	if len(vague) > 0 {
		out.add("Less than two standard errors from zero: %s. The sum of what acts together may be sure all the same.", strings.Join(vague, ", "))
	}
	if len(bound) > 0 {
		out.add("At a bound that people set, so that the data want it elsewhere or cannot tell it: %s.", strings.Join(bound, ", "))
	}
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

// growth classes by how much an error grows against base: what the colours of the table say.
func growth(by, base float64) string {
	switch share := by / base; {
	case !finite(share):
		return ""
	case share <= -0.01:
		return "less"
	case share < 0.01:
		return "same"
	case share < 0.05:
		return "more1"
	case share < 0.2:
		return "more2"
	}
	return "more3"
}

// better tells if a forecast beats every baseline (good) or not (bad).
func better(k *model.Skill) string {
	if k == nil || k.Count == 0 {
		return ""
	}
	if k.RMSE < k.Persistence && (k.SetPoint == 0 || k.RMSE < k.SetPoint) {
		return "good"
	}
	return "bad"
}

// overBaseline is the skill over persistence and, where there is one, the set-point.
func overBaseline(k *model.Skill) string {
	text := fmt.Sprintf("%.2f", k.OverPersistence())
	if k.SetPoint > 0 {
		text += fmt.Sprintf(" / %.2f", k.OverSetPoint())
	}
	return strings.ReplaceAll(text, "-", "−")
}

// inline is the figure as SVG inside the page.
func (f *figure) inline() (template.HTML, error) {
	var b bytes.Buffer
	err := f.canvas.svg(&b, f.title, false)
	return template.HTML(b.String()), err
}
