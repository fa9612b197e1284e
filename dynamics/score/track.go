package score

import (
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/program"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

// Phases tells what the machine is doing in every row of run.
func Phases(m *model.Model, run *runs.Run) ([]phase.Phase, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	run, err := run.For(m)
	if err != nil {
		return nil, err
	}
	return NewTrack(system.Compile(m), run).Phases(), nil
}

// Track is a run made ready for forecasting with one system.
type Track struct {
	Run   *runs.Run
	S     *system.System
	Drive []float64 // rows × drives, inputs held over gaps
	step  float64   // s, median
	half  []float64 // scratch

	guide  *program.Guide // of the run's program; nil without one
	guided int            // rows that it has seen
}

// NewTrack makes run, whose inputs are those of the model, ready for s.
func NewTrack(s *system.System, run *runs.Run) *Track {
	nd := s.Drives()
	t := &Track{Run: run, S: s, Drive: make([]float64, len(run.Time)*nd), step: num.MedianStep(run.Time), half: make([]float64, nd)}
	u := make([]float64, len(run.U))
	for k := range u {
		u[k] = s.Model.Assumed(k)
	}
	r := s.Stepper()
	for i := range run.Time {
		for k := range u {
			if x := run.U[k][i]; num.Finite(x) {
				u[k] = x
			}
		}
		r.Drive(t.Drive[i*nd:(i+1)*nd], u)
	}
	return t
}

// at gives the drives that act at a time, those of the dead time before, knowing no row after last.
func (t *Track) at(dst []float64, time float64, hint *int, last int) {
	time -= t.S.DeadTime()
	nd, k := t.S.Drives(), *hint
	for k > 0 && t.Run.Time[k] > time {
		k--
	}
	for k < last && t.Run.Time[k+1] <= time {
		k++
	}
	*hint = k
	a := t.Drive[k*nd : (k+1)*nd]
	if k >= last || time <= t.Run.Time[k] {
		copy(dst, a)
		return
	}
	b := t.Drive[(k+1)*nd : (k+2)*nd]
	w := (time - t.Run.Time[k]) / (t.Run.Time[k+1] - t.Run.Time[k])
	for i := range dst {
		dst[i] = a[i] + w*(b[i]-a[i])
	}
}

// between gives the mean drives that act from one time to another.
func (t *Track) between(dst []float64, from, to float64, hint *int, last int) {
	system.Between(dst, t.half, func(d []float64, time float64) { t.at(d, time, hint, last) }, from, to)
}

// target is where a forecast from row i by horizon seconds is for: a row of a log of even spacing, or, where
// no row is then, the instant asked for, which lies before row and behind the one before it. ahead is the
// time from row i, s; the row is the first beyond the log's end where there is none.
func (t *Track) target(i int, horizon float64) (row int, ahead float64) {
	time := t.Run.Time
	if n := math.Round(horizon / t.step); math.Abs(n*t.step-horizon) <= 0.02*horizon {
		if row = i + int(n); row < len(time) {
			ahead = time[row] - time[i]
		}
		return row, ahead
	}
	for row = i + 1; row < len(time) && time[row]-time[i] < horizon; row++ {
	}
	return row, horizon
}

// measured is the reading of output o at a time before row, from the rows on both sides of it.
func (t *Track) measured(o, row int, time float64) float64 {
	z, at := t.Run.Z[o], t.Run.Time
	if row == 0 || time > at[row]-1e-6 {
		return z[row]
	}
	w := (time - at[row-1]) / (at[row] - at[row-1])
	return (1-w)*z[row-1] + w*z[row]
}

// ForecastTrack forecasts as [ForecastRun] does from every stride-th of its origins that has a target row which
// wanted (nil: all) has, with the intervals of the model alone, which do not adapt, or without any.
func ForecastTrack(t *Track, way filter.Way, horizons []float64, from, to, stride int, wanted []bool, intervals bool, fn func(Row)) error {
	if err := t.canPlan(way); err != nil {
		return err
	}
	e := filter.ForSystem(t.S)
	var fc filter.Forecast
	origins := 0
	t.followProgram()
	RunFilter(e, t.Run, from, to, func(i int, _ *filter.Estimate) {
		t.reachRow(i)
		if !t.Scored(i) {
			return
		}
		if origins++; (origins-1)%stride == 0 && t.aims(i, horizons, to, wanted) {
			t.Forecast(e, &fc, way, horizons, i, to, intervals, fn)
		}
	})
	return nil
}

// aims reports whether a forecast from row i has a target row before to that wanted (nil: all) has.
func (t *Track) aims(i int, horizons []float64, to int, wanted []bool) bool {
	return wanted == nil || slices.ContainsFunc(horizons, func(h float64) bool {
		row, _ := t.target(i, h)
		return row < to && wanted[row]
	})
}

// Scored reports whether row i is an origin of forecasts: the leading output is measured there, above its ScoreAbove.
func (t *Track) Scored(i int) bool {
	o := t.S.Leading
	return t.Run.Z[o][i] > t.S.Model.Outputs[o].Above()
}

// Forecast forecasts from row i, whose states e holds, to the very instants of the target rows before to.
func (t *Track) Forecast(e *filter.Estimator, fc *filter.Forecast, way filter.Way, horizons []float64, i, to int, intervals bool, fn func(Row)) {
	t.reach(fc, horizons, i, to)
	if sc := t.scenario(e, way, horizons, i, to); intervals {
		e.Ahead(fc, sc)
	} else {
		e.AheadMean(fc, sc)
	}
	t.tell(fc, horizons, i, fn)
}

// Follow forecasts from rows from ≤ i < to as the agent does: what comes due teaches the intervals, and where nothing is
// known of what will be but what the run's program says ([filter.Live]) the experts too. fn is called as by [ForecastTrack].
func (t *Track) Follow(way filter.Way, horizons []float64, from, to int, fn func(Row)) error {
	return t.FollowEvery(1, way, horizons, from, to, fn)
}

// FollowEvery is Follow of an agent that forecasts at every so manieth row only.
func (t *Track) FollowEvery(every int, way filter.Way, horizons []float64, from, to int, fn func(Row)) error {
	if err := t.canPlan(way); err != nil {
		return err
	}
	e := filter.ForSystem(t.S)
	f := filter.NewForecaster(e, horizons, way == filter.Live)
	z := make([]float64, len(t.Run.Z))
	var fc filter.Forecast
	last := from
	t.followProgram()
	RunFilter(e, t.Run, from, to, func(i int, est *filter.Estimate) {
		t.reachRow(i)
		for o := range z {
			z[o] = t.Run.Z[o][i]
		}
		f.Step(t.Run.Time[i]-t.Run.Time[last], z, est)
		last = i
		scored := t.Scored(i)
		if way != filter.Live && !scored || (i-from)%every != 0 { // the agent forecasts whether it is scored or not
			return
		}
		t.reach(&fc, horizons, i, to)
		f.Ahead(&fc, t.scenario(e, way, horizons, i, to))
		if scored {
			t.tell(&fc, horizons, i, fn)
		}
	})
	return nil
}

func (t *Track) canPlan(way filter.Way) error {
	if way == filter.Planned && !t.S.Model.Planned() {
		return fmt.Errorf("the model has no plan of how the machine's controller acts: its runs did not show it")
	}
	return nil
}

// reach sets how far a forecast from row i goes: to the target rows before to.
func (t *Track) reach(fc *filter.Forecast, horizons []float64, i, to int) {
	fc.Horizon = fc.Horizon[:0]
	for _, h := range horizons {
		row, ahead := t.target(i, h)
		if row >= to {
			break
		}
		fc.Horizon = append(fc.Horizon, ahead)
	}
}

// scenario says what is known in row i of what will be.
func (t *Track) scenario(e *filter.Estimator, way filter.Way, horizons []float64, i, to int) filter.Scenario {
	run := t.Run
	switch {
	case t.guide != nil && (way == filter.Live || way == filter.Planned):
		return t.byProgram(i, horizons)
	case way == filter.Live:
		set := math.NaN()
		if run.SetPoint != nil {
			set = run.SetPoint[i]
		}
		return filter.Scenario{Way: filter.Planned, SetPoint: func(float64) float64 { return set }}
	}
	hint, last := i, to-1
	if way != filter.Known {
		last = i
	}
	sc := filter.Scenario{Way: way, Drives: func(d []float64, from, to float64, _ []float64) {
		t.between(d, run.Time[i]+from, run.Time[i]+to, &hint, last)
	}}
	if way == filter.Planned {
		sc.Drives = t.planned(e, i, to, sc.Drives)
	}
	return sc
}

// tell calls fn for what was forecast from row i.
func (t *Track) tell(fc *filter.Forecast, horizons []float64, i int, fn func(Row)) {
	for k := range fc.Horizon {
		row, ahead := t.target(i, horizons[k])
		for o := range fc.Outputs {
			x := &fc.Outputs[o]
			r := Row{Output: o, Origin: i, Target: row, Measured: t.measured(o, row, t.Run.Time[i]+ahead), Horizon: horizons[k], Forecast: x.Mean[k], NIS: x.NIS}
			r.Lower, r.Upper = x.Whole(k)
			r.Branches = Branches{Lower: x.Lower[k], Upper: x.Upper[k]}
			if s := &x.Stopped; len(s.Mean) > 0 {
				r.Branches.Works = true
				r.Branches.Stopped, r.Branches.StoppedLower, r.Branches.StoppedUpper = s.Mean[k], s.Lower[k], s.Upper[k]
			}
			if len(x.By) > 0 {
				r.By = &x.By[k]
			}
			fn(r)
		}
	}
}

// followProgram begins to follow the run's program, where it has one.
func (t *Track) followProgram() {
	if t.guide, t.guided = nil, 0; t.Run.Program != nil && t.Run.Shown != nil {
		t.guide = program.NewGuide(t.S.Model)
		t.guide.Tracker = program.NewTracker(t.Run.Program)
	}
}

// reachRow shows the program's follower the rows up to i.
func (t *Track) reachRow(i int) {
	for ; t.guide != nil && t.guided <= i; t.guided++ {
		t.guide.Tracker.Step(t.Run.Since(t.guided), t.Run.Shown[t.guided])
	}
}

// byProgram is what is known in row i of what will be, by the program alone.
func (t *Track) byProgram(i int, horizons []float64) filter.Scenario {
	set := math.NaN()
	if t.Run.SetPoint != nil {
		set = t.Run.SetPoint[i]
	}
	t.guide.Look(int(math.Ceil(horizons[len(horizons)-1])) + 1)
	return t.guide.Told(filter.Scenario{Way: filter.Planned, SetPoint: func(ahead float64) float64 { return t.guide.SetPoint(ahead, set) }, Speed: t.guide.Speed})
}

// planned gives the drives from row i on by the plan: path, feed and the set-point's being on or off
// are those of the recording; speed and power follow.
func (t *Track) planned(e *filter.Estimator, i, to int, before filter.Drives) filter.Drives {
	run, s, plan, controllers, r := t.Run, t.S, e.Planner(), e.Controllers(), t.S.Stepper()
	dead := s.DeadTime()
	row := make([]float64, len(run.U))
	fill := func(j int) {
		for k := range row {
			row[k] = s.Model.Assumed(k)
			for b := j; b >= 0 && b > j-10; b-- {
				if num.Finite(run.U[k][b]) {
					row[k] = run.U[k][b]
					break
				}
			}
		}
	}
	setPoint := func(j int) float64 {
		on := math.Abs(row[plan.Speed]) >= phase.SpinsFrom
		if run.SetPoint == nil {
			return map[bool]float64{true: run.Z[s.Leading][i]}[on]
		}
		return run.SetPoint[j]
	}
	fill(i)
	if plan != nil {
		plan.Start(row, run.Z[s.Leading][i])
	}
	if controllers != nil {
		readings := make([]float64, len(run.Z))
		for o := range readings {
			readings[o] = e.Reading(o)
		}
		controllers.Start(row, readings)
	}
	j, now := i, 0.0
	return func(d []float64, from, until float64, readings []float64) {
		ahead := (from + until) / 2
		if ahead <= dead {
			before(d, from, until, readings)
			return
		}
		at := ahead - dead
		for j+1 < to && run.Time[j+1] <= run.Time[i]+at {
			j++
		}
		fill(j)
		u := row
		if plan != nil {
			u = plan.Step(at-now, readings[s.Leading], row, setPoint(j))
		}
		if controllers != nil {
			u = controllers.Step(at-now, readings, u)
		}
		r.Drive(d, u)
		now = at
	}
}

// Phases tells the phase of every row.
func (t *Track) Phases() []phase.Phase {
	m, run := t.S.Model, t.Run
	out := make([]phase.Phase, len(run.Time))
	column := func(name string) func(i int) float64 {
		if k := m.InputIndex(name); k >= 0 {
			return func(i int) float64 { return run.U[k][i] }
		}
		return func(int) float64 { return math.NaN() }
	}
	speed, path := column(model.SpindleSpeed), column(model.PathVelocity)
	nd := t.S.Drives()
	for i := range out {
		contact := math.NaN()
		if t.S.Contact >= 0 {
			contact = t.Drive[i*nd+t.S.Contact]
		}
		out[i] = phase.Of(phase.Signals{Speed: speed(i), Contact: contact, Path: path(i), Temperature: run.Z[t.S.Leading][i]})
	}
	return out
}
