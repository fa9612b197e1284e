package journal

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	applicationID = 0x73746a31 // "stj1": tells a journal from any other SQLite file

	// formatVersion changes when a program of before would read or write what is then wrong. What a program may
	// do without (a table of laterTables, a column of a table of its own) changes nothing: that program leaves it
	// alone, and openStore puts right what it has left behind.
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
CREATE TABLE IF NOT EXISTS summaries (chapter INTEGER PRIMARY KEY, coarse BLOB NOT NULL, fine BLOB NOT NULL); -- see summary.go
CREATE TABLE IF NOT EXISTS marks (batch INTEGER NOT NULL, age_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL, bytes INTEGER NOT NULL); -- see age.go
CREATE TABLE IF NOT EXISTS removed (id INTEGER PRIMARY KEY, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL, lines INTEGER NOT NULL, reason TEXT NOT NULL, at_ns INTEGER NOT NULL, told INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, start_ns INTEGER NOT NULL, at_ns INTEGER NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL); -- of the run that began then; see notes.go
CREATE TABLE IF NOT EXISTS memory (room TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (room, key)) WITHOUT ROWID; -- see memory.go
`

// What is written within transactions too is prepared when the file is opened: see [database.within].
const (
	insertBatch = "INSERT INTO batches VALUES (?,?,?,?,?,?,?,?)"
	setSent     = "UPDATE state SET value=? WHERE key='sent'"
	memorise    = "INSERT OR REPLACE INTO memory VALUES (?,?,?)"
)

// store is the writing side of the file: one connection, used by the committing goroutine and
// for the few rows that people cause.
type store struct {
	path       string
	db         *database
	next       int64 // id of the next batch
	sent       int64 // as found on disk
	unsent     backlogCount
	unsentSpan gap // stamps of it; its lines are those of unsent
	missed     gap // what its gaps count
	removed    int // lines removed since takeRemoved
	file       os.FileInfo
	log        *os.File // SQLite's write-ahead log, which has what is not yet in the file; nil: it could not be opened
	fresh      bool     // there was nothing in it
}

// open opens a connection pool on path. Its page cache is small: rows are written once and read
// in order, so that a large one would only take memory.
func open(path string, conns int, pragmas ...string) (*database, error) {
	return openAs(path, conns, url.Values{}, pragmas...)
}

// openAs is open with SQLite's own parameters of the name (https://www.sqlite.org/uri.html).
func openAs(path string, conns int, q url.Values, pragmas ...string) (*database, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	q["_pragma"] = append([]string{"busy_timeout(10000)", "cache_size(-512)"}, pragmas...)
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: abs}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(1)
	return &database{DB: db}, nil
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
	s.log, _ = os.Open(path + "-wal")
	s.reserve()
	return s, nil
}

// mistake is an error that only a person can mend, such as a file that is no journal: it is left alone.
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
		if err := s.emptyLog(); err != nil { // so that the file is one by itself, whatever becomes of the log
			return err
		}
	case app != applicationID:
		return errForeign
	case version != formatVersion:
		return otherFormat(version)
	}
	if _, err := s.db.Exec(laterTables); err != nil {
		return err
	}
	// A version that knows no summaries may have removed the first batches of a chapter and left its summary.
	if err := s.forgetSummaries(); err != nil {
		return err
	}
	for _, text := range []string{insertBatch, setSent, memorise} {
		if _, err := s.db.again(context.Background(), text); err != nil {
			return err
		}
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

func count(db *database, after, upTo int64) (c backlogCount, err error) {
	err = db.scan(context.Background(), "SELECT count(*), ifnull(sum(lines),0), ifnull(sum(length(deflate)),0) FROM batches WHERE id > ? AND id <= ?", []any{after, upTo},
		&c.batches, &c.lines, &c.bytes)
	return c, err
}

// otherFormat is the error of a file of another format.
func otherFormat(version int) error {
	return mistake{fmt.Errorf("written in format %d by another version of stirwatch, this one knows format %d: use that version, which also exports it", version, formatVersion)}
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

// isDamaged reports whether an error means that the file itself is damaged, so that trying again is of no use.
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

// isFull reports whether more room would help. Of an error of input and output SQLite does not say which it was;
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

// asideName is the name to which the file at path is moved that can no longer be used.
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
				if err := s.db.within(tx, setSent, sent); err != nil {
					return err
				}
			}
			return s.writeMemory(tx, memory)
		}
	}
	return s.appendWith(b, now, with)
}

// appendWith stores b together with what else must happen, if anything.
func (s *store) appendWith(b *Batch, now int64, with func(*sql.Tx) error) error {
	b.ID = s.next
	args := [...]any{b.ID, b.First, b.Last, b.Lines, b.Raw, int64(b.CRC), now, b.Deflate}
	if with == nil {
		if err := s.db.run(insertBatch, args[:]...); err != nil {
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
		if err := s.db.within(tx, insertBatch, args[:]...); err != nil {
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

// takeBack undoes the last append, of b, to a file that is given up: what that file has is counted as missing. Where it
// fails, b is counted although it is there.
func (s *store) takeBack(b *Batch) {
	s.next = b.ID
	s.db.Exec("DELETE FROM batches WHERE id=?", b.ID)
}

func (s *store) saveSent(sent int64) error { return s.db.run(setSent, sent) }

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

func (s *store) close() error {
	s.log.Close() // an error where it could not be opened
	return s.db.Close()
}
