package wire

import (
	"bytes"
	"fmt"
	"math/bits"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// DateOrder is a set of orders in which year, month and day may stand.
type DateOrder uint8

const (
	YearFirst  DateOrder = 1 << iota // 2025-07-08, 20250708
	DayFirst                         // 8.7.2025, 8/7/2025, 8 Jul 2025
	MonthFirst                       // 7/8/2025, Jul 8, 2025
)

// Settled tells whether o is one order.
func (o DateOrder) Settled() bool { return bits.OnesCount8(uint8(o)) == 1 }

// ParseDateOrder reads "ymd", "dmy" or "mdy"; "" is any of them.
func ParseDateOrder(s string) (DateOrder, error) {
	switch s {
	case "":
		return YearFirst | DayFirst | MonthFirst, nil
	case "ymd":
		return YearFirst, nil
	case "dmy":
		return DayFirst, nil
	case "mdy":
		return MonthFirst, nil
	}
	return 0, fmt.Errorf("order of dates %q: use dmy (25/11/2025), mdy (11/25/2025) or ymd (2025/11/25)", s)
}

// Date is a stamp in text, taken apart. In "7/8/2025" day and month may stand in either order.
type Date struct {
	Orders DateOrder     // in which it is a day of the calendar; 0: it has no date
	Clock  time.Duration // time of day, at most 24 h; without a date any time elapsed
	InHour bool          // Clock is minutes and seconds, as a program shows them that leaves out the hours
	Zoned  bool          // it names its zone
	Offset time.Duration // of that zone, east of UTC
	Name   string        // of a zone that means something in a place alone, such as CET
	number [3]int        // of the date, as they stand
}

// ParseDate reads a date, a time of day, or both, with or without a zone: "2025-07-08T10:43:15.30Z",
// "2025-07-08 10:43:15,3 +0200", "31.10.25 10:43", "7/8/2025 1:43:15 PM UTC", "8 Jul 2025 24:00:00",
// "20250708T104315", "20250708104315", "Tue Jul  8 10:43:15 2025", "8.7.2025 10.43.15", "8/7/2025 10h43m15s", "26:10:05",
// "1 day, 2:10:05", "1.02:10:05", "59:07.5", "PT1M3.5S", "08JUL2025:10:43:15", "28/7/2025 10:43:15 p. m.". Points stand in dates
// whose day comes first. Months may have English, German, French, Spanish, Italian or Dutch names. A zone is Z, UTC, GMT, or
// an offset; names such as CET mean something in a place alone.
func ParseDate(b []byte) (Date, bool) {
	d, ok := parseDate(b)
	if !ok && bytes.ContainsFunc(b, func(r rune) bool { return r == '\'' || r == '(' || unicode.IsLetter(r) }) {
		d, ok = parseDate(respell(b))
	}
	return d, ok
}

func parseDate(b []byte) (Date, bool) {
	p := dateParser{rest: bytes.TrimSpace(plainSigns(b))}
	if isoDuration(p.rest) {
		d, ok := ParseDuration(p.rest)
		return Date{Clock: d}, ok
	}
	ok := p.date(true) && p.clock() && p.zone() && len(p.rest) == 0
	return p.Date, ok
}

// asides are words in stamps that say nothing, or say it in another place than elsewhere, and what stands for them.
var asides = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`^'|'$`), ""},                                // a spreadsheet's mark of text, or quotes
	{regexp.MustCompile(`\s*\(\p{L}{1,3}\.?\)\s*`), " "},             // a day of the week: 2025年7月8日(火)
	{regexp.MustCompile(`(?i)([+-]\d\d:?\d\d)\s*\([^()]*\)$`), "$1"}, // a zone's name behind its offset
	{regexp.MustCompile(`\s*\(((?:UTC|GMT)[^()]*)\)$`), " $1"},
	{regexp.MustCompile(`(?i)(\d)[.,]?\s+(?:um|at|à|kl\.?|alle|a las)\s+(\d)`), "$1 $2"},
	{regexp.MustCompile(`(?i)\s*\b(?:uhr|hrs?)\b\.?`), ""},
	{regexp.MustCompile(`^(?i:mo|di|mi|do|fr|sa|so|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag|lun|mar|mer|jeu|ven|sam|dim|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|mié|jue|vie|sáb|dom|gio|sab|ma|wo|vr|za|zo|po|út|st|čt|pá|ne)[.,]*\s+(\d)`), "$1"},
}

// respell writes a stamp that cannot be read without its asides.
func respell(b []byte) []byte {
	b = bytes.TrimSpace(b)
	for _, a := range asides {
		b = bytes.TrimSpace(a.find.ReplaceAll(b, []byte(a.put)))
	}
	return b
}

// plainSigns puts blanks and minus signs of ASCII for those of typesetters.
func plainSigns(b []byte) []byte {
	if !bytes.ContainsFunc(b, func(r rune) bool { return r > 0x7f }) {
		return b
	}
	return []byte(ascii.Replace(string(b)))
}

// ascii also writes the dates and times of China and Japan with the signs of others: 2025年7月8日 10時43分15秒.
var ascii = strings.NewReplacer("\u00a0", " ", "\u2009", " ", "\u202f", " ", "\u2212", "-", "年", "-", "月", "-", "日", " ",
	"時", ":", "时", ":", "分", ":", "秒", "")

// At is the instant in ns since the Unix epoch, with the date read in one order; loc is the zone where
// the text names none. It is false in an order that does not fit, and outside the years 1700 to 2200.
func (d *Date) At(order DateOrder, loc *time.Location) (int64, bool) {
	if d.Orders&order == 0 || !(d.Orders & order).Settled() {
		return 0, false
	}
	y, m, day := d.in(d.Orders & order)
	if y < 1700 || y > 2200 {
		return 0, false
	}
	offset := d.Offset
	if d.Zoned {
		loc = time.UTC
	}
	c := d.Clock
	t := time.Date(y, time.Month(m), day, int(c/time.Hour), int(c/time.Minute%60), int(c/time.Second%60), int(c%time.Second), loc)
	if d.Name != "" { // on the night when clocks go back it tells the hour too
		wall := t.Hour()
		for _, later := range [...]time.Duration{0, time.Hour, -time.Hour} {
			u := t.Add(later)
			if name, _ := u.Zone(); u.Hour() == wall && strings.EqualFold(name, d.Name) {
				return u.UnixNano(), true
			}
		}
		return 0, false
	}
	return t.UnixNano() - int64(offset), true
}

// in gives year, month and day in one order.
func (d *Date) in(order DateOrder) (y, m, day int) {
	n := d.number
	switch order {
	case YearFirst:
		y, m, day = n[0], n[1], n[2]
	case DayFirst:
		day, m, y = n[0], n[1], n[2]
	default:
		m, day, y = n[0], n[1], n[2]
	}
	switch { // two digits: as in POSIX strptime
	case y < 69:
		y += 2000
	case y < 100:
		y += 1900
	}
	return y, m, day
}

type dateParser struct {
	Date
	rest  []byte
	parts [3]int        // hour, minute and second that are not parted by colons
	days  time.Duration // elapsed, beside the hours
}

// digits takes a run of digits and its length.
func (p *dateParser) digits() (n, length int) {
	for length < len(p.rest) && p.rest[length] >= '0' && p.rest[length] <= '9' {
		if n < 1e9 {
			n = 10*n + int(p.rest[length]-'0')
		}
		length++
	}
	p.rest = p.rest[length:]
	return n, length
}

func (p *dateParser) peek() byte {
	if len(p.rest) == 0 {
		return 0
	}
	return p.rest[0]
}

// skip takes any run of the bytes named and tells whether there was one.
func (p *dateParser) skip(any string) bool {
	n := len(p.rest)
	p.rest = bytes.TrimLeft(p.rest, any)
	return len(p.rest) < n
}

// word takes the letters that come next, as they stand.
func (p *dateParser) word() []byte {
	n := 0
	for n < len(p.rest) && (p.rest[n]|0x20 >= 'a' && p.rest[n]|0x20 <= 'z' || p.rest[n] >= 0x80) {
		n++
	}
	w := p.rest[:n]
	p.rest = p.rest[n:]
	return w
}

var months = [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}

// otherMonths are names and short names that do not begin as the English ones do.
var otherMonths = func() map[string]int {
	m := map[string]int{}
	for i, names := range [...]string{"janvier janv enero ene gennaio gen januari", "février févr fév fevr fev febrero febbraio februari", "märz mär maerz mrz mars marzo maart mrt",
		"avril avr abril abr aprile", "mai mayo maggio mag mei", "juin juni junio giugno giu", "juillet juil juli julio luglio lug", "août aout aoû agosto ago augustus",
		"septembre settembre septiembre set sept", "oktober okt octobre octubre ottobre ott", "novembre noviembre", "dezember dez décembre déc decembre dic diciembre dicembre"} {
		for _, name := range strings.Fields(names) {
			m[name] = i + 1
		}
	}
	return m
}()

// weekday tells the English names of days and their short forms.
func weekday(w []byte) bool {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name := d.String(); len(w) >= 3 && len(w) <= len(name) && bytes.EqualFold(w, []byte(name[:len(w)])) {
			return true
		}
	}
	return false
}

// month finds a month by its name or the first three letters of it.
func month(w []byte) (int, bool) {
	for i, m := range months {
		if len(w) >= 3 && len(w) <= len(m) && bytes.EqualFold(w, []byte(m[:len(w)])) {
			return i + 1, true
		}
	}
	m, ok := otherMonths[string(bytes.ToLower(w))]
	return m, ok
}

// yearBehind takes the year that stands behind the time of day: "12:59:55 2025".
func (p *dateParser) yearBehind() (y int, ok bool) {
	i := bytes.LastIndexByte(p.rest, ' ')
	if i < 0 || bytes.IndexByte(p.rest[:i], ':') < 0 || len(p.rest)-i != 5 {
		return 0, false
	}
	for _, c := range p.rest[i+1:] {
		if c < '0' || c > '9' {
			return 0, false
		}
		y = 10*y + int(c-'0')
	}
	p.rest = p.rest[:i]
	return y, true
}

// date takes the date, if there is one; a day of the week may stand before it.
func (p *dateParser) date(named bool) bool {
	all := p.rest
	if w := p.word(); len(w) > 0 { // Jul 8, 2025
		if named && weekday(w) {
			p.skip("., ")
			return p.date(false) && p.Orders != 0
		}
		m, ok := month(w)
		p.skip(". ")
		day, n := p.digits()
		if y, behind := p.yearBehind(); behind {
			return ok && n > 0 && n <= 2 && p.fits([3]int{m, day, y}, MonthFirst)
		}
		p.skip(", ")
		y, ny := p.digits()
		return ok && n > 0 && n <= 2 && ny == 4 && p.fits([3]int{m, day, y}, MonthFirst)
	}
	a, na := p.digits()
	if na == 14 { // 20250708104315
		p.rest = all[:8]
		day, _ := p.digits()
		p.rest = all[8:]
		p.number = [3]int{day / 1e4, day / 100 % 100, day % 100}
		return p.settle(YearFirst)
	}
	switch c := p.peek(); {
	case na == 0:
		return false
	case na == 8 && (c == 0 || c|0x20 == 't' || c == ' ' || c == '_' || c == '-'):
		return p.fits([3]int{a / 1e4, a / 100 % 100, a % 100}, YearFirst)
	case c == ':':
		p.rest = all
		return true
	case na <= 2 && p.monthGlued(a): // 08JUL2025
		return p.fits(p.number, DayFirst)
	case c|0x20 == 'd' && na <= 4: // 1d 02:10:05
		p.rest, p.days = p.rest[1:], time.Duration(a)*24*time.Hour
		return p.skip(", ")
	case c == ' ' || c == '-' || c == '/' || c == '.':
		if p.rest = p.rest[1:]; c == '.' {
			p.skip(" ")
		}
		if w := p.word(); len(w) > 0 { // 8 Jul 2025, 8-Jul-25; 2 days, 3:00:00
			if c == ' ' && na <= 4 && (bytes.EqualFold(w, []byte("day")) || bytes.EqualFold(w, []byte("days")) || bytes.EqualFold(w, []byte("d"))) {
				p.days = time.Duration(a) * 24 * time.Hour
				return p.skip(", ")
			}
			m, ok := month(w)
			p.skip(string(c) + ". ")
			y, ny := p.digits()
			return ok && na <= 2 && (ny == 2 || ny == 4) && p.fits([3]int{a, m, y}, DayFirst)
		}
		behind := p.rest
		b, nb := p.digits()
		if (c == ' ' || c == '.') && p.peek() == ':' && nb == 2 && na <= 4 { // 1 02:10:05, 1.02:10:05
			p.days, p.rest = time.Duration(a)*24*time.Hour, behind
			return true
		}
		if c == ' ' || p.peek() != c || nb == 0 || nb > 2 {
			return false
		}
		if p.rest = p.rest[1:]; c == '.' {
			p.skip(" ")
		}
		y, ny := p.digits()
		n := [3]int{a, b, y}
		switch {
		case na == 4 && ny > 0 && ny <= 2:
			if c == '.' {
				p.skip(".")
			}
			return p.fits(n, YearFirst)
		case na > 2 || ny != 4 && ny != 2:
			return false
		case c == '.':
			return p.fits(n, DayFirst)
		case ny == 2 && na == 2 && nb == 2:
			return p.fits(n, YearFirst|DayFirst|MonthFirst)
		}
		return p.fits(n, DayFirst|MonthFirst)
	}
	return false
}

// monthGlued takes a month and a year that stand behind a day without a sign between them.
func (p *dateParser) monthGlued(day int) bool {
	all := p.rest
	m, ok := month(p.word())
	y, ny := p.digits()
	if p.number = [3]int{day, m, y}; ok && (ny == 2 || ny == 4) {
		return true
	}
	p.rest = all
	return false
}

// fits keeps the orders in which the numbers are a day of the calendar, and takes what parts it from the time of day.
func (p *dateParser) fits(n [3]int, orders DateOrder) bool {
	p.number = n
	if !p.settle(orders) {
		return false
	}
	switch {
	case len(p.rest) == 0:
		return true
	case p.peek()|0x20 == 't' || p.peek() == '_' || (p.peek() == '-' || p.peek() == ':') && len(p.rest) > 1 && p.rest[1] >= '0' && p.rest[1] <= '9':
		p.rest = p.rest[1:]
		return true
	}
	return p.skip(" \t,")
}

// settle keeps the orders in which the numbers are a day of the calendar.
func (p *dateParser) settle(orders DateOrder) bool {
	for o := YearFirst; o <= MonthFirst; o <<= 1 {
		if orders&o == 0 {
			continue
		}
		y, m, d := p.in(o)
		if m >= 1 && m <= 12 && d >= 1 && d <= time.Date(y, time.Month(m)+1, 0, 0, 0, 0, 0, time.UTC).Day() {
			p.Orders |= o
		}
	}
	return p.Orders != 0
}

// clock takes the time of day, or the time elapsed where there was no date.
func (p *dateParser) clock() bool {
	if len(p.rest) == 0 {
		return p.Orders != 0 // a date alone is its midnight
	}
	h, nh := p.digits()
	var m, s, nm, ns int
	switch {
	case nh == 6 && p.peek() != ':': // 104315
		h, m, s, nm, ns = h/1e4, h/100%100, h%100, 2, 2
	case nh > 0 && p.Orders != 0 && p.apart(h):
		h, m, s, nm, ns = p.parts[0], p.parts[1], p.parts[2], 2, 2
	case nh == 0 || p.peek() != ':':
		return false
	default:
		p.rest = p.rest[1:]
		if m, nm = p.digits(); p.peek() == ':' {
			p.rest = p.rest[1:]
			if s, ns = p.digits(); ns == 1 && p.peek() != '.' && p.peek() != ',' || nm == 1 && ns == 2 { // 9:3:5, as programs write that do not pad
				nm, ns = 2, 2
			} else if ns != 2 {
				return false
			}
		}
	}
	if f := p.peek(); p.Orders == 0 && ns == 0 && nm == 2 && p.days == 0 && (f == '.' || f == ',') { // 59:07.5
		p.InHour, h, m, s, ns = true, h/60, h%60, m, 2
		if s > 59 {
			return false
		}
	}
	if nm != 2 || m > 59 || s > 60 || p.Orders == 0 && (ns == 0 || h > 2e6) || p.Orders != 0 && (nh > 2 && nh != 6 || h > 24) {
		return false
	}
	c := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	if f := p.peek(); ns > 0 && (f == '.' || f == ',' || f == ':') { // some write milliseconds behind a colon
		p.rest = p.rest[1:]
		digits := p.rest
		_, n := p.digits()
		if n == 0 || f == ':' && n != 3 {
			return false
		}
		place := time.Second
		for _, d := range digits[:n] {
			place /= 10
			c += place * time.Duration(d-'0')
		}
	}
	p.skip(" \t")
	if w := p.peek() | 0x20; w == 'a' || w == 'p' {
		half := p.word()
		if p.skip(". "); len(half) == 1 { // a.m., a. m.
			half = append(half[:1:1], p.word()...)
			p.skip(".")
		}
		after := half[0]|0x20 == 'p'
		if !bytes.EqualFold(half, []byte("am")) && !bytes.EqualFold(half, []byte("pm")) || h > 12 || p.Orders == 0 && nh > 2 {
			return false
		}
		if h == 12 {
			c -= 12 * time.Hour
		}
		if after {
			c += 12 * time.Hour
		}
	}
	p.Clock = p.days + c
	return p.Orders == 0 || c <= 24*time.Hour
}

// apart takes what stands behind the hour h where points or letters part a time of day beside a date: 10.43.15, 10h43m15s,
// 10h43, 10-43-15. Two numbers with a point or a hyphen between them may be anything.
func (p *dateParser) apart(h int) bool {
	all := p.rest
	p.parts = [3]int{h, 0, 0}
	signs := [2]string{"h", "m"}
	if c := p.peek(); c == '.' || c == '-' || c == '_' {
		signs = [2]string{string(c), string(c)}
	}
	for i, sign := range signs {
		if len(p.rest) == 0 || p.rest[0]|0x20 != sign[0]|0x20 {
			break
		}
		p.rest = p.rest[1:]
		if i == 1 && sign == "m" && len(p.rest) == 0 { // 10h43m
			return true
		}
		n, length := p.digits()
		if length != 2 {
			p.rest = all
			return false
		}
		if p.parts[i+1] = n; i == 1 {
			if sign == "m" && p.peek()|0x20 == 's' {
				p.rest = p.rest[1:]
			}
			return true
		}
	}
	if signs[0] == "h" && len(p.rest) < len(all) {
		return true
	}
	p.rest = all
	return false
}

// zone takes what says the zone, if anything does.
func (p *dateParser) zone() bool {
	p.skip(" \t")
	if len(p.rest) == 0 {
		return true
	}
	p.Zoned = true
	if w := p.word(); len(w) > 0 {
		if bytes.EqualFold(w, []byte("uhr")) { // no zone
			return false
		}
		if !bytes.EqualFold(w, []byte("z")) && !bytes.EqualFold(w, []byte("utc")) && !bytes.EqualFold(w, []byte("gmt")) {
			p.Zoned, p.Name = false, string(w)
			return len(p.rest) == 0 && len(w) >= 3 && len(w) <= 5 && p.Orders != 0
		}
		if len(p.rest) == 0 {
			return true
		}
	}
	sign := time.Duration(1)
	switch {
	case p.peek() == '-':
		sign = -1
	case p.peek() != '+':
		return false
	}
	p.rest = p.rest[1:]
	h, n := p.digits()
	m := 0
	switch {
	case n == 4:
		h, m = h/100, h%100
	case n == 0 || n > 2:
		return false
	case p.peek() == ':':
		p.rest = p.rest[1:]
		if m, n = p.digits(); n != 2 {
			return false
		}
	}
	p.Offset = sign * (time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
	if n := len(p.rest); n > 2 && p.rest[0] == '[' && p.rest[n-1] == ']' { // +01:00[Europe/Berlin]
		p.rest = nil
	}
	return h <= 15 && m <= 59
}
