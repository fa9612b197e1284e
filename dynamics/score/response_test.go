package score

import (
	"math"
	"slices"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// furnace is a model whose rates can be worked out by hand: dT/dt = a·P − b·(T − Ta).
func furnace() *model.Model {
	return &model.Model{
		Format: model.Format, Version: model.Version,
		Inputs:     []model.Input{{Name: "power", Symbol: "P", Unit: "W", Min: 0, Max: 1000}},
		Outputs:    []model.Output{{Name: "temperature", State: "T", Unit: "°C", SD: 0.1, Min: 20, Max: 220}},
		States:     []model.State{{Name: "temperature", Symbol: "T", Unit: "°C", Start: "reading", StartSD: 1, Noise: 0.1}},
		Parameters: []model.Parameter{{Name: "Ta", Value: 20, Min: 20, Max: 20, Unit: "°C", Fixed: true}},
		Terms: []model.Term{
			{State: "T", Name: "heat", Expression: "P", Sign: 1, Coefficient: 2e-3, Unit: "K/J"},
			{State: "T", Name: "loss", Expression: "T - Ta", Sign: -1, Coefficient: 0.01, Unit: "1/s"},
		},
	}
}

func TestResponsesAreTheRatesOfTheEquation(t *testing.T) {
	m := furnace()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	w := &WorkingPoint{U: []float64{500}, X: []float64{120}}
	got, err := Responses(m, w, 0, 11)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Name != "power" || got[1].Symbol != "T" {
		t.Fatalf("responses are %+v, want power and then T", got)
	}
	for _, r := range got {
		if r.RateUnit != "K/s" || !slices.Equal(r.Term, []string{"heat", "loss"}) {
			t.Errorf("%s: unit %q, terms %q", r.Name, r.RateUnit, r.Term)
		}
		for k, x := range r.X {
			power, temp := 500.0, 120.0
			if r.Symbol == "P" {
				power = x
			} else {
				temp = x
			}
			heat, loss := 2e-3*power, -0.01*(temp-20)
			if math.Abs(r.Part[0][k]-heat) > 1e-9 || math.Abs(r.Part[1][k]-loss) > 1e-9 || math.Abs(r.Total[k]-heat-loss) > 1e-9 {
				t.Errorf("%s = %g: %g + %g = %g, want %g + %g", r.Name, x, r.Part[0][k], r.Part[1][k], r.Total[k], heat, loss)
			}
		}
	}
	if r := got[1]; r.X[0] != 20 || r.X[10] != 220 || r.Usual != 120 {
		t.Errorf("T sweeps %g to %g, usually %g", r.X[0], r.X[10], r.Usual)
	}
	if _, err := Responses(m, &WorkingPoint{U: []float64{1, 2}}, 0, 11); err == nil {
		t.Error("a working point of another model is no error")
	}
}

func TestWorkingPointIsTheMedian(t *testing.T) {
	m := furnace()
	r := &runs.Run{Name: "held", U: make([][]float64, 1), Z: make([][]float64, 1)}
	for i := range 101 {
		r.Time = append(r.Time, float64(i))
		r.U[0] = append(r.U[0], 300+float64(i))
		r.Z[0] = append(r.Z[0], 100)
	}
	w, err := Work(m, r, 0, 101)
	if err != nil {
		t.Fatal(err)
	}
	if w.U[0] != 350 || math.Abs(w.X[0]-100) > 1 || w.Rows != 101 {
		t.Errorf("working point %+v, want 350 W at 100 °C of 101 rows", w)
	}
	p, err := Phases(m, r)
	if err != nil || len(p) != 101 || p[7] != w.Phase {
		t.Errorf("phases %v (%v), the working point is of %s", p, err, w.Phase)
	}
	for i := range r.Z[0] {
		r.Z[0][i] = math.NaN()
	}
	if _, err := Work(m, r, 0, 101); err == nil {
		t.Error("a run without a reading has a working point")
	}
}
