package dynamics

import "math"

// Attribution splits a change over the terms of the equation. The parts add up to the total.
type Attribution struct {
	Term  []string  // names of the terms of the first state, then "thermocouple lag"
	Part  []float64 // in the unit of the first output (per s for rates)
	Total float64
}

// lagPart names what a reading does because it follows its state late.
const lagPart = "thermocouple lag"

func (e *Estimator) attribution(dst *Attribution) {
	dst.Term, dst.Part = dst.Term[:0], dst.Part[:0]
	for i := range e.m.Terms {
		if t := &e.m.Terms[i]; t.State == e.m.States[StateTool].Symbol {
			dst.Term, dst.Part = append(dst.Term, t.Name), append(dst.Part, 0)
		}
	}
	if e.s.out[0] != StateTool {
		dst.Term, dst.Part = append(dst.Term, lagPart), append(dst.Part, 0)
	}
}

// Attribute splits the change that the reading is expected to make in horizon seconds, by the plan or
// with inputs held as [Estimator.Forecast] has it, over the terms of the first state: why is it rising?
// With u the inputs are held there in any case. What the reading does beyond the state, it does because
// it follows late. It does not allocate once dst has been used.
func (e *Estimator) Attribute(dst *Attribution, horizon float64, u []float64) {
	e.attribution(dst)
	dst.Total = math.NaN()
	if !e.started || !(horizon > 0) {
		return
	}
	copy(e.held, e.u)
	for i := range u {
		if finite(u[i]) && math.Abs(u[i]) <= maxInput {
			e.held[i] = u[i]
		}
	}
	s := e.s
	o := s.out[0]
	scale := s.xScale[o]
	s.drive(e.now, e.v, e.held)
	copy(e.fx, e.x)
	plan := u == nil && e.plan != nil && finite(e.setPoint)
	if plan {
		e.plan.start(e.held, e.reading())
		e.planNow = 0
	}
	drives := e.heldDrives
	if plan {
		drives = e.planDrives
	}
	n := steps(horizon)
	h := horizon / float64(n)
	gather := func() { // the first state moves by Heun's rule, half of it by each stage
		k := 0
		for i := range e.m.Terms {
			if e.m.Terms[i].State == e.m.States[StateTool].Symbol {
				dst.Part[k] += h / 2 * e.v[s.term[i]] / scale
				k++
			}
		}
	}
	s.pace(e.w, e.v, h)
	for j := range n {
		drives(e.last, float64(j)*h, float64(j+1)*h)
		s.act(e.v, e.last)
		s.rates(e.w.k1, e.v, e.fx)
		gather()
		s.finish(e.w, e.v, e.fx)
		gather()
	}
	dst.Total = (e.fx[o] - e.x[o]) / scale
	if o != StateTool {
		state := (e.fx[StateTool] - e.x[StateTool]) / scale
		dst.Part[len(dst.Part)-1] = dst.Total - state
	}
}

// Blame splits what the measurements of the last Step changed in the rate of the first state over its
// terms, per s: which term the filter holds responsible for the innovation. The part of the
// thermocouple's lag is 0.
func (e *Estimator) Blame(dst *Attribution) {
	e.attribution(dst)
	dst.Total = math.NaN()
	if !e.started || !e.judged {
		return
	}
	s := e.s
	e.past.at(e.last, 0)
	s.act(e.v, e.last)
	scale := s.xScale[StateTool]
	dst.Total = 0
	for side, x := range [2][]float64{e.before, e.x} {
		s.rates(e.w.k1, e.v, x)
		sign := float64(2*side - 1)
		dst.Total += sign * e.w.k1[StateTool] / scale
		k := 0
		for i := range e.m.Terms {
			if e.m.Terms[i].State == e.m.States[StateTool].Symbol {
				dst.Part[k] += sign * e.v[s.term[i]] / scale
				k++
			}
		}
	}
}
