package runlog

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// read discovers and reads a text.
func readDiscovered(t *testing.T, text string) (*Log, []string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, notes, err := Discover(path, Options{Location: time.UTC})
	if err != nil {
		return nil, notes, err
	}
	log, err := Read(path, o)
	return log, notes, err
}

func TestDiscover(t *testing.T) {
	for _, c := range []struct {
		name, text string
		channels   []string
		seconds    []float64 // after the first row
		values     []float64 // of the first channel
		notes      string
	}{
		{"a pump loop with labels", "datetime;Accelerometer1RMS;Volume Flow RateRMS;anomaly;changepoint\n2020-03-09 10:14:33;0.02;32.0;0.0;0.0\n2020-03-09 10:14:34;0.03;31.5;1.0;1.0\n2020-03-09 10:14:36;0.02;31.0;1.0;0.0\n",
			[]string{"Accelerometer1RMS", "Volume Flow RateRMS"}, []float64{0, 1, 3}, []float64{0.02, 0.03, 0.02}, "label by its name: anomaly, changepoint"},
		{"one value over months", "timestamp,value\n2013-12-02 21:15:00,73.9\n2013-12-02 21:20:00,74.9\n", []string{"value"}, []float64{0, 300}, []float64{73.9, 74.9}, ""},
		{"counted time with a unit", "time [ms],p [bar]\n0,1.5\n250,1.75\n", []string{"p [bar]"}, []float64{0, 0.25}, []float64{1.5, 1.75}, ""},
		{"counted time without one", "t,p\n0,1\n2,2\n", []string{"p"}, []float64{0, 2}, []float64{1, 2}, "t has no unit and is read as s"},
		{"a unit behind an underscore", "time_s,p\n0,1\n2.5,2\n", []string{"p"}, []float64{0, 2.5}, []float64{1, 2}, ""},
		{"a unit in words", "p;elapsed time, min\n1;0\n2;0.5\n", []string{"p"}, []float64{0, 30}, []float64{1, 2}, ""},
		{"Unix milliseconds", "ts,p\n1700000000000,1\n1700000000500,2\n", []string{"p"}, []float64{0, 0.5}, []float64{1, 2}, "ms since 1970"},
		{"no time", "a,b\n1,2\n3,4\n5,6\n", []string{"a", "b"}, []float64{0, 1, 2}, []float64{1, 3, 5}, "rows are taken to be 1 s apart"},
		{"words and missing numbers", "time;state;p;q\n2020-01-01 00:00:00;run;NaN;1\n2020-01-01 00:00:01;run;2;\n2020-01-01 00:00:02;stop;3;4\n",
			[]string{"p", "q"}, []float64{0, 1, 2}, []float64{math.NaN(), 2, 3}, "holds no numbers: state"},
		{"decimal commas", "Zeit;Druck\n01.02.2023 10:00:00;1,5\n14.02.2023 10:00:00;2,5\n", []string{"Druck"}, []float64{0, 13 * 86400}, []float64{1.5, 2.5}, ""},
		{"date and time apart", "Date,Time,p\n2025-07-08,10:43:15,1\n2025-07-08,10:43:17,2\n", []string{"p"}, []float64{0, 2}, []float64{1, 2}, ""},
		{"a preamble and units below", "# logger 7\nsite: hall 3\ntime,p,q\ns,bar,degC\n0,1,2\n1,3,4\n", []string{"p", "q"}, []float64{0, 1}, []float64{1, 3}, "time has no unit and is read as s"},
		{"blanks between columns", "pump 3 of hall 2\n\ntime[s]  p[bar]   q\n0 1 2\n2 3 4\n", []string{"p[bar]", "q"}, []float64{0, 2}, []float64{1, 3}, ""},
		{"blanks in names and stamps, units below", "time                 line pressure  q\ns                    bar            rpm\n2025-07-08 10:43:15  1              2\n2025-07-08 10:43:17  3              4\n",
			[]string{"line pressure", "q"}, []float64{0, 2}, []float64{1, 3}, ""},
		{"dates of 14 digits", "time,p\n20250708235959,1\n20250709000001,2\n", []string{"p"}, []float64{0, 2}, []float64{1, 2}, ""},
		{"days of spreadsheets", "time,p\n45846.5000000000,1\n45846.6000000000,2\n", []string{"p"}, []float64{0, 8640}, []float64{1, 2}, "days of spreadsheets"},
		{"a name twice, one none, one a number", "time,p,p,,7\n0,1,2,3,4\n1,5,6,7,8\n", []string{"p", "p column 3", "column 4", "7"}, []float64{0, 1}, []float64{1, 5}, "time has no unit and is read as s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, notes, err := readDiscovered(t, c.text)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, col := range log.Columns {
				names = append(names, col.Name)
			}
			if !slices.Equal(names, c.channels) {
				t.Errorf("channels %q, want %q", names, c.channels)
			}
			if len(log.Time) != len(c.seconds) {
				t.Fatalf("%d rows, want %d", len(log.Time), len(c.seconds))
			}
			for i := range c.seconds {
				if s := float64(log.Time[i]-log.Time[0]) / 1e9; s != c.seconds[i] {
					t.Errorf("row %d at %g s, want %g", i, s, c.seconds[i])
				}
				if v := log.Value[0][i]; v != c.values[i] && !(math.IsNaN(v) && math.IsNaN(c.values[i])) {
					t.Errorf("row %d is %g, want %g", i, v, c.values[i])
				}
			}
			if told := strings.Join(notes, "; "); !strings.Contains(told, c.notes) || c.notes == "" && told != "" {
				t.Errorf("told %q, want %q", told, c.notes)
			}
		})
	}
}

func TestDiscoverRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "no line of column names",
		"1,2\n3,4\n":                    "no line of column names",
		"time,state\n0,run\n1,stop\n":   "no column holds numbers",
		"time;label\n2020-01-01;1\n":    "no column holds numbers",
		"one word\nanother\nand more\n": "no line of column names",
	} {
		if _, _, err := readDiscovered(t, text); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A MELD log and a CSV that says what it holds need no discovery.
func TestDiscoverLeavesWhatIsDescribed(t *testing.T) {
	meld := "Date,Time,SpinVel,SpinTrq,SpinPwr,ToolTemp\n2025-07-08,10:43:15.30,1,2,3,4\n"
	o, notes, err := discover(strings.NewReader(meld), Options{})
	if err != nil || len(notes) > 0 || len(o.Fields) > 0 {
		t.Errorf("%v %q %+v", err, notes, o.Fields)
	}
	named := Options{Named: []Named{{Name: "plate temperature", Unit: "°C", Must: true}}}
	o, _, err = discover(strings.NewReader("time [s],plate temperature [°C]\n0,1\n"), named)
	if err != nil || len(o.Fields) > 0 || len(o.Named) != 1 {
		t.Errorf("%v %+v", err, o)
	}
}

// Whatever a file holds, it is discovered and read, or refused; every row that is read has a place in the file.
func FuzzDiscover(f *testing.F) {
	f.Add([]byte("datetime;a;b;anomaly\n2020-03-09 10:14:33;0.02;32.0;0.0\n2020-03-09 10:14:34;0.03;31.5;1.0\n"))
	f.Add([]byte(lvm("\t", ".", "One")))
	f.Add([]byte("time,p,p,,7\n0,1,2,3,4\n1,5,6,7,8\n"))
	f.Add([]byte("# x\nsep=;\na;b\ns;bar\n1;2\n"))
	f.Add([]byte("Zeit;Druck\n01.02.2023 10:00:00;1,5\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, _, err := discover(bytes.NewReader(text), Options{Location: time.UTC})
		if err != nil {
			return
		}
		log, err := readText(text, o)
		if err != nil {
			return
		}
		for i := range log.Columns {
			if len(log.Value[i]) != len(log.Time) {
				t.Fatalf("%d values of %s in %d rows", len(log.Value[i]), log.Columns[i].Name, len(log.Time))
			}
		}
		if !slices.IsSorted(log.Line) && len(log.Steps) == 0 {
			t.Fatalf("lines %v", log.Line)
		}
	})
}
