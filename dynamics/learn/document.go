package learn

import (
	"math"
	"slices"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
)

// storeParameters writes theta (SI) back into the document.
func storeParameters(m *model.Model, theta []float64) {
	for i := range m.Parameters {
		p := &m.Parameters[i]
		if !p.Fixed {
			p.Value = min(p.Max, max(p.Min, expr.MustUnit(p.Unit).FromSI(theta[i])))
		}
	}
	for i := range m.Terms {
		t := &m.Terms[i]
		if !t.Fixed {
			t.Coefficient = max(0, theta[len(m.Parameters)+i]/expr.MustUnit(t.Unit).Scale)
		}
	}
}

// seen is the range of column k of the runs.
func (l *learner) seen(k int) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, r := range l.runs {
		a, b := num.Span(r.U[k])
		lo, hi = min(lo, a), max(hi, b)
	}
	return lo, hi
}

// document fills in the ranges seen, the plan and where all comes from.
func (l *learner) document() error {
	var all []*runs.Run
	for _, r := range l.runs {
		c, err := r.For(l.m)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	for i := range l.m.Inputs {
		in := &l.m.Inputs[i]
		in.Min, in.Max = l.seen(slices.Index(l.runs[0].Inputs, in.Name))
	}
	for i := range l.m.Outputs {
		out := &l.m.Outputs[i]
		out.Min, out.Max = math.Inf(1), math.Inf(-1)
		for _, r := range all {
			lo, hi := num.Span(r.Z[i])
			out.Min, out.Max = min(out.Min, lo), max(out.Max, hi)
		}
	}
	if l.h.Plan != nil {
		l.m.Plan = learnPlan(l.m, all)
	}
	l.m.Hypotheses = l.h.Text()
	l.m.Provenance.Learned = l.o.Date
	for i, r := range l.runs {
		l.m.Provenance.Runs = append(l.m.Provenance.Runs, model.RunSource{Name: r.Name, SHA256: r.SHA256, Rows: len(r.Time), Start: l.starts[i]})
	}
	return nil
}

// storeError writes the standard error of parameter i into the document.
func storeError(m *model.Model, i int, se float64) {
	if !num.Finite(se) {
		se = 0
	}
	if i < len(m.Parameters) {
		m.Parameters[i].StdErr = se / expr.MustUnit(m.Parameters[i].Unit).Scale
		return
	}
	t := &m.Terms[i-len(m.Parameters)]
	t.StdErr = se / expr.MustUnit(t.Unit).Scale
}
