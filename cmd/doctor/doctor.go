// Package doctor tries everything that a configuration names, and says what is to be mended.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"stirwatch/agent/api"
	"stirwatch/agent/journal"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
	"stirwatch/sensors"
)

// Finding is what was found out about one thing.
type Finding struct {
	OK         bool // nothing is to be mended
	What, Text string
}

// String is a line of a list of findings.
func (f Finding) String() string {
	mark := "BAD"
	if f.OK {
		mark = "ok"
	}
	return fmt.Sprintf("%-4s %-16s %s", mark, f.What, f.Text)
}

// Doctor examines what a configuration names.
type Doctor struct {
	Conf     *config.Config
	Patience time.Duration // that each source may take to say something
	Found    func(Finding) // gets each finding as it is made
	Notes    io.Writer     // gets what the bridge decides where it reverts something
}

// ok tells of something that is as it should be.
func (d *Doctor) ok(what, format string, args ...any) {
	d.Found(Finding{true, what, fmt.Sprintf(format, args...)})
}

// bad tells of something to mend.
func (d *Doctor) bad(what, format string, args ...any) {
	d.Found(Finding{false, what, fmt.Sprintf(format, args...)})
}

// okIf tells of what is as it should be if ok.
func (d *Doctor) okIf(ok bool, what, format string, args ...any) {
	d.Found(Finding{ok, what, fmt.Sprintf(format, args...)})
}

// Examine tries one thing after the other until ctx ends. Where an agent runs it has the ports, and is asked instead.
func (d *Doctor) Examine(ctx context.Context) {
	d.clock()
	for _, text := range d.Conf.Exposed() {
		d.bad("permissions", "%s", text)
	}
	reg, err := assemble.Registry(d.Conf)
	if err != nil {
		d.bad("channels", "%v", err)
		return
	}
	d.model(reg)
	d.disk()
	d.record()
	all, err := assemble.Client(d.Conf).Sources(ctx)
	runs := !errors.Is(err, api.ErrNoAgent)
	switch {
	case !runs:
		for i := range d.Conf.Sources {
			if ctx.Err() == nil {
				d.source(ctx, &d.Conf.Sources[i], reg)
			}
		}
	case err != nil:
		d.bad("agent", "it runs, and does not tell how its sources do: %v", err)
	default:
		d.running(all)
	}
	if d.Conf.Bridge != nil && ctx.Err() == nil {
		d.bridge(ctx, runs)
	}
	if d.Conf.InfluxDB != nil && ctx.Err() == nil {
		d.influx(ctx)
	}
}

func (d *Doctor) clock() {
	now := time.Now()
	d.okIf(now.Year() >= 2025, "clock", "%s", now.Format(time.RFC3339))
}

func (d *Doctor) model(reg *sensors.Registry) {
	m, err := assemble.Model(d.Conf)
	switch {
	case err != nil:
		d.bad("model", "%v", err)
	case m == nil:
		d.ok("model", "none: monitoring without estimate and forecast ('stirwatch learn' makes one)")
	default:
		if err := assemble.CheckModel(d.Conf, reg, m); err != nil {
			d.bad("model", "%s: %v", d.Conf.Model.File, err)
			return
		}
		d.ok("model", "%s, learned %s from %d runs", d.Conf.Model.File, m.Provenance.Learned, len(m.Provenance.Runs))
	}
}

func (d *Doctor) disk() {
	dir := filepath.Dir(d.Conf.Abs(d.Conf.Journal.Path))
	disk, err := journal.Probe(dir)
	if err != nil {
		d.bad("journal", "%s: %v", dir, err)
		return
	}
	free := "free space unknown"
	if disk.Free >= 0 {
		free = fmt.Sprintf("%d MB free", disk.Free/1e6)
	}
	size := assemble.JournalSize(d.Conf)
	d.okIf(disk.Free < 0 || d.Conf.Journal.Size == 0 || disk.Free > size, "journal", "%s: 4 KiB are safe in %v, %s, the journal may take %.3g GB",
		dir, disk.Sync.Round(10*time.Microsecond), free, float64(size)/1e9)
}

// record looks into the journal, where there is one.
func (d *Doctor) record() {
	path := d.Conf.Abs(d.Conf.Journal.Path)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return
	}
	r, err := journal.OpenReader(path)
	if err != nil {
		d.bad("journal", "%v", err)
		return
	}
	defer r.Close()
	o, err := r.Overview(journal.OverviewOptions{Size: assemble.JournalSize(d.Conf), Keep: d.Conf.Journal.Keep})
	if err != nil {
		d.bad("journal", "%v", err)
		return
	}
	if text := o.Filling.String(); text != "" {
		d.ok("journal", "%s", text)
	}
	if text := o.Unconfirmed.String(); text != "" {
		d.bad("journal", "%s", text)
	}
	for _, x := range o.Refused {
		if x.Resend < x.Lines {
			d.bad("journal", "InfluxDB has refused %d lines of %s: %s. Mend the cause, then: stirwatch journal resend", x.Lines-x.Resend, x.Measurement, x.Reason)
		}
	}
}
