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

// frame is a [Now] as it is sent, made once for all who look.
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
)

// hub makes frames while somebody looks and hands the newest to everyone. It keeps none for whoever reads slowly.
type hub struct {
	look func() (n Now, version string)

	mu      sync.Mutex // of renewing
	newest  atomic.Pointer[frame]
	streams atomic.Int64
	wake    chan struct{} // the first stream has begun

	skipped atomic.Uint64 // frames that streams did not get, since they read too slowly
	refused atomic.Uint64 // streams beyond the bound
	slow    atomic.Uint64 // streams that were ended since nobody read them
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

// now is the page's present state, with what it changes with.
func (s *Server) now() (Now, string) {
	v := s.Agent.View()
	return Now{s.Machine, s.Version, s.ModelName, s.Agent.Now(), v}, fmt.Sprintf("%d-%d", v.Tick, s.Agent.Alarms().Version())
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

// answerStream is GET /api/v1/stream: every frame, or the newest each so many seconds, as server-sent events.
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
	out := http.NewResponseController(w)
	send := func(text ...[]byte) bool {
		out.SetWriteDeadline(time.Now().Add(slowFor))
		for _, t := range text {
			if _, err := w.Write(t); err != nil {
				h.slow.Add(1)
				return false
			}
		}
		if err := out.Flush(); err != nil {
			h.slow.Add(1)
			return false
		}
		return true
	}
	beat := time.NewTimer(heartbeatEvery)
	defer beat.Stop()
	f := h.renew(frameEvery)
	if !send([]byte("retry: 2000\n\n")) {
		return
	}
	for last := f.count - 1; ; {
		if !send([]byte("event: now\nid: "), []byte(strconv.FormatUint(f.count, 10)), []byte("\ndata: "), f.json, []byte("\n\n")) {
			return
		}
		h.skipped.Add(f.count - last - 1)
		last = f.count
		beat.Reset(heartbeatEvery)
		if every > 0 && !wait(r.Context(), every) {
			return
		}
		for f.next != nil {
			select {
			case <-r.Context().Done():
				return
			case <-beat.C:
				if !send([]byte(": beat\n\n")) {
					return
				}
				beat.Reset(heartbeatEvery)
				continue
			case <-f.next:
			}
			break
		}
		if f = h.newest.Load(); every > 0 {
			last = f.count - 1 // what is left out on purpose counts for nothing
		}
	}
}

// wait is false where ctx ends before d has passed.
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
