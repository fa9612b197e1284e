package notify

import (
	"context"
	"fmt"
	"sync"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors/unit"
)

// Light sets a lamp, horn or relay by the highest priority that stands or that nobody has seen: a target of the
// bridge like any other, with its limits and its lease. Without an alarm, and where the agent is gone, it
// is in its safe state.
type Light struct {
	Bridge *bridge.Bridge // somebody else runs it
	Target string
	Unit   unit.Unit // of the values
	Value  map[anomaly.Priority]float64
	Lease  time.Duration

	trouble
	mu    sync.Mutex
	trial time.Time // until then a test shows
	kick  chan struct{}
	once  sync.Once
}

const (
	lightWho   = "stirwatch alarms"
	lightRetry = 5 * time.Second // after a command that was refused or has failed
	trialTime  = 3 * time.Second
)

// wants is what the light is to show; false: its safe state.
func wants(l alarm.Listing) (p anomaly.Priority, on bool) {
	for i := range l.Alarms {
		a := &l.Alarms[i]
		if a.State.Unseen() || a.State == alarm.Acknowledged {
			if !on || a.Priority < p {
				p, on = a.Priority, true
			}
		}
	}
	return p, on
}

func (l *Light) kicked() chan struct{} {
	l.once.Do(func() { l.kick = make(chan struct{}, 1) })
	return l.kick
}

// Run implements [Display].
func (l *Light) Run(ctx context.Context, changed <-chan struct{}, list func() alarm.Listing) {
	kick := l.kicked()
	var lease *bridge.Lease
	var shown anomaly.Priority
	var pause time.Time
	defer func() {
		if lease != nil {
			lease.Release("the agent ends")
		}
	}()
	beat := time.NewTicker(max(min(l.Lease/3, time.Second), 50*time.Millisecond))
	defer beat.Stop()
	var renewed time.Time
	for {
		var ended <-chan struct{}
		if lease != nil {
			ended = lease.Done()
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-kick:
		case <-beat.C:
		case <-ended:
			l.fails(lease.Err())
			lease, pause = nil, time.Now().Add(lightRetry)
		}
		now := time.Now()
		p, on := wants(list())
		if l.trying(now) {
			p, on = anomaly.High, true
		}
		switch {
		case !on && lease != nil:
			lease.Release("no alarm stands")
			lease = nil
		case !on:
			l.fails(nil)
		case now.Before(pause):
		case lease == nil || p != shown:
			next, err := l.Bridge.Command(bridge.Command{Target: l.Target, Value: unit.Quantity{Value: l.Value[p], Unit: l.Unit}, For: l.Lease,
				Who: lightWho, Why: "an alarm of " + p.String() + " priority"})
			if err != nil {
				l.fails(err)
				pause = now.Add(lightRetry)
				continue
			}
			lease, shown, renewed = next, p, now
		default:
			select {
			case <-lease.Reached():
				l.fails(nil)
			default:
			}
			if now.Sub(renewed) >= l.Lease/3 && lease.Renew(l.Lease) == nil {
				renewed = now
			}
		}
	}
}

func (l *Light) trying(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.trial)
}

// Test implements [Display]: the light shows high priority for a moment. It fails where that is not confirmed.
func (l *Light) Test(ctx context.Context) error {
	l.mu.Lock()
	l.trial = time.Now().Add(trialTime)
	l.mu.Unlock()
	signal(l.kicked())
	want := l.Value[anomaly.High]
	for {
		if s, ok := l.Bridge.State(l.Target); ok && s.Verified && s.Sent == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if !l.trying(time.Now()) {
			return fmt.Errorf("%s was not confirmed at %g %s within %v %s", l.Target, want, l.Unit, trialTime, l.now())
		}
	}
}
