package journal

import (
	"math"
	"time"

	"stirwatch/sensors"
)

// deadBands thins out what hardly moves, as historians do by exception reporting: a value is recorded
// when it differs from the last one recorded by more than its channel's dead band, has another status, or
// enough time has passed. The value before a change is recorded too, so that a step after a rest stays
// a step where people draw lines between records.
type deadBands struct {
	of   []deadBand // by channel
	left uint64     // samples left out

	before sensors.Sample
}

type deadBand struct {
	on    bool
	width float64
	every int64 // ns after which a value is recorded again, so that it is never older than max_age
	last  sensors.Sample
	held  sensors.Sample // left out since; held.Time 0: none
}

// unchangedEvery is how often a value that does not move is recorded where its channel never grows old.
const unchangedEvery = time.Minute

func newDeadBands(reg *sensors.Registry) (d deadBands) {
	if reg == nil {
		return d
	}
	d.of = make([]deadBand, reg.Len())
	for id := range d.of {
		c := reg.Channel(sensors.ChannelID(id))
		b := &d.of[id]
		b.on, b.width, b.every = c.Changes, c.DeadBand, int64(unchangedEvery)
		if c.MaxAge > 0 {
			b.every = min(b.every, int64(c.MaxAge)*2/3)
		}
		b.last.Value = math.NaN() // differs from all
	}
	return d
}

// pass gives the samples that are recorded now that s has come, in order; nil: none. They are valid until
// the next call.
func (d *deadBands) pass(s *sensors.Sample) (before, now *sensors.Sample) {
	if int(s.Channel) >= len(d.of) || !d.of[s.Channel].on {
		return nil, s
	}
	b := &d.of[s.Channel]
	moved := !(math.Abs(s.Value-b.last.Value) <= b.width) || s.Status != b.last.Status
	if s.Value != s.Value && s.Status == b.last.Status && s.Sent == b.last.Sent { // no number, again
		moved = false
	}
	since := s.Time - b.last.Time
	if !moved && since >= 0 && since < b.every {
		d.left++
		b.held = *s
		return nil, nil
	}
	if moved && b.held.Time != 0 && b.held.Time <= s.Time {
		d.before = b.held
		d.left--
		before = &d.before
	}
	b.last, b.held.Time = *s, 0
	return before, s
}
