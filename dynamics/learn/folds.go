package learn

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

const manyRuns = 3 // from so many on whole runs are held out in turn, below that halves

// split is a way to hold rows out: those to learn from and those to score, by run and row.
type split struct{ learn, score [][]bool }

// fold is what came of a split: a model of the rows to learn from, ready to be tried on the others.
type fold struct {
	split
	m      *model.Model
	fit    *fitter
	normal func() *normalEquations // of fit, where it ended
	trial  trial
	cost   float64 // of trial
}

// holding is the split that holds out the rows that out says.
func (p *problem) holding(out func(run, row, rows int) bool) split {
	var h split
	for k, r := range p.runs {
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

// splits hold out whole runs in turn where there are many, halves of every run otherwise.
func (p *problem) splits() (all []split) {
	parts := 2
	if len(p.runs) >= manyRuns {
		parts = 1
	}
	for i := range p.runs {
		for part := range parts {
			all = append(all, p.holding(func(run, row, rows int) bool { return run == i && row*parts/rows == part }))
		}
	}
	return all
}

// unseen is what was learned without some rows, and how the others' runs began. A fit without the same rows may begin
// there: what is learned without some rows must not begin with what was learned from them. nil is nothing.
type unseen struct {
	m      *model.Model
	starts []map[string]float64
}

// fitFolds fits m on every split, from what was learned without the same rows before (by split; nil: nothing was), else
// from the starting values.
func (p *problem) fitFolds(ctx context.Context, m *model.Model, splits []split, before []*unseen, iterations int) ([]*fold, error) {
	folds := make([]*fold, len(splits))
	err := parallel(ctx, len(splits), func(i int) (err error) {
		var from *unseen
		if before != nil {
			from = before[i]
		}
		c, starts := p.beginning(m, from)
		if folds[i], err = p.foldFit(ctx, splits[i], c, starts, iterations); err == nil {
			folds[i].cost = folds[i].trial.cost()
		}
		return err
	})
	return folds, err
}

// withoutThem is what folds have learned.
func withoutThem(folds []*fold) (all []*unseen) {
	for _, h := range folds {
		all = append(all, &unseen{h.m, h.fit.starts(h.fit.x)})
	}
	return all
}

// beginning is m with the numbers of from, and how the runs began there; what from does not have is at its starting value.
func (p *problem) beginning(m *model.Model, from *unseen) (*model.Model, []map[string]float64) {
	c := p.fresh(m)
	if from == nil {
		return c, nil
	}
	for i := range c.Parameters {
		if q := from.m.ParameterNamed(c.Parameters[i].Name); q != nil {
			c.Parameters[i].Value = q.Value
		}
	}
	for i := range c.Terms {
		for _, t := range from.m.Terms {
			if t.State == c.Terms[i].State && t.Name == c.Terms[i].Name && !t.Fixed {
				c.Terms[i].Coefficient = t.Coefficient
			}
		}
	}
	return c, from.starts
}

// foldFit fits m to what a split learns from, as refit does, and makes ready to score it on the rest.
func (p *problem) foldFit(ctx context.Context, h split, m *model.Model, starts []map[string]float64, iterations int) (*fold, error) {
	fit, err := p.refit(ctx, m, h.learn, starts, iterations)
	if err != nil {
		return nil, err
	}
	f, err := p.fitter(fit.s.Model, p.runs, h.score)
	if err != nil {
		return nil, err
	}
	normal := sync.OnceValue(func() *normalEquations { return fit.about(fit.s.Theta).normal(fit.x) })
	return &fold{split: h, m: fit.s.Model, fit: fit, normal: normal, trial: trial{f, f.s.Theta}}, nil
}

// refit fits the parameters of m again to the rows that masks allow, and how the runs began, from starts on. What
// it gives holds the model and the starts.
func (p *problem) refit(ctx context.Context, m *model.Model, masks [][]bool, starts []map[string]float64, iterations int) (*fitter, error) {
	c := copyOf(m)
	f, err := p.fitter(c, p.runs, masks)
	if err != nil {
		return nil, err
	}
	f.begin(starts)
	theta := slices.Clone(f.s.Theta)
	if err := f.solve(ctx, theta, iterations); err != nil {
		return nil, err
	}
	storeParameters(c, theta)
	return f, nil
}

// without is the model of h, and how its runs began, with the coefficient of a candidate at zero and the other numbers
// following, by the quadratic around the fit (Wald, Trans. Am. Math. Soc. 54, 1943): where a fit without it begins. Of a
// candidate that the model lacks it is h as it is.
func (h *fold) without(state, name string) (*model.Model, []map[string]float64) {
	f := h.fit
	term := slices.IndexFunc(h.m.Terms, func(t model.Term) bool { return t.State == state && t.Name == name })
	if term < 0 {
		return h.m, f.starts(f.x)
	}
	k := slices.Index(f.vary, len(h.m.Parameters)+h.m.Sharing(term))
	x, hi := slices.Clone(f.x), slices.Clone(f.hi)
	x[k], hi[k] = 0, 0
	q := *h.normal()
	q.g = slices.Clone(q.g)
	q.move(f.x, x)
	q.step(x, f.lo, hi, firstDamping)
	m := copyOf(h.m)
	storeParameters(m, f.about(f.s.Theta).at(x))
	return m, f.starts(x)
}

// fresh is m with every parameter back at its starting value.
func (p *problem) fresh(m *model.Model) *model.Model {
	c := copyOf(m)
	for i := range c.Parameters {
		for _, h := range p.h.Parameters {
			if h.Name == c.Parameters[i].Name {
				c.Parameters[i].Value = h.Value
			}
		}
	}
	for i := range c.Terms {
		for _, t := range p.h.Terms {
			if t.Name == c.Terms[i].Name && t.Of == c.Terms[i].State && !t.Fixed {
				c.Terms[i].Coefficient = t.Start
			}
		}
	}
	return c
}

// toggled is m without the candidate, and what shares its coefficient, if it has it, else with it; false where that
// makes no model.
func (p *problem) toggled(m *model.Model, state, name string) (*model.Model, bool) {
	shared := ""
	for _, h := range p.h.Terms {
		if h.Of == state && h.Name == name {
			shared = h.Coefficient
		}
	}
	d := p.h.Draft(func(h *model.HypothesisTerm) bool {
		has := slices.ContainsFunc(m.Terms, func(t model.Term) bool { return t.State == h.Of && t.Name == h.Name })
		turn := h.Of == state && h.Name == name || shared != "" && h.Coefficient == shared && p.without[model.CandidateName(h.Of, h.Name)] == ""
		return has != turn
	})
	p.prune(d)
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

// planFrom is the plan that the rows tell that masks allow, nil where they are too few or show none.
func (p *problem) planFrom(m *model.Model, masks [][]bool) (*model.Plan, error) {
	var seen []*runs.Run
	for i, r := range p.runs {
		if slices.Contains(masks[i], true) {
			r, err := r.For(m)
			if err != nil {
				return nil, err
			}
			seen = append(seen, r.Only(masks[i]))
		}
	}
	return learnPlan(m, p.h.Plan, seen), nil
}

// parallel calls fn for 0 … n−1, as many at a time as there are processors, and gives the first error.
// Once ctx has ended no more are begun.
func parallel(ctx context.Context, n int, fn func(i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fn(i)
		})
	}
	return g.Wait()
}
