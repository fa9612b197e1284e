package alarm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/anomaly"
)

// bench is a board that a test steps by tenths of a second.
type bench struct {
	*Board
	t     *testing.T
	now   int64
	paper *paper
	place map[Key]int
	on    map[Key]bool
}

func newBench(t *testing.T, opt Options, keys ...Key) *bench {
	b := &bench{t: t, now: 1e18, paper: newPaper(), place: map[Key]int{}, on: map[Key]bool{}}
	opt.Keep = b.paper
	b.Board = NewBoard(opt)
	for _, k := range keys {
		b.place[k] = b.Add(k, func() (text, signals string) { return "no value: " + k.Subject, "" })
	}
	return b
}

func (b *bench) run(seconds float64, running bool) {
	for range int(seconds*10 + 0.5) {
		b.now += 1e8
		for k, place := range b.place {
			score := 0.0
			if b.on[k] {
				score = 1
			}
			b.Observe(place, b.on[k], false, score, 0.5)
		}
		b.Step(b.now, running)
	}
}

func (b *bench) is(k Key, want State) Alarm {
	b.t.Helper()
	for _, a := range b.Names() {
		if a.Key == k {
			if a.State != want {
				b.t.Fatalf("%s is %v, want %v", k, a.State, want)
			}
			return a
		}
	}
	b.t.Fatalf("no %s", k)
	return Alarm{}
}

var (
	source = Key{anomaly.SourceMissing, "daq"}
	sensor = Key{anomaly.SensorMissing, "tool"}
	rate   = Key{anomaly.SensorRate, "tool"}
	model  = Key{anomaly.OutsideTraining, ""}
)

func with(change func(anomaly.Code, *Setting)) func(anomaly.Code) Setting {
	return func(c anomaly.Code) Setting {
		s := Default(anomaly.Of(c))
		change(c, &s)
		return s
	}
}

func TestDelays(t *testing.T) {
	b := newBench(t, Options{Setting: with(func(_ anomaly.Code, s *Setting) { s.OnDelay, s.OffDelay = 2*time.Second, 3*time.Second })}, source)
	b.on[source] = true
	b.run(1.9, true)
	b.on[source] = false
	b.run(0.1, true) // an interruption starts the delay anew
	b.on[source] = true
	b.run(2, true)
	b.is(source, Normal)
	b.run(0.1, true)
	if a := b.is(source, Unacknowledged); a.Text != "no value: daq" || a.Raised == 0 || a.Count != 1 || a.Response == "" {
		t.Errorf("%+v", a)
	}
	b.on[source] = false
	b.run(2.9, true)
	b.on[source] = true
	b.run(0.1, true)
	b.on[source] = false
	b.run(3, true)
	b.is(source, Unacknowledged)
	b.run(0.1, true)
	b.is(source, Returned)
	if got, err := b.Ack(b.now, source.String(), "Ann", "seen"); err != nil || len(got) != 1 || got[0].State != Normal {
		t.Errorf("%+v, %v", got, err)
	}
}

// The score must fall below the limit by the deadband, however long the anomaly is gone.
func TestDeadband(t *testing.T) {
	b := newBench(t, Options{Setting: with(func(_ anomaly.Code, s *Setting) { s.Deadband = 0.2 })}, source)
	step := func(stands bool, score float64) {
		for range 50 {
			b.now += 1e8
			b.Observe(b.place[source], stands, false, score, 10)
			b.Step(b.now, true)
		}
	}
	step(true, 12)
	step(false, 8.5)
	b.is(source, Unacknowledged)
	step(false, 7.9)
	b.is(source, Returned)
}

// An alarm that only concerns a run is kept back while none goes on, and told when one begins if it still holds.
func TestSuppressedWhileNoRun(t *testing.T) {
	b := newBench(t, Options{}, model, source)
	b.on[model], b.on[source] = true, true
	b.run(1, false)
	if a := b.is(model, Suppressed); a.Why != "no run" {
		t.Errorf("%+v", a)
	}
	b.is(source, Unacknowledged)
	b.NewJob(b.now)
	b.run(0.1, true)
	b.is(model, Unacknowledged)
	if _, err := b.Ack(b.now, All, "Ann", ""); err != nil {
		t.Error(err)
	}
	b.run(1, false)
	b.is(model, Suppressed)
	b.is(source, Acknowledged)
	b.on[model] = false
	b.run(1, false)
	b.is(model, Normal)
}

// A run begins with a clean board: what is over goes, with a record, and what stands, stays.
func TestNewJob(t *testing.T) {
	b := newBench(t, Options{}, source, sensor, rate)
	b.on[source], b.on[sensor] = true, true
	b.run(1, true)
	b.on[sensor] = false
	b.run(1, true)
	b.is(sensor, Returned)
	b.paper.commit()
	b.NewJob(b.now)
	b.is(sensor, Normal)
	if a := b.is(source, Unacknowledged); a.Count != 0 {
		t.Errorf("%+v", a)
	}
	if p := b.paper.pending; len(p) != 1 || p[0].Event != "new job" || p[0].Was != "returned" || p[0].Subject != "tool" {
		t.Errorf("%+v", p)
	}
}

// The first alarm of a group is named by those that come while it stands.
func TestFirstOut(t *testing.T) {
	b := newBench(t, Options{}, source, sensor, rate, model)
	b.on[sensor] = true
	b.run(1, true)
	b.on[source], b.on[model] = true, true
	b.run(1, true)
	if a := b.is(sensor, Unacknowledged); a.First != "" {
		t.Errorf("the first names %q", a.First)
	}
	if a := b.is(source, Unacknowledged); a.First != sensor.String() {
		t.Errorf("the second names %q", a.First)
	}
	if a := b.is(model, Unacknowledged); a.First != "" {
		t.Errorf("one of another group names %q", a.First)
	}
}

// In a flood what can wait waits, and nothing of it is lost: it is told when the flood is over, if it still holds.
func TestFlood(t *testing.T) {
	var keys []Key
	for i := range 30 {
		keys = append(keys, Key{anomaly.SensorRate, fmt.Sprintf("ch%d", i)})
	}
	b := newBench(t, Options{Setting: with(func(_ anomaly.Code, s *Setting) { s.OffDelay = 0 })}, append(keys, source)...)
	for _, k := range keys {
		b.on[k] = true
	}
	b.run(0.1, true)
	count := func() map[State]int {
		n := map[State]int{}
		for _, a := range b.Names() {
			n[a.State]++
		}
		return n
	}
	if n := count(); n[Unacknowledged] != 11 || n[Suppressed] != 19 || !b.List().Flood {
		t.Fatalf("thirty at once: %v", n)
	}
	b.on[source] = true
	b.run(1, true)
	b.is(source, Unacknowledged) // it is of medium priority
	for _, k := range keys[:25] {
		b.on[k] = false
	}
	b.run(9*60, true)
	if n := count(); n[Suppressed] != 5 {
		t.Errorf("%v", n)
	}
	b.run(2*60, true)
	held := 0
	for _, k := range keys[25:] {
		for _, a := range b.Names() {
			if a.Key == k && a.State == Unacknowledged {
				held++
			}
		}
	}
	if b.List().Flood || held != 5 {
		t.Errorf("after the flood: %v, %d of the 5 that hold are told", count(), held)
	}
}

// After a restart sensors are not missing at once; what was known before is not over because of that, nor told twice.
func TestRestoredAlarmsSettle(t *testing.T) {
	b := newBench(t, Options{}, source, sensor)
	b.on[source], b.on[sensor] = true, true
	b.run(1, true)
	if _, err := b.Ack(b.now, source.String(), "Ann", "cable is on its way"); err != nil {
		t.Fatal(err)
	}
	b.paper.commit()
	again := newBench(t, Options{Tell: func(a Alarm, e Event, _ State) {
		if a.Key == source {
			t.Errorf("told of %s: %s", a.Key, e)
		}
	}}, source, sensor, rate)
	again.now = b.now + minute
	b.paper.memory[Key{anomaly.SensorFailure, "removed from agent.yaml"}.String()] =
		[]byte(`{"code":"sensor.failure","subject":"gone","state":"unacknowledged","active":true,"priority":2,"text":"x","response":"y"}`)
	if err := again.Restore(b.paper.memory); err != nil {
		t.Fatal(err)
	}
	again.run(12, true)
	again.on[source] = true
	again.run(20, true)
	if a := again.is(source, Acknowledged); a.Who != "Ann" || a.Why != "cable is on its way" {
		t.Errorf("%+v", a)
	}
	again.is(sensor, Returned) // that one did not come back
	again.is(Key{anomaly.SensorFailure, "gone"}, Returned)
	if err := again.Restore(map[string][]byte{"x": []byte("{")}); err == nil {
		t.Error("a damaged memory is no error")
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t, Options{}, source, sensor)
	b.run(0.1, true)
	for _, c := range []struct {
		do   func() error
		kind error
		says string
	}{
		{func() error { _, err := b.Ack(b.now, "sensor.mising", "Ann", ""); return err }, ErrUnknown, `"sensor.mising"`},
		{func() error { _, err := b.Ack(b.now, source.String(), "Ann", ""); return err }, ErrRefused, "it is normal"},
		{func() error { _, err := b.Ack(b.now, All, "Ann", ""); return err }, ErrRefused, "no alarm to ack"},
		{func() error { _, err := b.Ack(b.now, All, "", ""); return err }, ErrRefused, "a name is needed"},
		{func() error { _, err := b.Shelve(b.now, source.String(), time.Hour, "Ann", " "); return err }, ErrRefused, "needs a reason"},
		{func() error { _, err := b.Shelve(b.now, source.String(), 9*time.Hour, "Ann", "x"); return err }, ErrRefused, "up to 8h0m0s"},
		{func() error { _, err := b.Unshelve(b.now, source.String(), "Ann", ""); return err }, ErrRefused, "not shelved"},
		{func() error { _, err := b.Reset(b.now, source.String(), "Ann", ""); return err }, ErrRefused, "latched"},
	} {
		if err := c.do(); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}

// A code without a response text is no alarm; every code as shipped has one, and a setting that holds.
func TestNoResponseNoAlarm(t *testing.T) {
	b := NewBoard(Options{Setting: with(func(_ anomaly.Code, s *Setting) { s.Response = "" })})
	if place := b.Add(source, nil); place != -1 || len(b.Names()) != 0 {
		t.Errorf("place %d", place)
	}
	b.Observe(-1, true, false, 1, 0)
	for _, d := range anomaly.Definitions() {
		if s := Default(&d); s.Check() != nil || s.Response == "" || s.Group == "" {
			t.Errorf("%s: %+v, %v", d.Code, s, s.Check())
		}
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	b := newBench(t, Options{}, source, sensor, rate, model)
	b.on[sensor] = true
	b.run(1, true)
	if n := testing.AllocsPerRun(1000, func() {
		b.now += 1e8
		for _, place := range b.place {
			b.Observe(place, place == b.place[sensor], false, 1, 0.5)
		}
		b.Step(b.now, true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A hundred alarms a tick, none of which changes. Budget: 20 µs, of the 100 µs that a tick may take.
func BenchmarkStep(b *testing.B) {
	board := NewBoard(Options{})
	var places []int
	for i := range 100 {
		places = append(places, board.Add(Key{anomaly.SensorRate, fmt.Sprint("ch", i)}, nil))
	}
	b.ReportAllocs()
	now := int64(1e18)
	for b.Loop() {
		now += 1e8
		for _, place := range places {
			board.Observe(place, false, false, 0.2, 0.5)
		}
		board.Step(now, true)
	}
}
