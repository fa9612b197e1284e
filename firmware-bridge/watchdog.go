package bridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
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

// watchOnce does what is due, and returns the time until more will be.
func (b *Bridge) watchOnce() time.Duration {
	b.mu.Lock()
	for _, g := range b.targets {
		if !g.leased() {
			continue
		}
		switch now := time.Now(); {
		case !now.Before(g.expires):
			b.clerk.tell(g.record(Expired, ErrExpired.Error()))
			who := g.lease.who
			g.lease.end(ErrExpired)
			b.revertLocked(g, who, ErrExpired.Error())
		case now.Sub(g.confirmed) >= b.o.Patience:
			b.failLocked(g, b.unconfirmed(g))
		}
	}
	due := b.dueLocked()
	b.mu.Unlock()
	if due != nil { // one at a time: the next round ends leases again
		b.revert(due)
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	b.abandoned = unsettled(b.abandoned)
	now, wait := time.Now(), time.Hour
	for _, g := range b.targets {
		switch {
		case g.reverting:
			wait = min(wait, g.retry.Sub(now))
		case g.leased():
			wait = min(wait, b.endLocked(g).Sub(now))
		}
	}
	return max(wait, 0)
}

// endLocked is the instant at which a lease ends by itself, as known now.
func (b *Bridge) endLocked(g *gate) time.Time {
	return sooner(g.expires, g.confirmed.Add(b.o.Patience))
}

// dueLocked is the target whose safe state is to be put on the wire now: the one tried least, so
// that one that cannot be reached holds up no other.
func (b *Bridge) dueLocked() (due *gate) {
	for _, g := range b.targets {
		if g.reverting && !time.Now().Before(g.retry) && (due == nil || g.tries < due.tries) {
			due = g
		}
	}
	return due
}

// revertLocked takes the target away from its lease. From here on the pilot writes nothing to it.
func (b *Bridge) revertLocked(g *gate, who, cause string) {
	g.lease = nil
	if !g.touched {
		b.clerk.do(b.forget) // nothing reached the wire: nothing is to be reverted
		return
	}
	now := time.Now()
	g.reverting, g.who, g.cause, g.since, g.retry, g.tries = true, who, cause, now, now, 0
	g.problem = nil
	if b.rescue != nil && b.rescued != g { // this one comes first
		b.rescue()
	}
	signal(b.kickWatchdog)
}

// revert brings a target nearer to its safe state, and finds out whether it is there.
func (b *Bridge) revert(g *gate) {
	d, release := b.takeWire()
	defer release()
	began := time.Now()
	ctx, done := b.rescuing(g)
	defer done()
	there, err := false, b.locate(ctx, d, g)
	if err == nil {
		there, err = b.secure(ctx, d, g)
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	g.problem = err
	b.abandoned = unsettled(b.abandoned)
	switch {
	case err == nil && !there:
		g.retry = later(now, g.lastAt.Add(g.step))
	case err != nil, d.Unsettled(), len(b.abandoned) > 0:
		// A write that hangs in a stalled port may come through after this one: say it again.
		g.retry = now.Add(b.o.Retry)
		if slices.ContainsFunc(b.targets, (*gate).leased) { // theirs is the wire for as long as this has had it
			g.retry = later(g.retry, now.Add(now.Sub(began)))
		}
	default:
		g.reverting, g.touched = false, false
		r := g.record(Reverted, fmt.Sprintf("safe state %q: %s", g.Safe.Name, g.cause))
		if r.Given = g.safe; g.Safe.HandsBack {
			r.Given = math.NaN()
		}
		b.clerk.tell(r)
		b.clerk.do(b.forget)
		signal(b.kickPilot)
		close(b.calm)
		b.calm = make(chan struct{})
	}
}

// rescuing is the context of a request of the watchdog's. A bridge that is told to stop does not
// interrupt its own way to safety; the end of another lease does.
func (b *Bridge) rescuing(g *gate) (ctx context.Context, done func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	end := time.Now().Add(b.o.Timeout)
	for _, o := range b.targets {
		if o.leased() {
			end = sooner(end, b.endLocked(o))
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), end)
	b.rescue, b.rescued = cancel, g
	g.tries++
	return ctx, func() {
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.rescue, b.rescued = nil, nil
	}
}

// locate finds out where a ramp begins, if that is not known. What cannot be read back, or not for
// patience, does not walk.
func (b *Bridge) locate(ctx context.Context, d Dialect, g *gate) error {
	b.mu.Lock()
	lost := g.Safe.Ramp && !g.known()
	b.mu.Unlock()
	if !lost {
		return nil
	}
	v, err := bounded(ctx, b, d, func() (float64, error) { return b.read(ctx, d, g) })
	b.mu.Lock()
	defer b.mu.Unlock()
	switch now := time.Now(); {
	case err == nil:
		g.found(v, now)
	case !errors.Is(err, ErrNoReadBack) && now.Sub(g.since) < b.o.Patience:
		return err
	}
	return nil
}

// secure puts the safe state, or the next step to it, on the wire and checks it; there tells which of
// the two the controller holds now.
func (b *Bridge) secure(ctx context.Context, d Dialect, g *gate) (there bool, err error) {
	b.mu.Lock()
	now, v := time.Now(), g.safe
	if g.Safe.Ramp && g.known() {
		v = g.homeward(now)
	}
	g.sent(v, now)
	b.mu.Unlock()

	type answer struct {
		at   time.Time // when it was acknowledged, or not
		back float64   // NaN: not read back
	}
	told, err := bounded(ctx, b, d, func() (answer, error) {
		err := d.Safe(ctx, g.Name, v)
		told := answer{time.Now(), math.NaN()}
		if err != nil && !errors.Is(err, ErrUnsure) {
			return told, err
		}
		if g.Safe.HandsBack {
			return told, err
		}
		back, unread := d.Get(ctx, g.Name) // decides where the acknowledgement is unsure
		if errors.Is(unread, ErrNoReadBack) {
			return told, err
		}
		told.back = back
		return told, unread
	})

	b.mu.Lock()
	defer b.mu.Unlock()
	now = time.Now()
	if g.lastAt = told.at; told.at.IsZero() {
		g.lastAt = now // it may have got through no earlier than that
	}
	switch {
	case err != nil:
	case math.IsNaN(told.back):
		g.confirm(now)
	case !g.told(told.back, now):
		err = fmt.Errorf("%s was set to %g and reads back %g %s", g.Name, v, told.back, g.Unit)
	}
	return v == g.safe, err
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
		b.mu.Lock()
		b.urgent = false // first: whoever waits for the wire has it then
		b.mu.Unlock()
		s.free <- struct{}{}
	}
}

// abandon replaces a dialect that does not return from a call.
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

// shutDown reverts every lease, for as long as that takes or until it is abandoned.
func (b *Bridge) shutDown() error {
	b.mu.Lock()
	b.stopping = true
	for _, g := range b.targets {
		if l := g.lease; l != nil {
			b.clerk.tell(g.record(Released, "the bridge stops"))
			l.end(ErrNotRunning)
			b.revertLocked(g, l.who, "the bridge stops")
		}
	}
	b.mu.Unlock()
	for {
		wait := b.watchOnce()
		b.mu.Lock()
		open := b.openLocked()
		b.mu.Unlock()
		if len(open) == 0 {
			return nil
		}
		pause := time.NewTimer(wait)
		select {
		case <-b.gaveUp:
			pause.Stop()
			return errors.Join(open...)
		case <-pause.C:
		}
	}
}
