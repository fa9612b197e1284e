package learn

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

// kit is the shipped file for the two-heater kit, changed by change where that is not nil.
func kit(t *testing.T, change func(h *model.Hypotheses)) *model.Hypotheses {
	t.Helper()
	h, err := model.LoadHypotheses("tclab")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(h)
		if err := h.Check(); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

var kitInputs = []string{"heater 1 power", "heater 2 power"}

// kitRun simulates the kit in a room of ambient °C.
func kitRun(name string, ambient float64, seed uint64, rows int) runs.Run {
	const sub, step = 20, 2.0
	rng := rand.New(rand.NewPCG(seed, 3))
	r := runs.Run{Name: name, U: make([][]float64, 2), Z: make([][]float64, 2)}
	t, z, q := [2]float64{ambient, ambient}, [2]float64{ambient, ambient}, [2]float64{}
	for i := range rows {
		for k := range q {
			if (i+20*k)%60 == 20 {
				q[k] = math.Round(100 * rng.Float64())
			}
			r.U[k], r.Z[k] = append(r.U[k], q[k]), append(r.Z[k], z[k]+0.05*rng.NormFloat64())
		}
		r.Time = append(r.Time, step*float64(i))
		for range sub {
			dt := step / sub
			a, b, surroundings := t[0]+273.15, t[1]+273.15, ambient+273.15
			between := 15*2e-4*(b-a) + 5.1e-8*2e-4*(math.Pow(b, 4)-math.Pow(a, 4))
			for k, x := range [2]float64{a, b} {
				heat := [2]float64{0.008, 0.005}[k]*q[k] - 6*1e-3*(x-surroundings) - 5.1e-8*1e-3*(math.Pow(x, 4)-math.Pow(surroundings, 4))
				t[k] += dt / 2 * (heat + [2]float64{between, -between}[k])
				z[k] += dt / 18 * (t[k] - z[k])
			}
		}
	}
	return r
}

// What is learned does not depend on the order in which a file lists its outputs: not a bit of a number does.
func TestOrderOfOutputsChangesNothing(t *testing.T) {
	learnsMuch(t)
	run := kitRun("a", 21, 1, 200)
	turned := run
	turned.Z = [][]float64{run.Z[1], run.Z[0]}
	learned := func(h *model.Hypotheses, r runs.Run) *model.Model {
		m, err := Learn(t.Context(), []runs.Run{r}, Options{Inputs: kitInputs, Hypotheses: h})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	a := learned(kit(t, nil), run)
	b := learned(kit(t, func(h *model.Hypotheses) { slices.Reverse(h.Outputs) }), turned)
	if b.Outputs[0].Name != "temperature 2" || a.Leading != "temperature 1" || b.Leading != a.Leading {
		t.Errorf("outputs %v, led by %s and %s", b.Outputs, a.Leading, b.Leading)
	}
	if b.Outputs[0] != a.Outputs[1] || !slices.Equal(a.Intervals, b.Intervals) || !slices.EqualFunc(a.Terms, b.Terms, func(x, y model.Term) bool { return x.Coefficient == y.Coefficient && x.StdErr == y.StdErr }) {
		t.Errorf("another model:\n%+v\n%+v", a.Terms, b.Terms)
	}
	of := func(m *model.Model, r *runs.Run, name string) (all []score.Row) {
		err := score.ForecastRun(m, r, filter.Known, []float64{4, 60}, 0, len(r.Time), func(row score.Row) {
			if m.Outputs[row.Output].Name == name {
				row.Output = 0
				all = append(all, row)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	other, back := kitRun("b", 24, 2, 200), kitRun("b", 24, 2, 200)
	back.Z = [][]float64{other.Z[1], other.Z[0]}
	for _, name := range []string{"temperature 1", "temperature 2"} {
		if x, y := of(a, &other, name), of(b, &back, name); len(x) < 300 || !slices.Equal(x, y) {
			t.Errorf("%s is forecast differently: %d and %d rows", name, len(x), len(y))
		}
	}
}

// Coefficients that equations share are fitted once, and a room that differs by run is found in each.
func TestSharedCoefficientsAndTheRoomOfARun(t *testing.T) {
	learnsMuch(t)
	rooms := []float64{18, 25}
	var all []runs.Run
	for i, ambient := range rooms {
		all = append(all, kitRun(string(rune('a'+i)), ambient, uint64(i+1), 250))
	}
	h := kit(t, func(h *model.Hypotheses) { // nothing but a guess of the room is known beforehand
		h.Parameters = append(h.Parameters, model.HypothesisParameter{Name: "usual", Value: 22, Unit: "°C", Fixed: true})
		for i := range h.States {
			if h.States[i].Symbol == "Ta" {
				h.States[i].Start, h.States[i].StartSD = "usual", 4
			}
		}
	})
	m, err := Learn(t.Context(), all, Options{Inputs: kitInputs, Hypotheses: h, Unjudged: true})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, term := range m.Terms {
		if term.Shared == "" {
			continue
		}
		if v, again := found[term.Shared]; again && v != term.Coefficient || term.StdErr == 0 {
			t.Errorf("%s of %s: %g ± %g, elsewhere %g", term.Name, term.State, term.Coefficient, term.StdErr, v)
		}
		found[term.Shared] = term.Coefficient
	}
	if math.Abs(found["U"]-6) > 1.5 || math.Abs(found["Us"]-15) > 5 {
		t.Errorf("U and Us are %v, 6 and 15 were simulated", found)
	}
	for i, source := range m.Provenance.Runs {
		if room := 22 + source.Start["Ta"]; math.Abs(room-rooms[i]) > 1.5 {
			t.Errorf("run %s: a room of %.1f °C, %g were simulated", source.Name, room, rooms[i])
		}
	}
	// On a run that it has not seen the filter finds the room.
	other := kitRun("c", 17, 9, 300)
	k := m.StateIndex("Ta")
	var last float64
	score.RunFilter(filter.New(m), &other, 0, len(other.Time), func(_ int, e *filter.Estimate) { last = e.X[k] })
	if math.Abs(last-17) > 1.5 {
		t.Errorf("a room of %.1f °C at the end, 17 were simulated and 22 thought", last)
	}
}

// What shares a coefficient is kept or dropped together, and the evidence says the same of all of it.
func TestWhatSharesACoefficientGoesTogether(t *testing.T) {
	learnsMuch(t)
	h := kit(t, func(h *model.Hypotheses) {
		for _, of := range []string{"T1", "T2"} { // which nothing in the data asks for
			h.Terms = append(h.Terms, model.HypothesisTerm{Of: of, Name: "idle", Sign: "+", Expression: "(Q1 - Q2)^2/C", Unit: "W/%^2", Coefficient: "X", Start: 1e-6})
		}
	})
	r := kitRun("a", 21, 1, 250)
	m, err := Learn(t.Context(), []runs.Run{r}, Options{Inputs: kitInputs, Hypotheses: h, Evidence: true})
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(m.Terms, func(t model.Term) bool { return t.Name == "idle" }) {
		t.Error("an idle term is kept")
	}
	said := map[string][]model.Candidate{}
	for _, c := range m.Evidence.Candidates {
		said[c.Name] = append(said[c.Name], c)
	}
	for name, verdict := range map[string]string{"idle": model.Dropped, "loss": model.Kept, "coupling": model.Kept} {
		c := said[name]
		if len(c) != 2 || c[0].Verdict != verdict || c[1].Verdict != verdict || c[0].Coefficient != c[1].Coefficient || c[0].Identifiability != c[1].Identifiability || !slices.Equal(c[0].LeftOut, c[1].LeftOut) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// What is wrong with a shared coefficient is said.
func TestSharedCoefficientsAreChecked(t *testing.T) {
	for want, change := range map[string]func(a, b *model.HypothesisTerm){
		"must be the same":         func(a, _ *model.HypothesisTerm) { a.Start = 11 },
		"one that is taken":        func(a, b *model.HypothesisTerm) { a.Coefficient, b.Coefficient = "lag", "lag" },
		"no coefficient to share":  func(a, _ *model.HypothesisTerm) { a.Fixed, a.Unit, a.Start = true, "", 0 },
		"has the same coefficient": func(a, _ *model.HypothesisTerm) { a.Opinion = model.Propose },
	} {
		h := kit(t, nil)
		var of []*model.HypothesisTerm
		for i := range h.Terms {
			if h.Terms[i].Coefficient == "U" {
				of = append(of, &h.Terms[i])
			}
		}
		if change(of[0], of[1]); h.Check() == nil || !strings.Contains(h.Check().Error(), want) {
			t.Errorf("%v, want %q", h.Check(), want)
		}
	}
}

// The kit as it was measured: learned from one recording, both temperatures of the other are forecast, whichever is
// which.
func TestTwoHeaterKitAsMeasured(t *testing.T) {
	learnsMuch(t)
	a, b := measuredKit(t, "tclab_a"), measuredKit(t, "tclab_b")
	horizons := []float64{3, 10, 30, 60, 120}
	for _, c := range []struct {
		from, on *runs.Run
		limit    [2][]float64 // RMSE by output and horizon, the last of a simulation of the whole run
	}{
		{b, a, [2][]float64{{.12, .22, .6, 1.1, 1.4, 1.4}, {.13, .17, .33, .55, .80, 2.0}}},
		{a, b, [2][]float64{{.12, .22, .6, 1.1, 1.6, 1.4}, {.16, .22, .45, .9, 1.7, 2.0}}},
	} {
		m, err := Learn(context.Background(), []runs.Run{*c.from}, Options{Inputs: kitInputs, Hypotheses: kit(t, nil)})
		if err != nil {
			t.Fatal(err)
		}
		var sum, n [2][6]float64
		add := func(row score.Row) {
			k := 5
			if row.Horizon > 0 {
				k = slices.Index(horizons, row.Horizon)
			}
			sum[row.Output][k] += (row.Forecast - row.Measured) * (row.Forecast - row.Measured)
			n[row.Output][k]++
		}
		if err := score.ForecastRun(m, c.on, filter.Known, horizons, 0, len(c.on.Time), add); err != nil {
			t.Fatal(err)
		}
		if err := score.OpenLoop(m, c.on, 0, len(c.on.Time), add); err != nil {
			t.Fatal(err)
		}
		for o, limits := range c.limit {
			for k, limit := range limits {
				if rmse := math.Sqrt(sum[o][k] / n[o][k]); !(rmse <= limit) || n[o][k] < 150 {
					t.Errorf("from %s on %s, %s, %d: %.3f °C of %g windows, want %g", c.from.Name, c.on.Name, m.Outputs[o].Name, k, rmse, n[o][k], limit)
				}
			}
		}
	}
}

// measuredKit reads a recording of the kit, whose columns are time, two heaters and two temperatures.
func measuredKit(t *testing.T, name string) *runs.Run {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "heaters", name+".csv"))
	if err != nil {
		t.Skip("no recordings of the two-heater kit beside the checkout")
	}
	r := &runs.Run{Name: name, U: make([][]float64, 2), Z: make([][]float64, 2)}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		var v [5]float64
		for i, cell := range strings.Split(strings.TrimSpace(line), ";") {
			if v[i], err = strconv.ParseFloat(cell, 64); err != nil {
				t.Fatal(err)
			}
		}
		r.Time = append(r.Time, v[0])
		for k := range 2 {
			r.U[k], r.Z[k] = append(r.U[k], v[1+k]), append(r.Z[k], v[3+k])
		}
	}
	return r
}

// A kit whose heaters are moved by controllers with limits, each with its own: the gains are learned from its log, a forecast by
// plan knows what the heaters will do when the set-points change, and on the tick the controllers act likewise.
func TestControllersOfAKit(t *testing.T) {
	learnsMuch(t)
	const step, sub = 1.0, 10
	gains := [2][2]float64{{4, 0.05}, {6, 0.08}}
	simulate := func(name string, seed uint64, rows int) runs.Run {
		rng := rand.New(rand.NewPCG(seed, 5))
		r := runs.Run{Name: name, U: make([][]float64, 4), Z: make([][]float64, 2)}
		temp, z, sum, set, q := [2]float64{21, 21}, [2]float64{21, 21}, [2]float64{}, [2]float64{}, [2]float64{}
		for i := range rows {
			for k := range q {
				if i%150 == 30+60*k {
					set[k] = 30 + 15*rng.Float64()
				}
				read := z[k] + 0.03*rng.NormFloat64()
				if e := set[k] - read; set[k] > 0 {
					u := gains[k][0]*e + gains[k][1]*(sum[k]+e*step)
					if q[k] = min(100, max(0, u)); q[k] == u { // no wind-up beyond a limit
						sum[k] += e * step
					}
				}
				r.U[k], r.U[2+k], r.Z[k] = append(r.U[k], q[k]), append(r.U[2+k], set[k]), append(r.Z[k], read)
			}
			r.Time = append(r.Time, step*float64(i))
			for range sub {
				between := 15 * 2e-4 * (temp[1] - temp[0])
				for k := range q {
					heat := [2]float64{0.008, 0.005}[k]*q[k] - 9e-3*(temp[k]-21) + [2]float64{between, -between}[k]
					temp[k] += step / sub / 2 * heat
					z[k] += step / sub / 18 * (temp[k] - z[k])
				}
			}
		}
		return r
	}
	inputs := append(slices.Clone(kitInputs), "temperature 1 set-point", "temperature 2 set-point")
	m, err := Learn(t.Context(), []runs.Run{simulate("a", 1, 700)}, Options{Inputs: inputs, Hypotheses: kit(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Controllers) != 2 {
		t.Fatalf("controllers %+v", m.Controllers)
	}
	for k, c := range m.Controllers {
		if math.Abs(c.Proportional/gains[k][0]-1) > 0.15 || math.Abs(c.Integral/gains[k][1]-1) > 0.3 || c.Rows < controllerRows || c.Moves != kitInputs[k] {
			t.Errorf("%+v, gains %v were simulated", c, gains[k])
		}
	}
	other := simulate("b", 2, 700)
	rmse := map[filter.Way][2]float64{}
	for _, way := range []filter.Way{filter.Known, filter.Held, filter.Planned} {
		skill, err := score.Score(m, &other, way, []float64{60}, 0, 700)
		if err != nil {
			t.Fatal(err)
		}
		rmse[way] = [2]float64{skill[0].RMSE, skill[1].RMSE}
	}
	for o := range 2 {
		if rmse[filter.Planned][o] > 0.5*rmse[filter.Held][o] || rmse[filter.Planned][o] > rmse[filter.Known][o]+0.6 {
			t.Errorf("output %d, 60 s ahead: %v", o, rmse)
		}
	}
	// The same on the tick, where the scenario says nothing but that the controllers act.
	e, fc := filter.New(m), filter.Forecast{Horizon: []float64{30}}
	named := other
	named.Inputs = inputs
	run, err := named.For(m)
	if err != nil {
		t.Fatal(err)
	}
	var planned, held, n float64
	score.RunFilter(e, run, 0, 700, func(i int, _ *filter.Estimate) {
		if i < 40 || i+30 >= 700 || run.U[2][i] != run.U[2][i+30] || run.U[3][i] != run.U[3][i+30] {
			return // what nobody knows yet
		}
		for _, c := range []struct {
			way filter.Way
			sum *float64
		}{{filter.Planned, &planned}, {filter.Held, &held}} {
			if e.AheadMean(&fc, filter.Scenario{Way: c.way}); fc.Way != c.way {
				t.Fatalf("row %d: forecast by %v", i, fc.Way)
			}
			d := fc.Outputs[0].Mean[0] - run.Z[0][i+30]
			*c.sum += d * d
		}
		n++
	})
	if n < 300 || planned > 0.5*held {
		t.Errorf("on the tick, 30 s ahead: squared error %g with the controllers acting, %g with heaters held", planned/n, held/n)
	}
	if allocs := testing.AllocsPerRun(20, func() { e.Ahead(&fc, filter.Scenario{Way: filter.Planned}) }); allocs != 0 {
		t.Errorf("%g allocations", allocs)
	}
}
