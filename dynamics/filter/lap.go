package filter

import "math"

// How what repeats is found. Chosen on simulated builds and on one recording of passes to and fro.
const (
	shortestLap = 20    // steps of about a second
	longestLap  = 160   // the same
	lapSlow     = 60.0  // steps: what is slower is no lap
	lapMemory   = 100.0 // steps for which a likeness is remembered
	lapChance   = 0.45  // correlation that may be chance, being the best of many
	lapClip     = 2.5   // mean absolute deviations beyond which a deviation counts no more
)

// laps follows how a reading swings about its set-point, and finds the lag after which the swing comes again: passes to
// and fro, or the laps of a ring, heat and cool the tool in their turn. The likeness at each lag is its correlation, with
// forgetting; what is slower than a lap is taken off first, and large deviations count as their bound, so that one
// upset does not drown what follows. The zero laps is ready once made by init.
type laps struct {
	step        float64 // s between two readings
	n           int     // readings so far
	slow, size  float64 // K: what is slower than a lap, and the mean absolute deviation from that
	swing, unit []float64
	same, was   []float64 // by lag: discounted products of a deviation with that of a lag ago, and squares of the latter
	now         float64   // and discounted squares of the deviations
	lag         int       // the best, 0 without one
	like        float64   // its correlation beyond chance, 0 to 1
}

func (l *laps) init() {
	l.swing, l.unit = make([]float64, longestLap+1), make([]float64, longestLap+1)
	l.same, l.was = make([]float64, longestLap+1), make([]float64, longestLap+1)
}

func (l *laps) clear() {
	l.n, l.now, l.lag, l.like = 0, 0, 0, 0
	clear(l.same)
	clear(l.was)
}

// add takes in how far above its set-point a reading is, K, span s after the last one. Readings of uneven spacing begin
// anew.
func (l *laps) add(above, span float64) {
	if l.n > 0 && (span > 1.5*l.step || span < l.step/1.5) || span > 3 || math.IsNaN(above) {
		l.clear()
	}
	if math.IsNaN(above) {
		return
	}
	if l.n == 0 {
		l.slow, l.size, l.step = above, 0, span
	}
	l.n++
	n := float64(l.n)
	l.step -= math.Expm1(-1/min(lapSlow, n)) * (span - l.step)
	l.slow -= math.Expm1(-1/min(lapSlow, n)) * (above - l.slow)
	off := above - l.slow
	l.size -= math.Expm1(-1/min(lapSlow, n)) * (min(math.Abs(off), 3*l.size+0.5) - l.size)
	off = min(lapClip*l.size, max(-lapClip*l.size, off))
	unit := off / (l.size + 0.2)
	place := l.n % len(l.swing)
	l.swing[place], l.unit[place] = off, unit
	keep := math.Exp(-1 / lapMemory)
	l.now = keep*l.now + unit*unit
	l.lag, l.like = 0, 0
	best := 0.0
	for lag := shortestLap; lag <= longestLap && lag < l.n; lag++ {
		before := l.unit[(l.n-lag)%len(l.unit)]
		l.same[lag], l.was[lag] = keep*l.same[lag]+unit*before, keep*l.was[lag]+before*before
		if same := l.same[lag]; same > 0 && l.n > lag+lag/2 && same*same > best*l.was[lag]*l.now {
			best, l.lag = same*same/(l.was[lag]*l.now), lag
		}
	}
	l.like = max(0, (math.Sqrt(best)-lapChance)/(1-lapChance))
}

// Lap is what is known of the laps by which the process repeats itself.
type Lap struct {
	Length  float64 // s; 0: no lap is known
	Number  int     // since the tool began to deposit, from 1
	Through float64 // share of it that has passed, 0 to 1
}

// A lap is told to people from this likeness on, and from a mean absolute deviation of so many K: what stands still is like
// itself at every lag.
const (
	lapSure  = 0.3
	lapSwing = 0.5
)

// lapAsGood is the share of the best squared correlation from which a shorter lag is the lap itself.
const lapAsGood = 0.7

// known is the lap that goes on.
func (l *laps) known() Lap {
	if l.lag == 0 || l.like < lapSure || l.size < lapSwing {
		return Lap{}
	}
	lag := l.shortest()
	return Lap{Length: float64(lag) * l.step, Number: 1 + (l.n-1)/lag, Through: float64((l.n-1)%lag) / float64(lag)}
}

// shortest is the lag of one lap: after two or three the swing comes again as well, and the best lag may be theirs.
func (l *laps) shortest() int {
	alike := func(lag int) float64 { // the square of the correlation
		same := max(0, l.same[lag])
		return same * same / max(l.was[lag]*l.now, 1e-12)
	}
	for lag := shortestLap + 1; lag < l.lag; lag++ {
		if r := alike(lag); r > lapAsGood*alike(l.lag) && r > alike(lag-1) && r >= alike(lag+1) {
			return lag
		}
	}
	return l.lag
}

// ahead is how far above the set-point what repeats will be in some seconds, K: what it was a lap before, or as many
// laps as are needed, the less the more of them.
func (l *laps) ahead(seconds float64) float64 {
	if l.lag == 0 || l.like == 0 {
		return 0
	}
	steps := int(math.Round(seconds / l.step))
	times := (steps + l.lag - 1) / l.lag
	back := times*l.lag - steps
	return math.Pow(l.like, float64(times)) * l.swing[(l.n-back)%len(l.swing)]
}
