package control

import (
	"math"
	"strings"
	"testing"

	"stirwatch/dynamics/filter"
)

var options = Options{SetPointMin: 350, SetPointMax: 500, Ceiling: 520, SpindleMin: 300, SpindleMax: 450, Margin: 0.05}

// at is an untroubled situation at 475 °C, one second after the last.
func at() Situation {
	return Situation{
		Dt: 1, SetPoint: 475, Temperature: 474, SpindleSpeed: 380,
		Estimate: &filter.Estimate{},
		Forecast: &filter.Forecast{Horizon: []float64{10, 60}, Outputs: []filter.Expected{{Mean: []float64{474, 475}, Lower: []float64{470, 467}, Upper: []float64{478, 483}}}},
	}
}

func recommender(t *testing.T) *Recommender {
	t.Helper()
	r, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func advise(r *Recommender, s Situation, seconds int) (a Recommendation) {
	for range seconds {
		r.Advise(&a, s)
	}
	return a
}

func TestHold(t *testing.T) {
	a := advise(recommender(t), at(), 1)
	if a.Kind != Hold || a.SetPoint != 475 || a.Predicted != 475 || a.ExpiresIn != 10 {
		t.Errorf("advice %+v", a)
	}
	if want := "hold 475 °C: 475 °C expected in 60 s, between 467 and 483"; a.Reason != want {
		t.Errorf("reason %q, want %q", a.Reason, want)
	}
	r, s := recommender(t), at()
	advise(r, s, 1)
	s.Forecast.Way, s.Forecast.Outputs[0].Stopped.Mean = filter.Live, []float64{470, 320}
	if a, want := advise(r, s, 1), "hold 475 °C: 475 °C expected in 60 s if nothing stops, between 467 and 483"; a.Reason != want {
		t.Errorf("reason %q, want %q", a.Reason, want)
	}
}

func TestNoAdvice(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*Situation)
		want string
	}{
		"bad data":      {func(s *Situation) { s.Bad = "spindle power: no value for 4 s" }, "no advice, because spindle power: no value for 4 s"},
		"no model":      {func(s *Situation) { s.Estimate = nil }, "no advice, because there is no model"},
		"blind":         {func(s *Situation) { s.Estimate.Blind = true }, "no advice, because the estimate is blind: no measurement for too long"},
		"outside":       {func(s *Situation) { s.Estimate.Outside = []string{"path velocity"} }, "no advice, because the process is outside the training range: path velocity"},
		"no value":      {func(s *Situation) { s.Temperature = math.NaN() }, "no advice, because the tool temperature is unknown"},
		"off":           {func(s *Situation) { s.SetPoint = 0 }, "no advice, because the machine's controller has no set-point"},
		"no set-point":  {func(s *Situation) { s.SetPoint = math.NaN() }, "no advice, because the machine's controller has no set-point"},
		"no forecast":   {func(s *Situation) { s.expected().Mean[1] = math.NaN() }, "no advice, because there is no forecast"},
		"zero forecast": {func(s *Situation) { s.Forecast = &filter.Forecast{} }, "no advice, because there is no model"},
	} {
		s := at()
		c.set(&s)
		a := advise(recommender(t), s, 1)
		if a.Kind != NoAdvice || a.Reason != c.want || !math.IsNaN(a.SetPoint) || !math.IsNaN(a.Predicted) {
			t.Errorf("%s: %+v, want %q", name, a, c.want)
		}
	}
}

func TestNoAdviceDoesNotFlap(t *testing.T) {
	r := recommender(t)
	bad := at()
	bad.Bad = "garbage"
	advise(r, at(), 5)
	advise(r, bad, 1)
	if a := advise(r, at(), 1); a.Kind != NoAdvice {
		t.Errorf("one good second after a bad one gives %v at once", a.Kind)
	}
	if a := advise(r, at(), 2); a.Kind != Hold {
		t.Errorf("three good seconds give %v: %s", a.Kind, a.Reason)
	}
}

func TestUnreachable(t *testing.T) {
	r := recommender(t)
	s := at()
	s.SetPoint, s.Temperature, s.SpindleSpeed = 465, 407, 449.8
	s.expected().Mean[0], s.expected().Mean[1] = 407.5, 408.4
	s.expected().Upper[0], s.expected().Upper[1] = 519, 519 // the interval says nothing
	if a := advise(r, s, 10); a.Kind != Hold {
		t.Errorf("after 10 s: %v", a.Kind)
	}
	a := advise(r, s, 1)
	if a.Kind != Unreachable || a.SetPoint != 408 || a.Predicted != 408.4 {
		t.Errorf("after 11 s: %+v", a)
	}
	want := "unreachable: the spindle is at its upper limit of 450 rpm and the temperature 58 K below the set-point of 465 °C; it will be at 408 °C in 60 s"
	if a.Reason != want {
		t.Errorf("reason %q\nwant   %q", a.Reason, want)
	}
	cold := s
	cold.Forecast = &filter.Forecast{Horizon: []float64{60}, Outputs: []filter.Expected{{Mean: []float64{200}, Lower: []float64{190}, Upper: []float64{210}}}}
	if a := advise(r, cold, 1); a.Kind != Unreachable || !math.IsNaN(a.SetPoint) {
		t.Errorf("nothing from 350 °C up can be reached: %+v", a)
	}
	s.SpindleSpeed = 430 // for a moment only
	if a := advise(r, s, 4); a.Kind != Unreachable {
		t.Errorf("flaps: %v after 4 s away from the limit", a.Kind)
	}
	if a := advise(r, s, 1); a.Kind != Hold {
		t.Errorf("%v after 5 s away from the limit", a.Kind)
	}
}

func TestUnreachableAtTheLowerLimit(t *testing.T) {
	s := at()
	s.Temperature, s.SpindleSpeed = 490, 301
	s.expected().Mean[0], s.expected().Mean[1] = 490, 488
	a := advise(recommender(t), s, 12)
	if a.Kind != Unreachable || !strings.Contains(a.Reason, "lower limit of 300 rpm") || !strings.Contains(a.Reason, "15 K above") {
		t.Errorf("advice %+v", a)
	}
}

func TestWarmUpIsNotUnreachable(t *testing.T) {
	s := at()
	s.Temperature, s.SpindleSpeed = 300, 450
	s.expected().Mean[0], s.expected().Mean[1] = 380, 470
	if a := advise(recommender(t), s, 60); a.Kind != Hold {
		t.Errorf("a warm-up that will arrive is %v: %s", a.Kind, a.Reason)
	}
}

func TestCeiling(t *testing.T) {
	r := recommender(t)
	s := at()
	s.expected().Upper[0] = 524.4
	if a := advise(r, s, 1); a.Kind != Hold {
		t.Errorf("one second over the ceiling: %v", a.Kind)
	}
	a := advise(r, s, 1)
	if a.Kind != Change || a.SetPoint != 470 {
		t.Errorf("two seconds over the ceiling: %+v, want 475 − 4.4 down to 470", a)
	}
	s.expected().Upper[0] = 518.5 // just below: the advice stays
	if a := advise(r, s, 30); a.Kind != Change || a.SetPoint != 470 {
		t.Errorf("flaps: %+v", a)
	}
	s.SetPoint = 470 // followed
	if a := advise(r, s, 1); a.Kind != Hold || a.SetPoint != 470 {
		t.Errorf("after the operator followed: %+v", a)
	}
}

func TestAdviceStaysInLimits(t *testing.T) {
	s := at()
	s.SetPoint = 360
	s.expected().Upper[0] = 620
	if a := advise(recommender(t), s, 5); a.Kind != Change || a.SetPoint != 350 {
		t.Errorf("advice %+v, must not go below 350 °C", a)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []Options{{SetPointMin: 500, SetPointMax: 400}, {SpindleMin: 450, SpindleMax: 300}, {Expires: -1}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v accepted", o)
		}
	}
	if _, err := New(Options{}); err != nil {
		t.Errorf("no limits: %v", err)
	}
}

func TestAdviseDoesNotAllocate(t *testing.T) {
	r := recommender(t)
	s := at()
	var a Recommendation
	r.Advise(&a, s)
	if n := testing.AllocsPerRun(1000, func() { r.Advise(&a, s) }); n != 0 {
		t.Errorf("%v allocations per tick", n)
	}
	s.Estimate.Blind = true
	r.Advise(&a, s)
	if n := testing.AllocsPerRun(1000, func() { r.Advise(&a, s) }); n != 0 {
		t.Errorf("%v allocations per tick without advice", n)
	}
}

// BenchmarkAdvise: budget 1 µs, 0 allocations.
func BenchmarkAdvise(b *testing.B) {
	r, _ := New(options)
	s := at()
	var a Recommendation
	b.ReportAllocs()
	for b.Loop() {
		r.Advise(&a, s)
	}
}

// Before the error has grown it is told that a limit will keep the set-point out of reach, but only where the whole
// interval says so.
func TestUnreachableIsForeseen(t *testing.T) {
	s := at()
	s.SpindleSpeed = 449.8
	s.expected().Mean[1], s.expected().Lower[1], s.expected().Upper[1] = 464, 458, 470
	r := recommender(t)
	if a := advise(r, s, 3); a.Kind != Hold {
		t.Errorf("after 3 s: %v", a.Kind)
	}
	a := advise(r, s, 1)
	if a.Kind != Unreachable || a.SetPoint != 464 || !strings.Contains(a.Reason, "upper limit of 450 rpm and the temperature 1 K below") {
		t.Errorf("after 4 s: %+v", a)
	}
	s.expected().Upper[1] = 474
	if a := advise(recommender(t), s, 9); a.Kind != Hold {
		t.Errorf("the interval holds the set-point: %v", a.Kind)
	}
}

func TestNoAdviceWithoutSkill(t *testing.T) {
	s := at()
	s.expected().By = make([]filter.Trust, 2)
	by := &s.expected().By[0]
	by.Windows, by.RMSE = 10, [filter.Experts]float64{filter.Persist: 2, filter.Holding: 3, filter.Planning: 2.5, filter.AtSetPoint: 1}
	a := advise(recommender(t), s, 1)
	if want := "no advice, because the model has forecast no better of late than that nothing changes"; a.Kind != NoAdvice || a.Reason != want {
		t.Errorf("%+v", a)
	}
	for name, better := range map[string]func(){
		"plan":             func() { by.RMSE[filter.Planning] = 1.9 },
		"held":             func() { by.RMSE[filter.Planning], by.RMSE[filter.Holding] = 2.5, 1.9 },
		"nothing came due": func() { by.RMSE = [filter.Experts]float64{math.NaN(), math.NaN(), math.NaN(), math.NaN()} },
		"too few":          func() { by.RMSE, by.Windows = [filter.Experts]float64{2, 3, 3, 1}, 4 },
	} {
		better()
		if a := advise(recommender(t), s, 1); a.Kind != Hold {
			t.Errorf("%s: %+v", name, a)
		}
		by.RMSE[filter.Planning] = 2.5
	}
}

// What a loop of our own leads the machine to is held, not each step of the way there.
func TestARampOfOurOwnIsNoAdvice(t *testing.T) {
	r, s := recommender(t), at()
	s.Led = 455
	for s.SetPoint = 475; s.SetPoint >= 455; s.SetPoint -= 5 {
		if a := advise(r, s, 1); a.Kind != Hold || a.SetPoint != 455 {
			t.Errorf("at %g: %+v", s.SetPoint, a)
		}
	}
}

// A goal on a ramp, or one that was told in °F, is written as people write it.
func TestAdviceWritesTenths(t *testing.T) {
	r, s := recommender(t), at()
	s.SetPoint, s.Temperature = 473.89888888888885, 473
	if a := advise(r, s, 1); a.Kind != Hold || !strings.Contains(a.Reason, "hold 473.9 °C:") {
		t.Errorf("%+v", a)
	}
}
