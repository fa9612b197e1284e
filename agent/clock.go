package agent

import (
	"sync"
	"time"
)

// stepLimit is how far the wall clock may drift from monotonic time before it counts as a step.
const stepLimit = 250 * time.Millisecond

// Clock gives Unix time that runs on the monotonic clock: it is anchored to the wall clock at
// start and jumps only when [Clock.Check] finds that the wall clock was stepped.
type Clock struct {
	now  func() time.Time      // with a monotonic reading
	wall func(time.Time) int64 // what the wall clock shows then, ns since the Unix epoch

	mu     sync.RWMutex
	anchor time.Time // instant of the anchor, for its monotonic reading
	unix   int64     // Unix time of the anchor, ns
}

// NewClock anchors a clock to now, normally [time.Now].
func NewClock(now func() time.Time) *Clock { return NewWallClock(now, time.Time.UnixNano) }

// NewWallClock is NewClock with a wall clock other than that of now: it gives ns since the Unix epoch at an
// instant of now.
func NewWallClock(now func() time.Time, wall func(time.Time) int64) *Clock {
	t := now()
	return &Clock{now: now, wall: wall, anchor: t, unix: wall(t)}
}

// Now is the time in ns since the Unix epoch; it is a [sensors.Clock].
func (c *Clock) Now() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.unix + int64(c.now().Sub(c.anchor))
}

// Check compares with the wall clock and follows it if it was stepped by 250 ms or more. It
// returns the step, 0 if there was none. Slewing by NTP moves both clocks alike and is no step.
func (c *Clock) Check() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.now()
	mono := c.unix + int64(t.Sub(c.anchor))
	wall := c.wall(t)
	step := time.Duration(wall - mono)
	if step.Abs() < stepLimit {
		return 0
	}
	c.anchor, c.unix = t, wall
	return step
}
