package filter

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A swing that repeats is forecast laps ahead, at any spacing of the readings; what repeats by chance alone is not.
func TestWhatRepeatsComesAgain(t *testing.T) {
	for _, c := range []struct{ lap, swing, step, most float64 }{
		{46, 6, 1, 0.6}, {37, 6, 1, 0.6}, {60, 6, 1.4, 0.6}, {46, 0, 1, 1.05},
	} {
		rng := rand.New(rand.NewPCG(7, uint64(c.lap)))
		var l laps
		l.init()
		course := func(at float64) float64 { return c.swing * math.Sin(2*math.Pi*at/c.lap) }
		type said struct{ at, value float64 }
		var waiting []said
		with, without := 0.0, 0.0
		for at := 0.0; at < 900; at += c.step {
			above := course(at) + rng.NormFloat64()
			l.add(above, c.step)
			waiting = append(waiting, said{at + 60, l.ahead(60)})
			for len(waiting) > 0 && waiting[0].at <= at+1e-9 {
				if at > 400 {
					with += (waiting[0].value - above) * (waiting[0].value - above)
					without += above * above
				}
				waiting = waiting[1:]
			}
		}
		if share := math.Sqrt(with / without); share > c.most {
			t.Errorf("a lap of %g s, swing %g K, a reading every %g s: RMSE at 60 s is %.2f of that of the set-point, at most %g", c.lap, c.swing, c.step, share, c.most)
		}
		known := l.known()
		if off := math.Abs(known.Length - c.lap); c.swing > 0 && (off > 2*c.step || known.Number != 1+int(float64(l.n-1)*c.step/known.Length+1e-9) || !(known.Through >= 0 && known.Through < 1)) || c.swing == 0 && known != (Lap{}) {
			t.Errorf("a lap of %g s, swing %g K: %+v is told after %d readings", c.lap, c.swing, known, l.n)
		}
		l.add(1, 10)
		if l.known() != (Lap{}) {
			t.Error("after a gap a lap is still told")
		}
		if l.ahead(60) != 0 {
			t.Error("after a gap the swing is still believed")
		}
	}
}
