//go:build !linux

package device

import "errors"

// unread is the number of bytes that wait in a terminal for its reader; not to be had here.
func unread(int) (int, error) { return 0, errors.ErrUnsupported }
