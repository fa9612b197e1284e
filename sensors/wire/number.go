package wire

import (
	"bytes"
	"fmt"

	"stirwatch/sensors"
)

// NewNumber reads payloads that are one number, e.g. "474.3", in quotes or not, perhaps with its unit behind it.
// Arrival time rules: such a message has no other. The key of f says nothing.
// decimal is its decimal sign; 0: the number tells, and one that may be two is refused.
func NewNumber(f Field, decimal byte) Decoder {
	return &number{field: own(f), signs: signs{given: decimal}}
}

type number struct {
	field Field
	unit  unitOf
	signs signs // as given: a message has no neighbours that tell
}

func (d *number) Decode(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error) {
	b := cString(msg)
	if n := len(b); n > 1 && b[0] == '"' && b[n-1] == '"' {
		b = bytes.TrimSpace(b[1 : n-1])
	}
	if v, ok := parseFloat(b); ok && !d.signs.doubtful(b) {
		return append(dst, d.field.sample(arrival, arrival, v)), nil
	}
	if len(b) == 0 {
		return dst, fmt.Errorf("empty payload where a number was expected")
	}
	digits, behind := CutUnit(b)
	v, err := d.signs.parse(digits)
	if err != nil {
		return dst, err
	}
	m, err := d.unit.from(behind, &d.field)
	if err != nil {
		return dst, fmt.Errorf("%.40q follows the number %s: %w", behind, digits, err)
	}
	return append(dst, d.field.convert(arrival, arrival, v, m)), nil
}
