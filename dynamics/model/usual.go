package model

import (
	"slices"

	"stirwatch/dynamics/num"
)

// Usual is the range in which the mean of what is measured (over [phase.MeanOver] seconds) was while a phase went on, in the runs
// that the model was learned from: what is normal there.
type Usual struct {
	Phase string  `json:"phase"`
	Name  string  `json:"name"` // of an input or output
	Unit  string  `json:"unit"`
	Low   float64 `json:"low"` // 1 % of the rows were below
	High  float64 `json:"high"`
	Hours float64 `json:"hours"` // that it rests on
}

// usual checks the ranges, and the rule of contact and the torque of a start.
func (c *checker) usual() {
	if s := c.Spindle; s != nil && !(s.FreeTorque > 0 && s.Inertia >= 0 && s.From > 0 && s.Full > s.From && num.Finite(s.FreeTorque, s.Inertia, s.Full)) {
		c.bad("spindle: %+v is no rule of contact", *s)
	}
	if c.StartTorque < 0 || !num.Finite(c.StartTorque) {
		c.bad("start_torque_Nm: %g is no torque", c.StartTorque)
	}
	for _, u := range c.Usual {
		unitName := ""
		if i := c.InputIndex(u.Name); i >= 0 {
			unitName = c.Inputs[i].Unit
		}
		if i := slices.IndexFunc(c.Outputs, func(o Output) bool { return o.Name == u.Name }); i >= 0 {
			unitName = c.Outputs[i].Unit
		}
		switch {
		case unitName == "":
			c.bad("usual %s %q: there is no such input or output", u.Phase, u.Name)
		case unitName != u.Unit:
			c.bad("usual %s %q: the unit is %q, and %q where it is declared", u.Phase, u.Name, u.Unit, unitName)
		case !(u.Low <= u.High):
			c.bad("usual %s %q: %g to %g is no range", u.Phase, u.Name, u.Low, u.High)
		}
	}
}
