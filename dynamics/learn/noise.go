package learn

import (
	"context"
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/floats"

	"stirwatch/dynamics/model"
)

// Bounds and steps of the search for the noise of the states.
const (
	noiseRange = 100.0  // times more or less than the hypotheses say
	noiseFar   = 3.0    // factor by which a first search looks about
	noiseSteps = 6      // iterations of a search
	cautious   = 3.8e-4 // share of the cost that a factor e away from the hypotheses costs where they do not say how sure they are
)

// trial is a fit whose forecasts count in the choice of noise.
type trial struct {
	f     *fitter
	theta []float64
}

// cost is the logarithm of what the forecasts cost, 0 where there are none.
func (t *trial) cost() float64 {
	if c := t.f.data(t.theta); c > 0 {
		return math.Log(c)
	}
	return 0
}

// tune chooses the noise of the states by forecasts of every run with what was learned from the
// others, and of all runs with what was learned from all: how much a filter should adapt is told by
// runs that its equation has not seen. Of one run alone the halves are taken for runs; where it has phases
// they hold different ones and cannot tell, and what the hypotheses say is kept.
func (p *problem) tune(ctx context.Context, s *solution) (*solution, error) {
	var splits []split
	switch phased := slices.ContainsFunc(s.m.Definitions, func(d model.Definition) bool { return d.Name == model.Contact }); {
	case len(p.runs) > 1:
		splits = p.oneOut()
	case phased:
		return s, nil
	default:
		splits = p.splits()
	}
	s = &solution{m: copyOf(s.m), theta: slices.Clone(s.theta), dropped: s.dropped, starts: s.starts}
	before := p.before
	rounds := []float64{noiseFar, math.Sqrt(noiseFar)}
	if p.noiseKnown() { // it will not go far: the second round is enough
		rounds = rounds[1:]
	}
	for k, apart := range rounds {
		f, err := p.fitter(s.m, p.runs, nil)
		if err != nil {
			return nil, err
		}
		f.begin(s.starts)
		steps := foldSteps
		if k+1 < len(rounds) { // another noise follows, and with it the rest of the way
			steps /= 2
		}
		folds, err := p.fitFolds(ctx, s.m, splits, before, steps)
		if err != nil {
			return nil, err
		}
		before = withoutThem(folds)
		if len(p.runs) > 1 {
			s.without = before
		}
		var trials []trial
		for _, h := range folds {
			trials = append(trials, h.trial)
		}
		trials = append(trials, trial{f, s.theta})
		moved, err := newNoise(s.m, p.h, trials, f.rows(), math.Log(apart)).search(ctx)
		if err != nil || !moved { // it is as good as can be, and so is the fit
			return s, err
		}
		if err := f.solve(ctx, s.theta, warmSteps); err != nil {
			return nil, err
		}
		storeParameters(s.m, s.theta)
		s.starts = f.starts(f.x)
	}
	return s, nil
}

// noiseKnown reports whether the hypotheses know the noise of every state within a factor of noiseFar.
func (p *problem) noiseKnown() bool {
	return !slices.ContainsFunc(p.h.States, func(s model.HypothesisState) bool {
		return (s.Noise > 0 || s.NoiseShare > 0) && !(s.NoiseFactor > 1 && s.NoiseFactor <= noiseFar)
	})
}

// noise is the choice of the noise of the states of m as squares over its logarithms: x are the knobs. Every trial counts by
// the logarithm of what its forecasts cost, so that the cost is their geometric mean. What the hypotheses propose is
// preferred: as little as a guess deserves, or where they say how sure they are, as the other priors, by a number of rows.
type noise struct {
	m      *model.Model
	knobs  []knob
	trials []trial // of m
	apart  float64 // how far apart a knob is tried to differentiate
}

// knob is a noise that is chosen; one of 0 stays.
type knob struct {
	at    func(m *model.Model) *float64
	first float64
	pull  float64 // share of the cost that a factor e away from first costs
}

// newNoise has the knobs of m; rows is how many tell of them.
func newNoise(m *model.Model, h *model.Hypotheses, trials []trial, rows, apart float64) *noise {
	c := &noise{m: m, trials: trials, apart: apart}
	for i, x := range m.States {
		k := slices.IndexFunc(h.States, func(s model.HypothesisState) bool { return s.Symbol == x.Symbol })
		first, pull := &h.States[k], cautious
		if first.NoiseFactor > 1 {
			sd := math.Log(first.NoiseFactor)
			pull = priorRows / rows / (sd * sd)
		}
		if x.Noise > 0 {
			c.knobs = append(c.knobs, knob{func(m *model.Model) *float64 { return &m.States[i].Noise }, first.Noise, pull})
		}
		if x.NoiseShare > 0 {
			c.knobs = append(c.knobs, knob{func(m *model.Model) *float64 { return &m.States[i].NoiseShare }, first.NoiseShare, pull})
		}
	}
	return c
}

// search chooses the noise, and reports whether it is another.
func (c *noise) search(ctx context.Context) (moved bool, err error) {
	n := len(c.knobs)
	x, lo, hi := make([]float64, n), make([]float64, n), make([]float64, n)
	for i, k := range c.knobs {
		x[i] = math.Log(*k.at(c.m) / k.first)
		lo[i], hi[i] = -math.Log(noiseRange), math.Log(noiseRange)
	}
	was := slices.Clone(x)
	err = minimise(ctx, c, x, lo, hi, noiseSteps)
	c.set(x)
	for _, t := range c.trials {
		t.f.simulated = false
	}
	return !slices.Equal(x, was), err
}

// set puts the noise x in place.
func (c *noise) set(x []float64) {
	for i, k := range c.knobs {
		*k.at(c.m) = k.first * math.Exp(x[i])
	}
	for _, t := range c.trials {
		t.f.setNoise(c.m)
	}
}

// each tries the noise x.
func (c *noise) each(x []float64, fn func(i int, t *trial)) {
	c.set(x)
	var wg sync.WaitGroup
	for i := range c.trials {
		wg.Go(func() {
			fn(i, &c.trials[i])
			c.trials[i].f.simulated = true // noise does not touch what no reading corrects
		})
	}
	wg.Wait()
}

func (c *noise) cost(x []float64) float64 {
	logs := make([]float64, len(c.trials))
	c.each(x, func(i int, t *trial) { logs[i] = t.cost() })
	sum := 0.0
	for _, v := range logs {
		sum += v / float64(len(logs))
	}
	for i, k := range c.knobs {
		sum += k.pull * x[i] * x[i]
	}
	return math.Exp(sum)
}

// normal differentiates by differences: how the gain of the filter depends on the noise is not differentiated elsewhere.
func (c *noise) normal(x []float64) *normalEquations {
	n := len(c.knobs)
	at := make([]*normalEquations, len(c.trials)) // the residuals there
	c.each(x, func(i int, t *trial) { at[i] = t.f.residuals(t.theta, roots) })
	moved := make([][]*normalEquations, n)
	for k := range n {
		to := slices.Clone(x)
		to[k] += c.apart
		moved[k] = make([]*normalEquations, len(c.trials))
		c.each(to, func(i int, t *trial) { moved[k][i] = t.f.residuals(t.theta, roots) })
	}
	total := newNormalEquations(n)
	row := make([]float64, n)
	logs := 0.0
	for i, q := range at {
		if q.cost == 0 {
			continue
		}
		logs += math.Log(q.cost) / float64(len(at))
		share := 1 / (q.cost * float64(len(at)))
		for j, r := range q.r {
			for k := range row {
				row[k] = 0
				if p := moved[k][i]; len(p.r) == len(q.r) { // a forecast that is no number has no residual
					row[k] = (p.r[j] - r) / c.apart
				}
			}
			total.add(r, row, share, 0)
		}
	}
	for i, k := range c.knobs {
		logs += k.pull * x[i] * x[i]
		total.g[i] += k.pull * x[i]
		total.a[i*n+i] += k.pull
	}
	total.cost = math.Exp(logs)
	floats.Scale(total.cost, total.g)
	floats.Scale(total.cost, total.a)
	return total
}

// setNoise takes over the noise of the states of m.
func (f *fitter) setNoise(m *model.Model) {
	f.s.SetNoise(m)
	f.plain.SetNoise(m)
}
