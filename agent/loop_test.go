package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/record"
	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/signature"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// controller is a machine's own controller behind a [bridge.Dialect]: it takes every set-point.
type controller struct {
	mu   sync.Mutex
	held float64
	safe int  // commands of the safe state
	gone bool // nothing is answered any more
}

var errGone = errors.New("nobody answers")

func (c *controller) Set(_ context.Context, _ string, v float64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return errGone
	}
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return 0, errGone
	}
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

// looped is an agent with one loop over a controller, ticked ten times a second in a bubble.
type looped struct {
	t *testing.T
	*controller
	a     recorded
	b     *bridge.Bridge
	now   int64
	tool  float64 // NaN: nothing is measured
	speed float64
	set   float64 // what the channel of the set-point shows
	hangs bool
	stuck bool // the reading is the very same number each time; else it trembles
	end   func()
}

// newLooped makes one that follows 460 °C, with a change of the options.
func newLooped(t *testing.T, change func(*Loop)) *looped {
	c := &controller{held: 475}
	records := new(Records)
	b, err := bridge.New(bridge.Options{
		Dialect: func() bridge.Dialect { return c }, Recorder: records,
		Targets: []bridge.Target{{Name: "set-point", Unit: unit.MustParse("°C"), Min: 300, Max: 480, Slew: 1000, Tolerance: 0.5,
			Lease: time.Minute, Safe: bridge.SafeState{Name: "usual", Value: safeSetPoint}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	limits := control.Limits{Min: 300, Max: 480, Slew: 1000}
	o := Loop{Name: "tool", Mode: AutoSetPoint, Auto: AutoSetPoint, Goal: control.Constant(460), Target: "set-point", Limits: limits, Change: 0.5,
		Every: time.Second, Lease: 10 * time.Second, Resume: 20 * time.Second,
		NewLaw: func(*model.Model, *filter.Estimator, *filter.Estimate) (control.Law, error) {
			return &control.Follow{Limits: limits}, nil
		}}
	if change != nil {
		change(&o)
	}
	a := agentOf(t, Options{Registry: cell(t, sensors.Channel{Name: "plate", Unit: celsius, MaxAge: 3 * time.Second}), Process: process(), Bridge: b, Loops: []Loop{o}})
	records.To = a.opt.Journal
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	<-b.Started()
	running.Go(func() { a.loops[0].run(ctx, a.Agent) })
	return &looped{t: t, controller: c, a: a, b: b, now: 1000 * second, tool: 470, speed: 400, set: 475, end: func() { cancel(); running.Wait() }}
}

// ticks lets so many seconds pass.
func (d *looped) ticks(seconds float64) {
	for range int(10 * seconds) {
		d.now += 1e8
		if !d.hangs {
			if !math.IsNaN(d.tool) {
				tremble := 0.0
				if !d.stuck {
					tremble = float64(d.now/1e8%2) * 1e-6
				}
				put(d.a, d.now, d.tool+tremble, 4.2, d.speed, 8, 9, d.set, d.tool+tremble)
			}
			d.a.tick(d.now)
		}
		time.Sleep(100 * time.Millisecond)
	}
	synctest.Wait()
}

func (d *looped) want(what string, held float64, safe int) {
	d.t.Helper()
	if h, s := d.controller.now(); h != held || s != safe {
		d.t.Errorf("%s: the controller is at %g after %d safe states, want %g after %d; %+v", what, h, s, held, safe, d.a.Loops()[0])
	}
}

func TestALoopHoldsItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, nil)
		d.ticks(1)
		d.want("before all is known to be in order", 475, 0)
		d.ticks(5)
		d.want("a start", 460, 0)
		d.ticks(120)
		d.want("two minutes on", 460, 0)
		d.end()
		d.want("the end", safeSetPoint, 1)
		all := strings.Join(lines(t, d.a, record.Commands), "\n")
		for _, want := range []string{"verdict=accepted", "asked=460,given=460", `who="stirwatch tool"`, "for a goal of 460", "verdict=released", "verdict=reverted"} {
			if !strings.Contains(all, want) {
				t.Errorf("%s is not on record:\n%s", want, all)
			}
		}
	})
}

// Nobody renews while the tick hangs: the bridge reverts within the lease.
func TestAHangingTickLosesItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, nil)
		defer d.end()
		d.ticks(6)
		d.hangs = true
		d.ticks(6)
		d.want("before the lease ends", 460, 0)
		d.ticks(5)
		d.want("after", safeSetPoint, 1)
		d.hangs = false
		d.ticks(10)
		d.want("soon after", safeSetPoint, 1)
		d.ticks(20)
		d.want("later", 460, 1)
	})
}

// A bad reading, such as what a loose plug gives, does not end a law that needs readings: what is commanded stays for as long as a reading may be missing.
func TestALoopOutlivesABadReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, func(l *Loop) {
			limits := l.Limits
			l.NewLaw = func(*model.Model, *filter.Estimator, *filter.Estimate) (control.Law, error) {
				return &control.PID{Limits: limits, Gains: control.Gains{Gain: 1, Integral: 10, Weight: 1}}, nil
			}
		})
		defer d.end()
		d.tool = 460
		d.ticks(10)
		before, _ := d.controller.now()
		for range 5 {
			d.tool = -40 // below what the channel can be
			d.ticks(1.5)
			d.want("a bad reading", before, 0)
			d.tool = 460
			d.ticks(3)
			d.want("a good one again", before, 0)
		}
		d.tool = -40
		d.ticks(5)
		d.want("bad for long", safeSetPoint, 1)
	})
}

// Each interlock lets go by itself, and lets the loop command again when it has been closed for a while.
func TestInterlocks(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Loop)
		fault  func(*looped)
		within float64 // s
		says   string
	}{
		"a dead sensor":           {nil, func(d *looped) { d.tool = math.NaN() }, 7, "no good value of tool"},
		"a reading out of bounds": {nil, func(d *looped) { d.tool = 900 }, 4, "no good value of tool"},
		"an envelope": {func(l *Loop) { l.Locks = []Interlock{{Channel: 0, Min: 300, Max: 500}} },
			func(d *looped) { d.tool = 505 }, 1, "the interlock on tool is open: its value is beyond the bounds"},
		"an envelope whose channel fails": {func(l *Loop) { l.Locks = []Interlock{{Channel: 2, Min: 100, Max: 900}} },
			func(d *looped) { d.speed = math.NaN() }, 5, "the interlock on speed is open: it has no good value"},
		"an interlock with a delay": {func(l *Loop) {
			l.Locks = []Interlock{{Channel: 2, Min: 100, Max: math.Inf(1), For: 5 * time.Second}}
		}, func(d *looped) { d.speed = 50 }, 6, "the interlock on speed is open"},
		"a phase": {func(l *Loop) { l.Phases = []phase.Phase{phase.Deposit} }, func(d *looped) { d.speed = 0 }, 1, "in this phase"},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newLooped(t, c.change)
			defer d.end()
			d.ticks(6)
			d.want(name+": before", 460, 0)
			tool, speed := d.tool, d.speed
			c.fault(d)
			d.ticks(c.within)
			d.want(name, safeSetPoint, 1)
			if s := d.a.Loops()[0]; s.Commands || !strings.Contains(s.Why, c.says) {
				t.Errorf("%s: %+v, want %q", name, s, c.says)
			}
			d.tool, d.speed = tool, speed
			d.ticks(15)
			d.want(name+" is over", safeSetPoint, 1)
			d.ticks(15)
			d.want(name+" has been over for a while", 460, 1)
		})
	}
}

// With resume 0 a person must say so.
func TestAPersonEndsADoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, func(l *Loop) { l.Resume = 0 })
		defer d.end()
		d.ticks(6)
		d.tool = math.NaN()
		d.ticks(7)
		d.tool = 470
		d.ticks(300)
		d.want("five minutes on", safeSetPoint, 1)
		if err := d.a.SetMode("tool", "auto", "me", "it is mended"); err != nil {
			t.Fatal(err)
		}
		d.ticks(5)
		d.want("when a person has said so", 460, 1)
	})
}

func TestModesOfALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, func(l *Loop) { l.Mode = Advise })
		d.ticks(10)
		d.want("advise", 475, 0)
		if s := d.a.Loops()[0]; s.Wanted != 460 || s.Held != 475 || s.Commands {
			t.Errorf("advise: %+v", s)
		}
		if _, _, err := d.a.Accept("tool", "me"); err == nil {
			t.Error("accepted in the mode advise")
		}
		d.a.SetMode("tool", Confirm, "me", "test")
		d.ticks(5)
		d.want("confirm, not accepted", 475, 0)
		if _, _, err := d.a.Decline("tool", "me", ""); err == nil {
			t.Error("declined without a reason")
		}
		if v, u, err := d.a.Decline("tool", "me", "the bar is cold"); v != 460 || u != "°C" || err != nil {
			t.Error(v, u, err)
		}
		d.ticks(5)
		if s := d.a.Loops()[0]; s.Declined != 460 || s.Commands {
			t.Errorf("declined: %+v", s)
		}
		if v, u, err := d.a.Accept("tool", "me"); v != 460 || u != "°C" || err != nil {
			t.Error(v, u, err)
		}
		d.ticks(60)
		d.want("confirm, accepted", 460, 0)
		d.a.SetMode("tool", Off, "me", "test")
		d.ticks(2)
		d.want("off", safeSetPoint, 1)
		for _, wrong := range [][2]string{{"tool", "auto actuator"}, {"tool", "full speed"}, {"no such", "off"}} {
			if err := d.a.SetMode(wrong[0], Mode(wrong[1]), "me", "test"); err == nil {
				t.Errorf("%v was taken", wrong)
			}
		}
		d.end()
		if all := strings.Join(lines(t, d.a, record.Commands), "\n"); !strings.Contains(all, "verdict=proposed") {
			t.Errorf("no proposal is on record:\n%s", all)
		}
	})
}

// A person's command takes the target away from the loop, which then waits for a person.
func TestAPersonDisplacesALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, nil)
		defer d.end()
		d.ticks(6)
		done := make(chan error, 1)
		go func() {
			done <- d.b.Carry(t.Context(), bridge.Command{Target: "set-point", Value: unit.Quantity{Value: 470, Unit: celsius}, For: 5 * time.Second, Who: "operator", Why: "a trial", Displace: true})
		}()
		d.ticks(4)
		d.want("while the operator holds", 470, 0)
		d.ticks(60)
		if err := <-done; err != nil {
			t.Error(err)
		}
		d.want("long after", safeSetPoint, 1)
		if s := d.a.Loops()[0]; s.Mode != Advise || s.Commands || !strings.Contains(s.Why, "somebody else has taken the target over") {
			t.Errorf("long after it must still say why it only advises: %+v", s)
		}
	})
}

// Advice to lower the set-point lowers what a loop commands.
func TestAdviceLimitsALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, nil)
		defer d.end()
		d.ticks(6)
		d.a.advisor.advice = control.Recommendation{Kind: control.Change, Must: true, SetPoint: 450}
		d.a.loops[0].limit(0.1, d.a.advisor)
		d.ticks(10)
		d.want("advised", 450, 0)
		d.ticks(30)
		d.want("long after", 460, 0)
	})
}

func TestLoopsThatCannotBe(t *testing.T) {
	reg := cell(t)
	law := func(*model.Model, *filter.Estimator, *filter.Estimate) (control.Law, error) {
		return &control.Follow{}, nil
	}
	b, err := bridge.New(bridge.Options{Dialect: func() bridge.Dialect { return &controller{} }})
	if err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]Options{
		"there is no bridge":    {Loops: []Loop{{Name: "tool", Target: "set-point", NewLaw: law}}},
		"has no target spindle": {Bridge: b, Loops: []Loop{{Name: "tool", Target: "spindle", NewLaw: law}}},
	} {
		o.Registry, o.Log = reg, quiet
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A source through the bridge makes samples of what the controller holds and of what was commanded.
func TestPolledValuesAreSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, func(l *Loop) { l.Mode = Off })
		defer d.end()
		reg := cell(t, sensors.Channel{Name: "commanded", Unit: unit.MustParse("K")})
		a := agentOf(t, Options{Registry: reg})
		setPoint, _ := reg.Lookup("set_point")
		commanded, _ := reg.Lookup("commanded")
		p, err := NewPolled(PolledOptions{Name: "controller", Bridge: d.b, Registry: reg, Poll: time.Second, Clock: a.opt.Clock.Now,
			Read:      []PolledChannel{{setPoint, "set-point", celsius, nil}},
			Commanded: []PolledChannel{{commanded, "set-point", celsius, nil}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx, a) }()
		l, err := d.b.Command(bridge.Command{Target: "set-point", Value: unit.Quantity{Value: 470, Unit: celsius}, For: time.Minute, Who: "me", Why: "test"})
		if err != nil {
			t.Fatal(err)
		}
		<-l.Reached()
		p.Health().Tap.Look()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if seen := p.Health().Tap.Look(); len(seen) == 0 || string(seen[0].Raw) != "set-point = 470 °C" {
			t.Errorf("who looks sees %+v", seen)
		}
		f := sensors.NewFrame(reg.Len())
		now := a.opt.Clock.Now()
		a.board.Gather(f, now, now)
		if f.Value[setPoint] != 470 || math.Abs(f.Value[commanded]-743.15) > 1e-9 || !f.Status[commanded].IsGood() {
			t.Errorf("%g °C read, %g K commanded", f.Value[setPoint], f.Value[commanded])
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if h := p.Health().Snapshot(); h.Samples < 4 || h.Connected {
			t.Errorf("%+v", h)
		}
	})
}

// What a loop commands the machine's own controller to is no wish of anybody's: while it commands, estimate, advice and faults go by its goal, be
// the controller's set-point led beside it or switched off.
func TestTheGoalOfALoopIsTheSetPoint(t *testing.T) {
	for name, held := range map[string]float64{"led beside it": 478, "switched off": 0} {
		synctest.Test(t, func(t *testing.T) {
			d := newLooped(t, nil)
			defer d.end()
			goesBy := func(what string, want float64) {
				t.Helper()
				d.set = held
				d.ticks(0.2)
				if in, out := d.a.machine.frame.Value[signature.SetPoint], d.a.phases.setPoint.value(d.a.frame); in != want || out != want {
					t.Errorf("%s, %s: faults go by %g, phases by %g, want %g", name, what, in, out, want)
				}
				if s := d.a.advisor.setPoint; s.value(d.a.frame) != want || (s.led != 0) != (want == 460 || want == 450) {
					t.Errorf("%s, %s: advice goes by %g, led %g; want %g", name, what, s.value(d.a.frame), s.led, want)
				}
			}
			goesBy("before it begins", held)
			d.ticks(6)
			goesBy("while it commands", 460)
			d.a.advisor.advice = control.Recommendation{Kind: control.Change, Must: true, SetPoint: 450}
			d.a.loops[0].limit(0.1, d.a.advisor)
			goesBy("where advice has lowered that", 450)
			d.tool = 900 // no tool is as hot
			d.ticks(8)
			goesBy("when it has let go", held)
			all := strings.Join(lines(t, d.a, record.Events), "\n")
			for _, want := range []string{"it commands set-point, to 470 °C for a goal of 460 °C", "it lets go of set-point: no good value of tool"} {
				if !strings.Contains(all, want) {
					t.Errorf("%s: %q is not on record:\n%s", name, want, all)
				}
			}
		})
	}
}

// A machine that goes on with what it was last told is an alarm until its safe state is confirmed, and not before there has been time for that.
func TestASafeStateThatIsNotConfirmedIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, nil)
		defer d.end()
		says := func() (text string) {
			d.a.examineOnce()
			d.ticks(0.2)
			for _, x := range d.a.Alarms().List().Alarms {
				if x.Code == anomaly.BridgeUnsafe {
					text = x.State.String() + ": " + x.Text
				}
			}
			return text
		}
		gone := func(is bool) {
			d.controller.mu.Lock()
			defer d.controller.mu.Unlock()
			d.gone = is
		}
		d.ticks(6)
		if got := says(); got != "" {
			t.Errorf("while it commands: %s", got)
		}
		gone(true)
		d.ticks(8) // 5 s until nothing has been confirmed for too long; then the safe state is tried
		if got := says(); got != "" {
			t.Errorf("too early: %s", got)
		}
		d.ticks(5)
		if got := says(); !strings.HasPrefix(got, "unacknowledged: ") || !strings.Contains(got, `set-point may not be in its safe state "usual" (440 °C): nobody answers`) {
			t.Errorf("nobody answers: %q", got)
		}
		gone(false)
		d.ticks(2)
		says()
		d.ticks(5)
		if got := says(); !strings.HasPrefix(got, "returned: ") {
			t.Errorf("it answers again: %q", got)
		}
	})
}

// A loop lets go where its reading is known to be stuck, and, of whatever process it is, where its reading stands still for long with the target at
// its limit: a stuck sensor below its goal would have a heater on for ever. A reading that trembles, or a target that is at its safe value, does nothing.
func TestAReadingThatStandsStill(t *testing.T) {
	ramp := func(l *Loop) { // up by 18 °C, of a range of 40, and never at a limit
		l.Goal = control.Schedule([]control.GoalStep{{At: 0, Value: 445}, {At: 5, Value: 445}, {At: 6, Value: 463, Ramp: true}})
	}
	kit := func(goal float64) func(*Loop) {
		return func(l *Loop) {
			l.Goal, l.Output = control.Constant(goal), 6 // no tool: nothing else tells that it is stuck
			l.Limits.Min = safeSetPoint
			limits := l.Limits
			l.NewLaw = func(*model.Model, *filter.Estimator, *filter.Estimate) (control.Law, error) {
				return &control.Follow{Limits: limits}, nil
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*Loop)
		stuck  bool
		says   string
	}{
		"the tool, stuck":           {nil, true, "tool is stuck"},
		"the tool, trembling":       {nil, false, ""},
		"at its limit, stuck":       {kit(900), true, "plate stands still while set-point is at its limit or moves far"},
		"at its limit, trembling":   {kit(900), false, ""},
		"between its limits, stuck": {kit(460), true, ""},
		"moved far, stuck":          {func(l *Loop) { kit(0)(l); ramp(l) }, true, "plate stands still while set-point is at its limit or moves far"},
		"moved far, trembling":      {func(l *Loop) { kit(0)(l); ramp(l) }, false, ""},
		"at its safe value, stuck":  {kit(0), true, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newLooped(t, c.change)
			defer d.end()
			d.ticks(6)
			if !d.a.Loops()[0].Commands {
				t.Fatalf("%s: %+v", name, d.a.Loops()[0])
			}
			d.stuck = c.stuck
			d.ticks(70)
			if s := d.a.Loops()[0]; s.Commands != (c.says == "") || !strings.HasPrefix(s.Why, c.says) {
				t.Errorf("%s: %+v, want %q", name, s, c.says)
			}
			d.stuck = false
			d.ticks(40)
			if s := d.a.Loops()[0]; !s.Commands {
				t.Errorf("%s, when it moves again: %+v", name, s)
			}
		})
	}
}
