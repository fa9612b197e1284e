package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"stirwatch/agent/record"
)

// How long a stop was, only the wall clock knows. One that is longer than a tenth of Options.Keep may be a
// clock that was set, and is in doubt: it does not count as age until a person confirms the clock, the clock
// itself is set back to where the stop is short, or the agent has run for Keep, which is age enough.

// doubt is such a stop, by the state of record and clock before it. Stops that follow are part of it.
type doubt struct {
	wall int64 // of the newest mark before it, ns since the Unix epoch; 0: nothing is in doubt
	age  int64 // of that mark
}

// length is the time that has passed by the wall clock and not by the agent's running.
func (d doubt) length(wall, age int64) time.Duration {
	return time.Duration(wall - d.wall - (age - d.age))
}

// believed reports whether the wall clock is trusted about the length of a stop.
func believed(stop, keep time.Duration) bool {
	return stop >= -time.Minute && stop <= max(keep/10, markEvery)
}

const doubtOf = "SELECT ifnull((SELECT value FROM state WHERE key='doubt_wall'), 0), ifnull((SELECT value FROM state WHERE key='doubt_age'), 0)"

func readDoubt(db *database) (d doubt, err error) {
	err = db.scan(context.Background(), doubtOf, nil, &d.wall, &d.age)
	return d, err
}

// keepDoubt stores what is in doubt, with a mark behind the stop.
func (s *store) keepDoubt(d doubt, m mark) error {
	return s.inOne(func(tx *sql.Tx) error {
		if _, err := tx.Exec("INSERT OR REPLACE INTO state VALUES ('doubt_wall', ?), ('doubt_age', ?)", d.wall, d.age); err != nil {
			return err
		}
		return m.insert(tx)
	})
}

// settle ends a doubt with a mark that has the age as it then counts. what and why are for the audit trail
// where a person says so.
func (s *store) settle(m mark, who, what, why string) error {
	return s.inOne(func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM state WHERE key IN ('doubt_wall', 'doubt_age')"); err != nil {
			return err
		}
		if who != "" {
			if _, err := tx.Exec(insertAudit, m.wall, who, what, why); err != nil {
				return err
			}
		}
		return m.insert(tx)
	})
}

func (m *mark) insert(tx *sql.Tx) error {
	_, err := tx.Exec("INSERT INTO marks VALUES (?,?,?,?)", m.batch, m.age, m.wall, m.bytes)
	return err
}

func (s *store) inOne(do func(*sql.Tx) error) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// settleDoubt ends a doubt once the clock or running time has resolved it.
func (j *Journal) settleDoubt(now time.Duration) error {
	d := j.doubt
	if d.wall == 0 {
		return nil
	}
	m := j.markAt(now)
	stop := d.length(m.wall, m.age)
	switch {
	case believed(stop, j.opts.Keep):
		m.age += int64(max(stop, 0))
	case time.Duration(m.age-d.age) < j.opts.Keep:
		return nil
	}
	return j.settled(m, now, "", "", "")
}

func (j *Journal) settled(m mark, now time.Duration, who, what, why string) error {
	if err := j.st.settle(m, who, what, why); err != nil {
		return err
	}
	j.age.age, j.marked, j.doubt = m.age-int64(now), now, doubt{}
	return nil
}

// Unconfirmed is time that has passed by the wall clock and does not count as age.
type Unconfirmed struct {
	Time   time.Duration // negative: the clock stands before the end of the record; 0: nothing is in doubt
	Record time.Time     // end of the record before the stop
}

// String is the same for people, "" where nothing is in doubt.
func (u Unconfirmed) String() string {
	switch {
	case u.Time == 0:
		return ""
	case u.Time < 0:
		return fmt.Sprintf("the clock stands %s before the end of the record of %s; no age comes of it. Once the clock is right: stirwatch journal confirm-clock", forPeople(-u.Time), u.Record.Format(time.DateTime))
	default:
		return fmt.Sprintf("by the clock %s have passed since %s in which no agent ran; they do not count as age, and nothing is removed for them, until the clock is confirmed: stirwatch journal confirm-clock",
			forPeople(u.Time), u.Record.Format(time.DateTime))
	}
}

// Unconfirmed tells what waits for a person to confirm the clock, as of the newest mark, which is an hour old at most.
func (r *Reader) Unconfirmed() (u Unconfirmed, err error) {
	db := r.conn()
	d, err := readDoubt(db)
	if err != nil {
		return u, explain(r.path, err)
	}
	if d.wall == 0 {
		return u, nil
	}
	last, err := lastMark(db)
	if err != nil {
		return u, explain(r.path, err)
	}
	return Unconfirmed{d.length(last.wall, last.age), time.Unix(0, d.wall)}, nil
}

const confirmedClock = "confirms the clock"

// ConfirmClock lets time that is in doubt count as age, since who says that the clock is right, and tells what
// that was. Batches that are too old by it go with the next tidying.
func (j *Journal) ConfirmClock(ctx context.Context, who, why string) (u Unconfirmed, err error) {
	done := make(chan struct{})
	confirm := func() {
		defer close(done)
		if j.st == nil {
			err = j.notRecording()
			return
		}
		d, now := j.doubt, j.now()
		if d.wall == 0 {
			return
		}
		m := j.markAt(now)
		u = Unconfirmed{d.length(m.wall, m.age), time.Unix(0, d.wall)}
		m.age += int64(max(u.Time, 0))
		if err = j.settled(m, now, who, confirmedClock, why); err != nil {
			return
		}
		j.log.Warn("the clock is confirmed", "path", j.path, "who", who, "why", why, "counts_as_age", u.Time)
		write(j, record.Event{Time: m.wall, Source: "journal", Kind: record.Confirmed,
			Text: fmt.Sprintf("%s confirms the clock: %s since %s count as age: %s", who, forPeople(u.Time), u.Record.UTC().Format(time.RFC3339), why)}, true)
	}
	select {
	case j.turn <- confirm:
		<-done
		return u, err
	case <-j.done:
		return u, j.notRecording()
	case <-ctx.Done():
		return u, fmt.Errorf("journal %s: %w", j.path, ctx.Err())
	}
}

// ConfirmClock is [Journal.ConfirmClock] for a journal that no agent records into: the time since the end of
// the record counts as age, and what was in doubt before. now is the clock's, ns since the Unix epoch.
func ConfirmClock(path string, now int64, who, why string) (u Unconfirmed, err error) {
	r, err := OpenReader(path) // it must be a journal
	if err != nil {
		return u, err
	}
	r.Close()
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return u, fmt.Errorf("journal %s: %w", path, err)
	}
	defer lock.Close()
	s, err := openStore(path, true)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	last, err := lastMark(s.db)
	if err != nil {
		return u, explain(path, err)
	}
	if last.wall == 0 {
		return u, nil // nothing was ever recorded
	}
	d, err := readDoubt(s.db)
	if err != nil {
		return u, explain(path, err)
	}
	if d.wall == 0 {
		d = doubt{last.wall, last.age}
	}
	m := last
	m.wall = now
	u = Unconfirmed{d.length(now, last.age), time.Unix(0, d.wall)}
	m.age += int64(max(u.Time, 0))
	if err := s.settle(m, who, confirmedClock, why); err != nil {
		return u, explain(path, err)
	}
	return u, nil
}
