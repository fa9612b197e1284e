package screen

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/charmbracelet/lipgloss"

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
			s.snap.Anomalies = append(s.snap.Anomalies, anomaly.Anomaly{Code: anomaly.Innovation, About: anomaly.Subject{Source: anomaly.None}, Since: 1e4})
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
