package control

import (
	"fmt"
	"math"
)

// tooHot follows whether the upper end of the 95 % forecast crosses the ceiling at any horizon.
func (r *Recommender) tooHot(s *Situation, dt float64) bool {
	if !known(r.o.Ceiling) {
		return false
	}
	top, when := s.peak()
	switch {
	case r.tooHigh(top):
		r.clear, r.top, r.when = 0, top, when
		if r.crossing += dt; r.crossing >= crossFor {
			if excess := top - r.o.Ceiling; !r.lowering || r.clamp(s.SetPoint-excess) < r.target-clearBy {
				r.target = r.clamp(s.SetPoint - excess)
			}
			r.lowering = true
		}
	case top < r.o.Ceiling-clearBy:
		r.crossing = 0
		if r.clear += dt; r.clear >= clearFor {
			r.lowering = false
		}
	default:
		r.crossing = 0
	}
	if r.lowering && s.SetPoint <= r.target && r.target > r.lowest() { // the operator has done it
		r.lowering, r.crossing = false, 0
	}
	return r.lowering
}

func (r *Recommender) tooHigh(top float64) bool { return known(r.o.Ceiling) && top > r.o.Ceiling }

// peak is the highest upper end of the forecast, °C, and when it is expected, s. What is more than [tooWide] above the
// mean does not count: a lower set-point would not make the interval narrower. Where it is so wide and nothing above the
// set-point is expected, none of it does.
func (s *Situation) peak() (top, when float64) {
	top = math.Inf(-1)
	x := s.expected()
	for i, upper := range x.Upper {
		if upper > x.Mean[i]+tooWide {
			if x.Mean[i] <= s.SetPoint+clearBy {
				continue
			}
			upper = x.Mean[i] + tooWide
		}
		if upper > top {
			top, when = upper, s.Forecast.Horizon[i]
		}
	}
	return top, when
}

// adviseLimit leads back a set-point that is above the highest that may be advised.
func (r *Recommender) adviseLimit(dst *Recommendation, s *Situation, mean float64) {
	to := min(r.target, r.clamp(r.highest()))
	if !r.lowering {
		to = r.clamp(r.highest())
	}
	*dst = Recommendation{Kind: Change, Must: true, SetPoint: to, Predicted: mean}
	if r.changed("limit", to, s.SetPoint, 0) {
		r.last.Reason = fmt.Sprintf("lower the set-point from %g °C to %g °C: the highest allowed is %g °C", s.SetPoint, to, r.highest())
	}
	dst.Reason = r.last.Reason
}

func (r *Recommender) adviseLower(dst *Recommendation, s *Situation, mean float64) {
	if s.SetPoint <= r.target { // as low as it may be
		*dst = Recommendation{Kind: Unreachable, SetPoint: math.NaN(), Predicted: mean}
		if r.changed("lowest", s.SetPoint, 0, 0) {
			r.last.Reason = fmt.Sprintf("unreachable: within %g s the temperature may reach %.0f °C%s, above the ceiling of %g °C, and the set-point of %g °C is the lowest allowed",
				r.when, r.top, r.under(), r.o.Ceiling, s.SetPoint)
		}
		dst.Reason = r.last.Reason
		return
	}
	*dst = Recommendation{Kind: Change, Must: true, SetPoint: r.target, Predicted: mean}
	if r.changed("lower", r.target, s.SetPoint, 0) {
		r.last.Reason = fmt.Sprintf("lower the set-point from %g °C to %g °C: within %g s the temperature may reach %.0f °C%s, above the ceiling of %g °C",
			s.SetPoint, r.target, r.when, r.top, r.under(), r.o.Ceiling)
	}
	dst.Reason = r.last.Reason
}
