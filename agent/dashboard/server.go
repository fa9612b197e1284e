// Package dashboard is the page beside the machine: what the agent knows and what people may ask of it, over HTTP, with
// users and roles where it listens on a network. It serves the front end of ui/, and its API to any other program;
// openapi.yaml describes that. What a person asks goes to the routes of the agent's socket, which this package only
// guards: there is one API.
package dashboard

//go:generate go test -run TestManualIsCurrent -update .

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"stirwatch/agent"
	"stirwatch/agent/api"
	"stirwatch/agent/doctor"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/agent/models"
	"stirwatch/sensors"
)

// Options is what a page is made of. Agent, Journal, Registry, Models, Ports, Doctor, Socket and Log are required.
type Options struct {
	Listen   string       // address and port
	Users    string       // file of those who may use the page; it need not be there
	TLS      *tls.Config  // nil: plain HTTP
	Machine  string       // its name
	Version  string       // of the program
	Agent    *agent.Agent // whose view is shown
	Journal  *journal.Journal
	Registry *sensors.Registry
	Models   *models.Shelf
	Config   func() []byte // the effective configuration, secrets hidden
	Socket   http.Handler  // what answers at the agent's socket
	// Report writes the report of a model on a run as HTML; nil: there is none. The error is a [history.Unusable] where the
	// run tells nothing.
	Report func(context.Context, io.Writer, journal.Run) error
	Ports  func() ([]Port, error)                                // serial ports of this computer
	Doctor func(ctx context.Context, found func(doctor.Finding)) // tries what the agent stands on
	Log    *slog.Logger
}

// Server is a page that is ready to be served.
type Server struct {
	Options
	users     *Users
	sessions  *sessions
	wide      bool // not only this computer reaches the page
	hub       *hub
	history   *history.History
	handler   http.Handler
	reads     chan struct{} // one long read of the journal at a time
	reports   chan struct{} // one report at a time
	doctors   chan struct{} // one examination at a time
	logins    chan struct{} // one login at a time
	byAddress limiter       // of logins
	byName    limiter
	count     counters
	pulse     pulse
	bodyWait  time.Duration // for a whole request
}

// How much is taken and how long is waited.
const (
	maxBody      = 64 << 10 // bytes of a request
	maxHeader    = 16 << 10
	maxConns     = 512
	headerWait   = 5 * time.Second
	answerWait   = 2 * time.Minute // also of an export
	doctorWait   = time.Minute
	idleWait     = time.Minute
	lastAnswers  = time.Second // for requests under way when the server ends
	readPatience = 20 * time.Second
)

// New makes a page.
func New(o Options) *Server {
	s := &Server{Options: o, users: OpenUsers(o.Users), sessions: newSessions(o.Users+".sessions", o.Log), reads: make(chan struct{}, 1), reports: make(chan struct{}, 1), doctors: make(chan struct{}, 1), logins: make(chan struct{}, 1),
		byAddress: limiter{burst: triesOfAddress, every: tryEvery}, byName: limiter{burst: triesOfName, every: tryEvery}, bodyWait: 15 * time.Second}
	s.history = &history.History{Reader: o.Journal.Reader, Registry: o.Registry}
	s.hub = newHub(s.now)
	s.handler = s.guard(s.routes())
	return s
}

// Listen takes the address. Any but a loopback one is refused while there are no users: whoever reaches it may command
// what the agent may.
func (s *Server) Listen(ctx context.Context) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Options.Listen)
	if err != nil {
		return nil, fmt.Errorf("the page cannot be served at %s: %w", s.Options.Listen, err)
	}
	at, ok := l.Addr().(*net.TCPAddr)
	if s.wide = !ok || !at.IP.IsLoopback(); s.wide {
		if err := Wide(s.users); err != nil {
			l.Close()
			return nil, fmt.Errorf("the page is not served at %s: %w", l.Addr(), err)
		}
		if s.TLS == nil {
			s.Log.Warn("the page is served without encryption: who listens on the network learns passwords and may do as their users; set page.tls", "address", l.Addr().String())
		}
	}
	return l, nil
}

// Wide is the error if a page with these users may not be reached from the network.
func Wide(u *Users) error {
	list, err := u.All()
	if err == nil && len(list) == 0 {
		err = errors.New("without users anyone on the network could use it; `stirwatch user add` makes the first")
	}
	return err
}

// Serve answers at l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s, TLSConfig: s.TLS, ReadHeaderTimeout: headerWait, ReadTimeout: s.bodyWait, WriteTimeout: answerWait, IdleTimeout: idleWait,
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
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() { s.count.requests[min(seen.status/100, len(s.count.requests)-1)].Add(1) }()
	s.handler.ServeHTTP(seen, r)
}

// guard says to browsers what the page may do, and turns away what comes from other pages or under a foreign name.
func (s *Server) guard(next http.Handler) http.Handler {
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		api.Fail(w, http.StatusForbidden, errors.New("another page asks"))
	}))
	next = own.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		if list, _ := s.users.All(); len(list) == 0 && !local(r.Host) {
			api.Fail(w, http.StatusForbidden, errors.New("ask by 127.0.0.1, [::1] or localhost"))
			return
		}
		if strings.HasPrefix(r.URL.Path, root+"/") && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			api.Fail(w, http.StatusForbidden, errors.New("another page asks"))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// contentPolicy lets a page load only what this server serves, and run no inline script.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// local reports whether a request names this computer as its host. A page elsewhere whose name was made to resolve to this
// computer (DNS rebinding) sends that name.
func local(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
