// Package filter follows a process with a model, and looks ahead: an extended Kalman filter, forecasts
// under a scenario, and what moves the temperature. It is what runs on the tick; nothing in it allocates
// there.
package filter

import (
	"math"
	"slices"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/system"
)

// How the filter steps and when it gives up.
const (
	MaxGap     = 60.0 // s; a longer dt is a new start
	GateSigma  = 5.0  // a measurement further out than this many SD is rejected: it hardly counts
	holdFor    = 5.0  // s; an input that is missing keeps its last value this long
	blindAfter = 30.0 // s without an accepted measurement
	rejectFor  = 3.0  // s of rejected measurements in a row after which the filter believes them
	belowRange = 5.0  // intervals end this far below the lowest reading of the training
)

// Estimator is an extended Kalman filter over the states of a model. Measurements are fused one
// after another, each with its own gate. Not for use by several goroutines at once.
type Estimator struct {
	m *model.Model
	s *system.System

	x, p    []float64 // SI
	started bool      // the leading output has been seen
	r       *system.Stepper
	gain    []float64 // of an update
	fx, fp  []float64 // of a forecast

	u, ahead []float64 // last good inputs; those of a scenario
	age      []float64 // s since each was good, +Inf if never
	aims     []bool    // by input: it is the set-point of a controller
	now      []float64 // drives of u
	last     []float64 // scratch
	half     []float64
	past     delayLine
	dead     float64
	unseen   []float64 // by output: s since a measurement of the state that it shows was accepted, +Inf if never
	refused  []float64 // by output: s of rejected measurements in a row
	first    []float64 // by output: the newest reading before the start (SI), NaN if none

	nis    []float64 // by output: smoothed normalised innovation squared, 1 is as expected
	nisAge []float64 // by output: s since it was last renewed

	before []float64 // states before the measurements of the last Step
	judged bool      // and whether there were any

	plan                     *Planner                         // nil without a plan
	planNow                  float64                          // s ahead that the planner has come
	byItsPlan                bool                             // the forecast that is made is by the plan of the model
	scenario                 Scenario                         // that a forecast is made for
	coming                   func(u []float64, ahead float64) // what is known of the inputs to come, where a scenario says nothing of them
	readings                 []float64                        // by output, in its unit: as forecast so far
	intervals                [][]model.Interval95             // by output
	byHold, byInputs, byPlan Drives
	acting                   []float64    // inputs behind the drives that these gave last; nil while those of the past act
	controllers              *Controllers // nil without
}

// New makes an estimator for m; it panics where m does not pass Check.
func New(m *model.Model) *Estimator {
	if err := m.Check(); err != nil {
		panic("dynamics: estimator: " + err.Error())
	}
	return ForSystem(system.Compile(m))
}

// ForSystem makes an estimator over a system that is compiled already.
func ForSystem(s *system.System) *Estimator {
	n := s.NX
	e := &Estimator{
		m: s.Model, s: s, r: s.Stepper(), x: make([]float64, n), p: make([]float64, n*n),
		before: make([]float64, n), gain: make([]float64, n), fx: make([]float64, n), fp: make([]float64, n*n),
		u: make([]float64, s.NU), ahead: make([]float64, s.NU), age: make([]float64, s.NU),
		now: make([]float64, s.Drives()), last: make([]float64, s.Drives()), half: make([]float64, s.Drives()), dead: s.DeadTime(),
	}
	outputs := len(s.Out)
	e.unseen, e.refused, e.first = make([]float64, outputs), make([]float64, outputs), make([]float64, outputs)
	e.nis, e.nisAge, e.readings = make([]float64, outputs), make([]float64, outputs), make([]float64, outputs)
	for o := range outputs {
		e.intervals = append(e.intervals, s.Model.IntervalsOf(o))
	}
	e.past.init(e.dead, s.Drives())
	e.byHold, e.byInputs, e.byPlan = e.holdDrives, e.inputDrives, e.planDrives
	e.controllers, e.aims = NewControllers(s.Model), make([]bool, s.NU)
	for i := range e.aims {
		e.aims[i] = slices.ContainsFunc(s.Model.Controllers, func(c model.Controller) bool { return c.Follows == s.Model.Inputs[i].Name })
	}
	if s.Model.Plan != nil {
		e.plan = NewPlanner(s.Model)
	}
	e.Reset()
	return e
}

// Reset forgets everything but the model.
func (e *Estimator) Reset() {
	e.forget()
	for i := range e.age {
		e.u[i], e.age[i] = 0, math.Inf(1)
	}
	e.past.n = 0
	if e.plan != nil {
		e.plan.Forget()
	}
}

// forget drops what is known of the states.
func (e *Estimator) forget() {
	e.started = false
	for o := range e.unseen {
		e.unseen[o], e.refused[o], e.first[o] = math.Inf(1), 0, math.NaN()
		e.nis[o], e.nisAge[o] = 1, 0
	}
}

// Step takes over inputs u (as Model.Inputs), lets dt seconds pass, fuses measurements z (as
// Model.Outputs) and fills dst. Inputs are taken to change evenly between steps. NaN is missing. A
// measurement should come once: one that repeats an old reading counts as new evidence.
//
// Every output starts the states that its measurement says something about ([system.System.Begins]); the
// filter runs from the first measurement of the leading output on ([model.Model.OutputOrder]). An output without a measurement for 30 s
// starts its states anew with the next. After 3 s of rejected measurements in a row the filter believes
// them.
//
// An input that is missing is held for 5 s; after that its default holds. Where it has none, or without a
// measurement of the leading output for 30 s, the estimate is blind. Step does not allocate once dst has been
// used. u and z are not kept; wrong lengths panic.
func (e *Estimator) Step(dst *Estimate, dt float64, u, z []float64) {
	if len(u) != len(e.u) || len(z) != len(e.m.Outputs) {
		panic("dynamics: step: inputs or measurements do not match the model")
	}
	if !(dt >= 0) {
		dt = 0
	}
	if dt > MaxGap {
		e.Reset()
		dt = 0
	}
	for o := range e.unseen {
		e.unseen[o] += dt
		e.nisAge[o] += dt
	}
	blind := false
	dst.Outside, dst.Missing = dst.Outside[:0], dst.Missing[:0]
	for i, v := range u {
		in := &e.m.Inputs[i]
		if e.aims[i] { // nothing but a controller takes it: 0 is off
			if e.age[i] += dt; num.Finite(v) && math.Abs(v) <= model.MaxInput {
				e.u[i], e.age[i] = v, 0
			} else if e.age[i] > holdFor {
				e.u[i] = 0
			}
			continue
		}
		if num.Finite(v) && math.Abs(v) <= model.MaxInput {
			e.u[i], e.age[i] = v, 0
		} else if e.age[i] += dt; in.Default != nil && e.age[i] > holdFor {
			e.u[i] = *in.Default
			continue
		} else {
			dst.Missing = append(dst.Missing, in.Name)
		}
		blind = blind || e.age[i] > holdFor
		if e.age[i] <= holdFor && outside(e.u[i], in.Min, in.Max) {
			dst.Outside = append(dst.Outside, in.Name)
		}
	}
	e.r.Drive(e.now, e.u)
	e.past.push(dt, e.now, dt)
	if e.started {
		e.predict(dt)
	}
	copy(e.before, e.x)
	e.judged = e.started
	e.fuse(dst, dt, z)
	if e.plan != nil {
		e.plan.Observe(dt, e.Reading(e.s.Leading), e.u, e.s.Contact >= 0 && e.now[e.s.Contact] > 0.5)
	}

	n := e.s.NX
	dst.X, dst.SD = num.Resize(dst.X, n), num.Resize(dst.SD, n)
	for i := range n {
		dst.X[i], dst.SD[i] = (e.x[i]-e.s.Offset[i])/e.s.Scale[i], math.Sqrt(e.p[i*n+i])/e.s.Scale[i]
		if !e.started {
			dst.X[i], dst.SD[i] = math.NaN(), math.Inf(1)
		}
	}
	for i := range e.m.Outputs {
		if out := &e.m.Outputs[i]; e.started && outside(dst.X[e.s.Out[i]], out.Min, out.Max) {
			dst.Outside = append(dst.Outside, out.Name)
		}
	}
	dst.Blind = blind || !e.started || e.unseen[e.s.Leading] > blindAfter
}

func outside(v, lo, hi float64) bool {
	margin := model.RangeMargin * (hi - lo)
	return v < lo-margin || v > hi+margin
}

// predict lets the last dt seconds pass.
func (e *Estimator) predict(dt float64) {
	if dt == 0 {
		return
	}
	n := system.Steps(dt)
	h := dt / float64(n)
	for k := range n {
		at := float64(k)*h - dt
		system.Between(e.last, e.half, e.past.at, at, at+h)
		e.r.Act(e.last)
		e.r.StepCov(e.x, e.p, h)
	}
	if !num.Finite(e.x...) || !num.Finite(e.p...) { // what the model makes of absurd inputs is no estimate
		e.forget()
	}
}

// fuse takes in the measurements one by one (scalar updates, as the innovations of uncorrelated
// sensors allow), in the order of [system.System.Order].
func (e *Estimator) fuse(dst *Estimate, dt float64, z []float64) {
	n := len(z)
	dst.Innov, dst.InnovSD, dst.Ratio = num.Resize(dst.Innov, n), num.Resize(dst.InnovSD, n), num.Resize(dst.Ratio, n)
	if cap(dst.Rejected) < n {
		dst.Rejected = make([]bool, n)
	}
	dst.Rejected = dst.Rejected[:n]
	nx := e.s.NX
	for _, i := range e.s.Order {
		v := z[i]
		dst.Innov[i], dst.InnovSD[i], dst.Ratio[i], dst.Rejected[i] = math.NaN(), math.NaN(), math.NaN(), false
		if !num.Finite(v) || math.Abs(v) > model.MaxInput {
			continue
		}
		o := e.s.Out[i]
		scale := e.s.Scale[o]
		reading := v*scale + e.s.Offset[o]
		begins := e.unseen[i] > blindAfter // after so long the reading knows better
		switch {
		case !e.started && i != e.s.Leading:
			e.first[i], e.unseen[i] = reading, 0
			continue
		case !e.started:
			e.begin(reading)
			begins = true
		case begins:
			e.restart(i, reading)
		}
		sd := e.m.Outputs[i].SD * scale
		s := e.p[o*nx+o] + sd*sd
		innov := reading - e.x[o]
		dst.Innov[i], dst.InnovSD[i] = innov/scale, math.Sqrt(s)/scale
		dst.Ratio[i] = innov * innov / (s * GateSigma * GateSigma)
		if !begins && (dst.Ratio[i] <= 1 || e.refused[i] > 0) { // one spike by itself says nothing
			e.smoothNIS(i, innov*innov/s)
		}
		if dst.Ratio[i] <= 1 {
			e.accept(i)
			Update(e.p, e.x, nx, o, innov, s, e.gain)
			continue
		}
		// Not believed, but not ignored: it counts as if its noise were what makes it just pass, so that
		// a spike hardly moves the estimate and a hard start does.
		dst.Rejected[i] = true
		Update(e.p, e.x, nx, o, innov, innov*innov/(GateSigma*GateSigma), e.gain)
		if e.refused[i] += dt; e.refused[i] > rejectFor { // the world has moved on, not the sensor
			e.acceptRejected(i, reading)
			e.accept(i)
		}
	}
}

// accept notes that the state which output i shows has been measured, by this output or by another.
func (e *Estimator) accept(i int) {
	e.refused[i] = 0
	for k, o := range e.s.Out {
		if o == e.s.Out[i] {
			e.unseen[k] = 0
		}
	}
}

// The smoothed normalised innovation squared rises with one memory and falls with another, s, and ends
// at a bound: the filter doubts itself faster than it trusts itself again.
const (
	nisRises = 3.0
	nisFalls = 30.0
	maxNIS   = 100.0
)

// smoothNIS takes in a normalised innovation squared of output i: the square of an innovation over its variance, 1
// on average (Bar-Shalom, Li and Kirubarajan, Estimation with Applications, 2001, sec. 5.4). What the
// filter expects is right on the whole, too wide while nothing happens and too narrow in a hard start: the
// smoothed value tells which of these it is.
func (e *Estimator) smoothNIS(i int, ratio float64) {
	memory := nisFalls
	if ratio > e.nis[i] {
		memory = nisRises
	}
	e.nis[i] -= math.Expm1(-e.nisAge[i]/memory) * (min(ratio, maxNIS) - e.nis[i])
	e.nis[i] = max(e.nis[i], 1/maxNIS)
	e.nisAge[i] = 0
}

// acceptRejected takes the reading (SI) of output i for true although the gate rejected it: the covariance
// grows until it would pass. What the filter knows of hidden states is kept.
func (e *Estimator) acceptRejected(i int, reading float64) {
	nx, o := e.s.NX, e.s.Out[i]
	innov := reading - e.x[o]
	sd := e.m.Outputs[i].SD * e.s.Scale[o]
	grow := innov * innov / max(e.p[o*nx+o], sd*sd)
	for k := range e.p {
		e.p[k] *= grow
	}
	Update(e.p, e.x, nx, o, innov, e.p[o*nx+o]+sd*sd, e.gain)
	for k := range nx {
		e.p[k*nx+k] = min(e.p[k*nx+k], 100*e.s.StartVar[k]) + e.s.StartVar[k]
		for j := range nx {
			if j != k {
				e.p[k*nx+j] = 0
			}
		}
	}
}

// begin sets all states: by the first reading (SI) of the leading output, and by what others have shown
// shortly before.
func (e *Estimator) begin(reading float64) {
	for o := range e.first {
		if e.unseen[o] > blindAfter {
			e.first[o] = math.NaN()
		}
		e.nis[o], e.nisAge[o] = 1, 0
	}
	e.first[e.s.Leading] = reading
	e.r.Begin(e.x, e.first)
	clear(e.p)
	for i, v := range e.s.StartVar {
		e.p[i*e.s.NX+i] = v
	}
	e.started = true
}

// restart sets the states that output i starts, from its first reading (SI) after a long time without one. The
// other states stay as they are.
func (e *Estimator) restart(i int, reading float64) {
	e.nis[i], e.nisAge[i] = 1, 0
	if i != e.s.Leading {
		e.r.BeginOther(e.x, i, reading)
	} else {
		copy(e.fx, e.x)
		e.first[i] = reading
		e.r.Begin(e.fx, e.first)
		for _, state := range e.s.Begins[i] {
			e.x[state] = e.fx[state]
		}
	}
	Restart(e.p, e.s.NX, e.s.Begins[i], e.s.StartVar)
}

// Restart makes the covariance p (nx × nx) know of the given states only their variance at a start.
func Restart(p []float64, nx int, states []int, variance []float64) {
	for _, k := range states {
		for j := range nx {
			p[k*nx+j], p[j*nx+k] = 0, 0
		}
		p[k*nx+k] = variance[k]
	}
}

// Reading is output o as it is estimated, in its unit.
func (e *Estimator) Reading(o int) float64 { return e.shown(e.x, o) }

// Leading is the place of the output that leads, see [model.Model.OutputOrder].
func (e *Estimator) Leading() int { return e.s.Leading }

// shown is output o of states x, in its unit.
func (e *Estimator) shown(x []float64, o int) float64 {
	i := e.s.Out[o]
	return (x[i] - e.s.Offset[i]) / e.s.Scale[i]
}

// Inputs are the last good ones, as Model.Inputs: not to be kept or changed.
func (e *Estimator) Inputs() []float64 { return e.u }

// Contact is the definition "contact" under the present inputs, 0 none to 1 full; NaN where the model
// has none.
func (e *Estimator) Contact() float64 {
	if e.s.Contact < 0 {
		return math.NaN()
	}
	return e.now[e.s.Contact]
}

// Planner is what runs the plan of the model ahead, nil without one.
func (e *Estimator) Planner() *Planner { return e.plan }

// Controllers are those of the model, run ahead; nil without.
func (e *Estimator) Controllers() *Controllers { return e.controllers }

// Save gives the states (SI), nil before the first measurement; restore takes them again, so that
// forecasts can be made from there once more.
func (e *Estimator) Save() []float64 {
	if !e.started {
		return nil
	}
	return slices.Clone(e.x)
}

// Restore takes states that save gave.
func (e *Estimator) Restore(x []float64) {
	copy(e.x, x)
	e.started = true
}

// Update is the scalar Kalman update of x and p for a measurement of state out; gain is filled.
func Update(p, x []float64, nx, out int, innov, sv float64, gain []float64) {
	var row [model.MaxStates]float64
	for k := range nx {
		gain[k] = p[k*nx+out] / sv
		row[k] = p[out*nx+k]
	}
	for k := range nx {
		x[k] += gain[k] * innov
		for j := range nx {
			p[k*nx+j] -= gain[k] * row[j]
		}
	}
	for k := range nx { // keep it symmetric and positive in spite of rounding
		for j := range k {
			v := (p[k*nx+j] + p[j*nx+k]) / 2
			p[k*nx+j], p[j*nx+k] = v, v
		}
		p[k*nx+k] = max(p[k*nx+k], 0)
	}
}
