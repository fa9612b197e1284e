package runlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stirwatch/sensors"
	"stirwatch/sensors/wire"
)

// A stamp may be in several columns: a date beside a count of the day, milliseconds beside whole seconds.
func TestStampsInSeveralColumns(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		time TimeColumn
		want string // of the rows, in UTC
		told string
	}{
		"seconds of the day":           {"d;s;T\n2025-07-08;0;1\n2025-07-08;38595.5;2\n2025-07-09;1;3\n", TimeColumn{Key: "s", DateKey: "d", Unit: wire.Seconds}, "07T22:00:00 08T08:43:15.5 08T22:00:01", ""},
		"of days that another settles": {"d;s;T\n8/7/2025;38595;1\n13/7/2025;1;2\n", TimeColumn{Key: "s", DateKey: "d", Unit: wire.Seconds}, "08T08:43:15 12T22:00:01", ""},
		"milliseconds of the day":      {"d;ms;T\n20250708;38595500;1\n", TimeColumn{Key: "ms", DateKey: "d", Unit: wire.Milliseconds}, "08T08:43:15.5", ""},
		"a count of no day":            {"d;s;T\n2025-07-08;1751971395;1\n2025-07-08;5;2\n", TimeColumn{Key: "s", DateKey: "d", Unit: wire.Seconds}, "07T22:00:05", "is beyond the day of the date beside it"},
		"no date":                      {"d;s;T\n2025-07-08;5;1\n;6;2\n-;7;3\n", TimeColumn{Key: "s", DateKey: "d", Unit: wire.Seconds}, "07T22:00:05", "is no date"},
		"a spreadsheet's":              {"d;s;T\n45846;0.5;1\n08.07.2025;0.75;2\n45847;0;3\n", TimeColumn{Key: "s", DateKey: "d", Unit: "excel"}, "08T10:00:00 08T16:00:00 08T22:00:00", ""},
		"a spreadsheet's whole stamp":  {"d;s;T\n45846;45846.5;1\n", TimeColumn{Key: "s", DateKey: "d", Unit: "excel"}, "08T10:00:00", ""},
		"milliseconds":                 {"t;ms;T\n2025-07-08 10:00:00;0;1\n2025-07-08 10:00:00;250;2\n2025-07-08 10:00:01;5;3\n2025-07-08 10:00:02;;4\n", TimeColumn{Key: "t"}, "08T08:00:00 08T08:00:00.25 08T08:00:01.005 08T08:00:02", `line 2: column "ms" is read as the milliseconds of "t"`},
		"milliseconds beside a date":   {"d;t;Millisecond;T\n2025-07-08;10:00:00;7;1\n", TimeColumn{Key: "t", DateKey: "d"}, "08T08:00:00.007", ""},
		"milliseconds since the start": {"t;ms;T\n2025-07-08 10:00:00;500;1\n2025-07-08 10:00:01;1500;2\n", TimeColumn{Key: "t"}, "08T08:00:00 08T08:00:01", ""},
		"of a stamp that has its own":  {"t;ms;T\n2025-07-08 10:00:00.5;500;1\n2025-07-08 10:00:01;500;2\n", TimeColumn{Key: "t"}, "08T08:00:00.5 08T08:00:01", `"500" is not the milliseconds of the stamp`},
	} {
		log, err := Parse(strings.NewReader(c.text), Options{Format: CSV, Location: berlin, Time: c.time, Fields: []Field{{Key: "T", Channel: "T"}}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, at := range log.Time {
			got = append(got, time.Unix(0, at).UTC().Format("02T15:04:05.999999999"))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s, want %s; %v", name, got, c.want, log.Skipped)
		}
		if told := strings.Join(log.Remarks(), "\n") + fmt.Sprint(log.Skipped); !strings.Contains(told, c.told) {
			t.Errorf("%s: told %q, want %q", name, told, c.told)
		}
	}
}

// A row out of its order around midnight makes no day of its own where the time of day has no date.
func TestMidnightOutOfOrder(t *testing.T) {
	log, err := Parse(strings.NewReader("time,T [°C]\n23:59:58,1\n00:00:01,2\n23:59:59,3\n00:00:02,4\n12:00:00,5\n23:59:59,6\n00:00:00,7\n"), Options{Named: []Named{{Name: "T", Unit: "°C", Must: true}}})
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, at := range log.Time {
		got = append(got, (at-log.Time[0])/1e9)
	}
	if want := []int64{0, 3, 4, 43202, 86401, 86402}; !slices.Equal(got, want) || log.Skips != 1 {
		t.Errorf("rows at %v s, want %v; %v", got, want, log.Skipped)
	}
}

// The first column of an exported data frame has no name: it is its index, the time where that is one.
func TestNamelessIndex(t *testing.T) {
	const rows = ",T [°C]\n%s\n%s\n"
	named := Options{Named: []Named{{Name: "T", Unit: "°C", Must: true}}}
	log, err := Parse(strings.NewReader(fmt.Sprintf(rows, "2025-07-08 10:43:15,1", "2025-07-08 10:43:16,2")), named)
	if err != nil || len(log.Time) != 2 {
		t.Errorf("dates: %v", err)
	}
	if _, err = Parse(strings.NewReader(fmt.Sprintf(rows, "0,1", "1,2")), named); err == nil || !strings.Contains(err.Error(), "a count needs its unit") {
		t.Errorf("counts: %v", err)
	}
}

// The name of the column of the time may say the zone, as loggers and people write it; a place that is given wins, and is told.
func TestZonesThatColumnsSay(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	local := time.Local
	defer func() { time.Local = local }()
	time.Local = berlin
	for _, c := range []struct {
		column, stamp string
		loc           *time.Location
		want, told    string
	}{
		{"Date Time, GMT-05:00", "07/28/2025 10:43:15 AM", nil, "15:43:15", "are read in UTC-05:00, as it says itself"},
		{"time_utc", "2025-07-28 10:43:15", time.Local, "10:43:15", "as it says itself"},
		{"Time (UTC)", "45866.446701389", nil, "10:43:15", "as it says itself"},
		{"Time (UTC)", "2025-07-28 10:43:15+02:00", nil, "08:43:15", "that name no zone"},
		{"Time (UTC)", "2025-07-28 10:43:15", time.FixedZone("mine", 3600), "09:43:15", "read in mine, as configured (zone)"},
		{"Time (UTC)", "2025-07-28 10:43:15", time.UTC, "10:43:15", ""},
		{"outcome", "2025-07-28 10:43:15", nil, "08:43:15", ""},
	} {
		opt := TimeColumn{Key: c.column}
		if strings.HasPrefix(c.stamp, "45") {
			opt.Unit = "excel"
		}
		log, err := Parse(strings.NewReader("\""+c.column+"\",T\n"+c.stamp+",1\n"), Options{Format: CSV, Location: c.loc, Time: opt, Fields: []Field{{Key: "T", Channel: "T"}}})
		if err != nil {
			t.Errorf("%s: %v", c.column, err)
			continue
		}
		if got := time.Unix(0, log.Time[0]).UTC().Round(time.Millisecond).Format(time.TimeOnly); got != c.want {
			t.Errorf("%s, %s: %s, want %s", c.column, c.stamp, got, c.want)
		}
		if told := strings.Join(log.Remarks(), "\n"); !strings.Contains(told, c.told) || c.told == "" && told != "" {
			t.Errorf("%s: told %q, want %q", c.column, told, c.told)
		}
	}
}

// A log without a header is read by the numbers of its columns, where the options name all by these.
func TestALogWithoutAHeader(t *testing.T) {
	two := []Field{{Key: "2", Channel: "T"}, {Key: "3", Channel: "n"}}
	for name, c := range map[string]struct {
		text   string
		time   TimeColumn
		fields []Field
		err    string
	}{
		"stamps":           {"2025-07-08 10:43:15,471.9,300\n2025-07-08 10:43:16,471.8,301\n", TimeColumn{Key: "1"}, two, ""},
		"decimal commas":   {"2025-07-08 10:43:15;471,9;300,0\n2025-07-08 10:43:16;471,8;301,0\n", TimeColumn{Key: "1"}, two, ""},
		"a count":          {"1751971395,471.9,300\n1751971396,471.8,301\n", TimeColumn{Key: "1", Unit: wire.Seconds}, two, ""},
		"words before":     {"logger 7\nrate,10\n\n1751971395,471.9,300\n1751971396,471.8,301\n", TimeColumn{Key: "1", Unit: wire.Seconds}, two, ""},
		"names are wanted": {"1751971395,471.9,300\n1751971396,471.8,301\n", TimeColumn{Key: "stamp", Unit: wire.Seconds}, two, "there is no column"},
		"too few columns":  {"1751971395,471.9\n1751971396,471.8\n", TimeColumn{Key: "1", Unit: wire.Seconds}, two, "there is no column"},
		"no time":          {"1751971395,471.9,300\n1751971396,471.8,301\n", TimeColumn{Key: "1"}, two, "no header was found"},
	} {
		log, err := Parse(strings.NewReader(c.text), Options{Format: CSV, Location: time.UTC, Time: c.time, Fields: c.fields})
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case !slices.Equal(log.Value[0], []float64{471.9, 471.8}) || !slices.Equal(log.Value[1], []float64{300, 301}) || log.Time[0] != 1751971395e9 || !strings.Contains(strings.Join(log.Notes, "\n"), "no header"):
			t.Errorf("%s: %v, %v", name, log.Value, log.Notes)
		}
	}
}

// A log with a row for each reading of each quantity cannot be read by a map of columns: it is refused, not mixed.
func TestALogOfNamedRows(t *testing.T) {
	const tall = "VarName;TimeString;VarValue\n"
	row := func(i int, name string) string {
		return fmt.Sprintf("%s;08.07.2025 10:%02d:%02d;%d\n", name, 43+i/60, i%60, i)
	}
	for name, c := range map[string]struct {
		names string
		bad   bool
	}{"two in turn": {"ababab", true}, "three in turn": {"abcabc", true}, "one": {"aaaaaa", false}, "one after the other": {"aaabbb", false}, "each its own": {"abcdef", false}, "numbers": {"121212", false}, "another header": {"ab|ab", false}} {
		text := tall
		for i, n := range c.names {
			if n == '|' {
				text += "TimeString;VarValue\n08.07.2025 10:44:00;1\n" + tall
				continue
			}
			text += row(120*(i/3)+i, string(n))
		}
		opt := Options{Format: CSV, Location: time.UTC, Time: TimeColumn{Key: "TimeString"}, Fields: []Field{{Key: "VarValue", Channel: "T"}}}
		log, err := Parse(strings.NewReader(text), opt)
		if c.bad != (err != nil && strings.Contains(err.Error(), "names another quantity in each row")) || !c.bad && (err != nil || len(log.Time) < 5) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a column of quality calls bad is no good value.
func TestColumnsOfQuality(t *testing.T) {
	for text, fields := range map[string][]Field{
		"t;Value;Quality\n0;471.9;Good\n1;0;Bad [NoCommunication]\n2;471;Uncertain\n3;471.8;\nt;Quality;Value\n4;bad;0\n5;good;471.7\n":              {{Key: "Value", Channel: "T"}},
		"t;Value;Value Status;n;n.Status\n0;471.9;OK;1;Bad\n1;0;BAD;1;OK\n2;471;questionable;1;Bad\n3;471.8;192;1;\n4;0;Invalid;1;\n5;471.7;OK;1;\n": {{Key: "Value", Channel: "T"}, {Key: "n", Channel: "n"}},
	} {
		log, err := Parse(strings.NewReader(text), Options{Format: CSV, Time: TimeColumn{Key: "t", Unit: wire.Seconds}, Fields: fields})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for k, want := range []sensors.Signal{sensors.Good, sensors.Failure, sensors.OutOfSpecification, sensors.Good, sensors.Failure, sensors.Good} {
			if got := log.Status[0][k]; got.Signal != want {
				t.Errorf("%q: row %d is %s", text, k+1, got)
			}
		}
		if len(fields) > 1 && (log.Status[1][0].IsGood() || !log.Status[1][1].IsGood()) {
			t.Errorf("%q: %v", text, log.Status[1])
		}
	}
}
