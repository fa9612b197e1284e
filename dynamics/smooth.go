package dynamics

import (
	"math"
	"slices"
)

// savgolOrder is the degree of the local polynomial.
const savgolOrder = 2

// savgol fits a parabola by least squares to the 2·half+1 samples around each sample (fewer at
// the ends) and writes its value, first and second derivative there. Times t (s) may be
// irregular; all slices have one length, at least 3. Savitzky and Golay, Anal. Chem. 36 (1964)
// 1627, with the normal equations solved at each sample because the spacing varies.
func savgol(t, y []float64, half int, y0, y1, y2 []float64) {
	n := len(t)
	half = max(half, 1)
	for i := range n {
		lo, hi := max(0, i-half), min(n-1, i+half)
		for hi-lo < savgolOrder { // ends of very short series
			lo, hi = max(0, lo-1), min(n-1, hi+1)
		}
		scale := max(t[hi]-t[i], t[i]-t[lo])
		var s [5]float64
		var r [3]float64
		for k := lo; k <= hi; k++ {
			x := (t[k] - t[i]) / scale
			p := 1.0
			for j := range s {
				s[j] += p
				if j < 3 {
					r[j] += p * y[k]
				}
				p *= x
			}
		}
		c := solve3([3][3]float64{{s[0], s[1], s[2]}, {s[1], s[2], s[3]}, {s[2], s[3], s[4]}}, r)
		y0[i], y1[i], y2[i] = c[0], c[1]/scale, 2*c[2]/(scale*scale)
	}
}

// solve3 solves a symmetric positive definite 3 × 3 system by Cramer's rule.
func solve3(a [3][3]float64, b [3]float64) (x [3]float64) {
	det := func(m [3][3]float64) float64 {
		return m[0][0]*(m[1][1]*m[2][2]-m[1][2]*m[2][1]) -
			m[0][1]*(m[1][0]*m[2][2]-m[1][2]*m[2][0]) +
			m[0][2]*(m[1][0]*m[2][1]-m[1][1]*m[2][0])
	}
	d := det(a)
	for j := range 3 {
		m := a
		for i := range 3 {
			m[i][j] = b[i]
		}
		x[j] = det(m) / d
	}
	return x
}

// medianStep is the median spacing of t (s), NaN for fewer than two samples.
func medianStep(t []float64) float64 {
	if len(t) < 2 {
		return math.NaN()
	}
	d := make([]float64, len(t)-1)
	for i := range d {
		d[i] = t[i+1] - t[i]
	}
	slices.Sort(d)
	return d[len(d)/2]
}
