package journal

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"

	"stirwatch/agent/record"
)

// Reader reads a journal, also while another process records into it.
type Reader struct {
	path string
	db   *sql.DB
}

// OpenReader opens an existing journal for reading.
func OpenReader(path string) (*Reader, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	if err := checkHeader(path); err != nil {
		return nil, err
	}
	db, err := open(path, 4, "query_only(true)")
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	var app int
	if err = db.QueryRow("PRAGMA application_id").Scan(&app); err == nil && app != applicationID {
		err = errForeign
	}
	if err != nil {
		db.Close()
		return nil, explain(path, err)
	}
	return &Reader{path, db}, nil
}

// Path is where the file is.
func (r *Reader) Path() string { return r.path }

// Close closes the file.
func (r *Reader) Close() error { return r.db.Close() }

func (r *Reader) count(after, upTo int64) (backlogCount, error) { return count(r.db, after, upTo) }

func (r *Reader) committedAfter(id int64) (ns int64, err error) {
	err = r.db.QueryRow("SELECT committed_ns FROM batches WHERE id > ? ORDER BY id LIMIT 1", id).Scan(&ns)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return ns, err
}

// LastCommit is when the newest batch was committed, ns since the Unix epoch; 0 if there is none.
func (r *Reader) LastCommit() (ns int64, err error) {
	err = r.db.QueryRow("SELECT committed_ns FROM batches ORDER BY id DESC LIMIT 1").Scan(&ns)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		err = explain(r.path, err)
	}
	return ns, err
}

// Unsent reads the batches after the one with the given id, in order, until maxLines lines or
// maxBytes compressed bytes are reached; it gives at least one if there is one. It appends to dst
// and reuses the buffers of the batches in dst's spare capacity.
func (r *Reader) Unsent(dst []Batch, after int64, maxLines, maxBytes int) ([]Batch, error) {
	rows, err := r.db.Query("SELECT id, first_ns, last_ns, lines, raw_len, crc, deflate FROM batches WHERE id > ? ORDER BY id", after)
	if err != nil {
		return dst, fmt.Errorf("journal %s: %w", r.path, err)
	}
	defer rows.Close()
	var raw sql.RawBytes
	for lines, size := 0, 0; lines < maxLines && size < maxBytes && rows.Next(); {
		b := Batch{}
		if n := len(dst); n < cap(dst) {
			b.Deflate = dst[:n+1][n].Deflate
		}
		if err := rows.Scan(&b.ID, &b.First, &b.Last, &b.Lines, &b.Raw, &b.CRC, &raw); err != nil {
			return dst, fmt.Errorf("journal %s: %w", r.path, err)
		}
		if lines, size = lines+b.Lines, size+len(raw); len(dst) > 0 && (lines > maxLines || size > maxBytes) {
			break
		}
		b.Deflate = append(b.Deflate[:0], raw...)
		dst = append(dst, b)
	}
	if err := rows.Err(); err != nil {
		return dst, fmt.Errorf("journal %s: %w", r.path, err)
	}
	return dst, nil
}

// DamageError tells what could not be read; everything else was.
type DamageError struct {
	Batches, Lines int
	First          error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%d batches and %d lines of the journal could not be read; the first: %v", e.Batches, e.Lines, e.First)
}

func (e *DamageError) Unwrap() error { return e.First }

// Query selects records: From <= time < To in ns since the Unix epoch (To 0: no end), of one
// measurement ("": all). Progress, if not nil, is told now and then how many batches of those
// that may hold such records have been read.
type Query struct {
	From, To    int64
	Measurement record.Measurement
	Progress    func(done, total int64)
}

func (q Query) bounded() Query {
	if q.To == 0 {
		q.To = math.MaxInt64
	}
	return q
}

// Rows calls fn for every row of R's type that q selects, in the order they were recorded; q's
// measurement is R's. The row is valid during the call. An error of fn ends the reading and is
// returned; damaged batches and lines are left out and reported at the end as a [*DamageError].
// Memory does not grow with the length of the span.
func Rows[R record.Row](ctx context.Context, r *Reader, q Query, fn func(*R) error) error {
	var d record.Decoder[R]
	return r.read(ctx, q, func(_ *Batch, lines []byte, q Query, damage *DamageError) error {
		return d.Lines(lines, q.From, q.To, damage.line, fn)
	})
}

// Lines is as [Rows] for all types of a measurement, with each line as it is sent, without its line feed.
func (r *Reader) Lines(ctx context.Context, q Query, fn func(line []byte) error) error {
	return r.read(ctx, q, func(b *Batch, lines []byte, q Query, _ *DamageError) error {
		all := b.First >= q.From && b.Last < q.To && q.Measurement == ""
		for line := range bytes.Lines(lines) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if !all && !selects(&q, line) {
				continue
			}
			if err := fn(line); err != nil {
				return err
			}
		}
		return nil
	})
}

// read gives fn every batch that may hold what q selects, and reports what could not be read.
func (r *Reader) read(ctx context.Context, q Query, fn func(b *Batch, lines []byte, q Query, damage *DamageError) error) error {
	q = q.bounded()
	damage := &DamageError{}
	err := r.batches(ctx, q, damage, func(b *Batch, lines []byte) error { return fn(b, lines, q, damage) })
	if err == nil && damage.First != nil {
		err = damage
	}
	return err
}

// selects judges one line by its ends: the name before the first comma or space, the stamp after
// the last space.
func selects(q *Query, line []byte) bool {
	if q.Measurement != "" {
		name := line[:max(0, bytes.IndexAny(line, ", "))]
		if string(name) != string(q.Measurement) {
			return false
		}
	}
	stamp, negative := int64(0), false
	for _, c := range line[bytes.LastIndexByte(line, ' ')+1:] {
		switch {
		case c == '-':
			negative = true
		case c >= '0' && c <= '9':
			stamp = stamp*10 + int64(c-'0')
		default:
			return false
		}
	}
	if negative {
		stamp = -stamp
	}
	return stamp >= q.From && stamp < q.To
}

// readStep is how many batches one statement reads; between them a checkpoint may pass, so that
// a long export does not make the write-ahead log grow.
const readStep = 32

// batches unpacks every batch that may hold what q selects.
func (r *Reader) batches(ctx context.Context, q Query, damage *DamageError, fn func(*Batch, []byte) error) error {
	var first, last sql.NullInt64
	err := r.db.QueryRowContext(ctx, "SELECT min(id), max(id) FROM batches INDEXED BY batches_time WHERE last_ns >= ? AND first_ns < ?", q.From, q.To).Scan(&first, &last)
	if err != nil {
		return fmt.Errorf("journal %s: %w", r.path, err)
	}
	var z Inflater
	var page []Batch
	total := last.Int64 - first.Int64 + 1
	for id := first.Int64 - 1; first.Valid && id < last.Int64; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if page, err = r.page(page[:0], id, last.Int64); err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			b := &page[i]
			id = b.ID
			if b.Last < q.From || b.First >= q.To {
				continue
			}
			lines, err := z.Lines(b)
			if err != nil {
				damage.Batches++
				damage.note(err)
				continue
			}
			if err := fn(b, lines); err != nil {
				return err
			}
		}
		if q.Progress != nil {
			q.Progress(id-first.Int64+1, total)
		}
	}
	return nil
}

func (e *DamageError) line(err error) {
	e.Lines++
	e.note(err)
}

func (e *DamageError) note(err error) {
	if e.First == nil {
		e.First = err
	}
}

func (r *Reader) page(dst []Batch, after, upTo int64) ([]Batch, error) {
	rows, err := r.db.Query("SELECT id, first_ns, last_ns, lines, raw_len, crc, deflate FROM batches WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", after, upTo, readStep)
	if err != nil {
		return dst, fmt.Errorf("journal %s: %w", r.path, err)
	}
	defer rows.Close()
	var raw sql.RawBytes
	for rows.Next() {
		b := Batch{}
		if n := len(dst); n < cap(dst) {
			b.Deflate = dst[:n+1][n].Deflate
		}
		if err := rows.Scan(&b.ID, &b.First, &b.Last, &b.Lines, &b.Raw, &b.CRC, &raw); err != nil {
			return dst, fmt.Errorf("journal %s: %w", r.path, err)
		}
		b.Deflate = append(b.Deflate[:0], raw...)
		dst = append(dst, b)
	}
	if err := rows.Err(); err != nil {
		return dst, fmt.Errorf("journal %s: %w", r.path, err)
	}
	return dst, nil
}
