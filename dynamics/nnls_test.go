package dynamics

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestNNLSAgainstKnownSolutions(t *testing.T) {
	for name, c := range map[string]struct {
		a       []float64
		rows    int
		b, want []float64
	}{
		// All constraints idle: the plain solution.
		"interior": {[]float64{1, 0, 0, 2}, 2, []float64{3, 4}, []float64{3, 2}},
		// One axis wants to be negative and is held at zero.
		"bound": {[]float64{1, 0, 0, 1}, 2, []float64{3, -4}, []float64{3, 0}},
		// Everything points the wrong way.
		"zero": {[]float64{1, 2, 3, 4}, 2, []float64{-1, -1}, []float64{0, 0}},
		// Unconstrained (−1, 2): with x₁ = 0 the rest is projected, x₂ = 1·b/|a₂|² = 3/2.
		"coupled": {[]float64{1, 1, 0, 1}, 2, []float64{1, 2}, []float64{0, 1.5}},
		// Two equal columns: either may carry it, the fit is the same.
		"dependent": {[]float64{1, 1, 1, 1, 1, 1}, 3, []float64{2, 2, 2}, []float64{2, 0}},
	} {
		x, ok := nnls(mat.NewDense(c.rows, 2, c.a), c.b)
		if !ok {
			t.Errorf("%s: no convergence", name)
		}
		for j := range x {
			if math.Abs(x[j]-c.want[j]) > 1e-12 {
				t.Errorf("%s: x = %v, want %v", name, x, c.want)
				break
			}
		}
	}
}

// The conditions of Karush, Kuhn and Tucker are necessary and sufficient: x ≥ 0, the gradient
// Aᵀ(b − A·x) ≤ 0, and zero where x > 0.
func TestNNLSIsOptimal(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		m, n := 5+rng.IntN(30), 1+rng.IntN(8)
		m = max(m, n)
		a := mat.NewDense(m, n, nil)
		b := make([]float64, m)
		for i := range m {
			b[i] = rng.NormFloat64()
			for j := range n {
				a.Set(i, j, rng.NormFloat64())
			}
		}
		x, ok := nnls(a, b)
		if !ok {
			t.Fatal("no convergence")
		}
		for j := range n {
			var w float64
			for i := range m {
				r := b[i]
				for k := range n {
					r -= a.At(i, k) * x[k]
				}
				w += a.At(i, j) * r
			}
			if x[j] < 0 || w > 1e-8 || x[j] > 0 && math.Abs(w) > 1e-8 {
				t.Fatalf("x[%d] = %g with gradient %g", j, x[j], w)
			}
		}
	}
}

func TestStandardErrors(t *testing.T) {
	// Straight line through 5 points: var(level) = σ²/5, var(slope) = σ²/Σx² for centred x.
	a := mat.NewDense(5, 2, []float64{1, -2, 1, -1, 1, 0, 1, 1, 1, 2})
	se := stdErrs(a, []int{0, 1}, 4)
	if math.Abs(se[0]-math.Sqrt(4.0/5)) > 1e-12 || math.Abs(se[1]-math.Sqrt(4.0/10)) > 1e-12 {
		t.Errorf("standard errors %v", se)
	}
}
