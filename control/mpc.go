package control

import (
	"math"

	"stirwatch/control/qp"
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
	Foretell
}

// How the problem is cut.
const (
	moves      = 8    // values of the command ahead
	points     = 15   // instants at which the output is foretold
	calmness   = 0.05 // weight of a change that leads to 1 unit of output, at Calm 1
	nudge      = 0.01 // share of the command's range by which a move is varied
	hardly     = 1e4  // weight of a violated ceiling
	halvings   = 2    // of a step that made it worse
	firstTries = 3    // linearisations of the first step, which has no warm start
)

// starts are where the moves begin, as shares of the horizon: near ones are short, since only the first is
// carried out before all is thought over again.
var starts = [moves]float64{0, 1.0 / 30, 2.0 / 30, 4.0 / 30, 7.0 / 30, 11.0 / 30, 16.0 / 30, 22.0 / 30}

// MPC commands what a model foretells to be best. At each step it foretells the output along the course that
// it last thought best, and along one that is nudged at each move; on these a quadratic program finds the
// course with the least errors and changes within limits (successive linearisation: Diehl, Bock and Schlöder,
// SIAM J. Control Optim. 43, 2005, the real-time iteration). A step that the model then foretells to be worse is
// halved. By what factor the target does more than the model says is learned on the way ([Gain]). What the model has foretold wrongly of late, on average and with the period, is added to what it
// foretells (so it holds without offset: Maeder, Borrelli and Morari, Automatica 45, 2009).
type MPC struct {
	o        MPCOptions
	horizons [points]float64
	begins   [moves]float64
	learned  *Residual
	gain     *Gain
	factor   float64 // by which a move does more than the model says

	plan, trial [moves]float64
	begun       bool
	follows     func(float64) float64 // the course of trial
	stays       func(float64) float64
	held        float64

	stay, base, y, aims, correction [points]float64 // base and y with the factor, all without correction
	g                               [points * moves]float64
	h                               [(moves + 1) * (moves + 1)]float64
	grad, step                      [moves + 1]float64
	a                               []float64
	b                               []float64
	solver                          *qp.Solver
	// Last is how the last program ended, for people.
	Last qp.Result
}

// NewMPC makes one.
func NewMPC(o MPCOptions) *MPC {
	if o.Foretell == nil || !(o.Horizon > 0) || !(o.Every > 0) || !(o.Min < o.Max) || !(o.Slew > 0) {
		panic("control: an MPC needs a model, a horizon, limits and a slew")
	}
	if o.Calm == 0 {
		o.Calm = 1
	}
	m := &MPC{o: o}
	for i := range m.horizons {
		m.horizons[i] = o.Horizon * float64(i+1) / points
	}
	for k := range m.begins {
		m.begins[k] = max(starts[k]*o.Horizon, float64(k)*o.Every)
		if m.begins[k] >= o.Horizon {
			m.begins[k] = o.Horizon * (1 - 0.01*float64(moves-k))
		}
	}
	m.learned, m.gain = NewResidual(o.Every, o.Horizon, o.Period), NewGain(o.Every, o.Horizon)
	m.follows = m.course
	m.stays = func(float64) float64 { return m.held }
	rows := 4*moves + points + 1
	m.a, m.b = make([]float64, rows*(moves+1)), make([]float64, rows)
	m.solver = qp.NewSolver(moves+1, rows)
	return m
}

// course is the trial's value at an instant ahead.
func (m *MPC) course(ahead float64) float64 {
	k := moves - 1
	for k > 0 && m.begins[k] > ahead {
		k--
	}
	return m.trial[k]
}

// Begin implements [Law].
func (m *MPC) Begin(s *Sense) {
	held := s.Held
	if math.IsNaN(held) {
		held = (m.o.Min + m.o.Max) / 2
	}
	for k := range m.plan {
		m.plan[k] = min(max(held, m.o.Min), m.o.Max)
	}
	m.begun = false
	m.learned.Forget()
	m.gain.Forget()
}

// Step implements [Law].
func (m *MPC) Step(s *Sense) Move {
	out := Move{Value: math.NaN(), Predicted: math.NaN(), Without: math.NaN(), Horizon: m.o.Horizon}
	if out.Doubt = s.Doubt; out.Doubt != "" {
		m.begun = false
		return out
	}
	m.held = s.Held
	if math.IsNaN(m.held) {
		m.held = m.plan[0]
	}
	m.learned.Observe(s.Dt, s.Output)
	m.gain.Observe(s.Output, &m.begins)
	m.factor = m.gain.Factor()
	if out.Doubt = m.o.Foretell(m.stay[:], m.horizons[:], m.stays); out.Doubt != "" {
		return out
	}
	for i, h := range m.horizons {
		m.aims[i] = s.Aim(h)
		m.correction[i] = m.learned.At(h)
		if math.IsNaN(m.aims[i]) {
			out.Doubt = "the goal is not known"
			return out
		}
	}
	m.shift(s.Dt)
	tries := 1
	if !m.begun {
		tries = firstTries
	}
	for range tries {
		if out.Doubt = m.improve(); out.Doubt != "" {
			return out
		}
	}
	m.begun = true
	out.Without = m.stay[points-1] + m.correction[points-1]
	out.Predicted = m.base[points-1] + m.correction[points-1]
	out.Value = m.o.Bound(m.plan[0], m.held, max(s.Dt, m.o.Every))
	m.learned.Foretold(m.horizons[:], m.base[:])
	m.remember(out.Value)
	return out
}

// remember notes for the gain what is expected of this plan.
func (m *MPC) remember(command float64) {
	i := 0
	for i < points-1 && m.horizons[i] < m.gain.ahead {
		i++
	}
	p := planned{held: m.held, stays: m.stay[i] + m.correction[i], instrument: (m.base[i] - m.stay[i]) / m.factor}
	for k := range moves {
		p.effect[k] = m.g[i*moves+k] / m.factor
	}
	m.gain.Planned(p, command)
}

// foretell fills y with what is expected along the trial.
func (m *MPC) foretell(y *[points]float64) (doubt string) {
	if doubt = m.o.Foretell(y[:], m.horizons[:], m.follows); doubt != "" {
		return doubt
	}
	for i := range y {
		y[i] = m.stay[i] + m.factor*(y[i]-m.stay[i])
	}
	return ""
}

// shift moves the plan on by what has passed, and within limits from where the target is now.
func (m *MPC) shift(dt float64) {
	m.trial = m.plan
	for k := range m.plan {
		m.plan[k] = m.course(m.begins[k] + dt)
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

// improve makes the plan better by one linearisation, and foretells it into base.
func (m *MPC) improve() (doubt string) {
	m.trial = m.plan
	if doubt = m.foretell(&m.base); doubt != "" {
		return doubt
	}
	full := 0.0
	for k := range m.plan {
		by := nudge * (m.o.Max - m.o.Min)
		if m.plan[k]+by > m.o.Max {
			by = -by
		}
		m.trial = m.plan
		m.trial[k] += by
		if doubt = m.foretell(&m.y); doubt != "" {
			return doubt
		}
		for i := range points {
			m.g[i*moves+k] = (m.y[i] - m.base[i]) / by
		}
		full += m.g[(points-1)*moves+k]
	}
	weight := m.o.Calm * calmness * points * max(full*full, 1e-9)
	m.pose(weight)
	n := moves + 1
	p := qp.Problem{N: n, M: len(m.b), H: m.h[:], G: m.grad[:], A: m.a, B: m.b}
	if m.Last = m.solver.Solve(m.step[:], &p); m.Last == qp.Infeasible {
		return "" // the plan is within limits: it stays
	}
	was, before := m.plan, m.cost(m.base[:], &m.plan, weight)
	for range halvings + 1 {
		for k := range m.plan {
			m.plan[k] = was[k] + m.step[k]
		}
		m.bound()
		m.trial = m.plan
		if doubt = m.foretell(&m.y); doubt != "" {
			return doubt
		}
		if m.cost(m.y[:], &m.plan, weight) <= before {
			m.base = m.y
			return ""
		}
		for k := range m.step {
			m.step[k] /= 2
		}
	}
	m.plan = was
	return ""
}

// cost is what the plan costs if the output comes as in y.
func (m *MPC) cost(y []float64, plan *[moves]float64, weight float64) (c float64) {
	for i, v := range y {
		v += m.correction[i]
		c += (v - m.aims[i]) * (v - m.aims[i])
		if known(m.o.Ceiling) && v > m.o.Ceiling {
			c += hardly * (v - m.o.Ceiling) * (v - m.o.Ceiling)
		}
	}
	from := m.held
	for _, u := range plan {
		c += weight * (u - from) * (u - from)
		from = u
	}
	return c
}

// pose writes the program for the step of the plan: errors and changes squared, limits and rates as
// constraints, the ceiling as one that may be violated at a price (the last unknown is by how much).
func (m *MPC) pose(weight float64) {
	n := moves + 1
	clear(m.h[:])
	clear(m.grad[:])
	for i := range points {
		off := m.base[i] + m.correction[i] - m.aims[i]
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
			m.b[row-1] = m.base[i] + m.correction[i] - m.o.Ceiling
		}
	}
	add(0, func(a []float64) { a[moves] = 1 })
}
