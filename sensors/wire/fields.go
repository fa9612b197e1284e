package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
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
	units   []unitOf   // by field
	hex     []hexDoubt // by field
	sent    sent
	plain   []byte // a message without escape sequences
	found   []span // one for each field, then one for the time if there is one
}

func newTable(o Options) table {
	t := table{stamper: newStamper(o.TimeUnit, o.DeviceClock), fields: ownAll(o.Fields), timeKey: o.TimeKey, signs: signs{given: o.Decimal}}
	t.units, t.hex = make([]unitOf, len(t.fields)), make([]hexDoubt, len(t.fields))
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
			if v, m, err = t.textNumber(i, s, msg); err != nil || t.hex[i].sure {
				err = t.hexadecimal(i, s.bytes(msg), err)
			}
			present = true
		case 'w':
			v, m, present = s.value, unit.Identity, true
		default:
			if v, present, err = s.number(msg); err == nil {
				err = f.truth(*s)
			}
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

// truth says why true or false is no value of the field: only a number without a dimension may be one.
func (f *Field) truth(s span) error {
	if (s.kind == 't' || s.kind == 'f') && f.Unit.Dim != unit.None {
		return fmt.Errorf("true or false is no value in %s: %w", f.Unit, errNotNumber)
	}
	return nil
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
