package bridge

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// gate holds a target's limits and what is known of it. The limits are fixed; the rest belongs to
// [Bridge.mu].
type gate struct {
	Target
	lo, hi     float64       // limits on the dialect's grid
	resolution float64       // smallest step the dialect can express; 0: any
	step       time.Duration // between two values of a ramp: long enough for one resolution

	lease     *Lease
	expires   time.Time
	claims    int // commands that are being written into the state file
	reverting bool
	cause     string // why it is reverting
	who       string // whose lease it was

	touched      bool      // a command was put on the wire and not yet reverted
	known        bool      // last is what the controller holds
	last         float64   // last value on the wire, or read at the start of a lease
	lastAt       time.Time // when
	acknowledged bool      // last was acknowledged
	verified     bool      // last was acknowledged and read back
	readBack     float64   // NaN: never
	doubt        time.Time // since when last is not verified
	next         time.Time // when the pilot has something to do
	retry        time.Time // when the watchdog tries again
	problem      error     // why it had to
}

// slack covers the rounding of a few sums and divisions.
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
	check(!t.Safe.Ramp || t.Safe.Value >= t.Min && t.Safe.Value <= t.Max, "the safe state %q, %g, is outside the limits and cannot be walked to", t.Safe.Name, t.Safe.Value)
	check(finite(resolution) && resolution >= 0, "resolution %g", resolution)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	g := &gate{Target: t, lo: t.Min, hi: t.Max, resolution: resolution, step: step, readBack: math.NaN()}
	if resolution > 0 {
		g.lo, g.hi = math.Ceil(t.Min/resolution-slack)*resolution, math.Floor(t.Max/resolution+slack)*resolution
		check(g.lo <= g.hi, "no value between %g and %g can be expressed in steps of %g", t.Min, t.Max, resolution)
		check(math.Abs(g.round(t.Safe.Value)-t.Safe.Value) <= slack*math.Max(1, math.Abs(t.Safe.Value)), "the safe value %g cannot be expressed in steps of %g", t.Safe.Value, resolution)
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

// toward is the next value on the way from last to goal at the time now: as far as the slew limit
// lets, on the dialect's grid. Whoever comes from outside the limits enters at the nearest one.
func (g *gate) toward(goal float64, now time.Time) float64 {
	from := math.Min(math.Max(g.last, g.lo), g.hi)
	if from != g.last {
		return from
	}
	reach := g.reach(now)
	switch d := goal - from; {
	case math.Abs(d) <= reach:
		return goal
	case g.resolution == 0:
		return from + math.Copysign(reach, d)
	case d > 0:
		return math.Max(math.Floor((from+reach)/g.resolution+slack)*g.resolution, from)
	default:
		return math.Min(math.Ceil((from-reach)/g.resolution-slack)*g.resolution, from)
	}
}

// reach is how far a value may move now: what the slew limit gives since the last one, but never
// more than it gives in one step, however long ago that was.
func (g *gate) reach(now time.Time) float64 {
	return g.Slew * min(max(now.Sub(g.lastAt), 0), g.step).Seconds()
}

// admit is the last check before the wire, on its own and by another way than toward: an error is
// a mistake of this package.
func (g *gate) admit(v float64, now time.Time) error {
	tiny := slack * math.Max(1, math.Max(math.Abs(v), math.Abs(g.last)))
	if !(v >= g.Min-tiny && v <= g.Max+tiny) {
		return fmt.Errorf("%w: %g %s is not within %g to %g", ErrLimit, v, g.Unit, g.Min, g.Max)
	}
	if g.last < g.Min-tiny || g.last > g.Max+tiny { // from outside, in at the nearest limit
		edge := g.lo
		if g.last > g.Max {
			edge = g.hi
		}
		if math.Abs(v-edge) > tiny {
			return fmt.Errorf("%w: %g %s is not the limit nearest to %g", ErrLimit, v, g.Unit, g.last)
		}
		return nil
	}
	if most := g.reach(now); math.Abs(v-g.last) > most+tiny+g.edge() {
		return fmt.Errorf("%w: from %g to %g %s is more than the %g that the slew limit allows now", ErrLimit, g.last, v, g.Unit, most)
	}
	return nil
}

// edge is what a value between a limit and the grid may move beyond the slew limit to get onto it.
func (g *gate) edge() float64 {
	return math.Max(math.Max(g.lo-g.last, g.last-g.hi), 0)
}

// within tells whether a read-back confirms the last value.
func (g *gate) within(v float64) bool {
	return math.Abs(v-g.last) <= g.Tolerance+slack*math.Max(1, math.Abs(g.last))
}

// record fills in what is known of the target.
func (g *gate) record(v Verdict, note string) Record {
	r := Record{Target: g.Name, Unit: g.Unit, Verdict: v, Asked: math.NaN(), Given: math.NaN(), ReadBack: g.readBack, Who: g.who, Note: note}
	if g.lease != nil {
		r.Asked, r.Given, r.Who, r.Why = g.lease.asked, g.lease.given, g.lease.who, g.lease.why
	}
	return r
}
