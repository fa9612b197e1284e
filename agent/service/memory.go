package service

import (
	"bufio"
	"bytes"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// ForgetStart gives back the memory that only the start of the program needed. The kernel maps 64 KiB of the
// program's file around every page that is touched, and initialisation touches all packages; nothing takes
// that back while there is room, so that it counts as resident for good. What is in use comes back with its
// next use, out of the kernel's cache. It does nothing where the system has no /proc.
func ForgetStart() {
	debug.FreeOSMemory()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		if from, to, ok := unchanged(lines.Text(), program); ok {
			syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED) // advice: there is nothing to do where it is not taken
		}
	}
}

// unchanged reads a line of proc(5)'s maps, such as
//
//	00400000-01a3f000 r-xp 00000000 fe:00 1835 /usr/bin/stirwatch
//
// and tells whether it is a private part of the program's file that cannot have been written to.
func unchanged(line, program string) (from, to uintptr, ok bool) {
	f := strings.Fields(line)
	if len(f) < 6 || strings.Join(f[5:], " ") != program || strings.Contains(f[1], "w") || !strings.HasSuffix(f[1], "p") {
		return 0, 0, false
	}
	low, high, _ := strings.Cut(f[0], "-")
	a, err := strconv.ParseUint(low, 16, 64)
	b, err2 := strconv.ParseUint(high, 16, 64)
	return uintptr(a), uintptr(b), err == nil && err2 == nil && a < b
}
