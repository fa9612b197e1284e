package runlog

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// ended are a log's lines below its header: time, power, speed, temperature and, in some, a note; rows whose last cells are
// empty end before them.
func ended(sep string, lines ...string) string {
	return strings.Join([]string{"time [s]", "heater power [W]", "fan speed [rpm]", "plate temperature [°C]", "note"}, sep) + "\n" +
		strings.ReplaceAll(strings.Join(lines, "\n"), ";", sep) + "\n"
}

// Rows that end before their header are read where it is certain which value is whose, or refused with the way out; no value
// ever comes from the column beside its own.
func TestRowsThatEndEarly(t *testing.T) {
	for _, c := range []struct {
		name, text string
		rows       int
		missing    int    // temperatures
		says       string // what is told of rows left out; "!": of the whole file
	}{
		{"tab, no row has the note", ended("\t", "0;1;2;20", "1;1;2;21", "2;1;2;22"), 3, 0, ""},
		{"semicolon, one row has it", ended(";", "0;1;2;20", "1;1;2;21", "2;1;2;22;start", "3;1;2;23"), 4, 0, ""},
		{"comma, rows with it first", ended(",", "0;1;2;20;start", "1;1;2;21", "2;1;2;22"), 3, 0, ""},
		{"comma, no row has it", ended(",", "0;1;2;20", "1;1;2;21", "2;1;2;22"), 0, 0, "!does a name of the header have a comma in it?"},
		{"a name with a comma in it", "time [s],note, of the day,heater power [W],fan speed [rpm],plate temperature [°C]\n0,x,1,2,20\n1,x,1,2,21\n", 0, 0, "!does a name of the header have a comma in it?"},
		{"the note stands empty", ended(";", "0;1;2;20;", "1;1;2;21;", "2;1;2;22;"), 3, 0, ""},
		{"more separators than names", ended(";", "0;1;2;20;a;;", "1;1;2;21;;;;", "2;1;2;22"), 2, 0, "line 4: 4 fields, the header has 5"},
		{"a temperature is empty for a while", ended(";", "0;1;2;20;a", "1;1;2", "2;1;2", "3;1;2;23;b"), 4, 2, ""},
		{"a torn row", ended(";", "0;1;2;20;a", "1;1;2;2", "2;1;2;22;b"), 2, 0, "line 3: 4 fields, the header has 5, and the rows around it have another number: is it torn?"},
		{"a torn row at the end", strings.TrimSuffix(ended(";", "0;1;2;20.25;a", "1;1;2;21.25;b", "2;1;2;22.25", "3;1;2;23.25", "4;1;2;2"), "\n"), 4, 0, "torn"},
		{"a row number that has no name", "heater power [W]\tfan speed [rpm]\tplate temperature [°C]\ttime [s]\n1\t1\t2\t20\t0\n2\t1\t2\t21\t1\n", 0, 0, "!is there a column without a name? Give it one"},
		{"row numbers below an empty name", "\ttime [s]\theater power [W]\tfan speed [rpm]\tplate temperature [°C]\n7\t0\t1\t2\t20\n8\t1\t1\t2\t21\n", 2, 0, ""},
		{"units end early too", "time\theater power\tfan speed\tplate temperature\tnote\ns\tW\trpm\t°C\n0\t1\t2\t20\n1\t1\t2\t21\n", 2, 0, ""},
	} {
		log, err := Parse(strings.NewReader(c.text), Options{Named: plate, Location: time.UTC})
		if whole, is := strings.CutPrefix(c.says, "!"); is || err != nil {
			if err == nil || !is || !strings.Contains(err.Error(), whole) {
				t.Errorf("%s: %v, want %q", c.name, err, c.says)
			}
			continue
		}
		skipped := fmt.Sprint(log.Skipped)
		if len(log.Time) != c.rows || (c.says == "") != (log.Skips == 0) || !strings.Contains(strings.Join(log.Remarks(), "\n")+skipped, strings.TrimPrefix(c.says, "line 3: ")) && !strings.Contains(skipped, c.says) {
			t.Errorf("%s: %d rows, told %s and %q, want %d and %q", c.name, len(log.Time), skipped, log.Remarks(), c.rows, c.says)
		}
		i, _ := log.Column("plate temperature")
		power, _ := log.Column("heater power")
		missing := 0
		for k, v := range log.Value[i] {
			at := float64(log.Time[k]-log.Time[0]) / 1e9
			if !log.Status[i][k].IsGood() {
				missing++
			} else if math.Floor(v) != 20+at {
				t.Errorf("%s: %g °C at %g s", c.name, v, at)
			}
			if log.Value[power][k] != 1 {
				t.Errorf("%s: %g W at %g s", c.name, log.Value[power][k], at)
			}
		}
		if missing != c.missing {
			t.Errorf("%s: %d temperatures are missing, want %d", c.name, missing, c.missing)
		}
	}
}

// lvm is a measurement file of LabVIEW with decimal sign and separator as there; its rows have no cell for the comment but in
// one.
func lvm(sep, decimal, columns string) string {
	text := "LabVIEW Measurement\t\nWriter_Version\t2\nReader_Version\t2\nSeparator\t" + map[string]string{"\t": "Tab", ",": "Comma"}[sep] + "\nDecimal_Separator\t" + decimal +
		"\nMulti_Headings\tYes\nX_Columns\t" + columns + "\nTime_Pref\tAbsolute\nDate\t2025/07/08\nTime\t10:43:15.123456\n***End_of_Header***\t\n\t\n"
	segment := "Channels\t3\t\t\t\nSamples\t3\t3\t3\t\nDate\t2025/07/08\t2025/07/08\t2025/07/08\t\nTime\t10:43:15.1\t10:43:15.1\t10:43:15.1\t\nY_Unit_Label\tkW\trpm\tdeg C\t\n" +
		"X_Dimension\tTime\tTime\tTime\t\nX0\t0.0\t0.0\t0.0\t\nDelta_X\t0.5\t0.5\t0.5\t\n***End_of_Header***\t\t\t\t\nX_Value\theater power\tfan speed\tplate temperature\tComment\n"
	rows := func(from int) (rows string) {
		for k := from; k < from+3; k++ {
			row := strings.ReplaceAll(fmt.Sprintf("%.6f\t%.4f\t600.5\t%.2f", float64(k)/2, 1.5, 20.25+float64(k)), ".", decimal)
			if k == 1 {
				row += "\tstart"
			}
			rows += row + "\r\n"
		}
		return rows
	}
	return strings.ReplaceAll(text+segment, "\t", sep) + strings.ReplaceAll(rows(0)+segment+rows(3), "\t", sep)
}

func TestLabVIEWFiles(t *testing.T) {
	for name, text := range map[string]string{"tab": lvm("\t", ".", "One"), "decimal comma": lvm("\t", ",", "One"), "comma": lvm(",", ".", "One")} {
		log, err := Parse(strings.NewReader(text), Options{Named: plate, Location: time.UTC})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i, _ := log.Column("plate temperature")
		p, _ := log.Column("heater power")
		if len(log.Time) != 6 || len(log.Skipped) != 1 || !log.Skipped[0].Header || log.Columns[p].Unit.String() != "kW" {
			t.Errorf("%s: %d rows, skipped %v, power in %s", name, len(log.Time), log.Skipped, log.Columns[p].Unit)
			continue
		}
		for k := range log.Time {
			if at := log.Time[k] - log.Time[0]; at != int64(k)*5e8 || log.Value[i][k] != 20.25+float64(k) || log.Value[p][k] != 1.5 {
				t.Errorf("%s, row %d: %d ns, %g °C, %g kW", name, k, at, log.Value[i][k], log.Value[p][k])
			}
		}
		o, notes, err := discover(strings.NewReader(text), Options{Location: time.UTC})
		if err != nil || len(o.Fields) != 3 || o.Fields[0].Unit.String() != "kW" || o.Time.Key != "X_Value" {
			t.Errorf("%s: discovered %+v, %q, %v", name, o.Fields, notes, err)
			continue
		}
		if log, err := Parse(strings.NewReader(text), o); err != nil || len(log.Time) != 6 {
			t.Errorf("%s: as discovered: %v", name, err)
		}
	}
	for columns, want := range map[string]string{"Multi": "write it with one X column", "No": "write it with one X column"} {
		for _, o := range []Options{{Named: plate}, {}} {
			_, _, err := discover(strings.NewReader(lvm("\t", ".", columns)), o)
			if _, parse := Parse(strings.NewReader(lvm("\t", ".", columns)), Options{Named: plate}); err == nil || parse == nil || !strings.Contains(err.Error(), want) || !strings.Contains(parse.Error(), want) {
				t.Errorf("X_Columns %s: %v, %v", columns, err, parse)
			}
		}
	}
	if _, err := Parse(strings.NewReader("LabVIEW Measurement\t\nWriter_Version\t2\n"), Options{Named: plate}); err == nil || !strings.Contains(err.Error(), "X_Value") {
		t.Errorf("without columns: %v", err)
	}
}
