package screen

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
)

// This file shows alarms, and lets the viewer acknowledge them.

const mostListed = 4 // alarms at once; the list moves with the one that is chosen

// press does what a key says to the alarms.
func (s *view) press(key string) {
	n := len(s.alarms.Alarms)
	switch key {
	case "up", "k":
		s.chosen = max(0, s.chosen-1)
	case "down", "j":
		s.chosen = min(max(0, n-1), s.chosen+1)
	case "a":
		if s.chosen < n {
			s.ack(s.alarms.Alarms[s.chosen].Key.String())
		}
	case "A":
		s.ack(alarm.All)
	}
}

// ack acknowledges alarms in the viewer's name.
func (s *view) ack(name string) {
	changed, err := s.Agent.Alarms().Ack(s.Agent.Now(), name, s.Who, "on the screen")
	switch {
	case err != nil:
		s.said = err.Error()
	case len(changed) == 1:
		s.said = changed[0].Key.String() + " is acknowledged"
	default:
		s.said = fmt.Sprintf("%d alarms are acknowledged", len(changed))
	}
	s.lookAtAlarms()
}

func (s *view) lookAtAlarms() {
	s.alarms = s.Agent.Alarms().List()
	s.chosen = min(s.chosen, max(0, len(s.alarms.Alarms)-1))
}

// alarmLines lists alarms, those that nobody has seen first.
func (s *view) alarmLines() string {
	all := s.alarms.Alarms
	if len(all) == 0 {
		return green.Render("none")
	}
	var w []string
	if s.alarms.Flood {
		w = append(w, red.Render("a flood: alarms of low priority are kept back until it is over"))
	}
	from := min(max(0, s.chosen-mostListed+1), max(0, len(all)-mostListed))
	for i := from; i < min(len(all), from+mostListed); i++ {
		a := &all[i]
		mark := "  "
		if i == s.chosen {
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
	if s.said != "" {
		w = append(w, faint.Render("  "+s.said))
	} else if all[0].State.Unseen() {
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
	return fmt.Sprintf("%s: %s (%s since %s)", a.Priority.String(), text, state, time.Unix(0, a.Since).Format("15:04:05"))
}
