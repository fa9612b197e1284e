package journal

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stirwatch/agent/record"
	"stirwatch/cmd/parts"
)

const day = 24 * time.Hour

// wallClock is set by a test.
type wallClock struct{ atomic.Int64 }

func newWallClock() *wallClock {
	c := &wallClock{}
	c.Store(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *wallClock) step(d time.Duration) { c.Add(int64(d)) }

// ids are those of all batches.
func ids(t testing.TB, j *Journal) (all []int64) {
	t.Helper()
	batches, err := j.Unsent(nil, 0, 1e9, 1e9)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		all = append(all, b.ID)
	}
	return all
}

func TestRetentionByAge(t *testing.T) {
	t.Parallel()
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Keep: 30 * day, Clock: newWallClock().Load})
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 4 {
		appendDurably(t, j, noise(rng, 60000, int64(i)*1e6)...)
	}
	stored, err := j.Unsent(nil, 0, 1e9, 1e9)
	if err != nil {
		t.Fatal(err)
	}
	j.tidyAt(t, 2*markEvery) // a mark behind the last batch, whatever the journal marked by itself while the disk was slow
	if err := j.Sent(stored[len(stored)/2].ID); err != nil {
		t.Fatal(err)
	}
	before, _, _, _ := j.st.pages()
	j.tidyAt(t, 29*day)
	if left := ids(t, j); len(left) != len(stored) {
		t.Errorf("after 29 days %d batches of %d are left", len(left), len(stored))
	}
	j.tidyAt(t, 31*day)
	after, free, _, _ := j.st.pages()
	if left := ids(t, j); len(left) == 0 || left[0] != stored[len(stored)/2].ID+1 {
		t.Errorf("left are %v of %d, acknowledged up to %d", left, len(stored), stored[len(stored)/2].ID)
	}
	if after > before*3/4 || free > 256 {
		t.Errorf("file of %d pages did not shrink: %d, %d of them free", before, after, free)
	}
	if j.Stats().Lost != 0 {
		t.Errorf("%d lines lost", j.Stats().Lost)
	}
	lines := 0
	for _, b := range stored[:len(stored)/2+1] {
		lines += b.Lines
	}
	all, err := j.Removed()
	if err != nil || len(all) != 1 || all[0].Lines != lines || all[0].Reason != "kept for more than 30 days" || all[0].From.UnixNano() != stored[0].First {
		t.Errorf("removed %+v, %v; want %d lines", all, err, lines)
	}
}

// A wall clock that is set ages nothing, in either direction, running or stopped; batches stamped
// while it was wrong go when their time has come.
func TestClockStepsRemoveNothing(t *testing.T) {
	t.Parallel()
	for name, archive := range map[string]bool{"the only store": true, "uploaded": false} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j.db")
			clock := newWallClock()
			var log parts.Buffer
			open := func() *Journal {
				t.Helper()
				return testOpen(t, path, Options{Keep: 30 * day, Clock: clock.Load, Archive: archive, Log: slog.New(slog.NewTextHandler(&log, nil))})
			}
			j := open()
			keep := func(stamp int64) {
				t.Helper()
				appendDurably(t, j, good(stamp, 1))
				if !archive {
					if err := j.Sent(j.st.next - 1); err != nil {
						t.Fatal(err)
					}
				}
			}
			keep(1)
			j.tidyNow(t)
			for i, step := range []time.Duration{366 * day, -366 * day, -3000 * day, 3000 * day, 3650 * day} {
				clock.step(step)
				keep(int64(i) + 2)
				j.tidyAt(t, time.Duration(i+1)*2*time.Hour)
			}
			if left := ids(t, j); len(left) != 6 {
				t.Fatalf("running: batches %v are left of 6", left)
			}
			if log.String() != "" {
				t.Errorf("log: %s", log.String())
			}
			j.Close()
			clock.step(-3650 * day) // also while nobody watches
			j = open()
			keep(8)
			j.tidyNow(t)
			if !strings.Contains(log.String(), "the time between does not count as age") {
				t.Errorf("log: %s", log.String())
			}
			j.Close()
			clock.step(2 * day) // a weekend
			j = open()
			clock.step(366 * day)
			keep(9)
			j.tidyNow(t)
			if left := ids(t, j); len(left) != 8 {
				t.Fatalf("after a start: batches %v are left of 8", left)
			}
			// 10 h and 2 days have passed, and two moments: what came at first goes, what came after the weekend stays.
			j.tidyAt(t, 29*day)
			if left := ids(t, j); len(left) > 3 || len(left) == 0 || left[len(left)-1] != j.st.next-1 {
				t.Errorf("batches %v are left", left)
			}
			j.tidyAt(t, 31*day)
			eventually(t, "the removal is on record", func() bool {
				n := 0
				if err := Rows(t.Context(), j.Reader, Query{}, func(e *record.Event) error {
					if e.Kind == record.Removed && e.Count > 0 && strings.Contains(e.Text, "kept for more than 30 days") {
						n++
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				return n > 0
			})
			if !strings.Contains(log.String(), "the oldest of the journal was removed") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// A journal of a version that made no marks ages from its newest record on, also if its stamps are odd.
func TestJournalWithoutMarks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j.db")
	clock := newWallClock()
	j := testOpen(t, path, Options{Clock: clock.Load})
	for i := range 20 { // a batch a day, the third of them in the far future
		at := clock.Load() + int64(i)*int64(day)
		if i == 2 {
			at += int64(1000 * day)
		}
		appendDurably(t, j, good(int64(i)+1, 1))
		if _, err := j.st.db.Exec("UPDATE batches SET committed_ns=? WHERE id=?", at, i+1); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	clock.step(19 * day)
	db, err := open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("DROP TABLE marks; DROP TABLE removed"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := r.Removed(); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if f, err := r.Filling(1<<30, day); err != nil || f.Known {
		t.Errorf("%+v, %v", f, err)
	}
	r.Close()
	j = testOpen(t, path, Options{Clock: clock.Load, Keep: 30 * day, Archive: true})
	j.tidyAt(t, time.Minute)
	if left := ids(t, j); len(left) != 20 {
		t.Errorf("%d batches of 20 are left", len(left))
	}
	j.tidyAt(t, 12*day+12*time.Hour) // the first and second are 31.5 and 30.5 days old
	if left := ids(t, j); len(left) != 18 {
		t.Errorf("%d batches of 18 are left", len(left))
	}
	j.tidyAt(t, 31*day)
	if left := ids(t, j); len(left) > 1 { // the record of the removal
		t.Errorf("batches %v are left", left)
	}
}

// A journal that is the store itself says days ahead that its size will not do.
func TestFullIsAnnounced(t *testing.T) {
	t.Parallel()
	var log parts.Buffer
	const size = 4 << 20
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Size: size, Keep: 30 * day, Archive: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	rng := rand.New(rand.NewPCG(7, 8))
	j.tidyAt(t, time.Second)
	said := func() int { return strings.Count(log.String(), "will soon be full") }
	for hour := range 40 {
		appendDurably(t, j, noise(rng, 5000, int64(hour)*1e6)...)
		j.tidyAt(t, time.Duration(hour+1)*time.Hour+2*time.Second)
		f, err := j.Filling(size, 30*day)
		if err != nil || !f.Known {
			t.Fatalf("hour %d: %+v, %v", hour, f, err)
		}
		if used, free, page, _ := j.st.pages(); f.PerDay < 24*10<<10 || f.Left > 0 && (used-free)*page+int64(f.Left.Hours()/24*float64(f.PerDay)) > size*101/100 {
			t.Fatalf("hour %d: %+v with %d bytes used", hour, f, (used-free)*page)
		}
		if said() == 0 {
			t.Fatalf("hour %d: %+v is not said", hour, f)
		}
	}
	if said() != 2 {
		t.Errorf("said %d times in 40 hours", said())
	}
	// Where age keeps it below, there is nothing to say.
	if f, err := j.Filling(1<<40, 30*day); err != nil || f.Left < 1000*day {
		t.Errorf("%+v, %v", f, err)
	}
	if f, err := j.Filling(size, time.Hour); err != nil || f.Left != 0 && f.Left < 1000*day {
		t.Errorf("%+v, %v", f, err)
	}
}

// A long stop counts as age when a person confirms the clock, running or stopped, when the clock is set to
// where the stop is short, or never: then the agent has run for as long.
func TestDoubtOfALongStop(t *testing.T) {
	t.Parallel()
	const stop = 40 * day
	open := func(t *testing.T, path string, clock *wallClock) *Journal {
		t.Helper()
		return testOpen(t, path, Options{Keep: 30 * day, Clock: clock.Load, Archive: true})
	}
	for name, c := range map[string]struct {
		step   time.Duration // of the clock after the start
		run    time.Duration
		living bool // confirmed while it runs
		dead   bool // before the start
		gone   bool // what is of before the stop
	}{
		"not confirmed":             {run: time.Hour},
		"confirmed while it runs":   {run: time.Hour, living: true, gone: true},
		"confirmed while it stands": {run: time.Hour, dead: true, gone: true},
		"by time":                   {run: 31 * day, gone: true},
		"the clock is set right":    {step: -39 * day, run: 2 * time.Hour},
		"and age passes after it":   {step: -39 * day, run: 29*day + time.Hour, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			path, clock := filepath.Join(t.TempDir(), "j.db"), newWallClock()
			j := open(t, path, clock)
			appendDurably(t, j, good(1, 1))
			j.tidyNow(t)
			j.Close()
			clock.step(stop)
			if c.dead {
				if u, err := ConfirmClock(path, clock.Load(), "ann", "away"); err != nil || u.Time.Round(time.Hour) != stop {
					t.Errorf("%+v, %v", u, err)
				}
			}
			j = open(t, path, clock)
			if _, err := ConfirmClock(path, clock.Load(), "bo", "?"); err == nil || !strings.Contains(err.Error(), "another process") {
				t.Errorf("beside an agent that runs: %v", err)
			}
			j.tidyNow(t)
			u, err := j.Unconfirmed()
			if want := stop; err != nil || !c.dead && u.Time.Round(time.Hour) != want || c.dead && u.Time != 0 {
				t.Errorf("%+v, %v", u, err)
			}
			if h, err := j.Health(1); err != nil || !c.dead && math.Round(h.Unconfirmed) != 40 || c.dead && !math.IsNaN(h.Unconfirmed) {
				t.Errorf("%+v, %v", h, err)
			}
			if c.living {
				if u, err := j.ConfirmClock(t.Context(), "ann", "away"); err != nil || u.Time.Round(time.Hour) != stop {
					t.Errorf("%+v, %v", u, err)
				}
				if again, err := j.ConfirmClock(t.Context(), "ann", "away"); err != nil || again.Time != 0 {
					t.Errorf("again: %+v, %v", again, err)
				}
			}
			clock.step(c.step)
			j.Close() // a doubt outlives a stop
			j = open(t, path, clock)
			clock.step(c.run)
			j.tidyAt(t, c.run)
			left := ids(t, j)
			if gone := len(left) == 0 || left[0] > 1; gone != c.gone {
				t.Errorf("batches %v are left", left)
			}
			doubted := c.step == 0 && !c.living && !c.dead && c.run < 30*day
			if u, err := j.Unconfirmed(); err != nil || (u.Time != 0) != doubted {
				t.Errorf("%+v, %v", u, err)
			}
		})
	}
}
