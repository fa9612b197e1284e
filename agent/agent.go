// Package agent owns the tick: gather, predict, fuse, judge, advise, command, publish.
//
// One goroutine runs the tick and owns all it changes. Each source has its own goroutine and
// hands samples in through [Agent.Emit]; the journal and the uploader have theirs. Nothing on
// the tick waits for disk or network.
package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"stirwatch/agent/alarm"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/control"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
)

// Options is everything an agent is made of. Registry, Journal and Log are required.
type Options struct {
	Registry    *sensors.Registry
	Sources     []sensors.Source
	Journal     *journal.Journal
	Model       *model.Model     // nil: monitoring without estimate and forecast
	Program     string           // file of the machine's program, or folder whose newest it is; "": none is known
	Process     *control.Options // nil: no advice
	Bridge      *bridge.Bridge   // runs for as long as the agent does, and somebody else starts and ends it; nil: nothing is commanded
	Loops       []Loop           // what is kept at a goal through the bridge
	Tick        time.Duration    // default 100 ms
	Limits      []Limit          // that people have set
	DeviceClock bool             // frame time follows the sources' own stamps
	Horizon     time.Duration    // how far the forecast reaches; default 60 s
	Estimates   time.Duration    // how often estimate and forecast are recorded; default 1 s
	Health      time.Duration    // how often the sources' counters are recorded; default 1 min
	Alarms      alarm.Options    // of the board; the agent keeps its record
	Undelivered func() string    // who cannot be told of alarms; nil: nobody is
	Clock       *Clock           // default the system's
	Log         *slog.Logger
}

// Agent watches one machine.
type Agent struct {
	opt   Options
	board *sensors.Board

	// Owned by the tick.
	frame     *sensors.Frame
	dt        time.Duration // from the last frame to this one
	programs  *programs     // nil where no program is told
	estimator *estimator    // nil without a model
	watch     *watch
	machine   *machine
	limits    *limits
	usual     *usual
	alarms    *alarms
	teller    *teller
	advisor   *advisor // nil without a process section
	loops     []*loop
	phases    phases
	recordAt  int64 // frame time at which estimates are recorded next

	backfill backfill
	health   health
	beats    atomic.Uint64 // ticks begun and ended

	// asks carries questions to the model, which the tick answers one at a time.
	asks chan func()

	// slow carries work that may wait for the disk from the tick to the housekeeper.
	slow chan func()

	mu   sync.Mutex // held for copies alone
	snap Snapshot
}

// New checks that channels, model and process fit together.
func New(opt Options) (*Agent, error) {
	opt.Tick = cmp.Or(opt.Tick, 100*time.Millisecond)
	opt.Horizon = cmp.Or(opt.Horizon, time.Minute)
	opt.Estimates = cmp.Or(opt.Estimates, time.Second)
	opt.Health = cmp.Or(opt.Health, time.Minute)
	if opt.Clock == nil {
		opt.Clock = NewClock(time.Now)
	}
	a := &Agent{
		opt:   opt,
		board: sensors.NewBoard(opt.Registry, opt.DeviceClock),
		frame: sensors.NewFrame(opt.Registry.Len()),
		watch: newWatch(opt.Registry, opt.Sources, opt.Model, opt.has),
		slow:  make(chan func(), 64), asks: make(chan func()),
	}
	var err error
	if a.machine, err = newMachine(opt.Registry, a.watch.set); err != nil {
		return nil, err
	}
	if a.limits, err = newLimits(opt.Limits, opt.Registry, a.watch.set); err != nil {
		return nil, err
	}
	if a.usual, err = newUsual(opt.Model, opt.Registry, a.watch.set); err != nil {
		return nil, err
	}
	a.alarms = newAlarms(a)
	if opt.Model != nil {
		if a.estimator, err = newEstimator(opt.Model, opt.Registry, opt.Horizon); err != nil {
			return nil, err
		}
	}
	if opt.Program != "" {
		if a.programs, err = newPrograms(opt.Program, opt.Registry); err != nil {
			return nil, err
		}
		if opt.Journal != nil { // else nobody is told, and the agent is only tried
			a.programs.look(a.Event, opt.Clock.Now())
		}
	}
	if opt.Process != nil {
		if a.advisor, err = newAdvisor(*opt.Process, opt.Registry, a.estimator); err != nil {
			return nil, err
		}
	}
	for _, o := range opt.Loops {
		l, err := newLoop(o, opt.Bridge, opt.Registry, a.estimator, opt.Log)
		if err != nil {
			return nil, err
		}
		a.loops = append(a.loops, l)
	}
	if a.phases, err = newPhases(opt.Registry, opt.Model); err != nil {
		return nil, err
	}
	a.backfill = backfill{speed: a.phases.speed, keep: a.keepBackfill}
	a.teller = newTeller(a)
	a.snap.init(opt.Registry.Len(), a.estimator)
	return a, nil
}

// Run reads all sources and ticks until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	a.returned()
	if a.machine.lacks != "" {
		a.opt.Log.Info("faults of the machine that no channel tells", "codes", a.machine.lacks)
	}
	g, ctx := errgroup.WithContext(ctx)
	for i, s := range a.opt.Sources {
		g.Go(func() error { a.supervise(ctx, s, feed{a, int32(i)}); return nil })
	}
	g.Go(func() error { return a.housekeep(ctx) })
	g.Go(func() error { return a.examine(ctx) })
	if a.programs != nil {
		g.Go(func() error { return a.programs.watch(ctx, a.Event, a.opt.Clock) })
	}
	for _, l := range a.loops {
		g.Go(func() error { return l.run(ctx, a) })
	}
	g.Go(func() error { return a.beat(ctx) })
	err := g.Wait()
	a.finish()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// returned records a gap since the last commit: while no agent ran, readings of devices that do not wait for an
// acknowledgement were lost, and after a kill also those not yet committed.
func (a *Agent) returned() {
	now := a.opt.Clock.Now()
	last, err := a.opt.Journal.LastCommit()
	if err != nil {
		a.opt.Log.Error("the end of the record cannot be found", "error", err)
	}
	a.health.last = last
	if last == 0 || err != nil {
		return
	}
	a.Event(sensors.Event{Time: now, Source: "journal", Kind: sensors.Gap,
		Text: fmt.Sprintf("the agent was away since %s: of devices that do not wait for an acknowledgement nothing is here from then on",
			time.Unix(0, last).UTC().Format(time.RFC3339Nano))})
}

// beat ticks in real time and follows steps of the wall clock.
func (a *Agent) beat(ctx context.Context) error {
	t := time.NewTicker(a.opt.Tick)
	defer t.Stop()
	var checked int64
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		now := a.opt.Clock.Now()
		if now-checked >= int64(time.Second) {
			checked = now
			if step := a.opt.Clock.Check(); step != 0 {
				now, checked = now+int64(step), checked+int64(step)
				a.stepped(step, now)
			}
		}
		a.tick(now)
		a.beats.Add(1)
	}
}

// Beats grows with every tick that has ended, also while no frame can be made. It may be called from any goroutine.
func (a *Agent) Beats() uint64 { return a.beats.Load() }

// stepped follows a step of the arrival clock: it moves all instants that the agent keeps, and records the step.
func (a *Agent) stepped(step time.Duration, now int64) {
	ruling := a.board.Shift(step)
	if step.Abs() >= clockStep {
		a.health.stepped.Store(int64(step))
	}
	a.Event(sensors.Event{Time: now, Source: "clock", Kind: sensors.ClockStep, Text: fmt.Sprintf("the wall clock was set by %v", step)})
	a.shift(ruling)
}

// shift moves the instants that the tick keeps along with a step of the clock that stamps frames.
func (a *Agent) shift(step time.Duration) {
	if step == 0 {
		return
	}
	a.frame.Time += int64(step)
	a.recordAt += int64(step)
	if a.advisor != nil {
		a.advisor.expires = 0 // what was recorded expires at another instant now: say it again
	}
}

// Emit takes samples from a source: they are judged, shown to the tick, and recorded. It is a [sensors.Sink].
func (a *Agent) Emit(samples []sensors.Sample, ack sensors.Acker) {
	a.board.Put(samples)
	a.backfill.take(samples)
	a.opt.Journal.AppendSamples(samples, ack)
}

// EmitUpTo implements [sensors.Keeper].
func (a *Agent) EmitUpTo(samples []sensors.Sample, source string, place []byte) {
	a.board.Put(samples)
	a.backfill.take(samples)
	a.opt.Journal.AppendAndRemember(samples, placeRoom, source, place)
}

// Known implements [sensors.Keeper].
func (a *Agent) Known(samples []sensors.Sample) { a.board.Put(samples) }

// Place implements [sensors.Keeper].
func (a *Agent) Place(source string) []byte {
	place, err := a.opt.Journal.Recall(placeRoom, source)
	if err != nil {
		a.opt.Log.Error("how far a source was read before cannot be told: it is read from its beginning", "source", source, "error", err)
	}
	return place
}

// placeRoom is the room of the journal's memory that holds how far each source was read.
const placeRoom = "sources"

// Event records what happened to a source, and tells the log.
func (a *Agent) Event(e sensors.Event) {
	level := slog.LevelInfo
	switch e.Kind {
	case sensors.Disconnected, sensors.Gap, sensors.Silent, sensors.Rejected, sensors.Doubted, sensors.ClockStep:
		level = slog.LevelWarn
	}
	a.opt.Log.Log(context.Background(), level, string(e.Kind), "source", e.Source, "count", e.Count, "text", e.Text)
	journal.Write(a.opt.Journal, record.Event{Time: e.Time, Source: e.Source, Kind: string(e.Kind), Count: int64(e.Count), Text: e.Text})
}

// tick is one step at the instant now (ns since the Unix epoch, arrival clock).
func (a *Agent) tick(now int64) {
	if !a.gather(now) {
		if ruling, begun := a.board.Now(now); begun {
			a.alarms.Step(ruling, a.phases.Running)
		}
		a.answer()
		return
	}
	a.judge()
	a.alarms.step(a.frame.Time, a.phases.change == phase.Began, a.phases.Running)
	if a.advisor != nil {
		a.advisor.advise(a.dt, a.frame, a.estimator)
	}
	for _, l := range a.loops {
		l.step(a.dt.Seconds(), a)
	}
	a.lead()
	a.answer()
	a.publish()
}

// lead tells what a loop leads the tool temperature to: where one commands, its goal is the set-point that estimate, advice and faults go by. What
// the machine's own controller is commanded to, or that it is switched off, is then no wish of anybody's.
func (a *Agent) lead() {
	led := 0.0
	for _, l := range a.loops {
		if goal := l.leads(); goal != 0 {
			led = goal
		}
	}
	a.phases.setPoint.led, a.machine.led = led, led
	if a.advisor != nil {
		a.advisor.setPoint.led = led
	}
	if a.estimator != nil {
		a.estimator.lead(led)
	}
}

// judge moves phase, program and estimate to the frame, then scores every anomaly.
func (a *Agent) judge() {
	contact := a.phases.step(a.dt, a.frame)
	if a.programs != nil {
		a.programs.step(a.dt, a.frame, a.Event)
	}
	if a.estimator != nil {
		a.estimator.follow(a.programs)
		a.estimator.step(a.dt, a.frame, contact) // predict, fuse, forecast
	}
	a.watch.judge(a.dt, a.frame, a.estimator, &a.health)
	a.machine.judge(a.dt, a.frame, &a.phases, contact, a.watch.set)
	a.limits.judge(a.dt, a.frame, a.phases.Phase, a.watch.set)
	a.usual.judge(a.dt, a.frame, a.phases.Phase, a.watch.set)
}

// setBack is how far the devices' time may fall behind the last frame before their clock counts as set back.
const setBack = time.Second

// gather fills the frame. It is false if time has not moved since the last frame, or if no stamp of the devices has come yet
// where their clock rules.
func (a *Agent) gather(arrival int64) bool {
	now, begun := a.board.Now(arrival)
	if !begun {
		return false
	}
	last := a.frame.Time
	if step := time.Duration(now - last); a.opt.DeviceClock && a.frame.Tick > 0 && (step < -setBack || step > sensors.MaxAhead) {
		a.Event(sensors.Event{Time: arrival, Source: "clock", Kind: sensors.ClockStep, Text: fmt.Sprintf("the devices' clock was set by %v", step)})
		a.shift(step - a.opt.Tick)
		last = a.frame.Time
	}
	if now <= last {
		return false
	}
	a.dt = 0
	if a.frame.Tick > 0 {
		a.dt = time.Duration(now - last)
	}
	a.frame.Tick++
	a.board.Gather(a.frame, now, arrival)
	return true
}

// publish records what changed and renews the snapshot.
func (a *Agent) publish() {
	t := a.frame.Time
	if change := a.phases.change; change != phase.Same {
		a.keepRun(change, t-int64(a.phases.Ago*1e9))
	}
	a.watch.record(a.opt.Journal, t)
	if a.machine.unsaid {
		a.machine.unsaid = false
		a.Event(sensors.Event{Time: t, Source: "machine", Kind: sensors.Doubted, Text: a.machine.unjudged()})
	}
	a.teller.step(t)
	if a.advisor != nil {
		a.advisor.record(a.opt.Journal, t)
	}
	if a.programs != nil {
		a.programs.record(a.opt.Journal, t)
	}
	if a.estimator != nil && t >= a.recordAt {
		a.recordAt = t - t%int64(a.opt.Estimates) + int64(a.opt.Estimates)
		a.estimator.record(a.opt.Journal, t)
	}
	a.mu.Lock()
	a.snap.fill(a)
	a.mu.Unlock()
}

// keepRun gives the begin or end of a run, at the instant at, to the housekeeper. If the queue is
// full, which takes dozens of runs within a tick, the mark is lost and the log says so.
func (a *Agent) keepRun(change phase.Run, at int64) {
	if change == phase.Began {
		at = a.backfill.taken(at)
	}
	a.mark(func() error {
		if change != phase.Began {
			a.opt.Log.Info("run ends")
			return a.opt.Journal.EndRun(at)
		}
		name := runName(at)
		a.opt.Log.Info("run begins", "run", name)
		_, err := a.opt.Journal.BeginRun(name, "", at)
		return err
	})
}

// keepBackfill marks a run that was over before the tick saw any of it.
func (a *Agent) keepBackfill(begin, end int64) {
	a.mark(func() error {
		name := runName(begin)
		id, err := a.opt.Journal.KeepRun(name, "", begin, end)
		if id != 0 {
			a.opt.Log.Info("run found in what was recorded before", "run", name, "lasted", time.Duration(end-begin).Round(time.Second).String())
		}
		return err
	})
}

func runName(began int64) string { return time.Unix(0, began).UTC().Format("20060102-150405") }

// mark hands the writing of a run's begin or end to the housekeeper.
func (a *Agent) mark(write func() error) {
	select {
	case a.slow <- func() {
		if err := write(); err != nil {
			a.opt.Log.Error("run could not be marked in the journal", "error", err)
		}
	}:
	default:
		a.opt.Log.Error("run could not be marked in the journal: too much is waiting")
	}
}

// housekeep does the slow work and records the sources' counters.
func (a *Agent) housekeep(ctx context.Context) error {
	t := time.NewTicker(a.opt.Health)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-a.slow:
			f()
		case <-t.C:
			a.recordHealth(a.opt.Clock.Now())
		}
	}
}

// finish does what is left once the tick has stopped. A run that is going on ends for the record:
// what happens unwatched belongs to no run.
func (a *Agent) finish() {
	a.backfill.finish()
	if a.phases.Stop() == phase.Ended {
		a.keepRun(phase.Ended, a.frame.Time-int64(a.phases.Ago*1e9))
	}
	a.catchUp()
	a.recordHealth(a.opt.Clock.Now())
}

// catchUp does the slow work that waits.
func (a *Agent) catchUp() {
	for {
		select {
		case f := <-a.slow:
			f()
		default:
			return
		}
	}
}

// recordHealth records the counters of the sources and of the upload.
func (a *Agent) recordHealth(now int64) {
	for _, s := range a.opt.Sources {
		h := s.Health().Snapshot()
		journal.Write(a.opt.Journal, record.SourceHealth{Time: now, Source: s.Name(), Connected: h.Connected,
			Connects: int64(h.Connects), Bytes: int64(h.Bytes), Messages: int64(h.Messages), Samples: int64(h.Samples),
			Rejected: int64(h.Rejected), Gaps: int64(h.Gaps), Lost: int64(h.Lost), Duplicates: int64(h.Duplicates), Skew: h.Skew.Seconds()})
	}
	if h, err := a.opt.Journal.Health(now); err != nil {
		a.opt.Log.Error("how fast the journal grows cannot be read", "error", err)
	} else {
		journal.Write(a.opt.Journal, h)
	}
	if !a.opt.Journal.Uploads() {
		return
	}
	backlog, err := a.opt.Journal.Backlog()
	if err != nil {
		a.opt.Log.Error("the backlog cannot be counted", "error", err)
		return
	}
	journal.Write(a.opt.Journal, record.UploadHealth{Time: now, Source: record.InfluxDB, Backlog: int64(backlog.Lines)})
}
