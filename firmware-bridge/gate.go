package bridge

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// gate holds a target's limits and what is known of its value. The limits are fixed; the rest belongs to
// [Bridge.mu].
type gate struct {
	Target
	lo, hi     float64       // limits on the dialect's grid
	resolution float64       // smallest step the dialect can express; 0: any
	step       time.Duration // between two values of a ramp: long enough for one resolution

	lease   *Lease
	expires time.Time
	claims  int       // commands that are being written into the state file
	next    time.Time // when the pilot has something to do

	reverting  bool
	safe       float64   // the safe state's value; as found: the one before the first command
	cause, who string    // why it is reverting, and whose lease it was
	since      time.Time // from when
	tries      int       // to put the safe state on the wire
	retry      time.Time // when the watchdog tries again

	touched      bool      // a command was put on the wire and not yet reverted
	last         float64   // last value on the wire, or read at the start of a lease
	lastAt       time.Time // when; the latest that it may have got through
	low, high    float64   // the controller holds a value from low to high: one value where it was confirmed; NaN: not known
	acknowledged bool      // last was acknowledged
	verified     bool      // last was acknowledged and read back
	unreadable   bool      // it cannot be read back: acknowledgements alone count
	readBack     float64   // NaN: never
	strange      float64   // the latest read-back that did not confirm last; NaN: none
	confirmed    time.Time // when the controller last confirmed last; until then, when the lease began
	problem      error     // of the latest request; nil: none
}

// slack allows for the rounding of a few sums and divisions.
const slack = 1e-9

func newGate(t Target, resolution float64, step time.Duration) (*gate, error) {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("target %s: %s", t.Name, fmt.Sprintf(format, args...))
	}
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fail(format, args...))
		}
	}
	check(t.Name != "", "has no name")
	check(finite(t.Min) && finite(t.Max) && t.Min <= t.Max, "the limits %g to %g are no interval", t.Min, t.Max)
	check(finite(t.Slew) && t.Slew > 0, "the slew limit %g %s/s is not above 0", t.Slew, t.Unit)
	check(finite(t.Tolerance) && t.Tolerance >= 0, "the tolerance %g is below 0", t.Tolerance)
	check(t.Lease > 0 && t.Lease <= maxLease, "the longest lease %v is not between 0 and %v", t.Lease, maxLease)
	check(finite(t.Safe.Value) && t.Safe.Name != "", "the safe state needs a name and a value")
	check(!t.Safe.Ramp || t.Safe.AsFound || t.Safe.Value >= t.Min && t.Safe.Value <= t.Max, "the safe state %q, %g, is outside the limits and cannot be walked to", t.Safe.Name, t.Safe.Value)
	check(finite(resolution) && resolution >= 0, "resolution %g", resolution)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	g := &gate{Target: t, lo: t.Min, hi: t.Max, resolution: resolution, step: step, safe: t.Safe.Value, readBack: math.NaN()}
	if g.begin(); t.Safe.AsFound {
		g.safe = math.NaN()
	}
	if resolution > 0 {
		g.lo, g.hi = math.Ceil(t.Min/resolution-slack)*resolution, math.Floor(t.Max/resolution+slack)*resolution
		check(g.lo <= g.hi, "no value between %g and %g can be expressed in steps of %g", t.Min, t.Max, resolution)
		check(t.Safe.AsFound || math.Abs(g.round(t.Safe.Value)-t.Safe.Value) <= slack*math.Max(1, math.Abs(t.Safe.Value)), "the safe value %g cannot be expressed in steps of %g", t.Safe.Value, resolution)
		g.step = max(step, time.Duration(math.Ceil(math.Min(resolution/t.Slew, 1e6)*1e9)))
	}
	return g, errors.Join(errs...)
}

// round is the nearest value the dialect can express.
func (g *gate) round(v float64) float64 {
	if g.resolution == 0 {
		return v
	}
	return math.Round(v/g.resolution) * g.resolution
}

// clamp is the nearest value that may be given.
func (g *gate) clamp(v float64) float64 {
	return math.Min(math.Max(g.round(math.Min(math.Max(v, g.lo), g.hi)), g.lo), g.hi)
}

// leased reports whether someone commands the target; then it does not revert.
func (g *gate) leased() bool { return g.lease != nil }

// known reports whether it is known what the controller holds.
func (g *gate) known() bool { return !math.IsNaN(g.low) }

// begin forgets what was known before a lease: somebody may have changed the value at the machine since.
func (g *gate) begin() {
	g.low, g.high, g.strange = math.NaN(), math.NaN(), math.NaN()
	g.acknowledged, g.verified, g.problem = false, false, nil
}

// found notes the value that was read from the controller when nothing was known of it.
func (g *gate) found(v float64, now time.Time) {
	g.last, g.low, g.high, g.readBack, g.confirmed = v, v, v, v, now
	g.lastAt = later(g.lastAt, now.Add(-g.step)) // it has stood there for a while
}

// sent notes a value that goes on the wire now. Until it is confirmed the controller may hold it, or
// what it held before.
func (g *gate) sent(v float64, now time.Time) {
	if v != g.last {
		g.strange = math.NaN()
	}
	g.touched, g.acknowledged, g.verified = true, false, false
	g.last, g.lastAt = v, now
	g.low, g.high = math.Min(g.low, v), math.Max(g.high, v)
}

// confirm notes that the controller holds last.
func (g *gate) confirm(now time.Time) {
	g.low, g.high, g.strange = g.last, g.last, math.NaN()
	g.verified, g.confirmed = true, now
}

// told takes a read-back and reports whether it confirms last. One that does not may be damaged; told
// twice alike it is what the controller holds.
func (g *gate) told(v float64, now time.Time) bool {
	g.readBack = v
	if g.near(v, g.last) {
		g.confirm(now)
		return true
	}
	if g.verified = false; g.near(v, g.strange) {
		g.low, g.high = v, v
	}
	g.strange = v
	return false
}

// near reports whether two values are the same within the tolerance.
func (g *gate) near(v, w float64) bool {
	return math.Abs(v-w) <= g.Tolerance+slack*math.Max(1, math.Abs(w))
}

// from is where the next value starts: the last one, or what the controller is known to hold instead.
func (g *gate) from() float64 { return math.Min(math.Max(g.last, g.low), g.high) }

// toward is the next value on the way to goal at the time now, on the dialect's grid: as far from the
// last one as the slew limit lets since then, and no more than one step from anything that the
// controller may hold. So a value that is not confirmed is sent again, and who was out of reach finds
// the ramp where it left it. Whoever comes from outside the limits enters at the nearest one.
func (g *gate) toward(goal float64, now time.Time) float64 {
	from := g.from()
	if edge := math.Min(math.Max(from, g.lo), g.hi); edge != from {
		return edge
	}
	most := g.Slew * g.step.Seconds()
	lower, upper := math.Max(g.high-most, from-g.reach(now)), math.Min(g.low+most, from+g.reach(now))
	if g.low < g.lo { // it may still be outside
		upper = g.lo
	}
	if g.high > g.hi {
		lower = g.hi
	}
	v := math.Min(math.Max(goal, lower), upper)
	switch {
	case v == goal || g.resolution == 0:
		return v
	case v > from:
		return math.Max(math.Floor(v/g.resolution+slack)*g.resolution, from)
	default:
		return math.Min(math.Ceil(v/g.resolution-slack)*g.resolution, from)
	}
}

// reach is how far a value may move now: what the slew limit gives since the last one, but never
// more than it gives in one step, however long ago that was.
func (g *gate) reach(now time.Time) float64 {
	return g.Slew * min(max(now.Sub(g.lastAt), 0), g.step).Seconds()
}

// homeward is the next value on the ramp to the safe state.
func (g *gate) homeward(now time.Time) float64 {
	edge := math.Min(math.Max(g.safe, g.lo), g.hi)
	if g.from() == g.safe || g.low == edge && g.high == edge { // as found, it may lie beyond the limits
		return g.safe
	}
	v := g.toward(edge, now)
	if g.admit(v, now) != nil {
		return g.safe // never stay where it is because of a mistake of ours
	}
	return v
}

// admit is the last check before the wire, on its own and by another way than toward: an error is
// a mistake of this package.
func (g *gate) admit(v float64, now time.Time) error {
	tiny := slack * math.Max(1, math.Max(math.Abs(v), math.Abs(g.last)))
	if !(v >= g.Min-tiny && v <= g.Max+tiny) {
		return fmt.Errorf("%w: %g %s is not within %g to %g", ErrLimit, v, g.Unit, g.Min, g.Max)
	}
	for _, move := range []struct{ from, most float64 }{
		{g.from(), g.reach(now)}, {g.low, g.Slew * g.step.Seconds()}, {g.high, g.Slew * g.step.Seconds()},
	} {
		nearest := math.Min(math.Max(move.from, g.lo), g.hi)
		switch off := math.Abs(nearest - move.from); { // a value between a limit and the grid moves onto it
		case move.from < g.Min-tiny || move.from > g.Max+tiny:
			if math.Abs(v-nearest) > tiny {
				return fmt.Errorf("%w: %g %s is not the limit nearest to %g", ErrLimit, v, g.Unit, move.from)
			}
		case !(math.Abs(v-move.from) <= move.most+off+tiny):
			return fmt.Errorf("%w: from %g to %g %s is more than the %g that the slew limit allows now", ErrLimit, move.from, v, g.Unit, move.most)
		}
	}
	return nil
}

// record makes a record with what is known of the target.
func (g *gate) record(v Verdict, note string) Record {
	r := Record{Target: g.Name, Unit: g.Unit, Verdict: v, Asked: math.NaN(), Given: math.NaN(), ReadBack: g.readBack, Who: g.who, Note: note}
	if g.lease != nil {
		r.Asked, r.Given, r.Who, r.Why = g.lease.asked, g.lease.given, g.lease.who, g.lease.why
	}
	return r
}
