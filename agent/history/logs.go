package history

import (
	"fmt"
	"math"
	"time"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/program"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/unit"
)

// OneRunError reports that the same run was given twice.
type OneRunError struct{ Paths [2]string }

func (e *OneRunError) Error() string {
	return fmt.Sprintf("%s and %s are one run (the same name or the same content): give it once", e.Paths[0], e.Paths[1])
}

// Logs reads the channels from run logs, MELD's or CSVs whose columns say what they are. note is told what
// was found out about each and what was left out. A log of which too little can be read is an error.
func Logs(paths []string, o runlog.Options, channels model.Channels, note func(string)) ([]*runs.Run, error) {
	o.Named, o.ParseUnit = quantities(channels), expr.ParseUnit
	var all []*runs.Run
	for _, p := range paths {
		log, err := runlog.Read(p, o)
		if err != nil {
			return nil, err
		}
		if o.Units != runlog.Auto && log.Format == runlog.MELD {
			doubtUnits(p, o.Units, note)
		}
		for _, text := range log.Remarks() {
			note(text)
		}
		for _, b := range log.Bad {
			if 3*b.Count > len(log.Time) {
				return nil, fmt.Errorf("%s: %s: of %d rows too many to learn or judge anything from", p, b, len(log.Time))
			}
		}
		r, err := FromLog(log, channels)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		for k, before := range all {
			if before.Name == r.Name || before.SHA256 == r.SHA256 {
				return nil, &OneRunError{[2]string{paths[k], p}}
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// quantities are the columns that are looked for, by name and unit, in a CSV whose header describes them.
func quantities(want model.Channels) []runlog.Named {
	named := []runlog.Named{{Name: string(sensors.SetPoint), Unit: "°C"}, {Name: string(sensors.ProgramLine), Unit: "1"}, {Name: string(sensors.FeedOverride), Unit: "%"}}
	for _, in := range want.Inputs {
		named = append(named, runlog.Named{Name: in.Name, Unit: in.Unit})
	}
	for _, out := range want.Outputs {
		named = append(named, runlog.Named{Name: out.Name, Unit: out.Unit, Must: true})
	}
	return named
}

// doubtUnits notes where a log itself tells of other units than those given.
func doubtUnits(path string, given runlog.Mode, note func(string)) {
	log, err := runlog.Read(path, runlog.Options{})
	if err != nil { // it does not tell, or can be read but once
		return
	}
	for _, d := range log.Detected {
		if d.Units != given {
			note(fmt.Sprintf("%s: units %s are believed, but the log says otherwise: %s", log.Name, given, d))
		}
	}
}

// FromLog takes the columns wanted of a log, in their units; what is not good is missing. An input that the
// log does not have is missing in every row.
func FromLog(log *runlog.Log, want model.Channels) (*runs.Run, error) {
	r := &runs.Run{Name: log.Name, SHA256: log.SHA256, Began: time.Unix(0, log.Time[0])}
	for _, line := range log.Line {
		r.Number = append(r.Number, line-2) // the header is line 1
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
		r.Blind = unknown(r.Blind, log, in.Name)
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
			if r.Blind != nil && r.Blind[k] != "" {
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
	r.Shown = shown(log)
	return r, nil
}

// shown is what the log shows of the program that ran, by row; nil where it has no line of it.
func shown(log *runlog.Log) []program.Now {
	column := func(role sensors.Role, in string) func(k int) float64 {
		i, ok := log.Find(role)
		if !ok {
			return func(int) float64 { return math.NaN() }
		}
		m, err := unit.Between(log.Columns[i].Unit, unit.MustParse(in))
		if err != nil { // a set-point that is no temperature
			return func(int) float64 { return math.NaN() }
		}
		return func(k int) float64 {
			if !log.Status[i][k].IsGood() {
				return math.NaN()
			}
			return m.Apply(log.Value[i][k])
		}
	}
	if _, ok := log.Find(sensors.ProgramLine); !ok {
		return nil
	}
	line, path, feed := column(sensors.ProgramLine, "1"), column(sensors.PathVelocity, "mm/min"), column(sensors.FeedVelocity, "mm/min")
	set, over := column(sensors.SetPoint, "°C"), column(sensors.FeedOverride, "%")
	tool, speed := column(sensors.ToolTemperature, "°C"), column(sensors.SpindleSpeed, "rpm")
	rows := make([]program.Now, len(log.Time))
	for k := range rows {
		rows[k] = program.Now{Line: line(k), Path: path(k), Feed: feed(k), SetPoint: set(k), Override: over(k), Reading: tool(k), Speed: speed(k)}
	}
	return rows
}

// unknown marks in blind (made where it is nil) the rows in which the log has text for an input.
func unknown(blind []string, log *runlog.Log, name string) []string {
	i, ok := log.Find(sensors.Role(name))
	if !ok {
		return blind
	}
	for k, s := range log.Status[i] {
		if s.Reason == sensors.NotANumber {
			if blind == nil {
				blind = make([]string, len(log.Time))
			}
			blind[k] = name
		}
	}
	return blind
}
