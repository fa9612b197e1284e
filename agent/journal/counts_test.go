package journal

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stirwatch/cmd/parts"
	"stirwatch/sensors"
)

// A file that is deleted is missed also where the agent is killed before it can begin a new one: the next
// start tells what was in it. What nobody else had counts, no more.
func TestAFileThatIsGoneAtTheStartIsMissed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		archive bool
		want    int
	}{"the only store": {true, 30}, "uploaded": {false, 20}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "j.db")
			opts := Options{Archive: c.archive, Recover: true, Commit: time.Millisecond}
			j := testOpen(t, path, opts)
			for i := range int64(3) {
				stamp := 100 * (i + 1)
				var samples []sensors.Sample
				for k := range int64(10) {
					samples = append(samples, good(stamp+k, float64(k)))
				}
				appendDurably(t, j, samples...)
				if i == 0 && !c.archive {
					if err := j.Sent(j.st.next - 1); err != nil {
						t.Fatal(err)
					}
				}
			}
			killed := t.TempDir() // what a kill leaves where the file was just deleted
			b, err := os.ReadFile(path + ".gap")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(killed, "j.db.gap"), b, 0o600); err != nil {
				t.Fatal(err)
			}
			path = filepath.Join(killed, "j.db")
			for range 2 { // it is told once
				var log parts.Buffer
				opts.Log = slog.New(slog.NewTextHandler(&log, nil))
				k := testOpen(t, path, opts)
				gaps, err := k.Gaps()
				if err != nil || len(gaps) != 1 || gaps[0].Lines != c.want || gaps[0].To.UnixNano() != 309 || gaps[0].Reason != wasGone {
					t.Errorf("gaps %+v, %v; want %d lines", gaps, err, c.want)
				}
				eventually(t, "the gap's event", func() bool { n, _ := gapsSaid(t, k.Reader); return n == c.want })
				k.Close()
				if n := strings.Count(log.String(), wasGone); n > 1 {
					t.Errorf("log: %s", log.String())
				}
			}
			for _, name := range []string{"j.db", "j.db-wal", "j.db-shm"} { // and again: the gap that was in it counts on
				os.Remove(filepath.Join(killed, name))
			}
			k := testOpen(t, path, opts)
			gaps, err := k.Gaps()
			if err != nil || len(gaps) == 0 || gaps[len(gaps)-1].Lines != c.want || gaps[len(gaps)-1].Reason != gapsOfGone {
				t.Errorf("gaps %+v, %v", gaps, err)
			}
			k.Close()
		})
	}
}

// A kill in the middle of a store leaves the count before it; a file that is cut off under the agent costs
// the counts, not the agent.
func TestCountsAreWholeOrTheOnesBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gap")
	var c counts
	c.open(path)
	c.save(tally{{1, 2, 3}, {4, 5, 6}, {}})
	c.save(tally{{1, 9, 10}, {4, 5, 6}, {7, 8, 9}})
	newest := c.slot(lostAt, c.seq[lostAt])
	newest[24] ^= 0xff // torn
	read := func() tally {
		var again counts
		again.open(path)
		defer again.close()
		return again.is
	}
	if got := read(); got != (tally{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}) {
		t.Errorf("%+v", got)
	}
	newest[24] ^= 0xff
	if got := read(); got[lostAt] != (gap{1, 9, 10}) {
		t.Errorf("%+v", got)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	c.save(tally{})
	if c.page != nil {
		t.Error("the file that was cut off was written")
	}
	c.close()
}

// A new file takes the place of the old one only when all is in it: its write-ahead log goes by its name, and
// what a full disk keeps there would be lost with the next kill.
func TestALogThatCannotBeEmptiedIsTold(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	s, err := openStore(filepath.Join(dir, "j.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	b := Batch{Lines: 1, Deflate: make([]byte, 300<<10)}
	if err := s.appendWith(&b, 1, nil); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "others"))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(f, zeros{})
	f.Close()
	if err := s.emptyLog(); err == nil {
		t.Error("emptied on a full disk")
	}
	os.Remove(f.Name())
	if err := s.emptyLog(); err != nil {
		t.Error(err)
	}
}

// Whatever a file of counts holds: it gives counts that were stored, or none, and takes new ones.
func FuzzCounts(f *testing.F) {
	whole := &counts{page: make([]byte, countsSize)}
	whole.save(tally{{1, 2, 3}, {-4, 5, 6}, {7, 8, 9}})
	whole.save(tally{{1, 2, 4}, {-4, 5, 6}, {7, 8, 9}})
	f.Add(whole.page[:3*2*slotSize])
	f.Add([]byte("something else"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &counts{page: make([]byte, countsSize)}
		copy(c.page, data)
		for place := range c.is {
			c.is[place] = c.get(place)
		}
		want := tally{{1, 1, 1}, {2, 2, 2}, {3, 3, 3}}
		c.save(want)
		again := &counts{page: c.page}
		for place := range want {
			if got := again.get(place); got != want[place] {
				t.Errorf("place %d: %+v after a store over %x", place, got, data)
			}
		}
	})
}

// A batch that shows its damage only when it is sent is a gap of the record too.
func TestABatchThatCannotBeSentIsAGap(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{})
	appendDurably(t, j, good(11, 1), good(12, 2), good(15, 3))
	if err := j.SetAside([]Refused{{Batch: j.st.next - 1, Reason: "batch 1 is damaged", At: 20}, {Batch: 7, Line: "samples x=1 1", Reason: "type", At: 20}}); err != nil {
		t.Fatal(err)
	}
	gaps, err := j.Gaps()
	if err != nil || len(gaps) != 1 || gaps[0].Lines != 3 || gaps[0].From.UnixNano() != 11 || gaps[0].To.UnixNano() != 15 || gaps[0].Reason != "batch 1 is damaged" {
		t.Errorf("gaps %+v, %v", gaps, err)
	}
}
