package watch

import (
	"math"

	"stirwatch/dynamics/num"
)

// level is a mean over the rows since it began, and over no more than a memory: then older rows fade.
type level struct {
	mean float64
	n    int
}

func (l *level) take(v float64, memory int) {
	l.n = min(l.n+1, memory)
	l.mean += (v - l.mean) / float64(l.n)
}

// Watch follows rows with a [Fit]. Not for use by several goroutines at once.
type Watch struct {
	fit   *Fit
	z     []float64 // by watched channel, in robust standard deviations
	along track
	alone track
	rows  int        // since the start, or since the last long gap
	gone  []int      // by watched channel: rows missing in one piece up to now
	lack  []lacking  // and how many lately
	same  []standing // and for how many its value has been the same
	shift int        // rows that the change has been beyond its limit
	value [statistics]float64
	worst int  // the channel that Single is about
	odd   int  // the series that Spread is about: channels, then directions
	still bool // less than usual

	held            bool      // references are
	young           int       // rows since that began
	carried         []float64 // by channel: how much of what is flagged it carried as that began
	flagged, calm   int       // rows since then, and those for which its causes have been back
	settled         bool      // no reference will move before something is held
	part            []bool    // by channel: it is part of what is flagged
	before, drifted []float64 // by channel: the reference when that began, and where it has gone since

	above, below int
	flag         bool
	weighted     []float64 // by channel, for explain
	inverse      []float64 // by direction: 1/variance of the level now, and of the row
	single       []float64
}

// track is the state of the series of a space.
type track struct {
	last, fast, slow []float64 // levels
	spread, lately   []float64 // half squared steps, over the memory and over a quarter of it
	ref              []float64 // reference of the level
	old              []float64 // rows for which the reference has not followed, as many as still tell
}

func newTrack(s *space, rows int) track {
	n := len(s.ref)
	of := func() []float64 { return make([]float64, n) }
	t := track{of(), of(), of(), of(), of(), append([]float64{}, s.ref...), of()}
	for k := range t.old {
		t.old[k] = float64(rows)
	}
	return t
}

// Watch makes a watch at its beginning.
func (f *Fit) Watch() *Watch {
	p := len(f.watched)
	w := &Watch{fit: f, part: make([]bool, p), carried: make([]float64, p), before: make([]float64, p), drifted: make([]float64, p), z: make([]float64, p), gone: make([]int, p), lack: make([]lacking, p), same: make([]standing, p), weighted: make([]float64, p), inverse: make([]float64, p), single: make([]float64, p),
		along: newTrack(&f.along, f.rows), alone: newTrack(&f.alone, f.rows)}
	w.follow(0, false)
	return w
}

// Step judges a row that comes dt seconds after the last one: x has a value for each channel, NaN where it
// is missing. It does not allocate once v has been used.
func (w *Watch) Step(v *Verdict, dt float64, x []float64) {
	w.measure(dt, x)
	v.Statistic, v.Score = Row, 0
	named := 0.0
	for s, value := range w.value {
		ratio := value / w.fit.limit[s]
		v.Score = max(v.Score, ratio)
		if Statistic(s) > RowRest && ratio > 1 { // what lasts says more than the row
			ratio += lasting
			if Statistic(s) == Missing { // what is not measured explains the rest
				ratio += lasting
			}
		}
		if ratio > named {
			named, v.Statistic = ratio, Statistic(s)
		}
	}
	v.Score = math.Sqrt(v.Score)
	v.Value, v.Limit = w.value[v.Statistic], w.fit.limit[v.Statistic]
	v.Joint, v.Still = v.Statistic == Spread && w.odd >= len(w.z), v.Statistic == Spread && w.still
	v.Flag = w.lasts(v.Score)
	w.explain(v)
	w.cause(v)
	held := w.flag || !(v.Score <= 1)
	w.follow(dt, held)
}

// lasting lets what lasts come before a row's own statistics, whatever those are.
const lasting = 1e12

// clearly is the share of the limit below which a row counts towards the end of a flag.
const clearly = 0.9

// lasts raises and clears the flag from scores that last.
func (w *Watch) lasts(score float64) bool {
	if score > 1 {
		w.above++
	} else {
		w.above = 0
	}
	switch {
	case score < clearly:
		w.below++
	case score > 1: // one row alone does not hold a flag
		w.below = max(w.below-3, 0)
	}
	if !w.flag {
		w.below = 0
	}
	switch {
	case !w.flag && w.above >= w.fit.opt.On:
		w.flag = true
	case w.flag && w.below >= w.fit.opt.Off:
		w.flag = false
	}
	return w.flag
}

// shiftRows is how many rows the level must have moved beyond its limit to start anew.
const shiftRows = 2

// measure takes a row and works out the statistics.
func (w *Watch) measure(dt float64, x []float64) {
	f := w.fit
	if len(x) != f.channels {
		panic("watch: a row of another number of channels")
	}
	memory := f.opt.Memory
	if gap := dt / f.step; gap > float64(memory) { // what was is no neighbour of what is now
		w.rows = 0
	}
	w.value[Missing] = 0
	for j, c := range f.watched {
		if num.Finite(x[c]) {
			w.z[j], w.gone[j] = f.scale1(j, x[c]), 0
			w.lack[j].take(false, memory)
			w.same[j].take(x[c])
		} else {
			w.z[j] = w.alone.slow[j]
			w.gone[j]++
			w.lack[j].take(true, memory)
		}
		if w.misses(j) {
			w.value[Missing] += 2
		}
	}
	// Where the fast level has left the slow one for good, the slow one starts anew from there.
	if w.shift >= shiftRows {
		w.shift, w.rows = 0, fastRows
		copy(w.along.slow, w.along.fast)
		copy(w.alone.slow, w.alone.fast)
	}
	w.rows++
	w.along.begin(w.rows)
	w.alone.begin(w.rows)
	for k, dir := range f.v {
		t := 0.0
		for j, c := range dir {
			t += c * w.z[j]
		}
		w.along.take(k, t, w.rows, memory, f.along.step[k])
	}
	for j, z := range w.z {
		w.alone.take(j, z, w.rows, memory, f.alone.step[j])
	}

	n := min(w.rows, memory)
	w.value[Row], w.value[RowRest], w.value[Change], w.value[Level], w.value[LevelRest] = 0, 0, 0, 0, 0
	var dot [statistics]float64
	for k := range f.v {
		far := f.along.walk[k] * w.along.old[k]
		w.inverse[k] = 1 / (f.along.variance[n][k] + far)
		w.single[k] = 1 / (f.lambda[k] + far)
		row, lev := Row, Level
		if k >= f.leading {
			row, lev = RowRest, LevelRest
		}
		t, d := w.along.last[k]-w.along.ref[k], w.along.slow[k]-w.along.ref[k]
		w.value[row] += t * t * w.single[k]
		w.value[lev] += d * d * w.inverse[k]
		dot[lev] += d * (w.along.fast[k] - w.along.ref[k]) * w.inverse[k]
		b := w.along.fast[k] - w.along.slow[k]
		w.value[Change] += b * b / f.along.change[k]
	}
	for _, s := range [...]Statistic{Level, LevelRest} {
		w.value[s] *= confirmed(dot[s], w.value[s])
	}
	w.value[Single], w.value[Spread] = 0, 0
	for j := range w.z {
		d := w.alone.slow[j] - w.alone.ref[j]
		s := d * d / (f.alone.variance[n][j] + f.alone.walk[j]*w.alone.old[j])
		if s *= confirmed(d*(w.alone.fast[j]-w.alone.ref[j]), d*d); s > w.value[Single] {
			w.value[Single], w.worst = s, j
		}
	}
	if w.rows > memory {
		w.spreads(&w.alone, &f.alone, 0)
		w.spreads(&w.along, &f.along, len(w.z))
	}
	if w.value[Change] > f.limit[Change] {
		w.shift++
	} else {
		w.shift = 0
	}
}

// lacking follows which share of the rows is missing lately.
type lacking struct {
	share float64
	since int // rows since the last one that was missing
}

func (l *lacking) take(missing bool, memory int) {
	l.since++
	v := 0.0
	if missing {
		l.since, v = 0, 1
	}
	l.share += (v - l.share) / float64(memory)
}

// More is missing of a channel than in the good stretch where this many rows are within the memory beyond half as many again as there; for as
// long as the last one is not further back than a few rows.
const (
	moreMissing = 4.0
	lastMissing = 8
)

// misses reports whether watched channel j is missing for longer in one piece, or in more rows, than in the good stretch.
func (w *Watch) misses(j int) bool {
	f, l := w.fit, &w.lack[j]
	return w.gone[j] > 2*f.longest[j]+2 || l.since < lastMissing && l.share > 1.5*f.lacks[j]+moreMissing/float64(f.opt.Memory)
}

// standing follows for how many rows a value has been the same.
type standing struct {
	value float64
	rows  int
}

func (s *standing) take(v float64) {
	if v != s.value {
		s.value, s.rows = v, 0
	}
	s.rows++
}

// A channel of coarse steps stands still for rows by itself: one that did so for coarse rows at a time in the good stretch.
const (
	coarse    = 8
	restsMore = 3   // times as long as ever there: it rests no more, it is stuck
	weighs    = 0.1 // share in a direction from which that is as quiet as the channel
)

// rests reports whether series k of the channels, or of the directions, has little spread since a channel of coarse steps stands no
// longer than in the good stretch.
func (w *Watch) rests(first, k int) bool {
	rests := func(j int) bool {
		n := w.fit.stands[j]
		return n >= coarse && w.same[j].rows < restsMore*n
	}
	if first == 0 {
		return rests(k)
	}
	for j, a := range w.fit.v[k] {
		if a*a > weighs && rests(j) {
			return true
		}
	}
	return false
}

// confirmed is by how much of what the slow level says the fast one agrees: in full where it says at least
// half of it. So a flag ends soon after its cause.
func confirmed(fast, slow float64) float64 {
	if slow <= 0 {
		return 1
	}
	share := min(max(2*fast/slow, 0), 1)
	return share * share
}

// begin resets the track if rows is 1: this row is the first.
func (t *track) begin(rows int) {
	if rows == 1 {
		for k := range t.last {
			t.fast[k], t.slow[k], t.spread[k], t.lately[k] = 0, 0, 1, 1
		}
	}
}

// take moves series k on by a value.
func (t *track) take(k int, v float64, rows, memory int, step float64) {
	t.fast[k] += (v - t.fast[k]) / float64(min(rows, fastRows))
	t.slow[k] += (v - t.slow[k]) / float64(min(rows, memory))
	if rows > 1 {
		d := v - t.last[k]
		d = min(d*d/2/step, spreadMax)
		t.spread[k] += (d - t.spread[k]) / float64(memory)
		t.lately[k] += (d - t.lately[k]) / float64(max(memory/4, 1))
	}
	t.last[k] = v
}

// spreads finds the series whose spread is furthest off.
func (w *Watch) spreads(t *track, s *space, first int) {
	for k := range t.spread {
		if t.spread[k] > s.low[k] && t.spread[k] < s.high[k] {
			continue
		}
		d := (math.Log(max(t.spread[k], spreadMin)) - s.mean[k]) / s.sd[k]
		if d < 0 && w.rests(first, k) {
			continue
		}
		lately := (math.Log(max(t.lately[k], spreadMin)) - s.mean[k]) / s.sd[k]
		if s := d * d * confirmed(lately*d, d*d); s > w.value[Spread] {
			w.value[Spread], w.odd, w.still = s, first+k, d < 0
		}
	}
}

// explain splits the worst statistic over the channels, where there is something to explain. Those of several directions are split as Alcala and
// Qin 2009, Automatica 45, 1593, eq. 14 (complete decomposition): none is negative, and they add up.
func (w *Watch) explain(v *Verdict) {
	f := w.fit
	v.Part, v.Deviation = num.Resize(v.Part, f.channels), num.Resize(v.Deviation, f.channels)
	clear(v.Part)
	clear(v.Deviation)
	if v.Score <= 1 && !v.Flag {
		return
	}
	for j, c := range f.watched {
		v.Deviation[c] = w.alone.slow[j] - w.alone.ref[j]
	}
	from, to := 0, len(f.v)
	switch v.Statistic {
	case Row, Level:
		to = f.leading
	case RowRest, LevelRest:
		from = f.leading
	case Single:
		v.Part[f.watched[w.worst]] = v.Value
		return
	case Spread:
		if w.odd < len(w.z) {
			v.Part[f.watched[w.odd]] = v.Value
			return
		}
		for j, c := range f.watched {
			a := f.v[w.odd-len(w.z)][j]
			v.Part[c] = v.Value * a * a
		}
		return
	case Missing:
		for j, c := range f.watched {
			if w.misses(j) {
				v.Part[c] = 2
			}
		}
		return
	}
	clear(w.weighted)
	for k := from; k < to; k++ {
		y := 0.0
		switch v.Statistic {
		case Row, RowRest:
			y = (w.along.last[k] - w.along.ref[k]) * math.Sqrt(w.single[k])
		case Level, LevelRest:
			y = (w.along.slow[k] - w.along.ref[k]) * math.Sqrt(w.inverse[k])
		case Change:
			y = (w.along.fast[k] - w.along.slow[k]) / math.Sqrt(f.along.change[k])
		}
		for j, a := range f.v[k] {
			w.weighted[j] += a * y
		}
	}
	for j, c := range f.watched {
		v.Part[c] = w.weighted[j] * w.weighted[j]
	}
}
