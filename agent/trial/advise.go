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
	a.live.Step(interval, d.z, &d.est)
	a.live.Ahead(&a.f, a.expected)
	s := control.Situation{Dt: interval, SetPoint: r.SetPoint, Temperature: r.ToolTemp, SpindleSpeed: r.RPM, Estimate: &d.est, Forecast: &a.f, Ask: a.ask}
	if r.ToolTemp == twin.NoSignal {
		s.Bad = "the tool temperature has failed"
	}
	if a.asked != nil {
		s.Path, s.Feed = a.asked.Velocities(d.o.Model)
	}
	a.recommender.Advise(&a.advice, s)
}

// reachAgain is how long such an operator leaves a set-point that can be reached before another one of these, s.
const reachAgain = 60.0

// follow sets every advised set-point, as an operator who follows advice at once, those included that can be reached where
// the present one cannot, once the build deposits.
func (d *driver) follow(m *twin.Machine, r *twin.Row) {
	a := &d.adviser.advice
	if a.Kind == control.Unreachable && r.True.Phase != twin.Deposit {
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
