package mqtt

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Control packet types (MQTT 3.1.1, table 2.1), as they stand in the upper half of the first byte.
const (
	typeConnack = 2
	typePublish = 3
	typePuback  = 4
	typePubrec  = 5
)

// publish is one PUBLISH packet (MQTT 3.1.1, section 3.3); its slices point into the stream.
type publish struct {
	topic, payload []byte
	id             uint16 // 0 with QoS 0
	qos            byte
	dup, retain    bool
}

var errLength = errors.New("malformed stream: remaining length of more than 4 bytes")

// fixedHeader reads the lengths of the packet that b starts with (section 2.2): head bytes of
// fixed header, then body bytes. head is 0 while b is too short to tell.
func fixedHeader(b []byte) (head, body int, err error) {
	for i := 1; i < len(b); i++ {
		if i > 4 {
			return 0, 0, errLength
		}
		body |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			return i + 1, body, nil
		}
	}
	if len(b) > 4 {
		return 0, 0, errLength
	}
	return 0, 0, nil
}

// variableHeader reads topic, flags and packet identifier of a PUBLISH whose body has length
// bytes; b is what is there of it. used is 0 while b is too short to tell.
func variableHeader(first byte, b []byte, length int) (p publish, used int, err error) {
	p.qos, p.dup, p.retain = first>>1&3, first&8 != 0, first&1 != 0
	if p.qos == 3 {
		return p, 0, errors.New("malformed PUBLISH: QoS 3")
	}
	if len(b) < 2 && length >= 2 {
		return p, 0, nil
	}
	need := 2
	if length >= 2 {
		need += int(binary.BigEndian.Uint16(b))
	}
	end := need
	if p.qos > 0 {
		end += 2
	}
	switch {
	case end > length:
		return p, 0, fmt.Errorf("malformed PUBLISH: topic of %d bytes in a packet of %d", need-2, length)
	case need == 2:
		return p, 0, errors.New("malformed PUBLISH: empty topic")
	case len(b) < end:
		return p, 0, nil
	}
	p.topic = b[2:need]
	if p.qos > 0 {
		if p.id = binary.BigEndian.Uint16(b[need:]); p.id == 0 {
			return p, 0, errors.New("malformed PUBLISH: packet identifier 0")
		}
	}
	return p, end, nil
}

// appendAck appends the packet that takes responsibility for a message: PUBACK for QoS 1,
// PUBREC for QoS 2 (sections 3.4, 3.5), nothing for QoS 0.
func appendAck(dst []byte, p *publish) []byte {
	switch p.qos {
	case 1:
		return append(dst, typePuback<<4, 2, byte(p.id>>8), byte(p.id))
	case 2:
		return append(dst, typePubrec<<4, 2, byte(p.id>>8), byte(p.id))
	}
	return dst
}
