package model

import (
	"fmt"

	"stirwatch/dynamics/num"
)

// Controller is one outside the model that moves an input so that an output follows a set-point, which is an input too:
// a PID in velocity form (Åström and Hägglund, Advanced PID Control, 2006, sec. 13.4) with e = set-point − output,
//
//	du = Proportional·de + Integral·e·dt − Derivative·d(d output/dt)
//
// within Min and Max, and at most Slew either way. A set-point of 0 is a controller that is off: the input stays.
type Controller struct {
	Moves   string `json:"moves"`   // name of the input
	Holds   string `json:"holds"`   // name of the output
	Follows string `json:"follows"` // name of the input that is its set-point, in the output's unit

	// In the input's unit per unit of the output: as it is, per s and times s.
	Proportional float64 `json:"proportional"`
	Integral     float64 `json:"integral"`
	Derivative   float64 `json:"derivative,omitempty"`

	Min  float64 `json:"min"`            // of the input
	Max  float64 `json:"max"`            // of the input
	Slew float64 `json:"slew,omitempty"` // of the input per s; 0: any
	Rows int     `json:"rows"`           // that the gains were learned from, 0: they are given
}

// HypothesisController asks for a [Controller]. Symbols are those of inputs, Holds is what an output is.
type HypothesisController struct {
	Moves   string `yaml:"moves"`
	Holds   string `yaml:"holds"`
	Follows string `yaml:"follows"`

	// What holds where the runs do not show it; without any gain nothing is known then, and there is no controller.
	Proportional float64 `yaml:"proportional,omitempty"`
	Integral     float64 `yaml:"integral,omitempty"`
	Derivative   float64 `yaml:"derivative,omitempty"` // is not learned
	Min          float64 `yaml:"min,omitempty"`
	Max          float64 `yaml:"max,omitempty"`
	Slew         float64 `yaml:"slew,omitempty"`
}

// Planned reports whether a forecast can go by plan: a controller of some kind is known.
func (m *Model) Planned() bool { return m.Plan != nil || len(m.Controllers) > 0 }

// MovedBy reports whether the input of a name is moved by a controller.
func (m *Model) MovedBy(input string) bool {
	for i := range m.Controllers {
		if m.Controllers[i].Moves == input {
			return true
		}
	}
	return m.Plan != nil && (input == SpindlePower || input == SpindleSpeed)
}

func (m *Model) checkControllers() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	moved := map[string]bool{}
	for i := range m.Controllers {
		c := &m.Controllers[i]
		in, out, set := m.InputIndex(c.Moves), m.OutputIndex(c.Holds), m.InputIndex(c.Follows)
		switch {
		case in < 0 || set < 0 || c.Moves == c.Follows:
			bad("controller of %q: it moves %q and follows %q, which must be two inputs", c.Holds, c.Moves, c.Follows)
		case out < 0:
			bad("controller of %q: it holds what is no output", c.Holds)
		case m.Inputs[set].Unit != m.Outputs[out].Unit:
			bad("controller of %q: its set-point is in %s, must be in %s", c.Holds, m.Inputs[set].Unit, m.Outputs[out].Unit)
		case moved[c.Moves]:
			bad("controller of %q: another moves %q too", c.Holds, c.Moves)
		case !num.Finite(c.Proportional, c.Integral, c.Derivative, c.Min, c.Max, c.Slew) || c.Slew < 0 || !(c.Min < c.Max):
			bad("controller of %q: its gains must be numbers, slew not negative, and %g to %g a range", c.Holds, c.Min, c.Max)
		}
		moved[c.Moves] = true
	}
	return errs
}
