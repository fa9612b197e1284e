package learn

import (
	"math"
	"slices"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

// document is the model of s with the ranges seen, the plan and where all comes from.
func (p *problem) document(s *solution) (*model.Model, error) {
	m := copyOf(s.m)
	m.Inputs, m.Outputs = slices.Clone(m.Inputs), slices.Clone(m.Outputs)
	var all []*runs.Run
	for _, r := range p.runs {
		c, err := r.For(m)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	for i := range m.Inputs {
		in := &m.Inputs[i]
		in.Min, in.Max = p.seen(slices.Index(p.runs[0].Inputs, in.Name))
	}
	for i := range m.Outputs {
		out := &m.Outputs[i]
		out.Min, out.Max = math.Inf(1), math.Inf(-1)
		for _, r := range all {
			lo, hi := num.Span(r.Z[i])
			out.Min, out.Max = min(out.Min, lo), max(out.Max, hi)
		}
	}
	m.Spindle, m.StartTorque = p.spindle, p.start
	if p.h.Plan != nil {
		m.Plan = learnPlan(m, p.h.Plan, all)
	}
	m.Controllers = learnControllers(m, p.h, all)
	m.Usual = learnUsual(m, all)
	m.Hypotheses = p.h.Text()
	m.Provenance = model.Provenance{Learned: p.o.Date, PriorConflict: p.conflict}
	for i, r := range p.runs {
		source := r.Source()
		source.Start, source.Misfit = s.starts[i], s.misfits[i]
		source.Held = held(m, all[i], s.starts[i])
		m.Provenance.Runs = append(m.Provenance.Runs, source)
	}
	return m, nil
}

// held is what the states of m that have no rate were in run r, by symbol in their units; start is [model.RunSource.Start].
func held(m *model.Model, r *runs.Run, start map[string]float64) map[string]float64 {
	var found map[string]float64
	var x []float64
	for i := range m.States {
		state := &m.States[i]
		by, known := start[state.Symbol]
		if !known || slices.ContainsFunc(m.Terms, func(t model.Term) bool { return t.State == state.Symbol }) {
			continue
		}
		if x == nil {
			first := slices.IndexFunc(r.Z[m.LeadingIndex()], func(z float64) bool { return num.Finite(z) })
			if first < 0 {
				return nil
			}
			readings := make([]float64, len(m.Outputs))
			for o := range m.Outputs {
				readings[o] = expr.MustUnit(m.Outputs[o].Unit).SI(r.Z[o][first])
			}
			x = make([]float64, len(m.States))
			system.Compile(m).Stepper().Begin(x, readings)
			found = map[string]float64{}
		}
		u := expr.MustUnit(state.Unit)
		found[state.Symbol] = u.FromSI(x[i] + by*u.Scale)
	}
	return found
}

// seen is the range of column k of the runs.
func (p *problem) seen(k int) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, r := range p.runs {
		a, b := num.Span(r.U[k])
		lo, hi = min(lo, a), max(hi, b)
	}
	return lo, hi
}
