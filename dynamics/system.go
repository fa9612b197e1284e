package dynamics

import (
	"fmt"
	"math"

	"stirwatch/sensors/unit"
)

// system is a model compiled for arithmetic: immutable, shareable. All values in it are in SI units.
type system struct {
	m          *Model
	prog       program
	start      program // of the first states: parameters, then the reading
	nx, nu, np int     // states, inputs, parameters (coefficients of terms behind the others)

	param, input, state int32   // first registers of each
	drives              []int32 // registers that the state code takes from inputs: what varies from row to row
	rate                []int32 // by state
	term                []int32 // by term, with sign and coefficient
	first               []int32 // by state, in start
	contact             int     // index in drives of the definition "contact", -1
	dead                int     // index of the dead time among the parameters, -1

	theta        []float64 // parameters
	inU          []unit.Unit
	xScale, xOff []float64 // state in its unit = (SI − off)/scale
	out          []int     // by output: its state
	noise, share []float64 // by state
	startVar     []float64 // by state
}

// compile makes the model ready for arithmetic. The model must have passed Check.
func (m *Model) compile() *system {
	s := &system{m: m, nx: len(m.States), nu: len(m.Inputs), contact: -1, dead: -1}
	var params, inputs, states []string
	for i, p := range m.Parameters {
		params = append(params, p.Name)
		s.theta = append(s.theta, mustUnit(p.Unit).SI(p.Value))
		if p.Name == m.DeadTime {
			s.dead = i
		}
	}
	for i, t := range m.Terms {
		params = append(params, coefficientName(i))
		s.theta = append(s.theta, mustUnit(t.Unit).Scale*t.Coefficient)
	}
	for _, in := range m.Inputs {
		inputs = append(inputs, in.Symbol)
		s.inU = append(s.inU, mustUnit(in.Unit))
	}
	for _, x := range m.States {
		u := mustUnit(x.Unit)
		states = append(states, x.Symbol)
		s.xScale, s.xOff = append(s.xScale, u.Scale), append(s.xOff, u.Offset)
		s.noise, s.share = append(s.noise, u.Scale*x.Noise), append(s.share, x.NoiseShare)
		s.startVar = append(s.startVar, u.Scale*x.StartSD*u.Scale*x.StartSD)
	}
	s.np = len(params)
	let := map[string]*node{}
	for _, d := range m.Definitions {
		let[d.Name] = mustParse(d.Expression)
	}
	b := newBuilder(params, inputs, states, let)
	s.param, s.input, s.state = 0, int32(s.np), int32(s.np+s.nu)
	sums := make([]*node, s.nx)
	for i, t := range m.Terms {
		n := mustParse(t.Expression)
		if !t.Fixed {
			n = &node{op: opMul, a: &node{op: opLeaf, name: coefficientName(i)}, b: n}
		}
		if t.Sign < 0 {
			n = &node{op: opNeg, a: n}
		}
		s.term = append(s.term, b.add(n))
		k := m.state(t.State)
		if sums[k] == nil {
			sums[k] = n
		} else {
			sums[k] = &node{op: opAdd, a: sums[k], b: n}
		}
	}
	for _, n := range sums {
		if n == nil {
			n = &node{op: opConst}
		}
		s.rate = append(s.rate, b.add(n))
	}
	contact := int32(-1)
	if _, ok := let["contact"]; ok {
		contact = b.add(let["contact"])
	}
	// What the state code takes from inputs.
	seen := map[int32]bool{}
	take := func(r int32) {
		if r >= 0 && b.level[r] == levelDrive && !seen[r] {
			seen[r] = true
			s.drives = append(s.drives, r)
		}
	}
	for _, in := range b.p.code[levelState] {
		take(in.a)
		take(in.b)
	}
	for _, r := range append(append([]int32{}, s.rate...), s.term...) {
		take(r)
	}
	if contact >= 0 && b.level[contact] == levelDrive {
		take(contact)
		for i, r := range s.drives {
			if r == contact {
				s.contact = i
			}
		}
	}
	s.prog = b.p
	sb := newBuilder(params, []string{startSymbol}, nil, nil)
	for _, x := range m.States {
		s.first = append(s.first, sb.add(mustParse(x.Start)))
	}
	s.start = sb.p
	for _, o := range m.Outputs {
		s.out = append(s.out, m.state(o.State))
	}
	return s
}

func coefficientName(i int) string { return fmt.Sprintf("coefficient_%d_", i) }

func mustUnit(name string) unit.Unit {
	u, err := parseUnit(name)
	if err != nil {
		panic("dynamics: " + err.Error())
	}
	return u
}

func mustParse(text string) *node {
	n, err := parseExpr(text)
	if err != nil {
		panic("dynamics: " + err.Error())
	}
	return n
}

// registers makes a register file with the parameters in place.
func (s *system) registers() []float64 {
	v := make([]float64, s.prog.regs)
	copy(v, s.prog.start)
	s.load(v, s.theta)
	return v
}

// load puts parameters theta into registers v.
func (s *system) load(v, theta []float64) {
	copy(v[s.param:], theta)
	eval(s.prog.code[levelParam], v)
}

// drive works out from inputs u (in the units of the model) what the state code takes of them.
func (s *system) drive(dst, v, u []float64) {
	for i, x := range u {
		v[int(s.input)+i] = s.inU[i].SI(x)
	}
	eval(s.prog.code[levelDrive], v)
	for i, r := range s.drives {
		dst[i] = v[r]
	}
}

// act puts drives d into registers v.
func (s *system) act(v, d []float64) {
	for i, r := range s.drives {
		v[r] = d[i]
	}
}

// rates works out dx/dt at x under the drives that act in v.
func (s *system) rates(dst, v, x []float64) {
	copy(v[s.state:], x)
	eval(s.prog.code[levelState], v)
	for i, r := range s.rate {
		dst[i] = v[r]
	}
}

// scratch is what stepping needs; one per goroutine.
type scratch struct {
	k1, k2, x1 []float64
	// Jacobian of a step and the machinery for it.
	d, f, fp []float64
	active   []bool
}

func (s *system) scratch() *scratch {
	n := s.nx
	return &scratch{
		k1: make([]float64, n), k2: make([]float64, n), x1: make([]float64, n),
		d: make([]float64, s.prog.regs*n), f: make([]float64, n*n), fp: make([]float64, n*n),
		active: make([]bool, s.prog.regs),
	}
}

// step moves x by h seconds under the drives that act in v: Heun's rule.
func (s *system) step(w *scratch, v, x []float64, h float64) {
	s.rates(w.k1, v, x)
	for i := range x {
		w.x1[i] = x[i] + h*w.k1[i]
	}
	s.rates(w.k2, v, w.x1)
	for i := range x {
		x[i] += h / 2 * (w.k1[i] + w.k2[i])
	}
}

// stepCov is step for x and its covariance p (nx × nx): p = F·p·Fᵀ + Q·h, with the Jacobian F of
// Heun's rule by automatic differentiation at its first stage, F = I + h·J + h²/2·J².
func (s *system) stepCov(w *scratch, v, x, p []float64, h float64) {
	n := s.nx
	for i := range w.active {
		w.active[i] = false
	}
	for i := range n {
		r := int(s.state) + i
		v[r] = x[i]
		w.active[r] = true
		row := w.d[r*n : (r+1)*n]
		clear(row)
		row[i] = 1
	}
	evalDual(s.prog.code[levelState], v, w.d, n, w.active)
	for i, r := range s.rate {
		w.k1[i] = v[r]
		w.x1[i] = x[i] + h*v[r]
		row := w.f[i*n : (i+1)*n]
		if w.active[r] {
			copy(row, w.d[int(r)*n:int(r+1)*n])
		} else {
			clear(row)
		}
	}
	// F = I + h·J·(I + h/2·J), in fp.
	for i := range n {
		for j := range n {
			sum := 0.0
			for k := range n {
				sum += w.f[i*n+k] * w.f[k*n+j]
			}
			w.fp[i*n+j] = h * (w.f[i*n+j] + h/2*sum)
		}
		w.fp[i*n+i]++
	}
	w.f, w.fp = w.fp, w.f
	s.rates(w.k2, v, w.x1)
	for i := range n {
		x[i] += h / 2 * (w.k1[i] + w.k2[i])
	}
	s.spreadCov(w, p, h)
}

// spreadCov is p = F·p·Fᵀ + Q·h with F in w.f and the rates in w.k1.
func (s *system) spreadCov(w *scratch, p []float64, h float64) {
	n := s.nx
	for i := range n {
		row := w.fp[i*n : (i+1)*n]
		clear(row)
		for k, f := range w.f[i*n : (i+1)*n] {
			if f == 0 {
				continue
			}
			for j, v := range p[k*n : (k+1)*n] {
				row[j] += f * v
			}
		}
	}
	for i := range n {
		a := w.fp[i*n : (i+1)*n]
		for j := range i + 1 {
			sum := 0.0
			for k, f := range w.f[j*n : (j+1)*n] {
				sum += f * a[k]
			}
			p[i*n+j], p[j*n+i] = sum, sum
		}
		share := s.share[i] * w.k1[i]
		p[i*n+i] += (s.noise[i]*s.noise[i] + share*share) * h
	}
}

// maxStep is the longest step of integration, s.
const maxStep = 0.5

// steps is into how many steps a time is cut.
func steps(dt float64) int { return max(1, int(math.Ceil(dt/maxStep-1e-9))) }
