package control

import (
	"math"
	"math/rand/v2"
	"testing"
)

// foretells is a lag as a model: it starts from what is measured, with a gain and time constant of its own.
func foretells(measured func() float64, gain, tau, offset float64) Foretell {
	return func(y, horizons []float64, course func(float64) float64) string {
		l := lag{measured(), gain, tau, offset}
		now := 0.0
		for i, h := range horizons {
			for now < h-1e-9 {
				dt := min(0.5, h-now)
				l.step(course(now), dt)
				now += dt
			}
			y[i] = l.y
		}
		return ""
	}
}

// led lets an MPC with a model that is wrong by factors lead a lag, and gives outputs and commands.
func led(o MPCOptions, l *lag, g *Goal, held, gain, tau float64, steps int, disturb func(k int) float64) (ys, us []float64) {
	o.Foretell = foretells(func() float64 { return l.y }, gain*l.gain, tau*l.tau, l.offset)
	m := NewMPC(o)
	s := Sense{Dt: 1, Output: l.y, Goal: g, Held: held}
	m.Begin(&s)
	for k := range steps {
		s.Output, s.Now, s.Held = l.y, float64(k), held
		held = m.Step(&s).Value
		l.step(held, 1)
		if disturb != nil {
			l.y += disturb(k)
		}
		ys, us = append(ys, l.y), append(us, held)
	}
	return ys, us
}

var kitMPC = MPCOptions{Limits: Limits{Min: 0, Max: 100, Slew: 20}, Every: 1, Horizon: 60, Ceiling: math.NaN()}

func TestMPCHoldsWithoutOffset(t *testing.T) {
	for _, wrong := range [][2]float64{{1, 1}, {0.7, 1}, {1.3, 1}, {1, 0.7}, {1.3, 1.3}} {
		l := &lag{y: 20, gain: 0.7, tau: 120, offset: 20}
		ys, _ := led(kitMPC, l, Constant(50), 0, wrong[0], wrong[1], 900, nil)
		top := 0.0
		for _, y := range ys {
			top = max(top, y)
		}
		if off := ys[899] - 50; math.Abs(off) > 0.1 {
			t.Errorf("gain × %g, time constant × %g: %g K off at the end", wrong[0], wrong[1], off)
		}
		if top > 53 {
			t.Errorf("gain × %g, time constant × %g: overshoot to %g", wrong[0], wrong[1], top)
		}
	}
}

// No command is beyond a limit or faster than the slew, whatever is asked and measured.
func TestMPCKeepsLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		o := kitMPC
		o.Min, o.Max = 10*r.Float64(), 50+50*r.Float64()
		o.Slew = 1 + 30*r.Float64()
		var steps []GoalStep
		for at := 0.0; at < 200; at += 5 + 40*r.Float64() {
			steps = append(steps, GoalStep{at, 200 * r.Float64(), r.IntN(2) == 0})
		}
		held := o.Min
		_, us := led(o, &lag{y: 20, gain: 0.7, tau: 120, offset: 20}, Schedule(steps), held, 0.5+r.Float64(), 0.5+r.Float64(), 200,
			func(int) float64 { return 3 * r.NormFloat64() })
		for k, u := range us {
			if u < o.Min-1e-9 || u > o.Max+1e-9 || math.Abs(u-held) > o.Slew+1e-9 {
				t.Fatalf("step %d: from %g to %g with limits %+v", k, held, u, o.Limits)
			}
			held = u
		}
	}
}

// The ceiling is kept although the goal is above it; where it cannot be kept the command goes to its limit.
func TestMPCKeepsUnderTheCeiling(t *testing.T) {
	o := kitMPC
	o.Ceiling = 55
	ys, _ := led(o, &lag{y: 20, gain: 0.7, tau: 120, offset: 20}, Constant(60), 0, 1, 1, 600, nil)
	top := 0.0
	for _, y := range ys {
		top = max(top, y)
	}
	if top > 55.1 || ys[599] < 54 {
		t.Errorf("top %g, at the end %g", top, ys[599])
	}
	_, us := led(o, &lag{y: 80, gain: 0.7, tau: 120, offset: 20}, Constant(60), 60, 1, 1, 10, nil)
	if us[9] > 1e-6 {
		t.Errorf("over the ceiling the command is %g", us[9])
	}
}

// A disturbance that comes again is found and taken away, also where nobody has told its period.
func TestMPCCancelsWhatComesAgain(t *testing.T) {
	spread := func(period float64) float64 {
		o := kitMPC
		o.Horizon, o.Period, o.Slew, o.Calm = 30, period, 100, 0.3
		l := &lag{y: 50, gain: 0.7, tau: 40, offset: 20}
		// Three seconds of each lap heat, which no trend foretells.
		ys, _ := led(o, l, Constant(50), 43, 1, 1, 2500, func(k int) float64 {
			if k%45 < 3 {
				return 1
			}
			return 0
		})
		sum := 0.0
		for _, y := range ys[2000:] {
			sum += (y - 50) * (y - 50)
		}
		return math.Sqrt(sum / 500)
	}
	never, told, found := spread(1000), spread(45), spread(0)
	t.Logf("root mean square error %.3f with a period that is none, %.3f with the one that is, %.3f where it is found", never, told, found)
	if told > 0.7*never || found > 0.75*never {
		t.Errorf("%.3f with the period and %.3f where it is found, %.3f without", told, found, never)
	}
}

func TestMPCDoubtsWithItsModel(t *testing.T) {
	o := kitMPC
	o.Foretell = func(_, _ []float64, _ func(float64) float64) string { return "nothing measured" }
	m := NewMPC(o)
	s := Sense{Dt: 1, Output: 20, Goal: Constant(50), Held: 3}
	m.Begin(&s)
	if move := m.Step(&s); !math.IsNaN(move.Value) || move.Doubt != "nothing measured" {
		t.Errorf("%+v", move)
	}
}

func TestMPCDoesNotAllocate(t *testing.T) {
	o := kitMPC
	o.Ceiling = 70
	y := 20.0
	l := lag{}
	o.Foretell = func(out, horizons []float64, course func(float64) float64) string {
		l = lag{y, 0.7, 120, 20}
		for i := range horizons {
			l.step(course(horizons[i]), 4)
			out[i] = l.y
		}
		return ""
	}
	m := NewMPC(o)
	s := Sense{Dt: 1, Output: y, Goal: Constant(50), Held: 3}
	m.Begin(&s)
	if n := testing.AllocsPerRun(100, func() { s.Held = m.Step(&s).Value; y += 0.1 }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// A reading that is missing is a doubt, and nothing is learned of it: afterwards the goal is held as before.
func TestMPCOutlivesAMissingReading(t *testing.T) {
	l := &lag{y: 20, gain: 0.7, tau: 120, offset: 20}
	o := kitMPC
	o.Foretell = foretells(func() float64 { return l.y }, 0.8*l.gain, l.tau, l.offset)
	m := NewMPC(o)
	held := 0.0
	s := Sense{Dt: 1, Output: l.y, Goal: Constant(50), Held: held}
	m.Begin(&s)
	for k := range 600 {
		s.Output, s.Held = l.y, held
		missing := k >= 300 && k < 303
		if missing {
			s.Output = math.NaN()
		}
		move := m.Step(&s)
		if missing != (move.Doubt == "the output is not known") || missing != math.IsNaN(move.Value) {
			t.Fatalf("step %d: %+v", k, move)
		}
		if !missing {
			held = move.Value
		}
		l.step(held, 1)
	}
	if math.Abs(l.y-50) > 0.2 {
		t.Errorf("at %g °C", l.y)
	}
}
