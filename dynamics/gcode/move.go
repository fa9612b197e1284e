package gcode

import "math"

// Move is a straight line or an arc, in mm.
type Move struct {
	From, To [3]float64 // X, Y, Z
	Length   float64    // along the path
	Rapid    bool       // as fast as the axes can
	Feed     float64    // mm/s along the path; 0 where it is rapid or no F has been given

	Radius float64 // of an arc; 0 is a straight line
	centre [2]float64
	start  float64 // rad
	sweep  float64 // rad, positive from the plane's first axis to its second
	plane  plane
}

// plane names the axes of arcs: the first, the second, and the one across.
type plane [3]int

var planeXY, planeZX, planeYZ = plane{0, 1, 2}, plane{2, 0, 1}, plane{1, 2, 0}

// line makes a straight move.
func line(from, to [3]float64) Move {
	m := Move{From: from, To: to}
	m.Length = math.Hypot(math.Hypot(to[0]-from[0], to[1]-from[1]), to[2]-from[2])
	return m
}

// arc makes a move about a centre (in the plane) from and to points whose distances from it should be equal;
// where they are not, the radius is that of the beginning, as many controllers have it. turns is at least 1
// where more than one turn is made. It fails where the radius is 0.
func arc(from, to [3]float64, p plane, centre [2]float64, clockwise bool, turns float64) (Move, bool) {
	m := Move{From: from, To: to, plane: p, centre: centre}
	a, b := from[p[0]]-centre[0], from[p[1]]-centre[1]
	c, d := to[p[0]]-centre[0], to[p[1]]-centre[1]
	m.Radius = math.Hypot(a, b)
	if !(m.Radius > 1e-9) || math.Hypot(c, d) == 0 {
		return m, false
	}
	m.start = math.Atan2(b, a)
	m.sweep = math.Atan2(a*d-b*c, a*c+b*d)
	const same = 1e-9 // rad: ends where it began, a whole turn
	if clockwise {
		if m.sweep >= -same {
			m.sweep -= 2 * math.Pi
		}
		m.sweep -= 2 * math.Pi * (turns - 1)
	} else {
		if m.sweep <= same {
			m.sweep += 2 * math.Pi
		}
		m.sweep += 2 * math.Pi * (turns - 1)
	}
	m.Length = math.Hypot(m.Radius*m.sweep, to[p[2]]-from[p[2]])
	return m, true
}

// centreOf gives the centre of an arc by its radius; a negative one takes the longer way.
func centreOf(from, to [3]float64, p plane, radius float64, clockwise bool) (c [2]float64, ok bool) {
	x, y := to[p[0]]-from[p[0]], to[p[1]]-from[p[1]]
	half := math.Hypot(x, y) / 2
	if half == 0 || half > math.Abs(radius)*1.001 {
		return c, false
	}
	h := math.Sqrt(max(0, radius*radius-half*half))
	if clockwise != (radius < 0) {
		h = -h
	}
	return [2]float64{from[p[0]] + x/2 - h*y/(2*half), from[p[1]] + y/2 + h*x/(2*half)}, true
}

// At is the place at a fraction of the move, 0 to 1, and the direction there; a move of no length has none.
func (m *Move) At(f float64) (at, dir [3]float64) {
	if m.Radius == 0 {
		for i := range at {
			at[i] = m.From[i] + f*(m.To[i]-m.From[i])
			if m.Length > 0 {
				dir[i] = (m.To[i] - m.From[i]) / m.Length
			}
		}
		return at, dir
	}
	p := m.plane
	sin, cos := math.Sincos(m.start + f*m.sweep)
	across := m.To[p[2]] - m.From[p[2]]
	at[p[0]], at[p[1]], at[p[2]] = m.centre[0]+m.Radius*cos, m.centre[1]+m.Radius*sin, m.From[p[2]]+f*across
	w := m.sweep * m.Radius / m.Length
	dir[p[0]], dir[p[1]], dir[p[2]] = -w*sin, w*cos, across/m.Length
	return at, dir
}
