package phase

import (
	"math"
	"testing"
)

// A build of a machine whose torques are by a size those of the default: contact and size are told from what it shows, whatever the time
// between rows, and the like of the default keeps its rule.
func TestSpindleOfAnotherSize(t *testing.T) {
	for _, size := range []float64{0.2, 0.4, 0.8, 1, 1.3, 2.5, 5} {
		for _, dt := range []float64{0.2, 1, 2, 5} {
			var c Contact
			turn := func(seconds, torque, path, from, to float64) {
				for at := 0.0; at < seconds; at += dt {
					power := 400 * math.Pi / 30 * size * torque
					c.Spindle.Step(dt, 400, power, path, from+(to-from)*at/seconds)
					c.Step(dt, 400, power, 0)
				}
			}
			turn(40, 33.5, 0, 21, 22)
			if c.On >= inContact {
				t.Errorf("size %g, rows of %g s: a free spin is contact of %g by %+v", size, dt, c.On, c.Now())
			}
			turn(20, 160, 0, 100, 450)
			turn(60, 150, 700, 450, 470)
			if c.On != 1 {
				t.Errorf("size %g, rows of %g s: deposition is contact of %g by %+v", size, dt, c.On, c.Now())
			}
			if like := size > 0.5 && size < 2; like != c.Spindle.Like() {
				t.Errorf("size %g, rows of %g s: the like of the default: %t", size, dt, !like)
			}
			if free := c.Now().FreeTorque / DefaultContactRule.FreeTorque; !c.Spindle.Like() && math.Abs(free/size-1) > 0.05 {
				t.Errorf("size %g, rows of %g s: free torque %.1f of the default's", size, dt, free)
			}
		}
	}
}

// A hot tool that has let go and travels on turns freely and cools: that is no work, and says nothing of the machine's size.
func TestATravelThatCoolsIsNoWork(t *testing.T) {
	for _, dt := range []float64{0.2, 1, 2, 5} {
		var s Spindle
		for at := 0.0; at < 60; at += dt {
			s.Step(dt, 400, 400*math.Pi/30*33.5, 380, 255+200*math.Exp(-at/20))
		}
		if s.Work != 0 || !s.Like() {
			t.Errorf("rows of %g s: %+v, rule %+v", dt, s, s.Rule())
		}
	}
}

// A start pressed on without any free spin: a large machine is known by the torque that leaves its tool cold, a small one as it works.
func TestSpindleThatIsNeverFree(t *testing.T) {
	var big, small Spindle
	for i := range 10 {
		big.Step(1, 200, 200*math.Pi/30*250, 0, 20+float64(i))
	}
	if r := big.Rule(); r.FreeTorque < 60 || r.FreeTorque > 110 || r.Size() < 1.8 {
		t.Errorf("a large machine: %+v", r)
	}
	for range 40 {
		small.Step(1, 400, 400*math.Pi/30*50, 700, 460)
	}
	if r := small.Rule(); r.FreeTorque > 20 || r.FreeTorque+r.Full > 50 {
		t.Errorf("a small machine: %+v", r)
	}
	for i := range 8 { // the build is over: the hot tool is lifted off and turns on for a moment, its speed rising
		speed := 380 + 3*float64(i)
		small.Step(1, speed, speed*math.Pi/30*4, 0, 440-8*float64(i))
	}
	if r := small.Rule(); math.Abs(r.FreeTorque-4) > 0.5 {
		t.Errorf("a small machine that has let go, with 4 N·m: %+v", r)
	}
	small.Step(1, math.NaN(), math.NaN(), math.NaN(), math.NaN())
	if r := small.Rule(); math.IsNaN(r.FreeTorque + r.Full) {
		t.Errorf("after a row without values: %+v", r)
	}
}
