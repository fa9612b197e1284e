package control

import (
	"math"

	"stirwatch/dynamics/filter"
)

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
	case r.strays(s):
		return "the process is outside the training range", r.outside
	case r.unskilled(s):
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
	better      = 0.95 // and less is better than it again
)

// unskilled tells whether whoever asks the model has been worse of late than that the temperature stays as it is.
func (r *Recommender) unskilled(s *Situation) bool {
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
	limit := noBetter
	if r.blunt {
		limit = better
	}
	r.blunt = best > limit*rmse[filter.Persist] // NaN is no evidence
	return r.blunt
}

// How long a process may stray from what the model was learned on. A path slows down at each corner: what strays and comes back
// all the time counts as straying.
const (
	straysFor = 3.0  // s, of late, before advice ends
	backFor   = 20.0 // s in the range before it returns
	backShare = straysFor / backFor
)

// strays follows whether the process is outside of what the model was learned on.
func (r *Recommender) strays(s *Situation) bool {
	dt := max(0, s.Dt)
	if len(s.Estimate.Outside) == 0 {
		if r.beyond -= dt * backShare; r.beyond <= 0 {
			r.beyond, r.outside = 0, ""
		}
		return r.outside != ""
	}
	if r.beyond = min(r.beyond+dt, straysFor); (r.beyond >= straysFor || r.last.Kind == NoAdvice) && r.outside == "" {
		r.beyond = straysFor
		r.outside = s.Estimate.Outside[0]
	}
	return r.outside != ""
}
