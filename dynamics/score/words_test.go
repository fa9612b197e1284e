package score

import (
	"math"
	"strings"
	"testing"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
)

// A comparison says what it proves, and no verdict where it proves nothing.
func TestComparisonInWords(t *testing.T) {
	c := &Comparison{Output: "tool temperature", Unit: "°C", Way: filter.Known, Block: 120, Lines: []Compared{
		{Windows: model.AllRows, Horizon: 10, Count: 900, Blocks: 7.5, Candidate: 4, InUse: 5, Difference: Interval{-1, -1.5, -0.5, Better}},
		{Windows: model.AllRows, Horizon: 60, Count: 850, Blocks: 7.5, Candidate: 9, InUse: 9.1, Difference: Interval{-0.1, -1, 1, Unclear}},
		{Windows: model.OnePhase, Horizon: 60},
	}, Overall: Interval{math.Log(0.9), math.Log(0.8), math.Log(0.95), Better}}
	fair, unfair := c.Table(true), c.Table(false)
	for _, part := range []string{"all rows", "one phase", "7.5 blocks of 120 s", "-1.00 (-1.50 to -0.50)", "better", "cannot be told", "   60 s        0        –"} {
		if !strings.Contains(fair, part) {
			t.Errorf("no %q in\n%s", part, fair)
		}
	}
	if strings.Contains(unfair, "better") || strings.Contains(unfair, "(") && strings.Contains(unfair, "to -0.50") {
		t.Errorf("a verdict where a model was learned from the run:\n%s", unfair)
	}
	for _, part := range []string{"On a, b, inputs known, all rows of the tool temperature, new.json is better at 10 s; whether new.json is better cannot be told at 60 s", "-10 % from that of old.json (95 % interval -20 % to -5 %): the new model is better."} {
		if s := c.Summary("new.json", "old.json", []string{"a", "b"}); !strings.Contains(s, part) || strings.Contains(s, "One build") {
			t.Errorf("no %q in\n%s", part, s)
		}
	}
	if s := c.Summary("new.json", "old.json", []string{"a"}); !strings.Contains(s, "One build is little to go by") {
		t.Error(s)
	}
	c.Overall = Interval{0, math.NaN(), math.NaN(), Unclear}
	if s := c.Summary("new.json", "old.json", []string{"a"}); !strings.Contains(s, "fewer than five blocks of 120 s") {
		t.Error(s)
	}
	c.Lines = nil
	if s := c.Summary("new.json", "old.json", []string{"a"}); !strings.Contains(s, "nothing to compare") {
		t.Error(s)
	}
}
