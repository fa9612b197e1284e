package control

import (
	"fmt"
	"math"
	"math/cmplx"

	"stirwatch/dynamics/model"
)

// Response is what a step of the target by 1 unit does to the output: a gain that is approached after a dead time
// with a time constant, or with two.
type Response struct {
	Gain float64 // units of output for one of the target
	Tau  float64 // s
	Dead float64 // s
	Lag  float64 // s, the second time constant, at most Tau; 0: there is none
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

// identifyLag is [Identify] with two time constants: those and the dead time with which the squares of what is off the step are least, found
// by a search that begins with one time constant and halves its paces.
func identifyLag(t, y []float64, size float64) (Response, error) {
	r, err := Identify(t, y, size)
	if err != nil {
		return r, err
	}
	last := y[len(y)-1]
	off := func(x *[3]float64) (sum float64) {
		if x[0] < x[1] || x[1] < 0 || x[2] < 0 {
			return math.Inf(1)
		}
		c := Response{Gain: 1, Tau: x[0], Lag: x[1], Dead: x[2]}
		for i := 1; i < len(t); i++ {
			e := y[i]/last - c.after(t[i])
			sum += (t[i] - t[i-1]) * e * e
		}
		return sum
	}
	x := [3]float64{r.Tau, 0, r.Dead}
	least := off(&x)
	for pace := r.Tau / 2; pace > 1e-3*r.Tau; {
		better := false
		for way := range 27 { // dead time and lags act alike: the way down is seldom along one of them
			next := x
			for k, n := 0, way; k < 3; k, n = k+1, n/3 {
				next[k] += pace * float64(n%3-1)
			}
			if v := off(&next); v < least {
				x, least, better = next, v, true
			}
		}
		if !better {
			pace /= 2
		}
	}
	r.Tau, r.Lag, r.Dead = x[0], x[1], x[2]
	return r, nil
}

// after is what a step by 1 has done after t s.
func (r Response) after(t float64) float64 {
	t -= r.Dead
	switch {
	case t <= 0:
		return 0
	case r.Lag == 0:
		return -r.Gain * math.Expm1(-t/r.Tau)
	case r.Tau-r.Lag < 1e-6*r.Tau:
		return r.Gain * (1 - (1+t/r.Tau)*math.Exp(-t/r.Tau))
	}
	return r.Gain * (1 - (r.Tau*math.Exp(-t/r.Tau)-r.Lag*math.Exp(-t/r.Lag))/(r.Tau-r.Lag))
}

// Tuning is a proposal of gains with what it promises.
type Tuning struct {
	Gains
	GainMargin  float64 // by which the gain may grow before the loop swings; +Inf: any
	PhaseMargin float64 // degrees
}

// Tune proposes gains by the rules of Skogestad (J. Process Control 13, 2003, SIMC): tight is the time
// constant of the closed loop over what the dead time and the beat of the loop allow, 1 being tight with good
// margins and more being calmer. every is the time between two commands, s: half of it acts as dead time. A second time constant that
// is longer than the dead time is answered by derivative action, one that is shorter counts by half as dead time and by half with the first one.
func (r Response) Tune(tight, every float64) Tuning {
	late := max(r.Dead+every/2, 0.01*r.Tau)
	dead, tau, derivative := late, r.Tau, 0.0
	if r.Lag > dead {
		derivative = r.Lag
	} else {
		dead, tau = dead+r.Lag/2, tau+r.Lag/2
	}
	closed := tight * dead
	integral := min(tau, 4*(closed+dead))
	// The rules are for actions one after the other, the gains for actions side by side (his eq. 36).
	both := 1 + derivative/integral
	t := Tuning{Gains: Gains{Gain: both * tau / (r.Gain * (closed + dead)), Integral: both * integral, Derivative: derivative / both, Weight: 1}}
	t.GainMargin, t.PhaseMargin = loop(func(w float64) (size, angle float64) {
		open := t.Gains.at(w) * complex(r.Gain, 0) / (complex(1, w*r.Tau) * complex(1, w*r.Lag))
		return cmplx.Abs(open), math.Remainder(cmplx.Phase(open)+math.Pi/2, 2*math.Pi) - math.Pi/2 - w*late // without the dead time between −270° and 90°
	}).margins()
	return t
}

// OnSpindle proposes gains of a PID on the spindle by what a model has learned, for where it usually deposits; every is the time between two
// commands, s.
func OnSpindle(m *model.Model, every float64) (Tuning, error) {
	p := WorkingPoint{Output: model.ToolTemperature, Moves: model.SpindleSpeed, Value: math.NaN()}
	r, err := p.RespondWithLag(m)
	if err != nil {
		return Tuning{}, err
	}
	return r.Tune(1, every), nil
}

// at is what a PID does to an error that swings with w rad/s.
func (g Gains) at(w float64) complex128 {
	s := complex(0, w)
	return complex(g.Gain, 0) * (1 + 1/(s*complex(g.Integral, 0)) + s*complex(g.Derivative, 0)/(1+s*complex(g.Derivative*filterShare, 0)))
}

// loop is the size and the angle (rad) of an open loop at a frequency (rad/s).
type loop func(w float64) (size, angle float64)

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
