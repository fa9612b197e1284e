package runlog

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// A column that says its unit is read in it, whoever has mapped it to a channel; what the configuration says wins, and is told.
func TestUnitsThatColumnsSay(t *testing.T) {
	celsius, newton := unit.MustParse("°C"), unit.MustParse("N")
	for name, c := range map[string]struct {
		text  string
		unit  string // of the temperature in the configuration
		tool  []float64
		force []float64
		told  string
	}{
		"in the header":           {"t,T1 [°F],F (kN)\n0,212,1.5\n1,32,2\n", "", []float64{100, 0}, []float64{1500, 2000}, `column "T1 [°F]" is read as °F, as it says itself`},
		"as the channel's":        {"t,T1 [℃],F (N)\n0,212,1.5\n1,32,2\n", "", []float64{212, 32}, []float64{1.5, 2}, ""},
		"the configuration wins":  {"t,T1 [°F],F (N)\n0,373.15,1.5\n1,273.15,2\n", "K", []float64{100, 0}, []float64{1.5, 2}, `column "T1 [°F]" says °F: it is read as K, as configured (unit)`},
		"of something else":       {"t,T1 (A),F\n0,212,1.5\n1,32,2\n", "", []float64{212, 32}, []float64{1.5, 2}, `column "T1 (A)" seems to be in A: it is read as °C`},
		"no unit":                 {"t,T1 (left),F [-]\n0,212,1.5\n1,32,2\n", "", []float64{212, 32}, []float64{1.5, 2}, ""},
		"in a row below":          {"t,T1,F\ns,°F,kN\n0,212,1.5\n1,32,2\n", "", []float64{100, 0}, []float64{1500, 2000}, `column "T1" is read as °F`},
		"in brackets below":       {"t,T1,F\n[s],[degF],[N]\n0,212,1.5\n1,32,2\n", "", []float64{100, 0}, []float64{1.5, 2}, `column "T1" is read as °F`},
		"behind the number":       {"t,T1,F\n0,212 °F,1.5kN\n1,0 °C,2\n", "", []float64{100, 0}, []float64{1500, 2}, `T1: "212 °F" is read as 100 °C`},
		"what no channel can be":  {"t,T1,F\n0,212 W,1.5\n1,32,2\n", "", []float64{math.NaN(), 32}, []float64{1.5, 2}, `T1: 1 value is no number, in line 2: "212 W"`},
		"another one later":       {"time [s],T1 [°C],F [N]\n0,100,1500\ntime [s],F [kN],T1 [K]\n1,2,273.15\n", "", []float64{100, 0}, []float64{1500, 2000}, "T1 is in K now"},
		"not said again":          {"t,T1,F\ns,°F,kN\n0,212,1.5\nt,F,T1\n1,2,32\n", "", []float64{100, 0}, []float64{1500, 2000}, "tool is column 3 now"},
		"said again in a row":     {"t,T1,F\ns,°F,kN\n0,212,1.5\nt,F,T1\ns,N,°C\n1,2000,0\n", "", []float64{100, 0}, []float64{1500, 2000}, "tool is column 3 now"},
		"behind the number later": {"time [s],T1 [°C],F [N]\n0,100,1500\ntime [s],F [kN],T1 [K]\n1,2000 N,32 °F\n", "", []float64{100, 0}, []float64{1500, 2000}, "T1 is in K now"},
	} {
		key := func(part string) string {
			for _, cell := range strings.Split(strings.SplitN(c.text, "\n", 2)[0], ",") {
				if strings.HasPrefix(cell, part) {
					return cell
				}
			}
			t.Fatal(part)
			return ""
		}
		opt := Options{Format: CSV, Time: TimeColumn{Key: "t", Unit: wire.Seconds}, Channels: []sensors.Channel{{Name: "tool", Unit: celsius}, {Name: "force", Unit: newton}},
			Fields: []Field{{Key: key("T1"), Channel: "tool"}, {Key: key("F"), Channel: "force"}}}
		if c.unit != "" {
			opt.Fields[0].Unit = unit.MustParse(c.unit)
		}
		if strings.HasPrefix(c.text, "time") { // columns that say what they are
			opt = Options{Named: []Named{{Name: "T1", Unit: "°C", Must: true}, {Name: "F", Unit: "N"}}}
		}
		log, err := Parse(strings.NewReader(c.text), opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		near := func(got, want []float64) bool {
			return slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 || math.IsNaN(a) && math.IsNaN(b) })
		}
		told := strings.Join(log.Remarks(), "\n")
		if !near(log.Value[0], c.tool) || !near(log.Value[1], c.force) || !strings.Contains(told, c.told) || c.told == "" && told != "" {
			t.Errorf("%s: tool %v, force %v, told %q", name, log.Value[0], log.Value[1], told)
		}
	}
}

// Days of a spreadsheet are the wall clock of the zone, also in summer.
func TestDaysOfSpreadsheets(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	log, err := Parse(strings.NewReader("stamp,T1\n45846.446701388889,21.5\n45846.446712962963,21.6\n"), Options{Format: CSV, Location: berlin, Time: TimeColumn{Key: "stamp", Unit: "excel"}, Fields: []Field{{Key: "T1", Channel: "t"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := time.Unix(0, log.Time[0]).UTC().Round(time.Millisecond); !got.Equal(time.Date(2025, 7, 8, 8, 43, 15, 0, time.UTC)) {
		t.Errorf("%s", got)
	}
}

// A column is named with its unit or without, as people do, and never guessed.
func TestFind(t *testing.T) {
	header := []string{"time [s]", "T1 [°C]", "T2 (°C)", "T2 [°F]", "n / rpm", "x", "x", "F", "F [N]"}
	for key, want := range map[string]int{"time": 0, "time [s]": 0, "T1": 1, "T1 [°C]": 1, "T2 [°F]": 3, "n": 4, "8": 7, "F": 7, "F [N]": 8} {
		if got, err := find(header, key); err != nil || got != want {
			t.Errorf("%q is column %d, %v; want %d", key, got, err, want)
		}
	}
	for key, says := range map[string]string{"T2": `"T2" may be "T2 (°C)" or "T2 [°F]": name it with its unit`, "x": "stands twice", "t1": "there is no column", "10": "there is no column", "": "there is no column"} {
		if got, err := find(header, key); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is column %d, %v; want %q", key, got, err, says)
		}
	}
}
