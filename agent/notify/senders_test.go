package notify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/cmd/parts"
)

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

var sample = &Message{ID: "cell-1.office.1", Machine: "cell-1", Priority: anomaly.High, Title: "cell-1: tool über 480 °C", Text: "HIGH, 14:03:12: tool über 480 °C. Do: look at the tool.\nsecond line",
	Items: []Item{{Key: alarm.Key{Code: anomaly.SensorFailure, Subject: "tool"}}}}

// A mail through a real server: all recipients, readable headers, the text to the letter.
func TestMail(t *testing.T) {
	s := parts.NewSMTP(t)
	m := &Mail{Server: s.URL, From: "cell1@example.org", To: []string{"a@example.org", "b@example.org"}}
	if err := m.Send(t.Context(), sample); err == nil {
		t.Fatal("sent to a server that does not run")
	}
	s.Start()
	if err := m.Send(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	until(t, "the mail is there", func() bool { return len(s.Letters()) == 1 })
	l := s.Letters()[0]
	body, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(l.Body)))
	if l.Subject != sample.Title || strings.TrimSpace(string(body)) != sample.Text || l.Header.Get("Message-ID") != "<cell-1.office.1@example.org>" ||
		l.Header.Get("Importance") != "high" || l.Header.Get("To") != "a@example.org, b@example.org" {
		t.Errorf("%q, %q, %v", l.Subject, body, l.Header)
	}
	m.Username, m.Password = "u", "secret-password"
	if err := m.Send(t.Context(), sample); err == nil || strings.Contains(err.Error(), "secret-password") {
		t.Errorf("signing in at a server that has no users: %v", err)
	}
}

// certificate makes one for 127.0.0.1 and gives its files.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return cert, key, pool
}

// The server's certificate is verified, over STARTTLS and over TLS from the start.
func TestMailIsEncrypted(t *testing.T) {
	cert, key, pool := certificate(t)
	for scheme, args := range map[string][]string{"smtp": {"--tlscert", cert, "--tlskey", key}, "smtps": {"--smtpscert", cert, "--smtpskey", key}} {
		t.Run(scheme, func(t *testing.T) {
			s := parts.NewSMTP(t, args...)
			s.Start()
			m := &Mail{Server: scheme + "://" + s.Addr, From: "a@example.org", To: []string{"b@example.org"}}
			if err := m.Send(t.Context(), sample); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("an unknown authority: %v", err)
			}
			m.TLS = &tls.Config{RootCAs: pool}
			if err := m.Send(t.Context(), sample); err != nil {
				t.Error(err)
			}
			until(t, "the mail is there", func() bool { return len(s.Letters()) == 1 })
		})
	}
}

// A receiver that fails, hangs, hides and comes back gets every alarm, and no more than three messages.
func TestAWebReceiverThatComesBack(t *testing.T) {
	var mode atomic.Int32 // 0 fails, 1 hangs, 2 takes
	var mu sync.Mutex
	var got []Message
	var keys []string
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mode.Load() {
		case 0:
			http.Error(w, "out of order", http.StatusServiceUnavailable)
		case 1:
			<-release
		default:
			mu.Lock()
			defer mu.Unlock()
			var m Message
			if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
				t.Error(err)
			}
			got, keys = append(got, m), append(keys, r.Header.Get("Idempotency-Key"))
			if a := r.Header.Get("Authorization"); a != "Bearer secret" {
				t.Errorf("authorization %q", a)
			}
		}
	}))
	defer s.Close()
	defer close(release)
	n := New(Options{Machine: "cell-1", Timeout: 300 * time.Millisecond, Log: slog.New(slog.DiscardHandler), Targets: []Target{
		{Name: "chat", Sender: &Webhook{URL: s.URL + "/secret-path", Authorization: "Bearer secret", Full: true}, Rules: Rules{Priority: anomaly.Low, Rate: 12}},
	}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { n.Run(ctx, nil); close(ended) }()
	defer func() { cancel(); <-ended }()
	raise := func(subject string) {
		n.Tell(alarm.Alarm{Key: alarm.Key{Code: anomaly.SensorMissing, Subject: subject}, State: alarm.Unacknowledged, Active: true, Priority: anomaly.Medium,
			Text: subject + ": no value", Response: "check", Raised: time.Now().UnixNano()}, alarm.Raise, alarm.Normal)
	}
	status := func() Status { return n.Status()[0] }
	raise("a")
	until(t, "it has failed", func() bool { return strings.Contains(status().Problem, "503 Service Unavailable out of order") })
	mode.Store(1)
	raise("b")
	until(t, "it hangs", func() bool { return status().Problem == "no answer within 300ms" })
	raise("c")
	mode.Store(2)
	until(t, "all is told", func() bool { return status().Waiting == 0 })
	mu.Lock()
	defer mu.Unlock()
	told := map[string]int{}
	for _, m := range got {
		for _, it := range m.Items {
			told[it.Subject]++
		}
	}
	if len(told) != 3 || told["a"] != 1 || told["b"] != 1 || told["c"] != 1 || len(got) > 3 || keys[0] != got[0].ID {
		t.Errorf("%v in %d messages", told, len(got))
	}
}

// No error tells an address that is a password, and a redirect is no success.
func TestErrorsKeepSecrets(t *testing.T) {
	moved := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusMovedPermanently))
	defer moved.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, u := range []string{moved.URL + "/hook-secret", gone.URL + "/hook-secret", "http://127.0.0.1:99999/hook-secret", "http://%zz/hook-secret"} {
		err := (&Webhook{URL: u}).Send(t.Context(), sample)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

// What ntfy is asked to publish.
func TestNtfy(t *testing.T) {
	var got map[string]any
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		json.NewDecoder(r.Body).Decode(&got)
		if r.URL.Path != "/" || r.Header.Get("Authorization") != "Bearer tk" {
			t.Errorf("%s, %v", r.URL, r.Header)
		}
	}))
	defer s.Close()
	if err := (&Ntfy{Server: s.URL, Topic: "cell1", Token: "tk"}).Send(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	if got["topic"] != "cell1" || got["priority"] != 5.0 || got["title"] != sample.Title || got["message"] != sample.Text {
		t.Errorf("%v", got)
	}
}

// A program gets the message; one that fails or hangs, with all that it has started, is an error.
func TestCommand(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	c := &Command{Run: []string{"/bin/sh", "-c", `cat > "$0"; echo "$STIRWATCH_TITLE|$STIRWATCH_PRIORITY|$STIRWATCH_CODES|$STIRWATCH_MESSAGE" >> "$0"`, out}, Timeout: 10 * time.Second}
	if err := c.Send(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(out)
	if want := sample.Text + "\n" + sample.Title + "|high|sensor.failure tool|cell-1.office.1\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	c.Run = []string{"/bin/sh", "-c", "echo no paper >&2; exit 3"}
	if err := c.Send(t.Context(), sample); err == nil || !strings.Contains(err.Error(), "no paper") {
		t.Errorf("%v", err)
	}
	c.Run, c.Timeout = []string{"/bin/sh", "-c", "sleep 1000 & wait"}, 200*time.Millisecond
	if err := c.Send(t.Context(), sample); err == nil || !strings.Contains(err.Error(), "did not end within 200ms") {
		t.Errorf("%v", err)
	}
}

// A real broker holds how alarms stand, also for who comes later; takes acknowledgements, answers them, says when the agent is
// gone; and is up to date again after it was down.
func TestMQTT(t *testing.T) {
	broker := parts.StartMosquitto(t)
	b := alarm.NewBoard(alarm.Options{})
	place := b.Add(alarm.Key{Code: anomaly.SensorMissing, Subject: "tool"}, func() (text, signals string) { return "tool: no value", "" })
	m := &MQTT{Name: "broker", Broker: broker.URL, ClientID: "stirwatch-test", Topic: "cell1/alarms", KeepAlive: 2 * time.Second, Log: slog.New(slog.DiscardHandler),
		Ack: func(_ context.Context, q alarm.Request) (alarm.Answer, error) {
			changed, err := b.Ack(2e9, q.Name, q.Who, q.Why)
			return alarm.Answer{Changed: changed}, err
		}}
	if err := m.Test(t.Context()); err != nil {
		t.Errorf("a test without a running agent: %v", err)
	}
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { m.Run(ctx, changed, b.List); close(ended) }()
	watcher := watch(t, broker.URL, "cell1/alarms/#")
	listing := func() (l alarm.Listing) { json.Unmarshal([]byte(watcher.last("cell1/alarms")), &l); return l }
	until(t, "it is online", func() bool { return watcher.last("cell1/alarms/agent") == "online" })
	b.Observe(place, true, false, 1, 0.5)
	b.Step(1e9, true)
	signal(changed)
	until(t, "the alarm is there", func() bool {
		l := listing()
		return len(l.Alarms) == 1 && l.Alarms[0].State == alarm.Unacknowledged && l.Alarms[0].Text == "tool: no value"
	})
	if late := watch(t, broker.URL, "cell1/alarms"); true { // retained
		until(t, "it is there for who comes later", func() bool { return strings.Contains(late.last("cell1/alarms"), "tool: no value") })
	}
	for _, c := range []struct{ send, answer string }{
		{`{"name": "sensor.missing tool"}`, "a name is needed"},
		{`{"name": "sensor.mising", "who": "Ann"}`, "no such alarm"},
		{`tool`, "not of the form"},
		{`{"name": "sensor.missing tool", "who": "Ann", "why": "cable"}`, `"state":"acknowledged"`},
	} {
		watcher.publish("cell1/alarms/ack", c.send)
		until(t, c.answer, func() bool { return strings.Contains(watcher.last("cell1/alarms/answer"), c.answer) })
	}
	signal(changed)
	until(t, "it is acknowledged", func() bool { l := listing(); return len(l.Alarms) == 1 && l.Alarms[0].Who == "Ann" })
	if err := m.Test(t.Context()); err != nil {
		t.Error(err)
	}
	until(t, "the test is there", func() bool { return strings.Contains(watcher.last("cell1/alarms/test"), "tries") })

	broker.Stop(syscall.SIGKILL)
	b.Observe(place, false, false, 0, 0.5)
	b.Step(3e9, true)
	signal(changed)
	until(t, "it notices", func() bool { return m.now() != "" })
	broker.Start()
	late := watch(t, broker.URL, "cell1/alarms/#")
	until(t, "the board is clean there too", func() bool { return strings.Contains(late.last("cell1/alarms"), `"alarms":[]`) })
	cancel()
	<-ended
	until(t, "it is offline", func() bool { return late.last("cell1/alarms/agent") == "offline" })
}

// Whatever comes as an acknowledgement is taken or refused, and never more than asked for.
func FuzzReadRequest(f *testing.F) {
	for _, s := range []string{`{"name":"all","who":"Ann"}`, `{"name":1}`, `{}{}`, `{"for_s":1e999}`, "", "null"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		q, err := readRequest(text)
		if err != nil {
			if q != (alarm.Request{}) {
				t.Errorf("%+v beside %v", q, err)
			}
			return
		}
		b, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := readRequest(b); err != nil || again != q {
			t.Errorf("%+v becomes %+v, %v", q, again, err)
		}
	})
}
