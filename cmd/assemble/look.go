package assemble

import (
	"context"
	"time"

	"stirwatch/agent"
	"stirwatch/config"
	"stirwatch/sensors"
)

// Look runs the sources of a configuration for a while, leaving no trace, and gives what they said. What is read through
// the bridge is left out: that takes the controller's port.
func Look(ctx context.Context, conf *config.Config, long time.Duration) (*sensors.Look, error) {
	reg, err := Registry(conf)
	if err != nil {
		return nil, err
	}
	var sources []sensors.Source
	clock := agent.NewClock(time.Now)
	for i := range conf.Sources {
		if conf.Sources[i].Bridge != nil {
			continue
		}
		s, err := Probe(conf, &conf.Sources[i], reg, clock.Now, nil)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	return sensors.LookAt(ctx, reg, sources), nil
}
