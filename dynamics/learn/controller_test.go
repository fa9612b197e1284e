package learn

import (
	"math"
	"math/rand/v2"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// turned is a run of a controller with the given gains on a temperature that wanders about 470 °C, in rows
// of step seconds; noise (K) is that of the thermocouple, which the controller sees too.
func turned(rate, gain, step, noise float64, rows int) *runs.Run {
	rng := rand.New(rand.NewPCG(5, 5))
	r := &runs.Run{Name: "turned", U: [][]float64{nil}, Z: [][]float64{nil}}
	n, wander, last := 300.0, 0.0, math.NaN()
	for i := range rows {
		wander += -0.02*step*wander + 0.8*math.Sqrt(step)*rng.NormFloat64()
		z := 470 + wander + noise*rng.NormFloat64()
		if !math.IsNaN(last) {
			n += -rate*(z-last) - gain*((z+last)/2-470)*step
		}
		last = z
		r.Time = append(r.Time, float64(i)*step)
		r.U[0], r.Z[0], r.SetPoint = append(r.U[0], n), append(r.Z[0], z), append(r.SetPoint, 470)
	}
	return r
}

func TestIdentifyControllerRecoversItsGains(t *testing.T) {
	p := &model.Plan{Min: 50, Max: 900, Slew: 1000}
	for _, c := range []struct{ rate, gain, step, noise float64 }{
		{0.374, 0.0042, 1, 0.3}, {0.374, 0.0042, 1, 0}, {0, 0.01, 1, 0.3}, {1.2, 0, 0.5, 0.1}, {0.374, 0.0042, 2.5, 0.3},
	} {
		rate, gain, ok := identifyController([]*runs.Run{turned(c.rate, c.gain, c.step, c.noise, 600)}, 0, p)
		if !ok || math.Abs(rate-c.rate) > 1e-6 || math.Abs(gain-c.gain) > 1e-6 {
			t.Errorf("%+v: rate gain %g, error gain %g, %v", c, rate, gain, ok)
		}
	}
}

// Rows that tell nothing of the controller do not count: off, far from the set-point, at a limit, slewing.
func TestIdentifyControllerLeavesOutWhatIsNotFree(t *testing.T) {
	p := &model.Plan{Min: 50, Max: 900, Slew: 20}
	good := turned(0.374, 0.0042, 1, 0, 400)
	for i := 200; i < 400; i++ {
		k := i % 4
		switch {
		case i < 240:
			good.SetPoint[i] = 0
		case i < 280:
			good.SetPoint[i] = 600
		case i < 320:
			good.U[0][i] = 900
		case k == 0:
			good.U[0][i] += 100
		default:
			good.U[0][i] = math.NaN()
		}
	}
	rate, gain, ok := identifyController([]*runs.Run{good}, 0, p)
	if !ok || math.Abs(rate-0.374) > 1e-6 || math.Abs(gain-0.0042) > 1e-6 {
		t.Errorf("rate gain %g, error gain %g, %v", rate, gain, ok)
	}
	if _, _, ok := identifyController([]*runs.Run{turned(0.374, 0.0042, 1, 0, planRows)}, 0, p); ok {
		t.Error("too few rows make a controller")
	}
}

// A log that samples the reading half a second after what the controller saw must not halve the rate gain.
func TestIdentifyControllerSeesThroughTheLagOfTheLog(t *testing.T) {
	fine := turned(0.374, 0.387, 0.1, 0, 12000)
	logged := &runs.Run{U: [][]float64{nil}, Z: [][]float64{nil}}
	for i := 20; i < len(fine.Time); i += 10 {
		logged.Time = append(logged.Time, fine.Time[i])
		logged.U[0], logged.Z[0] = append(logged.U[0], fine.U[0][i-5]), append(logged.Z[0], fine.Z[0][i])
		logged.SetPoint = append(logged.SetPoint, fine.SetPoint[i])
	}
	p := &model.Plan{Min: -1e9, Max: 1e9, Slew: 1e6} // never at a limit
	rate, gain, ok := identifyController([]*runs.Run{logged}, 0, p)
	if !ok || math.Abs(rate-0.374) > 0.04 || math.Abs(gain-0.387) > 0.02 {
		t.Errorf("rate gain %.3f, error gain %.3f, %v; want 0.374 and 0.387", rate, gain, ok)
	}
	var none controllerFit
	none.add(logged, 0, p, 0)
	if rate, _, _, _ := none.solve(); rate > 0.3 {
		t.Errorf("at no lag the rate gain is %.3f: this log does not show what the test is for", rate)
	}
}
