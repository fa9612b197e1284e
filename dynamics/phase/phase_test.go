package phase

import (
	"math"
	"testing"
)

func TestOf(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		s    Signals
		want Phase
	}{
		{Signals{Speed: nan, Contact: 1, Path: 500, Temperature: 480}, Unknown},
		{Signals{Speed: 9.9, Contact: 1, Path: 500, Temperature: 480}, Stopped},
		{Signals{Speed: -9.9, Contact: 1, Path: 500, Temperature: 480}, Stopped},
		{Signals{Speed: 350, Contact: 0.4, Path: 500, Temperature: 480}, Free},
		{Signals{Speed: -350, Contact: 1, Path: 500, Temperature: 399}, WarmUp},
		{Signals{Speed: 350, Contact: 1, Path: 500, Temperature: nan}, WarmUp},
		{Signals{Speed: 350, Contact: 1, Path: 29, Temperature: 400}, Prime},
		{Signals{Speed: 350, Contact: 1, Path: -30, Temperature: 400}, Deposit},
		{Signals{Speed: 350, Contact: nan, Path: nan, Temperature: 400}, Deposit},
		{Signals{Speed: 350, Contact: 1, Path: 500, Temperature: 315, SetPoint: 350}, Deposit},
		{Signals{Speed: 350, Contact: 1, Path: 500, Temperature: 305, SetPoint: 350}, WarmUp},
	} {
		if got := Of(c.s); got != c.want {
			t.Errorf("%+v: %s, want %s", c.s, got, c.want)
		}
	}
}

// A touch of the spindle is no run, a pause within a build does not end it, and both ends are told at
// the instants at which they happened, however fast the tick.
func TestRun(t *testing.T) {
	for _, dt := range []float64{0.01, 0.1, 1} {
		var d Detector
		at := 0.0
		var events []string
		var times []float64
		spin := func(seconds, rpm float64) {
			for range int(math.Round(seconds / dt)) {
				at += dt
				switch d.Step(dt, Signals{Speed: rpm}) {
				case Began:
					events, times = append(events, "began"), append(times, at-d.Ago)
				case Ended:
					events, times = append(events, "ended"), append(times, at-d.Ago)
				}
			}
		}
		spin(10, 0)
		spin(1.5, 300) // a touch
		spin(60, 0)
		first := at + dt
		spin(30, 300)
		spin(110, 0) // a pause
		spin(30, 300)
		last := at
		spin(60, 0)
		spin(70, math.NaN()) // unknown is not turning
		if len(events) != 2 || events[0] != "began" || events[1] != "ended" {
			t.Fatalf("tick of %g s: %v", dt, events)
		}
		if math.Abs(times[0]-first) > 1e-6 || math.Abs(times[1]-last) > 1e-6 {
			t.Errorf("tick of %g s: a run from %g to %g s, want %g to %g", dt, times[0], times[1], first, last)
		}
	}
}

func TestStop(t *testing.T) {
	var d Detector
	if d.Stop() != Same {
		t.Error("a run ended that never began")
	}
	for range 5 {
		d.Step(1, Signals{Speed: 300})
	}
	d.Step(1, Signals{})
	if d.Stop() != Ended || d.Ago != 1 || d.Running {
		t.Errorf("stopped: %+v", d)
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	var d Detector
	if n := testing.AllocsPerRun(1000, func() { d.Step(0.1, Signals{Speed: 300, Contact: 1, Path: 500, Temperature: 470}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
