package mqtt

import "syscall"

// setLowWater sets SO_RCVLOWAT (socket(7)): readiness is reported from that many bytes on. It is
// a saving only; where the kernel refuses it, readiness is reported earlier.
func setLowWater(fd uintptr, bytes int) {
	_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes)
}
