package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/record"
)

// inbox is a target that can be out of order.
type inbox struct {
	mu    sync.Mutex
	down  error
	lost  bool // it takes the message and its answer is lost
	got   []Message
	at    []time.Time
	tries int
}

func (b *inbox) Send(_ context.Context, m *Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries++
	if b.down != nil && !b.lost {
		return b.down
	}
	b.got, b.at = append(b.got, *m), append(b.at, time.Now())
	return b.down
}

func (b *inbox) set(down error, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down, b.lost = down, lost
}

// life is a notifier of one target that can be killed and started again, with the alarms that it is told of.
type life struct {
	*Notifier
	t      *testing.T
	box    *inbox
	rules  Rules
	mu     sync.Mutex
	memory map[string][]byte
	rows   []record.Notification
	end    func()
	alarms map[string]alarm.Alarm
	stand  []alarm.Alarm // on the board when the notifier starts
}

func newLife(t *testing.T, rules Rules) *life {
	if rules.Priority == 0 {
		rules.Priority = anomaly.Low
	}
	if rules.Rate == 0 {
		rules.Rate = 12
	}
	l := &life{t: t, box: &inbox{}, rules: rules, memory: map[string][]byte{}, alarms: map[string]alarm.Alarm{}}
	l.start()
	return l
}

func (l *life) start() {
	l.Notifier = New(Options{Machine: "cell-1", Targets: []Target{{Name: "office", Rules: l.rules, Sender: l.box}}, Log: slog.New(slog.DiscardHandler),
		Remember: func(k string, v []byte) { l.mu.Lock(); l.memory[k] = v; l.mu.Unlock() },
		Record:   func(r record.Notification) { l.mu.Lock(); l.rows = append(l.rows, r); l.mu.Unlock() },
	})
	l.mu.Lock()
	was := maps.Clone(l.memory)
	l.mu.Unlock()
	if err := l.Restore(was); err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan struct{})
	stand := l.stand
	go func() {
		l.Run(ctx, func() alarm.Listing { return alarm.Listing{Alarms: stand} })
		close(done)
	}()
	l.end = func() { cancel(); <-done }
}

func (l *life) restart() { l.end(); l.start() }

// step takes an alarm to a state, as a board would.
func (l *life) step(key string, e alarm.Event, to alarm.State, p anomaly.Priority) {
	a := l.alarms[key]
	was := a.State
	a.Key, a.Priority, a.State = alarm.Key{Code: anomaly.Code(key)}, p, to
	a.Text, a.Response = "the "+key+" is wrong", "mend the "+key
	a.Active = to == alarm.Unacknowledged || to == alarm.Acknowledged
	if e == alarm.Raise {
		a.Raised = time.Now().UnixNano()
	}
	if e == alarm.Ack {
		a.Who = "Ann"
	}
	l.alarms[key] = a
	l.Tell(a, e, was)
}

func (l *life) raise(key string, p anomaly.Priority) {
	l.step(key, alarm.Raise, alarm.Unacknowledged, p)
}
func (l *life) over(key string) {
	l.step(key, alarm.Return, alarm.Returned, l.alarms[key].Priority)
}
func (l *life) ack(key string) {
	to := alarm.Acknowledged
	if l.alarms[key].State == alarm.Returned {
		to = alarm.Normal
	}
	l.step(key, alarm.Ack, to, l.alarms[key].Priority)
}

// pass lets time go by and everything happen that is due.
func (l *life) pass(d time.Duration) { time.Sleep(d); synctest.Wait() }

func (l *life) titles() (all []string) {
	l.box.mu.Lock()
	defer l.box.mu.Unlock()
	for i := range l.box.got {
		all = append(all, l.box.got[i].Title)
	}
	return all
}

func (l *life) expect(want ...string) {
	l.t.Helper()
	if got := l.titles(); !slices.Equal(got, want) {
		l.t.Errorf("told %q\nwant %q", got, want)
	}
}

// An alarm is told once, with what to do; what comes together is one message.
func TestOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, Rules{Gather: 5 * time.Second})
		defer func() { l.end() }()
		l.raise("pump", anomaly.High)
		l.pass(4 * time.Second)
		l.expect()
		l.pass(time.Second)
		l.expect("cell-1: the pump is wrong")
		if m := l.box.got[0]; !strings.HasPrefix(m.Text, "HIGH, ") || !strings.HasSuffix(m.Text, ": the pump is wrong. Do: mend the pump") || m.Priority != anomaly.High {
			t.Errorf("%+v", m)
		}
		for i := range 4 {
			l.raise(fmt.Sprint("valve ", i), anomaly.Low+anomaly.Priority(-i%2))
		}
		l.over("valve 3")
		l.pass(time.Minute)
		l.expect("cell-1: the pump is wrong", "cell-1: 4 alarms, 1 medium, 2 low, 1 over")
		if n := strings.Count(l.box.got[1].Text, "\n"); n != 3 {
			t.Errorf("%s", l.box.got[1].Text)
		}
		l.restart()
		l.pass(time.Hour)
		if len(l.titles()) != 2 {
			t.Errorf("after a restart: %q", l.titles())
		}
	})
}

// An hour without a way out, with alarms all the time and two kills: afterwards everything is told, in few messages.
func TestAnOutageLosesNoneAndFloodsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, Rules{Gather: 5 * time.Second})
		defer func() { l.end() }()
		l.box.set(errors.New("connection refused"), false)
		raised := map[string]int{}
		for i := range 360 {
			key := fmt.Sprint("valve ", i%40)
			if l.alarms[key].State == alarm.Unacknowledged {
				l.over(key)
			} else {
				l.raise(key, anomaly.Medium)
				raised[key]++
			}
			l.pass(10 * time.Second)
			if i == 100 || i == 200 {
				l.restart()
			}
			if i == 60 && !strings.Contains(l.Undelivered(), "connection refused") {
				t.Errorf("after ten minutes it says %q", l.Undelivered())
			}
		}
		if l.box.tries > 60 {
			t.Errorf("tried %d times in an hour", l.box.tries)
		}
		l.box.set(nil, false)
		l.pass(10 * time.Minute)
		told := map[string]int{}
		for _, m := range l.box.got {
			for _, it := range m.Items {
				told[string(it.Code)] += it.Times
			}
		}
		if !maps.Equal(told, raised) || len(l.box.got) > 2 {
			t.Errorf("%d messages tell of %v\nraised %v", len(l.box.got), told, raised)
		}
		if l.Undelivered() != "" {
			t.Errorf("still %q", l.Undelivered())
		}
		t.Logf("360 steps of 40 alarms in an hour's outage, %d attempts: %d messages, %q", l.box.tries, len(l.box.got), l.titles())
	})
}

// A message that was taken while its answer was lost comes again under the same name, also after a restart.
func TestTheSameMessageBearsTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, Rules{})
		defer func() { l.end() }()
		l.box.set(errors.New("answer lost"), true)
		l.raise("pump", anomaly.High)
		l.pass(time.Millisecond)
		l.raise("valve", anomaly.High)
		l.restart()
		l.box.set(nil, false)
		l.pass(time.Minute)
		if g := l.box.got; len(g) < 3 || g[0].ID != g[1].ID || len(g[1].Items) != 1 || g[len(g)-1].ID == g[0].ID {
			t.Errorf("%+v", l.box.got)
		}
		last := l.rows[len(l.rows)-1]
		if first := l.rows[0]; first.Sent || first.Attempt != 1 || first.Text != "answer lost" || !last.Sent || last.Alarms != 1 || last.Target != "office" {
			t.Errorf("on record: %+v … %+v", l.rows[0], last)
		}
	})
}

// A target that is new is told once of the alarms that nobody has acknowledged; one that was there before is not.
func TestANewTargetIsToldOfWhatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, Rules{Priority: anomaly.Medium})
		defer func() { l.end() }()
		l.pass(time.Minute)
		l.expect()
		l.stand = []alarm.Alarm{
			{Key: alarm.Key{Code: "pump"}, Priority: anomaly.High, State: alarm.Unacknowledged, Active: true, Text: "the pump is wrong"},
			{Key: alarm.Key{Code: "valve"}, Priority: anomaly.High, State: alarm.Acknowledged, Active: true},
			{Key: alarm.Key{Code: "lamp"}, Priority: anomaly.Low, State: alarm.Unacknowledged, Active: true},
		}
		l.restart()
		l.pass(time.Minute)
		l.expect()
		l.end()
		l.mu.Lock()
		clear(l.memory)
		l.mu.Unlock()
		l.start()
		l.pass(time.Minute)
		if len(l.box.got) != 1 || len(l.box.got[0].Items) != 1 || l.box.got[0].Items[0].Text != "the pump is wrong" {
			t.Fatalf("%+v", l.box.got)
		}
		l.restart()
		l.pass(time.Minute)
		if len(l.box.got) != 1 {
			t.Errorf("told again: %+v", l.box.got)
		}
	})
}

// Who is told of what nobody acknowledges is left in peace where somebody does.
func TestEscalation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, Rules{After: 10 * time.Minute})
		defer func() { l.end() }()
		l.raise("pump", anomaly.Medium)
		l.raise("valve", anomaly.Medium)
		l.pass(9 * time.Minute)
		l.ack("pump")
		l.pass(2 * time.Minute)
		l.expect("cell-1: the valve is wrong")
		l.raise("hose", anomaly.Medium)
		l.pass(time.Minute)
		l.over("hose")
		l.ack("hose")
		l.pass(time.Hour)
		l.expect("cell-1: the valve is wrong")
	})
}

// At night only what is urgent is told; the rest waits for the morning, in one message.
func TestQuietHours(t *testing.T) {
	was := time.Local
	time.Local = time.UTC
	defer func() { time.Local = was }()
	synctest.Test(t, func(t *testing.T) { // a bubble begins at midnight UTC
		l := newLife(t, Rules{Quiet: &Quiet{From: 22 * 60, To: 6 * 60, Priority: anomaly.High}})
		defer func() { l.end() }()
		l.raise("valve", anomaly.Medium)
		l.pass(time.Hour)
		l.raise("hose", anomaly.Low)
		l.raise("pump", anomaly.High)
		l.pass(time.Hour)
		l.expect("cell-1: the pump is wrong")
		l.pass(3*time.Hour + 59*time.Minute)
		l.expect("cell-1: the pump is wrong")
		l.pass(2 * time.Minute)
		l.expect("cell-1: the pump is wrong", "cell-1: 2 alarms, 1 medium, 1 low")
		l.pass(16 * time.Hour) // 22:01
		l.raise("fan", anomaly.Medium)
		l.pass(time.Hour)
		if len(l.titles()) != 2 {
			t.Errorf("%q", l.titles())
		}
	})
}

func TestQuietEnds(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2 15:04", s, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	night, noon := &Quiet{From: 22 * 60, To: 6 * 60}, &Quiet{From: 12 * 60, To: 13 * 60}
	for _, c := range []struct {
		q        *Quiet
		now, end string
	}{{night, "1 21:59", ""}, {night, "1 22:00", "2 06:00"}, {night, "2 00:00", "2 06:00"}, {night, "2 05:59", "2 06:00"}, {night, "2 06:00", ""},
		{noon, "1 11:59", ""}, {noon, "1 12:30", "1 13:00"}, {noon, "1 13:00", ""}, {nil, "1 12:00", ""}} {
		got := c.q.ends(at(c.now))
		if c.end == "" && !got.IsZero() || c.end != "" && !got.Equal(at(c.end)) {
			t.Errorf("%+v at %s: %v, want %q", c.q, c.now, got, c.end)
		}
	}
}

// More than so many messages an hour nobody gets; what is beyond waits and is told in one.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, Rules{Rate: 3})
		defer func() { l.end() }()
		for i := range 30 {
			l.raise(fmt.Sprint("valve ", i), anomaly.Medium)
			l.pass(time.Minute)
		}
		if got := l.titles(); len(got) != 3 {
			t.Errorf("%q", got)
		}
		l.pass(30 * time.Minute)
		if got := l.titles(); len(got) != 4 || got[3] != "cell-1: 27 alarms, 27 medium" {
			t.Errorf("%q", got)
		}
	})
}

// The end of what was told is told where that is asked for, and only then; less urgent alarms than asked for are not.
func TestReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, Rules{Returns: true, Priority: anomaly.Medium})
		defer func() { l.end() }()
		l.raise("dust", anomaly.Low)
		l.raise("pump", anomaly.Medium)
		l.pass(time.Minute)
		l.ack("pump")
		l.step("pump", alarm.Return, alarm.Normal, anomaly.Medium)
		l.pass(time.Minute)
		l.step("pump", alarm.NewJob, alarm.Normal, anomaly.Medium)
		l.pass(time.Minute)
		if len(l.box.got) != 2 || !l.box.got[1].Items[0].Ended || !strings.HasPrefix(l.box.got[1].Text, "over at ") {
			t.Errorf("%+v", l.box.got)
		}
	})
}

// A receiver that asks for patience gets it.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, Rules{})
		defer func() { l.end() }()
		l.box.set(later{errors.New("429"), 10 * time.Minute}, false)
		l.raise("pump", anomaly.High)
		l.pass(9 * time.Minute)
		if l.box.tries != 1 {
			t.Errorf("%d attempts", l.box.tries)
		}
	})
}
