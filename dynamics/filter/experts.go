package filter

import (
	"fmt"
	"math"

	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
)

// Expert is a way to forecast that a [Live] weighs against the others.
type Expert int

const (
	Persist    Expert = iota // the last reading
	Holding                  // inputs stay as they are
	Planning                 // the machine's own controller acts, or what else the scenario says
	AtSetPoint               // the set-point is reached, and the swing about it that repeats comes again; asleep where there is none

	Experts = 4 // how many there are
)

func (x Expert) String() string {
	return [...]string{"persistence", "held", "plan", "set-point"}[x]
}

// Trust says how a forecast of one output at one horizon came about: on whom it rests, and why.
type Trust struct {
	Says    [Experts]float64 // what each forecasts, in the output's unit; NaN is asleep
	Weight  [Experts]float64 // share of each in the forecast; they add up to 1
	RMSE    [Experts]float64 // of each in this run and phase at this horizon, in the output's unit; NaN before any came due
	Phase   phase.Phase      // in which it was made
	Windows float64          // independent windows that tell so: those that overlap count by what is new
	Doubt   Doubt            // what is known to make the forecast less sure than usual
}

// Best is the expert with the most weight.
func (t *Trust) Best() (best Expert) {
	for x := range Expert(Experts) {
		if t.Weight[x] > t.Weight[best] {
			best = x
		}
	}
	return best
}

// Text says for people on whom the forecast rests, and why.
func (t *Trust) Text(unit string) string {
	best := t.Best()
	text := fmt.Sprintf("%s %.0f %%", best, 100*t.Weight[best])
	if math.IsNaN(t.RMSE[best]) {
		return text + ", nothing has come due yet"
	}
	text += fmt.Sprintf(", %.1f %s off", t.RMSE[best], unit)
	for x := range Expert(Experts) {
		if x != best && t.Weight[x] >= 0.005 {
			text += fmt.Sprintf("; %s %.1f", x, t.RMSE[x])
		}
	}
	return text + fmt.Sprintf(" (%.1f windows)", t.Windows)
}

// Prior weights of the experts, before they have shown anything. Chosen on three recordings and on
// simulated builds.
const (
	arrives      = 12.0 // s, in which a controller that is free to move brings the tool near its set-point
	mostArrived  = 0.95 // belief in the set-point far ahead, while it deposits
	elsewhere    = 0.05 // and in other phases: a start or a stop is seldom at its set-point
	persists     = 0.05 // belief in persistence against held and plan together
	heldInStarts = 0.98 // and in held, where the machine does not deposit: its controller is at a limit then
	heldInBuilds = 0.5
	heldIfTold   = 0.1 // where the plan is told what the inputs will be
	setIfTold    = 0.5 // share of the belief in the set-point that is left then
)

// How evidence counts.
const (
	evidence    = 0.3  // power of the evidence of one window: of Gaussian errors whose size is unknown
	memoryFor   = 60.0 // s that evidence is remembered at least; at long horizons three of them
	suddenFor   = 10.0 // s after which a sudden failure at a shorter horizon shows; or that horizon
	mostSudden  = 10.0 // by how much it may be worse than usual
	mostTaught  = 8.0  // windows that other runs count for at most
	alike       = 1.5  // factor between two horizons within which what was shown at one holds at the other
	enoughToSay = 5.0  // s of evidence before a failure is called sudden
	surely      = 2.24 // standard deviations in 97.5 %: a plan's intervals, for want of windows, hold between 95 % and all
)

// skill is the record of the experts at one horizon in one phase: squared errors, discounted.
type skill struct {
	seconds    float64 // of evidence
	square     [Experts]float64
	windows    float64          // seconds over the horizon
	taught     [Experts]float64 // logarithm of what other runs have taught, see [Forecaster.experience]
	justNow    float64          // as seconds, with the short memory
	justSquare [Experts]float64
}

// add takes in a forecast by horizon seconds that has come due: its errors by expert, and how many seconds
// of evidence it stands for. NaN is asleep, and leaves an expert as it was judged before.
func (s *skill) add(errors *[Experts]float64, horizon, span float64) {
	keep, just := math.Exp(-span/max(memoryFor, 3*horizon)), math.Exp(-span/max(suddenFor, horizon))
	for x, d := range errors {
		if math.IsNaN(d) {
			if s.seconds > 0 {
				d = math.Sqrt(s.square[x] / s.seconds)
			} else {
				d = 0
			}
		}
		s.square[x] = keep*s.square[x] + span*d*d
		s.justSquare[x] = just*s.justSquare[x] + span*d*d
	}
	s.seconds, s.justNow = keep*s.seconds+span, just*s.justNow+span
	s.windows = keep*s.windows + min(1, span/horizon)
}

// mean is the mean square error of an expert, at least floor.
func (s *skill) mean(x Expert, floor float64) float64 { return s.square[x]/s.seconds + floor }

// suddenly is the factor by which an expert has lately been worse than before, 1 to mostSudden: what has failed
// at a shorter horizon will fail at the longer one, long before it comes due there.
func (s *skill) suddenly(x Expert, floor float64) float64 {
	if s.justNow < enoughToSay {
		return 1
	}
	return min(mostSudden, max(1, (s.justSquare[x]/s.justNow+floor)/s.mean(x, floor)))
}

// prior is what is believed of the experts beforehand. told says that the plan knows of the inputs to come what held
// does not: from a program, that the feed comes again, or that all is switched off.
func prior(p phase.Phase, horizon float64, told bool) (w [Experts]float64) {
	set, held := elsewhere, heldInStarts
	if p == phase.Deposit {
		set, held = -mostArrived*math.Expm1(-horizon/arrives), heldInBuilds
	}
	if told {
		set, held = setIfTold*set, heldIfTold
	}
	w[AtSetPoint] = set
	w[Persist] = (1 - set) * persists
	w[Holding] = (1 - set) * (1 - persists) * held
	w[Planning] = (1 - set) * (1 - persists) * (1 - held)
	return w
}

// weigh fills t from what the experts say (NaN: asleep) horizon seconds ahead. skills are their records in this
// phase by horizon, of which the last is that horizon's; mean and sd are the equation's own forecast; floor is
// added to every mean square, so that exact ones can be compared.
//
// The weight of an expert is what is believed of it beforehand, over its mean squared error to the power p
// = evidence·windows: the Bayesian posterior of Gaussian errors whose size is unknown, with forgetting
// (Raftery, Kárný and Ettler, Technometrics 52, 2010, 52). The forecast is the mean of what they say under these weights
// (Bates and Granger, Oper. Res. Q. 20, 1969, 451). Experts that say nothing are left out (Freund,
// Schapire, Singer and Warmuth, STOC 1997, 334). Persistence and set-point, which know nothing of the machine, are believed the
// less beforehand the further they are from what the equation holds possible.
//
// What is believed beforehand includes what runs that the model was learned from have shown, where the plan is told nothing.
//
// The bound: the forecast's squared error is never more than the weighted mean of the experts' squared
// errors, and that mean, over the evidence so far, exceeds the best expert's by no more than the share
// (1/b − 1)/(e·(p − 1)) where p > 1, b being what was believed of the best beforehand: each other expert, r times as bad,
// adds at most its belief over b times (r − 1)·r^−p, which is largest at r = p/(p − 1).
func weigh(t *Trust, p phase.Phase, horizon float64, told bool, says *[Experts]float64, skills []skill, mean float64, sides [2]float64, floor float64) {
	s := &skills[len(skills)-1]
	t.Says, t.Phase = *says, p
	believed := prior(p, horizon, told)
	best := math.Inf(1)
	for x := range Expert(Experts) {
		t.RMSE[x] = math.NaN()
		if s.seconds > 0 {
			t.RMSE[x] = math.Sqrt(s.square[x] / s.seconds)
			if !math.IsNaN(says[x]) {
				best = min(best, s.mean(x, floor))
			}
		}
	}
	t.Windows = s.windows
	total := 0.0
	for x := range Expert(Experts) {
		t.Weight[x] = 0
		if math.IsNaN(says[x]) {
			continue
		}
		log := math.Log(believed[x])
		if !told {
			log += s.taught[x]
		}
		if x == Persist || x == AtSetPoint {
			side := sides[0]
			if says[x] > mean {
				side = sides[1]
			}
			if far := (says[x] - mean) / side * surely; num.Finite(far) {
				log -= far * far / 2
			}
		}
		if s.seconds > 0 {
			worse := s.mean(x, floor) / best
			sudden := 1.0
			for g := range skills[:len(skills)-1] {
				if skills[g].seconds > 0 {
					sudden = max(sudden, skills[g].suddenly(x, floor))
				}
			}
			log -= evidence * s.windows * math.Log(worse*sudden)
		}
		t.Weight[x] = math.Exp(max(log, -60))
		total += t.Weight[x]
	}
	for x := range t.Weight {
		t.Weight[x] /= total
	}
}
