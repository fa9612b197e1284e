package wire

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// Numeral is what the writing of a number tells. A number may have a decimal point or a decimal comma,
// and a sign between its thousands: the other of the two, a blank (also a narrow or unbreakable one) or
// an apostrophe. In India commas stand between hundreds of thousands too: "12,34,567.5". "1.232,5", "600.5" and "0.125" can
// mean but one thing, "1.232" may be 1.232 or 1232.
type Numeral struct {
	Decimal byte // the sign that must be the decimal one, 0: it has none, or may be either
	Either  byte // the only '.' or ',' of a number that may be two
	OK      bool // it is a number in some way of writing
}

// blanks that stand between thousands: space, no-break space, figure space, thin space, narrow no-break space, and apostrophes.
var between = [...]string{" ", "\u00a0", "\u2007", "\u2009", "\u202f", "'", "\u2019", "\u02bc"}

// signs in front of negative numbers: the hyphen, the minus sign of typesetters, and what programs make of a hyphen.
var minuses = [...]string{"-", "\u2212", "\u2010", "\u2011", "\u2012", "\u2013", "\ufe63", "\uff0d"}

// cutSign is the length of the sign at the start of b with the blanks behind it, 0 if there is none.
func cutSign(b []byte) (n int, negative bool) {
	if len(b) > 0 && b[0] == '+' {
		n = 1
	}
	for _, s := range minuses {
		if len(b) >= len(s) && string(b[:len(s)]) == s {
			n, negative = len(s), true
		}
	}
	if n > 0 {
		for n < len(b) && b[n] == ' ' {
			n++
		}
	}
	return n, negative
}

// cutBetween is the length of the thousands sign at the start of b that is neither '.' nor ',', 0 if none.
func cutBetween(b []byte) int {
	for _, s := range between {
		if len(b) >= len(s) && string(b[:len(s)]) == s {
			return len(s)
		}
	}
	return 0
}

// Analyse tells what a number says of its decimal sign.
func Analyse(b []byte) Numeral {
	points, commas := bytes.Count(b, []byte{'.'}), bytes.Count(b, []byte{','})
	_, point := ParseNumber(b, '.')
	_, comma := ParseNumber(b, ',')
	switch {
	case points+commas == 0, !point && !comma:
		return Numeral{OK: point || comma}
	case !comma:
		return Numeral{Decimal: '.', OK: true}
	case !point:
		return Numeral{Decimal: ',', OK: true}
	case points == 1:
		return Numeral{Either: '.', OK: true}
	}
	return Numeral{Either: ',', OK: true}
}

// ParseNumber reads a number whose decimal sign is known; thousands may be parted, in groups of three, or as in India.
// The exponent may stand behind e or, as in Fortran, d. NaN and infinities are no numbers here.
func ParseNumber(b []byte, decimal byte) (float64, bool) {
	var buf [64]byte
	if len(b) == 0 || len(b) > len(buf) {
		return math.NaN(), false
	}
	out := buf[:0]
	i, negative := cutSign(b)
	if negative {
		out = append(out, '-')
	}
	var group []byte      // the sign between thousands
	pairs, threes := 0, 0 // groups between two signs
	digits, run, whole := 0, 0, i
	for i < len(b) {
		c := b[i]
		if c >= '0' && c <= '9' {
			out = append(out, c)
			digits, run = digits+1, run+1
			i++
			continue
		}
		n := 0
		if c == '.' || c == ',' {
			if c == decimal {
				break
			}
			n = 1
		} else if n = cutBetween(b[i:]); n == 0 {
			break
		}
		sign := b[i : i+n]
		switch {
		case group == nil && (run < 1 || run > 3 || b[whole] == '0'), group != nil && !bytes.Equal(sign, group):
			return math.NaN(), false
		case group == nil && run == 3:
			threes++
		case group == nil:
		case run == 3:
			threes++
		case run == 2 && sign[0] == ',':
			pairs++
		default:
			return math.NaN(), false
		}
		group, run = sign, 0
		i += n
	}
	if group != nil && run != 3 || pairs > 0 && threes > 0 {
		return math.NaN(), false
	}
	if i < len(b) && b[i] == decimal {
		out = append(out, '.')
		for i++; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
			out = append(out, b[i])
			digits++
		}
	}
	if digits == 0 {
		return math.NaN(), false
	}
	if i < len(b) && (b[i]|0x20 == 'e' || b[i]|0x20 == 'd') && group == nil {
		out = append(out, 'e')
		for i++; i < len(b) && (b[i] == '-' || b[i] == '+' || b[i] >= '0' && b[i] <= '9'); i++ {
			out = append(out, b[i])
		}
	}
	if i < len(b) {
		return math.NaN(), false
	}
	v, err := strconv.ParseFloat(text(out), 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// TwoWays says what a cell may mean and how to settle it.
func TwoWays(b []byte) string {
	point, _ := ParseNumber(b, '.')
	comma, _ := ParseNumber(b, ',')
	return fmt.Sprintf("%.40q may be %s or %s: say which sign is the decimal one (decimal)", b,
		strconv.FormatFloat(point, 'f', -1, 64), strconv.FormatFloat(comma, 'f', -1, 64))
}
