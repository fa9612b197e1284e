// Package dashboard is the page beside the machine: what the agent knows and what people may ask of it, over HTTP, with
// users and roles where it listens on a network. It serves the front end of ui/, and its API to any other program;
// openapi.yaml describes that. What a person asks goes to the routes of the agent's socket, which this package only
// guards: there is one API.
package dashboard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"stirwatch/agent"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
)

// Options is what a page is made of. Agent, Journal, Registry, Socket and Log are required.
type Options struct {
	Listen    string       // address and port
	TLS       *tls.Config  // nil: plain HTTP
	Machine   string       // its name
	Version   string       // of the program
	Agent     *agent.Agent // whose view is shown
	Journal   *journal.Journal
	Registry  *sensors.Registry
	Model     *model.Model  // nil: there is none
	ModelName string        // of its file
	Config    func() []byte // the effective configuration, secrets hidden
	Socket    http.Handler  // what answers at the agent's socket
	Log       *slog.Logger
}

// Server is a page that is ready to be served.
type Server struct {
	Options
	hub     *hub
	history *history.History
	mux     *http.ServeMux
	reads   chan struct{} // one long read of the journal at a time
}

// How much is taken and how long is waited.
const (
	maxBody       = 64 << 10 // bytes of a request
	maxHeader     = 16 << 10
	maxConns      = 512
	headerWait    = 5 * time.Second
	bodyWait      = 15 * time.Second
	answerWait    = 2 * time.Minute // also of an export
	idleWait      = time.Minute
	lastAnswers   = time.Second // for requests under way when the server ends
	readPatience  = 20 * time.Second
	loopbackNames = "127.0.0.1, [::1] or localhost"
)

// New makes a page.
func New(o Options) *Server {
	s := &Server{Options: o, reads: make(chan struct{}, 1)}
	s.history = &history.History{Reader: o.Journal.Reader, Registry: o.Registry}
	s.hub = newHub(s.now)
	s.mux = s.routes()
	return s
}

// Listen takes the address. Any but a loopback one is refused while there are no users: whoever reaches it may command
// what the agent may.
func (s *Server) Listen(ctx context.Context) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Options.Listen)
	if err != nil {
		return nil, fmt.Errorf("the page cannot be served at %s: %w", s.Options.Listen, err)
	}
	if at, ok := l.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		l.Close()
		return nil, fmt.Errorf("the page is not served at %s: without users anyone on the network could use it", l.Addr())
	}
	return l, nil
}

// Serve answers at l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s, TLSConfig: s.TLS, ReadHeaderTimeout: headerWait, ReadTimeout: bodyWait, WriteTimeout: answerWait, IdleTimeout: idleWait,
		MaxHeaderBytes: maxHeader, BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	go s.hub.run(ctx)
	end := context.AfterFunc(ctx, func() {
		late, cancel := context.WithTimeout(context.Background(), lastAnswers)
		defer cancel()
		if server.Shutdown(late) != nil {
			server.Close()
		}
	})
	defer end()
	l = netutil.LimitListener(l, maxConns)
	var err error
	if s.TLS != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !local(r.Host) {
		http.Error(w, "ask by "+loopbackNames, http.StatusForbidden)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.mux.ServeHTTP(w, r)
}

// contentPolicy lets a page load nothing but what this server serves, and no script that stands in the page.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// local tells whether a request came by a name of this computer: a page elsewhere whose name has been made to point here
// asks under its own.
func local(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
