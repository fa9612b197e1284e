package screen

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
)

// This file shows alarms, and lets the viewer acknowledge them.

const mostListed = 4 // alarms at once; the list moves with the one that is chosen

// ackedMsg says what came of acknowledging.
type ackedMsg string

// press does what a key says to the alarms.
func (s *view) press(key string) tea.Cmd {
	all := s.look.Alarms.Alarms
	switch key {
	case "up", "k":
		s.chosen = max(0, s.chosen-1)
	case "down", "j":
		s.chosen = min(max(0, len(all)-1), s.chosen+1)
	case "a":
		if s.chosen < len(all) {
			return s.ack(all[s.chosen].Key.String())
		}
	case "A":
		return s.ack(alarm.All)
	}
	return nil
}

// ack acknowledges alarms, beside the view.
func (s *view) ack(name string) tea.Cmd {
	if s.Ack == nil {
		s.said = "alarms are acknowledged where the agent runs: 'stirwatch watch' without --journal, or 'stirwatch alarms ack'"
		return nil
	}
	return func() tea.Msg {
		changed, err := s.Ack(s.ctx, name)
		switch {
		case err != nil:
			return ackedMsg(err.Error())
		case len(changed) == 1:
			return ackedMsg(changed[0].Key.String() + " is acknowledged")
		}
		return ackedMsg(fmt.Sprintf("%d alarms are acknowledged", len(changed)))
	}
}

// alarmLines lists alarms, those that nobody has seen first.
func (s *view) alarmLines(last bool) string {
	all := s.look.Alarms.Alarms
	if len(all) == 0 {
		return green.Render("none")
	}
	var w []string
	if s.look.Alarms.Flood {
		w = append(w, red.Render("a flood: alarms of low priority are kept back until it is over"))
	}
	from := min(max(0, s.chosen-mostListed+1), max(0, len(all)-mostListed))
	for i := from; i < min(len(all), from+mostListed); i++ {
		a := &all[i]
		mark := "  "
		if i == s.chosen && !last {
			mark = "▸ "
		}
		w = append(w, mark+alarmStyle(a).Render(alarmWords(a)))
	}
	if more := len(all) - from - mostListed; more > 0 {
		w = append(w, faint.Render(fmt.Sprintf("  and %d more", more)))
	}
	if a := &all[s.chosen]; a.State.Unseen() {
		w = append(w, faint.Render("  do: "+a.Response))
	}
	if all[0].State.Unseen() && !last && s.Ack != nil {
		w = append(w, faint.Render("  ↑ ↓ choose, a acknowledges, A acknowledges all"))
	}
	return strings.Join(w, "\n")
}

func alarmStyle(a *alarm.Alarm) lipgloss.Style {
	switch {
	case !a.State.Unseen():
		return faint
	case a.Priority == anomaly.Low:
		return yellow
	}
	return red
}

// alarmWords is "medium: tool: the sensor reports a failure, -2 °C (returned since 10:04:05)".
func alarmWords(a *alarm.Alarm) string {
	state := a.State.String()
	if a.State == alarm.Suppressed {
		state += ", " + a.Why
	}
	text := a.Text
	if text == "" {
		text = a.Key.String()
	}
	return fmt.Sprintf("%s: %s (%s since %s)", a.Priority.String(), text, state, clock(a.Since))
}
