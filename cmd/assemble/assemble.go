// Package assemble makes an agent from a configuration: it turns the sections of agent.yaml into the rooms' Options, and
// runs the result. Only this package knows both. It does not know the command line.
package assemble

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"stirwatch/agent/influx"
	"stirwatch/agent/journal"
	"stirwatch/agent/models"
	"stirwatch/config"
	"stirwatch/control"
	"stirwatch/dynamics/model"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
	"stirwatch/sensors/mqtt"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/serialport"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// Logger writes what the program does to w, as the section log says.
func Logger(c config.Log, w io.Writer) *slog.Logger {
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

// Registry has the configured channels.
func Registry(c *config.Config) (*sensors.Registry, error) {
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

// Sources makes every source; secrets are fetched here.
func Sources(c *config.Config, reg *sensors.Registry, clock sensors.Clock, b *bridge.Bridge) ([]sensors.Source, error) {
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

// Probe makes a source that reads and leaves no trace: at an MQTT broker it is another client,
// without a session that would gather messages.
func Probe(c *config.Config, s *config.Source, reg *sensors.Registry, clock sensors.Clock, b *bridge.Bridge) (sensors.Source, error) {
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

// coalesce is how long messages of a fast stream gather before they are read, since most of their cost is waking up: a tenth
// of the tick at most, and not so long that it slows a sender that waits for its acknowledgements.
func coalesce(tick time.Duration) time.Duration {
	if tick /= 10; tick >= time.Millisecond {
		return min(tick, 10*time.Millisecond)
	}
	return -1
}

func mqttOptions(c *config.Config, name string, s *config.MQTT, reg *sensors.Registry, clock sensors.Clock) (opt mqtt.Options, err error) {
	password, err := s.Password.Resolve()
	if err != nil {
		return opt, err
	}
	opt = mqtt.Options{
		Name: name, Broker: string(s.Broker), ClientID: s.ClientID, Username: s.Username, Password: password,
		Registry: reg, KeepAlive: s.KeepAlive, Silence: s.Silence, Clock: clock, Coalesce: coalesce(c.Tick.Rate.Period()),
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
				one, own := o, reg.Channel(id).Unit
				one.Fields = []wire.Field{{Channel: id, Key: value, Unit: own, Sentinels: t.Sentinel}}
				if t.Unit != nil { // sent in another unit, named here
					m, err := unit.Between(*t.Unit, own)
					if err != nil {
						return nil, err
					}
					one.Fields[0].Map = m
					return wire.NewJSON(one), nil
				}
				return wire.NewJSONValue(one, string(t.UnitKey)), nil
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
				return wire.NewNumber(wire.Field{Channel: id, Map: m, Unit: reg.Channel(id).Unit, Sentinels: t.Sentinel}, o.Decimal), nil
			}
		}
		opt.Topics = append(opt.Topics, topic)
	}
	return opt, nil
}

// newBroker makes a source that is a broker itself; o holds the options that it shares with one that reads a broker.
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

// JournalSize is what the journal may take of the disk, in bytes.
func JournalSize(c *config.Config) int64 {
	if c.Journal.Size > 0 {
		return int64(c.Journal.Size)
	}
	return journal.FittingSize(c.Abs(c.Journal.Path))
}

// Journal opens the journal. watching is for the agent beside the machine, which must go on in any case.
func Journal(c *config.Config, reg *sensors.Registry, clock sensors.Clock, log *slog.Logger, watching bool) (*journal.Journal, error) {
	return journal.Open(c.Abs(c.Journal.Path), journal.Options{
		Machine: c.Machine, Registry: reg, Commit: c.Journal.Commit, Keep: c.Journal.Keep, Size: JournalSize(c),
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

// influxOptions are those of the section influxdb, which must be there; log may be nil.
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

// Model is the one that is to be used: that chosen last on the page, else that of the configuration; nil where there is neither.
func Model(c *config.Config) (*model.Model, error) {
	return models.Load(c.Abs(c.Model.Folder), c.Abs(c.Model.File))
}

// modelPath is the document of that model, "" where there is none.
func modelPath(c *config.Config) string {
	return models.Path(c.Abs(c.Model.Folder), c.Abs(c.Model.File))
}

// programPath is the machine's program, "" where none is configured.
func programPath(c *config.Config) string { return c.Abs(c.Model.Program) }

// processOptions is nil where no process is configured: then no advice is given.
func processOptions(c *config.Config) *control.Options {
	p := c.Process
	if p == nil {
		return nil
	}
	celsius, rpm := unit.MustParse("°C"), unit.MustParse("rpm")
	o := &control.Options{
		SetPointMin: p.SetPoint.Min.In(celsius), SetPointMax: p.SetPoint.Max.In(celsius),
		SpindleMin: p.Spindle.Min.In(rpm), SpindleMax: p.Spindle.Max.In(rpm),
		Ceiling: p.Ceiling.In(celsius), Expires: p.Expires.Seconds(),
		Margin: p.Margin, Spare: p.Spare, Change: p.Change, Interval: p.Interval.Seconds(),
	}
	if p.Window != nil {
		o.WindowMin, o.WindowMax = p.Window.Min.In(celsius), p.Window.Max.In(celsius)
	}
	if p.Torque != nil {
		o.TorqueMax = p.Torque.In(unit.MustParse("N·m"))
	}
	return o
}

// ReadRun reads a run log with the channels of a configuration and the mapping of its first log source.
func ReadRun(conf *config.Config, reg *sensors.Registry, path string) (*runlog.Log, error) {
	section := &config.RunLog{Format: "auto", Units: "auto"}
	for i := range conf.Sources {
		if conf.Sources[i].Log != nil {
			section = conf.Sources[i].Log
			break
		}
	}
	o, err := runlogOptions(section, reg)
	if err != nil {
		return nil, err
	}
	log, err := runlog.Read(path, o)
	if err == nil && len(log.Time) == 0 {
		err = fmt.Errorf("%s: no rows", path)
	}
	return log, err
}

// Channels are those of the configuration at path or, where there is none and it may be left out, those of the example
// (tool_temperature, spindle_speed, …); then conf is nil.
func Channels(path string, must bool) (conf *config.Config, reg *sensors.Registry, err error) {
	conf, err = config.Load(path)
	switch {
	case err == nil:
		reg, err = Registry(conf)
	case errors.Is(err, fs.ErrNotExist) && !must:
		reg, err = sensors.NewRegistry(runlog.MELDChannels())
	}
	return conf, reg, err
}
