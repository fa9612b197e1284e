package filter

import (
	"math"
	"math/rand/v2"
	"testing"

	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
)

var nan = math.NaN()

// taught is a record of n forecasts by horizon seconds, one a second, with errors of these sizes.
func taught(horizon float64, n int, errors [Experts]float64) (s skill) {
	for range n {
		s.add(&errors, horizon, 1)
	}
	return s
}

// sd is an interval of which v is the standard deviation, on both sides.
func sd(v float64) [2]float64 { return [2]float64{v * num.Sigma95, v * num.Sigma95} }

func TestWeights(t *testing.T) {
	says := [Experts]float64{470, 471, 472, 475}
	var w Trust
	weigh(&w, phase.Deposit, 60, false, &says, []skill{{}}, 472, sd(1e6), 0)
	for x, want := range prior(phase.Deposit, 60, false) {
		if math.Abs(w.Weight[x]-want) > 1e-6 || !math.IsNaN(w.RMSE[x]) {
			t.Errorf("with nothing shown %s weighs %g (RMSE %g), want what is believed of it, %g", Expert(x), w.Weight[x], w.RMSE[x], want)
		}
	}
	// The plan is three times as good: at 1 s it soon has all of the weight, at 60 s more and more of it.
	errors := [Experts]float64{12, 12, 4, 12}
	for _, c := range []struct{ horizon, seconds, least float64 }{{1, 180, 0.999}, {60, 180, 0.05}, {60, 900, 0.1}} {
		believed := prior(phase.Deposit, c.horizon, false)[Planning]
		weigh(&w, phase.Deposit, c.horizon, false, &says, []skill{taught(c.horizon, int(c.seconds), errors)}, 472, sd(1e6), 0)
		if w.Weight[Planning] < c.least || w.Weight[Planning] < 2*believed || w.RMSE[Planning] != 4 {
			t.Errorf("at %g s the plan, believed at %.2f, weighs %.3f after %g s (RMSE %g)", c.horizon, believed, w.Weight[Planning], c.seconds, w.RMSE[Planning])
		}
	}
	// One that says nothing is left out; what it was off before is kept.
	asleep := says
	asleep[AtSetPoint] = nan
	weigh(&w, phase.Deposit, 60, false, &asleep, []skill{taught(60, 60, errors)}, 472, sd(1e6), 0)
	if sum := w.Weight[Persist] + w.Weight[Holding] + w.Weight[Planning]; w.Weight[AtSetPoint] != 0 || math.Abs(sum-1) > 1e-12 {
		t.Errorf("weights %v with the set-point asleep", w.Weight)
	}
	s := taught(60, 60, errors)
	s.add(&[Experts]float64{12, 12, 4, nan}, 60, 1)
	if rmse := math.Sqrt(s.square[AtSetPoint] / s.seconds); math.Abs(rmse-12) > 1e-9 {
		t.Errorf("the set-point, 12 off whenever it spoke, counts as %g off", rmse)
	}
	// A set-point that the equation holds impossible is not believed before it has shown anything.
	weigh(&w, phase.Deposit, 60, false, &[Experts]float64{380, 380, 380, 475}, []skill{{}}, 380, sd(10), 0)
	if w.Weight[AtSetPoint] > 1e-6 {
		t.Errorf("a set-point 9.5 standard deviations away weighs %g", w.Weight[AtSetPoint])
	}
}

// The bound of weigh: whatever the experts have done, the weighted mean of their squared errors exceeds the
// best one's by no more than (1/b − 1)/(e·(p − 1)) of it.
func TestWeightsAreBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	closest := 0.0
	for range 20000 {
		horizon := []float64{1, 5, 10, 30}[rng.IntN(4)]
		var errors [Experts]float64
		for x := range errors {
			errors[x] = math.Exp(2 * rng.NormFloat64())
		}
		s := taught(horizon, 30+rng.IntN(300), errors)
		says := [Experts]float64{1, 1, 1, 1}
		p := phase.Phase(rng.IntN(phases))
		var w Trust
		weigh(&w, p, horizon, false, &says, []skill{s}, 1, sd(1), 0)
		power := evidence * s.windows
		if power <= 1.05 {
			continue
		}
		mean, best := 0.0, 0
		for x := range errors {
			mean += w.Weight[x] * errors[x] * errors[x]
			if errors[x] < errors[best] {
				best = x
			}
		}
		excess := mean/(errors[best]*errors[best]) - 1
		bound := (1/prior(p, horizon, false)[best] - 1) / (math.E * (power - 1))
		closest = max(closest, excess/bound)
		if excess > bound {
			t.Fatalf("%g windows, errors %v: %.3f beyond the best, bound %.3f", s.windows, errors, excess, bound)
		}
	}
	if closest < 0.2 { // a bound that nothing comes near says nothing
		t.Errorf("nothing came closer to the bound than %.2f of it", closest)
	}
}

// An expert that fails at once at 10 s loses weight at 60 s, where its failures have not come due.
func TestWhatFailsSoonIsNotBelievedLong(t *testing.T) {
	good := [Experts]float64{9, 9, 3, 9}
	ten, sixty := taught(10, 300, good), taught(60, 300, good)
	says := [Experts]float64{470, 470, 470, 475}
	var before, after Trust
	weigh(&before, phase.Deposit, 60, false, &says, []skill{ten, sixty}, 470, sd(1e6), 0)
	failing := good
	failing[Planning] = 30
	for range 10 {
		ten.add(&failing, 10, 1)
	}
	weigh(&after, phase.Deposit, 60, false, &says, []skill{ten, sixty}, 470, sd(1e6), 0)
	if before.Weight[Planning] < 0.1 || after.Weight[Planning] > 0.5*before.Weight[Planning] {
		t.Errorf("the plan weighs %.2f, and %.2f after 10 s in which its forecasts of 10 s were ten times as far off", before.Weight[Planning], after.Weight[Planning])
	}
}

// Forecasts come due at their very instant, whatever the spacing of the readings, once; where nobody knows the
// reading then, never.
func TestForecastsComeDue(t *testing.T) {
	var g ledger
	hs := []float64{1, 5, 60}
	g.init(hs, 1)
	rng := rand.New(rand.NewPCG(3, 4))
	course := func(at float64) float64 { return 20 + 3*at } // between two readings known exactly
	now, made, due := 0.0, 0, map[[2]int]int{}
	gapFrom, gapTo := 100.0, 109.0
	for now < 400 {
		now += 0.05 + 0.9*rng.Float64()
		if now > gapFrom && now < gapTo {
			now = gapTo
		}
		g.settle(now, 0, course(now), func(o, h int, s *slot, said *saying, reading float64) {
			due[[2]int{int(said.mean), h}]++
			at := s.at + said.ahead
			if math.Abs(reading-course(at)) > 1e-6 {
				t.Errorf("what was forecast for %g s is judged by %g, want %g", at, reading, course(at))
			}
			if at > gapFrom+1 && at < gapTo-1 {
				t.Errorf("a forecast for %g s was judged, where nothing was measured", at)
			}
		})
		if s, k := g.open(now, phase.Deposit); s != nil {
			for h := range hs {
				*g.said(k, 0, h) = saying{ahead: hs[h], mean: float64(k)}
			}
			made = k + 1
		}
	}
	if made < 300 || made > 440 {
		t.Errorf("%d slots in 400 s, want about one a second", made)
	}
	for k := range made - 70 {
		for h := range hs {
			at := g.slots[k%len(g.slots)].at // only of those not yet overwritten
			if n := due[[2]int{k, h}]; n > 1 || n == 0 && k > made-130 && at+hs[h] > gapTo {
				t.Errorf("forecast %d at %g s came due %d times", k, hs[h], n)
			}
		}
	}
	if len(due) < 3*(made-70)*9/10 {
		t.Errorf("only %d of %d forecasts came due", len(due), 3*made)
	}
}

// Sides hold their share although the errors come late, together, and change their size, and although the model's own
// interval is three times too narrow or too wide.
func TestSidesAdapt(t *testing.T) {
	for _, own := range []float64{3, 10, 30} { // the half-width that the model believes in; 2σ is about 10
		for _, horizon := range []float64{1, 10, 60} {
			rng := rand.New(rand.NewPCG(5, uint64(horizon)))
			var b bounds
			inside, n := 0.0, 0.0
			type made struct{ at, half, below, above float64 }
			var waiting []made
			memory := math.Exp(-1 / horizon)
			err := 0.0
			for i := range 6000 {
				size := 5.0
				if i > 3000 {
					size = 10
				}
				err = memory*err + math.Sqrt(1-memory*memory)*size*rng.NormFloat64()
				half := b.side(own, phase.Deposit)
				waiting = append(waiting, made{float64(i), half, half * math.Exp(b.by[phase.Deposit].grown[0]), half * math.Exp(b.by[phase.Deposit].grown[1])})
				if w := waiting[0]; float64(i) >= w.at+horizon {
					waiting = waiting[1:]
					if i > 600 {
						n++
						if err >= -w.below && err <= w.above {
							inside++
						}
					}
					b.due(phase.Deposit, horizon, 1, err, w.half)
				}
			}
			if share := inside / n; share < 0.9 || share > 0.99 {
				t.Errorf("own half-width %g, %g s: %.1f %% inside, want 90 to 99", own, horizon, 100*share)
			}
		}
	}
}
