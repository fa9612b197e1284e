package filter

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
)

// planned is the sample with a plan.
func planned() *model.Model {
	m := sample()
	q, _ := planOf()
	m.Plan = q.p
	return m
}

// deposition lets f follow a build held about 470 °C for some seconds, with an input moved by hand, and gives what
// it then forecasts.
type deposition struct {
	e        *Estimator
	f        *Forecaster
	est      Estimate
	fc       Forecast
	u        []float64
	sc       Scenario
	now      float64
	readings func(now float64) float64
}

func newDeposition(m *model.Model, mixes bool) *deposition {
	e := New(m)
	d := &deposition{e: e, f: NewForecaster(e, horizons, mixes), u: slices.Clone(steady)}
	d.sc = Scenario{Way: Planned, SetPoint: func(float64) float64 { return 470 }}
	rng := rand.New(rand.NewPCG(1, 1))
	d.readings = func(now float64) float64 { return 470 + 4*math.Sin(now/8) + 0.1*rng.NormFloat64() }
	d.fc.Horizon = horizons
	return d
}

func (d *deposition) run(seconds float64) *deposition {
	for range int(seconds) {
		d.tick(1)
	}
	return d
}

func (d *deposition) tick(dt float64) {
	d.now += dt
	z := []float64{d.readings(d.now)}
	d.e.Step(&d.est, dt, d.u, z)
	d.f.Step(dt, z, &d.est)
	d.f.Ahead(&d.fc, d.sc)
}

func (d *deposition) width(h int) float64 {
	x := &d.fc.Outputs[0]
	return x.Upper[h] - x.Lower[h]
}

// In a build that swings about its set-point the set-point is trusted a minute ahead, the equation a second ahead; the
// intervals narrow to what comes true, and say what is known to make them doubtful.
func TestForecasterFollowsARun(t *testing.T) {
	d := newDeposition(planned(), true)
	d.run(2)
	first, x := d.width(4), &d.fc.Outputs[0]
	if d.fc.Way != Live || x.By[4].Doubt&(NewRun|MayStop|NewPhase) != NewRun|MayStop|NewPhase || x.By[4].Windows != 0 {
		t.Errorf("at the start: %v, %q", d.fc.Way, x.By[4].Doubt.Text())
	}
	stop := &x.Stopped
	if len(stop.Mean) != len(horizons) || !(stop.Mean[4] < x.Mean[4]-50) || !(stop.Lower[4] < stop.Mean[4] && stop.Mean[4] < stop.Upper[4]) {
		t.Errorf("stopped now it would be %g, if nothing stops %g: want a branch with an interval", *stop, x.Mean)
	}
	if lower, upper := x.Whole(4); lower != min(stop.Lower[4], x.Lower[4]) || upper != x.Upper[4] || d.fc.Condition() != "if nothing stops" {
		t.Errorf("%s from %g to %g, stopped from %g: the whole is %g to %g", d.fc.Condition(), x.Lower[4], x.Upper[4], stop.Lower[4], lower, upper)
	}
	d.run(1200)
	if best := x.By[4].Best(); best != AtSetPoint || x.By[0].Weight[AtSetPoint] > 0.01 {
		t.Errorf("at 60 s %s, at 1 s %s", x.By[4].Text("°C"), x.By[0].Text("°C"))
	}
	if d.width(4) > first/3 || d.width(4) < 1 || d.width(4) > 16 {
		t.Errorf("a swing of ±4 K that repeats: interval %g wide at 60 s after 20 minutes, %g at the start", d.width(4), first)
	}
	if lower, _ := x.Whole(4); x.By[4].Doubt != 0 || lower != x.Lower[4] || lower < x.Stopped.Upper[4] {
		t.Errorf("after 20 minutes: doubts %q, lower end %g, stopped %g", x.By[4].Doubt.Text(), lower, x.Stopped.Upper[4])
	}
	if text := x.By[4].Text("°C"); !strings.HasPrefix(text, "set-point ") || !strings.Contains(text, "windows)") {
		t.Errorf("why: %q", text)
	}
	sum := 0.0
	for e, w := range x.By[3].Weight {
		if sum += w; w < 0 || w > 1 || w > 0 && math.IsNaN(x.By[3].Says[e]) {
			t.Errorf("weights %v of %v", x.By[3].Weight, x.By[3].Says)
		}
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("weights %v", x.By[3].Weight)
	}

	// What is known widens it at once.
	was := d.width(4)
	d.u[2] = 2000 // path, far outside the training range
	d.run(1)
	if d.fc.Outputs[0].By[4].Doubt != Untrained || d.width(4) < 1.1*was {
		t.Errorf("outside the training range: %q, %g wide, before %g", x.By[4].Doubt.Text(), d.width(4), was)
	}
	d.u[2] = 0
	d.run(Rests) // less is a corner
	if x.By[4].Doubt&NewPhase == 0 || d.width(4) < 1.2*was {
		t.Errorf("the path stops: %q, %g wide, before %g", x.By[4].Doubt.Text(), d.width(4), was)
	}
	if x.By[0].Doubt&NewPhase == 0 {
		t.Errorf("at 1 s: %q", x.By[0].Doubt.Text())
	}
	d.run(5)
	if x.By[0].Doubt&NewPhase != 0 {
		t.Errorf("at 1 s, 6 s after the phase changed: %q", x.By[0].Doubt.Text())
	}
	clear(d.u)
	d.run(2)
	if len(x.Stopped.Mean) != 0 || d.fc.Condition() != "" {
		t.Errorf("the machine stands, and would be at %g if it stopped (%q)", x.Stopped.Mean, d.fc.Condition())
	}
}

// What is known to come is not weighed against what only knows the past: from the change on the plan alone speaks.
func TestAKnownChangeIsThePlansAlone(t *testing.T) {
	d := newDeposition(planned(), true)
	d.run(300)
	if x := &d.fc.Outputs[0]; x.By[4].Weight[Planning] == 1 {
		t.Fatalf("the plan is trusted alone before anything is known: %s", x.By[4].Text("°C"))
	}
	d.sc.Changes = 20
	d.sc.Inputs = func([]float64, float64) {}
	d.sc.SetPoint = func(ahead float64) float64 {
		if ahead > 20 {
			return 0
		}
		return 470
	}
	d.run(1)
	x := &d.fc.Outputs[0]
	for h, ahead := range d.fc.Horizon {
		alone := x.By[h].Weight[Planning] == 1 && math.IsNaN(x.By[h].Says[Persist]) && x.Mean[h] == x.By[h].Says[Planning]
		if alone != (ahead >= 20) {
			t.Errorf("%g s ahead of a change in 20 s: %s", ahead, x.By[h].Text("°C"))
		}
	}
	if !(x.Mean[4] < 440) {
		t.Errorf("40 s after the stop %g °C", x.Mean[4])
	}
}

// A stop that nobody announced does not widen what is said to happen if nothing stops: it teaches the branch of a stop.
func TestAStopTeachesNoWidth(t *testing.T) {
	d := newDeposition(planned(), true).run(600)
	was, knew := d.f.bounds[0][4].by[phase.Deposit].grown, d.f.stops[0][4].windows
	clear(d.u)
	began := d.now
	d.readings = func(now float64) float64 { return 20 + 450*math.Exp(-(now-began)/60) }
	d.sc.SetPoint = func(float64) float64 { return 0 }
	d.run(70)
	if learned := d.f.stops[0][4].windows - knew; learned != 1 {
		t.Errorf("one stop has taught the branch of a stop %g windows at 60 s", learned)
	}
	if is := d.f.bounds[0][4].by[phase.Deposit].grown; is[0] > was[0]+0.1 || is[1] > was[1]+0.1 {
		t.Errorf("at 60 s the sides have grown to e^%.2f by a stop, e^%.2f before", is, was)
	}
}

// Without experts it is the scenario's own forecast with other intervals.
func TestForecasterThatOnlyAdapts(t *testing.T) {
	d := newDeposition(planned(), false).run(300)
	var own Forecast
	own.Horizon = horizons
	d.e.Ahead(&own, d.sc)
	x := &d.fc.Outputs[0]
	if d.fc.Way != Planned || !slices.Equal(x.Mean, own.Outputs[0].Mean) || len(x.By) > 0 || len(x.Stopped.Mean) > 0 || d.fc.Condition() != "" {
		t.Errorf("%v: %v by %v, the plan's own is %v", d.fc.Way, x.Mean, x.By, own.Outputs[0].Mean)
	}
	if x.Lower[2] == own.Outputs[0].Lower[2] {
		t.Error("the interval is that of the model")
	}
}

// A model without a plan, a set-point that nobody knows, a gap, readings that are missing: always a forecast where
// something has been measured, and nothing that is not a number.
func TestForecasterInOddCases(t *testing.T) {
	d := newDeposition(sample(), true)
	d.sc.SetPoint = func(float64) float64 { return nan }
	nothing := []float64{nan}
	d.e.Step(&d.est, 1, d.u, nothing)
	d.f.Step(1, nothing, &d.est)
	d.f.Ahead(&d.fc, d.sc)
	if x := &d.fc.Outputs[0]; !math.IsNaN(x.Mean[0]) || !math.IsNaN(x.Lower[0]) {
		t.Errorf("before the first reading: %v", x)
	}
	for k, dt := range []float64{1, 1, 0, 30, 61, 1, nan, -1, 1, 5, 0.01} {
		d.run(30)
		z := []float64{470}
		if k%2 == 1 {
			z = nothing
		}
		d.e.Step(&d.est, dt, d.u, z)
		d.f.Step(dt, z, &d.est)
		d.f.Ahead(&d.fc, d.sc)
		x := &d.fc.Outputs[0]
		if started := d.e.started; started == math.IsNaN(x.Mean[4]) || started && !(x.Lower[4] < x.Mean[4] && x.Mean[4] < x.Upper[4]) {
			t.Errorf("after a step of %g s: %g within %g to %g", dt, x.Mean[4], x.Lower[4], x.Upper[4])
		}
		if w := x.By[4].Weight; w[Planning] != 0 || w[AtSetPoint] != 0 {
			t.Errorf("no plan and no set-point: weights %v", w)
		}
	}
}

// An equation that has run away is not listened to, and where none is left what is measured now is the forecast.
func TestWhatHasRunAwayIsNotListenedTo(t *testing.T) {
	d := newDeposition(planned(), true).run(120)
	for _, c := range []struct {
		by       [Experts]float64
		speaking []Expert
	}{
		{[Experts]float64{470, 471, 472, 475}, []Expert{Persist, Holding, Planning, AtSetPoint}},
		{[Experts]float64{470, 1e249, -4000, 475}, []Expert{Persist, AtSetPoint}},
		{[Experts]float64{nan, math.Inf(-1), 1e12, nan}, []Expert{Persist}},
	} {
		said := saying{ahead: 60, mean: c.by[Planning], by: c.by}
		var w Trust
		d.f.mix(&w, &said, 0, 4)
		for x, weight := range w.Weight {
			if speaks := slices.Contains(c.speaking, Expert(x)); !speaks && weight != 0 || speaks && !(weight > 0) {
				t.Errorf("of %v %s weighs %g", c.by, Expert(x), weight)
			}
		}
		if !(said.mean > 400 && said.mean < 500) {
			t.Errorf("of %v comes %g", c.by, said.mean)
		}
	}
}

// The same total, split by term and by cause; parts of its size, the input that moved named.
func TestExplain(t *testing.T) {
	d := newDeposition(planned(), true)
	d.readings = func(now float64) float64 { return rest(6000) + 0.1*math.Sin(now) }
	d.run(300)
	var all []Attribution
	adds := func(a *Attribution) {
		t.Helper()
		terms, causes := 0.0, 0.0
		for _, p := range a.Part {
			terms += p
		}
		for _, c := range a.Cause {
			causes += c.Share
		}
		x := &d.fc.Outputs[0]
		if total := x.Mean[3] - d.e.Reading(0); math.Abs(total-a.Total) > 1e-9 || math.Abs(terms-a.Total) > 1e-9 || math.Abs(causes-a.Total) > 1e-6 {
			t.Errorf("forecast %+g, total %+g, terms %+g, causes %+g: %+v", total, a.Total, terms, causes, a)
		}
	}
	share := func(a *Attribution, cause string) (c Cause) {
		for _, c := range a.Cause {
			if c.Name == cause {
				return c
			}
		}
		return c
	}
	d.sc = Scenario{Way: Held} // by plan the controller moves speed and power by itself
	d.f.Ahead(&d.fc, d.sc)
	all = d.f.Explain(all, &d.fc, 3, d.sc)
	adds(&all[0])
	for i, p := range all[0].Part {
		if math.Abs(p) > 5 {
			t.Errorf("nothing moves, and %s has %+.0f K of %+.0f", all[0].Term[i], p, all[0].Total)
		}
	}
	d.u[0] += 1500
	d.run(3)
	all = d.f.Explain(all, &d.fc, 3, d.sc)
	adds(&all[0])
	power, largest := share(&all[0], model.SpindlePower), 0.0
	for _, c := range all[0].Cause {
		if c.Name != model.SpindlePower {
			largest = max(largest, math.Abs(c.Share))
		}
	}
	if power.Share < 10 || power.Share < largest || math.Abs(power.To-d.u[0]) > 1 || power.From > d.u[0]-1300 || power.Unit != "W" {
		t.Errorf("the power has risen by 1500 W: %+v", all[0].Cause)
	}
	d.sc = Scenario{Way: Planned, SetPoint: func(float64) float64 { return 470 }}
	d.run(2)
	all = d.f.Explain(all, &d.fc, 3, d.sc)
	adds(&all[0])
	if n := testing.AllocsPerRun(50, func() {
		d.tick(1)
		all = d.f.Explain(all, &d.fc, 3, d.sc)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The balance is that of the last minute, at any rate.
func TestBalance(t *testing.T) {
	for _, dt := range []float64{0.1, 1, 7, 30} {
		var b balance
		b.init(1, 0)
		if b.average() {
			t.Error("an average of nothing")
		}
		for now := 0.0; now < 600; now += dt {
			b.now[0] = now
			b.add(dt)
		}
		b.average()
		if want := 600 - dt - 30; math.Abs(b.mean[0]-want) > max(1.5, dt) || b.total < 60 || b.total > 60+max(2, dt) {
			t.Errorf("steps of %g s: mean of the last minute %g over %g s, want about %g", dt, b.mean[0], b.total, want)
		}
	}
}

// Budget: with the tick's other work under 100 µs.
func BenchmarkForecaster(b *testing.B) {
	d := newDeposition(planned(), true).run(100)
	b.ReportAllocs()
	for b.Loop() {
		d.tick(0.1)
	}
}
