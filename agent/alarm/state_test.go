package alarm

import (
	"fmt"
	"testing"
)

// The whole life cycle, transition by transition (ISA-18.2-2016, figure 2). An event that is not named for a
// state may not happen in it.
func TestEveryTransition(t *testing.T) {
	type to map[Event]State
	for _, c := range []struct {
		from          State
		active, latch bool
		to            to
	}{
		{Normal, true, false, to{Raise: Unacknowledged, Shelve: Shelved, Suppress: Suppressed, Remove: OutOfService}},
		{Normal, false, false, to{Raise: Unacknowledged, Shelve: Shelved, Remove: OutOfService}},
		{Unacknowledged, true, false, to{Ack: Acknowledged, Return: Returned, Explain: Normal, Shelve: Shelved, Remove: OutOfService}},
		{Unacknowledged, true, true, to{Ack: Acknowledged, Return: Latched, Explain: Normal, Shelve: Shelved, Remove: OutOfService}},
		{Acknowledged, true, false, to{Return: Normal, Explain: Normal, Shelve: Shelved, Suppress: Suppressed, Remove: OutOfService}},
		{Acknowledged, true, true, to{Return: LatchedAcknowledged, Explain: Normal, Shelve: Shelved, Suppress: Suppressed, Remove: OutOfService}},
		{Returned, false, false, to{Raise: Unacknowledged, Ack: Normal, Shelve: Shelved, Remove: OutOfService, NewJob: Normal}},
		{Latched, false, true, to{Raise: Unacknowledged, Ack: LatchedAcknowledged, Shelve: Shelved, Remove: OutOfService, NewJob: Normal}},
		{LatchedAcknowledged, false, true, to{Raise: Unacknowledged, Reset: Normal, Shelve: Shelved, Remove: OutOfService, NewJob: Normal}},
		{Shelved, true, false, to{Raise: Shelved, Return: Shelved, Explain: Shelved, Shelve: Shelved, Unshelve: Unacknowledged, Remove: OutOfService}},
		{Shelved, false, false, to{Raise: Shelved, Return: Shelved, Explain: Shelved, Shelve: Shelved, Unshelve: Normal, Remove: OutOfService}},
		{Suppressed, true, false, to{Return: Normal, Explain: Normal, Shelve: Shelved, Unsuppress: Unacknowledged, Remove: OutOfService}},
		{Suppressed, false, false, to{Return: Normal, Explain: Normal, Shelve: Shelved, Unsuppress: Normal, Remove: OutOfService}},
		{OutOfService, true, false, to{Raise: OutOfService, Return: OutOfService, Explain: OutOfService, Restore: Unacknowledged}},
		{OutOfService, false, false, to{Raise: OutOfService, Return: OutOfService, Explain: OutOfService, Restore: Normal}},
	} {
		for _, e := range []Event{Raise, Return, Explain, Ack, Reset, Shelve, Unshelve, Suppress, Unsuppress, Remove, Restore, NewJob} {
			t.Run(fmt.Sprintf("%s, %s, active %t, latch %t", c.from, e, c.active, c.latch), func(t *testing.T) {
				got, ok := step(c.from, e, c.active, c.latch)
				want, may := c.to[e]
				if !may {
					want = c.from
				}
				if ok != may || got != want {
					t.Errorf("%v, %t; want %v, %t", got, ok, want, may)
				}
			})
		}
	}
}

func TestStatesHaveWords(t *testing.T) {
	for s := range states {
		var back State
		text, _ := s.MarshalText()
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%d is %q, and that is %d, %v", s, text, back, err)
		}
	}
	if err := new(State).UnmarshalText([]byte("silent")); err == nil {
		t.Error("a state that there is not was read")
	}
}
