package wire

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// NewJSON reads documents of many channels. A key is a path through objects and arrays,
// "axis.0.force" or "metrics[name=T1].value", or the name of a member of the outermost object, which may contain dots
// and brackets and then goes before the path. Values are numbers, numbers in quotes, true (1) or false (0);
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

// document finds values by path in one pass, checking the JSON grammar (RFC 8259) on its way. Members and elements may be
// more than that: a word or a number that JSON does not have costs itself alone, and a comma before the end nothing.
type document struct {
	root  *node
	loose bool   // there was something that JSON does not have
	found []span // by index of the path
	buf   []byte
}

// node is a place on the way to a wanted value.
type node struct {
	members map[string]*node
	selects []selection
	targets []target
}

type target struct {
	slot    int
	literal bool // reached by a name with dots, which goes before the path
}

// maxDepth bounds recursion; the grammar does not.
const maxDepth = 100

func newDocument(paths []string) *document {
	d := &document{root: &node{}, found: make([]span, len(paths))}
	for i, p := range paths {
		if p == "" {
			d.root.targets = append(d.root.targets, target{i, true})
			continue
		}
		n := d.root.member(p)
		n.targets = append(n.targets, target{i, true})
		if !strings.ContainsAny(p, ".[") {
			continue
		}
		steps, ok := parsePath(p)
		if !ok {
			continue
		}
		n = d.root
		for _, s := range steps {
			n = n.selected(s)
		}
		n.targets = append(n.targets, target{i, false})
	}
	return d
}

func (n *node) member(name string) *node {
	if n.members == nil {
		n.members = map[string]*node{}
	}
	if n.members[name] == nil {
		n.members[name] = &node{}
	}
	return n.members[name]
}

// scan fills found from a whole document.
func (d *document) scan(msg []byte) error {
	clear(d.found)
	d.loose = false
	i, err := d.value(msg, space(msg, 0), d.root, 0)
	if err != nil {
		return err
	}
	if i = space(msg, i); i != len(msg) {
		return syntax("text after the document", msg, i)
	}
	return nil
}

// value checks the value that starts at i, notes what is wanted of it (n may be nil), and
// returns the index after it.
func (d *document) value(b []byte, i int, n *node, depth int) (int, error) {
	if i >= len(b) {
		return i, syntax("a value is missing", b, i)
	}
	if depth > maxDepth {
		return i, syntax("nested too deeply", b, i)
	}
	from, kind := i, b[i]
	var err error
	switch bare, number := bareWord(b, i, depth); {
	case bare > 0 || depth > 0 && (kind == ',' || kind == '}' || kind == ']'):
		d.loose = true
		if i, kind = i+bare, 'b'; number {
			kind = '0'
		}
	case kind == '"':
		i, err = quoted(b, i)
	case kind == '-' && noNumber(b[i:]) == 0 || kind-'0' <= 9:
		kind = '0'
		i, err = numeral(b, i)
	case kind == '{':
		i, err = d.object(b, i, n, depth)
	case kind == '[':
		i, err = d.array(b, i, n, depth)
	case kind == 't':
		i, err = word(b, i, "true")
	case kind == 'f':
		i, err = word(b, i, "false")
	case kind == 'n' && startsWith(b, i, "null"):
		i += len("null")
	case noNumber(b[i:]) > 0:
		i += noNumber(b[i:])
		kind, d.loose = 'x', true
	default:
		err = syntax("a value is expected", b, i)
	}
	if err == nil && n != nil && len(n.targets) > 0 {
		s := span{from: from, to: i, kind: kind}
		if kind == '"' {
			s.from, s.to = s.from+1, s.to-1
		}
		for _, t := range n.targets {
			if s.literal = t.literal; t.literal || !d.found[t.slot].literal {
				d.found[t.slot] = s
			}
		}
	}
	return i, err
}

func (d *document) object(b []byte, i int, n *node, depth int) (int, error) {
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i < len(b) && b[i] == '}' {
			d.loose = true
			return i + 1, nil
		}
		if i >= len(b) || b[i] != '"' {
			return i, syntax("a key is expected", b, i)
		}
		end, err := quoted(b, i)
		if err != nil {
			return end, err
		}
		var child *node
		if n != nil && n.members != nil {
			key := b[i+1 : end-1]
			if bytes.IndexByte(key, '\\') >= 0 {
				d.buf = unescape(d.buf[:0], key)
				key = d.buf
			}
			child = n.members[string(key)]
		}
		if i = space(b, end); i >= len(b) || b[i] != ':' {
			return i, syntax("':' is expected", b, i)
		}
		if i, err = d.value(b, space(b, i+1), child, depth+1); err != nil {
			return i, err
		}
		i = space(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = space(b, i+1)
		case i < len(b) && b[i] == '}':
			return i + 1, nil
		default:
			return i, syntax("',' or '}' is expected", b, i)
		}
	}
}

func (d *document) array(b []byte, i int, n *node, depth int) (int, error) {
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for k := 0; ; k++ {
		var child *node
		if n != nil && n.members != nil {
			d.buf = strconv.AppendInt(d.buf[:0], int64(k), 10)
			child = n.members[string(d.buf)]
		}
		if k > 0 && i < len(b) && b[i] == ']' {
			d.loose = true
			return i + 1, nil
		}
		if n != nil && len(n.selects) > 0 {
			d.choose(b, i, n, depth+1)
		}
		var err error
		if i, err = d.value(b, i, child, depth+1); err != nil {
			return i, err
		}
		i = space(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = space(b, i+1)
		case i < len(b) && b[i] == ']':
			return i + 1, nil
		default:
			return i, syntax("',' or ']' is expected", b, i)
		}
	}
}

// bareWord is the length of a member's value at i that is no JSON, such as N/A, None or 0x1F, and whether it is a number all
// the same, such as .5 or +5; 0 if it may be JSON.
func bareWord(b []byte, i, depth int) (n int, number bool) {
	if depth == 0 || b[i] == '"' || b[i] == '{' || b[i] == '[' {
		return 0, false
	}
	for n = i; n < len(b) && b[n] > ' ' && b[n] != ',' && b[n] != '}' && b[n] != ']'; n++ {
		if b[n] == '"' || b[n] == ':' || b[n] == '{' || b[n] == '[' {
			return 0, false // a comma or a quote is missing
		}
	}
	w := b[i:n]
	if len(w) == 0 || len(w) > 40 || noNumber(w) == len(w) || string(w) == "true" || string(w) == "false" || string(w) == "null" {
		return 0, false
	}
	if end, err := numeral(w, 0); err == nil && end == len(w) {
		return 0, false
	}
	_, number = parseFloat(w)
	octal := len(w) > 1 && w[0] == '0' && w[1] != '.'
	return len(w), number && !octal
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// quoted checks the string that starts at i and returns the index after its closing quote.
func quoted(b []byte, i int) (int, error) {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c < ' ':
			return i, syntax("control character in a string", b, i)
		case c == '\\':
			i++
			switch {
			case i >= len(b):
			case b[i] == 'u':
				if _, ok := hex4(b[i+1:]); !ok {
					return i, syntax(`\u needs four hexadecimal digits`, b, i)
				}
				i += 4
			case !strings.ContainsRune(`"\/bfnrt`, rune(b[i])):
				return i, syntax("unknown escape", b, i)
			}
		}
	}
	return i, syntax("string without an end", b, i)
}

// numeral checks the number that starts at i.
func numeral(b []byte, i int) (int, error) {
	if b[i] == '-' {
		i++
	}
	from := i
	i = digits(b, i)
	if i == from || i > from+1 && b[from] == '0' {
		return i, syntax("malformed number", b, i)
	}
	if i < len(b) && b[i] == '.' {
		from = i + 1
		if i = digits(b, from); i == from {
			return i, syntax("malformed number", b, i)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from = i
		if i = digits(b, from); i == from {
			return i, syntax("malformed number", b, i)
		}
	}
	return i, nil
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// noNumber is the length of a word that stands for no number where RFC 8259 has none, as libraries of
// several languages write it; 0 if b starts with none.
func noNumber(b []byte) int {
	n := 0
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		n = 1
	}
	for _, w := range [...]string{"infinity", "nan", "inf"} {
		if len(b) >= n+len(w) && bytes.EqualFold(b[n:n+len(w)], []byte(w)) {
			return n + len(w)
		}
	}
	return 0
}

func startsWith(b []byte, i int, w string) bool {
	return len(b)-i >= len(w) && string(b[i:i+len(w)]) == w
}

func word(b []byte, i int, w string) (int, error) {
	if len(b)-i < len(w) || string(b[i:i+len(w)]) != w {
		return i, syntax("a value is expected", b, i)
	}
	return i + len(w), nil
}

func syntax(what string, b []byte, i int) error {
	return fmt.Errorf("not JSON: %s at byte %d of %d", what, i, len(b))
}

// unescape appends the meaning of a checked string's inside. Half a surrogate pair becomes U+FFFD.
func unescape(dst, b []byte) []byte {
	dst = slices.Grow(dst, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			dst = append(dst, b[i])
			continue
		}
		i++
		switch c := b[i]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(b[i+1:])
			i += 4
			if r >= 0xd800 && r < 0xdc00 && i+2 < len(b) && b[i+1] == '\\' && b[i+2] == 'u' {
				if low, ok := hex4(b[i+3:]); ok && low >= 0xdc00 && low < 0xe000 {
					r = (r-0xd800)<<10 | (low - 0xdc00) + 0x10000
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
