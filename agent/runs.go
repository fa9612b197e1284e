package agent

import (
	"time"
)

// When a run begins and ends, judged by the spindle alone: it turns for a moment, and later
// stands still long enough that the next start is another build.
const (
	turningRPM = 20.0
	runBegins  = 2 * time.Second
	runEnds    = 2 * time.Minute
)

// runWatch finds the runs in the spindle speed.
type runWatch struct {
	running     bool
	since       int64 // first instant of the present turning, ns
	lastTurning int64
	turning     bool
}

// update takes one tick. began or ended is the instant at which a run began or ended, 0 if none did.
func (r *runWatch) update(now int64, rpm float64, known bool) (began, ended int64) {
	turning := known && rpm > turningRPM
	if turning {
		if !r.turning {
			r.since = now
		}
		r.lastTurning = now
	}
	r.turning = turning
	switch {
	case !r.running && turning && now-r.since >= int64(runBegins):
		r.running = true
		return r.since, 0
	case r.running && now-r.lastTurning >= int64(runEnds):
		r.running = false
		return 0, r.lastTurning
	}
	return 0, 0
}

// shift moves the stamps held along with a step of the clock.
func (r *runWatch) shift(step time.Duration) {
	r.since += int64(step)
	r.lastTurning += int64(step)
}
