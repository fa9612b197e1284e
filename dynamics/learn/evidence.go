package learn

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/score"
	"stirwatch/dynamics/system"
)

// How evidence is gathered.
const (
	resamples    = 200
	evidenceLap  = 3      // every third row is an origin when candidates are left out
	runaway      = 1000.0 // K that an error counts at most, so that one does not hide all others
	rivalFrom    = 0.6    // correlation from which two candidates are rivals
	combinations = 5      // that are told at most
	doubtFrom    = 0.5    // relative standard deviation from which a combination is doubtful
	partFrom     = 0.3    // weight from which a candidate is part of it
)

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
// elimination as in learner.fit, on the quadratic. Of terms that people require it asks only what they
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
		q.a[i*n+i] += f.ridge / (f.width[i] * f.width[i])
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

// identified is what the data tell of each free parameter that the others could not tell: 1 − R² of
// its column of derivatives on all others', and how the estimates are correlated (n × n).
func (f *fitter) identified(q *normalEquations) (share []float64, correlation *mat.SymDense) {
	n := len(f.free)
	share = make([]float64, n)
	inv := q.inverse()
	if inv == nil {
		return share, nil
	}
	correlation = mat.NewSymDense(n, nil)
	for i := range n {
		share[i] = min(1, max(0, 1/(q.a[i*n+i]*inv.At(i, i))))
		for j := range i + 1 {
			correlation.SetSym(i, j, inv.At(i, j)/math.Sqrt(inv.At(i, i)*inv.At(j, j)))
		}
	}
	return share, correlation
}

// scales are what free parameters are measured in when they are compared: their own value, or half
// their range where that says nothing (a temperature in °C, a zero).
func (f *fitter) scales(theta []float64) []float64 {
	out := make([]float64, len(f.free))
	for i, p := range f.free {
		out[i] = math.Abs(theta[p])
		if p >= len(f.s.Model.Parameters) {
			out[i] = max(out[i], 0.1*f.width[i]) // one that is nearly zero is compared with what was thought
		}
		offset := p < len(f.s.Model.Parameters) && expr.MustUnit(f.s.Model.Parameters[p].Unit).Offset != 0
		if offset || out[i] < 1e-3*f.width[i] {
			out[i] = f.width[i]
		}
	}
	return out
}

// doubtful finds the directions that the data know least: eigenvectors of the covariance with the
// parameters in units of scale.
func doubtful(c *mat.SymDense, scale []float64, names []string) []model.Combination {
	n := len(scale)
	a := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			a.SetSym(i, j, c.At(i, j)/(scale[i]*scale[j]))
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(a, true) {
		return nil
	}
	var vectors mat.Dense
	eig.VectorsTo(&vectors)
	values := eig.Values(nil) // rising
	var out []model.Combination
	for k := n - 1; k >= 0 && len(out) < combinations; k-- {
		sd := math.Sqrt(max(0, values[k]))
		if sd < doubtFrom {
			break
		}
		c := model.Combination{SD: sd}
		for i := range n {
			if w := vectors.At(i, k); math.Abs(w) >= partFrom {
				c.Parts = append(c.Parts, model.Part{Name: names[i], Weight: w})
			}
		}
		slices.SortFunc(c.Parts, func(a, b model.Part) int { return cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight)) })
		if len(c.Parts) > 0 && c.Parts[0].Weight < 0 {
			for i := range c.Parts {
				c.Parts[i].Weight *= -1
			}
		}
		out = append(out, c)
	}
	return out
}

// names of the free parameters, as evidence tells them.
func (f *fitter) names() []string {
	m := f.s.Model
	var out []string
	for _, p := range f.free {
		if p < len(m.Parameters) {
			out = append(out, m.Parameters[p].Name)
		} else {
			t := &m.Terms[p-len(m.Parameters)]
			out = append(out, model.CandidateName(t.State, t.Name))
		}
	}
	return out
}

// weigh gathers the evidence for every candidate.
func (l *learner) weigh() error {
	all := l.all
	if len(all.f.free) == 0 {
		return nil // nothing was left to the data
	}
	f, err := l.fitter(l.m, l.runs, nil)
	if err != nil {
		return err
	}
	f.begun(l.starts)
	f.halved = 1 // as the last fit was
	q, _ := f.judge(l.theta)
	rng := rand.New(rand.NewPCG(l.o.Seed, 1))
	e := &model.Evidence{Seed: l.o.Seed, Resamples: resamples, Horizons: score.Horizons}
	proposed := make([]bool, len(all.f.free))
	for i, p := range all.f.free {
		if k := p - len(all.f.s.Model.Parameters); k >= 0 {
			proposed[i] = !l.required(&all.f.s.Model.Terms[k])
		}
	}
	share := newQuadratic(all.f, all.q, all.theta).inclusion(rng, all.se, proposed)
	seen, correlation := f.identified(q)
	seenAll, correlationAll := all.f.identified(all.q)
	names, namesAll := f.names(), all.f.names()
	rivals := func(c *mat.SymDense, names []string, i int) (out []model.Rival) {
		if c == nil {
			return nil
		}
		for j := range names {
			if r := c.At(i, j); j != i && math.Abs(r) >= rivalFrom {
				out = append(out, model.Rival{Name: names[j], Correlation: r})
			}
		}
		slices.SortFunc(out, func(a, b model.Rival) int { return cmp.Compare(math.Abs(b.Correlation), math.Abs(a.Correlation)) })
		return out[:min(3, len(out))]
	}
	for i := range l.h.Terms {
		t := &l.h.Terms[i]
		if t.Fixed {
			continue
		}
		c := model.Candidate{State: t.Of, Name: t.Name, Expression: t.Expression, Sign: 1, Mode: t.Mode, Opinion: t.Opinion, Unit: t.Unit, Verdict: model.Dropped}
		if c.Opinion == "" {
			c.Opinion = model.Propose
		}
		if t.Sign == "-" {
			c.Sign = -1
		}
		name := model.CandidateName(t.Of, t.Name)
		if k := slices.Index(namesAll, name); k >= 0 {
			scale := expr.MustUnit(t.Unit).Scale
			c.Coefficient, c.StdErr = all.theta[all.f.free[k]]/scale, all.se[k]/scale
			c.Inclusion, c.Identifiability, c.Rivals = share[k], seenAll[k], rivals(correlationAll, namesAll, k)
		}
		if k := slices.Index(names, name); k >= 0 {
			term := l.m.Terms[f.free[k]-len(l.m.Parameters)]
			c.Verdict, c.Coefficient, c.StdErr = model.Kept, term.Coefficient, term.StdErr
			c.Identifiability, c.Rivals = seen[k], rivals(correlation, names, k)
		}
		if w, ok := l.weak[name]; ok {
			c.WeakForm = &w
		}
		switch {
		case t.Opinion == model.Forbid:
			c.Verdict, c.Why = model.Forbidden, "people forbid it"
		case l.without[name] != "":
			c.Verdict, c.Why = model.NoData, l.without[name]
		case c.Verdict == model.Dropped:
			c.Why = l.dropped[name]
		case t.Opinion == model.Require:
			c.Why = "people require it"
		}
		if !num.Finite(c.StdErr) {
			c.StdErr = 0
		}
		e.Candidates = append(e.Candidates, c)
	}
	for k, p := range f.free {
		if p >= len(l.m.Parameters) {
			break
		}
		par := &l.m.Parameters[p]
		e.Candidates = append(e.Candidates, model.Candidate{
			Name: par.Name, Verdict: model.Kept, Inclusion: 1, Coefficient: par.Value, StdErr: par.StdErr, Unit: par.Unit,
			Identifiability: seen[k], Rivals: rivals(correlation, names, k),
		})
	}
	if err := l.leaveOut(e); err != nil {
		return err
	}
	// What is in doubt, and what would tell more, is asked of all candidates: one that was dropped may be
	// there all the same, if the data could not tell it from another.
	c := all.q.covariance()
	all.f.weighStart(all.q, all.theta)
	if c != nil {
		scale := all.f.scales(all.theta)
		e.Doubtful = doubtful(c, scale, namesAll)
		doubt := make([]float64, len(scale))
		for i := range doubt {
			doubt[i] = math.Sqrt(c.At(i, i)) / scale[i]
		}
		e.Advice = l.experiments(all, doubt, namesAll)
	}
	l.m.Evidence = e
	return nil
}

// errors are the squared errors of forecasts by m of the rows that h holds out, by horizon, and
// their number.
func (l *learner) errors(h *fold, m *model.Model) (sum, count []float64, err error) {
	sum, count = make([]float64, len(score.Horizons)), make([]float64, len(score.Horizons))
	for i, r := range l.runs {
		if !slices.Contains(h.score[i], true) {
			continue
		}
		run, err := r.For(m)
		if err != nil {
			return nil, nil, err
		}
		t := score.NewTrack(system.Compile(m), run)
		err = score.ForecastTrack(t, filter.Known, score.Horizons, 0, len(run.Time), evidenceLap, false, func(row score.Row) {
			z := run.Z[0][row.Target]
			if !num.Finite(z) || !h.score[i][row.Target] {
				return
			}
			e := row.Forecast - z
			if !num.Finite(e) || math.Abs(e) > runaway {
				e = runaway
			}
			k := slices.Index(score.Horizons, row.Horizon)
			sum[k] += e * e
			count[k]++
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return sum, count, nil
}

// leaveOut learns again without each candidate that was kept, and with each that was dropped, on
// every fold, and tells by how much the forecasts of what is held out get worse without it.
func (l *learner) leaveOut(e *model.Evidence) error {
	folds := len(l.folds)
	base, count := make([][]float64, folds), make([][]float64, folds)
	err := l.parallel(folds, func(i int) (err error) {
		base[i], count[i], err = l.errors(l.folds[i], l.folds[i].m)
		return err
	})
	if err != nil {
		return err
	}
	rmse := func(sums [][]float64) []float64 {
		out := make([]float64, len(score.Horizons))
		for k := range out {
			sum, n := 0.0, 0.0
			for i := range sums {
				sum, n = sum+sums[i][k], n+count[i][k]
			}
			if n > 0 {
				out[k] = math.Sqrt(sum / n)
			}
		}
		return out
	}
	e.Base = rmse(base)
	var of []*model.Candidate
	for k := range e.Candidates {
		if c := &e.Candidates[k]; c.State != "" && (c.Verdict == model.Kept || c.Verdict == model.Dropped) {
			of = append(of, c)
		}
	}
	changed := make([][][]float64, len(of))
	for i := range changed {
		changed[i] = make([][]float64, folds)
	}
	err = l.parallel(len(of)*folds, func(i int) error {
		h := l.folds[i%folds]
		m, ok := l.toggled(h.m, of[i/folds].State, of[i/folds].Name)
		if !ok {
			return nil
		}
		m, err := l.refit(m, h.learn, lapSteps)
		if err == nil {
			changed[i/folds][i%folds], _, err = l.errors(h, m)
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, c := range of {
		if slices.ContainsFunc(changed[i], func(v []float64) bool { return v == nil }) {
			continue
		}
		c.LeftOut = rmse(changed[i])
		for k := range c.LeftOut {
			if c.LeftOut[k] -= e.Base[k]; c.Verdict == model.Dropped {
				c.LeftOut[k] *= -1
			}
		}
	}
	return nil
}
