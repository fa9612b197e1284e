package trial

import (
	"fmt"
	"math"

	"stirwatch/firmware-bridge/twin"
)

// Calls are how advice calls a set-point unreachable, held against what came. A stretch is deposition or its start above stretchFrom
// with the spindle at a limit and, on that side, more than tolerated off for stretchLasts or longer.
type Calls struct {
	Made      int     // times that it was called
	Wrong     int     // of them, those after which the temperature was further off than tolerated for less than costsLeast in a minute
	Stretches int     // that there were
	Before    int     // of them, those called before the temperature was further off than tolerated
	Late      float64 // s after that of the others, mean; those not called at all count with what they lasted
	Starts    int     // of the stretches, those on the way up from a start or a reload
	Early     int     // of these, those called before
}

// What a stretch is.
const (
	stretchFrom  = 400.0 // °C
	stretchLasts = 30.0  // s
	judgedFor    = 60.0  // s in which a call has to come true
	costsLeast   = 10.0  // s of it
)

// caller follows the calls of one build, by rows of a second.
type caller struct {
	c        Calls
	standing bool    // a call stands
	open     []claim // calls that are not judged yet
	from     float64 // s, where the present stretch began; NaN: none
	called   float64 // when it was called; NaN: it was not
	ended    float64 // when the last call ended
	late     float64 // sum, s
	arrived  bool    // the set-point has been come to since nothing was fed
	start    bool    // in the present stretch it had not been
}

// claim is a call that is not judged yet.
type claim struct{ at, cost float64 } // s: when it was made, and how long the temperature has been far off since

func newCaller() *caller { return &caller{from: math.NaN(), called: math.NaN(), ended: math.Inf(-1)} }

// row takes a row a second, and whether the set-point is called unreachable; upper and lower tell whether the spindle is at that limit.
func (c *caller) row(r *twin.Row, calls, upper, lower bool) {
	off := r.SetPoint - r.ToolTemp
	fed := r.SetPoint > 0 && r.ToolTemp > stretchFrom && (r.True.Phase == twin.Deposit || r.True.Phase == twin.Prime)
	if calls && !c.standing {
		c.c.Made++
		c.open = append(c.open, claim{at: r.At})
	}
	if c.standing && !calls {
		c.ended = r.At
	}
	c.standing = calls
	for i := range c.open {
		if math.Abs(off) > tolerated {
			c.open[i].cost++
		}
	}
	for len(c.open) > 0 && (r.At-c.open[0].at >= judgedFor || r.SetPoint == 0) {
		if r.SetPoint > 0 && c.open[0].cost < costsLeast { // a build that ends judges nobody
			c.c.Wrong++
		}
		c.open = c.open[1:]
	}
	c.arrived = fed && (c.arrived || math.Abs(off) <= tolerated)
	if !(fed && (upper && off > tolerated || lower && off < -tolerated)) {
		c.close(r.At)
		return
	}
	if math.IsNaN(c.from) {
		c.from, c.start = r.At, !c.arrived
		if c.standing || r.At-c.ended <= 1 {
			c.called = r.At
		}
	} else if math.IsNaN(c.called) && calls {
		c.called = r.At
	}
}

// close ends a stretch.
func (c *caller) close(at float64) {
	if lasted := at - c.from; lasted >= stretchLasts {
		c.c.Stretches++
		if c.start {
			c.c.Starts++
		}
		switch {
		case math.IsNaN(c.called):
			c.late += lasted
		case c.called == c.from:
			c.c.Before++
			if c.start {
				c.c.Early++
			}
		default:
			c.late += c.called - c.from
		}
	}
	c.from, c.called = math.NaN(), math.NaN()
}

// calls is what there was.
func (c *caller) calls() Calls {
	if n := c.c.Stretches - c.c.Before; n > 0 {
		c.c.Late = c.late / float64(n)
	}
	return c.c
}

// TotalCalls adds up those of builds.
func TotalCalls(builds []Build) (all Calls) {
	late := 0.0
	for i := range builds {
		c := &builds[i].Calls
		all.Made, all.Wrong, all.Stretches, all.Before = all.Made+c.Made, all.Wrong+c.Wrong, all.Stretches+c.Stretches, all.Before+c.Before
		all.Starts, all.Early = all.Starts+c.Starts, all.Early+c.Early
		late += c.Late * float64(c.Stretches-c.Before)
	}
	if n := all.Stretches - all.Before; n > 0 {
		all.Late = late / float64(n)
	}
	return all
}

// String is for people.
func (c Calls) String() string {
	return fmt.Sprintf("called unreachable %d times, %d of them for less than %g s of %g K off in the minute after; of %d stretches of %g s at a limit and %g K off %d were called before, the others %.0f s late; on the way up from a start or a reload were %d of them, %d called before",
		c.Made, c.Wrong, costsLeast, tolerated, c.Stretches, stretchLasts, tolerated, c.Before, c.Late, c.Starts, c.Early)
}
