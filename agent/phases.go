package agent

import (
	"math"
	"time"

	"stirwatch/dynamics/phase"
	"stirwatch/sensors"
)

// phases tells from each frame what the machine is doing, and when a run begins and ends.
type phases struct {
	phase.Detector
	speed, path, tool signal
	change            phase.Run // what the last frame did to the run
}

func newPhases(reg *sensors.Registry) (p phases, err error) {
	for _, s := range []struct {
		to   *signal
		role sensors.Role
		unit string
	}{
		{&p.speed, sensors.SpindleSpeed, "rpm"},
		{&p.path, sensors.PathVelocity, "mm/min"},
		{&p.tool, sensors.ToolTemperature, "°C"},
	} {
		if *s.to, err = signalFor(reg, s.role, s.unit); err != nil {
			return p, err
		}
	}
	return p, nil
}

// step takes the frame dt after the last one; contact is told by the model where there is one.
func (p *phases) step(dt time.Duration, f *sensors.Frame, e *estimator) {
	contact := math.NaN()
	if e != nil {
		contact = e.filter.Contact()
	}
	p.change = p.Detector.Step(dt.Seconds(), phase.Signals{
		Speed: p.speed.value(f), Contact: contact, Path: p.path.value(f), Temperature: p.tool.value(f),
	})
}
