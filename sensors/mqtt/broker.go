package mqtt

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	server "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"stirwatch/sensors"
)

// BrokerOptions describe a source that is the broker. Of Options it takes Name, Registry, Topics, Silence,
// MaxPacket and Clock.
type BrokerOptions struct {
	Options
	Listen string            // tcp://host:1883, or tls://host:8883, of this computer
	Users  map[string]string // passwords by user; none: only programs of this computer, or the certificates of TLS
	TLS    *tls.Config       // for tls://; see [ServerTLS]
}

// Broker is an MQTT broker that acknowledges a message of its topics when the record has it, and not before:
// then nothing between sensor and disk can lose a message of QoS 1. Messages of other topics are passed on as
// any broker does. It implements [sensors.Source].
//
// github.com/mochi-mqtt/server keeps connections, sessions and subscriptions. Its hook takes the messages of
// our topics before the library acknowledges them, and a link of each client's connection acknowledges them
// later, in order, many at once.
type Broker struct {
	*Source
	listen BrokerOptions
	scheme string
	host   string
	users  map[string][sha256.Size]byte
}

// NewBroker checks the options; it does not listen.
func NewBroker(o BrokerOptions) (*Broker, error) {
	o.MaxPacket = cmp.Or(o.MaxPacket, defaultPacket)
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixNano() }
	}
	b := &Broker{Source: &Source{o: o.Options}, listen: o, users: map[string][sha256.Size]byte{}}
	var errs []error
	u, err := brokerURL(o.Listen)
	if err != nil {
		errs = append(errs, err)
	} else {
		b.name, b.scheme, b.host = u.String(), u.Scheme, u.Host
		switch secure := b.scheme == "tls"; {
		case secure && (o.TLS == nil || len(o.TLS.Certificates) == 0):
			errs = append(errs, fmt.Errorf("listening at %s needs a certificate and its key", b.name))
		case !secure && o.TLS != nil:
			errs = append(errs, fmt.Errorf("certificates, but %s is not encrypted: use tls://%s", b.name, u.Host))
		}
		ip, err := netip.ParseAddr(u.Hostname())
		local := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
		if known := o.TLS != nil && o.TLS.ClientAuth == tls.RequireAndVerifyClientCert; len(o.Users) == 0 && !local && !known {
			errs = append(errs, fmt.Errorf("without users, others could connect to %s from the network: name users, ask for certificates, or listen on loopback", b.name))
		}
	}
	for name, password := range o.Users {
		if name == "" || password == "" {
			errs = append(errs, fmt.Errorf("user %q: a name and a password are needed", name))
		}
		b.users[name] = sha256.Sum256([]byte(password))
	}
	if b.router, err = newRouter(o.Registry, o.Topics); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("mqtt %s: %w", o.Name, err)
	}
	return b, nil
}

// ServerTLS makes the configuration of a broker from PEM files: its certificate and key, and, with ca not "",
// the authority whose certificates clients must show.
func ServerTLS(ca, cert, key string) (*tls.Config, error) {
	c, err := LoadTLS(ca, cert, key)
	if err != nil {
		return nil, err
	}
	if ca != "" {
		c.ClientCAs, c.RootCAs, c.ClientAuth = c.RootCAs, nil, tls.RequireAndVerifyClientCert
	}
	return c, nil
}

// Run implements [sensors.Source]. It listens until ctx ends; at the end it takes no more messages and waits a
// moment for acknowledgements on their way. What is not acknowledged by then its senders send again.
func (b *Broker) Run(ctx context.Context, to sensors.Sink) error {
	b.mu.Lock()
	if b.sink != nil {
		b.mu.Unlock()
		return fmt.Errorf("mqtt %s: already running", b.o.Name)
	}
	b.sink = to
	b.mu.Unlock()
	h := &intake{b: b, links: map[*server.Client]*link{}}
	limits := server.NewDefaultServerCapabilities()
	limits.MaximumPacketSize = uint32(b.o.MaxPacket)
	h.server = server.New(&server.Options{Capabilities: limits, InlineClient: true, SysTopicResendInterval: 60, Logger: slog.New(slog.DiscardHandler)})
	defer func() {
		h.server.Close()
		b.health.Connected.Store(false)
		b.up.Store(0)
		b.mu.Lock()
		b.sink = nil
		b.samples = b.samples[:0]
		b.mu.Unlock()
	}()
	err := h.server.AddHook(h, nil)
	if err == nil {
		err = h.server.AddListener(listeners.NewTCP(listeners.Config{ID: b.o.Name, Address: b.host, TLSConfig: b.listen.TLS}))
	}
	if err == nil {
		err = h.server.Serve()
	}
	if err != nil {
		err = fmt.Errorf("mqtt %s: cannot listen at %s: %w", b.o.Name, b.name, err)
		b.health.Fail(err)
		return err
	}
	b.health.Connected.Store(true)
	b.up.Store(b.o.Clock())
	to.Event(sensors.Event{Time: b.o.Clock(), Source: b.o.Name, Kind: sensors.Connected, Text: "listening at " + b.name})
	if b.o.Silence > 0 {
		b.watch(ctx, to)
	} else {
		<-ctx.Done()
	}
	h.leave()
	return nil
}

// intake is the hook by which the broker's messages come in.
type intake struct {
	server.HookBase
	b      *Broker
	server *server.Server

	mu      sync.Mutex
	links   map[*server.Client]*link
	leaving bool
}

// ID implements the library's Hook.
func (h *intake) ID() string { return "stirwatch" }

// Provides implements the library's Hook.
func (h *intake) Provides(what byte) bool {
	switch what {
	case server.OnConnectAuthenticate, server.OnACLCheck, server.OnSessionEstablished, server.OnDisconnect, server.OnPublish:
		return true
	}
	return false
}

// OnConnectAuthenticate reports whether a client may connect.
func (h *intake) OnConnectAuthenticate(_ *server.Client, p packets.Packet) bool {
	if len(h.b.users) == 0 {
		return true // of this computer, or with a certificate: see NewBroker
	}
	want, known := h.b.users[string(p.Connect.Username)]
	given := sha256.Sum256(p.Connect.Password)
	ok := subtle.ConstantTimeCompare(want[:], given[:]) == 1 && known
	if !ok {
		h.b.mu.Lock()
		if sink := h.b.sink; sink != nil {
			h.b.health.Reject(sink, h.b.o.Name, h.b.o.Clock(), p.Connect.Username, fmt.Errorf("the client %.100q is not let in: wrong user or password", p.Connect.ClientIdentifier))
		}
		h.b.mu.Unlock()
	}
	return ok
}

// OnACLCheck lets whoever is in publish and subscribe.
func (h *intake) OnACLCheck(*server.Client, string, bool) bool { return true }

// OnSessionEstablished counts a client.
func (h *intake) OnSessionEstablished(*server.Client, packets.Packet) { h.b.health.Connects.Add(1) }

// OnDisconnect forgets a client. Messages of it that are not in the record by now are never acknowledged.
func (h *intake) OnDisconnect(c *server.Client, why error, _ bool) {
	h.mu.Lock()
	l := h.links[c]
	delete(h.links, c)
	leaving := h.leaving
	h.mu.Unlock()
	if l == nil {
		return
	}
	l.fail(net.ErrClosed)
	if leaving {
		return
	}
	text := fmt.Sprintf("the client %.100q has gone", c.ID)
	if why != nil {
		text += ": " + why.Error()
	}
	h.b.mu.Lock()
	if h.b.sink != nil {
		h.b.sink.Event(sensors.Event{Time: h.b.o.Clock(), Source: h.b.o.Name, Kind: sensors.Disconnected, Text: text})
	}
	h.b.mu.Unlock()
}

// link is the one of a client, nil when no messages are taken any more.
func (h *intake) link(c *server.Client) *link {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leaving {
		return nil
	}
	l := h.links[c]
	if l == nil {
		l = newLink(c.Net.Conn, h.b.Source, 0)
		h.links[c] = l
	}
	return l
}

// OnPublish takes a message of our topics and hands it on to whoever has subscribed; the library then forgets
// it without an acknowledgement, which comes from the link once the message is in the record.
func (h *intake) OnPublish(c *server.Client, p packets.Packet) (packets.Packet, error) {
	if c.Net.Inline {
		return p, nil // from below
	}
	b := h.b
	b.mu.Lock()
	ours := b.sink != nil && b.router.find([]byte(p.TopicName)).sub != nil
	b.mu.Unlock()
	if !ours {
		return p, nil
	}
	l := h.link(c)
	if l == nil {
		return p, packets.ErrRejectPacket // its sender keeps it
	}
	b.mu.Lock()
	if b.sink == nil {
		b.mu.Unlock()
		return p, packets.ErrRejectPacket
	}
	l.arrived = b.o.Clock()
	b.receive(l, &publish{topic: []byte(p.TopicName), payload: p.Payload, id: p.PacketID, qos: p.FixedHeader.Qos, dup: p.FixedHeader.Dup}, len(p.Payload))
	b.handOver(l)
	b.mu.Unlock()
	if p.FixedHeader.Qos == 0 {
		return p, nil
	}
	if p.FixedHeader.Retain || anyone(h.server.Topics.Subscribers(p.TopicName)) {
		_ = h.server.Publish(p.TopicName, p.Payload, p.FixedHeader.Retain, p.FixedHeader.Qos) // what subscribers miss is in the record
	}
	return p, packets.ErrRejectPacket
}

func anyone(s *server.Subscribers) bool {
	return len(s.Subscriptions)+len(s.Shared)+len(s.InlineSubscriptions) > 0
}

// leave takes no more messages and waits a moment for the acknowledgements of those taken.
func (h *intake) leave() {
	h.mu.Lock()
	h.leaving = true
	var links []*link
	for _, l := range h.links {
		links = append(links, l)
	}
	h.mu.Unlock()
	limit := time.NewTimer(farewell)
	defer limit.Stop()
	for _, l := range links {
		h.b.mu.Lock() // an Emit under way comes to its end
		rest := l.rest()
		h.b.mu.Unlock()
		select {
		case <-rest:
			l.sendAcks()
		case <-limit.C:
			return
		}
	}
}
