package phase

import "math"

// ContactRule is what contact is told by. Torques are those of the spindle, N·m.
type ContactRule struct {
	FreeTorque float64 `json:"free_torque_Nm"`  // of a spindle that turns without contact
	Inertia    float64 `json:"inertia_kg_m2"`   // of what turns: what it takes to speed up is no rubbing
	From       float64 `json:"contact_from_Nm"` // torque above the free one at which rubbing begins to count
	Full       float64 `json:"contact_full_Nm"` // and at which it counts in full
}

// Size is how large the torques of the process are, beside those of [DefaultContactRule].
func (r ContactRule) Size() float64 { return r.Full / DefaultContactRule.Full }

// DefaultContactRule is that of a machine whose spindle takes 33.5 N·m without contact, and −37 N·m more while
// it slows down by 50 rpm/s.
var DefaultContactRule = ContactRule{FreeTorque: 33.5, Inertia: 7, From: 8, Full: 18}

// Rub is the contact that a spindle at a steady speed (rpm, from [TellsFrom] on) tells by its power (W), 0 to 1.
func (r ContactRule) Rub(speed, power float64) float64 {
	return r.rub(power/(math.Abs(speed)*math.Pi/30) - r.FreeTorque)
}

// rub is the contact that a torque (N·m) above the free one tells.
func (r ContactRule) rub(torque float64) float64 {
	return min(1, max(0, (torque-r.From)/(r.Full-r.From)))
}

// TellsFrom is the speed from which the torque of the spindle tells contact, rpm.
const TellsFrom = 30.0

// How contact is lost and found.
const (
	leavesFrom = 0.5  // mm of rise since it last rubbed from which contact begins to end
	leftAt     = 1.5  // mm of rise at which it has ended
	climbs     = 3.0  // mm/min upwards, well above a spiral
	weak       = 0.5  // share of the usual torque below which a climbing tool leaves the build
	usualFor   = 10.0 // s over which the torque of contact is averaged
	strays     = 0.02 // share of what the tool has gone up and down by which its height is off: velocities are logged once a second
	turnsOver  = 2.0  // s over which the acceleration of the spindle is taken
)

// Contact follows whether the tool presses on the build: 0 not at all, 1 fully. What a turning spindle's
// torque says holds at once; when the spindle stands nothing is known of it, and contact stays what it was
// until the tool has risen. A tool that climbs without losing its torque lays the next layer. One that has let go
// presses again with any torque once it is down again, or once the spindle has stood: the next start may be a
// light one at another height. The zero Contact is ready.
type Contact struct {
	Rule    ContactRule // the zero rule is what Spindle has learned
	Spindle Spindle     // whoever steps it before, makes it learn

	On   float64 // contact
	Rise float64 // mm since it last rubbed, at least 0

	gone   float64 // mm up and down since then
	usual  float64 // N·m above the free torque while in contact
	lagged float64 // rad/s, the speed some time ago
	begun  bool
	lifted bool
}

// Now is the rule that contact is told by at present.
func (c *Contact) Now() ContactRule {
	if c.Rule != (ContactRule{}) {
		return c.Rule
	}
	return c.Spindle.Rule()
}

// Step takes an instant dt s after the last one: speed of the spindle (rpm), its power (W), and the vertical
// velocity upwards (mm/min, NaN where nobody measures it). It gives On. Without speed or power contact stays
// as it was.
func (c *Contact) Step(dt, speed, power, up float64) float64 {
	rule := c.Now()
	if !math.IsNaN(up) {
		c.Rise = max(0, c.Rise+up*dt/60)
		c.gone += math.Abs(up) * dt / 60
	}
	omega := math.Abs(speed) * math.Pi / 30
	if math.IsNaN(omega) || math.IsNaN(power) {
		c.leave()
		return c.On
	}
	if !c.begun {
		c.lagged, c.begun = omega, true
	}
	c.lagged -= math.Expm1(-dt/turnsOver) * (omega - c.lagged)
	turning := (omega - c.lagged) / turnsOver // rad/s², whatever the time between samples
	if omega < TellsFrom*math.Pi/30 {
		c.leave()
		if c.On == 0 {
			c.usual, c.lifted = 0, false
		}
		return c.On
	}
	torque := power/omega - rule.FreeTorque - rule.Inertia*turning
	rub := rule.rub(torque)
	weakened := torque < weak*c.usual
	switch away := c.Rise > leavesFrom+strays*c.gone; {
	case away && weakened: // it climbs and lets go: what torque is left is the bar's, within the tool
		c.lifted = true
	case rub > 0 && (!weakened || !away):
		c.lifted = false
	}
	if c.lifted {
		c.On = min(c.On, rub)
		c.leave()
		return c.On
	}
	c.On = rub
	if rub == 1 && !(weakened && up > climbs) { // one that climbs may be letting go
		c.Rise, c.gone = 0, 0
		if c.usual == 0 {
			c.usual = torque
		}
		c.usual -= math.Expm1(-dt/usualFor) * (torque - c.usual)
	}
	return c.On
}

// leave ends contact by the height alone.
func (c *Contact) leave() {
	c.On = min(c.On, 1-min(1, max(0, (c.Rise-leavesFrom)/(leftAt-leavesFrom))))
}
