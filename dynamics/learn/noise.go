package learn

import (
	"math"
	"sync"

	"stirwatch/dynamics/model"
)

// Bounds and steps of the search for the noise of the states.
const (
	noiseRange = 100.0 // times more or less than the hypotheses say
	firstStep  = 3.0
	lastStep   = 1.3
	cautious   = 2e-3 // weight of a decade away from the hypotheses
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

// tune finds the noise of the states with which the forecasts of trials are best, each counting by
// the logarithm of its cost, by a pattern search (Hooke and Jeeves, J. ACM 8, 1961): how the gain of
// the filter depends on noise is not differentiated, and a cost without derivatives is cheap. A
// noise of 0 stays. All trials are of m; first has what people propose, which is
// preferred. The search begins with steps by the factor coarse.
func tune(m, first *model.Model, trials []trial, coarse float64) {
	type knob struct {
		share bool
		state int
		first float64
	}
	var knobs []knob
	for i, x := range m.States {
		if x.Noise > 0 {
			knobs = append(knobs, knob{false, i, first.States[first.StateIndex(x.Symbol)].Noise})
		}
		if x.NoiseShare > 0 {
			knobs = append(knobs, knob{true, i, first.States[first.StateIndex(x.Symbol)].NoiseShare})
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
			sum += cautious * d * d
		}
		return sum
	}
	best := cost()
	for step := coarse; step > lastStep; step = math.Sqrt(step) {
		for range 3 {
			moved := false
			for _, k := range knobs {
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
}

// setNoise takes over the noise of the states of m.
func (f *fitter) setNoise(m *model.Model) {
	f.s.SetNoise(m)
	f.plain.SetNoise(m)
}
