package learn

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// standardErrors are the standard errors of what q is of.
func (q *normalEquations) standardErrors() []float64 {
	out := make([]float64, len(q.g))
	c := q.covariance()
	for i := range out {
		out[i] = math.Inf(1)
		if c != nil {
			out[i] = math.Sqrt(c.At(i, i))
		}
	}
	return out
}

// covariance of what q is of: the sandwich over blocks of time, within which residuals are
// correlated (White, Econometrica 50, 1982); nil where the normal equations have no inverse.
func (q *normalEquations) covariance() *mat.SymDense {
	n := len(q.g)
	inv := q.inverse()
	if inv == nil {
		return nil
	}
	blocks := map[int][]float64{}
	var order []int
	for i, r := range q.r {
		g := blocks[q.at[i]]
		if g == nil {
			g = make([]float64, n)
			blocks[q.at[i]] = g
			order = append(order, q.at[i])
		}
		for k, x := range q.j[i*n : (i+1)*n] {
			g[k] += x * r
		}
	}
	meat, naive := mat.NewSymDense(n, nil), mat.NewSymDense(n, nil)
	for _, b := range order {
		meat.SymRankOne(meat, 1, mat.NewVecDense(n, blocks[b]))
	}
	for i, r := range q.r {
		naive.SymRankOne(naive, r*r, mat.NewVecDense(n, q.j[i*n:(i+1)*n]))
	}
	// A few blocks tell little about each parameter by itself: how strongly residuals are correlated is
	// pooled over all of them.
	pooled := 0.0
	for i := range n {
		if v := naive.At(i, i); v > 0 {
			pooled += meat.At(i, i) / v / float64(n)
		}
	}
	var half, cov, plain mat.Dense
	half.Mul(inv, meat)
	cov.Mul(&half, inv)
	half.Mul(inv, naive)
	plain.Mul(&half, inv)
	small := 1.0
	if b := float64(len(order)); b > 1 {
		small = b / (b - 1) * max(1, b/max(1, b-float64(n)))
	}
	out := mat.NewSymDense(n, nil)
	sd := make([]float64, n)
	for i := range n {
		sd[i] = math.Sqrt(max(0, small*cov.At(i, i), small*pooled*plain.At(i, i)))
		for j := range i + 1 {
			r := 0.0 // how the estimates are correlated: as in the pooled one, which is no guess from few blocks
			if v := plain.At(i, i) * plain.At(j, j); v > 0 {
				r = plain.At(i, j) / math.Sqrt(v)
			}
			if i == j {
				r = 1
			}
			out.SetSym(i, j, r*sd[i]*sd[j])
		}
	}
	return out
}
