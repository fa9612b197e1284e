// Package control advises the set-point of the machine's own temperature controller, from a
// model's estimate and forecast. It knows no device and moves nothing.
package control

import (
	"fmt"
	"math"

	"stirwatch/dynamics/filter"
)

// Options are the limits within which advice is given. A limit that is not known is NaN or zero.
type Options struct {
	SetPointMin, SetPointMax float64 // °C; advice stays between them
	Ceiling                  float64 // °C; the upper 95 % forecast is kept below it, e.g. the solidus
	SpindleMin, SpindleMax   float64 // rpm; limits of the machine's controller
	Expires                  float64 // s that an advice is good for; 0 is 10 s
}

// Kind says what an advice is.
type Kind uint8

const (
	NoAdvice    Kind = iota // the reason says why not
	Hold                    // the set-point is right
	Change                  // go to Recommendation.SetPoint
	Unreachable             // the set-point cannot be reached; SetPoint is one that can be, NaN if none within the limits is
)

func (k Kind) String() string {
	return [...]string{"none", "hold", "change", "unreachable"}[k]
}

// Recommendation is advice, with the reason and for how long it is good.
type Recommendation struct {
	Kind      Kind
	SetPoint  float64 // °C, NaN without advice
	Predicted float64 // °C, expected at the longest horizon with the inputs as they are; NaN without advice
	Reason    string
	ExpiresIn float64 // s
}

// Situation is what one tick knows. Temperatures are in °C, NaN is unknown.
type Situation struct {
	Dt           float64 // s since the last tick
	SetPoint     float64
	Temperature  float64
	SpindleSpeed float64 // rpm
	Bad          string  // why the data cannot be relied on, "" if it can
	Led          float64 // °C; set-point that a loop of our own leads the machine's controller to, 0 or NaN: none does

	Estimate *filter.Estimate // nil where there is no model
	Forecast *filter.Forecast
	Output   int // place of the temperature among the outputs of the forecast, −1 where it is none
}

// The rules in numbers.
const (
	nearLimit     = 0.01 // share of a spindle limit that counts as being at it
	soonFor       = 3.0  // s at a limit before the interval of the forecast alone may say that the set-point is out of reach
	soonBy        = 2.0  // K from the set-point to the nearer end of that interval
	farOff        = 10.0 // K between temperature and set-point that a limit must explain
	limitFor      = 10.0 // s at a limit and far off before the set-point counts as unreachable
	freeFor       = 5.0  // s away from it before that ends
	crossFor      = 2.0  // s that the forecast must cross the ceiling
	clearFor      = 10.0 // s that it must stay clear of it, by clearBy, before the advice ends
	clearBy       = 3.0  // K
	tooWide       = 60.0 // K from the mean of a forecast to its upper end, above which it tells more of the model than of the machine
	stayWithin    = 8.0  // K that the reachable temperature must move before another set-point is advised
	steadyFor     = 2.0  // s that "no advice" must have lost its cause before advice returns
	rebuildAfter  = 1.0  // K; a number in a reason is renewed when it has moved by this
	roundTo       = 1.0  // K; advice is given in whole degrees
	defaultExpiry = 10.0 // s
)

// Recommender gives advice once a tick. It allocates only where a reason changes.
type Recommender struct {
	o Options

	atLimit, offLimit float64 // s at a limit that explains the error, and away from one
	foreseen          float64 // s at a limit that explains the error that will be
	unreachable       bool
	limit             string // "upper" or "lower" while unreachable

	crossing, clear float64 // s
	lowering        bool
	target          float64 // °C, while lowering
	top, when       float64 // °C and s ahead, of the last forecast that crossed the ceiling

	good float64 // s without a cause for no advice

	last      Recommendation
	condition string  // under which the forecast holds: "if nothing stops"
	cause     string  // what the last reason was built from
	a, b, c   float64 // and its numbers
}

// New makes a recommender. Limits that contradict each other are an error.
func New(o Options) (*Recommender, error) {
	if known(o.SetPointMin) && known(o.SetPointMax) && o.SetPointMin >= o.SetPointMax {
		return nil, fmt.Errorf("set-point limits: %g °C is not below %g °C", o.SetPointMin, o.SetPointMax)
	}
	if known(o.SpindleMin) && known(o.SpindleMax) && o.SpindleMin >= o.SpindleMax {
		return nil, fmt.Errorf("spindle limits: %g rpm is not below %g rpm", o.SpindleMin, o.SpindleMax)
	}
	if o.Expires < 0 {
		return nil, fmt.Errorf("expires: %g s is negative", o.Expires)
	}
	if o.Expires == 0 {
		o.Expires = defaultExpiry
	}
	if known(o.Ceiling) && known(o.SetPointMin) && o.Ceiling <= o.SetPointMin {
		return nil, fmt.Errorf("ceiling: %g °C is not above the lowest set-point of %g °C", o.Ceiling, o.SetPointMin)
	}
	return &Recommender{o: o}, nil
}

func known(v float64) bool { return v != 0 && !math.IsNaN(v) && !math.IsInf(v, 0) }

// Advise fills dst with the advice for s. The first rule that applies wins:
//
//  1. no advice on bad data, without a model, blind, outside the training range, or with a set-point
//     below the lowest that may be advised;
//  2. unreachable, where the spindle has sat within 1 % of a limit for more than 10 s with the
//     temperature more than 10 K from the set-point, now and in the forecast, on the side that
//     the limit explains (a warm-up at full speed that will arrive is no such case);
//  3. a lower set-point, where it is above the highest that may be advised, or where the upper end of the
//     95 % forecast crosses the ceiling; unreachable, where no set-point within the limits is lower;
//  4. hold.
//
// No rule advises a set-point beyond a limit, the ceiling included, nor a higher one while the forecast
// crosses the ceiling. Each has to last before it speaks and again before it falls silent, so that advice does not flap.
func (r *Recommender) Advise(dst *Recommendation, s Situation) {
	dt := s.Dt
	if !(dt > 0) {
		dt = 0
	}
	why, name := r.refusal(&s)
	if why != "" {
		r.good = 0
		r.reset()
		r.none(dst, why, name)
		return
	}
	if r.good += dt; r.good < steadyFor && r.last.Kind == NoAdvice && r.last.Reason != "" {
		*dst = r.last // the cause is gone, but not for long enough
		return
	}
	if holds := s.Forecast.Condition(); holds != r.condition {
		r.condition, r.cause = holds, ""
	}
	mean, far := s.last()
	stuck, hot := r.stuck(&s, mean, dt), r.tooHot(&s, dt) // both, so that neither's times stand still
	switch {
	case stuck:
		r.adviseUnreachable(dst, &s, mean, far)
	case s.SetPoint > r.highest():
		r.adviseLimit(dst, &s, mean)
	case hot:
		r.adviseLower(dst, &s, mean)
	default:
		r.adviseHold(dst, &s, mean, far)
	}
	dst.ExpiresIn = r.o.Expires
	r.last = *dst
}

func (r *Recommender) reset() {
	r.atLimit, r.offLimit, r.foreseen, r.unreachable = 0, 0, 0, false
	r.crossing, r.clear, r.lowering = 0, 0, false
}

// refusal says why there can be no advice, with a name that belongs to it; "" if there can.
func (r *Recommender) refusal(s *Situation) (why, name string) {
	switch {
	case s.Bad != "":
		return s.Bad, ""
	case s.Estimate == nil || s.Forecast == nil || len(s.Forecast.Horizon) == 0:
		return "there is no model", ""
	case s.Output < 0:
		return "the model does not forecast the tool temperature", ""
	case s.Estimate.Blind:
		return "the estimate is blind: no measurement for too long", ""
	case len(s.Estimate.Outside) > 0:
		return "the process is outside the training range", s.Estimate.Outside[0]
	case s.unskilled():
		return "the model has forecast no better of late than that nothing changes", ""
	case math.IsNaN(s.Temperature):
		return "the tool temperature is unknown", ""
	case !(s.SetPoint > 0):
		return "the machine's controller has no set-point", ""
	case known(r.o.SetPointMin) && s.SetPoint < r.o.SetPointMin:
		return "the set-point is below the lowest that may be advised", ""
	}
	if mean, _ := s.last(); math.IsNaN(mean) {
		return "there is no forecast", ""
	}
	return "", ""
}

// Skill is judged at the horizon next to skillAt, once so many independent forecasts have come true.
const (
	skillAt     = 20.0 // s
	leastJudged = 5.0  // independent windows
	noBetter    = 1.05 // of the root mean square error of persistence: more is worse than it
)

// unskilled tells whether whoever asks the model has been worse of late than that the temperature stays as it is.
func (s *Situation) unskilled() bool {
	x, place := s.expected(), -1
	for i := range x.By {
		if h := s.Forecast.Horizon; place < 0 || math.Abs(h[i]-skillAt) < math.Abs(h[place]-skillAt) {
			place = i
		}
	}
	if place < 0 || x.By[place].Windows < leastJudged {
		return false
	}
	rmse := &x.By[place].RMSE
	best := rmse[filter.Planning]
	if h := rmse[filter.Holding]; !(best <= h) {
		best = h
	}
	return best > noBetter*rmse[filter.Persist] // NaN is no evidence
}

// expected is the forecast of the temperature.
func (s *Situation) expected() *filter.Expected { return &s.Forecast.Outputs[s.Output] }

// last is the forecast at the longest horizon.
func (s *Situation) last() (mean, horizon float64) {
	n := len(s.Forecast.Horizon) - 1
	return s.expected().Mean[n], s.Forecast.Horizon[n]
}

func (r *Recommender) none(dst *Recommendation, why, name string) {
	*dst = Recommendation{Kind: NoAdvice, SetPoint: math.NaN(), Predicted: math.NaN(), ExpiresIn: r.o.Expires}
	if r.changed(why+name, 0, 0, 0) {
		r.last.Reason = "no advice, because " + why
		if name != "" {
			r.last.Reason += ": " + name
		}
	}
	dst.Reason = r.last.Reason
	r.last = *dst
}

// under is the condition of the forecast behind a number, " if nothing stops", or nothing.
func (r *Recommender) under() string {
	if r.condition == "" {
		return ""
	}
	return " " + r.condition
}

// changed tells if a reason must be built anew: another cause, or a number that has moved.
func (r *Recommender) changed(cause string, a, b, c float64) bool {
	moved := func(x, y float64) bool { return !(math.Abs(x-y) < rebuildAfter) }
	if cause == r.cause && !moved(a, r.a) && !moved(b, r.b) && !moved(c, r.c) {
		return false
	}
	r.cause, r.a, r.b, r.c = cause, a, b, c
	return true
}

// stuck follows whether the spindle sits at a limit that keeps the set-point out of reach.
func (r *Recommender) stuck(s *Situation, mean, dt float64) bool {
	short := s.SetPoint - s.Temperature
	if later := s.SetPoint - mean; math.Abs(later) < math.Abs(short) {
		short = later
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

// foresees tells at which limit the spindle will keep the set-point out of reach, before the error has grown: it
// sits there, and the whole interval of what is expected is on that side. "" where there is none.
func (r *Recommender) foresees(s *Situation, dt float64) (side string) {
	n := len(s.Forecast.Horizon) - 1
	switch x := s.expected(); {
	case known(r.o.SpindleMax) && s.SpindleSpeed >= r.o.SpindleMax*(1-nearLimit) && x.Upper[n] < s.SetPoint-soonBy:
		side = "upper"
	case known(r.o.SpindleMin) && s.SpindleSpeed > 0 && s.SpindleSpeed <= r.o.SpindleMin*(1+nearLimit) && x.Lower[n] > s.SetPoint+soonBy:
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
	reach := r.clamp(mean)
	if r.last.Kind == Unreachable && math.Abs(reach-r.last.SetPoint) < stayWithin {
		reach = r.last.SetPoint // advice that follows every wobble cannot be followed
	}
	*dst = Recommendation{Kind: Unreachable, SetPoint: reach, Predicted: mean}
	top, _ := s.peak()
	if math.Abs(r.clamp(mean)-mean) > farOff || r.tooHigh(top) && reach > s.SetPoint {
		dst.SetPoint = math.NaN() // none within the limits can be reached either, or it would make matters worse
	}
	if r.changed(r.limit, s.SetPoint, s.SetPoint-s.Temperature, mean) {
		limit, side := r.o.SpindleMax, "below"
		if r.limit == "lower" {
			limit, side = r.o.SpindleMin, "above"
		}
		switch { // not yet there where the limit will keep it
		case s.Temperature > s.SetPoint:
			side = "above"
		case s.Temperature < s.SetPoint:
			side = "below"
		}
		r.last.Reason = fmt.Sprintf("unreachable: the spindle is at its %s limit of %g rpm and the temperature %.0f K %s the set-point of %g °C; it will be at %.0f °C in %g s%s",
			r.limit, limit, math.Abs(s.SetPoint-s.Temperature), side, s.SetPoint, mean, far, r.under())
	}
	dst.Reason = r.last.Reason
}

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
	*dst = Recommendation{Kind: Change, SetPoint: to, Predicted: mean}
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
	*dst = Recommendation{Kind: Change, SetPoint: r.target, Predicted: mean}
	if r.changed("lower", r.target, s.SetPoint, 0) {
		r.last.Reason = fmt.Sprintf("lower the set-point from %g °C to %g °C: within %g s the temperature may reach %.0f °C%s, above the ceiling of %g °C",
			s.SetPoint, r.target, r.when, r.top, r.under(), r.o.Ceiling)
	}
	dst.Reason = r.last.Reason
}

func (r *Recommender) adviseHold(dst *Recommendation, s *Situation, mean, far float64) {
	hold := s.SetPoint
	if known(s.Led) {
		hold = s.Led // a ramp of our own is no advice
	}
	*dst = Recommendation{Kind: Hold, SetPoint: hold, Predicted: mean}
	n := len(s.Forecast.Horizon) - 1
	if lower, upper := s.expected().Lower[n], s.expected().Upper[n]; r.changed("hold", hold, mean, upper-lower) {
		r.last.Reason = fmt.Sprintf("hold %g °C: %.0f °C expected in %g s%s, between %.0f and %.0f", hold, mean, far, r.under(), lower, upper)
	}
	dst.Reason = r.last.Reason
}

// lowest and highest are the set-points, °C, between which advice stays: 0, which is off, and +Inf where
// there is no limit. What must not be exceeded must not be aimed at, so that the ceiling is a limit too.
func (r *Recommender) lowest() float64 {
	if known(r.o.SetPointMin) {
		return r.o.SetPointMin
	}
	return 0
}

func (r *Recommender) highest() float64 {
	top := math.Inf(1)
	for _, limit := range []float64{r.o.SetPointMax, r.o.Ceiling} {
		if known(limit) {
			top = min(top, limit)
		}
	}
	return top
}

// clamp rounds a set-point down to whole degrees and keeps it within its limits.
func (r *Recommender) clamp(v float64) float64 {
	return max(r.lowest(), min(r.highest(), math.Floor(v/roundTo)*roundTo))
}
