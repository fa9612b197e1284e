package journal

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/record"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// A channel with a dead band is recorded when it moves, with the value before; others always.
func TestDeadBand(t *testing.T) {
	celsius := unit.MustParse("°C")
	reg, err := sensors.NewRegistry([]sensors.Channel{
		{Name: "slow", Unit: celsius, Changes: true, DeadBand: 0.5, MaxAge: 15 * time.Second},
		{Name: "all", Unit: celsius},
		{Name: "changes", Unit: celsius, Changes: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	j, err := Open(filepath.Join(t.TempDir(), "j.db"), Options{Machine: "m", Registry: reg, Archive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	bad := sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
	values := []float64{20, 20.1, 20.5, 20.6, 20.6, 20.6, 20.6, 20.6, 20.6, 20.6, 20.6, 20.6, 20.6, 20.6, 20.6, 20.6}
	acked := make(chan struct{}, 100)
	for i, v := range values {
		samples := make([]sensors.Sample, 3)
		for c := range samples {
			samples[c] = sensors.Sample{Time: int64(i+1) * 1e9, Value: v, Channel: sensors.ChannelID(c), Status: sensors.OK}
		}
		if i == len(values)-1 {
			samples[0].Status = bad
		}
		j.AppendSamples(samples, ackFunc(func() { acked <- struct{}{} }))
	}
	for range values {
		<-acked
	}
	got := map[string][]string{}
	if err := Rows(t.Context(), j.Reader, Query{}, func(s *record.Sample) error {
		got[s.Channel] = append(got[s.Channel], fmt.Sprintf("%d:%g%s", s.Time/1e9, s.Value, s.Quality))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for channel, want := range map[string]string{
		// 20.6 is within 0.5 of nothing recorded: the first is 20. Then every 10 s, two thirds of 15 s; the status changes at 16.
		"slow":    "1:20 3:20.5 4:20.6 14:20.6 15:20.6 16:20.6failure",
		"changes": "1:20 2:20.1 3:20.5 4:20.6",
	} {
		if s := strings.Join(got[channel], " "); s != want {
			t.Errorf("%s: %s, want %s", channel, s, want)
		}
	}
	if len(got["all"]) != len(values) {
		t.Errorf("%d of a channel without a dead band", len(got["all"]))
	}
	if n := j.Stats().Unchanged; n != 10+12 {
		t.Errorf("%d left out", n)
	}
}

// A channel at rest, at 10 Hz for an hour.
func TestDeadBandSavesRoom(t *testing.T) {
	d := deadBands{of: []deadBand{{on: true, width: 0.5, every: int64(2 * time.Second)}}}
	d.of[0].last.Value = -1000
	kept := 0
	for i := range 36000 {
		before, now := d.pass(&sensors.Sample{Time: int64(i+1) * 1e8, Value: 22 + float64(i%2)/10, Status: sensors.OK})
		for _, s := range []*sensors.Sample{before, now} {
			if s != nil {
				kept++
			}
		}
	}
	if kept > 1810 || kept < 1790 {
		t.Errorf("%d of 36000 kept: one each 2 s was expected", kept)
	}
	if n := testing.AllocsPerRun(100, func() { d.pass(&sensors.Sample{Time: 1, Value: 1}) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
