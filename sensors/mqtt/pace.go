package mqtt

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// paced reads a TCP socket in bursts. A goroutine parked on a socket is woken by every segment,
// and waking is most of what a small message costs. So while messages follow each other closely,
// Read naps first and then takes what has gathered; on a slow stream it waits for the first byte
// and returns at once.
type paced struct {
	*net.TCPConn
	raw    syscall.RawConn
	nap    time.Duration // 0: never nap
	naps   napper
	before func() // called before Read naps or waits: nothing more is at hand

	drained bool // the last read left nothing in the socket
	fast    bool // the next message is expected within a nap

	try func(fd uintptr) bool // reads into b without waiting
	b   []byte
	n   int
	err error
}

func newPaced(c *net.TCPConn, nap time.Duration) (*paced, error) {
	p := &paced{TCPConn: c, nap: nap, before: func() {}}
	p.try = func(fd uintptr) bool {
		p.n, p.err = readNow(fd, p.b)
		return true
	}
	var err error
	if p.raw, err = c.SyscallConn(); err == nil && nap > 0 {
		err = p.naps.open(nap)
	}
	return p, err
}

func (p *paced) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if p.drained {
		p.before()
		if p.fast {
			p.naps.nap(p.raw)
			if n, err := p.readNow(b); n > 0 || err != nil {
				p.drained = n < len(b)
				return n, err
			}
			p.fast = false
			p.naps.stop(p.raw)
		}
	}
	start := time.Now()
	n, err := p.TCPConn.Read(b)
	if p.drained {
		p.fast = p.nap > 0 && time.Since(start) < p.nap
	}
	p.drained = n < len(b)
	return n, err
}

// readNow reads what is there; 0 bytes and no error say that nothing is.
func (p *paced) readNow(b []byte) (int, error) {
	p.b = b
	err := p.raw.Read(p.try)
	p.b = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(p.err, syscall.EAGAIN) || errors.Is(p.err, syscall.EINTR):
		return 0, nil
	case p.err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: p.LocalAddr(), Addr: p.RemoteAddr(), Err: p.err}
	case p.n == 0:
		return 0, io.EOF
	}
	return p.n, nil
}

// Close implements [net.Conn].
func (p *paced) Close() error {
	p.naps.close()
	return p.TCPConn.Close()
}
