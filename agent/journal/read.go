package journal

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"stirwatch/agent/record"
)

// Reader reads a journal, also while another process records into it.
type Reader struct {
	path string
	db   atomic.Pointer[database] // a recording journal may change its file; nil: not open
}

// OpenReader opens an existing journal for reading.
func OpenReader(path string) (*Reader, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no journal is there yet, 'stirwatch run' begins it: %w", err)
	} else if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	if err := checkHeader(path); err != nil {
		return nil, err
	}
	db, err := open(path, 4, "query_only(true)")
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	var app, version int
	err = errors.Join(
		db.QueryRow("PRAGMA application_id").Scan(&app),
		db.QueryRow("PRAGMA user_version").Scan(&version))
	switch {
	case err != nil:
	case app != applicationID:
		err = errForeign
	case version != formatVersion:
		err = otherFormat(version)
	}
	if err != nil {
		db.Close()
		return nil, explain(path, err)
	}
	r := &Reader{path: path}
	r.db.Store(db)
	return r, nil
}

// Path is where the file is.
func (r *Reader) Path() string { return r.path }

// Close closes the file.
func (r *Reader) Close() error {
	if db := r.db.Load(); db != nil {
		return db.Close()
	}
	return nil
}

// conn is the connection to the file of this moment.
func (r *Reader) conn() *database {
	if db := r.db.Load(); db != nil {
		return db
	}
	return noFile
}

// fixed is r as it is now: where a recording journal changes its file, what goes on reading must not go on
// in the new one, which has other numbers.
func (r *Reader) fixed() *Reader {
	f := &Reader{path: r.path}
	f.db.Store(r.conn())
	return f
}

// noFile stands for a file that is not open: its queries fail with errNotOpen's text.
var noFile = func() *database {
	db, _ := sql.Open("sqlite", ":memory:")
	db.Close()
	return &database{DB: db}
}()

func (r *Reader) count(after, upTo int64) (backlogCount, error) { return count(r.conn(), after, upTo) }

func (r *Reader) committedAfter(id int64) (ns int64, err error) {
	err = r.conn().scan(context.Background(), "SELECT committed_ns FROM batches WHERE id > ? ORDER BY id LIMIT 1", []any{id}, &ns)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return ns, err
}

// Waiting tells what has not been acknowledged by [Journal.Sent] yet, as the file has it: a second old at most.
// Where nothing is uploaded that is all.
func (r *Reader) Waiting() (b Backlog, err error) {
	var sent, oldest int64
	if err = r.conn().QueryRow("SELECT value FROM state WHERE key='sent'").Scan(&sent); err == nil {
		var c backlogCount
		c, err = r.count(sent, math.MaxInt64)
		b = Backlog{Batches: c.batches, Lines: c.lines, Bytes: c.bytes}
	}
	if err == nil && b.Batches > 0 {
		oldest, err = r.committedAfter(sent)
		b.Oldest = time.Unix(0, oldest)
	}
	if err != nil {
		err = explain(r.path, err)
	}
	return b, err
}

// LastCommit is when the newest batch was committed, ns since the Unix epoch; 0 if there is none.
func (r *Reader) LastCommit() (ns int64, err error) {
	err = r.conn().QueryRow("SELECT committed_ns FROM batches ORDER BY id DESC LIMIT 1").Scan(&ns)
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
	rows, err := r.conn().rows(context.Background(), "SELECT id, first_ns, last_ns, lines, raw_len, crc, deflate FROM batches WHERE id > ? ORDER BY id", after)
	if err != nil {
		return dst, explain(r.path, err)
	}
	defer rows.Close()
	var raw sql.RawBytes
	for lines, size := 0, 0; lines < maxLines && size < maxBytes && rows.Next(); {
		b := Batch{}
		if n := len(dst); n < cap(dst) {
			b.Deflate = dst[:n+1][n].Deflate
		}
		if err := rows.Scan(&b.ID, &b.First, &b.Last, &b.Lines, &b.Raw, &b.CRC, &raw); err != nil {
			return dst, explain(r.path, err)
		}
		if lines, size = lines+b.Lines, size+len(raw); len(dst) > 0 && (lines > maxLines || size > maxBytes) {
			break
		}
		b.Deflate = append(b.Deflate[:0], raw...)
		dst = append(dst, b)
	}
	if err := rows.Err(); err != nil {
		return dst, explain(r.path, err)
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
	err := r.fixed().batches(ctx, q, damage, func(b *Batch, lines []byte) error { return fn(b, lines, q, damage) })
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
	stamp, ok := parseStamp(line)
	return ok && stamp >= q.From && stamp < q.To
}

// stampOf is the time stamp of a line, 0 if it has none.
func stampOf(line []byte) int64 {
	stamp, _ := parseStamp(line)
	return stamp
}

func parseStamp(line []byte) (stamp int64, ok bool) {
	stamp, err := strconv.ParseInt(string(line[bytes.LastIndexByte(line, ' ')+1:]), 10, 64)
	return stamp, err == nil
}

// blockSpan ids are a block. Batches become one only within a block (see merge.go), and one statement reads
// a block: so it sees it either before or after. Between statements a checkpoint may pass, so that a long
// export does not make the write-ahead log grow.
const blockSpan = 64

// blockEnd is the last id of the block of an id.
func blockEnd(id int64) int64 { return (id + blockSpan - 1) / blockSpan * blockSpan }

// batches unpacks every batch that may hold what q selects.
func (r *Reader) batches(ctx context.Context, q Query, damage *DamageError, fn func(*Batch, []byte) error) error {
	first, last, err := r.span(ctx, q)
	if err != nil {
		return explain(r.path, err)
	}
	var z Inflater
	var progress func(id int64)
	if q.Progress != nil {
		progress = func(id int64) { q.Progress(min(id, last)-first+1, last-first+1) }
	}
	return r.unpacked(ctx, &z, first-1, last, q, damage, progress, fn)
}

// unpacked unpacks those with after < id ≤ upTo that may hold what q selects.
func (r *Reader) unpacked(ctx context.Context, z *Inflater, after, upTo int64, q Query, damage *DamageError, progress func(int64), fn func(*Batch, []byte) error) error {
	return r.each(ctx, after, upTo, damage, progress, func(b *Batch) error {
		if b.Last < q.From || b.First >= q.To {
			return nil
		}
		lines, err := z.Lines(b)
		if err != nil {
			damage.Batches++
			damage.note(err)
			return nil
		}
		return fn(b, lines)
	})
}

// span gives the ids among which all batches are that may hold what q selects; last < first: none.
// Where the index is damaged these are all.
func (r *Reader) span(ctx context.Context, q Query) (first, last int64, err error) {
	var from, to sql.NullInt64
	err = r.conn().QueryRowContext(ctx, "SELECT min(id), max(id) FROM batches INDEXED BY batches_time WHERE last_ns >= ? AND first_ns < ?", q.From, q.To).Scan(&from, &to)
	if isDamaged(err) {
		err = errors.Join(r.end(ctx, "min", &from), r.end(ctx, "max", &to))
	}
	if err != nil || !from.Valid {
		return 0, -1, err
	}
	return from.Int64, to.Int64, nil
}

// end gives the first or last id of a damaged file, from what of it can be read.
func (r *Reader) end(ctx context.Context, which string, id *sql.NullInt64) (err error) {
	for _, from := range []string{"(id) FROM batches NOT INDEXED", "(id) FROM batches INDEXED BY batches_time WHERE first_ns <= last_ns", "(batch) FROM marks"} {
		if err = r.conn().QueryRowContext(ctx, "SELECT "+which+from).Scan(id); err == nil && id.Valid {
			return nil
		}
	}
	if which == "max" && isDamaged(err) {
		id.Int64, id.Valid, err = unknownEnd, true, nil
	}
	return err
}

// unknownEnd stands for the id of the newest batch where nothing tells it.
const unknownEnd = math.MaxInt64 / 4

// each calls fn for every batch with after < id ≤ upTo that can be read, in order, and for what has become one
// with them since. What cannot be read is left out and counted in damage. The batch is valid during the call.
func (r *Reader) each(ctx context.Context, after, upTo int64, damage *DamageError, progress func(id int64), fn func(*Batch) error) error {
	var page []Batch
	for after < blockEnd(upTo) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		end := blockEnd(after + 1)
		page, err = r.page(page[:0], after, end, blockSpan)
		for i := range page {
			after = page[i].ID
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
		switch {
		case isDamaged(err) && len(page) == 0 && after >= upTo: // not of what was asked for
			return nil
		case isDamaged(err) && len(page) == 0:
			next := r.behind(after, upTo)
			n := next - after - 1
			if next > unknownEnd { // at the end of the file, of which nobody knows where it was
				n = 1
			}
			damage.Batches += int(n)
			damage.note(fmt.Errorf("journal %s is damaged between batches %d and %d: %w", r.path, after, next, err))
			after = next - 1
		case isDamaged(err): // the next page begins where it is
		case err != nil:
			return err
		case len(page) == 0:
			var next sql.NullInt64
			if err := r.conn().QueryRowContext(ctx, "SELECT min(id) FROM batches WHERE id > ? AND id <= ?", end, blockEnd(upTo)).Scan(&next); err != nil && !isDamaged(err) {
				return explain(r.path, err)
			} else if err == nil && !next.Valid {
				return nil
			} else if err == nil {
				end = next.Int64 - 1
			}
			after = end
		default:
			after = end
		}
		if progress != nil {
			progress(after)
		}
	}
	return nil
}

// behind finds a batch that can be read behind damage that follows the id after, the first unless the damage
// has islands; upTo+1 if there is none. It tries those nearby one by one, then ever farther ones.
func (r *Reader) behind(after, upTo int64) int64 {
	const near = 64
	var one []Batch
	bad, good := after, upTo+1
	readable := func(id int64) bool { // and then notes the batch, else that this is none
		var err error
		if one, err = r.page(one[:0], id-1, upTo, 1); err == nil && len(one) == 1 {
			good = one[0].ID
			return true
		}
		bad = id
		return false
	}
	for id, step := after+1, int64(1); id <= upTo && !readable(id); id += step {
		if id > after+near {
			step *= 2
		}
	}
	for good > upTo && bad < upTo && !readable(bad+(upTo-bad+1)/2) {
	}
	for good <= upTo && bad+1 < good { // what was jumped over
		readable(bad + (good-bad)/2)
	}
	return good
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

// page appends up to most batches with after < id ≤ upTo.
func (r *Reader) page(dst []Batch, after, upTo int64, most int) ([]Batch, error) {
	rows, err := r.conn().rows(context.Background(), "SELECT id, first_ns, last_ns, lines, raw_len, crc, deflate FROM batches WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", after, upTo, most)
	if err != nil {
		return dst, explain(r.path, err)
	}
	defer rows.Close()
	var raw sql.RawBytes
	for rows.Next() {
		b := Batch{}
		if n := len(dst); n < cap(dst) {
			b.Deflate = dst[:n+1][n].Deflate
		}
		if err := rows.Scan(&b.ID, &b.First, &b.Last, &b.Lines, &b.Raw, &b.CRC, &raw); err != nil {
			return dst, fmt.Errorf("journal %s: %w", r.path, errors.Join(errDamaged, err))
		}
		if b.ID <= after || b.ID > upTo {
			return dst, fmt.Errorf("journal %s: batch %d follows %d: %w", r.path, b.ID, after, errDamaged)
		}
		after = b.ID
		b.Deflate = append(b.Deflate[:0], raw...)
		dst = append(dst, b)
	}
	if err := rows.Err(); err != nil {
		return dst, explain(r.path, err)
	}
	return dst, nil
}

// Follow hands over what was committed behind the batch of the id after, one batch's lines after the other, and
// gives the id of the newest; with after 0 it begins with what may be of the instant from (ns since the Unix
// epoch) or later. Calling it again and again with what it gave follows a journal that grows: batches that have
// become one with later ones since may be handed over again. What is damaged is left out.
func (r *Reader) Follow(ctx context.Context, after, from int64, fn func(lines []byte) error) (last int64, err error) {
	f := r.fixed()
	var newest sql.NullInt64
	if err := f.end(ctx, "max", &newest); err != nil {
		return after, explain(r.path, err)
	}
	if !newest.Valid {
		return 0, nil
	}
	if after > newest.Int64 { // another file has taken this one's place
		after = 0
	}
	if after == 0 {
		first, end, err := f.span(ctx, Query{From: from, To: math.MaxInt64})
		if err != nil {
			return 0, explain(r.path, err)
		}
		if end < first {
			return newest.Int64, nil
		}
		after = first - 1
	}
	var z Inflater
	last = after
	err = f.each(ctx, after, newest.Int64, &DamageError{}, nil, func(b *Batch) error {
		last = max(last, b.ID)
		lines, err := z.Lines(b)
		if err != nil {
			return nil
		}
		return fn(lines)
	})
	return last, err
}
