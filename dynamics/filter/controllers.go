package filter

import (
	"math"

	"stirwatch/dynamics/model"
)

// Controllers run those of a model ahead: how the inputs that they move go on by themselves.
type Controllers struct {
	of []controller
	u  []float64
}

type controller struct {
	*model.Controller
	moves, holds, follows int
	err, reading, rate    float64 // of the step before: set-point less output, output, and its rate per s
}

// NewControllers makes them, nil for a model that has none.
func NewControllers(m *model.Model) *Controllers {
	if len(m.Controllers) == 0 {
		return nil
	}
	c := &Controllers{u: make([]float64, len(m.Inputs))}
	for i := range m.Controllers {
		x := &m.Controllers[i]
		c.of = append(c.of, controller{Controller: x, moves: m.InputIndex(x.Moves), holds: m.OutputIndex(x.Holds), follows: m.InputIndex(x.Follows)})
	}
	return c
}

// Start begins at inputs u and readings by output.
func (c *Controllers) Start(u, readings []float64) {
	copy(c.u, u)
	for i := range c.of {
		x := &c.of[i]
		x.reading, x.rate = readings[x.holds], math.NaN()
		x.err = u[x.follows] - x.reading
	}
}

// Step moves the inputs of the controllers by dt seconds, to a time at which all others are as planned and the
// outputs at readings, and gives all: they hold until the next step.
func (c *Controllers) Step(dt float64, readings, planned []float64) []float64 {
	for i := range c.of {
		x := &c.of[i]
		planned[x.moves] = c.u[x.moves]
	}
	copy(c.u, planned)
	for i := range c.of {
		x := &c.of[i]
		z := readings[x.holds]
		err := c.u[x.follows] - z
		rate := x.rate
		if dt > 0 {
			rate = (z - x.reading) / dt
		}
		if c.u[x.follows] != 0 {
			move := x.Proportional*(err-x.err) + x.Integral*err*dt
			if x.Derivative != 0 && !math.IsNaN(x.rate) {
				move -= x.Derivative * (rate - x.rate)
			}
			if x.Slew > 0 {
				move = min(x.Slew*dt, max(-x.Slew*dt, move))
			}
			now := c.u[x.moves]
			c.u[x.moves] = min(max(x.Max, now), max(min(x.Min, now), now+move)) // beyond a limit it can only come back
		}
		x.err, x.reading, x.rate = err, z, rate
	}
	return c.u
}
