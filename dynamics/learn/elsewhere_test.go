package learn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

// builtOtherwise is a run of a simulated machine that is not the one whose numbers the built-in hypotheses know: heat in proportion to power, a sluggish
// thermocouple, a build that stays warm, a controller of its own. Of one that is size times as large all powers and capacities are as many times
// as large.
func builtOtherwise(size float64, seed uint64) runs.Run {
	const (
		dt       = 0.05
		face     = 300.0 // J/K
		body     = 750.0
		build    = 1200.0
		toBody   = 6.3 // W/K
		toBuild  = 12.4
		cooling  = 1.6
		plate    = 3.6 // W/K of the build, and times (1 + v/400) on the way
		lag      = 1.15
		dead     = 1.5
		lo, hi   = 150.0, 380.0
		rate     = 0.13  // rpm/K
		integral = 0.29  // rpm/(s K)
		free     = 12.0  // N·m
		work     = 185.0 // N·m of cold metal at 300 rpm
	)
	rnd := rand.New(rand.NewPCG(seed, 11))
	r := runs.Run{Name: fmt.Sprintf("build-%d", seed), SHA256: fmt.Sprintf("%064d", seed), Inputs: testInputs, U: make([][]float64, len(testInputs)), Z: make([][]float64, 1)}
	setPoint, path, feed := 465+rnd.NormFloat64()*8, 350+300*rnd.Float64(), 90+30*rnd.Float64()
	reload := 300 + 60*rnd.Float64()
	t1, t2, t3 := 22.0, 22.0, 22.0
	reading, before, speed, command, upset := t1, t1, 0.0, lo, 0.0
	late := make([]float64, int(dead/dt))
	const end = 520.0
	for i := 0; i < int(end/dt); i++ {
		at := float64(i) * dt
		v, f, w, pressed := 0.0, 0.0, 0.0, 1.0
		switch {
		case at < 5:
			pressed = 0
		case at < 60:
			f = feed / 4
		case at > reload && at < reload+40: // the next bar
		case at < end-60:
			v, f = path, feed
			if math.Mod(at, 45) < 1.5 { // a layer, or a corner
				v = path / 3
			}
		default:
			pressed = 0
			if at < end-54 {
				w = 600
			}
		}
		if i%2 == 0 {
			command = min(hi, max(lo, command-rate*(reading-before)-integral*0.1*(reading-setPoint)))
			before = reading
			if pressed == 0 {
				command = lo
			}
			if at > end-62 {
				command = 0
			}
		}
		speed += min(7.5, max(-7.5, command-speed))
		omega := speed * math.Pi / 30
		upset += (-upset/20 + 0.02*math.Sqrt(2/20.0/dt)*rnd.NormFloat64()) * dt
		soft := max(0.02, 1-math.Pow(t1/620, 1.6))
		torque := 0.0
		if speed > 1 {
			torque = size * (free + pressed*work*soft*(0.55+0.5*math.Pow(f/100, 0.6))*math.Pow(max(speed, 30)/300, -0.7)*(1+upset))
		}
		power := torque * omega
		heat := 0.75 * (power - size*free*omega) * pressed / size
		b := pressed * toBuild * (t1 - t3)
		t1 += (0.35*heat - b - toBody*(t1-t2)) / face * dt
		t2 += (toBody*(t1-t2) - cooling*(t2-21)) / body * dt
		t3 += (0.12*heat + b - plate*(1+v/400)*(t3-22)) / build * dt
		late = append(late[1:], t1)
		reading += (late[0] - reading) / lag * dt
		if i%20 == 0 {
			r.Time = append(r.Time, at)
			for k, x := range []float64{power * (1 + 0.01*rnd.NormFloat64()), speed, v, f, w} {
				r.U[k] = append(r.U[k], x)
			}
			r.Z[0] = append(r.Z[0], math.Round(10*reading)/10)
			wanted := setPoint
			if at < 5 || at > end-62 {
				wanted = 0
			}
			r.SetPoint = append(r.SetPoint, wanted)
		}
	}
	return r
}

// A machine that is built otherwise, and one that is ten times as large, are learned like the one whose numbers are known.
func TestMachinesBuiltOtherwise(t *testing.T) {
	if testing.Short() {
		t.Skip("learns for half a minute under the race detector")
	}
	for _, size := range []float64{1, 10} {
		given := []runs.Run{builtOtherwise(size, 1), builtOtherwise(size, 2), builtOtherwise(size, 3)}
		m, err := Learn(t.Context(), given, Options{Inputs: testInputs, Unjudged: true})
		if err != nil {
			t.Fatal(err)
		}
		if m.Provenance.PriorConflict == 0 {
			t.Errorf("size %g: what is known of another machine was kept", size)
		}
		r := builtOtherwise(size, 4)
		skill, err := score.Score(m, &r, filter.Known, score.Horizons, 0, len(r.Time))
		if err != nil {
			t.Fatal(err)
		}
		for i, most := range []float64{0.3, 1, 1.5, 2.5, 3} {
			s := skill[i]
			t.Logf("size %g, %g s: RMSE %.2f °C, persistence %.2f", size, s.Horizon, s.RMSE, s.Persistence)
			if s.RMSE > most {
				t.Errorf("size %g, %g s ahead by known inputs: RMSE %.2f °C, at most %g", size, s.Horizon, s.RMSE, most)
			}
		}
		if tm := m.ParameterNamed("Tm"); tm.Fixed || tm.Prior != nil {
			t.Errorf("size %g: Tm is given: %+v", size, *tm)
		}
	}
}
