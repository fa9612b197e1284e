package journal

import (
	"database/sql"
	"slices"
	"strconv"
)

// Note is what a person has written about a run. Notes are added and never changed.
type Note struct {
	At        int64 // ns since the Unix epoch
	Who, Text string
}

// AddNote writes about a run. The error says why it is not on disk.
func (j *Journal) AddNote(run Run, n Note) error {
	_, err := j.db().Exec("INSERT INTO notes (start_ns, at_ns, who, text) VALUES (?,?,?,?)", run.Start, n.At, n.Who, n.Text)
	if err != nil {
		err = explain(j.path, err)
	}
	return err
}

// Notes lists what was written about a run, the oldest first. What was replayed twice is one run, and so are its notes. A
// journal that no agent has opened since there are notes has none.
func (r *Reader) Notes(run Run) ([]Note, error) {
	tables, err := list(r, "SELECT name FROM sqlite_master WHERE name='notes'", func(rows *sql.Rows, x *string) error { return rows.Scan(x) })
	if err != nil || !slices.Contains(tables, "notes") {
		return nil, err
	}
	return list(r, "SELECT at_ns, who, text FROM notes WHERE start_ns="+strconv.FormatInt(run.Start, 10)+" ORDER BY id", func(rows *sql.Rows, x *Note) error {
		return rows.Scan(&x.At, &x.Who, &x.Text)
	})
}
