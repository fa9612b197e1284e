package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/score"
)

// flow is what one term does to the rate at the working point.
type flow struct {
	term string
	rate float64
	ink  ink
}

// drawFlows sketches what heats and what cools at the working point: an arrow in for each term that heats, out for each
// that cools, as thick as it is strong, with its rate.
func (r *Report) drawFlows(t *runReport) *canvas {
	if len(t.response) == 0 {
		return nil
	}
	in, out, net, unit := flowsAt(&t.response[0])
	if len(in)+len(out) == 0 {
		return nil
	}
	const left, right, wide, row, top = 150.0, half - 150, half - 300.0, 40.0, 42.0
	rows := float64(max(len(in), len(out)))
	c := &canvas{w: half, h: top + rows*row + 30}
	c.heading(8, 18, "what heats and what cools", unit)
	c.box(inkMuted, 0.12, left+wide*0.33, top, wide*0.34, rows*row)
	state := r.m.States[r.m.StateIndex(r.m.Observed(t.output))].Name
	c.text(inkText, half/2, top+rows*row/2+4, labelSize, 0.5, true, signed(net))
	c.text(inkText, half/2, top+rows*row+17, labelSize, 0.5, true, state)
	most := 0.0
	for _, f := range slices.Concat(in, out) {
		most = max(most, math.Abs(f.rate))
	}
	for side, flows := range [][]flow{in, out} {
		for i, f := range flows {
			y := top + row*(float64(i)+0.5)
			from, to, at, anchor := left, left+wide*0.33-4, left-8, 1.0
			if side == 1 {
				from, to, at, anchor = left+wide*0.67+4, right, right+8, 0.0
			}
			thick := max(1.2, 12*math.Abs(f.rate)/most)
			c.line(f.ink, thick, nil, point{from, y}, point{to - 7, y})
			c.area(f.ink, 1, point{to - 8, y - thick/2 - 4}, point{to, y}, point{to - 8, y + thick/2 + 4})
			c.text(inkText, at, y-2, labelSize, anchor, false, f.term)
			c.text(inkMuted, at, y+13, labelSize, anchor, false, signed(f.rate))
		}
	}
	return c
}

func signed(v float64) string {
	if v < 0 {
		return "−" + value(-v)
	}
	return "+" + value(v)
}

// flowsAt reads the parts of a response where all is as usual: those that raise the rate and those that lower it, the
// strongest first. What is below a hundredth of the strongest is left out.
func flowsAt(q *score.Response) (in, out []flow, net float64, unit string) {
	at := 0
	for i, x := range q.X {
		if math.Abs(x-q.Usual) < math.Abs(q.X[at]-q.Usual) {
			at = i
		}
	}
	most := 0.0
	for _, part := range q.Part {
		most = max(most, math.Abs(part[at]))
	}
	for i, part := range q.Part {
		f := flow{q.Term[i], part[at], inkTerm[i%len(inkTerm)]}
		switch {
		case math.Abs(f.rate) < most/100 || f.rate == 0:
		case f.rate > 0:
			in = append(in, f)
		default:
			out = append(out, f)
		}
	}
	strongest := func(a, b flow) int { return cmp.Compare(math.Abs(b.rate), math.Abs(a.rate)) }
	slices.SortStableFunc(in, strongest)
	slices.SortStableFunc(out, strongest)
	return in, out, q.Total[at], q.RateUnit
}

// flowsCaption says where that is.
func (r *Report) flowsCaption(t *runReport) string {
	return fmt.Sprintf("What each term of the equation does to the rate of the %s, with all quantities at their medians (%s, %d rows). In the middle: all together.",
		r.m.States[r.m.StateIndex(r.m.Observed(t.output))].Name, r.phaseName(t.work.Phase), t.work.Rows)
}
