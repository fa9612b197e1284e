// Package export writes the journal out for other programs: CSV and Parquet for analysis, line
// protocol as it was or will be sent.
package export

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

// Format names a way to write the record.
type Format string

const (
	// CSV is one reading per row with a header: time (RFC 3339, UTC, nanoseconds), channel,
	// value (the shortest text that reads back to the same number), unit, quality, reason.
	CSV Format = "csv"
	// Parquet has the same columns; time is a timestamp in ns, UTC.
	Parquet Format = "parquet"
	// LineProtocol is every record, samples and all others, exactly as sent to InfluxDB.
	LineProtocol Format = "lp"
)

// Formats lists all.
func Formats() []Format { return []Format{CSV, Parquet, LineProtocol} }

// Write writes what q selects to w, in the order of recording, and returns the number of rows.
// CSV and Parquet hold samples only. Memory does not grow with the span. Damaged parts of the
// journal are left out and reported at the end as a [*journal.DamageError]; the file is then
// complete in all else.
func Write(ctx context.Context, w io.Writer, r *journal.Reader, f Format, q journal.Query) (rows int64, err error) {
	if f != LineProtocol {
		if q.Measurement != "" && q.Measurement != record.Samples {
			return 0, fmt.Errorf("%s holds samples, not %s: export those as %s", f, q.Measurement, LineProtocol)
		}
		q.Measurement = record.Samples
	}
	switch f {
	case CSV:
		return writeCSV(ctx, w, r, q)
	case Parquet:
		return writeParquet(ctx, w, r, q)
	case LineProtocol:
		return writeLines(ctx, w, r, q)
	}
	return 0, fmt.Errorf("format %q is not known: use one of %v", f, Formats())
}

// finish completes the file with end unless the reading failed for another reason than damage.
func finish(err error, end func() error) error {
	var damage *journal.DamageError
	if err != nil && !errors.As(err, &damage) {
		return err
	}
	return errors.Join(err, end())
}

func writeLines(ctx context.Context, w io.Writer, r *journal.Reader, q journal.Query) (rows int64, err error) {
	out := bufio.NewWriterSize(w, 64<<10)
	err = r.Lines(ctx, q, func(line []byte) error {
		rows++
		out.Write(line)
		return out.WriteByte('\n') // a bufio.Writer keeps its first error
	})
	return rows, finish(err, out.Flush)
}

func writeCSV(ctx context.Context, w io.Writer, r *journal.Reader, q journal.Query) (rows int64, err error) {
	out := bufio.NewWriterSize(w, 64<<10)
	out.WriteString("time,channel,value,unit,quality,reason\n")
	var b []byte
	err = journal.Rows(ctx, r, q, func(s *record.Sample) error {
		rows++
		b = time.Unix(0, s.Time).UTC().AppendFormat(b[:0], time.RFC3339Nano)
		b = appendCSV(append(b, ','), s.Channel)
		b = strconv.AppendFloat(append(b, ','), s.Value, 'g', -1, 64)
		b = appendCSV(append(b, ','), s.Unit)
		b = appendCSV(append(b, ','), quality(s))
		b = appendCSV(append(b, ','), s.Reason)
		_, err := out.Write(append(b, '\n'))
		return err
	})
	return rows, finish(err, out.Flush)
}

func quality(s *record.Sample) string { return cmp.Or(s.Quality, "good") }

// appendCSV quotes where RFC 4180 asks for it.
func appendCSV(b []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}
