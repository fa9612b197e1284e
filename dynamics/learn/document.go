package learn

import (
	"math"
	"slices"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
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
	if p.h.Plan != nil {
		m.Plan = learnPlan(m, p.h.Plan, all)
	}
	m.Controllers = learnControllers(m, p.h, all)
	m.Hypotheses = p.h.Text()
	m.Provenance = model.Provenance{Learned: p.o.Date}
	for i, r := range p.runs {
		source := r.Source()
		source.Start = s.starts[i]
		m.Provenance.Runs = append(m.Provenance.Runs, source)
	}
	return m, nil
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
