package bridge

import (
	"context"
	"errors"
	"fmt"
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
		if g.leased() {
			wait = min(wait, max(g.next.Sub(now), 0))
		}
	}
	return wait
}

// fly does the next step of a target's lease.
func (b *Bridge) fly(ctx context.Context, g *gate) {
	b.mu.Lock()
	l := g.lease
	due := g.leased() && !time.Now().Before(g.next)
	b.mu.Unlock()
	if !due {
		return
	}
	err := b.speak(ctx, func(ctx context.Context, d Dialect) error { return b.advance(ctx, d, g, l) })

	b.mu.Lock()
	defer b.mu.Unlock()
	if g.lease != l { // the watchdog or another command has taken over
		if g.leased() && err != nil && ctx.Err() == nil && !errors.Is(err, ErrReplaced) {
			g.problem = err // of a value that was commanded anew meanwhile: what hinders it hinders the next one
		}
		return
	}
	var refused *DeviceError
	g.problem = err
	switch now := time.Now(); {
	case err == nil:
	case !g.touched && errors.Is(err, ErrStarting):
		g.confirmed, g.next = now, now.Add(b.o.Retry) // nothing was asked of it yet, so nothing is in doubt
	case errors.As(err, &refused), errors.Is(err, ErrLimit), errors.Is(err, ErrNoTarget):
		b.failLocked(g, err)
	case now.Sub(g.confirmed) >= b.o.Patience:
		b.failLocked(g, b.unconfirmed(g))
	default: // a value that comes slowly is looked at again as soon as the next one is due
		g.next = now.Add(min(b.o.Retry, g.step))
	}
}

// advance is one turn of a lease: at most one write, then a read-back.
func (b *Bridge) advance(ctx context.Context, d Dialect, g *gate, l *Lease) error {
	b.mu.Lock()
	known := g.known()
	b.mu.Unlock()
	if !known {
		return b.find(ctx, d, g, l)
	}
	if err := b.untouched(ctx, d, g, l); err != nil {
		return err
	}
	v, write, err := b.plan(g, l)
	if err == nil && write {
		err = d.Set(ctx, g.Name, v)
		b.mu.Lock()
		if g.last == v {
			g.lastAt = time.Now() // it may have got through no earlier than now
			g.acknowledged = err == nil && g.lease == l
		}
		b.mu.Unlock()
	}
	if err != nil {
		return err
	}
	return b.confirm(ctx, d, g, l)
}

// plan decides whether a value is to be written now, and notes that it is. Between two steps and at
// the end of the way it is only asked whether the value is held; so it is after an acknowledgement
// that no read-back confirms. What cannot be read back is written again instead: its acknowledgement
// is all that tells.
func (b *Bridge) plan(g *gate, l *Lease) (v float64, write bool, err error) {
	err = b.holding(g, l, func(now time.Time) error {
		v = g.toward(l.given, now)
		rest := g.verified && (v == g.last || now.Before(g.lastAt.Add(g.step)))
		if write = g.unreadable || !rest && (g.verified || !g.acknowledged); !write {
			return nil
		}
		if rest {
			v = g.last
		}
		if err := g.admit(v, now); err != nil {
			return err
		}
		g.sent(v, now)
		return nil
	})
	return v, write, err
}

// holding calls f with the bridge locked, unless the lease has ended meanwhile.
func (b *Bridge) holding(g *gate, l *Lease, f func(now time.Time) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g.lease != l {
		return ErrReplaced
	}
	return f(time.Now())
}

// find learns what the controller holds before the first write of a lease. Without a read-back the
// target starts from its safe state, which is put on the wire for that.
func (b *Bridge) find(ctx context.Context, d Dialect, g *gate, l *Lease) error {
	v, err := b.read(ctx, d, g)
	switch {
	case errors.Is(err, ErrNoReadBack) && !g.Safe.AsFound:
		if err := b.holding(g, l, func(now time.Time) error {
			g.unreadable = true
			g.sent(g.safe, now)
			return nil
		}); err != nil {
			return err
		}
		if err := d.Safe(ctx, g.Name, g.safe); err != nil {
			return err
		}
		return b.holding(g, l, func(now time.Time) error {
			g.confirm(now)
			return nil
		})
	case err != nil:
		return err
	}
	if g.Safe.AsFound { // the file first: what would be forgotten by a crash is not moved
		if err := b.remember(g, g.round(v)); err != nil {
			return fmt.Errorf("%w: the value found cannot be remembered: %w", ErrFailed, err)
		}
	}
	err = b.holding(g, l, func(now time.Time) error {
		if g.found(v, now); g.Safe.AsFound {
			g.safe = g.round(v)
		}
		return nil
	})
	if err != nil {
		b.clerk.do(b.forget)
	}
	return err
}

// Readings where a walk begins. The pause between them lets a line that nobody asked for arrive
// and be noticed, instead of standing for the first line of the next answer; the third one notices
// what the second brought.
const (
	readings        = 3
	betweenReadings = 50 * time.Millisecond
)

// read asks what the controller holds until the readings agree, so that a damaged reply moves
// nothing.
func (b *Bridge) read(ctx context.Context, d Dialect, g *gate) (float64, error) {
	first, err := d.Get(ctx, g.Name)
	if err != nil {
		return 0, err
	}
	for range readings - 1 {
		pause := time.NewTimer(betweenReadings)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return 0, ctx.Err()
		}
		again, err := d.Get(ctx, g.Name)
		if err != nil {
			return 0, err
		}
		if !g.near(first, again) {
			return 0, fmt.Errorf("readings of %s differ: %g and %g %s", g.Name, first, again, g.Unit)
		}
	}
	return first, nil
}

// confirm reads the value back and plans what comes next.
func (b *Bridge) confirm(ctx context.Context, d Dialect, g *gate, l *Lease) error {
	v, err := d.Get(ctx, g.Name)
	unread := errors.Is(err, ErrNoReadBack)
	if err != nil && !unread {
		return err
	}
	if !unread {
		if err := b.yield(ctx, d, g, l, v); err != nil {
			return err
		}
	}
	return b.holding(g, l, func(now time.Time) error {
		if unread {
			g.confirm(now)
		} else if !g.told(v, now) { // a reply was damaged, someone turns the knob, or the controller restarted
			return fmt.Errorf("%w: %s was set to %g and reads back %g %s", ErrFailed, g.Name, g.last, v, g.Unit)
		}
		g.next = now.Add(b.check())
		if g.last == l.given {
			if !l.isReached { // recorded first: who was told goes on at once
				b.clerk.tell(g.record(Reached, ""))
				l.reach()
			}
		} else if due := later(now, g.lastAt.Add(g.step)); due.Before(g.next) {
			g.next = due
		}
		return nil
	})
}

// untouched looks, before a value is written under a lease that yields, whether the controller still holds
// the last one.
func (b *Bridge) untouched(ctx context.Context, d Dialect, g *gate, l *Lease) error {
	b.mu.Lock()
	look := l.yields && g.verified && !g.unreadable && l.given != g.last
	b.mu.Unlock()
	if !look {
		return nil
	}
	v, err := d.Get(ctx, g.Name)
	if err != nil {
		return err
	}
	return b.yield(ctx, d, g, l, v)
}

// yield ends a lease that yields where the controller tells another value, v, than the one that it last
// confirmed. A damaged reply takes nothing over: readings must agree.
func (b *Bridge) yield(ctx context.Context, d Dialect, g *gate, l *Lease, v float64) error {
	b.mu.Lock()
	strange := l.yields && g.verified && !g.near(v, g.last)
	b.mu.Unlock()
	if !strange {
		return nil
	}
	v, err := b.read(ctx, d, g)
	if err != nil {
		return err
	}
	return b.holding(g, l, func(time.Time) error {
		if g.near(v, g.last) {
			return nil
		}
		why := fmt.Errorf("%w: the controller was set to %g %s by another hand, from %g", ErrTakenOver, v, g.Unit, g.last)
		g.readBack = v
		b.clerk.tell(g.record(Yielded, why.Error()))
		l.end(why)
		g.lease, g.touched = nil, false
		b.clerk.do(b.forget)
		return why
	})
}

// check is the time between two read-backs: short enough for at least one more request, after one that
// had no reply, before patience ends.
func (b *Bridge) check() time.Duration {
	left := b.o.Patience - 2*(b.o.Timeout+b.o.Retry)
	return min(b.o.Check, max(left, b.o.Patience/4))
}

// unconfirmed is the error of a lease whose value the controller no longer confirms, with the last reading.
func (b *Bridge) unconfirmed(g *gate) error {
	if g.problem == nil {
		return fmt.Errorf("%w: nothing confirmed for %v", ErrFailed, b.o.Patience)
	}
	return fmt.Errorf("%w: nothing confirmed for %v: %w", ErrFailed, b.o.Patience, g.problem)
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
