package agent

import (
	"math"
	"slices"
	"testing"
	"time"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	scoring "stirwatch/dynamics/score"
	"stirwatch/dynamics/system"
)

// What the agent forecasts on the tick is what score calls live.
func TestTheTickForecastsAsScored(t *testing.T) {
	m := learned(t)
	a := agentOf(t, Options{Registry: cell(t), Model: m, Tick: time.Second})
	const rows = 240
	columns := map[string]int{model.ToolTemperature: 0, model.SpindlePower: 1, model.SpindleSpeed: 2, model.PathVelocity: 3, model.FeedVelocity: 4, "set point": 5}
	table := make([][]float64, rows) // in the units of the cell
	for i := range table {
		s := float64(i)
		table[i] = []float64{450 - 400*math.Exp(-s/25) + 4*math.Sin(s/7), 6 + 0.5*math.Sin(s/9), 380 - 20*math.Sin(s/9), 20, 240, 465}
		if i < 40 {
			table[i][3] = 0 // the path begins when it is hot
		}
	}
	var told [][]float64
	for i, row := range table {
		at := 1000*second + int64(i)*second
		put(a, at, row...)
		a.tick(at)
		told = append(told, slices.Clone(a.estimator.forecast.Outputs[0].Mean))
	}
	run := &runs.Run{Name: "live", Z: [][]float64{nil}}
	column := func(name string, scale float64) (c []float64) {
		for _, row := range table {
			c = append(c, scale*row[columns[name]])
		}
		return c
	}
	for i := range table {
		run.Time = append(run.Time, float64(i))
	}
	for name, scale := range map[string]float64{model.SpindlePower: 1000, model.SpindleSpeed: 1, model.PathVelocity: 25.4, model.FeedVelocity: 1} {
		run.Inputs, run.U = append(run.Inputs, name), append(run.U, column(name, scale))
	}
	run.Z[0], run.SetPoint = column(model.ToolTemperature, 1), column("set point", 1)
	run, err := run.For(m)
	if err != nil {
		t.Fatal(err)
	}
	hs := a.estimator.forecast.Horizon
	compared, weighed := 0, false
	err = scoring.NewTrack(system.Compile(m), run).Follow(filter.Live, hs, 0, rows, func(r scoring.Row) {
		k := slices.Index(hs, r.Horizon)
		if got := told[r.Origin][k]; math.Abs(got-r.Forecast) > 1e-6 {
			t.Fatalf("from row %d, %g s ahead: the agent says %g, score %g", r.Origin, r.Horizon, got, r.Forecast)
		}
		weighed = weighed || r.By.Weight[filter.AtSetPoint] > 0.1 && r.By.Weight[filter.Planning] > 0.1
		compared++
	})
	if err != nil || compared < 500 || !weighed {
		t.Errorf("%d forecasts compared, experts weighed %v, %v", compared, weighed, err)
	}
}
