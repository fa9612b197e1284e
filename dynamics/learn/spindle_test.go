package learn

import (
	"math"
	"slices"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/runs"
)

// build is a run of a machine whose torques are by a size those of the default: a spindle that turns freely, a start, a deposition.
func build(size float64) runs.Run {
	r := runs.Run{Name: "build", Inputs: ofPlans, U: make([][]float64, len(ofPlans)), Z: make([][]float64, 1)}
	row := func(speed, torque, path, tool float64) {
		values := map[string]float64{model.SpindleSpeed: speed, model.SpindlePower: speed * math.Pi / 30 * size * torque, model.PathVelocity: path, model.FeedVelocity: path / 2}
		for k, name := range ofPlans {
			r.U[k] = append(r.U[k], values[name])
		}
		r.Z[0] = append(r.Z[0], tool)
		r.Time = append(r.Time, float64(len(r.Time)))
	}
	for range 40 {
		row(400, 33.5, 0, 21)
	}
	for i := range 30 {
		row(380, 170, 0, 21+14*float64(i))
	}
	for i := range 300 {
		row(400+5*math.Cos(float64(i)/10), 150, 700, 450+5*math.Sin(float64(i)/10))
	}
	return r
}

// The rule of a machine of another size is learned through all that `learn` does to a run before it fits, and contact in the runs is
// told by it; the like of the default's has none.
func TestRuleOfTheSpindleIsLearned(t *testing.T) {
	for _, size := range []float64{0.2, 0.4, 1, 1.3, 2.5, 5} {
		a, b := build(size), build(size)
		b.Z[0][0]++ // another recording
		p, err := prepare([]runs.Run{a, b}, Options{Inputs: ofPlans})
		if err != nil {
			t.Fatal(err)
		}
		if like := size > 0.5 && size < 2; like != (p.spindle == nil) {
			t.Errorf("size %g: rule %+v", size, p.spindle)
		} else if !like && (math.Abs(p.spindle.FreeTorque/phase.DefaultContactRule.FreeTorque/size-1) > 0.05 || math.Abs(p.spindle.Size()/size-1) > 0.05) {
			t.Errorf("size %g: rule %+v, of size %.2f", size, p.spindle, p.spindle.Size())
		}
		drag := p.draft.ParameterNamed("drag") // what it takes is no heat: with another machine's, a small one would heat nothing
		if like := p.spindle == nil; like && (drag.Min != 25 || drag.Max != 38 || drag.Value != 26 || drag.Prior == nil) {
			t.Errorf("size %g: drag %+v", size, *drag)
		} else if !like && (drag.Min != 0 || math.Abs(drag.Value/(26*size)-1) > 0.05 || math.Abs(drag.Max/(38*size)-1) > 0.05 || drag.Prior != nil) {
			t.Errorf("size %g: drag %+v", size, *drag)
		}
		if times := p.h.Plan.Free / 3.5; p.spindle == nil && times != 1 || p.spindle != nil && math.Abs(times/size-1) > 0.05 {
			t.Errorf("size %g: a plan's free spin takes %g W per rpm", size, p.h.Plan.Free) // a plan that lifts off would heat a small tool by it
		}
		if math.Abs(p.start/(170*size)-1) > 0.05 {
			t.Errorf("size %g: a start takes %g N·m", size, p.start)
		}
		for i := range p.runs {
			r := p.runs[i]
			k := -1
			for j, name := range r.Inputs {
				if name == model.Contact {
					k = j
				}
			}
			if k < 0 {
				t.Fatalf("size %g: no contact among %v", size, r.Inputs)
			}
			if on := r.U[k][len(r.U[k])-10]; on != 1 {
				t.Errorf("size %g: contact of %g in deposition", size, on)
			}
		}
	}
}

// Whichever of the recordings of one machine are learned from, its spindle is the like of the default's: also by 20250707151600
// alone, in which the tool travels only after it has let go.
func TestRuleOfTheRecordings(t *testing.T) {
	a, b, c := recording(t, "20250707144618"), recording(t, "20250707151600"), recording(t, "20250708104310")
	for _, some := range [][]runs.Run{{*b}, {*c}, {*a, *b}, {*a, *c}, {*b, *c}, {*a, *b, *c}} {
		p, err := prepare(some, Options{Inputs: testInputs})
		if err != nil {
			t.Fatal(err)
		}
		if p.spindle != nil {
			t.Errorf("%d recordings, %s first: %+v, size %.2f", len(some), some[0].Name, *p.spindle, p.spindle.Size())
		}
	}
}

// One hard start among three runs is no measure of a good one, and a run that began hot has none.
func TestStartIsThatOfTheMiddleRun(t *testing.T) {
	good, hard, hot := build(1), build(1), build(1)
	for i := 40; i < 70; i++ {
		hard.U[slices.Index(ofPlans, model.SpindlePower)][i] *= 3
	}
	for i := range hot.Z[0] {
		hot.Z[0][i] = max(hot.Z[0][i], 200)
	}
	for _, r := range []*runs.Run{&good, &hard, &hot} {
		r.Outputs = []string{model.ToolTemperature}
	}
	for _, some := range [][]runs.Run{{good, hard, good}, {hard, good}, {good, hot}} {
		if _, start := learnSpindle(some); math.Abs(start-170) > 8 {
			t.Errorf("a start takes %g N·m", start)
		}
	}
	if _, start := learnSpindle([]runs.Run{hot}); start != 0 {
		t.Errorf("of a run that began hot: %g N·m", start)
	}
}
