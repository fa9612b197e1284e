package dashboard

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Streams beyond the bound are refused, and have their place again when others end.
func TestStreamsAreBounded(t *testing.T) {
	s := newStand(t)
	s.feed()
	at := s.serve()
	open := func() (*http.Response, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+root+"/stream", nil)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return answer, cancel
	}
	var first *http.Response
	var ends []context.CancelFunc
	for i := range mostStreams {
		r, end := open()
		if ends = append(ends, end); r.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %s", i, r.Status)
		}
		if first == nil {
			first = r
		}
	}
	r, end := open()
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", r.Status)
	}
	end()
	lines := bufio.NewScanner(first.Body)
	lines.Buffer(nil, 1<<20)
	frames := 0
	for frames < 3 && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if frames++; !strings.Contains(data, `"tool_temperature"`) {
				t.Errorf("frame: %.200s", data)
			}
		}
	}
	if frames < 3 {
		t.Errorf("%d frames came: %v", frames, lines.Err())
	}
	for _, end := range ends {
		end()
	}
	s.until("streams that have ended leave their places", func() bool { return s.hub.streams.Load() == 0 })
	if r, end := open(); r.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", r.Status)
	} else {
		end()
	}
}

// stuck is a connection that takes its first bytes and then none until it is let go.
type stuck struct {
	header http.Header
	go_    chan struct{}
	taken  chan string
}

func (w *stuck) Header() http.Header { return w.header }

func (w *stuck) WriteHeader(int) {}

func (w *stuck) Flush() {}

func (w *stuck) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), "event: now") {
		w.taken <- string(b)
		<-w.go_
	}
	return len(b), nil
}

// A slow reader gets the newest and holds up nobody; what it misses is counted.
func TestSlowReaderGetsTheNewest(t *testing.T) {
	s := newStand(t)
	tick := 0
	h := newHub(func() (Now, string) { tick++; return Now{}, fmt.Sprint(tick) })
	s.hub = h
	w := &stuck{http.Header{}, make(chan struct{}), make(chan string)}
	r, _ := http.NewRequest(http.MethodGet, root+"/stream", nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.answerStream(w, r.WithContext(ctx)) }()
	<-w.taken
	for range 50 {
		h.renew(0)
	}
	w.go_ <- struct{}{}
	head := <-w.taken
	if want := fmt.Sprintf("event: now\nid: %d\n", h.newest.Load().count); !strings.HasPrefix(head, want) {
		t.Errorf("it gets %q, not %q", head, want)
	}
	cancel()
	w.go_ <- struct{}{}
	<-done
	if n := h.skipped.Load(); n != 49 {
		t.Errorf("%d frames are counted as missed, of 50 the last came", n)
	}
}
