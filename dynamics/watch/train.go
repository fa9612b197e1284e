package watch

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/num"
)

const (
	fewest    = 20   // good rows without which nothing can be said
	clip      = 5.0  // robust standard deviations beyond which a value counts no more for the covariance
	furthest  = 100. // and beyond which it counts no more at all
	explained = 0.9  // share of the variance that the leading directions have
	fastRows  = 4    // the fast level is averaged over
	spreadMin = 1e-3 // of the spread, so that its logarithm is finite
	spreadMax = 9.0  // half squared steps beyond count as this, so that one jump is no burst
	spreadSD  = 1.2  // standard deviation of the logarithm of a spread over one row of normal data, about
	finest    = 0.05 // share of a standard deviation: what a level is never known better than
)

// Train learns from good rows: at (s, rising) and by channel one value a row, NaN where it is missing. It
// fails where there are too few rows or no channel that moves. Up to a tenth of the rows may be outliers.
func Train(at []float64, channels [][]float64, opt Options) (*Fit, error) {
	n := len(at)
	opt.defaults(n)
	opt.check()
	for _, c := range channels {
		if len(c) != n {
			panic("watch: channels of different length")
		}
	}
	if n < fewest {
		return nil, fmt.Errorf("%d rows are too few to train on: give at least %d", n, fewest)
	}
	f := &Fit{opt: opt, step: num.MedianStep(at), channels: len(channels), rows: n}
	f.choose(channels)
	if len(f.watched) == 0 {
		return nil, errors.New("no channel moves in the rows to train on: give a stretch in which the process runs")
	}
	z := f.scaled(channels)
	use := f.rotate(z)
	t := f.turned(z)
	follow := 0.0
	if opt.Adapt > 0 {
		follow = min(f.step/opt.Adapt, 1)
	}
	f.along = learnSpace(t, opt.Memory, follow)
	f.alone = learnSpace(z, opt.Memory, follow)
	f.walks = slices.Max(f.alone.gain) > 0
	f.setLimits(at, channels, use)
	return f, nil
}

// choose finds the channels that can be watched, with center and scale.
func (f *Fit) choose(channels [][]float64) {
	for c, x := range channels {
		var values []float64
		longest, run := 0, 0
		var still standing
		stands := 0
		var lack, most lacking
		for _, v := range x {
			there := num.Finite(v)
			lack.take(!there, f.opt.Memory)
			most.share = max(most.share, lack.share)
			if there {
				values = append(values, v)
				run = 0
				still.take(v)
				stands = max(stands, still.rows)
				continue
			}
			run++
			longest = max(longest, run)
		}
		why := ""
		center, scale := 0.0, 0.0
		if len(values) < max(fewest/2, len(x)/4) {
			why = fmt.Sprintf("it has values in %d of the %d rows to train on", len(values), len(x))
		} else if center, scale = location(values); scale <= 1e-12*math.Abs(center) {
			why = "it does not move in the rows to train on"
		} else if counts(values) {
			why = "it only counts rows"
		}
		if why != "" {
			f.unwatched = append(f.unwatched, Unwatched{c, why})
			continue
		}
		f.watched = append(f.watched, c)
		f.center, f.scale = append(f.center, center), append(f.scale, scale)
		f.longest, f.lacks, f.stands = append(f.longest, longest), append(f.lacks, most.share), append(f.stands, stands)
	}
}

// counts reports whether values grow by the same amount with every row.
func counts(v []float64) bool {
	step := v[1] - v[0]
	if step == 0 {
		return false
	}
	for i := 2; i < len(v); i++ {
		if math.Abs(v[i]-v[i-1]-step) > 1e-6*math.Abs(step) {
			return false
		}
	}
	return true
}

// scaled gives the watched channels in robust standard deviations; what is missing stays as it was.
func (f *Fit) scaled(channels [][]float64) [][]float64 {
	z := num.Zeros(len(f.watched), f.rows)
	for j, c := range f.watched {
		last := 0.0
		for i, v := range channels[c] {
			if num.Finite(v) {
				last = f.scale1(j, v)
			}
			z[j][i] = last
		}
	}
	return z
}

// scale1 is a value of watched channel j in robust standard deviations.
func (f *Fit) scale1(j int, v float64) float64 {
	return min(max((v-f.center[j])/f.scale[j], -furthest), furthest)
}

// rotate finds the directions. Rows that are far out once they are known are set aside, and it is done
// again without them. It tells which rows were used.
func (f *Fit) rotate(z [][]float64) []bool {
	p := len(z)
	clipped := num.Zeros(p, f.rows)
	for j := range z {
		for i, v := range z[j] {
			clipped[j][i] = min(max(v, -clip), clip)
		}
	}
	use := make([]bool, f.rows)
	for i := range use {
		use[i] = true
	}
	f.v, f.lambda = principal(covariance(clipped, use))
	d2 := make([]float64, f.rows)
	for k, t := range f.turned(z) {
		for i, v := range t {
			d2[i] += v * v / f.lambda[k]
		}
	}
	typical := median(append([]float64{}, d2...)) / chi2(p, 0.5)
	far := chi2(p, 0.001) * max(typical, 0.1) * 1.5
	sorted := append([]float64{}, d2...)
	far = max(far, quantile(sorted, 0.9)) // a tenth at most
	for i, d := range d2 {
		if use[i] = d <= far; !use[i] {
			f.aside++
		}
	}
	f.v, f.lambda = principal(covariance(clipped, use))
	total, sum := 0.0, 0.0
	for _, l := range f.lambda {
		total += l
	}
	for _, l := range f.lambda {
		f.leading++
		if sum += l; sum >= explained*total {
			break
		}
	}
	return use
}

// turned gives the series of the directions.
func (f *Fit) turned(z [][]float64) [][]float64 {
	t := num.Zeros(len(f.v), f.rows)
	for k, dir := range f.v {
		for j, w := range dir {
			for i, v := range z[j] {
				t[k][i] += w * v
			}
		}
	}
	return t
}

// learnSpace learns what is known of each series; references follow by at least the share follow with each row.
func learnSpace(series [][]float64, memory int, follow float64) space {
	s := space{variance: num.Zeros(memory+1, len(series))}
	for k, x := range series {
		ref, variance, walks, gain := wander(x, memory)
		_, sd := location(x)
		floor := finest * finest * max(sd*sd, 1e-9)
		s.ref, s.walk = append(s.ref, ref), append(s.walk, walks)
		s.gain = append(s.gain, max(gain, follow))
		for m, v := range variance {
			s.variance[m][k] = v + floor
		}

		var slow, fast level
		var band, half []float64
		for i, v := range x {
			slow.take(v, memory)
			fast.take(v, fastRows)
			if i >= memory {
				band = append(band, fast.mean-slow.mean)
			}
			if i > 0 {
				d := v - x[i-1]
				half = append(half, d*d/2)
			}
		}
		_, b := location(band)
		s.change = append(s.change, b*b+floor)

		mean := 0.0
		for _, h := range half {
			mean += h / float64(len(half))
		}
		typical := median(append([]float64{}, half...)) / 0.4549
		if typical <= 0 {
			typical = mean
		}
		clippedMean := 0.0 // of what is beyond the bulk only so much
		for _, h := range half {
			clippedMean += min(h, spreadMax*max(typical, mean/4)) / float64(len(half))
		}
		clippedMean = max(clippedMean, 1e-6*floor)
		s.step = append(s.step, clippedMean)
		var spread level
		var logs []float64
		for i, h := range half {
			spread.take(min(h/clippedMean, spreadMax), memory)
			if i >= memory {
				logs = append(logs, math.Log(max(spread.mean, spreadMin)))
			}
		}
		center, scale := location(logs)
		scale = max(scale, spreadSD/math.Sqrt(float64(memory)))
		s.mean, s.sd = append(s.mean, center), append(s.sd, scale)
		s.low, s.high = append(s.low, math.Exp(center-scale)), append(s.high, math.Exp(center+scale))
	}
	return s
}

// setLimits runs the watch over the good rows and takes the tails of its statistics.
func (f *Fit) setLimits(at []float64, channels [][]float64, use []bool) {
	alpha := f.opt.FalseAlarms / float64(Missing) // shared by the statistics
	p := len(f.watched)
	// A level is known from few independent rows of the good stretch: its variance has as few degrees of
	// freedom, and theory's limit is wider by that much.
	nu := max(float64(f.rows)/float64(max(f.rows/6, 1)), 4)
	few := nu / (nu - 2)
	f.limit = [statistics]float64{
		Row: chi2(f.leading, alpha), RowRest: chi2(p-f.leading, alpha), Change: chi2(p, alpha),
		Level: few * chi2(f.leading, alpha), LevelRest: few * chi2(p-f.leading, alpha),
		Single: few * chi2(1, alpha/float64(p)), Spread: chi2(1, alpha/float64(2*p)), Missing: 1,
	}
	theory := f.limit
	// How far levels are from references that follow them is told by the stretch itself, by direction.
	far := make([]float64, p)
	rows := 0.0
	f.replay(at, channels, use, func(w *Watch) {
		rows++
		for k := range far {
			d := w.along.slow[k] - w.along.ref[k]
			far[k] += d * d * w.inverse[k]
		}
	})
	for k := range far {
		if more := far[k] / max(rows, 1); more > 1 {
			for m := range f.along.variance {
				f.along.variance[m][k] *= more
			}
			f.along.walk[k] *= more
		}
	}
	// Where the level starts anew depends on the limit of the change: that one is found first.
	for _, pass := range [][]Statistic{{Change}, {Row, RowRest, Level, LevelRest, Single, Spread}} {
		var traces [statistics][]float64
		f.replay(at, channels, use, func(w *Watch) {
			for _, s := range pass {
				traces[s] = append(traces[s], w.value[s])
			}
		})
		for _, s := range pass {
			f.limit[s] = max(theory[s], tail(traces[s], alpha))
		}
	}
}

// replay runs a watch over the good rows and calls each for those that count, once it is warm.
func (f *Fit) replay(at []float64, channels [][]float64, use []bool, each func(w *Watch)) {
	w := f.Watch()
	row := make([]float64, f.channels)
	for i := range at {
		for c := range row {
			row[c] = channels[c][i]
		}
		dt := f.step
		if i > 0 {
			dt = at[i] - at[i-1]
		}
		w.measure(dt, row)
		if i >= f.opt.Memory && use[i] {
			each(w)
		}
		w.follow(dt, false)
	}
}
