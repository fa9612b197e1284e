package runlog

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

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

// number reads one field: good, missing (empty) or a failure (no finite number, or one that may be two).
func (d *decoder) number(b []byte, field int) (float64, sensors.Status) {
	if len(b) == 0 {
		return math.NaN(), sensors.Status{}
	}
	known := d.signs[field]
	if known.point > known.comma && d.opt.Decimal != ',' || bytes.IndexByte(b, '.') < 0 {
		if v, ok := usual(b); ok {
			return v, sensors.OK
		}
	}
	sign := d.sign(field, b)
	if sign == 0 {
		return math.NaN(), sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}
	}
	inner, negative := bare(b)
	v, ok := wire.ParseNumber(inner, sign)
	if !ok {
		return math.NaN(), sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}
	}
	if negative {
		v = -v
	}
	if _, simple := plain(b, 1e9, '.'); (!simple || sign == ',' && bytes.IndexByte(b, '.') >= 0) && !d.grouped[field] {
		d.tellSigns(b, field, v)
	}
	return v, sensors.OK
}

// bare takes off what spreadsheets put around a number, ="1.5" and '1.5, and reads what accounts write for −1.5: (1.5) and
// 1.5-.
func bare(b []byte) (number []byte, negative bool) {
	if len(b) < 2 {
		return b, false
	}
	if b[0] == '=' && len(b) > 3 && b[1] == '"' && b[len(b)-1] == '"' {
		b = b[2 : len(b)-1]
	}
	if b[0] == '\'' {
		b = bytes.TrimSuffix(b[1:], []byte{'\''})
	}
	digit := func(b []byte) bool { return len(b) > 0 && b[0] >= '0' && b[0] <= '9' }
	switch last := len(b) - 1; {
	case last < 1:
	case b[0] == '(' && b[last] == ')' && digit(b[1:]):
		return b[1:last], true
	case b[last] == '-' && digit(b):
		return b[:last], true
	case bytes.HasSuffix(b, []byte("\u2212")) && digit(b):
		return bytes.TrimSuffix(b, []byte("\u2212")), true
	}
	return b, false
}

// numeral is the number of a cell, without what stands around it and without a unit.
func numeral(b []byte) []byte {
	b, _ = bare(b)
	number, _ := wire.CutUnit(b)
	return number
}

// unitOf remembers what a unit behind a number means.
type unitOf struct {
	text []byte
	m    unit.Map
	ok   bool
	told bool
}

// withUnit reads a cell that names its unit, "1.5 kW", in the unit that its column has.
func (d *decoder) withUnit(c *column, cell []byte, line int) (v float64, ok bool) {
	number, text := wire.CutUnit(cell)
	if len(text) == 0 || c.named == (unit.Unit{}) || d.sign(c.index, number) == 0 {
		return 0, false
	}
	if !bytes.Equal(text, c.cell.text) || c.cell.text == nil {
		c.cell.text, c.cell.ok = bytes.Clone(text), false
		if u, err := d.parseUnit(string(text)); err == nil && (u.Dim != unit.None || u.Symbol == "%") {
			if m, err := unit.Between(u, c.named); err == nil {
				c.cell.m, c.cell.ok = m, true
			}
		}
	}
	if !c.cell.ok {
		return 0, false
	}
	if v, ok = wire.ParseNumber(number, d.sign(c.index, number)); !ok {
		return 0, false
	}
	d.converted = true
	if v = c.cell.m.Apply(v); !c.cell.told {
		c.cell.told = true
		d.note(line, fmt.Sprintf("%s: %q is read as %s %s", c.Key, cell, strconv.FormatFloat(v, 'g', 10, 64), c.named))
	}
	return v, true
}

// usual reads digits with at most a decimal point and an exponent.
func usual(b []byte) (float64, bool) {
	if len(b) > 2 && (b[1]|0x20 == 'x' || b[2]|0x20 == 'x' || bytes.IndexByte(b, '_') >= 0) { // hexadecimal and underscores are Go's
		return 0, false
	}
	v, err := strconv.ParseFloat(view(b), 64)
	return v, err == nil && v-v == 0 // neither infinite nor NaN
}

// tellSigns says how numbers with their thousands parted, or with a decimal comma, are read.
func (d *decoder) tellSigns(b []byte, field int, v float64) {
	if _, simple := plain(b, 1e9, ','); simple && d.comma {
		return
	} else if !simple {
		d.grouped[field] = true
	}
	d.comma = true
	d.note(d.row.line, fmt.Sprintf("%s: %q is read as %s", d.header[field], b, strconv.FormatFloat(v, 'f', -1, 64)))
}

// weigh takes what the fields of a row tell of the decimal sign.
func (d *decoder) weigh() {
	// Where rows cannot be read twice one cell that tells is enough; else the most of them are right.
	enough := 1
	if d.survey {
		enough = 10
	}
	for k := len(d.untold) - 1; k >= 0; k-- {
		i := d.untold[k]
		if b := d.fields[i]; bytes.IndexByte(b, '.') >= 0 || bytes.IndexByte(b, ',') >= 0 {
			d.signs[i].note(wire.Analyse(numeral(b)).Decimal)
		}
		if s := d.signs[i]; max(s.point-s.comma, s.comma-s.point) >= enough || i == d.date || i == d.clock && d.stamps.scale == 0 {
			d.untold = slices.Delete(d.untold, k, k+1)
		}
	}
	if d.millis >= 0 && len(d.fields[d.millis]) > 0 {
		_, ok := milliseconds(d.fields[d.millis])
		d.noMillis = d.noMillis || d.survey && !ok
	}
	if d.clock >= 0 && d.stamps.open() {
		var date []byte
		if d.date >= 0 {
			date = d.fields[d.date]
		}
		d.stamps.narrow(date, d.fields[d.clock])
	}
}

// sign is the decimal sign of a cell by what its column, else the file, else the cell itself tells; 0
// where it may be either.
func (d *decoder) sign(field int, cell []byte) byte {
	if d.opt.Decimal != 0 {
		return d.opt.Decimal
	}
	if s := d.signs[field]; s.decimal() != 0 {
		if s.point > 0 && s.comma > 0 && wire.Analyse(numeral(cell)).Either != 0 {
			return 0 // the column has both
		}
		return s.decimal()
	}
	var all signs
	for i := range d.signs {
		all.note(d.signs[i].decimal())
	}
	switch a := wire.Analyse(numeral(cell)); {
	case all.point > 0 && all.comma == 0:
		return '.'
	case all.comma > 0 && all.point == 0:
		return ','
	case a.Decimal != 0:
		return a.Decimal
	case a.Either == 0, a.Either == '.' && d.sep == ',': // a comma between columns and a decimal comma do not go together
		return '.'
	}
	return 0
}

// text is the start of a cell that is no number; loggers write the same again and again.
func (c *column) text(cell []byte) string {
	if cell = cell[:min(len(cell), 40)]; c.sent != string(cell) {
		c.sent = string(cell)
	}
	return c.sent
}

// wayOut says what may be done about a cell that a person would take for a number.
func wayOut(cell []byte) string {
	for _, r := range string(cell) {
		if r > unicode.MaxASCII && unicode.IsDigit(r) {
			return " (numbers are read with the digits 0 to 9: export the log in another language)"
		}
	}
	if n := len(cell); n > 1 && startsNumber(cell) && bytes.IndexByte([]byte("kKMGmµun%"), cell[n-1]) >= 0 {
		if _, ok := plain(bytes.TrimSpace(cell[:n-1]), 1e9, '.'); ok {
			return fmt.Sprintf(" (%q may be a prefix or a unit: export numbers alone, with the unit in the header)", cell[n-1:])
		}
	}
	return ""
}

// badCell counts a field that holds no number, or none that the column's quantity can have: is names what it is not, "" a number.
func (d *decoder) badCell(c *column, line int, cell []byte, is string) {
	d.badCells++
	c.bad.Count++
	if c.bad.Count == 1 {
		c.bad.Column, c.bad.Line, c.bad.Text = c.Key, line, fmt.Sprintf("%.40q", cell)
		c.bad.Is = is
		if d.sign(c.index, cell) == 0 {
			c.bad.Text = wire.TwoWays(numeral(cell))
		} else {
			c.bad.Text += wayOut(cell)
		}
	}
	if n := c.bad.Count; !d.whole && (n == 1 || n == 10 || n%100 == 0) {
		d.doubt(line, c.bad.String())
	}
}

// lineNumber reads the N word in front of the text of a program's line: "N23 G1 X40".
func lineNumber(b []byte) (n float64, ok bool) {
	b = bytes.TrimLeft(b, " \t\"/")
	if len(b) < 2 || b[0]|0x20 != 'n' {
		return 0, false
	}
	digits := 0
	for _, c := range bytes.TrimLeft(b[1:], " ") {
		if c < '0' || c > '9' {
			break
		}
		if digits++; digits > 9 {
			return 0, false
		}
		n = 10*n + float64(c-'0')
	}
	return n, digits > 0
}
