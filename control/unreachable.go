package control

import (
	"fmt"
	"math"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
)

// stuck follows whether the spindle sits at a limit that keeps the set-point out of reach.
func (r *Recommender) stuck(s *Situation, mean, dt float64) bool {
	short := s.SetPoint - s.Temperature
	if later := s.SetPoint - mean; math.Abs(later) < math.Abs(short) {
		short = later
	}
	if warms := r.warms(s, dt); s.idles() || warms && !r.unreachable { // a swing of the path is no warm-up
		r.atLimit, r.foreseen, r.unreachable = 0, 0, false
		return false
	}
	if soon := r.foresees(s, dt); soon != "" {
		r.limit, r.offLimit, r.unreachable = soon, 0, true
		return true
	}
	side := ""
	switch {
	case known(r.o.SpindleMax) && s.SpindleSpeed >= r.o.SpindleMax*(1-nearLimit) && short > farOff:
		side = "upper"
	case known(r.o.SpindleMin) && s.SpindleSpeed > 0 && s.SpindleSpeed <= r.o.SpindleMin*(1+nearLimit) && short < -farOff:
		side = "lower"
	}
	if side != "" {
		if side != r.limit {
			r.atLimit, r.unreachable = 0, false
		}
		r.limit, r.offLimit = side, 0
		if r.atLimit += dt; r.atLimit > limitFor {
			r.unreachable = true
		}
		return r.unreachable
	}
	r.atLimit = 0
	if r.offLimit += dt; r.offLimit >= freeFor {
		r.unreachable = false
	}
	return r.unreachable
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
	return s.Temperature < phase.FlowsFrom || s.SetPoint-s.Temperature > farOff && r.slope > warming
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

func (r *Recommender) adviseUnreachable(dst *Recommendation, s *Situation, mean, far float64) {
	r.look(s)
	reach := r.clamp(mean)
	if v := r.ways.setPoint; !math.IsNaN(v) {
		reach = r.clamp(v)
	}
	if r.last.Kind == Unreachable && math.Abs(reach-r.last.SetPoint) < stayWithin {
		reach = r.last.SetPoint // advice that follows every wobble cannot be followed
	}
	*dst = Recommendation{Kind: Unreachable, SetPoint: reach, Predicted: mean, Ways: r.ways.all}
	top, _ := s.peak()
	if math.IsNaN(r.ways.setPoint) && math.Abs(r.clamp(mean)-mean) > farOff || r.tooHigh(top) && reach > s.SetPoint {
		dst.SetPoint = math.NaN() // none within the limits can be reached either, or it would make matters worse
	}
	cause := r.limit
	if math.IsNaN(dst.SetPoint) {
		cause = "no set-point can be reached"
	}
	if r.changed(cause, s.SetPoint, s.SetPoint-s.Temperature, mean) {
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
		r.last.Reason = fmt.Sprintf("unreachable: the spindle %s at its %s limit of %g rpm and the temperature %.0f K %s the set-point of %g °C; it will be at %.0f °C in %g s%s",
			verb, r.limit, limit, math.Abs(s.SetPoint-s.Temperature), side, s.SetPoint, mean, far, r.under()) + waysText(&r.ways.all)
	}
	dst.Reason = r.last.Reason
}
