package agent

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClockFollowsStepsAndTellsThem(t *testing.T) {
	// time.Time values carry a monotonic reading only from time.Now, so the wall part is moved
	// by adding to what the synctest bubble's clock shows and taking the monotonic part away.
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(time.Now)
		began := c.Now()
		time.Sleep(time.Hour)
		if d := c.Now() - began; d != int64(time.Hour) {
			t.Fatalf("an hour took %v", time.Duration(d))
		}
		if s := c.Check(); s != 0 {
			t.Fatalf("step %v where there was none", s)
		}
		c.unix += int64(time.Second) // as if the wall clock had been set back by a second since
		if s := c.Check(); s != -time.Second {
			t.Fatalf("step %v, want -1s", s)
		}
		if c.Now() != time.Now().UnixNano() {
			t.Fatalf("clock does not follow: %d", c.Now()-time.Now().UnixNano())
		}
	})
}

func TestRunWatch(t *testing.T) {
	var r runWatch
	sec := int64(time.Second)
	var began, ended []int64
	for s := range int64(600) {
		rpm := 0.0
		switch {
		case s == 5: // a nudge is not a run
			rpm = 100
		case s >= 10 && s < 200, s >= 260 && s < 300: // a stop of a minute stays in the run
			rpm = 450
		}
		b, e := r.update(1000*sec+s*sec, rpm, true)
		if b != 0 {
			began = append(began, b/sec-1000)
		}
		if e != 0 {
			ended = append(ended, e/sec-1000)
		}
	}
	if len(began) != 1 || began[0] != 10 || len(ended) != 1 || ended[0] != 299 {
		t.Fatalf("began %v, ended %v; want [10], [299]", began, ended)
	}
}
