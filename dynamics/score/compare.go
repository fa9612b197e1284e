package score

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

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

// Comparison is what [Compare] finds of one output.
type Comparison struct {
	Output, Unit string
	Way          filter.Way
	Block        float64    // s
	Lines        []Compared // by horizon, first over all rows, then over windows in one phase

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
// What is compared is every output that both models have, in the order of the candidate's; the runs need
// the inputs and outputs of both. For [filter.Planned] both need a plan. Nothing is kept or changed.
func Compare(candidate, inUse *model.Model, spans []Span, way filter.Way, horizons []float64, o CompareOptions) ([]*Comparison, error) {
	if len(horizons) == 0 || len(spans) == 0 {
		return nil, fmt.Errorf("nothing to compare: %d runs and %d horizons", len(spans), len(horizons))
	}
	if o.Block == 0 {
		o.Block = max(120, 2*slices.Max(horizons))
	}
	if o.Resamples == 0 {
		o.Resamples = 2000
	}
	var all []*Comparison
	for _, out := range candidate.Outputs {
		k := inUse.OutputIndex(out.Name)
		if k < 0 {
			continue
		}
		if unit := inUse.Outputs[k].Unit; unit != out.Unit {
			return nil, fmt.Errorf("the models forecast the %s in different units: %s and %s", out.Name, out.Unit, unit)
		}
		c := &Comparison{Output: out.Name, Unit: out.Unit, Way: way, Block: o.Block}
		for _, w := range []string{model.AllRows, model.OnePhase} {
			for _, h := range horizons {
				c.Lines = append(c.Lines, Compared{Windows: w, Horizon: h})
			}
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the models forecast different things: %s and %s", names(candidate), names(inUse))
	}
	by := make([][]*pairs, len(all)) // by output, then span
	for _, s := range spans {
		found, err := pair(candidate, inUse, s, way, horizons, o.Block, all)
		if err != nil {
			return nil, err
		}
		for i, p := range found {
			by[i] = append(by[i], p)
		}
	}
	for i, c := range all {
		for k := range c.Lines {
			l := &c.Lines[k]
			if n := float64(l.Count); n > 0 {
				l.Candidate, l.InUse = math.Sqrt(l.candidateSum/n), math.Sqrt(l.inUseSum/n)
				l.CandidateIn, l.InUseIn = l.CandidateIn/n, l.InUseIn/n
			}
			l.Difference.Value = l.Candidate - l.InUse
		}
		c.judge(by[i], len(horizons), o)
	}
	return all, nil
}

// names of the outputs of m.
func names(m *model.Model) string {
	var all []string
	for _, o := range m.Outputs {
		all = append(all, o.Name)
	}
	return strings.Join(all, ", ")
}

// pairs are the squared errors of both models on one span, as running sums over its rows: sums of
// any block are then two look-ups. By line of the table.
type pairs struct {
	rows, block         int
	count, candid, used [][]float64 // lines × (rows + 1)
}

// windowErrors are the squared errors of one model on one output: by horizon, then row of origin; NaN
// where there is no such window.
type windowErrors struct {
	square, inside, going [][]float64 // going: inside the interval of "if nothing stops"
	target                [][]int
}

// pair forecasts one span with both models, adds to the totals of the lines of all, and gives the pairs of each.
func pair(candidate, inUse *model.Model, s Span, way filter.Way, horizons []float64, block float64, all []*Comparison) ([]*pairs, error) {
	n := s.To - s.From
	var same []int // last row that continues the phase of this one; judged by the model in use
	var step float64
	var errors [2][]windowErrors // of the model in use and the candidate, as all
	for which, m := range []*model.Model{inUse, candidate} {
		run, err := checkRange(m, s.Run, s.From, s.To)
		if err != nil {
			return nil, err
		}
		t := NewTrack(system.Compile(m), run)
		if same == nil {
			step, same = t.step, samePhase(t.Phases())
		}
		place := make([]int, len(m.Outputs)) // in all
		for o := range m.Outputs {
			place[o] = slices.IndexFunc(all, func(c *Comparison) bool { return c.Output == m.Outputs[o].Name })
		}
		for range all {
			w := windowErrors{square: num.Zeros(len(horizons), n), inside: num.Zeros(len(horizons), n), going: num.Zeros(len(horizons), n)}
			for k := range horizons {
				w.target = append(w.target, make([]int, n))
				for i := range n {
					w.square[k][i] = math.NaN()
				}
			}
			errors[which] = append(errors[which], w)
		}
		last := t.lastReadings()
		err = t.Follow(way, horizons, s.From, s.To, func(r Row) {
			hold := last[r.Output][r.Origin]
			if place[r.Output] < 0 || !num.Finite(r.Measured) || !(hold > m.Outputs[r.Output].Above()) {
				return
			}
			w := &errors[which][place[r.Output]]
			k, i := slices.Index(horizons, r.Horizon), r.Origin-s.From
			e := r.Forecast - r.Measured
			if !num.Finite(e) {
				e = 5 * (hold - r.Measured)
			}
			w.square[k][i], w.target[k][i] = e*e, r.Target
			if r.Measured >= r.Lower && r.Measured <= r.Upper {
				w.inside[k][i] = 1
			}
			if b := &r.Branches; r.Measured >= b.Lower && r.Measured <= b.Upper {
				w.going[k][i] = 1
			}
		})
		if err != nil {
			return nil, err
		}
	}
	var found []*pairs
	for at, c := range all {
		used, candid := &errors[0][at], &errors[1][at]
		p := &pairs{rows: n, block: max(1, min(n, int(math.Round(block/step)))),
			count: num.Zeros(len(c.Lines), n+1), candid: num.Zeros(len(c.Lines), n+1), used: num.Zeros(len(c.Lines), n+1)}
		for line := range c.Lines {
			l, k := &c.Lines[line], line%len(horizons)
			counted := 0
			for i := range n {
				p.count[line][i+1], p.used[line][i+1], p.candid[line][i+1] = p.count[line][i], p.used[line][i], p.candid[line][i]
				old, young := used.square[k][i], candid.square[k][i]
				if !num.Finite(old) || !num.Finite(young) || line >= len(horizons) && same[s.From+i] < candid.target[k][i] {
					continue
				}
				counted++
				p.count[line][i+1]++
				p.used[line][i+1] += old
				p.candid[line][i+1] += young
				if line < len(horizons) {
					l.InUseIn += used.inside[k][i]
					l.CandidateIn += candid.inside[k][i]
				} else { // within one phase nothing stops
					l.InUseIn += used.going[k][i]
					l.CandidateIn += candid.going[k][i]
				}
			}
			l.Count += counted
			l.Blocks += float64(counted) / float64(p.block)
			l.inUseSum += p.used[line][n]
			l.candidateSum += p.candid[line][n]
		}
		found = append(found, p)
	}
	return found, nil
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
