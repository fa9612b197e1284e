package learn

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Sides found on misses hold 95 % of others of the same kind, of a skewed kind as well, and are no wider
// than they need be.
func TestWidenHoldsWhatItShould(t *testing.T) {
	for name, draw := range map[string]func(*rand.Rand) float64{
		"normal": func(r *rand.Rand) float64 { return r.NormFloat64() },
		"skewed": func(r *rand.Rand) float64 { return r.ExpFloat64() - 0.2 },
	} {
		rng := rand.New(rand.NewPCG(3, 3))
		var misses []miss
		for range 4000 {
			misses = append(misses, miss{draw(rng), 2, 1, 1})
		}
		side := widen(misses, 0.95, 0)
		inside := 0
		for range 4000 {
			if v := draw(rng); v >= -side.Lower && v <= side.Upper {
				inside++
			}
		}
		if share := float64(inside) / 4000; math.Abs(share-0.95) > 0.015 {
			t.Errorf("%s: %.3f of the others are inside -%g to %g", name, share, side.Lower, side.Upper)
		}
		if name == "skewed" && side.Lower > 0.5 {
			t.Errorf("nothing is below -0.2, the interval begins at -%g", side.Lower)
		}
	}
}

// Where misses grow with the NIS the interval grows with it, where they do not it does not.
func TestWidenFollowsTheNIS(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var grow, stay []miss
	for range 4000 {
		nis := math.Exp(1.5 * rng.NormFloat64())
		e := rng.NormFloat64()
		grow = append(grow, miss{e * math.Pow(nis, 0.5/2), 2, nis, 1})
		stay = append(stay, miss{e, 2, nis, 1})
	}
	if side := widen(grow, 0.95, maxShare); side.NIS != 0.5 {
		t.Errorf("misses grow with the power 0.5 of the NIS, the interval with %g", side.NIS)
	}
	if side := widen(stay, 0.95, maxShare); side.NIS != 0 {
		t.Errorf("misses do not grow with the NIS, the interval does with %g", side.NIS)
	}
}

func TestConformal(t *testing.T) {
	for _, c := range []struct{ spans, want float64 }{{1e9, 0.95}, {50, 0.969}, {9.5, 1}, {1, 1}} {
		if got := conformal(0.95, c.spans); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("over %g horizons: %g, want %g", c.spans, got, c.want)
		}
	}
}
