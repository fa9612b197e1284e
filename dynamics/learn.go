package dynamics

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/mat"
)

// Options of Learn.
type Options struct {
	Inputs     []string    // names of the columns of Run.U, e.g. SpindlePower, in the units of the hypotheses
	Date       string      // goes into the provenance, RFC 3339
	Hypotheses *Hypotheses // nil: those for additive friction stir deposition
}

const (
	minRows    = 60   // of usable readings, over all runs
	surely     = 3.0  // standard errors that a coefficient must be from zero
	worthwhile = 5e-3 // and share of the cost that its term must save
	fullSteps  = 20   // iterations of a fit from the starting values
	warmSteps  = 8    // and of one from values that are nearly right
	foldSteps  = 9
)

// Learn fits the hypotheses to runs, which must have the columns of o.Inputs, and gives the model.
// A run is cut to its active rows first. Terms that the data do not bear out are dropped. Errors
// say what is wrong with the data: too little of it, a process that never gets going, inputs that
// do not move, columns that are missing.
func Learn(runs []Run, o Options) (*Model, error) {
	l, err := newLearner(runs, o)
	if err != nil {
		return nil, err
	}
	if err := l.learn(); err != nil {
		return nil, err
	}
	return l.m, nil
}

// learner holds what Learn has made so far.
type learner struct {
	h       *Hypotheses
	o       Options
	runs    []*Run // active rows, columns of the draft
	m       *Model
	theta   []float64 // SI, of m
	cost    float64
	dropped []string
}

func newLearner(runs []Run, o Options) (*learner, error) {
	h := o.Hypotheses
	if h == nil {
		h = DefaultHypotheses()
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, errors.New("no runs to learn from")
	}
	for _, name := range o.Inputs {
		if !slices.ContainsFunc(h.Inputs, func(in HypothesisInput) bool { return in.Is == name }) {
			return nil, fmt.Errorf("input %q is unknown to the hypotheses", name)
		}
	}
	l := &learner{h: h, o: o}
	var active []*Run
	usable := 0
	for i := range runs {
		r := runs[i]
		r.Inputs = o.Inputs
		if err := r.check(len(o.Inputs), len(h.Outputs)); err != nil {
			return nil, err
		}
		var speed []float64
		if k := slices.Index(o.Inputs, SpindleSpeed); k >= 0 {
			speed = r.U[k]
		}
		from, to, err := activeRows(&r, speed)
		if err != nil {
			return nil, err
		}
		a := r.rows(from, to)
		for _, z := range a.Z[0] {
			if finite(z) {
				usable++
			}
		}
		active = append(active, a)
	}
	if usable < minRows {
		return nil, fmt.Errorf("too little data: %d usable rows of %s, at least %d are needed", usable, h.Outputs[0].Is, minRows)
	}
	if err := l.warmEnough(active); err != nil {
		return nil, err
	}
	// Terms whose inputs nobody measured, or that never move, are no candidates.
	without := map[string]string{} // by input: why not
	for _, in := range h.Inputs {
		k := slices.Index(o.Inputs, in.Is)
		if k < 0 {
			without[in.Symbol] = fmt.Sprintf("input %q is needed", in.Is)
			continue
		}
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, r := range active {
			l, h := span(r.U[k])
			lo, hi = min(lo, l), max(hi, h)
		}
		switch {
		case lo > hi:
			without[in.Symbol] = fmt.Sprintf("input %q is missing in every row", in.Is)
		case hi-lo <= 1e-6*max(math.Abs(lo), math.Abs(hi)):
			without[in.Symbol] = fmt.Sprintf("input %q is constant (%g to %g %s)", in.Is, lo, hi, in.Unit)
		}
	}
	let := map[string]*node{}
	for _, d := range h.Definitions {
		let[d.Name] = mustParse(d.Expression)
	}
	var lacking error
	why := func(t *HypothesisTerm) string {
		found := ""
		var look func(string)
		look = func(name string) {
			if w := without[name]; w != "" && found == "" {
				found = w
			}
			if n := let[name]; n != nil {
				n.symbols(look)
			}
		}
		mustParse(t.Expression).symbols(look)
		return found
	}
	l.m = h.draft(func(t *HypothesisTerm) bool {
		if t.Opinion == Forbid {
			return false
		}
		w := why(t)
		if w == "" {
			return true
		}
		if t.Opinion == Require && lacking == nil {
			lacking = fmt.Errorf("%s by the term %q: no equation can be learned without it", w, t.Name)
		}
		return t.Fixed && t.Opinion != Propose
	})
	if lacking != nil {
		return nil, lacking
	}
	l.m.prune()
	for _, r := range active {
		c, err := r.columns(l.m)
		if err != nil {
			return nil, err
		}
		l.runs = append(l.runs, c)
	}
	return l, nil
}

// warmEnough asks for rows that forecasts are scored on.
func (l *learner) warmEnough(runs []*Run) error {
	top := math.Inf(-1)
	for _, r := range runs {
		_, hi := span(r.Z[0])
		top = max(top, hi)
	}
	if above := l.h.Outputs[0].ScoreAbove; above != 0 && top <= above {
		return fmt.Errorf("the tool never exceeds %g °C (highest reading %.0f): nothing can be learned from a process that never gets hot", above, top)
	}
	return nil
}

// span is the range of the finite values, turned round where there are none.
func span(v []float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, x := range v {
		if finite(x) {
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	return lo, hi
}

// fitted makes a fitter of m over runs; masks says which rows count, nil all.
func (l *learner) fitter(m *Model, runs []*Run, masks [][]bool) (*fitter, error) {
	var rs []*fitRun
	for i, r := range runs {
		c := *r
		if len(m.Inputs) != len(l.m.Inputs) {
			c.Inputs = nil
			for _, in := range l.m.Inputs {
				c.Inputs = append(c.Inputs, in.Name)
			}
			d, err := c.columns(m)
			if err != nil {
				return nil, err
			}
			c = *d
		}
		f := newFitRun(m, &c)
		if masks != nil {
			f.mask = masks[i]
		}
		rs = append(rs, f)
	}
	return newFitter(m.compileFor(true), rs), nil
}

// learn is fit and, on top of it, judge.
func (l *learner) learn() error {
	if err := l.fit(); err != nil {
		return err
	}
	return l.judge()
}

// fit finds the terms and their parameters.
func (l *learner) fit() error {
	f, err := l.fitter(l.m, l.runs, nil)
	if err != nil {
		return err
	}
	theta := slices.Clone(f.s.theta)
	l.cost = f.solve(theta, fullSteps)
	f.s.store(l.m, theta)
	for {
		q := f.evaluate(theta, true) // with the weight of the starting values that solve ended with
		se := f.stdErrs(q)
		for lane, p := range f.free {
			f.s.storeErr(l.m, p, se[lane])
		}
		k := l.weakest(f, q, theta, se)
		if k < 0 {
			break
		}
		t := l.m.Terms[k]
		if l.required(&t) {
			return fmt.Errorf("the data do not bear out the term %q (%s), which is required: its coefficient is %.2g ± %.2g %s", t.Name, t.Expression, t.Coefficient, t.StdErr, t.Unit)
		}
		m := *l.m
		m.Terms = slices.Delete(slices.Clone(m.Terms), k, k+1)
		m.Parameters = slices.Clone(m.Parameters)
		m.prune()
		f, err = l.fitter(&m, l.runs, nil)
		if err != nil {
			return err
		}
		l.take(&m)
		l.dropped = append(l.dropped, t.Name)
		theta = slices.Clone(f.s.theta)
		l.cost = f.solve(theta, warmSteps)
		f.s.store(l.m, theta)
	}
	l.theta = theta
	for i := range l.m.Inputs {
		in := &l.m.Inputs[i]
		in.Min, in.Max = math.Inf(1), math.Inf(-1)
		for _, r := range l.runs {
			lo, hi := span(r.U[i])
			in.Min, in.Max = min(in.Min, lo), max(in.Max, hi)
		}
	}
	for i := range l.m.Outputs {
		out := &l.m.Outputs[i]
		out.Min, out.Max = math.Inf(1), math.Inf(-1)
		for _, r := range l.runs {
			lo, hi := span(r.Z[i])
			out.Min, out.Max = min(out.Min, lo), max(out.Max, hi)
		}
	}
	if l.h.Plan != nil {
		l.m.Plan = learnPlan(l.m, l.runs)
	}
	l.m.Provenance.Learned = l.o.Date
	for _, r := range l.runs {
		l.m.Provenance.Runs = append(l.m.Provenance.Runs, RunSource{r.Name, r.SHA256, len(r.Time)})
	}
	if err := l.m.Check(); err != nil {
		return fmt.Errorf("what was learned makes no model: %w", err)
	}
	return nil
}

// take makes m the present model and gives runs its columns.
func (l *learner) take(m *Model) {
	if len(m.Inputs) != len(l.m.Inputs) {
		var names []string
		for _, in := range l.m.Inputs {
			names = append(names, in.Name)
		}
		for i, r := range l.runs {
			c := *r
			c.Inputs = names
			if d, err := c.columns(m); err == nil {
				l.runs[i] = d
			}
		}
	}
	l.m = m
}

func (l *learner) required(t *Term) bool {
	return slices.ContainsFunc(l.h.Terms, func(h HypothesisTerm) bool {
		return h.Name == t.Name && h.Of == t.State && h.Opinion == Require
	})
}

// weakest is the term to drop next, -1 if all should stay: the one that is least sure, or saves
// too little. Terms that people require stay, but a source without effect is an error. What dropping costs is told by the quadratic model around the fit, the other
// parameters following (Wald).
func (l *learner) weakest(f *fitter, q *normal, theta, se []float64) int {
	inverse := f.inverse(q)
	worst, least := -1, 1.0
	for lane, p := range f.free {
		k := p - len(l.m.Parameters)
		if k < 0 {
			continue
		}
		v := theta[p]
		score := 0.0 // at least 1 to stay
		if v > 0 && inverse != nil && inverse.At(lane, lane) > 0 {
			saves := v * v / inverse.At(lane, lane) / q.cost
			sure := math.Inf(1)
			if se[lane] > 0 {
				sure = v / se[lane]
			}
			score = min(saves/worthwhile, sure/surely)
		}
		if l.required(&l.m.Terms[k]) {
			if v > 0 || l.m.Terms[k].Sign < 0 {
				continue
			}
			score = -1
		}
		if score < least {
			worst, least = k, score
		}
	}
	return worst
}

// inverse is that of the normal equations, nil if they have none.
func (f *fitter) inverse(q *normal) *mat.SymDense {
	n := len(f.free)
	scale := make([]float64, n)
	for i := range n {
		scale[i] = math.Sqrt(q.a[i*n+i])
	}
	a := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			a.SetSym(i, j, q.a[i*n+j]/(scale[i]*scale[j])) // scaled to a diagonal of 1, so that it is well conditioned
		}
	}
	var chol mat.Cholesky
	if !chol.Factorize(a) {
		return nil
	}
	inv := mat.NewSymDense(n, nil)
	if chol.InverseTo(inv) != nil {
		return nil
	}
	for i := range n {
		for j := range i + 1 {
			inv.SetSym(i, j, inv.At(i, j)/(scale[i]*scale[j]))
		}
	}
	return inv
}

// stdErrs are the standard errors of the free parameters: the sandwich over blocks of time,
// within which residuals hang together.
func (f *fitter) stdErrs(q *normal) []float64 {
	n := len(f.free)
	out := make([]float64, n)
	inv := f.inverse(q)
	if inv == nil {
		for i := range out {
			out[i] = math.Inf(1)
		}
		return out
	}
	blocks := map[int][]float64{}
	var order []int
	for i, r := range q.r {
		g := blocks[q.at[i]]
		if g == nil {
			g = make([]float64, n)
			blocks[q.at[i]] = g
			order = append(order, q.at[i])
		}
		for k, x := range q.j[i*n : (i+1)*n] {
			g[k] += x * r
		}
	}
	meat, naive := mat.NewSymDense(n, nil), mat.NewSymDense(n, nil)
	for _, b := range order {
		meat.SymRankOne(meat, 1, mat.NewVecDense(n, blocks[b]))
	}
	for i, r := range q.r {
		naive.SymRankOne(naive, r*r, mat.NewVecDense(n, q.j[i*n:(i+1)*n]))
	}
	// A few blocks tell little about each parameter by itself: how much residuals hang together is
	// pooled over all of them.
	pooled := 0.0
	for i := range n {
		if v := naive.At(i, i); v > 0 {
			pooled += meat.At(i, i) / v / float64(n)
		}
	}
	var half, cov, plain mat.Dense
	half.Mul(inv, meat)
	cov.Mul(&half, inv)
	half.Mul(inv, naive)
	plain.Mul(&half, inv)
	small := 1.0
	if b := float64(len(order)); b > 1 {
		small = b / (b - 1) * max(1, b/max(1, b-float64(n)))
	}
	for i := range out {
		out[i] = math.Sqrt(max(0, small*cov.At(i, i), small*pooled*plain.At(i, i)))
	}
	return out
}

// storeErr writes the standard error of parameter i into the document.
func (s *system) storeErr(m *Model, i int, se float64) {
	if !finite(se) {
		se = 0
	}
	if i < len(m.Parameters) {
		m.Parameters[i].StdErr = se / mustUnit(m.Parameters[i].Unit).Scale
		return
	}
	t := &m.Terms[i-len(m.Parameters)]
	t.StdErr = se / mustUnit(t.Unit).Scale
}

// refit fits the parameters of m again, without the rows that masks leave out, and gives that model.
func (l *learner) refit(m *Model, runs []*Run, masks [][]bool, iterations int) (*Model, float64, error) {
	c := *m
	c.Parameters, c.Terms = slices.Clone(m.Parameters), slices.Clone(m.Terms)
	f, err := l.fitter(&c, runs, masks)
	if err != nil {
		return nil, 0, err
	}
	theta := slices.Clone(f.s.theta)
	cost := f.solve(theta, iterations)
	f.s.store(&c, theta)
	if c.Plan != nil {
		seen := runs
		if masks != nil {
			seen = nil
			for i, r := range runs {
				seen = append(seen, r.only(masks[i]))
			}
		}
		if p := learnPlan(&c, seen); p != nil {
			c.Plan = p
		}
	}
	return &c, cost, nil
}

// fresh is m with every parameter back at its starting value: what is learned without a run must
// not begin with what was learned from it.
func (l *learner) fresh(m *Model) *Model {
	c := *m
	c.Parameters, c.Terms = slices.Clone(m.Parameters), slices.Clone(m.Terms)
	for i := range c.Parameters {
		for _, p := range l.h.Parameters {
			if p.Name == c.Parameters[i].Name {
				c.Parameters[i].Value = p.Value
			}
		}
	}
	for i := range c.Terms {
		for _, t := range l.h.Terms {
			if t.Name == c.Terms[i].Name && t.Of == c.Terms[i].State && !t.Fixed {
				c.Terms[i].Coefficient = t.Start
			}
		}
	}
	return &c
}

// errorsOf gathers, by way and horizon, the errors of held-out forecasts in units of the half-width.
type spreadData [3][][]float64

// judge fills in what can only be told by forecasts of rows that were not learned from: the
// spread of the intervals and the table of skill.
func (l *learner) judge() error {
	ways := []Way{Known, Held}
	if l.m.Plan != nil {
		ways = append(ways, Planned)
	}
	// Halves of the runs, left out in turn.
	folds := make([]*Model, 2)
	masks := make([][][]bool, 2)
	var wg sync.WaitGroup
	var errs [2]error
	for half := range folds {
		for _, r := range l.runs {
			n := len(r.Time)
			mask := make([]bool, n)
			for i := range mask {
				mask[i] = (i < n/2) == (half == 0)
			}
			masks[half] = append(masks[half], mask)
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			folds[half], _, errs[half] = l.refit(l.fresh(l.m), l.runs, masks[half], foldSteps)
		}()
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	var ratios spreadData
	for _, w := range ways {
		ratios[w] = make([][]float64, len(Horizons))
	}
	for half, m := range folds {
		s := m.compile()
		for i, r := range l.runs {
			t := newTrack(s, r)
			for _, w := range ways {
				err := forecastTrack(t, w, Horizons, 0, len(r.Time), 1, true, func(row Row) {
					z := r.Z[0][row.Target]
					if masks[half][i][row.Target] || !finite(z, row.Forecast) {
						return
					}
					k := slices.Index(Horizons, row.Horizon)
					width := row.Upper - row.Forecast
					ratios[w][k] = append(ratios[w][k], (z-row.Forecast)/width)
				})
				if err != nil {
					return err
				}
			}
		}
	}
	for k, h := range Horizons {
		sides := func(w Way) SideScale {
			if ratios[w] == nil || len(ratios[w][k]) < 20 {
				return SideScale{1, 1}
			}
			v := ratios[w][k]
			slices.Sort(v)
			n := float64(len(v))
			at := func(p float64) float64 { return v[min(len(v)-1, max(0, int(p*n)))] }
			return SideScale{Lower: max(0.3, -at(0.025)), Upper: max(0.3, at(0.975))}
		}
		l.m.Spread = append(l.m.Spread, Spread{Horizon: h, Known: sides(Known), Held: sides(Held), Plan: sides(Planned)})
	}
	// Skill, on every run by a model of the others.
	rows := make([][]Skill, len(l.runs))
	skillErrs := make([]error, len(l.runs))
	for i, r := range l.runs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			m := l.m
			if len(l.runs) > 1 {
				others := slices.Delete(slices.Clone(l.runs), i, i+1)
				var err error
				if m, _, err = l.refit(l.fresh(l.m), others, nil, foldSteps); err != nil {
					skillErrs[i] = err
					return
				}
				m.Provenance.Runs = slices.Delete(slices.Clone(m.Provenance.Runs), i, i+1)
			}
			for _, w := range ways {
				s, err := Score(m, r, w, Horizons, 0, len(r.Time))
				if err != nil {
					skillErrs[i] = err
					return
				}
				rows[i] = append(rows[i], s...)
			}
		}()
	}
	wg.Wait()
	for _, s := range rows {
		l.m.Skill = append(l.m.Skill, s...)
	}
	return errors.Join(skillErrs...)
}
