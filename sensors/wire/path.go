package wire

import (
	"bytes"
	"strconv"
	"strings"
)

// This file is about the paths of JSON documents: "axis.0.force", "axis[0].force", "$.axis[0].force", and
// "metrics[name=T1].value", the element of an array whose member name is T1.

// step is one on the way: to a member or an element by its name or number, or to the element whose member key is want.
type step struct{ name, key, want string }

// parsePath takes a path apart; ok is false where it is none. In brackets quotes may stand around a name.
func parsePath(p string) (steps []step, ok bool) {
	p = strings.TrimPrefix(strings.TrimPrefix(p, "$"), ".")
	for len(p) > 0 {
		if p[0] != '[' {
			n := strings.IndexAny(p, ".[")
			if n < 0 {
				n = len(p)
			}
			steps = append(steps, step{name: p[:n]})
			if p = p[n:]; len(p) > 1 && p[0] == '.' {
				p = p[1:]
			} else if p == "." {
				return nil, false
			}
			continue
		}
		end := strings.IndexByte(p, ']')
		if end < 2 {
			return nil, false
		}
		inside := p[1:end]
		key, want, selects := strings.Cut(inside, "=")
		switch _, err := strconv.ParseUint(inside, 10, 31); {
		case err == nil:
			steps = append(steps, step{name: inside})
		case selects:
			steps = append(steps, step{key: strings.TrimSpace(key), want: unquoted(strings.TrimSpace(want))})
		case unquoted(inside) != inside:
			steps = append(steps, step{name: unquoted(inside)})
		default:
			return nil, false
		}
		if p = p[end+1:]; len(p) > 1 && p[0] == '.' {
			p = p[1:]
		} else if len(p) > 0 && p[0] != '[' {
			return nil, false
		}
	}
	return steps, len(steps) > 0
}

// unquoted is a text without the quotes around it.
func unquoted(s string) string {
	if n := len(s); n > 1 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}

// selection is the element of an array that has a member of that value.
type selection struct {
	step
	next *node
}

// selected is the node behind a step from n.
func (n *node) selected(s step) *node {
	if s.key == "" {
		return n.member(s.name)
	}
	for _, known := range n.selects {
		if known.step == s {
			return known.next
		}
	}
	n.selects = append(n.selects, selection{s, &node{}})
	return n.selects[len(n.selects)-1].next
}

// choose looks for what is wanted of the element at i by what it holds. What is wrong with it whoever reads the document finds.
func (d *document) choose(b []byte, i int, n *node, depth int) {
	for _, s := range n.selects {
		if text, ok := d.memberText(b, i, s.key, depth); ok && string(text) == s.want {
			d.value(b, i, s.next, depth)
		}
	}
}

// memberText is the text of a member of the object at i: a string's inside, or a number or a word as it stands. It stands in
// the document or in d.buf.
func (d *document) memberText(b []byte, i int, key string, depth int) ([]byte, bool) {
	if i >= len(b) || b[i] != '{' {
		return nil, false
	}
	for i = space(b, i+1); i < len(b) && b[i] == '"'; i = space(b, i+1) {
		end, err := quoted(b, i)
		if err != nil {
			return nil, false
		}
		name := b[i+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			d.buf = unescape(d.buf[:0], name)
			name = d.buf
		}
		found := string(name) == key
		if i = space(b, end); i >= len(b) || b[i] != ':' {
			return nil, false
		}
		from := space(b, i+1)
		end, err = d.value(b, from, nil, depth+1)
		if err != nil {
			return nil, false
		}
		if found {
			text := b[from:end]
			if text[0] == '"' {
				if text = text[1 : len(text)-1]; bytes.IndexByte(text, '\\') >= 0 {
					d.buf = unescape(d.buf[:0], text)
					text = d.buf
				}
			}
			return text, len(text) > 0
		}
		if i = space(b, end); i >= len(b) || b[i] != ',' {
			return nil, false
		}
	}
	return nil, false
}
