package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// column is one column of interest with what it takes to read it.
type column struct {
	Column
	index      int       // field of the line, -1 where the newest header lacks it
	inch, mm   unit.Map  // from the file's unit to the channel's, by mode
	named      unit.Unit // of a column that says its unit: that of the first header
	again      unit.Map  // from the unit in the newest header to named
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
	meld    bool
	named   bool // the columns say what they are
	started bool // a row has followed the header
	cols    []column
	ignored []string
	clock   int // field of the time stamp
	date    int // field of the date, -1 if none
	rpm     int // fields that the detection reads, -1 if none
	torque  int
	power   int
	pos     [4]int

	signs    []signs           // of each field
	untold   []int             // fields that have not told enough
	byName   map[string]*signs // of the fields of headers before
	grouped  []bool            // of each field: how its numbers are read was told
	comma    bool              // a decimal comma was told
	fields   [][]byte
	unquoted []byte
	row      row
	last     int64  // stamp of the newest row
	rows     int    // rows handed out
	badCells uint64 // fields without a readable number, empty ones not counted
	decimals int    // of the newest row's last field
	held     []byte // a line that went back in time, until the next one tells why
	heldLine int
	heldTime int64
	open     []openLine // lines whose date is not settled
	openSize int
	noStamp  bool // told that the stamps cannot be used

	onHeader func() error // the columns are known
	onRow    func(*row)
	onSkip   func(s Skip, raw []byte)
	onStep   func(line int, from, to int64) // the log's clock was set back for good
	onNote   func(n note)                   // something was found out about the file, or is doubted
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
	switch {
	case b == nil:
		d.skip(n, fmt.Sprintf("longer than %d bytes", maxLine), nil)
		return nil
	case len(bytes.TrimSpace(b)) == 0:
		return nil
	case d.header == nil:
		return d.findHeader(b, n)
	case bytes.Equal(b, d.raw):
		if d.onSkip != nil && !d.survey {
			d.onSkip(Skip{Line: n, Why: "the header again", Header: true}, b)
		}
		return nil
	}
	if d.survey && len(d.untold) == 0 && (d.stamps == nil || d.stamps.scale != 0 || d.stamps.orders.Settled()) && startsNumber(b) {
		return nil // a row, and nothing is left to find out
	}
	text, comment := uncommented(b)
	if !d.split(text) {
		d.skip(n, "a quoted field has no end", b)
		return nil
	}
	if d.isHeader() {
		return d.follow(text, n)
	}
	if comment && len(d.fields) != len(d.header) {
		return nil
	}
	if d.refused != "" {
		d.skip(n, d.refused, b)
		return nil
	}
	if extra := len(d.fields) - len(d.header); extra != 0 && !(extra == 1 && len(d.fields[len(d.header)]) == 0) {
		d.skip(n, fmt.Sprintf("%d fields, the header has %d", len(d.fields), len(d.header)), b)
		return nil
	}
	if !d.started && d.isUnits() {
		return nil
	}
	d.started = true
	d.weigh()
	if d.survey {
		return nil
	}
	return d.data(b, n, whole)
}

// data takes the line that was split, b, as a row, once its date can be read.
func (d *decoder) data(b []byte, n int, whole bool) error {
	at, err := d.stamp()
	if len(d.open) > 0 && d.stamps.orders.Settled() {
		open := d.open
		d.open, d.openSize = nil, 0
		d.note(open[0].n, fmt.Sprintf("dates are read with the %s, as line %d tells", orderName(d.stamps.orders), n))
		for _, l := range open {
			d.split(l.text)
			if err := d.data(l.text, l.n, l.whole); err != nil {
				return err
			}
		}
		d.split(b)
		at, err = d.stamp()
	}
	switch {
	case errors.Is(err, errOrder) && !d.opt.untimed:
		why := fmt.Sprintf("%v, and no other date tells: say it (order, or --dates: dmy or mdy)", err)
		if d.whole {
			return fmt.Errorf("%w: line %d: %s", ErrFormat, n, why)
		}
		if len(d.open) == 0 {
			d.doubt(n, why+"; rows wait until one does")
		}
		d.open = append(d.open, openLine{n, bytes.Clone(b), whole})
		if d.openSize += len(b) + 64; d.openSize > maxOpen {
			return fmt.Errorf("%w: line %d: %s", ErrFormat, d.open[0].n, why)
		}
		return nil
	case err != nil && !d.opt.untimed:
		d.skip(n, err.Error(), b)
		return nil
	case err != nil && !d.noStamp:
		d.noStamp = true
		d.doubt(n, fmt.Sprintf("%v: rows are stamped with the time of reading", err))
	}
	d.row.stamped, d.row.time = err == nil && d.clock >= 0, at
	decimals := countDecimals(d.fields[len(d.header)-1])
	if !whole && d.rows > 0 && decimals != d.decimals {
		d.skip(n, "torn: the file ends in the middle of the line", b)
		return nil
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
		d.split(d.held)
		d.held = nil
		d.take(d.heldLine, d.heldTime)
		if d.onStep != nil {
			d.onStep(d.heldLine, from, d.heldTime)
		}
		d.split(b)
	}
	d.decimals = decimals
	d.take(n, at)
	return nil
}

// stamp reads the time of the line that was split.
func (d *decoder) stamp() (int64, error) {
	if d.clock < 0 {
		return d.last + 1, nil
	}
	var date []byte
	if d.date >= 0 {
		date = d.fields[d.date]
	}
	return d.stamps.parse(date, d.fields[d.clock], d.sign(d.clock, d.fields[d.clock]))
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

// end gives up the line held, as no other can follow from it.
func (d *decoder) end() {
	if d.held != nil {
		d.skip(d.heldLine, "goes back in time", d.held)
		d.held = nil
	}
}

// finish ends the log: lines whose date was never settled are given up.
func (d *decoder) finish() {
	for _, l := range d.open {
		d.skip(l.n, "day or month first? No date of the file tells: say it (order, or --dates: dmy or mdy)", l.text)
	}
	d.open, d.openSize = nil, 0
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
		v, status := d.number(cell, c.index)
		if status.Signal == sensors.Failure && c.Role == sensors.ProgramLine {
			if n, ok := lineNumber(cell); ok { // the log has the text of the line
				v, status = n, sensors.OK
			}
		}
		switch {
		case !status.IsGood():
			if status.Signal == sensors.Failure {
				d.badCell(c, line, cell)
			}
		case c.hasUnwired && !c.wired && v == c.unwired:
			status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Unwired}
		default:
			c.wired = true
			if slices.Contains(c.sentinels, v) {
				status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
			} else if c.again != unit.Identity {
				v = c.again.Apply(v)
			}
		}
		r.value[i], r.status[i] = v, status
	}
	r.rpm, r.torque, r.power = d.field(d.rpm), d.field(d.torque), d.field(d.power)
	for i, f := range d.pos {
		r.pos[i] = d.field(f)
	}
	d.last = at
	d.rows++
	d.onRow(r)
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

// badCell counts a field that holds no number.
func (d *decoder) badCell(c *column, line int, cell []byte) {
	d.badCells++
	c.bad.Count++
	if c.bad.Count == 1 {
		c.bad.Column, c.bad.Line, c.bad.Text = c.Key, line, fmt.Sprintf("%.40q", cell)
		if d.sign(c.index, cell) == 0 {
			c.bad.Text = wire.TwoWays(cell)
		}
	}
	if n := c.bad.Count; !d.whole && (n == 1 || n == 10 || n%100 == 0) {
		d.doubt(line, c.bad.String())
	}
}

func (d *decoder) field(i int) float64 {
	if i < 0 {
		return math.NaN()
	}
	v, _ := d.number(d.fields[i], i)
	return v
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
	v, ok := wire.ParseNumber(b, sign)
	if !ok {
		return math.NaN(), sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}
	}
	if _, simple := plain(b, 1e9, '.'); !simple && !d.grouped[field] {
		d.tellSigns(b, field, v)
	}
	return v, sensors.OK
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
			d.signs[i].note(wire.Analyse(b).Decimal)
		}
		if s := d.signs[i]; max(s.point-s.comma, s.comma-s.point) >= enough || i == d.date || i == d.clock && d.stamps.scale == 0 {
			d.untold = slices.Delete(d.untold, k, k+1)
		}
	}
	if d.clock >= 0 && !d.stamps.orders.Settled() {
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
	if sign := d.signs[field].decimal(); sign != 0 {
		return sign
	}
	var all signs
	for i := range d.signs {
		all.note(d.signs[i].decimal())
	}
	switch a := wire.Analyse(cell); {
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

func countDecimals(b []byte) int {
	if i := bytes.LastIndexAny(b, ".,"); i >= 0 {
		return len(b) - i
	}
	return 0
}

// split cuts a line into fields, spaces around them dropped. A field may stand in double quotes,
// in which "" is a quote.
func (d *decoder) split(b []byte) bool {
	d.fields, d.unquoted = d.fields[:0], d.unquoted[:0]
	for {
		if t := bytes.TrimLeft(b, " "); len(t) > 0 && t[0] == '"' {
			from := len(d.unquoted)
			t = t[1:]
			for {
				i := bytes.IndexByte(t, '"')
				if i < 0 {
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
			d.fields = append(d.fields, d.unquoted[from:len(d.unquoted):len(d.unquoted)])
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

// find is the field of a column by name, or by number from 1.
func find(header []string, key string) (int, error) {
	i := slices.Index(header, key)
	if i < 0 {
		if n, err := strconv.Atoi(key); err == nil && n >= 1 && n <= len(header) {
			return n - 1, nil
		}
		return 0, fmt.Errorf("%w: there is no column %q; the header has %s", ErrFormat, key, strings.Join(header, ", "))
	}
	if slices.Contains(header[i+1:], key) {
		return 0, fmt.Errorf("%w: column %q stands twice in the header; name it by its number (%d is the first)", ErrFormat, key, i+1)
	}
	return i, nil
}

func (d *decoder) meldHeader(header []string) error {
	if !isMELD(header) {
		return fmt.Errorf("%w: not a MELD log: its header has %s; wanted are Date, Time and columns such as SpinVel, SpinTrq, ToolTemp", ErrFormat, strings.Join(header, ", "))
	}
	d.meld = true
	var err error
	if d.stamps, err = newStamps(TimeColumn{Key: meldTime, DateKey: meldDate, Order: d.opt.Time.Order}, d.opt.Location); err != nil {
		return err
	}
	for key, at := range map[string]*int{meldTime: &d.clock, meldDate: &d.date, meldSpeed: &d.rpm, meldTorque: &d.torque, meldPower: &d.power,
		meldPositions[0]: &d.pos[0], meldPositions[1]: &d.pos[1], meldPositions[2]: &d.pos[2], meldPositions[3]: &d.pos[3]} {
		if slices.Contains(header, key) {
			if *at, err = find(header, key); err != nil {
				return err
			}
		}
	}
	if len(d.opt.Fields) > 0 {
		for _, f := range d.opt.Fields {
			i, err := find(header, f.Key)
			if err != nil && d.opt.lenient && !slices.Contains(header, f.Key) {
				continue
			}
			if err != nil {
				return err
			}
			m := meldByKey(header[i])
			if m == nil {
				m = &meldColumn{key: header[i], inch: f.Unit, mm: f.Unit}
			}
			c := *m
			if f.Unit != (unit.Unit{}) {
				c.inch, c.mm = f.Unit, f.Unit
			}
			if f.Sentinels != nil {
				c.sentinels = f.Sentinels
			}
			c.channel = d.channel(f, c.channel)
			if err := d.add(&c, i); err != nil {
				return err
			}
		}
		return nil
	}
	for i, key := range header {
		m := meldByKey(key)
		if m == nil {
			if key != meldDate && key != meldTime && key != "" {
				d.ignored = append(d.ignored, key)
			}
			continue
		}
		if _, err := find(header, key); err != nil {
			return err
		}
		c := *m
		if want := d.wanted(m.channel.Name, m.channel.Role); want != nil {
			c.channel = *want
		} else if d.opt.onlyChannels {
			continue
		}
		if err := d.add(&c, i); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) csvHeader(header []string) error {
	if d.opt.Units != Auto {
		return fmt.Errorf("units %s is for MELD logs; in a column map every field names its unit", d.opt.Units)
	}
	fields := d.opt.Fields
	if len(fields) == 0 {
		fields = d.ownNames(header)
	}
	if len(fields) == 0 {
		return fmt.Errorf("%w: no fields are named and no column bears a channel's name; the header has %s", ErrFormat, strings.Join(header, ", "))
	}
	var err error
	switch {
	case d.opt.Time.Key != "":
		if d.stamps, err = newStamps(d.opt.Time, d.opt.Location); err != nil {
			return err
		}
		d.stamps.elapsed = d.opt.elapsed
		if d.clock, err = find(header, d.opt.Time.Key); err != nil {
			return err
		}
		if d.opt.Time.DateKey != "" {
			if d.date, err = find(header, d.opt.Time.DateKey); err != nil {
				return err
			}
		}
	case !d.opt.untimed:
		return fmt.Errorf("%w: no time column is named (time: key); the header has %s", ErrFormat, strings.Join(header, ", "))
	}
	used := map[int]bool{d.clock: true, d.date: true}
	for _, f := range fields {
		i, err := find(header, f.Key)
		if err != nil && d.opt.lenient && !slices.Contains(header, f.Key) {
			continue
		}
		if err != nil {
			return err
		}
		used[i] = true
		var known sensors.Channel
		for _, c := range MELDChannels() {
			if c.Name == f.Channel {
				known = c
			}
		}
		ch := d.channel(f, known)
		from := f.Unit
		if from == (unit.Unit{}) {
			from = ch.Unit
		}
		if err := d.add(&meldColumn{key: header[i], inch: from, mm: from, sentinels: f.Sentinels, channel: ch}, i); err != nil {
			return err
		}
	}
	for i, key := range header {
		if !used[i] && key != "" {
			d.ignored = append(d.ignored, key)
		}
	}
	return nil
}

// ownNames maps the columns that bear a channel's name.
func (d *decoder) ownNames(header []string) (fields []Field) {
	for _, c := range d.opt.Channels {
		if slices.Contains(header, c.Name) && c.Name != d.opt.Time.Key {
			fields = append(fields, Field{Key: c.Name, Channel: c.Name})
		}
	}
	return fields
}

// wanted finds the caller's channel by name, else by role.
func (d *decoder) wanted(name string, role sensors.Role) *sensors.Channel {
	for i := range d.opt.Channels {
		if d.opt.Channels[i].Name == name {
			return &d.opt.Channels[i]
		}
	}
	for i := range d.opt.Channels {
		if r := d.opt.Channels[i].Role; r == role && r != sensors.Other && r != "" {
			return &d.opt.Channels[i]
		}
	}
	return nil
}

// channel is the one a field goes to: the caller's by name, else the known one, else a new one.
func (d *decoder) channel(f Field, known sensors.Channel) sensors.Channel {
	for _, c := range d.opt.Channels {
		if c.Name == f.Channel {
			return c
		}
	}
	if known.Name != "" {
		known.Name = f.Channel
		return known
	}
	u := f.Unit
	if u == (unit.Unit{}) {
		u = unit.MustParse("1")
	}
	return sensors.Channel{Name: f.Channel, Role: sensors.Other, Unit: u}
}

// add makes column i of the file a column of the log.
func (d *decoder) add(m *meldColumn, i int) error {
	c := column{
		Column: Column{Name: m.channel.Name, Key: m.key, Role: m.channel.Role, Unit: m.channel.Unit},
		index:  i, sentinels: m.sentinels, unwired: m.unwired, hasUnwired: m.hasUnwired,
	}
	if c.Role == "" {
		c.Role = sensors.Other
	}
	if c.Name == "" {
		return fmt.Errorf("column %q: no channel is named for it", m.key)
	}
	for _, other := range d.cols {
		if other.Name == c.Name {
			return fmt.Errorf("columns %q and %q both go to channel %q", other.Key, c.Key, c.Name)
		}
	}
	inch, mm := m.inch, m.mm
	if m.channel.Role == sensors.SetPoint && d.meld && c.Unit.Dim != unit.Temperature {
		// The set-point is in whatever the spindle's PID holds; the channel says what that is.
		inch, mm = c.Unit, c.Unit
		switch c.Unit.Dim {
		case unit.Torque:
			inch, mm = unit.MustParse("ft·lbf"), unit.MustParse("N·m")
		case unit.Force:
			inch, mm = unit.MustParse("lbf"), unit.MustParse("N")
		}
	}
	var err error
	if c.inch, err = unit.Between(inch, c.Unit); err == nil {
		c.mm, err = unit.Between(mm, c.Unit)
	}
	if err != nil {
		return fmt.Errorf("column %q and channel %q: %w", m.key, c.Name, err)
	}
	c.byMode, c.again = c.inch != c.mm, unit.Identity
	d.cols = append(d.cols, c)
	return nil
}
