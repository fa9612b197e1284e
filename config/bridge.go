package config

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"stirwatch/sensors/unit"
)

// Bridge is the way to a controller; exactly one dialect is set.
type Bridge struct {
	// Quantities that may be commanded, each with the limits that hold for whoever commands.
	Targets []Target `yaml:"targets" required:"true"`
	// Quantities that are only read, for `stirwatch bridge get`.
	Readings []Reading `yaml:"readings"`
	// Longest time that one request may take.
	Timeout time.Duration `yaml:"timeout" default:"1 s" min:"200 ms" max:"1 min"`
	// Time between two values on the way to the one commanded; of a target that a loop commands more often, the time between two of
	// its commands.
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

// bridge checks that limits make sense, that there is one dialect, and that its words are those of
// the targets and readings.
func (x *crosscheck) bridge(b *Bridge, ports map[Path]string) {
	x.some("bridge.targets", len(b.Targets), "no target is declared", "one \"name: {unit: …, min: …, max: …, slew: …, safe: …}\" a line")
	names := make(map[string]*Target)
	for i := range b.Targets {
		names[b.Targets[i].Name] = &b.Targets[i]
		x.target(&b.Targets[i])
	}
	for _, r := range b.Readings {
		if _, twice := names[r.Name]; twice {
			x.at("bridge.readings."+r.Name, complaint{message: "a target has this name already"})
		}
		names[r.Name] = nil
	}
	words, dialects := x.words(b)
	if dialects != 1 {
		if dialects > 0 || x.sound("bridge") {
			x.at("bridge", complaint{message: fmt.Sprintf("a bridge has exactly one dialect, this one has %d", dialects), allowed: "meld, line, printer, modbus, mqtt"})
		}
		return
	}
	x.bridgePort(b, ports)
	spoken := make(map[string]bool)
	for _, w := range words {
		spoken[w.name] = true
		x.word(w, names)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !spoken[name] && x.sound("bridge") {
			x.at("bridge", complaint{message: "the dialect has no words for " + name, allowed: "an entry " + name + " under its words"})
		}
	}
}

// bridgeWord is what a dialect says for a target or reading.
type bridgeWord struct {
	name, path  string
	sets, reads bool   // it can be commanded, and read back
	safe        string // key of a command of its own for the safe state, if written
	controlled  bool   // that command begins a controller
}

// words checks those of every dialect by themselves, and gives them, with the number of dialects.
func (x *crosscheck) words(b *Bridge) (words []bridgeWord, dialects int) {
	add := func(dialect, name string, sets, reads bool, safe string) {
		path := "bridge." + dialect + ".words." + name
		if safe != "" {
			safe = path + "." + safe
		}
		words = append(words, bridgeWord{name: name, path: path, sets: sets, reads: reads, safe: safe})
	}
	key := func(value, name string) string {
		if value == "" {
			return ""
		}
		return name
	}
	if b.MELD != nil {
		dialects++
		for _, w := range b.MELD.Words {
			add("meld", w.Name, w.Code != "", w.Key != "", key(w.Safe, "safe"))
			words[len(words)-1].controlled = strings.HasPrefix(w.Safe, "M41")
		}
	}
	if b.Line != nil {
		dialects++
		if most := b.Timeout / 4; b.Line.Quiet > most {
			x.at("bridge.line.quiet", complaint{message: "too long for a request to end within bridge.timeout, which is " + inLargest(int64(b.Timeout), durations), allowed: "at most a quarter of that"})
		}
		for _, w := range b.Line.Words {
			add("line", w.Name, w.Set != "", w.Get.Send != "", key(w.Safe, "safe"))
			at := "bridge.line.words." + w.Name
			if w.Get.Line > w.Get.Lines {
				x.at(at+".get.line", complaint{message: "this line does not come back", allowed: "1 to lines, which is " + strconv.Itoa(w.Get.Lines)})
			}
			if w.Get.Send == "" && (w.Set != "" && w.Reply == "" || w.Safe != "" && w.SafeReply == "") {
				x.at(at, complaint{message: "nothing tells that a command arrived", allowed: "get, which reads the value back; or reply, and safe_reply beside safe"})
			}
			if w.Scale == 0 {
				x.at(at+".scale", complaint{message: "a scale of 0 makes every value 0"})
			}
		}
	}
	if b.Printer != nil {
		dialects++
		for _, w := range b.Printer.Words {
			add("printer", w.Name, w.Code != "", true, "")
		}
	}
	if b.Modbus != nil {
		dialects++
		for _, w := range b.Modbus.Words {
			add("modbus", w.Name, true, true, "")
			if w.Scale == 0 {
				x.at("bridge.modbus.words."+w.Name+".scale", complaint{message: "a scale of 0 makes every value 0"})
			}
		}
	}
	if b.MQTT != nil {
		dialects++
		for _, w := range b.MQTT.Words {
			add("mqtt", w.Name, true, true, "")
		}
		if b.MQTT.Password.IsSet() && b.MQTT.Username == "" {
			x.at("bridge.mqtt.password", complaint{message: "a password without a user", allowed: "username beside it"})
		}
		x.tls(b.MQTT.TLS, "bridge.mqtt", string(b.MQTT.Broker), "tls", "ssl", "mqtts")
	}
	return words, dialects
}

// bridgePort checks the way to the controller.
func (x *crosscheck) bridgePort(b *Bridge, ports map[Path]string) {
	switch {
	case b.MQTT != nil:
		x.useless("bridge.serial", b.Serial != nil, "the broker is the way to the controller")
	case b.Serial == nil:
		if x.sound("bridge.serial") {
			x.at("bridge.serial", complaint{message: "this key is missing: the dialect needs a port", allowed: "{port: …, baud: …}"})
		}
	default:
		if first, taken := ports[b.Serial.Port]; taken && b.Serial.Port != "" {
			x.at("bridge.serial.port", complaint{message: "the port is already read by the source " + first, allowed: "a port of its own"})
		}
	}
}

// word checks one word against what it is of: a target, nil for a reading.
func (x *crosscheck) word(w bridgeWord, names map[string]*Target) {
	t, declared := names[w.name]
	switch {
	case !declared:
		x.at(w.path, complaint{"neither a target nor a reading has this name", listed(slices.Sorted(maps.Keys(names))), nearest(w.name, slices.Sorted(maps.Keys(names)))})
	case t == nil:
	case !w.sets && x.sound(w.path):
		x.at(w.path, complaint{message: "a target needs words to command it by", allowed: "set or code beside get or key; or declare it under readings"})
	case w.safe == "" && t.Safe.HandsBack:
		x.at("bridge.targets."+w.name+".safe.hands_back", complaint{message: "nothing gives the target back", allowed: "a command of its own beside the words of " + w.name + ", such as safe: M41 S455"})
	case w.controlled && !t.Safe.HandsBack:
		x.at(w.safe, complaint{message: "it gives the target to a controller, which then moves it", allowed: "hands_back: true in the target's safe state instead of a value"})
	case !w.reads && t.Safe.HandsBack:
		x.at(w.path, complaint{message: "what the machine's own controller holds must be read before it is taken over", allowed: "get or key"})
	case w.safe != "" && t.Safe.AsFound:
		x.at(w.safe, complaint{message: "a command of its own does not lead to what was found", allowed: "value in the target's safe state instead of as_found, or no command of its own"})
	case !w.reads && t.Safe.AsFound:
		x.at(w.path, complaint{message: "what the controller holds cannot be found without reading it", allowed: "get or key; or value in the target's safe state instead of as_found"})
	case w.safe != "" && t.Safe.Ramp:
		x.at(w.safe, complaint{message: "a command of its own cannot be walked to", allowed: "ramp: false in the target's safe state, or no command of its own"})
	}
}

// target checks the limits of one target against each other.
func (x *crosscheck) target(t *Target) {
	path := "bridge.targets." + t.Name
	u := t.Unit
	if u.Symbol == "" {
		return // reported when it was read
	}
	fits := func(q *unit.Quantity, key string) bool {
		if q == nil || !x.written(path+"."+key) || (q.Unit == unit.Unit{}) {
			return false
		}
		if q.Unit.Dim == u.Dim && !bare(q.Unit, u) {
			return true
		}
		c := complaint{message: "the unit does not measure what the target's " + u.Symbol + " measures", allowed: strings.Join(unit.Of(u.Dim), ", ")}
		if q.Unit.Symbol == "1" {
			c.message, c.nearest = "the unit is missing", number(q.Value)+" "+u.Symbol
		}
		x.at(path+"."+key, c)
		return false
	}
	switch safe := path + ".safe"; {
	case t.Safe.Value != nil:
		x.useless(safe+".value", t.Safe.AsFound, "the safe state is as_found")
		x.useless(safe+".value", t.Safe.HandsBack, "the safe state hands the target back")
	case t.Safe.HandsBack:
		x.useless(safe+".as_found", t.Safe.AsFound, "the safe state hands the target back")
		x.useless(safe+".ramp", t.Safe.Ramp, "the safe state hands the target back")
	case !t.Safe.AsFound && x.written(safe) && x.sound(safe):
		x.at(safe+".value", complaint{message: "this key is missing", allowed: "a value in " + u.Symbol + ", as_found: true, or hands_back: true"})
	}
	lo, hi, safe := fits(t.Min, "min"), fits(t.Max, "max"), fits(t.Safe.Value, "safe.value")
	if lo && hi && t.Min.SI() > t.Max.SI() {
		x.at(path+".max", complaint{message: "below min, which is " + t.Min.String()})
		return
	}
	if lo && hi && safe && t.Safe.Ramp && (t.Safe.Value.SI() < t.Min.SI() || t.Safe.Value.SI() > t.Max.SI()) {
		x.at(path+".safe.value", complaint{message: "outside the limits, so that it cannot be walked to", allowed: t.Min.String() + " to " + t.Max.String() + ", or ramp: false"})
	}
	if r := t.Slew; r != nil && r.Unit != "" {
		if _, ok := r.in(u); !ok {
			x.at(path+".slew", complaint{message: "not a rate of change of a value in " + u.Symbol, allowed: perTime(u)})
		}
	}
}
