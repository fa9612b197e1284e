package dynamics

import (
	"fmt"
	"math"
	"slices"

	"stirwatch/sensors/unit"
)

// system is a model compiled for arithmetic: immutable, shareable. All values in it are in SI units.
type system struct {
	m          *Model
	prog       program
	start      program // of the first states: parameters, then the reading
	nx, nu, np int     // states, inputs, parameters (coefficients of terms behind the others)

	// The code of the state level: the rates, their derivatives by states, and those by parameters.
	rateCode, slopeCode, paramCode []instr

	param, input, state int32   // first registers of each
	drives              []int32 // registers that the state code takes from inputs: what varies from row to row
	rate                []int32 // by state
	term                []int32 // by term, with sign and coefficient
	first               []int32 // by state, in start
	contact             int     // index in drives of the definition "contact", -1
	dead                int     // index of the dead time among the parameters, -1

	slopes []slope // ∂rate/∂state
	// By state: register of ∂rate/∂itself where that depends on parameters alone, else −1. Never of the
	// first state, so that its change is the sum of its terms by Heun's rule.
	decay   []int32
	follows []slope   // of followers: ∂rate/∂(other states)
	leads   []int32   // the states that are no followers
	tails   []int32   // and those that are
	tail    []bool    // by state
	into    [][]int32 // by state: the states of before that a step's Jacobian takes
	all     [][]int32 // every state, by state

	// Of a system for fitting:
	free        []int   // the parameters that are learned: lanes
	byParam     []slope // ∂rate/∂parameter: of is a state, by a lane
	startParam  []slope // ∂start/∂parameter, in start
	decayParam  []slope // ∂decay/∂parameter
	followParam []followSlope
	dots        []int32 // by drive of the rates: register of its slope over time; nil without a dead time to learn

	theta        []float64 // parameters
	inU          []unit.Unit
	xScale, xOff []float64 // state in its unit = (SI − off)/scale
	out          []int     // by output: its state
	noise, share []float64 // by state
	startVar     []float64 // by state
}

// followSlope is where to find the derivative of an entry of follows by a parameter.
type followSlope struct {
	of, by, lane int32
	r            int32
}

// slope is where to find one derivative that is not zero everywhere.
type slope struct {
	of, by int32
	r      int32 // register
}

// compile makes the model ready for arithmetic. The model must have passed Check.
func (m *Model) compile() *system { return m.compileFor(false) }

// compileFor is compile, on demand with all that a fit needs.
func (m *Model) compileFor(fit bool) *system {
	s := &system{m: m, nx: len(m.States), nu: len(m.Inputs), contact: -1, dead: -1}
	var params, inputs, states []string
	for i, p := range m.Parameters {
		params = append(params, p.Name)
		s.theta = append(s.theta, mustUnit(p.Unit).SI(p.Value))
		if p.Name == m.DeadTime {
			s.dead = i
		}
		if !p.Fixed {
			s.free = append(s.free, i)
		}
	}
	for i, t := range m.Terms {
		if !t.Fixed {
			s.free = append(s.free, len(params))
		}
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
	sums := make([]int32, s.nx)
	for i := range sums {
		sums[i] = b.constant(0)
	}
	for i, t := range m.Terms {
		n := mustParse(t.Expression)
		if !t.Fixed {
			n = &node{op: opMul, a: &node{op: opLeaf, name: coefficientName(i)}, b: n}
		}
		if t.Sign < 0 {
			n = &node{op: opNeg, a: n}
		}
		r := b.add(n)
		s.term = append(s.term, r)
		k := m.state(t.State)
		sums[k] = b.emit(opAdd, sums[k], r, 0)
	}
	s.rate = sums
	contact := int32(-1)
	if _, ok := let["contact"]; ok {
		contact = b.add(let["contact"])
	}
	seen := map[int32]bool{}
	take := func(r int32) {
		if r >= 0 && b.level[r] == levelDrive && !seen[r] {
			seen[r] = true
			s.drives = append(s.drives, r)
		}
	}
	takeAll := func(code []instr) {
		for _, in := range code {
			take(in.a)
			take(in.b)
		}
	}
	state := &b.p.code[levelState]
	rates := len(*state)
	takeAll(*state)
	for _, r := range slices.Concat(s.rate, s.term) {
		take(r)
	}
	if contact >= 0 && b.level[contact] == levelDrive {
		take(contact)
		s.contact = slices.Index(s.drives, contact)
	}
	s.deriveStates(b)
	slopes := len(*state)
	takeAll((*state)[rates:])
	for _, d := range s.slopes {
		take(d.r)
	}
	if fit {
		s.deriveParams(b)
		takeAll((*state)[slopes:])
		for _, d := range s.byParam {
			take(d.r)
		}
	}
	s.prog = b.p
	for _, code := range [][]instr{b.p.code[levelParam], b.p.code[levelDrive], (*state)[:rates], (*state)[rates:slopes], (*state)[slopes:]} {
		schedule(code)
	}
	s.rateCode, s.slopeCode, s.paramCode = (*state)[:rates], (*state)[rates:slopes], (*state)[slopes:]
	s.compileStart(params, fit)
	for _, o := range m.Outputs {
		s.out = append(s.out, m.state(o.State))
	}
	return s
}

// deriveStates adds the derivatives of the rates by the states.
func (s *system) deriveStates(b *builder) {
	n := s.nx
	direct := make([]bool, n*n)
	s.decay = slices.Repeat([]int32{-1}, n)
	for i, r := range s.rate {
		for j := range n {
			if d := b.derive(r, s.state+int32(j)); d >= 0 {
				s.slopes = append(s.slopes, slope{int32(i), int32(j), d})
				direct[i*n+j] = true
				if i == j && i != StateTool && b.level[d] == levelParam {
					s.decay[i] = d
				}
			}
		}
	}
	s.findFollowers(b)
	s.into, s.all = make([][]int32, n), make([][]int32, n)
	two := make([]bool, n*n) // what two stages reach
	for i := range n {
		for j := range n {
			two[i*n+j] = i == j || direct[i*n+j]
			for k := range n {
				two[i*n+j] = two[i*n+j] || direct[i*n+k] && direct[k*n+j]
			}
		}
	}
	for i := range n {
		for j := range n {
			reached := two[i*n+j]
			for k := range n { // a follower comes after those that it follows
				reached = reached || direct[i*n+k] && two[k*n+j]
			}
			if reached {
				s.into[i] = append(s.into[i], int32(j))
			}
			s.all[i] = append(s.all[i], int32(j))
		}
	}
}

// findFollowers finds the states that follow others linearly, as a sensor does: their rates depend on
// states by what the parameters alone set, and on no other follower.
func (s *system) findFollowers(b *builder) {
	linear := make([]bool, s.nx)
	for i, r := range s.decay {
		linear[i] = r >= 0
	}
	for _, d := range s.slopes {
		if b.level[d.r] != levelParam {
			linear[d.of] = false
		}
	}
	for i := range s.nx {
		lead := !linear[i]
		for _, d := range s.slopes {
			lead = lead || int(d.of) == i && d.by != d.of && linear[d.by]
		}
		if lead {
			s.leads = append(s.leads, int32(i))
			linear[i] = false
		}
	}
	s.tail = linear
	for i, is := range linear {
		if is {
			s.tails = append(s.tails, int32(i))
		}
	}
	for _, d := range s.slopes {
		if linear[d.of] && d.by != d.of {
			s.follows = append(s.follows, d)
		}
	}
}

// deriveParams adds the derivatives of the rates by the parameters that are learned. The dead time
// acts through the drives, which change over time.
func (s *system) deriveParams(b *builder) {
	if slices.Contains(s.free, s.dead) {
		for _, d := range s.drives {
			dot := b.reg(levelState)
			s.dots = append(s.dots, dot)
			b.seeds[[2]int32{d, s.param + int32(s.dead)}] = b.emit(opNeg, dot, -1, 0)
		}
	}
	for i, r := range s.rate {
		for lane, p := range s.free {
			if d := b.derive(r, s.param+int32(p)); d >= 0 {
				s.byParam = append(s.byParam, slope{int32(i), int32(lane), d})
			}
		}
	}
	for _, f := range s.follows {
		for lane, p := range s.free {
			if d := b.derive(f.r, s.param+int32(p)); d >= 0 {
				s.followParam = append(s.followParam, followSlope{f.of, f.by, int32(lane), d})
			}
		}
	}
	for i, r := range s.decay {
		for lane, p := range s.free {
			if r >= 0 {
				if d := b.derive(r, s.param+int32(p)); d >= 0 {
					s.decayParam = append(s.decayParam, slope{int32(i), int32(lane), d})
				}
			}
		}
	}
}

// compileStart makes the program of the first states.
func (s *system) compileStart(params []string, fit bool) {
	b := newBuilder(params, []string{startSymbol}, nil, nil)
	for _, x := range s.m.States {
		s.first = append(s.first, b.add(mustParse(x.Start)))
	}
	if fit {
		for i, r := range s.first {
			for lane, p := range s.free {
				if d := b.derive(r, int32(p)); d >= 0 {
					s.startParam = append(s.startParam, slope{int32(i), int32(lane), d})
				}
			}
		}
	}
	s.start = b.p
}

func coefficientName(i int) string { return fmt.Sprintf("coefficient_%d_", i) }

func mustUnit(name string) unit.Unit {
	u, err := ParseUnit(name)
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
	eval(s.rateCode, v)
	for i, r := range s.rate {
		dst[i] = v[r]
	}
}

// begin works out the first states from parameters theta and the first reading (SI).
func (s *system) begin(v, theta []float64, reading float64, x []float64) {
	copy(v, s.start.start)
	copy(v, theta)
	v[s.np] = reading
	for _, code := range s.start.code {
		eval(code, v)
	}
	for i, r := range s.first {
		x[i] = v[r]
	}
}

// scratch is what stepping needs; one per goroutine and set of parameters.
type scratch struct {
	k1, k2, x1 []float64
	j, f, fp   []float64 // of a step's Jacobian

	// Of steps of h seconds, by state: what its rate depends on the state itself (1/s, 0 where that is
	// not the parameters' alone), and h·φ₁, h·φ₂ of that times h.
	h               float64
	decay, ph1, ph2 []float64
	moved           []float64
}

func (s *system) scratch() *scratch {
	n := s.nx
	return &scratch{
		k1: make([]float64, n), k2: make([]float64, n), x1: make([]float64, n),
		j: make([]float64, n*n), f: make([]float64, n*n), fp: make([]float64, n*n),
		decay: make([]float64, n), ph1: make([]float64, n), ph2: make([]float64, n), moved: make([]float64, n),
	}
}

// pace makes w ready for steps of h seconds with the parameters in v.
func (s *system) pace(w *scratch, v []float64, h float64) {
	if w.h == h {
		return
	}
	w.h = h
	for i, r := range s.decay {
		w.decay[i], w.ph1[i], w.ph2[i] = 0, h, h/2
		if r >= 0 {
			w.decay[i] = v[r]
			p1, p2, _ := phi(v[r] * h)
			w.ph1[i], w.ph2[i] = h*p1, h*p2
		}
	}
}

// phi gives φ₁(z) = (eᶻ − 1)/z, φ₂(z) = (φ₁(z) − 1)/z, and the derivative of φ₂; that of φ₁ is φ₁ − φ₂.
func phi(z float64) (p1, p2, slope2 float64) {
	if math.Abs(z) < 0.02 { // the quotients lose digits there
		p2 = 0.5 + z*(1.0/6+z*(1.0/24+z*(1.0/120+z/720)))
		return 1 + z*p2, p2, 1.0/6 + z*(1.0/12+z*(1.0/40+z/180))
	}
	p1 = math.Expm1(z) / z
	p2 = (p1 - 1) / z
	return p1, p2, (p1 - 2*p2) / z
}

// step moves x by h seconds under the drives that act in v: the exponential Runge-Kutta rule ETD2RK
// (Cox and Matthews, J. Comput. Phys. 176, 2002, eqs. 20 to 22) by state. What decays at a rate that
// the parameters alone set (memories, sensor lags) is exact for any h; the rest, and always the first state, is
// Heun's rule. Followers come last, so that they follow what the others became.
func (s *system) step(w *scratch, v, x []float64, h float64) {
	s.pace(w, v, h)
	s.rates(w.k1, v, x)
	s.finish(w, v, x)
}

// finish is the second stage of a step.
func (s *system) finish(w *scratch, v, x []float64) {
	for i := range x {
		w.x1[i] = x[i] + w.ph1[i]*w.k1[i]
	}
	s.rates(w.k2, v, w.x1)
	s.settle(w, v, w.k1, w.k2, w.x1, x)
}

// settle makes of x the states at the end of a step from the rates k1 at x and k2 at x1, and leaves in
// w.moved how far those that are no followers came.
func (s *system) settle(w *scratch, v, k1, k2, x1, x []float64) {
	for _, i := range s.leads {
		moved := x1[i] - x[i]
		moved += w.ph2[i] * (k2[i] - k1[i] - w.decay[i]*moved)
		x[i] += moved
		w.moved[i] = moved
	}
	for _, i := range s.tails {
		x[i] = x1[i]
	}
	for _, d := range s.follows {
		x[d.of] += w.ph2[d.of] * v[d.r] * w.moved[d.by]
	}
}

// stepCov is step for x and its covariance p (nx × nx): p = F·p·Fᵀ + Q·h.
func (s *system) stepCov(w *scratch, v, x, p []float64, h float64) {
	s.pace(w, v, h)
	s.rates(w.k1, v, x)
	eval(s.slopeCode, v)
	s.spreadCov(w, v, w.k1, p, h)
	s.finish(w, v, x)
}

// spreadCov is p = F·p·Fᵀ + Q·h with the Jacobian of a step taken at its first stage, whose slopes are
// in v, and the rates k there.
func (s *system) spreadCov(w *scratch, v, k, p []float64, h float64) {
	s.jacobian(w, v)
	s.propagate(w, k, p, h, s.into)
}

// jacobian is that of a step at the pace of w, into w.f: with A = φ₁h·J and the decays C, it is
// F = I + A + φ₂h·(J − C)·A, and of followers F = I + A + φ₂h·(J − C)·(F − I).
func (s *system) jacobian(w *scratch, v []float64) {
	n := s.nx
	f, j := w.f, w.j // j holds A
	clear(f)
	for _, d := range s.slopes {
		a := w.ph1[d.of] * v[d.r]
		j[int(d.of)*n+int(d.by)] = a
		f[int(d.of)*n+int(d.by)] = a
	}
	for _, d := range s.slopes {
		a := v[d.r]
		if d.of == d.by {
			a -= w.decay[d.of]
		}
		if a *= w.ph2[d.of]; a == 0 || s.tail[d.of] {
			continue
		}
		to, from := f[int(d.of)*n:int(d.of+1)*n], j[int(d.by)*n:int(d.by+1)*n]
		for i, x := range from {
			to[i] += a * x
		}
	}
	for _, d := range s.follows {
		a := w.ph2[d.of] * v[d.r]
		to, from := f[int(d.of)*n:int(d.of+1)*n], f[int(d.by)*n:int(d.by+1)*n]
		for i, x := range from {
			to[i] += a * x
		}
	}
	for i := range n {
		f[i*n+i]++
	}
}

// square is w.f times itself.
func (s *system) square(w *scratch) {
	n := s.nx
	f, out := w.f, w.fp
	for i := range n {
		row := out[i*n : (i+1)*n]
		clear(row)
		for k, a := range f[i*n : (i+1)*n] {
			if a == 0 {
				continue
			}
			for j, x := range f[k*n : (k+1)*n] {
				row[j] += a * x
			}
		}
	}
	w.f, w.fp = out, f
}

// propagate is p = F·p·Fᵀ + Q·h with F in w.f, whose rows have entries at the columns of into.
func (s *system) propagate(w *scratch, k, p []float64, h float64, into [][]int32) {
	n := s.nx
	f, fp := w.f, w.fp
	for i, from := range into {
		row := fp[i*n : (i+1)*n]
		a := f[i*n+int(from[0])]
		first := p[int(from[0])*n:][:len(row)]
		for j := range row {
			row[j] = a * first[j]
		}
		for _, k := range from[1:] {
			a, next := f[i*n+int(k)], p[int(k)*n:][:len(row)]
			for j := range row {
				row[j] += a * next[j]
			}
		}
	}
	for i := range n {
		a := fp[i*n : (i+1)*n]
		for j := range i + 1 {
			row := f[j*n:][:len(a)]
			sum := 0.0
			if len(into[j]) == len(a) {
				for k, v := range row {
					sum += v * a[k]
				}
			} else {
				for _, k := range into[j] {
					sum += row[k] * a[k]
				}
			}
			p[i*n+j], p[j*n+i] = sum, sum
		}
		share := s.share[i] * k[i]
		p[i*n+i] += (s.noise[i]*s.noise[i] + share*share) * h
	}
}

// A forecast counts its covariance in two steps at a time once it is farAfter s ahead: there it moves
// slowly, and nothing else costs as much.
const farAfter = 10.0

// leap is step for x, while p moves by two steps with the slopes at its beginning.
func (s *system) leap(w *scratch, v, x, p []float64, h float64) {
	s.pace(w, v, h)
	s.rates(w.k1, v, x)
	eval(s.slopeCode, v)
	s.jacobian(w, v)
	s.square(w)
	s.propagate(w, w.k1, p, 2*h, s.all)
	s.finish(w, v, x)
}

// maxStep is the longest step of integration, s: a row of a log that writes once a second, give or
// take.
const maxStep = 1.25

// steps is into how many steps a time is cut.
func steps(dt float64) int { return max(1, int(math.Ceil(dt/maxStep-1e-9))) }
