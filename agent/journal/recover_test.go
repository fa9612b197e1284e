package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stirwatch/agent/record"
	"stirwatch/cmd/parts"
	"stirwatch/sensors"
)

// stamps are those of all samples that can be read, with the damage met.
func stamps(t testing.TB, r *Reader) (all map[int64]bool, damage *DamageError) {
	t.Helper()
	all = map[int64]bool{}
	err := Rows(t.Context(), r, Query{}, func(s *record.Sample) error { all[s.Time] = true; return nil })
	if err != nil && !errors.As(err, &damage) {
		t.Fatal(err)
	}
	return all, damage
}

// gapsSaid adds up what the events of a journal call missing.
func gapsSaid(t testing.TB, r *Reader) (lines int, texts []string) {
	t.Helper()
	if err := Rows(t.Context(), r, Query{}, func(e *record.Event) error {
		if e.Kind == "gap" {
			lines += int(e.Count)
			texts = append(texts, e.Text)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return lines, texts
}

// A file that vanishes under the agent costs nothing that was not yet sent; the rest is a gap. All that
// is acknowledged from then on is in the new file.
func TestFileDeletedWhileRecording(t *testing.T) {
	t.Parallel()
	all := []string{"", "-wal", "-shm", ".lock", ".reserve", ".gap"}
	remove := func(names ...string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			for _, n := range names {
				if err := os.Remove(path + n); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, harm := range map[string]func(t *testing.T, path string){
		"the file":        remove(""),
		"with all beside": remove(all...),
		"its folder": func(t *testing.T, path string) {
			if err := os.RemoveAll(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		},
		"renamed": func(t *testing.T, path string) {
			if err := os.Rename(path, path+".old"); err != nil {
				t.Fatal(err)
			}
		},
		"replaced": func(t *testing.T, path string) {
			if err := os.WriteFile(path+".new", []byte("Time,Tool\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, archive := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, archive %v", name, archive), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "data", "j.db")
				var log parts.Buffer
				j := testOpen(t, path, Options{Commit: time.Millisecond, Archive: archive, Log: slog.New(slog.NewTextHandler(&log, nil))})
				const before, sent, after = 20, 5, 15
				for i := range before {
					appendDurably(t, j, good(int64(i), 1), good(int64(i), 2))
				}
				if _, err := j.BeginRun("wall", "", 5); err != nil {
					t.Fatal(err)
				}
				if !archive {
					if err := j.Sent(int64(sent)); err != nil {
						t.Fatal(err)
					}
				}
				harm(t, path)
				for i := range after {
					appendDurably(t, j, good(int64(before+i), 1))
				}
				want, missing := after, 2*before
				if !archive {
					want, missing = after+before-sent, 2*sent
				}
				got, damage := stamps(t, j.Reader)
				if len(got) != want || damage != nil {
					t.Errorf("%d instants are there, want %d; %v", len(got), want, damage)
				}
				gaps, err := j.Gaps()
				if err != nil || len(gaps) != 1 || gaps[0].Lines != missing || !strings.Contains(gaps[0].Reason, "deleted or replaced while in use") {
					t.Errorf("gaps %+v, %v, want %d lines", gaps, err, missing)
				}
				eventually(t, "the gap's event", func() bool { n, _ := gapsSaid(t, j.Reader); return n == missing })
				if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "a new one begun") {
					t.Errorf("log: %s", log.String())
				}
				if run, err := j.Run("wall"); err != nil || run.Start != 5 {
					t.Errorf("run %+v, %v", run, err)
				}
				if err := j.EndRun(50); err != nil {
					t.Error(err)
				}
				left, err := j.Unsent(nil, j.SentID(), 1e9, 1e9)
				if b, _ := j.Backlog(); err != nil || !archive && (b.Batches != len(left) || b.Batches < before-sent+after) {
					t.Errorf("backlog %+v, %d batches, %v", b, len(left), err)
				}
				for i := 1; i < len(left); i++ {
					if left[i].ID <= left[i-1].ID {
						t.Errorf("batch %d follows %d", left[i].ID, left[i-1].ID)
					}
				}
				if err := j.Sent(before); err != nil { // an answer about the old file acknowledges nothing of the new
					t.Fatal(err)
				}
				if again, _ := j.Unsent(nil, j.SentID(), 1e9, 1e9); len(again) < len(left) {
					t.Errorf("%d batches of %d are left", len(again), len(left))
				}
				if err := j.Close(); err != nil {
					t.Error(err)
				}
				j = testOpen(t, path, Options{Archive: archive})
				if got, damage := stamps(t, j.Reader); len(got) != want || damage != nil {
					t.Errorf("opened again: %d instants, want %d; %v", len(got), want, damage)
				}
			})
		}
	}
}

// damageMiddle overwrites pages of a closed file from a share of it on, and gives the number of pages.
func damageMiddle(t testing.TB, path string, at float64, pages int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	first := int64(at * float64(i.Size()/page))
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, pages*page), first*page); err != nil {
		t.Fatal(err)
	}
}

// filled is a closed journal of n batches of each samples, of which the first were sent.
func filled(t testing.TB, n, each int, sent int64) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{Commit: time.Millisecond})
	rng := rand.New(rand.NewPCG(21, 22))
	for i := range n {
		appendDurably(t, j, noise(rng, each, int64(i*each))...)
	}
	if sent > 0 {
		if err := j.Sent(sent); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// Damage anywhere in the middle of the file costs the batches it hits; all the others are read, and
// what is missing is counted.
func TestReadingRoundDamagedPages(t *testing.T) {
	t.Parallel()
	const n, each = 300, 20
	whole := filled(t, n, each, 0)
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	total := len(content) / 4096
	for _, pages := range []int{1, 3, 20} {
		for k := range 16 {
			at := (8 + float64(k*(total-8))/16) / float64(total) // behind the roots of the trees, without which nothing is found
			path := filepath.Join(t.TempDir(), "j.db")
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			damageMiddle(t, path, at, min(pages, total-int(at*float64(total))))
			r, err := OpenReader(path)
			if err != nil {
				t.Errorf("%d pages at %.2f: %v", pages, at, err)
				continue
			}
			got, damage := stamps(t, r)
			r.Close()
			lost := n*each - len(got)
			// A page holds two batches and a half; one of the inner pages points to many.
			if lost > 0 && (damage == nil || damage.Batches*each < lost || damage.Batches*each > lost+2*each) {
				t.Errorf("%d pages at %.2f: %d samples are lost; %v", pages, at, lost, damage)
			}
			if lost > n*each*3/4 {
				t.Errorf("%d pages at %.2f: %d samples of %d are lost", pages, at, lost, n*each)
			}
		}
	}
}

// An agent starts with a damaged journal: it moves it aside, takes over what is not yet sent and counts
// what could not be read.
func TestDamagedJournalIsReplaced(t *testing.T) {
	t.Parallel()
	const n, each, sent = 150, 40, 40
	for name, harm := range map[string]func(t *testing.T, path string){
		"in the middle": func(t *testing.T, path string) { damageMiddle(t, path, 0.6, 4) },
		"root page": func(t *testing.T, path string) {
			f, _ := os.OpenFile(path, os.O_RDWR, 0)
			f.WriteAt(bytes.Repeat([]byte{0xa5}, 3000), 100)
			f.Close()
		},
		"header": func(t *testing.T, path string) {
			f, _ := os.OpenFile(path, os.O_RDWR, 0)
			f.WriteAt(make([]byte, 4096), 0)
			f.Close()
		},
		"cut":  func(t *testing.T, path string) { os.Truncate(path, 100) },
		"half": func(t *testing.T, path string) { os.Truncate(path, 100_000) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filled(t, n, each, sent)
			harm(t, path)
			var log parts.Buffer
			j := testOpen(t, path, Options{Recover: true, Commit: time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
			appendDurably(t, j, good(1e9, 1))
			eventually(t, "damage is noticed", func() bool { // by the uploader, where not at the start
				j.Unsent(nil, j.SentID(), 1e9, 1e9)
				return strings.Contains(log.String(), "a new journal is begun")
			})
			appendDurably(t, j, good(2e9, 1))
			got, damage := stamps(t, j.Reader)
			if damage != nil || !got[2e9] || !got[1e9] {
				t.Errorf("%d samples, %v", len(got), damage)
			}
			gaps, err := j.Gaps()
			if name == "in the middle" {
				if len(got) < (n-sent)*each*3/4 || err != nil || len(gaps) != 1 || !strings.Contains(gaps[0].Reason, "could not be read") || gaps[0].Lines < each {
					t.Errorf("%d samples taken over; gaps %+v, %v", len(got), gaps, err)
				}
			}
			aside, err := filepath.Glob(path + ".2*Z")
			if err != nil || len(aside) != 1 || !strings.Contains(log.String(), aside[0]) {
				t.Errorf("aside %v, %v; log: %s", aside, err, log.String())
			}
			if b, err := j.Backlog(); err != nil || b.Batches == 0 {
				t.Errorf("backlog %+v, %v", b, err)
			}
			batches, err := j.Unsent(nil, j.SentID(), 1e9, 1e9)
			if err != nil || len(batches) == 0 {
				t.Fatal(len(batches), err)
			}
			if err := j.Sent(batches[len(batches)-1].ID); err != nil {
				t.Error(err)
			}
		})
	}
}

// Damage that shows while the agent records is no reason to stop.
func TestDamageWhileRecording(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j.db")
	var log parts.Buffer
	j := testOpen(t, path, Options{Commit: time.Millisecond, Keep: time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil))})
	rng := rand.New(rand.NewPCG(23, 24))
	for i := range 300 {
		appendDurably(t, j, noise(rng, 40, int64(i*40))...)
	}
	j.st.emptyLog()
	damageMiddle(t, path, 0.4, 6)
	for i := range 100 {
		appendDurably(t, j, good(1e9+int64(i), 1))
	}
	eventually(t, "a new file", func() bool {
		j.Unsent(nil, j.SentID(), 1e9, 1e9)
		return strings.Contains(log.String(), "a new journal is begun")
	})
	got, damage := stamps(t, j.Reader)
	for i := range int64(100) {
		if !got[1e9+i] {
			gaps, _ := j.Gaps()
			t.Fatalf("sample %d is missing of %d; %v; gaps %+v\n%s", i, len(got), damage, gaps, log.String())
		}
	}
	if damage != nil || len(got) < 300*40/2 {
		t.Errorf("%d samples, %v", len(got), damage)
	}
}

// Monitoring starts where the journal cannot be opened; what comes is counted, and recording begins when
// it can.
func TestStartWithoutAFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		harm, heal func(t *testing.T, dir string)
	}{
		"no folder": {
			func(t *testing.T, dir string) { os.WriteFile(filepath.Join(dir, "data"), nil, 0o644) },
			func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "data")) },
		},
		"a folder in its place": {
			func(t *testing.T, dir string) { os.MkdirAll(filepath.Join(dir, "data", "j.db"), 0o755) },
			func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "data", "j.db")) },
		},
		"a full disk": {
			func(t *testing.T, dir string) {
				if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
					t.Skipf("a small file system cannot be mounted here: %v", err)
				}
				t.Cleanup(func() { syscall.Unmount(dir, 0) })
				f, err := os.Create(filepath.Join(dir, "filler"))
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(f, io.LimitReader(zeros{}, 2<<20))
				f.Close()
			},
			func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "filler")) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.harm(t, dir)
			path := filepath.Join(dir, "data", "j.db")
			if j, err := Open(path, Options{}); err == nil {
				j.Close()
				t.Fatal("opened without being told to recover")
			}
			var log parts.Buffer
			j := testOpen(t, path, Options{Recover: true, Commit: time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
			var acked atomic.Int64
			for i := range 50 {
				j.AppendSamples([]sensors.Sample{good(int64(i), 1)}, ackFunc(func() { acked.Add(1) }))
			}
			Write(j, record.Event{Time: 60, Source: "tc", Kind: "silent"})
			eventually(t, "senders go on", func() bool { return acked.Load() == 50 })
			if s := j.Stats(); s.Recording || s.Err == "" || s.Lost != 51 {
				t.Errorf("%+v", s)
			}
			if _, err := j.BeginRun("x", "", 1); err != nil {
				t.Error(err)
			}
			if _, err := j.Unsent(nil, 0, 10, 10); err == nil {
				t.Error("batches without a file")
			}
			if !strings.Contains(log.String(), "monitoring starts without a record") {
				t.Errorf("log: %s", log.String())
			}
			c.heal(t, dir)
			eventually(t, "recording", func() bool { return j.Stats().Recording })
			appendDurably(t, j, good(100, 1))
			gaps, err := j.Gaps()
			if err != nil || len(gaps) != 1 || gaps[0].Lines != 51 {
				t.Errorf("gaps %+v, %v", gaps, err)
			}
			eventually(t, "the gap's event", func() bool { n, _ := gapsSaid(t, j.Reader); return n == 51 })
			if err := j.EndRun(9); err != nil {
				t.Error(err)
			}
			eventually(t, "the run is marked", func() bool { run, err := j.Run("x"); return err == nil && run.Start == 1 && run.End == 9 })
		})
	}
	// What is not ours to touch stays an error.
	path := filepath.Join(t.TempDir(), "j.db")
	if err := os.WriteFile(path, []byte("Time,Tool\n1,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{Recover: true}); err == nil || !strings.Contains(err.Error(), "not a journal") {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// What is acknowledged while the recording is stopped is counted also if the agent is then killed.
func TestCountOutlivesAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := testOpen(t, filepath.Join(dir, "j.db"), Options{Hold: 50 * time.Millisecond})
	appendDurably(t, j, good(1, 1))
	used, _, _, _ := j.st.pages()
	limitPages(t, j, used)
	rng := rand.New(rand.NewPCG(25, 26))
	var acked atomic.Int64
	const bursts, each = 20, 1000
	for i := range bursts {
		j.AppendSamples(noise(rng, each, int64(10+i*each)), ackFunc(func() { acked.Add(1) }))
	}
	eventually(t, "recording stopped, senders released", func() bool { return acked.Load() == bursts })
	lost := int(j.Stats().Lost)
	if lost == 0 || j.Stats().Recording {
		t.Fatalf("%+v", j.Stats())
	}
	killed := t.TempDir() // the files as a kill leaves them
	for _, name := range []string{"j.db", "j.db-wal", "j.db.gap"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(killed, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // it is told once
		k := testOpen(t, filepath.Join(killed, "j.db"), Options{})
		gaps, err := k.Gaps()
		if err != nil || len(gaps) != 1 || gaps[0].Lines != lost || gaps[0].From.UnixNano() < 10 || gaps[0].To.UnixNano() > 10+bursts*each {
			t.Errorf("gaps %+v, %v; %d lines were lost", gaps, err, lost)
		}
		eventually(t, "the gap's event", func() bool { n, _ := gapsSaid(t, k.Reader); return n == lost })
		k.Close()
	}
	limitPages(t, j, 0)
	eventually(t, "recording again", func() bool { return j.Stats().Recording })
	j.Close()
	j = testOpen(t, filepath.Join(dir, "j.db"), Options{})
	if gaps, err := j.Gaps(); err != nil || len(gaps) != 1 { // nor is it told twice
		t.Errorf("gaps %+v, %v", gaps, err)
	}
}

// Refused lines are sent again where somebody asks for it, also from another process, once.
func TestResend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	if _, err := Resend(path); err == nil {
		t.Error("without a journal")
	}
	j := testOpen(t, path, Options{Commit: time.Millisecond})
	appendDurably(t, j, good(1, 1))
	if n, err := Resend(path); n != 0 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
	var lines []Refused
	for i := range resendAtOnce + 100 {
		lines = append(lines, Refused{Batch: 1, Line: fmt.Sprintf("samples,channel=tool value=%d %d", i, i+10), Reason: "field type conflict: input field \"value\" is type float", At: 5})
	}
	lines = append(lines, Refused{Batch: 7, Line: "events,source=x text=1 9", Reason: "other", At: 5}, Refused{Batch: 8, Reason: "batch 8 is damaged", At: 5})
	if err := j.SetAside(lines); err != nil {
		t.Fatal(err)
	}
	counts, err := j.RefusedCounts()
	if err != nil || len(counts) != 2 || counts[0].Lines != resendAtOnce+100 || counts[0].Measurement != record.Samples || counts[1].Measurement != record.Events || counts[0].Resend != 0 {
		t.Errorf("%+v, %v", counts, err)
	}
	if n, err := Resend(path); n != resendAtOnce+101 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
	if counts, err = j.RefusedCounts(); err != nil || counts[0].Resend != counts[0].Lines {
		t.Errorf("%+v, %v", counts, err)
	}
	if err := j.SetAside(lines[:1]); err != nil { // refused after the question: it stays
		t.Fatal(err)
	}
	for range 4 {
		j.tidyNow(t)
	}
	batches := unsent(t, j)
	if len(batches) != 3 || batches[1].Lines != resendAtOnce || batches[1].First != 10 || batches[2].Lines != 101 {
		t.Errorf("%+v", batches)
	}
	if b, err := j.Backlog(); err != nil || b.Lines != resendAtOnce+102 {
		t.Errorf("backlog %+v, %v", b, err)
	}
	rest, err := j.Refused()
	if err != nil || len(rest) != 2 || rest[0].Line != "" || rest[1].Line != lines[0].Line {
		t.Errorf("%+v, %v", rest, err)
	}
}

// A kill while a new file takes over costs nothing: what is not complete is made again, what is complete is used.
func TestKillWhileTakingOver(t *testing.T) {
	t.Parallel()
	const n, each, sent = 60, 40, 10
	path := filled(t, n, each, sent)
	damageMiddle(t, path, 0.6, 4)
	if err := os.WriteFile(path+newFile, []byte("half of it"), 0o644); err != nil {
		t.Fatal(err)
	}
	j := testOpen(t, path, Options{Recover: true})
	appendDurably(t, j, good(1e9, 1))
	eventually(t, "damage is noticed", func() bool {
		j.Unsent(nil, j.SentID(), 1e9, 1e9)
		gaps, err := j.Gaps()
		return err == nil && len(gaps) == 1
	})
	whole, damage := stamps(t, j.Reader)
	if damage != nil || len(whole) < (n-sent)*each/2 || !whole[1e9] {
		t.Errorf("%d samples, %v", len(whole), damage)
	}
	j.Close()
	for _, name := range []string{"", "-wal", "-shm", ".reserve"} {
		if _, err := os.Stat(path + newFile + name); err == nil {
			t.Errorf("%s is left", newFile+name)
		}
	}
	if err := os.Rename(path, path+newFile); err != nil { // between two steps
		t.Fatal(err)
	}
	j = testOpen(t, path, Options{})
	if got, damage := stamps(t, j.Reader); len(got) != len(whole) || damage != nil {
		t.Errorf("%d samples of %d, %v", len(got), len(whole), damage)
	}
}

// What a new file lacks that a kill has left half done, and the gaps of a file that cannot be read, are missed: how much was
// there is known beside the journal.
func TestWhatAKillLeavesOutIsMissed(t *testing.T) {
	t.Parallel()
	const n, each, before = 60, 40, 1234 // lines of an earlier gap
	for name, c := range map[string]struct {
		harm func(t *testing.T, path string)
		lost int // lines
		says []string
	}{
		"half of a new file": {func(t *testing.T, path string) {
			change(t, path, "DELETE FROM batches WHERE id > 20")
			change(t, path, "DELETE FROM gaps")
			if err := os.Rename(path, path+newFile); err != nil {
				t.Fatal(err)
			}
		}, (n-20)*each + before, []string{wasGone, gapsOfGone}},
		"a new file with nothing in it": {func(t *testing.T, path string) {
			os.Remove(path)
			if err := os.WriteFile(path+newFile, []byte("SQLite format 3\x00 and no more"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, n*each + before, []string{"2400 lines that were not yet sent could not be read", gapsUnread}},
		"the page of the gaps": {func(t *testing.T, path string) {
			db, err := open(path, 1)
			if err != nil {
				t.Fatal(err)
			}
			var page int64
			if err := db.QueryRow("SELECT rootpage FROM sqlite_master WHERE name = 'gaps'").Scan(&page); err != nil {
				t.Fatal(err)
			}
			db.Close()
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 4096), (page-1)*4096); err != nil {
				t.Fatal(err)
			}
		}, before, []string{gapsUnread}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filled(t, n, each, 0)
			change(t, path, fmt.Sprintf("INSERT INTO gaps (from_ns, to_ns, lines, reason, at_ns) VALUES (1, 2, %d, 'x', 3)", before))
			j := testOpen(t, path, Options{Recover: true}) // what it holds and misses is now in its counts
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			c.harm(t, path)
			j = testOpen(t, path, Options{Recover: true})
			appendDurably(t, j, good(1e9, 1))
			lines, texts := gapsSaid(t, j.Reader)
			if lines != c.lost {
				t.Errorf("%d lines are missed, not %d: %q", lines, c.lost, texts)
			}
			for _, text := range c.says {
				if !strings.Contains(strings.Join(texts, "; "), text) {
					t.Errorf("%q is not said: %q", text, texts)
				}
			}
		})
	}
}

// change changes a journal that nobody has open.
func change(t testing.TB, path, statement string) {
	t.Helper()
	db, err := open(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A new file takes over the batches that are asked for, and not those behind them in the same block: the one at
// hand, which went into a file that was deleted, is stored by who has it.
func TestTakingOverStopsWhereItIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{Commit: 1})
	commitEach(t, j, 0, 5)
	from, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	st, err := openStore(filepath.Join(t.TempDir(), "new.db"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer st.db.Close()
	if err := st.appendAll(from, 1, 3, &DamageError{}, 0); err != nil || st.unsent.batches != 2 {
		t.Errorf("%d batches were taken over, %v; want the 2nd and the 3rd", st.unsent.batches, err)
	}
}

// What the journal itself has to say while it closes is in the record, not in a gap.
func TestOwnRowsWhileClosing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{})
	appendDurably(t, j, good(1, 1))
	closed, told := make(chan error, 1), make(chan struct{})
	j.turn <- func() {
		defer close(told)
		go func() { closed <- j.Close() }()
		<-j.stop
		j.gapEvent(gap{2, 3, 4}, "of the test")
	}
	<-told
	if err := <-closed; err != nil {
		t.Error(err)
	}
	j = testOpen(t, path, Options{})
	gaps, err := j.Gaps()
	if lines, texts := gapsSaid(t, j.Reader); lines != 4 || len(gaps) != 0 || err != nil {
		t.Errorf("%d lines said missing (%q), gaps %+v, %v", lines, texts, gaps, err)
	}
}

// The write-ahead log looks like a temporary file, and with it goes what is not yet in the journal's own. What is
// acknowledged after somebody has deleted it is on disk, and so is all that was there before.
func TestLogDeletedWhileRecording(t *testing.T) {
	for name, beside := range map[string][]string{"the log": {"-wal"}, "with its index": {"-wal", "-shm"}} {
		for _, archive := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, archive %v", name, archive), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "j.db")
				var log parts.Buffer
				j := testOpen(t, path, Options{Commit: time.Millisecond, Archive: archive, Log: slog.New(slog.NewTextHandler(&log, nil))})
				const before, sent, after = 20, 5, 15
				for i := range before {
					appendDurably(t, j, good(int64(i), 1))
				}
				if !archive {
					if err := j.Sent(int64(sent)); err != nil {
						t.Fatal(err)
					}
				}
				for _, name := range beside {
					if err := os.Remove(path + name); err != nil {
						t.Fatal(err)
					}
				}
				for i := range after {
					appendDurably(t, j, good(int64(before+i), 1))
				}
				killed := t.TempDir() // the files as a kill leaves them
				for _, name := range []string{"j.db", "j.db-wal"} {
					b, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(killed, name), b, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				k := testOpen(t, filepath.Join(killed, "j.db"), Options{Archive: archive})
				for what, r := range map[string]*Reader{"running": j.Reader, "killed": k.Reader} {
					if got, damage := stamps(t, r); len(got) != before+after || damage != nil {
						t.Errorf("%s: %d instants are there, want %d; %v", what, len(got), before+after, damage)
					}
				}
				if gaps, err := j.Gaps(); err != nil || len(gaps) != 0 {
					t.Errorf("gaps %+v, %v", gaps, err)
				}
				if !archive && j.SentID() != sent {
					t.Errorf("sent up to %d, want %d", j.SentID(), sent)
				}
				if n := strings.Count(log.String(), "(-wal) was deleted while in use"); n != 1 {
					t.Errorf("told %d times:\n%s", n, log.String())
				}
			})
		}
	}
}

// Somebody empties the write-ahead log in place (`: > j.db-wal`): what was in it is gone, and counted; what is in the file is
// not overwritten with it, and what comes afterwards is kept.
func TestLogEmptiedWhileRecording(t *testing.T) {
	const inLog, after = 10, 15
	for _, c := range []struct {
		archive      bool
		inFile, sent int
	}{{false, 20, 5}, {true, 20, 0}, {false, 0, 0}, {true, 0, 0}} {
		archive, inFile, sent := c.archive, c.inFile, c.sent
		t.Run(fmt.Sprintf("archive %v, %d in the file", archive, inFile), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j.db")
			var log parts.Buffer
			o := Options{Commit: time.Millisecond, Archive: archive, Log: slog.New(slog.NewTextHandler(&log, nil))}
			j := testOpen(t, path, o)
			for i := range inFile {
				appendDurably(t, j, good(int64(i), 1))
			}
			if !archive {
				if err := j.Sent(int64(sent)); err != nil {
					t.Fatal(err)
				}
			}
			if err := j.Close(); err != nil { // puts the log into the file
				t.Fatal(err)
			}
			j = testOpen(t, path, o)
			for i := range inLog {
				appendDurably(t, j, good(int64(inFile+i), 1))
			}
			if err := os.Truncate(path+"-wal", 0); err != nil {
				t.Fatal(err)
			}
			for i := range after {
				appendDurably(t, j, good(int64(inFile+inLog+i), 1))
			}
			want, missing := inFile-sent+after, sent+inLog // sent lines are in the file aside alone
			if archive {
				want, missing = after, inLog
			}
			if got, damage := stamps(t, j.Reader); len(got) != want || damage != nil {
				t.Errorf("%d instants are there, want %d; %v", len(got), want, damage)
			}
			gaps, err := j.Gaps()
			if err != nil || len(gaps) != 1 || gaps[0].Lines != missing || !strings.Contains(gaps[0].Reason, "was emptied while in use") {
				t.Errorf("gaps %+v, %v; want one of %d lines", gaps, err, missing)
			}
			if lost := j.Stats().Lost; lost != inLog {
				t.Errorf("%d lines count as lost, want %d", lost, inLog)
			}
			if n := strings.Count(log.String(), "the journal is given up and a new one begun"); n != 1 {
				t.Errorf("%d files are given up:\n%s", n, log.String())
			}
			aside, err := filepath.Glob(path + ".*Z")
			if err != nil || len(aside) != 1 {
				t.Fatalf("aside: %v, %v", aside, err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			old, err := OpenReader(aside[0])
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			if got, damage := stamps(t, old); len(got) != inFile || damage != nil {
				t.Errorf("%d instants are in the file aside, want %d; %v", len(got), inFile, damage)
			}
		})
	}
}
