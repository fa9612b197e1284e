package journal

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"stirwatch/agent/record"
)

const (
	summariseEvery = 10 * time.Second
	summariseTurn  = 8 // chapters at a time: what an earlier version has left is summed up in the background
)

// summarist looks for chapters that have become full, beside the committing goroutine, which is given only
// what is to be written.
func (j *Journal) summarist(ctx context.Context) {
	tick := time.NewTicker(summariseEvery)
	defer tick.Stop()
	var s summaries
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := j.summarise(ctx, &s, summariseTurn); err != nil && ctx.Err() == nil {
			j.log.Debug("the record could not be summed up", "path", j.path, "error", err)
		}
	}
}

// Summarise sums up all that is on disk and can be, as happens by itself in the background.
func (j *Journal) Summarise(ctx context.Context) error {
	return j.summarise(ctx, new(summaries), math.MaxInt)
}

// summaries is how far a file has been summed up.
type summaries struct {
	db   *database // the file
	upTo int64     // chapters up to this one have been looked at
}

// summarise looks at turn chapters at most. One that cannot be read whole or written is left out: its batches are
// read in place of its summary.
func (j *Journal) summarise(ctx context.Context, s *summaries, turn int) error {
	r := j.Reader.fixed()
	if r.conn() == noFile {
		return nil
	}
	var newest, oldest sql.NullInt64
	if err := r.conn().scan(ctx, "SELECT (SELECT min(id) FROM batches), (SELECT max(id) FROM batches)", nil, &oldest, &newest); err != nil || !newest.Valid {
		return err
	}
	if s.db != r.conn() {
		*s = summaries{db: r.conn()}
	}
	s.upTo = max(s.upTo, chapterEnd(oldest.Int64)-chapterSpan)
	for ; turn > 0 && s.upTo+chapterSpan <= newest.Int64; turn-- {
		end := s.upTo + chapterSpan
		there := false
		err := r.conn().QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM summaries WHERE chapter = ?)", end).Scan(&there)
		switch {
		case err != nil:
			return err
		case there:
			turn++
		default:
			if err := j.sumUp(ctx, r, end); err != nil && ctx.Err() != nil {
				return err
			} else if err != nil {
				j.log.Debug("a part of the record could not be summed up", "path", j.path, "chapter", end, "error", err)
			}
		}
		s.upTo = end
	}
	return nil
}

// sumUp makes the summary of the chapter that ends with the id end.
func (j *Journal) sumUp(ctx context.Context, r *Reader, end int64) error {
	fine, coarse := newSumming(Fine), newSumming(Coarse)
	lines, damage := 0, &DamageError{}
	var z Inflater
	var d record.SampleDecoder
	err := r.each(ctx, end-chapterSpan, end, damage, nil, func(b *Batch) error {
		text, err := z.Lines(b)
		if err != nil {
			return err
		}
		lines += b.Lines
		return d.Lines(text, math.MinInt64, math.MaxInt64, damage.line, func(x *record.Sample) error {
			fine.add(x)
			return nil
		})
	})
	if err == nil && damage.First != nil {
		err = damage // whoever reads the batches is told
	}
	if err != nil {
		return err
	}
	for _, x := range fine.series {
		x.sort()
		for _, p := range x.parts {
			coarse.take(&p)
		}
	}
	a, b := coarse.append(nil, end), fine.append(nil, end)
	done := make(chan error, 1)
	write := func() {
		if j.st == nil || j.Reader.conn() != r.conn() {
			done <- nil // another file has taken its place
			return
		}
		err := j.st.addSummary(end, lines, a, b)
		if isDamaged(err) {
			j.fail(err)
		}
		done <- err
	}
	select {
	case j.turn <- write:
		return <-done
	case <-j.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// addSummary stores the summary of a chapter, if the chapter still has the lines that it was made of.
func (s *store) addSummary(chapter int64, lines int, coarse, fine []byte) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var now int
	if err := tx.QueryRow("SELECT ifnull(sum(lines),0) FROM batches WHERE id > ? AND id <= ?", chapter-chapterSpan, chapter).Scan(&now); err != nil || now != lines {
		return err
	}
	if _, err := tx.Exec("INSERT OR REPLACE INTO summaries VALUES (?,?,?)", chapter, coarse, fine); err != nil {
		return err
	}
	return tx.Commit()
}

// dropSummaries forgets those of chapters that have lost batches up to an id.
func dropSummaries(tx *sql.Tx, upTo int64) error {
	_, err := tx.Exec("DELETE FROM summaries WHERE chapter < ?", upTo+chapterSpan)
	return err
}

// forgetSummaries forgets those of chapters of which the first batches are gone, or may be.
func (s *store) forgetSummaries() error {
	_, err := s.db.Exec("DELETE FROM summaries WHERE chapter < ifnull((SELECT min(id) FROM batches), 9e18) + ?", chapterSpan-1)
	return err
}

// Samples calls fn for every sample that q selects, as [Rows] does, and faster.
func (r *Reader) Samples(ctx context.Context, q Query, fn func(*record.Sample) error) error {
	var d record.SampleDecoder
	return r.read(ctx, q, func(_ *Batch, lines []byte, q Query, damage *DamageError) error {
		return d.Lines(lines, q.From, q.To, damage.line, fn)
	})
}

// Summaries reads a span without its samples, as far as it has been summed up in the width ([Fine] or [Coarse]): it
// calls part for each part that lies wholly in it, and sample for what no part tells of. A sample may be handed over
// although a part has counted it. Both are valid during the call. An error of sample ends the reading and is
// returned; what is damaged is left out and reported at the end as a [*DamageError].
func (r *Reader) Summaries(ctx context.Context, q Query, width time.Duration, part func(*Summary), sample func(*record.Sample) error) error {
	q = q.bounded()
	r = r.fixed()
	first, last, err := r.span(ctx, q)
	if err != nil {
		return explain(r.path, err)
	}
	if last < first {
		return nil
	}
	within := Query{From: q.From, To: q.To} // whole parts
	if s := start(q.From, int64(width)); s != q.From {
		within.From = s + int64(width)
	}
	within.To = start(q.To, int64(width))
	column := "fine"
	if width == Coarse {
		column = "coarse"
	}
	var told []int64 // chapters, in order
	if within.From < within.To {
		if told, err = r.chapters(ctx, first, last, column, width, within, part); err != nil {
			return err
		}
	}
	damage := &DamageError{}
	var z Inflater
	var d record.SampleDecoder
	read := func(from, upTo int64, q Query) error { // ids from ≤ id ≤ upTo
		return r.unpacked(ctx, &z, from-1, upTo, q, damage, nil, func(_ *Batch, lines []byte) error {
			return d.Lines(lines, q.From, q.To, damage.line, sample)
		})
	}
	next := first
	for _, chapter := range told {
		if begin := chapter - chapterSpan; begin >= next {
			if err := read(next, begin, q); err != nil {
				return err
			}
		}
		next = chapter + 1
	}
	if next <= last {
		if err := read(next, last, q); err != nil {
			return err
		}
	}
	if len(told) > 0 { // the ends that are no whole parts
		for _, end := range []Query{{From: q.From, To: min(within.From, q.To)}, {From: max(within.To, q.From), To: q.To}} {
			if end.From >= end.To {
				continue
			}
			from, to, err := r.span(ctx, end)
			if err != nil {
				return explain(r.path, err)
			}
			if from > to {
				continue
			}
			if err := read(from, to, end); err != nil {
				return err
			}
		}
	}
	if damage.First != nil {
		return damage
	}
	return nil
}

// chapters hands over the parts that chapters tell of, and gives these chapters in order. One that is damaged is not among
// them; a file of an earlier version has none.
func (r *Reader) chapters(ctx context.Context, first, last int64, column string, width time.Duration, q Query, part func(*Summary)) (told []int64, err error) {
	rows, err := r.conn().QueryContext(ctx, "SELECT chapter, "+column+" FROM summaries WHERE chapter >= ? AND chapter < ? ORDER BY chapter", first, last+chapterSpan)
	if err == nil {
		names := map[string]string{}
		var raw sql.RawBytes
		var id int64
		for rows.Next() {
			if err = rows.Scan(&id, &raw); err != nil {
				break
			}
			if decodeSummary(raw, id, width, q.From, q.To, names, part) == nil {
				told = append(told, id)
			}
		}
		err = errors.Join(err, rows.Err(), rows.Close())
	}
	if err != nil && !isDamaged(err) && !strings.Contains(err.Error(), "no such table") {
		return nil, explain(r.path, err)
	}
	if !slices.IsSorted(told) {
		return nil, explain(r.path, errDamaged)
	}
	return told, ctx.Err()
}
