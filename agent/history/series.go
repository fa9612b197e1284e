package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// finest is the spacing below which only the newest of samples is kept while reading: memory is
// then bounded however fast a channel comes, and rows are hardly ever nearer than a second.
const finest = 50 * time.Millisecond

// Series holds the samples of one channel in one unit, in order of time.
type Series struct {
	Channel string
	As      string // the role or name it was asked for by
	Unit    unit.Unit
	Time    []int64   // ns since the Unix epoch
	Value   []float64 // NaN where the sample was not good

	maxAge int64 // ns; 0: a sample never gets old
	any    bool  // another dimension is no error: the samples are missing then
	maps   map[string]conversion
}

// conversion is from one unit of the record.
type conversion struct {
	unit.Map
	ok bool
}

// Series reads one channel of a run, asked for by role or by name, in the unit named; "" is the one that
// the channel has now.
func (h *History) Series(ctx context.Context, run journal.Run, name, unitName string) (*Series, error) {
	if _, err := h.Channel(name); err != nil {
		return nil, err
	}
	s := h.find(name)
	if unitName != "" {
		if err := s.in(unitName); err != nil {
			return nil, err
		}
	}
	begin, end, err := h.Span(run)
	if err != nil {
		return nil, err
	}
	return s, h.read(ctx, run, begin, end, []*Series{s})
}

// Channel gives the name of the channel that has a role, or that name.
func (h *History) Channel(name string) (string, error) {
	s := h.find(name)
	if s == nil {
		return "", fmt.Errorf("no channel is %q or has that name", name)
	}
	return s.Channel, nil
}

// find makes an empty series for a role, or a channel of that name; nil if there is neither.
func (h *History) find(name string) *Series {
	id, ok := h.Registry.Find(sensors.Role(name))
	if !ok || sensors.Role(name) == sensors.Other {
		if id, ok = h.Registry.Lookup(name); !ok {
			return nil
		}
	}
	c := h.Registry.Channel(id)
	return &Series{Channel: c.Name, As: name, Unit: c.Unit, maxAge: int64(c.MaxAge)}
}

// in asks for another unit; it comes before the first sample.
func (s *Series) in(unitName string) (err error) {
	if s.Unit, err = unit.Parse(unitName); err != nil {
		err = fmt.Errorf("%s: %w", s.As, err)
	}
	return err
}

// read fills the series from the record, begin ≤ time < end.
func (h *History) read(ctx context.Context, run journal.Run, begin, end int64, all []*Series) error {
	byChannel := map[string][]*Series{} // a set-point may be an input too
	for _, s := range all {
		byChannel[s.Channel] = append(byChannel[s.Channel], s)
	}
	others := map[string]bool{}
	q := journal.Query{From: begin, To: end}
	if h.Progress != nil {
		q.Progress = func(done, total int64) { h.Progress(run.Name, done, total) }
	}
	err := journal.Rows(ctx, h.Reader, q, func(x *record.Sample) error {
		into := byChannel[x.Channel]
		if into == nil {
			if len(others) < 100 {
				others[x.Channel] = true
			}
			return nil
		}
		for _, s := range into {
			if err := s.add(x.Time, x.Value, x.Unit, x.Quality == ""); err != nil {
				return err
			}
		}
		return nil
	})
	var damage *journal.DamageError
	switch {
	case errors.As(err, &damage):
		h.note("%s: %v; what they held is missing in the run, the rest is used", run.Name, damage)
	case err != nil:
		return err
	}
	gaps, err := h.Reader.Gaps()
	if err != nil {
		return err
	}
	removed, err := h.Reader.Removed()
	if err != nil {
		return err
	}
	for _, g := range append(gaps, removed...) {
		if g.From.UnixNano() < end && g.To.UnixNano() >= run.Start {
			h.note("%s: the record misses %d lines between %s and %s: %s", run.Name, g.Lines, g.From.UTC().Format(time.DateTime), g.To.UTC().Format(time.DateTime), g.Reason)
		}
	}
	for _, s := range all {
		s.sort()
		if len(s.Time) == 0 && !s.any {
			h.note("%s: nothing was recorded of channel %q, the %s; there are %s", run.Name, s.Channel, s.As, strings.Join(slices.Sorted(maps.Keys(others)), ", "))
		}
	}
	return nil
}

// add takes one sample. It fails if its unit measures something else than the series. Each is
// converted from the unit in which it was recorded, so that it does not matter when a channel's unit
// was changed.
func (s *Series) add(at int64, v float64, unitTag string, good bool) error {
	c, known := s.maps[unitTag]
	if !known {
		from, err := unit.Parse(unitTag)
		if err != nil {
			return fmt.Errorf("channel %q was recorded in %q: %w", s.Channel, unitTag, err)
		}
		m, err := unit.Between(from, s.Unit)
		if err != nil && !s.any {
			return fmt.Errorf("channel %q was recorded in %s, but as %s it must be in one of %s: correct what agent.yaml says it is, or choose runs of another time",
				s.Channel, from, s.As, strings.Join(unit.Of(s.Unit.Dim), ", "))
		}
		if s.maps == nil {
			s.maps = map[string]conversion{}
		}
		c = conversion{m, err == nil}
		s.maps[unitTag] = c
	}
	v = c.Apply(v)
	if !good || !c.ok {
		v = math.NaN()
	}
	if n := len(s.Time); n > 0 && at/int64(finest) == s.Time[n-1]/int64(finest) {
		if v == v || s.Value[n-1] != s.Value[n-1] { // a good one is worth more than a newer one
			s.Time[n-1], s.Value[n-1] = at, v
		}
		return nil
	}
	s.Time, s.Value = append(s.Time, at), append(s.Value, v)
	return nil
}

// sort puts the samples in order of time: sources hand in what they have when they have it. Of
// two of one instant the later recorded stays, as in InfluxDB, unless only the other is good.
func (s *Series) sort() {
	if !slices.IsSorted(s.Time) {
		order := make([]int, len(s.Time))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.Time[a], s.Time[b]) })
		t, v := make([]int64, len(order)), make([]float64, len(order))
		for i, k := range order {
			t[i], v[i] = s.Time[k], s.Value[k]
		}
		s.Time, s.Value = t, v
	}
	n := 0
	for i := range s.Time {
		switch {
		case n == 0 || s.Time[n-1] != s.Time[i]:
			s.Time[n], s.Value[n] = s.Time[i], s.Value[i]
			n++
		case s.Value[i] == s.Value[i]:
			s.Value[n-1] = s.Value[i]
		}
	}
	s.Time, s.Value = s.Time[:n], s.Value[:n]
}
