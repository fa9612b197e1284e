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

// controlled tells if the machine's controller has a set-point in row i.
func controlled(r *runs.Run, i int) bool { return r.SetPoint != nil && r.SetPoint[i] > 0 }

// identifyController finds the gains of a controller in velocity form that turns the spindle,
//
//	n(i) − n(i−1) = −rate·(T(i) − T(i−1)) − err·(T̄ − T_set)·Δt
//
// with rate in rpm/K and err in rpm/(K s), by least squares over the rows in which it was free to move:
// near its set-point, away from the limits of p and slower than its slew. speed is the column of the
// spindle speed. A controller pulls towards its set-point, so neither gain is below zero. ok is false
// where fewer than planRows rows tell, or these cannot tell the two apart.
func identifyController(all []*runs.Run, speed int, p *model.Plan) (rate, err float64, ok bool) {
	var xx, xy, yy, xd, yd float64
	moves := 0
	margin := freeMargin * p.Max
	for _, r := range all {
		for i := 1; i < len(r.Time); i++ {
			n0, n1 := math.Abs(r.U[speed][i-1]), math.Abs(r.U[speed][i])
			dt := r.Time[i] - r.Time[i-1]
			if !controlled(r, i) || !controlled(r, i-1) || dt > longestRow || !num.Finite(n0, n1, r.Z[0][i], r.Z[0][i-1]) ||
				math.Abs(r.Z[0][i]-r.SetPoint[i]) > nearSetPoint || math.Abs(n1-n0) > 0.9*p.Slew*dt ||
				min(n0, n1) < p.Min+margin || max(n0, n1) > p.Max-margin {
				continue
			}
			x := -(r.Z[0][i] - r.Z[0][i-1])
			y := -((r.Z[0][i]+r.Z[0][i-1])/2 - r.SetPoint[i]) * dt
			xx, xy, yy = xx+x*x, xy+x*y, yy+y*y
			xd, yd = xd+x*(n1-n0), yd+y*(n1-n0)
			moves++
		}
	}
	det := xx*yy - xy*xy
	if moves < planRows || det <= 1e-9*xx*yy {
		return 0, 0, false
	}
	return max(0, (xd*yy-yd*xy)/det), max(0, (yd*xx-xd*xy)/det), true
}
