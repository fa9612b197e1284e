// Package num holds what the packages of dynamics share about slices of numbers.
package num

import (
	"math"
	"slices"
)

// Zeros makes a table of zeros.
func Zeros(rows, columns int) [][]float64 {
	t := make([][]float64, rows)
	for i := range t {
		t[i] = make([]float64, columns)
	}
	return t
}

// Sigma95 is how many standard deviations a 95 % interval of a normal distribution reaches to either side.
const Sigma95 = 1.959964

// Resize gives a slice of n numbers, s itself where it is large enough.
func Resize(s []float64, n int) []float64 {
	if cap(s) < n {
		return make([]float64, n)
	}
	return s[:n]
}

// SortedKeys gives the keys of a map in order.
func SortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Span is the range of the finite values, turned round where there are none.
func Span(v []float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, x := range v {
		if Finite(x) {
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	return lo, hi
}

// Finite tells that every one of v is a number and finite.
func Finite(v ...float64) bool {
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// B2i is 1 for true, 0 for false.
func B2i(v bool) int {
	if v {
		return 1
	}
	return 0
}

// Median of values, which it sorts: of an even number the upper one; 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// MedianStep is the median spacing of t (s), NaN for fewer than two samples.
func MedianStep(t []float64) float64 {
	if len(t) < 2 {
		return math.NaN()
	}
	d := make([]float64, len(t)-1)
	for i := range d {
		d[i] = t[i+1] - t[i]
	}
	return Median(d)
}
