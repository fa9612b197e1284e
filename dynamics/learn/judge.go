package learn

import (
	"context"
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

// judgeParts is how many models of a part of the runs are learned at most to judge by.
const judgeParts = 5

// ways are those that m can forecast in by itself, and has intervals for.
func ways(m *model.Model) []filter.Way {
	if !m.Planned() {
		return []filter.Way{filter.Known, filter.Held}
	}
	return []filter.Way{filter.Known, filter.Held, filter.Planned}
}

// judge makes the table of skill: of every run by a model of others, which owes it nothing: terms,
// parameters, noise, plan and intervals are learned anew without it. One run at a time is left out, and
// of more than judgeParts a share. Where the others do not make a model the run is not judged, and the
// document says why. A run that is alone is scored in sample.
func (p *problem) judge(ctx context.Context, b *built) (skill []model.Skill, not []model.NotJudged, err error) {
	all := append([]filter.Way{filter.Live}, ways(b.m)...)
	rows := make([][]model.Skill, len(p.runs)*len(all)) // by run and way
	parts := min(judgeParts, len(p.runs))
	failed := make([]error, parts)
	err = parallel(ctx, parts, func(part int) error {
		others := b.m
		if parts > 1 {
			var err error
			var from *unseen
			if parts == len(p.runs) && b.found.without != nil {
				from = b.found.without[part]
			}
			if others, err = p.ofOthers(ctx, func(i int) bool { return i%parts == part }, from); err != nil {
				failed[part] = err
				return ctx.Err()
			}
		}
		return parallel(ctx, len(rows), func(k int) (err error) {
			run, way := p.runs[k/len(all)], all[k%len(all)]
			if k/len(all)%parts != part || way == filter.Planned && !others.Planned() { // the others did not show a plan
				return nil
			}
			rows[k], err = score.Score(others, run, way, score.Horizons, 0, len(run.Time))
			return err
		})
	})
	skill = slices.Concat(rows...)
	for i := range p.runs {
		if err := failed[i%parts]; err != nil {
			not = append(not, model.NotJudged{Run: p.runs[i].Name, Why: err.Error()})
		}
	}
	return skill, not, err
}

// ofOthers is a model learned from the runs that out does not leave out, whose first fit begins with what they have told.
func (p *problem) ofOthers(ctx context.Context, out func(run int) bool, from *unseen) (*model.Model, error) {
	var others []runs.Run
	for i, r := range p.runs {
		if !out(i) {
			others = append(others, *r)
		}
	}
	sub, err := prepare(others, Options{Inputs: p.runs[0].Inputs, Hypotheses: p.h, Date: p.o.Date})
	if err != nil {
		return nil, err
	}
	sub.from = from
	b, err := sub.build(ctx)
	if err != nil {
		return nil, err
	}
	return b.m, nil
}
