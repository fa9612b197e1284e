// Package device is what stands in for the devices beside a machine: a serial port on a
// pseudo-terminal under a link of a fixed name, the forms in which a device writes its readings, and
// the client that publishes to a broker.
package device

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Format is how a serial device writes.
type Format string

const (
	CSV      Format = "csv"      // <ts_ns>,<value>
	KeyValue Format = "keyvalue" // ts=<ts_ns> tool_temperature=<value>
	JSON     Format = "json"     // {"ts":<ts_ns>,"tool_temperature":<value>}
	DAQ      Format = "daq"      // binary frames, docs/daq-frame.md
)

// Check fails where there is no such format.
func (f Format) Check() error {
	switch f {
	case CSV, KeyValue, JSON, DAQ:
		return nil
	}
	return fmt.Errorf("serial format %q: use csv, keyvalue, json or daq", string(f))
}

// Mark is what ends a message.
func (f Format) Mark() string {
	if f == DAQ {
		return "\x00"
	}
	return "\n"
}

// AppendLine appends a line of a text format, its end included: value, a number, of the channel name
// at stamp, ns since the Unix epoch.
func (f Format) AppendLine(b []byte, name string, stamp int64, value []byte) []byte {
	switch f {
	case KeyValue:
		b = strconv.AppendInt(append(b, "ts="...), stamp, 10)
		b = append(append(append(b, ' '), name...), '=')
		return append(append(b, value...), '\n')
	case JSON:
		b = strconv.AppendInt(append(b, `{"ts":`...), stamp, 10)
		b = append(strconv.AppendQuote(append(b, ','), name), ':')
		return append(append(b, value...), "}\n"...)
	}
	b = append(strconv.AppendInt(b, stamp, 10), ',')
	return append(append(b, value...), '\n')
}

// Payload is how a gateway publishes.
type Payload string

const (
	Frame Payload = "frame" // <topic>/frame: {"ts":…,"spindle_speed":…,…}, one message a row
	Flat  Payload = "flat"  // <topic>/<channel>: {"ts":…,"value":…,"unit":"rpm"}
)

// Check fails where there is no such payload.
func (p Payload) Check() error {
	switch p {
	case Frame, Flat:
		return nil
	}
	return fmt.Errorf("MQTT format %q: use frame or flat", string(p))
}

// AppendFlat appends the payload of one channel: value, a number, in unit at stamp, ns since the Unix
// epoch.
func AppendFlat(b []byte, unit string, stamp int64, value []byte) []byte {
	b = strconv.AppendInt(append(b, `{"ts":`...), stamp, 10)
	b = append(append(b, `,"value":`...), value...)
	return append(strconv.AppendQuote(append(b, `,"unit":`...), unit), '}')
}

// CheckTopic fails for a topic that cannot be published to.
func CheckTopic(topic string) error {
	if strings.ContainsAny(topic, "#+") {
		return fmt.Errorf("topic %q: # and + cannot be published to", topic)
	}
	return nil
}

// Broker is a connection to an MQTT broker. One that is lost comes back by itself, and what was not
// acknowledged is sent again, in order.
type Broker struct {
	mqtt.Client
	Address string // without the password
}

const (
	connectPatience = 15 * time.Second
	netPatience     = 10 * time.Second
)

// Connect connects to a broker, e.g. tcp://localhost:1883, user:password@ before the host, as a client
// whose name begins with who. Connected, if not nil, is called at each connection.
func Connect(address, who string, log *slog.Logger, connected mqtt.OnConnectHandler) (Broker, error) {
	full := address
	if !strings.Contains(full, "://") {
		full = "tcp://" + full
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" {
		return Broker{}, fmt.Errorf("MQTT broker %q is no address such as tcp://localhost:1883", address)
	}
	o := mqtt.NewClientOptions()
	if u.User != nil {
		password, _ := u.User.Password()
		o.SetUsername(u.User.Username()).SetPassword(password)
		u.User = nil
	}
	b := Broker{Address: u.String()}
	o.AddBroker(b.Address).
		SetClientID(fmt.Sprintf("%s-%d-%d", who, os.Getpid(), time.Now().UnixNano()%1e6)).
		SetStore(mqtt.NewOrderedMemoryStore()). // a reconnect resends in order
		SetOrderMatters(true).
		SetConnectTimeout(netPatience).
		SetWriteTimeout(netPatience).
		SetMaxReconnectInterval(2 * time.Second).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			log.Warn("broker lost, trying again", "broker", b.Address, "error", err)
		})
	if connected != nil {
		o.SetOnConnectHandler(connected)
	}
	b.Client = mqtt.NewClient(o)
	t := b.Client.Connect()
	if !t.WaitTimeout(connectPatience) {
		b.Disconnect(0)
		return Broker{}, fmt.Errorf("MQTT broker %s does not answer", b.Address)
	}
	if err := t.Error(); err != nil {
		return Broker{}, fmt.Errorf("MQTT broker %s: %w", b.Address, err)
	}
	return b, nil
}

// Sleep waits for d; it ends with ctx, whose error it then returns.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
