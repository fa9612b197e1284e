package control

import (
	"fmt"
	"math"
)

// Gains of a PID, in the units of target and output.
type Gains struct {
	Gain       float64 // change of the command for a unit of error
	Integral   float64 // s; 0: no integral action
	Derivative float64 // s; 0: no derivative action
	Weight     float64 // share of the goal that the proportional action sees
}

// NearItself is how far a temperature may be from its goal for a PID on its set-point to act, K.
const NearItself = 60.0

// Itself is the feed of a PID whose target is a set-point of the output, in the same unit: what a goal asks for is the goal.
func Itself(goal float64) float64 { return goal }

// filterShare is the time constant of the derivative's filter as a share of its time (Åström and Hägglund,
// Advanced PID Control, 2006, sec. 3.3: between 1/20 and 1/2).
const filterShare = 1.0 / 8

// PID is a controller with proportional, integral and derivative action in the form of Åström and Hägglund
// (Advanced PID Control, 2006, eq. 3.21): the derivative sees the measurement alone, filtered; the integral is
// led back by what the target really holds (back-calculation, sec. 3.5), so that it neither winds up at
// a limit nor jumps when it begins.
type PID struct {
	Limits
	Gains
	// Feed is what the target must hold for a goal, [Itself] for a set-point, NaN or nil where that is not known: a change
	// of the goal moves the command by it at once.
	Feed func(goal float64) float64
	// Near is how far the output may be from its goal for the PID to act: farther off the feed alone is commanded. 0: any. On the way up from a cold
	// start a set-point at its limit would teach the integral what is of no use at the goal.
	Near float64

	integral   float64
	last       float64 // output of the step before
	derivative float64
	wanted     float64 // command before limits
	begun      bool
}

func (p *PID) String() string {
	return fmt.Sprintf("pid: gain %.3g, integral %.3g s, derivative %.3g s", p.Gain, p.Integral, p.Derivative)
}

// Begin implements [Law]. It goes on from what is held, unless that would be to begin wound up, as with a heater that is off 30 K below its goal:
// then the integral begins where the command that is left at the goal lies within the limits, as far as the weighted goal may move it.
func (p *PID) Begin(s *Sense) {
	p.last, p.derivative, p.begun = s.Output, 0, true
	p.integral = 0
	p.wanted = p.sum(s)
	if !math.IsNaN(s.Held) {
		aim := s.Aim(0)
		p.integral = min(max(s.Held, p.Min), p.Max) - p.wanted
		atGoal := p.integral + p.Gain*(p.Weight-1)*aim + p.feed(aim)
		most := p.Weight * math.Abs(p.Gain*(aim-s.Output))
		p.integral += min(max(min(max(atGoal, p.Min), p.Max)-atGoal, -most), most)
		p.wanted += p.integral
	}
}

// sum is the command of all actions.
func (p *PID) sum(s *Sense) float64 {
	aim := s.Aim(0)
	return p.Gain*(p.Weight*aim-s.Output) + p.derivative + p.integral + p.feed(aim)
}

// feed is what [PID.Feed] says of a goal, 0 where nothing is known.
func (p *PID) feed(aim float64) float64 {
	if p.Feed != nil {
		if f := p.Feed(aim); !math.IsNaN(f) {
			return f
		}
	}
	return 0
}

// Step implements [Law].
func (p *PID) Step(s *Sense) Move {
	none := Move{Value: math.NaN(), Predicted: math.NaN(), Without: math.NaN()}
	if math.IsNaN(s.Output) || math.IsNaN(s.Aim(0)) {
		none.Doubt = "the output or its goal is not known"
		return none
	}
	dt := max(0, s.Dt)
	if aim := s.Aim(0); p.Near > 0 && p.Feed != nil && math.Abs(aim-s.Output) > p.Near {
		p.begun = false
		none.Value = p.Bound(p.Feed(aim), s.Held, dt)
		return none
	}
	if !p.begun {
		p.Begin(s)
	}
	if p.Integral > 0 && dt > 0 {
		back := p.Integral
		if p.Derivative > 0 {
			back = math.Sqrt(p.Integral * p.Derivative)
		}
		if !math.IsNaN(s.Held) {
			p.integral += (s.Held - p.wanted) * min(1, dt/max(back, 2*dt))
		}
		p.integral += p.Gain / p.Integral * (s.Aim(0) - s.Output) * dt
	}
	if p.Derivative > 0 && dt > 0 {
		f := p.Derivative * filterShare
		slope := (s.Output - p.last) / dt
		p.derivative += dt / (f + dt) * (-p.Gain*p.Derivative*slope - p.derivative)
	}
	p.last = s.Output
	p.wanted = p.sum(s)
	none.Value = p.Bound(p.wanted, s.Held, dt)
	return none
}
