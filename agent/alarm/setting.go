package alarm

import (
	"cmp"
	"fmt"
	"strings"
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

// Change is what of a code's setting is different on one machine. Zero and nil: it is as shipped.
type Change struct {
	Code              anomaly.Code
	Priority          anomaly.Priority
	None              bool // it is no alarm: nothing is put before anybody
	Response, Group   string
	OnDelay, OffDelay *time.Duration
	Deadband          *float64
	Latch, InRun      *bool
	Out               string // why it is out of service
}

// Settings gives the setting of every code: as shipped, with changes. It fails at an unknown code.
func Settings(changes []Change) (func(anomaly.Code) Setting, error) {
	all := make(map[anomaly.Code]Setting)
	var codes []string
	for _, d := range anomaly.Definitions() {
		all[d.Code] = Default(&d)
		codes = append(codes, string(d.Code))
	}
	for _, c := range changes {
		s, known := all[c.Code]
		if !known {
			return nil, fmt.Errorf("alarms.codes.%s: there is no such code; those there are: %s", c.Code, strings.Join(codes, ", "))
		}
		all[c.Code] = c.apply(s)
	}
	return func(c anomaly.Code) Setting { return all[c] }, nil
}

func (c *Change) apply(s Setting) Setting {
	s.Priority, s.Response, s.Group = cmp.Or(c.Priority, s.Priority), cmp.Or(c.Response, s.Response), cmp.Or(c.Group, s.Group)
	if c.None {
		s.Response = ""
	}
	replace(&s.OnDelay, c.OnDelay)
	replace(&s.OffDelay, c.OffDelay)
	replace(&s.Deadband, c.Deadband)
	replace(&s.Latch, c.Latch)
	replace(&s.InRun, c.InRun)
	s.Out = c.Out
	return s
}

func replace[T any](into, by *T) {
	if by != nil {
		*into = *by
	}
}

// Line writes the setting of a code as it may stand below alarms.codes in agent.yaml.
func (s Setting) Line(c anomaly.Code) string {
	priority, when := s.Priority.String(), "always"
	if s.Response == "" {
		priority = "none"
	}
	if s.InRun {
		when = "run"
	}
	return fmt.Sprintf("%s: {priority: %s, on_delay: %g s, off_delay: %g s, deadband: %g, latch: %t, when: %s, group: %s}",
		c, priority, s.OnDelay.Seconds(), s.OffDelay.Seconds(), s.Deadband, s.Latch, when, s.Group)
}

// Check is the error of a setting that cannot be.
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
