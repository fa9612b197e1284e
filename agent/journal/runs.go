package journal

import (
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Run is a named span of the record, usually one deposition.
type Run struct {
	ID         int64
	Name, Note string
	Start, End int64 // ns since the Unix epoch; End 0: still going on
}

// BeginRun starts a named run; a run that is still going on ends there.
func (j *Journal) BeginRun(name, note string, at int64) (id int64, err error) {
	if name == "" {
		return 0, errors.New("a run needs a name")
	}
	tx, err := j.db().Begin()
	if err != nil {
		return 0, explain(j.path, err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("UPDATE runs SET end_ns=? WHERE end_ns=0", at); err != nil {
		return 0, explain(j.path, err)
	}
	res, err := tx.Exec("INSERT INTO runs (name, note, start_ns, end_ns) VALUES (?,?,?,0)", name, note, at)
	if err != nil {
		return 0, explain(j.path, err)
	}
	if id, err = res.LastInsertId(); err != nil {
		return 0, err
	}
	return id, tx.Commit()
}

// EndRun ends the run that is going on, if there is one.
func (j *Journal) EndRun(at int64) error {
	_, err := j.db().Exec("UPDATE runs SET end_ns=? WHERE end_ns=0", at)
	return err
}

// Runs lists all runs, oldest first.
func (r *Reader) Runs() ([]Run, error) {
	return list(r, "SELECT id, name, note, start_ns, end_ns FROM runs ORDER BY id", func(rows *sql.Rows, x *Run) error {
		return rows.Scan(&x.ID, &x.Name, &x.Note, &x.Start, &x.End)
	})
}

// Run finds the newest run of that name.
func (r *Reader) Run(name string) (Run, error) {
	var x Run
	err := r.conn().QueryRow("SELECT id, name, note, start_ns, end_ns FROM runs WHERE name=? ORDER BY id DESC LIMIT 1", name).
		Scan(&x.ID, &x.Name, &x.Note, &x.Start, &x.End)
	if errors.Is(err, sql.ErrNoRows) {
		return x, fmt.Errorf("journal %s has no run %q", r.path, name)
	}
	return x, err
}

// Audit records who did what, and why.
func (j *Journal) Audit(at int64, who, what, why string) error {
	_, err := j.db().Exec("INSERT INTO audit (at_ns, who, what, why) VALUES (?,?,?,?)", at, who, what, why)
	return err
}

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

// SetAside keeps lines that were refused for good, so that the rest can go on.
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
	}
	if _, err := tx.Exec("DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?", maxRefused); err != nil {
		return explain(j.path, err)
	}
	return tx.Commit()
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

func gapsOf(db *sql.DB, query string) (all []Gap, err error) {
	rows, err := db.Query(query)
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
