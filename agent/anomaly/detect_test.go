package anomaly

import (
	"math"
	"testing"
)

func TestDetectorDelays(t *testing.T) {
	d := NewDetector(1, 2, 5)
	step := func(score float64, n int) (last Change) {
		for range n {
			last = d.Step(0.5, score)
		}
		return last
	}
	if step(0.5, 100) != Unchanged || d.Anomaly().Active {
		t.Error("raised without cause")
	}
	if step(4, 3) != Unchanged {
		t.Error("raised after 1.5 s, on-delay is 2 s")
	}
	step(0.5, 1) // an interruption starts the delay anew
	if step(4, 3) != Unchanged || step(3, 1) != Raised {
		t.Error("not raised at 2 s")
	}
	a := d.Anomaly()
	if !a.Active || a.Since != 2 || a.Score != 4 || a.Limit != 1 {
		t.Errorf("anomaly %+v", a)
	}
	if step(0.5, 9) != Unchanged || step(7, 1) != Unchanged || step(0.5, 9) != Unchanged || !d.Anomaly().Active {
		t.Error("cleared before 5 s without interruption")
	}
	if step(0.5, 1) != Cleared || d.Anomaly().Active || d.Anomaly().Score != 7 {
		t.Errorf("not cleared at 5 s: %+v", d.Anomaly())
	}
	if step(2, 3) != Unchanged || step(2, 1) != Raised || d.Anomaly().Score != 2 {
		t.Errorf("second time: %+v", d.Anomaly())
	}
}

func TestDetectorWithoutDelay(t *testing.T) {
	d := NewDetector(0.5, 0, 0)
	if d.Step(0.1, 1) != Raised || d.Step(0.1, 0) != Cleared {
		t.Error("no delay does not act at once")
	}
}

func TestDetectorIgnoresWhatIsNotANumber(t *testing.T) {
	d := NewDetector(1, 1, 1)
	for range 10 {
		if d.Step(1, math.NaN()) != Unchanged {
			t.Fatal("NaN changes it")
		}
	}
	d.Step(math.NaN(), 5)
	if d.Step(1, 5) != Raised {
		t.Error("not raised")
	}
	for range 10 {
		if d.Step(1, math.NaN()) != Unchanged {
			t.Fatal("NaN clears it")
		}
	}
}

func TestEveryCodeHasAText(t *testing.T) {
	for _, c := range []Code{SensorMissing, SensorFailure, SensorOutOfRange, SensorRate, Innovation, OutsideTraining, ModelBlind} {
		if c.Text() == string(c) || c.Text() == "" {
			t.Errorf("%s has no text", c)
		}
	}
}

func TestDetectorDoesNotAllocate(t *testing.T) {
	d := NewDetector(1, 1, 1)
	if n := testing.AllocsPerRun(1000, func() { d.Step(1, 2); d.Step(2, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
