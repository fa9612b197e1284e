package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors/unit"
)

// pauseAfter is how long a command that was refused is left alone.
const pauseAfter = 10 * time.Second

// lease is what the goroutine of a loop holds.
type lease struct {
	*bridge.Lease
	value   float64
	renewed time.Time
	pause   time.Time // until then nothing is commanded
}

// run carries out the loop's orders until ctx ends, and gives back what is under lease. Whatever hangs, the
// bridge's watchdog reverts.
func (l *loop) run(ctx context.Context, a *Agent) error {
	var h lease
	defer func() {
		if h.Lease != nil {
			h.Release("the agent ends")
		}
	}()
	for {
		var ended <-chan struct{}
		if h.Lease != nil {
			ended = h.Done()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			l.lost(h.Err(), a)
			h.Lease = nil
		case <-l.kick:
			l.mu.Lock()
			o := l.order
			l.order.look = false
			l.mu.Unlock()
			l.carryOut(ctx, &h, o, time.Now(), a)
		}
	}
}

// carryOut does what is ordered. That it begins to command and that it lets go is told, since the machine does something else from then on.
func (l *loop) carryOut(ctx context.Context, h *lease, o order, now time.Time, a *Agent) {
	switch {
	case !o.hold && h.Lease != nil:
		h.Release(o.why)
		h.Lease = nil
		l.event(a, "it lets go of "+l.Target+": "+o.why)
	case !o.hold || now.Before(h.pause):
	case h.Lease == nil || o.value != h.value:
		l.command(h, o, now, a)
	case now.Sub(h.renewed) >= l.Lease/3:
		if err := h.Renew(l.Lease); err == nil {
			h.renewed = now
		} // else it has ended, which run is told as well
	}
	if o.look {
		v, err := l.bridge.Get(ctx, l.Target)
		if errors.Is(err, bridge.ErrNoReadBack) {
			s, _ := l.bridge.State(l.Target)
			v.Value, err = s.Safe.Value, nil // a lease begins there
		}
		l.mu.Lock()
		if l.found = v.Value; err != nil {
			l.found = math.NaN()
			l.log.Debug("what the controller holds could not be read", "error", err)
		}
		l.mu.Unlock()
	}
}

func (l *loop) command(h *lease, o order, now time.Time, a *Agent) {
	l.mu.Lock()
	why := "to " + l.reason()
	l.mu.Unlock()
	got, err := l.bridge.Command(bridge.Command{
		Target: l.Target, Value: unit.Quantity{Value: o.value, Unit: l.unit}, For: l.Lease, Who: l.who, Why: why, Yield: true,
	})
	if err != nil {
		l.log.Warn("a command was refused", "value", o.value, "error", err)
		h.pause = now.Add(pauseAfter)
		return
	}
	if h.Lease == nil {
		l.tell(a, slog.LevelInfo, fmt.Sprintf("it commands %s, %s", l.Target, why))
	}
	h.Lease, h.value, h.renewed = got, o.value, now
}

// lost tells the tick that the lease has ended by itself. Where another hand took over, a person must switch
// the loop on again.
func (l *loop) lost(err error, a *Agent) {
	text := fmt.Sprintf("the lease has ended: %v", err)
	l.mu.Lock()
	l.ended, l.order, l.found = text, order{why: text}, math.NaN()
	l.mu.Unlock()
	if errors.Is(err, bridge.ErrTakenOver) {
		a.setMode(l, Advise, text)
		return
	}
	l.event(a, text)
}

// event puts on record what happened to a loop and people ought to know.
func (l *loop) event(a *Agent, text string) { l.tell(a, slog.LevelWarn, text) }

// tell puts what happened to a loop into log and record.
func (l *loop) tell(a *Agent, level slog.Level, text string) {
	l.log.Log(context.Background(), level, text)
	journal.Write(a.opt.Journal, record.Event{Time: a.opt.Clock.Now(), Source: "control " + l.Name, Kind: "control", Text: text})
}
