package export

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
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

const channel = `odd "name", here`

// recordOf makes a journal of n samples one second apart, every tenth bad, and an event.
func recordOf(t testing.TB, n int) *journal.Journal {
	t.Helper()
	celsius, err := unit.Parse("°C")
	if err != nil {
		t.Fatal(err)
	}
	reg, err := sensors.NewRegistry([]sensors.Channel{{Name: channel, Unit: celsius}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(t.TempDir(), "j.db"), journal.Options{Machine: "m", Registry: reg, Hold: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	journal.Write(j, record.Event{Source: "tc", Kind: "connected", Count: 1})
	const each = 1000
	for i := 0; i < n; i += each {
		var s []sensors.Sample
		for k := i; k < min(n, i+each); k++ {
			status := sensors.OK
			if k%10 == 3 {
				status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
			}
			s = append(s, sensors.Sample{Time: int64(k) * 1e9, Value: float64(k) / 3, Status: status})
		}
		journaltest.Keep(j, s)
	}
	return j
}

func TestCSV(t *testing.T) {
	j := recordOf(t, 2500)
	var b bytes.Buffer
	var done, total int64
	n, err := Write(t.Context(), &b, j.Reader, journal.Query{Progress: func(d, of int64) { done, total = d, of }}, Options{})
	if err != nil || n != 2500 || total == 0 || done != total {
		t.Fatalf("%d rows, progress %d of %d, %v", n, done, total, err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 2501 || strings.Join(rows[0], ",") != "time,channel,value,unit,quality,reason,sent" {
		t.Fatal(len(rows), rows[0], err)
	}
	for k, r := range rows[1:] {
		at, err1 := time.Parse(time.RFC3339Nano, r[0])
		v, err2 := strconv.ParseFloat(r[2], 64)
		quality, reason := "good", ""
		if k%10 == 3 {
			quality, reason = "failure", "sentinel"
		}
		if err1 != nil || err2 != nil || at.UnixNano() != int64(k)*1e9 || v != measured(float64(k)/3) || math.Abs(v-float64(k)/3) > 1e-12 || r[1] != channel || r[3] != "°C" || r[4] != quality || r[5] != reason {
			t.Fatalf("row %d is %q", k, r)
		}
	}
}

// row is a sample as a reader of Parquet sees it.
type row struct {
	Time    int64   `parquet:"time,timestamp(nanosecond),delta"`
	Channel string  `parquet:"channel,dict"`
	Value   float64 `parquet:"value,optional"`
	Unit    string  `parquet:"unit,dict"`
	Quality string  `parquet:"quality,dict"`
	Reason  string  `parquet:"reason,dict"`
	Sent    string  `parquet:"sent,dict"`
}

func TestParquet(t *testing.T) {
	const n = cellsInGroup/6 + 5000 // more than one row group
	j := recordOf(t, n)
	var b bytes.Buffer
	if got, err := Write(t.Context(), &b, j.Reader, journal.Query{}, Options{Format: Parquet}); err != nil || got != n {
		t.Fatalf("%d rows, %v", got, err)
	}
	rows, err := parquet.Read[row](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(rows) != n {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for k, r := range rows {
		want := row{int64(k) * 1e9, channel, measured(float64(k) / 3), "°C", "good", "", ""}
		if k%10 == 3 {
			want.Quality, want.Reason = "failure", "sentinel"
		}
		if r != want {
			t.Fatalf("row %d is %+v", k, r)
		}
	}
}

func TestSpanOfLines(t *testing.T) {
	j := recordOf(t, 2500)
	id, err := j.BeginRun("wall 1", "", 1000e9)
	if err != nil || id == 0 {
		t.Fatal(err)
	}
	if err := j.EndRun(1010e9); err != nil {
		t.Fatal(err)
	}
	run, err := j.Run("wall 1")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	n, err := Write(t.Context(), &b, j.Reader, journal.Query{From: run.Start, To: run.End}, Options{Format: LineProtocol})
	if err != nil || n != 10 || strings.Count(b.String(), "\n") != 10 || !strings.Contains(b.String(), fmt.Sprintf(" %d\n", int64(1009e9))) {
		t.Errorf("%d lines, %v:\n%s", n, err, b.String())
	}
	b.Reset()
	if n, err = Write(t.Context(), &b, j.Reader, journal.Query{Measurement: record.Events}, Options{Format: LineProtocol}); err != nil || n != 1 || b.String() != "events,kind=connected,machine=m,source=tc count=1i,text=\"\" 0\n" {
		t.Errorf("%d lines, %v: %q", n, err, b.String())
	}
}

func TestRefusals(t *testing.T) {
	j := recordOf(t, 1)
	for _, c := range []struct {
		o    Options
		q    journal.Query
		says string
	}{
		{Options{Format: "xls"}, journal.Query{}, "csv parquet lp"},
		{Options{}, journal.Query{Measurement: "advise"}, "recommendations"},
		{Options{Wide: true, Format: LineProtocol}, journal.Query{}, "CSV or Parquet"},
		{Options{Wide: true}, journal.Query{Measurement: record.Estimates}, "of the samples"},
		{Options{Every: time.Second}, journal.Query{}, "wide"},
		{Options{Local: time.UTC, Format: Parquet}, journal.Query{}, "UTC"},
		{Options{Channels: []string{"nobody"}}, journal.Query{}, "no reading of nobody"},
		{Options{Channels: []string{"nobody"}, Wide: true}, journal.Query{}, "no reading of nobody"},
	} {
		if _, err := Write(t.Context(), io.Discard, j.Reader, c.q, c.o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, f := range Formats() {
		if _, err := Write(t.Context(), brokenPipe{}, j.Reader, journal.Query{}, Options{Format: f}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s on a broken pipe: %v", f, err)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// FuzzParquet writes whatever samples and reads them back with another's library.
func FuzzParquet(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint16(300))
	f.Add([]byte{0xff}, uint16(1))
	f.Fuzz(func(t *testing.T, noise []byte, n uint16) {
		if len(noise) == 0 || n == 0 {
			t.Skip("nothing to write")
		}
		var b bytes.Buffer
		p, err := newParquet(&b, []column{{name: "time"}, {name: "channel", kind: text}, {name: "value", kind: number},
			{name: "unit", kind: text}, {name: "quality", kind: text}, {name: "reason", kind: text}})
		if err != nil {
			t.Fatal(err)
		}
		var want []row
		at := func(i int) uint64 {
			var v uint64
			for k := range 8 {
				v = v<<7 ^ uint64(noise[(i*8+k)%len(noise)])*uint64(i+1)
			}
			return v
		}
		for i := range int(n) {
			r := row{Time: int64(at(i)), Value: float64(at(i + 1)), Channel: fmt.Sprint(at(i) % 300), Unit: "°C", Quality: fmt.Sprint(at(i) % 3)}
			want = append(want, r)
			if err := p.row([]cell{{whole: r.Time}, {text: r.Channel}, {number: r.Value}, {text: r.Unit}, {text: r.Quality}, {text: r.Reason}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.end(); err != nil {
			t.Fatal(err)
		}
		got, err := parquet.Read[row](bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%d rows of %d, %v", len(got), len(want), err)
		}
	})
}

// Budget: 500,000 rows/s for each format.
func BenchmarkExport(b *testing.B) {
	const n = 200_000
	j := recordOf(b, n)
	for _, f := range Formats() {
		b.Run(string(f), func(b *testing.B) {
			for b.Loop() {
				if _, err := Write(b.Context(), io.Discard, j.Reader, journal.Query{}, Options{Format: f}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
