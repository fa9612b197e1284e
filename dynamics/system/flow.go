package system

import (
	"math"

	"gonum.org/v1/gonum/floats"

	"stirwatch/dynamics/expr"
)

// Course is what drives a run: the drives at its instants T (s, rising), rows × [System.Drives].
type Course struct {
	T     []float64
	Drive []float64
}

// Flow is a [Stepper] that also carries the derivatives of the states by what is learned, one lane each
// (forward sensitivities): first the free parameters, then the starts of hidden states. Sensitivities
// are states × lanes.
type Flow struct {
	Stepper
	n      int   // lanes
	hidden []int // states whose start has a lane of its own

	k, dk  []float64 // rates at both stages of a step, and their derivatives
	xe, se []float64 // states and derivatives at the second stage
	sm     []float64 // of a step: how the derivatives of states that are no followers moved
	d1, d2 []float64 // by state: h²·φ₁' and h²·φ₂' at the present pace
	paced  float64   // h that they are of
}

// Flow makes one with parameters theta (NP of them, SI) and lanes for the free parameters, and for the
// starts of the states in hidden. Of a system not compiled for a fit it has no lanes.
func (s *System) Flow(theta []float64, lanes int, hidden []int) *Flow {
	q := &Flow{
		Stepper: *s.Stepper(), n: lanes, hidden: hidden,
		k: make([]float64, 2*s.NX), dk: make([]float64, 2*s.NX*lanes), xe: make([]float64, s.NX),
		se: make([]float64, s.NX*lanes), sm: make([]float64, s.NX*lanes),
		d1: make([]float64, s.NX), d2: make([]float64, s.NX),
	}
	q.Load(theta)
	return q
}

// Begin sets the first states x as [Stepper.Begin] does and how they depend on the lanes; start is how far
// the hidden states are from there, nil: not at all, and of no lane.
func (q *Flow) Begin(x, sens, readings, start []float64) {
	s := q.s
	q.Stepper.Begin(x, readings)
	for h, v := range start {
		x[q.hidden[h]] += v
	}
	clear(sens)
	if q.n == 0 {
		return
	}
	for _, d := range s.startParam {
		sens[int(d.of)*q.n+int(d.by)] = q.first[d.r]
	}
	if shared := len(s.Free); q.n > shared {
		for h := range start {
			sens[q.hidden[h]*q.n+shared+h] = 1
		}
	}
	for o, z := range readings {
		if o != s.Leading && !math.IsNaN(z) {
			q.measured(sens, o)
		}
	}
}

// BeginOther is [Stepper.BeginOther] with the derivatives: what is measured depends on no lane.
func (q *Flow) BeginOther(x, sens []float64, o int, reading float64) {
	q.Stepper.BeginOther(x, o, reading)
	q.measured(sens, o)
}

func (q *Flow) measured(sens []float64, o int) {
	if q.n > 0 {
		for _, state := range q.s.Begins[o] {
			clear(sens[state*q.n : (state+1)*q.n])
		}
	}
}

// Act puts the drives between two instants of a course into the registers: the mean of two points of
// the straight lines between rows, the dead time before. hint is the row to look from, and is moved.
func (q *Flow) Act(c *Course, from, to float64, hint *int) {
	s := q.s
	nd := len(s.drives)
	dead := 0.0
	if s.dead >= 0 {
		dead = q.v[s.dead]
	}
	var sides [2]struct {
		a, b    []float64 // drives of the rows before and after
		w, perS float64   // share of the second, and by how much that rises
	}
	for n := range sides {
		at := from + (0.25+0.5*float64(n))*(to-from) - dead
		k := *hint
		for k > 0 && c.T[k] > at {
			k--
		}
		for k+2 < len(c.T) && c.T[k+1] <= at {
			k++
		}
		*hint = k
		side := &sides[n]
		if k+1 < len(c.T) {
			side.perS = 1 / (c.T[k+1] - c.T[k])
			side.w = (at - c.T[k]) * side.perS
			if side.w <= 0 || side.w >= 1 {
				side.w = min(1, max(0, side.w))
				side.perS = 0
			}
		}
		side.a = c.Drive[k*nd : (k+1)*nd]
		side.b = side.a
		if side.w > 0 {
			side.b = c.Drive[(k+1)*nd : (k+2)*nd]
		}
	}
	x, y := &sides[0], &sides[1]
	a, b, d, e := x.a[:nd], x.b[:nd], y.a[:nd], y.b[:nd]
	for i, reg := range s.drives[:nd] {
		q.v[reg] = 0.5*(a[i]+x.w*(b[i]-a[i])) + 0.5*(d[i]+y.w*(e[i]-d[i]))
	}
	for i, reg := range s.dots {
		q.v[reg] = 0.5*(b[i]-a[i])*x.perS + 0.5*(e[i]-d[i])*y.perS
	}
}

// stage works out dx/dt and its derivatives into slot 0 or 1.
func (q *Flow) stage(slot int, x, sens []float64) {
	s, n := q.s, q.n
	q.Rates(q.k[slot*s.NX:(slot+1)*s.NX], x)
	if n == 0 {
		return
	}
	expr.Eval(s.slopeCode, q.v)
	expr.Eval(s.paramCode, q.v)
	dk := q.dk[slot*s.NX*n : (slot+1)*s.NX*n]
	clear(dk)
	for _, d := range s.slopes {
		floats.AddScaled(dk[int(d.of)*n:int(d.of+1)*n], q.v[d.r], sens[int(d.by)*n:int(d.by+1)*n])
	}
	for _, d := range s.byParam {
		dk[int(d.of)*n+int(d.by)] += q.v[d.r]
	}
}

// paceLanes is pace, and for the derivatives.
func (q *Flow) paceLanes(h float64) {
	q.pace(h)
	if q.n == 0 || q.paced == h {
		return
	}
	q.paced = h
	for i, c := range q.decay {
		p1, p2, slope2 := phi(c * h)
		q.d1[i], q.d2[i] = h*h*(p1-p2), h*h*slope2
	}
}

// Step is [Stepper.Step] with derivatives, and with the covariance p where it is not nil.
func (q *Flow) Step(x, sens, p []float64, h float64) {
	s, n := q.s, q.n
	nx := s.NX
	q.paceLanes(h)
	q.stage(0, x, sens)
	if p != nil {
		if n == 0 {
			expr.Eval(s.slopeCode, q.v)
		}
		q.propagateCovariance(q.k[:nx], p, h)
	}
	for i := range x {
		q.xe[i] = x[i] + q.ph1[i]*q.k[i]
		if n > 0 {
			floats.AddScaledTo(q.se[i*n:(i+1)*n], sens[i*n:(i+1)*n], q.ph1[i], q.dk[i*n:(i+1)*n])
		}
	}
	if n > 0 {
		for _, d := range s.decayParam {
			q.se[int(d.of)*n+int(d.by)] += q.d1[d.of] * q.v[d.r] * q.k[d.of]
		}
	}
	q.stage(1, q.xe, q.se)
	if n > 0 {
		q.settleLanes(x, sens)
	}
	q.settle(q.k[:nx], q.k[nx:], q.xe, x)
	if n > 0 {
		for _, d := range s.followParam {
			sens[int(d.of)*n+int(d.lane)] += q.ph2[d.of] * q.v[d.r] * q.moved[d.by]
		}
		for _, d := range s.decayParam {
			if !s.tail[d.of] {
				continue
			}
			for _, f := range s.follows {
				if f.of == d.of {
					sens[int(d.of)*n+int(d.by)] += q.d2[d.of] * q.v[d.r] * q.v[f.r] * q.moved[f.by]
				}
			}
		}
	}
}

// settleLanes moves the derivatives to the end of a step, as settle moves the states.
func (q *Flow) settleLanes(x, sens []float64) {
	s, n := q.s, q.n
	nx := s.NX
	m := nx * n
	for _, i := range s.leads {
		at := int(i) * n
		next := q.se[at : at+n]
		lane, by, first, second := sens[at:][:len(next)], q.sm[at:][:len(next)], q.dk[at:][:len(next)], q.dk[m+at:][:len(next)]
		a, c := q.ph2[i], q.decay[i]
		for l, v := range next {
			moved := v - lane[l]
			moved += a * (second[l] - first[l] - c*moved)
			by[l] = moved
			lane[l] += moved
		}
	}
	for _, d := range s.decayParam {
		if s.tail[d.of] {
			continue
		}
		i, at := int(d.of), int(d.of)*n+int(d.by)
		moved := q.xe[i] - x[i]
		more := q.v[d.r] * (q.d2[i]*(q.k[nx+i]-q.k[i]-q.decay[i]*moved) - q.ph2[i]*moved)
		sens[at] += more
		q.sm[at] += more
	}
	for _, i := range s.tails {
		copy(sens[int(i)*n:int(i+1)*n], q.se[int(i)*n:int(i+1)*n])
	}
	for _, d := range s.follows {
		floats.AddScaled(sens[int(d.of)*n:int(d.of+1)*n], q.ph2[d.of]*q.v[d.r], q.sm[int(d.by)*n:int(d.by+1)*n])
	}
}

// Advance moves x and sens, and the covariance p where it is not nil, from one instant of a course to
// another, in steps that are halved so often.
func (q *Flow) Advance(c *Course, x, sens, p []float64, from, to float64, halved int, hint *int) {
	n := Steps(to-from) << halved
	h := (to - from) / float64(n)
	for i := range n {
		at := from + float64(i)*h
		q.Act(c, at, at+h, hint)
		q.Step(x, sens, p, h)
	}
}
