// Package influx sends the journal to InfluxDB: in order, exactly as stored, and acknowledged
// batch by batch. What the server does not take stays in the journal; what it will never take is
// set aside there with the server's reason.
package influx

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	ihttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/klauspost/compress/gzip"

	"stirwatch/agent/journal"
)

// Options of an upload; zero fields take the defaults named.
type Options struct {
	URL    string        // e.g. http://localhost:8086
	Org    string        // any for InfluxDB 1.8
	Bucket string        // "database/retention-policy" for InfluxDB 1.8
	Token  string        // "user:password" for InfluxDB 1.8; empty: none
	Flush  time.Duration // longest wait of a committed line for its sending; default 1 s
	Batch  int           // lines that are sent without waiting for Flush; default 5000
	// Request is the most lines one request holds while a backlog is sent; default 20000.
	Request int
	Timeout time.Duration // of one request, its answer included; default 20 s
	TLS     *tls.Config   // nil: the system's certificates
	Log     *slog.Logger
}

// maxBody bounds a request's compressed size.
const maxBody = 4 << 20

const (
	backoffMin = 500 * time.Millisecond
	backoffMax = 30 * time.Second // for a server that answers: it may need the rest
	awayMax    = 3 * time.Second  // for one that does not: a try costs nothing, and the backlog waits for it
	slowMin    = 5 * time.Second  // between tries when a person must act first
	logEvery   = time.Minute
	limitMin   = 100 // lines
)

// Journal is what the uploader needs of the record.
type Journal interface {
	// Unsent appends to dst the batches after id, as many as fit both limits, at least one.
	Unsent(dst []journal.Batch, after int64, maxLines, maxBytes int) ([]journal.Batch, error)
	SentID() int64
	Sent(id int64) error
	SetAside(lines []journal.Refused) error
	Backlog() (journal.Backlog, error)
	Full(lines int) <-chan struct{}
}

// Phase says what the uploader is at.
type Phase string

// Phases. In the last five a person must act; everything is kept meanwhile.
const (
	Idle         Phase = "idle"          // all that is committed is sent, or waits for Flush
	Sending      Phase = "sending"       //
	Waiting      Phase = "waiting"       // the server is away or asked for time
	JournalFault Phase = "journal fault" // the journal cannot be read
	Unauthorized Phase = "unauthorized"  // 401, 403: the token is wrong or may not write
	NoBucket     Phase = "no bucket"     // 404: the bucket (or the address) is not there
	Moved        Phase = "moved"         // 3xx: the server is elsewhere
	Refused      Phase = "refused"       // the server refuses every line, or answers as InfluxDB does not
)

// NeedsAction reports whether a person must act before sending can go on.
func (p Phase) NeedsAction() bool {
	return p == Unauthorized || p == NoBucket || p == Moved || p == Refused || p == JournalFault
}

// State is a snapshot for people.
type State struct {
	Phase     Phase
	Err       string    // last failure; empty when the last request went well
	LastOK    time.Time // last 204
	Requests  uint64
	SentLines uint64 // acknowledged by the server
	Refused   uint64 // set aside for good
	NextTry   time.Time
	Backlog   journal.Backlog
}

// Uploader sends one journal to one bucket.
type Uploader struct {
	opts  Options
	j     Journal
	http  ihttp.Service
	write string // address of the write call
	doer  *doer
	log   *slog.Logger
	limit int           // lines of a request, lowered when one takes too long
	most  int           // its ceiling, lowered when the server finds a request too large
	taken int           // requests at the ceiling that were taken since it was set
	trial int           // so many are waited for before a larger one is tried
	tried bool          // the ceiling was raised since a request was too large
	fast  time.Duration // first wait before trying again
	slow  time.Duration // shortest wait where a person must act

	batches  []journal.Batch // reused
	body     []byte          // what is sent, in gzipped or in stored
	stored   []byte
	inflater journal.Inflater
	gzip     *gzip.Writer
	gzipped  bytes.Buffer
	logged   map[Phase]time.Time

	lastRefused time.Time
	untold      int // lines refused since

	mu    sync.Mutex
	state State
}

// New makes an uploader; it fails on an address it cannot use. Nothing is sent before Run.
func New(opts Options, j Journal) (*Uploader, error) {
	u, err := url.Parse(opts.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("influxdb url %q: must be like http://localhost:8086 or https://host:8086", opts.URL)
	}
	if opts.Bucket == "" {
		return nil, errors.New(`influxdb bucket is empty: name the bucket, for InfluxDB 1.8 "database/autogen"`)
	}
	if opts.Flush <= 0 {
		opts.Flush = time.Second
	}
	if opts.Batch <= 0 {
		opts.Batch = 5000
	}
	if opts.Request <= 0 {
		opts.Request = 20000
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 20 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	d := newDoer(opts.TLS, opts.Timeout)
	service := newService(&opts, d)
	return &Uploader{
		opts: opts, j: j, http: service, doer: d,
		write: service.ServerAPIURL() + "write?" + url.Values{"org": {opts.Org}, "bucket": {opts.Bucket}, "precision": {"ns"}}.Encode(),
		log:   opts.Log, limit: max(opts.Request, opts.Batch), most: max(opts.Request, opts.Batch), trial: firstTrial, logged: map[Phase]time.Time{},
		fast: backoffMin, slow: slowMin, state: State{Phase: Idle},
	}, nil
}

// newService is the library's HTTP service alone. The client that the library puts around it links the
// code generated from the whole of InfluxDB's interface, which costs megabytes of memory and serves nothing here.
func newService(opts *Options, d ihttp.Doer) ihttp.Service {
	authorization := ""
	if opts.Token != "" {
		authorization = "Token " + opts.Token
	}
	return ihttp.NewService(strings.TrimSuffix(opts.URL, "/")+"/", authorization, ihttp.DefaultOptions().SetHTTPDoer(d))
}

// State gives a snapshot; it may be called while Run runs.
func (u *Uploader) State() State {
	backlog, err := u.j.Backlog()
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.state
	s.Backlog = backlog
	if err != nil && s.Err == "" {
		s.Err = err.Error()
	}
	return s
}

func (u *Uploader) set(change func(*State)) {
	u.mu.Lock()
	change(&u.state)
	u.mu.Unlock()
}

// Run sends until ctx ends. Failures are its business: it waits, tries again and shows them in
// State; nothing makes it return early.
func (u *Uploader) Run(ctx context.Context) {
	defer u.doer.client.CloseIdleConnections()
	full := u.j.Full(u.opts.Batch)
	flush := time.NewTicker(u.opts.Flush)
	defer flush.Stop()
	failures := 0
	for ctx.Err() == nil {
		more, err := u.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			phase, wait := u.judge(err, failures)
			failures++
			u.set(func(s *State) { s.Phase, s.Err, s.NextTry = phase, err.Error(), time.Now().Add(wait) })
			u.shout(phase, err, wait)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			continue
		}
		if failures > 0 {
			u.log.Info("influxdb takes data again", "url", u.opts.URL)
		}
		failures = 0
		if more {
			u.set(func(s *State) { s.Phase, s.Err = Sending, "" })
			continue
		}
		u.set(func(s *State) { s.Phase, s.Err = Idle, "" })
		select {
		case <-ctx.Done():
		case <-flush.C:
		case <-full:
		}
	}
}

// step sends one request's worth; more says that another need not wait for Flush: what was left has waited
// already, or a whole one may have come meanwhile.
func (u *Uploader) step(ctx context.Context) (more bool, err error) {
	waiting, err := u.j.Backlog()
	if err != nil {
		return false, &journalError{err}
	}
	u.batches, err = u.j.Unsent(u.batches[:0], u.j.SentID(), u.limit, maxBody)
	if err != nil {
		return false, &journalError{err}
	}
	if len(u.batches) == 0 {
		return false, nil
	}
	u.set(func(s *State) {
		if s.Err == "" { // a failure stands until something has been sent
			s.Phase = Sending
		}
	})
	d := delivery{u: u, ctx: ctx}
	if err := d.batches(u.batches); err != nil {
		return false, err
	}
	if len(d.refused) > 0 {
		if err := u.j.SetAside(d.refused); err != nil {
			return false, &journalError{err}
		}
		u.warnRefused(d.lost, d.refused[0])
	}
	if err := u.j.Sent(u.batches[len(u.batches)-1].ID); err != nil {
		return false, &journalError{err}
	}
	u.set(func(s *State) {
		s.SentLines += uint64(d.accepted)
		s.Refused += uint64(d.lost)
	})
	lines := 0
	for i := range u.batches {
		lines += u.batches[i].Lines
	}
	return lines < waiting.Lines || lines >= u.opts.Batch, nil
}

// warnRefused logs lines that were set aside, at most once a minute.
func (u *Uploader) warnRefused(lines int, first journal.Refused) {
	u.untold += lines
	now := time.Now()
	if !u.lastRefused.IsZero() && now.Sub(u.lastRefused) < logEvery {
		return
	}
	u.log.Warn("influxdb refused lines for good; they are set aside in the journal. Mend the cause, then: stirwatch journal resend",
		"lines", u.untold, "first", first.Line, "reason", first.Reason)
	u.lastRefused, u.untold = now, 0
}

// post sends one gzip body and returns nil only for a 204. The body stays untouched until the
// transport has let go of it.
func (u *Uploader) post(ctx context.Context, body []byte) error {
	u.set(func(s *State) { s.Requests++ })
	gzipped := func(req *http.Request) { req.Header.Set("Content-Encoding", "gzip") }
	failed := u.http.DoPostRequest(ctx, u.write, bytes.NewReader(body), gzipped, func(r *http.Response) error { return r.Body.Close() })
	u.doer.open.Wait()
	if failed != nil {
		return inWords(failed)
	}
	u.set(func(s *State) { s.LastOK, s.Err = time.Now(), "" })
	return nil
}

type journalError struct{ err error }

func (e *journalError) Error() string { return e.err.Error() }
func (e *journalError) Unwrap() error { return e.err }
