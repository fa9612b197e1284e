package runlog

import (
	"bytes"
	"fmt"
	"slices"

	"stirwatch/sensors"
)

// This file heeds columns that say of another whether its values are good, as historians and OPC servers export them.

var qualities = []string{"quality", "opc quality", "validity", "status", "status code", "quality code"}

// findQualities finds the column of quality of each that is read: "T1 Quality" of T1, or "Quality" where one alone is read.
func (d *decoder) findQualities(header []string, used func(i int) bool) {
	for i := range d.cols {
		c := &d.cols[i]
		own := fold(bareName(c.Key))
		for k, cell := range header {
			name, _ := splitName(cell)
			if used(k) || c.quality > 0 || !slices.ContainsFunc(qualities, func(q string) bool { return name == own+" "+q || len(d.cols) == 1 && name == q }) {
				continue
			}
			c.quality = k + 1
			d.remarks = append(d.remarks, note{0, fmt.Sprintf("column %q is heeded: values of %s that it calls bad or uncertain are none", cell, c.Key), false})
		}
	}
}

// judged is the status of a good value by its column of quality: the words that OPC has for it, with what may follow them. Numbers mean
// another thing with each maker, and other words may be the machine's own.
func (d *decoder) judged(c *column) sensors.Status {
	word := bytes.ToLower(d.fields[c.quality-1])
	for _, bad := range []string{"bad", "invalid", "uncertain", "questionable"} {
		if !bytes.HasPrefix(word, []byte(bad)) {
			continue
		}
		if bad == "uncertain" || bad == "questionable" {
			return sensors.Status{Signal: sensors.OutOfSpecification, Reason: sensors.Device}
		}
		return sensors.Status{Signal: sensors.Failure, Reason: sensors.Device}
	}
	return sensors.OK
}
