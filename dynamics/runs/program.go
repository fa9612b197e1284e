package runs

import (
	"fmt"

	"stirwatch/dynamics/program"
)

// Followed is how a program fits a run.
type Followed struct {
	Program *program.Program
	Rows    int    // in which the line of the program was followed
	Idle    int    // in which no program ran
	Misfit  int    // in which what the machine showed did not fit the program
	First   int    // row of the first of these
	Why     string // the program did not fit there
}

// Follow tells how the run's program fits it. It fails where the run shows no line.
func (r *Run) Follow() (f Followed, err error) {
	f.Program = r.Program
	if r.Shown == nil {
		return f, fmt.Errorf("run %s shows no program line: a program cannot be followed", r.Name)
	}
	t := program.NewTracker(r.Program)
	for i := range r.Shown {
		t.Step(r.Since(i), r.Shown[i])
		switch t.State() {
		case program.Following:
			f.Rows++
		case program.Idle:
			f.Idle++
		case program.Misfit:
			if f.Misfit++; f.Misfit == 1 {
				f.First, f.Why = i, t.Why()
			}
		}
	}
	return f, nil
}

// Since is the time of row i since the row before, s.
func (r *Run) Since(i int) float64 {
	if i == 0 {
		return 0
	}
	return r.Time[i] - r.Time[i-1]
}

// String says it to people.
func (f Followed) String() string {
	text := fmt.Sprintf("program %s is followed in %d rows", f.Program.Name, f.Rows)
	if f.Misfit > 0 {
		text += fmt.Sprintf("; it does not fit in %d, and is not used there: %s (first in row %d)", f.Misfit, f.Why, f.First)
	}
	return text
}
