package control

import "math"

// Gain learns by what factor a target does more than its model says, from what it does while it controls. A
// closed loop hides that: commands answer disturbances, so that a plain regression of what came on what was
// commanded is wrong. Here the instrument is what was planned, which knows nothing of the disturbances to
// come (instrumental variables: Söderström and Stoica, Instrumental Variable Methods for System
// Identification, 1983).
type Gain struct {
	every, ahead float64
	slots        int
	plans        []planned
	commands     []float64 // ring of what was commanded, by step
	next         int
	count        int
	zy, zx       float64
}

// planned is what was thought at one step of the output some seconds later.
type planned struct {
	held, stays float64        // what the target held, and the output expected if it stayed
	instrument  float64        // effect of the plan
	effect      [moves]float64 // of each move by 1 unit
}

const (
	gainAhead  = 6.0   // s after which an effect is looked at
	gainMemory = 180.0 // s
	gainPrior  = 150.0 // K²: how firmly 1 is believed beforehand
	leastGain  = 0.4
	mostGain   = 4.0
)

// NewGain makes one for steps every so many s.
func NewGain(every, horizon float64) *Gain {
	g := &Gain{every: every, ahead: min(gainAhead, horizon/2)}
	g.slots = max(1, int(math.Round(g.ahead/every)))
	g.plans, g.commands = make([]planned, g.slots), make([]float64, g.slots)
	g.Forget()
	return g
}

// Forget forgets all.
func (g *Gain) Forget() { g.next, g.count, g.zy, g.zx = 0, 0, gainPrior, gainPrior }

// Factor is the gain as it is learned.
func (g *Gain) Factor() float64 { return min(max(g.zy/g.zx, leastGain), mostGain) }

// Observe takes in the output, which is what the plan of some seconds ago spoke of. begins are where its moves
// began, s.
func (g *Gain) Observe(output float64, begins *[moves]float64) {
	if g.count < g.slots || math.IsNaN(output) {
		return
	}
	p := &g.plans[g.next] // the oldest
	effect := 0.0
	for k := range moves {
		from := begins[k]
		if from >= g.ahead {
			break
		}
		to := g.ahead
		if k+1 < moves {
			to = min(to, begins[k+1])
		}
		mean, n := 0.0, 0.0
		for i := range g.slots {
			if at := float64(i) * g.every; at >= from-1e-9 && at < to-1e-9 {
				mean += g.commands[(g.next+i)%g.slots]
				n++
			}
		}
		if n > 0 {
			effect += p.effect[k] * (mean/n - p.held)
		}
	}
	if off := output - p.stays; math.Abs(off) < mostOff {
		keep := math.Exp(-g.every / gainMemory)
		g.zy = gainPrior + keep*(g.zy-gainPrior) + p.instrument*off
		g.zx = gainPrior + keep*(g.zx-gainPrior) + p.instrument*effect
	}
	g.zx = max(g.zx, gainPrior/4)
	g.zy = max(g.zy, gainPrior/10)
}

// Planned notes a plan and what is commanded now.
func (g *Gain) Planned(p planned, command float64) {
	g.plans[g.next], g.commands[g.next] = p, command
	g.next = (g.next + 1) % g.slots
	g.count++
}
