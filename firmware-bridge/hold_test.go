package bridge

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/sensors/unit"
)

func command(v float64, d time.Duration) Command {
	return Command{Target: "set_point", Value: unit.Quantity{Value: v, Unit: celsius}, For: d, Who: "test", Why: "a test"}
}

func (m *machine) holds() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

// A hold far longer than the longest lease renews it, and ends in the safe state.
func TestHoldRenewsAndReverts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, n := &machine{held: 400}, &notes{}
		began := time.Now()
		if err := Hold(t.Context(), Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, Recorder: n}, command(420, 10*time.Minute), Watch{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 10*time.Minute || took > 10*time.Minute+time.Second {
			t.Errorf("took %v", took)
		}
		if got := n.verdicts(); got != "accepted reached released reverted" || m.held != 300 {
			t.Errorf("%s, held %g", got, m.held)
		}
	})
}

// Success is a confirmation: no reply, and a time too short for the way, are failures with their reason.
func TestHoldFailsWithoutConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{held: 400}
		o := Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}}
		if err := Hold(t.Context(), o, command(480, 3*time.Second), Watch{}); !errors.Is(err, ErrOnItsWay) || !strings.Contains(err.Error(), "did not get to 480 °C within 3s") {
			t.Error(err)
		}
		m.fault = func(op Op) (time.Duration, error) {
			if op == OpSafe {
				return 0, nil
			}
			return time.Hour, nil
		}
		if err := Hold(t.Context(), o, command(420, 2*time.Second), Watch{}); err == nil || errors.Is(err, ErrOnItsWay) || !strings.Contains(err.Error(), "was not confirmed at 420 °C within 2s") {
			t.Error(err)
		}
		if _, err := o.Quantity("set_point", "455"); err == nil || !strings.Contains(err.Error(), `write for example "455 °C"`) {
			t.Error(err)
		}
		if _, err := o.Quantity("spindle", "3 rpm"); err == nil || !strings.Contains(err.Error(), "no target spindle; there are set_point") {
			t.Error(err)
		}
	})
}

// An interrupt reverts; a safe state that is not reached is told again and again until that is abandoned,
// and the next hold reverts what was left before it commands.
func TestHoldTriesUntilAbandoned(t *testing.T) {
	state := filepath.Join(t.TempDir(), "bridge.json")
	synctest.Test(t, func(t *testing.T) {
		m := &machine{held: 400}
		o := Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, State: state}
		ctx, interrupt := context.WithCancel(t.Context())
		abandon, told := make(chan struct{}), 0
		ended := make(chan error, 1)
		go func() {
			ended <- Hold(ctx, o, command(420, time.Hour), Watch{Abandon: abandon, Waiting: func(why error) {
				if !strings.Contains(why.Error(), `safe state "hold low" (300 °C)`) {
					t.Error(why)
				}
				told++
			}})
		}()
		time.Sleep(time.Minute)
		if v := m.holds(); v != 420 {
			t.Fatalf("held %g", v)
		}
		m.plug(false)
		interrupt()
		time.Sleep(time.Minute)
		close(abandon)
		if err := <-ended; err == nil || !strings.Contains(err.Error(), state+" remembers it") {
			t.Error(err)
		}
		if told < 10 {
			t.Errorf("told %d times", told)
		}
		if left, err := o.Left(); err != nil || !slices.Equal(left, []string{"set_point"}) || m.held != 420 {
			t.Errorf("left %v, %v, held %g", left, err, m.held)
		}
		m.plug(true)
		var left []string
		err := Hold(t.Context(), o, command(400, time.Minute), Watch{Left: func(targets []string) { left = targets }})
		if err != nil || !slices.Equal(left, []string{"set_point"}) || m.held != 300 {
			t.Errorf("%v, left %v, held %g", err, left, m.held)
		}
		i := slices.IndexFunc(m.log(), func(w write) bool { return w.safe && !w.lost })
		if j := slices.IndexFunc(m.log(), func(w write) bool { return w.value == 400 }); i < 0 || j < i {
			t.Errorf("it was commanded before it was safe: %v", m.log())
		}
	})
}

// What would go on the wire is shown without opening anything; the survey asks the same.
func TestShowAndSurvey(t *testing.T) {
	m := &machine{held: 400}
	o := Options{Dialect: m.dialect, Targets: []Target{toolTemperature()}, Readings: []Reading{{Name: "tool", Unit: celsius}}}
	held, err := o.ShowHold(command(500, time.Minute))
	if want := `set_point: 300 to 480 °C, at most 10 a second; safe state "hold low": 300 °C
asked 500 °C, given 480 °C (clamped to the limits)
would ask   getset_point0   set_point
would send  setset_point480   at the end of the way there, in steps of at most 10 °C every 1s
would send  safeset_point300   after 1m0s: safe state "hold low"`; err != nil || held.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, held, want)
	}
	if all, err := o.ShowSurvey(); err != nil || len(all) != 3 || all[0].Op != OpProbe {
		t.Errorf("%v, %v", all, err)
	}
	if len(m.log()) != 0 {
		t.Errorf("showing wrote %v", m.log())
	}
	synctest.Test(t, func(t *testing.T) {
		b, err := Connect(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		lost := 2
		m.fault = func(Op) (time.Duration, error) { // the first questions find no answer
			if lost--; lost >= 0 {
				return time.Hour, nil
			}
			return 0, nil
		}
		got := b.Survey(t.Context())
		if len(got) != 3 || got[0].Text != "emulated" || got[1].Text != "400 °C" || !strings.Contains(got[1].Limits, "300 to 480 °C, at most 10 a second") || got[2].Limits != "" || got[2].Err != nil {
			t.Errorf("%+v", got)
		}
	})
}

// unplugged is a machine whose port is not there.
type unplugged struct{ Dialect }

func (unplugged) Open(context.Context) error { return errors.New("port /dev/x is not there") }

// On a running bridge too, a port that is not there is named before anything is accepted.
func TestCarryNamesADeadPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, n := &machine{held: 400}, &notes{}
		b, err := New(Options{Dialect: func() Dialect { return unplugged{m.dialect()} }, Targets: []Target{toolTemperature()}, Recorder: n})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		<-b.Started()
		if err := b.Carry(ctx, command(420, time.Second)); err == nil || !strings.Contains(err.Error(), "/dev/x is not there") {
			t.Error(err)
		}
		cancel()
		<-ended
		if got := n.verdicts(); got != "" {
			t.Errorf("on record: %s", got)
		}
	})
}
