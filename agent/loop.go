package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// Mode says how far a loop goes.
type Mode string

// The modes. Both automatic ones command; which of them a loop has follows from what its target is.
const (
	Off          Mode = "off"
	Advise       Mode = "advise"         // it says what it would command
	Confirm      Mode = "confirm"        // a person accepts each change
	AutoSetPoint Mode = "auto set-point" // it commands the set-point of the machine's own controller
	AutoActuator Mode = "auto actuator"  // it commands the actuator
)

// Auto reports whether the loop commands without being asked.
func (m Mode) Auto() bool { return m == AutoSetPoint || m == AutoActuator }

// Loop keeps one channel at a goal by one target of the bridge.
type Loop struct {
	Name   string
	Mode   Mode
	Auto   Mode // which of the automatic modes it has
	Output sensors.ChannelID
	Goal   *control.Goal // in the output's unit; nil: GoalBy tells
	GoalBy sensors.ChannelID
	Target string
	Limits control.Limits // in the target's unit, within the target's own
	Change float64        // smallest change that is commanded
	Every  time.Duration
	Lease  time.Duration
	Resume time.Duration // 0: only a person ends a doubt
	Phases []phase.Phase // in which it commands; nil: all
	Locks  []Interlock
	Moves  string // input of the model that the target is; "": the set-point of the machine's own controller
	// NewLaw makes the law. Without a model all are nil; else the estimate is the newest of the estimator.
	NewLaw  func(*model.Model, *filter.Estimator, *filter.Estimate) (control.Law, error)
	Default control.Law // what is done where the law doubts; nil: it lets go
}

// Interlock is what must hold of a channel: good, and within bounds.
type Interlock struct {
	Channel  sensors.ChannelID
	Min, Max float64 // in the channel's unit; infinite where there is none
	For      time.Duration
}

// Commander is what the agent signs its commands with, before the loop's name.
const Commander = "stirwatch"

// How long things last, s.
const (
	blindFor   = 3.0  // a good value of the output may be missing before the loop lets go
	settleFor  = 2.0  // everything is in order before a loop first commands
	outsideFor = 20.0 // outside the training range before the model is no longer relied on
	againAfter = 5.0  // between two attempts to find out what the controller holds
	stillFor   = 60.0 // the output may show the very same number while its target is at a limit, or has since moved
	farMoved   = 0.3  // by this share of its range, which any output shows
)

// loop carries a [Loop] out: the tick decides, and a goroutine of its own commands, which may wait for the
// disk and the controller.
type loop struct {
	Loop
	law     control.Law
	out     signal
	goal    signal
	bridge  *bridge.Bridge
	log     *slog.Logger
	unit    unit.Unit // of the target
	safe    float64   // its safe value, in that unit
	rpm     unit.Map  // from it, where the target is the spindle's speed
	celsius struct {  // where the target is a temperature
		from, to unit.Map
		known    bool
	}
	tool      unit.Map // from the output to °C,
	toolKnown bool     // where it is the tool temperature
	who       string
	kick      chan struct{}

	blindText string      // no good value
	stillText string      // the output does not answer what is commanded
	stuckText string      // it is known to be stuck
	openText  [][2]string // by interlock: it is open, since its channel is not good, or is beyond its bounds

	// Owned by the tick.
	sense   control.Sense
	began   bool    // the law has begun
	tripped bool    // it has let go since a person last set the mode
	good    float64 // s without doubt
	blind   float64 // s without a good value
	outside float64 // s that the process has been outside of what the model was learned on
	still   float64 // s that the output ought to have moved since it last showed another number,
	shows   float64 // this one,
	stoodAt float64 // with the target here
	since   float64 // s since the last step
	wanted  float64 // what it decided last
	looked  float64 // s since what the controller holds was last asked for
	broken  []float64
	cap     float64 // highest set-point that advice allows, +Inf: any
	capFor  float64 // s that it still holds
	saidAt  float64 // s since a proposal was recorded
	said    float64

	mu      sync.Mutex
	status  LoopStatus
	order   order   // what the goroutine is to do
	found   float64 // what the controller holds; NaN: not known
	reset   bool    // a person has set the mode
	changed string  // why the mode was set last, by whom; "" while it is as configured
	ended   string  // why the lease ended by itself, until the tick has seen it
}

// order is what a loop wants of its target.
type order struct {
	hold  bool    // under lease, at value
	look  bool    // what does the controller hold?
	value float64 // in the target's unit
	why   string
}

// LoopStatus is what a loop does, for people. Numbers are in the units of output and target; NaN is unknown.
type LoopStatus struct {
	Name, Target       string
	Mode               Mode
	Auto               Mode   // which of the automatic modes it has
	Commands           bool   // it holds its target
	Why                string // why it does not command, or what changed its mode
	Goal, Output       float64
	OutputUnit         string
	Wanted, Held       float64 // what the law wants the target at, and where that is
	TargetUnit         string
	Predicted, Without float64 // output expected at the horizon with the command and without
	Horizon            float64 // s
	Accepted           float64 // of confirm: what a person has accepted last
	Declined           float64 // of confirm: the proposal that a person has declined, while it stands
}

func newLoop(o Loop, b *bridge.Bridge, reg *sensors.Registry, e *estimator, log *slog.Logger) (*loop, error) {
	fail := func(err error) (*loop, error) { return nil, fmt.Errorf("control %s: %w", o.Name, err) }
	if b == nil {
		return fail(errors.New("there is no bridge"))
	}
	s, ok := b.State(o.Target)
	if !ok {
		return fail(fmt.Errorf("the bridge has no target %s", o.Target))
	}
	l := &loop{
		Loop: o, bridge: b, log: log.With("loop", o.Name), unit: s.Unit, safe: s.Safe.Value, who: Commander + " " + o.Name, kick: make(chan struct{}, 1),
		out: signal{name: o.Name, id: o.Output, unit: unit.Identity, known: true}, broken: make([]float64, len(o.Locks)),
		cap: math.Inf(1), found: math.NaN(), looked: math.Inf(1), saidAt: math.Inf(1), said: math.NaN(),
	}
	l.goal = signal{id: o.GoalBy, known: o.Goal == nil}
	if o.Goal == nil {
		var err error
		if l.goal.unit, err = unit.Between(reg.Channel(o.GoalBy).Unit, reg.Channel(o.Output).Unit); err != nil {
			return fail(err)
		}
	}
	var err error
	if e == nil {
		l.law, err = o.NewLaw(nil, nil, nil)
	} else {
		l.law, err = o.NewLaw(e.model, e.filter, &e.estimate)
	}
	if err != nil {
		return fail(err)
	}
	l.log.Info("how it commands", "law", l.law.String(), "every", o.Every)
	if l.celsius.from, err = unit.Between(l.unit, celsius); err == nil {
		l.celsius.to, err = unit.Between(celsius, l.unit)
	}
	l.celsius.known = err == nil
	if out := reg.Channel(o.Output); out.Role == sensors.ToolTemperature {
		if l.tool, err = unit.Between(out.Unit, celsius); err != nil {
			return fail(err)
		}
		l.toolKnown = true
	}
	l.blindText = "no good value of " + reg.Channel(o.Output).Name
	l.stillText = fmt.Sprintf("%s stands still while %s is at its limit or moves far: the sensor is stuck, or the target does nothing", reg.Channel(o.Output).Name, o.Target)
	l.stuckText = reg.Channel(o.Output).Name + " is stuck"
	for _, lock := range o.Locks {
		open := "the interlock on " + reg.Channel(lock.Channel).Name + " is open: "
		l.openText = append(l.openText, [2]string{open + "it has no good value", open + "its value is beyond the bounds"})
	}
	if o.Moves == model.SpindleSpeed {
		if l.rpm, err = unit.Between(s.Unit, unit.MustParse("rpm")); err != nil {
			return fail(err)
		}
	}
	nan := math.NaN()
	l.status = LoopStatus{Name: o.Name, Target: o.Target, Mode: o.Mode, Auto: o.Auto, Goal: nan, Output: nan, Wanted: nan, Held: nan, Predicted: nan, Without: nan, Accepted: nan, Declined: nan,
		OutputUnit: reg.Channel(o.Output).Unit.String(), TargetUnit: s.Unit.String(), Why: "it has just begun"}
	return l, nil
}

// step is one tick of the loop. It neither waits for the controller nor allocates while nothing changes.
func (l *loop) step(dt float64, a *Agent) {
	l.mu.Lock()
	mode, ended, found, changed := l.status.Mode, l.ended, l.found, l.changed
	l.ended = ""
	l.tripped = l.tripped && !l.reset
	l.reset = false
	l.mu.Unlock()
	y := l.out.value(a.frame)
	aim := l.goal.value(a.frame)
	if l.Goal != nil {
		aim = l.Goal.At(l.sense.Now)
	}
	l.sense.Output, l.sense.Goal, l.sense.Fixed = y, l.Goal, aim
	l.sense.Doubt = l.distrust(dt, a.estimator)
	l.since += dt
	l.looked += dt
	l.saidAt += dt
	doubt := l.doubt(dt, y, aim, a)
	if ended != "" {
		doubt = ended
	}
	if doubt != "" {
		l.good = 0
		l.tripped = l.tripped || l.began
	} else {
		l.good += dt
	}
	l.limit(dt, a.advisor)
	need := settleFor
	if l.tripped {
		need = max(need, l.Resume.Seconds())
	}
	switch {
	case mode == Off:
		l.rest(a, "it is switched off", y, aim)
	case doubt != "":
		l.rest(a, doubt, y, aim)
	case l.tripped && l.Resume == 0 && mode.Auto():
		l.rest(a, "it waits for a person after a doubt", y, aim)
	case l.good < need:
		why := "everything must be in order for a while"
		if !mode.Auto() && changed != "" {
			why = changed
		}
		l.rest(a, why, y, aim)
	case !l.began && math.IsNaN(found):
		l.rest(a, "what the controller holds is not known", y, aim)
		l.look(againAfter)
	case !l.began:
		l.sense.Dt, l.sense.Held = 0, found
		l.law.Begin(&l.sense)
		l.began, l.since = true, l.Every.Seconds()
	}
	if l.began && l.since >= l.Every.Seconds()-1e-6 {
		l.decide(mode, found, y, aim, a)
	}
	if l.began {
		l.sense.Now += dt
	}
}

// rest gives up the lease on the target, if there is one, and keeps the reason.
func (l *loop) rest(a *Agent, why string, y, aim float64) {
	was := l.began
	l.began = false
	if was && a.estimator != nil && l.Moves == model.SpindleSpeed {
		a.estimator.commanded = math.NaN()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.order.hold
	l.order = order{why: why}
	if was {
		l.found = math.NaN()
	}
	s := &l.status
	s.Commands, s.Why, s.Goal, s.Output, s.Wanted, s.Held, s.Predicted, s.Without = false, why, aim, y, math.NaN(), math.NaN(), math.NaN(), math.NaN()
	if held {
		l.wake()
	}
}

// look asks the goroutine to read back what the controller holds, at most once in every seconds.
func (l *loop) look(every float64) {
	if l.looked < every {
		return
	}
	l.looked = 0
	l.mu.Lock()
	l.order.look = true
	l.mu.Unlock()
	l.wake()
}

func (l *loop) wake() {
	select {
	case l.kick <- struct{}{}:
	default: // the last one has not been looked at yet: this one is seen with it
	}
}

// decide asks the law and orders what it wants. While a value has only just gone missing, the last order stays.
func (l *loop) decide(mode Mode, found, y, aim float64, a *Agent) {
	if math.IsNaN(y) {
		l.wake() // the lease goes on
		return
	}
	held := found
	if s, _ := l.bridge.State(l.Target); s.Who == l.who && !math.IsNaN(s.Sent) {
		if held = s.Sent; s.Sent == s.Given && math.Abs(s.Asked-l.wanted) < max(l.Change, 1e-9) {
			held = l.wanted // but for what is rounded on the way, and is too small a change: that is no limit of the law's
		}
	} else {
		l.look(l.Every.Seconds())
	}
	l.sense.Dt, l.sense.Held = l.since, held
	l.since = 0
	m := l.law.Step(&l.sense)
	if m.Doubt != "" && l.Default != nil {
		m = l.Default.Step(&l.sense)
	} else if p, ok := l.Default.(*control.PID); ok && !math.IsNaN(m.Value) {
		p.Begin(&l.sense) // so that it could take over without a bump
	}
	if math.IsNaN(m.Value) {
		l.good, l.tripped = 0, true
		l.rest(a, m.Doubt, y, aim)
		return
	}
	value := min(m.Value, l.cap)
	l.wanted = value
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.status
	s.Why, s.Goal, s.Output, s.Wanted, s.Held = "", aim, y, value, held
	s.Predicted, s.Without, s.Horizon = m.Predicted, m.Without, m.Horizon
	if !(math.Abs(value-s.Declined) < max(l.Change, 1e-9)) {
		s.Declined = math.NaN() // this is another proposal
	}
	switch {
	case mode.Auto():
		l.orderLocked(value)
	case mode == Confirm && !math.IsNaN(s.Accepted):
		l.orderLocked(s.Accepted)
	default:
		l.order.hold, l.order.why = false, "nothing is commanded in this mode"
		s.Why = l.changed
	}
	if s.Commands = l.order.hold; a.estimator != nil && l.Moves == model.SpindleSpeed {
		a.estimator.commanded = math.NaN()
		if s.Commands {
			a.estimator.commanded = l.rpm.Apply(value)
		}
	}
	l.propose(mode, value, held, a)
	l.wake()
}

// orderLocked orders a value, unless it is too near to the one that is held.
func (l *loop) orderLocked(value float64) {
	if !l.order.hold || math.Abs(value-l.order.value) >= max(l.Change, 1e-9) {
		l.order.value = value
	}
	l.order.hold = true
}

// proposeEvery is how often a proposal that stands is recorded, s.
const proposeEvery = 10.0

// propose records what the loop would command where it does not.
func (l *loop) propose(mode Mode, value, held float64, a *Agent) {
	if mode.Auto() || !(math.Abs(value-l.said) >= max(l.Change, 1e-9)) && l.saidAt < proposeEvery {
		return
	}
	l.said, l.saidAt = value, 0
	journal.Write(a.opt.Journal, record.Command{Time: a.frame.Time, Target: l.Target, Verdict: "proposed", Unit: l.unit.String(),
		Asked: value, Given: math.NaN(), ReadBack: held, Who: l.who, Reason: l.reason()})
}

// reason explains to people why a value is wanted.
func (l *loop) reason() string {
	s := &l.status
	text := fmt.Sprintf("%.4g %s for a goal of %.4g %s", s.Output, s.OutputUnit, s.Goal, s.OutputUnit)
	if !math.IsNaN(s.Predicted) {
		text += fmt.Sprintf("; %.4g expected in %g s, %.4g without it", s.Predicted, s.Horizon, s.Without)
	}
	return text
}

// leads is the tool temperature (°C) that it leads to at present, 0 where it does not command: its goal, or less where advice has lowered that.
func (l *loop) leads() float64 {
	if _, holds := l.holds(); !holds || !l.toolKnown || math.IsNaN(l.sense.Fixed) {
		return 0
	}
	goal := l.tool.Apply(l.sense.Fixed)
	if l.Auto == AutoSetPoint && l.celsius.known && !math.IsInf(l.cap, 1) {
		goal = min(goal, l.celsius.from.Apply(l.cap))
	}
	return goal
}

// limit follows the highest set-point that advice allows: what it has lowered stays so for a while.
func (l *loop) limit(dt float64, a *advisor) {
	if a == nil || l.Auto != AutoSetPoint || !l.celsius.known {
		return
	}
	if l.capFor -= dt; l.capFor <= 0 {
		l.cap = math.Inf(1)
	}
	if r := &a.advice; r.Kind == control.Change && r.Must && !math.IsNaN(r.SetPoint) {
		l.cap, l.capFor = min(l.cap, l.celsius.to.Apply(r.SetPoint)), max(l.Resume.Seconds(), settleFor)
	}
}

// holds is the value that the loop has ordered, and whether that is under lease.
func (l *loop) holds() (value float64, is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.order.value, l.order.hold
}

var celsius = unit.MustParse("°C")

// distrust says why the model is not to be relied on, "" if it is.
func (l *loop) distrust(dt float64, e *estimator) string {
	if l.outside += dt; e == nil || len(e.estimate.Outside) == 0 {
		l.outside = 0
	}
	if l.outside > outsideFor {
		return "the process is outside the training range of the model"
	}
	return ""
}

// pushes reports whether the target is held at a limit of what its law commands that is not its safe value, or far from where it was when the output
// last showed another number.
func (l *loop) pushes() bool {
	limits, held := l.Limits, l.sense.Held
	if law, ok := l.law.(interface{ Within() control.Limits }); ok {
		limits = law.Within()
	}
	return held >= limits.Max || held <= limits.Min && limits.Min != l.safe || math.Abs(held-l.stoodAt) > farMoved*(limits.Max-limits.Min)
}

// doubt says why the loop must not command now, "" if it may.
func (l *loop) doubt(dt float64, y, aim float64, a *Agent) string {
	if l.blind += dt; !math.IsNaN(y) {
		l.blind = 0
	}
	switch {
	case !math.IsNaN(y) && y != l.shows:
		l.still, l.shows, l.stoodAt = 0, y, l.sense.Held
	case l.began && l.pushes() || l.still > stillFor: // once it is doubted another number is waited for
		l.still += dt
	}
	for i := range l.Locks {
		lock := &l.Locks[i]
		v := a.frame.Value[lock.Channel]
		if l.broken[i] += dt; a.frame.Status[lock.Channel].IsGood() && v >= lock.Min && v <= lock.Max {
			l.broken[i] = 0
		}
	}
	switch {
	case l.blind > blindFor || math.IsNaN(y) && !l.began:
		return l.blindText
	case math.IsNaN(aim):
		return "the goal is not known"
	case l.still > stillFor:
		return l.stillText
	case a.machine.stuck(l.Output, a.watch.set):
		return l.stuckText
	}
	for i := range l.Locks {
		if l.broken[i] > l.Locks[i].For.Seconds() {
			if a.frame.Status[l.Locks[i].Channel].IsGood() {
				return l.openText[i][1]
			}
			return l.openText[i][0]
		}
	}
	if l.Phases != nil {
		in := false
		for _, p := range l.Phases {
			in = in || p == a.phases.Phase
		}
		if !in {
			return "it commands nothing in this phase"
		}
	}
	return ""
}
