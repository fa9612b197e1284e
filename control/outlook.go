package control

import "math"

// outlook expects what an output does by itself, whatever is commanded, from how it has moved of late, from what
// the model foretells, and from what came a lap ago; and it finds out by what factor the target does more than
// the model says. A closed loop hides that factor: commands answer disturbances. So several are tried side by
// side. For each of them what is left of the output without the commands is foretold by a regression of its own
// (recursive least squares with forgetting), and the better its forecasts come true, the more it counts:
// multiple models (Magill, IEEE Trans. Automatic Control 10, 1965), with identification in closed loop by the
// direct method (Ljung, System Identification, 1999, sec. 13.4).
type outlook struct {
	every    float64 // s between two steps
	believed float64 // factor that is expected beforehand
	ahead    [spans]int
	lags     [trends]int

	output, commanded []float64 // rings by step: what was measured, and what commands had done to it by the model
	model             [spans][]float64
	next, count       int

	excited  int     // steps for which the goal counts as just moved
	evidence float64 // steps, of late, in which it did
	of       [factors]candidate
	weight   [factors]float64
	lap      lap
}

// candidate is one factor.
type candidate struct {
	by    [spans]regression
	error [spans]float64 // sum of its squared errors of late, while the goal had just moved
}

const (
	factors = 9
	spans   = 5
	trends  = 6
	terms   = trends + 4 // a constant, the trends, the model, and two of the lap

	outlookMemory = 150.0 // s
	lessSure      = 0.5   // how much sharper an error must be for a factor to count, as a share of independent forecasts
	widest        = 0.5   // standard deviation of its logarithm
)

// candidates are the factors that are tried.
var candidates = [factors]float64{0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6}

// shares of the horizon: how far ahead is foretold, and back to where trends are taken.
var (
	spanShares  = [spans]float64{1.0 / 40, 1.0 / 20, 1.0 / 8, 0.35, 1}
	trendShares = [trends]float64{1.0 / 100, 1.0 / 40, 1.0 / 20, 1.0 / 8, 0.3, 0.8}
)

func newOutlook(every, horizon, period, factor float64) *outlook {
	o := &outlook{every: every, believed: factor}
	steps := func(share float64) int { return max(1, int(math.Round(share*horizon/every))) }
	for i, s := range spanShares {
		o.ahead[i] = steps(s)
	}
	for i, s := range trendShares {
		o.lags[i] = max(i+1, steps(s))
	}
	o.lap.init(every, horizon, period)
	n := o.lap.longest + 2*steps(1) + 2
	o.output, o.commanded = make([]float64, n), make([]float64, n)
	for i := range o.model {
		o.model[i] = make([]float64, n)
	}
	for c := range o.of {
		for i := range o.of[c].by {
			o.of[c].by[i].init()
		}
	}
	o.weigh()
	return o
}

// forget forgets what was measured; what was learned of the machine stays.
func (o *outlook) forget() {
	o.next, o.count = 0, 0
	o.lap.forget()
}

// excite tells that the goal has moved: what commands do shows now.
func (o *outlook) excite() { o.excited = o.ahead[spans-1] * 3 / 2 }

// at is the value of a ring so many steps ago, the oldest where there is none.
func (o *outlook) at(ring []float64, ago int) float64 {
	ago = min(max(ago, 0), o.count-1)
	i := o.next - 1 - ago
	if i < 0 {
		i += len(ring)
	}
	return ring[i]
}

// left is what is left so many steps ago of the output without the commands, for a factor.
func (o *outlook) left(factor float64, ago int) float64 {
	return o.at(o.output, ago) - factor*o.at(o.commanded, ago)
}

// regressors fills x for a span, as they were some steps ago.
func (o *outlook) regressors(x *[terms]float64, factor float64, span, ago int) {
	now := o.left(factor, ago)
	x[0] = 1
	for i, lag := range o.lags {
		x[1+i] = now - o.left(factor, ago+lag)
	}
	x[1+trends] = o.at(o.model[span], ago)
	x[2+trends], x[3+trends] = 0, 0
	if p := o.lap.steps; p > o.ahead[span] && o.count > ago+p {
		before := o.left(factor, ago+p)
		x[2+trends] = o.left(factor, ago+p-o.ahead[span]) - before
		x[3+trends] = before - now
	}
}

// observe takes in what was measured now, and what commands have done to it by the model. Both are kept.
func (o *outlook) observe(output, commanded float64) {
	o.output[o.next], o.commanded[o.next] = output, commanded
	o.next = (o.next + 1) % len(o.output)
	o.count = min(o.count+1, len(o.output))
	if o.count < 3 {
		return
	}
	keep := math.Exp(-o.every / outlookMemory)
	if o.excited > 0 {
		o.excited--
		o.evidence = o.evidence*keep + 1
	}
	var x [terms]float64
	for c := range o.of {
		k := candidates[c]
		for i, ahead := range o.ahead {
			if o.count <= ahead+1 {
				break
			}
			o.regressors(&x, k, i, ahead)
			off := o.of[c].by[i].learn(&x, o.left(k, 0)-o.left(k, ahead), keep)
			if e := &o.of[c].error[i]; o.excited > 0 {
				*e = *e*keep + min(off*off, mostOff*mostOff)
			}
		}
	}
	o.weigh()
	best := 0
	for c, w := range o.weight {
		if w > o.weight[best] {
			best = c
		}
	}
	o.lap.observe(o, candidates[best])
}

// mostOff is how much a forecast may fail by before it counts as no more, in units of the output.
const mostOff = 50.0

// weigh weighs the factors by how well their forecasts have come true.
func (o *outlook) weigh() {
	var score [factors]float64
	best := math.Inf(-1)
	for c := range score {
		l := math.Log(candidates[c]/o.believed) / widest
		score[c] = -l * l / 2
		for _, i := range [...]int{2, 3} {
			least := math.Inf(1)
			for d := range o.of {
				least = min(least, o.of[d].error[i])
			}
			if least > 0 {
				independent := lessSure * o.evidence / float64(o.ahead[i])
				score[c] -= independent / 2 * math.Log(o.of[c].error[i]/least)
			}
		}
		best = max(best, score[c])
	}
	sum := 0.0
	for c := range score {
		o.weight[c] = math.Exp(score[c] - best)
		sum += o.weight[c]
	}
	for c := range o.weight {
		o.weight[c] /= sum
	}
}

// factor is by how much the target does more than the model says.
func (o *outlook) factor() (f float64) {
	for c, w := range o.weight {
		f += w * math.Log(candidates[c])
	}
	return math.Exp(f)
}

// expect fills y with the output expected at horizons (s) if the target stays where it is. model is the change that
// the model foretells beside what commands do; it is kept to be held against what comes.
func (o *outlook) expect(y, horizons []float64, model func(ahead float64) float64, e *effect) {
	last := o.next - 1
	if last < 0 {
		last += len(o.output)
	}
	for i, ahead := range o.ahead {
		o.model[i][last] = model(float64(ahead) * o.every)
	}
	clear(y)
	var x [terms]float64
	for c, w := range o.weight {
		if w < 1e-3 {
			continue
		}
		k := candidates[c]
		var change [spans + 1]float64
		for i := range o.ahead {
			o.regressors(&x, k, i, 0)
			change[i+1] = o.of[c].by[i].expect(&x)
		}
		now := o.at(o.output, 0)
		for j, h := range horizons {
			y[j] += w * (now + o.between(&change, h) + k*(along(e.still, h/e.grid)-e.still[0]))
		}
	}
}

// between is the change at h s, on straight lines between the spans.
func (o *outlook) between(change *[spans + 1]float64, h float64) float64 {
	from := 0.0
	for i, ahead := range o.ahead {
		to := float64(ahead) * o.every
		if h <= to && to > from {
			return change[i] + (change[i+1]-change[i])*(h-from)/(to-from)
		}
		from = to
	}
	return change[spans]
}

// regression is a linear one, learned recursively (Ljung, System Identification, 1999, eq. 11.16).
type regression struct {
	theta        [terms]float64
	p            [terms][terms]float64
	scale        float64        // mean square of what is foretold
	square, seen float64        // mean square of what it failed by, and how often it was seen
	usual        [terms]float64 // mean square of each regressor
}

const (
	hardest = 3.0 // root mean squares by which a forecast may fail before it counts as no worse
	settled = 50  // steps before that is known
)

// unsure is the variance of a coefficient before anything is known, in variances of what is foretold over those
// of a regressor of that size.
const unsure = 0.2

// believed is how much of what the model foretells is believed beforehand.
const believed = 0.5

// init knows nothing but the model.
func (r *regression) init() {
	*r = regression{}
	r.theta[1+trends] = believed
	for i := range r.p {
		r.p[i][i] = unsure
	}
}

// strange is by how many root mean squares a trend is beyond what the regression has learned on from which it says
// nothing: a reload, a new start.
const strange = 6.0

// odd tells whether the regression knows nothing like x.
func (r *regression) odd(x *[terms]float64) bool {
	if r.seen < settled {
		return false
	}
	for i := 1; i <= trends; i++ {
		if x[i]*x[i] > strange*strange*r.usual[i] {
			return true
		}
	}
	return false
}

// expect is what the regression foretells, and what the model does where the regression knows nothing like x.
func (r *regression) expect(x *[terms]float64) float64 {
	if r.odd(x) {
		return x[1+trends]
	}
	return r.value(x)
}

func (r *regression) value(x *[terms]float64) (v float64) {
	for i, t := range r.theta {
		v += t * x[i]
	}
	return v
}

// learn takes in what came, and gives by how much it was foretold wrongly.
func (r *regression) learn(x *[terms]float64, came, keep float64) (off float64) {
	off = came - r.value(x)
	if math.Abs(off) > mostOff || r.odd(x) {
		return off
	}
	taken := off
	if r.seen++; r.seen > settled {
		limit := hardest * math.Sqrt(r.square)
		taken = min(max(off, -limit), limit)
	}
	for i, v := range x {
		r.usual[i] += max(1-keep, 1/r.seen) * (v*v - r.usual[i])
	}
	r.square += max(1-keep, 1/r.seen) * (taken*taken - r.square)
	if r.scale == 0 {
		r.scale = came * came
	}
	r.scale += (1 - keep) * (came*came - r.scale)
	unit := max(r.scale, 1e-6)
	var px [terms]float64
	sum, trace := unit*keep, 0.0
	for i := range x {
		for j := range x {
			px[i] += r.p[i][j] * x[j]
		}
		sum += px[i] * x[i]
		trace += r.p[i][i]
	}
	grow := 1.0
	if trace < terms*unsure {
		grow = 1 / keep
	}
	for i := range x {
		r.theta[i] += px[i] / sum * taken
		for j := range i + 1 { // symmetric in spite of rounding
			v := (r.p[i][j] - px[i]*px[j]/sum) * grow
			r.p[i][j], r.p[j][i] = v, v
		}
	}
	return off
}
