package runlog

import (
	"math"
	"strings"
	"testing"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// What a column says of its unit is heeded in whatever way it is written; a unit that its channel cannot have makes its values
// failures, and what looks like a unit and is none is told.
func TestColumnsSayTheirUnitsInManyWays(t *testing.T) {
	const wrong = "values are failures"
	for _, c := range []struct {
		column, channel string
		want            float64 // of 100
		told            string
	}{
		{"Torque [ft-lbs]", "N·m", 135.58179483314, "as it says itself"},
		{"Torque ft.lbs", "N·m", 135.58179483314, "as it says itself"},
		{"TORQUE_NCM", "N·m", 1, "as it says itself"},
		{"Force [kip]", "N", 444822.16152605, "as it says itself"},
		{"O2 [ppm]", "%", 0.01, "as it says itself"},
		{"O2 [vol%]", "%", 100, ""},
		{"SPDL_RPM", "rpm", 100, ""},
		{"Drehzahl [Upm]", "rpm", 100, ""},
		{"Feed (IPM)", "mm/min", 2540, "as it says itself"},
		{"T(°F)", "°C", 340. / 9, "as it says itself"},
		{"T [°F, avg]", "°C", 340. / 9, "as it says itself"},
		{"T (F) max", "°C", 340. / 9, "as it says itself"},
		{"T, °F (LGR S/N: 10001, SEN S/N: 2)", "°C", 340. / 9, "as it says itself"},
		{"T, °F (S/N: 1)", "°C", 340. / 9, "as it says itself"},
		{"T [F avg]", "°C", 340. / 9, "as it says itself"},
		{"T (zone F)", "°C", 100, ""},
		{"T_degF", "°C", 340. / 9, "as it says itself"},
		{"T_F", "°C", 340. / 9, "as it says itself"},
		{"PowerKW", "W", 1e5, "as it says itself"},
		{"Pressure [bar(g)]", "psi", 1450.3773773, "as it says itself"},
		{"Pressure (bar(g))", "psi", 1450.3773773, "as it says itself"},
		{"Z [\"]", "mm", 2540, "as it says itself"},
		{"T1 (left)", "°C", 100, ""},
		{"T1 [CH1]", "°C", 100, ""},
		{"T1 (A)", "°C", 100, "seems to be in A"},
		{"flow in", "l/min", 100, ""},
		{"T_K", "°C", math.NaN(), "may be in K or in °C"},
		{"Z_m", "mm", math.NaN(), "may be in m or in mm"},
		{"Force [kg]", "N", math.NaN(), wrong},
		{"Load [%]", "W", math.NaN(), wrong},
		{"Load [% rated]", "W", math.NaN(), wrong},
		{"T [mV]", "°C", math.NaN(), wrong},
		{"Power [kVA]", "W", 100, `says "kVA", which is no unit that is known`},
		{"Feed [mm/rev]", "mm/min", 100, `says "mm/rev", which is no unit that is known`},
	} {
		for _, where := range []string{"header", "below", "above"} {
			name, row := c.column, ""
			if i := strings.IndexAny(c.column, "[("); where != "header" {
				if i < 0 || !strings.HasSuffix(c.column, "]") && !strings.HasSuffix(c.column, ")") || strings.Contains(c.told, "no unit") || c.told == "" || c.want != c.want || strings.HasPrefix(c.told, "seems") {
					continue
				}
				name, row = strings.TrimSpace(c.column[:i]), "s;"+strings.ReplaceAll(c.column[i:], `"`, `""`)+"\n"
				if strings.Contains(row, `"`) {
					row = `s;"` + row[2:len(row)-1] + "\"\n"
				}
			}
			quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
			text := "t;" + quoted + "\n" + row + "0;100\n1;100\n"
			if where == "above" {
				text = row + "t;" + quoted + "\n0;100\n1;100\n"
			}
			log, err := Parse(strings.NewReader(text), Options{Format: CSV, Separator: ';', Time: TimeColumn{Key: "t", Unit: wire.Seconds},
				Channels: []sensors.Channel{{Name: "c", Unit: unit.MustParse(c.channel)}}, Fields: []Field{{Key: name, Channel: "c"}}})
			if err != nil {
				t.Errorf("%s (%s): %v", c.column, where, err)
				continue
			}
			told := strings.Join(log.Remarks(), "\n")
			if !strings.Contains(told, c.told) || c.told == "" && told != "" {
				t.Errorf("%s (%s): told is %q, not %q", c.column, where, told, c.told)
			}
			for k, v := range log.Value[0] {
				switch status := log.Status[0][k]; {
				case c.want != c.want && status.Reason != sensors.WrongUnit, c.want == c.want && !status.IsGood():
					t.Errorf("%s (%s): %s", c.column, where, status)
				case c.want == c.want && math.Abs(v/c.want-1) > 1e-9:
					t.Errorf("%s (%s): 100 is read as %g %s, not %g", c.column, where, v, c.channel, c.want)
				}
			}
		}
	}
}

// A row of units counts with words in it that are none, and where it looks like a header of other names.
func TestRowsOfUnitsWithOtherWords(t *testing.T) {
	for name, text := range map[string]string{
		"a word that is no unit":      "stamp;T1;note;load\ns;°F;-;counts\n0;212;a;5\n1;212;b;5\n",
		"of which one names the time": "NO.;stamp;ms;T1;load\nNO.;Time;ms;degF;V\n1;0;0;212;5\n2;1;0;212;5\n",
		"types and words above it":    "stamp;T1;load\nDATE;REAL;REAL\nTime;Tool temperature;Load\n;°F;V\n0;212;5\n1;212;5\n",
		"types below it":              "stamp;T1;load\n;°F;V\nDATE;REAL;REAL\n0;212;5\n1;212;5\n",
		"a unit of the time alone":    "stamp;T1 [°F];load\ns;Tool;Motor\n0;212;5\n1;212;5\n",
	} {
		log, err := Parse(strings.NewReader(text), Options{Format: CSV, Time: TimeColumn{Key: "stamp", Unit: wire.Seconds},
			Channels: []sensors.Channel{{Name: "tool", Unit: unit.MustParse("°C")}, {Name: "load", Unit: unit.MustParse("1")}}, Fields: []Field{{Key: "T1", Channel: "tool"}, {Key: "load", Channel: "load"}}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v := log.Value; len(v[0]) != 2 || math.Abs(v[0][0]-100) > 1e-9 || v[1][1] != 5 || log.Skips > strings.Count(text, "REAL")/2+strings.Count(text, "Tool temp") {
			t.Errorf("%s: %v, %v", name, v, log.Skipped)
		}
	}
}

// A first row without numbers is no row of units.
func TestAFirstRowOfMissingValues(t *testing.T) {
	log, err := Parse(strings.NewReader("stamp;load\nJul 8 2025 10:43:15;-\nJul 8 2025 10:43:16;5\n"), Options{Format: CSV, Time: TimeColumn{Key: "stamp"}, Channels: []sensors.Channel{{Name: "load", Unit: unit.MustParse("1")}}, Fields: []Field{{Key: "load", Channel: "load"}}})
	if err != nil || len(log.Time) != 2 || log.Status[0][0].Reason != sensors.NotANumber {
		t.Errorf("%v, %v", log, err)
	}
}

// What no sensor can read is no reading, and told.
func TestTemperaturesThatNobodyMeasures(t *testing.T) {
	log, err := Parse(strings.NewReader("t,T1 [°F]\n0,212\n1,-9999\n2,-459.67\n3,65535\n4,-40\n"), Options{Format: CSV, Time: TimeColumn{Key: "t", Unit: wire.Seconds},
		Channels: []sensors.Channel{{Name: "tool", Unit: unit.MustParse("°C")}}, Fields: []Field{{Key: "T1", Channel: "tool"}}})
	if err != nil {
		t.Fatal(err)
	}
	for k, good := range []bool{true, false, false, false, true} {
		if s := log.Status[0][k]; s.IsGood() != good || !good && s != (sensors.Status{Signal: sensors.Failure, Reason: sensors.OutOfRange}) {
			t.Errorf("row %d: %s", k+1, s)
		}
	}
	if told := strings.Join(log.Remarks(), "\n"); !strings.Contains(told, `T1 [°F]: 3 values are no temperature, the first in line 3: "-9999"`) {
		t.Errorf("told: %s", told)
	}
}

// A header inside a log that says no unit leaves the last one that was said; one of something else makes failures until another comes.
func TestUnitsOfHeadersInsideALog(t *testing.T) {
	log, err := Parse(strings.NewReader("t,T1 [°F]\n0,212\nt,T1 [K]\n1,373.15\nt,T1\n2,373.15\nt,T1 [mV]\n3,4.1\nt,T1\n4,4.1\nt,T1 [°C]\n5,100\n"), Options{Format: CSV, Time: TimeColumn{Key: "t", Unit: wire.Seconds},
		Channels: []sensors.Channel{{Name: "tool", Unit: unit.MustParse("°C")}}, Fields: []Field{{Key: "T1", Channel: "tool"}}})
	if err != nil {
		t.Fatal(err)
	}
	for k, s := range log.Status[0] {
		if k == 3 || k == 4 {
			if s.Reason != sensors.WrongUnit {
				t.Errorf("row %d: %s", k+1, s)
			}
		} else if v := log.Value[0][k]; !s.IsGood() || math.Abs(v-100) > 1e-9 {
			t.Errorf("row %d: %g, %s", k+1, v, s)
		}
	}
}

// A last number without a line end that is shorter than any before it may be torn.
func TestATornWholeNumber(t *testing.T) {
	for text, rows := range map[string]int{"0,600\n1,601\n2,60": 2, "0,600\n1,601\n2,602": 3, "0,600\n1,601\n2,60\n": 3, "0,5\n1,601\n2,60": 3, "0,600.5\n1,601.5\n2,60.5": 3} {
		log, err := Parse(strings.NewReader("t,n\n"+text), Options{Format: CSV, Time: TimeColumn{Key: "t", Unit: wire.Seconds}, Fields: []Field{{Key: "n", Channel: "n"}}})
		if err != nil || len(log.Time) != rows {
			t.Errorf("%q: %v, %v", text, log, err)
		}
	}
}
