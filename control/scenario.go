package control

import (
	"math"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
)

// Setting is what might be set from now on. The zero value of a factor leaves a velocity as it is expected to be.
type Setting struct {
	SetPoint   float64 // °C of the machine's own controller; NaN: as it is, or as the program says
	Path, Feed float64 // factors of the velocities of traverse and feed
}

// asItIs changes nothing.
var asItIs = Setting{SetPoint: math.NaN()}

// same tells whether two settings are the same: a set-point that stays as it is is NaN in both.
func (s Setting) same(t Setting) bool {
	return s.Path == t.Path && s.Feed == t.Feed && (s.SetPoint == t.SetPoint || math.IsNaN(s.SetPoint) && math.IsNaN(t.SetPoint))
}

// Outcome is what is expected under a setting, by horizon.
type Outcome struct {
	Horizon     []float64 // s
	Temperature []float64 // °C
	Speed       []float64 // rpm
	Power       []float64 // W
}

// copy takes over what another one says.
func (o *Outcome) copy(from *Outcome) {
	o.Horizon = from.Horizon
	o.Temperature, o.Speed, o.Power = append(o.Temperature[:0], from.Temperature...), append(o.Speed[:0], from.Speed...), append(o.Power[:0], from.Power...)
}

// at is the place of the horizon next to so many s.
func (o *Outcome) at(seconds float64) (place int) {
	for i, h := range o.Horizon {
		if math.Abs(h-seconds) < math.Abs(o.Horizon[place]-seconds) {
			place = i
		}
	}
	return place
}

// later is the mean speed of the second half of the horizons, by which a swing of the path has been averaged.
func (o *Outcome) later() (rpm float64) {
	n := len(o.Horizon)
	for _, v := range o.Speed[n/2:] {
		rpm += v / float64(n-n/2)
	}
	return rpm
}

// torque is that of the spindle at a horizon, N·m; NaN where it stands.
func (o *Outcome) torque(place int) float64 {
	if o.Speed[place] < 1 {
		return math.NaN()
	}
	return o.Power[place] / (o.Speed[place] * 2 * math.Pi / 60)
}

// Ask fills dst with what is expected under a setting; false: nobody can tell. It does not allocate once dst has been used.
type Ask func(dst *Outcome, s Setting) bool

// minute are the horizons of an [Outcome], s.
var minute = []float64{5, 10, 20, 30, 40, 50, 60}

// Scenarios ask an estimator what would come under settings, with the machine's own controller and its limits in it, and
// with what the program says.
type Scenarios struct {
	e              *filter.Estimator
	output         int
	expected       func() filter.Scenario
	follows        float64
	path, feed, up int
	acts           []bool // by input: the model says what it does

	is       filter.Scenario // what is expected
	set      Setting
	f        filter.Forecast
	inputs   func(u []float64, ahead float64)
	setPoint func(float64) float64
}

// NewScenarios asks e, an estimator of m, whose output is the tool temperature; expected is what is expected to come.
// Nil where m has no plan: then nobody knows what the machine's own controller will do.
func NewScenarios(m *model.Model, e *filter.Estimator, expected func() filter.Scenario) *Scenarios {
	if m.Plan == nil || m.OutputIndex(model.ToolTemperature) < 0 {
		return nil
	}
	s := &Scenarios{e: e, output: m.OutputIndex(model.ToolTemperature), expected: expected, follows: Hidden(m, model.SpindleSpeed),
		path: m.InputIndex(model.PathVelocity), feed: m.InputIndex(model.FeedVelocity), up: m.InputIndex(model.ZVelocity)}
	s.f.Horizon = minute
	for i := range m.Inputs {
		s.acts = append(s.acts, m.AnswersTo(m.Inputs[i].Name))
	}
	s.inputs, s.setPoint = s.scaled, s.aim
	return s
}

// Ask is an [Ask].
func (s *Scenarios) Ask(dst *Outcome, set Setting) bool {
	s.set, s.is = set, s.expected()
	sc := s.is
	sc.Way, sc.Follows, sc.SetPoint = filter.Planned, s.follows, s.setPoint
	if set.Path != 0 || set.Feed != 0 {
		sc.Inputs = s.inputs
	}
	s.e.AheadMean(&s.f, sc)
	if len(s.f.Speed) != len(minute) || math.IsNaN(s.f.Outputs[s.output].Mean[len(minute)-1]) {
		return false
	}
	dst.Horizon = minute
	dst.Temperature = append(dst.Temperature[:0], s.f.Outputs[s.output].Mean...)
	dst.Speed, dst.Power = append(dst.Speed[:0], s.f.Speed...), append(dst.Power[:0], s.f.Power...)
	return true
}

// aim is the set-point ahead.
func (s *Scenarios) aim(ahead float64) float64 {
	v := math.NaN()
	if s.is.SetPoint != nil {
		v = s.is.SetPoint(ahead)
	}
	if !math.IsNaN(s.set.SetPoint) && v > 0 { // off stays off
		return s.set.SetPoint
	}
	return v
}

// scaled are the inputs ahead.
func (s *Scenarios) scaled(u []float64, ahead float64) {
	if s.is.Inputs != nil {
		s.is.Inputs(u, ahead)
	} else if s.up >= 0 && ahead > filter.Momentary {
		u[s.up] = 0
	}
	if s.path >= 0 && s.set.Path != 0 {
		u[s.path] *= s.set.Path
	}
	if s.feed >= 0 && s.set.Feed != 0 {
		u[s.feed] *= s.set.Feed
	}
}

// Velocity is one of the machine that might be set otherwise, mm/min.
type Velocity struct {
	Now      float64 // NaN or 0: unknown, or it rests
	Min, Max float64 // between which the model has learned
	Acts     bool    // the model says what it does
}

// Velocities are those that the model takes in.
func (s *Scenarios) Velocities(m *model.Model) (path, feed Velocity) {
	of := func(i int) Velocity {
		if i < 0 {
			return Velocity{Now: math.NaN()}
		}
		return Velocity{s.e.Inputs()[i], m.Inputs[i].Min, m.Inputs[i].Max, s.acts[i]}
	}
	return of(s.path), of(s.feed)
}

// Expectation is what is expected of tool temperature (°C) and spindle speed (rpm) at one horizon, with intervals of 95 %.
// NaN is unknown.
type Expectation struct {
	Temperature, Lower, Upper     float64
	Speed, SpeedLower, SpeedUpper float64
}

// Course are expectations by horizon: those of [Horizons].
type Course [7]Expectation

// Horizons are those of a [Course], s.
func Horizons() []float64 { return minute }

// unknown is a course of which nothing is known.
var unknown = func() (c Course) {
	nan := math.NaN()
	for i := range c {
		c[i] = Expectation{nan, nan, nan, nan, nan, nan}
	}
	return c
}()

// Last is the expectation at the end of the minute.
func (c *Course) Last() *Expectation { return &c[len(c)-1] }

// effectDoubt is the share by which the effect of a setting may be other than the model says.
const effectDoubt = 0.5

// expect fills c with what is expected under a setting: the live forecast of the temperature, moved by what the setting does, and the
// speed as far as it has been foretold well of late.
func (r *Recommender) expect(c *Course, s *Situation, would *Outcome) {
	for i, h := range minute {
		mean, lower, upper := s.live(h)
		moves := would.Temperature[i] - r.is.Temperature[i]
		doubt := effectDoubt * moves
		x := &c[i]
		x.Temperature = mean + moves
		x.Lower, x.Upper = x.Temperature-math.Hypot(mean-lower, doubt), x.Temperature+math.Hypot(upper-mean, doubt)
		x.Speed = would.Speed[i]
		half := 2 * math.Hypot(r.speeds.sd(h), effectDoubt*(would.Speed[i]-r.is.Speed[i]))
		x.SpeedLower, x.SpeedUpper = max(0, x.Speed-half), x.Speed+half
		if known(r.o.SpindleMax) {
			x.SpeedUpper = max(x.Speed, min(x.SpeedUpper, r.o.SpindleMax))
		}
		if known(r.o.SpindleMin) {
			x.SpeedLower = min(x.Speed, max(x.SpeedLower, r.o.SpindleMin))
		}
	}
}

// live is the forecast at so many s, on straight lines between its horizons; beyond them it is that of the last.
func (s *Situation) live(h float64) (mean, lower, upper float64) {
	x, at := s.expected(), s.Forecast.Horizon
	i := 0
	for i < len(at)-1 && at[i] < h {
		i++
	}
	if i == 0 || at[i] <= h {
		return x.Mean[i], x.Lower[i], x.Upper[i]
	}
	w := (h - at[i-1]) / (at[i] - at[i-1])
	between := func(v []float64) float64 { return v[i-1] + w*(v[i]-v[i-1]) }
	return between(x.Mean), between(x.Lower), between(x.Upper)
}

// hindsight is how far forecasts of the spindle's speed have failed of late, by horizon.
type hindsight struct {
	said   [64][len(judged)]float64 // by second
	next   int
	count  int
	square [len(judged)]float64
	seen   [len(judged)]float64
}

// judged are the horizons at which the speed is judged, s.
var judged = [...]float64{10, 30, 60}

// Before anything has come true a forecast of the speed counts as having failed by speedPrior (rpm) in 60 s, once.
const (
	speedPrior  = 30.0
	speedMemory = 300.0 // s
)

// step takes in, once a second, the speed and what is foretold.
func (m *hindsight) step(speed float64, o *Outcome) {
	for i, h := range judged {
		if ago := int(h); m.count >= ago {
			off := speed - m.said[(m.next-ago+len(m.said))%len(m.said)][i]
			if m.seen[i] = min(m.seen[i]+1, speedMemory); !math.IsNaN(off) {
				m.square[i] += (off*off - m.square[i]) / m.seen[i]
			}
		}
		m.said[m.next][i] = o.Speed[o.at(h)]
	}
	m.next, m.count = (m.next+1)%len(m.said), min(m.count+1, len(m.said))
}

// forget forgets what was foretold, but not how well.
func (m *hindsight) forget() { m.count = 0 }

// sd is the standard deviation of a forecast of the speed at so many s, rpm.
func (m *hindsight) sd(h float64) float64 {
	of := func(i int) float64 {
		prior := speedPrior * math.Sqrt(judged[i]/60)
		windows := m.seen[i] / judged[i] // independent ones
		return math.Sqrt((prior*prior + windows*m.square[i]) / (1 + windows))
	}
	last := len(judged) - 1
	if h <= judged[0] {
		return of(0) * math.Sqrt(h/judged[0])
	}
	for i := 1; i <= last; i++ {
		if h <= judged[i] {
			return of(i-1) + (of(i)-of(i-1))*(h-judged[i-1])/(judged[i]-judged[i-1])
		}
	}
	return of(last)
}
