package sensors

import "stirwatch/sensors/unit"

// Status is what is known of a value's validity: a NAMUR NE 107 signal and the reason for it.
// The zero Status is missing, so that a forgotten field reads as absent, never as healthy.
type Status struct {
	Signal Signal
	Reason Reason
}

// OK is the status of a good value.
var OK = Status{Signal: Good}

// IsGood reports whether the value may feed a model.
func (s Status) IsGood() bool { return s.Signal == Good }

// String is e.g. "failure: sentinel" or "good".
func (s Status) String() string {
	if s.Reason == NoReason {
		return s.Signal.String()
	}
	return s.Signal.String() + ": " + s.Reason.String()
}

// Signal is a status signal after NAMUR NE 107:2012, with Missing for "nothing was received".
type Signal uint8

const (
	Missing             Signal = iota // nothing received, or too old to count
	Good                              // NE 107: normal
	Failure                           // the value is not a measurement
	FunctionCheck                     // the device is being worked on: warming up, self-test, retained value
	OutOfSpecification                // measured, but outside the limits it is trusted in
	MaintenanceRequired               // still valid, will not be for long
)

var signalNames = [...]string{"missing", "good", "failure", "function_check", "out_of_specification", "maintenance_required"}

// String is the name used in the quality tag of the record.
func (s Signal) String() string { return name(signalNames[:], int(s)) }

// Reason says why a signal is what it is.
type Reason uint8

const (
	NoReason     Reason = iota
	NeverSeen           // no sample since start
	Stale               // older than the channel's max age
	Sentinel            // the device's own mark for "no signal"
	Unwired             // the input carries nothing by construction
	OutOfRange          // outside the channel's range; as a failure, outside that of any sensor
	RateOfChange        // moved faster than the channel can
	OpenCircuit         // device reports a broken sensor
	Saturated           // device reports a clipped input
	Retained            // an old value kept by the broker
	WrongUnit           // the payload names a unit that cannot be this channel's
	NotANumber          // NaN or infinite
	Device              // device reports another fault
	FutureStamp         // stamped further ahead of its arrival than a clock may be fast
)

// NoReading is the least magnitude by which instruments say that they have no reading: 9.9E37 beyond the range, 9.91E37 no number
// (SCPI-99, 7.2.1).
const NoReading = 9.9e37

// No sensor of a cell reads a temperature at or below coldest, where the tables of thermocouples end (NIST Monograph 175), or
// beyond hottest, 2400 °C; K.
const (
	coldest = 3.15
	hottest = 2673.15
)

// Absurd reports whether a value in u is no reading of anything: devices without a sensor send −9999, 65535, or −273 °C. In
// kelvin a small value may be a difference.
func Absurd(v float64, u unit.Unit) bool {
	if u.Dim != unit.Temperature {
		return false
	}
	k := u.SI(v)
	return k <= coldest && u.Offset != 0 || k > hottest
}

var reasonNames = [...]string{"", "never_seen", "stale", "sentinel", "unwired", "out_of_range", "rate_of_change",
	"open_circuit", "saturated", "retained", "wrong_unit", "not_a_number", "device", "future_stamp"}

// String is the name used in messages and in the reason tag of the record.
func (r Reason) String() string { return name(reasonNames[:], int(r)) }

func name(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}
