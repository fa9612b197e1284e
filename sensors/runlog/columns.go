package runlog

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// This file settles which columns of a header are read, and into which channels.

// errNoColumn is about a column that the header does not have.
var errNoColumn = fmt.Errorf("%w: there is no column", ErrFormat)

// find is the field of a column: by its name as it stands there, by its name without the unit behind it ("T1" of "T1 [°C]"),
// or by its number from 1.
func find(header []string, key string) (int, error) {
	names := header
	if !slices.Contains(header, key) {
		names = make([]string, len(header))
		for i, cell := range header {
			names[i] = bareName(cell)
		}
	}
	i := slices.Index(names, key)
	if i < 0 {
		if n, err := strconv.Atoi(key); err == nil && n >= 1 && n <= len(header) {
			return n - 1, nil
		}
		return 0, fmt.Errorf("%w %q; the header has %s", errNoColumn, key, strings.Join(header, ", "))
	}
	if k := slices.Index(names[i+1:], key); k >= 0 && names[i] == header[i] {
		return 0, fmt.Errorf("%w: column %q stands twice in the header; name it by its number (%d is the first)", ErrFormat, key, i+1)
	} else if k >= 0 {
		return 0, fmt.Errorf("%w: column %q may be %q or %q: name it with its unit", ErrFormat, key, header[i], header[i+1+k])
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
			if d.opt.lenient && errors.Is(err, errNoColumn) {
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
				c.inch, c.mm, c.anyUnit = f.Unit, f.Unit, false
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
		if _, in := splitName(header[d.clock]); d.stamps.scale != 0 {
			if scale := countUnits[strings.ToLower(in)]; scale != 0 && scale != d.stamps.scale {
				d.remarks = append(d.remarks, note{0, fmt.Sprintf("column %q says %s: it is read in %s, as configured (time: unit)", header[d.clock], in, d.opt.Time.Unit), true})
			}
		}
		d.tellZone(header[d.clock])
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
		if d.opt.lenient && errors.Is(err, errNoColumn) {
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
		from, given := f.Unit, f.Unit != (unit.Unit{})
		if !given {
			from = ch.Unit
		}
		if err := d.add(&meldColumn{key: header[i], inch: from, mm: from, sentinels: f.Sentinels, channel: ch}, i); err != nil {
			return err
		}
		c := &d.cols[len(d.cols)-1]
		c.given, c.said = given, given
		d.takeUnit(c, 0, d.says(header[i], from))
	}
	d.findMillis(header, func(i int) bool { return used[i] })
	d.findNamer(header, func(i int) bool { return used[i] })
	d.findQualities(header, func(i int) bool { return used[i] })
	for i, key := range header {
		if !used[i] && key != "" && i != d.millis {
			d.ignored = append(d.ignored, key)
		}
	}
	return nil
}

// otherUnits takes the row of units that was split, below a header that comes again and names the quantities themselves.
func (d *decoder) otherUnits(line int) {
	if scale := countUnits[strings.ToLower(inBrackets(d.fields[d.clock]))]; scale != 0 && scale != d.stamps.scale {
		d.refused = fmt.Sprintf("below the row of units in line %d, which has another unit of time", line)
		d.doubt(line, "the unit of the time is another here; the rows below are left out")
		return
	}
	for i := range d.cols {
		c := &d.cols[i]
		if c.index < 0 || len(d.fields[c.index]) == 0 {
			continue
		}
		text := inBrackets(d.fields[c.index])
		u, err := d.parseUnit(text)
		if err == nil {
			c.again, err = unit.Between(u, c.named)
		}
		switch {
		case err != nil:
			c.index = -1
			d.doubt(line, fmt.Sprintf("%s is in %q now, and is left out: %v", c.Name, text, err))
		case c.again != unit.Identity:
			d.doubt(line, fmt.Sprintf("%s is in %s now", c.Name, u))
		}
	}
}

// tellZone tells of the zone that the column of the time says.
func (d *decoder) tellZone(name string) {
	if text, doubt := d.stamps.zoneOf(name); text != "" {
		d.remarks = append(d.remarks, note{0, text, doubt})
	}
}

// tellRemarks tells what was found out about the header in a line.
func (d *decoder) tellRemarks(line int) {
	for _, r := range d.remarks {
		r.line = line
		d.tell(r)
	}
	d.remarks = nil
}

// ownNames maps the columns that bear a channel's name.
func (d *decoder) ownNames(header []string) (fields []Field) {
	for _, c := range d.opt.Channels {
		if _, err := find(header, c.Name); !errors.Is(err, errNoColumn) && c.Name != d.opt.Time.Key {
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
			return fmt.Errorf("columns %q and %q both go to channel %q: leave one out, or give it another name", other.Key, c.Key, c.Name)
		}
	}
	inch, mm := m.inch, m.mm
	if m.anyUnit {
		inch, mm = c.Unit, c.Unit
	}
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
	if c.byMode, c.again = c.inch != c.mm, unit.Identity; !c.byMode {
		c.named = inch
	}
	d.cols = append(d.cols, c)
	return nil
}

// reads tells whether field i is read into a column.
func (d *decoder) reads(i int) bool {
	return slices.ContainsFunc(d.cols, func(c column) bool { return c.index == i })
}

func (d *decoder) parseUnit(s string) (unit.Unit, error) {
	if d.opt.ParseUnit != nil {
		return d.opt.ParseUnit(s)
	}
	return unit.Parse(s)
}
