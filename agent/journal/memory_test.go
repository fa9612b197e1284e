package journal

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/agent/record"
	"stirwatch/sensors"
)

func remembered(t *testing.T, path, room string) map[string]string {
	t.Helper()
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := r.Remembered(room)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for k, v := range raw {
		all[k] = string(v)
	}
	return all
}

// What is remembered is replaced, forgotten, told apart by room, and on disk once Flush returns.
func TestMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{Commit: time.Hour, Archive: true})
	flush := func() {
		t.Helper()
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	j.Remember("a", "x", []byte("1"))
	j.Remember("a", "y", []byte("2"))
	j.Remember("b", "x", []byte("3"))
	flush()
	if got := remembered(t, path, "a"); !maps.Equal(got, map[string]string{"x": "1", "y": "2"}) {
		t.Errorf("%v", got)
	}
	Write(j, record.Event{Time: 1, Source: "s", Kind: "gap", Text: "with a line"})
	j.Remember("a", "x", []byte("4"))
	j.Remember("a", "y", nil)
	flush()
	if got := remembered(t, path, "a"); !maps.Equal(got, map[string]string{"x": "4"}) {
		t.Errorf("%v", got)
	}
	if got := remembered(t, path, "b"); !maps.Equal(got, map[string]string{"x": "3"}) {
		t.Errorf("%v", got)
	}
	last, err := j.LastCommit()
	if err != nil || last == 0 {
		t.Errorf("the line was committed at %v, %v", last, err)
	}
	if b, _ := j.Backlog(); b.Batches != 1 || b.Lines != 1 {
		t.Errorf("a batch without a line was counted: %+v", b)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Flush of a closed journal: %v", err)
	}
}

// Who waits is answered at once also where something that nobody waits for was there before.
func TestFlushDoesNotWaitForTheInterval(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	synctest.Test(t, func(t *testing.T) {
		j := testOpen(t, path, Options{Commit: time.Hour, Archive: true})
		j.Remember("a", "x", []byte("1"))
		synctest.Wait() // it was seen, and can wait for an hour
		before := time.Now()
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(before); took > time.Second {
			t.Errorf("it was on disk after %v", took)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever comes before and in between, in whatever order: who waits is answered within the commit interval.
func TestWhoWaitsIsAnsweredInTime(t *testing.T) {
	for seed := range uint64(8) {
		path := filepath.Join(t.TempDir(), "j.db")
		synctest.Test(t, func(t *testing.T) {
			const commit = 100 * time.Millisecond
			rng := rand.New(rand.NewPCG(41, seed))
			j := testOpen(t, path, Options{Commit: commit})
			stamp := int64(0)
			for range 400 {
				stamp++
				switch rng.IntN(8) {
				case 0:
					j.AppendSamples([]sensors.Sample{good(stamp, 1)}, nil)
				case 1:
					Write(j, record.Event{Time: stamp, Source: "s", Kind: "silent"})
				case 2:
					j.Remember("a", "x", []byte{byte(stamp)})
				case 3:
					j.AppendSamples(nil, ackFunc(func() {}))
				case 4:
					if err := j.Sent(stamp / 8); err != nil {
						t.Fatal(err)
					}
				case 5:
					synctest.Wait()
				case 6:
					time.Sleep(time.Duration(rng.Int64N(int64(3 * commit))))
				default:
					if rng.IntN(2) == 0 {
						j.AppendSamples([]sensors.Sample{good(stamp, 1)}, nil)
					}
					before := time.Now()
					if err := j.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(before); took > commit+time.Millisecond {
						t.Errorf("seed %d: on disk after %v", seed, took)
					}
				}
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A journal that closes without having been able to keep something says so to who waits for it.
func TestFlushEndsWithTheJournal(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Commit: time.Millisecond, Hold: -1})
	appendDurably(t, j, good(1, 1))
	used, _, _, _ := j.st.pages()
	limitPages(t, j, used)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 30 {
		j.AppendSamples(noise(rng, 1000, 1e6+int64(i)*1000), nil)
	}
	eventually(t, "the disk is full", func() bool { return j.Stats().Err != "" })
	waits := make(chan error, 1)
	go func() { waits <- j.Flush(context.Background()) }()
	eventually(t, "it waits", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.fill.acks) > 0
	})
	if err := j.Close(); err == nil {
		t.Error("closed as if all were kept")
	}
	if err := <-waits; err == nil || !strings.Contains(err.Error(), "nothing is recorded now") {
		t.Errorf("%v", err)
	}
}

// A journal that is deleted under the agent has a successor that remembers the same, also what the first
// one learned from another process.
func TestMemoryOutlivesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	first := testOpen(t, path, Options{Archive: true})
	first.Remember("a", "of the process before", []byte("0"))
	first.Remember("a", "forgotten", []byte("0"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	j := testOpen(t, path, Options{Archive: true, Recover: true, Commit: time.Millisecond})
	j.Remember("a", "x", []byte("1"))
	j.Remember("a", "forgotten", nil)
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, companion := range []string{"", "-wal", "-shm"} {
		os.Remove(path + companion)
	}
	j.Remember("a", "y", []byte("2"))
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"of the process before": "0", "x": "1", "y": "2"}
	if got := remembered(t, path, "a"); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// While the disk takes nothing, the newest value of each key waits for it.
func TestMemoryWaitsForAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{Commit: time.Millisecond, Hold: 50 * time.Millisecond, MaxPending: 64 << 10})
	j.Remember("a", "x", []byte("1"))
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	used, _, _, _ := j.st.pages()
	limitPages(t, j, used)
	j.Remember("a", "x", []byte("2"))
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		j.AppendSamples(noise(rng, 1000, 1e6+int64(i)*1000), nil)
	}
	eventually(t, "recording stopped", func() bool { return !j.Stats().Recording })
	j.Remember("a", "x", []byte("3"))
	j.Remember("a", "y", []byte("4"))
	if err := j.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing is recorded now") {
		t.Errorf("Flush while nothing is recorded: %v", err)
	}
	limitPages(t, j, 0)
	eventually(t, "what waited is on disk", func() bool {
		return maps.Equal(remembered(t, path, "a"), map[string]string{"x": "3", "y": "4"})
	})
}
