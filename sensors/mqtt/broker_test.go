package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is a real mosquitto in a folder of its own.
type broker struct {
	t    testing.TB
	dir  string
	addr string
	cmd  *exec.Cmd
}

// startBroker runs mosquitto with the given lines of configuration besides its listener.
func startBroker(t testing.TB, conf ...string) *broker {
	t.Helper()
	b := &broker{t: t, dir: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(b.addr)
	text := "listener " + port + " 127.0.0.1\npersistence true\npersistence_location " + b.dir + "/\nlog_dest file " + b.dir + "/log\n"
	if os.Geteuid() == 0 {
		text += "user root\n"
	}
	if !strings.Contains(strings.Join(conf, "\n"), "allow_anonymous") {
		text += "allow_anonymous true\n"
	}
	text += strings.ReplaceAll(strings.Join(conf, "\n"), "DIR", b.dir) + "\n"
	if err := os.WriteFile(filepath.Join(b.dir, "conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *broker) start() *broker {
	b.t.Helper()
	exe, err := exec.LookPath("mosquitto")
	if err != nil {
		exe = "/usr/sbin/mosquitto"
		if _, err := os.Stat(exe); err != nil {
			b.t.Skip("mosquitto is not installed (Debian package mosquitto)")
		}
	}
	b.cmd = exec.Command(exe, "-c", filepath.Join(b.dir, "conf"))
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	cmd := b.cmd
	b.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	eventually(b.t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", b.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return b
}

func (b *broker) stop(sig syscall.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(sig); err != nil {
		b.t.Fatal(err)
	}
	b.cmd.Wait()
}

// publisher connects a client that a test publishes with.
func (b *broker) publisher() paho.Client { return b.connect("tcp://", nil) }

func (b *broker) tlsPublisher(c *tls.Config) paho.Client { return b.connect("tls://", c) }

func (b *broker) connect(scheme string, cfg *tls.Config) paho.Client {
	b.t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(scheme + b.addr).SetTLSConfig(cfg).SetClientID("publisher").
		SetAutoReconnect(false).SetConnectTimeout(5 * time.Second))
	settle(b.t, c.Connect())
	b.t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func publishTo(t testing.TB, c paho.Client, topic string, qos byte, retain bool, format string, a ...any) {
	t.Helper()
	settle(t, c.Publish(topic, qos, retain, fmt.Sprintf(format, a...)))
}

func settle(t testing.TB, tok paho.Token) {
	t.Helper()
	if !tok.WaitTimeout(10 * time.Second) {
		t.Fatal("no answer from the broker within 10 s")
	}
	if err := tok.Error(); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition, for at most 20 s.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 20 s: %s", what)
		}
	}
}

// record is a sink that keeps everything. With hold it keeps the acknowledgements back.
type record struct {
	mu      sync.Mutex
	hold    bool
	samples []sensors.Sample
	events  []sensors.Event
	ackers  []sensors.Acker
	block   chan struct{} // not nil: Emit waits for it
}

func (r *record) Emit(s []sensors.Sample, a sensors.Acker) {
	r.mu.Lock()
	block := r.block
	r.samples = append(r.samples, s...)
	if a != nil {
		r.ackers = append(r.ackers, a)
	}
	hold := r.hold
	r.mu.Unlock()
	if block != nil {
		<-block
	}
	if !hold {
		r.release()
	}
}

// release acknowledges what is held.
func (r *record) release() {
	r.mu.Lock()
	ackers := r.ackers
	r.ackers = nil
	r.mu.Unlock()
	for _, a := range ackers {
		a.Ack()
	}
}

func (r *record) Event(e sensors.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
}

func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.samples)
}

// values are those of one channel, in order of arrival.
func (r *record) values(id sensors.ChannelID) (v []float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.samples {
		if s.Channel == id {
			v = append(v, s.Value)
		}
	}
	return v
}

func (r *record) of(kind sensors.EventKind) (found []sensors.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

const (
	toolTemperature sensors.ChannelID = iota
	spindlePower
	spindleSpeed
)

func registry(t testing.TB) *sensors.Registry {
	t.Helper()
	celsius, _ := unit.Parse("°C")
	watt, _ := unit.Parse("W")
	rpm, _ := unit.Parse("rpm")
	r, err := sensors.NewRegistry([]sensors.Channel{
		{Name: "tool_temperature", Unit: celsius, MaxAge: 10 * time.Second},
		{Name: "spindle_power", Unit: watt, MaxAge: 10 * time.Second},
		{Name: "spindle_speed", Unit: rpm, MaxAge: 10 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// number decodes bare numbers; value decodes {"ts":ns,"value":x,"unit":…}.
func number(id sensors.ChannelID) (wire.Decoder, error) {
	return wire.NewNumber(id, unit.Map{Scale: 1}, nil), nil
}

func value(reg *sensors.Registry) func(sensors.ChannelID) (wire.Decoder, error) {
	return func(id sensors.ChannelID) (wire.Decoder, error) {
		return wire.NewJSONValue("value", "ts", wire.Nanoseconds, "unit", id, reg.Channel(id).Unit, nil, true), nil
	}
}

func frame(sensors.ChannelID) (wire.Decoder, error) {
	return wire.NewJSON(wire.Options{TimeKey: "ts", TimeUnit: wire.Nanoseconds, DeviceClock: true, Fields: []wire.Field{
		{Channel: toolTemperature, Key: "t", Map: unit.Map{Scale: 1}},
		{Channel: spindleSpeed, Key: "n", Map: unit.Map{Scale: 1}},
	}}), nil
}

// run starts a source; the function that it returns ends it and waits.
func run(t testing.TB, o Options, to sensors.Sink) (*Source, func()) {
	t.Helper()
	if o.Name == "" {
		o.Name = "cell"
	}
	if o.ClientID == "" {
		o.ClientID = "stirwatch"
	}
	if o.Registry == nil {
		o.Registry = registry(t)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, to) }()
	var once sync.Once
	end := func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("Run did not end within 20 s")
			}
		})
	}
	t.Cleanup(end)
	return s, end
}

// subscribed waits until the broker has granted the subscriptions.
func subscribed(t testing.TB, s *Source) {
	t.Helper()
	eventually(t, "subscribed", func() bool { return s.up.Load() != 0 })
}

func itoa(i int) string { return strconv.Itoa(i) }
