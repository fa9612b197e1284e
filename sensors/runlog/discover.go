package runlog

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// This file finds out what a CSV holds that nobody has described: which line is the header, which column the
// time, and which columns are numbers. Every one of those becomes a channel.

// sampled is how many lines of a file are looked at to tell what its columns hold.
const sampled = 500

// labels are names of columns that say what somebody has found out about the rows. They are never read: what
// judges rows must not know the answer.
var labels = []string{"anomaly", "anomalies", "is anomaly", "anomaly label", "changepoint", "change point", "label", "labels",
	"is outlier", "outlier", "attack", "is attack", "fault", "is fault", "fault type", "class", "ground truth", "normal/attack", "machine status"}

// times are names of the column of time, the likeliest first.
var times = []string{"time", "datetime", "date time", "timestamp", "time stamp", "stamp", "date", "local time", "utc", "ts", "epoch", "t", "elapsed", "elapsed time", "seconds", "x value", "zeit", "zeitstempel", "datum"}

// Discover completes the options for the log at path, if it is a CSV that neither they nor its header describe:
// every column of numbers becomes a channel of that name, in the unit in brackets behind it or without one. Columns
// that are labels by their name are left out. It says what it has made of the columns. A MELD log, or one whose columns say
// what they are ([Options.Named]), needs nothing.
func Discover(path string, opt Options) (Options, []string, error) {
	f, err := os.Open(path)
	if err != nil {
		return opt, nil, err
	}
	defer f.Close()
	out, notes, err := discover(f, opt)
	if err != nil {
		err = fmt.Errorf("run log %s: %w", path, err)
	}
	return out, notes, err
}

// table is the head of a file.
type table struct {
	header []string
	rows   [][]string
	units  []string // that stand above the header
}

func discover(text io.Reader, opt Options) (Options, []string, error) {
	if len(opt.Fields) > 0 || opt.Format == MELD {
		return opt, nil, nil
	}
	t, sep, described, err := head(text, opt)
	if err != nil || described {
		return opt, nil, err
	}
	var notes []string
	opt.Format, opt.Separator, opt.Named = CSV, sep, nil
	clock, date := t.clock()
	if clock < 0 {
		opt.untimed = true
		notes = append(notes, "no column is the time: rows are taken to be 1 s apart")
	} else {
		opt.Time.Key = t.key(clock)
		if date >= 0 {
			opt.Time.DateKey = t.key(date)
		}
		var told string
		if opt.Time.Unit, told = t.timeUnit(clock); told != "" {
			notes = append(notes, told)
		}
	}
	var left, answers []string
	for i, cell := range t.header {
		if i == clock || i == date || clock >= 0 && i == clock+1 && millisNamed(cell) && t.stamps(clock) {
			continue
		}
		name, in := splitName(cell)
		switch {
		case slices.Contains(labels, name):
			answers = append(answers, cell)
			continue
		case !t.numbers(i) || !t.reached(i):
			left = append(left, cell)
			continue
		}
		u := unit.MustParse("1")
		if in == "" && i < len(t.units) {
			in = t.units[i]
		}
		if in != "" {
			if known, err := unit.Parse(in); err == nil {
				u = known
			}
		}
		channel := strings.TrimSpace(cell)
		if channel == "" || slices.Index(t.header, cell) != i {
			channel = strings.TrimSpace(fmt.Sprintf("%s column %d", channel, i+1))
		}
		opt.Fields = append(opt.Fields, Field{Key: t.key(i), Channel: channel, Unit: u})
	}
	if len(answers) > 0 {
		notes = append(notes, "not read, as it is a label by its name: "+strings.Join(answers, ", "))
	}
	if len(left) > 0 {
		notes = append(notes, "not read, as it holds no numbers: "+strings.Join(left, ", "))
	}
	if len(opt.Fields) == 0 {
		return opt, notes, fmt.Errorf("%w: no column holds numbers; the header has %s", ErrFormat, strings.Join(t.header, ", "))
	}
	return opt, notes, nil
}

// head finds the header: the first line of at least two names, or a name and the time, that a line of numbers of the same
// length follows, with a row of units between them or not. described tells that it says itself what the columns are.
func head(text io.Reader, opt Options) (t table, sep byte, described bool, err error) {
	d := &decoder{opt: opt}
	var l lines
	var before [2][]byte // the two lines before
	each := func(line []byte) error {
		b, comment := uncommented(line)
		if len(bytes.TrimSpace(b)) == 0 {
			return nil
		}
		if t.header == nil {
			head, err := d.labviewHead(line)
			if head || err != nil {
				return err
			}
			if d.before.lvm.is {
				return t.belowLabVIEW(d, b, &sep, &described)
			}
		}
		if s, ok := separatorLine(b); ok {
			d.before.sep = s
			return nil
		}
		if t.header != nil {
			if d.before.lvm.is && !startsNumber(line) {
				return nil
			}
			if sep == ' ' && d.cutRow(b, len(t.header)) || sep != ' ' && d.split(b) {
				t.rows = append(t.rows, d.names())
			}
			if len(t.rows) == sampled {
				return errEnough
			}
			return nil
		}
		for _, s := range d.separators(b) {
			d.sep = s
			if !d.split(b) {
				continue
			}
			row := d.names()
			if d.bears(row) {
				described = true
				return errEnough
			}
			if comment || !holdsNumbers(row) || len(row) == 1 && bytes.ContainsAny(bytes.TrimSpace(b), " \t") {
				continue
			}
			for i, above := range before {
				if above == nil || !d.split(above) {
					continue
				}
				header := d.names()
				if len(header) != len(row) || holdsNumbers(header) {
					continue
				}
				// A row of units stands below the names, if there is a line above it that may be them.
				units := i == 0 && before[1] != nil && d.units(before[0], len(row)) && d.split(before[1]) && len(d.fields) == len(row)
				if units || i == 1 && !d.units(before[0], len(row)) {
					continue
				}
				t.header, sep = header, s
				t.rows = append(t.rows, row)
				return nil
			}
		}
		if !comment && t.belowBlanks(d, b, before[:]) {
			sep, described = ' ', d.bears(t.header)
			if described {
				return errEnough
			}
			return nil
		}
		before[1], before[0] = before[0], bytes.Clone(b)
		if l.n > maxPreamble {
			return errEnough
		}
		return nil
	}
	piece := make([]byte, 64<<10)
	for err == nil {
		n := 0
		n, err = text.Read(piece)
		if e := l.feed(piece[:n], each); e != nil {
			err = e
		}
	}
	if err == io.EOF {
		err = nil
		if rest := l.rest(); rest != nil {
			err = each(rest)
		}
	}
	switch {
	case described:
		return t, sep, true, nil
	case err != nil && err != errEnough:
		return t, sep, false, err
	case t.header == nil:
		return t, sep, false, fmt.Errorf("%w: no line of column names with numbers below it was found: put one above the rows", ErrFormat)
	}
	return t, sep, false, nil
}

// belowLabVIEW takes the header of a measurement file of LabVIEW.
func (t *table) belowLabVIEW(d *decoder, b []byte, sep *byte, described *bool) error {
	if d.sep = d.before.sep; d.sep == 0 {
		d.sep = '\t'
	}
	if !d.split(b) {
		return nil
	}
	t.header, t.units, *sep = d.names(), d.before.lvm.units, d.sep
	if *described = d.bears(t.header); *described {
		return errEnough
	}
	return nil
}

// belowBlanks takes a row whose columns blanks part, if one of the two lines before it has as many names.
func (t *table) belowBlanks(d *decoder, b []byte, before [][]byte) bool {
	if d.before.sep != 0 || d.opt.Separator != 0 && d.opt.Separator != ' ' {
		return false
	}
	d.sep = ' '
	for i, above := range before {
		for _, d.wide = range []bool{true, false} {
			d.cutBlanks(above, d.wide)
			header := d.names()
			if len(header) < 2 || bytes.ContainsAny(above, ",;|") || holdsNumbers(header) || !d.cutRow(b, len(header)) || !holdsNumbers(d.names()) {
				continue
			}
			row := d.names()
			units := func() bool { return d.units(before[0], len(header)) }
			if _, names := d.cutNames(before[1], func(names []string) bool { return len(names) == len(header) }); i == 0 && units() && names {
				continue // the line above them has the names
			}
			if i == 1 && !units() {
				continue
			}
			t.header, t.rows = header, append(t.rows, row)
			d.cutBlanks(above, d.wide) // for whoever asks what it bears
			return true
		}
	}
	return false
}

var errEnough = fmt.Errorf("enough was read")

// units tells whether a line is a row of units.
func (d *decoder) units(b []byte, columns int) bool {
	d.clock = -1
	return d.split(b) && len(d.fields) == columns && d.isUnits(func(int) bool { return true })
}

// holdsNumbers tells whether at least half of the fields that are not empty start as numbers or dates do, and one does.
func holdsNumbers(row []string) bool {
	numbers, words := 0, 0
	for _, f := range row {
		switch {
		case startsNumber([]byte(f)):
			numbers++
		case f != "" && !absent(f):
			words++
		}
	}
	return numbers > 0 && numbers >= words
}

// absent tells the words that stand for a missing number.
func absent(cell string) bool {
	switch strings.ToLower(cell) {
	case "nan", "na", "n/a", "null", "none", "-", "--", "---", "inf", "-inf", "bad", "#n/a":
		return true
	}
	return false
}

// key names column i so that it is found: by its name where that is its own.
func (t *table) key(i int) string {
	name := t.header[i]
	if _, err := strconv.Atoi(name); name == "" || err == nil || slices.Index(t.header, name) != i || slices.Contains(t.header[i+1:], name) {
		return strconv.Itoa(i + 1)
	}
	return name
}

// cells are those of column i that are not empty.
func (t *table) cells(i int) (cells []string) {
	for _, row := range t.rows {
		if i < len(row) && row[i] != "" {
			cells = append(cells, row[i])
		}
	}
	return cells
}

// numbers tells whether column i holds numbers: most of what it holds are, or it holds nothing yet.
func (t *table) numbers(i int) bool {
	numbers, words := 0, 0
	for _, c := range t.cells(i) {
		_, point := wire.ParseNumber([]byte(c), '.')
		_, comma := wire.ParseNumber([]byte(c), ',')
		switch {
		case point || comma:
			numbers++
		case !absent(c):
			words++
		}
	}
	return numbers >= words
}

// reached tells whether any row goes on as far as column i.
func (t *table) reached(i int) bool {
	return slices.ContainsFunc(t.rows, func(row []string) bool { return i < len(row) })
}

// clock finds the column of the time, and that of the date where it is another; -1 where there is none.
func (t *table) clock() (clock, date int) {
	clock, date = -1, -1
	named := func(name string) int {
		return slices.IndexFunc(t.header, func(cell string) bool {
			folded, _ := splitTime(cell)
			return folded == name
		})
	}
	for _, name := range times {
		if i := named(name); i >= 0 && (t.stamps(i) || t.rises(i)) {
			clock = i
			break
		}
	}
	if clock < 0 { // by what it holds
		for i := range t.header {
			if t.stamps(i) {
				clock = i
				break
			}
		}
	}
	if clock < 0 {
		return clock, date
	}
	if i := named("date"); i >= 0 && i != clock && t.timeOfDay(clock) && t.stamps(i) {
		date = i
	}
	return clock, date
}

// stamps tells whether column i holds dates or times as text.
func (t *table) stamps(i int) bool {
	cells := t.cells(i)
	good := 0
	for _, c := range cells {
		_, number := wire.ParseNumber([]byte(c), '.')
		if _, ok := wire.ParseDate([]byte(c)); ok && !number {
			good++
		}
	}
	return good > 0 && 2*good > len(cells)
}

// timeOfDay tells whether column i holds times without a date.
func (t *table) timeOfDay(i int) bool {
	cells := t.cells(i)
	if len(cells) == 0 {
		return false
	}
	d, ok := wire.ParseDate([]byte(cells[0]))
	return ok && d.Orders == 0
}

// rises tells whether column i holds numbers that do not fall.
func (t *table) rises(i int) bool {
	last, any := 0.0, false
	for _, c := range t.cells(i) {
		v, ok := wire.ParseNumber([]byte(c), '.')
		if !ok {
			v, ok = wire.ParseNumber([]byte(c), ',')
		}
		if !ok || any && v < last {
			return false
		}
		last, any = v, true
	}
	return any
}

// timeUnit is that of the column of time, and what was assumed.
func (t *table) timeUnit(i int) (u wire.TimeUnit, told string) {
	if t.stamps(i) {
		return wire.NoTime, ""
	}
	name, in := splitTime(t.header[i])
	if _, ok := countUnits[strings.ToLower(in)]; ok {
		return wire.TimeUnit(in), ""
	}
	if name == "seconds" || name == "x value" {
		return "s", ""
	}
	cell := []byte(t.cells(i)[0])
	v, _ := wire.ParseNumber(cell, '.')
	switch _, date := wire.ParseDate(cell); {
	case date: // 20250708104315
		return wire.NoTime, ""
	case v >= 36526 && v < 73051 && countDecimals(cell) > 6: // the years 2000 to 2099
		return "excel", fmt.Sprintf("%s is read as the days of spreadsheets", t.header[i])
	}
	for _, c := range []struct {
		from float64
		unit wire.TimeUnit
	}{{1e17, "ns"}, {1e14, "us"}, {1e11, "ms"}} {
		if v >= c.from {
			return c.unit, fmt.Sprintf("%s is read as %s since 1970", t.header[i], c.unit)
		}
	}
	return "s", fmt.Sprintf("%s has no unit and is read as s", t.header[i])
}
