package dialect

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"stirwatch/cmd/parts"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors/unit"
)

// The worked examples of the specifications: MODBUS Application Protocol V1.1b3, chapters 6.3, 6.6
// and 6.12 (requests and responses without address and checksum), and the checksum of MODBUS over
// Serial Line V1.02, appendix B: 0x1241 for the bytes 02 07, sent as 41 12.
func TestModbusPublishedVectors(t *testing.T) {
	if got := crc16([]byte{0x02, 0x07}); got != 0x1241 {
		t.Errorf("crc %04X", got)
	}
	// The check value of CRC-16/MODBUS in the catalogue of parametrised CRC algorithms.
	if got := crc16([]byte("123456789")); got != 0x4B37 {
		t.Errorf("crc %04X", got)
	}
	read := uint16(107) // 6.3: registers 108 to 110, of which two make a number here
	m, err := NewModbus(&Port{}, 17, 9600, map[string]ModbusWord{
		"6.6":  {Register: 1, Type: "uint16"},
		"6.12": {Register: 1, Type: "uint32"},
		"6.3":  {Register: 0, Read: &read, Type: "uint32"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		op     bridge.Op
		target string
		v      float64
		pdu    string
	}{
		{bridge.OpSet, "6.6", 3, "0600010003"},
		{bridge.OpSet, "6.12", 0x000A0102, "100001000204000A0102"},
		{bridge.OpGet, "6.3", 0, "03006B0002"},
	} {
		b, err := m.request(c.op, c.target, c.v)
		if got := strings.ToUpper(hex.EncodeToString(b[1 : len(b)-2])); err != nil || got != c.pdu || b[0] != 17 {
			t.Errorf("%s %s: %s, %v", c.op, c.target, got, err)
		}
	}
	w := ModbusWord{Type: "uint32", Scale: 1}
	if v, err := w.decode([]byte{0x02, 0x2B, 0x00, 0x00}); v != 0x022B0000 || err != nil { // 6.3's response
		t.Errorf("%g, %v", v, err)
	}
}

func TestModbusNumbers(t *testing.T) {
	for _, typ := range []string{"int16", "uint16", "int32", "uint32", "float32"} {
		for _, swapped := range []bool{false, true} {
			w := ModbusWord{Type: typ, Swapped: swapped, Scale: 10}
			for _, v := range []float64{0, 47.5, 3000.1, -12.3, 1e9, math.Inf(1)} {
				b, err := w.encode(v)
				if err != nil {
					if !errors.Is(err, bridge.ErrLimit) || typ == "float32" {
						t.Errorf("%s %g: %v", typ, v, err)
					}
					continue
				}
				if back, err := w.decode(b); math.Abs(back-v) > 1e-4+1e-7*v && !(err != nil && math.IsInf(v, 0)) {
					t.Errorf("%s %g: %g, %v", typ, v, back, err)
				}
			}
		}
	}
	for _, slave := range []int{0, 248, -1} {
		if _, err := NewModbus(&Port{}, slave, 9600, nil); err == nil {
			t.Errorf("slave %d", slave)
		}
	}
	if _, err := NewModbus(&Port{}, 1, 9600, map[string]ModbusWord{"x": {Type: "int24"}}); err == nil {
		t.Error("int24")
	}
}

// The line is the classic example of the checksum: N3 T0*57.
func TestPrinterChecksum(t *testing.T) {
	if got := numbered(3, "T0"); got != "N3 T0*57\n" {
		t.Error(got)
	}
}

func TestPrinterReports(t *testing.T) {
	for _, c := range []struct {
		reply, key string
		measured   bool
		want       float64
		bad        bool
	}{
		{"ok T:20.1 /0.0 B:22.0 /60.0 @:0", "T", false, 0, false},
		{"ok T:20.1 /0.0 B:22.0 /60.0 @:0", "T", true, 20.1, false},
		{"ok T:20.1 /0.0 B:22.0 /60.0 @:0", "B", false, 60, false},
		{"ok T:20.1/210 T1:19/150.5", "T1", false, 150.5, false},
		{"ok T:20.1 B:22", "T", false, 0, true},
		{"ok T:nan /nan", "T", false, 0, true},
		{"ok", "T", false, 0, true},
	} {
		v, err := reported(c.reply, c.key, c.measured)
		if (err != nil) != c.bad || v != c.want {
			t.Errorf("%q %s: %g, %v", c.reply, c.key, v, err)
		}
	}
}

// Every third line arrives damaged, heaters chatter, the firmware is busy: all commands come
// through, once and unharmed.
func TestPrinterResendsDamagedLines(t *testing.T) {
	n := 0
	d := &printerBox{target: 100, chatter: true, damage: func() bool { n++; return n%3 == 0 }}
	port, err := Serial(SerialOptions{Path: onPty(t, d)})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := NewPrinter(port, map[string]PrinterWord{"x": {Code: "M104", Tool: -1}}, 2*time.Second)
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for v := range 50 {
		for {
			one, stop := context.WithTimeout(ctx, time.Second)
			err := p.Set(one, "x", float64(100+v))
			stop()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
		if got, err := p.Get(ctx, "x"); err == nil && got != float64(100+v) {
			t.Fatalf("%g instead of %d", got, 100+v)
		}
	}
	for _, w := range d.log() {
		if w.value < 100 || w.value > 149 {
			t.Errorf("%g", w.value)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.reported || d.damaged < 20 {
		t.Errorf("M155 %v, %d lines damaged", d.reported, d.damaged)
	}
}

func TestTemplates(t *testing.T) {
	for s, want := range map[string]string{
		"Q1 {value:.1f}": "Q1 47.3", "Q1 {value}": "Q1 47.26", "SP={value:d};": "SP=47;",
		"W {value:07.2f}": "W 0047.26", "W {value:+.0f}": "W +47", "{value:f}": "47.260000",
	} {
		p, err := newTemplate(s)
		if err != nil || p.text(47.26) != want {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "Q1", "{value} {value}", "{x}", "{value:.1x}", "{value:.2g}", "{value:%s}", "{value", "{value:.99f}"} {
		if _, err := newTemplate(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	for _, c := range []struct {
		pattern, line string
		want          float64
		ok            bool
	}{
		{"{value}", "  47.3 ", 47.3, true}, {"{value}", "47.3 C", 0, false}, {"T={value}{any}", "T= -1e2 degC", -100, true},
		{"ok", "ok", 0, true}, {"ok", "okay", 0, false}, {"ok{any}", "okay", 0, true}, {"{value}", "0x10", 0, false}, {"a.c", "abc", 0, false},
	} {
		p, err := newPattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := p.match(c.line); v != c.want || ok != c.ok {
			t.Errorf("%q on %q: %g, %v", c.pattern, c.line, v, ok)
		}
	}
	for want, o := range map[string]LineOptions{
		"has no {value}":                       {Words: map[string]LineWord{"x": {Get: LineQuestion{Send: "T", Reply: "ok"}}}},
		"neither set":                          {Words: map[string]LineWord{"x": {}}},
		"does not exist":                       {Words: map[string]LineWord{"x": {Get: LineQuestion{Send: "T", Lines: 2, Line: 3}}}},
		"line end":                             {Words: map[string]LineWord{"x": {Get: LineQuestion{Send: "T\nX"}}}},
		"nothing tells that a command arrived": {Words: map[string]LineWord{"x": {Set: "Q {value}"}}},
		"needs the pattern of its reply":       {Words: map[string]LineWord{"x": {Set: "Q {value}", Reply: "OK", Safe: "X"}}},
		"means nothing":                        {Refusal: "{value} {value}"},
	} {
		if _, err := NewLine(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestMELDWordsThatCannotBe(t *testing.T) {
	for _, w := range []MELDWord{{Code: "M43"}, {Code: "M41", Safe: "M00"}, {Code: "M41", Decimals: 12}, {}} {
		if _, err := NewMELD(&Port{}, map[string]MELDWord{"x": w}); err == nil {
			t.Errorf("%+v was taken", w)
		}
	}
}

// A controller that refuses ends the lease at once, with its own words.
func TestTheControllersRefusalIsTold(t *testing.T) {
	d := &meldBox{sp: 400}
	port, err := Serial(SerialOptions{Path: onPty(t, d)})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := NewMELD(port, map[string]MELDWord{"x": {Code: "M52", Key: "sp"}})
	defer m.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var refused *bridge.DeviceError
	if err := m.Set(ctx, "x", 100); !errors.As(err, &refused) || refused.Reply != "error: no such code" {
		t.Errorf("%v", err)
	}
	if s, _ := m.Show(bridge.OpSet, "x", 100); s != `"M52 S100\r\n"` {
		t.Error(s)
	}
}

// scripted is a port behind which answer is called with every line that arrives.
func scripted(t *testing.T, answer func(line string, say func(string))) *Port {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	out := make(chan string, 100)
	go func() {
		for s := range out {
			if _, err := theirs.Write([]byte(s)); err != nil {
				return
			}
		}
	}()
	go func() {
		defer close(out)
		var b box
		buf := make([]byte, 64)
		for {
			n, err := theirs.Read(buf)
			if err != nil {
				return
			}
			for _, line := range b.lines(buf[:n]) {
				answer(line, func(s string) { out <- s })
			}
		}
	}()
	return &Port{Name: "script", Open: func() (io.ReadWriteCloser, error) { return ours, nil }}
}

// The answer to a command that was given up comes just in time for the next one, which is refused:
// it must not count as that one's acknowledgement.
func TestALateAcknowledgementIsNobodys(t *testing.T) {
	set := func(ctx context.Context, d bridge.Dialect, v float64) error {
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		return d.Set(ctx, "x", v)
	}
	ctx := context.Background()
	t.Run("MELD", func(t *testing.T) {
		var late bool
		d, _ := NewMELD(scripted(t, func(line string, say func(string)) {
			if line == "M41 S401" {
				late = true // its ok comes with whatever is said next
				return
			}
			if late {
				late = false
				say("ok\r\n")
			}
			if line == "M41 S402" {
				say("error: busy\r\n")
				return
			}
			if line == "?" {
				say("sp=400.0\r\n")
			} else {
				say("ok\r\n")
			}
		}), map[string]MELDWord{"x": {Code: "M41", Key: "sp"}})
		defer d.Close()
		if err := set(ctx, d, 400); err != nil {
			t.Fatal(err)
		}
		if err := set(ctx, d, 401); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		var refused *bridge.DeviceError
		if err := set(ctx, d, 402); !errors.As(err, &refused) {
			t.Errorf("the refusal was lost: %v", err)
		}
	})
	t.Run("line", func(t *testing.T) {
		d, err := NewLine(LineOptions{Quiet: 50 * time.Millisecond, Refusal: "ERR", Words: map[string]LineWord{"x": {Set: "S{value:d}", Reply: "OK"}},
			Port: scripted(t, func(line string, say func(string)) {
				switch line {
				case "S401":
					time.AfterFunc(120*time.Millisecond, func() { say("OK\r\n") })
				case "S402":
					say("ERR\r\n")
				default:
					say("OK\r\n")
				}
			})})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := set(ctx, d, 400); err != nil {
			t.Fatal(err)
		}
		if err := set(ctx, d, 401); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		var refused *bridge.DeviceError
		if err := set(ctx, d, 402); !errors.As(err, &refused) {
			t.Errorf("the refusal was lost: %v", err)
		}
	})
}

// A device stalls within a number for longer than silence is waited for: the rest of the number is no reading.
func TestTheRestOfANumberIsNoReading(t *testing.T) {
	asked := 0
	d, err := NewLine(LineOptions{Quiet: 20 * time.Millisecond, Words: map[string]LineWord{"t": {Get: LineQuestion{Send: "T1"}}},
		Port: scripted(t, func(_ string, say func(string)) {
			switch asked++; asked {
			case 1:
				say("23.6")
			case 2:
				say("99\r\n")
				say("24.1\r\n")
			default:
				say("24.2\r\n")
			}
		})})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	get := func() (float64, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return d.Get(ctx, "t")
	}
	if v, err := get(); err == nil {
		t.Fatalf("half a number was taken for %g", v)
	}
	for _, want := range []float64{24.1, 24.2} {
		if v, err := get(); err != nil || v != want {
			t.Errorf("%g, %v; want %g", v, err, want)
		}
	}
}

// A device that talks by itself is driven like any other, as long as what it says cannot be a reply;
// if it can, that is told, with the way out. Ten simulated minutes, each rate.
func TestADeviceThatTalksByItself(t *testing.T) {
	for _, c := range []struct {
		says  string
		every time.Duration
		clear bool
	}{
		{"# uptime %d s\r\n", 50 * time.Millisecond, true},
		{"# uptime %d s\r\n", 500 * time.Millisecond, true},
		{"temp=21.%d\r\n", 7 * time.Millisecond, true},
		{"%d\r\n", 50 * time.Millisecond, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			kit := &kitBox{t: [2]float64{21, 22}}
			port := &Port{Name: "kit", Open: func() (io.ReadWriteCloser, error) {
				ours, theirs := net.Pipe()
				write, gone := inTurn(theirs, time.Millisecond), make(chan struct{})
				go talk(c.every, write, c.says, gone)
				go func() {
					defer close(gone)
					buf := make([]byte, 64)
					for {
						n, err := theirs.Read(buf)
						if err != nil {
							return
						}
						for _, r := range kit.feed(buf[:n]) {
							write(r)
						}
					}
				}()
				return ours, nil
			}}
			target := counterparts[1].target
			target.Lease = time.Hour
			b, stop := start(t, bridge.Options{Targets: []bridge.Target{target}, Dialect: func() bridge.Dialect { d, _ := counterparts[1].dialect(port); return d }})
			l, err := b.Command(bridge.Command{Target: "x", Value: unit.Quantity{Value: 30, Unit: target.Unit}, For: time.Hour, Who: "test", Why: "it talks"})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
			select {
			case <-l.Reached():
			default:
				if c.clear {
					t.Errorf("%q every %v: not reached", c.says, c.every)
				}
			}
			if c.clear {
				l.Release("enough")
				if err := b.Safe(t.Context()); err != nil || !errors.Is(l.Err(), bridge.ErrReleased) {
					t.Errorf("%q every %v: %v, %v", c.says, c.every, l.Err(), err)
				}
			} else if err := l.Err(); err == nil || !strings.Contains(err.Error(), "give the replies patterns that nothing else matches") {
				t.Errorf("%q every %v: %v", c.says, c.every, err)
			}
			b.Abandon() // whatever is not confirmed by now
			if err := stop(); err != nil && c.clear {
				t.Error(err)
			}
			if log := kit.log(); len(log) > 0 && log[len(log)-1].value != 0 {
				t.Errorf("the end is %+v", log[len(log)-1])
			}
			time.Sleep(time.Second) // what the device was about to say
		})
	}
}

// A command that is documented without a reply, on a device that answers it anyway: the answer
// stands for none of the questions that follow.
func TestAReplyThatShouldNotBeIsNobodys(t *testing.T) {
	for _, late := range []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			d, err := NewLine(LineOptions{Words: map[string]LineWord{"x": {Set: "Q1 {value}", Get: LineQuestion{Send: "R1"}}},
				Port: scripted(t, func(line string, say func(string)) {
					if value, isSet := strings.CutPrefix(line, "Q1 "); isSet { // echoed, and not followed
						time.AfterFunc(late, func() { say(value + "\r\n") })
					} else {
						say("17\r\n")
					}
				})})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := d.Set(ctx, "x", 50); err != nil {
					t.Error(err)
				}
				if v, err := d.Get(ctx, "x"); v != 17 || err != nil {
					t.Errorf("%v late: reads back %g, %v", late, v, err)
				}
				cancel()
			}
		})
	}
}

// Half a command lies on the wire when the connection breaks; the safe state that follows must not
// be swallowed by it, nor the half be taken for a command.
func TestHalfACommandDoesNoHarm(t *testing.T) {
	heard := make(chan string, 10)
	d, _ := NewMELD(scripted(t, func(line string, say func(string)) {
		heard <- line
		switch {
		case line == "?":
			say("sp=0.0\r\n")
		case line == "M41 S0":
			say("ok\r\n")
		default:
			say("error: " + line + "\r\n")
		}
	}), map[string]MELDWord{"x": {Code: "M41", Key: "sp"}})
	defer d.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.write(ctx, []byte("M41 S47")); err != nil { // of 475
		t.Fatal(err)
	}
	d.torn = true
	if err := d.Safe(ctx, "x", 0); !errors.Is(err, bridge.ErrUnsure) {
		t.Error(err)
	}
	for _, want := range []string{"M41 S47?", "M41 S0", "?"} {
		if got := <-heard; got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}

// stalled is a port whose other end takes nothing once its buffer is full.
func stalled(t *testing.T) (path string, master io.ReadWriteCloser) {
	t.Helper()
	m, s, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { m.Close(); s.Close() })
	return s.Name(), m
}

// Closing a port frees a write that waits for room in it: left in the kernel it would hold back every
// later one, after the device listens again, too.
func TestClosingFreesAStuckWrite(t *testing.T) {
	path, master := stalled(t)
	port, err := Serial(SerialOptions{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	c, err := port.Open()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Write(bytes.Repeat([]byte("x"), 1<<16)) // several times what a pseudo terminal holds
	}()
	if _, err := master.Read(make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	c.Close()
	within(t, "the write's end", ended)
}

// A write into a port that takes nothing comes back with its context; the port is given up, opened
// again, and works once the device listens.
func TestAStuckWriteHoldsNobodyUp(t *testing.T) {
	path, master := stalled(t)
	port, err := Serial(SerialOptions{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	l := &link{port: port}
	defer l.Close()
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	stuck := 0
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		began := time.Now()
		err := l.write(ctx, chunk)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			stuck++
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("came back after %v", took)
		}
	}
	if stuck == 0 {
		t.Fatal("the port took everything")
	}
	d := &meldBox{sp: 400}
	go serve(master, d)
	m, _ := NewMELD(port, map[string]MELDWord{"x": {Code: "M41", Key: "sp"}})
	defer m.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		one, stop := context.WithTimeout(ctx, 500*time.Millisecond)
		err := m.Set(one, "x", 410)
		stop()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the port never came back: %v", err)
		}
	}
}

// Unplugged and plugged in again under the same name: the pilot goes on where the limits let it.
func TestReplug(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/controller"
	d := &meldBox{sp: 400}
	plug := func() io.Closer {
		master, slave, err := pty.Open()
		if err != nil {
			t.Skipf("no pseudo terminals here: %v", err)
		}
		os.Remove(path)
		if err := os.Symlink(slave.Name(), path); err != nil {
			t.Fatal(err)
		}
		go serve(master, d)
		return closers{master, slave}
	}
	first := plug()
	port, err := Serial(SerialOptions{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	target := counterparts[0].target
	target.Slew = 1000
	b, stop := running(t, bridge.Options{Targets: []bridge.Target{target}, Step: 10 * time.Millisecond, Check: 20 * time.Millisecond, Timeout: 200 * time.Millisecond,
		Retry: 20 * time.Millisecond, Patience: 15 * time.Second, Dialect: func() bridge.Dialect {
			m, _ := NewMELD(port, map[string]MELDWord{"x": {Code: "M41", Key: "sp"}})
			return m
		}})
	l, err := b.Command(bridge.Command{Target: "x", Value: unit.Quantity{Value: 450, Unit: celsius}, For: time.Minute, Who: "test", Why: "replug"})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "reaching 450", l.Reached())
	first.Close()
	second := plug()
	defer second.Close()
	l2, err := b.Command(bridge.Command{Target: "x", Value: unit.Quantity{Value: 470, Unit: celsius}, For: time.Minute, Who: "test", Why: "replug"})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "reaching 470 after the replug", l2.Reached())
	stop()
	if log := d.log(); log[len(log)-1].value != 0 {
		t.Errorf("%+v", log)
	}
}

type closers []io.Closer

func (c closers) Close() error {
	for _, each := range c {
		each.Close()
	}
	return nil
}

// mqttBox is a device on a real broker that doubles every answer and adds garbage.
func mqttBox(t testing.TB, url string, b *box) {
	held := 300.0
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("device").
		SetCleanSession(false).SetAutoReconnect(true).SetMaxReconnectInterval(100 * time.Millisecond).SetOnConnectHandler(func(c mqtt.Client) { go c.Subscribe("cell/set", 1, nil) }))
	if tok := c.Connect(); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(50) })
	tok := c.Subscribe("cell/set", 1, func(_ mqtt.Client, m mqtt.Message) {
		var o order
		if json.Unmarshal(m.Payload(), &o) != nil || o.Expires < time.Now().UnixMilli() {
			return
		}
		b.mu.Lock()
		a := map[string]any{"id": o.ID, "ok": true}
		if o.Value != nil && *o.Value > 470 {
			a = map[string]any{"id": o.ID, "ok": false, "error": "too hot for me"}
		} else if o.Value != nil {
			held = *o.Value
			b.put(held)
		}
		a["value"] = held
		b.mu.Unlock()
		text, _ := json.Marshal(a)
		c.Publish("cell/ack", 1, false, "garbage{")
		c.Publish("cell/ack", 1, false, `{"id":"someone else's","ok":true,"value":1}`)
		c.Publish("cell/ack", 1, false, text)
		c.Publish("cell/ack", 1, false, text)
	})
	if !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
}

func TestMQTTOverMosquitto(t *testing.T) {
	url := parts.StartMosquitto(t).URL
	var device box
	mqttBox(t, url, &device)
	n, target := &notes{}, counterparts[0].target
	target.Slew, target.Safe = 1000, bridge.SafeState{Name: "hold", Value: 300, Ramp: true}
	b, stop := running(t, bridge.Options{Targets: []bridge.Target{target}, Recorder: n, Step: 10 * time.Millisecond, Dialect: func() bridge.Dialect {
		m, err := NewMQTT(MQTTOptions{Broker: url, Words: map[string]MQTTWord{"x": {Command: "cell/set", Ack: "cell/ack", Unit: "°C"}}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}})
	l, err := b.Command(bridge.Command{Target: "x", Value: unit.Quantity{Value: 455.5, Unit: celsius}, For: time.Minute, Who: "test", Why: "broker"})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "reaching 455.5", l.Reached())
	if q, err := b.Get(context.Background(), "x"); err != nil || q.Value != 455.5 {
		t.Errorf("%v, %v", q, err)
	}
	l, err = b.Command(bridge.Command{Target: "x", Value: unit.Quantity{Value: 480, Unit: celsius}, For: time.Minute, Who: "test", Why: "too hot"})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "the refusal", l.Done())
	if err := l.Err(); !errors.Is(err, bridge.ErrFailed) || !strings.Contains(err.Error(), "too hot for me") {
		t.Error(err)
	}
	stop()
	log := device.log()
	if log[len(log)-1].value != 300 {
		t.Errorf("%+v", log)
	}
	last := 300.0
	for _, w := range log {
		if math.Abs(w.value-last) > 10.001 || w.value > 470 {
			t.Errorf("from %g to %g", last, w.value)
		}
		last = w.value
	}
	if got := n.verdicts(); got != "accepted reached accepted failed reverted" {
		t.Error(got)
	}
	for _, w := range []MQTTWord{{}, {Command: "a"}, {Command: "a/#", Ack: "b"}, {Command: "a", Ack: "a"}} {
		if _, err := NewMQTT(MQTTOptions{Words: map[string]MQTTWord{"x": w}}); err == nil {
			t.Errorf("%+v was taken", w)
		}
	}
}

// The broker dies under a lease and comes back: the lease ends, the safe state gets through, and
// nothing that was under way is sent again.
func TestBrokerRestart(t *testing.T) {
	broker := parts.StartMosquitto(t)
	url := broker.URL
	var device box
	mqttBox(t, url, &device)
	n, target := &notes{}, counterparts[0].target
	target.Slew, target.Safe = 1000, bridge.SafeState{Name: "hold", Value: 300, Ramp: false}
	b, stop := running(t, bridge.Options{Targets: []bridge.Target{target}, Recorder: n, Step: 10 * time.Millisecond, Check: 20 * time.Millisecond,
		Timeout: time.Second, Retry: 20 * time.Millisecond, Patience: 3 * time.Second, Dialect: func() bridge.Dialect {
			m, err := NewMQTT(MQTTOptions{Broker: url, Words: map[string]MQTTWord{"x": {Command: "cell/set", Ack: "cell/ack", Unit: "°C"}}})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}})
	l, err := b.Command(bridge.Command{Target: "x", Value: unit.Quantity{Value: 420, Unit: celsius}, For: time.Minute, Who: "test", Why: "broker"})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "reaching 420", l.Reached())
	broker.Stop(syscall.SIGKILL)
	within(t, "the end of the lease", l.Done())
	before := len(device.log())
	broker.Start()
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if s, _ := b.State("x"); !s.Reverting {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the safe state did not get through")
		}
	}
	for _, w := range device.log()[before:] {
		if w.value != 300 {
			t.Errorf("%g after the restart", w.value)
		}
	}
	stop()
	if got := n.verdicts(); got != "accepted reached failed reverted" {
		t.Error(got)
	}
}

// A broker that is not there costs time and nothing else.
func TestMQTTWithoutBroker(t *testing.T) {
	m, err := NewMQTT(MQTTOptions{Broker: "tcp://127.0.0.1:1", Words: map[string]MQTTWord{"x": {Command: "a", Ack: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := m.Set(ctx, "x", 1); err == nil {
		t.Error("sent to nobody")
	}
	m.Close()
}

// Closing wakes a request that hangs; what comes after is an error.
func TestCloseDuringARequest(t *testing.T) {
	for _, c := range counterparts {
		master, slave, err := pty.Open()
		if err != nil {
			t.Skipf("no pseudo terminals here: %v", err)
		}
		port, err := Serial(SerialOptions{Path: slave.Name()})
		if err != nil {
			t.Fatal(err)
		}
		d, err := c.dialect(port)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{})
		go func() { master.Read(make([]byte, 64)); close(asked) }()
		failed := make(chan struct{})
		go func() {
			defer close(failed)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if _, err := d.Get(ctx, "x"); err == nil {
				t.Errorf("%s: an answer from nobody", c.name)
			}
		}()
		within(t, "a question", asked)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		within(t, "the end of the request", failed)
		if err := d.Set(context.Background(), "x", 42); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", c.name, err)
		}
		master.Close()
		slave.Close()
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func FuzzReplies(f *testing.F) {
	for _, s := range []string{"ok\r\n", "error: no\r\n", "state=RUN sp=475.0\r\n", "47.3\r\n", "ok T:20.1 /0.0\n", "Resend: 2\nok\n", "\x11\x03\x02\x01\xdb\xb8\x4c", "\x11\x86\x02\xc3\xa1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		for i := range counterparts {
			c := &counterparts[i]
			ours, theirs := net.Pipe()
			go func() {
				buf := make([]byte, 256)
				for {
					if _, err := theirs.Read(buf); err != nil {
						return
					}
					if _, err := theirs.Write(reply); err != nil {
						return
					}
				}
			}()
			d, err := c.dialect(&Port{Open: func() (io.ReadWriteCloser, error) { return ours, nil }})
			if err != nil {
				t.Fatal(err)
			}
			if l, is := d.(*Line); is {
				l.o.Quiet = 100 * time.Microsecond // or it never gets to ask
			}
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
			if v, err := d.Get(ctx, "x"); err == nil && v-v != 0 {
				t.Errorf("%s read %g from %q", c.name, v, reply)
			}
			d.Set(ctx, "x", 42)
			cancel()
			d.Close()
			theirs.Close()
		}
	})
}

// Budget: p50 under 300 µs and p99 under 5 ms over a pseudo terminal, which itself takes 46 and
// 135 µs; a serial line of 115200 baud takes 2 ms for the same bytes. Modbus adds the 1.8 ms of
// silence before every frame that its specification asks for at 19200 baud.
func BenchmarkRoundTrip(b *testing.B) {
	for _, c := range counterparts {
		b.Run(c.name, func(b *testing.B) {
			port, err := Serial(SerialOptions{Path: onPty(b, c.device(c.target.Min))})
			if err != nil {
				b.Fatal(err)
			}
			d, err := c.dialect(port)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			if err := d.Set(context.Background(), "x", 42); err != nil {
				b.Fatal(err)
			}
			took := make([]time.Duration, 0, b.N)
			b.ResetTimer()
			for range b.N {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				began := time.Now()
				err := d.Set(ctx, "x", 42)
				took = append(took, time.Since(began))
				cancel()
				if err != nil {
					b.Fatal(err)
				}
			}
			percentiles(b, took)
		})
	}
}

func percentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// Time from the end of a lease to the safe state's bytes at the device, over a pseudo terminal,
// while the pilot hangs in a request that is never answered. Budget: p50 under 5 ms; the limit that
// the tests hold is Options.Grace, 100 ms.
func BenchmarkWatchdog(b *testing.B) {
	var took []time.Duration
	for range b.N {
		d := &deafBox{meldBox: meldBox{sp: 400}, heard: make(chan time.Time, 1)}
		port, err := Serial(SerialOptions{Path: onPty(b, d)})
		if err != nil {
			b.Fatal(err)
		}
		br, stop := running(b, bridge.Options{Targets: []bridge.Target{counterparts[0].target}, Dialect: func() bridge.Dialect {
			m, _ := NewMELD(port, map[string]MELDWord{"x": {Code: "M41", Key: "sp"}})
			return m
		}})
		l, err := br.Command(bridge.Command{Target: "x", Value: unit.Quantity{Value: 400, Unit: celsius}, For: 250 * time.Millisecond, Who: "benchmark", Why: "reaction"})
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		select {
		case <-l.Done():
		case <-time.After(5 * time.Second):
			b.Fatal("the lease does not end")
		}
		at := <-d.heard
		took = append(took, at.Sub(began)-250*time.Millisecond)
		stop()
	}
	percentiles(b, took)
}

// deafBox takes set-points without answering, until it is told the safe one.
type deafBox struct {
	meldBox
	heard chan time.Time
}

func (d *deafBox) feed(in []byte) [][]byte {
	replies := d.meldBox.feed(in)
	if bytes.Contains(in, []byte("M41 S0\r")) {
		select {
		case d.heard <- time.Now():
		default:
		}
	}
	if bytes.Contains(in, []byte("M41 S4")) {
		return nil
	}
	return replies
}

// What a controller of another make says is taken in either case, and where it says something else the error tells what.
func TestMELDTellsWhatCameInstead(t *testing.T) {
	for said, want := range map[string]string{
		"OK": "", "ERROR": "ERROR", "Error 17": "Error 17", "error: door open": "error: door open",
		"done": `"M41 S455" was answered by "done"; this dialect knows ok, or error: why`, "errors=3": `was answered by "errors=3"`,
	} {
		synctest.Test(t, func(t *testing.T) {
			m, err := NewMELD(scripted(t, func(line string, say func(string)) {
				if line == "?" {
					say("sp=400\r\n")
					return
				}
				say(said + "\r\n")
			}), map[string]MELDWord{"x": {Code: "M41", Key: "sp"}})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err = m.Set(ctx, "x", 455)
			var refused *bridge.DeviceError
			switch errors.As(err, &refused); {
			case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%q: %v, want %q", said, err, want)
			case (refused != nil) != (strings.EqualFold(said[:min(5, len(said))], "error") && said != "errors=3"):
				t.Errorf("%q: %v", said, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		m, _ := NewMELD(scripted(t, func(_ string, say func(string)) { say("RUN sp 455\r\n") }), map[string]MELDWord{"x": {Code: "M41", Key: "sp"}})
		defer m.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.Get(ctx, "x"); err == nil || !strings.Contains(err.Error(), `"?" was answered by "RUN sp 455"; this dialect knows one line of key=value pairs`) {
			t.Error(err)
		}
	})
}
