package control

import (
	"fmt"
	"math"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	"stirwatch/sensors/unit"
)

// WorkingPoint is where a model is asked what a step does, all in the model's units.
type WorkingPoint struct {
	Output string             // that is controlled
	Moves  string             // the input that is commanded
	At     map[string]float64 // of inputs by name; the others are in the middle of what is usual in deposition, else of what the model was learned on
	Value  float64            // of the output; NaN: the same
	Step   float64            // size of the step; 0: a tenth of the range of the input
	Within float64            // s after which the step counts as over; 0: 600 s, of a spindle with a controller of its own 20 s
}

// How far ahead a step is looked at where that is left open, s.
const (
	slowly = 600.0
	soon   = 20.0 // what a spindle does after that is the machine's controller's, and warms what lies behind the tool
)

// middle is where an input or output usually is in deposition, else the middle of what was learned on.
func middle(m *model.Model, name string, least, most float64) float64 {
	for i := range m.Usual {
		if x := &m.Usual[i]; x.Phase == phase.Deposit.String() && x.Name == name {
			return (x.Low + x.High) / 2
		}
	}
	switch name {
	case model.Contact:
		return 1
	case model.ZVelocity: // a tool that moves up has no contact
		return 0
	}
	return (least + most) / 2
}

// finest is the least time between two instants of a step, s.
const finest = 0.1

// settling is for how many steps of 1 s the filter sees a working point before it is asked.
const settling = 5

// Respond gives what a model expects of a step at a working point, of which it fills in what was left open, as a dead time and one time constant; of a spindle that a controller of
// its own turned in the logs as much more as is to be expected ([Hidden]). It fails
// where the model has no such input or output, or cannot tell.
func (p *WorkingPoint) Respond(m *model.Model) (Response, error) { return p.respond(m, Identify) }

// RespondWithLag is Respond with two time constants.
func (p *WorkingPoint) RespondWithLag(m *model.Model) (Response, error) {
	return p.respond(m, identifyLag)
}

func (p *WorkingPoint) respond(m *model.Model, identify func(t, y []float64, size float64) (Response, error)) (Response, error) {
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
		u[i] = middle(m, x.Name, x.Min, x.Max)
		if v, ok := p.At[x.Name]; ok {
			u[i] = v
		}
	}
	if math.IsNaN(p.Value) {
		p.Value = middle(m, out.Name, out.Min, out.Max)
	}
	if p.Within == 0 {
		if p.Within = slowly; Hidden(m, p.Moves) != 1 {
			p.Within = soon
		}
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
	for now := finest; now <= p.Within; now += max(finest, now/50) {
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
	r, err := identify(at, step, p.Step)
	r.Gain *= Hidden(m, p.Moves)
	return r, err
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
	dt := every
	if r.Lag > 0 {
		dt /= math.Ceil(10 * every / r.Lag)
	}
	return r.step(&PID{Gains: g}, every, dt, 6*(r.Dead+every)+2*g.Integral, func(_, held float64) float64 { return held })
}

// step runs a PID without limits, each every seconds, through a step of the goal by 1, and the process in steps of dt s, for end s. moved is
// what moves the process at an output and a command, asked for in turn.
func (r Response) step(pid *PID, every, dt, end float64, moved func(y, held float64) float64) []Moment {
	const any = 1e9
	pid.Limits = Limits{Min: -any, Max: any, Slew: any}
	s := Sense{Dt: every, Goal: Constant(0)}
	pid.Begin(&s)
	s.Goal = Constant(1)
	late := make([]float64, int(math.Round(r.Dead/dt))+1) // what moves it on its way through the dead time
	commands := max(1, int(math.Round(every/dt)))
	var all []Moment
	y, first := 0.0, 0.0 // first is behind the first time constant
	for k := 0; float64(k)*dt <= end; k++ {
		if k%commands == 0 {
			s.Output = y
			s.Held = pid.Step(&s).Value
			all = append(all, Moment{float64(k) * dt, y, s.Held})
		}
		late = append(late[1:], moved(y, s.Held))
		first += -math.Expm1(-dt/r.Tau) * (r.Gain*late[0] - first)
		if r.Lag > 0 {
			y += -math.Expm1(-dt/r.Lag) * (first - y)
		} else {
			y = first
		}
	}
	return all
}
