package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
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
	found   []span // one for each field, then one for the time if there is one
}

func newTable(o Options) table {
	t := table{stamper: newStamper(o.TimeUnit, o.DeviceClock), fields: ownAll(o.Fields), timeKey: o.TimeKey}
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
	n, any := len(dst), false
	for i := range t.fields {
		v, present, err := t.found[i].number(msg)
		if err != nil {
			return dst[:n], fmt.Errorf("key %q: %w", t.fields[i].Key, err)
		}
		any = any || t.found[i].kind != 0
		if present {
			dst = append(dst, t.fields[i].sample(at, arrival, v))
		}
	}
	if !any && len(t.fields) > 0 {
		return dst[:n], fmt.Errorf("none of the configured keys (%q, …) is in the message", t.fields[0].Key)
	}
	return dst, nil
}

// span is a value in the message: kind is 0 for nothing and otherwise how it is written, in the
// manner of JSON: '0' for a number, '"' (a text, without its quotes), 't', 'f', 'n' (present but
// empty), '{' or '['; 'v' means that value holds what was read.
type span struct {
	from, to int
	value    float64
	kind     byte
	literal  bool
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

// at reads a stamp that was found in a document.
func (s *stamper) at(stamp span, key string, arrival int64, msg []byte) (int64, error) {
	switch stamp.kind {
	case 0, 'n':
		return s.none(key, arrival)
	case '0', '"':
		at, err := s.read(stamp.bytes(msg), arrival)
		if err != nil {
			err = fmt.Errorf("key %q: %w", key, err)
		}
		return at, err
	}
	return 0, fmt.Errorf("key %q: %.40s is not a time stamp", key, msg[stamp.from:stamp.to])
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

// sample judges and converts one raw value. A sentinel stays as the device wrote it, since it
// measures nothing that a unit could apply to.
func (f *Field) sample(at, arrival int64, raw float64) sensors.Sample {
	s := sensors.Sample{Time: at, Arrival: arrival, Channel: f.Channel, Status: sensors.OK}
	for _, mark := range f.Sentinels {
		if raw == mark || raw != raw && mark != mark {
			s.Value, s.Status = raw, sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
			return s
		}
	}
	s.Value = f.Map.Apply(raw)
	if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
		s.Status = sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}
	}
	return s
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
