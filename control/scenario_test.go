package control

import (
	"math"
	"strings"
	"testing"

	"stirwatch/dynamics/filter"
)

// cell is a process in its steady state, with the machine's own controller: what the set-point asks of the spindle, within
// the limits, and the temperature that comes of it.
type cell struct {
	perKelvin float64 // rpm for 1 K more
	at475     float64 // rpm that 475 °C asks for
	perPath   float64 // rpm more for a path that is as fast again
	perFeed   float64 // and for such a feed
	setPoint  float64
	live      filter.Forecast
	torque    float64 // N·m at 475 °C; it falls by 1 N·m with each K
	asked     int
}

func (c *cell) ask(dst *Outcome, s Setting) bool {
	c.asked++
	aim, path, feed := c.setPoint, 1.0, 1.0
	if !math.IsNaN(s.SetPoint) {
		aim = s.SetPoint
	}
	if s.Path != 0 {
		path = s.Path
	}
	if s.Feed != 0 {
		feed = s.Feed
	}
	wants := c.at475 + c.perKelvin*(aim-475) + c.perPath*(path-1) + c.perFeed*(feed-1)
	speed := min(max(wants, options.SpindleMin), options.SpindleMax)
	t := aim + (speed-wants)/c.perKelvin
	dst.Horizon = minute
	dst.Temperature, dst.Speed, dst.Power = dst.Temperature[:0], dst.Speed[:0], dst.Power[:0]
	for range minute {
		dst.Temperature, dst.Speed = append(dst.Temperature, t), append(dst.Speed, speed)
		dst.Power = append(dst.Power, (c.torque-(t-475))*speed*2*math.Pi/60)
	}
	return true
}

// situation is one second of the cell at a set-point: the live forecast agrees with the model, 3 K to either side.
func (c *cell) situation(setPoint float64) Situation {
	c.setPoint = setPoint
	var o Outcome
	c.ask(&o, asItIs)
	t := o.Temperature[0]
	c.live = filter.Forecast{Horizon: []float64{10, 60}, Outputs: []filter.Expected{{Mean: []float64{t, t}, Lower: []float64{t - 3, t - 3}, Upper: []float64{t + 3, t + 3}}}}
	return Situation{Dt: 1, SetPoint: setPoint, Temperature: t, SpindleSpeed: o.Speed[0], Estimate: &filter.Estimate{}, Forecast: &c.live,
		Ask: c.ask, Path: Velocity{800, 0, 1000, true}, Feed: Velocity{400, 0, 500, c.perFeed != 0}}
}

// The spindle is near its limit: the nearest set-point is advised that leaves it room, with what is expected with it and without. It
// comes once, stays until it is followed, and nothing else comes for a while; when the load is over the set-point of before is advised.
func TestRoomForTheSpindleIsAdvisedAndGivenBack(t *testing.T) {
	r, c := recommender(t), &cell{perKelvin: 2, at475: 448, torque: 200}
	if a := advise(r, c.situation(475), 60); a.Kind != Hold || !strings.Contains(a.Reason, "near the spindle's limit of 450 rpm, and the set-point is kept") {
		t.Errorf("where nothing is spared: %v: %s", a.Kind, a.Reason)
	}
	r = recommender(t)
	r.o.Spare = 5
	a := advise(r, c.situation(475), 19)
	if a.Kind != Hold {
		t.Fatalf("after 19 s: %+v", a)
	}
	a = advise(r, c.situation(475), 5)
	if a.Kind != Change || a.SetPoint != 470 {
		t.Fatalf("%v to %g °C: %s", a.Kind, a.SetPoint, a.Reason)
	}
	want := "lower the set-point from 475 °C to 470 °C: the spindle keeps less than 8 rpm to its upper limit of 450 rpm; in 60 s with it 470 °C (466 to 474) at 438 rpm"
	if !strings.HasPrefix(a.Reason, want) {
		t.Errorf("reason %q\nwant   %q…", a.Reason, want)
	}
	with, without := a.With.Last(), a.Without.Last()
	if with.Temperature != 470 || without.Temperature != 475 || with.Speed != 438 || without.Speed != 448 {
		t.Errorf("with it %+v, without it %+v", *with, *without)
	}
	if wide := with.Upper - with.Lower; wide <= without.Upper-without.Lower {
		t.Errorf("what a change does is not known better than what comes without: %g K wide", wide)
	}
	if again := advise(r, c.situation(475), 60); again.Kind != Change || again.SetPoint != 470 {
		t.Errorf("a minute later: %+v", again)
	}
	if a = advise(r, c.situation(470), 50); a.Kind != Hold {
		t.Fatalf("after it was followed: %v: %s", a.Kind, a.Reason)
	}
	c.at475 = 380
	if a = advise(r, c.situation(470), 25); a.Kind != Hold {
		t.Fatalf("the load is over for 25 s: %v: %s", a.Kind, a.Reason)
	}
	if a = advise(r, c.situation(470), 60); a.Kind != Change || a.SetPoint != 475 {
		t.Fatalf("the load is over: %v to %g °C: %s", a.Kind, a.SetPoint, a.Reason)
	}
	if a = advise(r, c.situation(475), 300); a.Kind != Hold {
		t.Errorf("it is back: %v: %s", a.Kind, a.Reason)
	}
}

// What no set-point within reach mends is told, and none is advised.
func TestNoSetPointIsAdvisedThatMendsNothing(t *testing.T) {
	r, c := recommender(t), &cell{perKelvin: 0.1, at475: 448, torque: 200}
	r.o.Spare = 15
	a := advise(r, c.situation(475), 60)
	if a.Kind != Hold || !strings.Contains(a.Reason, "near the spindle's limit of 450 rpm, and no set-point within 15 K frees it") {
		t.Errorf("%v: %s", a.Kind, a.Reason)
	}
}

// A set-point of which the forecast leads out of the window, or beyond the torque, is advised against.
func TestWindowAndTorque(t *testing.T) {
	o := options
	o.WindowMin, o.WindowMax, o.TorqueMax = 440, 468, 250
	for _, k := range []struct {
		name           string
		from, to, load float64
		says           string
	}{
		{"window", 475, 470, 200, "the temperature stays above the window, which ends at 468 °C"},
		{"torque", 455, 465, 235, "the spindle's torque will be 255 N·m, and 250 N·m is its limit"},
	} {
		r, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		c := &cell{perKelvin: 2, at475: 380, torque: k.load}
		if a := advise(r, c.situation(k.from), 15); a.Kind != Change || math.Abs(a.SetPoint-k.to) > 5 || !strings.Contains(a.Reason, k.says) {
			t.Errorf("%s: %v to %g °C: %s", k.name, a.Kind, a.SetPoint, a.Reason)
		}
	}
}

// Where a limit keeps the set-point out of reach the ways out are told, the smallest change first: a slower path, or a lower
// set-point. It is told before the spindle is at its limit.
func TestWaysOut(t *testing.T) {
	r, c := recommender(t), &cell{perKelvin: 2, at475: 480, perPath: 200, torque: 200}
	s := c.situation(475)
	s.SpindleSpeed, s.Temperature = 430, 473
	a := advise(r, s, 5)
	if a.Kind != Unreachable || !strings.Contains(a.Reason, "the spindle will be at its upper limit of 450 rpm and the temperature 2 K below") {
		t.Fatalf("%v: %s", a.Kind, a.Reason)
	}
	if a.SetPoint < 455 || a.SetPoint > 460 {
		t.Errorf("%g °C is named as what can be reached", a.SetPoint)
	}
	if a.Ways[0].What != "set-point" || a.Ways[1].What != "path velocity" || a.Ways[1].To > 700 || a.Ways[1].To < 640 || a.Ways[2].What != "" {
		t.Errorf("%+v", a.Ways)
	}
	if !strings.Contains(a.Reason, "; ways out: set-point 475 → ") || !strings.Contains(a.Reason, "path velocity 800 → ") {
		t.Error(a.Reason)
	}
	s.Feed.Now = 0
	if a := advise(r, s, 1); a.Kind == Unreachable {
		t.Errorf("nothing is fed: %s", a.Reason)
	}
}

// What a path that slows down at each corner does is no reason to change one's mind each time.
func TestStrayingDoesNotFlap(t *testing.T) {
	r, s := recommender(t), at()
	var kinds []Kind
	for second := range 120 {
		s.Estimate.Outside = nil
		if second >= 20 && second%10 < 7 {
			s.Estimate.Outside = []string{"path velocity"}
		}
		if a := advise(r, s, 1); len(kinds) == 0 || kinds[len(kinds)-1] != a.Kind {
			kinds = append(kinds, a.Kind)
		}
	}
	if len(kinds) != 2 || kinds[0] != Hold || kinds[1] != NoAdvice {
		t.Errorf("advice went %v", kinds)
	}
	s.Estimate.Outside = nil
	if a := advise(r, s, 30); a.Kind != Hold {
		t.Errorf("back in the range for 30 s: %s", a.Reason)
	}
}

// The interval of the speed is as wide as forecasts of it have been wrong.
func TestSpeedsAreAsSureAsTheyWere(t *testing.T) {
	var good, bad hindsight
	o := &Outcome{Horizon: minute, Speed: make([]float64, len(minute))}
	for i := range o.Speed {
		o.Speed[i] = 400
	}
	before := good.sd(60)
	for k := range 400 {
		good.step(401, o)
		bad.step(400+60*math.Sin(float64(k)/5), o)
	}
	if good.sd(60) > before/2 || bad.sd(60) < 30 || bad.sd(10) < 25 || good.sd(5) > good.sd(60) {
		t.Errorf("at first %.1f rpm; good ones %.1f, bad ones %.1f rpm", before, good.sd(60), bad.sd(60))
	}
}

func TestScenariosDoNotAllocate(t *testing.T) {
	r, c := recommender(t), &cell{perKelvin: 2, at475: 400, torque: 200}
	s := c.situation(475)
	var a Recommendation
	r.Advise(&a, s)
	if n := testing.AllocsPerRun(100, func() { r.Advise(&a, s) }); n != 0 {
		t.Errorf("%v allocations per tick", n)
	}
	if c.asked > 120 {
		t.Errorf("%d questions in 102 s in which nothing was wrong", c.asked)
	}
}
