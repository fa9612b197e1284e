package twin

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// panelPlot is one diagram of the report.
type panelPlot struct {
	title, unit  string
	x0, x1       float64 // of the axis
	y0, y1       float64
	curves       []curve
	left, top    float64
	width, depth float64
}

type curve struct {
	x, y   []float64
	colour string
	width  float64
	dash   string
}

const (
	recordedInk = "#1f2937"
	twinInk     = "#e4572e"
	setInk      = "#6b9080"
)

// SVG draws the comparison: the whole run, its start, the end, and the spectrum of the held part.
func (c *Comparison) SVG(w io.Writer) error {
	a, b := c.Recorded, c.Twin
	both := func(x, y []float64) []curve {
		return []curve{{a.At, x, recordedInk, 1.2, ""}, {b.At, y, twinInk, 1.2, ""}}
	}
	span := func(t *Trace, v []float64) (x, y []float64) {
		for i := range t.At {
			if t.At[i] >= HeldFrom && t.At[i] < HeldTo {
				x, y = append(x, t.At[i]), append(y, v[i])
			}
		}
		return x, y
	}
	ax, ay := span(a, a.Temp)
	bx, by := span(b, b.Temp)
	end := a.At[len(a.At)-1]
	temp := append([]curve{{a.At, a.SetPoint, setInk, 1, "5 4"}}, both(a.Temp, b.Temp)...)
	plots := []panelPlot{
		{title: "Tool temperature", unit: "°C", x1: end, y1: 550, curves: temp, left: 60, top: 60, width: 1100, depth: 170},
		{title: "Spindle speed", unit: "rpm", x1: end, y1: 500, curves: both(a.RPM, b.RPM), left: 60, top: 270, width: 1100, depth: 120},
		{title: "Torque", unit: "N·m", x1: end, y0: -50, y1: 350, curves: both(a.Torque, b.Torque), left: 60, top: 430, width: 1100, depth: 120},
		{title: "Power", unit: "kW", x1: end, y0: -1, y1: 12, curves: both(scaled(a.Power, 1e-3), scaled(b.Power, 1e-3)), left: 60, top: 590, width: 1100, depth: 120},
		{title: "Start", unit: "°C", x1: 60, y1: 500, curves: both(a.Temp, b.Temp), left: 60, top: 760, width: 240, depth: 170},
		{title: "Held, three minutes", unit: "°C", x0: 800, x1: 980, y0: 455, y1: 495, curves: both(a.Temp, b.Temp), left: 350, top: 760, width: 240, depth: 170},
		{title: "End", unit: "°C", x0: 1050, x1: end, y0: 200, y1: 500, curves: both(a.Temp, b.Temp), left: 640, top: 760, width: 230, depth: 170},
		{title: "Held: amplitude by period", unit: "°C", x0: 12, x1: 68, y1: 3.5, left: 920, top: 760, width: 240, depth: 170,
			curves: []curve{{periods, spectrum(ax, ay, periods), recordedInk, 1.2, ""}, {periods, spectrum(bx, by, periods), twinInk, 1.2, ""}}},
	}
	var s strings.Builder
	fmt.Fprint(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1190 980" font-family="system-ui, sans-serif" font-size="12" fill="#1f2937">`)
	fmt.Fprint(&s, `<rect width="1190" height="980" fill="#ffffff"/><text x="60" y="28" font-size="17" font-weight="600">Twin and recorded build</text>`)
	for i, l := range [][2]string{{recordedInk, "recorded"}, {twinInk, "twin, same plan, own controller"}, {setInk, "set-point"}} {
		fmt.Fprintf(&s, `<rect x="%d" y="21" width="18" height="4" fill="%s"/><text x="%d" y="27">%s</text>`, []int{330, 430, 660}[i], l[0], []int{354, 454, 684}[i], l[1])
	}
	for _, p := range plots {
		p.draw(&s)
	}
	s.WriteString("</svg>\n")
	_, err := io.WriteString(w, s.String())
	return err
}

func scaled(v []float64, f float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = v[i] * f
	}
	return out
}

func (p *panelPlot) draw(s *strings.Builder) {
	px := func(x float64) float64 { return p.left + (x-p.x0)/(p.x1-p.x0)*p.width }
	py := func(y float64) float64 { return p.top + p.depth - (y-p.y0)/(p.y1-p.y0)*p.depth }
	fmt.Fprintf(s, `<text x="%.0f" y="%.0f" font-weight="600">%s <tspan fill="#6b7280" font-weight="400">%s</tspan></text>`, p.left, p.top-8, html.EscapeString(p.title), p.unit)
	for _, y := range ticks(p.y0, p.y1, p.depth/28) {
		fmt.Fprintf(s, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#e5e7eb"/><text x="%.1f" y="%.1f" text-anchor="end" fill="#6b7280">%g</text>`, p.left, p.left+p.width, py(y), py(y), p.left-6, py(y)+4, y)
	}
	for _, x := range ticks(p.x0, p.x1, p.width/60) {
		fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="middle" fill="#6b7280">%g</text>`, px(x), p.top+p.depth+15, x)
	}
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="end" fill="#9ca3af">s</text>`, p.left+p.width+22, p.top+p.depth+15)
	for _, c := range p.curves {
		fmt.Fprintf(s, `<polyline fill="none" stroke="%s" stroke-width="%g" stroke-linejoin="round"`, c.colour, c.width)
		if c.dash != "" {
			fmt.Fprintf(s, ` stroke-dasharray="%s"`, c.dash)
		}
		s.WriteString(` points="`)
		for i := range c.x {
			if c.x[i] >= p.x0 && c.x[i] <= p.x1 && !math.IsNaN(c.y[i]) {
				fmt.Fprintf(s, "%.1f,%.1f ", px(c.x[i]), py(max(p.y0, min(p.y1, c.y[i]))))
			}
		}
		s.WriteString(`"/>`)
	}
}

// ticks are round numbers between two ends, about n of them.
func ticks(lo, hi, n float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/max(1, n))))
	for _, f := range []float64{1, 2, 5, 10} {
		if (hi-lo)/(step*f) <= max(1, n) {
			step *= f
			break
		}
	}
	var out []float64
	for x := math.Ceil(lo/step-1e-9) * step; x <= hi+step*1e-9; x += step {
		out = append(out, math.Round(x/step)*step+0)
	}
	return out
}

// HTML writes the comparison as one page: plot and table.
func (c *Comparison) HTML(w io.Writer) error {
	var s strings.Builder
	s.WriteString(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Twin and recorded build</title>
<style>body{font:14px system-ui,sans-serif;margin:24px;color:#1f2937;max-width:1240px}td,th{padding:3px 12px 3px 0;text-align:left;border-bottom:1px solid #e5e7eb}td.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:#b91c1c;font-weight:600}</style>
`)
	if err := c.SVG(&s); err != nil {
		return err
	}
	s.WriteString("<table><tr><th>figure<th>unit<th>recorded<th>twin<th>band<th></tr>\n")
	for _, f := range c.Figures {
		mark := "inside"
		if !f.OK() {
			mark = `<span class="bad">outside</span>`
		}
		fmt.Fprintf(&s, `<tr><td>%s<td>%s<td class="n">%s %s<td class="n">%s<td class="n">%s to %s<td>%s</tr>`+"\n",
			html.EscapeString(f.Name), f.Unit, number(f.Recorded), html.EscapeString(f.Source), number(f.Twin), number(f.Low), number(f.High), mark)
	}
	t, n := c.Mismatch()
	fmt.Fprintf(&s, "</table><p>One-minute means differ by %.1f °C and %.0f rpm (root mean square, from 90 s on).</p></html>\n", t, n)
	_, err := io.WriteString(w, s.String())
	return err
}
