package control

import (
	"fmt"
	"math"
)

// concern is what another pace or set-point would mend.
type concern uint8

const (
	untroubled concern = iota
	noRoomUp           // the spindle comes too near to its upper limit
	noRoomDown
	tooHotFor // the temperature leaves the material's window
	tooColdFor
	tooStiff // the torque goes beyond what it may be
	itIsOver // what a set-point was changed for
)

// How long things must last for a change of the pace or of the set-point, s.
const (
	troubledFor = 10.0 // before one is looked for,
	swingsFor   = 20.0 // and where the spindle comes near to a limit, or a pace was set: a swing of the machine's controller is over by then
	calmFor     = 15.0 // without the trouble, before what was advised is dropped
	overFor     = 30.0 // that the set-point from before would do again
	lookEvery   = 5.0  // between two searches
	speedSlow   = 10.0 // time constant of what is meant by "of late"
)

// steering follows whether another pace or set-point would be better than the present one.
type steering struct {
	concern  concern
	stood    float64 // s
	calm     float64 // s without it
	target   float64 // °C advised; NaN: none
	pace     float64 // factor of feed and path advised; 0: none
	looked   float64 // s since it was looked for
	searched bool    // a set-point was, for this concern
	kept     bool    // and the set-point is better kept
	quiet    float64 // s since a set-point was changed
	last     float64 // °C, set-point of the tick before
	was      float64 // °C, set-point from before our advice was followed; NaN: it was not
	over     float64 // s that it would do again
	short    float64 // K by which the temperature has been short of the set-point of late
	paced    followed
	speed    float64 // rpm of late
}

// reset forgets all but the set-point from before: it is advised again after data were bad for a while, too.
func (k *steering) reset() {
	nan := math.NaN()
	*k = steering{target: nan, last: k.last, was: k.was, paced: k.paced, speed: nan, short: nan, quiet: math.Inf(1), looked: math.Inf(1)}
}

// room is how much of the spindle's range is kept free, rpm.
func (r *Recommender) room() float64 { return r.o.Margin * (r.o.SpindleMax - r.o.SpindleMin) }

func (r *Recommender) bounded() bool { return known(r.o.SpindleMin) && known(r.o.SpindleMax) }

// trouble is what is wrong with an outcome: of the spindle's room by where it has been of late and by how the outcome differs from what
// is expected as things are, since plans are off by more than what they say a setting does.
func (r *Recommender) trouble(s *Situation, o *Outcome) concern {
	n := len(minute) - 1
	_, lower, upper := s.live(minute[n])
	moves := o.Temperature[n] - r.is.Temperature[n]
	later, room := r.usual()+o.later()-r.is.later(), r.room()
	switch {
	case known(r.o.WindowMax) && lower+moves > r.o.WindowMax:
		return tooHotFor
	case known(r.o.WindowMin) && upper+moves < r.o.WindowMin:
		return tooColdFor
	case known(r.o.TorqueMax) && o.torque(n) > r.o.TorqueMax:
		return tooStiff
	case r.bounded() && later > r.o.SpindleMax-room:
		return noRoomUp
	case r.bounded() && later < r.o.SpindleMin+room:
		return noRoomDown
	}
	return untroubled
}

// usual is the speed of late, rpm: over a lap, where so much is known since the set-point is held.
func (r *Recommender) usual() float64 {
	if r.approach.since < aLap {
		return r.steer.speed
	}
	return r.approach.speed
}

// drop forgets what troubles, and what was advised for it.
func (k *steering) drop() {
	k.concern, k.target, k.pace, k.stood, k.over = untroubled, math.NaN(), 0, 0, 0
}

// steers follows whether another pace or set-point is to be advised, which is then in r.steer.
func (r *Recommender) steers(s *Situation, dt float64) bool {
	k := &r.steer
	k.stood, k.calm, k.looked, k.quiet = k.stood+dt, k.calm+dt, k.looked+dt, k.quiet+dt
	late(&k.speed, s.SpindleSpeed, dt)
	late(&k.short, s.SetPoint-s.Temperature, dt)
	r.noteChange(s)
	r.notePace(s, dt)
	if !r.knows() || r.unreachable || r.heat.lowering || s.idles() || math.Abs(s.SetPoint-s.Temperature) > farOff && r.slope != 0 && math.Abs(r.slope) > warming {
		k.drop()
		return false
	}
	if known(s.Led) && !math.IsNaN(k.target) {
		k.drop() // set-points are that loop's from now on
	}
	if r.surveyed == 0 {
		r.consider(s)
	}
	if by := k.paced.back; by != 0 {
		k.pace = by
	}
	return k.pace != 0 || !math.IsNaN(k.target)
}

// late moves the mean of late towards a value.
func late(mean *float64, v, dt float64) {
	if math.IsNaN(*mean) {
		*mean = v
	} else if !math.IsNaN(v) {
		*mean -= math.Expm1(-dt/speedSlow) * (v - *mean)
	}
}

// noteChange takes in that somebody has changed the set-point.
func (r *Recommender) noteChange(s *Situation) {
	k := &r.steer
	was := k.last
	if k.last = s.SetPoint; math.IsNaN(was) || math.Abs(s.SetPoint-was) < 0.5 {
		return
	}
	k.paced.unclear = false // what comes now is not the pace's alone
	advised := k.target
	if r.last.Kind == Unreachable || r.last.Kind == Change {
		advised = r.last.SetPoint
	}
	switch {
	case !(math.Abs(s.SetPoint-advised) < 0.5), k.concern == itIsOver && math.Abs(s.SetPoint-k.was) < 0.5:
		k.was = math.NaN() // as somebody else wants it, or it is back
	case math.IsNaN(k.was):
		k.was = was
	}
	k.drop()
	k.quiet = 0
	r.speeds.forget()
}

// consider looks at what comes, once a survey.
func (r *Recommender) consider(s *Situation) {
	k := &r.steer
	now := r.trouble(s, &r.is)
	if now.roomless() && r.approach.since < aLap {
		now = untroubled
	}
	off := s.Temperature - s.SetPoint
	if later, unsure := r.is.later(), r.speeds.sd(minute[0]); now == untroubled && r.bounded() {
		switch { // a forecast of it counts where the spindle bears it out, and its controller is not about to leave the limit
		case off < clearBy && later > r.o.SpindleMax-r.room() && k.speed >= r.o.SpindleMax-r.room()-unsure:
			now = noRoomUp
		case off > -clearBy && later < r.o.SpindleMin+r.room() && k.speed <= r.o.SpindleMin+r.room()+unsure:
			now = noRoomDown
		}
	}
	switch {
	case now != untroubled && now != k.concern:
		k.concern, k.stood, k.calm, k.target, k.pace, k.searched = now, 0, 0, math.NaN(), 0, false
	case now != untroubled:
		k.calm = 0
	case k.concern == itIsOver:
		r.goBack(s)
		return
	case k.concern != untroubled && k.calm >= calmFor:
		k.concern, k.target, k.pace = untroubled, math.NaN(), 0
	}
	switch {
	case k.concern == untroubled:
		r.goBack(s)
	case k.stood < k.lasts() || k.quiet < r.o.Interval || k.looked < lookEvery || now == untroubled:
	default:
		k.looked = 0
		if k.concern.roomless() {
			if k.paced.settles() {
				return
			}
			if pace := r.freeing(s); pace != 0 || k.pace != 0 && !r.works(s, k.pace) {
				k.pace = pace
			}
			if k.pace != 0 {
				k.target = math.NaN()
				return
			}
		}
		if known(s.Led) {
			return // no set-point is looked for: they are that loop's
		}
		k.searched = true
		if math.IsNaN(k.target) || k.target > s.SetPoint && !r.mends(s, k.target) {
			k.target = r.search(s, k.concern)
		}
	}
}

// roomless tells whether it is the spindle that has no room.
func (c concern) roomless() bool { return c == noRoomUp || c == noRoomDown }

// lasts is how long a concern must stand, s.
func (k *steering) lasts() float64 {
	if k.concern.roomless() {
		return swingsFor
	}
	return troubledFor
}

// mends tells whether a set-point does away with what troubles, and troubles with nothing else.
func (r *Recommender) mends(s *Situation, setPoint float64) bool {
	return s.Ask(&r.would, Setting{SetPoint: setPoint}) && r.trouble(s, &r.would) == untroubled && !r.hotter(s)
}

// hotter tells whether what was asked last crosses the ceiling.
func (r *Recommender) hotter(s *Situation) bool {
	if !known(r.o.Ceiling) {
		return false
	}
	for i, h := range minute {
		mean, _, upper := s.live(h)
		moves := r.would.Temperature[i] - r.is.Temperature[i]
		if mean+moves+math.Hypot(upper-mean, effectDoubt*moves) > r.o.Ceiling && moves > 0 {
			return true
		}
	}
	return false
}

// costsMore tells whether a step of the set-point for the spindle's room would cost more temperature than may be spared: it leads below (sign −1) what the
// temperature is kept at over a lap, and farther from the set-point of before.
func (r *Recommender) costsMore(s *Situation, sign float64) bool {
	to, from := s.SetPoint+sign*r.o.Change, s.SetPoint
	if !math.IsNaN(r.steer.was) {
		from = r.steer.was
	}
	known := r.approach.since >= aLap
	return sign*(to-from) > r.o.Spare && (!known || sign*(to-r.approach.temperature) > 0)
}

// search gives the nearest set-point that mends, NaN where none within reach does.
func (r *Recommender) search(s *Situation, c concern) float64 {
	sign := -1.0
	if c == noRoomDown || c == tooColdFor || c == tooStiff {
		sign = 1
	}
	if k := &r.steer; k.concern.roomless() {
		if k.kept = r.costsMore(s, sign); k.kept {
			return math.NaN()
		}
	}
	for by := r.o.Change; by <= r.o.MostChange+1e-9; by += r.o.Change {
		to := r.clamp(s.SetPoint + sign*by)
		if math.Abs(to-s.SetPoint) < r.o.Change-roundTo {
			break
		}
		if r.mends(s, to) {
			return r.clamp(s.SetPoint + sign*r.o.Change) // by steps: what a set-point does is less than certain
		}
	}
	return math.NaN()
}

// goBack advises the set-point from before, where it would do again, with room for the spindle, for a while.
func (r *Recommender) goBack(s *Situation) {
	k := &r.steer
	if known(s.Led) || math.IsNaN(k.was) || k.quiet < r.o.Interval || r.clamp(k.was) != k.was {
		return
	}
	if k.looked < lookEvery {
		return
	}
	to := min(max(k.was, s.SetPoint-2*r.o.Change), s.SetPoint+2*r.o.Change)
	if !s.Ask(&r.would, Setting{SetPoint: to}) || r.trouble(s, &r.would) != untroubled || r.hotter(s) {
		k.over = 0
		if k.concern == itIsOver {
			k.concern, k.target = untroubled, math.NaN()
		}
	} else if k.over += min(k.looked, 2*lookEvery); k.over >= overFor {
		k.concern, k.target = itIsOver, to
	}
	k.looked = 0
}

// adviseChange advises the set-point that was found.
func (r *Recommender) adviseChange(dst *Recommendation, s *Situation, mean float64) {
	k := &r.steer
	*dst = Recommendation{Kind: Change, SetPoint: k.target, Predicted: mean}
	r.foretell(dst, s)
	dst.Predicted = dst.With.Last().Temperature
	if r.changed(k.why(), k.target, s.SetPoint, 0) {
		verb := "lower"
		if k.target > s.SetPoint {
			verb = "raise"
		}
		r.last.Reason = fmt.Sprintf("%s the set-point from %s °C to %s °C: %s; %s", verb, tenths(s.SetPoint), tenths(k.target), r.because(s), r.compared(dst))
	}
	dst.Reason = r.last.Reason
}

// compared tells what is expected with the advice, beside what is expected without it.
func (r *Recommender) compared(a *Recommendation) string {
	return fmt.Sprintf("in %g s%s with it %s, without it %s", minute[len(minute)-1], r.under(), a.With.Last().text(), a.Without.Last().text())
}

// text is "466 °C (461 to 471) at 421 rpm (395 to 447)".
func (x *Expectation) text() string {
	return fmt.Sprintf("%.0f °C (%.0f to %.0f) at %.0f rpm (%.0f to %.0f)", x.Temperature, x.Lower, x.Upper, x.Speed, x.SpeedLower, x.SpeedUpper)
}

// because says why another pace or set-point is advised.
func (r *Recommender) because(s *Situation) string {
	n := len(minute) - 1
	if r.steer.paced.back != 0 {
		return "it was changed as advised, and that has not helped"
	}
	switch r.steer.concern {
	case noRoomUp:
		return fmt.Sprintf("the spindle keeps less than %.0f rpm to its upper limit of %g rpm", r.room(), r.o.SpindleMax)
	case noRoomDown:
		return fmt.Sprintf("the spindle keeps less than %.0f rpm to its lower limit of %g rpm", r.room(), r.o.SpindleMin)
	case tooHotFor:
		return fmt.Sprintf("the temperature stays above the window, which ends at %g °C", r.o.WindowMax)
	case tooColdFor:
		return fmt.Sprintf("the temperature stays below the window, which begins at %g °C", r.o.WindowMin)
	case tooStiff:
		return fmt.Sprintf("the spindle's torque will be %.0f N·m, and %g N·m is its limit", r.is.torque(n), r.o.TorqueMax)
	}
	return "what it was changed for is over, and the spindle has room for it"
}

// why is a name for what is advised.
func (k *steering) why() string {
	if k.helpless() {
		if k.kept {
			return "kept"
		}
		return "helpless"
	}
	return [...]string{"hold", "no room up", "no room down", "too hot", "too cold", "too stiff", "over"}[k.concern]
}

// helpless tells whether the spindle has no room, and no set-point is advised for it.
func (k *steering) helpless() bool {
	return k.concern.roomless() && k.searched && math.IsNaN(k.target) && k.pace == 0
}

// note says so behind "hold".
func (k *steering) note(r *Recommender) string {
	if !k.helpless() {
		return ""
	}
	limit := r.o.SpindleMax
	if k.concern == noRoomDown {
		limit = r.o.SpindleMin
	}
	if k.kept {
		return fmt.Sprintf("; that is near the spindle's limit of %g rpm, and the set-point is kept", limit)
	}
	return fmt.Sprintf("; that is near the spindle's limit of %g rpm, and no set-point within %g K frees it", limit, r.o.MostChange)
}
