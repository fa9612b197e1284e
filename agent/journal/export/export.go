// Package export writes the journal out for other programs: CSV and Parquet for spreadsheets and analysis,
// line protocol as it was or will be sent.
package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

// Format names a way to write the record.
type Format string

const (
	// CSV has a header and a row for each record. Numbers have 15 significant digits at most: what was measured
	// and then converted is there as it was measured.
	CSV Format = "csv"
	// Parquet has the same columns; instants are timestamps in ns, UTC, and what is missing is null.
	Parquet Format = "parquet"
	// LineProtocol is every record, samples and all others, exactly as sent to InfluxDB.
	LineProtocol Format = "lp"
)

// Formats lists all.
func Formats() []Format { return []Format{CSV, Parquet, LineProtocol} }

// Options say what is written and how. The zero value is the samples as CSV, one reading a row: time, channel, value,
// unit, quality, reason, sent.
type Options struct {
	Format   Format        // default CSV
	Wide     bool          // of the samples, a row for each instant and a column for each channel, with the good readings
	Every    time.Duration // with Wide: a row for each so long, with the last reading in it; 0: one for each instant that has a reading
	Channels []string      // of the samples, these alone; none: all
	Local    *time.Location
	BOM      bool // a byte order mark before CSV, by which spreadsheets know UTF-8
}

const leastStep = time.Millisecond

// Stamps of CSV: an instant with its zone, or, where a zone is given, one as spreadsheets read it.
const (
	utcStamp   = time.RFC3339Nano
	localStamp = "2006-01-02 15:04:05.000"
)

// Check refuses what does not go together, for the measurement of a query.
func (o *Options) Check(m record.Measurement) error {
	samples := m == record.Samples || m == ""
	switch {
	case o.Format == "":
		o.Format = CSV
	case !slices.Contains(Formats(), o.Format):
		return fmt.Errorf("format %q is not known: use one of %v", o.Format, Formats())
	}
	switch {
	case o.Wide && o.Format == LineProtocol:
		return errors.New("line protocol is as it was sent: a wide table is CSV or Parquet")
	case o.Wide && !samples, len(o.Channels) > 0 && (!samples || o.Format == LineProtocol):
		return errors.New("a wide table, or a choice of channels, is of the samples, as CSV or Parquet")
	case o.Every != 0 && !o.Wide:
		return errors.New("a row for each so long is for a wide table")
	case o.Every < 0 || o.Every > 0 && o.Every < leastStep:
		return fmt.Errorf("a row every %v cannot be made: at least %v, or none of it for a row for each instant", o.Every, leastStep)
	case (o.Local != nil || o.BOM) && o.Format != CSV:
		return fmt.Errorf("local time and a byte order mark are for CSV: %s has instants in UTC", o.Format)
	case m != "" && !slices.Contains(record.Measurements(), m):
		return fmt.Errorf("measurement %q is not known: there are %v", m, record.Measurements())
	}
	return nil
}

// Write writes what q selects to w and returns the number of rows: of one measurement (default the samples; as line
// protocol all), in the order of recording, or of time where the table is wide. Memory does not grow with the span.
// Damaged parts of the journal are left out and reported at the end as a [*journal.DamageError]; the file is then
// complete in all else.
func Write(ctx context.Context, w io.Writer, r *journal.Reader, q journal.Query, o Options) (rows int64, err error) {
	if q.Measurement == "" && o.Format != LineProtocol {
		q.Measurement = record.Samples
	}
	if err := o.Check(q.Measurement); err != nil {
		return 0, err
	}
	switch {
	case o.Format == LineProtocol:
		return writeLines(ctx, w, r, q)
	case o.Wide:
		return writeWide(ctx, w, r, q, o)
	case q.Measurement == record.Samples:
		return writeSamples(ctx, w, r, q, o)
	}
	return writeRecords(ctx, w, r, q, o)
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

// chosen keeps what channels were asked for, and which have been seen.
type chosen struct{ seen map[string]bool }

func choose(channels []string) chosen {
	c := chosen{map[string]bool{}}
	for _, name := range channels {
		c.seen[name] = false
	}
	return c
}

// takes reports whether a channel was asked for.
func (c chosen) takes(name string) bool {
	if len(c.seen) == 0 {
		return true
	}
	seen, asked := c.seen[name]
	if asked && !seen {
		c.seen[name] = true
	}
	return asked
}

// missing is an error that names what was asked for and has no reading.
func (c chosen) missing() error {
	var none []string
	for name, seen := range c.seen {
		if !seen {
			none = append(none, name)
		}
	}
	if none == nil {
		return nil
	}
	slices.Sort(none)
	return fmt.Errorf("no reading of %s in this part of the record", strings.Join(none, ", "))
}
