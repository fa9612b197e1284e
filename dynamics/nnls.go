package dynamics

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// nnls minimises |A·x − b| subject to x ≥ 0 and returns x (n). A is m × n with m ≥ n; neither A
// nor b is changed. Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23.
// The passive problems are solved by QR, so columns should be scaled alike.
// ok is false where the iteration limit of 10·n is reached (x is then feasible, not optimal).
func nnls(a *mat.Dense, b []float64) (x []float64, ok bool) {
	m, n := a.Dims()
	x = make([]float64, n)
	w := make([]float64, n)
	passive := make([]bool, n)
	residual := make([]float64, m)

	// Gradients below this are rounding, not descent.
	var scale float64
	for j := range n {
		var s float64
		for i := range m {
			s += a.At(i, j) * b[i]
		}
		scale = max(scale, math.Abs(s))
	}
	tol := 1e-10 * scale

	for range 10 * n {
		for i := range m {
			r := b[i]
			for j := range n {
				if x[j] != 0 {
					r -= a.At(i, j) * x[j]
				}
			}
			residual[i] = r
		}
		best := -1
		for j := range n {
			w[j] = 0
			if passive[j] {
				continue
			}
			for i := range m {
				w[j] += a.At(i, j) * residual[i]
			}
			if w[j] > tol && (best < 0 || w[j] > w[best]) {
				best = j
			}
		}
		if best < 0 {
			return x, true
		}
		passive[best] = true
		for {
			z, solved := solvePassive(a, b, passive)
			if !solved { // the new column depends on those already in: it cannot help
				passive[best] = false
				return x, true
			}
			// Walk from x towards z until the first coefficient would turn negative.
			alpha, hit := 1.0, false
			for j := range n {
				if passive[j] && z[j] <= 0 {
					hit = true
					alpha = min(alpha, x[j]/(x[j]-z[j]))
				}
			}
			if !hit {
				x = z
				break
			}
			for j := range n {
				if passive[j] {
					x[j] += alpha * (z[j] - x[j])
					if z[j] <= 0 && x[j] <= 1e-14*math.Abs(z[j]) {
						x[j], passive[j] = 0, false
					}
				}
			}
		}
	}
	return x, false
}

// solvePassive solves the unconstrained problem over the passive columns; the rest are zero.
func solvePassive(a *mat.Dense, b []float64, passive []bool) (z []float64, ok bool) {
	m, n := a.Dims()
	var cols []int
	for j := range n {
		if passive[j] {
			cols = append(cols, j)
		}
	}
	z = make([]float64, n)
	if len(cols) == 0 {
		return z, true
	}
	sub := mat.NewDense(m, len(cols), nil)
	for k, j := range cols {
		for i := range m {
			sub.Set(i, k, a.At(i, j))
		}
	}
	var qr mat.QR
	qr.Factorize(sub)
	if qr.Cond() > 1e12 {
		return nil, false
	}
	sol := mat.NewVecDense(len(cols), nil)
	if err := qr.SolveVecTo(sol, false, mat.NewVecDense(m, b)); err != nil {
		return nil, false
	}
	for k, j := range cols {
		z[j] = sol.AtVec(k)
	}
	return z, true
}

// stdErrs returns the standard errors of the coefficients in support, from (AᵀA)⁻¹·σ² with σ²
// inflated by spread: rows that overlap or follow each other count for less than one each.
func stdErrs(a *mat.Dense, support []int, sigma2 float64) []float64 {
	out := make([]float64, len(support))
	k := len(support)
	if k == 0 {
		return out
	}
	m, _ := a.Dims()
	g := mat.NewSymDense(k, nil)
	for p := range k {
		for q := p; q < k; q++ {
			var s float64
			for i := range m {
				s += a.At(i, support[p]) * a.At(i, support[q])
			}
			g.SetSym(p, q, s)
		}
	}
	var chol mat.Cholesky
	if !chol.Factorize(g) {
		for i := range out {
			out[i] = math.Inf(1)
		}
		return out
	}
	var inv mat.SymDense
	if err := chol.InverseTo(&inv); err != nil {
		return out
	}
	for p := range k {
		out[p] = math.Sqrt(sigma2 * inv.At(p, p))
	}
	return out
}
