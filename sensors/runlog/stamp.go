package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"stirwatch/sensors/wire"
)

// TimeColumn says where a log's time stamps stand and how they are written.
type TimeColumn struct {
	Key     string         // column of the time of day, or of the whole stamp
	DateKey string         // column of the date where that is a separate one; else ""
	Unit    wire.TimeUnit  // a count since 1970 or since Start, in ns, us, ms, s, min, h or d; excel; an uptime; "", rfc3339 or a form such as hh:mm: text
	Start   time.Time      // when the count was zero; needed by the uptime units
	Order   wire.DateOrder // of day and month in text such as 7/8/2025; 0: the column tells, or it is refused
}

// countUnits are the units of counted time, ns, in the spellings that people use.
var countUnits = func() map[string]int64 {
	units := map[string]int64{}
	for names, ns := range map[string]int64{
		"ns nanosecond nanoseconds": 1, "us µs μs microsecond microseconds": 1e3, "ms msec millisecond milliseconds": 1e6,
		"s sec secs second seconds": 1e9, "min mins minute minutes": 60e9, "h hr hrs hour hours": 3600e9, "d day days": 86400e9,
	} {
		for _, name := range strings.Fields(names) {
			units[name] = ns
		}
	}
	return units
}()

// stamps turns time columns into ns since the Unix epoch.
type stamps struct {
	TimeColumn
	loc     *time.Location
	scale   int64  // ns per count, 0: text
	excel   bool   // days of the calendar of spreadsheets, in the zone
	tail    string // what a time of two parts lacks behind it: seconds, or the fraction that tells that it has none
	base    int64  // ns
	elapsed bool   // a time without a date is one elapsed, or of day; else it is refused

	orders   wire.DateOrder // that every date so far may be in
	midnight time.Duration  // passed by a time of day without a date
	clock    time.Duration  // the last of those

	dated        bool  // a date stood in its own column
	local        bool  // the last stamp named no zone
	sureFrom, to int64 // the last stretch in which a time of day is that of one instant alone

	hour   [13]byte // date and hour of hourNS, so that time zones are asked once an hour
	hourNS int64
}

func newStamps(c TimeColumn, loc *time.Location) (*stamps, error) {
	s := &stamps{TimeColumn: c, loc: loc, orders: c.Order}
	if loc == nil {
		s.loc = time.Local
	}
	if c.Order == 0 {
		s.orders = wire.YearFirst | wire.DayFirst | wire.MonthFirst
	}
	unit, uptime := strings.CutPrefix(string(c.Unit), "uptime ")
	unit, since, _ := strings.Cut(strings.ToLower(unit), " since ")
	unit = strings.TrimSuffix(unit, ".")
	switch {
	case unit == "" || unit == string(wire.RFC3339) || unit == "date" || unit == "datetime":
	case unit == "excel":
		s.scale, s.excel = countUnits["d"], true
	case unit == "hh:mm" || unit == "h:m" || unit == "h:min":
		s.tail = ":00"
	case strings.HasPrefix(unit, "mm:ss") || unit == "m:s" || unit == "min:s" || unit == "min:sec":
		s.tail = ".0"
	case strings.Contains(unit, ":"): // hh:mm:ss, dd.mm.yyyy hh:mm
	default:
		if s.scale = countUnits[unit]; s.scale == 0 {
			return nil, fmt.Errorf("time unit %q: use ns, us, ms, s, min, h, d, excel (the days of spreadsheets), rfc3339 or an uptime unit", c.Unit)
		}
	}
	switch {
	case s.excel:
		s.base = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).UnixNano()
	case since != "":
		d, ok := wire.ParseDate([]byte(since))
		if len(since) == 4 { // a year
			d, ok = wire.ParseDate([]byte(since + "-01-01"))
		}
		if s.base, _ = d.At(wire.YearFirst|wire.DayFirst, time.UTC); !ok || d.Orders == 0 {
			return nil, fmt.Errorf("time unit %q: name a date such as 1904-01-01 behind \"since\"", c.Unit)
		}
	case !c.Start.IsZero():
		s.base = c.Start.UnixNano()
	case uptime:
		return nil, fmt.Errorf("time unit %q counts from the device's own start: say when that was (start)", c.Unit)
	}
	return s, nil
}

var (
	errStamp = errors.New("no time stamp")
	// errOrder is about a date whose day and month may change places, as long as no other date of the
	// column tells.
	errOrder = errors.New("day or month first?")
)

// zoned finds the zone that the name of a column of stamps says: "Date Time, GMT+02:00", time_utc.
var zoned = regexp.MustCompile(`(?i)(?:^|[^a-z])(?:UTC|GMT)\s*(?:([+-])(\d{1,2})(?::?(\d\d))?)?(?:$|[^a-z0-9])`)

// zoneOf takes the zone of stamps that name none from the name of their column, unless a place is given, and says so; doubt: they
// differ.
func (s *stamps) zoneOf(name string) (text string, doubt bool) {
	m := zoned.FindStringSubmatch(name)
	if m == nil || s.scale != 0 && !s.excel && s.DateKey == "" {
		return "", false
	}
	hours, _ := strconv.Atoi("0" + m[2])
	minutes, _ := strconv.Atoi("0" + m[3])
	offset := hours*3600 + minutes*60
	if m[1] == "-" {
		offset = -offset
	}
	said := time.FixedZone(fmt.Sprintf("UTC%+03d:%02d", offset/3600, minutes), offset)
	if s.loc != time.Local {
		if s.loc == time.UTC && offset == 0 {
			return "", false
		}
		return fmt.Sprintf("column %q says its zone: its stamps are read in %s, as configured (zone)", name, s.loc), true
	}
	s.loc = said
	return fmt.Sprintf("stamps of column %q that name no zone are read in %s, as it says itself", name, said), false
}

// narrow takes what a stamp tells of the order of all dates.
func (s *stamps) narrow(date, clock []byte) {
	if !s.open() {
		return
	}
	if s.scale != 0 {
		date, clock = nil, date
	}
	if d, ok := s.take(date, clock); ok && d.Orders&s.orders != 0 {
		s.orders &= d.Orders
	}
}

// open reports whether the order of the dates is still to be found out.
func (s *stamps) open() bool {
	return (s.scale == 0 || s.DateKey != "") && !s.orders.Settled()
}

// take reads the text of a stamp.
func (s *stamps) take(date, clock []byte) (wire.Date, bool) {
	if len(date) > 0 {
		if len(clock) == 0 {
			return wire.Date{}, false
		}
		if day, at, ok := cutClock(date); ok && at.Clock == 0 { // a database's date is a midnight, and its time of day one of 1899
			date = day
		}
		if day, at, ok := cutClock(clock); ok && slices.Contains(timeless, year(at)) {
			clock = bytes.TrimLeft(clock[len(day):], " Tt")
		}
		clock = append(append(append(make([]byte, 0, 48), date...), ' '), clock...)
	} else if s.tail != "" && bytes.Count(clock, []byte{':'}) == 1 && bytes.IndexByte(clock, '.') < 0 && bytes.IndexByte(clock, ',') < 0 {
		clock = append(append(make([]byte, 0, 16), clock...), s.tail...)
	}
	return wire.ParseDate(clock)
}

// timeless are the years in which programs put times of day without a date.
var timeless = []int{1899, 1900, 1970}

// cutClock parts the day of a stamp from its time of day, if it has both.
func cutClock(b []byte) (day []byte, d wire.Date, ok bool) {
	colon := bytes.IndexByte(b, ':')
	if colon < 0 {
		return nil, d, false
	}
	end := bytes.LastIndexAny(b[:colon], " Tt")
	if end <= 0 {
		return nil, d, false
	}
	d, ok = wire.ParseDate(b)
	return bytes.TrimRight(b[:end], " "), d, ok && d.Orders != 0
}

// year is that of a date, in any order.
func year(d wire.Date) int {
	for o := wire.YearFirst; o <= wire.MonthFirst; o <<= 1 {
		if ns, ok := d.At(o, time.UTC); ok {
			return time.Unix(0, ns).UTC().Year()
		}
	}
	return 0
}

// parse reads one stamp; date is empty unless it has a column of its own. decimal is the sign that a
// count is written with, 0 where that is not known.
func (s *stamps) parse(date, clock []byte, decimal byte) (int64, error) {
	s.local = s.scale == 0 || s.excel || s.DateKey != ""
	if s.scale != 0 {
		n, ok := count(clock, s.scale, decimal)
		if !ok && decimal == 0 && wire.Analyse(clock).Either != 0 {
			return 0, fmt.Errorf("%w: %s", errStamp, wire.TwoWays(clock))
		}
		if d, is := wire.ParseDuration(clock); !ok && is { // 5 s
			n, ok = int64(d), true
		}
		if !ok || s.base > 0 && n > math.MaxInt64-s.base || s.base < 0 && n < math.MinInt64-s.base {
			return 0, fmt.Errorf("%w: %.40q is not a count of %s", errStamp, clock, s.Unit)
		}
		if n += s.base; s.DateKey != "" && !(s.excel && n-s.base >= countUnits["d"]) {
			day, err := s.day(date)
			if n -= s.base; err == nil && (n < 0 || n > countUnits["d"]) {
				err = fmt.Errorf("%w: %.40q is beyond the day of the date beside it: a count beside a date is since its midnight", errStamp, clock)
			}
			if err != nil {
				return 0, err
			}
			n += day
		}
		if s.excel || s.DateKey != "" {
			n = s.wall(n)
		}
		return n, nil
	}
	if len(date) > 0 {
		s.dated = true
		if ns, ok := s.fast(date, clock); ok {
			return ns, nil
		}
	}
	if len(date) == 0 && s.dated {
		return 0, fmt.Errorf("%w: the date beside %.40q is empty", errStamp, clock)
	}
	d, ok := s.take(date, clock)
	s.local = !d.Zoned && d.Name == "" && d.Orders != 0
	if elapsed, is := wire.ParseDuration(clock); !ok && is && len(date) == 0 {
		d, ok = wire.Date{Clock: elapsed}, true
	}
	switch {
	case !ok:
		return 0, fmt.Errorf("%w: %.40q is none of the known forms, e.g. \"2025-07-08 10:43:15.30\"%s", errStamp, clock, hint(clock, decimal))
	case d.Orders != 0:
		orders := d.Orders & s.orders
		if orders == 0 {
			orders = d.Orders // one date of another order costs nothing if it can mean but one day
		}
		ns, ok := d.At(orders, s.loc)
		if !ok && !orders.Settled() {
			return 0, fmt.Errorf("%w: %.40q", errOrder, clock)
		} else if !ok && d.Name != "" {
			return 0, fmt.Errorf("%w: %.40q is in a zone that %s does not have then: say the place (zone)", errStamp, clock, s.loc)
		} else if !ok {
			return 0, fmt.Errorf("%w: %.40q is out of all time", errStamp, clock)
		}
		return ns, nil
	case !s.elapsed:
		return 0, fmt.Errorf("%w: %.40q is a time without its date: name the column of the date (time: date), or let clock: arrival rule", errStamp, clock)
	}
	round := 24 * time.Hour
	if d.InHour {
		round = time.Hour
	}
	switch {
	case d.Clock < s.clock-round/2:
		s.midnight += round
	case s.midnight > 0 && d.Clock > s.clock+round-round/24: // of before midnight, out of its order
		s.midnight -= round
	}
	s.clock = d.Clock
	return int64(s.midnight + d.Clock), nil
}

// day is the midnight of a date that a count stands beside, ns as if its zone were UTC.
func (s *stamps) day(date []byte) (int64, error) {
	if n, ok := count(date, countUnits["d"], '.'); ok && s.excel {
		return s.base + n, nil
	}
	d, ok := s.take(nil, date)
	if !ok || d.Orders == 0 || d.Clock != 0 {
		return 0, fmt.Errorf("%w: %.40q is no date", errStamp, date)
	}
	orders := d.Orders & s.orders
	if orders == 0 {
		orders = d.Orders
	}
	n, ok := d.At(orders, time.UTC)
	if !ok {
		return 0, fmt.Errorf("%w: %.40q", errOrder, date)
	}
	return n, nil
}

// wall is the instant at which clocks in the zone show what they show in UTC at n.
func (s *stamps) wall(n int64) int64 {
	t := time.Unix(0, n).UTC()
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), s.loc).UnixNano()
}

// nearest settles the hour in which the clocks go back, of which every time of day comes twice: of the two instants that a
// stamp may be it gives the one nearer to the last stamp; the first one where there is none.
func (s *stamps) nearest(ns, last int64, any bool) int64 {
	if ns >= s.sureFrom && ns < s.to {
		return ns
	}
	t := time.Unix(0, ns).In(s.loc)
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	other := ns
	s.sureFrom, s.to = math.MinInt64, math.MaxInt64
	if !start.IsZero() {
		_, before := start.Add(-1).Zone()
		shift := int64(before-offset) * 1e9
		if s.sureFrom = start.UnixNano() + max(shift, 0); shift > 0 && ns < s.sureFrom {
			other = ns - shift
		}
	}
	if !end.IsZero() {
		_, after := end.Zone()
		shift := int64(offset-after) * 1e9
		if s.to = end.UnixNano() - max(shift, 0); shift > 0 && ns >= s.to {
			other = ns + shift
		}
	}
	if !any {
		return min(ns, other)
	}
	if apart := func(at int64) int64 { return max(at-last, last-at) }; apart(other) < apart(ns) {
		return other
	}
	return ns
}

// hint says what a stamp may be that is none of the known forms of text.
func hint(clock []byte, decimal byte) string {
	if bytes.Count(clock, []byte{':'}) == 1 {
		return "; are these minutes and seconds? Say so: the unit mm:ss (or hh:mm)"
	}
	if decimal == 0 {
		decimal = '.'
	}
	v, ok := wire.ParseNumber(clock, decimal)
	if !ok {
		return ""
	}
	for _, c := range []struct {
		from, to float64
		unit     string
	}{{25569, 73051, "excel, the days of spreadsheets"}, {1e9, 2.9e9, "s since 1970"}, {2.9e9, 5e9, "s since 1904"}, {1e12, 4e12, "ms since 1970"}, {1e15, 4e15, "us since 1970"}, {1e18, 4e18, "ns since 1970"}} {
		if v >= c.from && v < c.to {
			return "; a count needs its unit: this looks like " + c.unit
		}
	}
	return "; a count needs its unit, e.g. s"
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

// count reads a count of scale ns in any way of writing a number: plain ones exactly, digits below a
// nanosecond dropped, others as a float64 has them.
func count(b []byte, scale int64, sign byte) (int64, bool) {
	if sign == 0 {
		if wire.Analyse(b).Either != 0 {
			return 0, false
		}
		sign = wire.Analyse(b).Decimal
	}
	if n, ok := plain(b, scale, sign); ok {
		return n, true
	}
	v, ok := wire.ParseNumber(b, sign)
	if v *= float64(scale); !ok || math.Abs(v) > 9e18 {
		return 0, false
	}
	return int64(math.Round(v)), true
}

// plain reads digits with at most one decimal sign exactly and returns them times scale.
func plain(b []byte, scale int64, sign byte) (int64, bool) {
	neg := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg, b = b[0] == '-', b[1:]
	}
	var n int64
	seen, point := false, false
	for _, c := range b {
		switch {
		case c == sign && !point:
			point = true
		case c < '0' || c > '9':
			return 0, false
		case point && scale%10 != 0: // below a nanosecond
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
