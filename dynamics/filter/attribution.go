package filter

import (
	"math"

	"stirwatch/dynamics/system"
)

// Attribution splits a change of one output over the terms of the state that it is about
// ([model.Model.Observed]). The parts add up to the total.
type Attribution struct {
	Term  []string  // names of the terms, then "thermocouple lag" where the output is of a sensor
	Part  []float64 // in the unit of the output (per s for rates)
	Total float64

	// What [Forecaster.Explain] adds: the same total over what causes it.
	Cause []Cause
}

// Cause is what moves an output: an input that moves, or what would happen if none did.
type Cause struct {
	Name     string  // of an input, or settling, or experts
	Share    float64 // of the change, in the unit of the output
	From, To float64 // of an input, in its unit: its mean over the last minute, and its mean ahead; else NaN
	Unit     string  // of the input
}

// CopyAttributions makes dst say the same as those of src, in slices of its own, and gives it.
func CopyAttributions(dst, src []Attribution) []Attribution {
	dst = resize(dst, len(src))
	for o := range src {
		from, to := &src[o], &dst[o]
		to.Term, to.Part, to.Total = append(to.Term[:0], from.Term...), append(to.Part[:0], from.Part...), from.Total
		to.Cause = append(to.Cause[:0], from.Cause...)
	}
	return dst
}

// lagPart names what a reading does because it follows its state late.
const lagPart = "thermocouple lag"

// attributions makes ready one for each output.
func (e *Estimator) attributions(dst []Attribution) []Attribution {
	dst = resize(dst, len(e.s.Out))
	for o := range dst {
		d := &dst[o]
		d.Term, d.Part, d.Total, d.Cause = d.Term[:0], d.Part[:0], math.NaN(), d.Cause[:0]
		for i := range e.m.Terms {
			if e.s.Of[i] == e.s.Observed[o] {
				d.Term, d.Part = append(d.Term, e.m.Terms[i].Name), append(d.Part, 0)
			}
		}
		if e.s.Out[o] != e.s.Observed[o] {
			d.Term, d.Part = append(d.Term, lagPart), append(d.Part, 0)
		}
	}
	return dst
}

// addTerms adds to the parts what each term does at the rates that were last worked out, so many times over.
func (e *Estimator) addTerms(dst []Attribution, times float64) {
	for o := range dst {
		k, of := 0, e.s.Observed[o]
		for i, state := range e.s.Of {
			if state == of {
				dst[o].Part[k] += times * e.r.Term(i) / e.s.Scale[of]
				k++
			}
		}
	}
}

// attribute splits the change that each output is expected to make in horizon seconds under a scenario,
// as [Estimator.Ahead] has it, over the terms of the state that it is about. What a reading does beyond that state, it
// does because it follows late. note, where it is not nil, is told step by step what acts, in e.last and e.acting.
func (e *Estimator) attribute(dst []Attribution, horizon float64, sc Scenario, note func(step, steps int, h float64)) []Attribution {
	dst = e.attributions(dst)
	if !e.started || !(horizon > 0) {
		return dst
	}
	drives, _ := e.under(sc)
	copy(e.fx, e.x)
	n := system.Steps(horizon)
	h := horizon / float64(n)
	gather := func() { e.addTerms(dst, h/2) } // the states move by Heun's rule, half of it by each stage
	for j := range n {
		e.acting = nil
		drives(e.last, float64(j)*h, float64(j+1)*h, e.read(e.fx))
		if note != nil {
			note(j, n, h)
		}
		e.r.Act(e.last)
		e.r.StepStages(e.fx, h, gather)
	}
	for o := range dst {
		shown, of := e.s.Out[o], e.s.Observed[o]
		dst[o].Total = (e.fx[shown] - e.x[shown]) / e.s.Scale[shown]
		if shown != of {
			dst[o].Part[len(dst[o].Part)-1] = dst[o].Total - (e.fx[of]-e.x[of])/e.s.Scale[of]
		}
	}
	return dst
}

// AttributeInnovation splits what the measurements of the last Step changed in the rate of the state that each output
// is about over its terms, per s: which term the filter holds responsible for the innovation. The part
// of a thermocouple's lag is 0.
func (e *Estimator) AttributeInnovation(dst []Attribution) []Attribution {
	dst = e.attributions(dst)
	if !e.started || !e.judged {
		return dst
	}
	e.past.at(e.last, 0)
	e.r.Act(e.last)
	for side, x := range [2][]float64{e.before, e.x} {
		e.r.Rates(e.gain, x)
		sign := float64(2*side - 1)
		e.addTerms(dst, sign)
		for o := range dst {
			of := e.s.Observed[o]
			if side == 0 {
				dst[o].Total = 0
			}
			dst[o].Total += sign * e.gain[of] / e.s.Scale[of]
		}
	}
	return dst
}
