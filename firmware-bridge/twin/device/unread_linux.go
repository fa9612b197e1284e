package device

import "golang.org/x/sys/unix"

// unread is the number of bytes that wait in a terminal for its reader. What is still in the kernel's own queue on its
// way into the terminal is counted nowhere; a poll brings it in (drivers/tty/n_tty.c, n_tty_poll).
func unread(terminal int) (int, error) {
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(terminal), Events: unix.POLLIN}}, 0); err != nil && err != unix.EINTR {
		return 0, err
	}
	return unix.IoctlGetInt(terminal, unix.TIOCINQ)
}
