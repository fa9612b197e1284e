package journal

import (
	"context"
	"errors"
	"os"

	"stirwatch/agent/record"
)

// Discard removes the journal at path with all that lies beside it. What is no journal, or is being recorded into, stays
// and is an error; where nothing is, nothing is done.
func Discard(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	r, err := OpenReader(path) // is it a journal?
	if err != nil {
		return err
	}
	r.Close()
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return explain(path, err)
	}
	defer lock.Close()
	for _, companion := range []string{"", "-wal", "-shm", ".reserve", ".gap", ".lock"} {
		if err := os.Remove(path + companion); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// HoldsSamples reports whether a reading is stamped from ≤ stamp ≤ to, ns since the Unix epoch.
func (r *Reader) HoldsSamples(ctx context.Context, from, to int64) (bool, error) {
	found := errors.New("found")
	err := Rows(ctx, r, Query{From: from, To: to + 1, Measurement: record.Samples}, func(*record.Sample) error { return found })
	if errors.Is(err, found) {
		return true, nil
	}
	return false, err
}
