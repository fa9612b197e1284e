package record

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// table is a row type taken apart.
type table struct {
	name   Measurement
	about  string
	row    reflect.Type
	stamp  Column
	tags   []Column // sorted by name
	fields []Column // as declared
}

// Column is one tag or field of a row type.
type Column struct {
	Name, Unit, Doc string // Unit is empty for tags, texts and truth values
	Optional        bool   // left out where empty
	index           int    // in the row type
	kind            reflect.Kind
}

// Type is the type of a field in InfluxDB: float, integer, bool or string.
func (c Column) Type() string {
	switch c.kind {
	case reflect.Int64:
		return "integer"
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "string"
	}
	return "float" // also each of Parts
}

// machineTag is the tag of every line that says where it comes from.
const machineTag = "machine"

// define takes the row type R apart. What its struct tags say wrongly is a panic at start.
func define[R Row](name Measurement, about string) *table {
	t := &table{name: name, about: about, row: reflect.TypeFor[R]()}
	for i := range t.row.NumField() {
		f := t.row.Field(i)
		c := Column{index: i, kind: f.Type.Kind(), Unit: f.Tag.Get("unit"), Doc: f.Tag.Get("doc")}
		named := func(key string) bool {
			var option string
			c.Name, option, _ = strings.Cut(f.Tag.Get(key), ",")
			c.Optional = option == "optional"
			return c.Name != ""
		}
		switch doc := f.Tag.Get("stamp"); {
		case doc != "" && c.kind == reflect.Int64:
			c.Doc = doc
			t.stamp = c
		case named("tag") && c.kind == reflect.String:
			t.tags = append(t.tags, c)
		case named("field") && slices.Contains([]reflect.Kind{reflect.String, reflect.Float64, reflect.Int64, reflect.Bool}, c.kind),
			c.Name != "" && f.Type == reflect.TypeFor[Parts]():
			t.fields = append(t.fields, c)
		default:
			panic(fmt.Sprintf("record: %s.%s is no stamp, tag or field", t.row, f.Name))
		}
	}
	slices.SortFunc(t.tags, func(a, b Column) int { return strings.Compare(a.Name, b.Name) })
	return t
}

var byType = func() map[reflect.Type]*table {
	m := make(map[reflect.Type]*table)
	for _, t := range tables {
		m[t.row] = t
	}
	return m
}()

func tableOf[R Row]() *table { return byType[reflect.TypeFor[R]()] }

// Measurements lists all, in the order of the ladder.
func Measurements() (all []Measurement) {
	for _, t := range tables {
		if !slices.Contains(all, t.name) {
			all = append(all, t.name)
		}
	}
	return all
}

// Columns gives the tags and fields of a measurement, of all its row types. The name of [Parts]
// stands in angle brackets.
func Columns(m Measurement) (tags, fields []Column) {
	for _, t := range tables {
		if t.name == m {
			tags, fields = append(tags, t.tags...), append(fields, t.fields...)
		}
	}
	return tags, fields
}
