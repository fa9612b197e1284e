package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"stirwatch/sensors"
)

// Retry of a source that failed. One that has just given data is likely to be back at once (a loose plug, a
// board that restarts): it is tried many times a second for a minute. One that is long gone is tried ever
// more slowly. Jitter keeps many agents from retrying at the same instant.
const (
	quickRetry = 50 * time.Millisecond
	quickFor   = time.Minute // since the last data
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// retry decides how long to wait before a source is opened again.
type retry struct {
	good time.Time // when it last gave data; zero: never
	wait time.Duration
}

// after gives the wait after a run of the source that began at some time, has given samples or not, and failed.
func (r *retry) after(began, now time.Time, gave bool, err error) time.Duration {
	broken := errors.As(err, new(panicked)) // by data perhaps: opening it many times a second would flood the record
	if gave && !broken {
		r.good, r.wait = now, 0
	}
	if !broken && !r.good.IsZero() && now.Sub(r.good) < quickFor {
		return quickRetry
	}
	if now.Sub(began) > lastRetry {
		r.wait = 0
	}
	r.wait = min(max(2*r.wait, firstRetry), lastRetry)
	return r.wait
}

// supervise runs a source until ctx ends or a finite source is exhausted, and reopens it when
// it fails. A source that panics fails: one broken driver must not take the others along.
func (a *Agent) supervise(ctx context.Context, s sensors.Source, to sensors.Sink) {
	log := a.opt.Log.With("source", s.Name())
	var r retry
	var said string
	for {
		began, before := time.Now(), s.Health().Samples.Load()
		err := runSource(ctx, s, to)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			log.Info("source is exhausted")
			return
		}
		s.Health().Fail(err)
		wait := r.after(began, time.Now(), s.Health().Samples.Load() > before, err)
		if err.Error() != said { // the same failure again is counted, not repeated in the log
			said = err.Error()
			log.Warn("source failed; trying again", "error", err, "in", wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// panicked is the failure of a source whose code has panicked.
type panicked struct{ error }

func runSource(ctx context.Context, s sensors.Source, to sensors.Sink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked{fmt.Errorf("%s: panic: %v", s.Name(), p)}
		}
	}()
	return s.Run(ctx, to)
}
