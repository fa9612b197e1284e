package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// table is what decoders of many channels share: they note where each field stands in the
// message, and build makes the samples.
type table struct {
	stamper
	fields  []Field
	timeKey string
	strict  bool // a message without a good number is refused
	checked bool // lines end with a checksum
	escapes bool // text has the escapes of JSON
	lists   bool // commas may part the numbers of a list
	signs   signs
	units   []unitOf // by field
	sent    sent
	plain   []byte // a message without escape sequences
	found   []span // one for each field, then one for the time if there is one
}

func newTable(o Options) table {
	t := table{stamper: newStamper(o.TimeUnit, o.DeviceClock), fields: ownAll(o.Fields), timeKey: o.TimeKey, signs: signs{given: o.Decimal}}
	t.units = make([]unitOf, len(t.fields))
	n := len(t.fields)
	if t.timeKey != "" {
		n++
	}
	t.found = make([]span, n)
	return t
}

// key is the name of a slot of found.
func (t *table) key(slot int) string {
	if slot < len(t.fields) {
		return t.fields[slot].Key
	}
	return t.timeKey
}

func (t *table) build(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error) {
	var stamp span
	if t.timeKey != "" {
		stamp = t.found[len(t.fields)]
	}
	at, err := t.at(stamp, t.timeKey, arrival, msg)
	if err != nil {
		return dst, err
	}
	for i := range t.fields { // one number may tell how another is written
		if s := &t.found[i]; s.kind == '"' {
			t.signs.note(s.bytes(msg))
		}
	}
	n, any, bad, strict := len(dst), false, 0, t.strict
	for i := range t.fields {
		f, s := &t.fields[i], &t.found[i]
		any = any || s.kind != 0
		var v float64
		var present bool
		var err error
		m := f.Map
		switch s.kind {
		case '"':
			v, m, err = t.textNumber(i, s, msg)
			present = true
		case 'w':
			v, m, present = s.value, unit.Identity, true
		default:
			v, present, err = s.number(msg)
		}
		switch {
		case err != nil:
			bad++
			strict = strict || s.kind == '{' || s.kind == '['
			t.doubt = fmt.Errorf("key %q: %w", f.Key, err)
			dst = append(dst, f.failed(at, arrival, t.sent.text(s.bytes(msg))))
		case present:
			dst = append(dst, f.convert(at, arrival, v, m))
		}
	}
	switch {
	case bad > 0 && bad == len(dst)-n && strict: // a line without a good number may be anything
		err := t.doubt
		t.doubt = nil
		return dst[:n], err
	case !any && len(t.fields) > 0:
		return dst[:n], fmt.Errorf("none of the configured keys (%q, …) is in the message", t.fields[0].Key)
	}
	return dst, nil
}

// textNumber reads the number of a field that is text, with its unit if one stands behind it.
func (t *table) textNumber(i int, s *span, msg []byte) (v float64, m unit.Map, err error) {
	f, b := &t.fields[i], bytes.TrimSpace(s.bytes(msg))
	behind := msg[s.unitFrom:s.unitTo]
	if t.escapes && bytes.IndexByte(b, '\\') >= 0 {
		t.plain = unescape(t.plain[:0], b)
		b = bytes.TrimSpace(t.plain)
	}
	if v, ok := parseFloat(b); ok && len(behind) == 0 && !t.signs.doubtful(b) {
		return v, f.Map, nil
	}
	n := numberLength(b)
	if n < len(b) && len(behind) == 0 {
		behind = bytes.TrimSpace(b[n:])
	}
	if m, err = t.units[i].from(behind, f); err != nil && n < len(b) {
		return 0, m, fmt.Errorf("%.40q is %w: %w", b, errNotNumber, err)
	} else if errors.Is(err, unit.ErrDimension) {
		return 0, m, fmt.Errorf("%.40q in %q: %w", b, behind, err)
	} else if err != nil {
		m = f.Map // a word behind a blank is no unit
	}
	if t.lists && t.signs.given == 0 && bytes.Count(b[:n], []byte{','}) > 1 && bytes.IndexByte(b[:n], '.') < 0 {
		return 0, m, fmt.Errorf("%.40q may be one number or a list: say which sign is the decimal one (decimal)", b)
	}
	v, err = t.signs.parse(b[:n])
	return v, m, err
}

// numberLength is the length of the number at the start of b; all of b if it does not start with one.
func numberLength(b []byte) int {
	n := 0
	for n < len(b) {
		c := b[n]
		k := 1
		switch {
		case c >= '0' && c <= '9':
		case n == 0 && signLength(b) > 0:
			k = signLength(b)
		case c == 'e' || c == 'E':
			if k = 2; n+1 < len(b) && (b[n+1] == '-' || b[n+1] == '+') {
				k = 3
			}
			if n+k > len(b) || b[n+k-1] < '0' || b[n+k-1] > '9' {
				return n
			}
		case c == '.' || c == ',':
		default:
			if k = cutBetween(b[n:]); k == 0 || n+k >= len(b) || b[n+k] < '0' || b[n+k] > '9' || n == 0 {
				if n == 0 {
					return len(b)
				}
				return n
			}
		}
		n += k
	}
	return n
}

func signLength(b []byte) int {
	n, _ := cutSign(b)
	return n
}

// CutUnit parts a number in text and what stands behind it: a unit, or nothing. Text that does not start as a number does is
// all number.
func CutUnit(b []byte) (number, unit []byte) {
	n := numberLength(b)
	return b[:n], bytes.TrimSpace(b[n:])
}

// unitOf remembers what a unit behind a number means: devices do not change it often.
type unitOf struct {
	text []byte
	m    unit.Map
	err  error
}

// from is the conversion from the unit named to the field's channel; without a name, the field's own.
func (u *unitOf) from(text []byte, f *Field) (unit.Map, error) {
	if len(text) == 0 {
		return f.Map, nil
	}
	if u.text != nil && bytes.Equal(u.text, text) {
		return u.m, u.err
	}
	u.text = append(u.text[:0], text...)
	u.m = f.Map
	if u.err = errNoUnit; f.Unit == (unit.Unit{}) {
		return u.m, u.err
	}
	name := string(text)
	if !utf8.ValidString(name) { // ° as Latin-1 has it
		r := make([]rune, len(text))
		for i, c := range text {
			r[i] = rune(c)
		}
		name = string(r)
	}
	named, err := unit.Parse(name)
	if f.Unit.Dim == unit.Mass { // the table's g is an acceleration, and its lb a force
		if kg, ok := masses[string(text)]; ok {
			named, err = unit.Unit{Symbol: string(text), Dim: unit.Mass, Scale: kg}, nil
		}
	}
	switch {
	case err != nil:
		u.err = fmt.Errorf("%.20q is no unit that is known", text)
	case named.Dim == unit.None && name != "%":
		u.err = fmt.Errorf("%.20q follows the number", text)
	default:
		u.m, u.err = unit.Between(named, f.Unit)
	}
	return u.m, u.err
}

var errNoUnit = errors.New("a unit behind the number is not known for it")

// masses in kg.
var masses = map[string]float64{"g": 1e-3, "mg": 1e-6, "t": 1e3, "lb": 0.45359237, "lbs": 0.45359237, "oz": 0.45359237 / 16}

// signs is what the numbers of a device have told of their decimal sign.
type signs struct {
	given        byte
	point, comma bool
}

// note takes what one number tells.
func (s *signs) note(b []byte) {
	if s.given != 0 || bytes.IndexByte(b, ',') < 0 && (s.point || bytes.IndexByte(b, '.') < 0) {
		return
	}
	switch Analyse(b[:numberLength(b)]).Decimal {
	case '.':
		s.point = true
	case ',':
		s.comma = true
	}
}

// doubtful tells whether a number with a decimal point may have its thousands parted by it.
func (s *signs) doubtful(b []byte) bool {
	return (s.comma || s.given == ',') && Analyse(b).Either != 0
}

// parse reads a number; one that may be two is read as the others of the device are.
func (s *signs) parse(b []byte) (float64, error) {
	a := Analyse(b)
	sign := s.given
	switch {
	case sign != 0:
	case a.Decimal != 0:
		sign = a.Decimal
	case s.comma && !s.point:
		sign = ','
	case s.point && !s.comma, a.Either != ',' && !s.comma:
		sign = '.'
	case a.Either != 0:
		return 0, errors.New(TwoWays(b))
	}
	v, ok := ParseNumber(b, sign)
	if !ok {
		return 0, fmt.Errorf("%.40q is %w", b, errNotNumber)
	}
	return v, nil
}

// Number reads a number in text as decoders do, with the unit behind it if there is one.
func Number(b []byte) (v float64, in string, ok bool) {
	b = bytes.TrimSpace(b)
	if v, ok = parseFloat(b); ok {
		return v, "", true
	}
	n := numberLength(b)
	var s signs
	v, err := s.parse(b[:n])
	in = string(bytes.TrimSpace(b[n:]))
	if _, known := unit.Parse(in); err != nil || in != "" && known != nil && masses[in] == 0 {
		return 0, "", false
	}
	return v, in, true
}

// clean is a message without a byte order mark, without blanks and control characters around it (the NUL that ends
// strings in C), and without the escape sequences by which terminals show colours and titles (ECMA-48, 5.4 and 5.6).
// Of one between STX and ETX it is what stands between them: a checksum behind ETX is not checked. Other control
// characters are blanks, but inside a number they stay, so that it is none. Where there are any, the result lives in the decoder.
func (t *table) clean(msg []byte) []byte {
	if i := bytes.LastIndexByte(msg, stx); i >= 0 {
		msg = msg[i+1:]
	}
	if i := bytes.IndexByte(msg, etx); i > 0 {
		msg = msg[:i]
	}
	if bytes.IndexByte(msg, 0x1b) < 0 {
		if msg = trim(msg); !bytes.ContainsFunc(msg, func(r rune) bool { return r < ' ' && r != '\t' }) {
			return msg
		}
	}
	t.plain = t.plain[:0]
	for i := 0; i < len(msg); i++ {
		switch c := msg[i]; {
		case c == 0x1b:
			i = escapeEnd(msg, i)
		case c < ' ' && c != '\t':
			// Between two digits it is a fault of the line, and no blank: 471.<NUL>9 is not 471.
			if c < 0x1c && c != '\n' && c != '\r' && i > 0 && i+1 < len(msg) && figure(msg[i-1]) && figure(msg[i+1]) {
				t.plain = append(t.plain, sub)
				continue
			}
			t.plain = append(t.plain, ' ')
		default:
			t.plain = append(t.plain, c)
		}
	}
	return trim(t.plain)
}

const (
	stx = 0x02
	etx = 0x03
	sub = 0x1a
)

// figure tells the signs that numbers are of.
func figure(c byte) bool { return c-'0' <= 9 || c == '.' || c == ',' }

// escapeEnd is the last byte of the escape sequence that starts at i.
func escapeEnd(msg []byte, i int) int {
	i++
	switch {
	case i >= len(msg):
	case msg[i] == '[': // a control sequence ends with a byte of @ to ~
		for i++; i < len(msg) && (msg[i] < '@' || msg[i] > '~'); i++ {
		}
	case msg[i] == ']': // a command to the system ends with BEL or ESC \
		for i++; i < len(msg) && msg[i] != '\a' && msg[i] != 0x1b; i++ {
		}
		if i+1 < len(msg) && msg[i] == 0x1b && msg[i+1] == '\\' {
			i++
		}
	}
	return i
}

// Plain is a text message as its decoder sees it: without what stands around it, and without colours.
func Plain(msg []byte) []byte { return (&table{}).clean(msg) }

// cString is the text of a message that ends where a string in C does.
func cString(msg []byte) []byte {
	msg = trim(msg)
	if i := bytes.IndexByte(msg, 0); i >= 0 {
		msg = trim(msg[:i])
	}
	return msg
}

// trim takes away a byte order mark, and blanks and control characters around a message.
func trim(msg []byte) []byte {
	msg = bytes.TrimPrefix(msg, []byte("\ufeff"))
	for len(msg) > 0 && (msg[0] <= ' ' || msg[0] == 0x7f) {
		msg = msg[1:]
	}
	for len(msg) > 0 && (msg[len(msg)-1] <= ' ' || msg[len(msg)-1] == 0x7f) {
		msg = msg[:len(msg)-1]
	}
	return msg
}

// span is a value in the message: kind is 0 for nothing and otherwise how it is written, in the
// manner of JSON: '0' for a number, '"' (a text, without its quotes), 't', 'f', 'n' (present but
// empty), '{' or '['; 'v' means that value holds what was read, 'w' that it is in the channel's unit already, 'x' a word for what is no number (NaN, inf).
type span struct {
	from, to int
	value    float64
	kind     byte
	literal  bool

	unitFrom, unitTo int32 // of a unit behind a text, if one stands apart
}

func (s span) bytes(msg []byte) []byte { return msg[s.from:s.to] }

var errNotNumber = errors.New("not a number")

// number is the value of a span; present is false for null and for nothing found.
func (s span) number(msg []byte) (v float64, present bool, err error) {
	switch b := s.bytes(msg); s.kind {
	case 0, 'n':
		return 0, false, nil
	case 't':
		return 1, true, nil
	case 'f':
		return 0, true, nil
	case 'v':
		return s.value, true, nil
	case 'x':
		return math.NaN(), true, nil
	case '0':
		v, _ = parseFloat(b) // the grammar was checked: only overflow is left, and gives ±Inf
		return v, true, nil
	case '"':
		if v, ok := parseFloat(bytes.TrimSpace(b)); ok {
			return v, true, nil
		}
		return 0, false, fmt.Errorf("%.40q is %w", b, errNotNumber)
	default:
		return 0, false, fmt.Errorf("%.40s is %w", b, errNotNumber)
	}
}

// at reads a stamp that was found in a document. Where the arrival rules, one that cannot be used is a
// doubt and costs nothing.
func (s *stamper) at(stamp span, key string, arrival int64, msg []byte) (int64, error) {
	s.doubt = nil
	var at int64
	var err error
	switch stamp.kind {
	case 0, 'n':
		return s.none(key, arrival)
	case '0', '"':
		at, err = s.read(stamp.bytes(msg), arrival)
		if err != nil {
			err = fmt.Errorf("key %q: %w", key, err)
		}
	default:
		err = fmt.Errorf("key %q: %.40s is not a time stamp", key, msg[stamp.from:stamp.to])
	}
	if err != nil && !s.rules {
		s.doubt = fmt.Errorf("%w; the time of arrival is taken", err)
		return arrival, nil
	}
	return at, err
}

// own copies what a decoder keeps of a field and settles its defaults.
func own(f Field) Field {
	if f.Map == (unit.Map{}) {
		f.Map = unit.Identity
	}
	f.Sentinels = append([]float64(nil), f.Sentinels...)
	return f
}

func ownAll(fields []Field) []Field {
	fields = append([]Field(nil), fields...)
	for i := range fields {
		fields[i] = own(fields[i])
	}
	return fields
}

// sample judges and converts one raw value.
func (f *Field) sample(at, arrival int64, raw float64) sensors.Sample {
	return f.convert(at, arrival, raw, f.Map)
}

// convert is sample with the unit that the message names. A sentinel stays as the device wrote it, since it
// measures nothing that a unit could apply to.
func (f *Field) convert(at, arrival int64, raw float64, m unit.Map) sensors.Sample {
	s := sensors.Sample{Time: at, Arrival: arrival, Channel: f.Channel, Status: sensors.OK}
	for _, mark := range f.Sentinels {
		if raw == mark || raw != raw && mark != mark {
			s.Value, s.Status = raw, sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
			return s
		}
	}
	if math.Abs(raw) >= sensors.NoReading && !math.IsInf(raw, 0) {
		s.Value, s.Status = raw, sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
		return s
	}
	s.Value = m.Apply(raw)
	if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
		s.Status = sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}
	}
	return s
}

// failed is the sample of a value that is no number, with what the device sent.
func (f *Field) failed(at, arrival int64, sent string) sensors.Sample {
	return sensors.Sample{Time: at, Arrival: arrival, Channel: f.Channel, Value: math.NaN(), Sent: sent, Status: sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}}
}

// sent keeps the text of the last value that was no number: devices say the same again and again.
type sent struct{ last string }

// maxSent is how much of such a text is kept, bytes.
const maxSent = 40

func (s *sent) text(b []byte) string {
	if b = b[:min(len(b), maxSent)]; s.last != string(b) {
		s.last = string(b)
	}
	return s.last
}

// text views b as a string without copying; the string must not outlive the call that b is for.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// parseFloat reads a decimal number as strconv.ParseFloat does, bit for bit, and the words NaN
// and Inf. What exceeds float64 becomes ±Inf, which no sample reports as good. Hexadecimal and
// underscores are Go's, not any device's.
func parseFloat(b []byte) (float64, bool) {
	for _, c := range b {
		if c == 'x' || c == 'X' || c == '_' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(text(b), 64)
	return v, err == nil || math.IsInf(v, 0)
}

// numberPrefix is the length of the longest number that b starts with.
func numberPrefix(b []byte) int {
	for n := min(len(b), 40); n > 0; n-- {
		if c := b[n-1]; c >= '0' && c <= '9' || c == '.' {
			if _, ok := parseFloat(b[:n]); ok {
				return n
			}
		}
	}
	return 0
}
