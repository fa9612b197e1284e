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

// resolutions are how far apart the readings of a signal may be for each fault, s: what simulated builds were told rightly at, with rows
// each 1 to 15 s. Slower ones show something else as well: a bar that has run out looks like a tool that has lifted, a
// spindle that stops at the end of a build like one that stopped in it.
var resolutions = [Faults]struct {
	of    Signal
	every float64
}{
	Feedstock: {FeedTorque, 7}, Jam: {FeedTorque, 10}, LiftOff: {Torque, 7}, Flash: {FeedTorque, 10},
	ColdStart: {Torque, 5}, Coolant: {Bearing, 5}, Unreachable: {Temperature, 10}, Stopped: {Speed, 7},
	Frozen: {Temperature, 10}, Step: {Temperature, 10}, Creep: {Temperature, 5}, Wear: {Temperature, 5},
	Reversed: {Temperature, 10}, Swapped: {Temperature, 10},
}

// Judged reports whether the readings come fast enough for a fault to be told. Until two have come they are taken to.
func (f *Follower) Judged(k Fault) bool {
	r := resolutions[k]
	return f.pace[r.of].every <= uneven*r.every
}

// needs are the signals without which a fault is never found. Those that only sharpen one are not among them.
var needs = [Faults][]Signal{
	Feedstock: {FeedVelocity, FeedTorque, Torque}, Jam: {FeedVelocity, FeedTorque}, LiftOff: {Torque, FeedVelocity, Rise, Temperature},
	Flash: {FeedVelocity, FeedTorque, Path}, ColdStart: {Torque, Temperature}, Coolant: {Bearing, Speed, Temperature, FeedVelocity},
	Unreachable: {Temperature, SetPoint, Speed, FeedVelocity}, Stopped: {Speed, Torque, Temperature},
	Frozen: {Temperature}, Step: {Temperature}, Creep: {Temperature, SetPoint, Speed, Torque, FeedVelocity},
	Wear: {Temperature, SetPoint, Speed, Torque, FeedVelocity}, Reversed: {Temperature, Torque}, Swapped: {Temperature, Other, Torque},
}

// Lacks gives the first signal that a fault needs and nobody measures; false where there is none.
func Lacks(k Fault, measured func(Signal) bool) (Signal, bool) {
	for _, s := range needs[k] {
		if !measured(s) {
			return s, true
		}
	}
	return 0, false
}

// uneven is how much slower than they should readings may come.
const uneven = 1.1

// Every is how far apart the readings of a signal are, s; 0 where there were no two.
func (f *Follower) Every(s Signal) float64 { return f.pace[s].every }

// speaksFor is how long a reading of a signal speaks for at most: what nobody has read has not held.
func (f *Follower) speaksFor(s Signal) float64 { return max(speaksFor, 1.5*f.pace[s].every) }
