package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// onTerminal starts the program on a terminal of its own, of so many columns and rows; what it draws is what it says.
func onTerminal(t *testing.T, columns, rows uint16, args ...string) (*process, *os.File) {
	t.Helper()
	p := &process{t: t, name: args[0], cmd: exec.Command(program(t), args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=1")
	terminal, err := pty.StartWithAttrs(p.cmd, &pty.Winsize{Cols: columns, Rows: rows}, &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() { // until the terminal is closed by the program's end
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := terminal.Read(buf)
			p.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { p.cmd.Wait(); <-read; close(p.done) }()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		terminal.Close()
		if said := p.said(); t.Failed() {
			t.Logf("%s drew:\n%s", p.name, said[max(0, len(said)-6000):])
		}
	})
	return p, terminal
}

// A running agent is watched through its socket: its values, an alarm that is acknowledged with a key, its death and its
// return; and the last state stays on the terminal. Without an agent the way out is told, and the journal tells the same.
func TestWatch(t *testing.T) {
	t.Parallel()
	b := newBed(t, "")
	text, err := os.ReadFile(b.conf)
	if err != nil {
		t.Fatal(err)
	}
	write(t, b.conf, strings.Replace(string(text), "a: {unit", "a: {is: tool temperature, unit", 1))
	if code, _, stderr := command(t, t.TempDir(), "watch", "-c", b.conf); code != exitFailure || !strings.Contains(stderr, "no agent runs here") ||
		!strings.Contains(stderr, "'stirwatch run -c "+b.conf+"' starts one") || !strings.Contains(stderr, "--journal "+b.journal) {
		t.Errorf("without an agent: %d, %s", code, stderr)
	}
	b.up()
	w, keys := onTerminal(t, 80, 24, "watch", "-c", b.conf, "--who", "Ann")
	press := func(key string) {
		if _, err := keys.WriteString(key); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(text string) { // the first line after a port was opened may be half a line, and does not count
		wait(t, "it shows "+text, func() bool { b.says(); return strings.Contains(w.said(), text) })
	}
	shows("a 20.0 °C")
	w.says("● measured", 1)
	b.value["a"] = "35"
	shows("a 35.0 °C")
	b.value["a"] = "500"
	shows("! a: the value is outside the sensor's range, 500 °C")
	press("a")
	w.says("sensor.out_of_range a is acknowledged", 1)
	w.says("acknowledged by Ann: a: the value", 1)
	b.agent.end(syscall.SIGKILL)
	w.says("no answer since ", 1)
	b.value["a"] = "41"
	b.up()
	shows("a 41.0 °C")
	press("q")
	if code := w.ended(); code != 0 {
		t.Errorf("it ends with code %d", code)
	}
	_, left, ok := strings.Cut(w.said(), "\x1b[?1049l") // the terminal's own screen again
	if !ok || !strings.Contains(left, "a 41.0 °C") || !strings.Contains(left, "watched ") || !strings.Contains(left, "a 20.0 to 41.0 °C") || !strings.Contains(left, "times that the agent was lost: 1") {
		t.Errorf("what stays: %q", left)
	}
	c, keys := onTerminal(t, 200, 60, "watch", "--journal", b.journal, "-c", b.conf)
	c.says("Events, the newest first", 1)
	if _, err := keys.WriteString("\x03"); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	if code := c.ended(); code != 0 || !strings.Contains(c.said(), "watched ") {
		t.Errorf("Ctrl-C: code %d", code)
	}
	if code, out, stderr := command(t, t.TempDir(), "watch", "--once", "--journal", b.journal, "-c", b.conf); code != 0 || !strings.Contains(out, "a 41.0 °C") {
		t.Errorf("once: %d, %s%s", code, out, stderr)
	}
}
