package control

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"stirwatch/dynamics/model"
)

// WayOut is something to set otherwise, by which the set-point can be reached.
type WayOut struct {
	What     string // path velocity, feed velocity, both together, or set-point; "": none
	From, To float64
	Unit     string
	Share    float64 // of what it is that it changes; of a set-point, of the range that it may have
}

// waysOut looks for them, seldom.
type waysOut struct {
	all      [4]WayOut
	pace     float64 // factor of feed and path together by which it comes nearer; 0: none
	setPoint float64 // °C that can be reached with room for the spindle, NaN: none is known
	without  float64 // s that none was found any more
	looked   float64 // s
}

// bothVelocities is the name of the pace among ways out, in % of what it is.
const bothVelocities = "feed and path velocity"

// What ways out may ask for.
const (
	slowest  = 0.5  // of a velocity
	fastest  = 1.5  // of it
	halvings = 5    // by which the least change is found
	farthest = 90.0 // K to a set-point that can be reached
)

// look renews the ways out, but not more often than every few seconds.
func (r *Recommender) look(s *Situation) {
	w := &r.ways
	fresh := r.last.Kind != Unreachable
	if w.looked += max(0, s.Dt); !fresh && w.looked < lookEvery {
		return
	}
	pace, without := w.pace, w.without+w.looked
	r.seek(s)
	if same := w.pace != 0 && w.pace > 1 == (pace > 1); !fresh && pace != 0 && !same && without <= calmFor {
		w.pace, w.without = pace, without // advice that comes and goes cannot be followed
	}
}

// seek looks for them.
func (r *Recommender) seek(s *Situation) {
	w := &r.ways
	*w = waysOut{setPoint: math.NaN()}
	if !r.knows() || !s.Ask(&r.is, asItIs) || r.reaches(s, asItIs) { // as things are now, so that nothing but the setting tells two outcomes apart
		return
	}
	n := 0
	add := func(x WayOut) {
		w.all[n] = x
		n++
	}
	for _, v := range []struct {
		name string
		v    Velocity
		set  func(f float64) Setting
	}{
		{model.PathVelocity, s.Path, func(f float64) Setting { return Setting{SetPoint: math.NaN(), Path: f} }},
		{model.FeedVelocity, s.Feed, func(f float64) Setting { return Setting{SetPoint: math.NaN(), Feed: f} }},
	} {
		if !(v.v.Now > 0) || !(v.v.Min < v.v.Max) {
			continue
		}
		for _, end := range []float64{max(slowest, v.v.Min/v.v.Now), min(fastest, v.v.Max/v.v.Now)} {
			if f := r.least(s, 1, end, v.set); !math.IsNaN(f) {
				add(WayOut{v.name, v.v.Now, math.Round(v.v.Now * f), "mm/min", math.Abs(f - 1)})
				break
			}
		}
	}
	pace := math.NaN()
	least, most := r.paces(s)
	for _, end := range [...]float64{least, most} {
		if f := r.least(s, 1, end, paced); !math.IsNaN(f) && !(math.Abs(f-1) >= math.Abs(pace-1)) {
			pace = f
		}
	}
	if !math.IsNaN(pace) {
		add(WayOut{bothVelocities, 100, math.Round(100 * pace), "%", math.Abs(pace - 1)})
	}
	w.pace = r.nearing(s, pace)
	sign := -1.0
	if r.limit == "lower" {
		sign = 1
	}
	end := r.clamp(s.SetPoint + sign*farthest)
	if to := r.least(s, s.SetPoint, end, func(v float64) Setting { return Setting{SetPoint: v} }); !math.IsNaN(to) {
		w.setPoint = r.clamp(to)
		span := r.o.SetPointMax - r.o.SetPointMin
		if !known(span) {
			span = farthest
		}
		add(WayOut{"set-point", s.SetPoint, w.setPoint, "°C", math.Abs(w.setPoint-s.SetPoint) / span})
	}
	slices.SortFunc(w.all[:n], func(a, b WayOut) int { return cmp.Compare(a.Share, b.Share) })
}

// least is the nearest value on the way from where things are to end by which the set-point is reached, NaN where end
// does not reach it either.
func (r *Recommender) least(s *Situation, from, end float64, set func(float64) Setting) float64 {
	if from == end || !r.reaches(s, set(end)) {
		return math.NaN()
	}
	for range halvings {
		if mid := (from + end) / 2; r.reaches(s, set(mid)) {
			end = mid
		} else {
			from = mid
		}
	}
	return end
}

// reaches tells whether under a setting the temperature comes to the set-point and the spindle has room.
func (r *Recommender) reaches(s *Situation, set Setting) bool {
	if !s.Ask(&r.would, set) {
		return false
	}
	aim := s.SetPoint
	if !math.IsNaN(set.SetPoint) {
		aim = set.SetPoint
	}
	n := len(minute) - 1
	mean, _, _ := s.live(minute[n])
	short := aim - (mean + r.would.Temperature[n] - r.is.Temperature[n])
	later := r.would.later()
	if r.limit == "lower" {
		return short > -soonBy && later >= r.o.SpindleMin+r.room()/2
	}
	return short < soonBy && later <= r.o.SpindleMax-r.room()/2
}

// waysText is "; ways out: path velocity 790 → 650 mm/min (-18 %), set-point 475 → 462 °C", or nothing.
func waysText(all *[4]WayOut) string {
	var parts []string
	for _, w := range all {
		switch {
		case w.What == "":
		case w.Unit == "°C":
			parts = append(parts, fmt.Sprintf("%s %s → %s °C", w.What, tenths(w.From), tenths(w.To)))
		case w.What == bothVelocities:
			parts = append(parts, fmt.Sprintf("%s %+.0f %%", w.What, w.To-w.From))
		default:
			parts = append(parts, fmt.Sprintf("%s %.0f → %.0f %s (%+.0f %%)", w.What, w.From, w.To, w.Unit, 100*(w.To/w.From-1)))
		}
	}
	if parts == nil {
		return ""
	}
	return "; ways out: " + strings.Join(parts, ", ")
}
