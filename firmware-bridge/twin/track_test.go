package twin

import (
	"context"
	"math"
	"strings"
	"testing"
)

// A program of X, Y and Z is driven: its lines are shown while they run, layers rise with the tool on the
// deposit, and the end leaves it.
func TestProgramOfMoves(t *testing.T) {
	program, err := ParseProgram(`N1 (START)
N2 M60
N3 G54 G90
N4 G710
N5 /0 M34 S4000
N6 M40 S3
N7 M06 S300
N8 G4 P40
N9 M41 S465
N10 G1 X40 Y-70 Z2 F900
N11 Y70
N12 X-40
N13 G1 Z4
N14 M34 S3600
N15 G3 X40 Y70 R40
N16 M35
N17 M05
N18 G0 Z200
N19 M30
`)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[int]int{} // rows in which each is shown
	var high float64
	lifted := false
	err = Simulate(context.Background(), Config{Seed: 1, Program: program}, func(m *Machine, r *Row) error {
		lines[r.Line]++
		if r.Line == 11 && r.PathVel > 1 && (math.Abs(r.X-40) > 0.1 || r.YVel < 0) {
			t.Errorf("in line 11 at %.1f %.1f", r.X, r.Y)
		}
		if r.Line == 15 {
			high = r.Z
			if !r.True.Engaged {
				t.Error("a layer leaves the deposit")
			}
			if math.Abs(r.FeedVel-360) > 15 {
				t.Errorf("feed %.0f mm/min in line 15", r.FeedVel)
			}
			if d := math.Hypot(r.X, r.Y-70); math.Abs(d-40) > 0.5 {
				t.Errorf("%.1f mm from the centre of the arc", d)
			}
		}
		lifted = lifted || !r.True.Engaged && r.Z > 100
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for line, seconds := range map[int]float64{8: 40, 11: 140 / 15.0, 12: 80 / 15.0, 15: math.Pi * 40 / 15} {
		if math.Abs(float64(lines[line])-seconds) > 2 {
			t.Errorf("line %d is shown for %d s, want %.0f", line, lines[line], seconds)
		}
	}
	if math.Abs(high-4) > 0.05 || !lifted {
		t.Errorf("the second layer is at %g mm; lifted at the end: %v", high, lifted)
	}
	for text, want := range map[string]string{
		"G1 X5":                "needs F",
		"G1 X5 F100\nG33 X7":   "G33 is not known",
		"G1 X5 F100 M41 S475":  "takes no M-code",
		"G1 X5 F100\nG1 X7 Q3": "Q words",
		"M99":                  "M99 is not known",
	} {
		if _, err := ParseProgram(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
