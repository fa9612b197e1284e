package main

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// logFlags say how run logs are written where they do not tell it themselves.
type logFlags struct{ units, decimal, thousands, dates string }

func (f *logFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.units, "units", "auto", "units of MELD logs: auto (found out), inch or mm")
	c.Flags().StringVar(&f.decimal, "decimal", "", "decimal sign of logs, . or ,; left out, their columns tell")
	c.Flags().StringVar(&f.thousands, "thousands", "", "sign between thousands in logs, where that is . or ,")
	c.Flags().StringVar(&f.dates, "dates", "", "order of day and month in logs, dmy, mdy or ymd; left out, their columns tell")
}

// options reads the flags.
func (f *logFlags) options() (o runlog.Options, err error) {
	switch f.units {
	case "auto":
	case "inch":
		o.Units = runlog.Inch
	case "mm":
		o.Units = runlog.Millimetre
	default:
		return o, coded{fmt.Errorf("--units %s: use auto, inch or mm", f.units), exitUsage}
	}
	if o.Decimal, err = runlog.DecimalSign(f.decimal, f.thousands); err != nil {
		return o, coded{fmt.Errorf("--decimal, --thousands: %w", err), exitUsage}
	}
	if f.dates != "" {
		if o.Time.Order, err = wire.ParseDateOrder(f.dates); err != nil {
			return o, coded{fmt.Errorf("--dates: %w", err), exitUsage}
		}
	}
	return o, nil
}

// readRuns reads the channels named from run logs, MELD's or CSVs whose columns say what they are, and says
// what was found out about them and what was left out.
func readRuns(w io.Writer, paths []string, flags logFlags, want model.Channels) ([]*recorded, error) {
	o, err := flags.options()
	if err != nil {
		return nil, err
	}
	o.Named, o.ParseUnit = quantities(want), expr.ParseUnit
	var runs []*recorded
	for _, p := range paths {
		log, err := runlog.Read(p, o)
		if err != nil {
			return nil, err
		}
		if o.Units != runlog.Auto && log.Format == runlog.MELD {
			doubtUnits(w, p, o.Units)
		}
		tellLog(w, log)
		for _, b := range log.Bad {
			if 3*b.Count > len(log.Time) {
				return nil, fmt.Errorf("%s: %s: of %d rows too many to learn or judge anything from", p, b, len(log.Time))
			}
		}
		r, err := channelsOf(log, want)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		for k, before := range runs {
			if before.Name == r.Name || before.SHA256 == r.SHA256 {
				return nil, coded{fmt.Errorf("%s and %s are one run (the same name or the same content): give it once", paths[k], p), exitUsage}
			}
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// quantities are the columns that a CSV may have which says what they are.
func quantities(want model.Channels) []runlog.Named {
	named := []runlog.Named{{Name: string(sensors.SetPoint), Unit: "°C"}}
	for _, in := range want.Inputs {
		named = append(named, runlog.Named{Name: in.Name, Unit: in.Unit})
	}
	for _, out := range want.Outputs {
		named = append(named, runlog.Named{Name: out.Name, Unit: out.Unit, Must: true})
	}
	return named
}

// tellLog says what was found out about a log, and what was left out.
func tellLog(w io.Writer, log *runlog.Log) {
	for _, d := range log.Detected {
		fmt.Fprintf(w, "%s: %s\n", log.Name, d)
	}
	for _, n := range log.Notes {
		fmt.Fprintf(w, "%s: %s\n", log.Name, n)
	}
	if log.Skips > 0 {
		fmt.Fprintf(w, "%s: %d lines left out, the first is line %d: %s\n", log.Name, log.Skips, log.Skipped[0].Line, log.Skipped[0].Why)
	}
	for _, b := range log.Bad {
		fmt.Fprintf(w, "%s: %s\n", log.Name, b)
	}
}

// doubtUnits says where a log itself tells of other units than those given.
func doubtUnits(w io.Writer, path string, given runlog.Mode) {
	log, err := runlog.Read(path, runlog.Options{})
	if err != nil { // it does not tell, or can be read but once
		return
	}
	for _, d := range log.Detected {
		if d.Units != given {
			fmt.Fprintf(w, "%s: --units %s is believed, but the log says otherwise: %s\n", log.Name, given, d)
		}
	}
}

// toRun takes the columns that the built-in hypotheses know.
func toRun(log *runlog.Log) (*recorded, error) {
	return channelsOf(log, model.DefaultHypotheses().Channels())
}

// channelsOf takes the columns wanted, in their units; what is not good is missing. An input that the
// log does not have is missing in every row.
func channelsOf(log *runlog.Log, want model.Channels) (*recorded, error) {
	r := &recorded{Run: runs.Run{Name: log.Name, SHA256: log.SHA256}, line: log.Line}
	r.Began = time.Unix(0, log.Time[0])
	if r.Began.Year() <= 1970 { // it counts seconds itself
		r.zero = float64(log.Time[0]) / 1e9
	}
	for _, t := range log.Time {
		r.Time = append(r.Time, float64(t-log.Time[0])/1e9)
	}
	column := func(name, unitName string, optional bool) ([]float64, error) {
		v := make([]float64, len(log.Time))
		for k := range v {
			v[k] = math.NaN()
		}
		i, ok := log.Find(sensors.Role(name))
		if !ok {
			if optional {
				return v, nil
			}
			return nil, fmt.Errorf("no column is %s", name)
		}
		to, err := expr.ParseUnit(unitName)
		if err != nil {
			return nil, err
		}
		m, err := unit.Between(log.Columns[i].Unit, to)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", log.Columns[i].Key, err)
		}
		for k := range v {
			if log.Status[i][k].IsGood() {
				v[k] = m.Apply(log.Value[i][k])
			}
		}
		return v, nil
	}
	for _, in := range want.Inputs {
		unknown(r, log, in.Name)
		u, err := column(in.Name, in.Unit, true)
		if err != nil {
			return nil, err
		}
		r.Inputs, r.U = append(r.Inputs, in.Name), append(r.U, u)
	}
	for _, out := range want.Outputs {
		z, err := column(out.Name, out.Unit, false)
		if err != nil {
			return nil, err
		}
		for k := range z {
			if r.blind != nil && r.blind[k] {
				z[k] = math.NaN()
			}
		}
		r.Outputs, r.Z = append(r.Outputs, out.Name), append(r.Z, z)
	}
	if i, ok := log.Find(sensors.SetPoint); ok {
		// The set-point is a temperature only in the spindle's tool-temperature mode; in the two
		// other modes it is a torque or a force, and no baseline for a temperature.
		if log.Columns[i].Unit.Dim == unit.Temperature {
			var err error
			if r.SetPoint, err = column(string(sensors.SetPoint), "°C", true); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// unknownAfter is how long an input that holds no number is taken to be as it was before, s.
const unknownAfter = 5.0

// unknown marks the rows in which the log has had text for an input for so long that nobody knows what acted.
func unknown(r *recorded, log *runlog.Log, name string) {
	i, ok := log.Find(sensors.Role(name))
	if !ok {
		return
	}
	last := math.Inf(-1)
	for k, s := range log.Status[i] {
		switch {
		case s.Reason != sensors.NotANumber:
			last = r.Time[k]
		case r.Time[k]-last > unknownAfter:
			if r.blind == nil {
				r.blind = make([]bool, len(r.Time))
			}
			r.blind[k] = true
		}
	}
}
