package filter

import (
	"fmt"
	"math"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/system"
)

// Way says what a forecast is told about the inputs to come.
type Way int

const (
	Known   Way = iota // what they will be
	Held               // nothing: frozen as they are
	Planned            // feed, path and stops; the rest follows from the machine's own controller
	Live               // what the agent knows on the tick, nothing of what will be: see [Forecaster]
)

func (w Way) String() string { return [...]string{"known", "held", "plan", "live"}[w] }

// Ways are all there are, the one that the agent takes first.
var Ways = []Way{Live, Known, Held, Planned}

// ParseWay reads live, known, held or plan.
func ParseWay(s string) (Way, error) {
	for _, w := range Ways {
		if w.String() == s {
			return w, nil
		}
	}
	return 0, fmt.Errorf("inputs %q: must be live, known, held or plan", s)
}

// Drives gives into d the mean of what acts on the states (as [system.System.Drives]) between two instants, s
// ahead. readings are the outputs (as Model.Outputs, in their units) as they are forecast so far: a controller acts on
// them.
type Drives func(d []float64, from, to float64, readings []float64)

// Scenario is the condition of a forecast: what the inputs and the set-point will be. Every forecast is asked for by one,
// whether for the tick, for advice, for a "what if" or to be scored.
type Scenario struct {
	// Way says on what the scenario rests, and with it which calibrated interval holds. By Planned the
	// controllers of the model move their inputs, and the machine's own speed and power; where the model has no plan or the set-point is not
	// known, the forecast falls back to Held and says so in [Forecast.Way].
	Way Way

	// Inputs writes into u (as Model.Inputs, in the model's units) what the inputs will be ahead s from
	// now. u holds what they are now; what Inputs leaves alone stays. nil: all stay. By Planned speed and
	// power are the controller's.
	Inputs func(u []float64, ahead float64)

	// SetPoint is what the machine's own controller will aim at ahead s from now, in the unit of the leading
	// output; 0 is off, NaN unknown. Only Planned asks for it.
	SetPoint func(ahead float64) float64

	// Speed is what the spindle is commanded to instead of the machine's own controller, ahead s from now, rpm;
	// the power follows it. nil, or NaN: the controller turns it. Only Planned asks for it.
	Speed func(ahead float64) float64

	// Follows is by what factor the power follows a change of the speed more than the plan says, 0 is 1: logs of a closed
	// loop show too little of it. Only Planned asks for it.
	Follows float64

	// Changes is how far ahead another regime is known to begin (a stop, a reload, another set-point), s; 0: none
	// is. From there on what has been tells nothing of what will be, see [Forecaster].
	Changes float64

	// Drives, where it is not nil, stands for Inputs and SetPoint: what acts, worked out already. A run on
	// record is scored so from many origins.
	Drives Drives
}

// Forecast is what an Estimator expects of every output at each of Horizon (s, rising).
type Forecast struct {
	Horizon []float64
	Outputs []Expected // as Model.Outputs
	Way     Way        // on what it rests
	Told    bool       // of a [Forecaster]: a program, or whoever asked, says what the inputs will be, stops too
	Lap     Lap        // of a [Forecaster]: by which the leading output repeats itself

	// What the plan of the model makes of spindle speed (rpm) and power (W), by horizon; empty where the forecast is by no plan.
	Speed, Power []float64
}

// Condition says for people under which condition a live forecast holds, "" where there is none to name: before
// what is expected if the machine stops, "if nothing stops".
func (f *Forecast) Condition() string {
	switch {
	case f.Way != Live || len(f.Outputs) == 0 || len(f.Outputs[0].Stopped.Mean) == 0:
		return ""
	case f.Told:
		return "as the program says"
	}
	return "if nothing stops"
}

// Expected is what is expected of one output, in its unit, by horizon. The interval of 95 % need not be
// symmetric; SD is a quarter of its width, nearly.
type Expected struct {
	Mean, SD     []float64
	Lower, Upper []float64
	NIS          float64 // smoothed normalised innovation squared of the output when the forecast was made

	// Of a [Forecaster], by horizon; empty otherwise.
	By      []Trust // on whom each rests, and why
	Stopped Branch  // what is expected if the machine stops now; empty where it does not work, or nobody knows
}

// Branch is what is expected of one output under another condition than the forecast's, in its unit, by horizon, with
// the 95 % interval under that condition.
type Branch struct{ Mean, Lower, Upper []float64 }

// make makes room for n horizons.
func (b *Branch) make(n int) {
	b.Mean, b.Lower, b.Upper = num.Resize(b.Mean, n), num.Resize(b.Lower, n), num.Resize(b.Upper, n)
}

// Whole is the 95 % interval of whatever comes by the horizon at place h. Lower and Upper speak of what will be if
// nothing stops; where a stop is likely ([MayStop]) the whole interval holds that branch as well.
func (x *Expected) Whole(h int) (lower, upper float64) {
	lower, upper = x.Lower[h], x.Upper[h]
	if h < len(x.By) && x.By[h].Doubt&MayStop != 0 && h < len(x.Stopped.Mean) {
		lower, upper = min(lower, x.Stopped.Lower[h]), max(upper, x.Stopped.Upper[h])
	}
	return lower, upper
}

// make makes room for n horizons.
func (x *Expected) make(n int) {
	x.Mean, x.SD = num.Resize(x.Mean, n), num.Resize(x.SD, n)
	x.Lower, x.Upper = num.Resize(x.Lower, n), num.Resize(x.Upper, n)
}

// CopyTo makes dst say the same, in slices of its own.
func (f *Forecast) CopyTo(dst *Forecast) {
	dst.Way, dst.Told, dst.Lap, dst.Horizon = f.Way, f.Told, f.Lap, append(dst.Horizon[:0], f.Horizon...)
	dst.Speed, dst.Power = append(dst.Speed[:0], f.Speed...), append(dst.Power[:0], f.Power...)
	dst.Outputs = resize(dst.Outputs, len(f.Outputs))
	for o := range f.Outputs {
		from, to := &f.Outputs[o], &dst.Outputs[o]
		to.Mean, to.SD = append(to.Mean[:0], from.Mean...), append(to.SD[:0], from.SD...)
		to.Lower, to.Upper = append(to.Lower[:0], from.Lower...), append(to.Upper[:0], from.Upper...)
		to.NIS, to.By = from.NIS, append(to.By[:0], from.By...)
		a, b := &from.Stopped, &to.Stopped
		b.Mean, b.Lower, b.Upper = append(b.Mean[:0], a.Mean...), append(b.Lower[:0], a.Lower...), append(b.Upper[:0], a.Upper...)
	}
}

// resize gives s n elements and keeps the values that it holds.
func resize[T any](s []T, n int) []T {
	for cap(s) < n {
		s = append(s[:cap(s)], *new(T))
	}
	return s[:n]
}

// Ahead fills dst with what is expected at dst.Horizon under a scenario, with its 95 % interval. Before
// the first measurement everything is NaN. It does not allocate once dst has been used.
func (e *Estimator) Ahead(dst *Forecast, sc Scenario) {
	drives, way := e.under(sc)
	e.forecast(dst, drives, way, true)
}

// AheadMean is Ahead without the intervals, which are NaN: several times as fast.
func (e *Estimator) AheadMean(dst *Forecast, sc Scenario) {
	drives, way := e.under(sc)
	e.forecast(dst, drives, way, false)
}

// Knows says what is known of the inputs to come, for every scenario by plan that says nothing of them itself
// ([Scenario.Inputs]): who asks what would be if the set-point were another need not know the machine's program. nil:
// they stay.
func (e *Estimator) Knows(inputs func(u []float64, ahead float64)) { e.coming = inputs }

// under prepares a run ahead under a scenario: it gives the drives, and the way that they rest on.
func (e *Estimator) under(sc Scenario) (Drives, Way) {
	e.byItsPlan = false
	if sc.Drives != nil {
		return sc.Drives, sc.Way
	}
	e.scenario = sc
	if sc.Way == Planned {
		if sc.Inputs == nil {
			e.scenario.Inputs = e.coming
		}
		if e.plan != nil && e.started && (num.Finite(e.setPointAt(0)) || num.Finite(e.speedAt(0))) {
			e.plan.Start(e.u, e.Reading(e.s.Leading))
			if sc.Follows != 0 {
				e.plan.follows = sc.Follows
			}
			if e.controllers != nil {
				e.controllers.Start(e.u, e.read(e.x))
			}
			e.planNow, e.byItsPlan = 0, true
			return e.byPlan, Planned
		}
		if e.plan == nil && e.controllers != nil && e.started {
			e.controllers.Start(e.u, e.read(e.x))
			e.planNow = 0
			return e.byPlan, Planned
		}
		sc.Way = Held
	}
	e.r.Drive(e.now, e.u)
	if sc.Inputs == nil {
		return e.byHold, sc.Way
	}
	return e.byInputs, sc.Way
}

// holdDrives are the drives with inputs as they are now.
func (e *Estimator) holdDrives(d []float64, from, to float64, _ []float64) {
	if from < e.past.delay {
		e.acting = nil
		system.Between(d, e.half, e.past.at, from, to)
	} else {
		e.acting = e.u
		copy(d, e.now)
	}
}

// inputDrives are those with the inputs that the scenario tells.
func (e *Estimator) inputDrives(d []float64, from, to float64, _ []float64) {
	ahead := (from + to) / 2
	if ahead <= e.dead {
		e.acting = nil
		system.Between(d, e.half, e.past.at, from, to)
		return
	}
	e.acting = e.inputsAt(ahead - e.dead)
	e.r.Drive(d, e.acting)
}

// Momentary is for how long a vertical velocity is expected to go on where nobody says how it will, s: a
// layer's step takes that long, and a retreat is longer but soon over.
const Momentary = 2.0

// planDrives are those by the plan.
func (e *Estimator) planDrives(d []float64, from, to float64, readings []float64) {
	ahead := (from + to) / 2
	if ahead <= e.dead {
		e.acting = nil
		e.past.at(d, ahead)
		return
	}
	at := ahead - e.dead
	u := e.inputsAt(at)
	if e.plan == nil {
		e.acting = e.controllers.Step(at-e.planNow, readings, u)
		e.r.Drive(d, e.acting)
		e.planNow = at
		return
	}
	if e.scenario.Inputs == nil && e.plan.up >= 0 && at > Momentary {
		u[e.plan.up] = 0
	}
	reading := readings[e.s.Leading]
	if speed := e.speedAt(at); num.Finite(speed) {
		e.acting = e.plan.Turn(at-e.planNow, reading, u, speed)
	} else {
		e.acting = e.plan.Step(at-e.planNow, reading, u, e.setPointAt(at))
	}
	if e.controllers != nil {
		e.acting = e.controllers.Step(at-e.planNow, readings, e.acting)
	}
	e.r.Drive(d, e.acting)
	e.planNow = at
}

// setPointAt is the set-point of the scenario at an instant ahead, NaN where it is not known.
func (e *Estimator) setPointAt(ahead float64) float64 {
	if e.scenario.SetPoint == nil {
		return math.NaN()
	}
	return e.scenario.SetPoint(ahead)
}

// speedAt is the speed that is commanded, NaN where the machine's own controller turns the spindle.
func (e *Estimator) speedAt(ahead float64) float64 {
	if e.scenario.Speed == nil {
		return math.NaN()
	}
	return e.scenario.Speed(ahead)
}

// inputsAt is what the scenario says of the inputs at an instant ahead.
func (e *Estimator) inputsAt(ahead float64) []float64 {
	copy(e.ahead, e.u)
	if e.scenario.Inputs != nil {
		e.scenario.Inputs(e.ahead, ahead)
		for i, v := range e.ahead {
			if !num.Finite(v) || math.Abs(v) > model.MaxInput {
				e.ahead[i] = e.u[i]
			}
		}
	}
	return e.ahead
}

// How far ahead a forecast begins to count its covariance in two steps at a time, and in four, s.
const (
	farAfter     = 10.0
	fartherAfter = 20.0
)

// forecast runs ahead under the drives that at gives; without intervals those are NaN.
func (e *Estimator) forecast(dst *Forecast, at Drives, way Way, intervals bool) {
	n := len(dst.Horizon)
	dst.Way, dst.Outputs = way, resize(dst.Outputs, len(e.s.Out))
	dst.Speed, dst.Power = dst.Speed[:0], dst.Power[:0]
	nan := math.NaN()
	for o := range dst.Outputs {
		x := &dst.Outputs[o]
		x.NIS = e.nis[o]
		x.make(n)
		for i := range n {
			x.Mean[i], x.SD[i], x.Lower[i], x.Upper[i] = nan, nan, nan, nan
		}
	}
	if !e.started {
		return
	}
	copy(e.fx, e.x)
	copy(e.fp, e.p)
	now, leapt := 0.0, 0.0 // s ahead of the state, and of its covariance where that is further
	for i, horizon := range dst.Horizon {
		if horizon > now {
			k := system.Steps(horizon - now)
			h := (horizon - now) / float64(k)
			for j := range k {
				from := now + float64(j)*h
				at(e.last, from, from+h, e.read(e.fx))
				e.r.Act(e.last)
				switch {
				case !intervals || from < leapt-h/2:
					e.r.Step(e.fx, h)
				case from >= fartherAfter && horizon-from >= 3.5*h:
					e.r.StepLeap(e.fx, e.fp, h, 2)
					leapt = from + 4*h
				case from >= farAfter && horizon-from >= 1.5*h:
					e.r.StepLeap(e.fx, e.fp, h, 1)
					leapt = from + 2*h
				default:
					e.r.StepCov(e.fx, e.fp, h)
				}
			}
			now = horizon
		}
		if e.byItsPlan {
			dst.Speed, dst.Power = append(dst.Speed, math.Abs(e.plan.u[e.plan.Speed])), append(dst.Power, e.plan.u[e.plan.power])
		}
		for o := range dst.Outputs {
			x := &dst.Outputs[o]
			if x.Mean[i] = e.shown(e.fx, o); !num.Finite(x.Mean[i]) {
				x.Mean[i] = nan
			} else if intervals {
				e.interval(x, o, i, horizon, way)
			}
		}
	}
}

// read gives the outputs of states x, each in its unit, until it is asked again.
func (e *Estimator) read(x []float64) []float64 {
	for o := range e.readings {
		e.readings[o] = e.shown(x, o)
	}
	return e.readings
}

// interval sets that of output o at horizon i from the covariance there.
func (e *Estimator) interval(x *Expected, o, i int, horizon float64, way Way) {
	out, state := &e.m.Outputs[o], e.s.Out[o]
	scale := e.s.Scale[state]
	r := out.SD * scale
	k := intervalFactors(e.intervals[o], horizon, way)
	half := num.Sigma95 * math.Sqrt((e.fp[state*e.s.NX+state]+r*r)*math.Pow(x.NIS, k.NIS)) / scale
	floor := min(x.Mean[i], out.Min) - belowRange
	x.Lower[i] = max(x.Mean[i]-k.Lower*half, floor)
	x.Upper[i] = x.Mean[i] + k.Upper*half
	x.SD[i] = (x.Upper[i] - x.Lower[i]) / (2 * num.Sigma95)
}

// intervalFactors interpolates the factors at a horizon over the logarithm of time; 1 where none is known.
func intervalFactors(table []model.Interval95, horizon float64, way Way) model.SideScale {
	value := func(s *model.Interval95) model.SideScale {
		switch way {
		case Held:
			return s.Held
		case Planned:
			return s.Plan
		}
		return s.Known
	}
	if len(table) == 0 {
		return model.SideScale{Lower: 1, Upper: 1}
	}
	if horizon <= table[0].Horizon {
		return value(&table[0])
	}
	for i := 1; i < len(table); i++ {
		if a, b := &table[i-1], &table[i]; horizon <= b.Horizon {
			w := math.Log(horizon/a.Horizon) / math.Log(b.Horizon/a.Horizon)
			p, q := value(a), value(b)
			return model.SideScale{Lower: p.Lower + w*(q.Lower-p.Lower), Upper: p.Upper + w*(q.Upper-p.Upper), NIS: p.NIS + w*(q.NIS-p.NIS)}
		}
	}
	return value(&table[len(table)-1])
}
