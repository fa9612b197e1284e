package history

import (
	"context"
	"errors"
	"fmt"
	"math"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/sensors/unit"
)

// Reduced is one channel of a span for a chart: of each of the equal parts of the span that has samples, the lowest and the
// highest good one, so that no peak is lost however long the span is.
type Reduced struct {
	Channel string
	Unit    unit.Unit
	Time    []int64   // of the last sample of the part, ns since the Unix epoch; rising
	Min     []float64 // NaN where none of its samples was good
	Max     []float64
}

// part is one part of a span while it is read.
type part struct {
	last     int64
	min, max float64 // NaN: none was good
}

// MostParts bounds in how many parts a span is reduced.
const MostParts = 4000

// Reduce reads channels, asked for by role or by name, from ≤ time < to (ns since the Unix epoch), in so many parts at
// most. Samples that were recorded in another unit are converted to the channel's own; those of another kind of
// quantity count as not good. Parts of five seconds and longer become whole tens of seconds or minutes that begin at multiples of their length, so that the record need not be
// read sample by sample (see [journal.Reader.Summaries]). What could not be read is a [*journal.DamageError] beside the rest.
func (h *History) Reduce(ctx context.Context, names []string, from, to int64, parts int) ([]Reduced, error) {
	if from >= to || parts < 1 || parts > MostParts {
		return nil, fmt.Errorf("a span from %d to %d in %d parts: it must end after it begins, and have 1 to %d parts", from, to, parts, MostParts)
	}
	all := make([]Reduced, len(names))
	sums := make([][]part, len(names))
	places := map[string]int{}
	for i, name := range names {
		if _, err := h.Channel(name); err != nil {
			return nil, err
		}
		s := h.find(name)
		if _, twice := places[s.Channel]; twice {
			return nil, fmt.Errorf("channel %q is asked for twice", s.Channel)
		}
		places[s.Channel] = i
		all[i] = Reduced{Channel: s.Channel, Unit: s.Unit}
	}
	each, base := max(1, (to-from+int64(parts)-1)/int64(parts)), from
	width := journal.Fine
	if each >= int64(journal.Coarse) {
		width = journal.Coarse
	}
	summed := each >= int64(width)/2 && parts > 1
	if summed { // whole multiples of what is summed up, of which the first and the last may lie in the span in part
		each = (each + int64(width) - 1) / int64(width) * int64(width)
		for floor(to-1, each)/each-floor(from, each)/each >= int64(parts) {
			each += int64(width)
		}
		base = floor(from, each)
	}
	converted := map[measured]conversion{}
	take := func(channel, unit string, start, last int64, low, high float64) {
		i, wanted := places[channel]
		if !wanted {
			return
		}
		if sums[i] == nil {
			sums[i] = make([]part, parts)
		}
		if c := conversionOf(converted, channel, unit, all[i].Unit); !c.ok {
			low, high = math.NaN(), math.NaN()
		} else {
			low, high = c.Apply(low), c.Apply(high)
		}
		sums[i][(start-base)/each].add(last, min(low, high), max(low, high))
	}
	sample := func(x *record.Sample) error {
		v := x.Value
		if x.Quality != "" {
			v = math.NaN()
		}
		take(x.Channel, x.Unit, x.Time, x.Time, v, v)
		return nil
	}
	q := journal.Query{From: from, To: to}
	var err error
	if summed {
		err = h.Reader.Summaries(ctx, q, width, func(p *journal.Summary) { take(p.Channel, p.Unit, p.Start, p.Last, p.Min, p.Max) }, sample)
	} else {
		err = h.Reader.Samples(ctx, q, sample)
	}
	if damage := (*journal.DamageError)(nil); err != nil && !errors.As(err, &damage) {
		return nil, err
	}
	for i := range all {
		for _, p := range sums[i] {
			if p.last != 0 {
				all[i].Time, all[i].Min, all[i].Max = append(all[i].Time, p.last), append(all[i].Min, p.min), append(all[i].Max, p.max)
			}
		}
	}
	return all, err
}

// add takes what lies between low and high; NaN is what is not good.
func (p *part) add(at int64, low, high float64) {
	switch {
	case p.last == 0, math.IsNaN(p.min):
		p.min, p.max = low, high
	case !math.IsNaN(low):
		p.min, p.max = min(p.min, low), max(p.max, high)
	}
	p.last = max(p.last, at)
}

// floor is the greatest multiple of each that is not greater than x.
func floor(x, each int64) int64 { return x - (x%each+each)%each }

// measured is a unit of the record, of one channel.
type measured struct{ channel, unit string }

func conversionOf(known map[measured]conversion, channel, unitTag string, into unit.Unit) conversion {
	k := measured{channel, unitTag}
	c, ok := known[k]
	if !ok {
		if from, err := unit.Parse(unitTag); err == nil {
			m, err := unit.Between(from, into)
			c = conversion{m, err == nil}
		}
		known[k] = c
	}
	return c
}
