package filter

import (
	"math"

	"stirwatch/dynamics/phase"
)

// ledger keeps forecasts until they come due: one slot for each instant at which some were made, at most
// one a grain. It is a ring; what has not come due when its slot is needed again is forgotten.
type ledger struct {
	horizons []float64
	outputs  int
	grain    float64 // s
	slots    []slot
	sayings  []saying // slots × outputs × horizons
	made     int      // slots opened so far: the newest is made−1, at that modulo their number
	next     [][]int  // by output and horizon: the oldest slot that has not come due, counted as made
	last     []reading
}

// slot is an instant at which forecasts were made.
type slot struct {
	at    float64 // s
	span  float64 // s that it stands for: since the one before
	phase phase.Phase
	stops bool // the machine stopped before the next slot
}

// saying is a forecast of one output at one horizon. A mean that is NaN was none.
type saying struct {
	ahead float64          // s, what was asked for
	by    [Experts]float64 // NaN is asleep
	mean  float64          // what was made of them
	half  float64          // of the interval, before misses have had their say

	stop, stopHalf float64 // mean and half-width of the branch of a stop; NaN without one
}

// reading is a measurement and when it was taken.
type reading struct{ at, value float64 }

const (
	grain      = 1.0  // s between slots, at least
	mostSlots  = 600  // at long horizons slots are rarer
	jitter     = 0.1  // share of the grain by which a slot may come early
	longestGap = 5.0  // s between two readings between which a reading is known, or a tenth of the horizon
	dueEarly   = 1e-6 // s; what is due now is due
)

func (g *ledger) init(horizons []float64, outputs int) {
	longest := horizons[len(horizons)-1]
	g.horizons, g.outputs, g.grain = horizons, outputs, max(grain, longest/mostSlots)
	n := int(longest/(g.grain*(1-jitter))) + 3
	g.slots, g.sayings = make([]slot, n), make([]saying, n*outputs*len(horizons))
	g.last, g.next = make([]reading, outputs), make([][]int, outputs)
	for o := range g.next {
		g.next[o] = make([]int, len(horizons))
	}
	g.clear()
}

func (g *ledger) clear() {
	g.made = 0
	for o := range g.last {
		g.last[o] = reading{math.Inf(-1), math.NaN()}
		clear(g.next[o])
	}
}

// said is what slot k (counted as made) holds of output o at horizon h.
func (g *ledger) said(k, o, h int) *saying {
	return &g.sayings[(k%len(g.slots)*g.outputs+o)*len(g.horizons)+h]
}

// open gives a slot at the instant now and its number, nil where the last is younger than a grain.
func (g *ledger) open(now float64, p phase.Phase) (*slot, int) {
	span := g.grain
	if g.made > 0 {
		if span = now - g.slots[(g.made-1)%len(g.slots)].at; span < g.grain*(1-jitter) {
			return nil, 0
		}
	}
	k := g.made
	g.made++
	s := &g.slots[k%len(g.slots)]
	*s = slot{at: now, span: span, phase: p}
	for o := range g.outputs {
		for h := range g.horizons {
			g.said(k, o, h).mean = math.NaN()
		}
	}
	return s, k
}

// newest is the slot opened last, nil before any.
func (g *ledger) newest() *slot {
	if g.made == 0 {
		return nil
	}
	return &g.slots[(g.made-1)%len(g.slots)]
}

// settle takes a reading of output o at the instant now, and calls judge for every forecast that has come due with it or
// since the reading before, with the reading at that instant.
func (g *ledger) settle(now float64, o int, value float64, judge func(o, h int, s *slot, said *saying, reading float64)) {
	before := g.last[o]
	g.last[o] = reading{now, value}
	for h, horizon := range g.horizons {
		k := max(g.next[o][h], g.made-len(g.slots))
		for ; k < g.made; k++ {
			s, said := &g.slots[k%len(g.slots)], g.said(k, o, h)
			if math.IsNaN(said.mean) {
				continue
			}
			due := s.at + said.ahead
			if due > now+dueEarly {
				break
			}
			at := value
			if due < now-dueEarly { // between two readings
				if due < before.at || now-before.at > max(longestGap, horizon/10) {
					continue // nobody knows
				}
				at = before.value + (due-before.at)/(now-before.at)*(value-before.value)
			}
			judge(o, h, s, said, at)
		}
		g.next[o][h] = k
	}
}
