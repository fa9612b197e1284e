package history

import (
	"cmp"
	"context"
	"errors"
	"slices"

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
