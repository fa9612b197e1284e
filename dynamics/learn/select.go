package learn

import (
	"context"
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/system"
)

// What a term must be worth to stay, and how long a fit goes on.
const (
	surely     = 3.0  // standard errors that a coefficient must be from zero
	worthwhile = 5e-3 // and share of the cost that its term must save
	parsimony  = 5e-3 // and share of the cost of rows held out that it must save
	fullSteps  = 20   // iterations of a fit from the starting values
	warmSteps  = 8    // and of one from values that are nearly right
	foldSteps  = 9
	lapSteps   = 2 // and of one that only tells if a term is missed
)

// fit fits all candidates.
func (p *problem) fit(ctx context.Context) (*weighing, error) {
	m := copyOf(p.draft)
	f, err := p.fitter(m, p.runs, nil)
	if err != nil {
		return nil, err
	}
	theta := slices.Clone(f.s.Theta)
	if p.from != nil {
		from, starts := p.beginning(p.draft, p.from)
		theta = slices.Clone(system.Compile(from).Theta)
		f.begin(starts)
	}
	if err := f.solve(ctx, theta, fullSteps); err != nil {
		return nil, err
	}
	storeParameters(m, theta)
	all := &weighing{f: f, theta: theta}
	all.q, all.se = f.judge(theta)
	if p.o.Evidence {
		all.weak = f.weakForm(theta, p.required)
	}
	return all, nil
}

// eliminate drops, one by one, the candidates that the data do not bear out: backward elimination on
// the forecasts themselves. Those whose coefficients are zero go together: without them the fit is the same.
func (p *problem) eliminate(ctx context.Context, all *weighing) (*solution, error) {
	s := &solution{m: all.f.s.Model, theta: all.theta, dropped: map[string]string{}, starts: all.f.starts(all.f.x)}
	f, q, se := all.f, all.q, all.se
	for {
		weak := p.weakest(f, q, s.theta, se)
		if weak == nil {
			return s, nil
		}
		why := map[int]string{}
		for _, k := range weak {
			t := s.m.Terms[k]
			i := len(s.m.Parameters) + k
			scale := expr.MustUnit(t.Unit).Scale
			why[k] = fmt.Sprintf("its coefficient is %.2g ± %.2g %s", s.theta[i]/scale, se[slices.Index(f.free, i)]/scale, t.Unit)
			if p.required(&t) {
				return nil, fmt.Errorf("the data do not bear out the term %q (%s), which is required: %s", t.Name, t.Expression, why[k])
			}
		}
		var err error
		if s, f, err = p.drop(ctx, s, why); err != nil {
			return nil, err
		}
		q, se = f.judge(s.theta)
	}
}

// drop takes terms out of s, each with its reason, and fits the rest again.
func (p *problem) drop(ctx context.Context, s *solution, why map[int]string) (*solution, *fitter, error) {
	s = s.less(p, why)
	f, err := p.fitter(s.m, p.runs, nil)
	if err != nil {
		return nil, nil, err
	}
	f.begin(s.starts)
	s.theta = slices.Clone(f.s.Theta)
	if err := f.solve(ctx, s.theta, warmSteps); err != nil {
		return nil, nil, err
	}
	storeParameters(s.m, s.theta)
	s.starts = f.starts(f.x)
	return s, f, nil
}

// weakest are the terms to drop next, nil if all should stay: those that are zero, else the one that is least sure, or
// saves too little. What dropping costs is told by the quadratic model around the fit, the other parameters
// following (Wald, Trans. Am. Math. Soc. 54, 1943). Terms that people require stay, but a source
// without effect is an error.
func (p *problem) weakest(f *fitter, q *normalEquations, theta, se []float64) (terms []int) {
	m := f.s.Model
	inverse := q.inverse()
	least := 1.0
	for lane, i := range f.free {
		k := i - len(m.Parameters)
		if k < 0 {
			continue
		}
		v := theta[i]
		score := 0.0 // at least 1 to stay
		if v > 0 && inverse != nil && inverse.At(lane, lane) > 0 {
			saves := v * v / inverse.At(lane, lane) / q.cost
			sure := math.Inf(1)
			if se[lane] > 0 {
				sure = v / se[lane]
			}
			score = min(saves/worthwhile, sure/surely)
		}
		if p.required(&m.Terms[k]) {
			if v > 0 || m.Terms[k].Sign < 0 {
				continue
			}
			score = -1
		}
		switch {
		case score < least:
			terms, least = []int{k}, score
		case score == least && v == 0:
			terms = append(terms, k)
		}
	}
	return terms
}

// economise drops proposed terms, the most useless first, as long as the rows held out are forecast as
// well without. It gives the folds of what is left too.
func (p *problem) economise(ctx context.Context, s *solution) (*solution, []*fold, error) {
	splits := p.splits()
	var before []*unseen
	if s.without != nil {
		parts := len(splits) / len(p.runs) // of each run in turn
		for i := range splits {
			from := s.without[i/parts] // without the whole of it, so that the part was not seen either
			if parts > 1 {
				from = &unseen{m: from.m} // it does not know how that run began
			}
			before = append(before, from)
		}
	}
	for {
		folds, err := p.fitFolds(ctx, s.m, splits, before, foldSteps)
		if err != nil {
			return nil, nil, err
		}
		before = withoutThem(folds)
		var proposed []int
		for k := range s.m.Terms {
			if t := &s.m.Terms[k]; !t.Fixed && !p.required(t) && s.m.Sharing(k) == k {
				proposed = append(proposed, k)
			}
		}
		n := len(folds)
		saves := make([]float64, len(proposed)*n) // by term and fold: what the rows held out lose without it, as a share of their cost
		err = parallel(ctx, len(saves), func(i int) error {
			h, t := folds[i%n], &s.m.Terms[proposed[i/n]]
			from, starts := h.without(t.State, t.Name)
			m, ok := p.toggled(from, t.State, t.Name)
			if !ok { // nothing works without it
				saves[i] = math.Inf(1)
				return nil
			}
			without, err := p.foldFit(ctx, h.split, m, starts, lapSteps)
			if err == nil {
				saves[i] = without.trial.cost() - h.cost
			}
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		worst, least := -1, parsimony
		for i, k := range proposed {
			mean := 0.0
			for _, v := range saves[i*n : (i+1)*n] {
				mean += v / float64(n)
			}
			if mean < least {
				worst, least = k, mean
			}
		}
		if worst < 0 {
			return s, folds, nil
		}
		if s, _, err = p.drop(ctx, s, map[int]string{worst: fmt.Sprintf("rows held out are forecast as well without it (%+.1f %% of their cost)", 100*least)}); err != nil {
			return nil, nil, err
		}
	}
}

// refine is the last fit, with its standard errors, and what it tells of them. Here steps are halved: the coefficients are to be
// those of the equation, whatever the steps. Those that whole steps, which forecasts take, cannot follow are of no use:
// at a rate of more than two over a step they swing (Heun's rule). Then it is fitted in whole steps.
func (p *problem) refine(ctx context.Context, s *solution) (*solution, *weighing, error) {
	r := &solution{m: copyOf(s.m), dropped: s.dropped, without: s.without}
	f, err := p.fitter(r.m, p.runs, nil)
	if err != nil {
		return nil, nil, err
	}
	f.begin(s.starts)
	f.halved = 1
	r.theta = slices.Clone(f.s.Theta)
	if err := f.solve(ctx, r.theta, warmSteps); err != nil {
		return nil, nil, err
	}
	if halves := f.data(r.theta); f.inWhole(r.theta) > swings*halves {
		f.halved = 0
		copy(r.theta, f.s.Theta)
		if err := f.solve(ctx, r.theta, warmSteps); err != nil {
			return nil, nil, err
		}
	}
	storeParameters(r.m, r.theta)
	r.starts, r.misfits = f.starts(f.x), f.misfits(r.theta)
	last := &weighing{f: f, theta: r.theta}
	last.q, last.se = f.judge(r.theta)
	for lane, i := range f.free {
		storeError(r.m, i, last.se[lane])
	}
	return r, last, nil
}

// swings is how many times as much whole steps may cost as half ones.
const swings = 2

// inWhole is what the data cost in whole steps.
func (f *fitter) inWhole(theta []float64) float64 {
	whole := *f
	whole.halved = 0
	return whole.data(theta)
}

func (p *problem) required(t *model.Term) bool {
	return slices.ContainsFunc(p.h.Terms, func(h model.HypothesisTerm) bool {
		return h.Name == t.Name && h.Of == t.State && h.Opinion == model.Require
	})
}
