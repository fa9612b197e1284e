package report

import (
	"math"
	"strconv"
	"strings"
)

// axis is one scale of a chart.
type axis struct {
	lo, hi float64
	log    bool
	ticks  []float64 // nil: round numbers are found
	plain  bool      // no labels
}

func (a *axis) share(v float64) float64 {
	if a.log {
		return math.Log(v/a.lo) / math.Log(a.hi/a.lo)
	}
	return (v - a.lo) / (a.hi - a.lo)
}

// chart is a rectangle of a canvas with scales.
type chart struct {
	c                *canvas
	left, top, w, h  float64
	x, y             axis
	title, unit, end string // end labels the end of the x axis
}

const (
	labelSize = 12.0
	titleSize = 13.0
)

// frame draws what lies behind the data.
func (p *chart) frame() {
	if p.x.ticks == nil {
		p.x.ticks = ticks(p.x.lo, p.x.hi, p.w/80)
	}
	if p.y.ticks == nil {
		if p.y.log {
			p.y.ticks = decades(p.y.lo, p.y.hi)
		} else {
			p.y.ticks = ticks(p.y.lo, p.y.hi, max(3.5, p.h/34))
		}
	}
	if p.title != "" {
		p.c.heading(p.left, p.top-9, p.title, p.unit)
	}
	for _, y := range p.y.ticks {
		k, width := inkGrid, 1.0
		if y == 0 && p.y.lo < 0 {
			k = inkMuted
		}
		p.c.line(k, width, nil, p.at(p.x.lo, y), p.at(p.x.hi, y))
		if !p.y.plain {
			p.c.text(inkMuted, p.left-6, p.at(p.x.lo, y).y+4, labelSize, 1, false, number(y))
		}
	}
	for _, x := range p.x.ticks {
		at := p.at(x, p.y.lo)
		p.c.line(inkGrid, 1, nil, at, point{at.x, p.top})
		if !p.x.plain {
			p.c.text(inkMuted, at.x, p.top+p.h+16, labelSize, 0.5, false, number(x))
		}
	}
	if !p.x.plain && p.end != "" {
		p.c.text(inkMuted, p.left+p.w, p.top+p.h+31, labelSize, 1, false, p.end)
	}
}

// at is where x, y lies, no further out than the frame.
func (p *chart) at(x, y float64) point {
	clip := func(v float64) float64 { return min(1, max(0, v)) }
	return point{p.left + p.w*clip(p.x.share(x)), p.top + p.h*(1-clip(p.y.share(y)))}
}

// shown reports whether a value can be drawn.
func (p *chart) shown(x, y float64) bool {
	return finite(x, y) && x >= p.x.lo && x <= p.x.hi && !(p.y.log && y <= 0)
}

// line draws y over x, with gaps where there is nothing. What hardly differs on the screen is left
// out: of the points that share a column of it the first, lowest, highest and last stay.
func (p *chart) line(x, y []float64, k ink, width float64, dash ...float64) {
	var part []point
	end := func() {
		p.c.line(k, width, dash, thin(part)...)
		part = nil
	}
	for i := range x {
		if !p.shown(x[i], y[i]) || y[i] < p.y.lo || y[i] > p.y.hi {
			end()
			continue
		}
		part = append(part, p.at(x[i], y[i]))
	}
	end()
}

// thin keeps at most four points for each half pixel.
func thin(p []point) []point {
	var out []point
	for i := 0; i < len(p); {
		j, lo, hi := i, i, i
		for ; j < len(p) && math.Abs(p[j].x-p[i].x) < 0.5; j++ {
			if p[j].y < p[lo].y {
				lo = j
			}
			if p[j].y > p[hi].y {
				hi = j
			}
		}
		last := -1
		for _, k := range []int{i, min(lo, hi), max(lo, hi), j - 1} {
			if k > last {
				out = append(out, p[k])
				last = k
			}
		}
		i = j
	}
	return out
}

// dots marks the points of a line that has few of them.
func (p *chart) dots(x, y []float64, k ink, r float64) {
	for i := range x {
		if !p.shown(x[i], y[i]) {
			continue
		}
		at := p.at(x[i], y[i])
		var disc []point
		for a := range 16 {
			sin, cos := math.Sincos(2 * math.Pi * float64(a) / 16)
			disc = append(disc, point{at.x + r*cos, at.y + r*sin})
		}
		p.c.area(k, 1, disc...)
	}
}

// band fills between lo and hi.
func (p *chart) band(x, lo, hi []float64, k ink, alpha float64) {
	var up, down []point
	end := func() {
		if len(up) > 1 {
			for i := len(down) - 1; i >= 0; i-- {
				up = append(up, down[i])
			}
			p.c.area(k, alpha, up...)
		}
		up, down = nil, nil
	}
	for i := range x {
		if !p.shown(x[i], lo[i]) || !finite(hi[i]) {
			end()
			continue
		}
		up, down = append(up, p.at(x[i], hi[i])), append(down, p.at(x[i], lo[i]))
	}
	end()
}

// key is one entry of a legend.
type key struct {
	ink  ink
	text string
	dash []float64
	area bool
}

// legend writes entries side by side from x, y on, in as many lines as they need up to right, and
// gives the height it took.
func (c *canvas) legend(x, y, right float64, keys []key) float64 {
	at, line := x, y
	for _, k := range keys {
		w := 26 + textWidth(k.text, labelSize) + 14
		if at+w > right+14 && at > x {
			at, line = x, line+18
		}
		if k.area {
			c.box(k.ink, 1, at, line-9, 18, 9)
		} else {
			c.line(k.ink, 2.5, k.dash, point{at, line - 4}, point{at + 19, line - 4})
		}
		c.text(inkText, at+25, line, labelSize, 0, false, k.text)
		at += w
	}
	return line - y + 18
}

// ticks are round numbers between two ends, about n of them.
func ticks(lo, hi, n float64) []float64 {
	if !(hi > lo) {
		return []float64{lo}
	}
	n = max(1, n)
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/n)))
	for _, f := range []float64{1, 2, 5, 10} {
		if (hi-lo)/(step*f) <= n {
			step *= f
			break
		}
	}
	var out []float64
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+step*1e-9; i++ {
		out = append(out, i*step+0)
	}
	return out
}

// decades are 1, 2 and 5 of every power of ten between two ends.
func decades(lo, hi float64) []float64 {
	var out []float64
	for e := math.Floor(math.Log10(lo)); e <= math.Log10(hi); e++ {
		for _, f := range []float64{1, 2, 5} {
			if v := f * math.Pow(10, e); v >= lo*0.999 && v <= hi*1.001 {
				out = append(out, v)
			}
		}
	}
	return out
}

// around gives an axis with a little air around values; it always holds the ones in must.
func around(must []float64, columns ...[]float64) axis {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, c := range append(columns, must) {
		for _, v := range c {
			if finite(v) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	if lo > hi {
		lo, hi = 0, 1
	}
	air := 0.05 * (hi - lo)
	if air == 0 {
		air = max(1e-9, 0.1*math.Abs(hi))
	}
	return axis{lo: lo - air, hi: hi + air}
}

func finite(v ...float64) bool {
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// number writes v for an axis, with the minus sign of print.
func number(v float64) string {
	v = math.Round(v*1e9)/1e9 + 0
	return strings.Replace(strconv.FormatFloat(v, 'g', 6, 64), "-", "−", 1)
}
