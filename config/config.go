// Package config is agent.yaml as plain data.
//
// The types of sections, each beside its checks, are the one source of what may stand in agent.yaml: their
// field comments and tags drive decoding ([Parse]), the JSON Schema for editors ([Schema]), the reference manual
// ([Reference]) and the effective configuration ([Config.Show]). Tags: yaml (name and options:
// key = the entry's own name, scalar = may be written as this value alone, flow = shown on one
// line), default, required, min, max, enum, pattern and allowed (the pattern in words).
//
// The package reads one file and nothing else; secrets are fetched when [Secret.Resolve] is called.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"stirwatch/sensors/unit"
)

// Config is the whole of agent.yaml.
type Config struct {
	// Name of the machine; it becomes a tag on every record.
	Machine string `yaml:"machine" required:"true" pattern:"^[A-Za-z0-9_.-]{1,64}$" allowed:"1 to 64 letters, digits, _ . or -"`
	// The beat at which the agent gathers, estimates, judges and advises.
	Tick Tick `yaml:"tick"`
	// Every quantity that is measured, declared once, in the order of the screens.
	Channels []Channel `yaml:"channels,flow" required:"true"`
	// Where samples come from; each source has a name and exactly one of serial, mqtt, log and bridge.
	Sources []Source `yaml:"sources" required:"true"`
	// What advice may ask of the machine; without this section no advice is given.
	Process *Process `yaml:"process"`
	// What may be commanded of the machine, and its limits, which nothing changes while the program runs; without this section nothing is ever commanded.
	Bridge *Bridge `yaml:"bridge"`
	// Loops that keep an output at a goal by a target of the bridge, each with a name; without this section the agent commands nothing by itself.
	Control []Loop `yaml:"control"`
	// The learned equation.
	Model Model `yaml:"model"`
	// The durable record on this machine; everything goes there first.
	Journal Journal `yaml:"journal"`
	// The InfluxDB that the journal is uploaded to; without this section the journal alone is the store.
	InfluxDB *InfluxDB `yaml:"influxdb"`
	// Values that people do not want to be passed, by channel; each is an anomaly (limit.high, limit.low) and an alarm.
	Limits []Limit `yaml:"limits"`
	// Which anomalies become alarms, and how these behave; as shipped every code has a response and is one.
	Alarms Alarms `yaml:"alarms"`
	// Whom alarms are told, and how; without this section they are on the screen, in the record and on the command line alone.
	Notify *Notify `yaml:"notify"`
	// The page beside the machine, and its API; without this section nothing listens.
	Page *Page `yaml:"page"`
	// The agent's own address, for the command line.
	API API `yaml:"api"`
	// What the agent says about itself on standard error.
	Log Log `yaml:"log"`
	// For whoever looks into a running agent; without this section nothing listens.
	Debug *Debug `yaml:"debug"`

	name string // of the file
	dir  string // and its folder: relative paths start here
}

// Tick is the agent's beat.
type Tick struct {
	// Ticks per second.
	Rate Frequency `yaml:"rate" default:"10 Hz" min:"1 Hz" max:"1 kHz"`
	// The time a tick stands at: arrival = this computer's clock; device = the newest stamp of the sources, for replaying recorded runs.
	Clock string `yaml:"clock" default:"arrival" enum:"arrival,device"`
}

// The clocks that may rule a source or the tick.
const (
	Arrival = "arrival"
	Device  = "device"
)

// Channel is one measured quantity.
type Channel struct {
	Name string `yaml:",key" pattern:"^[A-Za-z0-9_.-]{1,64}$" allowed:"1 to 64 letters, digits, _ . or -"`
	// What it measures, so that models and rules find it; each one but other at most once.
	Is Role `yaml:"is" default:"other"`
	// Unit in which the channel is kept, shown and recorded; sources convert to it.
	Unit unit.Unit `yaml:"unit" required:"true"`
	// Smallest believable value, in any unit of the same kind; below it the value is out of specification.
	Min *unit.Quantity `yaml:"min"`
	// Largest believable value, in any unit of the same kind.
	Max *unit.Quantity `yaml:"max"`
	// A value older than this is missing; 0 s = never.
	MaxAge time.Duration `yaml:"max_age" default:"3 s" min:"0 s" max:"1 d"`
	// Fastest believable change.
	MaxRate *Rate `yaml:"max_rate"`
	// Record a value only where it has moved by more than this since the last one recorded, at least every two thirds of max_age; 0 with a unit = every change. The agent itself sees all values. Left out, all are recorded.
	DeadBand *Difference `yaml:"dead_band"`
}

// Limits are the smallest and largest believable value in the channel's own unit, infinite
// where only the other is set, and both 0 where neither is.
func (c *Channel) Limits() (lo, hi float64) {
	if c.Min == nil && c.Max == nil {
		return 0, 0
	}
	lo, hi = math.Inf(-1), math.Inf(1)
	if c.Min != nil {
		lo = c.Min.In(c.Unit)
	}
	if c.Max != nil {
		hi = c.Max.In(c.Unit)
	}
	return lo, hi
}

// Recorded reports whether changes alone are recorded, and by how much a value must have moved, in the channel's own unit.
func (c *Channel) Recorded() (changes bool, deadBand float64) {
	if c.DeadBand == nil {
		return false, 0
	}
	v, _ := c.DeadBand.in(c.Unit)
	return true, v
}

// RateLimit is the fastest believable change per second in the channel's own unit; 0 = not set.
func (c *Channel) RateLimit() float64 {
	if c.MaxRate == nil {
		return 0
	}
	return c.MaxRate.PerSecond(c.Unit)
}

// Process says what advice may ask of the machine.
type Process struct {
	// Set-points of the tool temperature that may be recommended.
	SetPoint TemperatureRange `yaml:"set_point,flow" required:"true"`
	// Spindle speeds between which the machine's own controller may move.
	Spindle SpeedRange `yaml:"spindle,flow" required:"true"`
	// Temperature the tool must stay below: the solidus of the bar less a margin.
	Ceiling Temperature `yaml:"ceiling" required:"true" min:"0 °C" max:"2000 °C"`
	// How long a recommendation holds.
	Expires time.Duration `yaml:"expires" default:"30 s" min:"1 s" max:"1 h"`
	// Tool temperatures at which the metal bonds well; another set-point is advised where the forecast leads out of them.
	Window *TemperatureRange `yaml:"window,flow"`
	// Torque of the spindle that is not to be passed; another set-point is advised where the forecast leads there.
	Torque *unit.Quantity `yaml:"torque"`
	// Share of the spindle's range that advice keeps free at either limit, by another pace of feed and path where the model says what a feed does, so that the machine's own controller keeps its authority.
	Margin float64 `yaml:"margin" default:"0.1" min:"0.001" max:"0.4"`
	// K by which advice may leave a set-point that is kept, for that margin alone, where no pace frees it: who spares nothing is told that the spindle is near its limit, and advised another set-point only where the present one is not kept.
	Spare float64 `yaml:"spare" default:"0" min:"0" max:"100"`
	// Step of advised set-points, K; what is wrong must be mended within three of them (the ceiling knows no such bound).
	Change float64 `yaml:"change" default:"5" min:"1" max:"100"`
	// Shortest time between two advised changes, but for the ceiling's.
	Interval time.Duration `yaml:"interval" default:"1 min" min:"1 s" max:"1 h"`
}

// TemperatureRange is an interval of temperatures.
type TemperatureRange struct {
	// Lowest value.
	Min Temperature `yaml:"min" required:"true" min:"0 °C" max:"2000 °C"`
	// Highest value.
	Max Temperature `yaml:"max" required:"true" min:"0 °C" max:"2000 °C"`
}

// SpeedRange is an interval of rotation speeds.
type SpeedRange struct {
	// Lowest value.
	Min AngularRate `yaml:"min" required:"true" min:"0 rpm" max:"10000 rpm"`
	// Highest value.
	Max AngularRate `yaml:"max" required:"true" min:"0 rpm" max:"10000 rpm"`
}

// Model is the learned equation.
type Model struct {
	// Model document that `stirwatch learn` wrote; left out, the agent monitors without a model.
	File Path `yaml:"file"`
	// Hypotheses that the page learns models by, as `stirwatch learn --hypotheses` takes them; left out, those built in, for additive friction stir deposition.
	Hypotheses Path `yaml:"hypotheses"`
	// Folder of the models that the page learns and switches to; once one of them has been chosen there, it is used instead of `file`.
	Folder Path `yaml:"folder" default:"stirwatch-data/models"`
	// G-code file that the machine runs, or a folder whose newest program it is; the line of a channel that is
	// `program line` is followed in it, and the forecast knows what comes. Left out, it expects that what is now goes on.
	Program Path `yaml:"program"`
	// How far ahead the temperature is forecast.
	Forecast time.Duration `yaml:"forecast" default:"60 s" min:"1 s" max:"10 min"`
}

// Journal is the durable record.
type Journal struct {
	// Database file; it is made where it does not exist.
	Path Path `yaml:"path" default:"stirwatch-data/journal.db"`
	// Longest time that a sample waits to be safe on disk; a power cut loses no more.
	Commit time.Duration `yaml:"commit" default:"100 ms" min:"1 ms" max:"10 s"`
	// Age at which records are removed.
	Keep time.Duration `yaml:"keep" default:"30 d" min:"1 h" max:"3650 d"`
	// Size at which the oldest records are removed; left out, half of what the disk has free when the agent starts, the journal's own counted, 100 GB at most.
	Size Size `yaml:"size" min:"16 MB" max:"1 TB"`
	// How often estimates and forecasts are recorded.
	Estimates time.Duration `yaml:"estimates" default:"1 s" min:"1 ms" max:"1 h"`
	// How often the counters of the sources are recorded.
	Health time.Duration `yaml:"health" default:"60 s" min:"1 s" max:"1 d"`
}

// InfluxDB is where the journal is uploaded to.
type InfluxDB struct {
	// Address of the server, e.g. http://127.0.0.1:8086.
	URL URL `yaml:"url" required:"true" enum:"http,https"`
	// Organisation; InfluxDB 1.8 takes any.
	Org string `yaml:"org" required:"true"`
	// Bucket; for InfluxDB 1.8 database/retention-policy.
	Bucket string `yaml:"bucket" required:"true"`
	// Token with the right to write to the bucket; for InfluxDB 1.8 user:password.
	Token Secret `yaml:"token,flow"`
	// Longest time that a record waits to be uploaded.
	Flush time.Duration `yaml:"flush" default:"1 s" min:"10 ms" max:"10 min"`
	// Most samples in one request.
	Batch int `yaml:"batch" default:"5000" min:"1" max:"100000"`
	// Time after which a request is given up and tried again.
	Timeout time.Duration `yaml:"timeout" default:"10 s" min:"100 ms" max:"10 min"`
	// Certificates, for https.
	TLS *TLS `yaml:"tls"`
}

// Page is where browsers find the page beside the machine.
type Page struct {
	// Address and port at which it is served. Any but a loopback address needs users (`stirwatch user add`), and should have tls.
	Listen string `yaml:"listen" default:"127.0.0.1:8765"`
	// File of those who may use the page, which `stirwatch user` writes; while it is not there, or names nobody, everyone on this computer may.
	Users Path `yaml:"users" default:"stirwatch-data/users.json"`
	// Certificate of the page; left out, it is served without encryption.
	TLS *PageTLS `yaml:"tls"`
}

// PageTLS names the certificate of the page.
type PageTLS struct {
	// PEM file of the certificate, with those between it and its authority.
	Cert Path `yaml:"cert" required:"true"`
	// PEM file of its private key.
	Key Path `yaml:"key" required:"true"`
}

// API is where the agent answers other programs of this computer.
type API struct {
	// Socket that `stirwatch` commands reach a running agent by; who may open this file may command what the agent may.
	Socket Path `yaml:"socket" default:"stirwatch-data/agent.sock"`
}

// Debug is where Go's profiles can be fetched.
type Debug struct {
	// Address on loopback at which /debug/pprof/ answers: goroutines, heap, processor time. No other address is taken.
	Listen string `yaml:"listen" default:"127.0.0.1:6060"`
}

// Log is what the agent says about itself.
type Log struct {
	// Least important kind of message that is shown.
	Level string `yaml:"level" default:"info" enum:"debug,info,warn,error"`
	// text for people, json for machines.
	Format string `yaml:"format" default:"text" enum:"text,json"`
}

// Default is the configuration before a file is read: every default of the reference, without
// the machine, channels and sources that a file must name.
func Default() Config {
	var c Config
	setDefaults(reflect.ValueOf(&c).Elem())
	return c
}

// maxSize bounds the file; a full cell with hundreds of channels needs a tenth of it.
const maxSize = 1 << 20

// Load reads the file at path. The error is a [Problems] where the content is wrong, and wraps
// the file system's error where it cannot be read.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("configuration: %w; `stirwatch config init` writes a commented one", err)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(path, data, nil)
}

// Name is the path of the configuration file, as it was given.
func (c *Config) Name() string { return c.name }

// Abs is the path p as seen from the working directory: a relative one starts at the folder of
// the configuration file. The empty path stays empty.
func (c *Config) Abs(p Path) string {
	if p == "" || filepath.IsAbs(string(p)) {
		return string(p)
	}
	return filepath.Join(c.dir, string(p))
}
