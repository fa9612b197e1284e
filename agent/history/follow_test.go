package history

import (
	"path/filepath"
	"testing"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/agent/record"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// A run that was replayed was measured long before it was written: its end is shown anyway.
func TestFollowerOfWhatWasReplayed(t *testing.T) {
	reg, err := sensors.NewRegistry([]sensors.Channel{{Name: "tool", Unit: unit.MustParse("°C")}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(t.TempDir(), "j.db"), journal.Options{Machine: "m", Registry: reg, Archive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	measured := time.Now().Add(-96 * time.Hour).UnixNano()
	for i := range int64(10) {
		journaltest.Keep(j, []sensors.Sample{{Time: measured + i*1e9, Value: float64(100 + i), Status: sensors.OK}})
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	journal.Write(j, record.SourceHealth{Time: time.Now().UnixNano(), Source: "log"}) // as the replay ends
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := NewFollower(j.Reader, "tool", "°C")
	for range 2 {
		if err := f.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(f.Points); n != 10 || f.Points[n-1] != (Point{measured + 9e9, 109}) {
			t.Fatalf("%d points: %v", n, f.Points)
		}
	}
}
