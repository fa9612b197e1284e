package export

import (
	"bytes"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/agent/record"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// cellRecord has two channels from 1 s on, one of them late and with a failure, and one of each other record.
func cellRecord(t testing.TB) *journal.Journal {
	t.Helper()
	reg, err := sensors.NewRegistry([]sensors.Channel{{Name: "tool", Unit: unit.MustParse("°C")}, {Name: "speed", Unit: unit.MustParse("rpm")}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(t.TempDir(), "j.db"), journal.Options{Machine: "m", Registry: reg, Hold: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	const s = int64(time.Second)
	ok := sensors.OK
	journaltest.Keep(j, []sensors.Sample{
		{Channel: 0, Time: 1 * s, Value: 25.4 * 0.0104, Status: ok}, {Channel: 1, Time: 1 * s, Value: 400, Status: ok},
		{Channel: 0, Time: 2*s + 5e8, Value: math.Copysign(0, -1), Status: ok},
		{Channel: 0, Time: 3 * s, Value: -2, Status: sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}}, {Channel: 1, Time: 3 * s, Value: 410, Status: ok},
	})
	journaltest.Keep(j, []sensors.Sample{{Channel: 1, Time: 2*s + 5e8, Value: 405, Status: ok}}) // recorded late
	journal.Write(j, record.Anomaly{Time: 2 * s, Code: "sensor.failure", Channel: "tool", Active: true, Score: 1, Limit: 0.5, Since: s, Text: "dead, it seems"})
	journal.Write(j, record.Recommendation{Time: 2 * s, Kind: "none", SetPoint: math.NaN(), Predicted: math.NaN(), Expires: 12 * s, Reason: "no advice", Pace: math.NaN()})
	journal.Write(j, record.Attribution{Time: 2 * s, Of: "forecast", Horizon: "60s", Output: "tool temperature", Total: 3, Parts: record.Parts{Name: []string{"to build", "heat"}, Value: []float64{1, 2}}})
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestSheets(t *testing.T) {
	j := cellRecord(t)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	for name, c := range map[string]struct {
		o    Options
		m    record.Measurement
		want []string
	}{
		"wide": {Options{Wide: true}, "", []string{"time,tool (°C),speed (rpm)",
			"1970-01-01T00:00:01Z,0.26416,400", "1970-01-01T00:00:02.5Z,0,405", "1970-01-01T00:00:03Z,,410"}},
		"every second": {Options{Wide: true, Every: time.Second}, "", []string{"time,tool (°C),speed (rpm)",
			"1970-01-01T00:00:01Z,0.26416,400", "1970-01-01T00:00:03Z,0,410"}},
		"one channel, local, for a spreadsheet": {Options{Wide: true, Channels: []string{"speed"}, Local: berlin, BOM: true}, "", []string{"\ufefftime,speed (rpm)",
			"1970-01-01 01:00:01.000,400", "1970-01-01 01:00:02.500,405", "1970-01-01 01:00:03.000,410"}},
		"long": {Options{Channels: []string{"tool"}}, "", []string{"time,channel,value,unit,quality,reason,sent",
			"1970-01-01T00:00:01Z,tool,0.26416,°C,good,,", "1970-01-01T00:00:02.5Z,tool,0,°C,good,,", "1970-01-01T00:00:03Z,tool,-2,°C,failure,sentinel,"}},
		"anomalies": {Options{}, record.Anomalies, []string{"time,channel,code,source,active,score,limit,since,text",
			`1970-01-01T00:00:02Z,tool,sensor.failure,,true,1,0.5,1970-01-01T00:00:01Z,"dead, it seems"`}},
		"advice": {Options{}, record.Recommendations, []string{"time,kind,set_point,predicted,expires,reason,tick,model,with,with_lower,with_upper,with_speed,with_speed_lower,with_speed_upper,without,without_lower,without_upper,without_speed,without_speed_lower,without_speed_upper,pace",
			"1970-01-01T00:00:02Z,none,,,1970-01-01T00:00:12Z,no advice,0,,0,0,0,0,0,0,0,0,0,0,0,0,"}},
		"attributions": {Options{}, record.Attributions, []string{"time,horizon,of,output,total,part,value",
			"1970-01-01T00:00:02Z,60s,forecast,tool temperature,3,heat,2", "1970-01-01T00:00:02Z,60s,forecast,tool temperature,3,to build,1"}},
	} {
		var b bytes.Buffer
		n, err := Write(t.Context(), &b, j.Reader, journal.Query{Measurement: c.m}, c.o)
		if want := strings.Join(c.want, "\n") + "\n"; err != nil || b.String() != want || int(n) != len(c.want)-1 {
			t.Errorf("%s: %d rows, %v:\n%s\nwant\n%s", name, n, err, &b, want)
		}
	}
}

// A wide table in Parquet has nulls where nothing was read.
func TestWideParquet(t *testing.T) {
	j := cellRecord(t)
	var b bytes.Buffer
	if n, err := Write(t.Context(), &b, j.Reader, journal.Query{}, Options{Format: Parquet, Wide: true}); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	type row struct {
		Time  int64    `parquet:"time,timestamp(nanosecond)"`
		Tool  *float64 `parquet:"tool (°C),optional"`
		Speed *float64 `parquet:"speed (rpm),optional"`
	}
	rows, err := parquet.Read[row](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	if r := rows[0]; r.Time != 1e9 || r.Tool == nil || *r.Tool != 0.26416 || *r.Speed != 400 {
		t.Errorf("%+v", r)
	}
	if r := rows[2]; r.Time != 3e9 || r.Tool != nil || r.Speed == nil || *r.Speed != 410 {
		t.Errorf("%+v", r)
	}
	b.Reset()
	if n, err := Write(t.Context(), &b, j.Reader, journal.Query{Measurement: record.Recommendations}, Options{Format: Parquet}); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	type advice struct {
		Kind     string   `parquet:"kind,dict"`
		SetPoint *float64 `parquet:"set_point,optional"`
		Expires  *int64   `parquet:"expires,timestamp(nanosecond),optional"`
	}
	said, err := parquet.Read[advice](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(said) != 1 || said[0].Kind != "none" || said[0].SetPoint != nil || said[0].Expires == nil || *said[0].Expires != 12e9 {
		t.Errorf("%+v, %v", said, err)
	}
}

// Many windows are one table, in order, each instant once.
func TestWideOverManyWindows(t *testing.T) {
	j := recordOf(t, 5000) // 83 minutes
	for _, o := range []Options{{Wide: true}, {Wide: true, Every: 7 * time.Second}} {
		var b bytes.Buffer
		if _, err := Write(t.Context(), &b, j.Reader, journal.Query{}, o); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")[1:]
		want := 4500 // every tenth is bad
		if o.Every > 0 {
			want = (4999+6)/7 + 1
		}
		if len(lines) != want {
			t.Errorf("every %v: %d rows, want %d", o.Every, len(lines), want)
		}
		last := time.Time{}
		for _, l := range lines {
			at, err := time.Parse(time.RFC3339Nano, l[:strings.IndexByte(l, ',')])
			if err != nil || !at.After(last) {
				t.Fatalf("%s after %v: %v", l, last, err)
			}
			last = at
		}
	}
}

// However readings are spread over a span, little of it is in memory at once: an hour of many readings in a year of none.
func TestWideHoldsLittleAtOnce(t *testing.T) {
	j := cellRecord(t)
	const year, hour, n = 365 * 86400e9, 3600e9, 300_000
	var s []sensors.Sample
	for i := range n {
		s = append(s, sensors.Sample{Channel: sensors.ChannelID(i % 2), Time: year + int64(i/2)*hour*2/n, Value: float64(i), Status: sensors.OK})
		if len(s) == 10_000 {
			journaltest.Keep(j, s)
			s = s[:0]
		}
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for every, rows := range map[time.Duration]int64{0: n/2 + 3, time.Second: 3601 + 2, 24 * time.Hour: 3} {
		p, err := planWide(t.Context(), j.Reader, journal.Query{}, Options{Wide: true, Every: every})
		if err != nil {
			t.Fatal(err)
		}
		var out counted
		write := p.instants
		if every > 0 {
			write = p.steps
		}
		most := 0
		for _, w := range p.windows {
			if _, err := write(t.Context(), j.Reader, w, &out); err != nil {
				t.Fatal(err)
			}
			most = max(most, len(p.readings))
		}
		if most > inWindow+int(n*part/hour) || every > 0 && most > inWindow {
			t.Errorf("every %v: %d readings or cells at once in %d windows", every, most, len(p.windows))
		}
		if out.rows != rows {
			t.Errorf("every %v: %d rows, want %d", every, out.rows, rows)
		}
		if out.last != n-1 {
			t.Errorf("every %v: the last reading is %v", every, out.last)
		}
	}
	if _, err := Write(t.Context(), io.Discard, j.Reader, journal.Query{}, Options{Wide: true, Every: time.Microsecond}); err == nil || !strings.Contains(err.Error(), "at least 1ms") {
		t.Error(err)
	}
}

// counted is a sheet of which only the number of rows matters, and the last number.
type counted struct {
	rows int64
	last float64
}

func (c *counted) row(cells []cell) error {
	c.rows++
	if x := cells[len(cells)-1]; !x.missing {
		c.last = x.number
	}
	return nil
}

func (c *counted) end() error { return nil }

func TestMeasured(t *testing.T) {
	for v, want := range map[float64]float64{0.26415999999999995: 0.26416, 474.9: 474.9, 1e300: 1e300, -0.1 - 0.2: -0.3, 1.0 / 3: 0.333333333333333, 123456789.125: 123456789.125, math.Inf(1): math.Inf(1)} {
		if got := measured(v); got != want {
			t.Errorf("%v becomes %v", v, got)
		}
	}
	if math.Signbit(measured(math.Copysign(0, -1))) {
		t.Error("-0")
	}
}
