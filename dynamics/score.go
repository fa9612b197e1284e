package dynamics

import (
	"stirwatch/dynamics/phase"

	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// Row is one forecast: from row Origin for row Target of the run, Horizon seconds apart. An
// open-loop simulation has Horizon 0 and Origin equal to Target.
type Row struct {
	Origin, Target int
	Horizon        float64 // s, as asked for
	Forecast       float64 // °C
	Lower, Upper   float64 // °C, 95 % interval

	NIS float64 // of the filter at the origin, as Forecast.NIS
}

// track is a run made ready for forecasting with one system.
type track struct {
	run   *Run
	s     *System
	drive []float64 // rows × drives, inputs held over gaps
	step  float64   // s, median
	half  []float64 // scratch
}

func newTrack(s *System, run *Run) *track {
	nd := s.Drives()
	t := &track{run: run, s: s, drive: make([]float64, len(run.Time)*nd), step: medianStep(run.Time), half: make([]float64, nd)}
	u := make([]float64, len(run.U))
	for k := range u {
		u[k] = s.Model.assumed(k)
	}
	r := s.Stepper()
	for i := range run.Time {
		for k := range u {
			if x := run.U[k][i]; finite(x) {
				u[k] = x
			}
		}
		r.Drive(t.drive[i*nd:(i+1)*nd], u)
	}
	return t
}

// at gives the drives that act at a time, those of the dead time before, knowing no row after last.
func (t *track) at(dst []float64, time float64, hint *int, last int) {
	time -= t.s.DeadTime()
	nd, k := t.s.Drives(), *hint
	for k > 0 && t.run.Time[k] > time {
		k--
	}
	for k < last && t.run.Time[k+1] <= time {
		k++
	}
	*hint = k
	a := t.drive[k*nd : (k+1)*nd]
	if k >= last || time <= t.run.Time[k] {
		copy(dst, a)
		return
	}
	b := t.drive[(k+1)*nd : (k+2)*nd]
	w := (time - t.run.Time[k]) / (t.run.Time[k+1] - t.run.Time[k])
	for i := range dst {
		dst[i] = a[i] + w*(b[i]-a[i])
	}
}

// between gives the mean drives that act from one time to another.
func (t *track) between(dst []float64, from, to float64, hint *int, last int) {
	between(dst, t.half, func(d []float64, time float64) { t.at(d, time, hint, last) }, from, to)
}

// target is the row that lies horizon seconds after row i in a log of even spacing.
func (t *track) target(i int, horizon float64) int {
	return i + int(math.Round(horizon/t.step))
}

// ForecastRun follows rows from ≤ i < to of run with m and calls fn for a forecast at each of
// horizons (s, rising) from every row above Output.ScoreAbove whose target row is in the range. No
// temperature after the origin is used. Horizons count rows of the log's median spacing.
func ForecastRun(m *Model, run *Run, way Way, horizons []float64, from, to int, fn func(Row)) error {
	run, err := checkRange(m, run, from, to)
	if err != nil {
		return err
	}
	s := Compile(m)
	return forecastTrack(newTrack(s, run), way, horizons, from, to, 1, true, fn)
}

// checkRange gives run with the columns that m wants.
func checkRange(m *Model, run *Run, from, to int) (*Run, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	run, err := run.columns(m)
	if err != nil {
		return nil, err
	}
	if from < 0 || to > len(run.Time) || from >= to {
		return nil, fmt.Errorf("run %s: rows %d:%d are not within 0:%d", run.Name, from, to, len(run.Time))
	}
	return run, nil
}

// forecastTrack does the work of ForecastRun from every stride-th of its origins, with intervals or without.
func forecastTrack(t *track, way Way, horizons []float64, from, to, stride int, intervals bool, fn func(Row)) error {
	if way == Planned && t.s.Model.Plan == nil {
		return fmt.Errorf("the model has no plan of how the machine's controller acts: its runs did not show it")
	}
	e := ForSystem(t.s)
	var fc Forecast
	origins := 0
	follow(e, t.run, from, to, func(i int, _ *Estimate) {
		if !(t.run.Z[0][i] > t.s.Model.Outputs[0].above()) {
			return
		}
		if origins++; (origins-1)%stride == 0 {
			t.forecast(e, &fc, way, horizons, i, to, intervals, fn)
		}
	})
	return nil
}

// forecast forecasts from row i, whose states e holds, to the very instants of the target rows before to.
func (t *track) forecast(e *Estimator, fc *Forecast, way Way, horizons []float64, i, to int, intervals bool, fn func(Row)) {
	run := t.run
	n := 0
	for n < len(horizons) && t.target(i, horizons[n]) < to {
		n++
	}
	fc.Horizon = fc.Horizon[:0]
	for _, h := range horizons[:n] {
		fc.Horizon = append(fc.Horizon, run.Time[t.target(i, h)]-run.Time[i])
	}
	hint, last := i, to-1
	if way != Known {
		last = i
	}
	sc := Scenario{Way: way, Drives: func(d []float64, from, to, _ float64) { t.between(d, run.Time[i]+from, run.Time[i]+to, &hint, last) }}
	if way == Planned {
		sc.Drives = t.planned(e, i, to, sc.Drives)
	}
	if intervals {
		e.Ahead(fc, sc)
	} else {
		e.AheadMean(fc, sc)
	}
	for k := range n {
		fn(Row{Origin: i, Target: t.target(i, horizons[k]), Horizon: horizons[k], Forecast: fc.Mean[k], Lower: fc.Lower[k], Upper: fc.Upper[k], NIS: fc.NIS})
	}
}

// follow lets e step through rows from ≤ i < to of run, whose columns are those of the model, and calls fn
// after each with the estimate, which the next step overwrites.
func follow(e *Estimator, run *Run, from, to int, fn func(i int, est *Estimate)) {
	u, z := make([]float64, len(run.U)), make([]float64, len(run.Z))
	var est Estimate
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
		fn(i, &est)
	}
}

// planned gives the drives from row i on by the plan: path, feed and the set-point's being on or off
// are those of the recording; speed and power follow.
func (t *track) planned(e *Estimator, i, to int, before Drives) Drives {
	run, s, plan, r := t.run, t.s, e.planner(), t.s.Stepper()
	dead := s.DeadTime()
	row := make([]float64, len(run.U))
	fill := func(j int) {
		for k := range row {
			row[k] = s.Model.assumed(k)
			for b := j; b >= 0 && b > j-10; b-- {
				if finite(run.U[k][b]) {
					row[k] = run.U[k][b]
					break
				}
			}
		}
	}
	setPoint := func(j int) float64 {
		on := math.Abs(row[plan.speed]) >= phase.SpinsFrom
		if run.SetPoint == nil {
			return map[bool]float64{true: run.Z[0][i]}[on]
		}
		return run.SetPoint[j]
	}
	fill(i)
	plan.Start(row, run.Z[0][i])
	j, now := i, 0.0
	return func(d []float64, from, until, reading float64) {
		ahead := (from + until) / 2
		if ahead <= dead {
			before(d, from, until, reading)
			return
		}
		at := ahead - dead
		for j+1 < to && run.Time[j+1] <= run.Time[i]+at {
			j++
		}
		fill(j)
		r.Drive(d, plan.Step(at-now, reading, row, setPoint(j)))
		now = at
	}
}

// OpenLoop simulates rows from ≤ i < to from the first temperature there, with the measured inputs
// and no temperature after it, and calls fn for every row.
func OpenLoop(m *Model, run *Run, from, to int, fn func(Row)) error {
	run, err := checkRange(m, run, from, to)
	if err != nil {
		return err
	}
	s := Compile(m)
	t := newTrack(s, run)
	r := s.Stepper()
	for from < to && !finite(run.Z[0][from]) {
		from++
	}
	if from == to {
		return fmt.Errorf("run %s: no temperature to start from", run.Name)
	}
	o := s.Out[0]
	scale, off := s.Scale[o], s.Offset[o]
	x, p, drives := make([]float64, s.NX), make([]float64, s.NX*s.NX), make([]float64, s.Drives())
	r.Begin(x, run.Z[0][from]*scale+off)
	for i, v := range s.StartVar {
		p[i*s.NX+i] = v
	}
	hint := from
	for i := from; i < to; i++ {
		if i > from {
			dt := run.Time[i] - run.Time[i-1]
			n := Steps(dt)
			h := dt / float64(n)
			for k := range n {
				at := run.Time[i-1] + float64(k)*h
				t.between(drives, at, at+h, &hint, to-1)
				r.Act(drives)
				r.StepCov(x, p, h)
			}
		}
		at, half := (x[o]-off)/scale, sigma95*math.Sqrt(p[o*s.NX+o])/scale
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

// phases tells the phase of every row.
func (t *track) phases() []phase.Phase {
	m, run := t.s.Model, t.run
	out := make([]phase.Phase, len(run.Time))
	column := func(name string) func(i int) float64 {
		if k := m.input(name); k >= 0 {
			return func(i int) float64 { return run.U[k][i] }
		}
		return func(int) float64 { return math.NaN() }
	}
	speed, path := column(SpindleSpeed), column(PathVelocity)
	nd := t.s.Drives()
	for i := range out {
		contact := math.NaN()
		if t.s.Contact >= 0 {
			contact = t.drive[i*nd+t.s.Contact]
		}
		out[i] = phase.Of(phase.Signals{Speed: speed(i), Contact: contact, Path: path(i), Temperature: run.Z[0][i]})
	}
	return out
}

// ActiveRows finds the longest stretch of run in which the first output is live and the process
// active, as rows from ≤ i < to. A reading is live unless it is missing or has not moved for more
// than 5 s (a frozen or unplugged thermocouple). The process is active from the first row where
// the spindle turns until the reading is no longer live; without a spindle it always is.
func ActiveRows(m *Model, run *Run) (from, to int, err error) {
	run, err = run.columns(m)
	if err != nil {
		return 0, 0, err
	}
	var speed []float64
	if i := m.input(SpindleSpeed); i >= 0 {
		speed = run.U[i]
	}
	return activeRows(run, speed)
}

func activeRows(run *Run, speed []float64) (from, to int, err error) {
	start, since, spun, live := -1, 0, -1, 0
	end := func(i int) {
		if spun >= 0 && i-spun > to-from {
			from, to = spun, i
		}
		start, spun = -1, -1
	}
	z := run.Z[0]
	for i := range z {
		if !finite(z[i]) {
			if start >= 0 && run.Time[i]-run.Time[live] > frozenAfter {
				end(live + 1)
			}
			continue
		}
		live = i
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
		if spun < 0 && (speed == nil || math.Abs(speed[i]) >= phase.SpinsFrom) {
			spun = i
		}
	}
	end(min(len(z), live+1))
	if to == from {
		return 0, 0, fmt.Errorf("run %s: no rows where the spindle turns and the %s is live", run.Name, ToolTemperature)
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
func learnedFrom(m *Model, run *Run) bool {
	return slices.ContainsFunc(m.Provenance.Runs, func(r RunSource) bool {
		if r.SHA256 != "" && run.SHA256 != "" {
			return r.SHA256 == run.SHA256
		}
		return r.Name == run.Name
	})
}

// Score forecasts run and compares with what was measured: one line per horizon over all rows
// above Output.ScoreAbove, then one per horizon over the windows in which the [Phase] does not change.
// "T = set-point" is scored where the set-point is above zero (a controller that is off has none).
func Score(m *Model, run *Run, way Way, horizons []float64, from, to int) ([]Skill, error) {
	run, err := checkRange(m, run, from, to)
	if err != nil {
		return nil, err
	}
	t := newTrack(Compile(m), run)
	z := run.Z[0]
	phases := t.phases()
	same := make([]int, len(z)) // last row that continues the phase of this one
	for i := len(z) - 1; i >= 0; i-- {
		same[i] = i
		if i+1 < len(z) && phases[i] == phases[i+1] {
			same[i] = same[i+1]
		}
	}
	all, steady := make([]tally, len(horizons)), make([]tally, len(horizons))
	err = forecastTrack(t, way, horizons, from, to, 1, true, func(r Row) {
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
	if err != nil {
		return nil, err
	}
	var out []Skill
	for w, tallies := range [][]tally{all, steady} {
		for k := range tallies {
			s := tallies[k].skill()
			s.Run, s.Way, s.Horizon, s.Windows = run.Name, way.String(), horizons[k], [...]string{AllRows, OnePhase}[w]
			s.HeldOut = !learnedFrom(m, run)
			out = append(out, s)
		}
	}
	return out, nil
}
