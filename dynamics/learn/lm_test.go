package learn

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// residuals are squares given by residuals with their derivatives.
type residuals struct {
	n, variables int
	at           func(i int, x, grad []float64) float64
	calls        int
}

func (r *residuals) normal(x []float64) *normalEquations {
	q := newNormalEquations(r.variables)
	grad := make([]float64, r.variables)
	for i := range r.n {
		q.add(r.at(i, x, grad), grad, 1, i)
	}
	return q
}

func (r *residuals) cost(x []float64) float64 { r.calls++; return r.normal(x).cost }

// rosenbrock is the valley of Rosenbrock (Comput. J. 3, 1960), scaled so that no error counts linearly.
func rosenbrock() *residuals {
	return &residuals{n: 2, variables: 2, at: func(i int, x, grad []float64) float64 {
		if i == 0 {
			grad[0], grad[1] = -0.1, 0
			return 0.1 * (1 - x[0])
		}
		grad[0], grad[1] = -2*x[0], 1
		return x[1] - x[0]*x[0]
	}}
}

func TestMinimiseFindsTheBottomOfAValley(t *testing.T) {
	x := []float64{-1.2, 1}
	inf := math.Inf(1)
	if err := minimise(t.Context(), rosenbrock(), x, []float64{-inf, -inf}, []float64{inf, inf}, 200); err != nil {
		t.Fatal(err)
	}
	if math.Abs(x[0]-1) > 1e-2 || math.Abs(x[1]-1) > 2e-2 {
		t.Errorf("ends at %v, the bottom is at (1, 1)", x)
	}
}

// With x ≤ 0.5 the bottom is at (0.5, 0.25): on the bound, and the rest follows.
func TestMinimiseStaysWithinBounds(t *testing.T) {
	x := []float64{-1.2, 1}
	lo, hi := []float64{-2, -2}, []float64{0.5, 2}
	if err := minimise(t.Context(), rosenbrock(), x, lo, hi, 200); err != nil {
		t.Fatal(err)
	}
	if x[0] != 0.5 || math.Abs(x[1]-0.25) > 1e-2 {
		t.Errorf("ends at %v, want (0.5, 0.25)", x)
	}
}

// A variable that nothing depends on stays where it is, and hinders no other.
func TestMinimiseLeavesWhatDoesNotMatter(t *testing.T) {
	s := &residuals{n: 1, variables: 2, at: func(_ int, x, grad []float64) float64 { grad[0], grad[1] = 1, 0; return x[0] - 2 }}
	x := []float64{0, 7}
	if err := minimise(t.Context(), s, x, []float64{-9, -9}, []float64{9, 9}, 50); err != nil {
		t.Fatal(err)
	}
	if math.Abs(x[0]-2) > 1e-3 || x[1] != 7 {
		t.Errorf("ends at %v", x)
	}
}

func TestMinimiseEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := rosenbrock()
	inner := s.at
	s.at = func(i int, x, grad []float64) float64 {
		if s.calls > 2 {
			cancel()
		}
		return inner(i, x, grad)
	}
	x := []float64{-1.2, 1}
	err := minimise(ctx, s, x, []float64{-9, -9}, []float64{9, 9}, 1000)
	if !errors.Is(err, context.Canceled) || s.calls > 4 {
		t.Errorf("%v after %d steps", err, s.calls)
	}
}

// One reading in twenty is wild: it pulls no harder than its sign (Huber).
func TestNormalEquationsResistOutliers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var xs, ys []float64
	for i := range 400 {
		x := rng.NormFloat64()
		y := 2 + 3*x + 0.1*rng.NormFloat64()
		if i%20 == 0 {
			y += 1000
		}
		xs, ys = append(xs, x), append(ys, y)
	}
	s := &residuals{n: 400, variables: 2, at: func(i int, x, grad []float64) float64 {
		grad[0], grad[1] = 1, xs[i]
		return x[0] + x[1]*xs[i] - ys[i]
	}}
	x := []float64{0, 0}
	if err := minimise(t.Context(), s, x, []float64{-99, -99}, []float64{99, 99}, 100); err != nil {
		t.Fatal(err)
	}
	if math.Abs(x[0]-2) > 0.3 || math.Abs(x[1]-3) > 0.1 {
		t.Errorf("%v, the truth is (2, 3), with least squares the first is near 52", x)
	}
}
