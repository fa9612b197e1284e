package runlog

import (
	"fmt"
	"slices"
)

// This file notices logs with a row for each reading of each quantity, named in a column of its own, as historians and trend
// displays export them. Whose a value is cannot be said by a map of columns.

// namers are names of such columns.
var namers = []string{"name", "var name", "varname", "variable", "variable name", "tag", "tag name", "tagname", "parameter", "channel", "channel name", "signal", "signal name",
	"point", "point name", "field", "measurement", "metric", "item", "item name", "sensor", "sensor name", "sensor id", "quantity", "property", "node", "node id", "topic"}

// tall is what the column that may name quantities has shown.
type tall struct {
	at    int // its field, -1 where there is none
	rows  int // in succession of which each has another name than the one before
	names []string
}

// findNamer finds the column that may name the quantity of each row, where one value alone is read of a row.
func (d *decoder) findNamer(header []string, used func(i int) bool) {
	d.tall = tall{at: -1}
	if len(d.cols) != 1 {
		return
	}
	d.tall.at = slices.IndexFunc(header, func(cell string) bool { name, _ := splitName(cell); return slices.Contains(namers, name) })
	if d.tall.at >= 0 && used(d.tall.at) {
		d.tall.at = -1
	}
}

// mixes tells why the values of one column are of several quantities: names come again and again, and each row has another one than the
// row before. "" where nothing says so.
func (d *decoder) mixes() string {
	t := &d.tall
	if t.at < 0 {
		return ""
	}
	name := string(d.fields[t.at])
	if len(name) == 0 || startsNumber(d.fields[t.at]) || t.rows > 0 && t.names[len(t.names)-1] == name {
		t.at = -1 // names of something else
		return ""
	}
	again := slices.Contains(t.names, name)
	t.names = append(t.names, name)
	if t.rows++; t.rows < 4 || !again {
		if t.rows > 100 {
			t.at = -1
		}
		return ""
	}
	return fmt.Sprintf("column %q names another quantity in each row (%s, %s, …): whose a value is cannot be told; export a column for each", d.header[t.at], t.names[0], t.names[1])
}
