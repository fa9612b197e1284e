// Package mqtt reads samples from an MQTT broker, through github.com/eclipse/paho.mqtt.golang.
//
// The session is persistent and messages are acknowledged only when the record has them, so what
// the agent does not have, the broker still holds. The guarantee is at-least-once: a message may
// come twice around a lost connection, with the same channel and device stamp.
//
// paho keeps the connection, the session, subscriptions and keep-alive. The PUBLISH packets are
// taken out of its byte stream and decoded in place (see link), in bursts (see paced).
package mqtt

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/sensors"
)

// Options describes a source. Name, Broker, ClientID, Registry and Topics must be given.
type Options struct {
	Name     string
	Broker   string // tcp://host:1883, or tls://host:8883; mqtt:// and mqtts:// mean the same
	ClientID string // names the session at the broker: unique, and the same at every start
	Username string
	Password string
	TLS      *tls.Config // for tls://; see [LoadTLS]. nil: the system's authorities, no certificate

	Registry *sensors.Registry
	Topics   []Topic // a message belongs to the first that matches
	// KeepAlive is how often an unused connection is tried, in whole seconds; default 30 s. A
	// sink that blocks for longer than this makes the connection be given up and made again.
	KeepAlive time.Duration
	Silence   time.Duration // a topic without a message for so long is reported; 0: never
	// Coalesce is how long a fast stream (more than one message in this time) is let gather
	// before it is read; default 5 ms, negative: never.
	Coalesce     time.Duration
	CleanSession bool          // leave no session at the broker: what comes while we are away is not kept
	MaxPacket    int           // larger messages are rejected, bytes; default 1 MiB
	Clock        sensors.Clock // default: the system's clock
}

// Defaults and bounds of timing.
const (
	defaultKeepAlive = 30 * time.Second
	defaultCoalesce  = 5 * time.Millisecond
	defaultPacket    = 1 << 20
	connectLimit     = 10 * time.Second // for reaching the broker, and for each of its answers
	firstRetry       = 250 * time.Millisecond
	lastRetry        = time.Second            // what is published before we are back may be lost with the broker's session
	farewell         = 500 * time.Millisecond // at the end, for acknowledgements on their way
)

// Source is a connection to one broker; it implements [sensors.Source].
type Source struct {
	o      Options
	url    *url.URL
	name   string // the broker, for people
	health sensors.Health

	mu      sync.Mutex // held while packets are taken, Emit included
	sink    sensors.Sink
	router  *router
	samples []sensors.Sample // decoded, not yet handed over
	apart   sensors.Apart
	last    int64 // arrival of the last message
	count   struct{ messages, bytes, duplicates uint64 }
	skew    int64

	everUp   bool  // there was a session since Run began
	gapFrom  int64 // the broker lost the session: last message before it did; 0: it did not
	reported bool  // the present outage was recorded

	up atomic.Int64 // subscribed since, ns since the Unix epoch; 0: not
}

// New checks the options; it does not connect.
func New(o Options) (*Source, error) {
	o.KeepAlive = cmp.Or(o.KeepAlive, defaultKeepAlive)
	o.Coalesce = max(0, cmp.Or(o.Coalesce, defaultCoalesce))
	o.MaxPacket = cmp.Or(o.MaxPacket, defaultPacket)
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixNano() }
	}
	var errs []error
	s := &Source{o: o}
	u, err := brokerURL(o.Broker)
	if err != nil {
		errs = append(errs, err)
	} else {
		s.url, s.name = u, u.String()
	}
	if o.ClientID == "" {
		errs = append(errs, errors.New("no client id: the broker keeps the session under it"))
	}
	if o.Password != "" && o.Username == "" {
		errs = append(errs, errors.New("a password without a user name"))
	}
	if o.KeepAlive < time.Second || o.KeepAlive > 18*time.Hour {
		errs = append(errs, fmt.Errorf("keep-alive %v: use 1 s to 18 h", o.KeepAlive))
	}
	if o.TLS != nil && u != nil && u.Scheme != "tls" {
		errs = append(errs, fmt.Errorf("TLS is configured but the broker is %s: use tls://%s", u, u.Host))
	}
	if s.router, err = newRouter(o.Registry, o.Topics); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("mqtt %s: %w", o.Name, err)
	}
	return s, nil
}

// Name implements [sensors.Source].
func (s *Source) Name() string { return s.o.Name }

// Health implements [sensors.Source].
func (s *Source) Health() *sensors.Health { return &s.health }

// Run implements [sensors.Source]. It keeps a connection, retrying after 250 ms and then ever
// more slowly, up to every 5 s. When it has returned, the sink is not called any more; bursts
// that are not acknowledged by then will be sent again by the broker at the next start.
func (s *Source) Run(ctx context.Context, to sensors.Sink) error {
	s.mu.Lock()
	if s.sink != nil {
		s.mu.Unlock()
		return fmt.Errorf("mqtt %s: already running", s.o.Name)
	}
	s.sink, s.everUp, s.reported = to, false, false
	s.samples = s.samples[:0]
	s.mu.Unlock()

	var watcher sync.WaitGroup
	if s.o.Silence > 0 {
		watcher.Go(func() { s.watch(ctx, to) })
	}
	defer func() {
		watcher.Wait()
		s.mu.Lock()
		s.sink = nil
		s.mu.Unlock()
	}()
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		start := time.Now()
		s.session(ctx, to)
		if time.Since(start) > lastRetry {
			retry = firstRetry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
	}
}

// session is one connection from its beginning to its end.
func (s *Source) session(ctx context.Context, to sensors.Sink) {
	var l *link
	var dialErr error
	attempt, connected := context.WithCancel(ctx)
	defer connected()
	release := func() bool { return true }
	opts := paho.NewClientOptions().AddBroker(s.url.String()).
		SetClientID(s.o.ClientID).SetUsername(s.o.Username).SetPassword(s.o.Password).
		SetCleanSession(s.o.CleanSession).SetProtocolVersion(4).SetAutoReconnect(false).SetAutoAckDisabled(true).
		SetKeepAlive(s.o.KeepAlive).SetPingTimeout(max(s.o.KeepAlive, connectLimit)).
		SetConnectTimeout(connectLimit).SetWriteTimeout(writeLimit).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
			l, dialErr = s.dial(attempt)
			if dialErr != nil {
				return nil, dialErr
			}
			release = context.AfterFunc(attempt, func() { l.Close() })
			return l, nil
		})
	client := paho.NewClient(opts)
	token := client.Connect()
	<-token.Done() // bounded by connectLimit for dialling and for the broker's answer
	if err := token.Error(); err != nil {
		if dialErr != nil {
			err = dialErr
		}
		if ctx.Err() == nil {
			s.outage(to, fmt.Errorf("cannot connect to %s: %w", s.name, s.explain(err)))
		}
		return
	}
	release()
	s.health.Connected.Store(true)
	s.health.Connects.Add(1)
	if s.subscribe(ctx, client, l, to) {
		select {
		case <-ctx.Done():
		case <-l.closed:
		}
	}
	if ctx.Err() != nil {
		l.leaving.Store(true)
		s.mu.Lock() // an Emit under way comes to its end
		rest := l.rest()
		s.mu.Unlock()
		select {
		case <-rest:
		case <-time.After(farewell):
		}
	}
	s.up.Store(0)
	client.Disconnect(uint(2 * farewell.Milliseconds()))
	l.fail(net.ErrClosed)
	s.mu.Lock() // the link's reader is out
	s.samples = s.samples[:0]
	s.mu.Unlock()
	s.health.Connected.Store(false)
	if ctx.Err() == nil {
		s.outage(to, fmt.Errorf("connection to %s lost: %w", s.name, s.explain(l.cause)))
	}
}

// explain says in a person's words what some errors mean.
func (s *Source) explain(err error) error {
	switch {
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("no sign of life from the broker within %v, or the record was stuck for so long", max(s.o.KeepAlive, connectLimit))
	case errors.Is(err, io.EOF):
		return fmt.Errorf("closed by the broker (it stopped, or another client has the id %q)", s.o.ClientID)
	}
	return err
}

// outage records that there is no connection, once until there is one again.
func (s *Source) outage(to sensors.Sink, why error) {
	s.health.Fail(why)
	s.mu.Lock()
	told := s.reported
	s.reported = true
	s.mu.Unlock()
	if !told {
		to.Event(sensors.Event{Time: s.o.Clock(), Source: s.o.Name, Kind: sensors.Disconnected, Text: why.Error()})
	}
}

func (s *Source) dial(ctx context.Context) (*link, error) {
	d := net.Dialer{Timeout: connectLimit}
	c, err := d.DialContext(ctx, "tcp", s.url.Host)
	if err != nil {
		return nil, err
	}
	p, err := newPaced(c.(*net.TCPConn), s.o.Coalesce)
	if err != nil {
		c.Close()
		return nil, err
	}
	var l *link
	if s.url.Scheme != "tls" {
		l = newLink(p, s, bufferSize)
	} else {
		cfg := &tls.Config{}
		if s.o.TLS != nil {
			cfg = s.o.TLS.Clone()
		}
		cfg.ServerName = cmp.Or(cfg.ServerName, s.url.Hostname())
		// A broker sends every packet in a record of its own; the buffer reads many at once.
		t := tls.Client(&buffered{p, bufio.NewReaderSize(p, bufferSize/2)}, cfg)
		limit, cancel := context.WithTimeout(ctx, connectLimit)
		defer cancel()
		if err := t.HandshakeContext(limit); err != nil {
			c.Close()
			return nil, fmt.Errorf("TLS: %w", err)
		}
		l = newLink(t, s, bufferSize)
	}
	p.before = l.handOver
	return l, nil
}

// buffered is a connection that is read through a buffer.
type buffered struct {
	*paced
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }
