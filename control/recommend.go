// Package control advises the set-point of the machine's own temperature controller, from a
// model's estimate and forecast. It knows no device and moves nothing.
package control

import (
	"fmt"
	"math"
	"strconv"

	"stirwatch/dynamics/filter"
)

// Options are the limits within which advice is given. A limit that is not known is NaN or zero.
type Options struct {
	SetPointMin, SetPointMax float64 // °C; advice stays between them
	Ceiling                  float64 // °C; the upper 95 % forecast is kept below it, e.g. the solidus
	SpindleMin, SpindleMax   float64 // rpm; limits of the machine's controller
	Expires                  float64 // s that an advice is good for; 0 is 10 s

	WindowMin, WindowMax float64 // °C, of the material; advice steers the temperature into it
	TorqueMax            float64 // N·m of the spindle
	Margin               float64 // share of the spindle's range that is kept free at either limit; 0 is 0.1
	Spare                float64 // K by which a set-point that is kept may be left for that margin alone; 0: none
	Change               float64 // K, step and least change of an advised set-point; 0 is 5
	MostChange           float64 // K within which what is wrong must be mended; 0 is 3 × Change. The ceiling knows no such bound
	Interval             float64 // s between two changes, but for the ceiling; 0 is 60
}

// Kind says what an advice is.
type Kind uint8

const (
	NoAdvice    Kind = iota // the reason says why not
	Hold                    // the set-point is right
	Change                  // go to Recommendation.SetPoint
	Unreachable             // the set-point cannot be reached; SetPoint is one that can be, NaN if none within the limits is
	Pace                    // feed and path faster or slower together, by Recommendation.Pace; the set-point is right
)

func (k Kind) String() string {
	return [...]string{"none", "hold", "change", "unreachable", "pace"}[k]
}

// Recommendation is advice, with the reason and for how long it is good.
type Recommendation struct {
	Kind      Kind
	SetPoint  float64 // °C, NaN without advice
	Must      bool    // of Change: for the ceiling, or a limit of the set-point
	Pace      float64 // factor of feed and path velocity: of Pace, and of Unreachable where it brings the set-point nearer; 0: none
	Predicted float64 // °C, expected at the longest horizon with the inputs as they are; NaN without advice
	Reason    string
	ExpiresIn float64 // s

	With, Without Course    // what is expected in the next minute if it is followed, and as things are
	Ways          [4]WayOut // where the set-point cannot be reached, the least change first; those without a name are none
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

	Ask        Ask // what would come under another setting; nil: nobody can tell
	Path, Feed Velocity
}

// The rules in numbers.
const (
	nearLimit     = 0.01 // share of a spindle limit that counts as being at it
	soonFor       = 3.0  // s at a limit before the interval of the forecast alone may say that the set-point is out of reach
	soonBy        = 2.0  // K from the set-point to the nearer end of that interval
	farOff        = 10.0 // K between temperature and set-point that a limit must explain
	soonest       = 5.0  // s ahead from which, and latest up to which, a forecast may say that this is about to be
	latest        = 20.0
	costly        = 18.0 // K off at that horizon: less is over soon, more often than not
	likely        = 0.43 // of the half of its interval: four chances in five lie on that side
	costsFor      = 0.5  // s that it must say so
	limitFor      = 10.0 // s at a limit and far off before the set-point counts as unreachable
	freeFor       = 5.0  // s away from it before that ends
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
	costing           float64 // s that the temperature is about to go far off at a limit
	costAt            int     // the horizon at which it will be, −1 for none
	unreachable       bool
	before, slope     float64 // °C at the last tick; K/s of late
	limit             string  // "upper" or "lower" while unreachable

	approach approach
	heat     heat

	good    float64 // s without a cause for no advice
	beyond  float64 // s, of late, outside the training range
	outside string  // what is, while that is why there is no advice
	blunt   bool    // the model lacks skill

	is, would Outcome   // what is expected as things are, once a second, and what was asked last
	surveyed  float64   // s since then; NaN: there is none
	speeds    hindsight // how well speeds have been foretold
	steer     steering
	ways      waysOut

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
	if o.Margin == 0 {
		o.Margin = 0.1
	}
	if o.Change == 0 {
		o.Change = 5
	}
	if o.MostChange == 0 {
		o.MostChange = 3 * o.Change
	}
	if o.Interval == 0 {
		o.Interval = 60
	}
	if o.Margin < 0 || o.Margin >= 0.5 {
		return nil, fmt.Errorf("margin: %g of the spindle's range leaves no room between its limits", o.Margin)
	}
	if known(o.WindowMin) && known(o.WindowMax) && o.WindowMin >= o.WindowMax {
		return nil, fmt.Errorf("window: %g °C is not below %g °C", o.WindowMin, o.WindowMax)
	}
	r := &Recommender{o: o, approach: approach{last: math.NaN()}, steer: steering{was: math.NaN(), last: math.NaN()}}
	r.reset()
	return r, nil
}

func known(v float64) bool { return v != 0 && !math.IsNaN(v) && !math.IsInf(v, 0) }

// Advise fills dst with the advice for s. The first rule that applies wins:
//
//  1. no advice on bad data, without a model, blind, outside the training range, or with a set-point
//     below the lowest that may be advised;
//  2. unreachable, where the spindle has sat within 1 % of a limit for more than 10 s with the
//     temperature more than 10 K from the set-point, now and in the forecast, on the side that
//     the limit explains, or sits there or will with the whole interval of the forecast on that side (a warm-up, and a stop of
//     the feed, are no such case);
//  3. a lower set-point, where it is above the highest that may be advised, or where the upper end of the
//     95 % forecast (in a start what is expected) crosses the ceiling and a lower one averts that; unreachable, where none does;
//  4. another pace of feed and path, where the scenario of things as they are leaves the spindle no room to its limits and that
//     with the other pace does; where none does, or it leads out of the material's window or beyond the torque, another set-point by
//     which it does not; and back again when what that was advised for is over;
//  5. hold.
//
// No rule advises a set-point beyond a limit, the ceiling included, nor a higher one while the forecast
// crosses the ceiling. Each has to last before it speaks and again before it falls silent, so that advice does not flap.
func (r *Recommender) Advise(dst *Recommendation, s Situation) {
	dt := s.Dt
	if !(dt > 0) {
		dt = 0
	}
	r.approach.step(&s, dt)
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
	r.survey(&s, dt)
	mean, far := s.last()
	stuck, hot, better := r.stuck(&s, mean, dt), r.tooHot(&s, dt), r.steers(&s, dt) // all, so that no times stand still
	dst.Ways = [4]WayOut{}
	switch {
	case stuck:
		r.adviseUnreachable(dst, &s, mean, far)
	case s.SetPoint > r.highest():
		r.adviseLimit(dst, &s, mean)
	case hot:
		r.adviseLower(dst, &s, mean)
	case better && r.steer.pace != 0:
		r.advisePace(dst, &s, mean)
	case better:
		r.adviseChange(dst, &s, mean)
	default:
		r.adviseHold(dst, &s, mean, far)
	}
	dst.ExpiresIn = r.o.Expires
	r.foretell(dst, &s)
	r.last = *dst
}

// surveyEvery is how often it is asked what comes as things are, s.
const surveyEvery = 1.0

// survey asks what comes as things are.
func (r *Recommender) survey(s *Situation, dt float64) {
	if r.surveyed += dt; r.surveyed < surveyEvery && len(r.is.Horizon) > 0 {
		return
	}
	r.surveyed = 0
	if s.Ask == nil || !s.Ask(&r.is, asItIs) {
		r.is.Horizon = nil
		return
	}
	r.speeds.step(s.SpindleSpeed, &r.is)
}

// knows tells whether scenarios can be asked for.
func (r *Recommender) knows() bool { return len(r.is.Horizon) > 0 }

// foretell says what is expected with the advice and without.
func (r *Recommender) foretell(dst *Recommendation, s *Situation) {
	if !r.knows() {
		dst.With, dst.Without = unknown, unknown
		return
	}
	r.expect(&dst.Without, s, &r.is)
	dst.With = dst.Without
	followed := dst.setting()
	if dst.Kind == Hold || followed.same(asItIs) {
		return
	}
	if r.surveyed == 0 || dst.Kind != r.last.Kind || !followed.same(r.last.setting()) {
		if !s.Ask(&r.would, followed) {
			return
		}
		r.expect(&dst.With, s, &r.would)
		return
	}
	dst.With = r.last.With
}

// setting is what the advice asks for: where a set-point is named, that.
func (r *Recommendation) setting() Setting {
	if r.Pace != 0 && (r.Kind == Pace || math.IsNaN(r.SetPoint)) {
		return paced(r.Pace)
	}
	return Setting{SetPoint: r.SetPoint}
}

func (r *Recommender) reset() {
	r.atLimit, r.offLimit, r.foreseen, r.costing, r.unreachable = 0, 0, 0, 0, false
	r.before, r.slope = math.NaN(), 0
	r.heat.reset()
	r.steer.reset()
	r.is.Horizon = nil
	r.speeds.forget()
}

// expected is the forecast of the temperature.
func (s *Situation) expected() *filter.Expected { return &s.Forecast.Outputs[s.Output] }

// last is the forecast at the longest horizon.
func (s *Situation) last() (mean, horizon float64) {
	n := len(s.Forecast.Horizon) - 1
	return s.expected().Mean[n], s.Forecast.Horizon[n]
}

func (r *Recommender) none(dst *Recommendation, why, name string) {
	*dst = Recommendation{Kind: NoAdvice, SetPoint: math.NaN(), Predicted: math.NaN(), ExpiresIn: r.o.Expires, With: unknown, Without: unknown}
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

// tenths writes a temperature for people: a goal that moves along a ramp, or was told in another unit, has more digits than anyone reads.
func tenths(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

func (r *Recommender) adviseHold(dst *Recommendation, s *Situation, mean, far float64) {
	hold := s.SetPoint
	if known(s.Led) {
		hold = s.Led // a ramp of our own is no advice
	}
	*dst = Recommendation{Kind: Hold, SetPoint: hold, Predicted: mean}
	n := len(s.Forecast.Horizon) - 1
	speed := math.NaN()
	if r.knows() {
		speed = r.is.later()
	}
	if lower, upper := s.expected().Lower[n], s.expected().Upper[n]; r.changed(r.steer.why(), hold, mean, upper-lower) {
		r.last.Reason = fmt.Sprintf("hold %s °C: %.0f °C expected in %g s%s, between %.0f and %.0f", tenths(hold), mean, far, r.under(), lower, upper)
		if !math.IsNaN(speed) {
			r.last.Reason += fmt.Sprintf(", at %.0f rpm", speed)
		}
		r.last.Reason += r.steer.note(r)
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
