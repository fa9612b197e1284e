package gcode

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind says what a step does.
type Kind uint8

const (
	Code  Kind = iota // an M-word
	Moves             // along a [Move]
	Laps              // along the closed path of the machine, as the simulated one does: G1 with L
	Waits             // G4
)

// Step is what one block, or a part of it, makes the machine do.
type Step struct {
	Line    int // that the machine shows while it runs, see [Program.Numbered]
	Count   int // of the blocks that do something, from 1: other machines show that
	Kind    Kind
	Skip    bool    // of a block that may be left out
	Inch    bool    // lengths are inches here
	M       int     // of a Code
	S       float64 // of a Code, as it stands there; NaN where there is none
	Move    Move    // of Moves
	Laps    float64 // of Laps
	Feed    float64 // of Laps: mm/s
	Seconds float64 // of Waits
}

// Comment is text for people, before the step of that index.
type Comment struct {
	Step, Line int
	Text       string
}

// Unknown is what stands in a program and was not understood.
type Unknown struct {
	Word  string
	Count int
	Line  int // place of the first in the file
}

func (u Unknown) String() string {
	if u.Count == 1 {
		return fmt.Sprintf("%s in line %d", u.Word, u.Line)
	}
	return fmt.Sprintf("%s %d times, first in line %d", u.Word, u.Count, u.Line)
}

// Program is a program as steps in order.
type Program struct {
	Name     string // behind %, or of an O word
	Steps    []Step
	Comments []Comment
	// Numbered tells that its blocks have N words, which a machine shows as the line; else the place of the
	// line in the file, comments and empty lines counted, stands for it.
	Numbered bool
	First    int // smallest and largest line, of all blocks
	Last     int
	Unknown  []Unknown // the most frequent first
}

// Limits of what is read.
const (
	MaxBytes    = 16 << 20
	maxSteps    = 300_000
	maxUnknown  = 100 // different ones; more are counted together
	maxWordShow = 24  // bytes of a word that is shown
)

// Read reads a program. What it does not know it counts and leaves out; it fails where nothing in the text makes
// a machine do anything, or where it is too large.
func Read(text string) (*Program, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("a program of %d MB: the limit is %d MB", len(text)>>20, MaxBytes>>20)
	}
	p := &Program{Numbered: numbered(text)}
	var in Interpreter
	in.unknown = map[string]int{}
	line, ended := 0, false
	for b := range Blocks(text) {
		switch {
		case !p.Numbered:
			line = b.Place
		case b.Number >= 0:
			line = b.Number
		}
		if b.Place == 1 {
			p.First = line
		}
		p.First, p.Last = min(p.First, line), max(p.Last, line)
		if b.Name != "" && p.Name == "" {
			p.Name = b.Name
		}
		if ended {
			if len(in.Do(nil, b)) > 0 {
				in.note("lines behind the end", b.Place)
			}
			continue
		}
		if b.Comment != "" {
			p.Comments = append(p.Comments, Comment{Step: len(p.Steps), Line: line, Text: b.Comment})
		}
		from := len(p.Steps)
		p.Steps = in.Do(p.Steps, b)
		ended = !b.Skip && (b.does('M', 2) || b.does('M', 30)) // what follows is run by nobody, or called
		if len(b.Words) > 0 {
			in.count++
		}
		for i := from; i < len(p.Steps); i++ {
			p.Steps[i].Line, p.Steps[i].Count = line, in.count
		}
		if len(p.Steps) > maxSteps {
			return nil, fmt.Errorf("more than %d steps, in line %d", maxSteps, b.Place)
		}
	}
	if p.Name == "" {
		p.Name = in.name
	}
	p.Unknown = in.Unknown
	slices.SortStableFunc(p.Unknown, func(a, b Unknown) int { return cmp.Compare(b.Count, a.Count) })
	if len(p.Steps) == 0 {
		return nil, fmt.Errorf("nothing in it makes a machine do anything%s", told(p.Unknown))
	}
	return p, nil
}

// told names the first of what was not understood.
func told(u []Unknown) string {
	if len(u) == 0 {
		return ""
	}
	return "; not understood: " + u[0].String()
}

// numbered tells whether a block has an N word.
func numbered(text string) bool {
	for b := range Blocks(text) {
		if b.Number >= 0 && (len(b.Words) > 0 || b.Comment != "") {
			return true
		}
	}
	return false
}

// Interpreter turns blocks into steps: it keeps the modal words. The zero Interpreter is ready: mm, absolute,
// at the origin.
type Interpreter struct {
	Unknown []Unknown
	unknown map[string]int // places in Unknown
	name    string
	count   int

	at       [3]float64 // mm
	feed     float64    // mm/s; with inverse time 1/s
	motion   int        // G0 to G3
	moving   bool       // a motion has been given
	inch     bool
	relative bool
	inverse  bool // G93: F is 1/min of the block
	turn     bool // G95: F is for a turn of the spindle, whose speed is not known
	centres  bool // G90.1: centres of arcs are absolute
	plane    plane
	planed   bool
}

// Do appends the steps of a block, without line.
func (in *Interpreter) Do(to []Step, b *Block) []Step {
	if !in.planed {
		in.plane, in.planed = planeXY, true
	}
	if b.Bad != "" {
		in.note(b.Bad, b.Place)
	}
	motion, wait, set, home := -1, false, false, false
	for _, w := range b.Words {
		if w.Letter != 'G' {
			continue
		}
		switch math.Round(w.Value*10) / 10 {
		case 0, 1, 2, 3:
			motion = int(w.Value)
			in.motion, in.moving = motion, true
		case 4:
			wait = true
		case 17:
			in.plane = planeXY
		case 18:
			in.plane = planeZX
		case 19:
			in.plane = planeYZ
		case 20, 70, 700:
			in.inch = true
		case 21, 71, 710:
			in.inch = false
		case 28, 30:
			home = true
		case 80:
			in.moving = false
		case 90:
			in.relative = false
		case 91:
			in.relative = true
		case 90.1:
			in.centres = true
		case 91.1:
			in.centres = false
		case 92, 10:
			set = true
		case 93:
			in.inverse, in.turn = true, false
		case 94:
			in.inverse, in.turn = false, false
		case 95:
			in.turn = true
			in.note(word(w), b.Place)
		case 9, 40, 43, 43.1, 44, 49, 50, 53, 54, 55, 56, 57, 58, 59, 60, 61, 61.1, 64, 69, 92.1, 98, 99: // no motion of their own
		default:
			in.note(word(w), b.Place)
		}
	}
	unit := 1.0
	if in.inch {
		unit = 25.4
	}
	if f, is := b.Get('F'); is && !wait && f > 0 {
		switch in.feed = f / 60; {
		case in.turn:
			in.feed = 0
		case !in.inverse:
			in.feed *= unit
		}
	}
	to = in.codes(to, b, false)
	axes := b.Has("XYZ")
	switch l, laps := b.Get('L'); {
	case wait:
		s, is := b.Get('P')
		for _, letter := range [...]byte{'X', 'U', 'F'} { // lathes and Siemens' controllers
			if !is {
				s, is = b.Get(letter)
			}
		}
		if !is { // S counts turns of the spindle
			in.note("G4 without seconds", b.Place)
		}
		to = append(to, Step{Kind: Waits, Skip: b.Skip, Seconds: max(0, s)})
	case set:
		if motion < 0 && axes && b.does('G', 92) {
			in.at = in.target(b, unit)
		}
	case axes && home:
		m := line(in.at, in.target(b, unit))
		m.Rapid = true
		in.at = m.To
		to = append(to, Step{Kind: Moves, Skip: b.Skip, Inch: in.inch, Move: m})
	case laps && !axes && motion != 1: // a subprogram, as a word alone or of one that is not understood
		if !b.Has("GM") {
			in.note("L words", b.Place)
		}
	case laps && !axes:
		to = append(to, Step{Kind: Laps, Skip: b.Skip, Inch: in.inch, Laps: max(0, l), Feed: in.feed})
	case in.moving && (axes || in.motion > 1 && b.Has("IJK")):
		to = in.move(to, b, unit)
	case axes:
		in.note("axis words without a motion", b.Place)
	}
	to = in.codes(to, b, true)
	in.others(b)
	return to
}

// does reports whether b has a word of that value.
func (b *Block) does(letter byte, value float64) bool {
	return slices.Contains(b.Words, Word{letter, value})
}

// target is where the axis words lead.
func (in *Interpreter) target(b *Block, unit float64) [3]float64 {
	to := in.at
	for i, letter := range [...]byte{'X', 'Y', 'Z'} {
		if v, is := b.Get(letter); is {
			if v *= unit; in.relative {
				v += in.at[i]
			}
			to[i] = max(-maxValue, min(maxValue, v))
		}
	}
	return to
}

// move appends the motion of a block.
func (in *Interpreter) move(to []Step, b *Block, unit float64) []Step {
	target := in.target(b, unit)
	m := line(in.at, target)
	if in.motion > 1 {
		if a, ok := in.arc(b, target, unit); ok {
			m = a
		} else {
			in.note(fmt.Sprintf("G%d without a centre", in.motion), b.Place)
		}
	}
	switch {
	case in.motion == 0:
		m.Rapid = true
	case in.inverse:
		m.Feed = in.feed * m.Length
	default:
		m.Feed = in.feed
	}
	in.at = target
	return append(to, Step{Kind: Moves, Skip: b.Skip, Inch: in.inch, Move: m})
}

func (in *Interpreter) arc(b *Block, target [3]float64, unit float64) (Move, bool) {
	p, clockwise := in.plane, in.motion == 2
	turns := 1.0
	if n, is := b.Get('P'); is && n >= 1 && n <= 1e4 {
		turns = math.Trunc(n)
	}
	if r, is := b.Get('R'); is {
		c, ok := centreOf(in.at, target, p, r*unit, clockwise)
		if !ok {
			return Move{}, false
		}
		return arc(in.at, target, p, c, clockwise, turns)
	}
	var c [2]float64
	given := false
	for i := range c {
		v, is := b.Get("IJK"[p[i]])
		given = given || is
		c[i] = v * unit
		if !in.centres || !is {
			c[i] += in.at[p[i]]
		}
	}
	if !given {
		return Move{}, false
	}
	return arc(in.at, target, p, c, clockwise, turns)
}

// Known M-words are done before the motion of their block, or after it.
var (
	before = []int{3, 4, 6, 7, 8, 24, 27, 28, 34, 40, 41, 42, 43, 52, 60, 62, 71, 72, 73, 74, 75, 76}
	after  = []int{0, 1, 2, 5, 9, 25, 30, 35, 61}
)

// codes appends the M-words that are done before the motion, or those that are done after it.
func (in *Interpreter) codes(to []Step, b *Block, late bool) []Step {
	s, is := b.Get('S')
	if !is {
		s = math.NaN()
	}
	for _, w := range b.Words {
		if w.Letter != 'M' {
			continue
		}
		n := int(w.Value)
		switch {
		case float64(n) != w.Value || !slices.Contains(before, n) && !slices.Contains(after, n):
			if !late {
				in.note(word(w), b.Place)
			}
		case slices.Contains(after, n) == late:
			to = append(to, Step{Kind: Code, Skip: b.Skip, Inch: in.inch, M: n, S: s})
		}
	}
	return to
}

// others notes the words that nothing takes.
func (in *Interpreter) others(b *Block) {
	for _, w := range b.Words {
		switch w.Letter {
		case 'G', 'M', 'X', 'Y', 'Z', 'I', 'J', 'K', 'R', 'F', 'S', 'P', 'L', 'T', 'D', 'H', 'N':
		case 'U':
			if !b.does('G', 4) {
				in.note("U words", b.Place)
			}
		case 'O':
			if in.name == "" {
				in.name = strconv.FormatFloat(w.Value, 'f', -1, 64)
			}
		default:
			in.note(string(w.Letter)+" words", b.Place)
		}
	}
}

func word(w Word) string { return string(w.Letter) + strconv.FormatFloat(w.Value, 'f', -1, 64) }

// note counts what was not understood.
func (in *Interpreter) note(what string, place int) {
	if len(what) > maxWordShow {
		what = strings.ToValidUTF8(what[:maxWordShow], "") + "…"
	}
	if in.unknown == nil {
		in.unknown = map[string]int{}
	}
	k, is := in.unknown[what]
	if !is && len(in.Unknown) >= maxUnknown {
		what = "others"
		k, is = in.unknown[what]
	}
	if !is {
		k = len(in.Unknown)
		in.unknown[what] = k
		in.Unknown = append(in.Unknown, Unknown{Word: what, Line: place})
	}
	in.Unknown[k].Count++
}
