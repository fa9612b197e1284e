package assemble

import (
	"context"
	"fmt"
	"io"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/doctor"
	"stirwatch/agent/influx"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
)

// Doctor examines what a configuration names; notes gets what the bridge decides where it reverts something. It asks at
// the socket whether an agent runs.
func Doctor(c *config.Config, patience time.Duration, notes io.Writer) (*doctor.Doctor, error) {
	reg, err := Registry(c)
	if err != nil {
		return nil, err
	}
	d := &doctor.Doctor{
		Exposed: c.Exposed(), Patience: patience, DeviceClock: c.Tick.Clock == config.Device, Running: Client(c).Sources,
		Model:   func() (string, error) { return modelInShort(c, reg) },
		Journal: doctor.Journal{Path: c.Abs(c.Journal.Path), Size: JournalSize(c), Fixed: c.Journal.Size > 0, Keep: c.Journal.Keep},
	}
	for i := range c.Sources {
		s := &c.Sources[i]
		d.Sources = append(d.Sources, doctor.Source{Name: s.Name, Place: s.Place(), Open: func(ctx context.Context) (sensors.Source, func(), error) {
			return probe(ctx, c, s, reg, patience)
		}})
	}
	if c.Bridge != nil {
		d.Bridge = &doctor.Bridge{
			Options: func() (bridge.Options, error) { return BridgeOptions(c) },
			Revert:  func(ctx context.Context, o bridge.Options) error { return revertLeft(ctx, c, o, notes) },
		}
	}
	if c.InfluxDB != nil {
		d.Influx = func() (influx.Options, error) { return influxOptions(c, nil) }
	}
	return d, nil
}

// modelInShort tells which model is used, or why it cannot be.
func modelInShort(c *config.Config, reg *sensors.Registry) (string, error) {
	m, err := Model(c)
	if err != nil {
		return "", err
	}
	if m == nil {
		return "none: monitoring without estimate and forecast (the page's Models or 'stirwatch learn' makes one)", nil
	}
	name := string(c.Model.File)
	if path := modelPath(c); path != c.Abs(c.Model.File) { // chosen on the page
		name = path
	}
	if err := CheckModel(c, reg, m); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Sprintf("%s, learned %s from %d runs", name, m.Provenance.Learned, len(m.Provenance.Runs)), nil
}

// probe opens a source to look at it, with the bridge that it reads through.
func probe(ctx context.Context, c *config.Config, s *config.Source, reg *sensors.Registry, patience time.Duration) (src sensors.Source, end func(), err error) {
	end = func() {}
	var b *bridge.Bridge
	if s.Bridge != nil {
		o, err := BridgeOptions(c)
		if err != nil {
			return nil, nil, err
		}
		if _, err := o.Left(); err != nil {
			return nil, nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if b, err = bridge.Connect(ctx, o); err != nil {
			return nil, nil, err
		}
		end = func() { b.Close() }
	}
	if src, err = Probe(c, s, reg, agent.NewClock(time.Now).Now, b); err != nil {
		end()
		return nil, nil, err
	}
	return src, end, nil
}
