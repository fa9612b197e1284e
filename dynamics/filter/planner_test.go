package filter

import (
	"math"
	"testing"

	"stirwatch/dynamics/model"
)

func planOf() (*Planner, []float64) {
	m := &model.Model{
		Inputs: []model.Input{{Name: model.SpindlePower, Unit: "W"}, {Name: model.SpindleSpeed, Unit: "rpm"}, {Name: model.PathVelocity, Unit: "mm/min"}, {Name: model.ZVelocity, Unit: "mm/min"}, {Name: model.Contact, Unit: "1"}},
		Plan: &model.Plan{RateGain: 0.4, ErrorGain: 0.4, Min: 300, Max: 450, Slew: 50, Power: [2]float64{3000, 10},
			Smooth: 20, Ripple: 5, Free: 4, Rows: 100},
	}
	return NewPlanner(m), []float64{3000 + 10*400 + 600, 400, 500, 0, 1} // 600 W more than usual
}

// The controller turns the speed, within its limits; the power follows, as far from what is usual as it was.
func TestPlanFollowsTheController(t *testing.T) {
	q, u := planOf()
	for range 100 {
		q.Observe(1, 460, u, true)
	}
	q.Start(u, 460)
	for range 30 {
		q.Step(1, 460, u, 475) // 15 K too cold, and staying there
	}
	if q.u[q.Speed] != 450 {
		t.Errorf("speed %g rpm, want its limit", q.u[q.Speed])
	}
	want := 3000.0 + 10*450 + 600
	if math.Abs(q.u[q.power]-want) > 20 {
		t.Errorf("power %g W, want %g", q.u[q.power], want)
	}
	q.Step(1, 460, u, 0)
	if q.u[q.power] != 0 || q.u[q.Speed] != 400 {
		t.Errorf("switched off: %g W at %g rpm", q.u[q.power], q.u[q.Speed])
	}
}

// The limits of the machine's controller are those that are told, and not those of the runs.
func TestPlanKeepsToTheLimitsThatAreTold(t *testing.T) {
	for _, want := range []float64{420, 480} {
		q, u := planOf()
		q.Limit(300, want)
		q.Observe(1, 460, u, true)
		q.Start(u, 460)
		for range 30 {
			q.Step(1, 460, u, 475)
		}
		if q.u[q.Speed] != want {
			t.Errorf("speed %g rpm, want %g", q.u[q.Speed], want)
		}
	}
}

// Where a scenario says so the power follows a change of the speed more than the plan says, and is the same where the
// speed is.
func TestPowerFollowsTheSpeedMore(t *testing.T) {
	power := func(follows, speed float64) float64 {
		q, u := planOf()
		for range 100 {
			q.Observe(1, 460, u, true)
		}
		q.Start(u, 460)
		q.follows = follows
		for range 30 {
			q.Turn(1, 460, u, speed)
		}
		return q.u[q.power]
	}
	if once, twice := power(1, 430)-power(1, 400), power(2, 430)-power(2, 400); math.Abs(once-300) > 1 || math.Abs(twice-600) > 1 {
		t.Errorf("30 rpm do %g W, and %g W by twice the factor; want 300 and 600", once, twice)
	}
	if a, b := power(1, 400), power(2, 400); a != b {
		t.Errorf("%g W and %g W at the speed that it has", a, b)
	}
}

// The power beyond pressing goes with the feed as far as was learned, also at feeds far below the usual one; the working point that was seen stays
// what it was.
func TestPowerGoesWithTheFeed(t *testing.T) {
	power := func(idle, share, before, feed float64) float64 {
		q, u := planOf()
		q.p.Idle, q.p.Free, q.p.Fed, q.p.UsualFeed = idle, 5, share, 400
		q.feed = len(u)
		q.u, u = append(q.u, 0), append(u, before)
		u[q.power] = 2000 + 5600*q.p.FedAt(before) // 600 W more than usual, beyond pressing
		for range 200 {
			q.Observe(1, 460, u, true)
		}
		q.Start(u, 460)
		u[q.feed] = feed
		for range 100 {
			q.Turn(1, 460, u, 400)
		}
		return q.u[q.power]
	}
	for _, c := range []struct{ idle, share, before, feed, want float64 }{
		{5, 0, 400, 600, 7600}, // as a model says that was learned before the feed counted
		{0, 0, 400, 0, 7600},
		{5, 1, 400, 400, 7600},
		{5, 1, 400, 600, 2000 + 1.5*5600},
		{5, 0.5, 400, 600, 2000 + 1.25*5600},
		{5, 0.5, 600, 400, 7600},
		{5, 0.5, 600, 0, 2000},
		{5, 1, 400, 4000, 2000 + 3*5600}, // no more than three times the usual feed is believed,
		{5, 1, 400, 4, 2000 + 5600./3},   // and no less than a third
		{5, 1, 160, 400, 7600},
		{5, 1, 160, 200, 2000 + 0.5*5600},
		{0, 1, 400, 600, 2000 + 1.5*5600}, // beyond a free spin, where pressing is not known
	} {
		if got := power(c.idle, c.share, c.before, c.feed); math.Abs(got-c.want) > 5 {
			t.Errorf("pressing %g W/rpm, share %g, feed %g to %g mm/min: %.0f W, want %.0f", c.idle, c.share, c.before, c.feed, got, c.want)
		}
	}
}

// ascend steps a planner through seconds of a vertical velocity (mm/min) and gives the power and whether there
// is contact.
func ascend(q *Planner, u []float64, velocity, seconds float64) (power, contact float64) {
	moved := append([]float64(nil), u...)
	moved[3] = velocity
	for range int(10 * seconds) {
		q.Step(0.1, 475, moved, 475)
	}
	return q.u[q.power], q.u[q.contact]
}

// A retreat and a slow climb leave the build: from then on the spindle takes what a free spin takes. The step of
// a layer, and a spiral, do not.
func TestPlanTellsALayerFromALift(t *testing.T) {
	for _, c := range []struct {
		name              string
		velocity, seconds float64
		lifts             bool
	}{
		{"layer", 100, 1.2, false}, {"fast layer", 120, 1.5, false}, {"retreat", 100, 6, true},
		{"slow climb", 15, 10, true}, {"spiral", 3, 60, false}, {"down", -100, 6, false},
	} {
		q, u := planOf()
		for range 100 {
			q.Observe(1, 460, u, true)
		}
		q.Start(u, 475)
		ascend(q, u, c.velocity, c.seconds)
		power, contact := ascend(q, u, 0, 1) // it stands still, up there
		if c.lifts != (contact == 0) || c.lifts != (power == 4*q.u[q.Speed]) || !c.lifts && power < 5000 {
			t.Errorf("%s: contact %g, %g W at %g rpm", c.name, contact, power, q.u[q.Speed])
		}
	}
}

// A ramp to the next layer, or a spiral, is fed and hardly climbs; a retreat may still be fed, and one
// that travels may not.
func TestPlanTellsARampFromALift(t *testing.T) {
	for _, c := range []struct {
		name              string
		path, feed, climb float64
		lifts             bool
	}{
		{"ramp", 890, 400, 21, false}, {"spiral", 500, 400, 14, false}, {"steep ramp", 381, 241, 15, true},
		{"fed retreat", 381, 241, 381, true}, {"retreat that travels", 890, 0, 21, true}, {"steeper than it travels", 180, 400, 100, true},
	} {
		q, u := planOf()
		q.feed = len(u)
		u = append(u, c.feed)
		u[2] = c.path
		q.u = make([]float64, len(u))
		for range 100 {
			q.Observe(1, 460, u, true)
		}
		q.Start(u, 475)
		_, contact := ascend(q, u, c.climb, 20)
		if c.lifts != (contact == 0) {
			t.Errorf("%s: contact %g", c.name, contact)
		}
		for range 20 {
			u[3] = c.climb
			q.Observe(1, 460, u, false)
		}
		if q.seen.lifted != c.lifts {
			t.Errorf("%s, seen without contact: it has left the build: %v", c.name, q.seen.lifted)
		}
	}
}

// Two steps of a layer with a pause are no retreat, and a spindle that is switched off keeps its contact.
func TestPlanKeepsContact(t *testing.T) {
	q, u := planOf()
	q.Start(u, 475)
	for range 5 {
		ascend(q, u, 100, 1.2)
		if _, contact := ascend(q, u, 0, 5); contact != 1 {
			t.Fatal("layers leave the build")
		}
	}
	for range 60 {
		q.Step(1, 475, u, 0)
	}
	if q.u[q.contact] != 1 || q.u[q.power] != 0 || q.u[q.Speed] != 0 {
		t.Errorf("off: contact %g, %g W at %g rpm", q.u[q.contact], q.u[q.power], q.u[q.Speed])
	}
}

// While nothing is fed the power goes to what pressing takes, and comes back with the feed.
func TestPlanKnowsTheFeed(t *testing.T) {
	q, u := planOf()
	q.p.Idle = 6
	q.feed = len(u)
	u = append(u, 400)
	q.u = make([]float64, len(u))
	for range 100 {
		q.Observe(1, 460, u, true)
	}
	q.Start(u, 475)
	fed := append([]float64(nil), u...)
	fed[q.feed] = 0
	for range 40 {
		q.Step(1, 475, fed, 475)
	}
	if got, want := q.u[q.power], 6*q.u[q.Speed]; math.Abs(got-want) > 100 {
		t.Errorf("%g W 40 s after the feed stopped, want %g", got, want)
	}
	for range 40 {
		q.Step(1, 475, u, 475)
	}
	if got, want := q.u[q.power], q.p.WorkingPower(q.u[q.Speed])+600; math.Abs(got-want) > 100 {
		t.Errorf("%g W 40 s after it went on, want %g", got, want)
	}
}

// A commanded speed is reached at the spindle's slew, whatever the temperature, and the power follows it.
func TestACommandedSpeedIsTurned(t *testing.T) {
	q, u := planOf()
	for range 100 {
		q.Observe(1, 475, u, true)
	}
	q.Start(u, 475)
	q.Turn(1, 475, u, 280)
	if q.u[q.Speed] != 350 {
		t.Errorf("after a second %g rpm, want 50 less than 400", q.u[q.Speed])
	}
	for range 30 {
		q.Turn(1, 500, u, 280)
	}
	if want := 3000.0 + 10*280 + 600; q.u[q.Speed] != 280 || math.Abs(q.u[q.power]-want) > 20 {
		t.Errorf("%g rpm and %g W, want 280 and %g", q.u[q.Speed], q.u[q.power], want)
	}
}

// A tool that idles on the build, so light that no torque tells, returns to its working point with the feed; one
// that has gone up knows of none.
func TestPlanComesBackFromAReload(t *testing.T) {
	for _, up := range []float64{0, 90} {
		q, u := planOf()
		q.p.Idle = 4
		q.feed = len(u)
		u = append(u, 400)
		q.u = make([]float64, len(u))
		for range 100 {
			q.Observe(1, 460, u, true)
		}
		idle := append([]float64(nil), u...)
		idle[q.feed], idle[q.power], idle[q.contact] = 0, 4*400, 0
		for i := range 30 {
			idle[q.up] = 0
			if i < 20 {
				idle[q.up] = up
			}
			q.Observe(1, 400, idle, false)
		}
		idle[q.up] = 0
		q.Start(idle, 350)
		fed := append([]float64(nil), idle...)
		fed[q.feed] = 400
		for range 40 {
			q.Step(1, 350, fed, 475)
		}
		power, contact := q.p.WorkingPower(q.u[q.Speed])+600, 1.0
		if up > 0 {
			power, contact = 4*q.u[q.Speed], 0
		}
		if math.Abs(q.u[q.power]-power) > 100 || q.u[q.contact] != contact {
			t.Errorf("up at %g mm/min before: %g W and contact %g, want %g and %g", up, q.u[q.power], q.u[q.contact], power, contact)
		}
	}
}
