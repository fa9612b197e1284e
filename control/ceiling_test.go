package control

import (
	"math"
	"strings"
	"testing"

	"stirwatch/dynamics/filter"
)

// hot is a cell of which the live forecast ends some K above the model's, with an interval so wide to either side.
func (c *cell) hot(setPoint, above, wide float64) Situation {
	s := c.situation(setPoint)
	for i := range s.expected().Mean {
		m := s.expected().Mean[i] + above
		s.expected().Mean[i], s.expected().Lower[i], s.expected().Upper[i] = m, m-wide, m+wide
	}
	return s
}

// A warm-up whose interval is wide crosses the ceiling with its upper end and not with what is expected: nothing is lowered, since the
// program waits for the temperature. Where what is expected crosses it, it is.
func TestAStartIsJudgedByWhatIsExpected(t *testing.T) {
	c := &cell{perKelvin: 2, at475: 380, torque: 200}
	r := recommender(t)
	for at := 200.0; at < 470; at += 5 {
		s := c.hot(475, 20, 55) // 495 °C (440 to 550), ceiling 520 °C
		s.Temperature, s.SpindleSpeed = at, 450
		if a := advise(r, s, 1); a.Kind == Change {
			t.Fatalf("at %g °C: %s", at, a.Reason)
		}
	}
	if a := advise(r, c.hot(475, 20, 55), 20); a.Kind != Hold {
		t.Errorf("the set-point is held for 20 s: %s", a.Reason)
	}
	if a := advise(r, c.hot(475, 20, 55), 20); a.Kind != Change {
		t.Errorf("the start is over, and the interval crosses: %v: %s", a.Kind, a.Reason)
	}
	r = recommender(t)
	s := c.hot(475, 50, 60)
	s.Temperature, s.SpindleSpeed = 300, 450
	if a := advise(r, s, 3); a.Kind != Change || a.SetPoint > 471 {
		t.Errorf("525 °C is expected: %+v", a)
	}
}

// The nearest set-point that averts a crossing is advised, with what it averts; when it has been followed it has time to work, and
// when the reason is gone the set-point of before is advised again, by steps.
func TestWhatIsLoweredAvertsTheCrossing(t *testing.T) {
	r, c := recommender(t), &cell{perKelvin: 0.5, at475: 380, torque: 200}
	a := advise(r, c.hot(475, 20, 40), 3) // 495 °C (455 to 535)
	if a.Kind != Change || a.SetPoint < 455 || a.SetPoint > 460 || !strings.Contains(a.Reason, "above the ceiling of 520 °C; with it 5") {
		t.Fatalf("%+v", a)
	}
	to := a.SetPoint
	for second := range 29 {
		if a := advise(r, c.hot(to, 40, 40), 1); a.Kind != Hold {
			t.Fatalf("%d s after it was followed: %s", second, a.Reason)
		}
	}
	if a := advise(r, c.hot(to, 40, 40), 5); a.Kind != Change || a.SetPoint >= to {
		t.Errorf("it did not help: %v: %s", a.Kind, a.Reason)
	}
	bad := c.situation(to)
	bad.Bad = "garbage"
	advise(r, bad, 5) // and is not forgotten
	for second := 0; to < 475; second++ {
		a := advise(r, c.situation(to), 1)
		if second > 600 || a.Kind == Change && (a.SetPoint <= to || a.SetPoint > to+10) {
			t.Fatalf("%d s after the reason is gone, at %g °C: %v to %g: %s", second, to, a.Kind, a.SetPoint, a.Reason)
		}
		if a.Kind == Change {
			to = a.SetPoint
		}
	}
	if to != 475 {
		t.Errorf("led back to %g °C", to)
	}
}

// A lower set-point that the spindle cannot follow averts nothing: this is told, and none is advised.
func TestWhatNoSetPointAvertsIsTold(t *testing.T) {
	o := options
	o.SpindleMin, o.SpindleMax = 0, 0 // else it is the limit that is told
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &cell{perKelvin: 2, at475: 290, torque: 200}
	s := c.hot(475, 60, 10)
	if a := advise(r, s, 3); a.Kind != Unreachable || !math.IsNaN(a.SetPoint) || !strings.Contains(a.Reason, "above the ceiling of 520 °C, and no lower set-point averts that") {
		t.Errorf("%+v", a)
	}
	r, c = recommender(t), &cell{perKelvin: 2, at475: 380, torque: 200}
	s = c.hot(475, 0, 3)
	s.Forecast = &filter.Forecast{Horizon: []float64{5, 60}, Outputs: []filter.Expected{{Mean: []float64{522, 475}, Lower: []float64{520, 470}, Upper: []float64{525, 480}}}}
	if a := advise(r, s, 5); a.Kind == Change {
		t.Errorf("it is over before a set-point changes anything: %s", a.Reason)
	}
}
