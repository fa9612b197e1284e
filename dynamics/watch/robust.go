package watch

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// madToSD makes a standard deviation of the median absolute deviation of normal data.
const madToSD = 1.4826

// median of v, which is reordered; NaN for none.
func median(v []float64) float64 { return quantile(v, 0.5) }

// quantile of v by linear interpolation; v is sorted. NaN for none.
func quantile(v []float64, p float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	at := p * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

// location gives median and a robust standard deviation of finite values: by the median absolute deviation,
// else, for values that mostly stand still, by what is within 2 and 98 %, else by all; 0 for a constant.
func location(v []float64) (center, scale float64) {
	s := slices.Clone(v)
	center = median(s)
	for i, x := range s {
		s[i] = math.Abs(x - center)
	}
	if scale = madToSD * median(s); scale > 0 {
		// The median tells little of coarse steps: never finer than half of what the bulk says.
		return center, max(scale, bulk(v, center, 10*scale)/2)
	}
	copy(s, v)
	lo := quantile(s, 0.02)
	hi := quantile(s, 0.98)
	sum := 0.0
	for _, x := range v {
		d := min(max(x, lo), hi) - center
		sum += d * d
	}
	if scale = math.Sqrt(sum / float64(len(v))); scale > 0 {
		return center, scale
	}
	return center, bulk(v, center, math.Inf(1))
}

// bulk is the root mean square of v about center, within reach of it.
func bulk(v []float64, center, reach float64) float64 {
	sum, n := 0.0, 0
	for _, x := range v {
		if d := x - center; math.Abs(d) <= reach {
			sum += d * d
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return math.Sqrt(sum / float64(n))
}

// covariance of rows z (by channel, then row) about 0, with weights by row that are 0 or 1, shrunk towards the
// identity as Ledoit and Wolf 2004, J. Multivariate Anal. 88, 365, eq. 14, have it.
func covariance(z [][]float64, use []bool) *mat.SymDense {
	p, n := len(z), 0
	s := mat.NewSymDense(p, nil)
	for i, u := range use {
		if !u {
			continue
		}
		n++
		for j := range p {
			for k := range j + 1 {
				s.SetSym(j, k, s.At(j, k)+z[j][i]*z[k][i])
			}
		}
	}
	trace := 0.0
	for j := range p {
		for k := range j + 1 {
			s.SetSym(j, k, s.At(j, k)/float64(n))
		}
		trace += s.At(j, j)
	}
	mu := trace / float64(p)
	d2, b2 := 0.0, 0.0
	for j := range p {
		for k := range p {
			d := s.At(j, k)
			if j == k {
				d -= mu
			}
			d2 += d * d
		}
	}
	for i, u := range use {
		if !u {
			continue
		}
		for j := range p {
			for k := range p {
				d := z[j][i]*z[k][i] - s.At(j, k)
				b2 += d * d
			}
		}
	}
	b2 /= float64(n) * float64(n)
	rho := 0.0
	if d2 > 0 {
		rho = min(b2/d2, 1)
	}
	for j := range p {
		for k := range j + 1 {
			v := (1 - rho) * s.At(j, k)
			if j == k {
				v += rho * mu
			}
			s.SetSym(j, k, v)
		}
	}
	return s
}

// principal gives the directions of s, by falling variance: v[k] is one of unit length. No variance is less
// than a hundredth of the mean: a relation that holds that well in a short stretch need not hold after it.
func principal(s *mat.SymDense) (v [][]float64, lambda []float64) {
	p := s.SymmetricDim()
	var eigen mat.EigenSym
	if !eigen.Factorize(s, true) {
		panic("watch: a covariance without eigenvalues") // it is finite by construction
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil)
	floor := 0.0
	for _, l := range values {
		floor += l / float64(p) / 100
	}
	for k := p - 1; k >= 0; k-- {
		row := make([]float64, p)
		for j := range row {
			row[j] = vectors.At(j, k)
		}
		v, lambda = append(v, row), append(lambda, max(values[k], floor))
	}
	return v, lambda
}

// chi2 is the quantile of χ² with n degrees of freedom that is exceeded with probability alpha.
func chi2(n int, alpha float64) float64 {
	if n == 0 {
		return math.Inf(1)
	}
	return distuv.ChiSquared{K: float64(n)}.Quantile(1 - alpha)
}

// tail is the value that is exceeded with probability alpha, by a generalised Pareto distribution fitted to
// the upper tenth of v with probability-weighted moments (Hosking and Wallis 1987, Technometrics 29, 339,
// eq. 5). Its shape is kept between exponential and a heavy 0.3: a short stretch tells no more. v is sorted.
func tail(v []float64, alpha float64) float64 {
	const share = 0.1
	if len(v) == 0 {
		return 0
	}
	u := quantile(v, 1-share)
	over := v[min(int(math.Ceil((1-share)*float64(len(v)))), len(v)-1):]
	n := float64(len(over))
	a0, a1 := 0.0, 0.0
	for i, x := range over {
		a0 += (x - u) / n
		a1 += (x - u) * (1 - (float64(i)+0.65)/n) / n
	}
	if a0 <= 0 {
		return u
	}
	xi := 0.0
	if d := a0 - 2*a1; d > 0 {
		xi = min(max(2-a0/d, 0), 0.3)
	}
	sigma := a0 * (1 - xi)
	if alpha >= share {
		return quantile(v, 1-alpha)
	}
	if xi < 1e-6 {
		return u + sigma*math.Log(share/alpha)
	}
	return u + sigma/xi*(math.Pow(share/alpha, xi)-1)
}
