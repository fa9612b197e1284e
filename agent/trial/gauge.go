package trial

import (
	"math"
	"slices"
	"strconv"
	"time"

	"stirwatch/control"
	"stirwatch/firmware-bridge/twin"
)

// Room is how one build went while the spindle had room: it has not been at a limit for roomAfter. At a limit no way of control
// is better than another.
type Room struct {
	MeanAbs float64 // K, in steady deposition
	Event   float64 // K: worst error in the minute after a change of feed or traverse
	Else    float64 // K: worst error in steady deposition outside of such minutes, and of those after reloads
}

// Off is how far a build was from the set-point of its program, whatever was advised or commanded.
type Off struct {
	MeanAbs float64 // K, in steady deposition
	Outside float64 // share of time more than 10 K off
}

// gauge measures one build.
type gauge struct {
	limited float64 // s since the spindle was at a limit
	free    int     // s of steady deposition with room
	b       Build
	limits  control.Limits
	errors  []float64 // K, once a second of steady deposition
	lasting float64   // s of deposition without a break
	outside int       // s more than tolerated off
	limit   int       // s with the spindle at a limit
	spared  int       // s of that with the goal kept to tolerated
	strays  float64   // sum of errors from the program's set-point, K
	astray  int       // s more than tolerated off that
	began   float64   // s when the tool first got warm, NaN: not yet
	reached float64   // s when it first came within 5 K of its goal
	feed    float64   // smoothed velocity, mm/min
	path    float64
	event   float64 // s since a change, +Inf: none yet
	reload  bool    // there was a reload since the last row of deposition
	again   bool    // that change is a reload
	waits   bool    // it has not been recovered from
	settled float64 // s within near of the goal since it
	took    []float64
}

// When something counts.
const (
	warm        = 60.0  // °C: a start has begun
	near        = 5.0   // K off the goal: it is reached
	tolerated   = 10.0  // K off the goal, in steady deposition
	after       = 120.0 // s after the goal is reached, for the overshoot
	eventLasts  = 60.0  // s after a change of feed or traverse, or after deposition goes on after a reload
	stays       = 10.0  // s within 5 K of the goal: a change is recovered from
	feedChange  = 20.0  // mm/min off the smoothed feed
	pathChange  = 60.0  // mm/min off the smoothed traverse
	lastsLeast  = 30.0  // s of deposition, before which a change is part of the start
	limitWithin = 2.0   // rpm from a limit: the spindle is at it
	roomAfter   = 15.0  // s away from it
)

func newGauge(seed uint64, limits control.Limits) *gauge {
	return &gauge{b: Build{Seed: seed}, limits: limits, began: math.NaN(), reached: math.NaN(), event: math.Inf(1)}
}

// row takes a row, one a second, with what errors are measured from, and the set-point of the program, °C.
func (g *gauge) row(r *twin.Row, goal, program float64) {
	if math.IsNaN(goal) || r.ToolTemp == twin.NoSignal {
		return
	}
	off := r.ToolTemp - goal
	if math.IsNaN(g.began) && r.ToolTemp > warm {
		g.began = r.At
	}
	above := r.ToolTemp - program // in a start: who puts the set-point lower has not come to it sooner
	if math.IsNaN(g.reached) && !math.IsNaN(g.began) && math.Abs(above) < near {
		g.reached = r.At
		g.b.Reach = r.At - g.began
	}
	if !math.IsNaN(g.reached) && r.At-g.reached < after {
		g.b.Overshoot = max(g.b.Overshoot, above)
	}
	deposit := r.True.Phase == twin.Deposit
	upper, lower := atLimit(r, g.limits)
	if g.limited++; upper || lower {
		g.limited = 0
	}
	room := g.limited > roomAfter
	g.event++
	changed := g.lasting > lastsLeast && deposit && (math.Abs(r.FeedVel-g.feed) > feedChange || math.Abs(r.PathVel-g.path) > pathChange)
	if changed || deposit && g.reload {
		g.event, g.again, g.reload = 0, g.reload, false
		g.settled, g.waits = 0, true
	}
	g.reload = g.reload || r.True.Phase == twin.Reload
	g.feed, g.path = g.feed+(r.FeedVel-g.feed)/3, g.path+(r.PathVel-g.path)/3
	if !deposit {
		g.lasting, g.event, g.waits = 0, math.Inf(1), false
		return
	}
	if g.event < eventLasts && !math.IsNaN(g.reached) {
		worst := &g.b.Event
		if g.again {
			worst = &g.b.Reload
		}
		*worst = max(*worst, math.Abs(off))
		if room && !g.again {
			g.b.Room.Event = max(g.b.Room.Event, math.Abs(off))
		}
	}
	g.recover(math.Abs(off))
	if g.lasting++; g.lasting <= steady {
		return
	}
	g.errors = append(g.errors, off)
	g.strays += math.Abs(r.ToolTemp - program)
	if math.Abs(r.ToolTemp-program) > tolerated {
		g.astray++
	}
	if math.Abs(off) > tolerated {
		g.outside++
	}
	if upper || lower {
		if g.limit++; math.Abs(off) <= tolerated {
			g.spared++
		}
	}
	if room {
		g.free++
		g.b.Room.MeanAbs += math.Abs(off)
		if g.event >= eventLasts {
			g.b.Room.Else = max(g.b.Room.Else, math.Abs(off))
		}
	}
}

// atLimit tells whether the spindle is at the upper or the lower one of its limits.
func atLimit(r *twin.Row, limits control.Limits) (upper, lower bool) {
	return r.RPM >= limits.Max-limitWithin, r.RPM <= limits.Min+limitWithin
}

// recover follows how long a change disturbs: until the temperature has come within 5 K of the goal and stays there.
func (g *gauge) recover(off float64) {
	if !g.waits {
		return
	}
	if g.settled++; off >= near {
		g.settled = 0
	}
	if g.settled >= stays {
		g.took, g.waits = append(g.took, g.event-stays+1), false
	}
}

// build gives the measures; what the build did not have is NaN.
func (g *gauge) build() Build {
	b := g.b
	if math.IsNaN(g.reached) {
		b.Reach, b.Overshoot = math.NaN(), math.NaN()
	}
	b.Recover = math.NaN()
	if n := float64(len(g.took)); n > 0 {
		b.Recover = 0
		for _, v := range g.took {
			b.Recover += v / n
		}
	}
	b.Room.MeanAbs /= float64(g.free) // NaN where there was none
	n := float64(len(g.errors))
	if b.Rows = len(g.errors); b.Rows == 0 {
		nan := math.NaN()
		b.MeanAbs, b.SD, b.P99, b.Outside, b.AtLimit, b.Avoidable, b.Program = nan, nan, nan, nan, nan, nan, Off{nan, nan}
		return b
	}
	mean, abs := 0.0, make([]float64, 0, len(g.errors))
	for _, e := range g.errors {
		mean += e / n
		abs = append(abs, math.Abs(e))
		b.MeanAbs += math.Abs(e) / n
	}
	for _, e := range g.errors {
		b.SD += (e - mean) * (e - mean) / n
	}
	b.SD = math.Sqrt(b.SD)
	slices.Sort(abs)
	b.P99 = abs[int(0.99*(n-1))]
	b.Outside, b.AtLimit, b.Avoidable = float64(g.outside)/n, float64(g.limit)/n, float64(g.spared)/n
	b.Program = Off{MeanAbs: g.strays / n, Outside: float64(g.astray) / n}
	return b
}

func percentiles(all []time.Duration) (p50, p99, most time.Duration) {
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[int(0.99*float64(len(all)-1))], all[len(all)-1]
}

// Figure is one measure over builds.
type Figure struct {
	Name, Unit             string
	Mean, Median, P90, Max float64
	Builds                 int // that had it
}

// Figures of builds, in the order of a table.
func Figures(builds []Build) []Figure {
	var all []Figure
	for _, f := range []struct {
		name, unit string
		of         func(*Build) float64
	}{
		{"mean absolute error", "K", func(b *Build) float64 { return b.MeanAbs }},
		{"standard deviation", "K", func(b *Build) float64 { return b.SD }},
		{"99 % of errors below", "K", func(b *Build) float64 { return b.P99 }},
		{"time more than 10 K off", "%", func(b *Build) float64 { return 100 * b.Outside }},
		{"time at a spindle limit", "%", func(b *Build) float64 { return 100 * b.AtLimit }},
		{"of it, within 10 K of the goal", "%", func(b *Build) float64 { return 100 * b.Avoidable }},
		{"start: overshoot", "K", func(b *Build) float64 { return b.Overshoot }},
		{"start: time to within 5 K", "s", func(b *Build) float64 { return b.Reach }},
		{"after changes: worst error", "K", func(b *Build) float64 { return b.Event }},
		{"after reloads: worst error", "K", func(b *Build) float64 { return b.Reload }},
		{"after both: back within 5 K", "s", func(b *Build) float64 { return b.Recover }},
		{"with room: mean absolute error", "K", func(b *Build) float64 { return b.Room.MeanAbs }},
		{"with room, after changes: worst error", "K", func(b *Build) float64 { return b.Room.Event }},
		{"with room, elsewhere: worst error", "K", func(b *Build) float64 { return b.Room.Else }},
		{"off the program's set-point", "K", func(b *Build) float64 { return b.Program.MeanAbs }},
		{"time more than 10 K off that", "%", func(b *Build) float64 { return 100 * b.Program.Outside }},
		{"limit violations", "1", func(b *Build) float64 { return float64(b.Violations) }},
		{"a step: median", "µs", func(b *Build) float64 { return float64(b.P50.Nanoseconds()) / 1e3 }},
		{"a step: 99 %", "µs", func(b *Build) float64 { return float64(b.P99T.Nanoseconds()) / 1e3 }},
	} {
		var v []float64
		for i := range builds {
			if x := f.of(&builds[i]); !math.IsNaN(x) {
				v = append(v, x)
			}
		}
		fig := Figure{Name: f.name, Unit: f.unit, Mean: math.NaN(), Median: math.NaN(), P90: math.NaN(), Max: math.NaN(), Builds: len(v)}
		if len(v) > 0 {
			slices.Sort(v)
			fig.Mean = 0
			for _, x := range v {
				fig.Mean += x / float64(len(v))
			}
			fig.Median, fig.P90, fig.Max = v[len(v)/2], v[int(0.9*float64(len(v)-1))], v[len(v)-1]
		}
		all = append(all, fig)
	}
	return all
}

// Columns are the heads of [Build.Row].
func Columns() []string {
	return []string{"way", "seed", "mean_absolute_K", "sd_K", "p99_K", "outside_10_K", "at_limit", "at_limit_avoidable", "overshoot_K", "reach_s", "after_changes_K", "after_reloads_K", "recovery_s", "violations", "rows", "room_mean_absolute_K", "room_after_changes_K", "room_else_K", "program_absolute_K", "program_outside_10_K", "calls", "wrong_calls", "stretches", "called_before", "called_late_s", "step_median_s", "step_p99_s", "step_max_s"}
}

// Row is a build as a row of a table: NaN for what it did not have.
func (b *Build) Row(way Way) []string {
	row := []string{string(way), strconv.FormatUint(b.Seed, 10)}
	for _, v := range []float64{b.MeanAbs, b.SD, b.P99, b.Outside, b.AtLimit, b.Avoidable, b.Overshoot, b.Reach, b.Event, b.Reload, b.Recover, float64(b.Violations), float64(b.Rows),
		b.Room.MeanAbs, b.Room.Event, b.Room.Else, b.Program.MeanAbs, b.Program.Outside, float64(b.Calls.Made), float64(b.Calls.Wrong), float64(b.Calls.Stretches), float64(b.Calls.Before), b.Calls.Late,
		b.P50.Seconds(), b.P99T.Seconds(), b.MaxT.Seconds()} {
		row = append(row, strconv.FormatFloat(v, 'g', 5, 64))
	}
	return row
}
