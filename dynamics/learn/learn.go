// Package learn finds the governing equation of a process from its runs: it fits what people propose on
// forecasts, selects the terms that the data bear out, tunes the filter, calibrates the intervals, judges
// the model on rows and runs held out, and gathers the evidence for every candidate.
package learn

import (
	"errors"
	"fmt"
	"slices"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

// Options of Learn.
type Options struct {
	Inputs     []string          // names of the columns of Run.U, e.g. SpindlePower, in the units of the hypotheses
	Date       string            // goes into the provenance, RFC 3339
	Hypotheses *model.Hypotheses // nil: those for additive friction stir deposition
	Evidence   bool              // whether to gather [Evidence], which takes as long again
	Seed       uint64            // of the bootstrap

	Progress func(step string) // nil or told what is being done
}

const (
	minRows    = 60   // of usable readings, over all runs
	rowsEach   = 5    // of those that forecasts are judged on, for each number to learn
	surely     = 3.0  // standard errors that a coefficient must be from zero
	worthwhile = 5e-3 // and share of the cost that its term must save
	parsimony  = 5e-3 // and share of the cost of rows held out that it must save
	fullSteps  = 20   // iterations of a fit from the starting values
	warmSteps  = 8    // and of one from values that are nearly right
	foldSteps  = 9
	lapSteps   = 3 // and of one that only tells if a term is missed
	manyRuns   = 4 // from so many on whole runs are held out in turn, below that halves
)

// Learn fits the hypotheses to runs, which must have the columns of o.Inputs, and gives the model.
// A run is cut to its active rows first. Terms that the data do not bear out are dropped. Errors
// say what is wrong with the data: too little of it, a process that never gets going, inputs that
// do not move, columns that are missing.
func Learn(given []runs.Run, o Options) (*model.Model, error) {
	l, err := newLearner(given, o)
	if err != nil {
		return nil, err
	}
	if err := l.learn(); err != nil {
		return nil, err
	}
	return l.m, nil
}

// learner holds what Learn has made so far.
type learner struct {
	h     *model.Hypotheses
	o     Options
	runs  []*runs.Run // active rows, columns of the draft
	m     *model.Model
	theta []float64 // SI, of m

	without map[string]string // by [candidate]: what input it lacks
	dropped map[string]string // by candidate: why
	all     weighing          // of the fit of all candidates
	weak    map[string]model.WeakForm
	folds   []*fold
	starts  []map[string]float64 // by run
}

// weighing is a fit that evidence is drawn from.
type weighing struct {
	f     *fitter
	q     *normalEquations
	theta []float64
	se    []float64
}

// fitter makes a fitter of m over runs; masks says which rows count, nil all. Runs of which no row
// counts are left out.
func (l *learner) fitter(m *model.Model, all []*runs.Run, masks [][]bool) (*fitter, error) {
	var rs []*fitRun
	for i, r := range all {
		if masks != nil && !slices.Contains(masks[i], true) {
			continue
		}
		c, err := r.For(m)
		if err != nil {
			return nil, err
		}
		var mask []bool
		if masks != nil {
			mask = masks[i]
		}
		rs = append(rs, newFitRun(m, c, mask))
	}
	return newFitter(system.CompileForFit(m), rs), nil
}

// learn builds the model, judges it, and gathers the evidence.
func (l *learner) learn() error {
	if err := l.build(); err != nil {
		return err
	}
	if err := l.judge(); err != nil {
		return err
	}
	if l.o.Evidence {
		l.progress("gathering evidence for every candidate")
		if err := l.weigh(); err != nil {
			return err
		}
	}
	if err := l.m.Check(); err != nil {
		return fmt.Errorf("what was learned makes no model: %w", err)
	}
	return nil
}

// build finds the terms, their parameters, the noise and the intervals.
func (l *learner) build() error {
	l.progress("fitting all candidates, dropping what the data do not bear out")
	if err := l.fit(); err != nil {
		return err
	}
	l.progress("choosing noise and terms by rows held out")
	if err := l.settle(); err != nil {
		return err
	}
	if !driven(l.m) {
		return errors.New("no term with an input is left: nothing would drive the process; let the hypotheses propose a source")
	}
	l.progress("judging it by runs held out")
	if err := l.document(); err != nil {
		return err
	}
	return l.calibrateIntervals()
}

func (l *learner) progress(step string) {
	if l.o.Progress != nil {
		l.o.Progress(step)
	}
}

// plan gives m a plan learned from the rows that masks allow.
func (l *learner) plan(m *model.Model, masks [][]bool) error {
	var seen []*runs.Run
	for i, r := range l.runs {
		if slices.Contains(masks[i], true) {
			r, err := r.For(m)
			if err != nil {
				return err
			}
			seen = append(seen, r.Only(masks[i]))
		}
	}
	m.Plan = learnPlan(m, seen) // nil where there are too few rows to learn one from
	return nil
}
