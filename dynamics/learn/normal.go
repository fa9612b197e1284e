package learn

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// huber is how many scales an error may be before it counts linearly (Huber, Ann. Math. Statist. 35, 1964).
const huber = 3.0

// keeps is what normal equations store of their rows.
type keeps int

const (
	sums  keeps = iota // nothing
	roots              // residuals, as the roots of what they cost
	rows               // all, weighted
)

// normalEquations gathers the normal equations of weighted least squares.
type normalEquations struct {
	a    []float64 // n × n, lower triangle
	g    []float64
	cost float64
	keep keeps // what it stores of the rows
	j    []float64
	r    []float64
	at   []int // block of each row
}

func newNormalEquations(n int) *normalEquations {
	return &normalEquations{a: make([]float64, n*n), g: make([]float64, n)}
}

// add takes residual r with gradient row and weight; beyond huber it counts linearly.
func (q *normalEquations) add(r float64, row []float64, weight float64, block int) {
	w := weight
	cost := weight * r * r
	if a := math.Abs(r); a > huber {
		cost = weight * (2*huber*a - huber*huber)
		w *= huber / a
	}
	q.cost += cost
	n := len(q.g)
	for i, x := range row {
		if x == 0 {
			continue
		}
		wx := w * x
		q.g[i] += wx * r
		to := q.a[i*n : i*n+i+1]
		for j := range to {
			to[j] += wx * row[j]
		}
	}
	switch q.keep {
	case roots:
		q.r = append(q.r, math.Copysign(math.Sqrt(cost), r))
	case rows:
		root := math.Sqrt(w)
		q.r = append(q.r, root*r)
		for _, x := range row {
			q.j = append(q.j, root*x)
		}
		q.at = append(q.at, block)
	}
}

// merge adds p, whose rows from shared on are those of q from at on.
func (q *normalEquations) merge(p *normalEquations, shared, at int) {
	to := func(i int) int {
		if i >= shared {
			i += at - shared
		}
		return i
	}
	n, m := len(q.g), len(p.g)
	for i, v := range p.g {
		q.g[to(i)] += v
		for j := range i + 1 {
			q.a[to(i)*n+to(j)] += p.a[i*m+j]
		}
	}
	q.cost += p.cost
	q.j, q.r, q.at = append(q.j, p.j...), append(q.r, p.r...), append(q.at, p.at...)
}

// inverse is that of the normal equations, nil if they have none.
func (q *normalEquations) inverse() *mat.SymDense {
	n := len(q.g)
	if n == 0 {
		return nil
	}
	scale := make([]float64, n)
	for i := range n {
		scale[i] = math.Sqrt(q.a[i*n+i])
	}
	a := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			a.SetSym(i, j, q.a[i*n+j]/(scale[i]*scale[j])) // scaled to a diagonal of 1, so that it is well conditioned
		}
	}
	var chol mat.Cholesky
	if !chol.Factorize(a) {
		return nil
	}
	inv := mat.NewSymDense(n, nil)
	if chol.InverseTo(inv) != nil {
		return nil
	}
	for i := range n {
		for j := range i + 1 {
			inv.SetSym(i, j, inv.At(i, j)/(scale[i]*scale[j]))
		}
	}
	return inv
}
