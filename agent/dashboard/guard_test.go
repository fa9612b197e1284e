package dashboard

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// A page elsewhere can neither do nor read anything through the browser of somebody here.
func TestOtherPagesAreRefused(t *testing.T) {
	s := newStand(t)
	for _, x := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:9999"}} {
		from := func(r *http.Request) {
			for k, v := range x {
				r.Header.Set(k, v)
			}
		}
		s.wants(http.StatusForbidden, s.ask(http.MethodPost, root+"/alarms/shelve", shelving, from))
	}
	s.wants(http.StatusForbidden, s.ask(http.MethodGet, root+"/stream", "", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }))
	own := func(r *http.Request) {
		r.Header.Set("Origin", "http://127.0.0.1:8765")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	s.wants(http.StatusOK, s.ask(http.MethodPost, root+"/alarms/shelve", shelving, own))
	h := s.ask(http.MethodGet, "/", "").Header()
	if p := h.Get("Content-Security-Policy"); !strings.Contains(p, "script-src 'self'") || strings.Contains(p, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", h)
	}
	if h.Get("Access-Control-Allow-Origin") != "" {
		t.Error("other pages may read")
	}
}

func TestPathsStayInside(t *testing.T) {
	s := newStand(t)
	ui := fstest.MapFS{"index.html": {Data: []byte("the page")}, "assets/a.js": {Data: []byte("code")}}
	for name, h := range map[string]http.Handler{"not built": s.Server, "built": filesOf(ui)} {
		for _, path := range []string{"/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../../etc/passwd", "//etc/passwd", "/assets/%00", "/\\..\\..\\etc\\passwd", "/.gitignore", "/ui/dist/.gitignore"} {
			w := askOf(h, path)
			if body := w.Body.String(); w.Code == http.StatusOK || strings.Contains(body, "root:") {
				t.Errorf("%s: %s: %d %.100s", name, path, w.Code, body)
			}
		}
	}
	w := askOf(filesOf(ui), "/assets/a.js")
	if w.Body.String() != "code" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	if w := askOf(filesOf(ui), "/"); w.Body.String() != "the page" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := askOf(filesOf(fstest.MapFS{}), "/"); !strings.Contains(w.Body.String(), "make build") {
		t.Errorf("without a front end: %s", w.Body)
	}
}

// serve serves the page at a real address.
func (s *stand) serve() string {
	s.t.Helper()
	l, err := s.Listen(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	return l.Addr().String()
}

// A body that is too long is refused, and one that does not come keeps nobody waiting.
func TestLargeAndSlowRequests(t *testing.T) {
	s := newStand(t)
	s.bodyWait = 100 * time.Millisecond
	at := s.serve()
	s.wants(http.StatusBadRequest, s.ask(http.MethodPost, root+"/alarms/ack", `{"name": "`+strings.Repeat("x", maxBody)+`"}`))
	s.wants(http.StatusBadRequest, s.ask(http.MethodPost, root+"/login", `{"name": "`+strings.Repeat("x", maxBody)+`"}`))
	for _, text := range []string{
		"POST /api/v1/alarms/ack HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
		"GET /api/v1/now HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: " + strings.Repeat("x", 1<<20),
	} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(c, text) // the other side may hang up before it is over
		answer, err := io.ReadAll(c)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("%.40q: the connection stays open", text)
		}
		if strings.Contains(string(answer), " 200 ") {
			t.Errorf("%.40q: %.100s", text, answer)
		}
		c.Close()
	}
}

func TestWiderNeedsUsers(t *testing.T) {
	s := newStand(t, func(o *Options) { o.Listen = "0.0.0.0:0" })
	if l, err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "stirwatch user add") {
		l.Close()
		t.Fatalf("it listens for everybody: %v", err)
	}
	s.people()
	l, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, name := range []string{"anna", "wall", "eva"} {
		if err := s.users.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	s.wants(http.StatusServiceUnavailable, s.ask(http.MethodGet, root+"/now", ""))
	if err := os.WriteFile(s.Options.Users, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.users = OpenUsers(s.Options.Users)
	s.wants(http.StatusServiceUnavailable, s.ask(http.MethodGet, root+"/now", ""))
}
