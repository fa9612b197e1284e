package filter

import (
	"math"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
)

// What a climb that is planned means, where no torque tells: a layer is a step of about 2 mm at 76 to
// 120 mm/min, a retreat goes on, and what climbs slowly lets go.
const (
	climbsFrom = 10.0 // mm/min upwards, well above a spiral
	stepsFrom  = 40.0 // mm/min upwards from which it may be a layer
	layerEnds  = 4.0  // mm: a climb further than this in one go is a retreat
	letsGo     = 1.0  // mm of slow climb
)

// Planner runs a plan ahead: how spindle speed and power move by themselves.
type Planner struct {
	p            *model.Plan
	power, Speed int // places in the inputs
	up           int // −1 where the model has none
	contact      int // the same
	feed         int // the same
	u            []float64
	offset       float64 // W, of the power from its working point at the start of a forecast, averaged
	average      float64 // W, the same as it is observed; NaN out of contact
	ripple       float64 // W, how far the present power is from the working point and the average
	fed, fedNow  float64 // share of what is fed as usual, as the power follows it: in a forecast, and as it is observed
	last         float64 // reading of the step before, °C
	since        float64 // s, from the start
	climbed      float64 // mm, in one go
	slowly       float64 // mm of it below stepsFrom
	first        float64 // reading at the start, °C
	lifted       bool    // contact has ended since
}

// NewPlanner makes one for a model with a plan.
func NewPlanner(m *model.Model) *Planner {
	return &Planner{p: m.Plan, power: m.InputIndex(model.SpindlePower), Speed: m.InputIndex(model.SpindleSpeed), up: m.InputIndex(model.ZVelocity), contact: m.InputIndex(model.Contact), feed: m.InputIndex(model.FeedVelocity), u: make([]float64, len(m.Inputs)), average: math.NaN(), fedNow: 1}
}

// Forget forgets how far the power was from its working point.
func (q *Planner) Forget() { q.average, q.ripple, q.fedNow = math.NaN(), 0, 1 }

// Observe averages how far the power is from its working point. While the metal does not flow yet the power
// is on its way there, so that what has been says less and the average is shorter.
func (q *Planner) Observe(dt, reading float64, u []float64, contact bool) {
	if !contact {
		q.average = math.NaN()
		return
	}
	q.fedNow = q.follow(q.fedNow, u, dt)
	offset := u[q.power] - q.p.PowerAt(math.Abs(u[q.Speed]), q.fedNow)
	smooth := q.p.Smooth
	if reading < phase.FlowsFrom {
		smooth /= 4
	}
	if !num.Finite(q.average) || smooth == 0 {
		q.average = offset
	} else {
		q.average -= math.Expm1(-dt/smooth) * (offset - q.average)
	}
	q.ripple = offset - q.average
}

// Start begins at inputs u, at a reading (in the output's unit). Out of contact there is no working
// point to return to, and the power stays.
func (q *Planner) Start(u []float64, reading float64) {
	copy(q.u, u)
	q.first, q.last, q.since, q.climbed, q.slowly, q.lifted = reading, reading, 0, 0, 0, false
	q.offset, q.fed = q.average, q.fedNow
}

// follow moves a share of what is fed by dt seconds at inputs u.
func (q *Planner) follow(fed float64, u []float64, dt float64) float64 {
	if q.feed < 0 {
		return 1
	}
	to := 0.0
	if u[q.feed] >= model.FeedsFrom {
		to = 1
	}
	return fed - math.Expm1(-dt/model.FeedTime)*(to-fed)
}

// climb takes dt seconds of the planned vertical velocity.
func (q *Planner) climb(dt float64) {
	if q.up < 0 {
		return
	}
	switch up := q.u[q.up]; {
	case up > stepsFrom:
		q.climbed += up * dt / 60
	case up > climbsFrom:
		q.climbed, q.slowly = q.climbed+up*dt/60, q.slowly+up*dt/60
	default:
		q.climbed, q.slowly = 0, 0
	}
	q.lifted = q.lifted || q.climbed > layerEnds || q.slowly > letsGo
	if q.lifted && q.contact >= 0 {
		q.u[q.contact] = 0
	}
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
	q.climb(dt)
	q.fed = q.follow(q.fed, q.u, dt)
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
	lo, hi := min(p.Min, math.Abs(n)), max(p.Max, math.Abs(n)) // out of its range it can only come back
	if byHand {
		move, lo, hi = math.Abs(commanded)-math.Abs(n), 0, math.Inf(1)
	}
	move = min(p.Slew*dt, max(-p.Slew*dt, move))
	speed := min(hi, max(lo, math.Abs(n)+move))
	q.u[q.Speed] = sign * speed
	q.last = reading
	switch {
	case q.lifted:
		q.u[q.power] = p.Free * speed
	case num.Finite(q.offset):
		offset := q.offset + q.ripple*math.Exp(-q.since/p.Ripple)
		q.u[q.power] = max(0, p.PowerAt(speed, q.fed)+offset) * math.Exp(-p.Softening*(reading-q.first))
	}
	return q.u
}
