package learn

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

func plantHypotheses(t testing.TB) *model.Hypotheses {
	t.Helper()
	h, err := model.ReadHypotheses(strings.NewReader(plant))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var plantInputs = []string{model.SpindlePower, model.SpindleSpeed, model.PathVelocity}

// simulate makes a run of 12 minutes at 1 Hz of the plant with the coefficients given: starts,
// holds and stops, with noise like the recordings': 0.03 °C and steps of 0.1 °C on the reading,
// and a disturbance that lasts some seconds.
func simulate(c map[string]float64, seed uint64) runs.Run {
	rng := rand.New(rand.NewPCG(seed, 7))
	var u [3]float64
	return simulateWith(c, rng, 720, func(i int) [3]float64 {
		switch {
		case i%240 > 200: // a stop
			u = [3]float64{}
		case i%20 == 0:
			u = [3]float64{4000 + 5000*rng.Float64(), 300 + 150*rng.Float64(), 900 * rng.Float64()}
		}
		return u
	})
}

// simulateInputs is simulate under the inputs given by row.
func simulateInputs(c map[string]float64, seed uint64, rows int, inputs func(i int) [3]float64) runs.Run {
	return simulateWith(c, rand.New(rand.NewPCG(seed, 7)), rows, inputs)
}

func simulateWith(c map[string]float64, rng *rand.Rand, rows int, inputs func(i int) [3]float64) runs.Run {
	const sub = 20
	r := runs.Run{Name: "synthetic", U: make([][]float64, 3), Z: make([][]float64, 1)}
	t, reading, push := 60.0, 60.0, 0.0
	var u, before [3]float64
	for i := range rows {
		before = u
		u = inputs(i)
		if i > 0 { // inputs change evenly between rows
			for s := range sub {
				h := 1.0 / sub
				w := (float64(s) + 0.5) / sub
				p, n, v := before[0]+w*(u[0]-before[0]), before[1]+w*(u[1]-before[1]), before[2]+w*(u[2]-before[2])
				push += h*(-push/3) + 0.2*math.Sqrt(h)*rng.NormFloat64()
				t += h * (c["heat"]*p*(560-t) - (c["loss"]+c["spin"]*n*math.Pi/30+c["path"]*v/60)*(t-20) + push)
				reading += h / 1.5 * (t - reading)
			}
		}
		r.Time = append(r.Time, float64(i))
		for k := range u {
			r.U[k] = append(r.U[k], u[k])
		}
		r.Z[0] = append(r.Z[0], math.Round(10*(reading+0.03*rng.NormFloat64()))/10)
	}
	return r
}

var truths = map[string]map[string]float64{
	"loss": {"heat": 1.5e-5, "loss": 0.02},
	"spin": {"heat": 1.5e-5, "loss": 0.012, "spin": 4e-4},
	"path": {"heat": 2e-5, "loss": 0.012, "path": 1.5e-3},
	"both": {"heat": 2.5e-5, "loss": 0.012, "spin": 3e-4, "path": 1.5e-3},
}

// learnsMuch skips a test that takes minutes under the race detector; make test runs it without.
func learnsMuch(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("learns many times: minutes under the race detector; make test runs it without")
	}
}

// Of a known equation the right terms are found, all of them and no other, and the coefficients
// within two standard errors, in 95 % of the trials; by the weak form as well.
func TestLearnRecoversAKnownEquation(t *testing.T) {
	learnsMuch(t)
	const trials = 10
	h := plantHypotheses(t)
	right, equations, inside, coefficients := 0, 0, 0, 0
	weakRight, weakInside := 0, 0 // of the second opinion
	for _, name := range num.SortedKeys(truths) {
		c := truths[name]
		for trial := range uint64(trials) {
			p, err := prepare([]runs.Run{simulate(c, trial)}, Options{Inputs: plantInputs, Hypotheses: h, Evidence: true})
			if err != nil {
				t.Fatal(name, err)
			}
			b, err := p.equation(t.Context())
			if err != nil {
				t.Fatal(name, err)
			}
			found := map[string]bool{}
			for _, term := range b.m.Terms {
				if term.Fixed {
					continue
				}
				found[term.Name] = true
				if want, is := c[term.Name]; is {
					coefficients++
					if got := term.Coefficient * unitScale(term.Unit); math.Abs(got-want*truthScale[term.Name]) <= 2*term.StdErr*unitScale(term.Unit) {
						inside++
					}
				}
			}
			equations++
			weak := true
			for _, name := range []string{"heat", "loss", "spin", "path"} {
				w := b.all.weak[model.CandidateName("T", name)]
				want, is := c[name]
				weak = weak && w.Kept == is
				u := unitScale(h.Terms[slices.IndexFunc(h.Terms, func(t model.HypothesisTerm) bool { return t.Name == name })].Unit)
				if is && math.Abs(w.Coefficient*u-want*truthScale[name]) <= 2*w.StdErr*u {
					weakInside++
				}
			}
			weakRight += num.B2i(weak)
			same := true
			for term := range c {
				same = same && found[term]
			}
			if same && len(found) == len(c) {
				right++
			} else {
				t.Logf("%s, trial %d: found %v", name, trial, found)
			}
		}
	}
	t.Logf("right terms in %d of %d equations, %d of %d coefficients within 2 standard errors", right, equations, inside, coefficients)
	t.Logf("by the weak form in %d, %d within", weakRight, weakInside)
	if right*100 < equations*95 || inside*100 < coefficients*95 || weakRight*100 < equations*95 || weakInside*100 < coefficients*95 {
		t.Error("want 95 % of each")
	}
}

// truthScale turns the truths (per mm for path) into SI.
var truthScale = map[string]float64{"heat": 1, "loss": 1, "spin": 1, "path": 1000}

func unitScale(name string) float64 { return expr.MustUnit(name).Scale }

// named is r under another name, with a hash.
func named(r runs.Run, name string) *runs.Run {
	r.Name, r.SHA256 = name, "abc"
	return &r
}

func TestLearnRefuses(t *testing.T) {
	good := simulate(truths["loss"], 1)
	change := func(f func(*runs.Run)) []runs.Run {
		r := *good.Rows(0, len(good.Time))
		for _, cols := range [][][]float64{r.U, r.Z} {
			for i := range cols {
				cols[i] = append([]float64(nil), cols[i]...)
			}
		}
		r.Time = append([]float64(nil), r.Time...)
		f(&r)
		return []runs.Run{r}
	}
	fill := func(v []float64, x float64) {
		for i := range v {
			v[i] = x
		}
	}
	h := plantHypotheses(t)
	for name, c := range map[string]struct {
		runs []runs.Run
		want string
	}{
		"no runs":           {nil, "no runs"},
		"no temperature":    {change(func(r *runs.Run) { fill(r.Z[0], math.NaN()) }), "no rows where the spindle turns and the tool temperature is live"},
		"frozen":            {change(func(r *runs.Run) { fill(r.Z[0], 400) }), "too little data"},
		"cold":              {change(func(r *runs.Run) { scale(r.Z[0], 0.1) }), "never exceeds 100 °C"},
		"constant power":    {change(func(r *runs.Run) { fill(r.U[0], 7000) }), `input "spindle power" is constant (7000 to 7000 W)`},
		"missing power":     {change(func(r *runs.Run) { fill(r.U[0], math.NaN()) }), `input "spindle power" is missing in every row`},
		"unrelated":         {change(func(r *runs.Run) { scale(r.U[0], -1) }), `do not bear out the term "heat"`},
		"one row":           {append(change(func(r *runs.Run) {}), *named(good, "one").Rows(100, 101)), "run one has 1 active row"},
		"short":             {change(func(r *runs.Run) { *r = *r.Rows(0, 50) }), "too little data"},
		"time stands still": {change(func(r *runs.Run) { r.Time[5] = r.Time[4] }), "time does not rise at row 5"},
		"twice":             {[]runs.Run{*named(good, "one"), *named(good, "two")}, "are the same recording"},
		"columns":           {change(func(r *runs.Run) { r.U = r.U[:2] }), "2 inputs and 1 outputs, want 3 and 1"},
		"lengths":           {change(func(r *runs.Run) { r.U[1] = r.U[1][:7] }), "a column has 7 rows"},
	} {
		m, err := Learn(t.Context(), c.runs, Options{Inputs: plantInputs, Hypotheses: h})
		if err == nil {
			t.Errorf("%s: learned %s", name, model.Equation(m))
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q does not say %q", name, err, c.want)
		}
	}
	if _, err := Learn(t.Context(), []runs.Run{good}, Options{Inputs: []string{model.SpindlePower, "humidity", model.PathVelocity}, Hypotheses: h}); err == nil || !strings.Contains(err.Error(), `input "humidity" is unknown`) {
		t.Errorf("unknown input: %v", err)
	}
	less := *good.Rows(0, len(good.Time))
	less.U = less.U[1:]
	if _, err := Learn(t.Context(), []runs.Run{less}, Options{Inputs: plantInputs[1:], Hypotheses: h}); err == nil || !strings.Contains(err.Error(), `input "spindle power" is needed`) {
		t.Errorf("no power column: %v", err)
	}
	idle := plantHypotheses(t)
	for i := range idle.Terms {
		if idle.Terms[i].Name != "loss" && !idle.Terms[i].Fixed {
			idle.Terms[i].Opinion = model.Forbid
		}
	}
	if _, err := Learn(t.Context(), []runs.Run{good}, Options{Inputs: plantInputs, Hypotheses: idle}); err == nil || !strings.Contains(err.Error(), "nothing would drive the process") {
		t.Errorf("without a source: %v", err)
	}
	few := *good.Rows(0, 70)
	if _, err := Learn(t.Context(), []runs.Run{few}, Options{Inputs: plantInputs, Hypotheses: manyNumbers(h)}); err == nil || !strings.Contains(err.Error(), "numbers to learn") {
		t.Errorf("more numbers than data: %v", err)
	}
	// An input that a site does not have takes its terms with it.
	less = *good.Rows(0, len(good.Time))
	less.U = less.U[:2]
	m, err := Learn(t.Context(), []runs.Run{less}, Options{Inputs: plantInputs[:2], Hypotheses: h})
	if err != nil || m.InputIndex(model.PathVelocity) >= 0 {
		t.Errorf("without path velocity: %v", err)
	}
}

// A reading that cannot be is no reading: it is left out, and said so.
func TestLearnLeavesOutTheImpossible(t *testing.T) {
	learnsMuch(t)
	h := plantHypotheses(t)
	h.Outputs[0].Possible = &[2]float64{-30, 800}
	run := simulate(truths["loss"], 1)
	run.Z[0][300], run.Z[0][301] = 5000, -270
	var said []string
	m, err := Learn(t.Context(), []runs.Run{run}, Options{Inputs: plantInputs, Hypotheses: h, Progress: func(p Progress) { said = append(said, p.Warning) }})
	if err != nil {
		t.Fatal(err)
	}
	if out := m.Outputs[0]; out.Max > 800 || out.Min < -30 {
		t.Errorf("learned between %g and %g °C", out.Min, out.Max)
	}
	if want := "2 readings of tool temperature outside -30 to 800 °C are left out"; !strings.Contains(strings.Join(said, "\n"), want) {
		t.Errorf("%q is not said: %q", want, said)
	}
}

// Where people leave nothing to the data, what they say is the model.
func TestLearnWithNothingFree(t *testing.T) {
	h := plantHypotheses(t)
	h.Parameters = append(h.Parameters, model.HypothesisParameter{Name: "a", Value: 1.5e-5, Unit: "1/J", Fixed: true}, model.HypothesisParameter{Name: "b", Value: 0.02, Unit: "1/s", Fixed: true})
	h.Terms = append([]model.HypothesisTerm{
		{Of: "T", Name: "heat", Sign: "+", Expression: "a*heating", Fixed: true},
		{Of: "T", Name: "loss", Sign: "-", Expression: "b*(T - Ta)", Fixed: true},
	}, h.Terms[4:]...)
	m, err := Learn(t.Context(), []runs.Run{simulate(truths["loss"], 1)}, Options{Inputs: plantInputs, Hypotheses: h, Evidence: true})
	if err != nil {
		t.Fatal(err)
	}
	k := slices.IndexFunc(m.Skill, func(s model.Skill) bool { return s.Way == filter.Known.String() && s.Horizon == 10 })
	if m.Skill[k].RMSE > 3 {
		t.Errorf("RMSE %.2f at 10 s with the true equation", m.Skill[k].RMSE)
	}
}

// An input that a site does not measure is taken as its default, and stands in the model as given; where
// some runs have it, the others are filled up.
func TestInputsWithDefaults(t *testing.T) {
	learnsMuch(t)
	zero := 0.0
	h := plantHypotheses(t)
	for i := range h.Inputs {
		if h.Inputs[i].Symbol == "v" {
			h.Inputs[i].Default = &zero
		}
	}
	run := simulate(truths["loss"], 1)
	without := run
	without.U = without.U[:2]
	m, err := Learn(t.Context(), []runs.Run{without}, Options{Inputs: plantInputs[:2], Hypotheses: h})
	if err != nil {
		t.Fatal(err)
	}
	if m.InputIndex(model.PathVelocity) >= 0 {
		t.Error("the model asks for an input that nobody measured")
	}
	truth := simulate(truths["path"], 2)
	if m, err = Learn(t.Context(), []runs.Run{truth}, Options{Inputs: plantInputs, Hypotheses: h}); err != nil {
		t.Fatal(err)
	}
	i := m.InputIndex(model.PathVelocity)
	if i < 0 || m.Inputs[i].Default == nil {
		t.Fatalf("inputs %+v", m.Inputs)
	}
	// On the tick it may be missing, and the estimate sees.
	e := filter.New(m)
	var est filter.Estimate
	u, z := make([]float64, len(m.Inputs)), []float64{400}
	u[0], u[i] = 7000, math.NaN()
	for range 20 {
		e.Step(&est, 1, u, z)
	}
	if est.Blind || len(est.Missing) > 0 || e.Inputs()[i] != 0 {
		t.Errorf("blind %v, missing %v, taken as %g", est.Blind, est.Missing, e.Inputs()[i])
	}
	without.Inputs = plantInputs[:2]
	if _, err := score.Score(m, &without, filter.Known, score.Horizons, 0, len(without.Time)); err != nil {
		t.Errorf("a run without it cannot be scored: %v", err)
	}
}

// The noise of the states is chosen across runs: from a tenth of the truth upwards, unless the hypotheses
// know it well.
func TestNoiseIsTuned(t *testing.T) {
	learnsMuch(t)
	var given []runs.Run
	for seed := range uint64(2) {
		r := simulate(truths["loss"], seed)
		r.Name = r.Name + string(rune('a'+seed))
		given = append(given, r)
	}
	for _, c := range []struct{ factor, low, high float64 }{{0, 0.06, 0.6}, {1.1, 0.018, 0.04}} {
		h := plantHypotheses(t)
		for i := range h.States {
			h.States[i].Noise /= 10
			if h.States[i].Noise > 0 {
				h.States[i].NoiseFactor = c.factor
			}
		}
		m, err := Learn(t.Context(), given, Options{Inputs: plantInputs, Hypotheses: h, Unjudged: true})
		if err != nil {
			t.Fatal(err)
		}
		d := m.States[m.StateIndex("d")].Noise
		if d < c.low || d > c.high {
			t.Errorf("noise_factor %g: the disturbance's noise is found to be %.3g K/s per √s, want %g to %g; the truth is 0.2, the hypotheses say 0.02", c.factor, d, c.low, c.high)
		}
	}
}

// manyNumbers is h with more parameters than a short run can tell.
func manyNumbers(h *model.Hypotheses) *model.Hypotheses {
	c := *h
	c.Parameters = append([]model.HypothesisParameter(nil), h.Parameters...)
	c.Definitions = append([]model.HypothesisDefined(nil), h.Definitions...)
	sum := "P"
	for i := range 15 {
		name := "p" + string(rune('a'+i))
		c.Parameters = append(c.Parameters, model.HypothesisParameter{Name: name, Value: 1, Min: 0.5, Max: 2, Unit: "1"})
		sum = name + "*(" + sum + ")"
	}
	c.Definitions[0].Expression = sum + "*(Tm - T)"
	return &c
}

func scale(v []float64, by float64) {
	for i := range v {
		v[i] *= by
	}
}

func TestLearnIsDeterministicAndTakesGaps(t *testing.T) {
	r := simulate(truths["loss"], 3)
	for i := 400; i < 430; i++ {
		r.Z[0][i] = math.NaN()
	}
	r.U[1][100] = math.NaN()
	o := Options{Inputs: plantInputs, Hypotheses: plantHypotheses(t), Date: "2025-07-08T12:00:00Z"}
	a, err := Learn(t.Context(), []runs.Run{r}, o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Learn(t.Context(), []runs.Run{r}, o)
	if err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("learned twice, differs: %v", err)
	}
	if a.Skill[0].HeldOut {
		t.Error("one run cannot be held out of its own learning")
	}
	if !strings.Contains(model.Equation(a), "in sample") {
		t.Error("the equation does not say that its skill is in sample")
	}
}

// bodied is plant with a hidden node and parameters of every kind to learn.
func bodied(t *testing.T) *model.Hypotheses {
	t.Helper()
	text := strings.NewReplacer(
		"{name: lag, value: 1.5, unit: s, fixed: true}", `{name: lag, value: 1.5, unit: s, min: 0.2, max: 4}
  - {name: tauB, value: 90, unit: s, min: 10, max: 900}
  - {name: dead, value: 0.7, unit: s, min: 0, max: 2}`,
		"definitions:", "dead_time: dead\ndefinitions:",
		"  - {symbol: R,", "  - {symbol: B, is: body, unit: °C, start: \"Ta\", start_sd: 20}\n  - {symbol: R,",
		"  - {of: T, name: unexplained", `  - {of: T, name: to body, sign: -, expression: "T - B", unit: 1/s, start: 0.02}
  - {of: B, name: from face, sign: +, expression: "(T - B)/tauB", fixed: true}
  - {of: T, name: unexplained`,
	).Replace(plant)
	h, err := model.ReadHypotheses(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The derivatives of a fit are those of differences: by coefficients, parameters, dead time, and the start
// of a hidden node.
func TestSensitivities(t *testing.T) {
	r := simulate(truths["both"], 1)
	p, err := prepare([]runs.Run{r}, Options{Inputs: plantInputs, Hypotheses: bodied(t)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.fitter(p.draft, p.runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	theta := append(slices.Clone(f.s.Theta), 7) // the body began 7 K warmer
	if len(f.vary) != len(f.free)+1 {
		t.Fatalf("%d of %d numbers vary, want the start of one node more", len(f.vary), len(f.free))
	}
	n := len(f.vary)
	const row = 30
	end := func(theta []float64) (float64, []float64) {
		f.runs[0].start[0] = theta[len(theta)-1]
		f.prepare(f.runs[0], theta)
		f.simulate(f.runs[0], theta)
		return f.runs[0].open[row], slices.Clone(f.runs[0].openS[row*n : (row+1)*n])
	}
	_, grad := end(theta)
	for lane, p := range f.vary {
		step := 1e-5 * theta[p]
		up := slices.Clone(theta)
		up[p] += step
		hi, _ := end(up)
		up[p] -= 2 * step
		lo, _ := end(up)
		want := (hi - lo) / (2 * step)
		if math.Abs(grad[lane]-want) > 1e-4*math.Abs(want)+1e-9 {
			t.Errorf("number %d: %g, by differences %g", p, grad[lane], want)
		}
	}
}

// A run that starts on a warm machine tells so.
func TestStartsByRun(t *testing.T) {
	learnsMuch(t)
	h := bodied(t)
	p, err := prepare([]runs.Run{simulate(truths["both"], 1)}, Options{Inputs: plantInputs, Hypotheses: h})
	if err != nil {
		t.Fatal(err)
	}
	p.draft.Provenance.Runs = []model.RunSource{{Name: "synthetic"}}
	var all []runs.Run
	for k, warm := range []float64{0, 45} { // the model's own forecast, its body warm or not
		run := simulate(truths["both"], uint64(k+1))
		run.Name += strconv.Itoa(k)
		f, err := p.fitter(p.draft, []*runs.Run{&run}, nil)
		if err != nil {
			t.Fatal(err)
		}
		f.runs[0].start[0] = warm
		f.prepare(f.runs[0], f.s.Theta)
		f.simulate(f.runs[0], f.s.Theta)
		for i, v := range f.runs[0].open {
			run.Z[0][i] = v - 273.15
		}
		all = append(all, run)
	}
	m, err := Learn(t.Context(), all, Options{Inputs: plantInputs, Hypotheses: h, Unjudged: true})
	if err != nil {
		t.Fatal(err)
	}
	cool, warm := m.Provenance.Runs[0].Start["B"], m.Provenance.Runs[1].Start["B"]
	// Where all began is shared with the coefficients; how much warmer one began than the other is not.
	if math.Abs(warm-cool-45) > 15 {
		t.Errorf("the bodies began %+.1f and %+.1f K from their start, want them 45 K apart", cool, warm)
	}
}

// A candidate that is zero throughout, on a state that nothing moves, costs the weak form no other term.
func TestWeakFormWithoutATerm(t *testing.T) {
	h := plantHypotheses(t)
	h.States = append(h.States, model.HypothesisState{Symbol: "W", Is: "wear", Unit: "1", Start: "0", StartSD: 0.1})
	h.Terms = append(h.Terms,
		model.HypothesisTerm{Of: "T", Name: "worn", Sign: "-", Expression: "W*(T - Ta)", Unit: "1/s", Start: 0.01},
		model.HypothesisTerm{Of: "W", Name: "memory", Sign: "-", Expression: "W/tau_d", Fixed: true})
	p, err := prepare([]runs.Run{simulate(truths["both"], 1)}, Options{Inputs: plantInputs, Hypotheses: h})
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.fitter(p.draft, p.runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	theta := slices.Clone(f.s.Theta)
	if err := f.solve(t.Context(), theta, fullSteps); err != nil {
		t.Fatal(err)
	}
	w := f.weakForm(theta, p.required)
	if _, asked := w[model.CandidateName("T", "worn")]; asked {
		t.Errorf("a term that is zero throughout is judged: %v", w)
	}
	for _, name := range []string{"heat", "loss", "spin", "path"} {
		if !w[model.CandidateName("T", name)].Kept {
			t.Errorf("%s is dropped: %v", name, w)
		}
	}
}

// A second temperature that is measured takes part: what the first hardly tells of the body, its own
// thermocouple does.
func TestLearnFromTwoTemperatures(t *testing.T) {
	learnsMuch(t)
	h := bodied(t)
	h.Outputs = append(h.Outputs, model.HypothesisOutput{Is: "body temperature", State: "B", Unit: "°C", SD: 0.1})
	run := simulate(truths["both"], 1)
	run.Z = append(run.Z, slices.Repeat([]float64{math.NaN()}, len(run.Time)))
	p, err := prepare([]runs.Run{run}, Options{Inputs: plantInputs, Hypotheses: h})
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.fitter(p.draft, []*runs.Run{&run}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.hidden) != 0 {
		t.Errorf("a state that is measured counts as hidden")
	}
	// The model's own simulation is the truth: a body that follows with 90 s.
	f.prepare(f.runs[0], f.s.Theta)
	f.simulate(f.runs[0], f.s.Theta)
	rng := rand.New(rand.NewPCG(3, 3))
	run = *run.Rows(0, f.runs[0].rowEnd)
	for i := range run.Time {
		for o := range run.Z {
			run.Z[o][i] = f.runs[0].open[i*2+o] - 273.15 + 0.05*rng.NormFloat64()
		}
	}
	learned := func(h *model.Hypotheses, z [][]float64) *model.Model {
		for i := range h.Parameters {
			if h.Parameters[i].Name == "tauB" {
				h.Parameters[i].Value = 250
			}
		}
		r := run
		r.Z = z
		m, err := Learn(t.Context(), []runs.Run{r}, Options{Inputs: plantInputs, Hypotheses: h})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	two, one := learned(h, run.Z), learned(bodied(t), run.Z[:1])
	with, without := two.ParameterNamed("tauB"), one.ParameterNamed("tauB")
	if without == nil {
		without = &model.Parameter{Value: math.NaN()} // the body is dropped
	}
	t.Logf("tauB with the body's thermocouple %.1f ± %.1f s, without %.1f ± %.1f s", with.Value, with.StdErr, without.Value, without.StdErr)
	if math.Abs(with.Value-90) > 5 {
		t.Errorf("tauB is %.1f ± %.1f s, the truth is 90", with.Value, with.StdErr)
	}
	if without.StdErr <= with.StdErr && !math.IsNaN(without.Value) {
		t.Errorf("the body's thermocouple tells nothing of it")
	}
	if out := two.Outputs[1]; !(out.Max > out.Min) {
		t.Errorf("no range of the second output: %g to %g", out.Min, out.Max)
	}
}
