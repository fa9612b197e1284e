// Package report writes what was learned as one page for people: the equation, the evidence for every
// candidate, how well it simulates and forecasts recorded runs, and the hypotheses to argue with.
// docs/report.md says how to read it.
package report

import (
	"stirwatch/dynamics/phase"

	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

// Run is a recording to show, and the rows From ≤ i < To of it that count.
type Run struct {
	runs.Run
	From, To int
}

// Note is what a person has written about a run.
type Note struct{ When, Who, Text string }

// Options of Make.
type Options struct {
	Version  string            // of the program, for the foot of the page
	Notes    []Note            // on the runs shown, in the order in which they are to stand
	Progress func(text string) // told what is being worked on; nil: nobody is
}

// Report is all that the page says, in numbers. It can be written several times.
type Report struct {
	m        *model.Model
	o        Options
	checksum string // SHA-256 of the document as Model.Save writes it
	runs     []*runReport
	figures  []*figure
}

// runReport is what was found out on one run about one output.
type runReport struct {
	Run
	output   int // place in Model.Outputs
	out      model.Output
	title    string    // of the run, and of the output where there are several
	leading  bool      // the output leads
	learned  bool      // the model was learned from it
	measured []float64 // the output, by row
	phase    []phase.Phase
	open     []score.Row // one per row
	openRMSE float64     // above its ScoreAbove
	ways     []filter.Way
	errors   map[filter.Way][]phaseError // at residualHorizon
	fans     map[filter.Way]map[int][]score.Row
	wide     []int // origins of the fans over the whole run
	close    []int // and of those that are shown closely
	skill    []model.Skill
	live     []model.Skill // of the forecasts that the agent would have made
	work     *score.WorkingPoint
	response []score.Response
}

type phaseError struct {
	phase phase.Phase
	err   float64 // forecast less measured
}

const (
	residualHorizon = 10.0 // s
	fanLength       = 60.0 // s
	sweepPoints     = 81
)

// fanHorizons are the points of a fan, s; residualHorizon is among them.
var fanHorizons = func() (h []float64) {
	for at := 1.0; at <= fanLength; at++ {
		if at <= residualHorizon || int(at)%2 == 0 {
			h = append(h, at)
		}
	}
	return h
}()

// Make works out the report on runs, all of which must have the columns that m needs. At least one
// run is needed.
func Make(m *model.Model, runs []Run, o Options) (*Report, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("report: no runs to show")
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(data, '\n'))
	r := &Report{m: m, o: o, checksum: hex.EncodeToString(sum[:])}
	for i := range runs {
		all, err := r.try(&runs[i])
		if err != nil {
			return nil, err
		}
		r.runs = append(r.runs, all...)
	}
	r.draw()
	return r, nil
}

func (r *Report) progress(format string, args ...any) {
	if r.o.Progress != nil {
		r.o.Progress(fmt.Sprintf(format, args...))
	}
}

// try finds out how the model does on one run, output by output.
func (r *Report) try(run *Run) (all []*runReport, err error) {
	m := r.m
	phases, err := score.Phases(m, &run.Run)
	if err != nil {
		return nil, err
	}
	ways := []filter.Way{filter.Known, filter.Held}
	if m.Planned() {
		ways = []filter.Way{filter.Known, filter.Planned, filter.Held}
	}
	columns, err := run.For(m)
	if err != nil {
		return nil, err
	}
	lead := m.LeadingIndex()
	for o, out := range m.Outputs {
		t := &runReport{Run: *run, output: o, out: out, title: run.Name, leading: o == lead, phase: phases, ways: ways,
			learned: m.LearnedFrom(run.Source()) != "", errors: map[filter.Way][]phaseError{}, fans: map[filter.Way]map[int][]score.Row{}}
		if len(m.Outputs) > 1 {
			t.title += ", " + out.Name
		}
		t.measured = columns.Z[o]
		t.origins(columns.Z[lead], m.Outputs[lead].Above())
		all = append(all, t)
	}
	squares, n := make([]float64, len(all)), make([]float64, len(all))
	r.progress("%s: simulating rows %d to %d", run.Name, run.NumberOf(run.From), run.NumberOf(run.To-1))
	if err := score.OpenLoop(m, &run.Run, run.From, run.To, func(row score.Row) {
		t := all[row.Output]
		t.open = append(t.open, row)
		if z := row.Measured; z > t.out.Above() && finite(row.Forecast) {
			squares[row.Output] += (row.Forecast - z) * (row.Forecast - z)
			n[row.Output]++
		}
	}); err != nil {
		return nil, err
	}
	for o, t := range all {
		t.openRMSE = math.Sqrt(squares[o] / n[o])
	}
	for _, way := range ways {
		r.progress("%s: forecasting with inputs %s", run.Name, way)
		skill, err := score.Score(m, &run.Run, way, score.Horizons, run.From, run.To)
		if err != nil {
			return nil, err
		}
		for _, t := range all {
			t.fans[way] = map[int][]score.Row{}
			for _, s := range skill {
				if s.Output == t.out.Name {
					t.skill = append(t.skill, s)
				}
			}
		}
		err = score.ForecastRun(m, &run.Run, way, fanHorizons, run.From, run.To, func(row score.Row) {
			t := all[row.Output]
			if slices.Contains(t.wide, row.Origin) || slices.Contains(t.close, row.Origin) {
				t.fans[way][row.Origin] = append(t.fans[way][row.Origin], row)
			}
			if z := row.Measured; row.Horizon == residualHorizon && finite(row.Forecast, z) {
				t.errors[way] = append(t.errors[way], phaseError{t.phase[row.Origin], row.Forecast - z})
			}
		})
		if err != nil {
			return nil, err
		}
	}
	r.progress("%s: forecasting as on the tick", run.Name)
	live, err := score.Score(m, &run.Run, filter.Live, score.Horizons, run.From, run.To)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		for _, s := range live {
			if s.Output == t.out.Name {
				t.live = append(t.live, s)
			}
		}
	}
	work, err := score.Work(m, &run.Run, run.From, run.To)
	if err != nil {
		return nil, err
	}
	for o, t := range all {
		t.work = work
		if t.response, err = score.Responses(m, t.work, o, sweepPoints); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// origins chooses where fans begin: for the whole run evenly spaced and not overlapping; for a closer
// look the three after which the reading changes most within half a fan, and three others. They are where the leading output is above
// what is judged.
func (t *runReport) origins(leading []float64, above float64) {
	z, at := t.measured, t.Time
	var can []int
	ahead := make([]int, len(z)) // the row that is half a fan later
	j := t.From
	for i := t.From; i < t.To; i++ {
		for j < t.To-1 && at[j] < at[i]+fanLength/2 {
			j++
		}
		ahead[i] = j
		if finite(z[i], z[j]) && leading[i] > above && at[i]+fanLength < at[t.To-1] {
			can = append(can, i)
		}
	}
	if len(can) == 0 {
		return
	}
	length := at[t.To-1] - at[t.From]
	apart := max(1.25*fanLength, length/12)
	next := math.Inf(-1)
	for _, i := range can {
		if at[i] >= next {
			t.wide = append(t.wide, i)
			next = at[i] + apart
		}
	}
	far := func(i int) bool {
		return !slices.ContainsFunc(t.close, func(k int) bool { return math.Abs(at[k]-at[i]) < fanLength })
	}
	moves := slices.Clone(can)
	slices.SortStableFunc(moves, func(a, b int) int {
		da, db := math.Abs(z[ahead[a]]-z[a]), math.Abs(z[ahead[b]]-z[b])
		switch {
		case da > db:
			return -1
		case da < db:
			return 1
		}
		return 0
	})
	for _, i := range moves {
		if len(t.close) < 3 && far(i) {
			t.close = append(t.close, i)
		}
	}
	for _, share := range []float64{0.35, 0.6, 0.85, 0.5, 0.2, 0.75} {
		if i := can[int(share*float64(len(can)))]; len(t.close) < 6 && far(i) {
			t.close = append(t.close, i)
		}
	}
	slices.Sort(t.close)
}

// tables gives the skill on a run: first what was not learned from.
func (r *Report) tables(t *runReport) []skillTable {
	var held []model.Skill
	for _, s := range r.m.Skill {
		if s.Run == t.Name && s.HeldOut && r.isOf(&s, t.out.Name) {
			held = append(held, s)
		}
	}
	var out []skillTable
	if len(held) > 0 && t.learned {
		out = append(out, skillTable{run: t.Name, output: t.out.Name, heldOut: true, turn: true, rows: held})
	}
	return append(out, skillTable{run: t.Name, output: t.out.Name, heldOut: !t.learned, rows: t.skill})
}

// isOf reports whether a row of skill is of the output named; one that names none is of the leading one.
func (r *Report) isOf(s *model.Skill, output string) bool {
	return s.Output == output || s.Output == "" && output == r.m.Outputs[r.m.LeadingIndex()].Name
}

// skillTable is the skill of one output on one run by one model.
type skillTable struct {
	run     string
	output  string
	heldOut bool // not learned from
	turn    bool // by a model learned from the other runs of this one's, with this run held out
	rows    []model.Skill
}

// sample says in words what the figures prove.
func (s *skillTable) sample() string {
	switch {
	case s.turn:
		return "not learned from: by a model of the other runs"
	case s.heldOut:
		return "not learned from"
	}
	return "in sample: the model was learned from this run"
}

func (s *skillTable) find(way filter.Way, windows string, horizon float64) *model.Skill {
	for i := range s.rows {
		if k := &s.rows[i]; k.Way == way.String() && k.Windows == windows && k.Horizon == horizon {
			return k
		}
	}
	return nil
}

// proof gathers every table of figures of an output on runs that were not learned from.
func (r *Report) proof(output string) []skillTable {
	var out []skillTable
	seen := map[string]bool{}
	for _, t := range r.runs {
		for _, s := range r.tables(t) {
			if s.heldOut && s.output == output {
				out = append(out, s)
				seen[s.run] = true
			}
		}
	}
	for _, k := range r.m.Skill { // runs held out in learning that are not shown here
		if !k.HeldOut || seen[k.Run] || !r.isOf(&k, output) {
			continue
		}
		i := slices.IndexFunc(out, func(s skillTable) bool { return s.run == k.Run })
		if i < 0 {
			i = len(out)
			out = append(out, skillTable{run: k.Run, output: output, heldOut: true, turn: true})
		}
		out[i].rows = append(out[i].rows, k)
	}
	return out
}

// pooled is one line over several runs, every window counting alike; nil where there is none.
func pooled(tables []skillTable, way filter.Way, windows string, horizon float64) *model.Skill {
	var p model.Skill
	var squares, persistence, setPoint, setCount, covered float64
	for i := range tables {
		s := tables[i].find(way, windows, horizon)
		if s == nil || s.Count == 0 {
			continue
		}
		n := float64(s.Count)
		p.Count += s.Count
		squares += n * s.RMSE * s.RMSE
		persistence += n * s.Persistence * s.Persistence
		covered += n * s.Coverage
		if s.SetPoint > 0 {
			setPoint += n * s.SetPoint * s.SetPoint
			setCount += n
		}
	}
	if p.Count == 0 {
		return nil
	}
	n := float64(p.Count)
	p.RMSE, p.Persistence, p.Coverage = math.Sqrt(squares/n), math.Sqrt(persistence/n), covered/n
	if setCount == n { // a baseline that some runs lack cannot be compared
		p.SetPoint = math.Sqrt(setPoint / n)
	}
	p.Way, p.Windows, p.Horizon = way.String(), windows, horizon
	return &p
}
