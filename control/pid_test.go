package control

import (
	"math"
	"testing"
)

// lag is a process of first order: gain times the command, with a time constant, over an offset.
type lag struct{ y, gain, tau, offset float64 }

func (l *lag) step(u, dt float64) { l.y += -math.Expm1(-dt/l.tau) * (l.offset + l.gain*u - l.y) }

// run lets a law control a lag for so many steps of 1 s, and gives the output and command of each.
func run(law Law, l *lag, g *Goal, held float64, limits Limits, steps int, hold func(k int, u float64) float64) (ys, us []float64) {
	s := Sense{Dt: 1, Output: l.y, Goal: g, Held: held}
	law.Begin(&s)
	for k := range steps {
		s.Output, s.Now, s.Held = l.y, float64(k), held
		m := law.Step(&s)
		if held = m.Value; hold != nil {
			held = hold(k, held)
		}
		l.step(held, 1)
		ys, us = append(ys, l.y), append(us, held)
	}
	return ys, us
}

var kitLimits = Limits{Min: 0, Max: 100, Slew: 50}

func kitPID() *PID {
	return &PID{Limits: kitLimits, Gains: Gains{Gain: 4, Integral: 60, Weight: 1}}
}

func TestPIDHoldsWithoutOffset(t *testing.T) {
	ys, _ := run(kitPID(), &lag{y: 20, gain: 0.7, tau: 120, offset: 20}, Constant(50), 0, kitLimits, 900, nil)
	if off := ys[len(ys)-1] - 50; math.Abs(off) > 0.01 {
		t.Errorf("%g K off", off)
	}
}

// Taking over at any command moves nothing at once.
func TestPIDBeginsWithoutABump(t *testing.T) {
	for _, held := range []float64{0, 17, 42.86, 99} {
		p := kitPID()
		s := Sense{Dt: 0, Output: 47, Goal: Constant(50), Held: held}
		p.Begin(&s)
		if m := p.Step(&s); math.Abs(m.Value-held) > 1e-9 {
			t.Errorf("from %g to %g", held, m.Value)
		}
	}
}

// After ten minutes at a limit that cannot give the goal, the command leaves the limit as soon as the goal
// is one that can be reached: what has wound up takes less than ten seconds to go, not ten minutes.
func TestPIDDoesNotWindUp(t *testing.T) {
	p := kitPID()
	g := Schedule([]GoalStep{{0, 200, false}, {600, 50, false}})
	ys, us := run(p, &lag{y: 20, gain: 0.7, tau: 120, offset: 20}, g, 0, kitLimits, 1500, nil)
	if us[599] != 100 {
		t.Fatalf("not at the limit: %g", us[599])
	}
	if us[610] > 0 { // 90 °C against 50 °C: the heater is off
		t.Errorf("ten seconds after the goal became reachable the command is %g", us[610])
	}
	low := math.Inf(1)
	for _, y := range ys[600:] {
		low = min(low, y)
	}
	if low < 47 || math.Abs(ys[1499]-50) > 0.1 {
		t.Errorf("it falls to %g and ends at %g", low, ys[1499])
	}
}

// What is held by another hand is followed, and taken over from there.
func TestPIDTracksWhatIsHeld(t *testing.T) {
	p := kitPID()
	_, us := run(p, &lag{y: 50, gain: 0.7, tau: 120, offset: 20}, Constant(50), 42.86, kitLimits, 300, func(k int, u float64) float64 {
		if k < 200 {
			return 45
		}
		return u
	})
	if bump := math.Abs(us[200] - us[199]); bump > 7 { // the error has grown by 1.5 K meanwhile: 4·1.5 belongs to it
		t.Errorf("a bump of %g", bump)
	}
}

func TestPIDDoubtsWhatIsNotKnown(t *testing.T) {
	s := Sense{Dt: 1, Output: math.NaN(), Goal: Constant(50), Held: 10}
	if m := kitPID().Step(&s); !math.IsNaN(m.Value) || m.Doubt == "" {
		t.Errorf("%+v", m)
	}
}

func TestGoals(t *testing.T) {
	g := Schedule([]GoalStep{{10, 50, false}, {20, 60, true}, {30, 40, false}})
	for at, want := range map[float64]float64{0: 50, 10: 50, 15: 55, 20: 60, 29.9: 60, 30: 40, 1e6: 40} {
		if got := g.At(at); math.Abs(got-want) > 1e-9 {
			t.Errorf("at %g s: %g, want %g", at, got, want)
		}
	}
}

// On the way up from a cold start a PID on a set-point commands the goal, within its slew; near to it it begins without a bump, and knows nothing of the
// way: where it comes to the goal it asks for less than one that has acted all the way.
func TestAPIDOnASetPointActsNearItsGoal(t *testing.T) {
	arrives := func(near float64) float64 {
		p := &PID{Limits: Limits{Min: 300, Max: 500, Slew: 20}, Gains: Gains{Gain: 1.5, Integral: 10, Derivative: 6, Weight: 1}, Feed: Itself, Near: near}
		s := Sense{Dt: 0.1, Fixed: 465, Held: 440, Output: 20}
		p.Begin(&s)
		for i := 0; s.Output < 465; i++ {
			s.Output = 20 + 0.2*float64(i)
			s.Held = p.Step(&s).Value
			switch off := 465 - s.Output; {
			case near == 0:
			case i == 0 && s.Held != 442:
				t.Fatalf("the first step is to %g °C", s.Held)
			case i > 20 && off > near && s.Held != 465:
				t.Fatalf("%g K off: %g °C", off, s.Held)
			case off <= near && off > near-0.2 && math.Abs(s.Held-465) > 2:
				t.Fatalf("it begins with a bump, at %g °C", s.Held)
			}
		}
		return s.Held
	}
	if near, all := arrives(NearItself), arrives(0); near > all-3 {
		t.Errorf("%g °C where it comes to the goal; having acted all the way %g °C", near, all)
	}
}

// A heater that is off far below its goal is switched on at once, as far as slew and limits allow, whatever the integral time: the
// integral does not begin beyond what any command at the goal may be. Near the goal nothing moves at once.
func TestPIDBeginsFarFromTheGoal(t *testing.T) {
	for _, c := range []struct {
		gains Gains
		feed  func(float64) float64
		held  float64
		want  float64 // after one step of 1 s with slew 50
	}{
		{Gains{Gain: 6, Integral: 100, Weight: 1}, nil, 0, 50},
		{Gains{Gain: 1, Integral: 100, Weight: 0.5}, nil, 0, 13.5}, // half of the error of 27
		{Gains{Gain: 6, Integral: 100, Weight: 0}, nil, 0, 1.6},    // the integral alone: 6/100 · 27
		{Gains{Gain: -6, Integral: 100, Weight: 1}, nil, 80, 30},   // a fan
		{Gains{Gain: 6, Integral: 100, Weight: 1}, Itself, 40, 90},
	} {
		p := &PID{Limits: kitLimits, Gains: c.gains, Feed: c.feed}
		s := Sense{Dt: 0, Output: 23, Goal: Constant(50), Held: c.held}
		p.Begin(&s)
		s.Dt = 1
		if m := p.Step(&s); math.Abs(m.Value-c.want) > 2 {
			t.Errorf("%+v from %g: %g, want %g", c.gains, c.held, m.Value, c.want)
		}
	}
}
