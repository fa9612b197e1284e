package control

import (
	"math/rand/v2"
	"testing"
)

// A regression that has learned small trends says nothing of large ones: there the model alone counts, and nothing is
// learned. Of what it knows it says more than the model.
func TestARegressionLeavesWhatItDoesNotKnowToTheModel(t *testing.T) {
	var r regression
	r.init()
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		x := [terms]float64{0: 1, 1: random.NormFloat64(), 1 + trends: random.NormFloat64()}
		r.learn(&x, 2*x[1], 0.995) // what comes follows the trend, not the model
	}
	usual := [terms]float64{0: 1, 1: 1, 1 + trends: -1}
	if got := r.expect(&usual); got < 1.9 || got > 2.1 {
		t.Errorf("a trend of 1: %g, want 2", got)
	}
	reload := [terms]float64{0: 1, 1: 20, 1 + trends: -7}
	if got := r.expect(&reload); got != -7 {
		t.Errorf("a trend of 20, of which nothing is known: %g, the model says -7", got)
	}
	before := r.theta
	if r.learn(&reload, -7, 0.995); r.theta != before {
		t.Error("it has learned from what it knows nothing like")
	}
}
