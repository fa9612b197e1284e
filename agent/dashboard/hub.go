package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/api"
)

// Now is what the page shows of the machine: the agent's view, and who says so.
type Now struct {
	Machine string `json:"machine"`
	Version string `json:"version"`
	Model   string `json:"model,omitempty"` // name of its file
	Served  int64  `json:"served"`          // the agent's clock when this was made, ns since the Unix epoch
	agent.View
}

// frame is a [Now] as it is sent, encoded once for all streams.
type frame struct {
	count uint64 // of frames
	etag  string
	json  []byte
	made  time.Time
	next  chan struct{} // closed when there is a newer one
}

// Bounds of streams.
const (
	mostStreams    = 128
	frameEvery     = 100 * time.Millisecond
	heartbeatEvery = 10 * time.Second
	slowFor        = 10 * time.Second // that one write may take
	stillEvery     = time.Second      // a frame although the tick stands still
	allowedFor     = 10 * time.Second // after that it is looked again whether the reader is still let in
)

// hub makes frames while there are streams and gives the newest to each. It queues none for a slow reader.
type hub struct {
	look func() (n Now, version string)

	mu      sync.Mutex // of renewing
	newest  atomic.Pointer[frame]
	streams atomic.Int64
	wake    chan struct{} // the first stream has begun

	skipped atomic.Uint64 // frames that streams did not get, since they read too slowly
	refused atomic.Uint64 // streams beyond the bound
	broken  atomic.Uint64 // streams that ended since nobody read them
}

func newHub(look func() (Now, string)) *hub {
	h := &hub{look: look, wake: make(chan struct{}, 1)}
	h.newest.Store(&frame{next: make(chan struct{})})
	return h
}

// run renews the frame while there are streams, until ctx ends.
func (h *hub) run(ctx context.Context) {
	t := time.NewTicker(frameEvery)
	defer t.Stop()
	for {
		if h.streams.Load() == 0 {
			t.Stop()
			select {
			case <-ctx.Done():
				return
			case <-h.wake:
				t.Reset(frameEvery)
			}
		}
		h.renew(frameEvery / 2)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// renew makes a frame, unless the newest is younger than age or says the same, and gives the newest.
func (h *hub) renew(age time.Duration) *frame {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.newest.Load()
	if was.json != nil && time.Since(was.made) < age {
		return was
	}
	n, version := h.look()
	if etag := strconv.Quote(version); was.etag != etag || time.Since(was.made) > stillEvery {
		text, err := json.Marshal(n)
		if err != nil {
			panic("dashboard: a view cannot be told: " + err.Error()) // every number that JSON does not have is an agent.Number
		}
		f := &frame{count: was.count + 1, etag: etag, json: text, made: time.Now(), next: make(chan struct{})}
		h.newest.Store(f)
		close(was.next)
		return f
	}
	return was
}

// now is the page's present state, and a key that differs whenever the state does.
func (s *Server) now() (Now, string) {
	v := s.Agent.View()
	return Now{s.Machine, s.Version, s.modelName(), s.Agent.Now(), v}, fmt.Sprintf("%d-%d", v.Tick, s.Agent.Alarms().Version())
}

// answerNow is GET /api/v1/now.
func (s *Server) answerNow(w http.ResponseWriter, r *http.Request) {
	f := s.hub.renew(frameEvery)
	w.Header().Set("ETag", f.etag)
	w.Header().Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(f.json)
}

// answerStream is GET /api/v1/stream: every frame, or the newest at an interval, as server-sent events.
func (s *Server) answerStream(w http.ResponseWriter, r *http.Request) {
	h := s.hub
	every, err := seconds(r, "every", 0, 60)
	if err != nil {
		api.Fail(w, http.StatusBadRequest, err)
		return
	}
	if h.streams.Add(1) > mostStreams {
		h.streams.Add(-1)
		h.refused.Add(1)
		w.Header().Set("Retry-After", "5")
		api.Fail(w, http.StatusServiceUnavailable, fmt.Errorf("%d pages are open, and no more are served", mostStreams))
		return
	}
	defer h.streams.Add(-1)
	select {
	case h.wake <- struct{}{}:
	default:
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	stream := &stream{w: w, out: http.NewResponseController(w), beat: time.NewTimer(heartbeatEvery)}
	defer stream.beat.Stop()
	f := h.renew(frameEvery)
	if !stream.send("retry: 2000\n\n", nil, "") {
		return
	}
	for allowed := time.Now(); ; {
		if !stream.send("event: now\nid: "+strconv.FormatUint(f.count, 10)+"\ndata: ", f.json, "\n\n") {
			h.broken.Add(1)
			return
		}
		if every > 0 && !wait(r.Context(), every) || !stream.await(r.Context(), f.next) {
			return
		}
		newest := h.newest.Load()
		if every == 0 {
			h.skipped.Add(newest.count - f.count - 1)
		}
		f = newest
		if time.Since(allowed) > allowedFor {
			if p, err := s.who(r); err != nil || p.Role < Viewer {
				return
			}
			allowed = time.Now()
		}
	}
}

// stream is the connection of one reader.
type stream struct {
	w    http.ResponseWriter
	out  *http.ResponseController
	beat *time.Timer
}

// send writes one event, or a comment; false where nobody takes it.
func (x *stream) send(head string, data []byte, tail string) bool {
	x.out.SetWriteDeadline(time.Now().Add(slowFor))
	x.beat.Reset(heartbeatEvery)
	for _, text := range [][]byte{[]byte(head), data, []byte(tail)} {
		if _, err := x.w.Write(text); err != nil {
			return false
		}
	}
	return x.out.Flush() == nil
}

// await returns when there is a newer frame; meanwhile it sends comments that show that the stream is alive. It is false when
// the stream ends.
func (x *stream) await(ctx context.Context, next <-chan struct{}) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-next:
			return true
		case <-x.beat.C:
			if !x.send(": beat\n\n", nil, "") {
				return false
			}
		}
	}
}

// wait waits for d; it is false if ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
