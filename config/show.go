package config

import (
	"bytes"
	_ "embed"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"stirwatch/sensors/unit"
)

//go:embed example.yaml
var example []byte

// Example is the commented agent.yaml that `config init` writes: it runs as it stands. schema is where an editor finds
// the JSON Schema, seen from the file; "": nowhere.
func Example(schema string) []byte {
	first, rest, _ := bytes.Cut(example, []byte("\n"))
	if schema == "" {
		return bytes.Clone(rest)
	}
	return slices.Concat(bytes.Replace(first, []byte("config/agent.schema.json"), []byte(schema), 1), []byte("\n"), rest)
}

// InShort says in a line what is configured: the machine, how many channels, and which sources.
func (c *Config) InShort() string {
	names := make([]string, len(c.Sources))
	for i := range c.Sources {
		names[i] = c.Sources[i].Name
	}
	return fmt.Sprintf("machine %s, %d channels, sources %s", c.Machine, len(c.Channels), strings.Join(names, ", "))
}

// Show is the effective configuration as YAML: defaults filled in, quantities with their units,
// secrets as the place where they are kept. It reads back as the same configuration.
func (c *Config) Show() []byte {
	var b bytes.Buffer
	b.WriteString("# Effective configuration of " + c.Machine + ": defaults filled in, secrets hidden.\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(shown(reflect.ValueOf(c).Elem(), false)); err != nil {
		panic(err) // a tree of plain scalars
	}
	return b.Bytes()
}

// shown is v as a YAML tree, nil where nothing is set; flow puts it on one line.
func shown(v reflect.Value, flow bool) *yaml.Node {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	style := yaml.Style(0)
	if flow {
		style = yaml.FlowStyle
	}
	if k := kinds[v.Type()]; k != nil {
		tag := map[string]string{"": "!!str", "boolean": "!!bool", "integer": "!!int", "number": "!!float"}[k.json]
		switch v.Interface().(type) {
		case float64, unit.Unit, unit.Quantity:
			tag = "" // 2 is as good as 2.0; plain numbers need no quotes
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: k.print(v.Interface())}
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Style: style}
	add := func(key string, value *yaml.Node) {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
	}
	switch s, secret := v.Interface().(Secret); {
	case secret && s.Env != "":
		add("env", shown(reflect.ValueOf(s.Env), false))
	case secret && s.File != "":
		add("file", shown(reflect.ValueOf(s.File), false))
	case secret:
		return nil
	case v.Kind() == reflect.Slice:
		name, named := entryName(v.Type().Elem())
		if !named {
			n = &yaml.Node{Kind: yaml.SequenceNode, Style: style}
		}
		for i := range v.Len() {
			if e := shown(v.Index(i), flow); named {
				add(v.Index(i).Field(name.index).String(), e)
			} else {
				n.Content = append(n.Content, e)
			}
		}
		if named {
			n.Style = 0
		}
	default:
		for _, f := range fieldsOf(v.Type()) {
			fv := v.Field(f.index)
			if f.key || fv.IsZero() && f.def == "" && !f.required {
				continue
			}
			if e := shown(fv, flow || f.flow); e != nil {
				add(f.name, e)
			}
		}
		if len(n.Content) == 0 {
			return nil
		}
	}
	return n
}
