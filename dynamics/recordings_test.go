package dynamics

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

const (
	first  = "20250707151600" // two hard starts, free spins, never steady
	second = "20250708104310" // one build, twelve minutes near 475 °C
)

// What a model forecasts on a run that it has not seen, RMSE in °C at 1, 5, 10, 30 and 60 s. The
// best regression of derivatives off the shelf does 3.9 / 15.8 / 26.9 / 52 / 64 on the first
// pair, persistence 3.6 / 13.1 / 18.8 / 32.8 / 35.3.
func TestForecastsOfTheRecordings(t *testing.T) {
	if testing.Short() {
		t.Skip("learns many times: minutes under the race detector; make test runs it without")
	}
	runs := map[string]*Run{first: recording(t, first), second: recording(t, second)}
	rows := map[string][2]int{first: {5, 1030}, second: {2, 1098}}
	for _, c := range []struct {
		learned []string
		scored  string
		way     Way
		most    []float64
	}{
		{[]string{first}, second, Known, []float64{1.5, 5, 8.3, 13.5, 15}},
		{[]string{first}, second, Held, []float64{1.5, 7, 13, 30, 37}},
		{[]string{first, second}, second, Known, []float64{0.85, 4.6, 7.2, 9.5, 9.5}},
		{[]string{first, second}, first, Known, []float64{2.6, 10, 15, 12.5, 15}},
	} {
		var in []Run
		for _, name := range c.learned {
			in = append(in, *runs[name])
		}
		m, err := Learn(in, Options{Inputs: testInputs})
		if err != nil {
			t.Fatal(err)
		}
		r := runs[c.scored]
		r.Inputs = testInputs
		skill, err := Score(m, r, c.way, Horizons, rows[c.scored][0], rows[c.scored][1])
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s → %s, %s:", strings.Join(c.learned, "+"), c.scored, c.way)
		for k := range Horizons {
			line += fmt.Sprintf("  %g s %.2f (%.0f %%)", Horizons[k], skill[k].RMSE, 100*skill[k].Coverage)
			if skill[k].RMSE > c.most[k] {
				t.Errorf("%s → %s, %s, %g s: RMSE %.2f °C, at most %.2f", c.learned, c.scored, c.way, Horizons[k], skill[k].RMSE, c.most[k])
			}
		}
		t.Log(line)
		var loop, n float64
		if err := OpenLoop(m, r, rows[c.scored][0], rows[c.scored][1], func(row Row) {
			if z := r.Z[0][row.Target]; z > 200 {
				loop += (row.Forecast - z) * (row.Forecast - z)
				n++
			}
		}); err != nil {
			t.Fatal(err)
		}
		t.Logf("open loop above 200 °C: RMSE %.2f °C", math.Sqrt(loop/n))
		m.Skill = nil
		if testing.Verbose() && c.way == Known && len(c.learned) == 2 && c.scored == first {
			t.Log(Equation(m))
			t.Log(m.Spread)
		}
	}
}

// BenchmarkLearnTwoRuns: budget 10 s, goal 1 s. One iteration learns from both and again from
// each alone for the table of skill.
func BenchmarkLearnTwoRuns(b *testing.B) {
	runs := []Run{*recording(b, first), *recording(b, second)}
	for b.Loop() {
		if _, err := Learn(runs, Options{Inputs: testInputs}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkForecastRun: a whole recording at five horizons with intervals, budget 30 µs a row.
func BenchmarkForecastRun(b *testing.B) {
	r := recording(b, second)
	m, err := Learn([]Run{*r}, Options{Inputs: testInputs})
	if err != nil {
		b.Fatal(err)
	}
	rows := 0
	for b.Loop() {
		rows = 0
		r.Inputs = testInputs
		ForecastRun(m, r, Known, Horizons, 0, len(r.Time), func(Row) { rows++ })
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(r.Time)), "µs/row")
}
