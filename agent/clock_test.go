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
