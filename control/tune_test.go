package control

import (
	"fmt"
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

// Of a process with two time constants the longer one is answered by integral and the other by derivative action: what it is comes out of a
// step, the loop has the margins of the rules and swings beyond them, and what pushes the process is off for less than with a PI.
func TestTuneAnswersASecondLag(t *testing.T) {
	const every = 0.1
	for _, want := range []Response{{Gain: 0.3, Tau: 3, Lag: 1.5, Dead: 0.8}, {Gain: 0.2, Tau: 1.5, Lag: 1.5, Dead: 1}, {Gain: -2, Tau: 40, Lag: 5, Dead: 2}} {
		var at, y []float64
		for now := 0.0; now < 15*want.Tau; now += want.Dead / 10 {
			at, y = append(at, now), append(y, 5*want.after(now))
		}
		r, err := identifyLag(at, y, 5)
		if err != nil || math.Abs(r.Tau/want.Tau-1) > 0.1 || math.Abs(r.Lag/want.Lag-1) > 0.1 || math.Abs(r.Dead-want.Dead) > 0.1*want.Dead {
			t.Errorf("%+v, want %+v; %v", r, want, err)
			continue
		}
		p := r.Tune(1, every)
		t.Logf("%+v: %+v", want, p)
		if p.Derivative == 0 || p.GainMargin < 2.2 || p.GainMargin > 3.6 || p.PhaseMargin < 45 || p.PhaseMargin > 65 {
			t.Errorf("%+v: %+v", want, p)
		}
		comesToRest(t, fmt.Sprintf("%+v", want), p, 0.1, func(gain float64) []Moment {
			k := want
			k.Gain *= gain
			return k.Simulate(p.Gains, every)
		})
		one, err := Identify(at, y, 5)
		if err != nil {
			t.Fatal(err)
		}
		if pi := one.Tune(1, every); pi.Integral/pi.Gain/(p.Integral/p.Gain) < 1.2 { // the integral of the error after a push is that of the gains
			t.Errorf("%+v: a PI %+v leaves no more than %+v", want, pi, p)
		}
	}
	short := Response{Gain: 1, Tau: 10, Lag: 1, Dead: 2}
	if p := short.Tune(1, every); p.Derivative != 0 {
		t.Errorf("a lag shorter than the dead time has derivative action: %+v", p)
	}
}

// comesToRest wants a loop of a step by 1, simulated with so many times the gain of its process, to be no more than most off its goal in the last
// quarter, and what it is off to fade with 0.8 of the gain margin and to grow with 1.25.
func comesToRest(t *testing.T, what string, p Tuning, most float64, simulate func(gain float64) []Moment) {
	t.Helper()
	off := func(gain, from, to float64) (off float64) { // in a part of the time
		all := simulate(gain)
		n := float64(len(all))
		for _, m := range all[int(from*n):int(to*n)] {
			off = max(off, math.Abs(m.Output-1))
		}
		return off
	}
	if v := off(1, 0.75, 1); v > most {
		t.Errorf("%s: %g of 1 off at the end", what, v)
	}
	grows := func(gain float64) float64 { return off(gain, 0.75, 1) / off(gain, 0.25, 0.5) }
	if calm, swings := grows(0.8*p.GainMargin), grows(1.25*p.GainMargin); calm > 0.9 || swings < 1.1 {
		t.Errorf("%s: with 0.8 and 1.25 of the gain margin %g what it is off grows by %g and %g", what, p.GainMargin, calm, swings)
	}
}
