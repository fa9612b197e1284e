package learn

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// A run whose others make no model is not judged, and the document, the equation and the table say so:
// no row of skill comes from a model that has seen it.
func TestRunsThatCannotBeJudged(t *testing.T) {
	learnsMuch(t)
	h := plantHypotheses(t)
	good, short := simulate(truths["both"], 1), simulate(truths["both"], 2)
	short = *short.Rows(0, 40) // too little to learn from by itself
	short.Name = "short"
	m, err := Learn(t.Context(), []runs.Run{good, short}, Options{Inputs: plantInputs, Hypotheses: h})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.NotJudged) != 1 || m.NotJudged[0].Run != good.Name || !strings.Contains(m.NotJudged[0].Why, "too little data") {
		t.Errorf("not judged: %+v", m.NotJudged)
	}
	for _, s := range m.Skill {
		if s.Run == good.Name {
			t.Errorf("a row of skill without a model of the others: %+v", s)
		}
	}
	if !slices.ContainsFunc(m.Skill, func(s model.Skill) bool { return s.Run == "short" && s.HeldOut }) {
		t.Errorf("%s makes a model, and %s is not judged by it", good.Name, short.Name)
	}
	if text := model.Equation(m); !strings.Contains(text, "How the equation does on "+good.Name+" when it has not seen it is unknown") {
		t.Error(text)
	}
}

// Stages come in their order, each once, and cancelling in any of them ends it with the context's error.
func TestLearnTellsItsStagesAndEndsInAnyOfThem(t *testing.T) {
	learnsMuch(t)
	h := plantHypotheses(t)
	given := []runs.Run{simulate(truths["loss"], 1), simulate(truths["loss"], 2)}
	given[1].Name = "another"
	given = []runs.Run{*given[0].Rows(0, 150), *given[1].Rows(0, 150)}
	o := Options{Inputs: plantInputs, Hypotheses: h, Evidence: true}
	for _, last := range append([]Stage{""}, stages...) {
		ctx, cancel := context.WithCancel(t.Context())
		var seen []Stage
		o.Progress = func(p Progress) {
			if p.Done != slices.Index(stages, p.Stage) || p.Of != len(stages) || p.Text == "" {
				t.Errorf("%+v", p)
			}
			if seen = append(seen, p.Stage); p.Stage == last {
				cancel()
			}
		}
		_, err := Learn(ctx, given, o)
		cancel()
		want := stages[:slices.Index(stages, last)+1]
		if last == "" {
			want = stages
		}
		if last == "" && err != nil || last != "" && !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in %q: %v", last, err)
		}
		// A stage without work of its own hands over to the next before anyone asks.
		if len(seen) < len(want) || len(seen) > len(want)+1 || !slices.Equal(seen[:len(want)], want) {
			t.Errorf("cancelled in %q: stages %v", last, seen)
		}
	}
}

// Of many runs a share is left out at a time; every run is judged all the same, by a model of others.
func TestManyRunsAreJudgedInParts(t *testing.T) {
	learnsMuch(t)
	h := plantHypotheses(t)
	var given []runs.Run
	for i := range uint64(judgeParts + 2) {
		r := simulate(truths["loss"], i+1)
		r = *r.Rows(0, 100)
		r.Name = string(rune('a' + i))
		given = append(given, r)
	}
	p, err := prepare(given, Options{Inputs: plantInputs, Hypotheses: h})
	if err != nil {
		t.Fatal(err)
	}
	skill, not, err := p.judge(t.Context(), &built{m: p.draft, found: &solution{}})
	if err != nil || len(not) > 0 {
		t.Fatal(err, not)
	}
	for _, r := range given {
		if !slices.ContainsFunc(skill, func(s model.Skill) bool { return s.Run == r.Name && s.HeldOut && s.Count > 0 }) {
			t.Errorf("%s is not judged", r.Name)
		}
	}
}
