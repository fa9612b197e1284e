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
	paceReach = 0.3  // within which what is wrong must be mended, and beyond which none leads from the feed that somebody set by himself
	helps     = 0.2  // of what the temperature falls short: a pace that takes away less is no help

	helpedBy    = 1.0  // K that the temperature is nearer to the set-point, or
	helpedSpeed = 0.01 // of its range that the spindle is farther from its limit, where a pace helps
	mostMisses  = 2    // paces one after another that did not help, or one that led farOff: then the model is wrong about it
	leastDone   = 0.5  // of an advised step, and
	mostDone    = 1.5  // times it, that somebody sets who follows it
)

// followed is what came of paces that were advised.
type followed struct {
	feed    level   // mm/min
	path    highest // mm/min: a path slows down at its corners
	own     float64 // mm/min, feed that somebody has set without our advice; 0: none has been seen
	advised float64 // pace that has been advised since the feed changed; 0: none
	side    float64 // 1 for the upper limit of the spindle, −1 for the lower one
	ago     float64 // s since it was
	since   float64 // s since the feed began to change

	stands  [2]Outcome // what was expected lately while the feed stood, as things were
	age     float64    // s since the first of them was noted; the other one is lookEvery older
	without Outcome    // what was expected before the feed began to change,
	lead    float64    // so many s before,
	short   float64    // and by how much the temperature was short of the set-point when it did, K
	unclear bool       // an advised pace was set, and it is not known yet whether it helps
	misses  int        // paces, one after another, that did not help
	back    float64    // pace back to the feed of before, where they have led away from it; 0: none
}

// advises takes in that a pace is advised, and for which limit of the spindle.
func (p *followed) advises(pace, side float64) { p.advised, p.side, p.ago = pace, side, 0 }

// settles tells whether a feed is on its way, or an advised pace was set a moment ago, so that it is still to be seen what it does.
func (p *followed) settles() bool { return p.feed.moves || p.unclear && p.since < swingsFor }

// notePace takes in that somebody changes the feed, and judges whether a pace that was advised has helped: a minute after, or when the
// feed is changed again.
func (r *Recommender) notePace(s *Situation, dt float64) {
	k := &r.steer
	p := &k.paced
	p.since += dt
	if p.ago += dt; p.ago > r.o.Interval {
		p.advised = 0
	}
	if !(s.Feed.Now >= model.FeedsFrom) {
		p.unclear = false // what a stop does is not the pace's
		return
	}
	p.path.step(s.Path.Now, dt)
	stood := !p.feed.moves
	was, changed := p.feed.step(s.Feed.Now, dt)
	begins := stood && p.feed.moves
	if p.unclear && (p.since+p.lead >= minute[len(minute)-1] || begins && p.since >= swingsFor) {
		r.judgePace(s)
	}
	if begins { // what was advised was so for the feed of before
		p.since, p.unclear, p.lead, p.back = 0, false, p.age+lookEvery, 0
		p.without.copy(&p.stands[1])
		p.short = k.short
		k.pace, r.ways.pace = 0, 0
	}
	if p.age += dt; !r.knows() || p.feed.moves {
		p.stands[0].Horizon, p.stands[1].Horizon = nil, nil
	} else if p.age >= lookEvery || p.stands[0].Horizon == nil {
		p.stands[0], p.stands[1] = p.stands[1], p.stands[0]
		p.stands[0].copy(&r.is)
		p.age = 0
	}
	if !changed {
		return
	}
	advised := p.advised
	if p.advised = 0; was == 0 {
		p.own = p.feed.at
		return
	}
	switch done := (p.feed.at/was - 1) / (advised - 1); {
	case math.Abs(p.feed.at-p.own) <= levelMoves*p.own: // it is back
	case advised == 0 || done < leastDone || done > mostDone:
		p.misses, p.own = 0, p.feed.at // somebody else's wish
	default:
		p.unclear = len(p.without.Horizon) > 0
		k.quiet = p.since
	}
	k.drop()
	r.approach.since = 0
	r.speeds.forget()
}

// judgePace holds temperature and speed of late against what was expected without the pace that was set, and against what was: in a start
// more is expected than comes.
func (r *Recommender) judgePace(s *Situation) {
	k := &r.steer
	p := &k.paced
	p.unclear = false
	at := p.without.at(p.since + p.lead)
	nearer := p.side * (s.SetPoint - k.short - p.without.Temperature[at])
	switch p.misses++; {
	case nearer >= helpedBy || p.side*(p.short-k.short) >= helpedBy || p.side*(p.without.Speed[at]-k.speed) >= r.leastSpeed():
		p.misses = 0
	case nearer <= -farOff:
		p.misses = mostMisses
	}
	if p.misses < mostMisses {
		return
	}
	k.pace, r.ways.pace = 0, 0
	if math.Abs(p.feed.at-p.own) > levelMoves*p.own {
		p.back = math.Round(100*p.own/p.feed.at) / 100
	}
}

// side is 1 where the spindle is to be freed from its upper limit, −1 from its lower one.
func (r *Recommender) side() float64 {
	if r.unreachable && r.limit == "lower" || !r.unreachable && r.steer.concern == noRoomDown {
		return -1
	}
	return 1
}

// leastSpeed is by how much the spindle must be farther from its limit to count, rpm.
func (r *Recommender) leastSpeed() float64 {
	if !r.bounded() {
		return math.Inf(1)
	}
	return helpedSpeed * (r.o.SpindleMax - r.o.SpindleMin)
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
	p := &r.steer.paced
	if !s.Feed.Acts || s.idles() || p.misses >= mostMisses || p.feed.moves || !(p.feed.at > 0) {
		return 1, 1
	}
	least, most = max(slowest, (1-paceReach)*p.own/p.feed.at), min(fastest, (1+paceReach)*p.own/p.feed.at)
	for _, v := range [...]Velocity{{p.feed.at, s.Feed.Min, s.Feed.Max, true}, {max(s.Path.Now, p.path.value()), s.Path.Min, s.Path.Max, true}} {
		if !(v.Min < v.Max) || math.IsNaN(v.Now) {
			return 1, 1
		}
		if margin := model.RangeMargin * (v.Max - v.Min); v.Now > 0 {
			least, most = max(least, (v.Min-margin)/v.Now), min(most, (v.Max+margin)/v.Now)
		}
	}
	return min(least, 1), max(most, 1)
}

// works tells whether the model says of a pace that it helps by what counts as help, and by more than may be wrong about it: where more
// feed heats and a faster path cools, what is left of both is known worse than either.
func (r *Recommender) works(s *Situation, pace float64) bool {
	n, side := len(minute)-1, r.side()
	better := func(set Setting) (kelvin, rpm float64) {
		if !s.Ask(&r.would, set) {
			return math.NaN(), math.NaN()
		}
		return side * (r.would.Temperature[n] - r.is.Temperature[n]), side * (r.is.later() - r.would.later())
	}
	kelvin, rpm := better(paced(pace))
	feedKelvin, feedRPM := better(Setting{SetPoint: math.NaN(), Feed: pace})
	sure := func(both, feed, least float64) bool {
		return both >= max(least, effectDoubt*math.Hypot(feed, both-feed))
	}
	return sure(kelvin, feedKelvin, helpedBy) || sure(rpm, feedRPM, r.leastSpeed())
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
			if f >= least && f <= most && s.Ask(&r.would, paced(f)) && r.trouble(s, &r.would) == untroubled && !r.hotter(s) {
				if step := stepTo(f); r.works(s, step) {
					return step
				}
			}
		}
	}
	return 0
}

// nearing is the step of the pace that brings a set-point nearer which is out of reach: on the way to the pace by which it is reached or, where
// none is known (NaN), to where it helps; 0: there is none.
func (r *Recommender) nearing(s *Situation, reached float64) float64 {
	if p := &r.steer.paced; p.settles() {
		return 0
	} else if p.back != 0 {
		return p.back
	}
	least, most := r.paces(s)
	n := len(minute) - 1
	mean, _, _ := s.live(minute[n])
	enough := max(soonBy, helps*math.Abs(s.SetPoint-mean))
	to := [...]float64{min(1+paceReach, most), max(1-paceReach, least)}
	if !math.IsNaN(reached) {
		to, enough = [...]float64{reached, reached}, 0
	}
	for _, f := range to {
		step := stepTo(f)
		if step < least || step > most {
			step = 1 + math.Copysign(paceStep, f-1)
		}
		if step < least || step > most || step == 1 || !s.Ask(&r.would, paced(f)) {
			continue
		}
		if r.side()*(r.would.Temperature[n]-r.is.Temperature[n]) >= enough && !r.hotter(s) && r.works(s, step) {
			return step
		}
	}
	return 0
}

// advisePace advises the pace that was found.
func (r *Recommender) advisePace(dst *Recommendation, s *Situation, mean float64) {
	k := &r.steer
	*dst = Recommendation{Kind: Pace, SetPoint: s.SetPoint, Pace: k.pace, Predicted: mean}
	k.paced.advises(k.pace, r.side())
	r.foretell(dst, s)
	dst.Predicted = dst.With.Last().Temperature
	if r.changed("pace", dst.Percent(), s.SetPoint, 0) {
		r.last.Reason = fmt.Sprintf("%s: %s; %s", paceText(k.pace, k.paced.feed.at), r.because(s), r.compared(dst))
	}
	dst.Reason = r.last.Reason
}

// paceText is "feed and path velocity +5 % (feed 430 → 452 mm/min)".
func paceText(by, feed float64) string {
	return fmt.Sprintf("%s %+.0f %% (feed %.0f → %.0f mm/min)", bothVelocities, 100*(by-1), feed, by*feed)
}
