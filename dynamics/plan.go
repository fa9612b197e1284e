package dynamics

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"stirwatch/sensors/unit"
)

// Plan says how the spindle's speed and power move by themselves when only path, feed and stops are
// known: the machine's own controller turns the speed, and the power follows a working point.
type Plan struct {
	// The controller: d(speed)/dt = −RateGain·dT/dt − ErrorGain·(T − set-point), within Min and Max;
	// at most Slew either way. With the set-point at 0 the spindle stops.
	RateGain  float64 `json:"rate_gain_rpm_per_K"`
	ErrorGain float64 `json:"error_gain_rpm_per_s_K"`
	Min       float64 `json:"min_rpm"`
	Max       float64 `json:"max_rpm"`
	Slew      float64 `json:"slew_rpm_per_s"`

	// The power in contact is Power[0] + Power[1]·speed + Power[2]·path (W, rpm, mm/min). What it was
	// away from that, averaged over Smooth, is forgotten with Memory, what it is beside that average
	// with Beside.
	Power  [3]float64 `json:"power_W"`
	Smooth float64    `json:"power_smooth_s"`
	Memory float64    `json:"power_memory_s"`
	Beside float64    `json:"power_beside_s"`
	// Free is the power of a spindle that turns without contact, W per rpm. Contact ends when the
	// tool moves up.
	Free float64 `json:"power_free_W_per_rpm"`
	Rows int     `json:"rows"` // that the power was learned from
}

// HypothesisPlan asks for a [Plan].
type HypothesisPlan struct {
	Controller string `yaml:"controller"` // spindle: the only kind
}

func (p *Plan) check(m *Model, of func(string) (unit.Dimension, bool)) []error {
	var errs []error
	if m.input(SpindleSpeed) < 0 || m.input(SpindlePower) < 0 {
		errs = append(errs, fmt.Errorf("plan: the model has no %s or no %s to plan", SpindleSpeed, SpindlePower))
	}
	if !finite(append(p.Power[:], p.RateGain, p.ErrorGain, p.Min, p.Max, p.Slew, p.Memory, p.Smooth, p.Beside, p.Free)...) || min(p.Smooth, p.Free) < 0 || p.Beside <= 0 || p.Min > p.Max || p.Slew <= 0 || p.Memory <= 0 || p.ErrorGain < 0 || p.RateGain < 0 {
		errs = append(errs, fmt.Errorf("plan: gains must not be negative, slew and memory positive, %g to %g rpm a range", p.Min, p.Max))
	}
	return errs
}

// planner runs a plan ahead.
type planner struct {
	p            *Plan
	power, speed int // places in the inputs
	path, up     int // -1 where the model has none
	u            []float64
	away, seen   float64 // W, from the working point; seen is its average, NaN out of contact
	beside       float64 // W, what the present is beside that average
	last         float64 // reading, °C
	since        float64 // s, from the start
	lifted       bool    // contact has ended since
}

func newPlanner(m *Model) *planner {
	return &planner{p: m.Plan, power: m.input(SpindlePower), speed: m.input(SpindleSpeed), path: m.input(PathVelocity), up: m.input(ZVelocity), u: make([]float64, len(m.Inputs)), seen: math.NaN()}
}

// forget forgets how far the power was from its working point.
func (q *planner) forget() { q.seen, q.beside = math.NaN(), 0 }

// observe follows how far the power is from its working point. While the metal does not flow yet the power
// is on its way there, and where it was says less.
func (q *planner) observe(dt, reading float64, u []float64, contact bool) {
	if !contact {
		q.seen = math.NaN()
		return
	}
	away := u[q.power] - q.p.usual(math.Abs(u[q.speed]), q.pathOf(u))
	smooth := q.p.Smooth
	if reading < flowsAbove {
		smooth /= 4
	}
	if !finite(q.seen) || smooth == 0 {
		q.seen = away
	} else {
		q.seen -= math.Expm1(-dt/smooth) * (away - q.seen)
	}
	q.beside = away - q.seen
}

// usual is the power at the working point of u, W.
func (p *Plan) usual(speed, path float64) float64 {
	return p.Power[0] + p.Power[1]*speed + p.Power[2]*path
}

// start begins at inputs u, at a reading (in the output's unit). Out of contact there is no working
// point to return to, and the power stays.
func (q *planner) start(u []float64, reading float64) {
	copy(q.u, u)
	q.last, q.since, q.lifted = reading, 0, false
	q.away = q.seen
}

func (q *planner) pathOf(u []float64) float64 {
	if q.path < 0 {
		return 0
	}
	return math.Abs(u[q.path])
}

// step moves the planned inputs by dt seconds to a time at which the plan says planned (inputs of
// which path and feed are believed) and the set-point.
func (q *planner) step(dt, reading float64, planned []float64, setPoint float64) {
	p := q.p
	q.since += dt
	for i := range q.u {
		if i != q.power && i != q.speed {
			q.u[i] = planned[i]
		}
	}
	n := q.u[q.speed]
	if !(setPoint > 0) { // off: the spindle runs down and takes no power
		q.u[q.speed] = math.Copysign(max(0, math.Abs(n)-p.Slew*dt), n)
		q.u[q.power] = 0
		q.last = reading
		return
	}
	sign := 1.0
	if n < 0 {
		sign = -1
	}
	move := -p.RateGain*(reading-q.last) - p.ErrorGain*(reading-setPoint)*dt
	move = min(p.Slew*dt, max(-p.Slew*dt, move))
	lo := min(p.Min, math.Abs(n)) // below its range it can only rise
	speed := min(max(p.Max, math.Abs(n)), max(lo, math.Abs(n)+move))
	q.u[q.speed] = sign * speed
	q.last = reading
	q.lifted = q.lifted || q.up >= 0 && planned[q.up] > liftsFrom
	switch {
	case q.lifted:
		q.u[q.power] = p.Free * speed
	case finite(q.away):
		away := q.away*math.Exp(-q.since/p.Memory) + q.beside*math.Exp(-q.since/p.Beside)
		q.u[q.power] = max(0, p.usual(speed, q.pathOf(q.u))+away)
	}
}

// Least rows that a controller and a working point are learned from.
const planRows = 60

// liftsFrom is the velocity upwards from which the tool leaves the build, mm/min: well above that of
// a spiral, well below that of a retreat.
const liftsFrom = 10.0

// nearSetPoint is how far from its set-point the controller is taken to be in its usual way, K.
const nearSetPoint = 40.0

// learnPlan identifies the machine's controller and the power's working point from runs (columns of
// m); nil where the runs do not show them.
func learnPlan(m *Model, runs []*Run) *Plan {
	power, speed, path := m.input(SpindlePower), m.input(SpindleSpeed), m.input(PathVelocity)
	if power < 0 || speed < 0 || m.Outputs[0].Unit != "°C" {
		return nil
	}
	s := m.compile()
	if s.contact < 0 {
		return nil
	}
	var speeds, slews, free []float64
	type row struct{ n, v, p float64 }
	var rows []row
	on := func(r *Run, i int) bool { return r.SetPoint != nil && r.SetPoint[i] > 0 }
	contact := make([][]bool, len(runs))
	pathAt := func(r *Run, i int) float64 {
		if path < 0 {
			return 0
		}
		return math.Abs(r.U[path][i])
	}
	for k, r := range runs {
		t := newTrack(s, r)
		contact[k] = make([]bool, len(r.Time))
		for i := range r.Time {
			n := math.Abs(r.U[speed][i])
			contact[k][i] = t.drive[i*len(s.drives)+s.contact] > 0.5
			if !on(r, i) || !finite(n, r.U[power][i], r.Z[0][i], pathAt(r, i)) {
				continue
			}
			if i > 0 && on(r, i-1) {
				slews = append(slews, math.Abs(n-math.Abs(r.U[speed][i-1]))/(r.Time[i]-r.Time[i-1]))
			}
			if !contact[k][i] && n > freeFrom {
				free = append(free, max(0, r.U[power][i])/n)
			}
			if contact[k][i] && r.Z[0][i] >= flowsAbove {
				speeds = append(speeds, n)
				rows = append(rows, row{n, pathAt(r, i), r.U[power][i]})
			}
		}
	}
	if len(rows) < planRows {
		return nil
	}
	slices.Sort(speeds)
	slices.Sort(slews)
	p := &Plan{Min: speeds[len(speeds)/200], Max: speeds[len(speeds)-1-len(speeds)/100], Slew: max(1, slews[len(slews)-1-len(slews)/100]), Rows: len(rows)}

	// The controller, where it is free to move.
	var xx, xy, yy, xd, yd float64
	moves := 0
	margin := 0.01 * p.Max
	for _, r := range runs {
		for i := 1; i < len(r.Time); i++ {
			n0, n1 := math.Abs(r.U[speed][i-1]), math.Abs(r.U[speed][i])
			dt := r.Time[i] - r.Time[i-1]
			if !on(r, i) || !on(r, i-1) || dt > 3 || !finite(n0, n1, r.Z[0][i], r.Z[0][i-1]) ||
				math.Abs(r.Z[0][i]-r.SetPoint[i]) > nearSetPoint || math.Abs(n1-n0) > 0.9*p.Slew*dt ||
				min(n0, n1) < p.Min+margin || max(n0, n1) > p.Max-margin {
				continue
			}
			x := -(r.Z[0][i] - r.Z[0][i-1])
			y := -((r.Z[0][i]+r.Z[0][i-1])/2 - r.SetPoint[i]) * dt
			xx, xy, yy = xx+x*x, xy+x*y, yy+y*y
			xd, yd = xd+x*(n1-n0), yd+y*(n1-n0)
			moves++
		}
	}
	if det := xx*yy - xy*xy; moves >= planRows && det > 1e-9*xx*yy {
		p.RateGain, p.ErrorGain = max(0, (xd*yy-yd*xy)/det), max(0, (yd*xx-xd*xy)/det)
	}

	// The working point: ridge regression on centred, scaled columns.
	var mean, sd [3]float64
	n := float64(len(rows))
	cols := func(r row) [3]float64 { return [3]float64{r.n, r.v, r.p} }
	for _, r := range rows {
		for c, v := range cols(r) {
			mean[c] += v / n
		}
	}
	for _, r := range rows {
		for c, v := range cols(r) {
			sd[c] += (v - mean[c]) * (v - mean[c]) / n
		}
	}
	a, b := mat.NewSymDense(2, nil), mat.NewVecDense(2, nil)
	for c := range sd {
		sd[c] = math.Sqrt(max(sd[c], 1e-12))
	}
	for _, r := range rows {
		x := cols(r)
		for i := range 2 {
			xi := (x[i] - mean[i]) / sd[i]
			b.SetVec(i, b.AtVec(i)+xi*(x[2]-mean[2])/n)
			for j := range i + 1 {
				a.SetSym(i, j, a.At(i, j)+xi*(x[j]-mean[j])/sd[j]/n)
			}
		}
	}
	for i := range 2 {
		a.SetSym(i, i, a.At(i, i)+0.05)
	}
	var chol mat.Cholesky
	var w mat.VecDense
	if !chol.Factorize(a) || chol.SolveVecTo(&w, b) != nil {
		return nil
	}
	p.Power[0] = mean[2]
	for i := range 2 {
		p.Power[i+1] = w.AtVec(i) / sd[i]
		p.Power[0] -= p.Power[i+1] * mean[i]
	}

	if len(free) > 0 {
		slices.Sort(free)
		p.Free = free[len(free)/2]
	}
	p.tune(s, m, runs, mean[0])
	return p
}

// freeFrom is the speed from which a spindle without contact tells its power, rpm.
const freeFrom = 100.0

// tune chooses how the power follows the speed and how it is remembered: what forecasts the
// temperature best by the plan, every run and horizon counting alike, one parameter at a time. How
// power and speed stand together in a run does not tell that: there the controller turns the speed
// down wherever the power is high.
func (p *Plan) tune(s *system, m *Model, runs []*Run, usual float64) {
	p.Smooth, p.Memory, p.Beside = 25, 100, 6
	c := *m
	c.Plan, c.Spread = p, nil
	planned := *s
	planned.m = &c
	// No plan moves the states, so that the filter follows every run but once.
	var followed []*followed
	for _, r := range runs {
		followed = append(followed, follow(newTrack(&planned, r)))
	}
	horizons := []float64{5, 10, 30, 60}
	cost := func() (total float64) {
		for _, f := range followed {
			z := f.t.run.Z[0]
			sum, n := make([]float64, len(horizons)), make([]float64, len(horizons))
			f.forecasts(horizons, func(row Row) {
				if z := z[row.Target]; finite(z, row.Forecast) {
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
		for _, knob := range []struct {
			at     *float64
			values []float64
		}{
			{&p.Power[1], []float64{0, 3, 6, 8, 9, 10, 11, 12, 15, 20}},
			{&p.Beside, []float64{2, 4, 6, 9, 12, 20}},
			{&p.Smooth, []float64{6, 12, 25, 35, 50, 70, 100}},
			{&p.Memory, []float64{25, 50, 100, 200, 400, 1e4}},
		} {
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

// followed is a run that the filter has followed: what plans are tried on.
type followed struct {
	t       *track
	e       *Estimator
	u       [][]float64 // by row, as are the others
	reading []float64
	contact []bool
	x       [][]float64 // states where a forecast starts, nil elsewhere
}

// follow lets the filter follow t.
func follow(t *track) *followed {
	e := newEstimator(t.s)
	f := &followed{t: t, e: e}
	warm := 0
	for _, z := range t.run.Z[0] {
		warm += b2i(z > t.s.m.Outputs[0].above())
	}
	stride, n := max(1, warm/planOrigins), 0
	e.follow(t.run, 0, len(t.run.Time), func(i int, _ *Estimate) {
		f.u, f.reading = append(f.u, slices.Clone(e.u)), append(f.reading, e.reading())
		f.contact = append(f.contact, e.now[e.s.contact] > 0.5)
		var x []float64
		if e.started && t.run.Z[0][i] > t.s.m.Outputs[0].above() {
			if n++; (n-1)%stride == 0 {
				x = slices.Clone(e.x)
			}
		}
		f.x = append(f.x, x)
	})
	return f
}

// forecasts calls fn for the forecasts by the plan as it is now.
func (f *followed) forecasts(horizons []float64, fn func(Row)) {
	var fc Forecast
	e := f.e
	e.plan.forget()
	for i, u := range f.u {
		dt := 0.0
		if i > 0 {
			dt = f.t.run.Time[i] - f.t.run.Time[i-1]
		}
		if dt > maxGap { // as Step does
			e.plan.forget()
			dt = 0
		}
		e.plan.observe(dt, f.reading[i], u, f.contact[i])
		if f.x[i] != nil {
			copy(e.x, f.x[i])
			e.started = true
			f.t.forecast(e, &fc, Planned, horizons, i, len(f.u), false, fn)
		}
	}
}

// Origins of forecasts that a plan is tuned on, by run, and the error that counts at most, K.
const (
	planOrigins = 60
	planRunaway = 50.0
)
