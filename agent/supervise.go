package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"stirwatch/sensors"
)

// Retry of a source that failed: the first at once, then doubling, with jitter so that many
// agents do not knock together.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// supervise runs a source until ctx ends or a finite source is exhausted, and reopens it when
// it fails. A source that panics fails: one broken driver must not take the others along.
func (a *Agent) supervise(ctx context.Context, s sensors.Source, to sensors.Sink) {
	log := a.opt.Log.With("source", s.Name())
	wait := firstRetry
	var said string
	for {
		began := time.Now()
		err := runSource(ctx, s, to)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			log.Info("source is exhausted")
			return
		}
		s.Health().Fail(err)
		if time.Since(began) > lastRetry {
			wait = firstRetry
		}
		if err.Error() != said { // the same failure again is counted, not repeated in the log
			said = err.Error()
			log.Warn("source failed; trying again", "error", err, "in", wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, lastRetry)
	}
}

func runSource(ctx context.Context, s sensors.Source, to sensors.Sink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: panic: %v", s.Name(), p)
		}
	}()
	return s.Run(ctx, to)
}
