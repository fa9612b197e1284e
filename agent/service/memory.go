package service

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	started     = 5 * time.Second // what is only needed to start has been done
	forgetEvery = 5 * time.Second // what is done more rarely need not stay in memory; to map what is in use anew takes a thousandth of a core
)

// Forget gives back memory that is not in use, until ctx ends: first what only the start of the program needed, then time
// and again what of its file has been read since and is not read any more. The kernel maps 64 KiB of a file around
// every page that is touched, initialisation touches all packages, and what is done once an hour, or for one person, much of
// SQLite; nothing takes that back while there is room, so that it counts as resident for good. What is in use comes
// back with its next use, out of the kernel's cache. It does nothing where the system has no /proc.
func Forget(ctx context.Context) {
	wait := time.NewTimer(started)
	defer wait.Stop()
	var parts [][2]uintptr
	for first := true; ; first = false {
		select {
		case <-wait.C:
		case <-ctx.Done():
			return
		}
		if first {
			debug.FreeOSMemory()
			parts = programParts()
		}
		forget(parts)
		wait.Reset(forgetEvery)
	}
}

// programParts gives start and end of the parts of the program's file that can be given back.
func programParts() [][2]uintptr {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return nil
	}
	return unchanged(maps, program)
}

func forget(parts [][2]uintptr) {
	for _, part := range parts {
		syscall.Syscall(syscall.SYS_MADVISE, part[0], part[1]-part[0], syscall.MADV_DONTNEED) // advice: there is nothing to do where it is not taken
	}
}

// unchanged reads proc(5)'s smaps, whose entries begin such as
//
//	00400000-01a3f000 r-xp 00000000 fe:00 1835 /usr/bin/stirwatch
//
// and gives start and end of the private, read-only parts of the program's file that are as the file has
// them: none of their pages is anonymous. A part that was relocated and then protected, which a linker
// makes of constants with addresses, is read-only too, and would come back without its relocation.
func unchanged(smaps []byte, program string) (parts [][2]uintptr) {
	var at [2]uintptr
	of := false // the entry is a private, read-only part of the program
	for lines := bufio.NewScanner(bytes.NewReader(smaps)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 3 && f[0] == "Anonymous:":
			if of && f[1] == "0" {
				parts = append(parts, at)
			}
			of = false
		case len(f) >= 5 && strings.Contains(f[0], "-"):
			low, high, _ := strings.Cut(f[0], "-")
			from, err := strconv.ParseUint(low, 16, 64)
			to, err2 := strconv.ParseUint(high, 16, 64)
			at = [2]uintptr{uintptr(from), uintptr(to)}
			of = err == nil && err2 == nil && from < to && strings.Join(f[5:], " ") == program &&
				!strings.Contains(f[1], "w") && strings.HasSuffix(f[1], "p")
		}
	}
	return parts
}
