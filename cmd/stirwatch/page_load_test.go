package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
)

// built skips where there is no page.
func built(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(frontEnd, "dist", "index.html")); err != nil {
		t.Skip("the page is not built: `make build` does it")
	}
}

// fast is a page on a real agent whose stream of events is made up here: the agent's own state, over and over, with its
// clock, its tick and its numbers going on as fast as the page takes them.
type fast struct {
	*httptest.Server
	passed atomic.Int64 // of the simulated clock, ns
	until  atomic.Int64 // where it waits
}

func newFast(c *cell) *fast {
	f := &fast{}
	behind := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(c.address.Load()); r.Out.Host = r.In.Host }}
	mux := http.NewServeMux()
	mux.Handle("/", behind)
	mux.HandleFunc("GET /api/v1/stream", func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Get(c.address.Load().String() + "/api/v1/now")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		var now map[string]json.RawMessage
		var channels []map[string]any
		if err != nil || json.Unmarshal(text, &now) != nil || json.Unmarshal(now["channels"], &channels) != nil {
			http.Error(w, fmt.Sprintf("%v: %.100s", err, text), http.StatusBadGateway)
			return
		}
		began, _ := strconv.ParseInt(string(now["time"]), 10, 64)
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			passed := f.passed.Load()
			if passed < f.until.Load() {
				passed = f.passed.Add(int64(100 * time.Millisecond))
			} else { // until more is wanted the last is told again, as by an agent
				time.Sleep(50 * time.Millisecond)
			}
			at := strconv.FormatInt(began+passed, 10)
			now["time"], now["served"], now["tick"] = json.RawMessage(at), json.RawMessage(at), json.RawMessage(strconv.FormatInt(passed/1e8+1_000_000, 10))
			for i, x := range channels {
				x["value"], x["age_s"], x["trusted"] = 400+float64(10*i)+20*math.Sin(float64(passed)/1e9/float64(7+i)), 0.05, true
				delete(x, "quality")
			}
			now["channels"], _ = json.Marshal(channels)
			text, _ := json.Marshal(now)
			if _, err := fmt.Fprintf(w, "event: now\nid: %d\ndata: %s\n\n", passed, text); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})
	f.Server = httptest.NewServer(mux)
	c.t.Cleanup(func() {
		f.CloseClientConnections() // a stream does not end by itself
		f.Close()
	})
	return f
}

// memory is what the page's scripts hold after a collection, MB, with the number of its nodes and listeners.
func (b *browser) memory() (heap, nodes, listeners float64) {
	b.t.Helper()
	for range 3 {
		if _, err := chromedp.Call(b.ctx, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			b.t.Fatal(err)
		}
	}
	got, err := chromedp.Call(b.ctx, performance.GetMetrics, cdp.Empty{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, m := range got.Metrics {
		switch m.Name {
		case "JSHeapUsedSize":
			heap = m.Value / (1 << 20)
		case "Nodes":
			nodes = m.Value
		case "JSEventListeners":
			listeners = m.Value
		}
	}
	return heap, nodes, listeners
}

// A page that is open for as many hours of the machine as STIRWATCH_PAGE_HOURS says, ten events a second, drawn as often as it would be, with every view opened each hour, holds no
// more at the end than when three quarters of them had passed. Until then the browser itself grows: it compiles what runs often, by
// its own clock, and the hours pass as fast as it takes them.
func TestPageStaysFlat(t *testing.T) {
	hours, err := strconv.Atoi(os.Getenv("STIRWATCH_PAGE_HOURS"))
	if err != nil || hours < 12 {
		t.Skip("STIRWATCH_PAGE_HOURS is not set, or less than 12")
	}
	built(t)
	b := newBrowser(t)
	c := newCell(t)
	f := newFast(c)
	if _, err := chromedp.Call(b.ctx, performance.Enable, performance.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	// Drawings and the like follow each other as much faster as the events do, about.
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `{ const slow = setInterval; window.setInterval = (f, ms, ...a) => slow(f, ms / 40, ...a) }`}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(b.ctx, chromedp.Navigate(f.URL)); err != nil {
		t.Fatal(err)
	}
	b.is("a temperature is shown", `/\d{3}\.\d\s*°C/.test(document.querySelector("[data-test=lead]").innerText)`)
	var heaps []float64
	for hour := range hours {
		to := int64(hour+1) * int64(time.Hour)
		f.until.Store(to)
		for end := time.Now().Add(30 * time.Minute); f.passed.Load() < to; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the page takes no more events")
			}
		}
		for _, view := range []string{"why", "advice", "alarms", "runs", "models", "setup", "now"} {
			b.text(fmt.Sprintf(`(location.hash = %q, true)`, view))
			b.is(view+" is open", `document.querySelector("nav a[aria-current]")`)
		}
		heap, nodes, listeners := b.memory()
		t.Logf("after %d h: %.2f MB, %g nodes, %g listeners", hour+1, heap, nodes, listeners)
		heaps = append(heaps, heap)
	}
	late := heaps[len(heaps)*3/4-1]
	if last := slices.Min(heaps[len(heaps)-2:]); last > 1.04*late { // a tenth of a MB an hour would be more
		t.Errorf("the page holds %.2f MB when three quarters have passed and %.2f MB at the end", late, last)
	}
}

// The first paint of the page, and its first temperature, on a processor four times as slow, from the request on, with nothing
// kept from before. Budgets: 0.8 s at the median and 1 s at most for the paint, 1.5 s for the temperature.
func BenchmarkFirstPaint(b *testing.B) {
	built(b)
	tab := newBrowser(b)
	c := newCell(b)
	if _, err := chromedp.Call(tab.ctx, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4}); err != nil {
		b.Fatal(err)
	}
	if _, err := chromedp.Call(tab.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `requestAnimationFrame(function look() {
		if (/\d/.test(document.querySelector("[data-test=lead]")?.textContent)) performance.mark("temperature"); else requestAnimationFrame(look) })`}); err != nil {
		b.Fatal(err)
	}
	times := map[string][]float64{} // ms since the request, of each page
	for b.Loop() {
		tab.t = b
		if err := chromedp.Do(tab.ctx, chromedp.Navigate("about:blank")); err != nil {
			b.Fatal(err)
		}
		if err := chromedp.Do(tab.ctx, chromedp.Navigate(c.page.URL+"/?"+strconv.Itoa(len(times["temperature"])))); err != nil {
			b.Fatal(err)
		}
		tab.is("a temperature is shown", `performance.getEntriesByName("temperature").length`)
		var at map[string]float64
		if err := json.Unmarshal([]byte(tab.text(`JSON.stringify(Object.fromEntries(performance.getEntries().map(e => [e.name, e.startTime])))`)), &at); err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"first-contentful-paint", "temperature"} {
			times[name] = append(times[name], at[name])
		}
	}
	for name, all := range times {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], "ms-to-"+name+"-p50")
		b.ReportMetric(all[len(all)-1], "ms-to-"+name+"-max")
	}
}
