package journal

import (
	"math"
	"strconv"
	"sync"
	"unicode/utf8"

	"stirwatch/sensors"
)

// lineKeys holds the prebuilt start of every sample line, up to and with "value=".
type lineKeys struct {
	reg     *sensors.Registry
	machine string // ",machine=M" escaped, or empty
	good    [][]byte
	other   map[statusKey][]byte // lines with a quality tag, built when first needed
}

type statusKey struct {
	channel sensors.ChannelID
	status  sensors.Status
}

func newLineKeys(machine string, reg *sensors.Registry) *lineKeys {
	k := &lineKeys{reg: reg, machine: string(appendTag(nil, "machine", machine)), other: make(map[statusKey][]byte)}
	if reg != nil {
		k.good = make([][]byte, reg.Len())
		for id := range k.good {
			k.good[id] = k.build(sensors.ChannelID(id), sensors.OK)
		}
	}
	return k
}

// build makes a sample line's key; its tags are sorted, as InfluxDB likes them.
func (k *lineKeys) build(id sensors.ChannelID, s sensors.Status) []byte {
	c := k.reg.Channel(id)
	b := append([]byte(nil), Samples...)
	b = appendTag(b, "channel", c.Name)
	b = append(b, k.machine...)
	if !s.IsGood() {
		b = appendTag(b, "quality", s.Signal.String())
		if s.Reason != sensors.NoReason {
			b = appendTag(b, "reason", s.Reason.String())
		}
	}
	b = appendTag(b, "unit", c.Unit.String())
	return append(b, " value="...)
}

// of gives the key of a sample, or nil for a channel the registry does not know.
func (k *lineKeys) of(id sensors.ChannelID, s sensors.Status) []byte {
	if int(id) >= len(k.good) {
		return nil
	}
	if s.IsGood() {
		return k.good[id]
	}
	sk := statusKey{id, s}
	key, ok := k.other[sk]
	if !ok {
		key = k.build(id, s)
		k.other[sk] = key
	}
	return key
}

// appendSample appends one line, or nothing if the sample has no place in the record: a value
// that is not finite, a channel the registry does not know.
func (k *lineKeys) appendSample(b []byte, s *sensors.Sample) []byte {
	if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
		return b
	}
	key := k.of(s.Channel, s.Status)
	if key == nil {
		return b
	}
	b = appendFloat(append(b, key...), s.Value)
	b = strconv.AppendInt(append(b, ' '), s.Time, 10)
	return append(b, '\n')
}

// appendFloat writes the shortest text that reads back to the same bits.
func appendFloat(b []byte, v float64) []byte {
	if math.Abs(v) < 1e15 {
		if i := int64(v); float64(i) == v && (i != 0 || !math.Signbit(v)) {
			return strconv.AppendInt(b, i, 10) // the same text, three times as fast
		}
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// appendTag appends ",key=value"; an empty value has no place in line protocol and is left out.
func appendTag(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = appendName(append(b, ','), key)
	return appendName(append(b, '='), value)
}

// appendName appends a measurement, tag or key. Space, comma and equals sign are escaped. What
// line protocol cannot carry is replaced: control characters by a space, invalid UTF-8 by U+FFFD
// and a closing backslash, which would escape what follows, by a slash.
func appendName(b []byte, s string) []byte {
	for i, r := range s {
		switch {
		case r == ',' || r == '=' || r == ' ':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, '\\', ' ')
		case r == '\\' && i == len(s)-1:
			b = append(b, '/')
		case r == '\\' && escapable(s[i+1]):
			b = append(b, '/') // two backslashes or an escape would not read back the same
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// escapable tells whether a backslash before c means something in a name; control characters
// count, since they become an escaped space.
func escapable(c byte) bool { return c == ',' || c == '=' || c <= ' ' || c == '\\' || c == 0x7f }

// appendText appends a quoted string; control characters become spaces, so that one line of
// text is always one record.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, ' ')
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// Line builds one record other than a sample: tags first, then fields, then [Line.End], after
// which it must not be used. A missing End loses the record and nothing else.
type Line struct {
	j      *Journal
	buf    []byte
	fields int
}

// spareLines keeps builders for the next record. Few are in use at a time; unlike a [sync.Pool] it
// never lets go of one, so that a tick does not allocate.
type spareLines struct {
	mu   sync.Mutex
	free []*Line
}

const maxSpareLines = 16

func (s *spareLines) get() *Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	if n == 0 {
		return &Line{buf: make([]byte, 0, 256)}
	}
	l := s.free[n-1]
	s.free = s.free[:n-1]
	return l
}

func (s *spareLines) put(l *Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) < maxSpareLines {
		s.free = append(s.free, l)
	}
}

// Line starts a record of m with the tag machine. It does not allocate once the journal is warm.
func (j *Journal) Line(m Measurement) *Line {
	l := j.lines.get()
	l.j = j
	l.buf = appendName(l.buf[:0], string(m))
	l.buf = append(l.buf, j.keys.machine...)
	l.fields = 0
	return l
}

// Tag adds a tag; an empty value is left out. Tags must come before fields.
func (l *Line) Tag(key, value string) *Line {
	if l.fields > 0 {
		panic("journal: Tag after a field: tags come first")
	}
	l.buf = appendTag(l.buf, key, value)
	return l
}

func (l *Line) field(key string) {
	sep := byte(',')
	if l.fields == 0 {
		sep = ' '
	}
	l.fields++
	l.buf = append(appendName(append(l.buf, sep), key), '=')
}

// Float adds a number; one that is not finite is left out, since line protocol cannot carry it.
func (l *Line) Float(key string, v float64) *Line {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		l.field(key)
		l.buf = appendFloat(l.buf, v)
	}
	return l
}

// Int adds an integer.
func (l *Line) Int(key string, v int64) *Line {
	l.field(key)
	l.buf = append(strconv.AppendInt(l.buf, v, 10), 'i')
	return l
}

// Bool adds true or false.
func (l *Line) Bool(key string, v bool) *Line {
	l.field(key)
	l.buf = strconv.AppendBool(l.buf, v)
	return l
}

// Text adds a string; control characters in it become spaces.
func (l *Line) Text(key, v string) *Line {
	l.field(key)
	l.buf = appendText(l.buf, v)
	return l
}

// End stamps the record (ns since the Unix epoch) and gives it to the journal. It never waits:
// when the journal is full of what the disk does not take, the record is counted as lost. A
// record without any field is counted as skipped.
func (l *Line) End(stamp int64) {
	j := l.j
	if l.fields == 0 {
		j.skipped.Add(1)
	} else {
		l.buf = strconv.AppendInt(append(l.buf, ' '), stamp, 10)
		l.buf = append(l.buf, '\n')
		j.appendLine(l.buf, stamp)
	}
	j.lines.put(l)
}
