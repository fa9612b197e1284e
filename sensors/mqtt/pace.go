package mqtt

import (
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
	before func()        // called before Read naps or waits: nothing more is at hand

	drained bool // the last read left nothing in the socket
	fast    bool // the next message is expected within a nap
	high    bool // low-water mark is raised
}

// napBytes is the low-water mark during naps: the kernel need not tell the runtime about less.
const napBytes = 64 << 10

func newPaced(c *net.TCPConn, nap time.Duration) (*paced, error) {
	raw, err := c.SyscallConn()
	return &paced{TCPConn: c, raw: raw, nap: nap, before: func() {}}, err
}

func (p *paced) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if p.drained {
		p.before()
		if p.fast {
			p.lowWater(true)
			time.Sleep(p.nap)
			if n, err := p.try(b); n > 0 || err != nil {
				p.drained = n < len(b)
				return n, err
			}
		}
		p.lowWater(false)
	}
	start := time.Now()
	n, err := p.TCPConn.Read(b)
	p.fast = p.nap > 0 && time.Since(start) < p.nap
	p.drained = n < len(b)
	return n, err
}

// try reads what is there; 0 bytes and no error say that nothing is.
func (p *paced) try(b []byte) (n int, err error) {
	ctl := p.raw.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), b)
		return true
	})
	switch {
	case ctl != nil:
		return 0, ctl
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return 0, nil
	case err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: p.LocalAddr(), Addr: p.RemoteAddr(), Err: err}
	case n == 0: // end of stream: let the ordinary read say so
		return p.TCPConn.Read(b)
	}
	return n, nil
}

func (p *paced) lowWater(high bool) {
	if p.high == high {
		return
	}
	mark := 1
	if high {
		mark = napBytes
	}
	p.high = high
	p.raw.Control(func(fd uintptr) { setLowWater(fd, mark) })
}
