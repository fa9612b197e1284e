package wire

import (
	"bytes"
	"time"
)

// ParseDuration reads a time elapsed: of ISO 8601, "PT1M3.5S", "P1DT2H", "P2W", or with the units behind its numbers,
// "1h2m3.5s", "90 s", "250ms". Years and months are of no one length, and are refused, as is what is longer than 200 years.
func ParseDuration(b []byte) (time.Duration, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative || len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	units, iso := unitsOfTime, false
	if isoDuration(b) {
		b, units, iso = b[1:], unitsOfDate, true
	}
	total, last := time.Duration(0), time.Duration(1<<62)
	for any := false; ; any = true {
		if iso && len(b) > 1 && b[0]|0x20 == 't' {
			b, units = b[1:], unitsOfTime[:3]
		}
		if len(b) == 0 {
			if negative {
				total = -total
			}
			return total, any
		}
		n := 0
		for n < len(b) && (b[n]-'0' <= 9 || b[n] == '.' || b[n] == ',') {
			n++
		}
		number := b[:n]
		b = b[n:]
		if !iso {
			b = bytes.TrimLeft(b, " ")
		}
		unit, length := unitOfTime(b, units)
		if n == 0 || unit == 0 || unit >= last || bytes.ContainsAny(number, ".,") && length < len(b) {
			return 0, false // the least alone may have a fraction
		}
		sign := byte('.')
		if bytes.IndexByte(number, ',') >= 0 {
			sign = ','
		}
		v, ok := ParseNumber(number, sign)
		if v *= float64(unit); !ok || v > float64(maxElapsed-total) {
			return 0, false
		}
		total, last = total+time.Duration(v+0.5), unit
		if b = b[length:]; !iso {
			b = bytes.TrimLeft(b, " ")
		}
	}
}

// isoDuration tells whether b starts as a duration of ISO 8601 does.
func isoDuration(b []byte) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	return len(b) > 2 && b[0]|0x20 == 'p' && (b[1]-'0' <= 9 || b[1]|0x20 == 't')
}

const maxElapsed = 200 * 365 * 24 * time.Hour

type unitName struct {
	name string
	is   time.Duration
}

// The longer of two names that begin alike comes first.
var (
	unitsOfDate = []unitName{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}}
	unitsOfTime = []unitName{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
		{"d", 24 * time.Hour}, {"ms", time.Millisecond}, {"us", time.Microsecond}, {"µs", time.Microsecond}, {"ns", time.Nanosecond}, {"min", time.Minute}}
)

// unitOfTime finds the longest name of a unit at the start of b.
func unitOfTime(b []byte, units []unitName) (unit time.Duration, length int) {
	for _, u := range units {
		if n := len(u.name); n > length && len(b) >= n && bytes.EqualFold(b[:n], []byte(u.name)) {
			unit, length = u.is, n
		}
	}
	return unit, length
}
