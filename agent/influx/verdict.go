package influx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	ihttp "github.com/influxdata/influxdb-client-go/v2/api/http"
)

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

// reply is what a server said that takes nothing just now, for people: the library gives the number alone where the
// server adds nothing to it, and a proxy's whole page where that is what it adds.
type reply struct {
	said *ihttp.Error
	text string
}

func (a *reply) Error() string { return a.text }
func (a *reply) Unwrap() error { return a.said }

// mostSaid is how much of an answer is repeated, bytes.
const mostSaid = 300

// inWords makes an answer fit for people. Those that find fault with lines stay as they are: which and why is in them.
func inWords(err error) error {
	var h *ihttp.Error
	if !errors.As(err, &h) || h.StatusCode == 0 || verdictOf(err) == refused {
		return err
	}
	status := strings.TrimSpace(fmt.Sprintf("%d %s", h.StatusCode, http.StatusText(h.StatusCode)))
	text := strings.Join(strings.Fields(h.Error()), " ")
	switch {
	case text == "" || strings.HasPrefix(text, "Unexpected status code"):
		text = status
	case !strings.HasPrefix(text, strconv.Itoa(h.StatusCode)):
		text = status + ": " + text
	}
	if len(text) > mostSaid {
		text = strings.ToValidUTF8(text[:mostSaid], "") + " …"
	}
	return &reply{h, text}
}

func statusOf(err error) int {
	var h *ihttp.Error
	if errors.As(err, &h) {
		return h.StatusCode
	}
	return 0
}

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
