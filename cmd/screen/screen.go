// Package screen shows a running agent: as a live view on a terminal, else as lines of text.
package screen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/guptarohit/asciigraph"
	"golang.org/x/term"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/journal"
	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/program"
	"stirwatch/sensors"
)

// Shown is a running agent with what it stands on.
type Shown struct {
	Title    string
	Who      string // the viewer's name, for acknowledgements
	Agent    *agent.Agent
	Registry *sensors.Registry
	Sources  []sensors.Source
	Journal  *journal.Journal
	Uploads  bool // to InfluxDB: the journal's backlog is shown
}

// Show shows c on out until ctx ends or the viewer quits: as a live view where out is a terminal, else as
// a line every two seconds and one whenever an alarm changes.
func Show(ctx context.Context, c *Shown, out io.Writer) error {
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return tell(ctx, c, out)
	}
	_, err := tea.NewProgram(&view{Shown: c, width: 100, height: 32},
		tea.WithContext(ctx), tea.WithAltScreen(), tea.WithOutput(out)).Run()
	if errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	return err
}

func tell(ctx context.Context, c *Shown, out io.Writer) error {
	t := time.NewTicker(redraw)
	defer t.Stop()
	var s agent.Snapshot
	version, said := uint64(0), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		c.Agent.Snapshot(&s)
		now := c.Agent.Alarms().Version()
		if now == version && time.Since(said) < tellEvery {
			continue
		}
		version, said = now, time.Now()
		if s.Tick == 0 {
			fmt.Fprintln(out, "waiting for the first samples")
			continue
		}
		line := time.Unix(0, s.Time).Format("15:04:05") + "  " + temperatureWords(c, &s)
		if s.Program.Name != "" {
			line += "  " + programWords(&s.Program, 2)
		}
		for _, a := range c.Agent.Alarms().List().Alarms {
			line += "  [" + alarmWords(&a) + "]"
		}
		if s.Advice.Reason != "" {
			line += "  " + s.Advice.Reason
		}
		fmt.Fprintln(out, line)
	}
}

// temperatureWords is "tool 474.9 °C, in 60 s 476 °C if nothing stops (95 %: 467 to 485), 310 (290 to 330) if it stops
// now", or why there is none.
func temperatureWords(c *Shown, s *agent.Snapshot) string {
	id, ok := c.Registry.Find(sensors.ToolTemperature)
	if !ok {
		return "no tool temperature"
	}
	w := "tool " + s.Status[id].String()
	if s.Status[id].IsGood() {
		w = fmt.Sprintf("tool %.1f %s", s.Value[id], c.Registry.Channel(id).Unit)
	}
	n := len(s.Forecast.Horizon)
	if x := leading(s); x != nil && n > 0 && !math.IsNaN(x.Mean[n-1]) {
		w += fmt.Sprintf(", in %.0f s %.0f °C", s.Forecast.Horizon[n-1], x.Mean[n-1])
		if condition := s.Forecast.Condition(); condition != "" {
			w += " " + condition
		}
		w += fmt.Sprintf(" (95 %%: %.0f to %.0f)", x.Lower[n-1], x.Upper[n-1])
		if b := &x.Stopped; len(b.Mean) >= n {
			w += fmt.Sprintf(", %.0f (%.0f to %.0f) if it stops now", b.Mean[n-1], b.Lower[n-1], b.Upper[n-1])
		}
	}
	return w
}

// programWords is "bar.nc line 31, layer 3: layer 4 starts in 31 s, reload in 40 s", or why there is none.
func programWords(p *agent.Programmed, most int) string {
	switch {
	case p.Name == "":
		return "none"
	case p.State == program.Misfit:
		return p.Name + " does not fit and is not used: " + p.Why
	case p.State != program.Following:
		return p.Name + ": " + p.State.String()
	}
	w := fmt.Sprintf("%s line %d", p.Name, p.Line)
	if p.Layer >= 0 {
		w += fmt.Sprintf(", layer %d", p.Layer)
	}
	var next []string
	for _, e := range p.Next[:min(most, len(p.Next))] {
		next = append(next, e.String())
	}
	if len(next) > 0 {
		w += ": " + strings.Join(next, ", ")
	}
	return w
}

// leading is the forecast of the leading output, nil without a model.
func leading(s *agent.Snapshot) *filter.Expected {
	if len(s.Forecast.Outputs) == 0 {
		return nil
	}
	return &s.Forecast.Outputs[s.Leading]
}

// forecastWords say on whom the forecast at the longest horizon rests, or are empty where there is none.
func forecastWords(s *agent.Snapshot, unit string) string {
	x, n := leading(s), len(s.Forecast.Horizon)
	if x == nil || n == 0 || len(x.By) < n || math.IsNaN(x.Mean[n-1]) {
		return ""
	}
	by := &x.By[n-1]
	w := fmt.Sprintf("in %.0f s by %s", s.Forecast.Horizon[n-1], by.Text(unit))
	if doubt := by.Doubt.Text(); doubt != "" {
		w += "; " + doubt
	}
	return w
}

// whyWords splits the change that is forecast over what causes it, the largest first, or is empty without a
// model.
func whyWords(a *filter.Attribution, ahead float64, unit string) string {
	if len(a.Cause) == 0 || math.IsNaN(a.Total) {
		return ""
	}
	causes := slices.Clone(a.Cause)
	slices.SortStableFunc(causes, func(a, b filter.Cause) int { return cmp.Compare(math.Abs(b.Share), math.Abs(a.Share)) })
	var parts []string
	for _, c := range causes {
		if math.Abs(c.Share) < 0.5 {
			continue
		}
		part := fmt.Sprintf("%s %+.0f", c.Name, c.Share)
		if !math.IsNaN(c.From) {
			part += fmt.Sprintf(" (%.4g → %.4g %s)", c.From, c.To, c.Unit)
		}
		parts = append(parts, part)
	}
	w := fmt.Sprintf("%+.0f %s in the next %.0f s", a.Total, unit, ahead)
	if parts == nil {
		return w
	}
	return w + " = " + strings.Join(parts, ", ")
}

// view is the live view.
type view struct {
	*Shown
	width, height int
	snap          agent.Snapshot
	past          []point // of the last pastSpan
	alarms        alarm.Listing
	chosen        int    // of the alarms
	said          string // what came of the last key
}

type point struct {
	t    int64
	temp float64
}

const (
	pastSpan   = 3 * time.Minute
	futureSpan = time.Minute
	redraw     = 250 * time.Millisecond
	tellEvery  = 2 * time.Second
)

type redrawMsg struct{}

func redrawSoon() tea.Msg { time.Sleep(redraw); return redrawMsg{} }

// Init implements tea.Model.
func (s *view) Init() tea.Cmd { return redrawSoon }

// Update implements tea.Model.
func (s *view) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.KeyMsg:
		switch m.String() {
		case "q", "esc", "ctrl+c":
			return s, tea.Quit
		default:
			s.said = ""
			s.press(m.String())
		}
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case redrawMsg:
		s.look()
		return s, redrawSoon
	}
	return s, nil
}

// look takes the newest snapshot and remembers the temperature for the chart.
func (s *view) look() {
	s.Agent.Snapshot(&s.snap)
	s.lookAtAlarms()
	if s.snap.Tick == 0 {
		return
	}
	temp := math.NaN()
	if id, ok := s.Registry.Find(sensors.ToolTemperature); ok && s.snap.Status[id].IsGood() {
		temp = s.snap.Value[id]
	}
	s.past = append(s.past, point{s.snap.Time, temp})
	for len(s.past) > 1 && s.snap.Time-s.past[0].t > int64(pastSpan) {
		s.past = s.past[1:]
	}
}

var (
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	green  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	yellow = lipgloss.NewStyle().Foreground(lipgloss.Color("3"))
	red    = lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Bold(true)
)

const (
	labels     = 13 // columns of the words in front of the lines below the chart
	axis       = 6  // columns of the chart's scale
	leastChart = 24 // columns; where there is less room, there is no chart
	leastRows  = 4
	mostRows   = 24
)

// View implements tea.Model. No line is wider than the screen, and there are no more than fit.
func (s *view) View() string {
	if s.snap.Tick == 0 {
		return bold.Render(s.Title) + "\n\nwaiting for the first samples …  q quits"
	}
	state := faint.Render("no run")
	if s.snap.Running {
		state = green.Render("run")
	}
	head := s.clip(bold.Render(s.Title) + "  " + time.Unix(0, s.snap.Time).Format("15:04:05") + "  " + state + "  " + faint.Render("q quits"))
	foot := lipgloss.JoinVertical(lipgloss.Left,
		s.line("Temperature", temperatureWords(s.Shown, &s.snap)),
		s.line("Program", programWords(&s.snap.Program, 4)),
		s.line("Forecast", s.forecast()),
		s.line("Why", s.why()),
		s.line("Advice", s.advice()),
		s.line("Alarms", s.alarmLines()),
		s.line("Sources", s.sources()),
		s.line("Journal", s.journal()),
	)
	rows := s.height - lipgloss.Height(foot) - 3 // for the two sides between
	left := s.channels(rows)
	middle := left
	if width := s.width - lipgloss.Width(left) - 3 - axis; width >= leastChart && rows >= leastRows+3 {
		middle = lipgloss.JoinHorizontal(lipgloss.Top, left, "   ", s.chart(width, min(mostRows, rows)))
	}
	all := strings.Split(strings.Join([]string{head, "", middle, "", foot}, "\n"), "\n")
	return strings.Join(all[:min(len(all), max(1, s.height))], "\n")
}

func (s *view) forecast() string {
	if w := forecastWords(&s.snap, "°C"); w != "" {
		return w
	}
	return "none"
}

func (s *view) why() string {
	if len(s.snap.Why) > 0 {
		if w := whyWords(&s.snap.Why[s.snap.Leading], s.snap.WhyAhead, "°C"); w != "" {
			return w
		}
	}
	return "no forecast"
}

// clip cuts a line to the screen.
func (s *view) clip(line string) string { return lipgloss.NewStyle().MaxWidth(s.width).Render(line) }

// line is a word in front and a text that is wrapped behind it.
func (s *view) line(word, text string) string {
	return lipgloss.JoinHorizontal(lipgloss.Top, bold.Width(labels).Render(word), lipgloss.NewStyle().Width(max(20, s.width-labels)).Render(text))
}

// channels lists as many channels as there are rows.
func (s *view) channels(rows int) string {
	var b strings.Builder
	for i, n := 0, s.Registry.Len(); i < n; i++ {
		if i == rows-1 && i < n-1 {
			b.WriteString(faint.Render(fmt.Sprintf("and %d more", n-i)))
			break
		}
		c := s.Registry.Channel(sensors.ChannelID(i))
		value := red.Render(fmt.Sprintf("%10s", "–"))
		switch st := s.snap.Status[i]; {
		case st.IsGood():
			value = fmt.Sprintf("%10.1f", s.snap.Value[i])
		case st.Signal == sensors.OutOfSpecification:
			value = yellow.Render(fmt.Sprintf("%10.1f", s.snap.Value[i]))
		}
		fmt.Fprintf(&b, "%-18s %s %-7s\n", c.Name, value, c.Unit)
	}
	return strings.TrimRight(b.String(), "\n")
}

// chart draws the past and the forecast on one time axis, in rows lines.
func (s *view) chart(width, rows int) string {
	columns := func() []float64 {
		v := make([]float64, width)
		for i := range v {
			v[i] = math.NaN()
		}
		return v
	}
	measured, mean, upper, lower := columns(), columns(), columns(), columns()
	at := func(d time.Duration) int {
		return int(math.Round(float64(width-1) * float64(d+pastSpan) / float64(pastSpan+futureSpan)))
	}
	for i, p := range s.past {
		c := min(max(at(time.Duration(p.t-s.snap.Time)), 0), width-1)
		measured[c] = p.temp
		if i == 0 {
			continue
		}
		for k := max(at(time.Duration(s.past[i-1].t-s.snap.Time)), 0) + 1; k < c; k++ { // between two looks
			measured[k] = p.temp
		}
	}
	now := at(0)
	f := &s.snap.Forecast
	x := leading(&s.snap)
	for c := now + 1; c < width && x != nil && len(f.Horizon) > 1; c++ {
		h := float64(c-now) / float64(width-1-now) * futureSpan.Seconds()
		for k := 1; k < len(f.Horizon); k++ {
			if h <= f.Horizon[k] {
				w := max(0, (h-f.Horizon[k-1])/(f.Horizon[k]-f.Horizon[k-1]))
				between := func(v []float64) float64 { return v[k-1] + w*(v[k]-v[k-1]) }
				mean[c], upper[c], lower[c] = between(x.Mean), between(x.Upper), between(x.Lower)
				break
			}
		}
	}
	// The scale belongs to what is measured and expected; the interval may leave the chart.
	lo, hi := math.Inf(1), math.Inf(-1)
	for i := range width {
		for _, v := range []float64{measured[i], mean[i]} {
			if !math.IsNaN(v) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	if lo > hi {
		return faint.Render("no temperature to draw")
	}
	lo, hi = scale(lo, hi, rows-3)
	for i := range width {
		for _, v := range [][]float64{upper, lower} {
			if v[i] < lo || v[i] > hi {
				v[i] = math.NaN()
			}
		}
	}
	legend := lipgloss.NewStyle().MaxWidth(axis + width).Render("tool temperature, °C  " + green.Render("measured") + "  " + yellow.Render("forecast") + "  " + faint.Render("95 % interval"))
	plot := asciigraph.PlotMany([][]float64{lower, upper, mean, measured},
		asciigraph.Height(rows-3), asciigraph.LowerBound(lo), asciigraph.UpperBound(hi), asciigraph.Precision(0),
		asciigraph.SeriesColors(asciigraph.Gray, asciigraph.Gray, asciigraph.Yellow, asciigraph.Green))
	// The time axis: a word every minute.
	ticks := []rune(strings.Repeat(" ", axis+width))
	for m := -pastSpan; m <= futureSpan; m += time.Minute {
		word := []rune(fmt.Sprintf("%+.0f min", m.Minutes()))
		if m == 0 {
			word = []rune("now")
		}
		copy(ticks[max(0, min(axis+at(m)-len(word)/2, len(ticks)-len(word))):], word)
	}
	return legend + "\n" + plot + "\n" + faint.Render(string(ticks))
}

// scale widens lo to hi, °C, to rows steps of a round size.
func scale(lo, hi float64, rows int) (float64, float64) {
	step, low, high := 5.0, 0, 0
	for ; ; step *= 2 {
		low, high = int(math.Floor(lo/step)), int(math.Ceil(hi/step))
		if high = max(high, int(math.Ceil(100/step))); high-low <= rows {
			break
		}
	}
	for high-low < rows {
		if high++; high-low < rows && low > 0 {
			low--
		}
	}
	return float64(low) * step, float64(high) * step
}

func (s *view) advice() string {
	a := &s.snap.Advice
	switch {
	case a.Reason == "":
		return faint.Render("none: the configuration has no process section")
	case a.Kind == control.Hold:
		return green.Render(a.Reason)
	case a.Kind == control.NoAdvice:
		return faint.Render(a.Reason)
	default:
		return yellow.Render(a.Reason)
	}
}

func (s *view) sources() string {
	var w []string
	for _, src := range s.Sources {
		h := src.Health().Snapshot()
		state := red.Render("gone")
		if h.Connected {
			state = green.Render("connected")
		}
		w = append(w, fmt.Sprintf("%s %s, %d messages, %d rejected, %d gaps", src.Name(), state, h.Messages, h.Rejected, h.Gaps))
	}
	return strings.Join(w, "\n")
}

func (s *view) journal() string {
	st := s.Journal.Stats()
	w := fmt.Sprintf("%d records", st.Lines)
	if s.Uploads {
		if b, err := s.Journal.Backlog(); err == nil {
			w += fmt.Sprintf(", %d batches wait for InfluxDB", b.Batches)
		}
	}
	return w
}
