package learn

import (
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

// ways are those that the model can forecast in.
func (l *learner) ways() []filter.Way {
	if l.m.Plan == nil {
		return []filter.Way{filter.Known, filter.Held}
	}
	return []filter.Way{filter.Known, filter.Held, filter.Planned}
}

// judge fills in the table of skill: of every run by a model of the others.
func (l *learner) judge() error {
	ways := l.ways()
	rows := make([][]model.Skill, len(l.runs))
	err := l.parallel(len(l.runs), func(i int) error {
		m := l.m
		if len(l.runs) > 1 {
			var err error
			if m, err = l.ofOthers(i); err != nil {
				return err
			}
		}
		for _, w := range ways {
			if w == filter.Planned && m.Plan == nil {
				continue // the others did not show one
			}
			s, err := score.Score(m, l.runs[i], w, score.Horizons, 0, len(l.runs[i].Time))
			if err != nil {
				return err
			}
			rows[i] = append(rows[i], s...)
		}
		return nil
	})
	for _, s := range rows {
		l.m.Skill = append(l.m.Skill, s...)
	}
	return err
}

// ofOthers is a model of all runs but number i. It owes that run nothing: its terms, noise, plan and
// intervals are its own too. From manyRuns on only the parameters and the plan are, since one run of
// many hardly moves the rest.
func (l *learner) ofOthers(i int) (*model.Model, error) {
	if len(l.runs) < manyRuns {
		var others []runs.Run
		for k, r := range l.runs {
			if k != i {
				others = append(others, *r)
			}
		}
		o := Options{Inputs: l.runs[0].Inputs, Hypotheses: l.h, Date: l.o.Date}
		if sub, err := newLearner(others, o); err == nil && sub.build() == nil {
			return sub.m, nil
		} // what the others do not bear out, they cannot be asked to forecast by their own choice of terms
	}
	h := l.holding(func(run, _, _ int) bool { return run == i })
	m, err := l.refit(l.fresh(l.m), h.learn, foldSteps)
	if err != nil {
		return nil, err
	}
	if l.m.Plan != nil {
		if err := l.plan(m, h.learn); err != nil {
			return nil, err
		}
	}
	m.Provenance.Runs = slices.Delete(slices.Clone(m.Provenance.Runs), i, i+1)
	return m, nil
}
