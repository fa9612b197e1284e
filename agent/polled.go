package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// PolledOptions configure [Polled].
type PolledOptions struct {
	Name      string
	Bridge    *bridge.Bridge // runs for as long as the source does
	Registry  *sensors.Registry
	Poll      time.Duration
	Silence   time.Duration // 0: never reported
	Clock     sensors.Clock
	Read      []PolledChannel
	Commanded []PolledChannel
}

// PolledChannel is one channel that the bridge fills.
type PolledChannel struct {
	Channel sensors.ChannelID
	From    string // target or reading
	Unit    unit.Unit
	// Sentinels are values, in Unit, by which the controller says "no signal".
	Sentinels []float64
}

// Polled asks a controller through the bridge for targets and readings, again and again, and makes samples
// of the answers: the line that commands and the line that measures are one. It is a [sensors.Source].
type Polled struct {
	o       PolledOptions
	names   []string
	values  []float64
	maps    []unit.Map // of Read, then of Commanded
	samples []sensors.Sample
	health  sensors.Health
}

// NewPolled makes the source; it fails where a unit cannot be converted.
func NewPolled(o PolledOptions) (*Polled, error) {
	p := &Polled{o: o, values: make([]float64, len(o.Read))}
	for _, c := range append(append([]PolledChannel(nil), o.Read...), o.Commanded...) {
		m, err := unit.Between(c.Unit, o.Registry.Channel(c.Channel).Unit)
		if err != nil {
			return nil, fmt.Errorf("source %s: %s: %w", o.Name, c.From, err)
		}
		p.maps = append(p.maps, m)
	}
	for _, c := range o.Read {
		p.names = append(p.names, c.From)
	}
	return p, nil
}

// Name implements [sensors.Source].
func (p *Polled) Name() string { return p.o.Name }

// Health implements [sensors.Source].
func (p *Polled) Health() *sensors.Health { return &p.health }

// Run implements [sensors.Source]: it ends with ctx, or with an error where the controller has said nothing
// for so long that its port is better opened anew.
func (p *Polled) Run(ctx context.Context, to sensors.Sink) error {
	if len(p.names) > 0 {
		if err := p.o.Bridge.Open(ctx); err != nil {
			return err
		}
	}
	p.health.Connected.Store(true)
	p.health.Connects.Add(1)
	to.Event(sensors.Event{Time: p.o.Clock(), Source: p.o.Name, Kind: sensors.Connected, Text: "through the bridge"})
	defer p.health.Connected.Store(false)
	beat := time.NewTicker(p.o.Poll)
	defer beat.Stop()
	heard, silent := p.o.Clock(), false
	for {
		err := p.ask(ctx, to)
		now := p.o.Clock()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if heard = now; silent {
				to.Event(sensors.Event{Time: now, Source: p.o.Name, Kind: sensors.Resumed})
			}
			silent = false
		case errors.Is(err, bridge.ErrNotRunning):
			return err
		default:
			p.health.Fail(err)
			p.health.Rejected.Add(1)
			if quiet := time.Duration(now - heard); !silent && p.o.Silence > 0 && quiet > p.o.Silence {
				silent = true
				to.Event(sensors.Event{Time: now, Source: p.o.Name, Kind: sensors.Silent, Text: err.Error()})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
		}
	}
}

// ask makes samples of one round of questions. What was not answered gives none.
func (p *Polled) ask(ctx context.Context, to sensors.Sink) (err error) {
	if len(p.names) > 0 {
		err = p.o.Bridge.Read(ctx, p.names, p.values)
	}
	now := p.o.Clock()
	p.samples = p.samples[:0]
	take := func(c *PolledChannel, m unit.Map, v float64) {
		if math.IsNaN(v) {
			return
		}
		status := sensors.OK
		if slices.Contains(c.Sentinels, v) {
			status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
		}
		p.samples = append(p.samples, sensors.Sample{Time: now, Arrival: now, Value: m.Apply(v), Channel: c.Channel, Status: status})
	}
	if p.health.Tap.Open() {
		for i, name := range p.names {
			p.health.Tap.Hear(now, nil, fmt.Appendf(nil, "%s = %g %s", name, p.values[i], p.o.Read[i].Unit))
		}
	}
	for i := range p.o.Read {
		take(&p.o.Read[i], p.maps[i], p.values[i])
	}
	for i := range p.o.Commanded {
		c := &p.o.Commanded[i]
		s, _ := p.o.Bridge.State(c.From)
		v := s.Sent
		if math.IsNaN(v) && !s.Reverting { // nobody commands: what it holds is its safe state, or was found
			if v = s.ReadBack; math.IsNaN(v) && !s.Safe.AsFound {
				v = s.Safe.Value
			}
		}
		take(c, p.maps[len(p.o.Read)+i], v)
	}
	if len(p.samples) == 0 {
		return err
	}
	p.health.Messages.Add(1)
	p.health.Samples.Add(uint64(len(p.samples)))
	p.health.LastData.Store(now)
	to.Emit(p.samples, nil)
	return err
}
