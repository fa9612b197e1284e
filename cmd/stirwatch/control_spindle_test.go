package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stirwatch/config"
)

// forge is a machine built otherwise than the twin: a lag with a dead time, heated by a spindle that its own
// controller turns, ten times as fast as a real one. It speaks the MELD dialect and tells JSON lines.
type forge struct {
	mu          sync.Mutex
	temp, rpm   float64
	wanted      float64 // rpm
	set         float64 // °C, 0: its controller is off
	cold        float64 // °C, what it would be without a spindle that turns
	late        []float64
	steps       int
	noProbe     bool
	said        []string // commands, in order
	port, tells string
}

// newForge makes one that tells its lines over a pseudo terminal, or through tell where that is given.
func newForge(t testing.TB, tell ...func(line string)) *forge {
	f := &forge{temp: 440, rpm: 340, wanted: 340, set: 440, cold: 320}
	f.port, _ = lines(t, f.answer)
	path, master := lines(t, nil)
	f.tells = path
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		beat := time.NewTicker(20 * time.Millisecond)
		defer beat.Stop()
		for k := 0; ; k++ {
			select {
			case <-stop:
				return
			case <-beat.C:
			}
			line := f.step(0.2)
			if k%2 == 1 {
				continue
			}
			if len(tell) > 0 {
				tell[0](line)
			} else if _, err := master.WriteString(line); err != nil {
				return
			}
		}
	}()
	return f
}

// step lets dt s of the machine's time pass, and gives its line.
func (f *forge) step(dt float64) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.set > 0 {
		f.wanted = min(max(f.wanted+0.25*(f.set-f.temp)*dt, 250), 450)
	}
	f.rpm += min(max(f.wanted-f.rpm, -60*dt), 60*dt)
	f.late = append(f.late, f.rpm)
	if len(f.late) > 5 {
		f.late = f.late[1:]
	}
	f.temp += dt / 6 * (f.cold + 0.35*f.late[0] - f.temp)
	f.steps++
	shown := f.temp + 0.3*math.Sin(float64(7*f.steps)) // a thermocouple that never moves is taken for one that is stuck
	if f.noProbe {
		shown = -2
	}
	return fmt.Sprintf(`{"temp": %.1f, "rpm": %.1f, "torque": 205.5, "power": 7400, "feed": 381, "path": 790}`+"\n", shown, f.rpm)
}

func (f *forge) answer(s string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s == "?" {
		return fmt.Sprintf("state=RUN mode=3 pid=%d sp=%.1f temp=%.1f rpm=%.1f busy=-\r\n", min(1, int(f.set)), f.set, f.temp, f.rpm)
	}
	code, word, _ := strings.Cut(s, " S")
	v, err := strconv.ParseFloat(word, 64)
	switch {
	case err != nil:
		return "error: unknown\r\n"
	case code == "M41":
		f.set = v
	case code == "M06":
		f.wanted, f.set = v, 0
	default:
		return "error: unknown\r\n"
	}
	f.said = append(f.said, s)
	return "ok\r\n"
}

func (f *forge) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// own reports whether the machine's own controller holds 455 °C.
func (f *forge) own() (is bool) {
	f.with(func() { is = f.set == 455 })
	return is
}

// off is how far the temperature is from the goal, K; +Inf while the machine's own controller is on.
func (f *forge) off() (d float64) {
	f.with(func() {
		if d = math.Abs(f.temp - 455); f.set > 0 {
			d = math.Inf(1)
		}
	})
	return d
}

// A loop that turns the spindle in the place of the machine's own controller gives it back to that controller, whatever ends it.
func TestASpindleIsGivenBackToItsController(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute of real time")
	}
	t.Parallel()
	f := newForge(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "agent.yaml")
	text := controlPage(t, "hands_back", "lease: 5 s", "lease: 2 s", "resume: 30 s", "resume: 2 s",
		"gain: 3, integral: 5 s", "gain: 1, integral: 1 s", "every: 200 ms", "every: 500 ms") // calm, so that a machine under load does not make it swing
	write(t, conf, strings.NewReplacer("/dev/serial/by-id/usb-telemetry", f.tells, "/dev/serial/by-id/usb-controller", f.port, "slew: 50 rpm/s", "slew: 500 rpm/s").Replace(text))
	if code, _, errs := command(t, dir, "config", "check", conf); code != 0 {
		t.Fatal(errs)
	}
	agent := start(t, "run", program(t), "run", "-c", conf)
	held := func(what string) { t.Helper(); wait(t, what, func() bool { return f.off() < 2 }) }
	held("the spindle is led and the temperature at its goal")

	f.with(func() { f.noProbe = true })
	wait(t, "a dead sensor gives the spindle back", f.own)
	f.with(func() { f.noProbe = false })
	held("it is led again")

	// An operator at the panel switches the machine's own controller on, while the spindle is left alone: a command that
	// crosses the operator's would switch that controller off again before anybody has seen it.
	// Where the loop has just given the spindle back for a reason of its own there is nobody to yield: once more.
	yielded := false
	for attempt := 0; attempt < 5 && !yielded; attempt++ {
		commands, since := 0, time.Now()
		wait(t, "the spindle is led without a change", func() bool {
			f.with(func() {
				if len(f.said) != commands {
					commands, since = len(f.said), time.Now()
				}
			})
			return time.Since(since) > 2*time.Second && f.off() < 2
		})
		f.with(func() { f.set = 430 })
		wait(t, "the loop yields to the operator, or takes another command of its own", func() bool {
			_, out, _ := command(t, dir, "control", "status", "-c", conf)
			yielded = strings.Contains(out, "tool: advise")
			return yielded || f.at() != 430
		})
	}
	if got := f.at(); !yielded || got != 430 {
		t.Fatalf("the operator's 430 °C became %g", got)
	}
	command(t, dir, "control", "mode", "tool", "auto", "--why", "on we go", "-c", conf)
	held("switched on again")

	agent.cmd.Process.Signal(syscall.SIGKILL)
	<-agent.done
	if f.own() {
		t.Error("nobody was there to give it back")
	}
	again := start(t, "run again", program(t), "run", "-c", conf)
	wait(t, "the next start gives it back", f.own)
	held("and leads it")
	again.cmd.Process.Signal(syscall.SIGTERM)
	<-again.done
	if !f.own() {
		t.Error("the end does not give it back")
	}
	f.with(func() {
		for _, s := range f.said {
			if v, err := strconv.ParseFloat(strings.TrimPrefix(s, "M06 S"), 64); err == nil && (v < 250 || v > 450) {
				t.Errorf("%s went over the wire", s)
			}
		}
	})
}

func (f *forge) at() (set float64) {
	f.with(func() { set = f.set })
	return set
}

func TestASpindleIsGivenBackByASafeCommandOnly(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"safe: M41 S455", "decimals: 0", "nothing gives the target back"},
		{"hands_back: true", "value: 0 rpm", "it gives the target to a controller"},
		{"hands_back: true", "hands_back: true, value: 300 rpm", "the safe state hands the target back"},
		{"key: rpm, ", "", "must be read before it is taken over"},
	} {
		_, err := config.Parse("agent.yaml", []byte(controlPage(t, "hands_back", c.from, c.to)), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: %v, want %q", c.from, c.to, err, c.want)
		}
	}
	if _, err := config.Parse("agent.yaml", []byte(controlPage(t, "hands_back")), nil); err != nil {
		t.Error(err)
	}
}
