package runlog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"stirwatch/sensors"
	"stirwatch/sensors/wire"
)

// This file reads the headers of CSVs that say what they hold.

// Named is a quantity that a CSV has in a column of that name, with its unit in brackets behind it
// ("heater power [W]") or in a row of units below the header.
type Named struct {
	Name string
	Unit string // an example of it, for messages
	Must bool   // a log without any such column does not say what it holds
}

// columnName splits "heater power [W]", "heater power (W)", "heater power {W}", "heater power <W>" and "heater power / W".
var columnName = regexp.MustCompile(`^(.*?)\s*(?:\[([^\]]*)\]|\(([^)]*)\)|\{([^}]*)\}|<([^>]*)>|\s/\s(.*))?$`)

// splitName gives the name of a column as it is compared, and its unit.
func splitName(cell string) (name, unit string) {
	parts := columnName.FindStringSubmatch(strings.TrimSpace(cell))
	if parts == nil { // a line end inside a name
		return cell, ""
	}
	return fold(parts[1]), strings.TrimSpace(strings.Join(parts[2:], ""))
}

// bareName is the name of a column as it stands there, without its unit in brackets or behind " / ".
func bareName(cell string) string {
	if parts := columnName.FindStringSubmatch(strings.TrimSpace(cell)); parts != nil {
		return parts[1]
	}
	return cell
}

// naming is splitName of a column that may be asked for; its unit may stand behind other signs than brackets where both the
// name and the unit are known: "heater power in W", "time, s", "fan speed/rpm", "plate_temperature_degC".
func (d *decoder) naming(cell string) (name, in string) {
	name, in = splitName(cell)
	if in != "" || d.asksFor(name) {
		return name, in
	}
	if n, u, ok := splitUnit(cell, func(n, u string) bool {
		return d.asksFor(n) && (n == "time" && countUnits[strings.ToLower(u)] != 0 || n != "time" && d.knowsUnit(u))
	}); ok {
		return n, u
	}
	return name, in
}

// splitTime is splitName of a column that may be the time's, whose unit may stand behind other signs: "time_s", "elapsed, min".
func splitTime(cell string) (name, in string) {
	name, in = splitName(cell)
	if in != "" || slices.Contains(times, name) {
		return name, in
	}
	if n, u, ok := splitUnit(cell, func(n, u string) bool {
		return slices.Contains(times, n) && countUnits[strings.ToLower(u)] != 0
	}); ok {
		return n, u
	}
	return name, in
}

// splitUnit parts a column's name from a unit that stands behind another sign than a bracket, where both are known.
func splitUnit(cell string, known func(name, unit string) bool) (name, unit string, ok bool) {
	for _, sign := range []string{"/", ",", ";", ":", " in ", " - ", "_", ".", " "} {
		for i := range cell {
			if i == 0 || !strings.HasPrefix(cell[i:], sign) {
				continue
			}
			name, unit := fold(cell[:i]), strings.TrimSpace(cell[i+len(sign):])
			if unit != "" && known(name, unit) {
				return name, unit, true
			}
		}
	}
	return "", "", false
}

func (d *decoder) knowsUnit(s string) bool {
	_, err := d.parseUnit(s)
	return err == nil
}

// asksFor tells whether the folded name of a column is the time's or that of a quantity asked for.
func (d *decoder) asksFor(name string) bool { return name == "time" || d.wants(name) != nil }

// timeColumn is the place of the column of time: the one named so, else by another usual name that nobody asks for, else the
// first, where it has no name; -1 if there is none.
func (d *decoder) timeColumn(header []string) int {
	for _, want := range times {
		for i, cell := range header {
			if name, _ := d.naming(cell); name == want && d.wants(name) == nil {
				return i
			}
		}
	}
	if len(header) > 0 && header[0] == "" { // as data frames are exported, with their index
		return 0
	}
	return -1
}

// fold makes names equal that differ in case, and in what parts their words: blanks, underscores, hyphens, points, or a
// capital ("heaterPower").
func fold(name string) string {
	var words strings.Builder
	small := false
	for _, r := range name {
		if small && unicode.IsUpper(r) {
			words.WriteByte(' ')
		}
		small = unicode.IsLower(r)
		words.WriteRune(unicode.ToLower(r))
	}
	return strings.Join(strings.FieldsFunc(words.String(), func(r rune) bool { return strings.ContainsRune("_-.", r) || unicode.IsSpace(r) }), " ")
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
		name, _ := d.naming(cell)
		w := d.wants(name)
		return w != nil && w.Must
	})
}

// lacksUnits tells whether a column asked for is without its unit.
func (d *decoder) lacksUnits(header []string) bool {
	return slices.ContainsFunc(header, func(cell string) bool {
		name, in := d.naming(cell)
		return d.wants(name) != nil && in == ""
	})
}

// unitsBelow completes a header by the row of units below it.
func (d *decoder) unitsBelow(b []byte, n int) error {
	raw := d.before.units
	d.before.units = nil
	d.split(raw)
	header := d.names()
	d.clock, d.date = d.timeColumn(header), -1
	if b != nil && d.split(b) && d.padded(len(header)) && d.isUnits(func(i int) bool { name, _ := d.naming(header[i]); return d.wants(name) != nil }) {
		for i, f := range d.fields {
			text := inBrackets(f)
			name, in := d.naming(header[i])
			_, err := newStamps(TimeColumn{Unit: wire.TimeUnit(text)}, d.opt.Location)
			if in == "" && text != "" && (i == d.clock && err == nil || i != d.clock && d.wants(name) != nil) {
				header[i] += " [" + text + "]"
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

// padded gives a row of units that ends before its header, not under commas, the empty cells that it leaves out; false: it has
// another number.
func (d *decoder) padded(columns int) bool {
	for d.sep != ',' && len(d.fields) > 1 && len(d.fields) < columns {
		d.fields = append(d.fields, nil)
	}
	return len(d.fields) == columns
}

// sameUnits gives columns without a unit in another header the one they had.
func (d *decoder) sameUnits(header []string) []string {
	for i, cell := range header {
		name, in := d.naming(cell)
		for _, old := range d.header {
			if before, unit := d.naming(old); in == "" && before == name && unit != "" {
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
	clock := d.timeColumn(header)
	for i, cell := range header {
		name, in := d.naming(cell)
		if name == "date" && d.date < 0 && i != clock {
			d.date = i
			continue
		}
		if i == clock {
			t := d.opt.Time
			t.Key, t.Unit = cell, wire.TimeUnit(in)
			if (name == "seconds" || name == "x value") && in == "" { // the latter in LabVIEW's measurement files
				t.Unit = wire.Seconds
			}
			var err error
			if d.stamps, err = newStamps(t, d.opt.Location); err != nil {
				return fmt.Errorf("%w: column %q: %w", ErrFormat, cell, err)
			}
			d.clock, d.stamps.elapsed = i, true
			d.tellZone(cell)
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
		return fmt.Errorf("%w: no column is the time: name one \"time [s]\" (or d, h, min, ms, us, ns, excel; without a unit it holds dates, or times elapsed as hh:mm:ss)", ErrFormat)
	}
	d.findMillis(header, func(i int) bool { name, _ := d.naming(header[i]); return d.wants(name) != nil })
	if d.date >= 0 {
		if d.stamps.scale != 0 && !d.stamps.excel {
			d.date = -1
		} else {
			d.stamps.DateKey = header[d.date]
		}
	}
	return nil
}
