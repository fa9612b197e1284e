package filter

import (
	"math"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
)

// How a reload is told from an end.
const (
	fedBefore   = 10.0 // s for which material was fed before the feed rests
	staysWithin = 1.5  // mm: a tool that has risen further has left
	atLeast     = 0.2  // share of the usual pause that is still expected of one that lasts longer
	givesUp     = 3.0  // usual pauses after which nothing is expected any more
	resumesIn   = 0.5  // share of what the feed's coming makes of the forecast that is in doubt: nobody knows when
)

// Pause follows a feed that rests in the middle of a build, while the spindle turns and the tool stays where it is: the
// next bar is put in, and what was fed and travelled before goes on after it. Make one with [NewPause].
type Pause struct {
	feed, path, up, speed int       // places in the inputs, −1 where the model has none
	before                []float64 // inputs while it was fed
	fed                   float64   // s for which it was
	rests                 float64   // s for which the feed has rested since, 0 where it is fed
	risen                 float64   // mm since then
	resumes               float64   // s until it is expected again; 0: it is not
}

// NewPause makes one for the inputs of m.
func NewPause(m *model.Model) *Pause {
	return &Pause{feed: m.InputIndex(model.FeedVelocity), path: m.InputIndex(model.PathVelocity), up: m.InputIndex(model.ZVelocity),
		speed: m.InputIndex(model.SpindleSpeed), before: make([]float64, len(m.Inputs))}
}

func (q *Pause) clear() {
	clear(q.before)
	q.fed, q.rests, q.risen, q.resumes = 0, 0, 0, 0
}

// Follow takes the inputs of an instant dt s after the last one, and its phase. It gives for how long the feed has
// rested, s, where it has just come again; else 0.
func (q *Pause) Follow(dt float64, u []float64, p phase.Phase) (rested float64) {
	q.resumes = 0
	switch {
	case q.feed < 0 || q.speed < 0 || math.Abs(u[q.speed]) < phase.SpinsFrom:
		q.clear()
	case u[q.feed] >= model.FeedsFrom:
		if q.fed >= fedBefore {
			rested = q.rests
		}
		if q.rests > 0 || p <= phase.Free {
			q.clear()
		}
		q.fed += dt
		travel := 0.0
		if q.path >= 0 {
			if travel = u[q.path]; travel < phase.TravelsFrom { // a corner, or it has come to its end
				travel = q.before[q.path]
			}
		}
		if copy(q.before, u); q.path >= 0 {
			q.before[q.path] = travel
		}
	default:
		if q.rests += dt; q.up >= 0 {
			q.risen = max(0, q.risen+u[q.up]*dt/60)
		}
		if q.risen > staysWithin {
			q.clear()
		}
	}
	return rested
}

// expects reports whether the feed is expected again, and notes when.
func (q *Pause) expects(plan *model.Plan) bool {
	if plan == nil || plan.Reload == 0 || q.rests == 0 || q.fed < fedBefore || q.rests > givesUp*plan.Reload {
		return false
	}
	q.resumes = max(plan.Reload-q.rests, atLeast*plan.Reload)
	return true
}

// inputs are those ahead s from now, as [Scenario.Inputs] has them.
func (q *Pause) inputs(u []float64, ahead float64) {
	if q.up >= 0 && ahead > Momentary {
		u[q.up] = 0
	}
	if ahead < q.resumes {
		return
	}
	u[q.feed] = q.before[q.feed]
	if q.path >= 0 {
		u[q.path] = q.before[q.path]
	}
}
