package score

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/system"
)

// cooling is a run that the sample model explains exactly: spindle off, T − 20 °C falls with
// 0.015 1/s from 400 °C.
func cooling(rows int) *runs.Run {
	r := &runs.Run{Name: "cooling", U: make([][]float64, 4), Z: make([][]float64, 1)}
	for i := range rows {
		at := float64(i)
		r.Time = append(r.Time, at)
		for k := range r.U {
			r.U[k] = append(r.U[k], 0)
		}
		r.Z[0] = append(r.Z[0], 20+380*math.Exp(-0.015*at))
		r.SetPoint = append(r.SetPoint, 350)
	}
	return r
}

// wandering is a run of 900 rows whose inputs move.
func wandering(seed uint64) *runs.Run {
	r := &runs.Run{Name: "wandering", U: make([][]float64, 4), Z: make([][]float64, 1)}
	rng := rand.New(rand.NewPCG(seed, 7))
	z, power, speed := 300.0, 6000.0, 400.0
	for i := range 900 {
		if i%20 == 0 {
			speed, power = 300+150*rng.Float64(), 4000+5000*rng.Float64()
		}
		z += 2e-5*max(0, power-33.5*speed*math.Pi/30)*(566-z) - 0.015*(z-20)
		r.Time = append(r.Time, float64(i))
		for k, v := range []float64{power, speed, 300, 200} {
			r.U[k] = append(r.U[k], v)
		}
		r.Z[0] = append(r.Z[0], z+0.05*rng.NormFloat64())
	}
	return r
}

func TestScoreAgainstClosedForm(t *testing.T) {
	m := sample()
	m.Parameters[3].Value, m.Parameters[4].Value = 0.4, 0
	r := cooling(60)
	skill, err := Score(m, r, filter.Known, []float64{1, 10}, 0, 60)
	if err != nil {
		t.Fatal(err)
	}
	if len(skill) != 4 {
		t.Fatalf("%d lines", len(skill))
	}
	// Above 200 °C until T − 20 = 180, that is 49.8 s: origins 0 to 49; all have their target at 1 s
	// and those up to 49 at 10 s too.
	for i, h := range []float64{1, 10} {
		s := skill[i]
		var hold, set float64
		for k := range 50 {
			a, b := r.Z[0][k], r.Z[0][k+int(h)]
			hold += (a - b) * (a - b) / 50
			set += (350 - b) * (350 - b) / 50
		}
		if s.Count != 50 || s.RMSE > 0.3 || math.Abs(s.Persistence-math.Sqrt(hold)) > 1e-9 || math.Abs(s.SetPoint-math.Sqrt(set)) > 1e-9 || s.Coverage != 1 {
			t.Errorf("%g s: %+v, want persistence %.3f set-point %.3f", h, s, math.Sqrt(hold), math.Sqrt(set))
		}
		if s.OverPersistence() < 0.9 || skill[2+i].Windows != model.OnePhase || skill[2+i].Count != 50 {
			t.Errorf("%g s: %+v", h, skill[2+i])
		}
	}
}

func TestForecastsUseNothingAfterTheOrigin(t *testing.T) {
	m := sample()
	for _, way := range []filter.Way{filter.Live, filter.Known, filter.Held} {
		collect := func(r *runs.Run) (out []Row) {
			if err := ForecastRun(m, r, way, Horizons, 0, len(r.Time), func(row Row) {
				row.Measured, row.By = 0, nil // which it is compared with
				out = append(out, row)
			}); err != nil {
				t.Fatal(err)
			}
			return out
		}
		a := *wandering(5)
		b := *a.Rows(0, 900)
		b.Z = [][]float64{slices.Clone(a.Z[0])}
		for i := 300; i < 900; i++ {
			b.Z[0][i] += 50
		}
		ra, rb := collect(&a), collect(&b)
		n := 0
		for i := range ra {
			if ra[i].Origin < 300 {
				n++
				if ra[i] != rb[i] {
					t.Fatalf("%v: row %d depends on temperatures after it", way, ra[i].Origin)
				}
			}
		}
		if n == 0 {
			t.Error("no origins")
		}
	}
	// Held and live forecasts use no input after the origin either.
	a := *wandering(5)
	b := *a.Rows(0, 900)
	b.U = [][]float64{slices.Clone(a.U[0]), a.U[1], a.U[2], a.U[3]}
	for i := 300; i < 900; i++ {
		b.U[0][i] = 0
	}
	for _, way := range []filter.Way{filter.Live, filter.Held} {
		var ra, rb []Row
		ForecastRun(m, &a, way, Horizons, 0, 900, func(r Row) { r.By = nil; ra = append(ra, r) })
		ForecastRun(m, &b, way, Horizons, 0, 900, func(r Row) { r.By = nil; rb = append(rb, r) })
		for i := range ra {
			if ra[i].Origin >= 300 {
				break
			}
			if ra[i] != rb[i] {
				t.Fatalf("%s: row %d depends on inputs after it", way, ra[i].Origin)
			}
		}
	}
}

func TestOrigins(t *testing.T) {
	r := cooling(60)
	r.Z[0][7] = math.NaN()
	seen := map[float64][]int{}
	if err := ForecastRun(sample(), r, filter.Known, []float64{1, 5}, 3, 20, func(row Row) {
		if row.Target != row.Origin+int(row.Horizon) {
			t.Errorf("%+v", row)
		}
		seen[row.Horizon] = append(seen[row.Horizon], row.Origin)
	}); err != nil {
		t.Fatal(err)
	}
	want := []int{3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}
	if !slices.Equal(seen[1], want) || !slices.Equal(seen[5], want[:len(want)-4]) {
		t.Errorf("origins %v", seen)
	}
	if err := ForecastRun(sample(), r, filter.Known, Horizons, 10, 61, nil); err == nil || !strings.Contains(err.Error(), "rows 10:61 are not within 0:60") {
		t.Errorf("%v", err)
	}
}

func TestMissingForecastCountsAsFiveTimesPersistence(t *testing.T) {
	var y tally
	y.add(&Row{Forecast: math.NaN(), Lower: math.NaN(), Upper: math.NaN()}, math.NaN(), math.NaN(), 100, 110, math.NaN())
	if s := y.skill(); s.RMSE != 50 || s.Persistence != 10 || s.Coverage != 0 {
		t.Errorf("%+v", s)
	}
}

// The square of what has run away is no number, which no document can hold.
func TestAForecastThatHasRunAwayIsScored(t *testing.T) {
	var y tally
	by := &filter.Trust{Says: [filter.Experts]float64{100, 1e200, 100, 100}, Weight: [filter.Experts]float64{1, 0, 0, 0}}
	y.add(&Row{Forecast: -1e249, Lower: -1e250, Upper: 0, By: by}, -1e250, 0, 100, 110, 105)
	s := y.skill()
	if s.RMSE != runaway || s.WithSetPoint != runaway || s.Experts[1].RMSE != runaway || s.Experts[0].RMSE != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := json.Marshal(s); err != nil {
		t.Error(err)
	}
}

func TestOpenLoop(t *testing.T) {
	m := sample()
	m.Parameters[3].Value, m.Parameters[4].Value = 0.4, 0
	r := cooling(200)
	n := 0
	if err := OpenLoop(m, r, 10, 200, func(row Row) {
		if row.Origin != 10+n || row.Target != row.Origin || row.Horizon != 0 {
			t.Fatalf("row %d: %+v", n, row)
		}
		if math.Abs(row.Forecast-r.Z[0][row.Target]) > 0.5+0.4*0.015*380 { // a lag of 0.4 s
			t.Fatalf("row %d: %.3f, want %.3f", row.Target, row.Forecast, r.Z[0][row.Target])
		}
		n++
	}); err != nil || n != 190 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestForecastCSV(t *testing.T) {
	var b strings.Builder
	w := NewForecastWriter(&b)
	w.Write("20250708104310", "tool temperature", 7.25, Row{Origin: 7, Target: 17, Horizon: 10, Measured: 474, Forecast: 475.12345, Lower: 473.16345, Upper: 477.08345})
	w.Write("a,b", "plate", 0.1+0.2, Row{Output: 1, Origin: 8, Target: 8, Measured: math.NaN(), Forecast: 1, Lower: 1, Upper: 1})
	w.Write("live", "plate", 9, Row{By: &filter.Trust{}, Origin: 9, Target: 19, Horizon: 10, Measured: 2, Forecast: 1, Lower: -5, Upper: 3,
		Branches: Branches{Lower: -1, Upper: 3, Works: true, Stopped: -4, StoppedLower: -5, StoppedUpper: -3}})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "log,t_index,time_s,horizon,output,forecast,lower,upper,measured,lower_going_on,upper_going_on,stopped,stopped_lower,stopped_upper\n" +
		"20250708104310,7,7.25,10,tool temperature,475.123,473.163,477.083,474.000,,,,,\n\"a,b\",8,0.3,0,plate,1.000,1.000,1.000,,,,,,\n" +
		"live,9,9,10,plate,1.000,-5.000,3.000,2.000,-1.000,3.000,-4.000,-5.000,-3.000\n"
	if b.String() != want {
		t.Errorf("got %q\nwant %q", b.String(), want)
	}
}

func TestPhases(t *testing.T) {
	r := &runs.Run{Name: "phases", U: make([][]float64, 4), Z: make([][]float64, 1)}
	want := []phase.Phase{phase.Stopped, phase.Free, phase.WarmUp, phase.Prime, phase.Deposit}
	for i, c := range []struct{ power, speed, path, z float64 }{
		{0, 0, 0, 300}, {1000, 450, 0, 300}, {9000, 450, 0, 300}, {9000, 450, 0, 450}, {9000, 450, 500, 450},
	} {
		r.Time = append(r.Time, float64(i))
		for k, v := range []float64{c.power, c.speed, c.path, 0} {
			r.U[k] = append(r.U[k], v)
		}
		r.Z[0] = append(r.Z[0], c.z)
	}
	if got := NewTrack(system.Compile(sample()), r).Phases(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestParseWay(t *testing.T) {
	for _, w := range filter.Ways {
		if got, err := filter.ParseWay(w.String()); got != w || err != nil {
			t.Errorf("%v: %v, %v", w, got, err)
		}
	}
	if _, err := filter.ParseWay("guessed"); err == nil {
		t.Error("guessed is no way")
	}
}
