package agent

import (
	"math"
	"time"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	"stirwatch/sensors"
)

// phases tells from each frame whether the tool presses on the build, what the machine is doing, and when a
// run begins and ends.
type phases struct {
	phase.Detector
	contact                      phase.Contact
	speed, power, up, path, tool signal
	torque                       signal
	setPoint                     aim       // °C
	change                       phase.Run // what the last frame did to the run
	start                        float64   // N·m, of the model: what a good start takes; 0: not known
}

func newPhases(reg *sensors.Registry, m *model.Model) (p phases, err error) {
	p.contact.Rule, p.start = contactRule(m), startTorque(m)
	if s, err := signalFor(reg, sensors.SetPoint, "°C"); err == nil { // in other modes it is no temperature
		p.setPoint.signal = s
	}
	err = findSignals(reg,
		wanted{&p.speed, sensors.SpindleSpeed, "rpm"},
		wanted{&p.power, sensors.SpindlePower, "W"},
		wanted{&p.torque, sensors.SpindleTorque, "N·m"},
		wanted{&p.up, sensors.ZVelocity, "mm/min"},
		wanted{&p.path, sensors.PathVelocity, "mm/min"},
		wanted{&p.tool, sensors.ToolTemperature, "°C"})
	return p, err
}

// contactRule is that of m, which may be nil; zero where it has none.
func contactRule(m *model.Model) (r phase.ContactRule) {
	if m != nil && m.Spindle != nil {
		r = *m.Spindle
	}
	return r
}

// startTorque is what a good start takes by m (N·m), which may be nil; 0 where it does not say.
func startTorque(m *model.Model) float64 {
	if m == nil {
		return 0
	}
	return m.StartTorque
}

// step takes the frame dt after the last one, and gives contact: NaN where no channel is the speed or
// none the power or torque.
func (p *phases) step(dt time.Duration, f *sensors.Frame) (contact float64) {
	speed, path, tool := p.speed.value(f), p.path.value(f), p.tool.value(f)
	power := p.power.value(f)
	if !p.power.known {
		power = math.Abs(p.torque.value(f)*speed) * math.Pi / 30
	}
	contact = math.NaN()
	if p.speed.known && (p.power.known || p.torque.known) {
		p.contact.Spindle.Step(dt.Seconds(), speed, power, path, tool)
		contact = p.contact.Step(dt.Seconds(), speed, power, p.up.value(f))
	}
	p.change = p.Detector.Step(dt.Seconds(), phase.Signals{
		Speed: speed, Contact: contact, Path: path, Temperature: tool, SetPoint: p.setPoint.value(f),
	})
	return contact
}
