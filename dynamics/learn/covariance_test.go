package learn

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The standard errors of a line through points whose errors are correlated within blocks are those by which
// the fits really scatter, where those of independent errors are too small by far.
func TestStandardErrorsOfBlocksThatHangTogether(t *testing.T) {
	const trials, blocks, each = 400, 40, 10
	rng := rand.New(rand.NewPCG(2, 2))
	var sum, squares, claimed, naive [2]float64
	for range trials {
		q := newNormalEquations(2)
		q.keep = rows
		var a [2][2]float64
		var b [2]float64
		type point struct{ x, y float64 }
		var points [blocks][each]point
		for k := range blocks {
			shared, at := 0.2*rng.NormFloat64(), 2*rng.NormFloat64()
			for i := range each {
				x := at + 0.2*rng.NormFloat64()
				p := point{x, 1 + 2*x + shared + 0.1*rng.NormFloat64()}
				points[k][i] = p
				a[0][0], a[0][1], a[1][1] = a[0][0]+1, a[0][1]+x, a[1][1]+x*x
				b[0], b[1] = b[0]+p.y, b[1]+x*p.y
			}
		}
		det := a[0][0]*a[1][1] - a[0][1]*a[0][1]
		fit := [2]float64{(b[0]*a[1][1] - b[1]*a[0][1]) / det, (b[1]*a[0][0] - b[0]*a[0][1]) / det}
		for k := range blocks {
			for _, p := range points[k] {
				q.add(fit[0]+fit[1]*p.x-p.y, []float64{1, p.x}, 1, k)
			}
		}
		se := q.standardErrors()
		inv := q.inverse()
		for i := range fit {
			sum[i], squares[i] = sum[i]+fit[i], squares[i]+fit[i]*fit[i]
			claimed[i] += se[i] / trials
			naive[i] += math.Sqrt(inv.At(i, i)*q.cost/(blocks*each)) / trials
		}
	}
	for i := range sum {
		mean := sum[i] / trials
		real := math.Sqrt(squares[i]/trials - mean*mean)
		if r := claimed[i] / real; r < 0.9 || r > 1.25 {
			t.Errorf("number %d scatters by %.4f, its standard error says %.4f", i, real, claimed[i])
		}
		if naive[i] > 0.6*real {
			t.Errorf("number %d: independent errors would do (%.4f of %.4f), so the test shows nothing", i, naive[i], real)
		}
	}
}

func TestStandardErrorsWithoutAnInverse(t *testing.T) {
	q := newNormalEquations(2)
	q.keep = rows
	for i := range 10 {
		q.add(1, []float64{1, 1}, 1, i) // the two cannot be told apart
	}
	for i, se := range q.standardErrors() {
		if !math.IsInf(se, 1) {
			t.Errorf("number %d is known to %g", i, se)
		}
	}
}
