package agent

import (
	"math"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/phase"
)

// A view tells the limits of a channel, and of one without any nothing.
func TestAViewTellsLimits(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Limits: []Limit{
		{Channel: "tool", Low: 100, High: 470},
		{Channel: "power", Low: math.Inf(-1), High: 9},
	}})
	for _, r := range a.View().Channels {
		is := func(n *Number, bound Number) bool { return n != nil && *n == bound }
		ok := r.Low == nil && r.High == nil
		switch r.Name {
		case "tool":
			ok = is(r.Low, 100) && is(r.High, 470)
		case "power":
			ok = r.Low == nil && is(r.High, 9)
		}
		if !ok {
			t.Errorf("the limits of %s are %v and %v", r.Name, r.Low, r.High)
		}
	}
}

// A limit is raised after its delay, holds through its deadband, ends after its delay, and holds in its phases alone; each side is an
// alarm of its own, with the value.
func TestLimits(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Limits: []Limit{
		{Channel: "tool", Low: 100, High: 480, Deadband: 5, On: 2 * time.Second, Off: 3 * time.Second},
		{Channel: "power", Low: math.Inf(-1), High: 9, Phases: []phase.Phase{phase.Stopped}},
	}})
	now := 1000 * second
	for_ := func(seconds int, tool, power, speed float64) {
		for range 10 * seconds {
			now += 1e8
			put(a, now, tool, power, speed, 0, 0, 475)
			a.tick(now)
		}
	}
	text := func(c anomaly.Code) string {
		for _, x := range a.Alarms().List().Alarms {
			if x.Code == c && x.State == alarm.Unacknowledged {
				return x.Text
			}
		}
		return ""
	}
	for _, step := range []struct {
		seconds            int
		tool, power, speed float64
		high, low          bool
	}{
		{5, 300, 0, 0, false, false},
		{1, 490, 0, 0, false, false}, // not for long enough
		{2, 490, 0, 0, true, false},
		{5, 478, 0, 0, true, false}, // within the deadband
		{2, 470, 0, 0, true, false}, // not back for long enough
		{3, 470, 0, 0, false, false},
		{3, 60, 0, 0, false, true},
		{5, 300, 0, 0, false, false},
	} {
		for_(step.seconds, step.tool, step.power, step.speed)
		if high, low := text(anomaly.LimitHigh) != "", text(anomaly.LimitLow) != ""; high != step.high || low != step.low {
			t.Errorf("%+v: high %t, low %t", step, high, low)
		}
	}
	for_(3, 300, 9.5, 0)
	if got := text(anomaly.LimitHigh); !strings.HasPrefix(got, "power: the value is above the limit set for it, 9.5") {
		t.Error(got)
	}
	for_(3, 300, 9.5, 400) // another phase
	if got := text(anomaly.LimitHigh); got != "" {
		t.Error(got)
	}
	if _, err := New(Options{Registry: cell(t), Limits: []Limit{{Channel: "nobody", High: 1}}, Log: quiet}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a channel that is not there: %v", err)
	}
	if n := testing.AllocsPerRun(200, func() { a.limits.judge(time.Second/10, a.frame, phase.Deposit, a.watch.set) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
