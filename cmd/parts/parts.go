// Package parts starts real programs for tests: a mosquitto, an InfluxDB. Each listens on a loopback
// port of its own and ends with the test; a test is skipped where the program is not installed.
// Tests of every room may import it, and only tests may.
package parts

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a program.
const patience = 3 * time.Minute

// Process is a program that a test starts and stops, as often as it likes.
type Process struct {
	t     testing.TB
	name  string
	args  []string
	ready func() bool // it takes what tests ask of it
	cmd   *exec.Cmd   // nil while it does not run
	out   Buffer
}

// Buffer keeps what a program or a log says; several goroutines may use it.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *Buffer) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *Buffer) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func newProcess(t testing.TB, name string, ready func() bool, args ...string) *Process {
	p := &Process{t: t, name: name, args: args, ready: ready}
	t.Cleanup(func() {
		p.Stop(syscall.SIGKILL)
		if said := p.Said(); t.Failed() && said != "" {
			t.Logf("%s said:\n%s", name, said[max(0, len(said)-3000):])
		}
	})
	return p
}

// Start runs the program and waits until it is ready.
func (p *Process) Start() {
	p.t.Helper()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the tests be killed
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	for end := time.Now().Add(patience); !p.ready(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%s is not ready within %v; it says:\n%s", p.name, patience, p.Said())
		}
	}
}

// Stop ends the program with a signal, if it runs, and waits until it has ended.
func (p *Process) Stop(s syscall.Signal) {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(s)
	p.cmd.Wait()
	p.cmd = nil
}

// Said is what the program has printed so far.
func (p *Process) Said() string { return p.out.String() }

// find looks for a program where it is named, made and installed; it skips the test if it is nowhere.
func find(t testing.TB, name, variable, hint string) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		return path
	}
	for dir, err := os.Getwd(); err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if path := filepath.Join(dir, ".tools", "bin", name); isThere(path) {
			return path
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if path := "/usr/sbin/" + name; isThere(path) { // not in everybody's PATH
		return path
	}
	t.Skipf("no %s: %s", name, hint)
	return ""
}

func isThere(path string) bool { _, err := os.Stat(path); return err == nil }

// address gives a free one.
func address(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t testing.TB, path, format string, a ...any) string {
	t.Helper()
	if err := os.WriteFile(path, fmt.Appendf(nil, format, a...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
