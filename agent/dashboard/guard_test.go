package dashboard

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"stirwatch/agent/journal"
)

const shelving = `{"name": "sensor.failure tool_temperature", "why": "it is being changed", "for_s": 60, "who": "mallory", "Who": "mallory"}`

// Without users, whoever is on this computer may do everything, and what is done is on record anyway.
func TestWithoutUsersThisComputerMay(t *testing.T) {
	s := newStand(t)
	var who Session
	if s.get(root+"/session", &who); who.Login || who.Role != Engineer {
		t.Errorf("session: %+v", who)
	}
	s.wants(http.StatusOK, s.ask(http.MethodPost, root+"/alarms/shelve", shelving))
	s.wants(http.StatusOK, s.ask(http.MethodPost, root+"/alarms/unshelve", `{"name": "sensor.failure tool_temperature"}`))
	trail := s.trail()
	if len(trail) != 2 || trail[0].Who != "mallory" || trail[0].Why != "it is being changed" || !strings.HasPrefix(trail[0].What, "alarms/shelve ") || trail[1].Who != unnamed {
		t.Errorf("audit: %+v", trail)
	}
	foreign := func(r *http.Request) { r.Host = "evil.example" }
	s.wants(http.StatusForbidden, s.ask(http.MethodGet, root+"/now", "", foreign))
}

func (s *stand) trail() []journal.AuditEntry {
	s.t.Helper()
	all, err := s.Journal.AuditTrail()
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// With users everyone logs in, each role does what it may and no more, and what is done is on record under who did it,
// whatever the request says.
func TestRoles(t *testing.T) {
	s := newStand(t)
	s.people()
	for _, x := range s.api() {
		method, path, _ := strings.Cut(x.pattern, " ")
		s.wants(http.StatusUnauthorized, s.ask(method, root+path, "{}"))
	}
	s.wants(http.StatusUnauthorized, s.ask(http.MethodGet, root+"/stream", ""))
	s.wants(http.StatusUnauthorized, s.ask(http.MethodGet, "/metrics", ""))
	s.wants(http.StatusOK, s.ask(http.MethodGet, "/healthz", ""))

	for name, role := range map[string]Role{"wall": Viewer, "anna": Operator, "eva": Engineer} {
		s.login(name, secretWord)
		for _, x := range s.api() {
			method, path, _ := strings.Cut(x.pattern, " ")
			w := s.ask(method, root+path, "{}")
			if refused := w.Code == http.StatusForbidden; refused != (role < x.least) || w.Code == http.StatusUnauthorized {
				t.Errorf("%s (%s) asks %s: %d %s", name, role, x.pattern, w.Code, w.Body)
			}
		}
	}
	s.login("anna", secretWord)
	s.wants(http.StatusOK, s.ask(http.MethodPost, root+"/alarms/shelve", shelving))
	trail := s.trail()
	if last := trail[len(trail)-1]; last.Who != "anna" || !strings.Contains(last.What, "sensor.failure tool_temperature") || strings.Contains(last.What, "mallory") {
		t.Errorf("audit: %+v", last)
	}
	var all struct {
		Alarms []struct{ State, Who string }
	}
	s.get(root+"/alarms", &all)
	if len(all.Alarms) == 0 || all.Alarms[len(all.Alarms)-1].Who != "anna" {
		t.Errorf("alarms: %+v", all)
	}
}

func TestSessionsEnd(t *testing.T) {
	s := newStand(t)
	s.people()
	in := func() int { return s.ask(http.MethodGet, root+"/runs", "").Code }
	s.login("anna", secretWord)
	c := s.cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
		t.Errorf("cookie: %v", c)
	}
	if in() != http.StatusOK {
		t.Error("whoever has logged in is not let in")
	}
	s.sessions = newSessions(s.Options.Users+".sessions", s.Log) // as after a start of the agent
	if in() != http.StatusOK {
		t.Error("a start ends sessions")
	}
	if text, err := os.ReadFile(s.Options.Users + ".sessions"); err != nil || strings.Contains(string(text), c.Value) {
		t.Errorf("what a browser holds is in the file: %v", err)
	}
	s.ask(http.MethodPost, root+"/logout", "")
	if in() != http.StatusUnauthorized {
		t.Error("logging out does not end a session")
	}
	s.login("anna", secretWord)
	if err := s.users.SetPassword("anna", "another secret"); err != nil {
		t.Fatal(err)
	}
	if in() != http.StatusUnauthorized {
		t.Error("another password does not end a session")
	}
	s.login("anna", "another secret")
	if err := s.users.Remove("anna"); err != nil {
		t.Fatal(err)
	}
	if in() != http.StatusUnauthorized {
		t.Error("a user that is gone is let in")
	}
}

func TestSessionsEndByTime(t *testing.T) {
	now := time.Now()
	for _, x := range []struct {
		role      Role
		age, idle time.Duration
		over      bool
	}{{Operator, time.Hour, time.Hour, false}, {Operator, 24 * time.Hour, 13 * time.Hour, true}, {Operator, 8 * 24 * time.Hour, 0, true},
		{Viewer, 200 * 24 * time.Hour, 24 * time.Hour, false}, {Viewer, 400 * 24 * time.Hour, 0, true}} {
		if got := (&session{Began: now.Add(-x.age), Seen: now.Add(-x.idle)}).over(x.role, now); got != x.over {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

// A program with a token reads, and does nothing.
func TestTokens(t *testing.T) {
	s := newStand(t)
	s.people()
	token, err := s.users.AddToken("prometheus", Viewer)
	if err != nil {
		t.Fatal(err)
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	s.wants(http.StatusOK, s.ask(http.MethodGet, "/metrics", "", bearer))
	s.wants(http.StatusForbidden, s.ask(http.MethodPost, root+"/alarms/ack", `{"name": "all"}`, bearer))
	s.wants(http.StatusUnauthorized, s.ask(http.MethodGet, "/metrics", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+"x") }))
	s.wants(http.StatusUnauthorized, s.ask(http.MethodPost, root+"/login", `{"name": "prometheus", "password": ""}`))
	text, err := os.ReadFile(s.Options.Users)
	if err != nil || strings.Contains(string(text), token) || strings.Contains(string(text), secretWord) {
		t.Errorf("the file has a secret: %v", err)
	}
	if info, _ := os.Stat(s.Options.Users); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// Attempts are few for each address and for each name; whoever knows the password is let in once more are taken.
func TestLoginsAreLimited(t *testing.T) {
	s := newStand(t)
	s.people()
	wrong := `{"name": "anna", "password": "guess"}`
	for range triesOfAddress {
		s.byAddress.take("127.0.0.1", time.Now())
	}
	w := s.ask(http.MethodPost, root+"/login", wrong)
	s.wants(http.StatusTooManyRequests, w)
	if w.Header().Get("Retry-After") == "" {
		t.Error("it is not said when the next attempt is taken")
	}
	other := func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }
	s.wants(http.StatusUnauthorized, s.ask(http.MethodPost, root+"/login", wrong, other))
	for range triesOfName {
		s.byName.take("anna", time.Now())
	}
	s.wants(http.StatusTooManyRequests, s.ask(http.MethodPost, root+"/login", wrong, func(r *http.Request) { r.RemoteAddr = "192.0.2.2:1" }))
	s.wants(http.StatusUnauthorized, s.ask(http.MethodPost, root+"/login", `{"name": "nobody", "password": "guess"}`, other))
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limiter{burst: 3, every: time.Minute}
		for i := range 3 {
			if wait := l.take("a", time.Now()); wait != 0 {
				t.Errorf("attempt %d waits %v", i, wait)
			}
		}
		if wait := l.take("a", time.Now()); wait != time.Minute {
			t.Errorf("a fourth attempt waits %v", wait)
		}
		if wait := l.take("b", time.Now()); wait != 0 {
			t.Errorf("another waits %v", wait)
		}
		time.Sleep(time.Minute)
		if l.take("a", time.Now()) != 0 || l.take("a", time.Now()) == 0 {
			t.Error("a minute gives one attempt")
		}
		l.forget("a")
		if l.take("a", time.Now()) != 0 {
			t.Error("it is not forgotten")
		}
		for i := range mostNames + 100 {
			l.take(fmt.Sprint(i), time.Now())
		}
		if len(l.tries) > mostNames {
			t.Errorf("%d names are remembered", len(l.tries))
		}
		time.Sleep(time.Hour)
		if l.take("new", time.Now()) != 0 || len(l.tries) != 1 {
			t.Errorf("%d names are remembered after an hour", len(l.tries))
		}
	})
}

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

// Streams beyond the bound are refused, and have their place again when others end.
func TestStreamsAreBounded(t *testing.T) {
	s := newStand(t)
	s.feed()
	at := s.serve()
	open := func() (*http.Response, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+root+"/stream", nil)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return answer, cancel
	}
	var first *http.Response
	var ends []context.CancelFunc
	for i := range mostStreams {
		r, end := open()
		if ends = append(ends, end); r.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %s", i, r.Status)
		}
		if first == nil {
			first = r
		}
	}
	r, end := open()
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", r.Status)
	}
	end()
	lines := bufio.NewScanner(first.Body)
	lines.Buffer(nil, 1<<20)
	frames := 0
	for frames < 3 && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if frames++; !strings.Contains(data, `"tool_temperature"`) {
				t.Errorf("frame: %.200s", data)
			}
		}
	}
	if frames < 3 {
		t.Errorf("%d frames came: %v", frames, lines.Err())
	}
	for _, end := range ends {
		end()
	}
	s.until("streams that have ended leave their places", func() bool { return s.hub.streams.Load() == 0 })
	if r, end := open(); r.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", r.Status)
	} else {
		end()
	}
}

// stuck is a connection that takes its first bytes and then none until it is let go.
type stuck struct {
	header http.Header
	go_    chan struct{}
	taken  chan string
}

func (w *stuck) Header() http.Header { return w.header }
func (w *stuck) WriteHeader(int)     {}
func (w *stuck) Flush()              {}
func (w *stuck) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), "event: now") {
		w.taken <- string(b)
		<-w.go_
	}
	return len(b), nil
}

// A slow reader gets the newest and holds up nobody; what it misses is counted.
func TestSlowReaderGetsTheNewest(t *testing.T) {
	s := newStand(t)
	tick := 0
	h := newHub(func() (Now, string) { tick++; return Now{}, fmt.Sprint(tick) })
	s.hub = h
	w := &stuck{http.Header{}, make(chan struct{}), make(chan string)}
	r, _ := http.NewRequest(http.MethodGet, root+"/stream", nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.answerStream(w, r.WithContext(ctx)) }()
	<-w.taken
	for range 50 {
		h.renew(0)
	}
	w.go_ <- struct{}{}
	head := <-w.taken
	if want := fmt.Sprintf("event: now\nid: %d\n", h.newest.Load().count); !strings.HasPrefix(head, want) {
		t.Errorf("it gets %q, not %q", head, want)
	}
	cancel()
	w.go_ <- struct{}{}
	<-done
	if n := h.skipped.Load(); n != 49 {
		t.Errorf("%d frames are counted as missed, of 50 the last came", n)
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

func TestPasswords(t *testing.T) {
	h := hash(secretWord)
	if !matches(secretWord, h) || matches("incorrect horse", h) || hash(secretWord) == h {
		t.Error("a hash is not of its password alone")
	}
	for _, bad := range []string{"", "x", nobodysHash + "x", strings.Replace(h, "argon2id", "argon2i", 1), strings.Replace(h, "m=19456", "m=4194304", 1), strings.Replace(h, "t=2", "t=0", 1), h[:len(h)-4]} {
		if matches(secretWord, bad) {
			t.Errorf("%s is taken", bad)
		}
	}
	u := OpenUsers(filepath.Join(t.TempDir(), "users.json"))
	for name, password := range map[string]string{"anna": "short", "": secretWord, "a/b": secretWord, "eva": strings.Repeat("x", 200)} {
		if u.Add(name, Viewer, password) == nil {
			t.Errorf("%q with %q is taken", name, password)
		}
	}
	if err := u.Add("anna", Viewer, secretWord); err != nil {
		t.Fatal(err)
	}
	if u.Add("anna", Viewer, secretWord) == nil || u.Remove("eva") == nil || u.SetPassword("eva", secretWord) == nil {
		t.Error("names are not looked at")
	}
}

// A certificate that is renewed is served without a start.
func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := Certificate(cert, key); err == nil {
		t.Fatal("a certificate that is not there is taken")
	}
	issue(t, cert, key, 1)
	conf, err := Certificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := newStand(t, func(o *Options) { o.TLS = conf })
	s.people()
	at := s.serve()
	serial := func() int64 {
		c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true}) // it signs itself
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("certificate %d", n)
	}
	issue(t, cert, key, 2)
	later := time.Now().Add(time.Hour)
	os.Chtimes(cert, later, later)
	if n := serial(); n != 2 {
		t.Errorf("certificate %d after it was renewed", n)
	}
	s.login("anna", secretWord)
	if c := s.cookies[0]; !c.Secure || !strings.HasPrefix(c.Name, "__Host-") {
		t.Errorf("cookie: %v", c)
	}
}

func issue(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "cell-1"}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, x, x, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
