package agent

import (
	"context"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/control"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

const second = int64(time.Second)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// cell is a registry of the usual channels, tool temperature first.
func cell(t testing.TB, more ...sensors.Channel) *sensors.Registry {
	t.Helper()
	channels := []sensors.Channel{
		{Name: "tool", Role: sensors.ToolTemperature, Unit: unit.MustParse("°C"), Min: 0, Max: 700, MaxRate: 150, MaxAge: 3 * time.Second},
		{Name: "power", Role: sensors.SpindlePower, Unit: unit.MustParse("kW"), MaxAge: 3 * time.Second},
		{Name: "speed", Role: sensors.SpindleSpeed, Unit: unit.MustParse("rpm"), MaxAge: 3 * time.Second},
		{Name: "path", Role: sensors.PathVelocity, Unit: unit.MustParse("in/min"), MaxAge: 3 * time.Second},
		{Name: "feed", Role: sensors.FeedVelocity, Unit: unit.MustParse("mm/min"), MaxAge: 3 * time.Second},
		{Name: "set_point", Role: sensors.SetPoint, Unit: unit.MustParse("°C"), MaxAge: 3 * time.Second},
	}
	reg, err := sensors.NewRegistry(append(channels, more...))
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

// recorded is an agent and the path of its journal.
type recorded struct {
	*Agent
	path string
}

// agentOf makes an agent with a journal in a temporary folder, closed at the end of the test.
func agentOf(t testing.TB, o Options) recorded {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(path, journal.Options{
		Machine: "m1", Registry: o.Registry, Archive: true, Log: quiet,
		Commit: 10 * time.Second, // commits on their own goroutine would count as allocations of the tick
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	o.Journal, o.Log = j, quiet
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return recorded{a, path}
}

// put gives the agent one good value per channel of the cell, in the channels' units.
func put(a recorded, at int64, values ...float64) {
	s := make([]sensors.Sample, len(values))
	for i, v := range values {
		s[i] = sensors.Sample{Time: at, Arrival: at, Value: v, Channel: sensors.ChannelID(i), Status: sensors.OK}
	}
	a.Emit(s, nil)
}

// lines are all records of a measurement, as line protocol.
func lines(t testing.TB, a recorded, m record.Measurement) []string {
	t.Helper()
	if err := a.opt.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := journal.OpenReader(a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []string
	if err := r.Lines(t.Context(), journal.Query{Measurement: m}, func(l []byte) error { all = append(all, string(l)); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSignalConvertsAndFusesASampleOnce(t *testing.T) {
	reg := cell(t)
	a := agentOf(t, Options{Registry: reg})
	put(a, second, 474.9, 4.5, 400, 10, 9, 475)
	a.tick(second)
	power, err := signalFor(reg, sensors.SpindlePower, "W")
	if err != nil || power.value(a.frame) != 4500 {
		t.Fatalf("4.5 kW is %v W, %v", power.value(a.frame), err)
	}
	path, _ := signalFor(reg, sensors.PathVelocity, "mm/min")
	if v := path.value(a.frame); math.Abs(v-254) > 1e-9 {
		t.Fatalf("10 in/min is %v mm/min", v)
	}
	tool, _ := signalFor(reg, sensors.ToolTemperature, "°C")
	if v := tool.fresh(a.frame); v != 474.9 {
		t.Fatalf("first %v", v)
	}
	a.tick(second + 1e8)
	if v := tool.fresh(a.frame); !math.IsNaN(v) {
		t.Fatalf("the same sample was handed out again: %v", v)
	}
}

func TestAnomaliesAreRaisedAndClearedInTheRecord(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t)})
	value := func(s int64) float64 {
		switch {
		case s == 10:
			return 650 // a step of 350 K
		case s >= 20 && s < 25:
			return 701
		default:
			return 300
		}
	}
	for s := int64(1); s <= 40; s++ {
		if s < 30 {
			put(a, 1000*second+s*second, value(s), 4, 400, 10, 9, 475)
		}
		for k := range int64(10) {
			a.tick(1000*second + s*second + k*1e8)
		}
	}
	got := map[string][]string{}
	for _, l := range lines(t, a, record.Anomalies) {
		if !strings.Contains(l, "channel=tool") {
			continue
		}
		for _, code := range []string{"sensor.rate", "sensor.out_of_range", "sensor.missing", "sensor.failure"} {
			if strings.Contains(l, "code="+code) {
				state := "cleared"
				if strings.Contains(l, "active=true") {
					state = "raised"
				}
				got[code] = append(got[code], state)
			}
		}
	}
	for code, want := range map[string]string{"sensor.rate": "raised cleared", "sensor.out_of_range": "raised cleared", "sensor.missing": "raised", "sensor.failure": ""} {
		if s := strings.Join(got[code], " "); s != want {
			t.Errorf("%s: %q, want %q", code, s, want)
		}
	}
}

func TestModelThatNeedsAMissingChannelIsRefused(t *testing.T) {
	reg, err := sensors.NewRegistry([]sensors.Channel{{Name: "tool", Role: sensors.ToolTemperature, Unit: unit.MustParse("°C")}})
	if err != nil {
		t.Fatal(err)
	}
	m := learned(t)
	_, err = New(Options{Registry: reg, Model: m, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), "no channel says `is: "+m.Inputs[0].Name+"`") {
		t.Fatalf("%v", err)
	}
}

// learned is the demo's model, learned from the simulated machine.
func learned(t testing.TB) *model.Model {
	t.Helper()
	m, err := model.Load(filepath.Join("..", "cmd", "demo", "model.json"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func process() *control.Options {
	return &control.Options{SetPointMin: 300, SetPointMax: 480, SpindleMin: 300, SpindleMax: 450, Ceiling: 540, Expires: 30}
}

func TestTickDoesNotAllocate(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Model: learned(t), Process: process()})
	now := 1000 * second
	step := func() {
		now += 1e8
		put(a, now, 470, 4.2, 400, 8, 9, 475)
		a.tick(now)
	}
	for range 300 { // past the first records of everything
		step()
	}
	samples := []sensors.Sample{{Channel: 0, Value: 470, Status: sensors.OK}}
	alone := func() {
		now += 1e8
		samples[0].Time, samples[0].Arrival = now, now
		a.board.Put(samples)
		a.tick(now)
	}
	for range 100 { // the other channels go missing, which are alarms: their texts are made once
		alone()
	}
	if n := testing.AllocsPerRun(200, alone); n != 0 {
		t.Fatalf("%v allocations a tick", n)
	}
}

func TestReplayRunsTheWholeLadder(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Model: learned(t), Process: process()})
	s := int64(0)
	ticks, err := a.Replay(context.Background(), func() (Row, bool) {
		s++
		if s > 300 {
			return Row{}, false
		}
		at := 1000*second + s*second
		row := Row{Time: at}
		for i, v := range []float64{460 + 3*math.Sin(float64(s)/9), 4.3, 390, 8, 9, 465} {
			row.Samples = append(row.Samples, sensors.Sample{Time: at, Arrival: at, Value: v, Channel: sensors.ChannelID(i), Status: sensors.OK})
		}
		return row, true
	}, 0)
	if err != nil || ticks < 2900 {
		t.Fatalf("%d ticks, %v", ticks, err)
	}
	var snap Snapshot
	a.Snapshot(&snap)
	if math.Abs(snap.Estimate.X[model.StateTool]-snap.Value[0]) > 20 || len(snap.Forecast.Outputs) == 0 || !snap.Running {
		t.Fatalf("estimate %v of %v, forecast %v, running %v", snap.Estimate.X, snap.Value[0], snap.Forecast.Outputs, snap.Running)
	}
	for m, least := range map[record.Measurement]int{
		record.Samples: 1800, record.Estimates: 290 * 4, record.Forecasts: 290 * 5, record.Recommendations: 5, record.Attributions: 290 * 2,
	} {
		if n := len(lines(t, a, m)); n < least {
			t.Errorf("%d %s, want at least %d", n, m, least)
		}
	}
	sum, why := 0.0, snap.Why[0]
	for _, p := range why.Part {
		sum += p
	}
	if math.Abs(sum-why.Total) > 1e-6 || len(why.Part) < 5 {
		t.Errorf("the parts of %+v add up to %g", why, sum)
	}
}

// Budget: 100 µs for one tick of 32 channels with a 60 s forecast of every output, 0 allocations.
func BenchmarkTick32(b *testing.B) {
	for outputs, name := range []string{1: "one output", 2: "two outputs"} {
		if name == "" {
			continue
		}
		b.Run(name, func(b *testing.B) {
			var more []sensors.Channel
			for i := range 26 {
				more = append(more, sensors.Channel{Name: "extra" + string(rune('a'+i)), Unit: unit.MustParse("N"), Max: 1e9, MaxAge: time.Second})
			}
			m := *learned(b)
			if outputs > 1 { // a thermocouple in the build
				more[0] = sensors.Channel{Name: "build", Role: sensors.BuildTemperature, Unit: unit.MustParse("°C"), Max: 1e9, MaxAge: time.Second}
				m.Outputs = append(slices.Clone(m.Outputs), model.Output{Name: string(sensors.BuildTemperature), State: "D", Unit: "°C", SD: 0.5, Min: 20, Max: 400})
			}
			a := agentOf(b, Options{Registry: cell(b, more...), Model: &m, Process: process()})
			now := 1000 * second
			samples := make([]sensors.Sample, 32)
			for i := range samples {
				samples[i] = sensors.Sample{Channel: sensors.ChannelID(i), Value: []float64{470, 4.2, 400, 8, 9, 475, 150}[min(i, 6)], Status: sensors.OK}
			}
			b.ReportAllocs()
			for b.Loop() {
				now += 1e8
				for i := range samples {
					samples[i].Time, samples[i].Arrival = now, now
				}
				a.board.Put(samples)
				a.tick(now)
			}
		})
	}
}

// TestBeingAwayIsAGap: the first start has nothing to tell; a later one says since when nothing
// was recorded.
func TestBeingAwayIsAGap(t *testing.T) {
	reg := cell(t)
	path := filepath.Join(t.TempDir(), "journal.db")
	var last recorded
	for now := range int64(2) {
		now = (1 + 100*now) * 1_000_000_000_000
		j, err := journal.Open(path, journal.Options{Machine: "m1", Registry: reg, Archive: true, Clock: func() int64 { return now }, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		a, err := New(Options{Registry: reg, Journal: j, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		last = recorded{a, path}
		ctx, cancel := context.WithCancel(t.Context())
		put(last, now, 1, 2, 3, 4, 5, 6)
		cancel()
		if err := a.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	gaps := lines(t, last, record.Events)
	if len(gaps) != 1 || !strings.Contains(gaps[0], "kind=gap") || !strings.Contains(gaps[0], "source=journal") || !strings.Contains(gaps[0], "since 1970-01-01T00:16:40Z") {
		t.Errorf("events: %q", gaps)
	}
}
