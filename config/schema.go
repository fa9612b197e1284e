package config

import (
	"bytes"
	"embed"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"stirwatch/sensors/unit"
)

//go:generate go test -run Current|WrongFiles -update

// sources hold the field comments that the schema and the reference quote: the files with sections.
//
//go:embed config.go sources.go bridge.go control.go limits.go notify.go
var sources embed.FS

// comments maps "Type.Field" to its comment.
var comments = sync.OnceValue(func() map[string]string {
	files, err := sources.ReadDir(".")
	if err != nil {
		panic(err)
	}
	m := make(map[string]string)
	for _, f := range files {
		text, err := sources.ReadFile(f.Name())
		if err != nil {
			panic(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			panic(err) // the compiler has read the same text
		}
		addComments(m, file)
	}
	return m
})

func addComments(m map[string]string, file *ast.File) {
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			typ, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if st, ok := typ.Type.(*ast.StructType); ok {
				for _, f := range st.Fields.List {
					for _, name := range f.Names {
						m[typ.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					}
				}
			}
		}
	}
}

// field is one key of a section: a struct field with its tags read.
type field struct {
	index    int
	name     string
	comment  string // its place in comments
	typ      reflect.Type
	key      bool // the entry's own name, written before the colon
	scalar   bool // the section may be written as this value alone
	flow     bool // shown on one line
	required bool
	def      string
	min, max string
	enum     []string
	pattern  *regexp.Regexp
	allowed  string
}

// doc is the key's description.
func (f *field) doc() string { return comments()[f.comment] }

var sections sync.Map // reflect.Type -> []field

// fieldsOf reads the keys of a section.
func fieldsOf(t reflect.Type) []field {
	if fs, ok := sections.Load(t); ok {
		return fs.([]field)
	}
	var fs []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		has := func(o string) bool { return slices.Contains(strings.Split(options, ","), o) }
		f := field{
			index: i, name: name, comment: t.Name() + "." + sf.Name, typ: sf.Type,
			key: has("key"), scalar: has("scalar"), flow: has("flow"), required: sf.Tag.Get("required") == "true",
			def: sf.Tag.Get("default"), min: sf.Tag.Get("min"), max: sf.Tag.Get("max"), allowed: sf.Tag.Get("allowed"),
		}
		if e := sf.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, ",")
		}
		if p := sf.Tag.Get("pattern"); p != "" {
			f.pattern = regexp.MustCompile(p)
		}
		fs = append(fs, f)
	}
	sections.Store(t, fs)
	return fs
}

// entryName is the field of t that holds an entry's own name; false where t is no such section.
func entryName(t reflect.Type) (field, bool) {
	if t.Kind() == reflect.Struct && kinds[t] == nil && t != secretType {
		for _, f := range fieldsOf(t) {
			if f.key {
				return f, true
			}
		}
	}
	return field{}, false
}

var secretType = reflect.TypeFor[Secret]()

// object is a JSON object whose keys keep their order.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Quote(m.name) + ":")
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Schema is the JSON Schema (draft 2020-12) of agent.yaml, for editors. References between keys
// and the kinds of a channel's units are beyond it; [Parse] checks those too.
func Schema() []byte {
	defs := object{}
	root := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "stirwatch agent.yaml"},
	}
	root = append(root, section(reflect.TypeFor[Config](), &defs)...)
	root = append(root, member{"patternProperties", object{{"^x-", object{{"description", "Ignored: a place for YAML anchors."}}}}})
	slices.SortFunc(defs, func(a, b member) int { return strings.Compare(a.name, b.name) })
	root = append(root, member{"$defs", defs})
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		panic(err) // maps of strings and numbers only
	}
	return b.Bytes()
}

// section describes a struct as an object with named keys.
func section(t reflect.Type, defs *object) object {
	props, required := object{}, []string{}
	for _, f := range fieldsOf(t) {
		if f.key {
			continue
		}
		s := object{}
		if doc := f.doc(); doc != "" {
			s = append(s, member{"description", doc})
		}
		s = append(s, shape(f.typ, &f, defs)...)
		if f.def != "" {
			var def any = f.def
			if k := kinds[f.typ]; k != nil && k.json != "" {
				def, _ = k.parse(f.def)
			}
			s = append(s, member{"default", def})
		}
		props = append(props, member{f.name, s})
		if f.required {
			required = append(required, f.name)
		}
	}
	o := object{{"type", "object"}, {"additionalProperties", false}, {"properties", props}}
	if len(required) > 0 {
		o = append(o, member{"required", required})
	}
	return o
}

// shape describes what may stand after a key of type t; f adds the key's own limits.
func shape(t reflect.Type, f *field, defs *object) object {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if k := kinds[t]; k != nil {
		return single(k, t, f)
	}
	switch {
	case t == secretType:
		text := object{{"type", "string"}, {"minLength", 1}}
		one := func(name, doc string, value object) object {
			value = append(object{{"description", doc}}, value...)
			return object{{"type", "object"}, {"additionalProperties", false}, {"properties", object{{name, value}}}, {"required", []string{name}}}
		}
		return object{{"oneOf", []object{
			one("env", "Name of the environment variable that holds the secret.", object{{"type", "string"}, {"pattern", envName.String()}}),
			one("file", "Name of the file that holds the secret.", text),
		}}}
	case t.Kind() == reflect.Slice:
		elem := t.Elem()
		name, named := entryName(elem)
		if !named {
			return object{{"type", "array"}, {"items", shape(elem, &field{}, defs)}}
		}
		o := object{{"type", []string{"object", "null"}}, {"additionalProperties", shape(elem, &field{}, defs)}}
		if f.required {
			o = append(object{{"type", "object"}, {"minProperties", 1}}, o[1:]...)
		}
		if name.pattern != nil {
			o = append(o, member{"propertyNames", object{{"pattern", name.pattern.String()}}})
		}
		return o
	}
	if !slices.ContainsFunc(*defs, func(m member) bool { return m.name == t.Name() }) {
		*defs = append(*defs, member{t.Name(), nil}) // holds the place while its parts are described
		o := section(t, defs)
		for _, inner := range fieldsOf(t) {
			if inner.scalar {
				o = object{{"anyOf", []any{object{{"type", []string{"string", "integer"}}}, o}}}
			}
		}
		i := slices.IndexFunc(*defs, func(m member) bool { return m.name == t.Name() })
		(*defs)[i].value = o
	}
	ref := member{"$ref", "#/$defs/" + t.Name()}
	if f.required || f.name == "" {
		return object{ref}
	}
	return object{{"anyOf", []object{{ref}, {{"type", "null"}}}}}
}

// single describes one value.
func single(k *kind, t reflect.Type, f *field) object {
	typ := k.json
	if typ == "" {
		typ = "string"
	}
	o := object{{"type", typ}}
	switch {
	case t == reflect.TypeFor[Key]():
		o = object{{"type", []string{"string", "integer"}}}
	case t == reflect.TypeFor[unit.Quantity]():
		o = object{{"type", []string{"string", "number"}}} // channels of unit 1 have bare numbers
	case t == reflect.TypeFor[URL]():
		return object{{"type", "string"}, {"pattern", "^(" + strings.Join(f.enum, "|") + ")://[^/@]+"}}
	}
	switch {
	case t == reflect.TypeFor[unit.Unit]():
		units := []any{1} // the plain number may be written without quotes
		for _, u := range k.enum {
			units = append(units, u)
		}
		o = object{{"enum", units}}
	case k.enum != nil:
		o = append(o, member{"enum", k.enum})
	case f.enum != nil:
		o = append(o, member{"enum", f.enum})
	case f.pattern != nil:
		o = append(o, member{"pattern", f.pattern.String()})
	case k.pattern != "":
		o = append(o, member{"pattern", k.pattern})
	case typ == "string":
		o = append(o, member{"minLength", 1})
	}
	if k.known != nil {
		o = append(o, member{"examples", k.known})
	}
	if k.json != "" {
		for _, bound := range []member{{"minimum", f.min}, {"maximum", f.max}} {
			if bound.value != "" {
				v, _ := k.parse(bound.value.(string))
				o = append(o, member{bound.name, v})
			}
		}
	}
	return o
}

// spellings lists how units of a dimension may be written, of all dimensions where d is nil.
func spellings(d *unit.Dimension) []string {
	var s []string
	for _, name := range unit.Spellings() {
		if u := unit.MustParse(name); name != "" && (d == nil || u.Dim == *d) {
			s = append(s, name)
		}
	}
	return s
}

const numberPattern = `[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?`

// quantityPattern matches a number followed by one of the units.
func quantityPattern(units []string) string {
	quoted := make([]string, len(units))
	for i, u := range units {
		quoted[i] = regexp.QuoteMeta(u)
	}
	return `^\s*` + numberPattern + `\s*(` + strings.Join(quoted, "|") + `)\s*$`
}

// ratePattern matches a number followed by something per time.
func ratePattern() string {
	return `^\s*` + numberPattern + `(\s+\S.*|[^\s0-9.eE+-].*)$`
}
