package filter

import (
	"math"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/system"
)

// Attribution splits a change over the terms of the equation. The parts add up to the total.
type Attribution struct {
	Term  []string  // names of the terms of the first state, then "thermocouple lag"
	Part  []float64 // in the unit of the first output (per s for rates)
	Total float64
}

// CopyTo makes dst say the same, in slices of its own.
func (a *Attribution) CopyTo(dst *Attribution) {
	own := *dst
	*dst = *a
	dst.Term, dst.Part = append(own.Term[:0], a.Term...), append(own.Part[:0], a.Part...)
}

// lagPart names what a reading does because it follows its state late.
const lagPart = "thermocouple lag"

func (e *Estimator) attribution(dst *Attribution) {
	dst.Term, dst.Part = dst.Term[:0], dst.Part[:0]
	for i := range e.m.Terms {
		if t := &e.m.Terms[i]; t.State == e.m.States[model.StateTool].Symbol {
			dst.Term, dst.Part = append(dst.Term, t.Name), append(dst.Part, 0)
		}
	}
	if e.s.Out[0] != model.StateTool {
		dst.Term, dst.Part = append(dst.Term, lagPart), append(dst.Part, 0)
	}
}

// Attribute splits the change that the reading is expected to make in horizon seconds under a scenario,
// as [Estimator.Ahead] has it, over the terms of the first state: why is it rising? What the reading does
// beyond the state, it does because it follows late. It does not allocate once dst has been used.
func (e *Estimator) Attribute(dst *Attribution, horizon float64, sc Scenario) {
	e.attribution(dst)
	dst.Total = math.NaN()
	if !e.started || !(horizon > 0) {
		return
	}
	drives, _ := e.under(sc)
	s := e.s
	o := s.Out[0]
	scale := s.Scale[o]
	copy(e.fx, e.x)
	n := system.Steps(horizon)
	h := horizon / float64(n)
	gather := func() { // the first state moves by Heun's rule, half of it by each stage
		k := 0
		for i := range e.m.Terms {
			if e.m.Terms[i].State == e.m.States[model.StateTool].Symbol {
				dst.Part[k] += h / 2 * e.r.Term(i) / scale
				k++
			}
		}
	}
	for j := range n {
		drives(e.last, float64(j)*h, float64(j+1)*h, (e.fx[o]-s.Offset[o])/scale)
		e.r.Act(e.last)
		e.r.StepStages(e.fx, h, gather)
	}
	dst.Total = (e.fx[o] - e.x[o]) / scale
	if o != model.StateTool {
		state := (e.fx[model.StateTool] - e.x[model.StateTool]) / scale
		dst.Part[len(dst.Part)-1] = dst.Total - state
	}
}

// AttributeInnovation splits what the measurements of the last Step changed in the rate of the first state over its
// terms, per s: which term the filter holds responsible for the innovation. The part of the
// thermocouple's lag is 0.
func (e *Estimator) AttributeInnovation(dst *Attribution) {
	e.attribution(dst)
	dst.Total = math.NaN()
	if !e.started || !e.judged {
		return
	}
	e.past.at(e.last, 0)
	e.r.Act(e.last)
	scale := e.s.Scale[model.StateTool]
	dst.Total = 0
	for side, x := range [2][]float64{e.before, e.x} {
		e.r.Rates(e.gain, x)
		sign := float64(2*side - 1)
		dst.Total += sign * e.gain[model.StateTool] / scale
		k := 0
		for i := range e.m.Terms {
			if e.m.Terms[i].State == e.m.States[model.StateTool].Symbol {
				dst.Part[k] += sign * e.r.Term(i) / scale
				k++
			}
		}
	}
}
