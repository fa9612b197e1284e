package filter

import (
	"math"
	"slices"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
)

// Places of the sample's states.
const (
	sampleTool = iota
	sampleReading
	sampleDisturbance
)

// at is where the sample model comes to rest under heat q, W.
func rest(q float64) float64 { return (2e-5*q*566 + 0.015*20) / (2e-5*q + 0.015) }

var steady = []float64{6000 + 33.5*350*math.Pi/30, 350, 500, 300}

// staying is the scenario in which the inputs are u from now on.
func staying(u []float64) Scenario {
	return Scenario{Way: Held, Inputs: func(dst []float64, _ float64) { copy(dst, u) }}
}

func TestScalarUpdate(t *testing.T) {
	// Prior variance 3, measurement variance 1: gain 3/4, posterior 3/4. A state correlated by 2
	// with the reading moves by 2/4 of the innovation and keeps 5 − 2·2/4 = 4.
	x := []float64{100, 100}
	p := []float64{5, 2, 2, 3}
	Update(p, x, 2, 1, 8, 3+1, make([]float64, 2))
	if x[1] != 106 || x[0] != 104 || p[3] != 0.75 || p[0] != 4 || p[1] != 0.5 || p[2] != 0.5 {
		t.Errorf("x %v, p %v", x, p)
	}
}

// A random walk with process variance q per step and measurement variance r has the steady
// posterior variance (−q + √(q² + 4·q·r))/2.
func TestSteadyVarianceIsRiccati(t *testing.T) {
	m := &model.Model{
		Format: model.Format, Version: model.Version,
		Inputs:     []model.Input{{Name: "x", Symbol: "x", Unit: "1", Max: 1}},
		Outputs:    []model.Output{{Name: "y", State: "y", Unit: "1", SD: 0.8, Max: 200}},
		Parameters: []model.Parameter{{Name: "one", Value: 1, Unit: "1/s", Min: 1, Max: 1, Fixed: true}},
		States:     []model.State{{Name: "y", Symbol: "y", Unit: "1", Start: "reading", StartSD: 1, Noise: 0.6}},
		Terms:      []model.Term{{State: "y", Name: "in", Expression: "one*x", Sign: 1, Coefficient: 1, Unit: "1", Fixed: true}},
	}
	e := New(m)
	var est Estimate
	for range 2000 {
		e.Step(&est, 0.5, []float64{0}, []float64{100})
	}
	q, r := 0.36*0.5, 0.64
	want := math.Sqrt((-q + math.Sqrt(q*q+4*q*r)) / 2)
	if math.Abs(est.SD[0]-want) > 1e-6 {
		t.Errorf("sd %g, want %g", est.SD[0], want)
	}
}

func TestRestsWhereHeatAndLossBalance(t *testing.T) {
	e := New(sample())
	var est Estimate
	want := rest(6000)
	e.Step(&est, 0, steady, []float64{300})
	for range 1200 {
		e.Step(&est, 1, steady, []float64{math.NaN()})
	}
	if math.Abs(est.X[sampleTool]-want) > 0.01 || math.Abs(est.X[sampleReading]-want) > 0.01 {
		t.Errorf("rests at %.3f and reads %.3f, want %.3f", est.X[sampleTool], est.X[sampleReading], want)
	}
}

// However time is cut, the same time passes.
func TestStepsAddUp(t *testing.T) {
	var want float64
	for i, dt := range []float64{0.02, 0.1, 1, 7, 60} {
		e := New(sample())
		var est Estimate
		e.Step(&est, 0, steady, []float64{300})
		for range int(math.Round(60 * 7 / dt)) {
			e.Step(&est, dt, steady, []float64{math.NaN()})
		}
		if i == 0 {
			want = est.X[model.StateTool]
		}
		if math.Abs(est.X[model.StateTool]-want) > 0.5 {
			t.Errorf("dt %g: %.3f, want %.3f", dt, est.X[model.StateTool], want)
		}
	}
}

// Inputs act after the dead time: not before, and then at once.
func TestDeadTime(t *testing.T) {
	for _, dt := range []float64{0.01, 0.1, 0.25} {
		e := New(sample())
		var est Estimate
		idle := []float64{0, 0, 0, 0}
		e.Step(&est, 0, idle, []float64{20})
		clear(e.p)
		moved := math.NaN()
		nan := []float64{math.NaN()}
		e.Step(&est, 5, idle, nan)
		for now := 0.0; now < 3; now += dt {
			e.Step(&est, dt, steady, nan)
			if est.X[model.StateTool] > 20.01 {
				moved = now // the new inputs have been in force for this long
				break
			}
		}
		if !(moved >= 1-0.05 && moved <= 1+dt+0.1) {
			t.Errorf("dt %g: moves %.3f s after the inputs, want 1 s", dt, moved)
		}
	}
}

func TestGateRejectsASpikeAndFollowsAStep(t *testing.T) {
	e := New(sample())
	var est Estimate
	level := rest(6000)
	for range 60 {
		e.Step(&est, 1, steady, []float64{level})
	}
	before := est.X[model.StateTool]
	e.Step(&est, 1, steady, []float64{level + 300})
	if !est.Rejected[0] || est.Ratio[0] <= 1 || math.Abs(est.X[model.StateTool]-before) > 1 {
		t.Errorf("spike: rejected %v, ratio %.2f, moved by %.2f", est.Rejected[0], est.Ratio[0], est.X[model.StateTool]-before)
	}
	if math.Abs(est.Innov[0]-300) > 1 {
		t.Errorf("innovation %.2f of a spike of 300", est.Innov[0])
	}
	e.Step(&est, 1, steady, []float64{level})
	if est.Rejected[0] {
		t.Error("the reading after the spike is rejected too")
	}
	for i := range 5 {
		e.Step(&est, 1, steady, []float64{level - 150})
		if i == 0 && !est.Rejected[0] {
			t.Error("a step of 150 °C in one second is taken at once")
		}
	}
	if est.Rejected[0] || math.Abs(est.X[sampleReading]-(level-150)) > 10 {
		t.Errorf("5 s after a real step: %.1f, rejected %v, want about %.1f", est.X[sampleReading], est.Rejected[0], level-150)
	}
}

func TestBlind(t *testing.T) {
	e := New(sample())
	var est Estimate
	nan := []float64{math.NaN()}
	e.Step(&est, 1, steady, nan)
	if !est.Blind || !math.IsNaN(est.X[model.StateTool]) {
		t.Error("not blind before the first measurement")
	}
	e.Step(&est, 1, steady, []float64{400})
	if est.Blind {
		t.Error("blind with a measurement")
	}
	sd := est.SD[model.StateTool]
	for i := range 31 {
		e.Step(&est, 1, steady, nan)
		if est.Blind != (i+1 > 30) {
			t.Fatalf("%d s without a measurement: blind %v", i+1, est.Blind)
		}
		if !math.IsNaN(est.Innov[0]) || est.Rejected[0] {
			t.Fatal("a missing measurement has a verdict")
		}
	}
	if est.SD[model.StateTool] <= sd {
		t.Error("the uncertainty does not grow while blind")
	}
	e.Step(&est, 1, steady, []float64{400})
	if est.Blind {
		t.Error("still blind after a measurement")
	}
	gone := slices.Clone(steady)
	gone[1] = math.NaN()
	for i := range 7 {
		e.Step(&est, 1, gone, []float64{400})
		if est.Blind != (i+1 > 5) {
			t.Fatalf("input missing for %d s: blind %v", i+1, est.Blind)
		}
		if !slices.Equal(est.Missing, []string{model.SpindleSpeed}) {
			t.Fatalf("missing inputs %v", est.Missing)
		}
	}
}

func TestOutside(t *testing.T) {
	e := New(sample())
	var est Estimate
	fast := slices.Clone(steady)
	fast[2] = 1099 // within 10 % of the range beyond its end
	e.Step(&est, 1, fast, []float64{400})
	if len(est.Outside) != 0 {
		t.Errorf("outside: %v", est.Outside)
	}
	fast[2] = 1101
	e.Step(&est, 1, fast, []float64{400})
	if !slices.Equal(est.Outside, []string{model.PathVelocity}) {
		t.Errorf("outside: %v", est.Outside)
	}
	e.Reset()
	e.Step(&est, 1, steady, []float64{560})
	if !slices.Equal(est.Outside, []string{model.ToolTemperature}) {
		t.Errorf("outside: %v", est.Outside)
	}
}

func TestOddStepsAreHarmless(t *testing.T) {
	e := New(sample())
	var est Estimate
	fc := Forecast{Horizon: horizons}
	inf := math.Inf(1)
	for _, dt := range []float64{0, -1, math.NaN(), 1e-9, 0.02, 60, 61, 1e9, inf} {
		for _, u := range [][]float64{steady, {inf, -inf, math.NaN(), 1e300}, {-5000, -450, -1, -1}} {
			for _, z := range []float64{400, math.NaN(), inf, -2} {
				e.Step(&est, dt, u, []float64{z})
				e.Ahead(&fc, staying(u))
			}
		}
	}
	for range 10 {
		e.Step(&est, 1, steady, []float64{400})
	}
	e.Ahead(&fc, staying(steady))
	if est.Blind || !num.Finite(est.X...) || !num.Finite(fc.Outputs[0].Mean...) || !num.Finite(fc.Outputs[0].SD...) || est.Rejected[0] {
		t.Errorf("does not recover: %+v %+v", est, fc)
	}
}

func TestForecast(t *testing.T) {
	e := New(sample())
	var est Estimate
	fc := Forecast{Horizon: horizons}
	e.Ahead(&fc, staying(steady))
	if !math.IsNaN(fc.Outputs[0].Mean[0]) {
		t.Error("a forecast before the first measurement")
	}
	level := rest(6000)
	for range 120 {
		e.Step(&est, 1, steady, []float64{level})
	}
	e.Ahead(&fc, staying(steady))
	for i := range horizons {
		if math.Abs(fc.Outputs[0].Mean[i]-level) > 0.2 {
			t.Errorf("at rest: %.2f in %g s, want %.2f", fc.Outputs[0].Mean[i], horizons[i], level)
		}
		if i > 0 && fc.Outputs[0].SD[i] <= fc.Outputs[0].SD[i-1] {
			t.Errorf("uncertainty falls: %v", fc.Outputs[0].SD)
		}
	}
	want := slices.Clone(fc.Outputs[0].Mean)
	e.Ahead(&fc, Scenario{Way: Held})
	if !slices.Equal(fc.Outputs[0].Mean, want) {
		t.Error("nil inputs are not the last ones")
	}
	e.Ahead(&fc, staying([]float64{0, 0, 0, 0}))
	if fc.Outputs[0].Mean[0] < level-1 || fc.Outputs[0].Mean[4] > level-200 {
		t.Errorf("power off: %v", fc.Outputs[0].Mean)
	}
	narrow := fc.Outputs[0].SD[2]
	one := model.SideScale{Lower: 4, Upper: 4}
	e.intervals[0] = []model.Interval95{
		{Horizon: 1, Known: one, Held: one, Plan: one},
		{Horizon: 10, Known: one, Held: model.SideScale{Lower: 4, Upper: 2}, Plan: one},
		{Horizon: 60, Known: one, Held: model.SideScale{Lower: 5, Upper: 2}, Plan: one},
	}
	e.Ahead(&fc, staying([]float64{0, 0, 0, 0}))
	if half := num.Sigma95 * narrow; math.Abs(fc.Outputs[0].SD[2]-3*narrow) > 1e-9 || math.Abs(fc.Outputs[0].Mean[2]-fc.Outputs[0].Lower[2]-4*half) > 1e-9 || math.Abs(fc.Outputs[0].Upper[2]-fc.Outputs[0].Mean[2]-2*half) > 1e-9 {
		t.Errorf("spread of 4 and 2 turns %g into %g", narrow, fc.Outputs[0].SD[2])
	}
}

func TestTickDoesNotAllocate(t *testing.T) {
	e := New(sample())
	var est Estimate
	fc := Forecast{Horizon: horizons}
	z := []float64{400}
	nan := []float64{math.NaN()}
	gone := []float64{math.NaN(), 0, 9e9, 0}
	here, there := staying(steady), staying(gone)
	e.Step(&est, 0.1, gone, z)
	e.Ahead(&fc, here)
	if n := testing.AllocsPerRun(1000, func() {
		e.Step(&est, 0.1, steady, z)
		e.Ahead(&fc, here)
		e.Step(&est, 0.1, gone, nan)
		e.Ahead(&fc, there)
	}); n != 0 {
		t.Errorf("%v allocations per tick", n)
	}
}

func TestWrongLengthsPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var est Estimate
	New(sample()).Step(&est, 1, steady[:2], []float64{400})
}

// BenchmarkTick: step and 60 s forecast with intervals, budget 100 µs and 0 allocations.
func BenchmarkTick(b *testing.B) {
	e := New(sample())
	var est Estimate
	fc := Forecast{Horizon: horizons}
	z := []float64{400}
	b.ReportAllocs()
	for b.Loop() {
		e.Step(&est, 0.1, steady, z)
		e.Ahead(&fc, Scenario{Way: Held})
	}
}

// The parts of a forecast and of an innovation add up.
func TestAttribution(t *testing.T) {
	e := New(sample())
	var est Estimate
	level := rest(6000)
	for i := range 60 {
		e.Step(&est, 1, steady, []float64{level + float64(i%3)})
	}
	var all []Attribution
	fc := Forecast{Horizon: []float64{30}}
	off := []float64{0, 0, 0, 0}
	e.Ahead(&fc, staying(off))
	all = e.attribute(all, 30, staying(off), nil)
	a := &all[0]
	sum := 0.0
	parts := map[string]float64{}
	for i, p := range a.Part {
		sum += p
		parts[a.Term[i]] = p
	}
	if math.Abs(sum-a.Total) > 1e-9 || math.Abs(est.X[sampleReading]+a.Total-fc.Outputs[0].Mean[0]) > 1e-9 || !(a.Total < -100) {
		t.Errorf("%v: sum %g, total %g, forecast %g from %g", a, sum, a.Total, fc.Outputs[0].Mean[0], est.X[sampleReading])
	}
	if parts["loss"] >= 0 || parts["heat"] < 0 {
		t.Errorf("parts %v", parts)
	}
	e.Ahead(&fc, Scenario{Way: Held})
	all = e.attribute(all, 30, Scenario{Way: Held}, nil)
	if math.Abs(est.X[sampleReading]+a.Total-fc.Outputs[0].Mean[0]) > 1e-9 {
		t.Errorf("total %g, forecast %g from %g", a.Total, fc.Outputs[0].Mean[0], est.X[sampleReading])
	}
	e.Step(&est, 1, steady, []float64{level + 5})
	all = e.AttributeInnovation(all)
	sum = 0
	for _, p := range a.Part {
		sum += p
	}
	if math.Abs(sum-a.Total) > 1e-9 || a.Total == 0 {
		t.Errorf("innovation: %v, sum %g", a, sum)
	}
	if n := testing.AllocsPerRun(100, func() { all = e.AttributeInnovation(e.attribute(all, 60, Scenario{Way: Held}, nil)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Intervals widen with the smoothed NIS, not by one spike, and a new start knows nothing of the last.
func TestSmoothedNIS(t *testing.T) {
	m := sample()
	side := model.SideScale{Lower: 1, Upper: 1, NIS: 0.75}
	m.Intervals = []model.Interval95{{Horizon: 1, Known: side, Held: side, Plan: side}}
	e := New(m)
	var est Estimate
	fc := Forecast{Horizon: []float64{1}}
	u := make([]float64, len(m.Inputs))
	for i := range m.Inputs {
		u[i] = (m.Inputs[i].Min + m.Inputs[i].Max) / 2
	}
	width := func() float64 {
		e.Ahead(&fc, Scenario{Way: Held})
		return fc.Outputs[0].Upper[0] - fc.Outputs[0].Lower[0]
	}
	step := func(z float64) { e.Step(&est, 1, u, []float64{z}) }
	follow := func(n int) { // as the model expects
		for range n {
			e.Step(&est, 1, u, []float64{math.NaN()})
			step(est.X[e.s.Out[0]])
		}
	}
	step(300)
	if e.nis[0] != 1 {
		t.Errorf("NIS %g at the first reading, want 1", e.nis[0])
	}
	follow(60)
	calm := width()
	step(est.X[e.s.Out[0]] + 500)
	if !est.Rejected[0] || width() > 3*calm {
		t.Errorf("one spike (rejected: %v) widens the interval from %g to %g °C", est.Rejected[0], calm, width())
	}
	for range 6 {
		step(est.X[e.s.Out[0]] + 200)
	}
	if width() < 3*calm {
		t.Errorf("a hard start leaves the interval at %g °C, %g while calm", width(), calm)
	}
	for range 50 { // blind
		step(math.NaN())
	}
	step(250)
	if e.nis[0] != 1 {
		t.Errorf("NIS %g at a new start, want 1", e.nis[0])
	}
}
