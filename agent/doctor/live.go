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
		case !d.DeviceClock && s.Skew < -sensors.MaxAhead:
			d.bad(what, "%s; %s", text, sensors.StampedAhead(-s.Skew))
		default:
			if text += fmt.Sprintf(", the last %v ago", s.Quiet.Round(10*time.Millisecond)); s.Rejected > 0 && s.LastBad != "" {
				text += "; rejected: " + s.LastBad
			}
			d.okIf(s.Quiet < max(quiet, d.Patience), what, "%s", text)
		}
	}
}

// source opens a source and waits for what it says.
func (d *Doctor) source(ctx context.Context, s *Source) {
	what := "source " + s.Name
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	src, end, err := s.Open(ctx)
	if err != nil {
		d.okIf(errors.Is(err, bridge.ErrInUse), what, "%v", err)
		return
	}
	defer end()
	text, err := sensors.Try(ctx, src, s.Place, d.DeviceClock, d.Patience)
	if err != nil {
		d.bad(what, "%v", err)
		return
	}
	d.ok(what, "%s", text)
}

// bridge reverts what a program that died has left under lease. The controller's port is not opened for
// less: that restarts many boards. agentRuns tells who has it where it is in use.
func (d *Doctor) bridge(ctx context.Context, agentRuns bool) {
	o, err := d.Bridge.Options()
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
		if err := d.Bridge.Revert(ctx, o); err != nil {
			d.bad("bridge", "%v", err)
			return
		}
		d.ok("bridge", "%s: in the safe state", strings.Join(left, ", "))
	}
}

// influx writes a row of each measurement and reads it back.
func (d *Doctor) influx(ctx context.Context) {
	o, err := d.Influx()
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
