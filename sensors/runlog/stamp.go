package runlog

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unsafe"

	"stirwatch/sensors/wire"
)

// TimeColumn says where a log's time stamps stand and how they are written.
type TimeColumn struct {
	Key     string        // column of the time of day, or of the whole stamp
	DateKey string        // column of the date where that is a separate one; else ""
	Unit    wire.TimeUnit // ns, us, ms, s since 1970; an uptime; "" or rfc3339: text
	Start   time.Time     // when the device's clock stood at zero; needed by the uptime units
}

// stamps turns time columns into ns since the Unix epoch.
type stamps struct {
	TimeColumn
	loc   *time.Location
	scale int64 // ns per count, 0: text
	base  int64 // ns

	hour   [13]byte // date and hour of hourNS, so that time zones are asked once an hour
	hourNS int64
}

func newStamps(c TimeColumn, loc *time.Location) (*stamps, error) {
	s := &stamps{TimeColumn: c, loc: loc}
	if loc == nil {
		s.loc = time.Local
	}
	switch c.Unit {
	case wire.NoTime, wire.RFC3339:
	case wire.Nanoseconds:
		s.scale = 1
	case wire.Microseconds, wire.UptimeMicros:
		s.scale = 1e3
	case wire.Milliseconds, wire.UptimeMillis:
		s.scale = 1e6
	case wire.Seconds, wire.UptimeSeconds:
		s.scale = 1e9
	default:
		return nil, fmt.Errorf("time unit %q: use ns, us, ms, s, rfc3339 or an uptime unit", c.Unit)
	}
	if strings.HasPrefix(string(c.Unit), "uptime") {
		if c.Start.IsZero() {
			return nil, fmt.Errorf("time unit %q counts from the device's own start: say when that was (start)", c.Unit)
		}
		s.base = c.Start.UnixNano()
	}
	return s, nil
}

var errStamp = errors.New("no time stamp")

// parse reads one stamp; date is empty unless it has a column of its own.
func (s *stamps) parse(date, clock []byte) (int64, error) {
	if s.scale != 0 {
		n, ok := decimal(clock, s.scale)
		if !ok || s.base > 0 && n > math.MaxInt64-s.base {
			return 0, fmt.Errorf("%w: %.40q is not a count of %s", errStamp, clock, s.Unit)
		}
		return s.base + n, nil
	}
	if s.DateKey == "" {
		return s.text(clock)
	}
	if ns, ok := s.fast(date, clock); ok {
		return ns, nil
	}
	return s.text(append(append(append(make([]byte, 0, 48), date...), ' '), clock...))
}

// fast reads "2025-07-08" and "10:43:15.30" without allocating.
func (s *stamps) fast(date, clock []byte) (int64, bool) {
	if len(date) != 10 || date[4] != '-' || date[7] != '-' || len(clock) < 8 || clock[2] != ':' || clock[5] != ':' {
		return 0, false
	}
	y, ok1 := digits(date[:4])
	mo, ok2 := digits(date[5:7])
	da, ok3 := digits(date[8:])
	h, ok4 := digits(clock[:2])
	mi, ok5 := digits(clock[3:5])
	se, ok6 := digits(clock[6:8])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || y < 1700 || y > 2200 || mo < 1 || mo > 12 || da < 1 || da > 31 || h > 23 || mi > 59 || se > 59 {
		return 0, false
	}
	frac := 0
	if f := clock[8:]; len(f) > 0 {
		if len(f) < 2 || len(f) > 10 || f[0] != '.' && f[0] != ',' {
			return 0, false
		}
		n, ok := digits(f[1:])
		if !ok {
			return 0, false
		}
		for i := len(f) - 1; i < 9; i++ {
			n *= 10
		}
		frac = n
	}
	var key [13]byte
	copy(key[copy(key[:], date):], clock[:3])
	if key != s.hour {
		t := time.Date(y, time.Month(mo), da, h, 0, 0, 0, s.loc)
		if t.Day() != da {
			return 0, false // 31 April
		}
		s.hour, s.hourNS = key, t.UnixNano()
	}
	return s.hourNS + int64(mi)*60e9 + int64(se)*1e9 + int64(frac), true
}

func digits(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, len(b) > 0
}

// Layouts of whole stamps; a zone in the text rules over the log's time zone.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00",
	"2006/01/02 15:04:05", "02.01.2006 15:04:05", "1/2/2006 15:04:05", "1/2/2006 3:04:05 PM", "2006-01-02 3:04:05 PM",
}

func (s *stamps) text(b []byte) (int64, error) {
	t := string(b)
	for _, layout := range layouts {
		if at, err := time.ParseInLocation(layout, t, s.loc); err == nil && at.Year() >= 1700 && at.Year() <= 2200 {
			return at.UnixNano(), nil
		}
	}
	return 0, fmt.Errorf("%w: %.40q is none of the known forms, e.g. \"2025-07-08 10:43:15.30\"", errStamp, t)
}

// decimal reads a decimal count exactly and returns it times scale (a power of ten), digits
// below 1 dropped.
func decimal(b []byte, scale int64) (int64, bool) {
	neg := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg, b = b[0] == '-', b[1:]
	}
	var n int64
	seen, point := false, false
	for _, c := range b {
		switch {
		case (c == '.' || c == ',') && !point:
			point = true
		case c < '0' || c > '9':
			return 0, false
		case point && scale == 1: // below a nanosecond
			seen = true
		default:
			if n > (math.MaxInt64-9)/10 {
				return 0, false
			}
			seen = true
			n = 10*n + int64(c-'0')
			if point {
				scale /= 10
			}
		}
	}
	if !seen || n > math.MaxInt64/scale {
		return 0, false
	}
	if n *= scale; neg {
		n = -n
	}
	return n, true
}

// view is b as a string that lives no longer than b keeps its bytes.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
