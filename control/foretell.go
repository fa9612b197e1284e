package control

import (
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/sensors/unit"
)

// Use says how a model's forecasts serve a loop.
type Use struct {
	Output     string    // name of the model's output
	OutputUnit unit.Unit // of the loop's output
	Moves      string    // input of the model that the target is; "": the set-point of the machine's own controller
	TargetUnit unit.Unit // of the target
}

// through asks an estimator.
type through struct {
	e         *filter.Estimator
	now       *filter.Estimate
	output    int
	toLoop    unit.Map // the model's output as the loop's
	toModel   unit.Map // the target as the model's input, or as its set-point
	sc        filter.Scenario
	f         filter.Forecast
	course    func(ahead float64) float64
	input     int
	up        int // place of the vertical velocity among the inputs, −1 where there is none
	needsPlan bool
}

// Learned gives those of the limits of a target between which m has learned the input that it moves: a model that
// commands what it does not know would doubt it next. It fails where none are left.
func (u Use) Learned(m *model.Model, of Limits) (Limits, error) {
	i := m.InputIndex(u.Moves)
	if i < 0 || !(m.Inputs[i].Min < m.Inputs[i].Max) {
		return of, nil
	}
	to, err := unit.Between(unit.MustParse(m.Inputs[i].Unit), u.TargetUnit)
	if err != nil {
		return of, err
	}
	from, upTo := to.Apply(m.Inputs[i].Min), to.Apply(m.Inputs[i].Max)
	within := of
	within.Min, within.Max = max(of.Min, from), min(of.Max, upTo)
	if !(within.Min < within.Max) {
		return of, fmt.Errorf("the model was learned between %.4g and %.4g %s of the %s, and the loop's limits are %.4g and %.4g: learn it from runs between these", from, upTo, u.TargetUnit, u.Moves, of.Min, of.Max)
	}
	return within, nil
}

// Through foretells with an estimator, which now is the newest estimate of. It fails where the model has no
// such output or input, or their units cannot be converted.
func Through(m *model.Model, e *filter.Estimator, now *filter.Estimate, u Use) (Foretell, error) {
	t := &through{e: e, now: now, input: -1, up: m.InputIndex(model.ZVelocity)}
	t.output = slices.IndexFunc(m.Outputs, func(o model.Output) bool { return o.Name == u.Output })
	if t.output < 0 {
		return nil, fmt.Errorf("the model does not foretell the %s", u.Output)
	}
	var err error
	own := unit.MustParse(m.Outputs[t.output].Unit)
	if t.toLoop, err = unit.Between(own, u.OutputUnit); err != nil {
		return nil, err
	}
	to := own
	t.sc.Inputs = t.stay
	switch {
	case u.Moves == "":
		if m.Plan == nil {
			return nil, fmt.Errorf("the model has not learned how the machine's own controller follows its set-point: its hypotheses need a plan, or the law is follow")
		}
		t.sc.Way, t.needsPlan, t.sc.Follows = filter.Planned, true, Hidden(m, model.SpindleSpeed)
		t.sc.SetPoint = t.at
	default:
		if t.input = m.InputIndex(u.Moves); t.input < 0 {
			return nil, fmt.Errorf("the model has no input %s", u.Moves)
		}
		to = unit.MustParse(m.Inputs[t.input].Unit)
		if u.Moves == model.SpindleSpeed && m.Plan != nil {
			t.sc.Way, t.needsPlan, t.sc.Speed = filter.Planned, true, t.at
			break
		}
		t.sc.Way = filter.Known
		t.sc.Inputs = func(in []float64, ahead float64) { in[t.input] = t.at(ahead) }
	}
	if t.toModel, err = unit.Between(u.TargetUnit, to); err != nil {
		return nil, err
	}
	return t.foretell, nil
}

// stay is what the other inputs will be: a law goes by what is measured, not by the program. On simulated builds to know path and
// feed beforehand made prediction on the set-point worse, and brought the spindle nothing.
func (t *through) stay(u []float64, ahead float64) {
	if t.up >= 0 && ahead > filter.Momentary {
		u[t.up] = 0
	}
}

// at is the target's course in the model's unit.
func (t *through) at(ahead float64) float64 { return t.toModel.Apply(t.course(ahead)) }

func (t *through) foretell(y, horizons []float64, course func(float64) float64) string {
	switch {
	case t.now.Blind:
		return "the estimate is blind: no measurement for too long"
	case len(t.now.X) == 0:
		return "there is no estimate yet"
	}
	t.course = course
	t.f.Horizon = append(t.f.Horizon[:0], horizons...)
	t.e.AheadMean(&t.f, t.sc)
	if t.needsPlan && t.f.Way != filter.Planned {
		return "the model cannot tell what the machine's own controller will do"
	}
	for i, v := range t.f.Outputs[t.output].Mean {
		if math.IsNaN(v) {
			return "the model foretells nothing"
		}
		y[i] = t.toLoop.Apply(v)
	}
	return ""
}
