package journal

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stirwatch/agent/record"
	"stirwatch/cmd/parts"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("JOURNAL_TEST_CHILD"); path != "" {
		from, _ := strconv.ParseInt(os.Getenv("JOURNAL_TEST_FROM"), 10, 64)
		childThatIsKilled(path, from)
		return
	}
	goleak.VerifyTestMain(m)
}

func testRegistry(t testing.TB) *sensors.Registry {
	t.Helper()
	celsius, err := unit.Parse("°C")
	if err != nil {
		t.Fatal(err)
	}
	reg, err := sensors.NewRegistry([]sensors.Channel{
		{Name: "tool", Role: sensors.ToolTemperature, Unit: celsius},
		{Name: `odd, name=1\`, Unit: celsius},
	})
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

func testOpen(t testing.TB, path string, opts Options) *Journal {
	t.Helper()
	opts.Machine, opts.Registry = "cell 1", testRegistry(t)
	j, err := Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func good(stamp int64, v float64) sensors.Sample {
	return sensors.Sample{Time: stamp, Arrival: stamp, Value: v, Status: sensors.OK}
}

// ackFunc is an Acker; the tests count or wait with it.
type ackFunc func()

func (f ackFunc) Ack() { f() }

// appendDurably appends and waits until the samples are on disk.
func appendDurably(t testing.TB, j *Journal, samples ...sensors.Sample) {
	t.Helper()
	done := make(chan struct{})
	j.AppendSamples(samples, ackFunc(func() { close(done) }))
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("no acknowledgement after 20 s: %+v", j.Stats())
	}
}

func allLines(t testing.TB, r *Reader) (lines []string) {
	t.Helper()
	if err := r.Lines(context.Background(), Query{From: math.MinInt64}, func(b []byte) error {
		lines = append(lines, string(b))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 20 s still not: %s", what)
		}
	}
}

func TestLinesAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a journal?#%.db") // names that a URL would take apart
	j := testOpen(t, path, Options{})
	j.AppendSamples([]sensors.Sample{
		good(1751971390123456789, 421.35),
		{Time: 2, Value: -2, Channel: 1, Status: sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}},
		{Time: 3, Value: math.NaN(), Sent: "ov\"f", Status: sensors.OK},
		{Time: 3, Value: 1, Channel: 99, Status: sensors.OK},
	}, nil)
	Write(j, record.Estimate{Time: 8, State: "tool temperature", Value: 1.5, SD: math.NaN()})
	Write(j, record.Estimate{Time: 9, State: "x", Value: math.NaN(), SD: math.NaN()})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if s := j.Stats(); s.Lines != 4 || s.Skipped != 2 || s.Stored != 4 || s.Lost != 0 {
		t.Errorf("counted %+v", s)
	}
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	want := `samples,channel=tool,machine=cell\ 1,unit=°C value=421.35 1751971390123456789
samples,channel=odd\,\ name\=1/,machine=cell\ 1,quality=failure,reason=sentinel,unit=°C value=-2 2
samples,channel=tool,machine=cell\ 1,quality=failure,reason=not_a_number,unit=°C sent="ov\"f" 3
estimates,machine=cell\ 1,state=tool\ temperature value=1.5 8`
	if got := strings.Join(allLines(t, r), "\n"); got != want {
		t.Errorf("lines\n%s\nwant\n%s", got, want)
	}
	var samples []record.Sample
	if err := Rows(t.Context(), r, Query{From: 2, To: 9}, func(x *record.Sample) error { samples = append(samples, *x); return nil }); err != nil ||
		len(samples) != 2 || samples[0] != (record.Sample{Time: 2, Channel: "odd, name=1/", Unit: "°C", Quality: "failure", Reason: "sentinel", Value: -2}) ||
		samples[1].Sent != "ov\"f" || samples[1].Reason != "not_a_number" || !math.IsNaN(samples[1].Value) {
		t.Errorf("%+v, %v", samples, err)
	}
	n := 0
	if err := Rows(t.Context(), r, Query{From: math.MinInt64}, func(*record.Estimate) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d estimates, %v", n, err)
	}
}

func TestAcknowledgedInOrderAndOnceAfterCommit(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Commit: 5 * time.Millisecond})
	const n = 5000
	var mu sync.Mutex
	var order []int
	for i := range n {
		j.AppendSamples([]sensors.Sample{good(int64(i), float64(i))}, ackFunc(func() {
			if s := j.Stats(); s.Stored < uint64(i+1) {
				t.Errorf("sample %d acknowledged with %d stored", i, s.Stored)
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
		}))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if len(order) != n {
		t.Fatalf("%d acknowledgements for %d", len(order), n)
	}
	for i, got := range order {
		if got != i {
			t.Fatalf("acknowledgement %d is that of %d", i, got)
		}
	}
}

func TestAckWithoutLines(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{})
	appendDurably(t, j)
	appendDurably(t, j, good(1, math.NaN()))
}

func TestJoinReadsAsOneGzip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var d deflater
	for _, count := range []int{0, 1, 2, 7, 100} {
		var batches []Batch
		var want bytes.Buffer
		for range count {
			raw := make([]byte, rng.IntN(70_000))
			for i := range raw {
				raw[i] = "samples,channel=a value=0123456789\n"[rng.IntN(35)]
			}
			want.Write(raw)
			batches = append(batches, Batch{Raw: len(raw), CRC: crc32.ChecksumIEEE(raw), Deflate: bytes.Clone(d.run(raw))})
			var z Inflater
			if back, err := z.Lines(&batches[len(batches)-1]); err != nil || !bytes.Equal(back, raw) {
				t.Fatalf("a batch of %d bytes does not read back: %v", len(raw), err)
			}
		}
		zr, err := gzip.NewReader(bytes.NewReader(AppendGzip(nil, batches...)))
		if err != nil {
			t.Fatal(err)
		}
		zr.Multistream(false)
		got, err := io.ReadAll(zr)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%d batches joined: %d bytes of %d, %v", count, len(got), want.Len(), err)
		}
	}
}

func TestCombineCRC(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		b := make([]byte, rng.IntN(5000))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		cut := rng.IntN(len(b) + 1)
		got := combineCRC(crc32.ChecksumIEEE(b[:cut]), crc32.ChecksumIEEE(b[cut:]), len(b)-cut)
		if want := crc32.ChecksumIEEE(b); got != want {
			t.Fatalf("%d+%d bytes: %08x, want %08x", cut, len(b)-cut, got, want)
		}
	}
}

func TestDamagedBatchIsNamedAndTheRestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	for name, harm := range map[string]string{
		"bits":      "UPDATE batches SET deflate = x'ff' || substr(deflate, 2) WHERE id=2",
		"cut":       "UPDATE batches SET deflate = substr(deflate, 1, 9) WHERE id=2",
		"empty":     "UPDATE batches SET deflate = x'' WHERE id=2",
		"crc":       "UPDATE batches SET crc = crc + 1 WHERE id=2",
		"short":     "UPDATE batches SET raw_len = raw_len - 1 WHERE id=2",
		"long":      "UPDATE batches SET raw_len = raw_len + 1 WHERE id=2",
		"negative":  "UPDATE batches SET raw_len = -5 WHERE id=2",
		"boundless": "UPDATE batches SET raw_len = 1 << 50 WHERE id=2",
	} {
		t.Run(name, func(t *testing.T) {
			os.Remove(path)
			j := testOpen(t, path, Options{})
			for i := range 3 {
				appendDurably(t, j, good(int64(i), 1.25))
			}
			if _, err := j.st.db.Exec(harm); err != nil {
				t.Fatal(err)
			}
			n := 0
			err := Rows(t.Context(), j.Reader, Query{}, func(*record.Sample) error { n++; return nil })
			var damage *DamageError
			if !errors.As(err, &damage) || damage.Batches != 1 || n != 2 || !strings.Contains(err.Error(), "batch 2 is damaged") {
				t.Errorf("%d records, %v", n, err)
			}
			j.Close()
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	make := func(t *testing.T, path string) {
		j := testOpen(t, path, Options{})
		appendDurably(t, j, noise(rand.New(rand.NewPCG(1, 1)), 20000, 0)...)
		j.Close()
	}
	for name, c := range map[string]struct {
		harm func(t *testing.T, path string)
		want string
	}{
		"text": {func(t *testing.T, p string) { os.WriteFile(p, []byte("Time,Tool\n1,2\n"), 0o644) }, "not a journal, it begins with"},
		"foreign": {func(t *testing.T, p string) {
			db, _ := open(p, 1)
			db.Exec("CREATE TABLE x (y)")
			db.Close()
		}, "another program"},
		"newer": {func(t *testing.T, p string) {
			make(t, p)
			db, _ := open(p, 1)
			db.Exec("PRAGMA user_version=9")
			db.Close()
		}, "format 9 by another version of stirwatch, this one knows format 1: use that version"},
		"header only": {func(t *testing.T, p string) {
			make(t, p)
			os.Truncate(p, 100)
		}, "damaged"},
		"root page": {func(t *testing.T, p string) {
			make(t, p)
			f, _ := os.OpenFile(p, os.O_RDWR, 0)
			f.WriteAt(bytes.Repeat([]byte{0xa5}, 3000), 100)
			f.Close()
		}, "damaged"},
		"folder": {func(t *testing.T, p string) { os.Mkdir(p, 0o755) }, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j.db")
			c.harm(t, path)
			j, err := Open(path, Options{})
			if err == nil {
				j.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
			if name == "folder" {
				return
			}
			if name == "newer" { // nobody may take what is in it for what it was
				if r, err := OpenReader(path); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("a reader of it: %v, %v", r, err)
				}
			}
			aside := asideName(path)
			if err := moveTo(path, aside); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(aside); err != nil {
				t.Error(err)
			}
			make(t, path)
		})
	}
}

func TestOneWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{})
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second writer got %v", err)
	}
	j.Close()
	testOpen(t, path, Options{})
}

// childThatIsKilled appends forever, from a stamp on, and prints what was acknowledged. Its wall clock is
// set again and again.
func childThatIsKilled(path string, from int64) {
	celsius, _ := unit.Parse("°C")
	reg, _ := sensors.NewRegistry([]sensors.Channel{{Name: "tool", Unit: celsius}})
	clock := func() int64 { return time.Now().UnixNano() + (rand.Int64N(3)-1)*int64(400*24*time.Hour) }
	j, err := Open(path, Options{Machine: "m", Registry: reg, Commit: 10 * time.Millisecond, Keep: 30 * 24 * time.Hour, Recover: true, Clock: clock})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	out := bufio.NewWriter(os.Stdout)
	for i := from; ; i++ {
		j.AppendSamples([]sensors.Sample{good(i, float64(i))}, ackFunc(func() {
			fmt.Fprintln(out, i)
			out.Flush()
		}))
		if i%50 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// TestKilledProcessKeepsWhatItAcknowledged kills a process that records at any moment, deletes its file
// under it and sets its clock; nothing that it has acknowledged is missing. JOURNAL_KILLS=200 does it so
// many times.
func TestKilledProcessKeepsWhatItAcknowledged(t *testing.T) {
	kills, _ := strconv.Atoi(cmp.Or(os.Getenv("JOURNAL_KILLS"), "4"))
	rng := rand.New(rand.NewPCG(27, uint64(kills)))
	path := filepath.Join(t.TempDir(), "j.db")
	const apart = 1_000_000 // stamps of one process from those of the next
	var acked []int64       // the last of each process
	for round := range kills {
		from := int64(round*apart + 1)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "JOURNAL_TEST_CHILD="+path, fmt.Sprintf("JOURNAL_TEST_FROM=%d", from))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deleteAt := from + rng.Int64N(600)
		killAt := deleteAt + 200 + rng.Int64N(600)
		last := from - 1
		in := bufio.NewScanner(out)
		for in.Scan() {
			if last, err = strconv.ParseInt(in.Text(), 10, 64); err != nil {
				t.Fatalf("child says %q", in.Text())
			}
			if last == deleteAt && round%2 == 1 {
				os.Remove(path)
			}
			if last == killAt {
				eventually(t, "a file to record into", func() bool { _, err := os.Stat(path); return err == nil })
				cmd.Process.Signal(syscall.SIGKILL) // and read on: it may have acknowledged more
			}
		}
		cmd.Wait()
		if last < killAt {
			t.Fatalf("round %d ended at %d", round, last-from)
		}
		acked = append(acked, last)
		if kills > 10 && round%10 != 9 && round != kills-1 {
			continue
		}
		r, err := OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[int64]bool)
		if err := Rows(t.Context(), r, Query{}, func(x *record.Sample) error {
			if seen[x.Time] {
				t.Errorf("sample %d is there twice", x.Time)
			}
			seen[x.Time] = x.Value == float64(x.Time)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		r.Close()
		for k, last := range acked {
			for i := int64(k*apart + 1); i <= last; i++ {
				if !seen[i] {
					t.Fatalf("after round %d: sample %d of %d that process %d acknowledged is missing or wrong", round, i-int64(k*apart), last-int64(k*apart), k)
				}
			}
		}
	}
}

func TestSentMarkSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{})
	for i := range 5 {
		appendDurably(t, j, good(int64(i), 1))
	}
	batches, err := j.Unsent(nil, j.SentID(), 3, 1<<20)
	if err != nil || len(batches) != 3 {
		t.Fatalf("%d batches, %v", len(batches), err)
	}
	if err := j.Sent(batches[2].ID); err != nil {
		t.Fatal(err)
	}
	j.Close()
	j = testOpen(t, path, Options{})
	b, err := j.Backlog()
	if err != nil || b.Batches != 2 || b.Lines != 2 || b.Oldest.IsZero() {
		t.Errorf("backlog after reopening: %+v, %v", b, err)
	}
	if batches, err = j.Unsent(batches[:0], j.SentID(), 1000, 1<<20); err != nil || len(batches) != 2 || batches[0].ID != 4 {
		t.Errorf("unsent after reopening: %+v, %v", batches, err)
	}
	// Even when every batch has gone by age, ids go on: the mark must not cover new ones.
	j.Sent(5)
	j.Close()
	j = testOpen(t, path, Options{})
	if err := j.st.remove(5, gap{lines: 1}, "test", 0); err != nil {
		t.Fatal(err)
	}
	j.Close()
	j = testOpen(t, path, Options{})
	appendDurably(t, j, good(9, 1))
	if batches, err = j.Unsent(nil, j.SentID(), 1000, 1<<20); err != nil || len(batches) != 1 {
		t.Errorf("a new batch hides behind the sent mark: %+v, %v", batches, err)
	}
	full := j.Full(2)
	appendDurably(t, j, good(10, 1))
	<-full
}

// noise is lines that do not compress.
func noise(rng *rand.Rand, n int, from int64) []sensors.Sample {
	s := make([]sensors.Sample, n)
	for i := range s {
		s[i] = good(from+int64(i), rng.NormFloat64())
	}
	return s
}

// tidyNow lets the limits be applied with the committing goroutine at rest.
func (j *Journal) tidyNow(t *testing.T) { j.tidyAt(t, j.now()) }

func (j *Journal) tidyAt(t *testing.T, now time.Duration) {
	t.Helper()
	eventually(t, "idle", func() bool { return j.Stats().Pending == 0 })
	j.inTurn(func() { j.tidy(now) })
	if e := j.Stats().Err; e != "" {
		t.Error(e)
	}
}

// inTurn lets do run where the committing goroutine would: it has the store to itself.
func (j *Journal) inTurn(do func()) {
	done := make(chan struct{})
	select {
	case j.turn <- func() { do(); close(done) }:
		<-done
	case <-j.done: // closed: nobody else has the store
		do()
	}
}

func TestRetentionBySize(t *testing.T) {
	for _, archive := range []bool{false, true} {
		t.Run(fmt.Sprintf("archive %v", archive), func(t *testing.T) {
			const size = 512 << 10
			j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Size: size, Archive: archive})
			rng := rand.New(rand.NewPCG(7, 8))
			for i := range 8 {
				appendDurably(t, j, noise(rng, 10000, int64(i)*1e6)...)
			}
			if err := j.Sent(1); err != nil {
				t.Fatal(err)
			}
			all, _ := j.Unsent(nil, 0, 1e9, 1e9)
			j.tidyNow(t)
			used, free, page, _ := j.st.pages()
			if (used-free)*page > size {
				t.Errorf("%d bytes used of %d", (used-free)*page, size)
			}
			left, _ := j.Unsent(nil, 0, 1e9, 1e9)
			lines := 0
			for _, b := range all[1:] {
				if b.ID < left[0].ID {
					lines += b.Lines
				}
			}
			gaps, err := j.Gaps()
			if err != nil || lines == 0 {
				t.Fatal(lines, err)
			}
			removed, err := j.Removed()
			if err != nil || len(removed) != 1 {
				t.Fatalf("removed %+v, %v", removed, err)
			}
			if archive {
				if len(gaps) != 0 || removed[0].Lines != all[0].Lines+lines {
					t.Errorf("removed %+v of %d lines, gaps %+v", removed, all[0].Lines+lines, gaps)
				}
				return
			}
			if removed[0].Lines != 10000 || removed[0].Reason != overSize { // of the first batch, which was sent
				t.Errorf("removed %+v", removed)
			}
			sum := 0
			for _, g := range gaps {
				sum += g.Lines
			}
			if sum != lines || j.Stats().Lost != uint64(lines) {
				t.Errorf("gaps of %d lines, %d counted, %d dropped", sum, j.Stats().Lost, lines)
			}
			eventually(t, "backlog counted as what is left", func() bool { // the gap's own record may be on its way
				left, _ := j.Unsent(nil, 0, 1e9, 1e9)
				b, _ := j.Backlog()
				return b.Batches == len(left)
			})
		})
	}
}

// TestBacklogIsCountedOffOnce lets the uploader acknowledge what is dropped by size at the same moment.
func TestBacklogIsCountedOffOnce(t *testing.T) {
	const batches = 60
	rng := rand.New(rand.NewPCG(19, 20))
	fill := func(t *testing.T, opts Options) *Journal {
		j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), opts)
		for i := range batches {
			appendDurably(t, j, noise(rng, 300, int64(i)*1e6)...)
		}
		return j
	}
	check := func(t *testing.T, j *Journal) {
		eventually(t, "the backlog is counted as what is left", func() bool { // the gap's own record may be on its way
			b, err := j.Backlog()
			if err != nil {
				t.Fatal(err)
			}
			var left backlogCount
			for _, u := range unsent(t, j) {
				left.batches, left.lines, left.bytes = left.batches+1, left.lines+u.Lines, left.bytes+int64(len(u.Deflate))
			}
			return b.Batches == left.batches && b.Lines == left.lines && b.Bytes == left.bytes
		})
		lost := 0
		gaps, err := j.Gaps()
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range gaps {
			lost += g.Lines
		}
		if lost != int(j.Stats().Lost) {
			t.Errorf("gaps of %d lines, %d lost", lost, j.Stats().Lost)
		}
	}
	t.Run("acknowledged as the tidying begins", func(t *testing.T) {
		var tidying func() // the clock is asked as the tidying begins
		j := fill(t, Options{Commit: time.Millisecond, Clock: func() int64 {
			if f := tidying; f != nil {
				tidying = nil
				f()
			}
			return 1
		}})
		eventually(t, "idle", func() bool { return j.Stats().Pending == 0 })
		all := unsent(t, j)
		used, _, page, _ := j.st.pages()
		j.inTurn(func() {
			j.opts.Size = used * page / 2
			tidying = func() {
				if err := j.Sent(all[len(all)-1].ID); err != nil {
					t.Error(err)
				}
			}
			j.tidy(j.now())
		})
		check(t, j)
		if lost := j.Stats().Lost; lost != 0 {
			t.Errorf("%d lines are called lost that have arrived", lost)
		}
	})
	t.Run("side by side", func(t *testing.T) {
		for range 3 {
			j := fill(t, Options{Commit: time.Millisecond})
			eventually(t, "idle", func() bool { return j.Stats().Pending == 0 })
			all := unsent(t, j)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for _, b := range all {
					if err := j.Sent(b.ID); err != nil {
						t.Error(err)
					}
				}
			}()
			used, _, page, _ := j.st.pages()
			for step := range int64(batches) {
				j.inTurn(func() {
					j.opts.Size = used * page * (batches - step) / batches
					j.tidy(j.now())
				})
			}
			<-done
			check(t, j)
		}
	})
}

// unsent lists every batch that waits to be sent.
func unsent(t *testing.T, j *Journal) []Batch {
	t.Helper()
	all, err := j.Unsent(nil, j.SentID(), math.MaxInt, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// limitPages makes the disk full at n pages, by SQLite's own means; 0 takes the limit away.
func limitPages(t *testing.T, j *Journal, n int64) {
	t.Helper()
	if n == 0 {
		n = 1 << 30
	}
	var got int64
	if err := j.st.db.QueryRow(fmt.Sprintf("PRAGMA max_page_count=%d", n)).Scan(&got); err != nil {
		t.Fatal(err)
	}
}

func TestDiskFullDropsAcknowledgedFirst(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Hold: 100 * time.Millisecond})
	rng := rand.New(rand.NewPCG(9, 10))
	for i := range 10 {
		appendDurably(t, j, noise(rng, 3000, int64(i)*1e6)...)
	}
	if err := j.Sent(8); err != nil {
		t.Fatal(err)
	}
	used, _, _, _ := j.st.pages()
	limitPages(t, j, used)
	for i := range 5 {
		appendDurably(t, j, noise(rng, 3000, int64(i+10)*1e6)...)
	}
	if s := j.Stats(); s.Lost != 0 || !s.Recording {
		t.Errorf("with room to be made: %+v", s)
	}
	left, err := j.Unsent(nil, 8, 1e9, 1e9)
	if err != nil || left[0].ID != 9 || len(left) < 7 {
		t.Errorf("an unsent batch is gone: first %d of %d, %v", left[0].ID, len(left), err)
	}
}

func TestDiskFullStopsRecordingAndGoesOn(t *testing.T) {
	var log parts.Buffer
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{
		Hold: 50 * time.Millisecond, MaxPending: 64 << 10, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	rng := rand.New(rand.NewPCG(11, 12))
	appendDurably(t, j, noise(rng, 3000, 0)...)
	used, _, _, _ := j.st.pages()
	limitPages(t, j, used)
	// Nothing may be removed. Senders are held back for a while, then everything is counted.
	var acked atomic.Int64
	const bursts, each = 300, 1000
	for i := range bursts {
		j.AppendSamples(noise(rng, each, 1e6+int64(i)*each), ackFunc(func() { acked.Add(1) }))
	}
	eventually(t, "recording stopped, senders released", func() bool {
		return !j.Stats().Recording && acked.Load() == bursts
	})
	if s := j.Stats(); s.Err == "" || s.Lost == 0 {
		t.Errorf("stopped without saying so: %+v", s)
	}
	Write(j, record.Event{Time: 2, Source: "x", Kind: "silent"}) // records are counted too, and do not wait
	limitPages(t, j, 0)
	eventually(t, "recording again", func() bool { return j.Stats().Recording })
	appendDurably(t, j, good(5e6, 1))
	gaps, err := j.Gaps()
	if err != nil || len(gaps) == 0 {
		t.Fatal(gaps, err)
	}
	s, missing := j.Stats(), 0
	for _, g := range gaps {
		missing += g.Lines
	}
	if missing != int(s.Lost) {
		t.Errorf("gaps name %d lines, %d were lost", missing, s.Lost)
	}
	events, kept := 0, 0
	if err := errors.Join(
		Rows(t.Context(), j.Reader, Query{}, func(e *record.Event) error {
			if e.Kind == "gap" {
				events++
				if e.Count != int64(missing) {
					t.Errorf("event says %d", e.Count)
				}
			}
			return nil
		}),
		Rows(t.Context(), j.Reader, Query{}, func(*record.Sample) error { kept++; return nil }),
	); err != nil {
		t.Fatal(err)
	}
	if events != 1 || kept+missing != 3000+bursts*each+1+1 {
		t.Errorf("%d events, %d kept and %d missing of %d", events, kept, missing, 3000+bursts*each+2)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n == 0 || n > 3 {
		t.Errorf("%d errors logged:\n%s", n, log.String())
	}
}

func TestDiskFullWithEndlessHoldLosesNothing(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Hold: -1, MaxPending: 32 << 10})
	rng := rand.New(rand.NewPCG(13, 14))
	appendDurably(t, j, noise(rng, 3000, 0)...)
	used, _, _, _ := j.st.pages()
	limitPages(t, j, used)
	var acked atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			j.AppendSamples(noise(rng, 100, 1e6+int64(i)*100), ackFunc(func() { acked.Add(1) }))
		}
	}()
	eventually(t, "held back", func() bool { return j.Stats().Pending >= 32<<10 })
	if acked.Load() != 0 || !j.Stats().Recording {
		t.Errorf("%d acknowledged on a full disk: %+v", acked.Load(), j.Stats())
	}
	limitPages(t, j, 0)
	<-done
	eventually(t, "all acknowledged", func() bool { return acked.Load() == 100 })
	if n := len(allLines(t, j.Reader)); n != 13000 || j.Stats().Lost != 0 {
		t.Errorf("%d lines, %+v", n, j.Stats())
	}
}

// TestRealDiskFull fills a file system of its own.
func TestRealDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) }) // after the journal is closed
	j := testOpen(t, filepath.Join(dir, "j.db"), Options{Hold: 50 * time.Millisecond})
	rng := rand.New(rand.NewPCG(15, 16))
	var acked atomic.Int64
	next, n := int64(0), int64(0)
	put := func() {
		j.AppendSamples(noise(rng, 5000, next), ackFunc(func() { acked.Add(1) }))
		next, n = next+5000, n+1
		eventually(t, "acknowledged", func() bool { return acked.Load() == n })
	}
	for j.Stats().Recording {
		put()
		if next > 1e7 {
			t.Fatal("the disk never fills")
		}
	}
	if err := j.Sent(j.st.next - 1); err != nil { // an uploader has caught up: room can be made
		t.Fatal(err)
	}
	eventually(t, "recording again", func() bool { return j.Stats().Recording })
	lost := j.Stats().Lost
	for range 100 { // several MB, each acknowledged
		put()
		if err := j.Sent(j.st.next - 1); err != nil {
			t.Fatal(err)
		}
	}
	if s := j.Stats(); s.Lost != lost || !s.Recording {
		t.Errorf("lost %d with room to be made: %+v", s.Lost-lost, s)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseOnFullDiskSaysSoAndWithholdsAcks(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Hold: -1})
	rng := rand.New(rand.NewPCG(17, 18))
	appendDurably(t, j, noise(rng, 3000, 0)...)
	used, _, _, _ := j.st.pages()
	limitPages(t, j, used)
	var acked atomic.Int64
	j.AppendSamples(noise(rng, 1000, 1e6), ackFunc(func() { acked.Add(1) }))
	if err := j.Close(); err == nil || !strings.Contains(err.Error(), "without 1000 lines") {
		t.Errorf("closed with %v", err)
	}
	if acked.Load() != 0 {
		t.Error("acknowledged what was not kept")
	}
}

func TestRunsAuditRefused(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{})
	if _, err := j.BeginRun("", "", 1); err == nil {
		t.Error("a run without a name")
	}
	for i, name := range []string{"wall 1", "wall 2"} {
		if _, err := j.BeginRun(name, "AA6061", int64(10*i+10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.EndRun(35); err != nil {
		t.Fatal(err)
	}
	runs, err := j.Runs()
	if err != nil || len(runs) != 2 || runs[0].End != 20 || runs[1] != (Run{2, "wall 2", "AA6061", 20, 35}) {
		t.Errorf("%+v, %v", runs, err)
	}
	if _, err := j.Run("wall 3"); err == nil || !strings.Contains(err.Error(), `no run "wall 3"`) {
		t.Errorf("%v", err)
	}
	if err := j.Audit(1, "anna", "closed the loop", "trial 7"); err != nil {
		t.Fatal(err)
	}
	if trail, err := j.AuditTrail(); err != nil || len(trail) != 1 || trail[0].Who != "anna" {
		t.Errorf("%+v, %v", trail, err)
	}
	if err := j.SetAside([]Refused{{1, "x y=1 1", "type conflict", 5}}); err != nil {
		t.Fatal(err)
	}
	if rest, err := j.Refused(); err != nil || len(rest) != 1 || rest[0].Reason != "type conflict" {
		t.Errorf("%+v, %v", rest, err)
	}
}

func TestNoAllocations(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Commit: time.Hour, MaxPending: 1 << 30})
	samples := []sensors.Sample{good(1751971390123456789, 421.3579), {Time: 2, Value: 1, Status: sensors.Status{Signal: sensors.Failure}}}
	ack := sensors.Acker(ackFunc(func() {}))
	j.mu.Lock()
	j.fill.buf = make([]byte, 0, 1<<20)
	j.fill.acks = make([]sensors.Acker, 0, 4096)
	j.mu.Unlock()
	j.AppendSamples(samples, ack) // builds the key of the bad status
	if n := testing.AllocsPerRun(500, func() { j.AppendSamples(samples, ack) }); n != 0 {
		t.Errorf("AppendSamples allocates %v times", n)
	}
	if n := testing.AllocsPerRun(500, func() {
		Write(j, record.Anomaly{Time: 8, Code: "innovation", Channel: "tool", Active: true, Score: 1.5, Limit: 1, Text: "text"})
	}); n != 0 {
		t.Errorf("a record allocates %v times", n)
	}
}

func FuzzSelects(f *testing.F) {
	f.Add([]byte("samples,channel=a,machine=m value=1.5 10\n"))
	f.Add([]byte("a\\ b,c\\,=d\\= e=-1e-5 -9223372036854775808\n"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		for line := range bytes.Lines(lines) {
			selects(&Query{To: math.MaxInt64, Measurement: record.Samples}, bytes.TrimSuffix(line, []byte("\n")))
		}
	})
}

func FuzzJoin(f *testing.F) {
	f.Add([]byte("samples value=1 1\n"), []byte("samples value=2 2\n"), uint8(0))
	f.Add([]byte{}, bytes.Repeat([]byte("ab"), 400), uint8(7))
	var d deflater
	f.Fuzz(func(t *testing.T, a, b []byte, flip uint8) {
		one := Batch{Raw: len(a), CRC: crc32.ChecksumIEEE(a), Deflate: bytes.Clone(d.run(a))}
		two := Batch{Raw: len(b), CRC: crc32.ChecksumIEEE(b), Deflate: bytes.Clone(d.run(b))}
		body := AppendGzip(nil, one, two)
		zr, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(zr)
		if err != nil || !bytes.Equal(got, append(bytes.Clone(a), b...)) {
			t.Fatalf("joined: %v", err)
		}
		if binary.LittleEndian.Uint32(body[len(body)-4:]) != uint32(len(a)+len(b)) {
			t.Error("wrong size in the trailer")
		}
		// A damaged batch is an error or reads back the same, never a crash and never other lines.
		two.Deflate[int(flip)%len(two.Deflate)] ^= 1 << (flip % 8)
		var z Inflater
		if back, err := z.Lines(&two); err == nil && !bytes.Equal(back, b) {
			t.Error("damage went unnoticed")
		}
	})
}
