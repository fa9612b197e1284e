package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// hostile are values that requests are made of where the document wants another, or the same.
var hostile = []string{"", "0", "-1", "1", "7", "1e309", "-1e300", "NaN", "Infinity", "0x10", "9223372036854775807", "-9223372036854775808", "18446744073709551616", "1751971390123456789",
	"tool_temperature", "tool temperature", "tool_temperature,set_point", "spindle speed", "last", "build-1", "60s", "8h", "7d", "0s", "1970-01-01", "2262-12-31T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31",
	"\x00", "%00", "..", "../../etc/passwd", "%2e%2e%2f", "ä", "\xff", "a b", ",", ",,,,", "'; DROP TABLE runs; --", "<script>", "all", "off", "true", "null", "{}", "[]", "a\nb", "\"", "\\", strings.Repeat("x", 300), strings.Repeat("[", 2000)}

// asker makes requests out of bytes: each decides one thing, so that a fuzzer can vary them one by one.
type asker struct{ b []byte }

func (a *asker) pick(n int) int {
	if len(a.b) == 0 {
		return 0
	}
	x := int(a.b[0])
	a.b = a.b[1:]
	return x % n
}

// text is a hostile value, or bytes as they come.
func (a *asker) text() string {
	if a.pick(5) > 0 {
		return hostile[a.pick(len(hostile))]
	}
	n := min(a.pick(32), len(a.b))
	x := string(a.b[:n])
	a.b = a.b[n:]
	return x
}

// value is something of JSON: mostly what the schema wants.
func (a *asker) value(s *openapi3.SchemaRef, depth int) any {
	if s == nil || s.Value == nil || depth > 4 || a.pick(4) == 0 {
		return []any{nil, true, -1, 1e300, int64(math.MaxInt64), "", a.text(), []any{}, map[string]any{}, []any{nil, 1, "x"}, map[string]any{a.text(): a.text()}}[a.pick(11)]
	}
	switch v := s.Value; {
	case len(v.Enum) > 0:
		return v.Enum[a.pick(len(v.Enum))]
	case v.Type.Is("object"):
		x := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(v.Properties)) {
			if a.pick(3) > 0 {
				x[name] = a.value(v.Properties[name], depth+1)
			}
		}
		if a.pick(4) == 0 {
			x[strings.ToValidUTF8(a.text(), "?")] = a.value(v.AdditionalProperties.Schema, depth+1)
		}
		return x
	case v.Type.Is("array"):
		x := []any{}
		for range a.pick(4) {
			x = append(x, a.value(v.Items, depth+1))
		}
		return x
	case v.Type.Is("integer"), v.Type.Is("number"):
		return []float64{0, 1, -1, 0.5, 60, 450, 1e15, -1e300, math.SmallestNonzeroFloat64}[a.pick(9)]
	case v.Type.Is("boolean"):
		return a.pick(2) == 0
	}
	return a.text()
}

// request is one of those that the document has, with parameters and a body as it says or not.
func (a *asker) request(doc *openapi3.T) (method, target, body string) {
	paths := slices.Sorted(maps.Keys(doc.Paths.Map()))
	path := paths[a.pick(len(paths))]
	item := doc.Paths.Value(path)
	methods := slices.Sorted(maps.Keys(item.Operations()))
	method = methods[a.pick(len(methods))]
	operation := item.Operations()[method]
	target = root + path
	query := url.Values{}
	for _, p := range append(slices.Clone(item.Parameters), operation.Parameters...) {
		switch p := p.Value; p.In {
		case openapi3.ParameterInPath:
			target = strings.ReplaceAll(target, "{"+p.Name+"}", url.PathEscape(a.text()+"x"[:a.pick(2)]))
		case openapi3.ParameterInQuery:
			for range a.pick(3) {
				query.Add(p.Name, a.text())
			}
		}
	}
	if a.pick(8) == 0 {
		query.Add(a.text(), a.text())
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	if operation.RequestBody != nil {
		for _, kind := range operation.RequestBody.Value.Content {
			text, err := json.Marshal(a.value(kind.Schema, 0))
			if err != nil {
				panic(err)
			}
			body = string(text)
		}
		switch a.pick(12) {
		case 1:
			body = a.text()
		case 2:
			body += a.text()
		case 3:
			body = body[:a.pick(len(body)+1)]
		}
	}
	switch a.pick(12) { // a method that is not there, or asks for the head alone
	case 1:
		method = http.MethodDelete
	case 2:
		method = http.MethodHead
	}
	return method, target, body
}

// Whatever is asked, the answer is one of those that the document has, and no failure of the program.
func FuzzAPI(f *testing.F) {
	doc, router := document(f)
	s := newStand(f)
	s.feed()
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b := make([]byte, 64)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &stand{t: t, Server: s.Server}
		a := asker{bytes.Clone(b)}
		method, target, body := a.request(doc)
		kind := []string{"application/json", "", "text/plain", "application/json; charset=utf-16"}[a.pick(4)]
		ended, end := context.WithCancel(t.Context())
		end() // a stream then ends with its first event
		w := s.ask(method, target, body, func(r *http.Request) {
			r.Header.Set("Content-Type", kind)
			if strings.HasPrefix(target, root+"/stream") {
				*r = *r.WithContext(ended)
			}
		})
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("%s %s %s: %d %.300s", method, target, body, w.Code, w.Body)
		}
		if method == http.MethodHead {
			return
		}
		if err := fits(router, method, target, body, w); err != nil && !errors.Is(err, routers.ErrMethodNotAllowed) && !errors.Is(err, routers.ErrPathNotFound) {
			t.Errorf("%s %s %s: %d %.300s: %v", method, target, body, w.Code, w.Body, err)
		}
		if strings.Contains(w.Body.String(), "goroutine ") || strings.Contains(w.Body.String(), "runtime error") {
			t.Errorf("%s %s %s: a failure of the program is told: %.300s", method, target, body, fmt.Sprint(w.Body))
		}
	})
}
