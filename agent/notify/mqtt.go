package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/agent/alarm"
)

// MQTT holds how alarms stand at a broker:
//
//	TOPIC         retained, QoS 1: [alarm.Listing] as JSON, at every change
//	TOPIC/agent   retained: online, or offline, which the broker says itself where the agent is gone
//	TOPIC/ack     takes [alarm.Request] as JSON: {"name": "sensor.missing tool", "who": "Ann"}
//	TOPIC/answer  what came of it: [MQTTAnswer]
//	TOPIC/test    a message of `stirwatch notify test`
type MQTT struct {
	Name      string // of the target
	Broker    string
	ClientID  string
	Topic     string
	Username  string
	Password  string
	TLS       *tls.Config
	Ack       func(context.Context, alarm.Request) (alarm.Answer, error)
	KeepAlive time.Duration // default 30 s
	Log       *slog.Logger

	running atomic.Pointer[mqtt.Client]
	trouble
}

// MQTTAnswer says what came of a request.
type MQTTAnswer struct {
	Name    string        `json:"name"`
	Changed []alarm.Alarm `json:"changed,omitempty"`
	Warning string        `json:"warning,omitempty"` // it is done, and not yet on disk
	Error   string        `json:"error,omitempty"`
}

const (
	mqttWait  = 10 * time.Second // for the broker to take a message
	mqttRetry = 5 * time.Second
	ackWait   = 5 * time.Second // for an acknowledgement to be on disk
	maxAck    = 4 << 10         // bytes of a request
)

func (m *MQTT) options() *mqtt.ClientOptions {
	keep := m.KeepAlive
	if keep <= 0 {
		keep = 30 * time.Second
	}
	o := mqtt.NewClientOptions().AddBroker(m.Broker).SetClientID(m.ClientID).SetUsername(m.Username).SetPassword(m.Password).
		SetKeepAlive(keep).SetConnectTimeout(mqttWait).SetWriteTimeout(mqttWait).SetMaxReconnectInterval(time.Minute).SetCleanSession(true).SetOrderMatters(false)
	if m.TLS != nil {
		o.SetTLSConfig(m.TLS)
	}
	return o
}

// Run implements [Display].
func (m *MQTT) Run(ctx context.Context, changed <-chan struct{}, list func() alarm.Listing) {
	connected := make(chan struct{}, 1)
	requests := make(chan []byte, 64)
	o := m.options().SetAutoReconnect(true).SetConnectRetry(true).SetConnectRetryInterval(mqttRetry).SetWill(m.Topic+"/agent", "offline", 1, true)
	o.SetOnConnectHandler(func(c mqtt.Client) {
		c.Subscribe(m.Topic+"/ack", 1, func(_ mqtt.Client, msg mqtt.Message) {
			if msg.Retained() { // said at another time, about other alarms
				return
			}
			select {
			case requests <- msg.Payload():
			default:
				m.Log.Warn("too many acknowledgements at once; some are left", "target", m.Name)
			}
		})
		signal(connected)
	})
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { m.fails(err) })
	o.SetConnectionNotificationHandler(func(_ mqtt.Client, n mqtt.ConnectionNotification) {
		if f, failed := n.(mqtt.ConnectionNotificationBrokerFailed); failed {
			m.fails(f.Reason)
		}
	})
	c := mqtt.NewClient(o)
	m.fails(errors.New("not connected yet"))
	c.Connect()
	m.running.Store(&c)
	defer func() {
		m.running.Store(nil)
		if c.IsConnectionOpen() {
			c.Publish(m.Topic+"/agent", 1, true, "offline").WaitTimeout(time.Second)
		}
		c.Disconnect(250)
	}()
	again := time.NewTicker(mqttRetry)
	defer again.Stop()
	stale := true // the broker does not hold what is
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			stale = true
		case <-connected:
			m.publish(c, "/agent", true, "online")
			stale = true
		case text := <-requests:
			m.publish(c, "/answer", false, m.answer(ctx, text))
		case <-again.C:
		}
		if stale && c.IsConnectionOpen() {
			stale = !m.publish(c, "", true, list())
		}
	}
}

// publish sends v as JSON, or as it is where it is text; false if the broker does not take it.
func (m *MQTT) publish(c mqtt.Client, under string, retained bool, v any) bool {
	payload, text := v.(string)
	if !text {
		b, _ := json.Marshal(v) // strings and numbers
		payload = string(b)
	}
	t := c.Publish(m.Topic+under, 1, retained, payload)
	err := errors.New("the broker does not acknowledge")
	if t.WaitTimeout(mqttWait) {
		err = t.Error()
	}
	m.fails(err)
	return err == nil
}

// answer does what a message asks.
func (m *MQTT) answer(ctx context.Context, text []byte) MQTTAnswer {
	q, err := readRequest(text)
	var done alarm.Answer
	if err == nil {
		once, cancel := context.WithTimeout(ctx, ackWait)
		defer cancel()
		done, err = m.Ack(once, q)
	}
	a := MQTTAnswer{Name: q.Name, Changed: done.Changed, Warning: done.Warning}
	if err != nil {
		a.Error = err.Error()
		m.Log.Warn("an acknowledgement by MQTT was refused", "target", m.Name, "error", err)
	}
	return a
}

// readRequest reads an acknowledgement. Shelving is not for brokers, whose users nobody knows.
func readRequest(text []byte) (q alarm.Request, err error) {
	if len(text) > maxAck {
		return q, fmt.Errorf("a request of %d bytes: at most %d", len(text), maxAck)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(&q); err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			err = nil
		} else {
			err = errors.New("more than one JSON object")
		}
	}
	if err != nil {
		return alarm.Request{}, fmt.Errorf(`not of the form {"name": "sensor.missing tool", "who": "Ann"}: %w`, err)
	}
	return q, nil
}

// Test implements [Display]: over the connection that is there, or over one of its own.
func (m *MQTT) Test(ctx context.Context) error {
	text := "somebody tries whether messages arrive: " + time.Now().Format(time.RFC3339)
	if p := m.running.Load(); p != nil {
		return await(ctx, (*p).Publish(m.Topic+"/test", 1, false, text))
	}
	c := mqtt.NewClient(m.options().SetClientID(m.ClientID + "-test").SetAutoReconnect(false))
	if err := await(ctx, c.Connect()); err != nil {
		return err
	}
	defer c.Disconnect(250)
	return await(ctx, c.Publish(m.Topic+"/test", 1, false, text))
}

func await(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(mqttWait):
		return errors.New("the broker does not answer")
	}
}
