package filter

import (
	"math"
	"strings"

	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
)

// Doubt says what is known beforehand to make a forecast less sure than usual. Doubts are bits.
type Doubt uint8

const (
	NewRun    Doubt = 1 << iota // little has come due yet that would tell how good it is
	NewPhase                    // the phase has changed within the horizon
	Untrained                   // an input or output is outside the training range
	Touching                    // whether the tool presses on the build cannot be told
	MayStop                     // it may well stop by then: see [Expected.Whole]
	Reloading                   // the feed rests, and nobody knows for how long
)

var doubtTexts = [...]string{"little has come due in this run", "the phase has just changed", "outside the training range",
	"contact is in doubt", "it may well stop by then", "the feed rests, and is expected again"}

// Text says for people what the doubts are, "" where there are none.
func (d Doubt) Text() string { return allDoubts[d] }

// allDoubts are the texts of all their combinations: on the tick nothing is put together.
var allDoubts = func() (all [1 << len(doubtTexts)]string) {
	for d := range all {
		var texts []string
		for i, t := range doubtTexts {
			if d&(1<<i) != 0 {
				texts = append(texts, t)
			}
		}
		all[d] = strings.Join(texts, "; ")
	}
	return all
}()

// How intervals adapt. Chosen on three recordings and on simulated builds.
const (
	missShare  = 0.025 // share of forecasts that may end beyond either side
	learnsIn   = 1.0   // by how much the logarithm of a side grows while forecasts miss for a horizon
	learnsFor  = 20.0  // s that a horizon counts at least for that
	narrowest  = -2.0  // logarithm of the least and the most
	widest     = 2.5
	ownWindows = 0.7   // windows that the model's own interval counts for against the run's
	errorsFor  = 8.0   // horizons for which errors of the run are remembered
	errorsMin  = 120.0 // s, at least
	carries    = 0.7   // share of the widening at a shorter horizon that a longer one takes over
	narrowing  = 0.5   // power of what narrows at a shorter horizon that a longer one takes over
	startsWide = 0.5   // by how much an interval is wider before anything has come due
	newIsWide  = 1.3   // factor in a phase that is new, and where contact is in doubt
	outIsWide  = 0.3   // by how much it is wider where the training range has just been left
	leavesOut  = 0.05  // probability of a stop that an interval of whatever comes leaves out
)

// phases is how many there are to keep records of.
const phases = int(phase.Deposit) + 1

// bounds adapt the interval of one output at one horizon.
type bounds struct {
	windows float64 // independent windows that have come due in this run
	by      [phases]struct {
		windows, square float64
		grown           [2]float64 // logarithm of what misses have made of the lower and the upper side
	}
}

// sides turns the half-width of the model's own interval into what holds now, before misses have had their say:
// the variance of the model counts for ownWindows of the run's own errors in this phase. Of Gaussian errors with an
// unknown variance that is the mean of its posterior (inverse gamma).
func (b *bounds) side(own float64, p phase.Phase) float64 {
	e := &b.by[p]
	own /= num.Sigma95
	return num.Sigma95 * math.Sqrt((ownWindows*own*own+e.square)/(ownWindows+e.windows))
}

// due takes in a forecast by horizon seconds that has come due: made in a phase, how far the reading lies above
// its mean, the half-width that was given then without grown, and how many seconds of forecasts it
// stands for.
//
// Sides follow adaptive conformal inference (Gibbs and Candès, NeurIPS 2021, eq. 2), on the logarithm of
// the width as in Angelopoulos, Candès and Tibshirani, NeurIPS 2023 (quantile tracking): up by its step where
// the reading was beyond, down by missShare of it where it was not. The errors of forecasts that overlap come together,
// and late by a horizon: the step is taken in proportion to the time that is new, so that one horizon full of misses
// widens a side e-fold, whatever the rate of the readings.
func (b *bounds) due(p phase.Phase, horizon, span, above, half float64) {
	step := learnsIn * span / max(horizon, learnsFor)
	grown := &b.by[p].grown
	for side, beyond := range [2]float64{-above, above} {
		miss := -missShare
		if beyond > half*math.Exp(grown[side]) {
			miss++
		}
		grown[side] = min(widest, max(narrowest, grown[side]+step*miss))
	}
	new := min(1, span/horizon)
	b.windows += new
	e, keep := &b.by[p], math.Exp(-span/max(errorsMin, errorsFor*horizon))
	e.windows, e.square = keep*e.windows+new, keep*e.square+new*above*above
}
