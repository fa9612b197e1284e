package config

import (
	_ "embed"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"stirwatch/sensors/unit"
)

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
	// Column name, number counted from 1, key, or JSON path such as data.temp or metrics[name=T1].value.
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
	// Character between two values, a blank for any run of them; left out, the header and the rows below it tell.
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

// Place is what a source reads, in the words of the configuration: a port, a broker, a file.
func (s *Source) Place() string {
	switch {
	case s.Serial != nil:
		return string(s.Serial.Port)
	case s.MQTT != nil:
		return string(s.MQTT.Broker + s.MQTT.Listen)
	case s.Bridge != nil:
		return "the bridge's controller"
	default:
		return string(s.Log.Path)
	}
}

func (x *crosscheck) oneOf(s *Source, path string) {
	n := 0
	for _, set := range []bool{s.Serial != nil, s.MQTT != nil, s.Log != nil, s.Bridge != nil} {
		if set {
			n++
		}
	}
	if n == 1 {
		return
	}
	if n == 0 && !x.sound(path) {
		return // a misspelt kind was reported as an unknown key
	}
	x.at(path, complaint{message: fmt.Sprintf("a source has exactly one kind, this one has %d", n), allowed: "serial, mqtt, log, bridge"})
}

func (x *crosscheck) serial(s *Serial, path string) {
	x.fields(s.Fields, path)
	for _, f := range s.Fields {
		x.keySaysUnit(f.Key, f.Unit, f.Channel, path+".fields."+f.Channel+".key")
	}
	switch {
	case s.Format == "daq":
		x.useless(path+".time", s.Time != nil, "a daq frame has its own time stamp")
	case s.Clock == Device && s.Time == nil:
		x.at(path+".clock", complaint{message: "the device's clock cannot rule without its time stamp", allowed: "time: {key: …, unit: …} beside it, or clock: arrival"})
	}
	for _, f := range s.Fields {
		if s.Format == "keyvalue" && (strings.ContainsAny(string(f.Key), "=:,;\t\"#") || strings.TrimSpace(string(f.Key)) != string(f.Key)) {
			x.at(path+".fields."+f.Channel, complaint{message: "no keyvalue line can have the key " + printable(string(f.Key)) + ": keys end before = or :, and pairs at a comma or semicolon", allowed: "letters, digits, blanks within"})
		}
	}
	if s.Format == "csv" && s.Separator == "," && s.Decimal == "," {
		x.at(path+".decimal", complaint{message: "a comma cannot part columns and be the decimal sign", allowed: "separator: \";\" or another beside it, or decimal: \".\""})
	}
	x.useless(path+".decimal", s.Format == "daq" && s.Decimal != "", "a daq frame has no text")
	if s.Format == "json" || s.Format == "daq" {
		x.useless(path+".separator", s.Separator != ",", "a "+s.Format+" message has no separator")
	}
}

func (x *crosscheck) fields(fields []Field, path string) {
	for _, f := range fields {
		at := path + ".fields." + f.Channel
		if ch := x.channel(f.Channel, at); ch != nil {
			x.fits(f.Unit, ch, at+".unit")
		}
	}
}

// bracketed finds the unit of a header's column: T1 [°F].
var bracketed = regexp.MustCompile(`[\[(]([^\])=]+)[\])]`)

// element finds the value that an element of an array is named by: metrics[name=P_kW].value.
var element = regexp.MustCompile(`=([^\]]*)\]`)

// keySaysUnit reports the key of a message that ends with another unit than its channel's, where nobody says in which the value is.
// What a log's header says is looked at when it is read. One letter may be anything, but for °F and °C.
func (x *crosscheck) keySaysUnit(key Key, given *unit.Unit, channel, path string) {
	ch := x.channels[channel]
	if ch == nil || given != nil {
		return
	}
	names := []string{string(key)}
	for _, m := range element.FindAllStringSubmatch(string(key), -1) {
		names = append(names, m[1])
	}
	for _, m := range bracketed.FindAllStringSubmatch(string(key), -1) {
		names = append(names, "in "+m[1])
	}
	for _, name := range names {
		u, text, ok := unit.Behind(name, ch.Unit.Dim)
		if m, err := unit.Between(u, ch.Unit); ok && err == nil && m != unit.Identity && (len(text) > 1 || text == "F" || text == "C") {
			x.at(path, complaint{message: fmt.Sprintf("the key says %s, and its channel is in %s", u, ch.Unit), allowed: fmt.Sprintf("unit: %s beside it, or unit: %s", u, ch.Unit)})
			return
		}
	}
}

// fits reports a unit that cannot be converted to the channel's.
func (x *crosscheck) fits(u *unit.Unit, ch *Channel, path string) {
	if u != nil && u.Symbol != "" && ch.Unit.Symbol != "" && u.Dim != ch.Unit.Dim {
		x.at(path, complaint{message: "cannot be converted to the channel's " + ch.Unit.Symbol, allowed: strings.Join(unit.Of(ch.Unit.Dim), ", ")})
	}
}

func (x *crosscheck) mqtt(m *MQTT, path string) {
	if m.Password.IsSet() && m.Username == "" {
		x.at(path+".password", complaint{message: "a password without a user", allowed: "username beside it"})
	}
	switch {
	case m.Broker == "" && m.Listen == "" && x.sound(path+".broker") && x.sound(path+".listen"):
		x.at(path, complaint{message: "no broker is named", allowed: "broker: the address of one, or listen: to be the broker"})
	case m.Broker != "" && m.Listen != "":
		x.at(path+".listen", complaint{message: "a source reads a broker or is one", allowed: "either broker or listen"})
	case m.Listen != "":
		x.broker(m, path)
	default:
		x.useless(path+".users", m.Users != nil, "users are those of a broker that the agent itself is, with listen; here it is username and password")
		x.tls(m.TLS, path, string(m.Broker), "tls", "ssl", "mqtts")
	}
	x.some(path+".topics", len(m.Topics), "no topic is named", "[{topic: …, channel: …}, …]")
	for i := range m.Topics {
		x.topic(&m.Topics[i], m.Clock, fmt.Sprintf("%s.topics[%d]", path, i))
	}
}

// broker checks a source that is the broker.
func (x *crosscheck) broker(m *MQTT, path string) {
	for _, key := range []string{"client_id", "username", "password"} {
		x.useless(path+"."+key, x.written(path+"."+key), "with listen the others connect; users says who may")
	}
	for i := range m.Users {
		if u := &m.Users[i]; !u.Password.IsSet() && x.sound(path+".users."+u.Name) {
			x.at(path+".users."+u.Name, complaint{message: "a user without a password", allowed: "{env: NAME} or {file: PATH}"})
		}
	}
	secure := !strings.HasPrefix(string(m.Listen), "tcp:") && !strings.HasPrefix(string(m.Listen), "mqtt:")
	u, err := url.Parse(string(m.Listen))
	switch {
	case err != nil: // reported when it was read
	case secure && (m.TLS == nil || m.TLS.Cert == ""):
		x.at(path+".listen", complaint{message: "an encrypted broker needs a certificate", allowed: "tls: {cert: …, key: …} beside it"})
	case len(m.Users) == 0 && !loopback(u.Hostname()) && (m.TLS == nil || m.TLS.CA == ""):
		x.at(path+".listen", complaint{message: "others could connect from the network without a password", allowed: "users beside it; or tls with ca, so that only certificates of that authority may; or a loopback address such as tcp://127.0.0.1:1883"})
	}
	x.tls(m.TLS, path, string(m.Listen), "tls", "ssl", "mqtts")
}

// loopback reports whether only programs of this computer reach a host.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (x *crosscheck) topic(t *Topic, clock, path string) {
	if t.Topic == "" {
		return
	}
	levels := strings.Split(t.Topic, "/")
	if levels[0] == "$share" && len(levels) > 2 {
		levels = levels[2:] // $share/group/… : the group is no part of the topic
	}
	for i, l := range levels {
		if strings.Contains(l, "+") && l != "+" || strings.Contains(l, "#") && (l != "#" || i != len(levels)-1) || strings.ContainsRune(l, 0) {
			x.at(path+".topic", complaint{message: "not a topic filter", allowed: "+ alone between slashes, # alone at the end"})
			return
		}
	}
	if clock == Device && t.Time == nil {
		x.at(path+".time", complaint{message: "this key is missing: clock: device needs the message's time stamp", allowed: "{key: …, unit: …}"})
	}
	switch t.Payload {
	case "frame":
		for _, key := range []string{"channel", "value", "unit", "unit_key", "sentinel"} {
			x.useless(path+"."+key, x.written(path+"."+key), "a frame names its channels under fields")
		}
		x.fields(t.Fields, path)
		for _, f := range t.Fields {
			x.keySaysUnit(f.Key, f.Unit, f.Channel, path+".fields."+f.Channel+".key")
		}
		return
	case "number":
		for _, key := range []string{"value", "unit_key", "time"} {
			x.useless(path+"."+key, x.written(path+"."+key), "a bare number has no parts; use payload: json for a document")
		}
	case "json":
		if t.Value == "" {
			t.Value = "value"
		}
		x.useless(path+".unit", x.written(path+".unit") && x.written(path+".unit_key"), "unit_key finds the unit in the message")
		if t.UnitKey == "" {
			x.keySaysUnit(t.Value, t.Unit, t.Channel, path+".value")
		}
	}
	x.useless(path+".fields", x.written(path+".fields"), "fields belong to payload: frame")
	if t.Channel == "" {
		x.at(path+".channel", complaint{message: "this key is missing", allowed: "a channel's name, or a pattern such as \"{3}_{4}\" of topic levels"})
		return
	}
	x.template(t, levels, path)
}

// template checks a channel name in which {n} stands for level n of the topic: at least one
// declared channel must be able to come out of it.
func (x *crosscheck) template(t *Topic, levels []string, path string) {
	if !strings.ContainsAny(t.Channel, "{}") {
		if ch := x.channel(t.Channel, path+".channel"); ch != nil {
			x.fits(t.Unit, ch, path+".unit")
		}
		return
	}
	open := levels[len(levels)-1] == "#"
	var match strings.Builder
	rest := t.Channel
	for {
		loc := placeholder.FindStringIndex(rest)
		if loc == nil {
			break
		}
		match.WriteString(regexp.QuoteMeta(rest[:loc[0]]))
		n, err := strconv.Atoi(rest[loc[0]+1 : loc[1]-1])
		switch {
		case err != nil || n < 1 || n > len(levels) && !open:
			x.at(path+".channel", complaint{message: fmt.Sprintf("the topic has no level %s", rest[loc[0]:loc[1]]), allowed: fmt.Sprintf("{1} to {%d}", len(levels))})
			return
		case n > len(levels) || levels[n-1] == "+" || levels[n-1] == "#":
			match.WriteString("[^/]+")
		default:
			match.WriteString(regexp.QuoteMeta(levels[n-1]))
		}
		rest = rest[loc[1]:]
	}
	match.WriteString(regexp.QuoteMeta(rest))
	can, err := regexp.Compile("^(?:" + match.String() + ")$")
	if err != nil || !x.full() && !slices.ContainsFunc(x.declared, can.MatchString) {
		x.at(path+".channel", complaint{message: "no declared channel can come out of this", allowed: listed(x.declared)})
	}
}

func (x *crosscheck) tls(t *TLS, path, address string, schemes ...string) {
	if t == nil {
		return
	}
	scheme, rest, _ := strings.Cut(address, "://")
	if address != "" && !slices.Contains(schemes, scheme) {
		x.at(path+".tls", complaint{message: "certificates, but the address " + printable(address) + " is not encrypted", allowed: "an address that starts with " + strings.Join(schemes, "://, ") + "://", nearest: schemes[0] + "://" + printable(rest)})
	}
	if (t.Cert == "") != (t.Key == "") {
		x.at(path+".tls", complaint{message: "cert and key of the client belong together", allowed: "both or neither"})
	}
}

func (x *crosscheck) runLog(l *RunLog, path string) {
	x.fields(l.Fields, path)
	if l.Format == "csv" {
		x.useless(path+".units", l.Units != "auto", "units are found for MELD logs; for csv write them under fields")
		if l.Clock == Device && l.Time == nil {
			x.at(path+".clock", complaint{message: "the file's time stamps cannot rule without their column", allowed: "time: {key: …, unit: …} beside it, or clock: arrival"})
		}
	}
}

// Polled are values of the bridge as a source.
type Polled struct {
	// Time between two questions; one question that tells several values is asked once.
	Poll time.Duration `yaml:"poll" default:"1 s" min:"50 ms" max:"10 min"`
	// Nothing received for this long is reported; 0 s = never.
	Silence time.Duration `yaml:"silence" default:"10 s" min:"0 s" max:"1 d"`
	// Which target or reading of the bridge goes to which channel.
	Read []PolledField `yaml:"read,flow"`
	// Which target's last command goes to which channel.
	Commanded []PolledField `yaml:"commanded,flow"`
}

// PolledField is one channel that the bridge fills.
type PolledField struct {
	Channel string `yaml:",key"`
	// Name of the target or reading.
	From string `yaml:"from,scalar" required:"true"`
	// Values by which the controller says "no signal", as it tells them.
	Sentinel []float64 `yaml:"sentinel,flow"`
}

// polled checks a source that reads through the bridge.
func (x *crosscheck) polled(p *Polled, b *Bridge, path string) {
	if b == nil {
		x.at(path, complaint{message: "there is no bridge to read through", allowed: "a section bridge: docs/bridge.md"})
		return
	}
	units := make(map[string]unit.Unit)
	var targets, all []string
	for i := range b.Targets {
		units[b.Targets[i].Name] = b.Targets[i].Unit
		targets = append(targets, b.Targets[i].Name)
	}
	all = append(all, targets...)
	for i := range b.Readings {
		units[b.Readings[i].Name] = b.Readings[i].Unit
		all = append(all, b.Readings[i].Name)
	}
	if len(p.Read)+len(p.Commanded) == 0 && x.sound(path) {
		x.at(path, complaint{message: "nothing is read", allowed: "read: {channel: name of a target or reading}, commanded: {channel: target}"})
	}
	for _, list := range []struct {
		key    string
		fields []PolledField
		known  []string
	}{{"read", p.Read, all}, {"commanded", p.Commanded, targets}} {
		for _, f := range list.fields {
			at := path + "." + list.key + "." + f.Channel
			ch := x.channel(f.Channel, at)
			if f.From == "" {
				continue
			}
			if !slices.Contains(list.known, f.From) {
				x.at(at+".from", complaint{"the bridge has nothing of this name here", listed(list.known), nearest(f.From, list.known)})
			} else if u := units[f.From]; ch != nil && ch.Unit.Symbol != "" && u.Symbol != "" && ch.Unit.Dim != u.Dim {
				x.at(at+".from", complaint{message: "it is in " + u.Symbol + ", which cannot be converted to the channel's " + ch.Unit.Symbol})
			}
		}
	}
}
