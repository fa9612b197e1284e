package serialport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"go.uber.org/goleak"
	"golang.org/x/term"

	"stirwatch/sensors"
	"stirwatch/sensors/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// device is the far end of a serial line.
type device struct {
	*os.File
	line *os.File // keeps the near end open until the source has it
}

func plugIn(t testing.TB) device {
	t.Helper()
	far, near, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	if _, err := term.MakeRaw(int(near.Fd())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close(); near.Close() })
	return device{far, near}
}

func (d device) path() string { return d.line.Name() }

func (d device) send(t testing.TB, b []byte) {
	t.Helper()
	if _, err := d.Write(b); err != nil {
		t.Fatal(err)
	}
}

func (d device) unplug() { d.File.Close(); d.line.Close() }

// record is a sink that keeps everything.
type record struct {
	mu      sync.Mutex
	samples []sensors.Sample
	emits   int
	events  []sensors.Event
}

func (r *record) Emit(s []sensors.Sample, ack sensors.Acker) {
	r.mu.Lock()
	r.samples, r.emits = append(r.samples, s...), r.emits+1
	r.mu.Unlock()
}

func (r *record) Event(e sensors.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
}

func (r *record) count(kind sensors.EventKind) (n int, last sensors.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind {
			n, last = n+1, e
		}
	}
	return n, last
}

func (r *record) values() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s []string
	for _, x := range r.samples {
		s = append(s, fmt.Sprint(x.Value))
	}
	return strings.Join(s, " ")
}

func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// run supervises a source for the length of a test.
func run(t *testing.T, o Options) (*Source, *record) {
	t.Helper()
	if o.Clock == nil {
		o.Clock = func() int64 { return time.Now().UnixNano() }
	}
	o.Name = "logger"
	s, r := New(o), &record{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := s.Run(ctx, r); err == nil && ctx.Err() == nil {
				t.Error("Run ended by itself without an error")
			}
			time.Sleep(time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Error("Run does not end")
		}
	})
	return s, r
}

func connected(t *testing.T, r *record, times int) {
	t.Helper()
	until(t, "a connection", func() bool { n, _ := r.count(sensors.Connected); return n == times })
}

func number() wire.Decoder { return wire.NewNumber(wire.Field{}, 0) }

func daq(keys ...string) wire.Decoder {
	o := wire.Options{DeviceClock: true}
	for i, k := range keys {
		o.Fields = append(o.Fields, wire.Field{Channel: sensors.ChannelID(i), Key: k})
	}
	return wire.NewDAQ(o)
}

func frame(sequence int, v float32) []byte {
	return wire.AppendDAQData(nil, uint16(sequence), uint32(sequence)*1000, []float32{v}, nil)
}

func TestLinesOfEveryEnding(t *testing.T) {
	d := plugIn(t)
	s, r := run(t, Options{Port: d.path(), Decoder: number()})
	connected(t, r, 1)
	s.health.Tap.Look()
	d.send(t, []byte("74.3\n474.5\r\n\n475\r47")) // the first line began before the port was opened
	d.send(t, []byte("6\nwarm\n477\r\n"))
	until(t, "four samples", func() bool { return s.health.Samples.Load() == 4 })
	if got := r.values(); got != "474.5 475 476 477" {
		t.Error(got)
	}
	h := s.Health().Snapshot()
	if h.Messages != 4 || h.Rejected != 1 || h.Connects != 1 || !h.Connected || h.LastData.IsZero() || !strings.Contains(h.LastBad, "warm") {
		t.Errorf("%+v", h)
	}
	var seen []string
	for _, m := range s.health.Tap.Look() {
		seen = append(seen, string(m.Raw))
	}
	if got := strings.Join(seen, " "); got != "474.5 475 476 warm 477" {
		t.Errorf("who looks sees %q", got)
	}
}

func TestUnplugAndReplugElsewhere(t *testing.T) {
	link := filepath.Join(t.TempDir(), "by-id")
	d := plugIn(t)
	if err := os.Symlink(d.path(), link); err != nil {
		t.Fatal(err)
	}
	s, r := run(t, Options{Port: link, Format: COBS, Decoder: daq("1")})
	connected(t, r, 1)
	half := frame(4, 4)
	d.send(t, bytes.Join([][]byte{{9, 9, 0}, frame(1, 1), frame(2, 2), frame(3, 3), half[:5]}, nil))
	until(t, "three samples", func() bool { return s.health.Samples.Load() == 3 })
	d.unplug()
	until(t, "the loss", func() bool { n, _ := r.count(sensors.Disconnected); return n == 1 })
	if _, e := r.count(sensors.Disconnected); !strings.Contains(e.Text, "unplugged") {
		t.Errorf("%+v", e)
	}
	if s.health.Connected.Load() {
		t.Error("still connected")
	}
	os.Remove(link)
	until(t, "a failed open", func() bool { return strings.Contains(s.Health().Snapshot().LastError, "is not there") })
	d = plugIn(t)
	if err := os.Symlink(d.path(), link); err != nil {
		t.Fatal(err)
	}
	connected(t, r, 2)
	d.send(t, append(frame(6, 6), frame(7, 7)...))
	until(t, "two samples more", func() bool { return s.health.Samples.Load() == 5 })
	if got := r.values(); got != "1 2 3 6 7" {
		t.Error(got)
	}
	if n, e := r.count(sensors.Gap); n != 1 || e.Count != 2 {
		t.Errorf("%d gaps, the last %+v", n, e)
	}
	if h := s.Health().Snapshot(); h.Gaps != 1 || h.Lost != 2 || h.Rejected != 0 || h.Connects != 2 {
		t.Errorf("%+v", h)
	}
}

func TestDamagedFramesAreCountedAndMissed(t *testing.T) {
	d := plugIn(t)
	s, r := run(t, Options{Port: d.path(), Format: COBS, Decoder: daq("1")})
	connected(t, r, 1)
	bad := frame(2, 2)
	bad[6] ^= 0x10
	d.send(t, bytes.Join([][]byte{frame(1, 1), bad, frame(3, 3), frame(7, 7)}, nil))
	until(t, "three samples", func() bool { return s.health.Samples.Load() == 3 })
	if h := s.Health().Snapshot(); r.values() != "1 3 7" || h.Rejected != 1 || h.Gaps != 2 || h.Lost != 4 {
		t.Errorf("%s, %+v", r.values(), h)
	}
}

func TestOverlongLine(t *testing.T) {
	d := plugIn(t)
	s, r := run(t, Options{Port: d.path(), Decoder: number(), MaxLine: 100})
	connected(t, r, 1)
	d.send(t, []byte("\n1\n"))
	d.send(t, bytes.Repeat([]byte("9"), 1000))
	d.send(t, []byte("9\n2\n"+strings.Repeat("0", 99)+"3\n"))
	until(t, "three samples", func() bool { return s.health.Samples.Load() == 3 })
	if h := s.Health().Snapshot(); r.values() != "1 2 3" || h.Rejected != 1 {
		t.Errorf("%s, %+v", r.values(), h)
	}
}

func TestGarbageLooksLikeAWrongBaudRate(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	for _, f := range []Format{Lines, COBS} {
		d := plugIn(t)
		o := Options{Port: d.path(), Decoder: number(), Format: f, MaxLine: 256}
		if f == COBS {
			o.Decoder = daq("1")
		}
		s, r := run(t, o)
		connected(t, r, 1)
		for range 8 {
			b := make([]byte, 500)
			for i := range b {
				b[i] = byte(noise.Uint32())
			}
			d.send(t, b)
		}
		until(t, "a verdict", func() bool { n, _ := r.count(sensors.Detected); return n > 0 })
		until(t, "all bytes", func() bool { return s.health.Bytes.Load() == 4000 })
		if n, e := r.count(sensors.Detected); n != 1 || !strings.Contains(e.Text, "looks like a wrong baud rate") {
			t.Errorf("%s: %d events, the last %+v", f, n, e)
		}
		if got := r.values(); got != "" {
			t.Errorf("%s: samples from noise: %s", f, got)
		}
		if n, _ := r.count(sensors.Rejected); n > 1 {
			t.Errorf("%s: %d rejections told at once", f, n)
		}
		good, want := []byte("\n5\n"), "5"
		if f == COBS {
			good = append([]byte{0}, frame(1, 5)...)
		}
		d.send(t, good)
		until(t, "a sample after noise", func() bool { return r.values() == want })
	}
}

func TestSilence(t *testing.T) {
	d := plugIn(t)
	var now atomic.Int64
	now.Store(1e18)
	_, r := run(t, Options{Port: d.path(), Decoder: number(), Silence: 10 * time.Second, Clock: now.Load})
	connected(t, r, 1)
	now.Add(int64(11 * time.Second))
	until(t, "silence", func() bool { n, _ := r.count(sensors.Silent); return n == 1 })
	d.send(t, []byte("\n1\n"))
	until(t, "an end of silence", func() bool { n, _ := r.count(sensors.Resumed); return n == 1 })
	until(t, "a sample", func() bool { return r.values() == "1" })
	now.Add(int64(11 * time.Second))
	until(t, "silence again", func() bool { n, _ := r.count(sensors.Silent); return n == 2 })
}

// A board that restarts when its port opens sends its header while it settles.
func TestSettle(t *testing.T) {
	d := plugIn(t)
	var now atomic.Int64
	now.Store(1e18)
	o := wire.Options{Fields: []wire.Field{{Key: "T"}}}
	s, r := run(t, Options{Port: d.path(), Decoder: wire.NewCSV(o, ',', nil), Settle: 2 * time.Second, Clock: now.Load})
	connected(t, r, 1)
	d.send(t, []byte("garbage\nF,T\n1,2\nx,y\n"))
	until(t, "the bytes", func() bool { return s.health.Bytes.Load() == 20 })
	now.Add(int64(2 * time.Second))
	d.send(t, []byte("3,4\n"))
	until(t, "a sample", func() bool { return r.values() == "4" })
	if h := s.Health().Snapshot(); h.Rejected != 0 || h.Messages != 1 {
		t.Errorf("%+v", h)
	}
}

// A flood arrives whole: each line once, in order, each with its own stamp.
func TestFloodIsCountedExactlyOnce(t *testing.T) {
	const lines = 100_000
	d := plugIn(t)
	s, r := run(t, Options{Port: d.path(), Decoder: number()})
	connected(t, r, 1)
	begin := time.Now()
	b := []byte("\n")
	for i := range lines {
		if b = fmt.Appendf(b, "%d.25\r\n", i); len(b) > 2000 || i == lines-1 {
			d.send(t, b)
			b = b[:0]
		}
	}
	until(t, "every line", func() bool { return s.health.Samples.Load() == lines })
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("%.0f lines/s, %.1f lines a call", lines/time.Since(begin).Seconds(), lines/float64(r.emits))
	for i, x := range r.samples {
		if x.Value != float64(i)+0.25 || i > 0 && x.Time <= r.samples[i-1].Time {
			t.Fatalf("sample %d: %+v after %+v", i, x, r.samples[max(i-1, 0)])
		}
	}
}

func TestEqualStampsAreSetApart(t *testing.T) {
	o := wire.Options{Fields: []wire.Field{{Key: "2"}}, TimeKey: "1", TimeUnit: wire.Seconds, DeviceClock: true}
	s, r := New(Options{Decoder: wire.NewCSV(o, ',', nil), Clock: func() int64 { return 17e17 }}), &record{}
	s.take(17e17, []byte("\n1700000000,1\n1700000000,2\n1700000000,3\n1700000001,4\n"), r)
	for i, want := range []int64{17e17, 17e17 + 1, 17e17 + 2, 17e17 + 1e9} {
		if r.samples[i].Time != want {
			t.Errorf("sample %d: %d, want %d", i, r.samples[i].Time, want)
		}
	}
}

// null is a sink that forgets.
type null struct{}

func (null) Emit([]sensors.Sample, sensors.Acker) {}
func (null) Event(sensors.Event)                  {}

func busy() (*Source, []byte) {
	now := int64(1e18)
	o := wire.Options{Fields: []wire.Field{{Channel: 0, Key: "2"}, {Channel: 1, Key: "3"}, {Channel: 2, Key: "4"}}, TimeKey: "1", TimeUnit: wire.UptimeMillis}
	s := New(Options{Decoder: wire.NewCSV(o, ',', nil), Clock: func() int64 { now += 1e6; return now }})
	s.synced = true
	return s, bytes.Repeat([]byte("123456,474.3,12.1,-0.25\r\n"), 10)
}

func TestTakingBytesAllocatesNothing(t *testing.T) {
	s, b := busy()
	s.take(s.o.Clock(), b, null{})
	if n := testing.AllocsPerRun(100, func() {
		s.take(s.o.Clock(), b[:33], null{}) // cut within a line
		s.take(s.o.Clock(), b[33:], null{})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if r := s.health.Rejected.Load(); r != 0 {
		t.Errorf("%d rejected", r)
	}
}

// Ten lines of three channels with a time stamp. Budget: 10 µs, so that 10,000 lines a second take 1 %
// of a processor.
func BenchmarkTake10Lines(b *testing.B) {
	s, chunk := busy()
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		s.take(s.o.Clock(), chunk, null{})
	}
}

func TestNoSuchPort(t *testing.T) {
	s := New(Options{Port: filepath.Join(t.TempDir(), "ttyUSB9"), Decoder: number(), Clock: func() int64 { return 1 }})
	if err := s.Run(context.Background(), &record{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "plugged in") {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	s.o.Port = file
	if err := s.Run(context.Background(), &record{}); err == nil || !strings.Contains(err.Error(), "no serial port") {
		t.Error(err)
	}
}

// The library panics on a descriptor that select(2) cannot watch.
func TestTooManyFilesIsAnErrorNoPanic(t *testing.T) {
	d := plugIn(t)
	for range 1030 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Skipf("cannot open so many files: %v", err)
		}
		defer f.Close()
	}
	s := New(Options{Port: d.path(), Decoder: number(), Clock: func() int64 { return 1 }})
	if err := s.Run(context.Background(), &record{}); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Error(err)
	}
}

func TestPortsOfATree(t *testing.T) {
	root := t.TempDir()
	usb := "sys/devices/usb1/1-2"
	for name, text := range map[string]string{
		usb + "/idVendor": "2341\n", usb + "/idProduct": "0043\n", usb + "/serial": "557\n", usb + "/manufacturer": "Arduino\n", usb + "/product": "Uno\n",
		usb + "/1-2:1.0/x":               "",
		"sys/devices/platform/serial0/x": "",
		"sys/class/tty/ttyS0/type":       "4\n",
		"sys/class/tty/ttyS1/type":       "0\n",
		"sys/class/tty/ttyACM0/dev":      "166:0\n",
		"sys/class/tty/tty0/dev":         "4:0\n",
		"dev/serial/by-id/x":             "",
	} {
		path := filepath.Join(root, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"sys/class/tty/ttyS0/device":        root + "/sys/devices/platform/serial0",
		"sys/class/tty/ttyS1/device":        root + "/sys/devices/platform/serial0",
		"sys/class/tty/ttyACM0/device":      root + "/" + usb + "/1-2:1.0",
		usb + "/1-2:1.0/driver":             "../../../bus/usb/drivers/cdc_acm",
		"dev/serial/by-id/usb-Arduino-if00": "../../ttyACM0",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := portsBelow(root)
	want := []PortInfo{
		{Path: "/dev/ttyACM0", ByID: "/dev/serial/by-id/usb-Arduino-if00", Driver: "cdc_acm", VID: "2341", PID: "0043", Serial: "557", Manufacturer: "Arduino", Product: "Uno"},
		{Path: "/dev/ttyS0"},
	}
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Ports(); err != nil {
		t.Error(err)
	}
}

func TestALostDeviceHasOneName(t *testing.T) {
	for _, err := range []error{syscall.EIO, &os.PathError{Op: "read", Path: "/dev/ttyACM0", Err: syscall.ENXIO}, syscall.ENODEV} {
		if got := gone(err); got != errGone {
			t.Errorf("%v: %v", err, got)
		}
	}
	if got := gone(syscall.EACCES); got != syscall.EACCES {
		t.Errorf("a port without rights: %v", got)
	}
}
