package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// readRuns reads the channels named from run logs, and says what was found out about units and what was left out.
func readRuns(w io.Writer, paths []string, units string, want model.Channels) ([]*recorded, error) {
	o, err := unitsOption(units)
	if err != nil {
		return nil, err
	}
	var runs []*recorded
	for _, p := range paths {
		how, is, err := namedColumns(p, want)
		if err != nil {
			return nil, err
		}
		if !is {
			how = o
		}
		log, err := runlog.Read(p, how)
		if errors.Is(err, runlog.ErrFormat) && !is {
			return nil, fmt.Errorf("%w; or name the columns as what they are, with units: %s", err, strings.Join(columnNames(want), ", "))
		}
		if err != nil {
			return nil, err
		}
		for _, d := range log.Detected {
			fmt.Fprintf(w, "%s: %s\n", log.Name, d)
		}
		if how.Units != runlog.Auto {
			doubtUnits(w, p, how.Units)
		}
		if log.Skips > 0 {
			fmt.Fprintf(w, "%s: %d lines left out, the first is line %d: %s\n", log.Name, log.Skips, log.Skipped[0].Line, log.Skipped[0].Why)
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

// columnNames are the columns of a CSV that says what it holds.
func columnNames(want model.Channels) []string {
	names := []string{"time [s]"}
	for _, in := range want.Inputs {
		names = append(names, fmt.Sprintf("%s [%s]", in.Name, in.Unit))
	}
	for _, out := range want.Outputs {
		names = append(names, fmt.Sprintf("%s [%s]", out.Name, out.Unit))
	}
	return names
}

// columnName splits "heater power [W]".
var columnName = regexp.MustCompile(`^(.*?)\s*(?:\[([^\]]*)\]|\(([^)]*)\))?$`)

// namedColumns reads the header of a CSV whose columns bear the names of the channels wanted, with their
// units in brackets, such as "time [s], heater power [W], plate temperature [°C]"; false where it has no
// column for an output, as a MELD log.
func namedColumns(path string, want model.Channels) (o runlog.Options, is bool, err error) {
	if i, err := os.Stat(path); err != nil || !i.Mode().IsRegular() {
		return o, false, err // what can be read but once is not read here
	}
	f, err := os.Open(path)
	if err != nil {
		return o, false, err
	}
	defer f.Close()
	const longest = 64 << 10
	head, line := bufio.NewReaderSize(io.LimitReader(f, longest), longest), ""
	for strings.TrimSpace(line) == "" {
		if line, err = head.ReadString('\n'); err == io.EOF {
			break
		} else if err != nil {
			return o, false, fmt.Errorf("read %s: %w", path, err)
		}
		line = strings.TrimPrefix(line, "\ufeff")
	}
	line = strings.TrimRight(line, "\r\n")
	o = runlog.Options{Format: runlog.CSV, Separator: ','}
	for _, sep := range []byte{';', '\t'} {
		if strings.Count(line, string(sep)) > strings.Count(line, string(o.Separator)) {
			o.Separator = sep
		}
	}
	r := csv.NewReader(strings.NewReader(line))
	r.Comma, r.LazyQuotes = rune(o.Separator), true
	header, err := r.Read()
	if err != nil {
		return o, false, nil // not ours to complain about
	}
	wanted := map[string]string{string(sensors.SetPoint): string(sensors.SetPoint)} // by name in lower case
	for _, in := range want.Inputs {
		wanted[strings.ToLower(in.Name)] = in.Name
	}
	for _, out := range want.Outputs {
		wanted[strings.ToLower(out.Name)] = out.Name
	}
	for i, key := range header {
		parts := columnName.FindStringSubmatch(strings.TrimSpace(key))
		name, unitName := strings.ToLower(parts[1]), parts[2]+parts[3]
		number := strconv.Itoa(i + 1)
		switch {
		case name == "time":
			o.Time = runlog.TimeColumn{Key: number, Unit: wire.TimeUnit(unitName)}
		case wanted[name] != "":
			name = wanted[name]
			u, err := expr.ParseUnit(unitName)
			if unitName == "" || err != nil {
				return o, false, coded{fmt.Errorf("%s: column %q has no unit that is known: write it in brackets, such as %q", path, key, name+" [°C]"), exitUsage}
			}
			o.Fields = append(o.Fields, runlog.Field{Key: number, Channel: name, Unit: u})
			o.Channels = append(o.Channels, sensors.Channel{Name: name, Role: sensors.Role(name), Unit: u})
			is = is || slices.ContainsFunc(want.Outputs, func(out model.Output) bool { return out.Name == name })
		}
	}
	if is && o.Time.Key == "" {
		return o, false, coded{fmt.Errorf("%s: no column is the time: name one \"time [s]\" (or ms, us, ns; without a unit it holds dates)", path), exitUsage}
	}
	return o, is, nil
}

// unitsOption reads the flag --units.
func unitsOption(units string) (o runlog.Options, err error) {
	switch units {
	case "auto":
	case "inch":
		o.Units = runlog.Inch
	case "mm":
		o.Units = runlog.Millimetre
	default:
		err = coded{fmt.Errorf("--units %s: use auto, inch or mm", units), exitUsage}
	}
	return o, err
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
		r.Z = append(r.Z, z)
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
