package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

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
	switch kind {
	case '"':
		i, err = quoted(b, i)
	case '{':
		i, err = d.object(b, i, n, depth)
	case '[':
		i, err = d.array(b, i, n, depth)
	default:
		i, kind, err = d.plain(b, i, depth)
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

// plain checks a number or a word and tells its kind as span has it. Most are numbers as JSON has them.
func (d *document) plain(b []byte, i, depth int) (end int, kind byte, err error) {
	kind = b[i]
	digit := kind == '-' || kind-'0' <= 9
	if digit {
		if end, err := numeral(b, i); err == nil && (end == len(b) || b[end] <= ' ' || b[end] == ',' || b[end] == '}' || b[end] == ']') {
			return end, '0', nil
		}
	}
	switch bare, number := bareWord(b, i, depth); {
	case bare > 0 && number:
		d.loose = true
		return i + bare, '0', nil
	case bare > 0 || depth > 0 && (kind == ',' || kind == '}' || kind == ']'):
		d.loose = true
		return i + bare, 'b', nil
	case digit && noNumber(b[i:]) == 0:
		end, err = numeral(b, i)
		return end, '0', err
	case kind == 't':
		end, err = word(b, i, "true")
	case kind == 'f':
		end, err = word(b, i, "false")
	case kind == 'n' && startsWith(b, i, "null"):
		end = i + len("null")
	case noNumber(b[i:]) > 0:
		d.loose = true
		return i + noNumber(b[i:]), 'x', nil
	default:
		return i, kind, syntax("a value is expected", b, i)
	}
	return end, kind, err
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
