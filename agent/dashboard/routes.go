package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	_ "embed"

	"github.com/klauspost/compress/gzhttp"

	"stirwatch/agent/api"
	"stirwatch/agent/history"
)

//go:embed openapi.yaml
var openAPI []byte

// root is where the API begins.
const root = "/api/v1"

// route is a request that the page answers.
type route struct {
	pattern string
	least   Role
	answer  http.HandlerFunc
}

// api lists the requests below root that need a role. Of the agent's socket only what is listed here can be reached.
func (s *Server) api() []route {
	return []route{
		{"GET /now", Viewer, s.answerNow},
		{"GET /series", Viewer, s.answerSeries},
		{"GET /forecasts", Viewer, s.answerForecasts},
		{"GET /runs", Viewer, s.answerRuns},
		{"GET /runs/{run}", Viewer, s.answerRun},
		{"GET /runs/{run}/report", Viewer, s.answerReport},
		{"GET /runs/{run}/notes", Viewer, s.answerNotes},
		{"POST /runs/{run}/notes", Operator, s.answerAddNote},
		{"GET /export.csv", Viewer, s.answerExport},
		{"GET /export.parquet", Viewer, s.answerParquet},
		{"GET /model", Viewer, s.answerModel},
		{"GET /models", Viewer, s.socket},
		{"GET /models/job", Viewer, s.socket},
		{"GET /models/{model}", Viewer, s.answerModelNamed},
		{"GET /config", Viewer, s.answerConfig},
		{"GET /control", Viewer, s.socket},
		{"GET /sources", Viewer, s.socket},
		{"GET /sources/{source}/messages", Operator, s.answerMessages},
		{"GET /ports", Viewer, s.answerPorts},
		{"POST /doctor", Operator, s.answerDoctor},
		{"GET /alarms", Viewer, s.socket},
		{"GET /alarms/history", Viewer, s.socket},
		{"GET /alarms/stats", Viewer, s.socket},
		{"GET /notify", Viewer, s.socket},
		{"POST /whatif", Viewer, s.socket},
		{"POST /alarms/ack", Operator, s.act},
		{"POST /alarms/reset", Operator, s.act},
		{"POST /alarms/shelve", Operator, s.act},
		{"POST /alarms/unshelve", Operator, s.act},
		{"POST /control/{loop}/mode", Operator, s.act},
		{"POST /control/{loop}/accept", Operator, s.act},
		{"POST /control/{loop}/decline", Operator, s.act},
		{"POST /models/compare", Operator, s.act},
		{"POST /models/cancel", Operator, s.act},
		{"POST /models/learn", Engineer, s.act},
		{"POST /models/use", Engineer, s.act},
		{"GET /audit", Engineer, s.answerAudit},
	}
}

// routes are all requests that the page answers.
func (s *Server) routes() *http.ServeMux {
	mux, small := http.NewServeMux(), compressed()
	for _, x := range s.api() {
		method, path, _ := strings.Cut(x.pattern, " ")
		mux.Handle(method+" "+root+path, small(s.allow(x.least, x.answer)))
	}
	mux.HandleFunc("GET "+root+"/stream", s.allow(Viewer, s.answerStream))
	mux.HandleFunc("GET "+root+"/session", s.answerSession)
	mux.HandleFunc("POST "+root+"/login", s.answerLogin)
	mux.HandleFunc("POST "+root+"/logout", s.answerLogout)
	mux.Handle("GET "+root+"/openapi.yaml", small(http.HandlerFunc(s.answerOpenAPI)))
	mux.Handle("GET /metrics", small(s.allow(Viewer, s.answerMetrics)))
	mux.HandleFunc("GET /healthz", s.answerHealth)
	mux.HandleFunc("GET /readyz", s.answerReady)
	mux.HandleFunc(root+"/", func(w http.ResponseWriter, r *http.Request) {
		api.Fail(w, http.StatusNotFound, fmt.Errorf("%s %s is not of this API: see %s/openapi.yaml", r.Method, r.URL.Path, root))
	})
	mux.Handle("/", small(s.files()))
	return mux
}

// compressed sends answers as gzip to those who take it, but not streams.
func compressed() func(http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1400), gzhttp.EnableZstd(false))
	if err != nil {
		panic(err) // the options are constant
	}
	return wrap
}

// socket hands a request on to what answers at the agent's socket.
func (s *Server) socket(w http.ResponseWriter, r *http.Request) {
	http.StripPrefix(root, s.Socket).ServeHTTP(w, r)
}

func (s *Server) answerOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(openAPI)
}

func (s *Server) answerConfig(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(s.Config())
}

// seconds reads a parameter that is a number of seconds, from 0 to most.
func seconds(r *http.Request, name string, otherwise, most float64) (time.Duration, error) {
	v := otherwise
	if text := r.FormValue(name); text != "" {
		var err error
		if v, err = strconv.ParseFloat(text, 64); err != nil || !(v >= 0 && v <= most) {
			return 0, fmt.Errorf("%s=%q: a number of seconds from 0 to %g is wanted", name, text, most)
		}
	}
	return time.Duration(v * float64(time.Second)), nil
}

// span reads from and to: ns since the Unix epoch, or as [history.When] says; by default the last while of the agent's time.
func (s *Server) span(r *http.Request, while time.Duration) (from, to int64, err error) {
	to = s.Agent.Now()
	now := time.Unix(0, to)
	for _, p := range []struct {
		name string
		into *int64
	}{{"to", &to}, {"from", &from}} {
		text := r.FormValue(p.name)
		if text == "" {
			continue
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			*p.into = n
			continue
		}
		at, err := history.When(text, now, time.UTC)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w; or ns since 1970", p.name, err)
		}
		*p.into = at.UnixNano()
	}
	if r.FormValue("from") == "" {
		from = to - int64(while)
	}
	switch {
	case from < 0:
		return 0, 0, fmt.Errorf("from=%d: it is before 1970", from)
	case from >= to:
		return 0, 0, fmt.Errorf("from=%d is not before to=%d", from, to)
	}
	return from, to, nil
}

// errBusy reports that all places for long reads are taken.
var errBusy = errors.New("the same is being done for somebody else; ask again in a moment")

// reading takes the journal for one long read, so that pages can keep no more than one core busy. done gives it back.
func (s *Server) reading(ctx context.Context) (done func(), err error) { return turn(ctx, s.reads) }

// turn waits for a free place in a channel of places.
func turn(ctx context.Context, places chan struct{}) (done func(), err error) {
	t := time.NewTimer(readPatience)
	defer t.Stop()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.C:
		return nil, errBusy
	}
}

// failed answers with why the journal could not be read.
func failed(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if errors.Is(err, errBusy) {
		w.Header().Set("Retry-After", "2")
		status = http.StatusServiceUnavailable
	}
	api.Fail(w, status, err)
}
