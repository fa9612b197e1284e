package model

import (
	"fmt"
	"slices"
)

// unexplained is how many times the usual misfit of the other runs one has that the equation does not explain.
const unexplained = 2.0

// Unexplained is a run whose forecasts are much further off than those of the others, though the equation was learned
// from it: what happened in it the hypotheses cannot say.
type Unexplained struct {
	Run   string
	Times float64 // as far off as the others, by the median
}

func (u Unexplained) String() string {
	return fmt.Sprintf("The equation does not explain %s: its forecasts, with known inputs, are %.1f times as far off as those of the other runs, though it was learned from. Look at what happened in it; leave it out, or propose a term that can say it.", u.Run, u.Times)
}

// Unexplained are the runs that the equation does not explain. One alone is compared with nothing.
func (m *Model) Unexplained() (found []Unexplained) {
	for i, r := range m.Provenance.Runs {
		var others []float64
		for k, q := range m.Provenance.Runs {
			if k != i && q.Misfit > 0 {
				others = append(others, q.Misfit)
			}
		}
		if len(others) == 0 {
			continue
		}
		slices.Sort(others)
		if times := r.Misfit / others[len(others)/2]; times > unexplained {
			found = append(found, Unexplained{r.Name, times})
		}
	}
	return found
}
