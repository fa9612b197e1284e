package wire

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// Numeral is what the writing of a number tells. A number may have a decimal point or a decimal comma,
// and a sign between its thousands: the other of the two, a blank (also a narrow or unbreakable one) or
// an apostrophe. "1.232,5", "600.5" and "0.125" can mean but one thing, "1.232" may be 1.232 or 1232.
type Numeral struct {
	Decimal byte // the sign that must be the decimal one, 0: it has none, or may be either
	Either  byte // the only '.' or ',' of a number that may be two
	OK      bool // it is a number in some way of writing
}

// blanks that stand between thousands: space, no-break space, thin space, narrow no-break space, and apostrophes.
var between = [...]string{" ", "\u00a0", "\u2009", "\u202f", "'", "\u2019"}

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

// ParseNumber reads a number whose decimal sign is known; thousands may be parted, in groups of three.
// NaN and infinities are no numbers here.
func ParseNumber(b []byte, decimal byte) (float64, bool) {
	var buf [64]byte
	if len(b) == 0 || len(b) > len(buf) {
		return math.NaN(), false
	}
	out, i := buf[:0], 0
	if b[0] == '-' || b[0] == '+' {
		out, i = append(out, b[0]), 1
	} else if bytes.HasPrefix(b, []byte("\u2212")) { // the minus sign of typesetters
		out, i = append(out, '-'), len("\u2212")
	}
	var group []byte // the sign between thousands
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
		case group == nil && (run < 1 || run > 3 || b[whole] == '0'), group != nil && (run != 3 || !bytes.Equal(sign, group)):
			return math.NaN(), false
		}
		group, run = sign, 0
		i += n
	}
	if group != nil && run != 3 {
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
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') && group == nil {
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
