package config

import (
	"fmt"
	"slices"
	"strings"
)

// notify checks whom alarms are told, and fills the topics that are left out.
func (x *crosscheck) notify(c *Config) {
	x.some("notify.targets", len(c.Notify.Targets), "nobody is told", "one \"name: {…}\" a line, or no notify section")
	topics := make(map[string]string)
	for i := range c.Notify.Targets {
		t := &c.Notify.Targets[i]
		path := "notify.targets." + t.Name
		x.oneWay(t, path)
		if q := t.Quiet; q != nil && q.From == q.To && q.From != "" {
			x.at(path+".quiet.to", complaint{message: "the same as from: that is no time, or all of it", allowed: "another time of day"})
		}
		if m := t.MQTT; m != nil {
			if m.Topic == "" {
				m.Topic = "stirwatch/" + c.Machine + "/alarms"
			}
			if m.Password.IsSet() && m.Username == "" {
				x.at(path+".mqtt.password", complaint{message: "a password without a user", allowed: "username beside it"})
			}
			x.tls(m.TLS, path+".mqtt", string(m.Broker), "tls", "ssl", "mqtts")
			place := string(m.Broker) + " " + m.Topic
			if first, taken := topics[place]; taken {
				x.at(path+".mqtt.topic", complaint{message: "the target " + first + " has this topic of this broker already", allowed: "a topic of its own"})
			}
			topics[place] = t.Name
		}
		if m := t.Mail; m != nil && m.Password.IsSet() && m.Username == "" {
			x.at(path+".mail.password", complaint{message: "a password without a user", allowed: "username beside it"})
		}
		if t.Command != nil && len(t.Command.Run) == 0 && x.written(path+".command.run") && x.sound(path+".command.run") {
			x.at(path+".command.run", complaint{message: "no program is named", allowed: "[/path/to/program, argument, …]"})
		}
		if t.Light != nil {
			x.light(c, t.Light, path+".light")
		}
	}
}

func (x *crosscheck) oneWay(t *NotifyTarget, path string) {
	n := 0
	for _, set := range []bool{t.MQTT != nil, t.Mail != nil, t.Ntfy != nil, t.Webhook != nil, t.Command != nil, t.Light != nil} {
		if set {
			n++
		}
	}
	if n == 1 || n == 0 && !x.sound(path) { // a misspelt way was reported as an unknown key
		return
	}
	x.at(path, complaint{message: fmt.Sprintf("a target is told in exactly one way, this one in %d", n), allowed: "mqtt, mail, ntfy, webhook, command, light"})
}

// light checks that the bridge has the target, and that its limits let the values pass.
func (x *crosscheck) light(c *Config, l *NotifyLight, path string) {
	if c.Bridge == nil {
		x.at(path+".target", complaint{message: "there is no bridge to set it by", allowed: "a target of the section bridge"})
		return
	}
	i := slices.IndexFunc(c.Bridge.Targets, func(t Target) bool { return t.Name == l.Target })
	if i < 0 {
		var names []string
		for _, t := range c.Bridge.Targets {
			names = append(names, t.Name)
		}
		x.at(path+".target", complaint{"the bridge has no such target", strings.Join(names, ", "), nearest(l.Target, names)})
		return
	}
	t := &c.Bridge.Targets[i]
	if t.Min == nil || t.Max == nil || t.Min.Unit.Dim != t.Unit.Dim || t.Max.Unit.Dim != t.Unit.Dim {
		return // reported where it stands
	}
	for key, v := range map[string]float64{"high": l.High, "medium": l.Medium, "low": l.Low} {
		if lo, hi := t.Min.In(t.Unit), t.Max.In(t.Unit); x.written(path+"."+key) && (v < lo || v > hi) {
			x.at(path+"."+key, complaint{message: "outside the limits of the bridge's target " + t.Name, allowed: number(lo) + " to " + number(hi) + " " + t.Unit.Symbol})
		}
	}
	if l.Lease > t.Lease {
		x.at(path+".lease", complaint{message: "longer than the longest lease of the bridge's target " + t.Name, allowed: "up to " + inLargest(int64(t.Lease), durations)})
	}
}
