package control

import (
	"math"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/sensors/unit"
)

// The gains that are proposed for a model hold the loop on what the model says of a step.
func TestTuneAtAWorkingPointOfAModel(t *testing.T) {
	m, err := model.Load("../cmd/demo/model.json") // learned on simulated builds
	if err != nil {
		t.Fatal(err)
	}
	p := WorkingPoint{Output: model.ToolTemperature, Moves: model.SpindleSpeed, Value: 455, At: map[string]float64{model.SpindleSpeed: 300}, Within: 600}
	r, err := p.Respond(m)
	if err != nil {
		t.Fatal(err)
	}
	if r.Gain < 0.1 || r.Gain > 0.4 || r.Tau < 2 || r.Tau > 7 || r.Dead < 1 || r.Dead > 2.5 { // the simulated machine itself: 0.2 to 0.3 K/rpm, 3 s, 1.6 s
		t.Errorf("what more spindle speed does: %+v", r)
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

// Prediction commands no more than its model knows, in the target's unit.
func TestLimitsOfWhatAModelWasLearnedOn(t *testing.T) {
	m := &model.Model{Inputs: []model.Input{{Name: "heater", Unit: "%", Min: 5, Max: 80}, {Name: "given", Unit: "%"}}}
	for _, c := range []struct {
		moves, unit string
		of, want    Limits
	}{
		{"heater", "%", Limits{Min: 0, Max: 100, Slew: 7}, Limits{Min: 5, Max: 80, Slew: 7}},
		{"heater", "1", Limits{Min: 0, Max: 0.5}, Limits{Min: 0.05, Max: 0.5}},
		{"given", "%", Limits{Min: 0, Max: 100}, Limits{Min: 0, Max: 100}},
		{"", "°C", Limits{Min: 300, Max: 480}, Limits{Min: 300, Max: 480}},
	} {
		got, err := Use{Moves: c.moves, TargetUnit: unit.MustParse(c.unit)}.Learned(m, c.of)
		if err != nil || math.Abs(got.Min-c.want.Min) > 1e-12 || got.Max != c.want.Max || got.Slew != c.want.Slew {
			t.Errorf("%s: %+v, %v, want %+v", c.moves, got, err, c.want)
		}
	}
	if _, err := (Use{Moves: "heater", TargetUnit: unit.MustParse("%")}).Learned(m, Limits{Min: 85, Max: 100}); err == nil || !strings.Contains(err.Error(), "learned between 5 and 80 %") {
		t.Errorf("nothing is left: %v", err)
	}
}
