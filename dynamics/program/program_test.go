package program

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stirwatch/dynamics/gcode"
)

func made(t testing.TB, text string) *Program {
	t.Helper()
	p, err := New("test.nc", text, DefaultAxes)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func regime(t testing.TB, name string) *Program {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "regimes", name))
	if err != nil {
		t.Skip("the programs of the regimes are not here")
	}
	return made(t, string(text))
}

func close(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s: %g, want %g ± %g", what, got, want, within)
	}
}

func TestMovesTakeTheirTime(t *testing.T) {
	a := DefaultAxes.Accel
	for text, want := range map[string]float64{
		"G1 X100 F600":                100.0/10 + 10/a,      // up to speed and down again
		"G1 X1 F6000":                 2 * math.Sqrt(1/a),   // too short for its speed
		"G1 X50 F600\nX100":           100.0/10 + 10/a,      // straight on: no stop
		"G1 X50 F600\nX0":             2 * (50.0/10 + 10/a), // back: a stop
		"G1 X50 F600\nM34 S100\nX100": 100.0/10 + 10/a,      // a feed word does not stop the path
		"G1 X50 F600\nG4 P3\nX100":    2*(50.0/10+10/a) + 3, // a wait does
		"G0 Z60":                      60/DefaultAxes.Rapid + DefaultAxes.Rapid/a,
		"G1 F600 L2":                  2*DefaultAxes.Lap/10 + 10/a,
		"G1 X0.001 F600\nG4 P60":      60 + 2*math.Sqrt(0.001/a),
		"G20 G1 X1 F60":               1 + 25.4/a,
	} {
		close(t, text, made(t, text).Lasts, want, 0.01)
	}
}

// A circle of short lines is driven as a circle is; a right angle is slow.
func TestCornersSlow(t *testing.T) {
	var b strings.Builder
	b.WriteString("G1 X40 Y0 F900\n")
	for i := range 361 {
		s, c := math.Sincos(float64(i) * math.Pi / 180)
		fmt.Fprintf(&b, "X%.4f Y%.4f\n", 40*c, 40*s)
	}
	close(t, "a circle of 360 lines", made(t, b.String()).Lasts-made(t, "G1 X40 Y0 F900").Lasts, 2*math.Pi*40/15, 1)
	close(t, "and as an arc", made(t, "G1 X40 Y0 F900\nG3 I-40").Lasts-made(t, "G1 X40 Y0 F900").Lasts, 2*math.Pi*40/15, 0.3)
	square := made(t, "G1 X50 F900\nY50\nX0\nY0")
	for i := range 3 {
		if v := square.steps[i].out; !(v > 1 && v < 5) {
			t.Errorf("corner %d at %g mm/s", i, v)
		}
	}
	for i := range square.steps {
		s := &square.steps[i]
		close(t, "way", square.way(s, s.time), s.length, 1e-9)
		for at := 0.0; at < s.time; at += s.time / 50 {
			if d := square.way(s, at+s.time/50) - square.way(s, at); !(d > -1e-9) || d > s.top*s.time/50+1e-9 {
				t.Fatalf("step %d moves %g mm in %g s", i, d, s.time/50)
			}
		}
	}
}

func TestLayersAreNamedOrFound(t *testing.T) {
	layers := func(text string) (n []int) {
		for _, l := range made(t, text).Layers {
			n = append(n, l.Number)
		}
		return n
	}
	for text, want := range map[string]string{
		"(LAYER 0)\nG1 X5 F100\n(layer: 1)\nZ2\nX0\n;LAYER:2\nZ4\nX5":    "[0 1 2]",
		"M34 S100\nG1 X5 Z2 F100\nX0\nX5 Z4\nX0\nX5 Z6":                  "[1 2 3]",
		"G0 Z50\nX10\nG1 Z2 F100\nM24 S100\nG1 X5\nG0 Z4\nG1 X0\nZ6\nX5": "[1 2 3]",
		"G1 X5 F100\nX0\nX5": "[]", // no height: no layers
		"M34 S100\nG1 X5 Z2 F100\nX0 Z2.02\nX5 Z2.04\nX0 Z2.06":             "[]", // a spiral
		"M34 S100\nG1 X5 Z2 F100\nX0\nM35\nG0 Z60\nX9\nZ2\nM34 S100\nG1 X5": "[]", // away and back
	} {
		if got := fmt.Sprint(layers(text)); got != want {
			t.Errorf("%q: layers %s, want %s", text, got, want)
		}
	}
	if p := regime(t, "zigzag.nc"); len(p.Layers) != 4 || p.Layers[0].Number != 0 {
		t.Errorf("zigzag: %v", p.Layers)
	}
}

// machine runs a program by the program's own times, as the log of a machine shows it.
type machine struct {
	p     *Program
	at    int
	into  float64
	pace  float64 // against the program
	scale float64 // mm/min of one in a feed word
	feed  float64
	aim   float64
	temp  float64
	heats float64 // °C/s
}

// second lets a second pass and gives the row at its end.
func (m *machine) second(over float64) Now {
	left, path := 1.0, 0.0
	for left > 1e-9 && m.at < len(m.p.steps) {
		s := &m.p.steps[m.at]
		rate, need := 1.0, s.time
		switch {
		case s.Kind == gcode.Code && s.m == 43:
			if need = math.Inf(1); m.temp >= s.s {
				need = 0
			}
		case s.length > 0:
			rate = m.pace * over / 100
		}
		took := min(left, max(0, need-m.into)/rate)
		a := m.p.way(s, m.into)
		m.into += took * rate
		if s.length > 0 {
			path += (m.p.way(s, m.into) - a) * s.flat
		}
		if left -= took; need > m.into+1e-9 {
			break
		}
		switch {
		case s.Kind != gcode.Code:
		case s.m == 24 || s.m == 34:
			m.feed = s.s * m.scale
		case s.m == 25 || s.m == 35:
			m.feed = 0
		case s.m == 41:
			m.aim = s.s
		case s.m == 5:
			m.aim = 0
		}
		m.at, m.into = m.at+1, 0
	}
	m.temp += m.heats
	line := float64(m.p.Lines)
	if m.at < len(m.p.steps) {
		line = float64(m.p.steps[m.at].line)
	}
	return Now{Line: line, Path: path * 60, Feed: m.feed, SetPoint: m.aim, Override: over, Reading: m.temp, Speed: 300}
}

const build = `N1 (A BUILD)
N2 M60
N3 M40 S3
N4 M06 S200
N5 M41 S465
N6 M43 S440
N7 (LAYER 1)
N8 M34 S2400
N9 G1 X100 F600 Z2
N10 X0
N11 (LAYER 2)
N12 G1 Z4
N13 M34 S3000
N14 X100
N15 M35
N16 G4 P20
N17 M34 S3000
N18 X0
N19 M35
N20 M41 S0
N21 M05
N22 G0 Z60
N23 M30
`

// On every second of a build the program foretells the next minute of the log, whatever the pace of the machine
// and its override.
func TestAheadIsWhatComes(t *testing.T) {
	for _, c := range []struct{ pace, over, scale float64 }{{1, 100, 0.1}, {0.9, 100, 0.1}, {1, 150, 0.1}, {1.1, 70, 0.254}} {
		p := made(t, build)
		m := &machine{p: p, pace: c.pace, scale: c.scale, temp: 380, heats: 5}
		var rows []Now
		for range 110 {
			rows = append(rows, m.second(c.over))
		}
		tr := NewTracker(p)
		var a Ahead
		var missedPath, missedFeed, missedAim, n float64
		for i, now := range rows {
			tr.Step(1, now)
			if tr.State() != Following {
				t.Fatalf("%+v: row %d, line %g: %s %s", c, i, now.Line, tr.State(), tr.Why())
			}
			tr.Look(&a, 60)
			if i < 25 { // the pace and the unit are found in the first move
				continue
			}
			for k := range a.Path {
				if i+1+k >= len(rows) || rows[i+1+k].Line >= 22 {
					break
				}
				then := rows[i+1+k]
				n++
				if math.Abs(a.Path[k]-then.Path) > 0.25*600*c.over/100 {
					missedPath++
				}
				feed := now.Feed
				if !math.IsNaN(a.Feed[k]) {
					feed = a.Feed[k]
				}
				if edge := rows[i+k].Feed; math.Abs(feed-then.Feed) > 20 && math.Abs(feed-(then.Feed+edge)/2) > math.Abs(then.Feed-edge)/2+1 {
					missedFeed++
				}
				aim := now.SetPoint
				if !math.IsNaN(a.SetPoint[k]) {
					aim = a.SetPoint[k]
				}
				if aim != then.SetPoint {
					missedAim++
				}
			}
		}
		// What is missed are seconds beside an edge: a row is a second long.
		if n < 500 || missedPath > 0.08*n || missedFeed > 0.06*n || missedAim > 0.02*n {
			t.Errorf("%+v: of %g seconds path is off in %g, feed in %g, set-point in %g", c, n, missedPath, missedFeed, missedAim)
		}
	}
}

func TestEventsAreFiledWithTheirTimes(t *testing.T) {
	p := made(t, build)
	m := &machine{p: p, pace: 1, scale: 0.1, temp: 400, heats: 5}
	tr := NewTracker(p)
	happened := map[EventKind]float64{}
	told := map[EventKind][]float64{} // when it would be, as it was told
	var events []Event
	for s := 1.0; s < 90; s++ {
		now := m.second(100)
		tr.Step(1, now)
		for _, e := range events {
			told[e.Kind] = append(told[e.Kind], s-1+e.In)
		}
		had := len(events)
		events = tr.Next(events)
		_ = had
		switch {
		case now.Line >= 12 && happened[LayerStarts] == 0:
			happened[LayerStarts] = s
		case now.Line >= 16 && happened[Reload] == 0:
			happened[Reload] = s
		case now.Line >= 22 && happened[BuildEnds] == 0:
			happened[BuildEnds] = s
		}
	}
	for kind, at := range happened {
		n := 0
		for _, when := range told[kind] {
			if math.Abs(when-at) <= 1.5 {
				n++
			}
		}
		if at == 0 || n < 10 {
			t.Errorf("%s came after %g s; told for %v", kind, at, told[kind])
		}
	}
	if len(happened) != 3 {
		t.Errorf("happened: %v", happened)
	}
	for e, want := range map[Event]string{
		{LayerStarts, 31.2, 4}: "layer 4 starts in 31 s", {Reload, 12, 0}: "reload in 12 s", {BuildEnds, 80, 0}: "build ends in 80 s",
		{SetPointChanges, 5, 475}: "set-point 475 °C in 5 s", {SetPointChanges, 5, 0}: "set-point off in 5 s", {FeedChanges, 7, 381}: "feed 381 mm/min in 7 s",
		{WaitsFor, 1, 447}: "wait for 447 °C in 1 s", {LayerStarts, math.NaN(), 1}: "layer 1 starts after a wait",
	} {
		if e.String() != want {
			t.Errorf("%q, want %q", e.String(), want)
		}
	}
}

func TestLinesThatJump(t *testing.T) {
	p := made(t, build)
	tr := NewTracker(p)
	row := func(line float64) {
		tr.Step(1, Now{Line: line, Path: math.NaN(), Feed: 240, SetPoint: 465, Override: 100, Reading: 450, Speed: 300})
	}
	if tr.State() != Waiting {
		t.Error("it follows before a line is shown")
	}
	row(1)
	if tr.State() != Idle {
		t.Errorf("line 1 is %s", tr.State())
	}
	row(14) // it begins in the middle
	if tr.State() != Following || tr.Line() != 14 {
		t.Errorf("%s at %d", tr.State(), tr.Line())
	}
	if l, ok := tr.Layer(); l != 2 || !ok {
		t.Errorf("layer %d", l)
	}
	row(9) // the operator goes back
	if tr.Line() != 9 {
		t.Errorf("at %d after a jump back to 9", tr.Line())
	}
	for range 5 { // between two reports the count goes on by itself, and is called back
		tr.Step(1, Now{Line: math.NaN(), Path: math.NaN(), Feed: 240, SetPoint: 465, Override: 100, Reading: 450})
	}
	if tr.Line() != 9 || !(tr.into >= 5) {
		t.Errorf("at %d, %g s into it", tr.Line(), tr.into)
	}
	row(11) // a comment: what follows begins
	if tr.Line() != 12 {
		t.Errorf("at %d during the comment in front of 12", tr.Line())
	}
	row(1)
	if tr.State() != Idle {
		t.Errorf("after the end: %s", tr.State())
	}
}

func TestProgramsThatDoNotFit(t *testing.T) {
	right := made(t, build)
	rows := func(n int) (all []Now) {
		m := &machine{p: right, pace: 1, scale: 0.1, temp: 400, heats: 5}
		for range n {
			all = append(all, m.second(100))
		}
		return all
	}(90)
	follow := func(p *Program, rows []Now) (*Tracker, int) {
		tr := NewTracker(p)
		for i, now := range rows {
			if tr.Step(1, now); tr.State() == Misfit {
				return tr, i
			}
		}
		return tr, len(rows)
	}
	if tr, at := follow(right, rows); at < len(rows) {
		t.Fatalf("the right program does not fit: row %d, %s", at, tr.Why())
	}
	short := made(t, "N1 M60\nN2 G1 X5 F100\nN3 M30\n")
	tr, at := follow(short, rows)
	if at == len(rows) || !strings.Contains(tr.Why(), "the program has lines 1 to 3") {
		t.Errorf("a program with fewer lines: row %d, %q", at, tr.Why())
	}
	var a Ahead
	tr.Look(&a, 10)
	if a.Known != 0 || !math.IsNaN(a.Path[0]) || len(tr.Next(nil)) != 0 {
		t.Error("what does not fit is used all the same")
	}
	// Moves where the machine waits, and waits where it moves.
	other := made(t, strings.NewReplacer("N9 G1 X100 F600 Z2", "N9 G4 P90", "N14 X100", "N14 G4 P60").Replace(build))
	if tr, at := follow(other, rows); at == len(rows) || tr.Why() == "" {
		t.Errorf("a program that waits where the machine moves: row %d, %q", at, tr.Why())
	}
	fast := made(t, strings.ReplaceAll(build, "F600", "F60"))
	if tr, at := follow(fast, rows); at == len(rows) {
		t.Errorf("a program of another speed is followed, pace %g", tr.pace())
	}
}

// A controller that counts only what does something, in a program without numbers of its own.
func TestLinesMayBeCounts(t *testing.T) {
	var b strings.Builder
	for _, l := range strings.Split(build, "\n") {
		_, l, _ = strings.Cut(l, " ")
		b.WriteString(l + "\n")
	}
	p := made(t, b.String())
	m := &machine{p: p, pace: 1, scale: 0.1, temp: 400, heats: 5}
	tr := NewTracker(p)
	for i := range 80 {
		now := m.second(100)
		if m.at == len(p.steps) {
			break
		}
		now.Line = float64(p.steps[m.at].count)
		if tr.Step(1, now); tr.State() == Misfit {
			t.Fatalf("row %d: %s", i, tr.Why())
		}
	}
	if !tr.counted || tr.State() != Following {
		t.Errorf("counted %v, %s", tr.counted, tr.State())
	}
}

// Where block skip is on, the feed of such blocks is not what comes.
func TestBlocksThatAreSkipped(t *testing.T) {
	var b strings.Builder
	b.WriteString("M34 S2400\nM41 S465\n")
	for i := range 8 {
		fmt.Fprintf(&b, "/0 M34 S%d\nG1 X%d F600\n", 3000+100*i, 100*(1-i%2))
	}
	b.WriteString("M30\n")
	p := made(t, b.String())
	if q := made(t, "/G1 X5 F100\n/M34 S5"); q.skipping != nil {
		t.Error("a program of nothing is left where all may be skipped")
	}
	for _, skips := range []bool{false, true} {
		m := &machine{p: p, pace: 1, scale: 0.1, temp: 460}
		if skips {
			m.p = p.skipping
		}
		tr := NewTracker(p)
		for range 60 {
			if tr.Step(1, m.second(100)); tr.State() == Misfit {
				t.Fatalf("skips %v: %s", skips, tr.Why())
			}
		}
		var a Ahead
		tr.Look(&a, 15)
		if want := map[bool]float64{false: 360, true: 240}[skips]; math.Abs(a.Feed[14]-want) > 15 {
			t.Errorf("skips %v: feed %g mm/min in 15 s, want %g", skips, a.Feed[14], want)
		}
	}
}

func TestHeldPathStaysHeld(t *testing.T) {
	p := made(t, build)
	m := &machine{p: p, pace: 1, scale: 0.1, temp: 445, heats: 1}
	tr := NewTracker(p)
	for range 5 {
		tr.Step(1, m.second(100))
	}
	for range 4 {
		tr.Step(1, Now{Line: 9, Path: 0, Feed: 240, SetPoint: 465, Override: 100, Reading: 450, Speed: 300})
	}
	var a Ahead
	if tr.Look(&a, 30); !tr.Held() || a.Path[29] != 0 || a.Known != 0 {
		t.Errorf("held %v, path %v", tr.Held(), a.Path)
	}
	for range 3 {
		tr.Step(1, m.second(100))
	}
	if tr.Look(&a, 30); tr.Held() || !(a.Path[1] > 500) {
		t.Errorf("still held, path %v", a.Path)
	}
}

func TestTickDoesNotAllocate(t *testing.T) {
	p := made(t, build)
	m := &machine{p: p, pace: 1, scale: 0.1, temp: 400, heats: 5}
	tr := NewTracker(p)
	var a Ahead
	events := make([]Event, 0, kinds)
	tr.Look(&a, 600)
	if n := testing.AllocsPerRun(100, func() {
		tr.Step(1, m.second(100))
		tr.Look(&a, 600)
		events = tr.Next(events)
		if events = events[:0]; tr.Why() != "" {
			t.Fatal(tr.Why())
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// Budget: 10 µs for a step and a look 60 s ahead.
func BenchmarkTick(b *testing.B) {
	p := regime(b, "zigzag.nc")
	tr := NewTracker(p)
	var a Ahead
	for b.Loop() {
		tr.Step(0.1, Now{Line: 30, Path: 890, Feed: 400, SetPoint: 465, Override: 100, Reading: 460, Speed: 300})
		tr.Look(&a, 60)
	}
}

// Whatever the program and whatever lines are shown, nothing fails and no second is infinite.
func FuzzTracker(f *testing.F) {
	f.Add(build, []byte{1, 6, 9, 14, 2, 255})
	f.Add("G1 X5 F1\nG4 P3\nM43 S5\nG2 I5\nM52 S300\nG1 F3 L3\n", []byte{1, 2, 3, 3, 3, 5, 6})
	f.Fuzz(func(t *testing.T, text string, lines []byte) {
		if len(text) > 4000 || len(lines) > 200 { // more says no more, and takes long
			return
		}
		p, err := New("fuzz", text, DefaultAxes)
		if err != nil {
			return
		}
		tr := NewTracker(p)
		var a Ahead
		var events []Event
		for i, l := range lines {
			tr.Step(float64(l%7), Now{Line: float64(l), Path: float64(i * 50), Feed: float64(l), SetPoint: 465, Override: float64(l), Reading: float64(400 + i), Speed: 300})
			tr.Look(&a, 20)
			for k := range a.Path {
				for _, v := range []float64{a.Path[k], a.Feed[k], a.Up[k], a.SetPoint[k]} {
					if math.IsInf(v, 0) {
						t.Fatalf("second %d: %+v", k, a)
					}
				}
			}
			for _, e := range tr.Next(events) {
				if e.In < 0 || math.IsInf(e.In, 0) {
					t.Fatalf("%+v", e)
				}
			}
		}
	})
}
