package trial

import "stirwatch/firmware-bridge/twin"

// bound turns the spindle as whoever knew the machine might, a reference that is not proved to be the best: it foretells with the simulated machine itself, in its
// true state, of which it knows the disturbances of this instant and what program and operator will do, but none of the disturbances to
// come. What it leaves is the machine's: dead time, lags, limits, and what cannot be foretold.
type bound struct {
	ahead twin.Machine        // the machine, going on quietly
	plan  [boundMoves]float64 // rpm, from now on
	base  [boundPoints]float64
	g     [boundMoves][boundPoints]float64
}

// How its problem is cut.
const (
	boundMoves  = 5
	boundPoints = 40   // a tenth of a second each
	boundNudge  = 4.0  // rpm
	boundCalm   = 2e-4 // K² per rpm² of change
	boundSweeps = 60
)

// boundFrom are where the moves begin, in tenths of a second.
var boundFrom = [boundMoves]int{0, 3, 8, 16, 28}

// boundAt is the move at an instant, in tenths of a second.
func boundAt(point int) (k int) {
	for k = boundMoves - 1; boundFrom[k] > point; k-- {
	}
	return k
}

// foretell fills y with the reading along a plan.
func (b *bound) foretell(m *twin.Machine, y *[boundPoints]float64, plan *[boundMoves]float64) {
	m.Quiet(&b.ahead)
	for i := range y {
		_ = b.ahead.Do(twin.Code{Name: "M06", S: plan[boundAt(i)], HasS: true})
		b.ahead.Advance(interval)
		y[i] = b.ahead.Reading()
	}
}

// step gives the speed to command, rpm, between least and most.
func (b *bound) step(m *twin.Machine, held, goal, least, most float64) float64 {
	if b.plan[0] == 0 {
		for k := range b.plan {
			b.plan[k] = held
		}
	}
	b.improve(m, held, goal, least, most)
	return b.plan[0]
}

func (b *bound) improve(m *twin.Machine, held, goal, least, most float64) {
	b.foretell(m, &b.base, &b.plan)
	for k := range b.plan {
		trial := b.plan
		by := boundNudge
		if trial[k]+by > most {
			by = -by
		}
		trial[k] += by
		b.foretell(m, &b.g[k], &trial)
		for i := range b.g[k] {
			b.g[k][i] = (b.g[k][i] - b.base[i]) / by
		}
	}
	// Errors and changes squared, by one move after another within limits.
	for range boundSweeps {
		for k := range b.plan {
			up, down := 0.0, 0.0
			for i, g := range b.g[k] {
				up += g * (goal - b.base[i])
				down += g * g
			}
			before := held
			if k > 0 {
				before = b.plan[k-1]
			}
			up, down = up+boundCalm*(before-b.plan[k]), down+boundCalm
			if k+1 < boundMoves {
				up, down = up+boundCalm*(b.plan[k+1]-b.plan[k]), down+boundCalm
			}
			to := min(max(b.plan[k]+up/down, least), most)
			by := to - b.plan[k]
			for i, g := range b.g[k] {
				b.base[i] += by * g
			}
			b.plan[k] = to
		}
	}
}
