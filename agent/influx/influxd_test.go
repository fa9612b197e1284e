package influx

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/cmd/parts"
)

// TestRealInfluxDB has one server for all its parts: starting one takes seconds of a core.
func TestRealInfluxDB(t *testing.T) {
	t.Parallel()
	d := parts.StartInfluxd(t)
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
