package dashboard

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"stirwatch/agent/doctor"
	"stirwatch/sensors"
)

func TestMessagesAreReadable(t *testing.T) {
	for _, c := range []struct {
		about, raw string
		want       Message
	}{
		{"", "1751971390,451.2", Message{Text: "1751971390,451.2", Size: 16}},
		{"cell/x", `{"v": 3, "unit": "°C"}`, Message{Topic: "cell/x", Text: `{"v": 3, "unit": "°C"}`, Size: 23}},
		{"", "a\tb", Message{Text: "a\tb", Size: 3}},
		{"", "cut °"[:5], Message{Text: "cut ", Size: 5}}, // half a letter
		{"", "\x01\x02\xff", Message{Text: "0102ff", Size: 3}},
		{"a\x00b", "", Message{Topic: "610062"}},
		{"", `{"user": "x", "password": "p,\"w} d", "v": 1}`, Message{Text: `{"user": "x", "password": (hidden), "v": 1}`, Size: 45}},
		{"", `{"token":"cut in the mid`, Message{Text: `{"token":(hidden)`, Size: 24}},
		{"", "api-key=abc&x=1", Message{Text: "api-key=(hidden)&x=1", Size: 15}},
		{"", "Authorization: Bearer abc.def, t=3", Message{Text: "Authorization: (hidden), t=3", Size: 34}},
	} {
		if got := messageOf(&sensors.Message{About: c.about, Raw: []byte(c.raw), Size: len(c.raw)}); got != c.want {
			t.Errorf("%q %q is told as %+v, want %+v", c.about, c.raw, got, c.want)
		}
	}
}

// What a source sends is seen by those who ask again, by operators; ports by everybody.
func TestSetupIsForOperators(t *testing.T) {
	s := newStand(t)
	path := root + "/sources/bench/messages"
	ask := func() (all []Message) { s.get(path, &all); return all }
	if all := ask(); len(all) != 0 {
		t.Errorf("before anybody looked: %+v", all)
	}
	s.bench.health.Tap.Hear(5, []byte("cell/x"), []byte("x=1"))
	if all := ask(); len(all) != 1 || all[0] != (Message{5, "cell/x", "x=1", 3}) {
		t.Errorf("%+v", all)
	}
	var found []doctor.Finding
	w := s.ask(http.MethodPost, root+"/doctor", "{}")
	if text := s.wants(http.StatusOK, w); !strings.Contains(text, `"what":"source bench"`) || !strings.Contains(text, `"what":"journal"`) {
		t.Errorf("doctor finds %s %v", text, found)
	}
	s.people()
	for _, c := range []struct {
		who           string
		sees, listens int
	}{{"wall", 200, 403}, {"anna", 200, 200}} {
		s.login(c.who, secretWord)
		for _, x := range []struct {
			method, path string
			status       int
		}{{http.MethodGet, "/ports", c.sees}, {http.MethodGet, "/sources/bench/messages", c.listens}, {http.MethodPost, "/doctor", c.listens}} {
			if w := s.ask(x.method, root+x.path, ""); w.Code != x.status {
				t.Errorf("%s: %s %s: %d, not %d", c.who, x.method, x.path, w.Code, x.status)
			}
		}
	}
	s.wants(http.StatusNotFound, s.ask(http.MethodGet, root+"/sources/none/messages", ""))
	s.Ports = func() ([]Port, error) { return nil, fmt.Errorf("a device hangs") }
	s.wants(http.StatusServiceUnavailable, s.ask(http.MethodGet, root+"/ports", ""))
}

func FuzzMessages(f *testing.F) {
	f.Add("cell/x", []byte(`{"password": "x"}`))
	f.Add("", []byte("\xff\x00°"))
	f.Fuzz(func(t *testing.T, about string, raw []byte) {
		m := messageOf(&sensors.Message{About: about, Raw: raw, Size: len(raw)})
		for _, text := range []string{m.Topic, m.Text} {
			if strings.ToValidUTF8(text, "") != text || strings.ContainsAny(text, "\x00\x1b\n") {
				t.Errorf("%q %q is told as %+v", about, raw, m)
			}
		}
	})
}
