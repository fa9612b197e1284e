package system

import (
	"math"

	"stirwatch/dynamics/expr"
)

// Stepper moves the states of a system: registers and scratch for one goroutine and one set of
// parameters, those of the document unless [Stepper.Load] says others. Nothing in it allocates.
type Stepper struct {
	s     *System
	v     []float64 // registers of the rates
	first []float64 // and of the start

	k1, k2, x1 []float64
	j, f, fp   []float64 // of a step's Jacobian

	// Of steps of h seconds, by state: what its rate depends on the state itself (1/s, 0 where that is
	// not the parameters' alone), and h·φ₁, h·φ₂ of that times h.
	h               float64
	decay, ph1, ph2 []float64
	moved           []float64
}

// Stepper makes one with the parameters of the document.
func (s *System) Stepper() *Stepper {
	n := s.NX
	r := &Stepper{
		s: s, v: make([]float64, s.prog.Regs), first: make([]float64, s.start.Regs),
		k1: make([]float64, n), k2: make([]float64, n), x1: make([]float64, n),
		j: make([]float64, n*n), f: make([]float64, n*n), fp: make([]float64, n*n),
		decay: make([]float64, n), ph1: make([]float64, n), ph2: make([]float64, n), moved: make([]float64, n),
	}
	copy(r.v, s.prog.Start)
	r.Load(s.Theta)
	return r
}

// Load puts parameters theta (System.NP of them, SI) in place.
func (r *Stepper) Load(theta []float64) {
	s := r.s
	copy(r.v[s.param:], theta[:s.NP])
	expr.Eval(s.prog.Code[expr.LevelParam], r.v)
	copy(r.first, s.start.Start)
	copy(r.first, theta[:s.NP])
	r.h = 0
}

// Drives is the number of drives: what the states take of the inputs.
func (s *System) Drives() int { return len(s.drives) }

// Drive works out from inputs u (in the units of the model) what the states take of them, into dst
// (Drives long).
func (r *Stepper) Drive(dst, u []float64) {
	s, v := r.s, r.v
	for i, x := range u {
		v[int(s.input)+i] = s.inputUnit[i].SI(x)
	}
	expr.Eval(s.prog.Code[expr.LevelDrive], v)
	for i, reg := range s.drives {
		dst[i] = v[reg]
	}
}

// Act lets drives d act on the states from now on.
func (r *Stepper) Act(d []float64) {
	for i, reg := range r.s.drives {
		r.v[reg] = d[i]
	}
}

// Rates works out dx/dt (SI per s) at x under the drives that act.
func (r *Stepper) Rates(dst, x []float64) {
	s, v := r.s, r.v
	copy(v[s.state:], x)
	expr.Eval(s.rateCode, v)
	for i, reg := range s.rate {
		dst[i] = v[reg]
	}
}

// Term is what term i of the document adds to its state's rate (SI per s) where [Stepper.Rates] was
// last asked.
func (r *Stepper) Term(i int) float64 { return r.v[r.s.term[i]] }

// Begin works out the first states x from readings by output (SI): those that [System.Begins] of the leading
// output as the document says, for which its reading must be known; those of the others from their
// readings, or as the document says where these are NaN.
func (r *Stepper) Begin(x, readings []float64) {
	s, v := r.s, r.first
	v[s.NP] = readings[s.Leading]
	for _, code := range s.start.Code {
		expr.Eval(code, v)
	}
	for i, reg := range s.first {
		x[i] = v[reg]
	}
	for o, z := range readings {
		if o != s.Leading && !math.IsNaN(z) {
			r.BeginOther(x, o, z)
		}
	}
}

// BeginOther sets the states in x that output o, not the leading one, starts: to its reading (SI).
func (r *Stepper) BeginOther(x []float64, o int, reading float64) {
	for _, state := range r.s.Begins[o] {
		x[state] = reading
	}
}

// pace makes ready for steps of h seconds.
func (r *Stepper) pace(h float64) {
	if r.h == h {
		return
	}
	r.h = h
	for i, reg := range r.s.decay {
		r.decay[i], r.ph1[i], r.ph2[i] = 0, h, h/2
		if reg >= 0 {
			r.decay[i] = r.v[reg]
			p1, p2, _ := phi(r.v[reg] * h)
			r.ph1[i], r.ph2[i] = h*p1, h*p2
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

// Step moves x by h seconds under the drives that act: the exponential Runge-Kutta rule ETD2RK
// (Cox and Matthews, J. Comput. Phys. 176, 2002, eqs. 20 to 22) by state. What decays at a rate that
// the parameters alone set (memories, sensor lags) is exact for any h; the rest, and always the first state, is
// Heun's rule. Followers come last, so that they follow what the others became.
func (r *Stepper) Step(x []float64, h float64) {
	r.pace(h)
	r.Rates(r.k1, x)
	r.finish(x)
}

// StepStages is Step that calls stage after the rates of each of its two stages, so that [Stepper.Term]
// tells what each term did there: the first state moves by h/2 of either.
func (r *Stepper) StepStages(x []float64, h float64, stage func()) {
	r.pace(h)
	r.Rates(r.k1, x)
	stage()
	r.finish(x)
	stage()
}

// finish is the second stage of a step.
func (r *Stepper) finish(x []float64) {
	for i := range x {
		r.x1[i] = x[i] + r.ph1[i]*r.k1[i]
	}
	r.Rates(r.k2, r.x1)
	r.settle(r.k1, r.k2, r.x1, x)
}

// settle makes of x the states at the end of a step from the rates k1 at x and k2 at x1, and leaves in
// r.moved how far those that are no followers came.
func (r *Stepper) settle(k1, k2, x1, x []float64) {
	s := r.s
	for _, i := range s.leads {
		moved := x1[i] - x[i]
		moved += r.ph2[i] * (k2[i] - k1[i] - r.decay[i]*moved)
		x[i] += moved
		r.moved[i] = moved
	}
	for _, i := range s.tails {
		x[i] = x1[i]
	}
	for _, d := range s.follows {
		x[d.of] += r.ph2[d.of] * r.v[d.r] * r.moved[d.by]
	}
}

// StepCov is Step for x and its covariance p (NX × NX): p = F·p·Fᵀ + Q·h.
func (r *Stepper) StepCov(x, p []float64, h float64) {
	r.pace(h)
	r.Rates(r.k1, x)
	expr.Eval(r.s.slopeCode, r.v)
	r.propagateCovariance(r.k1, p, h)
	r.finish(x)
}

// propagateCovariance is p = F·p·Fᵀ + Q·h with the Jacobian of a step taken at its first stage, whose
// slopes are in the registers, and the rates k there.
func (r *Stepper) propagateCovariance(k, p []float64, h float64) {
	r.jacobian()
	r.propagate(p, r.s.into)
	r.disturb(k, p, h)
}

// jacobian is that of a step at the present pace, into r.f: with A = φ₁h·J and the decays C, it is
// F = I + A + φ₂h·(J − C)·A, and of followers F = I + A + φ₂h·(J − C)·(F − I).
func (r *Stepper) jacobian() {
	s, v := r.s, r.v
	n := s.NX
	f, j := r.f, r.j // j holds A
	clear(f)
	for _, d := range s.slopes {
		a := r.ph1[d.of] * v[d.r]
		j[int(d.of)*n+int(d.by)] = a
		f[int(d.of)*n+int(d.by)] = a
	}
	for _, d := range s.slopes {
		a := v[d.r]
		if d.of == d.by {
			a -= r.decay[d.of]
		}
		if a *= r.ph2[d.of]; a == 0 || s.tail[d.of] {
			continue
		}
		to, from := f[int(d.of)*n:int(d.of+1)*n], j[int(d.by)*n:int(d.by+1)*n]
		for i, x := range from {
			to[i] += a * x
		}
	}
	for _, d := range s.follows {
		a := r.ph2[d.of] * v[d.r]
		to, from := f[int(d.of)*n:int(d.of+1)*n], f[int(d.by)*n:int(d.by+1)*n]
		for i, x := range from {
			to[i] += a * x
		}
	}
	for i := range n {
		f[i*n+i]++
	}
}

// square makes of r.f the Jacobian of twice as many steps.
func (r *Stepper) square() {
	n := r.s.NX
	f, out := r.f, r.fp
	for i, from := range r.s.reach {
		row := out[i*n : (i+1)*n]
		clear(row)
		for _, k := range from {
			a, next := f[i*n+int(k)], f[int(k)*n:][:len(row)]
			for j, x := range next {
				row[j] += a * x
			}
		}
	}
	r.f, r.fp = out, f
}

// propagate is p = F·p·Fᵀ with F in r.f, whose rows have entries at the columns of into. What is symmetric is summed
// over the shorter of two rows: memories take little but themselves.
func (r *Stepper) propagate(p []float64, into [][]int32) {
	n := r.s.NX
	f, fp := r.f, r.fp
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
		for j := range i + 1 {
			long, short := i, j
			if len(into[i]) < len(into[j]) {
				long, short = j, i
			}
			sum := along(f[short*n:(short+1)*n], fp[long*n:(long+1)*n], into[short])
			p[i*n+j], p[j*n+i] = sum, sum
		}
	}
}

// disturb is p + Q·h, the rates being k.
func (r *Stepper) disturb(k, p []float64, h float64) {
	s := r.s
	for i, noise := range s.noise {
		share := s.share[i] * k[i]
		p[i*s.NX+i] += (noise*noise + share*share) * h
	}
}

// along is the product of a row that has entries at the columns of at with another.
func along(row, by []float64, at []int32) (sum float64) {
	if 2*len(at) > len(row) { // to pass over few that are zero costs more than to add them
		by = by[:len(row)]
		for k, v := range row {
			sum += v * by[k]
		}
		return sum
	}
	for _, k := range at {
		sum += row[k] * by[k]
	}
	return sum
}

// StepLeap is Step for x, while its covariance p moves by 2 to the power doubled steps with the slopes at the beginning of
// this one: far ahead a covariance moves slowly, and nothing else costs as much. Half of the noise acts before, half after.
// The steps that it leaps over must be plain [Stepper.Step].
func (r *Stepper) StepLeap(x, p []float64, h float64, doubled int) {
	r.pace(h)
	r.Rates(r.k1, x)
	expr.Eval(r.s.slopeCode, r.v)
	r.jacobian()
	for range doubled {
		r.square()
	}
	half := h * float64(int(1)<<doubled) / 2
	r.disturb(r.k1, p, half)
	r.propagate(p, r.s.reach)
	r.disturb(r.k1, p, half)
	r.finish(x)
}

// maxStep is the longest step of integration, s: a row of a log that writes once a second, give or
// take.
const maxStep = 1.25

// Steps is into how many steps of integration a time of dt seconds is cut.
func Steps(dt float64) int { return max(1, int(math.Ceil(dt/maxStep-1e-9))) }

// Between gives the mean drives from one instant to another, by two points of at; half is scratch.
func Between(dst, half []float64, at func(d []float64, instant float64), from, to float64) {
	at(dst, from+0.25*(to-from))
	at(half, from+0.75*(to-from))
	for i, v := range half {
		dst[i] = 0.5 * (dst[i] + v)
	}
}
