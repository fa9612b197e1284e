package agent

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"stirwatch/control"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors/unit"
)

// Actuator closes the loop from advice to the machine: a change that is advised is commanded on lease,
// the lease is renewed while the tick gives advice, and given back when there is none. Whatever hangs,
// the bridge's watchdog reverts. Limits are the bridge's.
type Actuator struct {
	Bridge *bridge.Bridge // runs for as long as the agent does, and somebody else starts and ends it
	Target string         // of the bridge: the set-point of the machine's own temperature controller
}

// Commander is what the agent signs its commands with.
const Commander = "stirwatch"

// pauseAfter is how long a command that was refused, or a lease that ended by itself, is left alone.
const pauseAfter = 10 * time.Second

// actuator carries out advice beside the tick: a command may wait for the disk.
type actuator struct {
	Actuator
	log  *slog.Logger
	kick chan struct{} // advice was given

	mu     sync.Mutex
	advice control.Recommendation

	// Owned by run.
	lease   *bridge.Lease
	held    float64 // °C, under lease
	renewed time.Time
	pause   time.Time // until then nothing is commanded
}

func newActuator(a Actuator, log *slog.Logger) *actuator {
	return &actuator{Actuator: a, log: log.With("target", a.Target), kick: make(chan struct{}, 1)}
}

// advise hands over the advice of a tick. It neither waits nor allocates.
func (a *actuator) advise(r *control.Recommendation) {
	a.mu.Lock()
	a.advice = *r
	a.mu.Unlock()
	select {
	case a.kick <- struct{}{}:
	default: // the last one has not been looked at yet: this one is seen with it
	}
}

// run carries out advice until ctx ends, and gives back what is under lease.
func (a *actuator) run(ctx context.Context) error {
	defer a.release("the agent ends")
	for {
		var ended <-chan struct{}
		if a.lease != nil {
			ended = a.lease.Done()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			a.log.Warn("the lease has ended", "reason", a.lease.Err())
			a.lease, a.pause = nil, time.Now().Add(pauseAfter)
		case <-a.kick:
			a.mu.Lock()
			r := a.advice
			a.mu.Unlock()
			a.carryOut(&r, time.Now())
		}
	}
}

// carryOut commands what is advised: a change is commanded; hold and unreachable leave what is under
// lease as it is; without advice there is no reason to hold anything.
func (a *actuator) carryOut(r *control.Recommendation, now time.Time) {
	lease := time.Duration(r.ExpiresIn * float64(time.Second))
	switch {
	case r.Kind == control.NoAdvice:
		a.release(r.Reason)
	case r.Kind == control.Change && (a.lease == nil || r.SetPoint != a.held):
		if !now.Before(a.pause) && !math.IsNaN(r.SetPoint) {
			a.command(r, lease, now)
		}
	case a.lease != nil && now.Sub(a.renewed) >= lease/3:
		if err := a.lease.Renew(lease); err == nil {
			a.renewed = now
		} // else it has ended, which run is told as well
	}
}

func (a *actuator) command(r *control.Recommendation, lease time.Duration, now time.Time) {
	l, err := a.Bridge.Command(bridge.Command{
		Target: a.Target, Value: unit.Quantity{Value: r.SetPoint, Unit: celsius}, For: lease, Who: Commander, Why: r.Reason,
	})
	if err != nil {
		a.log.Warn("advice could not be carried out", "set_point", r.SetPoint, "error", err)
		a.pause = now.Add(pauseAfter)
		return
	}
	a.lease, a.held, a.renewed = l, r.SetPoint, now
}

func (a *actuator) release(why string) {
	if a.lease == nil {
		return
	}
	a.lease.Release(why)
	a.lease = nil
}

var celsius = unit.MustParse("°C")

// checkActuator tells what is wrong with a configuration of the actuator.
func checkActuator(a *Actuator, advises bool) error {
	switch {
	case !advises:
		return errors.New("the actuator carries out advice, and without a process there is none")
	case a.Bridge == nil:
		return errors.New("the actuator has no bridge")
	}
	_, err := a.Bridge.Given(a.Target, unit.Quantity{Value: 0, Unit: celsius})
	return err
}
