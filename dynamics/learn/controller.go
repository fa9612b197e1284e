package learn

import (
	"math"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
)

const (
	nearSetPoint = 40.0 // K from the set-point within which the controller is taken to be in its usual way
	freeMargin   = 0.01 // share of the highest speed within which of a limit a speed is not free to move
	longestRow   = 3.0  // s; what a controller did in a longer one is not told by its ends
)

// The lags that are tried, s, and what share of the unexplained moves a longer one must leave at most to be believed.
const (
	longestLag  = 2.0
	lagStep     = 0.25
	clearlyLess = 0.98
)

// controlled tells if the machine's controller has a set-point in row i.
func controlled(r *runs.Run, i int) bool { return r.SetPoint != nil && r.SetPoint[i] > 0 }

// identifyController finds the gains of a controller in velocity form that turns the spindle,
//
//	n(t) − n(t−Δt) = −rate·(T(t−lag) − T(t−lag−Δt)) − err·(T̄(t−lag) − T_set)·Δt
//
// with rate in rpm/K and err in rpm/(K s), by least squares over the rows in which it was free to move:
// near its set-point, away from the limits of p and slower than its slew. A log samples reading and speed
// one after the other, so that the lag is between none and [longestLag]; it is the one that leaves least
// unexplained, and without it the rate gain comes out too small. speed is the column of the spindle speed. A
// controller pulls towards its set-point, so neither gain is below zero. ok is false where fewer than
// planRows rows tell, or these cannot tell the two apart.
func identifyController(all []*runs.Run, speed int, p *model.Plan) (rate, err float64, ok bool) {
	least := math.Inf(1)
	for lag := 0.0; lag <= longestLag; lag += lagStep {
		var f controllerFit
		for _, r := range all {
			f.add(r, speed, p, lag)
		}
		if a, b, left, solved := f.solve(); solved && left < least*clearlyLess {
			rate, err, least, ok = a, b, left, true
		}
	}
	return rate, err, ok
}

// controllerFit is a linear regression of moves of the spindle on those of the temperature and its error.
type controllerFit struct {
	xx, xy, yy, xd, yd, dd float64
	moves                  int
}

// add takes the rows of r in which the controller was free to move, which are the same at every lag.
func (f *controllerFit) add(r *runs.Run, speed int, p *model.Plan, lag float64) {
	margin := freeMargin * p.Max
	z := r.Z[0]
	at := func(t float64, i int) float64 { // reading at a time at or before row i
		for i > 0 && r.Time[i-1] >= t {
			i--
		}
		if i == 0 || r.Time[i]-r.Time[i-1] > longestRow {
			return math.NaN()
		}
		return z[i] + (t-r.Time[i])/(r.Time[i]-r.Time[i-1])*(z[i]-z[i-1])
	}
	for i := 1; i < len(r.Time); i++ {
		n0, n1 := math.Abs(r.U[speed][i-1]), math.Abs(r.U[speed][i])
		dt := r.Time[i] - r.Time[i-1]
		if !controlled(r, i) || !controlled(r, i-1) || dt > longestRow || !num.Finite(n0, n1, z[i], at(r.Time[i-1]-longestLag, i-1)) ||
			math.Abs(z[i]-r.SetPoint[i]) > nearSetPoint || math.Abs(n1-n0) > 0.9*p.Slew*dt ||
			min(n0, n1) < p.Min+margin || max(n0, n1) > p.Max-margin {
			continue
		}
		now, before := at(r.Time[i]-lag, i), at(r.Time[i-1]-lag, i-1)
		if !num.Finite(now, before) {
			continue
		}
		x, y, d := before-now, (r.SetPoint[i]-(now+before)/2)*dt, n1-n0
		f.xx, f.xy, f.yy = f.xx+x*x, f.xy+x*y, f.yy+y*y
		f.xd, f.yd, f.dd = f.xd+x*d, f.yd+y*d, f.dd+d*d
		f.moves++
	}
}

// solve gives the gains, neither below zero, and what they leave unexplained by row, (rpm)².
func (f *controllerFit) solve() (rate, err, left float64, ok bool) {
	det := f.xx*f.yy - f.xy*f.xy
	if f.moves < planRows || det <= 1e-9*f.xx*f.yy {
		return 0, 0, 0, false
	}
	rate, err = max(0, (f.xd*f.yy-f.yd*f.xy)/det), max(0, (f.yd*f.xx-f.xd*f.xy)/det)
	left = f.dd - 2*(rate*f.xd+err*f.yd) + rate*rate*f.xx + 2*rate*err*f.xy + err*err*f.yy
	return rate, err, max(0, left) / float64(f.moves), true
}
