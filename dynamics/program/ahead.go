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
	Layer    []float64 // its number
	Known    float64   // s after which it waits for something that nobody knows the time of
}

// Look fills dst with what comes in the next seconds. While the tracker does not follow, nothing is known. It does
// not allocate once dst has been used.
func (t *Tracker) Look(dst *Ahead, seconds int) {
	dst.Path, dst.Feed = num.Resize(dst.Path, seconds), num.Resize(dst.Feed, seconds)
	dst.Up, dst.SetPoint = num.Resize(dst.Up, seconds), num.Resize(dst.SetPoint, seconds)
	dst.Layer = num.Resize(dst.Layer, seconds)
	dst.Known = 0
	nan := math.NaN()
	w := walk{t: t, at: t.at, into: t.into, over: t.over, feed: t.now.Feed, aim: nan, known: true}
	follows := t.State() == Following
	for k := range seconds {
		dst.Path[k], dst.Feed[k], dst.Up[k], dst.SetPoint[k], dst.Layer[k] = nan, nan, nan, nan, nan
		if !follows {
			continue
		}
		w.second()
		dst.Path[k], dst.Feed[k], dst.Up[k], dst.SetPoint[k] = w.path, w.fed, w.up, w.aim
		if l := t.p.steps[w.at].layer; l >= 0 {
			dst.Layer[k] = float64(t.p.Layers[l].Number)
		}
		if w.known {
			dst.Known = float64(k + 1)
		}
	}
}

// walk goes through the program ahead of the machine.
type walk struct {
	t      *Tracker
	at     int
	into   float64
	over   float64 // %
	feed   float64 // mm/min
	aim    float64 // °C, NaN as it is now
	waited float64 // s ahead
	known  bool    // it has met no wait without an end

	path, up, fed float64 // means of the second
}

// second lets a second pass.
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
	case 5:
		w.aim = 0
	case 52:
		if s.s > 0 {
			w.over = s.s
		}
	}
}

// Guide makes what a tracker knows into the scenario of a forecast by one model. It serves one goroutine.
type Guide struct {
	Tracker *Tracker
	Ahead   Ahead

	path, feed, up int // places in the model's inputs, −1 where it has none
	scenario       filter.Scenario
	setPoint       float64
}

// NewGuide makes one that has no tracker yet.
func NewGuide(m *model.Model) *Guide {
	g := &Guide{path: m.InputIndex(model.PathVelocity), feed: m.InputIndex(model.FeedVelocity), up: m.InputIndex(model.ZVelocity), setPoint: math.NaN()}
	g.scenario = filter.Scenario{Way: filter.Planned, Inputs: g.inputs, SetPoint: g.aim}
	return g
}

// Scenario is what is expected, looking so many seconds ahead: by the program where it is followed, else what is
// now goes on. setPoint is the present one, NaN unknown. It holds until the next call.
func (g *Guide) Scenario(seconds int, setPoint float64) filter.Scenario {
	g.Tracker.Look(&g.Ahead, seconds)
	g.setPoint = setPoint
	return g.scenario
}

// Follows tells whether the program is followed.
func (g *Guide) Follows() bool { return g.Tracker != nil && g.Tracker.State() == Following }

func (g *Guide) inputs(u []float64, ahead float64) {
	n := len(g.Ahead.Path)
	if n == 0 {
		return
	}
	k := max(0, min(n-1, int(ahead)))
	set := func(i int, v float64) {
		if i >= 0 && !math.IsNaN(v) {
			u[i] = v
		}
	}
	set(g.path, g.Ahead.Path[k])
	set(g.feed, g.Ahead.Feed[k])
	switch v := g.Ahead.Up[k]; {
	case !math.IsNaN(v):
		set(g.up, v)
	case g.up >= 0 && ahead > filter.Momentary:
		u[g.up] = 0
	}
}

func (g *Guide) aim(ahead float64) float64 {
	n := len(g.Ahead.SetPoint)
	if n > 0 {
		if v := g.Ahead.SetPoint[max(0, min(n-1, int(ahead)))]; !math.IsNaN(v) {
			return v
		}
	}
	return g.setPoint
}
