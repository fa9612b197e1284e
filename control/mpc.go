package control

import (
	"fmt"
	"math"

	"stirwatch/control/qp"
	"stirwatch/dynamics/model"
)

// Foretell fills y with the output at each of horizons (s ahead, rising) if the target is led along a course,
// whose value it asks for at instants ahead. It says why it cannot, "" if it can. It does not allocate.
type Foretell func(y, horizons []float64, course func(ahead float64) float64) (doubt string)

// MPCOptions of a predictive controller; numbers are in the units of output and target.
type MPCOptions struct {
	Limits
	Every   float64 // s between two commands
	Horizon float64 // s that it looks ahead
	Calm    float64 // weight of changes of the command; 0 is 1
	Ceiling float64 // the output is kept under it where that can be; NaN or 0: none
	Period  float64 // s of a disturbance that comes again and again; 0: none
	Factor  float64 // by which the target is expected to do more than the model says, see [Hidden]; 0 is 1
	Foretell
}

// How the problem is cut.
const (
	moves    = 8    // values of the command ahead
	points   = 20   // instants at which the output is foretold
	grains   = 100  // instants of the effect of a command
	crowded  = 1.5  // power by which instants are nearer to each other the nearer they are: what comes first can be told and mended best
	calmness = 0.01 // weight of a change that leads to 1 unit of output, at Calm 1
	nudge    = 0.05 // share of the command's range by which the target is moved to see what that does
	hardly   = 1e4  // weight of a violated ceiling
	hidden   = 2.2  // of a spindle, found on simulated machines: it is between 1.5 and 3
	moving   = 2.0  // units of output by which a goal must move to show what commands do
)

// starts are where the moves begin, as shares of the horizon: near ones are short, since only the first is
// carried out before all is thought over again.
var starts = [moves]float64{0, 0.012, 0.03, 0.073, 0.15, 0.27, 0.44, 0.67}

// MPC commands what a model foretells to be best. At each step the model foretells the output with the target
// where it is and with the target a little beside: that gives the effect of a command where the process is
// now. A quadratic program finds the course with the least errors and changes within limits. What the output does
// by itself is expected by the model and by how it has gone of late, a lap ago too, and by what factor the target does more
// than the model says is learned on the way ([outlook]), so that it holds without offset (Maeder, Borrelli and Morari,
// Automatica 45, 2009).
type MPC struct {
	o        MPCOptions
	horizons [points]float64
	grid     [grains]float64
	begins   [moves]float64
	effect   *effect
	outlook  *outlook
	factor   float64 // by which the target does more than the model says

	plan, trial  [moves]float64
	stays, moved func(float64) float64
	held, aim    float64
	beside       float64

	model, nudged    [grains]float64 // the model's forecasts
	stay, base, aims [points]float64 // expected if the target stays, and along the plan
	g                [points * moves]float64
	h                [(moves + 1) * (moves + 1)]float64
	grad, step       [moves + 1]float64
	a                []float64
	b                []float64
	solver           *qp.Solver
	alone            func(float64) float64
	// Last is how the last program ended, for people.
	Last qp.Result
}

// Hidden is by what factor a target is expected to do more than a model says before anything is known of it. What
// is learned from logs of a machine whose own controller turns the spindle shows too little of what the spindle
// does: there it is slow where it is hot and fast where it is cold, whatever it does.
func Hidden(m *model.Model, moves string) float64 {
	if moves == model.SpindleSpeed && m.Plan != nil {
		return hidden
	}
	return 1
}

// NewMPC makes one.
func NewMPC(o MPCOptions) *MPC {
	if o.Foretell == nil || !(o.Horizon > 0) || !(o.Every > 0) || !(o.Min < o.Max) || !(o.Slew > 0) {
		panic("control: an MPC needs a model, a horizon, limits and a slew")
	}
	if o.Calm == 0 {
		o.Calm = 1
	}
	if o.Factor == 0 {
		o.Factor = 1
	}
	m := &MPC{o: o, held: math.NaN()}
	for i := range m.horizons {
		m.horizons[i] = o.Horizon * math.Pow(float64(i+1)/points, crowded)
	}
	for i := range m.grid {
		m.grid[i] = o.Horizon * float64(i+1) / grains
	}
	for k := range m.begins {
		m.begins[k] = max(starts[k]*o.Horizon, float64(k)*o.Every)
		if m.begins[k] >= o.Horizon {
			m.begins[k] = o.Horizon * (1 - 0.01*float64(moves-k))
		}
	}
	m.effect, m.outlook = newEffect(o.Horizon/grains, grains), newOutlook(o.Every, o.Horizon, o.Period, o.Factor)
	m.stays = func(float64) float64 { return m.held }
	m.moved = func(float64) float64 { return m.held + m.beside }
	m.alone = m.byModel
	rows := 4*moves + points + 1
	m.a, m.b = make([]float64, rows*(moves+1)), make([]float64, rows)
	m.solver = qp.NewSolver(moves+1, rows)
	return m
}

// Within are the limits that it keeps.
func (m *MPC) Within() Limits { return m.o.Limits }

func (m *MPC) String() string { return fmt.Sprintf("mpc: prediction as far as %g s", m.o.Horizon) }

// Begin implements [Law]. What was learned of the machine stays.
func (m *MPC) Begin(s *Sense) {
	held := s.Held
	if math.IsNaN(held) {
		held = (m.o.Min + m.o.Max) / 2
	}
	for k := range m.plan {
		m.plan[k] = min(max(held, m.o.Min), m.o.Max)
	}
	m.held = math.NaN()
	m.effect.forget()
	m.outlook.forget()
	m.aim = math.NaN()
}

// Step implements [Law].
func (m *MPC) Step(s *Sense) Move {
	out := Move{Value: math.NaN(), Predicted: math.NaN(), Without: math.NaN(), Horizon: m.o.Horizon}
	if out.Doubt = s.Doubt; out.Doubt == "" && math.IsNaN(s.Output) {
		out.Doubt = "the output is not known" // and nothing is learned of it
	}
	if out.Doubt != "" {
		return out
	}
	was := m.held
	m.held = s.Held
	if math.IsNaN(m.held) {
		m.held = m.plan[0]
	}
	if math.IsNaN(was) {
		was = m.held
	}
	if aim := s.Aim(0); !(math.Abs(aim-m.aim) < moving) {
		m.outlook.excite()
		m.aim = aim
	}
	m.effect.pass(m.held-was, s.Dt)
	m.outlook.observe(s.Output, m.effect.still[0])
	if out.Doubt = m.look(); out.Doubt != "" {
		return out
	}
	m.outlook.expect(m.stay[:], m.horizons[:], m.alone, m.effect)
	m.factor = m.outlook.factor()
	for i, h := range m.horizons {
		if m.aims[i] = s.Aim(h); math.IsNaN(m.aims[i]) {
			out.Doubt = "the goal is not known"
			return out
		}
	}
	m.shift(s.Dt)
	m.improve()
	out.Without, out.Predicted = m.stay[points-1], m.base[points-1]
	out.Value = m.o.Bound(m.plan[0], m.held, max(s.Dt, m.o.Every))
	return out
}

// look asks the model what comes, and what the target does.
func (m *MPC) look() (doubt string) {
	if doubt = m.o.Foretell(m.model[:], m.grid[:], m.stays); doubt != "" {
		return doubt
	}
	m.beside = nudge * (m.o.Max - m.o.Min)
	if m.held > (m.o.Min+m.o.Max)/2 {
		m.beside = -m.beside
	}
	if doubt = m.o.Foretell(m.nudged[:], m.grid[:], m.moved); doubt != "" {
		return doubt
	}
	for i := range m.grid {
		m.effect.step[i+1] = (m.nudged[i] - m.model[i]) / m.beside
	}
	return ""
}

// byModel is the change that the model foretells beside what commands do.
func (m *MPC) byModel(ahead float64) float64 {
	e := m.effect
	at := ahead / e.grid
	return along(m.model[:], at-1) - m.outlook.at(m.outlook.output, 0) - (along(e.still, at) - e.still[0])
}

// shift moves the plan on by what has passed, and within limits from where the target is now.
func (m *MPC) shift(dt float64) {
	m.trial = m.plan
	for i := range m.plan {
		k := moves - 1
		for k > 0 && m.begins[k] > m.begins[i]+dt {
			k--
		}
		m.plan[i] = m.trial[k]
	}
	m.bound()
}

// bound brings the plan within limits and rates.
func (m *MPC) bound() {
	from := min(max(m.held, m.o.Min), m.o.Max)
	for k := range m.plan {
		most := m.o.Slew * m.since(k)
		m.plan[k] = min(max(min(max(m.plan[k], from-most), from+most), m.o.Min), m.o.Max)
		from = m.plan[k]
	}
}

// since is the time, s, that the target has to come to move k.
func (m *MPC) since(k int) float64 {
	if k == 0 {
		return m.o.Every
	}
	return m.begins[k] - m.begins[k-1]
}

// foretell fills base with what is expected along the plan.
func (m *MPC) foretell() {
	for i := range m.base {
		m.base[i] = m.stay[i]
		for k, u := range m.plan {
			m.base[i] += m.g[i*moves+k] * (u - m.held)
		}
	}
}

// improve makes the plan the best one.
func (m *MPC) improve() {
	full := m.factor * m.effect.step[grains]
	for i, h := range m.horizons {
		for k := range moves {
			does := m.effect.of(h - m.begins[k])
			if k+1 < moves {
				does -= m.effect.of(h - m.begins[k+1])
			}
			m.g[i*moves+k] = m.factor * does
		}
	}
	m.foretell()
	m.pose(m.o.Calm * calmness * points * max(full*full, 1e-9))
	n := moves + 1
	p := qp.Problem{N: n, M: len(m.b), H: m.h[:], G: m.grad[:], A: m.a, B: m.b}
	if m.Last = m.solver.Solve(m.step[:], &p); m.Last == qp.Infeasible {
		return // the plan is within limits: it stays
	}
	for k := range m.plan {
		m.plan[k] += m.step[k]
	}
	m.bound()
	m.foretell()
}

// pose writes the program for the step of the plan: errors and changes squared, limits and rates as
// constraints, the ceiling as one that may be violated at a price (the last unknown is by how much).
func (m *MPC) pose(weight float64) {
	n := moves + 1
	clear(m.h[:])
	clear(m.grad[:])
	for i := range points {
		off := m.base[i] - m.aims[i]
		row := m.g[i*moves : (i+1)*moves]
		for a, ga := range row {
			m.grad[a] += ga * off
			for b, gb := range row {
				m.h[a*n+b] += ga * gb
			}
		}
	}
	from := m.held
	for k, u := range m.plan {
		m.h[k*n+k] += weight
		m.grad[k] += weight * (u - from)
		if k > 0 {
			m.h[(k-1)*n+k-1] += weight
			m.h[k*n+k-1] -= weight
			m.h[(k-1)*n+k] -= weight
			m.grad[k-1] -= weight * (u - from)
		}
		from = u
	}
	ridge := 1e-6 / ((m.o.Max - m.o.Min) * (m.o.Max - m.o.Min))
	for k := range moves {
		m.h[k*n+k] += ridge
	}
	m.h[moves*n+moves] = hardly
	clear(m.a)
	row := 0
	add := func(b float64, set func(a []float64)) {
		set(m.a[row*n : (row+1)*n])
		m.b[row] = b
		row++
	}
	from = min(max(m.held, m.o.Min), m.o.Max)
	for k, u := range m.plan {
		most := m.o.Slew * m.since(k)
		add(m.o.Min-u, func(a []float64) { a[k] = 1 })
		add(u-m.o.Max, func(a []float64) { a[k] = -1 })
		for _, sign := range []float64{1, -1} {
			add(-most-sign*(u-from), func(a []float64) {
				if a[k] = sign; k > 0 {
					a[k-1] = -sign
				}
			})
		}
		from = u
	}
	for i := range points {
		add(-1e9, func(a []float64) {
			if a[moves] = 1; known(m.o.Ceiling) {
				for k := range moves {
					a[k] = -m.g[i*moves+k]
				}
			}
		})
		if known(m.o.Ceiling) {
			m.b[row-1] = m.base[i] - m.o.Ceiling
		}
	}
	add(0, func(a []float64) { a[moves] = 1 })
}
