package runlog

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"stirwatch/sensors/wire"
)

// This file reads logs whose columns blanks part, of one width or not.

// blanks is how such a log is read.
type blanks struct {
	wide   bool     // two blanks or more stand between the names of the header, which may have single ones in them
	spans  [][2]int // of the fields of the line that was split, bytes
	places [][2]int // of the names of the header, characters
	// Whether every whole row so far stands below the names of the header: only then a blank column can be told.
	aligned, askew bool
}

// spaced is a line that may be a header of columns parted by blanks; any sentence may look like one, so that the rows below
// it decide.
type spaced struct {
	raw, text []byte
	wide      bool
	units     []byte // the row of units below it
}

// cutBlanks cuts a line at blanks, in a line of names also at two or more alone. A word in quotes is one field, and a unit in
// brackets belongs to the name before it.
func (d *decoder) cutBlanks(b []byte, wide bool) {
	d.fields, d.spans = d.fields[:0], d.spans[:0]
	for i := 0; ; {
		for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
			i++
		}
		if i == len(b) {
			return
		}
		from, end := i, 0
		if b[i] == '"' {
			if n := bytes.IndexByte(b[i+1:], '"'); n >= 0 && (i+n+2 == len(b) || b[i+n+2] == ' ' || b[i+n+2] == '\t') {
				from, end, i = i+1, i+1+n, i+n+2
			}
		}
		if end == 0 {
			for i < len(b) && b[i] != '\t' && (b[i] != ' ' || wide && i+1 < len(b) && b[i+1] != ' ' && b[i+1] != '\t') {
				i++
			}
			end = i
		}
		if n := len(d.fields); n > 0 && (b[from] == '[' || b[from] == '(') && !startsNumber(d.fields[n-1]) {
			d.spans[n-1][1] = end
			d.fields[n-1] = b[d.spans[n-1][0]:end]
			continue
		}
		d.spans = append(d.spans, [2]int{from, end})
		d.fields = append(d.fields, b[from:end])
	}
}

// splitBlanks cuts a line into the columns of the header, if one is known.
func (d *decoder) splitBlanks(b []byte) bool {
	words := d.wide && !startsNumber(bytes.TrimLeft(b, " \t\""))
	d.cutBlanks(b, words)
	if d.header == nil {
		return true
	}
	if words && len(d.fields) != len(d.header) { // or a row of which the first column is text
		d.cutBlanks(b, false)
		if d.joinStamp(b); len(d.fields) != len(d.header) || !d.stampAt(d.clock) {
			d.cutBlanks(b, true)
		}
		return true
	}
	d.joinStamp(b)
	if !words {
		d.place(b)
	}
	return true
}

// stampAt tells whether field i holds a time as text.
func (d *decoder) stampAt(i int) bool {
	if i < 0 || i >= len(d.fields) {
		return false
	}
	_, ok := wire.ParseDate(d.fields[i])
	return ok
}

// maxWords is how many words a time stamp may be of: Tue Jul 8 10:43:15 CEST 2025.
const maxWords = 6

// joinStamp makes one field of the words of a time stamp, where a row has as many more than the header.
func (d *decoder) joinStamp(b []byte) {
	more := len(d.fields) - len(d.header)
	if more > 0 && d.clock >= 0 && d.date < 0 && d.stamps.scale == 0 {
		d.joinAt(b, d.clock, more)
	}
}

// joinAt makes one field of field i and more behind it, if they are a date with its time of day.
func (d *decoder) joinAt(b []byte, i, more int) bool {
	if more >= maxWords || i+more >= len(d.fields) {
		return false
	}
	from, to := d.spans[i][0], d.spans[i+more][1]
	if date, ok := wire.ParseDate(b[from:to]); !ok || date.Orders == 0 {
		return false
	}
	d.fields = append(d.fields[:i+1], d.fields[i+more+1:]...)
	d.spans = append(d.spans[:i+1], d.spans[i+more+1:]...)
	d.fields[i], d.spans[i] = b[from:to], [2]int{from, to}
	return true
}

// cutRow cuts a line at blanks and makes one field of a time stamp of several words, if that gives so many columns.
func (d *decoder) cutRow(b []byte, columns int) bool {
	d.cutBlanks(b, false)
	if more := len(d.fields) - columns; more > 0 {
		for i := range d.fields {
			if d.joinAt(b, i, more) {
				break
			}
		}
	}
	return len(d.fields) == columns
}

// columnOf is the place of byte i of a line, counted in characters.
func columnOf(b []byte, i int) int { return utf8.RuneCount(b[:i]) }

// place puts the fields of a row that has too few of them below the names where they stand, the others being empty. It does
// so only in a file whose whole rows stand below the names, and changes nothing where a field stands below none or two.
func (d *decoder) place(b []byte) {
	below := func(k, name int) bool {
		from, to := columnOf(b, d.spans[k][0]), columnOf(b, d.spans[k][1])
		return from < d.places[name][1] && d.places[name][0] < to
	}
	if len(d.places) != len(d.header) || len(d.fields) > len(d.header) {
		return
	}
	if len(d.fields) == len(d.header) {
		for k := range d.fields {
			d.askew = d.askew || !below(k, k)
		}
		d.aligned = !d.askew
		return
	}
	if !d.aligned || d.askew {
		return
	}
	fields := make([][]byte, len(d.header))
	spans := make([][2]int, len(d.header))
	for k := range d.fields {
		at := -1
		for name := range d.header {
			if below(k, name) {
				if at >= 0 || fields[name] != nil {
					return
				}
				at = name
			}
		}
		if at < 0 {
			return
		}
		fields[at], spans[at] = d.fields[k], d.spans[k]
	}
	d.fields, d.spans = append(d.fields[:0], fields...), append(d.spans[:0], spans...)
}

// findPlaces notes where the names of the header stand.
func (d *decoder) findPlaces() {
	d.places = nil
	if d.sep != ' ' {
		return
	}
	text, _ := uncommented(d.raw)
	mark := columnOf(d.raw, len(d.raw)-len(text))
	d.cutBlanks(text, d.wide)
	for _, s := range d.spans {
		d.places = append(d.places, [2]int{mark + columnOf(text, s[0]), mark + columnOf(text, s[1])})
	}
}

// cutNames cuts a line of names that blanks part, at two of them or, where that gives no header, at one; ok tells whether it
// fits.
func (d *decoder) cutNames(text []byte, fits func(names []string) bool) (wide, ok bool) {
	d.sep = ' '
	for _, wide := range []bool{true, false} {
		if d.cutBlanks(text, wide); len(d.fields) > 1 && fits(d.names()) {
			return wide, true
		}
	}
	return false, false
}

// mayBeSpaced remembers a line that would be the header if blanks parted its columns.
func (d *decoder) mayBeSpaced(raw, text []byte) {
	p := &d.before
	if p.sep != 0 || d.opt.Separator != 0 && d.opt.Separator != ' ' {
		return
	}
	if wide, ok := d.cutNames(text, d.bears); ok {
		p.spaced = &spaced{raw: bytes.Clone(raw), text: bytes.Clone(text), wide: wide}
	}
}

// spacedBelow takes the line below one that may be a header of columns parted by blanks; done: it was.
func (d *decoder) spacedBelow(b []byte, n int) (done bool, err error) {
	p := &d.before
	s := p.spaced
	text, _ := uncommented(b)
	if len(bytes.Trim(text, "-=+ \t")) == 0 { // a rule
		return true, nil
	}
	d.sep, d.wide = ' ', s.wide
	d.cutBlanks(s.text, s.wide)
	columns := len(d.fields)
	fits := d.cutRow(b, columns)
	row := holdsNumbers(d.names())
	if s.wide && row && !fits { // names of one word each may stand far apart here and there
		d.cutBlanks(s.text, false)
		if header := d.names(); d.bears(header) && d.cutRow(b, len(header)) {
			s.wide, d.wide, columns, fits = false, false, len(header), true
		}
	}
	switch {
	case row && fits:
	case !row && s.units == nil:
		if d.cutBlanks(text, s.wide); len(d.fields) == columns {
			s.units = bytes.Clone(b)
			return true, nil
		}
		fallthrough
	default:
		if p.spaced = nil; row && p.misfit == "" {
			p.misfit = fmt.Sprintf("line %d has %d values where %.60q has %d names: which value is whose?", n, len(d.fields), s.text, columns)
		}
		return false, nil
	}
	p.spaced = nil
	d.cutBlanks(s.text, s.wide)
	header := d.names()
	if d.bearsNames(header) && d.lacksUnits(header) {
		p.units = s.text
		if s.units != nil {
			err = d.unitsBelow(s.units, n-1)
		} else {
			err = d.unitsBelow(nil, n-1)
		}
	} else if err = d.readHeader(header, s.raw); err == nil {
		if d.tellRemarks(n - 1); s.units != nil {
			err = d.line(s.units, n-1, true)
		}
	}
	if err != nil {
		return true, err
	}
	return true, d.line(b, n, true)
}

// noSpaced is the error of a file that ends with what may be a header.
func (d *decoder) noSpaced() error {
	return fmt.Errorf("%w: a header %.60q but no row of as many numbers below it", ErrFormat, d.before.spaced.text)
}
