package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"stirwatch/sensors"
)

// A log is read that was written before: runs in it are found at their own times, each once, and one that still goes on
// is one run with what the tick sees of it.
func TestRunsOfWhatWasWrittenBefore(t *testing.T) {
	const begin, spinFor = 1_000_000 * second, 300 // s
	speeds := func(n int) (rpm []float64) {        // a run of 300 s every 1000 s
		for i := range n {
			v := 0.0
			if i%1000 >= 100 && i%1000 < 100+spinFor {
				v = 350
			}
			rpm = append(rpm, v)
		}
		return rpm
	}
	emit := func(a recorded, from int, rpm []float64, arrival func(i int) int64) {
		for i, v := range rpm {
			at := begin + int64(from+i)*second
			a.Emit([]sensors.Sample{{Time: at, Arrival: arrival(i), Channel: 2, Value: v, Status: sensors.OK}}, nil)
		}
	}
	list := func(a recorded) (all []string) {
		a.catchUp()
		runs, err := a.opt.Journal.Runs()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			all = append(all, fmt.Sprint((r.Start-begin)/second, "–", (r.End-begin)/second))
		}
		return all
	}
	want := func(a recorded, want ...string) {
		t.Helper()
		if got := list(a); !slices.Equal(got, want) {
			t.Errorf("runs %s, want %s", strings.Join(got, ", "), strings.Join(want, ", "))
		}
	}

	t.Run("at once", func(t *testing.T) {
		a := agentOf(t, Options{Registry: cell(t)})
		now := begin + 10_000*second
		emit(a, 0, speeds(2400), func(int) int64 { return now })
		want(a, "100–399", "1100–1399") // the third has no end yet
		a.backfill.look(now + 40*second)
		want(a, "100–399", "1100–1399", "2100–2399")
		emit(a, 0, speeds(2400), func(int) int64 { return now + 60*second }) // the log is read again
		a.backfill.look(now + 100*second)
		want(a, "100–399", "1100–1399", "2100–2399")
	})
	t.Run("a hole", func(t *testing.T) {
		a := agentOf(t, Options{Registry: cell(t)})
		now := begin + 10_000*second
		emit(a, 0, speeds(200), func(int) int64 { return now })
		emit(a, 5100, speeds(150), func(int) int64 { return now })
		a.backfill.finish()
		want(a, "100–199", "5200–5249")
	})
	t.Run("as it was measured", func(t *testing.T) {
		a := agentOf(t, Options{Registry: cell(t)})
		emit(a, 0, speeds(1000), func(i int) int64 { return begin + int64(i+3600)*second }) // late by an hour, and steadily so
		a.backfill.finish()
		want(a)
	})
	t.Run("goes on", func(t *testing.T) {
		a := agentOf(t, Options{Registry: cell(t)})
		now := begin + 301*second
		emit(a, 0, speeds(300), func(int) int64 { return now })
		want(a)
		for i := range 400 {
			at := now + int64(i)*second
			v := 0.0
			if i < 50 {
				v = 350
			}
			emit(a, 301+i, []float64{v}, func(int) int64 { return at })
			a.tick(at)
		}
		want(a, "100–350")
	})
}
