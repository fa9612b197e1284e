package learn

import (
	"cmp"
	"math"
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
	"stirwatch/dynamics/system"
)

// Least rows that a controller and a working point are learned from.
const planRows = 60

// slopeAtFirst is how the power in contact rises with the speed where the runs do not say better, W/rpm.
const slopeAtFirst = 8.0

// freeRows are enough to tell what a free spin takes: the first seconds after a lift still rub.
const freeRows = 20

// idleRows are enough to tell what pressing takes while nothing is fed.
const idleRows = 10

// stillOn is the rise since the last contact below which a tool still idles on the build, mm.
const stillOn = 1.0

// pressedFrom is the temperature in contact from which the power counts for the working point, °C.
const pressedFrom = 300.0

// learnPlan identifies the machine's controller and the power's working point from runs (columns of
// m). What the runs do not show is as known beforehand; nil where that does not say it either, or the
// runs show no working point.
func learnPlan(m *model.Model, known *model.HypothesisPlan, all []*runs.Run) *model.Plan {
	power, speed := m.InputIndex(model.SpindlePower), m.InputIndex(model.SpindleSpeed)
	if power < 0 || speed < 0 || m.Outputs[0].Unit != "°C" {
		return nil
	}
	s := system.Compile(m)
	if s.Contact < 0 {
		return nil
	}
	feed, up := m.InputIndex(model.FeedVelocity), m.InputIndex(model.ZVelocity)
	var speeds, slews, free, idle []float64
	type row struct{ n, p float64 }
	var rows []row
	var feeds []float64
	contact := make([][]bool, len(all))
	for k, r := range all {
		t := score.NewTrack(s, r)
		contact[k] = make([]bool, len(r.Time))
		unfed := 0.0        // s for which nothing is fed
		rise := math.Inf(1) // mm since the last contact
		for i := range r.Time {
			n := math.Abs(r.U[speed][i])
			contact[k][i] = t.Drive[i*s.Drives()+s.Contact] > 0.5
			if contact[k][i] {
				rise = 0
			} else if up >= 0 && i > 0 && num.Finite(r.U[up][i]) {
				rise += r.U[up][i] / 60 * (r.Time[i] - r.Time[i-1])
			}
			if !controlled(r, i) || !num.Finite(n, r.U[power][i], r.Z[0][i]) {
				continue
			}
			if i > 0 && controlled(r, i-1) {
				slews = append(slews, math.Abs(n-math.Abs(r.U[speed][i-1]))/(r.Time[i]-r.Time[i-1]))
			}
			if !contact[k][i] && n > freeFrom {
				free = append(free, max(0, r.U[power][i])/n)
			}
			if feed < 0 || !(r.U[feed][i] < model.FeedsFrom) {
				unfed = 0
			} else if i > 0 {
				unfed += r.Time[i] - r.Time[i-1]
			}
			if rise < stillOn && n > freeFrom && unfed > 2*model.FeedTime {
				idle = append(idle, r.U[power][i]/n)
			}
			if contact[k][i] && r.Z[0][i] >= pressedFrom && unfed == 0 {
				speeds = append(speeds, n)
				rows = append(rows, row{n, r.U[power][i]})
				if feed >= 0 && r.U[feed][i] >= model.FeedsFrom {
					feeds = append(feeds, r.U[feed][i])
				}
			}
		}
	}
	if len(rows) < planRows {
		return nil
	}
	slices.Sort(speeds)
	slices.Sort(slews)
	p := &model.Plan{Min: speeds[len(speeds)/200], Max: speeds[len(speeds)-1-len(speeds)/100], Slew: max(1, slews[len(slews)-1-len(slews)/100]), Rows: len(rows)}
	var seen bool
	if p.RateGain, p.ErrorGain, seen = identifyController(all, speed, p); !seen {
		if known.ErrorGain == 0 {
			return nil
		}
		p.RateGain, p.ErrorGain = known.RateGain, known.ErrorGain
	}
	if known.Max > 0 { // a run need not have come to its limits
		p.Min, p.Max = min(p.Min, known.Min), max(p.Max, known.Max)
	} else {
		beyond := (p.Max - p.Min) / 2
		if !stands(speeds, p.Max) {
			p.Max += beyond
		}
		if !stands(speeds, p.Min) {
			p.Min = max(0, p.Min-beyond)
		}
	}
	p.Slew = max(p.Slew, known.Slew)

	// The working point is the mean power at the mean speed. How it varies with the speed a run hardly
	// tells: the controller turns the speed down where the power is high.
	var speedMean, powerMean float64
	for _, r := range rows {
		speedMean, powerMean = speedMean+r.n/float64(len(rows)), powerMean+r.p/float64(len(rows))
	}
	p.Power[1] = cmp.Or(known.Slope, slopeAtFirst)
	p.Power[0] = powerMean - p.Power[1]*speedMean
	p.Smooth, p.Ripple, p.Softening = cmp.Or(known.Smooth, 25), cmp.Or(known.Ripple, 6), known.Softening

	if len(idle) >= idleRows {
		p.Idle = max(0, num.Median(idle))
	}
	p.UsualFeed = num.Median(feeds)
	p.Free = known.Free
	if len(free) >= freeRows || p.Free == 0 && len(free) > 0 {
		p.Free = num.Median(free)
	}
	p.Stops, p.Settled, p.Reload = goingOn(s, known.Reload, all)
	tunePlan(p, known, s, m, all, speedMean)
	return p
}

// stands tells if the speed stood at n for long, which is how a limit shows.
func stands(speeds []float64, n float64) bool {
	const rows, near = 20, 0.005
	at := 0
	for _, v := range speeds {
		if math.Abs(v-n) <= near*n {
			at++
		}
	}
	return at >= rows
}

// goingOn tells of builds that have settled how often one stopped or rested, and for how long (s) they went on; and how
// long a reload takes (s): the median of those in the runs and of what is known beforehand, 0 where nothing is.
func goingOn(s *system.System, known float64, all []*runs.Run) (stops int, settled, reload float64) {
	var pauses []float64
	if known > 0 {
		pauses = append(pauses, known)
	}
	u := make([]float64, len(s.Model.Inputs))
	for _, r := range all {
		pause := filter.NewPause(s.Model)
		deposited, rested := 0.0, 0.0
		for i, at := range score.NewTrack(s, r).Phases() {
			if i == 0 {
				continue
			}
			dt := r.Time[i] - r.Time[i-1]
			for k := range u {
				if v := r.U[k][i]; num.Finite(v) {
					u[k] = v
				}
			}
			if lasted := pause.Follow(dt, u, at); lasted >= shortestReload && lasted <= longestReload {
				pauses = append(pauses, lasted)
			}
			if at == phase.Deposit {
				rested = 0
			} else if rested += dt; rested > filter.Rests {
				if deposited >= model.SettlesIn {
					stops++
				}
				deposited = 0
				continue
			}
			if deposited += dt; deposited >= model.SettlesIn {
				settled += dt
			}
		}
	}
	if len(pauses) > 0 {
		slices.Sort(pauses)
		reload = pauses[(len(pauses)-1)/2]
	}
	return stops, settled, reload
}

// Between these a feed that rests is a reload, s.
const (
	shortestReload = 5.0
	longestReload  = 300.0
)

// freeFrom is the speed from which a spindle without contact tells its power, rpm.
const freeFrom = 100.0

// tunePlan chooses how the power follows the speed and how it is remembered, where that is not known: what forecasts the
// temperature best by the plan, every run and horizon counting alike, one parameter at a time. How
// power and speed stand together in a run does not tell that: there the controller turns the speed
// down wherever the power is high.
func tunePlan(p *model.Plan, known *model.HypothesisPlan, s *system.System, m *model.Model, all []*runs.Run, usual float64) {
	type knob struct {
		at     *float64
		values []float64
	}
	var knobs []knob
	for _, k := range []struct {
		known float64
		knob
	}{
		{known.Slope, knob{&p.Power[1], []float64{0, 3, 6, 8, 10, 12, 15, 20}}},
		{known.Ripple, knob{&p.Ripple, []float64{2, 4, 6, 9, 12, 20}}},
		{known.Smooth, knob{&p.Smooth, []float64{6, 12, 25, 35, 50, 70, 100}}},
		{known.Softening, knob{&p.Softening, []float64{0, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004}}},
	} {
		if k.known == 0 {
			knobs = append(knobs, k.knob)
		}
	}
	if p.UsualFeed > 0 {
		knobs = append(knobs, knob{&p.Fed, []float64{0, 0.25, 0.5, 0.75, 1}})
	}
	if len(knobs) == 0 {
		return
	}
	c := *m
	c.Plan, c.Intervals = p, nil
	planned := *s
	planned.Model = &c
	// No plan moves the states, so that every run is filtered but once.
	var filtered []*filteredRun
	for _, r := range all {
		filtered = append(filtered, recordFilter(score.NewTrack(&planned, r)))
	}
	horizons := []float64{5, 10, 30, 60}
	cost := func() (total float64) {
		for _, f := range filtered {
			sum, n := make([]float64, len(horizons)), make([]float64, len(horizons))
			f.forecasts(horizons, func(row score.Row) {
				if z := row.Measured; row.Output == 0 && num.Finite(z, row.Forecast) {
					k := slices.Index(horizons, row.Horizon)
					e := min(planRunaway, math.Abs(row.Forecast-z))
					sum[k] += e * e
					n[k]++
				}
			})
			for k := range sum {
				if n[k] > 0 {
					total += math.Log(sum[k]/n[k] + 1)
				}
			}
		}
		return total
	}
	best := cost()
	for range 2 {
		for _, knob := range knobs {
			now := *knob.at
			set := func(v float64) {
				if knob.at == &p.Power[1] { // turned about the usual speed
					p.Power[0] += (*knob.at - v) * usual
				}
				*knob.at = v
			}
			for _, v := range knob.values {
				set(v)
				if c := cost(); c < best-1e-4 {
					best, now = c, v
				}
			}
			set(now)
		}
	}
}

// filteredRun is what the filter knew at each row of a run: what plans are tried on.
type filteredRun struct {
	t       *score.Track
	e       *filter.Estimator
	u       [][]float64 // by row, as are the others
	reading []float64
	contact []bool
	x       [][]float64 // states where a forecast starts, nil elsewhere
}

// recordFilter lets the filter run over t.
func recordFilter(t *score.Track) *filteredRun {
	e := filter.ForSystem(t.S)
	f := &filteredRun{t: t, e: e}
	warm := 0
	for _, z := range t.Run.Z[0] {
		if z > t.S.Model.Outputs[0].Above() {
			warm++
		}
	}
	stride, n := max(1, warm/planOrigins), 0
	score.RunFilter(e, t.Run, 0, len(t.Run.Time), func(i int, _ *filter.Estimate) {
		f.u, f.reading = append(f.u, slices.Clone(e.Inputs())), append(f.reading, e.Reading(0))
		f.contact = append(f.contact, e.Contact() > 0.5)
		var x []float64
		if t.Run.Z[0][i] > t.S.Model.Outputs[0].Above() {
			if n++; (n-1)%stride == 0 {
				x = e.Save()
			}
		}
		f.x = append(f.x, x)
	})
	return f
}

// forecasts calls fn for the forecasts by the plan as it is now.
func (f *filteredRun) forecasts(horizons []float64, fn func(score.Row)) {
	var fc filter.Forecast
	e := f.e
	plan := e.Planner()
	plan.Forget()
	for i, u := range f.u {
		dt := 0.0
		if i > 0 {
			dt = f.t.Run.Time[i] - f.t.Run.Time[i-1]
		}
		if dt > filter.MaxGap { // as Step does
			plan.Forget()
			dt = 0
		}
		plan.Observe(dt, f.reading[i], u, f.contact[i])
		if f.x[i] != nil {
			e.Restore(f.x[i])
			f.t.Forecast(e, &fc, filter.Planned, horizons, i, len(f.u), false, fn)
		}
	}
}

// Origins of forecasts that a plan is tuned on, by run, and the error that counts at most, K.
const (
	planOrigins = 60
	planRunaway = 50.0
)
