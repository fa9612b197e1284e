package agent

import (
	"math"
	"time"

	"stirwatch/dynamics/phase"
	"stirwatch/sensors"
)

// phases tells from each frame whether the tool presses on the build, what the machine is doing, and when a
// run begins and ends.
type phases struct {
	phase.Detector
	contact                      phase.Contact
	speed, power, up, path, tool signal
	change                       phase.Run // what the last frame did to the run
}

func newPhases(reg *sensors.Registry) (p phases, err error) {
	err = findSignals(reg,
		wanted{&p.speed, sensors.SpindleSpeed, "rpm"},
		wanted{&p.power, sensors.SpindlePower, "W"},
		wanted{&p.up, sensors.ZVelocity, "mm/min"},
		wanted{&p.path, sensors.PathVelocity, "mm/min"},
		wanted{&p.tool, sensors.ToolTemperature, "°C"})
	return p, err
}

// step takes the frame dt after the last one, and gives contact: NaN where no channel is the speed or
// none the power.
func (p *phases) step(dt time.Duration, f *sensors.Frame) (contact float64) {
	speed := p.speed.value(f)
	contact = math.NaN()
	if p.speed.known && p.power.known {
		contact = p.contact.Step(dt.Seconds(), speed, p.power.value(f), p.up.value(f))
	}
	p.change = p.Detector.Step(dt.Seconds(), phase.Signals{
		Speed: speed, Contact: contact, Path: p.path.value(f), Temperature: p.tool.value(f),
	})
	return contact
}
