package assemble

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/anomaly"
	"stirwatch/config"
	"stirwatch/control"
	"stirwatch/dynamics/model"
)

const head = "machine: bench\nchannels: {t: {is: tool temperature, unit: °C}}\nsources: {log: {log: {path: a.csv}}}\njournal: {path: journal.db}\n"

// blocks are the YAML blocks of a page of the manual.
func blocks(t *testing.T, page string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1) {
		all = append(all, string(m[1]))
	}
	return all
}

func TestExamplesOfTheManualAreRight(t *testing.T) {
	for page, want := range map[string]struct {
		head  string
		least int
	}{"bridge.md": {head, 6}, "control.md": {"", 2}} {
		checked := 0
		for _, text := range blocks(t, page) {
			conf, err := config.Parse(filepath.Join(t.TempDir(), "agent.yaml"), []byte(want.head+text), nil)
			if err == nil {
				err = Check(conf)
			}
			if err != nil {
				t.Errorf("%s:\n%s\n%v", page, text, err)
			}
			checked++
		}
		if checked < want.least {
			t.Errorf("%s has %d examples", page, checked)
		}
	}
}

func TestAlarmSettingsOfAConfiguration(t *testing.T) {
	conf, err := config.Parse("agent.yaml", []byte(head+`alarms: {codes: {sensor.rate: {priority: high, on_delay: 5 s}, sensor.missing: {priority: none}, disk.low: {out_of_service: x, when: run}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	setting, err := AlarmSettings(conf)
	if err != nil {
		t.Fatal(err)
	}
	if s := setting(anomaly.SensorRate); s.Priority != anomaly.High || s.OnDelay != 5*time.Second || s.Response == "" {
		t.Errorf("%+v", s)
	}
	if s := setting(anomaly.SensorMissing); s.Response != "" {
		t.Errorf("%+v", s)
	}
	if s := setting(anomaly.DiskLow); s.Out != "x" || !s.InRun {
		t.Errorf("%+v", s)
	}
}

// loopsOf makes the loops of a configuration whose bridge has a target and a word for it.
func loopsOf(t *testing.T, target, word, loop string, more ...string) ([]agent.Loop, error) {
	t.Helper()
	conf, err := config.Parse(filepath.Join(t.TempDir(), "agent.yaml"), []byte(head+`bridge:
  serial: {port: /dev/ttyUSB0, baud: 115200}
  targets:
    `+target+`
  meld: {words: {`+word+`}}
control:
  tool: {`+loop+`}
`+strings.Join(more, "")), nil)
	if err != nil {
		t.Fatal(err)
	}
	reg, err := Registry(conf)
	if err != nil {
		t.Fatal(err)
	}
	return loops(conf, reg)
}

// A loop whose smallest change is more than the slew allows between two commands would never command: that is refused.
func TestALoopThatCouldNeverCommand(t *testing.T) {
	for change, says := range map[string]string{"2": "nothing would ever be commanded", "1": ""} {
		_, err := loopsOf(t, "spindle: {unit: rpm, min: 250 rpm, max: 450 rpm, slew: 10 rpm/s, safe: {name: off, value: 250 rpm}}", "spindle: {code: M06, key: rpm}",
			"mode: advise, output: t, goal: 455 °C, target: spindle, moves: spindle speed, law: pid, pid: {gain: 3, integral: 5 s}, every: 100 ms, change: "+change)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("change %s: %v", change, err)
		}
	}
}

// A PID that leads the set-point of the machine's own controller commands the goal itself, and beside it what its error asks for.
func TestAPIDOnASetPointFeedsTheGoal(t *testing.T) {
	for _, k := range []struct{ target, moves, want string }{
		{"set_point: {unit: °C, min: 300 °C, max: 500 °C, slew: 200 °C/s, safe: {name: as found, as_found: true}}", "", "480"}, // 10 K more, and as much by its gain
		{"set_point: {unit: rpm, min: 300 rpm, max: 500 rpm, slew: 200 rpm/s, safe: {name: as found, as_found: true}}", ", moves: spindle speed", "470"},
	} {
		all, err := loopsOf(t, k.target, "set_point: {code: M41, key: sp}", "mode: advise, output: t, goal: 470 °C, target: set_point, law: pid, pid: {gain: 1}"+k.moves)
		if err != nil {
			t.Fatal(err)
		}
		law, err := all[0].NewLaw(nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		law.Begin(&control.Sense{Output: 460, Fixed: 460, Held: 460})
		if m := law.Step(&control.Sense{Dt: 1, Output: 460, Fixed: 470, Held: 460}); fmt.Sprint(m.Value) != k.want {
			t.Errorf("%s: %v commanded, want %s", k.target, m.Value, k.want)
		}
	}
}

// A loop on a set-point for which nothing else is written is a PID where its model proposes gains, and follows the goal where it does not; who
// asks for that PID is told why there is none.
func TestALoopOnASetPointHasTheGainsOfItsModel(t *testing.T) {
	m, err := model.Load("../demo/model.json")
	if err != nil {
		t.Fatal(err)
	}
	unplanned := *m
	unplanned.Plan = nil
	for _, k := range []struct {
		law, file string
		model     *model.Model
		want      string
	}{
		{"", "model: {file: model.json}\n", m, "pid: gain 1."},
		{"", "model: {file: model.json}\n", &unplanned, "follow"},
		{"", "model: {file: model.json}\n", nil, "follow"},
		{"", "", nil, "follow"},
		{", law: pid", "model: {file: model.json}\n", m, "pid: gain 1."},
		{", law: pid", "model: {file: model.json}\n", &unplanned, "no gains are proposed for its pid"},
		{", law: follow", "model: {file: model.json}\n", m, "follow"},
		{", pid: {gain: 0.5}", "model: {file: model.json}\n", m, "pid: gain 0.5"},
	} {
		all, err := loopsOf(t, "set_point: {unit: °C, min: 300 °C, max: 500 °C, slew: 20 °C/s, safe: {name: as found, as_found: true}}", "set_point: {code: M41, key: sp}",
			"mode: advise, output: t, goal: 470 °C, target: set_point, every: 100 ms"+k.law, k.file)
		if err != nil {
			t.Fatal(err)
		}
		law, err := all[0].NewLaw(k.model, nil, nil)
		got := fmt.Sprint(err)
		if err == nil {
			got = law.String()
		}
		if !strings.HasPrefix(got, k.want) {
			t.Errorf("%q, %q: %s, want %s", k.law, k.file, got, k.want)
		}
	}
}

// So has a PID on the spindle.
func TestAPIDOnTheSpindleHasTheGainsOfItsModel(t *testing.T) {
	m, err := model.Load("../demo/model.json")
	if err != nil {
		t.Fatal(err)
	}
	proposed, err := control.OnSpindle(m, 0.1)
	if err != nil || !(proposed.Gains.Derivative > 0) {
		t.Fatal(proposed, err)
	}
	for _, k := range []struct{ unit, pid, want string }{
		{"rpm", "", (&control.PID{Gains: proposed.Gains}).String()},
		{"rpm", ", pid: {gain: 3}", "pid: gain 3"},
		{"rad/s", "", "by the spindle speed in rpm"},
	} {
		all, err := loopsOf(t, "spindle: {unit: "+k.unit+", min: 250 rpm, max: 450 rpm, slew: 50 rpm/s, safe: {name: off, value: 250 rpm}}", "spindle: {code: M06, key: rpm}",
			"mode: advise, output: t, goal: 470 °C, target: spindle, moves: spindle speed, law: pid, every: 100 ms"+k.pid, "model: {file: model.json}\n")
		if err != nil {
			t.Fatal(err)
		}
		law, err := all[0].NewLaw(m, nil, nil)
		got := fmt.Sprint(err)
		if err == nil {
			got = law.String()
		}
		if !strings.Contains(got, k.want) {
			t.Errorf("%q, in %s: %s, want %s", k.pid, k.unit, got, k.want)
		}
	}
}

// What the file's own rules cannot see is found by Check.
func TestCheckFindsWhatDoesNotFitTogether(t *testing.T) {
	for section, says := range map[string]string{
		"alarms: {codes: {sensor.rat: {priority: high}}}\n": "alarms.codes.sensor.rat",
		"model: {file: none.json}\n":                        "none.json",
	} {
		conf, err := config.Parse(filepath.Join(t.TempDir(), "agent.yaml"), []byte(head+section), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(conf); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", section, err)
		}
	}
}

// TestMessagesGatherWithinATick: what saves waking up must not be felt by the tick.
func TestMessagesGatherWithinATick(t *testing.T) {
	for tick, want := range map[time.Duration]time.Duration{
		time.Second:            10 * time.Millisecond,
		100 * time.Millisecond: 10 * time.Millisecond,
		20 * time.Millisecond:  2 * time.Millisecond,
		time.Millisecond:       -1, // each message is read as it comes
	} {
		if got := coalesce(tick); got != want {
			t.Errorf("a tick of %v: messages gather for %v, want %v", tick, got, want)
		}
	}
}
