package learn

import (
	"slices"

	"golang.org/x/sync/errgroup"

	"stirwatch/dynamics/model"
)

// fold is a way to hold rows out: those to learn from, those to score, and what came of it.
type fold struct {
	learn, score [][]bool // by run and row
	m            *model.Model
	trial        trial
	cost         float64 // of trial
}

// holding makes a fold that holds out the rows that out says.
func (l *learner) holding(out func(run, row, rows int) bool) *fold {
	h := &fold{}
	for k, r := range l.runs {
		n := len(r.Time)
		learn, score := make([]bool, n), make([]bool, n)
		for j := range n {
			score[j] = out(k, j, n)
			learn[j] = !score[j]
		}
		h.learn, h.score = append(h.learn, learn), append(h.score, score)
	}
	return h
}

// hold makes the folds: whole runs in turn where there are many, halves of every run otherwise.
func (l *learner) hold() {
	parts := 2
	if len(l.runs) >= manyRuns {
		parts = 1
	}
	for i := range l.runs {
		for part := range parts {
			l.folds = append(l.folds, l.holding(func(run, row, rows int) bool { return run == i && row*parts/rows == part }))
		}
	}
}

// refold fits the present model on every fold, from the starting values: what is learned without some
// rows must not begin with what was learned from them.
func (l *learner) refold() error {
	return l.parallel(len(l.folds), func(i int) (err error) {
		h := l.folds[i]
		h.trial, h.m, err = l.foldFit(h, l.fresh(l.m), foldSteps)
		if err == nil {
			h.cost = h.trial.cost()
		}
		return err
	})
}

// foldFit fits m to what a fold learns from, and makes ready to score it on the rest.
func (l *learner) foldFit(h *fold, m *model.Model, iterations int) (t trial, fitted *model.Model, err error) {
	if fitted, err = l.refit(m, h.learn, iterations); err != nil {
		return t, nil, err
	}
	f, err := l.fitter(fitted, l.runs, h.score)
	if err != nil {
		return t, nil, err
	}
	return trial{f, f.s.Theta}, fitted, nil
}

// toggled is m without the candidate if it has it, else with it; false where that makes no model.
func (l *learner) toggled(m *model.Model, state, name string) (*model.Model, bool) {
	d := l.h.Draft(func(h *model.HypothesisTerm) bool {
		has := slices.ContainsFunc(m.Terms, func(t model.Term) bool { return t.State == h.Of && t.Name == h.Name })
		return has != (h.Of == state && h.Name == name)
	})
	prune(d)
	for i := range d.Parameters {
		if p := m.ParameterNamed(d.Parameters[i].Name); p != nil {
			d.Parameters[i].Value = p.Value
		}
	}
	for i := range d.States {
		if k := m.StateIndex(d.States[i].Symbol); k >= 0 {
			d.States[i].Noise, d.States[i].NoiseShare = m.States[k].Noise, m.States[k].NoiseShare
		}
	}
	for i := range d.Terms {
		for _, t := range m.Terms {
			if t.State == d.Terms[i].State && t.Name == d.Terms[i].Name {
				d.Terms[i].Coefficient = t.Coefficient
			}
		}
	}
	return d, len(d.Terms) > 0 && d.Check() == nil
}

// parallel calls fn for 0 … n−1, two at a time, and gives the first error.
func (l *learner) parallel(n int, fn func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(2)
	for i := range n {
		g.Go(func() error { return fn(i) })
	}
	return g.Wait()
}

// refit fits the parameters of m again to the rows that masks allow, and gives that model.
func (l *learner) refit(m *model.Model, masks [][]bool, iterations int) (*model.Model, error) {
	c := *m
	c.Parameters, c.Terms = slices.Clone(m.Parameters), slices.Clone(m.Terms)
	f, err := l.fitter(&c, l.runs, masks)
	if err != nil {
		return nil, err
	}
	theta := slices.Clone(f.s.Theta)
	f.solve(theta, iterations)
	storeParameters(&c, theta)
	return &c, nil
}

// fresh is m with every parameter back at its starting value: what is learned without a run must
// not begin with what was learned from it.
func (l *learner) fresh(m *model.Model) *model.Model {
	c := *m
	c.Parameters, c.Terms = slices.Clone(m.Parameters), slices.Clone(m.Terms)
	for i := range c.Parameters {
		for _, p := range l.h.Parameters {
			if p.Name == c.Parameters[i].Name {
				c.Parameters[i].Value = p.Value
			}
		}
	}
	for i := range c.Terms {
		for _, t := range l.h.Terms {
			if t.Name == c.Terms[i].Name && t.Of == c.Terms[i].State && !t.Fixed {
				c.Terms[i].Coefficient = t.Start
			}
		}
	}
	return &c
}
