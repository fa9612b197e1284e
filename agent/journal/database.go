package journal

import (
	"context"
	"database/sql"
	"sync"
)

// database is a file with the statements on it that are run repeatedly, which it keeps prepared: to prepare one
// takes a hundred times as much of SQLite's code as to run it, which in an agent that idles would be most of what
// it has in memory.
type database struct {
	*sql.DB
	mu   sync.Mutex
	kept map[string]*sql.Stmt
}

// again is the prepared statement of an SQL text. The texts must be few: their statements are kept until the file is closed.
func (d *database) again(ctx context.Context, text string) (*sql.Stmt, error) {
	d.mu.Lock()
	s := d.kept[text]
	d.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := d.PrepareContext(ctx, text) // may wait for a connection, and so not under the lock
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if first := d.kept[text]; first != nil {
		return first, s.Close()
	}
	if d.kept == nil {
		d.kept = make(map[string]*sql.Stmt)
	}
	d.kept[text] = s
	return s, nil
}

// scan reads the first row of a query into places. If there is none the error is sql.ErrNoRows.
func (d *database) scan(ctx context.Context, text string, args []any, places ...any) error {
	s, err := d.again(ctx, text)
	if err != nil {
		return err
	}
	return s.QueryRowContext(ctx, args...).Scan(places...)
}

// run runs a statement that gives no rows.
func (d *database) run(text string, args ...any) error {
	s, err := d.again(context.Background(), text)
	if err == nil {
		_, err = s.Exec(args...)
	}
	return err
}

// within is run as a part of tx. Where the file has one connection, which tx has, the statement must have been prepared
// before: nothing else can be until tx ends.
func (d *database) within(tx *sql.Tx, text string, args ...any) error {
	s, err := d.again(context.Background(), text)
	if err == nil {
		_, err = tx.Stmt(s).Exec(args...)
	}
	return err
}

// rows runs a query.
func (d *database) rows(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	s, err := d.again(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}
