package bridge

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/sensors/unit"
)

// ramped is the tool temperature with a safe state that is walked to.
func ramped() Target {
	t := toolTemperature()
	t.Slew, t.Safe = 2, SafeState{Name: "hold low", Value: 300, Ramp: true}
	return t
}

// held asks for a value and waits until the machine holds it.
func held(t *testing.T, b *Bridge, v float64) *Lease {
	t.Helper()
	l, err := ask(b, v, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-l.Reached():
	case <-l.Done():
		t.Fatal(l.Err())
	}
	return l
}

// Doubt counts from the last confirmation: a reply that is lost long after the last change is asked
// for again, and only patience without any ends the lease.
func TestOneLostReplyEndsNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{held: 400}
		target := toolTemperature()
		target.Lease = time.Hour
		b, stop := start(t, Options{Dialect: m.dialect, Targets: []Target{target}})
		l := held(t, b, 405)
		for range 10 {
			time.Sleep(20 * time.Second)
			m.mu.Lock()
			m.fault = func(Op) (time.Duration, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.fault = nil
				return time.Hour, nil
			}
			m.mu.Unlock()
		}
		time.Sleep(20 * time.Second)
		if err := l.Err(); err != nil {
			t.Error(err)
		}
		m.plug(false)
		began := time.Now()
		<-l.Done()
		if took := time.Since(began); took > 5*time.Second || took < 3*time.Second {
			t.Errorf("ended after %v", took)
		}
		if !strings.Contains(l.Err().Error(), "no such file or directory") {
			t.Errorf("the cause is not told: %v", l.Err())
		}
		m.plug(true)
		stop()
	})
}

// A target that cannot be read back is acknowledged again and again while it is held; a controller
// that went away is noticed like any other.
func TestAcknowledgementsAloneAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{held: 400, noReadBack: true}
		b, stop := start(t, Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}})
		l, err := ask(b, 320, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		<-l.Reached()
		m.plug(false)
		began := time.Now()
		<-l.Done()
		if took := time.Since(began); !errors.Is(l.Err(), ErrFailed) || took > 5*time.Second {
			t.Errorf("%v after %v", l.Err(), took)
		}
		m.plug(true)
		stop()
	})
}

// Unplugged for a minute, then plugged in: the ramp goes on from where the machine stands.
func TestARampStartsFromWhatIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{held: 440}
		b, stop := start(t, Options{Dialect: m.dialect, Targets: []Target{ramped()}})
		l := held(t, b, 450)
		m.plug(false)
		<-l.Done()
		time.Sleep(time.Minute)
		m.plug(true)
		stop()
		for _, w := range m.log() {
			if !w.lost && math.Abs(w.value-w.from) > 2+1e-9 {
				t.Fatalf("from %g to %g in one write", w.from, w.value)
			}
		}
		if m.held != 300 {
			t.Errorf("the end is %g", m.held)
		}
	})
}

// A bridge that is told to stop goes on trying to reach the safe state, until someone gives that up;
// then it says what it leaves behind, and the file remembers it.
func TestTheWayToSafetyIsNotGivenUp(t *testing.T) {
	for _, abandon := range []bool{false, true} {
		m := &machine{held: 440}
		o := Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, State: filepath.Join(t.TempDir(), "bridge.json")}
		synctest.Test(t, func(t *testing.T) {
			b, stop := start(t, o)
			held(t, b, 450)
			m.plug(false)
			ended := make(chan error, 1)
			go func() { ended <- stop() }()
			time.Sleep(10 * time.Minute)
			select {
			case err := <-ended:
				t.Fatalf("gave up: %v", err)
			default:
			}
			if abandon {
				b.Abandon()
			} else {
				m.plug(true)
			}
			err := <-ended
			left, _ := o.Left()
			switch {
			case !abandon && (err != nil || m.held != 300 || len(left) != 0):
				t.Errorf("%v, at %g, left %v", err, m.held, left)
			case abandon && (err == nil || !strings.Contains(err.Error(), `set_point may not be in its safe state "hold low" (300 °C): no such file`) || len(left) != 1):
				t.Errorf("%v, left %v", err, left)
			}
		})
	}
}

// What a bridge that died has left under lease is reverted by whoever comes next, and a new command
// is taken then.
func TestRecover(t *testing.T) {
	m := &machine{held: 440}
	o := Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, State: filepath.Join(t.TempDir(), "bridge.json")}
	if left, err := Recover(t.Context(), Options{Dialect: func() Dialect { t.Error("opened for nothing"); return toMachine{m} }, Targets: o.Targets, State: o.State}); len(left) != 0 || err != nil {
		t.Error(left, err)
	}
	synctest.Test(t, func(t *testing.T) { // dies with the cable out
		b, stop := start(t, o)
		held(t, b, 450)
		if left, err := Recover(t.Context(), o); !errors.Is(err, ErrInUse) {
			t.Errorf("another process: %v, %v", left, err)
		}
		m.plug(false)
		b.Abandon()
		stop()
	})
	synctest.Test(t, func(t *testing.T) { // one who comes too early leaves it as it was
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if left, err := Recover(ctx, o); len(left) != 1 || err == nil || m.held != 450 {
			t.Errorf("%v, %v, at %g", left, err, m.held)
		}
	})
	m.plug(true)
	synctest.Test(t, func(t *testing.T) {
		if left, err := Recover(t.Context(), o); len(left) != 1 || left[0] != "set_point" || err != nil || m.held != 300 {
			t.Errorf("%v, %v, at %g", left, err, m.held)
		}
		b, stop := start(t, o)
		held(t, b, 310)
		stop()
	})
}

// Two processes, one machine: the second one is told so, and neither moves nor forgets anything.
func TestOneProcessHasTheState(t *testing.T) {
	m := &machine{held: 440}
	o := Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, State: filepath.Join(t.TempDir(), "bridge.json")}
	synctest.Test(t, func(t *testing.T) {
		b, stop := start(t, o)
		held(t, b, 450)
		second, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ask(second, 460, time.Minute); !errors.Is(err, ErrNotRunning) {
			t.Error(err)
		}
		if err := second.Run(t.Context()); !errors.Is(err, ErrInUse) {
			t.Error(err)
		}
		if left, err := o.Left(); !errors.Is(err, ErrInUse) || m.held != 450 {
			t.Errorf("left %v, %v, at %g", left, err, m.held)
		}
		stop()
	})
}

// The value found before the first command is the safe one; it is remembered beyond the end of the
// program, and a target that cannot be read has none.
func TestTheSafeStateAsFound(t *testing.T) {
	for _, ramp := range []bool{false, true} {
		target := toolTemperature()
		target.Safe = SafeState{Name: "as found", AsFound: true, Ramp: ramp}
		for _, before := range []float64{417, 0} {
			m := &machine{held: before}
			o := Options{Dialect: m.dialect, Targets: []Target{target}, State: filepath.Join(t.TempDir(), "bridge.json")}
			synctest.Test(t, func(t *testing.T) {
				b, stop := start(t, o)
				held(t, b, 450).Release("done")
				if err := b.Safe(t.Context()); err != nil || m.held != before {
					t.Errorf("%v, at %g, not %g", err, m.held, before)
				}
				held(t, b, 440)
				m.plug(false)
				b.Abandon()
				stop()
			})
			m.plug(true)
			synctest.Test(t, func(t *testing.T) {
				if left, err := Recover(t.Context(), o); len(left) != 1 || err != nil || m.held != before {
					t.Errorf("%v, %v, at %g, not %g", left, err, m.held, before)
				}
			})
		}
	}
	target := toolTemperature()
	target.Safe = SafeState{Name: "as found", AsFound: true}
	if _, err := New(Options{Dialect: (&machine{noReadBack: true}).dialect, Targets: []Target{target}}); err == nil || !strings.Contains(err.Error(), "needs a read-back") {
		t.Error(err)
	}
}

// slow is a machine that starts when its port is opened.
type slow struct {
	toMachine
	ready time.Time
}

func (d slow) Open(ctx context.Context) error {
	if wait := time.Until(d.ready); wait > 0 {
		<-ctx.Done()
		return ErrStarting
	}
	return nil
}

func (d slow) Get(ctx context.Context, target string) (float64, error) {
	if err := d.Open(ctx); err != nil {
		return 0, err
	}
	return d.toMachine.Get(ctx, target)
}

// A controller that takes longer to start than patience lasts is waited for.
func TestAControllerThatStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{held: 440}
		began := time.Now()
		b, stop := start(t, Options{Dialect: func() Dialect { return slow{toMachine{m}, began.Add(20 * time.Second)} }, Targets: []Target{toolTemperature()}})
		held(t, b, 450)
		if err := b.Open(t.Context()); err != nil {
			t.Error(err)
		}
		stop()
	})
	synctest.Test(t, func(t *testing.T) {
		m := &machine{held: 440}
		began := time.Now()
		b, stop := start(t, Options{Dialect: func() Dialect { return slow{toMachine{m}, began.Add(20 * time.Second)} }, Targets: []Target{toolTemperature()}})
		if err := b.Open(t.Context()); err != nil || time.Since(began) < 20*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		stop()
	})
}

// pair is two targets of one controller.
type pair struct {
	toMachine
	other toMachine
}

func (p pair) of(target string) toMachine {
	if target == "other" {
		return p.other
	}
	return p.toMachine
}
func (p pair) Set(ctx context.Context, t string, v float64) error  { return p.of(t).Set(ctx, t, v) }
func (p pair) Safe(ctx context.Context, t string, v float64) error { return p.of(t).Safe(ctx, t, v) }
func (p pair) Get(ctx context.Context, t string) (float64, error)  { return p.of(t).Get(ctx, t) }

// One target cannot be brought to its safe state, since nothing answers there. The other one is
// commanded as before, and its safe state is on the wire in time.
func TestAStuckRevertStarvesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, other := &machine{held: 440}, &machine{held: 440}
		second := toolTemperature()
		second.Name, second.Slew, second.Lease = "other", 1000, time.Hour
		b, stop := start(t, Options{Dialect: func() Dialect { return pair{toMachine{m}, toMachine{other}} }, Targets: []Target{toolTemperature(), second}})
		l := held(t, b, 450)
		m.mu.Lock()
		m.fault = func(Op) (time.Duration, error) { return time.Hour, nil }
		m.mu.Unlock()
		<-l.Done()
		for i := range 100 {
			began, length := time.Now(), time.Duration(7000+37*i)*time.Millisecond
			l, err := b.Command(Command{Target: "other", Value: unit.Quantity{Value: 460, Unit: celsius}, For: length, Who: "test", Why: "beside"})
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-l.Reached():
			case <-l.Done():
				t.Fatal(l.Err())
			}
			release := i%2 == 1
			if release {
				l.Release("enough")
			}
			ended := time.Now()
			if !release {
				<-l.Done()
				ended = began.Add(length)
			}
			if !errors.Is(l.Err(), ErrExpired) && !release {
				t.Fatal(l.Err())
			}
			time.Sleep(2 * defaultGrace)
			var safe write
			for _, w := range other.log() {
				if w.safe && w.at.After(began) {
					safe = w
					break
				}
			}
			if late := safe.at.Sub(ended); late < 0 || late > defaultGrace {
				t.Fatalf("round %d: safe after %v", i, late)
			}
			for s, _ := b.State("other"); s.Reverting; s, _ = b.State("other") {
				time.Sleep(100 * time.Millisecond)
			}
		}
		m.mu.Lock()
		m.fault = nil
		m.mu.Unlock()
		stop()
		if m.held != 300 || other.held != 300 {
			t.Errorf("the end is %g and %g", m.held, other.held)
		}
	})
}
