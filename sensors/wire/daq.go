package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"stirwatch/sensors"
)

// The DAQ frame, byte for byte in docs/daq-frame.md. All numbers are little-endian:
//
//	0     version (1)
//	1     type
//	2..3  sequence, one more with every frame of any type
//	4..7  time since start in µs, goes round
//	8..   payload of the type
//	end   CRC-16/CCITT-FALSE of all before it
//
// sent COBS-stuffed and ended by 0x00.
const (
	daqVersion = 1
	daqHeader  = 8
	daqCRC     = 2
	daqMax     = 254 // one COBS block, so that firmware stuffs it in place

	// MaxDAQChannels is the most that a data frame holds.
	MaxDAQChannels = (daqMax - daqHeader - daqCRC - 1) / 5
	// MaxDAQText is the longest text in a description, in bytes.
	MaxDAQText = 31
)

// DAQType is what a DAQ frame carries.
type DAQType uint8

const (
	DAQData        DAQType = 1
	DAQDescription DAQType = 2
	DAQHeartbeat   DAQType = 3
)

// DAQFault holds the fault bits of one channel in a data frame.
type DAQFault uint8

const (
	FaultOpen        DAQFault = 1 << iota // sensor or its wire is broken
	FaultShort                            // shorted to supply or ground, or to another sensor
	FaultSaturated                        // converter at its limit
	FaultRange                            // measured, but outside what the sensor is specified for
	FaultCheck                            // warming up, self-test, calibration running
	FaultNotNew                           // no conversion since the last frame: no sample
	FaultMaintenance                      // calibration is due, still valid
	FaultOther
)

// Status is the worst of the bits in the words of NE 107.
func (f DAQFault) Status() sensors.Status {
	switch {
	case f&FaultOpen != 0:
		return sensors.Status{Signal: sensors.Failure, Reason: sensors.OpenCircuit}
	case f&FaultSaturated != 0:
		return sensors.Status{Signal: sensors.Failure, Reason: sensors.Saturated}
	case f&(FaultShort|FaultOther) != 0:
		return sensors.Status{Signal: sensors.Failure, Reason: sensors.Device}
	case f&FaultCheck != 0:
		return sensors.Status{Signal: sensors.FunctionCheck, Reason: sensors.Device}
	case f&FaultRange != 0:
		return sensors.Status{Signal: sensors.OutOfSpecification, Reason: sensors.OutOfRange}
	case f&FaultMaintenance != 0:
		return sensors.Status{Signal: sensors.MaintenanceRequired, Reason: sensors.Device}
	}
	return sensors.OK
}

// DAQFrame is a view of one checked frame; it lives as long as the bytes it was parsed from.
type DAQFrame struct {
	Type     DAQType
	Sequence uint16
	Micros   uint32 // device time since its start, goes round
	payload  []byte
}

// Channels is the number of channels in a data frame.
func (f DAQFrame) Channels() int {
	if f.Type != DAQData {
		return 0
	}
	return int(f.payload[0])
}

// Value is channel i, from 0, of a data frame.
func (f DAQFrame) Value(i int) (float32, DAQFault) {
	at := f.payload[1+5*i:]
	return math.Float32frombits(binary.LittleEndian.Uint32(at[1:])), DAQFault(at[0])
}

// DAQChannel is what a description frame says.
type DAQChannel struct {
	Index, Count         int    // this channel, from 0, of how many
	Firmware, Name, Unit string // firmware's name and version; channel's name and unit symbol
}

// Description reads a description frame.
func (f DAQFrame) Description() DAQChannel {
	c := DAQChannel{Count: int(f.payload[0]), Index: int(f.payload[1])}
	rest := f.payload[2:]
	for _, to := range []*string{&c.Firmware, &c.Name, &c.Unit} {
		n := 1 + int(rest[0])
		*to, rest = string(rest[1:n]), rest[n:]
	}
	return c
}

// Heartbeat reads a heartbeat frame: the processor's cause of its last reset (MCUSR on an AVR)
// and how many frames the device has dropped since its start because the line was busy.
func (f DAQFrame) Heartbeat() (reset uint8, dropped uint16) {
	return f.payload[0], binary.LittleEndian.Uint16(f.payload[1:])
}

// ErrFrame is wrapped by what [ParseDAQ] and the decoder of [NewDAQ] say of bytes that are no
// whole frame: a line at the wrong speed gives nothing else.
var ErrFrame = errors.New("damaged frame")

// ParseDAQ checks a frame after COBS decoding: length, CRC, version and type.
func ParseDAQ(b []byte) (DAQFrame, error) {
	if len(b) < daqHeader+daqCRC {
		return DAQFrame{}, fmt.Errorf("%w: %d bytes, a DAQ frame has at least %d", ErrFrame, len(b), daqHeader+daqCRC)
	}
	body := b[:len(b)-daqCRC]
	if got, want := binary.LittleEndian.Uint16(b[len(body):]), crc16(body); got != want {
		return DAQFrame{}, fmt.Errorf("%w: CRC of %d bytes is %04x, must be %04x", ErrFrame, len(b), got, want)
	}
	if body[0] != daqVersion {
		return DAQFrame{}, fmt.Errorf("DAQ frame version %d: this program reads version %d; update the older of firmware and program", body[0], daqVersion)
	}
	f := DAQFrame{
		Type:     DAQType(body[1]),
		Sequence: binary.LittleEndian.Uint16(body[2:]),
		Micros:   binary.LittleEndian.Uint32(body[4:]),
		payload:  body[daqHeader:],
	}
	ok := false
	switch p := f.payload; f.Type {
	case DAQData:
		ok = len(p) >= 1 && len(p) == 1+5*int(p[0])
	case DAQDescription:
		ok = len(p) >= 2 && p[1] < p[0] && p[0] <= MaxDAQChannels
		for rest, i := p[min(2, len(p)):], 0; ok && i < 3; i++ {
			if ok = len(rest) > 0 && int(rest[0]) < len(rest); ok {
				n := 1 + int(rest[0])
				ok = n <= 1+MaxDAQText && utf8.Valid(rest[1:n])
				rest = rest[n:]
			}
			if i == 2 {
				ok = ok && len(rest) == 0
			}
		}
	case DAQHeartbeat:
		ok = len(p) == 3
	default:
		return DAQFrame{}, fmt.Errorf("DAQ frame type %d is unknown", f.Type)
	}
	if !ok {
		return DAQFrame{}, fmt.Errorf("DAQ frame type %d has a malformed payload of %d bytes", f.Type, len(f.payload))
	}
	return f, nil
}

// AppendDAQData appends a data frame as it is sent, delimiter included. faults may be nil for
// none. It panics on more than [MaxDAQChannels] values.
func AppendDAQData(dst []byte, sequence uint16, micros uint32, values []float32, faults []DAQFault) []byte {
	if len(values) > MaxDAQChannels {
		panic(fmt.Sprintf("wire: %d values in a DAQ frame, at most %d", len(values), MaxDAQChannels))
	}
	var raw [daqMax]byte
	b := append(header(raw[:0], DAQData, sequence, micros), byte(len(values)))
	for i, v := range values {
		var fault DAQFault
		if faults != nil {
			fault = faults[i]
		}
		b = append(b, byte(fault))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return seal(dst, b)
}

// AppendDAQDescription appends the description frame of one channel. It panics on a text longer
// than [MaxDAQText].
func AppendDAQDescription(dst []byte, sequence uint16, micros uint32, c DAQChannel) []byte {
	var raw [daqMax]byte
	b := append(header(raw[:0], DAQDescription, sequence, micros), byte(c.Count), byte(c.Index))
	for _, s := range [...]string{c.Firmware, c.Name, c.Unit} {
		if len(s) > MaxDAQText {
			panic(fmt.Sprintf("wire: %q is longer than %d bytes", s, MaxDAQText))
		}
		b = append(append(b, byte(len(s))), s...)
	}
	return seal(dst, b)
}

// AppendDAQHeartbeat appends a heartbeat frame; see [DAQFrame.Heartbeat].
func AppendDAQHeartbeat(dst []byte, sequence uint16, micros uint32, reset uint8, dropped uint16) []byte {
	var raw [daqMax]byte
	b := append(header(raw[:0], DAQHeartbeat, sequence, micros), reset)
	return seal(dst, binary.LittleEndian.AppendUint16(b, dropped))
}

func header(b []byte, t DAQType, sequence uint16, micros uint32) []byte {
	b = append(b, daqVersion, byte(t))
	b = binary.LittleEndian.AppendUint16(b, sequence)
	return binary.LittleEndian.AppendUint32(b, micros)
}

func seal(dst, b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, crc16(b))
	return append(AppendCOBS(dst, b), 0)
}

// NewDAQ reads COBS-stuffed DAQ frames. A key is a channel's number in the frame, from 1, or its
// name in the description that the device sends; a frame none of whose channels is known yet is an
// error. Time is the device's own: TimeKey and TimeUnit do not count. Fault bits
// become the sample's status; description and heartbeat frames give no samples.
// The decoder is [Stamped] and [Sequenced].
func NewDAQ(o Options) Decoder {
	d := &daq{stamper: newStamper(UptimeMicros, o.DeviceClock), fields: ownAll(o.Fields), index: make([]int, len(o.Fields))}
	for i, f := range d.fields {
		d.index[i] = -1
		if n, err := strconv.Atoi(f.Key); err == nil && n > 0 {
			d.index[i] = n - 1
		}
		for k, mark := range f.Sentinels {
			f.Sentinels[k] = float64(float32(mark)) // as it comes over the wire
		}
	}
	return d
}

type daq struct {
	stamper
	fields []Field
	index  []int // by field: channel in the frame, -1 until its name is known
	names  []string
	raw    []byte

	begun    bool
	sequence uint16
	gap      int
}

// LastGap implements [Sequenced].
func (d *daq) LastGap() int { return d.gap }

func (d *daq) Decode(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error) {
	var err error
	d.gap = 0
	if d.raw, err = DecodeCOBS(d.raw[:0], msg); err != nil {
		return dst, err
	}
	f, err := ParseDAQ(d.raw)
	if err != nil {
		return dst, err
	}
	at := d.up32(f.Micros, arrival)
	missing := f.Sequence - d.sequence - 1
	switch {
	case !d.begun:
	case d.restarted && missing != 0:
		d.gap = -1
	case missing == math.MaxUint16: // the same frame again
	case missing > math.MaxInt16: // numbered anew
		d.gap = -1
	default:
		d.gap = int(missing)
	}
	d.begun, d.sequence = true, f.Sequence
	switch f.Type {
	case DAQDescription:
		return dst, d.learn(f.Description())
	case DAQData:
		return d.data(dst, at, arrival, f)
	}
	return dst, nil
}

func (d *daq) data(dst []sensors.Sample, at, arrival int64, f DAQFrame) ([]sensors.Sample, error) {
	n, known := len(dst), len(d.fields) == 0
	for i := range d.fields {
		k := d.index[i]
		if k < 0 {
			continue
		}
		if k >= f.Channels() {
			return dst[:n], fmt.Errorf("channel %q: the frame has %d channels", d.fields[i].Key, f.Channels())
		}
		known = true
		v, fault := f.Value(k)
		if fault&FaultNotNew != 0 {
			continue
		}
		s := d.fields[i].sample(at, arrival, float64(v))
		if verdict := fault.Status(); verdict != sensors.OK && (s.Status.IsGood() || verdict.Signal == sensors.Failure) {
			s.Status = verdict
		}
		dst = append(dst, s)
	}
	if !known {
		return dst, fmt.Errorf("channel %q is not known: the device has not described itself with it", d.fields[0].Key)
	}
	return dst, nil
}

// learn notes the name of one channel and finds the fields that ask for it. Once the description
// is whole, a name that it lacks is an error, told once.
func (d *daq) learn(c DAQChannel) error {
	if len(d.names) != c.Count {
		d.names = make([]string, c.Count)
	}
	if d.names[c.Index] == c.Name {
		return nil
	}
	d.names[c.Index] = c.Name
	for i, f := range d.fields {
		if n, err := strconv.Atoi(f.Key); err != nil || n < 1 {
			d.index[i] = slices.Index(d.names, f.Key)
		}
	}
	if slices.Contains(d.names, "") {
		return nil
	}
	for i, f := range d.fields {
		if d.index[i] < 0 {
			return fmt.Errorf("the device has no channel %q: it has %q", f.Key, d.names)
		}
	}
	return nil
}
