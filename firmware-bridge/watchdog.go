package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// watch is the watchdog: it ends leases that nobody renews or that the controller does not follow,
// and puts safe states on the wire until they are confirmed. It decides by its own timer, and waits
// for nothing but the wire. When ctx ends it reverts what is under lease and returns.
func (b *Bridge) watch(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return b.shutDown()
		case <-b.kickWatchdog:
		case <-timer.C:
		}
		timer.Reset(b.watchOnce())
	}
}

// watchOnce does what is due and returns how long nothing more will be.
func (b *Bridge) watchOnce() time.Duration {
	b.mu.Lock()
	for _, g := range b.targets {
		if g.lease == nil || g.reverting {
			continue
		}
		switch now := time.Now(); {
		case !now.Before(g.expires):
			b.clerk.tell(g.record(Expired, ErrExpired.Error()))
			who := g.lease.who
			g.lease.end(ErrExpired)
			b.revertLocked(g, who, ErrExpired.Error())
		case !g.verified && now.Sub(g.doubt) >= b.o.Patience:
			b.failLocked(g, fmt.Errorf("%w: nothing confirmed for %v", ErrFailed, b.o.Patience))
		}
	}
	b.mu.Unlock()
	for _, g := range b.targets {
		b.mu.Lock()
		due := g.reverting && !time.Now().Before(g.retry)
		b.mu.Unlock()
		if due {
			b.revert(g)
		}
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	b.abandoned = unsettled(b.abandoned)
	now, wait := time.Now(), time.Hour
	for _, g := range b.targets {
		switch {
		case g.reverting:
			wait = min(wait, g.retry.Sub(now))
		case g.lease != nil:
			wait = min(wait, g.expires.Sub(now))
			if !g.verified {
				wait = min(wait, g.doubt.Add(b.o.Patience).Sub(now))
			}
		}
	}
	return max(wait, 0)
}

// revertLocked takes the target away from its lease. From here on the pilot writes nothing to it.
func (b *Bridge) revertLocked(g *gate, who, cause string) {
	g.lease = nil
	if !g.touched {
		b.clerk.do(b.forget) // nothing reached the wire: nothing is to be reverted
		return
	}
	g.reverting, g.who, g.cause, g.retry, g.verified = true, who, cause, time.Now(), false
	signal(b.kickWatchdog)
}

// revert puts the safe state, or the next step to it, on the wire and checks it.
func (b *Bridge) revert(g *gate) {
	d, release := b.takeWire()
	defer release()
	// A bridge that is told to stop does not interrupt its own way to safety.
	ctx, cancel := context.WithTimeout(context.Background(), b.o.Timeout)
	defer cancel()

	b.mu.Lock()
	lost := g.Safe.Ramp && !g.known
	b.mu.Unlock()
	if lost { // where it cannot be told, it does not walk
		v, err := bounded(ctx, b, d, func() (float64, error) { return d.Get(ctx, g.Name) })
		if err == nil {
			b.mu.Lock()
			g.known, g.last, g.lastAt = true, v, later(g.lastAt, time.Now().Add(-g.step))
			b.mu.Unlock()
		}
	}

	b.mu.Lock()
	now, v := time.Now(), g.Safe.Value
	if g.Safe.Ramp && g.known {
		v = g.toward(g.Safe.Value, now)
		if err := g.admit(v, now); err != nil {
			v = g.Safe.Value // never stay where it is because of a mistake of ours
		}
	}
	g.last, g.lastAt = v, now
	b.mu.Unlock()

	told, err := bounded(ctx, b, d, func() (told answer, err error) {
		sent := d.Safe(ctx, g.Name, v)
		told = answer{at: time.Now(), back: math.NaN()}
		if sent != nil && !errors.Is(sent, ErrUnsure) {
			return told, sent
		}
		back, err := d.Get(ctx, g.Name) // decides where the acknowledgement is unsure
		if errors.Is(err, ErrNoReadBack) {
			return told, sent
		}
		if err == nil {
			told.back = back
		}
		return told, err
	})

	b.mu.Lock()
	defer b.mu.Unlock()
	now = time.Now()
	if told.at.IsZero() {
		told.at = now
	}
	g.lastAt = told.at // it may have got through no earlier than that
	if back := told.back; err == nil && !math.IsNaN(back) {
		if g.readBack = back; !g.within(back) {
			err = fmt.Errorf("%s was set to %g and reads back %g %s", g.Name, v, back, g.Unit)
		}
	}
	b.abandoned = unsettled(b.abandoned)
	switch {
	case v != g.Safe.Value:
		g.retry = later(now, g.lastAt.Add(g.step))
	case err != nil, d.Unsettled(), len(b.abandoned) > 0:
		// A write that hangs in a stalled port may come through after this one: say it again.
		g.retry = now.Add(b.o.Retry)
		if err != nil {
			g.problem = err
		}
	default:
		g.reverting, g.touched, g.verified, g.problem = false, false, true, nil
		r := g.record(Reverted, fmt.Sprintf("safe state %q: %s", g.Safe.Name, g.cause))
		r.Given = g.Safe.Value
		b.clerk.tell(r)
		b.clerk.do(b.forget)
		signal(b.kickPilot)
	}
}

// answer is what a request for the safe state brought.
type answer struct {
	at   time.Time // when it was acknowledged, or not
	back float64   // NaN: not read back
}

// bounded runs a request of the watchdog's and comes back even where the dialect does not. A
// request that was given up changes nothing any more: its result has nowhere to go.
func bounded[T any](ctx context.Context, b *Bridge, d Dialect, request func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := request()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(b.o.Grace)
	defer grace.Stop()
	select {
	case r := <-done:
		return r.v, r.err
	case <-grace.C:
		b.abandon(d)
		var none T
		return none, fmt.Errorf("the dialect did not come back: %w", ctx.Err())
	}
}

// takeWire interrupts whoever speaks. One who does not let go in time is left with the old
// dialect, and a new one is made.
func (b *Bridge) takeWire() (Dialect, func()) {
	b.mu.Lock()
	b.urgent = true
	if b.inFlight != nil {
		b.inFlight()
	}
	s := b.session
	b.mu.Unlock()
	grace := time.NewTimer(b.o.Grace)
	defer grace.Stop()
	select {
	case <-s.free:
	case <-grace.C:
		b.abandon(s.dialect)
		b.mu.Lock()
		s = b.session
		b.mu.Unlock()
		<-s.free // new, and nobody else may take it while urgent is set
	}
	return s.dialect, func() {
		s.free <- struct{}{}
		b.mu.Lock()
		b.urgent = false
		b.mu.Unlock()
	}
}

// abandon replaces a dialect that does not come back.
func (b *Bridge) abandon(d Dialect) {
	fresh := newSession(b.o.Dialect())
	b.mu.Lock()
	if b.session.dialect == d {
		b.session = fresh
		b.abandoned = append(b.abandoned, d)
	}
	b.mu.Unlock()
	go d.Close()
}

func unsettled(all []Dialect) (left []Dialect) {
	for _, d := range all {
		if d.Unsettled() {
			left = append(left, d)
		}
	}
	return left
}

var errNotThere = errors.New("the time did not suffice")

// shutDown reverts every lease, for a bounded time.
func (b *Bridge) shutDown() error {
	b.mu.Lock()
	b.stopping = true
	walk := time.Duration(0)
	for _, g := range b.targets {
		if l := g.lease; l != nil && !g.reverting {
			b.clerk.tell(g.record(Released, "the bridge stops"))
			l.end(ErrNotRunning)
			b.revertLocked(g, l.who, "the bridge stops")
		}
		if g.reverting && g.Safe.Ramp {
			walk = max(walk, time.Duration((g.Max-g.Min)/g.Slew*1e9)+g.step)
		}
	}
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 3*b.o.Timeout+walk)
	defer cancel()
	for {
		wait := b.watchOnce()
		var open []error
		b.mu.Lock()
		for _, g := range b.targets {
			if g.reverting {
				open = append(open, fmt.Errorf("bridge: %s may not be in its safe state %q: %w", g.Name, g.Safe.Name, cmp.Or(g.problem, errNotThere)))
			}
		}
		b.mu.Unlock()
		if len(open) == 0 {
			return nil
		}
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			pause.Stop()
			return errors.Join(open...)
		case <-pause.C:
		}
	}
}
