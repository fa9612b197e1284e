package filter

import (
	"math"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
)

// What a climb that is planned means, where no torque tells: a layer is a step of about 2 mm at 76 to
// 120 mm/min, a retreat goes on, and what climbs slowly lets go. A tool that is fed
// and travels deposits on a ramp or a spiral too, where it is not steep.
const (
	climbsFrom = 10.0 // mm/min upwards, well above a spiral
	stepsFrom  = 40.0 // mm/min upwards from which it may be a layer
	layerEnds  = 4.0  // mm: a climb further than this in one go is a retreat
	letsGo     = 1.0  // mm of slow climb
	steep      = 0.03 // of climb over travel: on a ramp of 0.04 a recorded start let go, its feed and travel going on
)

// climb tells by the vertical velocity alone whether a tool leaves the build.
type climb struct {
	whole, slow float64 // mm upwards in one go, and of it those below stepsFrom
}

// leaves takes dt s of a velocity upwards (mm/min).
func (c *climb) leaves(up, dt float64) bool {
	switch {
	case up > stepsFrom:
		c.whole += up * dt / 60
	case up > climbsFrom:
		c.whole, c.slow = c.whole+up*dt/60, c.slow+up*dt/60
	default:
		*c = climb{}
	}
	return c.whole > layerEnds || c.slow > letsGo
}

// working is what the power is told by.
type working struct {
	offset float64 // W, of the power from its working point, averaged while it is fed; NaN where there is none
	fed    float64 // as in [model.Plan.PowerAt], as the power follows the feed
	climb  climb
	lifted bool // it has left the build
}

// Planner runs a plan ahead: how spindle speed and power move by themselves.
type Planner struct {
	p            *model.Plan
	power, Speed int // places in the inputs
	up           int // −1 where the model has none
	contact      int // the same
	feed, path   int // the same
	u            []float64
	rule         phase.ContactRule
	min, max     float64 // rpm, between which the machine's controller moves

	seen    working // as it is observed
	ahead   working // in a forecast
	odd     float64 // W, how far the power at the start of a forecast is from what is told
	from    float64 // speed at the start, rpm
	follows float64 // by what factor the power follows the speed from there more than the plan says
	first   float64 // reading at the start, °C
	last    float64 // and of the step before
	since   float64 // s, from the start
}

// NewPlanner makes one for a model with a plan.
func NewPlanner(m *model.Model) *Planner {
	q := &Planner{p: m.Plan, power: m.InputIndex(model.SpindlePower), Speed: m.InputIndex(model.SpindleSpeed), up: m.InputIndex(model.ZVelocity), contact: m.InputIndex(model.Contact), feed: m.InputIndex(model.FeedVelocity), path: m.InputIndex(model.PathVelocity), u: make([]float64, len(m.Inputs))}
	q.min, q.max = m.Plan.Min, m.Plan.Max
	q.rule = phase.DefaultContactRule
	if m.Spindle != nil {
		q.rule = *m.Spindle
	}
	q.Forget()
	return q
}

// Limit tells between which speeds (rpm) the machine's controller moves: whoever has set that up knows it, and the runs that were
// learned from may have had other limits, or have come to none.
func (q *Planner) Limit(min, max float64) { q.min, q.max = min, max }

// Forget forgets how far the power was from its working point.
func (q *Planner) Forget() { q.seen = working{offset: math.NaN(), fed: 1} }

// Observe averages how far the power is from its working point. While the metal does not flow yet the power
// is on its way there, so that what has been says less and the average is shorter. While nothing is fed the
// offset waits: a tool that idles on the build has a working point to return to, one that has left it has none.
func (q *Planner) Observe(dt, reading float64, u []float64, contact bool) {
	w := &q.seen
	w.fed = q.follow(w.fed, u, dt)
	switch {
	case contact:
		w.climb, w.lifted = climb{}, false
	case q.up >= 0 && w.climb.leaves(q.climbs(u), dt):
		w.lifted = true
	}
	if w.lifted {
		w.offset = math.NaN()
		return
	}
	if !contact || w.fed < fedAgain*q.feeds(u) {
		return
	}
	offset := (u[q.power] - q.p.PowerAt(math.Abs(u[q.Speed]), w.fed)) / w.fed
	smooth := q.p.Smooth
	if reading < phase.FlowsFrom {
		smooth /= 4
	}
	if !num.Finite(w.offset) || smooth == 0 {
		w.offset = offset
	} else {
		w.offset -= math.Expm1(-dt/smooth) * (offset - w.offset)
	}
}

// climbs is the velocity upwards, mm/min, with which inputs u say that the tool may leave the build: 0 while it deposits.
func (q *Planner) climbs(u []float64) float64 {
	up := u[q.up]
	if q.feed >= 0 && q.path >= 0 && u[q.feed] >= model.FeedsFrom && u[q.path] > phase.TravelsFrom && up < steep*u[q.path] {
		return 0
	}
	return up
}

// fedAgain is the share of what is fed from which on, after a rest of the feed, the power says how far its working point is.
const fedAgain = 0.5

// feeds is where the power is about to be by the feed in inputs u, as in [model.Plan.PowerAt]; 1 where nothing is fed, so that
// what has been fed counts until fedAgain is left of it.
func (q *Planner) feeds(u []float64) float64 {
	if q.feed >= 0 {
		if to := q.p.FedAt(u[q.feed]); to > 0 {
			return min(1, to)
		}
	}
	return 1
}

// Start begins at inputs u, at a reading (in the output's unit). Out of contact there is no working
// point to return to, and the power stays.
func (q *Planner) Start(u []float64, reading float64) {
	copy(q.u, u)
	q.first, q.last, q.since = reading, reading, 0
	q.ahead = q.seen
	q.ahead.climb = climb{}
	q.from, q.follows = math.Abs(u[q.Speed]), 1
	q.odd = u[q.power] - q.told(math.Abs(u[q.Speed]))
}

// told is the power (W) in contact at a speed (rpm), NaN without a working point.
func (q *Planner) told(speed float64) float64 {
	w := &q.ahead
	return q.p.PowerAt(speed, w.fed) + w.fed*w.offset + (q.follows-1)*(q.p.PowerAt(speed, w.fed)-q.p.PowerAt(q.from, w.fed))
}

// follow moves what is fed, as in [model.Plan.PowerAt], by dt seconds at inputs u.
func (q *Planner) follow(fed float64, u []float64, dt float64) float64 {
	if q.feed < 0 {
		return 1
	}
	return fed - math.Expm1(-dt/model.FeedTime)*(q.p.FedAt(u[q.feed])-fed)
}

// Step moves the planned inputs by dt seconds to a time at which the plan says planned (inputs, of
// which all but speed and power are believed) and the set-point, and gives them: they hold until the next step.
func (q *Planner) Step(dt, reading float64, planned []float64, setPoint float64) []float64 {
	return q.step(dt, reading, planned, setPoint, math.NaN())
}

// Turn is Step with the spindle commanded to a speed (rpm) instead of by the machine's own controller: it goes there
// at its slew, and the power follows.
func (q *Planner) Turn(dt, reading float64, planned []float64, speed float64) []float64 {
	return q.step(dt, reading, planned, math.NaN(), speed)
}

func (q *Planner) step(dt, reading float64, planned []float64, setPoint, commanded float64) []float64 {
	p := q.p
	q.since += dt
	for i := range q.u {
		if i != q.power && i != q.Speed && i != q.contact {
			q.u[i] = planned[i]
		}
	}
	w := &q.ahead
	if q.up >= 0 && w.climb.leaves(q.climbs(q.u), dt) {
		w.lifted = true
	}
	w.fed = q.follow(w.fed, q.u, dt)
	if w.lifted && q.contact >= 0 {
		q.u[q.contact] = 0
	}
	n := q.u[q.Speed]
	byHand := num.Finite(commanded)
	if !byHand && !(setPoint > 0) { // off: the spindle runs down and takes no power
		q.u[q.Speed] = math.Copysign(max(0, math.Abs(n)-p.Slew*dt), n)
		q.u[q.power] = 0
		q.last = reading
		return q.u
	}
	sign := 1.0
	if n < 0 {
		sign = -1
	}
	move := -p.RateGain*(reading-q.last) - p.ErrorGain*(reading-setPoint)*dt
	lo, hi := min(q.min, math.Abs(n)), max(q.max, math.Abs(n)) // out of its range it can only come back
	if byHand {
		move, lo, hi = math.Abs(commanded)-math.Abs(n), 0, math.Inf(1)
	}
	move = min(p.Slew*dt, max(-p.Slew*dt, move))
	speed := min(hi, max(lo, math.Abs(n)+move))
	q.u[q.Speed] = sign * speed
	q.last = reading
	told := q.told(speed)
	switch {
	case w.lifted:
		q.u[q.power] = p.Free * speed
	case num.Finite(told):
		told += q.odd * math.Exp(-q.since/p.Ripple)
		q.u[q.power] = max(0, told) * math.Exp(-p.Softening*(reading-q.first))
		if q.contact >= 0 && speed >= phase.TellsFrom {
			q.u[q.contact] = q.rule.Rub(speed, q.u[q.power])
		}
	}
	return q.u
}
