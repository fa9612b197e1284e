package twin

import (
	"context"
	"log/slog"
	"math"
	"strconv"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/firmware-bridge/twin/device"
)

// gateway publishes the machine's telemetry and takes faults.
type gateway struct {
	device.Broker
	log    *slog.Logger
	topic  string
	flat   bool
	flying []mqtt.Token

	published, dropped int
}

const maxInflight = 64 // messages not yet acknowledged

// newGateway connects to the broker. A message to <topic>/fault goes to lines behind faultPrefix.
func newGateway(opt *Options, lines chan<- command) (*gateway, error) {
	b, err := device.Connect(opt.MQTT, "stirwatch-twin", opt.Log, func(c mqtt.Client) {
		c.Subscribe(opt.Topic+"/fault", 1, func(_ mqtt.Client, m mqtt.Message) {
			select {
			case lines <- command{text: faultPrefix + string(m.Payload())}:
			default: // a handler must not block
				opt.Log.Warn("fault refused: too many at once")
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return &gateway{Broker: b, log: opt.Log, topic: opt.Topic, flat: opt.MQTTFormat == device.Flat}, nil
}

// telemetry is what the gateway publishes of a row: names and units of the agent's channels, decimals.
var telemetry = []struct {
	name, unit string
	digits     int
	of         func(*Row) float64
}{
	{"tool_temperature", "°C", 1, func(r *Row) float64 { return r.ToolTemp }},
	{"spindle_speed", "rpm", 2, func(r *Row) float64 { return r.RPM }},
	{"spindle_torque", "N·m", 2, func(r *Row) float64 { return r.Torque }},
	{"spindle_power", "W", 1, func(r *Row) float64 { return r.Power }},
	{"set_point", "°C", 1, func(r *Row) float64 { return r.SetPoint }},
	{"feed_velocity", "mm/min", 2, func(r *Row) float64 { return r.FeedVel }},
	{"feed_position", "mm", 3, func(r *Row) float64 { return r.FeedPos }},
	{"feed_torque", "1", 2, func(r *Row) float64 { return r.FeedTrq }},
	{"feed_override", "%", 0, func(r *Row) float64 { return r.Override }},
	{"path_velocity", "mm/min", 2, func(r *Row) float64 { return r.PathVel }},
	{"x_position", "mm", 3, func(r *Row) float64 { return r.X }},
	{"x_velocity", "mm/min", 2, func(r *Row) float64 { return r.XVel }},
	{"x_torque", "1", 2, func(r *Row) float64 { return r.XTrq }},
	{"y_position", "mm", 3, func(r *Row) float64 { return r.Y }},
	{"y_velocity", "mm/min", 2, func(r *Row) float64 { return r.YVel }},
	{"y_torque", "1", 2, func(r *Row) float64 { return r.YTrq }},
	{"z_position", "mm", 3, func(r *Row) float64 { return r.Z }},
	{"z_velocity", "mm/min", 2, func(r *Row) float64 { return r.ZVel }},
	{"z_torque", "1", 2, func(r *Row) float64 { return r.ZTrq }},
	{"program_line", "1", 0, func(r *Row) float64 { return float64(r.Line) }},
	{"bearing_low", "°C", 1, func(r *Row) float64 { return r.Low }},
	{"bearing_high", "°C", 1, func(r *Row) float64 { return r.High }},
	{"coolant_temperature", "°C", 1, func(r *Row) float64 { return r.CoolantOut }},
	{"plate_temperature", "°C", 1, func(r *Row) float64 { return r.PlateTemp }},
}

// row publishes a row, as one frame or, flat, a message a channel. The tool temperature is in it where
// no serial device has it.
func (g *gateway) row(ctx context.Context, at time.Time, r *Row, tool, hold bool) error {
	frame := strconv.AppendInt(append(make([]byte, 0, 640), `{"ts":`...), at.UnixNano(), 10)
	var number [32]byte
	for i := range telemetry {
		c := &telemetry[i]
		v := c.of(r)
		if i == 0 && (!tool || r.ToolLost) || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		value := strconv.AppendFloat(number[:0], v, 'f', c.digits, 64)
		if g.flat {
			if err := g.publish(ctx, g.topic+"/"+c.name, device.AppendFlat(nil, c.unit, at.UnixNano(), value), hold); err != nil {
				return err
			}
			continue
		}
		frame = append(append(append(append(frame, `,"`...), c.name...), `":`...), value...)
	}
	if g.flat {
		return nil
	}
	return g.publish(ctx, g.topic+"/frame", append(frame, '}'), hold)
}

// publish sends a message once fewer than maxInflight wait for their acknowledgement. Without
// hold a message that the broker has no room for is dropped.
func (g *gateway) publish(ctx context.Context, topic string, payload []byte, hold bool) error {
	if err := g.land(ctx, maxInflight-1, hold); err != nil {
		return err
	}
	if len(g.flying) >= maxInflight {
		if g.dropped++; g.dropped == 1 {
			g.log.Warn("the broker does not acknowledge: messages are dropped", "broker", g.Address)
		}
		return nil
	}
	g.flying = append(g.flying, g.Publish(topic, 1, false, payload))
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
	g.Disconnect(100)
	return nil
}
