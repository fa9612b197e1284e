package agent

import (
	"math"
	"testing"
)

// Where the temperature comes and goes with the passes of the tool the view tells the lap; a temperature that only holds
// has none.
func TestTheViewTellsTheLap(t *testing.T) {
	for _, swing := range []float64{8, 0} {
		a := agentOf(t, Options{Registry: cell(t), Model: learned(t)})
		const lap = 40.0 // s
		for i := range 500 {
			now := (1000 + int64(i)) * second
			put(a, now, 470+swing*math.Sin(2*math.Pi*float64(i)/lap), 7, 400, 20, 300, 470)
			a.tick(now)
		}
		v := a.View()
		if v.Phase != "deposit" {
			t.Fatalf("the phase is %s", v.Phase)
		}
		switch l := v.Lap; {
		case swing == 0 && l != nil:
			t.Errorf("a temperature that holds has the lap %+v", *l)
		case swing > 0 && (l == nil || math.Abs(float64(l.Length)-lap) > 2 || l.Number < 10 || l.Number > 13 || !(l.Through >= 0 && l.Through < 1)):
			t.Errorf("a swing of %g s has the lap %+v", lap, l)
		}
	}
}
