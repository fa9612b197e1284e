package twin

import (
	"math"

	"stirwatch/dynamics/gcode"
)

// track follows the moves of a program that moves by X, Y and Z.
type track struct {
	move *gcode.Move // the last one; nil: the program moves by laps
	way  float64     // mm of it made
	at   [3]float64  // mm
}

// begin begins a move; nil ends the track.
func (t *track) begin(m *gcode.Move) { t.move, t.way = m, 0 }

// done reports whether the move is made.
func (t *track) done() bool { return t.move == nil || t.way >= t.move.Length }

const (
	rapid  = 30.0 // mm/s
	layers = 4.0  // mm upwards in one move that is a layer; more leaves the deposit
)

// follow makes a step of dt along the track. The axes brake for the corner to the next move, which they take
// with the share of the speed that goes on straight.
func (m *Machine) follow(e *effects) {
	t := &m.track
	was := t.at
	want := 0.0
	if !t.done() {
		if want = t.move.Feed * m.override / 100 * (1 + 0.4*e.unreachable); t.move.Rapid {
			want = rapid
		}
		end := m.corner() * want
		want = min(want, math.Sqrt(end*end+2*traverse*(t.move.Length-t.way))+traverse*dt)
	}
	m.speed += max(-traverse*dt, min(traverse*dt, want-m.speed))
	if !t.done() {
		if t.way += m.speed * dt; t.done() {
			t.way = t.move.Length
		}
	}
	if t.move.Length > 0 {
		t.at, _ = t.move.At(t.way / t.move.Length)
	}
	dx, dy, dz := t.at[0]-was[0], t.at[1]-was[1], t.at[2]-was[2]
	m.vx, m.vy, m.vz = dx/dt, dy/dt, dz/dt
	m.lap += math.Hypot(dx, dy) / (m.path.length * 1e3)
	rise := t.move.To[2] - t.move.From[2]
	switch {
	case dz > 0 && (t.move.Rapid || rise > layers):
		m.lift += dz
	case dz > 0:
		m.climb += dz
	default:
		m.lift = max(0, m.lift+dz)
	}
	m.liftGoal = m.lift
}

// corner is the share of the speed with which the next move goes on, 0 where none follows at once.
func (m *Machine) corner() float64 {
	for k := m.pc; k < len(m.program); k++ {
		c := &m.program[k]
		if c.Move == nil && !codes[c.Name].wait && c.Name[0] == 'M' && c.Name != "M30" {
			continue
		}
		if c.Move == nil || c.Move.Length == 0 {
			return 0
		}
		_, out := m.track.move.At(1)
		_, in := c.Move.At(0)
		return max(0, out[0]*in[0]+out[1]*in[1]+out[2]*in[2])
	}
	return 0
}
