package agent

import (
	"strings"
	"testing"
	"testing/synctest"

	"stirwatch/dynamics/model"
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
	err := during(turn, func() (err error) {
		all, err = a.Ask(t.Context(), WhatIf{SetPoint: &lower})
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatal(err)
	}
	o := all[0]
	last := len(o.Horizon) - 1
	if !(o.If.Mean[last] < o.Is.Mean[last]-1) || o.Way != "plan" {
		t.Errorf("%v by %s, as it is %v", o.If.Mean, o.Way, o.Is.Mean)
	}
	if err := during(turn, func() error {
		_, err := a.Ask(t.Context(), WhatIf{Inputs: map[string]float64{"weather": 1}})
		return err
	}); err == nil || !strings.Contains(err.Error(), "weather") {
		t.Errorf("an input that the model has not: %v", err)
	}
	none := agentOf(t, Options{Registry: cell(t)})
	if _, err := none.Ask(t.Context(), WhatIf{}); err == nil {
		t.Error("an agent without a model answered")
	}
}

// during turns the tick while something is done, and gives its error.
func during(turn func(), do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	for {
		turn()
		select {
		case err := <-done:
			return err
		default:
		}
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
		a := &Agent{asks: make(chan func()), opt: Options{Model: &model.Model{}}}
		if _, err := a.Ask(t.Context(), WhatIf{}); err == nil || !strings.Contains(err.Error(), "stands still") {
			t.Error(err)
		}
	})
}
