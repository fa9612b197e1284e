package control

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A level is seen through noise of its reading, through ramps, and where the reading is told ten times for once; what is no change is none.
func TestLevel(t *testing.T) {
	for _, c := range []struct {
		name               string
		noise, ramp, every float64 // share; s to the new level; s between two readings
	}{{"clean", 0, 0, 0.1}, {"rows of a second", 0, 0, 1}, {"1 %", 0.01, 0, 0.1}, {"3 %", 0.03, 0, 0.1}, {"1 % once a second", 0.01, 0, 1},
		{"ramp of 2 s", 0, 2, 0.1}, {"ramp of 5 s", 0, 5, 0.1}, {"ramp of 10 s in noise", 0.01, 10, 0.1}} {
		rng := rand.New(rand.NewPCG(7, 1))
		var l level
		var steps []float64
		reading, since := 0.0, math.Inf(1)
		for i := range 6000 {
			at, sets := float64(i)*0.1, 100.0
			switch { // +5 % at 200 s, −10 % at 400 s
			case at >= 400:
				sets = 105 - 10.5*min(1, (at-400)/max(c.ramp, 0.1))
			case at >= 200:
				sets = 100 + 5*min(1, (at-200)/max(c.ramp, 0.1))
			}
			if since += 0.1; since >= c.every-1e-9 {
				reading, since = sets*(1+c.noise*rng.NormFloat64()), 0
			}
			if was, changed := l.step(reading, 0.1); changed && was > 0 {
				steps = append(steps, l.at/was-1)
			}
		}
		if len(steps) != 2 || math.Abs(steps[0]-0.05) > 0.012 || math.Abs(steps[1]+0.1) > 0.012 {
			t.Errorf("%s: %.3f, want 0.05 and -0.1", c.name, steps)
		}
	}
}

// A feed that rests and goes on, or pulses, is no other one.
func TestLevelOfAFeedThatPulses(t *testing.T) {
	var l level
	for i := range 6000 {
		v := 0.0
		if i%30 < 20 || i < 1000 {
			v = 100
		}
		if was, changed := l.step(v, 0.1); changed && was > 0 {
			t.Fatalf("after %g s: from %g to %g", float64(i)/10, was, l.at)
		}
	}
}
