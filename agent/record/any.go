package record

import (
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

// Any is a line of any row type, by the names of its tags and fields.
type Any struct {
	Time   int64 // ns since the Unix epoch
	Tags   map[string]string
	Fields map[string]any // float64, int64, bool or string
}

// Read takes a line of line protocol apart; what a held before is gone.
func (a *Any) Read(line []byte) error {
	if a.Tags == nil {
		a.Tags, a.Fields = map[string]string{}, map[string]any{}
	}
	clear(a.Tags)
	clear(a.Fields)
	dec := lineprotocol.NewDecoderWithBytes(line)
	dec.Next()
	if _, err := dec.Measurement(); err != nil {
		return err
	}
	for {
		key, value, err := dec.NextTag()
		if err != nil {
			return err
		}
		if key == nil {
			break
		}
		a.Tags[string(key)] = string(value)
	}
	for {
		key, value, err := dec.NextField()
		if err != nil {
			return err
		}
		if key == nil {
			break
		}
		a.Fields[string(key)] = value.Interface()
	}
	at, err := dec.Time(lineprotocol.Nanosecond, time.Time{})
	a.Time = at.UnixNano()
	return err
}
