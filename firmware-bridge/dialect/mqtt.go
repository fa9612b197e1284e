package dialect

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	bridge "stirwatch/firmware-bridge"
)

// MQTT commands over a broker: a command goes to one topic, its acknowledgement comes from another.
// A command is {"id":…,"value":…,"unit":…,"expires":…} (expires in ms since 1970, so that one a
// broker kept back does nothing), a question {"id":…,"get":true}; both are answered by
// {"id":…,"ok":true,"value":…} or {"id":…,"ok":false,"error":…}. The id tells late and doubled
// answers apart. Nothing is ever sent a second time by itself, nor retained.
type MQTT struct {
	o       MQTTOptions
	session string
	n       int

	mu     sync.Mutex
	client mqtt.Client
	gone   chan struct{} // the connection broke
	wait   map[string]chan answer
}

// MQTTOptions configure [MQTT].
type MQTTOptions struct {
	Broker             string // tcp://host:1883, tls://host:8883
	Username, Password string
	TLS                *tls.Config
	ClientID           string // default: stirwatch-bridge- and a random number
	Words              map[string]MQTTWord
	Expires            time.Duration // how long a command may be under way; default 5 s
}

// MQTTWord is how one target is spoken of.
type MQTTWord struct {
	Command string // topic of commands and questions
	Ack     string // topic of their answers
	Unit    string // told in the command
}

type answer struct {
	ID    string   `json:"id"`
	OK    bool     `json:"ok"`
	Value *float64 `json:"value"`
	Error string   `json:"error"`
}

type order struct {
	ID      string   `json:"id"`
	Value   *float64 `json:"value,omitempty"`
	Unit    string   `json:"unit,omitempty"`
	Get     bool     `json:"get,omitempty"`
	Expires int64    `json:"expires"`
}

// NewMQTT makes the dialect; it fails for words without topics or with wildcards in them.
func NewMQTT(o MQTTOptions) (*MQTT, error) {
	var id [8]byte
	rand.Read(id[:])
	m := &MQTT{o: o, session: hex.EncodeToString(id[:]), wait: make(map[string]chan answer)}
	if m.o.ClientID == "" {
		m.o.ClientID = "stirwatch-bridge-" + m.session
	}
	if m.o.Expires <= 0 {
		m.o.Expires = 5 * time.Second
	}
	m.o.Words = maps.Clone(o.Words)
	for name, w := range o.Words {
		if w.Command == "" || w.Ack == "" || strings.ContainsAny(w.Command+w.Ack, "+#\x00") || w.Command == w.Ack {
			return nil, fmt.Errorf("target %s: a command topic and another one for acknowledgements are wanted, without wildcards", name)
		}
	}
	return m, nil
}

func (m *MQTT) order(op bridge.Op, target string, v float64, id string) (topic string, payload []byte, err error) {
	w, ok := m.o.Words[target]
	switch {
	case op == bridge.OpProbe:
		return "", nil, errors.New("MQTT has no question that every device answers: get a target instead")
	case !ok:
		return "", nil, fmt.Errorf("%w: %s", bridge.ErrNoTarget, target)
	}
	o := order{ID: id, Expires: time.Now().Add(m.o.Expires).UnixMilli()}
	if op == bridge.OpGet {
		o.Get = true
	} else {
		o.Value, o.Unit = &v, w.Unit
	}
	payload, err = json.Marshal(o)
	return w.Command, payload, err
}

// Show implements [bridge.Dialect].
func (m *MQTT) Show(op bridge.Op, target string, v float64) (string, error) {
	topic, payload, err := m.order(op, target, v, m.session+"-1")
	return topic + " " + string(payload), err
}

// Resolution implements [bridge.Dialect].
func (m *MQTT) Resolution(string) float64 { return 0 }

// Open implements [bridge.Dialect].
func (m *MQTT) Open(ctx context.Context) error { return m.connect(ctx) }

// connect makes a new client where there is none that works. It never reconnects by itself, since
// it would then send again what nobody wants any more.
func (m *MQTT) connect(ctx context.Context) error {
	m.mu.Lock()
	c, gone := m.client, m.gone
	m.mu.Unlock()
	if c != nil {
		select {
		case <-gone:
			m.drop()
		default:
			return nil
		}
	}
	broken := make(chan struct{})
	var once sync.Once
	o := mqtt.NewClientOptions().AddBroker(m.o.Broker).SetClientID(m.o.ClientID).
		SetUsername(m.o.Username).SetPassword(m.o.Password).SetTLSConfig(m.o.TLS).
		SetAutoReconnect(false).SetConnectRetry(false).SetCleanSession(true).
		SetWriteTimeout(time.Second).SetConnectTimeout(5 * time.Second).SetKeepAlive(10 * time.Second).
		SetConnectionLostHandler(func(mqtt.Client, error) { once.Do(func() { close(broken) }) })
	c = mqtt.NewClient(o)
	fail := func(err error) error {
		go c.Disconnect(0)
		return fmt.Errorf("broker %s: %w", m.o.Broker, err)
	}
	if err := await(ctx, c.Connect()); err != nil {
		return fail(err)
	}
	acks := make(map[string]byte)
	for _, w := range m.o.Words {
		acks[w.Ack] = 1
	}
	if err := await(ctx, c.SubscribeMultiple(acks, m.hear)); err != nil {
		return fail(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.client, m.gone = c, broken
	return nil
}

// await waits for a token, never longer than ctx.
func await(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hear hands an answer to whoever waits for it; all others are late, doubled or not ours.
func (m *MQTT) hear(_ mqtt.Client, msg mqtt.Message) {
	var a answer
	if len(msg.Payload()) > maxReply || json.Unmarshal(msg.Payload(), &a) != nil || msg.Retained() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.wait[a.ID]; c != nil {
		delete(m.wait, a.ID)
		c <- a // has room
	}
}

func (m *MQTT) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.client; c != nil {
		go c.Disconnect(0)
	}
	m.client = nil
}

func (m *MQTT) exchange(ctx context.Context, op bridge.Op, target string, v float64) (a answer, err error) {
	if _, _, err := m.order(op, target, v, ""); err != nil {
		return a, err
	}
	if err := m.connect(ctx); err != nil {
		return a, err
	}
	m.n++
	id := m.session + "-" + strconv.Itoa(m.n)
	topic, payload, err := m.order(op, target, v, id)
	if err != nil {
		return a, err
	}
	heard := make(chan answer, 1)
	m.mu.Lock()
	client, gone := m.client, m.gone
	m.wait[id] = heard
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.wait, id)
		m.mu.Unlock()
	}()
	if client == nil {
		return a, errors.New("closed")
	}
	// The publication may hang with the connection: paho queues it in a goroutine of its own.
	sent := make(chan mqtt.Token, 1)
	go func() { sent <- client.Publish(topic, 1, false, payload) }()
	select {
	case a = <-heard:
	case <-gone:
		m.drop()
		return a, fmt.Errorf("broker %s: the connection broke", m.o.Broker)
	case <-ctx.Done():
		select {
		case t := <-sent:
			select {
			case <-t.Done():
			default:
				m.drop() // not even the broker has answered
			}
		default:
			m.drop()
		}
		return a, fmt.Errorf("broker %s: no answer on %s: %w", m.o.Broker, m.o.Words[target].Ack, ctx.Err())
	}
	if !a.OK {
		return a, &bridge.DeviceError{Request: topic + " " + string(payload), Reply: a.Error}
	}
	return a, nil
}

// Set implements [bridge.Dialect].
func (m *MQTT) Set(ctx context.Context, target string, v float64) error {
	_, err := m.exchange(ctx, bridge.OpSet, target, v)
	return err
}

// Safe implements [bridge.Dialect]. The id of its answer cannot be another one's.
func (m *MQTT) Safe(ctx context.Context, target string, v float64) error {
	return m.Set(ctx, target, v)
}

// Get implements [bridge.Dialect].
func (m *MQTT) Get(ctx context.Context, target string) (float64, error) {
	a, err := m.exchange(ctx, bridge.OpGet, target, 0)
	if err != nil {
		return 0, err
	}
	if a.Value == nil || *a.Value-*a.Value != 0 {
		return 0, fmt.Errorf("%s: the answer has no value", m.o.Words[target].Ack)
	}
	return *a.Value, nil
}

// Probe implements [bridge.Dialect]: it asks for every target.
func (m *MQTT) Probe(ctx context.Context) (string, error) {
	var s []string
	for name := range m.o.Words {
		v, err := m.Get(ctx, name)
		if err != nil {
			return "", err
		}
		s = append(s, fmt.Sprintf("%s=%g", name, v))
	}
	return strings.Join(s, " "), nil
}

// Unsettled implements [bridge.Dialect]: what a broker keeps back expires by itself.
func (m *MQTT) Unsettled() bool { return false }

// Close implements [bridge.Dialect].
func (m *MQTT) Close() error {
	m.drop()
	return nil
}
