package control

import "math"

// Residual learns what a model foretells wrongly again and again: on average, and with a period and its first
// harmonic, as a lap of the path disturbs a build. For each of a few horizons it holds what was foretold
// against what came, by a stochastic gradient (Widrow and Hoff, least mean squares), and tells what is to be
// added to what is foretold now.
type Residual struct {
	every, period float64
	horizons      [residuals]float64
	theta         [residuals][waves]float64
	told          []float64 // ring of what was foretold, by step and horizon
	made          []float64 // when, s
	next          int
	now           float64 // s
}

const (
	residuals    = 3    // horizons that are learned from
	waves        = 5    // a constant, and cosine and sine of the period and of half of it
	offsetMemory = 40.0 // s by which the constant is learned
	waveMemory   = 3.0  // periods by which the waves are
	mostOff      = 50.0 // a residual beyond it is a fault, not something to learn
)

// NewResidual makes one for steps every so many s.
func NewResidual(every, horizon, period float64) *Residual {
	r := &Residual{every: every, period: period}
	for i, share := range [residuals]float64{0.1, 0.4, 1} {
		r.horizons[i] = max(every, math.Round(share*horizon/every)*every)
	}
	n := int(math.Ceil(r.horizons[residuals-1]/every)) + 2
	r.told, r.made = make([]float64, n*residuals), make([]float64, n)
	r.Forget()
	return r
}

// Forget forgets all.
func (r *Residual) Forget() {
	r.theta = [residuals][waves]float64{}
	for i := range r.made {
		r.made[i] = math.NaN()
	}
}

// basis is the waves at an instant.
func (r *Residual) basis(t float64) (b [waves]float64) {
	b[0] = 1
	if r.period > 0 {
		w := 2 * math.Pi * t / r.period
		b[1], b[2] = math.Cos(w), math.Sin(w)
		b[3], b[4] = math.Cos(2*w), math.Sin(2*w)
	}
	return b
}

// Observe lets dt pass and takes in what came, NaN: nothing.
func (r *Residual) Observe(dt, output float64) {
	r.now += dt
	if math.IsNaN(output) {
		return
	}
	b := r.basis(r.now)
	for i, h := range r.horizons {
		best := -1
		for k, made := range r.made {
			if off := math.Abs(r.now - made - h); off < 0.51*r.every && (best < 0 || off < math.Abs(r.now-r.made[best]-h)) {
				best = k
			}
		}
		if best < 0 {
			continue
		}
		off := output - r.told[best*residuals+i]
		if math.IsNaN(off) || math.Abs(off) > mostOff {
			continue
		}
		theta := &r.theta[i]
		for w := range waves {
			off -= theta[w] * b[w]
		}
		theta[0] += min(0.5, dt/offsetMemory) * off
		if r.period > 0 {
			for w := 1; w < waves; w++ {
				theta[w] += min(0.5, 2*dt/(waveMemory*r.period)) * off * b[w]
			}
		}
	}
}

// Foretold notes what the model foretells now, without what is added.
func (r *Residual) Foretold(horizons, y []float64) {
	r.made[r.next] = r.now
	for i, h := range r.horizons {
		r.told[r.next*residuals+i] = between(horizons, y, h)
	}
	r.next = (r.next + 1) % len(r.made)
}

// between is y at h, on the straight line between its horizons.
func between(horizons, y []float64, h float64) float64 {
	for k := 1; k < len(horizons); k++ {
		if h <= horizons[k] {
			a, b := horizons[k-1], horizons[k]
			return y[k-1] + (y[k]-y[k-1])*max(0, h-a)/(b-a)
		}
	}
	return y[len(y)-1]
}

// At is what is to be added to what is foretold so many s ahead.
func (r *Residual) At(ahead float64) float64 {
	b := r.basis(r.now + ahead)
	at := func(i int) (sum float64) {
		for w, v := range r.theta[i] {
			sum += v * b[w]
		}
		return sum
	}
	switch {
	case ahead <= r.horizons[0]:
		return at(0) * ahead / r.horizons[0]
	case ahead >= r.horizons[residuals-1]:
		return at(residuals - 1)
	}
	for i := 1; i < residuals; i++ {
		if a, c := r.horizons[i-1], r.horizons[i]; ahead <= c {
			w := (ahead - a) / (c - a)
			return (1-w)*at(i-1) + w*at(i)
		}
	}
	return 0
}
