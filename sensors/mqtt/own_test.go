package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/sensors"
)

// listen runs a broker of our own until the test ends, or end is called.
func listen(t *testing.T, o BrokerOptions, to sensors.Sink) (b *Broker, url string, end func()) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url = "tcp://" + free.Addr().String()
	if o.TLS != nil {
		url = "tls://" + free.Addr().String()
	}
	free.Close()
	o.Name, o.Listen, o.Registry = "own", url, registry(t)
	if b, err = NewBroker(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, to) }()
	ended := false
	end = func() {
		if cancel(); !ended {
			ended = true
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(end)
	eventually(t, "listening", func() bool { return b.Health().Connected.Load() })
	return b, url, end
}

func client(t *testing.T, url, id, user, password string) (paho.Client, error) {
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID(id).SetUsername(user).SetPassword(password).
		SetProtocolVersion(4).SetAutoReconnect(false).SetCleanSession(false).SetConnectTimeout(5 * time.Second))
	token := c.Connect()
	if !token.WaitTimeout(10 * time.Second) {
		t.Fatal("no answer to a connect")
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c, token.Error()
}

// A sender hears of its message when the record has it, many at once; what others subscribed to reaches them.
func TestOwnBrokerAcknowledgesWhatIsRecorded(t *testing.T) {
	rec := &record{hold: true}
	b, url, _ := listen(t, BrokerOptions{Options: Options{Topics: speed}, Users: map[string]string{"gate": "way"}}, rec)
	if _, err := client(t, url, "stranger", "gate", "wrong"); err == nil {
		t.Error("a wrong password was taken")
	}
	if _, err := client(t, url, "stranger", "", ""); err == nil {
		t.Error("nobody was let in")
	}
	c, err := client(t, url, "sender", "gate", "way")
	if err != nil {
		t.Fatal(err)
	}
	screen, err := client(t, url, "screen", "gate", "way")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 100)
	settle(t, screen.Subscribe("#", 1, func(_ paho.Client, m paho.Message) { seen <- m.Topic() + "=" + string(m.Payload()) }))
	settle(t, c.Publish("other", 1, false, "acknowledged at once: it is not for the record"))
	const n = 50
	var tokens []paho.Token
	for i := range n {
		tokens = append(tokens, c.Publish("speed", byte(1+i%2), false, fmt.Sprint(i)))
	}
	eventually(t, "all are taken while none is acknowledged", func() bool { return rec.count() == n })
	for i, token := range tokens {
		select {
		case <-token.Done():
			t.Fatalf("message %d was acknowledged before it was recorded", i)
		default:
		}
	}
	rec.release()
	for _, token := range tokens {
		settle(t, token)
	}
	got := map[string]bool{}
	eventually(t, "the subscriber has all", func() bool {
		for {
			select {
			case m := <-seen:
				got[m] = true
			default:
				return len(got) == n+1
			}
		}
	})
	for i, v := range rec.values(spindleSpeed) {
		if v != float64(i) {
			t.Fatalf("value %d is %g", i, v)
		}
	}
	settle(t, c.Publish("speed", 1, false, "no number"))
	if h := b.Health().Snapshot(); h.Messages != n+1 || h.Rejected != 3 || h.Duplicates != 0 {
		t.Errorf("health %+v", h)
	}
}

// At the end nothing more is taken: the sender keeps it and sends it again to the next.
func TestOwnBrokerEnds(t *testing.T) {
	rec := &record{hold: true}
	_, url, end := listen(t, BrokerOptions{Options: Options{Topics: speed}}, rec)
	c, err := client(t, url, "sender", "", "")
	if err != nil {
		t.Fatal(err)
	}
	token := c.Publish("speed", 1, false, "7")
	eventually(t, "it is taken", func() bool { return rec.count() == 1 })
	end()
	rec.release() // too late
	if token.WaitTimeout(100*time.Millisecond) && token.Error() == nil {
		t.Error("acknowledged after the end")
	}
}

func TestOwnBrokerOptionsAreChecked(t *testing.T) {
	topics := Options{Name: "own", Registry: registry(t), Topics: speed}
	for want, o := range map[string]BrokerOptions{
		"certificate and its key": {Options: topics, Listen: "tls://127.0.0.1:8883"},
		"name users":              {Options: topics, Listen: "tcp://0.0.0.0:1883"},
		"a password are needed":   {Options: topics, Listen: "tcp://127.0.0.1:1883", Users: map[string]string{"a": ""}},
		"no topics":               {Options: Options{Name: "own", Registry: registry(t)}, Listen: "tcp://127.0.0.1:1883"},
		"use tcp://":              {Options: topics, Listen: "http://127.0.0.1:1883"},
	} {
		if _, err := NewBroker(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o.Listen, err, want)
		}
	}
	b, err := NewBroker(BrokerOptions{Options: topics, Listen: "tcp://203.0.113.7:1883", Users: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context(), &record{}); err == nil || !strings.Contains(err.Error(), "cannot listen at") {
		t.Errorf("an address of another computer: %v", err)
	}
}

// Over TLS whoever shows a certificate of the authority is let in, and nobody else.
func TestOwnBrokerAsksForCertificates(t *testing.T) {
	dir := t.TempDir()
	pem := func(name string) string { return filepath.Join(dir, name) }
	ours, others := newAuthority(t, dir, "ca"), newAuthority(t, dir, "other")
	ours.issue(t, dir, "server")
	ours.issue(t, dir, "gate")
	others.issue(t, dir, "stranger")
	conf, err := ServerTLS(pem("ca.pem"), pem("server.pem"), pem("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	rec := &record{}
	_, url, _ := listen(t, BrokerOptions{Options: Options{Topics: speed}, TLS: conf}, rec)
	shown := func(name string) *tls.Config {
		c, err := LoadTLS(pem("ca.pem"), pem(name+".pem"), pem(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	publishTo(t, connect(t, url, shown("gate")), "speed", 1, false, "3")
	if v := rec.values(spindleSpeed); len(v) != 1 || v[0] != 3 {
		t.Errorf("recorded %v", v)
	}
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetTLSConfig(shown("stranger")).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second))
	if token := c.Connect(); token.WaitTimeout(10*time.Second) && token.Error() == nil {
		t.Error("a stranger was let in")
	}
}

// deadlined is a connection that remembers until when a write may take.
type deadlined struct {
	net.Conn
	until chan time.Time
}

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	d.until <- t
	return d.Conn.SetWriteDeadline(t)
}

// What bounds the writing of an acknowledgement does not bound what the library writes later: a client that
// publishes once a minute would be thrown out when it pings.
func TestAcknowledgingLeavesNoDeadline(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := &deadlined{ours, make(chan time.Time, 4)}
	l := newLink(c, &Source{}, 0)
	defer l.fail(net.ErrClosed)
	l.burst.acks = append(l.burst.acks, 0x40, 2, 0, 1)
	b := l.burst
	l.burst = l.enqueue(b)
	b.Ack()
	var ack [4]byte
	if _, err := io.ReadFull(theirs, ack[:]); err != nil || ack != [4]byte{0x40, 2, 0, 1} {
		t.Fatalf("%x, %v", ack, err)
	}
	if first := <-c.until; first.IsZero() {
		t.Error("the write was not bounded")
	}
	if last := <-c.until; !last.IsZero() {
		t.Errorf("writes are bounded until %v", last)
	}
}
