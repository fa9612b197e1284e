package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// A journal outlives its file. In the place of one that is deleted under the agent, or found to be damaged,
// comes a new one, which takes over what can be read and was not yet sent. It is made beside the old one and
// takes its place when it is complete, so that a kill on the way costs nothing. A file that cannot be
// opened at all is tried again each second, with the recording stopped meanwhile.

const damaged = "the file is damaged"

// newFile ends the name of a file that is being made; one that is found with no other beside it is used.
const newFile = ".new"

// predecessor is a file that a new one takes over from.
type predecessor struct {
	db    *database
	aside string // where it will be moved; empty if it was deleted
	why   string
	next  int64 // id after its newest batch; 0: not known

	// Where its write-ahead log was emptied: the connection that wrote it. It takes zeros for what was in the log, and puts them
	// into the file if it is closed before the file has been moved. db then reads the file alone.
	cut *database
}

// attach opens the file at the path, makes it if it is not there, and takes a predecessor over.
func (j *Journal) attach() error {
	if err := os.MkdirAll(filepath.Dir(j.path), 0o755); err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	lock := j.lock
	if lock == nil || !isAt(lock, j.path+".lock") {
		var err error
		if lock, err = lockFile(j.path + ".lock"); err != nil {
			return fmt.Errorf("journal %s: %w", j.path, err)
		}
	}
	if j.old == nil { // what a kill has left, which is hardly ever there
		if _, err := os.Stat(j.path); errors.Is(err, fs.ErrNotExist) {
			j.partial = promote(j.path) || j.partial
		} else {
			removeNew(j.path)
		}
	}
	j.openCounts()
	st, err := j.openOrReplace()
	if isFull(j.path, err) && os.Remove(j.path+".reserve") == nil {
		st, err = j.openOrReplace()
	}
	if isDamaged(err) && j.opts.Recover && j.old == nil {
		j.log.Error("the journal is damaged", "path", j.path, "err", err)
		var db *database
		if db, err = open(j.path, 1, "query_only(true)"); err == nil {
			j.old = &predecessor{db: db, aside: asideName(j.path), why: damaged}
			st, err = j.openOrReplace()
		}
	}
	unlock := func() {
		if lock != j.lock {
			lock.Close()
		}
	}
	if err != nil {
		unlock()
		return err
	}
	fail := func(err error) error {
		st.close()
		unlock()
		return explain(j.path, err)
	}
	db, err := open(j.path, 4, "query_only(true)")
	if err != nil {
		return fail(err)
	}
	if j.age == nil {
		if err := j.beginAge(st, j.now()); err != nil {
			db.Close()
			return fail(err)
		}
	} else {
		j.marked, j.doubt = j.now()-markEvery, doubt{} // what is taken over is of an age that nobody doubts
	}
	if j.lock != nil && j.lock != lock {
		j.lock.Close()
	}
	j.lock, j.st = lock, st
	j.beginMerging(st)
	j.tally.Lock()
	j.mu.Lock()
	j.writer = st.db
	j.sent, j.sentDirty, j.unsent, j.broken = st.sent, false, st.unsent, ""
	j.Reader.db.Store(db)
	j.attached()
	j.holds(st)
	j.mu.Unlock()
	j.tally.Unlock()
	replaced := j.old != nil
	if replaced {
		j.log.Error("a new journal is begun", "path", j.path, "reason", j.old.why, "lines_taken_over", st.unsent.lines, "aside", j.old.aside)
		j.old.db.Close()
		if j.old.cut != nil {
			j.old.cut.Close()
		}
		j.old = nil
	}
	j.rememberGap(replaced)
	return nil
}

// isAt reports whether a path leads to an open file.
func isAt(f *os.File, path string) bool {
	a, err := f.Stat()
	b, err2 := os.Stat(path)
	return err == nil && err2 == nil && os.SameFile(a, b)
}

// openOrReplace opens the file at the path; where there is a predecessor, a new file that takes over from it.
func (j *Journal) openOrReplace() (*store, error) {
	if j.old == nil {
		return openStore(j.path, j.opts.Archive)
	}
	removeNew(j.path)
	path := j.path + newFile
	st, err := openStore(path, j.opts.Archive)
	if err != nil {
		return nil, err
	}
	unsent, err := j.takeOver(st)
	if err == nil {
		err = st.emptyLog() // it goes by the name of the file, which is about to change
	}
	if err = errors.Join(err, st.close()); err != nil {
		removeNew(j.path)
		return nil, explain(path, err)
	}
	os.Remove(path + ".reserve")
	aside := j.old.aside
	if aside == "" {
		aside = asideName(j.path)
	}
	switch err := moveTo(j.path, aside); {
	case err == nil && j.old.aside == "":
		j.log.Warn("what lay in its place was moved aside", "path", j.path, "to", aside)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("journal %s cannot be moved aside: %w", j.path, err)
	}
	if err := os.Rename(path, j.path); err != nil {
		return nil, err
	}
	if st, err = openStore(j.path, true); err == nil { // the backlog is counted already
		st.unsent = unsent
		err = st.spanUnsent()
	}
	return st, err
}

// promote moves a half-made new file, with its log, to the place of the old one, which is gone: a kill came while it took over,
// and what it holds is all that is left. It reports whether there was one.
func promote(path string) bool {
	if _, err := os.Stat(path + newFile); err != nil {
		return false
	}
	for _, companion := range []string{"-wal", "-shm"} { // those of the old file are none of the new one's
		os.Remove(path + companion)
	}
	os.Rename(path+newFile+"-wal", path+"-wal")
	return os.Rename(path+newFile, path) == nil
}

// removeNew removes a new file that is not complete.
func removeNew(path string) {
	for _, companion := range []string{"", "-wal", "-shm", ".reserve"} {
		os.Remove(path + newFile + companion)
	}
}

// unfit says why the file can no longer be used, "" if it can.
func (j *Journal) unfit() string {
	if j.st == nil {
		return ""
	}
	why := j.damage()
	if why == "" && j.st.gone() {
		why = "the file was deleted or replaced while in use"
	}
	return why
}

// damage is what is known to be wrong with the file, "" if nothing is.
func (j *Journal) damage() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.broken
}

// gone reports whether the path no longer leads to the open file.
func (s *store) gone() bool { return isGone(s.path, s.file) }

// logGone reports the same of the write-ahead log, which people may delete as a temporary file.
func (s *store) logGone() bool {
	was, err := s.log.Stat()
	return err == nil && isGone(s.path+"-wal", was)
}

// logEmpty reports whether the write-ahead log has no header. SQLite writes one with the first that it puts into the log, and
// leaves the log empty when it has put all of it into the file; right after an append somebody else has emptied it.
func (s *store) logEmpty() bool {
	var magic [4]byte
	_, err := s.log.ReadAt(magic[:], 0)
	return (err == nil || errors.Is(err, io.EOF)) && magic == [4]byte{}
}

func isGone(path string, was os.FileInfo) bool {
	now, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, was)
}

// reopen begins a new write-ahead log in the place of one that was deleted. What is in that one is put into the file first:
// while it is open it can be read, and with this process it would go.
func (j *Journal) reopen() error {
	const why = "its write-ahead log (-wal) was deleted while in use"
	j.saveCursor()
	if err := j.st.emptyLog(); err != nil {
		j.fail(err)
		return j.renew(why)
	}
	j.log.Error("the journal is opened again; nothing is missing", "path", j.path, "reason", why)
	j.detach()
	err := j.st.close()
	j.st = nil
	return errors.Join(err, j.attach())
}

// detach keeps readers away from the file: whoever reads now is told that it is not open, as a new connection would find
// another file.
func (j *Journal) detach() {
	j.mu.Lock()
	read := j.Reader.db.Swap(nil)
	j.writer = nil
	j.mu.Unlock()
	if read != nil {
		read.Close()
	}
}

// renew begins a new file in the place of one that is unfit.
func (j *Journal) renew(why string) error {
	j.log.Error("the journal is given up and a new one begun", "path", j.path, "reason", why)
	j.detach()
	j.old = &predecessor{db: j.st.db, why: why, next: j.st.next}
	if !j.st.gone() {
		j.old.aside = asideName(j.path)
		if j.st.logEmpty() {
			if err := j.old.withoutLog(j.path); err != nil {
				j.fail(err)
			}
		}
	}
	j.st.log.Close()
	j.st = nil
	return j.attach()
}

// withoutLog reads the predecessor at path without its write-ahead log, which is empty.
func (p *predecessor) withoutLog(path string) error {
	db, err := openAs(path, 1, url.Values{"immutable": {"1"}}, "query_only(true)")
	if err == nil {
		p.cut, p.db = p.db, db
	}
	return err
}

// takeOver copies from the predecessor what is not sent and can be read, and the small tables. What the
// new file does not hold is recorded as a gap.
func (j *Journal) takeOver(st *store) (unsent backlogCount, err error) {
	old := j.old
	from := &Reader{path: j.path}
	from.db.Store(old.db)
	sent, next := int64(0), old.next
	if j.age != nil { // it was open
		sent, _ = j.cursor()
	} else if err := old.db.QueryRow("SELECT value FROM state WHERE key='sent'").Scan(&sent); err != nil {
		sent = 0 // all is sent once more
	}
	if next == 0 {
		if err := old.db.QueryRow("SELECT max(id) FROM batches").Scan(&next); err != nil {
			next = sent // nothing can be read
		}
		next++
	}
	st.next = max(st.next, next)
	st.sent = st.next - 1
	if err := st.saveSent(st.sent); err != nil {
		return unsent, err
	}
	var whole gap // all that was there
	if old.aside == "" || !j.opts.Archive || old.cut != nil {
		whole = extent(old.db)
	}
	for _, table := range []string{"runs", "audit", "gaps", "refused", "removed", "memory"} {
		copyTable(st.db, old.db, table)
	}
	unread, err := j.missGaps(st)
	if err != nil {
		return unsent, err
	}
	damage, lost := &DamageError{}, 0
	due, known := 0, false // lines that are to be taken over; a batch that cannot be read may still tell how many it has
	if !j.opts.Archive {
		known = old.db.QueryRow("SELECT ifnull(sum(lines),0) FROM batches WHERE id > ? AND id < ?", sent, next).Scan(&due) == nil
		if err := st.appendAll(from, sent, next-1, damage, j.opts.Clock()); err != nil {
			return unsent, err
		}
	}
	text := fmt.Sprintf("%s; %d lines that were not yet sent were taken over", old.why, st.unsent.lines)
	if old.aside != "" {
		text += "; the rest is in " + old.aside
	}
	held := j.before[heldAt]
	held.add(j.held.from, j.held.to, j.held.lines)
	trust := !j.opts.Archive && (j.partial || old.cut != nil || !known) && held.lines > st.unsent.lines // the count knows better than the file
	if damage.Batches > 0 || trust {
		lines, about := due-st.unsent.lines, ""
		if trust {
			lines = held.lines - st.unsent.lines
		} else if !known { // as many as the others
			lines, about = damage.Batches*max(1, st.unsent.lines/max(1, st.unsent.batches)), "about "
		}
		if damage.Batches > 0 {
			text += fmt.Sprintf("; %d batches that were not yet sent could not be read, of %s%d lines", damage.Batches, about, lines)
		} else {
			text += fmt.Sprintf("; %d lines that were not yet sent could not be read", lines)
		}
		if whole.lines == 0 {
			whole.from, whole.to = held.from, held.to
		}
		lost = lines
		if old.cut != nil { // the file does not have them
			whole.lines += lines
		}
		whole.lines = max(whole.lines, st.unsent.lines+lines)
	}
	missing := gap{whole.from, whole.to, whole.lines - st.unsent.lines}
	switch {
	case j.opts.Archive && old.aside == "":
		lost = max(missing.lines, 0)
	case j.opts.Archive && old.cut != nil: // all else is in the file aside
		missing = gap{held.from, held.to, max(held.lines-whole.lines, 0)}
		lost = missing.lines
		text += fmt.Sprintf("; %d lines of the log are lost", lost)
	}
	if missing.lines > 0 {
		if err := st.addGap(missing, text, j.opts.Clock()); err != nil {
			return unsent, err
		}
	}
	missing.lines = max(missing.lines, 0)
	j.replaced = []replacement{{missing, text, lost}}
	if unread.lines > 0 {
		j.replaced = append(j.replaced, replacement{unread, gapsUnread, 0})
	}
	return st.unsent, nil
}

// missGaps counts the gaps of the predecessor that could not be read: what they counted is known beside the journal.
func (j *Journal) missGaps(st *store) (unread gap, err error) {
	known := j.missed
	if b := j.before[missedAt]; b.lines > known.lines {
		known = b
	}
	have := 0
	if err := st.db.QueryRow("SELECT ifnull(sum(lines),0) FROM gaps").Scan(&have); err != nil {
		return gap{}, err
	}
	if have < known.lines {
		unread = gap{known.from, known.to, known.lines - have}
		return unread, st.addGap(unread, gapsUnread, j.opts.Clock())
	}
	return gap{}, nil
}

// appendAll copies the batches of another file with after < id ≤ upTo, as many as can be read.
func (s *store) appendAll(from *Reader, after, upTo int64, damage *DamageError, now int64) error {
	var tx *sql.Tx
	var size int
	commit := func() error {
		if tx == nil {
			return nil
		}
		err := tx.Commit()
		tx, size = nil, 0
		return err
	}
	err := from.each(context.Background(), after, upTo, damage, nil, func(b *Batch) (err error) {
		if b.ID > upTo { // of the same block: whoever has it stores it himself
			return nil
		}
		if tx == nil {
			if tx, err = s.db.Begin(); err != nil {
				return err
			}
		}
		if err := s.db.within(tx, insertBatch, s.next, b.First, b.Last, b.Lines, b.Raw, int64(b.CRC), now, b.Deflate); err != nil {
			return err
		}
		s.next++
		s.unsent = backlogCount{s.unsent.batches + 1, s.unsent.lines + b.Lines, s.unsent.bytes + int64(len(b.Deflate))}
		if size += len(b.Deflate); size < walPages*4096/2 {
			return nil
		}
		return commit()
	})
	if err != nil {
		if tx != nil {
			tx.Rollback()
		}
		return err
	}
	return commit()
}

// replacement is what must be told of a new file once recording goes on.
type replacement struct {
	missing gap
	text    string
	lost    int // lines of it that nobody has
}

// tellReplaced records that the file is a new one.
func (j *Journal) tellReplaced() {
	for _, r := range j.replaced {
		j.lost.Add(uint64(r.lost))
		j.log.Error("the record has a gap", "path", j.path, "lines", r.missing.lines, "reason", r.text)
		j.gapEvent(r.missing, r.text)
	}
	j.replaced = nil
}

// extent is what a file holds, as far as it can be told in a moment.
func extent(db *database) (g gap) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err := db.QueryRowContext(ctx, "SELECT ifnull(sum(lines),0), ifnull(min(first_ns),0), ifnull(max(last_ns),0) FROM batches").Scan(&g.lines, &g.from, &g.to)
	if err != nil { // too much, or damaged: one line a batch at least
		db.QueryRow("SELECT max(id)-min(id)+1 FROM batches").Scan(&g.lines)
		db.QueryRow("SELECT first_ns FROM batches ORDER BY id LIMIT 1").Scan(&g.from)
		db.QueryRow("SELECT last_ns FROM batches ORDER BY id DESC LIMIT 1").Scan(&g.to)
	}
	return g
}

// copyTable copies the rows of a small table, as many as can be read.
func copyTable(to, from *database, table string) {
	rows, err := from.Query("SELECT * FROM " + table)
	if err != nil {
		return
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return
	}
	values, places := make([]any, len(columns)), make([]any, len(columns))
	insert := "INSERT OR IGNORE INTO " + table + " VALUES (?"
	for i := range values {
		places[i] = &values[i]
		if i > 0 {
			insert += ",?"
		}
	}
	tx, err := to.Begin()
	if err != nil {
		return
	}
	defer tx.Rollback()
	for rows.Next() {
		if rows.Scan(places...) != nil {
			break
		}
		if _, err := tx.Exec(insert+")", values...); err != nil {
			return
		}
	}
	tx.Commit()
}
