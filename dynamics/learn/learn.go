// Package learn finds the governing equation of a process from its runs: it fits what people propose on
// forecasts, selects the terms that the data bear out, tunes the filter, calibrates the intervals, judges
// the model on rows and runs held out, and gathers the evidence for every candidate.
package learn

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// Options of Learn.
type Options struct {
	Inputs     []string          // names of the columns of Run.U, e.g. SpindlePower, in the units of the hypotheses
	Date       string            // goes into the provenance, RFC 3339
	Hypotheses *model.Hypotheses // nil: those for additive friction stir deposition
	Evidence   bool              // whether to gather [Evidence], which takes as long again
	Unjudged   bool              // leaves out the skill on runs left out, which takes twice as long as the rest
	Seed       uint64            // of the bootstrap

	Progress func(Progress) // nil or told what is being done
}

// Progress tells how far Learn is.
type Progress struct {
	Stage    Stage
	Done, Of int    // stages
	Text     string // what the stage does
	Warning  string // what people should know of their data, "" where it is but progress
}

// Stage is a part of learning.
type Stage string

// The stages, in the order in which they follow each other.
const (
	Prepare   Stage = "prepare"   // active rows, readings that are possible, candidates that have data
	Fit       Stage = "fit"       // all candidates; those that the data do not bear out are dropped
	Tune      Stage = "tune"      // noise of the states
	Select    Stage = "select"    // terms that rows held out do not miss are dropped
	Describe  Stage = "describe"  // coefficients with their standard errors, ranges, plan, provenance
	Calibrate Stage = "calibrate" // intervals
	Judge     Stage = "judge"     // skill on runs left out
	Weigh     Stage = "weigh"     // evidence
)

var stages = []Stage{Prepare, Fit, Tune, Select, Describe, Calibrate, Judge, Weigh}

// Learn fits the hypotheses to runs, which must have the columns of o.Inputs, and gives the model.
// A run is cut to its active rows first. Terms that the data do not bear out are dropped. Errors
// say what is wrong with the data: too little of it, a process that never gets going, inputs that
// do not move, columns that are missing. Learn ends soon after ctx does, with its error.
func Learn(ctx context.Context, given []runs.Run, o Options) (*model.Model, error) {
	p, err := prepare(given, o)
	if err != nil {
		return nil, err
	}
	b, err := p.build(ctx)
	if err != nil {
		return nil, err
	}
	m := b.m
	if !o.Unjudged {
		p.tell(Judge, "judging it by runs left out")
		if m.Skill, m.NotJudged, err = p.judge(ctx, b); err != nil {
			return nil, err
		}
	}
	if o.Evidence {
		p.tell(Weigh, "gathering evidence for every candidate")
		if m.Evidence, err = b.p.weigh(ctx, b); err != nil {
			return nil, err
		}
	}
	if h := o.Hypotheses; h != nil { // the order of the file is how people want it
		at := func(out model.Output) int {
			return slices.IndexFunc(h.Outputs, func(x model.HypothesisOutput) bool { return x.Is == out.Name })
		}
		slices.SortFunc(m.Outputs, func(a, b model.Output) int { return at(a) - at(b) })
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("what was learned makes no model: %w", err)
	}
	return m, nil
}

// built is a model with what its stages found on the way.
type built struct {
	p     *problem  // of these hypotheses, as far as they suit the machine
	all   *weighing // the fit of all candidates
	last  *weighing // and the last
	found *solution
	folds []*fold
	m     *model.Model
}

// build takes the stages from fit to calibrate.
func (p *problem) build(ctx context.Context) (*built, error) {
	b, err := p.equation(ctx)
	if err != nil {
		return nil, err
	}
	p = b.p
	p.tell(Calibrate, "calibrating the intervals on rows held out")
	models, err := p.ready(ctx, b.m, b.folds)
	if err != nil {
		return nil, err
	}
	if b.m.Intervals, err = p.calibrate(ctx, b.m, b.folds, models); err != nil {
		return nil, err
	}
	if b.m.Experience, err = p.experience(ctx, b.m, b.folds, models); err != nil {
		return nil, err
	}
	return b, nil
}

// equation takes those from fit to describe.
func (p *problem) equation(ctx context.Context) (*built, error) {
	p.tell(Fit, "fitting all candidates, dropping what the data do not bear out")
	all, err := p.fit(ctx)
	if err != nil {
		return nil, err
	}
	free, err := p.unbound(ctx, all)
	if err != nil {
		return nil, err
	}
	if free != nil {
		p = free
		if all, err = p.fit(ctx); err != nil {
			return nil, err
		}
	}
	s, err := p.eliminate(ctx, all)
	if err != nil {
		return nil, err
	}
	p.tell(Tune, "choosing the noise of the states")
	if s, err = p.tune(ctx, s); err != nil {
		return nil, err
	}
	p.tell(Select, "choosing terms by rows held out")
	s, folds, err := p.economise(ctx, s)
	if err != nil {
		return nil, err
	}
	if !driven(s.m) {
		return nil, errors.New("no term with an input is left: nothing would drive the process; let the hypotheses propose a source")
	}
	p.tell(Describe, "the coefficients and how well they are known")
	s, last, err := p.refine(ctx, s)
	if err != nil {
		return nil, err
	}
	m, err := p.document(s)
	if err != nil {
		return nil, err
	}
	return &built{p, all, last, s, folds, m}, nil
}
