package control

import (
	"math"
	"strings"
	"testing"

	"stirwatch/dynamics/filter"
)

// A temperature that falls away from its set-point while the spindle runs into its limit is called before it is far off, where
// the forecast leaves less than one chance in five that it will not be.
func TestWhatIsAboutToCostIsCalled(t *testing.T) {
	at5 := func(mean, half float64) Situation {
		s := at()
		s.SpindleSpeed, s.Temperature = 448, 470
		s.Forecast = &filter.Forecast{Horizon: []float64{1, 5, 60}, Outputs: []filter.Expected{{
			Mean: []float64{468, mean, 474}, Lower: []float64{466, mean - half, 460}, Upper: []float64{470, mean + half, 490}}}}
		return s
	}
	a := advise(recommender(t), at5(455, 20), 1)
	if a.Kind != Unreachable || !strings.Contains(a.Reason, "and the temperature at 455 °C in 5 s, 20 K off the set-point of 475 °C; it will be at 474 °C in 60 s") {
		t.Errorf("455 ± 20 °C in 5 s: %v, %s", a.Kind, a.Reason)
	}
	for name, s := range map[string]Situation{"wide": at5(460, 40), "near": at5(467, 5)} {
		if a := advise(recommender(t), s, 20); a.Kind != Hold {
			t.Errorf("%s: %v, %s", name, a.Kind, a.Reason)
		}
	}
	free := at5(455, 20)
	free.SpindleSpeed = 380
	if a := advise(recommender(t), free, 20); a.Kind != Hold {
		t.Errorf("a spindle with room: %v", a.Kind)
	}
}

// A warm-up that the whole interval of the forecast ends short of the set-point is called while it still goes on; one
// that has hardly begun, and a tool that cools, are not.
func TestAWarmUpThatStalls(t *testing.T) {
	warming := func(now, mean, upper float64) Situation {
		s := at()
		s.SpindleSpeed, s.Temperature = 449.8, now
		s.Forecast = &filter.Forecast{Horizon: []float64{60}, Outputs: []filter.Expected{{Mean: []float64{mean}, Lower: []float64{2*mean - upper}, Upper: []float64{upper}}}}
		return s
	}
	a := advise(recommender(t), warming(380, 410, 450), 4)
	if a.Kind != Unreachable || !strings.Contains(a.Reason, "95 K below") {
		t.Errorf("410 °C in a minute: %v, %s", a.Kind, a.Reason)
	}
	for name, s := range map[string]Situation{"cold": warming(150, 380, 420), "it may arrive": warming(380, 410, 470), "it cools": warming(380, 200, 240)} {
		if a := advise(recommender(t), s, 30); a.Kind != Hold {
			t.Errorf("%s: %v, %s", name, a.Kind, a.Reason)
		}
	}
}

// What passes within the minute names no set-point, nor does a start that is on its way; where the spindle has sat at its limit for a lap,
// and the temperature off, that is named which it was then.
func TestOnlyWhatLastsNamesASetPoint(t *testing.T) {
	r, c := recommender(t), &cell{perKelvin: 2, at475: 400, torque: 200}
	dips := func(temperature, then float64) Situation {
		s := c.situation(475)
		s.Temperature, s.SpindleSpeed = temperature, 450
		s.Forecast = &filter.Forecast{Horizon: []float64{5, 20, 60}, Outputs: []filter.Expected{{Mean: []float64{temperature - 8, temperature - 8, then}, Lower: []float64{temperature - 12, temperature - 12, then - 9}, Upper: []float64{temperature - 4, temperature - 4, then + 9}}}}
		return s
	}
	advise(r, c.situation(475), 60)
	if a := advise(r, dips(464, 474), 5); a.Kind != Unreachable || !math.IsNaN(a.SetPoint) {
		t.Errorf("a dip: %v to %g °C: %s", a.Kind, a.SetPoint, a.Reason)
	}
	a := advise(r, dips(455, 474), 120)
	if a.Kind != Unreachable || math.Abs(a.SetPoint-460) > 3 { // a step nearer than 455 °C
		t.Errorf("after two minutes: %v to %g °C: %s", a.Kind, a.SetPoint, a.Reason)
	}
	r = recommender(t)
	for at := 380.0; at < 455; at += 0.4 {
		if a := advise(r, dips(at, 460), 1); a.Kind == Unreachable && !math.IsNaN(a.SetPoint) {
			t.Fatalf("on its way, at %g °C: %g °C: %s", at, a.SetPoint, a.Reason)
		}
	}
}
