// Package score tells how good a model is on recorded runs: forecasts and simulations against what was
// measured and against baselines, two models side by side, and how the equation responds.
package score

import (
	"math"
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

// Horizons at which forecasts are scored, s.
var Horizons = []float64{1, 5, 10, 30, 60}

// tally gathers errors at one horizon.
type tally struct {
	n, covered              int
	sum, abs, sq, hold, set float64
	sets                    int
	withSet                 float64
	widths                  []float64
	goesOn                  struct { // windows in which nothing stopped or started
		n, covered int
		widths     []float64
	}
	by [filter.Experts]struct{ weight, sq, n float64 }
}

// runaway is what an error counts at most, in units of the output: that of an equation that has run away says no more
// the larger it is, and its square is no number.
const runaway = 1e6

// add takes in a forecast with the interval that it is judged by, the reading z, and persistence and set-point.
func (t *tally) add(r *Row, lower, upper, z, hold, set float64) {
	err := r.Forecast - z
	if !num.Finite(err) { // a forecast that is missing counts as five times persistence's error
		err = 5 * (hold - z)
	}
	err = min(runaway, max(-runaway, err))
	t.n++
	t.sum += err
	t.abs += math.Abs(err)
	t.sq += err * err
	t.hold += (hold - z) * (hold - z)
	if num.Finite(set) {
		t.set += (set - z) * (set - z)
		t.withSet += err * err
		t.sets++
	}
	if w := upper - lower; num.Finite(w) {
		t.widths = append(t.widths, w)
	}
	if r.By != nil {
		for x, says := range r.By.Says {
			if !math.IsNaN(says) {
				t.by[x].weight += r.By.Weight[x]
				off := min(runaway, max(-runaway, says-z))
				t.by[x].sq += off * off
				t.by[x].n++
			}
		}
	}
	if z >= lower && z <= upper {
		t.covered++
	}
}

// addGoing takes in a live forecast of a window in which nothing stopped or started.
func (t *tally) addGoing(b *Branches, z float64) {
	g := &t.goesOn
	if g.n++; z >= b.Lower && z <= b.Upper {
		g.covered++
	}
	if w := b.Upper - b.Lower; num.Finite(w) {
		g.widths = append(g.widths, w)
	}
}

func (t *tally) skill() (s model.Skill) {
	n := float64(t.n)
	s.Count = t.n
	if t.n == 0 {
		return s
	}
	s.RMSE, s.MAE, s.Bias = math.Sqrt(t.sq/n), t.abs/n, t.sum/n
	s.Persistence, s.Coverage = math.Sqrt(t.hold/n), float64(t.covered)/n
	if t.sets > 0 {
		s.SetPoint, s.WithSetPoint = math.Sqrt(t.set/float64(t.sets)), math.Sqrt(t.withSet/float64(t.sets))
	}
	s.Width = num.Median(t.widths)
	if g := &t.goesOn; g.n > 0 {
		s.GoesOn = &model.GoesOn{Count: g.n, Coverage: float64(g.covered) / float64(g.n), Width: num.Median(g.widths)}
	}
	for x, by := range t.by {
		if by.n > 0 {
			s.Experts = append(s.Experts, model.ExpertSkill{Expert: filter.Expert(x).String(), Weight: by.weight / n, RMSE: math.Sqrt(by.sq / by.n)})
		}
	}
	return s
}

// Score forecasts run and compares with what was measured, output by output: one line per horizon over all rows
// in which the output is above its ScoreAbove, then, where there are phases, one per horizon over the windows in which the [phase.Phase] does not
// change. Over all rows the interval is that of whatever comes, within one phase that of "if nothing stops"; the
// latter is told too over all windows in which nothing stopped or started. "T = set-point" is scored where the set-point is above zero (a controller that is off has none), for the
// leading output. Persistence is the last reading.
func Score(m *model.Model, run *runs.Run, way filter.Way, horizons []float64, from, to int) ([]model.Skill, error) {
	run, err := checkRange(m, run, from, to)
	if err != nil {
		return nil, err
	}
	t := NewTrack(system.Compile(m), run)
	phases := t.Phases()
	same := samePhase(phases)
	going := continues(phases, phase.Phase.Continues)
	last := t.lastReadings()
	windows := []string{model.AllRows, model.OnePhase}
	if m.InputIndex(model.SpindleSpeed) < 0 { // phases are those of a spindle
		windows = windows[:1]
	}
	tallies := make([]tally, len(m.Outputs)*len(windows)*len(horizons)) // by output, windows and horizon
	err = t.Follow(way, horizons, from, to, func(r Row) {
		hold := last[r.Output][r.Origin]
		if !num.Finite(r.Measured) || !(hold > m.Outputs[r.Output].Above()) {
			return
		}
		set := math.NaN()
		if r.Output == t.S.Leading && run.SetPoint != nil && run.SetPoint[r.Origin] > 0 {
			set = run.SetPoint[r.Origin]
		}
		k := r.Output*len(windows)*len(horizons) + slices.Index(horizons, r.Horizon)
		tallies[k].add(&r, r.Lower, r.Upper, r.Measured, hold, set)
		if r.By != nil && going[r.Origin] >= r.Target {
			tallies[k].addGoing(&r.Branches, r.Measured)
		}
		if len(windows) > 1 && same[r.Origin] >= r.Target {
			tallies[k+len(horizons)].add(&r, r.Branches.Lower, r.Branches.Upper, r.Measured, hold, set)
		}
	})
	if err != nil {
		return nil, err
	}
	held := m.LearnedFrom(run.Source()) == ""
	var out []model.Skill
	for k := range tallies {
		s := tallies[k].skill()
		o := &m.Outputs[k/len(horizons)/len(windows)]
		s.Output, s.Unit, s.Windows, s.Horizon = o.Name, o.Unit, windows[k/len(horizons)%len(windows)], horizons[k%len(horizons)]
		s.Run, s.Way, s.HeldOut = run.Name, way.String(), held
		out = append(out, s)
	}
	return out, nil
}

// samePhase is, by row, the last that continues its phase.
func samePhase(phases []phase.Phase) []int {
	return continues(phases, func(a, b phase.Phase) bool { return a == b })
}

// continues is, by row, the last that continues its phase, as alike has it.
func continues(phases []phase.Phase, alike func(a, b phase.Phase) bool) []int {
	same := make([]int, len(phases))
	for i := len(phases) - 1; i >= 0; i-- {
		same[i] = i
		if i+1 < len(phases) && alike(phases[i], phases[i+1]) {
			same[i] = same[i+1]
		}
	}
	return same
}

// lastReadings are, by output and row, the newest reading there; NaN before the first.
func (t *Track) lastReadings() [][]float64 {
	all := make([][]float64, len(t.Run.Z))
	for o, z := range t.Run.Z {
		last := math.NaN()
		for _, v := range z {
			if num.Finite(v) {
				last = v
			}
			all[o] = append(all[o], last)
		}
	}
	return all
}
