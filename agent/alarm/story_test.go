package alarm

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/record"
)

// paper is a journal whose last writings a kill may lose.
type paper struct {
	rows, pending     []record.Alarm
	memory, forgotten map[string][]byte // on disk; and what is on its way there
}

func newPaper() *paper {
	return &paper{memory: map[string][]byte{}, forgotten: map[string][]byte{}}
}

func (p *paper) Record(r record.Alarm)             { p.pending = append(p.pending, r) }
func (p *paper) Remember(key string, value []byte) { p.forgotten[key] = value }
func (p *paper) commit() {
	p.rows, p.pending = append(p.rows, p.pending...), nil
	for k, v := range p.forgotten {
		if v == nil {
			delete(p.memory, k)
		} else {
			p.memory[k] = v
		}
	}
	clear(p.forgotten)
}
func (p *paper) kill() { p.pending = nil; clear(p.forgotten) }

const (
	minute = int64(time.Minute)
	hour   = 60 * minute
)

// story is one random life of a board.
type story struct {
	t       *testing.T
	rng     *rand.Rand
	board   *Board
	paper   *paper
	places  []int
	keys    []Key
	seen    []bool
	now     int64
	running bool
	out     map[anomaly.Code]string
	steps   []string
	seed    uint64
}

var storyCodes = []anomaly.Code{anomaly.SourceMissing, anomaly.SensorRate, anomaly.SensorFailure, anomaly.Innovation, anomaly.OutsideTraining, anomaly.DiskLow}

func (s *story) setting(c anomaly.Code) Setting {
	set := Default(anomaly.Of(c))
	set.Latch = c == anomaly.SensorFailure || c == anomaly.Innovation
	set.OnDelay = map[anomaly.Code]time.Duration{anomaly.DiskLow: 5 * time.Second}[c]
	set.OffDelay = map[anomaly.Code]time.Duration{anomaly.SensorRate: 7 * time.Second}[c]
	set.Out = s.out[c]
	return set
}

func (s *story) start() {
	s.board = NewBoard(Options{Setting: s.setting, Keep: s.paper, Flood: 4, Tell: s.told})
	s.places = s.places[:0]
	for _, k := range s.keys {
		s.places = append(s.places, s.board.Add(k, func() (text, signals string) { return "text", "" }))
	}
	if err := s.board.Restore(maps.Clone(s.paper.memory)); err != nil {
		s.fail("%v", err)
	}
	// The memory and the record tell the same.
	last := map[string]record.Alarm{}
	for _, r := range s.paper.rows {
		last[Key{anomaly.Code(r.Code), r.Subject}.String()] = r
	}
	for _, a := range s.board.Names() {
		if r, any := last[a.Key.String()]; any && (r.State != a.State.String() || r.Active != a.Active) {
			s.fail("%s is restored as %v, active %t; its last record is %+v", a.Key, a.State, a.Active, r)
		}
	}
}

func (s *story) fail(format string, args ...any) {
	s.t.Helper()
	from := max(0, len(s.steps)-25)
	s.t.Fatalf("story %d: %s\nits last steps: %v", s.seed, fmt.Sprintf(format, args...), s.steps[from:])
}

// told holds each step against what must never happen.
func (s *story) told(a Alarm, e Event, was State) {
	if !was.Unseen() || a.State.Unseen() {
		return
	}
	switch { // somebody has seen it, or its going is on record for a reason that is allowed
	case (e == Ack || e == Shelve) && a.Who != "":
	case e == NewJob && !a.Active && was != Unacknowledged:
	case e == Explain && !a.Active && was == Unacknowledged:
	case e == Remove && s.out[a.Code] != "":
	default:
		s.fail("%s was %v, which nobody had seen, and by %q is %v", a.Key, was, e, a.State)
	}
}

func (s *story) check() {
	for _, a := range s.board.Names() {
		switch {
		case a.State == Shelved && (a.Until <= s.now || a.Until > s.now+8*hour):
			s.fail("%s is shelved until %v from now", a.Key, time.Duration(a.Until-s.now))
		case a.State != Shelved && a.Until != 0:
			s.fail("%s is %v and has an end of shelving", a.Key, a.State)
		case a.State == Normal && a.Active:
			s.fail("the condition of %s holds, and it is normal", a.Key)
		case a.State == Suppressed && !a.Active, a.State == Returned && a.Active, a.State == Unacknowledged && !a.Active, a.State == Acknowledged && !a.Active:
			s.fail("%s is %v, and its condition holds: %t", a.Key, a.State, a.Active)
		case a.State == OutOfService && s.out[a.Code] == "", a.State != OutOfService && s.out[a.Code] != "":
			s.fail("%s is %v, the configuration says %q", a.Key, a.State, s.out[a.Code])
		}
	}
	stamp := map[string]int64{}
	for _, r := range s.paper.pending {
		if k := r.Code + r.Subject; r.Time <= stamp[k] {
			s.fail("two records of %s at %d", k, r.Time)
		} else {
			stamp[k] = r.Time
		}
	}
}

func (s *story) note(format string, args ...any) {
	s.steps = append(s.steps, fmt.Sprintf(format, args...))
}

// act does one random thing.
func (s *story) act() {
	name := All
	if k := s.rng.IntN(len(s.keys) + 1); k < len(s.keys) {
		name = s.keys[k].String()
	}
	switch n := s.rng.IntN(100); {
	case n < 40: // a condition comes or goes
		i := s.rng.IntN(len(s.keys))
		s.seen[i] = !s.seen[i]
		s.note("%s %t", s.keys[i], s.seen[i])
	case n < 52:
		_, err := s.board.Ack(s.now, name, "Ann", "")
		s.note("ack %s: %v", name, err)
	case n < 55:
		if _, err := s.board.Ack(s.now, name, " ", ""); err == nil {
			s.fail("acknowledged by nobody")
		}
	case n < 60:
		_, err := s.board.Reset(s.now, name, "Ann", "")
		s.note("reset %s: %v", name, err)
	case n < 68:
		length := time.Duration(s.rng.Int64N(9 * hour))
		_, err := s.board.Shelve(s.now, name, length, "Ben", "sensor is changed")
		if length > 8*time.Hour && err == nil {
			s.fail("shelved for %v", length)
		}
		s.note("shelve %s for %v: %v", name, length, err)
	case n < 72:
		_, err := s.board.Unshelve(s.now, name, "Ben", "")
		s.note("unshelve %s: %v", name, err)
	case n < 76:
		s.running = !s.running
		if s.running {
			s.board.NewJob(s.now)
		}
		s.note("run %t", s.running)
	case n < 78: // the clock is set
		s.now += s.rng.Int64N(20*hour) - 10*hour
		s.note("clock set")
	case n < 84: // the agent is killed, or ended
		if s.rng.IntN(2) == 0 {
			s.paper.kill()
		}
		s.paper.commit()
		if s.rng.IntN(4) == 0 { // and its configuration changed
			c := storyCodes[s.rng.IntN(len(storyCodes))]
			if s.out[c] == "" {
				s.out[c] = "rebuilt"
			} else {
				delete(s.out, c)
			}
		}
		s.note("restart")
		s.start()
	default:
		s.paper.commit()
	}
}

func (s *story) tick(dt int64) {
	s.now += dt
	for i, place := range s.places {
		score := 0.2
		if s.seen[i] {
			score = 2
		}
		s.board.Observe(place, s.seen[i], !s.seen[i] && i > 0 && s.seen[0] && s.keys[i].Code == anomaly.SensorFailure, score, 1)
	}
	s.board.Step(s.now, s.running)
}

// Ten thousand random lives: whatever people, conditions, clocks and kills do, nothing that nobody has seen
// disappears, and nothing that is shelved is so forever.
func TestStories(t *testing.T) {
	n := uint64(10_000)
	if testing.Short() {
		n = 1000
	}
	events := map[string]int{}
	for seed := range n {
		s := &story{t: t, rng: rand.New(rand.NewPCG(seed, 11)), paper: newPaper(), now: 1e18, out: map[anomaly.Code]string{}, seed: seed}
		for _, c := range storyCodes {
			s.keys = append(s.keys, Key{c, "a"})
		}
		s.keys = append(s.keys, Key{anomaly.SensorRate, "b"}, Key{anomaly.SensorFailure, "b"})
		s.seen = make([]bool, len(s.keys))
		s.start()
		for range 60 {
			s.act()
			s.tick(s.rng.Int64N(int64(20 * time.Second)))
			if s.rng.IntN(20) == 0 {
				s.tick(s.rng.Int64N(10 * hour)) // the computer slept
			}
			s.check()
		}
		// Left alone, all that is shelved comes back; what nobody has seen is still there.
		unseen := map[Key]bool{}
		for _, a := range s.board.Names() {
			unseen[a.Key] = a.State.Unseen()
		}
		for range 9 * 60 {
			s.tick(minute)
		}
		s.check()
		for _, a := range s.board.Names() {
			if a.State == Shelved {
				s.fail("%s is shelved for ever", a.Key)
			}
			if unseen[a.Key] && !a.State.Unseen() && !(a.Code == anomaly.SensorFailure && s.seen[0]) {
				s.fail("%s, which nobody has seen, has become %v by itself", a.Key, a.State)
			}
		}
		s.paper.commit()
		for _, r := range s.paper.rows {
			events[r.Event]++
		}
	}
	t.Logf("%d stories: %v", n, events)
	for _, e := range []Event{Raise, Return, Explain, Ack, Reset, Shelve, Unshelve, Suppress, Unsuppress, Remove, Restore, NewJob} {
		if events[string(e)] == 0 {
			t.Errorf("no story has a %q", e)
		}
	}
}
