package runs

import (
	"fmt"
	"math"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
)

// ActiveRows finds the longest stretch of run in which the first output is live and the process
// active, as rows from ≤ i < to. A reading is live unless it is missing or has not moved for more
// than 5 s (a frozen or unplugged thermocouple). The process is active from the first row where
// the spindle turns until the reading is no longer live; without a spindle it always is.
func ActiveRows(m *model.Model, run *Run) (from, to int, err error) {
	run, err = run.For(m)
	if err != nil {
		return 0, 0, err
	}
	var speed []float64
	if i := m.InputIndex(model.SpindleSpeed); i >= 0 {
		speed = run.U[i]
	}
	return Active(run, speed)
}

// Active is ActiveRows with the speed of the spindle given by row (rpm), nil where nothing tells it.
func Active(run *Run, speed []float64) (from, to int, err error) {
	start, since, spun, live := -1, 0, -1, 0
	end := func(i int) {
		if spun >= 0 && i-spun > to-from {
			from, to = spun, i
		}
		start, spun = -1, -1
	}
	z := run.Z[0]
	for i := range z {
		if !num.Finite(z[i]) {
			if start >= 0 && run.Time[i]-run.Time[live] > frozenAfter {
				end(live + 1)
			}
			continue
		}
		live = i
		if start < 0 || z[i] != z[i-1] {
			since = i
		}
		if start < 0 {
			start = i
		}
		if frozen := run.Time[i] - run.Time[since]; frozen > frozenAfter {
			end(i)
			start = i // still finite: wait until it moves
			continue
		}
		if spun < 0 && (speed == nil || math.Abs(speed[i]) >= phase.SpinsFrom) {
			spun = i
		}
	}
	end(min(len(z), live+1))
	if to == from {
		return 0, 0, fmt.Errorf("run %s: no rows where the spindle turns and the %s is live", run.Name, model.ToolTemperature)
	}
	return from, to, nil
}

const frozenAfter = 5.5 // s
