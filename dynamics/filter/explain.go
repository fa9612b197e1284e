package filter

import (
	"math"

	"stirwatch/dynamics/model"
)

// What is no term and no input by name.
const (
	usualPart     = "as in the last minute" // what all terms together did on average
	expertsPart   = "experts"               // what is forecast beyond what the equation says
	settlingCause = "settling"              // what would happen if the inputs were as in the last minute
)

// balanceFor is over how long the balance is taken that a change is split against, s.
const balanceFor = 60.0

// balance holds what inputs and terms were on average over the last minute.
type balance struct {
	width     int // inputs, then terms
	seconds   []float64
	values    []float64 // buckets × width, times seconds
	sum       []float64
	total     float64 // s
	first, n  int     // of the buckets, a ring
	now, mean []float64
}

func (b *balance) init(inputs, terms int) {
	const buckets = 64
	b.width = inputs + terms
	b.seconds, b.values = make([]float64, buckets), make([]float64, buckets*b.width)
	b.sum, b.now, b.mean = make([]float64, b.width), make([]float64, b.width), make([]float64, b.width)
}

func (b *balance) clear() {
	b.n, b.total = 0, 0
	clear(b.sum)
}

// add takes in b.now, which held for dt seconds.
func (b *balance) add(dt float64) {
	if dt == 0 {
		return
	}
	size := len(b.seconds)
	k := (b.first + b.n - 1 + size) % size
	if b.n == 0 || b.seconds[k]+dt > balanceFor/(float64(size)-4) {
		k = (b.first + b.n) % size
		if b.n == size {
			b.drop()
		}
		b.n++
		b.seconds[k] = 0
		clear(b.values[k*b.width : (k+1)*b.width])
	}
	b.seconds[k] += dt
	b.total += dt
	row := b.values[k*b.width : (k+1)*b.width]
	for i, v := range b.now {
		row[i] += v * dt
		b.sum[i] += v * dt
	}
	for b.n > 1 && b.total-b.seconds[b.first] >= balanceFor {
		b.drop()
	}
}

func (b *balance) drop() {
	k := b.first
	for i, v := range b.values[k*b.width : (k+1)*b.width] {
		b.sum[i] -= v
	}
	b.total -= b.seconds[k]
	b.first, b.n = (k+1)%len(b.seconds), b.n-1
}

// average fills b.mean; false before anything was added.
func (b *balance) average() bool {
	for i, v := range b.sum {
		b.mean[i] = v / b.total
	}
	return b.total > 0
}

// observe adds what acted over the last dt seconds to the balance.
func (f *Forecaster) observe(dt float64) {
	e, b := f.e, &f.balance
	if !e.started {
		return
	}
	copy(b.now, e.u)
	e.past.at(e.last, 0)
	e.r.Act(e.last)
	e.r.Rates(e.gain, e.x)
	for i := range e.m.Terms {
		b.now[len(e.u)+i] = e.r.Term(i)
	}
	b.add(dt)
}

// Explain splits the change that fc, made by [Forecaster.Ahead] under the same scenario, expects by its horizon k, twice,
// each time so that the parts add up to the total and are of its size.
//
// By term: what each does beyond what it did on average over the last minute, and what all of them did then.
// By cause: what would happen if every input were as it was on average over the last minute (settling), and
// what each input adds by being what the scenario makes of it: they are let go one after another, those that a
// program sets before those that a controller moves. What the experts know better than the equation is a part of
// its own in both. It gives dst, by output; once dst has been used it does not allocate.
func (f *Forecaster) Explain(dst []Attribution, fc *Forecast, k int, sc Scenario) []Attribution {
	e, b := f.e, &f.balance
	horizon := fc.Horizon[k]
	if !e.started || !b.average() {
		return e.attributions(dst)
	}
	dst = e.attribute(dst, horizon, sc, f.noting)
	nu := len(e.u)
	for o := range dst {
		d := &dst[o]
		of, usual := e.s.Observed[o], 0.0
		for i, j := 0, 0; i < len(e.s.Of); i++ {
			if e.s.Of[i] != of {
				continue
			}
			was := horizon * b.mean[nu+i] / e.s.Scale[of]
			d.Part[j] -= was
			usual += was
			j++
		}
		x := &fc.Outputs[o]
		beyond := x.Mean[k] - e.Reading(o) - d.Total
		d.Total += beyond
		d.Term, d.Part = append(d.Term, usualPart, expertsPart), append(d.Part, usual, beyond)
		d.Cause = append(d.Cause, Cause{Name: settlingCause, From: math.NaN(), To: math.NaN()})
	}
	f.causes(dst)
	for o := range dst {
		d := &dst[o]
		d.Cause = append(d.Cause, Cause{Name: expertsPart, Share: d.Part[len(d.Part)-1], From: math.NaN(), To: math.NaN()})
	}
	return dst
}

// note keeps what acts at one step of the equation's way ahead.
func (f *Forecaster) note(step, steps int, h float64) {
	e := f.e
	nu, nd := len(e.u), len(e.last)
	if step == 0 {
		f.course.h = h
		f.course.known = resize(f.course.known, steps)
		f.course.inputs, f.course.drives = resize(f.course.inputs, steps*nu), resize(f.course.drives, steps*nd)
	}
	copy(f.course.drives[step*nd:(step+1)*nd], e.last)
	if f.course.known[step] = e.acting != nil; e.acting != nil {
		copy(f.course.inputs[step*nu:(step+1)*nu], e.acting)
	}
}

// causes shares the totals of dst among the inputs, letting them go from their means of the last minute.
func (f *Forecaster) causes(dst []Attribution) {
	e := f.e
	nu, nd := len(e.u), len(e.last)
	mean := f.balance.mean[:nu]
	for c := -1; c < nu; c++ { // so many of the order are let go
		input := -1
		if c >= 0 {
			input = f.course.order[c]
			to, n := 0.0, 0.0
			moves := false
			for j, known := range f.course.known {
				if known {
					v := f.course.inputs[j*nu+input]
					to, n = to+v, n+1
					moves = moves || math.Abs(v-mean[input]) > 1e-9*math.Abs(v)
				}
			}
			if !moves {
				continue
			}
			for o := range dst {
				in := &e.m.Inputs[input]
				dst[o].Cause = append(dst[o].Cause, Cause{Name: in.Name, From: mean[input], To: to / n, Unit: in.Unit})
			}
		}
		copy(e.fx, e.x)
		for j, known := range f.course.known {
			d := f.course.drives[j*nd : (j+1)*nd]
			if known {
				copy(f.course.mixed, mean)
				for _, free := range f.course.order[:c+1] {
					f.course.mixed[free] = f.course.inputs[j*nu+free]
				}
				d = e.last
				e.r.Drive(d, f.course.mixed)
			}
			e.r.Act(d)
			e.r.Step(e.fx, f.course.h)
		}
		for o := range dst {
			causes := dst[o].Cause
			change := e.shown(e.fx, o) - e.Reading(o)
			causes[len(causes)-1].Share = change - f.course.change[o]
			f.course.change[o] = change
			if input < 0 {
				causes[0].Share = change
			}
		}
	}
}

// course is what acts on the equation's way ahead, step by step.
type course struct {
	h      float64   // s of a step
	known  []bool    // by step: inputs act, not the drives of the dead time before
	inputs []float64 // steps × inputs
	drives []float64 // steps × drives
	order  []int     // in which inputs are let go
	mixed  []float64 // inputs of which some are let go
	change []float64 // by output, of those let go so far
}

// letGo is the order in which causes are let go: those that a program sets before those that a controller moves.
func letGo(m *model.Model) (order []int) {
	for pass := range 2 {
		for i := range m.Inputs {
			if name := m.Inputs[i].Name; (name == model.SpindleSpeed || name == model.SpindlePower) == (pass == 1) {
				order = append(order, i)
			}
		}
	}
	return order
}
