package screen

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"stirwatch/agent"
)

// This file draws the past and the forecast on one time axis. Each curve has a mark of its own, so that a terminal
// without colours, and an eye that cannot tell them, see the same.

// mark is how a curve is drawn.
type mark struct {
	rune
	style lipgloss.Style
	name  string
}

var (
	measured = mark{'●', green, "measured"}
	expected = mark{'+', yellow, "forecast"}
	stopped  = mark{'×', red, "if it stops"}
	interval = mark{'·', faint, "95 %"}
)

const axis = 6 // columns of the chart's scale

// legend names the marks and the channel.
func (s *view) legend() string {
	if s.look.Lead < 0 || s.look.Lead >= len(s.look.Channels) {
		return ""
	}
	e := &s.look.Expected
	unit := e.Unit
	if unit == "" {
		unit = s.look.Channels[s.look.Lead].Unit
	}
	w := bold.Render(s.look.Channels[s.look.Lead].Name) + ", " + unit
	show := func(m mark, name string) { w += "  " + m.style.Render(string(m.rune)) + " " + name }
	show(measured, measured.name)
	if len(e.Horizon) > 0 {
		name := expected.name
		if e.Condition != "" {
			name = e.Condition
		}
		show(expected, name)
		show(interval, interval.name)
		if e.StoppedText() != "" {
			show(stopped, stopped.name)
		}
	}
	return w
}

// chart draws width columns and rows lines, the time axis among them.
func (s *view) chart(width, rows int) string {
	plot := width - axis
	empty := func() []float64 { return slices.Repeat([]float64{math.NaN()}, plot) }
	past, mean, upper, lower, stop := empty(), empty(), empty(), empty(), empty()
	at := func(d time.Duration) int {
		return int(math.Round(float64(plot-1) * float64(d+pastSpan) / float64(pastSpan+futureSpan)))
	}
	for i, p := range s.look.Points {
		c := min(at(time.Duration(p.Time-s.look.Time)), at(0))
		if c < 0 {
			continue
		}
		past[c] = p.Value
		if i > 0 {
			for k := max(at(time.Duration(s.look.Points[i-1].Time-s.look.Time)), -1) + 1; k < c; k++ { // between two readings
				past[k] = p.Value
			}
		}
	}
	e := &s.look.Expected
	for c := at(0) + 1; c < plot; c++ {
		h := float64(c-at(0)) / float64(plot-1-at(0)) * futureSpan.Seconds()
		mean[c], lower[c], upper[c] = between(e.Horizon, e.Mean, h), between(e.Horizon, e.Lower, h), between(e.Horizon, e.Upper, h)
		stop[c] = between(e.Horizon, e.Stopped.Mean, h)
	}
	// The scale belongs to what is measured and expected; the interval and a stop may leave the chart.
	lo, hi := math.Inf(1), math.Inf(-1)
	for i := range plot {
		for _, v := range []float64{past[i], mean[i]} {
			if !math.IsNaN(v) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	if lo > hi {
		return faint.Render("nothing to draw: no good value within three minutes")
	}
	lines := rows - 1
	lo, hi = scale(lo, hi, lines-1)
	canvas := make([][]*mark, lines)
	for i := range canvas {
		canvas[i] = make([]*mark, plot)
	}
	row := func(v float64) int { return int(math.Round((hi - v) / (hi - lo) * float64(lines-1))) }
	draw := func(m *mark, v []float64, join bool) {
		last := -1
		for c := range v {
			r := -1
			if !math.IsNaN(v[c]) && v[c] >= lo && v[c] <= hi {
				r = row(v[c])
				canvas[r][c] = m
				for k := min(r, last) + 1; join && last >= 0 && k < max(r, last); k++ {
					canvas[k][c] = m
				}
			}
			last = r
		}
	}
	draw(&interval, lower, false)
	draw(&interval, upper, false)
	draw(&stopped, stop, false)
	draw(&expected, mean, false)
	draw(&measured, past, true)
	var b strings.Builder
	for i, cells := range canvas {
		fmt.Fprintf(&b, "%*.0f ", axis-2, hi-(hi-lo)*float64(i)/float64(lines-1))
		b.WriteRune('┤')
		for c, m := range cells {
			switch {
			case m != nil:
				b.WriteString(m.style.Render(string(m.rune)))
			case c == at(0):
				b.WriteString(faint.Render("┊"))
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	ticks := []rune(strings.Repeat(" ", width)) // a word every minute
	for m := -pastSpan; m <= futureSpan; m += time.Minute {
		word := []rune(fmt.Sprintf("%+.0f min", m.Minutes()))
		if m == 0 {
			word = []rune("now")
		}
		copy(ticks[max(0, min(axis+at(m)-len(word)/2, len(ticks)-len(word))):], word)
	}
	b.WriteString(faint.Render(string(ticks)))
	return b.String()
}

// between is the value of a course at h, s, by straight lines; NaN where it is not known.
func between(horizon []float64, v []agent.Number, h float64) float64 {
	for k := 1; k < len(horizon) && len(v) == len(horizon); k++ {
		if h <= horizon[k] {
			w := max(0, (h-horizon[k-1])/(horizon[k]-horizon[k-1]))
			return float64(v[k-1]) + w*float64(v[k]-v[k-1])
		}
	}
	return math.NaN()
}

// steps are the sizes of a scale's step, and ten times as many, and so on.
var steps = []float64{2, 3, 4, 5, 6, 8, 10, 12, 15}

// scale widens lo to hi to rows steps of a round size, evenly to both sides but not below 0 for that. What is cold is
// drawn up to 100 at least, so that noise does not fill the chart.
func scale(lo, hi float64, rows int) (float64, float64) {
	hi = max(hi, 100)
	for ten := 1.0; ; ten *= 10 {
		for _, step := range steps {
			step *= ten
			low, high := int(math.Floor(lo/step)), int(math.Ceil(hi/step))
			if high-low > rows {
				continue
			}
			for high-low < rows {
				if high++; high-low < rows && low > 0 {
					low--
				}
			}
			return float64(low) * step, float64(high) * step
		}
	}
}
