package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"math/bits"

	"github.com/klauspost/compress/gzip"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

// Parquet for the one schema that samples have: six required columns, each row group one page a
// column. A library for all of Parquet links 7 MB, of which every agent that only records would keep
// 3 MB resident. Format: https://github.com/apache/parquet-format, version 2.10 (parquet.thrift,
// Encodings.md, and the compact protocol of Apache Thrift for the headers).

// Numbers of parquet.thrift.
const (
	typeInt64, typeDouble, typeByteArray                          = 2, 5, 6
	encodingPlain, encodingRLE, encodingDelta, encodingDictionary = 0, 3, 5, 8
	codecGzip                                                     = 2
	pageData, pageDictionary                                      = 0, 2
	convertedUTF8                                                 = 0
	required                                                      = 0
)

const rowsInGroup = 128 << 10 // what is held in memory: some 4 MB

// parquetFile gathers a row group and writes it column by column.
type parquetFile struct {
	w      io.Writer
	at     int64 // bytes written
	rows   int64
	groups [][]byte // metadata of each
	time   []int64
	value  []float64
	texts  [4]dictionary // channel, unit, quality, reason
	page   []byte
	zipped bytes.Buffer
	gzip   *gzip.Writer
}

// dictionary numbers the different texts of a column.
type dictionary struct {
	number map[string]uint32
	plain  []byte // the texts as PLAIN encodes them
	index  []uint32
}

func (d *dictionary) add(s string) {
	n, known := d.number[s]
	if !known {
		if d.number == nil {
			d.number = map[string]uint32{}
		}
		n = uint32(len(d.number))
		d.number[s] = n
		d.plain = append(binary.LittleEndian.AppendUint32(d.plain, uint32(len(s))), s...)
	}
	d.index = append(d.index, n)
}

func (d *dictionary) reset() {
	clear(d.number)
	d.plain, d.index = d.plain[:0], d.index[:0]
}

const magic = "PAR1"

func writeParquet(ctx context.Context, w io.Writer, r *journal.Reader, q journal.Query) (rows int64, err error) {
	f := &parquetFile{w: w}
	if f.gzip, err = gzip.NewWriterLevel(&f.zipped, gzip.BestSpeed); err != nil {
		return 0, err
	}
	if err := f.write([]byte(magic)); err != nil {
		return 0, err
	}
	err = journal.Rows(ctx, r, q, func(s *record.Sample) error {
		rows++
		f.time, f.value = append(f.time, s.Time), append(f.value, s.Value)
		for i, text := range [...]string{s.Channel, s.Unit, quality(s), s.Reason} {
			f.texts[i].add(text)
		}
		if len(f.time) == rowsInGroup {
			return f.group()
		}
		return nil
	})
	return rows, finish(err, f.end)
}

func (f *parquetFile) write(b []byte) error {
	n, err := f.w.Write(b)
	f.at += int64(n)
	return err
}

// columns of the file, in order.
var columns = [...]struct {
	name string
	kind int
}{{"time", typeInt64}, {"channel", typeByteArray}, {"value", typeDouble}, {"unit", typeByteArray}, {"quality", typeByteArray}, {"reason", typeByteArray}}

// group writes the rows gathered as a row group.
func (f *parquetFile) group() error {
	n := len(f.time)
	if n == 0 {
		return nil
	}
	began := f.at
	var chunks [][]byte
	text, size := 0, int64(0)
	for _, c := range columns {
		m := chunk{f: f, start: f.at}
		var err error
		switch c.kind {
		case typeInt64:
			f.page = appendDelta(f.page[:0], f.time)
			m.encodings, err = []int{encodingDelta}, m.data(encodingDelta, n)
		case typeDouble:
			f.page = f.page[:0]
			for _, v := range f.value {
				f.page = binary.LittleEndian.AppendUint64(f.page, math.Float64bits(v))
			}
			m.encodings, err = []int{encodingPlain}, m.data(encodingPlain, n)
		default:
			d := &f.texts[text]
			text++
			f.page = append(f.page[:0], d.plain...)
			if err = m.dictionary(len(d.number)); err == nil {
				f.page = appendIndices(f.page[:0], d.index, uint32(len(d.number)))
				m.encodings, err = []int{encodingPlain, encodingRLE, encodingDictionary}, m.data(encodingDictionary, n)
			}
			d.reset()
		}
		if err != nil {
			return err
		}
		size += m.raw
		chunks = append(chunks, m.meta(c.name, c.kind, n, f.at))
	}
	f.rows += int64(n)
	f.time, f.value = f.time[:0], f.value[:0]
	var g thrift
	g.list(1, len(chunks), thriftStruct)
	for _, c := range chunks {
		g.b = append(g.b, c...)
	}
	g.long(2, size)
	g.long(3, int64(n))
	g.long(5, began)
	f.groups = append(f.groups, g.end())
	return nil
}

// chunk is one column of a row group while its pages are written.
type chunk struct {
	f           *parquetFile
	start       int64
	dict, first int64 // where the pages stand; dict 0: none
	raw         int64
	encodings   []int
}

// put writes f.page as a page of a kind, of which header gives the rest.
func (m *chunk) put(kind int, header func(*thrift)) error {
	f := m.f
	f.zipped.Reset()
	f.gzip.Reset(&f.zipped)
	f.gzip.Write(f.page) // a bytes.Buffer cannot fail
	f.gzip.Close()
	var h thrift
	h.int(1, int64(kind))
	h.int(2, int64(len(f.page)))
	h.int(3, int64(f.zipped.Len()))
	header(&h)
	head := h.end()
	m.raw += int64(len(head) + len(f.page))
	if err := f.write(head); err != nil {
		return err
	}
	return f.write(f.zipped.Bytes())
}

func (m *chunk) data(encoding, values int) error {
	m.first = m.f.at
	return m.put(pageData, func(h *thrift) {
		h.open(5)
		h.int(1, int64(values))
		h.int(2, int64(encoding))
		h.int(3, encodingRLE)
		h.int(4, encodingRLE)
		h.close()
	})
}

func (m *chunk) dictionary(values int) error {
	m.dict = m.f.at
	return m.put(pageDictionary, func(h *thrift) {
		h.open(7)
		h.int(1, int64(values))
		h.int(2, encodingPlain)
		h.close()
	})
}

// meta is the column's entry in the row group; end is where its pages end.
func (m *chunk) meta(name string, kind, values int, end int64) []byte {
	var t thrift
	t.long(2, m.start)
	t.open(3)
	t.int(1, int64(kind))
	t.list(2, len(m.encodings), thriftInt32)
	for _, e := range m.encodings {
		t.number(int64(e))
	}
	t.list(3, 1, thriftBinary)
	t.bytes(name)
	t.int(4, codecGzip)
	t.long(5, int64(values))
	t.long(6, m.raw)
	t.long(7, end-m.start)
	t.long(9, m.first)
	if m.dict != 0 {
		t.long(11, m.dict)
	}
	t.close()
	return t.end()
}

// end writes what is left and the footer.
func (f *parquetFile) end() error {
	if err := f.group(); err != nil {
		return err
	}
	var t thrift
	t.int(1, 2)
	t.list(2, 1+len(columns), thriftStruct)
	root := thrift{}
	root.text(4, "samples")
	root.int(5, int64(len(columns)))
	t.b = append(t.b, root.end()...)
	for _, c := range columns {
		t.b = append(t.b, schema(c.name, c.kind)...)
	}
	t.long(3, f.rows)
	t.list(4, len(f.groups), thriftStruct)
	for _, g := range f.groups {
		t.b = append(t.b, g...)
	}
	t.text(6, "stirwatch")
	foot := t.end()
	foot = binary.LittleEndian.AppendUint32(foot, uint32(len(foot)))
	return f.write(append(foot, magic...))
}

// schema is the element of one column: time is an instant in ns (UTC), texts are UTF-8.
func schema(name string, kind int) []byte {
	var t thrift
	t.int(1, int64(kind))
	t.int(3, required)
	t.text(4, name)
	switch kind {
	case typeByteArray:
		t.int(6, convertedUTF8)
		t.open(10)
		t.open(1)
		t.close()
		t.close()
	case typeInt64:
		t.open(10)
		t.open(8)
		t.flag(1)
		t.open(2)
		t.open(3)
		t.close()
		t.close()
		t.close()
		t.close()
	}
	return t.end()
}

// appendDelta encodes as DELTA_BINARY_PACKED: blocks of 128 differences, in four parts of their own width.
func appendDelta(b []byte, v []int64) []byte {
	const block, parts = 128, 4
	b = binary.AppendUvarint(b, block)
	b = binary.AppendUvarint(b, parts)
	b = binary.AppendUvarint(b, uint64(len(v)))
	b = binary.AppendVarint(b, v[0])
	for at := 1; at < len(v); at += block {
		n := min(block, len(v)-at)
		var delta [block]int64
		least := int64(math.MaxInt64)
		for i := range n {
			delta[i] = v[at+i] - v[at+i-1] // may wrap, as the reader's sum does
			least = min(least, delta[i])
		}
		b = binary.AppendVarint(b, least)
		widths := len(b)
		b = append(b, 0, 0, 0, 0)
		for p := 0; p*block/parts < n; p++ {
			part := delta[p*block/parts : (p+1)*block/parts]
			var all uint64
			for i := range part {
				if p*block/parts+i >= n {
					part[i] = least // filler
				}
				all |= uint64(part[i] - least)
			}
			width := bits.Len64(all)
			b[widths+p] = byte(width)
			var out packer
			for _, d := range part {
				b = out.add(b, uint64(d-least), width)
			}
		}
	}
	return b
}

// appendIndices encodes as RLE_DICTIONARY: the width, and one bit-packed run.
func appendIndices(b []byte, index []uint32, of uint32) []byte {
	width := max(bits.Len32(of-1), 1)
	groups := (len(index) + 7) / 8
	b = binary.AppendUvarint(append(b, byte(width)), uint64(groups)<<1|1)
	var out packer
	for i := range groups * 8 {
		v := uint32(0)
		if i < len(index) {
			v = index[i]
		}
		b = out.add(b, uint64(v), width)
	}
	return b
}

// packer puts numbers of some bits one after another, the lowest bit first.
type packer struct {
	held uint64
	n    int
}

func (p *packer) add(b []byte, v uint64, width int) []byte {
	for width > 0 {
		take := min(width, 64-p.n)
		p.held |= v << p.n
		p.n += take
		width -= take
		v >>= take
		for p.n >= 8 {
			b = append(b, byte(p.held))
			p.held >>= 8
			p.n -= 8
		}
	}
	return b
}

// thrift writes structures in Thrift's compact protocol.
type thrift struct {
	b     []byte
	last  int   // field written last
	outer []int // of the structures around
}

const (
	thriftTrue, thriftInt32, thriftInt64, thriftBinary, thriftList, thriftStruct = 1, 5, 6, 8, 9, 12
)

func (t *thrift) field(id, kind int) {
	t.b = append(t.b, byte((id-t.last)<<4|kind)) // ids here are never more than 15 apart
	t.last = id
}

func (t *thrift) number(v int64)        { t.b = binary.AppendVarint(t.b, v) }
func (t *thrift) bytes(s string)        { t.b = append(binary.AppendUvarint(t.b, uint64(len(s))), s...) }
func (t *thrift) int(id int, v int64)   { t.field(id, thriftInt32); t.number(v) }
func (t *thrift) long(id int, v int64)  { t.field(id, thriftInt64); t.number(v) }
func (t *thrift) text(id int, s string) { t.field(id, thriftBinary); t.bytes(s) }
func (t *thrift) flag(id int)           { t.field(id, thriftTrue) }

func (t *thrift) list(id, n, kind int) {
	t.field(id, thriftList)
	if n < 15 {
		t.b = append(t.b, byte(n<<4|kind))
		return
	}
	t.b = binary.AppendUvarint(append(t.b, byte(0xf0|kind)), uint64(n))
}

func (t *thrift) open(id int) {
	t.field(id, thriftStruct)
	t.outer, t.last = append(t.outer, t.last), 0
}

func (t *thrift) close() {
	t.b = append(t.b, 0)
	n := len(t.outer) - 1
	t.last, t.outer = t.outer[n], t.outer[:n]
}

// end closes the outermost structure.
func (t *thrift) end() []byte { return append(t.b, 0) }
