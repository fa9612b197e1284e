package runlog

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLine bounds one line of a log, in bytes.
const maxLine = 64 << 10

// lines cuts a stream of bytes into lines. It takes UTF-8, UTF-16 and UTF-32, with or without byte order mark,
// and reads a line that is not UTF-8 as Windows-1252, which Latin-1 is part of. Lines end at LF, CRLF or
// CR; NULs before them are skipped, and what is longer than maxLine is dropped.
type lines struct {
	n       int  // lines seen, the one being gathered not counted
	cr      bool // the last byte seen ended a line, and an LF after it says nothing more
	buf     []byte
	tooLong bool
	raw     []byte // bytes not yet decoded: the start of a file, part of a unit of UTF-16 or UTF-32
	enc     encoding
	high    rune   // first half of a surrogate pair
	text    []byte // decoded UTF-16 or UTF-32
	latin   []byte // a line decoded from Windows-1252
}

type encoding byte

const (
	unknownEncoding encoding = iota
	utf8Text
	utf16LE
	utf16BE
	utf32LE
	utf32BE
)

// feed takes the next bytes and calls each for every line completed, without its end; nil stands
// for a line that was too long. It stops at the first error and returns it.
func (l *lines) feed(p []byte, each func(line []byte) error) error {
	p = l.decode(p, false)
	for len(p) > 0 {
		if l.cr && p[0] == '\n' {
			p = p[1:]
		}
		l.cr = false
		if len(l.buf) == 0 {
			p = bytes.TrimLeft(p, "\x00") // the hole of a file that was truncated under its writer
		}
		i := bytes.IndexByte(p, '\n')
		upTo := p
		if i >= 0 {
			upTo = p[:i]
		}
		if j := bytes.IndexByte(upTo, '\r'); j >= 0 {
			i, l.cr = j, true
		}
		if i < 0 {
			if len(l.buf)+len(p) > maxLine {
				l.buf, l.tooLong = l.buf[:0], true
			} else if !l.tooLong {
				l.buf = append(l.buf, p...)
			}
			return nil
		}
		line := p[:i]
		p = p[i+1:]
		if len(l.buf) > 0 {
			l.buf = append(l.buf, line...)
			line = l.buf
		}
		if l.tooLong || len(line) > maxLine {
			line = nil
		} else {
			line = l.readable(line)
		}
		l.n++
		err := each(line)
		l.buf, l.tooLong = l.buf[:0], false
		if err != nil {
			return err
		}
	}
	return nil
}

// rest ends the stream: what follows the last line end, nil if nothing does.
func (l *lines) rest() []byte {
	l.buf = append(l.buf, l.decode(nil, true)...)
	if line := l.readable(l.buf); len(line) > 0 && !l.tooLong {
		l.n++
		return line
	}
	return nil
}

// readable is a line as UTF-8, without the end mark of old text files; never nil.
func (l *lines) readable(line []byte) []byte {
	line = bytes.TrimPrefix(bytes.TrimRight(line, "\x00\x1a"), []byte("\ufeff")) // of a file that was joined to another
	if utf8.Valid(line) {
		if line == nil {
			line = []byte{}
		}
		return line
	}
	l.latin = l.latin[:0]
	for _, c := range line {
		if c >= 0x80 && c < 0xa0 {
			l.latin = utf8.AppendRune(l.latin, windows1252[c-0x80])
		} else {
			l.latin = utf8.AppendRune(l.latin, rune(c))
		}
	}
	return l.latin
}

// windows1252 has the characters 0x80 to 0x9f (Unicode mapping table CP1252, 1998).
var windows1252 = [32]rune{
	'€', '\ufffd', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\ufffd', 'Ž', '\ufffd',
	'\ufffd', '\u2018', '\u2019', '\u201c', '\u201d', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\ufffd', 'ž', 'Ÿ',
}

// decode turns the next bytes of the file into UTF-8 text.
func (l *lines) decode(p []byte, end bool) []byte {
	if l.enc == unknownEncoding {
		l.raw = append(l.raw, p...)
		var mark int
		if l.enc, mark = encodingOf(l.raw, end); l.enc == unknownEncoding {
			return nil
		}
		p, l.raw = l.raw[mark:], nil
	}
	width := 2
	switch l.enc {
	case utf8Text:
		return p
	case utf32LE, utf32BE:
		width = 4
	}
	l.text = l.text[:0]
	if n := len(l.raw); n > 0 {
		take := min(width-n, len(p))
		l.raw, p = append(l.raw, p[:take]...), p[take:]
		if len(l.raw) < width {
			return l.text
		}
		l.unit(l.raw)
		l.raw = l.raw[:0]
	}
	for ; len(p) >= width; p = p[width:] {
		l.unit(p[:width])
	}
	l.raw = append(l.raw, p...)
	return l.text
}

// encodingOf tells the encoding of a file by its first bytes, and how many of them are a byte order mark; unknownEncoding
// where more of them are needed to tell.
func encodingOf(p []byte, end bool) (e encoding, mark int) {
	// Of a unit of four bytes that is a character of ASCII three are zero.
	ascii32 := func(at int) bool { return len(p) >= 4 && p[at] != 0 && bytes.Count(p[:4], []byte{0}) == 3 }
	switch {
	case bytes.HasPrefix(p, []byte{0xff, 0xfe, 0, 0}):
		return utf32LE, 4
	case bytes.HasPrefix(p, []byte{0, 0, 0xfe, 0xff}):
		return utf32BE, 4
	case len(p) < 4 && !end:
		return unknownEncoding, 0
	case bytes.HasPrefix(p, []byte{0xff, 0xfe}):
		return utf16LE, 2
	case bytes.HasPrefix(p, []byte{0xfe, 0xff}):
		return utf16BE, 2
	case bytes.HasPrefix(p, []byte{0xef, 0xbb, 0xbf}):
		return utf8Text, 3
	case ascii32(0) || ascii32(3): // or the end of a hole in a file that was truncated under its writer
		if len(p) < 8 && !end {
			return unknownEncoding, 0
		}
		at, e := 0, utf32LE
		if ascii32(3) {
			at, e = 3, utf32BE
		}
		if p = p[4:]; ascii32(at) {
			return e, 0
		}
	case len(p) >= 4 && p[0] != 0 && p[1] == 0 && p[2] != 0 && p[3] == 0:
		return utf16LE, 0
	case len(p) >= 4 && p[0] == 0 && p[1] != 0 && p[2] == 0 && p[3] != 0:
		return utf16BE, 0
	}
	return utf8Text, 0
}

// unit decodes one unit of UTF-16 or UTF-32; halves of pairs that stand alone, and what is no character, become U+FFFD.
func (l *lines) unit(b []byte) {
	var r rune
	switch l.enc {
	case utf32LE:
		l.text = utf8.AppendRune(l.text, rune(binary.LittleEndian.Uint32(b)))
		return
	case utf32BE:
		l.text = utf8.AppendRune(l.text, rune(binary.BigEndian.Uint32(b)))
		return
	case utf16LE:
		r = rune(binary.LittleEndian.Uint16(b))
	default:
		r = rune(binary.BigEndian.Uint16(b))
	}
	if l.high != 0 {
		pair := utf16.DecodeRune(l.high, r)
		l.high = 0
		l.text = utf8.AppendRune(l.text, pair)
		if pair != utf8.RuneError {
			return
		}
	}
	switch {
	case r >= 0xd800 && r < 0xdc00:
		l.high = r
	default:
		l.text = utf8.AppendRune(l.text, r)
	}
}
