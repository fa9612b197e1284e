package bridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"stirwatch/sensors/unit"
)

var celsius = unit.MustParse("°C")

// write is one value that reached the emulated machine.
type write struct {
	at    time.Time
	from  float64 // what the machine held
	value float64
	safe  bool
	knob  bool // not from the wire: someone turned the knob
	lost  bool // the cable was out
}

// machine is an emulated controller behind a [Dialect], with faults on order.
type machine struct {
	mu         sync.Mutex
	held       float64
	writes     []write
	res        float64
	noReadBack bool
	unplugged  bool
	fault      func(op Op) (delay time.Duration, err error) // nil: prompt and right
	hang       chan struct{}                                // a call waits for it, whatever its context says
	made       int
}

type toMachine struct{ *machine }

func (m *machine) dialect() Dialect {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made++
	return toMachine{m}
}

func (d toMachine) begin(ctx context.Context, op Op) error {
	d.mu.Lock()
	fault, hang, unplugged := d.fault, d.hang, d.unplugged
	d.mu.Unlock()
	if unplugged {
		return errors.New("no such file or directory")
	}
	if hang != nil && op != OpSafe {
		<-hang
	}
	if fault == nil {
		return ctx.Err()
	}
	delay, err := fault(op)
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d toMachine) put(v float64, safe bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes = append(d.writes, write{at: time.Now(), from: d.held, value: v, safe: safe, lost: d.unplugged})
	if !d.unplugged {
		d.held = v
	}
}

func (d toMachine) Set(ctx context.Context, _ string, v float64) error {
	d.put(v, false) // it is on the wire; what follows is the reply
	return d.begin(ctx, OpSet)
}

func (d toMachine) Safe(ctx context.Context, _ string, v float64) error {
	d.put(v, true)
	return d.begin(ctx, OpSafe)
}

func (d toMachine) Get(ctx context.Context, _ string) (float64, error) {
	if d.noReadBack {
		return 0, ErrNoReadBack
	}
	if err := d.begin(ctx, OpGet); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held, nil
}

func (d toMachine) Open(context.Context) error            { return nil }
func (d toMachine) Probe(context.Context) (string, error) { return "emulated", nil }
func (d toMachine) Show(op Op, t string, v float64) (string, error) {
	if op == OpGet && d.noReadBack {
		return "", ErrNoReadBack
	}
	return fmt.Sprint(op, t, v), nil
}
func (d toMachine) Resolution(string) float64 { return d.res }
func (d toMachine) Unsettled() bool           { return false }
func (d toMachine) Close() error              { return nil }

// turn sets the value at the machine itself.
func (m *machine) turn(v float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = v
	m.writes = append(m.writes, write{at: time.Now(), value: v, knob: true})
}

func (m *machine) log() []write {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]write(nil), m.writes...)
}

// notes gathers records.
type notes struct {
	mu  sync.Mutex
	all []Record
}

func (n *notes) Record(r Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, r)
}

func (n *notes) verdicts() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var s []string
	for _, r := range n.all {
		s = append(s, string(r.Verdict))
	}
	return strings.Join(s, " ")
}

func toolTemperature() Target {
	return Target{Name: "set_point", Unit: celsius, Min: 300, Max: 480, Slew: 10, Tolerance: 0.5, Lease: time.Minute,
		Safe: SafeState{Name: "hold low", Value: 300}}
}

// start runs a bridge inside a bubble of testing/synctest.
func start(t *testing.T, o Options) (b *Bridge, stop func() error) {
	t.Helper()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	synctest.Wait()
	return b, func() error { cancel(); return <-ended }
}

func ask(b *Bridge, v float64, d time.Duration) (*Lease, error) {
	return b.Command(Command{Target: "set_point", Value: unit.Quantity{Value: v, Unit: celsius}, For: d, Who: "test", Why: "a test"})
}

func TestALeaseWalksHoldsAndReverts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, n := &machine{held: 400, res: 1}, &notes{}
		b, stop := start(t, Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, Recorder: n})
		began := time.Now()
		l, err := ask(b, 455, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		<-l.Reached()
		if took := time.Since(began); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("55 °C at 10 °C/s took %v", took)
		}
		if err := l.Renew(30 * time.Second); err != nil {
			t.Error(err)
		}
		renewed := time.Now()
		<-l.Done()
		synctest.Wait()
		last := m.log()[len(m.log())-1]
		if !errors.Is(l.Err(), ErrExpired) || time.Since(renewed) != 30*time.Second || !last.safe || last.value != 300 || !last.at.Equal(time.Now()) {
			t.Errorf("%v after %v: %+v", l.Err(), time.Since(renewed), last)
		}
		if err := l.Renew(time.Second); !errors.Is(err, ErrExpired) {
			t.Errorf("an ended lease was renewed: %v", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if got := n.verdicts(); got != "accepted reached expired reverted" {
			t.Error(got)
		}
	})
}

// A target with steps of its own is walked in these.
func TestATargetHasStepsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, target := &machine{held: 400}, toolTemperature()
		target.Step = 100 * time.Millisecond
		b, stop := start(t, Options{Dialect: m.dialect, Targets: []Target{target}})
		l, err := ask(b, 410, 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		<-l.Reached()
		if w := m.log(); len(w) < 10 || len(w) > 11 || w[0].value != 401 {
			t.Errorf("10 K at 10 K/s in steps of 100 ms: %+v", w)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func (m *machine) plug(in bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unplugged = !in
}

func TestLimitsAndRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, n := &machine{held: 470}, &notes{}
		b, stop := start(t, Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, Recorder: n})
		l, err := ask(b, 900, time.Minute)
		if err != nil || l.Given().Value != 480 {
			t.Fatalf("%v, %v", l, err)
		}
		<-l.Reached()
		for want, c := range map[string]Command{
			"no such target":     {Target: "spindle", Value: unit.Quantity{Value: 400, Unit: celsius}, For: time.Second, Who: "a", Why: "b"},
			"who and why":        {Target: "set_point", Value: unit.Quantity{Value: 400, Unit: celsius}, For: time.Second, Who: "a"},
			"ends before":        {Target: "set_point", Value: unit.Quantity{Value: 400, Unit: celsius}, Who: "a", Why: "b"},
			"wrong kind of unit": {Target: "set_point", Value: unit.Quantity{Value: 400, Unit: unit.MustParse("rpm")}, For: time.Second, Who: "a", Why: "b"},
			"not a number":       {Target: "set_point", Value: unit.Quantity{Value: math.NaN(), Unit: celsius}, For: time.Second, Who: "a", Why: "b"},
			"test holds it":      {Target: "set_point", Value: unit.Quantity{Value: 400, Unit: celsius}, For: time.Second, Who: "a", Why: "b"},
		} {
			var r *Refusal
			if _, err := b.Command(c); !errors.As(err, &r) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", want, err)
			}
		}
		l.Release("enough")
		time.Sleep(time.Second)
		if w := m.log(); w[len(w)-1].value != 300 {
			t.Errorf("%+v", w)
		}
		stop()
		if got := n.verdicts(); got != "clamped reached refused refused refused refused refused refused released reverted" {
			t.Error(got)
		}
		if _, err := ask(b, 400, time.Second); !errors.Is(err, ErrNotRunning) {
			t.Error(err)
		}
	})
}

// A controller that takes every command and follows none is found out by reading back.
func TestAValueThatIsNotHeldEndsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, n := &machine{held: 400}, &notes{}
		b, stop := start(t, Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, Recorder: n, Patience: 3 * time.Second})
		l, _ := ask(b, 405, time.Minute)
		<-l.Reached()
		m.mu.Lock()
		m.held = 440 // someone at the panel
		m.mu.Unlock()
		turned := time.Now()
		<-l.Done()
		if !errors.Is(l.Err(), ErrFailed) || time.Since(turned) > 6*time.Second {
			t.Errorf("%v after %v", l.Err(), time.Since(turned))
		}
		stop()
		if got := n.verdicts(); got != "accepted reached failed reverted" {
			t.Error(got)
		}
	})
}

// The pilot hangs forever inside the dialect; the safe state goes out in time through a new one.
func TestTheWatchdogNeedsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{held: 400}
		o := Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}}
		b, stop := start(t, o)
		l, _ := ask(b, 450, 10*time.Second)
		time.Sleep(1500 * time.Millisecond)
		m.mu.Lock()
		m.hang = make(chan struct{})
		m.mu.Unlock()
		granted := time.Now().Add(-1500 * time.Millisecond)
		<-l.Done()
		time.Sleep(time.Second)
		var safe write
		for _, w := range m.log() {
			if w.safe {
				safe = w
				break
			}
		}
		// The pilot is stuck: patience ends the lease before its time.
		if late := safe.at.Sub(granted); late == 0 || late > 10*time.Second+defaultGrace {
			t.Errorf("safe after %v: %+v", late, safe)
		}
		close(m.hang)
		m.mu.Lock()
		m.hang = nil
		m.mu.Unlock()
		time.Sleep(10 * time.Second)
		if w := m.log(); w[len(w)-1].value != 300 || m.made < 2 {
			t.Errorf("%d dialects, %+v", m.made, w)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// belated is a machine whose next reading, once armed, hangs whatever its context says, and in the
// end brings a number.
type belated struct {
	toMachine
	armed *atomic.Bool
	until chan struct{}
}

func (d belated) Get(ctx context.Context, target string) (float64, error) {
	if d.armed.CompareAndSwap(true, false) {
		<-d.until
		return 444, nil
	}
	return d.toMachine.Get(ctx, target)
}

// The watchdog gives up a reading that does not come back and goes on through a new dialect. What the
// reading brings in the end is nobody's.
func TestALateReadingIsNobodys(t *testing.T) {
	for _, ramp := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m, late := &machine{held: 400}, belated{armed: new(atomic.Bool), until: make(chan struct{})}
			target := toolTemperature()
			target.Safe.Ramp = ramp
			b, stop := start(t, Options{Targets: []Target{target}, Dialect: func() Dialect {
				return belated{toMachine{m}, late.armed, late.until}
			}})
			l, err := ask(b, 405, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			<-l.Reached()
			late.armed.Store(true)
			l.Release("enough")
			for s, _ := b.State("set_point"); s.Reverting; s, _ = b.State("set_point") {
				time.Sleep(time.Second)
			}
			close(late.until)
			synctest.Wait()
			if s, _ := b.State("set_point"); s.ReadBack != 300 {
				t.Errorf("ramp %v: read back %g", ramp, s.ReadBack)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestALeaseSurvivesNoCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.json")
	m := &machine{held: 400}
	o := Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, State: path}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.running = true // the program dies before Run has done anything
	if _, err := ask(b, 450, time.Minute); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		b, stop := start(t, o)
		time.Sleep(time.Second)
		if w := m.log(); len(w) != 1 || w[0].value != 300 {
			t.Errorf("%+v", w)
		}
		stop()
		if left, err := b.remembered(); len(left.Leased) != 0 || err != nil {
			t.Errorf("%v, %v", left, err)
		}
	})
	if w := m.log(); len(w) != 1 {
		t.Errorf("%+v", w)
	}
}

func TestOptionsThatContradictThemselves(t *testing.T) {
	for want, change := range map[string]func(*Target){
		"no interval":           func(t *Target) { t.Min = 500 },
		"not above 0":           func(t *Target) { t.Slew = 0 },
		"tolerance":             func(t *Target) { t.Tolerance = math.NaN() },
		"cannot be walked to":   func(t *Target) { t.Safe = SafeState{Name: "off", Value: 0, Ramp: true} },
		"needs a name":          func(t *Target) { t.Safe.Name = "" },
		"steps of 7":            func(t *Target) { t.Min, t.Max = 302, 307 },
		"safe value 302 cannot": func(t *Target) { t.Safe.Value = 302 },
		"longest lease":         func(t *Target) { t.Lease = 48 * time.Hour },
	} {
		target := toolTemperature()
		target.Safe.Value = 302 - 301.0 + 294
		change(&target)
		if _, err := New(Options{Dialect: (&machine{res: 7}).dialect, Targets: []Target{target}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// A recorder that hangs loses records, counted, and holds nothing up.
func TestARecorderThatHangs(t *testing.T) {
	block := make(chan struct{})
	m := &machine{held: 400}
	b, err := New(Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, Recorder: recorderFunc(func(Record) { <-block })})
	if err != nil {
		t.Fatal(err)
	}
	for range maxRecords + 100 {
		ask(b, 400, time.Second) // refused: the bridge does not run
	}
	if b.Lost() != 100 {
		t.Errorf("%d lost", b.Lost())
	}
	close(block)
}

type recorderFunc func(Record)

func (f recorderFunc) Record(r Record) { f(r) }

func TestDamagedStateFileStopsTheBridge(t *testing.T) {
	path := t.TempDir() + "/bridge.json"
	for _, text := range []string{"", "{", `{"leased":["gone"]}`} {
		os.WriteFile(path, []byte(text), 0o644)
		b, err := New(Options{Dialect: (&machine{}).dialect, Targets: []Target{toolTemperature()}, State: path})
		if err != nil {
			t.Fatal(err)
		}
		var se *StateError
		if err := b.Run(context.Background()); !errors.As(err, &se) || !strings.Contains(err.Error(), "make sure the machine is safe") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// story is one random life of a bridge: who asks what when, and what the machine does meanwhile.
// It returns how many requests, faults and writes there were.
func story(t *testing.T, seed uint64) (requests, writes, turns int) {
	rng := rand.New(rand.NewPCG(seed, 4))
	pick := func(ds ...time.Duration) time.Duration { return ds[rng.IntN(len(ds))] }
	target := toolTemperature()
	target.Slew = []float64{0.3, 5, 10, 200}[rng.IntN(4)]
	switch rng.IntN(4) {
	case 0:
		target.Safe = SafeState{Name: "off", Value: 0, Ramp: false}
	case 1:
		target.Safe = SafeState{Name: "hold", Value: 350, Ramp: true}
	case 2:
		target.Safe = SafeState{Name: "as found", AsFound: true, Ramp: rng.IntN(2) == 0}
	}
	m := &machine{held: []float64{0, 300, 411.3, 480, 600}[rng.IntN(5)], res: []float64{0, 1, 0.1}[rng.IntN(3)], noReadBack: !target.Safe.AsFound && rng.IntN(4) == 0}
	o := Options{Dialect: m.dialect, Targets: []Target{target}, Patience: pick(3*time.Second, 6*time.Second), Step: pick(200*time.Millisecond, time.Second)}
	faulty := rng.Float64() * 0.5
	var frng sync.Mutex
	m.fault = func(Op) (time.Duration, error) {
		frng.Lock()
		defer frng.Unlock()
		if rng.Float64() > faulty {
			return time.Duration(rng.IntN(20)) * time.Millisecond, nil
		}
		switch rng.IntN(4) {
		case 0:
			return time.Hour, nil // never answers
		case 1:
			return 0, errors.New("unplugged")
		case 2:
			return time.Duration(rng.IntN(900)) * time.Millisecond, errors.New("garbage")
		}
		return time.Duration(rng.IntN(3)) * time.Millisecond, &DeviceError{"", "error: no"}
	}
	started := m.held
	home := target.Safe.Value
	if target.Safe.AsFound {
		if home = started; m.res > 0 {
			home = math.Round(started/m.res) * m.res
		}
	}
	b, stop := start(t, o)
	type span struct{ from, to time.Time }
	var alive []span // when a lease could have been in force, as the commander sees it
	for range 5 + rng.IntN(20) {
		frng.Lock()
		v := []float64{300, 480, 350 + 100*rng.Float64(), -1e9, 1e9, math.NaN(), math.Inf(1), 0}[rng.IntN(8)]
		d := time.Duration(rng.IntN(8000)) * time.Millisecond
		pause := time.Duration(rng.IntN(6000)) * time.Millisecond
		who := []string{"test", "other"}[rng.IntN(2)]
		release := rng.IntN(6) == 0
		unplug := rng.IntN(5) == 0
		turn, turned := rng.IntN(12) == 0, target.Min+rng.Float64()*(target.Max-target.Min)
		frng.Unlock()
		requests++
		l, err := b.Command(Command{Target: "set_point", Value: unit.Quantity{Value: v, Unit: celsius}, For: d, Who: who, Why: "story"})
		if err == nil {
			alive = append(alive, span{time.Now(), time.Now().Add(d)})
		}
		if release && l != nil {
			l.Release("story")
		}
		time.Sleep(pause / 2)
		m.plug(!unplug)
		if turn && !m.noReadBack && !target.Safe.AsFound { // where it cannot be read back nobody can know
			turns++
			m.turn(turned)
		}
		time.Sleep(pause - pause/2)
	}
	frng.Lock()
	faulty = 0
	frng.Unlock()
	m.plug(true)
	time.Sleep(time.Minute + 15*time.Minute) // silence, and a machine that answers
	// Silence has led to the safe state, if anything was commanded at all.
	all := m.log()
	log := slices.DeleteFunc(slices.Clone(all), func(w write) bool { return w.knob })
	if len(log) > 0 && math.Abs(log[len(log)-1].value-home) > 1e-6 {
		t.Errorf("seed %d: silence ended at %g, the safe value is %g", seed, log[len(log)-1].value, home)
	}
	if err := stop(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	// Every write is inside limits and slew, or the safe value itself.
	step := max(o.Step, time.Duration(m.res/target.Slew*1e9))
	origins, at := []float64{started}, time.Time{} // where the machine may be as far as the bridge can know
	arrived, knob := false, false                  // a write; the knob was turned since the last one that did
	for _, w := range all {
		if w.knob {
			origins, knob = append(origins, w.value), true
			continue
		}
		const tiny = 1e-6
		inside := w.value >= target.Min-tiny && w.value <= target.Max+tiny
		isSafe := w.safe && math.Abs(w.value-home) < tiny
		if !inside && !isSafe {
			t.Errorf("seed %d: %g is outside the limits", seed, w.value)
		}
		blind := m.noReadBack && !arrived // nobody knows where it starts
		arrived = arrived || !w.lost
		// As found it may lie beyond the limits, a step from the nearest.
		jump := isSafe && (!target.Safe.Ramp || blind || !inside)
		walked := jump
		for i, last := range origins {
			from := math.Min(math.Max(last, target.Min), target.Max)
			reach := target.Slew * step.Seconds()
			if i == 0 && !at.IsZero() {
				reach = target.Slew * min(w.at.Sub(at), step).Seconds()
			}
			walked = walked || math.Abs(w.value-from) <= reach+tiny || from != last && w.value == from
		}
		if !walked {
			t.Errorf("seed %d: from %g to %g in %v with %g a second", seed, origins, w.value, w.at.Sub(at), target.Slew)
		}
		// And no write moves the machine by more than a step, whatever was lost before it.
		from := math.Min(math.Max(w.from, target.Min), target.Max)
		if most := target.Slew*step.Seconds() + tiny; !jump && !w.lost && !knob && math.Abs(w.value-from) > most && (from == w.from || w.value != from) {
			t.Errorf("seed %d: the machine is moved from %g to %g with %g a second", seed, w.from, w.value, target.Slew)
		}
		// Whatever moves away from the safe state has a lease.
		if !w.safe {
			covered := false
			for _, s := range alive {
				covered = covered || !w.at.Before(s.from) && w.at.Before(s.to.Add(time.Millisecond))
			}
			if !covered {
				t.Errorf("seed %d: %g was written without a lease", seed, w.value)
			}
		}
		origins, at, knob = append(origins[:0], w.value), w.at, knob && w.lost
	}
	// Silence is answered in time: after the end of every lease that was not followed by another,
	// the safe state, or the first step to it, is on the wire within the grace.
	for i, s := range alive {
		end := s.to
		if i+1 < len(alive) && !alive[i+1].from.After(end.Add(defaultGrace)) {
			continue
		}
		var before *write
		answered := false
		for j := range log {
			w := &log[j]
			if !w.at.After(end) {
				before = w
			}
			if w.safe && !w.at.Before(s.from) && !w.at.After(end.Add(defaultGrace+2*time.Millisecond)) {
				answered = true
			}
		}
		if before != nil && !before.safe && !answered {
			t.Errorf("seed %d: nothing safe on the wire within %v of the end of a lease", seed, defaultGrace)
		}
	}
	return requests, len(log), turns
}

func TestStories(t *testing.T) {
	cases := 3000
	if testing.Short() {
		cases = 300
	}
	requests, writes, turns := 0, 0, 0
	for seed := range uint64(cases) {
		synctest.Test(t, func(t *testing.T) {
			r, w, k := story(t, seed)
			requests, writes, turns = requests+r, writes+w, turns+k
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if turns == 0 {
		t.Error("nobody has turned the knob")
	}
	t.Logf("%d stories, %d commands, %d writes, %d turns of the knob", cases, requests, writes, turns)
}

func FuzzStory(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) { story(t, seed) })
	})
}

// A loop commands another value before the answer to the last one is due: the end of its lease tells all the same what hindered it.
func TestWhyALeaseEndsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{held: 400}
		answersIn := func(d time.Duration) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.fault = func(Op) (time.Duration, error) { return d, nil }
		}
		b, stop := start(t, Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}})
		l, _ := ask(b, 410, time.Minute)
		<-l.Reached()
		answersIn(time.Minute)
		for i := 0; l.Err() == nil && i < 100; i++ {
			next, err := ask(b, 410+float64(i%5), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			l = next
			time.Sleep(100 * time.Millisecond)
		}
		if err := l.Err(); err == nil || !strings.Contains(err.Error(), "nothing confirmed for 5s: context deadline exceeded") {
			t.Errorf("%v", err)
		}
		answersIn(0)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
