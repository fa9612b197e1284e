package filter

import (
	"math"
	"math/rand/v2"
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
