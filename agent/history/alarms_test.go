package history

import (
	"path/filepath"
	"testing"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

func TestLastAlarms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(path, journal.Options{Machine: "m", Registry: metric.registry(t), Archive: true})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Microsecond)
	for _, ago := range []time.Duration{50 * time.Hour, 30 * time.Hour, 2 * time.Hour, time.Hour} {
		journal.Write(j, record.Alarm{Time: now.Add(-ago).UnixNano(), Code: "sensor.rate", Subject: "a", Event: "raise", State: "unacknowledged", Text: ago.String()})
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := journal.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, c := range []struct {
		now           time.Time
		while, before time.Duration
		rows          int
	}{
		{now.Add(time.Minute), 24 * time.Hour, 0, 2},
		{now.Add(time.Minute), 24 * time.Hour, 7 * time.Hour, 3},
		{now.Add(time.Minute), 72 * time.Hour, 0, 4},
		{now.Add(-96 * time.Hour), 24 * time.Hour, 0, 2}, // the clock has been set back: what was recorded last counts
	} {
		rows, from, to, err := LastAlarms(t.Context(), r, c.now, c.while, c.before)
		if err != nil || len(rows) != c.rows || to-from != int64(c.while) {
			t.Errorf("%+v: %d rows in %v, %v", c, len(rows), time.Duration(to-from), err)
		}
	}
}
