package bridge

import (
	"time"

	"stirwatch/sensors/unit"
)

// Command asks for a value of one target, for a time.
type Command struct {
	Target string
	Value  unit.Quantity // in any unit of the target's kind
	For    time.Duration // the lease: renewed or gone after this; cut to the target's longest
	Who    string        // who commands; another one is refused while the lease holds
	Why    string        // for the record

	// Yield lets go where somebody else has set the value at the controller since it was last confirmed, by
	// a panel or a knob: the lease ends with [ErrTakenOver], and nothing is written any more, no safe state
	// either. Otherwise that ends in the safe state, as a value that is not confirmed does. It needs a
	// read-back.
	Yield bool
	// Displace takes the target away from another commander, whose lease ends with [ErrTakenOver]; the
	// way to the new value begins where the machine is.
	Displace bool
}

// Target is one quantity of the machine that may be commanded, with its limits.
type Target struct {
	Name      string
	Unit      unit.Unit     // in which the controller is spoken to; the numbers below are in it
	Min, Max  float64       // absolute limits
	Slew      float64       // most change per second, above 0
	Tolerance float64       // by which a read-back may differ
	Lease     time.Duration // longest lease; default 30 s
	Step      time.Duration // between two values of a ramp; default that of the options
	Safe      SafeState
}

// SafeState is what a target reverts to.
type SafeState struct {
	Name  string  // for people: "off", "hold"
	Value float64 // in the target's unit; it may lie outside its limits, as 0 = off does
	// Ramp walks there under the slew limit; otherwise the value is put on the wire at once.
	// Only a value inside the limits can be walked to, and not where the dialect has a command of its
	// own for the safe state.
	Ramp bool
	// AsFound makes the value that the controller held before the first command of a lease the safe
	// one, for machines whose own set-point is safe; Value is not used. It needs a read-back and a
	// dialect without a command of its own for the safe state.
	AsFound bool
	// HandsBack says that the dialect's command of its own for the safe state gives the target to a controller of
	// the machine: what it holds from then on is not read back. It needs a read-back before that; Value is not used.
	HandsBack bool
}

// Options of a bridge; zero durations take the defaults named.
type Options struct {
	// Dialect makes the way to the controller, not yet connected. It is called again where a
	// request did not come back although its context had ended.
	Dialect func() Dialect
	Targets []Target
	// Readings are quantities that [Bridge.Get] reads besides the targets.
	Readings []Reading

	Step     time.Duration // between two values of a ramp; default 1 s
	Check    time.Duration // between two read-backs of a value that is held; default 2 s
	Timeout  time.Duration // longest request; default 1 s, at most half of Patience: a lost reply is asked for again
	Retry    time.Duration // pause after a request that failed; default 250 ms
	Patience time.Duration // a value that nothing confirms for so long ends its lease; default 5 s
	Grace    time.Duration // for the pilot to let go of the wire when the watchdog wants it; default 100 ms

	// State names a file that remembers which targets are under lease, so that a bridge that died
	// reverts them when it runs again; "": nothing is remembered.
	State    string
	Recorder Recorder // nil: nothing is recorded
}

// Reading is one quantity that is only read.
type Reading struct {
	Name string
	Unit unit.Unit // in which the controller tells it
}
