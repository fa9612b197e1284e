package wire

import (
	"bytes"
	"fmt"
)

// AppendCOBS appends src with its zero bytes stuffed away (Cheshire and Baker, "Consistent
// Overhead Byte Stuffing", IEEE/ACM Trans. Networking 7(2), 1999); the delimiter 0x00 is left to
// the caller. It adds one byte and one more for each full 254.
func AppendCOBS(dst, src []byte) []byte {
	for {
		n := bytes.IndexByte(src, 0)
		last := n < 0
		if last {
			n = len(src)
		}
		full := n >= 254
		if full {
			n = 254
		}
		dst = append(dst, byte(n+1))
		dst = append(dst, src[:n]...)
		src = src[n:]
		switch {
		case full && len(src) == 0: // no zero is implied after a full block
			return dst
		case full:
		case last:
			return dst
		default:
			src = src[1:] // the zero that the code byte stands for
		}
	}
}

var errCOBS = fmt.Errorf("%w: not COBS, a code byte is zero or points beyond the end", ErrFrame)

// DecodeCOBS appends the meaning of one stuffed message, without its delimiter, to dst. On error
// dst comes back unchanged.
func DecodeCOBS(dst, src []byte) ([]byte, error) {
	if len(src) == 0 {
		return dst, errCOBS
	}
	start := len(dst)
	for len(src) > 0 {
		n := int(src[0])
		if n == 0 || n > len(src) || bytes.IndexByte(src[1:n], 0) >= 0 {
			return dst[:start], errCOBS
		}
		dst = append(dst, src[1:n]...)
		src = src[n:]
		if n < 255 && len(src) > 0 {
			dst = append(dst, 0)
		}
	}
	return dst, nil
}

// crc16 is CRC-16/CCITT-FALSE (CRC-16/IBM-3740): polynomial 0x1021, start 0xFFFF, not reflected;
// _crc_xmodem_update of avr-libc started at 0xFFFF. Its check value for "123456789" is 0x29B1.
func crc16(b []byte) uint16 {
	crc := uint16(0xffff)
	for _, c := range b {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^c]
	}
	return crc
}

var crcTable = func() (t [256]uint16) {
	for i := range t {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
		t[i] = crc
	}
	return t
}()
