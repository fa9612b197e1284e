package history

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

// Alarms gives the life of alarms from begins on until to (0: no end), in order of time. What could not be read
// is a [*journal.DamageError] beside the rest.
func Alarms(ctx context.Context, r *journal.Reader, from, to int64) (rows []record.Alarm, err error) {
	err = journal.Rows(ctx, r, journal.Query{From: from, To: to}, func(a *record.Alarm) error {
		rows = append(rows, *a)
		return nil
	})
	if damage := (*journal.DamageError)(nil); err != nil && !errors.As(err, &damage) {
		return nil, err
	}
	slices.SortStableFunc(rows, func(x, y record.Alarm) int { return cmp.Compare(x.Time, y.Time) })
	return rows, err
}

// LastAlarms gives the life of alarms in the last while of a journal, and in the time before it, with the instants from
// which and to which that while is (ns since the Unix epoch). It ends now, or with the last record where the clock
// has been set back since. The error is as that of [Alarms].
func LastAlarms(ctx context.Context, r *journal.Reader, now time.Time, while, before time.Duration) (rows []record.Alarm, from, to int64, err error) {
	to = now.UnixNano()
	if last, err := r.LastCommit(); err == nil {
		to = max(to, last)
	}
	from = to - int64(while)
	rows, err = Alarms(ctx, r, from-int64(before), to+1)
	return rows, from, to, err
}
