package journal

import (
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"stirwatch/agent/record"
)

// chaptersOf puts n batches of three lines each into a journal, without waiting for the disk for each: samples of two channels, one of
// them bad now and then, and an event. It gives the stamp of the first.
func chaptersOf(t testing.TB, j *Journal, n int) (begin int64) {
	t.Helper()
	begin = 1_751_971_390_123_456_789
	done := make(chan error, 1)
	j.turn <- func() {
		tx, err := j.st.db.Begin()
		var d deflater
		random := rand.New(rand.NewPCG(1, uint64(n)))
		for i := 0; i < n && err == nil; i++ {
			at := begin + int64(i)*7e8
			late := at - random.Int64N(30)*1e9*(random.Int64N(20)/19) // one in twenty comes late
			quality := ""
			if i/300%3 == 1 {
				quality = ",quality=failure,reason=saturated"
			}
			p := pending{buf: fmt.Appendf(nil, "samples,channel=a%s,machine=m,unit=°C value=%v %d\nsamples,channel=b,machine=m,unit=N value=%d %d\nevents,kind=x,machine=m,source=s text=\"x\" %d\n",
				quality, random.NormFloat64(), at, random.IntN(100)-50, late, at)}
			p.note(at)
			p.note(late)
			p.note(at)
			b := p.batch(&d)
			err = j.st.db.within(tx, insertBatch, j.st.next, b.First, b.Last, b.Lines, b.Raw, int64(b.CRC), at, b.Deflate)
			j.st.next++
		}
		if err == nil {
			err = tx.Commit()
		}
		done <- err
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return begin
}

// seen is what a span has of each channel and each width of time.
func seen(t *testing.T, r *Reader, q Query, width time.Duration, summed bool) (sums map[string]Summary, samples int) {
	t.Helper()
	sums = map[string]Summary{}
	take := func(p *Summary) {
		key := fmt.Sprint(p.Channel, p.Unit, start(p.Start, int64(width)))
		x, ok := sums[key]
		if !ok {
			x = Summary{p.Channel, p.Unit, start(p.Start, int64(width)), p.Last, math.NaN(), math.NaN()}
		}
		x.Last = max(x.Last, p.Last)
		if !math.IsNaN(p.Min) {
			x.bounds(p.Min, p.Max)
		}
		sums[key] = x
	}
	sample := func(x *record.Sample) error {
		samples++
		v := x.Value
		if x.Quality != "" {
			v = math.NaN()
		}
		take(&Summary{x.Channel, x.Unit, x.Time, x.Time, v, v})
		return nil
	}
	var err error
	if summed {
		err = r.Summaries(t.Context(), q, width, take, sample)
	} else {
		err = Rows(t.Context(), r, q, sample)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sums, samples
}

// What a span has is the same by its summaries as by its samples: with late samples, with ends anywhere, after batches have
// become one, after the oldest have gone, and where summaries are damaged or missing.
func TestSummariesAreWhatSamplesAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{Archive: true})
	const batches = 3*chapterSpan + 100
	begin := chaptersOf(t, j, batches)
	end := begin + batches*7e8
	compare := func(what string) (read int) {
		t.Helper()
		for _, q := range []Query{{}, {From: begin + 1, To: end - 1}, {From: begin + 500e9, To: begin + 1500e9}, {From: begin + 500e9 + 12345, To: begin + 505e9}, {From: start(begin, 60e9) + 600e9, To: start(begin, 60e9) + 1200e9}, {From: end + 60e9}} {
			for _, width := range []time.Duration{Fine, Coarse} {
				want, _ := seen(t, j.Reader, q, width, false)
				got, n := seen(t, j.Reader, q, width, true)
				read += n
				if fmt.Sprint(want) != fmt.Sprint(got) { // NaN is not equal to itself, and printed alike
					t.Errorf("%s: %+v by %v is not the same", what, q, width)
				}
			}
		}
		return read
	}
	whole := compare("before they are there")
	if err := j.Summarise(t.Context()); err != nil {
		t.Fatal(err)
	}
	summed := compare("summed up")
	if summed*2 > whole {
		t.Errorf("%d samples are read where there are summaries, and %d without", summed, whole)
	}
	change(t, path, "UPDATE summaries SET fine = substr(fine, 1, length(fine)-9) || x'00' || substr(fine, -8) WHERE chapter = 2048")
	change(t, path, "DELETE FROM summaries WHERE chapter = 1024")
	if n := compare("one is damaged and one not there"); n <= summed {
		t.Error("they are still read")
	}
	if err := j.Summarise(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "batches become one", func() bool {
		var n int
		if err := j.Reader.conn().QueryRow("SELECT count(*) FROM batches").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n < batches/2
	})
	compare("batches have become one")
	done := make(chan error, 1)
	j.turn <- func() {
		var n int64
		err := j.st.db.QueryRow("SELECT max(id) FROM batches WHERE id <= 1100").Scan(&n)
		if err == nil {
			err = j.st.remove(n, gap{begin, end, 1}, "it is a test", 1)
		}
		done <- err
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if left := chaptersIn(t, j); !slices.Equal(left, []int64{3072}) {
		t.Errorf("summaries are left of %d", left)
	}
	compare("the oldest have gone")
}

func chaptersIn(t *testing.T, j *Journal) (all []int64) {
	rows, err := j.Reader.conn().Query("SELECT chapter FROM summaries ORDER BY chapter")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	return all
}

// A chapter with a damaged batch gets no summary, which would hide the damage.
func TestDamageIsNotSummedUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{}) // nothing is sent, and nothing becomes one
	begin := chaptersOf(t, j, 2*chapterSpan)
	change(t, path, "UPDATE batches SET crc = crc + 1 WHERE id = 17")
	if err := j.Summarise(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := chaptersIn(t, j); !slices.Equal(all, []int64{2 * chapterSpan}) {
		t.Errorf("%d are summed up", all)
	}
	n := 0
	err := j.Reader.Summaries(t.Context(), Query{From: begin - 60e9}, Fine, func(*Summary) {}, func(*record.Sample) error { n++; return nil })
	if damage, ok := err.(*DamageError); !ok || damage.Batches != 1 || n != 2*(chapterSpan-1) {
		t.Errorf("%v, and %d samples", err, n)
	}
}

// An earlier version's journal has no summaries, and is read without.
func TestNoTableOfSummaries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{})
	begin := chaptersOf(t, j, 100)
	change(t, path, "DROP TABLE summaries")
	if _, n := seen(t, j.Reader, Query{From: begin - 60e9}, Fine, true); n != 200 {
		t.Errorf("%d samples", n)
	}
}

// Whatever stands in the file, a summary is read as it was written or not at all.
func FuzzSummary(f *testing.F) {
	s := newSumming(Fine)
	for i := range 50 {
		s.add(&record.Sample{Time: int64(i) * 3e9, Channel: "a", Unit: "°C", Value: float64(i % 7)})
		s.add(&record.Sample{Time: -int64(i) * 3e9, Channel: "b", Quality: "failure"})
	}
	whole := s.append(nil, 1024)
	f.Add(whole[:len(whole)-4])
	f.Add([]byte{1, 1, 'a', 0, 1, 2, 3, boundsTwo})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = slices.Clip(b)
		sum := crc32.ChecksumIEEE(b)
		for _, text := range [][]byte{b, appendSum(b, 1024)} { // with a right checksum, and as it comes
			n := 0
			_ = decodeSummary(text, 1024, Fine, math.MinInt64, math.MaxInt64, map[string]string{}, func(x *Summary) {
				if n++; n > len(text) {
					t.Fatalf("%d bytes tell of more parts than they have", len(text))
				}
			})
		}
		if crc32.ChecksumIEEE(b) != sum {
			t.Fatal("it is changed")
		}
	})
}

// The making of summaries, for each batch of a commit of three lines. Budget: 20 µs, beside 400 µs of the commit.
func BenchmarkSummarise(b *testing.B) {
	j := testOpen(b, filepath.Join(b.TempDir(), "j.db"), Options{})
	chaptersOf(b, j, chapterSpan)
	for b.Loop() {
		if err := j.sumUp(b.Context(), j.Reader.fixed(), chapterSpan); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chapterSpan, "ns/batch")
}
