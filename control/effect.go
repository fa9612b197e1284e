package control

// effect is what commands do to an output over the horizon, and what those that have been given will still do: the free
// response of dynamic matrix control (Cutler and Ramaker, Joint Automatic Control Conference, 1980). Instants
// are grid apart, the first of them now.
type effect struct {
	grid  float64   // s
	step  []float64 // output for one unit of command, by instant since it was given
	still []float64 // output for all commands so far, by instant from now
}

func newEffect(grid float64, n int) *effect {
	return &effect{grid, make([]float64, n+1), make([]float64, n+1)}
}

// forget forgets the commands so far.
func (e *effect) forget() { clear(e.still) }

// pass takes in that the target was moved by a change, and lets dt pass.
func (e *effect) pass(change, dt float64) {
	for i, s := range e.step {
		e.still[i] += change * s
	}
	if dt > 0 {
		for i := range e.still {
			e.still[i] = along(e.still, (float64(i)*e.grid+dt)/e.grid)
		}
	}
}

// of is what one unit does after some s.
func (e *effect) of(since float64) float64 {
	if since <= 0 {
		return 0
	}
	return along(e.step, since/e.grid)
}

// along is v between two places, and its last value beyond its end.
func along(v []float64, at float64) float64 {
	i := int(at)
	if i >= len(v)-1 {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
