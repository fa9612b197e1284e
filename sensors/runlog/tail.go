package runlog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
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
// Where its sink is a [sensors.Keeper], it goes on after a restart with the row after the last that was recorded, also in a
// file that was moved meanwhile, and of a pattern with all files that were written since, in the order of their last
// writing. The file is read from its beginning for that, as what is found out about it is needed. What is not there
// any more is told as a gap.
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
	keeper sensors.Keeper
	past   *place // how far it was read before, until that file is found again; nil: not known
	left   mark   // of the file that was read to its end last; of a pattern only what comes after it is read
}

// finished is a file that was read to its end and left for a newer one.
type finished struct {
	info  os.FileInfo
	size  int64
	place place
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
	t.begin(to)
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

// begin looks up how far the log was read before.
func (t *Tail) begin(to sensors.Sink) {
	t.since, t.silent, t.looked = t.opt.Clock(), false, 0
	t.past, t.left = nil, mark{}
	if t.keeper, _ = to.(sensors.Keeper); t.keeper != nil {
		t.past = readPlace(t.keeper.Place(t.opt.Name), t.opt.Path)
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
			path, past, err := t.first(to)
			if err != nil {
				return err
			}
			if path == "" {
				t.quiet(to, "there is no such file yet: "+t.opt.Path, 0)
				return nil
			}
			if err := t.open(path, past, to); err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					return nil // renamed between the two looks
				}
				return err
			}
			t.past = nil
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
			if err := t.open(path, place{}, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
			t.left = file{t.cur.path, info}.mark()
			t.done = append(t.done, finished{info, info.Size(), t.cur.place()})
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

// file is one that may be followed.
type file struct {
	path string
	info os.FileInfo
}

// files are those that may be followed and are not read to their end, of a pattern by name.
func (t *Tail) files() (all []file, err error) {
	paths := []string{t.opt.Path}
	if t.pattern() {
		if paths, err = filepath.Glob(t.opt.Path); err != nil {
			return nil, err
		}
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			if !t.pattern() && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			continue
		}
		switch {
		case info.Mode().IsRegular():
		case t.pattern():
			continue
		case info.IsDir():
			return nil, fmt.Errorf("%s is a folder: name a file in it, or a pattern such as %s", path, filepath.Join(path, "*.csv"))
		default:
			return nil, fmt.Errorf("%s is not a file", path)
		}
		if !slices.ContainsFunc(t.done, func(f finished) bool { return os.SameFile(f.info, info) && f.size == info.Size() }) {
			all = append(all, file{path, info})
		}
	}
	return all, nil
}

func (f file) mark() mark { return mark{f.info.ModTime(), f.path} }

// mark puts files in the order in which they were last written, names deciding between equal times.
type mark struct {
	written time.Time
	path    string
}

func (m mark) compare(other mark) int {
	return cmp.Or(m.written.Compare(other.written), strings.Compare(m.path, other.path))
}

func byWriting(a, b file) int { return a.mark().compare(b.mark()) }

// first is the file to begin with, "" if there is none: of a pattern the one written last, names deciding between equal
// times, unless it is known how far was read before. past is what was handed out of it.
func (t *Tail) first(to sensors.Sink) (path string, past place, err error) {
	all, err := t.files()
	if err != nil {
		return "", place{}, err
	}
	if t.past != nil {
		if path := t.find(all); path != "" {
			return path, *t.past, nil
		}
		t.event(to, sensors.Gap, 0, fmt.Sprintf("%s, which was read up to line %d, is not there any more: what was written to it since is missing", t.past.File, t.past.Row))
		t.health.Gaps.Add(1)
		if !t.pattern() { // its writer may have truncated it
			past.Header = t.past.Header
		}
		t.left, t.past = mark{written: time.Unix(0, t.past.Written)}, nil
	}
	if t.left != (mark{}) {
		all = slices.DeleteFunc(all, func(f file) bool { return t.pattern() && f.mark().compare(t.left) < 0 })
		if len(all) == 0 {
			return "", place{}, nil
		}
		path = slices.MinFunc(all, byWriting).path
		if p := t.before(path); p.Row > 0 {
			past = p
		}
		return path, past, nil
	}
	if len(all) == 0 {
		return "", place{}, nil
	}
	return slices.MaxFunc(all, byWriting).path, place{}, nil
}

// find gives the file that has what was read before, which may have been moved, "" if none has.
func (t *Tail) find(all []file) string {
	paths := []string{t.past.File}
	for _, f := range all {
		paths = append(paths, f.path)
	}
	if !t.pattern() { // moved by what rotates it, such as to log.1
		if moved, err := filepath.Glob(t.opt.Path + "*"); err == nil {
			paths = append(paths, moved...)
		}
	}
	for _, path := range paths {
		if t.past.in(path) {
			return path
		}
	}
	return ""
}

// before is what was handed out of a file that was left for another one and has been written to since.
func (t *Tail) before(path string) place {
	for i := len(t.done) - 1; i >= 0; i-- {
		if p := &t.done[i].place; p.File == path && p.Row > 0 && p.in(path) {
			return *p
		}
	}
	return place{}
}

// successor is the file that is to be followed after this one, "" if none: of a pattern the next that was written to.
func (t *Tail) successor() (string, error) {
	if t.pattern() {
		now := t.opt.Clock()
		if now-t.looked < lookEvery {
			return "", nil
		}
		t.looked = now
	}
	all, err := t.files()
	all = slices.DeleteFunc(all, func(f file) bool { // an older file is no successor of one that was moved away
		return os.SameFile(f.info, t.cur.info) || t.pattern() && f.mark().compare(file{t.cur.path, t.cur.info}.mark()) < 0
	})
	if err != nil || len(all) == 0 {
		return "", err
	}
	return slices.MinFunc(all, byWriting).path, nil
}

// open begins to read a file, of which past was handed out before.
func (t *Tail) open(path string, past place, to sensors.Sink) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	f := &follower{path: path, file: file, info: info, tail: t, to: to, past: past}
	f.dec = &decoder{opt: t.opt.Options, onRow: f.row, onSkip: f.skip, onStep: f.step, onNote: f.note, onHeader: f.begin}
	f.dec.before.known = past.known(t.opt.Options)
	f.units = newDetector(t.opt.Units)
	t.cur = f
	t.health.Connects.Add(1)
	t.health.Connected.Store(true)
	text := "reading " + path
	if past.Row > 0 {
		text += fmt.Sprintf(", going on after line %d", past.Row)
	}
	t.event(to, sensors.Connected, 0, text)
	return nil
}

// drain reads to the end of the file and emits.
func (t *Tail) drain(ctx context.Context, to sensors.Sink) error {
	f := t.cur
	for ctx.Err() == nil {
		n, err := f.file.ReadAt(t.buf, f.offset)
		if n > 0 {
			f.offset += int64(n)
			f.seen(t.buf[:n])
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
		t.emit(to)
		t.batch = t.batch[:0]
	}
}

// emit hands the batch over, with the place that is reached with it.
func (t *Tail) emit(to sensors.Sink) {
	if t.keeper == nil {
		to.Emit(t.batch, nil)
		return
	}
	text, err := json.Marshal(t.cur.place())
	if err != nil {
		panic(err) // it holds numbers and words
	}
	t.keeper.EmitUpTo(t.batch, t.opt.Name, text)
}
