package record

import (
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"stirwatch/sensors"
)

// Append appends r as one line of line protocol, with its line feed, and gives r's stamp. A row
// without any field is nothing that can be kept: b comes back as it was. It does not allocate but
// to grow b.
func Append[R Row](b []byte, machine string, r *R) (line []byte, stamp int64) {
	return tableOf[R]().append(b, machine, reflect.ValueOf(r).Elem())
}

func (t *table) append(b []byte, machine string, v reflect.Value) (line []byte, stamp int64) {
	stamp = v.Field(t.stamp.index).Int()
	start := len(b)
	b = append(t.appendKey(b, machine, v), ' ')
	none := len(b)
	for i := range t.fields {
		b = t.fields[i].append(b, v.Field(t.fields[i].index))
	}
	if len(b) == none {
		return b[:start], stamp
	}
	b[len(b)-1] = ' ' // was a comma
	return append(strconv.AppendInt(b, stamp, 10), '\n'), stamp
}

// Example is a measurement with one line for each of its row types, all columns filled.
type Example struct {
	Measurement Measurement
	Lines       []byte
}

// Examples gives lines with which it can be tried whether a server takes what is recorded.
func Examples(machine string, at int64) (all []Example) {
	for _, t := range tables {
		row := reflect.New(t.row).Elem()
		for i := range row.NumField() {
			switch f := row.Field(i); f.Kind() {
			case reflect.String:
				f.SetString("doctor")
			case reflect.Float64:
				f.SetFloat(1.5)
			case reflect.Int64:
				f.SetInt(1)
			case reflect.Struct:
				f.Set(reflect.ValueOf(Parts{[]string{"heat"}, []float64{1.5}}))
			}
		}
		row.Field(t.stamp.index).SetInt(at)
		line, _ := t.append(nil, machine, row)
		if n := len(all); n > 0 && all[n-1].Measurement == t.name {
			all[n-1].Lines = append(all[n-1].Lines, line...)
		} else {
			all = append(all, Example{t.name, line})
		}
	}
	return all
}

// appendKey appends measurement and tags, which are sorted, as InfluxDB likes them.
func (t *table) appendKey(b []byte, machine string, v reflect.Value) []byte {
	b = append(b, t.name...)
	placed := false
	for i := range t.tags {
		c := &t.tags[i]
		if !placed && c.Name > machineTag {
			placed, b = true, appendTag(b, machineTag, machine)
		}
		b = appendTag(b, c.Name, v.Field(c.index).String())
	}
	if !placed {
		b = appendTag(b, machineTag, machine)
	}
	return b
}

// append appends "name=value," or nothing.
func (c *Column) append(b []byte, v reflect.Value) []byte {
	switch c.kind {
	case reflect.Float64:
		return appendFloatField(b, c.Name, v.Float())
	case reflect.Int64:
		if i := v.Int(); i != 0 || !c.Optional {
			b = append(strconv.AppendInt(appendField(b, c.Name), i, 10), 'i', ',')
		}
	case reflect.Bool:
		b = append(strconv.AppendBool(appendField(b, c.Name), v.Bool()), ',')
	case reflect.String:
		if s := v.String(); s != "" || !c.Optional {
			b = append(appendText(appendField(b, c.Name), s), ',')
		}
	case reflect.Struct: // Parts
		names, values := v.Field(0), v.Field(1)
		for i := range names.Len() {
			b = appendFloatField(b, names.Index(i).String(), values.Index(i).Float())
		}
	}
	return b
}

func appendField(b []byte, name string) []byte { return append(appendName(b, name), '=') }

func appendFloatField(b []byte, name string, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return b
	}
	return append(appendFloat(appendField(b, name), v), ',')
}

// appendFloat writes the shortest text that reads back to the same bits.
func appendFloat(b []byte, v float64) []byte {
	if math.Abs(v) < 1e15 {
		if i := int64(v); float64(i) == v && (i != 0 || !math.Signbit(v)) {
			return strconv.AppendInt(b, i, 10) // the same text, three times as fast
		}
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// appendTag appends ",key=value"; an empty value has no place in line protocol and is left out.
func appendTag(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = appendName(append(b, ','), key)
	return appendName(append(b, '='), value)
}

// appendName appends a tag or key. Space, comma and equals sign are escaped. What line protocol
// cannot carry is replaced: control characters by a space, invalid UTF-8 by U+FFFD and a closing
// backslash, which would escape what follows, by a slash.
func appendName(b []byte, s string) []byte {
	for i, r := range s {
		switch {
		case r == ',' || r == '=' || r == ' ':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, '\\', ' ')
		case r == '\\' && i == len(s)-1:
			b = append(b, '/')
		case r == '\\' && escapable(s[i+1]):
			b = append(b, '/') // two backslashes or an escape would not read back the same
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

// escapable reports whether a backslash before c means something in a name; control characters
// count, since they become an escaped space.
func escapable(c byte) bool { return c == ',' || c == '=' || c <= ' ' || c == '\\' || c == 0x7f }

// appendText appends a quoted string; control characters become spaces, so that one line of
// text is always one record.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			b = append(b, ' ')
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// SampleEncoder writes samples, of which there are more than of all else together: the start of
// a line, up to and with "value=", is made once for each channel and status.
type SampleEncoder struct {
	reg     *sensors.Registry
	machine string
	good    [][]byte
	other   map[statusKey][]byte // lines with a quality tag, built when first needed
}

type statusKey struct {
	channel sensors.ChannelID
	status  sensors.Status
}

// NewSampleEncoder makes an encoder of the channels of reg, which may be nil.
func NewSampleEncoder(machine string, reg *sensors.Registry) *SampleEncoder {
	e := &SampleEncoder{reg: reg, machine: machine, other: make(map[statusKey][]byte)}
	if reg != nil {
		e.good = make([][]byte, reg.Len())
		for id := range e.good {
			e.good[id] = e.build(sensors.ChannelID(id), sensors.OK)
		}
	}
	return e
}

func (e *SampleEncoder) build(id sensors.ChannelID, s sensors.Status) []byte {
	c := e.reg.Channel(id)
	row := Sample{Channel: c.Name, Unit: c.Unit.String()}
	if !s.IsGood() {
		row.Quality = s.Signal.String()
		if s.Reason != sensors.NoReason {
			row.Reason = s.Reason.String()
		}
	}
	t := tableOf[Sample]()
	return appendField(append(t.appendKey(nil, e.machine, reflect.ValueOf(row)), ' '), t.fields[0].Name)
}

// key gives the start of a sample's line, nil for a channel that the registry does not know.
func (e *SampleEncoder) key(id sensors.ChannelID, s sensors.Status) []byte {
	if int(id) >= len(e.good) {
		return nil
	}
	if s.IsGood() {
		return e.good[id]
	}
	sk := statusKey{id, s}
	key, ok := e.other[sk]
	if !ok {
		key = e.build(id, s)
		e.other[sk] = key
	}
	return key
}

// Append appends the line of one sample, or nothing if it is of a channel that the registry does not know. A
// value that is not finite is a failure, and stands there as text. It allocates where a channel has a
// status for the first time.
func (e *SampleEncoder) Append(b []byte, s *sensors.Sample) []byte {
	status, number := s.Status, !math.IsNaN(s.Value) && !math.IsInf(s.Value, 0)
	if !number && status.IsGood() {
		status = sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}
	}
	key := e.key(s.Channel, status)
	if key == nil {
		return b
	}
	if number {
		b = appendFloat(append(b, key...), s.Value)
	} else {
		text := s.Sent
		if text == "" {
			text = strconv.FormatFloat(s.Value, 'g', -1, 64)
		}
		t := tableOf[Sample]()
		b = append(b, key[:len(key)-len(t.fields[0].Name)-1]...)
		b = appendText(appendField(b, t.fields[1].Name), text)
	}
	b = strconv.AppendInt(append(b, ' '), s.Time, 10)
	return append(b, '\n')
}
