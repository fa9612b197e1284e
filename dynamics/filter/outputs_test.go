package filter

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"stirwatch/dynamics/model"
)

// Places of the states that several adds to the sample.
const (
	severalBuild = iota + 3
	severalBuildReading
	severalWear
)

// several is the sample with a build that takes heat from the tool and has a thermocouple of its own, and a
// wear that is measured in per cent.
func several() *model.Model {
	m := sample()
	m.States = append(m.States,
		model.State{Name: "build temperature", Symbol: "B", Unit: "°C", Start: "Ta", StartSD: 20, Noise: 0.5},
		model.State{Name: "build thermocouple", Symbol: "S", Unit: "°C", Start: "Ta", StartSD: 20},
		model.State{Name: "wear", Symbol: "W", Unit: "%", Start: "0", StartSD: 30, Noise: 0.1})
	m.Terms = append(m.Terms,
		model.Term{State: "T", Name: "to build", Expression: "T - B", Sign: -1, Coefficient: 0.01, Unit: "1/s"},
		model.Term{State: "B", Name: "from tool", Expression: "T - B", Sign: 1, Coefficient: 0.005, Unit: "1/s"},
		model.Term{State: "S", Name: "lag", Expression: "(B - S)/lag", Sign: 1, Coefficient: 1, Unit: "1", Fixed: true},
		model.Term{State: "W", Name: "healing", Expression: "W", Sign: -1, Coefficient: 1e-5, Unit: "1/s"})
	m.Outputs = append(m.Outputs,
		model.Output{Name: "build temperature", State: "S", Unit: "°C", SD: 0.5, Min: 18, Max: 400},
		model.Output{Name: "wear", State: "W", Unit: "%", SD: 1, Min: 0, Max: 100})
	return m
}

var severalTruth = []float64{420, 210, 60} // readings by output

// Each output starts its own states and no others, whatever comes first and however long the rest is
// missing; none of the states is ever far from what is measured.
func TestOutputsStartTheirStatesInAnyOrder(t *testing.T) {
	nan := math.NaN()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		from := make([]int, 3) // first step in which each output is there
		for o := range from {
			if rng.IntN(3) > 0 {
				from[o] = rng.IntN(80)
			}
		}
		e := New(several())
		var est Estimate
		z := make([]float64, 3)
		for i := range 100 {
			for o := range z {
				if z[o] = nan; i >= from[o] {
					z[o] = severalTruth[o]
				}
			}
			e.Step(&est, 1, steady, z)
			if started := i >= from[0]; started == est.Blind || started == math.IsNaN(est.X[sampleTool]) {
				t.Fatalf("from %v, step %d: blind %v, tool %g", from, i, est.Blind, est.X[sampleTool])
			}
			if est.Blind {
				continue
			}
			for _, s := range []struct{ state, output int }{{sampleTool, 0}, {sampleReading, 0}, {severalBuild, 1}, {severalBuildReading, 1}, {severalWear, 2}} {
				if off := math.Abs(est.X[s.state] - severalTruth[s.output]); i >= from[s.output] && off > 25 {
					t.Fatalf("from %v, step %d: state %d is %g, %g is measured", from, i, s.state, est.X[s.state], severalTruth[s.output])
				}
			}
			if x := est.X[sampleTool]; x < 380 || x > 460 {
				t.Fatalf("from %v, step %d: the tool is at %g", from, i, x)
			}
			if est.Rejected[0] {
				t.Fatalf("from %v, step %d: the tool's thermocouple is not believed (innovation %g)", from, i, est.Innov[0])
			}
		}
	}
}

// An output that was missing for long starts its own states anew; the others go on as they were.
func TestAnOutputThatWasMissingForLong(t *testing.T) {
	nan := math.NaN()
	e := New(several())
	var est, before Estimate
	for range 60 {
		e.Step(&est, 1, steady, severalTruth)
	}
	for range 100 {
		e.Step(&est, 1, steady, []float64{severalTruth[0], nan, severalTruth[2]})
	}
	est.CopyTo(&before)
	if before.Blind || before.SD[severalBuild] < 2 {
		t.Errorf("blind %v, the build is known to %g K", before.Blind, before.SD[severalBuild])
	}
	e.Step(&est, 0, steady, []float64{nan, 90, nan})
	if math.Abs(est.X[severalBuild]-90) > 1 || math.Abs(est.X[severalBuildReading]-90) > 1 || est.Rejected[1] {
		t.Errorf("the build reads 90 after 100 s without a reading: %g and %g", est.X[severalBuild], est.X[severalBuildReading])
	}
	for _, state := range []int{sampleTool, sampleReading, severalWear} {
		if est.X[state] != before.X[state] || est.SD[state] != before.SD[state] {
			t.Errorf("state %d goes from %g ± %g to %g ± %g by a reading of the build", state, before.X[state], before.SD[state], est.X[state], est.SD[state])
		}
	}

	for i := range 100 {
		e.Step(&est, 1, steady, []float64{nan, severalTruth[1], severalTruth[2]})
		if est.Blind != (i+1 > 30) {
			t.Fatalf("%d s without the tool's thermocouple: blind %v", i+1, est.Blind)
		}
	}
	est.CopyTo(&before)
	e.Step(&est, 0, steady, []float64{300, nan, nan})
	if est.Blind || math.Abs(est.X[sampleTool]-300) > 1 || math.Abs(est.X[sampleReading]-300) > 1 {
		t.Errorf("the tool reads 300 after 100 s without a reading: %g, blind %v", est.X[sampleTool], est.Blind)
	}
	if est.X[severalBuildReading] != before.X[severalBuildReading] {
		t.Errorf("the build goes from %g to %g by a reading of the tool", before.X[severalBuildReading], est.X[severalBuildReading])
	}
}

// Two thermocouples of one place: either keeps it known.
func TestTwoOutputsOfOneState(t *testing.T) {
	m := sample()
	m.Outputs = append(m.Outputs, model.Output{Name: "second thermocouple", State: "R", Unit: "°C", SD: 0.2, Min: 18, Max: 500})
	e := New(m)
	var est Estimate
	nan := math.NaN()
	e.Step(&est, 1, steady, []float64{400, nan})
	for i := range 100 {
		e.Step(&est, 1, steady, []float64{nan, 400})
		if est.Blind || math.Abs(est.X[sampleReading]-400) > 3 {
			t.Fatalf("%d s by the second alone: blind %v, %g", i, est.Blind, est.X[sampleReading])
		}
	}
	disturbance := est.X[sampleDisturbance]
	e.Step(&est, 0, steady, []float64{400, nan})
	if math.Abs(est.X[sampleDisturbance]-disturbance) > 0.1*math.Abs(disturbance)+0.01 {
		t.Errorf("the first is back: the disturbance goes from %g to %g", disturbance, est.X[sampleDisturbance])
	}
}

// The order in which a document lists its outputs changes no number of any: not a bit of it.
func TestOrderOfOutputsChangesNothing(t *testing.T) {
	m, turned := several(), several()
	m.Leading, turned.Leading = m.Outputs[0].Name, m.Outputs[0].Name
	place := []int{2, 0, 1} // of each output in turned
	for o, out := range m.Outputs {
		turned.Outputs[place[o]] = out
	}
	rng := rand.New(rand.NewPCG(7, 1))
	a, b := New(m), New(turned)
	var x, y Estimate
	fx, fy := Forecast{Horizon: horizons}, Forecast{Horizon: horizons}
	var wx, wy []Attribution
	z, other := make([]float64, 3), make([]float64, 3)
	for i := range 300 {
		for o := range z {
			z[o] = severalTruth[o] + 3*rng.NormFloat64()
			if rng.IntN(4) == 0 {
				z[o] = math.NaN()
			}
			if rng.IntN(40) == 0 {
				z[o] += 300 // rejected by its gate
			}
			other[place[o]] = z[o]
		}
		a.Step(&x, 1, steady, z)
		b.Step(&y, 1, steady, other)
		if !same(x.X, y.X) || !same(x.SD, y.SD) || x.Blind != y.Blind {
			t.Fatalf("step %d:\n%+v\n%+v", i, x, y)
		}
		a.Ahead(&fx, staying(steady))
		b.Ahead(&fy, staying(steady))
		wx, wy = a.attribute(wx, 30, staying(steady), nil), b.attribute(wy, 30, staying(steady), nil)
		for o := range z {
			p, q := &fx.Outputs[o], &fy.Outputs[place[o]]
			if !same(p.Mean, q.Mean) || !same(p.Lower, q.Lower) || !same(p.Upper, q.Upper) || !same([]float64{p.NIS}, []float64{q.NIS}) {
				t.Fatalf("step %d, %s:\n%+v\n%+v", i, m.Outputs[o].Name, p, q)
			}
			if !same(wx[o].Part, wy[place[o]].Part) || !same([]float64{wx[o].Total}, []float64{wy[place[o]].Total}) {
				t.Fatalf("step %d, %s:\n%+v\n%+v", i, m.Outputs[o].Name, wx[o], wy[place[o]])
			}
		}
	}
	if math.IsNaN(fx.Outputs[1].Mean[4]) || !(fx.Outputs[1].Upper[4] > fx.Outputs[1].Lower[4]) {
		t.Errorf("no forecast of the build: %+v", fx.Outputs[1])
	}
}

// Every output is split over the terms of the state that it is about, and the parts are the whole.
func TestEveryOutputIsAttributed(t *testing.T) {
	e := New(several())
	var est Estimate
	for range 200 {
		e.Step(&est, 1, steady, severalTruth)
	}
	fc := Forecast{Horizon: []float64{30}}
	e.Ahead(&fc, staying(steady))
	all := e.attribute(nil, 30, staying(steady), nil)
	for o, want := range [][]string{nil, {"from tool", lagPart}, {"healing"}} {
		a, sum := &all[o], 0.0
		for _, p := range a.Part {
			sum += p
		}
		if want != nil && !slices.Equal(a.Term, want) {
			t.Errorf("%v, want %v", a.Term, want)
		}
		if shown := e.Reading(o) + a.Total; math.Abs(shown-fc.Outputs[o].Mean[0]) > 1e-9 || math.Abs(sum-a.Total) > 1e-9 || a.Total == 0 {
			t.Errorf("output %d: %+v adds up to %g, the forecast is %g", o, a, sum, fc.Outputs[o].Mean[0])
		}
	}
	e.Step(&est, 1, steady, []float64{severalTruth[0], severalTruth[1] + 2, severalTruth[2]})
	for o, a := range e.AttributeInnovation(all) {
		sum := 0.0
		for _, p := range a.Part {
			sum += p
		}
		if math.IsNaN(a.Total) || math.Abs(sum-a.Total) > 1e-9 {
			t.Errorf("output %d: %+v adds up to %g", o, a, sum)
		}
	}
}

// same tells that two slices hold the same bits.
func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
}

func TestSeveralOutputsDoNotAllocate(t *testing.T) {
	e, fc, sc := New(several()), Forecast{Horizon: horizons}, staying(steady)
	var est Estimate
	var why, blame []Attribution
	step := func() {
		e.Step(&est, 1, steady, severalTruth)
		e.Ahead(&fc, sc)
		why = e.attribute(why, 30, Scenario{Way: Held}, nil)
		blame = e.AttributeInnovation(blame)
	}
	for range 5 {
		step()
	}
	if n := testing.AllocsPerRun(50, step); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
