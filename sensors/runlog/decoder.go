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
)

// column is one column of interest with what it takes to read it.
type column struct {
	Column
	index      int      // field of the line
	inch, mm   unit.Map // from the file's unit to the channel's, by mode
	byMode     bool
	sentinels  []float64
	unwired    float64
	hasUnwired bool
	wired      bool // has shown something else than its unwired value
}

// row is one line of the log, in the file's own units. Its slices are used again for the next.
type row struct {
	line   int
	time   int64
	value  []float64
	status []sensors.Status

	rpm, torque, power float64 // NaN where the log has no such column
	pos                [4]float64
}

// decoder reads a log line by line: the first one is the header.
type decoder struct {
	opt    Options
	stamps *stamps

	header  []string
	raw     []byte // the header as it stands
	sep     byte
	comma   bool // decimal comma
	meld    bool
	cols    []column
	ignored []string
	clock   int // field of the time stamp
	date    int // field of the date, -1 if none
	rpm     int // fields that the detection reads, -1 if none
	torque  int
	power   int
	pos     [4]int

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

	onRow  func(*row)
	onSkip func(s Skip, raw []byte)
	onStep func(line int, from, to int64) // the log's clock was set back for good
}

// blank tells whether there is no header yet.
func (d *decoder) blank() bool { return d.header == nil }

// byModeAny tells whether any column of interest depends on the mode.
func (d *decoder) byModeAny() bool {
	return slices.ContainsFunc(d.cols, func(c column) bool { return c.byMode })
}

// line takes the next line, n counted from 1; whole is false for a last line without an end.
// It fails only on a header it cannot use.
func (d *decoder) line(b []byte, n int, whole bool) error {
	switch {
	case b == nil:
		d.skip(n, fmt.Sprintf("longer than %d bytes", maxLine), nil)
		return nil
	case len(bytes.TrimSpace(b)) == 0:
		return nil
	case d.header == nil:
		return d.readHeader(b)
	case bytes.Equal(b, d.raw):
		d.skip(n, "the header again", b)
		return nil
	}
	if !d.split(b) {
		d.skip(n, "a quoted field has no end", b)
		return nil
	}
	if extra := len(d.fields) - len(d.header); extra != 0 && !(extra == 1 && len(d.fields[len(d.header)]) == 0) {
		d.skip(n, fmt.Sprintf("%d fields, the header has %d", len(d.fields), len(d.header)), b)
		return nil
	}
	decimals := countDecimals(d.fields[len(d.header)-1])
	if !whole && d.rows > 0 && decimals != d.decimals {
		d.skip(n, "torn: the file ends in the middle of the line", b)
		return nil
	}
	at := d.last + 1 // where no column says
	if d.clock >= 0 {
		var date []byte
		if d.date >= 0 {
			date = d.fields[d.date]
		}
		var err error
		if at, err = d.stamps.parse(date, d.fields[d.clock]); err != nil {
			d.skip(n, err.Error(), b)
			return nil
		}
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

// end gives up the line held, as no other can follow from it.
func (d *decoder) end() {
	if d.held != nil {
		d.skip(d.heldLine, "goes back in time", d.held)
		d.held = nil
	}
}

func (d *decoder) skip(line int, why string, raw []byte) {
	if d.onSkip != nil {
		d.onSkip(Skip{Line: line, Why: why}, raw)
	}
}

// take hands out the split line as a row.
func (d *decoder) take(line int, at int64) {
	r := &d.row
	r.line, r.time = line, at
	for i := range d.cols {
		c := &d.cols[i]
		v, status := d.number(d.fields[c.index])
		switch {
		case !status.IsGood():
			if status.Signal == sensors.Failure {
				d.badCells++
			}
		case c.hasUnwired && !c.wired && v == c.unwired:
			status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Unwired}
		default:
			c.wired = true
			if slices.Contains(c.sentinels, v) {
				status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
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

func (d *decoder) field(i int) float64 {
	if i < 0 {
		return math.NaN()
	}
	v, _ := d.number(d.fields[i])
	return v
}

// number reads one field: good, missing (empty) or a failure (no finite number).
func (d *decoder) number(b []byte) (float64, sensors.Status) {
	if len(b) == 0 {
		return math.NaN(), sensors.Status{}
	}
	v, err := strconv.ParseFloat(view(b), 64)
	if err != nil && d.comma {
		if i := bytes.IndexByte(b, ','); i >= 0 {
			v, err = strconv.ParseFloat(string(b[:i])+"."+string(b[i+1:]), 64)
		}
	}
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return math.NaN(), sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}
	}
	return v, sensors.OK
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

// ErrFormat is wrapped by errors about a header that cannot be used.
var ErrFormat = errors.New("not a log that can be read")

func (d *decoder) readHeader(b []byte) error {
	d.sep = d.opt.Separator
	if d.sep == 0 {
		best := 0
		for _, sep := range []byte{',', ';', '\t'} {
			if n := bytes.Count(b, []byte{sep}); n > best {
				d.sep, best = sep, n
			}
		}
		if best == 0 {
			return fmt.Errorf("%w: the first line %.60q has no comma, semicolon or tab", ErrFormat, b)
		}
	}
	if !d.split(b) {
		return fmt.Errorf("%w: a quoted name in the header %.60q has no end", ErrFormat, b)
	}
	d.comma = d.sep != ','
	header := make([]string, len(d.fields))
	for i, f := range d.fields {
		header[i] = string(f)
	}
	d.meld = isMELD(header)
	format := d.opt.Format
	if format == "" {
		switch {
		case d.meld && d.opt.Time.Key == "":
			format = MELD
		case len(d.opt.Fields) > 0 || len(d.ownNames(header)) > 0:
			format = CSV
		}
	}
	d.clock, d.date, d.rpm, d.torque, d.power, d.pos = -1, -1, -1, -1, -1, [4]int{-1, -1, -1, -1}
	var err error
	switch format {
	case MELD:
		if !d.meld {
			return fmt.Errorf("%w: not a MELD log: its header has %s; wanted are Date, Time and columns such as SpinVel, SpinTrq, ToolTemp", ErrFormat, strings.Join(header, ", "))
		}
		err = d.meldHeader(header)
	case CSV:
		d.meld = false
		err = d.csvHeader(header)
	default:
		return fmt.Errorf("%w: neither a MELD log nor described by a column map; its header has %s: say which column is which channel (fields) and where the time stands (time)",
			ErrFormat, strings.Join(header, ", "))
	}
	if err != nil {
		return err
	}
	d.header, d.raw = header, append([]byte{}, b...)
	d.row.value = make([]float64, len(d.cols))
	d.row.status = make([]sensors.Status, len(d.cols))
	return nil
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
	var err error
	if d.stamps, err = newStamps(TimeColumn{Key: meldTime, DateKey: meldDate}, d.opt.Location); err != nil {
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
	c.byMode = c.inch != c.mm
	d.cols = append(d.cols, c)
	return nil
}
