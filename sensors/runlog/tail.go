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
	"runtime"
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

// leap goes to the end of a hole, which may be of gigabytes: a writer whose file was truncated goes on where it was.
func (f *follower) leap() {
	const seekData = 3 // SEEK_DATA of Linux, lseek(2); elsewhere the hole is read
	if runtime.GOOS != "linux" {
		return
	}
	if at, err := f.file.Seek(f.offset, seekData); err == nil && at > f.offset {
		f.offset = at
	}
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

// follower reads one file.
type follower struct {
	path    string
	file    *os.File
	info    os.FileInfo
	offset  int64
	head    []byte // the first bytes of the content that is being read
	text    lines
	dec     *decoder
	units   *detector
	tail    *Tail
	to      sensors.Sink
	arrival int64

	channel []sensors.ChannelID // of each column
	detect  bool                // some column depends on the mode
	held    []heldRow           // rows whose mode is not settled, the newest last
	told    int                 // stretches of units announced
	ahead   bool                // told that a stamp is in the future
}

type heldRow struct {
	row     int // counted from 0
	samples []sensors.Sample
	column  []int // of each sample
}

// rewritten tells whether the file no longer begins with what was read from it.
func (f *follower) rewritten() (bool, error) {
	info, err := f.file.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() < f.offset {
		return true, nil
	}
	if info.ModTime().Equal(f.info.ModTime()) && info.Size() == f.info.Size() {
		return false, nil
	}
	f.info = info
	now := f.tail.buf[:len(f.head)]
	if n, err := f.file.ReadAt(now, 0); err != nil && err != io.EOF {
		return false, err
	} else if n < len(f.head) {
		return true, nil
	}
	return !bytes.Equal(now, f.head), nil
}

func (f *follower) whole(b []byte) error { return f.line(b, true) }

func (f *follower) line(b []byte, whole bool) error { return f.dec.line(b, f.text.n, whole) }

// begin finds each column's channel once the header is known.
func (f *follower) begin() error {
	if len(f.dec.cols) == 0 {
		return fmt.Errorf("%w: no column of it goes to a declared channel; the header has %s", ErrFormat, strings.Join(f.dec.header, ", "))
	}
	f.channel = f.channel[:0]
	for _, c := range f.dec.cols {
		id, ok := f.tail.opt.Registry.Lookup(c.Name)
		if !ok {
			return fmt.Errorf("column %q: channel %q is not declared", c.Key, c.Name)
		}
		f.channel = append(f.channel, id)
	}
	f.detect = f.dec.meld && f.dec.byModeAny()
	return nil
}

// note tells what was found out about the file, or is doubted.
func (f *follower) note(n note) {
	kind := sensors.Detected
	if n.doubt {
		kind = sensors.Doubted
	}
	f.tail.event(f.to, kind, 0, fmt.Sprintf("%s line %d: %s", filepath.Base(f.path), n.line, n.text))
}

func (f *follower) skip(s Skip, raw []byte) {
	f.tail.health.Reject(f.to, f.tail.opt.Name, f.tail.opt.Clock(), raw, fmt.Errorf("%s line %d: %s", filepath.Base(f.path), s.Line, s.Why))
}

func (f *follower) step(line int, from, to int64) {
	f.tail.event(f.to, sensors.ClockStep, 0, fmt.Sprintf("%s line %d: the log's clock was set back by %s", filepath.Base(f.path), line, time.Duration(from-to)))
}

// row emits the samples of a row, those that wait for the mode excepted.
func (f *follower) row(r *row) {
	t := f.tail
	t.health.Messages.Add(1)
	t.health.LastData.Store(f.arrival)
	if r.stamped {
		t.health.SkewNS.Store(f.arrival - r.time)
	}
	t.since = f.arrival
	if t.silent {
		t.silent = false
		t.event(f.to, sensors.Resumed, 0, "rows again in "+f.path)
	}
	var mode Mode
	settled := true
	n := f.units.n
	if f.detect {
		f.units.add(r.rpm, r.torque, r.power, &r.pos)
		settled = f.units.settled == f.units.n
		if settled {
			f.release(n)
			mode = f.units.modeAt(n)
		}
	}
	stamp := r.time
	if !t.opt.DeviceClock {
		// Rows read together still need stamps of their own.
		t.stamp = max(t.stamp+1, f.arrival)
		stamp = t.stamp
	} else if ahead := time.Duration(stamp - f.arrival); ahead > sensors.MaxAhead && !f.ahead {
		f.ahead = true
		f.note(note{r.line, fmt.Sprintf("stamped %s, %.3g days ahead of this computer's clock: is the zone, the unit or the epoch of the time another, or a clock wrong?",
			time.Unix(0, stamp).UTC().Format(time.RFC3339Nano), ahead.Hours()/24), true})
	}
	var h *heldRow
	if !settled {
		f.held = append(f.held, heldRow{row: n})
		h = &f.held[len(f.held)-1]
	}
	for i := range f.dec.cols {
		c := &f.dec.cols[i]
		if r.status[i].Signal == sensors.Missing {
			continue
		}
		s := sensors.Sample{Time: stamp, Arrival: f.arrival, Channel: f.channel[i], Status: r.status[i], Value: r.value[i], Sent: r.sent[i]}
		if c.byMode && h != nil {
			h.samples, h.column = append(h.samples, s), append(h.column, i)
			continue
		}
		s.Value = c.by(mode).Apply(s.Value)
		t.batch = append(t.batch, s)
	}
	if len(t.batch) >= batchSize {
		t.flush(f.to)
	}
	if f.detect {
		f.announce()
	}
	switch {
	case len(f.held) == 0:
	case f.units.mode != Auto:
		f.release(max(f.units.settled, n+1-maxDoubted))
	case len(f.held) > maxHeld:
		f.lose(maxHeld/10, "the units of the log cannot be told for lack of spindle power; say them: units inch or mm")
	}
}

// release emits the held samples of the rows before the given one.
func (f *follower) release(before int) {
	k := 0
	for ; k < len(f.held) && f.held[k].row < before; k++ {
		h := &f.held[k]
		mode := f.units.modeAt(h.row)
		for i, s := range h.samples {
			s.Value = f.dec.cols[h.column[i]].by(mode).Apply(s.Value)
			f.tail.batch = append(f.tail.batch, s)
		}
		if len(f.tail.batch) >= batchSize {
			f.tail.flush(f.to)
		}
	}
	if k > 0 {
		f.held = slices.Delete(f.held, 0, k)
	}
}

// lose gives up the n oldest held rows.
func (f *follower) lose(n int, why string) {
	f.held = slices.Delete(f.held, 0, n)
	f.tail.health.Gaps.Add(1)
	f.tail.health.Lost.Add(uint64(n))
	f.tail.event(f.to, sensors.Gap, uint64(n), fmt.Sprintf("%s: lengths, feeds and torque of %d rows given up: %s", filepath.Base(f.path), n, why))
}

// announce tells of stretches of units found since the last time.
func (f *follower) announce() {
	for ; f.told < len(f.units.stretch); f.told++ {
		d := f.units.stretch[f.told]
		if d.To == 0 && d.By != "given" {
			d.measure(f.units.logs)
		}
		f.tail.event(f.to, sensors.Detected, 0, filepath.Base(f.path)+" "+d.String())
	}
}
