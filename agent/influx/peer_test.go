package influx

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stirwatch/cmd/parts"
)

// A proxy that leads elsewhere, as from http to https, is named with the new address; nothing is lost,
// and when the address is good again all goes on.
func TestRedirectsAreNamed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, c := range []struct{ location, says string }{
			{"https://influx.example:8086/api/v2/write?org=any&bucket=test", "redirects to https://influx.example:8086 ("},
			{"https://user:secret@influx.example/plant/api/v2/write", "redirects to https://user:xxxxx@influx.example/plant ("},
			{"/login", "/login ("},
			{"", "without saying where"},
		} {
			t.Run(fmt.Sprint(status, " ", c.location), func(t *testing.T) {
				t.Parallel()
				j, s := openJournal(t), newServer(t)
				s.misbehave(func(_ int, w http.ResponseWriter, _ *http.Request, _ []string) bool {
					if c.location != "" {
						w.Header().Set("Location", c.location)
					}
					w.WriteHeader(status)
					return true
				})
				var log parts.Buffer
				u := upload(t, j, Options{URL: s.URL, Log: slog.New(slog.NewTextHandler(&log, nil))})
				put(t, j, 1000, 50, 10)
				eventually(t, "the redirect is told", func() bool {
					return u.State().Phase == Moved && strings.Contains(log.String(), c.says)
				})
				if st := u.State(); !strings.Contains(st.Err, c.says) || st.Backlog.Lines != 50 || !st.Phase.NeedsAction() {
					t.Errorf("state %+v", st)
				}
				if !strings.Contains(log.String(), "level=ERROR") {
					t.Errorf("log: %s", log.String())
				}
				s.misbehave(nil)
				sentAll(t, j)
				if n, ordered := s.seen(); n != 50 || !ordered {
					t.Errorf("%d lines, ordered %v", n, ordered)
				}
			})
		}
	}
}

// What a person must act on is said at once, also after other failures.
func TestAnotherFailureIsLoggedAtOnce(t *testing.T) {
	t.Parallel()
	j, s := openJournal(t), newServer(t)
	var status atomic.Int64
	status.Store(503)
	s.misbehave(func(_ int, w http.ResponseWriter, _ *http.Request, _ []string) bool {
		w.Header().Set("Location", "https://influx.example/")
		w.WriteHeader(int(status.Load()))
		return true
	})
	var log parts.Buffer
	u := upload(t, j, Options{URL: s.URL, Log: slog.New(slog.NewTextHandler(&log, nil))})
	put(t, j, 1000, 5, 5)
	for _, c := range []struct {
		status int64
		phase  Phase
	}{{503, Waiting}, {308, Moved}, {401, Unauthorized}, {308, Moved}} {
		status.Store(c.status)
		eventually(t, string(c.phase), func() bool { return u.State().Phase == c.phase })
	}
	if n := strings.Count(log.String(), "err="); n != 3 || !strings.Contains(log.String(), "https://influx.example ") {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

// Whatever the peer is at, an uploader that is told to stop returns, long before a request's timeout.
func TestStopsInEveryStateOfThePeer(t *testing.T) {
	t.Parallel()
	const lines = 200_000 // more than sockets hold
	j := openJournal(t)   // of all peers: none takes anything
	put(t, j, 0, lines, 10_000)
	swallow := func(c net.Conn) { // takes everything and says nothing
		buf := make([]byte, 1<<16)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	}
	answer := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			buf := make([]byte, 1<<16)
			if _, err := c.Read(buf); err != nil {
				return
			}
			c.Write([]byte(text))
			swallow(c)
		}
	}
	for name, peer := range map[string]func(net.Conn){
		"reads nothing":             nil,
		"reads all, answers never":  swallow,
		"closes at once":            func(net.Conn) {},
		"stops in the header":       answer("HTTP/1.1 400 Bad"),
		"stops in the error's text": answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 1000\r\n\r\npartial"),
		"stops in a strange text":   answer("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<html>"),
		"redirects in mid-body":     answer("HTTP/1.1 307 Temporary Redirect\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n"),
		"redirects, text stalls":    answer("HTTP/1.1 308 Permanent Redirect\r\nLocation: https://x/\r\nContent-Length: 9\r\n\r\n"),
		"asks for an hour":          answer("HTTP/1.1 503 Later\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"),
		"continues for ever":        answer(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 3)),
		"speaks another tongue":     answer("220 smtp ready\r\n"),
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(name+" over "+scheme, func(t *testing.T) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				ctx, hangUp := context.WithCancel(context.Background())
				met := make(chan struct{}, 100)
				served := make(chan struct{})
				go func() {
					defer close(served)
					for {
						c, err := l.Accept()
						if err != nil {
							return
						}
						stop := context.AfterFunc(ctx, func() { c.Close() })
						go func() {
							defer stop()
							defer c.Close()
							met <- struct{}{}
							if peer == nil {
								<-ctx.Done()
								return
							}
							peer(c)
						}()
					}
				}()
				defer func() { hangUp(); l.Close(); <-served }()
				u, err := New(Options{URL: scheme + "://" + l.Addr().String(), Bucket: "test/autogen", Flush: time.Millisecond, Timeout: time.Hour}, j)
				if err != nil {
					t.Fatal(err)
				}
				stopCtx, stop := context.WithCancel(context.Background())
				ended := make(chan struct{})
				go func() { defer close(ended); u.Run(stopCtx) }()
				<-met
				eventually(t, "a request is under way", func() bool { return u.State().Requests > 0 })
				stop()
				select {
				case <-ended:
				case <-time.After(time.Minute):
					t.Fatal("it does not stop")
				}
				if b, err := j.Backlog(); err != nil || b.Lines != lines {
					t.Errorf("backlog %+v, %v", b, err)
				}
			})
		}
	}
}
