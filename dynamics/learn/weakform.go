package learn

import (
	"math"
	"slices"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
)

// Windows of the weak form: half their length and how far they are apart, s.
const (
	weakHalf  = 10.0
	weakApart = 5.0
	weakLaps  = 20 // of reweighting
)

// weakForm regresses the first state on its terms over short windows, by candidate: the derivative is moved
// onto a smooth weight φ = (1 − τ²)² by parts, −∫φ'·T = Σ coefficient·∫φ·term, so that noise is not
// differentiated (Messenger and Bortz, J. Comput. Phys. 443, 2021, eq. 2.5). Corrections, which are states
// that a simulation leaves as they start, stay there; all others are taken as the filter at theta sees them.
// A term that is zero throughout is not asked. Coefficients keep their signs, errors beyond three robust
// standard deviations count linearly, and the weakest term that people only propose goes until each is three
// standard errors from zero and saves its share of the cost, as in problem.eliminate.
func (f *fitter) weakForm(theta []float64, required func(*model.Term) bool) map[string]model.WeakForm {
	m := f.s.Model
	var terms []int
	for i := range m.Terms {
		if t := &m.Terms[i]; t.State == m.States[model.StateTool].Symbol && !t.Fixed {
			terms = append(terms, i)
		}
	}
	w := f.weakRows(theta, terms)
	out := map[string]model.WeakForm{}
	var stays []int // columns
	for j, i := range terms {
		if slices.ContainsFunc(w.row, func(row []float64) bool { return row[j] != 0 }) {
			stays = append(stays, j)
			out[model.CandidateName(m.Terms[i].State, m.Terms[i].Name)] = model.WeakForm{}
		}
	}
	for {
		coefficients, q := w.solve(stays)
		inv, c := q.inverse(), q.covariance()
		worst, least := -1, 1.0
		for k, j := range stays {
			t, v, score := &m.Terms[terms[j]], coefficients[k], 0.0
			if v > 0 && inv != nil && c != nil {
				score = min(v*v/inv.At(k, k)/q.cost/worthwhile, v/math.Sqrt(c.At(k, k))/surely)
			}
			if !required(t) && score < least {
				worst, least = k, score
			}
		}
		if worst >= 0 {
			stays = slices.Delete(stays, worst, worst+1)
			continue
		}
		for k, j := range stays {
			t := &m.Terms[terms[j]]
			if v := coefficients[k]; v > 0 {
				w := model.WeakForm{Kept: true, Coefficient: v / expr.MustUnit(t.Unit).Scale}
				if c != nil {
					w.StdErr = math.Sqrt(c.At(k, k)) / expr.MustUnit(t.Unit).Scale
				}
				out[model.CandidateName(t.State, t.Name)] = w
			}
		}
		return out
	}
}

// weakRows are the windows: y = Σ coefficient·row.
type weakRows struct {
	y, weight []float64
	row       [][]float64 // by window, then term
	block     []int
}

// weakRows integrates every run over its windows.
func (f *fitter) weakRows(theta []float64, terms []int) (w weakRows) {
	plain := &fitter{s: f.plain, hidden: f.hidden}
	s := f.plain
	ones := slices.Clone(theta[:s.NP])
	for _, i := range terms {
		ones[len(s.Model.Parameters)+s.Model.Sharing(i)] = 1
	}
	moves := f.moving(theta)
	for k, from := range f.runs {
		r := *from
		r.weight = slices.Repeat([]float64{1}, len(r.course.T)) // every row is wanted
		r.rows, r.x0, r.s0, r.course.Drive = nil, nil, nil, nil
		plain.prepare(&r, theta)
		plain.filtered(&r, theta)
		plain.prepare(&r, ones)
		q, begin, at := plain.flow(ones), plain.flow(theta), r.course.T
		x, rates, first := make([]float64, s.NX), make([]float64, s.NX), make([]float64, s.NX)
		readings := make([]float64, len(r.z))
		value := make([][]float64, len(r.rows)) // of the terms at every row, and of what is fixed
		hint := 0
		for o, i := range r.rows {
			begin.Stepper.Begin(first, r.readings(readings, i))
			for j := range x {
				if x[j] = first[j]; moves[j] {
					x[j] = r.x0[o*s.NX+j]
				}
			}
			q.Act(&r.course, at[i], at[i], &hint)
			q.Rates(rates, x)
			rest := rates[model.StateTool]
			for _, i := range terms {
				value[o] = append(value[o], q.Term(i))
				rest -= q.Term(i)
			}
			value[o] = append(value[o], rest)
		}
		last := math.Inf(-1)
		for c, i := range r.rows {
			mid := at[i]
			if mid-last < weakApart || mid-at[r.rows[0]] < weakHalf || at[r.rows[len(r.rows)-1]]-mid < weakHalf || r.mask != nil && !r.mask[i] {
				continue
			}
			last = mid
			row, y, whole := make([]float64, len(terms)), 0.0, true
			lo, hi := c, c
			for lo > 0 && at[r.rows[lo-1]] > mid-weakHalf {
				lo--
			}
			for hi+1 < len(r.rows) && at[r.rows[hi+1]] < mid+weakHalf {
				hi++
			}
			for o := lo; o <= hi; o++ {
				// The trapezoidal rule; φ is zero at both ends.
				t := at[r.rows[o]]
				left, right := mid-weakHalf, mid+weakHalf
				if o > lo {
					left = at[r.rows[o-1]]
				}
				if o < hi {
					right = at[r.rows[o+1]]
				}
				dt := (right - left) / 2
				whole = whole && dt <= weakHalf/2
				tau := (t - mid) / weakHalf
				phi, slope := (1-tau*tau)*(1-tau*tau), -4*tau*(1-tau*tau)/weakHalf
				y -= dt * slope * r.x0[o*s.NX+model.StateTool]
				for j := range terms {
					row[j] += dt * phi * value[o][j]
				}
				y -= dt * phi * value[o][len(terms)]
			}
			if !whole || !num.Finite(row...) || !num.Finite(y) {
				continue
			}
			weight := 1.0
			if r.z[0][i] < r.warm {
				weight = coolWeight
			}
			w.y, w.weight, w.row = append(w.y, y), append(w.weight, weight), append(w.row, row)
			w.block = append(w.block, k*1000000+int((mid-at[0])/blockSpan))
		}
	}
	return w
}

// normal gathers the normal equations of the columns that stay, at coefficients.
func (w *weakRows) normal(stays []int, coefficients []float64, scale float64) *normalEquations {
	q := newNormalEquations(len(stays))
	q.keep = rows
	row := make([]float64, len(stays))
	for i, y := range w.y {
		r := -y
		for k, j := range stays {
			row[k] = w.row[i][j] / scale
			r += coefficients[k] * w.row[i][j]
		}
		q.add(r/scale, row, w.weight[i], w.block[i])
	}
	return q
}

// solve fits the columns that stay, none below zero, and gives the normal equations there.
func (w *weakRows) solve(stays []int) (coefficients []float64, q *normalEquations) {
	n := len(stays)
	coefficients = make([]float64, n)
	for range weakLaps {
		q = w.normal(stays, coefficients, w.scale(stays, coefficients))
		// What is left to move, by coordinates: the equations are few and positive definite.
		step := make([]float64, n)
		for range 200 {
			for i := range n {
				if q.a[i*n+i] == 0 {
					continue
				}
				sum := q.g[i]
				for j := range n {
					sum += q.a[max(i, j)*n+min(i, j)] * step[j]
				}
				step[i] = max(-coefficients[i], step[i]-sum/q.a[i*n+i])
			}
		}
		for i := range n {
			coefficients[i] += step[i]
		}
	}
	q = w.normal(stays, coefficients, w.scale(stays, coefficients))
	for i := range n { // two that are the same hold each other up
		q.a[i*n+i] *= 1 + 1e-9
	}
	return coefficients, q
}

// scale is the robust standard deviation of what the coefficients leave.
func (w *weakRows) scale(stays []int, coefficients []float64) float64 {
	if len(w.y) == 0 {
		return 1
	}
	var left []float64
	for i, y := range w.y {
		for k, j := range stays {
			y -= coefficients[k] * w.row[i][j]
		}
		left = append(left, math.Abs(y))
	}
	return max(1.4826*num.Median(left), 1e-12)
}

// moving tells which states a simulation moves away from their start.
func (f *fitter) moving(theta []float64) []bool {
	plain := &fitter{s: f.plain, hidden: f.hidden}
	s := f.plain
	moves := make([]bool, s.NX)
	moves[model.StateTool] = true
	first, x := make([]float64, s.NX), make([]float64, s.NX)
	for _, from := range f.runs {
		i := slices.IndexFunc(from.z[0], func(z float64) bool { return num.Finite(z) })
		if i < 0 {
			continue
		}
		r := *from
		r.course.Drive = nil
		plain.prepare(&r, theta)
		q, hint := plain.flow(theta), i
		q.Begin(first, nil, r.readings(make([]float64, len(r.z)), i), nil)
		copy(x, first)
		for i++; i < len(r.course.T); i++ {
			q.Advance(&r.course, x, nil, nil, r.course.T[i-1], r.course.T[i], 0, &hint)
			for j := range x {
				moves[j] = moves[j] || x[j] != first[j]
			}
		}
	}
	return moves
}
