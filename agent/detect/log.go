package detect

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// Read reads any log of numbers, by what its columns hold, and gives the registry of its channels. What was found out about
// it is among the log's remarks.
func Read(path string, o runlog.Options) (*runlog.Log, *sensors.Registry, error) {
	o, notes, err := runlog.Discover(path, o)
	if err != nil {
		return nil, nil, err
	}
	log, err := runlog.Read(path, o)
	if err != nil {
		return nil, nil, err
	}
	log.Notes = append(notes, log.Notes...)
	reg, err := Registry(log)
	return log, reg, err
}

// FromLog makes a table of a log: every column is a channel, and what is not good is missing.
func FromLog(l *runlog.Log) *Table {
	t := &Table{Log: l.Name, Time: l.Time}
	for i := range l.Columns {
		v := slices.Clone(l.Value[i])
		for k, s := range l.Status[i] {
			if !s.IsGood() {
				v[k] = math.NaN()
			}
		}
		t.Channel, t.Value = append(t.Channel, l.Columns[i].Name), append(t.Value, v)
	}
	// Lines that could not be read are rows of the file all the same.
	lost := 0
	for _, line := range l.Line {
		for lost < len(l.Lost) && l.Lost[lost] < line {
			lost++
		}
		t.Index = append(t.Index, len(t.Index)+lost)
	}
	t.Rows = len(l.Line) + len(l.Lost)
	return t
}

// Leave drops channels. It fails where one is not there.
func (t *Table) Leave(channels []string) error {
	for _, name := range channels {
		i := slices.Index(t.Channel, name)
		if i < 0 {
			return fmt.Errorf("%s has no channel %q: it has %s", t.Log, name, strings.Join(t.Channel, ", "))
		}
		t.Channel, t.Value = slices.Delete(t.Channel, i, i+1), slices.Delete(t.Value, i, i+1)
	}
	return nil
}

// Order takes the channels named, in that order, and drops the others. It fails where one is not there.
func (t *Table) Order(channels []string) error {
	var value [][]float64
	for _, name := range channels {
		i := slices.Index(t.Channel, name)
		if i < 0 {
			return fmt.Errorf("%s has no channel %q, which was trained on: it has %s", t.Log, name, strings.Join(t.Channel, ", "))
		}
		value = append(value, t.Value[i])
	}
	t.Channel, t.Value = slices.Clone(channels), value
	return nil
}
