package config

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"stirwatch/sensors/unit"
)

// Modes of a loop.
const (
	Off          = "off"
	Advise       = "advise"
	Confirm      = "confirm"
	AutoSetPoint = "auto set-point"
	AutoActuator = "auto actuator"
)

// Loop is one quantity that is kept at a goal by one target of the bridge.
type Loop struct {
	Name string `yaml:",key" pattern:"^[A-Za-z0-9_.-]{1,64}$" allowed:"1 to 64 letters, digits, _ . or -"`
	// How far it goes: off; advise = it says what it would command; confirm = a person accepts each change; auto set-point = it commands the set-point of the machine's own controller; auto actuator = it commands the actuator itself, instead of the machine's own controller.
	Mode string `yaml:"mode" default:"advise" enum:"off,advise,confirm,auto set-point,auto actuator"`
	// Channel of the quantity that is kept.
	Output string `yaml:"output" required:"true"`
	// Where it is kept: a value, a channel, or a schedule.
	Goal Goal `yaml:"goal,flow" required:"true"`
	// Target of the bridge that is commanded.
	Target string `yaml:"target" required:"true"`
	// Input of the model that the target moves, such as spindle speed or heater 1 power; left out, the set-point of the machine's own controller.
	Moves string `yaml:"moves"`
	// How the command is found: mpc = foretold with the model; pid; follow = the goal itself is the set-point; left out, mpc where it moves an input of a model, else pid where it has gains or a model proposes them, else follow.
	Law string `yaml:"law" enum:"mpc,pid,follow"`
	// Time between two commands; a spindle wants 200 ms, a heater 1 s.
	Every time.Duration `yaml:"every" default:"1 s" min:"100 ms" max:"1 min"`
	// Lowest value that it commands, within the target's own limits; left out, those.
	Min *unit.Quantity `yaml:"min"`
	// Highest value that it commands.
	Max *unit.Quantity `yaml:"max"`
	// Smallest change worth a command, in the target's unit.
	Change float64 `yaml:"change" default:"0" min:"0" max:"1000000"`
	// How long the machine goes on with the last command when nothing renews it; then the target's safe state.
	Lease time.Duration `yaml:"lease" default:"10 s" min:"1 s" max:"10 min"`
	// How long doubt (a dead sensor, an interlock) must be over before the loop commands again; 0 s = when a person says so. After another hand at the controller always a person must.
	Resume time.Duration `yaml:"resume" default:"30 s" min:"0 s" max:"1 d"`
	// How far ahead mpc looks.
	Horizon time.Duration `yaml:"horizon" default:"20 s" min:"2 s" max:"10 min"`
	// How dear mpc holds a change of the command, against an error: larger is calmer.
	Calm float64 `yaml:"calm" default:"1" min:"0.001" max:"1000"`
	// What mpc keeps the output under if it can, as the ceiling of the metal.
	Ceiling *unit.Quantity `yaml:"ceiling"`
	// Length of a disturbance that comes again and again, such as a lap of the path, which mpc cancels; 0 s = mpc finds it.
	Period time.Duration `yaml:"period" default:"0 s" min:"0 s" max:"10 min"`
	// Gains of the pid, which mpc falls back on where the model is not to be relied on; `stirwatch tune` proposes them. Left out, with law: pid and a model, those that it proposes: for a set-point and for the spindle speed.
	PID *PID `yaml:"pid,flow"`
	// What must hold for the loop to command, by channel: the channel is good and its value within bounds.
	Interlocks []Interlock `yaml:"interlocks,flow"`
	// Phases in which the loop commands (stopped, free spin, warm-up, prime, deposit); left out, all.
	Phases []string `yaml:"phases,flow"`
}

// Goal is where an output is kept; exactly one of its keys is set.
type Goal struct {
	// One value for all time, in any unit of the output's kind.
	Value *unit.Quantity `yaml:"value,scalar"`
	// Channel that tells it.
	Channel string `yaml:"channel"`
	// Values from instants on, counted from when the loop begins.
	Schedule []GoalStep `yaml:"schedule,flow"`
}

// GoalStep is one entry of a schedule.
type GoalStep struct {
	// When it begins.
	At time.Duration `yaml:"at" required:"true" min:"0 s" max:"10 d"`
	// The goal from then on.
	Value *unit.Quantity `yaml:"value" required:"true"`
	// true: the goal moves there evenly from the entry before, false: at once.
	Ramp bool `yaml:"ramp" default:"false"`
}

// PID are the gains of a controller with proportional, integral and derivative action.
type PID struct {
	// Change of the command for a unit of error, both in the units of target and output; negative where more of the target makes less of the output.
	Gain float64 `yaml:"gain" required:"true" min:"-1000000" max:"1000000"`
	// Time in which the integral action does as much as the proportional one; 0 s = none.
	Integral time.Duration `yaml:"integral" default:"0 s" min:"0 s" max:"1 d"`
	// Time by which the derivative action looks ahead; 0 s = none.
	Derivative time.Duration `yaml:"derivative" default:"0 s" min:"0 s" max:"1 h"`
	// Share of the goal's change that the proportional action sees.
	Weight float64 `yaml:"weight" default:"1" min:"0" max:"1"`
}

// Interlock is what must hold of one channel.
type Interlock struct {
	Channel string `yaml:",key"`
	// Smallest value.
	Min *unit.Quantity `yaml:"min"`
	// Largest value.
	Max *unit.Quantity `yaml:"max"`
	// How long it may not hold before the loop lets go.
	For time.Duration `yaml:"for" default:"0 s" min:"0 s" max:"1 h"`
}

// turned is the input of which a model proposes the gains of a pid.
const turned = "spindle speed"

var phases = []string{"stopped", "free spin", "warm-up", "prime", "deposit"}

// loops checks the loops against channels and targets.
func (x *crosscheck) loops(c *Config) {
	byTarget := make(map[string]string)
	for i := range c.Control {
		l := &c.Control[i]
		path := "control." + l.Name
		if c.Bridge == nil {
			x.at(path+".target", complaint{message: "there is no bridge", allowed: "a section bridge, which says what may be commanded: docs/bridge.md"})
			return
		}
		x.loop(c, l, path)
		if first, twice := byTarget[l.Target]; twice && l.Target != "" {
			x.at(path+".target", complaint{message: "the loop " + first + " commands it already", allowed: "a target of its own for each loop"})
		}
		byTarget[l.Target] = l.Name
	}
}

func (x *crosscheck) loop(c *Config, l *Loop, path string) {
	var out *Channel
	if l.Output != "" {
		out = x.channel(l.Output, path+".output")
	}
	var target *Target
	var names []string
	for i := range c.Bridge.Targets {
		names = append(names, c.Bridge.Targets[i].Name)
		if c.Bridge.Targets[i].Name == l.Target {
			target = &c.Bridge.Targets[i]
		}
	}
	if target == nil && l.Target != "" {
		x.at(path+".target", complaint{"the bridge has no such target", listed(names), nearest(l.Target, names)})
	}
	if target != nil {
		x.measures(l.Min, target.Unit, "target", path+".min")
		x.measures(l.Max, target.Unit, "target", path+".max")
		if l.Min != nil && l.Max != nil && x.sound(path+".min") && x.sound(path+".max") && l.Min.SI() >= l.Max.SI() {
			x.at(path+".max", complaint{message: "not above min, which is " + l.Min.String()})
		}
	}
	if out != nil {
		x.goal(&l.Goal, out, path+".goal")
		x.measures(l.Ceiling, out.Unit, "output", path+".ceiling")
		if target != nil && l.Moves == "" && out.Unit.Dim != target.Unit.Dim && x.sound(path+".output") {
			x.at(path+".moves", complaint{message: "this key is missing: the target is no set-point of the output, it is in " + target.Unit.Symbol, allowed: "the input of the model that it moves, such as spindle speed"})
		}
	}
	switch {
	case l.Mode == AutoSetPoint && l.Moves != "":
		x.at(path+".moves", complaint{message: "a set-point moves no input of the model by itself", allowed: "mode: auto actuator; or no moves"})
	case l.Mode == AutoActuator && l.Moves == "" && x.sound(path):
		x.at(path+".moves", complaint{message: "this key is missing: an actuator is an input of the process", allowed: "such as spindle speed or heater 1 power; or mode: auto set-point"})
	}
	switch {
	case l.Law == "mpc" && c.Model.File == "":
		x.at(path+".law", complaint{message: "mpc foretells with a model, and there is none", allowed: "model: {file: …}; or pid, follow"})
	case l.Law == "pid" && l.PID == nil && (l.Moves != "" && l.Moves != turned || c.Model.File == "") && x.sound(path):
		x.at(path+".pid", complaint{message: "this key is missing", allowed: "pid: {gain: …, integral: …}, as `stirwatch tune` proposes them"})
	case l.Law == "follow" && l.Moves != "":
		x.at(path+".law", complaint{message: "the goal is no value of an actuator", allowed: "mpc, pid"})
	case l.Law == "" && c.Model.File == "" && l.PID == nil && l.Moves != "" && x.sound(path):
		x.at(path+".law", complaint{message: "there is neither a model nor a pid", allowed: "model: {file: …}, or pid: {gain: …, integral: …}"})
	}
	if l.PID != nil && l.PID.Gain == 0 && x.sound(path+".pid") {
		x.at(path+".pid.gain", complaint{message: "a gain of 0 does nothing"})
	}
	for i := range l.Interlocks {
		in := &l.Interlocks[i]
		at := path + ".interlocks." + in.Channel
		ch := x.channel(in.Channel, at)
		if ch == nil {
			continue
		}
		x.measures(in.Min, ch.Unit, "channel", at+".min")
		x.measures(in.Max, ch.Unit, "channel", at+".max")
	}
	for i, p := range l.Phases {
		if !slices.Contains(phases, p) {
			x.at(fmt.Sprintf("%s.phases[%d]", path, i), complaint{"no phase has this name", strings.Join(phases, ", "), nearest(p, phases)})
		}
	}
}

func (x *crosscheck) goal(g *Goal, out *Channel, path string) {
	set := 0
	for _, is := range []bool{g.Value != nil, g.Channel != "", len(g.Schedule) > 0} {
		if is {
			set++
		}
	}
	if set != 1 {
		if x.sound(path) {
			x.at(path, complaint{message: "a goal is exactly one of value, channel and schedule", allowed: "goal: 455 °C, goal: {channel: …} or goal: {schedule: [{at: 0 s, value: …}, …]}"})
		}
		return
	}
	x.measures(g.Value, out.Unit, "output", path)
	if g.Channel != "" {
		if ch := x.channel(g.Channel, path+".channel"); ch != nil && ch.Unit.Symbol != "" && ch.Unit.Dim != out.Unit.Dim {
			x.at(path+".channel", complaint{message: "it does not measure what the output measures"})
		}
	}
	last := time.Duration(-1)
	for i, s := range g.Schedule {
		at := fmt.Sprintf("%s.schedule[%d]", path, i)
		x.measures(s.Value, out.Unit, "output", at+".value")
		if s.At <= last {
			x.at(at+".at", complaint{message: "not after the entry before"})
		}
		last = s.At
	}
}

// measures reports a quantity that is of another kind than u.
func (x *crosscheck) measures(q *unit.Quantity, u unit.Unit, whose, path string) {
	if q == nil || (q.Unit == unit.Unit{}) || u.Symbol == "" || q.Unit.Dim == u.Dim && !bare(q.Unit, u) {
		return
	}
	c := complaint{message: "the unit does not measure what the " + whose + "'s " + u.Symbol + " measures", allowed: strings.Join(unit.Of(u.Dim), ", ")}
	if q.Unit.Symbol == "1" {
		c.message, c.nearest = "the unit is missing", number(q.Value)+" "+u.Symbol
	}
	x.at(path, c)
}

// bare tells that a number was written without its unit where that is a share of one: 60 for what is in % would be 6000 %.
func bare(written, u unit.Unit) bool {
	return written.Symbol == "1" && u.Dim == unit.None && u.Scale != 1
}
