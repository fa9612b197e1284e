package dynamics

import (
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// What a fit weighs: errors of forecasts at these horizons in units of scale, and of a simulation
// of the whole run. A scale is about the error that a good model has, so that all count alike.
var fitHorizons = []struct{ at, scale float64 }{
	{1, 1.5}, {2, 2.5}, {5, 6}, {10, 9}, {20, 11}, {30, 11}, {60, 12},
}

const (
	openScale   = 13.0  // K
	settled     = 5e-4  // share of the cost below which an iteration is the last
	huber       = 3.0   // errors beyond this many scales count linearly in a fit
	priorRows   = 2.0   // the starting values weigh as much as so many rows
	blockSpan   = 120.0 // s within which residuals hang together: two longest horizons
	hopeless    = 1e6   // squared error of a forecast that is no number
	origins     = 90    // forecasts per run and fit from warm rows
	coolOrigins = 30    // and from others
	coolWeight  = 0.2   // of a row that is not warm
	farFrom     = 20.0  // s from which a horizon is forecast from every farEvery-th origin
	farEvery    = 3
)

// fitRun is one run made ready for fitting: rows in SI units, inputs held over gaps.
type fitRun struct {
	course Course
	z      [][]float64 // readings by output, SI; NaN is missing
	scale  []float64   // by output: of its unit
	warm   float64     // reading below which forecasts count less, SI
	u      [][]float64
	step   float64
	mask   []bool    // rows that count, nil: all
	weight []float64 // of a forecast by its row of origin, 0 is none; with all rows they add up to 1
	rowEnd int       // from where on no row counts

	start []float64 // how far each hidden node began from what the model says, SI
	x0    []float64 // filtered states by origin
	s0    []float64 // and their derivatives
	rows  []int     // origins
	// the simulation of the whole run, by row and output
	open, openS []float64
}

// newFitRun takes run, whose inputs are those of m, and of which only the rows of mask (nil: all) count.
func newFitRun(m *Model, run *Run, mask []bool) *fitRun {
	f := &fitRun{course: Course{T: run.Time}, step: medianStep(run.Time), mask: mask}
	for o, readings := range run.Z {
		u := mustUnit(m.Outputs[o].Unit)
		f.scale = append(f.scale, u.Scale)
		z := make([]float64, len(readings))
		for i, v := range readings {
			z[i] = u.SI(v)
		}
		f.z = append(f.z, z)
	}
	f.warm = math.Inf(-1)
	if above := m.Outputs[0].ScoreAbove; above != 0 {
		f.warm = mustUnit(m.Outputs[0].Unit).SI(above)
	}
	last := make([]float64, len(run.U))
	for k := range last {
		last[k] = m.assumed(k)
	}
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
	f.choose()
	return f
}

// choose spreads the origins of forecasts evenly over the warm rows, and fewer over the others. Every
// run weighs the same, however many of its rows are warm.
func (f *fitRun) choose() {
	warm, total := 0, 0
	for _, z := range f.z[0] {
		if finite(z) {
			total++
			if z >= f.warm {
				warm++
			}
		}
	}
	sum := float64(warm) + coolWeight*float64(total-warm)
	every := [2]int{max(1, (total-warm)/coolOrigins), max(1, warm/origins)}
	weight := [2]float64{coolWeight / sum, 1 / sum}
	f.weight = make([]float64, len(f.z[0]))
	var n [2]int
	for i, z := range f.z[0] {
		if !finite(z) {
			continue
		}
		k := 0
		if z >= f.warm {
			k = 1
		}
		if n[k]%every[k] == 0 && (f.mask == nil || f.mask[i]) {
			f.weight[i] = weight[k] * float64(every[k])
			f.rowEnd = i + 1
		}
		n[k]++
	}
}

// fitter fits the free parameters of one system to several runs, and in each run how hot the hidden nodes
// began: a run that starts on a warm machine must not bend the parameters.
type fitter struct {
	s      *System
	plain  *System // without derivatives by parameters
	runs   []*fitRun
	free   []int     // parameters that are learned
	hidden []int     // states whose start is fitted by run
	vary   []int     // what a fit moves: places of free, then of the starts by run, behind the parameters
	prior  []float64 // by vary: its starting value
	width  []float64 // and how far from it is far
	lo     []float64
	hi     []float64
	ridge  float64 // weight of the starting values

	halved    int  // how often the steps of integration are halved
	simulated bool // whether the runs hold drives and simulation of the parameters at hand
}

func newFitter(s *System, runs []*fitRun) *fitter {
	f := &fitter{s: s, plain: Compile(s.Model), runs: runs, free: s.Free}
	for _, i := range s.Free {
		lo, hi := bounds(s.Model, i)
		f.lo, f.hi = append(f.lo, lo), append(f.hi, hi)
		f.prior = append(f.prior, s.Theta[i])
		width := (hi - lo) / 2
		if math.IsInf(hi, 1) {
			width = max(s.Theta[i], 1e-12)
		}
		f.width = append(f.width, width)
	}
	f.vary = slices.Clone(f.free)
	f.hidden = hiddenStates(s)
	for k, r := range runs {
		r.start = make([]float64, len(f.hidden))
		for h, i := range f.hidden {
			sd := math.Sqrt(s.StartVar[i])
			f.vary = append(f.vary, s.NP+k*len(f.hidden)+h)
			f.prior, f.width = append(f.prior, 0), append(f.width, sd)
			f.lo, f.hi = append(f.lo, -farStart*sd), append(f.hi, farStart*sd)
		}
	}
	return f
}

// farStart is how many standard deviations a hidden node may begin from what the model says.
const farStart = 3.0

// hiddenStates are the states of the same kind as the first output that nobody measures and nothing disturbs:
// nodes with a past.
func hiddenStates(s *System) (out []int) {
	kind := mustUnit(s.Model.Outputs[0].Unit).Dim
	for i := range s.Model.States {
		x := &s.Model.States[i]
		if x.StartSD > 0 && x.Noise == 0 && x.NoiseShare == 0 && mustUnit(x.Unit).Dim == kind && !slices.Contains(s.Out, i) {
			out = append(out, i)
		}
	}
	return out
}

// lanes are the derivatives that a run carries: by the free parameters, and by its own starts where theta
// holds them.
func (f *fitter) lanes(theta []float64) int {
	if len(f.free) > 0 && len(theta) > f.s.NP {
		return len(f.free) + len(f.hidden)
	}
	return len(f.free)
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

// merge adds p, whose rows from shared on are those of q from at on.
func (q *normal) merge(p *normal, shared, at int) {
	to := func(i int) int {
		if i >= shared {
			i += at - shared
		}
		return i
	}
	n, m := len(q.g), len(p.g)
	for i, v := range p.g {
		q.g[to(i)] += v
		for j := range i + 1 {
			q.a[to(i)*n+to(j)] += p.a[i*m+j]
		}
	}
	q.cost += p.cost
	q.j, q.r, q.at = append(q.j, p.j...), append(q.r, p.r...), append(q.at, p.at...)
}

// flow makes a flow with the lanes that theta asks for.
func (f *fitter) flow(theta []float64) *Flow { return f.s.Flow(theta, f.lanes(theta), f.hidden) }

// prepare works out the drives of every row.
func (f *fitter) prepare(r *fitRun, theta []float64) {
	nd := f.s.Drives()
	step := f.s.Stepper()
	step.Load(theta)
	c := &r.course
	c.Drive = resize(c.Drive, len(c.T)*nd)
	for i, u := range r.u {
		step.Drive(c.Drive[i*nd:(i+1)*nd], u)
	}
}

// follow runs the filter over r and keeps its states at the origins. How its gain depends on
// parameters is left out of the derivatives.
func (f *fitter) follow(r *fitRun, theta []float64) {
	s, n := f.s, f.lanes(theta)
	nx := s.NX
	q := f.flow(theta)
	start := r.start // of a second start nothing is known
	x, sens, p := make([]float64, nx), make([]float64, nx*n), make([]float64, nx*nx)
	started := false
	hint := 0
	r.rows, r.x0, r.s0 = r.rows[:0], r.x0[:0], r.s0[:0]
	gain, t := make([]float64, nx), r.course.T
	for i, z := range r.z[0][:r.rowEnd] {
		if started {
			if t[i]-t[i-1] > maxGap {
				started = false
			} else {
				q.Advance(&r.course, x, sens, p, t[i-1], t[i], f.halved, &hint)
			}
		}
		if !finite(z) && !started {
			continue
		}
		if !started {
			q.Begin(x, sens, z, start)
			start = nil
			clear(p)
			for k := range nx {
				p[k*nx+k] = s.StartVar[k]
			}
			started = true
		}
		for o, out := range s.Out {
			z := r.z[o][i]
			if !finite(z) {
				continue
			}
			innov := z - x[out]
			sd := s.Model.Outputs[o].SD * r.scale[o]
			sv := p[out*nx+out] + sd*sd
			if innov*innov > sv*gateSigma*gateSigma {
				// As the filter would after some seconds: believe the reading, but not at once.
				sv = innov * innov / (gateSigma * gateSigma)
			}
			update(p, x, nx, out, innov, sv, gain)
			if n > 0 {
				from := sens[out*n : (out+1)*n]
				for k, g := range gain {
					if k != out {
						floats.AddScaled(sens[k*n:(k+1)*n], -g, from)
					}
				}
				floats.Scale(1-gain[out], from)
			}
		}
		if r.weight[i] > 0 {
			r.rows = append(r.rows, i)
			r.x0, r.s0 = append(r.x0, x...), append(r.s0, sens...)
		}
	}
}

// simulate runs r from its first reading on, without looking at another.
func (f *fitter) simulate(r *fitRun, theta []float64) {
	s, n := f.s, f.lanes(theta)
	nx, rows, outputs, t := s.NX, r.rowEnd, len(s.Out), r.course.T
	q := f.flow(theta)
	start := r.start
	x, sens := make([]float64, nx), make([]float64, nx*n)
	r.open, r.openS = resize(r.open, rows*outputs), resize(r.openS, rows*outputs*n)
	started, hint := false, 0
	for i := range rows {
		for o := range outputs {
			r.open[i*outputs+o] = math.NaN()
		}
		if started {
			if t[i]-t[i-1] > maxGap {
				started = false
			} else {
				q.Advance(&r.course, x, sens, nil, t[i-1], t[i], f.halved, &hint)
			}
		}
		if !started {
			if !finite(r.z[0][i]) {
				continue
			}
			q.Begin(x, sens, r.z[0][i], start)
			start = nil
			started = true
		}
		for o, out := range s.Out {
			at := i*outputs + o
			r.open[at] = x[out]
			copy(r.openS[at*n:], sens[out*n:(out+1)*n])
		}
	}
}

// update is the scalar Kalman update of x and p for a measurement of state out; gain is filled.
func update(p, x []float64, nx, out int, innov, sv float64, gain []float64) {
	var row [maxStates]float64
	for k := range nx {
		gain[k] = p[k*nx+out] / sv
		row[k] = p[out*nx+k]
	}
	for k := range nx {
		x[k] += gain[k] * innov
		for j := range nx {
			p[k*nx+j] -= gain[k] * row[j]
		}
	}
	for k := range nx { // keep it symmetric and positive in spite of rounding
		for j := range k {
			v := (p[k*nx+j] + p[j*nx+k]) / 2
			p[k*nx+j], p[j*nx+k] = v, v
		}
		p[k*nx+k] = max(p[k*nx+k], 0)
	}
}

// evaluate gives the normal equations at theta, with the weight of the starting values; with keep those
// of the data alone, and every row. Where theta holds the starts of the runs behind the parameters, they
// take part; otherwise the runs keep theirs.
func (f *fitter) evaluate(theta []float64, keep bool) *normal {
	n, shared := f.lanes(theta), len(f.free)
	all := f.vary
	if n == shared {
		all = f.free
	}
	total := newNormal(len(all))
	const chunks = 4
	parts := make([]*normal, len(f.runs)*chunks)
	var wg sync.WaitGroup
	for k, r := range f.runs {
		if at := f.s.NP + k*len(f.hidden); len(theta) > f.s.NP {
			copy(r.start, theta[at:at+len(f.hidden)])
		}
		wg.Go(func() {
			var inner sync.WaitGroup
			if !f.simulated {
				f.prepare(r, theta)
				inner.Go(func() { f.simulate(r, theta) })
			}
			f.follow(r, theta)
			inner.Wait()
			for c := range chunks {
				q := newNormal(n)
				q.keep = keep
				parts[k*chunks+c] = q
				inner.Go(func() { f.forecasts(q, r, theta, c*len(r.rows)/chunks, (c+1)*len(r.rows)/chunks, k) })
			}
			inner.Wait()
		})
	}
	wg.Wait()
	for i, q := range parts {
		total.merge(q, shared, shared+i/chunks*len(f.hidden))
	}
	if keep { // what the data say, without the starting values
		return total
	}
	for i, p := range all {
		r := (theta[p] - f.prior[i]) / f.width[i]
		total.cost += f.ridge * r * r
		total.g[i] += f.ridge * r / f.width[i]
		total.a[i*len(all)+i] += f.ridge / (f.width[i] * f.width[i])
	}
	return total
}

// forecasts adds the residuals of the origins from ≤ o < to, and of the simulation over their rows.
func (f *fitter) forecasts(q *normal, r *fitRun, theta []float64, from, to, run int) {
	s, n := f.s, f.lanes(theta)
	nx, outputs, t := s.NX, len(s.Out), r.course.T
	ahead := f.flow(theta)
	x, sens := make([]float64, nx), make([]float64, nx*n)
	row := make([]float64, n)
	each := 1 / float64((len(fitHorizons)+1)*len(f.runs)*outputs)
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
	every := farEvery
	if q.keep { // standard errors want them all
		every = 1
	}
	for o := from; o < to; o++ {
		i := r.rows[o]
		weight := each * r.weight[i]
		block := run*1000000 + int((t[i]-t[0])/blockSpan)
		copy(x, r.x0[o*nx:(o+1)*nx])
		copy(sens, r.s0[o*nx*n:(o+1)*nx*n])
		hint, at := i, i
		for _, h := range fitHorizons {
			weight := weight
			if h.at >= farFrom { // windows this long overlap so much that a part of them says as much
				if o%every != 0 {
					break
				}
				weight *= float64(every)
			}
			target := i + int(math.Round(h.at/r.step))
			if target >= len(t) || t[target]-t[i] > 3*h.at+3*r.step {
				break
			}
			if target == at {
				continue
			}
			if r.mask != nil && !r.mask[target] {
				break
			}
			ahead.Advance(&r.course, x, sens, nil, t[at], t[target], f.halved, &hint)
			at = target
			for k, out := range s.Out {
				put(x[out], sens[out*n:(out+1)*n], r.z[k][target], h.scale*r.scale[k], weight, block)
			}
		}
		for k := range outputs {
			at := i*outputs + k
			put(r.open[at], r.openS[at*n:(at+1)*n], r.z[k][i], openScale*r.scale[k], weight, block)
		}
	}
}

// solve minimises by Levenberg and Marquardt within the bounds, from theta, which it changes, and
// gives the cost. The runs keep the starts that were found.
func (f *fitter) solve(theta []float64, iterations int) float64 {
	if len(f.free) == 0 {
		return f.evaluate(theta, false).cost
	}
	all := slices.Clone(theta)
	for _, r := range f.runs {
		all = append(all, r.start...)
	}
	f.ridge = f.startWeight(all)
	cost := f.descend(all, iterations)
	if again := iterations / 3; again > 1 { // the starting values weigh less at a lower cost
		f.ridge = f.startWeight(all)
		cost = f.descend(all, again)
	}
	copy(theta, all)
	for k, r := range f.runs {
		copy(r.start, all[f.s.NP+k*len(f.hidden):])
	}
	return cost
}

// starts are those that the runs keep, by symbol in the unit of the state; nil where nothing is hidden.
func (f *fitter) starts() []map[string]float64 {
	out := make([]map[string]float64, len(f.runs))
	for k, r := range f.runs {
		for h, i := range f.hidden {
			if out[k] == nil {
				out[k] = map[string]float64{}
			}
			out[k][f.s.Model.States[i].Symbol] = r.start[h] / f.s.Scale[i]
		}
	}
	return out
}

// begun lets the runs begin as starts say, where they do.
func (f *fitter) begun(starts []map[string]float64) {
	for k, r := range f.runs {
		for h, i := range f.hidden {
			if k < len(starts) {
				r.start[h] = starts[k][f.s.Model.States[i].Symbol] * f.s.Scale[i]
			}
		}
	}
}

// startWeight is what the starting values weigh at theta.
func (f *fitter) startWeight(theta []float64) float64 {
	return priorRows / f.rows() * min(1, f.data(theta))
}

// say is what the data say at theta, and the standard errors. Where they cannot tell all parameters
// apart, the starting values are weighed in.
func (f *fitter) say(theta []float64) (q *normal, se []float64) {
	q = f.evaluate(theta, true)
	if q.inverse() == nil {
		f.weighStart(q, theta)
	}
	return q, q.stdErrs()
}

// weighStart adds to q what the starting values tell.
func (f *fitter) weighStart(q *normal, theta []float64) {
	ridge := f.startWeight(theta)
	for i, w := range f.width[:len(f.free)] {
		q.a[i*len(f.free)+i] += ridge / (w * w)
	}
}

// rows is the number of rows that count in full.
func (f *fitter) rows() (n float64) {
	for _, r := range f.runs {
		for i, z := range r.z[0] {
			if finite(z) && z >= r.warm && (r.mask == nil || r.mask[i]) {
				n++
			}
		}
	}
	return max(n, 1)
}

// data is the cost without that of the starting values, and without derivatives, which is cheap.
func (f *fitter) data(theta []float64) float64 {
	return (&fitter{s: f.plain, runs: f.runs, hidden: f.hidden, halved: f.halved, simulated: f.simulated}).evaluate(theta, false).cost
}

// pull is the cost of being away from the starting values.
func (f *fitter) pull(theta []float64) (cost float64) {
	for i, p := range f.vary {
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
	n := len(f.vary)
	var on []int
	for i := range n {
		v := theta[f.vary[i]]
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
			v := theta[f.vary[i]] + step.AtVec(r)/math.Sqrt(q.a[i*n+i])
			if (v < f.lo[i] && theta[f.vary[i]] <= f.lo[i]) || (v > f.hi[i] && theta[f.vary[i]] >= f.hi[i]) {
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
			v := theta[f.vary[i]] + step.AtVec(r)/math.Sqrt(q.a[i*n+i])
			theta[f.vary[i]] = min(f.hi[i], max(f.lo[i], v))
		}
		return true
	}
	return false
}

// storeParameters writes theta (SI) back into the document.
func storeParameters(m *Model, theta []float64) {
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
