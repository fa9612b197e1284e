// Package program knows what a machine's program will do: it gives the steps of package gcode their times,
// follows the line that the machine shows, and tells for each second to come what is known of path, feed, height
// and set-point, and which events are near. What it knows goes into a forecast as a filter.Scenario.
package program

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	"stirwatch/dynamics/gcode"
)

// Axes are how a machine moves where nobody says otherwise. What its log shows corrects them, see [Tracker].
type Axes struct {
	Accel     float64 // mm/s² along the path
	Deviation float64 // mm by which the axes may cut a corner: with Accel it gives the speed in corners
	Rapid     float64 // mm/s of G0
	Lap       float64 // mm of the closed path that L words count; only the simulated machine has them
}

// DefaultAxes are those of a slow gantry: a right angle at 15 mm/s costs about a second.
var DefaultAxes = Axes{Accel: 60, Deviation: 0.05, Rapid: 30, Lap: 599.7}

// step is one step of a program with its times, at 100 % override.
type step struct {
	gcode.Kind
	line, count int32
	skip, rapid bool
	m           int16
	s           float64 // of an M-word; NaN where there is none

	length  float64 // mm along the path
	up      float64 // share of it that goes upwards, −1 to 1
	flat    float64 // share of it in the plane
	in, out float64 // mm/s at its ends
	top     float64 // mm/s at most
	time    float64 // s of a move or a wait
	endless bool    // nobody knows for how long: it waits for something

	// The modal words as they are before the step.
	feed    feedWord
	aim     float64 // set-point of the spindle's PID, 0 off, NaN unknown
	feedMay bool    // the feed word stands in a block that may be skipped
	aimMay  bool    // and so does the set-point
	spindle float64 // rpm without the PID, 0 stopped, NaN unknown
	mode    float64 // of the PID, NaN unknown
	layer   int32   // place in layers, −1 before the first
}

// feedWord is how the bar is fed: which word, and its number. The zero feedWord is not known.
type feedWord struct {
	m  int16   // 24 or 34; 25 while it stands
	s  float64 // as it stands in the program
	in bool    // in an inch program
}

func (f feedWord) on() bool { return f.m == 24 || f.m == 34 }

// Layer is one layer of the build.
type Layer struct {
	Number int // as the program's comments name it, else counted from 1
	step   int32
}

// Program is a program with its times. It does not change once made.
type Program struct {
	Name    string // of the file
	Lines   int    // the last line that the machine can show
	Blocks  int
	Unknown []gcode.Unknown
	Layers  []Layer
	Lasts   float64 // s at 100 % override, without the waits that nobody knows the length of

	axes      Axes
	steps     []step
	order     []int32   // places in steps, by line
	counts    []int32   // and by count
	first     int32     // smallest line
	countable bool      // its lines have no numbers of their own: a machine may count otherwise
	moves     []float64 // s of moves before each step, and at the end
	waits     []float64 // s of waits
	endless   []int32   // waits of unknown length
	events    [kinds][]event
	skipping  *Program // with the blocks left out that may be; nil where there are none
}

// New reads the program of a file: text as it stands there. It fails where nothing in it makes a machine do
// anything.
func New(name, text string, axes Axes) (*Program, error) {
	g, err := gcode.Read(text)
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", name, err)
	}
	p := compile(name, g, axes, false)
	if slices.ContainsFunc(g.Steps, func(s gcode.Step) bool { return s.Skip }) {
		if q := compile(name, g, axes, true); len(q.steps) > 0 {
			p.skipping = q
		}
	}
	return p, nil
}

// compile gives the steps their times.
func compile(name string, g *gcode.Program, axes Axes, skip bool) *Program {
	p := &Program{Name: name, Lines: g.Last, Unknown: g.Unknown, axes: axes, first: int32(g.First), countable: !g.Numbered}
	place := make([]int32, len(g.Steps)+1) // of the steps in p.steps
	for i := range g.Steps {
		s := &g.Steps[i]
		place[i] = int32(len(p.steps))
		p.Blocks = s.Count
		if skip && s.Skip {
			continue
		}
		p.steps = append(p.steps, p.step(s))
	}
	place[len(g.Steps)] = int32(len(p.steps))
	p.corners(g, place)
	p.layers(g, place)
	p.modal()
	p.times()
	p.index()
	p.find()
	return p
}

// step is a step without what its neighbours decide.
func (p *Program) step(s *gcode.Step) step {
	t := step{Kind: s.Kind, line: int32(s.Line), count: int32(s.Count), skip: s.Skip, m: int16(s.M), s: s.S, flat: 1, layer: -1}
	switch s.Kind {
	case gcode.Moves:
		t.length, t.rapid, t.top = s.Move.Length, s.Move.Rapid, s.Move.Feed
		if t.rapid {
			t.top = p.axes.Rapid
		}
		if r := s.Move.Radius; r > 0 { // the axes hold the centripetal acceleration
			t.top = min(t.top, math.Sqrt(p.axes.Accel*r))
		}
		if t.length > 0 {
			t.up = (s.Move.To[2] - s.Move.From[2]) / t.length
			t.flat = math.Sqrt(max(0, 1-t.up*t.up))
		}
		t.endless = t.top == 0 && t.length > 0
	case gcode.Laps:
		t.length, t.top = s.Laps*p.axes.Lap, s.Feed
		t.endless = t.top == 0
	case gcode.Waits:
		t.time = s.Seconds
	case gcode.Code:
		t.feed.in = s.Inch
		switch s.M {
		case 0, 1, 42, 43:
			t.endless = true
		case 4:
			t.endless = math.IsNaN(s.S)
		}
	}
	return t
}

// corners gives the speeds at the ends of moves: in a corner the axes may deviate a little (Jeon's junction
// deviation, as in grbl: v² = a·δ·sin(θ/2)/(1 − sin(θ/2)), θ the angle between the two moves), and before one
// they brake in time. M-words that do not wait do not stop them.
func (p *Program) corners(g *gcode.Program, place []int32) {
	a := p.axes.Accel
	last, hold := -1, true // the move before, and whether something stands between
	var out [3]float64
	for i := range g.Steps {
		k := int(place[i])
		if k == int(place[i+1]) {
			continue
		}
		switch t := &p.steps[k]; t.Kind {
		case gcode.Moves:
			if t.length == 0 {
				continue
			}
			_, in := g.Steps[i].Move.At(0)
			if !hold && p.steps[last].Kind == gcode.Moves {
				cos := -(out[0]*in[0] + out[1]*in[1] + out[2]*in[2])
				sin := math.Sqrt(max(0, (1-cos)/2))
				v := math.Inf(1)
				if sin < 1-1e-9 {
					v = math.Sqrt(a * p.axes.Deviation * sin / (1 - sin))
				}
				p.steps[last].out = min(v, p.steps[last].top, t.top)
			}
			_, out = g.Steps[i].Move.At(1)
			last, hold = k, false
		case gcode.Code:
			hold = hold || t.endless || t.m == 2 || t.m == 4 || t.m == 30
		case gcode.Laps:
			if !hold && p.steps[last].Kind == gcode.Laps {
				p.steps[last].out = min(p.steps[last].top, t.top)
			}
			last, hold = k, false
		default:
			hold = true
		}
	}
	begin := 0.0 // mm/s at which the next move can begin
	for i := len(p.steps) - 1; i >= 0; i-- {
		if t := &p.steps[i]; t.length > 0 {
			if t.out > 0 {
				t.out = min(t.out, begin)
			}
			begin = min(t.top, math.Sqrt(t.out*t.out+2*a*t.length))
		}
	}
	v := 0.0
	for i := range p.steps {
		if t := &p.steps[i]; t.length > 0 {
			t.in = min(v, t.top)
			t.out = min(t.out, math.Sqrt(t.in*t.in+2*a*t.length))
			t.top = min(t.top, math.Sqrt((t.in*t.in+t.out*t.out)/2+a*t.length))
			v = t.out
			t.time = p.span(t)
		}
	}
}

// lays reports whether a step that climbs lays the next layer.
func (t *step) lays() bool {
	rise := t.up * t.length
	return !t.rapid && rise > 0 && rise <= leaves && t.feed.m != 25
}

// span is how long a move takes: up to its speed, along, and down again.
func (p *Program) span(t *step) float64 {
	if t.top <= 0 {
		return 0
	}
	a := p.axes.Accel
	up, down := (t.top-t.in)/a, (t.top-t.out)/a
	along := t.length - (t.in+t.top)/2*up - (t.out+t.top)/2*down
	return up + down + max(0, along)/t.top
}

// way is how far a move has come, mm, after s of its time.
func (p *Program) way(t *step, s float64) float64 {
	if s >= t.time {
		return t.length
	}
	a := p.axes.Accel
	up, down := (t.top-t.in)/a, (t.top-t.out)/a
	switch left := t.time - s; {
	case s < up:
		return t.in*s + a*s*s/2
	case left < down:
		return t.length - t.out*left - a*left*left/2
	}
	return (t.in+t.top)/2*up + t.top*(s-up)
}

var layerName = regexp.MustCompile(`(?i)\blayer\b[\s:#=_-]*(\d{1,6})`)

const (
	layerFrom = 0.3  // mm that a layer is higher than the one before, at least
	layerTo   = 15.0 // mm, at most: what rises further goes away
)

// layers finds the layers: as comments name them, else by height, where material is laid higher than before.
func (p *Program) layers(g *gcode.Program, place []int32) {
	for _, c := range g.Comments {
		if m := layerName.FindStringSubmatch(c.Text); m != nil {
			n, _ := strconv.Atoi(m[1])
			if k := len(p.Layers); k == 0 || p.Layers[k-1].Number != n {
				p.Layers = append(p.Layers, Layer{n, place[c.Step]})
			}
		}
	}
	if len(p.Layers) == 0 {
		p.layersByHeight(g, place)
	}
	for i, k := range p.Layers { // it begins where the tool moves
		for int(k.step) < len(p.steps) && p.steps[k.step].length == 0 {
			k.step++
		}
		p.Layers[i].step = k.step
	}
	k := 0
	for i := range p.steps {
		for k < len(p.Layers) && int(p.Layers[k].step) <= i {
			k++
		}
		p.steps[i].layer = int32(k - 1)
	}
}

func (p *Program) layersByHeight(g *gcode.Program, place []int32) {
	height, begins, fed, feeds := math.NaN(), -1, true, false
	for i := range g.Steps {
		s := &g.Steps[i]
		if place[i] == place[i+1] {
			continue
		}
		switch {
		case s.Kind == gcode.Code && (s.M == 24 || s.M == 34):
			fed = s.S != 0
			if !feeds { // what was laid before was no layer: nothing was fed
				p.Layers, height, begins = p.Layers[:0], math.NaN(), -1
			}
			feeds = true
		case s.Kind == gcode.Code && (s.M == 25 || s.M == 35):
			fed = false
		}
		if s.Kind != gcode.Moves {
			continue
		}
		if begins < 0 {
			begins = i
		}
		if t := &p.steps[place[i]]; t.rapid || !fed || t.length*t.flat < 0.1 {
			continue
		}
		z := s.Move.To[2]
		if rise := z - height; math.IsNaN(height) || rise > layerFrom && rise < layerTo {
			p.Layers = append(p.Layers, Layer{len(p.Layers) + 1, place[begins]})
		}
		height, begins = z, -1
	}
	if len(p.Layers) == 1 {
		p.Layers = nil
	}
}

// modal notes for each step the words that hold before it.
func (p *Program) modal() {
	feed, aim, spindle, mode := feedWord{}, math.NaN(), math.NaN(), math.NaN()
	feedMay, aimMay := false, false
	for i := range p.steps {
		t := &p.steps[i]
		inch := t.feed.in
		t.feed, t.aim, t.spindle, t.mode = feed, aim, spindle, mode
		t.feedMay, t.aimMay = feedMay, aimMay
		if t.Kind != gcode.Code {
			continue
		}
		switch t.m {
		case 24, 34:
			if feed = (feedWord{t.m, t.s, inch}); t.s == 0 {
				feed.m = 25
			}
			feedMay = t.skip
		case 25, 35:
			feed, feedMay = feedWord{m: 25}, t.skip
		case 40:
			mode = t.s
		case 41:
			if aim, aimMay = t.s, t.skip; aim > 0 {
				spindle = math.NaN()
			}
		case 3, 4, 6:
			aim, spindle = 0, t.s
		case 5:
			aim, spindle = 0, 0
		}
	}
}

// times adds the times up.
func (p *Program) times() {
	n := len(p.steps)
	p.moves, p.waits, p.endless = make([]float64, n+1), make([]float64, n+1), make([]int32, n+1)
	for i := range p.steps {
		t := &p.steps[i]
		p.moves[i+1], p.waits[i+1], p.endless[i+1] = p.moves[i], p.waits[i], p.endless[i]
		switch {
		case t.endless:
			p.endless[i+1]++
		case t.Kind == gcode.Waits:
			p.waits[i+1] += t.time
		case t.length > 0:
			p.moves[i+1] += t.time
		}
	}
	p.Lasts = p.moves[n] + p.waits[n]
}

// index makes the steps findable by line and by count.
func (p *Program) index() {
	p.order, p.counts = make([]int32, len(p.steps)), make([]int32, len(p.steps))
	for i := range p.steps {
		p.order[i], p.counts[i] = int32(i), int32(i)
	}
	slices.SortStableFunc(p.order, func(a, b int32) int { return cmp.Compare(p.steps[a].line, p.steps[b].line) })
}

// at gives the step of a line: of several the next from near on, and of a line that does nothing the one behind
// it. exact tells that the line has a step. It is −1 where the program has no such line.
func (p *Program) at(line int32, near int, counted bool) (place int, exact bool) {
	order, key := p.order, func(i int32) int32 { return p.steps[i].line }
	if counted {
		order, key = p.counts, func(i int32) int32 { return p.steps[i].count }
	}
	if len(order) == 0 || line < 0 || !counted && (line < p.first || int(line) > p.Lines) || counted && int(line) > p.Blocks {
		return -1, false
	}
	lo, hi := 0, len(order)
	for lo < hi {
		if mid := (lo + hi) / 2; key(order[mid]) < line {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(order) {
		return len(p.steps) - 1, false
	}
	if key(order[lo]) != line {
		return int(order[lo]), false
	}
	for k := lo; k < len(order) && key(order[k]) == line; k++ {
		if int(order[k]) >= near {
			return int(order[k]), true
		}
	}
	return int(order[lo]), true
}

// shows is the line, or the count, that a machine shows during a step.
func (p *Program) shows(i int, counted bool) int32 {
	if counted {
		return p.steps[i].count
	}
	return p.steps[i].line
}

// takesTime reports whether one of the steps from ≤ i < to takes time.
func (p *Program) takesTime(from, to int) bool {
	for i := max(0, from); i < to; i++ {
		if s := &p.steps[i]; s.time > 0 || s.endless {
			return true
		}
	}
	return false
}
