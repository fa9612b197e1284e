package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"stirwatch/cmd/parts"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/score"
)

// fieldFolder has inputs as real loggers, gateways and devices produce them, and says what is right for each.
const fieldFolder = "../../../shared/field"

// fieldCases writes the cases into a folder of the test.
func fieldCases(t *testing.T) (dir string) {
	t.Helper()
	maker, err := filepath.Abs(filepath.Join(fieldFolder, "make.py"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(maker); err != nil {
		t.Skip("the field cases are not here: ", err)
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 makes the field cases: ", err)
	}
	dir = t.TempDir()
	if out, err := exec.Command("python3", maker, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// script is one of the folder's scripts at work in dir.
func script(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	path, err := filepath.Abs(filepath.Join(fieldFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("python3", append([]string{path}, args...)...)
	c.Dir = dir
	return c
}

// asLearned are the cases from which an equation is learned: the one that is plainly written, and those that hold
// other numbers or fewer digits of them.
var asLearned = []string{"plain/plain", "ambient/room", "coarse/step", "cells/text", "thousands/de0", "time/min", "time/savetxt"}

// Whatever way the same two runs are written, the same is read: an equation that was learned from them as they are
// plainly written has the same skill on them, to the last digit. It is learned again where that cannot be.
func TestFieldRunsAreLearnedFrom(t *testing.T) {
	if testing.Short() {
		t.Skip("learns seven equations")
	}
	t.Parallel()
	dir := fieldCases(t)
	found, err := filepath.Glob(filepath.Join(dir, "*", "*_1.csv"))
	if err != nil || len(found) < 20 {
		t.Fatalf("%d cases, %v", len(found), err)
	}
	t.Run("learned", func(t *testing.T) {
		for _, name := range asLearned {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				learnedFromField(t, dir, name)
			})
		}
	})
	row := regexp.MustCompile(`(?m)^ +\d+ s .*$`)
	skill := func(t *testing.T, name string) string {
		text, err := plain(t, "score", "--inputs", "known", "-m", filepath.Join(dir, "plain_plain.json"),
			filepath.Join(dir, name+"_1.csv"), filepath.Join(dir, name+"_2.csv")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return strings.Join(row.FindAllString(string(text), -1), "\n")
	}
	right := skill(t, asLearned[0])
	if rows := strings.Count(right, "\n") + 1; rows != 2*len(score.Horizons) {
		t.Fatalf("%d rows of skill:\n%s", rows, right)
	}
	for _, first := range found {
		name, _ := filepath.Rel(dir, strings.TrimSuffix(first, "_1.csv"))
		if slices.Contains(asLearned, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := skill(t, name); got != right {
				t.Errorf("skill on it:\n%s\nas it is plainly written:\n%s", got, right)
			}
		})
	}
}

// learnedFromField checks the equation that is learned from a case.
func learnedFromField(t *testing.T, dir, name string) {
	want := map[string]float64{"heating": 1.80e-3, "loss": 3.98e-3, "loss to fan": 1.20e-5}
	says, hypotheses := []string{}, "../../dynamics/heater.yaml"
	switch name {
	case "ambient/room": // one line says that the room differs by run
		h, err := os.ReadFile(hypotheses)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(h), "  - {name: Ta, value: 20, unit: °C, fixed: true, text: surroundings}\n", "", 1)
		text = strings.Replace(text, "\nstates:\n", "\nstates:\n  - {symbol: Ta, is: surroundings, unit: °C, start: reading, start_sd: 20}\n", 1)
		hypotheses = filepath.Join(t.TempDir(), "room.yaml")
		if err := os.WriteFile(hypotheses, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		want = map[string]float64{"heating": 1.80e-3, "loss": 4.0e-3, "loss to fan": 1.20e-5}
	case "coarse/step":
		want = map[string]float64{"heating": 7.2e-5, "loss": 2.5e-3}
	case "cells/text":
		says = []string{`heater power [W]: 120 values are no number, the first in line 302: "---"`}
	}
	out := filepath.Join(dir, strings.ReplaceAll(name, "/", "_")+".json")
	text, err := plain(t, "learn", "--hypotheses", hypotheses, filepath.Join(dir, name+"_1.csv"), filepath.Join(dir, name+"_2.csv"), "-o", out).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	said := string(text)
	for _, text := range says {
		if strings.Count(said, text) != 2 { // of each run
			t.Errorf("not told of both runs: %q", text)
		}
	}
	m, err := model.Load(out)
	if err != nil {
		t.Fatal(err)
	}
	for term, value := range want {
		i := slices.IndexFunc(m.Terms, func(x model.Term) bool { return x.Name == term })
		if i < 0 {
			t.Errorf("%s is not in the equation", term)
		} else if got := m.Terms[i].Coefficient; math.Abs(got/value-1) > 0.03 {
			t.Errorf("%s is %.3g, right is %.3g", term, got, value)
		}
	}
	if name == "ambient/room" {
		for i, room := range []float64{12, 31} {
			if found := m.Provenance.Runs[i].Held["Ta"]; math.Abs(found-room) > 1.5 || !strings.Contains(said, fmt.Sprintf("%.4g in room_%d", found, i+1)) {
				t.Errorf("the room of run %d is %g °C, right is %g; printed by run?\n%s", i+1, found, room, said)
			}
		}
	}
	rows := 900
	switch name {
	case "cells/text":
		rows = 480 // a row without the power is none, and parts the run
	case "coarse/step":
		rows = 400
	}
	for _, r := range m.Provenance.Runs {
		if r.Rows < rows {
			t.Errorf("%s: %d rows are learned from, not %d", r.Name, r.Rows, rows)
		}
	}
}

// recorded runs the agent on a configuration in dir until it has recorded n samples, and gives its samples as
// "channel=value quality reason", sorted, and what it said.
func recorded(t *testing.T, dir, conf string, n int, beside ...*exec.Cmd) (rows, stamps []string, said string) {
	t.Helper()
	for _, name := range []string{"j.db", "j.db-wal", "j.db-shm", "j.db.reserve", "j.db.lock", "j.db.gap"} {
		os.Remove(filepath.Join(dir, name))
	}
	p := &process{t: t, name: "agent", cmd: exec.Command(program(t), "run", "-c", conf)}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.run()
	for _, c := range beside {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c.Args, err, out)
		}
	}
	list := func() (rows, stamps []string) {
		out, err := exec.Command(program(t), "export", "--journal", filepath.Join(dir, "j.db"), "--format", "csv").Output()
		if err != nil {
			return nil, nil // not yet there
		}
		for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			if f := strings.Split(line, ","); i > 0 && len(f) == 7 {
				text := f[1] + "=" + f[2]
				if f[4] != "good" {
					text = strings.TrimSpace(strings.Join([]string{f[1], f[4], f[5], f[6]}, " "))
				}
				rows, stamps = append(rows, text), append(stamps, f[0]+" "+text)
			}
		}
		return rows, stamps
	}
	wait(t, fmt.Sprintf("%d samples of %s are recorded", n, conf), func() bool { rows, stamps = list(); return len(rows) >= n })
	p.end(syscall.SIGTERM)
	rows, stamps = list()
	slices.Sort(rows)
	return rows, stamps, p.said()
}

// feed is a device at a port in dir that says the lines of a file again and again, until end.
func feed(t *testing.T, dir, port, lines string) (end func()) {
	t.Helper()
	device := script(t, dir, "serial_feed.py", port, lines, "30000", "0")
	if err := device.Start(); err != nil {
		t.Fatal(err)
	}
	wait(t, "the port is there", func() bool { _, err := os.Stat(filepath.Join(dir, port)); return err == nil })
	return func() {
		device.Process.Kill()
		device.Wait()
		os.Remove(filepath.Join(dir, port))
	}
}

func TestFieldSerialLines(t *testing.T) {
	t.Parallel()
	dir := fieldCases(t)
	for name, want := range map[string][]string{
		"kv-comma":       {"tool_temperature=474.3", "feed_force=12.1"},
		"kv-comma-units": {"tool_temperature=474.3", "feed_force=12.1"},
		"csv-comma":      {"tool_temperature=474.3", "feed_force=12.1"},
		"unit":           {"tool_temperature=471.9", "feed_force=12.1"},
		"ansi":           {"tool_temperature=471.9", "feed_force=12.1"},
		"nul":            {"tool_temperature=471.9", "feed_force=12.1"},
		"ovf":            {"tool_temperature=471.9", "feed_force failure not_a_number ovf"},
		"stx":            {"weight=81.72"},
		"kv-blank-keys":  {"tool_temperature=471.88", "cold_junction=31.42"},
	} {
		end := feed(t, dir, "port", "serial-"+name+".txt")
		rows, _, said := recorded(t, dir, "serial-"+name+".yaml", 4) // of two lines, whichever is heard first
		end()
		for _, row := range want {
			if !slices.Contains(rows, row) {
				t.Errorf("%s: %s is missing in %q\n%s", name, row, rows, said)
			}
		}
		if name == "ovf" && !strings.Contains(said, "ovf") {
			t.Errorf("a value that is no number is not told:\n%s", said)
		}
		for _, row := range rows {
			if strings.HasSuffix(row, "=474") || strings.HasSuffix(row, "=12") {
				t.Errorf("%s: %s is a wrong value", name, row)
			}
		}
	}
}

func TestFieldDates(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(fieldCases(t), "dates")
	for name, want := range map[string]string{
		"dayfirst":  "2025-11-25T10:43:15Z",
		"shortyear": "2025-10-31T10:43:15Z",
		"settled":   "2025-08-12T23:59:59Z",
		"offset":    "2025-07-08T08:43:15Z",
		"utc":       "2025-07-08T10:43:15Z",
		"midnight":  "2025-07-09T00:00:00Z",
		"since1904": "2025-07-08T02:43:15.3Z",
	} {
		if name == "since1904" { // an epoch is named
			conf, err := os.ReadFile(filepath.Join(dir, name+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(strings.Replace(string(conf), "unit: s}", `unit: s, epoch: "1904-01-01"}`, 1)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, stamps, said := recorded(t, dir, name+".yaml", 4)
		if !slices.ContainsFunc(stamps, func(s string) bool { return strings.HasPrefix(s, want+" ") }) {
			t.Errorf("%s: nothing at %s in %q\n%s", name, want, stamps, said)
		}
	}
}

// A date that may be two is told with the setting that settles it, and no row of it is recorded until then.
func TestFieldDatesThatMayBeTwo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(fieldCases(t), "dates")
	p := &process{t: t, name: "agent", cmd: exec.Command(program(t), "run", "-c", "ambiguous.yaml")}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.run()
	wait(t, "the doubt is told", func() bool { return strings.Contains(p.said(), "say it (order, or --dates: dmy or mdy)") })
	p.end(syscall.SIGTERM)
	if out, err := exec.Command(program(t), "export", "--journal", filepath.Join(dir, "j.db"), "--format", "csv").Output(); err != nil || strings.Contains(string(out), "tool_temperature") {
		t.Errorf("%v, recorded:\n%s", err, out)
	}
	conf, err := os.ReadFile(filepath.Join(dir, "ambiguous.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "said.yaml"), []byte(strings.Replace(string(conf), "{key: stamp}", "{key: stamp, order: dmy}", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stamps, said := recorded(t, dir, "said.yaml", 4); !slices.Contains(stamps, "2025-08-07T10:43:15Z tool_temperature=21.5") {
		t.Errorf("with an order: %q\n%s", stamps, said)
	}
}

// What a port says becomes a source for agent.yaml.
func TestFieldPortsAreListenedTo(t *testing.T) {
	t.Parallel()
	dir := fieldCases(t)
	for name, want := range map[string][]string{
		"csv-comma":     {"format: csv", `separator: ";"`, "value_1: 1    # now 474,3", "value_2: 2    # now 12,1"},
		"kv-blank-keys": {"format: keyvalue", `"Thermocouple Temp"    # now 471.88`, `"Cold Junction Temp"    # now 31.42`},
	} {
		end := feed(t, dir, "listen-"+name, "serial-"+name+".txt")
		out, err := exec.Command(program(t), "ports", "--listen", filepath.Join(dir, "listen-"+name), "--for", "3s").CombinedOutput()
		end()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range want {
			if !strings.Contains(string(out), text) {
				t.Errorf("%s: %q is missing in\n%s", name, text, out)
			}
		}
	}
}

func TestFieldHeadersAndRotation(t *testing.T) {
	t.Parallel()
	dir := fieldCases(t)
	_, stamps, _ := recorded(t, filepath.Join(dir, "header"), "swapped.yaml", 8)
	_, more, said := recorded(t, filepath.Join(dir, "header"), "more.yaml", 12)
	if !slices.Contains(more, "2026-11-20T09:00:01Z tool_temperature=470.8") || !strings.Contains(said, `column \"F\" is new`) {
		t.Errorf("below a header with one column more: %q\n%s", more, said)
	}
	for _, want := range []string{"2026-11-20T09:00:00Z tool_temperature=470.2", "2026-11-20T09:00:00Z bearing_low=40.1"} {
		if !slices.Contains(stamps, want) {
			t.Errorf("%s is missing in %q", want, stamps)
		}
	}
	for _, how := range []string{"append", "offset"} {
		writer := script(t, dir, "rotate.py", how, "1")
		rows, stamps, said := recorded(t, dir, "log.yaml", 40, writer)
		t.Logf("%s: %d samples", how, len(rows))
		if unique := slices.Compact(slices.Sorted(slices.Values(stamps))); len(unique) != len(stamps) || len(stamps)%2 != 0 {
			t.Errorf("%s: %d samples, %d different\n%s", how, len(stamps), len(unique), said)
		}
	}
}

func TestFieldMessages(t *testing.T) {
	t.Parallel()
	dir := fieldCases(t)
	b := parts.StartMosquitto(t)
	_, port, _ := strings.Cut(b.Addr, ":")
	conf, err := os.ReadFile(filepath.Join(dir, "mqtt.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "here.yaml"), []byte(strings.ReplaceAll(string(conf), "18839", port)), 0o644); err != nil {
		t.Fatal(err)
	}
	rows, _, said := recorded(t, dir, "here.yaml", 31, script(t, dir, "mqtt_send.py", port))
	want := []string{"tool_temperature failure not_a_number NaN", "tool_temperature failure not_a_number NaN", "tool_temperature failure not_a_number open"}
	for _, v := range []string{"471.1", "471.6", "471.7", "471.8"} {
		want = append(want, "tool_temperature="+v)
	}
	for i := 1; i <= 8; i++ {
		want = append(want, fmt.Sprint("spindle_speed=", 400+i), fmt.Sprint("spindle_power=", 2300+i), fmt.Sprint("bearing_low=41.", i))
	}
	if n := strings.Count(said, "msg=doubted"); n < 3 { // a value that is no number, a useless stamp of each kind
		t.Errorf("told %d times", n)
	}
	if n := strings.Count(said, "msg=rejected"); n < 1 { // one each ten seconds is shown
		t.Errorf("rejections were told %d times", n)
	}
	slices.Sort(want)
	if !slices.Equal(rows, want) {
		t.Errorf("recorded %q, right is %q\n%s", rows, want, said)
	}
}
