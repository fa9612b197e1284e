package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"stirwatch/agent/api"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
)

// WhatIf is a question to the model: what would come if this were so from now on?
type WhatIf struct {
	SetPoint *float64           `json:"set_point,omitempty"` // of the machine's own controller, in the unit of the leading output; nil: as it is
	Inputs   map[string]float64 `json:"inputs,omitempty"`    // by name, in the model's units; others as they are
}

// Outlook is the answer for one output: what is expected by horizon as things are, and if.
type Outlook struct {
	Output  string    `json:"output"`
	Unit    string    `json:"unit"`
	Horizon []float64 `json:"horizon_s"`
	Is      Course    `json:"is"`
	If      Course    `json:"if"`
	Way     string    `json:"way"` // on what the forecast rests
}

// Course is what is expected by horizon, with its interval of 95 %.
type Course struct {
	Mean  []Number `json:"mean"`
	Lower []Number `json:"lower"`
	Upper []Number `json:"upper"`
}

// askPatience is how long a question waits for a tick; the slowest comes every second.
const askPatience = 5 * time.Second

// answer answers a question to the model, where one waits. It is on the tick.
func (a *Agent) answer() {
	select {
	case ask := <-a.asks:
		ask()
	default:
	}
}

// Ask answers a question at the next tick, which owns the estimator. It fails where there is no model, an input is not
// the model's, nothing has been measured yet, or the tick stands still.
func (a *Agent) Ask(ctx context.Context, q WhatIf) ([]Outlook, error) {
	nothing := errors.New("nothing has been measured yet: 'stirwatch doctor' shows what the sources give")
	answers := make(chan []Outlook, 1)
	err := a.onTick(ctx, func() error {
		if a.estimator == nil {
			return errors.New("there is no model to ask")
		}
		if a.frame.Time == 0 { // no tick has begun
			return nothing
		}
		set, err := a.estimator.places(q.Inputs)
		if err == nil {
			answers <- a.estimator.ask(set, q.SetPoint)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	all := <-answers
	if all == nil {
		return nil, nothing
	}
	return all, nil
}

// onTick has the next tick call do, and gives its error. If ctx or askPatience ends first, do may still be called later.
func (a *Agent) onTick(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, askPatience, errors.New("the tick stands still"))
	defer cancel()
	done := make(chan error, 1)
	select {
	case a.asks <- func() { done <- do() }:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// places are values of inputs by their index in the model instead of their name.
func (e *estimator) places(inputs map[string]float64) (map[int]float64, error) {
	set := make(map[int]float64)
	for name, v := range inputs {
		i := e.model.InputIndex(name)
		if i < 0 {
			var names []string
			for _, in := range e.model.Inputs {
				names = append(names, in.Name)
			}
			return nil, fmt.Errorf("the model has no input %q; those it has: %s", name, strings.Join(names, ", "))
		}
		set[i] = v
	}
	return set, nil
}

// ask forecasts as things are expected to be, and with inputs and set-point replaced. It allocates: people ask seldom.
func (e *estimator) ask(set map[int]float64, setPoint *float64) (all []Outlook) {
	is, with := e.expected(), e.expected()
	up := e.model.InputIndex(model.ZVelocity)
	with.Inputs = func(u []float64, ahead float64) {
		if is.Inputs != nil {
			is.Inputs(u, ahead)
		} else if up >= 0 && ahead > 2 {
			u[up] = 0 // a climb is soon over
		}
		for i, v := range set {
			u[i] = v
		}
	}
	if setPoint != nil {
		v := *setPoint
		with.SetPoint, with.Speed = func(float64) float64 { return v }, nil
	}
	f := [2]filter.Forecast{{Horizon: e.forecast.Horizon}, {Horizon: e.forecast.Horizon}}
	e.filter.Ahead(&f[0], is)
	e.filter.Ahead(&f[1], with)
	for o, out := range e.model.Outputs {
		all = append(all, Outlook{Output: out.Name, Unit: out.Unit, Horizon: e.forecast.Horizon, Is: courseOf(&f[0].Outputs[o]), If: courseOf(&f[1].Outputs[o]), Way: f[1].Way.String()})
	}
	if len(f[0].Speed) == len(f[0].Horizon) && len(f[1].Speed) == len(f[1].Horizon) { // where the model has a plan
		all = append(all, Outlook{Output: model.SpindleSpeed, Unit: "rpm", Horizon: e.forecast.Horizon, Is: meanOnly(f[0].Speed), If: meanOnly(f[1].Speed), Way: f[1].Way.String()})
	}
	return all
}

// meanOnly is a course of which no interval is known.
func meanOnly(mean []float64) (c Course) {
	unknown := Number(math.NaN())
	for _, v := range mean {
		c.Mean, c.Lower, c.Upper = append(c.Mean, Number(v)), append(c.Lower, unknown), append(c.Upper, unknown)
	}
	return c
}

func courseOf(x *filter.Expected) (c Course) {
	for i := range x.Mean {
		c.Mean, c.Lower, c.Upper = append(c.Mean, Number(x.Mean[i])), append(c.Lower, Number(x.Lower[i])), append(c.Upper, Number(x.Upper[i]))
	}
	return c
}

// answerWhatIf is POST /whatif.
func (a *Agent) answerWhatIf(w http.ResponseWriter, r *http.Request) {
	var q WhatIf
	if !api.Read(w, r, &q) {
		return
	}
	all, err := a.Ask(r.Context(), q)
	if err != nil {
		api.Fail(w, http.StatusBadRequest, err)
		return
	}
	api.Write(w, all)
}
