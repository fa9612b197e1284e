// Package screen shows a running agent, or one by its journal: as a live view on a terminal, otherwise as lines of text.
package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

const (
	pastSpan   = 3 * time.Minute
	futureSpan = time.Minute
	redraw     = 250 * time.Millisecond
	tellEvery  = 2 * time.Second
)

// Show shows c on out until ctx ends or the viewer quits: as a live view where out is a terminal, which leaves the last
// state and a summary there, else as a line every two seconds and one whenever an alarm changes.
func Show(ctx context.Context, c *Shown, out io.Writer) error {
	if !terminal(out) {
		return tell(ctx, c, out)
	}
	v := &view{Shown: c, ctx: ctx, width: 100, height: 32}
	_, err := tea.NewProgram(v, tea.WithContext(ctx), tea.WithAltScreen(), tea.WithOutput(out)).Run()
	if errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, tea.ErrInterrupted) {
		err = nil
	}
	if err == nil {
		fmt.Fprintln(out, v.last())
	}
	return err
}

// Once writes one line about c.
func Once(ctx context.Context, c *Shown, out io.Writer) error {
	l, err := c.Look(ctx)
	if err == nil {
		_, err = fmt.Fprintln(out, toldLine(&l))
	}
	return err
}

func tell(ctx context.Context, c *Shown, out io.Writer) error {
	t := time.NewTicker(redraw)
	defer t.Stop()
	alarms, said, lost := "", time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		l, err := c.Look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !lost:
			lost = true
			fmt.Fprintln(out, time.Now().Format("15:04:05")+"  lost: "+err.Error()+"; it is asked again until it answers")
			continue
		case err != nil:
			continue
		case lost:
			lost = false
			fmt.Fprintln(out, time.Now().Format("15:04:05")+"  it answers again")
		}
		now := ""
		for i := range l.Alarms.Alarms {
			now += l.Alarms.Alarms[i].Key.String() + " " + l.Alarms.Alarms[i].State.String() + "\n"
		}
		if now == alarms && time.Since(said) < tellEvery {
			continue
		}
		alarms, said = now, time.Now()
		fmt.Fprintln(out, toldLine(&l))
	}
}

// toldLine is a look as one line of text.
func toldLine(l *Look) string {
	if l.Time == 0 {
		return "waiting for the first samples"
	}
	line := clock(l.Time) + "  " + strings.Join(temperatureWords(l), ", ")
	if l.Program != "" {
		line += "  " + l.Program
	}
	for i := range l.Alarms.Alarms {
		line += "  [" + alarmWords(&l.Alarms.Alarms[i]) + "]"
	}
	if l.Advice != "" {
		line += "  " + l.Advice
	}
	return line
}

// clock is the local time of an instant, ns since the Unix epoch.
func clock(ns int64) string { return time.Unix(0, ns).Format("15:04:05") }

// temperatureWords are "tool_temperature 474.9 °C", "in 60 s 476 °C if nothing stops (95 %: 467 to 485)" and "310 °C
// (290 to 330) if it stops now"; of the latter what there is.
func temperatureWords(l *Look) []string {
	if l.Lead < 0 || l.Lead >= len(l.Channels) {
		return []string{"no tool temperature: no channel `is: tool temperature`"}
	}
	r := &l.Channels[l.Lead]
	w := []string{r.Name + " " + r.Quality}
	if r.Quality == "" {
		w[0] = fmt.Sprintf("%s %.1f %s", r.Name, float64(r.Value), r.Unit)
	}
	for _, more := range []string{l.Expected.Text(), l.Expected.StoppedText()} {
		if more != "" {
			w = append(w, more)
		}
	}
	return w
}

// view is the live view. All of it belongs to the goroutine of its tea.Program.
type view struct {
	*Shown
	ctx           context.Context
	width, height int
	look          Look
	err           error     // why the last look failed; look is then of before
	lost          time.Time // when it began to fail
	chosen        int       // of the alarms
	said          string    // what came of the last key
	seen          summary
}

// summary is what has been seen, for the end.
type summary struct {
	from      int64 // of the first look, ns since the Unix epoch; 0: none yet
	low, high float64
	lost      int // times that nobody answered
}

type lookMsg struct {
	look Look
	err  error
}

// lookNow takes a look beside the view, which goes on meanwhile.
func (s *view) lookNow() tea.Msg {
	l, err := s.Look(s.ctx)
	return lookMsg{l, err}
}

// Init implements tea.Model.
func (s *view) Init() tea.Cmd { return s.lookNow }

// Update implements tea.Model.
func (s *view) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.KeyMsg:
		switch m.String() {
		case "q", "esc", "ctrl+c":
			return s, tea.Quit
		default:
			s.said = ""
			return s, s.press(m.String())
		}
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case ackedMsg:
		s.said = string(m)
	case lookMsg:
		s.take(m)
		return s, tea.Tick(redraw, func(time.Time) tea.Msg { return s.lookNow() })
	}
	return s, nil
}

// take makes a look the newest.
func (s *view) take(m lookMsg) {
	if m.err != nil {
		if s.err == nil {
			s.lost = time.Now()
			s.seen.lost++
		}
		s.err = m.err
		return
	}
	s.err, s.look = nil, m.look
	s.chosen = min(s.chosen, max(0, len(s.look.Alarms.Alarms)-1))
	if s.look.Time == 0 {
		return
	}
	if s.seen.from == 0 {
		s.seen = summary{s.look.Time, math.Inf(1), math.Inf(-1), s.seen.lost}
	}
	if s.look.Good() {
		v := float64(s.look.Channels[s.look.Lead].Value)
		s.seen.low, s.seen.high = min(s.seen.low, v), max(s.seen.high, v)
	}
}

// last is what stays on the terminal: the last state, and a summary of what was seen.
func (s *view) last() string {
	words := s.summary()
	if s.look.Time == 0 {
		return words
	}
	s.height = max(1, s.height-strings.Count(words, "\n")-5) // with the shell's next line it stays in sight
	s.said = ""
	return s.frame(true) + "\n\n" + words
}

// summary is "watched 4m10s: tool_temperature 21.3 to 478.9 °C, events: 12, alarms or losses among them: 3".
func (s *view) summary() string {
	if s.seen.from == 0 {
		w := "nothing was seen"
		if s.err != nil {
			w += ": " + s.err.Error()
		}
		return w
	}
	w := fmt.Sprintf("watched %v until %s:", time.Duration(s.look.Time-s.seen.from).Round(time.Second), clock(s.look.Time))
	if s.seen.low <= s.seen.high {
		r := &s.look.Channels[s.look.Lead]
		w += fmt.Sprintf(" %s %.1f to %.1f %s,", r.Name, s.seen.low, s.seen.high, r.Unit)
	}
	events, bad := 0, 0
	for _, e := range s.look.Events {
		if e.Time >= s.seen.from {
			events++
			if e.Bad {
				bad++
			}
		}
	}
	w += fmt.Sprintf(" events: %d, alarms or losses among them: %d; alarms that are not normal now: %d", events, bad, len(s.look.Alarms.Alarms))
	if s.seen.lost > 0 {
		w += fmt.Sprintf("; times that the agent was lost: %d", s.seen.lost)
	}
	return w
}
