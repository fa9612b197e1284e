package assemble

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"stirwatch/agent"
	"stirwatch/config"
	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// newPolled makes the source that reads through the bridge.
func newPolled(c *config.Config, name string, p *config.Polled, reg *sensors.Registry, clock sensors.Clock, b *bridge.Bridge) (sensors.Source, error) {
	units := make(map[string]unit.Unit)
	for i := range c.Bridge.Targets {
		units[c.Bridge.Targets[i].Name] = c.Bridge.Targets[i].Unit
	}
	for i := range c.Bridge.Readings {
		units[c.Bridge.Readings[i].Name] = c.Bridge.Readings[i].Unit
	}
	o := agent.PolledOptions{Name: name, Bridge: b, Registry: reg, Poll: p.Poll, Silence: p.Silence, Clock: clock}
	for _, list := range []struct {
		from []config.PolledField
		to   *[]agent.PolledChannel
	}{{p.Read, &o.Read}, {p.Commanded, &o.Commanded}} {
		for _, f := range list.from {
			id, err := lookup(reg, f.Channel)
			if err != nil {
				return nil, err
			}
			*list.to = append(*list.to, agent.PolledChannel{Channel: id, From: f.From, Unit: units[f.From], Sentinels: f.Sentinel})
		}
	}
	return agent.NewPolled(o)
}

// loops turns the section control into the agent's loops.
func loops(c *config.Config, reg *sensors.Registry) ([]agent.Loop, error) {
	var all []agent.Loop
	for i := range c.Control {
		l, err := loopOf(c, &c.Control[i], reg)
		if err != nil {
			return nil, fmt.Errorf("control %s: %w", c.Control[i].Name, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func loopOf(c *config.Config, l *config.Loop, reg *sensors.Registry) (o agent.Loop, err error) {
	target := &c.Bridge.Targets[slices.IndexFunc(c.Bridge.Targets, func(t config.Target) bool { return t.Name == l.Target })]
	o = agent.Loop{
		Name: l.Name, Mode: agent.Mode(l.Mode), Auto: agent.AutoSetPoint, Target: l.Target,
		Limits: control.Limits{Min: target.Min.In(target.Unit), Max: target.Max.In(target.Unit), Slew: target.Slew.PerSecond(target.Unit)},
		Moves:  l.Moves, Change: l.Change, Every: l.Every, Lease: min(l.Lease, target.Lease), Resume: l.Resume,
	}
	if l.Moves != "" {
		o.Auto = agent.AutoActuator
	}
	if l.Min != nil {
		o.Limits.Min = max(o.Limits.Min, l.Min.In(target.Unit))
	}
	if l.Max != nil {
		o.Limits.Max = min(o.Limits.Max, l.Max.In(target.Unit))
	}
	if o.Limits.Min > o.Limits.Max {
		return o, fmt.Errorf("its limits and those of the target %s leave nothing to command", l.Target)
	}
	if step := o.Limits.Slew * l.Every.Seconds(); l.Change > step && law(c, l) != "follow" {
		return o, fmt.Errorf("change: %g %s is more than the target's slew lets it move in every %v, %.3g: nothing would ever be commanded; take a smaller change or a longer every", l.Change, target.Unit.Symbol, l.Every, step)
	}
	if o.Output, err = lookup(reg, l.Output); err != nil {
		return o, err
	}
	out := reg.Channel(o.Output)
	switch g := &l.Goal; {
	case g.Value != nil:
		o.Goal = control.Constant(g.Value.In(out.Unit))
	case g.Channel != "":
		if o.GoalBy, err = lookup(reg, g.Channel); err != nil {
			return o, err
		}
	default:
		var steps []control.GoalStep
		for _, s := range g.Schedule {
			steps = append(steps, control.GoalStep{At: s.At.Seconds(), Value: s.Value.In(out.Unit), Ramp: s.Ramp})
		}
		o.Goal = control.Schedule(steps)
	}
	for _, in := range l.Interlocks {
		id, err := lookup(reg, in.Channel)
		if err != nil {
			return o, err
		}
		lock := agent.Interlock{Channel: id, Min: math.Inf(-1), Max: math.Inf(1), For: in.For}
		if in.Min != nil {
			lock.Min = in.Min.In(reg.Channel(id).Unit)
		}
		if in.Max != nil {
			lock.Max = in.Max.In(reg.Channel(id).Unit)
		}
		o.Locks = append(o.Locks, lock)
	}
	o.Phases = phasesOf(l.Phases)
	o.NewLaw = lawOf(c, l, o.Limits, out, target.Unit)
	if l.PID != nil && law(c, l) == "mpc" {
		o.Default = pidOf(l, o.Limits, out.Unit, target.Unit)
	}
	return o, nil
}

// law is the name of a loop's law: that of the configuration, else the default.
func law(c *config.Config, l *config.Loop) string {
	switch {
	case l.Law != "":
		return l.Law
	case c.Model.File != "" && l.Moves != "":
		return "mpc"
	case c.Model.File != "" || l.PID != nil:
		return "pid"
	}
	return "follow"
}

// proposed makes a PID with the gains that a model proposes: on a set-point of the machine's own controller, or on the spindle.
func proposed(m *model.Model, l *config.Loop, limits control.Limits, out *sensors.Channel, target unit.Unit) (*control.PID, error) {
	onSpindle, rpm := l.Moves == model.SpindleSpeed, unit.MustParse("rpm")
	switch {
	case m == nil:
		return nil, errors.New("gains of its pid are proposed by a model, and there is none: write pid: {gain: …, integral: …}")
	case string(out.Role) != model.ToolTemperature || onSpindle && target != rpm || !onSpindle && out.Unit != target:
		return nil, errors.New("gains of its pid are proposed for the tool temperature, by a set-point in its unit or by the spindle speed in rpm: write pid: {gain: …, integral: …}")
	}
	propose := control.BesideController
	if onSpindle {
		propose = control.OnSpindle
	}
	t, err := propose(m, l.Every.Seconds())
	if err != nil {
		return nil, fmt.Errorf("no gains are proposed for its pid: %w; or write pid: {gain: …, integral: …}", err)
	}
	if onSpindle {
		t.Gain *= out.Unit.Scale // rpm for one of the output's unit
		return &control.PID{Limits: limits, Gains: t.Gains}, nil
	}
	return &control.PID{Limits: limits, Gains: t.Gains, Feed: control.Itself, Near: control.NearItself / out.Unit.Scale}, nil
}

// pidOf makes a PID. Where it commands a set-point of the output itself, in the output's unit, it adds to the goal.
func pidOf(l *config.Loop, limits control.Limits, out, target unit.Unit) *control.PID {
	p := &control.PID{Limits: limits, Gains: control.Gains{
		Gain: l.PID.Gain, Integral: l.PID.Integral.Seconds(), Derivative: l.PID.Derivative.Seconds(), Weight: l.PID.Weight}}
	if l.Moves == "" && out == target {
		p.Feed = control.Itself
		if out.Dim == unit.MustParse("K").Dim {
			p.Near = control.NearItself / out.Scale
		}
	}
	return p
}

// lawOf makes the law of a loop, for a model or without one.
func lawOf(c *config.Config, l *config.Loop, limits control.Limits, out *sensors.Channel, target unit.Unit) func(*model.Model, *filter.Estimator, *filter.Estimate) (control.Law, error) {
	return func(m *model.Model, e *filter.Estimator, now *filter.Estimate) (control.Law, error) {
		switch law(c, l) {
		case "pid":
			if l.PID != nil {
				return pidOf(l, limits, out.Unit, target), nil
			}
			if pid, err := proposed(m, l, limits, out, target); err == nil || l.Law != "" {
				return pid, err
			}
			return &control.Follow{Limits: limits}, nil
		case "follow":
			return &control.Follow{Limits: limits}, nil
		}
		if m == nil {
			return nil, errors.New("mpc foretells with a model, and there is none")
		}
		use := control.Use{Output: string(out.Role), OutputUnit: out.Unit, Moves: l.Moves, TargetUnit: target}
		foretell, err := control.Through(m, e, now, use)
		if err != nil {
			return nil, err
		}
		within, err := use.Learned(m, limits)
		if err != nil {
			return nil, err
		}
		o := control.MPCOptions{Limits: within, Every: l.Every.Seconds(), Horizon: l.Horizon.Seconds(), Calm: l.Calm, Period: l.Period.Seconds(),
			Ceiling: math.NaN(), Factor: control.Hidden(m, l.Moves), Foretell: foretell}
		if l.Ceiling != nil {
			o.Ceiling = l.Ceiling.In(out.Unit)
		}
		return control.NewMPC(o), nil
	}
}

// phasesOf are the phases of these names.
func phasesOf(names []string) (all []phase.Phase) {
	for p := phase.Stopped; p <= phase.Deposit; p++ {
		if slices.Contains(names, p.String()) {
			all = append(all, p)
		}
	}
	return all
}
