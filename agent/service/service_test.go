package service

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// manager listens as systemd does: on a datagram socket named in the environment.
func manager(t *testing.T, watchdogUSec string) (heard chan string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", watchdogUSec)
	t.Setenv("WATCHDOG_PID", "")
	heard = make(chan string, 1000)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				close(heard)
				return
			}
			heard <- string(b[:n])
		}
	}()
	return heard
}

// until gives what the manager hears up to a message that begins with want, itself included.
func until(t *testing.T, heard chan string, want string) (all []string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case m := <-heard:
			if all = append(all, m); strings.HasPrefix(m, want) {
				return all
			}
		case <-limit:
			t.Fatalf("%q was not said; heard %q", want, all)
		}
	}
}

// A tick that moves is petted, one that stands is told and not petted, one that goes on is petted again.
func TestOnlyAMovingTickPets(t *testing.T) {
	heard := manager(t, "400000")
	var beats atomic.Uint64
	var standing atomic.Bool
	standing.Store(true)
	moving := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ticking := make(chan struct{})
	go func() { // a tick of 5 ms
		defer close(ticking)
		for t := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-t.C:
				if !standing.Load() {
					beats.Add(1)
				}
			}
		}
	}()
	still := make(chan string, 10)
	go func() {
		defer close(moving)
		Run(ctx, Options{Beats: beats.Load, Still: func(text string) { still <- text }, Log: slog.New(slog.DiscardHandler)})
	}()
	if all := until(t, heard, "STATUS=the tick has stood still"); len(all) != 1 {
		t.Errorf("before the first tick the manager heard %q", all)
	}
	standing.Store(false)
	if all := until(t, heard, "WATCHDOG=1"); all[0] != "READY=1\nSTATUS=watching" {
		t.Errorf("the first tick was told as %q", all)
	}
	until(t, heard, "WATCHDOG=1")
	standing.Store(true)
	until(t, heard, "STATUS=the tick has stood still")
	if text := <-still; !strings.Contains(text, "watchdog will end") {
		t.Errorf("told as %q", text)
	}
	standing.Store(false)
	if all := until(t, heard, "WATCHDOG=1"); !strings.HasPrefix(all[0], "READY=1") {
		t.Errorf("after it stood still the manager heard %q", all) // and no pet before the tick moved
	}
	cancel()
	<-moving
	<-ticking
	until(t, heard, "STOPPING=1")
}

// Without a manager nothing is said and nothing fails.
func TestWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log strings.Builder
	Run(ctx, Options{Beats: func() uint64 { return 1 }, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if log.Len() > 0 {
		t.Error(log.String())
	}
}
