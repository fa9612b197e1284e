package assemble

import (
	"context"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/history"
	"stirwatch/agent/record"
	"stirwatch/config"
	"stirwatch/sensors"
)

// AlarmSettings gives the setting of every code as configured. A code that there is not is an error.
func AlarmSettings(c *config.Config) (func(anomaly.Code) alarm.Setting, error) {
	var changes []alarm.Change
	for i := range c.Alarms.Codes {
		own := &c.Alarms.Codes[i]
		x := alarm.Change{
			Code: anomaly.Code(own.Name), Priority: anomaly.ParsePriority(own.Priority), None: own.Priority == "none",
			Response: own.Response, Group: own.Group, OnDelay: own.OnDelay, OffDelay: own.OffDelay,
			Deadband: own.Deadband, Latch: own.Latch, Out: own.OutOfService,
		}
		if own.When != "" {
			inRun := own.When == "run"
			x.InRun = &inRun
		}
		changes = append(changes, x)
	}
	return alarm.Settings(changes)
}

// desk serves the board of a running agent.
func (c *Cell) desk() alarm.Desk {
	return alarm.Desk{Board: c.Agent.Alarms(), Now: c.Agent.Now, Flush: c.Journal.Flush,
		Rows: func(ctx context.Context, from, to int64) ([]record.Alarm, error) {
			return history.Alarms(ctx, c.Journal.Reader, from, to)
		}}
}

// Limits are those that people have set.
func Limits(c *config.Config, reg *sensors.Registry) (all []agent.Limit) {
	for i := range c.Limits {
		l := &c.Limits[i]
		id, ok := reg.Lookup(l.Channel)
		if !ok {
			continue // the configuration's own check has said so
		}
		low, high, deadband := l.Within(reg.Channel(id).Unit)
		all = append(all, agent.Limit{Channel: l.Channel, Low: low, High: high, Deadband: deadband, On: l.OnDelay, Off: l.OffDelay, Phases: phasesOf(l.Phases)})
	}
	return all
}
