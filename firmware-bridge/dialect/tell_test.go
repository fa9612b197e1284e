package dialect

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors/unit"
)

// Several values come with as few requests as it takes, and what is not told stays unknown.
func TestSeveralValuesOfOneRequest(t *testing.T) {
	celsius := unit.MustParse("°C")
	var asked []string
	lines := map[string][]string{"SCAN": {"41.5", "39.25", "50.0", "0"}, "T1": {"41.5"}, "?": {"state=RUN sp=475.0 temp=474.9 rpm=x"}}
	var mu sync.Mutex
	port := func() *Port {
		return scripted(t, func(line string, say func(string)) {
			mu.Lock()
			asked = append(asked, line)
			mu.Unlock()
			for _, l := range lines[line] {
				say(l + "\r\n")
			}
		})
	}
	scan := func(n int) LineQuestion { return LineQuestion{Send: "SCAN", Lines: 4, Line: n} }
	line, err := NewLine(LineOptions{Port: port(), Quiet: 5 * time.Millisecond, Words: map[string]LineWord{
		"t1": {Get: scan(1)}, "t2": {Get: scan(2)}, "q1": {Get: scan(3), Scale: 10}, "alone": {Get: LineQuestion{Send: "T1"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	meld := func() *MELD {
		d, err := NewMELD(port(), map[string]MELDWord{"sp": {Code: "M41", Key: "sp"}, "temp": {Key: "temp"}, "rpm": {Key: "rpm"}, "none": {Key: "none"}})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		d       bridge.Dialect
		names   []string
		want    []float64
		asks    []string
		failure string
	}{
		{line, []string{"t1", "q1", "alone", "t2"}, []float64{41.5, 5, 41.5, 39.25}, []string{"SCAN", "T1"}, ""},
		{meld(), []string{"temp", "sp"}, []float64{474.9, 475}, []string{"?"}, ""},
		{meld(), []string{"rpm", "none", "sp"}, []float64{math.NaN(), math.NaN(), 475}, []string{"?"}, `no "none"`},
	} {
		o := bridge.Options{Dialect: func() bridge.Dialect { return c.d }}
		for _, n := range c.names {
			o.Readings = append(o.Readings, bridge.Reading{Name: n, Unit: celsius})
		}
		b, err := bridge.New(o)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float64, len(c.names))
		err = b.Read(context.Background(), c.names, got)
		if c.failure == "" && err != nil || c.failure != "" && (err == nil || !strings.Contains(err.Error(), c.failure)) {
			t.Errorf("%v: %v", c.names, err)
		}
		mu.Lock()
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return a == b || a != a && b != b }) || !slices.Equal(asked, c.asks) {
			t.Errorf("%v: %v by %q, want %v by %q", c.names, got, asked, c.want, c.asks)
		}
		asked = nil
		mu.Unlock()
		b.Close()
	}
}
