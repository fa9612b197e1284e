package dynamics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// truth is a process to make runs of: coefficients by term, in the shape of firstShape.
type truth [termCount]float64

// simulate makes a run of about 15 minutes at 1 Hz: starts, holds, stops and changes of power,
// path and feed, with noise like the recordings': 0.03 °C and 0.1 °C steps on the reading, and a
// disturbance of 0.25 K/s that lasts some seconds.
func simulate(c truth, seed uint64) Run {
	rng := rand.New(rand.NewPCG(seed, 7))
	sh := firstShape()
	eq := &equation{p: sh.p, in: [inCount]int{0, 1, 2, 3}}
	for k := range c {
		eq.coef[k] = float64(library[k].sign) * c[k]
	}
	const lag, dead, rows, sub = 1.5, 0.5, 900, 20
	r := Run{Name: fmt.Sprint("synthetic-", seed), U: make([][]float64, inCount), Z: make([][]float64, 1)}
	t, body, reading, push := 60.0, 60.0, 60.0, 0.0
	var power, speed, path, feed float64
	past := []drive{}
	for i := range rows {
		switch {
		case i%300 > 230: // a stop
			power, speed, path, feed = 0, 0, 0, 0
		case i%300 == 0:
			speed, power = 450, 8500
		case i%20 == 0:
			speed = 300 + 150*rng.Float64()
			power = 4000 + 5000*rng.Float64()
			path = 900 * rng.Float64()
			feed = 400 * rng.Float64()
		}
		u := []float64{power, speed, path, feed}
		d := eq.drive(u)
		for range sub {
			past = append(past, d)
		}
		r.Time = append(r.Time, float64(i))
		for k := range u {
			r.U[k] = append(r.U[k], u[k])
		}
		r.Z[0] = append(r.Z[0], math.Round(10*(reading+0.03*rng.NormFloat64()))/10)
		for s := range sub {
			h := 1.0 / sub
			at := past[max(0, i*sub+s-int(dead*sub))]
			push += h*(-push/3) + 0.2*math.Sqrt(h)*rng.NormFloat64()
			t += h * (eq.rate(&at, t, body) + push)
			body += h / sh.p[pBody] * (t - body)
			reading += h / lag * (t - reading)
		}
	}
	return r
}

var truths = map[string]truth{
	"air":     {heatFading: 2e-5, lossAir: 0.015},
	"spin":    {heatFading: 2e-5, lossAir: 0.008, lossSpin: 3e-5},
	"contact": {heatFading: 3e-5, lossAir: 0.008, lossContact: 0.02},
	"path":    {heatFading: 2.5e-5, lossAir: 0.01, lossPath: 2e-5},
	"feed":    {heatFading: 2.5e-5, lossAir: 0.01, lossFeed: 4e-5},
	"body":    {heatFading: 2.5e-5, lossAir: 0.01, lossBody: 0.02},
}

// With the shape known, the regression finds the terms of a known equation, all of them and no
// other, and its standard errors are honest.
func TestFitRecoversAKnownEquation(t *testing.T) {
	sh := firstShape()
	eq := &equation{p: sh.p, in: [inCount]int{0, 1, 2, 3}}
	for k := range sh.allowed {
		sh.allowed[k] = true
	}
	const trials = 25
	support, equations, inside, coefficients := 0, 0, 0, 0
	for name, c := range truths {
		right := 0
		for trial := range uint64(trials) {
			run := simulate(c, trial)
			found, se, err := fit(eq, &sh, []*track{newTrack(eq, &run)})
			if err != nil {
				t.Fatal(name, err)
			}
			same := true
			for k := range c {
				same = same && (c[k] > 0) == (found.coef[k] != 0)
				if c[k] > 0 && found.coef[k] != 0 {
					coefficients++
					if math.Abs(math.Abs(found.coef[k])-c[k]) <= 2*se[k] {
						inside++
					}
				}
			}
			if same {
				right++
			}
		}
		t.Logf("%-8s right terms in %d of %d", name, right, trials)
		support += right
		equations += trials
	}
	t.Logf("right terms in %d of %d equations, %d of %d coefficients within 2 standard errors", support, equations, inside, coefficients)
	if support*100 < equations*95 || inside*100 < coefficients*95 {
		t.Error("want 95 % of each")
	}
}

// Learn has to find the shape as well.
func TestLearnRecoversAKnownEquation(t *testing.T) {
	for name, c := range truths {
		m, err := Learn([]Run{simulate(c, 100)}, Options{Inputs: testInputs})
		if err != nil {
			t.Fatal(name, err)
		}
		var found truth
		for _, term := range m.Terms {
			k, _ := termByExpression(term.Expression)
			found[k] = term.Coefficient
			t.Logf("%-8s %-22s %.3g ± %.2g, truth %.3g", name, term.Expression, term.Coefficient, term.StdErr, c[k])
		}
		for k := range c {
			if (c[k] > 0) != (found[k] > 0) {
				t.Errorf("%s: term %s is %g, truth is %g", name, library[k].expression, found[k], c[k])
			}
		}
		if last := m.Skill[4]; last.RMSE > 0.3*last.Persistence {
			t.Errorf("%s: 60 s forecast %.2f °C, persistence %.2f °C", name, last.RMSE, last.Persistence)
		}
	}
}

func TestLearnRefuses(t *testing.T) {
	good := simulate(truth{heatFading: 2e-5, lossAir: 0.015}, 1)
	change := func(f func(*Run)) []Run {
		r := *good.rows(0, len(good.Time))
		for _, cols := range [][][]float64{r.U, r.Z} {
			for i := range cols {
				cols[i] = append([]float64(nil), cols[i]...)
			}
		}
		r.Time = append([]float64(nil), r.Time...)
		f(&r)
		return []Run{r}
	}
	fill := func(v []float64, x float64) {
		for i := range v {
			v[i] = x
		}
	}
	for name, c := range map[string]struct {
		runs []Run
		want string
	}{
		"no runs":           {nil, "no runs"},
		"no temperature":    {change(func(r *Run) { fill(r.Z[0], math.NaN()) }), "no rows where the spindle turns and the tool temperature is live"},
		"frozen":            {change(func(r *Run) { fill(r.Z[0], 400) }), "too little data"},
		"cold":              {change(func(r *Run) { scale(r.Z[0], 0.3) }), "the tool never exceeds 200 °C"},
		"constant power":    {change(func(r *Run) { fill(r.U[0], 7000) }), `input "spindle power" is constant (7000 to 7000 W)`},
		"missing power":     {change(func(r *Run) { fill(r.U[0], math.NaN()) }), `input "spindle power" is missing in every row`},
		"no power":          {change(func(r *Run) { scale(r.U[0], 1e-6) }), "no heating term survives"},
		"short":             {change(func(r *Run) { *r = *r.rows(0, 50) }), "too little data"},
		"time stands still": {change(func(r *Run) { r.Time[5] = r.Time[4] }), "time does not rise at row 5"},
		"columns":           {change(func(r *Run) { r.U = r.U[:2] }), "2 inputs and 1 outputs, want 4 and 1"},
		"lengths":           {change(func(r *Run) { r.U[1] = r.U[1][:7] }), "a column has 7 rows"},
	} {
		m, err := Learn(c.runs, Options{Inputs: testInputs})
		if err == nil {
			t.Errorf("%s: learned %s", name, Equation(m))
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q does not say %q", name, err, c.want)
		}
	}
	if _, err := Learn([]Run{good}, Options{Inputs: []string{SpindlePower, "humidity", PathVelocity, FeedVelocity}}); err == nil || !strings.Contains(err.Error(), `input "humidity" is unknown`) {
		t.Errorf("unknown input: %v", err)
	}
	if _, err := Learn([]Run{good}, Options{Inputs: testInputs[1:]}); err == nil || !strings.Contains(err.Error(), `input "spindle power" is needed`) {
		t.Errorf("no power column: %v", err)
	}
}

func scale(v []float64, by float64) {
	for i := range v {
		v[i] *= by
	}
}

func TestLearnIsDeterministicAndTakesGaps(t *testing.T) {
	r := simulate(truth{heatFading: 2e-5, lossAir: 0.015}, 3)
	for i := 400; i < 430; i++ {
		r.Z[0][i] = math.NaN()
	}
	r.U[2][100] = math.NaN()
	for i := 600; i < len(r.Time); i++ {
		r.Time[i] += 500
	}
	a, err := Learn([]Run{r}, Options{Inputs: testInputs, Date: "2025-07-08T12:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Learn([]Run{r}, Options{Inputs: testInputs, Date: "2025-07-08T12:00:00Z"})
	if err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("learned twice, differs: %v", err)
	}
	if a.Skill[0].HeldOut {
		t.Error("one run cannot be held out of its own learning")
	}
	if !strings.Contains(Equation(a), "in sample") {
		t.Error("the equation does not say that its skill is in sample")
	}
}
