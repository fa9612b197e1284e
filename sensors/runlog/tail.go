package runlog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stirwatch/sensors"
)

// TailOptions describe a log to follow. Options.Channels is taken from the registry; MELD
// columns without a channel there are left out.
type TailOptions struct {
	Options
	Name     string // of the source
	Path     string // a file, or a pattern such as /logs/*.csv: its newest file is followed
	Registry *sensors.Registry
	Clock    sensors.Clock // nil: the system's
	// DeviceClock lets the log's stamps rule (Sample.Time); otherwise the time of reading does.
	DeviceClock bool
	Once        bool          // stop at the end of the newest file; it must exist
	Interval    time.Duration // between looks at the file; 0: 200 ms
	Silence     time.Duration // without a new row for so long the log is called silent; 0: 30 s
}

// Tail follows a growing log as a [sensors.Source]. It begins with the first row of the newest
// file and goes on across rotation: rename and create, copy and truncate, a new file of the
// pattern.
//
// After a restart of the agent the file is read from its beginning again. With the log's
// own stamps that is harmless: a sample of the same channel and stamp overwrites itself in the
// record.
//
// Columns whose unit depends on the controller's mode are held back until the mode is settled
// (a few rows of steady spindle power) or while a change of mode is suspected; all others go
// out at once.
type Tail struct {
	opt    TailOptions
	health sensors.Health
	batch  []sensors.Sample
	buf    []byte
	cur    *follower
	done   []finished
	since  int64 // arrival of the newest row, or the start
	silent bool
	stamp  int64 // of the newest row where the time of reading rules
	looked int64 // when the pattern was last expanded
}

// finished is a file that was read to its end and left for a newer one.
type finished struct {
	info os.FileInfo
	size int64
}

const (
	batchSize  = 1024
	maxHeld    = 20000 // rows kept while the units are not known
	maxDoubted = 120   // rows kept while a change of units is suspected
	headSize   = 512   // bytes that tell one content of a file from another
	lookEvery  = int64(time.Second)
)

// NewTail checks the options; the file need not exist yet.
func NewTail(opt TailOptions) (*Tail, error) {
	if opt.Path == "" || opt.Registry == nil {
		return nil, errors.New("run log: a path and a registry are needed")
	}
	if _, err := filepath.Match(filepath.Base(opt.Path), "x"); err != nil {
		return nil, fmt.Errorf("run log %s: %w", opt.Path, err)
	}
	for _, f := range opt.Fields {
		if _, ok := opt.Registry.Lookup(f.Channel); !ok {
			return nil, fmt.Errorf("run log %s: column %q goes to channel %q, which is not declared", opt.Path, f.Key, f.Channel)
		}
	}
	if opt.Time.Key != "" {
		if _, err := newStamps(opt.Time, opt.Location); err != nil {
			return nil, fmt.Errorf("run log %s: %w", opt.Path, err)
		}
	}
	opt.Channels = nil
	for i := range opt.Registry.Len() {
		opt.Channels = append(opt.Channels, *opt.Registry.Channel(sensors.ChannelID(i)))
	}
	opt.onlyChannels, opt.untimed, opt.elapsed = true, !opt.DeviceClock, !opt.DeviceClock
	opt.Name = cmp.Or(opt.Name, opt.Path)
	opt.Interval = cmp.Or(opt.Interval, 200*time.Millisecond)
	opt.Silence = cmp.Or(opt.Silence, 30*time.Second)
	if opt.Clock == nil {
		opt.Clock = func() int64 { return time.Now().UnixNano() }
	}
	return &Tail{opt: opt, buf: make([]byte, 64<<10)}, nil
}

// Name is the source's name, the path if none was given.
func (t *Tail) Name() string { return t.opt.Name }

// Health counts rows as messages and lines that could not be read as rejected.
func (t *Tail) Health() *sensors.Health { return &t.health }

// Run follows the log until ctx ends or, with Once, to its end. It fails on a file that cannot be opened or read, or whose
// header cannot be used.
func (t *Tail) Run(ctx context.Context, to sensors.Sink) error {
	t.since, t.silent, t.looked = t.opt.Clock(), false, 0
	defer t.leave()
	tick := time.NewTicker(t.opt.Interval)
	defer tick.Stop()
	for {
		if err := t.look(ctx, to); err != nil {
			t.health.Fail(err)
			return fmt.Errorf("run log %s: %w", t.opt.Path, err)
		}
		if t.opt.Once && ctx.Err() == nil {
			if t.cur == nil {
				return fmt.Errorf("run log %s: %w", t.opt.Path, fs.ErrNotExist)
			}
			if err := t.finish(to); err != nil {
				return fmt.Errorf("run log %s: %w", t.opt.Path, err)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (t *Tail) leave() {
	if t.cur != nil {
		t.cur.file.Close()
		t.cur = nil
	}
	t.health.Connected.Store(false)
}

// look takes what has been written since the last time and follows a rotation.
func (t *Tail) look(ctx context.Context, to sensors.Sink) error {
	for ctx.Err() == nil {
		if t.cur == nil {
			path, err := t.newest()
			if err != nil {
				return err
			}
			if path == "" {
				t.quiet(to, "there is no such file yet: "+t.opt.Path, 0)
				return nil
			}
			if err := t.open(path, to); err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					return nil // renamed between the two looks
				}
				return err
			}
		}
		rewritten, err := t.cur.rewritten()
		if err != nil {
			return err
		}
		if rewritten {
			t.event(to, sensors.Gap, 0, t.cur.path+" was truncated or overwritten: reading it from the beginning")
			t.health.Gaps.Add(1)
			path, known := t.cur.path, t.cur.dec
			if err := t.finish(to); err != nil {
				t.event(to, sensors.Doubted, 0, err.Error())
			}
			t.leave()
			if err := t.open(path, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if t.cur != nil { // a writer that goes on where it was writes no other header
				t.cur.dec.before.known = known.latest()
			}
			continue
		}
		if err := t.drain(ctx, to); err != nil {
			return err
		}
		next, err := t.successor()
		if err != nil || next == "" {
			t.quiet(to, "no new row in "+t.cur.path, t.opt.Silence)
			return err
		}
		// What its writer added before it turned to the new file.
		if err := t.drain(ctx, to); err != nil {
			return err
		}
		if err := t.finish(to); err != nil {
			t.event(to, sensors.Doubted, 0, err.Error())
		}
		if info, err := t.cur.file.Stat(); err == nil {
			t.done = append(t.done, finished{info, info.Size()})
			if len(t.done) > 256 {
				t.done = slices.Delete(t.done, 0, 1)
			}
		}
		t.event(to, sensors.Disconnected, 0, "end of "+t.cur.path)
		t.leave()
	}
	return nil
}

func (t *Tail) event(to sensors.Sink, kind sensors.EventKind, n uint64, text string) {
	to.Event(sensors.Event{Time: t.opt.Clock(), Source: t.opt.Name, Kind: kind, Count: n, Text: text})
}

// quiet calls the log silent, once, after so long without a row.
func (t *Tail) quiet(to sensors.Sink, text string, after time.Duration) {
	if !t.silent && t.opt.Clock()-t.since >= int64(after) {
		t.silent = true
		t.event(to, sensors.Silent, 0, text)
	}
}

func (t *Tail) pattern() bool { return strings.ContainsAny(filepath.Base(t.opt.Path), "*?[") }

// newest is the file to follow: of a pattern the one written last, names deciding between equal
// times; "" if there is none.
func (t *Tail) newest() (string, error) {
	paths := []string{t.opt.Path}
	if t.pattern() {
		var err error
		if paths, err = filepath.Glob(t.opt.Path); err != nil {
			return "", err
		}
	}
	best, written := "", time.Time{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			if !t.pattern() && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			continue
		}
		switch {
		case info.Mode().IsRegular():
		case t.pattern():
			continue
		case info.IsDir():
			return "", fmt.Errorf("%s is a folder: name a file in it, or a pattern such as %s", path, filepath.Join(path, "*.csv"))
		default:
			return "", fmt.Errorf("%s is not a file", path)
		}
		read := slices.ContainsFunc(t.done, func(f finished) bool { return os.SameFile(f.info, info) && f.size == info.Size() })
		if !read && !info.ModTime().Before(written) { // Glob sorts by name
			best, written = path, info.ModTime()
		}
	}
	return best, nil
}

// successor is another file that is to be followed instead of this one, "" if none.
func (t *Tail) successor() (string, error) {
	if t.pattern() {
		now := t.opt.Clock()
		if now-t.looked < lookEvery {
			return "", nil
		}
		t.looked = now
	}
	path, err := t.newest()
	if err != nil || path == "" {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil || os.SameFile(info, t.cur.info) || t.pattern() && info.ModTime().Before(t.cur.info.ModTime()) {
		return "", nil // an older file is no successor of one that was moved away
	}
	return path, nil
}

func (t *Tail) open(path string, to sensors.Sink) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	f := &follower{path: path, file: file, info: info, tail: t, to: to}
	f.dec = &decoder{opt: t.opt.Options, onRow: f.row, onSkip: f.skip, onStep: f.step, onNote: f.note, onHeader: f.begin}
	f.units = newDetector(t.opt.Units)
	t.cur = f
	t.health.Connects.Add(1)
	t.health.Connected.Store(true)
	t.event(to, sensors.Connected, 0, "reading "+path)
	return nil
}

// drain reads to the end of the file and emits.
func (t *Tail) drain(ctx context.Context, to sensors.Sink) error {
	f := t.cur
	for ctx.Err() == nil {
		n, err := f.file.ReadAt(t.buf, f.offset)
		if n > 0 {
			f.offset += int64(n)
			if n == len(t.buf) && t.buf[0] == 0 && t.buf[n-1] == 0 && len(bytes.TrimLeft(t.buf, "\x00")) == 0 {
				f.leap()
			}
			if len(f.head) < headSize {
				f.head = append(f.head, t.buf[:min(n, headSize-len(f.head))]...)
			}
			t.health.Bytes.Add(uint64(n))
			f.arrival = t.opt.Clock()
			ferr := f.text.feed(t.buf[:n], f.whole)
			t.flush(to)
			if ferr != nil {
				return fmt.Errorf("%s: %w", f.path, ferr)
			}
		}
		if err == io.EOF || err == nil && n == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finish takes the last line of a file that will not grow any more, and the rows held back. It fails if no
// header was found that can be used.
func (t *Tail) finish(to sensors.Sink) error {
	f := t.cur
	f.arrival = t.opt.Clock()
	var err error
	if rest := f.text.rest(); rest != nil {
		err = f.line(rest, false)
	}
	if err == nil && f.dec.blank() {
		err = f.dec.noHeader()
	}
	f.dec.finish()
	if len(f.held) > 0 {
		if f.units.mode == Auto {
			f.lose(len(f.held), "the file ended before its units could be told")
		} else {
			f.release(f.units.n)
		}
	}
	t.flush(to)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return nil
}

func (t *Tail) flush(to sensors.Sink) {
	if len(t.batch) > 0 {
		t.health.Samples.Add(uint64(len(t.batch)))
		to.Emit(t.batch, nil)
		t.batch = t.batch[:0]
	}
}
