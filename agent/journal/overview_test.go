package journal

import (
	"strings"
	"testing"
	"time"
)

// What a journal says of itself: nothing where all is well, a line for each matter else.
func TestOverviewForPeople(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 3, 12, 7, minute, 0, 0, time.UTC) }
	o := Overview{Path: "journal.db"}
	if got := o.String(); got != "journal.db: nothing is recorded yet\n" {
		t.Errorf("%q", got)
	}
	o.Last = at(1)
	if got := o.String(); got != "journal.db: last record 2026-03-12 07:01:00\n" {
		t.Errorf("%q", got)
	}
	o.Waiting = Backlog{Lines: 3, Oldest: at(0)}
	o.Refused = []RefusedCount{{Measurement: "events", Reason: "field type conflict", Lines: 2, Resend: 1}, {Measurement: "samples", Reason: "retention", Lines: 5}}
	o.Gaps = []Gap{{From: at(2), To: at(3), Lines: 9, Reason: "disk full"}}
	for i := range latestRemoved + 2 {
		o.Removed = append(o.Removed, Gap{From: at(i), To: at(i + 1), Lines: i, Reason: "age"})
	}
	want := `journal.db: last record 2026-03-12 07:01:00
waits to be sent: 3 lines, the oldest since 2026-03-12 07:00:00
refused by InfluxDB: 2 lines of events: field type conflict (1 of them will be sent again)
refused by InfluxDB: 5 lines of samples: retention
missing: 9 lines, 2026-03-12 07:02:00 to 2026-03-12 07:03:00: disk full
removed: 2 earlier times
removed: 2 lines, 2026-03-12 07:02:00 to 2026-03-12 07:03:00: age
`
	if got := o.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 6+latestRemoved || o.LinesRefused() != 7 {
		t.Errorf("%d lines refused\n%s", o.LinesRefused(), got)
	}
}
