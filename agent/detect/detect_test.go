package detect

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stirwatch/agent/anomaly"
	"stirwatch/sensors/runlog"
)

// pump writes a log of three channels at 1 Hz: two that go together, and a voltage; the first two are off in rows 600 to 899.
func pump(t *testing.T, rows int, edit func(row int, line string) string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("datetime;flow [L/min];current;Voltage;anomaly;changepoint\n")
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 1100 {
		load, off := r.NormFloat64(), 0.0
		if i >= 600 && i < 900 {
			off = 1
		}
		line := fmt.Sprintf("2020-03-09 10:%02d:%02d;%.3f;%.4f;%.1f;%.1f;0.0\n", 14+i/60, i%60,
			32+0.3*load+0.1*r.NormFloat64()-off, 1+0.2*load+0.1*r.NormFloat64()+0.5*off, 230+6*r.NormFloat64(), off)
		if edit != nil {
			line = edit(i, line)
		}
		if i < rows {
			b.WriteString(line)
		}
	}
	path := filepath.Join(t.TempDir(), "pump.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *Run {
	t.Helper()
	r, _, err := Open(path, runlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// watched trains on the first 400 rows and judges all.
func watched(t *testing.T, r *Run) (fit *Fit, flags []Flag, events []Event) {
	t.Helper()
	s := Session{Good: Stretch{To: 400}, Told: func(string) {}}
	events, err := s.Judge(r, nil, func(_ int, f Flag) { flags = append(flags, f) })
	if err != nil {
		t.Fatal(err)
	}
	return s.fit, flags, events
}

func TestEventsOfAPump(t *testing.T) {
	r := open(t, pump(t, 1100, nil))
	if channels, _ := r.channels(nil); !slices.Equal(channels, []string{"flow [L/min]", "current", "Voltage"}) {
		t.Fatalf("channels %q", channels)
	}
	fit, flags, events := watched(t, r)
	if len(fit.Watched()) != 3 || len(flags) != 1100 || len(events) != 1 {
		t.Fatalf("%d channels watched, %d flags, events %+v", len(fit.Watched()), len(flags), events)
	}
	e := events[0]
	if e.From < 600 || e.From > 615 || e.To < 895 || e.To > 925 || e.Standing || e.Confidence < 0.8 || !e.Start.Before(e.End) || e.Since.After(e.Start) {
		t.Errorf("%+v", e)
	}
	share := 0.0
	for _, c := range e.Contributions {
		share += c.Share
		if c.Channel == "Voltage" && c.Share > 0.2 {
			t.Errorf("%+v", c)
		}
	}
	if math.Abs(share-1) > 1e-9 {
		t.Errorf("shares add up to %g", share)
	}
	if d := anomaly.Of(e.Code); e.What != d.Text || e.Cause != d.Cause || e.Response != d.Response {
		t.Errorf("%+v", e)
	}
	var b bytes.Buffer
	if err := WriteEvents(&b, events); err != nil {
		t.Fatal(err)
	}
	var back Event
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Code != e.Code || !back.Start.Equal(e.Start) {
		t.Errorf("%v: %+v", err, back)
	}
}

// The flags of a file that ends earlier are those of the whole file: nothing looks ahead.
func TestFlagsAreCausal(t *testing.T) {
	_, full, _ := watched(t, open(t, pump(t, 1100, nil)))
	for _, n := range []int{401, 620, 800, 1000} {
		_, part, _ := watched(t, open(t, pump(t, n, nil)))
		if !slices.Equal(part, full[:n]) {
			t.Errorf("the flags of the first %d rows differ", n)
		}
	}
}

// A flag is written for every data row of a file, also for those that cannot be read.
func TestEveryDataRowHasAFlag(t *testing.T) {
	path := pump(t, 1100, func(row int, line string) string {
		switch row {
		case 50:
			return "garbage;;;\n"
		case 700:
			return "2020-03-09 10:14:00;1;1;1;1;1\n" // back in time
		case 701:
			return line + line // twice
		}
		return line
	})
	run := open(t, path)
	var b bytes.Buffer
	w := NewFlagWriter(&b)
	w.Begin(run.Name)
	s := Session{Good: Stretch{To: 400}, Told: func(string) {}}
	if _, err := s.Judge(run, nil, w.Write); err != nil {
		t.Fatal(err)
	}
	w.End(run.Rows())
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+1101 || !slices.Equal(rows[0], []string{"log", "t_index", "anomaly", "score", "code"}) {
		t.Fatalf("%d lines, the first %q", len(rows), rows[0])
	}
	for i, r := range rows[1:] {
		if r[0] != "pump" || r[1] != fmt.Sprint(i) || (r[2] == "1") != (r[4] != "") {
			t.Fatalf("row %d: %q", i, r)
		}
	}
	if rows[1+700][2] != "1" || rows[1+702][2] != "1" || rows[1+50][2] != "0" {
		t.Errorf("rows that cannot be read: %q %q %q", rows[51], rows[701], rows[703])
	}
}

func TestTrainingRowsThatAreNotThere(t *testing.T) {
	run := open(t, pump(t, 300, nil))
	for _, good := range []Stretch{{To: 400}, {From: -1, To: 100}, {From: 200, To: 200}, {From: 100, To: 110}, {From: 300, To: 320}} {
		if _, _, err := train(run, []int{0, 1}, good, Options{}); err == nil || !strings.Contains(err.Error(), "pump") {
			t.Errorf("%v: %v", good, err)
		}
	}
	if _, s, err := train(run, []int{0, 1}, Stretch{Part: 4}, Options{}); err != nil || s.To != 75 {
		t.Errorf("a quarter: %+v, %v", s, err)
	}
	if _, err := run.pick([]string{"Voltage", "speed"}); err == nil || !strings.Contains(err.Error(), `"speed"`) {
		t.Errorf("%v", err)
	}
	if columns, err := run.pick([]string{"Voltage", "current", "flow [L/min]"}); err != nil || !slices.Equal(columns, []int{2, 1, 0}) {
		t.Errorf("%v, %v", err, columns)
	}
	if _, err := run.channels([]string{"ambient"}); err == nil || !strings.Contains(err.Error(), "Voltage") {
		t.Errorf("%v", err)
	}
}

// A name with a comma and quotes comes back out of the CSV as it was.
func TestFlagsOfALogOfAnyName(t *testing.T) {
	const name = `7"-tool, "new"`
	var b strings.Builder
	w := NewFlagWriter(&b)
	w.Begin(name)
	w.Write(0, Flag{Anomaly: true, Score: 2, Code: anomaly.ProcessShift})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 2 || !slices.Equal(rows[1], []string{name, "0", "1", "2.000", "process.shift"}) {
		t.Errorf("%q, %v", rows, err)
	}
}
