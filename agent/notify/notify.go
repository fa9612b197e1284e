// Package notify tells people of alarms: by mail, phone, chat, program, broker and light.
//
// Every target has a queue of its own, which is remembered: what was raised is told, also after a kill and
// after an outage, and then in one message. Deliveries are at least once; a message keeps its name over all
// attempts, so that one that came twice can be known.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/record"
)

// Sender carries messages one by one.
type Sender interface {
	// Send returns nil once the other side has taken the message. It must return when ctx ends.
	Send(ctx context.Context, m *Message) error
}

// Display shows how alarms stand, now.
type Display interface {
	// Run shows what list says, whenever changed tells, until ctx ends.
	Run(ctx context.Context, changed <-chan struct{}, list func() alarm.Listing)
	// Test shows that it works.
	Test(ctx context.Context) error
	// Problem says what keeps it from showing; "": nothing does.
	Problem() string
}

// Target is one place that is told: it has a Sender or a Display.
type Target struct {
	Name    string
	Rules   Rules // of a Sender
	Sender  Sender
	Display Display
}

// Options of a notifier. Machine and Log are required.
type Options struct {
	Machine  string
	Targets  []Target
	Remember func(key string, value []byte) // nil: what waits does not outlive the program
	Flush    func(context.Context) error    // returns when what was remembered is on disk
	Record   func(record.Notification)      // nil: nothing is on record
	Timeout  time.Duration                  // of an attempt; default 30 s
	Log      *slog.Logger
}

// Notifier tells targets of alarms. A nil one has no targets: it has a Status and can be asked for a Test.
type Notifier struct {
	opt     Options
	targets []*target
	changed []chan struct{} // of the displays
}

type target struct {
	Target
	n    *Notifier
	kick chan struct{}

	known bool // it was there at an earlier start
	mu    sync.Mutex
	queue queue
}

// New makes a notifier. It tells nothing before it runs.
func New(opt Options) *Notifier {
	if opt.Timeout <= 0 {
		opt.Timeout = 30 * time.Second
	}
	n := &Notifier{opt: opt}
	for _, t := range opt.Targets {
		if (t.Sender == nil) == (t.Display == nil) {
			panic("notify: " + t.Name + " has neither a sender nor a display, or both")
		}
		n.targets = append(n.targets, &target{Target: t, n: n, kick: make(chan struct{}, 1),
			queue: queue{rules: t.Rules, machine: opt.Machine, name: t.Name}})
		if t.Display != nil {
			n.changed = append(n.changed, make(chan struct{}, 1))
		}
	}
	return n
}

// Restore takes over what waited when the program ended.
func (n *Notifier) Restore(remembered map[string][]byte) error {
	var bad []error
	for _, t := range n.targets {
		was, any := remembered[t.Name]
		if t.known = any; !any || t.Sender == nil {
			continue
		}
		t.mu.Lock()
		rules := t.queue
		if err := json.Unmarshal(was, &t.queue); err != nil {
			bad = append(bad, fmt.Errorf("what %s has yet to be told cannot be read: %w", t.Name, err))
			t.queue = rules
		}
		t.mu.Unlock()
	}
	return errors.Join(bad...)
}

// Tell takes a step of an alarm: it is [alarm.Options.Tell]. It waits for nothing.
func (n *Notifier) Tell(a alarm.Alarm, e alarm.Event, was alarm.State) {
	for _, t := range n.targets {
		if t.Sender == nil {
			continue
		}
		t.mu.Lock()
		changed := t.queue.step(time.Now().UnixNano(), a, e, was)
		if changed {
			t.remember()
		}
		t.mu.Unlock()
		if changed {
			signal(t.kick)
		}
	}
	for _, c := range n.changed {
		signal(c)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// remember keeps the queue for the next start; mu is held.
func (t *target) remember() {
	if t.n.opt.Remember == nil {
		return
	}
	b, _ := json.Marshal(&t.queue) // strings and numbers
	t.n.opt.Remember(t.Name, b)
}

// Run delivers until ctx ends. list says how alarms stand; a target that is new is told of those that nobody has acknowledged.
func (n *Notifier) Run(ctx context.Context, list func() alarm.Listing) {
	var all sync.WaitGroup
	displays := 0
	for _, t := range n.targets {
		if t.Display != nil {
			changed := n.changed[displays]
			displays++
			signal(changed)
			all.Go(func() { t.Display.Run(ctx, changed, list) })
			continue
		}
		t.begin(list)
		all.Go(func() { t.run(ctx) })
	}
	all.Wait()
}

// begin lets a target that is new know of the alarms that stand, once.
func (t *target) begin(list func() alarm.Listing) {
	if t.known || t.n.opt.Remember == nil {
		return
	}
	standing := list().Alarms // the board is not called under mu, as it calls Tell
	now := time.Now().UnixNano()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range standing {
		waits := slices.ContainsFunc(t.queue.Waiting, func(it Item) bool { return it.Key == a.Key })
		if a.State == alarm.Unacknowledged && !waits {
			t.queue.step(now, a, alarm.Raise, alarm.Normal)
		}
	}
	t.known = true
	t.remember()
}

// run delivers what waits for one target.
func (t *target) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-t.kick:
		}
		wait := t.look(ctx)
		timer.Reset(wait)
	}
}

// look delivers what is due, and says when to look again.
func (t *target) look(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		now := time.Now()
		t.mu.Lock()
		at, any := t.queue.due(now)
		if !any || at.After(now) {
			t.mu.Unlock()
			if !any {
				return time.Hour
			}
			return min(at.Sub(now), time.Hour) // the clock may be set meanwhile
		}
		fresh := t.queue.Sending == nil
		if fresh {
			t.queue.compose(now)
			t.remember()
		}
		m, attempt := t.queue.Sending, t.queue.Attempts+1
		t.mu.Unlock()
		if fresh && t.n.opt.Flush != nil { // else a kill would make another message of the same alarms
			once, cancel := context.WithTimeout(ctx, 2*time.Second)
			t.n.opt.Flush(once)
			cancel()
		}
		err := t.attempt(ctx, m)
		if err != nil && ctx.Err() != nil {
			return 0 // the program ends: the next start tries again
		}
		t.settle(m, attempt, err)
	}
	return 0
}

func (t *target) attempt(ctx context.Context, m *Message) error {
	ctx, cancel := context.WithTimeout(ctx, t.n.opt.Timeout)
	defer cancel()
	err := t.Sender.Send(ctx, m)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %v", t.n.opt.Timeout)
	}
	return err
}

// settle notes how an attempt went.
func (t *target) settle(m *Message, attempt int, err error) {
	now := time.Now().UnixNano()
	t.mu.Lock()
	if err == nil {
		t.queue.took(now)
	} else {
		t.queue.failed(now, err, rand.Float64())
	}
	t.remember()
	t.mu.Unlock()
	row := record.Notification{Time: now, Target: t.Name, Message: m.ID, Sent: err == nil, Alarms: int64(len(m.Items)), Attempt: int64(attempt), Text: m.Title}
	if err != nil {
		row.Text = err.Error()
		if attempt == 1 || attempt%20 == 0 {
			t.n.opt.Log.Warn("a message about alarms was not taken; it is tried again", "target", t.Name, "attempt", attempt, "error", err)
		}
	} else if attempt > 1 {
		t.n.opt.Log.Info("messages about alarms get through again", "target", t.Name, "attempts", attempt)
	}
	if t.n.opt.Record != nil {
		t.n.opt.Record(row)
	}
}

// Undelivered says who cannot be told, and why; "": everybody can.
func (n *Notifier) Undelivered() string {
	var all []string
	now := time.Now().UnixNano()
	for _, t := range n.targets {
		what := ""
		if t.Display != nil {
			if p := t.Display.Problem(); p != "" {
				what = t.Name + ": " + p
			}
		} else {
			t.mu.Lock()
			what = t.queue.behind(now)
			t.mu.Unlock()
		}
		if what != "" {
			all = append(all, what)
		}
	}
	return strings.Join(all, "; ")
}

// Status is how a target does.
type Status struct {
	Name     string `json:"name"`
	Waiting  int    `json:"waiting"`            // alarms that it has yet to be told of
	Attempts int    `json:"attempts,omitempty"` // of the message that is under way, without success
	Problem  string `json:"problem,omitempty"`
	Last     int64  `json:"last,omitempty"` // when it last took a message, ns since the Unix epoch
}

// Status says how all targets do.
func (n *Notifier) Status() []Status {
	all := []Status{}
	for _, t := range n.all() {
		s := Status{Name: t.Name}
		if t.Display != nil {
			s.Problem = t.Display.Problem()
		} else {
			t.mu.Lock()
			q := &t.queue
			s.Waiting, s.Attempts, s.Problem, s.Last = len(q.Waiting), q.Attempts, q.Problem, q.Last
			if q.Sending != nil {
				s.Waiting += len(q.Sending.Items)
			}
			t.mu.Unlock()
		}
		all = append(all, s)
	}
	return all
}

func (n *Notifier) all() []*target {
	if n == nil {
		return nil
	}
	return n.targets
}

// ErrNoTarget tells that there is no target of a name.
var ErrNoTarget = errors.New("no such target")

// Test sends a message that says that it is a test, past rate and quiet hours.
func (n *Notifier) Test(ctx context.Context, name string) error {
	targets := n.all()
	i := slices.IndexFunc(targets, func(t *target) bool { return t.Name == name })
	if i < 0 {
		var names []string
		for _, t := range targets {
			names = append(names, t.Name)
		}
		if names == nil {
			return fmt.Errorf("%w: agent.yaml has no section notify", ErrNoTarget)
		}
		return fmt.Errorf("%w: %q; those there are: %s", ErrNoTarget, name, strings.Join(names, ", "))
	}
	t := targets[i]
	if t.Display != nil {
		return t.Display.Test(ctx)
	}
	return t.attempt(ctx, trialMessage(n.opt.Machine, name))
}

// trialMessage is the message of a test.
func trialMessage(machine, name string) *Message {
	return &Message{ID: fmt.Sprintf("%s.%s.test.%d", machine, name, time.Now().UnixNano()), Machine: machine, Priority: 3, Items: []Item{},
		Title: machine + ": a test", Text: "Somebody tries whether messages about alarms of " + machine + " arrive here. There is nothing to do."}
}

// later is an error with the time that the other side asks for.
type later struct {
	error
	wait time.Duration
}

func (l later) Unwrap() error { return l.error }

// asked is the pause that the other side asks for, at most an hour; 0: none.
func asked(err error) time.Duration {
	var l later
	if errors.As(err, &l) {
		return min(l.wait, time.Hour)
	}
	return 0
}
