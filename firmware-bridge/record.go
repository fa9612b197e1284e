package bridge

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"stirwatch/sensors/unit"
)

// Verdict is the decision on a command, or the end of its lease.
type Verdict string

const (
	Accepted Verdict = "accepted" // a lease began or was changed
	Clamped  Verdict = "clamped"  // the same, with the value cut to the limits
	Refused  Verdict = "refused"  // nothing reached the wire
	Reached  Verdict = "reached"  // the value was acknowledged and read back
	Failed   Verdict = "failed"   // the controller refused it or does not hold it: the lease ended
	Expired  Verdict = "expired"  // nobody renewed: the lease ended
	Released Verdict = "released" // the commander gave it back
	Yielded  Verdict = "yielded"  // somebody else has taken the target over: the lease ended, nothing was written
	Reverted Verdict = "reverted" // the safe state was acknowledged and read back
)

// Record is one decision. Numbers are in Unit, NaN where there is none.
type Record struct {
	At                     time.Time
	Target                 string
	Unit                   unit.Unit
	Verdict                Verdict
	Asked, Given, ReadBack float64
	Who, Why               string // of the command
	Note                   string // explanation by the bridge, for people
}

// String is the record on one line, for people.
func (r Record) String() string {
	text := fmt.Sprintf("%s  %-9s", r.At.Format("15:04:05.000"), r.Verdict)
	for _, v := range []struct {
		name  string
		value float64
	}{{"asked", r.Asked}, {"given", r.Given}, {"reads back", r.ReadBack}} {
		if !math.IsNaN(v.value) {
			text += fmt.Sprintf("  %s %g %s", v.name, v.value, r.Unit)
		}
	}
	if r.Note != "" {
		text += fmt.Sprintf("  (%s)", r.Note)
	}
	return text
}

// Recorder keeps records. Record is called from one goroutine of its own, in order; while it
// blocks, commands go on, and what exceeds [maxRecords] is counted as lost.
type Recorder interface {
	Record(Record)
}

// maxRecords is how many records wait for a slow recorder.
const maxRecords = 1024

// clerk hands records to the recorder, so that no disk holds up a command or a revert. It also
// runs what must not be done by the watchdog itself.
type clerk struct {
	to    Recorder
	queue chan func()
	quit  chan struct{}
	done  chan struct{}
	lost  atomic.Uint64
}

func (c *clerk) init(to Recorder) {
	c.to, c.queue = to, make(chan func(), maxRecords)
	c.quit, c.done = make(chan struct{}), make(chan struct{})
}

func (c *clerk) tell(r Record) {
	if c.to == nil {
		return
	}
	r.At = time.Now()
	if !c.do(func() { c.to.Record(r) }) {
		c.lost.Add(1)
	}
}

func (c *clerk) do(f func()) bool {
	select {
	case c.queue <- f:
		return true
	default:
		return false
	}
}

func (c *clerk) run() {
	defer close(c.done)
	for {
		select {
		case f := <-c.queue:
			f()
		case <-c.quit:
			for {
				select {
				case f := <-c.queue:
					f()
				default:
					return
				}
			}
		}
	}
}

// lastRecords is how long the end waits for a slow recorder.
const lastRecords = 10 * time.Second

// stop lets the clerk hand over what waits, and reports whether it has within lastRecords.
func (c *clerk) stop() bool {
	close(c.quit)
	t := time.NewTimer(lastRecords)
	defer t.Stop()
	select {
	case <-c.done:
		return true
	case <-t.C:
		return false
	}
}
