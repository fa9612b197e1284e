package wire

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// NewCSV reads lines of columns. A key is a column's number, from 1, or its name in header; with
// names and no header it is learned from the first line that holds one of the names. A header
// line in the stream (a logger that restarts) is followed and gives no samples; it is an error if
// it lacks a name, and the lines below it give the others. separator 0 is a comma; ' ' takes any
// run of blanks.
//
// Spaces around columns, CR, and quotes are tolerated; an empty column is missing; empty lines
// and lines that start with '#' say nothing. A line with fewer columns than wanted, or another
// number than its header, is an error. NMEA 0183 sentences, `$…*hh`, must have a right checksum;
// their first column is what follows the '$'. Lines of weight indicators, "ST,GS,+00081.72  g"
// (A&D standard format), have the weight in column 3: US (unstable) makes it out of
// specification, OL (overload) a failure; their unit must not change on the way.
func NewCSV(o Options, separator byte, header []string) Decoder {
	if separator == 0 {
		separator = ','
	}
	d := &csv{table: newTable(o), separator: separator}
	d.strict = true
	d.column = make([]int, len(d.found))
	for slot := range d.column {
		n, err := strconv.Atoi(d.key(slot))
		if err == nil && n > 0 && !slices.Contains(header, d.key(slot)) {
			d.column[slot] = n - 1
			continue
		}
		d.column[slot] = -1
		if d.names == nil {
			d.names = map[string]bool{}
		}
		d.names[d.key(slot)] = true
	}
	if len(header) > 0 {
		d.given = slices.Clone(header)
		d.learn(func(i int) string { return header[i] }, len(header))
	}
	return d
}

type csv struct {
	table
	separator byte
	names     map[string]bool // keys that are names
	given     []string
	width     int    // columns of the header, 0 if none is known
	column    []int  // by slot of found, from 0; -1 where the name is not in the header
	cols      []span // of the current line
	weighedIn []byte // unit text of a weight indicator
	weighed   span   // its value
}

func (d *csv) Decode(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error) {
	line, err := d.content(msg)
	if err != nil || len(line) == 0 {
		return dst, err
	}
	if err := d.split(line); err != nil {
		return dst, err
	}
	if len(d.names) > 0 && d.width == 0 {
		if !d.isHeader(line) {
			return dst, fmt.Errorf("no header line yet: it must name the column %q", d.key(slices.Index(d.column, -1)))
		}
		return dst, d.follow(line)
	}
	n := len(dst)
	dst, err = d.read(dst, arrival, line)
	if err != nil && d.isHeader(line) {
		return dst[:n], d.follow(line)
	}
	return dst, err
}

func (d *csv) read(dst []sensors.Sample, arrival int64, line []byte) ([]sensors.Sample, error) {
	have := len(d.cols)
	if d.width > 0 && have == d.width+1 && d.cols[have-1].kind == 'n' {
		have-- // a separator that ends the line
	}
	if d.width > 0 && have != d.width {
		return dst, fmt.Errorf("the line has %d columns and its header %d", have, d.width)
	}
	if d.halves(line) {
		return dst, fmt.Errorf("%d columns of whole numbers, twice as many as are read: are their commas decimal ones? Say so (separator: \";\", or decimal: \".\" if not)", have)
	}
	verdict, err := d.weight(line)
	if err != nil {
		return dst, err
	}
	for slot, c := range d.column {
		switch {
		case c < 0: // said once, when the header came
			d.found[slot] = span{}
			continue
		case c >= have:
			return dst, fmt.Errorf("the line has %d columns and ends before column %q", have, d.key(slot))
		}
		d.found[slot] = d.cols[c]
	}
	n := len(dst)
	if dst, err = d.build(dst, arrival, line); err != nil {
		return dst, err
	}
	if d.separator == ',' && slices.ContainsFunc(d.found[:len(d.fields)], func(s span) bool { return bytes.IndexByte(s.bytes(line), ';') >= 0 }) {
		return dst[:n], fmt.Errorf("a column holds a semicolon: do semicolons part the columns, and are the commas decimal ones? (separator: \";\")")
	}
	for i := n; i < len(dst) && verdict != sensors.OK; i++ {
		dst[i].Status = verdict
	}
	return dst, nil
}

// halves tells whether the columns may be halves of numbers with a decimal comma, "474,3,12,1": there are two for each that is
// read, whole numbers all, perhaps with a unit or an exponent, and the device has shown no decimal point yet.
func (d *csv) halves(line []byte) bool {
	if d.separator != ',' || d.signs.given != 0 || d.signs.point || d.width > 0 || len(d.cols) != 2*len(d.column) {
		return false
	}
	for slot, c := range d.column {
		if c < 0 || c >= len(d.column) || bytes.IndexByte(line, '.') >= 0 || d.key(slot) == d.timeKey {
			return false
		}
	}
	for i, c := range d.cols {
		b := c.bytes(line)
		if i%2 == 0 {
			b = b[signLength(b):]
		} else if c.from == 0 || line[c.from-1] != ',' {
			return false
		}
		n := digits(b, 0)
		if number, _ := CutUnit(b); n == 0 || i%2 == 0 && n < len(b) || n < len(number) && b[n]|0x20 != 'e' || len(number) < len(b) && bytes.ContainsAny(b[len(number):], ":/-0123456789") {
			return false
		}
	}
	return true
}

// weight recognises a weight indicator's line and reads its third column.
func (d *csv) weight(line []byte) (sensors.Status, error) {
	if len(d.cols) < 3 {
		return sensors.OK, nil
	}
	verdict := sensors.OK
	switch string(d.cols[0].bytes(line)) {
	case "ST":
	case "US":
		verdict = sensors.Status{Signal: sensors.OutOfSpecification, Reason: sensors.Device}
	case "OL":
		verdict = sensors.Status{Signal: sensors.Failure, Reason: sensors.Saturated}
	default:
		return sensors.OK, nil
	}
	b, negative := d.cols[2].bytes(line), false
	if len(b) > 1 && (b[0] == '-' || b[0] == '+') && b[1] == ' ' { // blanks instead of leading zeros
		negative, b = b[0] == '-', bytes.TrimLeft(b[1:], " ")
	}
	n := numberPrefix(b)
	v, ok := parseFloat(b[:n])
	switch {
	case !ok && verdict.Reason == sensors.Saturated:
		d.cols[2] = span{kind: 'v', value: math.NaN()}
		return verdict, nil
	case !ok:
		return verdict, fmt.Errorf("weight %.40q is not a number", b)
	case negative:
		v = -v
	}
	in := bytes.TrimSpace(b[n:])
	d.weighed = span{kind: 'v', value: v}
	for slot, c := range d.column {
		if c == 2 && slot < len(d.fields) && d.fields[slot].Unit.Dim == unit.Mass {
			m, err := d.units[slot].from(in, &d.fields[slot])
			if err != nil {
				return verdict, fmt.Errorf("weight %.40q: %w", b, err)
			}
			d.weighed = span{kind: 'w', value: m.Apply(v)}
		}
	}
	if d.weighedIn == nil {
		d.weighedIn = append([]byte{}, in...)
	}
	if !bytes.Equal(in, d.weighedIn) {
		return verdict, fmt.Errorf("the indicator's unit changed from %q to %q: set it back, or restart with the new one configured", d.weighedIn, in)
	}
	d.cols[2] = d.weighed
	return verdict, nil
}

// split notes the columns of line.
func (d *csv) split(line []byte) error {
	d.cols = d.cols[:0]
	blanks := d.separator == ' '
	for i := 0; ; {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t' && d.separator != '\t') {
			i++
		}
		s := span{from: i, kind: '"'}
		if i < len(line) && line[i] == '"' {
			for s.from, i = i+1, i+1; ; i++ {
				if i >= len(line) {
					return fmt.Errorf("column %d: a quote is not closed", len(d.cols)+1)
				}
				if line[i] == '"' {
					if i+1 >= len(line) || line[i+1] != '"' {
						break
					}
					i++
				}
			}
			s.to = i
			for i++; i < len(line) && line[i] == ' ' && !blanks; i++ {
			}
			if i < len(line) && !d.separates(line[i]) {
				return fmt.Errorf("column %d: text after its closing quote", len(d.cols)+1)
			}
		} else {
			for i < len(line) && !d.separates(line[i]) {
				i++
			}
			for s.to = i; s.to > s.from && (line[s.to-1] == ' ' || line[s.to-1] == '\t'); s.to-- {
			}
		}
		if s.to == s.from {
			s.kind = 'n'
		}
		d.cols = append(d.cols, s)
		if i >= len(line) {
			return nil
		}
		i++
	}
}

func (d *csv) separates(c byte) bool {
	return c == d.separator || c == '\t' && d.separator == ' '
}

// isHeader tells whether the line that was split names a wanted column or is the given header.
func (d *csv) isHeader(line []byte) bool {
	same := len(d.given) == len(d.cols)
	for i, c := range d.cols {
		if d.names[string(c.bytes(line))] {
			return true
		}
		same = same && string(c.bytes(line)) == d.given[i]
	}
	return same
}

func (d *csv) follow(line []byte) error {
	name := func(i int) string { return strings.ReplaceAll(string(d.cols[i].bytes(line)), `""`, `"`) }
	d.learn(name, len(d.cols))
	for slot, c := range d.column {
		if c < 0 {
			return fmt.Errorf("the header line has no column %q: %.200q", d.key(slot), line)
		}
	}
	return nil
}

func (d *csv) learn(name func(i int) string, width int) {
	for slot := range d.column {
		if d.names[d.key(slot)] {
			d.column[slot] = -1
		}
	}
	d.width = width
	if width > 0 && name(width-1) == "" {
		d.width-- // a separator that ends the line
	}
	for i := range width {
		for slot := range d.column {
			if d.names[d.key(slot)] && d.key(slot) == name(i) {
				d.column[slot] = i
			}
		}
	}
}
