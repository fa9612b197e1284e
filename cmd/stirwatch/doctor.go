package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/agent/api"
	"stirwatch/agent/influx"
	"stirwatch/agent/journal"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
)

func doctorCommand() *cobra.Command {
	var path string
	var patience time.Duration
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Try everything that agent.yaml names: model, disk, sources, InfluxDB",
		Long: `Doctor checks the configuration, opens each source for a few seconds and says what came in, tries
whether the journal's folder can be written, and writes a record of each measurement to InfluxDB
(machine=stirwatch doctor) and reads it back. It says how fast the journal fills and which lines
InfluxDB has refused. What a program that died has left under lease of the bridge is reverted;
otherwise the controller is left alone, as are the agent's journal and its broker's session. Where
the agent is running it has the ports, and is asked how its sources do.

Exit code 4: something is to be mended; each line says what.`,
		Example: `  stirwatch doctor
  stirwatch doctor -c /etc/stirwatch/agent.yaml --patience 20s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			d := &doctor{w: cmd.OutOrStdout(), conf: conf, patience: patience}
			d.say(true, "configuration", "%s: machine %s, %d channels, sources %s", path, conf.Machine, len(conf.Channels), sourceNames(conf))
			d.examine(cmd.Context())
			if d.found > 0 {
				return coded{fmt.Errorf("to be mended: %d", d.found), exitFound}
			}
			return nil
		},
	}
	configFlag(c, &path)
	c.Flags().DurationVar(&patience, "patience", 5*time.Second, "how long each source may take to say something")
	return c
}

type doctor struct {
	w        io.Writer
	conf     *config.Config
	patience time.Duration
	found    int
}

// say prints one finding; ok false counts as something to mend.
func (d *doctor) say(ok bool, what, format string, args ...any) {
	mark := "ok  "
	if !ok {
		mark = "BAD "
		d.found++
	}
	fmt.Fprintf(d.w, "%s %-16s %s\n", mark, what, fmt.Sprintf(format, args...))
}

func (d *doctor) examine(ctx context.Context) {
	d.clock()
	for _, text := range d.conf.Exposed() {
		d.say(false, "permissions", "%s", text)
	}
	reg, err := assemble.Registry(d.conf)
	if err != nil {
		d.say(false, "channels", "%v", err)
		return
	}
	d.model(reg)
	d.disk()
	d.record()
	if all, err := agentOf(d.conf).Sources(ctx); !errors.Is(err, api.ErrNoAgent) {
		d.running(all, err)
	} else {
		for i := range d.conf.Sources {
			if ctx.Err() == nil {
				d.source(ctx, &d.conf.Sources[i], reg)
			}
		}
	}
	if d.conf.Bridge != nil && ctx.Err() == nil {
		d.bridge(ctx)
	}
	if d.conf.InfluxDB != nil && ctx.Err() == nil {
		d.influx(ctx)
	}
}

// bridge reverts what a program that died has left under lease. The controller's port is not opened for
// less: that restarts many boards.
func (d *doctor) bridge(ctx context.Context) {
	o, err := assemble.BridgeOptions(d.conf)
	if err != nil {
		d.say(false, "bridge", "%v", err)
		return
	}
	left, err := o.Left()
	switch {
	case errors.Is(err, bridge.ErrInUse):
		d.say(true, "bridge", "%s has it, and its leases are in force", d.holder(ctx))
	case err != nil:
		d.say(false, "bridge", "%v", err)
	case len(left) == 0:
		d.say(true, "bridge", "no lease was left behind; 'stirwatch bridge probe' asks the controller")
	default:
		if err := assemble.RevertLeft(ctx, d.conf, o, d.w); err != nil {
			d.say(false, "bridge", "%v", err)
			return
		}
		d.say(true, "bridge", "%s: in the safe state", strings.Join(left, ", "))
	}
}

// holder names who has the bridge.
func (d *doctor) holder(ctx context.Context) string {
	if _, err := agentOf(d.conf).Sources(ctx); errors.Is(err, api.ErrNoAgent) {
		return "another process"
	}
	return "the running agent"
}

func (d *doctor) clock() {
	now := time.Now()
	d.say(now.Year() >= 2025, "clock", "%s", now.Format(time.RFC3339))
}

func (d *doctor) model(reg *sensors.Registry) {
	m, err := assemble.Model(d.conf)
	switch {
	case err != nil:
		d.say(false, "model", "%v", err)
	case m == nil:
		d.say(true, "model", "none: monitoring without estimate and forecast ('stirwatch learn' makes one)")
	default:
		if err := assemble.CheckModel(d.conf, reg, m); err != nil {
			d.say(false, "model", "%s: %v", d.conf.Model.File, err)
			return
		}
		d.say(true, "model", "%s, learned %s from %d runs", d.conf.Model.File, m.Provenance.Learned, len(m.Provenance.Runs))
	}
}

func (d *doctor) disk() {
	dir := filepath.Dir(d.conf.Abs(d.conf.Journal.Path))
	disk, err := journal.Probe(dir)
	if err != nil {
		d.say(false, "journal", "%s: %v", dir, err)
		return
	}
	free := "free space unknown"
	if disk.Free >= 0 {
		free = fmt.Sprintf("%d MB free", disk.Free/1e6)
	}
	size := assemble.JournalSize(d.conf)
	d.say(disk.Free < 0 || d.conf.Journal.Size == 0 || disk.Free > size, "journal", "%s: 4 KiB are safe in %v, %s, the journal may take %.3g GB",
		dir, disk.Sync.Round(10*time.Microsecond), free, float64(size)/1e9)
}

// running says what the agent that runs knows of the sources: it has the ports.
func (d *doctor) running(all []agent.SourceState, err error) {
	if err != nil {
		d.say(false, "agent", "it runs, and does not tell how its sources do: %v", err)
		return
	}
	for _, s := range all {
		what := "source " + s.Name
		text := fmt.Sprintf("the running agent has it: %d readings in %d messages, %d rejected", s.Samples, s.Messages, s.Rejected)
		switch {
		case !s.Connected:
			d.say(false, what, "%s; it is not connected: %s", text, cmp.Or(s.LastError, "it is being opened"))
		case s.Quiet < 0:
			if text += "; nothing has come yet"; s.LastError != "" {
				text += ": " + s.LastError
			}
			d.say(false, what, "%s", text)
		default:
			if text += fmt.Sprintf(", the last %v ago", s.Quiet.Round(10*time.Millisecond)); s.Rejected > 0 && s.LastBad != "" {
				text += "; rejected: " + s.LastBad
			}
			d.say(s.Quiet < max(quiet, d.patience), what, "%s", text)
		}
	}
}

// quiet is how long a source that a running agent has may say nothing before doctor doubts it.
const quiet = time.Minute

func (d *doctor) source(ctx context.Context, s *config.Source, reg *sensors.Registry) {
	what := "source " + s.Name
	clock := agent.NewClock(time.Now)
	b, err := d.through(ctx, s)
	if err != nil {
		d.say(errors.Is(err, bridge.ErrInUse), what, "%v", err)
		return
	}
	if b != nil {
		defer b.Close()
	}
	src, err := assemble.Probe(d.conf, s, reg, clock.Now, b)
	if err != nil {
		d.say(false, what, "%v", err)
		return
	}
	text, err := sensors.Try(ctx, src, place(s), d.patience)
	if err != nil {
		d.say(false, what, "%v", err)
		return
	}
	d.say(true, what, "%s", text)
}

// through connects the bridge that a source reads through, nil where it reads by itself.
func (d *doctor) through(ctx context.Context, s *config.Source) (*bridge.Bridge, error) {
	if s.Bridge == nil {
		return nil, nil
	}
	o, err := assemble.BridgeOptions(d.conf)
	if err != nil {
		return nil, err
	}
	if _, err := o.Left(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	return bridge.Connect(ctx, o)
}

// place is what a source reads, as the configuration names it.
func place(s *config.Source) string {
	switch {
	case s.Serial != nil:
		return string(s.Serial.Port)
	case s.MQTT != nil:
		return string(s.MQTT.Broker + s.MQTT.Listen)
	case s.Bridge != nil:
		return "the bridge's controller"
	default:
		return string(s.Log.Path)
	}
}

// influx writes a row of each measurement and reads it back.
func (d *doctor) influx(ctx context.Context) {
	o, err := assemble.InfluxOptions(d.conf, nil)
	if err != nil {
		d.say(false, "influxdb", "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, max(d.patience, 3*time.Second))
	defer cancel()
	all, unread, err := influx.Check(ctx, o)
	if err != nil {
		d.say(false, "influxdb", "%s, bucket %s: %v", o.URL, o.Bucket, err)
		return
	}
	taken, back := 0, 0
	for _, f := range all {
		switch {
		case f.Err != nil:
			d.say(false, "influxdb", "%s are refused: %v", f.Measurement, f.Err)
			continue
		case f.Back:
			back++
		case unread == nil:
			d.say(false, "influxdb", "%s were taken and are not there", f.Measurement)
		}
		taken++
	}
	switch {
	case taken == 0:
	case unread != nil:
		d.say(true, "influxdb", "%s takes records of %d measurements into bucket %s; reading them back is not possible: %v", o.URL, taken, o.Bucket, unread)
	default:
		d.say(true, "influxdb", "%s takes records of %d measurements into bucket %s; %d were read back", o.URL, taken, o.Bucket, back)
	}
}

// record looks into the journal, where there is one.
func (d *doctor) record() {
	path := d.conf.Abs(d.conf.Journal.Path)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return
	}
	r, err := journal.OpenReader(path)
	if err != nil {
		d.say(false, "journal", "%v", err)
		return
	}
	defer r.Close()
	f, err := r.Filling(assemble.JournalSize(d.conf), d.conf.Journal.Keep)
	if err != nil {
		d.say(false, "journal", "%v", err)
		return
	}
	if text := f.String(); text != "" {
		d.say(true, "journal", "%s", text)
	}
	unconfirmed, err := r.Unconfirmed()
	if err != nil {
		d.say(false, "journal", "%v", err)
	} else if text := unconfirmed.String(); text != "" {
		d.say(false, "journal", "%s", text)
	}
	refused, err := r.RefusedCounts()
	if err != nil {
		d.say(false, "journal", "%v", err)
	}
	for _, x := range refused {
		if x.Resend < x.Lines {
			d.say(false, "journal", "InfluxDB has refused %d lines of %s: %s. Mend the cause, then: stirwatch journal resend", x.Lines-x.Resend, x.Measurement, x.Reason)
		}
	}
}
