package dynamics

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// Run is one recording in the units of the model, all columns of one length.
type Run struct {
	Name   string // file name without extension
	SHA256 string
	Time   []float64   // s, rising
	U      [][]float64 // one column per input, as Model.Inputs; NaN is missing
	Z      [][]float64 // one column per output, as Model.Outputs; NaN is missing

	// SetPoint (°C, nil or one per row) is only a baseline to score against.
	SetPoint []float64
}

func (r *Run) check(inputs, outputs int) error {
	n := len(r.Time)
	if len(r.U) != inputs || len(r.Z) != outputs {
		return fmt.Errorf("run %s has %d inputs and %d outputs, want %d and %d", r.Name, len(r.U), len(r.Z), inputs, outputs)
	}
	for _, col := range append(append([][]float64{}, r.U...), r.Z...) {
		if len(col) != n {
			return fmt.Errorf("run %s: a column has %d rows, the time has %d", r.Name, len(col), n)
		}
	}
	if r.SetPoint != nil && len(r.SetPoint) != n {
		return fmt.Errorf("run %s: the set-point has %d rows, the time has %d", r.Name, len(r.SetPoint), n)
	}
	for i := 1; i < n; i++ {
		if !(r.Time[i] > r.Time[i-1]) {
			return fmt.Errorf("run %s: time does not rise at row %d (%g s after %g s)", r.Name, i, r.Time[i], r.Time[i-1])
		}
	}
	return nil
}

// Way says what a forecast is told about the inputs to come.
type Way int

const (
	Known Way = iota // the measured future inputs
	Held             // nothing: frozen as they are
)

func (w Way) String() string {
	if w == Held {
		return "held"
	}
	return "known"
}

// ParseWay reads known or held.
func ParseWay(s string) (Way, error) {
	switch s {
	case "known":
		return Known, nil
	case "held":
		return Held, nil
	}
	return 0, fmt.Errorf("inputs %q: must be known or held", s)
}

// Row is one forecast: from row Origin for row Target of the run, Horizon seconds apart. An
// open-loop simulation has Horizon 0 and Origin equal to Target.
type Row struct {
	Origin, Target int
	Horizon        float64 // s, as asked for
	Forecast       float64 // °C
	Lower, Upper   float64 // °C, 95 % interval
}

// OriginAbove is the temperature above which a row is an origin of a forecast, °C.
const OriginAbove = 200.0

// track is a run made ready for forecasting with one equation.
type track struct {
	run   *Run
	drive []drive // by row, inputs held over gaps
	step  float64 // s, median
}

func newTrack(eq *equation, run *Run) *track {
	t := &track{run: run, drive: make([]drive, len(run.Time)), step: medianStep(run.Time)}
	u := make([]float64, len(run.U))
	for i := range run.Time {
		for k := range u {
			if v := run.U[k][i]; finite(v) {
				u[k] = v
			}
		}
		t.drive[i] = eq.drive(u)
	}
	return t
}

// target is the row that lies horizon seconds after row i in a log of even spacing.
func (t *track) target(i int, horizon float64) int {
	return i + int(math.Round(horizon/t.step))
}

// ForecastRun follows rows from ≤ i < to of run with m and calls fn for a forecast at each of
// horizons (s, rising) from every row above [OriginAbove] whose target row is in the range. No
// temperature after the origin is used. Horizons count rows of the log's median spacing.
func ForecastRun(m *Model, run *Run, way Way, horizons []float64, from, to int, fn func(Row)) error {
	if err := checkRange(m, run, from, to); err != nil {
		return err
	}
	eq := m.compile()
	forecastTrack(m, eq, newTrack(eq, run), way, horizons, from, to, 1, true, fn)
	return nil
}

func checkRange(m *Model, run *Run, from, to int) error {
	if err := run.check(len(m.Inputs), len(m.Outputs)); err != nil {
		return err
	}
	if from < 0 || to > len(run.Time) || from >= to {
		return fmt.Errorf("run %s: rows %d:%d are not within 0:%d", run.Name, from, to, len(run.Time))
	}
	return nil
}

// forecastTrack does the work of ForecastRun from every stride-th origin, with intervals or without.
func forecastTrack(m *Model, eq *equation, t *track, way Way, horizons []float64, from, to, stride int, intervals bool, fn func(Row)) {
	e := NewEstimator(m)
	run := t.run
	u, z := make([]float64, len(run.U)), make([]float64, len(run.Z))
	var est Estimate
	var fc Forecast
	for i := from; i < to; i++ {
		for k := range u {
			u[k] = run.U[k][i]
		}
		for k := range z {
			z[k] = run.Z[k][i]
		}
		dt := 0.0
		if i > from {
			dt = run.Time[i] - run.Time[i-1]
		}
		e.Step(&est, dt, u, z)
		if (i-from)%stride != 0 || !(z[0] > OriginAbove) {
			continue
		}
		// Forecast to the very instants of the target rows.
		n := 0
		for n < len(horizons) && t.target(i, horizons[n]) < to {
			n++
		}
		fc.Horizon = fc.Horizon[:0]
		for _, h := range horizons[:n] {
			fc.Horizon = append(fc.Horizon, run.Time[t.target(i, h)]-run.Time[i])
		}
		e.forecast(&fc, t.ahead(e, i, to, way), way, intervals)
		for k := range n {
			fn(Row{Origin: i, Target: t.target(i, horizons[k]), Horizon: horizons[k], Forecast: fc.Mean[k], Lower: fc.Lower[k], Upper: fc.Upper[k]})
		}
	}
}

// ahead gives the drive that acts at an instant after row i, before row to.
func (t *track) ahead(e *Estimator, i, to int, way Way) func(float64) *drive {
	j := i
	return func(ahead float64) *drive {
		if ahead < e.past.delay {
			return e.past.at(ahead)
		}
		if way == Held {
			return &t.drive[i]
		}
		at := t.run.Time[i] + ahead - e.past.delay
		for j+1 < to && t.run.Time[j+1] <= at {
			j++
		}
		return &t.drive[j]
	}
}

// OpenLoop simulates rows from ≤ i < to from the first temperature there, with the measured inputs
// and no temperature after it, and calls fn for every row.
func OpenLoop(m *Model, run *Run, from, to int, fn func(Row)) error {
	if err := checkRange(m, run, from, to); err != nil {
		return err
	}
	eq := m.compile()
	t := newTrack(eq, run)
	e := NewEstimator(m)
	for from < to && !finite(run.Z[0][from]) {
		from++
	}
	if from == to {
		return fmt.Errorf("run %s: no temperature to start from", run.Name)
	}
	e.start(run.Z[0][from])
	e.past.push(t.drive[from])
	ahead := t.ahead(e, from, to, Known)
	now := run.Time[from]
	for i := from; i < to; i++ {
		for now < run.Time[i] {
			h := min(maxStep, run.Time[i]-now)
			propagate(&e.x, &e.p, m, eq, h, ahead(now+h/2-run.Time[from]))
			now += h
		}
		at, half := e.x[StateReading], sigma95*math.Sqrt(e.p[StateReading][StateReading])
		fn(Row{Origin: i, Target: i, Forecast: at, Lower: at - half, Upper: at + half})
	}
	return nil
}

// ForecastHeader is the first line of a file of forecasts.
const ForecastHeader = "log,t_index,horizon,forecast,lower,upper"

// ForecastWriter writes forecasts as CSV: log, row of the origin, horizon in s, forecast and its
// 95 % interval in °C.
type ForecastWriter struct {
	w *csv.Writer
}

// NewForecastWriter writes the header to w.
func NewForecastWriter(w io.Writer) *ForecastWriter {
	f := &ForecastWriter{csv.NewWriter(w)}
	f.w.Write([]string{"log", "t_index", "horizon", "forecast", "lower", "upper"})
	return f
}

// Write adds one forecast of the run named log.
func (f *ForecastWriter) Write(log string, r Row) {
	num := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
	f.w.Write([]string{log, strconv.Itoa(r.Origin), strconv.FormatFloat(r.Horizon, 'g', -1, 64), num(r.Forecast), num(r.Lower), num(r.Upper)})
}

// Flush ends the file and gives the first error there was.
func (f *ForecastWriter) Flush() error {
	f.w.Flush()
	return f.w.Error()
}

// Phase is what the machine is doing, by a simple rule.
type Phase uint8

const (
	Stopped Phase = iota // the spindle does not turn (below 10 rpm)
	Free                 // it turns without contact
	WarmUp               // contact, below 400 °C
	Prime                // contact, hot, the path stands still (below 30 mm/min)
	Deposit              // contact, hot, travelling
)

func (p Phase) String() string {
	return [...]string{"stopped", "free spin", "warm-up", "prime", "deposit"}[p]
}

const (
	spinsAbove  = 10.0  // rpm
	flowsAbove  = 400.0 // °C
	travelAbove = 30.0  // mm/min
)

func phase(d *drive, temperature float64) Phase {
	switch {
	case d.speed < spinsAbove:
		return Stopped
	case d.contact < 0.5:
		return Free
	case temperature < flowsAbove:
		return WarmUp
	case d.path < travelAbove:
		return Prime
	}
	return Deposit
}

// ActiveRows finds the longest stretch of run in which the tool temperature is live and the
// process active, as rows from ≤ i < to. A reading is live unless it is missing or has not moved
// for more than 5 s (a frozen or unplugged thermocouple). The process is active from the first
// row where the spindle turns until the temperature is no longer live.
func ActiveRows(m *Model, run *Run) (from, to int, err error) {
	if err := run.check(len(m.Inputs), len(m.Outputs)); err != nil {
		return 0, 0, err
	}
	return activeRows(m.compile(), run)
}

func activeRows(eq *equation, run *Run) (from, to int, err error) {
	t := newTrack(eq, run)
	start, since, spun := -1, 0, -1
	end := func(i int) {
		if spun >= 0 && i-spun > to-from {
			from, to = spun, i
		}
		start, spun = -1, -1
	}
	z := run.Z[0]
	for i := range z {
		if !finite(z[i]) {
			end(i)
			continue
		}
		if start < 0 || z[i] != z[i-1] {
			since = i
		}
		if start < 0 {
			start = i
		}
		if frozen := run.Time[i] - run.Time[since]; frozen > frozenAfter {
			end(i)
			start = i // still finite: wait until it moves
			continue
		}
		if spun < 0 && t.drive[i].speed >= spinsAbove {
			spun = i
		}
	}
	end(len(z))
	if to == from {
		return 0, 0, fmt.Errorf("run %s: no rows where the spindle turns and the tool temperature is live", run.Name)
	}
	return from, to, nil
}

const frozenAfter = 5.5 // s

// tally gathers errors at one horizon.
type tally struct {
	n, covered              int
	sum, abs, sq, hold, set float64
	sets                    int
}

func (t *tally) add(r *Row, z, hold, set float64) {
	err := r.Forecast - z
	if !finite(err) { // a forecast that is missing counts as five times persistence's error
		err = 5 * (hold - z)
	}
	t.n++
	t.sum += err
	t.abs += math.Abs(err)
	t.sq += err * err
	t.hold += (hold - z) * (hold - z)
	if finite(set) {
		t.set += (set - z) * (set - z)
		t.sets++
	}
	if z >= r.Lower && z <= r.Upper {
		t.covered++
	}
}

func (t *tally) skill() (s Skill) {
	n := float64(t.n)
	s.Count = t.n
	if t.n == 0 {
		return s
	}
	s.RMSE, s.MAE, s.Bias = math.Sqrt(t.sq/n), t.abs/n, t.sum/n
	s.Persistence, s.Coverage = math.Sqrt(t.hold/n), float64(t.covered)/n
	if t.sets > 0 {
		s.SetPoint = math.Sqrt(t.set / float64(t.sets))
	}
	return s
}

// Names of the windows in a table of skill.
const (
	AllRows  = "all rows"
	OnePhase = "one phase" // no change of phase between origin and target
)

// learnedFrom tells if m was learned from run, by its hash or, where either has none, by its name.
func (m *Model) learnedFrom(run *Run) bool {
	return slices.ContainsFunc(m.Provenance.Runs, func(r RunSource) bool {
		if r.SHA256 != "" && run.SHA256 != "" {
			return r.SHA256 == run.SHA256
		}
		return r.Name == run.Name
	})
}

// Score forecasts run and compares with what was measured: one line per horizon over all rows
// above [OriginAbove], then one per horizon over the windows in which the [Phase] does not change.
// "T = set-point" is scored where the set-point is above zero (a controller that is off has none).
func Score(m *Model, run *Run, way Way, horizons []float64, from, to int) ([]Skill, error) {
	if err := checkRange(m, run, from, to); err != nil {
		return nil, err
	}
	eq := m.compile()
	t := newTrack(eq, run)
	z := run.Z[0]
	same := make([]int, len(z)) // last row that continues the phase of this one
	for i := len(z) - 1; i >= 0; i-- {
		same[i] = i
		if i+1 < len(z) && phase(&t.drive[i], z[i]) == phase(&t.drive[i+1], z[i+1]) {
			same[i] = same[i+1]
		}
	}
	all, steady := make([]tally, len(horizons)), make([]tally, len(horizons))
	forecastTrack(m, eq, t, way, horizons, from, to, 1, true, func(r Row) {
		if !finite(z[r.Target]) {
			return
		}
		k := 0
		for horizons[k] != r.Horizon {
			k++
		}
		set := math.NaN()
		if run.SetPoint != nil && run.SetPoint[r.Origin] > 0 {
			set = run.SetPoint[r.Origin]
		}
		all[k].add(&r, z[r.Target], z[r.Origin], set)
		if same[r.Origin] >= r.Target {
			steady[k].add(&r, z[r.Target], z[r.Origin], set)
		}
	})
	var out []Skill
	for w, tallies := range [][]tally{all, steady} {
		for k := range tallies {
			s := tallies[k].skill()
			s.Run, s.Way, s.Horizon, s.Windows = run.Name, way.String(), horizons[k], [...]string{AllRows, OnePhase}[w]
			s.HeldOut = !m.learnedFrom(run)
			out = append(out, s)
		}
	}
	return out, nil
}
