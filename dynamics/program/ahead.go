package program

import (
	"math"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/gcode"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
)

// Ahead is what a program tells of the seconds to come, one value a second: the mean of it. NaN is not told: what
// is now goes on.
type Ahead struct {
	Path     []float64 // mm/min in the plane
	Feed     []float64 // mm/min
	Up       []float64 // mm/min of the tool over the build, upwards: a layer's step is none, the build rises too
	SetPoint []float64 // °C of the spindle's PID at the end of the second; 0 is off
	Speed    []float64 // rpm that the spindle is told to have without its PID
	Layer    []float64 // its number
	Known    float64   // s after which it waits for something that nobody knows the time of
	Changes  float64   // s after which another regime begins: the feed starts or stops, the set-point is another, the tool leaves; +Inf: none
}

// Look fills dst with what comes in the next seconds. While the tracker does not follow, nothing is known. It does
// not allocate once dst has been used.
func (t *Tracker) Look(dst *Ahead, seconds int) {
	dst.Path, dst.Feed = num.Resize(dst.Path, seconds), num.Resize(dst.Feed, seconds)
	dst.Up, dst.SetPoint = num.Resize(dst.Up, seconds), num.Resize(dst.SetPoint, seconds)
	dst.Speed, dst.Layer = num.Resize(dst.Speed, seconds), num.Resize(dst.Layer, seconds)
	dst.Known, dst.Changes = 0, math.Inf(1)
	nan := math.NaN()
	w := walk{t: t, at: t.at, into: t.into, over: t.over, feed: t.now.Feed, aim: nan, speed: nan, known: true}
	follows := t.State() == Following
	for k := range seconds {
		dst.Path[k], dst.Feed[k], dst.Up[k], dst.SetPoint[k] = nan, nan, nan, nan
		dst.Speed[k], dst.Layer[k] = nan, nan
		if !follows {
			continue
		}
		w.second()
		dst.Path[k], dst.Feed[k], dst.Up[k], dst.SetPoint[k] = w.path, w.fed, w.up, w.aim
		if dst.Speed[k] = w.speed; math.IsInf(dst.Changes, 1) && t.changes(&w) {
			dst.Changes = float64(k + 1)
		}
		if l := t.p.steps[w.at].layer; l >= 0 {
			dst.Layer[k] = float64(t.p.Layers[l].Number)
		}
		if w.known {
			dst.Known = float64(k + 1)
		}
	}
}

// changes reports whether a second is of another regime than the present instant.
func (t *Tracker) changes(w *walk) bool {
	feeds := func(v float64) bool { return v >= model.FeedsFrom }
	return num.Finite(t.now.Feed, w.fed) && feeds(t.now.Feed) != feeds(w.fed) ||
		!math.IsNaN(w.aim) && !(math.Abs(w.aim-t.now.SetPoint) < sameAim) ||
		!math.IsNaN(w.speed) || w.up*1/60 > layerFrom
}

// walk runs through the program ahead of the machine.
type walk struct {
	t      *Tracker
	at     int
	into   float64
	over   float64 // %
	feed   float64 // mm/min
	aim    float64 // °C, NaN as it is now
	speed  float64 // rpm, NaN by the PID or as it is now
	waited float64 // s ahead
	known  bool    // it has met no wait without an end

	path, up, fed float64 // means of the second
}

// second moves on by a second.
func (w *walk) second() {
	t := w.t
	left, flat, rise, fed, blind := 1.0, 0.0, 0.0, 0.0, false
	for left > 1e-9 {
		s := &t.p.steps[w.at]
		rate := w.over / 100 * t.pace()
		if s.rapid {
			rate = 1
		}
		need, ends := w.need(s, rate)
		took := min(left, need)
		if s.length > 0 && !t.held {
			a := t.p.way(s, w.into)
			w.into += took * rate
			b := t.p.way(s, w.into)
			if flat += (b - a) * s.flat; !s.lays() {
				rise += (b - a) * s.up
			}
			blind = blind || s.Kind == gcode.Laps // the path climbs, nobody knows how
		} else {
			w.into += took
		}
		fed += took * w.feed
		left, w.waited = left-took, w.waited+took
		if need > took || !ends {
			if math.IsInf(need, 1) {
				w.known = false
			}
			break
		}
		w.do(s)
		if w.at+1 == len(t.p.steps) {
			fed += left * w.feed
			w.known = false
			break
		}
		w.at, w.into = w.at+1, 0
	}
	w.path, w.up, w.fed = flat*60, rise*60, fed
	if blind && rise == 0 {
		w.up = math.NaN()
	}
}

// need is how long a step goes on, s, and whether another follows it.
func (w *walk) need(s *step, rate float64) (need float64, ends bool) {
	t := w.t
	switch {
	case t.held:
		return math.Inf(1), false
	case s.Kind == gcode.Code && s.m == 43 && num.Finite(t.now.Reading):
		need = t.warms(s.s, t.rising)
		if w.at != t.at {
			need = max(0, need-w.waited)
		}
		return max(0, need), true
	case s.endless || s.Kind == gcode.Code && (s.m == 2 || s.m == 30):
		return math.Inf(1), false
	case s.Kind == gcode.Code && s.m == 4 && num.Finite(t.now.Speed):
		return max(0, math.Abs(s.s-math.Abs(t.now.Speed))/spins-w.into), true
	case s.length > 0:
		return max(0, s.time-w.into) / rate, true
	case s.Kind == gcode.Waits:
		return max(0, s.time-w.into), true
	}
	return 0, true
}

// do does what a step says at its end.
func (w *walk) do(s *step) {
	if s.Kind != gcode.Code {
		return
	}
	switch s.m {
	case 24, 34:
		if w.feed = w.t.fed(feedWord{s.m, s.s, s.feed.in}); s.s == 0 {
			w.feed = 0
		}
	case 25, 35:
		w.feed = 0
	case 41:
		if math.IsNaN(s.mode) || s.mode == 3 {
			w.aim = s.s
		}
		if s.s > 0 {
			w.speed = math.NaN()
		}
	case 3, 4, 6:
		w.speed = s.s
	case 5:
		w.aim, w.speed = 0, math.NaN()
	case 52:
		if s.s > 0 {
			w.over = s.s
		}
	}
}

// Guide turns what a tracker knows of the program into the inputs and the set-point of forecasts by one model. It serves one goroutine.
type Guide struct {
	Tracker *Tracker // nil: nothing is known
	Ahead   Ahead    // as Look has filled it

	path, feed, up int                              // places in the model's inputs, −1 where it has none
	inputs         func(u []float64, ahead float64) // Inputs, made once: a method's value is made anew each time
}

// NewGuide makes one that has no tracker yet.
func NewGuide(m *model.Model) *Guide {
	g := &Guide{path: m.InputIndex(model.PathVelocity), feed: m.InputIndex(model.FeedVelocity), up: m.InputIndex(model.ZVelocity)}
	g.inputs = g.Inputs
	return g
}

// Look fills g.Ahead with the coming seconds, which are empty while there is no tracker.
func (g *Guide) Look(seconds int) {
	if g.Tracker == nil {
		g.Ahead = Ahead{Path: g.Ahead.Path[:0], Feed: g.Ahead.Feed[:0], Up: g.Ahead.Up[:0], SetPoint: g.Ahead.SetPoint[:0], Speed: g.Ahead.Speed[:0], Layer: g.Ahead.Layer[:0], Changes: math.Inf(1)}
		return
	}
	g.Tracker.Look(&g.Ahead, seconds)
}

// Follows reports whether the program is followed.
func (g *Guide) Follows() bool { return g.Tracker != nil && g.Tracker.State() == Following }

// Told is a scenario with what the program says, as Look has found it: sc itself where none is followed.
func (g *Guide) Told(sc filter.Scenario) filter.Scenario {
	if !g.Follows() {
		return sc
	}
	sc.Inputs = g.inputs
	if !math.IsInf(g.Ahead.Changes, 1) {
		sc.Changes = g.Ahead.Changes
	}
	return sc
}

// Inputs is for [filter.Scenario]: where the program tells nothing an input stays as it is, except one that is momentary.
func (g *Guide) Inputs(u []float64, ahead float64) {
	set := func(i int, seconds []float64) bool {
		v := second(seconds, ahead)
		if i < 0 || math.IsNaN(v) {
			return false
		}
		u[i] = v
		return true
	}
	set(g.path, g.Ahead.Path)
	set(g.feed, g.Ahead.Feed)
	if !set(g.up, g.Ahead.Up) && g.up >= 0 && ahead > filter.Momentary {
		u[g.up] = 0
	}
}

// SetPoint is the scenario's; now is the present one, NaN unknown.
func (g *Guide) SetPoint(ahead, now float64) float64 {
	if v := second(g.Ahead.SetPoint, ahead); !math.IsNaN(v) {
		return v
	}
	return now
}

// Speed is the scenario's: NaN where the machine's own controller turns the spindle, or nothing is known.
func (g *Guide) Speed(ahead float64) float64 { return second(g.Ahead.Speed, ahead) }

// second is the value of the second that is ahead: the last there is where it is further, NaN where there is none.
func second(v []float64, ahead float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	return v[max(0, min(len(v)-1, int(ahead)))]
}
