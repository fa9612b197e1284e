package twin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind names a fault. docs/twin.md says what each does and how it shows.
type Kind string

const (
	Feedstock   Kind = "feedstock"   // the bar has run out
	Jam         Kind = "jam"         // the bar binds in the bore
	LiftOff     Kind = "lift-off"    // tool and deposit part
	Flash       Kind = "flash"       // more metal fed than laid
	ColdStart   Kind = "cold-start"  // pressed hard on cold metal
	Coolant     Kind = "coolant"     // coolant flow lost
	Unreachable Kind = "unreachable" // traverse and deposit take more heat than the spindle has
	Wear        Kind = "wear"        // the shoulder heats less and less
	Open        Kind = "open"        // thermocouple broken: −2.0
	Spike       Kind = "spike"       // readings far off for a second, at the onset and every 20 s or so
	Drift       Kind = "drift"       // reading creeps away
	Frozen      Kind = "frozen"      // reading stands still
	Late        Kind = "late"        // messages of the thermocouple are held back
	Lost        Kind = "lost"        // messages of the thermocouple do not come
)

// Kinds lists all faults, those of the process first.
var Kinds = []Kind{Feedstock, Jam, LiftOff, Flash, ColdStart, Coolant, Unreachable, Wear, Open, Spike, Drift, Frozen, Late, Lost}

// Sensor reports whether the fault is in the measurement, not in the process.
func (k Kind) Sensor() bool { return slices.Index(Kinds, k) >= slices.Index(Kinds, Open) }

// Fault is one fault with onset, end and severity.
type Fault struct {
	Kind     Kind    `json:"fault"`
	At       float64 `json:"at"`       // s since start
	For      float64 `json:"for"`      // s; 0: to the end of the run
	Severity float64 `json:"severity"` // above 0, at most 1
}

// ParseFault reads "jam@120s+30s:0.8": kind, onset, length (none: to the end) and severity
// (none: 1).
func ParseFault(s string) (Fault, error) {
	bad := func(why string) (Fault, error) {
		return Fault{}, fmt.Errorf("fault %q: %s; write for example jam@120s+30s:0.8 (kinds: %s)", s, why, KindList())
	}
	kind, rest, ok := strings.Cut(s, "@")
	f := Fault{Kind: Kind(kind), Severity: 1}
	if !ok {
		return bad("it has no onset")
	}
	if !slices.Contains(Kinds, f.Kind) {
		return bad("kind " + strconv.Quote(kind) + " is not known")
	}
	rest, severity, graded := strings.Cut(rest, ":")
	if graded {
		v, err := strconv.ParseFloat(severity, 64)
		if err != nil || !(v > 0 && v <= 1) {
			return bad("severity must be above 0 and at most 1")
		}
		f.Severity = v
	}
	at, length, ends := strings.Cut(rest, "+")
	d, err := time.ParseDuration(at)
	if err != nil || d < 0 {
		return bad("onset must be a time such as 120s")
	}
	f.At = d.Seconds()
	if ends {
		if d, err = time.ParseDuration(length); err != nil || d <= 0 {
			return bad("length must be a time such as 30s")
		}
		f.For = d.Seconds()
	}
	return f, nil
}

// String is what [ParseFault] reads.
func (f Fault) String() string {
	s := fmt.Sprintf("%s@%gs", f.Kind, f.At)
	if f.For > 0 {
		s += fmt.Sprintf("+%gs", f.For)
	}
	return s + ":" + strconv.FormatFloat(f.Severity, 'g', -1, 64)
}

// KindList names all faults, with commas between them.
func KindList() string {
	var names []string
	for _, k := range Kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// level is the fault's strength at a time: 0 outside, severity inside, faults that grow do so
// from their onset.
func (f *Fault) level(t float64) float64 {
	since := t - f.At
	if since < 0 || f.For > 0 && since >= f.For {
		return 0
	}
	grow := 0.0
	switch f.Kind {
	case Coolant:
		grow = 5
	case Wear:
		grow = 300
		if f.For > 0 {
			grow = f.For
		}
	case LiftOff:
		grow = 0.5
	}
	if grow > 0 {
		return f.Severity * min(1, max(since, 1e-3)/grow)
	}
	return f.Severity
}

// effects are the faults that act at one moment, each at its strength.
type effects struct {
	feedstock, jam, lift, flash, cold, coolant, unreachable, wear float64
	open, spike, drift, frozen, late, lost                        float64
	driftFor                                                      float64 // s since the drift began
}

func (e *effects) of(faults []Fault, t float64) {
	*e = effects{}
	for i := range faults {
		f := &faults[i]
		l := f.level(t)
		if l == 0 {
			continue
		}
		to := map1(e, f.Kind)
		*to = max(*to, l)
		if f.Kind == Drift {
			e.driftFor = max(e.driftFor, t-f.At)
		}
	}
}

func map1(e *effects, k Kind) *float64 {
	switch k {
	case Feedstock:
		return &e.feedstock
	case Jam:
		return &e.jam
	case LiftOff:
		return &e.lift
	case Flash:
		return &e.flash
	case ColdStart:
		return &e.cold
	case Coolant:
		return &e.coolant
	case Unreachable:
		return &e.unreachable
	case Wear:
		return &e.wear
	case Open:
		return &e.open
	case Spike:
		return &e.spike
	case Drift:
		return &e.drift
	case Frozen:
		return &e.frozen
	case Late:
		return &e.late
	default:
		return &e.lost
	}
}
