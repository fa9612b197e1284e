package gcode

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// moves reads a program and gives its moves.
func moves(t *testing.T, text string) []Move {
	t.Helper()
	p, err := Read(text)
	if err != nil {
		t.Fatal(err)
	}
	var all []Move
	for _, s := range p.Steps {
		if s.Kind == Moves {
			all = append(all, s.Move)
		}
	}
	return all
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*(1+math.Abs(b)) }

func TestBlocksAreReadAsPeopleWriteThem(t *testing.T) {
	for line, want := range map[string]Block{
		"N17 /0 M06 S200 (comment)": {Number: 17, Skip: true, Words: []Word{{'M', 6}, {'S', 200}}, Comment: "comment"},
		"/n5g1x-1.5y.5 z+3.":        {Number: 5, Skip: true, Words: []Word{{'G', 1}, {'X', -1.5}, {'Y', .5}, {'Z', 3}}},
		"N8 ":                       {Number: 8},
		"%77 (BAR TEST)":            {Number: -1, Name: "77", Comment: "BAR TEST"},
		"G1 X 10 ; to the (left)":   {Number: -1, Words: []Word{{'G', 1}, {'X', 10}}, Comment: "to the (left)"},
		"G1(a)X1(b (c))Y2":          {Number: -1, Words: []Word{{'G', 1}, {'X', 1}, {'Y', 2}}, Comment: "a b (c)"},
		"(never closed G1 X5":       {Number: -1, Comment: "never closed G1 X5"},
		"N4 G1 X1*71":               {Number: 4, Words: []Word{{'G', 1}, {'X', 1}}},
		"#1=5 G1 X#1":               {Number: -1, Words: []Word{{'G', 1}}, Bad: "#1=5"},
		"X--5 Y2":                   {Number: -1, Words: []Word{{'Y', 2}}, Bad: "X--5"},
		"N-3 G4":                    {Number: -1, Words: []Word{{'N', -3}, {'G', 4}}},
		"X1e3":                      {Number: -1, Words: []Word{{'X', 1}, {'E', 3}}},
		"hello world":               {Number: -1, Bad: "hello"},
		"G1 X99999999999":           {Number: -1, Words: []Word{{'G', 1}}, Bad: "X99999999999"},
		"\x00\x00N1\tM60\x00":       {Number: 1, Words: []Word{{'M', 60}}},
		"G1 X1,5 Y2":                {Number: -1, Words: []Word{{'G', 1}, {'Y', 2}}, Bad: "X1,5"},
		"M41 S":                     {Number: -1, Words: []Word{{'M', 41}}, Bad: "S"},
	} {
		var b Block
		b.Parse(line)
		if b.Number != want.Number || b.Skip != want.Skip || b.Name != want.Name || b.Comment != want.Comment || b.Bad != want.Bad || !slices.Equal(b.Words, want.Words) {
			t.Errorf("%q is %+v, want %+v", line, b, want)
		}
	}
}

// What other controllers mean by the same letters is not taken for something else without a word.
func TestWordsOfOtherControllers(t *testing.T) {
	for text, want := range map[string]struct {
		steps   []float64 // s of a wait, mm of a move, −1 of laps
		unknown string
	}{
		"G4 P2.5\nG4 X2\nG4 F3\nG04 U1.5":                    {[]float64{2.5, 2, 3, 1.5}, ""},
		"G1 X10 F300\nG4 F3\nG1 X20":                         {[]float64{10, 3, 10}, ""},
		"G4 P1\nG4 S3":                                       {[]float64{1, 0}, "G4 without seconds in line 2"},
		"G1 X10 F300\nM98 P1001 L3\nG1 X20":                  {[]float64{10, 10}, "M98 in line 2"},
		"G1 X10 F300\nL100 P2":                               {[]float64{10}, "L words in line 2"},
		"G1 F300\nG1 L3":                                     {[]float64{-1}, ""},
		"G1 X10 F300\nM30\nO1001\nG91 G1 X5\nM99":            {[]float64{10}, "lines behind the end in line 4"},
		"G1 X10 F300\n/M30\nG1 X20\nM2\nG1 X30 (LAYER 9)\n%": {[]float64{10, 10}, "lines behind the end in line 5"},
		"G95 G1 X10 F0.2\nG94 X20 F300":                      {[]float64{10, 10}, "G95 in line 1"},
		"G1 X10 F300\nX1,5\nX20":                             {[]float64{10, 10}, "X1,5 in line 2"},
	} {
		p, err := Read(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var steps []float64
		for _, s := range p.Steps {
			switch s.Kind {
			case Waits:
				steps = append(steps, s.Seconds)
			case Moves:
				steps = append(steps, s.Move.Length)
			case Laps:
				steps = append(steps, -1)
			}
		}
		var unknown []string
		for _, u := range p.Unknown {
			unknown = append(unknown, u.String())
		}
		if !slices.Equal(steps, want.steps) || want.unknown != "" && !slices.Contains(unknown, want.unknown) || want.unknown == "" && unknown != nil || len(p.Comments) > 0 {
			t.Errorf("%q: %v, unknown %q, want %v, %q; comments %v", text, steps, unknown, want.steps, want.unknown, p.Comments)
		}
	}
	p, err := Read("G95 G1 X10 F0.2\nG94 X20 F300")
	if err != nil || p.Steps[0].Move.Feed != 0 || !near(p.Steps[1].Move.Feed, 5) {
		t.Errorf("feed for a turn of the spindle: %+v, %v", p.Steps, err)
	}
}

func TestLinesEndAsSystemsEndThem(t *testing.T) {
	n, places := 0, 0
	for b := range Blocks("\ufeffM60\r\nM61\rM62 S1\n\nM30") {
		n++
		if len(b.Words) > 0 {
			places = 10*places + b.Place
		}
	}
	if n != 5 || places != 1235 {
		t.Errorf("%d lines, words in %d", n, places)
	}
}

func TestModalWords(t *testing.T) {
	all := moves(t, `G90 G21
G1 X10 Y0 F600
X20
G91 Y5
Y5
G0 Z3
G90 G20
G1 X0 Y0 Z0 F10
G21 G1 X10`)
	for i, want := range []struct {
		to     [3]float64
		length float64
		feed   float64
		rapid  bool
	}{
		{[3]float64{10, 0, 0}, 10, 10, false},
		{[3]float64{20, 0, 0}, 10, 10, false},
		{[3]float64{20, 5, 0}, 5, 10, false},
		{[3]float64{20, 10, 0}, 5, 10, false},
		{[3]float64{20, 10, 3}, 3, 0, true},
		{[3]float64{0, 0, 0}, math.Sqrt(400 + 100 + 9), 10 * 25.4 / 60, false},
		{[3]float64{10, 0, 0}, 10, 10 * 25.4 / 60, false},
	} {
		m := all[i]
		if m.To != want.to || !near(m.Length, want.length) || !near(m.Feed, want.feed) || m.Rapid != want.rapid {
			t.Errorf("move %d: %+v, want %+v", i, m, want)
		}
	}
	if inch := moves(t, "G700\nG1 X1 Y0 F60"); !near(inch[0].Length, 25.4) || !near(inch[0].Feed, 25.4) {
		t.Errorf("in inch: %+v", inch[0])
	}
	if m := moves(t, "G93 G1 X30 F2"); !near(m[0].Feed, 1) { // twice a minute 30 mm
		t.Errorf("inverse time: %+v", m[0])
	}
}

func TestArcs(t *testing.T) {
	for text, want := range map[string]struct {
		length float64
		out    [3]float64
		middle [3]float64
	}{
		"G1 X10 F60\nG3 X0 Y10 I-10 J0":         {5 * math.Pi, [3]float64{-1, 0, 0}, [3]float64{10 / math.Sqrt2, 10 / math.Sqrt2, 0}},
		"G1 X10 F60\nG2 X0 Y10 I-10 J0":         {15 * math.Pi, [3]float64{1, 0, 0}, [3]float64{-10 / math.Sqrt2, -10 / math.Sqrt2, 0}},
		"G1 X10 F60\nG3 X0 Y10 R10":             {5 * math.Pi, [3]float64{-1, 0, 0}, [3]float64{10 / math.Sqrt2, 10 / math.Sqrt2, 0}},
		"G1 X10 F60\nG3 X0 Y10 R-10":            {15 * math.Pi, [3]float64{0, -1, 0}, [3]float64{10 + 10/math.Sqrt2, 10 + 10/math.Sqrt2, 0}},
		"G1 X10 F60\nG2 I-10":                   {20 * math.Pi, [3]float64{0, -1, 0}, [3]float64{-10, 0, 0}},
		"G1 X10 F60\nG90.1 G3 X0 Y10 I0 J0":     {5 * math.Pi, [3]float64{-1, 0, 0}, [3]float64{10 / math.Sqrt2, 10 / math.Sqrt2, 0}},
		"G1 X10 F60\nG19 G2 Y0 Z10 J0 K5":       {5 * math.Pi, [3]float64{0, 1, 0}, [3]float64{10, -5, 5}},
		"G1 X10 F60\nG20\nG91 G3 X-1 Y1 I-1 J0": {25.4 / 2 * math.Pi, [3]float64{-1, 0, 0}, [3]float64{10 - 25.4 + 25.4/math.Sqrt2, 25.4 / math.Sqrt2, 0}},
		"G1 X10 F60\nG3 X10 Y0 Z40 I-10 J0 P2":  {math.Hypot(40*math.Pi, 40), [3]float64{0, 40 * math.Pi / math.Hypot(40*math.Pi, 40), 40 / math.Hypot(40*math.Pi, 40)}, [3]float64{10, 0, 20}},
	} {
		all := moves(t, text)
		m := all[len(all)-1]
		middle, _ := m.At(0.5)
		end, out := m.At(1)
		for i := range middle {
			if !near(middle[i], want.middle[i]) || !near(out[i], want.out[i]) {
				t.Errorf("%q: in the middle at %.3f, then towards %.3f", text, middle, out)
			}
			if !near(end[i], m.To[i]) {
				t.Errorf("%q ends at %.3f, not at %.3f", text, end, m.To)
			}
		}
		if !near(m.Length, want.length) {
			t.Errorf("%q: %.4f mm, want %.4f", text, m.Length, want.length)
		}
	}
	p, err := Read("G2 X5 Y5 F100\nG3 X9 R1")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Unknown) != 2 || p.Steps[0].Move.Radius != 0 || !near(p.Steps[0].Move.Length, 5*math.Sqrt2) {
		t.Errorf("arcs without a centre: %+v, %v", p.Steps, p.Unknown)
	}
}

func TestStepsInOrder(t *testing.T) {
	p, err := Read("O1234\nN1 M41 S475 (HOLD)\nN2 /0 M34 S2400 G1 X10 F600 M35\n\nN4 G4 P2.5\nN5 G1 F500 L1.5\nN6 M43 S440\nN7 M30\n")
	if err != nil {
		t.Fatal(err)
	}
	type step struct {
		line, count int
		kind        Kind
		m           int
		skip        bool
	}
	var got []step
	for _, s := range p.Steps {
		got = append(got, step{s.Line, s.Count, s.Kind, s.M, s.Skip})
	}
	want := []step{{1, 2, Code, 41, false}, {2, 3, Code, 34, true}, {2, 3, Moves, 0, true}, {2, 3, Code, 35, true}, {4, 4, Waits, 0, false}, {5, 5, Laps, 0, false}, {6, 6, Code, 43, false}, {7, 7, Code, 30, false}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if p.Name != "1234" || !p.Numbered || p.Last != 7 || p.Comments[0].Text != "HOLD" || len(p.Unknown) != 0 {
		t.Errorf("%+v", p)
	}
	if p.Steps[0].S != 475 || p.Steps[4].Seconds != 2.5 || p.Steps[5].Laps != 1.5 || !near(p.Steps[5].Feed, 500.0/60) {
		t.Errorf("%+v", p.Steps)
	}
}

func TestWhatIsUnknownIsCounted(t *testing.T) {
	p, err := Read("M98 P100 L3\nM98 P100\nG33 X5\n#100=3\nG1 X5 F100 E2\nM99\nM41.5 S3\n")
	if err != nil {
		t.Fatal(err)
	}
	if p.Unknown[0] != (Unknown{"M98", 2, 1}) || len(p.Unknown) != 7 {
		t.Errorf("%v", p.Unknown)
	}
	if p.Numbered || p.Last != 7 || p.Steps[0].Line != 5 {
		t.Errorf("%+v", p)
	}
	for _, text := range []string{"", "(only words)", "hello\nworld"} {
		if _, err := Read(text); err == nil || !strings.Contains(err.Error(), "nothing in it") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Read(strings.Repeat("x", MaxBytes+1)); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("too large: %v", err)
	}
}

// The programs that the machines ran are understood to the last word.
func TestProgramsOfMachines(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "regimes", "*.nc"))
	files = append(files, filepath.Join("..", "..", "firmware-bridge", "twin", "materials", "build.nc"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Read(string(text))
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if len(p.Unknown) > 0 || len(p.Steps) < 10 {
			t.Errorf("%s: %d steps, unknown %v", f, len(p.Steps), p.Unknown)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"N1 G1 X1 Y2 F300\nG2 I5\n", "G91 G3 X1 Y1 R1 P3\nM30", "%1\n/0 M34 S2400 (a(b)\nG20\nG93 G1 Z1 F1", "G1 F5 L2;x\nG92 X3\nG28 X0\nG18 G2 X1 Z1 K1", "X1\n#1=2\nO7 M2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Read(s)
		if err != nil {
			return
		}
		for i := range p.Steps {
			m := &p.Steps[i]
			end, _ := m.Move.At(1)
			for k := range end {
				if math.IsNaN(end[k]) || math.Abs(end[k]-m.Move.To[k]) > 1e-3*(1+m.Move.Length) && m.Move.Radius == 0 {
					t.Errorf("step %d of %q ends at %v, not %v", i, s, end, m.Move.To)
				}
			}
			if !(m.Move.Length >= 0) || math.IsInf(m.Move.Length, 0) || !(m.Seconds >= 0) || !(m.Laps >= 0) || m.Line < p.First || m.Line > p.Last {
				t.Errorf("step %d of %q: %+v", i, s, m)
			}
		}
	})
}
