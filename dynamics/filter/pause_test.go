package filter

import (
	"math"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
)

// climbing is the sample with a plan that knows of reloads, and with the height of the tool.
func climbing() *model.Model {
	m := planned()
	m.Inputs = append(m.Inputs, model.Input{Name: model.ZVelocity, Unit: "mm/min", Symbol: "w", Max: 100})
	m.Plan.Reload, m.Plan.Idle = 40, 6
	return m
}

// A feed that rests while the spindle holds its temperature comes again: in a minute the build is at its set-point, though
// with inputs as they are it would be cold. The forecast says that it is in doubt, and holds both.
func TestAFeedThatRestsComesAgain(t *testing.T) {
	at := func(rests float64, change func(d *deposition)) (*Expected, *deposition) {
		d := newDeposition(climbing(), true)
		d.u = append(d.u, 0)
		d.run(300)
		began := d.now
		d.readings = func(now float64) float64 { return 470 - 3*(now-began) }
		d.u[0], d.u[2], d.u[3] = d.u[0]/3, 0, 0
		change(d)
		d.run(rests)
		return &d.fc.Outputs[0], d
	}
	x, _ := at(10, func(*deposition) {})
	says := x.By[4].Says
	if x.By[4].Doubt&Reloading == 0 || x.By[4].Best() != Planning || x.Mean[4] < says[Holding]+50 || x.Mean[4] < 400 {
		t.Errorf("a reload in 60 s: %g °C, held %g (%s; %q)", x.Mean[4], says[Holding], x.By[4].Text("°C"), x.By[4].Doubt.Text())
	}
	if x.Mean[2] > 450 { // 30 s are still to come
		t.Errorf("a reload in 10 s: %g °C", x.Mean[2])
	}
	if lower, upper := x.Whole(4); lower > says[Holding] || upper < 470 {
		t.Errorf("from %g to %g: held it would be %g", lower, upper, says[Holding])
	}
	for why, change := range map[string]func(d *deposition){
		"the set-point is off":   func(d *deposition) { d.sc.SetPoint = func(float64) float64 { return 0 } },
		"the tool has risen":     func(d *deposition) { d.u[4] = 60 },
		"the spindle stands":     func(d *deposition) { d.u[0], d.u[1] = 0, 0 },
		"nothing tells reloads":  func(d *deposition) { d.e.m.Plan.Reload = 0 },
		"a program says what is": func(d *deposition) { d.sc.Inputs = func([]float64, float64) {} },
	} {
		if x, _ := at(10, change); x.By[4].Doubt&Reloading != 0 || x.Mean[4] > 440 {
			t.Errorf("%s: in 60 s %g °C (%s; %q)", why, x.Mean[4], x.By[4].Text("°C"), x.By[4].Doubt.Text())
		}
	}
	if x, _ := at(130, func(*deposition) {}); x.By[4].Doubt&Reloading != 0 {
		t.Errorf("after more than three usual pauses: %q", x.By[4].Doubt.Text())
	}
}

// What is fed after a pause is what was fed before; a corner on the way is no path at rest.
func TestPause(t *testing.T) {
	m := climbing()
	q := NewPause(m)
	feed := func(seconds int, u ...float64) (rested float64) {
		for range seconds {
			rested = max(rested, q.Follow(1, u, phase.Deposit))
		}
		return rested
	}
	feed(60, 6000, 350, 500, 300, 0)
	feed(1, 6000, 350, 5, 300, 0)
	feed(20, 2000, 350, 0, 0, 0)
	if !q.expects(m.Plan) || q.resumes != 20 {
		t.Fatalf("after 20 s the feed is expected in %g s", q.resumes)
	}
	u := []float64{2000, 350, 0, 0, 0}
	if q.inputs(u, 19); u[3] != 0 {
		t.Errorf("fed %g mm/min before it is expected", u[3])
	}
	if q.inputs(u, 21); u[2] != 500 || u[3] != 300 || u[0] != 2000 {
		t.Errorf("after the pause: inputs %g", u)
	}
	feed(60, 2000, 350, 0, 0, 0)
	if q.expects(m.Plan); q.resumes != 8 {
		t.Errorf("a pause twice as long as usual goes on for %g s", q.resumes)
	}
	if rested := feed(1, 6000, 350, 500, 300, 0); rested != 80 {
		t.Errorf("it rested for %g s", rested)
	}
	feed(5, 2000, 350, 0, 0, 0)
	if q.expects(m.Plan) {
		t.Error("a feed of a second that rests is expected again")
	}
}

// The rate of stops is what the runs show, and where they show little what is believed beforehand.
func TestMayStop(t *testing.T) {
	for _, c := range []struct {
		stops   int
		settled float64
		want    float64
	}{{0, 0, 60.0 / 1800}, {1, 900, 2 * 60.0 / 2700}, {6, 1200, 7 * 60.0 / 3000}, {0, 1e6, 0}} {
		p := model.Plan{Stops: c.stops, Settled: c.settled}
		if got := p.MayStop(60); math.Abs(got-c.want) > c.want*c.want/2+1e-3 {
			t.Errorf("%d stops in %g s: probability %.3f in a minute, want about %.3f", c.stops, c.settled, got, c.want)
		}
	}
	d := newDeposition(planned(), true)
	d.e.m.Plan.Stops, d.e.m.Plan.Settled = 5, 900
	d.run(1200)
	x := &d.fc.Outputs[0]
	if x.By[2].Doubt&MayStop != 0 || x.By[4].Doubt&MayStop == 0 {
		t.Errorf("where builds stop each eight minutes: 10 s ahead %q, 60 s ahead %q", x.By[2].Doubt.Text(), x.By[4].Doubt.Text())
	}
	if lower, _ := x.Whole(4); lower != x.Stopped.Lower[4] {
		t.Errorf("whatever comes in a minute is from %g on, stopped from %g", lower, x.Stopped.Lower[4])
	}
}
