package agent

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/program"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// signal is a channel that is found by its role, with its values in the unit that its reader needs.
type signal struct {
	name  string
	id    sensors.ChannelID
	unit  unit.Map // from the channel's unit
	known bool     // a channel has the role
}

// signalFor finds the channel of a role and how to convert it to the unit named.
func signalFor(reg *sensors.Registry, role sensors.Role, unitName string) (signal, error) {
	s := signal{name: string(role)}
	u, err := unit.Parse(unitName)
	if err != nil {
		return s, err
	}
	if s.id, s.known = reg.Find(role); !s.known {
		return s, nil
	}
	c := reg.Channel(s.id)
	if s.unit, err = unit.Between(c.Unit, u); err != nil {
		return s, fmt.Errorf("channel %q as %s: %w", c.Name, role, err)
	}
	return s, nil
}

// aim is a set-point of the tool temperature: the goal of a loop of our own that commands, else what the machine's own controller holds.
type aim struct {
	signal
	led float64 // goal of that loop, in the signal's unit; 0: none commands
}

// value is the set-point in the frame, NaN where it is not known.
func (a *aim) value(f *sensors.Frame) float64 {
	if a.led != 0 {
		return a.led
	}
	return a.signal.value(f)
}

// wanted is a request to find the channel of a role and convert it to a unit.
type wanted struct {
	to   *signal
	role sensors.Role
	unit string
}

// findSignals is [signalFor] for several.
func findSignals(reg *sensors.Registry, all ...wanted) (err error) {
	for _, w := range all {
		if *w.to, err = signalFor(reg, w.role, w.unit); err != nil {
			return err
		}
	}
	return nil
}

// value is the present good value, NaN if there is none.
func (s *signal) value(f *sensors.Frame) float64 {
	if !s.known || !f.Status[s.id].IsGood() {
		return math.NaN()
	}
	return s.unit.Apply(f.Value[s.id])
}

// fresh is the present good value if its sample came since the frame before, else NaN: one sample
// must not be fused twice.
func (s *signal) fresh(f *sensors.Frame) float64 {
	if !s.known || !f.Fresh[s.id] {
		return math.NaN()
	}
	return s.value(f)
}

// estimator feeds frames to a model's filter.
type estimator struct {
	model     *model.Model
	filter    *filter.Estimator
	in, out   []signal
	pressed   int             // place of contact among the inputs, −1 where it is none
	setPoint  aim             // the forecast follows what the machine's own controller will do about it
	aim       float64         // its present value, NaN where it is not known
	commanded float64         // rpm that a loop commands the spindle to, NaN while the machine's own controller turns it
	scenario  filter.Scenario // what is expected to come: the machine's controller acts, path and feed stay or
	guide     *program.Guide  // are what the machine's program says
	u, z      []float64
	estimate  filter.Estimate
	live      *filter.Forecaster
	forecast  filter.Forecast
	celsius   unit.Map             // to the unit of the leading output, where that is a temperature
	tool      int                  // place of the tool temperature among the outputs, −1 where it is none
	why       []filter.Attribution // by output: of the change that is forecast
	whyAt     int                  // the place of its horizon
	causes    record.Parts         // scratch
	blame     []filter.Attribution // by output: of the last innovation, until it is recorded
	blamed    bool
	tags      []string      // of the forecast's horizons
	told      []innovation  // by output: the last one, until it is recorded
	old       time.Duration // since the forecast was made
	whyOld    time.Duration // and since it was split
}

// innovation is one measurement less its prediction, with what the gate made of it.
type innovation struct {
	value, sd, ratio float64
	rejected, is     bool
}

// horizons at which the temperature is forecast and recorded, s.
var horizons = []float64{1, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600}

// newEstimator finds a channel for each input and output of the model; an input with a default needs
// none. It fails if one has no channel or a channel's unit cannot be converted. The forecast reaches as far as horizon says.
func newEstimator(m *model.Model, reg *sensors.Registry, horizon time.Duration) (*estimator, error) {
	e := &estimator{
		model: m, filter: filter.New(m),
		u: make([]float64, len(m.Inputs)), z: make([]float64, len(m.Outputs)),
		told: make([]innovation, len(m.Outputs)),
		aim:  math.NaN(), commanded: math.NaN(), pressed: m.InputIndex(model.Contact), tool: m.OutputIndex(model.ToolTemperature),
	}
	e.guide = program.NewGuide(m)
	e.scenario = filter.Scenario{Way: filter.Planned,
		SetPoint: func(ahead float64) float64 { return e.guide.SetPoint(ahead, e.aim) },
		Speed: func(ahead float64) float64 {
			if !math.IsNaN(e.commanded) {
				return e.commanded
			}
			return e.guide.Speed(ahead)
		}}
	e.filter.Knows(e.guide.Inputs)
	need := func(name, unitName string, must bool) (signal, error) {
		s, err := signalFor(reg, sensors.Role(name), unitName)
		if err == nil && !s.known && must {
			err = fmt.Errorf("the model needs %s in %s: no channel says `is: %s`", name, unitName, name)
		}
		return s, err
	}
	for _, in := range m.Inputs {
		s, err := need(in.Name, in.Unit, in.Default == nil)
		if err != nil {
			return nil, err
		}
		e.in = append(e.in, s)
	}
	for _, out := range m.Outputs {
		s, err := need(out.Name, out.Unit, true)
		if err != nil {
			return nil, err
		}
		e.out = append(e.out, s)
	}
	// In another spindle mode than tool temperature the set-point is a torque or a force: then the
	// inputs are held.
	if id, ok := reg.Find(sensors.SetPoint); ok && isTemperature(reg.Channel(id)) {
		s, err := signalFor(reg, sensors.SetPoint, m.Outputs[m.LeadingIndex()].Unit)
		if err != nil {
			return nil, err
		}
		e.setPoint.signal = s
	}
	for i, h := range horizons {
		if i == 0 || h <= horizon.Seconds() {
			e.forecast.Horizon = append(e.forecast.Horizon, h)
			e.tags = append(e.tags, strconv.Itoa(int(h))+"s")
			if h <= whyAhead {
				e.whyAt = len(e.tags) - 1
			}
		}
	}
	var err error
	if leads := unit.MustParse(m.Outputs[m.LeadingIndex()].Unit); leads.Dim == celsius.Dim {
		if e.celsius, err = unit.Between(celsius, leads); err != nil {
			return nil, err
		}
	}
	e.live = filter.NewForecaster(e.filter, e.forecast.Horizon, true)
	return e, nil
}

// isTemperature reports whether a channel measures a temperature.
func isTemperature(c *sensors.Channel) bool { return c.Unit.Dim == unit.Temperature }

// whyAhead is how far ahead the forecast is that is explained, s; a shorter one where none reaches so far.
const whyAhead = 30.0

// forecastAge is how old a forecast may grow while nothing is measured.
const forecastAge = time.Second

// step predicts over dt, fuses what is new in the frame, and renews the forecast. contact says whether the
// tool presses on the build, NaN where nothing tells. It does not allocate.
func (e *estimator) step(dt time.Duration, f *sensors.Frame, contact float64) {
	for i := range e.in {
		e.u[i] = e.in[i].value(f)
	}
	if e.pressed >= 0 {
		e.u[e.pressed] = contact
	}
	fresh := false
	for i := range e.out {
		e.z[i] = e.out[i].fresh(f)
		fresh = fresh || !math.IsNaN(e.z[i])
	}
	e.filter.Step(&e.estimate, dt.Seconds(), e.u, e.z)
	e.live.Step(dt.Seconds(), e.z, &e.estimate)
	if fresh {
		e.blame = e.filter.AttributeInnovation(e.blame)
		e.blamed = true
	}
	for i, v := range e.estimate.Innov {
		if !math.IsNaN(v) {
			e.told[i] = innovation{v, e.estimate.InnovSD[i], e.estimate.Ratio[i], e.estimate.Rejected[i], true}
		}
	}
	e.aim = e.setPoint.value(f)
	// Between two measurements a forecast tells little new, and costs ten times what the rest does.
	if e.old += dt; fresh || e.old >= forecastAge || len(e.forecast.Outputs) == 0 {
		e.live.Ahead(&e.forecast, e.expected())
		e.old = 0
	}
	if e.whyOld += dt; e.whyOld >= forecastAge || len(e.why) == 0 { // people read it: once a second will do
		e.why = e.live.Explain(e.why, &e.forecast, e.whyAt, e.expected())
		e.whyOld = 0
	}
}

// follow takes over the program that is followed.
func (e *estimator) follow(p *programs) {
	if p != nil {
		e.guide.Tracker = p.tracker
	}
}

// expected is what is expected to come: by the program where one is followed, else what is now goes on.
func (e *estimator) expected() filter.Scenario {
	e.guide.Look(int(e.forecast.Horizon[len(e.forecast.Horizon)-1]) + 1)
	return e.guide.Told(e.scenario)
}

// lead takes over what a loop leads the tool temperature to, °C; 0: none does.
func (e *estimator) lead(led float64) {
	if e.setPoint.led = 0; led != 0 && e.tool == e.model.LeadingIndex() {
		e.setPoint.led = e.celsius.Apply(led)
	}
}

// record writes the present estimate and forecast.
func (e *estimator) record(j *journal.Journal, t int64) {
	for i := range e.model.States {
		journal.Write(j, record.Estimate{Time: t, State: e.model.States[i].Name, Value: e.estimate.X[i], SD: e.estimate.SD[i]})
	}
	for i := range e.told {
		in := &e.told[i]
		if !in.is {
			continue // nothing new was measured
		}
		in.is = false
		journal.Write(j, record.Innovation{Time: t, Output: e.model.Outputs[i].Name,
			Innovation: in.value, InnovationSD: in.sd, Ratio: in.ratio, Rejected: in.rejected})
	}
	for o := range e.forecast.Outputs {
		x, output := &e.forecast.Outputs[o], e.model.Outputs[o].Name
		for i, h := range e.forecast.Horizon {
			if math.IsNaN(x.Mean[i]) {
				continue // nothing measured yet
			}
			row := record.Forecast{Time: t + int64(h*1e9), State: output, Horizon: e.tags[i],
				Value: x.Mean[i], SD: x.SD[i], Lower: x.Lower[i], Upper: x.Upper[i], Made: t, Condition: e.forecast.Condition(), Stopped: math.NaN(), StoppedLower: math.NaN(), StoppedUpper: math.NaN()}
			by := &x.By[i]
			best := by.Best()
			row.By, row.Weight, row.RMSE, row.Doubt = best.String(), by.Weight[best], by.RMSE[best], by.Doubt.Text()
			if s := &x.Stopped; len(s.Mean) > 0 {
				row.Stopped, row.StoppedLower, row.StoppedUpper = s.Mean[i], s.Lower[i], s.Upper[i]
			}
			journal.Write(j, row)
		}
	}
	for o := range e.why {
		why := &e.why[o]
		row := record.Attribution{Time: t, Of: "forecast", Horizon: e.tags[e.whyAt], Output: e.model.Outputs[o].Name, Total: why.Total}
		recordParts(j, row, record.Parts{Name: why.Term, Value: why.Part})
		e.causes.Name, e.causes.Value = e.causes.Name[:0], e.causes.Value[:0]
		for i := range why.Cause {
			e.causes.Name, e.causes.Value = append(e.causes.Name, why.Cause[i].Name), append(e.causes.Value, why.Cause[i].Share)
		}
		row.Of = "cause"
		recordParts(j, row, e.causes)
	}
	for o := range e.blame {
		if e.blamed {
			b := &e.blame[o]
			recordParts(j, record.Attribution{Time: t, Of: "innovation", Output: e.model.Outputs[o].Name, Total: b.Total}, record.Parts{Name: b.Term, Value: b.Part})
		}
	}
	e.blamed = false
}

// recordParts writes row with its parts, where there is a total.
func recordParts(j *journal.Journal, row record.Attribution, parts record.Parts) {
	if math.IsNaN(row.Total) {
		return
	}
	row.Parts = parts
	journal.Write(j, row)
}
