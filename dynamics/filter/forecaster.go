package filter

import (
	"math"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
)

// Forecaster forecasts as the agent does on the tick: it weighs [Expert]s by their skill in this run, by
// horizon and phase (see weigh), and lets the intervals follow what has come true (see bounds). Whoever
// scores it walks the same path. Forecasts come due late, at a long horizon a minute or more: each waits in a ledger
// until then, while shorter ones stand guard.
//
// Forecast and interval say what will be if nothing stops (where a program tells what will be, as it says), and only
// forecasts across which nothing stopped or started teach them. What will be if the machine stops now is a branch
// with an interval of its own ([Expected.Stopped]), which stops teach. Not for use by several goroutines at once.
type Forecaster struct {
	e     *Estimator
	mixes bool

	now       float64 // s
	phase     phase.Phase
	changed   float64 // now when the phase last changed
	turned    float64 // and when what was going on last ceased: see [phase.Phase.Continues]
	resting   float64 // s for which the path has stood still in deposition
	off       bool    // it has ceased to: by its set-point, or by what it does
	aims      float64 // the set-point, 0 where there is none or it is not known
	deposited float64 // s of deposition without a pause
	outside   float64 // s for which something has been outside the training range
	told      bool    // the scenario says what the inputs will be, stops too
	knows     bool    // the plan knows what held does not: what it is told, that the feed comes again, or that all is switched off
	pause     *Pause
	doubts    Doubt   // of the last estimate
	narrows   float64 // share of the model's own interval that the errors of the run have left at the horizon before

	ledger  ledger
	skills  [][phases][]skill // by output, phase and horizon
	learned [][phases][]skill // what other runs have taught
	bounds  [][]bounds        // by output and horizon
	stops   [][]bounds        // the same, of the branch of a stop

	laps    laps // of the leading output about its set-point, while it deposits
	balance balance
	course  course
	noting  func(step, steps int, h float64)

	plan, held        Forecast
	planned           [][]float64    // by output and horizon: what the plan said when all were asked,
	halves            [][][2]float64 // and its interval below and above
	stop, lift        Forecast       // the machine stops now: pressed on the build, or off it
	stopping, lifting Scenario
	resume            func(u []float64, ahead float64)
	branched          bool    // they are of the present phase
	asked             float64 // set-point with which all were asked
	judging           func(o, h int, s *slot, said *saying, reading float64)
	still             []int // places of the inputs that are zero while the machine stands
	speed, path       int   // places in the inputs, −1 where the model has none
}

// NewForecaster makes one that follows e and forecasts at horizons (s, rising). Where mixes is false it weighs no
// experts: the forecast is that of the scenario, with intervals that adapt.
func NewForecaster(e *Estimator, horizons []float64, mixes bool) *Forecaster {
	outputs := len(e.m.Outputs)
	f := &Forecaster{e: e, mixes: mixes, bounds: make([][]bounds, outputs), stops: make([][]bounds, outputs), skills: make([][phases][]skill, outputs)}
	f.speed, f.path = e.m.InputIndex(model.SpindleSpeed), e.m.InputIndex(model.PathVelocity)
	for _, name := range [...]string{model.PathVelocity, model.FeedVelocity, model.ZVelocity} {
		if k := e.m.InputIndex(name); k >= 0 {
			f.still = append(f.still, k)
		}
	}
	for o := range outputs {
		f.bounds[o], f.stops[o] = make([]bounds, len(horizons)), make([]bounds, len(horizons))
		for p := range phases {
			f.skills[o][p] = make([]skill, len(horizons))
		}
	}
	f.stopping = Scenario{Way: Planned, SetPoint: func(float64) float64 { return 0 }, Inputs: func(u []float64, _ float64) {
		for _, k := range f.still {
			u[k] = 0
		}
	}}
	f.pause = NewPause(e.m)
	f.resume = f.pause.inputs
	f.lifting = Scenario{Way: Held, Inputs: func(u []float64, _ float64) { clear(u) }}
	f.judging, f.noting = f.judge, f.note
	f.planned, f.halves = make([][]float64, outputs), make([][][2]float64, outputs)
	f.balance.init(len(e.m.Inputs), len(e.m.Terms))
	f.course.order, f.course.mixed, f.course.change = letGo(e.m), make([]float64, len(e.m.Inputs)), make([]float64, outputs)
	f.laps.init()
	f.ledger.init(horizons, outputs)
	f.learned = f.experience()
	f.forget()
	return f
}

// forget drops all that was learned of a run.
func (f *Forecaster) forget() {
	for o := range f.bounds {
		clear(f.bounds[o])
		clear(f.stops[o])
		for p := range phases {
			copy(f.skills[o][p], f.learned[o][p])
		}
	}
	f.ledger.clear()
	f.laps.clear()
	f.balance.clear()
	f.pause.clear()
	f.now, f.phase, f.changed, f.turned, f.resting, f.off, f.aims, f.deposited, f.outside = 0, phase.Unknown, 0, math.Inf(-1), 0, true, 0, 0, 0
}

// experience is what a run begins with: by output, phase and horizon what the runs that the model was learned from have
// taught of the experts, at the horizon nearest to it that was tried. One that has not spoken there is believed as the best.
func (f *Forecaster) experience() [][phases][]skill {
	out := make([][phases][]skill, len(f.skills))
	for o := range out {
		name, floor := f.e.m.Outputs[o].Name, f.e.m.Outputs[o].SD
		for p := range phases {
			out[o][p] = make([]skill, len(f.ledger.horizons))
			for h, horizon := range f.ledger.horizons {
				near := alike
				for _, x := range f.e.m.Experience {
					if apart := max(x.Horizon/horizon, horizon/x.Horizon); x.Output == name && x.Phase == phase.Phase(p).String() && apart < near {
						near = apart
						out[o][p][h].taught = lesson(x, floor)
					}
				}
			}
		}
	}
	return out
}

// lesson is the logarithm of the weight that x gives to each expert against the best.
func lesson(x model.Experience, floor float64) (log [Experts]float64) {
	best := math.Inf(1)
	for _, rmse := range x.RMSE {
		best = min(best, rmse)
	}
	for e := range log {
		if rmse, ok := x.RMSE[Expert(e).String()]; ok {
			log[e] = -evidence * min(mostTaught, x.Windows) * math.Log((rmse*rmse+floor*floor)/(best*best+floor*floor))
		}
	}
	return log
}

// Step follows an [Estimator.Step] with the same dt and measurements z, which filled est: what was forecast for
// the time that has passed comes due.
func (f *Forecaster) Step(dt float64, z []float64, est *Estimate) {
	if !(dt >= 0) {
		dt = 0
	}
	if dt > MaxGap {
		f.forget()
		dt = 0
	}
	f.now += dt
	f.follow(dt)
	f.pause.Follow(dt, f.e.u, f.phase)
	f.observe(dt)
	f.doubts = 0
	if f.outside += dt; len(est.Outside) > 0 {
		f.doubts |= Untrained
	} else {
		f.outside = 0
	}
	if c := f.e.Contact(); c > 0.1 && c < 0.9 {
		f.doubts |= Touching
	}
	for o, v := range z {
		if num.Finite(v) && math.Abs(v) <= model.MaxInput && !est.Rejected[o] {
			f.ledger.settle(f.now, o, v, f.judging)
		}
	}
}

// follow moves the phase to the present instant.
func (f *Forecaster) follow(dt float64) {
	input := func(k int) float64 {
		if k < 0 {
			return math.NaN()
		}
		return f.e.u[k]
	}
	p := phase.Unknown
	if f.e.started {
		reading := f.e.Reading(f.e.s.Leading)
		if f.aims > 0 && reading > f.aims-arrived { // as hot as it is meant to be, whatever the metal
			reading = max(reading, phase.FlowsFrom)
		}
		p = phase.Of(phase.Signals{Speed: input(f.speed), Contact: f.e.Contact(), Path: input(f.path), Temperature: reading})
	}
	if f.phase != phase.Deposit || p != phase.Prime {
		f.resting = 0
	} else if f.resting += dt; f.resting < Rests {
		p = phase.Deposit
	}
	if p != f.phase {
		if !f.phase.Continues(p) {
			f.turned = f.now
			f.work(p > phase.Free)
		}
		f.phase, f.changed = p, f.now
	}
	if f.deposited += dt; p != phase.Deposit {
		f.deposited = 0
	}
}

// Rests is for how long, s, a path stands still before it is no corner.
const Rests = 3.0

// work takes over whether the machine works. What was said of a stop just before there is one comes due as that.
func (f *Forecaster) work(works bool) {
	if s := f.ledger.newest(); !works && !f.off && s != nil {
		s.stops = true
	}
	f.off = !works
}

// judge takes in what a forecast said of output o at horizon h, now that the reading is known.
func (f *Forecaster) judge(o, h int, s *slot, said *saying, reading float64) {
	horizon := f.ledger.horizons[h]
	switch {
	case s.at >= f.turned || f.told:
		f.bounds[o][h].due(s.phase, horizon, s.span, reading-said.mean, said.half)
	case s.stops && f.off && !math.IsNaN(said.stop): // one stop is one window, at every horizon
		f.stops[o][h].due(phase.Stopped, horizon, max(horizon, learnsFor), reading-said.stop, said.stopHalf)
	}
	if !f.mixes || s.at < f.changed { // how an expert does in a phase is told by windows within it
		return
	}
	var errors [Experts]float64
	for x, v := range said.by {
		errors[x] = v - reading
	}
	f.skills[o][s.phase][h].add(&errors, horizon, s.span)
}

// Ahead fills dst as [Estimator.Ahead] does, from weighed experts and with intervals that adapt. dst.Horizon must
// be the first of the horizons that f was made for, give or take the time between two readings. The scenario is
// what [Planning] goes by, and tells the set-point. It does not allocate once dst has been used.
func (f *Forecaster) Ahead(dst *Forecast, sc Scenario) {
	e, n := f.e, len(dst.Horizon)
	f.told = sc.Inputs != nil || sc.Drives != nil
	f.aim(sc)
	resumes := f.mixes && !f.told && f.aims > 0 && f.pause.expects(e.m.Plan)
	f.knows = f.told || resumes || sc.SetPoint != nil && sc.SetPoint(0) == 0
	if resumes {
		sc.Inputs = f.resume
	}
	var s *slot
	var k int
	if e.started {
		s, k = f.ledger.open(f.now, f.phase)
	}
	if f.phase != phase.Deposit || f.aims == 0 {
		f.laps.clear()
	} else if s != nil && f.mixes {
		f.laps.add(e.Reading(e.s.Leading)-f.aims, s.span)
	}
	stops := f.mixes && e.plan != nil && e.started && f.phase > phase.Free
	whole := s != nil || !f.mixes || !e.started || stops != f.branched || n != len(f.plan.Horizon) || f.aims != f.asked
	planned := f.ask(dst.Horizon, sc, whole, stops)
	f.branched, f.asked = stops, f.aims
	dst.Told, dst.Lap = f.told, f.laps.known()
	if dst.Way = f.plan.Way; f.mixes {
		dst.Way = Live
	}
	dst.Outputs = resize(dst.Outputs, len(e.s.Out))
	for o := range dst.Outputs {
		x, own := &dst.Outputs[o], &f.plan.Outputs[o]
		x.make(n)
		x.NIS, x.By = own.NIS, x.By[:0]
		x.Stopped.make(0)
		if stops {
			x.Stopped.make(n)
		}
		if f.mixes {
			x.By = resize(x.By, n)
			clear(x.By)
		}
		for h, ahead := range dst.Horizon {
			said := saying{ahead: ahead, mean: own.Mean[h], half: (f.halves[o][h][0] + f.halves[o][h][1]) / 2, stop: math.NaN()}
			moved := own.Mean[h] - f.planned[o][h]
			if stops {
				f.branch(x, &said, o, h, moved)
			}
			if resumes && planned {
				said.half = math.Hypot(said.half, (own.Mean[h]-f.held.Outputs[o].Mean[h])*resumesIn)
			}
			if f.mixes && !math.IsNaN(said.mean) {
				f.says(&said, o, h, planned, moved, sc)
				f.mix(&x.By[h], &said, o, h)
			}
			f.bound(x, &said, o, h)
			if s != nil {
				*f.ledger.said(k, o, h) = said
			}
		}
	}
}

// arrived is how far below its set-point, K, the tool may be and yet be called hot.
const arrived = 20.0

// ask runs the equation ahead under each condition, and reports whether it goes by a plan. Every time it gives its own
// forecast; the rest of it, which costs several times that (how sure it is, inputs held, a stop), only where the whole is
// asked for: once a grain of the ledger. In between that has moved by what the plan has.
func (f *Forecaster) ask(horizons []float64, sc Scenario, whole, stops bool) (planned bool) {
	e := f.e
	about := func(fc *Forecast) *Forecast {
		fc.Horizon = append(fc.Horizon[:0], horizons...)
		return fc
	}
	if way := f.plan.Way; !whole {
		if e.AheadMean(about(&f.plan), sc); f.plan.Way == way {
			return way != Held
		}
	}
	e.Ahead(about(&f.plan), sc)
	for o := range f.plan.Outputs {
		own := &f.plan.Outputs[o]
		f.planned[o], f.halves[o] = append(f.planned[o][:0], own.Mean...), f.halves[o][:0]
		for h := range horizons {
			f.halves[o] = append(f.halves[o], [2]float64{own.Mean[h] - own.Lower[h], own.Upper[h] - own.Mean[h]})
		}
	}
	if planned = f.mixes && f.plan.Way != Held; planned {
		e.AheadMean(about(&f.held), Scenario{Way: Held})
	}
	if stops {
		e.AheadMean(about(&f.stop), f.stopping)
		e.AheadMean(about(&f.lift), f.lifting)
	}
	return planned
}

// aim notes the set-point, and where it is switched off: the machine stops then, before its spindle stands.
func (f *Forecaster) aim(sc Scenario) {
	if f.aims = 0; sc.SetPoint == nil {
		return
	}
	if set := sc.SetPoint(0); set > 0 {
		f.aims = set
	} else if set == 0 && !f.off && f.phase > phase.Free {
		f.turned = f.now
		f.work(false)
	}
}

// branch sets what is expected of output o at horizon h if the machine stops now: halfway between a stop while
// pressed on the build and one with the tool lifted off, which cools more slowly; the interval holds both.
func (f *Forecaster) branch(x *Expected, said *saying, o, h int, moved float64) {
	b := &f.stops[o][h]
	pressed, lifted := f.stop.Outputs[o].Mean[h]+moved, f.lift.Outputs[o].Mean[h]+moved
	said.stop = (pressed + lifted) / 2
	said.stopHalf = b.side(said.half+math.Abs(lifted-pressed)/2, phase.Stopped)
	grown := &b.by[phase.Stopped].grown
	lower, upper := said.stop-said.stopHalf*math.Exp(grown[0]), said.stop+said.stopHalf*math.Exp(grown[1])
	x.Stopped.Mean[h], x.Stopped.Lower[h], x.Stopped.Upper[h] = said.stop, max(lower, f.e.m.Outputs[o].Min-belowRange), upper
}

// says fills said with the experts' forecasts of output o at horizon h; moved is how far the plan has moved since they were
// made.
func (f *Forecaster) says(said *saying, o, h int, planned bool, moved float64, sc Scenario) {
	nan := math.NaN()
	said.by = [Experts]float64{Persist: f.ledger.last[o].value, Holding: said.mean, Planning: nan, AtSetPoint: nan}
	if planned && sc.Changes > 0 && said.ahead >= sc.Changes { // of another regime only who is told knows
		said.by = [Experts]float64{Persist: nan, Holding: nan, Planning: said.mean, AtSetPoint: nan}
		return
	}
	if planned {
		said.by[Holding], said.by[Planning] = f.held.Outputs[o].Mean[h]+moved, said.mean
	}
	if o == f.e.s.Leading && sc.SetPoint != nil {
		if set := sc.SetPoint(said.ahead); set > 0 {
			said.by[AtSetPoint] = set + f.laps.ahead(said.ahead)
		}
	}
}

// hush puts the experts to sleep whose equation has run away: what they say is several times all that the training showed
// beyond it. Where none is left persistence speaks.
func (f *Forecaster) hush(said *saying, o int) {
	out := &f.e.m.Outputs[o]
	far := runsAway * (out.Max - out.Min)
	speaks := false
	for x, says := range said.by {
		if far > 0 && !(says > out.Min-far && says < out.Max+far) {
			said.by[x] = math.NaN()
		}
		speaks = speaks || !math.IsNaN(said.by[x])
	}
	if !speaks {
		said.by[Persist] = f.ledger.last[o].value
	}
}

// runsAway is how many times the training's range beyond it a forecast is none.
const runsAway = 3.0

// mix makes the forecast of what the experts say.
func (f *Forecaster) mix(t *Trust, said *saying, o, h int) {
	f.hush(said, o)
	floor := f.e.m.Outputs[o].SD
	weigh(t, f.phase, f.ledger.horizons[h], f.knows, &said.by, f.skills[o][f.phase][:h+1], said.mean, f.halves[o][h], floor*floor)
	mean := 0.0
	for x, w := range t.Weight {
		if w > 0 {
			mean += w * said.by[x]
		}
	}
	said.mean = mean
}

// bound sets mean and interval of output o at horizon h.
func (f *Forecaster) bound(x *Expected, said *saying, o, h int) {
	horizon, b := f.ledger.horizons[h], &f.bounds[o][h]
	if h == 0 {
		f.narrows = 1
	}
	own := said.half
	side := b.side(own*math.Pow(f.narrows, narrowing), f.phase)
	f.narrows = min(1, side/own)
	said.half = side * (1 + startsWide/(1+b.windows))
	doubts := f.doubts
	if b.windows < 1 {
		doubts |= NewRun
	}
	if f.now-f.changed < horizon {
		doubts |= NewPhase
		said.half *= newIsWide
	}
	if doubts&Touching != 0 {
		said.half *= newIsWide
	}
	if doubts&Untrained != 0 {
		said.half *= 1 + outIsWide/(1+f.outside/horizon) // what comes due meanwhile tells
	}
	out := &f.e.m.Outputs[o]
	most := (out.Max - out.Min) / 2 // wider than all that the training showed says nothing more
	var sides [2]float64
	for side := range sides {
		grown := b.by[f.phase].grown[side]
		for g := range h { // what fails at a shorter horizon comes due at this one later
			grown = max(grown, carries*f.bounds[o][g].by[f.phase].grown[side])
		}
		sides[side] = min(most, said.half*math.Exp(grown))
	}
	lower, upper := said.mean-sides[0], said.mean+sides[1]
	if len(x.Stopped.Mean) > 0 && !f.told && (f.deposited < model.SettlesIn || f.e.m.Plan.MayStop(horizon) > leavesOut) {
		doubts |= MayStop
	}
	if f.pause.resumes > 0 && !f.told {
		doubts |= Reloading
	}
	lower = max(lower, min(said.mean, out.Min)-belowRange)
	x.Mean[h], x.Lower[h], x.Upper[h], x.SD[h] = said.mean, lower, upper, (upper-lower)/(2*num.Sigma95)
	if f.mixes {
		x.By[h].Doubt = doubts
	}
}
