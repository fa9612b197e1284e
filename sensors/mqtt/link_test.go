package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"stirwatch/cmd/parts"
	"stirwatch/sensors"
	"stirwatch/sensors/wire"
)

// stream is a connection that plays bytes, at most size at a time, and keeps what is written.
type stream struct {
	net.Conn
	in      []byte
	size    int
	mu      sync.Mutex
	out     bytes.Buffer
	written chan struct{}
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.size)], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		select {
		case s.written <- struct{}{}:
		default:
		}
	}()
	return s.out.Write(p)
}

func (s *stream) Close() error                     { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// taken is a decoder that notes the messages it gets.
type taken struct{ log *[]string }

func (d taken) Decode(dst []sensors.Sample, at int64, msg []byte) ([]sensors.Sample, error) {
	*d.log = append(*d.log, string(msg))
	if bytes.HasPrefix(msg, []byte("bad")) {
		return dst, errors.New("bad")
	}
	return append(dst, sensors.Sample{Channel: spindleSpeed, Time: at, Arrival: at, Status: sensors.OK}), nil
}

// offline is a source without a broker, whose link reads a stream.
func offline(t testing.TB, o Options, to sensors.Sink, c net.Conn) (*Source, *link) {
	t.Helper()
	o.Name, o.Broker, o.ClientID, o.Registry = "cell", "tcp://127.0.0.1", "c", registry(t)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.sink = to
	l := newLink(c, s, bufferSize)
	t.Cleanup(func() { l.Close() })
	return s, l
}

// replay reads a whole stream through a link, in pieces.
func replay(t testing.TB, in []byte, size, max int) (messages []string, rest []byte, acks string, err error) {
	c := &stream{in: in, size: size}
	rec := &record{hold: true}
	s, l := offline(t, Options{MaxPacket: max, Topics: []Topic{{Filter: "#", QoS: 1, Channel: "spindle_speed",
		Decoder: func(sensors.ChannelID) (wire.Decoder, error) { return taken{&messages}, nil }}}}, rec, c)
	var out bytes.Buffer
	_, err = io.Copy(&out, onlyReader{l})
	for _, b := range rec.ackers {
		acks += fmt.Sprintf("%x ", b.(*burst).acks)
	}
	if n := s.health.Samples.Load(); int(n) != rec.count() {
		t.Errorf("%d samples counted, %d handed over", n, rec.count())
	}
	return messages, out.Bytes(), strings.ReplaceAll(acks, " ", ""), err
}

type onlyReader struct{ io.Reader }

func packet(h byte, topic string, id uint16, payload string) []byte {
	p := &packets.PublishPacket{FixedHeader: packets.FixedHeader{MessageType: packets.Publish,
		Qos: h >> 1 & 3, Dup: h&8 != 0, Retain: h&1 != 0}, TopicName: topic, MessageID: id, Payload: []byte(payload)}
	var b bytes.Buffer
	p.Write(&b)
	return b.Bytes()
}

var pingresp = []byte{0xd0, 0}

func TestLinkSplitsTheStream(t *testing.T) {
	in := slices.Concat(
		[]byte{0x20, 2, 0, 0}, packet(2, "a", 7, "one"), pingresp, packet(0, "b/c", 0, ""), packet(4, "a", 8, "two"),
		packet(2, "a", 9, strings.Repeat("x", 5000)), packet(2, "a", 10, "bad"), []byte{0x62, 2, 0, 8}, packet(10, "a", 11, "last"))
	for _, size := range []int{1, 2, 3, 7, 100, 1 << 20} {
		messages, rest, acks, err := replay(t, in, size, 1000)
		if want := []string{"one", "", "two", "bad", "last"}; !slices.Equal(messages, want) {
			t.Errorf("pieces of %d: messages %q, want %q", size, messages, want)
		}
		if want := []byte{0x20, 2, 0, 0, 0xd0, 0, 0x62, 2, 0, 8}; !bytes.Equal(rest, want) {
			t.Errorf("pieces of %d: for paho %x, want %x", size, rest, want)
		}
		if want := "40020007" + "50020008" + "40020009" + "4002000a" + "4002000b"; acks != want {
			t.Errorf("pieces of %d: acknowledgements %s, want %s", size, acks, want)
		}
		if err != nil { // io.Copy ends with the stream
			t.Errorf("pieces of %d: %v", size, err)
		}
	}
}

func TestLinkRefusesMalformedPackets(t *testing.T) {
	for name, in := range map[string][]byte{
		"remaining length": {0x30, 0xff, 0xff, 0xff, 0xff, 1},
		"QoS 3":            packet(6, "a", 1, ""),
		"topic of 9 bytes": {0x30, 4, 0, 9, 'a', 'b'},
		"empty topic":      {0x30, 2, 0, 0},
		"identifier 0":     packet(2, "a", 0, ""),
		"type 9":           {0x90, 0xff, 0xff, 0xff, 0x7f},
	} {
		if _, _, _, err := replay(t, in, 100, 1000); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Acknowledgements leave in the order of arrival and only by their own connection.
func TestAckOrder(t *testing.T) {
	c := &stream{size: 1 << 20, written: make(chan struct{}, 1)}
	rec := &record{hold: true}
	_, l := offline(t, Options{Topics: speed}, rec, c)
	for i := uint16(1); i <= 3; i++ {
		c.in = packet(2, "speed", i, "1")
		if _, err := l.Read(make([]byte, 1)); err != io.EOF {
			t.Fatal(err)
		}
		l.once = sync.Once{} // the stream goes on
		l.dead = false
		l.closed = make(chan struct{})
	}
	rec.ackers[2].Ack()
	rec.ackers[1].Ack()
	if len(l.out) != 0 {
		t.Errorf("%x leaves before its turn", l.out)
	}
	rec.ackers[0].Ack()
	<-c.written
	c.mu.Lock()
	if got := fmt.Sprintf("%x", c.out.Bytes()); got != "400200014002000240020003" {
		t.Errorf("acknowledged %s", got)
	}
	c.mu.Unlock()
	c.in = packet(2, "speed", 4, "1")
	l.Read(make([]byte, 1)) // ends with the stream
	rec.ackers[3].Ack()
	if len(l.out) != 0 || l.armed {
		t.Error("a lost connection acknowledges")
	}
}

func TestReceiveDoesNotAllocate(t *testing.T) {
	sink := &immediate{}
	c := &stream{size: 1 << 20}
	s, l := offline(t, Options{Topics: []Topic{{Filter: "afsd/#", QoS: 1, Channel: "{3}_{4}", Decoder: value(registry(t))}}}, sink, c)
	in := burstOf(100)
	work := func() {
		c.in = in
		if err := l.fill(0); err != nil {
			t.Fatal(err)
		}
		if _, err := l.take(); err != nil {
			t.Fatal(err)
		}
		l.handOver()
		l.out = l.out[:0]
	}
	l.armed = true // no timer
	work()
	if n := testing.AllocsPerRun(100, work); n != 0 {
		t.Errorf("%v allocations for a burst", n)
	}
	if r := s.health.Rejected.Load(); r != 0 {
		t.Errorf("%d rejected: %s", r, s.health.Snapshot().LastBad)
	}
}

// immediate is a sink to which everything is durable at once.
type immediate struct{ n int }

func (s *immediate) Emit(x []sensors.Sample, a sensors.Acker) {
	s.n += len(x)
	if a != nil {
		a.Ack()
	}
}
func (s *immediate) Event(sensors.Event) {}

func burstOf(n int) (in []byte) {
	for i := range n {
		in = append(in, packet(2, "afsd/cell1/spindle/power", uint16(i+1), fmt.Sprintf(`{"ts":%d,"value":%d.25,"unit":"kW"}`, 1752000000000000000+i, i))...)
	}
	return in
}

func FuzzLink(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0}, 1)
	f.Add(slices.Concat(packet(2, "a/b", 7, "1.5"), pingresp, packet(13, "ü", 8, "")), 3)
	f.Add(packet(0, "t", 0, strings.Repeat("y", 300)), 50)
	f.Add([]byte{0x36, 5, 0, 1, 'a', 0, 1}, 2)
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 1}, 4)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		size = 1 + (size&0xffff)%200
		const limit = 200
		m1, rest1, acks1, err1 := replay(t, in, 1<<20, limit)
		m2, rest2, acks2, err2 := replay(t, in, size, limit)
		if !slices.Equal(m1, m2) || !bytes.Equal(rest1, rest2) || acks1 != acks2 || (err1 == nil) != (err2 == nil) {
			t.Fatalf("whole and in pieces of %d differ: %q %q, %x %x, %s %s, %v %v", size, m1, m2, rest1, rest2, acks1, acks2, err1, err2)
		}
		// paho's own reader sees the same messages.
		for r := bytes.NewReader(in); len(m1) > 0; {
			kind := in[len(in)-r.Len()] >> 4
			p, err := packets.ReadPacket(r)
			if err != nil && kind != typePublish {
				return // it closes the connection there
			}
			if err != nil {
				t.Fatalf("paho cannot read what we read as %q: %v", m1[0], err)
			}
			if pub, ok := p.(*packets.PublishPacket); ok && packetSize(pub) <= limit {
				if string(pub.Payload) != m1[0] {
					t.Fatalf("payload %q, by paho %q", m1[0], pub.Payload)
				}
				m1 = m1[1:]
			}
		}
	})
}

func packetSize(p *packets.PublishPacket) int {
	head := 2
	for n := p.RemainingLength; n > 127; n >>= 7 {
		head++
	}
	return head + p.RemainingLength
}

// Budget: 1 µs a message, JSON included.
func BenchmarkReceive(b *testing.B) {
	c := &stream{size: 1 << 20}
	_, l := offline(b, Options{Topics: []Topic{{Filter: "afsd/#", QoS: 1, Channel: "{3}_{4}", Decoder: value(registry(b))}}}, &immediate{}, c)
	in := burstOf(100)
	l.armed = true // no timer
	b.ReportAllocs()
	b.SetBytes(int64(len(in) / 100))
	for i := 0; i < b.N; i += 100 {
		c.in = in
		if err := l.fill(0); err != nil {
			b.Fatal(err)
		}
		if _, err := l.take(); err != nil {
			b.Fatal(err)
		}
		l.handOver()
		l.out = l.out[:0]
	}
}

// later is a sink that makes durable what it has every 50 ms, as a journal does.
type later struct {
	mu     sync.Mutex
	n      int
	ackers []sensors.Acker
}

func (s *later) Emit(x []sensors.Sample, a sensors.Acker) {
	s.mu.Lock()
	s.n += len(x)
	if a != nil {
		s.ackers = append(s.ackers, a)
	}
	s.mu.Unlock()
}

func (s *later) Event(sensors.Event) {}

func (s *later) run(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		s.mu.Lock()
		ackers := s.ackers
		s.ackers = nil
		s.mu.Unlock()
		for _, a := range ackers {
			a.Ack()
		}
	}
}

func (s *later) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Drains a broker's backlog, QoS 1, one sample a message. Budget: 100,000 samples/s, so 10 µs
// (10,000 ns) each, the broker's own work included.
func BenchmarkDrain(b *testing.B) {
	if b.N < 1000 {
		return // the broker's start is not what is asked
	}
	br := parts.StartMosquitto(b, "max_inflight_messages 0", "max_queued_messages 0", "max_queued_bytes 0", "set_tcp_nodelay true")
	reg := registry(b)
	o := Options{Broker: "tcp://" + br.Addr, Registry: reg, Topics: []Topic{{Filter: "afsd/#", QoS: 1, Channel: "{3}_{4}", Decoder: value(reg)}}}
	s, end := run(b, o, &immediate{})
	subscribed(b, s)
	end()
	pub := publisher(b, br)
	for i := range b.N {
		tok := pub.Publish("afsd/cell1/spindle/power", 1, false, fmt.Sprintf(`{"ts":%d,"value":%d.25,"unit":"kW"}`, 1752000000000000000+i, i))
		if i%1000 == 0 || i == b.N-1 {
			settle(b, tok)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sink := &later{}
	go sink.run(ctx)
	b.ResetTimer()
	_, end = run(b, o, sink)
	for sink.count() < b.N {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "samples/s")
	end()
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := New(Options{Name: "cell", Broker: "ws://x", Password: "p", KeepAlive: time.Millisecond, Registry: registry(t), Topics: []Topic{
		{Filter: "a/#/b", Channel: "spindle_speed", Decoder: number},
		{Filter: "a+", Channel: "spindle_speed", Decoder: number},
		{Filter: "b", QoS: 3, Channel: "spindle_speed", Decoder: number},
		{Filter: "c", Channel: "nobody", Decoder: number},
		{Filter: "d", Channel: "x{0}", Decoder: number},
		{Filter: "e", Channel: "x{1", Decoder: number},
		{Filter: "f", Channel: "spindle_speed"},
		{Filter: "f", Channel: "spindle_speed", Decoder: number},
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`broker "ws://x"`, "client id", "user name", "keep-alive 1ms", `"a/#/b": # stands`, `"a+": + stands`,
		"QoS 3", `channel "nobody" is not declared`, "{0} is not a level", "do not pair", `"f": has no decoder`, `"f": is subscribed twice`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if _, err := New(Options{Broker: "tcp://u:secret@h", ClientID: "c", Registry: registry(t), Topics: speed}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a password in the address: %v", err)
	}
	for in, want := range map[string]string{"mqtt://h": "tcp://h:1883", "ssl://h/": "tls://h:8883", "tcp://[::1]:9": "tcp://[::1]:9"} {
		if u, err := brokerURL(in); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v", in, u, err)
		}
	}
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a", false}, {"a", "a/b", false}, {"a/+", "a/b", true}, {"a/+", "a/b/c", false},
		{"a/#", "a", true}, {"a/#", "a/b/c", true}, {"#", "a/b", true}, {"+/b", "/b", true}, {"a/+", "a/", true},
	} {
		if got := matches(strings.Split(c.filter, "/"), strings.Split(c.topic, "/")); got != c.want {
			t.Errorf("%s on %s: %v", c.filter, c.topic, got)
		}
	}
}

// What topics make us remember is bounded.
func TestTopicsAreBounded(t *testing.T) {
	r, err := newRouter(registry(t), []Topic{{Filter: "ok/#", Channel: "spindle_speed", Decoder: number}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxRoutes {
		r.find([]byte("ok/" + itoa(i)))
		r.find([]byte("no/" + itoa(i)))
	}
	if len(r.routes) != maxRoutes || len(r.unknown) > maxUnknown {
		t.Errorf("%d routes, %d unknown topics", len(r.routes), len(r.unknown))
	}
	if rt := r.find([]byte("ok/1")); rt.err != nil {
		t.Errorf("an old topic: %v", rt.err)
	}
	if rt := r.find([]byte("ok/x")); rt.err == nil || !strings.Contains(rt.err.Error(), "4096 topics") {
		t.Errorf("a topic too many: %v", rt.err)
	}
}

// A topic that nothing is declared for is told once, however long it sends; several are told one after another.
func TestUndeclaredTopicIsToldOnce(t *testing.T) {
	now := int64(1e18)
	rec := &record{}
	c := &stream{size: 1 << 20}
	s, l := offline(t, Options{Clock: func() int64 { return now }, Topics: []Topic{{Filter: "afsd/#", QoS: 1, Channel: "{3}_{4}", Decoder: value(registry(t))}}}, rec, c)
	l.armed = true // no timer
	for i := range 600 {
		now += int64(time.Second) / 5
		c.in = slices.Concat(packet(2, "afsd/cell1/coolant/flow", uint16(3*i+1), `{"value":1}`), packet(2, "afsd/cell1/door/open", uint16(3*i+2), `{"value":1}`))
		if err := l.fill(0); err != nil {
			t.Fatal(err)
		}
		if _, err := l.take(); err != nil {
			t.Fatal(err)
		}
		l.handOver()
		l.out = l.out[:0]
	}
	e := rec.of(sensors.Rejected)
	if len(e) != 2 || !strings.Contains(e[0].Text, "coolant_flow") || !strings.Contains(e[1].Text, "door_open") {
		t.Errorf("%d events: %v", len(e), e)
	}
	if n := s.health.Rejected.Load(); n != 1200 {
		t.Errorf("%d counted", n)
	}
}
