package learn

import (
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/floats"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/system"
	"stirwatch/sensors/unit"
)

// What a fit weighs: errors of forecasts at these horizons in units of scale, and of a simulation
// of the whole run. A scale is about the error that a good model has, so that all count alike.
var fitHorizons = []struct{ at, scale float64 }{
	{1, 1.5}, {2, 2.5}, {5, 6}, {10, 9}, {20, 11}, {30, 11}, {60, 12},
}

const (
	openScale   = 13.0  // K
	startRows   = 2.0   // a number that is its width away from its starting value costs as much as so many rows
	priorRows   = 300.0 // and one that is a standard deviation away from what is known of it: errors are correlated over minutes
	blockSpan   = 120.0 // s within which residuals are correlated: two longest horizons
	hopeless    = 1e6   // squared error of a forecast that is no number
	origins     = 90    // forecasts per run and fit from warm rows
	coolOrigins = 30    // and from others
	coolWeight  = 0.2   // of a row that is not warm
	farFrom     = 20.0  // s from which a horizon is forecast from every farEvery-th origin
	farEvery    = 3
)

// fitter fits the free parameters of one system to several runs, and in each run how hot the hidden nodes
// began: a run that starts on a warm machine must not bend the parameters.
type fitter struct {
	s      *system.System
	plain  *system.System // without derivatives by parameters
	runs   []*fitRun
	free   []int     // parameters that are learned
	hidden []int     // states whose start is fitted by run
	vary   []int     // what a fit moves: places of free, then of the starts by run, behind the parameters
	prior  []float64 // by vary: its starting value, or what is known of it
	width  []float64 // and how far from it is far
	pulls  []float64 // rows that being so far away costs
	lo     []float64
	hi     []float64
	ridge  float64   // what a row costs
	x      []float64 // what the last fit found, by vary

	halved    int  // how often the steps of integration are halved
	simulated bool // whether the runs hold drives and simulation of the parameters at hand
}

func newFitter(s *system.System, runs []*fitRun) *fitter {
	f := &fitter{s: s, plain: system.Compile(s.Model), runs: runs, free: s.Free}
	for _, i := range s.Free {
		lo, hi := bounds(s.Model, i)
		f.lo, f.hi = append(f.lo, lo), append(f.hi, hi)
		prior, width, pulls := s.Theta[i], (hi-lo)/2, startRows
		if math.IsInf(hi, 1) {
			width = max(s.Theta[i], 1e-12)
		}
		if p, u := priorOf(s.Model, i); p != nil {
			prior, width, pulls = u.SI(p.Value), u.Scale*p.SD, priorRows
		}
		f.prior, f.width, f.pulls = append(f.prior, prior), append(f.width, width), append(f.pulls, pulls)
	}
	f.vary = slices.Clone(f.free)
	f.hidden = hiddenStates(s)
	for k, r := range runs {
		r.start = make([]float64, len(f.hidden))
		for h, i := range f.hidden {
			sd, pulls := math.Sqrt(s.StartVar[i]), startRows
			if !slices.Contains(s.Of, i) { // no rate: not a past that fades, but a number of the run
				pulls = priorRows
			}
			f.vary = append(f.vary, s.NP+k*len(f.hidden)+h)
			f.prior, f.width, f.pulls = append(f.prior, 0), append(f.width, sd), append(f.pulls, pulls)
			f.lo, f.hi = append(f.lo, -farStart*sd), append(f.hi, farStart*sd)
		}
	}
	return f
}

// farStart is how many standard deviations a hidden node may begin from what the model says.
const farStart = 3.0

// hiddenStates are the states that nobody measures and nothing disturbs and that began, nobody knows how: nodes
// with a past, of the kind of an output, and what has no rate, which is what differs from run to run.
func hiddenStates(s *system.System) (out []int) {
	for i := range s.Model.States {
		x := &s.Model.States[i]
		if x.StartSD == 0 || x.Noise != 0 || x.NoiseShare != 0 || slices.Contains(s.Out, i) {
			continue
		}
		kind := expr.MustUnit(x.Unit).Dim
		if !slices.Contains(s.Of, i) || slices.ContainsFunc(s.Model.Outputs, func(o model.Output) bool { return expr.MustUnit(o.Unit).Dim == kind }) {
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

// flow makes a flow with the lanes that theta asks for.
func (f *fitter) flow(theta []float64) *system.Flow { return f.s.Flow(theta, f.lanes(theta), f.hidden) }

// prepare works out the drives of every row.
func (f *fitter) prepare(r *fitRun, theta []float64) {
	nd := f.s.Drives()
	step := f.s.Stepper()
	step.Load(theta)
	c := &r.course
	c.Drive = num.Resize(c.Drive, len(c.T)*nd)
	for i, u := range r.u {
		step.Drive(c.Drive[i*nd:(i+1)*nd], u)
	}
}

// filtered runs the filter over r and keeps its states at the origins. How its gain depends on
// parameters is left out of the derivatives.
func (f *fitter) filtered(r *fitRun, theta []float64) {
	s, n := f.s, f.lanes(theta)
	nx := s.NX
	q := f.flow(theta)
	start := r.start // of a second start nothing is known
	x, sens, p := make([]float64, nx), make([]float64, nx*n), make([]float64, nx*nx)
	started := false
	seen, readings := make([]bool, len(s.Out)), make([]float64, len(s.Out))
	hint := 0
	r.rows, r.x0, r.s0 = r.rows[:0], r.x0[:0], r.s0[:0]
	gain, t := make([]float64, nx), r.course.T
	for i, z := range r.z[0][:r.rowEnd] {
		if started {
			if t[i]-t[i-1] > filter.MaxGap {
				started = false
			} else {
				q.Advance(&r.course, x, sens, p, t[i-1], t[i], f.halved, &hint)
			}
		}
		if !num.Finite(z) && !started {
			continue
		}
		if !started {
			q.Begin(x, sens, r.readings(readings, i), start)
			start = nil
			clear(p)
			for k := range nx {
				p[k*nx+k] = s.StartVar[k]
			}
			started = true
			for o, z := range readings {
				seen[o] = num.Finite(z)
			}
		}
		for o, out := range s.Out {
			z := r.z[o][i]
			if !num.Finite(z) {
				continue
			}
			if !seen[o] {
				q.BeginOther(x, sens, o, z)
				filter.Restart(p, nx, s.Begins[o], s.StartVar)
				seen[o] = true
			}
			innov := z - x[out]
			sv := p[out*nx+out] + r.noise[o]*r.noise[o]
			if innov*innov > sv*filter.GateSigma*filter.GateSigma {
				// As the filter would after some seconds: believe the reading, but not at once.
				sv = innov * innov / (filter.GateSigma * filter.GateSigma)
			}
			filter.Update(p, x, nx, out, innov, sv, gain)
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
	r.open, r.openS = num.Resize(r.open, rows*outputs), num.Resize(r.openS, rows*outputs*n)
	readings := make([]float64, outputs)
	started, hint := false, 0
	for i := range rows {
		for o := range outputs {
			r.open[i*outputs+o] = math.NaN()
		}
		if started {
			if t[i]-t[i-1] > filter.MaxGap {
				started = false
			} else {
				q.Advance(&r.course, x, sens, nil, t[i-1], t[i], f.halved, &hint)
			}
		}
		if !started {
			if !num.Finite(r.z[0][i]) {
				continue
			}
			q.Begin(x, sens, r.readings(readings, i), start)
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

// evaluate gives the normal equations of the data at theta, and what keep says of the rows. Where theta holds the starts of the runs behind the parameters, they
// take part; otherwise the runs keep theirs.
func (f *fitter) evaluate(theta []float64, keep keeps) *normalEquations {
	n, shared := f.lanes(theta), len(f.free)
	all := f.vary
	if n == shared {
		all = f.free
	}
	total := newNormalEquations(len(all))
	const chunks = 4
	parts := make([]*normalEquations, len(f.runs)*chunks)
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
			f.filtered(r, theta)
			inner.Wait()
			for c := range chunks {
				q := newNormalEquations(n)
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
	return total
}

// forecasts adds the residuals of the origins from ≤ o < to, and of the simulation over their rows.
func (f *fitter) forecasts(q *normalEquations, r *fitRun, theta []float64, from, to, run int) {
	s, n := f.s, f.lanes(theta)
	nx, outputs, t := s.NX, len(s.Out), r.course.T
	ahead := f.flow(theta)
	x, sens := make([]float64, nx), make([]float64, nx*n)
	row := make([]float64, n)
	each := r.tells() / float64((len(fitHorizons)+1)*outputs) / f.tells()
	put := func(pred float64, grad []float64, z, scale, weight float64, block int) {
		if !num.Finite(z) {
			return
		}
		if !num.Finite(pred) {
			q.cost += hopeless * weight
			return
		}
		for l := range row {
			row[l] = grad[l] / scale
		}
		q.add((pred-z)/scale, row, weight, block)
	}
	every := farEvery
	if q.keep == rows { // standard errors want them all
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

// starts are those that x says, by run and symbol in the unit of the state; nil where nothing is hidden.
func (f *fitter) starts(x []float64) []map[string]float64 {
	out := make([]map[string]float64, len(f.runs))
	for k := range f.runs {
		for h, i := range f.hidden {
			if out[k] == nil {
				out[k] = map[string]float64{}
			}
			out[k][f.s.Model.States[i].Symbol] = x[len(f.free)+k*len(f.hidden)+h] / f.s.Scale[i]
		}
	}
	return out
}

// begin lets the runs begin as starts say, where they do.
func (f *fitter) begin(starts []map[string]float64) {
	for k, r := range f.runs {
		for h, i := range f.hidden {
			if k < len(starts) {
				r.start[h] = starts[k][f.s.Model.States[i].Symbol] * f.s.Scale[i]
			}
		}
	}
}

// rowWeight is what a row costs where the data cost so much: the unit of pulls.
func (f *fitter) rowWeight(data float64) float64 { return min(1, data) / f.rows() }

// judge gives the normal equations of the data at theta, and the standard errors. Where they cannot tell all parameters
// apart, the starting values are weighed in.
func (f *fitter) judge(theta []float64) (q *normalEquations, se []float64) {
	q = f.evaluate(theta, rows)
	if q.inverse() == nil {
		f.weighStart(q)
	}
	return q, q.standardErrors()
}

// weighStart adds to q what the starting values tell.
func (f *fitter) weighStart(q *normalEquations) {
	ridge := f.rowWeight(q.cost)
	for i, w := range f.width[:len(f.free)] {
		q.a[i*len(f.free)+i] += ridge * f.pulls[i] / (w * w)
	}
}

// tells is how many rows' worth all runs tell.
func (f *fitter) tells() (rows float64) {
	for _, r := range f.runs {
		rows += r.tells()
	}
	return rows
}

// rows is the number of rows that count in full, by what they tell.
func (f *fitter) rows() (n float64) {
	for _, r := range f.runs {
		n += r.tells() * r.counted / max(r.hot, 1)
	}
	return max(n, 1)
}

// data is the cost without that of the starting values, and without derivatives, which is cheap.
func (f *fitter) data(theta []float64) float64 { return f.residuals(theta, sums).cost }

// residuals are those of the data, and their cost.
func (f *fitter) residuals(theta []float64, keep keeps) *normalEquations {
	return (&fitter{s: f.plain, runs: f.runs, hidden: f.hidden, halved: f.halved, simulated: f.simulated}).evaluate(theta, keep)
}

// misfits are the roots of what the data of each run cost at theta.
func (f *fitter) misfits(theta []float64) (all []float64) {
	for _, r := range f.runs {
		alone := fitter{s: f.plain, runs: []*fitRun{r}, hidden: f.hidden, halved: f.halved}
		all = append(all, math.Sqrt(alone.evaluate(theta, sums).cost))
	}
	return all
}

// pull is the cost of being away from the starting values.
func (f *fitter) pull(theta []float64) (cost float64) {
	for i, p := range f.vary {
		r := (theta[p] - f.prior[i]) / f.width[i]
		cost += f.ridge * f.pulls[i] * r * r
	}
	return cost
}

// addPull adds that cost to q.
func (f *fitter) addPull(q *normalEquations, theta []float64) {
	for i, p := range f.vary {
		r := (theta[p] - f.prior[i]) / f.width[i]
		ridge := f.ridge * f.pulls[i]
		q.cost += ridge * r * r
		q.g[i] += ridge * r / f.width[i]
		q.a[i*len(f.vary)+i] += ridge / (f.width[i] * f.width[i])
	}
}

// priorOf is what is known beforehand of parameter i, nil if nothing, and its unit; a coefficient's has no
// offset.
func priorOf(m *model.Model, i int) (*model.Prior, unit.Unit) {
	if i < len(m.Parameters) {
		return m.Parameters[i].Prior, expr.MustUnit(m.Parameters[i].Unit)
	}
	t := &m.Terms[i-len(m.Parameters)]
	u := expr.MustUnit(t.Unit)
	u.Offset = 0
	return t.Prior, u
}

// bounds are those of a parameter in SI units; a coefficient ends at 0 and at its max, if it has one.
func bounds(m *model.Model, i int) (lo, hi float64) {
	if i < len(m.Parameters) {
		p := &m.Parameters[i]
		u := expr.MustUnit(p.Unit)
		return u.SI(p.Min), u.SI(p.Max)
	}
	t := &m.Terms[i-len(m.Parameters)]
	if t.Max > 0 {
		return 0, expr.MustUnit(t.Unit).Scale * t.Max
	}
	return 0, math.Inf(1)
}
