package dynamics

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSaveAndLoad(t *testing.T) {
	m := sample()
	m.Provenance = Provenance{Learned: "2025-07-08T12:00:00Z", Runs: []RunSource{{"a", "00ff", 10}}}
	m.Noise.Spread = []Spread{{1, SideScale{1, 1}, SideScale{2, 1}}}
	m.Skill = []Skill{{Run: "a", Way: "known", Windows: AllRows, Horizon: 1, Count: 3, RMSE: 1, Persistence: 2, Coverage: 0.9}}
	dir := t.TempDir()
	path := filepath.Join(dir, "model.json")
	if err := os.WriteFile(path, []byte("an old one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, m)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("Save leaves %v", entries)
	}
	m.Terms[0].Coefficient = math.NaN()
	if err := m.Save(path); err == nil {
		t.Error("saved a coefficient that is not a number")
	}
	if again, err := Load(path); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("a refused Save has changed the file: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none.json")); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("no file: %v", err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil {
			return err
		}
		if _, path := err.(*os.PathError); path {
			return err
		}
		err = u.Unwrap()
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Model)
		want   string
	}{
		"format":      {func(m *Model) { m.Format = "recipe" }, `format is "recipe", not "stirwatch model"`},
		"version":     {func(m *Model) { m.Version = 7 }, "version is 7, this program reads version 1"},
		"unit":        {func(m *Model) { m.Inputs[0].Unit = "kW" }, `input "spindle power" has unit "kW", must be "W"`},
		"no unit":     {func(m *Model) { m.Inputs[1].Unit = "" }, `input "spindle speed" has unit "", must be "rpm"`},
		"input":       {func(m *Model) { m.Inputs[3].Name = "humidity" }, `input "humidity" is unknown`},
		"twice":       {func(m *Model) { m.Inputs[2] = m.Inputs[0] }, `input "spindle power" is there twice`},
		"range":       {func(m *Model) { m.Inputs[0].Min = 1e9 }, `input "spindle power": training range 1e+09 to 12000 is not a range`},
		"needed":      {func(m *Model) { m.Inputs = m.Inputs[1:] }, `needs input "spindle power", which is missing`},
		"output":      {func(m *Model) { m.Outputs = nil }, "no outputs"},
		"output unit": {func(m *Model) { m.Outputs[0].Unit = "°F" }, `output "tool temperature" has unit "°F"`},
		"sd":          {func(m *Model) { m.Outputs[0].SD = 0 }, "sd 0 must be positive"},
		"term":        {func(m *Model) { m.Terms[0].Expression = "sin(T)" }, `term "sin(T)" is unknown; known are gate*heat*(Tm - T);`},
		"sign":        {func(m *Model) { m.Terms[1].Sign = 1 }, `term "(T - Ta)" has sign +1, physics says -1`},
		"mode":        {func(m *Model) { m.Terms[1].Mode = "" }, `term "(T - Ta)" has mode ""`},
		"coefficient": {func(m *Model) { m.Terms[1].Coefficient = -1 }, "coefficient -1 must be finite and not negative"},
		"term unit":   {func(m *Model) { m.Terms[0].Unit = "1/s" }, `coefficient has unit "1/s", must be "1/J"`},
		"parameter":   {func(m *Model) { m.Parameters = m.Parameters[1:] }, `parameter "Tm"`},
		"strange":     {func(m *Model) { m.Parameters[0].Name = "x" }, `parameter "x" is unknown`},
		"Tm":          {func(m *Model) { m.Parameters[0].Value = 0 }, `parameter "Tm" is 0 °C, must be 100 to 3000`},
		"lag":         {func(m *Model) { m.SensorLag = -1 }, "sensor_lag_s is -1"},
		"dead":        {func(m *Model) { m.DeadTime = 1000 }, "dead_time_s is 1000"},
		"noise":       {func(m *Model) { m.Noise.Tool = 0 }, "noise: tool 0 must be positive"},
		"spread": {func(m *Model) {
			m.Noise.Spread = []Spread{{5, SideScale{1, 1}, SideScale{1, 1}}, {1, SideScale{1, 1}, SideScale{1, 1}}}
		}, "horizons must rise"},
		"states": {func(m *Model) { m.States = m.States[1:] }, "states are"},
	} {
		m := sample()
		c.change(m)
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bytes.NewReader(data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for text, want := range map[string]string{
		"":    "not a model document",
		"{":   "not a model document",
		`[1]`: "not a model document",
		`{"format":"stirwatch model","version":1,"colour":"red"}`:      `unknown field "colour"`,
		`{"format":"stirwatch model","version":1,"dead_time_s":1e999}`: "1e999",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	// All problems at once.
	m := sample()
	m.SensorLag, m.DeadTime = -1, -1
	if err := m.Check(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two problems: %v", err)
	}
}

func TestEquationAndLaTeX(t *testing.T) {
	m := sample()
	m.Provenance.Runs = []RunSource{{"a", "", 10}, {"b", "", 20}}
	text := Equation(m)
	for _, want := range []string{
		"dT/dt = + (2.00 ± 0.10)e-5 1/J · gate(T)·(P − P_free)·(566 °C − T)",
		"\n        − (1.50 ± 0.10)e-2 1/s · (T − 20 °C)",
		"33.5 N·m",
		"spindle power, W; learned between 0 and 1.2e+04",
		"Learned between 18 °C and 500 °C from a (10 rows), b (20 rows).",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	want := `\frac{\mathrm{d}T}{\mathrm{d}t} = (2.00 \pm 0.10)\cdot 10^{-5}\,\mathrm{1/J}\;\gamma(T)\,(P-P_\mathrm{free})\,(566\,^\circ\mathrm{C}-T)` +
		` - (1.50 \pm 0.10)\cdot 10^{-2}\,\mathrm{1/s}\;(T-20\,^\circ\mathrm{C})`
	if got := LaTeX(m); got != want {
		t.Errorf("LaTeX\n got %s\nwant %s", got, want)
	}
}

// FuzzRead: whatever the bytes, Read gives an error or a model that can be used, printed and
// read again.
func FuzzRead(f *testing.F) {
	data, _ := json.Marshal(sample())
	f.Add(data)
	f.Add([]byte(`{"format":"stirwatch model","version":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		Equation(m)
		LaTeX(m)
		var est Estimate
		e := NewEstimator(m)
		u, z := make([]float64, len(m.Inputs)), make([]float64, len(m.Outputs))
		e.Step(&est, 1, u, z)
		e.Forecast(&Forecast{Horizon: Horizons}, u)
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bytes.NewReader(again)); err != nil {
			t.Fatal(err)
		}
	})
}
