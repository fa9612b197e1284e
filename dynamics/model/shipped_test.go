package model

import (
	"slices"
	"strings"
	"testing"
)

// Every file that ships is right, and is found by its name.
func TestShippedHypotheses(t *testing.T) {
	names := ShippedHypotheses()
	if !slices.Equal(names, []string{"afsd", "afsd-build", "tclab"}) {
		t.Errorf("%v", names)
	}
	leading := map[string]string{"afsd": ToolTemperature, "afsd-build": ToolTemperature, "tclab": "temperature 1"}
	for _, name := range names {
		h, err := LoadHypotheses(name)
		if err != nil {
			t.Fatal(err)
		}
		if m := h.Draft(nil); m.Leading != leading[name] {
			t.Errorf("%s: led by %s", name, m.Leading)
		}
		slices.Reverse(h.Outputs)
		if m := h.Draft(nil); m.Leading != leading[name] || m.Outputs[m.OutputOrder()[0]].Name != leading[name] {
			t.Errorf("%s, outputs turned round: led by %s", name, m.Leading)
		}
	}
	if _, err := LoadHypotheses("tclap"); err == nil || !strings.Contains(err.Error(), "afsd, afsd-build, tclab") {
		t.Errorf("%v", err)
	}
}

// Where the set-points are not recorded, their controllers go and the rest is as right as before.
func TestAssumingLeavesOutControllers(t *testing.T) {
	h, err := LoadHypotheses("tclab")
	if err != nil {
		t.Fatal(err)
	}
	if a := h.Assuming([]string{"S1"}); a.Check() != nil || len(a.Controllers) != 1 || a.Controllers[0].Moves != "Q2" || len(h.Controllers) != 2 {
		t.Errorf("%v, %+v of %+v", a.Check(), a.Controllers, h.Controllers)
	}
}

// A file that extends a shipped one has its entries, but for those of the same name, which stand in their place.
func TestExtends(t *testing.T) {
	h, err := ReadHypotheses(strings.NewReader(`extends: afsd
parameters: [{name: Ta, value: 30, unit: °C, fixed: true, text: a hot hall}]
outputs: [{is: tool temperature, state: R, unit: °C, sd: 0.2}]
`))
	if err != nil {
		t.Fatal(err)
	}
	base := DefaultHypotheses()
	if len(h.Parameters) != len(base.Parameters) || h.Parameters[0].Value != 30 || len(h.Outputs) != 1 || h.Outputs[0].SD != 0.2 || h.Outputs[0].ScoreAbove != 0 {
		t.Errorf("%+v, %+v", h.Parameters[0], h.Outputs)
	}
	if len(h.Terms) != len(base.Terms) || h.DeadTime != base.DeadTime || (h.Plan == nil) != (base.Plan == nil) || h.Process != base.Process {
		t.Error("entries of the shipped file are missing")
	}
	if _, err := ReadHypotheses(strings.NewReader("extends: nothing\n")); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Error(err)
	}
}

// Wrong controllers are refused, in a file of hypotheses and in a document.
func TestControllersAreChecked(t *testing.T) {
	for want, change := range map[string]func(c *HypothesisController){
		"symbols of two inputs": func(c *HypothesisController) { c.Moves = "heater 1 power" },
		"is no output":          func(c *HypothesisController) { c.Holds = "R1" },
		"must be in °C":         func(c *HypothesisController) { c.Follows = "Q2" },
		"slew":                  func(c *HypothesisController) { c.Slew = -1 },
	} {
		h, err := LoadHypotheses("tclab")
		if err != nil {
			t.Fatal(err)
		}
		if change(&h.Controllers[0]); h.Check() == nil || !strings.Contains(h.Check().Error(), want) {
			t.Errorf("%v, want %q", h.Check(), want)
		}
	}
	good := Controller{Moves: "heater 1 power", Holds: "temperature 1", Follows: "temperature 1 set-point", Proportional: 4, Max: 100}
	h, _ := LoadHypotheses("tclab")
	for want, change := range map[string]func(c *Controller){
		"":                    func(*Controller) {},
		"must be two inputs":  func(c *Controller) { c.Moves = "fan" },
		"holds what is no":    func(c *Controller) { c.Holds = "fan" },
		"must be in °C":       func(c *Controller) { c.Follows = "heater 2 power" },
		"0 to 0 a range":      func(c *Controller) { c.Max = 0 },
		`another moves "heat`: func(c *Controller) { *c = good },
	} {
		m := h.Draft(nil)
		m.Controllers = []Controller{good}
		if want == `another moves "heat` {
			m.Controllers = append(m.Controllers, good)
		}
		change(&m.Controllers[0])
		if err := m.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
