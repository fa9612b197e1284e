// Package score tells how good a model is on recorded runs: forecasts and simulations against what was
// measured and against baselines, two models side by side, and how the equation responds.
package score

import (
	"math"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
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
}

func (t *tally) add(r *Row, z, hold, set float64) {
	err := r.Forecast - z
	if !num.Finite(err) { // a forecast that is missing counts as five times persistence's error
		err = 5 * (hold - z)
	}
	t.n++
	t.sum += err
	t.abs += math.Abs(err)
	t.sq += err * err
	t.hold += (hold - z) * (hold - z)
	if num.Finite(set) {
		t.set += (set - z) * (set - z)
		t.sets++
	}
	if z >= r.Lower && z <= r.Upper {
		t.covered++
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
		s.SetPoint = math.Sqrt(t.set / float64(t.sets))
	}
	return s
}

// Score forecasts run and compares with what was measured: one line per horizon over all rows
// above Output.ScoreAbove, then one per horizon over the windows in which the [Phase] does not change.
// "T = set-point" is scored where the set-point is above zero (a controller that is off has none).
func Score(m *model.Model, run *runs.Run, way filter.Way, horizons []float64, from, to int) ([]model.Skill, error) {
	run, err := checkRange(m, run, from, to)
	if err != nil {
		return nil, err
	}
	t := NewTrack(system.Compile(m), run)
	z := run.Z[0]
	phases := t.phases()
	same := make([]int, len(z)) // last row that continues the phase of this one
	for i := len(z) - 1; i >= 0; i-- {
		same[i] = i
		if i+1 < len(z) && phases[i] == phases[i+1] {
			same[i] = same[i+1]
		}
	}
	all, steady := make([]tally, len(horizons)), make([]tally, len(horizons))
	err = ForecastTrack(t, way, horizons, from, to, 1, true, func(r Row) {
		if !num.Finite(r.Measured) {
			return
		}
		k := 0
		for horizons[k] != r.Horizon {
			k++
		}
		set := math.NaN()
		if run.SetPoint != nil && run.SetPoint[r.Origin] > 0 {
			set = run.SetPoint[r.Origin]
		}
		all[k].add(&r, r.Measured, z[r.Origin], set)
		if same[r.Origin] >= r.Target {
			steady[k].add(&r, r.Measured, z[r.Origin], set)
		}
	})
	if err != nil {
		return nil, err
	}
	var out []model.Skill
	held := m.LearnedFrom(run.Source()) == ""
	for w, tallies := range [][]tally{all, steady} {
		for k := range tallies {
			s := tallies[k].skill()
			s.Run, s.Way, s.Horizon, s.Windows = run.Name, way.String(), horizons[k], [...]string{model.AllRows, model.OnePhase}[w]
			s.HeldOut = held
			out = append(out, s)
		}
	}
	return out, nil
}
