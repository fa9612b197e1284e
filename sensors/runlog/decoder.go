package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// column is one column of interest with what it takes to read it.
type column struct {
	Column
	index      int       // field of the line, -1 where the newest header lacks it
	inch, mm   unit.Map  // from the file's unit to the channel's, by mode
	quality    int       // field that says whether it is good, from 1; 0: none
	named      unit.Unit // that the column has in the first header, or is said to have; zero where the mode of a MELD log decides
	given      bool      // named is what the options say
	said       bool      // the options say it, or the header
	wrong      bool      // it says a unit of something else: its values are none of the channel's
	again      unit.Map  // from the unit in the newest header to named
	cell       unitOf    // behind a number
	sent       string    // the last text where a number should be
	byMode     bool
	sentinels  []float64
	unwired    float64
	hasUnwired bool
	wired      bool // has shown something else than its unwired value
	bad        BadCells
}

// row is one line of the log, in the file's own units. Its slices are used again for the next.
type row struct {
	line    int
	time    int64
	stamped bool // time is the log's own
	value   []float64
	status  []sensors.Status
	sent    []string // of cells that are no numbers

	rpm, torque, power float64 // NaN where the log has no such column
	pos                [4]float64
}

// decoder reads a log line by line. It finds the header, follows a later one, and decides from what
// it has seen how numbers and dates are written.
type decoder struct {
	opt    Options
	stamps *stamps
	survey bool // only look how numbers and dates are written
	whole  bool // the file was surveyed

	before  preamble
	header  []string
	raw     []byte   // the header as it stands
	keys    []string // the names of the columns that are read
	refused string   // why the rows of the newest header cannot be read
	sep     byte
	blanks  // where sep is one
	tall    tall
	meld    bool
	named   bool // the columns say what they are
	started bool // a row has followed the header
	least   int  // columns of the header up to the last that has a name
	short   ragged
	torn    []byte // a line whose quoted field goes on in the next one
	tornAt  int
	pieces  int    // lines that it holds
	open    bool   // the line that was split ends inside a quoted field
	remarks []note // about the header
	cols    []column
	ignored []string
	clock   int // field of the time stamp
	date    int // field of the date, -1 if none
	millis  int // field of the milliseconds that a stamp of whole seconds lacks, -1 if none
	rpm     int // fields that the detection reads, -1 if none
	torque  int
	power   int
	pos     [4]int

	signs      []signs           // of each field
	untold     []int             // fields that have not told enough
	byName     map[string]*signs // of the fields of headers before
	grouped    []bool            // of each field: how its numbers are read was told
	comma      bool              // a decimal comma was told
	fields     [][]byte
	unquoted   []byte
	row        row
	converted  bool   // the number just read was in the unit behind it
	last       int64  // stamp of the newest row
	rows       int    // rows handed out
	badCells   uint64 // fields without a readable number, empty ones not counted
	decimals   int    // of the newest row's last field
	ends       int    // characters of the shortest last field of a row
	held       []byte // a line that went back in time, until the next one tells why
	heldLine   int
	heldTime   int64
	waiting    []openLine // lines whose date is not settled
	waitSize   int
	noStamp    bool // told that the stamps cannot be used
	toldMillis bool
	noMillis   bool // what is called milliseconds is something else

	onHeader func() error // the columns are known
	onRow    func(*row)
	onSkip   func(s Skip, raw []byte)
	onStep   func(line int, from, to int64) // the log's clock was set back for good
	onNote   func(n note)                   // something was found out about the file, or is doubted
	stop     func() error                   // nil: it is read to its end; asked after each line, ends it with an error
}

// openLine is a line that waits for the order of the dates to be known.
type openLine struct {
	n     int
	text  []byte
	whole bool
}

// maxOpen bounds what waits, bytes.
const maxOpen = 16 << 20

// blank tells whether there is no header yet.
func (d *decoder) blank() bool { return d.header == nil }

// byModeAny tells whether any column of interest depends on the mode.
func (d *decoder) byModeAny() bool {
	return slices.ContainsFunc(d.cols, func(c column) bool { return c.byMode })
}

// line takes the next line, n counted from 1; whole is false for a last line without an end.
// It fails only on a header it cannot use, or dates that cannot be told.
func (d *decoder) line(b []byte, n int, whole bool) error {
	if d.torn != nil {
		return d.join(b, n, whole)
	}
	switch {
	case b == nil:
		d.skip(n, fmt.Sprintf("longer than %d bytes", maxLine), nil)
		return nil
	case len(bytes.TrimSpace(b)) == 0:
		return nil
	case d.header == nil:
		return d.seekHeader(b, n)
	case bytes.Equal(b, d.raw):
		d.started = false // a row of units may follow
		if d.onSkip != nil && !d.survey {
			d.onSkip(Skip{Line: n, Why: "the header again", Header: true}, b)
		}
		return nil
	}
	if d.survey && d.sep != ' ' && len(d.untold) == 0 && (d.stamps == nil || !d.stamps.open()) && d.millis < 0 && startsNumber(b) {
		return nil // a row, and nothing is left to find out
	}
	if d.before.lvm.betweenRows(b) {
		return nil
	}
	text, comment := uncommented(b)
	if !d.split(text) {
		if d.open && whole {
			d.torn, d.tornAt, d.pieces = bytes.Clone(b), n, 1
			return nil
		}
		d.skip(n, "a quoted field has no end", b)
		return nil
	}
	if !d.started && d.refused == "" && len(d.fields) == len(d.header) && d.isUnits(d.reads) {
		d.takeUnits(n)
		return nil
	}
	if d.isHeader() {
		d.giveHeld()
		return d.follow(text, n)
	}
	if comment && len(d.fields) != len(d.header) {
		return nil
	}
	if d.refused != "" {
		d.skip(n, d.refused, b)
		return nil
	}
	if !d.fits() {
		if taken, err := d.endsEarly(b, n, whole); taken {
			return err
		}
		d.giveHeld()
		d.skip(n, d.misfit(), b)
		return nil
	}
	d.giveHeld()
	if !d.started && d.isUnits(d.reads) {
		d.takeUnits(n)
		return nil
	}
	d.started = d.started || d.clock < 0 || startsNumber(d.fields[d.clock]) || d.stampAt(d.clock)
	d.weigh()
	if d.survey {
		return nil
	}
	return d.data(b, n, whole)
}

// maxPieces is how many lines a quoted field may be on.
const maxPieces = 100

// join takes the line after one whose quoted field goes on. Where it is a row of its own, or no end comes, the quote was
// a fault of its line alone.
func (d *decoder) join(b []byte, n int, whole bool) error {
	torn := d.torn
	if b != nil && d.split(b) && d.fits() && (d.clock < 0 || startsNumber(d.fields[d.clock])) || len(torn)+len(b) >= maxLine || d.pieces == maxPieces {
		d.give("a quoted field has no end")
		return d.line(b, n, whole)
	}
	torn = append(append(torn, '\n'), b...)
	d.pieces++
	if text, _ := uncommented(torn); !d.split(text) && d.open {
		d.torn = torn
		return nil
	}
	at := d.tornAt
	d.torn = nil
	return d.line(torn, at, whole)
}

// give gives up a line whose quoted field has no end.
func (d *decoder) give(why string) {
	if d.torn == nil {
		return
	}
	if d.pieces > 1 {
		why += fmt.Sprintf(", with the %d lines below it", d.pieces-1)
	}
	d.skip(d.tornAt, why, d.torn)
	d.torn = nil
}

// data takes the line that was split, b, as a row, once its date can be read.
func (d *decoder) data(b []byte, n int, whole bool) error {
	at, err := d.stamp(n)
	if len(d.waiting) > 0 && d.stamps.orders.Settled() {
		waiting := d.waiting
		d.waiting, d.waitSize = nil, 0
		d.note(waiting[0].n, fmt.Sprintf("dates are read with the %s, as line %d tells", orderName(d.stamps.orders), n))
		for _, l := range waiting {
			d.splitRow(l.text)
			if err := d.data(l.text, l.n, l.whole); err != nil {
				return err
			}
		}
		d.splitRow(b)
		at, err = d.stamp(n)
	}
	switch {
	case errors.Is(err, errOrder) && !d.opt.untimed:
		why := fmt.Sprintf("%v, and no other date tells: say it (order, or --dates: dmy or mdy)", err)
		if d.whole {
			return fmt.Errorf("%w: line %d: %s", ErrFormat, n, why)
		}
		if len(d.waiting) == 0 {
			d.doubt(n, why+"; rows wait until one does")
		}
		d.waiting = append(d.waiting, openLine{n, bytes.Clone(b), whole})
		if d.waitSize += len(b) + 64; d.waitSize > maxOpen {
			return fmt.Errorf("%w: line %d: %s", ErrFormat, d.waiting[0].n, why)
		}
		return nil
	case err != nil && !d.opt.untimed:
		d.skip(n, err.Error(), b)
		return nil
	case err != nil && !d.noStamp:
		d.noStamp = true
		d.doubt(n, fmt.Sprintf("%v: rows are stamped with the time of reading", err))
	}
	if why := d.mixes(); why != "" {
		if d.whole {
			return fmt.Errorf("%w: line %d: %s", ErrFormat, n, why)
		}
		d.refused = why
		d.doubt(n, why+"; the rows below are left out, and those above may be wrong")
		return nil
	}
	d.row.stamped, d.row.time = err == nil && d.clock >= 0, at
	end := d.fields[min(max(d.least, 1), d.short.fields)-1]
	decimals := countDecimals(end)
	if !whole && d.rows > 0 && (decimals != d.decimals || decimals == 0 && len(end) < d.ends) {
		d.skip(n, "torn: the file ends in the middle of the line", b)
		return nil
	}
	if d.ends = min(d.ends, len(end)); d.rows == 0 {
		d.ends = len(end)
	}
	if d.opt.untimed { // the time of reading rules: the order of the stamps is no matter
		d.decimals = decimals
		d.take(n, at)
		return nil
	}
	switch {
	case d.rows == 0 || at > d.last:
		d.end()
	case at == d.last:
		d.skip(n, "the same time stamp as the row before", b)
		return nil
	case d.held == nil || at <= d.heldTime:
		// One line that goes back is a fault of that line; if the next one goes on from it, the
		// clock was set back.
		d.end()
		d.held, d.heldLine, d.heldTime = append([]byte{}, b...), n, at
		return nil
	default:
		from := d.last
		d.splitRow(d.held)
		d.held = nil
		d.take(d.heldLine, d.heldTime)
		if d.onStep != nil {
			d.onStep(d.heldLine, from, d.heldTime)
		}
		d.splitRow(b)
	}
	d.decimals = decimals
	d.take(n, at)
	return nil
}

// stamp reads the time of line n, which was split.
func (d *decoder) stamp(n int) (int64, error) {
	if d.clock < 0 {
		return d.last + 1, nil
	}
	var date []byte
	if d.date >= 0 {
		date = d.fields[d.date]
	}
	at, err := d.stamps.parse(date, d.fields[d.clock], d.sign(d.clock, d.fields[d.clock]))
	if err == nil && d.millis >= 0 {
		at = d.withMillis(at, n)
	}
	if err == nil && d.stamps.local {
		return d.stamps.nearest(at, d.last, d.rows > 0), nil
	}
	return at, err
}

// withMillis adds the milliseconds that stand in a column of their own to a stamp of whole seconds.
func (d *decoder) withMillis(at int64, line int) int64 {
	cell := d.fields[d.millis]
	ms, ok := milliseconds(cell)
	switch {
	case d.noMillis || len(cell) == 0:
	case !ok || at%1e9 != 0:
		d.noMillis = true
		d.doubt(line, fmt.Sprintf("column %q: %.20q is not the milliseconds of the stamp beside it, and is left out", d.header[d.millis], cell))
	default:
		if !d.toldMillis {
			d.toldMillis = true
			d.note(line, fmt.Sprintf("column %q is read as the milliseconds of %q", d.header[d.millis], d.header[d.clock]))
		}
		at += ms * 1e6
	}
	return at
}

// milliseconds reads what may be those of a second.
func milliseconds(cell []byte) (int64, bool) {
	n, ok := digits(cell)
	return int64(n), ok && len(cell) <= 3
}

// findMillis finds the column of milliseconds that loggers write beside a stamp of whole seconds, where nobody asks for it.
func (d *decoder) findMillis(header []string, used func(i int) bool) {
	d.millis = -1
	if d.stamps == nil || d.stamps.scale != 0 {
		return
	}
	if i := d.clock + 1; i < len(header) && !used(i) && millisNamed(header[i]) {
		d.millis = i
	}
}

func millisNamed(cell string) bool {
	name, _ := splitName(cell)
	return slices.Contains([]string{"ms", "msec", "millis", "millisec", "millisecond", "milliseconds"}, name)
}

func orderName(o wire.DateOrder) string {
	switch o {
	case wire.DayFirst:
		return "day first"
	case wire.MonthFirst:
		return "month first"
	}
	return "year first"
}

const backInTime = "goes back in time"

// end gives up the line held, as no other can follow from it.
func (d *decoder) end() {
	if d.held != nil {
		d.skip(d.heldLine, backInTime, d.held)
		d.held = nil
	}
}

// finish ends the log: lines whose date was never settled are given up.
func (d *decoder) finish() {
	d.give("a quoted field has no end")
	d.giveHeld()
	for _, l := range d.waiting {
		d.skip(l.n, "day or month first? No date of the file tells: say it (order, or --dates: dmy or mdy)", l.text)
	}
	d.waiting, d.waitSize = nil, 0
	d.end()
}

func (d *decoder) skip(line int, why string, raw []byte) {
	if d.onSkip != nil && !d.survey {
		d.onSkip(Skip{Line: line, Why: why}, raw)
	}
}

// note is something that was found out about a file, or is doubted.
type note struct {
	line  int
	text  string
	doubt bool
}

func (d *decoder) note(line int, text string) { d.tell(note{line: line, text: text}) }

func (d *decoder) doubt(line int, text string) { d.tell(note{line: line, text: text, doubt: true}) }

func (d *decoder) tell(n note) {
	if d.onNote != nil && !d.survey {
		d.onNote(n)
	}
}

// take hands out the split line as a row.
func (d *decoder) take(line int, at int64) {
	r := &d.row
	r.line, r.time = line, at
	for i := range d.cols {
		c := &d.cols[i]
		if c.index < 0 {
			r.value[i], r.status[i] = math.NaN(), sensors.Status{}
			continue
		}
		cell := d.fields[c.index]
		d.converted = false
		v, status := d.number(cell, c.index)
		if status.Signal == sensors.Failure {
			if n, ok := d.withUnit(c, cell, line); ok {
				v, status = n, sensors.OK
			}
		}
		if status.Signal == sensors.Failure && c.Role == sensors.ProgramLine {
			if n, ok := lineNumber(cell); ok { // the log has the text of the line
				v, status = n, sensors.OK
			}
		}
		switch {
		case !status.IsGood():
			if status.Signal == sensors.Failure {
				d.badCell(c, line, cell, "")
			}
		case c.hasUnwired && !c.wired && v == c.unwired:
			status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Unwired}
		default:
			c.wired = true
			if slices.Contains(c.sentinels, v) || math.Abs(v) >= sensors.NoReading {
				status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
			} else if c.again != unit.Identity && !d.converted {
				v = c.again.Apply(v)
			}
			switch {
			case !status.IsGood():
			case c.wrong:
				status = sensors.Status{Signal: sensors.Failure, Reason: sensors.WrongUnit}
			case c.quality > 0 && d.judged(c) != sensors.OK:
				status = d.judged(c)
			case sensors.Absurd(v, c.named):
				status = sensors.Status{Signal: sensors.Failure, Reason: sensors.OutOfRange}
				d.badCell(c, line, cell, "temperature")
			}
		}
		r.value[i], r.status[i], r.sent[i] = v, status, ""
		if status.Reason == sensors.NotANumber {
			r.sent[i] = c.text(cell)
		}
	}
	r.rpm, r.torque, r.power = d.field(d.rpm), d.field(d.torque), d.field(d.power)
	for i, f := range d.pos {
		r.pos[i] = d.field(f)
	}
	d.last = at
	d.rows++
	d.onRow(r)
}

func (d *decoder) field(i int) float64 {
	if i < 0 {
		return math.NaN()
	}
	v, _ := d.number(d.fields[i], i)
	return v
}

func countDecimals(b []byte) int {
	if i := bytes.LastIndexAny(b, ".,"); i >= 0 {
		return len(b) - i
	}
	return 0
}

// splitRow splits a line again that was taken as a row.
func (d *decoder) splitRow(b []byte) {
	text, _ := uncommented(b)
	d.split(text)
	d.fits()
}

// split cuts a line into fields, spaces around them dropped. A field may stand in double quotes,
// in which "" is a quote, and these behind an equals sign.
func (d *decoder) split(b []byte) bool {
	if d.sep == ' ' {
		return d.splitBlanks(b)
	}
	d.fields, d.unquoted, d.open = d.fields[:0], d.unquoted[:0], false
	for {
		t := bytes.TrimLeft(b, " ")
		if len(t) > 1 && t[0] == '=' && t[1] == '"' { // ="1.5", by which spreadsheets keep a text as it is
			t = t[1:]
		}
		if len(t) > 0 && t[0] == '"' {
			from := len(d.unquoted)
			t = t[1:]
			for {
				i := bytes.IndexByte(t, '"')
				if i < 0 {
					d.open = true
					return false
				}
				d.unquoted = append(d.unquoted, t[:i]...)
				if t = t[i+1:]; len(t) == 0 || t[0] != '"' {
					break
				}
				d.unquoted = append(d.unquoted, '"')
				t = t[1:]
			}
			// A grown buffer leaves earlier fields in the old one, which stays as it is.
			field := d.unquoted[from:len(d.unquoted):len(d.unquoted)]
			if n := len(field); n > 2 && field[0] == '=' && field[1] == '"' && field[n-1] == '"' { // the same, in quotes once more
				field = field[2 : n-1 : n-1]
			}
			d.fields = append(d.fields, field)
			if t = bytes.TrimLeft(t, " \t\r"); len(t) == 0 {
				return true
			}
			if t[0] != d.sep {
				return false
			}
			b = t[1:]
			continue
		}
		i := bytes.IndexByte(b, d.sep)
		if i < 0 {
			d.fields = append(d.fields, bytes.TrimSpace(b))
			return true
		}
		d.fields = append(d.fields, bytes.TrimSpace(b[:i]))
		b = b[i+1:]
	}
}
