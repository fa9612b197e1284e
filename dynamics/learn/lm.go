package learn

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// solve minimises by Levenberg and Marquardt within the bounds, from theta, which it changes, and
// gives the cost. The runs keep the starts that were found.
func (f *fitter) solve(theta []float64, iterations int) float64 {
	if len(f.free) == 0 {
		return f.evaluate(theta, false).cost
	}
	all := slices.Clone(theta)
	for _, r := range f.runs {
		all = append(all, r.start...)
	}
	f.ridge = f.startWeight(all)
	cost := f.descend(all, iterations)
	if again := iterations / 3; again > 1 { // the starting values weigh less at a lower cost
		f.ridge = f.startWeight(all)
		cost = f.descend(all, again)
	}
	copy(theta, all)
	for k, r := range f.runs {
		copy(r.start, all[f.s.NP+k*len(f.hidden):])
	}
	return cost
}

// descend is the iteration of solve.
func (f *fitter) descend(theta []float64, iterations int) float64 {
	now := f.evaluate(theta, false)
	lambda := 1e-2
	trial := make([]float64, len(theta))
	for range iterations {
		improved := false
		before := now.cost
		for range 8 {
			copy(trial, theta)
			if !f.move(trial, now, lambda) {
				lambda *= 10
				continue
			}
			if f.data(trial)+f.pull(trial) < now.cost {
				copy(theta, trial)
				now = f.evaluate(theta, false)
				lambda = max(lambda/5, 1e-7)
				improved = true
				break
			}
			lambda *= 6
		}
		if !improved || before-now.cost < settled*before {
			break
		}
	}
	return now.cost
}

// move makes one damped step. A parameter at its bound that would leave it stays.
func (f *fitter) move(theta []float64, q *normalEquations, lambda float64) bool {
	n := len(f.vary)
	var on []int
	for i := range n {
		v := theta[f.vary[i]]
		if v <= f.lo[i] && q.g[i] > 0 || v >= f.hi[i] && q.g[i] < 0 || q.a[i*n+i] == 0 {
			continue
		}
		on = append(on, i)
	}
	for range 4 {
		if len(on) == 0 {
			return false
		}
		a := mat.NewSymDense(len(on), nil)
		g := mat.NewVecDense(len(on), nil)
		for r, i := range on {
			scale := math.Sqrt(q.a[i*n+i])
			g.SetVec(r, -q.g[i]/scale)
			for c, j := range on[:r+1] {
				a.SetSym(r, c, q.a[i*n+j]/(scale*math.Sqrt(q.a[j*n+j])))
			}
			a.SetSym(r, r, 1+lambda)
		}
		var chol mat.Cholesky
		if !chol.Factorize(a) {
			return false
		}
		var step mat.VecDense
		if chol.SolveVecTo(&step, g) != nil {
			return false
		}
		// Those that a bound stops are taken out, and the rest is solved again.
		var stay []int
		hit := false
		for r, i := range on {
			v := theta[f.vary[i]] + step.AtVec(r)/math.Sqrt(q.a[i*n+i])
			if (v < f.lo[i] && theta[f.vary[i]] <= f.lo[i]) || (v > f.hi[i] && theta[f.vary[i]] >= f.hi[i]) {
				hit = true
				continue
			}
			stay = append(stay, i)
		}
		if hit {
			on = stay
			continue
		}
		for r, i := range on {
			v := theta[f.vary[i]] + step.AtVec(r)/math.Sqrt(q.a[i*n+i])
			theta[f.vary[i]] = min(f.hi[i], max(f.lo[i], v))
		}
		return true
	}
	return false
}
