package sensors

import (
	"context"
	"errors"
	"testing"
)

// giving emits samples one by one, as often as there are, and then waits or fails.
type giving struct {
	Source
	n    int
	fail error
	t    *testing.T
}

type noAck struct{ t *testing.T }

func (n noAck) Ack() { n.t.Error("a probe acknowledges") }

func (g giving) Run(ctx context.Context, to Sink) error {
	for range g.n {
		to.Emit(make([]Sample, 1), noAck{g.t})
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if g.fail == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return g.fail
}

func TestProbe(t *testing.T) {
	gone := errors.New("gone")
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		ctx  context.Context
		src  giving
		n    int64
		fail error
	}{
		{t.Context(), giving{n: 9}, 3, nil}, // enough
		{t.Context(), giving{n: 2, fail: gone}, 2, gone},
		{ended, giving{}, 0, nil}, // nothing came in time
	} {
		c.src.t = t
		if n, err := Probe(c.ctx, c.src, 3); n != c.n || !errors.Is(err, c.fail) {
			t.Errorf("%d samples, %v, want %d, %v", n, err, c.n, c.fail)
		}
	}
}
