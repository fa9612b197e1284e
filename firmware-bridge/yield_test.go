package bridge

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/sensors/unit"
)

// leasedAt455 is a bridge whose one target is at 455 under a lease of the agent.
func leasedAt455(t *testing.T, yield bool) (*machine, *Bridge, *Lease, func()) {
	t.Helper()
	m := &machine{held: 440}
	b, err := New(Options{Dialect: m.dialect, Targets: []Target{{Name: "t", Unit: celsius, Min: 300, Max: 480, Slew: 100, Tolerance: 0.5,
		Lease: time.Hour, Safe: SafeState{Name: "low", Value: 300}}}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx := t.Context()
	runCtx, cancel := context.WithCancel(ctx)
	go func() { ended <- b.Run(runCtx) }()
	<-b.Started()
	l, err := b.Command(Command{Target: "t", Value: unit.Quantity{Value: 455, Unit: celsius}, For: time.Hour, Who: "agent", Why: "test", Yield: yield})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	if m.held != 455 {
		t.Fatalf("at %g", m.held)
	}
	return m, b, l, func() { cancel(); <-ended }
}

// Whoever sets another value at the controller keeps it where the lease yields: no write follows, not the
// safe state, not the next value commanded. Where it does not yield, the lease fails and the
// safe state follows.
func TestALeaseYieldsToAnotherHand(t *testing.T) {
	for name, by := range map[string]float64{"another value": 430, "off, outside the limits": 0} {
		for _, change := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				m, b, l, end := leasedAt455(t, true)
				defer end()
				m.turn(by)
				if change {
					if l, _ = b.Command(Command{Target: "t", Value: unit.Quantity{Value: 458, Unit: celsius}, For: time.Hour, Who: "agent", Why: "test", Yield: true}); l == nil {
						t.Fatal("no lease")
					}
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if m.held != by || !errors.Is(l.Err(), ErrTakenOver) {
					t.Errorf("%s, changed meanwhile: %v: at %g, %v", name, change, m.held, l.Err())
				}
				if s, _ := b.State("t"); s.Who != "" || s.Reverting {
					t.Errorf("%+v", s)
				}
				// The target can be had again, from where it is.
				if _, err := b.Command(Command{Target: "t", Value: unit.Quantity{Value: 440, Unit: celsius}, For: time.Hour, Who: "agent", Why: "again", Yield: true}); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if m.held != 440 {
					t.Errorf("afterwards at %g", m.held)
				}
			})
		}
	}
	synctest.Test(t, func(t *testing.T) {
		m, _, _, end := leasedAt455(t, false)
		defer end()
		m.turn(430)
		time.Sleep(time.Minute)
		synctest.Wait()
		if m.held != 300 {
			t.Errorf("a lease that does not yield is at %g", m.held)
		}
	})
}

// A reply that is damaged once takes nothing over.
func TestADamagedReplyTakesNothingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, l, end := leasedAt455(t, true)
		defer end()
		for range 20 {
			m.turn(430)
			time.Sleep(time.Millisecond)
			m.turn(455)
			time.Sleep(777 * time.Millisecond)
		}
		synctest.Wait()
		if l.Err() != nil || m.held != 455 {
			t.Errorf("at %g: %v", m.held, l.Err())
		}
	})
}

// Somebody who displaces the holder begins where the machine is: it does not pass its safe state.
func TestDisplacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, b, l, end := leasedAt455(t, true)
		c := Command{Target: "t", Value: unit.Quantity{Value: 450, Unit: celsius}, For: time.Minute, Who: "operator", Why: "test"}
		if _, err := b.Command(c); !errors.Is(err, ErrHeld) {
			t.Errorf("%v, want %v", err, ErrHeld)
		}
		c.Displace = true
		if _, err := b.Command(c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !errors.Is(l.Err(), ErrTakenOver) || m.held != 450 {
			t.Errorf("at %g: %v", m.held, l.Err())
		}
		end()
		for i, w := range m.log() {
			if w.value < 450 && i < len(m.log())-1 {
				t.Errorf("it passed %g", w.value)
			}
		}
	})
}
