package model

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
	m.Provenance = Provenance{Learned: "2025-07-08T12:00:00Z", Runs: []RunSource{{Name: "a", SHA256: "00ff", Rows: 10, Began: "2025-07-08T10:43:10Z", Lasted: 9, Start: map[string]float64{"T": 1.5}}}}
	m.Intervals = []Interval95{{m.Outputs[0].Name, 1, SideScale{Lower: 1, Upper: 1}, SideScale{Lower: 2, Upper: 1}, SideScale{Lower: 1, Upper: 1}}}
	m.Skill = []Skill{{Run: "a", Way: "known", Windows: AllRows, Horizon: 1, Count: 3, RMSE: 1, Persistence: 2, Coverage: 0.9}}
	m.NotJudged = []NotJudged{{Run: "b", Why: "too little data"}}
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
		"old version": {func(m *Model) { m.Version = 3 }, "version is 3, this program reads version 6: make it anew from its runs with `stirwatch learn`"},
		"unit":        {func(m *Model) { m.Inputs[0].Unit = "kW" }, `input "spindle power" has unit "kW", must be "W"`},
		"no unit":     {func(m *Model) { m.Inputs[1].Unit = "" }, `input "n" has no unit`},
		"strange":     {func(m *Model) { m.Inputs[1].Unit = "furlong" }, `unknown unit "furlong"`},
		"twice":       {func(m *Model) { m.Inputs[2] = m.Inputs[0] }, `input "P": the symbol is there twice`},
		"range":       {func(m *Model) { m.Inputs[0].Min = 1e9 }, `input "spindle power": training range 1e+09 to 12000 is not a range`},
		"needed":      {func(m *Model) { m.Inputs = m.Inputs[1:] }, `symbol "P" is unknown`},
		"output":      {func(m *Model) { m.Outputs = nil }, "no outputs"},
		"output unit": {func(m *Model) { m.Outputs[0].Unit = "°F" }, `output "tool temperature" has unit "°F"`},
		"sd":          {func(m *Model) { m.Outputs[0].SD = 0 }, "sd 0 must be positive"},
		"function":    {func(m *Model) { m.Terms[0].Expression = "sin(T)" }, `there is no function "sin"`},
		"symbol":      {func(m *Model) { m.Terms[0].Expression = "q*(Tm - T)" }, `symbol "q" is unknown`},
		"dimension":   {func(m *Model) { m.Terms[0].Expression = "heat + T" }, `heat and T do not measure the same thing`},
		"sign":        {func(m *Model) { m.Terms[1].Sign = 0 }, `term "loss" has sign +0`},
		"coefficient": {func(m *Model) { m.Terms[1].Coefficient = -1 }, "coefficient -1 must be finite and not negative"},
		"term unit":   {func(m *Model) { m.Terms[0].Unit = "1/s" }, `coefficient has unit "1/s"`},
		"state":       {func(m *Model) { m.Terms[0].State = "X" }, `acts on "X", which is no state`},
		"parameter":   {func(m *Model) { m.Parameters = m.Parameters[1:] }, `symbol "Ta" is unknown`},
		"Tm":          {func(m *Model) { m.Parameters[1].Value = 0 }, `parameter "Tm" is 0 °C, must be 500 to 600`},
		"dead":        {func(m *Model) { m.DeadTime = "Tm" }, `dead_time "Tm" must be a parameter in s`},
		"circle":      {func(m *Model) { m.Definitions[0].Expression = "contact*P" }, `symbol "contact" is unknown`},
		"start":       {func(m *Model) { m.States[0].Start = "P" }, `symbol "P" is unknown`},
		"noise":       {func(m *Model) { m.States[0].Noise = -1 }, "noise -1"},
		"feed share":  {func(m *Model) { m.Plan = &Plan{Ripple: 1, Slew: 1, Fed: 0.5} }, "usual feed"},
		"intervals": {func(m *Model) {
			one := SideScale{Lower: 1, Upper: 1}
			m.Intervals = []Interval95{{"", 5, one, one, one}, {"", 1, one, one, one}}
		}, "horizons must rise"},
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
		`{"format":"stirwatch model","version":6,"colour":"red"}`:    `unknown field "colour": did a newer program write it?`,
		`{"format":"stirwatch model","version":6,"dead_time":1e999}`: "dead_time",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	// All problems at once.
	m := sample()
	m.States[0].Noise, m.Parameters[1].Value = -1, -1
	if err := m.Check(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two problems: %v", err)
	}
}

// An input counts where a term, a definition or the plan takes it, and not because it is listed.
func TestAnswersTo(t *testing.T) {
	m := sample()
	if !m.AnswersTo(SpindlePower) || m.AnswersTo(FeedVelocity) {
		t.Errorf("spindle power %v, a feed that is no input %v", m.AnswersTo(SpindlePower), m.AnswersTo(FeedVelocity))
	}
	m.Inputs = append(m.Inputs, Input{Name: FeedVelocity, Symbol: "f"})
	if m.AnswersTo(FeedVelocity) {
		t.Error("a feed that nothing takes")
	}
	m.Plan = &Plan{Fed: 0.5}
	if !m.AnswersTo(FeedVelocity) {
		t.Error("by the plan the power goes with the feed")
	}
	m.Plan, m.Definitions = nil, append(m.Definitions, Definition{Name: "fed", Expression: "f*contact"})
	if !m.AnswersTo(FeedVelocity) {
		t.Error("a definition takes it")
	}
}

func TestEquationAndLaTeX(t *testing.T) {
	m := sample()
	m.Provenance.Runs = []RunSource{{Name: "a", Rows: 10}, {Name: "b", Rows: 20}}
	text := Equation(m)
	for _, want := range []string{
		"dT/dt = + (2.00 ± 0.10)e-5 1/J · (heat·(Tm − T))   [contact]",
		"\n        − (1.50 ± 0.10)e-2 1/s · (T − Ta)",
		"spindle power, W; learned between 0 and 1.2e+04",
		"The inputs act after 1 s.",
		"Learned between 18 and 500 °C of tool temperature from a (10 rows), b (20 rows).",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	want := `\frac{\mathrm{d}T}{\mathrm{d}t} &= (2.00 \pm 0.10)\cdot 10^{-5}\,\mathrm{1/J}\;\mathrm{heat}\,\left(T_{\mathrm{m}} - T\right)` +
		` - (1.50 \pm 0.10)\cdot 10^{-2}\,\mathrm{1/s}\;\left(T - T_{\mathrm{a}}\right) + d`
	for _, want := range []string{want, `T_{\mathrm{a}} &= `, `\mathrm{heat} &= `} {
		if got := LaTeX(m); !strings.Contains(got, want) {
			t.Errorf("LaTeX\n got %s\nwant %s", got, want)
		}
	}
}
