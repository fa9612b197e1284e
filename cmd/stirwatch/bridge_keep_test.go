package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// opened gives the descriptors of a process that are open on a file.
func opened(pid int, file string) (all []string) {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == file {
			all = append(all, fd)
		}
	}
	return all
}

// Opening a port restarts many boards: get --every opens it once, however often it asks.
func TestGetKeepsThePortOpen(t *testing.T) {
	t.Parallel()
	_, path := kitOnPty(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(string(text), "/dev/pts/")
	port = "/dev/pts/" + port[:strings.IndexFunc(port, func(r rune) bool { return r < '0' || r > '9' })]
	p := start(t, "get", program(t), "bridge", "get", "heater_1", "--every", "50ms", "-c", path)
	p.says("0 %", 1)
	first := opened(p.cmd.Process.Pid, port)
	if len(first) != 1 {
		t.Fatalf("%s is open as %v", port, first)
	}
	was, err := os.Lstat(first[0])
	if err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= 8; n++ {
		p.says("0 %", n)
		is, err := os.Lstat(first[0])
		if now := opened(p.cmd.Process.Pid, port); len(now) != 1 || now[0] != first[0] || err != nil || !is.ModTime().Equal(was.ModTime()) {
			t.Errorf("after %d readings %s is open as %v, it was %v", n, port, now, first)
		}
	}
	p.end(syscall.SIGINT)
}
