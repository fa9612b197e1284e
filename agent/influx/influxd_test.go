package influx

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/cmd/parts"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// TestRealInfluxDB has one server for all its parts: starting one takes seconds of a core.
func TestRealInfluxDB(t *testing.T) {
	t.Parallel()
	d := parts.StartInfluxd(t)
	t.Run("documented queries", func(t *testing.T) { documentedQueries(t, d) })
	t.Run("every sample once across an outage", func(t *testing.T) { everySampleOnce(t, d) })
	t.Run("check", func(t *testing.T) { check(t, d) })
}

// everySampleOnce uploads to a real server that is down in the middle.
func everySampleOnce(t *testing.T, d *parts.Influxd) {
	j := openJournal(t)
	u := upload(t, j, Options{URL: d.URL, Bucket: "test/autogen", Request: 500, Batch: 500}) // several requests a third
	const third = 3000
	base := int(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())

	put(t, j, base, 10, 10)
	eventually(t, "the missing database is reported", func() bool { return u.State().Phase == NoBucket })
	d.Create("test")
	d.Write("test", "events,kind=gap,machine=m,source=x text=1 "+strconv.Itoa(base)) // by another program, with a field of another type
	put(t, j, base+10, third-10, 100)
	sentAll(t, j)
	d.Stop(syscall.SIGTERM)
	put(t, j, base+third, third, 100)
	eventually(t, "waiting for the server", func() bool { return u.State().Phase == Waiting })
	if st := u.State(); st.Backlog.Lines != third {
		t.Errorf("backlog of %d lines", st.Backlog.Lines)
	}
	d.Start()
	put(t, j, base+2*third, third, 100)
	// A text where the server has a number: refused for good by a real server.
	journal.Write(j, record.Event{Time: int64(base + 3*third), Source: "x", Kind: "gap", Text: "hot"})
	put(t, j, base+3*third+1, 10, 10)
	sentAll(t, j)

	seen := make(map[int64]int)
	wrong := 0
	if _, err := d.Query(`from(bucket: "test/autogen") |> range(start: 2025-12-31T00:00:00Z, stop: 2026-01-02T00:00:00Z) |> filter(fn: (r) => r._measurement == "samples" and r._field == "value")`,
		func(row map[string]any) {
			at := row["_time"].(time.Time).UnixNano()
			seen[at]++
			if v, ok := row["_value"].(float64); !ok || v != float64(at)/4 || row["channel"] != "tool" || row["unit"] != "°C" || row["machine"] != "m" {
				wrong++
			}
		}); err != nil {
		t.Fatal(err)
	}
	lost, twice := 0, 0
	for i := range 3*third + 11 {
		switch n := seen[int64(base+i)]; {
		case i == 3*third:
		case n == 0:
			lost++
		case n > 1:
			twice++
		}
	}
	if lost+twice+wrong != 0 || len(seen) != 3*third+10 {
		t.Errorf("%d found: %d lost, %d twice, %d wrong", len(seen), lost, twice, wrong)
	}
	rest, err := j.Refused()
	if err != nil || len(rest) != 1 {
		t.Errorf("set aside %+v, %v", rest, err)
	} else {
		t.Logf("the server's reason: %s", rest[0].Reason)
	}
}

// check finds out which measurements a real server takes, and that they are there; it stops the server.
func check(t *testing.T, d *parts.Influxd) {
	d.Create("checked")
	opts := Options{URL: d.URL, Bucket: "checked/autogen"}
	all, unread, err := Check(t.Context(), opts)
	if err != nil || unread != nil || len(all) != len(record.Measurements()) {
		t.Fatalf("%+v, %v, %v", all, unread, err)
	}
	for _, f := range all {
		if f.Err != nil || !f.Back {
			t.Errorf("%+v", f)
		}
	}
	// Another program has written a field with another type.
	d.Create("other")
	d.Write("other", "events,machine=m text=1 "+strconv.FormatInt(time.Now().UnixNano(), 10))
	opts.Bucket = "other/autogen"
	all, unread, err = Check(t.Context(), opts)
	if err != nil || unread != nil {
		t.Fatal(unread, err)
	}
	for _, f := range all {
		if bad := f.Measurement == record.Events; bad != (f.Err != nil) || bad == f.Back || bad && !strings.Contains(f.Err.Error(), "text") {
			t.Errorf("%+v", f)
		}
	}
	opts.Bucket = "none/autogen"
	if _, _, err = Check(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Error(err)
	}
	d.Stop(syscall.SIGTERM)
	if _, _, err = Check(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

// documentedQueries runs every Flux block of the manual on a record that holds a little of everything.
func documentedQueries(t *testing.T, d *parts.Influxd) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "influxdb.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)\n([^\n]*)\n\n```flux\n(.*?)```").FindAllSubmatch(doc, -1)
	if len(blocks) < 6 {
		t.Fatalf("%d queries found in the manual", len(blocks))
	}
	d.Create("stirwatch")
	celsius, err := unit.Parse("°C")
	if err != nil {
		t.Fatal(err)
	}
	reg, err := sensors.NewRegistry([]sensors.Channel{{Name: "tool_temperature", Unit: celsius}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(t.TempDir(), "j.db"), journal.Options{Machine: "cell 1", Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	start := time.Now().Add(-5 * time.Minute)
	for i := range 120 {
		at := start.Add(time.Duration(i) * time.Second).UnixNano()
		j.AppendSamples([]sensors.Sample{{Time: at, Value: 400 + float64(i)/10, Status: sensors.OK}}, nil)
		journal.Write(j, record.Estimate{Time: at, State: "tool temperature", Value: 400, SD: 0.5})
		journal.Write(j, record.Innovation{Time: at, Output: "tool temperature", Innovation: 0.1, InnovationSD: 0.4, Ratio: 0.02})
		journal.Write(j, record.Forecast{Time: at + int64(time.Minute), State: "tool temperature", Horizon: "60s", Value: 405, SD: 3, Lower: 399, Upper: 411, Made: at})
	}
	at := start.Add(time.Minute).UnixNano()
	j.AppendSamples([]sensors.Sample{{Time: at + 1, Value: -2, Status: sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}}}, nil)
	journal.Write(j, record.Anomaly{Time: at, Code: "innovation", Channel: "tool_temperature", Active: true, Score: 7, Limit: 5, Since: at, Text: "warmer than the model explains"})
	journal.Write(j, record.Recommendation{Time: at, Kind: "change", SetPoint: 425, Predicted: 424.5, Expires: at + int64(30*time.Second), Reason: "to hold 425 °C"})
	journal.Write(j, record.Event{Time: at, Source: "forces", Kind: "gap", Count: 12, Text: "sequence jumped"})
	journal.Write(j, record.UploadHealth{Time: at, Source: record.InfluxDB, Backlog: 1234})
	upload(t, j, Options{URL: d.URL, Bucket: "stirwatch/autogen"})
	eventually(t, "stored", func() bool { s := j.Stats(); return s.Stored == s.Lines })
	sentAll(t, j)
	if rest, err := j.Refused(); err != nil || len(rest) != 0 {
		t.Fatalf("refused: %+v, %v", rest, err)
	}
	for _, b := range blocks {
		rows, err := d.Query(string(b[2]), nil)
		if err != nil {
			t.Errorf("%s %v", b[1], err)
		} else if rows == 0 {
			t.Errorf("%s no row", b[1])
		}
		t.Logf("%s %d rows", b[1], rows)
	}
}

// Drain into a real server. Budget: more than 100,000 lines/s on two cores shared with it.
func BenchmarkDrainReal(b *testing.B) {
	d := parts.StartInfluxd(b)
	d.Create("test")
	j := openJournal(b)
	put(b, j, 1_700_000_000_000_000_000, 1_000_000, 1000)
	u, err := New(Options{URL: d.URL, Bucket: "test/autogen"}, &rewound{Journal: j})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		u.j.(*rewound).sent = 0
		for more := true; more; {
			if more, err = u.step(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(1e6*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	u.doer.client.CloseIdleConnections()
}
