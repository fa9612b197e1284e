package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/influx"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
)

// quiet is how long a source that a running agent has may say nothing before it is doubted.
const quiet = time.Minute

// running says what the agent that runs knows of its sources.
func (d *Doctor) running(all []agent.SourceState) {
	for _, s := range all {
		what := "source " + s.Name
		text := fmt.Sprintf("the running agent has it: %d readings in %d messages, %d rejected", s.Samples, s.Messages, s.Rejected)
		switch {
		case !s.Connected:
			d.bad(what, "%s; it is not connected: %s", text, cmp.Or(s.LastError, "it is being opened"))
		case s.Quiet < 0:
			if text += "; nothing has come yet"; s.LastError != "" {
				text += ": " + s.LastError
			}
			d.bad(what, "%s", text)
		default:
			if text += fmt.Sprintf(", the last %v ago", s.Quiet.Round(10*time.Millisecond)); s.Rejected > 0 && s.LastBad != "" {
				text += "; rejected: " + s.LastBad
			}
			d.okIf(s.Quiet < max(quiet, d.Patience), what, "%s", text)
		}
	}
}

// source opens a source and waits for what it says.
func (d *Doctor) source(ctx context.Context, s *config.Source, reg *sensors.Registry) {
	what := "source " + s.Name
	clock := agent.NewClock(time.Now)
	b, err := d.through(ctx, s)
	if err != nil {
		d.okIf(errors.Is(err, bridge.ErrInUse), what, "%v", err)
		return
	}
	if b != nil {
		defer b.Close()
	}
	src, err := assemble.Probe(d.Conf, s, reg, clock.Now, b)
	if err != nil {
		d.bad(what, "%v", err)
		return
	}
	text, err := sensors.Try(ctx, src, s.Place(), d.Patience)
	if err != nil {
		d.bad(what, "%v", err)
		return
	}
	d.ok(what, "%s", text)
}

// through connects the bridge that a source reads through, nil where it reads by itself.
func (d *Doctor) through(ctx context.Context, s *config.Source) (*bridge.Bridge, error) {
	if s.Bridge == nil {
		return nil, nil
	}
	o, err := assemble.BridgeOptions(d.Conf)
	if err != nil {
		return nil, err
	}
	if _, err := o.Left(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.Patience)
	defer cancel()
	return bridge.Connect(ctx, o)
}

// bridge reverts what a program that died has left under lease. The controller's port is not opened for
// less: that restarts many boards. agentRuns tells who has it where it is in use.
func (d *Doctor) bridge(ctx context.Context, agentRuns bool) {
	o, err := assemble.BridgeOptions(d.Conf)
	if err != nil {
		d.bad("bridge", "%v", err)
		return
	}
	left, err := o.Left()
	switch {
	case errors.Is(err, bridge.ErrInUse):
		holder := "another process"
		if agentRuns {
			holder = "the running agent"
		}
		d.ok("bridge", "%s has it, and its leases are in force", holder)
	case err != nil:
		d.bad("bridge", "%v", err)
	case len(left) == 0:
		d.ok("bridge", "no lease was left behind; 'stirwatch bridge probe' asks the controller")
	default:
		if err := assemble.RevertLeft(ctx, d.Conf, o, d.Notes); err != nil {
			d.bad("bridge", "%v", err)
			return
		}
		d.ok("bridge", "%s: in the safe state", strings.Join(left, ", "))
	}
}

// influx writes a row of each measurement and reads it back.
func (d *Doctor) influx(ctx context.Context) {
	o, err := assemble.InfluxOptions(d.Conf, nil)
	if err != nil {
		d.bad("influxdb", "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, max(d.Patience, 3*time.Second))
	defer cancel()
	all, unread, err := influx.Check(ctx, o)
	if err != nil {
		d.bad("influxdb", "%s, bucket %s: %v", o.URL, o.Bucket, err)
		return
	}
	taken, back := 0, 0
	for _, f := range all {
		switch {
		case f.Err != nil:
			d.bad("influxdb", "%s are refused: %v", f.Measurement, f.Err)
			continue
		case f.Back:
			back++
		case unread == nil:
			d.bad("influxdb", "%s were taken and are not there", f.Measurement)
		}
		taken++
	}
	switch {
	case taken == 0:
	case unread != nil:
		d.ok("influxdb", "%s takes records of %d measurements into bucket %s; reading them back is not possible: %v", o.URL, taken, o.Bucket, unread)
	default:
		d.ok("influxdb", "%s takes records of %d measurements into bucket %s; %d were read back", o.URL, taken, o.Bucket, back)
	}
}
