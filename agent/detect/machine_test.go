package detect

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/model"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/unit"
)

// A severe fault of each kind is named, soon, and nothing is said before it. Wear and a reading that drifts are found in some builds
// only: docs/detect.md tells how many.
func TestFaultsOfTheMachine(t *testing.T) {
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []twin.Kind{twin.Feedstock, twin.Jam, twin.LiftOff, twin.Flash, twin.ColdStart, twin.Coolant, twin.Unreachable, twin.Open, twin.Spike, twin.Frozen, twin.Lost} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			cfg := twin.RandomBuild(p, 5, false)
			f := twin.Fault{Kind: kind, At: 330, For: 60, Severity: 0.9}
			const within = 35.0
			if kind == twin.ColdStart {
				f.At = 0
			}
			cfg.Faults = []twin.Fault{f}
			b := logOf(t, cfg)
			flags, events, err := judged(b.log, b.reg, nil)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, e := range events {
				at := float64(e.From)
				if at < f.At-1 && !(e.Code == anomaly.Unreachable && b.short[e.From]) {
					t.Errorf("%s in row %d, before anything is wrong", e.Code, e.From)
				}
				share := 0.0
				for _, c := range e.Contributions {
					share += c.Share
				}
				if math.Abs(share-1) > 1e-9 || e.Confidence <= 0 || e.Response == "" || !flags[e.From].Anomaly {
					t.Errorf("%+v", e)
				}
				found = found || slices.Contains(named[kind], e.Code) && at <= f.At+within
			}
			if !found {
				t.Errorf("not named within %.0f s: %+v", within, events)
			}
			n := int(f.At) + 20
			cut := *b.log
			cut.Time, cut.Line = cut.Time[:n], cut.Line[:n]
			part, _, err := judged(&cut, b.reg, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(part, flags[:n]) {
				t.Error("the flags of the first rows depend on later ones")
			}
		})
	}
}

// Channels of tool and plate that are exchanged are told within moments of the first contact; both are named.
func TestSwappedThermocouples(t *testing.T) {
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	b := logOf(t, twin.RandomBuild(p, 5, false))
	last := len(b.log.Value) - 1
	b.log.Value[0], b.log.Value[last] = b.log.Value[last], b.log.Value[0]
	_, events, err := judged(b.log, b.reg, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(events, func(e Event) bool { return e.Code == anomaly.SensorSwapped })
	if i < 0 {
		t.Fatalf("not found: %+v", events)
	}
	e := events[i]
	var by []string
	for _, c := range e.Contributions {
		by = append(by, c.Channel)
	}
	if slices.Sort(by); e.From > 40 || !slices.Equal(by, []string{"ktype_1", "tool_temperature"}) {
		t.Errorf("%+v", e)
	}
}

// What pushes the bar may be logged as a force; and where columns are missing, it is said what is never judged for want of them.
func TestOtherColumns(t *testing.T) {
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []twin.Kind{twin.Feedstock, twin.Jam, twin.Flash} {
		cfg := twin.RandomBuild(p, 5, false)
		cfg.Faults = []twin.Fault{{Kind: kind, At: 330, For: 60, Severity: 0.9}}
		b := logOf(t, cfg)
		i := slices.IndexFunc(b.log.Columns, func(c runlog.Column) bool { return c.Role == sensors.FeedTorque })
		b.log.Columns[i] = runlog.Column{Name: "push", Key: "push", Role: sensors.FeedForce, Unit: unit.MustParse("kN")}
		for k := range b.log.Value[i] {
			b.log.Value[i][k] *= 0.2
		}
		told := judgedAs(t, b)
		if !slices.ContainsFunc(told.events, func(e Event) bool { return slices.Contains(named[kind], e.Code) }) || told.text != "" {
			t.Errorf("%s by a force: %+v, %q", kind, told.events, told.text)
		}
		drop := func(r sensors.Role) {
			i := slices.IndexFunc(b.log.Columns, func(c runlog.Column) bool { return c.Role == r })
			b.log.Columns[i].Role, b.log.Columns[i].Name = sensors.Other, "something"+strconv.Itoa(i)
		}
		drop(sensors.FeedForce)
		drop(sensors.ZVelocity)
		told = judgedAs(t, b)
		if want := "not judged without feed torque or force: process.feedstock, process.jam, process.flash; without z velocity: process.lift_off"; !strings.HasSuffix(told.text, want) {
			t.Errorf("said: %q", told.text)
		}
	}
}

// judgement is what a session finds and says.
type judgement struct {
	events []Event
	text   string
}

func judgedAs(t *testing.T, b *build) (j judgement) {
	t.Helper()
	reg, err := OfLog(b.log).Registry()
	if err != nil {
		t.Fatal(err)
	}
	s := Session{Told: func(text string) { j.text = text }}
	if j.events, err = s.Judge(OfLog(b.log), reg, func(int, Flag) {}); err != nil {
		t.Fatal(err)
	}
	return j
}

// With a model, the agent's own judgement of it is among the events.
func TestMachineWithAModel(t *testing.T) {
	m, err := model.Load("../../cmd/demo/model.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	cfg := twin.RandomBuild(p, 5, false)
	cfg.Faults = []twin.Fault{{Kind: twin.Drift, At: 330, For: 100, Severity: 1}}
	b := logOf(t, cfg)
	_, events, err := judged(b.log, b.reg, m)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(events, func(e Event) bool { return e.Code == anomaly.Innovation }) {
		t.Errorf("a reading that drifts by 50 °C and falls back is no innovation: %+v", events)
	}
}

// recorded reads a recording of a real machine; where it is not there the test is skipped.
func recorded(t *testing.T, name string) (*runlog.Log, *sensors.Registry) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", name+".csv")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the recordings are not here")
	}
	log, err := runlog.Read(path, runlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	reg, err := OfLog(log).Registry()
	if err != nil {
		t.Fatal(err)
	}
	return log, reg
}

// What really happened in the recordings is found, and nothing else is said.
func TestRecordings(t *testing.T) {
	type event struct {
		code     anomaly.Code
		from, to int // rows in which it is flagged first
	}
	for name, want := range map[string][]event{
		"20250708104310": {{anomaly.Unreachable, 40, 70}}, // 40 °C short at 450 rpm
		"20250707151600": {
			{anomaly.ColdStart, 419, 422},       // 600 N·m on a cold plate
			{anomaly.Unreachable, 730, 760},     // the second start never reaches its set-point
			{anomaly.SensorFailure, 1044, 1044}, // unplugged
		},
		"20250707144618": {
			{anomaly.SensorFailure, 0, 0}, // no probe while the spindle runs
			{anomaly.SensorFailure, 1106, 1106},
			{anomaly.Unreachable, 1400, 1430},
			{anomaly.StoppedInContact, 1455, 1462},
		},
	} {
		log, reg := recorded(t, name)
		_, events, err := judged(log, reg, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			t.Logf("%s rows %d–%d %s", name, e.From, e.To, e.Code)
			if i < len(want) && (e.Code != want[i].code || e.From < want[i].from || e.From > want[i].to) {
				t.Errorf("%s: event %d is %s in row %d, want %+v", name, i, e.Code, e.From, want[i])
			}
		}
		if len(events) != len(want) {
			t.Errorf("%s: %d events, want %d", name, len(events), len(want))
		}
	}
}

// A log without spindle or tool temperature is no machine's.
func TestIsMachine(t *testing.T) {
	r := &Run{Columns: []runlog.Column{{Role: sensors.SpindleSpeed}}}
	if r.IsMachine() {
		t.Error("without tool temperature")
	}
	r.Columns = append(r.Columns, runlog.Column{Role: sensors.ToolTemperature})
	if !r.IsMachine() {
		t.Error("with both")
	}
}

func TestMerged(t *testing.T) {
	a := []Flag{{false, 0.2, ""}, {true, 2, anomaly.Jam}, {false, 0.1, ""}}
	b := []Flag{{false, 0.4, ""}, {true, 5, anomaly.ProcessShift}, {true, 3, anomaly.ProcessShift}}
	want := []Flag{{false, 0.4, ""}, {true, 2, anomaly.Jam}, {true, 3, anomaly.ProcessShift}}
	for i := range a {
		if got := merged(a[i], b[i]); got != want[i] {
			t.Errorf("%+v, want %+v", got, want[i])
		}
	}
}
