package learn

import (
	"cmp"
	"context"
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
	evidenceLap  = 3      // every third row is an origin when candidates are left out
	runaway      = 1000.0 // K that an error counts at most, so that one does not hide all others
	rivalFrom    = 0.6    // correlation from which two candidates are rivals
	combinations = 5      // that are told at most
	doubtFrom    = 0.5    // relative standard deviation from which a combination is doubtful
	partFrom     = 0.3    // weight from which a candidate is part of it
)

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
			out = append(out, freeName(t.State, t.Name, t.Shared))
		}
	}
	return out
}

// freeName is what a coefficient is called: by its symbol where terms share it.
func freeName(state, name, shared string) string {
	if shared != "" {
		return shared
	}
	return model.CandidateName(state, name)
}

// known is what one fit tells of its free parameters, in their order.
type known struct {
	names       []string
	share       []float64     // identifiability of each
	correlation *mat.SymDense // nil if it cannot be told
}

func (f *fitter) known(q *normalEquations) known {
	k := known{names: f.names()}
	k.share, k.correlation = f.identified(q)
	return k
}

// rivals are the three that free parameter i is most easily taken for.
func (k *known) rivals(i int) (out []model.Rival) {
	if k.correlation == nil {
		return nil
	}
	for j, name := range k.names {
		if r := k.correlation.At(i, j); j != i && math.Abs(r) >= rivalFrom {
			out = append(out, model.Rival{Name: name, Correlation: r})
		}
	}
	slices.SortFunc(out, func(a, b model.Rival) int { return cmp.Compare(math.Abs(b.Correlation), math.Abs(a.Correlation)) })
	return out[:min(3, len(out))]
}

// weigh gathers the evidence for every candidate.
func (p *problem) weigh(ctx context.Context, b *built) (*model.Evidence, error) {
	all, m := b.all, b.m
	if len(all.f.free) == 0 {
		return nil, nil // nothing was left to the data
	}
	f := b.last.f
	kept, ofAll := f.known(b.last.q), all.f.known(all.q)
	inclusion := p.inclusion(all)

	e := &model.Evidence{Seed: p.o.Seed, Resamples: resamples, Horizons: score.Horizons}
	for i := range p.h.Terms {
		t := &p.h.Terms[i]
		if t.Fixed {
			continue
		}
		c := candidate(t)
		name, free := model.CandidateName(t.Of, t.Name), freeName(t.Of, t.Name, t.Coefficient)
		lacks := p.without[name]
		if k := slices.Index(ofAll.names, free); k >= 0 && lacks == "" {
			scale := expr.MustUnit(t.Unit).Scale
			c.Coefficient, c.StdErr = all.theta[all.f.free[k]]/scale, all.se[k]/scale
			c.Inclusion, c.Identifiability, c.Rivals = inclusion[k], ofAll.share[k], ofAll.rivals(k)
		}
		if k := slices.Index(kept.names, free); k >= 0 && lacks == "" {
			term := m.Terms[f.free[k]-len(m.Parameters)]
			c.Verdict, c.Coefficient, c.StdErr = model.Kept, term.Coefficient, term.StdErr
			c.Identifiability, c.Rivals = kept.share[k], kept.rivals(k)
		}
		if w, ok := all.weak[name]; ok {
			c.WeakForm = &w
		}
		switch {
		case t.Opinion == model.Forbid:
			c.Verdict, c.Why = model.Forbidden, "people forbid it"
		case lacks != "":
			c.Verdict, c.Why = model.NoData, lacks
		case c.Verdict == model.Dropped:
			c.Why = b.found.dropped[name]
		case t.Opinion == model.Require:
			c.Why = "people require it"
		}
		if !num.Finite(c.StdErr) {
			c.StdErr = 0
		}
		e.Candidates = append(e.Candidates, c)
	}
	for k, at := range f.free {
		if at >= len(m.Parameters) {
			break
		}
		par := &m.Parameters[at]
		e.Candidates = append(e.Candidates, model.Candidate{
			Name: par.Name, Verdict: model.Kept, Inclusion: 1, Coefficient: par.Value, StdErr: par.StdErr, Unit: par.Unit,
			Identifiability: kept.share[k], Rivals: kept.rivals(k),
		})
	}
	if err := p.leaveOut(ctx, e, b.folds); err != nil {
		return nil, err
	}
	p.doubt(e, m, all, ofAll.names)
	return e, nil
}

// inclusion is in what share of resamples each free parameter of the fit of all candidates is
// chosen; those that people require always are.
func (p *problem) inclusion(all *weighing) []float64 {
	proposed := make([]bool, len(all.f.free))
	for i, at := range all.f.free {
		if k := at - len(all.f.s.Model.Parameters); k >= 0 {
			proposed[i] = !p.required(&all.f.s.Model.Terms[k])
		}
	}
	rng := rand.New(rand.NewPCG(p.o.Seed, 1))
	return newQuadratic(all.f, all.q, all.theta).inclusion(rng, all.se, proposed)
}

// candidate is t before anything is known of it.
func candidate(t *model.HypothesisTerm) model.Candidate {
	c := model.Candidate{State: t.Of, Name: t.Name, Expression: t.Expression, Sign: 1, Mode: t.Mode, Opinion: t.Opinion, Unit: t.Unit, Verdict: model.Dropped}
	if c.Opinion == "" {
		c.Opinion = model.Propose
	}
	if t.Sign == "-" {
		c.Sign = -1
	}
	return c
}

// doubt adds what is in doubt, and what would tell more. It is asked of all candidates: one that was
// dropped may be there all the same, if the data could not tell it from another.
func (p *problem) doubt(e *model.Evidence, m *model.Model, all *weighing, names []string) {
	c := all.q.covariance()
	all.f.weighStart(all.q)
	if c == nil {
		return
	}
	scale := all.f.scales(all.theta)
	e.Doubtful = doubtful(c, scale, names)
	doubt := make([]float64, len(scale))
	for i := range doubt {
		doubt[i] = math.Sqrt(c.At(i, i)) / scale[i]
	}
	e.Advice = p.experiments(m, all, doubt, names)
}

// errors are the squared errors of forecasts by m of the rows that h holds out, by horizon, and
// their number: of all outputs, each weighed by its noise against that of the leading one.
func (p *problem) errors(h *fold, m *model.Model) (sum, count []float64, err error) {
	sum, count = make([]float64, len(score.Horizons)), make([]float64, len(score.Horizons))
	for i, r := range p.runs {
		if !slices.Contains(h.score[i], true) {
			continue
		}
		run, err := r.For(m)
		if err != nil {
			return nil, nil, err
		}
		t := score.NewTrack(system.Compile(m), run)
		err = score.ForecastTrack(t, filter.Known, score.Horizons, 0, len(run.Time), evidenceLap, h.score[i], false, func(row score.Row) {
			z := row.Measured
			if !num.Finite(z) || !h.score[i][row.Target] {
				return
			}
			e := (row.Forecast - z) * m.Outputs[0].SD / m.Outputs[row.Output].SD
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
func (p *problem) leaveOut(ctx context.Context, e *model.Evidence, held []*fold) error {
	folds := len(held)
	base, count := make([][]float64, folds), make([][]float64, folds)
	err := parallel(ctx, folds, func(i int) (err error) {
		base[i], count[i], err = p.errors(held[i], held[i].m)
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
	err = parallel(ctx, len(of)*folds, func(i int) error {
		h := held[i%folds]
		c := of[i/folds]
		from, starts := h.without(c.State, c.Name)
		m, ok := p.toggled(from, c.State, c.Name)
		if !ok {
			return nil
		}
		f, err := p.refit(ctx, m, h.learn, starts, lapSteps)
		if err == nil {
			changed[i/folds][i%folds], _, err = p.errors(h, f.s.Model)
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
