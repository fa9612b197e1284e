package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads the text of a configuration file. The name stands in messages, and its folder is
// where relative paths start. Secrets ask getenv when they are resolved; nil means os.Getenv.
// A text with mistakes gives no configuration but [Problems], all of them at once.
func Parse(name string, data []byte, getenv func(string) string) (*Config, error) {
	d := &decoder{file: name, dir: filepath.Dir(name), getenv: getenv, at: make(map[string]place)}
	root := d.document(data)
	if root == nil {
		return nil, d.problems
	}
	c := Default()
	c.name, c.dir = name, d.dir
	d.section(root, place{Line: 1, Column: 1}, "", reflect.ValueOf(&c).Elem())
	d.check(&c)
	if len(d.problems) > 0 {
		d.problems.sort()
		return nil, d.problems
	}
	return &c, nil
}

// Bounds against hostile files, far above what a cell needs.
const (
	maxValues   = 100_000 // values after aliases are followed
	maxEntries  = 4096    // channels, sources, or fields of one source
	maxProblems = 200
	maxMerges   = 8 // nesting of <<
)

// decoder walks the YAML tree along the types of config.go.
type decoder struct {
	file, dir string
	getenv    func(string) string
	problems  Problems
	values    int
	at        map[string]place // where each key was written
}

// full tells that no further problem will be taken, so that none need be worded.
func (d *decoder) full() bool { return len(d.problems) > maxProblems }

func (d *decoder) report(p place, key, value string, c complaint) {
	if d.full() {
		return
	}
	if len(d.problems) == maxProblems {
		c = complaint{message: "too many problems; the rest is not shown"}
		key, value = "", ""
	}
	d.problems = append(d.problems, Problem{
		File: d.file, Line: p.Line, Column: p.Column, Key: printable(key), Value: printable(value),
		Message: c.message, Allowed: c.allowed, Nearest: c.nearest,
	})
}

var (
	yamlError  = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	yamlBlock  = regexp.MustCompile(`^did not find expected (key|'-' indicator|',' or '.')$`)
)

// section decodes a mapping into the struct v, whose defaults are set. above is where its own
// key stands: the place to report what is missing.
func (d *decoder) section(n *yaml.Node, above place, path string, v reflect.Value) {
	fields := fieldsOf(v.Type())
	if n.Kind != yaml.MappingNode {
		for _, f := range fields {
			if f.scalar && n.Kind == yaml.ScalarNode {
				d.at[join(path, f.name)] = where(n)
				d.value(n, above, path, v.Field(f.index), f)
				return
			}
		}
		d.report(where(n), path, n.Value, complaint{message: "a section of keys is wanted, this is " + called(n), allowed: strings.Join(namesOf(fields), ", ")})
		return
	}
	written := make(map[string]bool)
	for _, p := range d.pairs(n, path, 0) {
		name := p.key.Value
		key := join(path, name)
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name && !f.key })
		if i < 0 {
			if path != "" || !strings.HasPrefix(name, "x-") {
				d.unknown(p, path, fields)
			}
			continue
		}
		written[name] = true
		value, ok := d.follow(p.value, key)
		if !ok {
			return
		}
		f := fields[i]
		if isNull(value) && !f.single() {
			written[name] = false // a section without a key is as good as none
			continue
		}
		d.at[key] = where(value)
		if value.Kind != yaml.ScalarNode {
			d.at[key] = place{p.key.Line, p.key.Column, ""}
		}
		d.value(value, d.at[key], key, v.Field(f.index), f)
	}
	for _, f := range fields {
		if f.required && !written[f.name] {
			d.report(place{Line: above.Line, Column: above.Column}, join(path, f.name), "", complaint{message: "this key is missing", allowed: f.wants()})
		}
	}
}

// unknown reports a key that no section has, and keeps quiet about a value that may be a secret.
func (d *decoder) unknown(p pair, path string, fields []field) {
	if d.full() {
		return
	}
	known := namesOf(fields)
	near := nearest(p.key.Value, known)
	value := ""
	if p.value.Kind == yaml.ScalarNode {
		value = p.value.Value
	}
	for _, f := range fields {
		if f.typ == secretType && (near == "" || near == f.name) {
			value = ""
		}
	}
	d.report(where(p.key), join(path, p.key.Value), value, complaint{"unknown key", strings.Join(known, ", "), near})
}

func namesOf(fields []field) []string {
	var s []string
	for _, f := range fields {
		if !f.key {
			s = append(s, f.name)
		}
	}
	return s
}

// single reports whether the key takes one value, not a section or list.
func (f *field) single() bool {
	t := f.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return kinds[t] != nil || t == secretType
}

// called names a node's form in plain words.
func called(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

// value decodes what stands after the key f.
func (d *decoder) value(n *yaml.Node, above place, path string, v reflect.Value, f field) {
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		setDefaults(p.Elem())
		v.Set(p)
		v = p.Elem()
	}
	switch k := kinds[v.Type()]; {
	case k != nil:
		d.single(n, path, v, f, k)
	case v.Type() == secretType:
		d.secret(n, path, v.Addr().Interface().(*Secret))
	case v.Kind() == reflect.Struct:
		d.section(n, above, path, v)
	default:
		if name, named := entryName(v.Type().Elem()); named {
			d.entries(n, path, v, name)
		} else {
			d.list(n, path, v, f)
		}
	}
}

// entries decodes a mapping of named sections into a slice, in the order of the file.
func (d *decoder) entries(n *yaml.Node, path string, v reflect.Value, name field) {
	if n.Kind != yaml.MappingNode {
		d.report(where(n), path, n.Value, complaint{message: "named entries are wanted, this is " + called(n), allowed: "one \"name: …\" a line"})
		return
	}
	pairs := d.pairs(n, path, 0)
	if len(pairs) > maxEntries {
		d.report(where(n), path, "", complaint{message: fmt.Sprintf("%d entries: at most %d", len(pairs), maxEntries)})
		return
	}
	for _, p := range pairs {
		key := join(path, p.key.Value)
		at := place{Line: p.key.Line, Column: p.key.Column}
		d.at[key] = at
		if name.pattern != nil && !name.pattern.MatchString(p.key.Value) {
			d.report(at, path, p.key.Value, complaint{message: "this cannot be a name", allowed: name.allowed})
		}
		value, ok := d.follow(p.value, key)
		if !ok {
			return
		}
		e := reflect.New(v.Type().Elem()).Elem()
		setDefaults(e)
		e.Field(name.index).SetString(p.key.Value)
		if isNull(value) {
			value = &yaml.Node{Kind: yaml.MappingNode, Line: at.Line, Column: at.Column} // what is required will be reported as missing
		}
		d.section(value, at, key, e)
		v.Set(reflect.Append(v, e))
	}
}

func (d *decoder) list(n *yaml.Node, path string, v reflect.Value, f field) {
	if n.Kind != yaml.SequenceNode {
		d.report(where(n), path, n.Value, complaint{message: "a list is wanted, this is " + called(n), allowed: "[…, …]"})
		return
	}
	for i, item := range n.Content {
		key := fmt.Sprintf("%s[%d]", path, i)
		item, ok := d.follow(item, key)
		if !ok {
			return
		}
		e := reflect.New(v.Type().Elem()).Elem()
		setDefaults(e)
		d.at[key] = where(item)
		d.value(item, where(item), key, e, field{name: f.name, typ: e.Type()})
		v.Set(reflect.Append(v, e))
	}
}

// single decodes one value and holds it against the limits of its key.
func (d *decoder) single(n *yaml.Node, path string, v reflect.Value, f field, k *kind) {
	if n.Kind != yaml.ScalarNode {
		d.report(where(n), path, "", complaint{message: "one value is wanted, this is " + called(n), allowed: f.wants()})
		return
	}
	fail := func(c complaint) {
		value := n.Value
		if _, isURL := v.Interface().(URL); isURL && strings.ContainsAny(value, "@?#") {
			value = "" // may hold a password or a token
		}
		if c.allowed == "" {
			c.allowed = f.wants()
		}
		d.report(where(n), path, value, c)
	}
	switch tag := n.ShortTag(); {
	case tag == "!!null" || n.Value == "":
		fail(complaint{message: "there is no value: give one or leave the key out"})
		return
	case v.Kind() == reflect.String && tag != "!!str" && !(tag == "!!int" && v.Type() == reflect.TypeFor[Key]()) && f.enum == nil:
		fail(complaint{message: "text is wanted, this is " + called(n) + ": write it between quotes"})
		return
	}
	if v.Type() == reflect.TypeFor[URL]() {
		if c := checkURL(n.Value, f.enum); c != nil {
			fail(*c)
			return
		}
		v.SetString(n.Value)
		return
	}
	parsed, c := k.parse(n.Value)
	if c != nil {
		fail(*c)
		return
	}
	switch {
	case k.json != "" && n.ShortTag() == "!!str":
		fail(complaint{message: "between quotes this is text: take the quotes away", nearest: n.Value})
		return
	case f.enum != nil && !slices.Contains(f.enum, n.Value):
		fail(complaint{"not one of the words allowed here", strings.Join(f.enum, ", "), nearest(n.Value, f.enum)})
		return
	case f.pattern != nil && !f.pattern.MatchString(n.Value):
		fail(complaint{message: "not of the form that is wanted", allowed: f.allowed})
		return
	case f.min != "" && k.measure(parsed) < k.measure(must(k, f.min)):
		fail(complaint{message: "too small", allowed: f.min + " to " + f.max})
		return
	case f.max != "" && k.measure(parsed) > k.measure(must(k, f.max)):
		fail(complaint{message: "too large", allowed: f.min + " to " + f.max})
		return
	}
	v.Set(reflect.ValueOf(parsed))
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

const howSecret = "{env: NAME} for an environment variable, {file: PATH} for a file"

// secret decodes {env: NAME} or {file: PATH} and never repeats what was written.
func (d *decoder) secret(n *yaml.Node, path string, s *Secret) {
	s.dir, s.getenv = d.dir, d.getenv
	if n.Kind != yaml.MappingNode {
		d.report(where(n), path, "", complaint{message: "a secret cannot stand in this file; name the place where it is kept", allowed: howSecret})
		return
	}
	pairs := d.pairs(n, path, 0)
	if len(pairs) != 1 {
		d.report(where(n), path, "", complaint{message: "a secret has exactly one place", allowed: howSecret})
		return
	}
	name := pairs[0].key.Value
	value, ok := d.follow(pairs[0].value, path)
	switch {
	case !ok:
	case name != "env" && name != "file":
		d.report(where(pairs[0].key), join(path, name), "", complaint{"unknown key", howSecret, nearest(name, []string{"env", "file"})})
	case value.Kind != yaml.ScalarNode || value.Value == "" || isNull(value):
		d.report(where(value), join(path, name), "", complaint{message: "there is no value", allowed: howSecret})
	case name == "env" && !envName.MatchString(value.Value):
		d.report(where(value), join(path, name), "", complaint{message: "not the name of an environment variable", allowed: "letters, digits and _"})
	case name == "env":
		s.Env = value.Value
	case checkPath(value.Value) != nil:
		d.report(where(value), join(path, name), "", *checkPath(value.Value))
	default:
		s.File = Path(value.Value)
	}
}

// wants says in words what may stand after the key.
func (f *field) wants() string {
	t := f.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	k := kinds[t]
	switch {
	case t == secretType:
		return howSecret
	case t == reflect.TypeFor[URL]():
		return "an address that starts with " + strings.Join(f.enum, "://, ") + "://"
	case f.enum != nil:
		return strings.Join(f.enum, ", ")
	case t == reflect.TypeFor[Role]():
		return strings.Join(k.known, ", ") + ", or the name that a model gives to what it needs"
	case f.allowed != "":
		return f.allowed
	case f.min != "":
		return f.min + " to " + f.max
	case k != nil:
		return k.words
	case t.Kind() == reflect.Slice:
		if _, named := entryName(t.Elem()); named {
			return "named entries, one \"name: …\" a line"
		}
		return "a list"
	}
	return "the keys " + strings.Join(namesOf(fieldsOf(t)), ", ")
}

func must(k *kind, text string) any {
	v, c := k.parse(text)
	if c != nil {
		panic(fmt.Sprintf("config: the tag %q cannot be read: %s", text, c.message))
	}
	return v
}

// setDefaults gives every key of a struct its default, sections within included.
func setDefaults(v reflect.Value) {
	if v.Kind() != reflect.Struct || kinds[v.Type()] != nil || v.Type() == secretType {
		return
	}
	for _, f := range fieldsOf(v.Type()) {
		switch fv := v.Field(f.index); {
		case f.def != "":
			fv.Set(reflect.ValueOf(must(kinds[f.typ], f.def)))
		default:
			setDefaults(fv)
		}
	}
}
