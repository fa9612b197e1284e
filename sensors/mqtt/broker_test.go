package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"stirwatch/cmd/parts"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// publisher connects a client that a test publishes with.
func publisher(t testing.TB, b *parts.Mosquitto) paho.Client { return connect(t, b.URL, nil) }

func tlsPublisher(t testing.TB, b *parts.Mosquitto, c *tls.Config) paho.Client {
	return connect(t, "tls://"+b.Addr, c)
}

func connect(t testing.TB, url string, cfg *tls.Config) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetTLSConfig(cfg).SetClientID("publisher").
		SetAutoReconnect(false).SetConnectTimeout(5 * time.Second))
	settle(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(100) })
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
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
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
	return wire.NewNumber(wire.Field{Channel: id}, 0), nil
}

func value(reg *sensors.Registry) func(sensors.ChannelID) (wire.Decoder, error) {
	return func(id sensors.ChannelID) (wire.Decoder, error) {
		return wire.NewJSONValue(wire.Options{Fields: []wire.Field{{Channel: id, Key: "value", Unit: reg.Channel(id).Unit}}, TimeKey: "ts", TimeUnit: wire.Nanoseconds, DeviceClock: true}, "unit"), nil
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
			case <-time.After(time.Minute):
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
