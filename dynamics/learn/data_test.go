package learn

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// testInputs are the columns that recording gives, in this order.
var testInputs = []string{model.SpindlePower, model.SpindleSpeed, model.PathVelocity, model.FeedVelocity, model.ZVelocity}

// recording reads ../shared/data/name.csv beside the repository, in model units. Lengths are in
// inch where power over torque and speed says ft·lbf.
func recording(t testing.TB, name string) *runs.Run {
	t.Helper()
	dir, _ := os.Getwd()
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", name+".csv")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("the recording %s.csv is not in ../shared/data: %v", name, err)
	}
	sum := sha256.Sum256(data)
	rows, err := csv.NewReader(strings.NewReader(string(data))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	col := map[string]int{}
	for i, h := range rows[0] {
		col[h] = i
	}
	r := &runs.Run{Name: name, SHA256: hex.EncodeToString(sum[:]), U: make([][]float64, len(testInputs)), Z: make([][]float64, 1)}
	var start time.Time
	for _, row := range rows[1:] {
		num := func(name string) float64 {
			v, err := strconv.ParseFloat(row[col[name]], 64)
			if err != nil {
				return math.NaN()
			}
			return v
		}
		at, err := time.Parse("2006-01-02 15:04:05.00", row[0]+" "+row[1])
		if err != nil {
			t.Fatal(err)
		}
		if start.IsZero() {
			start = at
		}
		r.Time = append(r.Time, at.Sub(start).Seconds())
		const inch = 25.4 // both recordings are in inch mode throughout
		for i, v := range []float64{num("SpinPwr"), num("SpinVel"), inch * math.Abs(num("PathVel")), inch * num("FeedVel"), inch * num("ZVel")} {
			r.U[i] = append(r.U[i], v)
		}
		tool := num("ToolTemp")
		if tool == -2 {
			tool = math.NaN()
		}
		r.Z[0] = append(r.Z[0], tool)
		r.SetPoint = append(r.SetPoint, num("SpinSP"))
	}
	return r
}
