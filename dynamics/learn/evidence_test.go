package learn

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// learnedPlant learns the plant with evidence.
func learnedPlant(t *testing.T, h *model.Hypotheses, runs ...runs.Run) *model.Model {
	t.Helper()
	m, err := Learn(t.Context(), runs, Options{Inputs: plantInputs, Hypotheses: h, Evidence: true, Unjudged: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func candidateOf(e *model.Evidence, state, name string) *model.Candidate {
	for i := range e.Candidates {
		if c := &e.Candidates[i]; c.State == state && c.Name == name {
			return c
		}
	}
	return nil
}

// Of a plant that loses heat to its path, and not by its spin, the evidence says so.
func TestEvidence(t *testing.T) {
	learnsMuch(t)
	h := plantHypotheses(t)
	h.Terms = append(h.Terms, model.HypothesisTerm{Of: "T", Name: "magic", Sign: "+", Expression: "n", Unit: "K/rad", Opinion: model.Forbid})
	runs := []runs.Run{simulate(truths["path"], 4), simulate(truths["path"], 5)}
	runs[1].Name = "another"
	m := learnedPlant(t, h, runs...)
	e := m.Evidence
	path, spin := candidateOf(e, "T", "path"), candidateOf(e, "T", "spin")
	if path.Verdict != model.Kept || path.Inclusion < 0.9 || !(path.LeftOut[2] > 0.5) || path.Coefficient == 0 || path.StdErr == 0 {
		t.Errorf("path: %+v", path)
	}
	if spin.Verdict != model.Dropped || spin.Why == "" || spin.Inclusion > 0.5 || len(spin.LeftOut) == 0 || spin.LeftOut[2] > 0.1*path.LeftOut[2] {
		t.Errorf("spin: %+v", spin)
	}
	if c := candidateOf(e, "T", "magic"); c.Verdict != model.Forbidden {
		t.Errorf("magic: %+v", c)
	}
	if c := candidateOf(e, "T", "path"); !slices.ContainsFunc(c.Rivals, func(r model.Rival) bool { return r.Name == "heat of T" && r.Correlation > 0 }) {
		t.Errorf("heat and path balance each other: %+v", c.Rivals)
	}
	for _, c := range e.Candidates {
		if c.Verdict == model.Kept && !(c.Identifiability > 0 && c.Identifiability <= 1) {
			t.Errorf("%s: identifiability %g", c.Name, c.Identifiability)
		}
	}
	if !(e.Base[0] > 0 && e.Base[4] > e.Base[0]) {
		t.Errorf("base %v", e.Base)
	}
	text := model.Equation(m)
	for _, want := range []string{"path of T", "forbidden", "people forbid it"} {
		if !strings.Contains(text, want) {
			t.Errorf("the print does not say %q:\n%s", want, text)
		}
	}
	again := learnedPlant(t, h, runs...)
	if !reflect.DeepEqual(m.Evidence, again.Evidence) {
		t.Error("gathered twice, the evidence differs")
	}
}

// Two candidates that act alike are told to be rivals, and their combination to be doubtful.
func TestEvidenceOfRivals(t *testing.T) {
	learnsMuch(t)
	h := plantHypotheses(t)
	for i := range h.Terms {
		if h.Terms[i].Name == "path" {
			h.Terms[i].Opinion = model.Require
		}
	}
	h.Terms = append(h.Terms, model.HypothesisTerm{Of: "T", Name: "path too", Sign: "-", Expression: "v*(T - Tm/14)", Unit: "1/mm", Start: 5e-4, Opinion: model.Require})
	m := learnedPlant(t, h, simulate(truths["path"], 4))
	c := candidateOf(m.Evidence, "T", "path")
	if c.Identifiability > 0.01 || len(c.Rivals) == 0 || c.Rivals[0].Name != "path too of T" || c.Rivals[0].Correlation > -0.9 {
		t.Errorf("path: %+v", c)
	}
	if len(m.Evidence.Doubtful) == 0 {
		t.Fatal("nothing is doubtful")
	}
	var parts []string
	for _, p := range m.Evidence.Doubtful[0].Parts {
		parts = append(parts, p.Name)
	}
	if !slices.Contains(parts, "path of T") && !slices.Contains(parts, "path too of T") {
		t.Errorf("doubtful: %+v", m.Evidence.Doubtful)
	}
}

// A path that never moves cannot be told from a constant loss: the one that people require takes all of
// it. The first advice says what to do, and a run that follows it puts both right.
func TestExperimentsTellMore(t *testing.T) {
	learnsMuch(t)
	h := plantHypotheses(t)
	for i := range h.Terms {
		if h.Terms[i].Name == "path" {
			h.Terms[i].Opinion = model.Require
		}
	}
	truth := truths["path"]
	still := func(i int) [3]float64 {
		u := [3]float64{7000, 400, 500 + 3*math.Sin(float64(i)/9)}
		if i%300 > 260 {
			u[0], u[1] = 0, 0
		} else if i%60 < 30 {
			u[0] = 6000
		}
		return u
	}
	before := simulateInputs(truth, 1, 720, still)
	m := learnedPlant(t, h, before)
	if c := candidateOf(m.Evidence, "T", "loss"); c.Verdict != model.Dropped || c.Identifiability > 1e-3 || len(c.Rivals) == 0 || c.Rivals[0].Name != "path of T" {
		t.Errorf("before: %+v", c)
	}
	advice := m.Evidence.Advice
	if len(advice) == 0 || !slices.IsSortedFunc(advice, func(a, b model.Experiment) int { return int(math.Copysign(1, b.Worth-a.Worth)) }) {
		t.Fatalf("advice %+v", advice)
	}
	e := advice[0]
	if e.Settles[0] != "loss of T" || e.Gain < 2 {
		t.Errorf("first advice %+v", e)
	}
	column := slices.Index(plantInputs, e.Input)
	done := simulateInputs(truth, 2, int(warmUpTime+e.Hold+afterTime), func(i int) [3]float64 {
		u := still(0)
		if float64(i) >= warmUpTime && float64(i) < warmUpTime+e.Hold {
			if column < 0 {
				return [3]float64{}
			}
			u[column] = e.To
		}
		return u
	})
	done.Name = "advised"
	after := learnedPlant(t, h, before, done)
	for _, name := range []string{"loss", "path"} {
		c := candidateOf(after.Evidence, "T", name)
		if c.Verdict != model.Kept || math.Abs(c.Coefficient/truth[name]-1) > 0.2 {
			t.Errorf("%s, then %s is %s at %.3g %s, the truth is %.3g", e.Text, name, c.Verdict, c.Coefficient, c.Unit, truth[name])
		}
	}
}
