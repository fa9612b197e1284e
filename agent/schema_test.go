package agent

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/influx"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/cmd/parts"
	"stirwatch/dynamics/program"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// TestWhatIsWrittenIsTheSchema puts a run with all that can happen through the agent and into a real
// InfluxDB: there must be every tag and field that the row types name, of their type, and no other.
func TestWhatIsWrittenIsTheSchema(t *testing.T) {
	db := parts.StartInfluxd(t, "test")
	reg := cell(t, sensors.Channel{Name: "never", Unit: unit.MustParse("°C"), MaxAge: 3 * time.Second}) // its source is dead
	j, err := journal.Open(filepath.Join(t.TempDir(), "j.db"), journal.Options{Machine: "m1", Registry: reg, Log: quiet, Hold: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	a, err := New(Options{Registry: reg, Journal: j, Model: learned(t), Process: process(), Sources: []sensors.Source{&port{name: "tc"}}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Truncate(time.Second).UnixNano()
	failed := sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
	s := int64(0)
	if _, err := a.Replay(t.Context(), func() (Row, bool) {
		if s++; s > 60 {
			return Row{}, false
		}
		row := Row{Time: begin + s*second}
		for i, v := range []float64{465, 4.3, 390, 8, 9, 465} {
			status := sensors.OK
			if i == 0 && s > 40 { // an anomaly of a channel, and of none: the model is blind
				v, status = -2, failed
			}
			sample := sensors.Sample{Time: row.Time, Arrival: row.Time, Value: v, Channel: sensors.ChannelID(i), Status: status}
			if i == 1 && s == 50 {
				sample.Value, sample.Sent, sample.Status = math.NaN(), "open", sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}
			}
			row.Samples = append(row.Samples, sample)
		}
		return row, true
	}, 0); err != nil {
		t.Fatal(err)
	}
	a.Event(sensors.Event{Time: begin, Source: "tc", Kind: sensors.Gap, Count: 3, Text: "sequence jumped"})
	CommandRecord{j}.Record(bridge.Record{At: time.Unix(0, begin), Target: "set_point", Unit: unit.MustParse("°C"), Verdict: bridge.Reached,
		Asked: 470, Given: 470, ReadBack: 470, Who: "ann", Why: "warm", Note: "read back"})
	journal.Write(j, record.ProgramEvent{Time: begin, Event: program.LayerStarts.String(), In: 31, Value: 4, Line: 23})
	journal.Write(j, record.Alarm{Time: begin, Code: "sensor.failure", Subject: "tc", Event: "shelve", State: "shelved", Was: "unacknowledged", Active: true,
		Priority: 2, Raised: begin, Until: begin + 60*second, First: "source.missing tc", Who: "ann", Why: "is being replaced", Text: "tc: no reading"})
	journal.Write(j, record.Recommendation{Time: begin, Kind: "pace", SetPoint: 470, Predicted: 470, Reason: "the spindle has no room", Pace: 105})
	journal.Write(j, record.Notification{Time: begin, Target: "shift", Message: "m1-1", Sent: true, Alarms: 1, Attempt: 1, Text: "tc: no reading"})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = journal.Open(j.Path(), journal.Options{Machine: "m1", Registry: reg, Log: quiet}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	up, err := influx.New(influx.Options{URL: db.URL, Org: "any", Bucket: "test/autogen", Log: quiet}, j)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); up.Run(ctx) }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if b, err := j.Backlog(); err != nil || b.Lines == 0 || time.Now().After(end) {
			if err != nil || b.Lines > 0 || up.State().Refused > 0 {
				t.Fatalf("%d lines are not sent, %v, %+v", b.Lines, err, up.State())
			}
			break
		}
	}
	cancel()
	<-ended

	for _, m := range record.Measurements() {
		tags, fields := db.Keys("test", string(m))
		wantTags, wantFields := record.Columns(m)
		want := []string{"machine"}
		for _, c := range wantTags {
			want = append(want, c.Name)
		}
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(tags, want) {
			t.Errorf("%s has the tags %v, the rows say %v", m, tags, want)
		}
		for _, c := range wantFields {
			typ, there := fields[c.Name]
			switch {
			case strings.HasPrefix(c.Name, "<"): // what is left belongs to it
				for name, typ := range fields {
					if typ != c.Type() {
						t.Errorf("%s: the field %s is of type %s", m, name, typ)
					}
				}
				if len(fields) < 5 {
					t.Errorf("%s: only %v for %s", m, fields, c.Name)
				}
				clear(fields)
			case m == record.Health && slices.Contains([]string{"probe", "per_day", "full_in", "unconfirmed"}, c.Name): // where a server refuses lines; once the growth is known; after a long stop
			case !there || !strings.HasPrefix(typ, c.Type()): // bool is boolean there
				t.Errorf("%s: the field %s is of type %q, the rows say %s", m, c.Name, typ, c.Type())
			}
			delete(fields, c.Name)
		}
		if len(fields) > 0 {
			t.Errorf("%s has fields that the rows do not name: %v", m, fields)
		}
	}
}
