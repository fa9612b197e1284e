package dashboard

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func askOf(h http.Handler, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8765/", nil)
	r.URL.Path, r.URL.RawPath = path, ""
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Prometheus' own parser reads what is told, and its linter has nothing to say.
func TestMetricsAreThoseOfPrometheus(t *testing.T) {
	s := newStand(t, func(o *Options) { o.Machine = "a \"cell\" \\ of\nours" })
	s.feed()
	text := s.wants(http.StatusOK, s.ask(http.MethodGet, "/metrics", ""))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string) float64 {
		f := families[name]
		if f == nil {
			t.Fatalf("there is no %s", name)
		}
		m := f.Metric[0]
		return m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	if value("stirwatch_channel_value") != 450 || value("stirwatch_ticks_total") < 1 || value("stirwatch_journal_recording") != 1 {
		t.Errorf("metrics: %s", text)
	}
	if l := families["stirwatch_build_info"].Metric[0].Label; len(l) != 3 || l[1].GetValue() != s.Machine {
		t.Errorf("labels: %v", l)
	}
	problems, err := promlint.New(bytes.NewReader([]byte(text))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestHealth(t *testing.T) {
	s := newStand(t)
	s.wants(http.StatusOK, s.ask(http.MethodGet, "/healthz", ""))
	s.feed()
	s.wants(http.StatusOK, s.ask(http.MethodGet, "/readyz", ""))
	var p pulse
	now := time.Now()
	if p.still(7, now) != 0 || p.still(7, now.Add(time.Minute)) != time.Minute || p.still(8, now.Add(time.Hour)) != 0 {
		t.Error("a tick that stands still is not noticed")
	}
	s.pulse = pulse{beats: ^uint64(0)} // whatever it is now, it is another
	s.wants(http.StatusOK, s.ask(http.MethodGet, "/healthz", ""))
}
