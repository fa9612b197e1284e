package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

// writeWide writes a row for each instant. It reads the record twice: first for the columns, then window by window,
// so that what was recorded late stands where it belongs.
func writeWide(ctx context.Context, w io.Writer, r *journal.Reader, q journal.Query, o Options) (rows int64, err error) {
	p, err := planWide(ctx, r, q, o)
	var damage *journal.DamageError
	if err != nil && !errors.As(err, &damage) {
		return 0, err
	}
	out, err := newSheet(w, o, p.columns)
	if err != nil {
		return 0, err
	}
	for from := p.first; from <= p.last && err == nil; from += p.window {
		rows, err = p.write(ctx, r, from, rows, out)
		if errors.As(err, new(*journal.DamageError)) { // told already
			err = nil
		}
		if q.Progress != nil {
			q.Progress(min(from+p.window, p.last)-p.first, p.last-p.first)
		}
	}
	if err == nil && damage != nil {
		err = damage
	}
	if err = finish(err, out.end); err == nil {
		err = p.asked.missing()
	}
	return rows, err
}

// measuredAs names a column: a channel whose unit has changed has one for each.
type measuredAs struct{ channel, unit string }

// wide is the plan of a wide table.
type wide struct {
	columns     []column // time first
	place       map[measuredAs]int
	asked       chosen
	first, last int64 // ns; windows begin at first
	end         int64 // of what was asked for
	window      int64
	every       int64
	readings    []reading
	cells       []cell
}

// reading is one value of a window.
type reading struct {
	time   int64
	column int
	value  float64
}

// inWindow is about how many readings are held in memory at once.
const inWindow = 200_000

// planWide finds the columns and the span of what q selects.
func planWide(ctx context.Context, r *journal.Reader, q journal.Query, o Options) (*wide, error) {
	p := &wide{columns: []column{{name: "time"}}, place: map[measuredAs]int{}, asked: choose(o.Channels),
		first: math.MaxInt64, last: math.MinInt64, every: int64(o.Every), end: q.To}
	if p.end == 0 {
		p.end = math.MaxInt64
	}
	n := int64(0)
	err := journal.Rows(ctx, r, journal.Query{From: q.From, To: q.To, Measurement: q.Measurement}, func(s *record.Sample) error {
		if !p.asked.takes(s.Channel) || s.Quality != "" {
			return nil
		}
		n++
		p.first, p.last = min(p.first, s.Time), max(p.last, s.Time)
		if key := (measuredAs{s.Channel, s.Unit}); p.place[key] == 0 {
			name := s.Channel
			if s.Unit != "" {
				name = fmt.Sprintf("%s (%s)", s.Channel, s.Unit)
			}
			p.place[key] = len(p.columns)
			p.columns = append(p.columns, column{name, number, true})
		}
		return nil
	})
	if n == 0 {
		p.first, p.last, p.window = 0, -1, 1
		return p, err
	}
	p.window = max(int64(10*time.Minute), (p.last-p.first)/max(n/inWindow, 1))
	if p.every > 0 { // a window begins and ends with a row
		p.first = stepUp(p.first, p.every) - p.every + 1
		p.window = stepUp(p.window, p.every)
	}
	p.cells = make([]cell, len(p.columns))
	return p, err
}

// stepUp is the first multiple of step that is not below v.
func stepUp(v, step int64) int64 {
	down := v - v%step
	if v%step > 0 {
		return down + step
	}
	return down
}

// write writes the window that begins at from.
func (p *wide) write(ctx context.Context, r *journal.Reader, from, rows int64, out sheet) (int64, error) {
	p.readings = p.readings[:0]
	q := journal.Query{From: from, To: min(from+p.window, p.end), Measurement: record.Samples}
	err := journal.Rows(ctx, r, q, func(s *record.Sample) error {
		if at := p.place[measuredAs{s.Channel, s.Unit}]; at != 0 && s.Quality == "" {
			p.readings = append(p.readings, reading{s.Time, at, s.Value})
		}
		return nil
	})
	if err != nil && !errors.As(err, new(*journal.DamageError)) {
		return rows, err
	}
	slices.SortStableFunc(p.readings, func(a, b reading) int { return cmp.Compare(a.time, b.time) })
	for rest := p.readings; len(rest) > 0; {
		row := rest[0].time
		if p.every > 0 {
			row = stepUp(row, p.every)
		}
		for i := range p.cells {
			p.cells[i] = cell{missing: true}
		}
		p.cells[0] = cell{whole: row}
		for len(rest) > 0 && rest[0].time <= row {
			p.cells[rest[0].column] = numberCell(rest[0].value)
			rest = rest[1:]
		}
		rows++
		if err := out.row(p.cells); err != nil {
			return rows, err
		}
	}
	return rows, err
}
