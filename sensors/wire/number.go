package wire

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// NewNumber reads payloads that are one number and nothing else, e.g. "474.3". Arrival time
// rules: such a message has no other.
func NewNumber(ch sensors.ChannelID, m unit.Map, sentinels []float64) Decoder {
	return &number{own(Field{Channel: ch, Map: m, Sentinels: sentinels})}
}

type number struct{ field Field }

func (d *number) Decode(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error) {
	b := bytes.TrimSpace(msg)
	if v, ok := parseFloat(b); ok {
		return append(dst, d.field.sample(arrival, arrival, v)), nil
	}
	if len(b) == 0 {
		return dst, fmt.Errorf("empty payload where a number was expected")
	}
	if n := numberPrefix(b); n > 0 {
		return dst, fmt.Errorf("%.40q follows the number %s: send the number alone, or use a JSON payload with a unit", b[n:], b[:n])
	}
	return dst, fmt.Errorf("%.40q is not a number", b)
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
