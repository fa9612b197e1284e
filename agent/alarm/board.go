package alarm

//go:generate go test -run TestPageIsCurrent -update .

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/record"
)

// Key names an alarm.
type Key struct {
	Code    anomaly.Code `json:"code"`
	Subject string       `json:"subject,omitempty"` // the channel or source that it is about; "": none
}

// String is the code, followed by the subject if there is one.
func (k Key) String() string {
	if k.Subject == "" {
		return string(k.Code)
	}
	return string(k.Code) + " " + k.Subject
}

// Alarm is an alarm as it stands. Instants are ns since the Unix epoch.
type Alarm struct {
	Key
	State    State            `json:"state"`
	Active   bool             `json:"active"` // the condition holds, after its delays
	Priority anomaly.Priority `json:"priority"`
	Text     string           `json:"text"`
	Signals  string           `json:"signals,omitempty"` // in which it shows, with their shares, where these were told as it was raised
	Response string           `json:"response"`
	Since    int64            `json:"since"`                   // of the state
	Raised   int64            `json:"raised,omitempty"`        // last put before people; with the key it names one occurrence
	Count    int              `json:"count,omitempty"`         // times raised in this job
	First    string           `json:"first,omitempty"`         // the first alarm of its group, where that is another one
	Until    int64            `json:"shelved_until,omitempty"` // end of the shelving
	Who      string           `json:"who,omitempty"`           // acknowledged, shelved
	Why      string           `json:"why,omitempty"`           // comment, reason of shelving or suppression
}

// Occurrence names this raising of the alarm: it is the same after a restart.
func (a *Alarm) Occurrence() string { return fmt.Sprintf("%s@%d", a.Key, a.Raised) }

// Keeper records the board's steps. It must not wait: it is called on the tick.
type Keeper interface {
	Record(record.Alarm)
	// Remember makes value what is remembered of an alarm; nil forgets it.
	Remember(key string, value []byte)
}

// Options of a board. Zero values take the defaults named.
type Options struct {
	Setting func(anomaly.Code) Setting        // default what is shipped
	Keep    Keeper                            // nil: nothing is on record
	Tell    func(a Alarm, e Event, was State) // told of every step; it may not wait, nor call the board
	Shelf   time.Duration                     // longest shelving; default 8 h
	Flood   int                               // alarms within [FloodSpan] that make a flood; default 10 (ISA-18.2, 16.5.2)
	// Settle is how long, after a start, an alarm of before keeps its condition although it is not seen:
	// sensors need that to be missing again. Default 20 s.
	Settle time.Duration
}

// FloodSpan is the time over which alarms are counted to tell a flood. A flood is over when they are half
// as many.
const FloodSpan = 10 * time.Minute

// Board holds the alarms of one machine. Its methods may be called from several goroutines; none waits
// for anything but the others.
type Board struct {
	opt Options

	mu      sync.Mutex
	points  []point
	now     int64         // of the last step
	lived   time.Duration // in steps
	running bool
	recent  []int64 // raisings within FloodSpan
	flood   bool
	version uint64
}

// point is one alarm with the state from which its condition is judged.
type point struct {
	Alarm
	set       Setting
	describe  Describe
	seen      bool    // the anomaly stands
	explained bool    // a cause of it stands
	score     float64 // over limit
	limit     float64
	on, off   time.Duration // that the condition has been there, or gone, without interruption; below 0: not
	settling  bool          // of before the start
	stamp     int64         // of its last record: no two bear the same
}

// NewBoard makes a board without alarms.
func NewBoard(opt Options) *Board {
	if opt.Setting == nil {
		opt.Setting = func(c anomaly.Code) Setting { return Default(anomaly.Of(c)) }
	}
	if opt.Shelf <= 0 {
		opt.Shelf = 8 * time.Hour
	}
	if opt.Flood <= 0 {
		opt.Flood = floodOf
	}
	if opt.Settle <= 0 {
		opt.Settle = 20 * time.Second
	}
	return &Board{opt: opt, recent: make([]int64, 0, 64)}
}

// Describe says for people what an alarm is, and in which signals it shows with their shares, "" where nothing tells that.
type Describe func() (text, signals string)

// Add makes the alarm of a key, and gives its place for [Board.Observe]; -1 where the code has no response
// text and is no alarm. describe says for people what it is, when it is raised. After [Board.Restore] the alarm may be
// there, remembered from when it was configured before: it is taken over.
func (b *Board) Add(k Key, describe Describe) int {
	set := b.opt.Setting(k.Code)
	if set.Response == "" {
		return -1
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.points {
		switch p := &b.points[i]; {
		case p.Key != k:
		case p.describe != nil:
			panic("alarm: " + k.String() + " is added twice")
		default:
			p.Priority, p.Response, p.set, p.describe = set.Priority, set.Response, set, describe
			return i
		}
	}
	b.points = append(b.points, newPoint(Alarm{Key: k}, set))
	b.points[len(b.points)-1].describe = describe
	return len(b.points) - 1
}

func newPoint(a Alarm, set Setting) point {
	a.Priority, a.Response = set.Priority, set.Response
	return point{Alarm: a, set: set, on: -1, off: -1}
}

// Restore takes over what was remembered, after all alarms are added. An alarm that is no longer
// configured stays until people have seen it. What cannot be read is an error; the rest is restored.
func (b *Board) Restore(remembered map[string][]byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var bad []error
	for _, key := range slices.Sorted(maps.Keys(remembered)) {
		var a Alarm
		if err := json.Unmarshal(remembered[key], &a); err != nil || a.Code == "" {
			bad = append(bad, fmt.Errorf("the alarm %s as it was cannot be read: %w", key, errors.Join(err, errors.New(string(remembered[key])))))
			continue
		}
		p := b.find(a.Key)
		if p == nil {
			b.points = append(b.points, newPoint(Alarm{Key: a.Key}, Setting{Priority: a.Priority, Response: a.Response}))
			p = &b.points[len(b.points)-1]
		}
		a.Priority, a.Response = p.Priority, p.Response // as configured now
		p.Alarm, p.settling, p.stamp = a, a.Active, a.Since
	}
	b.version++
	return errors.Join(bad...)
}

// Observe says what is known of the condition of the alarm at place i: whether its anomaly stands, or a cause of
// it does, and how high the score is over its limit. It counts from the next [Board.Step].
func (b *Board) Observe(i int, stands, explained bool, score, limit float64) {
	if i < 0 {
		return
	}
	b.mu.Lock()
	p := &b.points[i]
	p.seen, p.explained, p.score, p.limit = stands, explained, score, limit
	b.mu.Unlock()
}

// Step lets time pass until now. running says whether a run goes on. It allocates only where something
// happens to an alarm.
func (b *Board) Step(now int64, running bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var dt time.Duration
	if b.now != 0 {
		dt = min(max(time.Duration(now-b.now), 0), time.Minute)
	}
	b.now, b.running = now, running
	b.lived += dt
	b.judgeFlood()
	for i := range b.points {
		if p := &b.points[i]; p.seen || p.Active || p.State != Normal || p.set.Out != "" {
			b.advance(p, dt)
		} else {
			p.on = -1
		}
	}
}

// advance lets dt pass for one alarm.
func (b *Board) advance(p *point, dt time.Duration) {
	b.service(p)
	b.condition(p, dt)
	if p.State == Shelved {
		if longest := b.now + int64(b.opt.Shelf); p.Until > longest { // the clock was set back
			p.Until = longest
			b.remember(p)
		}
		if b.now >= p.Until {
			b.do(p, Unshelve, "", "its time is over")
		}
	}
	b.design(p)
}

// service takes an alarm out of service, or returns it, as the configuration says.
func (b *Board) service(p *point) {
	switch {
	case p.set.Out != "" && p.State != OutOfService:
		b.do(p, Remove, "", p.set.Out)
	case p.set.Out == "" && p.State == OutOfService:
		b.do(p, Restore, "", "in agent.yaml")
	}
}

// Reasons why an alarm is suppressed by design.
const (
	noRun   = "no run"
	inFlood = "flood"
)

// held says why an alarm is suppressed at present, "" if it is not.
func (b *Board) held(p *point) string {
	switch {
	case p.set.InRun && !b.running:
		return noRun
	case b.flood && p.Priority == anomaly.Low:
		return inFlood
	}
	return ""
}

// design ends suppression that no longer holds, and drops alarms that matter only during a run once that is over.
func (b *Board) design(p *point) {
	switch why := b.held(p); {
	case why == "" && p.State == Suppressed:
		b.do(p, Unsuppress, "", "")
	case why == noRun && p.State == Acknowledged:
		b.do(p, Suppress, "", why)
	}
}

// condition applies delays and deadband (ISA-18.2, 5.5): what the anomaly says becomes the condition.
func (b *Board) condition(p *point, dt time.Duration) {
	if p.settling && (p.seen || b.lived >= b.opt.Settle) {
		p.settling = false
	}
	switch gone := !p.seen && !(p.score > p.limit*(1-p.set.Deadband)); {
	case !p.Active && p.seen:
		if p.on < 0 {
			p.on = 0
		} else {
			p.on += dt
		}
		if p.on >= p.set.OnDelay {
			p.Active, p.on, p.off = true, -1, -1
			if why := b.held(p); why != "" && p.State == Normal {
				b.do(p, Suppress, "", why)
			} else {
				b.do(p, Raise, "", "")
			}
		}
	case !p.Active:
		p.on = -1
	case p.explained && !p.seen:
		p.Active, p.off, p.settling = false, -1, false
		b.do(p, Explain, "", "")
	case gone && !p.settling:
		if p.off < 0 {
			p.off = 0
		} else {
			p.off += dt
		}
		if p.off >= p.set.OffDelay {
			p.Active, p.off = false, -1
			b.do(p, Return, "", "")
		}
	default:
		p.off = -1
	}
}

// otherTime is how far the last stamp may be ahead after a clock was set back: then the next follows it, so that no two are the same. One
// that is further ahead is of another time, such as that in which a recording is played.
const otherTime = 7 * 24 * time.Hour

// do applies an event, records it and announces it; false if the event may not happen in this state.
func (b *Board) do(p *point, e Event, who, why string) bool {
	was := p.State
	next, ok := step(was, e, p.Active, p.set.Latch)
	if !ok {
		return false
	}
	if back := e == Unshelve || e == Restore; back && next == Unacknowledged {
		if held := b.held(p); held != "" {
			next, why = Suppressed, held
		}
	}
	if p.stamp++; p.stamp < b.now || p.stamp > b.now+int64(otherTime) {
		p.stamp = b.now
	}
	if next != was {
		p.State, p.Since = next, p.stamp
	}
	if (e == Raise || e == Suppress) && p.describe != nil {
		p.Text, p.Signals = p.describe()
	}
	switch {
	case next == Unacknowledged && was != Unacknowledged:
		b.raised(p)
	case next == Normal:
		p.First = ""
	}
	if next != Shelved {
		p.Until = 0
	}
	switch e {
	case Ack, Shelve, Reset, Remove, Suppress:
		p.Who, p.Why = who, why
	default:
		if next == Suppressed {
			p.Who, p.Why = "", why
		} else if next != was {
			p.Who, p.Why = "", ""
		}
	}
	b.version++
	b.remember(p)
	if b.opt.Keep != nil {
		b.opt.Keep.Record(record.Alarm{Time: p.stamp, Code: string(p.Code), Subject: p.Subject, Event: string(e), State: next.String(), Was: was.String(),
			Active: p.Active, Priority: int64(p.Priority), Raised: p.Raised, Until: p.Until, First: p.First, Who: who, Why: why, Text: p.Text})
	}
	if b.opt.Tell != nil {
		b.opt.Tell(p.Alarm, e, was)
	}
	return true
}

// raised counts an alarm that is put before people.
func (b *Board) raised(p *point) {
	p.Raised, p.First = p.stamp, ""
	p.Count++
	var first *point
	for i := range b.points {
		o := &b.points[i]
		if o != p && o.set.Group == p.set.Group && o.Active && o.First == "" && (o.State == Unacknowledged || o.State == Acknowledged) &&
			(first == nil || o.Raised < first.Raised) {
			first = o
		}
	}
	if first != nil {
		p.First = first.Key.String()
	}
	b.recent = append(b.recent, b.now)
	b.judgeFlood() // the next of this step may be one too many
}

// judgeFlood counts what was raised in the last ten minutes.
func (b *Board) judgeFlood() {
	n := 0
	for _, at := range b.recent {
		if age := time.Duration(b.now - at); age >= 0 && age < FloodSpan {
			b.recent[n] = at
			n++
		}
	}
	b.recent = b.recent[:n]
	if flood := n > b.opt.Flood || b.flood && n > b.opt.Flood/2; flood != b.flood {
		b.flood = flood
		b.version++
	}
}

// remember stores the state of an alarm for the next start, and forgets an alarm that is normal again.
func (b *Board) remember(p *point) {
	if b.opt.Keep == nil {
		return
	}
	var value []byte
	if p.State != Normal || p.Active || p.Count > 0 {
		value, _ = json.Marshal(p.Alarm) // strings, numbers and words
	}
	b.opt.Keep.Remember(p.Key.String(), value)
}

// NewJob cleans the board for a run that begins: what is over goes, seen or not, which is on record; what
// stands, stays.
func (b *Board) NewJob(now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = max(b.now, now)
	for i := range b.points {
		p := &b.points[i]
		changed := p.Count != 0
		p.Count = 0
		if !b.do(p, NewJob, "", "a run begins") && changed {
			b.remember(p)
		}
	}
}

func (b *Board) find(k Key) *point {
	for i := range b.points {
		if b.points[i].Key == k {
			return &b.points[i]
		}
	}
	return nil
}

func unknownState(b []byte) error {
	return fmt.Errorf("%q is no state of an alarm: they are %s", b, strings.Join(stateNames[:], ", "))
}
