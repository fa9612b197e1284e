package learn

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// firstDamping is Marquardt's λ of a first step.
const firstDamping = 1e-2

// settled is the share of the cost that an iteration must gain to be worth another.
const settled = 5e-4

// alike is how far, as a share of the cost, what a step gained may be from what it promised for the equations that promised it
// to hold at its end too.
const alike = 5e-3

// squares is a sum of squares to be minimised over x.
type squares interface {
	normal(x []float64) *normalEquations // linearised about x, with the cost there
	cost(x []float64) float64            // the same cost without derivatives, which is cheap
}

// tries of a step, each damped more than the one before.
const tries = 8

// minimise improves x within lo ≤ x ≤ hi by Levenberg and Marquardt's damped steps (Marquardt, J. SIAM 11,
// 1963), scaled by the diagonal; of variables that a bound stops the step is taken without them. It ends after
// the given iterations, when one gains hardly anything or the next would, or soon after ctx does, with its error.
func minimise(ctx context.Context, s squares, x, lo, hi []float64, iterations int) error {
	lambda := firstDamping
	trial, next := make([]float64, len(x)), make([]float64, len(x))
	for range iterations {
		now := s.normal(x)
		gained := 0.0
		for range tries {
			if err := ctx.Err(); err != nil {
				return err
			}
			promised := now.attempt(trial, x, lo, hi, &lambda)
			if promised < settled*now.cost {
				break
			}
			if c := s.cost(trial); c < now.cost {
				lambda = max(lambda/5, 1e-7)
				gained = now.cost - c
				if math.Abs(gained-promised) < alike*c { // as linear as it seemed: so is the next step
					now.move(x, trial)
					damping := lambda
					if now.attempt(next, trial, lo, hi, &damping) < settled*c {
						gained = 0
					}
				}
				copy(x, trial)
				break
			}
			lambda *= 6
		}
		if gained < settled*now.cost {
			break
		}
	}
	return ctx.Err()
}

// attempt puts into trial a step from x that promises enough, and gives what it promises: one that a bound cuts
// short may promise little, where one that is damped more goes another way.
func (q *normalEquations) attempt(trial, x, lo, hi []float64, lambda *float64) (promised float64) {
	for range tries {
		copy(trial, x)
		if q.step(trial, lo, hi, *lambda) {
			if promised = q.promise(x, trial); promised >= settled*q.cost {
				break
			}
		}
		*lambda *= 6
	}
	return promised
}

// promise is by how much the cost falls from one point to another if the residuals are as linear as they seem.
func (q *normalEquations) promise(from, to []float64) (gain float64) {
	n := len(from)
	for i := range n {
		d := to[i] - from[i]
		gain -= d * (2*q.g[i] + q.a[i*n+i]*d)
		for j := range i {
			gain -= 2 * d * q.a[i*n+j] * (to[j] - from[j])
		}
	}
	return gain
}

// move makes of the equations about one point those about another.
func (q *normalEquations) move(from, to []float64) {
	n := len(from)
	for j := range n {
		d := to[j] - from[j]
		for i := range n {
			q.g[i] += q.a[max(i, j)*n+min(i, j)] * d
		}
	}
}

// step moves x by one damped step. A variable at its bound that would leave it stays.
func (q *normalEquations) step(x, lo, hi []float64, lambda float64) bool {
	n := len(x)
	var on []int
	for i, v := range x {
		if v <= lo[i] && q.g[i] > 0 || v >= hi[i] && q.g[i] < 0 || q.a[i*n+i] == 0 {
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
		to := func(r, i int) float64 { return x[i] + step.AtVec(r)/math.Sqrt(q.a[i*n+i]) }
		// Those that a bound stops are taken out, and the rest is solved again.
		var stay []int
		for r, i := range on {
			if v := to(r, i); v < lo[i] && x[i] <= lo[i] || v > hi[i] && x[i] >= hi[i] {
				continue
			}
			stay = append(stay, i)
		}
		if len(stay) < len(on) {
			on = stay
			continue
		}
		for r, i := range on {
			x[i] = min(hi[i], max(lo[i], to(r, i)))
		}
		return true
	}
	return false
}

// solve fits theta (the parameters), which it changes, and where the hidden nodes of the runs began,
// which the runs keep.
func (f *fitter) solve(ctx context.Context, theta []float64, iterations int) error {
	b := f.about(theta)
	f.x = make([]float64, len(f.vary))
	for i, p := range f.vary {
		f.x[i] = b.theta[p]
	}
	if len(f.free) == 0 {
		f.evaluate(theta, sums)
		return ctx.Err()
	}
	err := minimise(ctx, b, f.x, f.lo, f.hi, iterations)
	b.at(f.x)
	copy(theta, b.theta)
	for k, r := range f.runs {
		copy(r.start, b.theta[f.s.NP+k*len(f.hidden):])
	}
	return err
}

// bounded is a fitter as squares over what it varies.
type bounded struct {
	f     *fitter
	theta []float64 // parameters, then starts by run
}

// about makes one whose parameters that are not varied are those of theta.
func (f *fitter) about(theta []float64) *bounded {
	b := &bounded{f: f, theta: slices.Clone(theta)}
	for _, r := range f.runs {
		b.theta = append(b.theta, r.start...)
	}
	return b
}

// at gives the parameters and starts at x.
func (b *bounded) at(x []float64) []float64 {
	for i, p := range b.f.vary {
		b.theta[p] = x[i]
	}
	return b.theta
}

func (b *bounded) normal(x []float64) *normalEquations {
	q := b.f.evaluate(b.at(x), sums)
	b.f.ridge = b.f.rowWeight(q.cost) // the starting values weigh less at a lower cost
	b.f.addPull(q, b.theta)
	return q
}

func (b *bounded) cost(x []float64) float64 { return b.f.data(b.at(x)) + b.f.pull(b.theta) }
