package control

import "math"

// level is that of a reading that is set by steps, seen through its noise. The zero value knows none yet.
type level struct {
	at    float64 // since the last step; 0: none is known
	moves bool    // it is on its way to another one

	mean   float64 // of late
	last   float64 // the reading of the tick before
	unlike float64 // s since it was another one, as far as it counts
	noise  float64 // variance of a reading
	sample float64 // s between two readings
	near   float64 // where the mean has stood
	stood  float64 // for so many s
}

// How a level is followed, s, and as shares of it.
const (
	levelSlow   = 5.0  // time constant of the mean of late
	levelMemory = 30.0 // of the noise, and of the level while it stands
	levelStands = 5.0  // that the mean must stand to be another level
	levelMoves  = 0.02 // by which another level is another one: less than half of what is ever advised
	levelNoise  = 4.0  // standard deviations of the mean of late that count as noise
	sampleMost  = 2.0  // s: a reading that stays the same for longer has no noise
)

// step takes in a reading, and tells from which level it has come to another one; from 0 when the first is known.
func (l *level) step(v, dt float64) (was float64, changed bool) {
	if !(v > 0) || !(dt > 0) {
		return 0, false
	}
	if l.mean == 0 {
		l.mean, l.last, l.near, l.moves = v, v, v, true
	}
	l.listen(v, dt)
	l.mean -= math.Expm1(-dt/levelSlow) * (v - l.mean)
	least := max(levelMoves*l.at, levelNoise*math.Sqrt(l.noise*l.sample/(2*levelSlow)))
	if !l.moves {
		if math.Abs(l.mean-l.at) > least {
			l.moves, l.near, l.stood = true, l.mean, 0
		} else {
			l.at -= math.Expm1(-dt/levelMemory) * (l.mean - l.at)
		}
		return 0, false
	}
	if math.Abs(l.mean-l.near) > max(least, levelMoves*l.mean)/2 {
		l.near, l.stood = l.mean, 0
	}
	if l.stood += dt; l.stood < levelStands {
		return 0, false
	}
	l.moves = false
	if math.Abs(l.mean-l.at) <= least { // it is back
		return 0, false
	}
	was, l.at = l.at, l.mean
	return was, true
}

// listen follows the noise by how readings differ from those before; a reading that is told several times counts once.
func (l *level) listen(v, dt float64) {
	l.unlike = min(l.unlike+dt, sampleMost)
	if v == l.last && l.unlike < sampleMost {
		return
	}
	share := -math.Expm1(-l.unlike / levelMemory)
	if v == l.last {
		share = -math.Expm1(-dt / levelMemory)
	}
	d := v - l.last
	l.noise += share * (d*d/2 - l.noise)
	l.sample += share * (l.unlike - l.sample)
	l.last, l.unlike = v, 0
	if d == 0 {
		l.unlike = sampleMost
	}
}

// highest is the most that a reading has been in the last one or two laps.
type highest struct{ now, before, age float64 }

func (h *highest) step(v, dt float64) {
	if v > h.now {
		h.now = v
	}
	if h.age += dt; h.age >= aLap {
		h.before, h.now, h.age = h.now, 0, 0
	}
}

func (h *highest) value() float64 { return max(h.now, h.before) }
