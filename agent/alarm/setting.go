package alarm

import (
	"fmt"
	"time"

	"stirwatch/agent/anomaly"
)

// Setting is how the alarms of one code behave.
type Setting struct {
	Priority anomaly.Priority
	Response string        // what the operator does; without one nothing is ever put before anybody
	OnDelay  time.Duration // that the anomaly must stand before the alarm is raised, beyond the anomaly's own delay
	OffDelay time.Duration // that the anomaly must be gone before the alarm returns
	Deadband float64       // the score must fall below the limit by this part of it, 0 to below 1
	Latch    bool          // it stays, when the condition is over, until it is acknowledged and reset
	InRun    bool          // it is suppressed by design while no run goes on
	Group    string        // alarms of one group that come together are one event, and the first is named
	Out      string        // why it is out of service; "": it is in service
}

// Default is the setting that a code has as shipped, from its entry in the registry.
func Default(d *anomaly.Definition) Setting {
	s := Setting{Priority: d.Priority, Response: d.Response, Group: string(d.About)}
	switch d.About {
	case anomaly.AboutSource, anomaly.AboutChannel:
		s.Group = "measurement"
	case anomaly.AboutModel, anomaly.AboutProcess:
		s.InRun = true
	}
	switch d.Code {
	case anomaly.Innovation, anomaly.ModelBlind: // what the estimate says to a machine that stands still concerns nobody
		s.Group, s.InRun = string(anomaly.AboutModel), true
	case anomaly.SensorRate, anomaly.SensorOutOfRange, anomaly.SensorFailure: // a loose contact comes and goes
		s.OffDelay = 10 * time.Second
	}
	return s
}

// Check tells what is wrong with a setting.
func (s Setting) Check() error {
	switch {
	case s.Priority < anomaly.High || s.Priority > anomaly.Low:
		return fmt.Errorf("priority %d: it is 1, 2 or 3", s.Priority)
	case s.OnDelay < 0 || s.OffDelay < 0:
		return fmt.Errorf("delays of %v and %v: none may be negative", s.OnDelay, s.OffDelay)
	case !(s.Deadband >= 0 && s.Deadband < 1):
		return fmt.Errorf("a deadband of %g: it is a part of the limit, 0 to below 1", s.Deadband)
	}
	return nil
}
