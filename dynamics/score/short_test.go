package score

import (
	"strings"
	"testing"

	"stirwatch/dynamics/model"
)

func TestInShort(t *testing.T) {
	row := func(windows string, held bool, h, rmse, persistence, inside float64) model.Skill {
		return model.Skill{Way: "live", Windows: windows, HeldOut: held, Horizon: h, Count: 100, RMSE: rmse, Persistence: persistence, Coverage: inside}
	}
	for name, c := range map[string]struct {
		figures []model.Skill
		says    []string
	}{
		"good throughout": {[]model.Skill{row(model.AllRows, true, 10, 2, 8, 0.95), row(model.AllRows, true, 60, 9, 30, 0.93)}, []string{"Good to 60 s, the longest that was tried (error there 9 °C)."}},
		"a stop that was never learned": {[]model.Skill{row(model.AllRows, true, 10, 2, 8, 0.95), row(model.AllRows, true, 60, 66, 40, 0.29), row(model.OnePhase, true, 60, 8, 20, 0.94)},
			[]string{"Good to 10 s (error there 2 °C); do not use 60 s ahead yet", "66 °C", "29 %", "starts, stops and lifts"}},
		"better than persistence, and of no use": {[]model.Skill{row(model.AllRows, true, 10, 12, 46, 0.95), row(model.AllRows, true, 60, 159, 191, 0.99)},
			[]string{"Good to 10 s", "do not use 60 s ahead yet: its error is 159 °C where the reading moves by 191"}},
		"a reading that moves by little more than its noise at first": {[]model.Skill{row(model.AllRows, true, 1, 0.116, 0.169, 0.95), row(model.AllRows, true, 10, 0.2, 0.92, 0.96), row(model.AllRows, true, 60, 2, 3, 0.95)},
			[]string{"Good to 10 s (error there 0.2 °C); do not use 60 s"}},
		"worse near than farther on":      {[]model.Skill{row(model.AllRows, true, 1, 0.9, 1, 0.95), row(model.AllRows, true, 10, 0.2, 0.92, 0.96)}, []string{"Good at no horizon"}},
		"near intervals that do not hold": {[]model.Skill{row(model.AllRows, true, 1, 0.1, 0.1, 0.5), row(model.AllRows, true, 10, 0.2, 0.92, 0.96)}, []string{"Good at no horizon"}},
		"intervals that do not hold":      {[]model.Skill{row(model.AllRows, true, 10, 2, 8, 0.5)}, []string{"Good at no horizon; do not use it yet: 10 s", "50 % of the 95 % intervals"}},
		"in sample":                       {[]model.Skill{row(model.AllRows, false, 10, 2, 8, 0.95)}, []string{"Not proved", "good to 10 s"}},
		"held out counts, not in sample":  {[]model.Skill{row(model.AllRows, false, 60, 1, 8, 0.95), row(model.AllRows, true, 60, 66, 40, 0.29)}, []string{"do not use it yet"}},
		"nothing":                         {nil, []string{"Nothing can be said"}},
	} {
		got := InShort(c.figures)
		for _, want := range c.says {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is not in %q", name, want, got)
			}
		}
	}
	two := append([]model.Skill{}, row(model.AllRows, true, 10, 2, 8, 0.95), row(model.AllRows, true, 10, 2, 8, 0.1))
	two[0].Output, two[1].Output = "tool", "build"
	if got := InShort(two); !strings.Contains(got, "tool: Good to 10 s") || !strings.Contains(got, "build: Good at no horizon") {
		t.Error(got)
	}
}
