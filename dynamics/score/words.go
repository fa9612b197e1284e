package score

import (
	"fmt"
	"math"
	"strings"

	"stirwatch/dynamics/model"
)

// Table shows the comparison line by line, for people. Verdicts and intervals stand in it only where the
// comparison is fair: where neither model was learned from the runs.
func (c *Comparison) Table(fair bool) string {
	var b strings.Builder
	last := ""
	for _, l := range c.Lines {
		if l.Windows != last {
			fmt.Fprintf(&b, "  %s, %s, RMSE in %s, %.1f blocks of %g s\n  horizon  windows   in use      new  new − in use (95 %%)        verdict          inside 95 %%: in use     new\n", c.Output, l.Windows, c.Unit, l.Blocks, c.Block)
			last = l.Windows
		}
		if l.Count == 0 {
			fmt.Fprintf(&b, "  %5.4g s  %7d        –        –  –\n", l.Horizon, l.Count)
			continue
		}
		verdict, interval := "–", fmt.Sprintf("%+.2f", l.Difference.Value)
		if fair {
			verdict = string(l.Difference.Verdict)
			if !math.IsNaN(l.Difference.Low) {
				interval += fmt.Sprintf(" (%+.2f to %+.2f)", l.Difference.Low, l.Difference.High)
			}
		}
		fmt.Fprintf(&b, "  %5.4g s  %7d %8.2f %8.2f  %-25s %-16s %18.1f %% %5.1f %%\n", l.Horizon, l.Count, l.InUse, l.Candidate, interval, verdict, 100*l.InUseIn, 100*l.CandidateIn)
	}
	return b.String()
}

// Summary says in words what the comparison shows over all rows: of the candidate against the model in
// use, which bear these names, on the runs named.
func (c *Comparison) Summary(candidate, inUse string, on []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "On %s, inputs %s, all rows of the %s, ", strings.Join(on, ", "), c.Way, c.Output)
	by := map[Verdict][]string{}
	for _, l := range c.Lines {
		if l.Windows == model.AllRows && l.Count > 0 {
			by[l.Difference.Verdict] = append(by[l.Difference.Verdict], fmt.Sprintf("%g", l.Horizon))
		}
	}
	var parts []string
	for _, v := range []struct {
		is   Verdict
		text string
	}{
		{Better, "%s is better at %s s"}, {Worse, "%s is worse at %s s"},
		{Same, "%s is no different at %s s"}, {Unclear, "whether %s is better cannot be told at %s s"},
	} {
		if at := by[v.is]; at != nil {
			parts = append(parts, fmt.Sprintf(v.text, candidate, strings.Join(at, ", ")))
		}
	}
	if parts == nil {
		return b.String() + "there is nothing to compare: the runs are shorter than every horizon."
	}
	b.WriteString(strings.Join(parts, "; ") + ".\n")
	percent := func(x float64) string { return fmt.Sprintf("%+.0f %%", 100*(math.Exp(x)-1)) }
	o := c.Overall
	if math.IsNaN(o.Low) {
		fmt.Fprintf(&b, "Over the horizons together nothing can be told: the runs fill fewer than five blocks of %g s.", c.Block)
		return b.String()
	}
	fmt.Fprintf(&b, "Over the horizons together its error differs by %s from that of %s (95 %% interval %s to %s): ", percent(o.Value), inUse, percent(o.Low), percent(o.High))
	b.WriteString(map[Verdict]string{
		Better:  "the new model is better.",
		Worse:   "the new model is worse; there is no reason to switch.",
		Unclear: "which is better cannot be told; there is no reason to switch yet.",
		Same:    "the two do not differ.",
	}[o.Verdict])
	if len(on) == 1 {
		b.WriteString(" One build is little to go by: other builds differ more than the windows of one.")
	}
	return b.String()
}
