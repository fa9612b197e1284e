package filter

import (
	"math"
	"testing"

	"stirwatch/dynamics/model"
)

func planOf() (*Planner, []float64) {
	m := &model.Model{
		Inputs: []model.Input{{Name: model.SpindlePower, Unit: "W"}, {Name: model.SpindleSpeed, Unit: "rpm"}, {Name: model.PathVelocity, Unit: "mm/min"}, {Name: model.ZVelocity, Unit: "mm/min"}},
		Plan: &model.Plan{RateGain: 0.4, ErrorGain: 0.4, Min: 300, Max: 450, Slew: 50, Power: [3]float64{3000, 10, 1},
			Smooth: 20, Memory: 100, Ripple: 5, Free: 4, Rows: 100},
	}
	return NewPlanner(m), []float64{3000 + 10*400 + 500 + 600, 400, 500, 0} // 600 W more than usual
}

// The controller turns the speed, within its limits; the power follows and returns to what is usual.
func TestPlanFollowsTheController(t *testing.T) {
	q, u := planOf()
	for range 100 {
		q.Observe(1, 460, u, true)
	}
	q.Start(u, 460)
	for range 30 {
		q.Step(1, 460, u, 475) // 15 K too cold, and staying there
	}
	if q.u[q.Speed] != 450 {
		t.Errorf("speed %g rpm, want its limit", q.u[q.Speed])
	}
	want := 3000 + 10*450 + 500 + 600*math.Exp(-0.3)
	if math.Abs(q.u[q.power]-want) > 20 {
		t.Errorf("power %g W, want %g", q.u[q.power], want)
	}
	q.Step(1, 460, u, 0)
	if q.u[q.power] != 0 || q.u[q.Speed] != 400 {
		t.Errorf("switched off: %g W at %g rpm", q.u[q.power], q.u[q.Speed])
	}
}

// A tool that moves up leaves the build: from then on the spindle takes what a free spin takes.
func TestPlanKnowsALift(t *testing.T) {
	q, u := planOf()
	for range 100 {
		q.Observe(1, 460, u, true)
	}
	q.Start(u, 475)
	q.Step(1, 475, u, 475)
	if q.u[q.power] < 5000 {
		t.Fatalf("power %g W in contact", q.u[q.power])
	}
	lift := append([]float64(nil), u...)
	lift[3] = 100
	q.Step(1, 475, lift, 475)
	if got, want := q.u[q.power], 4*q.u[q.Speed]; got != want {
		t.Errorf("power %g W when lifted, want %g", got, want)
	}
	q.Step(1, 475, u, 475) // it stands still, up there
	if got, want := q.u[q.power], 4*q.u[q.Speed]; got != want {
		t.Errorf("power %g W after the lift, want %g", got, want)
	}
}
