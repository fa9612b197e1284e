package history

import (
	"math"
	"testing"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// A span in few parts keeps every peak, breaks where nothing was good, and has nothing where nothing came.
func TestReduceKeepsPeaks(t *testing.T) {
	reg, err := sensors.NewRegistry([]sensors.Channel{{Name: "tool", Role: sensors.ToolTemperature, Unit: unit.MustParse("°C"), Min: -20, Max: 700}, {Name: "power", Unit: unit.MustParse("W"), Min: -1e5, Max: 1e5}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.TempDir()+"/journal.db", journal.Options{Machine: "m", Registry: reg, Archive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	start := journaltest.Dawn.UnixNano()
	var all []sensors.Sample
	for i := range 1000 {
		x := sensors.Sample{Time: start + int64(i)*int64(100*time.Millisecond), Value: float64(i % 10), Status: sensors.OK}
		switch {
		case i == 555:
			x.Value = 600 // a peak of one sample
		case i == 556:
			x.Value, x.Status = -15, sensors.OK
		case i >= 200 && i < 300:
			x.Status = sensors.Status{Signal: sensors.Failure}
		case i >= 700 && i < 800:
			continue
		}
		x.Arrival = x.Time
		all = append(all, x)
	}
	journaltest.Keep(j, all)
	h := &History{Reader: j.Reader, Registry: reg}
	got, err := h.Reduce(t.Context(), []string{"tool temperature", "power"}, start, start+int64(100*time.Second), 10)
	if err != nil {
		t.Fatal(err)
	}
	tool := got[0]
	if tool.Channel != "tool" || tool.Unit.String() != "°C" || len(tool.Time) != 9 || len(got[1].Time) != 0 {
		t.Fatalf("%+v", got)
	}
	for i, at := range tool.Time {
		part := (at - start) / int64(10*time.Second)
		low, high := 0.0, 9.0
		switch part {
		case 2:
			low, high = math.NaN(), math.NaN()
		case 5:
			low, high = -15, 600
		case 7:
			t.Error("a part without samples is there")
		}
		if same := func(a, b float64) bool { return a == b || a != a && b != b }; !same(tool.Min[i], low) || !same(tool.Max[i], high) {
			t.Errorf("part %d: %g to %g, not %g to %g", part, tool.Min[i], tool.Max[i], low, high)
		}
	}
	for _, parts := range []int{0, MostParts + 1} {
		if _, err := h.Reduce(t.Context(), []string{"tool"}, start, start+1, parts); err == nil {
			t.Errorf("%d parts are made", parts)
		}
	}
	if _, err := h.Reduce(t.Context(), []string{"none"}, start, start+1, 1); err == nil {
		t.Error("a channel that there is not is read")
	}
}
