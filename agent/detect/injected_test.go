package detect

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"stirwatch/agent/anomaly"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/sensors"
)

// injected are faults as the table of physics has their signatures, put into a recording: s seconds after the onset a row's signals become
// what is returned. What the machine's controller would do about it is not in the recording, so that faults that show in that alone are left out.
var injected = []struct {
	kind  twin.Kind
	lasts int // s
	named []anomaly.Code
	put   func(s float64, v map[sensors.Role]*float64)
}{
	{twin.Feedstock, 30, named[twin.Feedstock], func(s float64, v map[sensors.Role]*float64) {
		*v[sensors.FeedTorque] *= 0.05
		scale(v, 0.35+0.65*math.Exp(-s/6), sensors.SpindleTorque, sensors.SpindlePower)
		*v[sensors.ToolTemperature] -= 3 * s
	}},
	{twin.Jam, 30, named[twin.Jam], func(_ float64, v map[sensors.Role]*float64) {
		*v[sensors.FeedTorque] *= 2.2
		*v[sensors.FeedVelocity] *= 0.5
	}},
	{twin.LiftOff, 20, named[twin.LiftOff], func(s float64, v map[sensors.Role]*float64) {
		*v[sensors.FeedTorque] *= 0.1
		*v[sensors.SpindleTorque] = 34
		*v[sensors.SpindlePower] *= 0.2
		*v[sensors.ToolTemperature] -= 8 * s
	}},
	{twin.Flash, 30, named[twin.Flash], func(_ float64, v map[sensors.Role]*float64) {
		*v[sensors.FeedVelocity] *= 1.7
		*v[sensors.FeedTorque] *= 0.7
	}},
	{twin.Coolant, 120, named[twin.Coolant], func(s float64, v map[sensors.Role]*float64) {
		*v[sensors.BearingTemperature] = math.Round(*v[sensors.BearingTemperature] + 0.05*s) // this machine shows whole degrees
	}},
	{twin.Frozen, 30, named[twin.Frozen], func(_ float64, v map[sensors.Role]*float64) {
		*v[sensors.ToolTemperature] = 471.2
	}},
	{twin.Spike, 1, named[twin.Spike], func(_ float64, v map[sensors.Role]*float64) {
		*v[sensors.ToolTemperature] += 120
	}},
	{twin.Open, 10, []anomaly.Code{anomaly.SensorOutOfRange, anomaly.SensorFailure}, func(_ float64, v map[sensors.Role]*float64) {
		*v[sensors.ToolTemperature] = 1372
	}},
}

func scale(v map[sensors.Role]*float64, by float64, roles ...sensors.Role) {
	for _, r := range roles {
		*v[r] *= by
	}
}

// Faults put into steady deposition of a real build are named, and nothing else before them.
func TestInjectedIntoARecording(t *testing.T) {
	log, reg := recorded(t, "20250708104310")
	total, right := 0, 0
	for _, f := range injected {
		rightly, n := 0, 0
		var delays []int
		others := map[string]int{}
		for _, from := range []int{420, 500, 580, 660, 760, 840, 900} {
			n++
			with := *log
			with.Value, with.Status = slices.Clone(log.Value), slices.Clone(log.Status)
			for c := range with.Value {
				with.Value[c], with.Status[c] = slices.Clone(log.Value[c]), slices.Clone(log.Status[c])
			}
			for i := from; i < from+f.lasts; i++ {
				v := map[sensors.Role]*float64{}
				for c := range with.Columns {
					v[with.Columns[c].Role] = &with.Value[c][i]
				}
				f.put(float64(i-from), v)
			}
			_, events, err := judged(&with, reg, nil)
			if err != nil {
				t.Fatal(err)
			}
			first := -1
			for _, e := range events {
				switch {
				case e.From < 100: // what the recording has itself
				case e.From < from:
					t.Errorf("%s at row %d: %s in row %d, before it", f.kind, from, e.Code, e.From)
				case slices.Contains(f.named, e.Code) && first < 0:
					first = e.From - from
				case !slices.Contains(f.named, e.Code):
					others[string(e.Code)]++
				}
			}
			if first >= 0 && first <= f.lasts {
				rightly++
				delays = append(delays, first)
			}
		}
		total, right = total+n, right+rightly
		slices.Sort(delays)
		median := "–"
		if len(delays) > 0 {
			median = fmt.Sprint(delays[len(delays)/2])
		}
		t.Logf("%-12s %d of %d named, median delay %s s; beside it %v", f.kind, rightly, n, median, others)
	}
	t.Logf("%d of %d", right, total)
	if right < total*80/100 {
		t.Errorf("%d of %d are named", right, total)
	}
}

// TestSeveritySweep prints from which severity on each fault is found: STIRWATCH_SWEEP=SEED:N go test ./agent/detect -run SeveritySweep -v
func TestSeveritySweep(t *testing.T) {
	var from, n uint64
	if _, err := fmt.Sscanf(os.Getenv("STIRWATCH_SWEEP"), "%d:%d", &from, &n); err != nil {
		t.Skip("STIRWATCH_SWEEP=SEED:N says which builds")
	}
	p, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []twin.Kind{twin.Jam, twin.Flash, twin.Coolant, twin.Unreachable, twin.Wear, twin.Drift, twin.Spike} {
		line := fmt.Sprintf("%-12s", kind)
		for _, severity := range []float64{0.1, 0.2, 0.3, 0.5, 0.7, 1} {
			rightly := 0
			for seed := from; seed < from+n; seed++ {
				cfg := twin.RandomBuild(p, seed, false)
				cfg.Faults = []twin.Fault{{Kind: kind, At: 320, For: 150, Severity: severity}}
				b := logOf(t, cfg)
				_, events, err := judged(b.log, b.reg, nil)
				if err != nil {
					t.Fatal(err)
				}
				if slices.ContainsFunc(events, func(e Event) bool {
					return e.From >= 319 && e.From <= 320+150+after && slices.Contains(named[kind], e.Code)
				}) {
					rightly++
				}
			}
			line += fmt.Sprintf("  %.1f: %3d %%", severity, 100*rightly/int(n))
		}
		t.Log(line)
	}
}
