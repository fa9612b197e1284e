package wire

import (
	"bytes"
	"errors"
	"fmt"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// NewJSON reads documents of many channels. A key is a path through objects and arrays,
// "axis.0.force" or "metrics[name=T1].value", or the name of a member of the outermost object, which may contain dots
// and brackets and then goes before the path. Values are numbers, numbers in quotes, true (1) or false (0), but not
// in a unit with a dimension;
// null and absent keys are missing and skipped, but a document without a single one of the
// keys is an error. Of repeated keys the last counts (as in encoding/json).
func NewJSON(o Options) Decoder {
	d := &jsonFrame{table: newTable(o)}
	d.escapes = true
	paths := make([]string, len(d.fields))
	for i, f := range d.fields {
		paths[i] = f.Key
	}
	if o.TimeKey != "" {
		paths = append(paths, o.TimeKey)
	}
	d.doc = newDocument(paths)
	d.found = d.doc.found
	return d
}

type jsonFrame struct {
	table
	doc *document // shares found
}

func (d *jsonFrame) Decode(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error) {
	msg = cString(msg)
	if err := d.doc.scan(msg); err != nil {
		return dst, err
	}
	return d.build(dst, arrival, msg)
}

// NewJSONValue reads documents of one channel, the only field of o: the value at its key ("" for the whole
// document), the time at o.TimeKey and the unit's text at unitPath where these are not "". The
// value is converted from the unit that the document names to the field's; an absent or unknown unit,
// or one of another dimension, is an error ([unit.ErrUnknown], [unit.ErrDimension]). An absent
// value is an error, null is missing.
func NewJSONValue(o Options, unitPath string) Decoder {
	d := &jsonValue{
		stamper: newStamper(o.TimeUnit, o.DeviceClock),
		field:   own(o.Fields[0]),
		timeKey: o.TimeKey, unitKey: unitPath, to: o.Fields[0].Unit,
		signs: signs{given: o.Decimal},
	}
	paths := []string{d.field.Key}
	if o.TimeKey != "" {
		paths, d.timeSlot = append(paths, o.TimeKey), len(paths)
	}
	if unitPath != "" {
		paths, d.unitSlot = append(paths, unitPath), len(paths)
	}
	d.doc = newDocument(paths)
	return d
}

type jsonValue struct {
	stamper
	field              Field // its Map follows the document's unit
	doc                *document
	timeKey, unitKey   string
	timeSlot, unitSlot int // in doc.found, 0 if there is none
	to                 unit.Unit
	behind             unitOf // a number in text
	signs              signs  // as given: a value has no neighbours that tell
	sent               sent

	lastUnit []byte // the text that field.Map and unitErr belong to
	unitErr  error
}

func (d *jsonValue) Decode(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error) {
	msg = cString(msg)
	if err := d.doc.scan(msg); err != nil {
		return dst, err
	}
	found := d.doc.found
	if found[0].kind == 0 {
		return dst, fmt.Errorf("no value at %q", d.field.Key)
	}
	v, present, wrong := found[0].number(msg)
	if wrong == nil {
		wrong = d.field.truth(found[0])
	}
	m := unit.Identity
	if found[0].kind == '"' && (wrong != nil || d.signs.doubtful(found[0].bytes(msg))) {
		number, behind, err := d.textNumber(found[0].bytes(msg))
		if err == nil {
			v, m, present, wrong = number, behind, true, nil
		} else if wrong == nil || !errors.Is(err, errNotNumber) {
			wrong = err
		}
	}
	var stamp span
	if d.timeSlot > 0 {
		stamp = found[d.timeSlot]
	}
	at, err := d.at(stamp, d.timeKey, arrival, msg)
	if err == nil && wrong != nil {
		d.doubt = fmt.Errorf("key %q: %w", d.field.Key, wrong)
		return append(dst, d.field.failed(at, arrival, d.sent.text(found[0].bytes(msg)))), nil
	}
	if err != nil || !present {
		return dst, err
	}
	if d.unitSlot > 0 {
		if err := d.follow(found[d.unitSlot], msg); err != nil {
			return dst, err
		}
		m = d.field.Map
	}
	return append(dst, d.field.convert(at, arrival, v, m)), nil
}

// textNumber reads a number in quotes, with its unit if the document names none elsewhere.
func (d *jsonValue) textNumber(b []byte) (v float64, m unit.Map, err error) {
	number, behind := CutUnit(bytes.TrimSpace([]byte(unquote(b))))
	if len(behind) > 0 && d.unitSlot > 0 {
		return 0, m, errNotNumber
	}
	if m, err = d.behind.from(behind, &d.field); err != nil {
		return 0, m, err
	}
	v, err = d.signs.parse(number)
	return v, m, err
}

// follow sets the conversion to the unit that the document names. Devices do not change it
// often: the last text is remembered.
func (d *jsonValue) follow(s span, msg []byte) error {
	if s.kind != '"' {
		return fmt.Errorf("no unit at %q: a text such as %q is expected", d.unitKey, d.to.Symbol)
	}
	name := s.bytes(msg)
	if d.lastUnit != nil && bytes.Equal(name, d.lastUnit) {
		return d.unitErr
	}
	d.lastUnit = append(make([]byte, 0, len(name)), name...)
	from, err := unit.Parse(unquote(name))
	if err == nil {
		d.field.Map, err = unit.Between(from, d.to)
	}
	if d.unitErr = err; err != nil {
		d.unitErr = fmt.Errorf("key %q: %w", d.unitKey, err)
	}
	return d.unitErr
}

// unquote resolves the escapes of a JSON string's inside, e.g. \u00b0C.
func unquote(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	return string(unescape(nil, b))
}
