package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// ErrFormat is wrapped by errors about a log that cannot be read as it is.
var ErrFormat = errors.New("not a log that can be read")

// maxPreamble is how many lines may stand before the header.
const maxPreamble = 1000

// preamble is what is known before the header is found: it is the first line that bears the columns
// asked for. Comments, blank lines and other words may stand before it.
type preamble struct {
	lines   int
	first   []byte
	sep     byte // named by a line such as "sep=;"
	best    []byte
	bestSep byte
	score   int    // of best, for the error if none is found
	numbers int    // lines of numbers in a row: the header has been missed
	torn    []byte // lines of which a quoted field has not ended
	units   []byte // a header whose columns say what they are, but not their units: the next line may
	spaced  *spaced
	misfit  string // why the last of those was none
	above   []byte // the line before
	row     []byte // the first line of numbers
	known   *decoder
	lvm     labview
}

// uncommented is a line without the mark that makes it a comment; a header may stand behind one.
func uncommented(b []byte) (text []byte, comment bool) {
	t := bytes.TrimLeft(b, " \t")
	switch {
	case len(t) > 0 && (t[0] == '#' || t[0] == '%' || t[0] == '!'):
		return bytes.TrimLeft(t, "#%! \t"), true
	case len(t) > 1 && t[0] == '/' && t[1] == '/':
		return bytes.TrimLeft(t, "/ \t"), true
	}
	return b, false
}

// separatorLine reads Excel's "sep=;".
func separatorLine(b []byte) (byte, bool) {
	name, sep, ok := bytes.Cut(bytes.Trim(b, "\""), []byte{'='})
	if !ok || len(sep) != 1 || !bytes.EqualFold(bytes.TrimSpace(name), []byte("sep")) {
		return 0, false
	}
	return sep[0], true
}

// separators are those that a header may have, the likeliest first, but for blanks.
func (d *decoder) separators(b []byte) []byte {
	switch {
	case d.opt.Separator == ' ':
		return []byte{'\t'}
	case d.opt.Separator != 0:
		return []byte{d.opt.Separator}
	case d.before.sep != 0:
		return []byte{d.before.sep}
	}
	all := []byte{',', ';', '\t', '|', '^', '~'}
	slices.SortStableFunc(all, func(x, y byte) int { return bytes.Count(b, []byte{y}) - bytes.Count(b, []byte{x}) })
	return all
}

// seekHeader takes a line before the header, or the header, which may go on in the next line inside quotes.
func (d *decoder) seekHeader(b []byte, n int) error {
	p := &d.before
	odd := bytes.Count(b, []byte{'"'})%2 == 1
	if !odd || p.units != nil {
		if err := d.findHeader(b, n); err != nil || d.header != nil || p.units != nil || p.torn == nil {
			p.torn = nil
			return err
		}
	}
	switch {
	case p.torn == nil:
		p.torn = bytes.Clone(b)
		return nil
	case len(p.torn)+len(b) > maxLine:
		p.torn = nil
		return nil
	}
	p.torn = append(append(p.torn, '\n'), b...)
	if !odd {
		return nil
	}
	text := p.torn
	p.torn = nil
	return d.findHeader(text, n)
}

// findHeader takes a line before the header, or the header.
func (d *decoder) findHeader(b []byte, n int) error {
	p := &d.before
	if p.units != nil {
		return d.unitsBelow(b, n)
	}
	if head, err := d.labviewHead(b); head || err != nil {
		return err
	}
	text, comment := uncommented(b)
	if sep, ok := separatorLine(text); ok {
		p.sep = sep
		return nil
	}
	above := p.above
	p.above = bytes.Clone(b)
	p.lines++
	if p.spaced != nil {
		if done, err := d.spacedBelow(b, n); done {
			return err
		}
	}
	separators := d.separators(text)
	for _, sep := range separators {
		if d.sep = sep; !d.split(text) {
			continue
		}
		if header := d.names(); d.bears(header) {
			if d.bearsNames(header) {
				header = p.lvm.labelled(header)
			}
			if d.bearsNames(header) && d.lacksUnits(header) {
				p.units = bytes.Clone(text)
				return nil
			}
			err := d.readHeader(header, b)
			if err == nil {
				d.unitsAbove(above, n-1)
			}
			d.tellRemarks(n)
			return err
		}
	}
	if k := p.known; k != nil && d.resumes(k, b) {
		return d.line(b, n, true)
	}
	d.mayBeSpaced(b, text)
	if p.first == nil {
		p.first = bytes.Clone(b)
	}
	if comment {
		return nil
	}
	if d.sep = separators[0]; !d.split(text) {
		return nil
	}
	if score := d.score(d.names()); p.best == nil || score > p.score {
		p.best, p.bestSep, p.score = bytes.Clone(b), d.sep, score
	}
	if len(d.fields) > 1 && numeric(d.fields) {
		if p.numbers++; p.numbers == 1 {
			p.row = bytes.Clone(b)
		} else if d.headless(b) {
			row := p.row
			if err := d.line(row, n-1, true); err != nil {
				return err
			}
			return d.line(b, n, true)
		}
	} else {
		p.numbers = 0
	}
	if p.numbers > 1 || p.lines > maxPreamble {
		return d.noHeader()
	}
	return nil
}

// noHeader says what is missing in the line that is most like the header, nil if there was no line.
func (d *decoder) noHeader() error {
	p := &d.before
	if p.units != nil {
		return d.unitsBelow(nil, 0)
	}
	if p.lvm.is && p.best == nil {
		return errNoXValue
	}
	if p.spaced != nil {
		return d.noSpaced()
	}
	if p.best == nil && p.torn != nil {
		return fmt.Errorf("%w: the first line %.60q opens a quote that no line closes", ErrFormat, p.torn)
	}
	switch {
	case len(p.first) > 1 && (p.first[0] == '{' || p.first[0] == '[') && (p.first[1] == '"' || p.first[1] == '{'):
		return fmt.Errorf("%w: the first line %.60q looks like JSON: export a CSV", ErrFormat, p.first)
	case p.best == nil && p.first != nil:
		return fmt.Errorf("%w: the first line %.60q is no row of columns", ErrFormat, p.first)
	case p.best == nil:
		return nil
	case p.misfit != "":
		return fmt.Errorf("%w: %s", ErrFormat, p.misfit)
	}
	d.sep = p.bestSep
	d.split(p.best)
	header := d.names()
	if len(header) < 2 {
		d.cutNames(p.best, func(names []string) bool { header = names; return false }) // at single blanks at last
	}
	if len(header) < 2 {
		return fmt.Errorf("%w: the first line %.60q has no comma, semicolon, tab, | or blank between columns", ErrFormat, p.best)
	}
	if err := d.readHeader(header, p.best); err != nil {
		return err
	}
	d.header = nil
	return fmt.Errorf("%w: no header was found", ErrFormat)
}

// headless makes the header that a log does not have, where the options name all columns by numbers and two lines of numbers, of
// which b is the second, have as many fields and a time where it should stand.
func (d *decoder) headless(b []byte) bool {
	last := 0
	for _, key := range d.opt.keys() {
		n, err := strconv.Atoi(key)
		if err != nil || n < 1 {
			return false
		}
		last = max(last, n)
	}
	if len(d.opt.Fields) == 0 || d.opt.Format == MELD || d.opt.Time.Key == "" {
		return false
	}
	first := d.before.row
	for _, d.sep = range []byte{';', '\t', '|', ',', '^', '~'} {
		if d.opt.Separator != 0 && d.opt.Separator != d.sep || d.before.sep != 0 && d.before.sep != d.sep || !d.split(first) {
			continue
		}
		columns := len(d.fields)
		if columns < last || !d.split(b) || len(d.fields) != columns {
			continue
		}
		header := make([]string, columns)
		for i := range header {
			header[i] = strconv.Itoa(i + 1)
		}
		if d.readHeader(header, nil) == nil && (d.stamps.scale != 0 || d.date >= 0 || d.split(b) && d.stampAt(d.clock)) {
			d.remarks = append(d.remarks, note{0, "there is no header: columns are read by their numbers", true})
			d.tellRemarks(1)
			return true
		}
		d.header = nil
	}
	return false
}

// resumes takes over the header of the content that a file had before it was truncated, if b is a row of it.
func (d *decoder) resumes(k *decoder, b []byte) bool {
	if k.header == nil {
		return false
	}
	d.sep, d.wide = k.sep, k.wide
	if !d.split(b) || len(d.fields) != len(k.header) || k.clock >= 0 && !startsNumber(d.fields[k.clock]) {
		return false
	}
	k.keepSigns()
	d.byName = k.byName
	if d.readHeader(k.header, k.raw) != nil {
		return false
	}
	if d.stamps != nil && k.stamps != nil {
		d.stamps.orders = k.stamps.orders
	}
	d.started = true
	return true
}

// names are the fields of the line that was split.
func (d *decoder) names() []string {
	header := make([]string, len(d.fields))
	for i, f := range d.fields {
		header[i] = visible(f)
	}
	return header
}

// visible is a name without characters that nobody sees, and without line ends.
func visible(name []byte) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad':
			return -1
		case '\n', '\r', '\t':
			return ' '
		}
		return r
	}, string(name))
}

// numeric tells whether every field that is not empty starts as a number or a date does.
func numeric(fields [][]byte) bool {
	any := false
	for _, f := range fields {
		if len(f) > 0 && !startsNumber(f) {
			return false
		}
		any = any || len(f) > 0
	}
	return any
}

func startsNumber(b []byte) bool {
	b = bytes.TrimLeft(b, "+-.\u2212")
	return len(b) > 0 && b[0] >= '0' && b[0] <= '9'
}

// keys are the columns that the options name.
func (o *Options) keys() (keys []string) {
	for _, f := range o.Fields {
		keys = append(keys, f.Key)
	}
	if o.Time.Key != "" {
		keys = append(keys, o.Time.Key)
	}
	if o.Time.DateKey != "" {
		keys = append(keys, o.Time.DateKey)
	}
	return keys
}

// bears tells whether a line is the header: it has the columns asked for.
func (d *decoder) bears(header []string) bool {
	switch {
	case d.opt.Format == MELD || d.opt.Format == "" && d.opt.Time.Key == "" && isMELD(header):
		return isMELD(header)
	case d.bearsNames(header):
		return true
	case len(d.opt.Fields) == 0 && len(d.ownNames(header)) == 0, numeric(d.fields):
		return false
	}
	for _, key := range d.opt.keys() {
		if _, err := find(header, key); err != nil {
			return false
		}
	}
	return true
}

// score tells how much a line is like the header.
func (d *decoder) score(header []string) int {
	n := len(header)
	for _, key := range d.opt.keys() {
		if _, err := find(header, key); err == nil {
			n += 1000
		}
	}
	return n + 1000*len(d.ownNames(header))
}

// readHeader settles which columns are read, and how.
func (d *decoder) readHeader(header []string, raw []byte) error {
	format := d.opt.Format
	if format == "" {
		switch {
		case d.bearsNames(header):
		case isMELD(header) && d.opt.Time.Key == "":
			format = MELD
		case len(d.opt.Fields) > 0 || len(d.ownNames(header)) > 0:
			format = CSV
		}
	}
	d.clock, d.date, d.millis, d.rpm, d.torque, d.power, d.pos = -1, -1, -1, -1, -1, -1, [4]int{-1, -1, -1, -1}
	d.cols, d.ignored, d.keys, d.tall = nil, nil, nil, tall{at: -1}
	var err error
	switch {
	case d.bearsNames(header) && format != MELD:
		err = d.namedHeader(header)
	case format == MELD:
		err = d.meldHeader(header)
	case format == CSV:
		err = d.csvHeader(header)
	case len(d.opt.Named) > 0:
		err = fmt.Errorf("%w: neither a MELD log nor columns that say what they are; its header has %s: name them %s", ErrFormat, strings.Join(header, ", "), d.examples())
	default:
		err = fmt.Errorf("%w: neither a MELD log nor described by a column map; its header has %s: say which column is which channel (fields) and where the time stands (time)",
			ErrFormat, strings.Join(header, ", "))
	}
	if err != nil {
		return err
	}
	for _, i := range []int{d.clock, d.date} {
		if i >= 0 {
			d.keys = append(d.keys, header[i])
		}
	}
	for i := range d.cols {
		d.keys = append(d.keys, d.cols[i].Key)
	}
	d.setHeader(header, raw)
	d.row.value = make([]float64, len(d.cols))
	d.row.status = make([]sensors.Status, len(d.cols))
	d.row.sent = make([]string, len(d.cols))
	if d.onHeader != nil {
		return d.onHeader()
	}
	return nil
}

// latest is the decoder with the newest header that the file has had, nil if none.
func (d *decoder) latest() *decoder {
	if d.header != nil {
		return d
	}
	return d.before.known
}

// setHeader takes a header whose columns are known.
func (d *decoder) setHeader(header []string, raw []byte) {
	d.header, d.raw, d.started, d.refused = header, bytes.Clone(raw), false, ""
	d.short = ragged{}
	for d.least = len(header); d.least > 0 && header[d.least-1] == ""; d.least-- {
	}
	d.signs, d.grouped = make([]signs, len(header)), make([]bool, len(header))
	d.untold = d.untold[:0]
	for i, name := range header {
		if s := d.byName[name]; s != nil {
			d.signs[i] = *s
		}
		d.untold = append(d.untold, i)
	}
	d.findPlaces()
}

// keepSigns remembers what was found out of the decimal signs, by the names of the columns.
func (d *decoder) keepSigns() {
	if d.byName == nil {
		d.byName = map[string]*signs{}
	}
	for i, name := range d.header {
		s := d.signs[i]
		d.byName[name] = &s
	}
}

// foreign tells whether the line that was split is a header in other words: names alone, one of them a usual one of the time.
func (d *decoder) foreign() bool {
	if n := len(d.fields); n < 3 && n != len(d.header) || n < 2 {
		return false
	}
	clock := false
	for i, f := range d.fields {
		if startsNumber(f) || len(f) == 0 && i < len(d.fields)-1 {
			return false
		}
		name, _ := splitTime(string(f))
		clock = clock || slices.Contains(times, name)
	}
	return clock
}

// isHeader tells whether the line that was split is a header after the first: it has the names of at
// least half of the columns that are read, and no time stamp where that stands.
func (d *decoder) isHeader() bool {
	if d.clock >= 0 && d.clock < len(d.fields) && startsNumber(d.fields[d.clock]) {
		return false
	}
	if (d.started || d.refused != "") && d.foreign() { // right below a header it tells of types, or describes the columns
		return true
	}
	if d.named {
		return d.bearsNames(d.names())
	}
	names := 0
	for _, key := range d.keys {
		if slices.ContainsFunc(d.fields, func(f []byte) bool { return string(f) == key || visible(f) == key }) {
			names++
		}
	}
	return names > 0 && 2*names >= len(d.keys) && !numeric(d.fields)
}

// follow takes another header inside the log, the line that was split: columns are where it says. What
// cannot be followed is refused until the next one.
func (d *decoder) follow(b []byte, n int) error {
	header := d.names()
	if d.named && d.lacksUnits(header) {
		header = d.sameUnits(header)
	}
	d.keepSigns()
	next := &decoder{opt: d.opt}
	next.opt.lenient = true
	next.fields, next.sep, next.wide = d.fields, d.sep, d.wide
	var told []string
	err := next.readHeader(header, b)
	if err == nil && next.meld != d.meld {
		err = fmt.Errorf("it is a log of another kind")
	}
	if err == nil && len(d.raw) > 0 {
		for i, key := range d.opt.numbered() {
			if i < len(header) && i < len(d.header) && header[i] != d.header[i] {
				err = fmt.Errorf("column %s is %q where it was %q: name the columns by their names", key, header[i], d.header[i])
			}
		}
	}
	if err != nil {
		d.header, d.raw, d.least = header, bytes.Clone(b), len(header)
		d.signs, d.grouped = make([]signs, len(header)), make([]bool, len(header))
		d.refused = fmt.Sprintf("below the header of line %d, which cannot be followed: %v", n, err)
		d.doubt(n, "another header, which cannot be followed; the rows below it are left out: "+err.Error())
		return nil
	}
	for i := range d.cols {
		c := &d.cols[i]
		k := slices.IndexFunc(next.cols, func(o column) bool { return o.Name == c.Name })
		switch {
		case k < 0:
			c.index = -1
			told = append(told, fmt.Sprintf("%s has no column", c.Name))
			continue
		case next.cols[k].index != c.index:
			told = append(told, fmt.Sprintf("%s is column %d now", c.Name, next.cols[k].index+1))
		}
		c.index, c.Key, c.quality, c.cell = next.cols[k].index, next.cols[k].Key, next.cols[k].quality, unitOf{}
		if next.cols[k].wrong {
			c.wrong = true
			told = append(told, fmt.Sprintf("%s is in a unit that its channel cannot have, and its values are failures", c.Name))
		} else if !c.byMode && (d.named || next.cols[k].said) { // else the unit is that of before
			c.wrong = false
			if c.again, err = unit.Between(next.cols[k].named, c.named); err != nil {
				c.index = -1
				told = append(told, err.Error())
			} else if c.again != unit.Identity {
				told = append(told, fmt.Sprintf("%s is in %s now", c.Name, next.cols[k].named))
			}
		}
	}
	for i, name := range header {
		if name != "" && !slices.Contains(d.header, name) && !slices.ContainsFunc(d.cols, func(c column) bool { return c.index == i }) {
			told = append(told, fmt.Sprintf("column %q is new and not read", name))
		}
	}
	d.clock, d.date, d.millis, d.rpm, d.torque, d.power, d.pos = next.clock, next.date, next.millis, next.rpm, next.torque, next.power, next.pos
	d.tall = next.tall
	d.setHeader(header, b)
	text := "another header is followed"
	if len(told) > 0 {
		text += ": " + strings.Join(told, "; ")
	}
	d.doubt(n, text)
	return nil
}

// numbered are the fields that the options name by number.
func (o *Options) numbered() map[int]string {
	at := map[int]string{}
	for _, key := range o.keys() {
		if n, err := strconv.Atoi(key); err == nil && n > 0 {
			at[n-1] = key
		}
	}
	return at
}
