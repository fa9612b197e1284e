package screen

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

var update = flag.Bool("update", false, "write the golden frames anew")

func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// full is a look with much to say.
func full() Look {
	const now = 1_790_000_000_000_000_000
	l := Look{View: agent.View{Time: now, Running: true, Phase: "deposit", Lead: 0, Records: 16851, Waiting: 2,
		Why:     "+7 °C in the next 30 s = settling +5, spindle power +2 (7565 → 7717 W)",
		Program: "bar.nc line 31, layer 3: layer 4 starts in 31 s, reload in 40 s",
		Advice:  "unreachable: the spindle is at its upper limit of 450 rpm and the temperature 18 K below the set-point of 475 °C; it will be at 460 °C in 60 s", Kind: "unreachable",
	}}
	for _, name := range []string{"tool_temperature", "set_point", "spindle_speed", "spindle_torque", "spindle_power", "feed_velocity", "feed_torque", "path_velocity"} {
		l.Channels = append(l.Channels, agent.Reading{Name: name, Unit: "°C", Value: 457.25, Trusted: true})
	}
	l.Channels[2].Quality, l.Channels[3] = "out_of_specification: out_of_range", agent.Reading{Name: "spindle_torque", Unit: "N·m", Quality: "missing"}
	x := &l.Expected
	x.Unit, x.Condition, x.By = "°C", "if nothing stops", "in 60 s by set-point 96 %, 7.4 °C off; held 12.2; plan 7.5 (2.5 windows)"
	for _, h := range []float64{1, 10, 30, 60} {
		x.Horizon = append(x.Horizon, h)
		add := func(to *[]agent.Number, v float64) { *to = append(*to, agent.Number(v)) }
		add(&x.Mean, 457+h/4)
		add(&x.Lower, 455-h/4)
		add(&x.Upper, 459+h/2)
		add(&x.Stopped.Mean, 457-4*h)
		add(&x.Stopped.Lower, 455-5*h)
		add(&x.Stopped.Upper, 459-3*h)
	}
	for k := range 360 {
		v := 457.25 + 12*math.Sin(float64(k)/20)
		if k < 60 {
			v = 200 + 4*float64(k)
		}
		if k > 200 && k < 220 {
			v = math.NaN()
		}
		l.Points = append(l.Points, history.Point{Time: now - int64(360-k)*5e8, Value: v})
	}
	for k := range 12 {
		l.Alarms.Alarms = append(l.Alarms.Alarms, alarm.Alarm{Key: alarm.Key{Code: anomaly.Innovation, Subject: "tool_temperature"}, State: alarm.Unacknowledged, Priority: anomaly.Medium, Since: now - int64(k)*1e9,
			Text: "tool_temperature: the temperature is not what the model expects, 474.9 °C", Response: anomaly.Of(anomaly.Innovation).Response})
		l.Events = append(l.Events, history.Happening{Time: now - int64(600-10*k)*1e9, Text: fmt.Sprintf("telemetry gap: %d messages are missing in the sequence of the device", k), Bad: k%4 == 0})
	}
	for _, name := range []string{"thermocouple", "telemetry"} {
		l.Sources = append(l.Sources, agent.SourceState{Name: name, Snapshot: sensors.Snapshot{Connected: name == "telemetry", Messages: 621}})
	}
	return l
}

func shown(l Look, width, height int) *view {
	s := &view{Shown: &Shown{Title: "stirwatch watch: cell-1", Ack: func(context.Context, string) ([]alarm.Alarm, error) { return nil, nil }}, ctx: context.Background(), width: width, height: height}
	s.take(lookMsg{look: l})
	return s
}

// The frames at the two sizes that people have, as they are.
func TestGoldenFrames(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		got := shown(full(), size[0], size[1]).View() + "\n"
		path := filepath.Join("testdata", fmt.Sprintf("%dx%d.txt", size[0], size[1]))
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs; -update writes it anew:\n%s", path, got)
		}
		for _, mark := range []string{"● measured", "+ if nothing stops", "· 95 %", "× if it stops", "Events", "q quits"} {
			if !strings.Contains(got, mark) {
				t.Errorf("%v: no %q", size, mark)
			}
		}
	}
}

// Whatever the size of the terminal and however much there is to say, nothing is wider or higher, and the answer to a
// key is in sight.
func TestTheScreenFits(t *testing.T) {
	for _, width := range []int{1, 2, 7, 20, 40, 60, 79, 80, 81, 100, 132, 200, 239} {
		for _, height := range []int{1, 2, 3, 5, 10, 23, 24, 25, 40, 60, 89} {
			s := shown(full(), width, height)
			s.said = "done"
			v := s.View()
			if width >= 4 && height >= 2 && !strings.Contains(v, s.said) {
				t.Errorf("%d × %d: the answer to a key is not there:\n%s", width, height, v)
			}
			if w, h := lipgloss.Width(v), lipgloss.Height(v); w > width || h > height {
				t.Fatalf("%d × %d: the view takes %d × %d:\n%s", width, height, w, h, v)
			}
		}
	}
}

func TestScale(t *testing.T) {
	for _, c := range [][4]float64{{470, 480, 10, 2}, {20, 480, 19, 30}, {22, 22, 10, 10}, {-2, 700, 4, 300}, {0, 480, 40, 12}, {455, 500, 40, 2}} {
		lo, hi := scale(c[0], c[1], int(c[2]))
		if step := (hi - lo) / c[2]; lo > c[0] || hi < c[1] || hi < 100 || math.Mod(lo, step) != 0 || step != c[3] {
			t.Errorf("%g to %g in %g rows: %g to %g", c[0], c[1], c[2], lo, hi)
		}
	}
}

// An agent that goes away leaves its last state in sight, with a word; it is gone from the words when it answers again.
func TestLostAndBack(t *testing.T) {
	s := shown(full(), 100, 30)
	s.take(lookMsg{err: errors.New("no agent runs here: nobody answers at agent.sock")})
	if v := s.View(); !strings.Contains(v, "no answer since ") || !strings.Contains(v, "no agent runs here") || !strings.Contains(v, "tool_temperature 457.2 °C") {
		t.Errorf("%s", v)
	}
	s.take(lookMsg{look: full()})
	if v := s.View(); strings.Contains(v, "no answer") {
		t.Errorf("%s", v)
	}
	if w := s.last(); !strings.Contains(w, "times that the agent was lost: 1") || strings.Contains(w, "q quits") || !strings.Contains(w, "tool_temperature 457.2 to 457.2 °C") || lipgloss.Height(w) > 29 {
		t.Errorf("%s", w)
	}
	never := &view{Shown: &Shown{Title: "t"}, width: 80, height: 24}
	never.take(lookMsg{err: errors.New("gone")})
	if w := never.last(); w != "nothing was seen: gone" {
		t.Errorf("%s", w)
	}
}

// What the keys do, on a real agent and its journal: an alarm is chosen and acknowledged in the viewer's name, then all of
// them, and the events tell of it.
func TestAcknowledgeOnTheScreen(t *testing.T) {
	celsius := unit.MustParse("°C")
	registry, err := sensors.NewRegistry([]sensors.Channel{{Name: "a", Unit: celsius, Min: 0, Max: 100}, {Name: "b", Unit: celsius, Min: 0, Max: 100}, {Name: "c", Unit: celsius, Min: 0, Max: 100}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(path, journal.Options{Machine: "m", Registry: registry, Archive: true})
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
	s := &view{ctx: t.Context(), width: 120, height: 40, Shown: &Shown{Title: "t",
		Look: OfAgent(func(context.Context) (agent.View, error) { return a.View(), nil }, func() (*journal.Reader, error) { return j.Reader, nil }, func(*journal.Reader) {}),
		Ack: func(_ context.Context, name string) ([]alarm.Alarm, error) {
			return a.Alarms().Ack(a.Now(), name, "Ann", "on the screen")
		}}}
	look := func() string {
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Update(s.lookNow())
		return s.View()
	}
	if v := look(); !strings.Contains(v, "▸ medium: a: the value is outside the sensor's range, 500 °C (unacknowledged since ") || !strings.Contains(v, "do: compare") ||
		!strings.Contains(v, "! a: the value is outside the sensor's range, 500 °C") {
		t.Fatalf("%s", v)
	}
	key := func(k string) {
		if _, do := s.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}); do != nil {
			s.Update(do())
		}
	}
	key("j")
	key("a")
	if v := look(); !strings.Contains(v, "sensor.out_of_range b is acknowledged") || strings.Count(v, "(unacknowledged") != 2 || !strings.Contains(v, "acknowledged by Ann: b: the value") {
		t.Errorf("%s", v)
	}
	key("A")
	if v := look(); !strings.Contains(v, "2 alarms are acknowledged") || strings.Count(v, "(acknowledged") != 3 {
		t.Errorf("%s", v)
	}
	for _, x := range a.Alarms().List().Alarms {
		if x.Who != "Ann" {
			t.Errorf("%+v", x)
		}
	}
	key("A")
	if v := look(); !strings.Contains(v, "there is no alarm to ack") {
		t.Errorf("%s", v)
	}
	// The journal alone says the same.
	r, err := journal.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, err := OfJournal(history.NewFollower(r, "a", "°C"))(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l.Lead < 0 || l.Channels[l.Lead].Name != "a" || l.Channels[l.Lead].Quality != "out_of_specification: out_of_range" && !strings.HasPrefix(l.Channels[l.Lead].Quality, "failure") || len(l.Alarms.Alarms) != 3 || len(l.Events) != len(s.look.Events) {
		t.Errorf("%+v", l)
	}
	s.Ack = nil
	if key("A"); !strings.Contains(s.said, "stirwatch alarms ack") {
		t.Errorf("a journal: %q", s.said)
	}
}
