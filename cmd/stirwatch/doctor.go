package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"stirwatch/agent"
	"stirwatch/agent/influx"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
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
whether the journal's folder can be written, and writes one record to InfluxDB (measurement
health, source=doctor). What a program that died has left under lease of the bridge is reverted;
otherwise the controller is left alone, as are the agent's journal and its broker's session. Where
an agent is running on the same serial port, end it first.

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
	reg, err := newRegistry(d.conf)
	if err != nil {
		d.say(false, "channels", "%v", err)
		return
	}
	d.model(reg)
	d.disk()
	for i := range d.conf.Sources {
		if ctx.Err() == nil {
			d.source(ctx, &d.conf.Sources[i], reg)
		}
	}
	if d.conf.Bridge != nil && ctx.Err() == nil {
		d.bridge(ctx)
	}
	if d.conf.InfluxDB != nil && ctx.Err() == nil {
		d.influx(ctx, reg)
	}
}

// bridge reverts what a program that died has left under lease. The controller's port is not opened for
// less: that restarts many boards.
func (d *doctor) bridge(ctx context.Context) {
	o, err := checkedBridgeOptions(d.conf)
	if err != nil {
		d.say(false, "bridge", "%v", err)
		return
	}
	left, err := o.Left()
	switch {
	case errors.Is(err, bridge.ErrInUse):
		d.say(true, "bridge", "another process has it, and its leases are in force")
	case err != nil:
		d.say(false, "bridge", "%v", err)
	case len(left) == 0:
		d.say(true, "bridge", "no lease was left behind; 'stirwatch bridge probe' asks the controller")
	default:
		if err := revertLeft(ctx, d.conf, o, d.w); err != nil {
			d.say(false, "bridge", "%v", err)
			return
		}
		d.say(true, "bridge", "%s: in the safe state", strings.Join(left, ", "))
	}
}

func (d *doctor) clock() {
	now := time.Now()
	d.say(now.Year() >= 2025, "clock", "%s", now.Format(time.RFC3339))
}

func (d *doctor) model(reg *sensors.Registry) {
	m, err := loadModel(d.conf)
	switch {
	case err != nil:
		d.say(false, "model", "%v", err)
	case m == nil:
		d.say(true, "model", "none: monitoring without estimate and forecast ('stirwatch learn' makes one)")
	default:
		_, err := agent.New(agent.Options{Registry: reg, Model: m, Process: processOptions(d.conf), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			d.say(false, "model", "%s: %v", d.conf.Model.File, err)
			return
		}
		d.say(true, "model", "%s, learned %s from %d runs", d.conf.Model.File, m.Provenance.Learned, len(m.Provenance.Runs))
	}
}

func (d *doctor) disk() {
	dir := filepath.Dir(d.conf.Abs(d.conf.Journal.Path))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		d.say(false, "journal", "%v", err)
		return
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		d.say(false, "journal", "the folder cannot be written: %v", err)
		return
	}
	began := time.Now()
	_, err = f.Write(make([]byte, 4096))
	if err == nil {
		err = f.Sync()
	}
	took := time.Since(began)
	f.Close()
	os.Remove(f.Name())
	if err != nil {
		d.say(false, "journal", "%s: %v", dir, err)
		return
	}
	var fs unix.Statfs_t
	free := int64(-1)
	if unix.Statfs(dir, &fs) == nil {
		free = int64(fs.Bavail) * int64(fs.Bsize)
	}
	d.say(free < 0 || free > int64(d.conf.Journal.Size), "journal", "%s: 4 KiB are safe in %v, %d MB free, the journal may take %s",
		dir, took.Round(10*time.Microsecond), free/1e6, d.conf.Journal.Size)
}

// listener counts what a source gives and keeps nothing.
type listener struct {
	samples atomic.Int64
	enough  context.CancelFunc
}

// Emit leaves messages unacknowledged: they are the agent's.
func (l *listener) Emit(samples []sensors.Sample, _ sensors.Acker) {
	if l.samples.Add(int64(len(samples))) >= 3 {
		l.enough()
	}
}

func (l *listener) Event(sensors.Event) {}

func (d *doctor) source(ctx context.Context, s *config.Source, reg *sensors.Registry) {
	what := "source " + s.Name
	clock := agent.NewClock(time.Now)
	src, err := newProbe(d.conf, s, reg, clock.Now)
	if err != nil {
		d.say(false, what, "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.patience)
	defer cancel()
	l := &listener{enough: cancel}
	err = src.Run(ctx, l)
	h := src.Health().Snapshot()
	switch {
	case l.samples.Load() > 0:
		d.say(true, what, "%d samples in %d messages, %d rejected, skew %v", l.samples.Load(), h.Messages, h.Rejected, h.Skew.Round(time.Millisecond))
	case err != nil && ctx.Err() == nil:
		d.say(false, what, "%v", err)
	case h.Rejected > 0:
		d.say(false, what, "%d messages came and none could be read; the last: %s", h.Rejected, h.LastBad)
	case h.LastError != "":
		d.say(false, what, "%s", h.LastError)
	case h.Connects > 0:
		d.say(false, what, "%s is open, but nothing came within %v; is the device sending, and are names and topics right?", place(s), d.patience)
	default:
		d.say(false, what, "%s is not there within %v", place(s), d.patience)
	}
}

// place is what a source reads, as the configuration names it.
func place(s *config.Source) string {
	switch {
	case s.Serial != nil:
		return string(s.Serial.Port)
	case s.MQTT != nil:
		return string(s.MQTT.Broker)
	default:
		return string(s.Log.Path)
	}
}

// influx sends one record through a journal and an uploader of its own.
func (d *doctor) influx(ctx context.Context, reg *sensors.Registry) {
	dir, err := os.MkdirTemp("", "stirwatch-doctor-")
	if err != nil {
		d.say(false, "influxdb", "%v", err)
		return
	}
	defer os.RemoveAll(dir)
	log := slog.New(slog.DiscardHandler)
	j, err := journal.Open(filepath.Join(dir, "journal.db"), journal.Options{Machine: d.conf.Machine, Registry: reg, Log: log})
	if err != nil {
		d.say(false, "influxdb", "%v", err)
		return
	}
	defer j.Close()
	up, err := newUploader(d.conf, j, log)
	if err != nil {
		d.say(false, "influxdb", "%v", err)
		return
	}
	journal.Write(j, record.SourceHealth{Time: time.Now().UnixNano(), Source: "doctor", Connected: true})
	ctx, cancel := context.WithTimeout(ctx, max(d.patience, 3*time.Second))
	defer cancel()
	ended := make(chan struct{})
	go func() { up.Run(ctx); close(ended) }()
	var s influx.State
	for ctx.Err() == nil {
		if s = up.State(); s.SentLines > 0 || s.Err != "" && s.Phase.NeedsAction() {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	<-ended
	c := d.conf.InfluxDB
	if s.SentLines > 0 {
		d.say(true, "influxdb", "%s takes records into bucket %s", c.URL, c.Bucket)
		return
	}
	if s.Err == "" {
		s.Err = "no answer"
	}
	d.say(false, "influxdb", "%s, bucket %s: %s: %s", c.URL, c.Bucket, s.Phase, s.Err)
}
