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

	"stirwatch/agent/api"
	"stirwatch/agent/history"
)

//go:embed openapi.yaml
var openAPI []byte

// root is where the API begins.
const root = "/api/v1"

// routes are all requests that the page answers.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"GET /now":            s.answerNow,
		"GET /stream":         s.answerStream,
		"GET /series":         s.answerSeries,
		"GET /forecasts":      s.answerForecasts,
		"GET /runs":           s.answerRuns,
		"GET /runs/{run}":     s.answerRun,
		"GET /model":          s.answerModel,
		"GET /config":         s.answerConfig,
		"GET /openapi.yaml":   s.answerOpenAPI,
		"GET /control":        s.socket,
		"GET /sources":        s.socket,
		"GET /alarms":         s.socket,
		"GET /alarms/history": s.socket,
		"GET /alarms/stats":   s.socket,
		"POST /whatif":        s.socket,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+root+path, h)
	}
	mux.HandleFunc(root+"/", func(w http.ResponseWriter, r *http.Request) {
		api.Fail(w, http.StatusNotFound, fmt.Errorf("%s %s is not of this API: see %s/openapi.yaml", r.Method, r.URL.Path, root))
	})
	mux.Handle("/", s.files())
	return mux
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

// errBusy tells that another read of the journal takes its time.
var errBusy = errors.New("the journal is being read for somebody else; ask again in a moment")

// reading takes the journal for one long read, so that pages can keep no more than one core busy. done gives it back.
func (s *Server) reading(ctx context.Context) (done func(), err error) {
	t := time.NewTimer(readPatience)
	defer t.Stop()
	select {
	case s.reads <- struct{}{}:
		return func() { <-s.reads }, nil
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
