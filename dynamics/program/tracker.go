package program

import (
	"fmt"
	"math"

	"stirwatch/dynamics/gcode"
	"stirwatch/dynamics/num"
)

// Now is what the machine shows at an instant. NaN is unknown.
type Now struct {
	Line     float64 // of the program, where it is new; NaN between two reports
	Path     float64 // mm/min in the plane
	Feed     float64 // mm/min
	SetPoint float64 // of the spindle's PID, °C; 0 is off
	Override float64 // of the path, %
	Reading  float64 // of the tool, °C
	Speed    float64 // rpm
}

// State says whether the program helps.
type State uint8

const (
	Waiting   State = iota // no line has been shown
	Idle                   // the machine runs no program
	Following              // the line is followed
	Misfit                 // what the machine shows does not fit the program
)

func (s State) String() string {
	return [...]string{"waiting for a line", "idle", "following", "does not fit"}[s]
}

// How a tracker judges.
const (
	idleLine   = 1    // shown before and after a program
	paceOver   = 20.0 // s over which the path's speed is compared with the program's
	rateOver   = 5.0  // s over which the reading's change is taken
	standsFor  = 2.0  // s of standing still in a move after which it is held
	factorFor  = 4.0  // s after a feed word before its number is compared with the feed
	lateBy     = 5.0  // s that a step may begin early or late
	lateShare  = 0.3  // and the same as a share of what went before
	instant    = 10.0 // s in which a step that does not wait is done
	settles    = 3.0  // s in which the path has stopped
	mostWrong  = 10.0 // s of what cannot be, after which the program does not fit
	fitsBelow  = 5.0  // s of it, below which it fits again
	wrongLess  = 0.2  // of what can be, that makes one second of it good
	mostMisses = 3.0  // steps at the wrong time, and twice as many as at the right one
	forget     = 0.98 // of hits and misses, with each
	wayBack    = 64   // steps back in which a line is looked for
	jumps      = 30.0 // s back in the program from which it is a jump
	spins      = 50.0 // rpm/s of a spindle
	crawls     = 30.0 // mm/min: slower is no travel
	leastRate  = 0.1  // °C/s: a slower rise may never arrive
	someDelay  = 1.0  // s that a wait goes on whose condition holds
	beyondFor  = 2    // reports beyond the program's end
	noFactor   = 0.0  // not compared yet
	sameFactor = 0.04 // of a known unit
	sameAim    = 2.0  // °C
	mostSkips  = 2.9  // times that a block which may be skipped has done nothing
)

// Tracker follows a program by the line that the machine shows, and corrects what it believes of the machine's
// axes and feed words by what it shows besides. It serves one goroutine and does not allocate once made.
type Tracker struct {
	base, p *Program // as read; with or without blocks that may be skipped

	at   int     // step
	into float64 // s of the step's own time
	past float64 // s since it was reached

	line    float64 // last shown
	lasts   float64 // s since it was first shown
	late    float64 // s that it has lasted longer than expected
	from    int     // first step of that line
	counted bool    // lines are counts of blocks that do something
	shown   bool
	idle    bool
	still   float64 // s of standing still in a move
	held    bool
	over    float64 // %
	now     Now
	rising  float64 // °C/s
	last    float64 // reading before
	made    float64 // mm of path shown, and expected, of late
	planned float64
	factor  [2]float64 // of M24 and M34: mm/min of one in the word

	hits, misses float64
	wrong        float64 // s
	beyond       int
	misfit       bool
	why          string
	judged       int     // step whose words were compared
	skips, takes float64 // what blocks that may be skipped have done
}

// NewTracker makes one for a program.
func NewTracker(p *Program) *Tracker {
	return &Tracker{base: p, p: p, at: 0, line: math.NaN(), over: 100, last: math.NaN(), judged: -1, now: Now{Line: math.NaN(), Path: math.NaN(), Feed: math.NaN(), SetPoint: math.NaN(), Override: math.NaN(), Reading: math.NaN(), Speed: math.NaN()}}
}

// Program is the one that is followed.
func (t *Tracker) Program() *Program { return t.base }

// State is how far the program is followed.
func (t *Tracker) State() State {
	switch {
	case t.misfit:
		return Misfit
	case !t.shown:
		return Waiting
	case t.idle:
		return Idle
	}
	return Following
}

// Why says why the program does not fit, or "".
func (t *Tracker) Why() string {
	if !t.misfit {
		return ""
	}
	if t.beyond >= beyondFor {
		return fmt.Sprintf("line %.0f is shown, the program has lines %d to %d", t.line, t.p.first, t.p.Lines)
	}
	return t.why
}

// Line is the line that runs by the tracker's own count, and Held whether the machine stands still in it.
func (t *Tracker) Line() int  { return int(t.p.steps[t.at].line) }
func (t *Tracker) Held() bool { return t.held }

// Layer is the number of the layer that is being laid; false before the first and without layers.
func (t *Tracker) Layer() (int, bool) {
	if t.State() != Following || t.p.steps[t.at].layer < 0 {
		return 0, false
	}
	return t.p.Layers[t.p.steps[t.at].layer].Number, true
}

// Step takes what the machine shows dt seconds after the last time.
func (t *Tracker) Step(dt float64, now Now) {
	t.now = now
	if now.Override > 0 {
		t.over = now.Override
	}
	if num.Finite(now.Reading, t.last) && dt > 0 {
		t.rising -= math.Expm1(-dt/rateOver) * ((now.Reading-t.last)/dt - t.rising)
	}
	t.last = now.Reading
	t.past, t.lasts = t.past+dt, t.lasts+dt
	if t.shown && !t.idle {
		t.learn(dt)
		t.advance(dt)
	}
	if num.Finite(now.Line) {
		t.sync(dt, now.Line)
	}
	if t.shown && !t.idle {
		t.judge(dt)
	}
}

// rate is how fast the program's own time of moves goes by.
func (t *Tracker) rate() float64 { return t.over / 100 * t.pace() }

// pace is how fast the path is against the program and its override.
func (t *Tracker) pace() float64 {
	const sure = 50.0 // mm that count as at the pace of 1
	return max(0.3, min(3, (t.made+sure)/(t.planned+sure)))
}

// cruises reports whether the present step travels at its own speed.
func (t *Tracker) cruises() bool {
	s := &t.p.steps[t.at]
	if s.length == 0 || s.endless || s.rapid {
		return false
	}
	a := t.p.axes.Accel
	return t.into >= (s.top-s.in)/a && s.time-t.into >= (s.top-s.out)/a
}

// learn compares what the machine shows with what the program says.
func (t *Tracker) learn(dt float64) {
	s := &t.p.steps[t.at]
	if path := t.now.Path; num.Finite(path) && t.cruises() {
		expected := s.top * s.flat * t.over / 100 // mm/s
		path = math.Abs(path) / 60
		switch {
		case path < 0.03*expected:
			if t.still += dt; t.still > standsFor {
				t.held = true
			}
		case path > 0.2*expected:
			t.still, t.held = 0, false
			if t.into > (s.top-s.in)/t.p.axes.Accel+1 && expected > 0 {
				keep := math.Exp(-dt / paceOver)
				t.made, t.planned = keep*t.made+dt*path, keep*t.planned+dt*expected
			}
		}
	} else {
		t.still, t.held = 0, false
	}
	t.compare(s)
}

// compare finds what one in a feed word is in mm/min, and whether the machine leaves out the blocks that may be
// skipped: then neither their feed nor their set-point is what is measured. Each step is compared once, some time
// after its words.
func (t *Tracker) compare(s *step) {
	if t.past < factorFor || t.judged == t.at {
		return
	}
	t.judged = t.at
	if aim := t.now.SetPoint; s.aimMay && s.aim > 0 && num.Finite(aim) && (math.IsNaN(s.mode) || s.mode == 3) {
		t.skipped(math.Abs(aim-s.aim) > sameAim)
	}
	if !num.Finite(t.now.Feed) || !s.feed.on() || s.feed.s == 0 {
		return
	}
	ratio := t.now.Feed / s.feed.s
	w := s.feed.place()
	for _, unit := range units[w] {
		if math.Abs(ratio/unit-1) < sameFactor {
			if t.factor[w] = unit; s.feedMay {
				t.skipped(false)
			}
			return
		}
	}
	switch {
	case s.feedMay && math.Abs(t.now.Feed-t.fed(s.feed)) > sameFactor*t.now.Feed:
		t.skipped(true)
	case ratio < 1e-3 || t.now.Feed < 1: // a feed that stands tells nothing of its word
	case t.factor[w] == noFactor:
		t.factor[w] = ratio
	}
}

// skipped counts what a block that may be skipped has done, and goes by the program without such blocks where they do
// nothing.
func (t *Tracker) skipped(was bool) {
	t.skips, t.takes = forget*t.skips, forget*t.takes
	if !was {
		t.takes++
		return
	}
	if t.skips++; t.base.skipping == nil || t.p != t.base || t.skips < mostSkips || t.skips < 2*t.takes {
		return
	}
	line := t.p.shows(t.at, false)
	t.p = t.base.skipping
	at, _ := t.p.at(line, 0, false)
	t.jump(max(0, at), 0)
	t.from, t.judged = t.at, -1
}

// units are what one in a feed word may be, mm/min: M24 in mm/min or inch/min, M34 in tenths of the one or
// hundredths of the other.
var units = [2][]float64{{1, 25.4}, {0.1, 0.254}}

func (f feedWord) place() int {
	if f.m == 34 {
		return 1
	}
	return 0
}

// fed is the feed of a word, mm/min.
func (t *Tracker) fed(f feedWord) float64 {
	if !f.on() {
		return 0
	}
	w := f.place()
	if t.factor[w] != noFactor {
		return t.factor[w] * f.s
	}
	if f.in {
		return units[w][1] * f.s
	}
	return units[w][0] * f.s
}

// left is how long the present step goes on, s; +Inf where nobody knows.
func (t *Tracker) left() float64 { return t.leftOf(t.at, t.into, t.rising) }

func (t *Tracker) leftOf(i int, into, rising float64) float64 {
	s := &t.p.steps[i]
	switch {
	case t.held:
		return math.Inf(1)
	case s.Kind == gcode.Code && s.m == 43 && num.Finite(t.now.Reading):
		return t.warms(s.s, rising)
	case s.Kind == gcode.Code && s.m == 4 && num.Finite(t.now.Speed) && !s.endless:
		return math.Abs(s.s-math.Abs(t.now.Speed)) / spins
	case s.endless || s.Kind == gcode.Code && (s.m == 2 || s.m == 30):
		return math.Inf(1)
	case s.Kind == gcode.Waits:
		return max(0, s.time-into)
	case s.length > 0 && s.rapid:
		return max(0, s.time-into)
	case s.length > 0:
		return max(0, s.time-into) / t.rate()
	}
	return 0
}

// warms is how long it takes until the tool has a temperature.
func (t *Tracker) warms(to, rising float64) float64 {
	switch short := to - t.now.Reading; {
	case short <= 0:
		return someDelay
	case rising > leastRate:
		return max(someDelay, short/rising)
	}
	return math.Inf(1)
}

// advance lets dt seconds pass in the program.
func (t *Tracker) advance(dt float64) {
	for range len(t.p.steps) + 1 {
		s := &t.p.steps[t.at]
		wait := s.endless || s.Kind == gcode.Code && (s.m == 2 || s.m == 4 || s.m == 30)
		if wait || t.held || t.at+1 == len(t.p.steps) && s.length == 0 && s.Kind == gcode.Code {
			t.into += dt
			return
		}
		rate := 1.0
		switch {
		case s.length > 0 && !s.rapid && num.Finite(t.now.Path) && t.cruises():
			rate = math.Abs(t.now.Path) / 60 / (s.top * max(s.flat, 0.05))
			rate = min(rate, 10)
		case s.length > 0 && !s.rapid:
			rate = t.rate()
		}
		if need := max(0, s.time-t.into); need > dt*rate {
			t.into += dt * rate
			return
		} else if rate > 0 {
			dt -= need / rate
		}
		if t.at+1 == len(t.p.steps) {
			t.into = s.time
			return
		}
		t.at, t.into, t.past = t.at+1, 0, 0
	}
}

// block gives the steps from ≤ i < to of the line shown: none where the line does nothing, and from is the step
// behind it then. from is −1 where the program has no such line.
func (t *Tracker) block(line float64) (from, to int) {
	if line != math.Trunc(line) || math.Abs(line) > 1e9 {
		return -1, -1
	}
	p, n := t.p, int32(line)
	near := t.at
	for k := t.at; k >= 0 && k > t.at-wayBack; k-- {
		if p.shows(k, t.counted) == n {
			near = k
		}
	}
	from, exact := p.at(n, near, t.counted)
	if to = from; exact {
		for to < len(p.steps) && p.shows(to, t.counted) == n {
			to++
		}
	}
	return from, to
}

// sync takes a line that the machine shows.
func (t *Tracker) sync(dt, line float64) {
	changed, begins := line != t.line, !t.shown || t.idle
	lasted := t.lasts
	if changed {
		t.line, t.lasts = line, 0
	}
	t.shown = true
	from, to := t.block(line)
	if line <= idleLine && !t.p.takesTime(from, to) {
		t.rest()
		return
	}
	if from < 0 {
		if t.beyond++; t.beyond >= beyondFor {
			t.misfit, t.idle = true, false
		}
		t.shown = !begins // nothing is followed yet
		return
	}
	t.beyond, t.idle = 0, false
	switch {
	case begins:
		t.jump(from, 0)
	case t.at >= from && t.at < to || from == to && t.at == from:
	case t.at < from: // the machine is further than we are
		if changed {
			t.vote(t.until(from)+t.late, lasted)
		}
		t.jump(from, 0)
		if to > from {
			t.into = min(dt/2, t.p.steps[from].time)
		}
	case changed && from < t.from: // it went back
		t.jump(from, 0)
	case from == to && t.at == from-1:
	case changed: // it begins later than expected
		t.vote(t.late+t.since(max(from, to-1)), lasted)
		t.jump(from, min(dt/2, t.p.steps[from].time))
	default: // it goes on longer than expected
		last := max(from, to-1)
		t.late += t.since(last)
		t.at, t.into = last, t.p.steps[last].time
	}
	t.from = from
	if changed {
		t.late = 0
	}
}

// jump goes on at a step.
func (t *Tracker) jump(at int, into float64) {
	t.at, t.into, t.past = at, into, 0
	t.still, t.held = 0, false
}

// rest is what the machine does before and after a program: it may begin again.
func (t *Tracker) rest() {
	t.idle, t.misfit, t.beyond = true, false, 0
	t.p, t.skips, t.takes, t.judged = t.base, 0, 0, -1
	t.hits, t.misses, t.wrong, t.late = 0, 0, 0, 0
	t.jump(0, 0)
}

// since is how long ago a step before ended, s, by the program.
func (t *Tracker) since(step int) float64 {
	p, s := t.p, &t.p.steps[t.at]
	into := t.into
	if s.length > 0 && !s.rapid {
		into /= t.rate()
	}
	return into + (p.moves[t.at]-p.moves[step+1])/t.rate() + p.waits[t.at] - p.waits[step+1]
}

// vote counts a step that began by some seconds off what was expected, after lasted seconds of the line before.
func (t *Tracker) vote(off, lasted float64) {
	if !num.Finite(off) {
		return
	}
	t.hits, t.misses = forget*t.hits, forget*t.misses
	if math.Abs(off) <= max(lateBy, lateShare*lasted) {
		t.hits++
	} else {
		t.misses++
	}
}

// judge finds out whether the program fits what the machine shows.
func (t *Tracker) judge(dt float64) {
	s := &t.p.steps[t.at]
	path := math.Abs(t.now.Path)
	why := ""
	ends := s.Kind == gcode.Code && (s.m == 2 || s.m == 30)
	switch {
	case s.length == 0 && path > crawls && t.lasts > settles:
		why = "the tool travels where the program does not"
	case t.cruises() && !t.held && s.flat > 0.5 && t.past > settles && (path < 0.3*s.top*60*t.over/100*s.flat || path > 3*s.top*60*t.over/100) && path > 0:
		why = "the path is not as fast as the program has it"
	case s.length == 0 && s.Kind == gcode.Code && !s.endless && !ends && s.m != 4 && t.lasts > instant:
		why = "it stays at a line that takes no time"
	case t.late > max(2*lateBy, s.time) && !t.held:
		why = "it stays at a line that should be over"
	case !s.feed.on() && s.feed.m != 0 && t.now.Feed > 5 && t.past > settles:
		why = "material is fed where the program feeds none"
	}
	if why == "" {
		t.wrong = max(0, t.wrong-wrongLess*dt)
	} else {
		t.wrong = min(2*mostWrong, t.wrong+dt)
	}
	missed := t.misses >= mostMisses && t.misses > 2*t.hits
	switch {
	case t.beyond >= beyondFor:
	case !t.misfit && (t.wrong > mostWrong || missed):
		if t.why = why; missed {
			t.why = "its lines take other times"
		}
		if !t.counted && t.p.countable {
			t.counted, t.wrong, t.hits, t.misses, t.late = true, 0, 0, 0, 0
			t.shown = false
			return
		}
		t.misfit = true
	case t.misfit && t.wrong < fitsBelow && !missed:
		t.misfit = false
	}
}
