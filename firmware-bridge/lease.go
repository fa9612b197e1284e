package bridge

import (
	"fmt"
	"time"

	"stirwatch/sensors/unit"
)

// Lease is a command in force.
type Lease struct {
	b             *Bridge
	g             *gate
	who, why      string
	yields        bool // to another hand at the controller
	asked, given  float64
	reached, done chan struct{}
	isReached     bool
	err           error
}

// Given is the value in force after limits and resolution.
func (l *Lease) Given() unit.Quantity { return unit.Quantity{Value: l.given, Unit: l.g.Unit} }

// Renew lets the lease run for d from now, at most the target's longest. It fails where the lease
// has ended.
func (l *Lease) Renew(d time.Duration) error {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	now := time.Now()
	switch {
	case l.g.lease != l:
		return fmt.Errorf("the lease on %s cannot be renewed: %w", l.g.Name, l.err)
	case d <= 0:
		return fmt.Errorf("the lease on %s cannot be renewed for %v; a time above 0 is wanted", l.g.Name, d)
	case !now.Before(l.g.expires): // the watchdog has not seen it yet; late is late
		return fmt.Errorf("the lease on %s cannot be renewed: %w", l.g.Name, ErrExpired)
	}
	l.g.expires = now.Add(min(d, l.g.Lease))
	signal(l.b.kickWatchdog)
	return nil
}

// Release gives the lease back: the target reverts now.
func (l *Lease) Release(why string) {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	if l.g.lease == l {
		l.b.clerk.tell(l.g.record(Released, short(why)))
		l.end(ErrReleased)
		l.b.revertLocked(l.g, l.who, "the lease was given back")
	}
}

// Reached is closed when the value was acknowledged and read back within tolerance.
func (l *Lease) Reached() <-chan struct{} { return l.reached }

// Done is closed when the lease has ended; Err tells why. The target is then on its way to its
// safe state, unless the reason is [ErrReplaced].
func (l *Lease) Done() <-chan struct{} { return l.done }

// Err is why the lease ended, nil while it holds.
func (l *Lease) Err() error {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	return l.err
}

// reach and end are called with the bridge locked.
func (l *Lease) reach() {
	if !l.isReached {
		l.isReached = true
		close(l.reached)
	}
}

func (l *Lease) end(why error) {
	if l.err == nil {
		l.err = why
		close(l.done)
	}
}
