// Package doctor tries all that an agent stands on, and says what is to be mended.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/api"
	"stirwatch/agent/influx"
	"stirwatch/agent/journal"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
)

// Finding is what was found out about one thing.
type Finding struct {
	OK   bool   `json:"ok"`   // nothing is to be mended
	What string `json:"what"` // thing
	Text string `json:"text"`
}

// String is a line of a list of findings.
func (f Finding) String() string {
	mark := "BAD"
	if f.OK {
		mark = "ok"
	}
	return fmt.Sprintf("%-4s %-16s %s", mark, f.What, f.Text)
}

// Doctor examines what an agent stands on. Model, Running and Found are required.
type Doctor struct {
	Exposed []string               // what others on this computer can read and should not
	Model   func() (string, error) // which model is used, or why it cannot be
	Journal Journal
	Running func(context.Context) ([]agent.SourceState, error) // how the sources of the agent that runs do; [api.ErrNoAgent] where none does
	Sources []Source                                           // tried where no agent runs
	Bridge  *Bridge                                            // nil: there is none
	Influx  func() (influx.Options, error)                     // nil: nothing is uploaded

	DeviceClock bool          // the devices' clock rules (tick.clock)
	Patience    time.Duration // that each source may take to say something
	Found       func(Finding) // gets each finding as it is made
}

// Journal is where the record is kept.
type Journal struct {
	Path  string
	Size  int64         // that it may take, bytes
	Fixed bool          // the size is of the configuration, and not what the disk has
	Keep  time.Duration // age at which records are removed
}

// Source is one that can be tried.
type Source struct {
	Name  string
	Place string // what it reads, as people call it: a port, a broker, a file
	// Open makes it so that it leaves no trace; close ends what it needs. The error is [bridge.ErrInUse] where another
	// process has the line.
	Open func(context.Context) (s sensors.Source, close func(), err error)
}

// Bridge is the way to the controller.
type Bridge struct {
	Options func() (bridge.Options, error)
	Revert  func(context.Context, bridge.Options) error // brings what was left under lease into its safe state
}

// ok tells of something that is as it should be.
func (d *Doctor) ok(what, format string, args ...any) { d.okIf(true, what, format, args...) }

// bad tells of something to mend.
func (d *Doctor) bad(what, format string, args ...any) { d.okIf(false, what, format, args...) }

// okIf tells of what is as it should be if ok.
func (d *Doctor) okIf(ok bool, what, format string, args ...any) {
	d.Found(Finding{ok, what, fmt.Sprintf(format, args...)})
}

// Examine tries one thing after the other until ctx ends. Where an agent runs it has the ports, and is asked instead.
func (d *Doctor) Examine(ctx context.Context) {
	d.clock()
	for _, text := range d.Exposed {
		d.bad("permissions", "%s", text)
	}
	if text, err := d.Model(); err != nil {
		d.bad("model", "%v", err)
	} else {
		d.ok("model", "%s", text)
	}
	d.disk()
	d.record()
	all, err := d.Running(ctx)
	runs := !errors.Is(err, api.ErrNoAgent)
	switch {
	case !runs:
		for i := range d.Sources {
			if ctx.Err() == nil {
				d.source(ctx, &d.Sources[i])
			}
		}
	case err != nil:
		d.bad("agent", "it runs, and does not tell how its sources do: %v", err)
	default:
		d.running(all)
	}
	if d.Bridge != nil && ctx.Err() == nil {
		d.bridge(ctx, runs)
	}
	if d.Influx != nil && ctx.Err() == nil {
		d.influx(ctx)
	}
}

func (d *Doctor) clock() {
	now := time.Now()
	d.okIf(now.Year() >= 2025, "clock", "%s", now.Format(time.RFC3339))
}

func (d *Doctor) disk() {
	dir := filepath.Dir(d.Journal.Path)
	disk, err := journal.Probe(dir)
	if err != nil {
		d.bad("journal", "%s: %v", dir, err)
		return
	}
	free := "free space unknown"
	if disk.Free >= 0 {
		free = fmt.Sprintf("%d MB free", disk.Free/1e6)
	}
	size := d.Journal.Size
	d.okIf(disk.Free < 0 || !d.Journal.Fixed || disk.Free > size, "journal", "%s: 4 KiB are safe in %v, %s, the journal may take %.3g GB",
		dir, disk.Sync.Round(10*time.Microsecond), free, float64(size)/1e9)
}

// record looks into the journal, where there is one.
func (d *Doctor) record() {
	if _, err := os.Stat(d.Journal.Path); errors.Is(err, fs.ErrNotExist) {
		return
	}
	r, err := journal.OpenReader(d.Journal.Path)
	if err != nil {
		d.bad("journal", "%v", err)
		return
	}
	defer r.Close()
	o, err := r.Overview(journal.OverviewOptions{Size: d.Journal.Size, Keep: d.Journal.Keep})
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
