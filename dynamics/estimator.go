package dynamics

import "math"

// How the filter steps and when it gives up.
const (
	maxGap      = 60.0 // s; a longer dt is a new start
	holdFor     = 5.0  // s; an input that is missing keeps its last value this long
	blindAfter  = 30.0 // s without an accepted measurement
	gateSigma   = 5.0  // a measurement further out than this many SD is rejected: it hardly counts
	rejectFor   = 3.0  // s of rejected measurements in a row after which the filter believes them
	rangeMargin = 0.10 // share of the training range that counts as inside beyond its ends
	belowRange  = 5.0  // intervals end this far below the lowest reading of the training
	sigma95     = 1.959964
)

// StateTool is the first state of a model; with the built-in hypotheses, the tool temperature.
const StateTool = 0

// Horizons at which forecasts are scored, s.
var Horizons = []float64{1, 5, 10, 30, 60}

// Estimate explains a frame. Slices are made by the Estimator on first use and then reused.
type Estimate struct {
	X, SD []float64 // by state, as Model.States

	// One entry per measurement (Model.Outputs), for the last Step. A missing measurement has
	// NaN in all of them and is not rejected.
	Innov    []float64 // measured less expected, in the output's unit
	InnovSD  []float64 // its standard deviation
	Ratio    []float64 // (Innov/InnovSD)²/gate²: above 1 is rejected
	Rejected []bool

	Blind   bool     // no measurement for too long, none yet, or inputs gone: X is a guess
	Outside []string // inputs and outputs outside the training range
	Missing []string // inputs that are missing now, held or not
}

// Forecast is what an Estimator expects at each of Horizon (s, rising), in the unit of the first
// output. The interval of 95 % need not be symmetric; SD is a quarter of its width, nearly.
type Forecast struct {
	Horizon      []float64
	Mean, SD     []float64
	Lower, Upper []float64
}

// Estimator is an extended Kalman filter over the states of a model. Measurements are fused one
// after another, each with its own gate. Not for use by several goroutines at once.
type Estimator struct {
	m *Model
	s *system

	x, p    []float64 // SI
	started bool
	v, sv   []float64 // registers of the system and of its start
	w       *scratch
	gain    []float64 // of an update
	fx, fp  []float64 // of a forecast

	u, held []float64 // last good inputs; scratch of Forecast
	age     []float64 // s since each was good, +Inf if never
	now     []float64 // drives of u
	last    []float64 // scratch
	half    []float64
	past    delayLine
	dead    float64
	unseen  float64 // s since a measurement was accepted
	refused float64 // s of rejected measurements in a row

	surprise float64 // mean square of late innovations over what was expected
	quiet    float64 // s since it was last told

	before []float64 // states before the measurements of the last Step
	judged bool      // and whether there were any

	plan     *planner // nil without a plan
	planned  func(d []float64, from, to float64)
	planNow  float64 // s ahead that the planner has come
	setPoint float64
}

// NewEstimator makes an estimator for m; it panics where m does not pass Check.
func NewEstimator(m *Model) *Estimator {
	if err := m.Check(); err != nil {
		panic("dynamics: estimator: " + err.Error())
	}
	return newEstimator(m.compile())
}

func newEstimator(s *system) *Estimator {
	n := s.nx
	e := &Estimator{
		m: s.m, s: s, x: make([]float64, n), p: make([]float64, n*n), v: s.registers(), sv: make([]float64, s.start.regs), w: s.scratch(),
		before: make([]float64, n), gain: make([]float64, n), fx: make([]float64, n), fp: make([]float64, n*n),
		u: make([]float64, s.nu), held: make([]float64, s.nu), age: make([]float64, s.nu),
		now: make([]float64, len(s.drives)), last: make([]float64, len(s.drives)), half: make([]float64, len(s.drives)), dead: s.deadTime(),
	}
	e.past.init(e.dead, len(s.drives))
	e.setPoint = math.NaN()
	if s.m.Plan != nil {
		e.plan, e.planned = newPlanner(s.m), e.planDrives
	}
	e.Reset()
	return e
}

// deadTime is that of the document, s.
func (s *system) deadTime() float64 {
	if s.dead < 0 {
		return 0
	}
	return s.theta[s.dead]
}

// Reset forgets everything but the model.
func (e *Estimator) Reset() {
	e.started, e.unseen, e.refused = false, math.Inf(1), 0
	e.surprise, e.quiet = 1, 0
	for i := range e.age {
		e.u[i], e.age[i] = 0, math.Inf(1)
	}
	e.past.n = 0
	e.setPoint = math.NaN()
	if e.plan != nil {
		e.plan.forget()
	}
}

// delayLine keeps the drives of the last seconds, so that they act after the dead time. It holds
// at most delaySlots of them: at high rates those between are merged into the newest.
type delayLine struct {
	delay, grain float64 // s; grain is the finest spacing kept
	age          [delaySlots]float64
	d            []float64 // delaySlots × drives
	nd, n        int       // drives; entries used, entry 0 is the oldest
}

const delaySlots = 32

func (l *delayLine) init(delay float64, nd int) {
	l.delay, l.grain, l.nd, l.d = delay, delay/(delaySlots-4), nd, make([]float64, nd*delaySlots)
}

// push lets dt seconds pass and adds the drives that hold at their end. back is for how long
// before now drives will still be asked for.
func (l *delayLine) push(dt float64, d []float64, back float64) {
	for i := range l.n {
		l.age[i] += dt
	}
	drop := 0
	for drop+1 < l.n && l.age[drop+1] > l.delay+back {
		drop++
	}
	if drop > 0 {
		copy(l.age[:], l.age[drop:l.n])
		copy(l.d, l.d[drop*l.nd:l.n*l.nd])
		l.n -= drop
	}
	if l.n == delaySlots || l.n > 1 && l.age[l.n-2] < l.grain {
		l.n--
	}
	l.age[l.n] = 0
	copy(l.d[l.n*l.nd:(l.n+1)*l.nd], d)
	l.n++
}

// at gives the drives that act at an instant ahead seconds from now: those of the dead time before,
// between two entries in proportion.
func (l *delayLine) at(dst []float64, ahead float64) {
	age := l.delay - ahead
	i := l.n - 1
	for i > 0 && l.age[i] < age {
		i--
	}
	a := l.d[i*l.nd : (i+1)*l.nd]
	if i+1 >= l.n || l.age[i] <= age {
		copy(dst, a)
		return
	}
	b := l.d[(i+1)*l.nd : (i+2)*l.nd]
	w := (l.age[i] - age) / (l.age[i] - l.age[i+1])
	for k := range dst {
		dst[k] = a[k] + w*(b[k]-a[k])
	}
}

// between gives the mean drives from one instant to another, by two points of at; half is scratch.
func between(dst, half []float64, at func(d []float64, instant float64), from, to float64) {
	at(dst, from+0.25*(to-from))
	at(half, from+0.75*(to-from))
	for i, v := range half {
		dst[i] = 0.5 * (dst[i] + v)
	}
}

func resize(s []float64, n int) []float64 {
	if cap(s) < n {
		return make([]float64, n)
	}
	return s[:n]
}

// maxInput bounds what an input may be: beyond it a value is no measurement.
const maxInput = 1e9

// Step takes over inputs u (as Model.Inputs), lets dt seconds pass, fuses measurements z (as
// Model.Outputs) and fills dst. Inputs are taken to change evenly between steps. NaN is missing. A
// measurement should come once: one that repeats an old reading counts as new evidence.
//
// An input that is missing is held for 5 s; after that its default holds. Where it has none, or
// without a measurement for 30 s, the estimate is blind, and the next measurement is a new start. After 3 s of rejected measurements
// the filter believes them. Step does not allocate once dst has been used. u and z are not kept;
// wrong lengths panic.
func (e *Estimator) Step(dst *Estimate, dt float64, u, z []float64) {
	if len(u) != len(e.u) || len(z) != len(e.m.Outputs) {
		panic("dynamics: step: inputs or measurements do not match the model")
	}
	if !(dt >= 0) {
		dt = 0
	}
	if dt > maxGap {
		e.Reset()
		dt = 0
	}
	e.unseen += dt
	e.quiet += dt
	blind := false
	dst.Outside, dst.Missing = dst.Outside[:0], dst.Missing[:0]
	for i, v := range u {
		in := &e.m.Inputs[i]
		if finite(v) && math.Abs(v) <= maxInput {
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
	e.s.drive(e.now, e.v, e.u)
	e.past.push(dt, e.now, dt)
	if e.started {
		e.predict(dt)
	}
	copy(e.before, e.x)
	e.judged = e.started
	e.fuse(dst, dt, z)
	if e.plan != nil {
		e.plan.observe(dt, e.reading(), e.u, e.s.contact >= 0 && e.now[e.s.contact] > 0.5)
	}

	n := e.s.nx
	dst.X, dst.SD = resize(dst.X, n), resize(dst.SD, n)
	for i := range n {
		dst.X[i], dst.SD[i] = (e.x[i]-e.s.xOff[i])/e.s.xScale[i], math.Sqrt(e.p[i*n+i])/e.s.xScale[i]
		if !e.started {
			dst.X[i], dst.SD[i] = math.NaN(), math.Inf(1)
		}
	}
	for i := range e.m.Outputs {
		if out := &e.m.Outputs[i]; e.started && outside(dst.X[e.s.out[i]], out.Min, out.Max) {
			dst.Outside = append(dst.Outside, out.Name)
			break
		}
	}
	dst.Blind = blind || !e.started || e.unseen > blindAfter
}

func outside(v, lo, hi float64) bool {
	margin := rangeMargin * (hi - lo)
	return v < lo-margin || v > hi+margin
}

// predict lets the last dt seconds pass.
func (e *Estimator) predict(dt float64) {
	if dt == 0 {
		return
	}
	n := steps(dt)
	h := dt / float64(n)
	for k := range n {
		at := float64(k)*h - dt
		between(e.last, e.half, e.past.at, at, at+h)
		e.s.act(e.v, e.last)
		e.s.stepCov(e.w, e.v, e.x, e.p, h)
	}
	if !finite(e.x...) || !finite(e.p...) { // what the model makes of absurd inputs is no estimate
		e.started = false
	}
}

// fuse takes in the measurements one by one (scalar updates, as the innovations of uncorrelated
// sensors allow).
func (e *Estimator) fuse(dst *Estimate, dt float64, z []float64) {
	n := len(z)
	dst.Innov, dst.InnovSD, dst.Ratio = resize(dst.Innov, n), resize(dst.InnovSD, n), resize(dst.Ratio, n)
	if cap(dst.Rejected) < n {
		dst.Rejected = make([]bool, n)
	}
	dst.Rejected = dst.Rejected[:n]
	accepted, rejected := false, -1
	nx := e.s.nx
	for i, v := range z {
		dst.Innov[i], dst.InnovSD[i], dst.Ratio[i], dst.Rejected[i] = math.NaN(), math.NaN(), math.NaN(), false
		if !finite(v) || math.Abs(v) > maxInput {
			continue
		}
		o := e.s.out[i]
		scale := e.s.xScale[o]
		reading := v*scale + e.s.xOff[o]
		begins := !e.started || e.unseen > blindAfter && !accepted // after so long the reading knows better
		if begins {
			e.begin(reading)
		}
		sd := e.m.Outputs[i].SD * scale
		s := e.p[o*nx+o] + sd*sd
		innov := reading - e.x[o]
		dst.Innov[i], dst.InnovSD[i] = innov/scale, math.Sqrt(s)/scale
		dst.Ratio[i] = innov * innov / (s * gateSigma * gateSigma)
		if i == 0 && !begins && (dst.Ratio[i] <= 1 || e.refused > 0) { // one spike by itself says nothing
			e.wonder(innov * innov / s)
		}
		if !(dst.Ratio[i] <= 1) {
			// Not believed, but not ignored: it counts as if its noise were what makes it just
			// pass, so that a spike hardly moves the estimate and a hard start does.
			dst.Rejected[i] = true
			rejected = i
			update(e.p, e.x, nx, o, innov, innov*innov/(gateSigma*gateSigma), e.gain)
			continue
		}
		accepted = true
		update(e.p, e.x, nx, o, innov, s, e.gain)
	}
	switch {
	case accepted:
		e.unseen, e.refused = 0, 0
	case rejected >= 0:
		if e.refused += dt; e.refused > rejectFor { // the world has moved on, not the sensor
			e.believe(rejected, z[rejected])
			e.unseen, e.refused = 0, 0
		}
	}
}

// How long the filter remembers that it was surprised, and that it was not, s; and how far that goes.
const (
	startled    = 3.0
	reassured   = 30.0
	maxSurprise = 100.0
)

// wonder takes in the square of an innovation over its variance. What the filter expects is right on
// the whole, too wide while nothing happens and too narrow in a hard start: its late innovations tell
// which of these it is. It is startled faster than reassured.
func (e *Estimator) wonder(ratio float64) {
	memory := reassured
	if ratio > e.surprise {
		memory = startled
	}
	e.surprise -= math.Expm1(-e.quiet/memory) * (min(ratio, maxSurprise) - e.surprise)
	e.surprise = max(e.surprise, 1/maxSurprise)
	e.quiet = 0
}

// believe takes measurement i for true although it was rejected: the uncertainty grows until it
// is no surprise. What the filter knows of hidden states is kept.
func (e *Estimator) believe(i int, v float64) {
	nx, o := e.s.nx, e.s.out[i]
	innov := v*e.s.xScale[o] + e.s.xOff[o] - e.x[o]
	sd := e.m.Outputs[i].SD * e.s.xScale[o]
	grow := innov * innov / max(e.p[o*nx+o], sd*sd)
	for k := range e.p {
		e.p[k] *= grow
	}
	update(e.p, e.x, nx, o, innov, e.p[o*nx+o]+sd*sd, e.gain)
	for k := range nx {
		e.p[k*nx+k] = min(e.p[k*nx+k], 100*e.s.startVar[k]) + e.s.startVar[k]
		for j := range nx {
			if j != k {
				e.p[k*nx+j] = 0
			}
		}
	}
}

// begin sets the states to those of a first reading.
func (e *Estimator) begin(reading float64) {
	s := e.s
	s.begin(e.sv, s.theta, reading, e.x)
	clear(e.p)
	for i, v := range s.startVar {
		e.p[i*s.nx+i] = v
	}
	e.started = true
	e.surprise, e.quiet = 1, 0
}

// Forecast fills dst with what is expected at dst.Horizon if the inputs stay at u (nil: as they
// were at the last Step). Before the first measurement everything is NaN. It does not allocate
// once dst has been used.
func (e *Estimator) Forecast(dst *Forecast, u []float64) {
	copy(e.held, e.u)
	for i := range u {
		if finite(u[i]) && math.Abs(u[i]) <= maxInput {
			e.held[i] = u[i]
		}
	}
	if e.plan != nil && finite(e.setPoint) && e.started {
		e.forecastPlan(dst)
		return
	}
	e.s.drive(e.now, e.v, e.held)
	e.forecast(dst, e.heldDrives, Held, true)
}

// heldDrives gives the mean drives between two instants ahead with inputs as they are now.
func (e *Estimator) heldDrives(d []float64, from, to float64) {
	if from < e.past.delay {
		between(d, e.half, e.past.at, from, to)
	} else {
		copy(d, e.now)
	}
}

// SetPoint tells what the machine's own controller aims at, in the unit of the first output; 0 is off,
// NaN unknown. From then on Forecast follows the plan of the model, if it has one: path and feed stay
// as they are, speed and power move as the controller moves them. Without it all inputs are held.
func (e *Estimator) SetPoint(v float64) { e.setPoint = v }

// reading is the first output as it is estimated, in its unit.
func (e *Estimator) reading() float64 {
	o := e.s.out[0]
	return (e.x[o] - e.s.xOff[o]) / e.s.xScale[o]
}

// forecastPlan is Forecast by the plan.
func (e *Estimator) forecastPlan(dst *Forecast) {
	s := e.s
	s.drive(e.now, e.v, e.held)
	e.plan.start(e.held, e.reading())
	e.planNow = 0
	e.forecast(dst, e.planned, Planned, true)
}

// planDrives gives the drives between two instants ahead by the plan: those half-way.
func (e *Estimator) planDrives(d []float64, from, to float64) {
	ahead := (from + to) / 2
	if ahead <= e.dead {
		e.past.at(d, ahead)
		return
	}
	s := e.s
	o := s.out[0]
	at := ahead - e.dead
	e.plan.step(at-e.planNow, (e.fx[o]-s.xOff[o])/s.xScale[o], e.held, e.setPoint)
	e.planNow = at
	s.drive(d, e.v, e.plan.u)
}

// forecast runs ahead under the drives that at gives between two instants; without intervals those are
// NaN.
func (e *Estimator) forecast(dst *Forecast, at func(d []float64, from, to float64), way Way, intervals bool) {
	n := len(dst.Horizon)
	dst.Mean, dst.SD = resize(dst.Mean, n), resize(dst.SD, n)
	dst.Lower, dst.Upper = resize(dst.Lower, n), resize(dst.Upper, n)
	nan := math.NaN()
	for i := range n {
		dst.Mean[i], dst.SD[i], dst.Lower[i], dst.Upper[i] = nan, nan, nan, nan
	}
	if !e.started {
		return
	}
	s := e.s
	copy(e.fx, e.x)
	copy(e.fp, e.p)
	out := &e.m.Outputs[0]
	o, nx := s.out[0], s.nx
	scale, off := s.xScale[o], s.xOff[o]
	r := out.SD * scale
	now, leapt := 0.0, 0.0 // s ahead of the state, and of its covariance where that is further
	for i, horizon := range dst.Horizon {
		if horizon > now {
			k := steps(horizon - now)
			h := (horizon - now) / float64(k)
			for j := range k {
				from := now + float64(j)*h
				at(e.last, from, from+h)
				s.act(e.v, e.last)
				switch {
				case !intervals || from < leapt-h/2:
					s.step(e.w, e.v, e.fx, h)
				case from >= farAfter && horizon-from >= 1.5*h:
					s.leap(e.w, e.v, e.fx, e.fp, h)
					leapt = from + 2*h
				default:
					s.stepCov(e.w, e.v, e.fx, e.fp, h)
				}
			}
			now = horizon
		}
		if !finite(e.fx[o]) {
			return
		}
		dst.Mean[i] = (e.fx[o] - off) / scale
		if intervals {
			k := spread(e.m.Spread, horizon, way)
			half := sigma95 * math.Sqrt((e.fp[o*nx+o]+r*r)*math.Pow(e.surprise, k.Surprise)) / scale
			floor := min(dst.Mean[i], out.Min) - belowRange
			dst.Lower[i] = max(dst.Mean[i]-k.Lower*half, floor)
			dst.Upper[i] = dst.Mean[i] + k.Upper*half
			dst.SD[i] = (dst.Upper[i] - dst.Lower[i]) / (2 * sigma95)
		}
	}
}

// spread interpolates the factors at a horizon over the logarithm of time; 1 where none is known.
func spread(table []Spread, horizon float64, way Way) SideScale {
	value := func(s *Spread) SideScale {
		switch way {
		case Held:
			return s.Held
		case Planned:
			return s.Plan
		}
		return s.Known
	}
	if len(table) == 0 {
		return SideScale{1, 1, 0}
	}
	if horizon <= table[0].Horizon {
		return value(&table[0])
	}
	for i := 1; i < len(table); i++ {
		if a, b := &table[i-1], &table[i]; horizon <= b.Horizon {
			w := math.Log(horizon/a.Horizon) / math.Log(b.Horizon/a.Horizon)
			p, q := value(a), value(b)
			return SideScale{p.Lower + w*(q.Lower-p.Lower), p.Upper + w*(q.Upper-p.Upper), p.Surprise + w*(q.Surprise-p.Surprise)}
		}
	}
	return value(&table[len(table)-1])
}
