// Package serialport reads devices on serial ports: text lines or COBS frames, through unplugging,
// resets and noise.
package serialport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"go.bug.st/serial"

	"stirwatch/sensors"
	"stirwatch/sensors/wire"
)

// Format says how messages are delimited.
type Format string

const (
	Lines Format = "lines" // LF, CR or CRLF
	COBS  Format = "cobs"  // 0x00
)

const (
	// DefaultBaud is taken where Options name none.
	DefaultBaud = 115200
	// DefaultMaxLine is the longest message where Options name no other, in bytes.
	DefaultMaxLine = 4096

	// pause is how long a read waits: the longest delay of noticing that ctx has ended. Closing
	// the port under a pending read would be quicker, but the library closes the descriptor
	// before it wakes the reader, and another open may get the same number in between.
	pause = 50 * time.Millisecond
	// On a busy line a read waits for a few messages more: waking up costs more than reading them
	// (at 10,000 lines a second this takes a third of the processor time). Stamps are later by as
	// much. A read that brought lingerBelow bytes has fallen behind and does not wait: a terminal
	// buffers about 4000.
	linger      = time.Millisecond
	lingerBelow = 1024

	// noiseAfter is how many bytes without a single good message are judged.
	noiseAfter = 512
)

// Options describes one device on a serial port, 8N1.
type Options struct {
	Name    string        // of the source
	Port    string        // device file; /dev/serial/by-id/… survives renumbering
	Baud    int           // bit/s; 0: [DefaultBaud]
	Format  Format        // "": [Lines]
	Decoder wire.Decoder  // of one message
	Settle  time.Duration // after opening, for boards that restart then: messages are decoded, so that a header is learned, but give no samples
	Silence time.Duration // without a byte for so long, the port is reported silent; 0: never
	MaxLine int           // longest message in bytes; 0: [DefaultMaxLine]
	Clock   sensors.Clock
}

// Source reads one port. It implements [sensors.Source]: Run opens the port once and reads until
// ctx ends or the port fails; its supervisor calls Run again.
type Source struct {
	o      Options
	health sensors.Health

	batch   []sensors.Sample
	message []byte // start of a message whose end is still to come
	arrival int64  // of the last message
	apart   sensors.Apart

	opened    int64 // when Run opened the port
	synced    bool  // the start of a message is known
	skipping  bool  // in an overlong message
	lastBytes int64
	silent    bool
	doubts    sensors.Doubts

	noise struct { // since the last good message
		bytes, odd, damaged int
		told                bool // once for each time the port is opened
	}
}

// New panics if the decoder or the clock is missing, or the format is unknown.
func New(o Options) *Source {
	if o.Decoder == nil || o.Clock == nil {
		panic("serialport: Options need a Decoder and a Clock")
	}
	if o.Format == "" {
		o.Format = Lines
	}
	if o.Format != Lines && o.Format != COBS {
		panic(fmt.Sprintf("serialport: unknown format %q", string(o.Format)))
	}
	if o.Baud == 0 {
		o.Baud = DefaultBaud
	}
	if o.MaxLine == 0 {
		o.MaxLine = DefaultMaxLine
	}
	return &Source{o: o}
}

// Name implements [sensors.Source].
func (s *Source) Name() string { return s.o.Name }

// Health implements [sensors.Source]; it lives across calls of Run.
func (s *Source) Health() *sensors.Health { return &s.health }

// Run implements [sensors.Source]. It returns nil when ctx has ended.
func (s *Source) Run(ctx context.Context, to sensors.Sink) error {
	port, err := open(s.o.Port, s.o.Baud)
	if err != nil {
		s.health.Fail(err)
		return err
	}
	defer port.Close()
	s.begin(to)
	defer s.health.Connected.Store(false)

	chunk := make([]byte, 1<<13)
	for ctx.Err() == nil {
		n, err := read(port, chunk)
		now := s.o.Clock()
		if n > 0 {
			busy := now-s.lastBytes < int64(2*linger) && n < lingerBelow
			if s.take(now, chunk[:n], to); busy && err == nil {
				time.Sleep(linger)
			}
		} else {
			s.watch(now, to)
		}
		if err != nil {
			err = fmt.Errorf("serial port %s: %w", s.o.Port, gone(err))
			s.health.Fail(err)
			to.Event(sensors.Event{Time: now, Source: s.o.Name, Kind: sensors.Disconnected, Text: err.Error()})
			return err
		}
	}
	return nil
}

// begin forgets what belonged to the time before the port was opened.
func (s *Source) begin(to sensors.Sink) {
	s.opened = s.o.Clock()
	s.lastBytes, s.silent = s.opened, false
	s.synced, s.skipping, s.message = false, false, s.message[:0]
	s.noise.bytes, s.noise.odd, s.noise.damaged, s.noise.told = 0, 0, 0, false
	s.health.Connects.Add(1)
	s.health.Connected.Store(true)
	to.Event(sensors.Event{Time: s.opened, Source: s.o.Name, Kind: sensors.Connected,
		Text: fmt.Sprintf("%s at %d baud", s.o.Port, s.o.Baud)})
}

// take handles what one read has brought: all its samples go to the sink at once.
func (s *Source) take(now int64, chunk []byte, to sensors.Sink) {
	s.health.Bytes.Add(uint64(len(chunk)))
	s.lastBytes = now
	if s.silent {
		s.silent = false
		to.Event(sensors.Event{Time: now, Source: s.o.Name, Kind: sensors.Resumed})
	}
	s.listen(chunk)
	s.batch = s.batch[:0]
	for len(chunk) > 0 {
		n := delimiter(s.o.Format, chunk)
		if n < 0 {
			s.keep(now, chunk, to)
			break
		}
		s.end(now, chunk[:n], to)
		chunk = chunk[n+1:]
	}
	if len(s.batch) > 0 {
		to.Emit(s.batch, nil)
		s.health.Samples.Add(uint64(len(s.batch)))
	}
	s.judge(now, to)
}

func delimiter(f Format, b []byte) int {
	if f == COBS {
		return bytes.IndexByte(b, 0)
	}
	n := bytes.IndexByte(b, '\n')
	if n < 0 {
		return bytes.IndexByte(b, '\r')
	}
	if cr := bytes.IndexByte(b[:n], '\r'); cr >= 0 {
		return cr
	}
	return n
}

// keep stores the start of a message, or gives it up where it is too long.
func (s *Source) keep(now int64, part []byte, to sensors.Sink) {
	if s.skipping || len(s.message)+len(part) > s.o.MaxLine {
		s.overlong(now, part, to)
		return
	}
	s.message = append(s.message, part...)
}

// end handles the end of a message.
func (s *Source) end(now int64, rest []byte, to sensors.Sink) {
	message := rest
	switch {
	case s.skipping:
		message = nil
	case len(s.message)+len(rest) > s.o.MaxLine:
		s.overlong(now, rest, to)
		message = nil
	case len(s.message) > 0:
		s.message = append(s.message, rest...)
		message = s.message
	}
	if len(message) > 0 {
		s.decode(now, message, to)
	}
	s.message, s.skipping, s.synced = s.message[:0], false, true
}

func (s *Source) overlong(now int64, part []byte, to sensors.Sink) {
	if !s.skipping {
		s.health.Reject(to, s.o.Name, now, append(s.message, part[:min(len(part), 80)]...),
			fmt.Errorf("longer than %d bytes without a delimiter", s.o.MaxLine))
	}
	s.message, s.skipping = s.message[:0], true
}

func (s *Source) decode(now int64, message []byte, to sensors.Sink) {
	if !s.synced && s.o.Format == Lines {
		return // a line of which the start may be missing can still look like a number
	}
	// Messages of one read arrived one after the other: an equal stamp would make them the same
	// point of a series.
	s.arrival = max(now, s.arrival+1)
	s.health.Tap.Hear(s.arrival, nil, message)
	n := len(s.batch)
	batch, err := s.o.Decoder.Decode(s.batch, s.arrival, message)
	settling := now-s.opened < int64(s.o.Settle)
	if d, ok := s.o.Decoder.(wire.Sequenced); ok {
		s.gap(d.LastGap(), to)
	}
	switch {
	case err != nil && (!s.synced || settling):
	case err != nil:
		if errors.Is(err, wire.ErrFrame) {
			s.noise.damaged++
		}
		s.health.Reject(to, s.o.Name, now, message, err)
	case settling:
	default:
		s.batch = batch
		s.apart.Move(batch[n:])
		s.health.Messages.Add(1)
		s.health.LastData.Store(now)
		if d, ok := s.o.Decoder.(wire.Stamped); ok && d.DeviceTime() != 0 {
			s.health.SkewNS.Store(s.arrival - d.DeviceTime())
		}
		if d, ok := s.o.Decoder.(wire.Doubter); ok && d.Doubt() != nil {
			s.doubts.Tell(to, s.o.Name, now, message, d.Doubt())
		}
		s.noise.bytes, s.noise.odd, s.noise.damaged = 0, 0, 0
		return
	}
	s.batch = s.batch[:n]
}

func (s *Source) gap(n int, to sensors.Sink) {
	if n == 0 {
		return
	}
	e := sensors.Event{Time: s.arrival, Source: s.o.Name, Kind: sensors.Gap, Text: "the device restarted; how much is missing cannot be told"}
	if n > 0 {
		e.Count, e.Text = uint64(n), fmt.Sprintf("%d messages are missing", n)
		s.health.Lost.Add(uint64(n))
	}
	s.health.Gaps.Add(1)
	to.Event(e)
}

// watch reports silence, once.
func (s *Source) watch(now int64, to sensors.Sink) {
	quiet := time.Duration(now - s.lastBytes)
	if s.o.Silence == 0 || s.silent || quiet < s.o.Silence {
		return
	}
	s.silent = true
	to.Event(sensors.Event{Time: now, Source: s.o.Name, Kind: sensors.Silent,
		Text: fmt.Sprintf("%s is open, but has sent nothing for %v", s.o.Port, quiet.Round(time.Millisecond))})
}

// listen counts the bytes that no text has.
func (s *Source) listen(chunk []byte) {
	s.noise.bytes += len(chunk)
	if s.o.Format == Lines && !s.noise.told {
		s.noise.odd += odd(chunk)
	}
}

// odd counts the bytes that plain text has not. Accents and ° are rare enough in it.
func odd(b []byte) (n int) {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' || c > '~' {
			n++
		}
	}
	return n
}

// judge says so, once, when what comes looks like another speed than the configured one.
func (s *Source) judge(now int64, to sensors.Sink) {
	if s.noise.bytes < noiseAfter || s.noise.told {
		return
	}
	var why string
	switch {
	case s.o.Format == Lines && s.noise.odd*3 > s.noise.bytes:
		why = fmt.Sprintf("%d of %d bytes are not text, and no line could be read", s.noise.odd, s.noise.bytes)
	case s.o.Format == COBS && (s.noise.damaged >= 4 || s.noise.bytes > 2*s.o.MaxLine):
		why = fmt.Sprintf("not one frame in %d bytes could be read", s.noise.bytes)
	default:
		return
	}
	s.noise.told = true
	to.Event(sensors.Event{Time: now, Source: s.o.Name, Kind: sensors.Detected,
		Text: fmt.Sprintf("%s at %d baud looks like a wrong baud rate or format: %s; usual rates are 9600, 19200, 38400, 57600, 115200", s.o.Port, s.o.Baud, why)})
}

// open opens a port for reading, 8N1.
func open(path string, baud int) (serial.Port, error) {
	port, err := serial.Open(path, &serial.Mode{BaudRate: baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit})
	if err == nil {
		if err = port.SetReadTimeout(pause); err == nil {
			return port, nil
		}
		port.Close()
	}
	var pe *serial.PortError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("serial port %s is not there (%w): is the device plugged in? `stirwatch ports` lists what is", path, err)
	case !errors.As(err, &pe):
	case pe.Code() == serial.PermissionDenied:
		return nil, fmt.Errorf("serial port %s must not be opened by this user (%w): add it to the group that owns the port, usually dialout", path, err)
	case pe.Code() == serial.PortBusy:
		return nil, fmt.Errorf("serial port %s is in use by another program (%w)", path, err)
	case pe.Code() == serial.InvalidSerialPort:
		return nil, fmt.Errorf("%s is no serial port (%w)", path, err)
	}
	return nil, fmt.Errorf("serial port %s at %d baud cannot be opened: %w", path, baud, err)
}

// read is port.Read, (0, nil) after [pause]. The library panics on a descriptor above 1023, which
// select(2) cannot watch.
func read(port serial.Port, b []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, fmt.Errorf("cannot be watched (%v): has this process more than 1000 files open?", p)
		}
	}()
	return port.Read(b)
}

// errGone replaces what the library and the kernel say of a device that is no longer there.
var errGone = errors.New("the device is gone: unplugged, or closed by the other side")

// gone names a lost device: the library calls it a closed port, which nobody here has closed, and a
// read that was under way when the device left fails with an errno of the kernel's (EIO of a hung-up
// terminal, ENXIO and ENODEV of a removed one).
func gone(err error) error {
	var pe *serial.PortError
	if errors.As(err, &pe) && slices.Contains([]serial.PortErrorCode{serial.PortClosed, serial.PortNotFound}, pe.Code()) {
		return errGone
	}
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ENODEV) {
		return errGone
	}
	return err
}
