package runlog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stirwatch/sensors"
)

// Row is one row of a log that is read row by row. Its slices are used again for the next.
type Row struct {
	Index  int   // its place among the data rows of the file, counted from 0; those that could not be read count as well
	Line   int   // in the file, counted from 1
	Time   int64 // ns since the Unix epoch
	Value  []float64
	Status []sensors.Status
}

// Stream is a log that is read row by row, so that it may be larger than memory. Its Log has the name and the columns; what
// else was found out about the file is there once [Stream.Each] has come to its end, and the rows never.
type Stream struct {
	Log
	Rows int // data rows of the file, once Each has come to its end

	path string
	look *decoder
}

// ErrWhole is returned for a log that can only be read as a whole, with [Read]: the units of a MELD log are told by all its rows.
var ErrWhole = errors.New("the log can only be read as a whole")

// Open looks through the log at path, without keeping its rows. It fails as [Read] does, and with [ErrWhole].
func Open(path string, opt Options) (*Stream, error) {
	opt.elapsed = true
	s := &Stream{path: path, look: &decoder{opt: opt, survey: true, onRow: func(*row) {}}}
	if _, _, err := s.decode(s.look); err != nil {
		return nil, err
	}
	if s.look.meld {
		return nil, ErrWhole
	}
	s.look.keepSigns()
	s.Name, s.Format, s.Ignored = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), CSV, s.look.ignored
	for i := range s.look.cols {
		s.Columns = append(s.Columns, s.look.cols[i].Column)
	}
	return s, nil
}

// decode puts the file through a decoder and gives the number of its lines and its hash.
func (s *Stream) decode(d *decoder) (lines int, hash string, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	sum := sha256.New()
	if lines, err = d.from(io.TeeReader(f, sum)); err != nil {
		return lines, "", s.failed(err)
	}
	return lines, hex.EncodeToString(sum.Sum(nil)), nil
}

func (s *Stream) failed(err error) error { return fmt.Errorf("run log %s: %w", s.path, err) }

// Each reads the log from its beginning and hands out its rows. It ends with the first error of take, which it returns as it
// is, or of the file.
func (s *Stream) Each(take func(*Row) error) error {
	d := s.look.again()
	s.Notes, s.Skipped, s.Skips, s.Steps, s.Bad, s.BadCells, s.Rows = nil, nil, 0, nil, nil, 0, 0
	var lost []int // lines of rows that could not be read, since the last one that could; rising
	back, rows := 0, 0
	var stop error
	out := Row{}
	d.onSkip = func(k Skip, _ []byte) {
		if k.Why == backInTime {
			back++
		}
		if !k.Header {
			at, _ := slices.BinarySearch(lost, k.Line)
			lost = slices.Insert(lost, at, k.Line)
		}
		if s.Skips++; len(s.Skipped) < maxSkips {
			s.Skipped = append(s.Skipped, k)
		}
	}
	d.onStep = func(line int, from, to int64) {
		s.Steps = append(s.Steps, Step{Row: d.rows, Line: line, From: from, To: to})
	}
	d.onNote = func(n note) { s.Notes = append(s.Notes, fmt.Sprintf("line %d: %s", n.line, n.text)) }
	d.onRow = func(r *row) {
		if stop != nil {
			return
		}
		before, _ := slices.BinarySearch(lost, r.line)
		s.Rows += before
		lost = slices.Delete(lost, 0, before)
		out.Index, out.Line, out.Time = s.Rows, r.line, r.time
		if d.clock < 0 { // it has no time: rows are counted
			out.Time = int64(rows) * 1e9
		}
		out.Value, out.Status = append(out.Value[:0], r.value...), append(out.Status[:0], r.status...)
		for i := range d.cols {
			out.Value[i] = d.cols[i].inch.Apply(out.Value[i])
		}
		s.Rows++
		rows++
		stop = take(&out)
	}
	d.stop = func() error { return stop }
	lines, hash, err := s.decode(d)
	switch {
	case stop != nil:
		return stop
	case err != nil:
		return err
	case rows == 0 && len(s.Skipped) > 0:
		return s.failed(fmt.Errorf("%w: not one row in %d lines; line %d: %s", ErrFormat, lines, s.Skipped[0].Line, s.Skipped[0].Why))
	case rows == 0:
		return s.failed(fmt.Errorf("%w: a header but no row", ErrFormat))
	case back > rows:
		return s.failed(fmt.Errorf("%w: %d rows go back in time, and %d do not: is the newest row first? Sort them by time", ErrFormat, back, rows))
	}
	s.Rows += len(lost)
	s.SHA256, s.BadCells = hash, int(d.badCells)
	for i := range d.cols {
		if d.cols[i].bad.Count > 0 {
			s.Bad = append(s.Bad, d.cols[i].bad)
		}
	}
	return nil
}

// again is a decoder of the file that was looked through.
func (d *decoder) again() *decoder {
	a := &decoder{opt: d.opt, whole: true, noMillis: d.noMillis, byName: d.byName, blanks: blanks{aligned: d.aligned, askew: d.askew}}
	if d.stamps != nil {
		a.opt.Time.Order = d.stamps.orders
	}
	return a
}

// from takes a whole file, piece by piece, and returns the number of its lines.
func (d *decoder) from(r io.Reader) (int, error) {
	var l lines
	each := func(line []byte) error {
		if err := d.line(line, l.n, true); err != nil || d.stop == nil {
			return err
		}
		return d.stop()
	}
	piece := make([]byte, 256<<10)
	for {
		n, err := r.Read(piece)
		if e := l.feed(piece[:n], each); e != nil {
			return l.n, e
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return l.n, err
		}
	}
	if rest := l.rest(); rest != nil {
		if err := d.line(rest, l.n, false); err != nil {
			return l.n, err
		}
	}
	if d.blank() {
		return l.n, d.noHeader()
	}
	d.finish()
	return l.n, nil
}
