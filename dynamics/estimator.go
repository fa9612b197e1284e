package dynamics

import "math"

// How the filter steps and when it gives up.
const (
	maxStep     = 0.5  // s; the longest sub-step
	maxGap      = 60.0 // s; a longer dt is a new start
	holdFor     = 5.0  // s; an input that is missing keeps its last value this long
	blindAfter  = 30.0 // s without an accepted measurement
	gateSigma   = 5.0  // a measurement further out than this many SD is rejected
	rejectFor   = 3.0  // s of rejected measurements in a row after which the filter starts anew
	rangeMargin = 0.10 // share of the training range that counts as inside beyond its ends
)

// Estimate explains a frame. Slices are made by the Estimator on first use and then reused.
type Estimate struct {
	X, SD []float64 // by state, see StateTool and its neighbours

	// One entry per measurement (Model.Outputs), for the last Step. A missing measurement has
	// NaN in all of them and is not rejected.
	Innov    []float64 // measured less expected, °C
	InnovSD  []float64 // its standard deviation, °C
	Ratio    []float64 // (Innov/InnovSD)²/gate²: above 1 is rejected
	Rejected []bool

	Blind   bool     // no measurement for too long, none yet, or inputs gone: X is a guess
	Outside []string // inputs and outputs outside the training range
	Missing []string // inputs that are missing now, held or not
}

// Estimator is an extended Kalman filter over the states of a model: the tool temperature, the
// body behind it, the thermocouple's lagging reading and a slow disturbance. Measurements are
// fused one after another, each with its own gate. Not for use by several goroutines at once.
type Estimator struct {
	m  *Model
	eq *equation

	x       [stateCount]float64
	p       [stateCount][stateCount]float64
	started bool

	u, held []float64 // last good inputs; scratch of Forecast
	age     []float64 // s since each was good, +Inf if never
	drive   drive     // of u
	past    delayLine
	unseen  float64 // s since a measurement was accepted
	refused float64 // s of rejected measurements in a row
}

// NewEstimator makes an estimator for m; it panics where m does not pass Check.
func NewEstimator(m *Model) *Estimator {
	if err := m.Check(); err != nil {
		panic("dynamics: estimator: " + err.Error())
	}
	e := &Estimator{m: m, eq: m.compile(), u: make([]float64, len(m.Inputs)), held: make([]float64, len(m.Inputs)), age: make([]float64, len(m.Inputs))}
	e.past.init(m.DeadTime)
	e.Reset()
	return e
}

// Reset forgets everything but the model.
func (e *Estimator) Reset() {
	e.started, e.unseen, e.refused = false, math.Inf(1), 0
	for i := range e.age {
		e.u[i], e.age[i] = 0, math.Inf(1)
	}
	e.past.clear()
}

// delayLine keeps the drives of the last seconds, so that they act after the dead time. It holds
// at most delaySlots of them: at high rates those between are merged into the newest.
type delayLine struct {
	delay float64
	grain float64 // s; the finest spacing kept
	age   [delaySlots]float64
	d     [delaySlots]drive
	n     int // used; entry 0 is the oldest
}

const delaySlots = 32

func (l *delayLine) init(delay float64) { l.delay, l.grain = delay, delay/(delaySlots-2) }
func (l *delayLine) clear()             { l.n = 0 }

// advance lets dt seconds pass.
func (l *delayLine) advance(dt float64) {
	for i := range l.n {
		l.age[i] += dt
	}
	for l.n > 1 && l.age[1] > l.delay { // the entry after it has taken over
		copy(l.age[:], l.age[1:l.n])
		copy(l.d[:], l.d[1:l.n])
		l.n--
	}
}

// push adds the drive that holds from now on.
func (l *delayLine) push(d drive) {
	if l.n > 1 && l.age[l.n-1] == 0 || l.n == delaySlots || l.n > 1 && l.age[l.n-2] < l.grain {
		l.d[l.n-1] = d
		return
	}
	l.age[l.n], l.d[l.n] = 0, d
	l.n++
}

// at is the drive that acts at an instant ahead seconds from now.
func (l *delayLine) at(ahead float64) *drive {
	i := 0
	for i+1 < l.n && l.age[i+1]+ahead >= l.delay {
		i++
	}
	return &l.d[i]
}

func resize(s []float64, n int) []float64 {
	if cap(s) < n {
		return make([]float64, n)
	}
	return s[:n]
}

// Step lets dt seconds pass under the inputs held so far, takes over inputs u (as Model.Inputs),
// fuses measurements z (as Model.Outputs) and fills dst. NaN is missing. A measurement should come
// once: one that repeats an old reading counts as new evidence.
//
// An input that is missing is held for 5 s; after that, or without a measurement for 30 s, the
// estimate is blind, and the next measurement is a new start. After 3 s of rejected measurements
// the filter takes the measured value for the new truth. Step does not allocate once dst has been
// used. u and z are not kept; wrong lengths panic.
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
	if e.started {
		e.predict(dt)
	}
	e.unseen += dt

	blind := false
	dst.Outside, dst.Missing = dst.Outside[:0], dst.Missing[:0]
	for i, v := range u {
		in := &e.m.Inputs[i]
		if finite(v) {
			e.u[i], e.age[i] = v, 0
		} else {
			e.age[i] += dt
			dst.Missing = append(dst.Missing, in.Name)
		}
		blind = blind || e.age[i] > holdFor
		if e.age[i] <= holdFor && outside(e.u[i], in.Min, in.Max) {
			dst.Outside = append(dst.Outside, in.Name)
		}
	}
	e.drive = e.eq.drive(e.u)
	e.past.push(e.drive)

	e.fuse(dst, dt, z)

	dst.X, dst.SD = resize(dst.X, stateCount), resize(dst.SD, stateCount)
	for i := range stateCount {
		dst.X[i], dst.SD[i] = e.x[i], math.Sqrt(e.p[i][i])
		if !e.started {
			dst.X[i], dst.SD[i] = math.NaN(), math.Inf(1)
		}
	}
	for i := range e.m.Outputs {
		if out := &e.m.Outputs[i]; e.started && outside(e.x[StateTool], out.Min, out.Max) {
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

// fuse takes in the measurements one by one (scalar updates, as the innovations of uncorrelated
// sensors allow).
func (e *Estimator) fuse(dst *Estimate, dt float64, z []float64) {
	n := len(z)
	dst.Innov, dst.InnovSD, dst.Ratio = resize(dst.Innov, n), resize(dst.InnovSD, n), resize(dst.Ratio, n)
	if cap(dst.Rejected) < n {
		dst.Rejected = make([]bool, n)
	}
	dst.Rejected = dst.Rejected[:n]
	accepted, rejected := false, false
	restart := math.NaN()
	for i, v := range z {
		dst.Innov[i], dst.InnovSD[i], dst.Ratio[i], dst.Rejected[i] = math.NaN(), math.NaN(), math.NaN(), false
		if !finite(v) {
			continue
		}
		if !e.started || e.unseen > blindAfter && !accepted { // after so long the reading knows better
			e.start(v)
		}
		sd := e.m.Outputs[i].SD
		r := sd * sd
		s := e.p[StateReading][StateReading] + r
		innov := v - e.x[StateReading]
		dst.Innov[i], dst.InnovSD[i] = innov, math.Sqrt(s)
		dst.Ratio[i] = innov * innov / (s * gateSigma * gateSigma)
		if !(dst.Ratio[i] <= 1) {
			dst.Rejected[i] = true
			rejected = true
			restart = v
			continue
		}
		accepted = true
		e.update(innov, s)
	}
	switch {
	case accepted:
		e.unseen, e.refused = 0, 0
	case rejected:
		e.refused += dt
		if e.refused > rejectFor { // the world has moved on, not the sensor: believe it
			e.start(restart)
			e.unseen, e.refused = 0, 0
		}
	}
}

// start sets the state to a first reading v, °C, with what little is known about the rest.
func (e *Estimator) start(v float64) {
	e.x = [stateCount]float64{StateTool: v, StateBody: v, StateReading: v}
	e.p = [stateCount][stateCount]float64{}
	e.p[StateTool][StateTool] = 25
	e.p[StateBody][StateBody] = 400
	e.p[StateReading][StateReading] = 1
	e.p[StateDisturbance][StateDisturbance] = 0.25
	e.started = true
}

// update is the scalar Kalman update for a measurement of the reading with innovation innov and
// innovation variance s.
func (e *Estimator) update(innov, s float64) {
	var k, row [stateCount]float64
	for i := range stateCount {
		k[i] = e.p[i][StateReading] / s
		row[i] = e.p[StateReading][i]
	}
	for i := range stateCount {
		e.x[i] += k[i] * innov
		for j := range stateCount {
			e.p[i][j] -= k[i] * row[j]
		}
	}
	for i := range stateCount { // keep it symmetric and positive in spite of rounding
		for j := range i {
			v := (e.p[i][j] + e.p[j][i]) / 2
			e.p[i][j], e.p[j][i] = v, v
		}
		e.p[i][i] = max(e.p[i][i], 1e-12)
	}
}

// predict lets dt seconds pass.
func (e *Estimator) predict(dt float64) {
	for dt > 0 {
		h := min(dt, maxStep)
		e.advance(h, e.past.at(h/2))
		e.past.advance(h)
		dt -= h
	}
}

// advance moves state and covariance by h ≤ maxStep seconds under drive d.
func (e *Estimator) advance(h float64, d *drive) {
	propagate(&e.x, &e.p, e.m, e.eq, h, d)
}

// propagate is one step of h seconds: Heun's rule for the tool, exact relaxation for body,
// reading and disturbance towards the mean of the step; the covariance follows the Jacobian of
// just that, p = Φ·p·Φᵀ + Q·h. With p nil only x moves.
func propagate(x *[stateCount]float64, p *[stateCount][stateCount]float64, m *Model, eq *equation, h float64, d *drive) {
	t, body, dist := x[StateTool], x[StateBody], x[StateDisturbance]
	k1 := eq.rate(d, t, body)
	k1 += dist
	k2 := eq.rate(d, t+h*k1, body)
	k2 += dist
	t1 := t + h/2*(k1+k2)
	mean := (t + t1) / 2
	aBody := h / (eq.p[pBody] + h/2)
	aRead := 1.0
	if m.SensorLag > 0 {
		aRead = -math.Expm1(-h / m.SensorLag)
	}
	keep := math.Exp(-h / eq.p[pMemory])
	x[StateTool] = t1
	x[StateBody] = body + aBody*(mean-body)
	if m.SensorLag > 0 {
		x[StateReading] += aRead * (mean - x[StateReading])
	} else {
		x[StateReading] = t1
	}
	x[StateDisturbance] = dist * keep
	if p == nil {
		return
	}

	// Slopes of the rate, by differences: it is all but linear in both.
	const step = 0.1 // K
	kt := eq.rate(d, t+step, body)
	ft := (kt + dist - k1) / step
	fb := -eq.coef[lossBody]
	tt := 1 + h*ft*(1+h*ft/2)
	tb := h * fb * (1 + h*ft/2)
	td := h * (1 + h*ft/2)
	var phi [stateCount][stateCount]float64
	phi[StateTool] = [stateCount]float64{tt, tb, 0, td}
	phi[StateBody] = [stateCount]float64{aBody * (1 + tt) / 2, 1 - aBody + aBody*tb/2, 0, aBody * td / 2}
	if m.SensorLag > 0 {
		phi[StateReading] = [stateCount]float64{aRead * (1 + tt) / 2, aRead * tb / 2, 1 - aRead, aRead * td / 2}
	} else {
		phi[StateReading] = phi[StateTool]
	}
	phi[StateDisturbance][StateDisturbance] = keep

	var a [stateCount][stateCount]float64
	for i := range stateCount {
		for j := range stateCount {
			a[i][j] = phi[i][0]*p[0][j] + phi[i][1]*p[1][j] + phi[i][2]*p[2][j] + phi[i][3]*p[3][j]
		}
	}
	for i := range stateCount {
		for j := range i + 1 {
			v := a[i][0]*phi[j][0] + a[i][1]*phi[j][1] + a[i][2]*phi[j][2] + a[i][3]*phi[j][3]
			p[i][j], p[j][i] = v, v
		}
	}
	share := m.Noise.Rate * k1
	q := (m.Noise.Tool*m.Noise.Tool + share*share) * h
	p[StateTool][StateTool] += q
	if m.SensorLag <= 0 {
		p[StateReading][StateReading] += q
		p[StateReading][StateTool] += q
		p[StateTool][StateReading] += q
	}
	p[StateBody][StateBody] += bodyNoise * bodyNoise * h
	p[StateDisturbance][StateDisturbance] += m.Noise.Disturbance * m.Noise.Disturbance * h
}

// bodyNoise is the random walk assumed for the body, K/√s: it has no sensor to learn it from.
const bodyNoise = 0.1

// Forecast is the reading expected at each horizon. Set Horizon (s, rising) before use; the rest
// (°C) is made by the Estimator and reused. All are NaN before the first measurement.
type Forecast struct {
	Horizon      []float64
	Mean         []float64
	Lower, Upper []float64 // 95 % interval
	SD           []float64 // (Upper − Lower)/(2·1.96)
}

// belowAmbient is how far below the model's ambient temperature an interval may reach, K.
const belowAmbient = 10.0

// sigma95 is half the width of a normal 95 % interval in standard deviations.
const sigma95 = 1.96

// Horizons are those that the project forecasts and scores, s.
var Horizons = []float64{1, 5, 10, 30, 60}

// Forecast fills dst for inputs u (as Model.Inputs) held from now on; NaN takes the last known
// value, and nil takes all of them. It changes nothing that Step relies on and does not allocate
// once dst has been used.
func (e *Estimator) Forecast(dst *Forecast, u []float64) {
	copy(e.held, e.u)
	for i, v := range u {
		if finite(v) {
			e.held[i] = v
		}
	}
	d := e.eq.drive(e.held)
	e.forecast(dst, func(ahead float64) *drive {
		if ahead < e.past.delay {
			return e.past.at(ahead)
		}
		return &d
	}, Held, true)
}

// forecast runs ahead under the drive that acts at each instant; without intervals those are NaN.
func (e *Estimator) forecast(dst *Forecast, at func(ahead float64) *drive, way Way, intervals bool) {
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
	x, cov := e.x, e.p
	p := &cov
	if !intervals {
		p = nil
	}
	r := e.m.Outputs[0].SD
	now := 0.0
	for i, horizon := range dst.Horizon {
		for now < horizon {
			h := min(maxStep, horizon-now)
			propagate(&x, p, e.m, e.eq, h, at(now+h/2))
			now += h
		}
		dst.Mean[i] = x[StateReading]
		if intervals {
			half := sigma95 * math.Sqrt(cov[StateReading][StateReading]+r*r)
			k := spread(e.m.Noise.Spread, horizon, way)
			floor := min(x[StateReading], e.eq.p[pAmbient]) - belowAmbient // nothing cools further
			dst.Lower[i] = max(x[StateReading]-k.Lower*half, floor)
			dst.Upper[i] = x[StateReading] + k.Upper*half
			dst.SD[i] = (dst.Upper[i] - dst.Lower[i]) / (2 * sigma95)
		}
	}
}

// spread interpolates the factors at a horizon over the logarithm of time; 1 where none is known.
func spread(table []Spread, horizon float64, way Way) SideScale {
	value := func(s *Spread) SideScale {
		if way == Held {
			return s.Held
		}
		return s.Known
	}
	if len(table) == 0 {
		return SideScale{1, 1}
	}
	if horizon <= table[0].Horizon {
		return value(&table[0])
	}
	for i := 1; i < len(table); i++ {
		if a, b := &table[i-1], &table[i]; horizon <= b.Horizon {
			w := math.Log(horizon/a.Horizon) / math.Log(b.Horizon/a.Horizon)
			p, q := value(a), value(b)
			return SideScale{p.Lower + w*(q.Lower-p.Lower), p.Upper + w*(q.Upper-p.Upper)}
		}
	}
	return value(&table[len(table)-1])
}
