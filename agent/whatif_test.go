package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A lower set-point is expected to lead to a lower temperature, more so the further ahead, and the tick's own forecast
// does not change by being asked.
func TestWhatIfTheSetPointWereLower(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Model: learned(t), Process: process()})
	now := 1000 * second
	turn := func() {
		now += 1e8
		put(a, now, 470, 7, 400, 8, 300, 475)
		a.tick(now)
	}
	for range 600 {
		turn()
	}
	lower := 430.0
	var all []Outlook
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var err error
		all, err = a.Ask(ctx, WhatIf{SetPoint: &lower})
		done <- err
	}()
	var err error
	for asked := false; !asked; {
		turn()
		select {
		case err = <-done:
			asked = true
		default:
		}
	}
	if err != nil || len(all) == 0 {
		t.Fatal(err)
	}
	o := all[0]
	last := len(o.Horizon) - 1
	if !(o.If.Mean[last] < o.Is.Mean[last]-1) || o.Way != "plan" {
		t.Errorf("%v by %s, as it is %v", o.If.Mean, o.Way, o.Is.Mean)
	}
	if _, err := a.Ask(ctx, WhatIf{Inputs: map[string]float64{"weather": 1}}); err == nil {
		t.Error("an input that the model has not was taken")
	}
	none := agentOf(t, Options{Registry: cell(t)})
	if _, err := none.Ask(ctx, WhatIf{}); err == nil {
		t.Error("an agent without a model answered")
	}
}

// Who asks before anything was measured, as on a device's clock that has not begun, is told so at once; where the tick
// stands still, after a while.
func TestWhatIfNothingWasMeasured(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Model: learned(t), Process: process(), DeviceClock: true})
	done := make(chan error)
	go func() { _, err := a.Ask(t.Context(), WhatIf{}); done <- err }()
	for now := 1000 * second; ; now += 1e8 {
		a.tick(now)
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "nothing has been measured") {
				t.Error(err)
			}
			return
		default:
		}
	}
}

func TestWhatIfTheTickStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Agent{asks: make(chan func()), estimator: &estimator{}}
		if _, err := a.Ask(t.Context(), WhatIf{}); err == nil || !strings.Contains(err.Error(), "stands still") {
			t.Error(err)
		}
	})
}
