package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"stirwatch/sensors/unit"
)

// This file reads numbers in text, with the units behind them.

// hexDoubt is whether the numbers of a field are hexadecimal.
type hexDoubt struct {
	text    string // figures and letters to F, which is hexadecimal or a code: E04 may be a fault; "": there was none
	sure    bool   // another of as many places has come, so that it is no code and no value that was garbled once
	figures int    // numbers of figures alone since the last such text
}

// isDecimal is after how many numbers of figures alone the doubt is over.
const isDecimal = 100

// hexadecimal looks at a field whose text is no number, or is doubted. Where it has had two different texts of figures and letters to F, one
// of as many places is hexadecimal too, until a decimal point shows or it has been figures alone for long: 0150 is not 150, nor 12E4 120000.
func (t *table) hexadecimal(i int, b []byte, err error) error {
	d := &t.hex[i]
	b = bytes.TrimSpace(b)
	switch {
	case len(b) >= 20 || !isHex(b):
		if d.sure && err == nil && bytes.IndexByte(b, '.') >= 0 {
			*d = hexDoubt{}
		}
	case d.sure && len(b) == len(d.text):
		if d.figures++; bytes.ContainsAny(b, "abcdefABCDEF") {
			d.figures = 0
		}
		if d.figures > isDecimal {
			*d = hexDoubt{}
			return err
		}
		return fmt.Errorf("%.40q may be hexadecimal, as what came before it: %w", b, errNotNumber)
	case !d.sure && err != nil && bytes.ContainsAny(b, "0123456789") && string(b) != d.text:
		if _, behind := CutUnit(b); len(behind) != 1 { // 12A may be of amperes
			d.sure = len(b) == len(d.text)
			d.text = string(b)
		}
	}
	return err
}

func isHex(b []byte) bool {
	for _, c := range b {
		if c-'0' > 9 && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// textNumber reads the number of a field that is text, with its unit if one stands behind it.
func (t *table) textNumber(i int, s *span, msg []byte) (v float64, m unit.Map, err error) {
	f, b := &t.fields[i], bytes.TrimSpace(s.bytes(msg))
	behind := msg[s.unitFrom:s.unitTo]
	if t.escapes && bytes.IndexByte(b, '\\') >= 0 {
		t.plain = unescape(t.plain[:0], b)
		b = bytes.TrimSpace(t.plain)
	}
	if v, ok := parseFloat(b); ok && len(behind) == 0 && !t.signs.doubtful(b) {
		return v, f.Map, nil
	}
	n := numberLength(b)
	if n < len(b) && len(behind) == 0 {
		behind = bytes.TrimSpace(b[n:])
	}
	if m, err = t.units[i].from(behind, f); err != nil && n < len(b) {
		return 0, m, fmt.Errorf("%.40q is %w: %w", b, errNotNumber, err)
	} else if errors.Is(err, unit.ErrDimension) {
		return 0, m, fmt.Errorf("%.40q in %q: %w", b, behind, err)
	} else if err != nil {
		m = f.Map // a word behind a blank is no unit
	}
	if t.lists && t.signs.given == 0 && bytes.Count(b[:n], []byte{','}) > 1 && bytes.IndexByte(b[:n], '.') < 0 {
		return 0, m, fmt.Errorf("%.40q may be one number or a list: say which sign is the decimal one (decimal)", b)
	}
	v, err = t.signs.parse(b[:n])
	return v, m, err
}

// numberLength is the length of the number at the start of b; all of b if it does not start with one.
func numberLength(b []byte) int {
	n := 0
	for n < len(b) {
		c := b[n]
		k := 1
		switch {
		case c >= '0' && c <= '9':
		case n == 0 && signLength(b) > 0:
			k = signLength(b)
		case c == 'e' || c == 'E':
			if k = 2; n+1 < len(b) && (b[n+1] == '-' || b[n+1] == '+') {
				k = 3
			}
			if n+k > len(b) || b[n+k-1] < '0' || b[n+k-1] > '9' {
				return n
			}
		case c == '.' || c == ',':
		default:
			if k = cutBetween(b[n:]); k == 0 || n+k >= len(b) || b[n+k] < '0' || b[n+k] > '9' || n == 0 {
				if n == 0 {
					return len(b)
				}
				return n
			}
		}
		n += k
	}
	return n
}

func signLength(b []byte) int {
	n, _ := cutSign(b)
	return n
}

// CutUnit parts a number in text and what stands behind it: a unit, or nothing. Text that does not start as a number does is
// all number.
func CutUnit(b []byte) (number, unit []byte) {
	n := numberLength(b)
	return b[:n], bytes.TrimSpace(b[n:])
}

// unitOf remembers what a unit behind a number means: devices do not change it often.
type unitOf struct {
	text []byte
	m    unit.Map
	err  error
}

// from is the conversion from the unit named to the field's channel; without a name, the field's own.
func (u *unitOf) from(text []byte, f *Field) (unit.Map, error) {
	if len(text) == 0 {
		return f.Map, nil
	}
	if u.text != nil && bytes.Equal(u.text, text) {
		return u.m, u.err
	}
	u.text = append(u.text[:0], text...)
	u.m = f.Map
	if u.err = errNoUnit; f.Unit == (unit.Unit{}) {
		return u.m, u.err
	}
	name := string(text)
	if !utf8.ValidString(name) { // ° as Latin-1 has it
		r := make([]rune, len(text))
		for i, c := range text {
			r[i] = rune(c)
		}
		name = string(r)
	}
	named, err := unit.Parse(name)
	if f.Unit.Dim == unit.Mass { // the table's g is an acceleration, and its lb a force
		if kg, ok := masses[string(text)]; ok {
			named, err = unit.Unit{Symbol: string(text), Dim: unit.Mass, Scale: kg}, nil
		}
	}
	switch {
	case err != nil:
		u.err = fmt.Errorf("%.20q is no unit that is known", text)
	case named.Dim == unit.None && name != "%":
		u.err = fmt.Errorf("%.20q follows the number", text)
	default:
		u.m, u.err = unit.Between(named, f.Unit)
	}
	return u.m, u.err
}

var errNoUnit = errors.New("a unit behind the number is not known for it")

// masses in kg.
var masses = map[string]float64{"g": 1e-3, "mg": 1e-6, "t": 1e3, "lb": 0.45359237, "lbs": 0.45359237, "oz": 0.45359237 / 16}

// signs is what the numbers of a device have told of their decimal sign.
type signs struct {
	given        byte
	point, comma bool
}

// note takes what one number tells.
func (s *signs) note(b []byte) {
	if s.given != 0 || bytes.IndexByte(b, ',') < 0 && (s.point || bytes.IndexByte(b, '.') < 0) {
		return
	}
	switch Analyse(b[:numberLength(b)]).Decimal {
	case '.':
		s.point = true
	case ',':
		s.comma = true
	}
}

// doubtful tells whether a number with a decimal point may have its thousands parted by it.
func (s *signs) doubtful(b []byte) bool {
	return (s.comma || s.given == ',') && Analyse(b).Either != 0
}

// parse reads a number; one that may be two is read as the others of the device are.
func (s *signs) parse(b []byte) (float64, error) {
	a := Analyse(b)
	sign := s.given
	switch {
	case sign != 0:
	case a.Decimal != 0:
		sign = a.Decimal
	case s.comma && !s.point:
		sign = ','
	case s.point && !s.comma, a.Either != ',' && !s.comma:
		sign = '.'
	case a.Either != 0:
		return 0, errors.New(TwoWays(b))
	}
	v, ok := ParseNumber(b, sign)
	if !ok {
		return 0, fmt.Errorf("%.40q is %w", b, errNotNumber)
	}
	return v, nil
}

// Number reads a number in text as decoders do, with the unit behind it if there is one.
func Number(b []byte) (v float64, in string, ok bool) {
	b = bytes.TrimSpace(b)
	if v, ok = parseFloat(b); ok {
		return v, "", true
	}
	n := numberLength(b)
	var s signs
	v, err := s.parse(b[:n])
	in = string(bytes.TrimSpace(b[n:]))
	if _, known := unit.Parse(in); err != nil || in != "" && known != nil && masses[in] == 0 {
		return 0, "", false
	}
	return v, in, true
}

// parseFloat reads a decimal number as strconv.ParseFloat does, bit for bit, and the words NaN
// and Inf. What exceeds float64 becomes ±Inf, which no sample reports as good. Hexadecimal and
// underscores are Go's, not any device's.
func parseFloat(b []byte) (float64, bool) {
	for _, c := range b {
		if c == 'x' || c == 'X' || c == '_' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(text(b), 64)
	return v, err == nil || math.IsInf(v, 0)
}

// numberPrefix is the length of the longest number that b starts with.
func numberPrefix(b []byte) int {
	for n := min(len(b), 40); n > 0; n-- {
		if c := b[n-1]; c >= '0' && c <= '9' || c == '.' {
			if _, ok := parseFloat(b[:n]); ok {
				return n
			}
		}
	}
	return 0
}
