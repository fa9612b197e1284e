package learn

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/score"
	"stirwatch/dynamics/system"
)

// miss is an error of a forecast of a row held out.
type miss struct {
	ratio float64 // error over the filter's half-width
	half  float64 // of the filter's own interval
	nis   float64
	span  float64 // s that it stands for
}

// ready makes of folds models that can forecast in every way that m can; what they need that m has found of all runs (ranges,
// controllers of actuators) is that of m.
func (p *problem) ready(ctx context.Context, m *model.Model, folds []*fold) ([]*model.Model, error) {
	models := make([]*model.Model, len(folds))
	err := parallel(ctx, len(folds), func(i int) (err error) {
		c := copyOf(folds[i].m)
		c.Inputs, c.Outputs, c.Controllers = m.Inputs, m.Outputs, m.Controllers
		if m.Plan != nil {
			c.Plan, err = p.planFrom(c, folds[i].learn)
		}
		models[i] = c
		return err
	})
	return models, err
}

// calibrate finds by how much the intervals of each output, way and horizon must be widened, and how far they
// must follow the smoothed normalised innovation squared (NIS), so that they hold 95 % of the rows held
// out and are as narrow as can be.
func (p *problem) calibrate(ctx context.Context, m *model.Model, folds []*fold, models []*model.Model) ([]model.Interval95, error) {
	ways := ways(m)
	outputs := len(m.Outputs)
	misses := make([][][]miss, len(folds)*len(ways)) // by fold and way, and output and horizon
	err := parallel(ctx, len(misses), func(i int) error {
		misses[i] = make([][]miss, outputs*len(score.Horizons))
		h, m, w := folds[i/len(ways)], models[i/len(ways)], ways[i%len(ways)]
		if w == filter.Planned && !m.Planned() {
			return nil
		}
		for k, r := range p.runs {
			if !slices.Contains(h.score[k], true) {
				continue
			}
			run, err := r.For(m)
			if err != nil {
				return err
			}
			t := score.NewTrack(system.Compile(m), run)
			origins := 0
			for i := range run.Time {
				if t.Scored(i) {
					origins++
				}
			}
			stride := max(1, origins/calibrated)
			span := float64(stride) * num.MedianStep(run.Time)
			err = score.ForecastTrack(t, w, score.Horizons, 0, len(run.Time), stride, h.score[k], true, func(row score.Row) {
				z := row.Measured
				half := row.Upper - row.Forecast
				if !h.score[k][row.Target] || !num.Finite(z, row.Forecast, half) || half <= 0 {
					return
				}
				at := row.Output*len(score.Horizons) + slices.Index(score.Horizons, row.Horizon)
				misses[i][at] = append(misses[i][at], miss{(z - row.Forecast) / half, half, row.NIS, span})
			})
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	last := score.Horizons[len(score.Horizons)-1]
	var out []model.Interval95
	for k := range outputs * len(score.Horizons) {
		at := score.Horizons[k%len(score.Horizons)]
		sides := func(w filter.Way) model.SideScale {
			var all []miss
			for i := range misses {
				if ways[i%len(ways)] == w {
					all = append(all, misses[i][k]...)
				}
			}
			if len(all) < leastMisses {
				return model.SideScale{Lower: 1, Upper: 1}
			}
			inside := 0.95
			if w != filter.Held {
				spans := 0.0
				for _, m := range all {
					spans += m.span / at
				}
				inside = conformal(inside, spans)
			}
			if w == filter.Planned {
				inside = min(inside, mostInside)
			}
			return widen(all, inside, maxShare*(1-math.Log(at)/math.Log(last)))
		}
		out = append(out, model.Interval95{Output: m.Outputs[k/len(score.Horizons)].Name, Horizon: at,
			Known: sides(filter.Known), Held: sides(filter.Held), Plan: sides(filter.Planned)})
	}
	return out, nil
}

// calibrated is from how many rows of a run forecasts are made to calibrate on: those of neighbouring rows err alike.
const calibrated = 400

// mostInside is the share of its misses that the interval of a plan holds at most: those beyond are single events.
const mostInside = 0.975

// leastMisses is how many are needed to calibrate an interval on.
const leastMisses = 20

// conformal is the share of the misses that an interval must hold so that the next one is inside with
// probability inside: forecasts that overlap err alike, and of few independent ones the next may well be worse
// than all but the worst (split conformal prediction: Vovk, Gammerman and Shafer, Algorithmic Learning in a
// Random World, 2005). spans is the length of the misses in horizons, of which each is new. It is not for inputs that are
// held: what those miss by most are single events, and the worst of them says little of the next.
func conformal(inside, spans float64) float64 {
	return min(1, inside*(spans+1)/spans)
}

// maxShare is the power of the NIS that an interval may follow at the first horizon; at the last it must not
// follow: what happens within seconds says nothing of a minute ahead.
const maxShare = 0.75

// widen gives the factors with which the share inside of the misses is inside, and the least power of the
// NIS, most at the most, with which the intervals score nearly best (interval score: Gneiting and Raftery, J. Am. Stat.
// Assoc. 102, 2007, eq. 43).
func widen(misses []miss, inside, most float64) (best model.SideScale) {
	const worth = 0.02 // share of the score that a higher power must gain
	least := math.Inf(1)
	scaled := slices.Clone(misses)
	for share := 0.0; share <= most; share += 0.25 {
		for i, m := range misses {
			grow := math.Pow(m.nis, share/2)
			scaled[i].ratio, scaled[i].half = m.ratio/grow, m.half*grow
		}
		slices.SortFunc(scaled, func(a, b miss) int { return cmp.Compare(a.ratio, b.ratio) })
		side := model.SideScale{NIS: share}
		side.Lower, side.Upper = shortest(scaled, inside)
		score := 0.0
		for _, m := range scaled {
			beyond := max(0, -m.ratio-side.Lower, m.ratio-side.Upper)
			score += m.half * (side.Lower + side.Upper + 2/0.05*beyond)
		}
		if score < least*(1-worth) {
			best, least = side, score
		}
	}
	return best
}

// shortest gives the sides of the shortest interval about zero that holds the share inside of the misses,
// which are in order.
func shortest(misses []miss, inside float64) (lower, upper float64) {
	const leastSide = 0.1
	n := len(misses)
	hold := min(n, int(math.Ceil(inside*float64(n))))
	width := math.Inf(1)
	for i := 0; i+hold <= n; i++ {
		lo, hi := max(leastSide, -misses[i].ratio), max(leastSide, misses[i+hold-1].ratio)
		if lo+hi < width {
			lower, upper, width = lo, hi, lo+hi
		}
	}
	return lower, upper
}
