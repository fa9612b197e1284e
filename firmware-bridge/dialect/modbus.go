package dialect

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"

	bridge "stirwatch/firmware-bridge"
)

// Modbus speaks Modbus RTU to one slave: function 3 reads holding registers, 6 and 16 write them.
// Source: MODBUS over Serial Line, specification and implementation guide V1.02, chapters 2.5 and
// 6.2; MODBUS Application Protocol V1.1b3, chapters 6.3, 6.6 and 6.12.
type Modbus struct {
	link
	slave byte
	gap   time.Duration
	words map[string]ModbusWord
}

// ModbusWord is where one value stands.
type ModbusWord struct {
	Register uint16  // counted from 0, as on the wire
	Read     *uint16 // where it is read back; nil: the same register
	ReadOnly bool
	Type     string  // int16 (default), uint16, int32, uint32, float32
	Swapped  bool    // the low word of two comes first
	Multiple bool    // write a single register with function 16 instead of 6
	Scale    float64 // number in the register = value · Scale; 0 = 1
}

func (w *ModbusWord) registers() int {
	if strings.HasSuffix(w.Type, "32") {
		return 2
	}
	return 1
}

// NewModbus makes the dialect; baud is the line's speed, for the silence between frames.
func NewModbus(p *Port, slave, baud int, words map[string]ModbusWord) (*Modbus, error) {
	if slave < 1 || slave > 247 {
		return nil, fmt.Errorf("slave %d; addresses are 1 to 247", slave)
	}
	words = maps.Clone(words)
	for name, w := range words {
		switch w.Type {
		case "":
			w.Type = "int16"
		case "int16", "uint16", "int32", "uint32", "float32":
		default:
			return nil, fmt.Errorf("target %s: unknown type %q; there are int16, uint16, int32, uint32, float32", name, w.Type)
		}
		if w.Scale == 0 {
			w.Scale = 1
		}
		words[name] = w
	}
	gap := 1750 * time.Microsecond // 3.5 characters of 11 bits; fixed above 19,200 baud
	if baud > 0 && baud <= 19200 {
		gap = time.Duration(3.5 * 11 / float64(baud) * 1e9)
	}
	return &Modbus{link: link{port: p}, slave: byte(slave), gap: gap, words: words}, nil
}

// crc16 is the checksum of a frame: polynomial 0xA001 (0x8005 reflected), start 0xFFFF.
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			odd := crc & 1
			if crc >>= 1; odd == 1 {
				crc ^= 0xA001
			}
		}
	}
	return crc
}

// frame adds the slave's address and the checksum, low byte first.
func (m *Modbus) frame(pdu []byte) []byte {
	b := append([]byte{m.slave}, pdu...)
	return binary.LittleEndian.AppendUint16(b, crc16(b))
}

// encode turns a value into registers.
func (w *ModbusWord) encode(v float64) ([]byte, error) {
	raw := v * w.Scale
	fits := func(lo, hi float64) error {
		if raw = math.Round(raw); !(raw >= lo && raw <= hi) {
			return fmt.Errorf("%w: %g does not fit into %s", bridge.ErrLimit, v*w.Scale, w.Type)
		}
		return nil
	}
	var b []byte
	var err error
	switch w.Type {
	case "int16":
		err = fits(math.MinInt16, math.MaxInt16)
		b = binary.BigEndian.AppendUint16(b, uint16(int16(raw)))
	case "uint16":
		err = fits(0, math.MaxUint16)
		b = binary.BigEndian.AppendUint16(b, uint16(raw))
	case "int32":
		err = fits(math.MinInt32, math.MaxInt32)
		b = binary.BigEndian.AppendUint32(b, uint32(int32(raw)))
	case "uint32":
		err = fits(0, math.MaxUint32)
		b = binary.BigEndian.AppendUint32(b, uint32(raw))
	default:
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(raw)))
	}
	return w.order(b), err
}

// order swaps the words of a pair where the device does.
func (w *ModbusWord) order(b []byte) []byte {
	if w.Swapped && len(b) == 4 {
		b[0], b[1], b[2], b[3] = b[2], b[3], b[0], b[1]
	}
	return b
}

// decode is the inverse of encode.
func (w *ModbusWord) decode(b []byte) (float64, error) {
	b = w.order(append([]byte(nil), b...))
	var raw float64
	switch w.Type {
	case "int16":
		raw = float64(int16(binary.BigEndian.Uint16(b)))
	case "uint16":
		raw = float64(binary.BigEndian.Uint16(b))
	case "int32":
		raw = float64(int32(binary.BigEndian.Uint32(b)))
	case "uint32":
		raw = float64(binary.BigEndian.Uint32(b))
	default:
		raw = float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	}
	if v := raw / w.Scale; v-v == 0 {
		return v, nil
	}
	return 0, fmt.Errorf("%w: %g", errNoNumber, raw)
}

// request is the frame of an operation.
func (m *Modbus) request(op bridge.Op, target string, v float64) ([]byte, error) {
	w, ok := m.words[target]
	switch {
	case op == bridge.OpProbe:
		return nil, errors.New("Modbus has no question that every device answers: get a target instead")
	case !ok:
		return nil, fmt.Errorf("%w: %s", bridge.ErrNoTarget, target)
	case op == bridge.OpGet:
		register := w.Register
		if w.Read != nil {
			register = *w.Read
		}
		pdu := binary.BigEndian.AppendUint16([]byte{3}, register)
		return m.frame(binary.BigEndian.AppendUint16(pdu, uint16(w.registers()))), nil
	case w.ReadOnly:
		return nil, fmt.Errorf("%s is only read", target)
	}
	data, err := w.encode(v)
	if err != nil {
		return nil, err
	}
	if len(data) == 2 && !w.Multiple {
		return m.frame(append(binary.BigEndian.AppendUint16([]byte{6}, w.Register), data...)), nil
	}
	pdu := binary.BigEndian.AppendUint16([]byte{16}, w.Register)
	pdu = binary.BigEndian.AppendUint16(pdu, uint16(len(data)/2))
	return m.frame(append(append(pdu, byte(len(data))), data...)), nil
}

// Show implements [bridge.Dialect].
func (m *Modbus) Show(op bridge.Op, target string, v float64) (string, error) {
	b, err := m.request(op, target, v)
	return strings.ToUpper(hex.EncodeToString(b)), err
}

// Resolution implements [bridge.Dialect]: 1 in an integer register, about 7 digits in a float32.
func (m *Modbus) Resolution(target string) float64 {
	w, ok := m.words[target]
	if !ok || w.Type == "float32" {
		return 0
	}
	return 1 / math.Abs(w.Scale)
}

// exceptions are the codes that a slave refuses with.
var exceptions = map[byte]string{
	1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "device failure",
	5: "acknowledged, still working", 6: "busy", 8: "memory parity error", 10: "gateway path unavailable", 11: "gateway target does not answer",
}

// exchange sends a request and returns the data of its answer: what function 3 read, or nil after
// a write whose echo was right.
func (m *Modbus) exchange(ctx context.Context, request []byte) ([]byte, error) {
	if err := m.connect(ctx); err != nil {
		return nil, err
	}
	gap := m.gap
	if m.stale {
		gap = max(gap, 20*time.Millisecond) // the answer to a request given up may be about to come
	}
	if err := m.quiet(ctx, gap); err != nil {
		return nil, err
	}
	if err := m.write(ctx, request); err != nil {
		return nil, err
	}
	answer, err := m.take(ctx, func(b []byte) int {
		n := answerLength(b)
		if n > len(b) {
			return 0
		}
		return n
	})
	if err != nil {
		return nil, err
	}
	bad := func(why string) error {
		return fmt.Errorf("%s: %X was answered by %X: %s", m.port.Name, request, answer, why)
	}
	end := len(answer) - 2
	switch {
	case crc16(answer[:end]) != binary.LittleEndian.Uint16(answer[end:]):
		return nil, bad("the checksum is wrong")
	case answer[0] != m.slave:
		return nil, bad("another slave")
	case answer[1] == request[1]|0x80:
		m.stale = false
		why := exceptions[answer[2]]
		if why == "" {
			why = "unknown exception"
		}
		return nil, &bridge.DeviceError{Request: fmt.Sprintf("%X", request), Reply: fmt.Sprintf("exception %d: %s", answer[2], why)}
	case answer[1] != request[1]:
		return nil, bad("another function")
	case answer[1] == 3 && int(answer[2]) != 2*int(binary.BigEndian.Uint16(request[4:])):
		return nil, bad("another number of registers")
	case answer[1] != 3 && string(answer[:6]) != string(request[:6]):
		return nil, bad("not the echo of the request")
	}
	m.stale = false
	if answer[1] == 3 {
		return answer[3:end], nil
	}
	return nil, nil
}

// answerLength is how long the answer that begins with b is; more than len(b) while too little of
// it is there. Of an unknown function what there is counts as the answer; its checksum will be wrong.
func answerLength(b []byte) int {
	switch {
	case len(b) < 5:
		return 5
	case b[1]&0x80 != 0:
		return 5
	case b[1] == 3:
		return 5 + int(b[2])
	case b[1] == 6 || b[1] == 16:
		return 8
	}
	return len(b)
}

// Set implements [bridge.Dialect].
func (m *Modbus) Set(ctx context.Context, target string, v float64) error {
	b, err := m.request(bridge.OpSet, target, v)
	if err != nil {
		return err
	}
	_, err = m.exchange(ctx, b)
	return err
}

// Safe implements [bridge.Dialect]. The echo repeats register and value and cannot be another one's.
func (m *Modbus) Safe(ctx context.Context, target string, v float64) error {
	return m.Set(ctx, target, v)
}

// Get implements [bridge.Dialect].
func (m *Modbus) Get(ctx context.Context, target string) (float64, error) {
	b, err := m.request(bridge.OpGet, target, 0)
	if err != nil {
		return 0, err
	}
	data, err := m.exchange(ctx, b)
	if err != nil {
		return 0, err
	}
	w := m.words[target]
	return w.decode(data)
}

// Probe implements [bridge.Dialect]: it reads every target.
func (m *Modbus) Probe(ctx context.Context) (string, error) {
	var s []string
	for name := range m.words {
		v, err := m.Get(ctx, name)
		if err != nil {
			return "", err
		}
		s = append(s, fmt.Sprintf("%s=%g", name, v))
	}
	return strings.Join(s, " "), nil
}
