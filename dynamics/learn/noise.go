package learn

import (
	"context"
	"math"
	"slices"
	"sync"

	"stirwatch/dynamics/model"
)

// Bounds and steps of the search for the noise of the states.
const (
	noiseRange = 100.0 // times more or less than the hypotheses say
	firstStep  = 3.0
	lastStep   = 1.3
	cautious   = 2e-3 // share of the cost that a decade away from the hypotheses costs where they do not say how sure they are
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
	rounds := []float64{firstStep, math.Sqrt(firstStep)}
	if p.noiseKnown() { // it will not go far: the second round is enough
		rounds = rounds[1:]
	}
	for k, coarse := range rounds {
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
		was := slices.Clone(s.m.States)
		if err := searchNoise(ctx, s.m, p.h, append(trials, trial{f, s.theta}), coarse); err != nil {
			return nil, err
		}
		if slices.Equal(was, s.m.States) { // it is as good as can be, and so is the fit
			return s, nil
		}
		if err := f.solve(ctx, s.theta, warmSteps); err != nil {
			return nil, err
		}
		storeParameters(s.m, s.theta)
		s.starts = f.starts(f.x)
	}
	return s, nil
}

// noiseKnown tells if the hypotheses know the noise of every state within a factor that is no more than a first step.
func (p *problem) noiseKnown() bool {
	return !slices.ContainsFunc(p.h.States, func(s model.HypothesisState) bool {
		return (s.Noise > 0 || s.NoiseShare > 0) && !(s.NoiseFactor > 1 && s.NoiseFactor <= firstStep)
	})
}

// searchNoise finds the noise of the states of m with which the forecasts of trials are best, each counting by
// the logarithm of its cost, by a pattern search (Hooke and Jeeves, J. ACM 8, 1961): how the gain of
// the filter depends on noise is not differentiated, and a cost without derivatives is cheap. A
// noise of 0 stays. All trials are of m, the last of them of all runs. What the hypotheses h propose is
// preferred: as little as a guess deserves, or where they say how sure they are, as the other priors, by a
// number of rows. The search begins with steps by the factor coarse.
func searchNoise(ctx context.Context, m *model.Model, h *model.Hypotheses, trials []trial, coarse float64) error {
	type knob struct {
		share bool
		state int
		first float64
		pull  float64 // share of the cost that a decade away from first costs
	}
	var knobs []knob
	rows := trials[len(trials)-1].f.rows()
	for i, x := range m.States {
		k := slices.IndexFunc(h.States, func(s model.HypothesisState) bool { return s.Symbol == x.Symbol })
		first, pull := &h.States[k], cautious
		if first.NoiseFactor > 1 {
			sd := math.Log10(first.NoiseFactor)
			pull = priorRows / rows / (sd * sd)
		}
		if x.Noise > 0 {
			knobs = append(knobs, knob{false, i, first.Noise, pull})
		}
		if x.NoiseShare > 0 {
			knobs = append(knobs, knob{true, i, first.NoiseShare, pull})
		}
	}
	at := func(k knob) float64 {
		if k.share {
			return m.States[k.state].NoiseShare
		}
		return m.States[k.state].Noise
	}
	set := func(k knob, v float64) {
		if k.share {
			m.States[k.state].NoiseShare = v
		} else {
			m.States[k.state].Noise = v
		}
	}
	costs := make([]float64, len(trials))
	cost := func() (sum float64) {
		var wg sync.WaitGroup
		for i := range trials {
			wg.Go(func() {
				trials[i].f.setNoise(m)
				costs[i] = trials[i].cost()
				trials[i].f.simulated = true // noise does not touch what no reading corrects
			})
		}
		wg.Wait()
		for _, c := range costs {
			sum += c / float64(len(trials))
		}
		for _, k := range knobs {
			d := math.Log10(at(k) / k.first)
			sum += k.pull * d * d
		}
		return sum
	}
	best := cost()
	for step := coarse; step > lastStep; step = math.Sqrt(step) {
		for range 3 {
			moved := false
			for _, k := range knobs {
				if err := ctx.Err(); err != nil {
					return err
				}
				now := at(k)
				for _, v := range []float64{now * step, now / step} {
					if v > k.first*noiseRange || v < k.first/noiseRange {
						continue
					}
					set(k, v)
					if c := cost(); c < best-1e-4 {
						best, now, moved = c, v, true
						break
					}
				}
				set(k, now)
			}
			if !moved {
				break
			}
		}
	}
	for _, t := range trials {
		t.f.setNoise(m)
		t.f.simulated = false
	}
	return nil
}

// setNoise takes over the noise of the states of m.
func (f *fitter) setNoise(m *model.Model) {
	f.s.SetNoise(m)
	f.plain.SetNoise(m)
}
