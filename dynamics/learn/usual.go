package learn

import (
	"math"
	"slices"
	"strconv"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
	"stirwatch/dynamics/system"
)

// leastUsual is how long a phase must have been seen before anything is usual in it, s.
const leastUsual = 120.0

// learnUsual finds in which range what is measured was in the phases that a build rests in; all are runs in the columns of m.
func learnUsual(m *model.Model, all []*runs.Run) (out []model.Usual) {
	s := system.Compile(m)
	phases := make([][]phase.Phase, len(all))
	for i, r := range all {
		phases[i] = score.NewTrack(s, r).Phases()
	}
	for _, in := range []phase.Phase{phase.Prime, phase.Deposit} {
		add := func(name, unit string, column func(*runs.Run) []float64) {
			var means []float64
			seconds := 0.0
			for k, r := range all {
				var mean phase.Mean
				for i, v := range column(r) {
					dt := 0.0
					if i > 0 {
						dt = r.Time[i] - r.Time[i-1]
					}
					if mean.Step(dt, phases[k][i], v) && phases[k][i] == in && num.Finite(v) {
						means, seconds = append(means, mean.Value), seconds+dt
					}
				}
			}
			if seconds < leastUsual {
				return
			}
			slices.Sort(means)
			at := func(p float64) float64 { return rounded(means[int(p*float64(len(means)-1)+0.5)]) }
			out = append(out, model.Usual{Phase: in.String(), Name: name, Unit: unit, Low: at(0.01), High: at(0.99), Hours: rounded(seconds / 3600)})
		}
		for k, x := range m.Inputs {
			add(x.Name, x.Unit, func(r *runs.Run) []float64 { return r.U[k] })
		}
		for k, x := range m.Outputs {
			add(x.Name, x.Unit, func(r *runs.Run) []float64 { return r.Z[k] })
		}
	}
	return out
}

// rounded is a number of four digits, for people to read.
func rounded(v float64) float64 {
	if r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64); err == nil {
		return r
	}
	return math.NaN()
}
