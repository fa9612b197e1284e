package screen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"stirwatch/agent"
	"stirwatch/agent/history"
)

// This file puts the view together: what matters most has its place at any size, and more is shown where there is room.

var (
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	green  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	yellow = lipgloss.NewStyle().Foreground(lipgloss.Color("3"))
	red    = lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Bold(true)
)

const (
	labels     = 13  // columns of the words in front of the lines below the chart
	leastChart = 30  // columns; where there is less room, there is no chart
	leastRows  = 6   // lines of the chart, so that a scale can be read
	wide       = 150 // columns from which the events have a column of their own
	eventWidth = 56  // columns of that
)

// item is one subject below the chart.
type item struct {
	word  string
	lines []string // all that there is to say
	rows  int      // that it gets
}

// View implements tea.Model. No line is wider than the screen, and there are no more than fit.
func (s *view) View() string { return s.frame(false) }

// frame is the view, or the last one, which stays.
func (s *view) frame(last bool) string {
	top := []string{s.head(last)}
	if s.err != nil {
		top = append(top, s.told(red, fmt.Sprintf("no answer since %s; asked again until it comes. %v", s.lost.Format("15:04:05"), s.err))...)
	}
	if s.look.Note != "" {
		top = append(top, s.told(yellow, s.look.Note)...)
	}
	if s.said != "" { // the answer to a key has its place whatever else there is to show
		top = append(top, s.told(faint, s.said)...)
	}
	if s.look.Time == 0 {
		return s.cut(append(top, "", "waiting for the first samples …"))
	}
	items := s.items(last)
	rows := s.height - len(top)
	chart := s.share(items, rows)
	var all []string
	all = append(all, top...)
	if chart > 0 {
		all = append(all, s.legend())
		all = append(all, s.middle(chart-1)...)
	}
	for _, x := range items {
		for k := range x.rows {
			word := ""
			if k == 0 {
				word = x.word
			}
			line := x.lines[k]
			if k == x.rows-1 && x.rows < len(x.lines) && x.word != "Events" && x.word != "Alarms" {
				line += " …"
			}
			all = append(all, bold.Width(labels).Render(word)+line)
		}
	}
	return s.cut(all)
}

// told is a text on as many lines as it takes, three at most.
func (s *view) told(style lipgloss.Style, text string) []string {
	lines := strings.Split(style.Width(max(20, s.width)).Render(text), "\n")
	return lines[:min(3, len(lines))]
}

// cut cuts lines to the screen.
func (s *view) cut(lines []string) string {
	lines = lines[:min(len(lines), max(1, s.height))]
	for i := range lines {
		lines[i] = lipgloss.NewStyle().MaxWidth(s.width).Render(lines[i])
	}
	return strings.Join(lines, "\n")
}

func (s *view) head(last bool) string {
	w := bold.Render(s.Title)
	if s.look.Time != 0 {
		w += "  " + clock(s.look.Time)
	}
	if !last {
		w += "  " + faint.Render("q quits")
	}
	if s.look.Time != 0 {
		state := faint.Render("no run")
		if s.look.Running {
			state = green.Render("run")
		}
		w += "  " + state
		if s.look.Phase != "" {
			w += ", " + s.look.Phase
		}
	}
	return w
}

// share gives every item its rows out of so many, in order of what a person needs first, and says how many lines are
// left to the chart with its legend; 0: there is none.
func (s *view) share(items []item, rows int) (chart int) {
	free := rows
	grow := func(word string, upTo int) {
		for i := range items {
			if x := &items[i]; x.word == word {
				more := max(0, min(upTo, len(x.lines))-x.rows)
				more = min(more, free)
				x.rows, free = x.rows+more, free-more
			}
		}
	}
	draw := func(upTo int) {
		more := min(max(0, upTo-chart), free)
		if chart == 0 && more < leastRows+1 || s.width < leastChart+axis {
			return
		}
		chart, free = chart+more, free-more
	}
	for _, word := range []string{"Now", "Alarms", "Advice"} {
		grow(word, 1)
	}
	draw(9)
	for _, word := range []string{"Events", "Why", "Sources", "Program", "Forecast"} {
		grow(word, 1)
	}
	grow("Now", 2)
	draw(11)
	grow("Alarms", 2)
	grow("Events", 3)
	grow("Advice", 2)
	draw(12)
	for _, word := range []string{"Now", "Alarms", "Advice", "Why", "Sources", "Program", "Forecast", "Journal"} {
		grow(word, 10)
	}
	draw(18)
	grow("Events", 8)
	draw(26)
	grow("Events", 16)
	draw(50)
	grow("Events", mostShown)
	return chart
}

const mostShown = 50 // events

// items are the subjects below the chart, each wrapped to the screen. Those about which nothing can be said are left out.
func (s *view) items(last bool) []item {
	var all []item
	add := func(word string, texts ...string) {
		var lines []string
		for _, t := range texts {
			if t != "" {
				lines = append(lines, strings.Split(lipgloss.NewStyle().Width(max(20, s.width-labels-2)).Render(t), "\n")...)
			}
		}
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		if len(lines) > 0 {
			all = append(all, item{word: word, lines: lines})
		}
	}
	add("Now", strings.Join(temperatureWords(&s.look), ", "))
	add("Forecast", s.look.Expected.By)
	add("Why", s.look.Why)
	add("Program", s.look.Program)
	add("Advice", s.advice())
	add("Alarms", s.alarmLines(last))
	if s.width < wide {
		add("Events", s.events(max(20, s.width-labels-2), 1)...)
	}
	add("Sources", s.sources()...)
	add("Journal", s.journal())
	return all
}

// middle is what lies between the legend and the items: the channels, the chart, and on a wide screen the events.
func (s *view) middle(rows int) []string {
	left := s.channels(rows)
	width := s.width - lipgloss.Width(left) - 2
	right := ""
	if s.width >= wide {
		width -= eventWidth + 2
		lines := append([]string{bold.Render("Events, the newest first")}, s.events(eventWidth, 2)...)
		right = strings.Join(lines[:min(rows, len(lines))], "\n")
	}
	parts := []string{left}
	if width >= leastChart {
		parts = append(parts, "  ", s.chart(width, rows))
	}
	if right != "" {
		parts = append(parts, "  ", right)
	}
	lines := strings.Split(lipgloss.JoinHorizontal(lipgloss.Top, parts...), "\n")
	return lines[:min(rows, len(lines))]
}

// channels lists as many channels as there are rows.
func (s *view) channels(rows int) string {
	var b strings.Builder
	n := len(s.look.Channels)
	for i := range s.look.Channels {
		if i == rows-1 && i < n-1 {
			b.WriteString(faint.Render(fmt.Sprintf("and %d more", n-i)))
			break
		}
		c := &s.look.Channels[i]
		fmt.Fprintf(&b, "%-18s %s %-7s\n", short(c.Name, 18), reading(c), short(c.Unit, 7))
	}
	return strings.TrimRight(b.String(), "\n")
}

func reading(c *agent.Reading) string {
	switch {
	case c.Quality == "":
		return fmt.Sprintf("%9.1f", float64(c.Value))
	case c.Trusted:
		return yellow.Render(fmt.Sprintf("%8.1f?", float64(c.Value)))
	}
	return red.Render(fmt.Sprintf("%9s", "–"))
}

// short cuts a text to n columns.
func short(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// events are what has happened, the newest first, each on as many lines at most.
func (s *view) events(width, most int) []string {
	var w []string
	for _, e := range slices.Backward(s.look.Events) {
		if len(w) >= mostShown {
			break
		}
		w = append(w, eventLines(&e, width, most)...)
	}
	if w == nil {
		return []string{faint.Render("none in the last hour")}
	}
	return w
}

// eventLines are an event with its time in front; ! is before what is bad.
func eventLines(e *history.Happening, width, most int) []string {
	text := short(strings.Join(strings.Fields(e.Text), " "), most*(width-11))
	lines := strings.Split(lipgloss.NewStyle().Width(width-11).Render(text), "\n")
	lines = lines[:min(most, len(lines))]
	for i, line := range lines {
		line = strings.TrimRight(line, " ")
		front := strings.Repeat(" ", 11)
		switch {
		case i == 0 && e.Bad:
			front = clock(e.Time) + red.Render(" ! ")
		case i == 0:
			front = clock(e.Time) + "   "
		}
		if e.Bad {
			line = red.Render(line)
		}
		lines[i] = front + line
	}
	return lines
}

func (s *view) advice() string {
	switch {
	case s.look.Advice == "":
		return faint.Render("none")
	case s.look.Unadvised():
		return s.look.Advice
	}
	return yellow.Render(s.look.Advice)
}

func (s *view) sources() []string {
	var w, gone []string
	for i := range s.look.Sources {
		h := &s.look.Sources[i]
		state := red.Render("gone")
		if h.Connected {
			state = green.Render("connected")
		} else {
			gone = append(gone, h.Name)
		}
		w = append(w, fmt.Sprintf("%s %s, %d messages, %d rejected, %d gaps", h.Name, state, h.Messages, h.Rejected, h.Gaps))
	}
	switch {
	case len(w) < 2:
		return w
	case gone != nil:
		return append([]string{red.Render(fmt.Sprintf("%d of %d gone: %s", len(gone), len(w), strings.Join(gone, ", ")))}, w...)
	}
	return append([]string{green.Render(fmt.Sprintf("all %d connected", len(w)))}, w...)
}

func (s *view) journal() string {
	if s.look.Records == 0 {
		return ""
	}
	w := fmt.Sprintf("%d records", s.look.Records)
	if s.look.Waiting >= 0 {
		w += fmt.Sprintf(", %d batches wait for InfluxDB", s.look.Waiting)
	}
	return w
}
