package dynamics

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Options of Learn.
type Options struct {
	Inputs []string // names of the columns of Run.U, e.g. SpindlePower, in the units of the document
	Date   string   // goes into the provenance, RFC 3339
}

// shape is everything that is not linear in dT/dt; Learn chooses it by multi-step forecasts.
type shape struct {
	p         [pCount]float64
	lag, dead float64         // s
	window    float64         // s over which derivatives are averaged: longer is less noise, more bias
	allowed   [termCount]bool // candidates of the regression
	noise     Noise
}

// firstShape is where the search starts: published or plain values.
func firstShape() shape {
	return shape{
		p:      [pCount]float64{pSoftening: 566, pAmbient: 20, pDrag: 33.5, pContact: 1000, pGate: 20, pBody: 60, pMemory: 20},
		lag:    1.5,
		dead:   0.5,
		window: 10,
		noise:  Noise{Tool: 1, Rate: 1, Disturbance: 0.5},
	}
}

// knobs are what the search turns, each with the values it may take.
var knobs = []struct {
	at   func(*shape) *float64
	grid []float64
}{
	{func(s *shape) *float64 { return &s.p[pSoftening] }, []float64{480, 500, 520, 540, 553, 566, 580, 600, 630, 660}},
	{func(s *shape) *float64 { return &s.p[pDrag] }, []float64{0, 10, 20, 25, 28, 31, 33.5, 36, 40}},
	{func(s *shape) *float64 { return &s.p[pContact] }, []float64{500, 1000, 2000}},
	{func(s *shape) *float64 { return &s.p[pGate] }, []float64{10, 20, 40, 80}},
	{func(s *shape) *float64 { return &s.p[pBody] }, []float64{15, 30, 60, 120, 240}},
	{func(s *shape) *float64 { return &s.lag }, []float64{1, 1.5, 2}},
	{func(s *shape) *float64 { return &s.dead }, []float64{0, 0.5, 1, 1.5, 2}},
	{func(s *shape) *float64 { return &s.window }, []float64{5, 10, 20, 30}},
	{func(s *shape) *float64 { return &s.noise.Tool }, []float64{0.3, 0.5, 1, 2}},
	{func(s *shape) *float64 { return &s.noise.Rate }, []float64{0.5, 1, 2}},
	{func(s *shape) *float64 { return &s.noise.Disturbance }, []float64{0.1, 0.2, 0.5, 1, 2}},
	{func(s *shape) *float64 { return &s.p[pMemory] }, []float64{5, 10, 20, 40}},
}

const (
	quarters   = 4    // points at which inputs are looked up in a step
	savgolSpan = 1.0  // s to each side, at least one sample
	minRows    = 60   // of regression, over all runs
	minSegment = 8    // samples without a gap
	dropShare  = 0.02 // a term is dropped that explains less than this share of |dT/dt|
	surely     = 3.0  // or whose coefficient is less than this many standard errors
	sampling   = 0.01 // share of a coefficient that derivatives of 1 Hz samples get wrong at sharp starts
	excited    = 60.0 // s for which a term must have been at work to be a candidate
	worthwhile = 0.02 // log error that a change of shape must gain to be made
	sweeps     = 3    // of the search over the knobs
	originStep = 5.0  // s between the origins of forecasts in the search
)

// piece is a stretch of a run without gaps.
type piece struct {
	t, z  []float64
	drive []drive
	step  float64 // s, median of the run
}

// pieces cuts a track where the temperature is missing or the time jumps.
func (t *track) pieces() []piece {
	var out []piece
	z := t.run.Z[0]
	start := 0
	cut := func(end int) {
		if end-start >= minSegment {
			out = append(out, piece{t.run.Time[start:end], z[start:end], t.drive[start:end], t.step})
		}
	}
	for i := range z {
		switch {
		case !finite(z[i]):
			cut(i)
			start = i + 1
		case i > start && t.run.Time[i]-t.run.Time[i-1] > 3*t.step:
			cut(i)
			start = i
		}
	}
	cut(len(z))
	return out
}

// system is the regression b ≈ Σ sign·coefficient·a over the library, one row per window.
type system struct {
	a [][termCount]float64
	b []float64
}

// rows appends what piece p says about dT/dt. The reading lags the temperature, T = z + lag·dz/dt,
// with dz/dt by Savitzky and Golay, and the inputs act after the dead time. Both sides are averaged
// over windows, which makes the noise of dT/dt fall while what is integrated stays (the weak form
// of the equation).
func (s *system) rows(eq *equation, sh *shape, p *piece) {
	n := len(p.t)
	y0, y1, y2 := make([]float64, n), make([]float64, n), make([]float64, n)
	savgol(p.t, p.z, max(1, int(savgolSpan/p.step)), y0, y1, y2)
	type sum struct {
		phi     [termCount]float64
		b, time float64
	}
	run := make([]sum, n) // running integrals
	var phi [termCount]float64
	body, k := y0[0], 0
	for i := 1; i < n; i++ {
		h := p.t[i] - p.t[i-1]
		t0, t1 := y0[i-1]+sh.lag*y1[i-1], y0[i]+sh.lag*y1[i]
		run[i] = run[i-1]
		for q := range quarters { // inputs may change within the step, where the dead time puts it
			part := (float64(q) + 0.5) / quarters
			for k+1 < n && p.t[k+1] <= p.t[i-1]+part*h-sh.dead {
				k++
			}
			t := t0 + part*(t1-t0)
			body += h / quarters / sh.p[pBody] * (t - body)
			eq.basis(&phi, &p.drive[k], t, body)
			for c, v := range phi {
				run[i].phi[c] += h / quarters * v
			}
		}
		run[i].b += t1 - t0
		run[i].time += h
	}
	for i, j := 0, 0; i < n; i++ {
		for j < n && run[j].time-run[i].time < sh.window {
			j++
		}
		if j == n {
			break
		}
		length := run[j].time - run[i].time
		var a [termCount]float64
		for k := range a {
			a[k] = (run[j].phi[k] - run[i].phi[k]) / length
		}
		b := (run[j].b - run[i].b) / length
		s.a, s.b = append(s.a, a), append(s.b, b)
	}
}

// fit solves the regression for shape sh over tracks: non-negative least squares, after which
// terms that explain little, or whose coefficient is not known from zero, are dropped and the rest
// is solved again until all stay. It returns the equation and its standard errors.
func fit(eq *equation, sh *shape, tracks []*track) (*equation, [termCount]float64, error) {
	out := *eq
	out.p = sh.p
	var se [termCount]float64
	var sys system
	for _, t := range tracks {
		for _, p := range t.pieces() {
			sys.rows(&out, sh, &p)
		}
	}
	m := len(sys.b)
	if m < minRows {
		return nil, se, fmt.Errorf("too little data: %d usable rows of tool temperature, at least %d are needed", m, minRows)
	}
	b := sys.b
	var total float64
	for _, v := range b {
		total += math.Abs(v)
	}
	var support []termKind
	for k, ok := range sh.allowed {
		if ok {
			support = append(support, termKind(k))
		}
	}
	for len(support) > 0 {
		// Columns are scaled to length 1, so that the regression is well conditioned.
		a := mat.NewDense(m, len(support), nil)
		norm := make([]float64, len(support))
		for c, k := range support {
			for i := range m {
				v := float64(library[k].sign) * sys.a[i][k]
				a.Set(i, c, v)
				norm[c] = math.Hypot(norm[c], v)
			}
			if norm[c] == 0 {
				norm[c] = 1
			}
			for i := range m {
				a.Set(i, c, a.At(i, c)/norm[c])
			}
		}
		x, ok := nnls(a, b)
		if !ok {
			return nil, se, errors.New("the regression did not converge")
		}
		residual := append([]float64(nil), b...)
		moved := make([]float64, len(support)) // how much of the movement each term accounts for
		var cols []int
		for c := range support {
			for i := range m {
				v := a.At(i, c) * x[c]
				residual[i] -= v
				moved[c] += math.Abs(v)
			}
			if x[c] > 0 {
				cols = append(cols, c)
			}
		}
		errs := stdErrs(a, cols, effectiveVariance(residual, len(cols)))
		// Drop what the constraint has pushed out, or else the one term that is least sure: the
		// others gain from its going.
		keep := make([]termKind, len(cols))
		least, worst := math.Inf(1), -1
		for i, c := range cols {
			keep[i] = support[c]
			sure := x[c] / errs[i]
			if moved[c] < dropShare*total {
				sure = 0
			}
			if sure < least {
				least, worst = sure, i
			}
		}
		if len(keep) == len(support) {
			if least >= surely {
				out.coef = [termCount]float64{}
				for c, k := range support {
					out.coef[k] = float64(library[k].sign) * x[c] / norm[c]
					se[k] = math.Hypot(errs[c], sampling*x[c]) / norm[c]
				}
				break
			}
			keep = slices.Delete(keep, worst, worst+1)
		}
		support = keep
	}
	if out.coef[heatFading] == 0 {
		return nil, se, errors.New("no heating term survives: spindle power does not explain the tool temperature in these runs")
	}
	return &out, se, nil
}

// effectiveVariance is the residual variance times (1+ρ)/(1−ρ), ρ their lag-1 correlation:
// overlapping windows repeat each other, and so tell less than their number says.
func effectiveVariance(residual []float64, k int) float64 {
	var s, c float64
	for i, r := range residual {
		s += r * r
		if i > 0 {
			c += r * residual[i-1]
		}
	}
	if s == 0 {
		return 0
	}
	rho := min(0.99, max(0, c/s))
	return s / float64(max(1, len(residual)-k)) * (1 + rho) / (1 - rho)
}

// learner holds what all shapes tried on the same runs share.
type learner struct {
	base   equation
	inputs []Input
	runs   []*Run // active rows only
}

// Learn fits a model to runs: a sign-constrained sparse regression of dT/dt, whose remaining
// choices (see knobs) are made by forecasts 1 to 60 s ahead, on halves of runs left out in turn. The skill table is of runs left out of all learning in turn; with one run it is in
// sample and says so. Columns of Run.U are as Options.Inputs, Run.Z has one column. Only the rows
// of [ActiveRows] are used. Learn is deterministic. Data that cannot carry a model is an error.
func Learn(runs []Run, o Options) (*Model, error) {
	l, err := newLearner(runs, o)
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	m, err := l.learn()
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	m.Provenance.Learned = o.Date
	if len(runs) > 1 {
		for i, r := range l.runs {
			left := *l
			left.runs = slices.Delete(slices.Clone(l.runs), i, i+1)
			held, err := left.learn()
			if err != nil {
				return nil, fmt.Errorf("learn: without run %s: %w", r.Name, err)
			}
			if err := m.addSkill(held, r); err != nil {
				return nil, err
			}
		}
	} else if err := m.addSkill(m, l.runs[0]); err != nil {
		return nil, err
	}
	return m, m.Check()
}

// addSkill adds the scores of by on run to m's table.
func (m *Model) addSkill(by *Model, run *Run) error {
	for _, way := range []Way{Known, Held} {
		table, err := Score(by, run, way, Horizons, 0, len(run.Time))
		if err != nil {
			return err
		}
		m.Skill = append(m.Skill, table...)
	}
	return nil
}

// newLearner checks the data and cuts the runs to their active rows.
func newLearner(runs []Run, o Options) (*learner, error) {
	l := new(learner)
	for i := range l.base.in {
		l.base.in[i] = slices.Index(o.Inputs, inputSlots[i].name)
	}
	for _, name := range o.Inputs {
		slot := inputSlot(name)
		if slot < 0 {
			return nil, fmt.Errorf("input %q is unknown", name)
		}
		l.inputs = append(l.inputs, Input{Name: name, Unit: inputSlots[slot].unit, Min: math.Inf(1), Max: math.Inf(-1)})
	}
	for _, need := range []int{inPower, inSpeed} {
		if l.base.in[need] < 0 {
			return nil, fmt.Errorf("input %q is needed", inputSlots[need].name)
		}
	}
	if len(runs) == 0 {
		return nil, errors.New("no runs")
	}
	l.base.p = firstShape().p
	for i := range runs {
		r := &runs[i]
		if err := r.check(len(o.Inputs), 1); err != nil {
			return nil, err
		}
		from, to, err := activeRows(&l.base, r)
		if err != nil {
			return nil, err
		}
		l.runs = append(l.runs, r.rows(from, to))
	}
	rows := 0
	for _, r := range l.runs {
		rows += len(r.Time)
	}
	if rows < minRows {
		return nil, fmt.Errorf("too little data: the process is active with a live tool temperature in %d rows, at least %d are needed", rows, minRows)
	}
	hottest := math.Inf(-1)
	for k := range l.inputs {
		in := &l.inputs[k]
		for _, r := range l.runs {
			lo, hi := extent(r.U[k])
			if lo > hi {
				return nil, fmt.Errorf("run %s: input %q is missing in every row: leave it out or mend the run", r.Name, in.Name)
			}
			in.Min, in.Max = min(in.Min, lo), max(in.Max, hi)
		}
	}
	for _, r := range l.runs {
		_, hi := extent(r.Z[0])
		hottest = max(hottest, hi)
	}
	if in := l.inputs[l.base.in[inPower]]; in.Max-in.Min <= 0.02*math.Abs(in.Max) {
		return nil, fmt.Errorf("input %q is constant (%g to %g %s): nothing can be learned from it", in.Name, in.Min, in.Max, in.Unit)
	}
	if hottest <= OriginAbove {
		return nil, fmt.Errorf("the tool never exceeds %g °C (hottest %g °C): there is no hot process to learn", OriginAbove, hottest)
	}
	return l, nil
}

// rows is the run from ≤ i < to; columns are shared.
func (r *Run) rows(from, to int) *Run {
	c := *r
	c.Time = r.Time[from:to]
	c.U, c.Z = make([][]float64, len(r.U)), make([][]float64, len(r.Z))
	for i := range r.U {
		c.U[i] = r.U[i][from:to]
	}
	for i := range r.Z {
		c.Z[i] = r.Z[i][from:to]
	}
	if r.SetPoint != nil {
		c.SetPoint = r.SetPoint[from:to]
	}
	return &c
}

// extent is the range of the numbers in v that are there; lo > hi if there are none.
func extent(v []float64) (lo, hi float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, x := range v {
		if finite(x) {
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	return lo, hi
}

// candidates are the terms that the data excite: at work for a minute or more.
func (l *learner) candidates(sh *shape) (ok [termCount]bool) {
	var seconds [termCount]float64
	eq := l.base
	eq.p = sh.p
	for _, r := range l.runs {
		t := newTrack(&eq, r)
		for i := range t.drive {
			d := &t.drive[i]
			if !(r.Z[0][i] > eq.p[pAmbient]+100) {
				continue
			}
			for k, at := range [termCount]bool{
				heatFading: d.contact > 0, lossAir: true, lossBody: true, lossSpin: d.speed > spinsAbove,
				lossContact: d.contact > 0.5, lossPath: d.contact > 0.5 && d.path > travelAbove,
				lossFeed: d.contact > 0.5 && d.feed > travelAbove,
			} {
				if at {
					seconds[k] += t.step
				}
			}
		}
	}
	for k := range ok {
		ok[k] = seconds[k] >= excited
		for _, slot := range library[k].needs {
			ok[k] = ok[k] && l.base.in[slot] >= 0
		}
	}
	return ok
}

// folds are the pairs of what to fit and what to judge by: the halves of all runs, each left out
// in turn.
func (l *learner) folds() (fits, judges [][]*Run) {
	var halves []*Run
	for _, r := range l.runs {
		n := len(r.Time)
		halves = append(halves, r.rows(0, n/2), r.rows(n/2, n))
	}
	for i := range halves {
		fits = append(fits, slices.Delete(slices.Clone(halves), i, i+1))
		judges = append(judges, halves[i:i+1])
	}
	return fits, judges
}

func (l *learner) fit(sh *shape, runs []*Run) (*equation, [termCount]float64, error) {
	eq := l.base
	eq.p = sh.p
	var tracks []*track
	for _, r := range runs {
		tracks = append(tracks, newTrack(&eq, r))
	}
	return fit(&eq, sh, tracks)
}

// cost is the mean over folds and horizons of the logarithm of the forecasts' RMSE.
func (l *learner) cost(sh *shape) float64 {
	fits, judges := l.folds()
	var sum float64
	var n int
	for f := range fits {
		eq, se, err := l.fit(sh, fits[f])
		if err != nil {
			return math.Inf(1)
		}
		m := l.document(sh, eq, &se)
		for _, r := range judges[f] {
			sq, count := make([]float64, len(Horizons)), make([]float64, len(Horizons))
			t := newTrack(eq, r)
			stride := max(1, int(math.Round(originStep/t.step)))
			forecastTrack(m, eq, t, Known, Horizons, 0, len(r.Time), stride, false, func(row Row) {
				if z := r.Z[0][row.Target]; finite(z) {
					k := slices.Index(Horizons, row.Horizon)
					sq[k] += (row.Forecast - z) * (row.Forecast - z)
					count[k]++
				}
			})
			for k := range sq {
				if count[k] > 0 {
					sum += math.Log(math.Sqrt(sq[k]/count[k]) + 0.01)
					n++
				}
			}
		}
	}
	if n == 0 || math.IsNaN(sum) {
		return math.Inf(1)
	}
	return sum / float64(n)
}

// learn searches the shape, fits it to all runs and calibrates the intervals.
func (l *learner) learn() (*Model, error) {
	sh := firstShape()
	sh.allowed = l.candidates(&sh)
	if _, _, err := l.fit(&sh, l.runs); err != nil {
		return nil, err
	}
	best := l.cost(&sh)
	try := func(next shape) {
		if c := l.cost(&next); c < best-worthwhile || math.IsInf(best, 1) && !math.IsInf(c, 1) {
			sh, best = next, c
		}
	}
	for range sweeps {
		before := best
		for _, k := range knobs {
			from := sh // all values of a knob start from the same place
			for _, v := range k.grid {
				if next := from; *k.at(&next) != v {
					*k.at(&next) = v
					// The other knobs keep their places; only the best of this grid is taken.
					try(next)
				}
			}
		}
		for k := range sh.allowed { // a term that forecasts do not miss is left out
			if sh.allowed[k] {
				next := sh
				next.allowed[k] = false
				if c := l.cost(&next); c < best+worthwhile/2 {
					sh, best = next, c
				}
			}
		}
		if before-best < worthwhile {
			break
		}
	}
	if math.IsInf(best, 1) {
		return nil, errors.New("no equation that was fitted to some of the runs forecasts the others")
	}
	eq, se, err := l.fit(&sh, l.runs)
	if err != nil {
		return nil, err
	}
	m := l.document(&sh, eq, &se)
	if err := l.calibrate(m, &sh); err != nil {
		return nil, err
	}
	return m, nil
}

// document writes the equation down.
func (l *learner) document(sh *shape, eq *equation, se *[termCount]float64) *Model {
	m := &Model{
		Format: Format, Version: Version, Inputs: l.inputs, States: slices.Clone(stateTable[:]),
		SensorLag: sh.lag, DeadTime: sh.dead, Noise: sh.noise,
	}
	out := Output{Name: ToolTemperature, Unit: "°C", SD: readingSD, Min: math.Inf(1), Max: math.Inf(-1)}
	for _, r := range l.runs {
		lo, hi := extent(r.Z[0])
		out.Min, out.Max = min(out.Min, lo), max(out.Max, hi)
		m.Provenance.Runs = append(m.Provenance.Runs, RunSource{r.Name, r.SHA256, len(r.Time)})
	}
	m.Outputs = []Output{out}
	for i, s := range paramSlots {
		m.Parameters = append(m.Parameters, Parameter{s.name, eq.p[i], s.unit, s.text})
	}
	for k, lib := range library {
		if c := math.Abs(eq.coef[k]); c > 0 {
			m.Terms = append(m.Terms, Term{ToolTemperature, lib.expression, lib.mode, lib.sign, c, se[k], lib.unit})
		}
	}
	return m
}

// readingSD is the noise of a machine's thermocouple channel: 0.1 °C steps and 0.03 °C of noise.
const readingSD = 0.1 // °C

// calibrate sets the spread so that 95 % of the errors lie within the 95 % interval, on the halves
// of runs that were left out of the fit in turn.
func (l *learner) calibrate(m *Model, sh *shape) error {
	fits, judges := l.folds()
	ratios := [2][][]float64{make([][]float64, len(Horizons)), make([][]float64, len(Horizons))}
	for f := range fits {
		eq, se, err := l.fit(sh, fits[f])
		if err != nil {
			return err
		}
		by := l.document(sh, eq, &se)
		for _, r := range judges[f] {
			t := newTrack(eq, r)
			for _, way := range []Way{Known, Held} {
				forecastTrack(by, eq, t, way, Horizons, 0, len(r.Time), 1, true, func(row Row) {
					if z := r.Z[0][row.Target]; finite(z) {
						k := slices.Index(Horizons, row.Horizon)
						side := row.Upper - row.Forecast // before calibration both sides are the same
						ratios[way][k] = append(ratios[way][k], (z-row.Forecast)/side)
					}
				})
			}
		}
	}
	for k, h := range Horizons {
		if len(ratios[Known][k]) > 0 {
			m.Noise.Spread = append(m.Noise.Spread, Spread{h, sides(ratios[Known][k]), sides(ratios[Held][k])})
		}
	}
	return nil
}

// sides are the factors that leave 2.5 % of the errors v, in half intervals, out on either side.
func sides(v []float64) SideScale {
	slices.Sort(v)
	n := len(v)
	out := int(0.025 * float64(n))
	return SideScale{max(0.1, -v[out]), max(0.1, v[n-1-out])}
}
