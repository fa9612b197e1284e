package report

import (
	"math"
	"slices"
	"strings"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/score"
)

// quantile of sorted values.
func quantile(v []float64, q float64) float64 {
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

// horizonAxis is logarithmic, with the horizons of scoring as ticks.
func horizonAxis() axis {
	h := score.Horizons
	return axis{lo: h[0] * 0.9, hi: h[len(h)-1] * 1.1, log: true, ticks: h}
}

func (r *Report) drawSkill(t *runReport, windows string) *canvas {
	tables := r.tables(t)
	s := &tables[0]
	c := &canvas{w: half}
	series := func(s *skillTable, w filter.Way, of func(*model.Skill) float64) []float64 {
		v := make([]float64, len(score.Horizons))
		for i, h := range score.Horizons {
			v[i] = math.NaN()
			if k := s.find(w, windows, h); k != nil && k.Count > 0 {
				if y := of(k); y > 0 {
					v[i] = y
				}
			}
		}
		return v
	}
	rmse := func(k *model.Skill) float64 { return k.RMSE }
	type curve struct {
		key
		y []float64
	}
	curves := []curve{
		{key{inkPersist, "persistence", []float64{6, 4}, false}, series(s, filter.Known, func(k *model.Skill) float64 { return k.Persistence })},
		{key{inkSetPoint, "T = set-point", []float64{6, 4}, false}, series(s, filter.Known, func(k *model.Skill) float64 { return k.SetPoint })},
	}
	for _, w := range slices.Backward(t.ways) {
		curves = append(curves, curve{key{ink: wayInk(w), text: "inputs " + w.String()}, series(s, w, rmse)})
	}
	if s.turn {
		curves = append(curves, curve{key{inkKnown, "known, in sample", []float64{1, 4}, false}, series(&tables[1], filter.Known, rmse)})
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	var keys []key
	for _, k := range curves {
		any := false
		for _, v := range k.y {
			if finite(v) {
				lo, hi, any = min(lo, v), max(hi, v), true
			}
		}
		if any {
			keys = append(keys, k.key)
		}
	}
	if lo > hi {
		return nil
	}
	const left, right, tall = 48.0, half - 14, 220.0
	c.text(inkText, 8, 18, titleSize, 0, true, strings.ToUpper(windows[:1])+windows[1:])
	c.text(inkMuted, 8, 35, labelSize, 0, false, s.sample())
	top := 54 + c.legend(8, 56, right, keys) + 16
	p := &chart{c: c, left: left, top: top, w: right - left, h: tall, x: horizonAxis(), y: axis{lo: lo / 1.25, hi: hi * 1.25, log: true},
		title: "RMSE", unit: t.out.Unit + " over the horizon in s", end: ""}
	p.frame()
	for _, k := range curves {
		width := 2.0
		if k.dash != nil {
			width = 1.6
		}
		p.line(score.Horizons, k.y, k.ink, width, k.dash...)
		if k.dash == nil {
			p.dots(score.Horizons, k.y, k.ink, 3)
		}
	}
	c.h = top + tall + 26
	return c
}

func (r *Report) drawCoverage(t *runReport) *canvas {
	tables := r.tables(t)
	s := &tables[0]
	c := &canvas{w: half}
	var keys []key
	var lines [][]float64
	low := 80.0
	for _, w := range t.ways {
		v := make([]float64, len(score.Horizons))
		for i, h := range score.Horizons {
			v[i] = math.NaN()
			if k := s.find(w, model.AllRows, h); k != nil && k.Count > 0 {
				v[i] = 100 * k.Coverage
				low = min(low, v[i])
			}
		}
		lines = append(lines, v)
		keys = append(keys, key{ink: wayInk(w), text: "inputs " + w.String()})
	}
	const left, right, tall = 48.0, half - 14, 190.0
	c.text(inkMuted, 8, 18, labelSize, 0, false, s.sample())
	top := 36 + c.legend(8, 38, right, keys) + 16
	p := &chart{c: c, left: left, top: top, w: right - left, h: tall, x: horizonAxis(), y: axis{lo: math.Floor(low/10) * 10, hi: 100.5}, title: "inside 95 %", unit: "% over the horizon in s"}
	p.frame()
	a, b := p.at(p.x.lo, 98), p.at(p.x.hi, 92)
	c.box(inkSetPoint, 0.18, a.x, a.y, b.x-a.x, b.y-a.y)
	for i, w := range t.ways {
		p.line(score.Horizons, lines[i], wayInk(w), 2)
		p.dots(score.Horizons, lines[i], wayInk(w), 3)
	}
	c.h = top + tall + 26
	return c
}

func (r *Report) drawResponse(t *runReport, q *score.Response) *canvas {
	c := &canvas{w: half}
	keys := []key{{ink: inkText, text: "all together"}}
	// Terms that never act at this working point only blur the picture.
	most := 0.0
	for _, part := range q.Part {
		for _, v := range part {
			most = max(most, math.Abs(v))
		}
	}
	var parts []int
	for i, part := range q.Part {
		if slices.ContainsFunc(part, func(v float64) bool { return math.Abs(v) > 5e-3*most }) {
			parts = append(parts, i)
			keys = append(keys, key{ink: inkTerm[i%len(inkTerm)], text: q.Term[i]})
		}
	}
	const left, right, tall = 52.0, half - 14, 210.0
	c.text(inkText, 8, 18, titleSize, 0, true, q.Name)
	top := 36 + c.legend(8, 38, right, keys) + 16
	p := &chart{c: c, left: left, top: top, w: right - left, h: tall, x: axis{lo: q.X[0], hi: q.X[len(q.X)-1]}, y: around([]float64{0}, append(slices.Clone(q.Part), q.Total)...),
		title: "d" + r.m.Observed(t.output) + "/dt", unit: q.RateUnit + " over " + q.Symbol + " in " + q.Unit}
	if !(p.x.hi > p.x.lo) {
		p.x.hi = p.x.lo + 1
	}
	p.frame()
	usual := min(p.x.hi, max(p.x.lo, q.Usual))
	c.line(inkMuted, 1, []float64{3, 3}, p.at(usual, p.y.lo), p.at(usual, p.y.hi))
	for _, i := range parts {
		p.line(q.X, q.Part[i], inkTerm[i%len(inkTerm)], 1.6)
	}
	p.line(q.X, q.Total, inkText, 2.4)
	c.h = top + tall + 26
	return c
}
