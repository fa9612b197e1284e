// Package api is the agent's own address on its computer: HTTP over a unix socket, for the command line and
// for whatever else runs beside the agent. Who may open the socket's file may use it; nothing listens on
// the network.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrNoAgent tells that no agent answers at a socket.
var ErrNoAgent = errors.New("no agent runs here")

// Failure is what the agent answers where it does not do what was asked.
type Failure struct {
	Error string `json:"error"`
}

const (
	maxBody     = 1 << 20 // bytes of a request or an answer
	dialTimeout = 2 * time.Second
	lastAnswers = time.Second // for requests under way when the server ends
)

// Listen takes the socket at path. What a program that died has left there is removed; a socket that
// somebody answers is an error. The folder must be there.
func Listen(path string) (net.Listener, error) {
	short, free, err := address(path)
	if err != nil {
		return nil, err
	}
	defer free()
	l, err := net.Listen("unix", short)
	if errors.Is(err, syscall.EADDRINUSE) {
		if c, err := net.DialTimeout("unix", short, dialTimeout); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s: another agent answers there", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		l, err = net.Listen("unix", short)
	}
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // by the name it was asked for, in Serve
	return l, os.Chmod(path, 0o660)
}

// Serve answers at the socket until ctx ends, and removes it. Requests run under ctx.
func Serve(ctx context.Context, path string, h http.Handler) error {
	l, err := Listen(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	end := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.Background(), lastAnswers)
		defer cancel()
		if s.Shutdown(late) != nil {
			s.Close()
		}
	})
	defer end()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Write answers with v as JSON.
func Write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// Fail answers with a status and why.
func Fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(Failure{err.Error()})
}

// Read takes the JSON of a request into v; it answers for itself where that cannot be read.
func Read(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		Fail(w, http.StatusBadRequest, fmt.Errorf("the request cannot be read: %w", err))
		return false
	}
	return true
}

// Client speaks to the agent at one socket.
type Client struct {
	path string
	http http.Client
}

// NewClient makes one; it connects when it is used.
func NewClient(path string) *Client {
	return &Client{path, http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		short, free, err := address(path)
		if err != nil {
			return nil, err
		}
		defer free()
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", short)
	}}}}
}

// Runs reports whether an agent answers.
func (c *Client) Runs(ctx context.Context) bool {
	r, err := c.open(ctx, http.MethodGet, "/", nil)
	if err == nil {
		r.Body.Close()
	}
	return !errors.Is(err, ErrNoAgent)
}

// Do asks for method and path with the JSON of in (nil: none) and takes the answer into out (nil: thrown
// away). The error is [ErrNoAgent] where nobody answers, and otherwise says what the agent said.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	body, err := c.Stream(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(body, maxBody)).Decode(out); err != nil {
		return fmt.Errorf("the agent's answer cannot be read: %w", err)
	}
	return nil
}

// Stream is Do for an answer that comes little by little.
func (c *Client) Stream(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	r, err := c.open(ctx, method, path, in)
	if err != nil {
		return nil, err
	}
	if r.StatusCode/100 == 2 {
		return r.Body, nil
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(r.Body, maxBody))
	var f Failure
	if json.Unmarshal(text, &f) != nil || f.Error == "" {
		f.Error = strings.TrimSpace(r.Status + " " + string(text))
	}
	return nil, errors.New(f.Error)
}

func (c *Client) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, body)
	if err != nil {
		return nil, err
	}
	r, err := c.http.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("%w: nobody answers at %s", ErrNoAgent, c.path)
	}
	return r, err
}

// longest is how long the name of a socket may be: the kernels take 104 bytes (BSD, macOS) or 108 (Linux), with the zero.
const longest = 100

// address gives a name by which the socket can be reached: a path that is too long for the kernel is named
// by its folder's descriptor, which free closes.
func address(path string) (name string, free func(), err error) {
	if len(path) <= longest {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}
