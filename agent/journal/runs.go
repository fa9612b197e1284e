package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"stirwatch/agent/record"
)

// Run is a named span of the record, usually one deposition.
type Run struct {
	ID         int64
	Name, Note string
	Start, End int64 // ns since the Unix epoch; End 0: still going on
}

// runMark is the begin of a run, the whole of one that is over or, without a name, the end of the one that is going on.
type runMark struct {
	name, note string
	at, end    int64 // ns since the Unix epoch
}

// BeginRun starts a named run; a run that is still going on ends there. While the file cannot be written the
// mark waits for it; the id is then 0.
func (j *Journal) BeginRun(name, note string, at int64) (id int64, err error) {
	if name == "" {
		return 0, errors.New("a run needs a name")
	}
	return j.markRun(runMark{name: name, note: note, at: at})
}

// EndRun ends the run that is going on, if there is one.
func (j *Journal) EndRun(at int64) error {
	_, err := j.markRun(runMark{at: at})
	return err
}

// KeepRun marks a named run that is over, and leaves another that is going on as it is. Where a run has a part of that span
// already it marks nothing, and the id is 0, as it is while the file cannot be written.
func (j *Journal) KeepRun(name, note string, from, to int64) (id int64, err error) {
	if name == "" || to <= from {
		return 0, errors.New("a run needs a name and a length")
	}
	return j.markRun(runMark{name, note, from, to})
}

func (j *Journal) markRun(m runMark) (id int64, err error) {
	j.mu.Lock()
	db := j.writer
	if db == nil || j.suspended || len(j.marks) > 0 {
		j.marks = append(j.marks, m)
		db = nil
	}
	j.mu.Unlock()
	if db == nil {
		return 0, nil
	}
	if id, err = m.write(db); err != nil {
		err = explain(j.path, err)
	}
	return id, err
}

// markRuns writes the marks that wait.
func (j *Journal) markRuns() {
	j.mu.Lock()
	marks := j.marks
	j.mu.Unlock()
	for i, m := range marks {
		if _, err := m.write(j.st.db); err != nil {
			j.fail(err)
			marks = marks[:i]
			break
		}
	}
	j.mu.Lock()
	j.marks = j.marks[len(marks):]
	j.mu.Unlock()
}

func (m runMark) write(db *database) (id int64, err error) {
	tx, err := db.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if m.end != 0 {
		res, err := tx.Exec("INSERT INTO runs (name, note, start_ns, end_ns) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM runs WHERE start_ns < ?4 AND (end_ns = 0 OR end_ns > ?3))",
			m.name, m.note, m.at, m.end)
		if err != nil {
			return 0, err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return 0, err
		}
		if id, err = res.LastInsertId(); err != nil {
			return 0, err
		}
		return id, tx.Commit()
	}
	if _, err := tx.Exec("UPDATE runs SET end_ns=? WHERE end_ns=0", m.at); err != nil {
		return 0, err
	}
	if m.name != "" {
		res, err := tx.Exec("INSERT INTO runs (name, note, start_ns, end_ns) VALUES (?,?,?,0)", m.name, m.note, m.at)
		if err != nil {
			return 0, err
		}
		if id, err = res.LastInsertId(); err != nil {
			return 0, err
		}
	}
	return id, tx.Commit()
}

// Runs lists all runs, oldest first.
func (r *Reader) Runs() ([]Run, error) {
	return list(r, "SELECT id, name, note, start_ns, end_ns FROM runs ORDER BY id", func(rows *sql.Rows, x *Run) error {
		return rows.Scan(&x.ID, &x.Name, &x.Note, &x.Start, &x.End)
	})
}

// NoRunError tells that a journal does not have the run asked for.
type NoRunError struct {
	Path string // of the journal
	Name string // "": it has none at all
}

func (e *NoRunError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("journal %s has no run yet", e.Path)
	}
	return fmt.Sprintf("journal %s has no run %q", e.Path, e.Name)
}

// Run finds the newest run of that name, or with the name last the newest of all; the error is a
// [*NoRunError] where there is none.
func (r *Reader) Run(name string) (Run, error) {
	all, err := r.Runs()
	if err != nil {
		return Run{}, err
	}
	if len(all) == 0 {
		return Run{}, &NoRunError{Path: r.path}
	}
	for _, x := range slices.Backward(all) {
		if x.Name == name || name == "last" {
			return x, nil
		}
	}
	return Run{}, &NoRunError{r.path, name}
}

// Audit records who did what, and why.
func (j *Journal) Audit(at int64, who, what, why string) error {
	_, err := j.db().Exec(insertAudit, at, who, what, why)
	return err
}

const insertAudit = "INSERT INTO audit (at_ns, who, what, why) VALUES (?,?,?,?)"

// AuditEntry is one row of the audit trail.
type AuditEntry struct {
	At             int64 // ns since the Unix epoch
	Who, What, Why string
}

// AuditTrail lists the audit trail, oldest first.
func (r *Reader) AuditTrail() ([]AuditEntry, error) {
	return list(r, "SELECT at_ns, who, what, why FROM audit ORDER BY id", func(rows *sql.Rows, x *AuditEntry) error {
		return rows.Scan(&x.At, &x.Who, &x.What, &x.Why)
	})
}

// Refused is one line that the server will never take.
type Refused struct {
	Batch        int64
	Line, Reason string
	At           int64 // ns since the Unix epoch
}

// maxRefused bounds the table: beyond it, the oldest refused lines go.
const maxRefused = 100_000

// SetAside stores lines that the server has refused for good, so that the upload can go on. An entry without a line is a
// batch that cannot be read: it is a gap of the record.
func (j *Journal) SetAside(lines []Refused) error {
	tx, err := j.db().Begin()
	if err != nil {
		return explain(j.path, err)
	}
	defer tx.Rollback()
	for i := range lines {
		l := &lines[i]
		if _, err := tx.Exec("INSERT INTO refused (batch, line, reason, at_ns) VALUES (?,?,?,?)", l.Batch, l.Line, l.Reason, l.At); err != nil {
			return explain(j.path, err)
		}
		if l.Line != "" {
			continue
		}
		if _, err := tx.Exec("INSERT INTO gaps (from_ns, to_ns, lines, reason, at_ns) SELECT first_ns, last_ns, lines, ?, ? FROM batches WHERE id=?", l.Reason, l.At, l.Batch); err != nil {
			return explain(j.path, err)
		}
	}
	if _, err := tx.Exec("DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?", maxRefused); err != nil {
		return explain(j.path, err)
	}
	return tx.Commit()
}

// RefusedCount is how many lines of one measurement a server has refused for one reason.
type RefusedCount struct {
	Measurement record.Measurement
	Reason      string // of the first
	Lines       int
	Resend      int // of them, asked to be sent again
}

// RefusedCounts sums up the lines set aside, by measurement and the beginning of the reason.
func (r *Reader) RefusedCounts() ([]RefusedCount, error) {
	// The measurement ends at the first comma; none has one in its name. Reasons end with what differs from line to line.
	return list(r, `SELECT substr(line, 1, instr(line, ',') - 1), min(reason), count(*), sum(id <= ifnull((SELECT value FROM state WHERE key='resend'), 0))
		FROM refused WHERE line != '' GROUP BY 1, substr(reason, 1, 40) ORDER BY 3 DESC`,
		func(rows *sql.Rows, x *RefusedCount) error {
			return rows.Scan(&x.Measurement, &x.Reason, &x.Lines, &x.Resend)
		})
}

// Resend asks that all lines set aside so far are sent again: by the agent that records into the journal at path
// within seconds, or by the next. It gives their number.
func Resend(path string) (lines int, err error) {
	r, err := OpenReader(path) // it must be a journal
	if err != nil {
		return 0, err
	}
	r.Close()
	db, err := open(path, 1)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.QueryRow("SELECT count(*) FROM refused WHERE line != ''").Scan(&lines)
	if err == nil && lines > 0 {
		_, err = db.Exec("INSERT OR REPLACE INTO state SELECT 'resend', max(id) FROM refused")
	}
	if err != nil {
		err = explain(path, err)
	}
	return lines, err
}

// resendAtOnce bounds what is sent again between two commits, in lines.
const resendAtOnce = 5000

// resend puts lines that somebody asked to be sent again behind all others, as a batch of their own.
func (j *Journal) resend() error {
	var upTo int64
	err := j.st.db.scan(context.Background(), "SELECT value FROM state WHERE key='resend'", nil, &upTo)
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return err
	}
	rows, err := j.st.db.Query("SELECT id, line FROM refused WHERE id <= ? AND line != '' ORDER BY id LIMIT ?", upTo, resendAtOnce)
	if err != nil {
		return err
	}
	var p pending
	var last int64
	var line sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&last, &line); err != nil {
			break
		}
		p.buf = append(append(p.buf, line...), '\n')
		p.note(stampOf(line))
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if p.lines == 0 {
		_, err := j.st.db.Exec("DELETE FROM state WHERE key='resend'")
		return err
	}
	b := p.batch(&j.deflater)
	err = j.st.appendWith(&b, j.opts.Clock(), func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM refused WHERE line != '' AND id <= ?", last)
		return err
	})
	if err != nil {
		return err
	}
	j.kept(&b, 0, false)
	j.log.Info("refused lines are sent again", "path", j.path, "lines", p.lines)
	return nil
}

// Refused lists the lines set aside, oldest first.
func (r *Reader) Refused() ([]Refused, error) {
	return list(r, "SELECT batch, line, reason, at_ns FROM refused ORDER BY id", func(rows *sql.Rows, x *Refused) error {
		return rows.Scan(&x.Batch, &x.Line, &x.Reason, &x.At)
	})
}

// Gap is a span of which lines are missing in the record itself.
type Gap struct {
	From, To time.Time // stamps of the first and last missing line
	Lines    int
	Reason   string
}

// Gaps lists what the record misses by its own fault (disk full, size exceeded), oldest first.
func (r *Reader) Gaps() ([]Gap, error) {
	all, err := gapsOf(r.conn(), "SELECT from_ns, to_ns, lines, reason FROM gaps ORDER BY id")
	if err != nil {
		err = explain(r.path, err)
	}
	return all, err
}

// Removed lists what was in the record and went by age or size, or for lack of room, oldest first.
func (r *Reader) Removed() ([]Gap, error) {
	var there int
	err := r.conn().QueryRow("SELECT count(*) FROM sqlite_schema WHERE name='removed'").Scan(&there)
	if err != nil || there == 0 { // of an earlier version
		return nil, err
	}
	return gapsOf(r.conn(), "SELECT from_ns, to_ns, lines, reason FROM removed ORDER BY id")
}

func gapsOf(db *database, query string) (all []Gap, err error) {
	rows, err := db.rows(context.Background(), query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var x Gap
		var from, to int64
		if err := rows.Scan(&from, &to, &x.Lines, &x.Reason); err != nil {
			return nil, err
		}
		x.From, x.To = time.Unix(0, from), time.Unix(0, to)
		all = append(all, x)
	}
	return all, rows.Err()
}

func list[T any](r *Reader, query string, scan func(*sql.Rows, *T) error) ([]T, error) {
	rows, err := r.conn().Query(query)
	if err != nil {
		return nil, explain(r.path, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var x T
		if err := scan(rows, &x); err != nil {
			return nil, explain(r.path, err)
		}
		all = append(all, x)
	}
	return all, rows.Err()
}
