package phase

import (
	"math"
	"testing"
)

const freeTorque = 33.5 // N·m, of DefaultContactRule

// pressing is the power of a spindle at speed (rpm) that takes torque (N·m) beyond a free spin's and turns
// faster by acceleration (rpm/s).
func pressing(speed, torque, acceleration float64) float64 {
	return speed * math.Pi / 30 * (freeTorque + torque + DefaultContactRule.Inertia*acceleration*math.Pi/30)
}

// lathe drives a Contact.
type lathe struct {
	Contact
	dt    float64
	speed float64
}

// turn goes to a speed (rpm) at 50 rpm/s, and stays for seconds, with a torque beyond the free one, moving up at a
// velocity (mm/min).
func (l *lathe) turn(to, seconds, torque, up float64) float64 {
	step := func(acceleration float64) { l.Step(l.dt, l.speed, pressing(l.speed, torque, acceleration), up) }
	for l.speed != to {
		d := max(-50*l.dt, min(50*l.dt, to-l.speed))
		l.speed += d
		if l.speed == 0 {
			break
		}
		step(d / l.dt)
	}
	for range int(seconds / l.dt) {
		step(0)
	}
	return l.On
}

func near(t *testing.T, dt float64, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.2 {
		t.Errorf("steps of %g s, %s: contact %g, want %g", dt, what, got, want)
	}
}

func TestContact(t *testing.T) {
	for _, dt := range []float64{0.1, 1} {
		l := &lathe{dt: dt}
		near(t, dt, "a free run-up", l.turn(450, 10, 0, 0), 0)
		near(t, dt, "pressed on", l.turn(450, 20, 150, 0), 1)
		near(t, dt, "a layer, its torque going on", l.turn(450, 1.2, 150, 100), 1)
		near(t, dt, "a light layer", l.turn(450, 1.2, 90, 100), 1)
		near(t, dt, "a stop while pressed", l.turn(0, 120, 30, 0), 1)
		near(t, dt, "the retreat after it", l.turn(0, 3, 0, 100), 0)

		l = &lathe{dt: dt}
		l.turn(450, 20, 150, 0)
		near(t, dt, "a lift while it turns", l.turn(450, 6, 0, 100), 0)
		near(t, dt, "and stops", l.turn(0, 60, 0, 0), 0)

		l = &lathe{dt: dt}
		l.turn(260, 20, 250, 0)
		near(t, dt, "a lift with the bar still rubbing in the tool", l.turn(260, 8, 27, 100), 0)
		near(t, dt, "which goes on", l.turn(260, 30, 27, 0), 0)
		l.turn(260, 8, 0, -110)
		near(t, dt, "down again, and pressed", l.turn(260, 10, 100, 0), 1)

		l = &lathe{dt: dt}
		l.turn(450, 20, 250, 0)
		l.turn(450, 12, 20, 600)
		near(t, dt, "down again where velocities do not add up, and pressed lightly", l.turn(450, 12, 0, -594)+l.turn(450, 10, 40, 0), 1)

		l = &lathe{dt: dt}
		l.turn(450, 20, 250, 0)
		l.turn(450, 6, 0, 600)
		l.turn(0, 6, 0, -300)
		near(t, dt, "a light start elsewhere, the spindle having stood", l.turn(450, 20, 40, 0), 1)

		l = &lathe{dt: dt}
		near(t, dt, "a light plunge", l.turn(450, 30, 26, 0), 1)
	}
}

// What nobody measures leaves contact as it was.
func TestContactWithoutMeasurements(t *testing.T) {
	nan := math.NaN()
	l := &lathe{dt: 1}
	l.turn(450, 20, 150, 0)
	for range 30 {
		l.Step(1, nan, nan, nan)
	}
	near(t, 1, "nothing measured", l.On, 1)
	l.turn(0, 1, 30, nan)
	near(t, 1, "no height measured", l.On, 1)
}
