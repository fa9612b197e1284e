package wire

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A stamp outside these years is a clock that was never set, or the wrong unit.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	latest   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
)

const (
	// An uptime may run this far from arrival time before it is slewed: latency moves within it.
	uptimeSlack = int64(250 * time.Millisecond)
	// Slewing changes at most this fraction of the elapsed time, more than the 0.5 % of a ceramic
	// resonator, and so little that stamps stay in order and apart.
	uptimeSlew = 128
	// A message later than this was held up on its way and says nothing of the clock; one that
	// seems to come from further in the future than this comes from a device that restarted.
	uptimeTrust = int64(5 * time.Second)
	// The µs counter of a DAQ frame goes round in 71.6 minutes; after a silence of half of that,
	// how often it did cannot be told.
	uptimeSilence = int64(35 * time.Minute)
)

// stamper turns the time stamps of one device into ns since the Unix epoch.
type stamper struct {
	unit  TimeUnit
	rules bool

	device int64 // last stamp, 0 if the last message had none
	doubt  error // about the last message

	tied          bool
	restarted     bool  // the last uptime was tied anew, not for the first time
	offset        int64 // uptime 0 in ns since the Unix epoch
	uptime        int64 // last uptime, ns
	arrivedBefore int64
}

// newStamper panics on an unknown unit: configurations are checked before they come here.
func newStamper(u TimeUnit, rules bool) stamper {
	switch u {
	case NoTime, Nanoseconds, Microseconds, Milliseconds, Seconds, RFC3339, UptimeMicros, UptimeMillis, UptimeSeconds:
	default:
		panic(fmt.Sprintf("wire: unknown time unit %q", string(u)))
	}
	return stamper{unit: u, rules: rules}
}

// DeviceTime implements [Stamped].
func (s *stamper) DeviceTime() int64 { return s.device }

// Doubt implements [Doubter].
func (s *stamper) Doubt() error { return s.doubt }

// none is the time of a message without a stamp; it fails if the device's stamp was to rule.
func (s *stamper) none(key string, arrival int64) (int64, error) {
	s.device = 0
	if s.rules && key != "" {
		return 0, fmt.Errorf("no time stamp at %q, and the device's clock is to rule", key)
	}
	return arrival, nil
}

// read gives the time that rules for a message with the stamp b.
func (s *stamper) read(b []byte, arrival int64) (int64, error) {
	s.device = 0
	b = bytes.TrimSpace(b)
	var (
		t  int64
		ok bool
	)
	switch s.unit {
	case RFC3339:
		var d Date
		if d, ok = ParseDate(b); ok && (d.Orders == 0 || !d.Zoned) {
			return 0, fmt.Errorf("%.40q needs a date and a zone, such as 2025-07-08T10:43:15Z, to be a time stamp", b)
		}
		var within bool
		if t, within = d.At(d.Orders, time.UTC); ok && !within && d.Orders.Settled() {
			return 0, s.absurd(b)
		} else if ok && !within {
			return 0, fmt.Errorf("%.40q: day or month first? Write 2025-07-08T10:43:15Z", b)
		}
	case Nanoseconds:
		t, ok = decimal(b, 1)
	case Microseconds, UptimeMicros:
		t, ok = decimal(b, 1e3)
	case Milliseconds, UptimeMillis:
		t, ok = decimal(b, 1e6)
	case Seconds, UptimeSeconds:
		t, ok = decimal(b, 1e9)
	default:
		return arrival, nil
	}
	if !ok {
		return 0, fmt.Errorf("%.40q is not a time stamp in %q", b, s.unit)
	}
	if strings.HasPrefix(string(s.unit), "uptime") {
		if t < 0 || t > latest-earliest {
			return 0, s.absurd(b)
		}
		return s.up(t, arrival), nil
	}
	if t < earliest || t > latest {
		return 0, s.absurd(b)
	}
	s.device = t
	return s.choose(arrival), nil
}

func (s *stamper) absurd(b []byte) error {
	return fmt.Errorf("time stamp %.40q in %q is not between the years 2000 and 2100: is the device's clock set, and is the unit right?", b, s.unit)
}

// up ties an uptime (ns) to arrival time.
func (s *stamper) up(t, arrival int64) int64 {
	late := arrival - (s.offset + t)
	s.restarted = false
	switch elapsed := t - s.uptime; {
	case !s.tied, elapsed < 0, late < -uptimeTrust:
		s.restarted = s.uptime > 0
		s.tied, s.offset = true, arrival-t
	case late < -uptimeSlack:
		s.offset -= min(-uptimeSlack-late, elapsed/2) // nothing arrives before it was made: the first message was late
	case late > uptimeSlack && late < uptimeTrust:
		s.offset += min(late-uptimeSlack, elapsed/uptimeSlew)
	}
	s.uptime = t
	s.device = s.offset + t
	return s.choose(arrival)
}

// up32 is up for a counter of microseconds that goes round at 2^32.
func (s *stamper) up32(us uint32, arrival int64) int64 {
	before := s.uptime / 1000
	step := us - uint32(before)
	if step >= 1<<31 || arrival-s.arrivedBefore > uptimeSilence {
		s.tied = false // went backwards, or may have gone round unseen
		before, step = 0, us
	}
	s.arrivedBefore = arrival
	return s.up((before+int64(step))*1000, arrival)
}

func (s *stamper) choose(arrival int64) int64 {
	if s.rules {
		return s.device
	}
	return arrival
}

// decimal reads a decimal number of units of scale ns (a power of ten) exactly; digits finer
// than a nanosecond are dropped, and what exceeds int64 becomes its largest value. Numbers with an
// exponent go through float64.
func decimal(b []byte, scale int64) (int64, bool) {
	digits, i := b, 0
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		digits = b[1:]
	}
	var whole int64
	for ; i < len(digits) && digits[i]-'0' <= 9; i++ {
		c := int64(digits[i] - '0')
		if whole > (math.MaxInt64-c)/10 {
			return math.MaxInt64, true
		}
		whole = whole*10 + c
	}
	if i == 0 {
		return 0, false
	}
	if whole > math.MaxInt64/scale-1 {
		return math.MaxInt64, true
	}
	ns := whole * scale
	if i < len(digits) && digits[i] == '.' {
		place := scale
		for i++; i < len(digits) && digits[i]-'0' <= 9; i++ {
			place /= 10
			ns += int64(digits[i]-'0') * place
		}
	}
	if i < len(digits) {
		v, err := strconv.ParseFloat(text(b), 64)
		if err != nil || digits[i] != 'e' && digits[i] != 'E' {
			return 0, false
		}
		return int64(max(-9e18, min(9e18, v*float64(scale)))), true
	}
	if negative {
		ns = -ns
	}
	return ns, true
}
