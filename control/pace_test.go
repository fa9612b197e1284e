package control

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// fed is the situation at a pace that is so many times the usual one, on a machine that answers to it as the model says, or does not.
func (c *cell) fed(setPoint, pace float64, answers bool) Situation {
	at475 := c.at475
	if answers {
		c.at475 += (c.perPath + c.perFeed) * (pace - 1)
	}
	s := c.situation(setPoint)
	c.at475 = at475
	ask := s.Ask
	s.Ask = func(dst *Outcome, set Setting) bool {
		if answers {
			c.at475 += (c.perPath + c.perFeed) * (pace - 1)
		}
		ok := ask(dst, set)
		c.at475 = at475
		return ok
	}
	s.Path.Now, s.Feed.Now = s.Path.Now*pace, s.Feed.Now*pace
	return s
}

// The spindle is near a limit, and the model says what a feed does: the pace of feed and path is advised that gives it room, and the
// set-point stays, also where a loop leads it. Once it is followed nothing more is advised.
func TestPaceGivesTheSpindleRoom(t *testing.T) {
	for _, c := range []struct {
		name    string
		at475   float64
		perFeed float64
		pace    float64
		says    string
	}{
		{"more feed heats", 448, -200, 1.05, "feed and path velocity +5 % (feed 400 → 420 mm/min): the spindle keeps less than 8 rpm to its upper limit of 450 rpm; in 60 s with it 475 °C"},
		{"more feed cools", 448, 200, 0.95, "feed and path velocity -5 % (feed 400 → 380 mm/min): the spindle keeps less than 8 rpm to its upper limit"},
		{"at the lower limit", 302, -200, 0.95, "the spindle keeps less than 8 rpm to its lower limit of 300 rpm"},
		{"a step at a time", 448, -30, 1.1, "feed and path velocity +10 % (feed 400 → 440 mm/min)"},
	} {
		r, m := recommender(t), &cell{perKelvin: 2, at475: c.at475, perFeed: c.perFeed, torque: 200}
		if a := advise(r, m.situation(475), 19); a.Kind != Hold {
			t.Fatalf("%s, after 19 s: %v: %s", c.name, a.Kind, a.Reason)
		}
		a := advise(r, m.situation(475), 46)
		if a.Kind != Pace || math.Abs(a.Pace-c.pace) > 1e-9 || a.SetPoint != 475 || !strings.Contains(a.Reason, c.says) {
			t.Fatalf("%s: %v by %g: %s", c.name, a.Kind, a.Pace, a.Reason)
		}
		if with, without := a.With.Last().Speed, a.Without.Last().Speed; !(math.Abs(with-375) < math.Abs(without-375)) {
			t.Errorf("%s: with it %g rpm, without it %g", c.name, with, without)
		}
		if c.pace == 1.1 {
			continue
		}
		if a = advise(r, m.fed(475, c.pace, true), 200); a.Kind != Hold {
			t.Errorf("%s, after it was followed: %v: %s", c.name, a.Kind, a.Reason)
		}
	}
	r, m := recommender(t), &cell{perKelvin: 2, at475: 448, perFeed: -200, torque: 200}
	s := m.situation(475)
	s.Led = 475
	if a := advise(r, s, 66); a.Kind != Pace || a.SetPoint != 475 {
		t.Errorf("beside a loop: %v: %s", a.Kind, a.Reason)
	}
}

// A set-point that is out of reach: the pace that reaches it is among the ways out, and a step towards it is advised and told; where none within
// reach does, a step to where it helps.
func TestPaceBringsASetPointNearer(t *testing.T) {
	for _, c := range []struct {
		name                 string
		at475, perFeed, pace float64
		way                  bool
	}{
		{"upper limit", 480, -200, 1.1, true},
		{"a small step", 480, -1000, 1.05, true},
		{"lower limit", 270, -200, 0.9, true},
		{"it helps", 560, -100, 1.1, false},
		{"it hardly helps", 560, -30, 0, false},
		{"unknown", 480, 0, 0, false},
	} {
		r, m := recommender(t), &cell{perKelvin: 2, at475: c.at475, perFeed: c.perFeed, torque: 200}
		a := advise(r, m.situation(475), 15)
		if a.Kind != Unreachable || math.Abs(a.Pace-c.pace) > 1e-9 {
			t.Errorf("%s: %v, pace %g, want %g: %s", c.name, a.Kind, a.Pace, c.pace, a.Reason)
		}
		way := slices.ContainsFunc(a.Ways[:], func(w WayOut) bool { return w.What == bothVelocities })
		if way != c.way || strings.Contains(a.Reason, "a step that brings it nearer: feed and path velocity") != (c.pace != 0) {
			t.Errorf("%s: %s", c.name, a.Reason)
		}
	}
}

// After a pace was set nothing more of it is advised until what it does can be seen.
func TestAPaceThatWasSetMaySettle(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 560, perFeed: -150, torque: 200}
	if a := advise(r, m.situation(475), 15); a.Pace != 1.1 {
		t.Fatalf("before: %v by %g: %s", a.Kind, a.Pace, a.Reason)
	}
	for after := 1; after < 60; after++ {
		a := advise(r, m.fed(475, 1.1, true), 1)
		if after > 3 && after <= int(swingsFor) && a.Pace != 0 || after > int(swingsFor+2*lookEvery) && a.Pace != 1.1 {
			t.Fatalf("after %d s: %v by %g: %s", after, a.Kind, a.Pace, a.Reason)
		}
	}
}

// The reason tells the pace that is advised, also when it has become another one.
func TestTheReasonOfAPaceFollowsIt(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 448, perFeed: -200, torque: 200}
	advise(r, m.situation(475), 46)
	m.perFeed = -30
	a := advise(r, m.situation(475), 10)
	if a.Kind != Pace || a.Pace != 1.1 || !strings.HasPrefix(a.Reason, "feed and path velocity +10 % (feed 400 → 440 mm/min)") {
		t.Errorf("%v by %g: %s", a.Kind, a.Pace, a.Reason)
	}
}

// Whether a pace has helped is judged by the limit that it was advised for, also at the lower one: there the tool is to cool.
func TestAPaceThatHelpsAtTheLowerLimit(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 200, perFeed: -200, torque: 200}
	pace := 1.0
	for step := range 3 {
		a := advise(r, m.fed(475, pace, true), 130)
		if a.Pace != 0.9 {
			t.Fatalf("step %d: %v by %g: %s", step, a.Kind, a.Pace, a.Reason)
		}
		pace *= a.Pace
	}
	if n := r.steer.paced.misses; n != 0 {
		t.Errorf("%d paces are said not to have helped", n)
	}
}

// A set-point that was advised is no longer once a loop leads it, and none is said to have been looked for.
func TestALoopTakesTheSetPointOver(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 448, torque: 200}
	r.o.Spare = 10
	s := m.situation(475)
	if a := advise(r, s, 66); a.Kind != Change {
		t.Fatalf("before: %v: %s", a.Kind, a.Reason)
	}
	s.Led = 475
	for range 100 {
		if a := advise(r, s, 1); a.Kind != Hold || strings.Contains(a.Reason, "no set-point") {
			t.Fatalf("beside a loop: %v: %s", a.Kind, a.Reason)
		}
	}
}

// Advice that stands allocates nothing, and asks for no scenario between two surveys.
func TestAdviceThatStandsAllocatesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		m      cell
		lowest float64
		kind   Kind
	}{
		"pace":                         {cell{at475: 448, perFeed: -200}, 350, Pace},
		"change":                       {cell{at475: 448}, 350, Change},
		"unreachable":                  {cell{at475: 560, perFeed: -100}, 350, Unreachable},
		"unreachable, no set-point is": {cell{at475: 560}, 450, Unreachable},
	} {
		r, m := recommender(t), &c.m
		r.o.Spare, r.o.SetPointMin = 10, c.lowest
		m.perKelvin, m.torque = 2, 200
		s := m.situation(475)
		var a Recommendation
		for range 66 {
			r.Advise(&a, s)
		}
		if a.Kind != c.kind {
			t.Fatalf("%s: %v: %s", name, a.Kind, a.Reason)
		}
		s.Dt, m.asked = 1e-4, 0
		if n := testing.AllocsPerRun(1000, func() { r.Advise(&a, s) }); n != 0 || m.asked != 0 {
			t.Errorf("%s: %v allocations per tick, and %d scenarios in a tenth of a second", name, n, m.asked)
		}
	}
}

// What is advised and followed, and does not help twice, is taken back, and not advised again until somebody sets another feed.
func TestAPaceThatDoesNotHelpIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name  string
		at475 float64
	}{{"unreachable", 500}, {"no room", 448}} {
		r, m := recommender(t), &cell{perKelvin: 2, at475: c.at475, perFeed: -200, torque: 200}
		pace, steps := 1.0, 0
		var a Recommendation
		for range 20 {
			if a = advise(r, m.fed(475, pace, false), 130); !(a.Pace > 1) {
				break
			}
			pace *= a.Pace
			steps++
		}
		if steps != mostMisses || math.Abs(a.Pace*pace-1) > 0.01 || !strings.Contains(a.Reason, "has not helped") {
			t.Errorf("%s: followed %d times, to %.2f times the feed; then by %.2f: %s", c.name, steps, pace, a.Pace, a.Reason)
		}
		if a = advise(r, m.fed(475, 1, false), 300); a.Pace != 0 {
			t.Errorf("%s, back at the feed of before: %v: %s", c.name, a.Kind, a.Reason)
		}
		if a = advise(r, m.fed(475, 0.9, false), 130); a.Pace == 0 {
			t.Errorf("%s, with another feed: %v: %s", c.name, a.Kind, a.Reason)
		}
	}
}

// A pace that leads far off is taken back at once: nobody waits for a second one.
func TestAPaceThatLeadsFarOffIsTakenBack(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 500, perFeed: -200, torque: 200}
	a := advise(r, m.fed(475, 1, false), 30)
	if a.Pace != 1.1 {
		t.Fatalf("%v by %.2f: %s", a.Kind, a.Pace, a.Reason)
	}
	m.at475 = 525 // 12 K colder with it
	if a = advise(r, m.fed(475, 1.1, false), 70); math.Abs(a.Pace-0.91) > 1e-9 || !strings.Contains(a.Reason, "has not helped") {
		t.Errorf("by %.2f: %s", a.Pace, a.Reason)
	}
}

// A pace that helps as the model says is no miss: what comes of it is held against what was expected without it.
func TestAPaceThatHelpsIsAdvisedOn(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 560, perFeed: -200, torque: 200}
	pace := 1.0
	for _, most := range []float64{1.1, 1.21, 1.2705} {
		a := advise(r, m.fed(475, pace, true), 130)
		if pace *= a.Pace; math.Abs(pace-most) > 1e-3 {
			t.Fatalf("by %.2f to %.3f times the feed, want %.3f: %s", a.Pace, pace, most, a.Reason)
		}
	}
	if a := advise(r, m.fed(475, pace, true), 130); a.Pace != 0 {
		t.Errorf("beyond what may be advised in all: %.2f times %.2f: %s", a.Pace, pace, a.Reason)
	}
}

// Where more feed heats and a faster path cools by about as much, nobody knows which way the pace goes: none is advised.
func TestNoPaceOfWhichTheSignIsNotKnown(t *testing.T) {
	for _, c := range []struct {
		perFeed, perPath float64
		advised          bool
	}{{-200, 0, true}, {-200, 80, true}, {-200, 140, false}, {-140, 200, false}, {-80, 200, true}} {
		r, m := recommender(t), &cell{perKelvin: 2, at475: 560, perFeed: c.perFeed, perPath: c.perPath, torque: 200}
		if a := advise(r, m.situation(475), 30); (a.Pace != 0) != c.advised {
			t.Errorf("feed %g rpm, path %g rpm: %.2f: %s", c.perFeed, c.perPath, a.Pace, a.Reason)
		}
	}
}

// What a setting does is the difference of two answers for one instant: a path that slows down at a corner must not count as what a pace does.
func TestAPaceIsComparedAtOneInstant(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 520, perFeed: 1, torque: 200}
	for i := range 600 {
		m.at475 = 560
		if i%10 > 0 && i%10 < 9 { // between two surveys
			m.at475 = 500
		}
		s := m.situation(475)
		s.Dt = 0.1
		var a Recommendation
		if r.Advise(&a, s); a.Pace != 0 {
			t.Fatalf("after %g s: %.2f: %s", float64(i)/10, a.Pace, a.Reason)
		}
	}
}

// At a corner the path is slow, and on the straights behind it a faster pace would leave what was learned.
func TestPaceIsHeldAgainstTheFastestPathOfTheLap(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 560, perFeed: -200, torque: 200}
	for i := range 130 {
		s := m.situation(475)
		if s.Path.Now = 1090; i%20 < 5 {
			s.Path.Now = 350
		}
		var a Recommendation
		if r.Advise(&a, s); a.Pace != 0 {
			t.Fatalf("after %d s: %.2f: %s", i, a.Pace, a.Reason)
		}
	}
}

// A pace that leads beyond what the model has learned is not advised.
func TestPaceStaysInTheTrainingRange(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 448, perFeed: -200, torque: 200}
	s := m.situation(475)
	s.Feed.Max, s.Path.Max = 370, 2000 // and a tenth of the range
	if a := advise(r, s, 130); a.Pace != 0 {
		t.Errorf("%v: %s", a.Kind, a.Reason)
	}
}

// A program that changes its feed all the time, or a person who does, keeps no advice back.
func TestAFeedOfSomebodyElseKeepsNoAdviceBack(t *testing.T) {
	r, m := recommender(t), &cell{perKelvin: 2, at475: 380, torque: 200}
	r.o.WindowMax = 470
	advise(r, m.situation(475), 5)
	for i, pace := range []float64{1.1, 1, 1.1} {
		if a := advise(r, m.fed(475, pace, false), 40); a.Kind != Change || !strings.Contains(a.Reason, "window") {
			t.Errorf("after change %d of the feed: %v: %s", 1+i, a.Kind, a.Reason)
		}
	}
}
