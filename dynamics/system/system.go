// Package system makes a model ready for arithmetic: compiled rates, steps of integration, covariance and
// sensitivities, all in SI units.
package system

import (
	"fmt"
	"slices"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/sensors/unit"
)

// System is a model compiled for arithmetic: immutable, shareable. All values in it are in SI units.
type System struct {
	Model *model.Model
	prog  expr.Program
	start expr.Program // of the first states: parameters, then the reading

	NX, NU, NP int // states, inputs, parameters (coefficients of terms behind the others)

	// The code of the state level: the rates, their derivatives by states, and those by parameters.
	rateCode, slopeCode, paramCode []expr.Instruction

	param, input, state int32   // first registers of each
	drives              []int32 // registers that the state code takes from inputs: what varies from row to row
	rate                []int32 // by state
	term                []int32 // by term, with sign and coefficient
	first               []int32 // by state, in start
	Contact             int     // index of the definition "contact" among the drives, −1 without one
	dead                int     // index of the dead time among the parameters, −1 without one

	slopes []slope // ∂rate/∂state
	// By state: register of ∂rate/∂itself where that depends on parameters alone, else −1. Never of the
	// first state or one that an output is about, so that its change is the sum of its terms by Heun's rule.
	decay   []int32
	follows []slope   // of followers: ∂rate/∂(other states)
	leads   []int32   // the states that are no followers
	tails   []int32   // and those that are
	tail    []bool    // by state
	into    [][]int32 // by state: the states of before that a step's Jacobian takes
	reach   [][]int32 // and that of any number of steps

	// Free are the parameters that are learned: the lanes of a [Flow]. Of a shared coefficient it is that of the first
	// term that has it.
	Free []int
	// Of a system for fitting:
	byParam     []slope // ∂rate/∂parameter: of is a state, by a lane
	startParam  []slope // ∂start/∂parameter, in start
	decayParam  []slope // ∂decay/∂parameter
	followParam []followSlope
	dots        []int32 // by drive of the rates: register of its slope over time; nil without a dead time to learn

	Theta         []float64   // parameters, then coefficients
	inputUnit     []unit.Unit // by input
	Scale, Offset []float64   // by state: the state in its unit is (SI − Offset)/Scale
	Out           []int       // by output: the state that it shows
	Observed      []int       // by output: the state that it is about, see [model.Model.Observed]
	Order         []int       // the outputs in the order of [model.Model.OutputOrder]
	Leading       int         // the first of them
	Of            []int       // by term: the state that it acts on
	Begins        [][]int     // by output: the states that its first reading starts, see findStarts
	noise, share  []float64   // by state
	StartVar      []float64   // by state: variance of its start
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

// Compile makes the model ready for arithmetic. The model must have passed Check.
func Compile(m *model.Model) *System { return compile(m, false) }

// CompileForFit is Compile with all that a [Flow] needs: the derivatives by the free parameters.
func CompileForFit(m *model.Model) *System { return compile(m, true) }

func compile(m *model.Model, fit bool) *System {
	s := &System{Model: m, NX: len(m.States), NU: len(m.Inputs), Contact: -1, dead: -1}
	params, inputs, states := s.layOut()
	let := map[string]*expr.Node{}
	for _, d := range m.Definitions {
		let[d.Name] = expr.MustParse(d.Expression)
	}
	b := expr.NewBuilder(params, inputs, states, let)
	s.param, s.input, s.state = 0, int32(s.NP), int32(s.NP+s.NU)
	s.addRates(b)
	contact := int32(-1)
	if _, ok := let["contact"]; ok {
		contact = b.Add(let["contact"])
	}
	seen := map[int32]bool{}
	take := func(r int32) {
		if r >= 0 && b.Level(r) == expr.LevelDrive && !seen[r] {
			seen[r] = true
			s.drives = append(s.drives, r)
		}
	}
	takeAll := func(code []expr.Instruction) {
		for _, in := range code {
			take(in.A)
			take(in.B)
		}
	}
	state := &b.Program.Code[expr.LevelState]
	rates := len(*state)
	takeAll(*state)
	for _, r := range slices.Concat(s.rate, s.term) {
		take(r)
	}
	if contact >= 0 && b.Level(contact) == expr.LevelDrive {
		take(contact)
		s.Contact = slices.Index(s.drives, contact)
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
	s.prog = b.Program
	for _, code := range [][]expr.Instruction{b.Program.Code[expr.LevelParam], b.Program.Code[expr.LevelDrive], (*state)[:rates], (*state)[rates:slopes], (*state)[slopes:]} {
		expr.Schedule(code)
	}
	s.rateCode, s.slopeCode, s.paramCode = (*state)[:rates], (*state)[rates:slopes], (*state)[slopes:]
	s.compileStart(params, fit)
	s.findStarts()
	return s
}

// layOut gives every number its place, and the symbols of parameters (with coefficients), inputs and states in that order.
func (s *System) layOut() (params, inputs, states []string) {
	m := s.Model
	for i, p := range m.Parameters {
		params = append(params, p.Name)
		s.Theta = append(s.Theta, expr.MustUnit(p.Unit).SI(p.Value))
		if p.Name == m.DeadTime {
			s.dead = i
		}
		if !p.Fixed {
			s.Free = append(s.Free, i)
		}
	}
	for i, t := range m.Terms {
		if !t.Fixed && m.Sharing(i) == i {
			s.Free = append(s.Free, len(params))
		}
		params = append(params, coefficientName(i))
		s.Theta = append(s.Theta, expr.MustUnit(t.Unit).Scale*t.Coefficient)
	}
	for _, in := range m.Inputs {
		inputs = append(inputs, in.Symbol)
		s.inputUnit = append(s.inputUnit, expr.MustUnit(in.Unit))
	}
	for _, x := range m.States {
		u := expr.MustUnit(x.Unit)
		states = append(states, x.Symbol)
		s.Scale, s.Offset = append(s.Scale, u.Scale), append(s.Offset, u.Offset)
		s.noise, s.share = append(s.noise, u.Scale*x.Noise), append(s.share, x.NoiseShare)
		s.StartVar = append(s.StartVar, u.Scale*x.StartSD*u.Scale*x.StartSD)
	}
	s.NP = len(params)
	for o := range m.Outputs {
		s.Out = append(s.Out, m.StateIndex(m.Outputs[o].State))
		s.Observed = append(s.Observed, m.StateIndex(m.Observed(o)))
	}
	s.Order = m.OutputOrder()
	s.Leading = s.Order[0]
	return params, inputs, states
}

// addRates adds the terms, and their sum for each state.
func (s *System) addRates(b *expr.Builder) {
	sums := make([]int32, s.NX)
	for i := range sums {
		sums[i] = b.Constant(0)
	}
	for i, t := range s.Model.Terms {
		n := expr.MustParse(t.Expression)
		if !t.Fixed {
			n = expr.Times(expr.Symbol(coefficientName(s.Model.Sharing(i))), n)
		}
		if t.Sign < 0 {
			n = n.Negative()
		}
		r := b.Add(n)
		s.term = append(s.term, r)
		k := s.Model.StateIndex(t.State)
		s.Of = append(s.Of, k)
		sums[k] = b.Emit(expr.OpAdd, sums[k], r, 0)
	}
	s.rate = sums
}

// deriveStates adds the derivatives of the rates by the states.
func (s *System) deriveStates(b *expr.Builder) {
	n := s.NX
	direct := make([]bool, n*n) // what a stage takes: a state itself, and what its rate depends on
	s.decay = slices.Repeat([]int32{-1}, n)
	for i, r := range s.rate {
		direct[i*n+i] = true
		for j := range n {
			if d := b.Derive(r, s.state+int32(j)); d >= 0 {
				s.slopes = append(s.slopes, slope{int32(i), int32(j), d})
				direct[i*n+j] = true
				if i == j && i != model.StateTool && !slices.Contains(s.Observed, i) && b.Level(d) == expr.LevelParam {
					s.decay[i] = d
				}
			}
		}
	}
	s.findFollowers(b)
	stages := through(direct, direct, n)
	step := through(direct, stages, n) // a follower comes after those that it follows
	ever := step
	for range n {
		ever = through(ever, step, n)
	}
	s.into, s.reach = columns(step, n), columns(ever, n)
}

// through tells which states (n × n: of, by) are reached by a after b.
func through(a, b []bool, n int) []bool {
	out := make([]bool, n*n)
	for i := range n {
		for j := range n {
			for k := range n {
				out[i*n+j] = out[i*n+j] || a[i*n+k] && b[k*n+j]
			}
		}
	}
	return out
}

// columns are those that are set, by row of an n × n matrix.
func columns(set []bool, n int) [][]int32 {
	out := make([][]int32, n)
	for at, is := range set {
		if is {
			out[at/n] = append(out[at/n], int32(at%n))
		}
	}
	return out
}

// findFollowers finds the states that follow others linearly, as a sensor does: their rates depend on
// states by what the parameters alone set, and on no other follower.
func (s *System) findFollowers(b *expr.Builder) {
	linear := make([]bool, s.NX)
	for i, r := range s.decay {
		linear[i] = r >= 0
	}
	for _, d := range s.slopes {
		if b.Level(d.r) != expr.LevelParam {
			linear[d.of] = false
		}
	}
	for i := range s.NX {
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

// findStarts tells which output starts which state. An output starts the state that it shows, and
// where that is a sensor the state that the sensor shows. Where two could start one the first of Order does, and
// the leading output starts all that no other says anything about.
func (s *System) findStarts() {
	by := slices.Repeat([]int{-1}, s.NX)
	claim := func(state, output int) {
		if by[state] < 0 {
			by[state] = output
		}
	}
	for _, o := range s.Order {
		claim(s.Out[o], o)
	}
	for _, o := range s.Order {
		claim(s.Observed[o], o)
	}
	s.Begins = make([][]int, len(s.Out))
	for state := range by {
		claim(state, s.Leading)
		s.Begins[by[state]] = append(s.Begins[by[state]], state)
	}
}

// deriveParams adds the derivatives of the rates by the parameters that are learned. The dead time
// acts through the drives, which change over time.
func (s *System) deriveParams(b *expr.Builder) {
	if slices.Contains(s.Free, s.dead) {
		for _, d := range s.drives {
			dot := b.Register(expr.LevelState)
			s.dots = append(s.dots, dot)
			b.Seed(d, s.param+int32(s.dead), b.Emit(expr.OpNeg, dot, -1, 0))
		}
	}
	for i, r := range s.rate {
		for lane, p := range s.Free {
			if d := b.Derive(r, s.param+int32(p)); d >= 0 {
				s.byParam = append(s.byParam, slope{int32(i), int32(lane), d})
			}
		}
	}
	for _, f := range s.follows {
		for lane, p := range s.Free {
			if d := b.Derive(f.r, s.param+int32(p)); d >= 0 {
				s.followParam = append(s.followParam, followSlope{f.of, f.by, int32(lane), d})
			}
		}
	}
	for i, r := range s.decay {
		for lane, p := range s.Free {
			if r >= 0 {
				if d := b.Derive(r, s.param+int32(p)); d >= 0 {
					s.decayParam = append(s.decayParam, slope{int32(i), int32(lane), d})
				}
			}
		}
	}
}

// compileStart makes the program of the first states.
func (s *System) compileStart(params []string, fit bool) {
	b := expr.NewBuilder(params, []string{model.StartSymbol}, nil, nil)
	for _, x := range s.Model.States {
		s.first = append(s.first, b.Add(expr.MustParse(x.Start)))
	}
	if fit {
		for i, r := range s.first {
			for lane, p := range s.Free {
				if d := b.Derive(r, int32(p)); d >= 0 {
					s.startParam = append(s.startParam, slope{int32(i), int32(lane), d})
				}
			}
		}
	}
	s.start = b.Program
}

func coefficientName(i int) string { return fmt.Sprintf("coefficient_%d_", i) }

// DeadTime is the time from inputs to their effect, s, of the document.
func (s *System) DeadTime() float64 {
	if s.dead < 0 {
		return 0
	}
	return s.Theta[s.dead]
}

// SetNoise takes over the noise of the states of m, which has the same states. Not while the system is
// shared.
func (s *System) SetNoise(m *model.Model) {
	for i, x := range m.States {
		s.noise[i], s.share[i] = x.Noise*s.Scale[i], x.NoiseShare
	}
}
