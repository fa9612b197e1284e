package sensors

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// giving emits samples one by one, as often as there are, and then waits or fails.
type giving struct {
	Source
	n      int
	bad    bool
	says   string
	fail   error
	health *Health
	t      *testing.T
	ahead  time.Duration // of the stamps
	device bool          // its clock rules
}

type noAck struct{ t *testing.T }

func (n noAck) Ack() { n.t.Error("a probe acknowledges") }

func (g giving) Run(ctx context.Context, to Sink) error {
	if g.says != "" {
		to.Event(Event{Kind: Doubted, Text: g.says})
	}
	for range g.n {
		x := Sample{Time: int64(g.ahead), Status: OK}
		if g.bad {
			x = Sample{Status: Status{Signal: Failure, Reason: NotANumber}, Sent: "---"}
		}
		to.Emit([]Sample{x}, noAck{g.t})
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
		n    int
		fail error
	}{
		{t.Context(), giving{n: 9}, 9, nil}, // enough, and what comes with it
		{t.Context(), giving{n: 2, fail: gone}, 2, gone},
		{ended, giving{}, 0, nil}, // nothing came in time
	} {
		c.src.t = t
		if l, err := probe(c.ctx, c.src, false, 3); l.samples != c.n || !errors.Is(err, c.fail) {
			t.Errorf("%d samples, %v, want %d, %v", l.samples, err, c.n, c.fail)
		}
	}
}

func (g giving) Health() *Health { return g.health }

// What came, or why nothing did, is told in words.
func TestTry(t *testing.T) {
	gone := errors.New("no such device")
	for want, c := range map[string]struct {
		src    giving
		health func(h *Health)
	}{
		"9 samples in 0 messages":                      {giving{n: 9}, func(*Health) {}},
		"9 samples in 0 messages, 0 rejected, skew 0s": {giving{n: 9, ahead: MaxAhead}, func(*Health) {}}, // a clock may be that fast
		"9 samples in 0 messages, 0 rejected,":         {giving{n: 9, ahead: 2 * MaxAhead, device: true}, func(*Health) {}},
		"8 samples in 0 messages, 0 rejected, skew 0s; the newest is stamped 3h0m0s ahead of this computer's clock": {giving{n: 8, ahead: 2 * MaxAhead}, func(*Health) {}},
		"no such device": {giving{fail: gone}, func(*Health) {}},
		`1 messages came and none could be read; the last: no number: "%%"`: {giving{}, func(h *Health) {
			h.Reject(&listener{}, "tool", 0, []byte("%%"), errors.New("no number"))
		}},
		"/dev/tool is open, but nothing came within 1ms": {giving{}, func(h *Health) { h.Connects.Add(1) }},
		"/dev/tool is not there within 1ms":              {giving{}, func(*Health) {}},

		"/dev/tool is open, but no value came within 1ms: day or month first?": {giving{says: "day or month first?"}, func(h *Health) { h.Connects.Add(1) }},

		`4 samples in 0 messages, 0 rejected, skew 0s; 4 samples are no good values, the first: failure: not_a_number, "---"; a text`: {giving{n: 4, bad: true, says: "a text"}, func(*Health) {}},
	} {
		synctest.Test(t, func(t *testing.T) { // patience ends when nothing else is left to happen
			c.src.t, c.src.health = t, new(Health)
			c.health(c.src.health)
			text, err := Try(t.Context(), c.src, "/dev/tool", c.src.device, time.Millisecond)
			if err != nil {
				text += err.Error()
			}
			if !strings.HasPrefix(text, want) || (c.src.n > 0 && !c.src.bad && (c.src.device || c.src.ahead <= MaxAhead)) != (err == nil) {
				t.Errorf("%q, want %q", text, want)
			}
		})
	}
}
