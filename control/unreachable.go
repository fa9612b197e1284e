package control

import (
	"fmt"
	"math"

	"stirwatch/dynamics/model"
)

// stuck follows whether the spindle sits at a limit that keeps the set-point out of reach.
func (r *Recommender) stuck(s *Situation, mean, dt float64) bool {
	off := s.SetPoint - s.Temperature
	short := off
	if later := s.SetPoint - mean; math.Abs(later) < math.Abs(short) {
		short = later
	}
	warms := r.warms(s, dt) && !r.unreachable // a swing of the path is no warm-up
	if s.idles() || warms && !r.stalls(s) {
		r.atLimit, r.foreseen, r.costing, r.unreachable = 0, 0, 0, false
		return false
	}
	soon := r.foresees(s, dt)
	if costs := r.costs(s, dt); soon == "" && !warms {
		soon = costs
	}
	if soon != "" {
		r.limit, r.offLimit, r.unreachable = soon, 0, true
		return true
	}
	side, stays := r.sits(s, short), r.sits(s, off)
	if side != "" && side != r.limit {
		r.atLimit, r.unreachable = 0, false
	}
	if side != "" {
		r.limit = side
		if r.atLimit += dt; r.atLimit > limitFor {
			r.unreachable = true
		}
	} else {
		r.atLimit = 0
	}
	if side != "" || stays != "" && stays == r.limit {
		r.offLimit = 0
		return r.unreachable
	}
	if r.offLimit += dt; r.offLimit >= freeFor {
		r.unreachable = false
	}
	return r.unreachable
}

// sits tells at which limit the spindle is that explains an error, set-point less temperature, of more than farOff.
func (r *Recommender) sits(s *Situation, off float64) (side string) {
	switch {
	case r.atUpper(s.SpindleSpeed) && off > farOff:
		return "upper"
	case s.SpindleSpeed > 0 && r.atLower(s.SpindleSpeed) && off < -farOff:
		return "lower"
	}
	return ""
}

func (r *Recommender) atUpper(speed float64) bool {
	return known(r.o.SpindleMax) && speed >= r.o.SpindleMax*(1-nearLimit)
}

func (r *Recommender) atLower(speed float64) bool {
	return known(r.o.SpindleMin) && speed <= r.o.SpindleMin*(1+nearLimit)
}

// idles tells whether nothing is fed: then no set-point is held, and nobody expects it.
func (s *Situation) idles() bool { return s.Feed.Max > 0 && s.Feed.Now < model.FeedsFrom }

// A start, or what comes after a reload, is on its way where the temperature comes nearer to its set-point by more than warming.
const (
	warming   = 0.5 // K/s
	slopeSlow = 3.0 // s, time constant of that slope
)

// warms follows whether the temperature is on its way to the set-point, or the metal does not flow yet.
func (r *Recommender) warms(s *Situation, dt float64) bool {
	if was := r.before; dt > 0 && !math.IsNaN(was) {
		r.slope -= math.Expm1(-dt/slopeSlow) * ((s.Temperature-was)/dt - r.slope)
	}
	r.before = s.Temperature
	return r.onItsWay(s)
}

func (r *Recommender) onItsWay(s *Situation) bool {
	return s.cold() || s.SetPoint-s.Temperature > farOff && r.slope > warming
}

// A warm-up may be seen to end short of the set-point once the tool is nearer to it than this, K: before, whether and when the
// cold metal takes is not known.
const stallsWithin = 165.0

// stalls tells whether a warm-up will not come to the set-point within the minute, by more than farOff, by the whole interval
// of the forecast. A tool that cools is none.
func (r *Recommender) stalls(s *Situation) bool {
	n, x := len(s.Forecast.Horizon)-1, s.expected()
	return s.SetPoint-s.Temperature < stallsWithin && x.Mean[n] > s.Temperature-farOff && x.Upper[n] < s.SetPoint-farOff
}

// foresees tells at which limit the spindle will keep the set-point out of reach, before the error has grown: it
// sits there or will, and the whole interval of what is expected is on that side. "" where there is none.
func (r *Recommender) foresees(s *Situation, dt float64) (side string) {
	n := len(s.Forecast.Horizon) - 1
	high, low := s.SpindleSpeed, s.SpindleSpeed
	if r.knows() { // it need not sit there yet, where the machine's controller will bring it there
		later := r.is.later()
		high, low = max(high, later), min(low, later)
	}
	switch x := s.expected(); {
	case known(r.o.SpindleMax) && high >= r.o.SpindleMax*(1-nearLimit) && x.Upper[n] < s.SetPoint-soonBy:
		side = "upper"
	case known(r.o.SpindleMin) && s.SpindleSpeed > 0 && low <= r.o.SpindleMin*(1+nearLimit) && x.Lower[n] > s.SetPoint+soonBy:
		side = "lower"
	}
	if side == "" {
		r.foreseen = 0
		return ""
	}
	if r.foreseen += dt; r.foreseen <= soonFor {
		return ""
	}
	return side
}

// costs tells at which limit the spindle will be when the temperature goes far off the set-point, in seconds
// rather than for the minute: where a forecast is off by costly, and leaves less than one chance in five that it is off by less than
// farOff. "" where there is none.
func (r *Recommender) costs(s *Situation, dt float64) (side string) {
	x := s.expected()
	r.costAt = -1
	for i, h := range s.Forecast.Horizon {
		if h < soonest || h > latest {
			continue
		}
		high, low := s.SpindleSpeed, s.SpindleSpeed
		if r.knows() {
			v := r.is.Speed[r.is.at(h)]
			high, low = max(high, v), min(low, v)
		}
		mean := x.Mean[i]
		switch {
		case r.atUpper(high) && s.SetPoint-mean > costly && mean+likely*(x.Upper[i]-mean) < s.SetPoint-farOff:
			side = "upper"
		case s.SpindleSpeed > 0 && r.atLower(low) && mean-s.SetPoint > costly && mean-likely*(mean-x.Lower[i]) > s.SetPoint+farOff:
			side = "lower"
		}
		if side != "" {
			r.costAt = i
			break
		}
	}
	if side == "" {
		r.costing = 0
		return ""
	}
	if r.costing += dt; r.costing <= costsFor {
		return ""
	}
	return side
}

func (r *Recommender) adviseUnreachable(dst *Recommendation, s *Situation, mean, far float64) {
	r.look(s)
	reach := r.clamp(mean)
	if v := r.ways.setPoint; !math.IsNaN(v) {
		reach = r.clamp(v)
	}
	if r.sat(s) { // where it has been is known better than where it will be; a step nearer to the set-point, so that what comes back is not given away
		if reach = r.clamp(min(r.approach.temperature+r.o.Change, s.SetPoint)); r.limit == "lower" {
			reach = r.clamp(max(r.approach.temperature-r.o.Change, s.SetPoint))
		}
	} else if r.limit == "lower" { // no farther than where the temperature goes by itself
		reach = min(reach, r.clamp(mean+r.o.Change))
	} else {
		reach = max(reach, r.clamp(mean-r.o.Change))
	}
	if r.last.Kind == Unreachable && math.Abs(reach-r.last.SetPoint) < stayWithin {
		reach = r.last.SetPoint // advice that follows every wobble cannot be followed
	}
	*dst = Recommendation{Kind: Unreachable, SetPoint: reach, Predicted: mean, Ways: r.ways.all}
	if p := &r.steer.paced; r.ways.pace != 0 && !p.settles() {
		dst.Pace = r.ways.pace
		p.advises(dst.Pace, r.side())
	}
	top, _ := r.peak(s, tooWide, 0, nil)
	if math.IsNaN(r.ways.setPoint) && math.Abs(r.clamp(mean)-mean) > farOff || r.tooHigh(top) && reach > s.SetPoint || r.approach.on || !r.lasts(s, mean) {
		dst.SetPoint = math.NaN() // none within the limits can be reached either, it would make matters worse, or it is not known yet whether it lasts
	}
	cause := r.limit
	if math.IsNaN(dst.SetPoint) {
		cause = "no set-point can be reached"
	}
	soon := math.NaN() // °C, where it is about to be far off and is not yet
	if r.costAt >= 0 && math.Abs(s.SetPoint-s.Temperature) < farOff {
		soon = s.expected().Mean[r.costAt]
		cause += " soon"
	}
	if r.changed(cause, s.SetPoint, s.SetPoint-s.Temperature, mean) || dst.Pace != r.last.Pace {
		limit, side := r.o.SpindleMax, "below"
		if r.limit == "lower" {
			limit, side = r.o.SpindleMin, "above"
		}
		verb := "is"
		if r.limit == "upper" && s.SpindleSpeed < limit*(1-nearLimit) || r.limit == "lower" && s.SpindleSpeed > limit*(1+nearLimit) {
			verb = "will be"
		}
		switch { // not yet there where the limit will keep it
		case s.Temperature > s.SetPoint:
			side = "above"
		case s.Temperature < s.SetPoint:
			side = "below"
		}
		off := fmt.Sprintf("the temperature %.0f K %s the set-point of %s °C", math.Abs(s.SetPoint-s.Temperature), side, tenths(s.SetPoint))
		if !math.IsNaN(soon) {
			off = fmt.Sprintf("the temperature at %.0f °C in %g s, %.0f K off the set-point of %s °C", soon, s.Forecast.Horizon[r.costAt], math.Abs(s.SetPoint-soon), tenths(s.SetPoint))
		}
		r.last.Reason = fmt.Sprintf("unreachable: the spindle %s at its %s limit of %g rpm and %s; it will be at %.0f °C in %g s%s",
			verb, r.limit, limit, off, mean, far, r.under()) + waysText(&r.ways.all)
		if p := &r.steer.paced; dst.Pace != 0 && p.back != 0 {
			r.last.Reason += "; the pace has not helped: back by " + paceText(dst.Pace, p.feed.at)
		} else if dst.Pace != 0 {
			r.last.Reason += "; a step that brings it nearer: " + paceText(dst.Pace, p.feed.at)
		}
	}
	dst.Reason = r.last.Reason
}

// sat tells whether over a lap the spindle was at the limit, and the temperature far off for that: then this counts for more than
// a forecast.
func (r *Recommender) sat(s *Situation) bool {
	p := &r.approach
	if p.since < aLap {
		return false
	}
	if r.limit == "lower" {
		return r.atLower(p.speed) && p.temperature-s.SetPoint > farOff
	}
	return r.atUpper(p.speed) && s.SetPoint-p.temperature > farOff
}

// lasts tells whether the set-point stays out of reach beyond the minute that is foretold, at the limit where the spindle is.
func (r *Recommender) lasts(s *Situation, mean float64) bool {
	if r.sat(s) {
		return true
	}
	if r.limit == "lower" {
		return mean > s.SetPoint+soonBy
	}
	return mean < s.SetPoint-soonBy
}
