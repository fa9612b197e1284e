package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// This file removes what is oldest: by age, by size, and for room on a full disk.

// oldest lists up to dropStep of the oldest batches, none after upTo.
func (s *store) oldest(upTo int64, each func(b *Batch, size int64) bool) error {
	rows, err := s.db.rows(context.Background(), "SELECT id, first_ns, last_ns, lines, length(deflate) FROM batches WHERE id <= ? ORDER BY id LIMIT ?", upTo, dropStep)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var b Batch
		var size int64
		if err := rows.Scan(&b.ID, &b.First, &b.Last, &b.Lines, &size); err != nil {
			return err
		}
		if !each(&b, size) {
			break
		}
	}
	return rows.Err()
}

// remove deletes the batches up to an id, of which g holds span and lines, and notes it for the
// record. What was removed for the same reason and has not been told yet becomes one row.
func (s *store) remove(upTo int64, g gap, why string, now int64) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec("DELETE FROM batches WHERE id <= ?", upTo); err != nil {
		return err
	}
	if err := dropSummaries(tx, upTo); err != nil {
		return err
	}
	res, err := tx.Exec("UPDATE removed SET from_ns=min(from_ns,?), to_ns=max(to_ns,?), lines=lines+?, at_ns=? WHERE told=0 AND reason=?", g.from, g.to, g.lines, now, why)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		if _, err := tx.Exec("INSERT INTO removed (from_ns, to_ns, lines, reason, at_ns, told) VALUES (?,?,?,?,?,0)", g.from, g.to, g.lines, why, now); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.removed += g.lines
	return nil
}

// takeRemoved gives the number of lines removed since the last time.
func (s *store) takeRemoved() (lines int) {
	lines, s.removed = s.removed, 0
	return lines
}

// takeUntold gives what was removed and not yet told.
func (s *store) takeUntold() (all []Gap, err error) {
	if all, err = gapsOf(s.db, "SELECT from_ns, to_ns, lines, reason FROM removed WHERE told=0 ORDER BY id"); err == nil && len(all) > 0 {
		_, err = s.db.Exec("UPDATE removed SET told=1 WHERE told=0")
	}
	return all, err
}

// dropOld removes up to dropStep batches, none after upTo, and gives their number.
func (s *store) dropOld(upTo int64, why string, now int64) (n int, err error) {
	var id int64
	var g gap
	err = s.oldest(upTo, func(b *Batch, _ int64) bool {
		id, n = b.ID, n+1
		g.add(b.First, b.Last, b.Lines)
		return true
	})
	if err != nil || n == 0 {
		return n, err
	}
	return n, s.remove(id, g, why, now)
}

// addMark stores a mark and forgets those of which no batch is left but the newest.
func (s *store) addMark(m mark) error {
	if _, err := s.db.Exec("INSERT INTO marks VALUES (?,?,?,?)", m.batch, m.age, m.wall, m.bytes); err != nil {
		return err
	}
	_, err := s.db.Exec("DELETE FROM marks WHERE batch < (SELECT ifnull(min(id),0) FROM batches) - 1 AND age_ns < ?", m.age-int64(24*time.Hour))
	return err
}

func lastMark(db *database) (m mark, err error) {
	err = db.scan(context.Background(), "SELECT batch, age_ns, wall_ns, bytes FROM marks ORDER BY rowid DESC LIMIT 1", nil, &m.batch, &m.age, &m.wall, &m.bytes)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return m, err
}

// markedBefore is the newest batch that was there at the given age, 0 if none.
func (s *store) markedBefore(age int64) (batch int64, err error) {
	err = s.db.scan(context.Background(), "SELECT ifnull(max(batch),0) FROM marks WHERE age_ns <= ?", []any{age}, &batch)
	return batch, err
}

// lastDay gives the newest mark and the oldest of the day before it.
func lastDay(db *database) (first, last mark, err error) {
	const newest = "(SELECT max(age_ns) FROM marks)"
	err = db.scan(context.Background(), "SELECT age_ns, bytes FROM marks WHERE age_ns = "+newest, nil, &last.age, &last.bytes)
	if err == nil {
		err = db.scan(context.Background(), "SELECT age_ns, bytes FROM marks WHERE age_ns >= "+newest+" - ? ORDER BY age_ns LIMIT 1", []any{int64(24 * time.Hour)}, &first.age, &first.bytes)
	}
	if errors.Is(err, sql.ErrNoRows) || err != nil && strings.Contains(err.Error(), "no such table") { // of an earlier version
		err = nil
	}
	return first, last, err
}

// markOld makes marks for batches of a version that made none. Their age is measured against the newest of
// the record, and no batch is older than one before it. It gives the newest mark.
func (s *store) markOld() (last mark, err error) {
	var first, newest, committed int64
	if err := s.db.QueryRow("SELECT ifnull(min(id),0), ifnull(max(id),0) FROM batches").Scan(&first, &last.batch); err != nil || last.batch == 0 {
		return mark{}, err
	}
	if err := s.db.QueryRow("SELECT committed_ns FROM batches WHERE id = ?", last.batch).Scan(&newest); err != nil {
		return mark{}, err
	}
	used, free, page, err := s.pages()
	if err != nil {
		return mark{}, err
	}
	tx, err := s.db.Begin()
	if err != nil {
		return mark{}, err
	}
	defer tx.Rollback()
	bytes := float64(used-free) * float64(page)
	m := mark{age: math.MinInt64}
	for id, step := first, max(1, (last.batch-first)/maxMarks); m.batch < last.batch; id += step {
		if err := tx.QueryRow("SELECT id, committed_ns FROM batches WHERE id >= ? ORDER BY id LIMIT 1", min(id, last.batch)).Scan(&m.batch, &committed); err != nil {
			return mark{}, err
		}
		m.age = max(m.age, min(0, committed-newest))
		m.wall, m.bytes = committed, int64(bytes*float64(m.batch-first+1)/float64(last.batch-first+1))
		if _, err := tx.Exec("INSERT INTO marks VALUES (?,?,?,?)", m.batch, m.age, m.wall, m.bytes); err != nil {
			return mark{}, err
		}
	}
	return m, tx.Commit()
}

// sizeSlack: a journal over its size loses that part of it more, so that it is not over it at once again.
const sizeSlack = 64

// dropTo removes the oldest batches until those left fit in size bytes: disposable ones as they
// come; then others too, of which it returns the count and records the gap.
func (s *store) dropTo(size, disposable, now int64) (lost gap, unsent backlogCount, err error) {
	for goal := size; ; goal = size - size/sizeSlack {
		used, free, page, err := s.pages()
		excess := (used-free)*page - goal
		if err != nil || excess <= 0 {
			return lost, unsent, err
		}
		excess += goal - (size - size/sizeSlack)
		var id int64
		var g gap
		var c backlogCount
		err = s.oldest(1<<63-1, func(b *Batch, bytes int64) bool {
			if excess <= 0 || b.ID > disposable && id != 0 && id <= disposable {
				return false // what may go and what is a loss are dropped in separate steps
			}
			id, excess = b.ID, excess-bytes
			g.add(b.First, b.Last, b.Lines)
			c = backlogCount{c.batches + 1, c.lines + b.Lines, c.bytes + bytes}
			return true
		})
		if err != nil || id == 0 {
			return lost, unsent, err
		}
		if id <= disposable {
			if err := s.remove(id, g, overSize, now); err != nil {
				return lost, unsent, err
			}
			continue
		}
		tx, err := s.db.Begin()
		if err != nil {
			return lost, unsent, err
		}
		_, err = tx.Exec("DELETE FROM batches WHERE id <= ?", id)
		if err == nil {
			err = dropSummaries(tx, id)
		}
		if err == nil {
			_, err = tx.Exec(insertGap, g.from, g.to, g.lines, overSize, now)
		}
		if err == nil {
			err = tx.Commit()
		}
		if err != nil {
			tx.Rollback()
			return lost, unsent, err
		}
		s.removed += g.lines
		s.missed.add(g.from, g.to, g.lines)
		lost.add(g.from, g.to, g.lines)
		unsent = backlogCount{unsent.batches + c.batches, unsent.lines + c.lines, unsent.bytes + c.bytes}
	}
}

func (s *store) pages() (used, free, size int64, err error) { return pages(s.db) }

func pages(db *database) (used, free, size int64, err error) {
	err = errors.Join(
		db.scan(context.Background(), "PRAGMA page_count", nil, &used),
		db.scan(context.Background(), "PRAGMA freelist_count", nil, &free),
		db.scan(context.Background(), "PRAGMA page_size", nil, &size))
	return used, free, size, err
}

// shrink gives free pages back to the file system once an eighth of the file is free.
func (s *store) shrink() error {
	used, free, _, err := s.pages()
	if err != nil || free < 128 || free < used/8 {
		return err
	}
	return s.vacuum(free - 64)
}

func (s *store) vacuum(pages int64) error {
	rows, err := s.db.Query(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", pages))
	if err != nil {
		return err
	}
	for rows.Next() { // each step frees a page
	}
	return errors.Join(rows.Err(), rows.Close())
}

// makeRoom is called when the disk is full. It removes the oldest disposable batches, gives their
// pages back to the file system and gives up the reserve to be able to, until the reserve can be
// made again. It returns false if there is nothing to remove; the reserve then stays for when
// there is.
func (s *store) makeRoom(disposable, now int64) (gained bool) {
	for range 8 {
		var id, size int64
		var g gap
		err := s.oldest(disposable, func(b *Batch, bytes int64) bool {
			id, size = b.ID, size+bytes
			g.add(b.First, b.Last, b.Lines)
			return size < roomStep
		})
		if err != nil || id == 0 {
			_ = s.emptyLog() // its failure shows in the commit that follows, here and below
			return gained
		}
		os.Remove(s.path + ".reserve")
		_ = s.emptyLog()
		if s.remove(id, g, "the disk was full", now) != nil {
			return gained
		}
		gained = true
		_ = s.emptyLog()
		_ = s.vacuum(1 << 30) // what it cannot give back is still free for the next batches
		_ = s.emptyLog()
		if s.reserve() {
			return true
		}
	}
	return gained
}

// emptyLog moves the write-ahead log into the file.
func (s *store) emptyLog() error {
	var busy, frames, moved int
	err := s.db.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	if err == nil && busy != 0 {
		err = errors.New("the write-ahead log is in use")
	}
	return err
}

// reserve makes the reserve file if it is missing and the disk has room for it and for the
// write-ahead log to grow. It returns false if the disk has not. A file system that cannot
// reserve has none: the journal works, but may have to wait for room on a full disk.
func (s *store) reserve() bool {
	path := s.path + ".reserve"
	if _, err := os.Stat(path); err == nil {
		return true
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &fs); err == nil && int64(fs.Bavail)*int64(fs.Bsize) < reserveSize+walPages*4096/2 {
		return false
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return true
	}
	err = syscall.Fallocate(int(f.Fd()), 0, 0, reserveSize)
	f.Close()
	if err != nil {
		os.Remove(path)
	}
	return !errors.Is(err, syscall.ENOSPC)
}
