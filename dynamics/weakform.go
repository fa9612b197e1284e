package dynamics

import (
	"math"
	"slices"
)

// WeakForm is what a regression in weak form says of a term of the first state: a second opinion, which
// knows nothing of forecasts.
type WeakForm struct {
	Kept        bool    `json:"kept"`
	Coefficient float64 `json:"coefficient"`
	StdErr      float64 `json:"std_err"`
}

// String says kept or dropped, – where the weak form was not asked.
func (w *WeakForm) String() string {
	switch {
	case w == nil:
		return "–"
	case w.Kept:
		return Kept
	}
	return Dropped
}

// Windows of the weak form: half their length and how far they are apart, s.
const (
	weakHalf  = 10.0
	weakApart = 5.0
	weakLaps  = 20 // of reweighting
)

// weakForm regresses the first state on its terms over short windows, by candidate: the derivative is moved
// onto a smooth weight φ = (1 − τ²)² by parts, −∫φ'·T = Σ coefficient·∫φ·term, so that noise is not
// differentiated (Messenger and Bortz, J. Comput. Phys. 443, 2021, eq. 2.5). Corrections, which are states that
// a simulation leaves as they start, stay there; all others are taken as the filter at theta sees them. A
// term that is zero throughout is not asked. Coefficients keep their
// signs, errors beyond three robust standard deviations count linearly, and the weakest term that people
// only propose goes until each is three standard errors from zero and saves its share of the cost, as in
// learner.fit.
func (f *fitter) weakForm(theta []float64, required func(*Term) bool) map[string]WeakForm {
	m := f.s.m
	var terms []int
	for i := range m.Terms {
		if t := &m.Terms[i]; t.State == m.States[StateTool].Symbol && !t.Fixed {
			terms = append(terms, i)
		}
	}
	w := f.weakRows(theta, terms)
	terms = w.told(terms)
	stays := slices.Clone(terms)
	var coefficients, se []float64
	for {
		coefficients, se = w.solve(terms, stays)
		worst, least := -1, 1.0
		for k, i := range stays {
			if required(&m.Terms[i]) {
				continue
			}
			saves, sure := w.saves(terms, stays, k, coefficients)
			if score := min(saves/worthwhile, sure/surely); score < least {
				worst, least = k, score
			}
		}
		if worst < 0 {
			break
		}
		stays = slices.Delete(slices.Clone(stays), worst, worst+1)
	}
	out := map[string]WeakForm{}
	for _, i := range terms {
		t := &m.Terms[i]
		k := slices.Index(stays, i)
		if k < 0 {
			out[candidate(t.State, t.Name)] = WeakForm{}
			continue
		}
		scale := mustUnit(t.Unit).Scale
		out[candidate(t.State, t.Name)] = WeakForm{coefficients[k] > 0, coefficients[k] / scale, se[k] / scale}
	}
	return out
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
	ones := slices.Clone(theta[:s.np])
	for _, i := range terms {
		ones[len(s.m.Parameters)+i] = 1
	}
	moves := f.moving(theta)
	for k, from := range f.runs {
		r := *from
		r.weight = slices.Repeat([]float64{1}, len(r.t)) // every row is wanted
		r.rows, r.x0, r.s0, r.drive = nil, nil, nil, nil
		plain.prepare(&r, theta)
		plain.follow(&r, theta)
		plain.prepare(&r, ones)
		q := plain.flow(ones)
		x, rates, first := make([]float64, s.nx), make([]float64, s.nx), make([]float64, s.nx)
		value := make([][]float64, len(r.rows)) // of the terms at every row, and of what is fixed
		hint := 0
		for o, i := range r.rows {
			s.begin(q.sv, theta[:s.np], r.z[i], first)
			for j := range x {
				if x[j] = first[j]; moves[j] {
					x[j] = r.x0[o*s.nx+j]
				}
			}
			q.act(&r, r.t[i], r.t[i], &hint)
			s.rates(rates, q.v, x)
			rest := rates[StateTool]
			for _, i := range terms {
				value[o] = append(value[o], q.v[s.term[i]])
				rest -= q.v[s.term[i]]
			}
			value[o] = append(value[o], rest)
		}
		last := math.Inf(-1)
		for c, i := range r.rows {
			at := r.t[i]
			if at-last < weakApart || at-r.t[r.rows[0]] < weakHalf || r.t[r.rows[len(r.rows)-1]]-at < weakHalf || r.mask != nil && !r.mask[i] {
				continue
			}
			last = at
			row, y, whole := make([]float64, len(terms)), 0.0, true
			lo, hi := c, c
			for lo > 0 && r.t[r.rows[lo-1]] > at-weakHalf {
				lo--
			}
			for hi+1 < len(r.rows) && r.t[r.rows[hi+1]] < at+weakHalf {
				hi++
			}
			for o := lo; o <= hi; o++ {
				// The trapezoidal rule; φ is zero at both ends.
				t := r.t[r.rows[o]]
				left, right := at-weakHalf, at+weakHalf
				if o > lo {
					left = r.t[r.rows[o-1]]
				}
				if o < hi {
					right = r.t[r.rows[o+1]]
				}
				dt := (right - left) / 2
				whole = whole && dt <= weakHalf/2
				tau := (t - at) / weakHalf
				phi, slope := (1-tau*tau)*(1-tau*tau), -4*tau*(1-tau*tau)/weakHalf
				y -= dt * slope * r.x0[o*s.nx+StateTool]
				for j := range terms {
					row[j] += dt * phi * value[o][j]
				}
				y -= dt * phi * value[o][len(terms)]
			}
			if !whole || !finite(row...) || !finite(y) {
				continue
			}
			weight := 1.0
			if r.z[i] < r.warm {
				weight = coolWeight
			}
			w.y, w.weight, w.row = append(w.y, y), append(w.weight, weight), append(w.row, row)
			w.block = append(w.block, k*1000000+int((at-r.t[0])/blockSpan))
		}
	}
	return w
}

// moving tells which states a simulation moves away from their start.
func (f *fitter) moving(theta []float64) []bool {
	plain := &fitter{s: f.plain, hidden: f.hidden}
	s := f.plain
	moves := make([]bool, s.nx)
	moves[StateTool] = true
	first, x := make([]float64, s.nx), make([]float64, s.nx)
	for _, from := range f.runs {
		i := slices.IndexFunc(from.z, func(z float64) bool { return finite(z) })
		if i < 0 {
			continue
		}
		r := *from
		r.drive = nil
		plain.prepare(&r, theta)
		q, hint := plain.flow(theta), i
		q.begin(theta, r.z[i], nil, first, nil)
		copy(x, first)
		for i++; i < len(r.t); i++ {
			q.advance(&r, x, nil, nil, r.t[i-1], r.t[i], &hint)
			for j := range x {
				moves[j] = moves[j] || x[j] != first[j]
			}
		}
	}
	return moves
}

// told are those of terms, in the order of the rows, that are not zero in every window; the rows lose the
// others.
func (w *weakRows) told(terms []int) (some []int) {
	var keep []int
	for j, t := range terms {
		if slices.ContainsFunc(w.row, func(row []float64) bool { return row[j] != 0 }) {
			some, keep = append(some, t), append(keep, j)
		}
	}
	for i, row := range w.row {
		left := make([]float64, len(keep))
		for k, j := range keep {
			left[k] = row[j]
		}
		w.row[i] = left
	}
	return some
}

// normal gathers the normal equations of the terms that stay, at coefficients.
func (w *weakRows) normal(terms, stays []int, coefficients []float64, scale float64) *normal {
	q := newNormal(len(stays))
	q.keep = true
	row := make([]float64, len(stays))
	for i, y := range w.y {
		r := -y
		for k, t := range stays {
			v := w.row[i][slices.Index(terms, t)]
			row[k] = v / scale
			r += coefficients[k] * v
		}
		q.add(r/scale, row, w.weight[i], w.block[i])
	}
	return q
}

// solve fits the terms that stay, none below zero.
func (w *weakRows) solve(terms, stays []int) (coefficients, se []float64) {
	coefficients, se = make([]float64, len(stays)), make([]float64, len(stays))
	scale := w.scale(terms, stays, coefficients)
	for range weakLaps {
		q := w.normal(terms, stays, coefficients, scale)
		n := len(stays)
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
		scale = w.scale(terms, stays, coefficients)
	}
	if c := w.normal(terms, stays, coefficients, scale).covariance(); c != nil {
		for i := range se {
			se[i] = math.Sqrt(c.At(i, i))
		}
	}
	return coefficients, se
}

// scale is the robust standard deviation of what the coefficients leave.
func (w *weakRows) scale(terms, stays []int, coefficients []float64) float64 {
	var left []float64
	for i, y := range w.y {
		for k, t := range stays {
			y -= coefficients[k] * w.row[i][slices.Index(terms, t)]
		}
		left = append(left, math.Abs(y))
	}
	if len(left) == 0 {
		return 1
	}
	slices.Sort(left)
	return max(1.4826*left[len(left)/2], 1e-12)
}

// saves is what the term at k of stays saves of the cost, the others following (Wald), and how many
// standard errors it is from zero.
func (w *weakRows) saves(terms, stays []int, k int, coefficients []float64) (share, sure float64) {
	q := w.normal(terms, stays, coefficients, w.scale(terms, stays, coefficients))
	for i := range stays { // two that are the same hold each other up
		q.a[i*len(stays)+i] *= 1 + 1e-9
	}
	inv, c := q.inverse(), q.covariance()
	v := coefficients[k]
	if inv == nil || c == nil || v <= 0 {
		return 0, 0
	}
	return v * v / inv.At(k, k) / q.cost, v / math.Sqrt(c.At(k, k))
}
