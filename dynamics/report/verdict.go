package report

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strings"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/score"
)

// verdict says how far ahead the forecasts may be used, as `score` does, and chooses the pictures that stand beside it.
func (r *Report) verdict(p *page) {
	var figures []model.Skill
	for o := range r.m.Outputs {
		out := r.m.Outputs[o].Name
		for _, t := range r.runs {
			if t.out.Name == out {
				figures = append(figures, t.live...)
			}
		}
		for _, k := range r.m.Skill { // of runs left out in learning
			if shown := slices.ContainsFunc(r.runs, func(t *runReport) bool { return t.Name == k.Run && !t.learned }); k.HeldOut && !shown && r.isOf(&k, out) {
				k.Output = out
				figures = append(figures, k)
			}
		}
	}
	p.Verdict = strings.Split(score.InShort(figures), "\n")
	for i := range p.Shown {
		v := &p.Shown[i]
		if v.Leading && (p.Look == nil || !v.Learned) && v.Look != nil {
			p.Look = v.Look
			p.Flows = v.Flows
			if !v.Learned {
				return
			}
		}
	}
}

// headline says in plain words how good the forecasts are where they prove something: first of the leading output, of
// which the page has a table as well, then of the others.
func (r *Report) headline(p *page) {
	lead := r.m.LeadingIndex()
	r.headlineOf(p, &r.m.Outputs[lead], true)
	for o := range r.m.Outputs {
		if o != lead {
			r.headlineOf(p, &r.m.Outputs[o], false)
		}
	}
	if len(p.Headline) == 0 {
		p.Headline = []sentence{{Head: fmt.Sprintf("No row of the runs shown could be scored %g s ahead: nothing can be said about its forecasts.", headHorizons[0])}}
	}
}

func (r *Report) headlineOf(p *page, out *model.Output, leading bool) {
	proof := r.proof(out.Name)
	inSample := len(proof) == 0
	if inSample {
		for _, t := range r.runs {
			if t.out.Name == out.Name {
				proof = append(proof, r.tables(t)...)
			}
		}
	}
	var rows []headRow
	for _, windows := range r.windows() {
		for _, h := range headHorizons {
			row := headRow{Windows: windows, Horizon: h, Known: pooled(proof, filter.Known, windows, h), Plan: pooled(proof, filter.Planned, windows, h), Held: pooled(proof, filter.Held, windows, h)}
			if row.Known == nil {
				continue
			}
			row.Count = row.Known.Count
			// A way that not every run has cannot stand beside one that all have.
			if row.Plan != nil && row.Plan.Count != row.Count {
				row.Plan = nil
			}
			if row.Held != nil && row.Held.Count != row.Count {
				row.Held = nil
			}
			rows = append(rows, row)
			if leading {
				p.PlanProved = p.PlanProved || row.Plan != nil
				p.HasSetPoint = p.HasSetPoint || row.Known.SetPoint > 0
			}
		}
	}
	if leading {
		p.InSample, p.ProofRuns, p.Proof = inSample, len(proof), rows
		if inSample {
			p.ProofRuns = 0
		}
	}
	turns := 0 // runs that were held out in learning
	for _, s := range proof {
		if s.turn {
			turns++
		}
	}
	where := fmt.Sprintf("On %s that it was not learned from, the model forecasts", count(len(proof), "run", "runs"))
	switch {
	case inSample:
		where = "On the very runs that it was learned from (there is nothing else to judge by), the model forecasts"
	case turns == len(proof):
		where = fmt.Sprintf("On %s left out in turn, models of the other runs forecast", count(turns, "run", "runs"))
	case turns > 0:
		where = fmt.Sprintf("On %s not learned from (%d of them left out in turn and forecast by models of the others), the model forecasts", count(len(proof), "run", "runs"), turns)
	}
	for _, windows := range r.windows() {
		q := sentence{Head: where + " the " + out.Name + " with a root mean square error of"}
		if windows == model.OnePhase {
			q.Head = "Within one phase, where no start or stop makes the baselines look weak:"
		}
		for _, row := range rows {
			if row.Windows != windows {
				continue
			}
			text := amount(row.Known.RMSE, out.Unit) + " with the inputs to come known"
			if row.Plan != nil {
				text = amount(row.Plan.RMSE, out.Unit) + " by the plan, " + text
			}
			text += fmt.Sprintf("; persistence has %s", amount(row.Known.Persistence, out.Unit))
			if row.Known.SetPoint > 0 {
				text += fmt.Sprintf(", “T = set-point” %s", amount(row.Known.SetPoint, out.Unit))
			}
			q.Items = append(q.Items, fmt.Sprintf("%g s ahead: %s.", row.Horizon, text))
		}
		if len(q.Items) > 0 {
			p.Headline = append(p.Headline, q)
		}
	}
}

// doubts lists what a reader should not take on trust.
func (r *Report) doubts() []string {
	var out remarks
	proof := r.proof(r.m.Outputs[r.m.LeadingIndex()].Name)
	switch {
	case len(proof) == 0:
		out.add("Nothing is proved: every run shown was learned from, and none was held out. Learn from two runs or more, or make this report on one that it has not seen.")
	case len(proof) == 1:
		out.add("Only one run speaks for forecasts on runs not learned from.")
	}
	for o, output := range r.m.Outputs {
		if o != r.m.LeadingIndex() {
			proof = append(proof, r.proof(output.Name)...)
		}
	}
	for _, n := range r.m.NotJudged {
		out.add("How the equation does on %s when it has not seen it is unknown: of the other runs no model can be learned (%s).", n.Run, n.Why)
	}
	for _, u := range r.m.Unexplained() {
		out.add("%s", u)
	}
	r.doubtForecasts(&out, proof)
	r.doubtIntervals(&out, proof)
	r.doubtNumbers(&out)
	for _, row := range r.ranges() {
		for _, q := range row.Runs {
			if q.Outside > 0.01 {
				out.add("%s: %s of the rows have %s outside the training range.", q.Name, percent(q.Outside), row.Name)
			}
		}
	}
	if e := r.m.Evidence; e != nil {
		var shaky []string
		for _, c := range e.Candidates {
			if c.Verdict == model.Kept && c.Inclusion < 0.8 {
				shaky = append(shaky, fmt.Sprintf("%s (%s)", c.Name, percent(c.Inclusion)))
			}
		}
		if len(shaky) > 0 {
			out.add("Kept, but not in every resample: %s.", strings.Join(shaky, ", "))
		}
	} else {
		out.add("The document carries no evidence on its candidates.")
	}
	return out
}

// remarks are sentences for people.
type remarks []string

func (r *remarks) add(format string, args ...any) { *r = append(*r, fmt.Sprintf(format, args...)) }

// nameOf is what a table of skill is of: the run, with the output where there are several.
func (r *Report) nameOf(s *skillTable) string {
	if len(r.m.Outputs) > 1 {
		return s.run + ", " + s.output
	}
	return s.run
}

// doubtForecasts tells where a baseline is better.
func (r *Report) doubtForecasts(out *remarks, proof []skillTable) {
	for _, windows := range r.windows() {
		for _, w := range []struct {
			way  filter.Way
			says string
		}{{filter.Known, "with known inputs"}, {filter.Held, "with inputs held"}, {filter.Planned, "by the plan"}} {
			var worse []string
			for _, s := range proof {
				for _, h := range score.Horizons {
					if k := s.find(w.way, windows, h); k != nil && k.Count > 0 && better(k) == "bad" {
						worse = append(worse, fmt.Sprintf("%s at %g s", r.nameOf(&s), h))
					}
				}
			}
			if len(worse) > 0 {
				out.add("A baseline is better than the forecast %s (%s): %s.", w.says, windows, strings.Join(worse, ", "))
			}
		}
	}
}

// doubtIntervals tells where the intervals of 95 % hold more or less than that.
func (r *Report) doubtIntervals(out *remarks, proof []skillTable) {
	lo, hi, narrow := math.Inf(1), math.Inf(-1), ""
	for _, s := range proof {
		for _, k := range s.rows {
			if k.Count > 0 && k.Windows == model.AllRows {
				if k.Coverage < lo {
					lo, narrow = k.Coverage, fmt.Sprintf("%s, inputs %s, at %g s", r.nameOf(&s), k.Way, k.Horizon)
				}
				hi = max(hi, k.Coverage)
			}
		}
	}
	switch {
	case lo > 0.98 && lo <= hi:
		out.add("The intervals are wider than they need be: more than %s of the measurements lie inside those of 95 %%.", percent(lo))
	case lo < 0.92:
		out.add("The intervals are too narrow: of 95 %% of the measurements that should lie inside, %s do in the worst case (%s), %s in the best.", percent(lo), narrow, percent(hi))
	}
}

// doubtNumbers tells which coefficients and parameters may be zero, and which people have bounded.
func (r *Report) doubtNumbers(out *remarks) {
	var vague, bound []string
	for _, t := range r.m.Terms {
		if !t.Fixed && (t.Coefficient == 0 || t.Coefficient < 2*t.StdErr) {
			vague = append(vague, t.Name+" ("+t.State+")")
		}
	}
	for _, q := range r.m.Parameters {
		switch {
		case q.Fixed:
		case q.Value <= q.Min || q.Value >= q.Max:
			bound = append(bound, q.Name)
		case math.Abs(q.Value) < 2*q.StdErr:
			vague = append(vague, q.Name)
		}
	}
	if len(vague) > 0 {
		out.add("Less than two standard errors from zero: %s. The sum of what acts together may be sure all the same.", strings.Join(vague, ", "))
	}
	if len(bound) > 0 {
		out.add("At a bound that people set, so that the data want it elsewhere or cannot tell it: %s.", strings.Join(bound, ", "))
	}
}

// growth classes by how much an error grows against base: what the colours of the table say.
func growth(by, base float64) string {
	switch share := by / base; {
	case !finite(share):
		return ""
	case share <= -0.01:
		return "less"
	case share < 0.01:
		return "same"
	case share < 0.05:
		return "more1"
	case share < 0.2:
		return "more2"
	}
	return "more3"
}

// better is "good" if a forecast beats every baseline, "bad" if not, and empty where nothing was forecast.
func better(k *model.Skill) string {
	if k == nil || k.Count == 0 {
		return ""
	}
	if k.RMSE < k.Persistence && (k.SetPoint == 0 || k.RMSE < k.SetPoint) {
		return "good"
	}
	return "bad"
}

// overBaseline is the skill over persistence and, where there is one, the set-point.
func overBaseline(k *model.Skill) string {
	text := fmt.Sprintf("%.2f", k.OverPersistence())
	if k.SetPoint > 0 {
		text += fmt.Sprintf(" / %.2f", k.OverSetPoint())
	}
	return strings.ReplaceAll(text, "-", "−")
}
