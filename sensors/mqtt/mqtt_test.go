package mqtt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"stirwatch/cmd/parts"
	"stirwatch/sensors"
)

func TestPayloadsAndTopics(t *testing.T) {
	b := parts.StartMosquitto(t)
	reg := registry(t)
	now := time.Now().UnixNano()
	pub := publisher(t, b)
	publishTo(t, pub, "plain/tool_temperature", 1, true, "19.5")                                                    // retained, no stamp
	publishTo(t, pub, "afsd/cell1/spindle/power", 1, true, `{"ts":%d,"value":7,"unit":"W"}`, now)                   // retained, fresh
	publishTo(t, pub, "afsd/cell1/tool/temperature", 1, true, `{"ts":%d,"value":8,"unit":"degC"}`, now-int64(1e11)) // retained, old
	rec := &record{}
	s, end := run(t, Options{Broker: "tcp://" + b.Addr, Registry: reg, Topics: []Topic{
		{Filter: "plain/+", QoS: 1, Channel: "{2}", Decoder: number},
		{Filter: "frames/#", QoS: 0, Decoder: frame},
		{Filter: "afsd/+/#", QoS: 2, Channel: "{3}_{4}", Decoder: value(reg)},
	}}, rec)
	eventually(t, "retained values", func() bool { return rec.count() == 3 })
	rec.mu.Lock()
	for _, x := range rec.samples {
		want := sensors.Status{Signal: sensors.FunctionCheck, Reason: sensors.Retained}
		if x.Value == 7 {
			want = sensors.OK
		}
		if x.Status != want {
			t.Errorf("retained %v: status %v, want %v", x.Value, x.Status, want)
		}
	}
	rec.samples = nil
	rec.mu.Unlock()
	s.Health().Tap.Look()

	publishTo(t, pub, "plain/tool_temperature", 1, false, "20.5")
	publishTo(t, pub, "frames/a/b", 1, false, `{"ts":%d,"t":21.5,"n":400}`, now)
	publishTo(t, pub, "afsd/cell1/spindle/power", 2, false, `{"ts":%d,"value":1.5,"unit":"kW"}`, now+1)
	publishTo(t, pub, "afsd/cell1/spindle/power", 1, false, `{"ts":`)                  // unreadable
	publishTo(t, pub, "afsd/cell1/nobody", 1, false, `{"value":1}`)                    // too few levels
	publishTo(t, pub, "afsd/cell1/coolant/flow", 1, false, `{"value":1}`)              // unknown channel
	publishTo(t, pub, "plain/spindle_speed", 1, false, "%s", strings.Repeat("9", 300)) // not finite
	publishTo(t, pub, "afsd/cell1/spindle/power", 0, false, `{"ts":%d,"value":2.5,"unit":"kW"}`, now+2)
	eventually(t, "the last one", func() bool { return slices.Contains(rec.values(spindlePower), 2500) })
	if v := rec.values(toolTemperature); !slices.Equal(v, []float64{20.5, 21.5}) {
		t.Errorf("temperature %v", v)
	}
	if v := rec.values(spindlePower); !slices.Equal(v, []float64{1500, 2500}) {
		t.Errorf("power %v", v)
	}
	if v := rec.values(spindleSpeed); !slices.Contains(v, 400) {
		t.Errorf("speed %v", v)
	}
	eventually(t, "counters", func() bool { return s.Health().Messages.Load() == 11 })
	h := s.Health().Snapshot()
	if h.Rejected < 3 || h.Duplicates != 0 || !h.Connected || h.Skew == 0 {
		t.Errorf("health %+v", h)
	}
	if e := rec.of(sensors.Rejected); len(e) == 0 || !strings.Contains(e[0].Text, `topic "afsd/cell1/spindle/power"`) {
		t.Errorf("rejected: %v", e)
	}
	if seen := s.Health().Tap.Look(); !slices.ContainsFunc(seen, func(m sensors.Message) bool {
		return m.About == "afsd/cell1/spindle/power" && string(m.Raw) == `{"ts":` && m.Size == 6
	}) {
		t.Errorf("who looks sees %+v", seen)
	}
	end()

	// Everything was acknowledged, the unreadable too: nothing comes again.
	rec = &record{}
	s, _ = run(t, Options{Broker: "tcp://" + b.Addr, Topics: []Topic{{Filter: "plain/last", QoS: 1, Channel: "spindle_speed", Decoder: number}}}, rec)
	subscribed(t, s)
	publishTo(t, pub, "plain/last", 1, false, "1")
	eventually(t, "a fresh value", func() bool { return slices.Contains(rec.values(spindleSpeed), 1) })
	if d := s.Health().Duplicates.Load(); d != 0 {
		t.Errorf("%d messages came again", d)
	}
	if e := rec.of(sensors.Connected); len(e) != 1 || !strings.Contains(e[0].Text, "session resumed") {
		t.Errorf("connected: %v", e)
	}
}

var speed = []Topic{{Filter: "speed", QoS: 1, Channel: "spindle_speed", Decoder: number}}

// A message is the broker's until the sink has called Ack.
func TestRedeliveryUntilAcknowledged(t *testing.T) {
	b := parts.StartMosquitto(t)
	pub := publisher(t, b)
	o := Options{Broker: "tcp://" + b.Addr, Topics: speed}
	first := &record{hold: true}
	s, end := run(t, o, first)
	subscribed(t, s)
	for i := range 5 {
		publishTo(t, pub, "speed", 1, false, "%d", i)
	}
	eventually(t, "5 samples", func() bool { return first.count() == 5 })
	end()
	first.release() // too late: that connection is gone

	second := &record{hold: true}
	s, end = run(t, o, second)
	eventually(t, "5 samples again", func() bool { return second.count() == 5 })
	if d := s.Health().Duplicates.Load(); d != 5 {
		t.Errorf("%d duplicates, want 5", d)
	}
	first.release()
	second.release()
	end()

	// A connection may end before its last acknowledgements are on their way. Then all comes once more; what has been
	// acknowledged with time to spare never does.
	var v []float64
	for range 20 {
		third := &record{}
		s, end = run(t, o, third)
		subscribed(t, s)
		publishTo(t, pub, "speed", 1, false, "99")
		eventually(t, "a new sample", func() bool { return slices.Contains(third.values(spindleSpeed), 99) })
		end()
		if v = third.values(spindleSpeed); slices.Min(v) == 99 {
			return
		}
	}
	t.Errorf("after the acknowledgement: %v", v)
}

func TestBrokerRestart(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			b := parts.StartMosquitto(t)
			rec := &record{hold: true}
			s, _ := run(t, Options{Broker: "tcp://" + b.Addr, Topics: speed}, rec)
			subscribed(t, s)
			publishTo(t, publisher(t, b), "speed", 1, false, "1")
			eventually(t, "a sample", func() bool { return rec.count() == 1 })
			b.Stop(sig)
			eventually(t, "disconnected", func() bool { return len(rec.of(sensors.Disconnected)) == 1 })
			b.Start()
			eventually(t, "connected again", func() bool { return len(rec.of(sensors.Connected)) == 2 })
			subscribed(t, s)
			if sig == syscall.SIGTERM {
				eventually(t, "redelivery", func() bool { return rec.count() == 2 })
			}
			rec.release() // of the connection before, and of this one
			publishTo(t, publisher(t, b), "speed", 1, false, "2")
			eventually(t, "the stream goes on", func() bool { return slices.Contains(rec.values(spindleSpeed), 2) })
			gaps, h := rec.of(sensors.Gap), s.Health().Snapshot()
			if sig == syscall.SIGTERM && (len(gaps) != 0 || h.Duplicates != 1) {
				t.Errorf("gaps %v, health %+v: the session was kept", gaps, h)
			}
			if sig == syscall.SIGKILL && (len(gaps) != 1 || h.Gaps != 1 || !strings.HasPrefix(gaps[0].Text, "the broker lost its session: messages published between ")) {
				t.Errorf("gaps %v, health %+v: the session was lost", gaps, h)
			}
			if e := rec.of(sensors.Disconnected); len(e) != 1 || !strings.Contains(e[0].Text, b.Addr) {
				t.Errorf("disconnected %v", e)
			}
		})
	}
}

func TestBrokerAbsentAtStart(t *testing.T) {
	b := parts.NewMosquitto(t)
	rec := &record{}
	s, end := run(t, Options{Broker: "tcp://" + b.Addr, Topics: speed}, rec)
	eventually(t, "reported", func() bool { return len(rec.of(sensors.Disconnected)) == 1 })
	if e := rec.of(sensors.Disconnected)[0]; !strings.Contains(e.Text, "cannot connect to tcp://"+b.Addr+": ") || !strings.Contains(e.Text, "refused") {
		t.Errorf("event %q", e.Text)
	}
	b.Start()
	subscribed(t, s)
	publishTo(t, publisher(t, b), "speed", 1, false, "1")
	eventually(t, "a sample", func() bool { return rec.count() == 1 })
	b.Stop(syscall.SIGTERM)
	end() // also while it waits for the broker
}

// With mosquitto's own settings 20 messages are in flight and 1000 wait.
func TestStockSettingsWithLateAcks(t *testing.T) {
	b := parts.StartMosquitto(t)
	rec := &record{hold: true}
	s, _ := run(t, Options{Broker: "tcp://" + b.Addr, Topics: speed}, rec)
	subscribed(t, s)
	pub := publisher(t, b)
	const n = 500
	go func() {
		for i := range n {
			pub.Publish("speed", 1, false, itoa(i))
		}
	}()
	eventually(t, "all samples", func() bool {
		rec.release()
		return rec.count() >= n
	})
	for i, v := range rec.values(spindleSpeed) {
		if v != float64(i) {
			t.Fatalf("sample %d is %v", i, v)
		}
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for i := 1; i < n; i++ {
		if rec.samples[i].Time <= rec.samples[i-1].Time {
			t.Fatalf("stamps %d and %d are not apart", i-1, i)
		}
	}
}

// A sink that blocks holds the broker up; nothing is lost.
func TestBackpressure(t *testing.T) {
	b := parts.StartMosquitto(t, "max_inflight_messages 0", "max_queued_messages 0")
	rec := &record{block: make(chan struct{})}
	s, _ := run(t, Options{Broker: "tcp://" + b.Addr, Topics: speed, KeepAlive: time.Second}, rec)
	subscribed(t, s)
	pub := publisher(t, b)
	const n = 20000
	for i := range n {
		tok := pub.Publish("speed", 1, false, itoa(i))
		if i == n-1 {
			settle(t, tok)
		}
	}
	if c := rec.count(); c > burstMax {
		t.Errorf("%d samples went through a sink that blocks", c)
	}
	rec.mu.Lock()
	close(rec.block)
	rec.block = nil
	rec.mu.Unlock()
	// Some may come twice: a broker that got no sign of life within a second and a half ends the connection.
	eventually(t, "all samples", func() bool {
		if rec.count() < n {
			return false
		}
		came := make([]bool, n)
		for _, v := range rec.values(spindleSpeed) {
			came[int(v)] = true
		}
		return !slices.Contains(came, false)
	})
}

// The connection may end while the sink blocks; what was under way comes again by the next one.
func TestConnectionLostDuringStall(t *testing.T) {
	b := parts.StartMosquitto(t)
	rec := &record{hold: true, block: make(chan struct{})}
	s, end := run(t, Options{Broker: "tcp://" + b.Addr, Topics: speed}, rec)
	subscribed(t, s)
	publishTo(t, publisher(t, b), "speed", 1, false, "1")
	eventually(t, "a sample", func() bool { return rec.count() == 1 })
	b.Stop(syscall.SIGTERM)
	b.Start()
	rec.mu.Lock()
	close(rec.block)
	rec.block = nil
	rec.mu.Unlock()
	rec.release()
	eventually(t, "redelivery", func() bool { return rec.count() == 2 })
	if d := s.Health().Duplicates.Load(); d != 1 {
		t.Errorf("%d duplicates, want 1", d)
	}
	rec.release()
	// An acknowledgement that leaves together with the connection may be lost, which QoS 1 allows: a
	// message after it shows that it left before.
	publishTo(t, publisher(t, b), "speed", 1, false, "1.5")
	eventually(t, "the message after", func() bool { return rec.count() == 3 })
	rec.release()
	end()
	last := &record{}
	s, _ = run(t, Options{Broker: "tcp://" + b.Addr, Topics: speed}, last)
	subscribed(t, s)
	publishTo(t, publisher(t, b), "speed", 1, false, "2")
	eventually(t, "a new sample", func() bool { return slices.Contains(last.values(spindleSpeed), 2) })
	if v := last.values(spindleSpeed); slices.Contains(v, 1) {
		t.Errorf("delivered again after its acknowledgement: %v", v)
	}
}

func TestSilence(t *testing.T) {
	b := parts.StartMosquitto(t)
	rec := &record{}
	s, _ := run(t, Options{Broker: "tcp://" + b.Addr, Silence: 50 * time.Millisecond, Topics: []Topic{
		{Filter: "speed", QoS: 1, Channel: "spindle_speed", Decoder: number},
		{Filter: "power", QoS: 1, Channel: "spindle_power", Decoder: number},
	}}, rec)
	subscribed(t, s)
	eventually(t, "both topics silent", func() bool { return len(rec.of(sensors.Silent)) == 2 })
	publishTo(t, publisher(t, b), "power", 1, false, "1")
	eventually(t, "one resumed", func() bool { return len(rec.of(sensors.Resumed)) == 1 })
	if e := rec.of(sensors.Resumed)[0]; !strings.Contains(e.Text, `"power"`) {
		t.Errorf("resumed: %q", e.Text)
	}
	eventually(t, "silent again", func() bool { return len(rec.of(sensors.Silent)) == 3 })
}

func TestPassword(t *testing.T) {
	exe, err := exec.LookPath("mosquitto_passwd")
	if err != nil {
		t.Skip("mosquitto_passwd is not installed (Debian package mosquitto)")
	}
	b := parts.NewMosquitto(t, "allow_anonymous false", "password_file DIR/users")
	if out, err := exec.Command(exe, "-b", "-c", filepath.Join(b.Dir, "users"), "agent", "secret").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b.Start()
	rec := &record{}
	_, end := run(t, Options{Broker: "tcp://" + b.Addr, Username: "agent", Password: "wrong", Topics: speed}, rec)
	eventually(t, "refused", func() bool { return len(rec.of(sensors.Disconnected)) == 1 })
	text := rec.of(sensors.Disconnected)[0].Text
	if !strings.Contains(text, b.Addr) || !strings.Contains(strings.ToLower(text), "not authorized") || strings.Contains(text, "wrong") {
		t.Errorf("event %q", text)
	}
	end()
	s, _ := run(t, Options{Broker: "tcp://" + b.Addr, Username: "agent", Password: "secret", Topics: speed}, &record{})
	subscribed(t, s)
}

// A refused subscription is asked for again, until access is granted.
func TestRefusedSubscription(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	access := &access{}
	if err := server.AddHook(access, nil); err != nil {
		t.Fatal(err)
	}
	if err := server.AddListener(listeners.NewNet("t", l)); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	rec := &record{}
	s, _ := run(t, Options{Broker: "tcp://" + l.Addr().String(), Topics: speed}, rec)
	eventually(t, "refused", func() bool { return len(rec.of(sensors.Rejected)) == 1 })
	if e := rec.of(sensors.Rejected)[0]; !strings.Contains(e.Text, `refuses ["speed"]`) || !strings.Contains(e.Text, l.Addr().String()) {
		t.Errorf("event %q", e.Text)
	}
	access.granted.Store(true)
	subscribed(t, s)
}

// access lets everyone in, and read once it is granted.
type access struct {
	mochi.HookBase
	granted atomic.Bool
}

func (a *access) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}
func (a *access) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (a *access) OnACLCheck(*mochi.Client, string, bool) bool              { return a.granted.Load() }

func TestTLS(t *testing.T) {
	b := parts.NewMosquitto(t, "cafile DIR/ca.pem", "certfile DIR/server.pem", "keyfile DIR/server.key", "require_certificate true")
	ca := newAuthority(t, b.Dir, "ca")
	ca.issue(t, b.Dir, "server")
	ca.issue(t, b.Dir, "agent")
	newAuthority(t, b.Dir, "stranger")
	b.Start()
	in := func(name string) string { return filepath.Join(b.Dir, name) }
	cfg, err := LoadTLS(in("ca.pem"), in("agent.pem"), in("agent.key"))
	if err != nil {
		t.Fatal(err)
	}
	rec := &record{}
	topics := []Topic{{Filter: "speed", QoS: 1, Channel: "spindle_speed", Decoder: number}}
	s, end := run(t, Options{Broker: "tls://" + b.Addr, TLS: cfg, Topics: topics}, rec)
	subscribed(t, s)
	pub := tlsPublisher(t, b, cfg)
	for i := range 200 {
		publishTo(t, pub, "speed", 1, false, "%d", i)
	}
	eventually(t, "200 samples", func() bool { return rec.count() == 200 })
	end()

	cfg, err = LoadTLS(in("stranger.pem"), in("agent.pem"), in("agent.key"))
	if err != nil {
		t.Fatal(err)
	}
	rec = &record{}
	run(t, Options{Broker: "tls://" + b.Addr, TLS: cfg, Topics: topics}, rec)
	eventually(t, "distrust", func() bool { return len(rec.of(sensors.Disconnected)) == 1 })
	if e := rec.of(sensors.Disconnected)[0]; !strings.Contains(e.Text, b.Addr) || !strings.Contains(e.Text, "unknown authority") {
		t.Errorf("event %q", e.Text)
	}
	if _, err := LoadTLS(in("mosquitto.conf"), "", ""); err == nil || !strings.Contains(err.Error(), "no certificate in") {
		t.Errorf("authorities that are none: %v", err)
	}
	if _, err := LoadTLS("", in("agent.pem"), ""); err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("certificate without key: %v", err)
	}
}

// authority signs certificates for the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	a := &authority{}
	a.cert, a.key = writeCertificate(t, dir, name, nil)
	return a
}

func (a *authority) issue(t *testing.T, dir, name string) { writeCertificate(t, dir, name, a) }

func writeCertificate(t *testing.T, dir, name string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := c, key
	if by == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	} else {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for ext, block := range map[string]*pem.Block{"pem": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name+"."+ext), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed, key
}
