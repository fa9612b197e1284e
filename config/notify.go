package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

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
	// Least urgent priority that is told anyway.
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
