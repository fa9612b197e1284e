package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"time"

	"stirwatch/agent/record"
)

// A chapter is what chapterSpan ids hold. Its summary stands beside its batches and says of each channel and each ten
// seconds, and again of each minute, what the lowest and the highest good sample was. A long span is so read without
// its samples. A summary is made of what is on disk, when its chapter is full, and goes with the first of
// its batches; where there is none, the batches are read.
const chapterSpan = 16 * blockSpan

// chapterEnd is the last id of the chapter of an id.
func chapterEnd(id int64) int64 { return (id + chapterSpan - 1) / chapterSpan * chapterSpan }

// The widths of time that are summed up.
const (
	Fine   = 10 * time.Second
	Coarse = time.Minute
)

// Summary is what one channel, in one unit, had in one width of time. The same time may have several: all of
// them count.
type Summary struct {
	Channel, Unit string
	Start         int64   // of the time, a multiple of its width, ns since the Unix epoch
	Last          int64   // stamp of its last sample
	Min, Max      float64 // of the good samples; NaN: none was good
}

// add takes a sample.
func (s *Summary) add(at int64, v float64, good bool) {
	s.Last = max(s.Last, at)
	if good {
		s.bounds(v, v)
	}
}

func (s *Summary) bounds(low, high float64) {
	if math.IsNaN(s.Min) {
		s.Min, s.Max = low, high
		return
	}
	s.Min, s.Max = min(s.Min, low), max(s.Max, high)
}

// join adds what another summary of the same time, or of a part of it, has.
func (s *Summary) join(p *Summary) {
	s.Last = max(s.Last, p.Last)
	if !math.IsNaN(p.Min) {
		s.bounds(p.Min, p.Max)
	}
}

// summing sums up samples by channel and time.
type summing struct {
	width  int64
	series map[measured]*summed
}

type measured struct{ channel, unit string }

type summed struct {
	of    measured
	parts []Summary // in the order they came
}

func newSumming(width time.Duration) *summing {
	return &summing{width: int64(width), series: map[measured]*summed{}}
}

// start is the begin of the width in which an instant is.
func start(at, width int64) int64 { return at - ((at%width)+width)%width }

func (s *summing) add(x *record.Sample) {
	s.at(measured{x.Channel, x.Unit}, x.Time, x.Time).add(x.Time, x.Value, x.Quality == "")
}

// take adds what a narrower part has.
func (s *summing) take(p *Summary) {
	s.at(measured{p.Channel, p.Unit}, p.Start, p.Last).join(p)
}

// at is the part in which an instant is; last is its stamp where it begins with this.
func (s *summing) at(of measured, instant, last int64) *Summary {
	into := s.series[of]
	if into == nil {
		into = &summed{of: of}
		s.series[of] = into
	}
	return into.at(start(instant, s.width), last)
}

// at is the part that begins at start; samples come nearly in order.
func (s *summed) at(start, stamp int64) *Summary {
	for i := len(s.parts) - 1; i >= max(0, len(s.parts)-4); i-- {
		if s.parts[i].Start == start {
			return &s.parts[i]
		}
	}
	s.parts = append(s.parts, Summary{s.of.channel, s.of.unit, start, stamp, math.NaN(), math.NaN()})
	return &s.parts[len(s.parts)-1]
}

// What stands for one part: which of its bounds follow.
const (
	boundsNone byte = iota
	boundsOne       // both are the same
	boundsTwo
)

// append encodes the sums: of each series its channel, its unit and its parts in order of time, each with the number of
// widths since the part before, its last stamp since its start in ns, and its bounds; then a CRC-32 of that and of the chapter.
func (s *summing) append(b []byte, chapter int64) []byte {
	series := make([]*summed, 0, len(s.series))
	for _, x := range s.series {
		series = append(series, x)
	}
	slices.SortFunc(series, func(x, y *summed) int {
		return cmp.Or(strings.Compare(x.of.channel, y.of.channel), strings.Compare(x.of.unit, y.of.unit))
	})
	b = binary.AppendUvarint(b, uint64(len(series)))
	for _, x := range series {
		b = appendText(appendText(b, x.of.channel), x.of.unit)
		x.sort()
		b = binary.AppendUvarint(b, uint64(len(x.parts)))
		before := int64(0)
		for _, p := range x.parts {
			n := p.Start / s.width
			b = binary.AppendVarint(b, n-before)
			before = n
			b = binary.AppendUvarint(b, uint64(p.Last-p.Start))
			switch {
			case math.IsNaN(p.Min):
				b = append(b, boundsNone)
			case math.Float64bits(p.Min) == math.Float64bits(p.Max):
				b = binary.LittleEndian.AppendUint64(append(b, boundsOne), math.Float64bits(p.Min))
			default:
				b = binary.LittleEndian.AppendUint64(append(b, boundsTwo), math.Float64bits(p.Min))
				b = binary.LittleEndian.AppendUint64(b, math.Float64bits(p.Max))
			}
		}
	}
	return appendSum(b, chapter)
}

func appendSum(b []byte, chapter int64) []byte {
	return binary.LittleEndian.AppendUint32(b, sumOf(b, chapter))
}

// sort puts the parts in order and makes one of those of one time.
func (s *summed) sort() {
	slices.SortStableFunc(s.parts, func(x, y Summary) int { return cmp.Compare(x.Start, y.Start) })
	n := 0
	for _, p := range s.parts {
		if n > 0 && s.parts[n-1].Start == p.Start {
			s.parts[n-1].join(&p)
			continue
		}
		s.parts[n] = p
		n++
	}
	s.parts = s.parts[:n]
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func sumOf(b []byte, chapter int64) uint32 {
	var id [8]byte
	binary.LittleEndian.PutUint64(id[:], uint64(chapter))
	return crc32.Update(crc32.ChecksumIEEE(b), crc32.IEEETable, id[:])
}

var errSummary = errors.New("a summary is damaged")

// decodeSummary checks the summary of a chapter, and calls fn for each of its parts with from ≤ start < to. One that
// is damaged is an error; where its checksum tells so, fn is not called.
func decodeSummary(b []byte, chapter int64, width time.Duration, from, to int64, names map[string]string, fn func(*Summary)) error {
	if len(b) < 4 || binary.LittleEndian.Uint32(b[len(b)-4:]) != sumOf(b[:len(b)-4], chapter) {
		return errSummary
	}
	d := summaryReader{b: b[:len(b)-4]}
	var x Summary
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		x.Channel, x.Unit = d.text(names), d.text(names)
		at := int64(0)
		for parts := d.uvarint(); parts > 0 && !d.bad; parts-- {
			at += d.varint()
			x.Start = at * int64(width)
			x.Last = x.Start + int64(d.uvarint())
			switch d.byte() {
			case boundsNone:
				x.Min, x.Max = math.NaN(), math.NaN()
			case boundsOne:
				x.Min = d.float()
				x.Max = x.Min
			case boundsTwo:
				x.Min, x.Max = d.float(), d.float()
			default:
				d.bad = true
			}
			if !d.bad && x.Start >= from && x.Start < to {
				fn(&x)
			}
		}
	}
	if d.bad || len(d.b) > 0 {
		return errSummary
	}
	return nil
}

// summaryReader reads what [summing.append] writes; bad: it cannot be.
type summaryReader struct {
	b   []byte
	bad bool
}

// take gives the next n bytes; nil where there are less.
func (d *summaryReader) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	x := d.b[:n]
	d.b = d.b[n:]
	return x
}

func (d *summaryReader) uvarint() uint64 { return number(d, binary.Uvarint) }

func (d *summaryReader) varint() int64 { return number(d, binary.Varint) }

// number gives the next number as read reads it; 0 where there is none.
func number[T uint64 | int64](d *summaryReader, read func([]byte) (T, int)) T {
	v, n := read(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *summaryReader) byte() byte {
	if x := d.take(1); x != nil {
		return x[0]
	}
	return 0
}

func (d *summaryReader) float() float64 {
	if x := d.take(8); x != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(x))
	}
	return 0
}

// text gives names that have been met as the same string.
func (d *summaryReader) text(names map[string]string) string {
	x := d.take(d.uvarint())
	if s, ok := names[string(x)]; ok {
		return s
	}
	s := string(x)
	if len(names) < maxChannelNames {
		names[s] = s
	}
	return s
}

const maxChannelNames = 4096 // and units that are kept as one string
