package journal

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	applicationID = 0x73746a31 // "stj1": tells a journal from any other SQLite file
	formatVersion = 1
	overSize      = "the journal was over its size"

	// A full disk must leave room to act: emptying the write-ahead log lets the file grow first,
	// and removing batches is written to the log. The log is emptied at walPages, and a reserve
	// file, given up when the disk is full, keeps twice that.
	walPages    = 512
	reserveSize = 2 * walPages * 4096
	roomStep    = 2 << 20 // bytes of batches removed when the disk is full
	probeSize   = 128 << 10
)

const tables = `
CREATE TABLE batches (
  id INTEGER PRIMARY KEY,
  first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, -- time stamps of the lines
  lines INTEGER NOT NULL, raw_len INTEGER NOT NULL, crc INTEGER NOT NULL,
  committed_ns INTEGER NOT NULL,
  deflate BLOB NOT NULL);
CREATE INDEX batches_time ON batches (last_ns, first_ns);
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('sent', 0);
CREATE TABLE refused (id INTEGER PRIMARY KEY, batch INTEGER NOT NULL, line BLOB NOT NULL, reason TEXT NOT NULL, at_ns INTEGER NOT NULL);
CREATE TABLE gaps (id INTEGER PRIMARY KEY, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL, lines INTEGER NOT NULL, reason TEXT NOT NULL, at_ns INTEGER NOT NULL);
CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, note TEXT NOT NULL);
CREATE TABLE probe (id INTEGER PRIMARY KEY, filler BLOB NOT NULL); -- see store.addGap
CREATE TABLE audit (id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, why TEXT NOT NULL);
`

// laterTables came after the first journals of this format, which get them when they are opened.
const laterTables = `
CREATE TABLE IF NOT EXISTS marks (batch INTEGER NOT NULL, age_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL, bytes INTEGER NOT NULL); -- see age.go
CREATE TABLE IF NOT EXISTS removed (id INTEGER PRIMARY KEY, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL, lines INTEGER NOT NULL, reason TEXT NOT NULL, at_ns INTEGER NOT NULL, told INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS memory (room TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (room, key)) WITHOUT ROWID; -- see memory.go
`

// store is the writing side of the file: one connection, used by the committing goroutine and
// for the few rows that people cause.
type store struct {
	path           string
	db             *sql.DB
	insert, cursor *sql.Stmt
	next           int64 // id of the next batch
	sent           int64 // as found on disk
	unsent         backlogCount
	unsentSpan     gap // stamps of it; its lines are those of unsent
	missed         gap // what its gaps count
	removed        int // lines removed since takeRemoved
	file           os.FileInfo
	fresh          bool // there was nothing in it
}

// open opens a connection pool on path. Its page cache is small: rows are written once and read
// in order, so that a large one would only take memory.
func open(path string, conns int, pragmas ...string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": append([]string{"busy_timeout(10000)", "cache_size(-512)"}, pragmas...)}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: abs}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(1)
	return db, nil
}

func openStore(path string, archive bool) (*store, error) {
	if err := checkHeader(path); err != nil {
		return nil, err
	}
	// SQLite would let everyone on this computer read it, and gives its companions the same rights.
	if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640); err == nil {
		f.Close()
	}
	db, err := open(path, 1, "auto_vacuum(incremental)", "journal_mode(wal)", "synchronous(full)", fmt.Sprintf("wal_autocheckpoint(%d)", walPages))
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	s := &store{path: path, db: db}
	if err := s.prepare(archive); err != nil {
		db.Close()
		return nil, explain(path, err)
	}
	if s.file, err = os.Stat(path); err != nil {
		s.close()
		return nil, explain(path, err)
	}
	s.reserve()
	return s, nil
}

// mistake is an error that only a person can set right: the file is not ours to touch.
type mistake struct{ error }

func (m mistake) Unwrap() error { return m.error }

var (
	errForeign = mistake{errors.New("a SQLite file of another program")}
	errDamaged = errors.New("the file is damaged")
)

func (s *store) prepare(archive bool) error {
	var app, version, objects int
	err := errors.Join(
		s.db.QueryRow("PRAGMA application_id").Scan(&app),
		s.db.QueryRow("PRAGMA user_version").Scan(&version),
		s.db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&objects))
	switch {
	case err != nil:
		return err
	case app == 0 && objects == 0:
		_, err = s.db.Exec(fmt.Sprintf("BEGIN; %s; PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", tables, applicationID, formatVersion))
		if err != nil {
			return err
		}
		s.fresh = true
	case app != applicationID:
		return errForeign
	case version != formatVersion:
		return mistake{fmt.Errorf("written in format %d by another version of stirwatch, this one reads %d", version, formatVersion)}
	}
	if _, err := s.db.Exec(laterTables); err != nil {
		return err
	}
	if s.insert, err = s.db.Prepare("INSERT INTO batches VALUES (?,?,?,?,?,?,?,?)"); err != nil {
		return err
	}
	if s.cursor, err = s.db.Prepare("UPDATE state SET value=? WHERE key='sent'"); err != nil {
		return err
	}
	var last int64
	if err := s.db.QueryRow("SELECT (SELECT value FROM state WHERE key='sent'), (SELECT ifnull(max(id),0) FROM batches)").Scan(&s.sent, &last); err != nil {
		return err
	}
	s.next = max(s.sent, last) + 1
	if err := s.db.QueryRow("SELECT ifnull(min(from_ns),0), ifnull(max(to_ns),0), ifnull(sum(lines),0) FROM gaps").Scan(&s.missed.from, &s.missed.to, &s.missed.lines); err != nil {
		return err
	}
	if archive {
		return nil // nobody asks what is unsent, and counting reads the whole file
	}
	if s.unsent, err = count(s.db, s.sent, last); err != nil {
		return err
	}
	return s.spanUnsent()
}

func (s *store) spanUnsent() error {
	if s.unsent.lines == 0 {
		return nil
	}
	return s.db.QueryRow("SELECT min(first_ns), max(last_ns) FROM batches WHERE id > ?", s.sent).Scan(&s.unsentSpan.from, &s.unsentSpan.to)
}

func count(db *sql.DB, after, upTo int64) (c backlogCount, err error) {
	err = db.QueryRow("SELECT count(*), ifnull(sum(lines),0), ifnull(sum(length(deflate)),0) FROM batches WHERE id > ? AND id <= ?", after, upTo).
		Scan(&c.batches, &c.lines, &c.bytes)
	return c, err
}

// checkHeader refuses a file that is not SQLite before SQLite touches it.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("journal %s: %w", path, err)
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) {
		return nil // an empty file becomes a journal
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("journal %s: %w", path, err)
	}
	if bytes.Equal(head[:n], []byte(magic)) {
		return nil
	}
	err = fmt.Errorf("not a journal, it begins with %.16q", head[:n])
	if _, none := os.Stat(path + ".reserve"); none == nil { // it was one
		return explain(path, errors.Join(errDamaged, err))
	}
	return explain(path, mistake{err})
}

// explain says what is wrong with the file at path and what can be done.
func explain(path string, err error) error {
	if strings.Contains(err.Error(), "database is closed") {
		return fmt.Errorf("journal %s is not open just now", path)
	}
	if isDamaged(err) {
		return fmt.Errorf("journal %s is damaged (%w): move it aside (its rows may still be read with `sqlite3 %s .recover`) or choose another path", path, err, path)
	}
	switch code(err) {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("journal %s: the disk is full (%w): free some space or choose another path", path, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("journal %s cannot be written (%w): its folder must exist and be writable", path, err)
	}
	return fmt.Errorf("journal %s: %w: move the file aside or choose another path", path, err)
}

// code is SQLite's primary result code, 0 if err is not SQLite's.
func code(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// isDamaged tells whether what was to be read cannot be, for good.
func isDamaged(err error) bool {
	if errors.Is(err, errDamaged) {
		return true
	}
	e := (*sqlite.Error)(nil)
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() {
	case sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS:
		return true
	}
	return e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB
}

// isFull tells whether more room would help. Of an error of input and output SQLite does not say which it was;
// removing the oldest helps against none but a full disk.
func isFull(path string, err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_FULL:
		return true
	case sqlite3.SQLITE_IOERR:
		free := Free(path)
		return !isDamaged(err) && free >= 0 && free < 2*reserveSize
	}
	return false
}

// MoveAside renames a file that cannot be used as a journal, with the companions SQLite keeps
// beside it, and returns the new name. It is for an operator who asks for it.
func MoveAside(path string) (string, error) {
	aside := asideName(path)
	return aside, moveTo(path, aside)
}

func asideName(path string) string {
	return path + time.Now().UTC().Format(".20060102T150405.000Z")
}

// moveTo renames a journal and its companions. Companions go also where there is no file: they belong to none.
func moveTo(path, aside string) error {
	err := os.Rename(path, aside)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, companion := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+companion, aside+companion); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return err
}

// append stores b in one transaction, with what is to be remembered and the sent mark if that has moved,
// and gives b its id. A batch without a line is not stored and takes no id.
func (s *store) append(b *Batch, memory map[memoryKey][]byte, now, sent int64, moved bool) error {
	var with func(*sql.Tx) error
	if moved || len(memory) > 0 {
		with = func(tx *sql.Tx) error {
			if moved {
				if _, err := tx.Stmt(s.cursor).Exec(sent); err != nil {
					return err
				}
			}
			return writeMemory(tx, memory)
		}
	}
	return s.appendWith(b, now, with)
}

// appendWith stores b together with what else must happen, if anything.
func (s *store) appendWith(b *Batch, now int64, with func(*sql.Tx) error) error {
	b.ID = s.next
	args := [...]any{b.ID, b.First, b.Last, b.Lines, b.Raw, int64(b.CRC), now, b.Deflate}
	if with == nil {
		if _, err := s.insert.Exec(args[:]...); err != nil {
			return err
		}
		s.next++
		return nil
	}
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if b.Lines > 0 {
		if _, err := tx.Stmt(s.insert).Exec(args[:]...); err != nil {
			return err
		}
	}
	if err := with(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if b.Lines > 0 {
		s.next++
	}
	return nil
}

func (s *store) saveSent(sent int64) error {
	_, err := s.cursor.Exec(sent)
	return err
}

// addGap records a gap when the disk can be expected to take what follows: as much as a large
// batch is written first and removed again.
func (s *store) addGap(g gap, why string, now int64) error {
	if _, err := s.db.Exec("INSERT INTO probe (filler) VALUES (zeroblob(?))", probeSize); err != nil {
		return err
	}
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec("DELETE FROM probe"); err != nil {
		return err
	}
	if g.lines > 0 {
		if _, err := tx.Exec(insertGap, g.from, g.to, g.lines, why, now); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.missed.add(g.from, g.to, g.lines)
	return nil
}

const insertGap = "INSERT INTO gaps (from_ns, to_ns, lines, reason, at_ns) VALUES (?,?,?,?,?)"

const dropStep = 256 // batches removed in one transaction, so that a commit waits little

// oldest lists up to dropStep of the oldest batches, none after upTo.
func (s *store) oldest(upTo int64, each func(b *Batch, size int64) bool) error {
	rows, err := s.db.Query("SELECT id, first_ns, last_ns, lines, length(deflate) FROM batches WHERE id <= ? ORDER BY id LIMIT ?", upTo, dropStep)
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

func lastMark(db *sql.DB) (m mark, err error) {
	err = db.QueryRow("SELECT batch, age_ns, wall_ns, bytes FROM marks ORDER BY rowid DESC LIMIT 1").Scan(&m.batch, &m.age, &m.wall, &m.bytes)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return m, err
}

// markedBefore is the newest batch that was there at the given age, 0 if none.
func (s *store) markedBefore(age int64) (batch int64, err error) {
	err = s.db.QueryRow("SELECT ifnull(max(batch),0) FROM marks WHERE age_ns <= ?", age).Scan(&batch)
	return batch, err
}

// lastDay gives the newest mark and the oldest of the day before it.
func lastDay(db *sql.DB) (first, last mark, err error) {
	const newest = "(SELECT max(age_ns) FROM marks)"
	err = db.QueryRow("SELECT age_ns, bytes FROM marks WHERE age_ns = "+newest).Scan(&last.age, &last.bytes)
	if err == nil {
		err = db.QueryRow("SELECT age_ns, bytes FROM marks WHERE age_ns >= "+newest+" - ? ORDER BY age_ns LIMIT 1", int64(24*time.Hour)).Scan(&first.age, &first.bytes)
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

func pages(db *sql.DB) (used, free, size int64, err error) {
	err = db.QueryRow("SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size").Scan(&used, &free, &size)
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

func (s *store) closeStatements() error { return errors.Join(s.insert.Close(), s.cursor.Close()) }

func (s *store) close() error { return errors.Join(s.closeStatements(), s.db.Close()) }
