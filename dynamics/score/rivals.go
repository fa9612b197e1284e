package score

import (
	"fmt"
	"io"
	"strings"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// Rivals are two models that are to be compared, and what people call them.
type Rivals struct {
	Candidate, InUse *model.Model
	Names            [2]string
}

// Report compares on every run at horizons (s) and, where there are several that neither model was learned
// from, on those together; it writes what it finds to w, with what follows at the end. progress is told on
// which run it is.
func (c *Rivals) Report(w io.Writer, given []*runs.Run, segments runs.Segments, horizons []float64, progress func(run string)) error {
	ways := []filter.Way{filter.Live, filter.Known}
	if c.Candidate.Planned() && c.InUse.Planned() {
		ways = append(ways, filter.Planned)
	} else {
		fmt.Fprintf(w, "By plan nothing is compared: %s, the runs did not show how the machine's controller acts.\n\n", c.without())
	}
	var fair []Span
	var names []string
	for _, r := range given {
		progress(r.Name)
		from, to, err := segments.Of(c.InUse, r)
		if err != nil {
			return err
		}
		span := Span{Run: r, From: from, To: to}
		var marks []string
		for i, m := range []*model.Model{c.Candidate, c.InUse} {
			if how := m.LearnedFrom(r.Source()); how != "" {
				marks = append(marks, c.Names[i]+" "+how)
			}
		}
		mark := "neither model names it among the runs it was learned from"
		if marks == nil {
			fair, names = append(fair, span), append(names, r.Name)
		} else {
			mark = strings.Join(marks, ", ") + ": this proves nothing"
		}
		for _, way := range ways {
			found, err := Compare(c.Candidate, c.InUse, []Span{span}, way, horizons, CompareOptions{Seed: 1})
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%s (%s), inputs %s\n", r.Name, mark, way)
			for _, output := range found {
				fmt.Fprintln(w, output.Table(marks == nil))
			}
		}
	}
	if len(fair) == 0 {
		fmt.Fprintf(w, "Nothing can be said of %s against %s: one of them was learned from every run here.\n", c.Names[0], c.Names[1])
		return nil
	}
	way := filter.Live // what the model is for, so that is what the summary is about
	found, err := Compare(c.Candidate, c.InUse, fair, way, horizons, CompareOptions{Seed: 1})
	if err != nil {
		return err
	}
	if len(fair) > 1 {
		fmt.Fprintf(w, "%s together, inputs %s\n", strings.Join(names, ", "), way)
		for _, output := range found {
			fmt.Fprintln(w, output.Table(true))
		}
	}
	for _, output := range found {
		fmt.Fprintln(w, output.Summary(c.Names[0], c.Names[1], names))
	}
	return nil
}

// without says who has no plan.
func (c *Rivals) without() string {
	switch {
	case c.Candidate.Planned():
		return c.Names[1] + " has no plan"
	case c.InUse.Planned():
		return c.Names[0] + " has no plan"
	}
	return "neither model has a plan"
}
