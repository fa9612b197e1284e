package control

import (
	"math"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
)

// The gains that are proposed for a model hold the loop on what the model says of a step.
func TestTuneAtAWorkingPointOfAModel(t *testing.T) {
	m, err := model.Load("../cmd/stirwatch/demo_model.json") // learned on simulated builds
	if err != nil {
		t.Fatal(err)
	}
	p := WorkingPoint{Output: model.ToolTemperature, Moves: model.SpindleSpeed, Value: 455, At: map[string]float64{model.SpindleSpeed: 300}, Within: 600}
	r, err := p.Respond(m)
	if err != nil {
		t.Fatal(err)
	}
	if r.Gain < 0.1 || r.Gain > 2 || r.Tau < 10 || r.Tau > 600 || r.Dead < 0 || r.Dead > 100 {
		t.Errorf("more spindle speed makes more heat, within minutes: %+v", r)
	}
	if p.Step <= 0 || p.At[model.SpindleSpeed] != 300 {
		t.Errorf("%+v", p)
	}
	all := r.Simulate(r.Tune(2, 1).Gains, 1)
	last, most := all[len(all)-1], 0.0
	for _, x := range all {
		most = max(most, x.Output)
	}
	if math.Abs(last.Output-1) > 0.02 || most > 1.2 || math.Abs(last.Target*r.Gain-1) > 0.05 {
		t.Errorf("ends at %+v, at most %g", last, most)
	}
	for _, c := range []struct {
		p    WorkingPoint
		says string
	}{
		{WorkingPoint{Output: "pressure", Moves: model.SpindleSpeed, Within: 600}, `no output "pressure"`},
		{WorkingPoint{Output: model.ToolTemperature, Moves: "mood", Within: 600}, `no input "mood"`},
	} {
		if _, err := c.p.Respond(m); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.p, err)
		}
	}
}
