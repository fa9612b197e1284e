package trial

import (
	"context"
	"math"
	"testing"

	"stirwatch/control"
	"stirwatch/firmware-bridge/twin"
)

// On a simulated build whose bar asks for more than the spindle gives at the pace of its program, another pace is advised, seldom, with what is
// expected with it and without, and whoever follows has the spindle at its limit for a smaller share of the time.
func TestAdviceIsSeldomAndGivesTheSpindleRoom(t *testing.T) {
	simulatesMuch(t)
	const seed, vary = 9546, 0.2
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Way: Advice, Builds: 1, Seed: seed, Spare: 15, Params: p, Vary: vary, Model: demoModel(t), Limits: control.Limits{Min: 250, Max: 450, Slew: 50}}
	d, err := newDriver(&o)
	if err != nil {
		t.Fatal(err)
	}
	cfg := twin.RandomBuild(p.Varied(vary, seed), seed, false)
	cfg.Interval = interval
	var last control.Recommendation
	changes, paces, others := 0, 0, 0
	g := newGauge(seed, o.Limits)
	rows := 0
	err = twin.Simulate(context.Background(), cfg, func(m *twin.Machine, r *twin.Row) error {
		if d.row(m, r); rows%10 == 0 {
			g.row(r, d.aims(r), d.goal)
		}
		rows++
		a := &d.adviser.advice
		if a.Kind != last.Kind {
			others++
		}
		if set, pace := a.Kind == control.Change && a.SetPoint != last.SetPoint, a.Pace != 0 && last.Pace == 0; set || pace {
			if changes++; pace {
				paces++
			}
			with, without := a.With.Last(), a.Without.Last()
			for _, v := range []float64{with.Temperature, with.Lower, with.Upper, with.Speed, with.SpeedLower, with.SpeedUpper, without.Temperature, without.Lower, without.Upper, without.Speed} {
				if math.IsNaN(v) {
					t.Errorf("at %.0f s: with it %+v, without it %+v", r.At, *with, *without)
					break
				}
			}
			slower := with.Speed < without.Speed // a set-point that is led back asks for more speed
			if set && a.SetPoint < setPoints.Min || a.SetPoint > setPoints.Max || !a.Must && a.Kind != control.Unreachable && slower != (a.SetPoint <= r.SetPoint) {
				t.Errorf("at %.0f s: %s", r.At, a.Reason)
			}
		}
		last = *a
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	own := oneBuild(t, o, Machine)
	t.Logf("%d changes advised, of them %d of the pace, and %d of the kind of advice; spindle at a limit in %.1f %% of the time, without advice %.1f %%", changes, paces, others, 100*g.build().AtLimit, 100*own.AtLimit)
	if paces == 0 || changes > 12 || others > 40 || !(g.build().AtLimit < own.AtLimit/2) {
		t.Errorf("%d changes, %d kinds, at a limit in %g of the time and %g without advice", changes, others, g.build().AtLimit, own.AtLimit)
	}
}

// oneBuild runs the first build of the options in a way.
func oneBuild(t *testing.T, o Options, way Way) *Build {
	t.Helper()
	o.Way = way
	builds, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return &builds[0]
}

// A build in whose start the wide interval of the forecast crosses the ceiling: who follows all advice deposits as soon as who
// follows none, and is off the set-point no longer.
func TestWhoFollowsAdviceIsNoWorseOff(t *testing.T) {
	simulatesMuch(t)
	o := Options{Builds: 1, Seed: 7001, Vary: 0.2, Model: demoModel(t)}
	a, m := oneBuild(t, o, Advice), oneBuild(t, o, Machine)
	t.Logf("%d and %d s of steady deposition, to within 5 K after %.0f and %.0f s, more than 10 K off in %.1f and %.1f %% of the time", a.Rows, m.Rows, a.Reach, m.Reach, 100*a.Outside, 100*m.Outside)
	if a.Rows < m.Rows-30 || !(a.Reach <= m.Reach+5) || !(a.Outside <= m.Outside+0.02) {
		t.Errorf("followed %+v\nmachine's own %+v", *a, *m)
	}
}

// An operator who sets the advised pace of feed and path has starts that arrive sooner, and beside the machine's own controller, or a PID on its set-point, less
// time off than the machine has by itself.
func TestPacesThatAreSet(t *testing.T) {
	simulatesMuch(t)
	o := Options{Builds: 3, Seed: 9704, Vary: 0.2, Model: demoModel(t), Way: Machine}
	all := func(way Way, paced bool) (off, reach float64) {
		o.Way, o.Paced = way, paced
		builds, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range builds {
			off, reach = off+builds[i].Program.Outside/3, reach+builds[i].Reach/3
			if builds[i].Violations != 0 {
				t.Errorf("%s, seed %d: %d commands beyond a limit", way, builds[i].Seed, builds[i].Violations)
			}
		}
		t.Logf("%s, paces set: %v: more than 10 K off in %.1f %% of the time, to within 5 K after %.0f s", way, paced, 100*off, reach)
		return off, reach
	}
	off, reach := all(Machine, false)
	for _, way := range []Way{Machine, Cascade} {
		with, sooner := all(way, true)
		if !(with < 0.7*off) || !(sooner < 0.7*reach) {
			t.Errorf("%s: %g and %g s, by itself %g and %g s", way, with, sooner, off, reach)
		}
	}
}
