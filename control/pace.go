package control

import (
	"fmt"
	"math"

	"stirwatch/dynamics/model"
)

// The pace is how fast feed and path go, together: the section of what is laid stays as it is. Whether more of it heats or cools the
// tool the model says.
const (
	paceStep  = 0.05 // share of the present pace by whose multiples it is advised to change,
	paceMost  = 0.1  // so much at once,
	paceReach = 0.3  // and within which what is wrong must be mended
	helps     = 0.2  // of what the temperature falls short: a pace that takes away less is no help

	feedMoves  = 0.02 // share by which a feed was changed,
	feedStands = 1.0  // s after it has been the same for so long

	helpedBy    = 1.0 // K that the temperature is nearer to the set-point, or
	helpedSpeed = 2.0 // rpm that the spindle is farther from its limit, where a pace has helped
	mostMisses  = 2   // paces one after another that did not help: then the model is wrong about it
)

// followed is what came of paces that were advised.
type followed struct {
	feed         float64 // mm/min since the last change of it; 0: none has been seen
	last, stood  float64 // mm/min of late, and for how long it has been that, s
	advised      float64 // pace that has been advised since; 0: none
	lower        bool    // for the lower limit of the spindle
	known        bool    // an advised pace was the last change of the feed, and what follows was so then
	short, speed float64 // K, rpm
	since        float64 // s from then
	misses       int     // paces, one after another, that did not help
}

// advises takes in that a pace is advised, and for which limit of the spindle.
func (p *followed) advises(pace float64, lower bool) { p.advised, p.lower = pace, lower }

// settles tells whether an advised pace was set a moment ago, so that it is still to be seen what it does.
func (p *followed) settles() bool { return p.known && p.since < swingsFor }

// notePace takes in that somebody has changed the feed. If that is what was advised it is judged whether the one before has helped.
func (r *Recommender) notePace(s *Situation, dt float64) {
	k := &r.steer
	p, feed := &k.paced, s.Feed.Now
	p.since += dt
	if !(math.Abs(feed-p.last) <= feedMoves*p.last/2) {
		p.last, p.stood = feed, 0
	}
	if p.stood += dt; p.stood < feedStands || !(feed > 0) || math.Abs(feed-p.feed) <= feedMoves*p.feed {
		return
	}
	was, advised := p.feed, p.advised
	if p.feed, p.advised = feed, 0; was == 0 {
		return
	}
	if advised == 0 || math.Abs(feed/was-advised) > feedMoves {
		p.known, p.misses = false, 0 // somebody else's wish
	} else {
		sign := 1.0
		if p.lower {
			sign = -1
		}
		if p.misses++; !p.known || sign*(p.short-k.short) >= helpedBy || sign*(p.speed-k.speed) >= helpedSpeed {
			p.misses = 0
		}
		p.known, p.short, p.speed, p.since = true, k.short, k.speed, 0
		k.quiet = 0
	}
	k.drop()
	r.approach.since = 0
	r.speeds.forget()
}

// paced is the setting with another pace.
func paced(by float64) Setting { return Setting{SetPoint: math.NaN(), Path: by, Feed: by} }

// Percent is the advised pace in % of what it is, NaN where none is advised.
func (r *Recommendation) Percent() float64 {
	if r.Pace == 0 {
		return math.NaN()
	}
	return math.Round(100 * r.Pace)
}

// paces are the least and the most that the pace may be multiplied with; 1 and 1 where the model does not say what a feed does or
// was wrong about it, or nothing is fed.
func (r *Recommender) paces(s *Situation) (least, most float64) {
	least, most = slowest, fastest
	for _, v := range [...]Velocity{s.Feed, s.Path} {
		if !(v.Min < v.Max) || math.IsNaN(v.Now) {
			return 1, 1
		}
		if margin := model.RangeMargin * (v.Max - v.Min); v.Now > 0 {
			least, most = max(least, (v.Min-margin)/v.Now), min(most, (v.Max+margin)/v.Now)
		}
	}
	if !s.Feed.Acts || s.idles() || r.steer.paced.misses >= mostMisses {
		return 1, 1
	}
	return min(least, 1), max(most, 1)
}

// stepTo is the first step on the way to a pace.
func stepTo(pace float64) float64 {
	by := paceStep * math.Ceil(math.Abs(pace-1)/paceStep-1e-9)
	return 1 + math.Copysign(min(by, paceMost), pace-1)
}

// freeing is the step to the nearest pace that frees the spindle and troubles with nothing else; 0: there is none.
func (r *Recommender) freeing(s *Situation) float64 {
	least, most := r.paces(s)
	for by := paceStep; by <= paceReach+1e-9; by += paceStep {
		for _, f := range [...]float64{1 + by, 1 - by} {
			if f >= least && f <= most && s.Ask(&r.would, paced(f)) && r.trouble(s, &r.would, 1) == untroubled && !r.hotter(s) {
				return stepTo(f)
			}
		}
	}
	return 0
}

// nearing is the step of the pace that brings a set-point nearer which is out of reach: on the way to the pace by which it is reached or, where
// none is known (NaN), to where it helps; 0: there is none.
func (r *Recommender) nearing(s *Situation, reached float64) float64 {
	least, most := r.paces(s)
	n := len(minute) - 1
	mean, _, _ := s.live(minute[n])
	enough, sign := max(soonBy, helps*math.Abs(s.SetPoint-mean)), 1.0
	if r.limit == "lower" {
		sign = -1
	}
	to := [...]float64{min(1+paceReach, most), max(1-paceReach, least)}
	if !math.IsNaN(reached) {
		to, enough = [...]float64{reached, reached}, 0
	}
	for _, f := range to {
		step := stepTo(f)
		if step < least || step > most || step == 1 || !s.Ask(&r.would, paced(f)) {
			continue
		}
		if sign*(r.would.Temperature[n]-r.is.Temperature[n]) >= enough && !r.hotter(s) {
			return step
		}
	}
	return 0
}

// advisePace advises the pace that was found.
func (r *Recommender) advisePace(dst *Recommendation, s *Situation, mean float64) {
	k := &r.steer
	*dst = Recommendation{Kind: Pace, SetPoint: s.SetPoint, Pace: k.pace, Predicted: mean}
	k.paced.advises(k.pace, k.concern == noRoomDown)
	r.foretell(dst, s)
	dst.Predicted = dst.With.Last().Temperature
	if r.changed("pace", dst.Percent(), s.SetPoint, 0) {
		r.last.Reason = fmt.Sprintf("%s: %s; %s", paceText(k.pace, s.Feed.Now), r.because(s), r.compared(dst))
	}
	dst.Reason = r.last.Reason
}

// paceText is "feed and path velocity +5 % (feed 430 → 452 mm/min)".
func paceText(by, feed float64) string {
	return fmt.Sprintf("%s %+.0f %% (feed %.0f → %.0f mm/min)", bothVelocities, 100*(by-1), feed, by*feed)
}
