package report

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/score"
)

// figure is one picture of the report.
type figure struct {
	name    string // of its files, without extension
	title   string
	Caption string
	run     int // index, -1 for none
	kind    kind
	canvas  *canvas
	narrow  *canvas // the same for a small screen, nil where canvas is narrow itself
}

type kind int

const (
	simulated kind = iota
	fans
	look
	closely
	residuals
	skill
	coverage
	response
	flows
)

// Sizes of pictures: across the page, and two side by side. One of half fills a phone, and its words have 10 px there.
const (
	wide = 960.0
	half = 420.0
)

// Pictures writes every figure into dir, which is made if need be, as NAME.svg and NAME.png.
func (r *Report) Pictures(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range r.figures {
		r.progress("painting %s", f.name)
		var svg, png bytes.Buffer
		err := errors.Join(f.canvas.svg(&svg, f.title, true), f.canvas.png(&png),
			os.WriteFile(filepath.Join(dir, f.name+".svg"), svg.Bytes(), 0o644),
			os.WriteFile(filepath.Join(dir, f.name+".png"), png.Bytes(), 0o644))
		if err != nil {
			return fmt.Errorf("figure %s: %w", f.name, err)
		}
	}
	return nil
}

// draw makes all figures.
func (r *Report) draw() {
	for i, t := range r.runs {
		var narrow *canvas // of the next figure
		add := func(k kind, name, title, caption string, c *canvas) {
			if c != nil {
				if t.learned && k <= residuals {
					caption += " In sample: the model was learned from this run."
				}
				r.figures = append(r.figures, &figure{name: fileName(fmt.Sprintf("%02d-%s-%s", i+1, t.title, name)), title: t.title + ": " + title, Caption: caption, run: i, kind: k, canvas: c, narrow: narrow})
			}
			narrow = nil
		}
		narrow = r.drawSimulated(t, half)
		add(simulated, "simulated", "measured and simulated", r.simulatedCaption(t), r.drawSimulated(t, wide))
		narrow = r.drawFans(t, half, t.fanWays())
		add(fans, "fans", "forecasts", fmt.Sprintf("Forecasts of %g s with their 95 %% intervals, from origins evenly spaced over the rows that are scored.", fanLength), r.drawFans(t, wide, t.fanWays()))
		add(look, "look", "forecasts at a glance", fmt.Sprintf("Measured, and forecasts of %g s with their 95 %% intervals, from origins evenly spaced.", fanLength), r.drawFans(t, half, t.fanWays()[len(t.fanWays())-1:]))
		narrow = r.drawClosely(t, half, 2)
		add(closely, "closely", "six forecasts closely", fmt.Sprintf("Forecasts seen closely: the three origins after which the reading changes most within %g s, and others spread over the run. Time from the origin; the row of the log is above each.", fanLength/2), r.drawClosely(t, wide, 3))
		add(residuals, "residuals", "errors by phase", fmt.Sprintf("Forecast less measured, %g s ahead, by the phase at the origin. Box: the middle half; line: the median; whiskers: 5 to 95 %%.", residualHorizon), r.drawResiduals(t))
		add(coverage, "coverage", "coverage of the 95 % intervals", "Share of the measurements inside the interval, all rows. Wanted: 92 to 98 % (shaded).", r.drawCoverage(t))
		for k, windows := range r.windows() {
			add(skill, "skill-"+[]string{"all", "phase"}[k], "error by horizon, "+windows, "", r.drawSkill(t, windows))
		}
		add(flows, "flows", "what heats and what cools", r.flowsCaption(t), r.drawFlows(t))
		for k := range t.response {
			q := &t.response[k]
			add(response, "response-"+q.Name, "response to "+q.Name, "", r.drawResponse(t, q))
		}
	}
}

// hasPhases reports whether there are phases: they are those of a spindle.
func (r *Report) hasPhases() bool {
	return slices.ContainsFunc(r.m.Inputs, func(in model.Input) bool { return in.Name == model.SpindleSpeed })
}

// windows are those that scoring tells apart.
func (r *Report) windows() []string {
	if !r.hasPhases() {
		return []string{model.AllRows}
	}
	return []string{model.AllRows, model.OnePhase}
}

func (r *Report) phaseName(p phase.Phase) string {
	if !r.hasPhases() {
		return "all rows"
	}
	return p.String()
}

// fileName keeps letters, digits, points and dashes.
func fileName(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, s)
}

func wayInk(w filter.Way) ink {
	return map[filter.Way]ink{filter.Known: inkKnown, filter.Planned: inkPlan, filter.Held: inkHeld}[w]
}

func (r *Report) simulatedCaption(t *runReport) string {
	text := "The simulation starts at the first reading and uses none after it; the inputs are the measured ones."
	if finite(t.openRMSE) {
		above := ""
		if a := t.out.Above(); finite(a) {
			above = fmt.Sprintf(" above %g %s", a, t.out.Unit)
		}
		text += fmt.Sprintf(" Root mean square error%s: %s.", above, amount(t.openRMSE, t.out.Unit))
	}
	return text + fmt.Sprintf(" Shaded: its 95 %% interval. Time from row %d of the log.", t.NumberOf(t.From))
}

// since gives times of rows from ≤ i < to, in s from the first row shown.
func (t *runReport) since() []float64 {
	out := make([]float64, t.To-t.From)
	for i := range out {
		out[i] = t.Time[t.From+i] - t.Time[t.From]
	}
	return out
}

func (r *Report) drawSimulated(t *runReport, width float64) *canvas {
	const left, tall, flat = 62.0, 270.0, 74.0
	right := width - 16
	x := t.since()
	z := t.measured[t.From:t.To]
	sim, lo, hi, diff := make([]float64, len(z)), make([]float64, len(z)), make([]float64, len(z)), make([]float64, len(z))
	for i, row := range t.open {
		sim[i], lo[i], hi[i], diff[i] = row.Forecast, row.Lower, row.Upper, row.Forecast-z[i]
	}
	c := &canvas{w: width}
	keys := []key{{ink: inkText, text: "measured"}, {ink: inkKnown, text: "simulated, open loop"}}
	var set []float64
	if t.SetPoint != nil && t.leading {
		set = slices.Clone(t.SetPoint[t.From:t.To])
		for i, v := range set {
			if !(v > 0) {
				set[i] = math.NaN()
			}
		}
		keys = append(keys, key{ink: inkSetPoint, text: "set-point", dash: []float64{5, 4}})
	}
	seen := map[phase.Phase]bool{}
	for _, p := range t.phase[t.From:t.To] {
		seen[p] = true
	}
	for p := range phase.Deposit + 1 {
		if seen[p] && len(seen) > 1 {
			keys = append(keys, key{ink: inkPhase[p], text: p.String(), area: true})
		}
	}
	top := 14 + c.legend(left, 16, right, keys) + 18
	time := axis{lo: 0, hi: max(1, x[len(x)-1])}
	p := &chart{c: c, left: left, top: top, w: right - left, h: tall, x: time, y: around(nil, z, sim), title: t.out.Name, unit: t.out.Unit}
	p.x.plain = true
	p.frame()
	if len(seen) > 1 {
		for i := 0; i < len(x); {
			j := i
			for j < len(x) && t.phase[t.From+j] == t.phase[t.From+i] {
				j++
			}
			a, b := p.at(x[i], p.y.lo), p.at(x[min(j, len(x)-1)], p.y.lo)
			c.box(inkPhase[t.phase[t.From+i]], 1, a.x, a.y+3, max(0.6, b.x-a.x), 6)
			i = j
		}
	}
	p.band(x, lo, hi, inkKnown, 0.12)
	if set != nil {
		p.line(x, set, inkSetPoint, 1.2, 5, 4)
	}
	p.line(x, z, inkText, 1.5)
	p.line(x, sim, inkKnown, 1.5)

	top += tall + 40
	p = &chart{c: c, left: left, top: top, w: right - left, h: flat, x: time, y: around([]float64{0}, diff), title: "simulated less measured", unit: t.out.Unit}
	p.x.plain = true
	p.frame()
	p.line(x, diff, inkKnown, 1.3)
	inputs := t.inputs(r.m)
	for i, in := range r.m.Inputs {
		top += flat + 32
		u := inputs[i][t.From:t.To]
		p = &chart{c: c, left: left, top: top, w: right - left, h: flat, x: time, y: around([]float64{0}, u), title: in.Name, unit: in.Unit, end: "s"}
		p.x.plain = i < len(r.m.Inputs)-1
		p.frame()
		p.line(x, u, inkMuted, 1.2)
	}
	c.h = top + flat + 40
	return c
}

// inputs gives the columns of the run as Model.Inputs.
func (t *runReport) inputs(m *model.Model) [][]float64 {
	run, err := t.For(m)
	if err != nil { // it was simulated before
		panic(err)
	}
	return run.U
}

// fan draws one forecast, in s from zero, beginning at the reading of its origin.
func (t *runReport) fan(p *chart, rows []score.Row, zero float64, k ink) {
	if len(rows) == 0 {
		return
	}
	o := rows[0].Origin
	at := func(i int) float64 { return t.Time[i] - zero }
	x, mean, lo, hi := []float64{at(o)}, []float64{t.measured[o]}, []float64{t.measured[o]}, []float64{t.measured[o]}
	for _, row := range rows {
		x, mean, lo, hi = append(x, at(row.Target)), append(mean, row.Forecast), append(lo, row.Lower), append(hi, row.Upper)
	}
	p.band(x, lo, hi, k, 0.2)
	p.line(x, mean, k, 1.7)
	p.dots(x[:1], mean[:1], k, 2.6)
}

// fanWays are the ways shown as fans.
func (t *runReport) fanWays() []filter.Way {
	return slices.DeleteFunc(slices.Clone(t.ways), func(w filter.Way) bool { return w == filter.Held && len(t.ways) > 2 })
}

func (r *Report) drawFans(t *runReport, width float64, ways []filter.Way) *canvas {
	if len(t.wide) == 0 {
		return nil
	}
	const left, tall = 62.0, 230.0
	right := width - 16
	c := &canvas{w: width}
	keys := []key{{ink: inkText, text: "measured"}}
	for _, w := range ways {
		keys = append(keys, key{ink: wayInk(w), text: "forecast, inputs " + w.String()})
	}
	top := 14 + c.legend(left, 16, right, keys) + 18
	x, z := t.since(), t.measured[t.From:t.To]
	// Only what fans and scored readings need: heating up and cooling down are in the figure above.
	var need []float64
	for _, v := range z {
		if v > t.out.Above() {
			need = append(need, v)
		}
	}
	for _, w := range ways {
		for _, o := range t.wide {
			for _, row := range t.fans[w][o] {
				need = append(need, row.Forecast)
			}
		}
	}
	for i, w := range ways {
		p := &chart{c: c, left: left, top: top, w: right - left, h: tall, x: axis{lo: 0, hi: max(1, x[len(x)-1])}, y: around(nil, need),
			title: "inputs " + w.String(), unit: t.out.Unit, end: "s"}
		p.x.plain = i < len(ways)-1
		p.frame()
		p.line(x, z, inkText, 1.3)
		for _, o := range t.wide {
			t.fan(p, t.fans[w][o], t.Time[t.From], wayInk(w))
		}
		top += tall + 38
	}
	c.h = top + 2
	return c
}

func (r *Report) drawClosely(t *runReport, width float64, columns int) *canvas {
	if len(t.close) == 0 {
		return nil
	}
	const left, gap, tall, before = 48.0, 52.0, 190.0, 20.0
	w := (width - left - 12 - gap*float64(columns-1)) / float64(columns)
	c := &canvas{w: width}
	keys := []key{{ink: inkText, text: "measured"}}
	for _, way := range t.fanWays() {
		keys = append(keys, key{ink: wayInk(way), text: "forecast, inputs " + way.String()})
	}
	top := 14 + c.legend(left, 16, width-12, keys) + 18
	for i, o := range t.close {
		var x, z, need []float64
		for k := t.From; k < t.To; k++ {
			if at := t.Time[k] - t.Time[o]; at >= -before && at <= fanLength {
				x, z = append(x, at), append(z, t.measured[k])
			}
		}
		for _, way := range t.fanWays() {
			for _, row := range t.fans[way][o] {
				need = append(need, row.Forecast, row.Lower, row.Upper)
			}
		}
		title := fmt.Sprintf("row %d", t.NumberOf(o))
		if r.hasPhases() {
			title += ", " + t.phase[o].String()
		}
		p := &chart{c: c, left: left + float64(i%columns)*(w+gap), top: top + float64(i/columns)*(tall+62), w: w, h: tall,
			x: axis{lo: -before, hi: fanLength, ticks: []float64{-20, 0, 20, 40, 60}}, y: around(nil, z, need),
			title: title, unit: t.out.Unit}
		p.frame()
		c.line(inkMuted, 1, []float64{3, 3}, p.at(0, p.y.lo), p.at(0, p.y.hi))
		for _, way := range slices.Backward(t.fanWays()) {
			t.fan(p, t.fans[way][o], t.Time[o], wayInk(way))
		}
		p.line(x, z, inkText, 1.6)
	}
	rows := (len(t.close) + columns - 1) / columns
	c.h = top + float64(rows)*(tall+62) - 20
	return c
}

func (r *Report) drawResiduals(t *runReport) *canvas {
	byPhase := func(w filter.Way, p phase.Phase) []float64 {
		var v []float64
		for _, e := range t.errors[w] {
			if e.phase == p {
				v = append(v, e.err)
			}
		}
		slices.Sort(v)
		return v
	}
	var phases []phase.Phase
	var ends []float64
	for p := range phase.Deposit + 1 {
		n := 0
		for _, w := range t.ways {
			if v := byPhase(w, p); len(v) > 0 {
				n = len(v)
				ends = append(ends, quantile(v, 0.05), quantile(v, 0.95))
			}
		}
		if n > 0 {
			phases = append(phases, p)
		}
	}
	if len(phases) == 0 {
		return nil
	}
	const left, right, bar = 92.0, half - 14, 13.0
	c := &canvas{w: half}
	var keys []key
	for _, w := range t.ways {
		keys = append(keys, key{ink: wayInk(w), text: "inputs " + w.String(), area: true})
	}
	top := 14 + c.legend(8, 16, right, keys) + 18
	row := bar*float64(len(t.ways)) + 20
	p := &chart{c: c, left: left, top: top, w: right - left, h: row * float64(len(phases)), x: around([]float64{0}, ends), y: axis{lo: 0, hi: 1, ticks: []float64{}, plain: true},
		title: fmt.Sprintf("error %g s ahead", residualHorizon), unit: t.out.Unit, end: "forecast less measured, " + t.out.Unit}
	p.frame()
	zero := p.at(0, 0).x
	c.line(inkMuted, 1.2, nil, point{zero, top}, point{zero, top + p.h})
	for i, ph := range phases {
		y := top + row*float64(i) + 10
		n := 0
		for k, w := range t.ways {
			v := byPhase(w, ph)
			if n = max(n, len(v)); len(v) == 0 {
				continue
			}
			mid := y + bar*float64(k) + bar/2
			at := func(q float64) float64 { return p.at(quantile(v, q), 0).x }
			c.line(wayInk(w), 1.2, nil, point{at(0.05), mid}, point{at(0.95), mid})
			c.box(wayInk(w), 0.45, at(0.25), mid-bar/2+2, at(0.75)-at(0.25), bar-4)
			c.line(wayInk(w), 2.4, nil, point{at(0.5), mid - bar/2 + 2}, point{at(0.5), mid + bar/2 - 2})
		}
		c.text(inkText, 8, y+row/2-12, labelSize, 0, false, r.phaseName(ph))
		c.text(inkMuted, 8, y+row/2+3, labelSize, 0, false, fmt.Sprintf("%d rows", n))
	}
	c.h = top + p.h + 40
	return c
}
