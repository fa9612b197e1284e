package assemble

import (
	"crypto/tls"
	"time"

	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/firmware-bridge/dialect"
)

// newBridge is nil where no bridge is configured. It is not running yet.
func newBridge(c *config.Config, to bridge.Recorder) (*bridge.Bridge, error) {
	if c.Bridge == nil {
		return nil, nil
	}
	o, err := bridgeOptions(c)
	if err != nil {
		return nil, err
	}
	o.Recorder = to
	return bridge.New(o)
}

// BridgeOptions turns the section bridge into options, and fails if no bridge can be made of them: limits or number formats
// do not fit.
func BridgeOptions(conf *config.Config) (bridge.Options, error) {
	o, err := bridgeOptions(conf)
	if err == nil {
		_, err = bridge.New(o)
	}
	return o, err
}

// stepOf is the time between two values of a target. A loop that commands it more often than the bridge takes steps would be given a
// part of the target's slew only.
func stepOf(c *config.Config, target string) time.Duration {
	step := c.Bridge.Step
	for i := range c.Control {
		if l := &c.Control[i]; l.Target == target {
			step = min(step, l.Every)
		}
	}
	return step
}

// bridgeOptions turns the section into Options, without a Recorder. Secrets are fetched here.
func bridgeOptions(c *config.Config) (o bridge.Options, err error) {
	b := c.Bridge
	o = bridge.Options{Step: b.Step, Check: b.Check, Timeout: b.Timeout, Patience: b.Patience, State: c.Abs(b.State)}
	for i := range b.Targets {
		t := &b.Targets[i]
		o.Targets = append(o.Targets, bridge.Target{
			Name: t.Name, Unit: t.Unit, Min: t.Min.In(t.Unit), Max: t.Max.In(t.Unit), Slew: t.Slew.PerSecond(t.Unit),
			Tolerance: t.Tolerance, Lease: t.Lease, Step: stepOf(c, t.Name),
			Safe: bridge.SafeState{Name: t.Safe.Name, Ramp: t.Safe.Ramp, AsFound: t.Safe.AsFound, HandsBack: t.Safe.HandsBack},
		})
		switch {
		case t.Safe.HandsBack:
			o.Targets[i].Safe.Value = o.Targets[i].Min // said to nobody
		case !t.Safe.AsFound:
			o.Targets[i].Safe.Value = t.Safe.Value.In(t.Unit)
		}
	}
	for _, r := range b.Readings {
		o.Readings = append(o.Readings, bridge.Reading{Name: r.Name, Unit: r.Unit})
	}
	make, err := dialectOf(c, o)
	if err != nil {
		return o, err
	}
	if _, err := make(); err != nil {
		return o, err
	}
	o.Dialect = func() bridge.Dialect {
		d, err := make()
		if err != nil {
			panic(err) // the same was made before
		}
		return d
	}
	return o, nil
}

// dialectOf returns what makes the dialect that the section names.
func dialectOf(c *config.Config, o bridge.Options) (func() (bridge.Dialect, error), error) {
	b := c.Bridge
	var port *dialect.Port
	if b.Serial != nil {
		var err error
		port, err = dialect.Serial(dialect.SerialOptions{Path: c.Abs(b.Serial.Port), Baud: b.Serial.Baud, Parity: b.Serial.Parity, Stop: b.Serial.Stop, Settle: b.Serial.Settle})
		if err != nil {
			return nil, err
		}
	}
	switch {
	case b.MELD != nil:
		words := make(map[string]dialect.MELDWord)
		for _, w := range b.MELD.Words {
			words[w.Name] = dialect.MELDWord{Code: w.Code, Key: w.Key, Safe: w.Safe, Decimals: w.Decimals}
		}
		return func() (bridge.Dialect, error) { return dialect.NewMELD(port, words) }, nil
	case b.Line != nil:
		opt := dialect.LineOptions{
			Port: port, End: map[string]string{"crlf": "\r\n", "lf": "\n", "cr": "\r"}[b.Line.End],
			Probe: question(b.Line.Probe), Refusal: b.Line.Refusal, Sync: b.Line.Sync, Quiet: b.Line.Quiet,
			Words: make(map[string]dialect.LineWord),
		}
		for _, w := range b.Line.Words {
			opt.Words[w.Name] = dialect.LineWord{Set: w.Set, Reply: w.Reply, Get: question(w.Get), Safe: w.Safe, SafeReply: w.SafeReply, Scale: w.Scale}
		}
		return func() (bridge.Dialect, error) { return dialect.NewLine(opt) }, nil
	case b.Printer != nil:
		words := make(map[string]dialect.PrinterWord)
		for _, w := range b.Printer.Words {
			words[w.Name] = dialect.PrinterWord{Code: w.Code, Tool: w.Tool, Key: w.Key, Measured: w.Measured, Decimals: w.Decimals}
		}
		return func() (bridge.Dialect, error) { return dialect.NewPrinter(port, words, b.Printer.Report) }, nil
	case b.Modbus != nil:
		words := make(map[string]dialect.ModbusWord)
		for _, w := range b.Modbus.Words {
			word := dialect.ModbusWord{Register: uint16(w.Register), Type: w.Type, Swapped: w.Swapped, Multiple: w.Multiple, Scale: w.Scale}
			if w.Read >= 0 {
				read := uint16(w.Read)
				word.Read = &read
			}
			words[w.Name] = word
		}
		return func() (bridge.Dialect, error) { return dialect.NewModbus(port, b.Modbus.Slave, b.Serial.Baud, words) }, nil
	}
	password, err := b.MQTT.Password.Resolve()
	if err != nil {
		return nil, err
	}
	var secure *tls.Config
	if secure, err = newTLS(c, b.MQTT.TLS); err != nil {
		return nil, err
	}
	opt := dialect.MQTTOptions{Broker: string(b.MQTT.Broker), Username: b.MQTT.Username, Password: password, TLS: secure, Expires: b.MQTT.Expires, Words: make(map[string]dialect.MQTTWord)}
	for _, w := range b.MQTT.Words {
		word := dialect.MQTTWord{Command: w.Command, Ack: w.Ack}
		for _, t := range o.Targets {
			if t.Name == w.Name {
				word.Unit = t.Unit.String()
			}
		}
		opt.Words[w.Name] = word
	}
	return func() (bridge.Dialect, error) { return dialect.NewMQTT(opt) }, nil
}

func question(q config.LineQuestion) dialect.LineQuestion {
	return dialect.LineQuestion{Send: q.Send, Reply: q.Reply, Lines: q.Lines, Line: q.Line}
}
