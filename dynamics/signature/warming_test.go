package signature

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestACoarseBearing reads a bearing that warms by 1 °C a minute through a logger that shows whole degrees, and on the way from one to
// the next any value between, as the recorded machines do: however the readings fall into the instants at which the balance of heat is
// judged, and where some are missing, nothing is wrong.
func TestACoarseBearing(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		w, tool, speed := warming{}, 20.0, 300.0
		missing := 0
		for i := range 1200 {
			tool += (470 - tool) / 60
			s := float64(i)
			warm := 22 + 11*(1-math.Exp(-max(s-60, 0)/600))
			shown := math.Floor(warm)
			if part := warm - shown; part > 0.98 {
				shown += math.Round(10*r.Float64()) / 10
			}
			if missing--; missing < 0 && r.IntN(300) == 0 {
				missing = r.IntN(5)
			}
			if missing >= 0 {
				shown = math.NaN()
			}
			if score := w.follow(1, shown, r.IntN(5) > 0, speed+5*r.NormFloat64(), tool); score > 1 {
				t.Fatalf("seed %d, second %d: scores %.2f (rise %.2f of %.2f °C, grid %+v)", seed, i, score, w.rise, w.limit, w.grid)
			}
		}
		if w.blind > 0 {
			continue
		}
		for i := range 90 { // without coolant
			if w.follow(1, math.Floor(32+float64(i)*0.15), true, speed, tool) > 1 {
				break
			}
			if i == 89 {
				t.Fatalf("seed %d: no coolant is not found in 90 s (rise %.2f of %.2f °C)", seed, w.rise, w.limit)
			}
		}
	}
}
