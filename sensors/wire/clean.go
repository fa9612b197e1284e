package wire

import (
	"bytes"
	"fmt"
	"strconv"
)

// This file takes off what devices put around a message: control characters, colours, checksums.

// content is what a line says: without blanks and control characters around it, nothing of a comment,
// and the inside of an NMEA sentence whose checksum (exclusive or of all bytes between '$' or '!' and '*') is right. A line
// without '$' may have such a checksum too; once one was right, it must be.
func (t *table) content(msg []byte) ([]byte, error) {
	t.doubt = nil
	line := t.clean(msg)
	if len(line) == 0 || line[0] == '#' {
		return nil, nil
	}
	star := len(line) - 3
	sentence := line[0] == '$' || line[0] == '!'
	if star < 1 || line[star] != '*' {
		if line[0] == '$' || t.checked {
			return nil, fmt.Errorf("sentence %.80q has no checksum *hh at its end", line)
		}
		return line, nil
	}
	text := line[:star]
	if sentence {
		text = text[1:]
	}
	var sum byte
	for _, c := range text {
		sum ^= c
	}
	want, err := strconv.ParseUint(string(line[star+1:]), 16, 8)
	switch {
	case err == nil && byte(want) == sum:
		t.checked = t.checked || !sentence
		return text, nil
	case line[0] == '$' || t.checked:
		return nil, fmt.Errorf("checksum *%s of %.80q is wrong: it must be *%02X", line[star+1:], line, sum)
	}
	return line, nil
}

// clean is a message without a byte order mark, without blanks and control characters around it (the NUL that ends
// strings in C), and without the escape sequences by which terminals show colours and titles (ECMA-48, 5.4 and 5.6).
// Of one between STX and ETX it is what stands between them: a checksum behind ETX is not checked. Other control
// characters are blanks, but inside a number they stay, so that it is none. Where there are any, the result lives in the decoder.
func (t *table) clean(msg []byte) []byte {
	if i := bytes.LastIndexByte(msg, stx); i >= 0 {
		msg = msg[i+1:]
	}
	if i := bytes.IndexByte(msg, etx); i > 0 {
		msg = msg[:i]
	}
	if bytes.IndexByte(msg, 0x1b) < 0 {
		if msg = trim(msg); !bytes.ContainsFunc(msg, func(r rune) bool { return r < ' ' && r != '\t' }) {
			return msg
		}
	}
	t.plain = t.plain[:0]
	for i := 0; i < len(msg); i++ {
		switch c := msg[i]; {
		case c == 0x1b:
			i = escapeEnd(msg, i)
		case c < ' ' && c != '\t':
			// Between two digits it is a fault of the line, and no blank: 471.<NUL>9 is not 471.
			if c < 0x1c && c != '\n' && c != '\r' && i > 0 && i+1 < len(msg) && figure(msg[i-1]) && figure(msg[i+1]) {
				t.plain = append(t.plain, sub)
				continue
			}
			t.plain = append(t.plain, ' ')
		default:
			t.plain = append(t.plain, c)
		}
	}
	return trim(t.plain)
}

const (
	stx = 0x02
	etx = 0x03
	sub = 0x1a
)

// figure tells the signs that numbers are of.
func figure(c byte) bool { return c-'0' <= 9 || c == '.' || c == ',' }

// escapeEnd is the last byte of the escape sequence that starts at i.
func escapeEnd(msg []byte, i int) int {
	i++
	switch {
	case i >= len(msg):
	case msg[i] == '[': // a control sequence ends with a byte of @ to ~
		for i++; i < len(msg) && (msg[i] < '@' || msg[i] > '~'); i++ {
		}
	case msg[i] == ']': // a command to the system ends with BEL or ESC \
		for i++; i < len(msg) && msg[i] != '\a' && msg[i] != 0x1b; i++ {
		}
		if i+1 < len(msg) && msg[i] == 0x1b && msg[i+1] == '\\' {
			i++
		}
	}
	return i
}

// Plain is a text message as its decoder sees it: without what stands around it, and without colours.
func Plain(msg []byte) []byte { return (&table{}).clean(msg) }

// cString is the text of a message that ends where a string in C does.
func cString(msg []byte) []byte {
	msg = trim(msg)
	if i := bytes.IndexByte(msg, 0); i >= 0 {
		msg = trim(msg[:i])
	}
	return msg
}

// trim takes away a byte order mark, and blanks and control characters around a message.
func trim(msg []byte) []byte {
	msg = bytes.TrimPrefix(msg, []byte("\ufeff"))
	for len(msg) > 0 && (msg[0] <= ' ' || msg[0] == 0x7f) {
		msg = msg[1:]
	}
	for len(msg) > 0 && (msg[len(msg)-1] <= ' ' || msg[len(msg)-1] == 0x7f) {
		msg = msg[:len(msg)-1]
	}
	return msg
}
