package config

import (
	"math"
	"slices"
	"strings"
	"time"

	"stirwatch/sensors/unit"
)

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

// limits checks the limits that people set against their channels.
func (x *crosscheck) limits(all []Limit) {
	for i := range all {
		l := &all[i]
		path := "limits." + l.Channel
		ch := x.channel(l.Channel, path)
		for _, p := range l.Phases {
			if !slices.Contains(phases, p) {
				x.at(path+".phases", complaint{message: printable(p) + " is no phase", allowed: strings.Join(phases, ", "), nearest: nearest(p, phases)})
			}
		}
		if l.High == nil && l.Low == nil && x.sound(path) {
			x.at(path, complaint{message: "neither high nor low is set", allowed: "high, low or both"})
		}
		if ch == nil || ch.Unit.Symbol == "" {
			continue // reported already
		}
		x.measures(l.High, ch.Unit, "channel", path+".high")
		x.measures(l.Low, ch.Unit, "channel", path+".low")
		if l.High != nil && l.Low != nil && l.High.Unit.Dim == l.Low.Unit.Dim && l.Low.SI() >= l.High.SI() {
			x.at(path+".high", complaint{message: "not above low, which is " + l.Low.String()})
		}
		x.differs(l.Deadband, ch.Unit, path+".deadband")
	}
}
