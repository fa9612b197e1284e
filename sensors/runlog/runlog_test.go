package runlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
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

// metric rewrites rows from..to (counted from 1) of a MELD log in inches as the controller would
// have written them in mm mode.
func metric(t *testing.T, text string, from, to int, positions bool) string {
	t.Helper()
	rows := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	names := strings.Split(rows[0], ",")
	for k := max(1, from); k < len(rows) && k <= to; k++ {
		f := strings.Split(rows[k], ",")
		for i, key := range names {
			m := meldByKey(key)
			if m == nil || m.inch == m.mm || !positions && strings.HasSuffix(key, "Pos") {
				continue
			}
			conv, _ := unit.Between(m.inch, m.mm)
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				t.Fatal(err)
			}
			f[i] = strconv.FormatFloat(conv.Apply(v), 'f', 4, 64)
		}
		rows[k] = strings.Join(f, ",")
	}
	return strings.Join(rows, "\n") + "\n"
}

func load(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(recording(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestUnitsThatChangeInTheFileAreFoundAtTheRow(t *testing.T) {
	for _, name := range []string{"20250708104310.csv", "20250707151600.csv"} {
		text := load(t, name)
		whole := parse(t, text, Options{})
		rows := len(whole.Time)
		for _, c := range []struct{ from, to int }{{1, rows}, {1, 9}, {2, rows}, {30, rows}, {100, 140}, {131, rows}, {300, 700}, {445, rows}, {600, 700}, {rows - 20, rows}, {rows, rows}} {
			log, err := Parse(strings.NewReader(metric(t, text, c.from, c.to, true)), Options{Location: time.UTC})
			if err != nil {
				t.Fatal(err)
			}
			var want []Detection
			if c.from > 1 {
				want = append(want, Detection{From: 1, To: c.from - 1, Units: Inch})
			}
			want = append(want, Detection{From: c.from, To: c.to, Units: Millimetre})
			if c.to < rows {
				want = append(want, Detection{From: c.to + 1, To: rows, Units: Inch})
			}
			ok := len(want) == len(log.Detected)
			for i := range want {
				ok = ok && want[i].From == log.Detected[i].From && want[i].To == log.Detected[i].To && want[i].Units == log.Detected[i].Units
			}
			if !ok {
				t.Errorf("%s, mm in rows %d–%d: %v", name, c.from, c.to, log.Detected)
				continue
			}
			for i := range whole.Columns {
				for k := range whole.Time {
					a, b := whole.Value[i][k], log.Value[i][k]
					if !(math.Abs(a-b) <= 1e-4) {
						t.Fatalf("%s, mm in rows %d–%d: row %d: %s %g, in inches it was %g", name, c.from, c.to, k+1, whole.Columns[i].Name, b, a)
					}
				}
			}
		}
	}
}

// Where no position moves with the change, the power tells, to within the rows that have none.
func TestUnitsThatChangeWithoutAJumpAreFoundByPower(t *testing.T) {
	text := load(t, "20250708104310.csv")
	for _, from := range []int{60, 200, 500, 1000} {
		log := parse(t, metric(t, text, from, 2000, false), Options{})
		if len(log.Detected) != 2 || log.Detected[1].Units != Millimetre || log.Detected[1].By != "ratio" || log.Detected[1].From < from || log.Detected[1].From > from+2 {
			t.Errorf("mm from row %d: %v", from, log.Detected)
		}
	}
}

func TestUnitsGivenAreNotQuestioned(t *testing.T) {
	log := parse(t, load(t, "20250708104310.csv"), Options{Units: Millimetre})
	torque, _ := log.Find(sensors.SpindleTorque)
	if len(log.Detected) != 1 || log.Detected[0].By != "given" || log.Detected[0].To != 1098 || log.Value[torque][0] != 84.60 {
		t.Errorf("%v, torque %g", log.Detected, log.Value[torque][0])
	}
}

func TestUnitsThatCannotBeToldAreRefusedWithTheWayOut(t *testing.T) {
	text := header + "2025-07-08,10:43:15.30,0,0,0,1,1,20.5,0.0\n"
	_, err := Parse(strings.NewReader(text), Options{})
	if !errors.Is(err, ErrUnits) || !strings.Contains(err.Error(), "units inch or mm") {
		t.Errorf("%v", err)
	}
	// Columns that do not depend on the mode need no detection.
	log := parse(t, text, Options{Fields: []Field{{Key: "ToolTemp", Channel: "tool_temperature"}}})
	if log.Value[0][0] != 20.5 || len(log.Columns) != 1 {
		t.Errorf("%v", log.Value)
	}
}

func TestShapesOfTheSameLog(t *testing.T) {
	text := load(t, "20250708104310.csv")
	want := parse(t, text, Options{})
	reorder := func(text string, order ...int) string {
		var out strings.Builder
		for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			f := strings.Split(line, ",")
			for n, i := range order {
				if n > 0 {
					out.WriteByte(',')
				}
				out.WriteString(f[i])
			}
			out.WriteByte('\n')
		}
		return out.String()
	}
	wide := func(order func([]byte, uint16) []byte, bom uint16) string {
		b := order(nil, bom)
		for _, u := range utf16.Encode([]rune(text)) {
			b = order(b, u)
		}
		return string(b)
	}
	for name, text := range map[string]string{
		"CRLF":              strings.ReplaceAll(text, "\n", "\r\n"),
		"byte order mark":   "\ufeff" + text,
		"semicolons":        strings.ReplaceAll(text, ",", ";"),
		"decimal commas":    strings.ReplaceAll(strings.ReplaceAll(text, ",", ";"), ".", ","),
		"tabs":              strings.ReplaceAll(text, ",", "\t"),
		"blank lines":       strings.ReplaceAll(text, "\n", "\n\n"),
		"no last line end":  strings.TrimSuffix(text, "\n"),
		"quoted":            `"` + strings.ReplaceAll(strings.ReplaceAll(strings.TrimSuffix(text, "\n"), ",", `","`), "\n", "\"\n\"") + `"`,
		"UTF-16LE":          wide(binary.LittleEndian.AppendUint16, 0xfeff),
		"UTF-16BE":          wide(binary.BigEndian.AppendUint16, 0xfeff),
		"reordered, fewer":  reorder(text, 28, 3, 4, 1, 2, 0, 7, 11),
		"a trailing comma":  strings.ReplaceAll(text, "\n", ",\n"),
		"one byte per read": text,
	} {
		var r io.Reader = strings.NewReader(text)
		if name == "one byte per read" {
			r = iotest.OneByteReader(r)
		}
		got, err := Parse(r, Options{Location: time.UTC})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Skips != 0 || got.BadCells != 0 || !slices.Equal(got.Time, want.Time) {
			t.Errorf("%s: %d rows, skipped %v, %d bad cells", name, len(got.Time), got.Skipped, got.BadCells)
			continue
		}
		for i, c := range got.Columns {
			j, _ := want.Column(c.Name)
			if !slices.Equal(got.Value[i], want.Value[j]) || !slices.Equal(got.Status[i], want.Status[j]) {
				t.Errorf("%s: %s differs", name, c.Name)
			}
		}
	}
}

func TestBadLinesAreNamedAndCostNothingElse(t *testing.T) {
	good := func(sec int, temp string) string {
		return fmt.Sprintf("2025-07-08,10:43:%02d.30,450,20,1300,1,1,%s,0.0\n", sec, temp)
	}
	text := header +
		good(1, "20.0") + // line 2
		"2025-07-08,10:43:02.30,450\n" + // 3
		good(3, "NaN") + // 4: kept, the cell is bad
		"2025-07-08,25:43:03.30,450,20,1300,1,1,20.5,0.0\n" + // 5
		good(2, "20.6") + // 6: one line goes back
		good(4, "-2.0") + // 7
		good(4, "21.0") + // 8: same stamp
		header + // 9
		strings.Repeat("x", maxLine+1) + "\n" + // 10
		"2025-07-31-08,x,450,20,1300,1,1,20.5,0.0\n" + // 11
		"\"2025-07-08,10:43:15.30,450,20,1300,1,1,20.5,0.0\n" + // 12
		"2025-02-30,10:43:05.30,450,20,1300,1,1,20.5,0.0\n" + // 13
		good(6, "") + // 14: kept, the cell is missing
		good(7, "#ERR") + // 15
		strings.TrimSuffix(good(8, "22.0"), ".0\n") // 16: torn
	log := parse(t, text, Options{Units: Millimetre})
	var lines []int
	for _, s := range log.Skipped {
		lines = append(lines, s.Line)
		if s.Why == "" {
			t.Errorf("line %d: no reason", s.Line)
		}
	}
	slices.Sort(lines)
	if want := []int{3, 5, 6, 8, 9, 10, 11, 12, 13, 16}; !slices.Equal(lines, want) || log.Skips != len(want) {
		t.Errorf("skipped %v, want lines %v", log.Skipped, want)
	}
	temp, _ := log.Find(sensors.ToolTemperature)
	var got []string
	for k := range log.Time {
		got = append(got, fmt.Sprint(log.Line[k], log.Value[temp][k], log.Status[temp][k]))
	}
	want := []string{"2 20 good", "4 NaN failure: not_a_number", "7 -2 failure: sentinel", "14 NaN missing", "15 NaN failure: not_a_number"}
	if !slices.Equal(got, want) || log.BadCells != 2 {
		t.Errorf("rows %q, want %q; %d bad cells", got, want, log.BadCells)
	}
}

// A log may have the text of the running line instead of its number.
func TestProgramLinesMayBeText(t *testing.T) {
	var b strings.Builder
	b.WriteString("Date,Time,SpinVel,SpinTrq,SpinPwr,SpinSP,FeedVel,PathVel,Gcode,ToolTemp\n")
	cells := []string{"28", "N23 G1 X40.000 Y-70.000", "n 24 X5", "/N25 M34 S100", "N26", "G1 X5", "Nine", "N"}
	for i, c := range cells {
		fmt.Fprintf(&b, "2025-07-08,10:43:%02d.30,300,200,8500,465,9.5,30,%s,470\n", 10+i, c)
	}
	l := parse(t, b.String(), Options{Units: Inch})
	i, ok := l.Find(sensors.ProgramLine)
	if !ok {
		t.Fatal("no program line")
	}
	for k, want := range []float64{28, 23, 24, 25, 26} {
		if l.Value[i][k] != want || !l.Status[i][k].IsGood() {
			t.Errorf("%q is line %g, %s", cells[k], l.Value[i][k], l.Status[i][k])
		}
	}
	if len(l.Bad) != 1 || l.Bad[0].Count != 3 {
		t.Errorf("what has no number: %v", l.Bad)
	}
}

func TestClockSetBackKeepsTheRows(t *testing.T) {
	row := func(clock string) string { return "2025-07-08," + clock + ",450,20,1300,1,1,20.5,0.0\n" }
	log := parse(t, header+row("10:00:01")+row("10:00:02")+row("09:00:03")+row("09:00:04")+row("09:00:05"), Options{Units: Millimetre})
	if len(log.Time) != 5 || log.Skips != 0 || len(log.Steps) != 1 || log.Steps[0].Row != 3 || log.Steps[0].To != at("2025-07-08 09:00:03") {
		t.Errorf("%d rows, skipped %v, steps %v", len(log.Time), log.Skipped, log.Steps)
	}
}

func TestAWiredColumnMayShowZero(t *testing.T) {
	row := func(sec int, k string) string {
		return fmt.Sprintf("2025-07-08,10:43:%02d,450,20,1300,1,1,20.5,%s\n", sec, k)
	}
	log := parse(t, header+row(1, "0.0")+row(2, "0.1")+row(3, "0.0"), Options{Units: Millimetre})
	k, _ := log.Column("ktype_1")
	for i, s := range log.Status[k] {
		if !s.IsGood() {
			t.Errorf("row %d: %s", i+1, s)
		}
	}
}

func TestColumnMap(t *testing.T) {
	text := "elapsed;temp F;load, kN;note\n0,5;212;1,25;start\n1,5;-999;1,5;\n"
	log := parse(t, text, Options{
		Fields: []Field{
			{Key: "temp F", Channel: "tool_temperature", Unit: unit.MustParse("°F"), Sentinels: []float64{-999}},
			{Key: "3", Channel: "force", Unit: unit.MustParse("kN")},
		},
		Time: TimeColumn{Key: "elapsed", Unit: wire.UptimeSeconds, Start: time.Unix(100, 0)},
	})
	if log.Format != CSV || log.Columns[0].Role != sensors.ToolTemperature || math.Abs(log.Value[0][0]-100) > 1e-9 || log.Value[1][1] != 1.5 ||
		log.Status[0][1].Reason != sensors.Sentinel || log.Time[1] != 101.5e9 || !slices.Equal(log.Ignored, []string{"note"}) {
		t.Errorf("%+v", log)
	}
	for want, opt := range map[string]Options{
		`there is no column "t"; the header has elapsed, temp F, load, kN, note`: {Fields: []Field{{Key: "note", Channel: "x"}}, Time: TimeColumn{Key: "t"}},
		`no time column is named`:                      {Fields: []Field{{Key: "note", Channel: "x"}}},
		`neither a MELD log nor described`:             {},
		`say when that was`:                            {Fields: []Field{{Key: "note", Channel: "x"}}, Time: TimeColumn{Key: "elapsed", Unit: wire.UptimeSeconds}},
		`units do not measure the same thing: kN`:      {Fields: []Field{{Key: "3", Channel: "tool_temperature", Unit: unit.MustParse("kN")}}, Time: TimeColumn{Key: "elapsed", Unit: wire.Seconds}},
		`both go to channel "x"`:                       {Fields: []Field{{Key: "3", Channel: "x"}, {Key: "2", Channel: "x"}}, Time: TimeColumn{Key: "elapsed", Unit: wire.Seconds}},
		`not a MELD log: its header has elapsed, temp`: {Format: MELD},
	} {
		if _, err := Parse(strings.NewReader(text), opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestChannelsDecideTheUnit(t *testing.T) {
	text := header + "2025-07-08,10:43:15.30,450,20,1300,1,1,20.5,0.0\n"
	log := parse(t, text, Options{Units: Millimetre, Channels: []sensors.Channel{
		{Name: "tip", Role: sensors.ToolTemperature, Unit: unit.MustParse("K")},
		{Name: "feed_position", Unit: unit.MustParse("in")},
	}})
	tip, ok := log.Column("tip")
	feed, _ := log.Column("feed_position")
	if !ok || math.Abs(log.Value[tip][0]-293.65) > 1e-9 || math.Abs(log.Value[feed][0]-1/25.4) > 1e-12 {
		t.Errorf("%v %v", log.Columns, log.Value)
	}
}

// Nobody knows the unit of the drives' own torques: a log's number is in that of the channel, not converted into it.
func TestANumberOfUnknownUnitIsInThatOfItsChannel(t *testing.T) {
	const text = "Date,Time,SpinVel,SpinTrq,SpinPwr,ToolTemp,FeedTrq\n2025-07-08,10:43:15.30,450,20,1300,20.5,82.5\n"
	percent, newton := unit.MustParse("%"), unit.MustParse("N·m")
	for _, c := range []struct {
		opt  Options
		want float64
	}{
		{Options{Channels: []sensors.Channel{{Name: "feed_torque", Unit: percent}}}, 82.5},
		{Options{Channels: []sensors.Channel{{Name: "drive", Role: sensors.FeedTorque, Unit: newton}}}, 82.5},
		{Options{Channels: []sensors.Channel{{Name: "drive", Unit: percent}}, Fields: []Field{{Key: "FeedTrq", Channel: "drive"}}}, 82.5},
		{Options{Channels: []sensors.Channel{{Name: "drive", Unit: percent}}, Fields: []Field{{Key: "FeedTrq", Channel: "drive", Unit: unit.MustParse("1")}}}, 8250},
	} {
		c.opt.Units = Millimetre
		log := parse(t, text, c.opt)
		if i := slices.IndexFunc(log.Columns, func(x Column) bool { return x.Key == "FeedTrq" }); i < 0 || math.Abs(log.Value[i][0]-c.want) > 1e-9 {
			t.Errorf("%+v: %v %v, want %g", c.opt.Channels, log.Columns, log.Value, c.want)
		}
	}
}

func TestStamps(t *testing.T) {
	for _, c := range []struct {
		column            TimeColumn
		date, clock, want string
	}{
		{TimeColumn{DateKey: "d"}, "2025-07-08", "10:43:15.30", "2025-07-08 10:43:15.3"},
		{TimeColumn{DateKey: "d"}, "2025-07-08", "10:43:15", "2025-07-08 10:43:15"},
		{TimeColumn{DateKey: "d"}, "08.07.2025", "10:43:15.123456789", "2025-07-08 10:43:15.123456789"},
		{TimeColumn{DateKey: "d", Order: wire.MonthFirst}, "7/8/2025", "1:43:15 PM", "2025-07-08 13:43:15"},
		{TimeColumn{}, "", "2025-07-08T10:43:15.30+02:00", "2025-07-08 08:43:15.3"},
		{TimeColumn{}, "", "2025-07-08 10:43:15.30", "2025-07-08 10:43:15.3"},
		{TimeColumn{Unit: wire.Seconds}, "", "1751971395.300000001", "2025-07-08 10:43:15.300000001"},
		{TimeColumn{Unit: wire.Milliseconds}, "", "1751971395300.5", "2025-07-08 10:43:15.3005"},
		{TimeColumn{Unit: wire.Nanoseconds}, "", "1751971395300000000.9", "2025-07-08 10:43:15.3"},
		{TimeColumn{DateKey: "d"}, "2025-04-31", "10:43:15", ""},
		{TimeColumn{DateKey: "d"}, "2025-07-08", "10:61:15", ""},
		{TimeColumn{DateKey: "d"}, "2025-07-08", "", ""},
		{TimeColumn{Unit: wire.Seconds}, "", "1e9", "2001-09-09 01:46:40"},
		{TimeColumn{Unit: "sec"}, "", "1.751971395300000e+09", "2025-07-08 10:43:15.3"},
		{TimeColumn{Unit: "Minutes"}, "", "0.5", "1970-01-01 00:00:30"},
		{TimeColumn{Unit: "h"}, "", "1.25", "1970-01-01 01:15:00"},
		{TimeColumn{Unit: "s since 1904"}, "", "3834787395.3", "2025-07-08 02:43:15.3"},
		{TimeColumn{Unit: "s", Start: time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)}, "", "3834787395.3", "2025-07-08 02:43:15.3"},
		{TimeColumn{}, "", "7/8/2025 10:43:15", ""},
		{TimeColumn{}, "", "10:43:15", ""},
		{TimeColumn{Unit: wire.Seconds}, "", "99999999999999999999", ""},
		{TimeColumn{Unit: wire.Seconds}, "", "", ""},
	} {
		s, err := newStamps(c.column, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.parse([]byte(c.date), []byte(c.clock), '.')
		if c.want == "" {
			if err == nil {
				t.Errorf("%q %q gave %d", c.date, c.clock, got)
			}
		} else if err != nil || got != at(c.want) {
			t.Errorf("%q %q: %s, %v; want %s", c.date, c.clock, time.Unix(0, got).UTC(), err, c.want)
		}
	}
}

func TestMELDChannelsMakeARegistry(t *testing.T) {
	reg, err := sensors.NewRegistry(MELDChannels())
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []sensors.Role{sensors.ToolTemperature, sensors.SpindleSpeed, sensors.SpindlePower, sensors.SetPoint, sensors.OxygenLevel} {
		if _, ok := reg.Find(role); !ok {
			t.Errorf("no channel is %s", role)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(header+"2025-07-08,10:43:15.30,450,20,1300,1,1,20.5,0.0\n2025-07-08,10:43:14.30,450,20,1300,1,1,20.5,0.0\n"), false)
	f.Add([]byte("\xff\xfea\x00;\x00b\x00\n\x001\x00;\x002\x00\n\x00"), true)
	f.Add([]byte("a;\"b\"\"\"\n1,5;\"2\"\n1,4;3\n1,45;x\n"), true)
	f.Add([]byte("\xef\xbb\xbfa\tb\r\n1\t2\r\n1"), true)
	f.Fuzz(func(t *testing.T, b []byte, mapped bool) {
		opt := Options{Location: time.UTC, Units: Millimetre}
		if mapped {
			opt = Options{Format: CSV, Fields: []Field{{Key: "2", Channel: "x"}}, Time: TimeColumn{Key: "1", Unit: wire.Seconds}}
		}
		log, err := Parse(bytes.NewReader(b), opt)
		slow, err2 := Parse(iotest.OneByteReader(bytes.NewReader(b)), opt)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%v in one piece, %v byte by byte", err, err2)
		}
		if err != nil {
			return
		}
		if len(log.Time) != len(slow.Time) || log.Skips != slow.Skips {
			t.Fatalf("%d rows and %d skips in one piece, %d and %d byte by byte", len(log.Time), log.Skips, len(slow.Time), slow.Skips)
		}
		steps := 0
		for k := range log.Time {
			if k > 0 && log.Time[k] <= log.Time[k-1] {
				steps++
			}
			for i := range log.Columns {
				if log.Status[i][k].IsGood() && (math.IsNaN(log.Value[i][k]) || math.IsInf(log.Value[i][k], 0)) {
					t.Fatalf("row %d: %g is good", k+1, log.Value[i][k])
				}
			}
		}
		if steps != len(log.Steps) {
			t.Fatalf("%d steps back in %v, %v named", steps, log.Time, log.Steps)
		}
	})
}

// FuzzDetector looks for input that leaves rows without a mode or stretches with holes.
func FuzzDetector(f *testing.F) {
	f.Add([]byte{1, 2, 3, 200, 200, 200, 200, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDetector(Auto)
		for _, c := range b {
			ratio := 0.9 + float64(c&15)/20
			pos := [4]float64{float64(c >> 4), float64(c>>4) * perInch, math.NaN(), 0}
			if c&1 == 1 {
				pos[0], pos[1] = pos[0]*perInch, pos[1]*perInch
			}
			d.add(400, 50, 50*400*math.Pi/30*ratio, &pos)
			if d.settled > d.n || d.mode == Auto && d.settled > 0 {
				t.Fatalf("%d of %d settled, mode %s", d.settled, d.n, d.mode)
			}
		}
		s, err := d.end()
		if err != nil {
			return
		}
		next := 1
		for _, x := range s {
			if x.From != next || x.To < x.From {
				t.Fatalf("%v", s)
			}
			next = x.To + 1
		}
		if next != d.n+1 {
			t.Fatalf("%v of %d rows", s, d.n)
		}
	})
}

// Reading a 20-minute run is far below a person's patience: budget 20 ms.
func BenchmarkRead(b *testing.B) {
	text := load(b, "20250708104310.csv")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(strings.NewReader(text), Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
