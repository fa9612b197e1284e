package agent

import (
	"math"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/control"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
)

// advisor asks for advice at each tick and records it when it changes or is about to expire.
type advisor struct {
	recommender   *control.Recommender
	setPoint      aim // °C
	tool, spindle signal
	advice        control.Recommendation
	scenarios     *control.Scenarios
	ask           control.Ask // of them, nil where there are none
	model         string      // that the advice rests on
	tick          uint64      // and the tick

	said    control.Recommendation // last recorded
	expires int64                  // of what was recorded
}

func newAdvisor(o control.Options, reg *sensors.Registry, e *estimator) (*advisor, error) {
	r, err := control.New(o)
	if err != nil {
		return nil, err
	}
	a := &advisor{recommender: r}
	err = findSignals(reg,
		wanted{&a.setPoint.signal, sensors.SetPoint, "°C"},
		wanted{&a.tool, sensors.ToolTemperature, "°C"},
		wanted{&a.spindle, sensors.SpindleSpeed, "rpm"})
	if err != nil {
		return nil, err
	}
	if e != nil {
		a.model = modelName(e.model)
		if p := e.filter.Planner(); p != nil && o.SpindleMin < o.SpindleMax {
			p.Limit(o.SpindleMin, o.SpindleMax)
		}
		if a.scenarios = control.NewScenarios(e.model, e.filter, e.expected); a.scenarios != nil {
			a.ask = a.scenarios.Ask
		}
	}
	return a, nil
}

func (a *advisor) advise(dt time.Duration, f *sensors.Frame, e *estimator) {
	s := control.Situation{
		Dt:       dt.Seconds(),
		SetPoint: a.setPoint.value(f), Temperature: a.tool.value(f), SpindleSpeed: a.spindle.value(f), Led: a.setPoint.led,
	}
	switch {
	case !a.tool.known:
		s.Bad = "no channel is the tool temperature"
	case !a.setPoint.known && a.setPoint.led == 0:
		s.Bad = "no channel is the set-point"
	case math.IsNaN(s.Temperature):
		s.Bad = toolReasons[f.Status[a.tool.id].Signal]
	}
	if e != nil {
		s.Estimate, s.Forecast, s.Output = &e.estimate, &e.forecast, e.tool
		if s.Ask = a.ask; a.scenarios != nil {
			s.Path, s.Feed = a.scenarios.Velocities(e.model)
		}
	}
	a.tick = f.Tick
	a.recommender.Advise(&a.advice, s)
}

// modelName names a model for people: its process, and when it was learned.
func modelName(m *model.Model) string {
	if m.Provenance.Learned == "" {
		return m.Process
	}
	return m.Process + ", learned " + m.Provenance.Learned
}

// toolReasons say why the tool temperature cannot be relied on.
var toolReasons = map[sensors.Signal]string{
	sensors.Missing:             "the tool temperature is missing",
	sensors.Failure:             "the tool temperature has failed",
	sensors.FunctionCheck:       "the tool temperature is being checked",
	sensors.OutOfSpecification:  "the tool temperature is out of specification",
	sensors.MaintenanceRequired: "the tool thermocouple needs maintenance",
}

// record writes the advice when it differs from the last one recorded, and again before that expires.
func (a *advisor) record(j *journal.Journal, t int64) {
	n, o := &a.advice, &a.said
	same := n.Kind == o.Kind && n.Pace == o.Pace && (math.Abs(n.SetPoint-o.SetPoint) < 0.5 || math.IsNaN(n.SetPoint) && math.IsNaN(o.SetPoint) && n.Kind != control.NoAdvice) || n.Kind == control.NoAdvice && n.Reason == o.Reason
	if same && t < a.expires-int64(n.ExpiresIn*1e9/4) {
		return
	}
	a.said, a.expires = *n, t+int64(n.ExpiresIn*1e9)
	with, without := n.With.Last(), n.Without.Last()
	journal.Write(j, record.Recommendation{Time: t, Kind: n.Kind.String(),
		SetPoint: n.SetPoint, Pace: n.Percent(), Predicted: n.Predicted, Expires: a.expires, Reason: n.Reason, Tick: int64(a.tick), Model: a.model,
		With: with.Temperature, WithLower: with.Lower, WithUpper: with.Upper,
		WithSpeed: with.Speed, WithSpeedLower: with.SpeedLower, WithSpeedUpper: with.SpeedUpper,
		Without: without.Temperature, WithoutLower: without.Lower, WithoutUpper: without.Upper,
		WithoutSpeed: without.Speed, WithoutSpeedLower: without.SpeedLower, WithoutSpeedUpper: without.SpeedUpper})
}
