// Package alarm gives anomalies that need an operator the life cycle of ISA-18.2 (IEC 62682): a
// [Board] of alarms that are raised, acknowledged, shelved and return, each step on record.
//
// What is abnormal is said by agent/anomaly; this package decides what of it is put before people, and
// keeps it there until they have seen it. It asks no clock: every call is given the time.
package alarm

// State is where an alarm is in its life (ISA-18.2-2016, figure 2; the letters are the standard's).
type State uint8

// States.
const (
	Normal              State = iota // A
	Unacknowledged                   // B: the condition holds, nobody has seen it
	Acknowledged                     // C: the condition holds, somebody has seen it
	Returned                         // D: the condition is over, nobody has seen it
	Latched                          // E: over, and kept until it is acknowledged and reset
	LatchedAcknowledged              // F: over and acknowledged, kept until it is reset
	Shelved                          // G: put away by a person, for a time
	Suppressed                       // H: the condition holds, kept back by design: no run goes on, or a flood of alarms does
	OutOfService                     // I: taken out of use by the configuration
	states
)

var stateNames = [states]string{"normal", "unacknowledged", "acknowledged", "returned", "latched", "latched acknowledged", "shelved", "suppressed", "out of service"}

// String is the word of the record.
func (s State) String() string { return stateNames[s] }

// MarshalText writes the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word; one that is not known is an error.
func (s *State) UnmarshalText(b []byte) error {
	for i, name := range stateNames {
		if name == string(b) {
			*s = State(i)
			return nil
		}
	}
	return unknownState(b)
}

// Unseen reports whether nobody has acknowledged it yet.
func (s State) Unseen() bool { return s == Unacknowledged || s == Returned || s == Latched }

// Event is a step in the life of an alarm.
type Event string

// Events.
const (
	Raise      Event = "raise"      // the condition began, or began to count
	Return     Event = "return"     // the condition is over
	Explain    Event = "explain"    // a cause that stands accounts for it
	Ack        Event = "ack"        // a person has seen it
	Reset      Event = "reset"      // a person lets go of a latched one
	Shelve     Event = "shelve"     // a person puts it away for a time
	Unshelve   Event = "unshelve"   // a person, or the end of that time, brings it back
	Suppress   Event = "suppress"   // it is kept back by design
	Unsuppress Event = "unsuppress" // and no longer
	Remove     Event = "remove"     // it is taken out of service
	Restore    Event = "restore"    // and back
	NewJob     Event = "new job"    // a run begins: what is over goes
)

// step is the whole life cycle: the state after an event, and whether the event may happen in that
// state. active says whether the condition holds, after a Raise, Return or Explain.
func step(s State, e Event, active, latch bool) (State, bool) {
	back := func() State { // from where it was out of sight
		if active {
			return Unacknowledged
		}
		return Normal
	}
	hidden := s == Shelved || s == OutOfService // what happens to the condition is on record, and put before nobody
	switch e {
	case Raise:
		switch {
		case hidden:
			return s, true
		case s == Suppressed, s == Unacknowledged || s == Acknowledged:
			return s, false
		}
		return Unacknowledged, true
	case Return:
		switch s {
		case Unacknowledged:
			if latch {
				return Latched, true
			}
			return Returned, true
		case Acknowledged:
			if latch {
				return LatchedAcknowledged, true
			}
			return Normal, true
		case Suppressed:
			return Normal, true
		}
		return s, hidden
	case Explain: // its cause stands in its place
		switch s {
		case Unacknowledged, Acknowledged, Suppressed:
			return Normal, true
		}
		return s, hidden
	case Ack:
		switch s {
		case Unacknowledged:
			return Acknowledged, true
		case Returned:
			return Normal, true
		case Latched:
			return LatchedAcknowledged, true
		}
	case Reset:
		if s == LatchedAcknowledged {
			return Normal, true
		}
	case Shelve:
		if s != OutOfService {
			return Shelved, true
		}
	case Unshelve:
		if s == Shelved {
			return back(), true
		}
	case Suppress:
		if active && (s == Normal || s == Acknowledged) { // what nobody has seen stays
			return Suppressed, true
		}
	case Unsuppress:
		if s == Suppressed {
			return back(), true
		}
	case Remove:
		if s != OutOfService {
			return OutOfService, true
		}
	case Restore:
		if s == OutOfService {
			return back(), true
		}
	case NewJob:
		switch s {
		case Returned, Latched, LatchedAcknowledged:
			return Normal, true
		}
	}
	return s, false
}
