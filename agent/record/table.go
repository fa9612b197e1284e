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
	stamp  column
	tags   []column // sorted by name
	fields []column // as declared
}

// column is one tag or field; index is its place in the row type.
type column struct {
	name, unit, doc string
	optional        bool
	index           int
	kind            reflect.Kind // String, Float64, Int64, Bool, or Struct for Parts
}

// machineTag is the tag of every line that says where it comes from.
const machineTag = "machine"

// define takes the row type R apart. What its struct tags say wrongly is a panic at start.
func define[R Row](name Measurement, about string) *table {
	t := &table{name: name, about: about, row: reflect.TypeFor[R]()}
	for i := range t.row.NumField() {
		f := t.row.Field(i)
		c := column{index: i, kind: f.Type.Kind(), unit: f.Tag.Get("unit"), doc: f.Tag.Get("doc")}
		named := func(key string) bool {
			var option string
			c.name, option, _ = strings.Cut(f.Tag.Get(key), ",")
			c.optional = option == "optional"
			return c.name != ""
		}
		switch doc := f.Tag.Get("stamp"); {
		case doc != "" && c.kind == reflect.Int64:
			c.doc = doc
			t.stamp = c
		case named("tag") && c.kind == reflect.String:
			t.tags = append(t.tags, c)
		case named("field") && slices.Contains([]reflect.Kind{reflect.String, reflect.Float64, reflect.Int64, reflect.Bool}, c.kind),
			c.name != "" && f.Type == reflect.TypeFor[Parts]():
			t.fields = append(t.fields, c)
		default:
			panic(fmt.Sprintf("record: %s.%s is no stamp, tag or field", t.row, f.Name))
		}
	}
	slices.SortFunc(t.tags, func(a, b column) int { return strings.Compare(a.name, b.name) })
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

// MeasurementOf gives the measurement of a row type.
func MeasurementOf[R Row]() Measurement { return tableOf[R]().name }

// Measurements lists all, in the order of the ladder.
func Measurements() (all []Measurement) {
	for _, t := range tables {
		if !slices.Contains(all, t.name) {
			all = append(all, t.name)
		}
	}
	return all
}
