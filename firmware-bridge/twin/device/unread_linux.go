package device

import "golang.org/x/sys/unix"

// unread is the number of bytes that wait in a terminal for its reader.
func unread(terminal int) (int, error) { return unix.IoctlGetInt(terminal, unix.TIOCINQ) }
