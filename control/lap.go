package control

import "math"

// lap finds after how long a disturbance comes again: where the changes of what is left of the output, which slow drifts
// do not hide, are most like themselves (their autocorrelation).
type lap struct {
	every             float64
	shortest, longest int
	steps             int  // 0: nothing comes again
	fixed             bool // told beforehand
	square            float64
	like              []float64
	seen              int
}

const (
	lapMemory  = 200.0 // s
	likeEnough = 0.35  // correlation from which something counts as coming again
	likeNoMore = 0.15
	clearly    = 1.5 // by how much more like itself another period must be to be taken instead
)

func (l *lap) init(every, horizon, period float64) {
	l.every = every
	if l.fixed = period > 0; l.fixed {
		l.steps = int(math.Round(period / every))
		l.longest = l.steps
		return
	}
	l.shortest, l.longest = int(horizon/2/every), int(6*horizon/every)
	l.like = make([]float64, l.longest+1)
}

func (l *lap) forget() {
	if !l.fixed {
		l.steps, l.square, l.seen = 0, 0, 0
		clear(l.like)
	}
}

// observe looks at what is left by a factor.
func (l *lap) observe(o *outlook, factor float64) {
	if l.fixed {
		return
	}
	change := func(ago int) float64 { return o.left(factor, ago) - o.left(factor, ago+l.shortest/2) }
	now := change(0)
	l.seen++
	slow := max(l.every/lapMemory, 1/float64(l.seen))
	l.square += slow * (now*now - l.square)
	for p := l.shortest; p <= l.longest && p < o.count; p++ {
		l.like[p] += max(l.every/lapMemory, 1/float64(max(1, l.seen-p+1))) * (now*change(p) - l.like[p])
	}
	best, fell := 0, false
	for p := l.shortest + 1; p < l.longest && 2*p < l.seen; p++ {
		v := l.like[p]
		fell = fell || v < 0
		if fell && v > l.like[p-1] && v >= l.like[p+1] && (best == 0 || v > 1.1*l.like[best]) {
			best = p
		}
	}
	if l.steps > 0 && l.like[l.steps] > likeNoMore*l.square && (best == 0 || l.like[best] < clearly*l.like[l.steps]) {
		return // what is found is kept
	}
	switch {
	case best > 0 && l.like[best] > likeEnough*l.square:
		l.steps = best
	default:
		l.steps = 0
	}
}
