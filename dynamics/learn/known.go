package learn

import (
	"context"
	"math"
)

const (
	// strainedFrom is what being away from what is known beforehand must cost for it to be doubted, as a share of what the data
	// cost, or would cost a good model if that is less: the check of a prior by what it meets (Box, J. R. Stat. Soc. A 143,
	// 1980). On recordings of the machine that the built-in hypotheses know it is 0.1 to 0.25, on one built otherwise
	// 0.6 to 0.8.
	strainedFrom = 0.3
	// leftFrom is the share of their cost that rows held out must then be better without it for it to be left.
	leftFrom = 1.0 / 3
)

// unbound is p without what is known beforehand of its numbers, where that is of machines unlike this one (prior–data conflict:
// Evans and Moshonov, Bayesian Anal. 1, 2006), nil where it may well be of such a one. all is the fit with it.
func (p *problem) unbound(ctx context.Context, all *weighing) (*problem, error) {
	if !all.f.strained(all.theta) {
		return nil, nil
	}
	p.tell(Fit, "trying it without what is known of other machines, which hardly fits this one")
	free := *p
	free.h, free.draft = p.h.Unbound(), copyOf(p.draft)
	for i := range free.draft.Parameters {
		free.draft.Parameters[i].Prior = nil
	}
	for i := range free.draft.Terms {
		free.draft.Terms[i].Prior = nil
	}
	free.from = &unseen{all.f.s.Model, all.f.starts(all.f.x)}
	splits := p.oneOut()
	ratio := 0.0 // of what rows held out cost with it and without, its logarithm
	for i, q := range []*problem{p, &free} {
		folds, err := q.fitFolds(ctx, q.draft, splits, nil, foldSteps)
		if err != nil {
			return nil, err
		}
		free.before = withoutThem(folds)
		for _, h := range folds {
			ratio += float64(1-2*i) * h.cost / float64(len(folds))
		}
	}
	if ratio < -math.Log(1-leftFrom) {
		return nil, nil
	}
	free.conflict = math.Exp(ratio / 2)
	p.warn("what is known of other machines does not hold on this one and is left out: with it, errors on rows held out are %.1f times as large", free.conflict)
	return &free, nil
}

// strained tells if what is known beforehand holds a fit back.
func (f *fitter) strained(theta []float64) bool {
	f.ridge = f.rowWeight(f.data(theta))
	return f.pull(f.about(theta).theta) > strainedFrom*f.ridge*f.rows()
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
