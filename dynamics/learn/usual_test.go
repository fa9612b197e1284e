package learn

import (
	"slices"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// What is usual is the range of means in a phase that went on: neither a start nor a moment of something else widens it.
func TestUsual(t *testing.T) {
	m := plantHypotheses(t).Draft(nil)
	r := runs.Run{U: make([][]float64, 3), Z: make([][]float64, 1)}
	for i := range 900 {
		power, speed, path, tool := 8000.0, 300.0+float64(i%20), 800.0, 470.0
		switch {
		case i < 100: // warms up
			speed, tool = 450, 200
		case i >= 500 && i < 505: // a jump of the speed that no mean follows far
			speed = 600
		case i >= 860: // rests, for too short to be usual
			path = 0
		}
		r.Time = append(r.Time, float64(i))
		r.U[0], r.U[1], r.U[2] = append(r.U[0], power), append(r.U[1], speed), append(r.U[2], path)
		r.Z[0] = append(r.Z[0], tool)
	}
	got := learnUsual(m, []*runs.Run{&r})
	names := []string{}
	for _, u := range got {
		names = append(names, u.Phase+" "+u.Name)
	}
	if !slices.Equal(names, []string{"deposit spindle power", "deposit spindle speed", "deposit path velocity", "deposit tool temperature"}) {
		t.Fatalf("%q", names)
	}
	if s := got[1]; s.Low < 300 || s.Low > 310 || s.High < 309 || s.High > 345 || s.Unit != "rpm" || s.Hours < 0.19 || s.Hours > 0.22 {
		t.Errorf("%+v", s)
	}
	if p := got[0]; p.Low != 8000 || p.High != 8000 {
		t.Errorf("%+v", p)
	}
	m.Usual = got
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	m.Usual = []model.Usual{{Phase: "deposit", Name: "spindle speed", Unit: "rad/s", Low: 3, High: 2}, {Phase: "deposit", Name: "torque"}}
	if m.Check() == nil {
		t.Error("a wrong unit and a channel that is not there are no fault")
	}
}
