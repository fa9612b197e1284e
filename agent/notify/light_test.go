package notify

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors/unit"
)

// lamp is a controller with one lamp that can be unplugged.
type lamp struct {
	mu    sync.Mutex
	value float64
	seen  []float64 // every value that differs from the one before
	gone  bool
}

func (l *lamp) put(v float64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return errors.New("unplugged")
	}
	if n := len(l.seen); n == 0 || l.seen[n-1] != v {
		l.seen = append(l.seen, v)
	}
	l.value = v
	return nil
}
func (l *lamp) Open(context.Context) error                        { return nil }
func (l *lamp) Set(_ context.Context, _ string, v float64) error  { return l.put(v) }
func (l *lamp) Safe(_ context.Context, _ string, v float64) error { return l.put(v) }
func (l *lamp) Probe(context.Context) (string, error)             { return "lamp", nil }
func (l *lamp) Show(bridge.Op, string, float64) (string, error)   { return "", nil }
func (l *lamp) Resolution(string) float64                         { return 1 }
func (l *lamp) Unsettled() bool                                   { return false }
func (l *lamp) Close() error                                      { return nil }
func (l *lamp) Get(context.Context, string) (float64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return 0, errors.New("unplugged")
	}
	return l.value, nil
}

func (l *lamp) shows() float64 { l.mu.Lock(); defer l.mu.Unlock(); return l.value }

// The light shows the highest priority that stands or that nobody has seen, through a bridge with its lease; without
// an alarm, and when the agent ends, it is in its safe state.
func TestLight(t *testing.T) {
	one := unit.MustParse("1")
	d := &lamp{value: 9}
	b, err := bridge.New(bridge.Options{Dialect: func() bridge.Dialect { return d }, Step: 10 * time.Millisecond, Check: 50 * time.Millisecond, Patience: time.Second, Timeout: 500 * time.Millisecond,
		Targets: []bridge.Target{{Name: "lamp", Unit: one, Min: 0, Max: 3, Slew: 1000, Lease: 2 * time.Second, Safe: bridge.SafeState{Name: "off", Value: 0}}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	bridgeEnded, lightEnded := make(chan error, 1), make(chan struct{})
	go func() { bridgeEnded <- b.Run(ctx) }()
	<-b.Started()
	board := alarm.NewBoard(alarm.Options{})
	low := board.Add(alarm.Key{Code: anomaly.SensorRate, Subject: "a"}, nil)
	medium := board.Add(alarm.Key{Code: anomaly.SensorMissing, Subject: "a"}, nil)
	l := &Light{Bridge: b, Target: "lamp", Unit: one, Lease: time.Second, Value: map[anomaly.Priority]float64{anomaly.High: 3, anomaly.Medium: 2, anomaly.Low: 1}}
	changed := make(chan struct{}, 1)
	own, stop := context.WithCancel(ctx)
	go func() { l.Run(own, changed, board.List); close(lightEnded) }()

	now := int64(1e18)
	step := func(place int, stands bool) {
		for range 2 {
			now += 20e9
			score := 0.0
			if stands {
				score = 1
			}
			board.Observe(place, stands, false, score, 0.5)
			board.Step(now, true)
		}
		signal(changed)
	}
	shows := func(v float64) {
		t.Helper()
		until(t, "the lamp changes", func() bool { return d.shows() == v })
	}
	step(low, true)
	shows(1)
	step(medium, true)
	shows(2)
	if _, err := board.Ack(now, alarm.All, "Ann", ""); err != nil {
		t.Fatal(err)
	}
	signal(changed)
	until(t, "the lease was renewed once more", func() bool { s, _ := b.State("lamp"); return s.Who == lightWho && s.Verified && s.Sent == 2 })
	if err := l.Test(t.Context()); err != nil {
		t.Error(err)
	}
	shows(2) // the test is over
	step(medium, false)
	shows(1)
	step(low, false)
	shows(0)
	until(t, "nobody holds the lamp", func() bool { s, _ := b.State("lamp"); return s.Who == "" })

	step(low, true)
	shows(1)
	d.mu.Lock()
	d.gone = true
	d.mu.Unlock()
	until(t, "it is noticed", func() bool { return l.now() != "" })
	l.trouble.mu.Lock()
	l.trouble.since = time.Now().Add(-time.Hour)
	l.trouble.mu.Unlock()
	if p := l.Problem(); !strings.HasPrefix(p, "for 1h0m0s: ") {
		t.Errorf("%q", p)
	}
	d.mu.Lock()
	d.gone = false
	d.mu.Unlock()
	until(t, "it is back", func() bool { return l.now() == "" && d.shows() == 1 })
	stop()
	<-lightEnded
	shows(0)
	cancel()
	if err := <-bridgeEnded; err != nil {
		t.Error(err)
	}
	for _, v := range d.seen {
		if !slices.Contains([]float64{0, 1, 2, 3}, v) {
			t.Errorf("the lamp has shown %g", v)
		}
	}
}
