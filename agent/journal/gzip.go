package journal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// Batch is one committed group of lines. Deflate is a run of DEFLATE blocks (RFC 1951) that
// refers to nothing before it, ends on a byte boundary and is not final, so that runs can be put
// one after another.
type Batch struct {
	ID          int64
	First, Last int64 // time stamps of its lines, ns since the Unix epoch
	Lines       int
	Raw         int    // bytes of its lines
	CRC         uint32 // CRC-32 (IEEE) of its lines
	Deflate     []byte
}

// deflater compresses batches with one set of buffers.
type deflater struct {
	level int // 0: the fastest
	out   bytes.Buffer
	w     *flate.Writer
}

// run compresses raw; the result is valid until the next call.
func (d *deflater) run(raw []byte) []byte {
	d.out.Reset()
	if d.w == nil {
		d.w, _ = flate.NewWriter(&d.out, cmp.Or(d.level, flate.BestSpeed)) // the level is known to be valid
	} else {
		d.w.Reset(&d.out)
	}
	d.w.Write(raw) // a bytes.Buffer cannot fail
	d.w.Flush()
	return d.out.Bytes()
}

var gzipHeader = [10]byte{0x1f, 0x8b, 8, 9: 255} // no name, no time, unknown system

// AppendGzip appends to dst one gzip member (RFC 1952) that holds the lines of all batches in
// order. Nothing is compressed again: the runs are joined as they are stored, closed by an empty
// final block, and their checksums are combined.
func AppendGzip(dst []byte, batches ...Batch) []byte {
	dst = append(dst, gzipHeader[:]...)
	var crc, size uint32
	for i := range batches {
		b := &batches[i]
		dst = append(dst, b.Deflate...)
		crc = combineCRC(crc, b.CRC, b.Raw)
		size += uint32(b.Raw)
	}
	dst = append(dst, 0x03, 0x00) // final block with fixed codes, empty
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	return binary.LittleEndian.AppendUint32(dst, size)
}

// maxRaw bounds what a damaged record may make us unpack.
const maxRaw = 64 << 20

// Inflater unpacks batches with one set of buffers; the zero value is ready for use.
type Inflater struct {
	src bytes.Reader
	r   io.ReadCloser
	buf []byte
}

// Lines unpacks b and checks its length and CRC. The result is valid until the next call.
func (z *Inflater) Lines(b *Batch) ([]byte, error) {
	if b.Raw < 0 || b.Raw > maxRaw {
		return nil, fmt.Errorf("journal batch %d is damaged: claims %d bytes of lines, at most %d are written", b.ID, b.Raw, maxRaw)
	}
	z.src.Reset(b.Deflate)
	if z.r == nil {
		z.r = flate.NewReader(&z.src)
	} else if err := z.r.(flate.Resetter).Reset(&z.src, nil); err != nil {
		return nil, err
	}
	if cap(z.buf) < b.Raw {
		z.buf = make([]byte, b.Raw)
	}
	z.buf = z.buf[:b.Raw]
	if _, err := io.ReadFull(z.r, z.buf); err != nil {
		return nil, fmt.Errorf("journal batch %d is damaged: %w", b.ID, err)
	}
	var one [1]byte
	if n, err := z.r.Read(one[:]); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) { // a run has no final block
		return nil, fmt.Errorf("journal batch %d is damaged: more than the %d bytes of lines it claims", b.ID, b.Raw)
	}
	if crc := crc32.ChecksumIEEE(z.buf); crc != b.CRC {
		return nil, fmt.Errorf("journal batch %d is damaged: CRC-32 %08x, stored %08x", b.ID, crc, b.CRC)
	}
	return z.buf, nil
}

// combineCRC gives the CRC-32 of A followed by B from their own checksums and the length of B.
//
// A CRC is the remainder of a polynomial over GF(2): appending n bytes multiplies A's by
// x^(8n) mod P, and B's is added. See M. Adler, "Fast computation of CRC-32 combine", zlib 1.2.12.
func combineCRC(a, b uint32, lenB int) uint32 {
	shift := uint32(1) << 31 // x^0; bit 31 is the lowest power
	for k, n := 3, lenB; n > 0; k, n = k+1, n>>1 {
		if n&1 != 0 {
			shift = mulmod(powers[k&31], shift)
		}
	}
	return mulmod(shift, a) ^ b
}

// powers[k] is x^(2^k) mod P; the sequence repeats after 31 squarings, as 2^32-1 is the order of x.
var powers = func() (p [32]uint32) {
	p[0] = 1 << 30
	for k := 1; k < len(p); k++ {
		p[k] = mulmod(p[k-1], p[k-1])
	}
	return p
}()

// mulmod multiplies two polynomials over GF(2), bit-reversed, modulo the CRC-32 polynomial.
func mulmod(a, b uint32) (product uint32) {
	for m := uint32(1) << 31; m != 0; m >>= 1 {
		if a&m != 0 {
			product ^= b
		}
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return product
}
