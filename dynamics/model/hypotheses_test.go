package model

import (
	"strings"
	"testing"
)

func TestHypothesesRefuse(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"sign":           {"name: loss, sign: -", "name: loss, sign: x", `term "loss": sign "x" must be + or -`},
		"opinion":        {"opinion: require", "opinion: maybe", `opinion "maybe" must be propose, require or forbid`},
		"unit":           {"unit: 1/J", "unit: 1/s", `term "heat": coefficient has unit "1/s"`},
		"unknown unit":   {"unit: 1/J", "unit: 1/furlong", "furlong"},
		"symbol":         {`"n*(T - Ta)"`, `"q*(T - Ta)"`, `symbol "q" is unknown`},
		"sum of apples":  {`"n*(T - Ta)"`, `"(n + T)*(T - Ta)"`, "do not measure the same thing"},
		"key":            {"process: plant", "proces: plant", "proces"},
		"mode":           {"opinion: require", "mode: dancing", `mode "dancing" must be one of`},
		"no unit":        {", unit: 1/J", "", `the unit of its coefficient is missing`},
		"contradiction":  {"  - {of: T, name: path", "  - {of: T, name: again, sign: +, expression: heating, unit: 1/J, opinion: forbid}\n  - {of: T, name: path", "is required and forbidden"},
		"twice":          {"  - {of: T, name: path", "  - {of: T, name: again, sign: -, expression: T-Ta, unit: 1/s}\n  - {of: T, name: path", "stands there twice"},
		"both signs":     {"  - {of: T, name: path", "  - {of: T, name: again, sign: -, expression: heating, unit: 1/J, opinion: require}\n  - {of: T, name: path", `terms "heat" and "again": the same expression of T is required with both signs`},
		"no range":       {"score_above: 100}", "score_above: 100, possible: [700, 20]}", "possible 700 to 20 is no range"},
		"bounds":         {"{name: Tm, value: 560, unit: °C, fixed: true}", "{name: Tm, value: 560, unit: °C}", `parameter "Tm": give min and max`},
		"elsewhere":      {"value: 560, unit: °C, fixed: true}", "value: 560, unit: °C, fixed: true, elsewhere: {value: 2000, min: 450, max: 900}}", `parameter "Tm": elsewhere: give value, min and max`},
		"no elsewhere":   {"opinion: require", "opinion: require, elsewhere: -1", "elsewhere -1 must lie between 0 and"},
		"start of state": {"start: reading, start_sd: 1}", "start: P, start_sd: 1}", `symbol "P" is unknown`},
		"bracket":        {`"n*(T - Ta)"`, `"n*(T - Ta"`, "a ) is missing"},
	} {
		text := strings.Replace(plant, c.from, c.to, 1)
		if text == plant {
			t.Fatalf("%s: nothing replaced", name)
		}
		if _, err := ReadHypotheses(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
