package history

import (
	"strings"
	"testing"
	"time"
)

func TestWhen(t *testing.T) {
	zone := time.FixedZone("here", 2*3600)
	now := time.Date(2026, 7, 8, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-07-01":                  "2026-06-30T22:00:00Z",
		"2026-07-01 06:30":            "2026-07-01T04:30:00Z",
		"2026-07-01T06:30:15":         "2026-07-01T04:30:15Z",
		"2026-07-01T06:30:00Z":        "2026-07-01T06:30:00Z",
		"2026-07-01T06:30:00.5-03:00": "2026-07-01T09:30:00.5Z",
		"8h":                          "2026-07-08T04:00:00Z",
		"2h30m":                       "2026-07-08T09:30:00Z",
		"7d":                          "2026-07-01T12:00:00Z",
		"0.5d":                        "2026-07-08T00:00:00Z",
		"0s":                          "2026-07-08T12:00:00Z",
	} {
		if at, err := When(text, now, zone); err != nil || at.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%s is %v, %v; want %s", text, at, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-8h", "8", "7.7.2026", "2026-13-01", "NaNd", "1e9d"} {
		if at, err := When(text, now, zone); err == nil || !strings.Contains(err.Error(), "8h or 7d") {
			t.Errorf("%q: %v, %v", text, at, err)
		}
	}
}
