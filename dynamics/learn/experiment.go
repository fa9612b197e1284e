package learn

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
	"stirwatch/dynamics/system"
)

// What is tried when experiments are ranked.
const (
	warmUpTime = 120.0 // s at the usual working point before an input moves
	afterTime  = 60.0  // and after it has moved back
	gainFrom   = 1.1   // an experiment that shrinks no standard error by this factor is not worth telling
	advices    = 5
	moves      = 0.25 // share of its usual value by which an input is moved at least, within its training range
	hardly     = 0.02 // share of its training range that is no move
)

var holdTimes = []float64{30, 120, 300} // s

// experiments ranks the runs that would tell most of what the data cannot tell: around the usual
// working point of the runs, one input is moved to either end of where it has been while depositing,
// or a little further, and held there, or everything stops. The information of such a run is counted by simulating it with
// the model, in the units of q, and added to what is known (the Fisher information of a planned
// experiment: Ljung, System Identification, 2nd ed. 1999, ch. 13). Those that shrink the standard
// errors of what is known worst come first; doubt is the relative standard error of each free
// parameter, names are theirs.
func (p *problem) experiments(found *model.Model, all *weighing, doubt []float64, names []string) []model.Experiment {
	f, q := all.f, all.q
	m := *f.s.Model
	m.Inputs, m.Outputs = slices.Clone(m.Inputs), found.Outputs
	for k := range m.Inputs {
		m.Inputs[k].Min, m.Inputs[k].Max = p.seen(k)
	}
	usual, low, high, ok := p.workingPoint(&m)
	inv := q.inverse()
	if !ok || inv == nil {
		return nil
	}
	rows := 0.0 // that the information of q is spread over
	for _, r := range f.runs {
		rows += float64(len(r.course.T))
	}
	var out []model.Experiment
	try := func(e model.Experiment, moved []float64) {
		run, inside := planned(&m, usual, moved, e.Hold)
		if !inside {
			return // it would leave what the model was trained on
		}
		more := newFitter(f.s, []*fitRun{newFitRun(&m, run, nil)}).evaluate(all.theta, sums)
		sum := newNormalEquations(len(f.free))
		for i := range q.a {
			sum.a[i] = q.a[i] + float64(len(run.Time))/rows*more.a[i]
		}
		after := sum.inverse()
		if after == nil {
			return
		}
		best := make([]int, 0, len(f.free))
		gain := make([]float64, len(f.free))
		for i := range gain {
			gain[i] = math.Sqrt(inv.At(i, i) / after.At(i, i))
			e.Worth += math.Log(gain[i]) * min(1, doubt[i]) / float64(len(run.Time)) * 3600
			if gain[i] >= gainFrom && doubt[i] >= doubtFrom/2 {
				best = append(best, i)
			}
		}
		if len(best) == 0 {
			return
		}
		slices.SortFunc(best, func(a, b int) int { return cmp.Compare(gain[b], gain[a]) })
		e.Gain = gain[best[0]]
		for _, i := range best[:min(3, len(best))] {
			e.Settles = append(e.Settles, names[i])
		}
		e.Text += fmt.Sprintf(": the standard error of %s shrinks to %.0f %%", called(&m, e.Settles[0]), 100/e.Gain)
		out = append(out, e)
	}
	for _, hold := range holdTimes {
		for k := range m.Inputs {
			in := &m.Inputs[k]
			if found.MovedBy(in.Name) {
				continue // a controller sets these
			}
			margin := model.RangeMargin * (in.Max - in.Min)
			for _, to := range []float64{
				max(in.Min-margin, min(low[k], usual[k]-moves*math.Abs(usual[k]))),
				min(in.Max+margin, max(high[k], usual[k]+moves*math.Abs(usual[k]))),
			} {
				if math.Abs(to-usual[k]) < hardly*(in.Max-in.Min) {
					continue
				}
				moved := slices.Clone(usual)
				moved[k] = to
				text := fmt.Sprintf("deposit as usual, move %s from %s to %s %s for %.0f s, and back", in.Name, number(usual[k]), number(to), in.Unit, hold)
				try(model.Experiment{Input: in.Name, From: usual[k], To: to, Unit: in.Unit, Hold: hold, Text: text}, moved)
			}
		}
		try(model.Experiment{Input: everything, Hold: hold, Text: fmt.Sprintf("deposit as usual, stop everything for %.0f s, and go on", hold)}, make([]float64, len(usual)))
	}
	slices.SortStableFunc(out, func(a, b model.Experiment) int { return cmp.Compare(b.Worth, a.Worth) })
	var told []model.Experiment // the same move is told once, with the time that is worth most
	for _, e := range out {
		if !slices.ContainsFunc(told, func(t model.Experiment) bool { return t.Input == e.Input && t.To == e.To }) && len(told) < advices {
			told = append(told, e)
		}
	}
	return told
}

// called is what people call the parameter or candidate of a name.
func called(m *model.Model, name string) string {
	if p := m.ParameterNamed(name); p != nil && p.Text != "" {
		return fmt.Sprintf("%s (%s)", name, p.Text)
	}
	return name
}

// everything is Experiment.Input where all inputs go to zero.
const everything = "everything"

func number(v float64) string { return fmt.Sprintf("%.4g", v+0) }

// workingPoint is the median, and the range from 5 to 95 %, of every input over the rows above
// Output.ScoreAbove in contact, where the hypotheses know contact.
func (p *problem) workingPoint(m *model.Model) (usual, low, high []float64, ok bool) {
	values := make([][]float64, len(m.Inputs))
	s := system.Compile(m)
	for _, r := range p.runs {
		run, err := r.For(m)
		if err != nil {
			return nil, nil, nil, false
		}
		t := score.NewTrack(s, run)
		for i, z := range run.Z[0] {
			if !(z > m.Outputs[0].Above()) || s.Contact >= 0 && t.Drive[i*s.Drives()+s.Contact] < 0.5 {
				continue
			}
			for k := range values {
				if v := run.U[k][i]; num.Finite(v) {
					values[k] = append(values[k], v)
				}
			}
		}
	}
	for _, v := range values {
		n := len(v)
		if n == 0 {
			return nil, nil, nil, false
		}
		slices.Sort(v)
		usual, low, high = append(usual, v[n/2]), append(low, v[n/20]), append(high, v[n-1-n/20])
	}
	return usual, low, high, true
}

// planned is an experiment as a run: inputs as usual, then moved for hold seconds, and back, with the
// temperatures that the model expects; false where these leave the training range.
func planned(m *model.Model, usual, moved []float64, hold float64) (*runs.Run, bool) {
	rows := int(warmUpTime + hold + afterTime)
	r := &runs.Run{Name: "planned", U: make([][]float64, len(usual)), Z: num.Zeros(len(m.Outputs), rows)}
	for i := range rows {
		r.Time = append(r.Time, float64(i))
		u := usual
		if float64(i) >= warmUpTime && float64(i) < warmUpTime+hold {
			u = moved
		}
		for j, v := range u {
			r.U[j] = append(r.U[j], v)
		}
	}
	for o, z := range r.Z {
		for i := range z {
			z[i] = (m.Outputs[o].Min + 3*m.Outputs[o].Max) / 4
		}
	}
	inside := true
	err := score.OpenLoop(m, r, 0, rows, func(row score.Row) {
		out := &m.Outputs[row.Output]
		margin := model.RangeMargin * (out.Max - out.Min)
		inside = inside && row.Forecast > out.Min-margin && row.Forecast < out.Max+margin
		r.Z[row.Output][row.Target] = row.Forecast
	})
	return r, err == nil && inside
}
