package journal

import (
	"time"
)

// This file is what an uploader asks of the journal, and who looks how it stands.

// Unsent is [Reader.Unsent]. Damage that it meets makes the journal begin a new file.
func (j *Journal) Unsent(dst []Batch, after int64, maxLines, maxBytes int) ([]Batch, error) {
	now := j.Reader.fixed()
	dst, err := now.Unsent(dst, after, maxLines, maxBytes)
	j.noteDamage(err, now.db.Load())
	return dst, err
}

// noteDamage remembers that the open file cannot be read, if db is a connection to it; nil is the committing goroutine's.
func (j *Journal) noteDamage(err error, db *database) {
	if !isDamaged(err) {
		return
	}
	j.mu.Lock()
	first := j.broken == ""
	if db != nil && db != j.Reader.db.Load() {
		first = false // of a file that has been given up since
	} else {
		j.broken = damaged
	}
	j.mu.Unlock()
	if first {
		j.log.Error("the journal is damaged", "path", j.path, "err", err)
	}
	signal(j.kick)
}

// Sent acknowledges every batch up to id: they have arrived. The mark reaches the disk with the
// next commit, or after a second; if it is lost with the power, some batches are sent again,
// which is harmless.
func (j *Journal) Sent(id int64) error {
	j.tally.Lock()
	defer j.tally.Unlock()
	c, err := j.count(j.SentID(), id)
	if err != nil {
		return err
	}
	j.mu.Lock()
	if id > j.sent {
		j.sent = id
		j.unsent.batches -= c.batches
		j.unsent.lines -= c.lines
		j.unsent.bytes -= c.bytes
		j.release(0)
		if !j.sentDirty {
			j.sentDirty, j.sentAt = true, j.now()
		}
	}
	j.mu.Unlock()
	signal(j.kick)
	return nil
}

// SentID is the last batch acknowledged by [Journal.Sent], 0 if none.
func (j *Journal) SentID() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sent
}

// Backlog is what waits to be sent.
type Backlog struct {
	Batches, Lines int
	Bytes          int64     // compressed
	Oldest         time.Time // commit of the oldest; zero when nothing waits
}

// Backlog tells what waits to be sent.
func (j *Journal) Backlog() (Backlog, error) {
	j.mu.Lock()
	u, sent := j.unsent, j.sent
	j.mu.Unlock()
	b := Backlog{Batches: u.batches, Lines: u.lines, Bytes: u.bytes}
	if u.batches == 0 {
		return b, nil
	}
	oldest, err := j.committedAfter(sent)
	if oldest != 0 {
		b.Oldest = time.Unix(0, oldest)
	}
	return b, err
}

// Uploads reports whether somebody is expected to call [Journal.Sent].
func (j *Journal) Uploads() bool { return !j.opts.Archive }

// Full gives a channel that is signalled when at least lines unsent lines are stored. There is
// one such watch; a later call replaces it.
func (j *Journal) Full(lines int) <-chan struct{} {
	j.mu.Lock()
	j.watch = lines
	j.mu.Unlock()
	return j.full
}

// Stats is what the journal has done since it was opened.
type Stats struct {
	Lines     uint64 // taken
	Skipped   uint64 // unknown channel, no field
	Unchanged uint64 // within the dead band of their channel
	Stored    uint64 // lines safe on disk
	Commits   uint64
	Lost      uint64 // lines not kept because the disk took nothing
	Pending   int    // bytes waiting for the disk
	Recording bool   // false while a full or failing disk has stopped the recording
	Err       string // last failure of the disk; empty when the last commit went well
	Sent      int64  // last acknowledged batch
}

// Stats gives the counters.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Stats{
		Lines: j.appended.Load(), Skipped: j.skipped.Load(), Stored: j.stored.Load(), Commits: j.commits.Load(), Lost: j.lost.Load(),
		Unchanged: j.bands.left, Pending: len(j.fill.buf), Recording: !j.suspended && !j.closed, Err: j.lastErr, Sent: j.sent,
	}
}
