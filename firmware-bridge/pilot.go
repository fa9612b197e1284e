package bridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// pilot carries out leases: it learns what the controller holds, walks to the value given, and
// keeps reading it back.
func (b *Bridge) pilot(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.kickPilot:
		case <-timer.C:
		}
		for _, g := range b.targets {
			if ctx.Err() == nil {
				b.fly(ctx, g)
			}
		}
		timer.Reset(b.pilotDue())
	}
}

// pilotDue is how long the pilot may sleep.
func (b *Bridge) pilotDue() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, wait := time.Now(), time.Hour
	for _, g := range b.targets {
		if g.lease != nil && !g.reverting {
			wait = min(wait, max(g.next.Sub(now), 0))
		}
	}
	return wait
}

// fly does the next step of one target's lease.
func (b *Bridge) fly(ctx context.Context, g *gate) {
	b.mu.Lock()
	l := g.lease
	due := l != nil && !g.reverting && !time.Now().Before(g.next)
	b.mu.Unlock()
	if !due {
		return
	}
	err := b.speak(ctx, func(ctx context.Context, d Dialect) error { return b.advance(ctx, d, g, l) })

	b.mu.Lock()
	defer b.mu.Unlock()
	if g.lease != l || g.reverting {
		return // the watchdog or another command has taken over
	}
	var refused *DeviceError
	switch now := time.Now(); {
	case err == nil:
	case errors.As(err, &refused), errors.Is(err, ErrLimit), errors.Is(err, ErrNoTarget):
		b.failLocked(g, err)
	case now.Sub(g.doubt) >= b.o.Patience: // the watchdog would say the same, knowing less
		b.failLocked(g, err)
	default:
		g.next = now.Add(b.o.Retry)
	}
}

// advance is one turn of a lease: at most one write, then a read-back.
func (b *Bridge) advance(ctx context.Context, d Dialect, g *gate, l *Lease) error {
	b.mu.Lock()
	known := g.known
	b.mu.Unlock()
	if !known {
		if err := b.learn(ctx, d, g, l); err != nil {
			return err
		}
	}
	b.mu.Lock()
	now := time.Now()
	if g.lease != l || g.reverting {
		b.mu.Unlock()
		return ErrReplaced
	}
	if g.touched && !g.verified && g.acknowledged {
		// Not confirmed yet: ask again before writing again. A ramp goes on only from a value
		// that the controller is known to hold.
		b.mu.Unlock()
		return b.confirm(ctx, d, g, l)
	}
	v := g.last // again, where its acknowledgement was lost
	if g.verified || !g.touched {
		v = g.toward(l.given, now)
	}
	if g.touched && g.verified && v == g.last {
		b.mu.Unlock()
		return b.confirm(ctx, d, g, l)
	}
	if err := g.admit(v, now); err != nil {
		b.mu.Unlock()
		return err
	}
	if v != g.last || !g.touched {
		g.doubt = now
	}
	g.touched, g.verified, g.acknowledged = true, false, false
	g.last, g.lastAt = v, now
	b.mu.Unlock()

	err := d.Set(ctx, g.Name, v)
	b.mu.Lock()
	if g.last == v {
		g.lastAt = time.Now() // it may have got through no earlier than now
		g.acknowledged = err == nil && g.lease == l && !g.reverting
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.confirm(ctx, d, g, l)
}

// Readings at the start of a lease. The pause between them lets a line that nobody asked for arrive
// and be noticed, instead of standing for the first line of the next answer; the third one notices
// what the second brought.
const (
	readings        = 3
	betweenReadings = 50 * time.Millisecond
)

// learn finds out what the controller holds before the first write of a lease. Three readings
// must agree, so that a damaged reply moves nothing. Without a read-back the target starts from its
// safe state, which is put on the wire for that.
func (b *Bridge) learn(ctx context.Context, d Dialect, g *gate, l *Lease) error {
	first, err := d.Get(ctx, g.Name)
	switch {
	case errors.Is(err, ErrNoReadBack):
		b.mu.Lock()
		if g.lease != l || g.reverting {
			b.mu.Unlock()
			return ErrReplaced
		}
		now := time.Now()
		g.touched, g.verified = true, false
		g.last, g.lastAt = g.Safe.Value, now
		b.mu.Unlock()
		if err := d.Safe(ctx, g.Name, g.Safe.Value); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if g.lease != l || g.reverting {
			return ErrReplaced
		}
		g.known, g.verified, g.acknowledged = true, true, true
		return nil
	case err != nil:
		return err
	}
	for range readings - 1 {
		pause := time.NewTimer(betweenReadings)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
		again, err := d.Get(ctx, g.Name)
		if err != nil {
			return err
		}
		if !(math.Abs(first-again) <= g.Tolerance+slack*math.Max(1, math.Abs(first))) {
			return fmt.Errorf("readings of %s differ: %g and %g %s", g.Name, first, again, g.Unit)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if g.lease != l || g.reverting {
		return ErrReplaced
	}
	g.known, g.last, g.readBack = true, first, first
	g.lastAt = later(g.lastAt, time.Now().Add(-g.step)) // it has stood there for a while
	return nil
}

// confirm reads the value back and plans what comes next.
func (b *Bridge) confirm(ctx context.Context, d Dialect, g *gate, l *Lease) error {
	v, err := d.Get(ctx, g.Name)
	unread := errors.Is(err, ErrNoReadBack)
	if err != nil && !unread {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if g.lease != l || g.reverting {
		return ErrReplaced
	}
	now := time.Now()
	if !unread {
		g.readBack = v
	}
	if !unread && !g.within(v) {
		if g.verified { // it was right before: someone else turns the knob, or the controller restarted
			g.verified, g.doubt = false, now
		}
		return fmt.Errorf("%w: %s was set to %g and reads back %g %s", ErrFailed, g.Name, g.last, v, g.Unit)
	}
	g.verified = true
	if g.last == l.given {
		g.next = now.Add(b.o.Check)
		if l.reach() {
			b.clerk.tell(g.record(Reached, ""))
		}
	} else {
		g.next = later(now, g.lastAt.Add(g.step))
	}
	return nil
}

// failLocked ends a lease that the controller does not follow.
func (b *Bridge) failLocked(g *gate, why error) {
	if !errors.Is(why, ErrFailed) {
		why = fmt.Errorf("%w: %w", ErrFailed, why)
	}
	b.clerk.tell(g.record(Failed, why.Error()))
	who := g.lease.who
	g.lease.end(why)
	b.revertLocked(g, who, why.Error())
}
