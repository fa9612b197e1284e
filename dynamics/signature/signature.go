// Package signature scores the faults of a friction stir deposition machine that show in the signals of the
// machine itself, each in the phases in which it can happen. It needs no equation and no training: what is usual is
// what the same run has shown before. Numbers in, numbers out, causal; it does not allocate.
package signature

import (
	"math"

	"stirwatch/dynamics/phase"
)

// Fault is what is scored.
type Fault int

// Faults.
const (
	Feedstock   Fault = iota // the bar has run out
	Jam                      // the bar binds
	LiftOff                  // tool and deposit part
	Flash                    // more metal is fed than laid
	ColdStart                // pressed hard on cold metal
	Coolant                  // the bearing warms as if coolant were missing
	Unreachable              // the spindle gives all it has, and the set-point is not reached
	Stopped                  // the spindle stands while the tool is pressed on the hot build
	Frozen                   // the tool temperature stands still while the process moves
	Step                     // the tool temperature jumps further than heat can move it
	Creep                    // the spindle slows for the same set-point: the reading creeps up
	Wear                     // the spindle speeds up for it: the tool heats less
	Reversed                 // the tool temperature falls as the tool heats
	Swapped                  // another thermocouple heats as the tool does, and the tool's does not
	Faults
)

// Signal is one of the signals that carry a fault.
type Signal int

// Signals.
const (
	Speed Signal = iota
	Torque
	FeedVelocity
	FeedTorque
	Path
	Rise
	Temperature
	SetPoint
	Bearing
	Other // the hottest of the other thermocouples
	Signals
)

// Frame is what is known at one instant; NaN is unknown.
type Frame struct {
	Value   [Signals]float64 // rpm, N·m, mm/min, the log's own number, mm/min, mm/min, °C, °C, °C, °C
	Fresh   [Signals]bool    // which are new measurements
	Contact float64          // 0 none to 1 full
	Phase   phase.Phase
	Rule    phase.ContactRule // of the spindle; the zero rule is the default
	Derived bool              // the torque is told from power and speed: while the spindle speeds up it says little
	Learned bool              // the rule is of the machine's other runs, not of what this one has shown so far
	Start   float64           // N·m: what a good start on cold metal takes at most in the machine's other runs; 0: not known
}

// Score is what a fault scores.
type Score struct {
	Value float64          // above 1 the signature is there
	Part  [Signals]float64 // what each signal contributes; the parts add up to Value where that is above 1
}

// What tells the faults, from the recordings and the table of docs/alarms.md.
const (
	usualAfter = 15.0   // s of steady deposition before anything is usual
	usualOver  = 40.0   // s that it is averaged over
	forgotten  = 1200.0 // s in which what was once usual is forgotten

	feedsFrom    = 60.0 // mm/min: the bar is fed,
	feedsOf      = 0.25 // or from this share of the most that it was, on a machine of thin bars
	creepsBelow  = 10.0 // mm/min: no feed, whatever the machine
	faint        = 0.05 // of the usual feed torque: as good as none
	restless     = 0.2  // of it: what moves so much from reading to reading is noise about nothing
	settled      = 15.0 // s that the feed has run: a bar that starts again is cold and binds for a while
	spentBelow   = 0.25 // of the usual feed torque: no bar
	jamsAbove    = 1.5  // times the usual feed torque
	jamsSlower   = 0.92 // of the usual feed
	ranOver      = 3.0  // s that the feed torque is averaged over while the feed runs as usual
	overFed      = 1.35 // times the usual feed over path
	overFedBelow = 0.88 // of the usual feed torque
	fedMore      = 1.1  // of the usual feed
	lostTorque   = 10.0 // N·m above the free torque: contact is lost
	pressed      = 25.0 // N·m above it: there is contact
	liftWithin   = 3.0  // s in which contact is lost
	lifts        = 8.0  // mm/min upwards: the program lifts the tool

	coldBelow  = 150.0 // °C
	hardTorque = 300.0 // N·m: twice that of good starts on record
	hardTimes  = 1.8   // times what a good start takes, where that is known; on a machine of the default's size
	hardLeast  = 100.0 // N·m at least: its runs may all have begun lightly
	hardest    = 1.5   // s that it lasts where nobody knows yet how large the machine is
	surelyHard = 380.0 // N·m: or is so much,
	hardFor    = 10.0  // s after it in which the temperature may do anything

	shortBy     = 10.0  // °C
	atLimit     = 0.985 // of the fastest the spindle has run
	risesBelow  = 0.3   // °C/s: the temperature does not get there
	fallsBelow  = 0.1   // °C/s: nor down to it,
	constant    = 0.01  // share by which the speed moves
	constantFor = 10.0  // s, while the controller would have it slower
	hotFrom     = 200.0 // °C

	reversedFall = 15.0 // °C by which a reversed thermocouple falls from where a cold start found it
	reversedTo   = 5.0  // °C: and below any room; a cold plate alone cools a tool no further than itself

	swappedBy   = 80.0 // °C by which another thermocouple is hotter than the tool's while the tool is pressed and turns,
	swappedRise = 2.0  // times as far as the tool's it has risen
	swappedFor  = 5.0  // s

	stillFor      = 8.0  // s,
	stillReadings = 4.0  // and readings at least
	soaksFor      = 10.0 // s after the last heat in which the tool may still warm its thermocouple
	coolsFor      = 15.0 // s after that, in which a hot tool
	coolsBy       = 1.0  // °C: has cooled by so much, unless it keeps its heat for hours
	jumpOf        = 30.0 // °C beyond where it was heading, within a second
	soon          = 3.0  // s in which the next reading tells a jump
)

// Follower scores frame after frame. The zero Follower is ready.
type Follower struct {
	Score [Faults]Score

	pace [Signals]pace

	// What is usual in this run.
	steady                float64 // s of steady deposition
	feed, feedTorque, per float64 // mm/min, –, feed over path
	richest               float64 // feed over path, the most that was usual for a while
	fastest               float64 // rpm
	most                  float64 // mm/min, the fastest feed
	feedNoise, feedLast   float64 // as feedTorque: how much it moves from frame to frame, and its last

	pressedAgo, spentFor float64 // s
	fed                  float64 // s that the feed has run
	hard                 float64 // s of a hard start's torque
	ran                  float64 // feed torque while it last ran as usual
	hadContact           bool    // when the bar went
	bearing              warming
	risen, pushed        float64 // s since the program moved the tool up, and since the torque was that of a hard start
	slow                 float64 // °C, tool temperature followed slowly
	slope                float64 // °C/s
	last, before         float64 // °C, the last two readings
	readings             int
	sinceReading         float64
	lastGap              float64
	lays                 bool    // the last reading was one of deposition
	still, natural       float64 // s that the reading has stood still, and the longest that it did so and went on
	unheated, cooling    float64 // s without contact or speed, and °C: the reading when they became soaksFor
	stood                float64 // s that the spindle has stood in contact
	atRest               float64 // °C: the reading when the tool last was without contact

	colder, others  float64 // °C: the tool's and the hottest other thermocouple when the tool last was without contact
	apart           float64 // s that they have been so
	held            balance
	speed, constant float64 // rpm, and the s for which the spindle has turned at it
	wasHot          bool
}

// Reset forgets what was usual: another run begins.
func (f *Follower) Reset() {
	*f = Follower{pace: f.pace, risen: 1e9, pushed: 1e9, colder: math.NaN(), others: math.NaN()}
}

// Step takes a frame dt seconds after the last one.
func (f *Follower) Step(dt float64, x *Frame) {
	f.Score = [Faults]Score{}
	for k := range f.pace {
		f.pace[k].step(dt, x.Fresh[k])
	}
	if x.Rule == (phase.ContactRule{}) {
		x.Rule = phase.DefaultContactRule
	}
	free, size := x.Rule.FreeTorque, x.Rule.Size()
	v := &x.Value
	torque := math.Abs(v[Torque])
	turning := x.Phase > phase.Stopped
	hot := v[Temperature] > hotFrom
	deposits := x.Phase == phase.Deposit || x.Phase == phase.Prime

	if torque > free+size*pressed {
		f.pressedAgo = 0
	} else {
		f.pressedAgo += dt
	}
	switch speed := math.Abs(v[Speed]); {
	case !turning:
		f.fastest = 0
	case speed == speed:
		f.fastest = max(f.fastest*math.Exp(-dt/600), speed)
	}

	if v[FeedVelocity] > 1 && turning {
		f.most = max(f.most*math.Exp(-dt/forgotten), v[FeedVelocity])
	}
	binds := f.fed > 0 && f.steady > usualAfter && v[FeedTorque] > jamsAbove*f.feedTorque // it stands since it cannot go on
	if (v[FeedVelocity] > f.feedsFrom() || binds) && turning {
		f.fed += dt
	} else {
		f.fed = 0
	}
	f.risen, f.pushed = f.risen+dt, f.pushed+dt
	if v[Rise] > lifts {
		f.risen = 0
	}
	if torque > x.hardTorque() {
		f.pushed = 0
	}
	f.bar(dt, x, torque-free)
	f.cold(dt, x, torque)
	f.coolant(dt, x)
	f.reading(dt, x)
	f.swapped(dt, x)
	f.balanced(dt, x)

	if math.Abs(math.Abs(v[Speed])-f.speed) <= constant*f.speed {
		f.constant += min(dt, f.speaksFor(Speed))
	} else {
		f.speed, f.constant = math.Abs(v[Speed]), 0
	}

	// All that the spindle has, and not there: neither is it rising.
	if short := v[SetPoint] - v[Temperature]; turning && f.fed > settled && x.Contact >= 0.5 && v[SetPoint] > hotFrom && math.Abs(v[Speed]) >= atLimit*f.fastest && f.slope < risesBelow && hot {
		f.set(Unreachable, short/shortBy, weight{Temperature, 1}, weight{SetPoint, 1}, weight{Speed, 1})
	} else if f.constant >= constantFor && f.fed > settled && x.Phase == phase.Deposit && v[SetPoint] > hotFrom && f.slope > -fallsBelow {
		f.set(Unreachable, -short/shortBy, weight{Temperature, 1}, weight{SetPoint, 1}, weight{Speed, 1})
	}
	within := max(liftWithin, 1.5*f.pace[Torque].every)
	// Lift-off: contact and torque go within moments, and no program lifts the tool; where nobody measures
	// that, each end of a build would look so.
	if turning && !math.IsNaN(v[Rise]) && torque < free+size*lostTorque && f.wasHot && v[FeedVelocity] > f.feedsFrom() && f.risen > within && (f.pressedAgo <= within || f.Score[LiftOff].Value > 1) {
		f.set(LiftOff, (free+size*lostTorque)/max(torque, 1), weight{Torque, 2}, weight{FeedTorque, 1}, weight{Rise, 1})
	}
	if x.Phase == phase.Stopped && x.Contact >= 0.5 && v[Temperature] > 250 {
		if f.stood == 0 {
			f.stood = min(dt, speaksFor) // it may have turned until just now
		} else {
			f.stood += dt
		}
		f.set(Stopped, f.stood/5, weight{Speed, 2}, weight{Temperature, 1})
	} else {
		f.stood = 0
	}
	f.wasHot = hot && (deposits || f.wasHot && turning)

	if steady := x.Phase == phase.Deposit && v[FeedVelocity] > f.feedsFrom() && f.Score[Feedstock].Value <= 1 && f.Score[Jam].Value <= 1 && f.Score[Flash].Value <= 1 && f.Score[LiftOff].Value <= 1; steady {
		f.learn(dt, x)
	}
}

// feedsFrom is the velocity from which the bar is fed, mm/min.
func (f *Follower) feedsFrom() float64 {
	if f.most == 0 {
		return feedsFrom
	}
	return max(creepsBelow, min(feedsFrom, feedsOf*f.most))
}

// learn takes a frame of steady deposition for usual. A feed that the program has changed is usual after some time.
func (f *Follower) learn(dt float64, x *Frame) {
	v := &x.Value
	if math.IsNaN(v[FeedVelocity]) || math.IsNaN(v[FeedTorque]) {
		return
	}
	f.steady += dt
	share := dt / min(f.steady, usualOver)
	f.feedTorque += share * (v[FeedTorque] - f.feedTorque)
	f.feedNoise += share * (math.Abs(v[FeedTorque]-f.feedLast) - f.feedNoise)
	f.feedLast = v[FeedTorque]
	f.feed += share * (v[FeedVelocity] - f.feed)
	if v[Path] > phase.TravelsFrom {
		f.per += share * (v[FeedVelocity]/v[Path] - f.per)
		f.richest *= math.Exp(-dt / forgotten)
		if f.steady > usualAfter {
			f.richest = max(f.richest, f.per)
		}
	}
}

// bar scores what the feed shows.
func (f *Follower) bar(dt float64, x *Frame, above float64) {
	v := &x.Value
	if f.steady < usualAfter || f.feedTorque < 5 && !(f.feedNoise < restless*f.feedTorque) || x.Phase <= phase.Stopped {
		f.spentFor = 0
		return
	}
	of := v[FeedTorque] / f.feedTorque
	switch {
	case !(f.fed > settled && of < spentBelow):
		f.spentFor = 0
	default:
		if f.spentFor == 0 {
			f.hadContact = above > x.Rule.Size()*pressed // else the tool has left the build, and the bar is not the cause
		}
		f.spentFor += dt
		if f.hadContact {
			f.set(Feedstock, 1+(spentBelow-max(of, 0))/spentBelow, weight{FeedTorque, 2}, weight{FeedVelocity, 1})
		}
	}
	slower := v[FeedVelocity] / f.feed
	if slower >= jamsSlower {
		f.ran += (v[FeedTorque] - f.ran) * min(dt/ranOver, 1)
	}
	if f.fed > settled && of > jamsAbove && slower < jamsSlower && v[FeedTorque] >= f.ran { // a bar that is stopped lets go
		f.set(Jam, of/jamsAbove, weight{FeedTorque, of / jamsAbove}, weight{FeedVelocity, jamsSlower / max(slower, 0.1)})
	}
	if f.fed > settled && v[Path] > phase.TravelsFrom && f.per > 0 && x.Phase >= phase.WarmUp {
		per := f.per
		if v[FeedVelocity] < fedMore*f.feed {
			per = max(per, f.richest) // a path that is as slow as it once was lays no flash
		}
		if more := v[FeedVelocity] / v[Path] / per; more > overFed && of < overFedBelow {
			f.set(Flash, more/overFed, weight{FeedVelocity, 1}, weight{Path, 1}, weight{FeedTorque, 1})
		}
	}
}

// hardTorque is the torque (N·m) of a hard start. That a machine is a small one is not believed before it has been learned from.
func (x *Frame) hardTorque() float64 {
	if x.Start > 0 {
		return min(max(hardTimes*x.Start, x.Rule.Size()*hardLeast), max(x.Rule.Size(), 1)*surelyHard)
	}
	if x.Learned {
		return x.Rule.Size() * hardTorque
	}
	return max(x.Rule.Size(), 1) * hardTorque
}

// cold scores a start on cold metal.
func (f *Follower) cold(dt float64, x *Frame, torque float64) {
	if x.Derived || !(torque > x.hardTorque()) {
		f.hard = 0
		return
	}
	if f.hard += dt; x.Rule == phase.DefaultContactRule && f.hard < hardest && torque < surelyHard/hardTorque*x.hardTorque() { // a larger machine may take as much to speed up
		return
	}
	if v := &x.Value; v[Temperature] < coldBelow && x.Phase > phase.Stopped {
		f.set(ColdStart, torque/x.hardTorque(), weight{Torque, 2}, weight{Temperature, 1})
	}
}

// reading scores the tool temperature as a reading.
func (f *Follower) reading(dt float64, x *Frame) {
	v := x.Value[Temperature]
	f.sinceReading += dt
	if math.IsNaN(v) {
		f.readings = 0
		return
	}
	if !x.Fresh[Temperature] {
		return
	}
	if !(x.Contact >= 0.5) || x.Phase <= phase.Stopped {
		f.atRest = v
	}
	if f.atRest < coldBelow && v < reversedTo && x.Phase > phase.Stopped {
		f.set(Reversed, (f.atRest-v)/reversedFall, weight{Temperature, 2}, weight{Torque, 1})
	}
	gap, every := max(f.sinceReading, 1e-3), f.pace[Temperature].every
	stillFor := max(stillFor, stillReadings*every)
	f.sinceReading = 0
	lays := x.Phase == phase.Deposit
	if f.readings > 2 && f.pushed > hardFor && (gap < soon || lays && f.lays && gap < 1.5*every) && f.last > hotFrom && v > 50 && x.Phase >= phase.WarmUp {
		heading := f.last + (f.last-f.before)/f.lastGap*gap
		may := max(gap, 1) // s: a start heats as fast as it can, a build that is laid is held by its controller
		if lays && f.lays {
			may = math.Sqrt(may)
		}
		f.set(Step, min(math.Abs(v-heading), math.Abs(v-f.last))/(jumpOf*may), weight{Temperature, 1})
	}
	f.lays = lays
	if v != f.last || f.readings == 0 {
		if x.Phase >= phase.WarmUp && f.still < stillFor {
			f.natural = max(f.natural, f.still)
		}
		f.still = 0
	} else {
		f.still += min(gap, f.speaksFor(Temperature))
	}
	if x.Phase >= phase.WarmUp && v > hotFrom {
		f.set(Frozen, f.still/max(stillFor, 3*f.natural), weight{Temperature, 1})
	}
	f.cools(gap, v, x.Phase)
	if f.readings == 0 {
		f.slow, f.slope = v, 0
	}
	f.slope += ((v-f.slow)/8 - f.slope) * min(gap/2, 1)
	f.slow += (v - f.slow) * min(gap/8, 1)
	f.before, f.last, f.lastGap = f.last, v, gap
	f.readings++
}

// cools scores a hot reading v, gap seconds after the last one, that does not fall though nothing heats the tool: that of a
// thermocouple which is stuck need not be the same number each time.
func (f *Follower) cools(gap, v float64, at phase.Phase) {
	if !(at == phase.Stopped || at == phase.Free) || !(v > hotFrom) {
		f.unheated = 0
		return
	}
	was := f.unheated
	if f.unheated += min(gap, f.speaksFor(Temperature)); was < soaksFor {
		f.cooling = v
		return
	}
	if f.cooling-v < coolsBy {
		f.set(Frozen, (f.unheated-soaksFor)/coolsFor, weight{Temperature, 2}, weight{Speed, 1})
	}
}

// swapped scores two thermocouples that are exchanged: nothing in a cell is as hot as the tool that makes the heat, nor warms as it does.
func (f *Follower) swapped(dt float64, x *Frame) {
	tool, other := x.Value[Temperature], x.Value[Other]
	if math.IsNaN(tool) || math.IsNaN(other) {
		f.apart = 0
		return
	}
	if math.IsNaN(f.colder) || !(x.Contact >= 0.5) || x.Phase <= phase.Stopped {
		f.colder, f.others = tool, other
	}
	if f.pressedAgo > 0 || x.Phase <= phase.Stopped || other-tool < swappedBy || other-f.others < swappedRise*max(tool-f.colder, 0)+swappedBy {
		f.apart = 0
		return
	}
	f.apart += min(dt, f.speaksFor(Other))
	f.set(Swapped, f.apart/swappedFor, weight{Temperature, 1}, weight{Other, 1})
}

// weight is how much a signal weighs in a signature.
type weight struct {
	of Signal
	w  float64
}

// set gives a fault a score, split over the signals that carry it by their weights.
func (f *Follower) set(k Fault, score float64, weights ...weight) {
	if !(score > 0) || !f.Judged(k) {
		return
	}
	s := &f.Score[k]
	s.Value = score
	sum := 0.0
	for _, w := range weights {
		sum += w.w
	}
	for _, w := range weights {
		s.Part[w.of] = score * w.w / sum
	}
}
