package report

import (
	"html/template"
	"io"
	"math"
	"strconv"
)

// Advised is a recorded run with what was advised on it. Columns have a value for each row, NaN where there is none.
type Advised struct {
	Name        string
	Time        []float64 // s since the first row, rising
	Temperature []float64 // of the tool, °C
	SetPoint    []float64 // that the machine had, °C; 0 is none
	Speed       []float64 // of the spindle, rpm; nil: not known
	Lowest      float64   // rpm that the spindle may have; NaN: no limit is known
	Highest     float64
	Advice      []Advice // by time
}

// Advice is what was advised from an instant on, until something else was or it was good no longer.
type Advice struct {
	From, To                      float64 // s
	Kind                          string  // hold, change, pace, unreachable; "none" is no advice
	SetPoint                      float64 // °C, NaN without any
	Pace                          float64 // feed and path velocity, % of what they are; NaN where none is advised
	Reason                        string
	Ahead                         float64 // s ahead that the following are expected; 0: nothing is
	Without, Lowest, Highest      float64 // °C as things are, with the ends of the 95 % interval
	With, WithLowest, WithHighest float64 // if the advice is followed
}

// Write writes one HTML page that needs nothing from elsewhere: the run with the set-point that was advised beside the
// machine's own, where it was called unreachable, and each advice in words.
func (a *Advised) Write(w io.Writer) error {
	figure, err := (&figure{title: a.Name + ": what was advised", canvas: a.draw(wide), narrow: a.draw(half)}).inline()
	if err != nil {
		return err
	}
	type line struct {
		From, To, Kind, SetPoint, Without, With, Reason string
	}
	var lines []line
	for i := range a.Advice {
		d := &a.Advice[i]
		if i > 0 && d.repeats(&a.Advice[i-1]) {
			lines[len(lines)-1].To = value(d.To)
			continue
		}
		l := line{From: value(d.From), To: value(d.To), Kind: d.Kind, SetPoint: "–", Without: "–", With: "–", Reason: d.Reason}
		if finite(d.SetPoint) {
			l.SetPoint = value(d.SetPoint)
		}
		between := func(mean, lo, hi float64) string {
			if !finite(mean, lo, hi) {
				return "–"
			}
			return value(mean) + " (" + value(lo) + " to " + value(hi) + ")"
		}
		l.Without, l.With = between(d.Without, d.Lowest, d.Highest), between(d.With, d.WithLowest, d.WithHighest)
		lines = append(lines, l)
	}
	var ahead float64
	for i := range a.Advice {
		ahead = max(ahead, a.Advice[i].Ahead)
	}
	return advisedPage.Execute(w, map[string]any{"Name": a.Name, "Style": template.CSS(baseStyle + styles(false) + "@media (prefers-color-scheme:dark){" + styles(true) + "}"),
		"Figure": figure, "Lines": lines, "Ahead": strconv.FormatFloat(ahead, 'g', 4, 64)})
}

// repeats tells whether an advice is the one before once more.
func (d *Advice) repeats(before *Advice) bool {
	same := func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) }
	switch {
	case d.Kind != before.Kind:
		return false
	case d.Kind == noAdvice && d.Reason == before.Reason:
		return true
	}
	return d.SetPoint == before.SetPoint && same(d.Pace, before.Pace)
}

const (
	noAdvice    = "none"
	unreachable = "unreachable"
	touches     = 2.0 // rpm from a limit of the spindle
)

// draw draws the run: above the temperatures, below them the speed of the spindle.
func (a *Advised) draw(width float64) *canvas {
	const left, tall, flat = 62.0, 320.0, 110.0
	right := width - 16
	end := 1.0
	if n := len(a.Time); n > 0 {
		end = max(end, a.Time[n-1])
	}
	set, advised := make([]float64, len(a.Time)), make([]float64, len(a.Time))
	k := -1
	for i, t := range a.Time {
		if set[i] = a.SetPoint[i]; !(set[i] > 0) {
			set[i] = math.NaN()
		}
		for k+1 < len(a.Advice) && a.Advice[k+1].From <= t {
			k++
		}
		if advised[i] = math.NaN(); k >= 0 && t <= a.Advice[k].To && finite(set[i]) {
			advised[i] = a.Advice[k].SetPoint
		}
	}
	c := &canvas{w: width}
	top := 14 + c.legend(left, 16, right, []key{{ink: inkText, text: "tool temperature"}, {ink: inkSetPoint, text: "set-point", dash: []float64{5, 4}},
		{ink: inkPlan, text: "advised set-point"}, {ink: inkPhase[5], text: "called unreachable", area: true}, {ink: inkPhase[0], text: "no advice", area: true}}) + 18
	time := axis{lo: 0, hi: end}
	p := &chart{c: c, left: left, top: top, w: right - left, h: tall, x: time, y: around(nil, a.Temperature, set, advised), title: "tool temperature", unit: "°C", end: "s"}
	if a.Speed != nil {
		p.x.plain = true
	}
	p.frame()
	span := func(from, to float64, k ink, alpha float64) {
		x, upTo := p.at(from, p.y.lo).x, p.at(min(to, end), p.y.lo).x
		c.box(k, alpha, x, top, max(0.6, upTo-x), tall)
	}
	for i := range a.Advice {
		switch d := &a.Advice[i]; d.Kind {
		case unreachable:
			span(d.From, d.To, inkPhase[5], 0.28)
		case noAdvice:
			span(d.From, d.To, inkPhase[0], 0.3)
		}
	}
	p.line(a.Time, advised, inkPlan, 3.5)
	p.line(a.Time, set, inkSetPoint, 1.6, 5, 4) // above: most of the time both are the same
	p.line(a.Time, a.Temperature, inkText, 1.5)
	if a.Speed != nil {
		top += tall + 40
		p = &chart{c: c, left: left, top: top, w: right - left, h: flat, x: time, y: around([]float64{0}, a.Speed), title: "spindle speed", unit: "rpm; thick where it is at a limit", end: "s"}
		p.frame()
		limit := make([]float64, len(a.Speed))
		for i, v := range a.Speed {
			if limit[i] = math.NaN(); finite(v) && v > 0 && (v >= a.Highest-touches || v <= a.Lowest+touches && finite(set[i])) {
				limit[i] = v
			}
		}
		p.line(a.Time, a.Speed, inkMuted, 1.2)
		p.line(a.Time, limit, inkPhase[5], 3)
		top += flat - tall
	}
	c.h = top + tall + 40
	return c
}

var advisedPage = template.Must(template.New("advised").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Name}}: what was advised</title>
<style>
:root{--text:#1b2733;--muted:#5c6773;--line:#dfe4e9;--paper:#fff}
@media (prefers-color-scheme:dark){:root{--text:#e6e9ed;--muted:#9aa5b1;--line:#2f3841;--paper:#12171c}}
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;color:var(--text);background:var(--paper);max-width:1120px;margin:0 auto;padding:28px 24px 60px;overflow-wrap:anywhere}
h1{font-size:25px;line-height:1.2;margin:0 0 6px}h2{font-size:19px;margin:32px 0 8px}.muted{color:var(--muted)}.scroll{overflow-x:auto}svg{display:block;width:100%;height:auto}.narrow{display:none}.narrow svg{max-width:560px}@media screen and (max-width:849px){.across{display:none}.narrow{display:block}}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums}th,td{padding:4px 14px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}th{color:var(--muted);font-weight:600}.n{text-align:right;white-space:nowrap}.kind{white-space:nowrap}
{{.Style}}
</style>
</head>
<body>
<h1>{{.Name}}: what was advised</h1>
<p class="muted">The recorded run as it went, and what the agent would have advised on it. Nobody followed: what is expected with an advice was never put to the test here.</p>
<div class="across">{{.Figure}}</div>
<h2>In words</h2>
{{if .Lines}}<div class="scroll"><table>
<tr><th class="n">from, s</th><th class="n">to, s</th><th class="kind">advice</th><th class="n">set-point, °C</th><th class="n">in {{.Ahead}} s without it, °C (95 %)</th><th class="n">with it</th><th>why</th></tr>
{{range .Lines}}<tr><td class="n">{{.From}}</td><td class="n">{{.To}}</td><td class="kind">{{if eq .Kind "none"}}no advice{{else}}{{.Kind}}{{end}}</td><td class="n">{{.SetPoint}}</td><td class="n">{{.Without}}</td><td class="n">{{.With}}</td><td>{{.Reason}}</td></tr>
{{end}}</table></div>{{else}}<p>Nothing was advised: is there a model, and a section process?</p>{{end}}
</body>
</html>
`))
