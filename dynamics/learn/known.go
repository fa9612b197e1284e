package learn

import (
	"context"
	"math"
	"slices"

	"stirwatch/dynamics/model"
)

const (
	// strainedFrom is what being away from what is known beforehand must cost for it to be doubted, as a share of what the data
	// cost, or would cost a good model if that is less: the check of a prior by what it meets (Box, J. R. Stat. Soc. A 143,
	// 1980). On recordings of the machine that the built-in hypotheses know it is 0.1 to 0.25, on one built otherwise
	// 0.6 to 0.8.
	strainedFrom = 0.3
	// leftFrom is the share of their cost that rows held out must then be better without it for it to be left.
	leftFrom = 1.0 / 3
	// failedFrom is what data cost that a fit has failed on: a good model's are 1.
	failedFrom = 2.0

	sizeStep  = 4.0 // between sizes of a machine that are tried
	sizeSteps = 3   // and how many either way
)

// unbound is p without what is known beforehand of its numbers, where that is of machines unlike this one (prior–data conflict:
// Evans and Moshonov, Bayesian Anal. 1, 2006), nil where it may well be of such a one. all is the fit with it.
func (p *problem) unbound(ctx context.Context, all *weighing) (*problem, error) {
	known := slices.ContainsFunc(p.draft.Parameters, func(q model.Parameter) bool { return q.Prior != nil }) ||
		slices.ContainsFunc(p.draft.Terms, func(t model.Term) bool { return t.Prior != nil })
	if !known || !all.f.strained(all.theta) {
		return nil, nil
	}
	p.tell(Fit, "trying it without what is known of other machines, which hardly fits this one")
	free := *p
	free.h = p.h.Unbound()
	free.draft = free.h.Draft(func(h *model.HypothesisTerm) bool {
		return slices.ContainsFunc(p.draft.Terms, func(t model.Term) bool { return t.State == h.Of && t.Name == h.Name })
	})
	free.prune(free.draft)
	if err := free.size(); err != nil {
		return nil, err
	}
	splits := p.oneOut()
	with, err := p.fitFolds(ctx, p.draft, splits, nil, foldSteps)
	if err != nil {
		return nil, err
	}
	without, err := free.fitFolds(ctx, free.draft, splits, nil, fullSteps)
	if err != nil {
		return nil, err
	}
	ratio := 0.0 // of what rows held out cost with it and without, its logarithm
	for i := range splits {
		ratio += (with[i].cost - without[i].cost) / float64(len(splits))
	}
	if ratio < -math.Log(1-leftFrom) {
		return nil, nil
	}
	free.before = withoutThem(without)
	if free.from, err = free.best(free.before); err != nil {
		return nil, err
	}
	free.conflict = math.Exp(ratio / 2)
	p.warn("what is known of other machines does not hold on this one and is left out: with it, errors on rows held out are %.1f times as large", free.conflict)
	return &free, nil
}

// best is what forecasts all runs best: of fits to some of them that began far off not all come near.
func (p *problem) best(all []*unseen) (best *unseen, err error) {
	least := math.Inf(1)
	for _, u := range all {
		m, starts := p.beginning(p.draft, u)
		f, err := p.fitter(m, p.runs, nil)
		if err != nil {
			return nil, err
		}
		f.begin(starts)
		if cost := f.data(f.s.Theta); cost < least {
			best, least = u, cost
		}
	}
	return best, nil
}

// size lets sources start where runs of a machine of this size are forecast best, in steps of sizeStep. A coefficient that is shared stays.
func (p *problem) size() error {
	factor, least := 1.0, math.Inf(1)
	for k := -sizeSteps; k <= sizeSteps; k++ {
		m, by := copyOf(p.draft), math.Pow(sizeStep, float64(k))
		scaleSources(m.Terms, by)
		f, err := p.fitter(m, p.runs, nil)
		if err != nil {
			return err
		}
		if cost := f.data(f.s.Theta); cost < least {
			factor, least = by, cost
		}
	}
	scaleSources(p.draft.Terms, factor)
	for i := range p.h.Terms {
		if t := &p.h.Terms[i]; t.Sign == "+" && t.Coefficient == "" {
			t.Start *= factor
		}
	}
	return nil
}

func scaleSources(terms []model.Term, by float64) {
	for i := range terms {
		if t := &terms[i]; t.Sign > 0 && !t.Fixed && t.Shared == "" {
			t.Coefficient *= by
		}
	}
}

// strained reports whether what is known beforehand holds a fit back, or the fit is none.
func (f *fitter) strained(theta []float64) bool {
	data := f.data(theta)
	f.ridge = f.rowWeight(data)
	return data > failedFrom || f.pull(f.about(theta).theta) > strainedFrom*f.ridge*f.rows()
}

// oneOut are the splits that hold out one run each; of a run that is alone those of [problem.splits].
func (p *problem) oneOut() (all []split) {
	if len(p.runs) == 1 {
		return p.splits()
	}
	for i := range p.runs {
		all = append(all, p.holding(func(run, _, _ int) bool { return run == i }))
	}
	return all
}
