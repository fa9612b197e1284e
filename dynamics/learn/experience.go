package learn

import (
	"context"
	"errors"
	"math"
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/score"
	"stirwatch/dynamics/system"
)

// experienced is about how many rows of a run are forecast from.
const experienced = 250

// leastTaught is from how many independent windows an expert's error tells anything.
const leastTaught = 1.0

// experience tells how the experts of live forecasts do on rows held out, by output, phase and horizon, in windows without a
// change of phase: forecasts as the agent would have made them, which knows nothing of what comes.
func (p *problem) experience(ctx context.Context, m *model.Model, folds []*fold, models []*model.Model) ([]model.Experience, error) {
	phases := int(phase.Deposit) + 1
	type record struct {
		windows     float64
		square, any [filter.Experts]float64
	}
	at := func(output, horizon int, in phase.Phase) int {
		return (output*phases+int(in))*len(score.Horizons) + horizon
	}
	found := make([][]record, len(folds)) // by fold
	err := parallel(ctx, len(folds), func(i int) error {
		found[i] = make([]record, len(m.Outputs)*phases*len(score.Horizons))
		for k, r := range p.runs {
			from := slices.Index(folds[i].score[k], true)
			if from < 0 {
				continue
			}
			to := len(r.Time)
			for !folds[i].score[k][to-1] {
				to--
			}
			run, err := r.For(models[i])
			if err != nil {
				return err
			}
			var rows []score.Row
			in := make([]phase.Phase, len(run.Time))
			t := score.NewTrack(system.Compile(models[i]), run)
			every := max(1, (to-from)/experienced)
			err = t.FollowEvery(every, filter.Live, score.Horizons, from, to, func(row score.Row) {
				for i := row.Origin; i < min(to, row.Origin+every); i++ {
					in[i] = row.By.Phase
				}
				if num.Finite(row.Measured) {
					by := *row.By
					row.By = &by
					rows = append(rows, row)
				}
			})
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			last := make([]int, len(in)) // by row: the last that continues its phase
			for j := len(in) - 1; j >= 0; j-- {
				if last[j] = j; j+1 < len(in) && in[j+1] == in[j] {
					last[j] = last[j+1]
				}
			}
			span := float64(every) * num.MedianStep(run.Time)
			for _, row := range rows {
				if last[row.Origin] < row.Target {
					continue
				}
				x := &found[i][at(row.Output, slices.Index(score.Horizons, row.Horizon), in[row.Origin])]
				x.windows += min(1, span/row.Horizon)
				for e, says := range row.By.Says {
					if !math.IsNaN(says) {
						x.square[e] += (says - row.Measured) * (says - row.Measured)
						x.any[e]++
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []model.Experience
	for o := range m.Outputs {
		for in := range phases {
			for h, horizon := range score.Horizons {
				var sum record
				for i := range found {
					x := &found[i][at(o, h, phase.Phase(in))]
					sum.windows += x.windows
					for e := range sum.square {
						sum.square[e], sum.any[e] = sum.square[e]+x.square[e], sum.any[e]+x.any[e]
					}
				}
				if sum.windows < leastTaught {
					continue
				}
				x := model.Experience{Output: m.Outputs[o].Name, Phase: phase.Phase(in).String(), Horizon: horizon, Windows: sum.windows, RMSE: map[string]float64{}}
				for e, n := range sum.any {
					if n > 0 {
						x.RMSE[filter.Expert(e).String()] = math.Sqrt(sum.square[e] / n)
					}
				}
				out = append(out, x)
			}
		}
	}
	return out, nil
}
