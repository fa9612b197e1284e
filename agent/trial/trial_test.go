package trial

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"stirwatch/control"
	"stirwatch/dynamics/model"
	"stirwatch/firmware-bridge/twin"
)

func demoModel(t testing.TB) *model.Model {
	t.Helper()
	m, err := model.Load("../../cmd/demo/model.json")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func meanOf(t *testing.T, o Options) (figures map[string]float64) {
	t.Helper()
	builds, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	figures = make(map[string]float64)
	for _, f := range Figures(builds) {
		if f.Builds == 0 {
			t.Errorf("%s: no build had %s", o.Way, f.Name)
		}
		figures[f.Name] = f.Mean
	}
	return figures
}

// simulatesMuch skips a test that takes half a minute under the race detector, and what goroutines it has others have too;
// make test runs it without.
func simulatesMuch(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("half a minute under the race detector; make test runs it without")
	}
}

// Prediction that turns the spindle keeps the goal better than the machine's own controller on machines that it has not
// been learned on, and no command is beyond a limit.
func TestPredictionIsBetterThanTheMachinesController(t *testing.T) {
	simulatesMuch(t)
	o := Options{Builds: 3, Seed: 11, Vary: 0.2, Model: demoModel(t)}
	o.Way = Machine
	own := meanOf(t, o)
	o.Way = Actuator
	led := meanOf(t, o)
	t.Logf("machine %v", own)
	t.Logf("actuator %v", led)
	for name, share := range map[string]float64{"mean absolute error": 0.85, "99 % of errors below": 1, "with room, after changes: worst error": 0.85} {
		if led[name] > share*own[name] {
			t.Errorf("%s: %.2f, the machine's own controller %.2f", name, led[name], own[name])
		}
	}
	if led["limit violations"] != 0 {
		t.Error("commands beyond limits")
	}
}

// The same seed is the same build, for every way, whatever else runs.
func TestBuildsAreTheSameForAll(t *testing.T) {
	o := Options{Way: Machine, Builds: 2, Seed: 3, Vary: 0.2}
	a := meanOf(t, o)
	b := meanOf(t, o)
	if a["mean absolute error"] != b["mean absolute error"] {
		t.Errorf("%g and %g", a["mean absolute error"], b["mean absolute error"])
	}
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	if v := p.Varied(0.2, 1); *v != *p.Varied(0.2, 1) || v.Tool.Stick == p.Varied(0.2, 2).Tool.Stick || math.Abs(v.Tool.Stick/p.Tool.Stick-1) > 0.2 {
		t.Error("machines do not follow their seeds")
	}
	if *p.Varied(0, 1) != *p {
		t.Error("a machine that varies by nothing varies")
	}
}

// Who is told the program of a build follows it through operator's changes, changes of the program's own and
// prediction's commands, and knows of the reload before it comes.
func TestTheProgramIsFollowed(t *testing.T) {
	simulatesMuch(t)
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	for _, planned := range []bool{false, true} {
		o := &Options{Way: Actuator, Params: p, Model: demoModel(t), Limits: control.Limits{Min: 250, Max: 450, Slew: 50}, Every: 0.5, Horizon: 20}
		d, err := newDriver(o)
		if err != nil {
			t.Fatal(err)
		}
		build := twin.RandomBuild(p, 5, false)
		build.Interval = interval
		if planned {
			plan(&build, 5)
		}
		if err := d.read(build.Program); err != nil {
			t.Fatal(err)
		}
		rows, followed, knew := 0, 0, false
		if err := twin.Simulate(context.Background(), build, func(m *twin.Machine, r *twin.Row) error {
			d.row(m, r)
			if r.True.Phase != twin.Deposit {
				return nil
			}
			if rows++; d.guide.Follows() {
				followed++
				feed := d.guide.Ahead.Feed
				knew = knew || r.FeedVel > 300 && feed[0] > 300 && feed[len(feed)-1] == 0
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if rows == 0 || followed < rows*9/10 || !knew {
			t.Errorf("changes in the program %v: it is followed in %d of %d rows of deposition, the reload known: %v", planned, followed, rows, knew)
		}
	}
}

func TestTrialsThatCannotBe(t *testing.T) {
	for _, o := range []Options{{Way: Actuator, Builds: 1}, {Way: "magic", Builds: 1}, {Way: PID, Builds: 1, Program: true}, {Way: PID, Builds: 1, Paced: true}, {Way: Actuator, Builds: 1, Program: true, Model: demoModel(t)}} {
		if _, err := Run(context.Background(), o); err == nil {
			t.Errorf("%+v ran", o)
		}
	}
}

// A thermocouple that breaks while the spindle is led hands the process back to the machine's own controller.
func TestALostSensorHandsBack(t *testing.T) {
	o := &Options{Way: PID, Limits: control.Limits{Min: 250, Max: 450, Slew: 50}, Gains: control.Gains{Gain: 2, Integral: 6, Weight: 1}, Every: 0.5}
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	o.Params = p
	d, err := newDriver(o)
	if err != nil {
		t.Fatal(err)
	}
	cfg := twin.RandomBuild(p, 5, false)
	cfg.Interval = interval
	cfg.Faults = []twin.Fault{{Kind: twin.Open, At: 250, For: 20, Severity: 1}}
	var before, during, after bool
	err = twin.Simulate(context.Background(), cfg, func(m *twin.Machine, r *twin.Row) error {
		d.row(m, r)
		switch by := !math.IsNaN(d.commanded); {
		case r.At > 240 && r.At < 249:
			before = before || by && r.SetPoint == 0
		case r.At > 253 && r.At < 268:
			during = during || r.SetPoint > 0 && !by
		case r.At > 280 && r.At < 300:
			after = after || by
		}
		return nil
	})
	if err != nil || !before || !during || !after {
		t.Errorf("led before: %v, handed back: %v, led again: %v; %v", before, during, after, err)
	}
}

// stepping is prediction in the middle of a build.
func stepping(t testing.TB, horizon float64) *driver {
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	o := &Options{Way: Actuator, Params: p, Model: demoModel(t), Limits: control.Limits{Min: 250, Max: 450, Slew: 50}, Every: 0.5, Horizon: horizon}
	d, err := newDriver(o)
	if err != nil {
		t.Fatal(err)
	}
	cfg := twin.RandomBuild(p, 5, false)
	cfg.Interval, cfg.Limit = interval, 200
	if err := twin.Simulate(context.Background(), cfg, func(m *twin.Machine, r *twin.Row) error { d.row(m, r); return nil }); err != nil {
		t.Fatal(err)
	}
	d.sense.Dt = 0.5
	return d
}

// BenchmarkStep is one step of prediction on the learned equation: two forecasts as far as the horizon, and the program
// between them. 1 ms is the budget of 99 % of the steps, on a small core that has nothing else to do; no allocation. Besides
// the mean it reports what half and 99 % of the steps took at most, and the slowest, µs.
func BenchmarkStep(b *testing.B) {
	for _, horizon := range []float64{10, 20, 40, 80, 160} {
		b.Run(fmt.Sprintf("horizon=%gs", horizon), func(b *testing.B) {
			d := stepping(b, horizon)
			took := make([]time.Duration, 0, 1<<20)
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				if m := d.law.Step(&d.sense); m.Doubt != "" {
					b.Fatal(m.Doubt)
				}
				if len(took) < cap(took) {
					took = append(took, time.Since(began))
				}
			}
			p50, p99, most := percentiles(took)
			b.ReportMetric(float64(p50.Nanoseconds())/1e3, "p50-µs")
			b.ReportMetric(float64(p99.Nanoseconds())/1e3, "p99-µs")
			b.ReportMetric(float64(most.Nanoseconds())/1e3, "max-µs")
		})
	}
}

func TestSteppingDoesNotAllocate(t *testing.T) {
	d := stepping(t, 20)
	if n := testing.AllocsPerRun(50, func() { d.law.Step(&d.sense) }); n != 0 {
		t.Errorf("a step of prediction allocates %g times", n)
	}
}

func TestRowsHaveTheirColumns(t *testing.T) {
	b := Build{Seed: 7, MeanAbs: 1.5, Reach: math.NaN(), MaxT: 20 * time.Millisecond}
	row := b.Row(PID)
	if len(row) != len(Columns()) {
		t.Fatalf("%d cells of %d columns", len(row), len(Columns()))
	}
	for column, want := range map[string]string{"way": "pid", "seed": "7", "mean_absolute_K": "1.5", "reach_s": "NaN", "step_max_s": "0.02"} {
		if got := row[slices.Index(Columns(), column)]; got != want {
			t.Errorf("%s: %s, want %s", column, got, want)
		}
	}
}

// A PID on the set-point of the machine's own controller, whose goal is fed forward, keeps the goal better than that alone on each
// machine, without a model, and no command is beyond a limit.
func TestAPIDOnTheSetPointIsBetterThanTheMachinesController(t *testing.T) {
	o := Options{Builds: 2, Seed: 9601, Vary: 0.2, Way: Machine}
	own, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Way = Cascade
	led, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range led {
		a, m := &led[i], &own[i]
		t.Logf("seed %d: mean absolute error %.2f K, more than 10 K off in %.1f %% of the time, to within 5 K after %.0f s; by itself %.2f K, %.1f %%, %.0f s", a.Seed, a.MeanAbs, 100*a.Outside, a.Reach, m.MeanAbs, 100*m.Outside, m.Reach)
		if !(a.MeanAbs < 0.9*m.MeanAbs) || !(a.Outside <= m.Outside) || a.Violations != 0 {
			t.Errorf("seed %d: %+v\nby itself %+v", a.Seed, *a, *m)
		}
	}
}

// A PID on the spindle with the gains that a model proposes is on no build worse than the machine's own controller, also where the machine heats more or
// less than that of the model and shows it later; while the spindle has room it is off by less than two thirds of that.
func TestAPIDOnTheSpindleIsBetterThanTheMachinesController(t *testing.T) {
	for _, off := range []struct{ gain, dead float64 }{{1, 1}, {0.9, 1.6}, {1.3, 1.6}} {
		o := Options{Builds: 3, Seed: 9701, Vary: 0.2, Gain: off.gain, Dead: off.dead, Way: Machine}
		own, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		o.Way, o.Model = PID, demoModel(t)
		led, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range led {
			a, m := &led[i], &own[i]
			t.Logf("heat × %g, dead time × %g, seed %d: %.2f K, with room %.2f K; by itself %.2f K, %.2f K", off.gain, off.dead, a.Seed, a.MeanAbs, a.Room.MeanAbs, m.MeanAbs, m.Room.MeanAbs)
			if !(a.MeanAbs <= m.MeanAbs) || a.Room.MeanAbs > 2.0/3*m.Room.MeanAbs || a.Violations != 0 {
				t.Errorf("heat × %g, dead time × %g, seed %d: %+v\nby itself %+v", off.gain, off.dead, a.Seed, *a, *m)
			}
		}
	}
}
