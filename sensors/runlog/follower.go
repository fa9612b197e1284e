package runlog

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"stirwatch/sensors"
)

// This file is one file that is followed: its rows as samples, those that wait for their units, and what it says of itself.

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
	absurd  bool                // told of a stamp that cannot be
	saving  int64               // since when the file is shorter than what was read, and has nothing else; 0: it is not

	past     place            // what was handed out before; of the zero place nothing
	known    []sensors.Sample // the newest of each channel up to there, while they are gathered
	before   []byte           // the last bytes that were read, sumSize at most
	newest   int              // line of the newest row
	released int              // held rows of which all was handed out
}

type heldRow struct {
	row     int // counted from 0
	line    int
	samples []sensors.Sample
	column  []int // of each sample
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

// savingFor is how long a file may be saved anew.
const savingFor = int64(2 * time.Second)

// rewritten reports whether the file no longer begins with what was read from it. One whose writer saves it anew with each row
// is shorter for a moment: while it begins as what was read nothing is known. Rows without a time may be equal by chance.
func (f *follower) rewritten() (bool, error) {
	info, err := f.file.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() < f.offset {
		now := f.tail.buf[:min(info.Size(), int64(len(f.head)))]
		n, err := f.file.ReadAt(now, 0)
		if err != nil && err != io.EOF {
			return false, err
		}
		if f.saving == 0 {
			f.saving = f.tail.opt.Clock()
		}
		anew := f.dec.header != nil && f.dec.clock >= 0 && bytes.Equal(now[:n], f.head[:n])
		return !anew || f.tail.opt.Clock()-f.saving > savingFor, nil
	}
	if f.saving != 0 {
		f.saving = 0
		at, now := f.offset-int64(len(f.before)), f.tail.buf[:len(f.before)]
		if n, err := f.file.ReadAt(now, at); err != nil && err != io.EOF || n < len(now) || !bytes.Equal(now, f.before) {
			return true, err
		}
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

func (f *follower) line(b []byte, whole bool) error {
	f.tail.health.Tap.Hear(f.arrival, nil, b)
	return f.dec.line(b, f.text.n, whole)
}

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
	if s.Line <= f.past.Row {
		return // told before
	}
	f.tail.health.Reject(f.to, f.tail.opt.Name, f.tail.opt.Clock(), raw, fmt.Errorf("%s line %d: %s", filepath.Base(f.path), s.Line, s.Why))
}

func (f *follower) step(line int, from, to int64) {
	if line <= f.past.Row {
		return
	}
	f.tail.event(f.to, sensors.ClockStep, 0, fmt.Sprintf("%s line %d: the log's clock was set back by %s", filepath.Base(f.path), line, time.Duration(from-to)))
}

// row emits the samples of a row, those that wait for the mode excepted.
func (f *follower) row(r *row) {
	t := f.tail
	fresh := r.line > f.past.Row                                // none of it was handed out before
	byMode := fresh || f.past.Held > 0 && r.line >= f.past.Held // its columns with a unit by mode were not
	if fresh {
		f.heard(r)
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
	if !t.opt.DeviceClock && byMode {
		// Rows read together still need stamps of their own.
		t.stamp = max(t.stamp+1, f.arrival)
		stamp = t.stamp
	} else if !f.absurd {
		f.absurd = f.doubtStamp(r.line, stamp)
	}
	var h *heldRow
	if !settled && byMode {
		f.held = append(f.held, heldRow{row: n, line: r.line})
		h = &f.held[len(f.held)-1]
	}
	for i := range f.dec.cols {
		c := &f.dec.cols[i]
		if r.status[i].Signal == sensors.Missing || !fresh && !(c.byMode && byMode) {
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
	f.newest = r.line
	if !fresh {
		f.recall(r, mode, settled)
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

// doubtStamp tells of a stamp that rules and that no clock has shown which was ever set, or will show for long; true: it did.
func (f *follower) doubtStamp(line int, stamp int64) bool {
	at := time.Unix(0, stamp).UTC()
	switch ahead := time.Duration(stamp - f.arrival); {
	case ahead > sensors.MaxAhead:
		f.note(note{line, fmt.Sprintf("stamped %s, %.3g days ahead of this computer's clock: is the zone, the unit or the epoch of the time another, or a clock wrong?",
			at.Format(time.RFC3339Nano), ahead.Hours()/24), true})
	case at.Year() < 1980:
		f.note(note{line, fmt.Sprintf("stamped %s: is the unit or the epoch of the time another, or was the clock never set? A time that counts from the start of the log cannot rule: clock: arrival",
			at.Format(time.RFC3339Nano)), true})
	default:
		return false
	}
	return true
}

// recall hands over what was known when the last row of before a restart had been read: until the log goes on that is
// the newest there is. It came no later than the file was last written to. A column whose unit is not settled is left out.
func (f *follower) recall(r *row, mode Mode, settled bool) {
	if f.known == nil {
		f.known = make([]sensors.Sample, f.tail.opt.Registry.Len())
	}
	written := min(f.arrival, f.info.ModTime().UnixNano())
	for i := range f.dec.cols {
		c := &f.dec.cols[i]
		if r.status[i].Signal == sensors.Missing || c.byMode && !settled {
			continue
		}
		s := sensors.Sample{Time: r.time, Arrival: written, Channel: f.channel[i], Status: r.status[i], Value: c.by(mode).Apply(r.value[i]), Sent: r.sent[i]}
		if !f.tail.opt.DeviceClock {
			s.Time = written
		}
		f.known[s.Channel] = s
	}
	if r.line < f.past.Row || f.tail.keeper == nil {
		return
	}
	known := slices.DeleteFunc(f.known, func(s sensors.Sample) bool { return s.Status.Signal == sensors.Missing })
	f.known = nil
	f.tail.keeper.Known(known)
}

// heard notes that the log goes on.
func (f *follower) heard(r *row) {
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
}

// release emits the held samples of the rows before the given one.
func (f *follower) release(before int) {
	for f.released = 0; f.released < len(f.held) && f.held[f.released].row < before; {
		h := &f.held[f.released]
		mode := f.units.modeAt(h.row)
		for i, s := range h.samples {
			s.Value = f.dec.cols[h.column[i]].by(mode).Apply(s.Value)
			f.tail.batch = append(f.tail.batch, s)
		}
		f.released++
		if len(f.tail.batch) >= batchSize {
			f.tail.flush(f.to)
		}
	}
	if f.released > 0 {
		f.held, f.released = slices.Delete(f.held, 0, f.released), 0
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
