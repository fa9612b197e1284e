package control

import (
	"math"
	"testing"
)

// A simulated step of a known process gives that process back, and gains with the margins that the rules promise.
func TestTuneKnowsAProcess(t *testing.T) {
	const gain, tau, dead = 0.7, 120.0, 8.0
	var at, y []float64
	for i := range 1201 {
		now := float64(i)
		at, y = append(at, now), append(y, 10*gain*(1-math.Exp(-max(0, now-dead)/tau)))
	}
	r, err := Identify(at, y, 10)
	if err != nil || math.Abs(r.Gain-gain) > 0.01 || math.Abs(r.Tau-tau) > 2 || math.Abs(r.Dead-dead) > 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	p := r.Tune(1, 1)
	if want := tau / gain / (2 * 8.5); math.Abs(p.Gain-want) > 0.1*want {
		t.Errorf("gain %g, want %g", p.Gain, want)
	}
	if p.GainMargin < 2.7 || p.GainMargin > 3.6 || p.PhaseMargin < 45 || p.PhaseMargin > 65 { // Skogestad's table 1: 3.1 and 47° to 61°
		t.Errorf("margins %g and %g°", p.GainMargin, p.PhaseMargin)
	}
	if calm := r.Tune(3, 1); calm.Gain >= p.Gain || calm.GainMargin <= p.GainMargin {
		t.Errorf("calmer: %+v after %+v", calm, p)
	}
	limits := Limits{Min: 0, Max: 100, Slew: 100}
	ys, _ := run(&PID{Limits: limits, Gains: p.Gains}, &lag{y: 20, gain: gain, tau: tau, offset: 20}, Constant(50), 0, limits, 600, nil)
	if off := ys[599] - 50; math.Abs(off) > 0.1 {
		t.Errorf("%g K off", off)
	}
	if _, err := Identify(at, make([]float64, len(at)), 10); err == nil {
		t.Error("a target that moves nothing was tuned")
	}
}
