// Package bridge is the last gate before the machine.
//
// A [Command] is a lease on one [Target]: a quantity with its unit that is clamped to absolute
// limits, approached no faster than the slew limit, acknowledged, read back, and given up for the
// target's named safe state unless it is renewed in time. Two goroutines speak to the controller,
// through a [Dialect] and one request at a time: the pilot carries out what was commanded, the
// watchdog knows nothing of whoever commands, has its own timer, may interrupt the pilot, and
// reverts. Limits come from [Options] and are fixed when the bridge is made.
package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"stirwatch/sensors/unit"
)

// Bridge guards one controller. Its methods may be called from several goroutines.
type Bridge struct {
	o       Options
	targets []*gate
	started chan struct{}
	clerk   clerk
	stateMu sync.Mutex

	kickPilot, kickWatchdog chan struct{}

	mu        sync.Mutex
	running   bool
	stopping  bool
	session   *session
	abandoned []Dialect          // given up, with a write that may still come through
	inFlight  context.CancelFunc // of the pilot's or a reader's request
	urgent    bool               // the watchdog wants the wire
	rescue    context.CancelFunc // of the watchdog's request
	rescued   *gate              // and whose it is
	calm      chan struct{}      // closed when a target has reached its safe state
	gaveUp    chan struct{}      // closed by Abandon: the way to safety was given up
}

// session is one dialect and the right to use it.
type session struct {
	dialect Dialect
	free    chan struct{} // holds one token while nobody speaks
}

// Refusal says why a command was not taken.
type Refusal struct {
	Target, Reason string
	Err            error // the kind, e.g. [ErrHeld]
}

func (r *Refusal) Error() string { return fmt.Sprintf("command of %s refused: %s", r.Target, r.Reason) }
func (r *Refusal) Unwrap() error { return r.Err }

// Kinds of refusals and of the ends of a lease, for [errors.Is].
var (
	ErrHeld       = errors.New("another one holds the lease")
	ErrReverting  = errors.New("the target is on its way to its safe state")
	ErrNotRunning = errors.New("the bridge does not run")
	ErrLimit      = errors.New("outside the limits")
	ErrExpired    = errors.New("the lease was not renewed in time")
	ErrReleased   = errors.New("the lease was given back")
	ErrReplaced   = errors.New("a later command of the same commander took its place")
	ErrTakenOver  = errors.New("somebody else has taken the target over")
	ErrFailed     = errors.New("the controller does not hold the value")
)

const (
	defaultLease    = 30 * time.Second
	defaultPatience = 5 * time.Second
	defaultGrace    = 100 * time.Millisecond
	maxLease        = 24 * time.Hour
	maxText         = 1000 // bytes of who and why
)

// New checks the options and makes a bridge that does nothing until [Bridge.Run]. It fails where
// limits contradict each other or the dialect's resolution.
func New(o Options) (*Bridge, error) {
	if o.Dialect == nil {
		panic("bridge: Options need a Dialect")
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&o.Step, time.Second}, {&o.Check, 2 * time.Second}, {&o.Timeout, time.Second},
		{&o.Retry, 250 * time.Millisecond}, {&o.Patience, defaultPatience}, {&o.Grace, defaultGrace},
	} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	o.Timeout = min(o.Timeout, o.Patience/2)
	o.Targets = slices.Clone(o.Targets)
	b := &Bridge{
		o: o, kickPilot: make(chan struct{}, 1), kickWatchdog: make(chan struct{}, 1),
		session: newSession(o.Dialect()), started: make(chan struct{}),
		calm: make(chan struct{}), gaveUp: make(chan struct{}),
	}
	var errs []error
	for i, t := range o.Targets {
		if t.Lease <= 0 {
			t.Lease = defaultLease
		}
		if t.Step <= 0 {
			t.Step = o.Step
		}
		g, err := newGate(t, b.session.dialect.Resolution(t.Name), t.Step)
		if err == nil && slices.ContainsFunc(o.Targets[:i], func(u Target) bool { return u.Name == t.Name }) {
			err = fmt.Errorf("target %s stands twice", t.Name)
		}
		if err == nil && t.Safe.AsFound {
			err = canBeFound(b.session.dialect, g)
		}
		b.targets = append(b.targets, g)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	b.clerk.init(o.Recorder)
	return b, nil
}

// canBeFound checks that the value of a target can be read and be commanded as the safe state.
func canBeFound(d Dialect, g *gate) error {
	if _, err := d.Show(OpGet, g.Name, 0); err != nil {
		return fmt.Errorf("target %s: the safe state as found needs a read-back: %w", g.Name, err)
	}
	low, err := d.Show(OpSafe, g.Name, g.lo)
	high, err2 := d.Show(OpSafe, g.Name, g.hi)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if low == high && g.lo != g.hi {
		return fmt.Errorf("target %s: the dialect has a command of its own for the safe state, %s, so that it cannot be as found", g.Name, low)
	}
	return nil
}

func newSession(d Dialect) *session {
	s := &session{dialect: d, free: make(chan struct{}, 1)}
	s.free <- struct{}{}
	return s
}

// Run carries out commands until ctx ends; then it reverts what is under lease, for as long as that
// takes or until [Bridge.Abandon], and closes the dialect. What the state file names is reverted
// first. The error tells what could not be made safe; it is [ErrInUse] where another process has the
// state file. Run is called once.
func (b *Bridge) Run(ctx context.Context) error {
	unlock, err := lock(b.o.State)
	if err != nil {
		return err
	}
	defer unlock()
	left, err := b.remembered()
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.running = true
	for _, g := range b.targets {
		if slices.Contains(left.Leased, g.Name) {
			g.touched = true
			if g.Safe.AsFound {
				g.safe = left.Found[g.Name]
			}
			b.revertLocked(g, "", "the program ended while the lease held")
		}
	}
	b.mu.Unlock()
	close(b.started)

	var wheel sync.WaitGroup
	go b.clerk.run()
	pilotCtx, stopPilot := context.WithCancel(ctx)
	defer stopPilot()
	wheel.Go(func() { b.pilot(pilotCtx) })
	err = b.watch(ctx) // in this goroutine: the last one to end

	b.mu.Lock()
	b.running = false
	s := b.session
	b.mu.Unlock()
	stopPilot()
	b.end(&wheel, s, &err)
	if !b.clerk.stop() {
		err = errors.Join(err, fmt.Errorf("bridge: the recorder did not take the last records within %v", lastRecords))
	}
	return err
}

// end closes the dialect and waits for the pilot, and for neither of them too long.
func (b *Bridge) end(pilot *sync.WaitGroup, s *session, err *error) {
	ended := make(chan struct{})
	go func() {
		s.dialect.Close()
		pilot.Wait()
		close(ended)
	}()
	limit := time.NewTimer(b.o.Grace + b.o.Timeout)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		*err = errors.Join(*err, errors.New("bridge: the connection to the controller did not close"))
	}
}

// Started is closed when [Bridge.Run] takes commands.
func (b *Bridge) Started() <-chan struct{} { return b.started }

// Given is the value that a command for q would lead to: within the limits, and one that the
// dialect can express.
func (b *Bridge) Given(target string, q unit.Quantity) (unit.Quantity, error) {
	g := b.target(target)
	if g == nil {
		return q, fmt.Errorf("no target %s; there are %s", target, b.names())
	}
	m, err := unit.Between(q.Unit, g.Unit)
	if err == nil && (math.IsNaN(q.Value) || math.IsInf(q.Value, 0)) {
		err = fmt.Errorf("%w: %v is not a number", ErrLimit, q.Value)
	}
	if err != nil {
		return q, err
	}
	return unit.Quantity{Value: g.clamp(m.Apply(q.Value)), Unit: g.Unit}, nil
}

// Command takes a lease on a target, or renews and changes the one that the same commander holds.
// It returns at once; [Lease.Reached] tells when the machine has followed. A refusal is a
// [*Refusal]; it is recorded like everything else.
func (b *Bridge) Command(c Command) (*Lease, error) {
	c.Who, c.Why = short(c.Who), short(c.Why)
	g := b.target(c.Target)
	refuse := func(kind error, format string, args ...any) (*Lease, error) {
		r := &Refusal{c.Target, fmt.Sprintf(format, args...), kind}
		rec := Record{Target: c.Target, Verdict: Refused, Asked: c.Value.Value, Given: math.NaN(), ReadBack: math.NaN(), Unit: c.Value.Unit, Who: c.Who, Why: c.Why, Note: r.Reason}
		if g != nil && c.Value.Unit.Dim == g.Unit.Dim {
			rec.Asked, rec.Unit = c.Value.In(g.Unit), g.Unit
		}
		b.clerk.tell(rec)
		return nil, r
	}
	switch {
	case g == nil:
		return refuse(nil, "no such target; there are %s", b.names())
	case c.Who == "" || c.Why == "":
		return refuse(nil, "who and why must be told")
	case c.For <= 0:
		return refuse(nil, "a lease of %v ends before it begins; a time above 0 is wanted", c.For)
	case c.Value.Unit.Dim != g.Unit.Dim:
		return refuse(ErrLimit, "%s has the wrong kind of unit; allowed here: %s", c.Value, unit.Of(g.Unit.Dim))
	}
	asked := c.Value.In(g.Unit)
	if math.IsNaN(asked) || math.IsInf(asked, 0) {
		return refuse(ErrLimit, "%v is not a number", asked)
	}
	given := g.clamp(asked)
	b.mu.Lock()
	up := b.running
	b.mu.Unlock()
	if !up { // the state file may be another process's
		return refuse(ErrNotRunning, "the bridge does not run")
	}

	// The file first: a lease that would be forgotten by a crash is not given.
	b.mu.Lock()
	g.claims++
	b.mu.Unlock()
	var err error
	if !g.Safe.AsFound { // that one is remembered with the value found, before it is first moved
		err = b.remember(g, math.NaN())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g.claims--
	if err != nil {
		return refuse(err, "the lease cannot be remembered: %v", err)
	}
	old := g.lease
	switch {
	case !b.running || b.stopping:
		return refuse(ErrNotRunning, "the bridge does not run")
	case g.reverting:
		return refuse(ErrReverting, "it is being brought to its safe state %q", g.Safe.Name)
	case old != nil && old.who != c.Who && !c.Displace:
		return refuse(ErrHeld, "%s holds it for another %v", old.who, time.Until(g.expires).Round(time.Millisecond))
	}
	now := time.Now()
	if old != nil && !now.Before(g.expires) { // the watchdog has not seen it yet; late is late
		return refuse(ErrExpired, "the lease that it would renew has ended")
	}
	l := &Lease{b: b, g: g, who: c.Who, why: c.Why, yields: c.Yield, asked: asked, given: given, reached: make(chan struct{}), done: make(chan struct{})}
	switch {
	case old != nil && old.who != c.Who:
		b.clerk.tell(g.record(Yielded, "taken over by "+c.Who))
		old.end(fmt.Errorf("%w: %s", ErrTakenOver, c.Who))
	case old != nil:
		old.end(ErrReplaced)
	default:
		g.begin()
		g.confirmed = now
	}
	if old == nil || old.given != given {
		g.next = now
		if g.verified { // the pause between two values of a ramp runs on
			g.next = later(now, g.lastAt.Add(g.step))
		}
	} else if g.verified && g.last == given {
		l.reach()
	}
	g.lease = l
	g.expires = now.Add(min(c.For, g.Lease))
	rec := g.record(Accepted, "")
	if asked < g.Min || asked > g.Max {
		rec.Verdict, rec.Note = Clamped, fmt.Sprintf("the limits are %g to %g %s", g.Min, g.Max, g.Unit)
	}
	b.clerk.tell(rec)
	signal(b.kickPilot)
	signal(b.kickWatchdog)
	return l, nil
}

func short(s string) string {
	if len(s) > maxText {
		return s[:maxText]
	}
	return s
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *Bridge) target(name string) *gate {
	for _, g := range b.targets {
		if g.Name == name {
			return g
		}
	}
	return nil
}

func (b *Bridge) names() []string {
	var s []string
	for _, g := range b.targets {
		s = append(s, g.Name)
	}
	return s
}

// Targets lists what may be commanded, with the limits in effect.
func (b *Bridge) Targets() []Target {
	all := make([]Target, len(b.targets))
	for i, g := range b.targets {
		all[i] = g.Target
	}
	return all
}

// State is what is known of a target at one moment. Numbers are in its unit, NaN where unknown.
type State struct {
	Target
	Who          string // holder of the lease; "": none
	Asked, Given float64
	Sent         float64 // last value put on the wire
	ReadBack     float64 // last value the controller told
	Verified     bool    // Sent was acknowledged and, where that can be, read back within tolerance
	Reverting    bool
	Expires      time.Time
	Problem      error // of the latest request; nil: none
}

// State of a target; false: there is none of this name.
func (b *Bridge) State(target string) (State, bool) {
	g := b.target(target)
	if g == nil {
		return State{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := State{Target: g.Target, Asked: math.NaN(), Given: math.NaN(), Sent: math.NaN(), ReadBack: g.readBack, Verified: g.verified, Reverting: g.reverting, Problem: g.problem}
	if g.touched {
		s.Sent = g.last
	}
	if g.lease != nil {
		s.Who, s.Asked, s.Given, s.Expires = g.lease.who, g.lease.asked, g.lease.given, g.expires
	}
	return s, true
}

// Lost counts records that could not be handed on because the recorder did not keep up.
func (b *Bridge) Lost() uint64 { return b.clerk.lost.Load() }

// Safe waits until no target is on its way to its safe state. Where ctx ends before that, or that is
// given up, the error tells what is still open.
func (b *Bridge) Safe(ctx context.Context) error {
	for {
		b.mu.Lock()
		calm, open := b.calm, b.openLocked()
		b.mu.Unlock()
		if len(open) == 0 {
			return nil
		}
		select {
		case <-calm:
			continue
		case <-ctx.Done():
		case <-b.gaveUp:
		}
		return errors.Join(open...)
	}
}

// openLocked gives an error for each target that is not in its safe state, with the reason.
func (b *Bridge) openLocked() (open []error) {
	for _, g := range b.targets {
		if g.reverting {
			value := fmt.Sprintf(" (%g %s)", g.safe, g.Unit)
			if g.Safe.HandsBack {
				value = ""
			}
			open = append(open, fmt.Errorf("bridge: %s may not be in its safe state %q%s: %w", g.Name, g.Safe.Name, value, cmp.Or(g.problem, errNotThere)))
		}
	}
	return open
}

// Unsafe says which safe states have been on the way for longer than the patience and are still not confirmed, and why; "": none.
func (b *Bridge) Unsafe() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(b.targets, func(g *gate) bool {
		return g.reverting && g.problem != nil && time.Since(g.since) >= b.o.Patience
	}) {
		return ""
	}
	var all []string
	for _, err := range b.openLocked() {
		all = append(all, err.Error())
	}
	return strings.Join(all, "; ")
}

var errNotThere = errors.New("it is not there yet")

// Abandon makes a [Bridge.Run] that was told to stop return although safe states are not reached;
// its error names them, and the state file remembers them.
func (b *Bridge) Abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.Abandoned() {
		close(b.gaveUp)
	}
}

// Abandoned reports whether [Bridge.Abandon] was called.
func (b *Bridge) Abandoned() bool {
	select {
	case <-b.gaveUp:
		return true
	default:
		return false
	}
}
