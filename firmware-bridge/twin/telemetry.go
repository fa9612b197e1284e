package twin

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// gateway publishes the machine's telemetry and takes faults.
type gateway struct {
	client mqtt.Client
	log    *slog.Logger
	topic  string
	broker string
	flying []mqtt.Token
	buf    []byte

	published, dropped int
}

const maxInflight = 64 // messages not yet acknowledged

// newGateway connects to the broker. A message to <topic>/fault goes to lines behind faultPrefix.
func newGateway(opt *Options, lines chan<- command) (*gateway, error) {
	broker := opt.MQTT
	if !strings.Contains(broker, "://") {
		broker = "tcp://" + broker
	}
	u, err := url.Parse(broker)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("MQTT broker %q is no address such as tcp://localhost:1883", opt.MQTT)
	}
	o := mqtt.NewClientOptions()
	if u.User != nil {
		password, _ := u.User.Password()
		o.SetUsername(u.User.Username()).SetPassword(password)
		u.User = nil
	}
	g := &gateway{log: opt.Log, topic: opt.Topic, broker: u.Redacted()}
	o.AddBroker(u.String()).
		SetClientID(fmt.Sprintf("stirwatch-twin-%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)).
		SetStore(mqtt.NewOrderedMemoryStore()). // a reconnect resends in order
		SetConnectTimeout(10 * time.Second).
		SetWriteTimeout(10 * time.Second).
		SetMaxReconnectInterval(2 * time.Second).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) {
			opt.Log.Warn("broker lost, trying again", "broker", u.Redacted(), "error", err)
		}).
		SetOnConnectHandler(func(c mqtt.Client) {
			c.Subscribe(opt.Topic+"/fault", 1, func(_ mqtt.Client, m mqtt.Message) {
				select {
				case lines <- command{text: faultPrefix + string(m.Payload())}:
				default: // a handler must not block
					opt.Log.Warn("fault refused: too many at once")
				}
			})
		})
	g.client = mqtt.NewClient(o)
	t := g.client.Connect()
	if !t.WaitTimeout(15 * time.Second) {
		g.client.Disconnect(0)
		return nil, fmt.Errorf("MQTT broker %s does not answer", g.broker)
	}
	if err := t.Error(); err != nil {
		return nil, fmt.Errorf("MQTT broker %s: %w", g.broker, err)
	}
	return g, nil
}

// frame publishes a row as <topic>/frame. The tool temperature is in it where no serial device
// has it.
func (g *gateway) frame(ctx context.Context, at time.Time, r *Row, tool, hold bool) error {
	b := strconv.AppendInt(append(g.buf[:0], `{"ts":`...), at.UnixNano(), 10)
	add := func(name string, v float64, digits int) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = strconv.AppendFloat(b, v, 'f', digits, 64)
	}
	if tool && !r.ToolLost {
		add("tool_temperature", r.ToolTemp, 1)
	}
	add("spindle_speed", r.RPM, 2)
	add("spindle_torque", r.Torque, 2)
	add("spindle_power", r.Power, 1)
	add("set_point", r.SetPoint, 1)
	add("feed_velocity", r.FeedVel, 2)
	add("feed_position", r.FeedPos, 3)
	add("feed_torque", r.FeedTrq, 2)
	add("feed_override", r.Override, 0)
	add("path_velocity", r.PathVel, 2)
	add("x_position", r.X, 3)
	add("x_velocity", r.XVel, 2)
	add("x_torque", r.XTrq, 2)
	add("y_position", r.Y, 3)
	add("y_velocity", r.YVel, 2)
	add("y_torque", r.YTrq, 2)
	add("z_position", r.Z, 3)
	add("z_velocity", r.ZVel, 2)
	add("z_torque", r.ZTrq, 2)
	add("program_line", float64(r.Line), 0)
	add("bearing_low", r.Low, 1)
	add("bearing_high", r.High, 1)
	add("coolant_temperature", r.CoolantOut, 1)
	add("plate_temperature", r.PlateTemp, 1)
	b = append(b, '}')
	g.buf = b
	return g.publish(ctx, g.topic+"/frame", append([]byte(nil), b...), hold)
}

// publish sends a message once fewer than maxInflight wait for their acknowledgement. Without
// hold a message that the broker has no room for is dropped.
func (g *gateway) publish(ctx context.Context, topic string, payload []byte, hold bool) error {
	if err := g.land(ctx, maxInflight-1, hold); err != nil {
		return err
	}
	if len(g.flying) >= maxInflight {
		if g.dropped++; g.dropped == 1 {
			g.log.Warn("the broker does not acknowledge: messages are dropped", "broker", g.broker)
		}
		return nil
	}
	g.flying = append(g.flying, g.client.Publish(topic, 1, false, payload))
	return nil
}

// land takes the acknowledgements that are there and, with wait, waits while more than left are
// missing.
func (g *gateway) land(ctx context.Context, left int, wait bool) error {
	for len(g.flying) > 0 {
		t := g.flying[0]
		select {
		case <-t.Done():
		default:
			if !wait || len(g.flying) <= left {
				return nil
			}
			select {
			case <-t.Done():
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if t.Error() != nil {
			g.dropped++
		} else {
			g.published++
		}
		g.flying = g.flying[1:]
	}
	return nil
}

// close waits a little for what is on its way.
func (g *gateway) close(ctx context.Context) error {
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if ctx.Err() != nil {
		patience, cancel = context.WithTimeout(context.WithoutCancel(ctx), 200*time.Millisecond)
		defer cancel()
	}
	_ = g.land(patience, 0, true)
	g.dropped += len(g.flying)
	g.client.Disconnect(100)
	return nil
}
