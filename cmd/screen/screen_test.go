package screen

import (
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/journal"
	"stirwatch/dynamics/filter"
	"stirwatch/sensors"
	"stirwatch/sensors/serialport"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// Whatever the size of the terminal and however much there is to say, nothing is wider or higher.
func TestTheScreenFits(t *testing.T) {
	var channels []sensors.Channel
	for _, name := range []string{"tool_temperature", "set_point", "spindle_speed", "spindle_torque", "spindle_power", "feed_velocity", "feed_torque", "path_velocity"} {
		channels = append(channels, sensors.Channel{Name: name, Unit: unit.MustParse("°C")})
	}
	channels[0].Role = sensors.ToolTemperature
	registry, err := sensors.NewRegistry(channels)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(t.TempDir(), "journal.db"), journal.Options{Machine: "m", Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	source := func(name string) sensors.Source {
		return serialport.New(serialport.Options{Name: name, Decoder: wire.NewJSON(wire.Options{}), Clock: func() int64 { return 0 }})
	}
	c := &Shown{
		Title: "stirwatch demo: a simulated machine at 10× real time", Registry: registry, Journal: j, Uploads: true,
		Sources: []sensors.Source{source("thermocouple"), source("telemetry")},
	}
	for _, size := range [][2]int{{100, 30}, {140, 40}, {80, 24}, {60, 12}, {220, 80}, {40, 5}} {
		s := &view{Shown: c, width: size[0], height: size[1]}
		for k := range 200 {
			s.snap.Time = int64(k) * 1e9
			s.past = append(s.past, point{s.snap.Time, 20 + 3*float64(k)})
		}
		n := registry.Len()
		s.snap.Tick, s.snap.Value, s.snap.Status = 1, make([]float64, n), make([]sensors.Status, n)
		s.snap.Forecast = filter.Forecast{Horizon: []float64{1, 60}, Outputs: []filter.Expected{{Mean: []float64{475, math.NaN()}, Lower: []float64{400, -800}, Upper: []float64{500, 9000}}}}
		s.snap.Advice.Reason = "unreachable: the spindle is at its upper limit of 450 rpm and the temperature 18 K below the set-point of 475 °C; it will be at 460 °C in 60 s"
		for range 12 {
			s.alarms.Alarms = append(s.alarms.Alarms, alarm.Alarm{Key: alarm.Key{Code: anomaly.Innovation, Subject: "tool_temperature"}, State: alarm.Unacknowledged, Priority: anomaly.Medium,
				Text: "tool_temperature: the temperature is not what the model expects, 474.9 °C", Response: anomaly.Of(anomaly.Innovation).Response})
		}
		v := s.View()
		if w, h := lipgloss.Width(v), lipgloss.Height(v); w > size[0] && size[0] >= 60 || h > size[1] {
			t.Errorf("%v: the view takes %d × %d:\n%s", size, w, h, v)
		}
	}
}

func TestScale(t *testing.T) {
	for _, c := range [][4]float64{{470, 480, 10, 5}, {20, 480, 19, 40}, {22, 22, 10, 10}, {-2, 700, 4, 320}} {
		lo, hi := scale(c[0], c[1], int(c[2]))
		if step := (hi - lo) / c[2]; lo > c[0] || hi < c[1] || hi < 100 || math.Mod(lo, step) != 0 || step != c[3] {
			t.Errorf("%g to %g in %g rows: %g to %g", c[0], c[1], c[2], lo, hi)
		}
	}
}

// What the keys do: an alarm is chosen and acknowledged in the viewer's name, then all of them.
func TestAcknowledgeOnTheScreen(t *testing.T) {
	celsius := unit.MustParse("°C")
	registry, err := sensors.NewRegistry([]sensors.Channel{{Name: "a", Unit: celsius, Min: 0, Max: 100}, {Name: "b", Unit: celsius, Min: 0, Max: 100}, {Name: "c", Unit: celsius, Min: 0, Max: 100}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(t.TempDir(), "journal.db"), journal.Options{Machine: "m", Registry: registry, Archive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	a, err := agent.New(agent.Options{Registry: registry, Journal: j, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	if _, err := a.Replay(t.Context(), func() (agent.Row, bool) {
		n++
		r := agent.Row{Time: 1e18 + n*1e9}
		for ch := range sensors.ChannelID(3) {
			r.Samples = append(r.Samples, sensors.Sample{Time: r.Time, Arrival: r.Time, Channel: ch, Value: 500, Status: sensors.OK})
		}
		return r, n < 4
	}, 0); err != nil {
		t.Fatal(err)
	}
	s := &view{Shown: &Shown{Title: "t", Who: "Ann", Agent: a, Registry: registry, Journal: j}, width: 120, height: 40}
	s.look()
	s.snap.Tick = 1
	if v := s.View(); !strings.Contains(v, "▸ medium: a: the value is outside the sensor's range, 500 °C (unacknowledged since ") || !strings.Contains(v, "do: compare") {
		t.Fatalf("%s", v)
	}
	key := func(k string) {
		s.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)})
	}
	key("j")
	key("a")
	if v := s.View(); !strings.Contains(v, "sensor.out_of_range b is acknowledged") || strings.Count(v, "(unacknowledged") != 2 {
		t.Errorf("%s", v)
	}
	key("A")
	if v := s.View(); !strings.Contains(v, "2 alarms are acknowledged") || strings.Count(v, "(acknowledged") != 3 {
		t.Errorf("%s", v)
	}
	for _, x := range a.Alarms().List().Alarms {
		if x.Who != "Ann" {
			t.Errorf("%+v", x)
		}
	}
	key("A")
	if v := s.View(); !strings.Contains(v, "there is no alarm to ack") {
		t.Errorf("%s", v)
	}
}
