package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"stirwatch/agent/record"
)

// Age. How long a batch has been kept is counted on the monotonic clock, not read from the calendar:
// otherwise a wall clock that is set wrong would erase the record, or keep it forever. While the agent runs,
// age passes; a stop counts as the wall clock says, as long as it is no longer than a tenth of
// Options.Keep. A longer one is in doubt: see doubt.go.
//
// Marks tie batches to ages: one an hour says which batch was the newest then.
type mark struct {
	batch int64 // id of the newest batch
	age   int64 // ns that the agent has run, stops as above included; only differences matter
	wall  int64 // ns since the Unix epoch
	bytes int64 // compressed, of all batches ever stored
}

const (
	markEvery = time.Hour
	maxMarks  = 1000 // for batches of a version that made none
	dropTurn  = 4    // transactions of removal between two commits, so that a sender waits little
)

// beginAge continues the count from the newest mark.
func (j *Journal) beginAge(st *store, now time.Duration) error {
	last, err := lastMark(st.db)
	if err == nil && last == (mark{}) {
		last, err = st.markOld()
	}
	if err != nil {
		return err
	}
	j.age, j.marked = &last, now-markEvery // the first tidying makes a mark
	j.age.age -= int64(now)
	if last.wall == 0 {
		return nil
	}
	wall := j.opts.Clock()
	if j.doubt, err = readDoubt(st.db); err != nil {
		return err
	}
	if stop := time.Duration(wall - last.wall); believed(stop, j.opts.Keep) {
		j.age.age += int64(max(stop, 0))
		return nil
	}
	if j.doubt.wall == 0 {
		j.doubt = doubt{last.wall, last.age}
	}
	j.log.Warn("the clock is far from the end of the record: the time between does not count as age until the clock is confirmed (stirwatch journal confirm-clock), or as much running time has passed",
		"path", j.path, "last_record", time.Unix(0, last.wall).UTC(), "now", time.Unix(0, wall).UTC())
	last.wall, last.batch = wall, st.next-1
	return st.keepDoubt(j.doubt, last)
}

// markAt is a mark of the present moment.
func (j *Journal) markAt(now time.Duration) mark {
	return mark{batch: j.st.next - 1, age: j.age.age + int64(now), wall: j.opts.Clock(), bytes: j.age.bytes + j.storedBytes}
}

// keepMark stores a mark when an hour has passed since the last.
func (j *Journal) keepMark(now time.Duration) error {
	if now-j.marked < markEvery {
		return nil
	}
	if err := j.st.addMark(j.markAt(now)); err != nil {
		return err
	}
	j.marked = now
	return j.announceFull(now)
}

// limitAge removes batches that may go and have been kept for longer than Keep.
func (j *Journal) limitAge(now time.Duration) error {
	upTo, err := j.st.markedBefore(j.age.age + int64(now-j.opts.Keep))
	if err != nil {
		return err
	}
	for range dropTurn {
		n, err := j.st.dropOld(min(upTo, j.disposable()), j.tooOld(), j.opts.Clock())
		if err != nil || n < dropStep {
			return err
		}
	}
	return nil
}

// tooOld is the reason of a removal by age.
func (j *Journal) tooOld() string { return "kept for more than " + forPeople(j.opts.Keep) }

// forPeople formats a long time.
func forPeople(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%.3g hours", d.Hours())
	}
	return fmt.Sprintf("%.3g days", d.Hours()/24)
}

// tellRemoved puts into the record and the log what was removed, at most once an hour: where batches
// go one by one as others come, each would otherwise be a row of its own.
func (j *Journal) tellRemoved(now time.Duration) error {
	if j.toldRemoved != 0 && now-j.toldRemoved < markEvery {
		return nil
	}
	all, err := j.st.takeUntold()
	if err != nil || len(all) == 0 {
		return err
	}
	j.toldRemoved = max(now, 1)
	for i := range all {
		r := &all[i]
		level := slog.LevelWarn
		if !j.opts.Archive && r.Reason == j.tooOld() {
			level = slog.LevelInfo // the server has it
		}
		j.log.Log(context.Background(), level, "the oldest of the journal was removed", "path", j.path, "lines", r.Lines, "from", r.From.UTC(), "to", r.To.UTC(), "reason", r.Reason)
		write(j, record.Event{Time: j.opts.Clock(), Source: "journal", Kind: record.Removed, Count: int64(r.Lines),
			Text: fmt.Sprintf("%d lines from %s to %s were removed: %s", r.Lines, r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339), r.Reason)}, true)
	}
	return nil
}

// A journal that is the only store announces that its size will not suffice for Keep.
const (
	announceBefore = 3 * 24 * time.Hour
	announceEvery  = 24 * time.Hour
)

// announceFull says days ahead that removal by size will begin.
func (j *Journal) announceFull(now time.Duration) error {
	if !j.opts.Archive || j.opts.Size == 0 || j.announced != 0 && now-j.announced < announceEvery {
		return nil
	}
	f, err := j.Filling(j.opts.Size, j.opts.Keep)
	if err != nil || !f.Known || f.Left == 0 || f.Left > announceBefore {
		return err
	}
	j.announced = now
	j.log.Warn("the journal will soon be full, and will then forget its oldest", "path", j.path, "full_in", f.Left.Round(time.Hour), "bytes_a_day", f.PerDay, "size", j.opts.Size)
	write(j, record.Event{Time: j.opts.Clock(), Source: "journal", Kind: record.Filling,
		Text: fmt.Sprintf("full in %s at this rate (%d MB a day): its oldest will then be removed, earlier than after %s; raise size, or record less",
			forPeople(f.Left), f.PerDay>>20, forPeople(j.opts.Keep))}, true)
	return nil
}

// Filling is how fast a journal grows.
type Filling struct {
	Known  bool          // false until an hour is on record
	Size   int64         // bytes that it holds now
	PerDay int64         // bytes of a day of running, mean of the last
	Left   time.Duration // until size is reached; 0: it is full, and lives by removal; MaxInt64: age keeps it below
}

// String is the same for people, "" where it is not known.
func (f Filling) String() string {
	switch perDay := float64(f.PerDay) / 1e6; {
	case !f.Known:
		return ""
	case f.Left == 0:
		return fmt.Sprintf("grows by %.0f MB a day of running; it is at its size, and its oldest are removed", perDay)
	case f.Left == math.MaxInt64:
		return fmt.Sprintf("grows by %.0f MB a day of running, and stays below its size", perDay)
	default:
		return fmt.Sprintf("grows by %.0f MB a day of running, and is at its size in %.1f days", perDay, f.Left.Hours()/24)
	}
}

// Health is what people should see of a journal at work.
func (j *Journal) Health(now int64) (record.JournalHealth, error) {
	f, err := j.Filling(j.opts.Size, j.opts.Keep)
	s := j.Stats()
	h := record.JournalHealth{Time: now, Source: record.JournalSource, Size: f.Size, Most: j.opts.Size, PerDay: f.PerDay,
		FullIn: math.NaN(), Unconfirmed: math.NaN(), Lost: int64(s.Lost), Unchanged: int64(s.Unchanged)}
	if f.Known && f.Left != math.MaxInt64 && j.opts.Size > 0 {
		h.FullIn = f.Left.Hours() / 24
	}
	u, err2 := j.Unconfirmed()
	if u.Time != 0 {
		h.Unconfirmed = u.Time.Hours() / 24
	}
	return h, errors.Join(err, err2)
}

// Filling tells how fast the journal grows and when it will have the size given, if batches go after keep.
func (r *Reader) Filling(size int64, keep time.Duration) (f Filling, err error) {
	used, free, page, err := pages(r.conn())
	if err != nil {
		return f, err
	}
	f.Size = (used - free) * page
	first, last, err := lastDay(r.conn())
	if err != nil || last.age-first.age < int64(markEvery) {
		return f, err
	}
	f.Known = true
	perNS := float64(last.bytes-first.bytes) / float64(last.age-first.age)
	f.PerDay = int64(perNS * 24 * float64(time.Hour))
	room := float64(size - size/sizeSlack - f.Size)
	switch {
	case room <= 0:
	case perNS <= 0 || room/perNS > math.MaxInt64, keep > 0 && perNS*float64(keep) <= float64(size):
		f.Left = math.MaxInt64
	default:
		f.Left = time.Duration(room / perNS)
	}
	return f, nil
}
