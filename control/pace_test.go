package control

import (
	"math"
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

// A set-point that is out of reach: the pace that reaches it is among the ways out, and a step towards it is advised; where none within reach
// does, a step to where it helps.
func TestPaceBringsASetPointNearer(t *testing.T) {
	for _, c := range []struct {
		name                 string
		at475, perFeed, pace float64
		way                  bool
	}{
		{"upper limit", 480, -200, 1.1, true},
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
		if strings.Contains(a.Reason, bothVelocities) != c.way {
			t.Errorf("%s: %s", c.name, a.Reason)
		}
	}
}

// What is advised and followed, and does not help twice, is not advised again, until somebody sets another feed.
func TestAPaceThatDoesNotHelpIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name  string
		at475 float64
	}{{"unreachable", 500}, {"no room", 448}} {
		r, m := recommender(t), &cell{perKelvin: 2, at475: c.at475, perFeed: -200, torque: 200}
		pace, steps := 1.0, 0
		var a Recommendation
		for range 20 {
			if a = advise(r, m.fed(475, pace, false), 130); a.Pace == 0 {
				break
			}
			pace *= a.Pace
			steps++
		}
		if steps != 1+mostMisses || a.Pace != 0 {
			t.Errorf("%s: followed %d times, to %.2f times the feed", c.name, steps, pace)
		}
		if a = advise(r, m.fed(475, 1, false), 130); a.Pace == 0 {
			t.Errorf("%s, with the feed of before: %v: %s", c.name, a.Kind, a.Reason)
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
