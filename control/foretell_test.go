package control

import (
	"slices"
	"testing"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/sensors/unit"
)

// What a law foretells rests on what is measured: a program that stops the feed in five seconds changes nothing of it.
func TestALawLooksAtNoProgram(t *testing.T) {
	m, err := model.Load("../cmd/demo/model.json")
	if err != nil {
		t.Fatal(err)
	}
	e := filter.New(m)
	var now filter.Estimate
	u, z := make([]float64, len(m.Inputs)), make([]float64, len(m.Outputs))
	for i, in := range m.Inputs {
		switch u[i] = (in.Min + in.Max) / 2; in.Name {
		case model.Contact:
			u[i] = 1
		case model.ZVelocity:
			u[i] = 0
		}
	}
	for i := range z {
		z[i] = 460
	}
	for range 60 {
		e.Step(&now, 1, u, z)
	}
	horizons := []float64{5, 10, 20, 30}
	for _, moves := range []string{"", model.SpindleSpeed} {
		use := Use{Output: model.ToolTemperature, OutputUnit: unit.MustParse("°C"), Moves: moves, TargetUnit: unit.MustParse("°C")}
		at := 460.0
		if moves != "" {
			use.TargetUnit, at = unit.MustParse("rpm"), 380
		}
		foretell, err := Through(m, e, &now, use)
		if err != nil {
			t.Fatal(err)
		}
		expected := func() []float64 {
			y := make([]float64, len(horizons))
			if doubt := foretell(y, horizons, func(float64) float64 { return at }); doubt != "" {
				t.Fatal(doubt)
			}
			return y
		}
		e.Knows(nil)
		without := expected()
		e.Knows(func(u []float64, ahead float64) {
			if path := m.InputIndex(model.PathVelocity); ahead > 5 {
				u[path] = 0
			}
		})
		if with := expected(); !slices.Equal(with, without) {
			t.Errorf("%q: %v with the program, %v without", moves, with, without)
		}
		e.Knows(nil)
	}
}
