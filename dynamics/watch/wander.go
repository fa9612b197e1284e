package watch

import "math"

// This file tells how far the level of a series may wander while nothing is wrong.

// patience is the share of the walk of the good stretch that a level is let walk: a reference that follows as well as it can
// (the gain of the Kalman filter of that walk) follows slow faults too, before they have grown enough to be flagged.
const patience = 0.3

// wander is the reference that a good stretch gives, the variance about it of a level of 1 … memory rows, and
// how much that grows with each row that passes while the reference stays; and by which share of its distance
// the reference follows the level with each row: that of the Kalman filter of such a random walk. series has no gaps.
func wander(series []float64, memory int) (ref float64, variance []float64, walks, gain float64) {
	n := len(series)
	var size []int
	var allan []float64
	for b := 1; b <= max(n/6, 1); b *= 2 {
		size, allan = append(size, b), append(allan, allanVariance(series, b))
	}
	last := len(size) - 1

	// The reference is averaged over as many of the newest rows as the Allan variance is least at: all of
	// them, where they are noise about a level; few, where the level walks.
	best := last
	for i, a := range allan {
		if a < allan[best] {
			best = i
		}
	}
	from := 0
	if best < last {
		from = max(n-4*size[best], 0)
	}
	recent := append([]float64{}, series[from:]...)
	ref = median(recent)

	// Beyond the longest means the level walks on as it has walked in the stretch. Long means are few, so that
	// what they leave open is added.
	variance = make([]float64, memory+1)
	for m := range variance {
		variance[m] = allan[last] + between(size, allan, max(m, 1))
	}
	walks = patience * walk(series)
	if noise := allan[last] * float64(size[last]); noise > 0 {
		gain = min(math.Sqrt(patience*walks/noise), 1/float64(memory))
	}
	// A level that is heading somewhere, such as a fluid that warms, goes on to: the reference keeps up with it.
	_, sd := location(series)
	if level := math.Sqrt(variance[memory]); level > 0 && math.Abs(heading(series))*float64(n) > heads*sd {
		gain = max(gain, min(math.Abs(heading(series))/(keepsUp*level), 1/float64(memory)))
	}
	return ref, variance, walks, gain
}

// heads is how many standard deviations a series goes from its beginning to its end that is heading somewhere; a ramp goes 2.7.
const heads = 1.5

// keepsUp is how many standard deviations of a level its reference may be behind one that goes on as in the good stretch.
const keepsUp = 0.7

// heading is the slope from the first quarter of a series to its last, per row, by medians.
func heading(series []float64) float64 {
	n := len(series)
	q := n / 4
	if q == 0 {
		return 0
	}
	first, last := append([]float64{}, series[:q]...), append([]float64{}, series[n-q:]...)
	return (median(last) - median(first)) / float64(n-q)
}

// allanVariance is half the mean square difference of adjacent means over b rows, by its median, so that
// outliers and single jumps do not count.
func allanVariance(series []float64, b int) float64 {
	n := len(series)
	sum := make([]float64, n+1)
	for i, x := range series {
		sum[i+1] = sum[i] + x
	}
	var d2 []float64
	for i := 0; i+2*b <= n; i++ {
		d := (sum[i+2*b] - 2*sum[i+b] + sum[i]) / float64(b)
		d2 = append(d2, d*d/2)
	}
	if len(d2) == 0 {
		return 0
	}
	mean := 0.0
	for _, x := range d2 {
		mean += x / float64(len(d2))
	}
	// A series that stands still for most rows has a median of 0 and moves anyway.
	const medianOfChi2 = 0.4549
	return max(median(d2)/medianOfChi2, mean/4)
}

// between interpolates the Allan variance at m rows, log by log.
func between(size []int, allan []float64, m int) float64 {
	for i := 1; i < len(size); i++ {
		if m <= size[i] {
			if allan[i-1] <= 0 || allan[i] <= 0 {
				return max(allan[i-1], allan[i])
			}
			w := math.Log(float64(m)/float64(size[i-1])) / math.Log(float64(size[i])/float64(size[i-1]))
			return math.Exp((1-w)*math.Log(allan[i-1]) + w*math.Log(allan[i]))
		}
	}
	return allan[len(allan)-1]
}

// doubt is how many times what noise alone leaves of a long mean is taken off before a walk is believed: long means
// are few, and noise must not pass for one.
const doubt = 2

// walk is the variance by which a level is found to move with each row: what long means show beyond noise that
// averages out is taken for a random walk, whose Allan variance is q·b/3.
func walk(series []float64) float64 {
	n := len(series)
	center, sd := location(series)
	clipped := make([]float64, n)
	for i, x := range series {
		clipped[i] = min(max(x, center-3*sd), center+3*sd)
	}
	short := max(n/20, 1)
	noise := allanVariance(clipped, short) * float64(short)
	q, of := 0.0, 0.0
	for _, b := range []int{n / 8, n / 5, n / 3} {
		if b > short {
			q += max(meanAllan(clipped, b)-doubt*noise/float64(b), 0) * 3 / float64(b)
			of++
		}
	}
	if of == 0 {
		return 0
	}
	return q / of
}

// meanAllan is half the mean square difference of adjacent means over b rows.
func meanAllan(series []float64, b int) float64 {
	d2, n := 0.0, 0
	means := func(i int) (a float64) {
		for _, x := range series[i : i+b] {
			a += x / float64(b)
		}
		return a
	}
	for i := 0; i+2*b <= len(series); i += max(b/8, 1) {
		d := means(i+b) - means(i)
		d2 += d * d / 2
		n++
	}
	return d2 / float64(max(n, 1))
}
