package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// loop writes a log of a pump whose flow falls in rows 600 to 799.
func loop(t *testing.T, path string, seed uint64) {
	t.Helper()
	var b strings.Builder
	b.WriteString("datetime;flow;current;anomaly\n")
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range 1000 {
		load, off := r.NormFloat64(), 0
		if i >= 600 && i < 800 {
			off = 1
		}
		fmt.Fprintf(&b, "2020-03-09 %02d:%02d:%02d;%.3f;%.4f;%d\n", 10+i/3600, i/60%60, i%60, 32+0.3*load+0.1*r.NormFloat64()-float64(off), 1+0.2*load+0.1*r.NormFloat64(), off)
	}
	write(t, path, b.String())
}

func TestDetect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loop(t, filepath.Join(dir, "a.csv"), 1)
	loop(t, filepath.Join(dir, "b.csv"), 2)
	code, out, told := command(t, dir, "detect", "--train", "400", "-o", "events.jsonl", "--flags", "flags.csv", "a.csv", "b.csv")
	if code != 0 || out != "" {
		t.Fatalf("%d: %s%s", code, out, told)
	}
	if !strings.Contains(told, "label by its name: anomaly") || !strings.Contains(told, "2 channels are watched, trained on 400 rows (0:400)") {
		t.Error(told)
	}
	rows := csvRows(t, filepath.Join(dir, "flags.csv"))
	if len(rows) != 1+2000 || strings.Join(rows[0], ",") != "log,t_index,anomaly,score,code" {
		t.Fatalf("%d lines, the first %q", len(rows), rows[0])
	}
	wrong := 0
	for i, r := range rows[1:] {
		if r[1] != fmt.Sprint(i%1000) || r[0] != []string{"a", "b"}[i/1000] {
			t.Fatalf("row %d: %q", i, r)
		}
		if (r[2] == "1") != (i%1000 >= 600 && i%1000 < 800) {
			wrong++
		}
	}
	if wrong > 60 {
		t.Errorf("%d of 2000 rows are flagged wrongly", wrong)
	}
	text, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, key := range []string{"log", "code", "what", "start", "end", "confidence", "contributions", "cause", "response"} {
			if e[key] == nil {
				t.Errorf("%s is missing: %s", key, line)
			}
		}
	}

	// Trained on one run, the other is judged; for people.
	code, out, told = command(t, dir, "detect", "--good", "a.csv", "--train", "0:500", "b.csv")
	if code != 0 || !strings.Contains(out, "b: rows 6") || !strings.Contains(out, "flow 50 %") || strings.Contains(out, "a: rows") {
		t.Errorf("%d: %s%s", code, out, told)
	}
	for _, c := range []struct{ args, says string }{
		{"a.csv --train 4000", "a has 1000 data rows"},
		{"a.csv --train 9:3", "--train 9:3"},
		{"a.csv --false-alarms 0", "--false-alarms 0"},
		{"a.csv --adapt -1s", "--adapt -1s"},
		{"a.csv --ignore speed", `no channel "speed"`},
		{"a.csv -o - --flags -", "standard output"},
		{"nothing.csv", "nothing.csv"},
		{"-c nothing.yaml a.csv", "nothing.yaml"},
		{"-m nothing.json a.csv", "nothing.json"},
	} {
		if code, out, told := command(t, dir, append([]string{"detect"}, strings.Fields(c.args)...)...); code == 0 || out != "" || !strings.Contains(told, c.says) {
			t.Errorf("%s: %d %s%s", c.args, code, out, told)
		}
	}
}

// A machine's log is judged as the agent judges its frames; nothing is to be trained.
func TestDetectOnARecording(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", "shared", "data", "20250707151600.csv")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the recordings are not here")
	}
	dir := t.TempDir()
	flags := filepath.Join(dir, "flags.csv")
	code, out, told := command(t, "", "detect", "--flags", flags, path)
	if code != 0 || !strings.Contains(out, "process.cold_start") || !strings.Contains(out, "sensor.failure") || strings.Contains(told, "trained") {
		t.Fatalf("%d: %s%s", code, out, told)
	}
	text, err := os.ReadFile(flags)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 1+1254 || !strings.HasPrefix(lines[1+1100], "20250707151600,1100,1,") || !strings.HasSuffix(lines[1+1100], ",sensor.failure") {
		t.Errorf("%d lines, row 1100: %s", len(lines), lines[min(1101, len(lines)-1)])
	}
}
