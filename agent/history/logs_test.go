package history

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors/runlog"
)

// logs writes CSVs whose columns say what they are, of 40 rows: power reads what power(row) says.
func logs(t *testing.T, power func(row int) string, names ...string) (paths []string) {
	t.Helper()
	for i, name := range names {
		var text strings.Builder
		text.WriteString("time [s],heater power [kW],plate temperature [°C]\n")
		for row := range 40 {
			fmt.Fprintf(&text, "%d,%s,%d\n", row, power(row), 20+row+i)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

var heater = model.Channels{
	Inputs:  []model.Input{{Name: "heater power", Unit: "W"}, {Name: "fan", Unit: "rpm"}},
	Outputs: []model.Output{{Name: "plate temperature", Unit: "°C"}},
}

// A log becomes a run in the units asked for; a reading under an input that nobody knows any more is not used.
func TestLogsBecomeRuns(t *testing.T) {
	var said []string
	found, err := Logs(logs(t, func(row int) string {
		if row >= 10 && row < 20 {
			return "off?"
		}
		return "1.5"
	}, "a.csv", "b.csv"), runlog.Options{}, heater, func(text string) { said = append(said, text) })
	if err != nil || len(found) != 2 {
		t.Fatal(found, err)
	}
	r := found[0]
	if r.Name != "a" || r.U[0][0] != 1500 || !math.IsNaN(r.U[0][12]) || !math.IsNaN(r.U[1][0]) || r.NumberOf(3) != 3 {
		t.Errorf("%+v", r)
	}
	for row, z := range r.Z[0] {
		if unknown := row >= 10 && row < 20; unknown != math.IsNaN(z) || unknown != (r.Blind[row] == "heater power") {
			t.Errorf("row %d: %g", row, z)
		}
	}
	if why := runs.LeftOut(r, nil, 0, 20, len(r.Time)); !strings.HasPrefix(why, "the heater power is no number in 10, ") {
		t.Error(why)
	}
	if all := strings.Join(said, "\n"); !strings.Contains(all, "a: heater power [kW]: 10 values are no number") {
		t.Error(all)
	}
}

func TestLogsThatCannotBeUsed(t *testing.T) {
	plain := func(int) string { return "1.5" }
	_, err := Logs(append(logs(t, plain, "a.csv"), logs(t, plain, "b.csv")...), runlog.Options{}, heater, func(string) {})
	if twice := new(OneRunError); !errors.As(err, &twice) || !strings.Contains(err.Error(), "b.csv are one run") {
		t.Error(err)
	}
	_, err = Logs(logs(t, func(row int) string { return []string{"1.5", "n/a?", "2.5"}[row%3] + strings.Repeat("!", row%2) }, "c.csv"), runlog.Options{}, heater, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "too many to learn or judge anything from") {
		t.Error(err)
	}
}
