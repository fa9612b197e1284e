package control

import (
	"fmt"
	"math"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/sensors/unit"
)

// WorkingPoint is where a model is asked what a step does, all in the model's units.
type WorkingPoint struct {
	Output string             // that is controlled
	Moves  string             // the input that is commanded
	At     map[string]float64 // of inputs by name; the others are in the middle of what the model was learned on, contact 1
	Value  float64            // of the output; NaN: the middle of what the model was learned on
	Step   float64            // size of the step; 0: a tenth of the range of the input
	Within float64            // s after which the step counts as over
}

// settling is for how many steps of 1 s the filter sees a working point before it is asked.
const settling = 5

// Respond gives what a model expects of a step at a working point, of which it fills in what was left open. It fails
// where the model has no such input or output, or cannot tell.
func (p *WorkingPoint) Respond(m *model.Model) (Response, error) {
	fail := func(err error) (Response, error) { return Response{}, err }
	o, in := m.OutputIndex(p.Output), m.InputIndex(p.Moves)
	if o < 0 {
		return fail(fmt.Errorf("the model has no output %q", p.Output))
	}
	if in < 0 {
		return fail(fmt.Errorf("the model has no input %q", p.Moves))
	}
	out, moved := &m.Outputs[o], &m.Inputs[in]
	u := make([]float64, len(m.Inputs))
	for i, x := range m.Inputs {
		u[i] = (x.Min + x.Max) / 2
		if v, ok := p.At[x.Name]; ok {
			u[i] = v
		}
		if x.Name == model.Contact {
			u[i] = 1
		}
	}
	if math.IsNaN(p.Value) {
		p.Value = (out.Min + out.Max) / 2
	}
	if p.Step == 0 {
		p.Step = (moved.Max - moved.Min) / 10
	}
	if p.At == nil {
		p.At = make(map[string]float64)
	}
	p.At[p.Moves] = u[in]
	e := filter.New(m)
	var est filter.Estimate
	z := make([]float64, len(m.Outputs))
	for i := range z {
		z[i] = p.Value
	}
	for range settling {
		e.Step(&est, 1, u, z)
	}
	foretell, err := Through(m, e, &est, Use{Output: p.Output, OutputUnit: unit.MustParse(out.Unit), Moves: p.Moves, TargetUnit: unit.MustParse(moved.Unit)})
	if err != nil {
		return fail(err)
	}
	at := []float64{0}
	for now := 1.0; now <= p.Within; now += max(1, now/50) {
		at = append(at, now)
	}
	stay, step := make([]float64, len(at)), make([]float64, len(at))
	for _, c := range []struct {
		by float64
		y  []float64
	}{{0, stay}, {p.Step, step}} {
		if doubt := foretell(c.y[1:], at[1:], func(float64) float64 { return u[in] + c.by }); doubt != "" {
			return fail(fmt.Errorf("at this working point: %s", doubt))
		}
	}
	for i := range step {
		step[i] -= stay[i]
	}
	return Identify(at, step, p.Step)
}

// Moment is one instant of a simulated loop.
type Moment struct {
	At     float64 // s
	Output float64 // of a goal of 1
	Target float64 // by how much it has been moved
}

// Simulate runs a PID that commands a process with the response, each every seconds, through a step of the goal by 1,
// and gives what it does until it has settled.
func (r Response) Simulate(g Gains, every float64) []Moment {
	const any = 1e9 // no limit
	pid := &PID{Limits: Limits{Min: -any, Max: any, Slew: any}, Gains: g}
	s := Sense{Dt: every, Goal: Constant(0)}
	pid.Begin(&s)
	s.Goal = Constant(1)
	late := make([]float64, int(math.Round(r.Dead/every))+1) // commands on their way through the dead time
	var all []Moment
	y, end := 0.0, 6*(r.Dead+every)+2*g.Integral
	for now := 0.0; now <= end; now += every {
		s.Output = y
		s.Held = pid.Step(&s).Value
		all = append(all, Moment{now, y, s.Held})
		late = append(late[1:], s.Held)
		y += -math.Expm1(-every/r.Tau) * (r.Gain*late[0] - y)
	}
	return all
}
