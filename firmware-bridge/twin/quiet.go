package twin

import "math/rand/v2"

// Quiet makes dst the machine that m is now, for asking what comes: it goes on with the same program and operator, but the disturbances of the
// process die away instead of coming anew, and its sensors have no noise. dst shares nothing with m that either changes; it
// may have been used so before, and then hardly anything is allocated.
func (m *Machine) Quiet(dst *Machine) {
	if dst.p == nil {
		dst.p, dst.cell = new(Params), new(cell)
		r := rand.New(rand.NewPCG(0, 0)) // its draws come to nothing
		dst.random.process, dst.random.sensor, dst.random.row = r, r, r
	}
	p, c, random, stack, faults := dst.p, dst.cell, dst.random, dst.cell.stack[:0], dst.faults[:0]
	*p, *c, *dst = *m.p, *m.cell, *m
	p.Noise.Fast, p.Noise.Slow, p.Noise.Torque, p.Thermo.Std, p.Thermo.Step = 0, 0, 0, 0, 1e-6
	c.p, c.stack = p, append(stack, m.cell.stack...)
	dst.p, dst.cell, dst.random, dst.faults = p, c, random, append(faults, m.faults...)
}

// Reading is what the thermocouple shows now, °C.
func (m *Machine) Reading() float64 { return m.reading }

// Advance lets so many s pass, without a row.
func (m *Machine) Advance(s float64) {
	for until := m.steps + int64(s/dt+0.5); m.steps < until && !m.Ended(); {
		m.step()
	}
}
