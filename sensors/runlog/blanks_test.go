package runlog

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// A blank column of a file of fixed width is a missing value where the rows stand below the names of the header, and never
// moves its neighbours.
func TestBlankColumnsOfFixedWidth(t *testing.T) {
	opt := Options{Location: time.UTC, Fields: []Field{{Key: "heater", Channel: "heater"}, {Key: "fan speed", Channel: "fan"}, {Key: "T", Channel: "T"}}, Time: TimeColumn{Key: "time", Unit: "s"}}
	log := parse(t, strings.Join([]string{
		"  time   heater   fan speed        T",
		"     0    600.0         300    21.50",
		"     1                  300    22.50",
		"     2    610.5                23.50",
		"     3    610.5         300",
		"     4    610.5         300    24.50", ""}, "\n"), opt)
	for i, want := range [][]float64{{600, math.NaN(), 610.5, 610.5, 610.5}, {300, 300, math.NaN(), 300, 300}, {21.5, 22.5, 23.5, math.NaN(), 24.5}} {
		for k, w := range want {
			if v := log.Value[i][k]; v != w && (v == v || w == w) {
				t.Errorf("%s in row %d is %g, not %g", log.Columns[i].Name, k+1, v, w)
			}
		}
	}
	// Where they do not stand below the names nobody can tell which column is empty.
	log = parse(t, "time heater T\n0 600.0 21.5\n1 22.5\n2 610.5 23.5\n", Options{Fields: []Field{{Key: "T", Channel: "T"}}, Time: TimeColumn{Key: "time", Unit: "s"}})
	if len(log.Time) != 2 || log.Skips != 1 || log.Skipped[0].Line != 3 {
		t.Errorf("%d rows, %+v", len(log.Time), log.Skipped)
	}
	if log.Value[0][1] != 23.5 {
		t.Errorf("%v", log.Value)
	}
}

// Followed as it grows, such a file gives the same.
func TestTailOfColumnsPartedByBlanks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.txt")
	write(t, path, "Cell 3: T2 and T1 at every stamp\n\nstamp              T1     T2\n----------------------------\n2026-11-20 08:00:00  471.5  40.0\n2026-11-20 08:00:01  471.6  40.1\n"+
		"stamp              T2      T1\n2026-11-20 08:00:02  40.2  471.7\n")
	opt := generic(t, path)
	opt.Once, opt.Location = true, time.UTC
	tail, err := NewTail(opt)
	if err != nil {
		t.Fatal(err)
	}
	got := &record{}
	if err := tail.Run(context.Background(), got); err != nil {
		t.Fatal(err)
	}
	id, _ := opt.Registry.Lookup(opt.Fields[0].Channel)
	if v := got.values(id); len(v) != 3 || v[0] != 471.5 || v[1] != 471.6 || v[2] != 471.7 {
		t.Errorf("%v; %s", v, got.texts())
	}
}

// In the hour in which the clocks go back every time of day comes twice; the rows before it tell which it is.
func TestTheHourThatComesTwice(t *testing.T) {
	for zone, utc := range map[string]string{"Europe/Berlin": "2025-10-25T23:59:59Z", "America/New_York": "2025-11-02T04:59:59Z", "Australia/Lord_Howe": "2025-04-05T14:29:59Z"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		begin, _ := time.Parse(time.RFC3339, utc)
		var text strings.Builder
		text.WriteString("time,T\n")
		const n, step = 360, 30 // three hours
		for i := range n {
			text.WriteString(begin.Add(time.Duration(i)*step*time.Second).In(loc).Format("2006-01-02 15:04:05") + ",1\n")
			if i == 200 { // a line that goes back is still one
				text.WriteString(begin.Add(time.Duration(i-3)*step*time.Second).In(loc).Format("2006-01-02 15:04:05") + ",2\n")
			}
		}
		log, err := Parse(strings.NewReader(text.String()), Options{Location: loc, Fields: []Field{{Key: "T", Channel: "T"}}, Time: TimeColumn{Key: "time"}})
		if err != nil {
			t.Fatal(zone, err)
		}
		if len(log.Time) != n || len(log.Steps) != 0 || log.Skips != 1 {
			t.Errorf("%s: %d rows, steps %v, skipped %v", zone, len(log.Time), log.Steps, log.Skipped)
			continue
		}
		for i, at := range log.Time {
			if want := begin.Add(time.Duration(i) * step * time.Second); at != want.UnixNano() {
				t.Errorf("%s: row %d is at %v, not %v", zone, i+1, time.Unix(0, at).UTC(), want)
				break
			}
		}
	}
}

// What instruments send for "no reading" is none, in a log and on a wire.
func TestNumbersThatAreNoReading(t *testing.T) {
	log := parse(t, "time,T\n0,21.5\n1,9.9E37\n2,-9.90000000E+37\n3,+9.91E37\n4,22.5\n", Options{Fields: []Field{{Key: "T", Channel: "T", Unit: unit.MustParse("°F")}}, Time: TimeColumn{Key: "time", Unit: wire.Seconds}})
	for i, s := range log.Status[0] {
		if want := i == 0 || i == 4; s.IsGood() != want || !want && s.Reason != sensors.Sentinel {
			t.Errorf("row %d: %g %s", i+1, log.Value[0][i], s)
		}
	}
}

func FuzzBlanks(f *testing.F) {
	for _, s := range []string{"time  T\n0  1\n1\n", "2025-07-08 10:00:00 1\n\"2025-07-08 10:00:01\" 2\nPT5S 3\n", "time T\n---\ns °C\n 0   1\n     2\n"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, text bool) {
		header := "time [s]   heater power [W]   plate temperature [K]\n"
		if text {
			header = "time heater_power_W plate_temperature_K\n"
		}
		log, err := Parse(strings.NewReader(header+string(body)), Options{Named: plate, Location: time.UTC})
		if err != nil {
			return
		}
		for i := range log.Columns {
			if len(log.Value[i]) != len(log.Time) || len(log.Status[i]) != len(log.Time) {
				t.Fatalf("%q: %d values of %d rows", body, len(log.Value[i]), len(log.Time))
			}
		}
	})
}

// A folder in place of a file is an error that says what to name.
func TestAFolderIsNoLog(t *testing.T) {
	opt := generic(t, t.TempDir())
	tail, err := NewTail(opt)
	if err != nil {
		t.Fatal(err)
	}
	got := &record{}
	err = tail.Run(context.Background(), got)
	if err == nil || !strings.Contains(err.Error(), "is a folder: name a file in it, or a pattern such as") || strings.Contains(got.texts(), "no such file") {
		t.Errorf("%v; %s", err, got.texts())
	}
}

// Dates and times of day in columns of their own, as databases export them, and a date that is left out.
func TestDatesInTheirOwnColumn(t *testing.T) {
	opt := Options{Location: time.UTC, Fields: []Field{{Key: "T", Channel: "T"}}, Time: TimeColumn{Key: "time", DateKey: "date"}}
	for name, rows := range map[string][2]string{
		"plain":           {"2025-07-08,10:43:15", "2025-07-08,10:43:16"},
		"midnights":       {"2025-07-08 00:00:00,10:43:15", "2025-07-08 00:00:00.000,10:43:16"},
		"times of 1899":   {"2025-07-08 00:00:00,1899-12-30 10:43:15", "2025-07-08T00:00:00,30.12.1899 10:43:16"},
		"times of 1970":   {"8/7/2025,1/1/1970 10:43:15", "25/7/2025,1/1/1970 10:43:16"},
		"twelve hours":    {"8 Jul 2025 12:00:00 AM,12/30/1899 10:43:15 AM", "8 Jul 2025 12:00:00 AM,12/30/1899 10:43:16 AM"},
		"with a day told": {"2025-07-08,2025-07-08 10:43:15", "2025-07-08,2025-07-08 10:43:16"},
	} {
		log, err := Parse(strings.NewReader("date,time,T\n"+rows[0]+",1\n"+rows[1]+",2\n"), opt)
		if name == "with a day told" { // twice the date is none of the forms
			if err == nil {
				t.Errorf("%s: %v", name, log.Time)
			}
			continue
		}
		if err != nil || len(log.Time) != 2 || log.Time[0] != at("2025-07-08 10:43:15") {
			t.Errorf("%s: %v, %v", name, log, err)
		}
	}
	log := parse(t, "date,time,T\n2025-07-08,10:43:15,1\n,10:43:16,2\n2025-07-08,10:43:17,3\n", opt)
	if len(log.Time) != 2 || log.Skips != 1 || !strings.Contains(log.Skipped[0].Why, "the date beside") {
		t.Errorf("%v, %v", log.Time, log.Skipped)
	}
}

// Below a header in other words nobody knows whose the values are.
func TestAHeaderInOtherWords(t *testing.T) {
	opt := Options{Location: time.UTC, Fields: []Field{{Key: "T1", Channel: "T1"}, {Key: "T2", Channel: "T2"}}, Time: TimeColumn{Key: "stamp", Unit: "s"}}
	log := parse(t, "stamp,T1,T2\n0,471.5,40\n1,471.6,40\nZeit,Lager,Werkzeug\n2,40,471.7\nstamp,T2,T1\n3,40,471.8\n", opt)
	if len(log.Time) != 3 || log.Value[0][2] != 471.8 || !strings.Contains(strings.Join(log.Remarks(), "\n"), "line 4: another header, which cannot be followed") {
		t.Errorf("%v, %v", log.Value, log.Remarks())
	}
	// A word beside the time is none.
	log = parse(t, "stamp,T1,T2\n0,471.5,40\n,pause,pause\n2,471.6,40\nend,of,time log\n3,471.7,40\n", opt)
	if len(log.Time) != 3 {
		t.Errorf("%v, %v", log.Time, log.Remarks())
	}
}
