package learn

import (
	"math"
	"slices"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
)

// controllerRows are enough to tell the gains of a controller.
const controllerRows = 60

// learnControllers identifies those controllers of h whose inputs m has from runs (columns of m). What the
// runs do not show is as h says; one of which nothing is known is left out.
func learnControllers(m *model.Model, h *model.Hypotheses, all []*runs.Run) (out []model.Controller) {
	name := func(symbol string) string {
		if i := slices.IndexFunc(m.Inputs, func(in model.Input) bool { return in.Symbol == symbol }); i >= 0 {
			return m.Inputs[i].Name
		}
		return ""
	}
	for _, k := range h.Controllers {
		c := model.Controller{Moves: name(k.Moves), Holds: k.Holds, Follows: name(k.Follows),
			Proportional: k.Proportional, Integral: k.Integral, Derivative: k.Derivative, Min: k.Min, Max: k.Max, Slew: k.Slew}
		if c.Moves == "" || c.Follows == "" {
			continue
		}
		if c.Min == c.Max {
			in := m.Inputs[m.InputIndex(c.Moves)]
			c.Min, c.Max = in.Min, in.Max
		}
		if p, i, rows, ok := gains(m, &c, all); ok {
			c.Proportional, c.Integral, c.Rows = p, i, rows
		}
		if (c.Proportional != 0 || c.Integral != 0) && c.Min < c.Max {
			out = append(out, c)
		}
	}
	return out
}

// gains finds the proportional and the integral gain of c by least squares over the rows in which it was on and
// free to move: du = Proportional·de + Integral·e·dt, e being set-point less output. A log may show a move in the row of
// the reading that it answers or in the next: what fits better is taken. ok is false where too few rows tell, where they cannot
// tell the two gains apart, or where the input does not answer the output.
func gains(m *model.Model, c *model.Controller, all []*runs.Run) (proportional, integral float64, rows int, ok bool) {
	in, out, set := m.InputIndex(c.Moves), m.OutputIndex(c.Holds), m.InputIndex(c.Follows)
	margin := 0.01 * (c.Max - c.Min)
	best := math.Inf(1)
	for _, late := range []int{0, 1} {
		var xx, xy, yy, xd, yd, dd float64
		n := 0
		for _, r := range all {
			u, z, s := r.U[in], r.Z[out], r.U[set]
			for i := 1 + late; i < len(r.Time); i++ {
				k := i - late // of the reading that is answered
				dt := r.Time[i] - r.Time[i-1]
				if !num.Finite(u[i], u[i-1], z[k], z[k-1], s[k], s[k-1]) || s[k] == 0 || s[k-1] == 0 || dt > longestRow ||
					min(u[i], u[i-1]) < c.Min+margin || max(u[i], u[i-1]) > c.Max-margin {
					continue
				}
				x, y, d := s[k]-z[k]-(s[k-1]-z[k-1]), (s[k]-z[k])*dt, u[i]-u[i-1]
				xx, xy, yy, xd, yd, dd = xx+x*x, xy+x*y, yy+y*y, xd+x*d, yd+y*d, dd+d*d
				n++
			}
		}
		det := xx*yy - xy*xy
		if n < controllerRows || det <= 1e-9*xx*yy || dd == 0 {
			continue
		}
		p, i := (xd*yy-yd*xy)/det, (yd*xx-xd*xy)/det
		if left := (dd - p*xd - i*yd) / dd; left < best && left < mostUnanswered {
			best, proportional, integral, rows, ok = left, p, i, n, true
		}
	}
	return proportional, integral, rows, ok
}

// mostUnanswered is the share of the moves of an input that its controller's law may leave: what answers less is moved
// by something else.
const mostUnanswered = 0.5
