package runlog

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLine bounds one line of a log, in bytes.
const maxLine = 64 << 10

// lines cuts a stream of bytes into lines. It takes UTF-8 with or without byte order mark and
// UTF-16 with one, ends lines at LF or CRLF, and drops what is longer than maxLine.
type lines struct {
	n       int // lines seen, the one being gathered not counted
	buf     []byte
	tooLong bool
	raw     []byte // bytes not yet decoded: the start of a file, half a UTF-16 unit
	enc     encoding
	high    rune   // first half of a surrogate pair
	text    []byte // decoded UTF-16
}

type encoding byte

const (
	unknownEncoding encoding = iota
	utf8Text
	utf16LE
	utf16BE
)

// feed takes the next bytes and calls each for every line completed, without its end; nil stands
// for a line that was too long. It stops at the first error and returns it.
func (l *lines) feed(p []byte, each func(line []byte) error) error {
	if p = l.decode(p, false); len(p) == 0 {
		return nil
	}
	for {
		i := bytes.IndexByte(p, '\n')
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
		} else if line = bytes.TrimSuffix(line, []byte("\r")); line == nil {
			line = []byte{}
		}
		l.n++
		err := each(line)
		l.buf, l.tooLong = l.buf[:0], false
		if err != nil {
			return err
		}
	}
}

// rest ends the stream: what follows the last line end, nil if nothing does.
func (l *lines) rest() []byte {
	l.buf = append(l.buf, l.decode(nil, true)...)
	if len(l.buf) == 0 || l.tooLong {
		return nil
	}
	l.n++
	return l.buf
}

// decode turns the next bytes of the file into UTF-8 text.
func (l *lines) decode(p []byte, end bool) []byte {
	if l.enc == unknownEncoding {
		l.raw = append(l.raw, p...)
		p = l.raw
		switch {
		case bytes.HasPrefix(p, []byte{0xff, 0xfe}):
			l.enc, p = utf16LE, p[2:]
		case bytes.HasPrefix(p, []byte{0xfe, 0xff}):
			l.enc, p = utf16BE, p[2:]
		case bytes.HasPrefix(p, []byte{0xef, 0xbb, 0xbf}):
			l.enc, p = utf8Text, p[3:]
		case len(p) < 3 && !end:
			return nil
		default:
			l.enc = utf8Text
		}
		l.raw = nil
	}
	if l.enc == utf8Text {
		return p
	}
	l.text = l.text[:0]
	if len(l.raw) == 1 && len(p) > 0 {
		l.unit(l.raw[0], p[0])
		l.raw, p = l.raw[:0], p[1:]
	}
	for ; len(p) >= 2; p = p[2:] {
		l.unit(p[0], p[1])
	}
	l.raw = append(l.raw, p...)
	return l.text
}

// unit decodes one UTF-16 code unit; halves of pairs that stand alone become U+FFFD.
func (l *lines) unit(a, b byte) {
	r := rune(a) | rune(b)<<8
	if l.enc == utf16BE {
		r = rune(a)<<8 | rune(b)
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
