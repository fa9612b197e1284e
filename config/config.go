// Package config is agent.yaml as plain data.
//
// The types of this file are the one source of what may stand in agent.yaml: their field comments
// and tags drive decoding ([Parse]), the JSON Schema for editors ([Schema]), the reference manual
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

	dir string // folder of the file: relative paths start here
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

// Recorded tells whether changes alone are recorded, and by how much a value must have moved, in the channel's own unit.
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

// Source is one device; exactly one of Serial, MQTT, Log and Bridge is set.
type Source struct {
	Name string `yaml:",key" pattern:"^[A-Za-z0-9_.-]{1,64}$" allowed:"1 to 64 letters, digits, _ . or -"`
	// A device on a serial port.
	Serial *Serial `yaml:"serial"`
	// Topics of an MQTT broker.
	MQTT *MQTT `yaml:"mqtt"`
	// CSV run logs that a controller writes.
	Log *RunLog `yaml:"log"`
	// Targets and readings of the bridge, asked for again and again over its port.
	Bridge *Polled `yaml:"bridge"`
}

// Serial is a device on a serial port.
type Serial struct {
	// Device file; /dev/serial/by-id/… stays the same when the plug moves. `stirwatch ports` lists them.
	Port Path `yaml:"port" required:"true"`
	// Speed of the line in bit/s.
	Baud int `yaml:"baud" default:"115200" min:"50" max:"12000000"`
	// What a message looks like: csv = values between separators; keyvalue = name=value pairs; json = one JSON object a line; daq = binary frames of our own (COBS with CRC-16).
	Format string `yaml:"format" default:"csv" enum:"csv,keyvalue,json,daq"`
	// Character between two values of a csv or keyvalue line.
	Separator string `yaml:"separator" default:"," pattern:"^[ -~\\t]$" allowed:"one ASCII character"`
	// Sign before the decimals of numbers in text; left out, the numbers tell, and what may mean two is refused.
	Decimal string `yaml:"decimal" pattern:"^[.,]$" allowed:". or ,"`
	// The time that rules its samples: arrival = when the bytes came in; device = the device's own stamp.
	Clock string `yaml:"clock" default:"arrival" enum:"arrival,device"`
	// Where the device's time stamp stands in a message.
	Time *TimeStamp `yaml:"time,flow"`
	// Pause after opening, for boards that restart when the port opens.
	Settle time.Duration `yaml:"settle" default:"0 s" min:"0 s" max:"1 min"`
	// Connected but nothing received for this long is reported; 0 s = never.
	Silence time.Duration `yaml:"silence" default:"10 s" min:"0 s" max:"1 d"`
	// Which value of a message goes to which channel; left out, values go to the channels of their own names.
	Fields []Field `yaml:"fields,flow"`
}

// Field maps one value of a message to a channel.
type Field struct {
	Channel string `yaml:",key"`
	// Column name, number counted from 1, key, or JSON path such as data.temp.
	Key Key `yaml:"key,scalar" required:"true"`
	// Unit in which the device sends the value; left out, the channel's, for a MELD log the one found.
	Unit *unit.Unit `yaml:"unit"`
	// Values by which the device says "no signal", as sent.
	Sentinel []float64 `yaml:"sentinel,flow"`
}

// TimeStamp says where a device's time stamp stands and how it is written.
type TimeStamp struct {
	// Column name, number counted from 1, key, or JSON path of the stamp.
	Key Key `yaml:"key" required:"true"`
	// ns, us, ms and s count since 1970 (Unix time); rfc3339 is text such as 2025-07-08T10:43:15.30Z; uptime counts since the device's own start.
	Unit string `yaml:"unit" required:"true" enum:"ns,us,ms,s,rfc3339,uptime us,uptime ms,uptime s"`
}

// LogTime says where a log's time stamps stand and how they are written.
type LogTime struct {
	// Column name, or number counted from 1, of the stamp or of the time of day.
	Key Key `yaml:"key" required:"true"`
	// Column of the date, where it has one of its own.
	Date Key `yaml:"date"`
	// ns, us, ms, s, min, h and d count since 1970 (Unix time) or since epoch; excel is the days of spreadsheets; mm:ss and hh:mm are times elapsed of two parts; rfc3339 is text such as 2025-07-08T10:43:15.30Z, 8.7.2025 10:43:15 or 7/8/2025 10:43:15 AM, or date and time of day apart.
	Unit string `yaml:"unit" default:"rfc3339" enum:"ns,us,µs,ms,s,sec,second,seconds,min,minute,minutes,h,hour,hours,d,day,days,excel,rfc3339,mm:ss,hh:mm"`
	// Day (UTC) that the count began, where that is not 1970-01-01: 1904-01-01 for LabVIEW.
	Epoch string `yaml:"epoch" pattern:"^[0-9]{4}-[0-9]{2}-[0-9]{2}$" allowed:"a date such as 1904-01-01"`
	// Order of day, month and year in text such as 7/8/2025; left out, the dates of the file tell, or rows wait until one does.
	Order string `yaml:"order" enum:"dmy,mdy,ymd"`
}

// MQTT is a set of topics on one broker; exactly one of Broker and Listen is set.
type MQTT struct {
	// Address of the broker, e.g. tcp://127.0.0.1:1883, or tls://broker:8883 for an encrypted connection.
	Broker URL `yaml:"broker" enum:"tcp,mqtt,tls,ssl,mqtts"`
	// Be the broker, at this address of this computer, e.g. tcp://0.0.0.0:1883, or tls://0.0.0.0:8883 with cert and key; a message is acknowledged to its sender when it is in the journal.
	Listen URL `yaml:"listen" enum:"tcp,mqtt,tls,ssl,mqtts"`
	// Who may connect to the broker that the agent is; without users only programs of this computer may.
	Users []User `yaml:"users,flow"`
	// Name of the session that the broker keeps while the agent is away; left out, `stirwatch-<machine>-<source>`.
	ClientID string `yaml:"client_id"`
	// User name.
	Username string `yaml:"username"`
	// Password of that user.
	Password Secret `yaml:"password,flow"`
	// Certificates, for tls, ssl and mqtts.
	TLS *TLS `yaml:"tls"`
	// How often the connection is proved to be alive.
	KeepAlive time.Duration `yaml:"keep_alive" default:"30 s" min:"1 s" max:"1 h"`
	// A topic that says nothing for this long is reported; 0 s = never.
	Silence time.Duration `yaml:"silence" default:"10 s" min:"0 s" max:"1 d"`
	// The time that rules its samples: arrival = when the message came in; device = the stamp in the message.
	Clock string `yaml:"clock" default:"arrival" enum:"arrival,device"`
	// The topics to read.
	Topics []Topic `yaml:"topics" required:"true"`
}

// User is one who may connect.
type User struct {
	Name string `yaml:",key"`
	// Password of that user.
	Password Secret `yaml:"password,flow" required:"true"`
}

// Topic maps the messages of one topic filter to channels.
type Topic struct {
	// Topic filter; + stands for one level, # for all that follow.
	Topic string `yaml:"topic" required:"true"`
	// Quality of service; 1 = nothing is lost while the agent is away.
	QoS int `yaml:"qos" default:"1" min:"0" max:"2"`
	// What a message holds: number = a bare number; json = one value in a JSON document; frame = a JSON document of many channels.
	Payload string `yaml:"payload" default:"number" enum:"number,json,frame"`
	// Channel of the value; {3} stands for the third level of the topic, counted from 1.
	Channel string `yaml:"channel"`
	// JSON path of the value; left out, value.
	Value Key `yaml:"value"`
	// Unit in which the value is sent; left out, the channel's.
	Unit *unit.Unit `yaml:"unit"`
	// Sign before the decimals of numbers in quotes; left out, the numbers tell, and what may mean two is refused.
	Decimal string `yaml:"decimal" pattern:"^[.,]$" allowed:". or ,"`
	// JSON path of a text in the message that names the value's unit, instead of unit.
	UnitKey Key `yaml:"unit_key"`
	// Values by which the device says "no signal", as sent.
	Sentinel []float64 `yaml:"sentinel,flow"`
	// Where the time stamp stands in the document.
	Time *TimeStamp `yaml:"time,flow"`
	// Which value of a frame goes to which channel; left out, values go to the channels of their own names.
	Fields []Field `yaml:"fields,flow"`
}

// TLS names certificates; the server's is always verified.
type TLS struct {
	// PEM file of the authority that signed the server's certificate; left out, the system's.
	CA Path `yaml:"ca"`
	// PEM file of the client's certificate.
	Cert Path `yaml:"cert"`
	// PEM file of the client certificate's private key.
	Key Path `yaml:"key"`
	// Name that the server's certificate must carry; left out, the host of the address.
	ServerName string `yaml:"server_name"`
}

// RunLog is a set of CSV files that a controller writes.
type RunLog struct {
	// File, or pattern with * and ? for several; the newest one is followed.
	Path Path `yaml:"path" required:"true"`
	// Keep reading as the file grows and when a new one appears; false reads to the end and stops.
	Follow bool `yaml:"follow" default:"true"`
	// Layout of the file: meld = a MELD controller's log; csv = any CSV with a header; auto = meld where the header says so, else csv.
	Format string `yaml:"format" default:"auto" enum:"auto,meld,csv"`
	// Units of a MELD log, which does not name them: auto = found from power, torque and speed, row by row.
	Units string `yaml:"units" default:"auto" enum:"auto,inch,mm"`
	// Character between two values; left out, the comma, semicolon or tab that the header has most of.
	Separator string `yaml:"separator" pattern:"^[ -~\\t]$" allowed:"one ASCII character"`
	// Sign before the decimals of a number; left out, the columns tell, and what may mean two numbers is refused.
	Decimal string `yaml:"decimal" pattern:"^[.,]$" allowed:". or ,"`
	// Sign between thousands, which settles the decimal sign too where it is . or ,
	Thousands string `yaml:"thousands" pattern:"^[., ']$" allowed:"one of . , ' or a blank"`
	// The time that rules its samples: device = the stamp in the row; arrival = when the row was read.
	Clock string `yaml:"clock" default:"device" enum:"arrival,device"`
	// Where the time stamp stands in a row; a MELD log's own is known.
	Time *LogTime `yaml:"time,flow"`
	// Time zone of stamps that name none: local = this computer's, UTC, or a name such as Europe/Berlin.
	Zone string `yaml:"zone" default:"local" pattern:"^(local|UTC|[A-Za-z_]+(/[A-Za-z0-9_+-]+)+)$" allowed:"local, UTC, or a name such as Europe/Berlin"`
	// Which column goes to which channel; left out, columns go to the channels of their own names, and MELD columns to those of their kind.
	Fields []Field `yaml:"fields,flow"`
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
}

// Bridge is the way to a controller; exactly one dialect is set.
type Bridge struct {
	// Quantities that may be commanded, each with the limits that hold for whoever commands.
	Targets []Target `yaml:"targets" required:"true"`
	// Quantities that are only read, for `stirwatch bridge get`.
	Readings []Reading `yaml:"readings"`
	// Longest time that one request may take.
	Timeout time.Duration `yaml:"timeout" default:"1 s" min:"200 ms" max:"1 min"`
	// Time between two values on the way to the one commanded.
	Step time.Duration `yaml:"step" default:"1 s" min:"10 ms" max:"1 min"`
	// Time between two read-backs of a value that is held.
	Check time.Duration `yaml:"check" default:"2 s" min:"100 ms" max:"10 min"`
	// A value that is not confirmed for so long ends its lease: acknowledged and, where that can be, read back.
	Patience time.Duration `yaml:"patience" default:"5 s" min:"100 ms" max:"10 min"`
	// File that remembers what is under lease, so that it is reverted after a crash.
	State Path `yaml:"state" default:"stirwatch-data/bridge.json"`
	// Serial port of the controller; every dialect but mqtt needs it.
	Serial *BridgePort `yaml:"serial"`
	// The controller speaks MELD handshake M-codes.
	MELD *BridgeMELD `yaml:"meld"`
	// The controller answers lines of text with lines of text; what is said stands in templates.
	Line *BridgeLine `yaml:"line"`
	// The controller is 3-D printer firmware.
	Printer *BridgePrinter `yaml:"printer"`
	// The controller speaks Modbus RTU.
	Modbus *BridgeModbus `yaml:"modbus"`
	// The controller is commanded over an MQTT broker.
	MQTT *BridgeMQTT `yaml:"mqtt"`
}

// Target is one quantity that may be commanded.
type Target struct {
	Name string `yaml:",key" pattern:"^[A-Za-z0-9_.-]{1,64}$" allowed:"1 to 64 letters, digits, _ . or -"`
	// Unit in which the controller takes it.
	Unit unit.Unit `yaml:"unit" required:"true"`
	// Smallest value that may be commanded, in any unit of the same kind.
	Min *unit.Quantity `yaml:"min" required:"true"`
	// Largest value that may be commanded.
	Max *unit.Quantity `yaml:"max" required:"true"`
	// Fastest change that may be commanded.
	Slew *Rate `yaml:"slew" required:"true"`
	// Difference that a read-back may have, in the target's unit.
	Tolerance float64 `yaml:"tolerance" default:"0" min:"0" max:"1000000"`
	// Longest time that a command holds without being renewed.
	Lease time.Duration `yaml:"lease" default:"30 s" min:"100 ms" max:"1 d"`
	// What the target reverts to when its lease ends.
	Safe SafeState `yaml:"safe,flow" required:"true"`
}

// SafeState is where a target goes when nobody commands it any more.
type SafeState struct {
	// Name of the state, for people, such as off or hold.
	Name string `yaml:"name" required:"true"`
	// Value of the state; it may lie outside min and max, as 0 = off often does.
	Value *unit.Quantity `yaml:"value"`
	// true: what the controller held before the first command is the safe value, for machines whose own set-point is the safe one; instead of value.
	AsFound bool `yaml:"as_found" default:"false"`
	// true: the word's own safe command gives the target back to a controller of the machine, such as M41 S455 for a spindle; what it holds from then on is not read back. Instead of value.
	HandsBack bool `yaml:"hands_back" default:"false"`
	// true walks there under the slew limit, false goes there at once.
	Ramp bool `yaml:"ramp" default:"false"`
}

// Reading is one quantity that is only read.
type Reading struct {
	Name string `yaml:",key" pattern:"^[A-Za-z0-9_.-]{1,64}$" allowed:"1 to 64 letters, digits, _ . or -"`
	// Unit in which the controller tells it.
	Unit unit.Unit `yaml:"unit,scalar" required:"true"`
}

// BridgePort is the serial port of a controller.
type BridgePort struct {
	// Device file; /dev/serial/by-id/… stays the same when the plug moves.
	Port Path `yaml:"port" required:"true"`
	// Speed of the line in bit/s.
	Baud int `yaml:"baud" default:"115200" min:"50" max:"12000000"`
	// Parity bit.
	Parity string `yaml:"parity" default:"none" enum:"none,even,odd"`
	// Stop bits.
	Stop int `yaml:"stop" default:"1" min:"1" max:"2"`
	// Pause after opening, for boards that restart when the port opens.
	Settle time.Duration `yaml:"settle" default:"0 s" min:"0 s" max:"1 min"`
}

// BridgeMELD are the words of the MELD dialect.
type BridgeMELD struct {
	// How each target and reading is spoken of.
	Words []MELDWord `yaml:"words,flow" required:"true"`
}

// MELDWord is how one target is spoken of in M-codes.
type MELDWord struct {
	Name string `yaml:",key"`
	// M-code that takes the value as S; a reading has none.
	Code string `yaml:"code" pattern:"^M(06|24|41|52|7[1-6])$" allowed:"M06, M24, M41, M52, M71 to M76"`
	// Key of the answer to ? that tells the value; left out, it cannot be read back.
	Key string `yaml:"key"`
	// M-code that stands for the safe state, instead of code with the safe value; M41 with a set-point (°C) gives a spindle back to the machine's own controller, with hands_back: true in the safe state.
	Safe string `yaml:"safe" pattern:"^(M05|M25|M41 S[1-9][0-9]{0,3})$" allowed:"M05, M25, M41 S455"`
	// Decimals of the number after S.
	Decimals int `yaml:"decimals" default:"0" min:"0" max:"6"`
}

// BridgeLine are the words of the line dialect.
type BridgeLine struct {
	// How each target and reading is spoken of.
	Words []LineWord `yaml:"words" required:"true"`
	// What ends every line that is sent.
	End string `yaml:"end" default:"crlf" enum:"crlf,lf,cr"`
	// Question that tells who answers, for `stirwatch bridge probe`.
	Probe LineQuestion `yaml:"probe,flow"`
	// Pattern of a reply that refuses, such as ERR{any}.
	Refusal string `yaml:"refusal"`
	// Something harmless to say after a reply was lost; left out, only silence is waited for.
	Sync string `yaml:"sync"`
	// How long nothing must come that looks like a reply before the device counts as having finished: longer than it takes to answer.
	Quiet time.Duration `yaml:"quiet" default:"100 ms" min:"1 ms" max:"10 s"`
}

// LineWord is how one target is spoken of in lines.
type LineWord struct {
	Name string `yaml:",key"`
	// Line that commands the value, with {value}, {value:.1f} or {value:d} in it; a reading has none.
	Set string `yaml:"set"`
	// Pattern of the reply to set: {value} must be the number sent, {any} is any text; left out, it answers nothing and get tells whether it arrived.
	Reply string `yaml:"reply"`
	// Question that reads the value back.
	Get LineQuestion `yaml:"get,flow"`
	// Line that stands for the safe state, instead of set with the safe value.
	Safe string `yaml:"safe"`
	// Pattern of the reply to safe; left out, it answers nothing and get tells whether it arrived.
	SafeReply string `yaml:"safe_reply"`
	// The number on the wire is the value times this.
	Scale float64 `yaml:"scale" default:"1" min:"-1000000" max:"1000000"`
}

// LineQuestion is a line and where its answer stands.
type LineQuestion struct {
	// Line to send.
	Send string `yaml:"send,scalar"`
	// Pattern of the line that answers; {value} is the number, {any} any text; left out, {value} alone.
	Reply string `yaml:"reply"`
	// Number of lines that come back.
	Lines int `yaml:"lines" default:"1" min:"1" max:"1000"`
	// The one of them that answers, counted from 1.
	Line int `yaml:"line" default:"1" min:"1" max:"1000"`
}

// BridgePrinter are the words of the 3-D printer dialect.
type BridgePrinter struct {
	// How each target and reading is spoken of.
	Words []PrinterWord `yaml:"words,flow" required:"true"`
	// How often the firmware reports temperatures by itself, in whole seconds; 0 s = never.
	Report time.Duration `yaml:"report" default:"0 s" min:"0 s" max:"60 s"`
}

// PrinterWord is how one heater is spoken of.
type PrinterWord struct {
	Name string `yaml:",key"`
	// Command that takes the temperature: M104 nozzle, M140 bed, M141 chamber; a reading has none.
	Code string `yaml:"code" enum:"M104,M140,M141"`
	// Number of the nozzle for M104; -1 = the active one.
	Tool int `yaml:"tool" default:"-1" min:"-1" max:"99"`
	// Key in the report; left out, T, T and the tool's number, B or C.
	Key string `yaml:"key"`
	// Read the measured temperature instead of the set-point.
	Measured bool `yaml:"measured" default:"false"`
	// Decimals of the number after S.
	Decimals int `yaml:"decimals" default:"0" min:"0" max:"3"`
}

// BridgeModbus are the words of the Modbus dialect.
type BridgeModbus struct {
	// Address of the device on the line.
	Slave int `yaml:"slave" required:"true" min:"1" max:"247"`
	// Where each target and reading stands.
	Words []ModbusWord `yaml:"words,flow" required:"true"`
}

// ModbusWord is where one value stands in holding registers.
type ModbusWord struct {
	Name string `yaml:",key"`
	// Register that is written, counted from 0 as on the wire (40001 of many manuals is 0).
	Register int `yaml:"register" required:"true" min:"0" max:"65535"`
	// Register that is read back; -1 = the same.
	Read int `yaml:"read" default:"-1" min:"-1" max:"65535"`
	// Type of the number; those of 32 bits take two registers.
	Type string `yaml:"type" default:"int16" enum:"int16,uint16,int32,uint32,float32"`
	// The low word of two comes first.
	Swapped bool `yaml:"swapped" default:"false"`
	// Write a single register with function 16 instead of 6.
	Multiple bool `yaml:"multiple" default:"false"`
	// The number in the register is the value times this; 10 where it holds tenths.
	Scale float64 `yaml:"scale" default:"1" min:"-1000000" max:"1000000"`
}

// BridgeMQTT are the words of the MQTT dialect.
type BridgeMQTT struct {
	// Address of the broker, e.g. tcp://127.0.0.1:1883, or tls://broker:8883 for an encrypted connection.
	Broker URL `yaml:"broker" required:"true" enum:"tcp,mqtt,tls,ssl,mqtts"`
	// User name.
	Username string `yaml:"username"`
	// Password of that user.
	Password Secret `yaml:"password,flow"`
	// Certificates, for tls, ssl and mqtts.
	TLS *TLS `yaml:"tls"`
	// How long a command may be under way before the device must ignore it.
	Expires time.Duration `yaml:"expires" default:"5 s" min:"100 ms" max:"1 min"`
	// Topics of each target and reading.
	Words []MQTTWord `yaml:"words,flow" required:"true"`
}

// MQTTWord is how one target is spoken of over MQTT.
type MQTTWord struct {
	Name string `yaml:",key"`
	// Topic that commands and questions go to.
	Command string `yaml:"command" required:"true"`
	// Topic that their answers come from.
	Ack string `yaml:"ack" required:"true"`
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

// Alarms is how alarms behave.
type Alarms struct {
	// Longest time that an alarm can be shelved.
	Shelve time.Duration `yaml:"shelve" default:"8 h" min:"1 min" max:"7 d"`
	// More alarms than this in ten minutes are a flood: those of low priority are kept back until it is over.
	Flood int `yaml:"flood" default:"10" min:"1" max:"1000"`
	// What is different here from what is shipped; `stirwatch alarms codes` lists every code with its values.
	Codes []AlarmCode `yaml:"codes,flow"`
}

// Limit is what a channel's value should stay within.
type Limit struct {
	// Name of the channel.
	Channel string `yaml:",key"`
	// The highest value that is all right.
	High *unit.Quantity `yaml:"high"`
	// The lowest value that is all right.
	Low *unit.Quantity `yaml:"low"`
	// How far the value must be back within the limit before it counts as back; left out, 0.
	Deadband *Difference `yaml:"deadband"`
	// How long it must be beyond the limit before that is raised.
	OnDelay time.Duration `yaml:"on_delay" default:"1 s" min:"0 s" max:"1 h"`
	// How long it must be back before that is over.
	OffDelay time.Duration `yaml:"off_delay" default:"5 s" min:"0 s" max:"1 h"`
	// Phases in which the limit holds (stopped, free spin, warm-up, prime, deposit); left out, always.
	Phases []string `yaml:"phases,flow"`
}

// Within gives the limits in the channel's unit, infinite where there is none, and the deadband.
func (l *Limit) Within(u unit.Unit) (low, high, deadband float64) {
	low, high = math.Inf(-1), math.Inf(1)
	if l.Low != nil {
		low = l.Low.In(u)
	}
	if l.High != nil {
		high = l.High.In(u)
	}
	if l.Deadband != nil {
		deadband, _ = l.Deadband.in(u)
	}
	return low, high, deadband
}

// AlarmCode is how the alarms of one code behave; what is left out is as shipped.
type AlarmCode struct {
	Name string `yaml:",key" pattern:"^[a-z][a-z0-9_.]{0,63}$" allowed:"a code such as sensor.rate"`
	// How soon an operator must act; none = it is no alarm.
	Priority string `yaml:"priority" enum:"high,medium,low,none"`
	// What the operator is to do, instead of the text that is shipped.
	Response string `yaml:"response"`
	// How long the anomaly must stand before the alarm is raised, beyond the anomaly's own delay.
	OnDelay *time.Duration `yaml:"on_delay" min:"0 s" max:"1 h"`
	// How long the anomaly must be gone before the alarm returns.
	OffDelay *time.Duration `yaml:"off_delay" min:"0 s" max:"1 h"`
	// By which part of its limit the score must fall below it before the alarm returns.
	Deadband *float64 `yaml:"deadband" min:"0" max:"0.95"`
	// true: when the condition is over, the alarm stays until it is acknowledged and reset.
	Latch *bool `yaml:"latch"`
	// always, or run: suppressed while no run goes on.
	When string `yaml:"when" enum:"always,run"`
	// Alarms of one group that come together are one event; the others name the first.
	Group string `yaml:"group" pattern:"^[A-Za-z0-9_.-]{1,64}$" allowed:"1 to 64 letters, digits, _ . or -"`
	// Why its alarms are out of service; left out, they are in service.
	OutOfService string `yaml:"out_of_service"`
}

// Notify is whom alarms are told.
type Notify struct {
	// Where messages go, each by exactly one of mqtt, mail, ntfy, webhook, command and light.
	Targets []NotifyTarget `yaml:"targets" required:"true"`
}

// NotifyTarget is one place that is told of alarms.
type NotifyTarget struct {
	Name string `yaml:",key" pattern:"^[A-Za-z0-9_.-]{1,64}$" allowed:"1 to 64 letters, digits, _ . or -"`
	// Least urgent priority that is told.
	Priority string `yaml:"priority" default:"low" enum:"high,medium,low"`
	// Only what nobody has acknowledged for so long is told: an escalation.
	After time.Duration `yaml:"after" default:"0 s" min:"0 s" max:"1 d"`
	// How long further alarms are waited for, so that those that come together are one message.
	Gather time.Duration `yaml:"gather" default:"5 s" min:"0 s" max:"1 h"`
	// Most messages in an hour; what comes beyond waits and is told in one.
	Rate int `yaml:"rate" default:"12" min:"1" max:"1000"`
	// Tell also when an alarm that was told of is over.
	Returns bool `yaml:"returns" default:"false"`
	// Time of day at which only what is urgent is told; the rest waits for its end.
	Quiet *QuietHours `yaml:"quiet,flow"`
	// Topics of an MQTT broker, which hold how alarms stand and take acknowledgements.
	MQTT *NotifyMQTT `yaml:"mqtt"`
	// Mail through an SMTP server.
	Mail *NotifyMail `yaml:"mail"`
	// A topic of ntfy, ntfy.sh or one's own server: phones.
	Ntfy *NotifyNtfy `yaml:"ntfy"`
	// A web address that takes JSON: chat (Slack, Mattermost, Rocket.Chat, Discord with /slack) or one's own program.
	Webhook *NotifyWebhook `yaml:"webhook"`
	// A program of this computer, which gets the message on its standard input.
	Command *NotifyCommand `yaml:"command,flow"`
	// A lamp, horn or relay: a target of the bridge that is set by the highest priority that stands.
	Light *NotifyLight `yaml:"light,flow"`
}

// QuietHours is a time of every day.
type QuietHours struct {
	// When it begins, in this computer's time.
	From string `yaml:"from" required:"true" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" allowed:"a time of day such as 22:00, between quotes"`
	// When it ends; before from, it ends on the next day.
	To string `yaml:"to" required:"true" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" allowed:"a time of day such as 06:00, between quotes"`
	// Least urgent priority that is told all the same.
	Priority string `yaml:"priority" default:"high" enum:"high,medium,low"`
}

// NotifyMQTT is where an MQTT broker holds alarms.
type NotifyMQTT struct {
	// Address of the broker, e.g. tcp://127.0.0.1:1883, or tls://broker:8883 for an encrypted connection.
	Broker URL `yaml:"broker" required:"true" enum:"tcp,mqtt,tls,ssl,mqtts"`
	// Topic with the alarms that stand, retained; TOPIC/agent says online or offline, TOPIC/ack takes acknowledgements, TOPIC/answer says what came of them. Left out, stirwatch/<machine>/alarms.
	Topic string `yaml:"topic" pattern:"^[^#+]{1,200}$" allowed:"a topic without + and #"`
	// User name.
	Username string `yaml:"username"`
	// Password of that user.
	Password Secret `yaml:"password,flow"`
	// Certificates, for tls, ssl and mqtts.
	TLS *TLS `yaml:"tls"`
}

// NotifyMail is a way to send mail.
type NotifyMail struct {
	// SMTP server: smtp://host:587 (STARTTLS where the server has it; always before a password is sent) or smtps://host:465.
	Server URL `yaml:"server" required:"true" enum:"smtp,smtps"`
	// Address of the sender.
	From string `yaml:"from" required:"true" pattern:"^[^@\\s<>]+@[^@\\s<>]+$" allowed:"an address such as cell1@example.org"`
	// Addresses that it goes to, with a comma between two.
	To string `yaml:"to" required:"true" pattern:"^[^@\\s<>,]+@[^@\\s<>,]+( *, *[^@\\s<>,]+@[^@\\s<>,]+)*$" allowed:"addresses such as shift@example.org, boss@example.org"`
	// User name.
	Username string `yaml:"username"`
	// Password of that user.
	Password Secret `yaml:"password,flow"`
	// Certificates.
	TLS *TLS `yaml:"tls"`
}

// NotifyNtfy is a topic of ntfy.
type NotifyNtfy struct {
	// Address of the server.
	Server URL `yaml:"server" default:"https://ntfy.sh" enum:"http,https"`
	// Topic; on a public server whoever knows its name reads it, so that it is kept like a password.
	Topic Secret `yaml:"topic,flow" required:"true"`
	// Access token.
	Token Secret `yaml:"token,flow"`
}

// NotifyWebhook is a web address.
type NotifyWebhook struct {
	// The address, which is a password with most chats: http://… or https://…
	URL Secret `yaml:"url,flow" required:"true"`
	// chat = {"text": …}, which chats take; full = the message and every alarm with its fields.
	Format string `yaml:"format" default:"chat" enum:"chat,full"`
	// Value of the header Authorization, such as Bearer ….
	Authorization Secret `yaml:"authorization,flow"`
}

// NotifyCommand is a program.
type NotifyCommand struct {
	// Program and its arguments; no shell reads them.
	Run []string `yaml:"run,flow" required:"true"`
	// Time after which it is ended, and tried again later.
	Timeout time.Duration `yaml:"timeout" default:"10 s" min:"100 ms" max:"10 min"`
}

// NotifyLight is a lamp or relay.
type NotifyLight struct {
	// Name of the bridge's target; its safe state is what shows while no alarm stands.
	Target string `yaml:"target" required:"true"`
	// Value while an unacknowledged or acknowledged alarm of high priority stands, in the target's unit.
	High float64 `yaml:"high" required:"true" min:"-1000000" max:"1000000"`
	// The same of medium priority.
	Medium float64 `yaml:"medium" required:"true" min:"-1000000" max:"1000000"`
	// The same of low priority.
	Low float64 `yaml:"low" required:"true" min:"-1000000" max:"1000000"`
	// Lease of the command, which is renewed while an alarm stands.
	Lease time.Duration `yaml:"lease" default:"30 s" min:"1 s" max:"1 h"`
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

// Abs is the path p as seen from the working directory: a relative one starts at the folder of
// the configuration file. The empty path stays empty.
func (c *Config) Abs(p Path) string {
	if p == "" || filepath.IsAbs(string(p)) {
		return string(p)
	}
	return filepath.Join(c.dir, string(p))
}
