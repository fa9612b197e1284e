package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// ErrFormat is wrapped by errors about a log that cannot be read as it is.
var ErrFormat = errors.New("not a log that can be read")

// maxPreamble is how many lines may stand before the header.
const maxPreamble = 200

// preamble is what is known before the header is found: it is the first line that bears the columns
// asked for. Comments, blank lines and other words may stand before it.
type preamble struct {
	lines   int
	sep     byte // named by a line such as "sep=;"
	best    []byte
	bestSep byte
	score   int    // of best, for the error if none is found
	numbers int    // lines of numbers in a row: the header has been missed
	units   []byte // a header whose columns say what they are, but not their units: the next line may
	known   *decoder
}

// uncommented is a line without the mark that makes it a comment; a header may stand behind one.
func uncommented(b []byte) (text []byte, comment bool) {
	t := bytes.TrimLeft(b, " \t")
	if len(t) == 0 || t[0] != '#' && t[0] != '%' {
		return b, false
	}
	return bytes.TrimLeft(t, "#% \t"), true
}

// separatorLine reads Excel's "sep=;".
func separatorLine(b []byte) (byte, bool) {
	name, sep, ok := bytes.Cut(bytes.Trim(b, "\""), []byte{'='})
	if !ok || len(sep) != 1 || !bytes.EqualFold(bytes.TrimSpace(name), []byte("sep")) {
		return 0, false
	}
	return sep[0], true
}

// separators are those that a header may have, the likeliest first.
func (d *decoder) separators(b []byte) []byte {
	switch {
	case d.opt.Separator != 0:
		return []byte{d.opt.Separator}
	case d.before.sep != 0:
		return []byte{d.before.sep}
	}
	all := []byte{',', ';', '\t'}
	slices.SortStableFunc(all, func(x, y byte) int { return bytes.Count(b, []byte{y}) - bytes.Count(b, []byte{x}) })
	return all
}

// findHeader takes a line before the header, or the header.
func (d *decoder) findHeader(b []byte, n int) error {
	p := &d.before
	if p.units != nil {
		return d.unitsBelow(b, n)
	}
	text, comment := uncommented(b)
	if sep, ok := separatorLine(text); ok {
		p.sep = sep
		return nil
	}
	p.lines++
	separators := d.separators(text)
	for _, sep := range separators {
		if d.sep = sep; !d.split(text) {
			continue
		}
		if header := d.names(); d.bears(header) {
			if d.bearsNames(header) && d.lacksUnits(header) {
				p.units = bytes.Clone(text)
				return nil
			}
			return d.readHeader(header, b)
		}
	}
	if k := p.known; k != nil && d.resumes(k, b) {
		return d.line(b, n, true)
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
		p.numbers++
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
	if p.best == nil {
		return nil
	}
	d.sep = p.bestSep
	d.split(p.best)
	header := d.names()
	if len(header) < 2 {
		return fmt.Errorf("%w: the first line %.60q has no comma, semicolon or tab", ErrFormat, p.best)
	}
	if err := d.readHeader(header, p.best); err != nil {
		return err
	}
	d.header = nil
	return fmt.Errorf("%w: no header was found", ErrFormat)
}

// resumes takes over the header of the content that a file had before it was truncated, if b is a row of it.
func (d *decoder) resumes(k *decoder, b []byte) bool {
	if k.header == nil {
		return false
	}
	d.sep = k.sep
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
		header[i] = string(f)
	}
	return header
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
	b = bytes.TrimLeft(b, "+-.")
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
		if slices.Contains(header, key) {
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
	d.clock, d.date, d.rpm, d.torque, d.power, d.pos = -1, -1, -1, -1, -1, [4]int{-1, -1, -1, -1}
	d.cols, d.ignored, d.keys = nil, nil, nil
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
	d.signs, d.grouped = make([]signs, len(header)), make([]bool, len(header))
	d.untold = d.untold[:0]
	for i, name := range header {
		if s := d.byName[name]; s != nil {
			d.signs[i] = *s
		}
		d.untold = append(d.untold, i)
	}
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

// isHeader tells whether the line that was split is a header after the first: it has the names of at
// least half of the columns that are read, and no time stamp where that stands.
func (d *decoder) isHeader() bool {
	if d.clock >= 0 && d.clock < len(d.fields) && startsNumber(d.fields[d.clock]) {
		return false
	}
	if d.named {
		return d.bearsNames(d.names())
	}
	names := 0
	for _, key := range d.keys {
		if slices.ContainsFunc(d.fields, func(f []byte) bool { return string(f) == key }) {
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
	next.fields, next.sep = d.fields, d.sep
	var told []string
	err := next.readHeader(header, b)
	if err == nil && next.meld != d.meld {
		err = fmt.Errorf("it is a log of another kind")
	}
	if err == nil {
		for i, key := range d.opt.numbered() {
			if i < len(header) && i < len(d.header) && header[i] != d.header[i] {
				err = fmt.Errorf("column %s is %q where it was %q: name the columns by their names", key, header[i], d.header[i])
			}
		}
	}
	if err != nil {
		d.header, d.raw = header, bytes.Clone(b)
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
		c.index = next.cols[k].index
		if d.named {
			if c.again, err = unit.Between(next.cols[k].named, c.named); err != nil {
				c.index = -1
				told = append(told, err.Error())
			}
		}
	}
	for i, name := range header {
		if name != "" && !slices.Contains(d.header, name) && !slices.ContainsFunc(d.cols, func(c column) bool { return c.index == i }) {
			told = append(told, fmt.Sprintf("column %q is new and not read", name))
		}
	}
	d.clock, d.date, d.rpm, d.torque, d.power, d.pos = next.clock, next.date, next.rpm, next.torque, next.power, next.pos
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

// isUnits tells whether the line that was split is a row of units below the header.
func (d *decoder) isUnits() bool {
	if d.meld || d.clock >= 0 && startsNumber(d.fields[d.clock]) {
		return false
	}
	known := 0
	for i, f := range d.fields {
		switch {
		case len(f) == 0 || i == d.clock || i == d.date:
		case startsNumber(f):
			return false
		default:
			if _, err := d.parseUnit(strings.Trim(string(f), "[]()")); err != nil {
				return false
			}
			known++
		}
	}
	return known > 0
}

func (d *decoder) parseUnit(s string) (unit.Unit, error) {
	if d.opt.ParseUnit != nil {
		return d.opt.ParseUnit(s)
	}
	return unit.Parse(s)
}

// Named is a quantity that a CSV has in a column of that name, with its unit in brackets behind it
// ("heater power [W]") or in a row of units below the header.
type Named struct {
	Name string
	Unit string // an example of it, for messages
	Must bool   // a log without any such column does not say what it holds
}

// columnName splits "heater power [W]", "heater power (W)" and "heater power / W".
var columnName = regexp.MustCompile(`^(.*?)\s*(?:\[([^\]]*)\]|\(([^)]*)\)|\s/\s(.*))?$`)

// splitName gives the name of a column as it is compared, and its unit.
func splitName(cell string) (name, unit string) {
	parts := columnName.FindStringSubmatch(strings.TrimSpace(cell))
	if parts == nil { // a line end inside a name
		return cell, ""
	}
	return fold(parts[1]), strings.TrimSpace(parts[2] + parts[3] + parts[4])
}

// fold makes names that differ in case, blanks and underscores equal.
func fold(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == ' ' || r == '_' || r == '\u00a0' }), " ")
}

// wants finds a quantity asked for by the folded name of a column, nil if it is none.
func (d *decoder) wants(name string) *Named {
	for i := range d.opt.Named {
		if fold(d.opt.Named[i].Name) == name {
			return &d.opt.Named[i]
		}
	}
	return nil
}

// bearsNames tells whether the columns of a header say what they are.
func (d *decoder) bearsNames(header []string) bool {
	return len(d.opt.Named) > 0 && slices.ContainsFunc(header, func(cell string) bool {
		name, _ := splitName(cell)
		w := d.wants(name)
		return w != nil && w.Must
	})
}

// lacksUnits tells whether a column asked for is without its unit.
func (d *decoder) lacksUnits(header []string) bool {
	return slices.ContainsFunc(header, func(cell string) bool {
		name, in := splitName(cell)
		return d.wants(name) != nil && in == ""
	})
}

// unitsBelow completes a header by the row of units below it.
func (d *decoder) unitsBelow(b []byte, n int) error {
	raw := d.before.units
	d.before.units = nil
	d.split(raw)
	header := d.names()
	d.clock, d.date = -1, -1
	for i, cell := range header {
		if name, _ := splitName(cell); name == "time" {
			d.clock = i
		}
	}
	if b != nil && d.split(b) && len(d.fields) == len(header) && d.isUnits() {
		for i, f := range d.fields {
			if name, in := splitName(header[i]); in == "" && len(f) > 0 && (name == "time" || d.wants(name) != nil) {
				header[i] += " [" + strings.Trim(string(f), "[]()") + "]"
			}
		}
		b = nil
	}
	if err := d.readHeader(header, raw); err != nil {
		return err
	}
	d.started = true
	if b != nil {
		return d.line(b, n, true)
	}
	return nil
}

// sameUnits gives columns without a unit in another header the one they had.
func (d *decoder) sameUnits(header []string) []string {
	for i, cell := range header {
		name, in := splitName(cell)
		for _, old := range d.header {
			if before, unit := splitName(old); in == "" && before == name && unit != "" {
				header[i] = cell + " [" + unit + "]"
			}
		}
	}
	return header
}

// examples are headers as they should be.
func (d *decoder) examples() string {
	names := []string{`"time [s]"`}
	for _, n := range d.opt.Named {
		names = append(names, fmt.Sprintf(`"%s [%s]"`, n.Name, n.Unit))
	}
	return strings.Join(names, ", ")
}

// namedHeader reads columns that say what they are.
func (d *decoder) namedHeader(header []string) error {
	d.named = true
	for i, cell := range header {
		name, in := splitName(cell)
		if name == "date" && d.date < 0 {
			d.date = i
			continue
		}
		if name == "time" && d.clock < 0 {
			t := d.opt.Time
			t.Key, t.Unit = cell, wire.TimeUnit(in)
			if strings.Contains(in, ":") || strings.Contains(strings.ToLower(in), "hh") || strings.EqualFold(in, "date") {
				t.Unit = wire.NoTime
			}
			var err error
			if d.stamps, err = newStamps(t, d.opt.Location); err != nil {
				return fmt.Errorf("%w: column %q: %w", ErrFormat, cell, err)
			}
			d.clock, d.stamps.elapsed = i, true
			continue
		}
		w := d.wants(name)
		if w == nil {
			if cell != "" {
				d.ignored = append(d.ignored, cell)
			}
			continue
		}
		u, err := d.parseUnit(in)
		if in == "" || err != nil {
			return fmt.Errorf("%w: column %q has no unit that is known: write it in brackets, such as \"%s [%s]\"", ErrFormat, cell, w.Name, w.Unit)
		}
		m := meldColumn{key: cell, inch: u, mm: u, channel: sensors.Channel{Name: w.Name, Role: sensors.Role(w.Name), Unit: u}}
		if err := d.add(&m, i); err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		d.cols[len(d.cols)-1].named = u
	}
	if d.clock < 0 {
		return fmt.Errorf("%w: no column is the time: name one \"time [s]\" (or h, min, ms, us, ns; without a unit it holds dates, or times elapsed as hh:mm:ss)", ErrFormat)
	}
	if d.date >= 0 {
		if d.stamps.scale != 0 {
			d.date = -1
		} else {
			d.stamps.DateKey = header[d.date]
		}
	}
	return nil
}
