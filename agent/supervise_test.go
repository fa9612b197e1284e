package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"

	"stirwatch/sensors"
	"stirwatch/sensors/serialport"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// socket is a source whose plug is in or out by the clock.
type socket struct {
	health sensors.Health
	in     atomic.Bool
	plug   atomic.Uint64 // how many times it was put in
	caught sync.Map      // of plug
	opened atomic.Int64
	gives  bool
}

func (s *socket) Name() string            { return "plug" }
func (s *socket) Health() *sensors.Health { return &s.health }

func (s *socket) Run(ctx context.Context, to sensors.Sink) error {
	s.opened.Add(1)
	if !s.in.Load() {
		return errors.New("not there")
	}
	s.caught.Store(s.plug.Load(), true)
	for s.in.Load() {
		if s.gives {
			s.health.Samples.Add(1)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("gone")
}

// A plug that is loose for a minute is caught each time it makes contact for 100 ms; one that is long out is
// tried slowly.
func TestLoosePlug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Agent{opt: Options{Log: slog.New(slog.DiscardHandler)}}
		s := &socket{gives: true}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.in.Store(true)
		go a.supervise(ctx, s, nil)
		time.Sleep(time.Second)
		for range 200 {
			s.in.Store(false)
			time.Sleep(150 * time.Millisecond)
			s.plug.Add(1)
			s.in.Store(true)
			time.Sleep(100 * time.Millisecond)
		}
		caught := 0
		s.caught.Range(func(any, any) bool { caught++; return true })
		if caught != 201 {
			t.Errorf("%d of 201 contacts were caught", caught)
		}
		s.in.Store(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		s.opened.Store(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := s.opened.Load(); n > 25 || n < 8 {
			t.Errorf("long gone it was tried %d times a minute", n)
		}
		cancel()
		synctest.Wait()
	})
}

// What never gave data, or fails by our own fault, is not tried many times a second.
func TestRetryOfWhatNeverWorked(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, err := range map[string]error{"not there": errors.New("no such file"), "panic": panicked{errors.New("index out of range")}} {
		var r retry
		var waited time.Duration
		for range 10 {
			waited += r.after(now, now, name == "panic", err)
		}
		if waited < 20*time.Second {
			t.Errorf("%s: ten tries took %v", name, waited)
		}
	}
}

// listening remembers the last value that came.
type listening struct{ last atomic.Int64 }

func (l *listening) Emit(s []sensors.Sample, _ sensors.Acker) { l.last.Store(int64(s[len(s)-1].Value)) }
func (*listening) Event(sensors.Event)                        {}

// A real terminal that goes and comes back 200 times under its name is read again each time.
func TestPortComesBack(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "port")
	o := wire.Options{Fields: []wire.Field{{Channel: 0, Key: "1", Map: unit.Identity, Unit: unit.MustParse("°C")}}}
	src := serialport.New(serialport.Options{Name: "tc", Port: name, Decoder: wire.NewCSV(o, ',', nil), Clock: func() int64 { return time.Now().UnixNano() }})
	a := &Agent{opt: Options{Log: slog.New(slog.DiscardHandler)}}
	ctx, cancel := context.WithCancel(t.Context())
	to := &listening{}
	done := make(chan struct{})
	go func() { defer close(done); a.supervise(ctx, src, to) }()
	defer func() { cancel(); <-done }()
	for i := range 200 {
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(slave.Name(), name); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("something is heard after reopening %d", i), func() bool {
			if _, err := fmt.Fprintf(master, "%d\n%d\n", i+1, i+1); err != nil { // what is sent before it is opened is lost, as on a real line
				t.Fatal(err)
			}
			return to.last.Load() == int64(i+1)
		})
		os.Remove(name)
		slave.Close()
		master.Close()
	}
	if n := src.Health().Snapshot().Connects; n != 200 {
		t.Errorf("opened %d times", n)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s still not: %s", what)
		}
	}
}
