package score

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
)

// worn is the sample model with another heat, as if its runs had been of another tool.
func worn(by float64) *model.Model {
	m := sample()
	m.Terms[0].Coefficient *= by
	m.Terms[1].Coefficient *= by
	return m
}

func TestCompareAgreesWithScore(t *testing.T) {
	a, b, r := sample(), worn(0.4), wandering(3)
	all, err := Compare(a, b, []Span{{r, 10, 880}}, filter.Known, Horizons, CompareOptions{Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	c := all[0]
	sa, err := Score(a, r, filter.Known, Horizons, 10, 880)
	if err != nil {
		t.Fatal(err)
	}
	sb, err := Score(b, r, filter.Known, Horizons, 10, 880)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Lines) != len(sa) || c.Block != 120 {
		t.Fatalf("%d lines, want %d; blocks of %g s", len(c.Lines), len(sa), c.Block)
	}
	near := func(x, y float64) bool { return math.Abs(x-y) < 1e-9 }
	for k, l := range c.Lines {
		if l.Windows != sa[k].Windows || l.Horizon != sa[k].Horizon || l.Count != sa[k].Count ||
			!near(l.Candidate, sa[k].RMSE) || !near(l.InUse, sb[k].RMSE) || !near(l.CandidateIn, sa[k].Coverage) || !near(l.InUseIn, sb[k].Coverage) {
			t.Errorf("%+v\nwant %+v\nand  %+v", l, sa[k], sb[k])
		}
	}
}

func TestCompareTellsTheBetterModel(t *testing.T) {
	spans := []Span{{wandering(3), 0, 900}, {wandering(4), 0, 900}}
	o := CompareOptions{Seed: 1, Resamples: 500}
	do := func(a, b *model.Model) *Comparison {
		t.Helper()
		c, err := Compare(a, b, spans, filter.Known, []float64{10, 30}, o)
		if err != nil {
			t.Fatal(err)
		}
		return c[0]
	}
	good, bad := do(sample(), worn(0.4)), do(worn(0.4), sample())
	for k, l := range good.Lines[:2] {
		d, e := l.Difference, bad.Lines[k].Difference
		if d.Verdict != Better || !(d.Low < d.Value && d.Value < d.High) || e.Verdict != Worse || e.Value != -d.Value {
			t.Errorf("%g s: %+v and turned round %+v", l.Horizon, d, e)
		}
	}
	if good.Overall.Verdict != Better || bad.Overall.Verdict != Worse {
		t.Errorf("overall %+v and turned round %+v", good.Overall, bad.Overall)
	}
	if again := do(sample(), worn(0.4)); again.Overall != good.Overall {
		t.Errorf("the same seed gives %+v and %+v", good.Overall, again.Overall)
	}
	same := do(sample(), sample())
	if l := same.Lines[0].Difference; l.Verdict != Same || same.Overall.Verdict != Same || l.Value != 0 {
		t.Errorf("one model against itself: %+v, overall %+v", l, same.Overall)
	}
}

// What rests on fewer than five blocks is no verdict, and a horizon that no run reaches spoils none.
func TestCompareKnowsItsLimits(t *testing.T) {
	all, err := Compare(sample(), worn(0.4), []Span{{wandering(3), 0, 400}}, filter.Known, []float64{10, 500}, CompareOptions{Block: 120})
	if err != nil {
		t.Fatal(err)
	}
	c := all[0]
	if l := c.Lines[0]; l.Difference.Verdict != Unclear || !math.IsNaN(l.Difference.Low) || l.Blocks >= fewestBlocks {
		t.Errorf("%+v", l)
	}
	if l := c.Lines[1]; l.Count != 0 || l.Difference.Verdict != Unclear || math.IsNaN(c.Overall.Value) {
		t.Errorf("%+v, overall %+v", l, c.Overall)
	}
}

// Errors that are correlated for half a minute, of two models that are equally good: the interval
// holds the truth nearly as often as it says, from five blocks to forty.
func TestCompareIntervalsHold(t *testing.T) {
	if testing.Short() {
		t.Skip("1200 bootstraps: slow under the race detector, which finds nothing in them")
	}
	rng := rand.New(rand.NewPCG(5, 5))
	const trials = 400
	for _, rows := range []int{650, 1080, 4800} {
		holds := 0
		for range trials {
			p := &pairs{rows: rows, block: 120, count: num.Zeros(1, rows+1), candid: num.Zeros(1, rows+1), used: num.Zeros(1, rows+1)}
			var shared, a, b float64
			rho := math.Exp(-1. / 30)
			kick := math.Sqrt(1 - rho*rho)
			for i := range rows {
				shared, a, b = rho*shared+kick*rng.NormFloat64(), rho*a+kick*rng.NormFloat64(), rho*b+kick*rng.NormFloat64()
				p.count[0][i+1] = p.count[0][i] + 1
				p.candid[0][i+1] = p.candid[0][i] + (shared+a)*(shared+a)
				p.used[0][i+1] = p.used[0][i] + (shared+b)*(shared+b)
			}
			n := float64(rows)
			l := Compared{Count: rows, Blocks: n / 120, Candidate: math.Sqrt(p.candid[0][rows] / n), InUse: math.Sqrt(p.used[0][rows] / n)}
			l.Difference.Value = l.Candidate - l.InUse
			c := &Comparison{Lines: []Compared{l}}
			c.judge([]*pairs{p}, 1, CompareOptions{Resamples: 400, Seed: rng.Uint64()})
			if d := c.Lines[0].Difference; d.Low <= 0 && d.High >= 0 {
				holds++
			}
		}
		share := float64(holds) / trials
		t.Logf("%d rows: %.1f %%", rows, 100*share)
		if share < 0.90 || share > 0.99 {
			t.Errorf("%d rows: %.1f %% of the 95 %% intervals hold", rows, 100*share)
		}
	}
}

func TestCompareRefuses(t *testing.T) {
	r, other := wandering(3), sample()
	other.Outputs = append([]model.Output(nil), other.Outputs...)
	other.Outputs[0].Name = "build temperature"
	for _, c := range []struct {
		with *model.Model
		way  filter.Way
		h    []float64
		to   int
		says string
	}{
		{other, filter.Known, Horizons, 900, "build temperature"},
		{sample(), filter.Planned, Horizons, 900, "no plan"},
		{sample(), filter.Known, nil, 900, "nothing to compare"},
		{sample(), filter.Known, Horizons, 901, "not within"},
	} {
		if _, err := Compare(sample(), c.with, []Span{{r, 0, c.to}}, c.way, c.h, CompareOptions{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}

func TestSumsOnACircle(t *testing.T) {
	sum := []float64{0, 1, 3, 6, 10} // of 1 2 3 4
	for _, c := range []struct {
		from, length int
		want         float64
	}{{0, 4, 10}, {0, 1, 1}, {3, 1, 4}, {3, 2, 5}, {2, 4, 10}, {2, 3, 8}} {
		if got := onCircle(sum, c.from, c.length); got != c.want {
			t.Errorf("%d rows from %d: %g, want %g", c.length, c.from, got, c.want)
		}
	}
}
