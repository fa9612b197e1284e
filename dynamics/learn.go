package dynamics

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/mat"
)

// Options of Learn.
type Options struct {
	Inputs     []string    // names of the columns of Run.U, e.g. SpindlePower, in the units of the hypotheses
	Date       string      // goes into the provenance, RFC 3339
	Hypotheses *Hypotheses // nil: those for additive friction stir deposition
	Evidence   bool        // whether to gather [Evidence], which takes as long again
	Seed       uint64      // of the bootstrap

	Progress func(step string) // nil or told what is being done
}

const (
	minRows    = 60   // of usable readings, over all runs
	rowsEach   = 5    // of those that forecasts are judged on, for each number to learn
	surely     = 3.0  // standard errors that a coefficient must be from zero
	worthwhile = 5e-3 // and share of the cost that its term must save
	parsimony  = 5e-3 // and share of the cost of rows held out that it must save
	fullSteps  = 20   // iterations of a fit from the starting values
	warmSteps  = 8    // and of one from values that are nearly right
	foldSteps  = 9
	lapSteps   = 3 // and of one that only tells if a term is missed
	manyRuns   = 4 // from so many on whole runs are held out in turn, below that halves
)

// Learn fits the hypotheses to runs, which must have the columns of o.Inputs, and gives the model.
// A run is cut to its active rows first. Terms that the data do not bear out are dropped. Errors
// say what is wrong with the data: too little of it, a process that never gets going, inputs that
// do not move, columns that are missing.
func Learn(given []Run, o Options) (*Model, error) {
	l, err := newLearner(given, o)
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
	h     *Hypotheses
	o     Options
	runs  []*Run // active rows, columns of the draft
	m     *Model
	theta []float64 // SI, of m

	without map[string]string // by [candidate]: what input it lacks
	dropped map[string]string // by candidate: why
	all     weighing          // of the fit of all candidates
	weak    map[string]WeakForm
	folds   []*fold
	starts  []map[string]float64 // by run
}

// weighing is a fit that evidence is drawn from.
type weighing struct {
	f     *fitter
	q     *normal
	theta []float64
	se    []float64
}

// candidate names a term among all.
func candidate(state, name string) string { return name + " of " + state }

func newLearner(given []Run, o Options) (*learner, error) {
	h := o.Hypotheses
	if h == nil {
		h = DefaultHypotheses()
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if len(given) == 0 {
		return nil, errors.New("no runs to learn from")
	}
	for _, name := range o.Inputs {
		if !slices.ContainsFunc(h.Inputs, func(in HypothesisInput) bool { return in.Is == name }) {
			return nil, fmt.Errorf("input %q is unknown to the hypotheses", name)
		}
	}
	l := &learner{h: h, o: o, without: map[string]string{}, dropped: map[string]string{}}
	var active []*Run
	usable := 0
	for i := range given {
		r := given[i]
		r.Inputs = o.Inputs
		if k := slices.IndexFunc(given[:i], func(q Run) bool { return q.SHA256 != "" && q.SHA256 == r.SHA256 }); k >= 0 {
			return nil, fmt.Errorf("runs %s and %s are the same recording: it would count twice", given[k].Name, r.Name)
		}
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
		if to-from < 2 {
			return nil, fmt.Errorf("too little data: run %s has %d active row, at least 2 are needed", r.Name, to-from)
		}
		a := l.possible(r.rows(from, to))
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
	// Terms whose inputs nobody measured, or that never move, are no candidates. An input with a
	// default is taken as that.
	without := map[string]string{} // by input: why not
	var absent []string
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
	for _, in := range h.Inputs {
		if without[in.Symbol] != "" && in.Default != nil {
			delete(without, in.Symbol)
			if k := slices.Index(o.Inputs, in.Is); k < 0 || !slices.ContainsFunc(active, func(r *Run) bool { return slices.ContainsFunc(r.U[k], func(v float64) bool { return finite(v) }) }) {
				absent = append(absent, in.Symbol)
			}
		}
	}
	h = h.assuming(absent)
	l.h = h
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
		l.without[candidate(t.Of, t.Name)] = w
		if t.Opinion == Require && lacking == nil {
			lacking = fmt.Errorf("%s: no equation can be learned without it, for the term %q is required", w, t.Name)
		}
		return false
	})
	if lacking != nil {
		return nil, lacking
	}
	prune(l.m)
	for _, r := range active {
		c, err := r.columns(l.m)
		if err != nil {
			return nil, err
		}
		for _, in := range l.m.Inputs {
			c.Inputs = append(c.Inputs, in.Name)
		}
		l.runs = append(l.runs, c)
	}
	hot := 0
	for _, r := range l.runs {
		for _, z := range r.Z[0] {
			if z > l.m.Outputs[0].above() {
				hot++
			}
		}
	}
	if free := len(Compile(l.m).Free); hot < rowsEach*free {
		return nil, fmt.Errorf("too little data: %d rows that forecasts are judged on, for %d numbers to learn; at least %d are needed: add runs, or fix parameters and forbid terms in the hypotheses", hot, free, rowsEach*free)
	}
	return l, nil
}

// possible is run without the readings that cannot be.
func (l *learner) possible(run *Run) *Run {
	c := *run
	c.Z = slices.Clone(run.Z)
	for i, o := range l.h.Outputs {
		p, left := o.Possible, 0
		if p == nil {
			continue
		}
		c.Z[i] = slices.Clone(run.Z[i])
		for k, z := range c.Z[i] {
			if finite(z) && (z < p[0] || z > p[1]) {
				c.Z[i][k] = math.NaN()
				left++
			}
		}
		if left > 0 {
			l.say(fmt.Sprintf("run %s: %d readings of %s outside %g to %g %s are left out", run.Name, left, o.Is, p[0], p[1], o.Unit))
		}
	}
	return &c
}

// driven tells if a term that counts depends on an input.
func driven(m *Model) (yes bool) {
	let := map[string]*node{}
	for _, d := range m.Definitions {
		let[d.Name] = mustParse(d.Expression)
	}
	var look func(string)
	look = func(name string) {
		yes = yes || slices.ContainsFunc(m.Inputs, func(in Input) bool { return in.Symbol == name })
		if n := let[name]; n != nil {
			n.symbols(look)
		}
	}
	for _, t := range m.Terms {
		if t.Coefficient > 0 {
			mustParse(t.Expression).symbols(look)
		}
	}
	return yes
}

// warmEnough asks for rows that forecasts are scored on.
func (l *learner) warmEnough(active []*Run) error {
	top := math.Inf(-1)
	for _, r := range active {
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

// fitter makes a fitter of m over runs; masks says which rows count, nil all. Runs of which no row
// counts are left out.
func (l *learner) fitter(m *Model, all []*Run, masks [][]bool) (*fitter, error) {
	var rs []*fitRun
	for i, r := range all {
		if masks != nil && !slices.Contains(masks[i], true) {
			continue
		}
		c, err := r.columns(m)
		if err != nil {
			return nil, err
		}
		var mask []bool
		if masks != nil {
			mask = masks[i]
		}
		rs = append(rs, newFitRun(m, c, mask))
	}
	return newFitter(CompileForFit(m), rs), nil
}

// learn builds the model, judges it, and gathers the evidence.
func (l *learner) learn() error {
	if err := l.build(); err != nil {
		return err
	}
	if err := l.judge(); err != nil {
		return err
	}
	if l.o.Evidence {
		l.say("gathering evidence for every candidate")
		if err := l.weigh(); err != nil {
			return err
		}
	}
	if err := l.m.Check(); err != nil {
		return fmt.Errorf("what was learned makes no model: %w", err)
	}
	return nil
}

// build finds the terms, their parameters, the noise and the intervals.
func (l *learner) build() error {
	l.say("fitting all candidates, dropping what the data do not bear out")
	if err := l.fit(); err != nil {
		return err
	}
	l.say("choosing noise and terms by rows held out")
	if err := l.settle(); err != nil {
		return err
	}
	if !driven(l.m) {
		return errors.New("no term with an input is left: nothing would drive the process; let the hypotheses propose a source")
	}
	l.say("judging it by runs held out")
	if err := l.document(); err != nil {
		return err
	}
	return l.spread()
}

func (l *learner) say(step string) {
	if l.o.Progress != nil {
		l.o.Progress(step)
	}
}

// fit starts with all candidates and drops, one by one, those that the data do not bear out:
// backward elimination on the forecasts themselves.
func (l *learner) fit() error {
	f, err := l.fitter(l.m, l.runs, nil)
	if err != nil {
		return err
	}
	theta := slices.Clone(f.s.Theta)
	f.solve(theta, fullSteps)
	storeParameters(l.m, theta)
	for {
		q, se := f.say(theta)
		if l.all.f == nil {
			l.all = weighing{f, q, slices.Clone(theta), se}
			if l.o.Evidence {
				l.weak = f.weakForm(theta, l.required)
			}
		}
		k := l.weakest(f, q, theta, se)
		if k < 0 {
			break
		}
		t := l.m.Terms[k]
		why := fmt.Sprintf("its coefficient is %.2g ± %.2g %s", theta[len(l.m.Parameters)+k]/mustUnit(t.Unit).Scale, se[slices.Index(f.free, len(l.m.Parameters)+k)]/mustUnit(t.Unit).Scale, t.Unit)
		if l.required(&t) {
			return fmt.Errorf("the data do not bear out the term %q (%s), which is required: %s", t.Name, t.Expression, why)
		}
		if f, theta, err = l.drop(k, why); err != nil {
			return err
		}
	}
	l.theta = theta
	return nil
}

// drop takes term k out of the model and fits the rest again.
func (l *learner) drop(k int, why string) (*fitter, []float64, error) {
	t := l.m.Terms[k]
	m := *l.m
	m.Terms = slices.Delete(slices.Clone(m.Terms), k, k+1)
	m.Parameters = slices.Clone(m.Parameters)
	prune(&m)
	f, err := l.fitter(&m, l.runs, nil)
	if err != nil {
		return nil, nil, err
	}
	l.m = &m
	l.dropped[candidate(t.State, t.Name)] = why
	theta := slices.Clone(f.s.Theta)
	f.solve(theta, warmSteps)
	storeParameters(l.m, theta)
	return f, theta, nil
}

// settle chooses the noise of the states, and drops terms that rows held out do not miss.
func (l *learner) settle() error {
	if len(l.runs) > 1 {
		for _, coarse := range []float64{firstStep, math.Sqrt(firstStep)} {
			if err := l.tune(coarse); err != nil {
				return err
			}
		}
	}
	l.hold()
	if err := l.refold(); err != nil {
		return err
	}
	if err := l.economise(); err != nil {
		return err
	}
	f, err := l.fitter(l.m, l.runs, nil)
	if err != nil {
		return err
	}
	// Here steps are halved: the coefficients are to be those of the equation, whatever the steps.
	f.halved = 1
	l.theta = slices.Clone(f.s.Theta)
	f.solve(l.theta, warmSteps)
	storeParameters(l.m, l.theta)
	l.starts = f.starts()
	_, se := f.say(l.theta)
	for lane, p := range f.free {
		storeError(l.m, p, se[lane])
	}
	return nil
}

// tune chooses the noise of the states by forecasts of every run with what was learned from the
// others, and of all runs with what was learned from all: how much a filter should adapt is told by
// runs that its equation has not seen. One run alone cannot tell.
func (l *learner) tune(coarse float64) error {
	f, err := l.fitter(l.m, l.runs, nil)
	if err != nil {
		return err
	}
	trials := make([]trial, len(l.runs), len(l.runs)+1)
	err = l.parallel(len(l.runs), func(i int) (err error) {
		h := l.holding(func(run, _, _ int) bool { return run == i })
		trials[i], _, err = l.foldFit(h, l.fresh(l.m), foldSteps)
		return err
	})
	if err != nil {
		return err
	}
	l.m.States = slices.Clone(l.m.States)
	tune(l.m, l.h.draft(nil), append(trials, trial{f, l.theta}), coarse)
	f.solve(l.theta, warmSteps)
	storeParameters(l.m, l.theta)
	return nil
}

// economise drops proposed terms, the most useless first, as long as the rows held out are forecast
// as well without.
func (l *learner) economise() error {
	for {
		var proposed []int
		for k := range l.m.Terms {
			if t := &l.m.Terms[k]; !t.Fixed && !l.required(t) {
				proposed = append(proposed, k)
			}
		}
		n := len(l.folds)
		saves := make([]float64, len(proposed)*n) // by term and fold: what the rows held out lose without it, as a share of their cost
		err := l.parallel(len(saves), func(i int) error {
			h, t := l.folds[i%n], &l.m.Terms[proposed[i/n]]
			m, ok := l.toggled(h.m, t.State, t.Name)
			if !ok { // nothing works without it
				saves[i] = math.Inf(1)
				return nil
			}
			without, _, err := l.foldFit(h, m, lapSteps)
			if err == nil {
				saves[i] = without.cost() - h.cost
			}
			return err
		})
		if err != nil {
			return err
		}
		worst, least := -1, parsimony
		for i, k := range proposed {
			mean := 0.0
			for _, v := range saves[i*n : (i+1)*n] {
				mean += v / float64(n)
			}
			if mean < least {
				worst, least = k, mean
			}
		}
		if worst < 0 {
			return nil
		}
		_, theta, err := l.drop(worst, fmt.Sprintf("rows held out are forecast as well without it (%+.1f %% of their cost)", 100*least))
		if err != nil {
			return err
		}
		l.theta = theta
		if err := l.refold(); err != nil {
			return err
		}
	}
}

// seen is the range of column k of the runs.
func (l *learner) seen(k int) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, r := range l.runs {
		a, b := span(r.U[k])
		lo, hi = min(lo, a), max(hi, b)
	}
	return lo, hi
}

// document fills in the ranges seen, the plan and where all comes from.
func (l *learner) document() error {
	var all []*Run
	for _, r := range l.runs {
		c, err := r.columns(l.m)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	for i := range l.m.Inputs {
		in := &l.m.Inputs[i]
		in.Min, in.Max = l.seen(slices.Index(l.runs[0].Inputs, in.Name))
	}
	for i := range l.m.Outputs {
		out := &l.m.Outputs[i]
		out.Min, out.Max = math.Inf(1), math.Inf(-1)
		for _, r := range all {
			lo, hi := span(r.Z[i])
			out.Min, out.Max = min(out.Min, lo), max(out.Max, hi)
		}
	}
	if l.h.Plan != nil {
		l.m.Plan = learnPlan(l.m, all)
	}
	l.m.Hypotheses = l.h.Text()
	l.m.Provenance.Learned = l.o.Date
	for i, r := range l.runs {
		l.m.Provenance.Runs = append(l.m.Provenance.Runs, RunSource{r.Name, r.SHA256, len(r.Time), l.starts[i]})
	}
	return nil
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
	inverse := q.inverse()
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
func (q *normal) inverse() *mat.SymDense {
	n := len(q.g)
	if n == 0 {
		return nil
	}
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

// stdErrs are the standard errors of what q is of.
func (q *normal) stdErrs() []float64 {
	out := make([]float64, len(q.g))
	c := q.covariance()
	for i := range out {
		out[i] = math.Inf(1)
		if c != nil {
			out[i] = math.Sqrt(c.At(i, i))
		}
	}
	return out
}

// covariance of what q is of: the sandwich over blocks of time, within which residuals hang
// together (White, Econometrica 50, 1982); nil where the normal equations have no inverse.
func (q *normal) covariance() *mat.SymDense {
	n := len(q.g)
	inv := q.inverse()
	if inv == nil {
		return nil
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
	out := mat.NewSymDense(n, nil)
	sd := make([]float64, n)
	for i := range n {
		sd[i] = math.Sqrt(max(0, small*cov.At(i, i), small*pooled*plain.At(i, i)))
		for j := range i + 1 {
			r := 0.0 // how the estimates hang together: as in the pooled one, which is no guess from few blocks
			if v := plain.At(i, i) * plain.At(j, j); v > 0 {
				r = plain.At(i, j) / math.Sqrt(v)
			}
			if i == j {
				r = 1
			}
			out.SetSym(i, j, r*sd[i]*sd[j])
		}
	}
	return out
}

// storeError writes the standard error of parameter i into the document.
func storeError(m *Model, i int, se float64) {
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

// fold is a way to hold rows out: those to learn from, those to score, and what came of it.
type fold struct {
	learn, score [][]bool // by run and row
	m            *Model
	trial        trial
	cost         float64 // of trial
}

// holding makes a fold that holds out the rows that out says.
func (l *learner) holding(out func(run, row, rows int) bool) *fold {
	h := &fold{}
	for k, r := range l.runs {
		n := len(r.Time)
		learn, score := make([]bool, n), make([]bool, n)
		for j := range n {
			score[j] = out(k, j, n)
			learn[j] = !score[j]
		}
		h.learn, h.score = append(h.learn, learn), append(h.score, score)
	}
	return h
}

// hold makes the folds: whole runs in turn where there are many, halves of every run otherwise.
func (l *learner) hold() {
	parts := 2
	if len(l.runs) >= manyRuns {
		parts = 1
	}
	for i := range l.runs {
		for part := range parts {
			l.folds = append(l.folds, l.holding(func(run, row, rows int) bool { return run == i && row*parts/rows == part }))
		}
	}
}

// refold fits the present model on every fold, from the starting values: what is learned without some
// rows must not begin with what was learned from them.
func (l *learner) refold() error {
	return l.parallel(len(l.folds), func(i int) (err error) {
		h := l.folds[i]
		h.trial, h.m, err = l.foldFit(h, l.fresh(l.m), foldSteps)
		if err == nil {
			h.cost = h.trial.cost()
		}
		return err
	})
}

// foldFit fits m to what a fold learns from, and makes ready to score it on the rest.
func (l *learner) foldFit(h *fold, m *Model, iterations int) (t trial, fitted *Model, err error) {
	if fitted, err = l.refit(m, h.learn, iterations); err != nil {
		return t, nil, err
	}
	f, err := l.fitter(fitted, l.runs, h.score)
	if err != nil {
		return t, nil, err
	}
	return trial{f, f.s.Theta}, fitted, nil
}

// toggled is m without the candidate if it has it, else with it; false where that makes no model.
func (l *learner) toggled(m *Model, state, name string) (*Model, bool) {
	d := l.h.draft(func(h *HypothesisTerm) bool {
		has := slices.ContainsFunc(m.Terms, func(t Term) bool { return t.State == h.Of && t.Name == h.Name })
		return has != (h.Of == state && h.Name == name)
	})
	prune(d)
	for i := range d.Parameters {
		if p := m.parameter(d.Parameters[i].Name); p != nil {
			d.Parameters[i].Value = p.Value
		}
	}
	for i := range d.States {
		if k := m.state(d.States[i].Symbol); k >= 0 {
			d.States[i].Noise, d.States[i].NoiseShare = m.States[k].Noise, m.States[k].NoiseShare
		}
	}
	for i := range d.Terms {
		for _, t := range m.Terms {
			if t.State == d.Terms[i].State && t.Name == d.Terms[i].Name {
				d.Terms[i].Coefficient = t.Coefficient
			}
		}
	}
	return d, len(d.Terms) > 0 && d.Check() == nil
}

// parallel calls fn for 0 … n−1, two at a time, and gives the first error.
func (l *learner) parallel(n int, fn func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(2)
	for i := range n {
		g.Go(func() error { return fn(i) })
	}
	return g.Wait()
}

// refit fits the parameters of m again to the rows that masks allow, and gives that model.
func (l *learner) refit(m *Model, masks [][]bool, iterations int) (*Model, error) {
	c := *m
	c.Parameters, c.Terms = slices.Clone(m.Parameters), slices.Clone(m.Terms)
	f, err := l.fitter(&c, l.runs, masks)
	if err != nil {
		return nil, err
	}
	theta := slices.Clone(f.s.Theta)
	f.solve(theta, iterations)
	storeParameters(&c, theta)
	return &c, nil
}

// plan gives m a plan learned from the rows that masks allow.
func (l *learner) plan(m *Model, masks [][]bool) error {
	var seen []*Run
	for i, r := range l.runs {
		if slices.Contains(masks[i], true) {
			r, err := r.columns(m)
			if err != nil {
				return err
			}
			seen = append(seen, r.only(masks[i]))
		}
	}
	m.Plan = learnPlan(m, seen) // nil where there are too few rows to learn one from
	return nil
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

// ways are those that the model can forecast in.
func (l *learner) ways() []Way {
	if l.m.Plan == nil {
		return []Way{Known, Held}
	}
	return []Way{Known, Held, Planned}
}

// judge fills in the table of skill: of every run by a model of the others.
func (l *learner) judge() error {
	ways := l.ways()
	rows := make([][]Skill, len(l.runs))
	err := l.parallel(len(l.runs), func(i int) error {
		m := l.m
		if len(l.runs) > 1 {
			var err error
			if m, err = l.ofOthers(i); err != nil {
				return err
			}
		}
		for _, w := range ways {
			if w == Planned && m.Plan == nil {
				continue // the others did not show one
			}
			s, err := Score(m, l.runs[i], w, Horizons, 0, len(l.runs[i].Time))
			if err != nil {
				return err
			}
			rows[i] = append(rows[i], s...)
		}
		return nil
	})
	for _, s := range rows {
		l.m.Skill = append(l.m.Skill, s...)
	}
	return err
}

// ofOthers is a model of all runs but number i. It owes that run nothing: its terms, noise, plan and
// intervals are its own too. From manyRuns on only the parameters and the plan are, since one run of
// many hardly moves the rest.
func (l *learner) ofOthers(i int) (*Model, error) {
	if len(l.runs) < manyRuns {
		var others []Run
		for k, r := range l.runs {
			if k != i {
				others = append(others, *r)
			}
		}
		o := Options{Inputs: l.runs[0].Inputs, Hypotheses: l.h, Date: l.o.Date}
		if sub, err := newLearner(others, o); err == nil && sub.build() == nil {
			return sub.m, nil
		} // what the others do not bear out, they cannot be asked to forecast by their own choice of terms
	}
	h := l.holding(func(run, _, _ int) bool { return run == i })
	m, err := l.refit(l.fresh(l.m), h.learn, foldSteps)
	if err != nil {
		return nil, err
	}
	if l.m.Plan != nil {
		if err := l.plan(m, h.learn); err != nil {
			return nil, err
		}
	}
	m.Provenance.Runs = slices.Delete(slices.Clone(m.Provenance.Runs), i, i+1)
	return m, nil
}

// miss is an error of a forecast of a row held out.
type miss struct {
	ratio float64 // error over the filter's half-width
	half  float64 // of the filter's own interval
	nis   float64
}

// spread finds by how much the intervals of each way and horizon must be widened, and how far they must
// follow the filter's surprise, so that they hold 95 % of the rows held out and are as narrow as can be.
func (l *learner) spread() error {
	ways := l.ways()
	misses := make([][][]miss, len(l.folds)*len(ways)) // by fold and way, and horizon
	if l.m.Plan != nil {
		if err := l.parallel(len(l.folds), func(i int) error { return l.plan(l.folds[i].m, l.folds[i].learn) }); err != nil {
			return err
		}
	}
	err := l.parallel(len(misses), func(i int) error {
		misses[i] = make([][]miss, len(Horizons))
		h, w := l.folds[i/len(ways)], ways[i%len(ways)]
		if w == Planned && h.m.Plan == nil {
			return nil
		}
		for k, r := range l.runs {
			if !slices.Contains(h.score[k], true) {
				continue
			}
			m := *h.m
			m.Intervals = nil
			run, err := r.columns(&m)
			if err != nil {
				return err
			}
			err = forecastTrack(newTrack(Compile(&m), run), w, Horizons, 0, len(run.Time), 1, true, func(row Row) {
				z := run.Z[0][row.Target]
				half := row.Upper - row.Forecast
				if !h.score[k][row.Target] || !finite(z, row.Forecast, half) || half <= 0 {
					return
				}
				at := slices.Index(Horizons, row.Horizon)
				misses[i][at] = append(misses[i][at], miss{(z - row.Forecast) / half, half, row.NIS})
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	step := medianStep(l.runs[0].Time)
	for k, at := range Horizons {
		sides := func(w Way) SideScale {
			var all []miss
			for i := range misses {
				if ways[i%len(ways)] == w {
					all = append(all, misses[i][k]...)
				}
			}
			if len(all) < 20 {
				return SideScale{Lower: 1, Upper: 1}
			}
			// Forecasts that overlap err alike: so many independent ones stand behind a quantile, and of
			// few the next may well be worse than all but the worst (split conformal prediction: Vovk,
			// Gammerman and Shafer 2005). What a forecast that is not told the inputs misses by most are
			// single events, and the worst of them says little of the next: there the plain quantile.
			inside := 0.95
			if w == Known {
				windows := 2 * float64(len(all)) * step / at // half of a window is new
				inside = min(1, inside*(windows+1)/windows)
			}
			return widen(all, inside, maxShare*(1-math.Log(at)/math.Log(Horizons[len(Horizons)-1])))
		}
		l.m.Intervals = append(l.m.Intervals, Interval95{Horizon: at, Known: sides(Known), Held: sides(Held), Plan: sides(Planned)})
	}
	return nil
}

// maxShare is how far an interval may follow the surprise at the first horizon; at the last it must not: what
// happens within seconds says nothing of a minute ahead.
const maxShare = 0.75

// widen gives the factors with which the share inside of the misses is inside, and the least surprise, most
// at the most, with which the intervals score nearly best (interval score: Gneiting and Raftery, J. Am. Stat.
// Assoc. 102, 2007, eq. 43).
func widen(misses []miss, inside, most float64) (best SideScale) {
	const worth = 0.02 // share of the score that more surprise must gain
	least := math.Inf(1)
	scaled := slices.Clone(misses)
	for share := 0.0; share <= most; share += 0.25 {
		for i, m := range misses {
			grow := math.Pow(m.nis, share/2)
			scaled[i].ratio, scaled[i].half = m.ratio/grow, m.half*grow
		}
		slices.SortFunc(scaled, func(a, b miss) int { return cmp.Compare(a.ratio, b.ratio) })
		side := SideScale{NIS: share}
		side.Lower, side.Upper = shortest(scaled, inside)
		score := 0.0
		for _, m := range scaled {
			beyond := max(0, -m.ratio-side.Lower, m.ratio-side.Upper)
			score += m.half * (side.Lower + side.Upper + 2/0.05*beyond)
		}
		if score < least*(1-worth) {
			best, least = side, score
		}
	}
	return best
}

// shortest gives the sides of the shortest interval about zero that holds the share inside of the misses,
// which are in order.
func shortest(misses []miss, inside float64) (lower, upper float64) {
	const leastSide = 0.1
	n := len(misses)
	hold := min(n, int(math.Ceil(inside*float64(n))))
	width := math.Inf(1)
	for i := 0; i+hold <= n; i++ {
		lo, hi := max(leastSide, -misses[i].ratio), max(leastSide, misses[i+hold-1].ratio)
		if lo+hi < width {
			lower, upper, width = lo, hi, lo+hi
		}
	}
	return lower, upper
}
