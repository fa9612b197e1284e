package dynamics

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A parabola is reproduced exactly, whatever the spacing, ends included.
func TestSavgolIsExactOnParabolas(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{3, 4, 7, 50} {
		for half := 1; half <= 4; half++ {
			x, y := make([]float64, n), make([]float64, n)
			at := 1e4 // far from zero, as in a long run
			for i := range x {
				at += 0.2 + 2*rng.Float64()
				x[i] = at
				s := at - 1e4
				y[i] = 3 - 2*s + 0.5*s*s
			}
			y0, y1, y2 := make([]float64, n), make([]float64, n), make([]float64, n)
			savgol(x, y, half, y0, y1, y2)
			for i := range x {
				s := x[i] - 1e4
				if math.Abs(y0[i]-y[i]) > 1e-6 || math.Abs(y1[i]-(-2+s)) > 1e-6 || math.Abs(y2[i]-1) > 1e-6 {
					t.Fatalf("n %d half %d row %d: %g %g %g, want %g %g 1", n, half, i, y0[i], y1[i], y2[i], y[i], -2+s)
				}
			}
		}
	}
}

// The classic weights for five evenly spaced points: (−3 12 17 12 −3)/35 and (−2 −1 0 1 2)/10.
func TestSavgolWeights(t *testing.T) {
	x := []float64{0, 1, 2, 3, 4}
	for j, w := range []float64{-3.0 / 35, 12.0 / 35, 17.0 / 35, 12.0 / 35, -3.0 / 35} {
		y := make([]float64, 5)
		y[j] = 1
		y0, y1, y2 := make([]float64, 5), make([]float64, 5), make([]float64, 5)
		savgol(x, y, 2, y0, y1, y2)
		if math.Abs(y0[2]-w) > 1e-12 || math.Abs(y1[2]-float64(j-2)/10) > 1e-12 {
			t.Errorf("point %d: weights %g and %g", j, y0[2], y1[2])
		}
	}
}
