package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

// writeWide writes a row for each instant. It reads the record twice: first for the columns, then window by window,
// so that what was recorded late stands where it belongs and memory is bounded, whatever the span and however the readings
// are spread over it.
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
	write := p.instants
	if p.every > 0 {
		write = p.steps
	}
	for i := 0; i < len(p.windows) && err == nil; i++ {
		var n int64
		n, err = write(ctx, r, p.windows[i], out)
		rows += n
		if errors.As(err, new(*journal.DamageError)) { // told already
			err = nil
		}
		if q.Progress != nil {
			q.Progress(int64(i+1), int64(len(p.windows)))
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
	columns  []column // time first
	place    map[measuredAs]int
	asked    chosen
	query    journal.Query
	windows  []window // that have readings, in order
	every    int64    // ns between rows; 0: a row for each instant
	readings []reading
	cells    []cell
}

// window is a span of time, to itself not in it, ns since the Unix epoch.
type window struct{ from, to int64 }

// reading is one value of a window.
type reading struct {
	time   int64
	column int // 0: none
	value  float64
}

const (
	inWindow = 200_000                 // about how many readings, or cells, are held in memory at once
	part     = int64(10 * time.Minute) // in which readings are counted
)

// planWide finds the columns and the windows of what q selects.
func planWide(ctx context.Context, r *journal.Reader, q journal.Query, o Options) (*wide, error) {
	q.Measurement = record.Samples
	p := &wide{columns: []column{{name: "time"}}, place: map[measuredAs]int{}, asked: choose(o.Channels), every: int64(o.Every), query: q}
	parts := map[int64]int{} // readings by the begin of their part
	err := journal.Rows(ctx, r, journal.Query{From: q.From, To: q.To, Measurement: q.Measurement}, func(s *record.Sample) error {
		if !p.asked.takes(s.Channel) || s.Quality != "" {
			return nil
		}
		parts[stepDown(s.Time, part)]++
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
	p.cells = make([]cell, len(p.columns))
	length := max(1, inWindow/int64(len(p.columns))) * p.every
	n, next := 0, int64(math.MinInt64)
	for _, begin := range slices.Sorted(maps.Keys(parts)) {
		if last := len(p.windows) - 1; p.every == 0 && last >= 0 && n+parts[begin] <= inWindow {
			p.windows[last].to = begin + part
			n += parts[begin]
			continue
		} else if p.every == 0 {
			p.windows = append(p.windows, window{begin, begin + part})
			n = parts[begin]
			continue
		}
		for from := max(next, stepUp(begin, p.every)-p.every+1); from < begin+part; from = next { // ends with a row
			next = from + length
			p.windows = append(p.windows, window{from, next})
		}
	}
	return p, err
}

// stepDown is the last multiple of step that is not above v.
func stepDown(v, step int64) int64 { return v - (v%step+step)%step }

// stepUp is the first multiple of step that is not below v.
func stepUp(v, step int64) int64 { return -stepDown(-v, step) }

// read gives fn the good readings of a window, in the order they were recorded.
func (p *wide) read(ctx context.Context, r *journal.Reader, w window, fn func(reading)) error {
	q := p.query
	q.From, q.Progress = max(q.From, w.from), nil
	if q.To == 0 || q.To > w.to {
		q.To = w.to
	}
	return journal.Rows(ctx, r, q, func(s *record.Sample) error {
		if at := p.place[measuredAs{s.Channel, s.Unit}]; at != 0 && s.Quality == "" {
			fn(reading{s.Time, at, s.Value})
		}
		return nil
	})
}

// instants writes a row for each instant of a window.
func (p *wide) instants(ctx context.Context, r *journal.Reader, w window, out sheet) (rows int64, err error) {
	p.readings = p.readings[:0]
	err = p.read(ctx, r, w, func(x reading) { p.readings = append(p.readings, x) })
	if err != nil && !errors.As(err, new(*journal.DamageError)) {
		return 0, err
	}
	slices.SortStableFunc(p.readings, func(a, b reading) int { return cmp.Compare(a.time, b.time) })
	for rest := p.readings; len(rest) > 0; {
		p.begin(rest[0].time)
		for len(rest) > 0 && rest[0].time == p.cells[0].whole {
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

// steps writes a row for each step of a window, with the last reading of each channel in it.
func (p *wide) steps(ctx context.Context, r *journal.Reader, w window, out sheet) (rows int64, err error) {
	n := len(p.columns)
	p.readings = append(p.readings[:0], make([]reading, int64(n)*((w.to-w.from)/p.every))...)
	err = p.read(ctx, r, w, func(x reading) {
		if at := &p.readings[int((x.time-w.from)/p.every)*n+x.column]; at.column == 0 || x.time >= at.time {
			*at = x
		}
	})
	if err != nil && !errors.As(err, new(*journal.DamageError)) {
		return 0, err
	}
	for i := 0; i < len(p.readings); i += n {
		p.begin(w.from - 1 + p.every*int64(i/n+1))
		some := false
		for _, x := range p.readings[i : i+n] {
			if x.column != 0 {
				p.cells[x.column], some = numberCell(x.value), true
			}
		}
		if !some {
			continue
		}
		rows++
		if err := out.row(p.cells); err != nil {
			return rows, err
		}
	}
	return rows, err
}

// begin begins an empty row.
func (p *wide) begin(at int64) {
	for i := range p.cells {
		p.cells[i] = cell{missing: true}
	}
	p.cells[0] = cell{whole: at}
}
