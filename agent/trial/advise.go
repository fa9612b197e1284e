package trial

import (
	"math"

	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/firmware-bridge/twin"
)

// adviser advises beside a build as the agent does: by the live forecast.
type adviser struct {
	recommender *control.Recommender
	live        *filter.Forecaster
	f           filter.Forecast
	expected    filter.Scenario // the set-point stays as it is
	setPoint    float64         // °C
	asked       *control.Scenarios
	ask         control.Ask
	advice      control.Recommendation
	caller      *caller
}

// advised gives d an adviser.
func (d *driver) advised() (err error) {
	a := &adviser{setPoint: math.NaN(), caller: newCaller()}
	if p := d.e.Planner(); p != nil {
		p.Limit(d.o.Limits.Min, d.o.Limits.Max)
	}
	a.f.Horizon = []float64{1, 5, 10, 20, 30, 45, 60}
	a.live = filter.NewForecaster(d.e, a.f.Horizon, true)
	a.expected = filter.Scenario{Way: filter.Planned, SetPoint: func(float64) float64 { return a.setPoint }}
	if sc := control.NewScenarios(d.o.Model, d.e, func() filter.Scenario { return a.expected }); sc != nil {
		a.asked, a.ask = sc, sc.Ask
	}
	a.recommender, err = control.New(control.Options{SetPointMin: setPoints.Min, SetPointMax: setPoints.Max, SpindleMin: d.o.Limits.Min, SpindleMax: d.o.Limits.Max, Ceiling: 540, Spare: d.o.Spare, Expires: 30})
	d.adviser = a
	return err
}

// step takes in a row that the estimator has seen, and renews the advice.
func (a *adviser) step(d *driver, r *twin.Row) {
	a.setPoint = r.SetPoint
	led := 0.0
	if (d.law != nil || d.bound != nil) && d.goal > 0 && (r.SetPoint > 0 || !math.IsNaN(d.commanded)) { // what a loop leads the machine's controller to is nobody's wish
		a.setPoint, led = d.goal, d.goal
	}
	a.live.Step(interval, d.z, &d.est)
	a.live.Ahead(&a.f, a.expected)
	s := control.Situation{Dt: interval, SetPoint: a.setPoint, Led: led, Temperature: r.ToolTemp, SpindleSpeed: r.RPM, Estimate: &d.est, Forecast: &a.f, Ask: a.ask}
	if r.ToolTemp == twin.NoSignal {
		s.Bad = "the tool temperature has failed"
	}
	if a.asked != nil {
		s.Path, s.Feed = a.asked.Velocities(d.o.Model)
	}
	a.recommender.Advise(&a.advice, s)
}

// What operators do who follow advice.
const (
	reachAgain = 60.0 // s that they leave a set-point that can be reached before another one of these
	paceAgain  = 30.0 // and a pace before another one
	paceTakes  = 2.0  // s that the feed takes to come to what they set
	ownFeed    = 0.02 // share by which the feed then differs from it where the program has said another one
)

// pacer is an operator who sets the pace of feed and path that is advised.
type pacer struct {
	factor   float64 // by which the program's pace was multiplied, 0: it was not
	feed     float64 // mm/min, as it was set
	override float64 // %, as it was set
	since    float64 // s from then
}

// pace sets the pace that is advised. Once the program says another feed it is the program's again.
func (d *driver) pace(m *twin.Machine, r *twin.Row) {
	p := &d.pacer
	p.since += interval
	fed := r.True.Phase == twin.Deposit || r.True.Phase == twin.Prime
	if p.factor != 0 && p.since > paceTakes && math.Abs(r.FeedVel-p.feed) > ownFeed*p.feed {
		if r.Override == p.override {
			m.Do(twin.Code{Name: "M52", S: math.Round(r.Override / p.factor), HasS: true})
		}
		p.factor = 0
	}
	if a := &d.adviser.advice; a.Pace != 0 && fed && p.since >= paceAgain {
		if p.factor == 0 {
			p.factor = 1
		}
		p.factor *= a.Pace
		p.feed, p.override, p.since = math.Round(r.FeedVel*a.Pace), math.Round(r.Override*a.Pace), 0
		m.Do(twin.Code{Name: "M24", S: p.feed, HasS: true})
		m.Do(twin.Code{Name: "M52", S: p.override, HasS: true})
	}
}

// follow sets every advised set-point, as an operator who follows advice at once; where the set-point cannot be reached one that can be only
// where no pace brings it nearer, and once the build deposits.
func (d *driver) follow(m *twin.Machine, r *twin.Row) {
	a := &d.adviser.advice
	if a.Kind == control.Unreachable && (a.Pace != 0 || d.pacer.since < paceAgain || r.True.Phase != twin.Deposit) {
		return // a program that waits for the temperature of its start would wait for ever
	}
	if d.since += interval; a.Kind == control.Unreachable && d.since < reachAgain {
		return
	}
	if k := a.Kind; (k == control.Change || k == control.Unreachable) && math.Abs(a.SetPoint-r.SetPoint) >= 1 {
		d.since = 0
		d.commanded = a.SetPoint
		m.Do(twin.Code{Name: "M41", S: a.SetPoint, HasS: true})
	}
}

// judge holds the advice against a row, one a second.
func (a *adviser) judge(r *twin.Row, limits control.Limits) {
	upper, lower := atLimit(r, limits)
	a.caller.row(r, a.advice.Kind == control.Unreachable, upper, lower)
}
