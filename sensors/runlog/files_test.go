package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// plate are the quantities of a CSV that says what it holds.
var plate = []Named{{Name: "heater power", Unit: "W"}, {Name: "fan speed", Unit: "rpm"}, {Name: "plate temperature", Unit: "°C", Must: true}}

// Files as loggers and people export them hold the same three rows.
func TestFilesAsPeopleExportThem(t *testing.T) {
	const rows = "0;0,0;300;21,92\n1;600,5;300;22,10\n2;1213,4;600;474,31\n"
	const head = "time [s];heater power [W];fan speed [rpm];plate temperature [°C]\n"
	const point = "0,0.0,300,21.92\n1,600.5,300,22.10\n2,1213.4,600,474.31\n"
	comma := strings.NewReplacer(";", ",")
	wide := func(s string, little, mark bool) string {
		var b []byte
		if mark {
			s = "\ufeff" + s
		}
		for _, u := range utf16.Encode([]rune(s)) {
			if little {
				b = append(b, byte(u), byte(u>>8))
			} else {
				b = append(b, byte(u>>8), byte(u))
			}
		}
		return string(b)
	}
	for name, text := range map[string]string{
		"plain":                        head + rows,
		"points":                       comma.Replace(head) + point,
		"tabs":                         strings.ReplaceAll(head+rows, ";", "\t"),
		"numpy":                        comma.Replace(head) + "0.000000e+00,0.0e+00,3.000e+02,2.192e+01\n1.00e+00,6.005e+02,3.0e+02,2.21e+01\n2.0e+00,1.2134e+03,6e2,4.7431e+02\n",
		"microseconds":                 "time [us];heater power [W];fan speed [rpm];plate temperature [°C]\n0;0,0;300;21,92\n1e+06;600,5;300;22,10\n2e+06;1213,4;600;474,31\n",
		"minutes":                      "time (Minutes);heater power (kW);fan speed (1/min);plate temperature (K)\n0;0,0;300;295,07\n0,016666667;0,6005;300;295,25\n0,033333333;1,2134;600;747,46\n",
		"elapsed":                      "time;heater power [W];fan speed [rpm];plate temperature [°C]\n23:59:59;0,0;300;21,92\n00:00:00;600,5;300;22,10\n00:00:01;1213,4;600;474,31\n",
		"beyond a day":                 "time [hh:mm:ss];heater power [W];fan speed [rpm];plate temperature [°C]\n26:10:05;0,0;300;21,92\n26:10:06;600,5;300;22,10\n26:10:07;1213,4;600;474,31\n",
		"dates":                        "Time;heater power [W];fan speed [rpm];plate temperature [°C]\n31.10.25 23:59:59;0,0;300;21,92\n31.10.25 24:00:00;600,5;300;22,10\n01.11.25 00:00:01;1213,4;600;474,31\n",
		"date and time":                "Date;Time;heater power [W];fan speed [rpm];plate temperature [°C]\n25/11/2025;9:00:00 AM;0,0;300;21,92\n25/11/2025;9:00:01 AM;600,5;300;22,10\n25/11/2025;9:00:02 AM;1213,4;600;474,31\n",
		"thousands, US":                comma.Replace(head) + "0,0.0,300,21.92\n1,600.5,300,22.10\n2,\"1,213.4\",600,474.31\n",
		"thousands, German":            head + "0;0,0;300;21,92\n1;600,5;300;22,10\n2;1.213,4;600;474,31\n",
		"thousands, French":            head + "0;0,0;300;21,92\n1;600,5;300;22,10\n2;1\u202f213,4;600;474,31\n",
		"thousands, Swiss":             head + "0;0.0;300;21.92\n1;600.5;300;22.10\n2;1'213.4;600;474.31\n",
		"Latin-1":                      strings.ReplaceAll(head, "°", "\xb0") + rows,
		"UTF-16, little":               wide(head+rows, true, true),
		"UTF-16, big":                  wide(head+rows, false, true),
		"UTF-16 without mark":          wide(head+rows, true, false),
		"UTF-16, big, without mark":    wide(head+rows, false, false),
		"byte order mark":              "\ufeff" + head + rows,
		"sep=":                         strings.ReplaceAll("sep=;\n"+head+rows, "\n", "\r\n"),
		"\"sep=;\"":                    "\"sep=;\"\n" + head + rows,
		"preamble":                     "Operator;NN\nStation;cell 1\n25.11.2025;10:43\n\n" + head + rows,
		"# header":                     "# logger 2.1\n# " + head + rows,
		"# comment with separators":    "# logger 2.1; serial 17; site A; x; y\n" + head + rows,
		"% header":                     "% " + head + rows,
		"units below":                  "time;heater power;fan speed;plate temperature\ns;W;rpm;°C\n" + rows,
		"units below, in brackets":     "time;heater power;fan speed;plate temperature\n[s];[W];[RPM];[degC]\n" + rows,
		"units twice":                  head + "s;W;rpm;°C\n" + rows,
		"CR":                           strings.ReplaceAll(head+rows, "\n", "\r"),
		"℃":                            strings.ReplaceAll(head, "°C", "℃") + rows,
		"ºC":                           strings.ReplaceAll(head, "°C", "ºC") + rows,
		"deg C":                        strings.ReplaceAll(head, "°C", "deg C") + rows,
		"names in other letters":       "TIME [sec];Heater_Power [W];FAN SPEED [RPM];plate  temperature / °C\n" + rows,
		"NULs and an old end mark":     head + rows + "\x1a\x00\x00",
		"a hole at the start":          strings.Repeat("\x00", 100_000) + head + rows,
		"swapped in the middle":        head + "0;0,0;300;21,92\ntime [s];fan speed [rpm];heater power [W];plate temperature [°C];note\n1;300;600,5;22,10;x\n2;600;1213,4;474,31;y\n",
		"other units in the middle":    head + "0;0,0;300;21,92\ntime [s];heater power [kW];fan speed [rpm];plate temperature [K]\n1;0,6005;300;295,25\n2;1,2134;600;747,46\n",
		"units below, twice":           "time;heater power;fan speed;plate temperature\ns;W;rpm;°C\n0;0,0;300;21,92\ntime;fan speed;heater power;plate temperature\ns;rpm;W;°C\n1;300;600,5;22,10\n2;600;1213,4;474,31\n",
		"a comment among the rows":     head + "0;0,0;300;21,92\n# pump on\n1;600,5;300;22,10\n2;1213,4;600;474,31\n",
		"the header at the end of all": head + rows + head,
	} {
		log, err := Parse(strings.NewReader(text), Options{Named: plate, Location: time.UTC})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(log.Time) != 3 || log.Time[1]-log.Time[0] < 0.999e9 || log.Time[2]-log.Time[0] > 2.001e9 || log.BadCells != 0 {
			t.Errorf("%s: rows at %v, skipped %v, bad %v", name, log.Time, log.Skipped, log.Bad)
			continue
		}
		for column, want := range map[string][]float64{"heater power": {0, 600.5, 1213.4}, "fan speed": {300, 300, 600}, "plate temperature": {21.92, 22.1, 474.31}} {
			i, _ := log.Column(column)
			to, _ := unit.Parse(map[string]string{"heater power": "W", "fan speed": "rpm", "plate temperature": "°C"}[column])
			m, err := unit.Between(log.Columns[i].Unit, to)
			for k, v := range log.Value[i] {
				if err != nil || math.Abs(m.Apply(v)-want[k]) > 1e-6 {
					t.Errorf("%s: %s in row %d is %g, want %g (%v)", name, column, k+1, m.Apply(v), want[k], err)
				}
			}
		}
	}
}

// A number that may be two is refused, unless its column, its file or the user tells.
func TestNumbersThatMayBeTwo(t *testing.T) {
	for _, c := range []struct {
		text    string
		decimal byte
		want    []float64 // NaN: refused
	}{
		{"t;P;T\n0;1.232;21,5\n1;600;22,1\n", 0, []float64{1232, 600}}, // a comma elsewhere
		{"t;P;T\n0;1.232;21.5\n1;600;22.1\n", 0, []float64{1.232, 600}},
		{"t;P;T\n0;1.232;21\n1;600.25;22\n", 0, []float64{1.232, 600.25}}, // its own column
		{"t;P;T\n0;1.232;21\n1;1.234.567;22\n", 0, []float64{1232, 1234567}},
		{"t;P;T\n0;1.232;21\n1;0.125;22\n", 0, []float64{1.232, 0.125}},
		{"t;P;T\n0;1.232;21\n1;600;22\n", 0, []float64{math.NaN(), 600}}, // nothing tells
		{"t;P;T\n0;1,232;21\n1;600;22\n", 0, []float64{math.NaN(), 600}},
		{"t;P;T\n0;1.232;21\n1;600;22\n", ',', []float64{1232, 600}},
		{"t;P;T\n0;1.232;21\n1;600;22\n", '.', []float64{1.232, 600}},
		{"t,P,T\n0,1.232,21\n1,600,22\n", 0, []float64{1.232, 600}},                         // commas part the columns
		{"t,P,T\n0,\"1,232\",21\n1,600,22\n", 0, []float64{math.NaN(), 600}},                // but one in quotes may be either
		{"t,P,T\n0,\"1,232\",21.5\n1,600,22\n", 0, []float64{1232, 600}},                    // a point elsewhere
		{"t,P,T\n0,\"1,23\",21.5\n1,600,22\n", 0, []float64{1.23, 600}},                     // its own column
		{"t,P,T\n0,1.5,21.5\n1,\"1,5\",22\n2,1.6,23\n", 0, []float64{1.5, math.NaN(), 1.6}}, // the most of a column are right
		{"t,P,T\n0,12 345,21.5\n1,1 23,22\n2,1'23,3\n", 0, []float64{12345, math.NaN(), math.NaN()}},
		{"t,P,T\n0,0x10,21.5\n1,1_0,22\n2,inf,23\n3,1e400,23\n", 0, []float64{math.NaN(), math.NaN(), math.NaN(), math.NaN()}},
	} {
		log, err := Parse(strings.NewReader(c.text), Options{Format: CSV, Decimal: c.decimal, Time: TimeColumn{Key: "t", Unit: wire.Seconds}, Fields: []Field{{Key: "P", Channel: "p"}, {Key: "T", Channel: "t"}}})
		if err != nil {
			t.Fatal(err)
		}
		bad := 0
		for k, want := range c.want {
			v, good := log.Value[0][k], log.Status[0][k].IsGood()
			if math.IsNaN(want) {
				bad++
			}
			if good == math.IsNaN(want) || good && v != want {
				t.Errorf("%q, decimal %q: row %d is %g (%s), want %g", c.text, c.decimal, k+1, v, log.Status[0][k], want)
			}
		}
		if bad != log.BadCells || bad > 0 && (len(log.Bad) != 1 || log.Bad[0].Column != "P" || log.Bad[0].Count != bad) {
			t.Errorf("%q: %d bad cells, %v, want %d", c.text, log.BadCells, log.Bad, bad)
		}
	}
	b := BadCells{Column: "heater power [W]", Count: 120, Line: 302, Text: `"---"`}
	if s := b.String(); s != `heater power [W]: 120 values are no number, the first in line 302: "---"` {
		t.Error(s)
	}
}

// The dates of a file tell whether day or month comes first, or it is refused with the way out.
func TestOrderOfDates(t *testing.T) {
	read := func(order wire.DateOrder, stamps ...string) (*Log, error) {
		text := "stamp,T1\n"
		for i, s := range stamps {
			text += fmt.Sprintf("%s,%d\n", s, i)
		}
		return Parse(strings.NewReader(text), Options{Format: CSV, Location: time.UTC, Time: TimeColumn{Key: "stamp", Order: order}, Fields: []Field{{Key: "T1", Channel: "t"}}})
	}
	for _, c := range []struct {
		order  wire.DateOrder
		stamps []string
		want   string // of the first
	}{
		{0, []string{"12/8/2025 23:59:59", "13/8/2025 00:00:00"}, "2025-08-12 23:59:59"},
		{0, []string{"8/12/2025 23:59:59", "8/13/2025 00:00:00"}, "2025-08-12 23:59:59"},
		{0, []string{"7/8/2025 10:43:15"}, ""},
		{wire.DayFirst, []string{"7/8/2025 10:43:15"}, "2025-08-07 10:43:15"},
		{wire.MonthFirst, []string{"7/8/2025 10:43:15"}, "2025-07-08 10:43:15"},
		{0, []string{"12-08-25 23:59:59", "13-08-25 00:00:00"}, ""}, // 2012 or 2025
		{wire.DayFirst, []string{"12-08-25 23:59:59", "13-08-25 00:00:00"}, "2025-08-12 23:59:59"},
		{wire.YearFirst, []string{"12-08-25 23:59:59"}, "2012-08-25 23:59:59"},
		{0, []string{"2025-07-08 10:43:15+0200"}, "2025-07-08 08:43:15"},
	} {
		log, err := read(c.order, c.stamps...)
		switch {
		case c.want == "" && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "dmy or mdy")):
			t.Errorf("%q: %v", c.stamps, err)
		case c.want != "" && (err != nil || log.Time[0] != at(c.want) || len(log.Time) != len(c.stamps)):
			t.Errorf("%q: %v, %v; want %s", c.stamps, log, err, c.want)
		}
	}
}

func TestHeaderInsideALog(t *testing.T) {
	opt := Options{Format: CSV, Location: time.UTC, Time: TimeColumn{Key: "stamp"}, Fields: []Field{{Key: "T_tool", Channel: "tool"}, {Key: "T_bearing", Channel: "bearing"}}}
	const first = "stamp,T_tool,T_bearing,n\n2026-11-20 08:00:00,471.5,41.2,400\n"
	const nan = -1
	for name, c := range map[string]struct {
		text, note string
		tool       []float64
		bearing    []float64
	}{
		"swapped":      {"stamp,T_bearing,T_tool,n\n2026-11-20 09:00:00,40.1,470.2,398\n", "tool is column 3 now; bearing is column 2 now", []float64{471.5, 470.2}, []float64{41.2, 40.1}},
		"more":         {"stamp,T_tool,T_bearing,n,F\n2026-11-20 09:00:00,470.2,40.1,398,3\n", `column "F" is new`, []float64{471.5, 470.2}, []float64{41.2, 40.1}},
		"one is gone":  {"stamp,T_tool,n\n2026-11-20 09:00:00,470.2,398\n", "bearing has no column", []float64{471.5, 470.2}, []float64{41.2, nan}},
		"and back":     {"stamp,T_tool\n2026-11-20 09:00:00,470.2\nn,stamp,T_bearing,T_tool\n7,2026-11-20 09:00:01,40.1,470.3\n", "tool is column 4 now", []float64{471.5, 470.2, 470.3}, []float64{41.2, nan, 40.1}},
		"no time":      {"T_tool,T_bearing,n\n470.2,40.1,398\nstamp,T_tool,T_bearing,n\n2026-11-20 09:00:00,470.2,40.1,398\n", "cannot be followed", []float64{471.5, 470.2}, []float64{41.2, 40.1}},
		"twice":        {"stamp,T_tool,T_tool,T_bearing\n2026-11-20 09:00:00,470.2,470.3,40.1\n", "stands twice", []float64{471.5}, []float64{41.2}},
		"a word":       {"stamp,T_tool,x,y\n", "", []float64{471.5}, []float64{41.2}},
		"as a comment": {"# stamp,T_bearing,T_tool,n\n2026-11-20 09:00:00,40.1,470.2,398\n", "tool is column 3 now", []float64{471.5, 470.2}, []float64{41.2, 40.1}},
	} {
		log, err := Parse(strings.NewReader(first+c.text), opt)
		if err != nil {
			t.Fatal(name, err)
		}
		values := func(i int) (v []float64) {
			for k, s := range log.Status[i] {
				if s.IsGood() {
					v = append(v, log.Value[i][k])
				} else {
					v = append(v, nan)
				}
			}
			return v
		}
		if notes := strings.Join(log.Notes, "\n"); !slices.Equal(values(0), c.tool) || !slices.Equal(values(1), c.bearing) || !strings.Contains(notes, c.note) {
			t.Errorf("%s: tool %v, bearing %v, notes %q", name, values(0), values(1), notes)
		}
	}
	// Columns by number cannot follow names.
	opt.Fields = []Field{{Key: "2", Channel: "tool"}}
	log, err := Parse(strings.NewReader(first+"stamp,T_bearing,T_tool,n\n2026-11-20 09:00:00,40.1,470.2,398\n"), opt)
	if err != nil || len(log.Time) != 1 || log.Skips != 1 || !strings.Contains(strings.Join(log.Notes, ""), `column 2 is "T_bearing" where it was "T_tool"`) {
		t.Errorf("%v, %v", log, err)
	}
}

func TestHeadersThatCannotBeUsed(t *testing.T) {
	for text, want := range map[string]string{
		"a,b\n1,2\n3,4\n":                                                `neither a MELD log nor columns that say what they are; its header has a, b: name them "time [s]", "heater power [W]"`,
		"time [s],plate temperature\n0,1\n":                              `column "plate temperature" has no unit that is known: write it in brackets, such as "plate temperature [°C]"`,
		"time [s],plate temperature\n":                                   `column "plate temperature" has no unit`,
		"time [s],plate temperature [furlong]\n0,1\n":                    "has no unit that is known",
		"plate temperature [°C],fan speed [rpm]\n0,1\n":                  `no column is the time: name one "time [s]"`,
		"time [fortnight],plate temperature [°C]\n0,1\n":                 `time unit "fortnight"`,
		"time [s],plate temperature [°C]\n":                              "a header but no row",
		"time,plate temperature [°C]\n0,1\n":                             "a count needs its unit",
		"time [s],plate temperature [°C],Plate_temperature [K]\n0,1,2\n": "both go to",
		"":                               "it is empty",
		strings.Repeat("x\n", 1300):      "no comma, semicolon, tab, | or blank",
		"{\"a\":1}\n{\"a\":2}\n":         "looks like JSON",
		"time[s] plate_temperature[K]\n": "no row of as many numbers",
		"time[s] plate_temperature[K]\n0 s 295 K\n": `line 2 has 4 values where "time[s] plate_temperature[K]" has 2 names`,
	} {
		if _, err := Parse(strings.NewReader(text), Options{Named: plate}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func generic(t *testing.T, path string) TailOptions {
	t.Helper()
	celsius := unit.MustParse("°C")
	reg, err := sensors.NewRegistry([]sensors.Channel{{Name: "tool", Unit: celsius}, {Name: "bearing", Unit: celsius}})
	if err != nil {
		t.Fatal(err)
	}
	return TailOptions{Path: path, Registry: reg, Options: Options{Format: CSV, Time: TimeColumn{Key: "stamp"}, Fields: []Field{{Key: "T1", Channel: "tool"}, {Key: "T2", Channel: "bearing"}}}}
}

// A logger whose file is copied and truncated goes on without a header, at the start or behind a hole.
func TestTailOfATruncatedLog(t *testing.T) {
	line := func(i int) string { return fmt.Sprintf("2026-11-20 08:%02d:%02d,%d,40.5\n", i/60, i%60, 100+i) }
	for _, hole := range []int64{0, 1 << 20, 1 << 36} {
		path := filepath.Join(t.TempDir(), "live.csv")
		synctest.Test(t, func(t *testing.T) {
			write(t, path, "stamp,T1,T2\n")
			rec, tail, stop := follow(t, generic(t, path))
			for i := range 10 {
				write(t, path, line(i))
				time.Sleep(100 * time.Millisecond)
			}
			settle()
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, hole); err != nil {
				t.Fatal(err)
			}
			for i := 10; i < 20; i++ {
				write(t, path, line(i))
				time.Sleep(100 * time.Millisecond)
			}
			settle()
			stop()
			expect(t, rec.values(0), 0, 20)
			if n := strings.Count(rec.texts(), "truncated"); n != 1 || tail.Health().Rejected.Load() != 0 {
				t.Errorf("told %d times, %d rejected\n%s", n, tail.Health().Rejected.Load(), rec.texts())
			}
		})
	}
}

// What a tail finds out as it goes, it tells: another header, dates that wait, cells that are no numbers, stamps of the future.
func TestTailTellsWhatItDoubts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.csv")
	synctest.Test(t, func(t *testing.T) {
		write(t, path, "stamp,T1,T2\n12/8/1999 23:59:58,100,40.5\n12/8/1999 23:59:59,101,open\n")
		rec, _, stop := follow(t, generic(t, path))
		settle()
		if n := len(rec.values(0)); n != 0 {
			t.Errorf("%d rows of an unknown date", n)
		}
		write(t, path, "13/8/1999 00:00:00,102,40.5\nstamp,T2,T1\n13/8/1999 00:00:01,40.5,103\n13/8/2091 00:00:01,40.5,104\n")
		settle()
		stop()
		expect(t, rec.values(0), 0, 5)
		if at := time.Unix(0, rec.samples[0].Time).UTC(); at.Day() != 12 || at.Month() != 8 {
			t.Errorf("first stamp %s", at)
		}
		for _, want := range []string{"doubted: live.csv line 2: day or month first?", "detected: live.csv line 2: dates are read with the day first, as line 4 tells",
			`doubted: live.csv line 3: T2: 1 value is no number, in line 3: "open"`, "doubted: live.csv line 5: another header is followed: tool is column 3 now", "ahead of this computer's clock"} {
			if !strings.Contains(rec.texts(), want) {
				t.Errorf("no %q in\n%s", want, rec.texts())
			}
		}
	})
}

// Where the time of reading rules, a useless stamp costs no row, and is told once.
func TestTailDoesWithoutStamps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.csv")
	write(t, path, "stamp,T1,T2\nx,100,40.5\n7/8/2025 10:00:00,101,40.5\n,102,40.5\n10:00:00,103,40.5\n10:00:00,104,40.5\n")
	opt := generic(t, path)
	opt.Once = true
	tail, err := NewTail(opt)
	if err != nil {
		t.Fatal(err)
	}
	rec := &record{}
	if err := tail.Run(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	expect(t, rec.values(0), 0, 5)
	if n := strings.Count(rec.texts(), "stamped with the time of reading"); n != 1 {
		t.Errorf("told %d times:\n%s", n, rec.texts())
	}
}

// FuzzLines: how the bytes come makes no difference.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"a\r\nb\rc\n\r\nd", "\xff\xfea\x00\n\x00", "\x00\x00a\n\x00b\n", "a\xb0\n\x1a", "\x00a\x00\n\x00b"} {
		f.Add([]byte(s), uint8(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		read := func(cut int) (all []string) {
			var l lines
			each := func(line []byte) error { all = append(all, string(line)); return nil }
			for rest := b; len(rest) > 0; {
				n := min(len(rest), cut)
				_ = l.feed(rest[:n], each)
				rest = rest[n:]
			}
			return append(all, string(l.rest()))
		}
		whole, pieces := read(max(1, len(b))), read(int(cut)+1)
		if !slices.Equal(whole, pieces) {
			t.Fatalf("%q whole, %q in pieces of %d", whole, pieces, int(cut)+1)
		}
	})
}

// FuzzNumber: a cell that is a number in only one way says so, and one without a sign is the same in both.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1,234.5", "1.234,5", "1\u202f234,5", "-0.125", "1.232", "1'234", "1e5", "\u22121"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		point, isPoint := wire.ParseNumber(b, '.')
		comma, isComma := wire.ParseNumber(b, ',')
		a := wire.Analyse(b)
		if a.OK != (isPoint || isComma) || a.Decimal == '.' && isComma || a.Decimal == ',' && isPoint || a.Either != 0 && !(isPoint && isComma) {
			t.Fatalf("%q: %+v, %v %v", b, a, isPoint, isComma)
		}
		if isPoint && isComma && point != comma && a.Either == 0 {
			t.Fatalf("%q is %g and %g, and not told", b, point, comma)
		}
		if isPoint && (math.IsNaN(point) || math.IsInf(point, 0)) {
			t.Fatalf("%q is %g", b, point)
		}
	})
}

// FuzzNamed reads files that say what they hold.
func FuzzNamed(f *testing.F) {
	f.Add([]byte("time [s];heater power [W];plate temperature [°C]\n0;1.232,5;21,5\n"))
	f.Add([]byte(lvm("\t", ",", "One")))
	f.Add([]byte(ended(";", "0;1;2;20;a", "1;1;2", "2;1;2", "3;1;2;2", "4;1")))
	f.Add([]byte("sep=;\n# x\ntime;heater power;plate temperature\ns;W;°C\n10:00:00;1;2\ntime;plate temperature;heater power\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		log, err := Parse(bytes.NewReader(b), Options{Named: plate, Location: time.UTC})
		if err != nil {
			return
		}
		bad := 0
		for i := range log.Columns {
			for k, s := range log.Status[i] {
				if s.IsGood() && math.IsNaN(log.Value[i][k]) {
					t.Fatalf("row %d: NaN is good", k+1)
				}
				if s.Reason == sensors.NotANumber {
					bad++
				}
			}
		}
		if bad != log.BadCells {
			t.Fatalf("%d bad cells, %d counted", bad, log.BadCells)
		}
	})
}

// A MELD log too may have lines before its header, and another header inside.
func TestMELDLogAsPeopleExportIt(t *testing.T) {
	row := func(sec int) string {
		return fmt.Sprintf("2025-07-08,10:43:%02d.30,450,20,1300,1,1,%d.5,0.0\n", sec, 20+sec)
	}
	text := "Machine,7\n# exported\n" + header + row(1) + "Date,Time,ToolTemp,SpinVel,SpinTrq,SpinPwr,O2\n2025-07-08,10:43:02.30,22.5,450,20,1300,7\n"
	log := parse(t, text, Options{Units: Millimetre})
	tool, _ := log.Find(sensors.ToolTemperature)
	torque, _ := log.Find(sensors.SpindleTorque)
	if !slices.Equal(log.Value[tool], []float64{21.5, 22.5}) || !slices.Equal(log.Value[torque], []float64{20, 20}) || log.Skips != 0 ||
		len(log.Notes) != 1 || !strings.Contains(log.Notes[0], "tool_temperature is column 3 now") {
		t.Errorf("tool %v, torque %v, skipped %v, notes %q", log.Value[tool], log.Value[torque], log.Skipped, log.Notes)
	}
}
