package twin

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recording is the path of the recorded build that the twin is compared with.
func recording(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Skip("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	p := filepath.Join(dir, "..", "shared", "data", "20250708104310.csv")
	if _, err := os.Stat(p); err != nil {
		t.Skipf("the recording is not here: %s", p)
	}
	return p
}

func loaded(t testing.TB, name string) *Params {
	t.Helper()
	p, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHeatIsConserved(t *testing.T) {
	for _, name := range Materials() {
		m, err := New(Config{Params: loaded(t, name), Seed: 4, Faults: []Fault{{Kind: ColdStart, Severity: 1, For: 20}, {Kind: LiftOff, At: 300, For: 5, Severity: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		begin := m.cell.stored()
		for !m.Ended() {
			m.step()
		}
		c := m.cell
		if gap := c.entered - c.left - (c.stored() - begin); math.Abs(gap) > 1e-6*c.entered || c.entered < 1e6 {
			t.Errorf("%s: %.0f J entered, %.0f left, %.0f stored: %.3g J are missing", name, c.entered, c.left, c.stored()-begin, gap)
		}
	}
}

func TestToolCoolsAsAnExponential(t *testing.T) {
	p := *loaded(t, "6061")
	p.Spindle.Shank, p.Spindle.BearingHeat, p.Tool.Contact = 0, 0, 0
	// Equal capacity at each node: no heat flows along the shank and each cools alike.
	p.Tool.Face = p.Tool.Capacity / (shank - 1)
	c := newCell(&p, 0.6)
	for i := range c.tool {
		c.tool[i] = 421
	}
	d, l := drive{}, load{}
	for range 5000 { // 100 s
		c.step(&d, &l)
	}
	rate := p.Tool.Air / shank / p.Tool.Face
	if want := p.Build.Ambient + (421-p.Build.Ambient)*math.Exp(-100*rate); math.Abs(c.tool[0]-want) > 0.2 || math.Abs(c.tool[5]-want) > 0.2 {
		t.Errorf("%.2f and %.2f °C, want %.2f", c.tool[0], c.tool[5], want)
	}
}

func TestSlabConducts(t *testing.T) {
	// Two layers of a plate, nothing else: the difference decays with rate 2·k/(thick²·ρc).
	p := *loaded(t, "6061")
	p.Build.Bed, p.Build.Air = 0, 0
	c := newCell(&p, 0.6)
	for i := range c.surface {
		c.surface[i] = 100
	}
	c.stack = []layer{{100, 200, 0.01, 0.02}, {200, 200, 0.01, 0.02}}
	c.segDown = 0
	d, l := drive{}, load{}
	steps := 25
	for range steps {
		c.step(&d, &l)
	}
	g := p.Metal.Conductivity * 0.02 / 0.01
	want := 100 * math.Pow(1-2*g*dt/200, float64(steps))
	if got := c.stack[1].temp - c.stack[0].temp; math.Abs(got-want) > 1e-6 {
		t.Errorf("difference %.4f, want %.4f", got, want)
	}
	if mean := (c.stack[0].temp + c.stack[1].temp) / 2; math.Abs(mean-150) > 1e-9 {
		t.Errorf("mean %.6f, want 150", mean)
	}
}

func TestFlowStress(t *testing.T) {
	m := loaded(t, "6061").Metal
	// asinh(1)/α where Z = A: T solves Q/RT = ln A − ln ε̇.
	rate := 1.0
	temp := m.Q*1e3/(gas*m.LnA) - celsius
	want := math.Asinh(1) / m.Alpha * 1e6 * math.Tanh((m.Solidus-temp)/m.SoftWidth)
	if temp < m.Solidus {
		if got := m.flowStress(temp, rate); math.Abs(got/want-1) > 1e-9 {
			t.Errorf("%.4g Pa, want %.4g", got, want)
		}
	}
	if m.flowStress(m.Solidus, 100) != 0 || m.flowStress(m.Solidus+50, 100) != 0 {
		t.Error("strength at the solidus")
	}
	if !(m.flowStress(400, 100) > m.flowStress(450, 100)) || !(m.flowStress(450, 200) > m.flowStress(450, 100)) {
		t.Error("strength must fall with temperature and rise with rate")
	}
}

func TestEqualSeedsGiveEqualRuns(t *testing.T) {
	p := loaded(t, "6061")
	run := func(seed uint64, interval float64) []Row {
		var rows []Row
		cfg := RandomBuild(p, seed, true)
		cfg.Interval = interval
		if err := Simulate(context.Background(), cfg, func(_ *Machine, r *Row) error {
			c := *r
			c.True.Active = append([]Fault(nil), r.True.Active...)
			rows = append(rows, c)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	a, b, other, fine := run(7, 1), run(7, 1), run(8, 1), run(7, 0.5)
	if !reflect.DeepEqual(a, b) {
		t.Error("two runs of one seed differ")
	}
	if reflect.DeepEqual(a[:50], other[:50]) {
		t.Error("the seed does not matter")
	}
	for i := range a {
		if 2*i+1 >= len(fine) {
			break // the last row is where the build ended
		}
		if a[i].True.Face != fine[2*i+1].True.Face || a[i].ToolTemp != fine[2*i+1].ToolTemp {
			t.Fatalf("row %d: what is looked at twice as often runs differently", i)
		}
	}
}

func TestBatchDoesNotDependOnItsWorkers(t *testing.T) {
	p := loaded(t, "6061")
	a, err := Batch(t.Context(), p, 6, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	b, err := Batch(t.Context(), p, 6, 1, func(i int, _ *Machine, r *Row) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	a.Took, b.Took = 0, 0
	if a != b || a.Rows < 6*300 || a.Faulty != 3 || sum != 0 {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestStandardBuildGoesThroughAllPhases(t *testing.T) {
	for _, name := range Materials() {
		p := loaded(t, name)
		cfg := Config{Params: p, Seed: 2}
		seen := map[Phase]int{}
		var n, square, hottest float64
		steady := 0
		last := 0.0
		if err := Simulate(t.Context(), cfg, func(_ *Machine, r *Row) error {
			seen[r.True.Phase]++
			hottest = max(hottest, r.True.Face)
			if steady++; r.True.Phase != Deposit {
				steady = 0
			}
			if steady > 120 {
				n++
				square += (r.ToolTemp - r.SetPoint) * (r.ToolTemp - r.SetPoint)
			}
			last = r.At
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, ph := range []Phase{WarmUp, Prime, Deposit, Reload, Cool} {
			if seen[ph] == 0 {
				t.Errorf("%s: no %s in %v", name, ph, seen)
			}
		}
		if rms := math.Sqrt(square / n); n < 60 || rms < 2 || rms > 12 {
			t.Errorf("%s: held to ±%.1f °C over %.0f rows", name, rms, n)
		}
		if hottest > p.Metal.Solidus || last > 2000 {
			t.Errorf("%s: face up to %.0f °C, %.0f s", name, hottest, last)
		}
	}
}

func TestParametersAreReadStrictly(t *testing.T) {
	text, err := materials.ReadFile("materials/6061.yaml")
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	for want, edit := range map[string]func(string) string{
		"metal.flow_temperature must be below": func(s string) string { return replaceLine(s, "  flow_temperature:", "  flow_temperature: 700 °C") },
		"tool.radios is no parameter":          func(s string) string { return strings.Replace(s, "  radius:", "  radios:", 1) },
		"tool.radius is missing":               func(s string) string { return replaceLine(s, "  radius:", "") },
		"lacks a unit":                         func(s string) string { return replaceLine(s, "  solidus:", "  solidus: 582") },
		"wrong kind of unit":                   func(s string) string { return replaceLine(s, "  solidus:", "  solidus: 582 mm") },
		"must be a number in kJ/mol":           func(s string) string { return replaceLine(s, "  activation_energy:", "  activation_energy: 145 J/mol") },
		"stands twice":                         func(s string) string { return strings.Replace(s, "  n: ", "  n: 1\n  n: ", 1) },
		"must not be negative":                 func(s string) string { return replaceLine(s, "  friction:", "  friction: -1") },
		"must be more than 0":                  func(s string) string { return replaceLine(s, "  density:", "  density: 0 kg/m³") },
		"would be unstable":                    func(s string) string { return replaceLine(s, "  shear_capacity:", "  shear_capacity: 0.01 J/K") },
		"must be a section":                    func(s string) string { return s + "\nextra: 1\n" + "" },
		"no parameters":                        func(string) string { return "# nothing" },
	} {
		if want == "must be a section" {
			want = "extra is no parameter"
		}
		_, err := Parse([]byte(edit(good)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := Load("unobtainium"); err == nil || !strings.Contains(err.Error(), "6061") {
		t.Error(err)
	}
	p, err := Parse([]byte(replaceLine(good, "  radius:", "  radius: 0.75 in")))
	if err != nil || math.Abs(p.Tool.Radius-0.01905) > 1e-12 {
		t.Errorf("%v, %v", p, err)
	}
}

func replaceLine(s, prefix, with string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, prefix) {
			lines[i] = with
			break
		}
	}
	return strings.Join(lines, "\n")
}

func TestComparisonWithTheRecording(t *testing.T) {
	path := recording(t)
	for seed := uint64(1); seed <= 3; seed++ {
		c, err := Compare(loaded(t, "6061"), seed, path)
		if err != nil {
			t.Fatal(err)
		}
		var s strings.Builder
		if err := c.Table(&s); err != nil {
			t.Fatal(err)
		}
		t.Logf("seed %d\n%s", seed, s.String())
		for _, f := range c.Figures {
			if !f.OK() {
				t.Errorf("seed %d: %s is %g %s, outside %g to %g (recorded %g)", seed, f.Name, f.Twin, f.Unit, f.Low, f.High, f.Recorded)
			}
		}
		if temp, rpm := c.Mismatch(); temp > 12 || rpm > 45 {
			t.Errorf("seed %d: one-minute means differ by %.1f °C and %.0f rpm", seed, temp, rpm)
		}
		s.Reset()
		if err := c.HTML(&s); err != nil || !strings.Contains(s.String(), "</svg>") || strings.Contains(s.String(), "NaN") {
			t.Errorf("report: %v", err)
		}
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	m, err := New(Config{Params: loaded(t, "6061"), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var r Row
	for range 60 {
		m.Step(&r)
	}
	if n := testing.AllocsPerRun(100, func() { m.Step(&r) }); n > 0 {
		t.Errorf("%g allocations a row", n)
	}
}

// A build-hour should take less than 0.3 s on one core of a small box: 12,000 build-hours an hour.
func BenchmarkBuildHour(b *testing.B) {
	p := loaded(b, "6061")
	for i := 0; b.Loop(); i++ {
		seconds := 0.0
		for seed := uint64(i); seconds < 3600; seed++ {
			if err := Simulate(context.Background(), RandomBuild(p, seed, true), func(_ *Machine, r *Row) error {
				if r.At >= 3600-seconds {
					return context.Canceled
				}
				return nil
			}); err != nil {
				break
			}
			seconds += 700
		}
	}
}
