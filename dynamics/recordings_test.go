package dynamics

import (
	"fmt"
	"strings"
	"testing"
)

const (
	first  = "20250707151600" // two hard starts, free spins, never steady
	second = "20250708104310" // one build, twelve minutes near 475 °C
)

func TestActiveRowsOfTheRecordings(t *testing.T) {
	for name, want := range map[string][2]int{first: {0, 1030}, second: {0, 1098}} {
		from, to, err := ActiveRows(sample(), recording(t, name))
		if err != nil || from != want[0] || to != want[1] {
			t.Errorf("%s: rows %d:%d, %v; want %v", name, from, to, err, want)
		}
	}
}

// What a model forecasts on a run that it has not seen, RMSE in °C at 1, 5, 10, 30 and 60 s. The
// best regression of derivatives off the shelf does 3.9 / 15.8 / 26.9 / 52 / 64 on the first
// pair, persistence 3.6 / 13.1 / 18.8 / 32.8 / 35.3.
func TestForecastsOfTheRecordings(t *testing.T) {
	runs := map[string]*Run{first: recording(t, first), second: recording(t, second)}
	rows := map[string][2]int{first: {5, 1030}, second: {2, 1098}}
	for _, c := range []struct {
		learned []string
		scored  string
		way     Way
		most    []float64
	}{
		{[]string{first}, second, Known, []float64{1.9, 7, 10.5, 14, 14}},
		{[]string{first}, second, Held, []float64{1.9, 8, 13, 28, 34}},
		{[]string{second}, first, Known, []float64{3, 11, 16, 30, 50}},
		{[]string{second}, first, Held, []float64{3, 12, 20, 65, 120}},
		{[]string{first, second}, second, Known, []float64{1.4, 6.2, 9, 11, 11}},
		{[]string{first, second}, first, Known, []float64{3, 10.5, 15, 27, 45}},
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
		OpenLoop(m, r, rows[c.scored][0], rows[c.scored][1], func(row Row) {
			if z := r.Z[0][row.Target]; z > OriginAbove {
				loop += (row.Forecast - z) * (row.Forecast - z)
				n++
			}
		})
		if testing.Verbose() && c.way == Known {
			t.Logf("open loop above %g °C: RMSE² mean %.0f °C²\n%s%s", OriginAbove, loop/n, Equation(&Model{Inputs: m.Inputs, Outputs: m.Outputs, Parameters: m.Parameters, Terms: m.Terms, SensorLag: m.SensorLag, DeadTime: m.DeadTime}), SkillTable(skill))
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
	m := sample()
	rows := 0
	for b.Loop() {
		rows = 0
		ForecastRun(m, r, Known, Horizons, 0, len(r.Time), func(Row) { rows++ })
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(r.Time)), "µs/row")
}
