package control

import (
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
