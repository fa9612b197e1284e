package learn

import (
	"maps"
	"slices"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
)

// solution is what has been found so far. A stage takes one and gives another; none is changed.
type solution struct {
	m       *model.Model
	theta   []float64            // of m, SI: parameters, then coefficients
	dropped map[string]string    // by [model.CandidateName]: why
	starts  []map[string]float64 // by run: see model.RunSource.Start
	misfits []float64            // by run: see model.RunSource.Misfit; nil until refined
	without []*unseen            // by run: what the others tell; nil where nobody has asked
}

// weighing is a fit that evidence is drawn from.
type weighing struct {
	f     *fitter
	q     *normalEquations
	theta []float64
	se    []float64
	weak  map[string]model.WeakForm // nil where no evidence is asked for
}

// less is s with terms dropped, and what shares their coefficients, for the reasons given by term; m, theta and starts are those of the fit that follows.
func (s *solution) less(p *problem, why map[int]string) *solution {
	c := &solution{m: copyOf(s.m), dropped: maps.Clone(s.dropped), starts: s.starts, without: s.without}
	c.m.Terms = nil
	for i, t := range s.m.Terms {
		if reason, gone := why[s.m.Sharing(i)]; gone {
			c.dropped[model.CandidateName(t.State, t.Name)] = reason
		} else {
			c.m.Terms = append(c.m.Terms, t)
		}
	}
	p.prune(c.m)
	return c
}

// copyOf is m with parameters, terms and states of its own.
func copyOf(m *model.Model) *model.Model {
	c := *m
	c.Parameters, c.Terms, c.States = slices.Clone(m.Parameters), slices.Clone(m.Terms), slices.Clone(m.States)
	return &c
}

// storeParameters writes theta (SI) into m.
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
			t.Coefficient = max(0, theta[len(m.Parameters)+m.Sharing(i)]/expr.MustUnit(t.Unit).Scale)
		}
	}
}

// storeError writes the standard error of parameter i (SI) into m.
func storeError(m *model.Model, i int, se float64) {
	if !num.Finite(se) {
		se = 0
	}
	if i < len(m.Parameters) {
		m.Parameters[i].StdErr = se / expr.MustUnit(m.Parameters[i].Unit).Scale
		return
	}
	for k := range m.Terms {
		if t := &m.Terms[k]; m.Sharing(k) == i-len(m.Parameters) {
			t.StdErr = se / expr.MustUnit(t.Unit).Scale
		}
	}
}
