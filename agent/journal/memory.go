package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
)

// Beside the rows, which are never changed, the journal remembers a few values that are replaced: what an
// agent that was killed must know when it is back. A value is on disk in the same transaction as the
// rows written before it, so that the record and the memory tell the same.

// memoryKey names a remembered value.
type memoryKey struct{ room, key string }

// Remember makes value what is remembered of key in room; nil forgets it. It never waits and is on
// disk with the next commit: see [Journal.Flush]. While the recording has stopped the newest value of
// each key waits. The value is kept and not to be changed.
func (j *Journal) Remember(room, key string, value []byte) {
	now, k := j.now(), memoryKey{room, key}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return
	}
	p := &j.fill
	wake := p.empty()
	j.keepInMind(k, value)
	wake = j.touch(now, wake, len(p.buf))
	j.mu.Unlock()
	if wake {
		signal(j.kick)
	}
}

// keepInMind adds a value to what is to be committed; the zero key adds nothing. mu is held.
func (j *Journal) keepInMind(k memoryKey, value []byte) {
	if k == (memoryKey{}) {
		return
	}
	if j.fill.memory == nil {
		j.fill.memory = make(map[memoryKey][]byte)
	}
	j.fill.memory[k] = value
	if j.memory == nil {
		j.memory = make(map[memoryKey][]byte)
	}
	if value == nil {
		delete(j.memory, k)
	} else {
		j.memory[k] = value
	}
}

// Recall gives the newest value that is remembered of a key, whether it is on disk yet or not; nil if there is none.
func (j *Journal) Recall(room, key string) ([]byte, error) {
	j.mu.Lock()
	value, ok := j.memory[memoryKey{room, key}]
	j.mu.Unlock()
	if ok {
		return value, nil
	}
	all, err := j.Remembered(room)
	return all[key], err
}

// remind has keys committed again whose values could not be, now with the newest value of each; mu is held.
func (j *Journal) remind(lost map[memoryKey][]byte) {
	if len(lost) > 0 && j.fill.memory == nil {
		j.fill.memory = make(map[memoryKey][]byte)
	}
	for k := range lost {
		j.fill.memory[k] = j.memory[k] // nil where it is forgotten since
	}
}

// writeMemory stores what is to be remembered.
func (s *store) writeMemory(tx *sql.Tx, memory map[memoryKey][]byte) error {
	for k, value := range memory {
		var err error
		if value == nil {
			_, err = tx.Exec("DELETE FROM memory WHERE room=? AND key=?", k.room, k.key)
		} else {
			err = s.db.within(tx, memorise, k.room, k.key, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Flush returns when all that was appended and remembered before is on disk. It fails where the
// recording has stopped or ctx ends.
func (j *Journal) Flush(ctx context.Context) error {
	if !j.Stats().Recording {
		return j.notRecording()
	}
	done := make(flushed)
	j.AppendSamples(nil, done)
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("journal %s: %w", j.path, ctx.Err())
	case <-j.acks.done: // it was closed meanwhile, and what comes now is not kept
		select {
		case <-done:
			return nil
		default:
			return j.notRecording()
		}
	}
	if !j.Stats().Recording {
		return j.notRecording()
	}
	return nil
}

func (j *Journal) notRecording() error {
	why := j.Stats().Err
	if why == "" {
		why = "it is closed"
	}
	return fmt.Errorf("journal %s: nothing is recorded now: %w", j.path, errors.New(why))
}

// flushed is an [sensors.Acker] that closes a channel on which Flush waits.
type flushed chan struct{}

// Ack implements [sensors.Acker].
func (f flushed) Ack() { close(f) }

// Remembered gives what is remembered in a room, by key.
func (r *Reader) Remembered(room string) (map[string][]byte, error) {
	there, err := list(r, "SELECT name FROM sqlite_schema WHERE name='memory'", func(rows *sql.Rows, name *string) error { return rows.Scan(name) })
	if err != nil || len(there) == 0 { // a journal of an earlier version
		return nil, err
	}
	rows, err := r.conn().Query("SELECT key, value FROM memory WHERE room=?", room)
	if err != nil {
		return nil, explain(r.path, err)
	}
	defer rows.Close()
	all := make(map[string][]byte)
	for rows.Next() {
		var key string
		var value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return nil, explain(r.path, err)
		}
		all[key] = value
	}
	return all, rows.Err()
}

// attached has the values that this process knows written into a file that was just opened; mu is held.
func (j *Journal) attached() {
	if len(j.memory) > 0 {
		all := maps.Clone(j.memory)
		maps.Copy(all, j.fill.memory)
		j.fill.memory = all
	}
}
