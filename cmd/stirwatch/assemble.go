package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"time"

	"stirwatch/agent/influx"
	"stirwatch/agent/journal"
	"stirwatch/config"
	"stirwatch/control"
	"stirwatch/dynamics/model"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/firmware-bridge/dialect"
	"stirwatch/sensors"
	"stirwatch/sensors/mqtt"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/serialport"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// This file turns sections of the configuration into the rooms' Options. Nothing else knows both.

func newLogger(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

func newRegistry(c *config.Config) (*sensors.Registry, error) {
	channels := make([]sensors.Channel, len(c.Channels))
	for i := range c.Channels {
		ch := &c.Channels[i]
		lo, hi := ch.Limits()
		changes, deadBand := ch.Recorded()
		channels[i] = sensors.Channel{
			Name: ch.Name, Role: sensors.Role(ch.Is), Unit: ch.Unit,
			Min: lo, Max: hi, MaxRate: ch.RateLimit(), MaxAge: ch.MaxAge,
			Changes: changes, DeadBand: deadBand,
		}
	}
	return sensors.NewRegistry(channels)
}

// newSources makes every source; secrets are fetched here.
func newSources(c *config.Config, reg *sensors.Registry, clock sensors.Clock, b *bridge.Bridge) ([]sensors.Source, error) {
	var all []sensors.Source
	for i := range c.Sources {
		s, err := newSource(c, &c.Sources[i], reg, clock, b)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", c.Sources[i].Name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// newProbe makes a source that looks and leaves no trace: at an MQTT broker it is another client,
// without a session that would gather messages.
func newProbe(c *config.Config, s *config.Source, reg *sensors.Registry, clock sensors.Clock, b *bridge.Bridge) (sensors.Source, error) {
	if s.MQTT != nil && s.MQTT.Listen == "" {
		o, err := mqttOptions(c, s.Name, s.MQTT, reg, clock)
		if err != nil {
			return nil, err
		}
		o.ClientID += "-doctor"
		o.CleanSession = true
		return mqtt.New(o)
	}
	return newSource(c, s, reg, clock, b)
}

func newSource(c *config.Config, s *config.Source, reg *sensors.Registry, clock sensors.Clock, b *bridge.Bridge) (sensors.Source, error) {
	switch {
	case s.Bridge != nil:
		return newPolled(c, s.Name, s.Bridge, reg, clock, b)
	case s.Serial != nil:
		return newSerial(c, s.Name, s.Serial, reg, clock)
	case s.MQTT != nil:
		o, err := mqttOptions(c, s.Name, s.MQTT, reg, clock)
		if err != nil {
			return nil, err
		}
		if s.MQTT.Listen != "" {
			return newBroker(c, s.MQTT, o)
		}
		return mqtt.New(o)
	default:
		return newTail(c, s.Name, s.Log, reg, clock)
	}
}

func newSerial(c *config.Config, name string, s *config.Serial, reg *sensors.Registry, clock sensors.Clock) (sensors.Source, error) {
	o, err := wireOptions(s.Fields, s.Time, s.Clock, reg)
	if err != nil {
		return nil, err
	}
	if s.Decimal != "" {
		o.Decimal = s.Decimal[0]
	}
	opt := serialport.Options{
		Name: name, Port: c.Abs(s.Port), Baud: s.Baud, Settle: s.Settle, Silence: s.Silence, Clock: clock,
	}
	switch s.Format {
	case "json":
		opt.Decoder = wire.NewJSON(o)
	case "keyvalue":
		opt.Decoder = wire.NewKeyValue(o)
	case "daq":
		opt.Decoder, opt.Format = wire.NewDAQ(o), serialport.COBS
	default:
		opt.Decoder = wire.NewCSV(o, s.Separator[0], nil)
	}
	return serialport.New(opt), nil
}

func mqttOptions(c *config.Config, name string, s *config.MQTT, reg *sensors.Registry, clock sensors.Clock) (opt mqtt.Options, err error) {
	password, err := s.Password.Resolve()
	if err != nil {
		return opt, err
	}
	opt = mqtt.Options{
		Name: name, Broker: string(s.Broker), ClientID: s.ClientID, Username: s.Username, Password: password,
		Registry: reg, KeepAlive: s.KeepAlive, Silence: s.Silence, Clock: clock,
	}
	if opt.ClientID == "" {
		opt.ClientID = "stirwatch-" + c.Machine + "-" + name
	}
	if s.Listen == "" {
		if opt.TLS, err = newTLS(c, s.TLS); err != nil {
			return opt, err
		}
	}
	for i := range s.Topics {
		t := &s.Topics[i]
		o, err := wireOptions(t.Fields, t.Time, s.Clock, reg)
		if err != nil {
			return opt, fmt.Errorf("topic %s: %w", t.Topic, err)
		}
		if t.Decimal != "" {
			o.Decimal = t.Decimal[0]
		}
		topic := mqtt.Topic{Filter: t.Topic, QoS: byte(t.QoS), Channel: t.Channel}
		switch t.Payload {
		case "frame":
			topic.Decoder = func(sensors.ChannelID) (wire.Decoder, error) { return wire.NewJSON(o), nil }
		case "json":
			value := string(t.Value)
			if value == "" {
				value = "value"
			}
			topic.Decoder = func(id sensors.ChannelID) (wire.Decoder, error) {
				own := reg.Channel(id).Unit
				if t.Unit != nil { // sent in another unit, named here
					m, err := unit.Between(*t.Unit, own)
					if err != nil {
						return nil, err
					}
					one := o
					one.Fields = []wire.Field{{Channel: id, Key: value, Map: m, Unit: own, Sentinels: t.Sentinel}}
					return wire.NewJSON(one), nil
				}
				return wire.NewJSONValue(value, o.TimeKey, o.TimeUnit, string(t.UnitKey), id, own, t.Sentinel, o.DeviceClock), nil
			}
		default:
			topic.Decoder = func(id sensors.ChannelID) (wire.Decoder, error) {
				m := unit.Identity
				if t.Unit != nil {
					var err error
					if m, err = unit.Between(*t.Unit, reg.Channel(id).Unit); err != nil {
						return nil, err
					}
				}
				return wire.NewNumber(id, m, t.Sentinel, o.Decimal), nil
			}
		}
		opt.Topics = append(opt.Topics, topic)
	}
	return opt, nil
}

// newBroker makes a source that is the broker; o holds what it shares with one that reads a broker.
func newBroker(c *config.Config, s *config.MQTT, o mqtt.Options) (sensors.Source, error) {
	b := mqtt.BrokerOptions{Options: o, Listen: string(s.Listen), Users: map[string]string{}}
	for _, u := range s.Users {
		password, err := u.Password.Resolve()
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", u.Name, err)
		}
		b.Users[u.Name] = password
	}
	var err error
	if s.TLS != nil {
		if b.TLS, err = mqtt.ServerTLS(c.Abs(s.TLS.CA), c.Abs(s.TLS.Cert), c.Abs(s.TLS.Key)); err != nil {
			return nil, err
		}
	}
	return mqtt.NewBroker(b)
}

func newTail(c *config.Config, name string, s *config.RunLog, reg *sensors.Registry, clock sensors.Clock) (sensors.Source, error) {
	opt := runlog.TailOptions{
		Name: name, Path: c.Abs(s.Path), Once: !s.Follow, Registry: reg, Clock: clock, DeviceClock: s.Clock == config.Device,
	}
	var err error
	if opt.Options, err = runlogOptions(s, reg); err != nil {
		return nil, err
	}
	return runlog.NewTail(opt)
}

func runlogOptions(s *config.RunLog, reg *sensors.Registry) (runlog.Options, error) {
	var o runlog.Options
	if s.Separator != "" {
		o.Separator = s.Separator[0]
	}
	var err error
	if o.Decimal, err = runlog.DecimalSign(s.Decimal, s.Thousands); err != nil {
		return o, err
	}
	if o.Location, err = zone(s.Zone); err != nil {
		return o, err
	}
	if s.Format != "auto" {
		o.Format = runlog.Format(s.Format)
	}
	switch s.Units {
	case "inch":
		o.Units = runlog.Inch
	case "mm":
		o.Units = runlog.Millimetre
	}
	if s.Time != nil {
		o.Time = runlog.TimeColumn{Key: string(s.Time.Key), DateKey: string(s.Time.Date), Unit: wire.TimeUnit(s.Time.Unit)}
		if s.Time.Epoch != "" {
			if o.Time.Start, err = time.Parse(time.DateOnly, s.Time.Epoch); err != nil {
				return o, fmt.Errorf("time.epoch: %w", err)
			}
		}
		if o.Time.Order, err = wire.ParseDateOrder(s.Time.Order); err != nil {
			return o, err
		}
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if _, err := lookup(reg, f.Channel); err != nil {
			return o, err
		}
		field := runlog.Field{Key: string(f.Key), Channel: f.Channel, Sentinels: f.Sentinel}
		if f.Unit != nil {
			field.Unit = *f.Unit
		}
		o.Fields = append(o.Fields, field)
	}
	for id := range reg.Len() {
		o.Channels = append(o.Channels, *reg.Channel(sensors.ChannelID(id)))
	}
	return o, nil
}

func zone(name string) (*time.Location, error) {
	if name == "" || name == "local" {
		return time.Local, nil
	}
	return time.LoadLocation(name)
}

// wireOptions maps fields to channels; without fields every channel is looked for under its own name.
func wireOptions(fields []config.Field, t *config.TimeStamp, clock string, reg *sensors.Registry) (wire.Options, error) {
	o := wire.Options{DeviceClock: clock == config.Device}
	if t != nil {
		o.TimeKey, o.TimeUnit = string(t.Key), wire.TimeUnit(t.Unit)
	}
	if len(fields) == 0 {
		for id := range reg.Len() {
			c := reg.Channel(sensors.ChannelID(id))
			o.Fields = append(o.Fields, wire.Field{Channel: sensors.ChannelID(id), Key: c.Name, Map: unit.Identity, Unit: c.Unit})
		}
	}
	for i := range fields {
		f := &fields[i]
		id, err := lookup(reg, f.Channel)
		if err != nil {
			return o, err
		}
		m := unit.Identity
		if f.Unit != nil {
			if m, err = unit.Between(*f.Unit, reg.Channel(id).Unit); err != nil {
				return o, fmt.Errorf("field %s: %w", f.Channel, err)
			}
		}
		o.Fields = append(o.Fields, wire.Field{Channel: id, Key: string(f.Key), Map: m, Unit: reg.Channel(id).Unit, Sentinels: f.Sentinel})
	}
	return o, nil
}

func lookup(reg *sensors.Registry, name string) (sensors.ChannelID, error) {
	id, ok := reg.Lookup(name)
	if !ok {
		return 0, fmt.Errorf("field %s: no such channel is declared", name)
	}
	return id, nil
}

func newTLS(c *config.Config, t *config.TLS) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	conf, err := mqtt.LoadTLS(c.Abs(t.CA), c.Abs(t.Cert), c.Abs(t.Key))
	if err != nil {
		return nil, err
	}
	conf.ServerName = t.ServerName
	return conf, nil
}

// journalSize is what the journal may take of the disk, in bytes.
func journalSize(c *config.Config) int64 {
	if c.Journal.Size > 0 {
		return int64(c.Journal.Size)
	}
	return journal.FittingSize(c.Abs(c.Journal.Path))
}

// newJournal opens the record. watching is for the agent beside the machine, which must go on in any case.
func newJournal(c *config.Config, reg *sensors.Registry, clock sensors.Clock, log *slog.Logger, watching bool) (*journal.Journal, error) {
	return journal.Open(c.Abs(c.Journal.Path), journal.Options{
		Machine: c.Machine, Registry: reg, Commit: c.Journal.Commit, Keep: c.Journal.Keep, Size: journalSize(c),
		Archive: c.InfluxDB == nil, Clock: clock, Log: log, Recover: watching,
	})
}

// newUploader is nil where no InfluxDB is configured.
func newUploader(c *config.Config, j *journal.Journal, log *slog.Logger) (*influx.Uploader, error) {
	if c.InfluxDB == nil {
		return nil, nil
	}
	o, err := influxOptions(c, log)
	if err != nil {
		return nil, err
	}
	return influx.New(o, j)
}

// influxOptions are those of the section influxdb, which must be there.
func influxOptions(c *config.Config, log *slog.Logger) (o influx.Options, err error) {
	in := c.InfluxDB
	token, err := in.Token.Resolve()
	if err != nil {
		return o, fmt.Errorf("influxdb: %w", err)
	}
	t, err := newTLS(c, in.TLS)
	if err != nil {
		return o, fmt.Errorf("influxdb: %w", err)
	}
	return influx.Options{
		URL: string(in.URL), Org: in.Org, Bucket: in.Bucket, Token: token,
		Flush: in.Flush, Batch: in.Batch, Timeout: in.Timeout, TLS: t, Log: log,
	}, nil
}

// loadModel is nil where no model is configured.
func loadModel(c *config.Config) (*model.Model, error) {
	if c.Model.File == "" {
		return nil, nil
	}
	return model.Load(c.Abs(c.Model.File))
}

// programPath is the machine's program, "" where none is configured.
func programPath(c *config.Config) string {
	if c.Model.Program == "" {
		return ""
	}
	return c.Abs(c.Model.Program)
}

// processOptions is nil where no process is configured: then no advice is given.
func processOptions(c *config.Config) *control.Options {
	p := c.Process
	if p == nil {
		return nil
	}
	celsius, rpm := unit.MustParse("°C"), unit.MustParse("rpm")
	return &control.Options{
		SetPointMin: p.SetPoint.Min.In(celsius), SetPointMax: p.SetPoint.Max.In(celsius),
		SpindleMin: p.Spindle.Min.In(rpm), SpindleMax: p.Spindle.Max.In(rpm),
		Ceiling: p.Ceiling.In(celsius), Expires: p.Expires.Seconds(),
	}
}

// checkedBridgeOptions are those of which a bridge can be made: limits and number formats fit.
func checkedBridgeOptions(conf *config.Config) (bridge.Options, error) {
	o, err := bridgeOptions(conf)
	if err == nil {
		_, err = bridge.New(o)
	}
	return o, err
}

// bridgeOptions turns the section into Options, without a Recorder. Secrets are fetched here.
func bridgeOptions(c *config.Config) (o bridge.Options, err error) {
	b := c.Bridge
	o = bridge.Options{Step: b.Step, Check: b.Check, Timeout: b.Timeout, Patience: b.Patience, State: c.Abs(b.State)}
	for i := range b.Targets {
		t := &b.Targets[i]
		o.Targets = append(o.Targets, bridge.Target{
			Name: t.Name, Unit: t.Unit, Min: t.Min.In(t.Unit), Max: t.Max.In(t.Unit), Slew: t.Slew.PerSecond(t.Unit),
			Tolerance: t.Tolerance, Lease: t.Lease,
			Safe: bridge.SafeState{Name: t.Safe.Name, Ramp: t.Safe.Ramp, AsFound: t.Safe.AsFound},
		})
		if !t.Safe.AsFound {
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
