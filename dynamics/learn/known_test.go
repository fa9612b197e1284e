package learn

import (
	"math"
	"testing"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

// knowing is the plant's hypotheses, which know its numbers well beforehand: heat and loss are as given, give or take a tenth.
func knowing(t *testing.T, heat, loss float64) *model.Hypotheses {
	h := plantHypotheses(t)
	for i := range h.Terms {
		switch term := &h.Terms[i]; term.Name {
		case "heat":
			term.Start, term.SD = heat, heat/10
		case "loss":
			term.Start, term.SD = loss, loss/10
		}
	}
	return h
}

// What is known of other machines stays where it may be true, and is left out where it is not: a run that was not learned
// from is then forecast as well as if nothing had been known.
func TestWhatIsKnownOfOtherMachines(t *testing.T) {
	truth := truths["path"]
	var given []runs.Run
	for i := range uint64(2) {
		given = append(given, simulate(truth, i))
	}
	unseen := simulate(truth, 9)
	unseen.Inputs, unseen.Outputs = plantInputs, []string{model.ToolTemperature}
	rmse := func(h *model.Hypotheses) (*model.Model, float64) {
		m, err := Learn(t.Context(), given, Options{Inputs: plantInputs, Hypotheses: h, Unjudged: true})
		if err != nil {
			t.Fatal(err)
		}
		skill, err := score.Score(m, &unseen, filter.Known, []float64{30}, 0, len(unseen.Time))
		if err != nil {
			t.Fatal(err)
		}
		return m, skill[0].RMSE
	}
	_, nothing := rmse(plantHypotheses(t))
	for _, c := range []struct {
		what       string
		heat, loss float64
		left       bool
	}{
		{"of this machine", truth["heat"], truth["loss"], false},
		{"nearly of this machine", 0.98 * truth["heat"], 1.02 * truth["loss"], false},
		{"of a machine of another size", 4 * truth["heat"], 4 * truth["loss"], true},
		{"of a machine that is cooled otherwise", truth["heat"], 6 * truth["loss"], true},
	} {
		m, found := rmse(knowing(t, c.heat, c.loss))
		conflict := m.Provenance.PriorConflict
		t.Logf("known %s: RMSE %.3f °C, %.3f knowing nothing; conflict %.2f", c.what, found, nothing, conflict)
		if left := conflict > 0; left != c.left {
			t.Errorf("known %s: left out %v, want %v", c.what, left, c.left)
		}
		if found > 1.05*nothing {
			t.Errorf("known %s: RMSE %.3f °C where knowing nothing has %.3f", c.what, found, nothing)
		}
		for _, term := range m.Terms {
			if term.Name == "heat" && (term.Prior == nil) != c.left {
				t.Errorf("known %s: the model says that heat was known beforehand: %v", c.what, term.Prior != nil)
			}
		}
		if c.left && math.Sqrt(1/(1-1.0/3)) > conflict {
			t.Errorf("known %s: left out for a conflict of %.2f", c.what, conflict)
		}
	}
}

// The last fit takes half steps. Numbers that it finds and whole steps cannot follow are not taken: a rate of 1.9 1/s of
// a node within a second's step.
func TestWholeStepsFollowWhatWasLearned(t *testing.T) {
	p, err := prepare([]runs.Run{simulate(truths["path"], 1)}, Options{Inputs: plantInputs, Hypotheses: plantHypotheses(t)})
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &solution{m: all.f.s.Model, theta: all.theta, dropped: map[string]string{}}
	r, last, err := p.refine(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if last.f.halved != 1 {
		t.Error("a slow plant is refined in whole steps")
	}
	fast := copyOf(r.m)
	for i := range fast.Terms {
		if fast.Terms[i].Name == "loss" {
			fast.Terms[i].Coefficient = 2.2
		}
	}
	f, err := p.fitter(fast, p.runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.halved = 1
	if whole, halves := f.inWhole(f.s.Theta), f.data(f.s.Theta); !(whole > swings*halves) {
		t.Errorf("a loss of 2.2 1/s costs %g in whole steps, %g in half ones", whole, halves)
	}
}
