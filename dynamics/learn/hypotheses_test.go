package learn

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// An electric heater is learned from its file of hypotheses alone: no Go knows it.
func TestHeater(t *testing.T) {
	learnsMuch(t)
	h, err := model.LoadHypotheses("../heater.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	r := runs.Run{Name: "heater", U: make([][]float64, 2), Z: make([][]float64, 1)}
	const gain, loss, fan, lag, dead, sub = 2e-3, 0.006, 3e-5, 4.0, 2, 20
	temp, reading := 20.0, 20.0
	power, speed := make([]float64, 1800), make([]float64, 1800)
	for i := range power {
		if i%60 == 0 {
			p, s := 1500*rng.Float64(), 300*rng.Float64()
			for k := i; k < min(i+60, len(power)); k++ {
				power[k], speed[k] = p, s
			}
		}
	}
	between := func(v []float64, at float64) float64 {
		k := int(at)
		if at <= 0 || k+1 >= len(v) {
			return v[min(max(0, k), len(v)-1)]
		}
		return v[k] + (at-float64(k))*(v[k+1]-v[k])
	}
	for i := range power {
		r.Time = append(r.Time, float64(i))
		r.U[0], r.U[1] = append(r.U[0], power[i]), append(r.U[1], speed[i])
		r.Z[0] = append(r.Z[0], reading+0.05*rng.NormFloat64())
		for k := range sub {
			at := float64(i) + (float64(k)+0.5)/sub - dead
			temp += (gain*between(power, at) - (loss+fan*between(speed, at)*math.Pi/30*1)*(temp-20)) / sub
			reading += (temp - reading) / lag / sub
		}
	}
	m, err := Learn(t.Context(), []runs.Run{r}, Options{Inputs: []string{"heater power", "fan speed"}, Hypotheses: h})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"heating": gain, "loss": loss, "loss to fan": fan}
	for _, term := range m.Terms {
		if term.Fixed {
			continue
		}
		w, ok := want[term.Name]
		if !ok {
			t.Errorf("term %q is not in the truth", term.Name)
			continue
		}
		if math.Abs(term.Coefficient-w) > 0.05*w {
			t.Errorf("%s: %g ± %g, want %g", term.Name, term.Coefficient, term.StdErr, w)
		}
		delete(want, term.Name)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	if p := m.ParameterNamed("dead"); math.Abs(p.Value-dead) > 0.3 {
		t.Errorf("dead time %g ± %g s, want %d", p.Value, p.StdErr, dead)
	}
	if p := m.ParameterNamed("lag"); math.Abs(p.Value-lag) > 0.3 {
		t.Errorf("lag %g ± %g s, want %g", p.Value, p.StdErr, lag)
	}
}

func TestForbiddenTermsAreNotLearned(t *testing.T) {
	h, err := model.ReadHypotheses(strings.NewReader(strings.Replace(plant, "unit: 1/rad", "opinion: forbid, unit: 1/rad", 1)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Learn(t.Context(), []runs.Run{simulate(truths["spin"], 1)}, Options{Inputs: plantInputs, Hypotheses: h})
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range m.Terms {
		if term.Name == "spin" {
			t.Error("a forbidden term was learned")
		}
	}
}
