package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// When reads how people name an instant: a day (2026-07-01) or a time of a day (2026-07-01 06:30, with or without
// seconds), both in the time zone of local; an instant with its zone (2026-07-01T06:30:00Z); or how long ago it is,
// seen from now (90s, 30m, 8h, 7d).
func When(text string, now time.Time, local *time.Location) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if at, err := time.ParseInLocation(layout, text, local); err == nil {
			return at, nil
		}
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n < 1e5 {
			return now.Add(-time.Duration(n * 24 * float64(time.Hour))), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%q is no instant: write a day or a time here, such as 2026-07-01 or \"2026-07-01 06:30\", one with its zone, such as 2026-07-01T06:30:00Z, or how long ago, such as 8h or 7d", text)
}
