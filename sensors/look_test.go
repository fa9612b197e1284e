package sensors

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/sensors/unit"
)

// told is a source that is not there at first and then gives what it is told.
type told struct {
	name    string
	fails   int
	samples []Sample
	says    []string
	health  Health
}

func (s *told) Name() string    { return s.name }
func (s *told) Health() *Health { return &s.health }
func (s *told) Run(ctx context.Context, to Sink) error {
	if s.fails > 0 {
		s.fails--
		return errors.New("not plugged in")
	}
	s.health.Messages.Add(1)
	to.Emit(s.samples, nil)
	for _, text := range s.says {
		to.Event(Event{Kind: Doubted, Text: text})
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		celsius := unit.MustParse("°C")
		reg := registry(t, Channel{Name: "tool", Unit: celsius, Min: 0, Max: 700}, Channel{Name: "build", Unit: celsius}, Channel{Name: "room", Unit: celsius})
		at := time.Now().UnixNano()
		late := &told{name: "late", fails: 3, samples: []Sample{
			{Time: at, Arrival: at, Channel: 0, Value: 20, Status: OK}, {Time: at + 1, Arrival: at + 1, Channel: 0, Value: 21.5, Status: OK},
			{Time: at, Arrival: at, Channel: 1, Value: -2, Status: Status{Signal: Failure, Reason: Sentinel}},
			{Time: at + 2, Arrival: at + 2, Channel: 1, Status: Status{Signal: Failure, Reason: NotANumber}, Sent: "---"}, {Time: at + 3, Arrival: at + 3, Channel: 1, Value: 20, Status: OK}},
			says: []string{"decimal comma", "decimal comma", "unit doubted"}}
		never := &told{name: "never", fails: 1e6}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		l := LookAt(ctx, reg, []Source{late, never})
		var out strings.Builder
		if err := l.Print(&out, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"21.5 °C", "20 to 21.5", "good; 2 of 3 are no good: failure: sentinel", "nothing came", "source late: 1 messages, 0 rejected\n  decimal comma\n  unit doubted\n", "source never: 0 messages, 0 rejected; not plugged in"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in\n%s", want, &out)
			}
		}
		if channels, sources := l.Missing(); channels != 1 || sources != 1 {
			t.Errorf("%d channels and %d sources missing", channels, sources)
		}
	})
}
