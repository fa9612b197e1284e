package config

import (
	_ "embed"
	"fmt"
	"net"
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

// written reports whether the file has the key.
func (x *crosscheck) written(path string) bool {
	_, ok := x.decoder.at[path]
	return ok
}

// sound reports whether nothing was reported of the key path and what stands under it.
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

// useless reports a key that has no meaning beside others.
func (x *crosscheck) useless(path string, is bool, why string) {
	if is {
		x.at(path, complaint{message: "this key has no meaning here: " + why})
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

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func (x *crosscheck) process(p *Process) {
	sound := func(key string) bool { return x.written("process."+key) && x.sound("process."+key) }
	setPoint := sound("set_point.min") && sound("set_point.max")
	if setPoint && sound("ceiling") && p.SetPoint.Max.SI() >= p.Ceiling.SI() {
		x.at("process.ceiling", complaint{message: "not above the highest set-point, which is " + p.SetPoint.Max.String()})
	}
	if setPoint && p.SetPoint.Min.SI() >= p.SetPoint.Max.SI() {
		x.at("process.set_point.max", complaint{message: "not above min, which is " + p.SetPoint.Min.String()})
	}
	if p.Window != nil && sound("window.min") && sound("window.max") && p.Window.Min.SI() >= p.Window.Max.SI() {
		x.at("process.window.max", complaint{message: "not above min, which is " + p.Window.Min.String()})
	}
	x.measures(p.Torque, unit.MustParse("N·m"), "spindle", "process.torque")
	if sound("spindle.min") && sound("spindle.max") && p.Spindle.Min.SI() >= p.Spindle.Max.SI() {
		x.at("process.spindle.max", complaint{message: "not above min, which is " + p.Spindle.Min.String()})
	}
}
