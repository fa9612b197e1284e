package model

import (
	"cmp"
	"slices"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/num"
)

// OutputIndex is the place of the output of a name, −1 if there is none.
func (m *Model) OutputIndex(name string) int {
	return slices.IndexFunc(m.Outputs, func(o Output) bool { return o.Name == name })
}

// LeadingIndex is the place of the leading output: the filter starts with its reading, which "reading" in the start of a
// state means, and forecasts are made while it is above its ScoreAbove. Check has seen to it that there is one.
func (m *Model) LeadingIndex() int { return max(0, m.OutputIndex(m.Leading)) }

// OutputOrder are the places of the outputs in the order in which arithmetic takes them: the leading one first, then
// by the state that they show, in the order of the states, and by name. The order in which a document lists its outputs so
// changes no number.
func (m *Model) OutputOrder() []int {
	order := make([]int, len(m.Outputs))
	for i := range order {
		order[i] = i
	}
	leading := m.LeadingIndex()
	slices.SortFunc(order, func(a, b int) int {
		if a == leading || b == leading {
			return cmp.Compare(num.B2i(b == leading), num.B2i(a == leading))
		}
		x, y := &m.Outputs[a], &m.Outputs[b]
		return cmp.Or(cmp.Compare(m.StateIndex(x.State), m.StateIndex(y.State)), cmp.Compare(x.Name, y.Name))
	})
	return order
}

// leads finds the output that leads: the one that is about the first of the states that any is about, by
// itself or by a sensor of it.
func (m *Model) leads() string {
	best := slices.MinFunc(m.Outputs, func(a, b Output) int {
		x, y := m.observed(a.State), m.observed(b.State)
		return cmp.Or(cmp.Compare(m.StateIndex(x), m.StateIndex(y)), cmp.Compare(m.StateIndex(a.State), m.StateIndex(b.State)), cmp.Compare(a.Name, b.Name))
	})
	return best.Name
}

// Observed is the symbol of the state that output o is about: the one that it shows or, where that is a sensor, the
// one that the sensor follows. A sensor depends on itself and one other state, with nothing else in its terms but
// parameters, and no other state depends on it.
func (m *Model) Observed(o int) string { return m.observed(m.Outputs[o].State) }

func (m *Model) observed(shown string) string {
	if m.StateIndex(shown) < 0 {
		return shown
	}
	of := ""
	for i := range m.Terms {
		t := &m.Terms[i]
		states, inputs := m.takes(t.Expression)
		if t.State != shown {
			if slices.Contains(states, shown) {
				return shown
			}
			continue
		}
		if inputs {
			return shown
		}
		for _, s := range states {
			switch {
			case s == shown || s == of:
			case of != "":
				return shown
			default:
				of = s
			}
		}
	}
	if k := m.StateIndex(of); k < 0 || !sameKind(m.States[k].Unit, m.States[m.StateIndex(shown)].Unit) {
		return shown
	}
	return of
}

// AnswersTo tells whether the equation or the power of the plan answers to an input.
func (m *Model) AnswersTo(input string) (found bool) {
	i := m.InputIndex(input)
	if i < 0 {
		return false
	}
	found = input == FeedVelocity && m.Plan != nil && m.Plan.Fed > 0
	look := func(expression string) {
		if n, err := expr.Parse(expression); err == nil {
			n.Symbols(func(name string) { found = found || name == m.Inputs[i].Symbol })
		}
	}
	for k := range m.Terms {
		look(m.Terms[k].Expression)
	}
	for k := range m.Definitions {
		look(m.Definitions[k].Expression)
	}
	return found
}

// takes gives the states that an expression takes, through definitions too, and whether it takes an input.
func (m *Model) takes(expression string) (states []string, inputs bool) {
	var look func(expression string, above int)
	look = func(expression string, above int) {
		n, err := expr.Parse(expression)
		if err != nil {
			return
		}
		n.Symbols(func(name string) {
			if m.StateIndex(name) >= 0 {
				states = append(states, name)
			}
			inputs = inputs || slices.ContainsFunc(m.Inputs, func(in Input) bool { return in.Symbol == name })
			for i, d := range m.Definitions[:above] { // a definition takes those above it alone
				if d.Name == name {
					look(d.Expression, i)
				}
			}
		})
	}
	look(expression, len(m.Definitions))
	return states, inputs
}

func sameKind(a, b string) bool {
	x, errX := expr.ParseUnit(a)
	y, errY := expr.ParseUnit(b)
	return errX == nil && errY == nil && x.Dim == y.Dim
}

// IntervalsOf are the intervals of the output of a name. Those that name none are of the leading output, as
// documents had them that knew but one.
func (m *Model) IntervalsOf(o int) []Interval95 {
	leading := o == m.LeadingIndex()
	var of []Interval95
	for _, x := range m.Intervals {
		if x.Output == m.Outputs[o].Name || x.Output == "" && leading {
			of = append(of, x)
		}
	}
	return of
}
