package twin

import (
	_ "embed"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"stirwatch/dynamics/gcode"
)

// Code is one command of the machine: an M-code, or in a program also a G-code.
type Code struct {
	Name string // "M41", "G1"
	S    float64
	HasS bool
	F    float64 // G1: mm/min along the path
	L    float64 // G1: laps
	P    float64 // G4: s
	Z    float64 // G0: mm over the deposit

	Move *gcode.Move // G1 of a program that moves by X, Y and Z; nil: by laps
	Line int         // of the program that the machine shows; 0: the place of the code
}

// String is the code as it stands in a program. A move by X, Y and Z is its name alone.
func (c Code) String() string {
	text := c.Name
	for _, w := range []struct {
		letter rune
		value  float64
		is     bool
	}{{'S', c.S, c.HasS}, {'F', c.F, c.F != 0}, {'L', c.L, c.L != 0}, {'P', c.P, c.P != 0}, {'Z', c.Z, c.Z != 0}} {
		if w.is {
			text += fmt.Sprintf(" %c%s", w.letter, strconv.FormatFloat(w.value, 'f', -1, 64))
		}
	}
	return text
}

// Timed is a code at a time: what an operator does during the build.
type Timed struct {
	At   float64 // s since start
	Code Code
}

// codes are the known commands: what S means and its range. wait marks codes that are done only
// once their condition holds.
var codes = map[string]struct {
	s        string
	min, max float64
	wait     bool
}{
	"M04": {"rpm", 0, 600, true}, "M06": {"rpm", 0, 600, false}, "M05": {},
	"M24": {"mm/min", -2000, 2000, false}, "M25": {},
	"M34": {"mm/min×10", 0, 20000, false}, "M35": {},
	"M08": {}, "M09": {},
	"M27": {}, "M28": {},
	"M40": {"mode", 0, 3, false}, "M41": {"set-point", 0, 30000, false}, "M42": {"N·m", 0, 1000, true}, "M43": {"°C", 0, 700, true},
	"M52": {"%", 1, 300, false},
	"M60": {}, "M61": {}, "M62": {"Hz", 1, 20, false},
	"M71": {"Kp×100", 0, 10000, false}, "M72": {"Tn×10", 0, 10000, false}, "M73": {"Tv×10", 0, 10000, false}, "M74": {"Td×10", 0, 10000, false},
	"M75": {"rpm", 0, 600, false}, "M76": {"rpm", 0, 600, false},
	"G0": {}, "G1": {}, "G4": {}, "M30": {},
}

// ParseCode reads one command such as "M41 S475" or "m41s475". Only a program may hold G-codes
// and M30.
func ParseCode(line string, program bool) (Code, error) {
	var b gcode.Block
	b.Parse(line)
	return codeOf(&b, program)
}

// codeOf is the one command of a block.
func codeOf(b *gcode.Block, program bool) (Code, error) {
	var c Code
	if b.Bad != "" {
		return c, fmt.Errorf("%q is no word of a command", b.Bad)
	}
	for _, w := range b.Words {
		letter, v := w.Letter, w.Value
		switch {
		case c.Name == "" && (letter == 'M' || letter == 'G'):
			if v != math.Trunc(v) || v < 0 || v > 999 {
				return c, fmt.Errorf("%c%g is not known", letter, v)
			}
			c.Name = fmt.Sprintf("%c%02.0f", letter, v)
			if letter == 'G' {
				c.Name = fmt.Sprintf("G%.0f", v)
			}
		case c.Name == "":
			return c, fmt.Errorf("%c%g does not begin with a code", letter, v)
		case letter == 'S' && !c.HasS:
			c.S, c.HasS = v, true
		case letter == 'F' && c.Name == "G1" && v > 0:
			c.F = v
		case letter == 'L' && c.Name == "G1" && v > 0:
			c.L = v
		case letter == 'P' && c.Name == "G4" && v >= 0:
			c.P = v
		case letter == 'Z' && c.Name == "G0" && v >= 0:
			c.Z = v
		default:
			return c, fmt.Errorf("%s takes no %c%g", c.Name, letter, v)
		}
	}
	known, ok := codes[c.Name]
	switch {
	case c.Name == "":
		return c, errors.New("empty command")
	case !ok || !program && (c.Name[0] == 'G' || c.Name == "M30"):
		return c, fmt.Errorf("%s is not known", c.Name)
	case known.s == "" && c.HasS:
		return c, fmt.Errorf("%s takes no S", c.Name)
	case known.s != "" && !c.HasS:
		return c, fmt.Errorf("%s needs S<%s>", c.Name, known.s)
	case known.s != "" && (c.S < known.min || c.S > known.max):
		return c, fmt.Errorf("value S%g: %s takes %g to %g %s", c.S, c.Name, known.min, known.max, known.s)
	case c.Name == "M40" && c.S != math.Trunc(c.S):
		return c, fmt.Errorf("M40 takes mode 0 torque, 1 force, 2 K-type, 3 tool temperature, not %g", c.S)
	case c.Name == "G1" && (c.F == 0 || c.L == 0):
		return c, errors.New("G1 needs F<mm/min> and L<laps>, or X, Y, Z")
	}
	return c, nil
}

//go:embed materials/build.nc
var standardBuild string

// ParseTimed reads a code with the time at which the operator gives it, such as "300s M52 S150".
func ParseTimed(s string) (Timed, error) {
	at, code, _ := strings.Cut(strings.TrimSpace(s), " ")
	d, err := time.ParseDuration(at)
	if err != nil || d < 0 {
		return Timed{}, fmt.Errorf("%q: write for example '300s M52 S150'", s)
	}
	c, err := ParseCode(code, false)
	if err != nil {
		return Timed{}, fmt.Errorf("%q: %w", s, err)
	}
	return Timed{At: d.Seconds(), Code: c}, nil
}

// ParseProgram reads a program: one code a line, or moves by X, Y and Z as machines have them, see package gcode.
// All mistakes are told.
func ParseProgram(text string) ([]Code, error) {
	var program []Code
	var problems []error
	var in gcode.Interpreter
	var steps []gcode.Step
	plane, numbered := false, false // it moves by X and Y; it has line numbers of its own
	for b := range gcode.Blocks(text) {
		plane = plane || b.Has("XY")
		numbered = numbered || b.Number >= 0
	}
	line := 0
	for b := range gcode.Blocks(text) {
		if !numbered {
			line = b.Place
		} else if b.Number >= 0 {
			line = b.Number
		}
		told := len(in.Unknown)
		steps = in.Do(steps[:0], b)
		var c Code
		var err error
		switch {
		case b.Bad == "" && len(b.Words) == 0:
			continue
		case b.Bad == "" && plane && b.Has("XYZIJ") || modal(b):
			if len(in.Unknown) > told {
				err = fmt.Errorf("%s is not known", in.Unknown[told].Word)
			}
			for i := range steps {
				switch s := &steps[i]; s.Kind {
				case gcode.Moves:
					if !s.Move.Rapid && s.Move.Feed == 0 {
						err = errors.New("a move needs F<mm/min>, here or before")
					}
					program = append(program, Code{Name: "G1", Line: line, Move: &s.Move})
				default:
					err = errors.New("a line with X, Y or Z takes no M-code")
				}
			}
			steps = nil // its moves are kept
		default:
			if c, err = codeOf(b, true); err == nil {
				c.Line = line
				program = append(program, c)
			}
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", b.Place, err))
		}
	}
	if len(problems) == 0 && len(program) == 0 {
		problems = append(problems, errors.New("the program is empty"))
	}
	return program, errors.Join(problems...)
}

// modal reports whether a block only says how the next ones are meant.
func modal(b *gcode.Block) bool {
	for _, w := range b.Words {
		if w.Letter != 'F' && (w.Letter != 'G' || w.Value <= 4) {
			return false
		}
	}
	return b.Bad == "" && len(b.Words) > 0
}

// StandardBuild is the program that the twin runs when none is given: start on the plate, two
// bars with a reload between, end, cooling; about 11 minutes. Its temperatures are written for
// 475 °C and move with the material's set-point.
func StandardBuild(p *Params) []Code {
	codes, err := ParseProgram(standardBuild)
	if err != nil {
		panic("twin: " + err.Error())
	}
	for i := range codes {
		if c := &codes[i]; (c.Name == "M41" || c.Name == "M43") && c.S > 0 {
			c.S += math.Round(p.Build.SetPoint - 475)
		}
	}
	return codes
}
