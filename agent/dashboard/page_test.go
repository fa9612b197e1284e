package dashboard

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"stirwatch/cmd/parts"
)

var update = flag.Bool("update", false, "write the requests of docs/api.md anew")

// The manual has every request and every object of the document.
func TestManualIsCurrent(t *testing.T) {
	doc, _ := document(t)
	parts.Page(t, "../../docs/api.md", "<!-- made by `go generate ./agent/dashboard` from openapi.yaml -->\n", "<!-- end of what is made -->\n", manual(doc), "go generate ./agent/dashboard", *update)
}

// manual writes the requests with their parameters and answers, then the objects.
func manual(doc *openapi3.T) string {
	var b strings.Builder
	b.WriteString("\n" + strings.TrimSpace(doc.Info.Description) + "\n\n## Requests\n\n| request | | parameters | answer |\n|---|---|---|---|\n")
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		operations := doc.Paths.Value(path).Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			o := operations[method]
			var takes []string
			for _, p := range o.Parameters {
				takes = append(takes, strings.TrimSuffix(fmt.Sprintf("`%s`: %s", p.Value.Name, p.Value.Description), ": "))
			}
			if o.RequestBody != nil {
				takes = append(takes, objectOf(o.RequestBody.Value.Content))
			}
			gives := ""
			if ok := o.Responses.Value("200"); ok != nil {
				gives = cmp.Or(objectOf(ok.Value.Content), *ok.Value.Description)
			}
			text := strings.TrimSpace(o.Summary + ". " + strings.ReplaceAll(strings.TrimSpace(o.Description), "\n", " "))
			fmt.Fprintf(&b, "| `%s %s` | %s | %s | %s |\n", method, path, strings.TrimSuffix(text, "."), strings.Join(takes, "; "), gives)
		}
	}
	b.WriteString("\n## Objects\n")
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		s := doc.Components.Schemas[name].Value
		var rows []string
		properties(s, &rows)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n", name)
		if s.Description != "" {
			b.WriteString(s.Description + "\n\n")
		}
		b.WriteString("| key | is | |\n|---|---|---|\n" + strings.Join(rows, ""))
	}
	return b.String() + "\n"
}

// properties adds a row for each key of an object, those of what it is made of first.
func properties(s *openapi3.Schema, rows *[]string) {
	for _, part := range s.AllOf {
		properties(part.Value, rows)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[key]
		*rows = append(*rows, fmt.Sprintf("| `%s` | %s | %s |\n", key, kind(p), p.Value.Description))
	}
}

// kind is what a schema is, for people.
func kind(r *openapi3.SchemaRef) string {
	if name := strings.TrimPrefix(r.Ref, "#/components/schemas/"); name != r.Ref {
		return linked(name)
	}
	s := r.Value
	switch {
	case len(s.AllOf) == 1:
		return kind(s.AllOf[0])
	case s.Type.Is("array"):
		return "list of " + kind(s.Items)
	case len(s.Enum) > 0:
		var words []string
		for _, v := range s.Enum {
			words = append(words, fmt.Sprint(v))
		}
		return strings.Join(words, ", ")
	case s.Type.Is("object") && len(s.Properties) > 0:
		return "object of " + strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
	case s.Type == nil:
		return ""
	}
	return strings.Join(s.Type.Slice(), ", ")
}

// linked is the name of an object, with the way to it; of what is only a number, its name.
func linked(name string) string {
	if name == "Instant" || name == "Number" || name == "Mode" {
		return strings.ToLower(name)
	}
	return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
}

func objectOf(c openapi3.Content) string {
	if m := c.Get("application/json"); m != nil && m.Schema != nil {
		return kind(m.Schema)
	}
	return ""
}
