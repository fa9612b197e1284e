// Package firmware holds the data acquisition board's sketch (daq), the host that runs it on an
// emulated Arduino Uno (host), and the tests of the compiled sketch against the agent's readers.
package firmware

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stirwatch/sensors"
	"stirwatch/sensors/serialport"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// The board's channels, in the order of config.h.
const (
	tTool sensors.ChannelID = iota
	tBuild
	fAxial
	fLateral
	uIn
	output
	number
	reply
	channels
)

var names = [channels]string{"T_tool", "T_build", "F_axial", "F_lateral", "U_in", "output", "command", "reply"}

// Answers of command.h.
const (
	accepted = 1 + iota
	damaged
	dutyRefused
	leaseRefused
	leaseEnded
)

const (
	baud           = 250000
	newtonPerCount = 4.6566e-3
)

// built compiles sketch and host once, into dir; why says what is missing for it.
var built struct {
	once     sync.Once
	dir, why string
	err      error
}

func build() {
	for _, tool := range []string{"avr-g++", "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			built.why = tool + " is not installed"
			return
		}
	}
	for _, f := range []string{"/usr/include/pty.h", "/usr/include/simavr/sim_avr.h", "/usr/share/arduino/hardware/arduino/avr/cores/arduino/Arduino.h"} {
		if _, err := os.Stat(f); err != nil {
			built.why = f + " is not there"
			return
		}
	}
	if built.dir, built.err = os.MkdirTemp("", "stirwatch-firmware-"); built.err != nil {
		return
	}
	if out, err := exec.Command("./build.sh", built.dir).CombinedOutput(); err != nil {
		built.err = fmt.Errorf("build.sh: %w\n%s", err, out)
		return
	}
	// What the compilers read is read here as well: the go command keeps a test's result until a file
	// that the test itself has opened changes.
	for _, dir := range []string{".", "daq", "host"} {
		files, _ := os.ReadDir(dir)
		for _, f := range files {
			if _, err := os.ReadFile(filepath.Join(dir, f.Name())); err != nil && !f.IsDir() {
				built.err = err
			}
		}
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

func program(t *testing.T) (host, sketch string) {
	t.Helper()
	built.once.Do(build)
	if built.why != "" {
		t.Skip("the firmware cannot be emulated here: " + built.why + " (Debian: gcc libc6-dev libsimavr-dev arduino-core-avr)")
	}
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "uno"), filepath.Join(built.dir, "daq.elf")
}

// order is a command line without its end.
func order(number, duty, relay, leaseMs int) string {
	return sealed(fmt.Sprintf("O %d %d %d %d", number, duty, relay, leaseMs))
}

func sealed(text string) string {
	crc := uint16(0xffff)
	for _, c := range []byte(text) {
		crc ^= uint16(c) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
	}
	return fmt.Sprintf("%s*%04X", text, crc)
}

func decoder() wire.Decoder {
	o := wire.Options{DeviceClock: true}
	for i, n := range names {
		o.Fields = append(o.Fields, wire.Field{Channel: sensors.ChannelID(i), Key: n})
	}
	return wire.NewDAQ(o)
}

// change is a line that the host prints: the output's, a hang's or a reset's.
type change struct {
	us   float64
	text string
}

func parseChange(line string) (c change, ok bool) {
	at, text, found := strings.Cut(line, " ")
	if _, err := fmt.Sscanf(at, "%g", &c.us); !found || err != nil {
		return c, false
	}
	c.text = text
	return c, true
}

// simulate runs the board for some simulated seconds, as fast as it goes.
func simulate(t *testing.T, seconds int, script ...string) (line []byte, changes []change, log string) {
	t.Helper()
	host, sketch := program(t)
	to := filepath.Join(t.TempDir(), "line")
	cmd := exec.Command(host, "-o", to, "-t", fmt.Sprint(seconds), sketch)
	cmd.Stdin = strings.NewReader(strings.Join(script, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if line, err = os.ReadFile(to); err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(out), "\n") {
		if c, ok := parseChange(l); ok {
			changes = append(changes, c)
		}
	}
	return line, changes, string(out)
}

// heard is what the readers make of a line.
type heard struct {
	samples       []sensors.Sample // Time is the board's, ns since its start
	frames        []wire.DAQFrame
	damaged, lost int
	bytes         int
	heartbeats    [][2]int // reset cause, dropped frames
}

func hear(line []byte) (h heard) {
	d := decoder()
	h.bytes = len(line)
	for _, message := range bytes.Split(line, []byte{0}) {
		if len(message) == 0 {
			continue
		}
		plain, err := wire.DecodeCOBS(nil, message)
		var f wire.DAQFrame
		if err == nil {
			f, err = wire.ParseDAQ(plain)
		}
		if err != nil {
			h.damaged++
			continue
		}
		h.frames = append(h.frames, f)
		n := len(h.samples)
		if h.samples, err = d.Decode(h.samples, int64(f.Micros)*1000, message); err != nil && f.Type != wire.DAQData {
			h.damaged++
		}
		for i := range h.samples[n:] {
			h.samples[n+i].Time = int64(f.Micros) * 1000
		}
		h.lost += max(0, d.(wire.Sequenced).LastGap())
		if f.Type == wire.DAQHeartbeat {
			reset, dropped := f.Heartbeat()
			h.heartbeats = append(h.heartbeats, [2]int{int(reset), int(dropped)})
		}
	}
	return h
}

func (h heard) of(id sensors.ChannelID) (s []sensors.Sample) {
	for _, x := range h.samples {
		if x.Channel == id {
			s = append(s, x)
		}
	}
	return s
}

func near(got, want, by float64) bool { return math.Abs(got-want) <= by }

// Ten simulated seconds, to the bit the same each time: rates, values, time stamps, no gap.
func TestStream(t *testing.T) {
	const seconds = 10
	script := []string{"tc 1 474.25", "tc 2 -12.5", "cell 1 1000000", "cell 2 -500000", "adc 2500"}
	line, _, log := simulate(t, seconds, script...)
	h := hear(line)
	if h.damaged != 0 || h.lost != 0 {
		t.Errorf("%d damaged, %d lost", h.damaged, h.lost)
	}
	for _, c := range []struct {
		id                   sensors.ChannelID
		perSecond, value, by float64
	}{
		{tTool, 1 / .098, 474.25, 0}, {tBuild, 1 / .098, -12.5, 0},
		{fAxial, 80, 1e6 * newtonPerCount, .01}, {fLateral, 1 / .012563, -5e5 * newtonPerCount, .01},
		{uIn, 80, 2.5, .005}, {output, 10, 0, 0}, {number, 10, 0, 0}, {reply, 10, 0, 0},
	} {
		s := h.of(c.id)
		rate := float64(len(s)-1) / (float64(s[len(s)-1].Time-s[0].Time) * 1e-9)
		t.Logf("%-9s %5.1f samples a second", names[c.id], rate)
		tolerance := .02
		if c.id == uIn {
			tolerance = .5 // goes with the others' frames
		}
		if !near(rate, c.perSecond, tolerance*c.perSecond) {
			t.Errorf("%s: %.2f samples a second, want %.2f", names[c.id], rate, c.perSecond)
		}
		for i, x := range s {
			settling := (c.id == fAxial || c.id == fLateral) && i < 4
			if settling != (x.Status == sensors.Status{Signal: sensors.FunctionCheck, Reason: sensors.Device}) || !settling && x.Status != sensors.OK {
				t.Fatalf("%s: sample %d is %v", names[c.id], i, x.Status)
			}
			if !near(x.Value, c.value, c.by) {
				t.Fatalf("%s: sample %d is %g, want %g", names[c.id], i, x.Value, c.value)
			}
			if i > 0 && x.Time <= s[i-1].Time {
				t.Fatalf("%s: sample %d at %d ns, the one before at %d", names[c.id], i, x.Time, s[i-1].Time)
			}
		}
	}
	// Conversions are stamped by an interrupt: the spread of their distance is the processor's.
	s := h.of(fAxial)
	worst := 0.
	for i := 1; i < len(s); i++ {
		worst = max(worst, math.Abs(float64(s[i].Time-s[i-1].Time)*1e-3-12500))
	}
	if worst > 250 {
		t.Errorf("distance of two conversions is off by %.0f µs", worst)
	}
	if n := len(h.heartbeats); n < seconds-1 || h.heartbeats[n-1][1] != 0 {
		t.Errorf("heartbeats %v", h.heartbeats)
	}
	t.Logf("%d frames, %d bytes: %.0f %% of the line; stamps within %.0f µs", len(h.frames), h.bytes, float64(h.bytes)/seconds*10*100/baud, worst)
	again, _, _ := simulate(t, seconds, script...)
	if !bytes.Equal(line, again) {
		t.Error("a second run differs")
	}
	if !strings.Contains(log, "resets 0") {
		t.Error(log)
	}
}

// The lease in simulated time: the output follows commands and falls on its own, to the millisecond.
func TestLease(t *testing.T) {
	line, changes, log := simulate(t, 4,
		"@500 send "+order(1, 420, 1, 400), // renewed at 700, ends at 1200
		"@700 send "+order(2, 421, 1, 500),
		"@1500 send "+order(3, 1000, 0, 10000), // given back at 2000
		"@2000 send "+order(4, 0, 0, 50),
		"@2500 send "+order(5, 1001, 1, 500), // refused from here on
		"@2600 send "+order(6, 500, 2, 500),
		"@2700 send "+order(7, 500, 1, 49),
		"@2800 send "+order(8, 500, 1, 10001),
		"@2900 send "+strings.Replace(order(9, 500, 1, 500), "5", "6", 1),
		"@3000 send "+sealed("O 9 500 1"),
		"@3100 send "+sealed("O 9 500 1 500 1"),
		"@3200 send "+sealed("O 70000 500 1 500"),
		"@3300 send "+strings.Repeat("x", 300),
		"@3400 send "+order(10, 1, 0, 1000))
	want := []change{{0, "output 0 relay 0"}, {500e3, "output 420 relay 1"}, {700e3, "output 421 relay 1"}, {1200e3, "output 0 relay 0"},
		{1500e3, "output 1000 relay 0"}, {2000e3, "output 0 relay 0"}, {3400e3, "output 1 relay 0"}}
	if len(changes) != len(want) {
		t.Fatal(log)
	}
	const transfer = 4e3 // µs that a line of 20 characters takes, and the main loop
	for i, w := range want {
		if got := changes[i]; got.text != w.text || got.us < w.us || got.us > w.us+transfer {
			t.Errorf("at %.0f µs %s, want at %.0f %s", got.us, got.text, w.us, w.text)
		}
	}
	h := hear(line)
	var answers []string
	numbers, outputs := h.of(number), h.of(output)
	for i, r := range h.of(reply) {
		answer := fmt.Sprintf("%g:%g %.1f", numbers[i].Value, r.Value, outputs[i].Value)
		if len(answers) == 0 || answers[len(answers)-1] != answer {
			answers = append(answers, answer)
		}
	}
	if got, want := strings.Join(answers, ", "), "0:0 0.0, 1:1 42.0, 2:1 42.1, 2:5 0.0, 3:1 100.0, 4:1 0.0, 4:5 0.0, 5:3 0.0, 6:3 0.0, 7:4 0.0, 8:4 0.0, 8:2 0.0, 10:1 0.1"; got != want {
		t.Errorf("answers\n     %s\nwant %s", got, want)
	}
	t.Logf("lease of 500 ms ended %.1f ms after the command was sent", changes[3].us/1e3-700)
}

// Nothing but a whole command moves the output: 240 commands of which one byte is wrong, missing or
// one too many.
func TestGarbage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var script []string
	for i := range 240 {
		line := []byte(order(r.IntN(65536), 1+r.IntN(1000), r.IntN(2), 50+r.IntN(9000)))
		at := r.IntN(len(line))
		switch c := byte(' ' + 1 + r.IntN(94)); {
		case i%3 == 0:
			line = slices.Delete(line, at, at+1)
		case i%3 == 1:
			line = slices.Insert(line, at, c)
		case c|0x20 != line[at]|0x20: // small hexadecimal digits are as good
			line[at] = c
		default:
			line[at] = 0x7f
		}
		script = append(script, fmt.Sprintf("@%d send %s", 100+10*i, line))
	}
	line, changes, log := simulate(t, 4, append(script, "@3000 send "+order(1, 500, 1, 500))...)
	if len(changes) != 3 || changes[1].us < 3e6 {
		t.Error(log)
	}
	answers := 0
	for _, s := range hear(line).of(reply) {
		if s.Value == damaged {
			answers++
		}
	}
	if answers < 240 {
		t.Errorf("%d refusals, want 240", answers)
	}
}

// A main loop that stands still: the lease's interrupt makes the output safe, and where interrupts
// stand still as well, the processor's watchdog does. Then the board is back, and says why.
func TestHang(t *testing.T) {
	for _, c := range []struct {
		how     string
		leaseMs int
		text    string
		within  float64 // ms after the hang
	}{
		{"soft", 150, "output 0 relay 0", 151},
		{"hard", 9000, "output 0 relay 0", 300},
	} {
		line, changes, log := simulate(t, 3, "@1000 send "+order(1, 600, 1, c.leaseMs), "@1004 hang "+c.how)
		hang, safe, reset := -1., -1., -1.
		for _, x := range changes {
			switch {
			case x.text == "hang":
				hang = x.us / 1e3
			case x.text == c.text && hang > 0 && safe < 0:
				safe = x.us / 1e3
			case strings.HasPrefix(x.text, "reset"):
				reset = x.us / 1e3
			}
		}
		if hang < 0 || safe < 0 || reset < 0 || safe-hang > c.within || reset-hang > 300 {
			t.Fatalf("%s: %s", c.how, log)
		}
		t.Logf("%s: safe after %.1f ms, restarted after %.1f ms", c.how, safe-hang, reset-hang)
		h := hear(line)
		if last := h.heartbeats[len(h.heartbeats)-1]; last[0] != 8 {
			t.Errorf("%s: reset cause %d, want 8 (watchdog)", c.how, last[0])
		}
		if s := h.of(output); s[len(s)-1].Value != 0 {
			t.Errorf("%s: output %g after the restart", c.how, s[len(s)-1].Value)
		}
		if s := h.of(tTool); s[len(s)-1].Time < 1e9 || s[len(s)-1].Status != sensors.OK {
			t.Errorf("%s: the board does not measure after the restart: %+v", c.how, s[len(s)-1])
		}
	}
}

// board is the emulated board in real time, read by the agent's source.
type board struct {
	t       *testing.T
	path    string
	control io.Writer // of the host
	line    *os.File  // to the board
	source  *serialport.Source

	mu      sync.Mutex
	samples []sensors.Sample
	events  []sensors.Event
	changes []change
}

func (b *board) Emit(s []sensors.Sample, _ sensors.Acker) {
	b.mu.Lock()
	b.samples = append(b.samples, s...)
	b.mu.Unlock()
}

func (b *board) Event(e sensors.Event) {
	b.mu.Lock()
	b.events = append(b.events, e)
	b.mu.Unlock()
}

func power(t *testing.T) *board {
	t.Helper()
	host, sketch := program(t)
	cmd := exec.Command(host, sketch)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &board{t: t, control: in}
	talk, said := bufio.NewScanner(out), make(chan struct{})
	for b.path == "" && talk.Scan() {
		if path, ok := strings.CutPrefix(talk.Text(), "pty "); ok {
			b.path = path
		}
	}
	if b.path == "" {
		in.Close()
		t.Skipf("no pseudo terminal here: %v", cmd.Wait())
	}
	go func() {
		defer close(said)
		for talk.Scan() {
			if c, ok := parseChange(talk.Text()); ok {
				b.mu.Lock()
				b.changes = append(b.changes, c)
				b.mu.Unlock()
			} else if strings.HasPrefix(talk.Text(), "unknown") {
				t.Error(talk.Text())
			}
		}
	}()
	t.Cleanup(func() { // the host ends with its input
		in.Close()
		stuck := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer stuck.Stop()
		<-said
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// read starts the agent's source on the board's line.
func (b *board) read() {
	b.t.Helper()
	var err error
	if b.line, err = os.OpenFile(b.path, os.O_WRONLY, 0); err != nil { // before the source has it for itself
		b.t.Fatal(err)
	}
	b.source = serialport.New(serialport.Options{Name: "daq", Port: b.path, Baud: baud, Format: serialport.COBS,
		Decoder: decoder(), Clock: func() int64 { return time.Now().UnixNano() }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.source.Run(ctx, b) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
		b.line.Close()
	})
}

func (b *board) tell(format string, args ...any) {
	b.t.Helper()
	if _, err := fmt.Fprintf(b.control, format+"\n", args...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *board) send(line string) {
	b.t.Helper()
	if _, err := b.line.WriteString(line + "\n"); err != nil {
		b.t.Fatal(err)
	}
}

// last is the newest sample of a channel, zero if there is none.
func (b *board) last(id sensors.ChannelID) sensors.Sample {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.samples) - 1; i >= 0; i-- {
		if b.samples[i].Channel == id {
			return b.samples[i]
		}
	}
	return sensors.Sample{}
}

// seen reports whether a channel had that status since a mark.
func (b *board) seen(mark int, id sensors.ChannelID, s sensors.Status) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.samples[mark:] {
		if x.Channel == id && x.Status == s {
			return true
		}
	}
	return false
}

func (b *board) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.samples)
}

func (b *board) outputs() (s []change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.changes {
		if strings.HasPrefix(c.text, "output") {
			s = append(s, c)
		}
	}
	return s
}

func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A line that loses frames and flips bits.
func TestLine(t *testing.T) {
	b := power(t)
	b.tell("tc 1 474.25")
	b.read()
	health := b.source.Health()
	until(t, "a temperature", func() bool { return b.last(tTool).Value == 474.25 })
	before := health.Snapshot()
	b.tell("drop 3")
	until(t, "the gap", func() bool { return health.Lost.Load() > before.Lost })
	until(t, "messages after it", func() bool { return health.Messages.Load() > before.Messages+50 })
	after := health.Snapshot()
	if got := after.Lost - before.Lost; got != 3 || after.Gaps-before.Gaps != 1 || after.Rejected != before.Rejected {
		t.Errorf("%d lost in %d gaps, %d rejected; want 3 in 1 and none", got, after.Gaps-before.Gaps, after.Rejected-before.Rejected)
	}
	b.tell("flip 20")
	until(t, "20 rejected", func() bool { return health.Rejected.Load() >= after.Rejected+20 })
	m := health.Messages.Load()
	until(t, "messages after them", func() bool { return health.Messages.Load() > m+50 })
	end := health.Snapshot()
	if got := end.Rejected - after.Rejected; got != 20 || end.Lost-after.Lost != 20 {
		t.Errorf("%d rejected, %d lost; want 20 of both", got, end.Lost-after.Lost)
	}
	t.Logf("%d frames taken; of 3 dropped %d are missing, of 20 with a flipped bit %d were refused", end.Messages, after.Lost-before.Lost, end.Rejected-after.Rejected)
}

// Commands through the terminal: answered by the number, read back, safe after silence.
func TestCommands(t *testing.T) {
	b := power(t)
	b.read()
	until(t, "the first status", func() bool { return b.last(reply).Status == sensors.OK })
	answered := func(n, r float64) func() bool {
		return func() bool { return b.last(number).Value == n && b.last(reply).Value == r }
	}
	var slowest, sum time.Duration
	const commands, leaseMs = 30, 2000
	for n := 1; n <= commands; n++ {
		sent := time.Now()
		b.send(order(n, 10*n, 1, leaseMs))
		until(t, "an answer", answered(float64(n), accepted))
		slowest, sum = max(slowest, time.Since(sent)), sum+time.Since(sent)
		if got := b.last(output).Value; !near(got, float64(n), .01) {
			t.Errorf("command %d: output %g %%", n, got)
		}
	}
	silent := time.Now()
	until(t, "the lease's end", answered(commands, leaseEnded))
	took := time.Since(silent)
	if got := b.last(output).Value; got != 0 {
		t.Errorf("output %g after the lease", got)
	}
	until(t, "the pins' changes", func() bool { return len(b.outputs()) >= commands+2 })
	o := b.outputs()
	if last := o[len(o)-1]; last.text != "output 0 relay 0" || len(o) != commands+2 {
		t.Errorf("pins: %v", o)
	} else if ms := (last.us - o[len(o)-2].us) / 1e3; !near(ms, leaseMs, 3) {
		t.Errorf("pins were safe after %.1f simulated ms", ms)
	}
	t.Logf("%d answers, after %v on average, %v at most; a lease of %d ms ended after %v", commands, sum/commands, slowest, leaseMs, took)

	b.send(strings.Replace(order(77, 500, 1, 1000), "7", "6", 1))
	until(t, "the refusal", answered(commands, damaged))
	b.send(order(78, 1001, 1, 1000))
	until(t, "the refusal", answered(78, dutyRefused))
	b.send(order(79, 500, 1, 60000))
	until(t, "the refusal", answered(79, leaseRefused))
	if got := b.outputs(); len(got) != len(o) {
		t.Errorf("a refused command moved the output: %v", got[len(o):])
	}
}

// The example of docs/firmware.md is a command as the board takes it.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/firmware.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "`" + order(1, 420, 1, 500) + "`"; !bytes.Contains(doc, []byte(want)) {
		t.Errorf("docs/firmware.md has no example %s", want)
	}
}

// Each fault is seen as its status, and gone when its cause is.
func TestFaults(t *testing.T) {
	failure := func(r sensors.Reason) sensors.Status { return sensors.Status{Signal: sensors.Failure, Reason: r} }
	outside := sensors.Status{Signal: sensors.OutOfSpecification, Reason: sensors.OutOfRange}
	b := power(t)
	b.tell("tc 1 474.25\ntc 2 100\ncell 1 1000\ncell 2 1000\nadc 1000")
	b.read()
	for id := range output {
		until(t, names[id], func() bool { return b.last(id).Status == sensors.OK })
	}
	for _, c := range []struct {
		cause, end string
		id         sensors.ChannelID
		want       sensors.Status
	}{
		{"fault tc1 open", "fault tc1 none", tTool, failure(sensors.OpenCircuit)},
		{"fault tc2 open", "fault tc2 none", tBuild, failure(sensors.OpenCircuit)},
		{"fault tc1 ovuv", "fault tc1 none", tTool, failure(sensors.Device)},
		{"fault tc1 tcrange", "fault tc1 none", tTool, outside},
		{"tc 1 1400", "tc 1 474.25", tTool, outside},
		{"fault tc2 cjrange", "fault tc2 none", tBuild, outside},
		{"fault tc1 gone", "fault tc1 none", tTool, failure(sensors.Device)},
		{"fault tc2 restart", "", tBuild, failure(sensors.Device)}, // is set up again
		{"cell 1 9000000", "cell 1 1000", fAxial, failure(sensors.Saturated)},
		{"cell 2 -9000000", "cell 2 1000", fLateral, failure(sensors.Saturated)},
		{"fault cell1 gone", "fault cell1 none", fAxial, failure(sensors.Device)},
		{"fault cell2 held", "fault cell2 none", fLateral, failure(sensors.Device)},
		{"adc 5000", "adc 1000", uIn, failure(sensors.Saturated)},
	} {
		mark := b.mark()
		began := time.Now()
		b.tell("%s", c.cause)
		until(t, c.cause+" as "+c.want.String(), func() bool { return b.seen(mark, c.id, c.want) })
		took := time.Since(began)
		b.mu.Lock()
		for _, x := range b.samples[mark:] {
			if x.Channel != c.id && x.Channel < output && x.Status != sensors.OK {
				t.Errorf("%s: %s is %v", c.cause, names[x.Channel], x.Status)
				break
			}
		}
		b.mu.Unlock()
		if c.end != "" {
			b.tell("%s", c.end)
		}
		until(t, "the end of "+c.cause, func() bool { return b.last(c.id).Status == sensors.OK })
		t.Logf("%-18s %-10s %v, after %v", c.cause, names[c.id], c.want, took.Round(10*time.Millisecond))
	}
	until(t, "the old values", func() bool {
		return b.last(tTool).Value == 474.25 && b.last(tBuild).Value == 100 &&
			near(b.last(fAxial).Value, 1000*newtonPerCount, .01) && near(b.last(fLateral).Value, 1000*newtonPerCount, .01) && near(b.last(uIn).Value, 1, .01)
	})
}

// A restart is told as such, and the names are known again at once.
func TestRestart(t *testing.T) {
	b := power(t)
	b.read()
	until(t, "a temperature", func() bool { return b.last(tTool).Status == sensors.OK })
	b.tell("hang hard")
	until(t, "the restart", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, e := range b.events {
			if e.Kind == sensors.Gap && e.Count == 0 {
				return true
			}
		}
		return false
	})
	mark := b.mark()
	until(t, "a temperature after it", func() bool { return b.seen(mark, tTool, sensors.OK) })
}

// The board's description becomes a section of agent.yaml whose names and units are known words.
func TestDescription(t *testing.T) {
	line, _, _ := simulate(t, 3, "tc 1 474.25", "@2000 send ?")
	asked := 0
	for _, f := range hear(line).frames {
		if f.Type == wire.DAQDescription && f.Micros > 2e6 && f.Micros < 2.9e6 {
			asked++
		}
	}
	if asked < int(channels) {
		t.Errorf("%d descriptions after ?, want %d", asked, channels)
	}
	g := serialport.GuessFormat(line[len(line)/3:]) // from the middle of the talk
	if len(g.Fields) != int(channels) {
		t.Fatalf("%d fields: %+v", len(g.Fields), g)
	}
	for i, f := range g.Fields {
		u, err := unit.Parse(f.Unit)
		if f.Key != names[i] || err != nil {
			t.Errorf("field %d is %q in %q: %v", i, f.Key, f.Unit, err)
		} else if want := []string{"°C", "°C", "N", "N", "V", "%", "1", "1"}[i]; u.String() != want {
			t.Errorf("%s in %s, want %s", f.Key, u, want)
		}
	}
	snippet := g.Snippet("/dev/ttyACM0", baud)
	for _, want := range []string{"format: daq", `t_tool: {key: T_tool, unit: °C}    # now 474.25`, `output: {key: output, unit: "%"}`} {
		if !strings.Contains(snippet, want) {
			t.Errorf("no %q in\n%s", want, snippet)
		}
	}
	t.Logf("\n%s", snippet)
}
