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

// Options of Make.
type Options struct {
	Version  string            // of the program, for the foot of the page
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

// runReport is what was found out on one run.
type runReport struct {
	Run
	learned  bool // the model was learned from it
	phase    []phase.Phase
	open     []score.Row // one per row
	openRMSE float64     // above Output.ScoreAbove
	ways     []filter.Way
	errors   map[filter.Way][]phaseError // at residualHorizon
	fans     map[filter.Way]map[int][]score.Row
	wide     []int // origins of the fans over the whole run
	close    []int // and of those that are shown closely
	skill    []model.Skill
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
		one, err := r.try(&runs[i])
		if err != nil {
			return nil, err
		}
		r.runs = append(r.runs, one)
	}
	r.draw()
	return r, nil
}

func (r *Report) progress(format string, args ...any) {
	if r.o.Progress != nil {
		r.o.Progress(fmt.Sprintf(format, args...))
	}
}

// try finds out how the model does on one run.
func (r *Report) try(run *Run) (*runReport, error) {
	m := r.m
	t := &runReport{Run: *run, errors: map[filter.Way][]phaseError{}, fans: map[filter.Way]map[int][]score.Row{}}
	t.learned = m.LearnedFrom(run.Source()) != ""
	r.progress("%s: simulating rows %d to %d", run.Name, t.NumberOf(run.From), t.NumberOf(run.To-1))
	var err error
	if t.phase, err = score.Phases(m, &t.Run.Run); err != nil {
		return nil, err
	}
	var squares, n float64
	lead := m.LeadingIndex()
	if err := score.OpenLoop(m, &t.Run.Run, run.From, run.To, func(row score.Row) {
		if row.Output != lead {
			return
		}
		t.open = append(t.open, row)
		if z := row.Measured; z > r.above() && finite(row.Forecast) {
			squares += (row.Forecast - z) * (row.Forecast - z)
			n++
		}
	}); err != nil {
		return nil, err
	}
	t.openRMSE = math.Sqrt(squares / n)
	t.ways = []filter.Way{filter.Known, filter.Held}
	if m.Plan != nil {
		t.ways = []filter.Way{filter.Known, filter.Planned, filter.Held}
	}
	t.origins(r.above())
	for _, way := range t.ways {
		r.progress("%s: forecasting with inputs %s", run.Name, way)
		s, err := score.Score(m, &t.Run.Run, way, score.Horizons, run.From, run.To)
		if err != nil {
			return nil, err
		}
		t.skill = append(t.skill, s...)
		t.fans[way] = map[int][]score.Row{}
		err = score.ForecastRun(m, &t.Run.Run, way, fanHorizons, run.From, run.To, func(row score.Row) {
			if row.Output != lead {
				return
			}
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
	if t.work, err = score.Work(m, &t.Run.Run, run.From, run.To); err != nil {
		return nil, err
	}
	t.response, err = score.Responses(m, t.work, sweepPoints)
	return t, err
}

// above is the reading from which on a row is an origin of a forecast.
func (r *Report) above() float64 {
	if a := r.m.Outputs[0].ScoreAbove; a != 0 {
		return a
	}
	return math.Inf(-1)
}

// origins chooses where fans begin: for the whole run evenly spaced and not overlapping; for a closer
// look the three after which the reading changes most within half a fan, and three others.
func (t *runReport) origins(above float64) {
	z, at := t.Z[0], t.Time
	var can []int
	ahead := make([]int, len(z)) // the row that is half a fan later
	j := t.From
	for i := t.From; i < t.To; i++ {
		for j < t.To-1 && at[j] < at[i]+fanLength/2 {
			j++
		}
		ahead[i] = j
		if finite(z[i], z[j]) && z[i] > above && at[i]+fanLength < at[t.To-1] {
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
		if s.Run == t.Name && s.HeldOut {
			held = append(held, s)
		}
	}
	var out []skillTable
	if len(held) > 0 && t.learned {
		out = append(out, skillTable{run: t.Name, heldOut: true, turn: true, rows: held})
	}
	return append(out, skillTable{run: t.Name, heldOut: !t.learned, rows: t.skill})
}

// skillTable is the skill on one run by one model.
type skillTable struct {
	run     string
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

// proof gathers every table of figures on runs that were not learned from.
func (r *Report) proof() []skillTable {
	var out []skillTable
	seen := map[string]bool{}
	for _, t := range r.runs {
		for _, s := range r.tables(t) {
			if s.heldOut {
				out = append(out, s)
				seen[s.run] = true
			}
		}
	}
	for _, k := range r.m.Skill { // runs held out in learning that are not shown here
		if !k.HeldOut || seen[k.Run] {
			continue
		}
		i := slices.IndexFunc(out, func(s skillTable) bool { return s.run == k.Run })
		if i < 0 {
			i = len(out)
			out = append(out, skillTable{run: k.Run, heldOut: true, turn: true})
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
