package learn

import (
	"cmp"
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
}

// calibrateIntervals finds by how much the intervals of each way and horizon must be widened, and how far they must
// follow the filter's surprise, so that they hold 95 % of the rows held out and are as narrow as can be.
func (l *learner) calibrateIntervals() error {
	ways := l.ways()
	misses := make([][][]miss, len(l.folds)*len(ways)) // by fold and way, and horizon
	if l.m.Plan != nil {
		if err := l.parallel(len(l.folds), func(i int) error { return l.plan(l.folds[i].m, l.folds[i].learn) }); err != nil {
			return err
		}
	}
	err := l.parallel(len(misses), func(i int) error {
		misses[i] = make([][]miss, len(score.Horizons))
		h, w := l.folds[i/len(ways)], ways[i%len(ways)]
		if w == filter.Planned && h.m.Plan == nil {
			return nil
		}
		for k, r := range l.runs {
			if !slices.Contains(h.score[k], true) {
				continue
			}
			m := *h.m
			m.Intervals = nil
			run, err := r.For(&m)
			if err != nil {
				return err
			}
			err = score.ForecastTrack(score.NewTrack(system.Compile(&m), run), w, score.Horizons, 0, len(run.Time), 1, true, func(row score.Row) {
				z := run.Z[0][row.Target]
				half := row.Upper - row.Forecast
				if !h.score[k][row.Target] || !num.Finite(z, row.Forecast, half) || half <= 0 {
					return
				}
				at := slices.Index(score.Horizons, row.Horizon)
				misses[i][at] = append(misses[i][at], miss{(z - row.Forecast) / half, half, row.NIS})
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	step := num.MedianStep(l.runs[0].Time)
	for k, at := range score.Horizons {
		sides := func(w filter.Way) model.SideScale {
			var all []miss
			for i := range misses {
				if ways[i%len(ways)] == w {
					all = append(all, misses[i][k]...)
				}
			}
			if len(all) < 20 {
				return model.SideScale{Lower: 1, Upper: 1}
			}
			// Forecasts that overlap err alike: so many independent ones stand behind a quantile, and of
			// few the next may well be worse than all but the worst (split conformal prediction: Vovk,
			// Gammerman and Shafer 2005). What a forecast that is not told the inputs misses by most are
			// single events, and the worst of them says little of the next: there the plain quantile.
			inside := 0.95
			if w == filter.Known {
				windows := 2 * float64(len(all)) * step / at // half of a window is new
				inside = min(1, inside*(windows+1)/windows)
			}
			return widen(all, inside, maxShare*(1-math.Log(at)/math.Log(score.Horizons[len(score.Horizons)-1])))
		}
		l.m.Intervals = append(l.m.Intervals, model.Interval95{Horizon: at, Known: sides(filter.Known), Held: sides(filter.Held), Plan: sides(filter.Planned)})
	}
	return nil
}

// maxShare is how far an interval may follow the surprise at the first horizon; at the last it must not: what
// happens within seconds says nothing of a minute ahead.
const maxShare = 0.75

// widen gives the factors with which the share inside of the misses is inside, and the least surprise, most
// at the most, with which the intervals score nearly best (interval score: Gneiting and Raftery, J. Am. Stat.
// Assoc. 102, 2007, eq. 43).
func widen(misses []miss, inside, most float64) (best model.SideScale) {
	const worth = 0.02 // share of the score that more surprise must gain
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
