package journal

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"stirwatch/agent/record"
	"stirwatch/sensors"
)

// commitEach records samples one a commit, from the number given on.
func commitEach(t *testing.T, j *Journal, from, n int) {
	t.Helper()
	done := make(chan struct{})
	for i := range n {
		j.AppendSamples([]sensors.Sample{good(int64(from+i)*1e9, float64((from+i)%300)/8)}, ackFunc(func() { done <- struct{}{} }))
		<-done
	}
}

// stampsOf reads every sample.
func stampsOf(t *testing.T, r *Reader, q Query) (all []int64) {
	t.Helper()
	if err := Rows(t.Context(), r, q, func(s *record.Sample) error { all = append(all, s.Time/1e9); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func numbers(from, to int64) (all []int64) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// Batches of a sample each become one a block; what is read stays the same, also of a span.
func TestBatchesOfABlockBecomeOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{Archive: true, Commit: 1})
	const n = 5*blockSpan + 7
	commitEach(t, j, 0, n)
	eventually(t, "blocks become one", func() bool {
		c, err := j.count(0, n)
		return err == nil && c.batches <= 5+blockSpan
	})
	if got := stampsOf(t, j.Reader, Query{}); !slices.Equal(got, numbers(0, n)) {
		t.Errorf("read back %d of %d: %v", len(got), n, got)
	}
	if got := stampsOf(t, j.Reader, Query{From: 70e9, To: 131e9}); !slices.Equal(got, numbers(70, 131)) {
		t.Errorf("of a span: %v", got)
	}
	c, err := j.count(0, 5*blockSpan)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d batches, %.1f bytes a sample", c.batches, float64(c.bytes)/float64(c.lines))
	if c.bytes/int64(c.lines) > 20 {
		t.Errorf("%d bytes for %d lines", c.bytes, c.lines)
	}
}

// What is not acknowledged by the server stays as it is: an answer about a batch must mean that batch.
func TestUnsentBatchesStay(t *testing.T) {
	j := testOpen(t, filepath.Join(t.TempDir(), "j.db"), Options{Commit: 1})
	const n = 3 * blockSpan
	commitEach(t, j, 0, n)
	if err := j.Sent(2*blockSpan + 10); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what is sent becomes one", func() bool {
		c, err := j.count(0, 2*blockSpan)
		return err == nil && c.batches == 2
	})
	if c, err := j.count(2*blockSpan, n); err != nil || c.batches != blockSpan {
		t.Errorf("%d batches of the block that is half sent, %v", c.batches, err)
	}
	got, err := j.Unsent(nil, j.SentID(), 1000, 1<<20)
	if err != nil || len(got) != blockSpan-10 || got[0].ID != 2*blockSpan+11 {
		t.Errorf("%d unsent, %v", len(got), err)
	}
	if b, err := j.Backlog(); err != nil || b.Batches != blockSpan-10 {
		t.Errorf("backlog %+v, %v", b, err)
	}
}

// Whoever reads while batches become one reads every line once.
func TestReadingWhileBatchesBecomeOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{Commit: 1}) // nothing is sent, so that the journal itself leaves the batches alone
	const n = 6 * blockSpan
	commitEach(t, j, 0, n)
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []int64
	merged := false
	err = Rows(t.Context(), r, Query{}, func(row *record.Sample) error {
		got = append(got, row.Time/1e9)
		if len(got) != 3*blockSpan+20 || merged {
			return nil
		}
		merged = true
		for k := range int64(6) {
			if saved, err := j.st.mergeBlock(k*blockSpan, (k+1)*blockSpan, newMerger()); err != nil || saved <= 0 {
				return fmt.Errorf("merging block %d saved %d bytes, %v", k, saved, err)
			}
		}
		return nil
	})
	if err != nil || !slices.Equal(got, numbers(0, n)) {
		t.Errorf("%d of %d, %v", len(got), n, err)
	}
}

// A block with a damaged batch stays as it is, and its other batches can be read.
func TestDamagedBlockStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{Archive: true, Commit: 1})
	commitEach(t, j, 0, blockSpan-1)
	if _, err := j.st.db.Exec("UPDATE batches SET crc = crc + 1 WHERE id = 7"); err != nil {
		t.Fatal(err)
	}
	commitEach(t, j, blockSpan-1, 2)
	if saved, err := j.st.mergeBlock(0, blockSpan, newMerger()); err == nil || saved != 0 {
		t.Errorf("a damaged batch became part of another: %d bytes saved", saved)
	}
	var b bytes.Buffer
	err := j.Lines(t.Context(), Query{}, func(line []byte) error { b.Write(line); b.WriteByte('\n'); return nil })
	if n := bytes.Count(b.Bytes(), []byte("\n")); err == nil || n != blockSpan {
		t.Errorf("%d lines, %v", n, err)
	}
}
