package runlog

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// recording finds a recorded run beside the repository and skips the test where there is none.
func recording(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
	path := filepath.Join(dir, "..", "shared", "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("recording %s is not here: %v", name, err)
	}
	return path
}

func TestRecordings(t *testing.T) {
	for _, c := range []struct {
		name              string
		rows              int
		first             string
		firstTemp         float64
		goodFrom, goodTo  int // rows with a live tool thermocouple
		sentinels         int
		torque1           float64 // ft·lbf of row 1
		minUsed, maxRatio float64
	}{
		{"20250708104310", 1098, "2025-07-08T10:43:15.3Z", 18.6, 1, 1098, 0, 84.60, 1000, 1.40},
		{"20250707151600", 1254, "2025-07-07T15:16:05.21Z", 34.4, 1, 1044, 210, 57.60, 250, 1.40},
	} {
		log, err := Read(recording(t, c.name+".csv"), Options{Location: time.UTC})
		if err != nil {
			t.Fatal(err)
		}
		if log.Name != c.name || len(log.Time) != c.rows || log.Skips != 0 || log.BadCells != 0 || log.Format != MELD {
			t.Errorf("%s: name %q, %d rows, %d skipped, %d bad cells, format %s", c.name, log.Name, len(log.Time), log.Skips, log.BadCells, log.Format)
		}
		if got := time.Unix(0, log.Time[0]).UTC().Format(time.RFC3339Nano); got != c.first {
			t.Errorf("%s: first stamp %s, want %s", c.name, got, c.first)
		}
		if len(log.Columns) != 28 || len(log.Ignored) != 0 {
			t.Errorf("%s: %d columns, ignored %v", c.name, len(log.Columns), log.Ignored)
		}
		if len(log.Detected) != 1 {
			t.Fatalf("%s: %v", c.name, log.Detected)
		}
		t.Log(c.name, log.Detected[0])
		d := log.Detected[0]
		if d.From != 1 || d.To != c.rows || d.Units != Inch || d.Ratio < 1.36 || d.Ratio > c.maxRatio || float64(d.Rows) < c.minUsed || d.Confidence < 0.99 {
			t.Errorf("%s: detected %v", c.name, d)
		}
		temp, _ := log.Find(sensors.ToolTemperature)
		sentinels := 0
		for k, s := range log.Status[temp] {
			good := k+1 >= c.goodFrom && k+1 <= c.goodTo
			if s.IsGood() != good {
				t.Fatalf("%s: row %d: tool temperature %g is %s", c.name, k+1, log.Value[temp][k], s)
			}
			if s == (sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}) && log.Value[temp][k] == -2 {
				sentinels++
			}
		}
		if log.Value[temp][0] != c.firstTemp || sentinels != c.sentinels {
			t.Errorf("%s: first temperature %g, %d sentinels", c.name, log.Value[temp][0], sentinels)
		}
		torque, _ := log.Find(sensors.SpindleTorque)
		if got, want := log.Value[torque][0], c.torque1*footPound; math.Abs(got-want) > 1e-9 || log.Columns[torque].Unit.Symbol != "N·m" {
			t.Errorf("%s: torque %g %s, want %g N·m", c.name, got, log.Columns[torque].Unit, want)
		}
		for _, name := range []string{"ktype_1", "ktype_4", "tool2_temperature", "oxygen"} {
			i, ok := log.Column(name)
			if !ok || log.Status[i][c.rows/2] != (sensors.Status{Signal: sensors.Failure, Reason: sensors.Unwired}) {
				t.Errorf("%s: %s is %s", c.name, name, log.Status[i][c.rows/2])
			}
		}
	}
}

const header = "Date,Time,SpinVel,SpinTrq,SpinPwr,FeedPos,XPos,ToolTemp,Ktype1\n"

func parse(t *testing.T, text string, opt Options) *Log {
	t.Helper()
	opt.Location = time.UTC
	log, err := Parse(strings.NewReader(text), opt)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func at(s string) int64 {
	v, err := time.Parse("2006-01-02 15:04:05.999999999", s)
	if err != nil {
		panic(err)
	}
	return v.UnixNano()
}

var _ = unit.Identity
var _ = errors.Is
