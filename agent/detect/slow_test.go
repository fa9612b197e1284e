package detect

import (
	"slices"
	"strings"
	"testing"

	"stirwatch/agent/anomaly"
	"stirwatch/firmware-bridge/twin"
)

// Rows that are far apart raise nothing by that; what they show is told, and what cannot be judged is said.
func TestSlowRows(t *testing.T) {
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		interval float64 // s
		feedless bool    // the bar's end is told
		silent   string  // what is said, "" for nothing
	}{
		{2, true, ""},
		{5, true, ""},
		{10, false, "a reading each 10 s is too slow to judge process.feedstock, process.lift_off, process.cold_start"},
		{60, false, "a reading each 60 s is too slow to judge process.feedstock, process.jam"},
	} {
		for _, faulty := range []bool{false, true} {
			cfg := twin.RandomBuild(p, 5, false)
			cfg.Interval = c.interval
			if faulty {
				cfg.Faults = []twin.Fault{{Kind: twin.Feedstock, At: 330, For: 60, Severity: 0.9}}
			}
			b := logOf(t, cfg)
			var told []string
			s := Session{Told: func(text string) { told = append(told, text) }}
			events, err := s.Judge(OfLog(b.log), b.reg, func(int, Flag) {})
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(events, func(e Event) bool { return e.Code == anomaly.Feedstock })
			if found != (faulty && c.feedless) {
				t.Errorf("rows each %g s, faulty %t: %+v", c.interval, faulty, events)
			}
			for _, e := range events {
				if !faulty && !(e.Code == anomaly.Unreachable && b.short[e.From]) {
					t.Errorf("rows each %g s, without a fault: %s from row %d", c.interval, e.Code, e.From)
				}
			}
			if said := strings.Join(told, "\n"); !strings.Contains(said, c.silent) || c.silent == "" && said != "" {
				t.Errorf("rows each %g s: told %q", c.interval, said)
			}
		}
	}
}
