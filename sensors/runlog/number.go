package runlog

import "fmt"

// signs is what the cells of one column, or of a file, have told of the decimal sign: whether "1.232" is
// 1.232 or 1232 is decided for a whole column, and where it tells nothing, by the others.
type signs struct{ point, comma int }

func (s *signs) note(decimal byte) {
	switch decimal {
	case '.':
		s.point++
	case ',':
		s.comma++
	}
}

// decimal is the sign that the cells agree on, or most of them; 0 where they tell nothing.
func (s *signs) decimal() byte {
	switch {
	case s.point > s.comma:
		return '.'
	case s.comma > s.point:
		return ','
	}
	return 0
}

// DecimalSign reads the decimal sign of a log, given itself or by the sign between thousands; "" leaves it
// to the columns: 0.
func DecimalSign(decimal, thousands string) (byte, error) {
	switch {
	case len(decimal) > 1 || decimal != "" && decimal != "." && decimal != ",":
		return 0, fmt.Errorf("decimal sign %q: use . or ,", decimal)
	case decimal != "" && decimal == thousands:
		return 0, fmt.Errorf("%q cannot stand before decimals and between thousands", decimal)
	case decimal != "":
		return decimal[0], nil
	case thousands == ".":
		return ',', nil
	case thousands == ",":
		return '.', nil
	}
	return 0, nil
}
