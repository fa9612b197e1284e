// Package runlog reads the run logs that machine controllers write: the MELD CSV, recognised by
// its header, and any CSV by a column map. [Read] takes a whole file, [Tail] follows one that
// grows. Sentinels become status, units are found out from the log itself, and what cannot be
// read is counted and named without losing anything else.
package runlog

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// Format is the kind of a log.
type Format string

const (
	MELD Format = "meld" // the CSV of MELD machines
	CSV  Format = "csv"  // any CSV, described by Options.Fields and Options.Time
)

// Options say how to read a log. The zero Options read a MELD log.
type Options struct {
	Format    Format                          // "": recognised by the header
	Units     Mode                            // of a MELD log; Auto: found out
	Location  *time.Location                  // zone of stamps that name none; nil: the local one
	Channels  []sensors.Channel               // channels the columns go to, by name or else by role; columns without one keep the defaults
	Fields    []Field                         // which columns to read; none: all known ones of a MELD log, those named as a channel of a CSV
	Time      TimeColumn                      // of a CSV; MELD logs have Date and Time
	Separator byte                            // 0: comma, semicolon, tab, |, ^, ~ or blanks, as the header or a line "sep=;" says
	Decimal   byte                            // '.' or ',': sign of decimals; 0: the columns tell
	Named     []Named                         // quantities of a CSV whose columns say what they are; needs no Fields and no Time
	ParseUnit func(string) (unit.Unit, error) // of columns that say their unit; nil: [unit.Parse]

	untimed      bool // the time of reading rules: a CSV may be without a time column, or with a useless one
	elapsed      bool // a time without a date may be one elapsed
	onlyChannels bool // leave out MELD columns that have no channel in Channels
	lenient      bool // a column that the header lacks is no error
}

// Field maps one column to a channel.
type Field struct {
	Key       string    // column name, or its number from 1
	Channel   string    // channel name
	Unit      unit.Unit // of the file; zero: the channel's own, for MELD what its mode says
	Sentinels []float64 // numbers that mean "no signal"; compared before conversion
}

// Column describes one column of a [Log].
type Column struct {
	Name string // channel
	Key  string // in the file's header
	Role sensors.Role
	Unit unit.Unit // of Log.Value
}

// Skip is a line that is not in the log, and why.
type Skip struct {
	Line   int // counted from 1, the header included
	Why    string
	Header bool // it is the header again, and no row
}

// BadCells are the fields of a column that hold no number, or none that can be a reading.
type BadCells struct {
	Column string // as the header has it
	Count  int
	Line   int    // of the first
	Text   string // the first, quoted, and what may be done about it
	Is     string // what the first is not: "" a number, or a temperature
}

// String is e.g. `heater power [W]: 120 values are no number, the first in line 302: "---"`.
func (b BadCells) String() string {
	if b.Count == 1 {
		return fmt.Sprintf("%s: 1 value is no %s, in line %d: %s", b.Column, cmp.Or(b.Is, "number"), b.Line, b.Text)
	}
	return fmt.Sprintf("%s: %d values are no %s, the first in line %d: %s", b.Column, b.Count, cmp.Or(b.Is, "number"), b.Line, b.Text)
}

// Step is a place where the log's clock was set back for good.
type Step struct {
	Row      int // the first row after it, counted from 1
	Line     int // of that row
	From, To int64
}

// maxSkips is how many skipped lines are named; all are counted.
const maxSkips = 1000

// Log is a whole run. Value and Status are indexed by column, then row.
type Log struct {
	Name     string // file name without extension
	SHA256   string // of the file, hex
	Format   Format
	Columns  []Column
	Time     []int64     // ns since the Unix epoch, increasing but at Steps
	Value    [][]float64 // in the column's unit; NaN where the file has no number
	Status   [][]sensors.Status
	Line     []int       // of each row in the file, counted from 1
	Detected []Detection // units by stretches of rows; empty where no column depends on them
	Ignored  []string    // columns of the file that are not read
	Skipped  []Skip      // the first 1000
	Skips    int         // lines skipped in all
	Lost     []int       // the lines of those that were rows, rising
	BadCells int         // fields that hold no number; the rest of their rows is kept
	Bad      []BadCells  // the same by column
	Notes    []string    // what else was found out: headers inside the file, how numbers and dates are read
	Steps    []Step
}

// ErrUnits is wrapped when a MELD log does not tell in which units it was written.
var ErrUnits = errors.New("units of the log cannot be told")

// Remarks say, each on one line, what was found out about the log and what of it was left out.
func (l *Log) Remarks() (all []string) {
	say := func(format string, args ...any) { all = append(all, l.Name+": "+fmt.Sprintf(format, args...)) }
	for _, d := range l.Detected {
		say("%s", d)
	}
	for _, n := range l.Notes {
		say("%s", n)
	}
	if l.Skips > 0 {
		say("%d lines left out, the first is line %d: %s", l.Skips, l.Skipped[0].Line, l.Skipped[0].Why)
	}
	for _, b := range l.Bad {
		say("%s", b)
	}
	for _, s := range l.Steps {
		say("the clock is set back by %v in line %d, and the rows go on from there", time.Duration(s.From-s.To), s.Line)
	}
	return all
}

// Rows walks the rows of a log, one after the other, as samples of the channels that bear the columns'
// names. The samples are the caller's until the next call; false: the log is at its end.
func (l *Log) Rows(reg *sensors.Registry) func() (at int64, samples []sensors.Sample, ok bool) {
	type column struct {
		i  int
		id sensors.ChannelID
	}
	var columns []column
	for i := range l.Columns {
		if id, ok := reg.Lookup(l.Columns[i].Name); ok {
			columns = append(columns, column{i, id})
		}
	}
	row, samples := 0, make([]sensors.Sample, 0, len(columns))
	return func() (int64, []sensors.Sample, bool) {
		if row == len(l.Time) {
			return 0, nil, false
		}
		t := l.Time[row]
		samples = samples[:0]
		for _, c := range columns {
			samples = append(samples, sensors.Sample{Time: t, Arrival: t, Value: l.Value[c.i][row], Channel: c.id, Status: l.Status[c.i][row]})
		}
		row++
		return t, samples, true
	}
}

// Column finds a column by channel name.
func (l *Log) Column(name string) (int, bool) {
	for i := range l.Columns {
		if l.Columns[i].Name == name {
			return i, true
		}
	}
	return 0, false
}

// Find finds the column of a role; Other is never found.
func (l *Log) Find(role sensors.Role) (int, bool) {
	for i := range l.Columns {
		if l.Columns[i].Role == role && role != sensors.Other {
			return i, true
		}
	}
	return 0, false
}

// Read reads the log at path. It fails if the file cannot be read, its header cannot be used
// ([ErrFormat]), no row is left, or the units cannot be told ([ErrUnits]; Options.Units says
// them). Lines that cannot be read are in Skipped.
func Read(path string, opt Options) (*Log, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	log, err := readText(text, opt)
	if err != nil {
		return nil, fmt.Errorf("run log %s: %w", path, err)
	}
	log.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	return log, nil
}

// Parse is [Read] for any stream; the log has no name.
func Parse(r io.Reader, opt Options) (*Log, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return readText(text, opt)
}

func readText(text []byte, opt Options) (*Log, error) {
	opt.elapsed = true
	// How numbers and dates are written is told by the whole file: it is read twice.
	look := &decoder{opt: opt, survey: true, onRow: func(*row) {}}
	if _, err := look.from(bytes.NewReader(text)); err != nil {
		return nil, err
	}
	look.keepSigns()
	log := &Log{}
	d := look.again()
	units := newDetector(opt.Units)
	d.onRow = func(r *row) {
		if log.Value == nil {
			log.Value = make([][]float64, len(d.cols))
			log.Status = make([][]sensors.Status, len(d.cols))
		}
		log.Time = append(log.Time, r.time)
		log.Line = append(log.Line, r.line)
		for i := range d.cols {
			log.Value[i] = append(log.Value[i], r.value[i])
			log.Status[i] = append(log.Status[i], r.status[i])
		}
		if d.meld {
			units.add(r.rpm, r.torque, r.power, &r.pos)
		}
	}
	back := 0
	d.onSkip = func(s Skip, _ []byte) {
		if s.Why == backInTime {
			back++
		}
		if !s.Header {
			log.Lost = append(log.Lost, s.Line)
		}
		if log.Skips++; len(log.Skipped) < maxSkips {
			log.Skipped = append(log.Skipped, s)
		}
	}
	d.onStep = func(line int, from, to int64) {
		log.Steps = append(log.Steps, Step{Row: d.rows, Line: line, From: from, To: to})
	}
	d.onNote = func(n note) { log.Notes = append(log.Notes, fmt.Sprintf("line %d: %s", n.line, n.text)) }
	lines, err := d.from(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}

	switch {
	case d.blank():
		return nil, fmt.Errorf("%w: it is empty", ErrFormat)
	case len(log.Time) == 0 && len(log.Skipped) > 0:
		return nil, fmt.Errorf("%w: not one row in %d lines; line %d: %s", ErrFormat, lines, log.Skipped[0].Line, log.Skipped[0].Why)
	case back > len(log.Time):
		return nil, fmt.Errorf("%w: %d rows go back in time, and %d do not: is the newest row first? Sort them by time", ErrFormat, back, len(log.Time))
	case len(log.Time) == 0:
		return nil, fmt.Errorf("%w: a header but no row", ErrFormat)
	}
	slices.Sort(log.Lost)
	hash := sha256.Sum256(text)
	log.SHA256 = hex.EncodeToString(hash[:])
	log.Format, log.Ignored, log.BadCells = CSV, d.ignored, int(d.badCells)
	if d.meld {
		log.Format = MELD
	}
	for i := range d.cols {
		log.Columns = append(log.Columns, d.cols[i].Column)
		if d.cols[i].bad.Count > 0 {
			log.Bad = append(log.Bad, d.cols[i].bad)
		}
	}
	if d.meld && d.byModeAny() {
		stretches, err := units.end()
		if err != nil {
			return nil, err
		}
		log.Detected = stretches
	}
	log.convert(d.cols)
	if d.clock < 0 { // it has no time: rows are counted
		for i := range log.Time {
			log.Time[i] = int64(i) * 1e9
		}
	}
	return log, nil
}

// convert brings the values from the file's units to the channels', and takes back "unwired"
// where a column has shown more than its unwired value.
func (l *Log) convert(cols []column) {
	for i := range cols {
		c := &cols[i]
		if c.hasUnwired && c.wired {
			for k, s := range l.Status[i] {
				if s.Reason == sensors.Unwired {
					l.Status[i][k] = sensors.OK
				}
			}
		}
		if !c.byMode {
			apply(c.inch, l.Value[i])
			continue
		}
		for _, s := range l.Detected {
			apply(c.by(s.Units), l.Value[i][s.From-1:s.To])
		}
	}
}

func (c *column) by(m Mode) unit.Map {
	if m == Inch {
		return c.inch
	}
	return c.mm
}

func apply(m unit.Map, v []float64) {
	if m == unit.Identity {
		return
	}
	for i := range v {
		v[i] = m.Apply(v[i])
	}
}
