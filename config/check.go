package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"stirwatch/sensors/unit"
)

// check finds what only shows when keys are seen together, and fills what follows from others.
func (d *decoder) check(c *Config) {
	channels := make(map[string]*Channel)
	var declared []string
	for i := range c.Channels {
		ch := &c.Channels[i]
		channels[ch.Name] = ch
		declared = append(declared, ch.Name)
	}
	x := &crosscheck{decoder: d, channels: channels, declared: declared}
	x.some("channels", len(c.Channels), "no channel is declared", "one \"name: {is: …, unit: …}\" a line")
	x.some("sources", len(c.Sources), "no source is declared", "names, each with serial, mqtt, log or bridge")
	x.channelList(c.Channels)
	ports, sessions := make(map[Path]string), make(map[string]string)
	for i := range c.Sources {
		s := &c.Sources[i]
		path := "sources." + s.Name
		x.oneOf(s, path)
		if s.Serial != nil {
			x.serial(s.Serial, path+".serial")
			if first, taken := ports[s.Serial.Port]; taken && s.Serial.Port != "" {
				x.at(path+".serial.port", complaint{message: "the port is already read by the source " + first, allowed: "one source for each port"})
			}
			ports[s.Serial.Port] = s.Name
		}
		if s.MQTT != nil {
			if s.MQTT.ClientID == "" && s.MQTT.Listen == "" {
				s.MQTT.ClientID = "stirwatch-" + c.Machine + "-" + s.Name
			}
			x.mqtt(s.MQTT, path+".mqtt")
			session := string(s.MQTT.Broker) + " " + s.MQTT.ClientID
			if s.MQTT.Broker == "" {
				session = string(s.MQTT.Listen)
				if first, taken := sessions[session]; taken && session != "" {
					x.at(path+".mqtt.listen", complaint{message: "the source " + first + " listens there already", allowed: "all topics under one source, or an address for each"})
				}
			} else if first, taken := sessions[session]; taken {
				x.at(path+".mqtt.client_id", complaint{message: "the source " + first + " has the same session at this broker: they would throw each other out", allowed: "a client_id of its own for each source"})
			}
			sessions[session] = s.Name
		}
		if s.Log != nil {
			x.runLog(s.Log, path+".log")
		}
		if s.Bridge != nil {
			x.polled(s.Bridge, c.Bridge, path+".bridge")
		}
	}
	if c.Process != nil {
		x.process(c.Process)
	}
	if c.Bridge != nil {
		x.bridge(c.Bridge, ports)
	}
	if c.Notify != nil {
		x.notify(c)
	}
	if c.Page != nil {
		if _, _, ok := address(c.Page.Listen); !ok {
			x.at("page.listen", complaint{message: "not an address with a port", allowed: "such as 127.0.0.1:8765, or 0.0.0.0:8765 for the whole network"})
		}
	}
	if c.Debug != nil {
		x.debug(c.Debug.Listen)
	}
	x.loops(c)
	x.limits(c.Limits)
	if c.InfluxDB != nil {
		x.tls(c.InfluxDB.TLS, "influxdb", string(c.InfluxDB.URL), "https")
	}
}

// crosscheck holds what the checks refer to.
type crosscheck struct {
	*decoder
	channels map[string]*Channel
	declared []string
}

// written tells whether the file has the key.
func (x *crosscheck) written(path string) bool {
	_, ok := x.decoder.at[path]
	return ok
}

// sound tells whether nothing was reported of the key path and what stands under it.
func (x *crosscheck) sound(path string) bool {
	return !slices.ContainsFunc(x.problems, func(p Problem) bool {
		rest, under := strings.CutPrefix(p.Key, path)
		return under && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// some reports a list that is written without an entry.
func (x *crosscheck) some(path string, n int, message, allowed string) {
	if n == 0 && x.written(path) && x.sound(path) {
		x.at(path, complaint{message: message, allowed: allowed})
	}
}

// at reports a problem at the key path, or at the nearest key above it that is written.
func (x *crosscheck) at(path string, c complaint) {
	p, ok := x.decoder.at[path]
	value := p.text
	for above := path; !ok && above != ""; value = "" {
		i := max(strings.LastIndexByte(above, '.'), 0)
		above = above[:i]
		p, ok = x.decoder.at[above]
	}
	if !ok {
		p = place{Line: 1, Column: 1}
	}
	x.report(p, path, value, c)
}

func (x *crosscheck) channelList(list []Channel) {
	taken := make(map[Role]string)
	for i := range list {
		ch := &list[i]
		path := "channels." + ch.Name
		if first, twice := taken[ch.Is]; twice && ch.Is != "other" {
			x.at(path+".is", complaint{message: "the channel " + first + " is that already", allowed: "each kind once; other for the rest"})
		} else {
			taken[ch.Is] = ch.Name
		}
		if !x.written(path + ".unit") {
			continue
		}
		u := ch.Unit
		if u.Symbol == "" {
			continue // reported when it was read
		}
		if dim := ch.Is.dimension(); dim != nil && *dim != u.Dim {
			x.at(path+".unit", complaint{message: string(ch.Is) + " cannot be in this unit", allowed: strings.Join(unit.Of(*dim), ", ")})
		}
		fits := true
		for _, limit := range []struct {
			key string
			q   *unit.Quantity
		}{{"min", ch.Min}, {"max", ch.Max}} {
			if limit.q == nil || !x.written(path+"."+limit.key) || (limit.q.Unit == unit.Unit{}) {
				continue
			}
			if limit.q.Unit.Dim != u.Dim || bare(limit.q.Unit, u) {
				fits = false
				c := complaint{message: "the unit does not measure what the channel's " + u.Symbol + " measures", allowed: strings.Join(unit.Of(u.Dim), ", ")}
				if limit.q.Unit.Symbol == "1" {
					c.message, c.nearest = "the unit is missing", number(limit.q.Value)+" "+u.Symbol
				}
				x.at(path+"."+limit.key, c)
			}
		}
		if fits && ch.Min != nil && ch.Max != nil && (ch.Min.Unit != unit.Unit{}) && (ch.Max.Unit != unit.Unit{}) && ch.Min.SI() >= ch.Max.SI() {
			x.at(path+".max", complaint{message: "not above min, which is " + ch.Min.String()})
		}
		x.differs(ch.DeadBand, u, path+".dead_band")
		if r := ch.MaxRate; r != nil && r.Unit != "" {
			if _, ok := r.in(u); !ok {
				x.at(path+".max_rate", complaint{message: "not a rate of change of a value in " + u.Symbol, allowed: perTime(u)})
			}
		}
	}
}

// differs reports a difference that is none of a channel's values, which are in u.
func (x *crosscheck) differs(d *Difference, u unit.Unit, path string) {
	if d == nil || d.Unit == "" {
		return
	}
	if _, ok := d.in(u); ok {
		return
	}
	c := complaint{message: "the unit does not measure what the channel's " + u.Symbol + " measures", allowed: strings.Join(unit.Of(u.Dim), ", ")}
	if d.Unit == "1" {
		c.message, c.nearest = "the unit is missing", number(d.Value)+" "+u.Symbol
	}
	x.at(path, c)
}

// perTime lists ways to write a rate of u.
func perTime(u unit.Unit) string {
	of := unit.Of(u.Dim)
	for i := range of {
		of[i] += "/s"
	}
	return strings.Join(of, ", ")
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

// useless reports a key that has no meaning beside others.
func (x *crosscheck) useless(path string, is bool, why string) {
	if is {
		x.at(path, complaint{message: "this key has no meaning here: " + why})
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

// channel finds a declared channel; an undeclared one is reported at path.
func (x *crosscheck) channel(name, path string) *Channel {
	ch := x.channels[name]
	if ch == nil && !x.full() {
		c := complaint{"the channel " + printable(name) + " is not declared", listed(x.declared), nearest(name, x.declared)}
		p := x.decoder.at[path]
		if p.text == name {
			p.text = ""
		}
		x.report(p, path, p.text, c)
	}
	return ch
}

// listed joins names for a message and stops where it would get too long.
func listed(names []string) string {
	if len(names) > 40 {
		return strings.Join(names[:40], ", ") + fmt.Sprintf(" and %d more", len(names)-40)
	}
	return strings.Join(names, ", ")
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

// loopback tells whether only programs of this computer reach a host.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// debug refuses addresses at which others could look into the agent.
func (x *crosscheck) debug(listen string) {
	switch host, port, ok := address(listen); {
	case !ok || port == 0:
		x.at("debug.listen", complaint{message: "not an address with a port", allowed: "such as 127.0.0.1:6060"})
	case !loopback(host):
		x.at("debug.listen", complaint{message: "not a loopback address: anyone on the network could look into the agent's memory", allowed: "127.0.0.1, ::1 or localhost, reached over SSH from elsewhere"})
	}
}

// address takes an address with a port apart.
func address(listen string) (host string, port uint16, ok bool) {
	host, text, err := net.SplitHostPort(listen)
	n, bad := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err == nil && bad == nil
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
	}
	x.useless(path+".fields", x.written(path+".fields"), "fields belong to payload: frame")
	if t.Channel == "" {
		x.at(path+".channel", complaint{message: "this key is missing", allowed: "a channel's name, or a pattern such as \"{3}_{4}\" of topic levels"})
		return
	}
	x.template(t, levels, path)
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

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

func (x *crosscheck) process(p *Process) {
	sound := func(key string) bool { return x.written("process."+key) && x.sound("process."+key) }
	setPoint := sound("set_point.min") && sound("set_point.max")
	if setPoint && sound("ceiling") && p.SetPoint.Max.SI() >= p.Ceiling.SI() {
		x.at("process.ceiling", complaint{message: "not above the highest set-point, which is " + p.SetPoint.Max.String()})
	}
	if setPoint && p.SetPoint.Min.SI() >= p.SetPoint.Max.SI() {
		x.at("process.set_point.max", complaint{message: "not above min, which is " + p.SetPoint.Min.String()})
	}
	if sound("spindle.min") && sound("spindle.max") && p.Spindle.Min.SI() >= p.Spindle.Max.SI() {
		x.at("process.spindle.max", complaint{message: "not above min, which is " + p.Spindle.Min.String()})
	}
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
	type word struct {
		name, path  string
		sets, reads bool   // it can be commanded, and read back
		safe        string // key of a command of its own for the safe state, if written
		controlled  bool   // that command begins a controller
	}
	var words []word
	dialects := 0
	add := func(dialect, name string, sets, reads bool, safe string) {
		path := "bridge." + dialect + ".words." + name
		if safe != "" {
			safe = path + "." + safe
		}
		words = append(words, word{name: name, path: path, sets: sets, reads: reads, safe: safe})
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
	if dialects != 1 {
		if dialects > 0 || x.sound("bridge") {
			x.at("bridge", complaint{message: fmt.Sprintf("a bridge has exactly one dialect, this one has %d", dialects), allowed: "meld, line, printer, modbus, mqtt"})
		}
		return
	}
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
	spoken := make(map[string]bool)
	for _, w := range words {
		spoken[w.name] = true
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
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !spoken[name] && x.sound("bridge") {
			x.at("bridge", complaint{message: "the dialect has no words for " + name, allowed: "an entry " + name + " under its words"})
		}
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
