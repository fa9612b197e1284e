package expr

import (
	"math"
	"testing"
)

// Values and derivatives of every operation, against differences.
func TestExpressions(t *testing.T) {
	at := []float64{0.7, 1.9}
	for text, want := range map[string]float64{
		"a + b*2": 4.5, "a - b - 1": -2.2, "-a^2": -0.49, "(a + b)/2": 1.3, "2^3": 8, "min(a, b)": 0.7, "max(a, b)": 1.9,
		"abs(-b)": 1.9, "exp(a)": math.Exp(0.7), "log(b)": math.Log(1.9), "sqrt(b)": math.Sqrt(1.9), "tanh(a)": math.Tanh(0.7),
		"ramp(a)": 0.7, "ramp(b)": 1, "ramp(-a)": 0, "b/a^-1": 1.33, "1e-1*a": 0.07,
	} {
		n, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(n.String())
		if err != nil || again.String() != n.String() {
			t.Errorf("%s is written as %s: %v", text, n, err)
		}
		b := NewBuilder(nil, nil, []string{"a", "b"}, nil)
		r := b.Add(n)
		slope := []int32{b.Derive(r, 0), b.Derive(r, 1)}
		value := func(x []float64, r int32) float64 {
			v := append([]float64(nil), b.Program.Start...)
			copy(v, x)
			for l := range b.Program.Code {
				Eval(b.Program.Code[l], v)
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
		n, err := Parse(text)
		if err != nil {
			return
		}
		if _, err := Parse(n.String()); err != nil && len(n.String()) <= maxExpression {
			t.Fatalf("%q is written as %q: %v", text, n, err)
		}
	})
}
