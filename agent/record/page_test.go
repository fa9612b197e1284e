package record

import (
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"stirwatch/cmd/parts"
)

var update = flag.Bool("update", false, "write the tables of docs/influxdb.md anew")

const (
	page  = "../../docs/influxdb.md"
	begin = "<!-- made by `go generate ./agent/record` from its rows -->\n"
	end   = "<!-- end of what is made -->\n"
)

// TestPageIsCurrent compares the tables of the manual with the row types.
func TestPageIsCurrent(t *testing.T) {
	parts.Page(t, page, begin, end, describe(), "go generate ./agent/record", *update)
}

// describe writes a section for each measurement and in it tables for each row type.
func describe() string {
	var b strings.Builder
	for _, m := range Measurements() {
		var of []*table
		for _, t := range tables {
			if t.name == m {
				of = append(of, t)
			}
		}
		for i, t := range of {
			switch {
			case i == 0:
				fmt.Fprintf(&b, "### `%s`: %s\n", m, t.about)
			default:
				fmt.Fprintf(&b, "Other lines of `%s` hold %s.\n", m, t.about)
			}
			fmt.Fprintf(&b, "Stamp: %s.\n\n| tag | |\n|---|---|\n", t.stamp.Doc)
			for _, c := range t.tags {
				fmt.Fprintf(&b, "| `%s` | %s%s |\n", c.Name, c.Doc, optional(c))
			}
			b.WriteString("\n| field | type | unit | |\n|---|---|---|---|\n")
			for _, c := range t.fields {
				name := "`" + c.Name + "`"
				if c.kind == reflect.Struct {
					name = "name of a term"
				}
				fmt.Fprintf(&b, "| %s | %s | %s | %s%s |\n", name, c.Type(), c.Unit, c.Doc, optional(c))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func optional(c Column) string {
	if c.Optional && !strings.Contains(c.Doc, "only") && !strings.Contains(c.Doc, "not there") {
		return "; may be missing"
	}
	return ""
}

// Every column says what it means, and every number its unit.
func TestEveryColumnIsExplained(t *testing.T) {
	for _, table := range tables {
		for _, c := range slices.Concat(table.tags, table.fields) {
			number := c.kind == reflect.Float64 || c.kind == reflect.Int64 || c.kind == reflect.Struct
			if c.Doc == "" || number != (c.Unit != "") {
				t.Errorf("%s.%s: doc %q, unit %q", table.row, c.Name, c.Doc, c.Unit)
			}
		}
		if table.about == "" || table.stamp.Doc == "" {
			t.Errorf("%s: %q, stamp %q", table.row, table.about, table.stamp.Doc)
		}
	}
}
