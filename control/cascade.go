package control

import (
	"errors"
	"fmt"
	"math"
	"math/cmplx"

	"stirwatch/dynamics/model"
)

// Cascade is what the set-point of a machine's own controller does: that controller turns the spindle by
// d(speed)/dt = −Rate·dT/dt − Error·(T − set-point), and the spindle moves the output.
type Cascade struct {
	Response         // of the output to the spindle, K/rpm
	Rate     float64 // rpm/K
	Error    float64 // rpm/s for 1 K
}

// CascadeOf is the cascade that a model has learned, at a working point whose Moves is the spindle's speed. It fails where the model has not
// learned the machine's own controller.
func CascadeOf(m *model.Model, p *WorkingPoint) (Cascade, error) {
	if m.Plan == nil || !(m.Plan.ErrorGain > 0) {
		return Cascade{}, errors.New("the model has not learned how the machine's own controller follows its set-point: its hypotheses need a plan")
	}
	p.Moves = model.SpindleSpeed
	r, err := p.Respond(m)
	if err == nil && !(r.Gain > 0) {
		err = fmt.Errorf("by the model the tool does not warm when the spindle turns faster (%.3g K/rpm)", r.Gain)
	}
	return Cascade{Response: r, Rate: max(0, m.Plan.RateGain), Error: m.Plan.ErrorGain}, err
}

// BesideController proposes gains of a PID on the set-point of a machine's own controller by what a model has learned, for where it usually
// deposits; every is the time between two commands, s.
func BesideController(m *model.Model, every float64) (Tuning, error) {
	c, err := CascadeOf(m, &WorkingPoint{Output: model.ToolTemperature, Value: math.NaN()})
	if err != nil {
		return Tuning{}, err
	}
	return c.Tune(1, every)
}

// How a PID goes beside a controller that integrates.
const (
	mostBeside = 4.0 // gain: a set-point that is led farther from its goal than that for each K meets its limits
	slowBeside = 1.5 // integral time of both together over that of the rules: there is another integral action beside it
	fewBeside  = 0.1 // gain, below which the machine's controller is as fast as the rules allow
	lastBeside = 4.0 // integral time over that of the rules: beside an integral action another one is for ramps alone
	leastGain  = 2.2 // margins, below which gains are taken back
	leastPhase = 35.0
)

// Tune proposes gains of a PID on the set-point, which commands the goal and what its error asks for ([Itself]). The machine's integral action makes proportional action of
// its derivative and integral action of its gain; so these are chosen for both together to be the PI by Skogestad's rules on the spindle (see
// [Response.Tune]). The loop is cut at the measurement for the margins, which both controllers see. It fails where the
// machine's controller is as fast already.
func (c Cascade) Tune(tight, every float64) (Tuning, error) {
	for ; tight < 100; tight *= 1.1 {
		spindle := c.Response.Tune(tight, every)
		gain := min(mostBeside, spindle.Gain/(slowBeside*spindle.Integral)/c.Error-1)
		if gain < fewBeside {
			break
		}
		t := Tuning{Gains: Gains{Gain: gain, Integral: lastBeside * spindle.Integral, Derivative: max(0, (spindle.Gain-c.Rate)/c.Error/gain), Weight: 1}}
		if t.GainMargin, t.PhaseMargin = c.margins(t.Gains, every); t.GainMargin >= leastGain && t.PhaseMargin >= leastPhase {
			return t, nil
		}
	}
	return Tuning{}, errors.New("the machine's own controller is as fast as the spindle allows: command the goal (law: follow)")
}

// margins of both controllers together.
func (c Cascade) margins(g Gains, every float64) (gain, phase float64) {
	return loop(func(w float64) (size, angle float64) {
		both := complex(c.Rate, 0) + complex(c.Error, 0)/complex(0, w)*(1+g.at(w)) // its angle lies between −180° and 0
		size = cmplx.Abs(both) * math.Abs(c.Gain) / math.Hypot(1, w*c.Tau)
		return size, cmplx.Phase(both) - math.Atan(w*c.Tau) - w*(c.Dead+every/2)
	}).margins()
}

// Simulate runs both controllers through a step of the goal by 1, as [Response.Simulate] does; what is moved is the set-point.
func (c Cascade) Simulate(g Gains, every float64) []Moment {
	const dt = 0.05
	before, speed := 0.0, 0.0
	return c.step(&PID{Gains: g, Feed: Itself}, every, dt, 6*(c.Dead+every)+5*g.Integral, func(y, held float64) float64 {
		speed -= c.Rate*(y-before) + c.Error*(y-held)*dt
		before = y
		return speed
	})
}
