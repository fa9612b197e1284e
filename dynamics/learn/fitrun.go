package learn

import (
	"math"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

// fitRun is one run made ready for fitting: rows in SI units, inputs held over gaps.
type fitRun struct {
	course  system.Course
	z       [][]float64 // readings by output, SI; NaN is missing
	noise   []float64   // by output: standard deviation of a reading, SI
	scale   []float64   // by output: what a kelvin of the leading one counts as much as, SI
	warm    float64     // reading below which forecasts count less, SI
	u       [][]float64
	step    float64
	mask    []bool    // rows that count, nil: all
	weight  []float64 // of a forecast by its row of origin, 0 is none; with all rows they add up to 1
	rowEnd  int       // from where on no row counts
	hot     float64   // rows that are warm
	counted float64   // and of those that count

	start []float64 // how far each hidden node began from what the model says, SI
	x0    []float64 // filtered states by origin
	s0    []float64 // and their derivatives
	rows  []int     // origins
	// the simulation of the whole run, by row and output
	open, openS []float64
}

// differs is the number of rows of one run that tell as much as it differs from others.
const differs = 500.0

// newFitRun takes run, whose inputs are those of m, and of which only the rows of mask (nil: all) count.
func newFitRun(m *model.Model, run *runs.Run, mask []bool) *fitRun {
	f := &fitRun{course: system.Course{T: run.Time}, step: num.MedianStep(run.Time), mask: mask}
	for o, readings := range run.Z {
		u := expr.MustUnit(m.Outputs[o].Unit)
		f.noise = append(f.noise, m.Outputs[o].SD*u.Scale)
		f.scale = append(f.scale, f.noise[o]/m.Outputs[0].SD) // outputs weigh by their noise
		z := make([]float64, len(readings))
		for i, v := range readings {
			z[i] = u.SI(v)
		}
		f.z = append(f.z, z)
	}
	f.warm = math.Inf(-1)
	if above := m.Outputs[0].ScoreAbove; above != 0 {
		f.warm = expr.MustUnit(m.Outputs[0].Unit).SI(above)
	}
	last := make([]float64, len(run.U))
	for k := range last {
		last[k] = m.Assumed(k)
	}
	for i := range run.Time {
		row := make([]float64, len(run.U))
		for k := range row {
			if v := run.U[k][i]; num.Finite(v) {
				last[k] = v
			}
			row[k] = last[k]
		}
		f.u = append(f.u, row)
	}
	f.choose()
	return f
}

// readings fills dst with those of row i by output.
func (f *fitRun) readings(dst []float64, i int) []float64 {
	for o := range f.z {
		dst[o] = f.z[o][i]
	}
	return dst
}

// choose spreads the origins of forecasts evenly over the warm rows, and fewer over the others. Every
// run weighs the same, however many of its rows are warm.
func (f *fitRun) choose() {
	warm, total := 0, 0
	for _, z := range f.z[0] {
		if num.Finite(z) {
			total++
			if z >= f.warm {
				warm++
			}
		}
	}
	f.hot = float64(warm)
	sum := float64(warm) + coolWeight*float64(total-warm)
	every := [2]int{max(1, (total-warm)/coolOrigins), max(1, warm/origins)}
	weight := [2]float64{coolWeight / sum, 1 / sum}
	f.weight = make([]float64, len(f.z[0]))
	var n [2]int
	for i, z := range f.z[0] {
		if !num.Finite(z) {
			continue
		}
		k := 0
		if z >= f.warm {
			k = 1
		}
		if n[k]%every[k] == 0 && (f.mask == nil || f.mask[i]) {
			f.weight[i] = weight[k] * float64(every[k])
			f.rowEnd = i + 1
		}
		if n[k]++; k == 1 && (f.mask == nil || f.mask[i]) {
			f.counted++
		}
	}
}

// tells is how many rows' worth a run tells of what all have in common: no more than differs rows, however many it has.
// That is the weight of random effects, with the variance between runs that of an error over so many rows.
func (f *fitRun) tells() float64 { return max(f.hot, 1) * differs / (max(f.hot, 1) + differs) }
