package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func (k *kit) heater() float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.q[0]
}

func (k *kit) listen(to bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deaf = !to
}

// setting starts `bridge set` and waits until the heater has the value.
func setting(t *testing.T, k *kit, path string) *process {
	t.Helper()
	p := start(t, "set", program(t), "bridge", "set", "heater_1", "15 %", "--for", "10m", "--why", "a life", "-c", path)
	p.says("reached", 1)
	if k.heater() != 15 {
		t.Fatalf("heater at %g", k.heater())
	}
	return p
}

// leased is what the state file names.
func leased(t *testing.T, path string) (names []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(filepath.Dir(path), "stirwatch-data", "bridge.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Leased []string }
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s.Leased
}

// Success is a confirmation. A controller that says nothing, one that is not there, and a time too
// short for the way are failures with their reason.
func TestSetFailsWithoutConfirmation(t *testing.T) {
	t.Parallel()
	k, path := kitOnPty(t)
	k.listen(false)
	for _, c := range []struct {
		value, length, says string
		before              func()
	}{
		{"15 %", "1s", "heater_1 was not confirmed at 15 % within 1s", func() {}},
		{"55 %", "3s", "--for must be longer", func() { k.listen(true) }},
		{"15 %", "1s", "is the controller plugged in?", func() {
			text, _ := os.ReadFile(path)
			write(t, path, strings.Replace(string(text), "/dev/pts/", "/dev/pts/none-", 1))
		}},
	} {
		c.before()
		code, out, errs := command(t, filepath.Dir(path), "bridge", "set", "heater_1", c.value, "--for", c.length, "--why", "nobody answers")
		if code != exitFailure || !strings.Contains(errs, c.says) {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
	}
	if k.heater() != 0 {
		t.Errorf("heater at %g", k.heater())
	}
}

// A controller that takes longer to start than patience lasts is waited for, and that time does not
// count.
func TestSetWaitsForAControllerThatStarts(t *testing.T) {
	t.Parallel()
	_, path := kitOnPty(t, "settle: 2 s", "settle: 4 s", "  targets:", "  patience: 3 s\n  step: 100 ms\n  targets:", "10 %/s", "1000 %/s")
	code, out, errs := command(t, filepath.Dir(path), "bridge", "set", "heater_1", "15 %", "--for", "2s", "--why", "it starts")
	if code != 0 || !strings.Contains(out, "reached") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// A dropped line is a Ctrl-C: the machine reverts.
func TestAHangUpReverts(t *testing.T) {
	t.Parallel()
	// A program that is started with hang-ups ignored (nohup) ignores them too; here it is not, whoever started the tests.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	k, path := kitOnPty(t)
	p := setting(t, k, path)
	if code := p.end(syscall.SIGHUP); code != 130 || k.heater() != 0 || len(leased(t, path)) != 0 {
		t.Errorf("exit code %d, heater at %g, left %v", code, k.heater(), leased(t, path))
	}
}

// Whoever reads the output goes away: the way to the safe state is the same.
func TestABrokenPipeReverts(t *testing.T) {
	t.Parallel()
	k, path := kitOnPty(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: "set", cmd: exec.Command(program(t), "bridge", "set", "heater_1", "15 %", "--for", "4s", "--why", "a life", "-c", path)}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.run()
	w.Close()
	buf := make([]byte, 1)
	r.Read(buf)
	r.Close()
	if code := p.ended(); code != 0 || k.heater() != 0 || k.most != 15 || len(leased(t, path)) != 0 {
		t.Errorf("exit code %d, heater at %g, at most %g, left %v", code, k.heater(), k.most, leased(t, path))
	}
}

// The safe state is tried until a second Ctrl-C, which says what it leaves; whoever comes next shows
// that and reverts it, and a new command is taken.
func TestWhatIsLeftIsShownAndReverted(t *testing.T) {
	t.Parallel()
	k, path := kitOnPty(t)
	dir := filepath.Dir(path)
	left := func() {
		t.Helper()
		if names := leased(t, path); len(names) != 1 || k.heater() != 15 {
			t.Fatalf("left %v, heater at %g", names, k.heater())
		}
		k.listen(true)
	}
	reverted := func(code int, said ...string) {
		t.Helper()
		if all := strings.Join(said, ""); code != 0 || !strings.Contains(all, "left under lease by a program that died") || k.heater() != 0 || len(leased(t, path)) != 0 {
			t.Errorf("exit code %d, heater at %g, left %v\n%s", code, k.heater(), leased(t, path), all)
		}
	}

	p := setting(t, k, path)
	k.listen(false)
	p.cmd.Process.Signal(syscall.SIGINT)
	p.says("it is tried again until", 2)
	if code := p.end(syscall.SIGINT); code != exitFailure || !strings.Contains(p.said(), `stirwatch: bridge: heater_1 may not be in its safe state "off" (0 %)`) || !strings.Contains(p.said(), "bridge.json remembers it") {
		t.Errorf("exit code %d", code)
	}
	left()
	code, out, errs := command(t, dir, "bridge", "get", "heater_1")
	reverted(code, out, errs)
	if !strings.Contains(out, "0 %") {
		t.Error(out)
	}

	for _, next := range [][]string{{"bridge", "probe"}, {"bridge", "set", "heater_1", "15 %", "--for", "3s", "--why", "again"}} {
		setting(t, k, path).end(syscall.SIGKILL)
		left()
		code, out, errs := command(t, dir, next...)
		reverted(code, out, errs)
	}

	setting(t, k, path).end(syscall.SIGKILL)
	left()
	_, out, errs = command(t, dir, "doctor", "--patience", "100ms") // the source is not there
	reverted(0, out, errs)
	if !strings.Contains(out, "ok   bridge           heater_1: in the safe state") {
		t.Error(out)
	}

	setting(t, k, path).end(syscall.SIGKILL)
	left()
	agent := start(t, "run", program(t), "run", "-c", path)
	agent.says("they are reverted", 1)
	agent.says("the targets are in their safe states", 1)
	if code := agent.end(syscall.SIGTERM); code != 0 || k.heater() != 0 || len(leased(t, path)) != 0 {
		t.Errorf("exit code %d, heater at %g, left %v", code, k.heater(), leased(t, path))
	}
}
