//go:build !linux

package mqtt

import (
	"syscall"
	"time"
)

// napper lets a reader sleep.
type napper struct{ every time.Duration }

func (t *napper) open(nap time.Duration) error {
	t.every = nap
	return nil
}

func (t *napper) nap(syscall.RawConn)  { time.Sleep(t.every) }
func (t *napper) stop(syscall.RawConn) {}
func (t *napper) close()               {}

// readNow reads a descriptor that does not block.
func readNow(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }
