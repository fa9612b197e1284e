package signature

import (
	"math"
	"testing"

	"stirwatch/dynamics/phase"
)

// A reading that is late once, or a frame without one, does not change how far apart readings are.
func TestPace(t *testing.T) {
	var p pace
	for i := range 100 {
		dt := 0.5
		if i == 60 {
			dt = 30
		}
		p.step(dt, i%4 == 3)
		if want := 2.0; i >= 7 && p.every != want || i < 7 && p.every != 0 {
			t.Fatalf("frame %d: a reading each %g s", i, p.every)
		}
	}
}

// What needs faster readings is silent where they are slow, and is judged again once they are not.
func TestSlowReadingsAreNotJudged(t *testing.T) {
	var f Follower
	x := Frame{Fresh: all, Contact: 1, Phase: phase.Stopped}
	x.Value[Temperature] = 400
	for _, c := range []struct {
		dt     float64
		judged bool
	}{{1, true}, {5, true}, {10, false}, {2, true}} {
		f.Reset()
		for range 10 {
			f.Step(c.dt, &x)
		}
		if f.Judged(Stopped) != c.judged || f.Score[Stopped].Value > 1 != c.judged {
			t.Errorf("a reading each %g s: judged %t, score %g", c.dt, f.Judged(Stopped), f.Score[Stopped].Value)
		}
	}
}

// A spindle that is seen standing once may have stopped just now.
func TestSeenStandingOnceIsNotStopped(t *testing.T) {
	var f Follower
	x := Frame{Fresh: all, Contact: 1, Phase: phase.Deposit}
	x.Value[Temperature] = 400
	for range 10 {
		f.Step(6, &x)
	}
	x.Phase = phase.Stopped
	if f.Step(6, &x); f.Score[Stopped].Value > 1 {
		t.Errorf("after one reading: %g", f.Score[Stopped].Value)
	}
	if f.Step(6, &x); !(f.Score[Stopped].Value > 1) {
		t.Errorf("after two: %g", f.Score[Stopped].Value)
	}
}

// Where nobody measures the tool's height, the end of a build is no lift-off.
func TestLiftOffNeedsTheHeight(t *testing.T) {
	for _, rise := range []float64{0, math.NaN()} {
		var f Follower
		f.Reset()
		x := Frame{Fresh: all, Contact: 1, Phase: phase.Deposit}
		x.Value = [Signals]float64{Speed: 400, Torque: 150, FeedVelocity: 300, FeedTorque: 40, Path: 700, Rise: rise, Temperature: 450}
		for range 60 {
			f.Step(1, &x)
		}
		x.Value[Torque], x.Contact, x.Phase = 34, 0, phase.Free
		f.Step(1, &x)
		if known := !math.IsNaN(rise); f.Score[LiftOff].Value > 1 != known {
			t.Errorf("height known %t: score %g", known, f.Score[LiftOff].Value)
		}
	}
}
