package record

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

// Decoder reads rows of one type out of line protocol. The zero value is ready.
type Decoder[R Row] struct {
	row    R
	blank  R               // NaN in every float
	column []reflect.Value // the columns of row, as its type declares them
	names  map[string]string
}

const maxNames = 1 << 14 // texts kept of tags; beyond, each is its own string

// Lines calls fn for each row of R's type in lines whose stamp is from ≤ stamp < to (ns since the Unix
// epoch); rows of other types are passed over. The row is valid during the call. A line that cannot
// be read, or has a field of another type than R's, goes to bad, with the reason. An error of fn ends
// the reading and is returned.
func (d *Decoder[R]) Lines(lines []byte, from, to int64, bad func(error), fn func(*R) error) error {
	t := tableOf[R]()
	if d.column == nil {
		d.prepare(t)
	}
	dec := lineprotocol.NewDecoderWithBytes(lines)
	for dec.Next() {
		ok, err := d.line(dec, t)
		if err != nil {
			bad(err)
			continue
		}
		if at := d.column[t.stamp.index].Int(); !ok || at < from || at >= to {
			continue
		}
		if err := fn(&d.row); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder[R]) prepare(t *table) {
	d.names = make(map[string]string)
	row, blank := reflect.ValueOf(&d.row).Elem(), reflect.ValueOf(&d.blank).Elem()
	for i := range row.NumField() {
		d.column = append(d.column, row.Field(i))
		if f := blank.Field(i); f.Kind() == reflect.Float64 {
			f.SetFloat(math.NaN())
		}
	}
}

// text keeps the few distinct names of tags as strings.
func (d *Decoder[R]) text(b []byte) string {
	if s, ok := d.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(d.names) < maxNames {
		d.names[s] = s
	}
	return s
}

// line reads one line; ok is false if it is of another type.
func (d *Decoder[R]) line(dec *lineprotocol.Decoder, t *table) (ok bool, err error) {
	name, err := dec.Measurement()
	if err != nil {
		return false, err
	}
	if string(name) != string(t.name) {
		return false, nil
	}
	d.row = d.blank
	for {
		key, value, err := dec.NextTag()
		if err != nil {
			return false, err
		}
		if key == nil {
			break
		}
		if c := find(t.tags, key); c != nil {
			d.column[c.index].SetString(d.text(value))
		}
	}
	ok = true
	for i := range t.tags {
		c := &t.tags[i]
		ok = ok && (c.Optional || d.column[c.index].Len() > 0)
	}
	fields := 0
	for {
		key, value, err := dec.NextField()
		if err != nil {
			return false, err
		}
		if key == nil {
			break
		}
		if !ok {
			continue // another type; the line is read to its end anyway
		}
		c := find(t.fields, key)
		if c == nil {
			continue
		}
		if !d.set(c, key, value) {
			return false, fmt.Errorf("%s: field %s is %v, it must be %s", t.name, key, value, c.Type())
		}
		fields++
	}
	at, err := dec.Time(lineprotocol.Nanosecond, time.Time{})
	if err != nil {
		return false, err
	}
	d.column[t.stamp.index].SetInt(at.UnixNano())
	return ok && fields > 0, nil
}

// find looks for a column; one whose name stands in angle brackets takes what no other does.
func find(columns []Column, key []byte) *Column {
	for i := range columns {
		if c := &columns[i]; c.Name == string(key) || c.kind == reflect.Struct {
			return c
		}
	}
	return nil
}

// set stores a field; false if it has another type. A whole number does for a float.
func (d *Decoder[R]) set(c *Column, key []byte, v lineprotocol.Value) bool {
	into := d.column[c.index]
	switch kind := v.Kind(); {
	case c.kind == reflect.Float64 && kind == lineprotocol.Float:
		into.SetFloat(v.FloatV())
	case c.kind == reflect.Float64 && kind == lineprotocol.Int:
		into.SetFloat(float64(v.IntV()))
	case c.kind == reflect.Int64 && kind == lineprotocol.Int:
		into.SetInt(v.IntV())
	case c.kind == reflect.Bool && kind == lineprotocol.Bool:
		into.SetBool(v.BoolV())
	case c.kind == reflect.String && kind == lineprotocol.String:
		into.SetString(v.StringV())
	case c.kind == reflect.Struct && kind == lineprotocol.Float:
		p := into.Addr().Interface().(*Parts)
		p.Name, p.Value = append(p.Name, d.text(key)), append(p.Value, v.FloatV())
	default:
		return false
	}
	return true
}
