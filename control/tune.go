package control

import (
	"fmt"
	"math"
)

// Response is what a step of the target by 1 unit does to the output: a gain that is approached after a dead time
// with a time constant.
type Response struct {
	Gain float64 // units of output for one of the target
	Tau  float64 // s
	Dead float64 // s
}

// Identify reads a response off a simulated step: y is by how much the output has moved at each instant of t
// (s, rising, from 0) after the target was moved by size. The times of 28.3 % and 63.2 % of the last value
// give time constant and dead time (Smith, Digital Computer Process Control, 1972).
func Identify(t, y []float64, size float64) (Response, error) {
	last := y[len(y)-1]
	if !(math.Abs(last) > 1e-9) {
		return Response{}, fmt.Errorf("a step of the target moves nothing within %g s", t[len(t)-1])
	}
	when := func(share float64) float64 {
		for i := 1; i < len(y); i++ {
			if y[i]/last >= share {
				return t[i-1] + (t[i]-t[i-1])*(share-y[i-1]/last)/((y[i]-y[i-1])/last)
			}
		}
		return t[len(t)-1]
	}
	t28, t63 := when(0.283), when(0.632)
	tau := max(1.5*(t63-t28), 1e-3)
	return Response{Gain: last / size, Tau: tau, Dead: max(0, t63-tau)}, nil
}

// Tuning is a proposal of gains with what it promises.
type Tuning struct {
	Gains
	GainMargin  float64 // by which the gain may grow before the loop swings; +Inf: any
	PhaseMargin float64 // degrees
}

// Tune proposes gains of a PI by the rules of Skogestad (J. Process Control 13, 2003, SIMC): tight is the time
// constant of the closed loop over what the dead time and the beat of the loop allow, 1 being tight with good
// margins and more being calmer. every is the time between two commands, s: half of it acts as dead time.
func (r Response) Tune(tight, every float64) Tuning {
	dead := max(r.Dead+every/2, 0.01*r.Tau)
	closed := tight * dead
	t := Tuning{Gains: Gains{Gain: r.Tau / (r.Gain * (closed + dead)), Integral: min(r.Tau, 4*(closed+dead)), Weight: 1}}
	t.GainMargin, t.PhaseMargin = r.margins(t.Gains, dead)
	return t
}

// loop is the size and the angle (rad) of an open loop at a frequency (rad/s).
type loop func(w float64) (size, angle float64)

// margins of a PI with the response.
func (r Response) margins(g Gains, dead float64) (gain, phase float64) {
	return loop(func(w float64) (size, angle float64) {
		size = math.Abs(g.Gain*r.Gain) * math.Hypot(1, 1/(w*g.Integral)) / math.Hypot(1, w*r.Tau)
		return size, -math.Atan(1/(w*g.Integral)) - math.Atan(w*r.Tau) - w*dead
	}).margins()
}

// margins are found on the frequencies where the loop has a gain of 1 and a phase of −180°.
func (at loop) margins() (gain, phase float64) {
	cross := func(beyond func(w float64) bool) float64 { // the first frequency beyond, by halving
		low, high := 1e-6, 1e6
		for range 200 {
			if mid := math.Sqrt(low * high); beyond(mid) {
				high = mid
			} else {
				low = mid
			}
		}
		return high
	}
	_, angle := at(cross(func(w float64) bool { size, _ := at(w); return size < 1 }))
	size, _ := at(cross(func(w float64) bool { _, a := at(w); return a < -math.Pi }))
	return 1 / size, 180 + angle*180/math.Pi
}
