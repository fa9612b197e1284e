package runs

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
)

// ActiveRows finds the longest stretch of run in which the leading output is live and the process
// active, as rows from ≤ i < to. A reading is live unless it is missing, or has not moved (a frozen or
// unplugged thermocouple), for more than 5 s. Coarse and slow readings stand still by nature: one that goes
// on by a single step of the sensor after standing still was live, and how long such readings last is the
// measure for one that never goes on. The process is active from the first row where the spindle turns until
// the reading is no longer live; without a spindle it always is.
func ActiveRows(m *model.Model, run *Run) (from, to int, err error) {
	run, err = run.For(m)
	if err != nil {
		return 0, 0, err
	}
	var speed []float64
	if i := m.InputIndex(model.SpindleSpeed); i >= 0 {
		speed = run.U[i]
	}
	return Active(run, speed, m.LeadingIndex())
}

// Active is ActiveRows with the speed of the spindle given by row (rpm), nil where nothing tells it, and the place of
// the output that must be live. Of rows that a
// person has chosen (Run.Chosen) it leaves out those without a reading at both ends.
func Active(run *Run, speed []float64, output int) (from, to int, err error) {
	z := run.Z[output]
	if run.Chosen {
		for to = len(z); to > from && !num.Finite(z[to-1]); to-- {
		}
		for from < to && !num.Finite(z[from]) {
			from++
		}
		if from == to {
			return 0, 0, fmt.Errorf("run %s: no rows where the %s is live", run.Name, model.ToolTemperature)
		}
		return from, to, nil
	}
	frozen := standsStill(run.Time, z)
	start, spun, live := -1, -1, 0
	end := func(i int) {
		if spun >= 0 && i-spun > to-from {
			from, to = spun, i
		}
		start, spun = -1, -1
	}
	for i := range z {
		if !num.Finite(z[i]) {
			if start >= 0 && run.Time[i]-run.Time[live] > frozenAfter {
				end(live + 1)
			}
			continue
		}
		live = i
		if start < 0 {
			start = i
		}
		if frozen[i] {
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

// standsStill marks the rows in which a reading has stood still for too long.
func standsStill(time, z []float64) []bool {
	type plateau struct{ from, to int } // rows from ≤ i < to of one value, gaps included
	var all []plateau
	step := math.Inf(1) // of the sensor: the smallest that it makes
	last := -1
	for i := range z {
		if !num.Finite(z[i]) {
			continue
		}
		if last < 0 || z[i] != z[last] || time[i]-time[last] > frozenAfter && i-last > 1 {
			if last >= 0 && z[i] != z[last] {
				step = min(step, math.Abs(z[i]-z[last]))
			}
			all = append(all, plateau{i, i})
		}
		last = i
		all[len(all)-1].to = i + 1
	}
	longest := frozenAfter
	goesOn := func(k int) bool {
		return k+1 < len(all) && math.Abs(z[all[k+1].from]-z[all[k].from]) <= 1.5*step
	}
	for k, p := range all {
		if lasted := time[p.to-1] - time[p.from]; goesOn(k) && lasted > frozenAfter {
			longest = max(longest, 2*lasted)
		}
	}
	still := make([]bool, len(z))
	for k, p := range all {
		if goesOn(k) {
			continue
		}
		for i := p.from; i < p.to; i++ {
			still[i] = time[i]-time[p.from] > longest
		}
	}
	return still
}

// LeftOut says why rows of run outside from ≤ i < to are not active; "" where there are none.
func LeftOut(run *Run, speed []float64, output, from, to int) string {
	idle, missing, other := 0, 0, 0
	blind := map[string]int{}
	for i := range run.Time {
		switch {
		case i >= from && i < to:
		case speed != nil && !(math.Abs(speed[i]) >= phase.SpinsFrom):
			idle++
		case run.Blind != nil && run.Blind[i] != "":
			blind[run.Blind[i]]++
		case !num.Finite(run.Z[output][i]):
			missing++
		default:
			other++
		}
	}
	var why []string
	for _, name := range slices.Sorted(maps.Keys(blind)) {
		why = append(why, fmt.Sprintf("the %s is no number in %d", name, blind[name]))
	}
	for _, w := range []struct {
		n    int
		text string
	}{{idle, "the spindle stands in %d"}, {missing, "the reading is missing in %d"}, {other, "%d are cut off by that, or the reading stands still in them"}} {
		if w.n > 0 {
			why = append(why, fmt.Sprintf(w.text, w.n))
		}
	}
	return strings.Join(why, ", ")
}
