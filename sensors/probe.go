package sensors

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// settle is how long a source that has given enough goes on: what was waiting for it, a log say, is read to its end, so that
// what is told is of the newest.
const settle = 300 * time.Millisecond

// Probe runs src until it has given enough samples and what was waiting, or ctx ends, and tells how many came. It acknowledges
// no message: they are for whoever keeps them. The error is the source's own, nil where it was ended.
func Probe(ctx context.Context, src Source, enough int64) (samples int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &listener{enough: enough, done: cancel}
	if err = src.Run(ctx, l); ctx.Err() != nil {
		err = nil
	}
	return l.samples.Load(), err
}

// Try runs src for as long as patience lets it and says in words what came, or as an error why nothing
// did. place is what it reads, as people call it: a port, a broker, a file.
func Try(ctx context.Context, src Source, place string, patience time.Duration) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	samples, err := Probe(ctx, src, 3)
	h := src.Health().Snapshot()
	switch {
	case samples > 0:
		return fmt.Sprintf("%d samples in %d messages, %d rejected, skew %v", samples, h.Messages, h.Rejected, h.Skew.Round(time.Millisecond)), nil
	case err != nil:
		return "", err
	case h.Rejected > 0:
		return "", fmt.Errorf("%d messages came and none could be read; the last: %s", h.Rejected, h.LastBad)
	case h.LastError != "":
		return "", errors.New(h.LastError)
	case h.Connects > 0:
		return "", fmt.Errorf("%s is open, but nothing came within %v; is the device sending, and are names and topics right?", place, patience)
	default:
		return "", fmt.Errorf("%s is not there within %v", place, patience)
	}
}

// listener counts what a source gives and keeps nothing.
type listener struct {
	samples atomic.Int64
	enough  int64
	done    context.CancelFunc
}

// Emit implements [Sink].
func (l *listener) Emit(samples []Sample, _ Acker) {
	n := int64(len(samples))
	if now := l.samples.Add(n); now >= l.enough && now-n < l.enough {
		time.AfterFunc(settle, l.done)
	}
}

// Event implements [Sink].
func (l *listener) Event(Event) {}
