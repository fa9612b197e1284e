package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
	"stirwatch/firmware-bridge/twin"
)

// TestRegimes scores what a model of steady builds has not been shown: on the twin (simulated) a tool that is stopped
// while it presses, and a feed that asks more than the spindle gives; on a recording, steps of 2 mm between layers.
func TestRegimes(t *testing.T) {
	if testing.Short() {
		t.Skip("learns twice")
	}
	t.Parallel()
	standard := []runs.Run{*regime(t, "std.nc", 1), *regime(t, "std.nc", 2)}
	m := learnedUnjudged(t, standard)
	for _, c := range []struct {
		program string
		way     filter.Way
		most    float64 // RMSE 60 s ahead, °C
	}{
		{"plunge.nc", filter.Known, 25},
		{"plunge.nc", filter.Planned, 40},
		{"sat.nc", filter.Planned, 25},
	} {
		r := regime(t, c.program, 3)
		errorIn60s(t, c.program, m, r, c.way, 0, len(r.Time), c.most)
	}

	first, second := logged(t, recording(t, "20250707151600")), logged(t, recording(t, "20250708104310"))
	m = learnedUnjudged(t, []runs.Run{*first.Rows(5, 1030), *second.Rows(2, 1098)})
	z := slices.IndexFunc(m.Inputs, func(x model.Input) bool { return x.Name == "z velocity" })
	for i := 230; i < 1050; i += 51 {
		second.U[z][i] = 4.72 * 25.4 // mm/min, for one row of a second: 2 mm
	}
	errorIn60s(t, "layers", m, second, filter.Planned, 2, 1098, 12)
}

// regime is a simulated build by a program beside the project.
func regime(t *testing.T, program string, seed uint64) *runs.Run {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "regimes", program))
	if err != nil {
		t.Skipf("the programs of the regimes are not beside the project: %v", err)
	}
	c := twin.Config{Seed: seed, Vary: true}
	if c.Params, err = twin.Load("6061"); err != nil {
		t.Fatal(err)
	}
	if c.Program, err = twin.ParseProgram(string(text)); err != nil {
		t.Fatal(err)
	}
	return simulated(t, c)
}

func learnedUnjudged(t *testing.T, from []runs.Run) *model.Model {
	t.Helper()
	m, err := learn.Learn(t.Context(), from, learn.Options{Inputs: inputNames(), Unjudged: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func errorIn60s(t *testing.T, name string, m *model.Model, r *runs.Run, way filter.Way, from, to int, most float64) {
	t.Helper()
	skill, err := score.Score(m, r, way, []float64{60}, from, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s, %s: RMSE at 60 s %.1f °C, bias %+.1f, at most %g", name, way, skill[0].RMSE, skill[0].Bias, most)
	if !(skill[0].RMSE <= most) {
		t.Errorf("%s, inputs %s: RMSE at 60 s is %.1f °C, at most %g", name, way, skill[0].RMSE, most)
	}
}
