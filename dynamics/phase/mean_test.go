package phase

import (
	"math"
	"testing"
)

func TestMean(t *testing.T) {
	var m Mean
	first := 0
	for i := 1; i <= 400; i++ {
		told := m.Step(0.5, Deposit, 300+20*math.Sin(2*math.Pi*float64(i)/2/40))
		if told && first == 0 {
			first = i
		}
		if told && math.Abs(m.Value-300) > 6 {
			t.Fatalf("after %g s a lap moves the mean to %g", float64(i)/2, m.Value)
		}
	}
	if first != 80 {
		t.Errorf("told after %g s", float64(first)/2)
	}
	if m.Step(1, Deposit, math.NaN()) {
		t.Error("an unknown value says something")
	}
	if m.Step(1, Prime, 200) || m.Value != 200 {
		t.Errorf("another phase begins with %g", m.Value)
	}
}
