package score

import (
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

// Response is the rate of the state that an output is about while one quantity sweeps its training range and all
// others stay at a working point.
type Response struct {
	Name, Symbol, Unit string
	RateUnit           string // of Total and Part
	Usual              float64
	X                  []float64   // the sweep, in Unit
	Total              []float64   // rate of the state at each of X
	Term               []string    // its terms
	Part               [][]float64 // by term, then X; they add up to Total
}

// WorkingPoint is where the others stay: medians over the rows of a run in one phase, those of the
// states as the filter followed them.
type WorkingPoint struct {
	Phase phase.Phase
	Rows  int       // that the medians are of
	U     []float64 // as Model.Inputs
	X     []float64 // as Model.States
}

// Work finds the working point of rows from ≤ i < to: the medians while depositing, or, where the run
// has fewer than 30 such rows, in the busiest phase of which it has as many. A run in which the filter
// can follow nothing is an error.
func Work(m *model.Model, run *runs.Run, from, to int) (*WorkingPoint, error) {
	run, err := checkRange(m, run, from, to)
	if err != nil {
		return nil, err
	}
	const enough = 30
	phases := NewTrack(system.Compile(m), run).Phases()
	rows := map[phase.Phase]int{}
	for _, p := range phases[from:to] {
		rows[p]++
	}
	w := &WorkingPoint{}
	for p := range phase.Deposit + 1 {
		if n := rows[p]; n >= enough || n > rows[w.Phase] {
			w.Phase = p
		}
	}
	us, xs := make([][]float64, len(run.U)), make([][]float64, len(m.States))
	RunFilter(filter.New(m), run, from, to, func(i int, est *filter.Estimate) {
		if phases[i] != w.Phase || est.Blind {
			return
		}
		for k := range us {
			if !num.Finite(run.U[k][i]) {
				return
			}
		}
		w.Rows++
		for k := range us {
			us[k] = append(us[k], run.U[k][i])
		}
		for k := range xs {
			xs[k] = append(xs[k], est.X[k])
		}
	})
	if w.Rows == 0 {
		return nil, fmt.Errorf("run %s: no rows in which the filter can follow the process", run.Name)
	}
	for _, v := range us {
		w.U = append(w.U, num.Median(v))
	}
	for _, v := range xs {
		w.X = append(w.X, num.Median(v))
	}
	return w, nil
}

// Responses sweeps every input over its training range in n steps, and last the state that output o is about over
// that of the outputs of its unit, the rest being at w. The dead time and the sensor play no part: it is what the
// equation says of an instant. n must be 2 or more.
func Responses(m *model.Model, w *WorkingPoint, o, n int) ([]Response, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if len(w.U) != len(m.Inputs) || len(w.X) != len(m.States) || n < 2 {
		return nil, fmt.Errorf("working point has %d inputs and %d states, the model %d and %d; %d points of a sweep, at least 2 are needed", len(w.U), len(w.X), len(m.Inputs), len(m.States), n)
	}
	s := system.Compile(m)
	step := s.Stepper()
	of := s.Observed[o]
	first := &m.States[of]
	scale := s.Scale[of]
	d, x, rate := make([]float64, s.Drives()), make([]float64, s.NX), make([]float64, s.NX)
	sweep := func(name, symbol, unitName string, usual, lo, hi float64, set func(u, x []float64, at float64)) Response {
		r := Response{Name: name, Symbol: symbol, Unit: unitName, RateUnit: rateUnit(first.Unit), Usual: usual}
		var terms []int
		for i := range m.Terms {
			if m.Terms[i].State == first.Symbol {
				terms = append(terms, i)
				r.Term = append(r.Term, m.Terms[i].Name)
			}
		}
		r.Part = make([][]float64, len(terms))
		for k := range n {
			at := lo + (hi-lo)*float64(k)/float64(n-1)
			u, states := slices.Clone(w.U), slices.Clone(w.X)
			set(u, states, at)
			for i := range x {
				x[i] = states[i]*s.Scale[i] + s.Offset[i]
			}
			step.Drive(d, u)
			step.Act(d)
			step.Rates(rate, x)
			r.X, r.Total = append(r.X, at), append(r.Total, rate[of]/scale)
			for j, i := range terms {
				r.Part[j] = append(r.Part[j], step.Term(i)/scale)
			}
		}
		return r
	}
	var out []Response
	for i, in := range m.Inputs {
		out = append(out, sweep(in.Name, in.Symbol, in.Unit, w.U[i], in.Min, in.Max, func(u, _ []float64, at float64) { u[i] = at }))
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, o := range m.Outputs { // those that show a temperature close to it: the first state's own unit
		if o.Unit == first.Unit {
			lo, hi = min(lo, o.Min), max(hi, o.Max)
		}
	}
	if lo < hi {
		out = append(out, sweep(first.Name, first.Symbol, first.Unit, w.X[of], lo, hi, func(_, x []float64, at float64) { x[of] = at }))
	}
	return out, nil
}

// rateUnit is the unit of the rate of something in unitName: temperatures change by K.
func rateUnit(unitName string) string {
	if unitName == "°C" {
		unitName = "K"
	}
	if unitName == "1" {
		return "1/s"
	}
	return unitName + "/s"
}
