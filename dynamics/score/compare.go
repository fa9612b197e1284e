package score

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

// Span is a part of a run: its rows From ≤ i < To.
type Span struct {
	Run      *runs.Run
	From, To int
}

// CompareOptions of [Compare]; the zero value is good.
type CompareOptions struct {
	Block     float64 // s, length of the blocks that are drawn; 0: 120 s, or twice the longest horizon if that is more
	Resamples int     // 0: 2000
	Seed      uint64  // equal seeds give equal intervals
}

// Verdict says what a difference with its interval proves.
type Verdict string

// Verdicts on the candidate.
const (
	Better  Verdict = "better"         // the interval lies below zero
	Worse   Verdict = "worse"          // it lies above
	Unclear Verdict = "cannot be told" // it holds zero, or there are fewer than five blocks
	Same    Verdict = "the same"       // there is no difference in any window
)

// Interval is a difference with its 95 % interval and what follows from it.
type Interval struct {
	Value, Low, High float64
	Verdict          Verdict
}

// Compared is how two models did on the same windows at one horizon.
type Compared struct {
	Windows                string   // AllRows or OnePhase
	Horizon                float64  // s
	Count                  int      // windows
	Blocks                 float64  // lengths of block that they fill: how much independent evidence there is
	Candidate, InUse       float64  // RMSE, in the unit of the output
	CandidateIn, InUseIn   float64  // share of the 95 % intervals that hold
	Difference             Interval // Candidate − InUse, in the unit of the output
	candidateSum, inUseSum float64
}

// Comparison is what [Compare] finds.
type Comparison struct {
	Way   filter.Way
	Block float64    // s
	Lines []Compared // by horizon, first over all rows, then over windows in one phase

	// Overall is the mean over the horizons that the runs are long enough for, all rows, of ln(RMSE of the candidate / RMSE of the
	// model in use): −0.1 is a tenth less error. One verdict on all horizons together is not misled
	// by chance at one of many.
	Overall Interval
}

// fewestBlocks below which no interval is believed: a variance from fewer is a guess.
const fewestBlocks = 5

// Compare forecasts spans with both models and sets their errors against each other, window by
// window: both forecast from the same rows for the same rows, so what is hard for both cancels.
// Windows without a measurement at their end do not count; a forecast that is not a number counts
// as five times persistence's error, as in [Score].
//
// Errors of overlapping windows are correlated for longer than the horizon, so the 95 % intervals
// come from a bootstrap over blocks of rows (Künsch, Ann. Statist. 17 (1989) 1217), drawn on a
// circle so that the ends weigh as much as the middle (Politis and Romano, in Exploring the Limits
// of Bootstrap, 1992, 263): each resample draws as many rows of every span as it has, in blocks, the same
// for both models, all horizons and all windows. The percentiles are widened about the
// value by t(k−1)/1.96·√(k/(k−1)), k being the number of blocks, since a few blocks vary less among
// themselves than runs do. The interval speaks of builds like these: of others only more runs tell.
//
// Both models must forecast the same output; the runs need the inputs of both. For [Planned] both
// need a plan. Nothing is kept or changed.
func Compare(candidate, inUse *model.Model, spans []Span, way filter.Way, horizons []float64, o CompareOptions) (*Comparison, error) {
	if len(horizons) == 0 || len(spans) == 0 {
		return nil, fmt.Errorf("nothing to compare: %d runs and %d horizons", len(spans), len(horizons))
	}
	if a, b := candidate.Outputs[0], inUse.Outputs[0]; a.Name != b.Name || a.Unit != b.Unit {
		return nil, fmt.Errorf("the models forecast different things: %s in %s and %s in %s", a.Name, a.Unit, b.Name, b.Unit)
	}
	if o.Block == 0 {
		o.Block = max(120, 2*slices.Max(horizons))
	}
	if o.Resamples == 0 {
		o.Resamples = 2000
	}
	c := &Comparison{Way: way, Block: o.Block}
	for _, w := range []string{model.AllRows, model.OnePhase} {
		for _, h := range horizons {
			c.Lines = append(c.Lines, Compared{Windows: w, Horizon: h})
		}
	}
	var all []*pairs
	for _, s := range spans {
		p, err := pair(candidate, inUse, s, way, horizons, o.Block, c.Lines)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	for k := range c.Lines {
		l := &c.Lines[k]
		if n := float64(l.Count); n > 0 {
			l.Candidate, l.InUse = math.Sqrt(l.candidateSum/n), math.Sqrt(l.inUseSum/n)
			l.CandidateIn, l.InUseIn = l.CandidateIn/n, l.InUseIn/n
		}
		l.Difference.Value = l.Candidate - l.InUse
	}
	c.judge(all, len(horizons), o)
	return c, nil
}

// pairs are the squared errors of both models on one span, as running sums over its rows: sums of
// any block are then two look-ups. By line of the table.
type pairs struct {
	rows, block         int
	count, candid, used [][]float64 // lines × (rows + 1)
}

// pair forecasts one span with both models and adds to the totals of lines.
func pair(candidate, inUse *model.Model, s Span, way filter.Way, horizons []float64, block float64, lines []Compared) (*pairs, error) {
	n := s.To - s.From
	p := &pairs{rows: n, count: num.Zeros(len(lines), n+1), candid: num.Zeros(len(lines), n+1), used: num.Zeros(len(lines), n+1)}
	var same []int // last row that continues the phase of this one; judged by the model in use
	inside := [2][][]float64{num.Zeros(len(horizons), n), num.Zeros(len(horizons), n)}
	square := [2][][]float64{num.Zeros(len(horizons), n), num.Zeros(len(horizons), n)}
	target := make([][]int, len(horizons))
	for k := range target {
		target[k] = make([]int, n)
	}
	var step float64
	for which, m := range []*model.Model{inUse, candidate} {
		run, err := checkRange(m, s.Run, s.From, s.To)
		if err != nil {
			return nil, err
		}
		t := NewTrack(system.Compile(m), run)
		z := run.Z[0]
		if same == nil {
			step = t.step
			phases := t.phases()
			same = make([]int, len(z))
			for i := len(z) - 1; i >= 0; i-- {
				same[i] = i
				if i+1 < len(z) && phases[i] == phases[i+1] {
					same[i] = same[i+1]
				}
			}
		}
		for k := range square[which] {
			for i := range square[which][k] {
				square[which][k][i] = math.NaN() // no such window
			}
		}
		err = ForecastTrack(t, way, horizons, s.From, s.To, 1, true, func(r Row) {
			if !num.Finite(r.Measured) {
				return
			}
			k, i := slices.Index(horizons, r.Horizon), r.Origin-s.From
			e := r.Forecast - r.Measured
			if !num.Finite(e) {
				e = 5 * (z[r.Origin] - r.Measured)
			}
			square[which][k][i], target[k][i] = e*e, r.Target
			if r.Measured >= r.Lower && r.Measured <= r.Upper {
				inside[which][k][i] = 1
			}
		})
		if err != nil {
			return nil, err
		}
	}
	p.block = max(1, min(n, int(math.Round(block/step))))
	for line := range lines {
		l, k := &lines[line], line%len(horizons)
		counted := 0
		for i := range n {
			p.count[line][i+1], p.used[line][i+1], p.candid[line][i+1] = p.count[line][i], p.used[line][i], p.candid[line][i]
			old, young := square[0][k][i], square[1][k][i]
			if !num.Finite(old) || !num.Finite(young) || line >= len(horizons) && same[s.From+i] < target[k][i] {
				continue
			}
			counted++
			p.count[line][i+1]++
			p.used[line][i+1] += old
			p.candid[line][i+1] += young
			l.InUseIn += inside[0][k][i]
			l.CandidateIn += inside[1][k][i]
		}
		l.Count += counted
		l.Blocks += float64(counted) / float64(p.block)
		l.inUseSum += p.used[line][n]
		l.candidateSum += p.candid[line][n]
	}
	return p, nil
}

// judge draws the resamples and gives every line and the whole its interval.
func (c *Comparison) judge(all []*pairs, horizons int, o CompareOptions) {
	rng := rand.New(rand.NewPCG(o.Seed, 0x57a7))
	drawn := make([][]float64, len(c.Lines)) // differences by line
	reached := 0                             // horizons that a run is long enough for
	for _, l := range c.Lines[:horizons] {
		if l.Count > 0 {
			reached++
		}
	}
	var overall []float64
	type sums struct{ n, candid, used float64 }
	at := make([]sums, len(c.Lines))
	for range o.Resamples {
		clear(at)
		for _, p := range all {
			for left := p.rows; left > 0; left -= p.block {
				length := min(left, p.block)
				from := rng.IntN(p.rows)
				for k := range at {
					at[k].n += onCircle(p.count[k], from, length)
					at[k].candid += onCircle(p.candid[k], from, length)
					at[k].used += onCircle(p.used[k], from, length)
				}
			}
		}
		ratio, whole := 0.0, reached > 0
		for k, s := range at {
			if s.n > 0 {
				drawn[k] = append(drawn[k], math.Sqrt(s.candid/s.n)-math.Sqrt(s.used/s.n))
			}
			if k < horizons && c.Lines[k].Count > 0 {
				ratio += math.Log(s.candid/s.used) / 2 / float64(reached)
				whole = whole && s.candid > 0 && s.used > 0
			}
		}
		if whole {
			overall = append(overall, ratio)
		}
	}
	fewest := math.Inf(1)
	for k := range c.Lines {
		l := &c.Lines[k]
		l.Difference.over(drawn[k], l.Blocks)
		if k < horizons && l.Count > 0 {
			fewest = min(fewest, l.Blocks)
			c.Overall.Value += math.Log(l.Candidate/l.InUse) / float64(reached)
		}
	}
	c.Overall.over(overall, fewest)
}

// over sets the interval about the value from resamples of it, and the verdict.
func (v *Interval) over(drawn []float64, blocks float64) {
	if blocks < fewestBlocks || len(drawn) < 100 {
		v.Low, v.High, v.Verdict = math.NaN(), math.NaN(), Unclear
		return
	}
	slices.Sort(drawn)
	at := func(q float64) float64 { return drawn[int(math.Round(q*float64(len(drawn)-1)))] }
	wide := distuv.StudentsT{Sigma: 1, Nu: blocks - 1}.Quantile(0.975) / num.Sigma95 * math.Sqrt(blocks/(blocks-1))
	v.Low, v.High = v.Value-wide*(v.Value-at(0.025)), v.Value+wide*(at(0.975)-v.Value)
	switch {
	case drawn[0] == 0 && drawn[len(drawn)-1] == 0:
		v.Verdict = Same
	case v.High < 0:
		v.Verdict = Better
	case v.Low > 0:
		v.Verdict = Worse
	default:
		v.Verdict = Unclear
	}
}

// onCircle is the sum over length rows on the circle, from running sums.
func onCircle(sum []float64, from, length int) float64 {
	n := len(sum) - 1
	if to := from + length; to <= n {
		return sum[to] - sum[from]
	}
	return sum[n] - sum[from] + sum[from+length-n]
}
