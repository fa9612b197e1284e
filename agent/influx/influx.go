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
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	ihttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/klauspost/compress/gzip"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
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

// NeedsAction tells whether a person must act before sending can go on.
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
		return failed
	}
	u.set(func(s *State) { s.LastOK, s.Err = time.Now(), "" })
	return nil
}

// delivery is the sending of one request, in pieces where the server wants it so.
type delivery struct {
	u        *Uploader
	ctx      context.Context
	accepted int // lines
	refused  []journal.Refused
	lost     int  // lines refused; a damaged batch is one entry of several lines
	probed   bool // the server has taken a line that is surely good
}

// smallBatch is the size, in bytes of lines, below which batches are compressed anew for sending. Small ones
// say names and stamps so often that this halves what goes over the wire; large ones gain nothing.
const smallBatch = 32 << 10

// encode makes the body of a request: batches as they are stored, or, where they are small, as one. What
// is damaged is left as it is stored, and found when the server refuses it.
func (u *Uploader) encode(bs []journal.Batch) {
	raw := 0
	for i := range bs {
		raw += bs[i].Raw
	}
	if len(bs) > 1 && raw/len(bs) < smallBatch && u.compressed(bs) {
		u.body = u.gzipped.Bytes()
		return
	}
	u.stored = journal.AppendGzip(u.stored[:0], bs...)
	u.body = u.stored
}

// compressed puts the lines of bs into u.gzipped; false: they cannot all be read.
func (u *Uploader) compressed(bs []journal.Batch) bool {
	u.gzipped.Reset()
	if u.gzip == nil {
		u.gzip, _ = gzip.NewWriterLevel(&u.gzipped, gzip.BestSpeed) // the level is known to be valid
	}
	u.gzip.Reset(&u.gzipped)
	for i := range bs {
		lines, err := u.inflater.Lines(&bs[i])
		if err != nil {
			return false
		}
		u.gzip.Write(lines) // a bytes.Buffer cannot fail
	}
	u.gzip.Close()
	return true
}

// batches delivers all of bs or returns why it must be tried again.
func (d *delivery) batches(bs []journal.Batch) error {
	u := d.u
	u.encode(bs)
	err := u.post(d.ctx, u.body)
	lines := 0
	for i := range bs {
		lines += bs[i].Lines
	}
	switch v := verdictOf(err); {
	case err == nil:
		d.accepted += lines
		u.grow(lines)
		return nil
	case v == tooLarge && len(bs) > 1:
		u.most = max(lines/2, 1)
		u.limit, u.taken = u.most, 0
		if u.tried {
			u.tried, u.trial = false, min(2*u.trial, lastTrial)
		}
	case v != tooLarge && v != refused:
		if os.IsTimeout(err) { // a slow line: smaller requests get through
			u.limit = max(u.limit/2, limitMin)
		}
		return err
	}
	if half := len(bs) / 2; half > 0 {
		if err := d.batches(bs[:half]); err != nil {
			return err
		}
		return d.batches(bs[half:])
	}
	text, damage := u.inflater.Lines(&bs[0])
	if damage != nil {
		d.lost += bs[0].Lines
		d.refused = append(d.refused, journal.Refused{Batch: bs[0].ID, Reason: damage.Error(), At: time.Now().UnixNano()})
		return nil
	}
	return d.cut(bs[0].ID, text, err)
}

// A server that found a request too large may have been given a larger limit since: a larger one is tried
// after so many that were taken, ever more rarely where it is refused again.
const (
	firstTrial = 16
	lastTrial  = 1024
)

// grow makes requests larger after one of so many lines was taken.
func (u *Uploader) grow(lines int) {
	if top := max(u.opts.Request, u.opts.Batch); u.most < top && lines > u.most/2 {
		if u.taken++; u.taken >= u.trial {
			u.most, u.taken, u.tried = min(2*u.most, top), 0, true
		}
	}
	u.limit = min(2*u.limit, u.most)
}

// cut delivers lines that were refused together for the reason why.
func (d *delivery) cut(batch int64, text []byte, why error) error {
	n := bytes.Count(text, []byte("\n"))
	if n <= 1 || dropped(why) == n {
		if err := d.probe(why); err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			d.lost++
			d.refused = append(d.refused, journal.Refused{
				Batch: batch, Line: string(bytes.TrimSuffix(line, []byte("\n"))), Reason: why.Error(), At: time.Now().UnixNano()})
		}
		return nil
	}
	half := len(text) / 2
	half += bytes.IndexByte(text[half:], '\n') + 1
	if half == len(text) { // the last line is longer than all before it
		half = bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	}
	for _, part := range [][]byte{text[:half], text[half:]} {
		body, err := compress(part)
		if err != nil {
			return err
		}
		err = d.u.post(d.ctx, body)
		switch v := verdictOf(err); {
		case err == nil:
			d.accepted += bytes.Count(part, []byte("\n"))
		case v == refused || v == tooLarge:
			if err := d.cut(batch, part, err); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// probe tells a bad line from a server that refuses all: before the first line is set aside, the
// server must take one, if need be one that is surely good.
func (d *delivery) probe(why error) error {
	if d.accepted > 0 || d.probed {
		return nil
	}
	line, _ := record.Append(nil, "", &record.UploadHealth{Time: time.Now().UnixNano(), Source: record.InfluxDB, Probe: 1})
	body, err := compress(line)
	if err != nil {
		return err
	}
	if err := d.u.post(d.ctx, body); err != nil {
		if verdictOf(err) == refused {
			return fmt.Errorf("every line is refused, also one that is surely good: %w", why)
		}
		return err
	}
	d.probed = true
	return nil
}

func compress(lines []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(lines); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// dropped reads how many points the server says it has dropped, "… dropped=3"; -1 if it does not.
func dropped(err error) int {
	_, after, ok := strings.Cut(err.Error(), "dropped=")
	if !ok {
		return -1
	}
	end := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(after)
	}
	n, err := strconv.Atoi(after[:end])
	if err != nil {
		return -1
	}
	return n
}

// verdict is what an answer means for the lines that were sent.
type verdict int

const (
	again    verdict = iota // later, unchanged
	tooLarge                // in smaller pieces
	refused                 // some line is at fault
	person                  // somebody must act
)

func verdictOf(err error) verdict {
	if err == nil {
		return again
	}
	if errors.As(err, new(*oddAnswer)) || errors.As(err, new(*moved)) {
		return person
	}
	switch status := statusOf(err); {
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return refused
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == 0, status >= 500:
		return again
	}
	return person
}

func statusOf(err error) int {
	var h *ihttp.Error
	if errors.As(err, &h) {
		return h.StatusCode
	}
	return 0
}

type journalError struct{ err error }

func (e *journalError) Error() string { return e.err.Error() }
func (e *journalError) Unwrap() error { return e.err }

// judge says what a failure makes of the upload and how long to wait.
func (u *Uploader) judge(err error, failures int) (Phase, time.Duration) {
	limit := backoffMax
	if statusOf(err) == 0 && !os.IsTimeout(err) {
		limit = awayMax
	}
	wait := min(u.fast<<min(failures, 10), limit)
	wait = wait/2 + rand.N(wait) // half to one and a half times, so that many agents do not come at once
	var fault *journalError
	if errors.As(err, &fault) {
		return JournalFault, wait
	}
	if verdictOf(err) == again {
		if asked := retryAfter(err, time.Now()); asked > 0 {
			wait = asked + rand.N(u.fast)
		}
		return Waiting, wait
	}
	wait = max(wait, u.slow)
	if errors.As(err, new(*moved)) {
		return Moved, wait
	}
	switch statusOf(err) {
	case http.StatusUnauthorized, http.StatusForbidden:
		return Unauthorized, wait
	case http.StatusNotFound:
		return NoBucket, wait
	}
	return Refused, wait
}

const maxRetryAfter = 10 * time.Minute

// retryAfter reads the Retry-After header (RFC 9110, 10.2.3: seconds or an HTTP date); 0: none.
func retryAfter(err error, now time.Time) time.Duration {
	var h *ihttp.Error
	if !errors.As(err, &h) || h.Header == nil {
		return 0
	}
	v := strings.TrimSpace(h.Header.Get("Retry-After"))
	if s, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(s)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// shout logs a failure, each phase at most once a minute.
func (u *Uploader) shout(phase Phase, err error, wait time.Duration) {
	now := time.Now()
	if last, ok := u.logged[phase]; ok && now.Sub(last) < logEvery {
		return
	}
	u.logged[phase] = now
	level, advice := slog.LevelWarn, "nothing is lost; it will be tried again"
	switch phase {
	case Unauthorized:
		level, advice = slog.LevelError, "everything is kept; check the token and its right to write"
	case NoBucket:
		level, advice = slog.LevelError, "everything is kept; make the bucket or correct its name or the url"
	case Moved:
		level, advice = slog.LevelError, "everything is kept; redirects are not followed"
	case Refused:
		level, advice = slog.LevelError, "everything is kept; check that url leads to an InfluxDB and not to a proxy or a login page"
	case JournalFault:
		level, advice = slog.LevelError, "nothing is sent while the journal cannot be read"
	}
	u.log.Log(context.Background(), level, "influxdb: "+string(phase), "url", u.opts.URL, "bucket", u.opts.Bucket, "err", err, "what", advice, "next_try", wait.Round(time.Millisecond))
}
