package control

import (
	"math"
	"testing"

	"stirwatch/dynamics/model"
)

// Gains beside a machine's own controller: the goal is come to, the loop has the margins that are told, and swings when the process does more
// than the gain margin says.
func TestTuneBesideAController(t *testing.T) {
	for name, c := range map[string]Cascade{
		"as measured": {Response{Gain: 0.2, Tau: 2.6, Dead: 1.6}, 0.35, 0.39},
		"slow":        {Response{Gain: 0.3, Tau: 9, Dead: 2.5}, 0.3, 0.05},
		"kelvins":     {Response{Gain: 0.05, Tau: 4, Dead: 0.8}, 1, 1},
	} {
		const every = 0.1
		p, err := c.Tune(1, every)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Logf("%s: %+v", name, p)
		if p.GainMargin < leastGain || p.PhaseMargin < leastPhase || !(p.Gain > 0) || !(p.Integral > 0) {
			t.Errorf("%s: %+v", name, p)
		}
		comesToRest(t, name, p, 0.15, func(gain float64) []Moment {
			k := c
			k.Gain *= gain
			return k.Simulate(p.Gains, every)
		})
	}
	fast := Cascade{Response{Gain: 0.2, Tau: 2.6, Dead: 1.6}, 3, 2}
	if p, err := fast.Tune(1, 0.1); err == nil {
		t.Errorf("beside a controller that is as fast as the rules: %+v", p)
	}
}

// The demo's model proposes gains for where the machine deposits, near those that a search on simulated builds found (1.5, 14 s, 6 s), the same for its spindle, and a
// spindle of which the tool is not lifted off.
func TestAModelProposesGainsForItsController(t *testing.T) {
	m, err := model.Load("../cmd/demo/model.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := BesideController(m, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", p)
	if p.Gain < 1 || p.Gain > 2 || p.Integral < 8 || p.Integral > 20 || p.Derivative < 4 || p.Derivative > 8 {
		t.Errorf("%+v", p)
	}
	w := WorkingPoint{Output: model.ToolTemperature, Moves: model.SpindleSpeed, Value: math.NaN()}
	r, err := w.Respond(m)
	if err != nil || r.Gain < 0.1 || r.Gain > 0.4 { // the twin does 0.17 to 0.3 K/rpm
		t.Errorf("%+v, %v", r, err)
	}
	if w.Value < 440 || w.Value > 480 || w.At[model.SpindleSpeed] < 300 {
		t.Errorf("the working point is %+v", w)
	}
	on, err := OnSpindle(m, 0.1)
	t.Logf("%+v", on)
	if err != nil || on.Gain < 4 || on.Gain > 9 || on.Integral < 2 || on.Integral > 6 || on.Derivative < 0.4 || on.Derivative > 2 { // the search found 6 rpm/K, 5 s, 1.5 s
		t.Errorf("%+v, %v", on, err)
	}
	none := *m
	none.Plan = nil
	if _, err := BesideController(&none, 0.1); err == nil {
		t.Error("gains for a controller that nobody has learned")
	}
}
