// Package dialect holds the languages of controllers: MELD M-codes, lines of text, 3-D printer
// firmware, Modbus RTU and MQTT, each one a [bridge.Dialect], and the [Port] that they speak over.
package dialect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"go.bug.st/serial"

	bridge "stirwatch/firmware-bridge"
)

// Port is a byte connection to a controller that can be opened again and again. The dialects made
// for one controller share one Port.
type Port struct {
	Name   string                             // for messages
	Open   func() (io.ReadWriteCloser, error) // Close must wake a pending Read
	Settle time.Duration                      // after opening, for boards that restart then

	stuck atomic.Int32 // writes that have not come back
}

// maxStuck bounds how many writes may hang in a port that takes nothing, each with its goroutine
// and descriptor, before the port is no longer opened.
const maxStuck = 4

// SerialOptions describe a serial port with 8 data bits.
type SerialOptions struct {
	Path   string // /dev/serial/by-id/… survives renumbering
	Baud   int    // default 115200
	Parity string // none (default), even, odd
	Stop   int    // stop bits: 1 (default), 2
	Settle time.Duration
}

// Serial is a serial port as a [Port].
func Serial(o SerialOptions) (*Port, error) {
	if o.Baud == 0 {
		o.Baud = 115200
	}
	mode := &serial.Mode{BaudRate: o.Baud, DataBits: 8}
	switch o.Parity {
	case "", "none":
	case "even":
		mode.Parity = serial.EvenParity
	case "odd":
		mode.Parity = serial.OddParity
	default:
		return nil, fmt.Errorf("serial port %s: unknown parity %q; there are none, even, odd", o.Path, o.Parity)
	}
	switch o.Stop {
	case 0, 1:
	case 2:
		mode.StopBits = serial.TwoStopBits
	default:
		return nil, fmt.Errorf("serial port %s: %d stop bits; there are 1 and 2", o.Path, o.Stop)
	}
	return &Port{Name: "serial port " + o.Path, Settle: o.Settle, Open: func() (io.ReadWriteCloser, error) {
		p, err := serial.Open(o.Path, mode)
		if err == nil {
			if err = p.SetReadTimeout(readPause); err == nil {
				return &serialConn{port: p, mode: mode}, nil
			}
			p.Close()
		}
		return nil, explain(err)
	}}, nil
}

// explain adds the way out to an error of opening.
func explain(err error) error {
	var pe *serial.PortError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: is the controller plugged in? `stirwatch ports` lists what is", err)
	case !errors.As(err, &pe):
	case pe.Code() == serial.PermissionDenied:
		return fmt.Errorf("%w: add this user to the group that owns the port, usually dialout", err)
	case pe.Code() == serial.PortBusy:
		return fmt.Errorf("%w: is the agent or another program using it?", err)
	}
	return err
}

// readPause is how long a read waits, and so how long Close may have to.
const readPause = 20 * time.Millisecond

// serialConn makes Close wake Read: the library would close the descriptor under a pending read,
// and another open may get the same number before that read notices.
type serialConn struct {
	port    serial.Port
	mode    *serial.Mode
	closing atomic.Bool
	reading sync.Mutex
	writing sync.Mutex
}

func (c *serialConn) Read(b []byte) (n int, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	defer func() { // a descriptor above 1023 makes the library panic
		if p := recover(); p != nil {
			n, err = 0, fmt.Errorf("cannot be watched (%v): has this process more than 1000 files open?", p)
		}
	}()
	for !c.closing.Load() {
		if n, err = c.port.Read(b); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrClosedPipe
}

// Write may block for as long as the device takes nothing. One that wrote a part is an error and
// not continued: by then the descriptor may be another file's.
func (c *serialConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closing.Load() {
		return 0, io.ErrClosedPipe
	}
	n, err := c.port.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (c *serialConn) Close() error {
	c.closing.Store(true)
	c.reading.Lock()
	defer c.reading.Unlock()
	// Emptying the queue usually frees a write that waits for room; a pseudo terminal empties it
	// without a word to the writer, whom setting the mode wakes (n_tty_set_termios in Linux). One that
	// stays is left in the kernel, which keeps its file open.
	for range 10 {
		c.port.ResetOutputBuffer()
		if c.writing.TryLock() {
			defer c.writing.Unlock()
			break
		}
		c.port.SetMode(c.mode)
		time.Sleep(readPause / 2)
	}
	return c.port.Close()
}

// link is a connection over a port on which one request is made at a time. Nothing in it waits
// longer than the context it was given.
type link struct {
	port *Port
	conn *conn
	shut chan struct{} // the last connection is closed
	buf  []byte        // received and not yet taken
	// stale: a reply may still come that nobody waits for, since a request was given up or the
	// connection is new. torn: half a request may lie on the wire.
	stale, torn bool

	// Close may be called while a request hangs, and touches nothing else of the link.
	mu     sync.Mutex // setting conn and closed
	closed bool
}

type conn struct {
	rwc   io.ReadWriteCloser
	close func()        // rwc, once
	shut  chan struct{} // it is closed
	ready time.Time
	in    chan []byte
	gone  chan struct{} // the reader has ended, with err
	err   error
}

const (
	maxReply  = 64 << 10
	maxChunks = 256
)

// Open implements [bridge.Dialect].
func (l *link) Open(ctx context.Context) error { return l.connect(ctx) }

// connect makes sure that there is a connection and that the device has started.
func (l *link) connect(ctx context.Context) error {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return fmt.Errorf("%s: %w", l.port.Name, io.ErrClosedPipe)
	}
	if l.conn != nil {
		select {
		case <-l.conn.gone:
			l.drop() // lost while nobody looked
		default:
			return l.settle(ctx)
		}
	}
	if l.shut != nil {
		select {
		case <-l.shut:
		case <-ctx.Done():
			return fmt.Errorf("%s: it does not close: %w", l.port.Name, ctx.Err())
		}
	}
	if n := l.port.stuck.Load(); n >= maxStuck {
		return fmt.Errorf("%s: it takes no bytes (%d writes hang): unplug the controller or restart it", l.port.Name, n)
	}
	type opened struct {
		rwc io.ReadWriteCloser
		err error
	}
	result := make(chan opened, 1)
	go func() {
		rwc, err := l.port.Open()
		result <- opened{rwc, err}
	}()
	var o opened
	select {
	case o = <-result:
	case <-ctx.Done():
		go func() {
			if o := <-result; o.rwc != nil {
				o.rwc.Close()
			}
		}()
		return fmt.Errorf("%s: it does not open: %w", l.port.Name, ctx.Err())
	}
	if o.err != nil {
		return fmt.Errorf("%s: %w", l.port.Name, o.err)
	}
	c := &conn{rwc: o.rwc, ready: time.Now().Add(l.port.Settle), in: make(chan []byte, maxChunks), gone: make(chan struct{}), shut: make(chan struct{})}
	c.close = sync.OnceFunc(func() {
		c.rwc.Close()
		close(c.shut)
	})
	go c.read()
	l.mu.Lock()
	if closed = l.closed; !closed {
		l.conn = c
	}
	l.mu.Unlock()
	if closed {
		go c.close()
		return fmt.Errorf("%s: %w", l.port.Name, io.ErrClosedPipe)
	}
	l.stale = true
	return l.settle(ctx)
}

func (l *link) settle(ctx context.Context) error {
	wait := time.Until(l.conn.ready)
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w (settle %v after opening): %w", l.port.Name, bridge.ErrStarting, l.port.Settle, ctx.Err())
	}
}

// read hands on what comes in. What nobody takes is thrown away, oldest first: it would be stale.
func (c *conn) read() {
	defer close(c.gone)
	for {
		b := make([]byte, 1024)
		n, err := c.rwc.Read(b)
		for n > 0 {
			select {
			case c.in <- b[:n]:
				n = 0
			default:
				select {
				case <-c.in:
				default:
				}
			}
		}
		if err != nil {
			c.err = err
			return
		}
	}
}

// drop gives the connection up; closing goes on in the background.
func (l *link) drop() {
	c := l.conn
	if c == nil {
		return
	}
	l.mu.Lock()
	l.conn = nil
	l.mu.Unlock()
	l.shut, l.buf = c.shut, nil
	go c.close()
}

// write sends b. Where the port does not take it in time, or not all of it, the connection is given
// up, and the write left to itself.
func (l *link) write(ctx context.Context, b []byte) error {
	if err := l.connect(ctx); err != nil {
		return err
	}
	c, done := l.conn, make(chan error, 1)
	l.stale = true
	l.port.stuck.Add(1)
	go func() {
		_, err := c.rwc.Write(b)
		l.port.stuck.Add(-1)
		done <- err
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		// A request that is interrupted while it is written costs no connection: a board may restart
		// when its port is opened again.
		grace := time.NewTimer(writeGrace)
		defer grace.Stop()
		select {
		case err = <-done:
		case <-grace.C:
			err = fmt.Errorf("it takes no bytes: %w", ctx.Err())
		}
	}
	if l.torn = err != nil; l.torn {
		l.drop()
		return fmt.Errorf("%s: %w", l.port.Name, err)
	}
	return nil
}

// writeGrace is what a write may take beyond its context: a line goes into a buffer that has room
// for it in microseconds.
const writeGrace = 20 * time.Millisecond

// take waits until accept finds what it wants at the start of what was received and tells its
// length; 0: not yet.
func (l *link) take(ctx context.Context, accept func([]byte) int) ([]byte, error) {
	if l.conn == nil {
		return nil, fmt.Errorf("%s: not connected", l.port.Name)
	}
	for {
		if n := accept(l.buf); n > 0 {
			got := l.buf[:n:n]
			l.buf = l.buf[n:]
			return got, nil
		}
		if len(l.buf) > maxReply {
			l.buf = nil
			return nil, fmt.Errorf("%s: %d bytes without an end", l.port.Name, maxReply)
		}
		select {
		case b := <-l.conn.in:
			l.buf = append(l.buf, b...)
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: no reply in the time that a request has (timeout under bridge): %w", l.port.Name, ctx.Err())
		case <-l.conn.gone:
			select {
			case b := <-l.conn.in: // what came before the end
				l.buf = append(l.buf, b...)
				continue
			default:
			}
			err := l.conn.err
			l.drop()
			return nil, fmt.Errorf("%s: the connection is gone: %w", l.port.Name, err)
		}
	}
}

// line waits for a line that is not empty and returns it without blanks around it.
func (l *link) line(ctx context.Context) (string, error) {
	for {
		b, err := l.take(ctx, func(b []byte) int { return bytes.IndexAny(b, "\r\n") + 1 })
		if err != nil {
			return "", err
		}
		if b = bytes.TrimSpace(b); len(b) > 0 {
			return string(b), nil
		}
	}
}

// drain takes away what has come so far.
func (l *link) drain() {
	for l.more() {
	}
	l.buf = nil
}

// more adds to buf what has come, if anything has.
func (l *link) more() bool {
	if l.conn == nil {
		return false
	}
	select {
	case b := <-l.conn.in:
		l.buf = append(l.buf, b...)
		return true
	default:
		return false
	}
}

// quiet throws away what comes until nothing has come for d.
func (l *link) quiet(ctx context.Context, d time.Duration) error {
	if err := l.connect(ctx); err != nil {
		return err
	}
	l.drain()
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-l.conn.in:
			t.Reset(d)
		case <-t.C:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%s: it does not stop talking: %w", l.port.Name, ctx.Err())
		}
	}
}

func (l *link) Unsettled() bool { return l.port.stuck.Load() > 0 }

func (l *link) Close() error {
	l.mu.Lock()
	c := l.conn
	l.closed = true
	l.mu.Unlock()
	if c == nil {
		return nil
	}
	go c.close()
	t := time.NewTimer(10 * readPause)
	defer t.Stop()
	select {
	case <-c.shut:
		return nil
	case <-t.C:
		return fmt.Errorf("%s: it does not close: a write hangs in it", l.port.Name)
	}
}
