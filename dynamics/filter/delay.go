package filter

// delayLine keeps the drives of the last seconds, so that they act after the dead time. It holds
// at most delaySlots of them: at high rates those between are merged into the newest.
type delayLine struct {
	delay, grain float64 // s; grain is the finest spacing kept
	age          [delaySlots]float64
	d            []float64 // delaySlots × drives
	nd, n        int       // drives; entries used, entry 0 is the oldest
}

const delaySlots = 32

func (l *delayLine) init(delay float64, nd int) {
	l.delay, l.grain, l.nd, l.d = delay, delay/(delaySlots-4), nd, make([]float64, nd*delaySlots)
}

// push lets dt seconds pass and adds the drives that hold at their end. back is for how long
// before now drives will still be asked for.
func (l *delayLine) push(dt float64, d []float64, back float64) {
	for i := range l.n {
		l.age[i] += dt
	}
	drop := 0
	for drop+1 < l.n && l.age[drop+1] > l.delay+back {
		drop++
	}
	if drop > 0 {
		copy(l.age[:], l.age[drop:l.n])
		copy(l.d, l.d[drop*l.nd:l.n*l.nd])
		l.n -= drop
	}
	if l.n == delaySlots || l.n > 1 && l.age[l.n-2] < l.grain {
		l.n--
	}
	l.age[l.n] = 0
	copy(l.d[l.n*l.nd:(l.n+1)*l.nd], d)
	l.n++
}

// at gives the drives that act at an instant ahead seconds from now: those of the dead time before,
// between two entries in proportion.
func (l *delayLine) at(dst []float64, ahead float64) {
	age := l.delay - ahead
	i := l.n - 1
	for i > 0 && l.age[i] < age {
		i--
	}
	a := l.d[i*l.nd : (i+1)*l.nd]
	if i+1 >= l.n || l.age[i] <= age {
		copy(dst, a)
		return
	}
	b := l.d[(i+1)*l.nd : (i+2)*l.nd]
	w := (l.age[i] - age) / (l.age[i] - l.age[i+1])
	for k := range dst {
		dst[k] = a[k] + w*(b[k]-a[k])
	}
}
