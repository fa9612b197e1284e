package config

import (
	_ "embed"
	"fmt"
	"reflect"
	"strings"

	"stirwatch/sensors/unit"
)

// preface is what the manual page says before its tables.
//
//go:embed preface.md
var preface string

// Reference is the manual page of every key (docs/configuration.md).
func Reference() []byte {
	var b strings.Builder
	b.WriteString(preface)
	const head = "| key | what it is | allowed | default |\n|---|---|---|---|\n"
	b.WriteString("## General\n\n" + head)
	root := fieldsOf(reflect.TypeFor[Config]())
	for _, f := range root {
		if f.single() {
			row(&b, f.name, f)
		}
	}
	for _, f := range root {
		if f.single() {
			continue
		}
		need := ""
		if f.required {
			need = " Required."
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s%s\n\n", f.name, f.doc(), need)
		t, path := inside(f.typ, f.name)
		if t != reflect.TypeFor[Source]() {
			b.WriteString(head)
			rows(&b, path, t)
			continue
		}
		for _, kind := range fieldsOf(t) {
			if kind.key {
				continue
			}
			inner, innerPath := inside(kind.typ, path+"."+kind.name)
			fmt.Fprintf(&b, "### %s\n\n%s Keys of `%s`:\n\n%s", kind.name, kind.doc(), innerPath, head)
			rows(&b, innerPath, inner)
			b.WriteString("\n")
		}
	}
	b.WriteString("\n## Kinds of channels\n\nWhat may stand after `is`, and the units that such a channel may have. Any other name is a kind too: a model finds the channel by the name that its hypotheses give to an input or output, in any unit of the same kind.\n\n| is | units |\n|---|---|\n")
	for _, r := range roles {
		units := "any"
		if r.dim != nil {
			units = strings.Join(unit.Of(*r.dim), ", ")
		}
		fmt.Fprintf(&b, "| %s | %s |\n", r.Role, units)
	}
	b.WriteString("\n## Units\n\n" + strings.Join(unit.Symbols(), ", ") + ". Common spellings such as degC, Nm, ft-lbf or ipm are understood too.\n" +
		"Durations: " + strings.Join(names(durations), ", ") + ". Sizes: " + strings.Join(names(sizes), ", ") + ".\n")
	return []byte(b.String())
}

// inside is the section that a key's type holds and the path to its keys.
func inside(t reflect.Type, path string) (reflect.Type, string) {
	switch t.Kind() {
	case reflect.Pointer:
		return inside(t.Elem(), path)
	case reflect.Slice:
		if _, named := entryName(t.Elem()); named {
			return inside(t.Elem(), path+".<name>")
		}
		return inside(t.Elem(), path+"[]")
	}
	return t, path
}

func rows(b *strings.Builder, path string, t reflect.Type) {
	for _, f := range fieldsOf(t) {
		if f.key {
			continue
		}
		key := path + "." + f.name
		row(b, key, f)
		if inner, innerPath := inside(f.typ, key); inner.Kind() == reflect.Struct && kinds[inner] == nil && inner != secretType {
			rows(b, innerPath, inner)
		}
	}
}

func row(b *strings.Builder, key string, f field) {
	def := "–"
	switch {
	case f.required:
		def = "**required**"
	case f.def != "":
		def = "`" + f.def + "`"
	}
	allowed := f.wants()
	if inner, _ := inside(f.typ, ""); inner.Kind() == reflect.Struct && kinds[inner] == nil && inner != secretType {
		allowed = "the keys below"
		for _, in := range fieldsOf(inner) {
			if in.scalar {
				allowed += ", or `<name>: " + in.name + "` for short"
			}
		}
	}
	if f.typ == reflect.TypeFor[Role]() {
		allowed = "one of the [kinds of channels](#kinds-of-channels), or the name that a model gives to what it needs, such as heater 1 power"
	}
	if f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Float64 {
		allowed = "a list of numbers"
	}
	cell := strings.NewReplacer("|", `\|`).Replace
	fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key, cell(f.doc()), cell(allowed), def)
}
