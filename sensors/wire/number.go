package wire

import (
	"bytes"
	"fmt"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// NewNumber reads payloads that are one number and nothing else, e.g. "474.3". Arrival time
// rules: such a message has no other.
// decimal is its decimal sign; 0: the number tells, and one that may be two is refused.
func NewNumber(ch sensors.ChannelID, m unit.Map, sentinels []float64, decimal byte) Decoder {
	return &number{own(Field{Channel: ch, Map: m, Sentinels: sentinels}), signs{given: decimal}}
}

type number struct {
	field Field
	signs signs // as given: a message has no neighbours that tell
}

func (d *number) Decode(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error) {
	b := trim(msg)
	v, ok := parseFloat(b)
	if (!ok && bytes.IndexByte(b, ',') >= 0 || d.signs.doubtful(b)) && numberLength(b) == len(b) {
		var err error
		if v, err = d.signs.parse(b); err != nil {
			return dst, err
		}
		ok = true
	}
	if ok {
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
