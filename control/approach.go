package control

import (
	"math"

	"stirwatch/dynamics/phase"
)

// approach follows whether the set-point is still to be come to for the first time: a warm-up, deposition that goes on after the
// feed has rested, a set-point that was put far from where the temperature is. Until then nothing is known of whether it is held.
type approach struct {
	on   bool
	held float64 // s within farOff of the set-point
	best float64 // K, the least that it was off
	idle float64 // s since that became less
	last float64 // °C, the set-point of the tick before

	since              float64 // s that it is over
	temperature, speed float64 // °C and rpm since then, the mean of a lap
}

// When it is over, s.
const (
	heldFor = 30.0 // within farOff
	idleFor = 45.0 // no nearer by nearer: this is where it stays
	nearer  = 1.0  // K
	aLap    = 45.0 // as a path's usually takes: what is averaged over it tells of no swing
)

func (p *approach) step(s *Situation, dt float64) {
	if !(s.SetPoint > 0) || math.IsNaN(s.Temperature) {
		return
	}
	off := math.Abs(s.SetPoint - s.Temperature)
	moved := math.Abs(s.SetPoint-p.last) >= 0.5
	p.last = s.SetPoint
	if s.cold() || s.idles() || moved && off > farOff {
		*p = approach{on: true, best: off, last: s.SetPoint}
		return
	}
	if p.held += dt; off > farOff {
		p.held = 0
	}
	if p.idle += dt; off < p.best-nearer {
		p.best, p.idle = off, 0
	}
	if p.held >= heldFor || p.idle >= idleFor {
		p.on = false
	}
	if p.on {
		p.since = 0
		return
	}
	if !(dt > 0) || math.IsNaN(s.SpindleSpeed) {
		return
	}
	p.since += dt
	share := min(1, dt/min(p.since, aLap))
	p.temperature += share * (s.Temperature - p.temperature)
	p.speed += share * (s.SpindleSpeed - p.speed)
}

// cold tells whether the metal does not flow yet.
func (s *Situation) cold() bool { return !phase.Flows(s.Temperature, s.SetPoint) }
