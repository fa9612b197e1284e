package trial

import (
	"testing"

	"stirwatch/firmware-bridge/twin"
)

// Calls are counted by what came after them.
func TestCallsAreHeldAgainstWhatCame(t *testing.T) {
	feed := func(temperature func(at int) float64, called func(at int) bool) Calls {
		c := newCaller()
		for at := range 200 {
			r := &twin.Row{At: float64(at), SetPoint: 470, ToolTemp: temperature(at), RPM: 450}
			r.True.Phase = twin.Deposit
			c.row(r, called(at), true, false)
		}
		return c.calls()
	}
	falls := func(at int) float64 { // 10 K off from 60 s to 110 s
		if at > 50 && at < 110 {
			return 470 - float64(min(at-50, 30))
		}
		return 470
	}
	from := func(a int) func(int) bool { return func(at int) bool { return at >= a && at < 110 } }
	for name, c := range map[string]struct {
		got, want Calls
	}{
		"before":      {feed(falls, from(55)), Calls{Made: 1, Stretches: 1, Before: 1}},
		"late":        {feed(falls, from(71)), Calls{Made: 1, Stretches: 1, Late: 10}},
		"never":       {feed(falls, from(300)), Calls{Stretches: 1, Late: 49}},
		"a start":     {feed(func(at int) float64 { return min(405+float64(at), 470) }, from(300)), Calls{Stretches: 1, Late: 55, Starts: 1}},
		"for nothing": {feed(func(int) float64 { return 468 }, from(20)), Calls{Made: 1, Wrong: 1}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", name, c.got, c.want)
		}
	}
}
