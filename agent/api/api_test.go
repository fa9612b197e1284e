package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serving answers at path until the test ends.
func serving(t *testing.T, path string, h http.Handler) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, path, h) }()
	c := NewClient(path)
	for !c.Runs(t.Context()) {
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
	return func() error { cancel(); return <-ended }
}

func TestAskAndAnswer(t *testing.T) {
	for name, dir := range map[string]string{"short": t.TempDir(), "too long for the kernel": filepath.Join(t.TempDir(), strings.Repeat("long", 30))} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "agent.sock")
			c := NewClient(path)
			if err := c.Do(t.Context(), "GET", "/x", nil, nil); !errors.Is(err, ErrNoAgent) {
				t.Errorf("%v, want %v", err, ErrNoAgent)
			}
			mux := http.NewServeMux()
			mux.HandleFunc("POST /twice", func(w http.ResponseWriter, r *http.Request) {
				var in struct{ N int }
				if Read(w, r, &in) {
					Write(w, map[string]int{"n": 2 * in.N})
				}
			})
			stop := serving(t, path, mux)
			var out struct{ N int }
			if err := c.Do(t.Context(), "POST", "/twice", map[string]int{"n": 21}, &out); err != nil || out.N != 42 {
				t.Errorf("%d, %v", out.N, err)
			}
			err := c.Do(t.Context(), "POST", "/twice", map[string]string{"m": "?"}, nil)
			if err == nil || !strings.Contains(err.Error(), `unknown field "m"`) {
				t.Errorf("%v", err)
			}
			if err := Serve(t.Context(), path, mux); err == nil || !strings.Contains(err.Error(), "another agent answers") {
				t.Errorf("a second server: %v", err)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is left behind: %v", err)
			}
		})
	}
}

// A program that was killed leaves its socket; the next one takes it.
func TestASocketLeftBehindIsTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal("the test leaves no socket behind: ", err)
	}
	if err := serving(t, path, http.NotFoundHandler())(); err != nil {
		t.Error(err)
	}
}
