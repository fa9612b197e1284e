package export

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/bits"

	"github.com/klauspost/compress/gzip"
)

// Parquet for flat tables: each row group one page a column. A library for all of Parquet links 7 MB, of which
// every agent that only records would keep 3 MB resident. Format: https://github.com/apache/parquet-format,
// version 2.10 (parquet.thrift, Encodings.md, and the compact protocol of Apache Thrift for the headers).

// Numbers of parquet.thrift.
const (
	typeInt64, typeDouble, typeByteArray                          = 2, 5, 6
	encodingPlain, encodingRLE, encodingDelta, encodingDictionary = 0, 3, 5, 8
	codecGzip                                                     = 2
	pageData, pageDictionary                                      = 0, 2
	convertedUTF8                                                 = 0
	required, optional                                            = 0, 1
)

const cellsInGroup = 768 << 10 // what is held in memory: some 10 MB

// parquetFile gathers a row group and writes it column by column.
type parquetFile struct {
	w           io.Writer
	at          int64 // bytes written
	rows        int64
	n           int // in the group
	rowsInGroup int
	groups      [][]byte // metadata of each
	columns     []parquetColumn
	page        []byte
	zipped      bytes.Buffer
	gzip        *gzip.Writer
}

// parquetColumn holds a column of the group: the values of its kind that are there.
type parquetColumn struct {
	column
	whole  []int64
	number []float64
	text   dictionary
	there  []uint32 // of an optional one: 1 where a row has a value, else 0
}

// physical is the type in the file.
func (c *parquetColumn) physical() int {
	return [...]int{typeInt64, typeInt64, typeDouble, typeByteArray}[c.kind]
}

func newParquet(w io.Writer, columns []column) (*parquetFile, error) {
	f := &parquetFile{w: w, rowsInGroup: cellsInGroup / len(columns)}
	for _, c := range columns {
		f.columns = append(f.columns, parquetColumn{column: c})
	}
	var err error
	if f.gzip, err = gzip.NewWriterLevel(&f.zipped, gzip.BestSpeed); err != nil {
		return nil, err
	}
	return f, f.write([]byte(magic))
}

// row implements sheet.
func (f *parquetFile) row(cells []cell) error {
	for i := range f.columns {
		c, v := &f.columns[i], &cells[i]
		if c.optional {
			if v.missing {
				c.there = append(c.there, 0)
				continue
			}
			c.there = append(c.there, 1)
		}
		switch c.kind {
		case number:
			c.number = append(c.number, v.number)
		case text:
			c.text.add(v.text)
		default:
			c.whole = append(c.whole, v.whole)
		}
	}
	if f.n++; f.n == f.rowsInGroup {
		return f.group()
	}
	return nil
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

func (f *parquetFile) write(b []byte) error {
	n, err := f.w.Write(b)
	f.at += int64(n)
	return err
}

// group writes the rows gathered as a row group.
func (f *parquetFile) group() error {
	n := f.n
	if n == 0 {
		return nil
	}
	began := f.at
	var chunks [][]byte
	size := int64(0)
	for i := range f.columns {
		c := &f.columns[i]
		m := chunk{f: f, start: f.at}
		var err error
		switch c.kind {
		case number:
			f.page = appendLevels(f.page[:0], c)
			for _, v := range c.number {
				f.page = binary.LittleEndian.AppendUint64(f.page, math.Float64bits(v))
			}
			m.encodings, err = []int{encodingPlain, encodingRLE}, m.data(encodingPlain, n)
		case text:
			d := &c.text
			f.page = append(f.page[:0], d.plain...)
			if err = m.dictionary(len(d.number)); err == nil {
				f.page = appendIndices(f.page[:0], d.index, uint32(len(d.number)))
				m.encodings, err = []int{encodingPlain, encodingRLE, encodingDictionary}, m.data(encodingDictionary, n)
			}
			d.reset()
		default:
			f.page = appendDelta(appendLevels(f.page[:0], c), c.whole)
			m.encodings, err = []int{encodingDelta, encodingRLE}, m.data(encodingDelta, n)
		}
		if err != nil {
			return err
		}
		size += m.raw
		chunks = append(chunks, m.meta(c.name, c.physical(), n, f.at))
		c.whole, c.number, c.there = c.whole[:0], c.number[:0], c.there[:0]
	}
	f.rows += int64(n)
	f.n = 0
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

// appendLevels writes which rows of an optional column have a value: definition levels of one bit, bit-packed.
func appendLevels(b []byte, c *parquetColumn) []byte {
	if !c.optional {
		return b
	}
	at := len(b)
	b = appendPacked(append(b, 0, 0, 0, 0), c.there, 1)
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
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
	t.list(2, 1+len(f.columns), thriftStruct)
	root := thrift{}
	root.text(4, "record")
	root.int(5, int64(len(f.columns)))
	t.b = append(t.b, root.end()...)
	for i := range f.columns {
		t.b = append(t.b, f.columns[i].schema()...)
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

// schema is the element of the column: an instant is in ns (UTC), texts are UTF-8.
func (c *parquetColumn) schema() []byte {
	var t thrift
	t.int(1, int64(c.physical()))
	t.int(3, map[bool]int64{false: required, true: optional}[c.optional])
	t.text(4, c.name)
	switch c.kind {
	case text:
		t.int(6, convertedUTF8)
		t.open(10)
		t.open(1)
		t.close()
		t.close()
	case instant:
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
	if len(v) == 0 {
		return binary.AppendVarint(b, 0)
	}
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
	return appendPacked(append(b, byte(width)), index, width)
}

// appendPacked writes one bit-packed run of the hybrid with RLE.
func appendPacked(b []byte, v []uint32, width int) []byte {
	groups := (len(v) + 7) / 8
	b = binary.AppendUvarint(b, uint64(groups)<<1|1)
	var out packer
	for i := range groups * 8 {
		next := uint32(0)
		if i < len(v) {
			next = v[i]
		}
		b = out.add(b, uint64(next), width)
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
