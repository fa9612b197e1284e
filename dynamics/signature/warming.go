package signature

import "math"

// What tells that a bearing warms by itself.
const (
	warmEvery   = 10.0  // s between the instants at which the balance of heat is judged
	warmOver    = 6     // of them, over which what it cannot explain adds up
	warmAfter   = 12    // of them before anything is known
	warmRise    = 0.2   // °C that are unexplained
	warmSteps   = 2.1   // steps of the reading that are
	warmSame    = 0.25  // share of the speed by which it may move between two of them
	warmStays   = 45.0  // of them, in which a rise that stays becomes usual
	warmWidth   = 3.5   // times what was unexplained before, in the root mean square
	warmSwing   = 0.5   // by how much of itself the limit rises where the tool has swung by 400 °C: lags of the shank are not quite right
	warmKnown   = 1e-2  // of the weights, beforehand: variance over that of a reading
	sameReading = 1e-9  // °C
	warmStands  = 5.0   // s, and readings, after which one that stands is at one of its steps
	shankLag    = 60.0  // s by which the shank follows the tool
	shankLater  = 240.0 // s
)

const drivers = 5 // of the bearing's temperature

// warming follows what warms a bearing: its rise within warmEvery seconds is a sum of what the spindle's speed, the tool's heat (through the
// shank, so late) and its own temperature (through the coolant) do, with weights found by recursive least squares
// (Young 2011, Recursive Estimation and Time-Series Analysis, eq. 3.17) while nothing is wrong. Coolant that is missing leaves a
// rise that they do not explain.
type warming struct {
	begun               bool
	since, first, last  float64          // s since the last instant; °C
	grid                grid             // of the reading
	slowest, fastest    float64          // rpm, since the last instant
	early, late         float64          // °C: the tool's temperature as the shank has it
	driven, sum         [drivers]float64 // what drives it at the last frame, and since the last instant (·s)
	of                  float64
	weight              [drivers]float64
	p                   [drivers][drivers]float64
	rest                [warmOver]float64 // °C: what was not explained
	n                   int
	meanSquare, squares float64 // °C²: of the sums of rest; how many
	rise, limit         float64 // °C
	swing               float64 // how far the two lags of the shank have been apart of late, in 400 °C
	usual               float64 // °C: of the rise, for minutes: weights that are not quite right, and no longer learned
	blind               float64 // s for which nothing is judged yet
}

// follow takes a frame, fresh where the bearing's reading is new; the score is what is not explained over its limit.
func (w *warming) follow(dt, bearing float64, fresh bool, speed, tool float64) (score float64) {
	if math.IsNaN(bearing) || math.IsNaN(speed) || math.IsNaN(tool) {
		w.blind = 2 * shankLag
		return 0
	}
	if !w.begun {
		*w = warming{begun: true, first: bearing, last: bearing, grid: newGrid(), early: tool, late: tool, slowest: speed, fastest: speed}
		for k := range w.p {
			w.p[k][k] = 1 / warmKnown
		}
	}
	if w.blind > 0 { // nobody knows what the shank has taken up meanwhile
		w.blind -= dt
		w.last, w.since, w.of, w.sum = bearing, 0, 0, [drivers]float64{}
		w.slowest, w.fastest = speed, speed
		w.rest, w.rise = [warmOver]float64{}, 0
	}
	w.early += (tool - w.early) * min(dt/shankLag, 1)
	w.late += (tool - w.late) * min(dt/shankLater, 1)
	x := [drivers]float64{1, speed / 400, w.early / 400, w.late / 400, (bearing - w.first) / 10}
	if w.driven[0] == 0 || w.blind > 0 {
		w.driven = x
	}
	for k := range x {
		w.sum[k] += (w.driven[k] + x[k]) / 2 * dt // it has moved from one to the other since the last frame
	}
	w.driven = x
	w.slowest, w.fastest = min(w.slowest, speed), max(w.fastest, speed)
	w.of += dt
	if w.grid.age += dt; fresh {
		w.grid.follow(bearing)
	}
	if w.since += dt; w.since < warmEvery {
		return w.score()
	}
	for k := range x {
		x[k] = w.sum[k] / w.of * w.since / warmEvery
	}
	d := bearing - w.last
	if w.fastest-w.slowest <= warmSame*w.fastest { // else neither speed nor lags are as even as the balance takes them
		w.take(x, d)
	}
	w.slowest, w.fastest = speed, speed
	w.last, w.since, w.of, w.sum = bearing, 0, 0, [drivers]float64{}
	return w.score()
}

// take judges a rise, and learns from it where it is explained.
func (w *warming) take(x [drivers]float64, rise float64) {
	gain, s := [drivers]float64{}, 1.0
	expected := 0.0
	for k := range x {
		for j := range x {
			gain[k] += w.p[k][j] * x[j]
		}
		s += gain[k] * x[k]
		expected += w.weight[k] * x[k]
	}
	left := rise - expected
	w.rest[w.n%warmOver] = left / math.Sqrt(s) // what is hardly known is not held against it
	w.n++
	w.swing = max(w.swing*(1-1.0/warmOver), math.Abs(x[2]-x[3]))
	w.rise = 0
	for _, r := range w.rest {
		w.rise += r
	}
	w.limit = math.Inf(1)
	if w.n > warmAfter {
		w.limit = max(warmRise, warmWidth*math.Sqrt(w.meanSquare), warmSteps*w.grid.size())
		if w.grid.size() < warmRise { // what a coarse reading hides is more
			w.limit *= 1 + warmSwing*w.swing
		}
	}
	w.usual += (min(w.rise, w.limit) - w.usual) / warmStays
	if w.rise > 0.6*w.limit {
		return
	}
	if w.n > warmOver {
		w.squares++
		w.meanSquare += (w.rise*w.rise - w.meanSquare) / min(w.squares, 30)
	}
	for k := range x {
		w.weight[k] += gain[k] / s * left
		for j := range x {
			w.p[k][j] -= gain[k] * gain[j] / s
		}
	}
}

// grid finds how coarse a reading is by the values at which it stands. Between two of them a logger that averages may show any.
type grid struct {
	age          float64 // s since the last reading
	value, stood float64 // °C, and s that it has stood,
	times        float64 // in as many readings
	level        float64 // °C: where it last stood
	leap         float64 // °C: the largest change from reading to reading since it left there
	step         float64 // °C between two levels, the smallest
}

func newGrid() grid { return grid{value: math.NaN(), level: math.NaN(), step: math.Inf(1)} }

// follow takes the reading that has come age seconds after the last one.
func (g *grid) follow(v float64) {
	if math.Abs(v-g.value) <= sameReading {
		g.stood, g.times = g.stood+g.age, g.times+1
	} else {
		g.stood, g.times = 0, 1
		if change := math.Abs(v - g.value); change > g.leap {
			g.leap = change
		}
	}
	g.value, g.age = v, 0
	if min(g.stood, g.times) < warmStands {
		return
	}
	if d := math.Abs(v - g.level); d > sameReading {
		g.step = min(g.step, d)
	}
	g.level, g.leap = v, 0
}

// size is the step of the reading, °C. Before it has stood at two values it is taken for what may be one.
func (g *grid) size() float64 {
	if !math.IsInf(g.step, 1) {
		return g.step
	}
	return g.leap
}

func (w *warming) score() float64 {
	if w.limit == 0 {
		return 0
	}
	return max((w.rise-max(w.usual, 0))/w.limit, 0)
}

// coolant scores what of the bearing's warming nothing explains but missing coolant, while the metal is fed.
func (f *Follower) coolant(dt float64, x *Frame) {
	v := &x.Value
	score := f.bearing.follow(dt, v[Bearing], x.Fresh[Bearing], math.Abs(v[Speed]), v[Temperature])
	if f.fed >= settled {
		f.set(Coolant, score, weight{Bearing, 1})
	}
}
