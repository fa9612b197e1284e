// Package phase says what the machine is doing: one definition for the equation's windows, the plan, the
// tick and the alarms. It knows numbers alone.
package phase

import "math"

// Phase is what the machine is doing. The zero Phase is Unknown.
type Phase uint8

const (
	Unknown Phase = iota // no channel tells whether the spindle turns
	Stopped              // the spindle does not turn
	Free                 // it turns without contact
	WarmUp               // contact, below the temperature at which metal flows
	Prime                // contact, hot, the path stands still
	Deposit              // contact, hot, travelling
)

func (p Phase) String() string {
	return [...]string{"unknown", "stopped", "free spin", "warm-up", "prime", "deposit"}[p]
}

// Continues reports whether what was going on in p goes on in next: the machine works or does not work as before, and a
// path that was travelled does not rest.
func (p Phase) Continues(next Phase) bool {
	return (p > Free) == (next > Free) && !(p == Deposit && next == Prime)
}

// What tells one phase from another.
const (
	SpinsFrom   = 10.0  // rpm: the spindle turns
	FlowsFrom   = 400.0 // °C: the metal flows,
	flowsBelow  = 40.0  // °C: or where it is held at less, from so far below
	heldFrom    = 150.0 // °C from which a set-point is one of hot metal
	TravelsFrom = 30.0  // mm/min: the tool travels
	inContact   = 0.5   // share of contact from which there is contact
)

// Signals is what a phase is told from. NaN is unknown.
type Signals struct {
	Speed       float64 // of the spindle, rpm; either sign
	Contact     float64 // 0 none to 1 full, as the equation has it; unknown counts as contact
	Path        float64 // velocity in the plane, mm/min; unknown counts as travelling
	Temperature float64 // of the tool, °C; unknown counts as cold
	SetPoint    float64 // of the tool's temperature, °C; 0 is none
}

// Of is the phase that the signals of one instant tell.
func Of(s Signals) Phase {
	switch {
	case math.IsNaN(s.Speed):
		return Unknown
	case math.Abs(s.Speed) < SpinsFrom:
		return Stopped
	case s.Contact < inContact:
		return Free
	case !Flows(s.Temperature, s.SetPoint):
		return WarmUp
	case math.Abs(s.Path) < TravelsFrom:
		return Prime
	}
	return Deposit
}

// Flows reports whether metal at a temperature (°C) flows, given the set-point that the tool is held at (°C). NaN does not.
func Flows(temperature, setPoint float64) bool {
	return temperature >= FlowsFrom || setPoint > heldFrom && temperature >= setPoint-flowsBelow
}

// When a run begins and ends, s: it begins when the spindle has turned for a moment, and ends when it has stood still long enough that
// the next start is another build.
const (
	runBegins = 2.0
	runEnds   = 120.0
)

// Run says what a step of a [Detector] did to the run.
type Run uint8

const (
	Same  Run = iota
	Began     // a run has begun, Ago before the present instant
	Ended     // the run has ended, Ago before the present instant
)

// Detector follows phase and run while they happen. The zero Detector is ready.
type Detector struct {
	Phase   Phase
	Running bool    // whether a run is going on
	Ago     float64 // s before the last Step: where a run began or ended, or the spindle last turned

	turning bool
	turned  float64 // s of turning without a pause
	still   float64 // s since the spindle last turned
}

// Step takes the signals of an instant dt seconds after the last one.
func (d *Detector) Step(dt float64, s Signals) Run {
	d.Phase = Of(s)
	was := d.turning
	d.turning = d.Phase > Stopped
	if d.turning {
		d.still = 0
		if was {
			d.turned += dt
		} else {
			d.turned = 0
		}
	} else {
		d.still += dt
	}
	d.Ago = d.still
	switch {
	case !d.Running && d.turning && d.turned >= runBegins:
		d.Running, d.Ago = true, d.turned
		return Began
	case d.Running && d.still >= runEnds:
		d.Running = false
		return Ended
	}
	return Same
}

// Stop ends the run that is going on, if one is: what happens unwatched belongs to none. Ago tells when
// the spindle last turned.
func (d *Detector) Stop() Run {
	if !d.Running {
		return Same
	}
	d.Running, d.Ago = false, d.still
	return Ended
}
