package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/guptarohit/asciigraph"
	"golang.org/x/term"

	"stirwatch/agent"
	"stirwatch/control"
	"stirwatch/dynamics"
	"stirwatch/sensors"
)

// show shows a running cell until ctx ends or the viewer quits: as a live screen on a terminal,
// else as a line every two seconds.
func show(ctx context.Context, c *cell, title string, out io.Writer) error {
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return tell(ctx, c, out)
	}
	_, err := tea.NewProgram(&screen{cell: c, title: title, width: 100, height: 32},
		tea.WithContext(ctx), tea.WithAltScreen(), tea.WithOutput(out)).Run()
	if errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	return err
}

// tell prints one line every two seconds.
func tell(ctx context.Context, c *cell, out io.Writer) error {
	t := time.NewTicker(2 * time.Second)
	defer t.Stop()
	var s agent.Snapshot
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		c.agent.Snapshot(&s)
		if s.Tick == 0 {
			fmt.Fprintln(out, "waiting for the first samples")
			continue
		}
		line := time.Unix(0, s.Time).Format("15:04:05") + "  " + temperatureWords(c, &s)
		for _, a := range s.Anomalies {
			line += "  [" + anomalyWords(c, a) + "]"
		}
		if s.Advice.Reason != "" {
			line += "  " + s.Advice.Reason
		}
		fmt.Fprintln(out, line)
	}
}

// temperatureWords is "tool 474.9 °C, in 60 s 476 ± 9 °C", or why there is none.
func temperatureWords(c *cell, s *agent.Snapshot) string {
	id, ok := c.registry.Find(sensors.ToolTemperature)
	if !ok {
		return "no tool temperature"
	}
	w := "tool " + s.Status[id].String()
	if s.Status[id].IsGood() {
		w = fmt.Sprintf("tool %.1f %s", s.Value[id], c.registry.Channel(id).Unit)
	}
	if n := len(s.Forecast.Mean); n > 0 && !math.IsNaN(s.Forecast.Mean[n-1]) {
		w += fmt.Sprintf(", in %.0f s %.0f °C (95 %%: %.0f to %.0f)", s.Forecast.Horizon[n-1], s.Forecast.Mean[n-1], s.Forecast.Lower[n-1], s.Forecast.Upper[n-1])
	}
	return w
}

func anomalyWords(c *cell, a dynamics.Anomaly) string {
	w := a.Code.Text()
	if a.Index >= 0 {
		w = c.registry.Channel(sensors.ChannelID(a.Index)).Name + ": " + w
	}
	return fmt.Sprintf("%s, %.0f s", w, a.Since)
}

// screen is the live view.
type screen struct {
	cell          *cell
	title         string
	width, height int
	snap          agent.Snapshot
	past          []point // of the last pastSpan
}

type point struct {
	t    int64
	temp float64
}

const (
	pastSpan   = 3 * time.Minute
	futureSpan = time.Minute
	redraw     = 250 * time.Millisecond
)

type redrawMsg struct{}

func redrawSoon() tea.Msg { time.Sleep(redraw); return redrawMsg{} }

// Init implements tea.Model.
func (s *screen) Init() tea.Cmd { return redrawSoon }

// Update implements tea.Model.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.KeyMsg:
		switch m.String() {
		case "q", "esc", "ctrl+c":
			return s, tea.Quit
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
func (s *screen) look() {
	s.cell.agent.Snapshot(&s.snap)
	if s.snap.Tick == 0 {
		return
	}
	temp := math.NaN()
	if id, ok := s.cell.registry.Find(sensors.ToolTemperature); ok && s.snap.Status[id].IsGood() {
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

// View implements tea.Model.
func (s *screen) View() string {
	if s.snap.Tick == 0 {
		return bold.Render(s.title) + "\n\nwaiting for the first samples … q quits\n"
	}
	left := s.channels()
	chart := s.chart(max(30, s.width-lipgloss.Width(left)-14), max(6, min(16, s.height-16)))
	state := faint.Render("no run")
	if s.snap.Running {
		state = green.Render("run")
	}
	return strings.Join([]string{
		bold.Render(s.title) + "  " + time.Unix(0, s.snap.Time).Format("2006-01-02 15:04:05") + "  " + state + "  " + faint.Render("q quits"),
		"",
		lipgloss.JoinHorizontal(lipgloss.Top, left, "   ", chart),
		"",
		bold.Render("Temperature  ") + temperatureWords(s.cell, &s.snap),
		bold.Render("Advice       ") + s.advice(),
		bold.Render("Anomalies    ") + s.anomalies(),
		bold.Render("Sources      ") + s.sources(),
		bold.Render("Journal      ") + s.journal(),
	}, "\n")
}

func (s *screen) channels() string {
	var b strings.Builder
	for i := range s.cell.registry.Len() {
		c := s.cell.registry.Channel(sensors.ChannelID(i))
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

// chart draws the past and the forecast fan on one time axis.
func (s *screen) chart(width, height int) string {
	columns := func() []float64 {
		v := make([]float64, width)
		for i := range v {
			v[i] = math.NaN()
		}
		return v
	}
	measured, mean, upper, lower := columns(), columns(), columns(), columns()
	at := func(t int64) int {
		return int(float64(width-1) * float64(t-s.snap.Time+int64(pastSpan)) / float64(pastSpan+futureSpan))
	}
	any := false
	for i, p := range s.past {
		for c := at(p.t); i > 0 && c > 0 && c > at(s.past[i-1].t)+1; c-- { // fill columns between two looks
			measured[min(c-1, width-1)] = p.temp
		}
		measured[min(max(at(p.t), 0), width-1)] = p.temp
		any = any || !math.IsNaN(p.temp)
	}
	f := &s.snap.Forecast
	for c := at(s.snap.Time) + 1; c < width && len(f.Mean) > 1; c++ {
		h := float64(c)*float64(pastSpan+futureSpan)/float64(width-1)/1e9 - pastSpan.Seconds()
		for k := 1; k < len(f.Horizon); k++ {
			if h <= f.Horizon[k] {
				w := (h - f.Horizon[k-1]) / (f.Horizon[k] - f.Horizon[k-1])
				between := func(v []float64) float64 { return v[k-1] + w*(v[k]-v[k-1]) }
				mean[c], upper[c], lower[c] = between(f.Mean), between(f.Upper), between(f.Lower)
				any = any || !math.IsNaN(mean[c])
				break
			}
		}
	}
	if !any {
		return faint.Render("no temperature to draw")
	}
	return asciigraph.PlotMany([][]float64{lower, upper, mean, measured},
		asciigraph.Height(height), asciigraph.Precision(0),
		asciigraph.SeriesColors(asciigraph.DarkGray, asciigraph.DarkGray, asciigraph.Yellow, asciigraph.Green),
		asciigraph.Caption("tool temperature, °C: the last 3 minutes, and the next with its 95 % interval"))
}

func (s *screen) advice() string {
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

func (s *screen) anomalies() string {
	if len(s.snap.Anomalies) == 0 {
		return green.Render("none")
	}
	var w []string
	for _, a := range s.snap.Anomalies {
		w = append(w, red.Render(anomalyWords(s.cell, a)))
	}
	return strings.Join(w, "\n             ")
}

func (s *screen) sources() string {
	var w []string
	for _, src := range s.cell.sources {
		h := src.Health().Snapshot()
		state := red.Render("gone")
		if h.Connected {
			state = green.Render("connected")
		}
		w = append(w, fmt.Sprintf("%s %s, %d messages, %d rejected, %d gaps", src.Name(), state, h.Messages, h.Rejected, h.Gaps))
	}
	return strings.Join(w, "\n             ")
}

func (s *screen) journal() string {
	st := s.cell.journal.Stats()
	w := fmt.Sprintf("%d records", st.Lines)
	if s.cell.uploader != nil {
		if b, err := s.cell.journal.Backlog(); err == nil {
			w += fmt.Sprintf(", %d batches wait for InfluxDB", b.Batches)
		}
	}
	return w
}
