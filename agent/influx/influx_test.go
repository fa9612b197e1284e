package influx

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ihttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"go.uber.org/goleak"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/cmd/parts"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openJournal(t testing.TB) *journal.Journal {
	t.Helper()
	celsius, err := unit.Parse("°C")
	if err != nil {
		t.Fatal(err)
	}
	reg, err := sensors.NewRegistry([]sensors.Channel{{Name: "tool", Unit: celsius}, {Name: "bad", Unit: celsius}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(t.TempDir(), "j.db"), journal.Options{Machine: "m", Registry: reg, Hold: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// put stores n samples stamped from, from+1, …, in batches of each.
func put(t testing.TB, j *journal.Journal, from, n, each int) {
	t.Helper()
	for n > 0 {
		k := min(n, each)
		samples := make([]sensors.Sample, k)
		for i := range samples {
			samples[i] = sensors.Sample{Time: int64(from + i), Value: float64(from+i) / 4, Status: sensors.OK}
		}
		journaltest.Keep(j, samples)
		from, n = from+k, n-k
	}
}

// upload runs an uploader with short waits until the test ends.
func upload(t testing.TB, j *journal.Journal, opts Options) *Uploader {
	t.Helper()
	if opts.Bucket == "" {
		opts.Bucket = "test/autogen"
	}
	if opts.Flush == 0 {
		opts.Flush = 10 * time.Millisecond
	}
	u, err := New(opts, j)
	if err != nil {
		t.Fatal(err)
	}
	u.fast, u.slow = 5*time.Millisecond, 10*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); u.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return u
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s still not: %s", what)
		}
	}
}

// server is an InfluxDB to the point: it takes lines and may be told to misbehave.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	lines    []string // as taken, in order
	requests int
	odd      func(n int, w http.ResponseWriter, r *http.Request, lines []string) bool // handles request n itself
}

func newServer(t testing.TB) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if r.URL.Path != "/api/v2/write" || r.Header.Get("Content-Encoding") != "gzip" || r.URL.Query().Get("precision") != "ns" {
		http.Error(w, "not a write: "+r.URL.String(), http.StatusTeapot)
		return
	}
	zr, err := gzip.NewReader(r.Body)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(zr)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	if s.odd != nil && s.odd(s.requests, w, r, lines) {
		return
	}
	s.lines = append(s.lines, lines...)
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) misbehave(odd func(n int, w http.ResponseWriter, r *http.Request, lines []string) bool) {
	s.mu.Lock()
	s.odd = odd
	s.mu.Unlock()
}

// seen gives the samples as taken, repeated ones once, and whether they came in order.
func (s *server) seen() (n int, ordered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ordered = true
	seen, last := make(map[string]bool), int64(0)
	for _, l := range s.lines {
		if !strings.HasPrefix(l, "samples,") || seen[l] {
			continue
		}
		seen[l] = true
		stamp, err := strconv.ParseInt(l[strings.LastIndexByte(l, ' ')+1:], 10, 64)
		ordered = ordered && err == nil && stamp > last
		last = stamp
	}
	return len(seen), ordered
}

func sentAll(t testing.TB, j *journal.Journal) {
	t.Helper()
	eventually(t, "all sent", func() bool {
		b, err := j.Backlog()
		return err == nil && b.Batches == 0
	})
}

func TestSendsAsStoredInOrder(t *testing.T) {
	t.Parallel()
	j, s := openJournal(t), newServer(t)
	put(t, j, 1000, 5000, 500)
	u := upload(t, j, Options{URL: s.URL, Token: "a:b"})
	sentAll(t, j)
	put(t, j, 6000, 100, 100)
	sentAll(t, j)
	eventually(t, "idle", func() bool { return u.State().Phase == Idle })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) != 5100 {
		t.Fatalf("%d lines", len(s.lines))
	}
	for i, l := range s.lines {
		if !strings.HasSuffix(l, fmt.Sprintf(" %d", 1000+i)) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
	if st := u.State(); st.SentLines != 5100 || st.LastOK.IsZero() || st.Err != "" || st.Backlog.Lines != 0 {
		t.Errorf("%+v", st)
	}
}

// Batches of a line or two are sent as one, in a fraction of what they take by themselves.
func TestSmallBatchesShareTheirNames(t *testing.T) {
	j, s := openJournal(t), newServer(t)
	var wire atomic.Int64
	s.misbehave(func(_ int, _ http.ResponseWriter, r *http.Request, _ []string) bool {
		wire.Add(r.ContentLength)
		return false
	})
	const n = 200
	put(t, j, 1000, n, 2)
	stored, err := j.Backlog()
	if err != nil {
		t.Fatal(err)
	}
	upload(t, j, Options{URL: s.URL})
	sentAll(t, j)
	if got, ordered := s.seen(); got != n || !ordered {
		t.Fatalf("%d lines, ordered %v", got, ordered)
	}
	t.Logf("%d bytes as stored, %d on the wire: %.1f a line", stored.Bytes, wire.Load(), float64(wire.Load())/n)
	if wire.Load() > stored.Bytes/3 {
		t.Errorf("%d bytes as stored, %d on the wire", stored.Bytes, wire.Load())
	}
}

// TestFailuresLoseNothing lets a server fail in every way once or twice, then work.
func TestFailuresLoseNothing(t *testing.T) {
	t.Parallel()
	hijack := func(w http.ResponseWriter, then func(net.Conn)) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		then(c)
		c.Close()
	}
	for name, c := range map[string]struct {
		fail  func(w http.ResponseWriter, r *http.Request)
		phase Phase
	}{
		"500":     {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "boom", 500) }, Waiting},
		"502 web": {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, Waiting},
		"bad json": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(500)
			io.WriteString(w, `{"code":`)
		}, Waiting},
		"429": {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) }, Waiting},
		"503 date": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", time.Now().UTC().Format(http.TimeFormat))
			w.WriteHeader(503)
		}, Waiting},
		"401": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, `{"code":"unauthorized"}`, http.StatusUnauthorized)
		}, Unauthorized},
		"403":        {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) }, Unauthorized},
		"404":        {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "database not found", 404) }, NoBucket},
		"418":        {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(418) }, Refused},
		"login page": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, Moved},
		"200 html":   {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>please log in</html>") }, Refused},
		"202":        {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(202) }, Refused},
		"400 always": {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "who are you", 400) }, Refused},
		"reset": {func(w http.ResponseWriter, r *http.Request) {
			hijack(w, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) })
		}, Waiting},
		"cut answer": {func(w http.ResponseWriter, r *http.Request) {
			hijack(w, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 204 No Con") })
		}, Waiting},
		"garbage": {func(w http.ResponseWriter, r *http.Request) {
			hijack(w, func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n") })
		}, Waiting},
		"slow loris": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, Waiting},
		"endless error": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			for junk := bytes.Repeat([]byte("x"), 4096); ; {
				if _, err := w.Write(junk); err != nil {
					return
				}
			}
		}, Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			var log parts.Buffer
			j, s := openJournal(t), newServer(t)
			var broken atomic.Bool
			broken.Store(true)
			s.misbehave(func(n int, w http.ResponseWriter, r *http.Request, lines []string) bool {
				if broken.Load() {
					c.fail(w, r)
					return true
				}
				return false
			})
			put(t, j, 1000, 30, 10)
			timeout := 10 * time.Second // a busy computer must not add a failure of its own
			if strings.HasPrefix(name, "slow") || strings.HasPrefix(name, "endless") {
				timeout = 200 * time.Millisecond
			}
			u := upload(t, j, Options{URL: s.URL, Timeout: timeout, Log: slog.New(slog.NewTextHandler(&log, nil))})
			eventually(t, string(c.phase), func() bool { st := u.State(); return st.Phase == c.phase && st.Requests >= 3 })
			if st := u.State(); st.Err == "" || st.Backlog.Lines != 30 || st.SentLines != 0 || st.Refused != 0 || st.Phase.NeedsAction() != (c.phase != Waiting) {
				t.Errorf("while it fails: %+v", st)
			}
			broken.Store(false)
			sentAll(t, j)
			if n, ordered := s.seen(); n != 30 || !ordered {
				t.Errorf("%d lines, ordered %v", n, ordered)
			}
			if rest, err := j.Refused(); err != nil || len(rest) != 0 {
				t.Errorf("set aside %+v, %v", rest, err)
			}
			if n := strings.Count(log.String(), "err="); n != 1 {
				t.Errorf("logged %d times in less than a minute:\n%s", n, log.String())
			}
		})
	}
}

func TestServerGoneInMidBody(t *testing.T) {
	t.Parallel()
	j := openJournal(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	gone := make(chan struct{})
	go func() {
		c, err := l.Accept()
		if err == nil {
			io.ReadFull(c, make([]byte, 1000)) // into the body
			c.Close()
		}
		l.Close()
		close(gone)
	}()
	put(t, j, 1000, 20000, 2000)
	u := upload(t, j, Options{URL: "http://" + addr})
	<-gone
	eventually(t, "waiting", func() bool { return u.State().Phase == Waiting })
	if l, err = net.Listen("tcp", addr); err != nil {
		t.Skipf("the port is taken: %v", err)
	}
	s := &server{}
	s.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(s.serve)}}
	s.Start()
	t.Cleanup(s.Close)
	sentAll(t, j)
	if n, ordered := s.seen(); n != 20000 || !ordered {
		t.Errorf("%d lines, ordered %v", n, ordered)
	}
}

// badLines makes the server refuse every request with a line of channel bad.
func badLines(status int, partial bool) func(s *server) func(n int, w http.ResponseWriter, r *http.Request, lines []string) bool {
	return func(s *server) func(n int, w http.ResponseWriter, r *http.Request, lines []string) bool {
		return func(n int, w http.ResponseWriter, r *http.Request, lines []string) bool {
			bad := 0
			for _, l := range lines {
				if strings.Contains(l, "channel=bad,") {
					bad++
				}
			}
			if bad == 0 {
				return false
			}
			message := "unable to parse"
			if partial {
				message = fmt.Sprintf("partial write: field type conflict dropped=%d", bad)
				for _, l := range lines {
					if !strings.Contains(l, "channel=bad,") {
						s.lines = append(s.lines, l)
					}
				}
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"code":"invalid","message":%q}`, message)
			return true
		}
	}
}

func TestBadLinesAreSetAside(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status  int
		partial bool
	}{{400, false}, {400, true}, {422, true}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			j, s := openJournal(t), newServer(t)
			s.misbehave(badLines(c.status, c.partial)(s))
			put(t, j, 1000, 500, 100)
			bad := []sensors.Sample{{Time: 7, Value: 1, Channel: 1, Status: sensors.OK}}
			done := make(chan struct{})
			j.AppendSamples(bad, nil)
			put(t, j, 1500, 300, 300)
			var many []sensors.Sample
			for i := range 50 {
				many = append(many, sensors.Sample{Time: int64(100 + i), Value: 1, Channel: 1, Status: sensors.OK})
			}
			j.AppendSamples(many, journaltest.AckFunc(func() { close(done) }))
			<-done
			put(t, j, 1800, 200, 100)
			u := upload(t, j, Options{URL: s.URL})
			sentAll(t, j)
			if n, _ := s.seen(); n != 1000 {
				t.Errorf("%d good lines of 1000", n)
			}
			rest, err := j.Refused()
			if err != nil || len(rest) != 51 {
				t.Fatalf("%d set aside, %v", len(rest), err)
			}
			if r := rest[0]; !strings.Contains(r.Line, "channel=bad") || !strings.Contains(r.Reason, "unable to parse") && !strings.Contains(r.Reason, "dropped=1") || r.Batch == 0 {
				t.Errorf("%+v", r)
			}
			eventually(t, "counted", func() bool { return u.State().Refused == 51 })
		})
	}
}

func TestOnlyBadLinesAreSetAside(t *testing.T) { // a good line of our own shows that it is them
	t.Parallel()
	j, s := openJournal(t), newServer(t)
	s.misbehave(badLines(400, false)(s))
	done := make(chan struct{})
	j.AppendSamples([]sensors.Sample{{Time: 7, Value: 1, Channel: 1, Status: sensors.OK}}, journaltest.AckFunc(func() { close(done) }))
	<-done
	upload(t, j, Options{URL: s.URL})
	sentAll(t, j)
	if rest, err := j.Refused(); err != nil || len(rest) != 1 {
		t.Errorf("set aside %+v, %v", rest, err)
	}
}

func TestTooLargeIsSplit(t *testing.T) {
	t.Parallel()
	j, s := openJournal(t), newServer(t)
	const most = 40
	s.misbehave(func(n int, w http.ResponseWriter, r *http.Request, lines []string) bool {
		if len(lines) > most {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return true
		}
		return false
	})
	put(t, j, 1000, 1000, 100) // a single batch is too large too
	put(t, j, 2000, 100, 10)
	u := upload(t, j, Options{URL: s.URL})
	sentAll(t, j)
	if n, ordered := s.seen(); n != 1100 || !ordered {
		t.Errorf("%d lines, ordered %v", n, ordered)
	}
	if rest, _ := j.Refused(); len(rest) != 0 || u.State().Refused != 0 {
		t.Errorf("%d set aside", len(rest))
	}
}

// A server that takes little at a time does not make a backlog wait for Flush after each request.
func TestABacklogDoesNotWaitForFlush(t *testing.T) {
	t.Parallel()
	j, s := openJournal(t), newServer(t)
	const most = 40
	var away atomic.Bool
	s.misbehave(func(n int, w http.ResponseWriter, r *http.Request, lines []string) bool {
		switch {
		case away.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case len(lines) > most:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		default:
			return false
		}
		return true
	})
	put(t, j, 0, 150, 15)
	u := upload(t, j, Options{URL: s.URL, Flush: time.Hour, Batch: 300})
	sentAll(t, j) // and now it knows how little
	away.Store(true)
	put(t, j, 1000, 900, 15)
	eventually(t, "a refusal", func() bool { return u.State().Phase == Waiting })
	away.Store(false)
	sentAll(t, j)
}

// A limit that a server had once is not its limit forever.
func TestRequestsGrowAgain(t *testing.T) {
	t.Parallel()
	j, s := openJournal(t), newServer(t)
	var most, largest atomic.Int64
	var away atomic.Bool // so that a backlog gathers
	s.misbehave(func(n int, w http.ResponseWriter, r *http.Request, lines []string) bool {
		switch {
		case away.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case int64(len(lines)) > most.Load():
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return true
		}
		largest.Store(max(largest.Load(), int64(len(lines))))
		return false
	})
	const each, batches = 5, 24
	backlog := func(from int) {
		away.Store(true)
		put(t, j, from, each*batches, each)
		away.Store(false)
		sentAll(t, j)
	}
	most.Store(20)
	upload(t, j, Options{URL: s.URL, Request: 100, Batch: 100})
	backlog(0)
	if n := largest.Load(); n > 20 {
		t.Errorf("%d lines", n)
	}
	most.Store(1000)
	for i := 1; largest.Load() < 50; i++ {
		if i == 30 {
			t.Fatalf("after %d lines a request has %d", i*each*batches, largest.Load())
		}
		backlog(i * each * batches)
	}
}

// Many refused lines are one line of the log, not one for each request.
func TestRefusedLinesAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	j, s := openJournal(t), newServer(t)
	s.misbehave(badLines(400, false)(s))
	var log parts.Buffer
	u := upload(t, j, Options{URL: s.URL, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 20 {
		put(t, j, 1000+10*i, 10, 10)
		journaltest.Keep(j, []sensors.Sample{{Time: int64(i), Value: 1, Channel: 1, Status: sensors.OK}})
		sentAll(t, j)
	}
	eventually(t, "all refused", func() bool { return u.State().Refused == 20 })
	if n := strings.Count(log.String(), "refused lines"); n != 1 || !strings.Contains(log.String(), "stirwatch journal resend") {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "99999999": maxRetryAfter,
		"Sun, 01 Mar 2026 12:00:30 GMT": 30 * time.Second, "Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(&ihttp.Error{StatusCode: 503, Header: http.Header{"Retry-After": {v}}}, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
	u := &Uploader{fast: backoffMin, slow: slowMin}
	if p, wait := u.judge(&ihttp.Error{StatusCode: 429, Header: http.Header{"Retry-After": {"120"}}}, 0); p != Waiting || wait < 2*time.Minute || wait > 2*time.Minute+backoffMin {
		t.Errorf("%v, %v", p, wait)
	}
	for n := range 100 {
		if _, wait := u.judge(errors.New("connection refused"), n); wait < backoffMin/2 || wait > backoffMax*3/2 {
			t.Errorf("try %d waits %v", n, wait)
		}
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{URL: "localhost:8086", Bucket: "b"}, {URL: "ftp://x", Bucket: "b"}, {URL: "http://", Bucket: "b"}, {URL: "http://x", Bucket: ""}} {
		if _, err := New(o, nil); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// What a drain costs on our side: read, join, send. Budget: 1,000,000 lines/s, so that a server
// that takes 100,000 a second is the limit.
func BenchmarkDrain(b *testing.B) {
	j := openJournal(b)
	put(b, j, 0, 500_000, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(204)
	}))
	defer s.Close()
	u, err := New(Options{URL: s.URL, Bucket: "b"}, &rewound{Journal: j})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		u.j.(*rewound).sent = 0
		for more := true; more; {
			if more, err = u.step(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(500_000*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	u.doer.client.CloseIdleConnections()
}

// rewound is a journal whose sent mark can be set back.
type rewound struct {
	*journal.Journal
	sent int64
}

func (a *rewound) SentID() int64       { return a.sent }
func (a *rewound) Sent(id int64) error { a.sent = id; return nil }

// An answer is told in words and at a length that people read, and means what it meant.
func TestAnswersAreToldInWords(t *testing.T) {
	for _, c := range []struct {
		status     int
		kind, body string
		want       string
	}{
		{429, "text/plain", "", "429 Too Many Requests"},
		{413, "text/plain", "", "413 Request Entity Too Large"},
		{503, "text/html", "<html>" + strings.Repeat("<p>down</p>\n", 1000), "503 Service Unavailable: <html><p>down</p> <p>down</p>"},
		{404, "application/json", `{"code":"not found","message":"bucket \"b\" not found"}`, `404 Not Found: not found: bucket "b" not found`},
		{400, "application/json", `{"code":"invalid","message":"partial write: field type conflict dropped=1"}`, "invalid: partial write: field type conflict dropped=1"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		u, err := New(Options{URL: s.URL, Bucket: "b", Org: "o"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = u.post(t.Context(), nil)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || len(err.Error()) > mostSaid+10 || statusOf(err) != c.status {
			t.Errorf("%d: %v, status %d; want %q", c.status, err, statusOf(err), c.want)
		}
		u.doer.client.CloseIdleConnections()
		s.Close()
	}
}
