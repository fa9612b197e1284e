package agent

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/agent/record"
	"stirwatch/control"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors/unit"
)

// controller is a machine's own controller behind a [bridge.Dialect]: it takes every set-point.
type controller struct {
	mu   sync.Mutex
	held float64
	safe int // commands of the safe state
}

func (c *controller) Set(_ context.Context, _ string, v float64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = v
	return nil
}

func (c *controller) Safe(ctx context.Context, target string, v float64) error {
	err := c.Set(ctx, target, v)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.safe++
	return err
}

func (c *controller) Get(context.Context, string) (float64, error) {
	held, _ := c.now()
	return held, nil
}

func (c *controller) now() (held float64, safe int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held, c.safe
}

func (c *controller) Open(context.Context) error            { return nil }
func (c *controller) Probe(context.Context) (string, error) { return "a controller", nil }
func (c *controller) Show(op bridge.Op, target string, v float64) (string, error) {
	return fmt.Sprint(op, target, v), nil
}
func (c *controller) Resolution(string) float64 { return 0 }
func (c *controller) Unsettled() bool           { return false }
func (c *controller) Close() error              { return nil }

const safeSetPoint = 440

// bridged is a bridge that runs to c until the function returned is called.
func bridged(t testing.TB, c *controller, to bridge.Recorder) (*bridge.Bridge, func()) {
	t.Helper()
	c.held = 475
	b, err := bridge.New(bridge.Options{
		Dialect: func() bridge.Dialect { return c }, Recorder: to,
		Targets: []bridge.Target{{Name: "set-point", Unit: unit.MustParse("°C"), Min: 300, Max: 480, Slew: 1000, Tolerance: 0.5,
			Lease: time.Minute, Safe: bridge.SafeState{Name: "usual", Value: safeSetPoint}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	<-b.Started()
	return b, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// advised is an actuator that runs in a bubble, and gets advice as a tick gives it.
type advised struct {
	t *testing.T
	*controller
	a   *actuator
	end func()
}

func newAdvised(t *testing.T) *advised {
	c := &controller{}
	b, stop := bridged(t, c, nil)
	a := newActuator(Actuator{b, "set-point"}, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { a.run(ctx); close(done) }()
	return &advised{t, c, a, func() { cancel(); <-done; stop() }}
}

// advise gives the same advice ten times a second.
func (d *advised) advise(kind control.Kind, setPoint float64, seconds int) {
	for range 10 * seconds {
		d.a.advise(&control.Recommendation{Kind: kind, SetPoint: setPoint, Reason: "test", ExpiresIn: 30})
		time.Sleep(100 * time.Millisecond)
	}
	synctest.Wait()
}

func (d *advised) want(what string, held float64, safe int) {
	d.t.Helper()
	if h, s := d.now(); h != held || s != safe {
		d.t.Errorf("%s: the controller is at %g after %d safe states, want %g after %d", what, h, s, held, safe)
	}
}

func TestAdviceIsCarriedOutOnLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newAdvised(t)
		defer d.end()
		d.advise(control.Hold, 475, 5)
		d.want("hold", 475, 0) // nothing is commanded where nothing is to change
		d.advise(control.Change, 460, 2)
		d.want("change", 460, 0)
		d.advise(control.Hold, 460, 300)
		d.want("five minutes of hold", 460, 0)
		d.advise(control.Change, 450, 2)
		d.want("another change", 450, 0)
		d.advise(control.Unreachable, math.NaN(), 60)
		d.want("unreachable", 450, 0)
		d.advise(control.NoAdvice, math.NaN(), 2)
		d.want("no advice", safeSetPoint, 1)
	})
}

// A tick that hangs gives no advice: nobody renews, and the bridge reverts within the lease.
func TestAHangingTickLosesItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newAdvised(t)
		defer d.end()
		d.advise(control.Change, 460, 2)
		time.Sleep(27 * time.Second)
		d.want("before the lease ends", 460, 0)
		time.Sleep(5 * time.Second)
		d.want("after", safeSetPoint, 1)
		d.advise(control.Change, 460, 5)
		d.want("soon after", safeSetPoint, 1)
		d.advise(control.Change, 460, 10)
		d.want("later", 460, 1)
	})
}

// What another commander holds is not taken from him, and asked for again only after a pause.
func TestAnothersLeaseIsRespected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newAdvised(t)
		defer d.end()
		l, err := d.a.Bridge.Command(bridge.Command{Target: "set-point", Value: unit.Quantity{Value: 470, Unit: celsius}, For: time.Minute, Who: "operator", Why: "a trial"})
		if err != nil {
			t.Fatal(err)
		}
		d.advise(control.Change, 460, 5)
		d.want("while the operator holds", 470, 0)
		l.Release("done")
		d.advise(control.Change, 460, 20)
		d.want("when he has let go", 460, 1)
	})
}

func TestTheAgentGivesItsLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newAdvised(t)
		d.advise(control.Change, 460, 2)
		d.end()
		d.want("after the end", safeSetPoint, 1)
	})
}

func TestActuatorRefuses(t *testing.T) {
	b, stop := bridged(t, &controller{}, nil)
	defer stop()
	for want, o := range map[string]Options{
		"without a process there is none": {Actuator: &Actuator{b, "set-point"}},
		"has no bridge":                   {Process: process(), Actuator: &Actuator{nil, "set-point"}},
		"no target spindle":               {Process: process(), Actuator: &Actuator{b, "spindle"}},
	} {
		o.Registry, o.Log = cell(t), quiet
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// From a frame to the wire and onto the record: a set-point above the highest allowed is brought back.
func TestFromAFrameToTheMachine(t *testing.T) {
	c := &controller{}
	o := Options{Registry: cell(t), Model: learned(t), Process: process()}
	a := agentOf(t, o)
	b, stop := bridged(t, c, CommandRecord{a.opt.Journal})
	a.actuator = newActuator(Actuator{b, "set-point"}, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { a.actuator.run(ctx); close(done) }()
	now := 1000 * second
	deadline := time.Now().Add(20 * time.Second)
	for held := 475.0; held != 480; held, _ = c.now() {
		now += 1e8
		put(a, now, 470, 4.2, 400, 8, 9, 500)
		a.tick(now)
		time.Sleep(time.Millisecond)
		if time.Now().After(deadline) {
			t.Fatalf("at %g °C; advice %+v", held, a.advisor.advice)
		}
	}
	cancel()
	<-done
	stop()
	all := strings.Join(lines(t, a, record.Commands), "\n")
	for _, want := range []string{"verdict=accepted", "asked=480,given=480", `who="stirwatch"`, "lower the set-point from 500 °C to 480 °C", "verdict=released", "verdict=reverted"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is not on record:\n%s", want, all)
		}
	}
}
