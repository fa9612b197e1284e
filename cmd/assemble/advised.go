package assemble

import (
	"context"
	"errors"
	"fmt"
	"math"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/config"
	"stirwatch/dynamics/report"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// Advised gives a run that was replayed into the configuration's journal, with what was advised on it. It fails where the
// run has no tool temperature.
func Advised(ctx context.Context, conf *config.Config, path string) (a *report.Advised, err error) {
	reg, err := Registry(conf)
	if err != nil {
		return nil, err
	}
	log, err := ReadRun(conf, reg, path)
	if err != nil {
		return nil, err
	}
	a = &report.Advised{Name: log.Name, Lowest: math.NaN(), Highest: math.NaN()}
	if p := conf.Process; p != nil {
		rpm := unit.MustParse("rpm")
		a.Lowest, a.Highest = p.Spindle.Min.In(rpm), p.Spindle.Max.In(rpm)
	}
	first, last := log.Time[0], log.Time[len(log.Time)-1]
	since := func(t int64) float64 { return float64(t-first) / 1e9 }
	for _, t := range log.Time {
		a.Time = append(a.Time, since(t))
	}
	column := func(role sensors.Role, in string) ([]float64, error) {
		i, ok := log.Find(role)
		if !ok {
			return nil, nil
		}
		m, err := unit.Between(log.Columns[i].Unit, unit.MustParse(in))
		if err != nil {
			return nil, err
		}
		v := make([]float64, len(log.Time))
		for k := range v {
			if v[k] = math.NaN(); log.Status[i][k].IsGood() {
				v[k] = m.Apply(log.Value[i][k])
			}
		}
		return v, nil
	}
	var errs [3]error
	a.Temperature, errs[0] = column(sensors.ToolTemperature, "°C")
	a.SetPoint, errs[1] = column(sensors.SetPoint, "°C")
	a.Speed, errs[2] = column(sensors.SpindleSpeed, "rpm")
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	for i, v := range a.Speed {
		a.Speed[i] = math.Abs(v)
	}
	if a.Temperature == nil {
		return nil, fmt.Errorf("%s has no tool temperature, so that there is nothing to advise on", path)
	}
	if a.SetPoint == nil {
		a.SetPoint = make([]float64, len(a.Time))
	}
	r, err := journal.OpenReader(conf.Abs(conf.Journal.Path))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	err = journal.Rows(ctx, r, journal.Query{From: first, To: last + 1}, func(n *record.Recommendation) error {
		if k := len(a.Advice); k > 0 {
			a.Advice[k-1].To = min(a.Advice[k-1].To, since(n.Time))
		}
		a.Advice = append(a.Advice, report.Advice{From: since(n.Time), To: min(since(n.Expires), since(last)), Kind: n.Kind, SetPoint: n.SetPoint, Pace: n.Pace, Reason: n.Reason, Ahead: 60,
			Without: n.Without, Lowest: n.WithoutLower, Highest: n.WithoutUpper, With: n.With, WithLowest: n.WithLower, WithHighest: n.WithUpper})
		return nil
	})
	return a, err
}
