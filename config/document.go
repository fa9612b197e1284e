package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// place is a position in the file and the value that stands there.
type place struct {
	Line, Column int
	text         string
}

// document reads the one YAML document that data must be; nil after a problem.
func (d *decoder) document(data []byte) *yaml.Node {
	start := place{Line: 1, Column: 1}
	if len(data) > maxSize {
		d.report(start, "", "", complaint{message: fmt.Sprintf("the file is larger than %d bytes", maxSize)})
		return nil
	}
	if i := invalidUTF8(data); i >= 0 {
		line := bytes.Count(data[:i], []byte("\n")) + 1
		column := utf8.RuneCount(data[bytes.LastIndexByte(data[:i], '\n')+1:i]) + 1
		d.report(place{Line: line, Column: column}, "", "", complaint{message: fmt.Sprintf("the byte 0x%02x is not UTF-8 text: save the file as UTF-8", data[i])})
		return nil
	}
	var doc yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(data))
	err := in.Decode(&doc)
	if err == nil {
		var second yaml.Node
		if err = in.Decode(&second); err == nil {
			d.report(place{Line: second.Line, Column: second.Column}, "", "", complaint{message: "a second document: the file may hold only one"})
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	} else if errors.Is(err, io.EOF) {
		d.report(start, "", "", complaint{message: "the file is empty; `stirwatch config init` writes a commented one"})
		return nil
	}
	if err != nil {
		d.syntax(data, err)
		return nil
	}
	root := doc.Content[0]
	if isNull(root) {
		d.report(start, "", "", complaint{message: "the file is empty; `stirwatch config init` writes a commented one"})
		return nil
	}
	return root
}

// syntax reports what the YAML library could not read, at the line it names.
func (d *decoder) syntax(data []byte, err error) {
	at := place{Line: 1, Column: 1}
	m := yamlError.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if m == nil {
		m = []string{"", "", printable(err.Error())}
	}
	message := m[2]
	if n, err := strconv.Atoi(m[1]); err == nil {
		at.Line = n
		if strings.HasPrefix(message, "did not find expected ") {
			at.Line++ // the library counts lines from 0 in its parser, from 1 in its scanner
		}
	}
	switch anchor := yamlAnchor.FindStringSubmatch(message); {
	case anchor != nil:
		if i := bytes.Index(data, []byte("*"+anchor[1])); i >= 0 {
			at.Line = bytes.Count(data[:i], []byte("\n")) + 1
			at.Column = utf8.RuneCount(data[bytes.LastIndexByte(data[:i], '\n')+1:i]) + 1
		}
	case yamlBlock.MatchString(message):
		message = "the part that begins in this line has a mistake: " + message
	case strings.Contains(message, "cannot start any token") && bytes.ContainsRune(data, '\t'):
		message = "a tab cannot indent, use spaces"
	}
	d.report(at, "", "", complaint{message: "not readable as YAML: " + message})
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// follow goes through aliases and counts what it visits.
func (d *decoder) follow(n *yaml.Node, path string) (*yaml.Node, bool) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.values++
	if d.values == maxValues {
		d.report(where(n), path, "", complaint{message: fmt.Sprintf("more than %d values, counted after aliases are followed", maxValues)})
	}
	return n, d.values < maxValues
}

func where(n *yaml.Node) place {
	return place{n.Line, n.Column, n.Value}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// pair is one key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// pairs lists the keys of a mapping: its own, then those merged with << that it does not have
// itself. Keys that stand twice are reported.
func (d *decoder) pairs(n *yaml.Node, path string, merges int) []pair {
	var own, merged []pair
	seen := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.ScalarNode && k.ShortTag() == "!!merge" {
			merged = append(merged, d.merged(v, path, merges+1)...)
			continue
		}
		k, ok := d.follow(k, path)
		if !ok {
			return nil
		}
		if k.Kind != yaml.ScalarNode || isNull(k) {
			d.report(where(k), path, "", complaint{message: "a key must be a word"})
			continue
		}
		if first, twice := seen[k.Value]; twice {
			d.report(where(k), join(path, k.Value), "", complaint{message: fmt.Sprintf("this key stands twice; the first is in line %d", first.Line)})
			continue
		}
		seen[k.Value] = k
		own = append(own, pair{k, v})
	}
	for _, p := range merged {
		if seen[p.key.Value] == nil {
			seen[p.key.Value] = p.key
			own = append(own, p)
		}
	}
	return own
}

func (d *decoder) merged(v *yaml.Node, path string, depth int) []pair {
	v, ok := d.follow(v, path)
	switch {
	case !ok:
		return nil
	case depth > maxMerges:
		d.report(where(v), join(path, "<<"), "", complaint{message: fmt.Sprintf("more than %d merges inside one another", maxMerges)})
		return nil
	case v.Kind == yaml.MappingNode:
		return d.pairs(v, path, depth)
	case v.Kind == yaml.SequenceNode:
		var all []pair
		for _, part := range v.Content {
			all = append(all, d.merged(part, path, depth)...)
		}
		return all
	}
	d.report(where(v), join(path, "<<"), v.Value, complaint{message: "only a section can be merged"})
	return nil
}
