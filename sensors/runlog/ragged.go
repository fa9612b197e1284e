package runlog

import (
	"bytes"
	"fmt"
	"slices"
)

// This file reads rows that end before their header does: spreadsheets and loggers leave empty cells out at the end of a
// row, or the last columns of all rows. Such a row may as well be torn, or the header may have one name more than there are
// columns, as a comma stands in a name; then nobody can tell which value is whose.

// ragged is what is known of such rows.
type ragged struct {
	full, over bool   // a row has been seen that has all columns of the header, or more than these
	known      []int  // numbers of fields that two rows in succession have had
	held       []byte // a row that ends early: the next one tells whether it is torn
	heldAt     int
	heldOf     int // fields of it
	fields     int // of the row that was split, as it stands
}

// fits tells whether the line that was split has the fields of the header. Those behind the last named one may be left out,
// and empty ones may follow. A row that ends earlier is one if it goes on behind all that is read, or is one of several of its length:
// what it leaves out is missing.
func (d *decoder) fits() bool {
	n := len(d.fields)
	if slices.ContainsFunc(d.fields[min(n, len(d.header)):], func(f []byte) bool { return len(f) > 0 }) {
		d.short.over = true
		return false
	}
	d.short.fields = n
	switch {
	case n >= d.least:
		d.short.full = true
	case d.before.lvm.is && n == d.least-1: // LabVIEW leaves the comment out
	case !d.mayEndEarly() || n <= d.reach() && !slices.Contains(d.short.known, n):
		return false
	}
	for len(d.fields) < len(d.header) {
		d.fields = append(d.fields, nil)
	}
	return true
}

// mayEndEarly tells whether the names of the header stand above their columns in rows that are shorter. Under commas a row
// with all columns must have shown it, and none that has more.
func (d *decoder) mayEndEarly() bool {
	return d.sep != ' ' && (d.sep != ',' || d.short.full && !d.short.over || d.before.lvm.is)
}

// reach is how many fields a row needs to have all that are read.
func (d *decoder) reach() int {
	last := max(d.clock, d.date, d.rpm, d.torque, d.power, d.pos[0], d.pos[1], d.pos[2], d.pos[3])
	for i := range d.cols {
		last = max(last, d.cols[i].index)
	}
	return last + 1
}

// endsEarly takes a row that does not fit because what is read of it ends with it: it waits for the next one, since it may be
// torn there. false: it is none of these.
func (d *decoder) endsEarly(b []byte, n int, whole bool) (bool, error) {
	s := &d.short
	fields := len(d.fields)
	if !whole || fields < 2 || fields >= d.least || fields > d.reach() || !d.mayEndEarly() || d.clock >= 0 && (d.clock >= fields || !startsNumber(d.fields[d.clock])) {
		return false, nil
	}
	if s.held == nil || s.heldOf != fields {
		d.giveHeld()
		s.held, s.heldAt, s.heldOf = bytes.Clone(b), n, fields
		return true, nil
	}
	held, at := s.held, s.heldAt
	s.held, s.known = nil, append(s.known, fields)
	if err := d.line(held, at, true); err != nil {
		return true, err
	}
	return true, d.line(b, n, whole)
}

// giveHeld gives up the row that waits, as the next one is of another kind.
func (d *decoder) giveHeld() {
	if s := &d.short; s.held != nil {
		d.skip(s.heldAt, fmt.Sprintf("%d fields, the header has %d, and the rows around it have another number: is it torn?", s.heldOf, len(d.header)), s.held)
		s.held = nil
	}
}

// misfit says why the line that was split cannot be a row.
func (d *decoder) misfit() string {
	n := len(d.fields)
	why := fmt.Sprintf("%d fields, the header has %d", n, len(d.header))
	switch {
	case n == 1:
		why += fmt.Sprintf(": do other signs than %q part the columns here?", d.sep)
	case d.sep == ',' && n > len(d.header):
		why += ": are commas decimal signs too? Then export with semicolons"
	case n == len(d.header)+1 && !d.short.full:
		why += ": is there a column without a name? Give it one"
	case d.sep == ',' && n < d.least && !d.short.full:
		why += ": does a name of the header have a comma in it? Put it into quotes; or are cells left out? Export them too"
	}
	return why
}
