package dynamics

import (
	"math"
	"sync"

	"gonum.org/v1/gonum/mat"
)

// What a fit weighs: errors of forecasts at these horizons in units of scale, and of a simulation
// of the whole run. A scale is about the error that a good model has, so that all count alike.
var fitHorizons = []struct{ at, scale float64 }{
	{1, 1.5}, {2, 2.5}, {5, 6}, {10, 9}, {20, 11}, {30, 11}, {60, 12},
}

const (
	openScale  = 20.0  // K
	settled    = 5e-4  // share of the cost below which an iteration is the last
	huber      = 3.0   // errors beyond this many scales count linearly
	priorShare = 0.01  // weight of the starting values, as a share of the cost: a tie-break
	blockSpan  = 120.0 // s within which residuals hang together: two longest horizons
	hopeless   = 1e6   // squared error of a forecast that is no number
	origins    = 90    // forecasts per run and fit
)

// fitRun is one run made ready for fitting: rows in SI units, inputs held over gaps.
type fitRun struct {
	t, z   []float64 // s; reading in SI, NaN is missing
	scale  float64   // of the output's unit
	warm   float64   // reading below which forecasts count less, SI
	u      [][]float64
	step   float64
	stride int
	mask   []bool // rows that count, nil: all

	drive, slope []float64 // rows × drives, and × lanes
	x0           []float64 // filtered states by origin
	s0           []float64 // and their sensitivities
	rows         []int     // origins
	// the simulation of the whole run, by row
	open, openS []float64
}

// newFitRun takes run, whose inputs are those of m.
func newFitRun(m *Model, run *Run) *fitRun {
	f := &fitRun{t: run.Time, step: medianStep(run.Time)}
	u := mustUnit(m.Outputs[0].Unit)
	f.scale = u.Scale
	for _, z := range run.Z[0] {
		f.z = append(f.z, u.SI(z))
	}
	f.warm = math.Inf(-1)
	if above := m.Outputs[0].ScoreAbove; above != 0 {
		f.warm = u.SI(above)
	}
	last := make([]float64, len(run.U))
	for i := range run.Time {
		row := make([]float64, len(run.U))
		for k := range row {
			if v := run.U[k][i]; finite(v) {
				last[k] = v
			}
			row[k] = last[k]
		}
		f.u = append(f.u, row)
	}
	f.stride = max(1, len(f.t)/origins)
	return f
}

// fitter fits the free parameters of one system to several runs.
type fitter struct {
	s     *system
	runs  []*fitRun
	free  []int     // parameters that are learned
	prior []float64 // by free parameter: its starting value
	width []float64 // and how far from it is far
	lo    []float64
	hi    []float64
	ridge float64 // weight of the starting values
}

func newFitter(s *system, runs []*fitRun) *fitter {
	f := &fitter{s: s, runs: runs}
	m := s.m
	for i := range s.np {
		fixed := false
		if i < len(m.Parameters) {
			fixed = m.Parameters[i].Fixed
		} else {
			fixed = m.Terms[i-len(m.Parameters)].Fixed
		}
		if fixed {
			continue
		}
		lo, hi := m.bounds(i)
		f.free = append(f.free, i)
		f.lo, f.hi = append(f.lo, lo), append(f.hi, hi)
		f.prior = append(f.prior, s.theta[i])
		width := (hi - lo) / 2
		if math.IsInf(hi, 1) {
			width = max(s.theta[i], 1e-12)
		}
		f.width = append(f.width, width)
	}
	return f
}

// normal gathers the normal equations of weighted least squares.
type normal struct {
	a    []float64 // n × n, lower triangle
	g    []float64
	cost float64
	keep bool // whether to store the rows
	j    []float64
	r    []float64
	at   []int // block of each row
}

func newNormal(n int) *normal { return &normal{a: make([]float64, n*n), g: make([]float64, n)} }

// add takes residual r with gradient row and weight; beyond huber it counts linearly.
func (q *normal) add(r float64, row []float64, weight float64, block int) {
	w := weight
	if a := math.Abs(r); a > huber {
		q.cost += weight * (2*huber*a - huber*huber)
		w *= huber / a
	} else {
		q.cost += weight * r * r
	}
	n := len(q.g)
	for i, x := range row {
		if x == 0 {
			continue
		}
		wx := w * x
		q.g[i] += wx * r
		to := q.a[i*n : i*n+i+1]
		for j := range to {
			to[j] += wx * row[j]
		}
	}
	if q.keep {
		root := math.Sqrt(w)
		q.r = append(q.r, root*r)
		for _, x := range row {
			q.j = append(q.j, root*x)
		}
		q.at = append(q.at, block)
	}
}

func (q *normal) merge(p *normal) {
	for i, v := range p.a {
		q.a[i] += v
	}
	for i, v := range p.g {
		q.g[i] += v
	}
	q.cost += p.cost
	q.j, q.r, q.at = append(q.j, p.j...), append(q.r, p.r...), append(q.at, p.at...)
}

// dual carries the registers of a system with derivatives by the free parameters.
type dual struct {
	s      *system
	lanes  int
	v, d   []float64
	active []bool
	k, dk  []float64
	x1, s1 []float64
}

func (f *fitter) dual(theta []float64) *dual {
	s, n := f.s, len(f.free)
	q := &dual{s: s, lanes: n, v: make([]float64, s.prog.regs), d: make([]float64, s.prog.regs*n), active: make([]bool, s.prog.regs),
		k: make([]float64, 2*s.nx), dk: make([]float64, 2*s.nx*n), x1: make([]float64, s.nx), s1: make([]float64, s.nx*n)}
	copy(q.v, s.prog.start)
	copy(q.v[s.param:], theta)
	for lane, p := range f.free {
		q.d[p*n+lane] = 1
		q.active[p] = true
	}
	evalDual(s.prog.code[levelParam], q.v, q.d, n, q.active)
	return q
}

// act puts the drives of an instant, interpolated between rows, into the registers.
func (q *dual) act(f *fitter, r *fitRun, at float64, hint *int) {
	s, n := q.s, q.lanes
	nd := len(s.drives)
	dead := 0.0
	lane := -1
	if s.dead >= 0 {
		dead = q.v[s.dead]
		for l, p := range f.free {
			if p == s.dead {
				lane = l
			}
		}
	}
	at -= dead
	k := *hint
	for k > 0 && r.t[k] > at {
		k--
	}
	for k+2 < len(r.t) && r.t[k+1] <= at {
		k++
	}
	*hint = k
	w, perS := 0.0, 0.0
	if k+1 < len(r.t) {
		perS = 1 / (r.t[k+1] - r.t[k])
		w = (at - r.t[k]) * perS
		if w <= 0 || w >= 1 {
			w = min(1, max(0, w))
			perS = 0
		}
	}
	a, b := k*nd, (k+1)*nd
	if w == 0 {
		b = a
	}
	for i, reg := range s.drives {
		x, y := r.drive[a+i], r.drive[b+i]
		q.v[reg] = x + w*(y-x)
		to := q.d[int(reg)*n : int(reg+1)*n]
		da, db := r.slope[(a+i)*n:(a+i+1)*n], r.slope[(b+i)*n:(b+i+1)*n]
		for l := range to {
			to[l] = da[l] + w*(db[l]-da[l])
		}
		if lane >= 0 {
			to[lane] -= (y - x) * perS
		}
		q.active[reg] = true
	}
}

// rates works out dx/dt and its sensitivities into slot 0 or 1.
func (q *dual) rates(slot int, x, sens []float64) {
	s, n := q.s, q.lanes
	copy(q.v[s.state:], x)
	copy(q.d[int(s.state)*n:], sens)
	for i := range s.nx {
		q.active[int(s.state)+i] = true
	}
	evalDual(s.prog.code[levelState], q.v, q.d, n, q.active)
	for i, r := range s.rate {
		q.k[slot*s.nx+i] = q.v[r]
		to := q.dk[(slot*s.nx+i)*n : (slot*s.nx+i+1)*n]
		if q.active[r] {
			copy(to, q.d[int(r)*n:int(r+1)*n])
		} else {
			clear(to)
		}
	}
}

// step is system.step with sensitivities.
func (q *dual) step(x, sens []float64, h float64) {
	nx := q.s.nx
	q.rates(0, x, sens)
	for i := range x {
		q.x1[i] = x[i] + h*q.k[i]
	}
	for i := range sens {
		q.s1[i] = sens[i] + h*q.dk[i]
	}
	q.rates(1, q.x1, q.s1)
	for i := range x {
		x[i] += h / 2 * (q.k[i] + q.k[nx+i])
	}
	m := len(sens)
	for i := range sens {
		sens[i] += h / 2 * (q.dk[i] + q.dk[m+i])
	}
}

// advance moves x and sens from one time to another under the run's inputs.
func (q *dual) advance(f *fitter, r *fitRun, x, sens []float64, from, to float64, hint *int) {
	n := steps(to - from)
	h := (to - from) / float64(n)
	for i := range n {
		q.act(f, r, from+(float64(i)+0.5)*h, hint)
		q.step(x, sens, h)
	}
}

// begin sets the first states and how they depend on the parameters.
func (f *fitter) begin(theta []float64, reading float64, x, sens []float64) {
	s, n := f.s, len(f.free)
	v := make([]float64, s.start.regs)
	d := make([]float64, s.start.regs*n)
	active := make([]bool, s.start.regs)
	copy(v, s.start.start)
	copy(v, theta)
	v[s.np] = reading
	for lane, p := range f.free {
		d[p*n+lane], active[p] = 1, true
	}
	for l := range s.start.code {
		evalDual(s.start.code[l], v, d, n, active)
	}
	for i, r := range s.first {
		x[i] = v[r]
		copy(sens[i*n:(i+1)*n], d[int(r)*n:int(r+1)*n])
	}
}

// prepare works out the drives, follows the run with the filter, and simulates it.
func (f *fitter) prepare(r *fitRun, theta []float64) {
	s, n := f.s, len(f.free)
	nd, nx := len(s.drives), s.nx
	q := f.dual(theta)
	rows := len(r.t)
	r.drive, r.slope = resize(r.drive, rows*nd), resize(r.slope, rows*nd*n)
	for i := range rows {
		for k, x := range r.u[i] {
			q.v[int(s.input)+k] = s.inU[k].SI(x)
		}
		evalDual(s.prog.code[levelDrive], q.v, q.d, n, q.active)
		for k, reg := range s.drives {
			r.drive[i*nd+k] = q.v[reg]
			to := r.slope[(i*nd+k)*n : (i*nd+k+1)*n]
			if q.active[reg] {
				copy(to, q.d[int(reg)*n:int(reg+1)*n])
			} else {
				clear(to)
			}
		}
	}
	// The filter. Its gain is taken as given: how that depends on parameters is left out.
	x, sens, p := make([]float64, nx), make([]float64, nx*n), make([]float64, nx*nx)
	xc := make([]float64, nx)
	w := s.scratch()
	started := false
	hint := 0
	r.rows, r.x0, r.s0 = r.rows[:0], r.x0[:0], r.s0[:0]
	sd := f.s.m.Outputs[0].SD * r.scale
	out := s.out[0]
	for i := range rows {
		if started {
			dt := r.t[i] - r.t[i-1]
			if dt > maxGap {
				started = false
			} else {
				m := steps(dt)
				h := dt / float64(m)
				for k := range m {
					q.act(f, r, r.t[i-1]+(float64(k)+0.5)*h, &hint)
					copy(xc, x)
					s.stepCov(w, q.v, xc, p, h)
					q.step(x, sens, h)
				}
			}
		}
		z := r.z[i]
		if !finite(z) {
			continue
		}
		if !started {
			f.begin(theta, z, x, sens)
			clear(p)
			for k := range nx {
				p[k*nx+k] = s.startVar[k]
			}
			started = true
		}
		innov := z - x[out]
		sv := p[out*nx+out] + sd*sd
		if innov*innov > sv*gateSigma*gateSigma {
			// As the filter would after some seconds: believe the reading, but not at once.
			sv = innov * innov / (gateSigma * gateSigma)
		}
		update(p, x, nx, out, innov, sv, func(k int, gain float64) {
			to, from := sens[k*n:(k+1)*n], sens[out*n:(out+1)*n]
			if k == out {
				return
			}
			for l := range to {
				to[l] -= gain * from[l]
			}
		}, func(gain float64) {
			from := sens[out*n : (out+1)*n]
			for l := range from {
				from[l] *= 1 - gain
			}
		})
		if i%r.stride == 0 {
			r.rows = append(r.rows, i)
			r.x0, r.s0 = append(r.x0, x...), append(r.s0, sens...)
		}
	}
	// The simulation.
	r.open, r.openS = resize(r.open, rows), resize(r.openS, rows*n)
	started, hint = false, 0
	for i := range rows {
		r.open[i] = math.NaN()
		if started {
			if r.t[i]-r.t[i-1] > maxGap {
				started = false
			} else {
				q.advance(f, r, x, sens, r.t[i-1], r.t[i], &hint)
			}
		}
		if !started {
			if !finite(r.z[i]) {
				continue
			}
			f.begin(theta, r.z[i], x, sens)
			started = true
		}
		r.open[i] = x[out]
		copy(r.openS[i*n:], sens[out*n:(out+1)*n])
	}
}

// update is the scalar Kalman update of x and p for a measurement of state out; each is told of
// every state's gain, last the measured one's.
func update(p, x []float64, nx, out int, innov, sv float64, each func(k int, gain float64), last func(gain float64)) {
	var gain, row [maxStates]float64
	for k := range nx {
		gain[k] = p[k*nx+out] / sv
		row[k] = p[out*nx+k]
	}
	for k := range nx {
		x[k] += gain[k] * innov
		if each != nil {
			each(k, gain[k])
		}
		for j := range nx {
			p[k*nx+j] -= gain[k] * row[j]
		}
	}
	if last != nil {
		last(gain[out])
	}
	for k := range nx { // keep it symmetric and positive in spite of rounding
		for j := range k {
			v := (p[k*nx+j] + p[j*nx+k]) / 2
			p[k*nx+j], p[j*nx+k] = v, v
		}
		p[k*nx+k] = max(p[k*nx+k], 0)
	}
}

// evaluate gives the normal equations at theta. keep stores every row.
func (f *fitter) evaluate(theta []float64, keep bool) *normal {
	n := len(f.free)
	total := newNormal(n)
	const chunks = 4
	parts := make([]*normal, len(f.runs)*chunks)
	var wg sync.WaitGroup
	for k, r := range f.runs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f.prepare(r, theta)
			var inner sync.WaitGroup
			for c := range chunks {
				q := newNormal(n)
				q.keep = keep
				parts[k*chunks+c] = q
				inner.Add(1)
				go func() {
					defer inner.Done()
					f.forecasts(q, r, theta, c*len(r.rows)/chunks, (c+1)*len(r.rows)/chunks, k)
				}()
			}
			inner.Wait()
		}()
	}
	wg.Wait()
	for _, q := range parts {
		total.merge(q)
	}
	for i := range f.free {
		r := (theta[f.free[i]] - f.prior[i]) / f.width[i]
		total.cost += f.ridge * r * r
		total.g[i] += f.ridge * r / f.width[i]
		total.a[i*n+i] += f.ridge / (f.width[i] * f.width[i])
	}
	return total
}

// forecasts adds the residuals of the origins from ≤ o < to, and of the simulation over their rows.
func (f *fitter) forecasts(q *normal, r *fitRun, theta []float64, from, to, run int) {
	s, n := f.s, len(f.free)
	nx, out := s.nx, s.out[0]
	w := f.dual(theta)
	x, sens := make([]float64, nx), make([]float64, nx*n)
	row := make([]float64, n)
	each := 1 / float64(len(r.rows)*(len(fitHorizons)+1)*len(f.runs))
	put := func(pred float64, grad []float64, z, scale, weight float64, block int) {
		if !finite(z) {
			return
		}
		if !finite(pred) {
			q.cost += hopeless * weight
			return
		}
		for l := range row {
			row[l] = grad[l] / scale
		}
		q.add((pred-z)/scale, row, weight, block)
	}
	for o := from; o < to; o++ {
		i := r.rows[o]
		if r.mask != nil && !r.mask[i] {
			continue
		}
		weight := each
		if r.z[i] < r.warm {
			weight *= 0.2
		}
		block := run*1000000 + int((r.t[i]-r.t[0])/blockSpan)
		copy(x, r.x0[o*nx:(o+1)*nx])
		copy(sens, r.s0[o*nx*n:(o+1)*nx*n])
		hint, at := i, i
		for _, h := range fitHorizons {
			target := i + int(math.Round(h.at/r.step))
			if target >= len(r.t) || r.t[target]-r.t[i] > 3*h.at+3*r.step {
				break
			}
			if target == at {
				continue
			}
			if r.mask != nil && !r.mask[target] {
				break
			}
			w.advance(f, r, x, sens, r.t[at], r.t[target], &hint)
			at = target
			put(x[out], sens[out*n:(out+1)*n], r.z[target], h.scale*r.scale, weight, block)
		}
		put(r.open[i], r.openS[i*n:(i+1)*n], r.z[i], openScale*r.scale, weight, block)
	}
}

// solve minimises by Levenberg and Marquardt within the bounds, from theta, which it changes, and
// gives the cost.
func (f *fitter) solve(theta []float64, iterations int) float64 {
	n := len(f.free)
	if n == 0 {
		return f.evaluate(theta, false).cost
	}
	f.ridge = priorShare * min(1, f.data(theta))
	f.descend(theta, iterations)
	f.ridge = priorShare * min(1, f.data(theta))
	return f.descend(theta, iterations/3)
}

// data is the cost without that of the starting values, and without derivatives, which is cheap.
func (f *fitter) data(theta []float64) float64 {
	return (&fitter{s: f.s, runs: f.runs}).evaluate(theta, false).cost
}

// pull is the cost of being away from the starting values.
func (f *fitter) pull(theta []float64) (cost float64) {
	for i, p := range f.free {
		r := (theta[p] - f.prior[i]) / f.width[i]
		cost += f.ridge * r * r
	}
	return cost
}

// descend is the iteration of solve.
func (f *fitter) descend(theta []float64, iterations int) float64 {
	now := f.evaluate(theta, false)
	lambda := 1e-2
	trial := make([]float64, len(theta))
	for range iterations {
		improved := false
		before := now.cost
		for range 8 {
			copy(trial, theta)
			if !f.move(trial, now, lambda) {
				lambda *= 10
				continue
			}
			if f.data(trial)+f.pull(trial) < now.cost {
				copy(theta, trial)
				now = f.evaluate(theta, false)
				lambda = max(lambda/5, 1e-7)
				improved = true
				break
			}
			lambda *= 6
		}
		if !improved || before-now.cost < settled*before {
			break
		}
	}
	return now.cost
}

// move makes one damped step. A parameter at its bound that would leave it stays.
func (f *fitter) move(theta []float64, q *normal, lambda float64) bool {
	n := len(f.free)
	var on []int
	for i := range n {
		v := theta[f.free[i]]
		if v <= f.lo[i] && q.g[i] > 0 || v >= f.hi[i] && q.g[i] < 0 || q.a[i*n+i] == 0 {
			continue
		}
		on = append(on, i)
	}
	for range 4 {
		if len(on) == 0 {
			return false
		}
		a := mat.NewSymDense(len(on), nil)
		g := mat.NewVecDense(len(on), nil)
		for r, i := range on {
			scale := math.Sqrt(q.a[i*n+i])
			g.SetVec(r, -q.g[i]/scale)
			for c, j := range on[:r+1] {
				a.SetSym(r, c, q.a[i*n+j]/(scale*math.Sqrt(q.a[j*n+j])))
			}
			a.SetSym(r, r, 1+lambda)
		}
		var chol mat.Cholesky
		if !chol.Factorize(a) {
			return false
		}
		var step mat.VecDense
		if chol.SolveVecTo(&step, g) != nil {
			return false
		}
		// Those that a bound stops are taken out, and the rest is solved again.
		var stay []int
		hit := false
		for r, i := range on {
			v := theta[f.free[i]] + step.AtVec(r)/math.Sqrt(q.a[i*n+i])
			if (v < f.lo[i] && theta[f.free[i]] <= f.lo[i]) || (v > f.hi[i] && theta[f.free[i]] >= f.hi[i]) {
				hit = true
				continue
			}
			stay = append(stay, i)
		}
		if hit {
			on = stay
			continue
		}
		for r, i := range on {
			v := theta[f.free[i]] + step.AtVec(r)/math.Sqrt(q.a[i*n+i])
			theta[f.free[i]] = min(f.hi[i], max(f.lo[i], v))
		}
		return true
	}
	return false
}

// store writes theta back into the document.
func (s *system) store(m *Model, theta []float64) {
	for i := range m.Parameters {
		p := &m.Parameters[i]
		if !p.Fixed {
			p.Value = min(p.Max, max(p.Min, mustUnit(p.Unit).FromSI(theta[i])))
		}
	}
	for i := range m.Terms {
		t := &m.Terms[i]
		if !t.Fixed {
			t.Coefficient = max(0, theta[len(m.Parameters)+i]/mustUnit(t.Unit).Scale)
		}
	}
}
