package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/api"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
)

// device is a source that gives a reading, or fails.
type device struct {
	health sensors.Health
	err    error
}

func (d *device) Name() string            { return "device" }
func (d *device) Health() *sensors.Health { return &d.health }
func (d *device) Run(ctx context.Context, to sensors.Sink) error {
	if d.err != nil {
		return d.err
	}
	d.health.Messages.Add(3)
	to.Emit([]sensors.Sample{{Status: sensors.OK}, {Status: sensors.OK}, {Status: sensors.OK}}, nil)
	<-ctx.Done()
	return nil
}

// Where no agent runs sources are tried, and closed again; one that another process has is no fault.
func TestSourcesAreTried(t *testing.T) {
	closed := 0
	source := func(name string, d *device, err error) Source {
		return Source{Name: name, Place: "/dev/ttyX", Open: func(context.Context) (sensors.Source, func(), error) {
			if err != nil {
				return nil, nil, err
			}
			return d, func() { closed++ }, nil
		}}
	}
	got := found(t, Doctor{
		Running: func(context.Context) ([]agent.SourceState, error) { return nil, fmt.Errorf("x: %w", api.ErrNoAgent) },
		Sources: []Source{source("a", &device{}, nil), source("b", &device{err: errors.New("it is gone")}, nil), source("c", nil, bridge.ErrInUse), source("d", nil, errors.New("no such unit"))},
		Bridge:  &Bridge{Options: func() (bridge.Options, error) { return bridge.Options{}, errors.New("no target") }},
	})
	want(t, got, "ok   clock", "ok   model            the first", "ok   journal", "ok   source a         3 samples in 3 messages", "BAD  source b         it is gone", "ok   source c", "BAD  source d         no such unit", "BAD  bridge           no target")
	if closed != 2 {
		t.Errorf("%d of 2 sources are closed", closed)
	}
}

// An agent that runs is asked.
func TestTheAgentThatRunsIsAsked(t *testing.T) {
	state := func(name string, connected bool, quiet time.Duration, bad string) agent.SourceState {
		s := agent.SourceState{Name: name, Quiet: quiet}
		s.Connected, s.LastError = connected, bad
		return s
	}
	d := Doctor{Exposed: []string{"users.json: everybody can read it"}, Model: func() (string, error) { return "", errors.New("model.json: no such file") },
		Running: func(context.Context) ([]agent.SourceState, error) {
			fast := state("e", true, time.Second, "")
			fast.Skew = -24 * time.Hour
			return []agent.SourceState{state("a", true, time.Second, ""), state("b", false, -1, "port busy"), state("c", true, -1, ""), state("d", true, time.Hour, ""), fast}, nil
		}}
	want(t, found(t, d), "ok   clock", "BAD  permissions      users.json", "BAD  model            model.json", "ok   journal", "ok   source a", "BAD  source b         the running agent has it: 0 readings in 0 messages, 0 rejected; it is not connected: port busy",
		"BAD  source c", "BAD  source d", "BAD  source e         the running agent has it: 0 readings in 0 messages, 0 rejected; the newest is stamped 24h0m0s ahead")
	d = Doctor{Running: func(context.Context) ([]agent.SourceState, error) { return nil, errors.New("it hangs") }}
	want(t, found(t, d), "ok   clock", "ok   model", "ok   journal", "BAD  agent            it runs, and does not tell how its sources do: it hangs")
}

func found(t *testing.T, d Doctor) (all []string) {
	t.Helper()
	if d.Model == nil {
		d.Model = func() (string, error) { return "the first", nil }
	}
	d.Journal, d.Patience = Journal{Path: filepath.Join(t.TempDir(), "journal.db"), Size: 1 << 20}, 30*time.Second
	d.Found = func(f Finding) { all = append(all, f.String()) }
	d.Examine(t.Context())
	return all
}

func want(t *testing.T, got []string, begins ...string) {
	t.Helper()
	for i, w := range begins {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Fatalf("finding %d is not %q:\n%s", i, w, strings.Join(got, "\n"))
		}
	}
	if len(got) != len(begins) {
		t.Errorf("%d findings, not %d:\n%s", len(got), len(begins), strings.Join(got, "\n"))
	}
}
