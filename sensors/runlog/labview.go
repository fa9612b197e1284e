package runlog

import (
	"bytes"
	"fmt"
	"strings"
)

// This file reads what stands above the columns in measurement files of LabVIEW (.lvm): a line for each setting, in two
// heads, and the names of the columns in a line that begins with X_Value (National Instruments, Specification for the
// LabVIEW Measurement File). A file of several headings has such heads between its rows too.

// labview is what the heads say.
type labview struct {
	is    bool
	units []string // by column
}

var errNoXValue = fmt.Errorf("%w: a measurement file of LabVIEW without a line that begins with X_Value", ErrFormat)

// labviewHead takes a line of a head; false: it is none. It fails where each column has a time of its own, or none has one.
func (d *decoder) labviewHead(b []byte) (bool, error) {
	p := &d.before
	if !p.lvm.is {
		if p.first == nil && bytes.HasPrefix(bytes.TrimLeft(b, " \t\""), []byte("LabVIEW Measurement")) {
			p.first, p.lvm.is = bytes.Clone(b), true
		}
		return p.lvm.is, nil
	}
	if p.lines++; p.lines > maxPreamble {
		return false, errNoXValue
	}
	end := bytes.IndexFunc(b, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') })
	if end < 0 {
		end = len(b)
	}
	name, rest := string(b[:end]), b[min(end+1, len(b)):]
	value := string(bytes.TrimSpace(rest))
	switch name {
	case "X_Value":
		return false, nil
	case "Separator":
		if p.sep = '\t'; strings.HasPrefix(value, "Comma") {
			p.sep = ','
		}
	case "Decimal_Separator":
		if d.opt.Decimal == 0 && (strings.HasPrefix(value, ".") || strings.HasPrefix(value, ",")) {
			d.opt.Decimal = value[0]
		}
	case "X_Columns":
		if strings.HasPrefix(value, "Multi") || strings.HasPrefix(value, "No") {
			return false, fmt.Errorf("%w: this measurement file of LabVIEW has X_Columns %s, so that no column is the time of all: write it with one X column", ErrFormat, value)
		}
	case "Y_Unit_Label":
		p.lvm.units = []string{""}
		for _, u := range bytes.Split(rest, b[end:min(end+1, len(b))]) {
			p.lvm.units = append(p.lvm.units, string(bytes.TrimSpace(u)))
		}
	}
	return true, nil
}

// betweenRows tells whether a line below the columns belongs to another head.
func (l *labview) betweenRows(b []byte) bool {
	return l.is && !startsNumber(b) && len(b) > 0 && b[0] != '\t' && b[0] != ',' && !bytes.HasPrefix(b, []byte("X_Value"))
}

// labelled gives names of columns the units that the head says.
func (l *labview) labelled(header []string) []string {
	for i, name := range header {
		if i < len(l.units) && l.units[i] != "" && name != "" {
			if _, in := splitName(name); in == "" {
				header[i] = name + " [" + l.units[i] + "]"
			}
		}
	}
	return header
}
