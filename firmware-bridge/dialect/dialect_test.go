package dialect

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"

	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors/unit"
)

var celsius = unit.MustParse("°C")

// write is one value that reached an emulated controller.
type write struct {
	at    time.Time
	value float64
}

// notes gathers verdicts.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) Record(r bridge.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, string(r.Verdict))
}

func (n *notes) verdicts() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.all, " ")
}

// device is an emulated controller: bytes in, replies out. It keeps what it was commanded.
type device interface {
	feed(b []byte) (replies [][]byte)
	log() []write
}

// box is the common part of the emulated controllers.
type box struct {
	mu     sync.Mutex
	buf    []byte
	writes []write
	heard  []string
}

func (b *box) log() []write {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]write(nil), b.writes...)
}

// lines cuts what has come into lines, without empty ones.
func (b *box) lines(in []byte) (all []string) {
	b.buf = append(b.buf, in...)
	for {
		i := bytes.IndexAny(b.buf, "\r\n")
		if i < 0 {
			return all
		}
		if s := string(b.buf[:i]); s != "" {
			all = append(all, s)
			b.heard = append(b.heard, s)
		}
		b.buf = b.buf[i+1:]
	}
}

func (b *box) put(v float64) { b.writes = append(b.writes, write{at: time.Now(), value: v}) }

// meldBox answers M-codes.
type meldBox struct {
	box
	sp float64
}

func (d *meldBox) feed(in []byte) (out [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.lines(in) {
		v, err := strconv.ParseFloat(strings.TrimPrefix(s, "M41 S"), 64)
		switch {
		case s == "?":
			out = append(out, fmt.Appendf(nil, "state=RUN mode=2 pid=1 sp=%.1f temp=%.1f rpm=390.0\r\n", d.sp, d.sp-3))
		case !strings.HasPrefix(s, "M41 S") || err != nil:
			out = append(out, []byte("error: no such code\r\n"))
		default:
			d.sp = v
			d.put(v)
			out = append(out, []byte("ok\r\n"))
		}
	}
	return out
}

// kitBox is a two-heater temperature lab kit. Floats end in CR LF; LED and X answer nothing; an
// unknown command switches the heaters off and answers nothing either.
type kitBox struct {
	box
	q [2]float64
	t [2]float64
}

func (d *kitBox) feed(in []byte) (out [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	say := func(v float64) { out = append(out, fmt.Appendf(nil, "%.2f\r\n", v)) }
	for _, s := range d.lines(in) {
		name, arg, _ := strings.Cut(s, " ")
		v, err := strconv.ParseFloat(arg, 64)
		switch {
		case (name == "Q1" || name == "Q2") && err == nil:
			v = math.Min(math.Max(v, 0), 100)
			if d.q[name[1]-'1'] = v; name == "Q1" {
				d.put(v)
			}
			say(v)
		case s == "T1" || s == "T2":
			say(d.t[s[1]-'1'])
		case s == "SCAN":
			say(d.t[0])
			say(d.t[1])
			say(d.q[0])
			say(d.q[1])
		case s == "VER":
			out = append(out, []byte("TCLab Firmware emulated\r\n"))
		case name == "LED" && err == nil:
		default: // X and whatever it does not know
			d.q = [2]float64{}
			d.put(0)
		}
	}
	return out
}

// printerBox is printer firmware: numbered lines, checksums, resend, busy, reports by itself.
type printerBox struct {
	box
	last     int
	target   float64
	chatter  bool
	damage   func() bool
	damaged  int
	reported bool
}

func (d *printerBox) temperatures() string {
	return fmt.Sprintf("T:%.2f /%.2f B:21.00 /0.00 @:0 B@:0", d.target-1, d.target)
}

func (d *printerBox) feed(in []byte) (out [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	say := func(s string) { out = append(out, []byte(s+"\n")) }
	for _, s := range d.lines(in) {
		if d.damage != nil && d.damage() {
			d.damaged++
			s = s[:len(s)/2] + "#" + s[len(s)/2:]
		}
		body, sum, hasSum := strings.Cut(s, "*")
		x := byte(0)
		for i := range len(body) {
			x ^= body[i]
		}
		var n int
		numbered, _ := fmt.Sscanf(body, "N%d ", &n)
		resend := func(why string) {
			say(fmt.Sprintf("Error:%s, Last Line: %d", why, d.last))
			say(fmt.Sprintf("Resend: %d", d.last+1))
			say("ok")
		}
		if numbered == 1 {
			if !hasSum || sum != strconv.Itoa(int(x)) {
				resend("checksum mismatch")
				continue
			}
			_, body, _ = strings.Cut(body, " ")
			if !strings.HasPrefix(body, "M110") {
				if n != d.last+1 {
					resend("Line Number is not Last Line Number+1")
					continue
				}
			}
			d.last = n
		} else if strings.Contains(s, "#") {
			say("echo:Unknown command: \"" + s + "\"")
			say("ok")
			continue
		}
		if d.chatter {
			say("echo:busy: processing")
			say(" " + d.temperatures())
		}
		v, err := strconv.ParseFloat(strings.TrimPrefix(body, "M104 S"), 64)
		switch {
		case strings.HasPrefix(body, "M104 S") && err == nil:
			d.target = v
			d.put(v)
			say("ok")
		case body == "M105":
			say("ok " + d.temperatures())
		case body == "M115":
			say("FIRMWARE_NAME:Emulated")
			say("ok")
		case strings.HasPrefix(body, "M110"), strings.HasPrefix(body, "M155 S"):
			d.reported = d.reported || body == "M155 S2"
			say("ok")
		default:
			say("echo:Unknown command: \"" + body + "\"")
			say("ok")
		}
	}
	return out
}

// modbusBox is slave 17 with registers in tenths; register 5 is written, register 6 tells it.
type modbusBox struct {
	box
	reg [16]uint16
}

func (d *modbusBox) feed(in []byte) (out [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.buf = append(d.buf, in...)
	for len(d.buf) >= 8 {
		n := 8
		if d.buf[1] == 16 {
			n = 9 + int(d.buf[6])
		}
		if len(d.buf) < n {
			return out
		}
		f := d.buf[:n]
		if f[0] != 17 || crc16(f[:n-2]) != binary.LittleEndian.Uint16(f[n-2:]) {
			d.buf = d.buf[1:] // between frames there is silence; here the next byte will do
			continue
		}
		d.buf = d.buf[n:]
		at, x := binary.BigEndian.Uint16(f[2:]), binary.BigEndian.Uint16(f[4:])
		var reply []byte
		switch {
		case int(at) >= len(d.reg):
			reply = []byte{17, f[1] | 0x80, 2}
		case f[1] == 3:
			reply = []byte{17, 3, byte(2 * x)}
			for i := range x {
				reply = binary.BigEndian.AppendUint16(reply, d.reg[at+i])
			}
		case f[1] == 6 || f[1] == 16:
			if f[1] == 16 {
				x = binary.BigEndian.Uint16(f[7:])
			}
			d.reg[at] = x
			if at == 5 {
				d.reg[6] = x
				d.put(float64(int16(x)) / 10)
			}
			reply = append([]byte(nil), f[:6]...)
		}
		out = append(out, binary.LittleEndian.AppendUint16(reply, crc16(reply)))
	}
	return out
}

// counterpart is one device with the dialect and the target that drive it.
type counterpart struct {
	name    string
	target  bridge.Target
	device  func(start float64) device
	dialect func(p *Port) (bridge.Dialect, error)
	talk    time.Duration // between two lines that the device says by itself; 0: it says none
}

// kitYAML's twin in Go: the same words are read from the manual page in the command's tests.
func kitDialect(p *Port) (bridge.Dialect, error) {
	return NewLine(LineOptions{Port: p, Probe: LineQuestion{Send: "VER", Reply: "TCLab{any}"}, Quiet: 50 * time.Millisecond, Words: map[string]LineWord{
		"heater": {Set: "Q1 {value:.1f}", Reply: "{value}", Get: LineQuestion{Send: "SCAN", Lines: 4, Line: 3}, Safe: "X"},
		"t1":     {Get: LineQuestion{Send: "T1"}},
	}})
}

var counterparts = []counterpart{
	{"MELD", bridge.Target{Name: "x", Unit: celsius, Min: 300, Max: 480, Slew: 10, Tolerance: 0.5, Lease: time.Minute, Safe: bridge.SafeState{Name: "off", Value: 0, Ramp: false}},
		func(v float64) device { return &meldBox{sp: v} },
		func(p *Port) (bridge.Dialect, error) {
			return NewMELD(p, map[string]MELDWord{"x": {Code: "M41", Key: "sp"}})
		}, 0},
	{"line", bridge.Target{Name: "x", Unit: unit.MustParse("%"), Min: 0, Max: 60, Slew: 5, Tolerance: 0.1, Lease: time.Minute, Safe: bridge.SafeState{Name: "off", Value: 0, Ramp: false}},
		func(v float64) device { return &kitBox{q: [2]float64{v}, t: [2]float64{21, 22}} },
		func(p *Port) (bridge.Dialect, error) {
			d, err := kitDialect(p)
			d.(*Line).words["x"] = d.(*Line).words["heater"]
			return d, err
		}, 0},
	{"talking line", bridge.Target{Name: "x", Unit: unit.MustParse("%"), Min: 0, Max: 60, Slew: 5, Tolerance: 0.1, Lease: time.Minute, Safe: bridge.SafeState{Name: "off", Value: 0, Ramp: false}},
		func(v float64) device { return &kitBox{q: [2]float64{v}, t: [2]float64{21, 22}} },
		func(p *Port) (bridge.Dialect, error) {
			d, err := kitDialect(p)
			d.(*Line).words["x"] = d.(*Line).words["heater"]
			return d, err
		}, 50 * time.Millisecond},
	{"printer", bridge.Target{Name: "x", Unit: celsius, Min: 20, Max: 250, Slew: 20, Tolerance: 0.5, Lease: time.Minute, Safe: bridge.SafeState{Name: "off", Value: 0, Ramp: false}},
		func(v float64) device { return &printerBox{target: v, chatter: true} },
		func(p *Port) (bridge.Dialect, error) {
			return NewPrinter(p, map[string]PrinterWord{"x": {Code: "M104", Tool: -1}}, 0)
		}, 0},
	{"Modbus", bridge.Target{Name: "x", Unit: celsius, Min: -10, Max: 90, Slew: 3, Tolerance: 0.1, Lease: time.Minute, Safe: bridge.SafeState{Name: "hold", Value: 20, Ramp: true}},
		func(v float64) device { d := &modbusBox{}; d.reg[6] = uint16(int16(math.Round(v * 10))); return d },
		func(p *Port) (bridge.Dialect, error) {
			read := uint16(6)
			return NewModbus(p, 17, 19200, map[string]ModbusWord{"x": {Register: 5, Read: &read, Scale: 10}})
		}, 0},
}

// onPty connects a device to a pseudo terminal and returns the other end's path.
func onPty(t testing.TB, d device) string {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	go serve(master, d)
	return slave.Name()
}

func serve(rw io.ReadWriter, d device) {
	buf := make([]byte, 256)
	for {
		n, err := rw.Read(buf)
		if err != nil {
			return
		}
		for _, r := range d.feed(buf[:n]) {
			rw.Write(r)
		}
	}
}

func within(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(time.Minute):
		t.Fatalf("%s did not happen", what)
	}
}

// start runs a bridge, also inside a bubble of testing/synctest.
func start(t testing.TB, o bridge.Options) (b *bridge.Bridge, stop func() error) {
	t.Helper()
	b, err := bridge.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	<-b.Started()
	return b, func() error { cancel(); return <-ended }
}

func running(t testing.TB, o bridge.Options) (*bridge.Bridge, func()) {
	b, stop := start(t, o)
	return b, func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

// Every dialect drives its emulated counterpart over a pseudo terminal, from the first command to
// the safe state.
func TestDialectsOverPseudoTerminals(t *testing.T) {
	for _, c := range counterparts {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := c.device(c.target.Min)
			port, err := Serial(SerialOptions{Path: onPty(t, d)})
			if err != nil {
				t.Fatal(err)
			}
			n, target := &notes{}, c.target
			target.Slew = 1000
			make := func() bridge.Dialect {
				d, err := c.dialect(port)
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			b, stop := running(t, bridge.Options{Dialect: make, Targets: []bridge.Target{target}, Recorder: n, Step: 10 * time.Millisecond})
			goal := (target.Min + target.Max) / 2
			l, err := b.Command(bridge.Command{Target: "x", Value: unit.Quantity{Value: goal, Unit: target.Unit}, For: time.Minute, Who: "test", Why: "pty"})
			if err != nil {
				t.Fatal(err)
			}
			within(t, "reaching "+fmt.Sprint(goal), l.Reached())
			log := d.log()
			if got := log[len(log)-1].value; got != goal || len(log) < 3 {
				t.Errorf("%g instead of %g in %d steps", got, goal, len(log))
			}
			if q, err := b.Get(context.Background(), "x"); err != nil || q.Value != goal {
				t.Errorf("%v, %v", q, err)
			}
			if s, err := b.Probe(context.Background()); err != nil && c.name != "Modbus" || s == "" {
				t.Errorf("%q, %v", s, err)
			}
			l.Release("done")
			stop()
			log = d.log()
			if got := log[len(log)-1].value; got != target.Safe.Value {
				t.Errorf("the end is %g, not %g", got, target.Safe.Value)
			}
			if got := n.verdicts(); got != "accepted reached released reverted" {
				t.Error(got)
			}
		})
	}
}

// trouble stands between the wire and a device: it loses, doubles, delays and garbles replies, cuts
// the connection, and stops listening for a while.
type trouble struct {
	d     device
	mu    sync.Mutex
	rng   *rand.Rand
	talk  time.Duration
	level float64 // how often
	done  int     // faults so far
}

func (tr *trouble) roll(n int) int { // 0: nothing
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.rng.Float64() > tr.level {
		return 0
	}
	tr.done++
	return 1 + tr.rng.IntN(n)
}

func (tr *trouble) some(d time.Duration) time.Duration {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return time.Duration(tr.rng.Int64N(int64(d)))
}

// inTurn writes one message after another, each in two pieces with a pause between them.
func inTurn(w io.Writer, pause time.Duration) func([]byte) error {
	turn := make(chan struct{}, 1) // a mutex that a bubble can wait for
	return func(b []byte) error {
		turn <- struct{}{}
		defer func() { <-turn }()
		_, err := w.Write(b[:len(b)/2])
		if err == nil {
			time.Sleep(pause)
			_, err = w.Write(b[len(b)/2:])
		}
		return err
	}
}

// talk says lines that nobody asked for.
func talk(every time.Duration, write func([]byte) error, says string, gone <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-time.After(every):
		case <-gone:
			return
		}
		if write(fmt.Appendf(nil, says, i)) != nil {
			return
		}
	}
}

// open makes a connection, as a port's Open does.
func (tr *trouble) open() (io.ReadWriteCloser, error) {
	if tr.roll(3) == 1 {
		return nil, os.ErrNotExist
	}
	ours, theirs := net.Pipe()
	write := inTurn(theirs, 0)
	gone := make(chan struct{})
	if tr.talk > 0 {
		go talk(tr.talk, write, "# uptime %d s\r\n", gone)
	}
	go func() {
		defer close(gone)
		defer theirs.Close()
		buf := make([]byte, 64)
		for {
			n, err := theirs.Read(buf)
			if err != nil {
				return
			}
			replies := tr.d.feed(buf[:n])
			switch tr.roll(12) {
			case 1:
				return // unplugged
			case 2:
				time.Sleep(tr.some(4 * time.Second)) // deaf and dumb
			}
			for _, r := range replies {
				switch tr.roll(8) {
				case 1:
					continue // lost
				case 2:
					write(r) // doubled
				case 3:
					time.Sleep(tr.some(3 * time.Second)) // late
				case 4:
					write([]byte("\x00\xff~garbage\r\n"))
				case 5:
					r = r[:tr.some(time.Duration(len(r)))] // cut off
				case 6:
					n := tr.some(time.Duration(len(r)))
					r = append(r[:n:n], "\r\n"...)
				case 7:
					r = bytes.ToUpper(r)
				}
				if write(r) != nil {
					return
				}
			}
		}
	}()
	return ours, nil
}

// wireStory is one life of a bridge with a real dialect and a wire full of trouble.
func wireStory(t *testing.T, c *counterpart, seed uint64) (commands, writes, faults int) {
	rng := rand.New(rand.NewPCG(seed, 7))
	target := c.target
	switch kind := rng.IntN(3); {
	case strings.HasSuffix(c.name, "line"): // its safe state is a command of its own
	case kind == 0:
		target.Safe = bridge.SafeState{Name: "low", Value: math.Ceil(target.Min), Ramp: false}
	case kind == 1:
		target.Safe = bridge.SafeState{Name: "middle", Value: math.Round((target.Min + target.Max) / 2), Ramp: true}
	}
	started := math.Round(target.Min + rng.Float64()*(target.Max-target.Min))
	d := c.device(started)
	tr := &trouble{d: d, rng: rand.New(rand.NewPCG(seed, 8)), talk: c.talk, level: rng.Float64() * 0.3}
	port := &Port{Name: c.name, Open: tr.open}
	o := bridge.Options{Targets: []bridge.Target{target}, Dialect: func() bridge.Dialect {
		d, err := c.dialect(port)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}}
	b, stop := start(t, o)
	began := time.Now()
	for range 3 + rng.IntN(8) {
		v := []float64{target.Min, target.Max, target.Min + rng.Float64()*(target.Max-target.Min), -1e6, 1e6}[rng.IntN(5)]
		commands++
		b.Command(bridge.Command{Target: "x", Value: unit.Quantity{Value: v, Unit: target.Unit}, For: time.Duration(rng.IntN(10_000)) * time.Millisecond, Who: "test", Why: "story"})
		time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
	}
	tr.mu.Lock()
	tr.level = 0
	tr.mu.Unlock()
	time.Sleep(3 * time.Minute)
	log := d.log()
	if n := len(log); n > 0 && math.Abs(log[n-1].value-target.Safe.Value) > 1e-9 {
		t.Errorf("%s, seed %d: silence ended at %g", c.name, seed, log[n-1].value)
	}
	if err := stop(); err != nil {
		t.Errorf("%s, seed %d: %v", c.name, seed, err)
	}
	res := o.Dialect().Resolution("x")
	step := max(time.Second, time.Duration(res/target.Slew*1e9)) // the default, or what one resolution takes
	last, at := started, time.Time{}
	for _, w := range log {
		const tiny = 1e-6
		isSafe := math.Abs(w.value-target.Safe.Value) < tiny || strings.HasSuffix(c.name, "line") && w.value == 0 // an unknown command switches off
		if !(w.value >= target.Min-tiny && w.value <= target.Max+tiny) && !isSafe {
			t.Errorf("%s, seed %d: %g is outside the limits", c.name, seed, w.value)
		}
		from := math.Min(math.Max(last, target.Min), target.Max)
		// A step that was lost on the way is made up for by the next one: over time it is the same.
		reach := target.Slew * w.at.Sub(at).Seconds()
		if at.IsZero() {
			reach = target.Slew * (w.at.Sub(began) + step).Seconds()
		}
		if jump := isSafe && !target.Safe.Ramp; !jump && math.Abs(w.value-from) > reach+res+tiny && !(from != last && w.value == from) {
			t.Errorf("%s, seed %d: from %g to %g in %v with %g a second", c.name, seed, last, w.value, w.at.Sub(at), target.Slew)
		}
		last, at = w.value, w.at
	}
	return commands, len(log), tr.done
}

func TestWireStories(t *testing.T) {
	cases := 500
	if testing.Short() {
		cases = 50
	}
	for i := range counterparts {
		c := &counterparts[i]
		t.Run(c.name, func(t *testing.T) {
			commands, writes, faults := 0, 0, 0
			cases := cases
			if c.talk > 0 {
				cases /= 5 // they take long
			}
			for seed := range uint64(cases) {
				synctest.Test(t, func(t *testing.T) {
					a, b, f := wireStory(t, c, seed)
					commands, writes, faults = commands+a, writes+b, faults+f
					time.Sleep(10 * time.Second) // what the device was about to say
				})
				if t.Failed() {
					t.FailNow()
				}
			}
			t.Logf("%d stories, %d commands, %d writes at the device, %d faults of the wire", cases, commands, writes, faults)
		})
	}
}
