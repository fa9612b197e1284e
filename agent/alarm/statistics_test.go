package alarm

import (
	"maps"
	"testing"
	"time"

	"stirwatch/agent/anomaly"
)

// An hour of a board, counted by hand.
func TestStatistics(t *testing.T) {
	b := newBench(t, Options{Setting: with(func(_ anomaly.Code, s *Setting) { s.OffDelay, s.InRun = 0, false })}, source, sensor, rate, model)
	flip := func(k Key, times int, every float64) {
		for range times {
			b.on[k] = true
			b.run(every/2, true)
			b.on[k] = false
			b.run(every/2, true)
		}
	}
	from := b.now
	b.on[source] = true
	b.run(30, true) // unacknowledged for 30 s
	if _, err := b.Ack(b.now, All, "Ann", ""); err != nil {
		t.Fatal(err)
	}
	flip(rate, 4, 10)    // chatters, but one of them: it is unseen, and is raised again each time
	flip(sensor, 2, 200) // does not
	b.run(2*3600-8*60-50, true)
	if _, err := b.Shelve(b.now, "sensor.rate tool", time.Hour, "Ben", "new cable"); err != nil {
		t.Fatal(err)
	}
	b.paper.commit()
	s := Count(b.paper.rows, from, from+2*hour)
	if s.Raised != 7 || s.Peak10Min != 7 || s.Per10Min != 7.0/12 || s.FloodPart != 0 || s.Standing != 1 || s.Stale != 0 || s.ToAckS < 29.8 || s.ToAckS > 30 || s.Shelved != 1 {
		t.Errorf("%+v", s)
	}
	if !maps.Equal(s.ByPriority, map[string]int{"low": 4, "medium": 3}) {
		t.Errorf("%v", s.ByPriority)
	}
	if len(s.Chattering) != 1 || s.Chattering[0].Key != rate || len(s.Top) != 3 || s.Top[0].Key != rate || s.Top[0].Times != 4 || s.Top[0].Part != 4.0/7 {
		t.Errorf("%+v", s)
	}
	if later := Count(b.paper.rows, from+hour, from+30*hour); later.Raised != 0 || later.Standing != 1 || later.Stale != 1 {
		t.Errorf("a day later: %+v", later)
	}
	if none := Count(nil, 0, 0); none.Raised != 0 || none.Per10Min != 0 {
		t.Errorf("%+v", none)
	}
}
