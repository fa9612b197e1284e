// Package trial lets ways of control run simulated builds, and measures them. All ways get the same builds, with the
// same disturbances, of machines that differ from the one that the model was learned on.
package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/program"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/sensors/unit"
)

// Way is who controls.
type Way string

// The ways.
const (
	Machine  Way = "machine"   // the machine's own controller
	Advice   Way = "advice"    // the same, with every advised set-point set by an operator
	SetPoint Way = "set-point" // prediction commands the set-point of the machine's own controller
	Actuator Way = "actuator"  // prediction commands the spindle
	PID      Way = "pid"       // a PID commands the spindle
	Cascade  Way = "cascade"   // a PID commands the set-point of the machine's own controller
	Bound    Way = "bound"     // who knows the machine's state and its present disturbances commands the spindle: a reference, not proved to be the best
)

// Ways lists them.
func Ways() []Way { return []Way{Machine, Advice, SetPoint, Actuator, PID, Cascade, Bound} }

// Options of a trial.
type Options struct {
	Way     Way
	Builds  int
	Seed    uint64
	Model   *model.Model   // may be nil for machine and pid
	Params  *twin.Params   // of the machine that the model was learned on; nil: 6061
	Vary    float64        // share by which machines differ from it
	Gain    float64        // factor of the heat of every machine; 0 is 1
	Dead    float64        // factor of the dead time of every machine; 0 is 1
	Gains   control.Gains  // of the PID, rpm/K and s, or K/K and s; what is 0: as the model proposes them, without one 1 rpm/K and 12 s, of a set-point 1.5 K/K, 14 s and 6 s
	Limits  control.Limits // of the spindle, rpm; zero: 250 to 450 at 50 rpm/s
	Calm    float64        // weight of changes of the command in prediction; see [control.MPCOptions]
	Period  float64        // s of the lap; 0: prediction finds it
	Every   float64        // s between two commands; 0 is 0.1
	Faults  []twin.Fault   // that every build has
	Horizon float64        // s that prediction looks ahead; 0 is 20, of a set-point 30
	Spare   float64        // K by which advice may leave a set-point for the spindle's room; see [control.Options]
	Paced   bool           // an operator sets every pace of feed and path that is advised; who follows advice does so anyway
	Planned bool           // changes of the override stand in the program of a build, instead of being an operator's
	Program bool           // advice is told the program of the build: path, feed and height to come

	// Watch, where it is not nil, sees a row a second of every build, and the goal (°C; NaN before there is one). Builds run side by side.
	Watch func(seed uint64, r *twin.Row, goal float64)
}

// Build is how one build went. Temperatures are K off the goal in steady deposition (150 s of it have passed)
// unless they say otherwise; NaN: the build had none.
type Build struct {
	Seed            uint64
	MeanAbs, SD     float64
	P99             float64       // 99 % of absolute errors are below
	Outside         float64       // share of time more than 10 K off
	AtLimit         float64       // share of time with the spindle at a limit
	Avoidable       float64       // of that share, what was while the temperature was within 10 K of the goal: a set-point somewhat beside would have left the spindle room
	Overshoot       float64       // K over the goal in the two minutes after it was first reached
	Reach           float64       // s from the first contact heat to within 5 K of the goal
	Event           float64       // K: worst error in the minute after a change of feed or traverse
	Reload          float64       // K: the same after deposition goes on after a reload
	Recover         float64       // s from a change or a reload until the temperature has come within 5 K and stays for 10 s, mean
	Room            Room          // the same where the spindle had room
	Program         Off           // where a set-point is advised or commanded, the program's is another one
	Violations      int           // commands beyond limits or slew
	Rows            int           // s of steady deposition
	Calls           Calls         // of a set-point as unreachable; where nothing is advised all is zero
	P50, P99T, MaxT time.Duration // that a step of the law takes: median, 99 % are below, most; 0 where none was asked
}

// interval is the time between two rows of telemetry, s.
const interval = 0.1

// steady is how long deposition has to go on before errors count, s.
const steady = 150.0

// Run runs the builds on all processors.
func Run(ctx context.Context, o Options) ([]Build, error) {
	if o.Params == nil {
		p, err := twin.Load("6061")
		if err != nil {
			return nil, err
		}
		o.Params = p
	}
	if o.Builds < 1 {
		return nil, fmt.Errorf("%d builds: at least 1 is needed", o.Builds)
	}
	if o.Model == nil && (o.Way == Advice || o.Way == SetPoint || o.Way == Actuator) {
		return nil, fmt.Errorf("the way %s foretells with a model, and none is given", o.Way)
	}
	if o.Model == nil && o.Paced {
		return nil, errors.New("a pace is advised with a model, and none is given")
	}
	if o.Program && o.Way != Advice && o.Way != Machine {
		return nil, fmt.Errorf("the way %s looks at no program: only advice does", o.Way)
	}
	if !slices.Contains(Ways(), o.Way) {
		return nil, fmt.Errorf("no way %q; there are %v", o.Way, Ways())
	}
	if o.Limits == (control.Limits{}) {
		o.Limits = control.Limits{Min: 250, Max: 450, Slew: 50}
	}
	if o.Every == 0 {
		o.Every = 0.1
	}
	if o.Horizon == 0 {
		if o.Horizon = 20; o.Way == SetPoint {
			o.Horizon = 30
		}
	}
	usual := control.Gains{Gain: 1, Integral: 12, Weight: 1}
	propose := control.OnSpindle
	if o.Way == Cascade {
		usual, propose = control.Gains{Gain: 1.5, Integral: 14, Derivative: 6, Weight: 1}, control.BesideController
	}
	if o.Model != nil && (o.Way == Cascade || o.Way == PID) {
		t, err := propose(o.Model, o.Every)
		if err != nil {
			return nil, err
		}
		usual = t.Gains
	}
	o.Gains = control.Gains{Gain: cmp.Or(o.Gains.Gain, usual.Gain), Integral: cmp.Or(o.Gains.Integral, usual.Integral),
		Derivative: cmp.Or(o.Gains.Derivative, usual.Derivative), Weight: cmp.Or(o.Gains.Weight, usual.Weight)}
	builds := make([]Build, o.Builds)
	errs := make([]error, o.Builds)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(o.Builds, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				builds[i], errs[i] = one(ctx, &o, o.Seed+uint64(i))
			}
		})
	}
feed:
	for i := range o.Builds {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("build of seed %d: %w", o.Seed+uint64(i), err)
		}
	}
	return builds, ctx.Err()
}

// one runs one build.
func one(ctx context.Context, o *Options, seed uint64) (Build, error) {
	p := o.Params.Varied(o.Vary, seed)
	if o.Gain != 0 {
		p.Tool.Stick *= o.Gain
	}
	if o.Dead != 0 {
		p.Thermo.Dead *= o.Dead
	}
	d, err := newDriver(o)
	if err != nil {
		return Build{}, err
	}
	g := newGauge(seed, o.Limits)
	build := twin.RandomBuild(p, seed, false)
	build.Interval, build.Faults = interval, o.Faults
	if o.Planned {
		plan(&build, seed)
	}
	if o.Program {
		if err := d.read(build.Program); err != nil {
			return Build{}, err
		}
	}
	rows := 0
	err = twin.Simulate(ctx, build, func(m *twin.Machine, r *twin.Row) error {
		if d.row(m, r); rows%10 == 0 {
			g.row(r, d.aims(r), d.goal)
			if d.adviser != nil {
				d.adviser.judge(r, o.Limits)
			}
			if o.Watch != nil {
				o.Watch(seed, r, d.goal)
			}
		}
		rows++
		return nil
	})
	b := g.build()
	b.Violations = d.violations
	b.P50, b.P99T, b.MaxT = percentiles(d.took)
	if d.adviser != nil {
		b.Calls = d.adviser.caller.calls()
	}
	return b, err
}

// plan lets the program of a build change the override every one to three laps, in the place of its operator: 90 to 112 %, as
// that one does.
func plan(build *twin.Config, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 'p'))
	var codes []twin.Code
	for _, c := range build.Program {
		for c.Name == "G1" && c.L > 3 {
			part := c
			part.L = 1 + 2*r.Float64()
			c.L -= part.L
			codes = append(codes, part, twin.Code{Name: "M52", S: math.Round(90 + 22*r.Float64()), HasS: true})
		}
		codes = append(codes, c)
	}
	build.Program, build.Operator = codes, nil
}

// driver is a way at work: it sees the rows that a machine's telemetry shows, and commands codes.
type driver struct {
	o       *Options
	e       *filter.Estimator
	est     filter.Estimate
	law     control.Law
	bound   *bound   // nil but where that is the way
	adviser *adviser // nil where nothing is advised
	pacer   pacer    // the operator who sets paces
	contact phase.Contact
	u, z    []float64
	guide   *program.Guide // nil: the program is not told

	goal       float64 // °C: the set-point of the program; NaN before it has one
	commanded  float64 // set-point or speed under command, NaN: none
	expected   float64 // rpm that the spindle should have by now
	displaced  float64 // s that it did not
	since      float64 // s since the last command
	sense      control.Sense
	violations int
	took       []time.Duration
}

// setPoints are what the set-point of the machine's own controller may be, °C and °C/s; cascaded, what it may be under a PID: prediction swings with so much.
var (
	setPoints = control.Limits{Min: 300, Max: 500, Slew: 5}
	cascaded  = control.Limits{Min: 300, Max: 500, Slew: 20}
)

// Somebody else turns the spindle where its speed is off by more than displacedBy (rpm) for longer than displacedFor (s).
const (
	displacedBy  = 40.0
	displacedFor = 2.0
)

var (
	celsius = unit.MustParse("°C")
	rpm     = unit.MustParse("rpm")
)

func newDriver(o *Options) (*driver, error) {
	d := &driver{o: o, goal: math.NaN(), commanded: math.NaN(), since: reachAgain}
	if o.Model != nil {
		d.e = filter.New(o.Model)
		d.u, d.z = make([]float64, len(o.Model.Inputs)), make([]float64, len(o.Model.Outputs))
	}
	foretell := func(u control.Use) (control.Foretell, error) {
		u.Output, u.OutputUnit = model.ToolTemperature, celsius
		return control.Through(o.Model, d.e, &d.est, u)
	}
	if o.Way == Advice || o.Paced || o.Way == Machine && o.Model != nil {
		if err := d.advised(); err != nil {
			return nil, err
		}
	}
	switch o.Way {
	case SetPoint:
		f, err := foretell(control.Use{TargetUnit: celsius})
		if err != nil {
			return nil, err
		}
		d.law = control.NewMPC(control.MPCOptions{Limits: setPoints, Every: o.Every, Horizon: o.Horizon, Calm: o.Calm, Period: o.Period, Ceiling: math.NaN(), Foretell: f})
	case Actuator:
		f, err := foretell(control.Use{Moves: model.SpindleSpeed, TargetUnit: rpm})
		if err != nil {
			return nil, err
		}
		d.law = control.NewMPC(control.MPCOptions{Limits: o.Limits, Every: o.Every, Horizon: o.Horizon, Calm: o.Calm, Period: o.Period, Ceiling: math.NaN(), Factor: control.Hidden(o.Model, model.SpindleSpeed), Foretell: f})
	case PID:
		d.law = &control.PID{Limits: o.Limits, Gains: o.Gains}
	case Bound:
		d.bound = new(bound)
	case Cascade:
		d.law = &control.PID{Limits: cascaded, Gains: o.Gains, Feed: control.Itself, Near: control.NearItself}
	}
	return d, nil
}

// read takes the program that advice is to look ahead with, as the agent does.
func (d *driver) read(codes []twin.Code) error {
	if d.e == nil {
		return fmt.Errorf("the way %s foretells nothing, and has no use for a program", d.o.Way)
	}
	var text strings.Builder
	for _, c := range codes {
		fmt.Fprintln(&text, c)
	}
	p, err := program.New("build.nc", text.String(), program.DefaultAxes)
	if err != nil {
		return err
	}
	d.guide = program.NewGuide(d.o.Model)
	d.guide.Tracker = program.NewTracker(p)
	d.e.Knows(d.guide.Inputs)
	return nil
}

// followProgram keeps the program at the line that a row shows.
func (d *driver) followProgram(r *twin.Row) {
	if d.guide == nil {
		return
	}
	d.guide.Tracker.Step(interval, program.Now{Line: float64(r.Line), Path: r.PathVel, Feed: r.FeedVel, SetPoint: r.SetPoint, Override: r.Override, Reading: r.ToolTemp, Speed: r.RPM})
	if d.guide.Look(int(d.o.Horizon) + 1); !d.guide.Follows() {
		d.guide.Ahead = program.Ahead{}
	}
}

// estimate takes a row into the estimator, as the agent does.
func (d *driver) estimate(r *twin.Row) {
	pressed := d.contact.Step(interval, r.RPM, r.Power, r.ZVel)
	if d.e == nil {
		return
	}
	for i, in := range d.o.Model.Inputs {
		switch in.Name {
		case model.SpindlePower:
			d.u[i] = r.Power
		case model.SpindleSpeed:
			d.u[i] = r.RPM
		case model.PathVelocity:
			d.u[i] = r.PathVel
		case model.FeedVelocity:
			d.u[i] = r.FeedVel
		case model.ZVelocity:
			d.u[i] = r.ZVel
		case model.Contact:
			d.u[i] = pressed
		default:
			d.u[i] = math.NaN()
		}
	}
	for i := range d.z {
		d.z[i] = math.NaN()
		if d.o.Model.Outputs[i].Name == model.ToolTemperature && r.ToolTemp != twin.NoSignal {
			d.z[i] = r.ToolTemp
		}
	}
	d.e.Step(&d.est, interval, d.u, d.z)
	d.followProgram(r)
	if d.adviser != nil {
		d.adviser.step(d, r)
	}
}

// row is one row of telemetry.
func (d *driver) row(m *twin.Machine, r *twin.Row) {
	d.estimate(r)
	if r.SetPoint > 0 && r.SetPoint != d.commanded { // the program has said something new
		d.goal = r.SetPoint
		if d.o.Way != Machine && d.o.Way != Advice {
			d.release()
		}
	}
	if r.SetPoint == 0 && (math.IsNaN(d.commanded) || d.o.Way == SetPoint || d.o.Way == Cascade || d.o.Way == Advice) {
		d.release()
		return
	}
	if d.o.Paced || d.o.Way == Advice {
		d.pace(m, r)
	}
	switch d.o.Way {
	case Machine:
	case Advice:
		d.follow(m, r)
	default:
		d.decide(m, r)
	}
}

func (d *driver) release() {
	d.commanded, d.displaced = math.NaN(), 0
}

// blindFor is for how long a reading may be missing before a law lets go, s: as in the agent.
const blindFor = 3.0

// handover is how near to the goal the machine's own controller brings a start before it is taken
// over, K: on the way there it runs at its limit anyhow. A PID on its set-point sees to that itself.
const handover = 60.0

// decide asks the law and commands.
func (d *driver) decide(m *twin.Machine, r *twin.Row) {
	held := d.commanded
	byHand := d.o.Way != SetPoint && d.o.Way != Cascade
	if math.IsNaN(held) {
		if math.IsNaN(d.goal) || r.ToolTemp == twin.NoSignal || d.o.Way != Cascade && r.ToolTemp < d.goal-handover || byHand && r.RPM < d.o.Limits.Min {
			return
		}
		if held = r.SetPoint; byHand {
			held, d.expected = math.Round(r.RPM), r.RPM
		}
		d.sense = control.Sense{Output: r.ToolTemp, Goal: nil, Fixed: d.goal, Held: held}
		if d.bound == nil {
			d.law.Begin(&d.sense)
		}
		d.commanded, d.since = held, d.o.Every
	}
	if byHand { // somebody else turns the spindle: the program's stop
		if math.Abs(r.RPM-d.expected) > displacedBy {
			if d.displaced += interval; d.displaced > displacedFor {
				d.release()
				d.goal = math.NaN()
				return
			}
		} else {
			d.displaced = 0
		}
	}
	if d.since += interval; d.since < d.o.Every-1e-9 {
		return
	}
	if r.ToolTemp == twin.NoSignal && d.since < blindFor {
		return // what is commanded stays
	}
	d.sense.Dt, d.sense.Output, d.sense.Fixed, d.sense.Held = d.since, r.ToolTemp, d.goal, held
	d.since = 0
	if r.ToolTemp == twin.NoSignal {
		d.sense.Output = math.NaN()
	}
	began := time.Now()
	var move control.Move
	if d.bound != nil {
		move.Value = d.o.Limits.Bound(d.bound.step(m, held, d.goal, d.o.Limits.Min, d.o.Limits.Max), held, d.sense.Dt)
	} else {
		move = d.law.Step(&d.sense)
	}
	d.took = append(d.took, time.Since(began))
	if math.IsNaN(move.Value) {
		if !math.IsNaN(d.commanded) { // back to the machine's own controller
			m.Do(twin.Code{Name: "M41", S: d.goal, HasS: true})
			d.release()
		}
		return
	}
	v, limits, code := math.Round(move.Value), d.o.Limits, "M06"
	if !byHand { // in tenths: what the slew lets it move in one step is less than a degree
		if v, limits, code = math.Round(10*move.Value)/10, setPoints, "M41"; d.o.Way == Cascade {
			limits = cascaded
		}
	}
	if v < limits.Min || v > limits.Max || math.Abs(v-held) > limits.Slew*d.sense.Dt+0.5 && held >= limits.Min && held <= limits.Max {
		d.violations++
	}
	d.commanded, d.expected = v, v
	m.Do(twin.Code{Name: code, S: v, HasS: true})
}

// aims is what a build's errors are measured from, °C: the program's set-point, or that which was advised and followed.
func (d *driver) aims(r *twin.Row) float64 {
	if d.o.Way == Advice && r.SetPoint > 0 {
		return r.SetPoint
	}
	return d.goal
}
