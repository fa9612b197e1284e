package twin

import (
	"math"
	"testing"
)

// A quiet copy goes on as the machine does that has no disturbances, through changes of the program, and leaves the machine that it was made of as it is.
func TestAQuietCopyGoesOnAlone(t *testing.T) {
	p, err := Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	still := *p
	still.Noise.Fast, still.Noise.Slow, still.Noise.Torque, still.Thermo.Std = 0, 0, 0, 0
	for name, p := range map[string]*Params{"still": &still, "disturbed": p} {
		build := RandomBuild(p, 5, false)
		build.Interval = 1
		machine := func() *Machine {
			m, err := New(build)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		alone, asked := machine(), machine()
		var copied Machine
		var a, b Row
		said := map[int]float64{} // by row: what the copy made 20 rows before came to
		for row := range 600 {
			if !alone.Step(&a) || !asked.Step(&b) {
				t.Fatal("the build ended")
			}
			if a.ToolTemp != b.ToolTemp || a.RPM != b.RPM || a.Torque != b.Torque {
				t.Fatalf("%s: after %d s %+v, where nothing was asked %+v", name, row, b, a)
			}
			if want, is := said[row]; is && name == "still" && math.Abs(want-a.ToolTemp) > 0.1+p.Thermo.Step {
				t.Fatalf("after %d s %g °C, the copy came to %g", row, a.ToolTemp, want)
			}
			if row%25 == 0 {
				asked.Quiet(&copied)
				copied.Advance(20)
				said[row+20] = copied.Reading()
				if name == "disturbed" { // what is done to the copy is not done to the machine
					_ = copied.Do(Code{Name: "M05"})
					copied.Advance(30)
				}
			}
		}
	}
}
