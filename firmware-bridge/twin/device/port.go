package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Port is a serial port of our own: a pseudo-terminal whose other end stands under a link.
type Port struct {
	master  *os.File
	fd      int
	name    string // of the terminal, e.g. /dev/pts/4
	link    string
	mark    string    // ends a message
	came    time.Time // when the reader was first seen; zero: nobody has the port open
	greeted bool      // the reader has got its mark
	deaf    bool      // the reader has let a line wait too long and taken nothing since
}

const (
	// LookAgain is how often a port without traffic should be looked at for readers.
	LookAgain = 20 * time.Millisecond
	// settling is what a program gets to set up the port it has just opened; what came in
	// before may be flushed.
	settling = time.Second
	// stall is how long a line waits for a reader that has the port open but does not read.
	stall = time.Second
	// lastRead is how long the reader gets for the last lines, as long as it reads on.
	lastRead = 5 * time.Second
)

// Open makes the pseudo-terminal and the link to it. A link that is there is replaced, any
// other file is refused. Mark is what ends a message; it greets a reader, "" does not.
func Open(link string, mark string) (*Port, error) {
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return nil, fmt.Errorf("serial link %s: a file that is no link stands there; remove it or choose another name", link)
	}
	master, terminal, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("no pseudo-terminal: %w", err)
	}
	p := &Port{master: master, fd: int(master.Fd()), name: terminal.Name(), link: link, mark: mark}
	_, err = term.MakeRaw(int(terminal.Fd()))
	if err == nil {
		err = unix.SetNonblock(p.fd, true)
	}
	// Once nobody has the terminal open, the master shows it as a hang-up.
	err = errors.Join(err, terminal.Close())
	if err == nil {
		fresh := fmt.Sprintf("%s.%d.new", link, os.Getpid())
		if err = os.Symlink(p.name, fresh); err == nil {
			if err = os.Rename(fresh, link); err != nil {
				os.Remove(fresh)
			}
		}
	}
	if err != nil {
		master.Close()
		return nil, fmt.Errorf("serial link %s: %w", link, err)
	}
	return p, nil
}

// Close removes the link, if it is still ours, and the port.
func (p *Port) Close() {
	if to, err := os.Readlink(p.link); err == nil && to == p.name {
		os.Remove(p.link)
	}
	p.master.Close()
}

// ready waits up to d for one of the events; hup tells that nobody has the port open.
func (p *Port) ready(events int16, d time.Duration) (ok, hup bool, err error) {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: events}}
	_, err = unix.Poll(fds, int(d.Milliseconds()))
	if err == unix.EINTR {
		err = nil
	}
	return fds[0].Revents&events != 0, fds[0].Revents&unix.POLLHUP != 0, err
}

// Greet reports whether a reader is there and ready. One who has just opened the port gets time to
// set it up, and then a mark: readers leave out what comes before the first end of a message, as
// its start may be missing.
func (p *Port) Greet() (bool, error) {
	_, hup, err := p.ready(0, 0)
	switch {
	case err != nil:
		return false, fmt.Errorf("serial port %s: %w", p.name, err)
	case hup:
		p.came, p.greeted = time.Time{}, false
	case p.came.IsZero():
		p.came = time.Now()
	case !p.greeted && time.Since(p.came) >= settling:
		n, err := unix.Write(p.fd, []byte(p.mark))
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return false, fmt.Errorf("serial port %s: %w", p.name, err)
		}
		p.greeted = n == len(p.mark)
	}
	return p.greeted, nil
}

// Await waits until someone has opened the port and set it up.
func (p *Port) Await(ctx context.Context) error {
	for {
		if there, err := p.Greet(); there || err != nil {
			return err
		}
		if err := Sleep(ctx, LookAgain); err != nil {
			return err
		}
	}
}

// Write sends one line. With hold it waits for a reader as long as it takes; otherwise a line
// for which nobody is ready is dropped: false. A line that has begun is never cut short while the reader
// is there.
func (p *Port) Write(ctx context.Context, b []byte, hold bool) (bool, error) {
	whole, begun := b, false
	began, patience := time.Now(), stall
	if p.deaf {
		patience = 0
	}
	for len(b) > 0 {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		there, err := p.Greet()
		switch {
		case err != nil:
			return false, err
		case !there && !hold:
			return false, nil
		case !there:
			if err := p.Await(ctx); err != nil {
				return false, err
			}
			b, begun = whole, false // the new reader gets it from its start
		}
		ok, hup, err := p.ready(unix.POLLOUT, min(LookAgain, patience))
		switch {
		case err != nil:
			return false, fmt.Errorf("serial port %s: %w", p.name, err)
		case hup:
			continue
		case !ok && !hold && !begun && time.Since(began) >= patience:
			p.deaf = true
			return false, nil
		case !ok:
			patience = max(patience, LookAgain) // no busy loop over a line that has begun
			continue
		}
		n, err := unix.Write(p.fd, b)
		if n > 0 {
			b, begun, p.deaf = b[n:], true, false
		}
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return false, fmt.Errorf("serial port %s: %w", p.name, err)
		}
		if n <= 0 {
			// A terminal may call itself writable and yet take nothing.
			if !hold && !begun && time.Since(began) >= patience {
				p.deaf = true
				return false, nil
			}
			if err := Sleep(ctx, LookAgain); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// Drain waits until the reader has taken everything, as closing the port would throw the rest
// away. It gives up when the reader takes nothing for a while.
func (p *Port) Drain(ctx context.Context) error {
	terminal, err := unix.Open(p.name, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		// The reader keeps the port to itself: it gets a little time.
		return Sleep(ctx, settling)
	}
	defer unix.Close(terminal)
	before, empty, since := -1, 0, time.Now()
	for empty < 3 && time.Since(since) < lastRead { // a reader that takes the last of one buffer is about to be given the next
		n, err := unread(terminal)
		if err != nil {
			return Sleep(ctx, settling)
		}
		if n != before {
			before, since = n, time.Now()
		}
		if empty++; n > 0 {
			empty = 0
		}
		if err := Sleep(ctx, LookAgain); err != nil {
			return err
		}
	}
	return nil
}

// Name is the terminal's own path, e.g. /dev/pts/4.
func (p *Port) Name() string { return p.name }

// Read waits up to d for bytes of whoever has the port open. It gives 0 and no error when there
// are none, also while nobody has it open.
func (p *Port) Read(ctx context.Context, b []byte, d time.Duration) (int, error) {
	ok, hup, err := p.ready(unix.POLLIN, min(d, time.Second))
	if err != nil {
		return 0, fmt.Errorf("serial port %s: %w", p.name, err)
	}
	if !ok {
		if hup {
			return 0, Sleep(ctx, min(d, LookAgain))
		}
		return 0, ctx.Err()
	}
	n, err := unix.Read(p.fd, b)
	if err == unix.EAGAIN || err == unix.EINTR || err == unix.EIO {
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("serial port %s: %w", p.name, err)
	}
	return n, nil
}

// Answer sends bytes to whoever has the port open, without waiting for one who does not read.
func (p *Port) Answer(b []byte) bool {
	n, err := unix.Write(p.fd, b)
	return err == nil && n == len(b)
}
