package bridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"stirwatch/sensors/unit"
)

// Names are those of the targets and readings, in the order of the options.
func (o Options) Names() (names []string) {
	for _, t := range o.Targets {
		names = append(names, t.Name)
	}
	for _, r := range o.Readings {
		names = append(names, r.Name)
	}
	return names
}

// Quantity reads a value for a target, with a unit of the target's kind.
func (o Options) Quantity(target, text string) (q unit.Quantity, err error) {
	i := slices.IndexFunc(o.Targets, func(t Target) bool { return t.Name == target })
	if i < 0 {
		return q, fmt.Errorf("no target %s; there are %s", target, strings.Join(o.Names()[:len(o.Targets)], ", "))
	}
	return Quantity(target, text, o.Targets[i].Unit)
}

// Quantity reads a value for a target in unit u, with a unit of its kind. A bare number is one only where u is
// none: 15 for a target in % would be 1500 %.
func Quantity(target, text string, u unit.Unit) (unit.Quantity, error) {
	if v, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil && (u.Dim != unit.None || u.Scale != 1) {
		return unit.Quantity{}, fmt.Errorf("%q lacks a unit: %s is in %s, so write for example \"%g %s\"", text, target, u, v, u)
	}
	return unit.ParseQuantity(text, u.Dim)
}

// Limits describes the limits of a target and its safe state, for people.
func (t Target) Limits() string {
	safe := fmt.Sprintf("%g %s", t.Safe.Value, t.Unit)
	switch {
	case t.Safe.AsFound:
		safe = "as found before the command"
	case t.Safe.HandsBack:
		safe = "back to the machine's own controller"
	}
	return fmt.Sprintf("%g to %g %s, at most %g a second; safe state %q: %s", t.Min, t.Max, t.Unit, t.Slew, t.Safe.Name, safe)
}

// Connect makes a bridge that only asks, and waits for the controller to start. [Bridge.Close] ends it.
func Connect(ctx context.Context, o Options) (*Bridge, error) {
	o.State = "" // it commands nothing
	b, err := New(o)
	if err != nil {
		return nil, err
	}
	if err = b.Open(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Get reads the value of a target or a reading from the controller, between the pilot's requests.
func (b *Bridge) Get(ctx context.Context, name string) (q unit.Quantity, err error) {
	if g := b.target(name); g != nil {
		q.Unit = g.Unit
	} else if i := slices.IndexFunc(b.o.Readings, func(r Reading) bool { return r.Name == name }); i >= 0 {
		q.Unit = b.o.Readings[i].Unit
	} else {
		return q, fmt.Errorf("neither a target nor a reading has the name %s", name)
	}
	err = b.speak(ctx, func(ctx context.Context, d Dialect) error {
		q.Value, err = d.Get(ctx, name)
		return err
	})
	return q, err
}

// Read reads several targets or readings into values, in the order and the units of [Bridge.Get]'s; what
// could not be read is NaN. A dialect that can ([Teller]) answers with as few requests as it takes. The
// error is of the last request that failed.
func (b *Bridge) Read(ctx context.Context, names []string, values []float64) error {
	for i := range values {
		values[i] = math.NaN()
	}
	err := b.speak(ctx, func(ctx context.Context, d Dialect) error {
		t, ok := d.(Teller)
		if !ok {
			return ErrNoReadBack
		}
		return t.Tell(ctx, names, values)
	})
	if !errors.Is(err, ErrNoReadBack) {
		return err
	}
	var failed error
	for i, name := range names { // each in its turn: the pilot may come between
		q, err := b.Get(ctx, name)
		if err != nil {
			failed = err
			continue
		}
		values[i] = q.Value
	}
	return failed
}

// Probe asks the controller for its identity or status, if the dialect has a question for that.
func (b *Bridge) Probe(ctx context.Context) (answer string, err error) {
	err = b.speak(ctx, func(ctx context.Context, d Dialect) error {
		answer, err = d.Probe(ctx)
		return err
	})
	return answer, err
}

// Open connects and waits, however long, for a controller that starts when its port is opened. Any
// other failure is returned at once.
func (b *Bridge) Open(ctx context.Context) error {
	for {
		err := b.speak(ctx, func(ctx context.Context, d Dialect) error { return d.Open(ctx) })
		if !errors.Is(err, ErrStarting) && !errors.Is(err, errBusy) || ctx.Err() != nil {
			return err
		}
		pause := time.NewTimer(b.o.Retry)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// Close ends the connection of a bridge that is not run. [Bridge.Run] closes it by itself.
func (b *Bridge) Close() error {
	b.mu.Lock()
	d := b.session.dialect
	b.mu.Unlock()
	return d.Close()
}

// speak lends the wire to one request, which the watchdog may interrupt.
func (b *Bridge) speak(ctx context.Context, request func(context.Context, Dialect) error) error {
	b.mu.Lock()
	s := b.session
	b.mu.Unlock()
	turn, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	select {
	case <-s.free:
	case <-turn.Done():
		return fmt.Errorf("the controller is busy with another request: %w", turn.Err())
	}
	ctx, cancel = context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	defer func() { s.free <- struct{}{} }()
	b.mu.Lock()
	if b.urgent || b.session != s {
		b.mu.Unlock()
		return errBusy
	}
	b.inFlight = cancel
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.inFlight = nil
		b.mu.Unlock()
	}()
	return request(ctx, s.dialect)
}

var errBusy = errors.New("the watchdog has the wire")

// Ask reads a target or a reading, a few times if need be: the first question may fall between two
// messages of a device that talks by itself.
func (b *Bridge) Ask(ctx context.Context, name string) (unit.Quantity, error) {
	return again(ctx, func(ctx context.Context) (unit.Quantity, error) { return b.Get(ctx, name) })
}

func again[T any](ctx context.Context, ask func(context.Context) (T, error)) (v T, err error) {
	for range 4 {
		if v, err = ask(ctx); err == nil || ctx.Err() != nil || errors.Is(err, ErrNoReadBack) {
			break
		}
	}
	return v, err
}

// Answer is what the controller said to one question.
type Answer struct {
	Name   string // of the target or reading; "": who it is
	Text   string // the answer; "" where there is none
	Limits string // of a target
	Err    error  // why there is none; [ErrNoReadBack]: it cannot be asked
}

// Survey asks the controller who it is, where its dialect knows such a question, and for every target
// and reading.
func (b *Bridge) Survey(ctx context.Context) (all []Answer) {
	d := b.o.Dialect()
	_, err := d.Show(OpProbe, "", 0)
	d.Close()
	if err == nil {
		text, err := again(ctx, b.Probe)
		all = append(all, Answer{Text: text, Err: err})
	}
	for i, name := range b.o.Names() {
		a := Answer{Name: name}
		if q, err := b.Ask(ctx, name); err == nil {
			a.Text = q.String()
		} else {
			a.Err = err
		}
		if i < len(b.targets) {
			a.Limits = b.targets[i].Limits()
		}
		all = append(all, a)
	}
	return all
}

// Shown is what a request would put on the wire, for people.
type Shown struct {
	Op         Op
	Wire, What string
}

func (s Shown) String() string {
	verb := "send "
	if s.Op == OpGet || s.Op == OpProbe {
		verb = "ask  "
	}
	return fmt.Sprintf("would %s %s   %s", verb, s.Wire, s.What)
}

// ShowSurvey is what [Bridge.Survey] would put on the wire. Nothing is opened.
func (o Options) ShowSurvey() (all []Shown, err error) {
	d := o.Dialect()
	defer d.Close()
	if s, err := d.Show(OpProbe, "", 0); err == nil {
		all = append(all, Shown{OpProbe, s, "who are you?"})
	}
	asks, err := o.ShowGet(o.Names()...)
	return append(all, asks...), err
}

// ShowGet is what reading targets or readings would put on the wire; nothing for what cannot be asked.
func (o Options) ShowGet(names ...string) (all []Shown, err error) {
	d := o.Dialect()
	defer d.Close()
	for _, name := range names {
		switch s, err := d.Show(OpGet, name, 0); {
		case err == nil:
			all = append(all, Shown{OpGet, s, name})
		case !errors.Is(err, ErrNoReadBack):
			return nil, err
		}
	}
	return all, nil
}

// ShownHold is what [Hold] would do, for people.
type ShownHold struct {
	Target       Target
	Asked, Given unit.Quantity
	Wire         []Shown // at the end of the way to the value, and to the safe state
}

// Clamped tells that less, or more, is given than was asked, for the limits' sake.
func (s ShownHold) Clamped() bool { return math.Abs(s.Asked.In(s.Given.Unit)-s.Given.Value) > 1e-6 }

// String has the limits, what is given, and a line for each request.
func (s ShownHold) String() string {
	cut := ""
	if s.Clamped() {
		cut = " (clamped to the limits)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\nasked %s, given %s%s", s.Target.Name, s.Target.Limits(), s.Asked, s.Given, cut)
	for _, w := range s.Wire {
		fmt.Fprintf(&b, "\n%s", w)
	}
	return b.String()
}

// ShowHold is what [Hold] would do. Nothing is opened.
func (o Options) ShowHold(c Command) (s ShownHold, err error) {
	b, err := New(o)
	if err != nil {
		return s, err
	}
	defer b.Close()
	s.Asked = c.Value
	if s.Given, err = b.Given(c.Target, c.Value); err != nil {
		return s, err
	}
	if s.Wire, err = o.ShowGet(c.Target); err != nil {
		return s, err
	}
	t := b.target(c.Target).Target
	s.Target = t
	d := b.session.dialect
	set, err := d.Show(OpSet, t.Name, s.Given.Value)
	if err != nil {
		return s, err
	}
	safe := "what was found"
	if !t.Safe.AsFound {
		if safe, err = d.Show(OpSafe, t.Name, t.Safe.Value); err != nil {
			return s, err
		}
	}
	s.Wire = append(s.Wire,
		Shown{OpSet, set, fmt.Sprintf("at the end of the way there, in steps of at most %g %s every %v", t.Slew*t.Step.Seconds(), t.Unit, t.Step)},
		Shown{OpSafe, safe, fmt.Sprintf("after %v: safe state %q", c.For, t.Safe.Name)})
	return s, nil
}
