package sensors

import (
	"context"
	"sync/atomic"
)

// Probe runs src until it has given enough samples or ctx ends, and tells how many came. It acknowledges
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

// listener counts what a source gives and keeps nothing.
type listener struct {
	samples atomic.Int64
	enough  int64
	done    context.CancelFunc
}

// Emit implements [Sink].
func (l *listener) Emit(samples []Sample, _ Acker) {
	if l.samples.Add(int64(len(samples))) >= l.enough {
		l.done()
	}
}

// Event implements [Sink].
func (l *listener) Event(Event) {}
