package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Watch has the callbacks of a caller who waits for a [Hold]. Each field may be nil; the functions are
// called from the goroutine of Hold.
type Watch struct {
	Abandon <-chan struct{}        // closed: the way to the safe state is given up
	Left    func(targets []string) // a program that died has left these under lease; they are reverted first
	Waiting func(why error)        // a safe state is not reached yet; again and again
}

// Hold carries out one command by itself: it reverts what a program that died has left under lease,
// connects, commands the value, renews its lease for c.For, gives it back, and goes on trying until
// the target is in its safe state or that is abandoned. The time that a controller takes to start
// does not count. Where ctx ends, the target reverts at once.
//
// It fails where the value was not confirmed (acknowledged and, where that can be, read back;
// [ErrOnItsWay] where only the time was too short), and where the safe state was not reached.
func Hold(ctx context.Context, o Options, c Command, w Watch) error {
	left, err := o.Left()
	if err != nil {
		return err
	}
	if len(left) > 0 && w.Left != nil {
		w.Left(left)
	}
	b, err := New(o)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // an interrupt reverts first
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- b.Run(running) }()
	select {
	case <-b.Started():
	case err := <-ended:
		return err
	}
	go func() {
		select {
		case <-w.Abandon:
			b.Abandon()
		case <-running.Done():
		}
	}()
	if err = b.settled(ctx, w.Waiting); err == nil {
		if err = b.Open(ctx); err == nil {
			err = b.hold(ctx, c)
		}
	}
	b.settled(context.WithoutCancel(ctx), w.Waiting)
	stop()
	if unsafe := <-ended; unsafe != nil {
		return fmt.Errorf("%w (%s remembers it: whatever uses this bridge next reverts it first)", unsafe, o.State)
	}
	return err
}

// ErrOnItsWay reports that the controller followed, but did not reach the value in time.
var ErrOnItsWay = errors.New("it was on its way there")

// hold commands a value, keeps it for its time and gives it back.
func (b *Bridge) hold(ctx context.Context, c Command) error {
	length := c.For
	end := time.NewTimer(length)
	defer end.Stop()
	c.For += time.Second // the end is told, not waited for
	l, err := b.Command(c)
	if err != nil {
		return err
	}
	renew := time.NewTicker(l.g.Lease / 3)
	defer renew.Stop()
	for {
		select {
		case <-renew.C:
			l.Renew(c.For)
		case <-end.C:
			s, _ := b.State(c.Target)
			l.Release("its time is over")
			select {
			case <-l.Reached():
				return nil
			default:
			}
			if s.Verified {
				return fmt.Errorf("%s did not get to %s within %v: %w, at %g %s", c.Target, l.Given(), length, ErrOnItsWay, s.Sent, s.Unit)
			}
			return fmt.Errorf("%s was not confirmed at %s within %v: %w", c.Target, l.Given(), length, cmp.Or(s.Problem, errors.New("no reply")))
		case <-l.Done():
			return l.Err()
		case <-ctx.Done():
			l.Release("interrupted")
			return ctx.Err()
		}
	}
}

// Carry is [Hold] on a bridge that runs: it keeps a command for its time, gives it back, and waits until the
// target is in its safe state, for as long as the bridge runs. Where ctx ends, the target reverts at once. A controller
// that cannot be reached is an error before anything is accepted.
func (b *Bridge) Carry(ctx context.Context, c Command) error {
	if b.target(c.Target) == nil || c.For <= 0 {
		_, err := b.Command(c)
		return err
	}
	if err := b.Open(ctx); err != nil { // nothing is accepted that has no way to the machine
		return err
	}
	err := b.hold(ctx, c)
	b.settled(context.WithoutCancel(ctx), nil)
	return err
}

// Told gives a channel that is closed when every record so far has been handed to the recorder.
func (b *Bridge) Told() <-chan struct{} {
	c := make(chan struct{})
	if !b.clerk.do(func() { close(c) }) {
		close(c)
	}
	return c
}

// stillTrying is the interval at which it is reported that a safe state is not reached yet.
const stillTrying = 5 * time.Second

// settled waits until no target is on its way to its safe state, and tells why that takes so long.
func (b *Bridge) settled(ctx context.Context, waiting func(why error)) error {
	for {
		one, cancel := context.WithTimeout(ctx, stillTrying)
		err := b.Safe(one)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case b.Abandoned():
			return err
		}
		if waiting != nil {
			waiting(err)
		}
	}
}

// RevertTime is how long a controller that answers may take to get to its safe states; to this comes
// the time that it needs to start.
func (o Options) RevertTime() time.Duration {
	ramp := time.Duration(0)
	for _, t := range o.Targets {
		if t.Safe.Ramp {
			ramp = max(ramp, time.Duration(2*(t.Max-t.Min)/t.Slew*1e9))
		}
	}
	return ramp + 2*cmp.Or(max(o.Patience, 0), defaultPatience)
}
