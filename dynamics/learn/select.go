package learn

import (
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
)

// fit starts with all candidates and drops, one by one, those that the data do not bear out:
// backward elimination on the forecasts themselves.
func (l *learner) fit() error {
	f, err := l.fitter(l.m, l.runs, nil)
	if err != nil {
		return err
	}
	theta := slices.Clone(f.s.Theta)
	f.solve(theta, fullSteps)
	storeParameters(l.m, theta)
	for {
		q, se := f.judge(theta)
		if l.all.f == nil {
			l.all = weighing{f, q, slices.Clone(theta), se}
			if l.o.Evidence {
				l.weak = f.weakForm(theta, l.required)
			}
		}
		k := l.weakest(f, q, theta, se)
		if k < 0 {
			break
		}
		t := l.m.Terms[k]
		why := fmt.Sprintf("its coefficient is %.2g ± %.2g %s", theta[len(l.m.Parameters)+k]/expr.MustUnit(t.Unit).Scale, se[slices.Index(f.free, len(l.m.Parameters)+k)]/expr.MustUnit(t.Unit).Scale, t.Unit)
		if l.required(&t) {
			return fmt.Errorf("the data do not bear out the term %q (%s), which is required: %s", t.Name, t.Expression, why)
		}
		if f, theta, err = l.drop(k, why); err != nil {
			return err
		}
	}
	l.theta = theta
	return nil
}

// drop takes term k out of the model and fits the rest again.
func (l *learner) drop(k int, why string) (*fitter, []float64, error) {
	t := l.m.Terms[k]
	m := *l.m
	m.Terms = slices.Delete(slices.Clone(m.Terms), k, k+1)
	m.Parameters = slices.Clone(m.Parameters)
	prune(&m)
	f, err := l.fitter(&m, l.runs, nil)
	if err != nil {
		return nil, nil, err
	}
	l.m = &m
	l.dropped[model.CandidateName(t.State, t.Name)] = why
	theta := slices.Clone(f.s.Theta)
	f.solve(theta, warmSteps)
	storeParameters(l.m, theta)
	return f, theta, nil
}

// settle chooses the noise of the states, and drops terms that rows held out do not miss.
func (l *learner) settle() error {
	if len(l.runs) > 1 {
		for _, coarse := range []float64{firstStep, math.Sqrt(firstStep)} {
			if err := l.tune(coarse); err != nil {
				return err
			}
		}
	}
	l.hold()
	if err := l.refold(); err != nil {
		return err
	}
	if err := l.economise(); err != nil {
		return err
	}
	f, err := l.fitter(l.m, l.runs, nil)
	if err != nil {
		return err
	}
	// Here steps are halved: the coefficients are to be those of the equation, whatever the steps.
	f.halved = 1
	l.theta = slices.Clone(f.s.Theta)
	f.solve(l.theta, warmSteps)
	storeParameters(l.m, l.theta)
	l.starts = f.starts()
	_, se := f.judge(l.theta)
	for lane, p := range f.free {
		storeError(l.m, p, se[lane])
	}
	return nil
}

// tune chooses the noise of the states by forecasts of every run with what was learned from the
// others, and of all runs with what was learned from all: how much a filter should adapt is told by
// runs that its equation has not seen. One run alone cannot tell.
func (l *learner) tune(coarse float64) error {
	f, err := l.fitter(l.m, l.runs, nil)
	if err != nil {
		return err
	}
	trials := make([]trial, len(l.runs), len(l.runs)+1)
	err = l.parallel(len(l.runs), func(i int) (err error) {
		h := l.holding(func(run, _, _ int) bool { return run == i })
		trials[i], _, err = l.foldFit(h, l.fresh(l.m), foldSteps)
		return err
	})
	if err != nil {
		return err
	}
	l.m.States = slices.Clone(l.m.States)
	tune(l.m, l.h.Draft(nil), append(trials, trial{f, l.theta}), coarse)
	f.solve(l.theta, warmSteps)
	storeParameters(l.m, l.theta)
	return nil
}

// economise drops proposed terms, the most useless first, as long as the rows held out are forecast
// as well without.
func (l *learner) economise() error {
	for {
		var proposed []int
		for k := range l.m.Terms {
			if t := &l.m.Terms[k]; !t.Fixed && !l.required(t) {
				proposed = append(proposed, k)
			}
		}
		n := len(l.folds)
		saves := make([]float64, len(proposed)*n) // by term and fold: what the rows held out lose without it, as a share of their cost
		err := l.parallel(len(saves), func(i int) error {
			h, t := l.folds[i%n], &l.m.Terms[proposed[i/n]]
			m, ok := l.toggled(h.m, t.State, t.Name)
			if !ok { // nothing works without it
				saves[i] = math.Inf(1)
				return nil
			}
			without, _, err := l.foldFit(h, m, lapSteps)
			if err == nil {
				saves[i] = without.cost() - h.cost
			}
			return err
		})
		if err != nil {
			return err
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
			return nil
		}
		_, theta, err := l.drop(worst, fmt.Sprintf("rows held out are forecast as well without it (%+.1f %% of their cost)", 100*least))
		if err != nil {
			return err
		}
		l.theta = theta
		if err := l.refold(); err != nil {
			return err
		}
	}
}

func (l *learner) required(t *model.Term) bool {
	return slices.ContainsFunc(l.h.Terms, func(h model.HypothesisTerm) bool {
		return h.Name == t.Name && h.Of == t.State && h.Opinion == model.Require
	})
}

// weakest is the term to drop next, -1 if all should stay: the one that is least sure, or saves
// too little. Terms that people require stay, but a source without effect is an error. What dropping costs is told by the quadratic model around the fit, the other
// parameters following (Wald).
func (l *learner) weakest(f *fitter, q *normalEquations, theta, se []float64) int {
	inverse := q.inverse()
	worst, least := -1, 1.0
	for lane, p := range f.free {
		k := p - len(l.m.Parameters)
		if k < 0 {
			continue
		}
		v := theta[p]
		score := 0.0 // at least 1 to stay
		if v > 0 && inverse != nil && inverse.At(lane, lane) > 0 {
			saves := v * v / inverse.At(lane, lane) / q.cost
			sure := math.Inf(1)
			if se[lane] > 0 {
				sure = v / se[lane]
			}
			score = min(saves/worthwhile, sure/surely)
		}
		if l.required(&l.m.Terms[k]) {
			if v > 0 || l.m.Terms[k].Sign < 0 {
				continue
			}
			score = -1
		}
		if score < least {
			worst, least = k, score
		}
	}
	return worst
}
