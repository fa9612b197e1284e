package mqtt

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// napper wakes a reader at regular times for as little as possible. Its clock is a timer
// descriptor (timerfd_create(2)) that ticks by itself: a goroutine's sleep and an ordinary read
// each make the Go scheduler wake its watchdog thread as well, which costs more than the nap
// saves. Meanwhile a raised low-water mark keeps the kernel from reporting every segment.
type napper struct {
	file  *os.File
	raw   syscall.RawConn
	every unix.Timespec
	on    bool
	tick  func(fd uintptr) bool
	count [8]byte
}

// lowWater is the SO_RCVLOWAT (socket(7)) of a socket whose reader naps, bytes. It widens the
// window too, so that a broker with a backlog need not wait for the end of a nap.
const lowWater = 256 << 10

func (t *napper) open(nap time.Duration) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	t.every = unix.NsecToTimespec(int64(nap))
	t.file = os.NewFile(uintptr(fd), "timerfd")
	t.tick = func(fd uintptr) bool {
		_, err := readNow(fd, t.count[:])
		return err == nil
	}
	t.raw, err = t.file.SyscallConn()
	return err
}

// nap returns at the next tick. An error needs no word: it means that the source is closed, or
// that reads cost more than they could.
func (t *napper) nap(socket syscall.RawConn) {
	if !t.on {
		t.set(socket, t.every, lowWater)
	}
	_ = t.raw.Read(t.tick)
}

// stop lets the socket wake its reader at every byte again.
func (t *napper) stop(socket syscall.RawConn) {
	if t.on {
		t.set(socket, unix.Timespec{}, 1)
	}
}

func (t *napper) set(socket syscall.RawConn, every unix.Timespec, mark int) {
	t.on = mark != 1
	_ = t.raw.Control(func(fd uintptr) {
		_ = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Interval: every, Value: every}, nil)
	})
	_ = socket.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, mark)
	})
}

func (t *napper) close() {
	if t.file != nil {
		t.file.Close()
	}
}

// readNow reads a descriptor that does not block, unknown to the scheduler.
func readNow(fd uintptr, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
