package dynamics

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// An electric heater is learned from its file of hypotheses alone: no Go knows it.
func TestHeater(t *testing.T) {
	h, err := LoadHypotheses("heater.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	r := Run{Name: "heater", U: make([][]float64, 2), Z: make([][]float64, 1)}
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
	m, err := Learn([]Run{r}, Options{Inputs: []string{"heater power", "fan speed"}, Hypotheses: h})
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
	if p := m.parameter("dead"); math.Abs(p.Value-dead) > 0.3 {
		t.Errorf("dead time %g ± %g s, want %d", p.Value, p.StdErr, dead)
	}
	if p := m.parameter("lag"); math.Abs(p.Value-lag) > 0.3 {
		t.Errorf("lag %g ± %g s, want %g", p.Value, p.StdErr, lag)
	}
}

func TestHypothesesRefuse(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"sign":           {"name: loss, sign: -", "name: loss, sign: x", `term "loss": sign "x" must be + or -`},
		"opinion":        {"opinion: require", "opinion: maybe", `opinion "maybe" must be propose, require or forbid`},
		"unit":           {"unit: 1/J", "unit: 1/s", `term "heat": coefficient has unit "1/s"`},
		"unknown unit":   {"unit: 1/J", "unit: 1/furlong", "furlong"},
		"symbol":         {`"n*(T - Ta)"`, `"q*(T - Ta)"`, `symbol "q" is unknown`},
		"sum of apples":  {`"n*(T - Ta)"`, `"(n + T)*(T - Ta)"`, "do not measure the same thing"},
		"key":            {"process: plant", "proces: plant", "proces"},
		"mode":           {"opinion: require", "mode: dancing", `mode "dancing" must be one of`},
		"no unit":        {", unit: 1/J", "", `the unit of its coefficient is missing`},
		"contradiction":  {"  - {of: T, name: path", "  - {of: T, name: again, sign: +, expression: heating, unit: 1/J, opinion: forbid}\n  - {of: T, name: path", "is required and forbidden"},
		"twice":          {"  - {of: T, name: path", "  - {of: T, name: again, sign: -, expression: T-Ta, unit: 1/s}\n  - {of: T, name: path", "stands there twice"},
		"both signs":     {"  - {of: T, name: path", "  - {of: T, name: again, sign: -, expression: heating, unit: 1/J, opinion: require}\n  - {of: T, name: path", `terms "heat" and "again": the same expression of T is required with both signs`},
		"no range":       {"score_above: 100}", "score_above: 100, possible: [700, 20]}", "possible 700 to 20 is no range"},
		"bounds":         {"{name: Tm, value: 560, unit: °C, fixed: true}", "{name: Tm, value: 560, unit: °C}", `parameter "Tm": give min and max`},
		"start of state": {"start: reading, start_sd: 1}", "start: P, start_sd: 1}", `symbol "P" is unknown`},
		"bracket":        {`"n*(T - Ta)"`, `"n*(T - Ta"`, "a ) is missing"},
	} {
		text := strings.Replace(plant, c.from, c.to, 1)
		if text == plant {
			t.Fatalf("%s: nothing replaced", name)
		}
		if _, err := ReadHypotheses(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestForbiddenTermsAreNotLearned(t *testing.T) {
	h, err := ReadHypotheses(strings.NewReader(strings.Replace(plant, "unit: 1/rad", "opinion: forbid, unit: 1/rad", 1)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Learn([]Run{simulate(truths["spin"], 1)}, Options{Inputs: plantInputs, Hypotheses: h})
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range m.Terms {
		if term.Name == "spin" {
			t.Error("a forbidden term was learned")
		}
	}
}

// Values and derivatives of every operation, against differences.
func TestExpressions(t *testing.T) {
	at := []float64{0.7, 1.9}
	for text, want := range map[string]float64{
		"a + b*2": 4.5, "a - b - 1": -2.2, "-a^2": -0.49, "(a + b)/2": 1.3, "2^3": 8, "min(a, b)": 0.7, "max(a, b)": 1.9,
		"abs(-b)": 1.9, "exp(a)": math.Exp(0.7), "log(b)": math.Log(1.9), "sqrt(b)": math.Sqrt(1.9), "tanh(a)": math.Tanh(0.7),
		"ramp(a)": 0.7, "ramp(b)": 1, "ramp(-a)": 0, "b/a^-1": 1.33, "1e-1*a": 0.07,
	} {
		n, err := parseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseExpr(n.String())
		if err != nil || again.String() != n.String() {
			t.Errorf("%s is written as %s: %v", text, n, err)
		}
		b := newBuilder(nil, nil, []string{"a", "b"}, nil)
		r := b.add(n)
		slope := []int32{b.derive(r, 0), b.derive(r, 1)}
		value := func(x []float64, r int32) float64 {
			v := append([]float64(nil), b.p.start...)
			copy(v, x)
			for l := range b.p.code {
				eval(b.p.code[l], v)
			}
			return v[r]
		}
		if got := value(at, r); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %g, want %g", text, got, want)
		}
		for k := range at {
			up, down := append([]float64(nil), at...), append([]float64(nil), at...)
			up[k] += 1e-6
			down[k] -= 1e-6
			diff := (value(up, r) - value(down, r)) / 2e-6
			got := 0.0
			if slope[k] >= 0 {
				got = value(at, slope[k])
			}
			if math.Abs(got-diff) > 1e-6 {
				t.Errorf("d(%s)/d%d is %g, by differences %g", text, k, got, diff)
			}
		}
	}
}

// FuzzExpression: whatever the text, an error or an expression that is written as it is read.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{"gate*heat*(Tm - T)", "ramp(a/b - 0.5)", "-x^-2", "max(a,", "((((", "1e999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseExpr(text)
		if err != nil {
			return
		}
		if _, err := parseExpr(n.String()); err != nil && len(n.String()) <= maxExpression {
			t.Fatalf("%q is written as %q: %v", text, n, err)
		}
	})
}

// FuzzHypotheses: whatever the bytes, an error or hypotheses that make a model.
func FuzzHypotheses(f *testing.F) {
	f.Add(plant)
	f.Add(string(afsd))
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadHypotheses(strings.NewReader(text))
		if err != nil {
			return
		}
		Equation(h.draft(nil))
		NewEstimator(h.draft(nil))
	})
}
