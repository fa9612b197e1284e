package control

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"stirwatch/dynamics/filter"
)

// Over random situations, one after another, with random limits: no advice is beyond a limit, none is to
// raise the set-point while the forecast crosses the ceiling, and every kind of advice comes up.
func TestNoAdviceIsBeyondALimit(t *testing.T) {
	seen := map[Kind]int{}
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 7))
		o := Options{SpindleMin: 250 + 100*rng.Float64(), SpindleMax: 400 + 200*rng.Float64()}
		if rng.IntN(4) > 0 {
			o.SetPointMin = 300 + 100*rng.Float64()
		}
		if rng.IntN(4) > 0 {
			o.SetPointMax = 420 + 120*rng.Float64()
		}
		if rng.IntN(4) > 0 {
			o.Ceiling = 410 + 120*rng.Float64()
		}
		r, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		lowest, highest := o.SetPointMin, math.Inf(1)
		for _, limit := range []float64{o.SetPointMax, o.Ceiling} {
			if limit > 0 {
				highest = min(highest, limit)
			}
		}
		var a Recommendation
		s := Situation{Estimate: &filter.Estimate{}, Forecast: &filter.Forecast{
			Horizon: []float64{10, 60}, Outputs: []filter.Expected{{Mean: make([]float64, 2), Lower: make([]float64, 2), Upper: make([]float64, 2)}}}}
		for range 40 { // a situation lasts, and the next one is another
			s.SetPoint, s.Temperature = 280+300*rng.Float64(), 250+350*rng.Float64()
			if rng.IntN(3) == 0 && !math.IsNaN(a.SetPoint) && a.SetPoint > 0 {
				s.SetPoint = a.SetPoint // the operator does what is advised
			}
			s.SpindleSpeed = []float64{o.SpindleMin, o.SpindleMax, 380}[rng.IntN(3)]
			near := s.Temperature + 200*(rng.Float64()-0.5)
			for i := range s.expected().Mean {
				s.expected().Mean[i] = near + 60*(rng.Float64()-0.5)
				s.expected().Lower[i], s.expected().Upper[i] = s.expected().Mean[i]-60*rng.Float64(), s.expected().Mean[i]+60*rng.Float64()
			}
			s.Estimate.Blind = rng.IntN(8) == 0
			for range 1 + rng.IntN(30) {
				s.Dt = 0.1 + rng.Float64()
				r.Advise(&a, s)
				seen[a.Kind]++
				if math.IsNaN(a.SetPoint) {
					continue
				}
				if a.SetPoint > highest || a.SetPoint < lowest {
					t.Fatalf("seed %d, limits %+v: advice %v of %g °C (%s)", seed, o, a.Kind, a.SetPoint, a.Reason)
				}
				if top := max(s.expected().Upper[0], s.expected().Upper[1]); o.Ceiling > 0 && top > o.Ceiling && a.SetPoint > s.SetPoint {
					t.Fatalf("seed %d, limits %+v: advice %v from %g to %g °C while %g °C may come (%s)", seed, o, a.Kind, s.SetPoint, a.SetPoint, top, a.Reason)
				}
			}
		}
	}
	for _, k := range []Kind{NoAdvice, Hold, Change, Unreachable} {
		if seen[k] < 1000 {
			t.Errorf("%v comes up %d times: the test says little of it", k, seen[k])
		}
	}
}

func TestASetPointBeyondTheLimits(t *testing.T) {
	s := at()
	s.SetPoint = 545
	if a := advise(recommender(t), s, 1); a.Kind != Change || a.SetPoint != 500 || a.Reason != "lower the set-point from 545 °C to 500 °C: the highest allowed is 500 °C" {
		t.Errorf("above: %+v", a)
	}
	s.SetPoint = 340
	if a := advise(recommender(t), s, 1); a.Kind != NoAdvice || a.Reason != "no advice, because the set-point is below the lowest that may be advised" {
		t.Errorf("below: %+v", a)
	}
}

// With the set-point as low as it may be and the ceiling crossed, "hold" would be false.
func TestNothingLowerIsAllowed(t *testing.T) {
	s := at()
	s.SetPoint = 350
	s.expected().Upper[1] = 530
	a := advise(recommender(t), s, 30)
	if a.Kind != Unreachable || !math.IsNaN(a.SetPoint) ||
		a.Reason != "unreachable: within 60 s the temperature may reach 530 °C, above the ceiling of 520 °C, and the set-point of 350 °C is the lowest allowed" {
		t.Errorf("%+v", a)
	}
}

// A forecast that is unsure by more than a set-point can mend is no reason to leave the set-point; one that expects to
// overshoot is, and what is said of it is what made it so, as long as the advice stands.
func TestAnUnsureForecastLowersNothing(t *testing.T) {
	s := at()
	s.expected().Upper[1] = 620
	if a := advise(recommender(t), s, 30); a.Kind != Hold {
		t.Errorf("unsure: %+v", a)
	}
	s.expected().Mean[1] = 530
	r := recommender(t)
	lower := advise(r, s, 5)
	if lower.Kind != Change || lower.SetPoint != 405 || !strings.Contains(lower.Reason, "may reach 590 °C, above the ceiling of 520 °C") {
		t.Errorf("overshoot: %+v", lower)
	}
	s.expected().Mean[1], s.expected().Upper[1] = 475, 510
	if a := advise(r, s, 5); a.Kind != Change || a.Reason != lower.Reason {
		t.Errorf("while it clears: %+v", a)
	}
}
