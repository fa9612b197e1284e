package phase

import "math"

// MeanOver is how long a phase must have gone on before the mean of what is measured in it tells anything, s; it is about as
// long as a lap, so that what repeats with each lap moves it little.
const MeanOver = 40.0

// Mean follows the mean of a value over the last MeanOver seconds, while one phase goes on. The zero Mean is ready.
type Mean struct {
	Value float64
	lasts float64 // s
	in    Phase
}

// Step takes a value (NaN: unknown) that has held for dt seconds in a phase, and reports whether the phase has gone on for long
// enough that the mean says something of it.
func (m *Mean) Step(dt float64, in Phase, v float64) bool {
	if in != m.in {
		m.in, m.lasts = in, 0
	}
	if math.IsNaN(v) {
		return false
	}
	m.lasts += dt
	m.Value += (v - m.Value) * min(dt/max(min(m.lasts, MeanOver), dt, 1e-9), 1)
	return m.lasts >= MeanOver
}
