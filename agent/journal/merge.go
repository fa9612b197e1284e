package journal

import (
	"hash/crc32"
	"math"
	"sync"
	"time"
)

// A batch is what one commit makes durable, and at some lines a commit most of it is what each batch
// must say anew: names, the first of its stamps, a row of the database. So batches of a block become
// one when nobody waits for them any more. Sooner would make what is sent and what is acknowledged
// depend on it.
const (
	mergeEvery = time.Second
	mergeTurn  = 8 // blocks at a time, so that a commit waits little
	mergeRaw   = 1 << 20
	mergeLevel = 3  // of DEFLATE; 9 takes ten times the time for a sixth less
	rowBytes   = 64 // what the database takes for a batch besides its lines, roughly
)

// beginMerging begins with the block in which the next batch that may go will be; what is before it was dealt with.
func (j *Journal) beginMerging(st *store) {
	gone := st.sent
	if j.opts.Archive {
		gone = st.next - 1
	}
	j.merged = blockEnd(gone+1) - blockSpan
}

// merge makes one batch of each block that is complete and that may go. It reports whether it did something.
// Its failure costs room alone: what is damaged or finds no room stays as it is.
func (j *Journal) merge() (did bool) {
	if j.st == nil {
		return false
	}
	upTo := min(j.disposable(), j.st.next-1)
	m := mergers.Get().(*merger)
	defer mergers.Put(m)
	for range mergeTurn {
		end := j.merged + blockSpan
		if end > upTo {
			break
		}
		saved, err := j.st.mergeBlock(j.merged, end, m)
		if err != nil {
			j.log.Debug("batches could not be put together", "path", j.path, "after", j.merged, "error", err)
		}
		j.storedBytes -= saved
		j.merged, did = end, true
	}
	return did
}

// merger is what merging works with: more than a megabyte.
type merger struct {
	in   Inflater
	out  deflater
	text []byte
}

// mergers keeps it between two blocks, where they follow each other so closely that the collector has not come twice.
var mergers = sync.Pool{New: func() any { return newMerger() }}

func newMerger() *merger { return &merger{out: deflater{level: mergeLevel}} }

// mergeBlock makes one batch of those with after < id ≤ upTo, with the id of the last, and gives the bytes saved.
func (s *store) mergeBlock(after, upTo int64, m *merger) (saved int64, err error) {
	r := &Reader{path: s.path}
	r.db.Store(s.db)
	all, err := r.page(nil, after, upTo, blockSpan)
	if err != nil || len(all) < 2 {
		return 0, err
	}
	one := Batch{ID: all[len(all)-1].ID, First: math.MaxInt64, Last: math.MinInt64}
	for i := range all {
		b := &all[i]
		one.First, one.Last = min(one.First, b.First), max(one.Last, b.Last)
		one.Lines, one.Raw = one.Lines+b.Lines, one.Raw+b.Raw
		saved += int64(len(b.Deflate)) + rowBytes
	}
	if one.Raw > mergeRaw {
		return 0, nil
	}
	text := m.text[:0]
	for i := range all {
		lines, err := m.in.Lines(&all[i])
		if err != nil {
			return 0, err
		}
		text = append(text, lines...)
	}
	m.text = text
	one.CRC, one.Deflate = crc32.ChecksumIEEE(text), m.out.run(text)
	if saved -= int64(len(one.Deflate)) + rowBytes; saved <= 0 {
		return 0, nil
	}
	tx, err := s.db.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var committed int64
	if err := tx.QueryRow("SELECT committed_ns FROM batches WHERE id = ?", one.ID).Scan(&committed); err != nil {
		return 0, err
	}
	if _, err := tx.Exec("DELETE FROM batches WHERE id > ? AND id <= ?", after, upTo); err != nil {
		return 0, err
	}
	if err := s.db.within(tx, insertBatch, one.ID, one.First, one.Last, one.Lines, one.Raw, int64(one.CRC), committed, one.Deflate); err != nil {
		return 0, err
	}
	return saved, tx.Commit()
}
