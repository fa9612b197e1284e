package score

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

// Row is one forecast: from row Origin for row Target of the run, Horizon seconds apart, or for the
// instant so far ahead between Target and the row before it, where the log has no row then. An
// open-loop simulation has Horizon 0 and Origin equal to Target.
type Row struct {
	Output         int // place in Model.Outputs; values are in its unit
	Origin, Target int
	Horizon        float64 // s, as asked for
	Measured       float64 // at that time: of the target row, or between it and the one before
	Forecast       float64
	Lower, Upper   float64 // 95 % interval of whatever comes

	Branches Branches
	NIS      float64       // of the output at the origin, as Expected.NIS
	By       *filter.Trust // on whom a live forecast rests, good until the next; else nil
}

// Branches is what a live forecast says apart: the 95 % interval if nothing stops, and what is expected, with its
// interval, if the machine stops at the origin, where it works then. Of other ways the first is that of the row.
type Branches struct {
	Lower, Upper                        float64
	Works                               bool
	Stopped, StoppedLower, StoppedUpper float64
}

// ForecastRun follows rows from ≤ i < to of run with m and calls fn for a forecast of every output at each of
// horizons (s, rising) from every row whose target row is in the range and in which the leading output is above its
// ScoreAbove: horizon by horizon, first output first. No reading after the origin is used. Horizons count rows of the log's median spacing where it divides
// them (to 2 %); else the forecast is for the time asked for, and is compared with the readings on both
// sides of it.
func ForecastRun(m *model.Model, run *runs.Run, way filter.Way, horizons []float64, from, to int, fn func(Row)) error {
	run, err := checkRange(m, run, from, to)
	if err != nil {
		return err
	}
	s := system.Compile(m)
	return NewTrack(s, run).Follow(way, horizons, from, to, fn)
}

// checkRange gives run with the columns that m wants.
func checkRange(m *model.Model, run *runs.Run, from, to int) (*runs.Run, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	run, err := run.For(m)
	if err != nil {
		return nil, err
	}
	if from < 0 || to > len(run.Time) || from >= to {
		return nil, fmt.Errorf("run %s: rows %d:%d are not within 0:%d", run.Name, from, to, len(run.Time))
	}
	return run, nil
}

// RunFilter lets e step through rows from ≤ i < to of run, whose columns are those of the model, and calls fn
// after each with the estimate, which the next step overwrites.
func RunFilter(e *filter.Estimator, run *runs.Run, from, to int, fn func(i int, est *filter.Estimate)) {
	u, z := make([]float64, len(run.U)), make([]float64, len(run.Z))
	var est filter.Estimate
	for i := from; i < to; i++ {
		for k := range u {
			u[k] = run.U[k][i]
		}
		for k := range z {
			z[k] = run.Z[k][i]
		}
		dt := 0.0
		if i > from {
			dt = run.Time[i] - run.Time[i-1]
		}
		e.Step(&est, dt, u, z)
		fn(i, &est)
	}
}

// OpenLoop simulates rows from ≤ i < to from the first reading of the leading output there (and what else is measured in
// that row), with the measured inputs and no reading after it, and calls fn for every row and output.
func OpenLoop(m *model.Model, run *runs.Run, from, to int, fn func(Row)) error {
	run, err := checkRange(m, run, from, to)
	if err != nil {
		return err
	}
	s := system.Compile(m)
	t := NewTrack(s, run)
	r := s.Stepper()
	for from < to && !num.Finite(run.Z[s.Leading][from]) {
		from++
	}
	if from == to {
		return fmt.Errorf("run %s: no %s to start from", run.Name, m.Outputs[s.Leading].Name)
	}
	readings := make([]float64, len(s.Out))
	for k, o := range s.Out {
		readings[k] = run.Z[k][from]*s.Scale[o] + s.Offset[o]
	}
	x, p, drives := make([]float64, s.NX), make([]float64, s.NX*s.NX), make([]float64, s.Drives())
	r.Begin(x, readings)
	for i, v := range s.StartVar {
		p[i*s.NX+i] = v
	}
	hint := from
	for i := from; i < to; i++ {
		if i > from {
			dt := run.Time[i] - run.Time[i-1]
			n := system.Steps(dt)
			h := dt / float64(n)
			for k := range n {
				at := run.Time[i-1] + float64(k)*h
				t.between(drives, at, at+h, &hint, to-1)
				r.Act(drives)
				r.StepCov(x, p, h)
			}
		}
		for k, o := range s.Out {
			at, half := (x[o]-s.Offset[o])/s.Scale[o], num.Sigma95*math.Sqrt(p[o*s.NX+o])/s.Scale[o]
			fn(Row{Output: k, Origin: i, Target: i, Measured: run.Z[k][i], Forecast: at, Lower: at - half, Upper: at + half})
		}
	}
	return nil
}

// forecastHeader is the first line of a file of forecasts.
var forecastHeader = []string{"log", "t_index", "time_s", "horizon", "output", "forecast", "lower", "upper", "measured",
	"lower_going_on", "upper_going_on", "stopped", "stopped_lower", "stopped_upper"}

// ForecastWriter writes forecasts as CSV: log, row of the origin and its time in s, horizon in s, name of the output,
// and in its unit the forecast, its 95 % interval and what was measured then, empty where nothing was. Of live
// forecasts the [Branches] follow, empty otherwise.
type ForecastWriter struct {
	w   *csv.Writer
	row []string
}

// NewForecastWriter writes the header to w.
func NewForecastWriter(w io.Writer) *ForecastWriter {
	f := &ForecastWriter{w: csv.NewWriter(w), row: make([]string, 0, len(forecastHeader))}
	f.w.Write(forecastHeader)
	return f
}

// Write adds one forecast of an output of the run named log, whose origin is at a time in s.
func (f *ForecastWriter) Write(log, output string, time float64, r Row) {
	f.row = append(f.row[:0], log, strconv.Itoa(r.Origin), plain(math.Round(time*1e9)/1e9, -1), plain(r.Horizon, -1), output,
		plain(r.Forecast, 3), plain(r.Lower, 3), plain(r.Upper, 3), "")
	if num.Finite(r.Measured) {
		f.row[len(f.row)-1] = plain(r.Measured, 3)
	}
	b := &r.Branches
	for i, v := range [...]float64{b.Lower, b.Upper, b.Stopped, b.StoppedLower, b.StoppedUpper} {
		if f.row = append(f.row, ""); r.By != nil && (i < 2 || b.Works) && num.Finite(v) {
			f.row[len(f.row)-1] = plain(v, 3)
		}
	}
	f.w.Write(f.row)
}

// plain writes a number with so many decimals, −1 as many as it needs.
func plain(v float64, decimals int) string { return strconv.FormatFloat(v, 'f', decimals, 64) }

// Flush ends the file and gives the first error there was.
func (f *ForecastWriter) Flush() error {
	f.w.Flush()
	return f.w.Error()
}
