package learn

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"
)

const resamples = 200 // of the bootstrap

// quadratic is the cost around a fit, by block of time: what a fit to a part of the rows would see.
type quadratic struct {
	f     *fitter
	theta []float64
	a     []*mat.SymDense // by block
	g     [][]float64
	cost  []float64
}

// newQuadratic cuts the rows that q kept at theta into their blocks.
func newQuadratic(f *fitter, q *normalEquations, theta []float64) *quadratic {
	n := len(f.free)
	d := &quadratic{f: f, theta: slices.Clone(theta)}
	place := map[int]int{}
	for i, r := range q.r {
		b, ok := place[q.at[i]]
		if !ok {
			b = len(d.a)
			place[q.at[i]] = b
			d.a, d.g, d.cost = append(d.a, mat.NewSymDense(n, nil)), append(d.g, make([]float64, n)), append(d.cost, 0)
		}
		row := q.j[i*n : (i+1)*n]
		d.a[b].SymRankOne(d.a[b], 1, mat.NewVecDense(n, row))
		for k, x := range row {
			d.g[b][k] += x * r
		}
		d.cost[b] += r * r
	}
	return d
}

// selection tells which of the terms stay when every block counts by its weight: backward
// elimination as in problem.eliminate, on the quadratic. Of terms that people require it asks only what they
// save.
func (d *quadratic) selection(weight, se []float64, proposed []bool) (stays []bool) {
	f := d.f
	n := len(f.free)
	q := newNormalEquations(n)
	for b, w := range weight {
		if w == 0 {
			continue
		}
		q.cost += w * d.cost[b]
		for i := range n {
			q.g[i] += w * d.g[b][i]
			for j := range i + 1 {
				q.a[i*n+j] += w * d.a[b].At(i, j)
			}
		}
	}
	for i := range n {
		q.a[i*n+i] += f.ridge * f.pulls[i] / (f.width[i] * f.width[i])
	}
	stays = make([]bool, n)
	for i := range stays {
		stays[i] = q.a[i*n+i] > 0
	}
	params := len(f.s.Model.Parameters)
	for {
		var on []int
		for i := range stays {
			if stays[i] {
				on = append(on, i)
			}
		}
		if len(on) == 0 {
			return stays
		}
		// The best coefficients without those that are out, which are held at zero.
		a, g := mat.NewSymDense(len(on), nil), mat.NewVecDense(len(on), nil)
		for r, i := range on {
			sum := q.g[i]
			for k := range n {
				if !stays[k] {
					sum -= q.a[max(i, k)*n+min(i, k)] * d.theta[f.free[k]]
				}
			}
			scale := math.Sqrt(q.a[i*n+i])
			g.SetVec(r, -sum/scale)
			for c, j := range on[:r+1] {
				a.SetSym(r, c, q.a[max(i, j)*n+min(i, j)]/(scale*math.Sqrt(q.a[j*n+j])))
			}
			a.SetSym(r, r, a.At(r, r)*(1+1e-9))
		}
		var chol mat.Cholesky
		var step mat.VecDense
		inv := mat.NewSymDense(len(on), nil)
		if !chol.Factorize(a) || chol.SolveVecTo(&step, g) != nil || chol.InverseTo(inv) != nil {
			return stays
		}
		worst, least := -1, 1.0
		for r, i := range on {
			if f.free[i] < params {
				continue
			}
			scale := math.Sqrt(q.a[i*n+i])
			v := d.theta[f.free[i]] + step.AtVec(r)/scale
			score := 0.0
			if v > 0 {
				if score = v * v * scale * scale / inv.At(r, r) / q.cost / worthwhile; proposed[i] {
					score = min(score, v/se[i]/surely)
				}
			}
			if score < least {
				worst, least = i, score
			}
		}
		if worst < 0 {
			return stays
		}
		stays[worst] = false
	}
}

// inclusion is the share of resamples of blocks in which each free parameter stays (moving blocks:
// Künsch, Ann. Statist. 17, 1989, with blocks side by side).
func (d *quadratic) inclusion(rng *rand.Rand, se []float64, proposed []bool) []float64 {
	share := make([]float64, len(d.f.free))
	weight := make([]float64, len(d.a))
	for range resamples {
		clear(weight)
		for range weight {
			weight[rng.IntN(len(weight))]++
		}
		for i, in := range d.selection(weight, se, proposed) {
			if in {
				share[i] += 1.0 / resamples
			}
		}
	}
	return share
}
