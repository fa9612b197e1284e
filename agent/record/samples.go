package record

import (
	"bytes"
	"math"
	"strconv"
)

// SampleDecoder reads samples many times as fast as a [Decoder] of them: what a line says before its value is the same
// in all lines of a channel, and is read once. A line ends where a line feed stands, as [Append] writes them. The zero
// value is ready for use.
type SampleDecoder struct {
	slow   Decoder[Sample]
	series map[string]Sample // by the text before the fields
	row    Sample
}

// mostSeries bounds what is remembered; what comes beyond it is read anyway.
const mostSeries = 4096

// Lines does for samples what Lines of a [Decoder] does.
func (d *SampleDecoder) Lines(lines []byte, from, to int64, bad func(error), fn func(*Sample) error) error {
	if d.series == nil {
		d.series = map[string]Sample{}
	}
	for len(lines) > 0 {
		line := lines
		if end := bytes.IndexByte(lines, '\n'); end >= 0 {
			line = lines[:end+1]
		}
		if known, value, stamp, ok := d.known(line); ok {
			lines = lines[len(line):]
			if stamp < from || stamp >= to {
				continue
			}
			d.row = known
			d.row.Time, d.row.Value = stamp, value
			if err := fn(&d.row); err != nil {
				return err
			}
			continue
		}
		lines = lines[len(line):]
		if !bytes.HasPrefix(line, samplesHead) && !bytes.HasPrefix(line, samplesBare) {
			continue
		}
		if err := d.slow.Lines(line, math.MinInt64, math.MaxInt64, bad, func(x *Sample) error {
			if n := headOf(line); n > 0 && bytes.HasPrefix(line[n+1:], valueIs) && x.Sent == "" && len(d.series) < mostSeries {
				d.series[string(line[:n])] = *x
			}
			if x.Time < from || x.Time >= to {
				return nil
			}
			return fn(x)
		}); err != nil {
			return err
		}
	}
	return nil
}

var (
	samplesHead = []byte(string(Samples) + ",")
	samplesBare = []byte(string(Samples) + " ")
	valueIs     = []byte("value=")
)

// headOf is the length of a line up to its first space that is not escaped; negative: there is none.
func headOf(line []byte) int {
	for at := 0; ; {
		n := bytes.IndexByte(line[at:], ' ')
		if n < 0 {
			return -1
		}
		if at += n; at == 0 || line[at-1] != '\\' {
			return at
		}
		at++
	}
}

// known reads a line of a series that has been met, with a value and a stamp and nothing else.
func (d *SampleDecoder) known(line []byte) (known Sample, value float64, stamp int64, ok bool) {
	n := headOf(line)
	if n < 0 {
		return
	}
	if known, ok = d.series[string(line[:n])]; !ok {
		return
	}
	rest, ok := bytes.CutPrefix(line[n+1:], valueIs)
	if !ok {
		return known, 0, 0, false
	}
	n = bytes.IndexByte(rest, ' ')
	if n < 1 || n > 40 {
		return known, 0, 0, false
	}
	for _, c := range rest[:n] {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != 'e' {
			return known, 0, 0, false
		}
	}
	value, err := strconv.ParseFloat(string(rest[:n]), 64)
	if err != nil {
		return known, 0, 0, false
	}
	rest = bytes.TrimSuffix(rest[n+1:], []byte("\n"))
	stamp, ok = wholeNumber(rest)
	return known, value, stamp, ok
}

// wholeNumber reads digits, with a sign before them or not; up to 18 of them cannot overflow, and 19 are checked.
func wholeNumber(text []byte) (n int64, ok bool) {
	digits := text
	if len(text) > 0 && text[0] == '-' {
		digits = text[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		n, err := strconv.ParseInt(string(text), 10, 64)
		return n, err == nil
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, true
}
