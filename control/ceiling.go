package control

import (
	"fmt"
	"math"
)

// When the ceiling counts as crossed.
const (
	crossFor   = 2.0  // s that the forecast must cross it
	clearFor   = 10.0 // s that it must stay clear of it, by clearBy, before the advice ends
	clearBy    = 3.0  // K
	tooWide    = 60.0 // K from the mean of a forecast to its upper end, above which it tells more of the model than of the machine
	actsFrom   = 10.0 // s ahead, from which a set-point changes anything: the dead time, and the machine's controller on its way
	worksAfter = 30.0 // s that a lowered set-point has to show what it does, before a lower one is advised
)

// heat follows whether the temperature will cross the ceiling, and whether a lower set-point averts that.
type heat struct {
	crossing, clear float64 // s
	lowering        bool    // target averts it
	helpless        bool    // no set-point does
	target          float64 // °C
	sought          float64 // s since it was looked for
	working         float64 // s that what was lowered has left to work

	top, when float64 // °C and s ahead, of the last forecast that crossed the ceiling
	with      float64 // °C, the most that may come with target; NaN where nobody can tell
}

func (k *heat) reset() { *k = heat{with: math.NaN(), sought: math.Inf(1)} }

// tooHot follows whether the forecast crosses the ceiling, at any horizon, and what averts it. In deposition the upper end of the
// 95 % interval counts. In a start the expected value does: the machine's controller is at its limit and no such
// forecast has come true yet, so that the interval is as wide as the model is unsure of cold metal.
func (r *Recommender) tooHot(s *Situation, dt float64) bool {
	if !known(r.o.Ceiling) {
		return false
	}
	k := &r.heat
	k.sought += dt
	k.working = max(0, k.working-dt)
	most := tooWide
	if r.approach.on || r.onItsWay(s) {
		most = 0
	}
	switch top, when := r.peak(s, most, 0, nil); {
	case r.tooHigh(top):
		k.clear, k.top, k.when = 0, top, when
		if k.crossing += dt; k.crossing >= crossFor && k.working == 0 {
			r.avert(s, most)
		}
	case top < r.o.Ceiling-clearBy:
		k.crossing = 0
		if k.clear += dt; k.clear >= clearFor {
			k.lowering, k.helpless = false, false
		}
	default:
		k.crossing = 0
	}
	if k.lowering && s.SetPoint <= k.target && k.target > r.lowest() { // the operator has done it
		k.lowering, k.crossing, k.working = false, 0, worksAfter
	}
	return k.lowering || k.helpless
}

func (r *Recommender) tooHigh(top float64) bool { return known(r.o.Ceiling) && top > r.o.Ceiling }

// peak is the highest end of the forecast from so many s ahead, °C, and when it is expected, s: most above the mean at
// most, since a lower set-point would not make the interval narrower. Where it is wider than [tooWide] and nothing above the
// set-point is expected, none of it counts. With another outcome it is that of the forecast moved as that says.
func (r *Recommender) peak(s *Situation, most, from float64, would *Outcome) (top, when float64) {
	top = math.Inf(-1)
	x := s.expected()
	for i, upper := range x.Upper {
		h := s.Forecast.Horizon[i]
		if h < from || upper > x.Mean[i]+tooWide && x.Mean[i] <= s.SetPoint+clearBy {
			continue
		}
		mean, wide := x.Mean[i], min(upper-x.Mean[i], most)
		if would != nil {
			at := would.at(h)
			moves := would.Temperature[at] - r.is.Temperature[at]
			mean, wide = mean+moves, math.Hypot(wide, effectDoubt*moves)
		}
		if mean+wide > top {
			top, when = mean+wide, h
		}
	}
	return top, when
}

// avert looks for the nearest lower set-point with which the forecast does not cross the ceiling any more; where none does, for
// one that halves the excess.
func (r *Recommender) avert(s *Situation, most float64) {
	k := &r.heat
	excess := k.top - r.o.Ceiling
	if !r.knows() { // what a set-point does is not known: it is taken at its word
		if to := r.clamp(s.SetPoint - excess); !k.lowering || to < k.target-clearBy {
			k.lowering, k.target, k.with = true, to, math.NaN()
		}
		return
	}
	if k.sought < lookEvery {
		return
	}
	k.sought = 0
	top := func(to float64) float64 {
		if !s.Ask(&r.would, Setting{SetPoint: to}) {
			return math.Inf(1)
		}
		v, _ := r.peak(s, most, actsFrom, &r.would)
		return v
	}
	if later, _ := r.peak(s, most, actsFrom, nil); !r.tooHigh(later) {
		return // it is over before a set-point changes anything
	}
	if k.lowering && !r.tooHigh(top(k.target)) {
		return
	}
	end := r.clamp(s.SetPoint - farthest)
	if end >= s.SetPoint {
		k.lowering, k.target, k.with = true, end, math.NaN()
		return
	}
	goal, least := r.o.Ceiling, top(end)
	if least > goal {
		goal += excess / 2
	}
	if k.lowering, k.helpless = least <= goal, least > goal; k.helpless {
		return
	}
	from, with := s.SetPoint, least
	for range halvings {
		if mid := (from + end) / 2; top(mid) <= goal {
			end = mid
		} else {
			from = mid
		}
	}
	if k.target = r.clamp(end); k.target < end {
		with = top(k.target)
	}
	k.with = with
}

// adviseLimit leads back a set-point that is above the highest that may be advised.
func (r *Recommender) adviseLimit(dst *Recommendation, s *Situation, mean float64) {
	to := r.clamp(r.highest())
	if r.heat.lowering {
		to = min(r.heat.target, to)
	}
	*dst = Recommendation{Kind: Change, Must: true, SetPoint: to, Predicted: mean}
	if r.changed("limit", to, s.SetPoint, 0) {
		r.last.Reason = fmt.Sprintf("lower the set-point from %s °C to %s °C: the highest allowed is %g °C", tenths(s.SetPoint), tenths(to), r.highest())
	}
	dst.Reason = r.last.Reason
}

func (r *Recommender) adviseLower(dst *Recommendation, s *Situation, mean float64) {
	k := &r.heat
	if lowest := k.lowering && s.SetPoint <= k.target; lowest || !k.lowering {
		*dst = Recommendation{Kind: Unreachable, SetPoint: math.NaN(), Predicted: mean}
		cause, why := "helpless under the ceiling", "no lower set-point averts that"
		if lowest {
			cause, why = "lowest", fmt.Sprintf("the set-point of %s °C is the lowest allowed", tenths(s.SetPoint))
		}
		if r.changed(cause, s.SetPoint, 0, 0) {
			r.last.Reason = fmt.Sprintf("unreachable: within %g s the temperature may reach %.0f °C%s, above the ceiling of %g °C, and %s", k.when, k.top, r.under(), r.o.Ceiling, why)
		}
		dst.Reason = r.last.Reason
		return
	}
	*dst = Recommendation{Kind: Change, Must: true, SetPoint: k.target, Predicted: mean}
	if r.changed("lower", k.target, s.SetPoint, 0) {
		r.last.Reason = fmt.Sprintf("lower the set-point from %s °C to %s °C: within %g s the temperature may reach %.0f °C%s, above the ceiling of %g °C",
			tenths(s.SetPoint), tenths(k.target), k.when, k.top, r.under(), r.o.Ceiling)
		if !math.IsNaN(k.with) {
			r.last.Reason += fmt.Sprintf("; with it %.0f °C", k.with)
		}
	}
	dst.Reason = r.last.Reason
}
