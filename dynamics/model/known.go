package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Names of inputs that the built-in hypotheses use; they are the role words of the channels.
const (
	SpindlePower = "spindle power"
	SpindleSpeed = "spindle speed"
	PathVelocity = "path velocity"
	FeedVelocity = "feed velocity"
	ZVelocity    = "z velocity"

	// Contact is an input that no channel measures: it is told from the spindle and the height, see
	// phase.Contact.
	Contact = "contact"
)

// ToolTemperature names the measurement of the built-in hypotheses.
const ToolTemperature = "tool temperature"

// roleUnits are the units in which models take inputs with these names.
var roleUnits = map[string]string{SpindlePower: "W", SpindleSpeed: "rpm", PathVelocity: "mm/min", FeedVelocity: "mm/min", ZVelocity: "mm/min", Contact: "1"}

// KnownInputs are the inputs of the built-in hypotheses, with the unit a column of Run.U must have;
// their ranges are zero. [Options.Inputs] may name all of them or some.
func KnownInputs() []Input {
	h := DefaultHypotheses()
	var in []Input
	for _, s := range h.Inputs {
		if s.Is != Contact {
			in = append(in, Input{Name: s.Is, Unit: s.Unit, Symbol: s.Symbol})
		}
	}
	return in
}

// Channels are what a run must bring: inputs and outputs with their units.
type Channels struct {
	Inputs  []Input
	Outputs []Output
	Leading string // name of the output that leads, see [Model.LeadingIndex]
}

// With gives the channels that c or other needs. It fails unless they have an output in common, and take what both
// need in the same units.
func (c Channels) With(other Channels) (Channels, error) {
	all := Channels{Inputs: slices.Clone(c.Inputs), Outputs: slices.Clone(c.Outputs), Leading: c.Leading}
	for _, out := range other.Outputs {
		i := slices.IndexFunc(all.Outputs, func(x Output) bool { return x.Name == out.Name })
		switch {
		case i < 0:
			all.Outputs = append(all.Outputs, out)
		case all.Outputs[i].Unit != out.Unit:
			return c, fmt.Errorf("one forecasts the %s in %s, the other in %s", out.Name, all.Outputs[i].Unit, out.Unit)
		}
	}
	if len(all.Outputs) == len(c.Outputs)+len(other.Outputs) {
		return c, fmt.Errorf("they forecast different things: %s, and %s", c.names(), other.names())
	}
	for _, in := range other.Inputs {
		i := slices.IndexFunc(all.Inputs, func(x Input) bool { return x.Name == in.Name })
		switch {
		case i < 0:
			all.Inputs = append(all.Inputs, in)
		case all.Inputs[i].Unit != in.Unit:
			return c, fmt.Errorf("one takes the %s in %s, the other in %s", in.Name, all.Inputs[i].Unit, in.Unit)
		}
	}
	return all, nil
}

// names of the outputs.
func (c Channels) names() string {
	var all []string
	for _, out := range c.Outputs {
		all = append(all, out.Name)
	}
	return strings.Join(all, ", ")
}

// LeadingIndex is the place of the leading output.
func (c Channels) LeadingIndex() int {
	return max(0, slices.IndexFunc(c.Outputs, func(o Output) bool { return o.Name == c.Leading }))
}

// Channels that the hypotheses can use.
func (h *Hypotheses) Channels() Channels {
	m := h.Draft(nil)
	return m.Channels()
}

// Channels that the model needs: what contact is told from, where it takes part, and not contact itself.
func (m *Model) Channels() Channels {
	c := Channels{Outputs: m.Outputs, Leading: m.Leading}
	named := func(name string) bool {
		return slices.ContainsFunc(c.Inputs, func(in Input) bool { return in.Name == name })
	}
	for _, in := range m.Inputs {
		if in.Name != Contact {
			c.Inputs = append(c.Inputs, in)
		}
	}
	if m.InputIndex(Contact) >= 0 {
		for _, name := range []string{SpindleSpeed, SpindlePower, ZVelocity} {
			if !named(name) {
				unknown := math.NaN()
				c.Inputs = append(c.Inputs, Input{Name: name, Unit: roleUnits[name], Default: &unknown})
			}
		}
	}
	return c
}
